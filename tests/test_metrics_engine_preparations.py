"""Preparations of channels: in one pass, or measured and filled."""

from __future__ import annotations

import numpy as np
import pytest

from hyperscan.metrics.engine import preparations


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
@pytest.mark.parametrize("unit", [1e-18, 1.0, 1e18])
@pytest.mark.parametrize("name", ["POWER", "SINE", "ENVELOPE", "ENVELOPE_POWER"])
def test_one_pass_equals_measuring_and_filling(name, unit, dtype):
    # units of 1e-18 and 1e18 leave the range where single precision can be measured in one pass
    rng = np.random.default_rng(1)
    z = (unit * (rng.standard_normal((3, 2500)) + 1j * rng.standard_normal((3, 2500)) + 1)).astype(dtype)
    preparation = getattr(preparations, name)
    one, two = (np.empty((preparation.n_rows * 3, 2500), dtype=z.real.dtype) for _ in range(2))
    preparation.whole(z, one)
    preparation.fill(z, preparation.measure(z), two)
    np.testing.assert_allclose(one, two, rtol=0, atol=1e-12 if dtype == np.complex128 else 5e-6)
    if name != "SINE" or dtype == np.complex128:
        np.testing.assert_allclose(np.square(one).mean() * preparation.n_rows, 1, rtol=1e-6)
