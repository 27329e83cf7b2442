"""Coefficients, weights and decimation of wavelet scales against their definitions."""

from __future__ import annotations

import numpy as np
import pytest

from hyperscan.transforms.wavelet import (
    wavelet_transform,
)

SFREQ, BAND, N_TIMES = 2.0, (0.02, 0.1), 900


@pytest.fixture
def x(rng: np.random.Generator) -> np.ndarray:
    return rng.standard_normal((3, N_TIMES)).cumsum(axis=1)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20240501)


def plain_coefficients(x: np.ndarray, scale: float) -> np.ndarray:
    """The integral of signal times wavelet, sample by sample, as Torrence & Compo's equation 2 states it."""
    centred = (x - x.mean()) / x.std()
    time = np.arange(len(x)) / SFREQ
    eta = (time[None, :] - time[:, None]) / scale
    wavelet = np.pi**-0.25 * np.exp(6j * eta - eta**2 / 2)
    return (wavelet.conj() @ centred) * np.sqrt(1 / (SFREQ * scale))


def test_coefficients_equal_the_definition(x):
    block = wavelet_transform(x, SFREQ, BAND, oversampling=None).blocks[0]
    for row in (0, 15, len(block.scales) - 1):
        expected = plain_coefficients(x[1], block.scales[row])
        found = block.coefficients[row, 1] * np.sqrt(block.scales[row])
        # the definition has no H(w > 0); at w0 = 6 the negative frequencies carry 1e-8
        np.testing.assert_allclose(found, expected, atol=1e-6 * np.abs(expected).max())


def test_decimated_coefficients_are_samples_of_the_full_rate_ones(x):
    full = wavelet_transform(x, SFREQ, BAND, oversampling=None).blocks[0]
    for block in wavelet_transform(x, SFREQ, BAND).blocks:
        n_samples = block.coefficients.shape[-1] - 2 * block.margin
        step = N_TIMES / n_samples
        at = (np.arange(n_samples) + 0.5) * step - 0.5
        inside = (at > 0) & (at < N_TIMES - 1)
        row = int(np.argmin(np.abs(full.scales - block.scales[5])))
        exact, found = full.coefficients[row, 0], block.coefficients[5, 0, block.margin :][:n_samples]
        expected = np.interp(at, np.arange(N_TIMES), np.abs(exact))
        # the tolerance is that of linear interpolation at half a second
        np.testing.assert_allclose(np.abs(found)[inside], expected[inside], atol=5e-3 * np.abs(exact).max())


def test_decimation_is_real(x):
    blocks = wavelet_transform(x, SFREQ, BAND).blocks
    assert len(blocks) > 1
    samples = [block.coefficients.shape[-1] - 2 * block.margin for block in blocks]
    assert samples == sorted(samples, reverse=True)
    assert samples[-1] < N_TIMES / 4


@pytest.mark.parametrize("oversampling", [None, 1.5, 2.0, 4.0])
@pytest.mark.parametrize("n_times", [600, 601, 997])
def test_weights_count_the_valid_cells(rng, oversampling, n_times):
    record = wavelet_transform(rng.standard_normal((1, n_times)), SFREQ, BAND, oversampling=oversampling)
    weights = np.concatenate([block.weights.sum(axis=1) for block in record.blocks])
    np.testing.assert_allclose(weights, record.valid.sum(axis=1), rtol=1e-12)
    assert record.valid_fraction == pytest.approx(record.valid.mean(), rel=1e-12)


def test_fast_bands_stay_at_full_rate(rng):
    record = wavelet_transform(rng.standard_normal((1, 2000)), 100.0, (20.0, 30.0))
    assert all(block.coefficients.shape[-1] - 2 * block.margin == 2000 for block in record.blocks)
