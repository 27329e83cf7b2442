"""Simulated EEG holds what its truth says."""

from __future__ import annotations

import numpy as np
import pytest

from hyperscan.simulate import (
    EegTruth,
    simulate_eeg,
)
from hyperscan.simulate.signals import delay
from hyperscan.transforms import analytic_signal

SITES = ("Fz", "Pz", "O1")


def eeg(seed: int = 0, seconds: float = 200.0, **truth: object) -> tuple[np.ndarray, np.ndarray]:
    return simulate_eeg(EegTruth(**truth), SITES, 128.0, seconds, np.random.default_rng(seed))


@pytest.mark.parametrize(("lag_s", "degrees"), [(0.0, 0.0), (0.025, 90.0), (-0.025, -90.0)])
def test_therapist_leads_by_a_positive_lag(lag_s: float, degrees: float) -> None:
    a, b = eeg(coupled_fraction=1.0, lag_s=lag_s, rhythm_gain=(3.0, 3.0))
    u, v = (analytic_signal(x[2:], 128.0, (9.0, 11.0)) for x in (a, b))
    assert np.degrees(np.angle(np.vdot(v, u))) == pytest.approx(degrees, abs=3)


def test_gains_act_on_one_person_each() -> None:
    quiet, loud = eeg(rhythm_gain=(0.0, 2.0), background_gain=(1.0, 1e-6))
    assert quiet[2].std() == pytest.approx(10e-6, rel=0.01)
    assert loud[2].std() == pytest.approx(24e-6, rel=0.03)


@pytest.mark.parametrize(("kind", "frontal"), [("broadband", 1.0), ("narrowband", 1.0), ("topography", 0.08)])
def test_artefact_is_common_and_has_its_topography(kind: str, frontal: float) -> None:
    without, with_it = eeg(), eeg(artefact=kind, artefact_gain=5.0)
    added = [person[0] - bare[0] for person, bare in zip(with_it, without, strict=True)]
    occipital = with_it[0][2] - without[0][2]
    # the artefact is drawn before the backgrounds, so these differ between the two runs
    corr = np.corrcoef(with_it[0][2], with_it[1][2])[0, 1]
    assert corr > 0.8
    assert added[0].std() / occipital.std() == pytest.approx(max(frontal, 0.2), abs=0.25)


def test_task_is_shared_by_sessions_of_one_seed_only() -> None:
    kwargs = {"task_gain": 3.0, "rhythm_gain": (2.0, 2.0)}
    (a, _), (other, _), (elsewhere, _) = (
        eeg(seed, task_seed=task, **kwargs) for seed, task in ((0, 7), (1, 7), (2, 8))
    )
    assert np.corrcoef(a[2], other[2])[0, 1] > 0.7
    assert abs(np.corrcoef(a[2], elsewhere[2])[0, 1]) < 0.15


def test_clock_runs_fast() -> None:
    seconds, ppm = 100.0, 100.0
    same, fast = (eeg(seconds=seconds, clock_ppm=p)[1][2] for p in (0.0, ppm))
    last = slice(-1280, None)
    shifts = np.arange(-2, 3) / 128
    late = delay(same, 128.0, seconds * ppm * 1e-6)
    assert np.corrcoef(late[last][100:-100], fast[last][100:-100])[0, 1] > 0.99
    assert np.corrcoef(same[last][100:-100], fast[last][100:-100])[0, 1] < 0.95
    assert len(shifts) == 5
