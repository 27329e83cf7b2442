"""mne_connectivity.spectral_connectivity_epochs with its own estimator: Fourier coefficients of epochs, per frequency.

Ours: coefficients of the band's bins by one matrix product (numpy, below), then the metric with frequencies as
leading dim and epochs as samples, then the mean over the bins.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from signals import EPOCH, SFREQ, noise
from timing import Case, Job

from hyperscan.metrics import METRICS

BAND = (8.0, 12.0)
METHODS = ("plv", "coh", "imcoh", "wpli")


def _coefficients(x: NDArray[Any], kind: str) -> NDArray[Any]:
    """Hann-windowed Fourier coefficients, (n_epochs, n_channels, n_times) -> (n_freqs, n_channels, n_epochs)."""
    freqs = np.fft.rfftfreq(EPOCH, 1 / SFREQ)
    freqs = freqs[(freqs >= BAND[0]) & (freqs <= BAND[1])]
    basis = np.exp(-2j * np.pi * np.outer(np.arange(EPOCH) / SFREQ, freqs)) * np.hanning(EPOCH)[:, None]
    basis -= basis.mean(axis=0)  # the same as removing each epoch's mean
    planar = np.concatenate([basis.real, basis.imag], axis=1)
    parts = x.reshape(-1, EPOCH) @ planar.astype(x.dtype)
    n = len(freqs)
    z = (parts[:, :n] + 1j * parts[:, n:]).astype(kind).reshape(*x.shape[:2], n)
    return np.ascontiguousarray(z.transpose(2, 1, 0))


def _ours(x: NDArray[Any], method: str, kind: str) -> NDArray[Any]:
    z = _coefficients(x, kind)
    return np.asarray(METRICS[method].func(z[:, :64], z[:, 64:]).mean(axis=0))


def _peer(x: NDArray[Any], method: str) -> NDArray[Any]:
    from mne_connectivity import seed_target_indices, spectral_connectivity_epochs

    result = spectral_connectivity_epochs(
        x, method=method, mode="fourier", sfreq=SFREQ, fmin=BAND[0], fmax=BAND[1], faverage=True,
        indices=seed_target_indices(range(64), range(64, 128)), verbose="error",
    )  # fmt: skip
    return np.asarray(result.get_data()).reshape(64, 64)


def _job(small: bool, method: str, kind: str) -> Job:
    n_epochs = 20 if small else 60
    x = noise(128, n_epochs * EPOCH, 3).reshape(128, n_epochs, EPOCH).transpose(1, 0, 2).copy()
    mine = x.astype("float32") if kind == "complex64" else x
    return Job(
        ours=partial(_ours, mine, method, kind),
        peer=partial(_peer, x, method),
        difference=lambda ours, peer: float(np.abs(np.abs(ours) - np.abs(peer)).max()),
        tolerance=1e-7 if kind == "complex128" else 2e-5,
        repeats=7,
        note=f"64 + 64 channels, {n_epochs} epochs of 2 s, {BAND[0]:g}-{BAND[1]:g} Hz averaged"
        + ("" if kind == "complex128" else "; input as float32 for ours, float64 for the peer, which converts"),
    )


CASES = tuple(
    Case("spectral_connectivity_epochs, its own estimator", f"{method}, {kind}", "mne-connectivity", 10.0,
         partial(_job, method=method, kind=kind))
    for kind in ("complex64", "complex128")
    for method in METHODS
)  # fmt: skip
