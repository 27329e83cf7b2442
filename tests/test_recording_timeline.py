"""Time stamps: jitter is no gap, jumps are found."""

from __future__ import annotations

import numpy as np

from hyperscan.recording.timeline import find_breaks, fit_stamps


def test_jitter_of_transport_is_no_gap() -> None:
    rng = np.random.default_rng(0)
    n = 30_000
    stamps = np.arange(n) / 500.0 + np.repeat(rng.exponential(0.01, n // 20), 20)
    assert find_breaks(stamps, 500.0).size == 0
    # 10 ms of jitter over one minute know no better
    assert abs(fit_stamps(stamps, 500.0).ppm) < 60


def test_jumps_and_gaps_are_found() -> None:
    rng = np.random.default_rng(0)
    stamps = np.arange(30_000) / 500.0 + rng.normal(0, 2e-4, 30_000)
    stamps[10_000:] += 15.0
    stamps[20_000:] += 0.02
    assert list(find_breaks(stamps, 500.0)) == [10_000, 20_000]
