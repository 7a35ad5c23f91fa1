"""Gaussian-process regression, against scikit-learn's and against numbers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from sweep.study.gaussian_process import GaussianProcess, Posterior

OWNERS = np.array([0, 1, 1, 2])


def observed(number: int = 40, noise: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    """Features (N, 4), of which the last means nothing, and standardised values (N,)."""
    draw = np.random.default_rng(0)
    features = draw.random((number, 4))
    values = np.sin(6 * features[:, 0]) + features[:, 1] - features[:, 2]
    values += noise * draw.standard_normal(number)
    return features, (values - values.mean()) / values.std()


def reference(features: np.ndarray, values: np.ndarray) -> GaussianProcessRegressor:
    """Scikit-learn's, with the lengths, scale and noise that were found here."""
    posterior = Posterior(features, values, OWNERS, is_noisy=True)
    lengths, scale, noise = posterior.highest()
    kernel = ConstantKernel(scale) * Matern(lengths[OWNERS], nu=2.5) + WhiteKernel(noise)
    return GaussianProcessRegressor(kernel, optimizer=None).fit(features, values)


def test_expected_values_are_those_of_scikit_learn():
    features, values = observed()
    model = GaussianProcess(features, values, OWNERS, is_noisy=True)
    new = np.random.default_rng(1).random((30, 4))
    expected = reference(features, values).predict(new)
    np.testing.assert_allclose(model.means(new), expected, atol=1e-5)


def test_samples_have_the_mean_and_the_covariance_of_scikit_learn():
    features, values = observed(12)
    model = GaussianProcess(features, values, OWNERS, is_noisy=True)
    new = np.random.default_rng(1).random((4, 4))
    generator = np.random.default_rng(2)
    samples = np.array([model.sample(new, generator) for _ in range(4000)])
    slow = reference(features, values)
    mean, covariance = slow.predict(new, return_cov=True)
    covariance -= slow.kernel_.k2.noise_level * np.eye(4)  # of the values, not of the function
    np.testing.assert_allclose(samples.mean(0), mean, atol=0.06)
    np.testing.assert_allclose(np.cov(samples.T), covariance, atol=0.06)


def test_the_gradient_is_that_of_the_density():
    features, values = observed()
    posterior = Posterior(features, values, OWNERS, is_noisy=True)
    at = posterior.start + np.array([0.3, -0.2, 0.1, 0.4, -0.3])
    slow = approx_fprime(at, lambda t: posterior(t)[0], 1e-6)
    np.testing.assert_allclose(posterior(at)[1], slow, rtol=1e-3, atol=1e-3)


def test_what_means_nothing_gets_the_longest_length_and_noise_is_found():
    features, values = observed(80, noise=0.3)
    lengths, scale, noise = Posterior(features, values, OWNERS, is_noisy=True).highest()
    assert lengths.argmax() == 2
    assert lengths.argmin() == 0
    assert 0.02 < noise / scale < 0.5


def test_values_without_noise_are_met():
    features, values = observed()
    noisy = GaussianProcess(features, values, OWNERS, is_noisy=True)
    exact = GaussianProcess(features, values, OWNERS, is_noisy=False)
    assert np.abs(exact.means(features) - values).max() < 1e-3
    assert np.abs(noisy.means(features) - values).max() > 1e-2


@pytest.mark.parametrize("is_noisy", [True, False])
def test_the_same_point_many_times_and_equal_values_are_no_trouble(is_noisy):
    features = np.full((100, 4), 0.5)
    model = GaussianProcess(features, np.zeros(100), OWNERS, is_noisy=is_noisy)
    assert np.isfinite(
        model.sample(np.random.default_rng(0).random((50, 4)), np.random.default_rng(1))
    ).all()
