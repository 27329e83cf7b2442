"""Phase locking against reference values of other software and theory."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from hyperscan.metrics import METRICS

REFERENCE = Path(__file__).parents[2] / "shared" / "reference"


@pytest.mark.skipif(not REFERENCE.is_dir(), reason="the folder of reference values is not there")
@pytest.mark.parametrize("name", ["plv", "ppc", "ccorr", "accorr"])
def test_agrees_with_reference_values(name):
    inputs = np.load(REFERENCE / "phase_inputs.npz")
    cases = json.loads((REFERENCE / "phase_truth.json").read_text())
    assert len(cases) >= 7
    for case in cases:
        a, b = (np.exp(1j * inputs[f"{person}{case['i']}"])[np.newaxis] for person in "ab")
        assert METRICS[name].func(a, b)[0, 0] == pytest.approx(case[name], rel=0, abs=1e-9), case["name"]


@pytest.mark.parametrize("name", ["plv", "ccorr", "accorr", "pli"])
def test_samples_below_single_precision_are_nan_not_a_number(name):
    rng = np.random.default_rng(0)
    z = (1e-21 * (rng.standard_normal((2, 1, 500)) + 1j * rng.standard_normal((2, 1, 500)))).astype(np.complex64)
    assert np.isnan(METRICS[name].func(z[0], z[1])).all()
