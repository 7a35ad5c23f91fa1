"""What `import sweep` offers, what it costs, and how errors are related."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

import sweep
from sweep import errors
from sweep.evaluation import read_test_split_of_winner
from sweep.provenance import package_versions

PROBE = """
import sys
{code}
unwanted = {{"torch", "matplotlib", "optuna", "pandas", "sklearn", "pydantic"}}
heavy = unwanted & set(sys.modules)
print(",".join(sorted(heavy)), file=sys.__stdout__)
"""
REPORT_LIBRARIES = {
    *("torch", "matplotlib", "sklearn", "pandas", "scipy.stats", "scipy.sparse"),
}


def heavy_imports(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(code=code)], capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    "code",
    [
        "import sweep",
        "import sweep; sweep.InputError; dir(sweep)",
        "import sweep.cli\nsys.argv = ['sweep', '--help']\n"
        "try: sweep.cli.main()\nexcept SystemExit: pass",
        "import sweep.cli\nsys.argv = ['sweep', 'run', '--help']\n"
        "try: sweep.cli.main()\nexcept SystemExit: pass",
    ],
    ids=["import", "errors", "help", "run help"],
)
def test_asking_is_cheap(code):
    assert heavy_imports(code) == ""


def test_the_driver_needs_no_torch():
    assert "torch" not in heavy_imports("import sweep; sweep.run; sweep.load_space").split(",")


def imported_by(*arguments: str) -> set[str]:
    """What a command imports of the libraries that only training and reports need."""
    code = f"""
import sys
import sweep.cli
sys.argv = ["sweep", *{arguments!r}]
try: sweep.cli.main()
except SystemExit as ended: assert not ended.code
print(*({REPORT_LIBRARIES!r} & set(sys.modules)), file=sys.__stdout__)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("form", [[], ["--json"]], ids=["text", "json"])
def test_showing_a_study_needs_no_library_of_reports(finished, form):
    assert imported_by("show", "small", "--storage", finished, *form) == set()


def test_a_report_on_what_is_tested_needs_little(confirmed, tmp_path):
    read_test_split_of_winner(confirmed, "small")
    found = imported_by("report", "small", "--storage", confirmed, "--out", str(tmp_path / "out"))
    assert found == {"matplotlib", "pandas"}


def test_a_confirmation_that_is_finished_needs_no_torch(confirmed):
    read_test_split_of_winner(confirmed, "small")
    assert not {"torch", "sklearn", "pandas"} & imported_by(
        "confirm", "small", "--storage", confirmed
    )


@pytest.mark.parametrize("name", sweep.__all__)
def test_every_public_name_is_there(name):
    assert getattr(sweep, name).__name__ == name
    assert getattr(sweep, name).__doc__
    assert name in dir(sweep)


def test_the_version_is_known_where_the_package_is_not_installed(monkeypatch):
    def version(name: str) -> str:
        if name == "sweep":
            raise importlib.metadata.PackageNotFoundError(name)
        return "1"

    monkeypatch.setattr("sweep.provenance.version", version)
    assert re.fullmatch(r"\d+\.\d+\.\d+", sweep.__version__)
    assert package_versions()["sweep"] == sweep.__version__
    assert "__version__" in dir(sweep)


def test_the_package_is_built_with_this_version():
    project = Path(sweep.__file__).parents[1] / "pyproject.toml"
    settings = tomllib.loads(project.read_text())
    assert "version" in settings["project"]["dynamic"]
    module, _, name = settings["tool"]["setuptools"]["dynamic"]["version"]["attr"].rpartition(".")
    assert getattr(import_module(module), name) == sweep.__version__


def test_other_names_are_not():
    with pytest.raises(AttributeError, match="module 'sweep' has no attribute 'runn'"):
        sweep.runn  # noqa: B018


def test_errors_are_related_as_drawn():
    for name in errors.__all__:
        assert issubclass(getattr(errors, name), sweep.SweepError)
    for name in ("SearchSpaceError", "DataError", "DeviceError", "StoreError", "StudyLockedError"):
        assert issubclass(getattr(errors, name), sweep.InputError)
    assert issubclass(sweep.StudyLockedError, sweep.StoreError)
    assert not issubclass(sweep.SweepFailedError, sweep.InputError)
    assert issubclass(sweep.UnknownOptionError, sweep.InputError)
    assert issubclass(sweep.UnknownOptionError, TypeError)
