"""Compiled inner loops. Import this module inside functions only: it loads numba.

All arrays are C-contiguous and of one precision (float32 with complex64, float64 with complex128). Reductions
may be reordered so that they use vector registers, but products are never contracted: a difference of two
equal products must be exactly zero. Compiled code is kept on disk where that is possible.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

_Function = TypeVar("_Function", bound=Callable[..., Any])
_ROBUST_ROUNDS = 50  # these three: our choice; a handful of rounds is enough but for near-copies
_ROBUST_CLOSE = 1e-9
_ROBUST_LARGEST = 1 - 1e-9
_REORDER = frozenset({"reassoc", "nsz"})


def _compiled(func: _Function) -> _Function:
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": set(_REORDER)}
    try:
        compiled: _Function = njit(cache=True, **options)(func)
    except RuntimeError:  # numba finds no folder that it may write compiled code to
        compiled = njit(**options)(func)
    return compiled


@_compiled
def _size(re: Any, im: Any, least: Any, most: Any) -> Any:
    """Magnitude; NaN if its square leaves the range of full precision, as for a zero sample."""
    square = re * re + im * im
    # Written without a branch, which would keep the loops around it from using vector registers.
    return np.sqrt(square) if (square >= least) & (square <= most) else least * np.float32(np.nan)


@_compiled
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


@_compiled
def scaled_rows(x: NDArray[Any], scale: NDArray[Any], out: NDArray[Any]) -> None:
    """Scaled samples (n, t) as real above imaginary parts (2n, t)."""
    n, n_times = x.shape
    for c in range(n):
        factor = scale[c]
        for t in range(n_times):
            out[c, t] = x[c, t].real * factor
            out[n + c, t] = x[c, t].imag * factor


@_compiled
def sum_of_squares(x: NDArray[Any], out: NDArray[np.float64]) -> None:
    """Sum of squared magnitudes (n, t) -> (n,), in double precision whatever the unit."""
    for c in range(x.shape[0]):
        total = 0.0
        for t in range(x.shape[1]):
            re = np.float64(x[c, t].real)
            im = np.float64(x[c, t].imag)
            total += re * re + im * im
        out[c] = total


@_compiled
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


@_compiled
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


@_compiled
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


@_compiled
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


@_compiled
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


@_compiled
def envelope_scores(x: NDArray[Any], squared: bool, flat: float, out: NDArray[Any]) -> None:
    """Write standard scores of amplitude or power in one go, NaN where a channel is flat: (n, t) -> (n, t)."""
    n, n_times = x.shape
    kind = out.dtype.type
    for c in range(n):
        row = out[c]
        energy = 0.0
        for t in range(n_times):
            re = np.float64(x[c, t].real)
            im = np.float64(x[c, t].imag)
            energy += re * re + im * im
        one = kind(1 / np.sqrt(energy / n_times))
        first = x[c, 0].real * one * (x[c, 0].real * one) + x[c, 0].imag * one * (x[c, 0].imag * one)
        first = first if squared else np.sqrt(first)
        total = 0.0
        total_squares = 0.0
        for t in range(n_times):
            re = x[c, t].real * one
            im = x[c, t].imag * one
            value = re * re + im * im
            if not squared:
                value = np.sqrt(value)
            row[t] = value
        for t in range(n_times):
            deviation = row[t] - first
            total += deviation
            total_squares += deviation * deviation
        shift = total / n_times
        variance = total_squares / n_times - shift * shift
        mean = np.float64(first) + shift
        centre = kind(mean)
        scale = kind(1 / np.sqrt(variance)) if variance > (flat * mean) ** 2 else kind(np.nan)
        for t in range(n_times):
            row[t] = (row[t] - centre) * scale


@_compiled
def sine_scores(x: NDArray[Any], least: Any, direction: float, flat: float, out: NDArray[Any]) -> bool:
    """Write sines of the deviation from the circular mean over their root mean square in one go: (n, t) -> (n, t).

    False, with ``out`` half written, if a channel's mean direction cannot be told this way.
    """
    n, n_times = x.shape
    most = 1 / least
    kind = out.dtype.type
    sines = np.empty(n_times, dtype=out.dtype)
    for c in range(n):
        row = out[c]
        for t in range(n_times):
            re = x[c, t].real
            im = x[c, t].imag
            factor = kind(1) / _size(re, im, least, most)
            row[t] = re * factor
            sines[t] = im * factor
        total_re = 0.0
        total_im = 0.0
        for t in range(n_times):
            total_re += row[t]
            total_im += sines[t]
        length = np.sqrt(total_re * total_re + total_im * total_im)
        if not length > direction * n_times:
            return False
        turn_re = kind(total_re / length)
        turn_im = kind(total_im / length)
        squares = 0.0
        for t in range(n_times):
            value = sines[t] * turn_re - row[t] * turn_im
            row[t] = value
            squares += value * value
        squares /= n_times
        scale = kind(1 / np.sqrt(squares)) if squares > flat * flat else kind(np.nan)
        for t in range(n_times):
            row[t] *= scale
    return True


@_compiled
def series_sums(x: NDArray[Any], out: NDArray[np.float64]) -> None:
    """Add up deviations from the first sample and their squares: real (n, t) -> (n, 2)."""
    for c in range(x.shape[0]):
        row = x[c]
        first = np.float64(row[0])
        total = 0.0
        total_squares = 0.0
        for t in range(x.shape[1]):
            deviation = np.float64(row[t]) - first
            total += deviation
            total_squares += deviation * deviation
        out[c, 0] = total
        out[c, 1] = total_squares


@_compiled
def square_sums(rows: NDArray[Any], out: NDArray[np.complex128]) -> None:
    """Add up squares of complex rows given as real above imaginary parts: (2n, t) -> (n,)."""
    n = rows.shape[0] // 2
    for c in range(n):
        re, im = rows[c], rows[n + c]
        difference = 0.0
        product = 0.0
        for t in range(rows.shape[1]):
            difference += np.float64(re[t] * re[t] - im[t] * im[t])
            product += np.float64(re[t] * im[t])
        out[c] = complex(difference, 2 * product)


@_compiled
def lag_signs(a: NDArray[Any], b: NDArray[Any], zero: Any, out: NDArray[np.int32]) -> None:
    """Count samples where a leads less those where b leads: phasor rows (2n, t), (2m, t) -> (n, m)."""
    n = a.shape[0] // 2
    m = b.shape[0] // 2
    for i in range(0, n, 2):
        i1 = min(i + 1, n - 1)
        p, q, r, s = a[i], a[n + i], a[i1], a[n + i1]
        for j in range(0, m, 2):
            j1 = min(j + 1, m - 1)
            u, v, w, y = b[j], b[m + j], b[j1], b[m + j1]
            s00 = s01 = s10 = s11 = np.int32(0)
            for t in range(a.shape[1]):
                im = q[t] * u[t] - p[t] * v[t]
                s00 += np.int32(im > zero) - np.int32(im < -zero)
                im = q[t] * w[t] - p[t] * y[t]
                s01 += np.int32(im > zero) - np.int32(im < -zero)
                im = s[t] * u[t] - r[t] * v[t]
                s10 += np.int32(im > zero) - np.int32(im < -zero)
                im = s[t] * w[t] - r[t] * y[t]
                s11 += np.int32(im > zero) - np.int32(im < -zero)
            out[i, j], out[i, j1], out[i1, j], out[i1, j1] = s00, s01, s10, s11


@_compiled
def lag_sums(a: NDArray[Any], b: NDArray[Any], out: NDArray[Any]) -> None:
    """Add up ``im`` and ``|im|`` of cross products: rows (2n, t), (2m, t) -> (2, n, m)."""
    n = a.shape[0] // 2
    m = b.shape[0] // 2
    zero = a.dtype.type(0)  # of the samples' precision
    for i in range(0, n, 2):
        i1 = min(i + 1, n - 1)
        p, q, r, s = a[i], a[n + i], a[i1], a[n + i1]
        for j in range(0, m, 2):
            j1 = min(j + 1, m - 1)
            u, v, w, y = b[j], b[m + j], b[j1], b[m + j1]
            s00 = s01 = s10 = s11 = d00 = d01 = d10 = d11 = zero
            for t in range(a.shape[1]):
                im = q[t] * u[t] - p[t] * v[t]
                s00 += im
                d00 += abs(im)
                im = q[t] * w[t] - p[t] * y[t]
                s01 += im
                d01 += abs(im)
                im = s[t] * u[t] - r[t] * v[t]
                s10 += im
                d10 += abs(im)
                im = s[t] * w[t] - r[t] * y[t]
                s11 += im
                d11 += abs(im)
            out[0, i, j], out[0, i, j1], out[0, i1, j], out[0, i1, j1] = s00, s01, s10, s11
            out[1, i, j], out[1, i, j1], out[1, i1, j], out[1, i1, j1] = d00, d01, d10, d11


@_compiled
def lag_squares(a: NDArray[Any], b: NDArray[Any], out: NDArray[Any]) -> None:
    """Add up ``im``, ``|im|`` and ``im**2`` of cross products: rows (2n, t), (2m, t) -> (3, n, m)."""
    n = a.shape[0] // 2
    m = b.shape[0] // 2
    zero = a.dtype.type(0)  # of the samples' precision
    for i in range(n):
        p, q = a[i], a[n + i]
        for j in range(0, m, 2):
            j1 = min(j + 1, m - 1)
            u, v, w, y = b[j], b[m + j], b[j1], b[m + j1]
            s0 = s1 = d0 = d1 = q0 = q1 = zero
            for t in range(a.shape[1]):
                im = q[t] * u[t] - p[t] * v[t]
                s0 += im
                d0 += abs(im)
                q0 += im * im
                im = q[t] * w[t] - p[t] * y[t]
                s1 += im
                d1 += abs(im)
                q1 += im * im
            out[0, i, j], out[0, i, j1] = s0, s1
            out[1, i, j], out[1, i, j1] = d0, d1
            out[2, i, j], out[2, i, j1] = q0, q1


@_compiled
def orthogonal_sums(a: NDArray[Any], b: NDArray[Any], out: NDArray[Any]) -> None:
    """Add up what the correlation of envelopes after orthogonalisation needs.

    Rows are cosines, sines and amplitudes: (3n, t), (3m, t) -> (5, n, m), with s the absolute sine of the
    phase difference and e, f the amplitudes: f s, (f s)**2, e s, (e s)**2, e f s.
    """
    n = a.shape[0] // 3
    m = b.shape[0] // 3
    zero = a.dtype.type(0)  # of the samples' precision
    for i in range(n):
        cos_a, sin_a, size_a = a[i], a[n + i], a[2 * n + i]
        for j in range(m):
            cos_b, sin_b, size_b = b[j], b[m + j], b[2 * m + j]
            f1 = f2 = e1 = e2 = ef = zero
            for t in range(a.shape[1]):
                sine = abs(sin_a[t] * cos_b[t] - cos_a[t] * sin_b[t])
                other = size_b[t] * sine
                own = size_a[t] * sine
                f1 += other
                f2 += other * other
                e1 += own
                e2 += own * own
                ef += size_a[t] * other
            out[0, i, j], out[1, i, j], out[2, i, j], out[3, i, j] = f1, f2, e1, e2
            out[4, i, j] = ef


@_compiled
def robust_correlation(a: NDArray[Any], b: NDArray[Any], cutoff: Any, out: NDArray[Any]) -> None:
    """Correlate standardised series with bisquare weights: (n, t), (m, t) -> (n, m).

    Weights fall with the distance from the centre in the metric of the correlation itself, found by iteration, so
    that elliptical clouds are not made rounder.
    """
    zero = a.dtype.type(0)  # of the samples' precision
    for i in range(a.shape[0]):
        for j in range(b.shape[0]):
            r = zero
            xs, ys = a[i], b[j]
            for _ in range(_ROBUST_ROUNDS):
                old = r
                total = x1 = y1 = xx = yy = xy = zero
                per_cutoff = 1 / ((1 - r * r) * cutoff * cutoff)
                for t in range(a.shape[1]):
                    x = xs[t]
                    y = ys[t]
                    rest = max(1 - (x * x - 2 * r * x * y + y * y) * per_cutoff, zero)
                    weight = rest * rest
                    total += weight
                    x1 += weight * x
                    y1 += weight * y
                    xx += weight * x * x
                    yy += weight * y * y
                    xy += weight * x * y
                spread = (xx - x1 * x1 / total) * (yy - y1 * y1 / total)
                r = (xy - x1 * y1 / total) / np.sqrt(spread)
                r = min(max(r, -_ROBUST_LARGEST), _ROBUST_LARGEST)
                if abs(r - old) < _ROBUST_CLOSE:
                    break
            out[i, j] = r
