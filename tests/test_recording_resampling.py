"""A signal read off between its samples, against the continuous one."""

from __future__ import annotations

import numpy as np

from hyperscan.recording.resampling import interpolate, lower_rate


def test_interpolation_against_the_continuous_signal() -> None:
    sfreq, n = 250.0, 5000
    rng = np.random.default_rng(0)
    freqs, phases = rng.uniform(1, 40, 20), rng.uniform(0, 6, 20)

    def signal(t: np.ndarray) -> np.ndarray:
        return np.sin(2 * np.pi * freqs[:, None] * t + phases[:, None]).sum(axis=0)

    for step in (1 + 80e-6, 1.0, 0.93):
        positions = 40.3 + step * np.arange(4000)
        found = interpolate(signal(np.arange(n) / sfreq)[None], positions)[0]
        assert np.abs(found - signal(positions / sfreq)).max() < 3e-3


def test_lower_rate_is_anti_aliased() -> None:
    t = np.arange(10_240) / 512.0
    low, rate = lower_rate(np.sin(2 * np.pi * 200 * t)[None], 512.0, 128.0)
    assert rate == 128.0
    assert np.abs(low[:, 50:-50]).max() < 1e-2
    low, _ = lower_rate(np.sin(2 * np.pi * 20 * t)[None], 512.0, 128.0)
    np.testing.assert_allclose(low[0, 50:-50], np.sin(2 * np.pi * 20 * np.arange(2560) / 128.0)[50:-50], atol=5e-3)
