"""Real and re-paired people alike: from two prepared persons to labelled synchrony and its map."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

import hyperscan
from hyperscan.metrics import MetricSpec, WaveletMap
from hyperscan.metrics.arrays import into_domain
from hyperscan.results import SynchronyResult
from hyperscan.schema import ROLES, Cell
from hyperscan.study import Session
from hyperscan.synchrony.lag_null import LagTest
from hyperscan.synchrony.pair import (
    CellValues,
    WindowPair,
    cells,
    first_samples,
    roi_means,
    shared_windows,
    whole_windows,
)
from hyperscan.synchrony.person import Signals
from hyperscan.synchrony.recipe import Recipe

if TYPE_CHECKING:
    import xarray as xr

Array = npt.NDArray[Any]

#: Most columns that are kept: more than a picture on a page can show (our choice).
MAX_COLUMNS = 240

#: Circular shifts behind the outline: each scale pools all its cells, so few suffice (our choice).
N_SHIFTS = 8

#: Share of cells that chance alone outlines.
OUTLINED = 0.05


@dataclass(frozen=True)
class SessionAttrs:
    """Labels that a result carries: who, when, how much, and by what."""

    dyad: str
    therapist: str
    client: str
    session: int
    #: NaN where no date is known
    days: float
    modality: str
    task: str
    run: str
    n_windows: int
    window_s: float
    seconds: float
    #: From the start of the first segment to the end of the last one
    length_s: float
    sfreq: float
    seed: int
    hyperscan_version: str = hyperscan.__version__


def session_attrs(session: Session, a: Signals, windows: WindowPair, seed: int) -> SessionAttrs:
    """Label the result of a session."""
    window_s = windows.n_window / a.sfreq
    return SessionAttrs(
        **session.key._asdict(),
        therapist=session.therapist,
        client=session.client,
        days=float("nan") if session.days is None else session.days,
        n_windows=len(windows.therapist),
        window_s=window_s,
        seconds=len(windows.therapist) * window_s,
        length_s=float(a.spans[-1, 1] - a.spans[0, 0]) / a.sfreq,
        sfreq=a.sfreq,
        seed=seed,
    )


def _of_time(a: Signals) -> dict[str, str]:
    """Say what the times of windows count: the session, or epochs that were laid end to end."""
    joined = len(a.spans) > 1 and np.array_equal(a.spans[1:, 0], a.spans[:-1, 1])
    return {"units": "s", "long_name": "Time in the epochs, end to end" if joined else "Time in session"}


def session_result(
    a: Signals,
    b: Signals,
    recipe: Recipe,
    windows: WindowPair,
    attrs: SessionAttrs,
    computed: Sequence[CellValues] | None = None,
) -> SynchronyResult:
    """Label what was computed of one dyad-session; None = compute it."""
    import xarray as xr

    pairs = recipe.pairs_of(a.rois, b.rois)
    computed = list(cells(a, b, recipe, windows)) if computed is None else computed
    names = {dim: list(dict.fromkeys(getattr(found.cell, dim) for found in computed)) for dim in Cell._fields}
    # every window there is, and whether it is clean in each person
    starts = first_samples(a, np.arange(len(a.windows))) - a.spans[0, 0]
    theirs = {tuple(window) for window, clean in zip(b.windows, b.clean, strict=True) if clean}
    clean = np.array([a.clean, [tuple(window) in theirs for window in a.windows]], dtype=np.int8)
    dims = tuple(names)
    by_pair = (*dims, "window", "roi_pair")
    between = [found for found in computed if found.value is not None]
    shape, by_roi = (len(windows.therapist), len(a.ch_names), len(b.ch_names)), computed[0].roi_z.shape
    dataset = xr.Dataset(
        {
            "value": ((*dims, "window", *ROLES), _stacked(between, names, shape, lambda found: found.value)),
            "z": ((*dims, *ROLES), _stacked(between, names, shape[1:], _mean_z)),
            "roi_value": (by_pair, _stacked(computed, names, by_roi, lambda found: found.roi_value)),
            "roi_z": (by_pair, _stacked(computed, names, by_roi, lambda found: found.roi_z)),
            "band_hz": (("band", "edge"), np.array([recipe.bands[name] for name in names["band"]])),
            "window_start": ("window", (windows.therapist - a.spans[0, 0]) / a.sfreq, _of_time(a)),
            "grid_start": ("grid", starts / a.sfreq, _of_time(a)),
            "clean": (("person", "grid"), clean),
            "therapist_xyz": (("therapist", "axis"), a.xyz, {"units": "m"}),
            "client_xyz": (("client", "axis"), b.xyz, {"units": "m"}),
            **coherence_map(a, b, recipe, windows),
            **_profiles(computed, names, a, b, recipe, windows),
        },
        coords={
            **names,
            "therapist": list(a.ch_names),
            "client": list(b.ch_names),
            "roi_pair": [str(pair) for pair in pairs],
            "edge": ["low", "high"],
            "axis": ["x", "y", "z"],
            "person": list(ROLES),
        },
        attrs=asdict(attrs),
    )
    return SynchronyResult(dataset)


def _mean_z(found: CellValues) -> Array | None:
    """Mean over the windows between channels, shape (n_a, n_b)."""
    return None if found.z is None else found.z.mean(axis=0)


def _profiles(
    computed: Sequence[CellValues],
    names: Mapping[str, Sequence[str]],
    a: Signals,
    b: Signals,
    recipe: Recipe,
    windows: WindowPair,
) -> dict[str, xr.Variable]:
    """Gather the lag profiles of the primary band, NaN for what has none; nothing where nothing has one."""
    import xarray as xr

    lags_s, pairs = recipe.lag_grid(a.sfreq, windows.n_window).lags_s, recipe.pairs_of(a.rois, b.rois)
    out = np.full((*map(len, names.values()), len(lags_s), len(pairs)), np.nan)
    there = [found for found in computed if found.profile is not None]
    for found in there:
        assert found.profile is not None
        out[place_of(found.cell, names)] = roi_means(found.profile, a, b, pairs)
    if not there:
        return {}
    return {
        "lag_s": xr.Variable("lag_s", lags_s, {"units": "s"}),
        "lag_profile": xr.Variable((*names, "lag_s", "roi_pair"), out),
    }


def roi_table(a: Signals, b: Signals, recipe: Recipe, windows: WindowPair | None = None) -> dict[Cell, Array]:
    """Mean z per ROI pair of any two people.

    Shapes: returns (n_roi_pairs,).
    """
    windows = windows or shared_windows(a, b, recipe)
    return {found.cell: found.roi_z.mean(axis=0) for found in cells(a, b, recipe, windows)}


def with_lag_tests(result: SynchronyResult, tests: Mapping[Cell, LagTest]) -> SynchronyResult:
    """Add the lag null to a result."""
    data, names = result.dataset, names_of(result.dataset)
    shape, n_pairs = tuple(map(len, names.values())), data.sizes["roi_pair"]
    estimate, p, n = np.full((3, *shape, n_pairs), np.nan)
    null = np.full((*shape, max((len(test.surrogates) for test in tests.values()), default=0), n_pairs), np.nan)
    for cell, test in tests.items():
        where = place_of(cell, names)
        estimate[where], p[where], null[where][: len(test.surrogates)] = test.estimate, test.p, test.surrogates
        n[where] = np.where(np.isfinite(test.p), len(test.surrogates), np.nan)
    by_pair = (*names, "roi_pair")
    added = {"lag_estimate": (by_pair, estimate), "lag_p": (by_pair, p), "lag_n": (by_pair, n)}
    return SynchronyResult(data.assign({**added, "lag_null": ((*names, "lag", "roi_pair"), null)}))


def coherence_map(a: Signals, b: Signals, recipe: Recipe, windows: WindowPair) -> dict[str, xr.Variable]:
    """Map the primary ROI pair in the primary band, averaged over its channel pairs, where the metric has a map."""
    import xarray as xr

    rois, metric, band = recipe.primary.rois, recipe.primary_metric, recipe.primary_band
    there = rois.therapist in a.rois and rois.client in b.rois
    if recipe.modality != "fnirs" or metric.map_func is None or not there:
        return {}
    x, y = whole_windows(a, b, recipe.signals[0], windows)
    x, y = x[list(a.rois[rois.therapist])], y[list(b.rois[rois.client])]
    found, *shifted = maps_under_shifts(metric, x, y, a.sfreq, band)
    step = -(-x.shape[-1] // MAX_COLUMNS)
    plane = ("wtc_period", "wtc_time")
    return {
        "wtc_period": xr.Variable("wtc_period", found.period, {"units": "s"}),
        "wtc_time": xr.Variable("wtc_time", np.arange(0, x.shape[-1], step) / a.sfreq, {"units": "s"}),
        "wtc_r2": xr.Variable(plane, found.r2[:, ::step].astype(np.float32)),
        "wtc_phase": xr.Variable(plane, found.phase[:, ::step].astype(np.float32), {"units": "rad"}),
        "wtc_coi": xr.Variable("wtc_time", found.coi[::step], {"units": "s"}),
        "wtc_floor": xr.Variable("wtc_period", outline_of(shifted)),
    }


def maps_under_shifts(
    metric: MetricSpec, x: Array, y: Array, sfreq: float, band: tuple[float, float]
) -> Iterator[WaveletMap]:
    """Map two people as they were, and with the client shifted in circles against the therapist.

    Shapes: ``x, y`` (n_channels, n_times).
    """
    assert metric.map_func is not None
    therapist, n_times = into_domain(x, metric.domain, sfreq, band), x.shape[-1]
    for step in range(N_SHIFTS + 1):
        moved = np.roll(y, step * n_times // (N_SHIFTS + 1), axis=-1)
        yield metric.map_func(therapist, into_domain(moved, metric.domain, sfreq, band), sfreq=sfreq, band=band)


def outline_of(maps: Sequence[WaveletMap]) -> Array:
    """Find what every period exceeds in 5 % of the cells of some maps, shape (n_periods,); NaN without cells."""
    outline = np.full(len(maps[0].period), np.nan)
    for row in range(len(outline)):
        found = np.concatenate([one.r2[row, one.valid[row]] for one in maps])
        found = found[np.isfinite(found)]
        if len(found):
            outline[row] = np.quantile(found, 1 - OUTLINED)
    return outline


def names_of(data: xr.Dataset) -> dict[str, list[str]]:
    """List the signals, metrics and bands of a result."""
    return {dim: [str(name) for name in data[dim].values] for dim in Cell._fields}


def place_of(cell: Cell, names: Mapping[str, Sequence[str]]) -> tuple[int, ...]:
    """Find a cell among the names of signals, metrics and bands."""
    return tuple(names[dim].index(label) for dim, label in cell._asdict().items())


def _stacked(
    computed: Sequence[CellValues],
    names: Mapping[str, Sequence[str]],
    shape: tuple[int, ...],
    take: Callable[[CellValues], Any],
) -> Array:
    """Stack one array per cell along three leading axes; what was not computed is NaN."""
    kind = take(computed[0]).dtype if computed else np.float32
    out = np.full((*map(len, names.values()), *shape), np.nan, dtype=kind)
    for found in computed:
        out[place_of(found.cell, names)] = take(found)
    return out
