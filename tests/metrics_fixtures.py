"""Signals of two people in the domain of a metric."""

from __future__ import annotations

import numpy as np
import pytest

from hyperscan.metrics import METRICS

SFREQ, BAND, N_TIMES = 50.0, (4.0, 8.0), 600

CONTEXT = {"sfreq": SFREQ, "band": BAND}

SPECS = list(METRICS.values())

by_name = pytest.mark.parametrize("spec", SPECS, ids=[spec.name for spec in SPECS])


def signals(spec, shape, seed, dtype=np.float64):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    smooth = np.cumsum(x, axis=-1)
    smooth = smooth - np.concatenate([np.zeros((*shape[:-1], 5)), smooth[..., :-5]], axis=-1)
    if spec.domain != "analytic":
        return smooth.astype(dtype)
    y = rng.standard_normal(shape)
    return (smooth + 1j * (y + np.roll(smooth, 2, axis=-1))).astype(np.result_type(dtype, np.complex64))


def pair(spec, lead=(), n_a=3, n_b=2, seed=0, dtype=np.float64, n_times=N_TIMES):
    a = signals(spec, (*lead, n_a, n_times), seed, dtype)
    b = signals(spec, (*lead, n_b, n_times), seed + 1, dtype)
    b[..., 0, :] += a[..., 0, :] * (0.7j if spec.domain == "analytic" else 0.7)
    return a, b


def evaluated(spec, a, b):
    """Value and growth scale of all pairs of channels; to a metric of sets every channel is a set."""
    if spec.sets is None:
        return spec.evaluate(a, b, **CONTEXT)
    rows = [[spec.evaluate(a[..., [i], :], b[..., [j], :]) for j in range(b.shape[-2])] for i in range(a.shape[-2])]
    return tuple(np.block([[one[k] for one in row] for row in rows]) for k in (0, 1))


def value_of(spec, a, b):
    return evaluated(spec, a, b)[0]


def one(a, b):
    return np.full((a.shape[0], b.shape[0]), 1.2)
