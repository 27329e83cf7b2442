"""One person alone: power, asymmetry, background and coupling inside the person, from the signals that a run holds.

Every index is taken of the windows that the pair's synchrony is taken of: the same number in every session, clean in
both people, so that length, drowsiness late in a session and artefacts enter both alike.
"""

from __future__ import annotations

import itertools
import math
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from hyperscan.metrics import MetricSpec
from hyperscan.metrics.arrays import into_domain
from hyperscan.recording.cleaning.channels import clean_name
from hyperscan.recording.cleaning.quality import DRIFT_HZ, HIGH_HZ
from hyperscan.schema import CORRECTED, Index
from hyperscan.synchrony.guard_measures import BURST_S
from hyperscan.synchrony.pair import BandSignals, person_bands
from hyperscan.synchrony.person import Signals, WithinValue
from hyperscan.synchrony.recipe import MetricFacts, Recipe
from hyperscan.transforms.filters import band_response
from hyperscan.transforms.spectrum import (
    BACKGROUND_HZ,
    background_spans,
    band_power,
    fit_background,
    holds_background,
    inside_fit,
    signal_fraction,
    spectral_peak,
    welch_psd,
)

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


#: Length of the pieces of a spectrum in s, as the guards have it, and of haemoglobin: it resolves 0.01 Hz.
SEGMENT_S, SLOW_SEGMENT_S = 4.0, 100.0

#: Curved background: where noise is concave or has a knee the straight one is off (science of the guards).
CURVED = 2

#: Haemoglobin has one window, which is shifted in circles so many times for its own level of coupling (our choice).
OWN_SHIFTS = 2

#: Electrodes of the frontal midline.
MIDLINE, MIDLINE_NAMES = "frontal_midline", ("AFz", "Fz", "FCz")

#: µV² per V², µM per M.
_MICRO = 1e6


@dataclass(frozen=True)
class PersonView:
    """One person's session as the indices need it, gathered once for all bands (EEG)."""

    person: Signals
    #: shape (n_windows,): First sample of every window in the person's data
    starts: Array
    #: Samples per window
    n_window: int
    #: With the person's own bands
    recipe: Recipe
    #: shape (n_freqs,), (n_channels, n_freqs): Spectra inside the windows, in µV² per Hz
    freqs: Array
    psd: Array
    #: Pairs of channels by the name of their set, (n_pairs, 2) each
    sets: Mapping[str, Array]

    @classmethod
    def of(cls, person: Signals, starts: Array, n_window: int, recipe: Recipe) -> PersonView:
        """Estimate the spectra and gather the sets of channels."""
        freqs, psd = window_spectra(person, starts, n_window)
        return cls(person, starts, n_window, recipe, freqs, psd, channel_sets(person, recipe))

    @property
    def fitted(self) -> bool:
        """Whether the background can be fitted: the recording holds the spectrum on both sides of the rhythm."""
        return holds_background(self.recipe.passband, self.person.sfreq)

    def background(self, edges: tuple[float, float]) -> Array:
        """Power of the 1/f background in a band, NaN where it cannot be fitted, shape (n_channels,)."""
        return _background(self.freqs, self.psd, edges, self.fitted)

    def spectral_values(self) -> list[WithinValue]:
        """Compute what follows from spectra alone."""
        return [*_spectral(self), *_asymmetry(self)]

    def band_values(self, band: str, signals: BandSignals) -> list[WithinValue]:
        """Compute evenness and coupling in a band that the person was filtered to."""
        edges, sfreq = self.recipe.bands[band], self.person.sfreq
        shifts = window_shifts(len(self.starts))
        made = window_products(signals, self.starts, shifts, round(BURST_S * sfreq))
        found = []
        for region, where in self.person.rois.items():
            power = made.bursts[list(where)].mean(axis=0)
            steady = float(np.mean(np.sqrt(power)) ** 2 / np.mean(power)) if power.size else math.nan
            found.append(WithinValue(Index("evenness", band, region), steady, float(_decibel(steady))))
        facts = self.recipe.facts(sfreq, band)
        for spec in self.recipe.within:
            if spec.name in CLOSED:
                values = [CLOSED[spec.name](*products) for products in (made.real, *made.mismatched)]
                real, *moved = [(value, spec.link(value)) for value in values]
            else:
                real, *moved = [metric_windows(spec, signals, self.starts, shift, facts) for shift in (0, *shifts)]
            found += coupling_values(spec, band, real, moved, self.sets)
        if inside_fit(edges) and self.fitted and shifts:
            response = band_response(self.freqs, edges, sfreq)
            fraction = signal_fraction(self.freqs, self.psd, response, CURVED, background_spans(edges))
            found += corrected_values(band, made, fraction, self.sets)
        return found


def within_values(person: Signals, starts: Array, n_window: int, recipe: Recipe) -> list[WithinValue]:
    """Compute every index of one person from the windows that begin at some samples of the person's data.

    Shapes: ``starts`` (n_windows,).
    """
    if recipe.modality == "fnirs":
        return [*_haemoglobin(person, int(starts[0]), n_window, recipe), *_responses(person)]
    view = PersonView.of(person, starts, n_window, recipe)
    bands = person_bands(person, "eeg", recipe.bands, n_window)
    return view.spectral_values() + [value for band, signals in bands for value in view.band_values(band, signals)]


def window_spectra(person: Signals, starts: Array, n_window: int) -> tuple[Array, Array]:
    """Estimate the power spectra of all channels inside some windows, in µV² per Hz.

    Shapes: ``starts`` (n_windows,), returns (n_freqs,) and (n_channels, n_freqs).
    """
    data = person.data["eeg"]
    inside = np.zeros(data.shape[-1], bool)
    for start in starts:
        inside[start : start + n_window] = True
    inside[person.spans[1:, 0]] = False  # no piece goes from one segment to the next
    freqs, psd = welch_psd(data, person.sfreq, SEGMENT_S, inside)
    return freqs, psd * _MICRO**2


def _regions(person: Signals) -> dict[str, list[int]]:
    """Regions of the person, and the frontal midline where it has its electrodes."""
    regions = {name: list(where) for name, where in person.rois.items()}
    frontal = regions.get("frontal", []) + regions.get("central", [])
    midline = [at for at in frontal if clean_name(person.ch_names[at]) in MIDLINE_NAMES]
    return {**regions, MIDLINE: midline} if midline else regions


def _background(freqs: Array, psd: Array, edges: tuple[float, float], fitted: bool) -> Array:
    """Power of the 1/f background in a band, NaN where it cannot be fitted.

    Shapes: ``psd`` (n, n_freqs), returns (n,).
    """
    if not fitted:
        return np.full(len(psd), np.nan)
    return band_power(freqs, fit_background(freqs, psd, CURVED, background_spans(edges)), edges)


def _decibel(power: npt.ArrayLike) -> Array:
    """Ten times the decadic logarithm; NaN where nothing is left above the background."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.asarray(power) > 0, 10 * np.log10(power), np.nan)


def _spectral(view: PersonView) -> Iterator[WithinValue]:
    """Power, background and peak of every region; a region's spectrum is the mean of its channels'."""
    regions, freqs, recipe = _regions(view.person), view.freqs, view.recipe
    names = list(regions)
    spectra = np.array([view.psd[where].mean(axis=0) for where in regions.values()])
    whole = band_power(freqs, spectra, recipe.passband)
    for band, edges in recipe.bands.items():
        total, noise = band_power(freqs, spectra, edges), _background(freqs, spectra, edges, view.fitted)
        rhythm = total - noise
        found = {
            "band_power": total,
            "relative_power": total / whole,
            "power": rhythm,
            "power_over_background": rhythm / noise,
        }
        for name, values in found.items():
            yield from _rows(name, band, names, values, _decibel(values))
        if inside_fit(edges):
            peak = spectral_peak(freqs, spectra, edges).frequency if view.fitted else np.full(len(names), np.nan)
            yield from _rows("peak_hz", band, names, peak, peak)
    if view.fitted:
        # a straight line in log-log: its slope follows from two of its points
        fit = fit_background(freqs, spectra, 1, BACKGROUND_HZ)
        at = np.searchsorted(freqs, (5.0, 20.0))
        slope = -np.diff(np.log(fit[:, at]))[:, 0] / np.log(freqs[at[1]] / freqs[at[0]])
        yield from _rows("aperiodic_slope", "", names, slope, slope)
    for name, edges in (("high_frequency", HIGH_HZ), ("drift", DRIFT_HZ)):
        if recipe.passband[0] <= edges[0] and edges[1] <= min(recipe.passband[1], freqs[-1]):
            power = band_power(freqs, spectra, edges)
            yield from _rows(name, "", names, power, _decibel(power))


def _rows(index: str, band: str, regions: Sequence[str], estimates: Array, levels: Array) -> Iterator[WithinValue]:
    for region, estimate, level in zip(regions, estimates, levels, strict=True):
        yield WithinValue(Index(index, band, region), float(estimate), float(level))


def _asymmetry(view: PersonView) -> Iterator[WithinValue]:
    """Right minus left of mirrored frontal channels, for bands of the alpha range, where that is usual."""
    pairs = mirrored(view.person, view.person.rois.get("frontal", ()))
    for band, edges in view.recipe.bands.items() if pairs else ():
        if inside_fit(edges):
            left, right = np.array(pairs).T
            total = band_power(view.freqs, view.psd, edges)
            for name, power in (("asymmetry", total), ("rhythm_asymmetry", total - view.background(edges))):
                # every pair has to have a value: another set of pairs would be another index
                level = float(np.mean(_decibel(power[right]) - _decibel(power[left])))
                yield WithinValue(Index(name, band, "frontal"), level * math.log(10) / 10, level)


def mirrored(person: Signals, channels: Sequence[int]) -> list[tuple[int, int]]:
    """Find left and right channels that mirror each other, by their 10-20 names."""
    named = {clean_name(person.ch_names[at]): at for at in channels}
    pairs = []
    for name, at in named.items():
        odd = re.fullmatch(r"([A-Za-z]+)(\d*[13579])(h?)", name or "")
        other = f"{odd[1]}{int(odd[2]) + 1}{odd[3]}" if odd else None
        if other in named:
            pairs.append((at, named[other]))
    return pairs


def _haemoglobin(person: Signals, start: int, n_window: int, recipe: Recipe) -> Iterator[WithinValue]:
    """Amplitude and coupling of the primary signal, in the one stretch that all sessions have."""
    signal = next((name for name in recipe.signals if name in person.data), None)
    if signal is None:
        return
    x, sets = person.data[signal][:, start : start + n_window], channel_sets(person, recipe)
    freqs, psd = welch_psd(x, person.sfreq, min(SLOW_SEGMENT_S, n_window / person.sfreq))
    for band, edges in recipe.bands.items():
        size = np.sqrt(band_power(freqs, psd, edges)) * _MICRO
        for region, where in person.rois.items():
            mean = float(size[list(where)].mean())
            yield WithinValue(Index("amplitude", band, region), mean, 2 * float(_decibel(mean)))
        for spec in recipe.within:
            steps = [(k + 1) * n_window // (OWN_SHIFTS + 1) for k in range(OWN_SHIFTS)]
            ours = into_domain(x, spec.domain, person.sfreq, edges)
            moved = [into_domain(np.roll(x, step, axis=-1), spec.domain, person.sfreq, edges) for step in steps]
            facts = recipe.facts(person.sfreq, band)
            found = [spec.evaluate(ours, other, **facts) for other in (ours, *moved)]
            yield from coupling_values(spec, band, found[0], found[1:], sets)


def _responses(person: Signals) -> Iterator[WithinValue]:
    """Responses to every task in every region, and left minus right of mirrored ones; a fall of HbR counts up."""
    sides = mirrored_regions(person.rois)
    for one in person.responses:
        for suffix, kind, sign in (("", "hbo", _MICRO), ("_hbr", "hbr", -_MICRO)):
            if kind not in one.height:
                continue
            mean = {name: sign * float(one.height[kind][list(where)].mean()) for name, where in person.rois.items()}
            for region, height in mean.items():
                yield WithinValue(Index(f"response{suffix}", one.task, region), height, height)
            for left, right in sides:
                difference = mean[left] - mean[right]
                yield WithinValue(Index(f"laterality{suffix}", one.task, f"{left}-{right}"), difference, difference)
        for name, value in (("task_events", float(one.n_events)), ("task_seconds", one.seconds)):
            yield WithinValue(Index(name, one.task, "all"), value, value)


def mirrored_regions(names: Iterable[str]) -> list[tuple[str, str]]:
    """Find left and right regions that mirror each other, by their names.

    Examples
    --------
    >>> mirrored_regions(["rTPJ", "lTPJ", "temporal_left", "temporal_right", "light", "right"])
    [('lTPJ', 'rTPJ'), ('temporal_left', 'temporal_right')]
    """
    known = set(names)
    pairs = []
    for left in sorted(known):
        begins, words = re.fullmatch(r"l([A-Z].*)", left), re.fullmatch(r"(left_)?(.+?)(_left)?", left)
        other = f"r{begins[1]}" if begins else ""
        if not other and words and (words[1] or words[3]):
            other = ("right_" if words[1] else "") + words[2] + ("_right" if words[3] else "")
        if other in known:
            pairs.append((left, other))
    return pairs
