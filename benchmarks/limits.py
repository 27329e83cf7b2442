"""What this machine can do on one thread, measured in the same run."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from statistics import median
from typing import Any

import numpy as np
from scipy import fft
from timing import cpu_seconds


def _median_seconds(func: Callable[[], Any], repeats: int = 7) -> float:
    func()
    return median(cpu_seconds(func)[0] for _ in range(repeats))


@cache
def gemm_gflops(kind: str) -> float:
    """Rate of a real or complex matrix product in its best case, 1024 x 1024 x 1024, of two different matrices."""
    n = 1024
    # a matrix times its own transpose is symmetric, of which only half is computed
    a, b = np.random.default_rng(0).standard_normal((2, n, n)).astype(kind)
    out = np.empty_like(a)
    flops = (8 if np.dtype(kind).kind == "c" else 2) * n**3
    return flops / _median_seconds(lambda: np.matmul(a, b, out=out)) / 1e9


@cache
def fft_msamples(kind: str, n: int) -> float:
    """Million samples per second of a transform of 8 rows of length n."""
    x = np.random.default_rng(0).standard_normal((8, n)).astype(kind)
    forward = fft.fft if np.dtype(kind).kind == "c" else fft.rfft
    return x.size / _median_seconds(lambda: forward(x, axis=-1), 5) / 1e6


@cache
def copy_gigabytes() -> float:
    """Memory bandwidth of a copy out of cache, read and written bytes per second."""
    x = np.ones(2**26)
    out = np.empty_like(x)
    return 2 * x.nbytes / _median_seconds(lambda: np.copyto(out, x), 5) / 1e9


def table() -> list[tuple[str, str]]:
    """All limits as rows of text."""
    rows = [(f"matrix product, {kind}", f"{gemm_gflops(kind):.0f} GFLOP/s") for kind in ("float32", "float64")]
    rows += [
        (f"FFT, {kind}, 8 x {n}", f"{fft_msamples(kind, n):.0f} Msamples/s")
        for kind, n in (
            ("complex64", 1000),
            ("complex64", 8192),
            ("complex128", 8192),
            ("float32", 8192),
            ("complex64", 675_000),
        )
    ]
    return [*rows, ("copy, 512 MB", f"{copy_gigabytes():.1f} GB/s")]
