"""Compiled loops over pairs of channels, for what is no matrix product.

Import this module inside functions only: it loads numba.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperscan.metrics.engine.kernels import compiled, contracted

_ROBUST_ROUNDS = 50  # these three: our choice; a handful of rounds is enough but for near-copies
_ROBUST_CLOSE = 1e-9
_ROBUST_LARGEST = 1 - 1e-9


@compiled
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


@contracted
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


@compiled
def _total(row: NDArray[Any]) -> Any:
    total = row.dtype.type(0)
    for t in range(row.size):
        total += row[t]
    return total


@compiled
def spread_nan(a: NDArray[Any], b: NDArray[Any], out: NDArray[Any]) -> None:
    """Write NaN for channels whose rows hold one: rows (2n, t), (2m, t), values (n, m)."""
    n, m = out.shape
    for i in range(n):
        if np.isnan(_total(a[i])):
            out[i] = np.nan
    for j in range(m):
        if np.isnan(_total(b[j])):
            out[:, j] = np.nan


@contracted
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


@contracted
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


@contracted
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


@compiled
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
