"""What `sweep doctor` finds in a store and in the folder beside it. Changes nothing on disk."""

from __future__ import annotations

import shlex
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from sweep.data.arrays import has_content
from sweep.data.cache import CacheState, cache_state
from sweep.errors import ForeignStudyError, StoreError
from sweep.records import StudyRecord, StudyState, TrialState, WorkerChoices
from sweep.store import artifacts, kept_data
from sweep.store.database_file import (
    OPTUNA_TABLES,
    SQLITE_HEADER,
    damage_of,
    database_path,
    has_unfinished_write,
    made_tables,
    open_file,
    read_header,
    real_path,
    require_free,
    tables_of,
)
from sweep.store.diagnosis import one_line
from sweep.store.lock import network_warning
from sweep.store.store import Store
from sweep.store.trials import Trials
from sweep.words import command_words, foreign_words

__all__ = ["Examination", "Finding", "KeptData", "StudyExamination", "examine"]

_MAX_DAMAGE = 10
_WEIGHTS_ADVICE = (
    "restore the file from a copy; the study's figures and reports do not need it, only whoever "
    "wants this network does"
)


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found, and what to do about it.

    Attributes:
        is_damage: Whether something is broken, rather than unfinished or left over.
        study: None if it is about the whole store.
    """

    what: str
    advice: str
    is_damage: bool = False
    study: str | None = None


@dataclass(frozen=True, slots=True)
class StudyExamination:
    """One study; `state` and `num_trials` are None if it cannot be read or is not ours.

    `workers` is how it is trained; None if it never was.
    """

    name: str
    state: StudyState | None
    num_trials: int | None
    is_ours: bool = True
    workers: WorkerChoices | None = None


@dataclass(frozen=True, slots=True)
class KeptData:
    """Arrays that Python gave, and the studies that use them."""

    sha256: str
    num_bytes: int
    studies: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Examination:
    """A store.

    Attributes:
        integrity: What SQLite's integrity check found; empty if it passed.
        schema: The version of Optuna's tables, or None if it cannot be read.
        studies: By name.
        kept_data: In the folder beside the store.
        findings: Damage first.
        cache: Of decoded images; all stores of this machine share it.
    """

    path: Path
    cache: CacheState
    integrity: tuple[str, ...] = ()
    schema: str | None = None
    studies: tuple[StudyExamination, ...] = ()
    kept_data: tuple[KeptData, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def is_damaged(self) -> bool:
        """Whether something is broken."""
        return any(finding.is_damage for finding in self.findings)


def examine(url: str) -> Examination:
    """Examine a store.

    Raises:
        StoreError: there is no file, or it is another program's, or another process holds it.
    """
    examiner = _Examiner(url)
    findings = sorted(examiner.examine(), key=lambda finding: not finding.is_damage)
    return Examination(
        examiner.path,
        cache_state(),
        tuple(examiner.integrity),
        examiner.schema,
        tuple(examiner.studies),
        tuple(examiner.kept_data),
        tuple(findings),
    )


class _Examiner:
    """Yields findings and collects the rest of an `Examination`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.path = database_path(url)
        self._file = real_path(self.path)
        self.integrity: list[str] = []
        self.schema: str | None = None
        self.studies: list[StudyExamination] = []
        self.kept_data: list[KeptData] = []

    def examine(self) -> Iterator[Finding]:
        header = read_header(self.path)
        if header is None:
            raise StoreError(f"there is no store {str(self.path)!r}; name one")
        if warning := network_warning(self.path):
            what, advice, *_ = warning.split("; ")
            yield Finding(what, advice)
        if not header:
            yield Finding("the file is empty", "nothing: the first sweep creates its tables")
        elif header != SQLITE_HEADER:
            self.integrity.append("its beginning is not that of an SQLite database")
            yield self._broken(
                "the file is not an SQLite database: it is something else, or its beginning is "
                "damaged"
            )
        else:
            with _readable(self._file) as (file, problem):
                if file != self._file or problem:
                    yield Finding(
                        "a driver died in the middle of a write",
                        "nothing: the next command that opens the store rolls that write back",
                    )
                if problem:
                    yield self._broken(f"that write cannot be rolled back: {problem}")
                yield from self._examine_file(file)

    # ------------------------------------------------------------ the file

    def _examine_file(self, file: Path) -> Iterator[Finding]:
        tables = self._read_structure(file)
        has_tables = tables >= OPTUNA_TABLES
        if self.integrity:
            problems = f"{len(self.integrity)} problem{'s' if len(self.integrity) > 1 else ''}"
            yield self._broken(f"SQLite's integrity check finds {problems}")
        elif not has_tables and not tables <= OPTUNA_TABLES:
            shown = ", ".join(one_line(name) for name in sorted(tables)[:3])
            raise StoreError(
                f"the store {str(self.path)!r} is a database of another program (its tables: "
                f"{shown}); name another"
            )
        elif not has_tables:
            yield Finding("it has no tables yet", "nothing: the first sweep creates them")
        if has_tables:
            yield from self._examine_studies(Store(self.url, to_write=False, unchecked=file))

    def _read_structure(self, file: Path) -> set[str]:
        """Names of the tables; sets `integrity` and `schema`."""
        try:
            with open_file(file) as connection:
                self.integrity += damage_of(connection, _MAX_DAMAGE)
                tables = made_tables(connection)
                if tables >= OPTUNA_TABLES:
                    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
                    self.schema = None if row is None else one_line(row[0])
        except (sqlite3.Error, ValueError) as error:
            require_free(self.path, error)
            self.integrity = self.integrity or [one_line(error)]
            return set()
        return tables

    def _broken(self, what: str) -> Finding:
        old = shlex.quote(str(self.path))
        new = shlex.quote(str(self.path.with_name("recovered.db")))
        advice = (
            f"restore it from a copy; if there is none, `sqlite3 {old} .recover | sqlite3 {new}` "
            "saves what can be read, and `sweep doctor` says how much of that is intact"
        )
        return Finding(what, advice, is_damage=True)

    # ------------------------------------------------------------ studies

    def _examine_studies(self, store: Store) -> Iterator[Finding]:
        try:
            names = store.all_names()
        except StoreError as error:
            yield self._broken(str(error))
            return
        for name in names:
            for finding in self._examine_study(store, name):
                yield replace(finding, study=name)
        root = artifacts.artifacts_root(self._file)
        yield from self._examine_kept_data(store, root)
        if self.integrity:
            return  # a folder may belong to a study that cannot be read
        folders, problems = _listed(root)
        own = {*names, kept_data.data_folder(root).name}
        for folder in folders:
            if folder.name not in own and (folder.is_dir() or artifacts.is_link(folder)):
                yield Finding(
                    f"the folder {str(folder)!r} belongs to no study of this store",
                    "delete it if nothing in it is needed",
                )
        yield from problems

    def _examine_kept_data(self, store: Store, root: Path) -> Iterator[Finding]:
        """Arrays from Python: missing or damaged ones, and those that no study uses."""
        readable = [study.name for study in self.studies if study.state is not None]
        uses = {name: store.data_of(name) for name in readable}
        for name, sha256 in uses.items():
            if sha256 is not None and not has_content(store.kept_data(sha256), sha256):
                file = store.kept_data(sha256)
                yield Finding(
                    f"the arrays that Python gave it, {str(file)!r}, are "
                    + ("damaged: they are not what was written" if file.exists() else "missing"),
                    "restore the file from a copy, or call sweep.run again with the same data",
                    is_damage=True,
                    study=name,
                )
        are_all_known = len(readable) == sum(study.is_ours for study in self.studies)
        files, problems = _listed(kept_data.data_folder(root))
        for file in files:
            studies = tuple(name for name, sha256 in uses.items() if sha256 == file.stem)
            is_data = file in kept_data.kept_files(root)
            if is_data:
                self.kept_data.append(KeptData(file.stem, file.stat().st_size, studies))
            if are_all_known and not studies and (is_data or file.suffix == ".tmp"):
                yield Finding(
                    f"the file {str(file)!r} belongs to no study of this store",
                    "delete it, unless a sweep is about to start",
                )
        yield from problems

    def _examine_study(self, store: Store, name: str) -> Iterator[Finding]:
        try:
            record, trials = store.read_study(name), store.trials(name)
        except ForeignStudyError as error:
            self.studies.append(StudyExamination(name, None, None, is_ours=False))
            yield Finding(str(error), "nothing: the other studies do not need it")
            return
        except StoreError as error:
            self.studies.append(StudyExamination(name, None, None))
            yield self._broken(str(error).split("; `sweep doctor")[0])
            return
        self.studies.append(
            StudyExamination(name, record.state, len(record.trials), workers=record.workers)
        )
        if record.foreign:
            yield Finding(
                foreign_words(record.foreign), "nothing: no command takes them into account"
            )
        yield from self._examine_ties(store, record)
        yield from _examine_weights(trials, record)
        if record.state is StudyState.RUNNING:
            return  # a driver needs what would otherwise be orphaned or left over
        words = ["sweep", "resume", name, "--storage", self.url]
        if record.confirms is not None:
            words[1:3] = "confirm", record.confirms.study
        resume = f"`{shlex.join(words)}`"
        orphans = [t.number for t in record.trials if t.state is TrialState.RUNNING]
        if orphans:
            plural = "s" if len(orphans) > 1 else ""
            yield Finding(
                f"{len(orphans)} trial{plural} under way, and no driver works on the study: "
                f"{', '.join(map(str, orphans))}",
                f"{resume} takes up where the driver stopped",
            )
        elif record.state is StudyState.INTERRUPTED:
            yield Finding("the study is not finished", f"{resume} continues")
        paused = [t.number for t in record.trials if t.state is TrialState.PAUSED]
        for number in orphans + paused:
            yield from _examine_checkpoints(trials, number, resume)
        named = {
            file for number in orphans + paused for file in trials.recorded_checkpoints(number)
        }
        files, problems = _listed(trials.folder)
        for file in files:
            is_stray = file not in named and file.match("checkpoint-*")
            if is_stray or file.suffix == ".tmp":
                yield Finding(
                    f"the file {str(file)!r} is left over from a crash",
                    f"nothing: {resume} deletes it, or delete it yourself",
                )
        yield from problems

    def _examine_ties(self, store: Store, record: StudyRecord) -> Iterator[Finding]:
        """User attributes and a confirmation that do not fit the study."""
        changed = store.changed_attributes(record.name)
        if changed:
            yield Finding(
                f"another program changed what the study shows of itself: {', '.join(changed)}",
                "nothing: sweep reads its own record, and the next `sweep resume` shows it again",
            )
        if record.confirms is None:
            with suppress(StoreError):  # one that is damaged is examined by itself
                _, unused = store.read_confirmation(record)
                if unused is not None:
                    yield Finding(unused, "delete that study if it is not needed")
        elif record.confirms.study not in store.all_names():
            yield Finding(
                f"it confirms study {record.confirms.study!r}, which is not in the store",
                f"`{command_words('delete', record.name, self.url)}` deletes it",
            )


@contextmanager
def _readable(path: Path) -> Iterator[tuple[Path, str]]:
    """The file, or a copy in which an unfinished write is rolled back; and why that failed."""
    if not has_unfinished_write(path):
        yield path, ""
        return
    with ExitStack() as stack:
        copy, problem = path, ""
        try:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="sweep-doctor-"))
            copy = Path(folder) / "copy.db"
            shutil.copyfile(path, copy)
            shutil.copyfile(f"{path}-journal", f"{copy}-journal")
            with open_file(copy, "rw") as connection:
                tables_of(connection)
        except (OSError, sqlite3.Error) as error:
            copy, problem = path, one_line(error)
        yield copy, problem


def _examine_weights(trials: Trials, record: StudyRecord) -> Iterator[Finding]:
    """Weights of the best trials that are missing, and weights that differ from the record."""
    files = sorted(artifacts.weights_files(trials.folder))
    recorded = sorted(n for n in record.with_weights if trials.recorded_weights(n))
    missing = [
        number
        for number in recorded
        if artifacts.weights_file(trials.folder, number) not in files
        and trials.read_weights(number) is None
    ]
    if missing == recorded and recorded and not files:
        yield Finding(
            f"there are no weights beside the store in {str(trials.folder)!r}",
            "nothing, if they are not needed, as for reports; if the store was moved or copied, "
            "move or copy the folder that lay beside it, too: its name ends in .artifacts",
        )
        return
    for number in missing:
        what = f"the weights of trial {number} are missing"
        yield Finding(what, _WEIGHTS_ADVICE, is_damage=True)
    own = {trial.number for trial in record.trials}
    for file in files:
        digits = file.name.removeprefix("trial-").removesuffix(".safetensors")
        number = int(digits) if digits.isdecimal() else -1
        if number not in own or not trials.recorded_weights(number):
            yield Finding(
                f"the file {str(file)!r} belongs to no trial that has weights",
                "delete it if it is not needed",
            )
        elif trials.read_weights(number) is None:
            yield Finding(
                f"the weights of trial {number}, {str(file)!r}, are damaged: they are not what was "
                "written",
                _WEIGHTS_ADVICE,
                is_damage=True,
            )


def _examine_checkpoints(trials: Trials, number: int, resume: str) -> Iterator[Finding]:
    found = trials.read_checkpoints(number)
    if None not in found:
        return
    sound = next((checkpoint for checkpoint in found if checkpoint is not None), None)
    goes_on = "starts it again" if sound is None else f"continues after epoch {sound.epoch}"
    yield Finding(
        f"{found.count(None)} of {len(found)} checkpoints of trial {number} are missing or damaged",
        f"{resume} {goes_on}",
        is_damage=True,
    )


def _listed(folder: Path) -> tuple[list[Path], list[Finding]]:
    """The content of a folder, and why it cannot be read."""
    try:
        return sorted(folder.iterdir()), []
    except FileNotFoundError:
        return [], []
    except OSError as error:
        what = f"the folder {str(folder)!r} cannot be read: {error.strerror}"
        return [], [Finding(what, "look at it", is_damage=True)]
