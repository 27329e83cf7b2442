"""Pairs of people on arrays: simulated, aligned and prepared without a file on the way where that is possible."""

from __future__ import annotations

import functools
import tempfile
import warnings
from pathlib import Path

import mne
import numpy as np

from hyperscan.config import StudyConfig
from hyperscan.recording import PairedRecording, align_pair, preprocess_pair
from hyperscan.schema import ROLES
from hyperscan.simulate import EegTruth, FnirsTruth, Optodes, simulate_eeg, simulate_fnirs
from hyperscan.simulate.fnirs import write_snirf
from hyperscan.study import Session
from hyperscan.synchrony import Signals, signals_of

HERE = Path("study")
CH_NAMES = ("Fz", "F3", "Pz", "O1")
CONFIG = StudyConfig(
    metrics={"eeg": ["plv", "coh", "aec", "corr"]}, bands={"theta": (4, 6), "alpha": (8, 12)}, window_s=10.0
)


@functools.cache
def coupled() -> PairedRecording:
    """Prepare a minute of four channels that are coupled, the third session of its dyad."""
    return preprocess_pair(eeg_pair(CH_NAMES, session=3, coupled_fraction=0.8, lag_s=0.02), CONFIG)


@functools.cache
def fnirs() -> tuple[PairedRecording, StudyConfig]:
    """Prepare five minutes of fNIRS."""
    config = StudyConfig(metrics={"fnirs": ["wtc", "corr"]}, min_seconds=120.0)
    with tempfile.TemporaryDirectory() as folder:
        return fnirs_pair(Path(folder), config), config


def eeg_pair(
    ch_names: tuple[str, ...],
    seconds: float = 60.0,
    seed: int = 0,
    *,
    sfreq: float = 128.0,
    session: int = 1,
    **truth: object,
) -> PairedRecording:
    """Simulate an aligned dyad, named after its seed."""
    data = simulate_eeg(EegTruth(**truth), ch_names, sfreq, seconds, np.random.default_rng(seed + 1000 * (session - 1)))
    raws = [mne.io.RawArray(x, mne.create_info(list(ch_names), sfreq, "eeg"), verbose="error") for x in data]
    names = f"D{seed}", f"T{seed}", f"C{seed}"
    row = Session(*names, session, "eeg", HERE, HERE, HERE, days=7.0 * (session - 1), clock="same_amplifier")
    return align_pair(PairedRecording(*raws, row))


def fnirs_pair(folder: Path, config: StudyConfig, seconds: float = 300.0, seed: int = 3) -> PairedRecording:
    """Simulate a prepared dyad of three optode pairs and a short channel."""
    light = simulate_fnirs(FnirsTruth(0.9, 1.0), Optodes(3, 1), 4.0, seconds, np.random.default_rng(seed))
    raws = []
    for role, data in zip(ROLES, light, strict=True):
        path = folder / f"{role}_{seed}.snirf"
        write_snirf(path, data, Optodes(3, 1), 4.0)
        raws.append(mne.io.read_raw_snirf(path, verbose="error").load_data())
    names = f"D{seed}", f"T{seed}", f"C{seed}"
    row = Session(*names, 1, "fnirs", HERE, HERE, HERE, clock="same_amplifier")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return preprocess_pair(align_pair(PairedRecording(*raws, row)), config)


def both(pair: PairedRecording, config: StudyConfig) -> tuple[Signals, Signals]:
    """Cut therapist and client of a prepared pair down to arrays."""
    return signals_of(pair, "therapist", config), signals_of(pair, "client", config)
