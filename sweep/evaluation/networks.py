"""Trained networks out of a store, which may be a stranger's, and the data that they need."""

from __future__ import annotations

from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError

from sweep.data import TrainingData, load_training_data
from sweep.errors import DataError, StoreError
from sweep.models import MLP, build_mlp
from sweep.records import StudyRecord, TrialConfig
from sweep.space import Dataset, SearchSpace
from sweep.store import Store
from sweep.store.artifacts import artifacts_root

__all__ = ["compute_logits", "load_networks", "read_dataset"]

_BATCH = 4096


def load_networks(
    store: Store, record: StudyRecord, trials: list[int], data_dir: Path
) -> tuple[list[MLP], TrainingData]:
    """Networks of trials, and the data that they were trained on.

    Raises:
        StoreError: a network's weights were not kept, are gone or are not its own.
        DataError: the data set is missing, damaged, or not the study's own.
    """
    found = [_read(store, record, trial) for trial in trials]
    data = _load_data(record, data_dir)
    return [_build(config, weights, data) for config, weights in found], data


@torch.no_grad()
def compute_logits(model: MLP, images: torch.Tensor, data: TrainingData) -> torch.Tensor:
    """What a network says of images.

    Args:
        model: The network.
        images: uint8, shape (N, height, width), on the scale of the data set's own.
        data: What the network was trained on.

    Returns:
        Logits, float32, shape (N, C).

    Raises:
        StoreError: they are not finite: these weights were never those of a COMPLETE trial.
    """
    logits = torch.cat(
        [
            model((batch.flatten(1).to(torch.float32) - data.mean) / data.std)
            for batch in images.split(_BATCH)
        ]
    )
    if not logits.isfinite().all():
        raise StoreError(
            "the network answers with numbers that are not finite: its weights are damaged; "
            "restore them from a copy"
        )
    return logits


def _read(store: Store, record: StudyRecord, trial: int) -> tuple[TrialConfig, bytes]:
    """A trial's configuration and its weights."""
    weights = store.read_weights(record.name, trial)
    is_recorded = store.recorded_weights(record.name, trial) is not None
    if weights is None and not (is_recorded and trial in record.with_weights):
        num = record.keep_weights
        best = "best complete trial" if num == 1 else f"{num} best complete trials"
        raise StoreError(
            f"the weights of trial {trial} of study {record.name!r} were not kept: only those of "
            f"the {best} are (--keep-weights); name one of them"
        )
    if weights is None:
        raise StoreError(
            f"the weights of trial {trial} of study {record.name!r} are gone from "
            f"{str(artifacts_root(store.path))!r}, or are not the recorded ones; restore them from "
            "a copy, or run the search space again under another name with --study"
        )
    try:
        return store.read_config(record.name, trial), weights
    except (KeyError, ValueError) as error:
        raise _not_understood(record, error) from None


def read_dataset(record: StudyRecord) -> Dataset:
    """What a study's space says of its data set.

    Raises:
        StoreError: the space is not valid.
    """
    try:
        return SearchSpace.model_validate(record.space).dataset
    except ValueError as error:
        raise _not_understood(record, error) from None


def _load_data(record: StudyRecord, data_dir: Path) -> TrainingData:
    dataset = read_dataset(record)
    data = load_training_data(
        dataset.name,
        data_dir,
        num_validation=dataset.validation,
        split_seed=dataset.split_seed,
    )
    if data.fingerprint != record.data.fingerprint:
        raise DataError(
            f"the data under {str(data_dir)!r} are not those of study {record.name!r}: "
            f"fingerprint {data.fingerprint[:12]}, recorded {record.data.fingerprint[:12]}"
        )
    return data


def _not_understood(record: StudyRecord, error: Exception) -> StoreError:
    reason = str(error).splitlines()[0]
    return StoreError(
        f"study {record.name!r} cannot be understood: {reason}; it is damaged or was made by "
        "another version"
    )


def _build(config: TrialConfig, weights: bytes, data: TrainingData) -> MLP:
    """The trial's network.

    It is made only after the weights, which are no larger than their file, have been found to be
    its own.

    Raises:
        StoreError: they are not.
    """
    try:
        state = safetensors.torch.load(weights)
        # Before any network is made: the number of its layers may be anything, too.
        fits = len(state) == 2 * config.num_layers and _shapes(config, data) == {
            name: tensor.shape for name, tensor in state.items()
        }
        reason = "" if fits else "other shapes"
    except (SafetensorError, KeyError, ValueError, TypeError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
    if reason:
        raise StoreError(
            f"the weights of trial {config.number} are not those of its network ({reason}); "
            "restore them from a copy, or run the search space again under another name with "
            "--study"
        )
    model = build_mlp(config, num_inputs=data.num_inputs, num_classes=data.num_classes)
    model.load_state_dict(state)
    return model.eval()


def _shapes(config: TrialConfig, data: TrainingData) -> dict[str, torch.Size]:
    """The shapes of a network's parameters, without memory for them."""
    with torch.device("meta"):
        model = build_mlp(config, num_inputs=data.num_inputs, num_classes=data.num_classes)
    return {name: tensor.shape for name, tensor in model.state_dict().items()}
