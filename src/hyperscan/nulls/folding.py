"""Cross products at every lag of a uniform grid, for the price of about one matrix product.

With lags that are multiples of ``d``, sample ``d q + r`` only ever meets samples of the same remainder
``r``. So the recording splits into ``d`` short series; the circular cross-correlation of the whole is the
sum of theirs, and that sum over ``r`` is one small matrix product per frequency of the short series.

Samples are prepared (scaled, turned into phases) as they are split, a few remainders at a time: nothing the
size of the recording is held beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import fft

CHUNK_BYTES = 2**27  # our choice: samples held at once; fewer remainders at a time make the products slower

Prepare = Callable[[NDArray[Any]], NDArray[Any]]


class LaggedProducts(NamedTuple):
    """Sums over time of products of two people's series, at every lag of a grid.

    Attributes
    ----------
    minus : ndarray, shape (n_grid, n_a, n_b)
        ``sum_t u(t) conj(v(t - lag))`` for lags 0, step, 2 step ... (v rolled forward by the lag).
    plus : ndarray of the same shape, or None
        ``sum_t u(t) v(t - lag)``.
    squares_u, squares_v : ndarray, shape (n_a,) and (n_b,), or None
        ``sum_t u(t)**2`` and ``sum_t v(t)**2``.
    """

    minus: NDArray[Any]
    plus: NDArray[Any] | None
    squares_u: NDArray[Any] | None
    squares_v: NDArray[Any] | None


def as_they_are(x: NDArray[Any]) -> NDArray[Any]:
    """Leave samples unprepared.

    Parameters
    ----------
    x : ndarray, shape (n_channels, n_times)
        Samples.

    Returns
    -------
    ndarray, shape (n_channels, n_times)
        The same samples.

    Examples
    --------
    >>> as_they_are(np.ones((1, 2)))
    array([[1., 1.]])
    """
    return x


def lagged_products(
    u: NDArray[Any],
    v: NDArray[Any],
    step: int,
    *,
    prepare: tuple[Prepare, Prepare] = (as_they_are, as_they_are),
    valid: tuple[NDArray[np.bool_] | None, NDArray[np.bool_] | None] = (None, None),
    with_plus: bool = False,
) -> LaggedProducts:
    """Sum the products of all pairs at every lag of a grid, around the circle.

    Parameters
    ----------
    u : ndarray, shape (n_a, n_times)
        Real or complex series.
    v : ndarray, shape (n_b, n_times)
        The series to be shifted.
    step : int
        Samples between lags; the first ``n_times // step * step`` samples are used.
    prepare : tuple of callable
        What is done first to samples (n_channels, n) of ``u`` and of ``v``, whichever and however many.
    valid : tuple of ndarray of bool, shape (n_times,), or None
        Samples of ``u`` and ``v`` that count; the others add nothing.
    with_plus : bool
        Also return the products without conjugation, and the squares.

    Returns
    -------
    LaggedProducts
        Sums at all lags of the grid.

    Examples
    --------
    >>> u, v = np.array([[1.0, 2, 3, 4]]), np.array([[1.0, 0, 0, 0]])
    >>> lagged_products(u, v, 1).minus.ravel().round(6).tolist()
    [1.0, 2.0, 3.0, 4.0]
    """
    n_grid = u.shape[-1] // step
    width = min(step, max(1, CHUNK_BYTES // ((len(u) + len(v)) * n_grid * u.itemsize)))
    chunks = [_chunks(x, n_grid, step, width, f, kept) for x, f, kept in zip((u, v), prepare, valid, strict=True)]
    minus: Any = None
    plus: Any = None
    squares: list[Any] = [0.0, 0.0]
    for pair in zip(*chunks, strict=True):
        real = not any(np.iscomplexobj(x) for x in pair)
        if with_plus:
            squares = [total + np.einsum("ijk,ijk->i", x, x) for total, x in zip(squares, pair, strict=True)]
        # channels by bins by remainders -> bins by channels by remainders, as views
        ours, theirs = (_spectra(x, real).transpose(1, 0, 2) for x in pair)
        if minus is None:
            product = np.empty((len(ours), len(u), len(v)), dtype=np.result_type(ours, theirs))
            minus, plus = np.zeros_like(product), np.zeros_like(product) if with_plus and not real else None
        if plus is not None:  # bin k of one series meets bin -k of the other
            np.matmul(ours[:1], _turned(theirs[:1]), out=product[:1])
            np.matmul(ours[1:], _turned(theirs[:0:-1]), out=product[1:])
            plus += product
        minus += np.matmul(ours, _turned(np.conjugate(theirs, out=theirs)), out=product)
    if real:
        minus = fft.irfft(minus, n=n_grid, axis=0)
        plus = minus if with_plus else None
    else:
        minus = fft.ifft(minus, axis=0, overwrite_x=True)
        plus = None if plus is None else fft.ifft(plus, axis=0, overwrite_x=True)
    return LaggedProducts(minus, plus, *(squares if with_plus else (None, None)))


def _chunks(
    x: NDArray[Any], n_grid: int, step: int, width: int, prepare: Prepare, valid: NDArray[np.bool_] | None
) -> Iterator[NDArray[Any]]:
    """Yield prepared samples of a few remainders at once, shape (n_channels, n_grid, n_remainders)."""
    teeth = x[:, : n_grid * step].reshape(len(x), n_grid, step)
    out = None if valid is None else ~valid[: n_grid * step].reshape(n_grid, step)
    for start in range(0, step, width):
        some = np.array(teeth[..., start : start + width], order="C")  # its own: the transform may overwrite it
        with np.errstate(invalid="ignore"):  # samples that do not count may hold anything
            prepared = prepare(some.reshape(len(x), -1)).reshape(some.shape)
        if out is not None:
            np.copyto(prepared, 0, where=out[:, start : start + width])
        yield prepared


def _spectra(x: NDArray[Any], real: bool) -> NDArray[Any]:
    return np.asarray(fft.rfft(x, axis=1) if real else fft.fft(x, axis=1, overwrite_x=True))


def _turned(x: NDArray[Any]) -> NDArray[Any]:
    return np.swapaxes(x, -1, -2)
