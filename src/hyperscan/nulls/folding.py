"""Cross products at every lag of a uniform grid, for the price of about one matrix product.

With lags that are multiples of ``d``, sample ``d q + r`` only ever meets samples of the same remainder
``r``. So the recording splits into ``d`` short series; the circular cross-correlation of the whole is the
sum of theirs, and that sum over ``r`` is one small matrix product per frequency of the short series.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

CHUNK_BYTES = 2**26  # our choice: spectra held at once; fewer remainders at a time make the products slower


def lagged_products(
    u: NDArray[Any], v: NDArray[Any], step: int, *, with_plus: bool = False
) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Sum the products of all pairs at every lag of a grid, around the circle.

    Parameters
    ----------
    u : ndarray, shape (n_a, n_times)
        Real or complex series.
    v : ndarray, shape (n_b, n_times)
        The series to be shifted.
    step : int
        Samples between lags; the first ``n_times // step * step`` samples are used.
    with_plus : bool
        Also return the products without conjugation.

    Returns
    -------
    minus : ndarray, shape (n_grid, n_a, n_b)
        ``sum_t u(t) conj(v(t - lag))`` for lags 0, step, 2 step ... (v rolled forward by the lag).
    plus : ndarray of the same shape, or None
        ``sum_t u(t) v(t - lag)``.

    Examples
    --------
    >>> u, v = np.array([[1.0, 2, 3, 4]]), np.array([[1.0, 0, 0, 0]])
    >>> lagged_products(u, v, 1)[0].ravel().round(6).tolist()
    [1.0, 2.0, 3.0, 4.0]
    """
    real = not (np.iscomplexobj(u) or np.iscomplexobj(v))
    n_grid = u.shape[-1] // step
    spectra = _spectra(u, v, n_grid, step, real)
    shape = (n_grid // 2 + 1 if real else n_grid, len(u), len(v))
    minus = np.zeros(shape, dtype=np.result_type(u, v, np.complex64))
    plus = np.zeros_like(minus) if with_plus and not real else None
    product = np.empty_like(minus)
    for spectrum_u, spectrum_v in spectra:
        if plus is not None:
            mirrored = np.roll(spectrum_v[::-1], 1, axis=0)
            plus += np.matmul(spectrum_u, np.swapaxes(mirrored, -1, -2), out=product)
        np.conjugate(spectrum_v, out=spectrum_v)
        minus += np.matmul(spectrum_u, np.swapaxes(spectrum_v, -1, -2), out=product)
    if real:
        out = fft.irfft(minus, n=n_grid, axis=0)
        return out, (out if with_plus else None)
    if plus is not None:
        plus = fft.ifft(plus, axis=0, overwrite_x=True)
    return fft.ifft(minus, axis=0, overwrite_x=True), plus


def _spectra(
    u: NDArray[Any], v: NDArray[Any], n_grid: int, step: int, real: bool
) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """Spectra of the short series of a few remainders at once: (n_bins, n_channels, n_remainders) of both."""
    kind = np.result_type(u, v)
    rows = [x[:, : n_grid * step].reshape(len(x), n_grid, step) for x in (u, v)]
    width = min(step, max(1, CHUNK_BYTES // ((len(u) + len(v)) * n_grid * kind.itemsize)))
    buffers = [np.empty((n_grid, len(x), width), dtype=kind) for x in rows]
    forward = fft.rfft if real else fft.fft
    for start in range(0, step, width):
        count = min(width, step - start)
        parts = [buffer[..., :count] for buffer in buffers]
        for part, x in zip(parts, rows, strict=True):
            part[...] = np.moveaxis(x[..., start : start + count], 1, 0)
        yield forward(parts[0], axis=0, overwrite_x=True), forward(parts[1], axis=0, overwrite_x=True)
