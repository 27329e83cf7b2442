"""Information that one person has of the other."""

from __future__ import annotations

import numpy as np
import pytest

import hyperscan.metrics as metrics


def test_transfer_entropy_goes_from_therapist_to_client():
    rng = np.random.default_rng(0)
    therapist = rng.standard_normal((1, 3000))
    client = 0.6 * np.roll(therapist, 5, axis=-1) + rng.standard_normal((1, 3000))
    assert metrics.gcte(therapist, client, 50.0)[0, 0] == pytest.approx(0.5 * np.log2(1.36), abs=0.03)
    assert metrics.gcte(client, therapist, 50.0)[0, 0] < 0.002


def test_ties_in_ranks_are_no_information():
    rng = np.random.default_rng(0)
    steps = rng.integers(0, 2, (2, 4000)).astype(float)
    assert metrics.gcmi(steps[:1], steps[1:])[0, 0] < 0.002
