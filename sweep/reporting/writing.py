"""From request to files: check it, read the studies, make the report in memory, write it."""

from __future__ import annotations

import itertools
import json
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sweep.errors import InputError, SweepFailedError
from sweep.records import NetworkSource, OwnNetwork, StudyRecord, StudyState
from sweep.reporting import Report
from sweep.reporting.comparison import compare_studies
from sweep.reporting.document import study_document
from sweep.reporting.figures import FIGURE_CSS
from sweep.reporting.findings import Places, findings
from sweep.reporting.frames import epochs_frame, to_csv, trials_frame
from sweep.reporting.pictures import comparison_pictures, study_pictures, thumbnails
from sweep.reporting.plain import plain
from sweep.reporting.render import StudyPage, render_page
from sweep.reporting.reported import reported, understood
from sweep.reporting.sentences import under_way_sentence
from sweep.runner.own_network import with_source
from sweep.space import advice_lines, stored_space
from sweep.store import Store, database_path
from sweep.words import capital, command_words, counted, foreign_words

__all__ = ["Source", "absolute_places", "check_request", "read_studies", "write_report"]

_IN_THE_WAY = (FileExistsError, NotADirectoryError, PermissionError)
_ANYWHERE = Places()
_MAX_PREFIX = 64  # as long as a study's name may be, unless its store is a stranger's


@dataclass(frozen=True, slots=True)
class Source:
    """A search and the runs of its confirmation, if any, as read for a report.

    `notes` say what could not be done.
    """

    record: StudyRecord
    runs: StudyRecord | None
    notes: tuple[str, ...]


def absolute_places(storage: str, data_dir: str | os.PathLike[str] | None) -> Places:
    """Places for the commands of a page, which may be read from any folder."""
    folder = None if data_dir is None else str(Path(data_dir).absolute())
    return Places(f"sqlite:///{database_path(storage).absolute()}", folder)


def check_request(names: Sequence[str], out: str | None) -> Path:
    """The folder to write into, checked without writing anything.

    Raises:
        InputError: the request is invalid.
    """
    if not names:
        raise InputError("a report needs at least one study; found none: name one")
    folder = Path("report") if out is None else Path(out)
    existing = folder
    try:
        while not existing.exists() and existing != existing.parent:
            existing = existing.parent
    except OSError as error:  # the name is too long, or links form a circle
        raise InputError(
            f"the report cannot be written to {str(folder)!r}: {error.strerror}; name another "
            "folder with --out"
        ) from None
    if not existing.is_dir():
        raise InputError(
            f"the report cannot be written to {str(folder)!r}: {str(existing)!r} is a file; "
            "name a folder with --out"
        )
    if not os.access(existing, os.W_OK | os.X_OK):
        raise InputError(
            f"the report cannot be written to {str(folder)!r}: {str(existing)!r} is read-only; "
            "name another folder with --out"
        )
    return folder


def read_studies(
    names: Sequence[str],
    storage: str,
    data_dir: str | os.PathLike[str] | None,
    sources: Sequence[NetworkSource] = (),
) -> list[Source]:
    """The studies, with the test split read for what was chosen where that is possible.

    Raises:
        InputError: one of them is a confirmation of another, or none has a network of its own and
            some are given.
        StoreError: the store or a study in it cannot be used.
    """
    store = Store(storage, to_write=False)
    for name in names:
        store.require_study(name)
    records = [store.read_study(name) for name in names]
    models = [stored_space(record).model for record in records]
    for record in records:
        if record.confirms is not None:
            raise InputError(
                f"study {record.name!r} is in the report on the search that it confirms: "
                f"`{command_words('report', record.confirms.study, storage)}`"
            )
    has_own = [isinstance(model, OwnNetwork) for model in models]
    if sources and not any(has_own):
        with_source(models[0], sources, names[0])
    return [
        _tested(store, record, storage, data_dir, sources if is_own else ())
        for record, is_own in zip(records, has_own, strict=True)
    ]


def _tested(
    store: Store,
    record: StudyRecord,
    storage: str,
    data_dir: str | os.PathLike[str] | None,
    sources: Sequence[NetworkSource],
) -> Source:
    """A study with the test split read for what was chosen, or with a note why it was not."""
    runs, unused = store.read_confirmation(record)
    left_out = [unused] if unused else []
    left_out += [foreign_words(record.foreign)] if record.foreign else []
    notes = tuple(f"{capital(each)}." for each in left_out)
    if record.best is None:
        note = (
            "No trial is COMPLETE: there is nothing to choose from, and the test split stays "
            "sealed."
        )
        advice = (f"{capital(line)}." for line in advice_lines(record, stored_space(record)))
        return Source(record, runs, (*notes, " ".join([note, *advice])))
    if runs is not None and runs.state is not StudyState.FINISHED:
        was_opened = record.test_readings or runs.test_readings
        note = (
            "The confirmation of the best trials is not finished: "
            f"`{command_words('confirm', record.name, storage)}` continues it. Until then the "
            f"test split {'is not opened again' if was_opened else 'stays sealed'}."
        )
        return Source(record, runs, (*notes, note))
    with understood(record.name):
        study = reported(record, stored_space(record), runs)
    later = study.confirmation.num_later if study.confirmation is not None else 0
    if later:
        notes = (
            *notes,
            f"{counted(later, 'trial')} of the search ended after its confirmation began: none of "
            "them was a candidate, however good it looks.",
        )
    if study.reading is not None or record.finished_by is None:
        return Source(record, runs, notes)
    from sweep.evaluation import (  # torch, only when needed
        read_test_split,
        read_test_split_of_winner,
    )

    try:
        if study.is_confirmed:
            runs = read_test_split_of_winner(storage, record.name, data_dir, sources)
        else:
            reading = read_test_split(storage, record.name, data_dir, sources)
            record = replace(record, test_readings=(*record.test_readings, reading))
    except (InputError, SweepFailedError) as error:
        notes = (*notes, f"Test split not read: {error}")
        # It may have been opened all the same, and every opening is shown.
        record = store.read_study(record.name)
        runs, _ = store.read_confirmation(record)
    return Source(record, runs, notes)


# ---------------------------------------------------------------- files


def _prefixes(names: Sequence[str]) -> list[str]:
    """Names of the studies as safe and distinct beginnings of file names."""
    prefixes: list[str] = []
    for name in names:
        harmless = re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip(".")[:_MAX_PREFIX] or "study"
        taken = {prefix.lower() for prefix in prefixes}
        numbered = (f"{harmless}-{number}" for number in itertools.count(2))
        candidates = itertools.chain([harmless], numbered)
        prefixes.append(next(one for one in candidates if one.lower() not in taken))
    return prefixes


def write_report(
    folder: Path,
    sources: Sequence[Source],
    *,
    top: int,
    rope: float | None = None,
    places: Places = _ANYWHERE,
) -> Report:
    """Make everything in memory, then write it.

    Raises:
        InputError: the folder cannot be written.
        StoreError: a study's records contradict each other.
        SweepFailedError: a study cannot be shown.
    """
    pages: list[StudyPage] = []
    for index, source in enumerate(sources, start=1):
        with understood(source.record.name):
            study = reported(source.record, stored_space(source.record), source.runs, rope)
            found = findings(study, top=top, notes=source.notes, places=places)
            pictures = study_pictures(found, f"s{index}")
            pages.append(StudyPage(found, pictures, thumbnails(study.record, study.reading)))
    studies = [page.found.study for page in pages]
    names = [study.record.name for study in studies]
    with understood(*names):
        comparison = compare_studies(studies, rope) if len(studies) > 1 else None
        pictures = comparison_pictures(studies, comparison) if comparison else {}
        html = render_page(pages, comparison, pictures, rope=rope, figure_css=FIGURE_CSS)
        drawn = [
            ("comparison", pictures),
            *zip(_prefixes(names), (page.pictures for page in pages), strict=True),
        ]
        data: dict[str, Any] = {
            "studies": {page.found.study.record.name: study_document(page.found) for page in pages},
            "comparison": plain(comparison),
            "rope": rope,
        }
        records = [
            (record, study.space)
            for study in studies
            for record in (study.record, study.runs)
            if record is not None
        ]
        files = {
            **{
                f"figures/{prefix}-{kind}.png": picture.png
                for prefix, own in drawn
                for kind, picture in own.items()
            },
            "trials.csv": to_csv(trials_frame(records)),
            "epochs.csv": to_csv(epochs_frame([record for record, _ in records])),
            "report.json": _json(data),
            "report.html": html.encode(),
        }
    _write(folder, files)
    notes = tuple(
        f"{page.found.study.record.name}: {note}"
        for page in pages
        for note in (*page.found.notes, under_way_sentence(page.found))
        if note
    )
    return Report(folder, folder / "report.html", data, notes)


def _json(data: dict[str, Any]) -> bytes:
    text = json.dumps(data, indent=1, allow_nan=False, ensure_ascii=False)
    return f"{text}\n".encode()


def _write(folder: Path, files: dict[str, bytes]) -> None:
    """Write files; one that cannot be written whole is removed, and those after it are not begun.

    Raises:
        InputError: something is in the way, and nothing was written.
        SweepFailedError: some files may have been written.
    """
    rest = list(files)
    try:
        (folder / "figures").mkdir(parents=True, exist_ok=True)
        while rest:
            (folder / rest[0]).write_bytes(files[rest[0]])
            del rest[0]
    except OSError as error:
        reason = f"cannot be written to {str(folder)!r}: {error.strerror} ({error.filename})"
        written = [name for name in files if name not in rest]
        if not written and isinstance(error, _IN_THE_WAY):
            raise InputError(f"the report {reason}; name another folder with --out") from None
        with suppress(OSError):
            (folder / rest[0]).unlink()
        raise SweepFailedError(
            f"the report {reason}; written: {_listed(written)}; not written: {_listed(rest)}; make "
            "room or name another folder with --out, and run the report again"
        ) from None


def _listed(names: Sequence[str]) -> str:
    """Names of files in one line, figures as their number."""
    others = [name for name in names if not name.startswith("figures/")]
    num_figures = len(names) - len(others)
    figures = [counted(num_figures, "figure")] if num_figures else []
    return ", ".join(figures + others) or "nothing"
