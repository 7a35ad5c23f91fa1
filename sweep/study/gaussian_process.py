"""Gaussian-process regression with noise (Rasmussen and Williams 2006, chapters 2 and 5).

Matérn kernel of smoothness 5/2 with a length for each parameter. Lengths, scale and noise are those
of the highest posterior density: with ten points, the highest likelihood would take noise for
structure. Scikit-learn knows no such prior, and takes twenty times as long.

Shape legend: N points that were observed, M others, F features.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, solve_triangular
from scipy.optimize import minimize
from scipy.spatial.distance import cdist

__all__ = ["GaussianProcess", "Posterior"]

Array = NDArray[np.float64]

# Priors of logarithms, means and standard deviations. Lengths grow with the root of the number of
# parameters, as distances do (Hvarfner et al. 2024, arXiv 2402.02229).
_LENGTH, _SCALE, _NOISE = (0.0, 1.0), (0.0, 1.0), (-4.0, 1.5)
_NO_NOISE = (-14.0, 0.01)
_FIRST_NOISE = -3.0
_FURTHEST = 5.0  # deviations from the mean
_MOST_STEPS, _LEAST_GAIN = 60, 1e-5
_JITTER = 1e-8


class GaussianProcess:
    """Learns standardised values (N,) at points with features (N, F).

    Args:
        owners: Of each feature, the number of the parameter whose length it shares.
        is_noisy: Whether values are noisy; otherwise the function goes through them.
    """

    def __init__(
        self, features: Array, values: Array, owners: NDArray[np.int_], *, is_noisy: bool
    ) -> None:
        posterior = Posterior(features, values, owners, is_noisy=is_noisy)
        lengths, scale, noise = posterior.highest()
        self._lengths, self._scale = lengths[owners], scale
        self._features = features / self._lengths
        covariance = scale * _matern(cdist(self._features, self._features, "sqeuclidean"))
        self._root = np.linalg.cholesky(covariance + (noise + _JITTER) * np.eye(len(values)))
        self._weights = cho_solve((self._root, True), values)

    def means(self, features: Array) -> Array:
        """Expected values at (M, F): shape (M,)."""
        found: Array = self._cross(features / self._lengths) @ self._weights
        return found

    def sample(self, features: Array, generator: np.random.Generator) -> Array:
        """One function of the posterior at (M, F), without noise: shape (M,)."""
        scaled = features / self._lengths
        cross = self._cross(scaled)
        explained = solve_triangular(self._root, cross.T, lower=True)
        covariance = self._scale * _matern(cdist(scaled, scaled, "sqeuclidean"))
        covariance -= explained.T @ explained
        covariance[np.diag_indices(len(scaled))] += 1e-6 * self._scale
        drawn = np.linalg.cholesky(covariance) @ generator.standard_normal(len(scaled))
        found: Array = cross @ self._weights + drawn
        return found

    def _cross(self, scaled: Array) -> Array:
        return self._scale * _matern(cdist(scaled, self._features, "sqeuclidean"))


class Posterior:
    """Minus the logarithm of the posterior density of lengths, scale and noise, and its gradient.

    They are logarithms, one vector: the lengths, the scale, the noise (variances).
    """

    def __init__(
        self, features: Array, values: Array, owners: NDArray[np.int_], *, is_noisy: bool
    ) -> None:
        number = int(owners.max()) + 1
        self._squares = np.stack(
            [cdist(f, f, "sqeuclidean") for f in (features[:, owners == n] for n in range(number))]
        )
        self._values = values
        mean, deviation = _LENGTH
        length = (mean + 0.5 * np.log(number), deviation)
        priors = [length] * number + [_SCALE, _NOISE if is_noisy else _NO_NOISE]
        self._means, self._deviations = np.array(priors).T
        reach = _FURTHEST * self._deviations
        self._bounds = np.column_stack([self._means - reach, self._means + reach])
        self.start = self._means.copy()
        if is_noisy:
            self.start[-1] = _FIRST_NOISE

    def highest(self) -> tuple[Array, float, float]:
        """Lengths (one for each parameter), scale and noise where the density is highest."""
        fit = minimize(
            self,
            self.start,
            jac=True,
            method="L-BFGS-B",
            bounds=self._bounds,
            options={"maxiter": _MOST_STEPS, "ftol": _LEAST_GAIN},
        )
        return self._read(fit.x)

    def __call__(self, at: Array) -> tuple[float, Array]:
        """The negative log density and its gradient, up to a constant, at logarithms `at`."""
        lengths, scale, noise = self._read(at)
        inverse = lengths**-2
        distances = np.sqrt(5 * np.tensordot(inverse, self._squares, 1))
        decay = np.exp(-distances)
        kernel = scale * (1 + distances + distances**2 / 3) * decay
        identity = np.eye(len(kernel))
        root = np.linalg.cholesky(kernel + (noise + _JITTER) * identity)
        precision = cho_solve((root, True), identity)
        weights = precision @ self._values
        outer = 0.5 * (precision - np.outer(weights, weights))
        slopes = outer * scale * (5 / 3) * (1 + distances) * decay
        gradient = np.array(
            [
                *inverse * np.tensordot(self._squares, slopes, axes=2),
                (outer * kernel).sum(),
                noise * np.trace(outer),
            ]
        )
        standard = (at - self._means) / self._deviations
        density = 0.5 * self._values @ weights + np.log(np.diag(root)).sum()
        return density + 0.5 * standard @ standard, gradient + standard / self._deviations

    @staticmethod
    def _read(logarithms: Array) -> tuple[Array, float, float]:
        *lengths, scale, noise = np.exp(logarithms)
        return np.array(lengths), float(scale), float(noise)


def _matern(squares: Array) -> Array:
    """The kernel of squared distances, in lengths. In place, which halves the time."""
    distances = np.sqrt(5 * squares)
    found: Array = distances / 3
    found += 1
    found *= distances
    found += 1
    np.negative(distances, out=distances)
    found *= np.exp(distances, out=distances)
    return found
