"""`export`: the chosen network of a study as files that need nothing of this package."""

from __future__ import annotations

import json
import os
import runpy
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import nn

from sweep.data import TrainingData, data_settings, read_validation
from sweep.data.table_columns import MISSING, MISSING_NUMBERS
from sweep.definitions import Scalar, definition_of
from sweep.errors import InputError, SweepError, SweepFailedError
from sweep.evaluation.networks import compute_logits, load_networks
from sweep.evaluation.packaging import network_code, packaged
from sweep.evaluation.prediction import chosen_network, white_of
from sweep.evaluation.use_script import (
    FILES,
    OWN_NETWORK,
    network_script,
    own_network_call,
    use_script,
)
from sweep.evaluation.whole_folder import DESCRIPTION, digests, whole_folder
from sweep.provenance import package_versions
from sweep.quiet import without_warnings
from sweep.records import DataSettings, DataSpec, OwnNetwork, StudyRecord
from sweep.runner.argument_rules import read_argument
from sweep.runner.options import Network
from sweep.space import ImageFolder, stored_space
from sweep.store import Store
from sweep.words import DEFAULT_STORAGE

__all__ = ["Export", "export"]

_TOLERANCE = 1e-5
_BATCH = 512


@dataclass(frozen=True, slots=True)
class Export:
    """An exported network.

    Attributes:
        folder: That was written.
        files: In it.
        study: The study whose network it is: the search, or its confirmation.
        trial: The network's trial there.
        num_checked: Validation examples for which the written files predict the same as the study's
            network.
        largest_difference: Between their probabilities.
    """

    folder: Path
    files: tuple[Path, ...]
    study: str
    trial: int
    num_checked: int
    largest_difference: float


def export(
    study: str,
    *,
    trial: int | None = None,
    format: str = "safetensors",
    out: str | os.PathLike[str] = "export",
    storage: str | os.PathLike[str] = DEFAULT_STORAGE,
    data_dir: str | os.PathLike[str] | None = None,
    model: Network | None = None,
) -> Export:
    """Write the chosen network of a study, its preprocessing inside, to be used without `sweep`.

    The network takes raw pixels (uint8, shape (N, C, H, W)), rows of arrays (float32, shape (N, D))
    or rows of a table (float64: numbers, NaN where they are missing, then codes of categories), and
    returns probabilities (float32, shape (N, classes)). `use.py` classifies files with it;
    `model.json` says what it takes and where it comes from. The written files are loaded again and
    compared with the study's network on the validation split. The test split has no part in it.

    Args:
        study: Name of the study.
        trial: Export the network of this trial; if None, of the one that `predict` uses.
        format: `safetensors`, weights beside plain PyTorch code; `pt2`, a program of `torch.export`
            for any batch size; or `onnx`, which needs `pip install 'sweep[onnx]'`.
        out: Folder to write. An earlier export in it is replaced, unless it was changed.
        storage: `sqlite:///` and a path, or a `Path`.
        data_dir: Folder of local data sets; `$SWEEP_DATA_DIR` or `data/` if None.
        model: The study's own network, if it was made with one: see `help(sweep.PlaceOptions)`. Its
            file is copied beside the weights.

    Raises:
        InputError: there is no such study or trial, the folder cannot be written or holds something
            else, or the format's packages are missing.
        StoreError: the network's weights are not kept.
        DataError: the data set is missing, damaged, or not the study's own.
        SweepFailedError: the network cannot be written in this format, or what was written does not
            predict the same; no folder is left.
    """
    study, file_format = read_argument("study", study), read_argument("format", format)
    url, out = read_argument("storage", storage), read_argument("out", out)
    trial = None if trial is None else read_argument("trial", trial)
    data_dir = None if data_dir is None else read_argument("data_dir", data_dir)
    sources = () if model is None else read_argument("model", model)
    if file_format == "onnx" and not (find_spec("onnxscript") and find_spec("onnxruntime")):
        raise InputError(
            "the format onnx needs onnxscript and onnxruntime: pip install 'sweep[onnx]'"
        )
    store = Store(url, to_write=False)
    record, number = chosen_network(store, store.read_study(study), trial)
    (network,), data = load_networks(store, record, [number], data_dir, sources)
    space = stored_space(record)
    settings = data_settings(space.dataset, data_dir, store.kept_data)
    # A caller may have set another default device.
    with whole_folder(str(out)) as new, torch.device("cpu"):
        own = None
        if isinstance(space.model, OwnNetwork) and file_format == "safetensors":
            own = _copy_network(new, space.model, record.trial(number).params, data.spec)
        with _understood(file_format):
            _write_network(new, packaged(network, data), file_format, data, own)
        _describe(new, file_format, record, number, data)
        with _understood(file_format):
            found = _classify(new, data, settings)
        difference = _compare(found, network, data)
        names = sorted(file.name for file in new.iterdir())
    folder = Path(out)
    files = tuple(folder / name for name in names)
    return Export(folder, files, record.name, number, len(data.validation), difference)


def _copy_network(
    folder: Path, network: OwnNetwork, params: Mapping[str, Scalar], spec: DataSpec
) -> str:
    """Copy a user's own file, which has just been compared with the study's; how it is called."""
    (folder / OWN_NETWORK).write_bytes(network.source.code.encode())
    given = {argument.name: params[argument.name] for argument in network.arguments}
    return own_network_call(network.source, spec, given)


def _write_network(
    folder: Path, package: nn.Sequential, file_format: str, data: TrainingData, own: str | None
) -> None:
    """The file with the network and the scripts that use it; `own` calls a user's network."""
    file = folder / FILES[file_format]
    if file_format == "safetensors":
        # Copies, because layers may share weights, which the format refuses.
        state = {name: tensor.clone().contiguous() for name, tensor in package.state_dict().items()}
        file.write_bytes(safetensors.torch.save(state))
        (folder / "network.py").write_text(network_script(*network_code(package, own)), "utf-8")
    else:
        if data.encoder is not None:
            columns = len(data.encoder.numbers) + len(data.encoder.texts)
            example = torch.zeros(2, columns, dtype=torch.float64)
        else:
            example = torch.zeros(2, *data.spec.input_shape, dtype=getattr(torch, data.spec.dtype))
        with torch.no_grad():
            program = torch.export.export(
                package, (example,), dynamic_shapes=({0: torch.export.Dim("batch")},)
            )
        for node in program.graph.nodes:
            node.meta.pop("stack_trace", None)  # it names files of this machine
        if file_format == "pt2":
            torch.export.save(program, file)
        else:
            torch.onnx.export(
                program,
                f=file,
                input_names=["inputs"],
                output_names=["probabilities"],
                external_data=False,
                dynamo=True,
                verbose=False,
            )
    (folder / "use.py").write_text(use_script(file_format, data), "utf-8")


def _describe(
    folder: Path, file_format: str, record: StudyRecord, number: int, data: TrainingData
) -> None:
    """`model.json`."""
    trial, reading = record.trial(number), record.test_reading(number)
    best = trial.outcome.best if trial.outcome else None
    description = {
        "format": file_format,
        "classes": data.spec.class_names,
        "input": _input(record, data),
        "output": "probabilities of the classes, float32, shape (N, classes)",
        "model": definition_of(stored_space(record).model).name,
        "params": trial.params,
        "study": record.name,
        "trial": number,
        "validation_accuracy": best.values["validation_accuracy"] if best else None,
        "test_accuracy": reading.num_correct / reading.num_images if reading else None,
        "data_fingerprint": data.fingerprint,
        "versions": package_versions(),
        "checked": f"predicts the same as in the study on {len(data.validation):,} validation "
        "examples",
        "files": digests(folder),
    }
    text = json.dumps(description, indent=1, ensure_ascii=False, allow_nan=False)
    (folder / DESCRIPTION).write_text(f"{text}\n", "utf-8")


def _input(record: StudyRecord, data: TrainingData) -> dict[str, Any]:
    """What the network takes, and what `use.py` has to know of it."""
    if data.encoder is None:
        shape: dict[str, Any] = {"dtype": data.spec.dtype, "shape": ["N", *data.spec.input_shape]}
        if data.spec.kind != "image":
            return shape
        is_folder = isinstance(stored_space(record).dataset, ImageFolder)
        return {**shape, "white": white_of(data.train.inputs, is_folder=is_folder)}
    encoder, rules = data.encoder, data.encoder.rules
    numbers = [{"name": name} for name in encoder.numbers]
    texts = [
        {"name": name, "categories": each.codes, "missing": each.missing, "other": each.other}
        for name, each in zip(encoder.texts, rules.categories, strict=True)
    ]
    return {
        "dtype": "float64",
        "shape": ["N", len(numbers) + len(texts)],
        "meaning": "numbers, NaN where they are missing, then codes of categories; -1 is none",
        "missing": MISSING,
        "missing_numbers": MISSING_NUMBERS,
        "columns": [*numbers, *texts],
    }


def _classify(folder: Path, data: TrainingData, settings: DataSettings) -> NDArray[np.float32]:
    """What the written files say of the validation split, shape (N, classes)."""
    use = runpy.run_path(str(folder / "use.py"))
    inputs = data.validation.inputs
    if data.encoder is not None:
        with tempfile.TemporaryDirectory() as scratch:
            file = Path(scratch, "rows.csv")
            rows = read_validation(settings).inputs
            # With the index, a row without values is no blank line. No column has a longer name.
            rows.to_csv(file, index_label=f"{max(rows, key=len)}_")
            inputs = use["read"](file)
    batches = [inputs[first : first + _BATCH] for first in range(0, len(inputs), _BATCH)]
    return np.concatenate([use["classify"](batch) for batch in batches])


def _compare(found: NDArray[np.float32], network: nn.Module, data: TrainingData) -> float:
    """The largest difference from the probabilities of the study's network.

    Raises:
        SweepFailedError: it is too large, or a prediction differs that is no tie.
    """
    logits = compute_logits(network, data.validation.inputs, data)
    expected: NDArray[np.float64] = logits.to(torch.float64).softmax(1).numpy()
    difference = float(np.abs(found - expected).max())
    chosen = expected[np.arange(len(found)), found.argmax(1)]
    num_wrong = int((expected.max(1) - chosen > _TOLERANCE).sum())
    if num_wrong or not difference <= _TOLERANCE:
        raise SweepFailedError(
            "the written files do not predict what the study's network does: probabilities differ "
            f"by up to {difference:.1g}, and {num_wrong:,} of {len(found):,} predictions; a "
            "network that draws random numbers in use, or computes in half precision, cannot be "
            "compared"
        )
    return difference


@contextmanager
def _understood(file_format: str) -> Iterator[None]:
    """Turn what PyTorch and the format's packages raise into one line, and keep warnings back."""
    try:
        with without_warnings():
            yield
    except (OSError, SweepError):
        raise
    except Exception as error:
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise SweepFailedError(
            f"the network cannot be exported as {file_format}: {reason}; another --format may "
            "take it"
        ) from error
