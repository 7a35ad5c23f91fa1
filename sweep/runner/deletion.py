"""`delete`: a study with its confirmation, weights and checkpoints."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from sweep.errors import ForeignStudyError, InputError, StoreError
from sweep.runner.argument_rules import read_argument
from sweep.store import Store
from sweep.store.artifacts import delete_folder
from sweep.words import DEFAULT_STORAGE, command_words

__all__ = ["Deletion", "delete", "plan_deletion"]


@dataclass(frozen=True, slots=True)
class Deletion:
    """What is deleted: studies, by name with their numbers of trials, and their files.

    Arrays from Python are among these if no other study uses them.

    A number is None if the study cannot be read; what confirms it stays then, as nothing ties them.
    A copy that Optuna made has no folder: what lies under its name is not its own. What is `left`
    are folders that the store may have had before it was renamed, or that were another's.
    """

    studies: dict[str, int | None]
    folders: tuple[Path, ...]
    files: tuple[Path, ...]
    left: tuple[Path, ...] = ()


def delete(study: str, *, storage: str | os.PathLike[str] = DEFAULT_STORAGE) -> Deletion:
    """Delete a study for good, with its confirmation, weights and checkpoints.

    A study that is damaged, or that Optuna copied, can be deleted, too.

    Args:
        study: Name of the study.
        storage: `sqlite:///` and a path, or a `Path`.

    Returns:
        What was deleted.

    Raises:
        InputError: it is the confirmation of a study of the store, and one of its runs has ended.
        StoreError: there is no such study, or another program made it.
        StudyLockedError: a driver works on one of the studies.
    """
    study, url = read_argument("study", study), read_argument("storage", storage)
    store = Store(url, to_write=True)
    store.require_own(study)  # a lock would make its folder
    with ExitStack() as held:
        held.enter_context(store.lock(study))
        planned = plan_deletion(store, study)
        for name in planned.studies:
            if name != study:
                held.enter_context(store.lock(name))
        store.delete_studies(planned.studies)
        # Only now: a study in the store keeps its files.
        for folder in planned.folders:
            delete_folder(folder)
    return planned


def plan_deletion(store: Store, study: str) -> Deletion:
    """What `delete` would delete; raises what it raises."""
    store.require_own(study)
    studies: dict[str, int | None] = {study: None}
    confirms, has_results, is_copy = None, False, False
    try:
        record = store.read_study(study)
        studies[study] = len(record.trials)
        runs, _ = store.read_confirmation(record)
        if runs is not None:
            studies[runs.name] = len(runs.trials)
        confirms = record.confirms
        has_results = record.num_ended > 0
    except ForeignStudyError:
        is_copy = True
    except StoreError:
        pass  # it is damaged
    # One without results may have been begun by mistake; of others, the best could be picked.
    if confirms is not None and has_results and _is_confirmed(store, confirms.study):
        raise InputError(
            f"study {study!r} confirms study {confirms.study!r}, and a search is confirmed once; "
            f"`{command_words('delete', confirms.study, store.url)}` deletes both"
        )
    folders = () if is_copy else tuple(store.trials(name).folder for name in studies)
    files = (file for folder in folders for file in folder.rglob("*") if file.is_file())
    left = (folder for name in studies for folder in store.orphaned_folders(name))
    return Deletion(studies, folders, (*files, *store.data_files(studies)), tuple(left))


def _is_confirmed(store: Store, search: str) -> bool:
    try:
        return store.read_confirmation(store.read_study(search))[0] is not None
    except StoreError:
        return False  # it is gone, damaged, or another program's
