"""`predict`: what the chosen network of a study says of image files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from sweep.data import default_data_dir
from sweep.errors import InputError, StoreError
from sweep.evaluation.networks import compute_logits, load_networks
from sweep.evaluation.pictures import read_picture
from sweep.records import StudyRecord, chosen_run
from sweep.store import Store
from sweep.words import DEFAULT_STORAGE, command_words

__all__ = ["Prediction", "predict"]


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a network says of an image.

    Attributes:
        file: The image's file.
        class_name: Name of the likeliest class.
        probability: What the network gives to it, 0 to 1.
        probabilities: Of all classes, by name.
        study: The study whose network it is: the search, or its confirmation.
        trial: The network's trial there.
    """

    file: str
    class_name: str
    probability: float
    probabilities: dict[str, float]
    study: str
    trial: int


def predict(
    study: str,
    images: Sequence[str | os.PathLike[str]] | str | os.PathLike[str],
    *,
    storage: str = DEFAULT_STORAGE,
    trial: int | None = None,
    data_dir: str | os.PathLike[str] | None = None,
) -> list[Prediction]:
    """Classify image files with the chosen network of a study.

    The chosen network is the best trial's or, once the study is confirmed, that of the winner's
    run with the best validation metric. The test split has no part in it.

    Args:
        study: Name of the study.
        images: Image files: bright strokes on a dark ground and centred, as in MNIST. They are made
            grey and brought to the size of the data set's images.
        storage: `sqlite:///` and a path.
        trial: Number of another trial, whose network is used instead.
        data_dir: Folder of local data sets, for the normalisation; `$SWEEP_DATA_DIR` or `data/` if
            None.

    Returns:
        One prediction for each image.

    Raises:
        InputError: there is no such study or trial, or a file is no image.
        StoreError: the network's weights are not kept.
        DataError: the data set is missing, damaged, or not the study's own.
    """
    files = [images] if isinstance(images, str | os.PathLike) else list(images)
    if not files:
        raise InputError("nothing to predict: name at least one image file")
    store = Store(storage, to_write=False)
    record, number = _chosen(store, store.read_study(study), trial)
    spec = record.data.spec
    if spec.kind != "image":
        raise InputError(f"study {record.name!r} was made with a table, and only images are read")
    pictures = np.stack([read_picture(file, spec.input_shape) for file in files])
    folder = Path(data_dir or default_data_dir())
    (model,), data = load_networks(store, record, [number], folder)
    # Of the data sets, digits alone has pixels from 0 to 16.
    scaled = np.rint(pictures * (data.train.inputs.max() / 255)).astype(np.uint8)
    logits = compute_logits(model, scaled, data)
    return [
        Prediction(
            file=os.fspath(file),
            class_name=spec.class_names[int(row.argmax())],
            probability=float(row.max()),
            probabilities=dict(zip(spec.class_names, row.tolist(), strict=True)),
            study=record.name,
            trial=number,
        )
        for file, row in zip(files, logits.to(torch.float64).softmax(1), strict=True)
    ]


def _chosen(store: Store, record: StudyRecord, trial: int | None) -> tuple[StudyRecord, int]:
    """The study and the trial whose network is used."""
    if trial is not None:
        if not 0 <= trial < len(record.trials):
            raise InputError(
                f"study {record.name!r} has no trial {trial}; it has {len(record.trials)}, "
                "numbered from 0"
            )
        return record, trial
    runs = store.read_confirmation(record.name) if record.confirms is None else record
    run = chosen_run(runs) if runs is not None else None
    if runs is not None and run is not None:
        return runs, run.number
    if record.confirms is not None:
        command = command_words("confirm", record.confirms.study, store.url)
        raise StoreError(f"study {record.name!r} has not chosen a network; `{command}` goes on")
    if record.best is None:
        raise StoreError(f"study {record.name!r} has no COMPLETE trial whose network could be used")
    return record, record.best.number
