"""Wavelet coherence of all pairs of 20 + 20 fNIRS channels, 20 minutes at 7.8 Hz, 0.01-0.1 Hz.

The peers smooth over scales with other kernels than Grinsted's, and so reach other levels; only ours at its default
rate and at full rate can be compared to a tolerance. That difference is the one shown.
"""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from timing import Case, Job

from hyperscan.metrics import wtc
from hyperscan.transforms import wavelet_transform

SFREQ, BAND = 7.8, (0.01, 0.1)


def _signals(small: bool) -> tuple[NDArray[Any], NDArray[Any]]:
    n_channels, minutes = (4, 10) if small else (20, 20)
    rng = np.random.default_rng(17)
    x = np.cumsum(rng.standard_normal((2, n_channels, int(minutes * 60 * SFREQ))), axis=-1)
    return x[0], x[1] + 0.3 * x[0]


def _hypyp(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    from hypyp.wavelet.implementations.pywavelets_wavelet import ComplexMorletWavelet
    from hypyp.wavelet.pair_signals import PairSignals

    wavelet = ComplexMorletWavelet(period_range=(1 / BAND[1], 1 / BAND[0]))  # its cache keeps each channel's transform
    times = np.arange(a.shape[-1]) / SFREQ
    out = np.empty((len(a), len(b)))
    for i, j in np.ndindex(*out.shape):
        pair = PairSignals(times, a[i], b[j], label_ch1=f"S1_{i}", label_ch2=f"S2_{j}", label_s1="S1", label_s2="S2",
                           label_task="rest")  # fmt: skip
        result = wavelet.wtc(pair)
        out[i, j] = np.mean(np.asarray(result.W)[np.asarray(result.periods)[:, None] <= result.coi])
    return out


def _pycwt(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    import pycwt

    dt, dj = 1 / SFREQ, 1 / 12
    first = 1 / BAND[1] / pycwt.Morlet(6).flambda()
    steps = int(np.log2(BAND[1] / BAND[0]) / dj)
    out = np.empty((len(a), len(b)))
    for i, j in np.ndindex(*out.shape):
        r2, _, coi, freqs, _ = pycwt.wct(a[i], b[j], dt, dj=dj, s0=first, J=steps, sig=False)
        out[i, j] = np.mean(r2[(1 / freqs)[:, None] <= coi])
    return out


def _rate_error(a: NDArray[Any], b: NDArray[Any], ours: NDArray[Any], _: Any) -> float:
    n = min(4, len(a))
    full = (wavelet_transform(x[:n], SFREQ, BAND, oversampling=None) for x in (a, b))
    return float(np.abs(ours[:n, :n] - wtc(*full, SFREQ, BAND)).max())


def _job(small: bool, peer: Any, rows: int, columns: int, kind: str) -> Job:
    a, b = _signals(small)
    mine = a.astype(kind), b.astype(kind)
    rows, columns = min(rows, len(a)), min(columns, len(b))
    share = len(a) * len(b) / (rows * columns)

    def quiet() -> NDArray[Any]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return np.asarray(peer(a[:rows], b[:columns]))

    quiet_note = "" if share == 1 else f"; the peer ran {rows} x {columns} pairs, its time x {share:g}"
    return Job(
        ours=partial(wtc, *mine, SFREQ, BAND),
        peer=quiet,
        difference=partial(_rate_error, a, b),
        tolerance=1e-4,
        scale=share,
        repeats=3,
        note=f"{kind}; difference: default against full rate of ours" + quiet_note,
        measure_memory=share == 1 or small,
    )


TOPIC = "WTC, all pairs 20 x 20, 20 min at 7.8 Hz"
CASES = tuple(
    Case(TOPIC, f"wtc, {kind}", name, target, partial(_job, peer=peer, rows=rows, columns=columns, kind=kind))
    for kind in ("float32", "float64")
    for name, target, peer, rows, columns in (
        ("HyPyP 0.6.2", 100.0, _hypyp, 20, 5),
        ("pycwt 0.5.0b0", 400.0, _pycwt, 4, 5),
    )
)
