"""One person alone: power, asymmetry, background and coupling inside the person, from the signals that a run holds.

Every index is taken of the windows that the pair's synchrony is taken of: the same number in every session, clean in
both people, so that length, drowsiness late in a session and artefacts enter both alike.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hyperscan.metrics.arrays import into_domain
from hyperscan.recording.cleaning.channels import clean_name
from hyperscan.recording.cleaning.quality import DRIFT_HZ, HIGH_HZ
from hyperscan.schema import Index
from hyperscan.synchrony.coupling import (
    CLOSED,
    channel_sets,
    corrected_values,
    coupling_values,
    metric_windows,
    window_products,
    window_shifts,
)
from hyperscan.synchrony.guard_measures import BURST_S
from hyperscan.synchrony.pair import BandSignals, person_bands
from hyperscan.synchrony.person import Signals, WithinValue
from hyperscan.synchrony.recipe import Recipe
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
