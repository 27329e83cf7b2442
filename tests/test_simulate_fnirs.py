"""Simulated fNIRS holds what its truth says."""

from __future__ import annotations

import numpy as np

from hyperscan.simulate import (
    FnirsTruth,
    Optodes,
    simulate_fnirs,
)


def fnirs(seed: int = 0, **truth: object) -> tuple[np.ndarray, np.ndarray]:
    return simulate_fnirs(FnirsTruth(**truth), Optodes(), 4.0, 600.0, np.random.default_rng(seed))


def test_haemoglobin_comes_back_from_light() -> None:
    """The light of a channel, turned back, is the coupled signal with noise of the scalp."""
    a, b = fnirs(coupled_fraction=1.0, lag_s=0.0, systemic_gain=0.0, noise_gain=0.0)
    density = [-np.log(person[:2] / person[:2].mean(-1, keepdims=True)) for person in (a, b)]
    extinction = np.array([[134.96, 356.62], [243.66, 159.21]]) * 30 * 6
    hbo, hbr = np.moveaxis([np.linalg.solve(extinction, d) for d in density], 1, 0)
    # 1 / (1 + .3**2) of the power is shared, apart from the heart beat
    slow = [np.convolve(x, np.ones(8) / 8, "valid") for x in hbo]
    assert np.corrcoef(*slow)[0, 1] > 0.8
    assert np.corrcoef(hbo[0], hbr[0])[0, 1] < -0.3


def test_instrument_noise_and_motion_and_task() -> None:
    calm, noisy = fnirs()[0], fnirs(noise_gain=1000.0)[0]
    assert np.diff(noisy).std() > 5 * np.diff(calm).std()
    a, b = (np.abs(np.diff(np.log(person), axis=-1)).max(0) for person in fnirs(motion_per_min=2.0))
    jumps = [set(np.flatnonzero(x > 0.05)) for x in (a, b)]
    assert len(jumps[0] & jumps[1]) > 10
    tasks = [np.log(fnirs(seed, task_gain=20.0, task_seed=3, systemic_gain=0.0)[0][0]) for seed in (0, 1)]
    assert np.corrcoef(*tasks)[0, 1] > 0.8
