"""What `import sweep` offers, what it costs, and how errors are related."""

from __future__ import annotations

import subprocess
import sys

import pytest

import sweep
from sweep import errors

PROBE = """
import sys
{code}
unwanted = {{"torch", "matplotlib", "optuna", "pandas", "seaborn", "sklearn", "pydantic"}}
heavy = unwanted & set(sys.modules)
print(",".join(sorted(heavy)), file=sys.__stdout__)
"""


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


@pytest.mark.parametrize("name", sweep.__all__)
def test_every_public_name_is_there(name):
    assert getattr(sweep, name).__name__ == name
    assert getattr(sweep, name).__doc__
    assert name in dir(sweep)


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
