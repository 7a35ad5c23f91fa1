"""`predict`: classify image files with the chosen network of a study."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from sweep.data.pictures import read_picture
from sweep.errors import InputError, StoreError
from sweep.evaluation.networks import compute_logits, load_networks
from sweep.records import StudyRecord, chosen_run
from sweep.runner.argument_rules import read_argument
from sweep.store import Store
from sweep.words import DEFAULT_STORAGE, command_words

__all__ = ["Prediction", "predict"]

_DARK = 1 / 3  # of white
_COMMON = 0.95  # share of the training images


@dataclass(frozen=True, slots=True)
class Prediction:
    """A network's prediction for an image.

    Attributes:
        class_name: The most probable class.
        probability: Its probability, 0 to 1.
        probabilities: Of all classes, by name.
        study: The study whose network it is: the search, or its confirmation.
        trial: The network's trial there.
        inverted: Whether bright and dark were exchanged first.
    """

    file: str
    class_name: str
    probability: float
    probabilities: dict[str, float]
    study: str
    trial: int
    inverted: bool


def predict(
    study: str,
    images: Iterable[str | os.PathLike[str]] | str | os.PathLike[str],
    *,
    storage: str | os.PathLike[str] = DEFAULT_STORAGE,
    trial: int | None = None,
    invert: bool | None = None,
    data_dir: str | os.PathLike[str] | None = None,
) -> list[Prediction]:
    """Classify image files with the chosen network of a study.

    The chosen network is the best trial's or, once the study is confirmed, that of the winner's
    run with the best validation metric. The test split has no part in it.

    Args:
        study: Name of the study.
        images: Image files, centred as in MNIST. They are resized to the data set's images, and
            made grey where those are.
        storage: `sqlite:///` and a path, or a `Path`.
        trial: Use the network of this trial instead.
        invert: Whether to exchange bright and dark. If None, an image is inverted if its ground, as
            its border shows it, is bright and that of the training images is dark, or the reverse.
        data_dir: Folder of local data sets, for the normalisation; `$SWEEP_DATA_DIR` or `data/` if
            None.

    Raises:
        InputError: there is no such study or trial, or a file is no image.
        StoreError: the network's weights are not kept.
        DataError: the data set is missing, damaged, or not the study's own.
    """
    study, files = read_argument("study", study), read_argument("images", images)
    url = read_argument("storage", storage)
    trial = None if trial is None else read_argument("trial", trial)
    invert = None if invert is None else read_argument("invert", invert)
    data_dir = None if data_dir is None else read_argument("data_dir", data_dir)
    if not files:
        raise InputError("nothing to predict: name at least one image file")
    store = Store(url, to_write=False)
    record, number = _chosen(store, store.read_study(study), trial)
    spec = record.data.spec
    if spec.kind != "image":
        raise InputError(f"study {record.name!r} was made with a table, and only images are read")
    pictures = np.stack([read_picture(file, spec.input_shape) for file in files])
    (model,), data = load_networks(store, record, [number], data_dir)
    scaled, inverted = _as_trained(pictures, data.train.inputs, invert)
    logits = compute_logits(model, scaled, data)
    return [
        Prediction(
            file=os.fspath(file),
            class_name=spec.class_names[int(row.argmax())],
            probability=float(row.max()),
            probabilities=dict(zip(spec.class_names, row.tolist(), strict=True)),
            study=record.name,
            trial=number,
            inverted=bool(was_inverted),
        )
        for file, row, was_inverted in zip(
            files, logits.to(torch.float64).softmax(1), inverted, strict=True
        )
    ]


def _chosen(store: Store, record: StudyRecord, trial: int | None) -> tuple[StudyRecord, int]:
    """The study and the trial whose network is used."""
    if trial is not None:
        return record, record.trial(trial).number
    runs = store.read_confirmation(record)[0] if record.confirms is None else record
    run = chosen_run(runs) if runs is not None else None
    if runs is not None and run is not None:
        return runs, run.number
    if record.confirms is not None:
        command = command_words("confirm", record.confirms.study, store.url)
        raise StoreError(f"study {record.name!r} has not chosen a network; `{command}` continues")
    if record.best is None:
        raise StoreError(f"study {record.name!r} has no COMPLETE trial whose network could be used")
    return record, record.best.number


def _as_trained(
    pictures: NDArray[np.uint8], trained: NDArray[np.uint8], invert: bool | None
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Pictures with the training images' ground and range, and which of them were inverted."""
    brightest = trained.max()  # 16 in digits, 255 elsewhere
    if invert is None:
        inverted = _have_other_ground(_grounds(pictures) / 255, _grounds(trained) / brightest)
    else:
        inverted = np.full(len(pictures), invert)
    bright = np.where(inverted[:, None, None, None], 255 - pictures, pictures)
    return np.rint(bright * (brightest / 255)).astype(np.uint8), inverted


def _have_other_ground(
    grounds: NDArray[np.float64], usual: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Which pictures are dark on bright where the training images are bright on dark, or reversed.

    Both are brightnesses of grounds, from 0 (black) to 1: of the pictures, shape (N,), and of the
    training images. If these have no common one, as photographs do not, no picture has another.
    """
    if (usual < _DARK).mean() >= _COMMON:
        return grounds > 1 - _DARK
    if (usual > 1 - _DARK).mean() >= _COMMON:
        return grounds < _DARK
    return np.zeros(len(grounds), bool)


def _grounds(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The median brightness of each image's outermost pixels, shape (N,): strokes may cross it."""
    border = np.ones(images.shape[-2:], bool)
    border[1:-1, 1:-1] = False
    found: NDArray[np.float64] = np.median(images[..., border].reshape(len(images), -1), axis=1)
    return found
