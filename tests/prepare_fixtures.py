"""Recordings with known truth and known faults, for the tests of preparation and their table in the docs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import mne
import numpy as np
from scipy.signal import butter, sosfiltfilt

from hyperscan.recording.cleaning.channels import standard_montage
from hyperscan.recording.records import ClockReport, PairedRecording, Segment
from hyperscan.study.session import Session

CAP = [
    *("Fp1", "Fp2", "F7", "F3", "Fz", "F4", "F8", "T7", "C3", "Cz", "C4", "T8", "P7", "P3", "Pz", "P4", "P8"),
    *("PO3", "PO4", "O1", "Oz", "O2", "FC1", "FC2", "CP1", "CP2", "FC5", "FC6", "CP5", "CP6", "AF3", "AF4"),
]
POSTERIOR = tuple(name for name in CAP if name[0] in "PO")


def session_of(modality: str, **changes: object) -> Session:
    root = Path("study")
    base = Session("D01", "T1", "C1", 1, modality, root / "t.edf", root / "c.edf", root)
    return replace(base, **changes)


def pair_of(therapist, client, modality: str = "eeg", residual_ms: float = 0.0, **changes) -> PairedRecording:
    seconds = min(raw.n_times / raw.info["sfreq"] for raw in (therapist, client))
    clock = ClockReport("triggers", 0.0, 0.0, residual_ms, 10)
    session = session_of(modality, **changes)
    return PairedRecording(therapist, client, session, (Segment(0.0, seconds),), clock)


def one_over_f(shape, sfreq: float, rng: np.random.Generator, exponent: float = 1.0) -> np.ndarray:
    spectrum = np.fft.rfft(rng.standard_normal(shape))
    freqs = np.fft.rfftfreq(shape[-1], 1 / sfreq)
    spectrum *= np.maximum(freqs, 0.3) ** (-exponent / 2)
    x = np.fft.irfft(spectrum, shape[-1])
    return x / x.std(-1, keepdims=True)


def rhythm(n: int, sfreq: float, rng: np.random.Generator, centre: float = 10.0, width: float = 1.0) -> np.ndarray:
    sos = butter(2, (centre - width / 2, centre + width / 2), "bandpass", fs=sfreq, output="sos")
    x = sosfiltfilt(sos, rng.standard_normal(n))
    return x / x.std()


def positions(names=CAP) -> np.ndarray:
    places = mne.channels.make_standard_montage(standard_montage()).get_positions()["ch_pos"]
    return np.array([places[name] for name in names])


def brain(
    rng: np.random.Generator,
    seconds: float = 60.0,
    sfreq: float = 250.0,
    names=CAP,
    alpha: float = 1.0,
    source: np.ndarray | None = None,
    centre: float = 10.0,
) -> np.ndarray:
    """Volume-conducted 1/f background and a posterior rhythm, in V, shape (n_channels, n_times)."""
    n = round(seconds * sfreq)
    places = positions(names)
    distance = np.linalg.norm(places[:, None] - places[None], axis=-1)
    mixing = np.exp(-((distance / 0.06) ** 2))
    x = mixing @ one_over_f((len(names), n), sfreq, rng)
    x = 10 * x / x.std(-1, keepdims=True)
    weight = (
        np.exp(-((np.linalg.norm(places - places[list(names).index("Oz")], axis=-1) / 0.06) ** 2))
        if "Oz" in names
        else 1
    )
    wave = rhythm(n, sfreq, rng, centre) if source is None else source
    x = x + 10 * alpha * np.multiply.outer(weight * np.ones(len(names)), wave)
    return (x + 0.3 * rng.standard_normal(x.shape)) * 1e-6


def eeg_raw(data: np.ndarray, sfreq: float = 250.0, names=CAP) -> mne.io.BaseRaw:
    return mne.io.RawArray(data, mne.create_info(list(names), sfreq, "eeg"), verbose="error")


def backwards(raw: mne.io.BaseRaw, by: int = 0) -> mne.io.BaseRaw:
    """Another person of the same spectrum: the samples in reverse, turned round by some of them."""
    return mne.io.RawArray(np.roll(raw.get_data()[:, ::-1], by, axis=-1), raw.info, verbose="error")


def clean_pair(seed: int = 0, seconds: float = 60.0, **options) -> PairedRecording:
    rng = np.random.default_rng(seed)
    return pair_of(*(eeg_raw(brain(rng, seconds, **options)) for _ in range(2)))


def fingerprint(pair: PairedRecording) -> list:
    return [
        (
            raw.get_data().tobytes(),
            list(raw.ch_names),
            str(raw.annotations),
            raw.info["sfreq"],
            list(raw.info["bads"]),
        )
        for raw in (pair.therapist, pair.client)
    ]


@dataclass(frozen=True)
class Probe:
    """Optodes of one person: long channels, short channels, and where their numbering starts."""

    n_long: int = 4
    n_short: int = 2
    first: int = 1

    @property
    def lengths_mm(self) -> list[float]:
        return [30.0] * self.n_long + [8.0] * self.n_short

    @property
    def bases(self) -> list[str]:
        return [f"S{self.first + k}_D{self.first + k}" for k in range(self.n_long + self.n_short)]


EXTINCTION = np.array([[134.96, 356.62], [243.66, 159.21]])  # HbO, HbR in 1/(M mm) at 760 and 850 nm, MNE's table
PPF = 6.0


def slow(n: int, sfreq: float, rng: np.random.Generator, band=(0.02, 0.1)) -> np.ndarray:
    freqs = np.fft.rfftfreq(n, 1 / sfreq)
    spectrum = np.fft.rfft(rng.standard_normal(n)) * ((freqs >= band[0]) & (freqs <= band[1]))
    x = np.fft.irfft(spectrum, n)
    return x / x.std()


def optical(
    hbo: np.ndarray,
    scalp: np.ndarray,
    probe: Probe,
    sfreq: float,
    rng: np.random.Generator,
    beat: float = 0.004,
) -> np.ndarray:
    """Optical density of a probe, both wavelengths side by side: (2 * n_channels, n_times).

    `hbo` (n_long, n_times) in M is the brain's, HbR its mirror at a third; `scalp` (n_times,) in M is in
    every channel.
    """
    n = hbo.shape[-1]
    pulse = beat * rhythm(n, sfreq, rng, 1.1, 0.2) if beat else np.zeros(n)
    rows = []
    for channel, mm in enumerate(probe.lengths_mm):
        own = hbo[channel] if mm > 15 else np.zeros(n)
        for low in range(2):
            brain_part = EXTINCTION[low] @ np.array([own, -own / 3]) * mm * PPF
            scalp_part = EXTINCTION[low, 0] * scalp * 30 * PPF * (1 if mm > 15 else 0.8)
            rows.append(brain_part + scalp_part + pulse + 2e-4 * rng.standard_normal(n))
    return np.array(rows)


def fnirs_raw(
    density: np.ndarray, probe: Probe, sfreq: float = 8.0, kind: str = "fnirs_cw_amplitude"
) -> mne.io.BaseRaw:
    names = [f"{base} {wave}" for base in probe.bases for wave in (760, 850)]
    data = np.exp(-density) if kind == "fnirs_cw_amplitude" else density
    raw = mne.io.RawArray(data, mne.create_info(names, sfreq, kind), verbose="error")
    for at, ch in enumerate(raw.info["chs"]):
        channel = at // 2
        source = np.array([0.03 * channel, 0.0, 0.05])
        detector = source + np.array([0, probe.lengths_mm[channel] / 1000, 0])
        ch["loc"][:9] = np.concatenate([(source + detector) / 2, source, detector])
        ch["loc"][9] = (760.0, 850.0)[at % 2]
    return raw


def fnirs_pair(
    seed: int = 0,
    seconds: float = 300.0,
    sfreq: float = 8.0,
    common: float = 0.0,
    scalp_m: float = 1e-6,
    probe=None,
) -> tuple[PairedRecording, list[np.ndarray]]:
    """A pair without neural coupling, and each person's true HbO (n_long, n_times)."""
    rng = np.random.default_rng(seed)
    probe = probe or Probe()
    n = round(seconds * sfreq)
    shared = slow(n, sfreq, rng)
    raws, truth = [], []
    for _ in range(2):
        hbo = 0.5e-6 * np.array([slow(n, sfreq, rng) for _ in range(probe.n_long)])
        scalp = scalp_m * (np.sqrt(common) * shared + np.sqrt(1 - common) * slow(n, sfreq, rng))
        raws.append(fnirs_raw(optical(hbo, scalp, probe, sfreq, rng), probe, sfreq))
        truth.append(hbo)
    return pair_of(*raws, "fnirs"), truth


def band_limited(x: np.ndarray, sfreq: float, band) -> np.ndarray:
    return sosfiltfilt(butter(3, band, "bandpass", fs=sfreq, output="sos"), x, axis=-1)


def passband_of(data, names=CAP, sfreq=250.0):
    """The truth as the chain sees it: the same passband, average reference."""
    filtered = mne.filter.filter_data(data, sfreq, 1.0, 40.0, verbose="error")
    return filtered - filtered.mean(0) if len(names) >= 16 else filtered


def correlation_with_truth(raw, truth, mask):
    return float(np.corrcoef(raw[:, mask].ravel(), truth[:, mask].ravel())[0, 1])


def hbo_of(raw):
    return raw.get_data(picks=[name for name in raw.ch_names if name.endswith("hbo")])


def mean_correlation(a, b):
    return float(np.mean([abs(np.corrcoef(x, y)[0, 1]) for x in a for y in b]))
