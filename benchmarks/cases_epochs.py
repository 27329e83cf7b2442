"""Metrics per epoch against HyPyP: 64 + 64 channels, 300 epochs of 2 s at 500 Hz, one band at a time.

A band is one more leading dim of the same work, for both. HyPyP computes the whole matrix of both people's
channels, of which pairs across people are a quarter to a half of the work, and has no way to ask for these alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
from limits import gemm_gflops
from numpy.typing import NDArray
from signals import EPOCH, epochs
from timing import Case, Job, cpu_seconds

from hyperscan.metrics import METRICS, evaluate_many

FULL = 300
SUBSET = {"accorr": 5, "pli": 60}  # epochs, where the peer is too slow for all; ours then gets the same ones
REFERENCE = 20  # epochs whose single-precision values are compared with complex128
AXES = (0, 1, 3, 2)

#: ours, the peer's name, target
ROWS = (
    ("plv", "plv", 20.0),
    ("aec", "envcorr", 20.0),
    ("pec", "powcorr", 20.0),
    ("ccorr", "ccorr", 14.0),
    ("coh", "coh", 10.0),
    ("imcoh", "imcoh", 10.0),
    ("wpli", "wpli", 10.0),
    ("pli", "pli", None),
    ("accorr", "accorr", None),
)
KINDS = ("complex64", "complex128")


def _peer(name: str, backend: str | None, x: NDArray[Any]) -> NDArray[Any]:
    from hypyp.sync import get_metric

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asarray(get_metric(name, backend).compute(x, x.shape[-1], AXES))


@cache
def _best_backend(name: str, kind: str) -> tuple[str | None, str]:
    """The peer's fastest CPU backend; a complex64 peer may also choose to compute in complex128."""
    kinds = (kind, "complex128") if kind == "complex64" else (kind,)
    x = epochs(FULL, 64, kind)[:1]
    seconds = {}
    for backend in (None, "numba"):
        for trial in kinds:
            data = x.astype(trial)
            _peer(name, backend, data[:, :, :8])
            seconds[backend, trial] = cpu_seconds(partial(_peer, name, backend, data))[0]
    return min(seconds, key=seconds.__getitem__)


def _difference(n: int, epochs_compared: int | None = None) -> Callable[[NDArray[Any], NDArray[Any]], float]:
    def difference(ours: NDArray[Any], peer: NDArray[Any]) -> float:
        kept = slice(epochs_compared)
        return float(np.abs(np.abs(ours[kept]) - np.abs(peer[kept, 0, :n, n:])).max())

    return difference


def _against_double(theirs: str, backend: str | None, x: NDArray[Any]) -> Callable[[NDArray[Any], Any], float]:
    """Compare with the peer's complex128 values, so that only our own rounding shows."""

    def difference(ours: NDArray[Any], _: Any) -> float:
        reference = _peer(theirs, backend, x[:REFERENCE].astype("complex128"))
        return _difference(64, REFERENCE)(ours, reference)

    return difference


def _tolerance(name: str, kind: str) -> float:
    if kind == "complex128":
        return 1e-6
    # Sines of phase differences below 16 roundings of single precision (2e-6) count as zero, the peer gives them a
    # sign: each moves the index by 1 / 1000. About one in 800 windows of a pair holds one, so two are met, not three.
    return 2.1e-3 if name == "pli" else 2e-5


def _job(small: bool, ours: str, theirs: str, kind: str) -> Job:
    n_epochs = SUBSET.get(ours, FULL)
    if small:
        n_epochs = 2 if ours == "accorr" else 10
    x = epochs(FULL if not small else 10, 64, kind)[:n_epochs]
    backend, chosen = _small_backend(theirs, kind) if small else _best_backend(theirs, kind)
    a, b = x[:, 0, :64], x[:, 0, 64:]
    func = METRICS[ours].func
    func(a[:2], b[:2])
    data = x if chosen == kind else x.astype(chosen)
    note = f"{n_epochs} epochs, peer's best: {backend or 'numpy'} in {chosen}"
    if kind == "complex64":
        note += f"; difference: from its complex128 values of {min(REFERENCE, n_epochs)} epochs"
    real = "float32" if kind == "complex64" else "float64"
    rows = {"aec": 1, "pec": 1, "ccorr": 1}.get(ours, 2)
    flops = 2 * (rows * 64) ** 2 * EPOCH * n_epochs
    kernel = ours in ("pli", "wpli")
    return Job(
        ours=partial(func, a, b),
        peer=partial(_peer, theirs, backend, data),
        difference=_difference(64) if kind == "complex128" else _against_double(theirs, backend, x),
        tolerance=_tolerance(ours, kind),
        repeats=3,
        note=note,
        measure_memory=not small,
        limit_seconds=None if kernel else flops / gemm_gflops(real) / 1e9,
    )


def _small_backend(name: str, kind: str) -> tuple[str | None, str]:
    backend = None if name == "ccorr" else "numba"
    _peer(name, backend, epochs(10, 64, kind)[:1, :, :8])
    return backend, kind


def _three_in_one(small: bool) -> Job:
    """PLV, ccorr and accorr together, against the peer's sum: how a recipe with several metrics runs."""
    n_epochs = 2 if small else SUBSET["accorr"]
    x = epochs(10 if small else FULL, 64, "complex64")[:n_epochs]
    a, b = x[:, 0, :64], x[:, 0, 64:]
    names = ("plv", "ccorr", "accorr")
    choose = _small_backend if small else _best_backend
    chosen = {name: choose(name, "complex64") for name in names}
    data = {name: x.astype(kind) for name, (_, kind) in chosen.items()}
    evaluate_many(names, a, b)

    def peers() -> dict[str, NDArray[Any]]:
        return {name: _peer(name, chosen[name][0], data[name]) for name in names}

    def difference(ours: dict[str, Any], theirs: dict[str, NDArray[Any]]) -> float:
        return max(_difference(64)(ours[name][0], theirs[name]) for name in names)

    return Job(
        partial(evaluate_many, names, a, b), peers, difference, 2e-5, note=f"{n_epochs} epochs, one call of ours"
    )


def _topic(name: str) -> str:
    groups = {"plv aec pec ccorr": "PLV, aec, pec / ccorr vs HyPyP", "coh imcoh wpli": "coh, imcoh, wPLI vs HyPyP"}
    return next((topic for names, topic in groups.items() if name in names.split()), "PLI / accorr vs HyPyP")


CASES = (
    *(
        Case(_topic(ours), f"{ours}, {kind}", "HyPyP 0.6.2", target, partial(_job, ours=ours, theirs=theirs, kind=kind))
        for kind in KINDS
        for ours, theirs, target in ROWS
    ),
    Case("PLI / accorr vs HyPyP", "plv + ccorr + accorr, complex64", "HyPyP 0.6.2", None, _three_in_one),
)
