"""Noise and rhythms have their spectra and correlations; a truth tells its plain values."""

from __future__ import annotations

import numpy as np
import pytest

from hyperscan.simulate import (
    EegTruth,
    FnirsTruth,
)
from hyperscan.simulate.signals import band_noise, coupled_pair, delay, power_law_noise
from hyperscan.transforms.spectrum import welch_psd


@pytest.mark.parametrize("fraction", [0.0, 0.3, 0.8])
def test_coupled_pair_has_its_correlation_and_constant_power(fraction: float) -> None:
    a, b = coupled_pair(200_000, 128.0, (8.0, 12.0), fraction, np.random.default_rng(1), lag_s=0.025)
    assert np.corrcoef(a, delay(b, 128.0, -0.025))[0, 1] == pytest.approx(fraction, abs=0.03)
    np.testing.assert_allclose([a.var(), b.var()], 1, atol=0.04)


@pytest.mark.parametrize(("exponent", "curvature"), [(1.0, 0.0), (2.0, 0.0), (1.0, 0.3)])
def test_background_has_its_spectrum(exponent: float, curvature: float) -> None:
    x = power_law_noise((20, 40_000), 128.0, exponent, np.random.default_rng(0), curvature=curvature)
    freqs, psd = welch_psd(x, 128.0, 4.0)
    used = (freqs >= 2) & (freqs <= 40)
    u = np.log(freqs[used] / 10)
    fitted = np.polynomial.polynomial.polyfit(u, np.log(psd.mean(0)[used]), 2)
    np.testing.assert_allclose(fitted[1:], [-exponent, -curvature], atol=0.04)


def test_record_leaves_out_what_is_rarely_on() -> None:
    assert "task_gain" not in EegTruth().to_dict()
    assert EegTruth(task_gain=1.0).to_dict()["task_gain"] == 1.0
    assert FnirsTruth().to_dict() == {
        "coupled_fraction": 0.0, "lag_s": 2.0, "systemic_gain": 1.0, "common_systemic": 0.0,
    }  # fmt: skip


def test_band_noise_stays_in_its_band() -> None:
    freqs, psd = welch_psd(band_noise((5, 20_000), 128.0, (8.0, 12.0), np.random.default_rng(0)), 128.0)
    power = psd.mean(0)
    assert power[(freqs > 7.5) & (freqs < 12.5)].sum() > 0.999 * power.sum()
