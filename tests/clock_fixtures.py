"""Two devices that see one rhythm on clocks of their own, for the tests of alignment."""

from __future__ import annotations

from pathlib import Path

import mne
import numpy as np
import pytest

import recording_fixtures as make
from hyperscan.errors import ClockError
from hyperscan.recording import PairedRecording, Segment, align_pair


def rhythm(t: np.ndarray) -> np.ndarray:
    """A 10-Hz rhythm of slowly wandering phase in V, on true time."""
    return 1e-5 * np.sin(2 * np.pi * (10 * t + 2 * np.sin(0.05 * t)))


def device(seed: int, own: np.ndarray, sfreq: float, events: np.ndarray | None = None) -> mne.io.BaseRaw:
    """Return what a device records at true times ``own``, and its triggers in s of its own clock."""
    rng = np.random.default_rng(seed)
    data = rhythm(own)[None] + 1e-7 * rng.standard_normal((2, len(own)))
    raw = mne.io.RawArray(data, mne.create_info(["Pz", "Oz"], sfreq, "eeg"), verbose="ERROR")
    if events is not None:
        raw.set_annotations(mne.Annotations(events, 0.0, "S1"), verbose="ERROR")
    return raw


def pair_of(a: mne.io.BaseRaw, b: mne.io.BaseRaw, modality: str = "eeg", **changes) -> PairedRecording:
    root = Path("/study")
    row = make.session(root, "t.edf", "c.edf", modality, **changes)
    return PairedRecording(a, b, row, (Segment(0.0, a.n_times / a.info["sfreq"], ""),))


def refused(pair: PairedRecording, *words: str) -> None:
    with pytest.raises(ClockError) as caught:
        align_pair(pair)
    make.check_message(caught.value, Path("/study"), *words)


def placed(pair: PairedRecording, first: float, stop: float) -> float:
    """Return the difference of the two people's rhythms from a time to another, as a share of the rhythm."""
    x, y = (raw.get_data(tmin=first, tmax=stop)[0] for raw in (pair.therapist, pair.client))
    return float(np.std(x - y) / np.std(x))


def paused(names: tuple[str, ...], own: np.ndarray) -> np.ndarray:
    """Return the rhythm at true times, in microvolts."""
    noise = 4e-7 * np.random.default_rng(7).standard_normal((len(names), len(own)))
    return 1e6 * (rhythm(own)[None] + noise)


def own_times(lost: float) -> np.ndarray:
    """60 s at 250 Hz of which some after 20 s were not recorded."""
    true = np.arange(15_000) / 250.0
    return true[(true < 20.0) | (true >= 20.0 + lost)]


def whole_partner(root: Path, seconds: float = 60.0) -> None:
    raw = device(1, np.arange(round(seconds * 250)) / 250.0, 250.0)
    raw.save(root / "t-raw.fif", overwrite=True, verbose="ERROR")


SESSION_S = 2700.0


def events_of_two_devices(seed: int) -> tuple[np.ndarray, np.ndarray, float, float]:
    """100 triggers in 45 min; each device misses 20 %, adds 10 %, and jitters by 1 ms."""
    rng = np.random.default_rng(seed)
    times = np.sort(rng.uniform(0, SESSION_S, 100))
    offset, ppm = rng.uniform(-10, 10), rng.uniform(-100, 100)

    def seen(true: np.ndarray) -> np.ndarray:
        kept = true[rng.random(100) > 0.2]
        return np.sort(np.concatenate([kept + rng.normal(0, 1e-3, len(kept)), rng.uniform(0, SESSION_S, 10)]))

    return seen(times), seen((times - offset) * (1 + 1e-6 * ppm)), offset, ppm
