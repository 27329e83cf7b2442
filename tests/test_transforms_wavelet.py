"""Wavelet transform: the grid, the cone, the coefficients, and what decimation leaves of them."""

from __future__ import annotations

import numpy as np
import pytest

from hyperscan.errors import InputError
from hyperscan.transforms.morlet import FOURIER_FACTOR
from hyperscan.transforms.wavelet import (
    WaveletTransform,
    band_periods,
    cone_of_influence,
    period_grid,
    wavelet_transform,
)

SFREQ, BAND, N_TIMES = 2.0, (0.02, 0.1), 900


@pytest.fixture
def x(rng: np.random.Generator) -> np.ndarray:
    return rng.standard_normal((3, N_TIMES)).cumsum(axis=1)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20240501)


def test_cone_follows_grinsted():
    n_times, sfreq = 3000, 5.0
    coi = cone_of_influence(n_times, sfreq)
    assert coi[0] == pytest.approx(FOURIER_FACTOR / np.sqrt(2) * 0.5 / sfreq)
    assert coi.max() == pytest.approx(FOURIER_FACTOR * n_times / sfreq / 2 / np.sqrt(2), rel=1e-3)
    np.testing.assert_allclose(coi, coi[::-1])


def test_bands_share_one_grid():
    wide, narrow = band_periods((0.01, 0.2)), band_periods((0.04, 0.06))
    assert len(narrow) == 7
    assert all(np.isclose(wide, period).any() for period in narrow)
    np.testing.assert_allclose(wide[[0, -1]], [5.0, 10 * 2 ** (39 / 12)])
    np.testing.assert_allclose(wide[1:] / wide[:-1], 2 ** (1 / 12))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_precision_is_kept(x, dtype):
    block = wavelet_transform(x.astype(dtype), SFREQ, BAND).blocks[0]
    assert block.power.dtype == dtype
    assert block.weights.dtype == dtype
    assert block.coefficients.dtype == np.result_type(dtype, np.complex64)


def test_integers_become_double(rng):
    record = wavelet_transform(rng.integers(0, 1000, (2, 300)), SFREQ, BAND)
    assert record.blocks[0].power.dtype == np.float64


def test_leading_dims_are_kept(x):
    windows = np.stack([x[:, :400], x[:, 400:800]])
    whole = wavelet_transform(windows, SFREQ, BAND)
    for index in (0, 1):
        alone = wavelet_transform(windows[index], SFREQ, BAND)
        for block, other in zip(whole.blocks, alone.blocks, strict=True):
            np.testing.assert_allclose(block.power[index], other.power, rtol=1e-12)
            np.testing.assert_allclose(block.coefficients[index], other.coefficients, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_unusable_channels_get_nan_power_and_leave_the_others_alone(x, bad):
    spoilt = x.copy()
    spoilt[0, 10] = bad
    spoilt[2] = 3.7
    block, clean = (
        wavelet_transform(spoilt, SFREQ, BAND).blocks[0],
        wavelet_transform(x, SFREQ, BAND).blocks[0],
    )
    assert np.isnan(block.power[:, [0, 2]]).all()
    np.testing.assert_allclose(block.power[:, 1], clean.power[:, 1], rtol=1e-12)


def test_offset_and_gain_do_not_matter(x):
    plain = wavelet_transform(x, SFREQ, BAND).blocks[0]
    moved = wavelet_transform(1e-6 * x - 3e-5, SFREQ, BAND).blocks[0]
    np.testing.assert_allclose(moved.power, plain.power, rtol=1e-9)


def test_pick_reorders_channels(x):
    record = wavelet_transform(x, SFREQ, BAND)
    picked = record.pick([2, 0])
    assert picked.n_channels == 2
    np.testing.assert_array_equal(picked.blocks[0].power, record.blocks[0].power[:, [2, 0]])
    np.testing.assert_array_equal(picked.blocks[-1].coefficients, record.blocks[-1].coefficients[:, [2, 0]])


def test_input_is_left_alone(x):
    before = x.copy()
    wavelet_transform(x, SFREQ, BAND)
    np.testing.assert_array_equal(x, before)


def test_one_signal_counts_as_one_channel(x):
    assert wavelet_transform(x[0], SFREQ, BAND).n_channels == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"band": (0.1, 0.02)}, r"band=\(0.1, 0.02\) must be"),
        ({"band": (0.0, 0.1)}, "0 < low < high"),
        ({"band": (0.5, 1.0)}, "half the sampling frequency"),
        ({"band": (0.0505, 0.051)}, "at least 1.059 times"),
        ({"oversampling": 0.5}, "oversampling=0.5 must be at least 1"),
        ({"x": np.ones((1, 5))}, "x has 5 samples"),
        ({"x": np.ones((1, 50), dtype=complex)}, "must be real"),
        ({"x": np.array([["a", "b"]])}, "must be real"),
        ({"sfreq": 0.0}, "sfreq=0.0"),
    ],
)
def test_errors_say_what_was_given(x, arguments, message):
    given = {"x": x, "sfreq": SFREQ, "band": BAND, **arguments}
    with pytest.raises(InputError, match=message):
        wavelet_transform(**given)


def test_period_grid_fills_in_and_checks():
    np.testing.assert_allclose(period_grid(np.array([5.0, 160.0]), 5.0), 5 * 2 ** (np.arange(61) / 12))
    with pytest.raises(InputError, match=r"only the limits, \(5, 20\)"):
        period_grid(np.array([5.0, 10.0, 20.0]), 5.0)
    with pytest.raises(InputError, match="rising"):
        period_grid(np.array([0.1, 10.0]), 5.0)


def test_record_names_its_facts(x):
    record = wavelet_transform(x, SFREQ, BAND)
    assert isinstance(record, WaveletTransform)
    assert record.n_channels == 3
    np.testing.assert_allclose(record.periods, band_periods(BAND))
    np.testing.assert_allclose(record.coi, cone_of_influence(N_TIMES, SFREQ))
