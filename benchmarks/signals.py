"""The arrays of the cases: noise with the spectrum of EEG, in a band, nothing shared but a weak common source."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperscan.transforms import analytic_signal

SFREQ = 500.0
EPOCH = 1000  # 2 s


def noise(n_channels: int, n_times: int, seed: int, dtype: str = "float64") -> NDArray[Any]:
    """Signals with a weak common part, the second half of the channels 15 samples late."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n_channels, n_times), dtype=np.float32).astype(dtype, copy=False)
    common = rng.standard_normal(n_times, dtype=np.float32)
    x += 0.4 * np.repeat([common, np.roll(common, 15)], (n_channels + 1) // 2, axis=0)[:n_channels]
    return x


@lru_cache(maxsize=2)
def epochs(n_epochs: int, n_channels: int, kind: str) -> NDArray[Any]:
    """Analytic signals of the alpha band of two people, (n_epochs, 1, 2 n_channels, 1000)."""
    out = np.empty((n_epochs, 1, 2 * n_channels, EPOCH), dtype=kind)
    for channel in range(2 * n_channels):
        rng = np.random.default_rng((channel, 1))
        x = rng.standard_normal((n_epochs + 2) * EPOCH)
        x += 0.4 * np.random.default_rng(99).standard_normal(x.size + 15)[15 * (channel < n_channels) :][: x.size]
        # At the very ends all channels are in phase up to rounding, which PLI would count as one side or the other.
        inner = analytic_signal(x, SFREQ, (8.0, 12.0))[EPOCH:-EPOCH]
        out[:, 0, channel] = inner.reshape(n_epochs, EPOCH)
    return out
