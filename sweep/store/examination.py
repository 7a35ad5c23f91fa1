"""What a doctor finds in a store and in the folder beside it. Changes nothing on disk."""

from __future__ import annotations

import shlex
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from sweep.errors import StoreError
from sweep.records import StudyRecord, StudyState, TrialState
from sweep.store import artifacts
from sweep.store.failures import one_line
from sweep.store.network import network_warning
from sweep.store.opening import (
    SQLITE_HEADER,
    damage_of,
    has_unfinished_write,
    made_tables,
    open_file,
    require_free,
    tables_of,
)
from sweep.store.store import Store
from sweep.store.url import OPTUNA_TABLES, database_path, read_header

__all__ = ["Examination", "Finding", "StudyExamination", "examine"]

_MAX_DAMAGE = 10


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to know, and what to do about it.

    Attributes:
        what: What was found, where.
        advice: What to do.
        is_damage: Whether something is broken, rather than merely unfinished or left over.
        study: The study that it is about, or None for the whole store.
    """

    what: str
    advice: str
    is_damage: bool = False
    study: str | None = None


@dataclass(frozen=True, slots=True)
class StudyExamination:
    """One study.

    Attributes:
        name: Its name.
        state: What it is doing, or None if it cannot be read or was not made by this project.
        num_trials: How many trials it has, or None if that cannot be read.
        is_ours: Whether this project made it.
    """

    name: str
    state: StudyState | None
    num_trials: int | None
    is_ours: bool = True


@dataclass(frozen=True, slots=True)
class Examination:
    """A store.

    Attributes:
        path: The file.
        integrity: What SQLite's integrity check found; empty if the file is whole.
        schema: The version of Optuna's tables, or None if it cannot be read.
        studies: Its studies in order.
        findings: What to know, damage first.
    """

    path: Path
    integrity: tuple[str, ...] = ()
    schema: str | None = None
    studies: tuple[StudyExamination, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def is_damaged(self) -> bool:
        """Whether something is broken."""
        return any(finding.is_damage for finding in self.findings)


def examine(url: str) -> Examination:
    """Examine a store.

    Args:
        url: `sqlite:///` and a path.

    Raises:
        StoreError: there is no store to examine: no file, one of another program, or one that
            another process holds.
    """
    examiner = _Examiner(url)
    with ExitStack() as resources:
        examiner.examine(resources)
    return examiner.result()


@dataclass
class _Examiner:
    """Collects what is found."""

    url: str
    integrity: list[str] = field(default_factory=list)
    schema: str | None = None
    studies: list[StudyExamination] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.path = database_path(self.url)
        self.root = artifacts.artifacts_root(self.path)

    def result(self) -> Examination:
        findings = sorted(self.findings, key=lambda finding: not finding.is_damage)
        return Examination(
            self.path, tuple(self.integrity), self.schema, tuple(self.studies), tuple(findings)
        )

    def examine(self, resources: ExitStack) -> None:
        header = read_header(self.path)
        if header is None:
            raise StoreError(f"there is no store {str(self.path)!r}; name one")
        if warning := network_warning(self.path):
            self._note(warning.split("; ")[0], warning.split("; ")[1])
        if not header:
            self._note("the file is empty", "nothing: the first sweep makes its tables")
            return
        if header != SQLITE_HEADER:
            self.integrity.append("its beginning is not that of an SQLite database")
            self._damage(
                "the file is not an SQLite database: it is something else, or its beginning is "
                "damaged",
                self._restore,
            )
            return
        file = self._readable(resources)
        if not self._is_store(file):
            return
        self._examine_studies(Store(self.url, to_write=False, unchecked=file))

    # ------------------------------------------------------------ the file

    def _readable(self, resources: ExitStack) -> Path:
        """The file, or a copy of it in which a write that was cut off is taken back."""
        if not has_unfinished_write(self.path):
            return self.path
        self._note(
            "a driver died in the middle of a write",
            "nothing: the next command that opens the store takes that write back",
        )
        folder = Path(resources.enter_context(tempfile.TemporaryDirectory(prefix="sweep-doctor-")))
        copy = folder / "copy.db"
        try:
            shutil.copyfile(self.path, copy)
            shutil.copyfile(f"{self.path}-journal", f"{copy}-journal")
            with open_file(copy, "rw") as connection:
                tables_of(connection)
        except (OSError, sqlite3.Error) as error:
            self._damage(f"that write cannot be taken back: {one_line(error)}", self._restore)
            return self.path
        return copy

    def _is_store(self, file: Path) -> bool:
        """Check the file's structure; False if there is nothing to read in it."""
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
            tables = set()
        if self.integrity:
            problems = f"{len(self.integrity)} problem{'s' if len(self.integrity) > 1 else ''}"
            self._damage(f"SQLite's integrity check finds {problems}", self._restore)
        elif not (tables >= OPTUNA_TABLES or tables <= OPTUNA_TABLES):
            shown = ", ".join(one_line(name) for name in sorted(tables)[:3])
            raise StoreError(
                f"the store {str(self.path)!r} is a database of another program (its tables: "
                f"{shown}); name another"
            )
        elif not tables >= OPTUNA_TABLES:
            self._note("its tables are not made yet", "nothing: the first sweep makes them")
        return tables >= OPTUNA_TABLES

    @property
    def _restore(self) -> str:
        old = shlex.quote(str(self.path))
        new = shlex.quote(str(self.path.with_name("recovered.db")))
        return (
            f"restore it from a copy; if there is none, `sqlite3 {old} .recover | sqlite3 {new}` "
            "saves what can be read, and `sweep doctor` tells how much of that is as it was written"
        )

    # ------------------------------------------------------------ studies

    def _examine_studies(self, store: Store) -> None:
        try:
            names = store.all_names()
        except StoreError as error:
            self._damage(str(error), self._restore)
            return
        for name in names:
            self._examine_study(store, name)
        if self.integrity:
            return  # a folder may belong to a study that cannot be seen
        for folder in sorted(self._entries(self.root)):
            if folder.name not in names and (folder.is_dir() or artifacts.is_link(folder)):
                self._note(
                    f"the folder {str(folder)!r} belongs to no study of this store",
                    "delete it if nothing in it is needed",
                )

    def _examine_study(self, store: Store, name: str) -> None:
        try:
            if name not in store.study_names(among=[name]):
                self.studies.append(StudyExamination(name, None, None, is_ours=False))
                return
            record = store.read_study(name)
            folder = artifacts.artifacts_folder(self.path, name)
        except StoreError as error:
            self.studies.append(StudyExamination(name, None, None))
            self._damage(_without_hint(error), self._restore, name)
            return
        self.studies.append(StudyExamination(name, record.state, len(record.trials)))
        self._examine_weights(store, record, folder)
        if record.state is StudyState.RUNNING:
            return  # what its driver does now is neither an orphan nor left over
        words = ["sweep", "resume", name, "--storage", self.url]
        if record.confirms is not None:
            words[1:3] = "confirm", record.confirms.study
        resume = f"`{shlex.join(words)}`"
        orphans = [t.number for t in record.trials if t.state is TrialState.RUNNING]
        if orphans:
            shown = ", ".join(map(str, orphans))
            plural = "s" if len(orphans) > 1 else ""
            self._note(
                f"{len(orphans)} trial{plural} under way, and no driver works on the study: "
                f"{shown}",
                f"{resume} takes up where the driver stopped",
                name,
            )
        elif record.state is StudyState.INTERRUPTED:
            self._note("the study is not finished", f"{resume} goes on", name)
        paused = [t.number for t in record.trials if t.state is TrialState.PAUSED]
        named = self._examine_checkpoints(store, name, orphans + paused, resume)
        self._examine_strays(folder, named, name, resume)

    def _examine_weights(self, store: Store, record: StudyRecord, folder: Path) -> None:
        """Weights of the best trials that are missing, and weights that are not the recorded."""
        name = record.name
        best = [trial.number for trial in record.ranked()[: record.keep_weights]]
        recorded = [number for number in best if store.recorded_weights(name, number)]
        if recorded and not any(artifacts.weights_files(folder)):
            self._note(
                f"there are no weights beside the store in {str(folder)!r}",
                "nothing, if the store was copied without them: no figure or report needs them",
                name,
            )
            return
        for number in recorded:
            file = artifacts.weights_file(folder, number)
            if not artifacts.is_link(file) and not file.exists():
                self._damage(f"the weights of trial {number} are missing", _WEIGHTS_ADVICE, name)
        for file in sorted(artifacts.weights_files(folder)):
            digits = file.name.removeprefix("trial-").removesuffix(".safetensors")
            number = int(digits) if digits.isdecimal() else -1
            if not 0 <= number < len(record.trials) or not store.recorded_weights(name, number):
                self._note(
                    f"the file {str(file)!r} belongs to no trial that has weights",
                    "delete it if it is not needed",
                    name,
                )
            elif store.read_weights(name, number) is None:
                self._damage(
                    f"the weights of trial {number}, {str(file)!r}, are damaged: they are not "
                    "what was written",
                    _WEIGHTS_ADVICE,
                    name,
                )

    def _examine_checkpoints(
        self, store: Store, name: str, trials: list[int], resume: str
    ) -> set[str]:
        """The files that records name; says which of them are missing or damaged."""
        named: set[str] = set()
        for number in trials:
            named |= {file.name for file in store.recorded_checkpoints(name, number)}
            found = store.read_checkpoints(name, number)
            sound = next((checkpoint for checkpoint in found if checkpoint is not None), None)
            if None not in found:
                continue
            what = f"{found.count(None)} of {len(found)} checkpoints of trial {number} are missing"
            goes_on = "starts it again" if sound is None else f"goes on after epoch {sound.epoch}"
            self._damage(f"{what} or damaged", f"{resume} {goes_on}", name)
        return named

    def _examine_strays(self, folder: Path, named: set[str], name: str, resume: str) -> None:
        for file in sorted(self._entries(folder)):
            stray = file.name not in named and file.match("checkpoint-*")
            if stray or file.suffix == ".tmp":
                self._note(
                    f"the file {str(file)!r} is left over from a crash",
                    f"nothing: {resume} deletes it, or delete it yourself",
                    name,
                )

    # ------------------------------------------------------------ plumbing

    def _entries(self, folder: Path) -> Iterator[Path]:
        try:
            yield from folder.iterdir()
        except FileNotFoundError:
            return
        except OSError as error:
            self._damage(
                f"the folder {str(folder)!r} cannot be read: {error.strerror}", "look at it"
            )

    def _damage(self, what: str, advice: str, study: str | None = None) -> None:
        self.findings.append(Finding(what, advice, is_damage=True, study=study))

    def _note(self, what: str, advice: str, study: str | None = None) -> None:
        self.findings.append(Finding(what, advice, study=study))


_WEIGHTS_ADVICE = (
    "restore the file from a copy; the study's figures and reports do not need it, only whoever "
    "wants this network does"
)


def _without_hint(error: StoreError) -> str:
    """The message without its advice to ask the doctor."""
    return str(error).split("; `sweep doctor")[0]
