"""The record of facts that makes a function a metric."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hyperscan.errors import InputError
from hyperscan.metrics.arrays import analytic_pair, real_pair
from hyperscan.metrics.products import Preparation, Products, cross_products

MetricFunction = Callable[..., NDArray[Any]]
Finalise = Callable[
    [NDArray[Any], NDArray[Any] | None, NDArray[Any] | None, NDArray[Any] | None, "int | None"], NDArray[Any]
]

# The Fisher transform is capped here, so that a perfect value (a copied channel) stays finite (our choice).
_LARGEST = 1 - 1e-7


def fisher(value: NDArray[Any]) -> NDArray[Any]:
    """Fisher z of the magnitude: the growth scale of everything that behaves like a correlation.

    Parameters
    ----------
    value : array, any shape
        Values from -1 to 1.

    Returns
    -------
    array, same shape
        ``atanh(|value|)``, at most 8.4.

    Examples
    --------
    >>> import numpy as np
    >>> fisher(np.array([0.0, -0.5, 1.0])).round(2)
    array([0.  , 0.55, 8.41])
    """
    size = np.minimum(np.abs(value), value.dtype.type(_LARGEST))
    return np.asarray(np.arctanh(size))


def identity(value: NDArray[Any]) -> NDArray[Any]:
    """Leave a value as it is, where no transform to a growth scale is known.

    Parameters
    ----------
    value : array, any shape
        Values of a metric.

    Returns
    -------
    array, same shape
        The same values.

    Examples
    --------
    >>> import numpy as np
    >>> identity(np.array([0.3]))
    array([0.3])
    """
    return value


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


@dataclass(frozen=True)
class MetricSpec:
    """A metric: a function of two people's signals and the facts everything else needs to know of it.

    Parameters
    ----------
    name : str
        Its name in tables.
    func : callable
        ``func(a, b, **params) -> (..., n_a, n_b)``.
    domain : {"analytic", "real"}
        What ``a`` and ``b`` are: complex analytic signals or real signals of the band.
    bounds : tuple of float
        Smallest and largest possible value.
    link : callable
        Values to the scale growth is tested on.
    z_func : callable, optional
        ``z_func(a, b, **params) -> (value, z)``, where z is no function of the value.
    zero_lag_blind : bool
        Whether signals equal at lag 0 give 0; such a metric cannot see volume-conducted or shared signals,
        nor true coupling at lag 0.
    symmetric : bool
        Whether swapping the two people only transposes the result.
    direction : {"none", "sign", "a_to_b"}
        ``sign``: a positive value means the therapist leads, swapping changes the sign.
        ``a_to_b``: the influence of therapist on client; swap the arrays for the other one.
    chance : str
        What unrelated signals give.
    citation : str
        DOI of the paper that defines it.
    summary : str
        One line.
    moment : CrossMoment, optional
        How it follows from averaged products.
    params : tuple of str
        Which of ``sfreq`` (Hz) and ``band`` (Hz, Hz) the function takes.

    Examples
    --------
    >>> import numpy as np
    >>> from hyperscan.metrics import METRICS
    >>> z = np.exp(1j * np.random.default_rng(0).uniform(0, 6.28, (1, 500)))
    >>> value, growth_scale = METRICS["plv"].evaluate(z, z)
    >>> value.round(3), growth_scale.round(1)
    (array([[1.]]), array([[8.4]]))
    """

    name: str
    func: MetricFunction = field(repr=False)
    domain: Literal["analytic", "real"] = "analytic"
    bounds: tuple[float, float] = (-np.inf, np.inf)
    link: Callable[[NDArray[Any]], NDArray[Any]] = field(default=identity, repr=False)
    z_func: Callable[..., tuple[NDArray[Any], NDArray[Any]]] | None = field(default=None, repr=False)
    zero_lag_blind: bool = False
    symmetric: bool = True
    direction: Literal["none", "sign", "a_to_b"] = "none"
    chance: str = ""
    citation: str = ""
    summary: str = ""
    moment: CrossMoment | None = field(default=None, repr=False)
    params: tuple[str, ...] = ()

    def evaluate(self, a: Any, b: Any, **params: Any) -> tuple[NDArray[Any], NDArray[Any]]:
        """Compute the metric and its value on the growth scale.

        Parameters
        ----------
        a, b : array, shape (..., n_a, n_times) and (..., n_b, n_times)
            Signals of therapist and client in the metric's domain.
        **params
            ``sfreq`` in Hz and ``band`` (low, high) in Hz; those that the metric does not take are ignored.

        Returns
        -------
        value, z : array, shape (..., n_a, n_b)
            The metric, and what growth is tested on.

        Raises
        ------
        InputError
            If a needed parameter is missing, or the function's result has a wrong shape, is complex or lies
            outside its bounds.
        """
        chosen = self._chosen(params)
        if self.z_func is not None:
            return self.z_func(a, b, **chosen)
        # a function of the user's that changed its inputs would change what the next metric sees
        value = np.asarray(self.func(*((a, b) if is_ours(self.func) else map(_unwritable, (a, b))), **chosen))
        self._check_shape(value, np.shape(a), np.shape(b))
        self._check_values(value)
        return value, self.link(value)

    def check(self, a: Any, b: Any) -> tuple[NDArray[Any], NDArray[Any]]:
        """Check a pair of arrays against the domain.

        Parameters
        ----------
        a, b : array, shape (..., n_a, n_times) and (..., n_b, n_times)
            Signals of therapist and client.

        Returns
        -------
        a, b : array, shapes as given
            The same, in one precision.

        Raises
        ------
        InputError
            If they are not of the domain, or the shapes do not fit.
        """
        return analytic_pair(a, b) if self.domain == "analytic" else real_pair(a, b)

    def _chosen(self, params: Mapping[str, Any]) -> dict[str, Any]:
        missing = [name for name in self.params if params.get(name) is None]
        if missing:
            raise InputError(f"metric {self.name!r} needs {' and '.join(missing)}; pass {missing[0]}=...")
        return {name: params[name] for name in self.params}

    def _check_shape(self, value: NDArray[Any], a: tuple[int, ...], b: tuple[int, ...]) -> None:
        wanted = (*np.broadcast_shapes(a[:-2], b[:-2]), a[-2], b[-2])
        if value.shape != wanted:
            raise InputError(
                f"metric {self.name!r} returned shape {value.shape}, expected {wanted}: "
                "(..., n_a, n_b) for a (..., n_a, n_times) and b (..., n_b, n_times)."
            )

    def _check_values(self, value: NDArray[Any]) -> None:
        if value.dtype.kind not in "fiub":
            raise InputError(
                f"metric {self.name!r} returned {value.dtype} values, expected real ones; return the size or a part."
            )
        # rounding may pass a bound by a little
        slack = np.sqrt(np.finfo(value.dtype if value.dtype.kind == "f" else float).eps)
        wrong = value[(value < self.bounds[0] - slack) | (value > self.bounds[1] + slack)]
        if wrong.size:
            raise InputError(
                f"metric {self.name!r} returned {wrong.flat[0]:.4g}, outside its bounds {self.bounds[0]:g} to "
                f"{self.bounds[1]:g}. Correct the function, or the bounds of its MetricSpec."
            )


def is_ours(func: Callable[..., Any]) -> bool:
    """Whether a function comes with this package, options set by ``functools.partial`` or not.

    Parameters
    ----------
    func : callable

    Returns
    -------
    bool

    Examples
    --------
    >>> is_ours(fisher), is_ours(max)
    (True, False)
    """
    inner = func.func if isinstance(func, partial) else func
    return (getattr(inner, "__module__", "") or "").startswith(__name__.rpartition(".")[0])


def _unwritable(signals: Any) -> NDArray[Any]:
    view = np.asarray(signals).view()
    view.flags.writeable = False
    return view
