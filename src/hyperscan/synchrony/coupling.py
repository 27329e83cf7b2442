"""Coupling inside one person: products of the channels' windows, and chance that keeps what they share at lag 0."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from hyperscan.metrics import MetricSpec
from hyperscan.metrics.arrays import into_domain
from hyperscan.schema import CORRECTED, Index
from hyperscan.synchrony.pair import BandSignals
from hyperscan.synchrony.person import Signals, WithinValue
from hyperscan.synchrony.recipe import MetricFacts, Recipe

Array = npt.NDArray[Any]

#: Mismatched windows that a person's own level of coupling rests on at least: a mean over channel pairs is steady
#: with few (our choice).
OWN_WINDOWS = 12


def window_shifts(n_windows: int) -> list[int]:
    """Whole windows by which one side is moved, evenly spaced; none below two windows."""
    n_shifts = min(n_windows - 1, math.ceil(OWN_WINDOWS / n_windows))
    return [k * n_windows // (n_shifts + 1) for k in range(1, n_shifts + 1)]


def channel_sets(person: Signals, recipe: Recipe) -> dict[str, Array]:
    """Pairs of different channels, each once, of every region, pair of regions and network, (n_pairs, 2) each.

    Pairs of regions are those of regions that lie in no other one. A network is what lies between its regions.
    """
    rois = {name: frozenset(where) for name, where in person.rois.items()}
    inside = {name: [tuple(pair) for pair in itertools.combinations(sorted(where), 2)] for name, where in rois.items()}
    outer = [
        name
        for name, where in rois.items()
        if name != "all" and not any(where < other for key, other in rois.items() if key != "all")
    ]
    between = {f"{a}-{b}": _across(rois[a], rois[b]) for a, b in itertools.combinations(outer, 2)}
    networks = {}
    for name, members in recipe.networks.items():
        if all(member in rois for member in members):
            across = [_across(rois[a], rois[b]) for a, b in itertools.combinations(members, 2)]
            networks[name] = sorted(set(itertools.chain.from_iterable(across)))
    return {name: np.array(pairs) for name, pairs in {**inside, **between, **networks}.items() if pairs}


def _across(a: frozenset[int], b: frozenset[int]) -> list[tuple[int, int]]:
    return sorted({(min(i, j), max(i, j)) for i in a for j in b if i != j})


#: Cross product of channels i and j, and power of channel i and of channel j: (n_windows, n_channels, n_channels) each.
CrossPowers = tuple[Array, Array, Array]


@dataclass(frozen=True)
class WindowProducts:
    """What coupling inside a person is made of in one band."""

    #: Of every window with itself
    real: CrossPowers
    #: By shift, of every window with another one
    mismatched: tuple[CrossPowers, ...]
    #: shape (n_channels, n_bins): Power in short bins relative to the channel's mean
    bursts: Array


def window_products(signals: BandSignals, starts: Array, shifts: Sequence[int], n_bin: int) -> WindowProducts:
    """Multiply the channels of a person's windows with each other, and with those of windows that are later.

    Shapes: ``starts`` (n_windows,).
    """
    n_bins, count = signals.n_window // n_bin, len(starts)
    cross, moved, bursts = [], [[] for _ in shifts], []  # type: ignore[var-annotated]
    for at in range(count):
        x = _window(signals, starts[at])
        cross.append(_product(x, x))
        for shift, products in zip(shifts, moved, strict=True):
            products.append(_product(x, _window(signals, starts[(at + shift) % count])))
        bursts.append((np.abs(x[:, : n_bins * n_bin]) ** 2).reshape(len(x), n_bins, n_bin).mean(axis=-1))
    power = np.concatenate(bursts, axis=1)
    own = np.array(cross)
    level = np.diagonal(own, axis1=1, axis2=2).real
    with np.errstate(divide="ignore", invalid="ignore"):
        return WindowProducts(
            (own, level[:, :, None], level[:, None, :]),
            tuple(mismatched(own, np.array(found), shift) for found, shift in zip(moved, shifts, strict=True)),
            power / power.mean(axis=1, keepdims=True) if n_bins else power,
        )


def _window(signals: BandSignals, start: int) -> Array:
    return signals.analytic[:, start : start + signals.n_window]


def _product(x: Array, y: Array) -> Array:
    return np.asarray((x @ y.conj().T).astype(complex) / x.shape[-1])


def mismatched(cross: Array, moved: Array, shift: int) -> CrossPowers:
    """Products of every channel with what every other one has at another window, beyond their common part at lag 0.

    Volume conduction makes two channels alike at lag 0. A metric that is blind to it sees what is left, and chance has
    to be that of what is left: of channel j at another window the part that follows channel i then is taken away, and
    as much of channel i now put in its place.

    Shapes: ``cross, moved`` (n_windows, n_channels, n_channels): of every window with itself, and with a later one.
    """
    power = np.diagonal(cross, axis1=1, axis2=2).real[:, :, None]
    then = np.roll(cross.real, -shift, axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = then / np.roll(power, -shift, axis=0)
        rest = moved - share * np.diagonal(moved, axis1=1, axis2=2)[:, :, None]
        left = np.roll(power, -shift, axis=0).swapaxes(1, 2) - share * then
    return rest + share * power, power, share**2 * power + left + 2 * share * rest.real


def _imaginary(cross: Array, power_i: Array, power_j: Array) -> Array:
    """Imaginary coherency."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(cross.imag / np.sqrt(power_i * power_j))


def _lagged(cross: Array, power_i: Array, power_j: Array) -> Array:
    """Lagged coherence."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.abs(cross.imag) / np.sqrt(np.maximum(power_i * power_j - cross.real**2, 0)))


#: Metrics that follow from the products of :func:`mismatched`; of others the signals are made, which takes far longer.
CLOSED: Mapping[str, Callable[[Array, Array, Array], Array]] = MappingProxyType(
    {"imcoh": _imaginary, "lagcoh": _lagged}
)


def metric_windows(
    spec: MetricSpec, signals: BandSignals, starts: Array, shift: int, facts: MetricFacts
) -> tuple[Array, Array]:
    """Compute a metric in every window: of the channels as they are, or of what :func:`mismatched` makes of them.

    Shapes: returns value and growth scale, (n_windows, n_channels, n_channels).
    """
    into = partial(into_domain, domain=spec.domain, sfreq=facts["sfreq"], band=facts["band"])
    values, scales = [], []
    for at in range(len(starts)):
        x, other = _window(signals, starts[at]), _window(signals, starts[(at + shift) % len(starts)])
        if shift:
            then = _product(other, other).real
            share = (then / np.diagonal(then)[:, None]).astype(x.real.dtype)
            stand_ins = (other + share[i, :, None] * (x[i] - other[i]) for i in range(len(x)))
            parts = [spec.evaluate(into(x[i, None]), into(stand_in), **facts) for i, stand_in in enumerate(stand_ins)]
        else:
            own = into(x)
            parts = [spec.evaluate(own, own, **facts)]
        values.append(np.concatenate([value for value, _ in parts]))
        scales.append(np.concatenate([scale for _, scale in parts]))
    return np.array(values), np.array(scales)


def corrected_values(
    band: str, made: WindowProducts, fraction: Array, sets: Mapping[str, Array]
) -> Iterator[WithinValue]:
    """Squared imaginary coherency beyond chance, over what both signal fractions leave of it.

    Shapes: ``fraction`` (n_channels,).
    """
    squared, *others = [np.square(_imaginary(*products)).mean(axis=0) for products in (made.real, *made.mismatched)]
    floor, weight = np.mean(others, axis=0), np.outer(fraction, fraction)
    beyond_chance = squared - (floor + floor.T) / 2
    for region, pairs in sets.items():
        where = tuple(pairs.T)
        # weighted by what can be seen: a channel without a rhythm would only add noise
        beyond = _finite_mean(beyond_chance[where]) / _finite_mean(weight[where])
        yield WithinValue(Index(CORRECTED, band, region), beyond, beyond)


def coupling_values(
    spec: MetricSpec,
    band: str,
    real: tuple[Array, Array],
    moved: Sequence[tuple[Array, Array]],
    sets: Mapping[str, Array],
) -> Iterator[WithinValue]:
    """Average values of channel pairs, in both orders, over the pairs of every set.

    Shapes: ``real`` and each of ``moved``: value and growth scale, (..., n_channels, n_channels).
    """
    # a sign says which of two channels leads, and turns with their order
    size = np.abs if spec.direction == "sign" else np.asarray
    value, z = (_both_orders([size(part)]) for part in real)
    own = _both_orders([size(part) for _, part in moved]) if moved else np.full_like(z, np.nan)
    for region, pairs in sets.items():
        where = tuple(pairs.T)
        means = [_finite_mean(each[where]) for each in (value, z, own)]
        yield WithinValue(Index(spec.name, band, region), *means)


def _both_orders(parts: Sequence[Array]) -> Array:
    """Mean over windows and over both orders of two channels, shape (n_channels, n_channels)."""
    n = parts[0].shape[-1]
    mean = np.concatenate([part.reshape(-1, n, n) for part in parts]).astype(float).mean(axis=0)
    return np.asarray((mean + mean.T) / 2)


def _finite_mean(values: Array) -> float:
    with warnings.catch_warnings():
        # a set without one finite pair is NaN, and is reported as such by its row
        warnings.filterwarnings("ignore", "Mean of empty slice", RuntimeWarning)
        return float(np.nanmean(values))
