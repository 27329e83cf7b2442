"""Any two people, partners or not, through metrics to values per ROI pair."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from hyperscan.errors import QualityError
from hyperscan.metrics import MetricSpec, evaluate_many
from hyperscan.metrics.arrays import Domain, into_domain
from hyperscan.nulls.near_lags import near_lags
from hyperscan.recall import is_remembering, remembered
from hyperscan.schema import ROLES, Cell, RoiPair
from hyperscan.synchrony.person import Signals
from hyperscan.synchrony.recipe import LagGrid, Recipe
from hyperscan.transforms import analytic_bands, analytic_signal

Array = npt.NDArray[Any]

#: Windows of both people that are cut at once, in bytes: all of them would be a second copy of the band (our choice).
CUT_BYTES = 2**24


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

    def parts(self, n_channels: int) -> list[slice]:
        """Cut the windows into groups that stay small, for so many channels of both people together."""
        step = max(1, CUT_BYTES // (8 * n_channels * self.n_window))
        return [slice(start, start + step) for start in range(0, len(self.therapist), step)]


@dataclass(frozen=True)
class BandSignals:
    """A person in one band: filtered once, for windows, lags and guards, and for any number of partners."""

    #: shape (n_channels, n_times): Analytic signal; 0 between segments
    analytic: Array
    #: Samples per window
    n_window: int
    #: Positions of each ROI's channels
    rois: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def cut(self, starts: Array, some: slice = slice(None), *, shift: int = 0, channels: Array | None = None) -> Array:
        """Copy some of the windows that begin at the given samples, shape (n_some, n_channels, n_window).

        A shift moves what all windows hold, one after the other, by so many samples around their circle.
        """
        rows = self.analytic if channels is None else self.analytic[channels]
        places = np.arange(len(starts))[some]
        out = np.empty((len(places), len(rows), self.n_window), dtype=rows.dtype)
        steps, rest = divmod(shift, self.n_window)
        for window, place in zip(out, places, strict=True):
            start = starts[(place - steps) % len(starts)]
            window[:, rest:] = rows[:, start : start + self.n_window - rest]
            if rest:
                start = starts[(place - steps - 1) % len(starts)] + self.n_window - rest
                window[:, :rest] = rows[:, start : start + rest]
        return out

    def thinned(self, starts: Array, every: int) -> Array:
        """Copy every so-many-th sample of all windows, shape (n_windows, n_channels, n_steps)."""
        return np.stack([self.analytic[:, start : start + self.n_window : every] for start in starts])


@dataclass(frozen=True)
class PairBand:
    """Both people of a pair in one band."""

    signal: str
    band: str
    a: BandSignals
    b: BandSignals


@dataclass(frozen=True)
class CellValues:
    """What one pair of people has in one signal, metric and band."""

    cell: Cell
    #: shape (n_windows, n_roi_pairs): Per window and ROI pair: the metric, and the same on the growth scale
    roi_value: Array
    roi_z: Array
    #: shape (n_windows, n_a, n_b): The same per channel pair; None for a metric of whole regions
    value: Array | None = None
    z: Array | None = None
    #: shape (n_lags, n_a, n_b): Over all windows at every lag of the profile, on the growth scale; None without one
    profile: Array | None = None


class HasRegions(Protocol):
    """A person whose regions are known."""

    @property
    def rois(self) -> Mapping[str, tuple[int, ...]]:
        """Positions of each ROI's channels."""


def channel_cell(
    cell: Cell, values: tuple[Array, Array], a: HasRegions, b: HasRegions, recipe: Recipe, profile: Array | None = None
) -> CellValues:
    """Average a metric of channel pairs to ROI pairs.

    Shapes: ``values`` two of (n_windows, n_a, n_b).
    """
    pairs = recipe.pairs_of(a.rois, b.rois)
    by_roi = [roi_means(each, a, b, pairs) for each in values]
    return CellValues(cell, by_roi[0], by_roi[1], values[0], values[1], profile)


def set_values(
    spec: MetricSpec,
    people: Sequence[Array],
    a: HasRegions,
    b: HasRegions,
    recipe: Recipe,
    band: str,
    sfreq: float,
) -> tuple[Array, Array]:
    """Compute a metric of whole regions: its value, and the same on the growth scale.

    Shapes: ``people`` two of (n_windows, n_channels, n_window), returns two of (n_windows, n_roi_pairs).
    """
    found = []
    for rois in recipe.pairs_of(a.rois, b.rois):
        x, y = people[0][..., list(a.rois[rois.therapist]), :], people[1][..., list(b.rois[rois.client]), :]
        found.append(spec.evaluate(x, y, rank=recipe.rank_of(rois, band, x.shape[-1] / sfreq)))
    value, z = (np.stack([each[..., 0, 0] for each in parts], axis=-1) for parts in zip(*found, strict=True))
    return value, z


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
    if recipe.modality == "fnirs":
        pair = Lenders("", "")
        yield from (found for _, found in whole_cells({"": a}, {"": b}, {pair: windows}, recipe))
        return
    for both in pair_bands(a, b, recipe, windows):
        yield from band_cells(both, a.sfreq, recipe, windows)
        del both  # before the next band is filtered


def pair_bands(a: Signals, b: Signals, recipe: Recipe, windows: WindowPair) -> Iterator[PairBand]:
    """Filter two people band by band, each to edges of the person's own; release a band before the next one."""
    for signal in recipe.signals:
        if signal not in a.data or signal not in b.data:
            continue
        streams = [
            person_bands(person, signal, recipe.of(role).bands, windows.n_window)
            for role, person in zip(ROLES, (a, b), strict=True)
        ]
        for band in recipe.bands:
            yield PairBand(signal, band, next(streams[0])[1], next(streams[1])[1])


def whole_cells(
    therapists: Mapping[str, Signals],
    clients: Mapping[str, Signals],
    shared: Mapping[Lenders, WindowPair],
    recipe: Recipe,
) -> Iterator[tuple[Lenders, CellValues]]:
    """Compute every signal, band and metric of some pairs of people, each of whom is transformed once (fNIRS)."""
    for signal in recipe.signals:
        yield from _whole_cells((therapists, clients), signal, holding(signal, therapists, clients, shared), recipe)


def holding(
    signal: str, therapists: Mapping[str, Signals], clients: Mapping[str, Signals], shared: Mapping[Lenders, WindowPair]
) -> dict[Lenders, WindowPair]:
    """Pairs of people who both have a signal."""
    return {
        pair: windows
        for pair, windows in shared.items()
        if signal in therapists[pair.therapist].data and signal in clients[pair.client].data
    }


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
                a, b = people[0][pair.therapist], people[1][pair.client]
                sfreq, cell = a.sfreq, Cell(signal, spec.name, band)
                if spec.sets is not None:
                    whole = set_values(spec, (x[None], y[None]), a, b, recipe, band, sfreq)
                    yield pair, CellValues(cell, *whole)
                    continue
                value, z = spec.evaluate(x, y, **recipe.facts(sfreq, band))
                grid, profile = recipe.lag_grid(sfreq, n_window), None
                if band == recipe.primary.band and spec in recipe.profiled(grid):
                    profile = lag_profile(spec, [each[None, ..., :: grid.every] for each in (x, y)], grid)
                yield pair, channel_cell(cell, (value[None], z[None]), a, b, recipe, profile)


def band_cells(
    both: PairBand, sfreq: float, recipe: Recipe, windows: WindowPair, *, shift: int = 0
) -> Iterator[CellValues]:
    """Compute every metric of a pair in one band; a shift moves the client's windows against their own time.

    Without a shift the metrics that have a lag profile get it in the primary band.
    """
    edges = recipe.bands[both.band]
    profiles = {} if shift or both.band != recipe.primary.band else band_profiles(both, sfreq, recipe, windows)
    by_domain: dict[Domain, list[MetricSpec]] = {}
    for spec in recipe.metrics:
        if spec.sets is None:
            by_domain.setdefault(spec.domain, []).append(spec)
    found: dict[str, list[tuple[Array, Array]]] = {spec.name: [] for spec in recipe.metrics}
    for some in windows.parts(len(both.a.analytic) + len(both.b.analytic)):
        cut = both.a.cut(windows.therapist, some), both.b.cut(windows.client, some, shift=shift)
        for domain, specs in by_domain.items():
            x, y = (into_domain(each, domain, sfreq, edges) for each in cut)
            for metric, values in evaluate_many(specs, x, y, **recipe.facts(sfreq, both.band)).items():
                found[metric].append(values)
        for spec in recipe.set_metrics:
            people = [into_domain(each, spec.domain, sfreq, edges) for each in cut]
            found[spec.name].append(set_values(spec, people, both.a, both.b, recipe, both.band, sfreq))
    for spec in recipe.metrics:
        cell = Cell(both.signal, spec.name, both.band)
        value, z = (np.concatenate(each) for each in zip(*found[spec.name], strict=True))
        if spec.sets is not None:
            yield CellValues(cell, value, z)
        else:
            yield channel_cell(cell, (value, z), both.a, both.b, recipe, profiles.get(spec.name))


def band_profiles(both: PairBand, sfreq: float, recipe: Recipe, windows: WindowPair) -> dict[str, Array]:
    """Compute the lag profiles of a pair in one band, by metric; (n_lags, n_a, n_b) each."""
    grid = recipe.lag_grid(sfreq, windows.n_window)
    specs = recipe.profiled(grid)
    if not specs:
        return {}
    cut = both.a.thinned(windows.therapist, grid.every), both.b.thinned(windows.client, grid.every)
    domains = {spec.domain for spec in specs}
    people = {domain: [into_domain(x, domain, sfreq, recipe.bands[both.band]) for x in cut] for domain in domains}
    return {spec.name: lag_profile(spec, people[spec.domain], grid) for spec in specs}


def lag_profile(spec: MetricSpec, people: Sequence[Array], grid: LagGrid) -> Array:
    """Compute one metric at every lag on the growth scale.

    Shapes: ``people`` two of (n_windows, n_channels, n_steps), returns (n_lags, n_a, n_b).
    """
    assert spec.moment is not None
    return spec.link(near_lags(people[0], people[1], spec.moment, n_steps=grid.n_steps))


def person_bands(
    signals: Signals, signal: str, bands: Mapping[str, tuple[float, float]], n_window: int
) -> Iterator[tuple[str, BandSignals]]:
    """Stream a person's analytic signals, so that one band is in memory at a time."""
    if len(bands) == 1 and is_remembering():
        # what analyses of one session have in common that differ in windows, regions and metrics
        ((name, edges),) = bands.items()
        what = ("filtered", signals.key, signals.person, signal, name)
        made = remembered(what, (signals.content, edges), lambda: next(_streamed(signals, signal, bands))[1])
        yield name, BandSignals(made, n_window, signals.rois)
        return
    stream = _streamed(signals, signal, bands)
    for name in bands:  # no name for what is yielded: a waiting generator would keep it
        yield name, BandSignals(next(stream)[1], n_window, signals.rois)


def _streamed(signals: Signals, signal: str, bands: Mapping[str, tuple[float, float]]) -> Iterator[tuple[str, Array]]:
    data, spans, sfreq = signals.data[signal], signals.spans, signals.sfreq
    if np.array_equal(spans, [[0, data.shape[-1]]]):
        yield from analytic_bands(data, sfreq, bands)
        return
    for name, band in bands.items():
        yield name, _joined(data, spans, sfreq, band)


def roi_means(values: Array, a: HasRegions, b: HasRegions, pairs: Sequence[RoiPair]) -> Array:
    """Average channel pairs to ROI pairs; channel pairs without a value are left out.

    A mean is the same to the last digit whatever other pairs are asked for.

    Shapes: ``values`` (..., n_a, n_b), returns (..., n_pairs).
    """
    with warnings.catch_warnings(), np.errstate(invalid="ignore"):
        # an ROI pair without any finite channel pair is NaN, and is reported as such by its rows
        warnings.filterwarnings("ignore", "Mean of empty slice", RuntimeWarning)
        if np.isfinite(values).all():  # first over the therapist's channels: many pairs share that
            ours = {roi: values[..., list(a.rois[roi]), :].mean(axis=-2) for roi in dict(pairs)}
            means = [ours[one][..., list(b.rois[other])].mean(axis=-1) for one, other in pairs]
        else:
            means = [
                np.nanmean(values[..., list(a.rois[one]), :][..., list(b.rois[other])], axis=(-2, -1))
                for one, other in pairs
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


def _joined(data: Array, spans: Array, sfreq: float, band: tuple[float, float]) -> Array:
    """Filter every segment on its own, and put it where it lies in a person's data.

    Shapes: ``data`` (n_channels, n_times), ``spans`` (n_segments, 2), returns (n_channels, n_times).
    """
    out = np.zeros(data.shape, dtype=np.result_type(data.dtype, np.complex64))
    for start, stop in spans:
        out[:, start:stop] = analytic_signal(data[:, start:stop], sfreq, band)
    return out
