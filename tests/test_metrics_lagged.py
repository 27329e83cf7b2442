"""Phase-lag indices sample by sample."""

from __future__ import annotations

import numpy as np
import pytest

from hyperscan.metrics import METRICS


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_phase_lag_index_counts_the_sign_of_every_sample(dtype):
    rng = np.random.default_rng(2)
    a, b = ((rng.standard_normal((n, 999)) + 1j * rng.standard_normal((n, 999))).astype(dtype) for n in (5, 3))
    sines = (a[:, None] * b.conj()).imag / np.abs(a[:, None] * b)
    sines[np.abs(sines) <= 16 * np.finfo(sines.dtype).eps] = 0
    np.testing.assert_array_equal(
        np.round(METRICS["pli"].func(a, b) * 999).astype(int), np.abs(np.sign(sines).sum(axis=-1)).astype(int)
    )
