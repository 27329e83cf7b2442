"""Spectra: values against definitions and against simulated truth."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from scipy.signal import welch

from hyperscan.errors import InputError
from hyperscan.transforms.filters import band_response
from hyperscan.transforms.spectrum import (
    band_power,
    fit_background,
    fourier_coefficients,
    power_share,
    signal_fraction,
    spectral_peak,
    welch_psd,
)
from prepare_fixtures import one_over_f, rhythm

SFREQ = 128.0


def test_welch_agrees_with_scipy():
    x = np.random.default_rng(0).standard_normal((2, 3, 4000))
    freqs, psd = welch_psd(x, SFREQ, 4.0)
    expected_freqs, expected = welch(x, SFREQ, "hann", 512, 256, detrend="constant")
    np.testing.assert_allclose(freqs, expected_freqs)
    np.testing.assert_allclose(psd, expected, rtol=1e-10)


def test_welch_leaves_masked_samples_out():
    rng = np.random.default_rng(1)
    x = rng.standard_normal(6000)
    clean = np.ones(6000, bool)
    clean[2000:2600] = False
    dirty = x.copy()
    dirty[~clean] = 1e6
    expected = welch_psd(np.concatenate([x[:2000]]), SFREQ)[1]
    found = welch_psd(dirty, SFREQ, clean=clean)[1]
    assert found.max() < 10 * expected.max()
    alone = welch_psd(dirty, SFREQ, clean=np.arange(6000) < 2000)[1]
    np.testing.assert_allclose(alone, expected)


def test_welch_without_clean_segment_is_nan():
    assert np.isnan(welch_psd(np.zeros((2, 1000)), SFREQ, clean=np.zeros(1000, bool))[1]).all()
    assert np.isnan(welch_psd(np.zeros((2, 100)), SFREQ)[1]).all()


def test_welch_refuses_wrong_mask_and_tiny_segment():
    with pytest.raises(InputError, match="clean has shape"):
        welch_psd(np.zeros(1000), SFREQ, clean=np.ones(10, bool))
    with pytest.raises(InputError, match="at least 8"):
        welch_psd(np.zeros(1000), SFREQ, 0.01)


def test_signal_fraction_equals_its_definition():
    rng = np.random.default_rng(2)
    freqs = np.arange(0, 64, 0.25)
    psd = np.exp(rng.normal(size=freqs.size)) / np.maximum(freqs, 0.25)
    weight = band_response(freqs, (8.0, 12.0), SFREQ)
    used = ((freqs >= 2) & (freqs <= 5)) | ((freqs >= 15) & (freqs <= 40))
    for degree in (1, 2):
        line = np.polyfit(np.log(freqs[used] / 10), np.log(psd[used]), degree)
        fit = np.exp(np.polyval(line, np.log(freqs[1:] / 10)))
        expected = max(0.05, 1 - (fit * weight[1:]).sum() / (psd[1:] * weight[1:]).sum())
        assert signal_fraction(freqs, psd, weight, degree) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("degree", [1, 2])
def test_signal_fraction_follows_simulated_one_over_20_db(degree):
    rng = np.random.default_rng(3)
    n = round(120 * SFREQ)
    weight_freqs, _ = welch_psd(np.zeros(n), SFREQ)
    weight = band_response(weight_freqs, (8.0, 12.0), SFREQ)
    decibels = np.linspace(-10, 10, 21)
    found, truth = [], []
    for db in decibels:
        noise, signal = one_over_f((n,), SFREQ, rng), rhythm(n, SFREQ, rng, 10.0, 2.0)
        freqs, parts = welch_psd(np.stack([noise, signal]), SFREQ)
        inside = (parts * weight).sum(-1)
        gain = np.sqrt(10 ** (db / 10) * inside[0] / inside[1])
        psd = welch_psd(noise + gain * signal, SFREQ)[1]
        found.append(float(signal_fraction(freqs, psd, weight, degree)))
        truth.append(10 ** (db / 10) / (1 + 10 ** (db / 10)))
    ranks = [np.argsort(np.argsort(x)) for x in (found, truth)]
    assert np.corrcoef(ranks)[0, 1] >= 0.95
    assert np.abs(np.array(found) - truth).max() < 0.15


def test_signal_fraction_floor_and_not_assessable():
    freqs = np.arange(0.25, 64, 0.25)
    flat = np.ones(freqs.size)
    weight = band_response(freqs, (8.0, 12.0), SFREQ)
    assert signal_fraction(freqs, flat, weight, 1) == pytest.approx(0.05)
    low = freqs <= 32
    assert np.isnan(signal_fraction(freqs[low], flat[low], weight[low], 1))
    assert np.isnan(signal_fraction(freqs, np.zeros(freqs.size), weight, 1))
    with pytest.raises(InputError, match="do not fit together"):
        signal_fraction(freqs, flat, weight[:-1], 1)
    with pytest.raises(InputError, match="degree = 3"):
        signal_fraction(freqs, flat, weight, 3)


@pytest.mark.parametrize("centre", [8.6, 9.3, 10.1, 11.4])
def test_peak_frequency_within_a_quarter_hertz(centre):
    rng = np.random.default_rng(round(centre * 10))
    n = round(180 * SFREQ)
    x = one_over_f((n,), SFREQ, rng) + 0.7 * rhythm(n, SFREQ, rng, centre, 0.8)
    peak = spectral_peak(*welch_psd(x, SFREQ), (8.0, 12.0))
    assert abs(float(peak.frequency) - centre) < 0.25
    assert 3 < float(peak.height_db) < 30
    assert 0.4 < float(peak.width) < 2.5


def test_no_peak_in_background_alone():
    freqs = np.arange(0, 64, 0.25)
    peak = spectral_peak(freqs, 1 / np.maximum(freqs, 0.25), (8.0, 12.0))
    assert float(peak.height_db) == pytest.approx(0, abs=0.1)
    assert np.isnan(peak.frequency)
    assert np.isnan(peak.width)


@pytest.mark.parametrize("band", [(4.0, 8.0), (13.0, 30.0), (30.0, 40.0)])
def test_peak_in_other_bands(band):
    freqs = np.arange(0, 64, 0.25)
    centre = sum(band) / 2
    psd = (1 + 5 * np.exp(-(((freqs - centre) / 1.0) ** 2))) / np.maximum(freqs, 0.25)
    peak = spectral_peak(freqs, psd, band)
    assert float(peak.frequency) == pytest.approx(centre, abs=0.25)
    assert float(peak.width) == pytest.approx(2 * np.sqrt(np.log(2)), abs=0.4)


def test_the_flank_of_another_rhythm_is_no_peak():
    freqs = np.arange(0, 64, 0.25)
    other, ripple = (np.exp(-(((freqs - at) / width) ** 2)) for at, width in ((10.0, 1.5), (7.0, 0.6)))
    peak = spectral_peak(freqs, (1 + 30 * other + 6 * ripple) / np.maximum(freqs, 0.25), (4.0, 8.0))
    assert np.isnan(peak.frequency)
    assert np.isnan(peak.width)


def test_band_power_is_variance():
    x = np.random.default_rng(4).standard_normal(100_000)
    freqs, psd = welch_psd(x, SFREQ)
    assert float(band_power(freqs, psd, (0, 64))) == pytest.approx(1.0, rel=0.03)
    assert float(power_share(freqs, psd, (0, 32), (0, 64))) == pytest.approx(0.5, rel=0.05)


def test_background_of_a_power_law_is_itself():
    freqs = np.arange(1, 45, 0.25)
    psd = np.stack([freqs**-1.0, 5 * freqs**-2.0])
    np.testing.assert_allclose(fit_background(freqs, psd, 2), psd, rtol=1e-9)


def test_fourier_coefficients_are_those_of_windowed_epochs() -> None:
    x = np.random.default_rng(0).standard_normal((6, 3, 250)) + 5
    found = fourier_coefficients(x, 125.0, (8.0, 12.0))
    plain = np.fft.rfft((x - x.mean(-1, keepdims=True)) * np.hanning(250))
    inside = np.flatnonzero((np.fft.rfftfreq(250, 1 / 125) >= 8) & (np.fft.rfftfreq(250, 1 / 125) <= 12))
    np.testing.assert_allclose(found, plain[..., inside].transpose(2, 1, 0), atol=1e-10)
    assert fourier_coefficients(x.astype("f4"), 125.0, (8.0, 12.0)).dtype == np.complex64
    with pytest.raises(InputError, match=r"epochs of 2 s have no frequency in it, only multiples of 0\.5 Hz"):
        fourier_coefficients(x, 125.0, (8.1, 8.2))


@pytest.mark.parametrize("sfreq", [0.0, -100.0, np.nan, np.inf])
def test_a_rate_that_is_none_is_refused(sfreq):
    x = np.random.default_rng(0).standard_normal((2, 3, 400))
    for call in (welch_psd, partial(fourier_coefficients, band=(8.0, 12.0))):
        with pytest.raises(InputError, match="sfreq must be positive"):
            call(x, sfreq=sfreq)


def test_epochs_of_another_shape_are_refused():
    with pytest.raises(InputError, match=r"n_epochs, n_channels, n_times\), got \(3, 400\)"):
        fourier_coefficients(np.ones((3, 400)), 100.0, (8.0, 12.0))
