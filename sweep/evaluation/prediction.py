"""`predict`: classify pictures, rows of tables, or arrays with the chosen network of a study."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sweep.data import TrainingData
from sweep.data.arrays import as_array, examples_of
from sweep.data.image_file import read_picture
from sweep.errors import InputError, StoreError
from sweep.evaluation.networks import compute_logits, load_networks
from sweep.evaluation.reading import files_below, read_rows
from sweep.records import StudyRecord, chosen_run
from sweep.runner.argument_rules import read_argument
from sweep.runner.options import Network
from sweep.space import ImageFolder, stored_space
from sweep.store import Store
from sweep.words import DEFAULT_STORAGE, command_words

__all__ = ["Prediction", "chosen_network", "predict", "white_of"]

_DARK = 1 / 3  # of white
_COMMON = 0.95  # share of the training images
_PICTURES = 256  # that are decoded before the network sees them


@dataclass(frozen=True, slots=True)
class Prediction:
    """A network's prediction for one example.

    Attributes:
        file: Of the example; None for an array that was given itself.
        row: Of a table or of arrays, counted from 0; None for a picture.
        class_name: The most probable class.
        probability: Its probability, 0 to 1.
        probabilities: Of all classes, by name.
        study: The study whose network it is: the search, or its confirmation.
        trial: The network's trial there.
        inverted: Whether bright and dark were exchanged first.
    """

    file: str | None
    row: int | None
    class_name: str
    probability: float
    probabilities: dict[str, float]
    study: str
    trial: int
    inverted: bool


def predict(
    study: str,
    inputs: Iterable[str | os.PathLike[str]] | str | os.PathLike[str] | NDArray[Any],
    *,
    storage: str | os.PathLike[str] = DEFAULT_STORAGE,
    trial: int | None = None,
    invert: bool | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    model: Network | None = None,
) -> list[Prediction]:
    """Classify files, or an array, with the chosen network of a study.

    The chosen network is the best trial's or, once the study is confirmed, that of the winner's
    run with the best validation metric. The test split has no part in it.

    Args:
        study: Name of the study.
        inputs: Of the kind that the study was made with. Pictures, or folders of them, are resized
            to the data set's images, and made grey where those are. Tables are CSV or Parquet files
            with the columns of the study's own; the target may be missing and is ignored, like any
            other column that the network does not use. Arrays are .npy files, the `x` of .npz
            files, or what `run` takes for `data`, in the data set's scale: images, or rows of shape
            (N, D).
        storage: `sqlite:///` and a path, or a `Path`.
        trial: Use the network of this trial instead.
        invert: Whether to exchange bright and dark in pictures. If None, a grey one is inverted if
            its ground, as its border shows it, is bright and that of the training images is dark,
            or the reverse.
        data_dir: Folder of local data sets, for the normalisation; `$SWEEP_DATA_DIR` or `data/` if
            None.
        model: The study's own network, if it was made with one: see `help(sweep.PlaceOptions)`.

    Returns:
        A prediction for each picture and row, in order.

    Raises:
        InputError: there is no such study or trial, or the inputs are not of that kind.
        StoreError: the network's weights are not kept.
        DataError: the data set is missing, damaged, or not the study's own; a table lacks a column;
            an array does not have the data set's form.
    """
    study, given = read_argument("study", study), read_argument("inputs", inputs)
    url = read_argument("storage", storage)
    trial = None if trial is None else read_argument("trial", trial)
    invert = None if invert is None else read_argument("invert", invert)
    data_dir = None if data_dir is None else read_argument("data_dir", data_dir)
    sources = () if model is None else read_argument("model", model)
    store = Store(url, to_write=False)
    record, number = chosen_network(store, store.read_study(study), trial)
    (network,), data = load_networks(store, record, [number], data_dir, sources)
    if isinstance(given, list):
        is_folder = isinstance(stored_space(record).dataset, ImageFolder)
        batches = _read(given, data, invert, is_folder=is_folder)
    else:
        batches = _given(given, data, invert)
    names = data.spec.class_names
    return [
        Prediction(
            file=batch.files[place],
            row=batch.rows[place],
            class_name=names[int(probabilities.argmax())],
            probability=float(probabilities.max()),
            probabilities=dict(zip(names, probabilities.tolist(), strict=True)),
            study=record.name,
            trial=number,
            inverted=bool(batch.inverted[place]),
        )
        for batch in batches
        for place, probabilities in enumerate(
            compute_logits(network, batch.inputs, data).to(torch.float64).softmax(1)
        )
    ]


@dataclass(frozen=True, slots=True)
class _Batch:
    """Inputs as a network takes them, and where each of them is from."""

    inputs: NDArray[Any]
    files: Sequence[str | None]
    rows: Sequence[int | None]
    inverted: Sequence[bool] | NDArray[np.bool_]

    @classmethod
    def of_rows(cls, inputs: NDArray[Any], file: str | None) -> _Batch:
        count = len(inputs)
        return cls(inputs, [file] * count, range(count), [False] * count)


def _given(inputs: Any, data: TrainingData, invert: bool | None) -> Iterator[_Batch]:
    """What a caller's array holds."""
    if invert is not None:
        raise InputError("invert is for pictures in files; inputs is an array: leave it out")
    if data.encoder is not None:
        raise InputError(
            "the network was trained on a table: inputs must be files of tables; save yours as CSV"
        )
    array = as_array(inputs, "inputs")
    yield _Batch.of_rows(examples_of(array, data.spec, "inputs"), None)


def _read(
    paths: Sequence[str], data: TrainingData, invert: bool | None, *, is_folder: bool
) -> Iterator[_Batch]:
    """What the files hold, in their order; a few hundred pictures at once."""
    look = None
    pictures: list[str] = []
    files = list(files_below(paths))
    for position, file in enumerate(files):
        rows = read_rows(file, data)
        if rows is None:
            pictures.append(file)
        elif invert is not None:
            raise InputError(f"invert is for pictures; {file!r} is none: leave it out")
        if pictures and (
            rows is not None or len(pictures) == _PICTURES or position == len(files) - 1
        ):
            look = look or _Look.of(data.train.inputs, is_folder=is_folder)
            decoded = np.stack([read_picture(each, data.spec.input_shape) for each in pictures])
            scaled, inverted = _as_trained(decoded, look, invert)
            yield _Batch(scaled, pictures, [None] * len(pictures), inverted)
            pictures = []
        if rows is not None:
            yield _Batch.of_rows(rows, file)


def chosen_network(store: Store, record: StudyRecord, trial: int | None) -> tuple[StudyRecord, int]:
    """The study and the trial whose network is used: the best one's, unless `trial` names another.

    Raises:
        InputError: there is no such trial.
        StoreError: none has been chosen.
    """
    if trial is not None:
        return record, record.trained_trial(trial).number
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


def white_of(trained: NDArray[np.uint8], *, is_folder: bool) -> int:
    """The value of white in the training images.

    That is 255 in image files, however dark they are, and the highest value elsewhere: 16 in
    digits.
    """
    return 255 if is_folder else int(trained.max())


@dataclass(frozen=True, slots=True)
class _Look:
    """The value of white in the training images, and their grounds.

    Grounds are brightnesses from 0 to 1, shape (N,); None for images in colour, which have
    no strokes that could be dark or bright.
    """

    white: int
    grounds: NDArray[np.float64] | None

    @classmethod
    def of(cls, trained: NDArray[np.uint8], *, is_folder: bool) -> _Look:
        """That of images of shape (N, C, H, W)."""
        white = white_of(trained, is_folder=is_folder)
        return cls(white, _grounds(trained) / white if trained.shape[1] == 1 else None)


def _as_trained(
    pictures: NDArray[np.uint8], look: _Look, invert: bool | None
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Pictures with the training images' ground and range, and which of them were inverted."""
    if invert is not None or look.grounds is None:
        inverted = np.full(len(pictures), bool(invert))
    else:
        inverted = _have_other_ground(_grounds(pictures) / 255, look.grounds)
    bright = np.where(inverted[:, None, None, None], 255 - pictures, pictures)
    return np.rint(bright * (look.white / 255)).astype(np.uint8), inverted


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
