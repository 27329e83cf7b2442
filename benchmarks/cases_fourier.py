"""mne_connectivity.spectral_connectivity_epochs with its own estimator: Fourier coefficients of epochs, per frequency.

Ours: `hyperscan.transforms.fourier_coefficients` of the band, then the metric with frequencies as leading dim and
epochs as samples, then the mean over the frequencies.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from signals import EPOCH, SFREQ, noise
from timing import Case, Job

from hyperscan.metrics import METRICS
from hyperscan.transforms import fourier_coefficients

BAND = (8.0, 12.0)
METHODS = ("plv", "coh", "imcoh", "wpli")


def _ours(x: NDArray[Any], method: str) -> NDArray[Any]:
    z = fourier_coefficients(x, SFREQ, BAND)
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
        ours=partial(_ours, mine, method),
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
