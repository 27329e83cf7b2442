"""The record of facts that makes a function a metric."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from hyperscan.errors import InputError
from hyperscan.metrics.arrays import Domain, analytic_pair, real_pair
from hyperscan.metrics.engine.products import CrossMoment
from hyperscan.schema import MODALITIES

if TYPE_CHECKING:
    from hyperscan.metrics.wavelet import WaveletMap

MetricFunction = Callable[..., NDArray[Any]]
#: What a function may take without needing it: it has a default of its own.
_OPTIONAL = ("max_lag_s", "rank")

# The Fisher transform is capped here, so that a perfect value (a copied channel) stays finite (our choice).
_LARGEST = 1 - 1e-7

#: Name of the growth scale of what behaves like a correlation.
CORRELATION_SCALE = "Fisher z"


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

    Examples
    --------
    >>> import numpy as np
    >>> identity(np.array([0.3]))
    array([0.3])
    """
    return value


@dataclass(frozen=True)
class MetricSpec:
    """A metric: a function of two people's signals and the facts everything else needs to know of it.

    Parameters
    ----------
    name : str
        Its name in tables.
    func : callable
        ``func(a, b, **params) -> (..., n_a, n_b)``.
    domain : {"analytic", "real", "wavelet"}
        What ``a`` and ``b`` are: complex analytic signals or real signals of the band, or records of
        :func:`hyperscan.transforms.wavelet_transform`.
    bounds : tuple of float
        Smallest and largest possible value.
    link : callable
        Values to the scale growth is tested on.
    z_func : callable, optional
        ``z_func(a, b, **params) -> (value, z)``, where z is no function of the value.
    map_func : callable, optional
        ``map_func(a, b, sfreq=..., band=...) -> WaveletMap``, the course over time and period.
    zero_lag_blind : bool
        Whether signals equal at lag 0 give 0; such a metric cannot see volume-conducted or shared signals,
        nor true coupling at lag 0.
    blind : tuple of str
        What else it does not see, names of :data:`hyperscan.metrics.table.BLIND`: ``lag``, ``quarter cycle`` ...
    symmetric : bool
        Whether swapping the two people only transposes the result.
    direction : {"none", "sign", "a_to_b"}
        ``sign``: a positive value means the therapist leads, if by less than half a period; swapping changes the
        sign.
        ``a_to_b``: the influence of therapist on client; swap the arrays for the other one.
    chance : str
        What unrelated signals give.
    citation : str
        DOI of the paper that defines it.
    software : str
        DOI of the software that computes it, where it is not this package.
    summary : str
        One line.
    moment : CrossMoment, optional
        How it follows from averaged products.
    sets : CrossMoment, optional
        Of a metric of whole sets of channels: how its one value follows from averaged products of their components
        (:mod:`hyperscan.metrics.sets`). The function gives (..., 1, 1), and in a study is given a region and a region.
    params : tuple of str
        Which of ``sfreq`` (Hz), ``band`` (Hz, Hz), ``max_lag_s`` (s, the largest lag) and ``rank`` (components of a
        set) the function takes; the last two have a default.
    cycles : tuple of int, optional
        ``(n, m)``: n cycles of the client go with m of the therapist, so it compares a band of the therapist with n/m
        of it in the client; None = any two bands, as amplitudes do. A study whose bands do not fit is refused.
    not_for : mapping of str to str
        Modality (``eeg``, ``fnirs``) that it does not apply to, and the reason; a study that asks for it there is
        refused before any work.
    shortest_s : callable, optional
        ``shortest_s(band) -> float``, the shortest window in s that it can be computed from; likewise.

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
    domain: Domain = "analytic"
    bounds: tuple[float, float] = (-np.inf, np.inf)
    link: Callable[[NDArray[Any]], NDArray[Any]] = field(default=identity, repr=False)
    z_func: Callable[..., tuple[NDArray[Any], NDArray[Any]]] | None = field(default=None, repr=False)
    map_func: Callable[..., WaveletMap] | None = field(default=None, repr=False)
    zero_lag_blind: bool = False
    blind: tuple[str, ...] = ()
    symmetric: bool = True
    direction: Literal["none", "sign", "a_to_b"] = "none"
    chance: str = ""
    citation: str = ""
    software: str = ""
    summary: str = ""
    moment: CrossMoment | None = field(default=None, repr=False)
    sets: CrossMoment | None = field(default=None, repr=False)
    params: tuple[str, ...] = ()
    cycles: tuple[int, int] | None = (1, 1)
    not_for: Mapping[str, str] = field(default_factory=dict, repr=False)
    shortest_s: Callable[[tuple[float, float]], float] | None = field(default=None, repr=False)

    @property
    def blind_to(self) -> tuple[str, ...]:
        """What it does not see, names of :data:`hyperscan.metrics.table.BLIND`."""
        return ("zero lag",) * self.zero_lag_blind + self.blind

    @property
    def scale(self) -> str:
        """What its values are in where growth is tested: Fisher z, or the metric as it is, by its name."""
        return CORRELATION_SCALE if self.link is fisher or self.z_func is not None else self.name

    @property
    def modalities(self) -> tuple[str, ...]:
        """Kinds of recording that it applies to."""
        return tuple(modality for modality in MODALITIES if modality not in self.not_for)

    def evaluate(self, a: Any, b: Any, **params: Any) -> tuple[NDArray[Any], NDArray[Any]]:
        """Compute the metric and its value on the growth scale.

        Shapes: ``a, b`` (..., n_a, n_times), ``value, z`` (..., n_a, n_b), of a metric of sets (..., 1, 1).
        """
        chosen = {name: params[name] for name in self.params if params.get(name) is not None}
        missing = [name for name in self.params if name not in (*chosen, *_OPTIONAL)]
        if missing:
            raise InputError(f"metric {self.name!r} needs {' and '.join(missing)}; pass {missing[0]}=...")
        if self.z_func is not None:
            return self.z_func(a, b, **chosen)
        # a function of the user's that changed its inputs would change what the next metric sees
        kept = is_ours(self.func) or self.domain == "wavelet"
        value = np.asarray(self.func(*((a, b) if kept else map(_unwritable, (a, b))), **chosen))
        self._check_shape(value, np.shape(a), np.shape(b))
        self._check_values(value)
        return value, self.link(value)

    def check(self, a: Any, b: Any) -> tuple[NDArray[Any], NDArray[Any]]:
        """Check a pair of arrays against the domain; wavelets pass, as the metrics that take them check them.

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
        if self.domain == "wavelet":
            return a, b
        return analytic_pair(a, b) if self.domain == "analytic" else real_pair(a, b)

    def _check_shape(self, value: NDArray[Any], a: tuple[int, ...], b: tuple[int, ...]) -> None:
        pair = (a[-2], b[-2]) if self.sets is None else (1, 1)
        wanted = (*np.broadcast_shapes(a[:-2], b[:-2]), *pair)
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
