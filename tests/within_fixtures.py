"""One prepared person of arrays, with a background and a posterior rhythm."""

from __future__ import annotations

import numpy as np

from hyperscan.config import StudyConfig
from hyperscan.schema import Index, SessionKey
from hyperscan.simulate.signals import band_noise, power_law_noise
from hyperscan.synchrony import Signals, WithinValue, recipe_of, within_values

SFREQ, N_WINDOW = 128.0, 1280
NAMES = ("F3", "Fz", "F4", "F7", "F8", "P3", "Pz", "O1", "O2")
ROIS = {"all": tuple(range(9)), "frontal": (0, 1, 2, 3, 4), "parietal": (5, 6), "occipital": (7, 8)}
CONFIG = StudyConfig(bands={"theta": (4, 8), "alpha": (8, 12)}, window_s=10.0)


def person(data: np.ndarray, sfreq: float = SFREQ, names: tuple[str, ...] = NAMES) -> tuple[Signals, np.ndarray]:
    """Make a prepared person of arrays in V, and the first samples of all windows."""
    n_windows = data.shape[-1] // N_WINDOW
    starts = np.arange(n_windows) * N_WINDOW
    nothing = np.full(len(names), np.nan)
    signals = Signals(
        person="C1",
        key=SessionKey("D1", 1, "eeg", "", ""),
        sfreq=sfreq,
        ch_names=names,
        rois={name: tuple(at for at in where if at < len(names)) for name, where in ROIS.items()},
        data={"eeg": data.astype(np.float32)},
        spans=np.array([[0, data.shape[-1]]]),
        windows=np.stack([np.zeros(n_windows, int), starts], axis=1),
        clean=np.ones(n_windows, bool),
        s2_line=nothing,
        s2_quad=nothing,
        xyz=np.full((len(names), 3), np.nan),
    )
    return signals, starts


def cap(seconds: int = 120, seed: int = 0, gain: float = 1.0) -> np.ndarray:
    """Make a 1/f background of 10 µV and a posterior rhythm."""
    rng, n_times = np.random.default_rng(seed), round(seconds * SFREQ)
    weight = np.array([0.2, 0.2, 0.4, 0.1, 0.1, 0.8, 0.9, 1.0, 1.0])[:, None]
    background = 10e-6 * power_law_noise((9, n_times), SFREQ, 1.0, rng)
    return background + gain * 12e-6 * weight * band_noise((n_times,), SFREQ, (9.0, 11.0), rng)


def found(data: np.ndarray, config: StudyConfig = CONFIG) -> dict[Index, WithinValue]:
    signals, starts = person(data)
    return {each.index: each for each in within_values(signals, starts, N_WINDOW, recipe_of(config, "eeg"))}
