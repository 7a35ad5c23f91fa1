"""`confirm`: the best of a search on fresh seeds, and only then the test split.

Joins what trains, what opens the test split and what compares.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from sweep.errors import SweepFailedError
from sweep.runner.confirmation import train_confirmation
from sweep.runner.interruption import interruptible
from sweep.runner.options import WorkOptions, complete
from sweep.store import Store
from sweep.words import command_words

if TYPE_CHECKING:
    from sweep.reporting.candidates import Confirmation

__all__ = ["confirm"]


def confirm(
    study: str,
    *,
    top: int | None = None,
    seeds: int | None = None,
    **options: Unpack[WorkOptions],
) -> Confirmation:
    """Retrain a search's best configurations on fresh seeds, then test the winner's runs.

    The runs are a study of their own, `STUDY.confirm`. A confirmation that was begun goes on; one
    that is finished is returned as it is.

    Args:
        study: Name of the search, which must be finished.
        top: How many configurations; as begun, or 5, if None.
        seeds: Runs of each; as begun, or 5, if None.
        **options: How and where runs are trained, and who watches: `help(sweep.WorkOptions)` and
            `help(sweep.PlaceOptions)` document them. What is recorded with the search is the
            default.

    Returns:
        Means and intervals of all candidates, the winner, and its test accuracy.

    Raises:
        InputError: the request cannot be carried out.
        SweepFailedError: all runs failed, workers do not start, or the disk is full.
        Interrupted: Ctrl-C, or `stop` said so; the same call goes on.
    """
    whole = complete("confirm", WorkOptions, options)
    storage = whole["storage"]
    with interruptible(f"`{command_words('confirm', study, storage)}` goes on"):
        train_confirmation(study, top=top, seeds=seeds, **whole)
        # Torch and SciPy, of which the driver had no need while it trained.
        from sweep.evaluation import read_confirmation
        from sweep.reporting.candidates import confirmation

        try:
            runs = read_confirmation(storage, study, whole["data_dir"])
        except SweepFailedError as error:
            raise SweepFailedError(f"the test split was not read: {error}") from error
        found = confirmation(Store(storage, to_write=False).read_study(study), runs)
    assert found is not None  # noqa: S101 - for the type checker: these runs confirm something
    return found
