"""Analytic signals of four bands of a 45-minute recording at 500 Hz, against MNE's filter and Hilbert transform."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from limits import fft_msamples
from numpy.typing import NDArray
from signals import noise
from timing import Case, Job

from hyperscan.transforms import analytic_bands

BANDS = {"theta": (4.0, 7.0), "alpha": (8.0, 12.0), "beta": (13.0, 30.0), "gamma": (30.0, 45.0)}
SFREQ = 500.0
N_CHANNELS = 16
# Samples at each end left out of the comparison: the filtered signals agree to rounding, but the ends of MNE's Hilbert
# transform reach far inwards.
EDGE = int(60 * SFREQ)


def _ours(x: NDArray[Any], decim: int) -> list[NDArray[Any]]:
    return [z for _, z in analytic_bands(x, SFREQ, BANDS, decim=decim)]


def _one_at_a_time(x: NDArray[Any], decim: int) -> list[NDArray[Any]]:
    """Bands as a run takes them: released before the next one is filtered; the last one is returned."""
    for _, z in analytic_bands(x, SFREQ, BANDS, decim=decim):
        last = [z]
        del z
    return last


def _peer(x: NDArray[Any]) -> list[NDArray[Any]]:
    import mne

    raw = mne.io.RawArray(x, mne.create_info(len(x), SFREQ, "eeg"), copy="both", verbose="error")
    out = []
    for low, high in BANDS.values():
        band = raw.copy().filter(low, high, verbose="error").apply_hilbert(verbose="error")
        out.append(band.get_data())
    return out


def _difference(ours: list[NDArray[Any]], peer: list[NDArray[Any]], decim: int) -> float:
    """Largest relative rms difference of a band, away from the ends."""
    worst = 0.0
    for z, reference in zip(ours, peer[-len(ours) :], strict=True):
        inner = slice(EDGE // decim, -(EDGE // decim))
        full = reference[:, ::decim][:, inner]
        worst = max(worst, float(np.sqrt(np.mean(np.abs(z[:, inner] - full) ** 2) / np.mean(np.abs(full) ** 2))))
    return worst


def _job(small: bool, kind: str, decim: int, stored: bool = True) -> Job:
    n_times = int((300 if small else 2700) * SFREQ)
    x = noise(N_CHANNELS, n_times, 5)
    mine = x.astype(kind)
    # Per band one real forward transform and one complex one of the output's length, both of blocks in cache.
    single = kind == "float32"
    samples = N_CHANNELS * n_times
    limit = len(BANDS) * samples / fft_msamples(kind, 8192) / 1e6
    limit += len(BANDS) * samples / decim / fft_msamples("complex64" if single else "complex128", 8192) / 1e6
    return Job(
        ours=partial(_ours if stored else _one_at_a_time, mine, decim),
        peer=partial(_peer, x),
        difference=partial(_difference, decim=decim),
        # the ends of MNE's Hilbert transform reach inwards, and weigh more in a short recording
        tolerance=2e-3 if small else 5e-4,
        repeats=3,
        note=f"{N_CHANNELS} channels" + (f", every {decim}th sample returned" if decim > 1 else ""),
        limit_seconds=limit,
    )


TOPIC = "four bands of analytic signal, 45 min, vs mne filter + apply_hilbert"
CASES = (
    Case(TOPIC, "float32, every 5th sample", "mne", None, partial(_job, kind="float32", decim=5)),
    Case(TOPIC, "float32, one band at a time", "mne", 20.0, partial(_job, kind="float32", decim=1, stored=False)),
    Case(TOPIC, "float32, exact mode", "mne", 12.0, partial(_job, kind="float32", decim=1)),
    Case(TOPIC, "float64, exact mode", "mne", None, partial(_job, kind="float64", decim=1)),
)
