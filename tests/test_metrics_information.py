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
    steps = rng.integers(0, 2, (2, 4000)) + 1j * rng.integers(0, 2, (2, 4000))
    assert metrics.gcmi(steps[:1], steps[1:])[0, 0] < 0.002


def test_mutual_information_is_that_of_gaussian_signals_at_any_part_of_a_cycle():
    rng = np.random.default_rng(1)
    parts = rng.standard_normal((4, 1, 20000))
    x, y = parts[0] + 1j * parts[1], parts[2] + 1j * parts[3]
    for turn in (1, np.exp(0.7j), 1j):
        noisy = turn * x + y  # half of the client's variance is the therapist's
        assert metrics.gcmi(x, noisy)[0, 0] == pytest.approx(-np.log2(1 - 0.5), abs=0.03)
