"""Sums over time of products of two people's channels, and what becomes of their averages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hyperscan.metrics.arrays import leading_shape

_CHUNK_BYTES = 2**20  # both buffers together; half of a usual level-2 cache (our choice)
_WHOLE_BYTES = 2**23  # up to here a window is not cut: reading it twice costs more than leaving that cache (our choice)
_ALIGNMENT = 64  # bytes of a line of the cache
_MIN_CHUNK = 256  # samples: shorter products are dominated by their calls (our choice)

Combine = Callable[[NDArray[Any], NDArray[Any], NDArray[Any]], object]


class Preparation(Protocol):
    """How the samples of a channel enter a product.

    ``n_rows`` is the number of rows a channel takes: one (real) or two (real parts, imaginary parts); a
    preparation for a kernel of its own may take more.
    """

    @property
    def n_rows(self) -> int:
        """Rows per channel."""

    def measure(self, x: NDArray[Any]) -> NDArray[Any]:
        """Facts of whole channels that their samples are scaled by: (n, n_times) -> (n, n_facts)."""

    def fill(self, x: NDArray[Any], facts: NDArray[Any], out: NDArray[Any]) -> None:
        """Write prepared samples (n, n_chunk) into rows (n_rows * n, n_chunk), both C-contiguous."""

    def whole(self, x: NDArray[Any], out: NDArray[Any]) -> None:
        """Write whole channels (n, n_times) at once into rows (n_rows * n, n_times), both C-contiguous."""


@dataclass(frozen=True)
class Products:
    """Time averages of products of prepared channels u (therapist) and v (client)."""

    #: shape (..., n_a, n_b): Mean of ``u conj(v)``; real if the prepared channels are
    minus: NDArray[Any]
    #: shape (..., n_a, n_b): Mean of ``u v``
    plus: NDArray[Any] | None
    #: shape (..., n_a): Mean of ``u**2`` and of ``v**2``
    a: NDArray[Any] | None
    b: NDArray[Any] | None
    #: Number of samples averaged
    n_times: int


def cross_products(
    a: NDArray[Any],
    b: NDArray[Any],
    prepare: Preparation,
    prepare_b: Preparation | None = None,
    *,
    plus: bool = False,
) -> Products:
    """Average products of every channel of a with every channel of b.

    Shapes: ``a, b`` (..., n_a, n_times).

    Examples
    --------
    >>> import numpy as np
    >>> from hyperscan.metrics.engine.preparations import PHASE
    >>> z = np.exp(1j * np.linspace(0, 6, 50))[np.newaxis]
    >>> cross_products(z, z * 1j, PHASE).minus.round(6)
    array([[0.-1.j]])
    """
    n_a, n_b, n_times = a.shape[-2], b.shape[-2], a.shape[-1]
    pair = (prepare, prepare_b or prepare)
    rows = (n_a * pair[0].n_rows, n_b * pair[1].n_rows)
    real = a.real.dtype
    dtype = np.result_type(real, np.complex64) if prepare.n_rows == 2 else real
    lead = leading_shape(a, b)
    minus = np.empty((*lead, n_a, n_b), dtype=dtype)
    sums = np.empty_like(minus) if plus else None
    squares = [np.zeros((*lead, n), dtype=np.complex128) if plus else None for n in (n_a, n_b)]

    def combine(first: NDArray[Any], second: NDArray[Any], out: NDArray[Any]) -> None:
        np.matmul(first, second.T, out=out)
        for total, part in zip(squares, (first, second), strict=True):
            if total is not None:
                total[where] += _square_sums(part)

    work = _Workspace(a, b, pair, rows)
    with _quiet():
        for where in np.ndindex(*lead):
            gram = work.reduce(where, combine) / n_times
            _split(gram, minus[where], sums[where] if sums is not None else None)
    for total in squares:
        if total is not None:
            total /= n_times
    return Products(minus, sums, squares[0], squares[1], n_times)


def pair_sums(a: NDArray[Any], b: NDArray[Any], prepare: Preparation, combine: Combine, n_sums: int) -> NDArray[Any]:
    """Add up a compiled kernel's results over the chunks of every window.

    Shapes: ``a, b`` (..., n_a, n_times), ``combine`` (n_sums, n_a, n_b), returns (n_sums, ..., n_a, n_b).

    Examples
    --------
    >>> import numpy as np
    >>> from hyperscan.metrics.engine.preparations import PHASE
    >>> def first_sample(rows_a, rows_b, out):
    ...     out[0] = rows_a[:1, :1]
    >>> z = np.exp(1j * np.linspace(0, 6, 50))[np.newaxis]
    >>> pair_sums(z, z, PHASE, first_sample, 1)
    array([[[1.]]])
    """
    n_a, n_b = a.shape[-2], b.shape[-2]
    lead = leading_shape(a, b)
    sums = np.empty((n_sums, *lead, n_a, n_b))
    work = _Workspace(a, b, (prepare, prepare), (n_sums, n_a, n_b))
    with _quiet():
        for where in np.ndindex(*lead):
            sums[(slice(None), *where)] = work.reduce(where, combine)
    return sums


def _quiet() -> np.errstate:
    """Let samples that are NaN, zero or out of range become NaN without a word; metrics say what NaN means."""
    return np.errstate(invalid="ignore", divide="ignore", over="ignore")


class _Workspace:
    """Buffers for the prepared rows of one chunk of a window, used again for every window."""

    def __init__(
        self,
        a: NDArray[Any],
        b: NDArray[Any],
        pair: tuple[Preparation, Preparation],
        shape: tuple[int, ...],
    ) -> None:
        lead = leading_shape(a, b)
        self.signals = [np.broadcast_to(x, (*lead, *x.shape[-2:])) for x in (a, b)]
        self.pair = pair
        self.n_times = a.shape[-1]
        real = a.real.dtype
        heights = [x.shape[-2] * p.n_rows for x, p in zip((a, b), pair, strict=True)]
        sample_bytes = max(1, sum(heights)) * real.itemsize
        longest = max(_MIN_CHUNK, _CHUNK_BYTES // sample_bytes)
        whole = sample_bytes * self.n_times <= _WHOLE_BYTES
        self.length = self.n_times if whole else -(-self.n_times // -(-self.n_times // longest))
        self.heights = heights
        # Flat, so that a shorter last chunk is contiguous too: the kernels are compiled for that.
        self.rows = [_aligned(height * self.length, real) for height in heights]
        self.copies = [np.empty(x.shape[-2] * self.length, dtype=x.dtype) for x in (a, b)]
        self.out = np.empty(shape, dtype=real)

    def reduce(self, where: tuple[int, ...], combine: Combine) -> NDArray[Any]:
        """Sum of ``combine`` over the chunks of one window; in double precision if there are several."""
        window = [x[where] for x in self.signals]
        if self.length == self.n_times:
            combine(*self._filled(window, None, slice(0, self.n_times)), self.out)
            return self.out
        total: Any = 0.0
        facts = [p.measure(x) for p, x in zip(self.pair, window, strict=True)]
        for start in range(0, self.n_times, self.length):
            span = slice(start, min(start + self.length, self.n_times))
            combine(*self._filled(window, facts, span), self.out)
            total = total + self.out.astype(np.float64)
        return np.asarray(total)

    def _filled(
        self, window: list[NDArray[Any]], facts: list[NDArray[Any]] | None, span: slice
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        filled = []
        length = span.stop - span.start
        for i, (prepare, x) in enumerate(zip(self.pair, window, strict=True)):
            chunk = x[:, span]
            if not chunk.flags.c_contiguous:
                copy = self.copies[i][: chunk.size].reshape(chunk.shape)
                np.copyto(copy, chunk)
                chunk = copy
            rows = self.rows[i][: self.heights[i] * length].reshape(self.heights[i], length)
            if facts is None:
                prepare.whole(chunk, rows)
            else:
                prepare.fill(chunk, facts[i], rows)
            filled.append(rows)
        return filled[0], filled[1]


def _aligned(size: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Vector that starts with a line of the cache, which compiled loops read and write faster."""
    raw = np.empty(size * dtype.itemsize + _ALIGNMENT, dtype=np.uint8)
    start = -raw.ctypes.data % _ALIGNMENT
    return raw[start : start + size * dtype.itemsize].view(dtype)


def _square_sums(rows: NDArray[Any]) -> NDArray[Any]:
    """Sum of squares of complex rows given as real above imaginary parts."""
    from hyperscan.metrics.engine.kernels import square_sums

    out = np.empty(rows.shape[0] // 2, dtype=np.complex128)
    square_sums(rows, out)
    return out


def _split(gram: NDArray[Any], minus: NDArray[Any], plus: NDArray[Any] | None) -> None:
    """Turn the four real blocks into the two complex products."""
    if minus.dtype.kind != "c":
        minus[...] = gram
        return
    n_a, n_b = minus.shape
    rr, ri, ir, ii = gram[:n_a, :n_b], gram[:n_a, n_b:], gram[n_a:, :n_b], gram[n_a:, n_b:]
    np.add(rr, ii, out=minus.real, casting="same_kind")
    np.subtract(ir, ri, out=minus.imag, casting="same_kind")
    if plus is not None:
        np.subtract(rr, ii, out=plus.real, casting="same_kind")
        np.add(ir, ri, out=plus.imag, casting="same_kind")


Finalise = Callable[
    [NDArray[Any], NDArray[Any] | None, NDArray[Any] | None, NDArray[Any] | None, "int | None"], NDArray[Any]
]


@dataclass(frozen=True)
class CrossMoment:
    """How a metric follows from time-averaged products of prepared channels.

    Products at all circular shifts cost little more than one, so a metric that has this can be tested
    against many lags at once.

    Parameters
    ----------
    preparation : Preparation
        What is done to the samples. Metrics with equal preparations share one matrix product.
    finish : callable
        ``(minus, plus, a, b, n_times) -> value``, see :meth:`finalise`.
    needs_plus : bool
        Whether ``plus``, ``a`` and ``b`` are needed.
    """

    preparation: Preparation
    finish: Finalise
    needs_plus: bool = False

    def measure(self, x: NDArray[Any]) -> NDArray[Any]:
        """Facts of whole channels that their samples are scaled by.

        Parameters
        ----------
        x : array, shape (n_channels, n_times)
            Signals of one person, in the domain of the metric; samples marked NaN do not enter.

        Returns
        -------
        array, shape (n_channels, n_facts)
            As the preparation needs them; NaN where a channel is flat.
        """
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            return self.preparation.measure(x)

    def prepare(self, x: NDArray[Any], facts: NDArray[Any]) -> NDArray[Any]:
        """Prepare samples for products.

        Parameters
        ----------
        x : array, shape (n_channels, ...)
            Samples of one person, in the domain of the metric: all of them, or some.
        facts : array, shape (n_channels, n_facts)
            What :meth:`measure` found in the whole channels.

        Returns
        -------
        array, shape (n_channels, ...)
            Unit phasors, or samples of unit mean square. NaN where a sample is, or a channel is flat.
        """
        real, planar = x.real.dtype, self.preparation.n_rows == 2
        out = np.empty(x.shape, dtype=np.result_type(real, np.complex64) if planar else real)
        rows = out.reshape(len(x), -1)
        parts = np.empty((self.preparation.n_rows, rows.shape[-1]), dtype=real)
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            for i, row in enumerate(rows):  # one channel at a time stays in the processor's cache
                self.preparation.fill(np.ascontiguousarray(x[i]).reshape(1, -1), facts[i : i + 1], parts)
                row.real = parts[0]
                if planar:
                    row.imag = parts[1]
        return out

    def finalise(
        self,
        minus: NDArray[Any],
        plus: NDArray[Any] | None = None,
        a: NDArray[Any] | None = None,
        b: NDArray[Any] | None = None,
        n_times: int | None = None,
    ) -> NDArray[Any]:
        """Turn averaged products into the value of the metric.

        Shapes: ``minus`` (..., n_a, n_b), ``plus`` (..., n_a, n_b), ``a, b`` (..., n_a), returns (..., n_a, n_b).
        """
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.finish(minus, plus, a, b, n_times)

    def value(self, products: Products) -> NDArray[Any]:
        """Value of the metric from computed products.

        Parameters
        ----------
        products : Products
            Computed with this preparation, and with ``plus`` if ``needs_plus``.

        Returns
        -------
        array, shape (..., n_a, n_b)
            Values of the metric.
        """
        return self.finalise(products.minus, products.plus, products.a, products.b, products.n_times)

    def compute(self, a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
        """Value of the metric for a checked pair of arrays.

        Parameters
        ----------
        a, b : array, shape (..., n_a, n_times) and (..., n_b, n_times)
            Signals in the domain of the metric and of one precision.

        Returns
        -------
        array, shape (..., n_a, n_b)
            Values of the metric, in the precision of the input.
        """
        value = self.value(cross_products(a, b, self.preparation, plus=self.needs_plus))
        return value.astype(a.real.dtype, copy=False)


@dataclass(frozen=True)
class JointMoment:
    """Several metrics read off the same products, which are then computed once for all of them.

    Parameters
    ----------
    moments : tuple of CrossMoment
        One or more, of one preparation. Values of the metrics lie on an axis before those of the channels.

    Examples
    --------
    >>> import numpy as np
    >>> from hyperscan.metrics import METRICS
    >>> both = JointMoment((METRICS["plv"].moment, METRICS["ciplv"].moment))
    >>> z = np.exp(1j * np.linspace(0, 50, 1000))[None]
    >>> both.compute(z, z).round(6).tolist()
    [[[1.0]], [[0.0]]]
    """

    moments: tuple[CrossMoment, ...]

    @property
    def needs_plus(self) -> bool:
        """Whether any of them needs the products without conjugation."""
        return any(moment.needs_plus for moment in self.moments)

    def measure(self, x: NDArray[Any]) -> NDArray[Any]:
        """Facts of whole channels, see :meth:`CrossMoment.measure`."""
        return self.moments[0].measure(x)

    def prepare(self, x: NDArray[Any], facts: NDArray[Any]) -> NDArray[Any]:
        """Prepare samples for products, see :meth:`CrossMoment.prepare`."""
        return self.moments[0].prepare(x, facts)

    def finalise(self, minus: NDArray[Any], *others: Any) -> NDArray[Any]:
        """Turn averaged products into the values of all metrics, shape (..., n_metrics, n_a, n_b)."""
        return np.stack([moment.finalise(minus, *others) for moment in self.moments], axis=-3)

    def compute(self, a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
        """Values of all metrics for a checked pair of arrays, shape (..., n_metrics, n_a, n_b)."""
        products = cross_products(a, b, self.moments[0].preparation, plus=self.needs_plus)
        return np.stack([moment.value(products) for moment in self.moments], axis=-3)
