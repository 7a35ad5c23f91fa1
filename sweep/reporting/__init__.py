"""The report: what came out of a study, for somebody who doubts it.

`contradictions` checks records; `reported`, `answer`, `confirmation`, `comparison`, `pruning`,
`tables` and `series` turn them into plain values, `statistics` says what the data support, and
`findings` holds all of it. `pictures` has `figures` draw it, `document` is the content of
`report.json`, `spreadsheets` that of the CSV files, and `render` makes the page. Drawing never
computes; computing never draws. Importing this package imports neither matplotlib nor torch.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweep.words import DEFAULT_STORAGE

__all__ = ["Report", "report"]


@dataclass(frozen=True, slots=True)
class Report:
    """A report that was written.

    Attributes:
        folder: Where it is.
        html: The page, one file that opens offline.
        data: The content of `report.json`.
        notes: What could not be shown, and why.
    """

    folder: Path
    html: Path
    data: dict[str, Any]
    notes: tuple[str, ...]


def report(
    studies: Sequence[str] | str,
    *,
    storage: str = DEFAULT_STORAGE,
    out: str | os.PathLike[str] | None = None,
    top: int = 10,
    data_dir: str | os.PathLike[str] | None = None,
) -> Report:
    """Write a report on one or several studies.

    The first report on a finished study reads the test split: for the best trial or, once the study
    is confirmed, for the runs of the winner. What was read is not read again.

    Args:
        studies: Names of the studies; several are compared.
        storage: `sqlite:///` and a path.
        out: Folder to write into, `report` if None; files of an earlier report are replaced.
        top: Trials on the leaderboard.
        data_dir: Folder of local data sets; `$SWEEP_DATA_DIR` or `data/` if None.

    Returns:
        The report: `report.html`, `report.json`, `trials.csv`, `epochs.csv` and `figures/*.png` in
        its folder.

    Raises:
        InputError: the request cannot be carried out, or a store is damaged.
        SweepFailedError: a study cannot be shown.
    """
    from sweep.reporting.writing import check_request, read_studies, write_report

    names = [studies] if isinstance(studies, str) else list(dict.fromkeys(studies))
    folder = check_request(names, out, top)
    return write_report(folder, read_studies(names, storage, data_dir), top=top, storage=storage)
