"""Search spaces: what a command says in place of the file, and what a study remembers."""

from __future__ import annotations

from pathlib import Path

from sweep.data import load_training_data
from sweep.errors import InputError, StoreError
from sweep.records import DataFacts
from sweep.space import SearchSpace, load_space
from sweep.store import Store
from sweep.words import command_words

__all__ = ["compare_spaces", "override", "read_data", "stored_space"]


def override(
    space: SearchSpace,
    *,
    name: str | None = None,
    seed: int | None = None,
    trials: int | None = None,
    timeout: float | None = None,
    audit: int | None = None,
) -> SearchSpace:
    """The space with what was said for this command in place of its own.

    Raises:
        InputError: what was said does not fit.
    """
    data = space.to_json()
    if name is not None:
        data["name"] = name
    if seed is not None:
        data["sampler"]["seed"] = seed
    if trials is not None:
        data["budget"]["trials"] = trials
    if timeout is not None:
        data["budget"]["timeout"] = timeout
    if audit is not None:
        data["budget"]["audit"] = audit
    return load_space(data)


def stored_space(store: Store, study: str) -> SearchSpace:
    """The search space of a study.

    Raises:
        StoreError: there is no such study, or its space is not valid any more.
    """
    data = store.read_space(study)
    try:
        space = load_space(data)
    except InputError as error:
        raise StoreError(
            f"the search space of study {study!r} is not valid in this version: {error}"
        ) from None
    return space.model_copy(update={"name": study})


def compare_spaces(store: Store, space: SearchSpace) -> None:
    """Check that the study of the space's name searches this very space.

    Raises:
        StoreError: it does not.
    """
    if space.name not in store.study_names():
        raise StoreError(
            f"study {space.name!r} is already in {str(store.path)!r} and was not made by sweep, "
            "or its making was cut off; choose another name with --study"
        )
    differences = stored_space(store, space.name).differences(space)
    if differences:
        raise StoreError(
            f"study {space.name!r} is already in {str(store.path)!r} with another search space:\n"
            + "\n".join(f"  {line}" for line in differences)
            + "\nchoose another name with --study, or finish the old one with "
            f"`{command_words('resume', space.name, store.url)}`"
        )


def read_data(space: SearchSpace, data_dir: Path) -> DataFacts:
    """What is to be known of a space's data; the driver has no use for the images.

    Raises:
        DataError: they are missing or damaged.
    """
    return load_training_data(
        space.dataset.name,
        data_dir,
        num_validation=space.dataset.validation,
        split_seed=space.dataset.split_seed,
    ).facts
