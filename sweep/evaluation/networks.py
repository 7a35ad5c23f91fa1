"""Trained networks from a store, which may be untrusted, and the data that they need."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import nn

from sweep.data import TrainingData, data_settings, load_training_data
from sweep.definitions import definition_of, parameters_of, require_valid
from sweep.errors import DataError, InputError, StoreError
from sweep.families import Family, load_family
from sweep.families.own import told
from sweep.records import DataSpec, Model, NetworkSource, StudyRecord, TrialConfig
from sweep.runner.own_network import with_source
from sweep.space import stored_space
from sweep.store import Store

__all__ = ["PRECISION", "compute_logits", "load_networks"]

PRECISION = "float32"
"""Of `compute_logits`, on any machine; a name as in `TrialOutcome.precision`."""

_BATCH = 4096


def load_networks(
    store: Store,
    record: StudyRecord,
    trials: list[int],
    data_dir: str | os.PathLike[str] | None,
    sources: Sequence[NetworkSource] = (),
) -> tuple[list[nn.Module], TrainingData]:
    """Networks of trials, and the data they were trained on.

    `sources` are the user's own networks, of which the study's is one if it has one.

    Raises:
        InputError: the study's own network is not among the sources, or does not work.
        StoreError: a network's weights were not kept, are gone or are not its own.
        DataError: the data set is missing, damaged, or not the study's own.
    """
    space = stored_space(record)
    model = with_source(space.model, sources, record.name)
    found = [_read(store, record, trial, space.model) for trial in trials]
    settings = data_settings(space.dataset, data_dir, store.kept_data)
    data = load_training_data(settings)
    if data.fingerprint != record.data.fingerprint:
        raise DataError(
            f"the data under {settings.path!r} are not those of study {record.name!r}: "
            f"fingerprint {data.fingerprint[:12]}, recorded {record.data.fingerprint[:12]}"
        )
    return [_build(model, config, weights, data) for config, weights in found], data


@torch.no_grad()
def compute_logits(model: nn.Module, inputs: NDArray[Any], data: TrainingData) -> torch.Tensor:
    """A network's logits, float32, shape (N, C).

    Args:
        model: The network.
        inputs: Shape (N, *input_shape), in the data set's dtype and scale.
        data: What the network was trained on.

    Raises:
        InputError: the network fails on them, as a user's may.
        StoreError: they are not finite, as no COMPLETE trial's are.
    """
    try:
        with torch.device("cpu"):
            mean, std = (torch.tensor(each, dtype=torch.float32) for each in (data.mean, data.std))
            logits = torch.cat(
                [
                    model(((batch.flatten(1).to(torch.float32) - mean) / std).view(batch.shape))
                    for batch in torch.tensor(inputs).split(_BATCH)
                ]
            )
    except Exception as error:
        reason = f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"
        raise InputError(
            f"the network cannot be run on {len(inputs)} examples: {reason}"
        ) from error
    if not logits.isfinite().all():
        raise StoreError(
            "the network answers with numbers that are not finite: its weights are damaged; "
            "restore them from a copy"
        )
    return logits


def _read(store: Store, record: StudyRecord, trial: int, model: Model) -> tuple[TrialConfig, bytes]:
    trials = store.trials(record.name)
    weights = trials.read_weights(trial)
    if weights is None:
        is_recorded = trials.recorded_weights(trial) is not None
        if is_recorded and trial in record.with_weights:
            raise StoreError(
                f"the weights of trial {trial} of study {record.name!r} are gone from "
                f"{str(trials.folder)!r}, or are not the recorded ones; restore them "
                "from a copy, or run the search space again under another name with --study"
            )
        num = record.keep_weights
        best = "best complete trial" if num == 1 else f"{num} best complete trials"
        raise StoreError(
            f"the weights of trial {trial} of study {record.name!r} were not kept: only those of "
            f"the {best} are (--keep-weights); name one of them"
        )
    try:
        return trials.read_config(trial, model), weights
    except (KeyError, ValueError) as error:
        raise StoreError(
            f"study {record.name!r} cannot be understood: {str(error).splitlines()[0]}; it is "
            "damaged or was made by another version"
        ) from None


def _build(model: Model, config: TrialConfig, weights: bytes, data: TrainingData) -> nn.Module:
    """The trial's network.

    It is built only once its parameters are known to be valid and the weights, no larger than
    their file, to fit: a forged record cannot fill the memory.
    """
    family = load_family(model)
    try:
        state = safetensors.torch.load(weights)
        require_valid(parameters_of(model), config.params)
        _require_fitting(state, family, model, config, data.spec)
        network = _initial(family, model, config, data.spec)
        network.load_state_dict(state)
    except InputError:
        raise
    except Exception as error:  # noqa: BLE001 - forged weights may raise anything
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise StoreError(
            f"the weights of trial {config.number} are not those of its network ({reason}); "
            "restore them from a copy, or run the search space again under another name with "
            "--study"
        ) from None
    return network.eval()


def _require_fitting(
    state: Mapping[str, torch.Tensor],
    family: Family,
    model: Model,
    config: TrialConfig,
    spec: DataSpec,
) -> None:
    """Raise ValueError if this cannot be the state of a network that has yet to be built."""
    num_parameters = definition_of(model).cost(config.params, spec).num_parameters
    # The rest are buffers. What a user's network costs is not known, but the user gave it.
    fits = num_parameters <= sum(tensor.numel() for tensor in state.values())
    if fits and isinstance(model, str):
        with torch.device("meta"):  # allocates nothing
            fits = _shapes(family.build(config.params, spec).state_dict()) == _shapes(state)
    if not fits:
        raise ValueError("other shapes")


def _initial(family: Family, model: Model, config: TrialConfig, spec: DataSpec) -> nn.Module:
    """The trial's network with initial weights; InputError if the user's function fails."""
    try:
        # A caller may have set another device and type of numbers, and draws at random, too.
        with torch.device("cpu"), torch.random.fork_rng(devices=[]):
            return family.build(config.params, spec).to(torch.float32)
    except Exception as error:
        if isinstance(model, str):
            raise
        problem = told(error, model.source.file)
        raise InputError(f"{model.source.words} does not work: {problem}") from error


def _shapes(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in state.items()}
