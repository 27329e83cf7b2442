"""Compiled loops over the samples of one person's channels. Import inside functions only: it loads numba."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

_Function = TypeVar("_Function", bound=Callable[..., Any])
_REORDER = frozenset({"reassoc", "nsz"})


def compiled(func: _Function, fastmath: frozenset[str] = _REORDER) -> _Function:
    """Compile a loop whose sums may be reordered."""
    jit: Callable[..., Any] = partial(njit, nogil=True, error_model="numpy", fastmath=set(fastmath))
    try:
        made: _Function = jit(cache=True)(func)
    except RuntimeError:  # numba finds no folder that it may write compiled code to
        made = jit()(func)
    return made


def contracted(func: _Function) -> _Function:
    """Compile a loop whose products may be fused with additions as well."""
    return compiled(func, _REORDER | {"contract"})


_BLOCK = 1024  # samples added up in the precision of the input, before double precision takes over (our choice)


@compiled
def _size(re: Any, im: Any, least: Any, most: Any) -> Any:
    """Magnitude; NaN if its square leaves the range of full precision, as for a zero sample."""
    square = re * re + im * im
    # Written without a branch, which would keep the loops around it from using vector registers.
    return np.sqrt(square) if (square >= least) & (square <= most) else least * np.float32(np.nan)


@compiled
def phase_rows(x: NDArray[Any], least: Any, out: NDArray[Any]) -> None:
    """Write unit phasors (n, t) as cosines above sines (2n, t)."""
    n, n_times = x.shape
    most = 1 / least
    one = out.dtype.type(1)
    for c in range(n):
        for t in range(n_times):
            re = x[c, t].real
            im = x[c, t].imag
            factor = one / _size(re, im, least, most)
            out[c, t] = re * factor
            out[n + c, t] = im * factor


@compiled
def scaled_rows(x: NDArray[Any], scale: NDArray[Any], out: NDArray[Any]) -> None:
    """Scaled samples (n, t) as real above imaginary parts (2n, t)."""
    n, n_times = x.shape
    for c in range(n):
        factor = scale[c]
        for t in range(n_times):
            out[c, t] = x[c, t].real * factor
            out[n + c, t] = x[c, t].imag * factor


@compiled
def power_scores(x: NDArray[Any], least: Any, out: NDArray[Any]) -> bool:
    """Write samples over their root mean square in one go, real above imaginary parts: (n, t) -> (2n, t).

    False, with ``out`` half written, if a channel's power is NaN or out of the range of full precision.
    """
    n, n_times = x.shape
    kind = out.dtype.type
    most = 1 / least
    for c in range(n):
        energy = 0.0
        for start in range(0, n_times, _BLOCK):
            z = x[c, start : start + _BLOCK]
            part = kind(0)
            for t in range(z.size):
                part += z[t].real * z[t].real + z[t].imag * z[t].imag
            energy += part
        energy /= n_times
        if not (least <= energy <= most):
            return False
        factor = kind(1 / np.sqrt(energy))
        for t in range(n_times):
            out[c, t] = x[c, t].real * factor
            out[n + c, t] = x[c, t].imag * factor
    return True


@compiled
def sum_of_squares(x: NDArray[Any], out: NDArray[np.float64]) -> None:
    """Sum of squared magnitudes (n, t) -> (n,), in double precision whatever the unit."""
    for c in range(x.shape[0]):
        total = 0.0
        for t in range(x.shape[1]):
            re = np.float64(x[c, t].real)
            im = np.float64(x[c, t].imag)
            total += re * re + im * im
        out[c] = total


@compiled
def phasor_sums(x: NDArray[Any], least: Any, out: NDArray[np.complex128]) -> None:
    """Sum of unit phasors (n, t) -> (n,)."""
    most = 1 / least
    for c in range(x.shape[0]):
        total_re = 0.0
        total_im = 0.0
        for t in range(x.shape[1]):
            re = x[c, t].real
            im = x[c, t].imag
            size = _size(re, im, least, most)
            total_re += re / size
            total_im += im / size
        out[c] = complex(total_re, total_im)


@compiled
def sine_rows(x: NDArray[Any], least: Any, cosine: NDArray[Any], sine: NDArray[Any], out: NDArray[Any]) -> None:
    """Imaginary part of unit phasors times a factor per channel: (n, t) -> (n, t)."""
    most = 1 / least
    for c in range(x.shape[0]):
        factor_re = cosine[c]
        factor_im = sine[c]
        for t in range(x.shape[1]):
            re = x[c, t].real
            im = x[c, t].imag
            out[c, t] = (re * factor_im + im * factor_re) / _size(re, im, least, most)


@compiled
def sine_squares(
    x: NDArray[Any], least: Any, cosine: NDArray[Any], sine: NDArray[Any], out: NDArray[np.float64]
) -> None:
    """Sum of squares of :func:`sine_rows`: (n, t) -> (n,)."""
    most = 1 / least
    for c in range(x.shape[0]):
        factor_re = cosine[c]
        factor_im = sine[c]
        total = 0.0
        for t in range(x.shape[1]):
            re = x[c, t].real
            im = x[c, t].imag
            value = (re * factor_im + im * factor_re) / _size(re, im, least, most)
            total += value * value
        out[c] = total


@compiled
def envelope_rows(
    x: NDArray[Any],
    squared: bool,
    unit: NDArray[Any],
    mean: NDArray[Any],
    scale: NDArray[Any],
    out: NDArray[Any],
) -> None:
    """Write standard scores of amplitude or power of samples times ``unit``: (n, t) -> (n, t)."""
    for c in range(x.shape[0]):
        one = unit[c]
        centre = mean[c]
        factor = scale[c]
        for t in range(x.shape[1]):
            re = x[c, t].real * one
            im = x[c, t].imag * one
            value = re * re + im * im
            if not squared:
                value = np.sqrt(value)
            out[c, t] = (value - centre) * factor


@compiled
def envelope_sums(x: NDArray[Any], squared: bool, unit: NDArray[Any], out: NDArray[np.float64]) -> None:
    """First value, and sum and sum of squares about it, of amplitude or power: (n, t) -> (n, 3)."""
    for c in range(x.shape[0]):
        one = unit[c]
        first = x[c, 0].real * one * (x[c, 0].real * one) + x[c, 0].imag * one * (x[c, 0].imag * one)
        if not squared:
            first = np.sqrt(first)
        total = 0.0
        total_squares = 0.0
        for t in range(x.shape[1]):
            re = x[c, t].real * one
            im = x[c, t].imag * one
            value = re * re + im * im
            if not squared:
                value = np.sqrt(value)
            deviation = value - first
            total += deviation
            total_squares += deviation * deviation
        out[c, 0] = first
        out[c, 1] = total
        out[c, 2] = total_squares


@compiled
def envelope_scores(x: NDArray[Any], squared: bool, flat: float, least: Any, out: NDArray[Any]) -> bool:
    """Write standard scores of amplitude or power in one go, NaN where a channel is flat: (n, t) -> (n, t).

    False, with ``out`` half written, if a channel's power is NaN or out of the range of full precision.
    """
    n, n_times = x.shape
    kind = out.dtype.type
    most = 1 / least
    for c in range(n):
        energy = 0.0
        total = 0.0
        for start in range(0, n_times, _BLOCK):
            z, row = x[c, start : start + _BLOCK], out[c, start : start + _BLOCK]
            part = part_energy = kind(0)
            for t in range(z.size):
                value = z[t].real * z[t].real + z[t].imag * z[t].imag
                part_energy += value
                if not squared:
                    value = np.sqrt(value)
                part += value
                row[t] = value
            energy += part_energy
            total += part
        if not (least <= energy / n_times <= most):
            return False
        per_mean = kind(n_times / total)
        shift = 0.0
        variance = 0.0
        for start in range(0, n_times, _BLOCK):
            row = out[c, start : start + _BLOCK]
            part = part_squares = kind(0)
            for t in range(row.size):
                deviation = row[t] * per_mean - kind(1)
                part += deviation
                part_squares += deviation * deviation
                row[t] = deviation
            shift += part
            variance += part_squares
        shift /= n_times
        variance = variance / n_times - shift * shift
        centre = kind(shift)
        scale = kind(1 / np.sqrt(variance)) if variance > flat * flat else kind(np.nan)
        row = out[c]
        for t in range(n_times):
            row[t] = (row[t] - centre) * scale
    return True


@compiled
def sine_scores(x: NDArray[Any], least: Any, direction: float, flat: float, out: NDArray[Any]) -> bool:
    """Write sines of the deviation from the circular mean over their root mean square in one go: (n, t) -> (n, t).

    False, with ``out`` half written, if a channel's mean direction cannot be told this way.
    """
    n, n_times = x.shape
    most = 1 / least
    kind = out.dtype.type
    all_sines = np.empty(n_times, dtype=out.dtype)
    for c in range(n):
        total_re = 0.0
        total_im = 0.0
        for start in range(0, n_times, _BLOCK):
            z, row, sines = (
                x[c, start : start + _BLOCK],
                out[c, start : start + _BLOCK],
                all_sines[start : start + _BLOCK],
            )
            part_re = part_im = kind(0)
            for t in range(z.size):
                factor = kind(1) / _size(z[t].real, z[t].imag, least, most)
                re = z[t].real * factor
                im = z[t].imag * factor
                row[t] = re
                sines[t] = im
                part_re += re
                part_im += im
            total_re += part_re
            total_im += part_im
        length = np.sqrt(total_re * total_re + total_im * total_im)
        if not length > direction * n_times:
            return False
        turn_re = kind(total_re / length)
        turn_im = kind(total_im / length)
        squares = 0.0
        for start in range(0, n_times, _BLOCK):
            row, sines = out[c, start : start + _BLOCK], all_sines[start : start + _BLOCK]
            part = kind(0)
            for t in range(row.size):
                value = sines[t] * turn_re - row[t] * turn_im
                row[t] = value
                part += value * value
            squares += part
        squares /= n_times
        scale = kind(1 / np.sqrt(squares)) if squares > flat * flat else kind(np.nan)
        row = out[c]
        for t in range(n_times):
            row[t] *= scale
    return True


@compiled
def series_sums(x: NDArray[Any], out: NDArray[np.float64]) -> None:
    """Add up deviations from the first sample and their squares: real (n, t) -> (n, 2)."""
    for c in range(x.shape[0]):
        samples = x[c]
        first = np.float64(samples[0])
        total = 0.0
        total_squares = 0.0
        for t in range(x.shape[1]):
            deviation = np.float64(samples[t]) - first
            total += deviation
            total_squares += deviation * deviation
        out[c, 0] = total
        out[c, 1] = total_squares


@compiled
def square_sums(rows: NDArray[Any], out: NDArray[np.complex128]) -> None:
    """Add up squares of complex rows given as real above imaginary parts: (2n, t) -> (n,)."""
    n, n_times = rows.shape[0] // 2, rows.shape[1]
    zero = rows.dtype.type(0)
    for c in range(n):
        re, im = rows[c], rows[n + c]
        difference = 0.0
        product = 0.0
        for start in range(0, n_times, _BLOCK):
            x, y = re[start : start + _BLOCK], im[start : start + _BLOCK]
            part = part_product = zero
            for t in range(x.size):
                part += x[t] * x[t] - y[t] * y[t]
                part_product += x[t] * y[t]
            difference += part
            product += part_product
        out[c] = complex(difference, 2 * product)
