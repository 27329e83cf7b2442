"""Coherence of Gaussian pairs, against theory."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import hyp2f1

import hyperscan.metrics as metrics


@pytest.mark.parametrize("rho", [0.0, 0.2, 0.5, 0.8, 0.95])
def test_plv_and_power_correlation_of_gaussian_pairs_follow_theory(rho):
    rng = np.random.default_rng(round(rho * 100))
    n = 400_000
    x, y = rng.standard_normal((2, 1, n)) + 1j * rng.standard_normal((2, 1, n))
    y = rho * np.exp(0.7j) * x + np.sqrt(1 - rho**2) * y
    expected = np.pi / 4 * rho * hyp2f1(0.5, 0.5, 2, rho**2)
    assert metrics.plv(x, y)[0, 0] == pytest.approx(expected, abs=4e-3)
    assert metrics.coh(x, y)[0, 0] == pytest.approx(rho, abs=4e-3)
    assert metrics.pec(x, y)[0, 0] == pytest.approx(rho**2, abs=1e-2)
