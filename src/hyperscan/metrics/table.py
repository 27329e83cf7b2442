"""The table of metrics: one entry for each, and how they are found, computed together and listed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from importlib import import_module
from inspect import signature
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperscan.errors import InputError, did_you_mean
from hyperscan.metrics import amplitude, information, lagged, phase, sets, spectral, temporal
from hyperscan.metrics.engine.products import Preparation, Products, cross_products
from hyperscan.metrics.mne_methods import PREFIX, adapt
from hyperscan.metrics.spec import CORRELATION_SCALE, MetricSpec, fisher, is_ours
from hyperscan.schema import GROWTH_SCALE, index_facts

_CONTEXT = ("sfreq", "band")
_BIASED = "> 0, falls with window length and bandwidth"


def _of_wavelets(name: str) -> Callable[..., Any]:
    """Return a function of the module of wavelets, loaded at its first call: scipy.fft takes time."""

    def call(a: Any, b: Any, sfreq: float, band: tuple[float, float]) -> Any:
        return getattr(import_module("hyperscan.metrics.wavelet"), name)(a, b, sfreq, band)

    call.__name__ = name
    return call


# what metrics of a narrow band share, and those of phases alone
_LAG_PEAKS = ("lag", "shared peaks")
_PHASES = ("amplitude", *_LAG_PEAKS)
_OF_SETS = "> 0, falls with window length and bandwidth, rises with the number of components"


def _shortest_of_sets(band: tuple[float, float]) -> float:
    """Return the seconds that one component of a set takes."""
    return sets.SAMPLES_PER_COMPONENT / (band[1] - band[0])


_SPECS = (
    MetricSpec(
        "plv", phase.plv, bounds=(0, 1), link=fisher, chance=_BIASED, moment=phase.PLV,
        blind=_PHASES,
        citation="10.1002/(SICI)1097-0193(1999)8:4<194::AID-HBM4>3.0.CO;2-C",
        summary="phase-locking value",
    ),
    MetricSpec(
        "ciplv", phase.ciplv, bounds=(0, 1), link=fisher, chance=_BIASED, moment=phase.CIPLV,
        blind=_PHASES,
        zero_lag_blind=True, citation="10.1088/1741-2552/aacfe4",
        summary="corrected imaginary phase-locking value",
    ),
    MetricSpec(
        "ppc", phase.ppc, bounds=(-1, 1), chance="about 0", moment=phase.PPC,
        blind=_PHASES,
        citation="10.1016/j.neuroimage.2010.01.073", summary="pairwise phase consistency",
    ),
    MetricSpec(
        "ccorr", phase.ccorr, bounds=(-1, 1), link=fisher, chance="0", moment=phase.CCORR,
        blind=("even phases", *_PHASES),
        citation="10.3389/fnhum.2013.00881", summary="circular correlation of phases",
    ),
    MetricSpec(
        "accorr", phase.accorr, bounds=(-1, 1), link=fisher, chance=_BIASED, moment=phase.ACCORR,
        blind=_PHASES,
        citation="10.1162/imag_a_00350", summary="adjusted circular correlation of phases",
    ),
    MetricSpec(
        "nmplv", phase.nmplv, bounds=(0, 1), link=fisher, symmetric=False, chance=_BIASED, cycles=(1, 2),
        blind=("one rhythm", "lag", "amplitude"),
        citation="10.1103/PhysRevLett.81.3291", summary="n:m phase-locking value (1:2)",
    ),
    MetricSpec(
        "pli", lagged.pli, bounds=(0, 1), link=fisher, chance=_BIASED, zero_lag_blind=True,
        blind=_PHASES,
        citation="10.1002/hbm.20346", summary="phase-lag index",
    ),
    MetricSpec(
        "wpli", lagged.wpli, bounds=(0, 1), link=fisher, chance=_BIASED, zero_lag_blind=True,
        blind=_LAG_PEAKS,
        citation="10.1016/j.neuroimage.2011.01.055", summary="weighted phase-lag index",
    ),
    MetricSpec(
        "dwpli", lagged.dwpli, bounds=(-1, 1), chance="about 0", zero_lag_blind=True,
        blind=_LAG_PEAKS,
        citation="10.1016/j.neuroimage.2011.01.055", summary="debiased squared weighted phase-lag index",
    ),
    MetricSpec(
        "coh", spectral.coh, bounds=(0, 1), link=fisher, chance=_BIASED, moment=spectral.COH,
        blind=_LAG_PEAKS,
        citation="10.1016/S0013-4694(97)00066-7", summary="coherence of the band",
    ),
    MetricSpec(
        "imcoh", spectral.imcoh, bounds=(-1, 1), link=fisher, chance="0", moment=spectral.IMCOH,
        blind=_LAG_PEAKS,
        zero_lag_blind=True, symmetric=False, direction="sign", citation="10.1016/j.clinph.2004.04.029",
        summary="imaginary part of coherency (signed)",
    ),
    MetricSpec(
        "lagcoh", spectral.lagcoh, bounds=(0, 1), link=fisher, chance=_BIASED, moment=spectral.LAGCOH,
        blind=_LAG_PEAKS,
        zero_lag_blind=True, citation="10.1098/rsta.2011.0081", summary="lagged coherence",
    ),
    MetricSpec(
        "mic", sets.mic, bounds=(0, 1), link=fisher, chance=_OF_SETS, sets=sets.MIC, params=("rank",),
        blind=("place", *_LAG_PEAKS), shortest_s=_shortest_of_sets,
        zero_lag_blind=True, citation="10.1016/j.neuroimage.2011.11.084",
        summary="maximised imaginary coherency of two regions",
    ),
    MetricSpec(
        "mim", sets.mim, bounds=(0, np.inf), chance=_OF_SETS, sets=sets.MIM, params=("rank",),
        blind=("place", *_LAG_PEAKS), shortest_s=_shortest_of_sets,
        zero_lag_blind=True, citation="10.1016/j.neuroimage.2011.11.084",
        summary="multivariate interaction measure of two regions",
    ),
    MetricSpec(
        "cacoh", sets.cacoh, bounds=(0, 1), link=fisher, chance=_OF_SETS, sets=sets.CACOH, params=("rank",),
        blind=("place", *_LAG_PEAKS), shortest_s=_shortest_of_sets,
        citation="10.1016/j.neuroimage.2019.116009", summary="canonical coherence of two regions",
    ),
    MetricSpec(
        "aec", amplitude.aec, bounds=(-1, 1), link=fisher, chance="0", moment=amplitude.AEC, cycles=None,
        blind=("lag", "phase"),
        citation="10.1097/00001756-200005150-00029", summary="amplitude-envelope correlation",
    ),
    MetricSpec(
        "oaec", amplitude.oaec, bounds=(-1, 1), link=fisher, chance="0", zero_lag_blind=True,
        blind=("lag",),
        citation="10.1038/nn.3101", summary="orthogonalised amplitude-envelope correlation",
    ),
    MetricSpec(
        "pec", amplitude.pec, bounds=(-1, 1), link=fisher, chance="0", moment=amplitude.PEC, cycles=None,
        blind=("lag", "phase"),
        citation="10.1097/00001756-200005150-00029", summary="power-envelope correlation",
    ),
    MetricSpec(
        "gcmi", information.gcmi, bounds=(0, np.inf), chance=_BIASED,
        blind=_LAG_PEAKS,
        citation="10.1002/hbm.23471", summary="Gaussian-copula mutual information of analytic signals (bits)",
    ),
    MetricSpec(
        "gcte", information.gcte, domain="real", bounds=(0, np.inf), chance=_BIASED, symmetric=False,
        blind=_LAG_PEAKS,
        direction="a_to_b", citation="10.1002/hbm.23471", params=("sfreq",),
        summary="Gaussian-copula transfer entropy from therapist to client (bits)",
    ),
    MetricSpec(
        "corr", amplitude.corr, domain="real", bounds=(-1, 1), link=fisher, chance="0",
        blind=("quarter cycle", *_LAG_PEAKS),
        moment=amplitude.CORR, citation="10.1098/rspl.1895.0041", summary="Pearson correlation",
    ),
    MetricSpec(
        "xcorr", temporal.xcorr, domain="real", bounds=(-1, 1), link=fisher, params=("sfreq", "max_lag_s"),
        blind=("shared peaks",),
        chance="not 0: the strongest of many lags", citation="10.1037/1082-989X.7.3.338",
        summary="strongest cross-correlation within max_lag_s",
    ),
    MetricSpec(
        "xcorr_lag", temporal.xcorr_lag, domain="real", params=("sfreq", "max_lag_s"), symmetric=False,
        direction="sign", chance="any lag", citation="10.1037/1082-989X.7.3.338",
        summary="lag of the strongest cross-correlation within max_lag_s (s)",
    ),
    MetricSpec(
        "ar_corr", temporal.ar_corr, domain="real", bounds=(-1, 1), link=fisher, params=("sfreq",),
        blind=("quarter cycle", "lag"),
        chance="0", citation="10.1117/1.JBO.22.5.055002", summary="robust AR-prewhitened correlation",
        not_for={"eeg": "it compares equal samples, so coupling at a lag of more than one sample (some ms) is lost"},
    ),
    MetricSpec(
        "wtc", _of_wavelets("wtc"), domain="wavelet", bounds=(0, 1), params=("sfreq", "band"),
        blind=("shared peaks",),
        z_func=_of_wavelets("wtc_evaluate"), map_func=_of_wavelets("wtc_mean_map"),
        chance="about 0.32", citation="10.5194/npg-11-561-2004", summary="squared wavelet coherence",
    ),
    *(
        MetricSpec(
            f"wtc_{kind}", _of_wavelets(f"wtc_{kind}"), domain="wavelet", bounds=(0, 1), params=("sfreq", "band"),
            blind=blind, zero_lag_blind="leads" in kind, symmetric="leads" not in kind, chance="about 0.25",
            citation="10.5194/npg-11-561-2004", summary=f"share of the time {what}, by wavelet phase",
        )
        for kind, what, blind in (
            ("in_phase", "in phase", ("quarter cycle", "lag")),
            ("therapist_leads", "in which the therapist leads", ("lag",)),
            ("client_leads", "in which the client leads", ()),
            ("anti_phase", "in anti-phase", ("lag",)),
        )
    ),
)  # fmt: skip

#: What a metric may be blind to, in words.
BLIND: Mapping[str, str] = MappingProxyType(
    {
        "zero lag": "coupling at lag 0 (and at half a cycle), as to everything common to both recordings",
        "quarter cycle": "coupling at a lag of a quarter cycle of the rhythm",
        "lag": "coupling at a lag beyond about 1 / bandwidth",
        "even phases": "coupling of phases that cover the circle evenly, as those of rhythms do",
        "one rhythm": "locking of one frequency with itself: it compares a rhythm with another of half its frequency",
        "amplitude": "amplitudes",
        "place": "where in a region the coupling lies: the components that couple may be others in every window",
        "phase": "phases",
        "shared peaks": "the difference between coupling and equal peaks of two spectra: it is above 0 for both",
    }
)

#: Every metric by name.
METRICS: Mapping[str, MetricSpec] = MappingProxyType({spec.name: spec for spec in _SPECS})


def get_metric(metric: str | Callable[..., Any] | MetricSpec) -> MetricSpec:
    """Find a metric by name, or make one of a function.

    Parameters
    ----------
    metric : str, callable or MetricSpec
        A name of :data:`METRICS`; ``"mne:<method>"`` for a method of mne-connectivity; a function
        ``func(a, b) -> (..., n_a, n_b)`` of analytic signals, which may also take ``sfreq`` and ``band``;
        or a record, which is returned as it is (needed for a function of real signals).

    Returns
    -------
    MetricSpec
        The record.

    Raises
    ------
    InputError
        If there is no such metric, or a function has the name of one.

    Examples
    --------
    >>> get_metric("plv").bounds
    (0, 1)
    """
    if isinstance(metric, MetricSpec) or callable(metric):
        spec = metric if isinstance(metric, MetricSpec) else _of_function(metric)
        if spec.name in METRICS and not is_ours(spec.func):
            raise InputError(
                f"metric {spec.name!r}: a function of yours has the name of one of ours, so tables would mix them up. "
                "Rename it, or pass a MetricSpec with another name."
            )
        return spec
    if metric in METRICS:
        return METRICS[metric]
    known = METRICS.get(str(metric).removeprefix(PREFIX))
    if known is not None and known.sets is not None:
        raise InputError(f"metric {metric!r} compares whole regions, not pairs of channels. Write {known.name!r}.")
    if str(metric).startswith(PREFIX):
        return adapt(metric)
    raise InputError(
        f"metric {metric!r} is unknown.{did_you_mean(str(metric), METRICS)}\nKnown: {', '.join(METRICS)}, mne:<method>."
    )


def get_metrics(metrics: Iterable[str | Callable[..., Any] | MetricSpec]) -> tuple[MetricSpec, ...]:
    """Find several metrics, each under a name of its own.

    Parameters
    ----------
    metrics : iterable of str, callable or MetricSpec
        As for :func:`get_metric`: names, records, or functions ``func(a, b) -> (..., n_a, n_b)``.

    Returns
    -------
    tuple of MetricSpec
        In the order given.

    Raises
    ------
    InputError
        If one is unknown, or two have the same name.

    Examples
    --------
    >>> [spec.name for spec in get_metrics(["plv", "mne:wpli2_debiased"])]
    ['plv', 'mne:wpli2_debiased']
    """
    specs = tuple(get_metric(metric) for metric in metrics)
    by_name = {spec.name: spec for spec in specs}
    twice = [spec.name for spec in specs if by_name[spec.name] != spec]
    if twice:
        raise InputError(
            f"two metrics are called {twice[0]!r}, so one would replace the other. Give each function a name with "
            "def, or a MetricSpec."
        )
    return specs


def growth_scale(*metrics: str) -> str:
    """Name what metrics are in where growth is tested: Fisher z, or one as it is, by its name; the like of several.

    One that is not known is taken to be put on Fisher z.

    Examples
    --------
    >>> growth_scale("plv", "coh"), growth_scale("ppc"), growth_scale("plv", "ppc")
    ('Fisher z', 'ppc', 'growth scale')
    """
    found = {_scale_of(metric) for metric in metrics or ("",)}
    return found.pop() if len(found) == 1 else GROWTH_SCALE


def index_scale(name: str) -> str:
    """Name what an index of one person is in: of coupling, what its metric is in.

    Examples
    --------
    >>> index_scale("power"), index_scale("lagcoh"), index_scale("dwpli")
    ('dB', 'Fisher z', 'dwpli')
    """
    return index_facts(name).scale or growth_scale(name)


def _scale_of(metric: str) -> str:
    try:
        return get_metric(metric).scale
    except InputError:
        return CORRELATION_SCALE


def evaluate_many(
    metrics: Iterable[str | Callable[..., Any] | MetricSpec], a: Any, b: Any, **params: Any
) -> dict[str, tuple[NDArray[Any], NDArray[Any]]]:
    """Compute several metrics of the same signals, sharing the work they have in common.

    Metrics with the same preparation (``plv``, ``ciplv``, ``ppc`` and ``accorr``; ``coh``, ``imcoh`` and
    ``lagcoh``) are read off one matrix product.

    Parameters
    ----------
    metrics : iterable of str, callable or MetricSpec
        Metrics of one domain, as for :func:`get_metric`.
    a, b : array, shape (..., n_a, n_times) and (..., n_b, n_times)
        Signals of therapist and client in that domain.
    **params
        ``sfreq`` in Hz, ``band`` (low, high) in Hz and ``max_lag_s``, for the metrics that take them.

    Returns
    -------
    dict of str to (value, z)
        By name, both of shape (..., n_a, n_b): the metric and its value on the growth scale.

    Raises
    ------
    InputError
        If a metric is unknown, or the signals do not fit it.

    Examples
    --------
    >>> import numpy as np
    >>> z = np.exp(1j * np.linspace(0, 50, 1000))[None]
    >>> results = evaluate_many(["plv", "ciplv"], z, z)
    >>> {name: float(value.round(3)[0, 0]) for name, (value, z) in results.items()}
    {'plv': 1.0, 'ciplv': 0.0}
    """
    specs = list(get_metrics(metrics))
    shared = _shared_products(specs, a, b)
    results = {}
    for spec in specs:
        if spec.moment is not None and spec.moment.preparation in shared:
            value = spec.moment.value(shared[spec.moment.preparation])
            results[spec.name] = (value, spec.link(value))
        else:
            results[spec.name] = spec.evaluate(a, b, **params)
    return results


def _shared_products(specs: list[MetricSpec], a: Any, b: Any) -> dict[Preparation, Products]:
    """Products of the preparations that two or more of the metrics have in common."""
    users: dict[Preparation, list[MetricSpec]] = {}
    for spec in specs:
        if spec.moment is not None and spec.z_func is None:
            users.setdefault(spec.moment.preparation, []).append(spec)
    return {
        preparation: cross_products(
            *sharing[0].check(a, b),
            preparation,
            plus=any(spec.moment.needs_plus for spec in sharing if spec.moment is not None),
        )
        for preparation, sharing in users.items()
        if len(sharing) > 1
    }


def _of_function(func: Callable[..., Any]) -> MetricSpec:
    """Record of a function, or of one of ours whose options a ``functools.partial`` sets."""
    inner = func.func if isinstance(func, partial) else func
    name = getattr(inner, "__name__", "custom")
    if is_ours(func) and name in METRICS:
        known = METRICS[name]
        if inner is func:
            return known
        # other factors of the phases go with other bands
        cycles = None if isinstance(func, partial) and {"n", "m"} & set(func.keywords) else known.cycles
        return replace(known, func=func, moment=None, z_func=None, cycles=cycles)
    try:
        names = tuple(signature(func).parameters)
    except (TypeError, ValueError):
        names = ()
    taken = tuple(context for context in _CONTEXT if context in names)
    label = re.sub(r"\W+", "_", name).strip("_") or "custom"
    return MetricSpec(label, func, summary="user's function", params=taken, cycles=None, symmetric=False)


_HEADINGS = ("metric", "input", "range", "without coupling", "zero lag", "direction", "what it is", "DOI")

#: How the facts of a record read.
DIRECTIONS = {
    "none": "-",
    "sign": "sign: + = therapist leads, within half a period",
    "a_to_b": "therapist to client",
}


def describe_metrics() -> str:
    """List every metric with its range, chance level, zero-lag behaviour and source.

    Returns
    -------
    str
        One line per metric under a line of headings, columns separated by two or more spaces.

    Examples
    --------
    >>> print(describe_metrics().splitlines()[1].split("  ")[0])
    plv
    """
    rows = [_HEADINGS, *(_row(spec) for spec in METRICS.values())]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEADINGS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _row(spec: MetricSpec) -> tuple[str, ...]:
    low, high = spec.bounds
    return (
        spec.name,
        spec.domain,
        f"{low:g} to {high:g}",
        spec.chance,
        "blind" if spec.zero_lag_blind else "sees",
        DIRECTIONS[spec.direction],
        spec.summary,
        spec.citation,
    )
