"""Any two people, partners or not, through metrics to values per ROI pair."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from hyperscan.errors import QualityError
from hyperscan.metrics import MetricSpec, evaluate_many
from hyperscan.metrics.arrays import Domain, into_domain
from hyperscan.schema import ROLES, Cell, RoiPair
from hyperscan.synchrony.person import Signals
from hyperscan.synchrony.recipe import Recipe
from hyperscan.transforms import analytic_bands, analytic_signal

Array = npt.NDArray[Any]


class Lenders(NamedTuple):
    """Dyads that lend the therapist and the client of a pair of people."""

    therapist: str
    client: str


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
class CellValues:
    """What one pair of people has in one signal, metric and band."""

    cell: Cell
    #: shape (n_windows, n_a, n_b): Per window and channel pair: the metric, and the same on the growth scale
    value: Array
    z: Array


def shared_windows(a: Signals, b: Signals, recipe: Recipe) -> WindowPair:
    """Pair the windows of two people by the time since their segment's start; of fNIRS the one they share."""
    if recipe.modality == "fnirs":
        stretch = min(int(np.diff(person.spans[0])[0]) for person in (a, b))
        n_window = stretch if recipe.seconds is None else min(stretch, round(recipe.seconds * a.sfreq))
        return WindowPair(a.spans[:1, 0], b.spans[:1, 0], n_window)
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


def cells(a: Signals, b: Signals, recipe: Recipe, windows: WindowPair) -> Iterator[CellValues]:
    """Compute every signal, band and metric of one pair of people, band by band."""
    pair = Lenders("", "")
    for _, found in cells_of_pairs({"": a}, {"": b}, {pair: windows}, recipe):
        yield found


def cells_of_pairs(
    therapists: Mapping[str, Signals],
    clients: Mapping[str, Signals],
    shared: Mapping[Lenders, WindowPair],
    recipe: Recipe,
) -> Iterator[tuple[Lenders, CellValues]]:
    """Compute every signal, band and metric of some pairs of people, each of whom is filtered once per band."""
    by_signal = _whole_cells if recipe.modality == "fnirs" else _band_cells
    for signal in recipe.signals:
        there = {
            pair: windows
            for pair, windows in shared.items()
            if signal in therapists[pair.therapist].data and signal in clients[pair.client].data
        }
        yield from by_signal((therapists, clients), signal, there, recipe)


def _band_cells(
    people: Sequence[Mapping[str, Signals]], signal: str, shared: Mapping[Lenders, WindowPair], recipe: Recipe
) -> Iterator[tuple[Lenders, CellValues]]:
    """Stream the pairs band by band, with everyone's windows of one band in memory."""
    streams = [
        {
            name: person_windows(person, signal, recipe.of(role).bands, round(recipe.window_s * person.sfreq))
            for name, person in side.items()
        }
        for role, side in zip(ROLES, people, strict=True)
    ]
    for band in recipe.bands:
        ours, theirs = ({name: next(stream)[1] for name, stream in side.items()} for side in streams)
        for pair, windows in shared.items():
            sfreq = people[0][pair.therapist].sfreq
            for found in band_cells(ours[pair.therapist], theirs[pair.client], signal, band, sfreq, recipe, windows):
                yield pair, found
        del ours, theirs  # before the next band is filtered


def _whole_cells(
    people: Sequence[Mapping[str, Signals]], signal: str, shared: Mapping[Lenders, WindowPair], recipe: Recipe
) -> Iterator[tuple[Lenders, CellValues]]:
    """Stream the pairs by band and metric, with everyone's whole session in the metric's domain in memory."""
    for band, edges in recipe.bands.items():
        for spec in recipe.metrics:
            # by place of the side, name and length
            inputs: dict[tuple[int, str, int], Any] = {}
            for pair, windows in shared.items():
                n_window, starts = windows.n_window, (windows.therapist, windows.client)
                for side, (name, (start,)) in enumerate(zip(pair, starts, strict=True)):
                    if (side, name, n_window) not in inputs:
                        person = people[side][name]
                        window = person.data[signal][:, start : start + n_window]
                        inputs[side, name, n_window] = into_domain(window, spec.domain, person.sfreq, edges)
                x, y = (inputs[side, name, n_window] for side, name in enumerate(pair))
                value, z = spec.evaluate(x, y, **recipe.facts(people[0][pair.therapist].sfreq, band))
                yield pair, CellValues(Cell(signal, spec.name, band), value[None], z[None])


def band_cells(
    a: BandWindows, b: BandWindows, signal: str, band: str, sfreq: float, recipe: Recipe, windows: WindowPair
) -> Iterator[CellValues]:
    """Compute every metric of a pair in one band."""
    cut, edges = (a.at(windows.therapist), b.at(windows.client)), recipe.bands[band]
    by_domain: dict[Domain, list[MetricSpec]] = {}
    for spec in recipe.metrics:
        by_domain.setdefault(spec.domain, []).append(spec)
    for domain, specs in by_domain.items():
        x, y = (into_domain(each, domain, sfreq, edges) for each in cut)
        for metric, (value, z) in evaluate_many(specs, x, y, **recipe.facts(sfreq, band)).items():
            yield CellValues(Cell(signal, metric, band), value, z)


def both_windows(
    a: Signals, b: Signals, signal: str, recipe: Recipe, n_window: int
) -> list[Iterator[tuple[str, BandWindows]]]:
    """Stream the windows of two people side by side, each in the person's own bands."""
    sides = zip(ROLES, (a, b), strict=True)
    return [person_windows(person, signal, recipe.of(role).bands, n_window) for role, person in sides]


def person_windows(
    signals: Signals, signal: str, bands: Mapping[str, tuple[float, float]], n_window: int
) -> Iterator[tuple[str, BandWindows]]:
    """Stream a person's clean windows band by band, so that one band is in memory at a time."""
    starts = first_samples(signals, np.flatnonzero(signals.clean))
    stream = person_bands(signals, signal, bands)
    for name in bands:  # no name for what is yielded: a waiting generator would keep it
        yield name, BandWindows(starts, _cut(next(stream)[1], starts, n_window))


def person_bands(
    signals: Signals, signal: str, bands: Mapping[str, tuple[float, float]]
) -> Iterator[tuple[str, Array]]:
    """Stream a person's analytic signals, so that one band is in memory at a time; 0 between segments.

    Shapes: yields (n_channels, n_times).
    """
    data, spans, sfreq = signals.data[signal], signals.spans, signals.sfreq
    if len(spans) == 1:
        ((start, stop),) = spans
        stream = analytic_bands(data[:, start:stop], sfreq, bands)
        for name in bands:
            yield name, _joined((next(stream)[1] for _ in spans), spans, data)
        return
    for name, band in bands.items():
        yield name, _joined((analytic_signal(data[:, start:stop], sfreq, band) for start, stop in spans), spans, data)


def roi_means(values: Array, a: Signals, b: Signals, pairs: Sequence[RoiPair]) -> Array:
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


def first_samples(signals: Signals, taken: Array) -> Array:
    """First sample, in the person's data, of the windows at these places of the grid."""
    segment, offset = signals.windows[taken].T
    return signals.spans[segment, 0] + offset


def whole_windows(a: Signals, b: Signals, signal: str, windows: WindowPair) -> tuple[Array, Array]:
    """Cut the one window that two people share out of a signal, shape (n_channels, n_window) each."""
    sides = (a, windows.therapist[0]), (b, windows.client[0])
    x, y = (person.data[signal][:, start : start + windows.n_window] for person, start in sides)
    return x, y


def _joined(parts: Iterable[Array], spans: Array, data: Array) -> Array:
    """Put filtered segments where they lie in a person's data; one that is all of it stays as it is.

    Shapes: ``spans`` (n_segments, 2), ``data`` (n_channels, n_times), returns the same.
    """
    n_times = data.shape[-1]
    if np.array_equal(spans, [[0, n_times]]):
        (part,) = parts
        return part
    out = np.zeros(data.shape, dtype=np.result_type(data.dtype, np.complex64))
    for (start, stop), part in zip(spans, parts, strict=True):
        out[:, start:stop] = part
    return out


def _cut(analytic: Array, starts: Array, n_window: int) -> Array:
    """Copy windows to one array, (n_windows, n_channels, n_window): so the whole signal can go."""
    cut = np.empty((len(starts), len(analytic), n_window), dtype=analytic.dtype)
    for window, start in zip(cut, starts, strict=True):
        window[...] = analytic[:, start : start + n_window]
    return cut
