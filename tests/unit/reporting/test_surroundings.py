"""What users have set in other libraries changes no report, and stays as they have set it."""

from __future__ import annotations

import decimal
import json
import logging
import os
import subprocess
import sys
import threading
import warnings
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

import sweep
from sweep.reporting.surroundings import undisturbed

STRANGE: dict[str, Any] = {
    "text.usetex": True,
    "image.origin": "lower",
    "savefig.dpi": 30,
    "savefig.bbox": "tight",
    "figure.dpi": 30,
    "figure.autolayout": True,
    "font.size": 30,
    "axes.prop_cycle": mpl.cycler(color=["black"]),
    "axes.formatter.use_locale": True,
    "axes.xmargin": 0.4,
    "lines.linewidth": 9,
    "path.sketch": (1, 100, 2),
    "svg.image_inline": False,
    "legend.loc": "lower left",
    "xtick.bottom": False,
}


@pytest.fixture
def strange(monkeypatch: pytest.MonkeyPatch):
    """Call it to change what a caller can change in Matplotlib, pandas and NumPy."""
    with ExitStack() as settings:

        def change() -> None:
            import matplotlib.pyplot as plt

            # Some options of pandas are about to go, and say so.
            settings.enter_context(warnings.catch_warnings(action="ignore"))
            settings.enter_context(mpl.rc_context())
            plt.style.use("ggplot")
            mpl.rcParams.update(STRANGE)
            settings.callback(plt.close, plt.figure())
            settings.enter_context(
                pd.option_context(
                    "display.precision", 1, "display.float_format", "{:.0f}".format,
                    "display.max_colwidth", 3, "display.max_rows", 1, "display.width", 9,
                    "mode.string_storage", "python",
                    "future.infer_string", False, "compute.use_numexpr", False,
                )
            )  # fmt: skip
            settings.enter_context(np.errstate(all="raise"))
            settings.enter_context(np.printoptions(precision=1, threshold=2, suppress=True))
            settings.enter_context(decimal.localcontext(prec=2))
            warnings.simplefilter("error")

        yield change


def state() -> list[Any]:
    import matplotlib.pyplot as plt

    return [
        dict.copy(mpl.rcParams),
        plt.get_fignums(),
        np.geterr(),
        np.get_printoptions(),
        pd.options.display.precision,
        decimal.getcontext().prec,
        list(warnings.filters),
        logging.getLogger("matplotlib").level,
        dict(os.environ),
    ]


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.slow
def test_a_callers_settings_change_no_byte_and_stay(finished, strange, monkeypatch, tmp_path):
    monkeypatch.setattr("sweep.reporting.figures.to_svg", lambda *_, **__: "<svg/>")  # saves time
    sweep.report("small", storage=finished, out=tmp_path / "plain")
    strange()
    before = state()
    sweep.report("small", storage=finished, out=tmp_path / "strange")
    assert state() == before
    plain, found = files(tmp_path / "plain"), files(tmp_path / "strange")
    assert len([name for name in plain if name.startswith("figures/")]) > 8
    assert {name for name in plain if plain[name] != found[name]} == set()


SCRIPT = """
import json, os
from sweep.reporting.surroundings import undisturbed
before = dict(os.environ), os.getcwd()
with undisturbed():
    import matplotlib
    import sweep.reporting.figures
# Matplotlib names its temporary folder there, if it needs one.
before[0].pop("MPLCONFIGDIR", None), os.environ.pop("MPLCONFIGDIR", None)
assert (dict(os.environ), os.getcwd()) == before
backend = str(dict.get(matplotlib.rcParams, "backend"))
print(json.dumps([matplotlib.rcParams["font.size"], backend]))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "environment", "size", "backend"),
    [
        (b"font.size: 7\n", {"MPLBACKEND": "nonsense"}, 7.0, None),
        (b"", {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}, 10.0, None),
        (b"", {"MPLBACKEND": "svg", "MPLCONFIGDIR": "/proc/nowhere"}, 10.0, "svg"),
        (b"foo: 1\nno colon\nfont.size: many\nfont.size: 8\n", {}, 8.0, None),
        (b"\xff\xfe\n", {"MPLBACKEND": "pdf"}, 10.0, "pdf"),
        (None, {"MATPLOTLIBRC": "damaged"}, 10.0, None),
    ],
)
def test_damaged_settings_of_matplotlib_neither_end_nor_fill_the_terminal(
    tmp_path, content, environment, size, backend
):
    """Valid ones are still a later caller's."""
    (tmp_path / "damaged").write_bytes(b"\xff")
    if content is not None:
        (tmp_path / "matplotlibrc").write_bytes(content)
    found = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(sweep.__file__).parents[1]), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (found.returncode, found.stderr) == (0, "")
    font_size, chosen = json.loads(found.stdout)
    assert font_size == size
    assert backend is None or chosen == backend


def test_reports_in_threads_leave_matplotlibs_messages_as_they_were():
    logger = logging.getLogger("matplotlib")
    before, second_is_in = logger.level, threading.Event()

    def second() -> None:
        with undisturbed():
            second_is_in.set()

    thread = threading.Thread(target=second)
    with undisturbed():
        thread.start()
        assert not second_is_in.wait(0.2)
    thread.join()
    assert second_is_in.is_set()
    assert logger.level == before
