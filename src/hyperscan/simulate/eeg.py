"""EEG of a therapist and a client with a known shared part."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hyperscan.errors import InputError, did_you_mean
from hyperscan.simulate.signals import Truth, band_noise, coupled_pair, power_law_noise, rarely

Array = npt.NDArray[np.float64]

#: How strongly each site of a 10-20 cap carries the posterior rhythm (our choice; 1 = fully).
TOPOGRAPHY = {
    "Fp1": 0.05,
    "Fp2": 0.05,
    "F3": 0.08,
    "F4": 0.08,
    "Fz": 0.08,
    "F7": 0.05,
    "F8": 0.05,
    "C3": 0.25,
    "C4": 0.25,
    "Cz": 0.25,
    "T7": 0.15,
    "T8": 0.15,
    "P3": 0.8,
    "P4": 0.8,
    "Pz": 0.9,
    "P7": 0.6,
    "P8": 0.6,
    "O1": 1.0,
    "O2": 1.0,
}

#: Kinds of a common artefact.
ARTEFACTS = ("", "broadband", "narrowband", "topography")

#: Standard deviations in V of the 1/f background, and of the rhythm where it is full (our choice).
BACKGROUND_V = 10e-6
RHYTHM_V = 12e-6


@dataclass(frozen=True)
class EegTruth(Truth):
    """What one simulated EEG session holds."""

    #: Shared part of the two rhythms' power, 0 to 1
    coupled_fraction: float = 0.0
    #: How much later the client is, in s
    lag_s: float = 0.025
    #: Amplitude of the rhythm of therapist and client, 1 = as usual
    rhythm_gain: tuple[float, float] = (1.0, 1.0)
    #: Width of the rhythm around 10 Hz
    bandwidth_hz: float = 4.0
    #: Kind of a common artefact: ``''``, ``broadband``, ``narrowband`` (both on all channels) or ``topography``
    #: (narrowband, with the rhythm's own topography)
    artefact: str = ""
    #: Amplitude of the artefact relative to the background
    artefact_gain: float = 0.0
    #: Power law of the background
    exponent: float = 1.0
    #: How much faster the client's clock runs, in parts per million
    clock_ppm: float = 0.0
    #: Amplitude of the background of therapist and client, 1 = as usual
    background_gain: tuple[float, float] = rarely((1.0, 1.0))
    #: Log-power background falls by ``curvature * log(f / 10 Hz) ** 2`` on top of the power law: concave if positive
    curvature: float = rarely(0.0)
    #: Amplitude, relative to the rhythm, of a response of both people to the timing of a task
    task_gain: float = rarely(0.0)
    #: Seed of that response: sessions of one seed share it, whoever takes part
    task_seed: int = rarely(0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.artefact not in ARTEFACTS:
            known = ", ".join(map(repr, ARTEFACTS))
            raise InputError(
                f"artefact = {self.artefact!r}: expected one of {known}.{did_you_mean(self.artefact, ARTEFACTS)}"
            )
        if not 0 < self.bandwidth_hz < 20:
            raise InputError(
                f"bandwidth_hz = {self.bandwidth_hz!r}: expected a width above 0 and below 20, around 10 Hz."
            )


def simulate_eeg(
    truth: EegTruth, ch_names: tuple[str, ...], sfreq: float, duration_s: float, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Make one session of two people's EEG.

    Shapes: ``therapist, client`` (n_channels, n_times).

    Examples
    --------
    >>> t, c = simulate_eeg(EegTruth(0.5), ("Cz", "O1"), 128.0, 10.0, np.random.default_rng(0))
    >>> t.shape
    (2, 1280)
    """
    unknown = [name for name in ch_names if name not in TOPOGRAPHY]
    if unknown or not ch_names or len(set(ch_names)) < len(ch_names):
        raise InputError(f"ch_names = {ch_names!r}: expected one or more of {', '.join(TOPOGRAPHY)}, each once.")
    n_times = round(duration_s * sfreq)
    gain = np.array([TOPOGRAPHY[name] for name in ch_names])
    shape = (len(gain), n_times)
    half = truth.bandwidth_hz / 2
    rhythms = coupled_pair(n_times, sfreq, (10 - half, 10 + half), truth.coupled_fraction, rng, lag_s=truth.lag_s)
    artefact = _artefact(truth, gain, n_times, sfreq, rng)
    response = _response(truth, n_times, sfreq)
    therapist, client = (
        BACKGROUND_V * level * power_law_noise(shape, sfreq, truth.exponent, rng, curvature=truth.curvature)
        + RHYTHM_V * person_gain * gain[:, None] * (rhythm + response)
        + artefact
        for rhythm, person_gain, level in zip(rhythms, truth.rhythm_gain, truth.background_gain, strict=True)
    )
    return therapist, _run_fast(client, truth.clock_ppm)


def _artefact(truth: EegTruth, gain: Array, n_times: int, sfreq: float, rng: np.random.Generator) -> Array:
    if not truth.artefact:
        return np.zeros((len(gain), n_times))
    if truth.artefact == "broadband":
        common = power_law_noise((n_times,), sfreq, 0.5, rng)
    else:
        common = band_noise((n_times,), sfreq, (8.0, 12.0), rng)
    weight = gain if truth.artefact == "topography" else np.ones_like(gain)
    return BACKGROUND_V * truth.artefact_gain * weight[:, None] * common


def _response(truth: EegTruth, n_times: int, sfreq: float) -> Array:
    """Make what a task of fixed timing evokes in anyone who does it."""
    if not truth.task_gain:
        return np.zeros(n_times)
    return truth.task_gain * band_noise((n_times,), sfreq, (8.0, 12.0), np.random.default_rng(truth.task_seed))


def _run_fast(x: Array, ppm: float) -> Array:
    if not ppm:
        return x
    n_times = x.shape[-1]
    # oversampled in the spectrum first, so that linear interpolation between the points is exact enough
    factor = 8
    fine = np.fft.irfft(np.fft.rfft(x), n=factor * n_times) * factor
    fine_grid = np.arange(factor * n_times) / factor
    true_time = np.arange(n_times) / (1 + ppm * 1e-6)
    return np.stack([np.interp(true_time, fine_grid, row) for row in fine])
