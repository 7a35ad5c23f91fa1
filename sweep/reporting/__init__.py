"""The report on a study, for a sceptical reader: compute (`findings`), draw (`figures`), render.

Drawing never computes; computing never draws. Must not import Matplotlib or torch at import.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sweep.runner.argument_rules import read_argument
from sweep.runner.options import Network
from sweep.words import DEFAULT_STORAGE

__all__ = ["Report", "report"]


@dataclass(frozen=True, slots=True)
class Report:
    """A written report: its page (one file that opens offline) and the content of `report.json`.

    `notes` say what could not be shown, and why.
    """

    folder: Path
    html: Path
    data: dict[str, Any] = field(repr=False)
    notes: tuple[str, ...]


def report(
    studies: Iterable[str] | str,
    *,
    storage: str | os.PathLike[str] = DEFAULT_STORAGE,
    out: str | os.PathLike[str] | None = None,
    top: int = 10,
    rope: float | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    model: Network | None = None,
) -> Report:
    """Write a report on one or several studies (which are then compared).

    The first report on a finished study reads the test split: for the best trial or, once the study
    is confirmed, for the runs of the winner. It is not read again for them.

    Args:
        studies: Their names.
        storage: `sqlite:///` and a path, or a `Path`.
        out: Folder for `report.html`, `report.json`, `trials.csv`, `epochs.csv` and
            `figures/*.png`; `report` if None. Files of an earlier report are replaced.
        top: Trials on the leaderboard.
        rope: The least difference that matters, in percentage points (nats for `validation_loss`):
            how probable is it that two configurations or studies differ by less?
        data_dir: Folder of local data sets; `$SWEEP_DATA_DIR` or `data/` if None.
        model: The studies' own networks, one or several, if they were made with such: see
            `help(sweep.PlaceOptions)`.

    Raises:
        InputError: the request cannot be carried out, or a store is damaged.
        SweepFailedError: a study cannot be shown, or the disk is full.
    """
    from sweep.reporting.surroundings import undisturbed

    names = list(dict.fromkeys(read_argument("studies", studies)))
    url, top = read_argument("storage", storage), read_argument("top", top)
    rope = None if rope is None else read_argument("rope", rope)
    data_dir = None if data_dir is None else read_argument("data_dir", data_dir)
    sources = () if model is None else read_argument("model", model)
    with undisturbed():
        from sweep.reporting.writing import (
            absolute_places,
            check_request,
            read_studies,
            write_report,
        )

        folder = check_request(names, None if out is None else read_argument("out", out))
        read = read_studies(names, url, data_dir, sources)
        places = absolute_places(url, data_dir)
        return write_report(folder, read, top=top, rope=rope, places=places)
