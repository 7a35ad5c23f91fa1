"""The only room that opens the test split: once, for the trial that validation chose.

An opening is recorded in the store before it happens, so that not even a crash hides one.
"""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError

from sweep.data import (
    Part,
    TrainingData,
    default_data_dir,
    fingerprint,
    load_training_data,
)
from sweep.data.sealed import open_test_split
from sweep.errors import DataError, StoreError
from sweep.models import MLP, build_mlp
from sweep.records import Mistake, StudyRecord, StudyState, TestReading, TrialConfig, TrialState
from sweep.space import SearchSpace
from sweep.store import Store
from sweep.store.artifacts import artifacts_root

__all__ = ["read_test_split"]

_KEPT_MISTAKES = 40
_BATCH = 4096


def read_test_split(
    storage: str, study: str, data_dir: str | os.PathLike[str] | None = None
) -> TestReading:
    """Measure the study's best trial on the test split, if that was not done before.

    Args:
        storage: `sqlite:///` and a path.
        study: Name of the study.
        data_dir: Folder of local data sets; `$SWEEP_DATA_DIR` or `data/` if None.

    Returns:
        The recorded reading if there is one for the best trial, otherwise a new one.

    Raises:
        StoreError: the study is not finished, has no COMPLETE trial, or the weights are gone.
        DataError: the data set is missing, damaged, or not the study's own.
    """
    store = Store(storage, to_write=False)
    record = store.read_study(study)
    if record.best is None:
        raise StoreError(f"study {study!r} has no COMPLETE trial to test")
    known = record.test_reading(record.best.number)
    if known is not None:
        return known
    if record.state is not StudyState.FINISHED:
        raise StoreError(
            f"study {study!r} is {record.state}: the test split stays sealed until the budget is "
            f"used up; finish it with `sweep resume {study}` (--trials N sets another total)"
        )
    store = Store(storage, to_write=True)
    with store.lock(study):
        return _read(store, store.read_study(study), Path(data_dir or default_data_dir()))


def _read(store: Store, record: StudyRecord, data_dir: Path) -> TestReading:
    """Open the test split. Everything that can go wrong without opening it is checked first."""
    best = record.best
    if best is None:
        raise StoreError(f"study {record.name!r} has no COMPLETE trial to test")
    known = record.test_reading(best.number)
    if known is not None:
        return known
    if record.finished_by is None:
        raise StoreError(f"study {record.name!r} went on meanwhile: its test split stays sealed")
    weights = store.read_weights(record.name, best.number)
    if weights is None:
        raise StoreError(
            f"the weights of trial {best.number} of study {record.name!r} are gone from "
            f"{str(artifacts_root(store.path))!r}, or are not the recorded ones; restore them from "
            "a copy, or run the search space again under another name with --study"
        )
    try:
        dataset = SearchSpace.model_validate(record.space).dataset
        config = store.read_config(record.name, best.number)
    except (KeyError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise StoreError(
            f"study {record.name!r} cannot be understood: {reason}; it is damaged or was made by "
            "another version"
        ) from None
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
    model = _load_model(config, weights, data)
    ended = record.count(TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
    opened_at = datetime.now(UTC).isoformat(timespec="seconds")
    reading = TestReading(best.number, opened_at, num_trials=ended)
    store.write_test_reading(record.name, reading)
    reading = _measure(reading, model, data, open_test_split(dataset.name, data_dir))
    store.write_test_reading(record.name, reading)
    return reading


def _load_model(config: TrialConfig, weights: bytes, data: TrainingData) -> MLP:
    """The trial's network.

    The store may be a stranger's: the network is made only after the weights, which are no larger
    than their file, have been found to be its own.

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


@torch.no_grad()
def _measure(reading: TestReading, model: MLP, data: TrainingData, test: Part) -> TestReading:
    """Confusion matrix and most confident mistakes on the test split."""
    pixels = torch.tensor(test.images.reshape(len(test), -1))
    probabilities = []
    for batch in pixels.split(_BATCH):
        inputs = (batch.to(torch.float32) - data.mean) / data.std
        probabilities.append(model(inputs).softmax(1))
    confidence, predicted = (part.numpy() for part in torch.cat(probabilities).max(1))
    cells = np.zeros((data.num_classes, data.num_classes), np.int64)
    np.add.at(cells, (test.labels, predicted), 1)
    wrong = np.flatnonzero(predicted != test.labels)
    wrong = wrong[np.argsort(-confidence[wrong], kind="stable")][:_KEPT_MISTAKES]
    height, width = test.images.shape[1:]
    return replace(
        reading,
        num_images=len(test),
        fingerprint=fingerprint(test),
        confusion_matrix=tuple(tuple(map(int, row)) for row in cells),
        mistakes=tuple(
            Mistake(
                index=int(index),
                true=int(test.labels[index]),
                predicted=int(predicted[index]),
                confidence=float(confidence[index]),
                image=test.images[index].tobytes(),
            )
            for index in wrong
        ),
        image_shape=(int(height), int(width)),
    )
