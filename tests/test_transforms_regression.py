"""Regression with prewhitening and robust weights: plain least squares where noise is plain, better where it is not."""

from __future__ import annotations

import numpy as np
from scipy.signal import lfilter

from hyperscan.transforms.regression import ar_irls, ar_whitener

N = 1200


def task(period_s: float = 30.0, sfreq: float = 2.0) -> np.ndarray:
    course = (np.arange(N) / sfreq % period_s < 12).astype(float)
    return lfilter([0.2], [1.0, -0.8], course)


def plain(y: np.ndarray, design: np.ndarray) -> np.ndarray:
    return np.linalg.lstsq(np.vstack([design, np.ones(N)]).T, y, rcond=None)[0][:-1]


def test_of_white_noise_it_is_least_squares() -> None:
    rng = np.random.default_rng(0)
    design = np.stack([task(), rng.normal(size=N)])
    y = np.array([2.0, -1.0]) @ design + 0.5 * rng.normal(size=N) + 7
    exact = np.array([2.0, -1.0]) @ design
    found = ar_irls(np.stack([y, exact]), design, 8)
    np.testing.assert_allclose(found[0], plain(y, design), atol=0.02)
    np.testing.assert_allclose(found[1], [2, -1], atol=1e-9)
    # what is fitted along changes nothing
    np.testing.assert_allclose(ar_irls(y[None], design, 8)[0], found[0], rtol=1e-12)


def test_of_noise_with_memory_and_jumps_it_is_closer_to_the_truth() -> None:
    errors = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        noise = lfilter([0.6], [1.0, -0.8], rng.normal(size=N))
        noise[rng.integers(0, N, 20)] += rng.normal(0, 20, 20)
        y = 2 * task() + noise
        errors.append([ar_irls(y[None], task()[None], 8)[0, 0] - 2, plain(y, task()[None])[0] - 2])
    robust, least_squares = np.sqrt(np.mean(np.square(errors), axis=0))
    assert robust < 0.75 * least_squares
    assert abs(np.mean([error[0] for error in errors])) < 3 * robust / np.sqrt(20)


def test_the_memory_of_noise_is_found() -> None:
    noise = lfilter([1.0], [1.0, -1.2, 0.5], np.random.default_rng(3).normal(size=20_000))
    np.testing.assert_allclose(ar_whitener(noise, 8)[:3], [1, -1.2, 0.5], atol=0.03)
    assert np.isnan(ar_whitener(np.zeros(100), 4)).all()
    # each signal has an order of its own
    both = ar_whitener(np.stack([noise, lfilter([1.0], [1.0, -0.9], noise)]), 8)
    np.testing.assert_array_equal(both[0], ar_whitener(noise, 8))


def test_whitened_samples_are_prediction_errors() -> None:
    """The filter leaves what the two-sided recursion left: the definition of Burg's method."""
    x = lfilter([1.0], [1.0, -1.2, 0.5], np.random.default_rng(4).normal(size=500))
    centred = x - x.mean()
    forward, backward = centred[1:], centred[:-1]
    for _ in range(2):
        turn = 2 * forward @ backward / (forward @ forward + backward @ backward)
        ahead = forward - turn * backward
        forward, backward = ahead[1:], (backward - turn * forward)[:-1]
    np.testing.assert_allclose(lfilter(ar_whitener(x, 2), 1.0, centred)[2:], ahead, atol=1e-10)
