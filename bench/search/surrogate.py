"""Predicts the learning curve of any configuration of a task from those that were trained.

Curves are compared at equal shares of their epochs, as logarithms of how far errors and losses are
from a bound below all that were recorded, and written as a few principal components. A Gaussian
process predicts each from the configuration. What other seeds change is drawn from the differences
between the seeds of the fifty best configurations.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from curve_files import CURVES, METRICS, Curves
from scipy.linalg import cho_solve
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from tasks import MAX_EPOCHS, TASKS, Task

from sweep.definitions import Scalar
from sweep.space import Choices, SearchSpace, random_configurations

__all__ = ["Curve", "Surrogate", "features", "surrogate"]

PREDICTED = ("validation_accuracy", "validation_loss", "judge_accuracy")
_SHARES = np.arange(1, MAX_EPOCHS + 1) / MAX_EPOCHS  # of a trial's epochs
_EXPLAINED = 0.995  # of the variance, by the principal components
_MOST_COMPONENTS = 12
_LEAST = 0.9  # of the least error or loss that was recorded: nothing is predicted to have less


@dataclass(frozen=True, slots=True)
class Curve:
    """What a trial reports, and its true accuracy, after each epoch: arrays of shape (epochs,)."""

    accuracy: np.ndarray
    loss: np.ndarray
    judged: np.ndarray


def features(space: SearchSpace, params: Mapping[str, Scalar]) -> np.ndarray:
    """A configuration as numbers from 0 to 1; of unordered choices, one for each."""
    found: list[float] = []
    for name, domain in space.sampled.items():
        value = params[name]
        if isinstance(domain, Choices):
            if all(isinstance(choice, int | float) for choice in domain.choices):
                found.append(domain.choices.index(value) / max(1, len(domain.choices) - 1))
            else:
                found += [float(value == choice) for choice in domain.choices]
            continue
        if domain.when and any(params[other] != wanted for other, wanted in domain.when.items()):
            found.append(0.0)
            continue
        low, high, at = (float(each) for each in (domain.low, domain.high, value))
        if domain.log:
            low, high, at = np.log([low, high, at])
        found.append((at - low) / (high - low))
    return np.array(found)


class Surrogate:
    """Learns from a task's curves; see `predict`."""

    def __init__(self, task: Task, curves: Curves, rows: Sequence[int] | None = None) -> None:
        self._space = task.space()
        self._floor = 0.5 / curves.num_judged
        drawn = random_configurations(self._space, task.num_configurations)
        whole = self._flat(curves.curves)
        again = np.stack([self._flat(each) for each in curves.repeated])
        recorded = np.concatenate([whole, *again])
        self._least = _LEAST * np.exp(np.nanmin(recorded, axis=0))
        everything = np.concatenate([whole[None, curves.best], again])
        usable = np.isfinite(whole).all(1)  # others diverged
        self.diverged = np.flatnonzero(~usable)
        mean = np.nanmean(everything, axis=0)
        unbiased = np.sqrt(len(everything) / (len(everything) - 1))
        residuals = ((everything - mean) * unbiased).reshape(-1, mean.shape[1])
        self._residuals = residuals[np.isfinite(residuals).all(1)]
        whole[curves.best] = mean  # of all seeds
        whole = np.log(np.exp(whole) - self._least)
        usable = np.isfinite(whole).all(1)
        chosen = np.flatnonzero(usable) if rows is None else np.array(rows)[usable[rows]]
        inputs = np.stack([features(self._space, drawn[row]) for row in chosen])
        self._pca = PCA(_EXPLAINED).fit(whole[chosen])
        components = self._pca.transform(whole[chosen])[:, :_MOST_COMPONENTS]
        self._models = [_fit(inputs, values) for values in components.T]

    def predict(self, params: Mapping[str, Scalar], seed: int | None = None) -> Curve:
        """The curve of a configuration, of one seed or, without one, in the mean of seeds."""
        at = features(self._space, params)[None]
        found = np.zeros((1, self._pca.n_components_))
        for index, model in enumerate(self._models):
            found[0, index] = model.at(at)[0]
        flat = np.log(np.exp(self._pca.inverse_transform(found)[0]) + self._least)
        if seed is not None:
            draw = np.random.default_rng((seed, 1)).integers(len(self._residuals))
            flat = flat + self._residuals[draw]
        logs = flat.reshape(len(PREDICTED), MAX_EPOCHS)
        epochs = int(params["epochs"])
        shares = np.arange(1, epochs + 1) / epochs
        accuracy, loss, judged = (np.exp(np.interp(shares, _SHARES, each)) for each in logs)
        return Curve(1 - np.minimum(accuracy, 1), loss, 1 - np.minimum(judged, 1))

    def _flat(self, curves: np.ndarray) -> np.ndarray:
        """Logarithms at equal shares of the epochs: (configurations, metrics x shares)."""
        rows = []
        for curve in curves:
            epochs = int(np.isfinite(curve[:, 0]).sum())
            shares = np.arange(1, epochs + 1) / epochs if epochs else np.array([])
            row = []
            for name in PREDICTED:
                values = curve[:epochs, METRICS.index(name)]
                if name.endswith("accuracy"):
                    values = np.maximum(1 - values, self._floor)
                logs = np.log(values)
                row.append(np.interp(_SHARES, shares, logs) if epochs else np.full(20, np.nan))
            rows.append(np.concatenate(row))
        return np.array(rows)


@cache
def surrogate(task: str, *, swapped: bool = False) -> Surrogate:
    """That of a task, or of the same with the thirds swapped; it takes seconds to fit."""
    curves = Curves.read(CURVES / f"{task}.npz")
    return Surrogate(TASKS[task], curves.swapped() if swapped else curves)


@dataclass(frozen=True, slots=True)
class _Process:
    """A fitted Gaussian process, without what its prediction does not need."""

    kernel: object
    inputs: np.ndarray
    weights: np.ndarray
    mean: float
    scale: float

    def at(self, inputs: np.ndarray) -> np.ndarray:
        """Means at inputs (N, features): shape (N,)."""
        return self.kernel(inputs, self.inputs) @ self.weights * self.scale + self.mean  # type: ignore[operator]


def _fit(inputs: np.ndarray, values: np.ndarray) -> _Process:
    kernel = ConstantKernel(1.0) * Matern(np.ones(inputs.shape[1]), (0.05, 50), nu=2.5)
    noise = WhiteKernel(0.1, (1e-4, 2.0))
    model = GaussianProcessRegressor(kernel + noise, normalize_y=True, random_state=0)
    mean, scale = values.mean(), values.std()
    with warnings.catch_warnings():
        # A length at its upper bound: the parameter has no effect.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(inputs, values)
    signal = model.kernel_.k1
    standard = (values - mean) / scale
    weights = cho_solve((model.L_, True), standard)
    return _Process(signal, inputs, weights, mean, scale)
