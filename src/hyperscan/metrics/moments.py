"""Metrics that follow from time-averaged products: what is multiplied, and what becomes of the averages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperscan.metrics.products import Preparation, Products, cross_products

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
        x : array, shape (n_channels, n)
            Samples of one person, in the domain of the metric: all of them, or some.
        facts : array, shape (n_channels, n_facts)
            What :meth:`measure` found in the whole channels.

        Returns
        -------
        array, shape (n_channels, n)
            Unit phasors, or samples of unit mean square. NaN where a sample is, or a channel is flat.
        """
        real, planar = x.real.dtype, self.preparation.n_rows == 2
        out = np.empty(x.shape, dtype=np.result_type(real, np.complex64) if planar else real)
        parts = np.empty((self.preparation.n_rows, x.shape[-1]), dtype=real)
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            for i, row in enumerate(out):  # one channel at a time stays in the processor's cache
                self.preparation.fill(np.ascontiguousarray(x[i : i + 1]), facts[i : i + 1], parts)
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

        Parameters
        ----------
        minus : array, shape (..., n_a, n_b)
            Mean over time of ``u conj(v)``, u and v the prepared channels of therapist and client.
        plus : complex array, shape (..., n_a, n_b), optional
            Mean of ``u v``, if ``needs_plus``.
        a, b : complex array, shape (..., n_a) and (..., n_b), optional
            Mean of ``u**2`` and ``v**2``, if ``needs_plus``. A circular shift leaves them as they are.
        n_times : int, optional
            Samples averaged; where a metric corrects for their number, none means very many.

        Returns
        -------
        array, shape (..., n_a, n_b)
            Values of the metric.
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
        One or more, of one preparation. Values of the metrics stand on an axis before those of the channels.

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
