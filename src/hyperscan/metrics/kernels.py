"""Compiled inner loops. Import this module inside functions only: it loads numba.

All arrays are C-contiguous and of one precision (float32 with complex64, float64 with complex128). Reductions
may be reordered so that they use vector registers, in blocks short enough for that precision. Products are
contracted (fused with an addition) only where a threshold decides what is zero; elsewhere a difference of two
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
_BLOCK = 1024  # samples added up in the precision of the input, before double precision takes over (our choice)
_REORDER = frozenset({"reassoc", "nsz"})
_CONTRACT = _REORDER | {"contract"}


def _compiled(func: _Function, fastmath: frozenset[str] = _REORDER) -> _Function:
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": set(fastmath)}
    try:
        compiled: _Function = njit(cache=True, **options)(func)
    except RuntimeError:  # numba finds no folder that it may write compiled code to
        compiled = njit(**options)(func)
    return compiled


def _contracted(func: _Function) -> _Function:
    return _compiled(func, _CONTRACT)


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


@_compiled
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


@_compiled
def adjusted_correlations(
    minus: NDArray[Any], plus: NDArray[Any], a: NDArray[Any], b: NDArray[Any], out: NDArray[Any]
) -> None:
    """Turn mean products (k, n, m) and squares (k, n), (k, m) into adjusted circular correlations (k, n, m).

    The two directions it adjusts to are half the sum and half the difference of the products' angles, and the mean
    square of a sine of the deviation from a direction d is ``1 - Re(exp(-2i d) mean(u**2))``, halved.
    """
    zero = out.dtype.type(0)
    one = out.dtype.type(1)
    for k in range(minus.shape[0]):
        for i in range(minus.shape[1]):
            a_re = a[k, i].real
            a_im = a[k, i].imag
            for j in range(minus.shape[2]):
                m_re = minus[k, i, j].real
                m_im = minus[k, i, j].imag
                p_re = plus[k, i, j].real
                p_im = plus[k, i, j].imag
                size_m = np.sqrt(m_re * m_re + m_im * m_im)
                size_p = np.sqrt(p_re * p_re + p_im * p_im)
                m_re = m_re / size_m if size_m > zero else one
                m_im = m_im / size_m if size_m > zero else zero
                p_re = p_re / size_p if size_p > zero else one
                p_im = p_im / size_p if size_p > zero else zero
                # the products of the two directions: sum and difference of their angles
                rr, ii, ri, ir = p_re * m_re, p_im * m_im, p_re * m_im, p_im * m_re
                spread_a = one - ((rr - ii) * a_re + (ri + ir) * a_im)
                spread_b = one - ((rr + ii) * b[k, j].real + (ir - ri) * b[k, j].imag)
                value = (size_m - size_p) / np.sqrt(spread_a * spread_b)
                out[k, i, j] = min(max(value, -one), one) if value == value else value


@_contracted
def lag_signs(a: NDArray[Any], b: NDArray[Any], zero: Any, out: NDArray[np.integer[Any]]) -> None:
    """Count samples where a leads less those where b leads: phasor rows (2n, t), (2m, t) -> (n, m).

    Sines up to ``zero`` count as neither. ``out`` holds integers as wide as a sample: the counts then share its
    vector registers, which makes the loop three times faster. NaN counts as neither; see :func:`spread_nan`.
    """
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
def _total(row: NDArray[Any]) -> Any:
    total = row.dtype.type(0)
    for t in range(row.size):
        total += row[t]
    return total


@_compiled
def spread_nan(a: NDArray[Any], b: NDArray[Any], out: NDArray[Any]) -> None:
    """Write NaN for channels whose rows hold one: rows (2n, t), (2m, t), values (n, m)."""
    n, m = out.shape
    for i in range(n):
        if np.isnan(_total(a[i])):
            out[i] = np.nan
    for j in range(m):
        if np.isnan(_total(b[j])):
            out[:, j] = np.nan


@_contracted
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


@_contracted
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


@_contracted
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
