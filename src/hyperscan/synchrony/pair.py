"""Any two people, partners or not, through metrics to values per ROI pair."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hyperscan.errors import QualityError
from hyperscan.metrics import MetricSpec, evaluate_many
from hyperscan.metrics.arrays import Domain, into_domain
from hyperscan.synchrony.person import Signals
from hyperscan.synchrony.recipe import Recipe
from hyperscan.transforms import analytic_bands, analytic_signal

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class WindowPair:
    """Windows that two people share, by their first samples."""

    #: shape (n_windows,): First sample of every window in each person's own data
    therapist: Array
    client: Array
    #: Samples per window
    n_window: int


@dataclass(frozen=True)
class BandWindows:
    """A person's clean windows in one band: filtered and cut once, however many partners the person meets."""

    #: shape (n_clean,): First sample of every window, ascending
    starts: Array
    #: shape (n_clean, n_channels, n_window): Analytic signal
    values: Array

    def at(self, starts: Array) -> Array:
        """Windows that begin at the given samples; all of them without a copy."""
        which = np.searchsorted(self.starts, starts)
        return self.values if len(which) == len(self.starts) else self.values[which]


@dataclass(frozen=True)
class Cell:
    """One signal, metric and band of one pair of people."""

    #: Names
    signal: str
    metric: str
    band: str
    #: shape (n_windows, n_a, n_b): Per window and channel pair: the metric, and the same on the growth scale
    value: Array
    z: Array


def shared_windows(a: Signals, b: Signals, recipe: Recipe) -> WindowPair:
    """Pair the windows of two people by the time since their segment's start."""
    if recipe.modality == "fnirs":
        return _whole(a, b, recipe)
    where_b = {tuple(window): i for i, window in enumerate(b.windows) if b.clean[i]}
    common = [
        (i, where_b[tuple(window)]) for i, window in enumerate(a.windows) if a.clean[i] and tuple(window) in where_b
    ]
    if len(common) < recipe.min_windows:
        raise QualityError(
            f"{a.key}: {len(common)} windows of {recipe.window_s:g} s are clean in both people, "
            f"min_windows = {recipe.min_windows}. Shorten window_s or record longer."
        )
    count = min(recipe.n_windows or len(common), len(common))
    taken = np.array(common)[np.floor(np.arange(count) * len(common) / count).astype(int)]
    return WindowPair(first_samples(a, taken[:, 0]), first_samples(b, taken[:, 1]), round(recipe.window_s * a.sfreq))


def cells(a: Signals, b: Signals, recipe: Recipe, windows: WindowPair) -> Iterator[Cell]:
    """Compute every signal, band and metric of a pair, band by band.

    Parameters
    ----------
    a, b : Signals
        Therapist and client.
    recipe : Recipe
        What to compute.
    windows : WindowPair
        From :func:`shared_windows`.

    Yields
    ------
    Cell
    """
    for signal in recipe.signals:
        if signal not in a.data or signal not in b.data:
            continue
        prepare = _whole_cells if recipe.modality == "fnirs" else _phase_cells
        yield from prepare(a, b, signal, recipe, windows)


def person_windows(
    signals: Signals, signal: str, bands: Mapping[str, tuple[float, float]], n_window: int
) -> Iterator[tuple[str, BandWindows]]:
    """Stream a person's clean windows band by band, so that one band is in memory at a time."""
    starts = first_samples(signals, np.flatnonzero(signals.clean))
    stream = person_bands(signals, signal, bands)
    for name in bands:  # no name for what is yielded: a waiting generator would keep it
        yield name, BandWindows(starts, _cut(next(stream)[1], starts, n_window))


def roi_means(values: Array, a: Signals, b: Signals, pairs: list[tuple[str, str]]) -> Array:
    """Average channel pairs to ROI pairs.

    Shapes: ``values`` (..., n_a, n_b), returns (..., n_pairs).
    """
    with warnings.catch_warnings():
        # an ROI pair without any finite channel pair is NaN, and is reported as such by its rows
        warnings.filterwarnings("ignore", "Mean of empty slice", RuntimeWarning)
        means = [
            np.nanmean(values[..., list(a.rois[roi_a]), :][..., list(b.rois[roi_b])], axis=(-2, -1))
            for roi_a, roi_b in pairs
        ]
    return np.stack(means, axis=-1)


def _whole(a: Signals, b: Signals, recipe: Recipe) -> WindowPair:
    stretch = min(int(np.diff(person.spans[0])[0]) for person in (a, b))
    n_window = stretch if recipe.seconds is None else min(stretch, round(recipe.seconds * a.sfreq))
    return WindowPair(a.spans[:1, 0], b.spans[:1, 0], n_window)


def first_samples(signals: Signals, taken: Array) -> Array:
    """First sample, in the person's data, of the windows at these places of the grid."""
    segment, offset = signals.windows[taken].T
    return signals.spans[segment, 0] + offset


def _by_span(signals: Signals, signal: str) -> Iterator[tuple[slice, Array]]:
    for start, stop in signals.spans:
        yield slice(start, stop), signals.data[signal][:, start:stop]


def _analytic(signals: Signals, signal: str, band: tuple[float, float]) -> Array:
    data = signals.data[signal]
    out = np.zeros(data.shape, dtype=np.result_type(data.dtype, np.complex64))
    for span, part in _by_span(signals, signal):
        out[:, span] = analytic_signal(part, signals.sfreq, band)
    return out


def person_bands(
    signals: Signals, signal: str, bands: Mapping[str, tuple[float, float]]
) -> Iterator[tuple[str, Array]]:
    """Stream the bands, so that one of them is in memory at a time."""
    if len(signals.spans) == 1:
        (span, part) = next(_by_span(signals, signal))
        stream = analytic_bands(part, signals.sfreq, bands)
        for name in bands:
            yield name, _embed(next(stream)[1], span, signals.data[signal].shape[-1])
        return
    for name, band in bands.items():
        yield name, _analytic(signals, signal, band)


def _cut(analytic: Array, starts: Array, n_window: int) -> Array:
    cut = np.empty((len(starts), len(analytic), n_window), dtype=analytic.dtype)
    for window, start in zip(cut, starts, strict=True):
        window[...] = analytic[:, start : start + n_window]
    return cut


def _embed(part: Array, span: slice, n_times: int) -> Array:
    if part.shape[-1] == n_times:
        return part
    out = np.zeros((*part.shape[:-1], n_times), dtype=part.dtype)
    out[..., span] = part
    return out


def _phase_cells(a: Signals, b: Signals, signal: str, recipe: Recipe, windows: WindowPair) -> Iterator[Cell]:
    streams = [person_windows(person, signal, recipe.bands, windows.n_window) for person in (a, b)]
    for band in recipe.bands:
        ours, theirs = (next(stream)[1] for stream in streams)
        yield from band_cells(ours, theirs, signal, band, a.sfreq, recipe, windows)
        del ours, theirs  # before the next band is filtered


def band_cells(
    a: BandWindows, b: BandWindows, signal: str, band: str, sfreq: float, recipe: Recipe, windows: WindowPair
) -> Iterator[Cell]:
    """Compute every metric of a pair in one band."""
    cut, edges = (a.at(windows.therapist), b.at(windows.client)), recipe.bands[band]
    by_domain: dict[Domain, list[MetricSpec]] = {}
    for spec in recipe.metrics:
        by_domain.setdefault(spec.domain, []).append(spec)
    for domain, specs in by_domain.items():
        x, y = (into_domain(each, domain, sfreq, edges) for each in cut)
        for metric, (value, z) in evaluate_many(specs, x, y, sfreq=sfreq, band=edges).items():
            yield Cell(signal, metric, band, value, z)


def _whole_cells(a: Signals, b: Signals, signal: str, recipe: Recipe, windows: WindowPair) -> Iterator[Cell]:
    x, y = whole_windows(a, b, signal, windows)
    for band, edges in recipe.bands.items():
        for spec in recipe.metrics:
            ours, theirs = (into_domain(each, spec.domain, a.sfreq, edges) for each in (x, y))
            yield whole_cell(spec, ours, theirs, signal, band, a.sfreq, recipe)


def whole_cell(spec: MetricSpec, x: Any, y: Any, signal: str, band: str, sfreq: float, recipe: Recipe) -> Cell:
    """Compute one metric of two people's signals in its domain."""
    value, z = spec.evaluate(x, y, sfreq=sfreq, band=recipe.bands[band])
    return Cell(signal, spec.name, band, value[None], z[None])


def whole_windows(a: Signals, b: Signals, signal: str, windows: WindowPair) -> tuple[Array, Array]:
    """Cut the one window that two people share out of a signal, shape (n_channels, n_window) each."""
    sides = (a, windows.therapist[0]), (b, windows.client[0])
    x, y = (person.data[signal][:, start : start + windows.n_window] for person, start in sides)
    return x, y
