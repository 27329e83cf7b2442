"""The lag null of one dyad-session: its whole-session statistic under circular shifts.

Weaker than re-paired people (it cannot see what a session's structure does to everyone), but it needs no
other dyad. ``lag_p`` tests ``lag_estimate``, the statistic that was shifted, and no other.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from hyperscan.errors import DataQualityWarning, InputError
from hyperscan.metrics import JointMoment, MetricSpec
from hyperscan.metrics.arrays import Domain, into_domain
from hyperscan.metrics.engine.products import Preparation
from hyperscan.metrics.sets import whitening
from hyperscan.nulls.inference import p_value
from hyperscan.nulls.lags import LagNull, Stacked, lags
from hyperscan.schema import Cell
from hyperscan.synchrony.pair import PairBand, WindowPair, pair_bands, roi_means, whole_windows
from hyperscan.synchrony.person import Signals
from hyperscan.synchrony.recipe import MetricFacts, Recipe

Array = npt.NDArray[Any]

#: Most shifts of wavelet coherence, which cannot be folded: 45 min hold 27 that are independent (100 s and more apart),
#: and p >= .025 is enough next to pseudo-dyads (our choice).
MOST_WAVELET_LAGS = 39

#: Shifts that are computed at once: it saves calls and stays in the cache (our choice).
STACKED_LAGS = 4

#: Shortest lag of haemoglobin in longest periods; one is about its autocorrelation time (our choice).
MIN_PERIODS = 2.0


class LagTest(NamedTuple):
    """The lag null of one signal, metric and band."""

    #: shape (n_roi_pairs,): Whole-session statistic on the growth scale, and its one-sided p-value
    estimate: Array
    p: Array
    #: shape (n_lags, n_roi_pairs): The same statistic under every shift; no rows where the recording is too short
    surrogates: Array

    @property
    def chance(self) -> Array:
        """Mean over the shifts, shape (n_roi_pairs,); NaN where there are none."""
        return self.surrogates.mean(axis=0) if len(self.surrogates) else np.full(self.surrogates.shape[1], np.nan)


def lag_tests(
    a: Signals, b: Signals, recipe: Recipe, windows: WindowPair, *, n_null: int, rng: np.random.Generator
) -> dict[Cell, LagTest]:
    """Test every metric that a shift leaves cheap to compute."""
    if recipe.modality == "fnirs":
        return _whole_tests(a, b, recipe, windows, n_null, rng)
    tests: dict[Cell, LagTest] = {}
    for both in pair_bands(a, b, recipe, windows):
        tests |= band_lag_tests(both, a, b, recipe, n_null=n_null, rng=rng)
        del both  # before the next band is filtered
    return tests


def band_lag_tests(
    both: PairBand, a: Signals, b: Signals, recipe: Recipe, *, n_null: int, rng: np.random.Generator
) -> dict[Cell, LagTest]:
    """Test the metrics of one band (EEG)."""
    # metrics of equal products are shifted together
    groups: dict[tuple[Domain, Preparation], list[MetricSpec]] = {}
    for spec in recipe.metrics:
        if spec.moment is not None:
            groups.setdefault((spec.domain, spec.moment.preparation), []).append(spec)
    valid = (a.clean_samples(recipe.window_s), b.clean_samples(recipe.window_s))
    edges, tests = recipe.bands[both.band], {}
    for (domain, _), specs in groups.items():
        joint = JointMoment(tuple(spec.moment for spec in specs if spec.moment is not None))
        x, y = (into_domain(each.analytic, domain, a.sfreq, edges) for each in (both.a, both.b))
        found = _shifted(x, y, joint, n_null, 2 * both.a.n_window, rng, a, valid)
        for k, spec in enumerate(specs):
            one = LagNull(found.estimate[k], found.surrogates[:, k], found.lags)
            tests[Cell(both.signal, spec.name, both.band)] = _judge(one, spec.link, a, b, recipe)
    shift = partial(_shifted, n_null=n_null, min_lag=2 * both.a.n_window, rng=rng, person=a, valid=valid)
    regions = _regions(a, b, recipe, both.band, both.a.n_window / a.sfreq)
    for name, test in set_tests(recipe.set_metrics, (both.a.analytic, both.b.analytic), regions, shift, valid).items():
        tests[Cell(both.signal, name, both.band)] = test
    return tests


class Regions(NamedTuple):
    """Two regions that a metric of sets compares."""

    #: Positions of their channels
    therapist: list[int]
    client: list[int]
    #: Components of either
    rank: int


def _regions(a: Signals, b: Signals, recipe: Recipe, band: str, length_s: float) -> list[Regions]:
    """Gather the regions of every ROI pair, where a metric of sets is asked for."""
    return [
        Regions(list(a.rois[rois.therapist]), list(b.rois[rois.client]), recipe.rank_of(rois, band, length_s))
        for rois in (recipe.pairs_of(a.rois, b.rois) if recipe.set_metrics else ())
    ]


def set_tests(
    specs: Sequence[MetricSpec],
    people: Sequence[Array],
    regions: Sequence[Regions],
    shift: Callable[[Array, Array, JointMoment], LagNull],
    valid: tuple[Array, Array] | None = None,
) -> dict[str, LagTest]:
    """Test metrics of whole regions: components of all valid samples are shifted, for all metrics together.

    Shapes: ``people`` two of (n_channels, n_times), ``valid`` two of (n_times,).
    """
    joint, nulls = JointMoment(tuple(spec.sets for spec in specs if spec.sets is not None)), []
    for *places, rank in regions:
        sets = [person[where] for person, where in zip(people, places, strict=True)]
        seen = sets if valid is None else [one[:, mask] for one, mask in zip(sets, valid, strict=True)]
        filters = [whitening(one, rank).astype(one.real.dtype) for one in seen]
        nulls.append(shift(filters[0] @ sets[0], filters[1] @ sets[1], joint))
    tests = {}
    for k, spec in enumerate(specs):
        estimate = spec.link(np.array([null.estimate[k, 0, 0] for null in nulls]))
        surrogates = spec.link(np.stack([null.surrogates[:, k, 0, 0] for null in nulls], axis=-1))
        p = p_value(estimate, surrogates) if len(surrogates) else np.full(len(nulls), np.nan)
        tests[spec.name] = LagTest(estimate, p, surrogates)
    return tests


def _whole_tests(
    a: Signals, b: Signals, recipe: Recipe, windows: WindowPair, n_null: int, rng: np.random.Generator
) -> dict[Cell, LagTest]:
    """Test the primary haemoglobin signal, whose one window is the whole session."""
    signal = recipe.signals[0]
    if signal not in a.data or signal not in b.data:
        return {}
    x, y = whole_windows(a, b, signal, windows)
    tests: dict[Cell, LagTest] = {}
    for band, edges in recipe.bands.items():
        min_lag = int(MIN_PERIODS / edges[0] * a.sfreq)
        if recipe.set_metrics:
            people = [into_domain(each, "analytic", a.sfreq, edges) for each in (x, y)]
            shift = partial(_shifted, n_null=n_null, min_lag=min_lag, rng=rng, person=a)
            regions = _regions(a, b, recipe, band, windows.n_window / a.sfreq)
            found_of = set_tests(recipe.set_metrics, people, regions, shift)
            tests |= {Cell(signal, name, band): test for name, test in found_of.items()}
        for spec in recipe.metrics:
            link: Callable[[Array], Array] = np.asarray
            if spec.domain == "wavelet":  # the statistic is on the growth scale already
                coherence = wavelet_statistic(spec, recipe.facts(a.sfreq, band))
                found = _shifted(x, y, coherence, min(n_null, MOST_WAVELET_LAGS), min_lag, rng, a)
            elif spec.moment is not None:
                link = spec.link
                ours, theirs = (into_domain(each, spec.domain, a.sfreq, edges) for each in (x, y))
                found = _shifted(ours, theirs, spec.moment, n_null, min_lag, rng, a)
            else:
                continue
            tests[Cell(signal, spec.name, band)] = _judge(found, link, a, b, recipe)
    return tests


def wavelet_statistic(spec: MetricSpec, facts: MetricFacts) -> Stacked:
    """Make the statistic of a wavelet metric on the growth scale.

    The therapist is transformed once. Shifted clients are transformed again: shifted coefficients would bring what the
    ends of a recording do to them into its middle, which lowers coherence there.
    """
    transform = partial(into_domain, domain=spec.domain, sfreq=facts["sfreq"], band=facts["band"])

    def of_clients(therapist: Any, stack: Array) -> Array:
        z = spec.evaluate(therapist, transform(stack.reshape(-1, stack.shape[-1])), **facts)[1]
        return np.moveaxis(z.reshape(len(z), *stack.shape[:2]), 1, 0)

    return Stacked(of_clients, STACKED_LAGS, transform)


def _shifted(
    x: Array,
    y: Array,
    statistic: Any,
    n_null: int,
    min_lag: int,
    rng: np.random.Generator,
    person: Signals,
    valid: tuple[Array, Array] | None = None,
) -> LagNull:
    """Shift the client in circles; where the session is too short for that, warn and give the estimate alone.

    Shapes: ``x`` (n_a, n_times), ``y`` (n_b, n_times), ``valid`` two of (n_times,).
    """
    masks = {} if valid is None else {"valid_a": valid[0], "valid_b": valid[1]}
    try:
        found = lags(x, y, statistic, n_null=n_null, min_lag=min_lag, rng=rng, **masks)
    except InputError:
        joint = np.ones(x.shape[-1], dtype=bool) if valid is None else valid[0] & valid[1]
        direct = statistic if callable(statistic) else statistic.compute
        estimate = np.asarray(direct(x[..., joint], y[..., joint]))
        found = LagNull(estimate, np.empty((0, *estimate.shape)), np.empty(0, dtype=int))
    if not len(found.lags):
        warnings.warn(
            f"{person.key}: no lag null, so lag_p is missing (in fNIRS the pair's level at mismatched times, too, and "
            f"growth reads grows_unchecked at most): the session holds too few lags of at least "
            f"{min_lag / person.sfreq:g} s (two windows). Shorten window_s or record longer.",
            DataQualityWarning,
            stacklevel=3,
        )
    return found


def _judge(null: LagNull, link: Callable[[Array], Array], a: Signals, b: Signals, recipe: Recipe) -> LagTest:
    """Bring a null to ROI pairs on the growth scale, with its p-values."""
    pairs = recipe.pairs_of(a.rois, b.rois)
    observed = roi_means(link(null.estimate), a, b, pairs)
    if not len(null.lags):
        return LagTest(observed, np.full(len(pairs), np.nan), np.empty((0, len(pairs))))
    surrogates = roi_means(link(null.surrogates), a, b, pairs)
    return LagTest(observed, p_value(observed, surrogates), surrogates)
