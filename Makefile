# make sweep   install, run the quick-start sweep, write its report
# make test    install, run the quick tests
# make slow    install, run the tests that take seconds each: processes killed, terminals, a browser
# make soak    install, run the long tests: kills, damaged stores, full disks, strange files,
#              and property tests with fresh examples
# make mutants install, plant each described fault in a copy; its tests must fail
# make check   install, run the linter, type checker and import contracts
# make bench   install, measure every figure that has a target: the engines against other tools,
#              estimates, memory, the driver, starts (needs MNIST, an idle machine, 25 minutes)
# make gpu-proof  install, prove on a machine with a CUDA GPU what no other can show, and measure it
#              (nine minutes at most; downloads no data)
# make schema  generate the JSON Schema and the table of parameters from the definitions

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed
STORAGE := sqlite:///out/studies.db

.PHONY: sweep test slow soak mutants check bench gpu-proof schema clean

sweep: out/report/report.html
	@echo "report: $(CURDIR)/out/report/report.html"

out/report/report.html: $(INSTALLED) search_spaces/digits.yaml
	mkdir -p out
	$(BIN)/sweep run search_spaces/digits.yaml --storage $(STORAGE)
	$(BIN)/sweep report digits --storage $(STORAGE) --out out/report
	@touch $@

test: $(INSTALLED)
	$(BIN)/python -m pytest -n 2 --dist worksteal

slow: $(INSTALLED)
	$(BIN)/python -m pytest -n 2 --dist worksteal -m slow

soak: $(INSTALLED)
	HYPOTHESIS_PROFILE=explore $(BIN)/python -m pytest -n 2 --dist worksteal -m soak
	HYPOTHESIS_PROFILE=explore $(BIN)/python -m pytest -n 2 tests/property

mutants: $(INSTALLED)
	$(BIN)/python tests/mutants/plant.py

check: $(INSTALLED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --editable '.[bench]' --constraint constraints.txt
	$(BIN)/python bench/everything.py

gpu-proof: $(INSTALLED)
	cd bench && ../$(BIN)/python -m gpu_proof

schema: $(INSTALLED)
	$(BIN)/python -c "from pathlib import Path; \
	from sweep.space.schema import write_generated; write_generated(Path('docs/search-space.md'))"

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'Python 3.11 or newer is needed; found ' + sys.version.split()[0])"
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[dev]' --constraint constraints.txt
	touch $@

clean:
	rm -rf .venv out build *.egg-info
