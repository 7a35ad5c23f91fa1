"""The search space and the data of a study: what is recorded, and whether they are the same now."""

from __future__ import annotations

import os
from pathlib import Path

from sweep.data import default_data_dir, load_training_data
from sweep.errors import DataError, StoreError
from sweep.records import DataFacts, StudyRecord
from sweep.space import SearchSpace, stored_space
from sweep.store import Store
from sweep.words import command_words

__all__ = ["compare_data", "compare_spaces", "data_folder", "read_data"]


def compare_spaces(study: StudyRecord, space: SearchSpace, store: Store) -> None:
    """Check that a study searches this very space.

    Raises:
        StoreError: it does not.
    """
    differences = stored_space(study).differences(space)
    if differences:
        raise StoreError(
            f"study {study.name!r} is already in {str(store.path)!r} with another search space:\n"
            + "\n".join(f"  {line}" for line in differences)
            + "\nchoose another name with --study, or finish the old one with "
            f"`{command_words('resume', study.name, store.url)}`"
        )


def data_folder(data_dir: str | os.PathLike[str] | None) -> Path:
    """The folder that the option names, or the default."""
    return Path(data_dir) if data_dir is not None else default_data_dir()


def read_data(space: SearchSpace, data_dir: Path) -> DataFacts:
    """What is to be known of a space's data; the driver has no use for the images.

    Raises:
        DataError: they are missing or damaged.
    """
    return load_training_data(space.dataset.settings(data_dir)).facts


def compare_data(study: StudyRecord, facts: DataFacts) -> None:
    """Check that these are the data of a study.

    Raises:
        DataError: they are not.
    """
    recorded, found = study.data.fingerprint, facts.fingerprint
    if recorded != found:
        raise DataError(
            f"study {study.name!r} was made with other data: its training pool has fingerprint "
            f"{recorded[:12]}, this one has {found[:12]}; use --data-dir with the data of "
            "then, or choose another name with --study"
        )
