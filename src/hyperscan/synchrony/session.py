"""Real and re-paired people alike: from two prepared persons to labelled synchrony and its map."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

import hyperscan
from hyperscan.metrics import MetricSpec, WaveletMap
from hyperscan.metrics.arrays import into_domain
from hyperscan.results import SynchronyResult
from hyperscan.study import Session
from hyperscan.synchrony.lag_null import LagTest
from hyperscan.synchrony.pair import Cell, WindowPair, cells, first_samples, roi_means, shared_windows, whole_windows
from hyperscan.synchrony.person import Signals
from hyperscan.synchrony.recipe import Recipe

Array = npt.NDArray[Any]

#: Most columns that are kept: more than a picture on a page can show (our choice).
MAX_COLUMNS = 240

#: Circular shifts behind the outline: each scale pools all its cells, so few suffice (our choice).
N_SHIFTS = 8

#: Share of cells that chance alone outlines.
OUTLINED = 0.05


def coherence_map(a: Signals, b: Signals, recipe: Recipe, windows: WindowPair) -> dict[str, Any]:
    """Map of the primary ROI pair in the primary band, averaged over its channel pairs."""
    pair, metric = recipe.primary.rois, recipe.primary_metric
    if recipe.modality != "fnirs" or metric.map_func is None or pair[0] not in a.rois or pair[1] not in b.rois:
        return {}
    x, y = whole_windows(a, b, recipe.signals[0], windows)
    x, y = x[list(a.rois[pair[0]])], y[list(b.rois[pair[1]])]
    found, *shifted = maps_under_shifts(metric, x, y, a.sfreq, recipe.primary_band)
    step = -(-x.shape[-1] // MAX_COLUMNS)
    plane = ("wtc_period", "wtc_time")
    return {
        "wtc_period": ("wtc_period", found.period, {"units": "s"}),
        "wtc_time": ("wtc_time", np.arange(0, x.shape[-1], step) / a.sfreq, {"units": "s"}),
        "wtc_r2": (plane, found.r2[:, ::step].astype(np.float32)),
        "wtc_phase": (plane, found.phase[:, ::step].astype(np.float32), {"units": "rad"}),
        "wtc_coi": ("wtc_time", found.coi[::step], {"units": "s"}),
        "wtc_floor": ("wtc_period", [_quantile(shifted, row) for row in range(len(found.period))]),
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


def _quantile(maps: Sequence[WaveletMap], row: int) -> float:
    """Find what a period exceeds in 5 % of its cells."""
    cells = np.concatenate([found.r2[row, found.valid[row]] for found in maps])
    cells = cells[np.isfinite(cells)]
    return float(np.quantile(cells, 1 - OUTLINED)) if len(cells) else np.nan


def roi_table(
    a: Signals, b: Signals, recipe: Recipe, windows: WindowPair | None = None
) -> dict[tuple[str, str, str], Array]:
    """Mean z per ROI pair of any two people.

    Shapes: returns (n_roi_pairs,).
    """
    windows = windows or shared_windows(a, b, recipe)
    pairs = recipe.pairs_of(a.rois, b.rois)
    return {
        (cell.signal, cell.metric, cell.band): roi_means(cell.z, a, b, pairs).mean(axis=0)
        for cell in cells(a, b, recipe, windows)
    }


def session_result(
    a: Signals, b: Signals, recipe: Recipe, windows: WindowPair, attrs: Mapping[str, Any]
) -> SynchronyResult:
    """Compute one dyad-session and label it."""
    import xarray as xr

    pairs = recipe.pairs_of(a.rois, b.rois)
    computed = list(cells(a, b, recipe, windows))
    axes = {
        "signal": _ordered(cell.signal for cell in computed),
        "metric": _ordered(cell.metric for cell in computed),
        "band": _ordered(cell.band for cell in computed),
    }
    grid = _Grid(axes, computed)
    dims = tuple(axes)
    dataset = xr.Dataset(
        {
            "value": ((*dims, "window", "therapist", "client"), grid.stack(lambda cell: cell.value)),
            "z": ((*dims, "therapist", "client"), grid.stack(lambda cell: cell.z.mean(axis=0))),
            "roi_value": (
                (*dims, "window", "roi_pair"),
                grid.stack(lambda cell: roi_means(cell.value, a, b, pairs)),
            ),
            "roi_z": ((*dims, "window", "roi_pair"), grid.stack(lambda cell: roi_means(cell.z, a, b, pairs))),
            "band_hz": (("band", "edge"), np.array([recipe.bands[name] for name in axes["band"]])),
            "window_start": ("window", (windows.therapist - a.spans[0, 0]) / a.sfreq, {"units": "s"}),
            **_grid(a, b),
            "therapist_xyz": (("therapist", "axis"), a.xyz, {"units": "m"}),
            "client_xyz": (("client", "axis"), b.xyz, {"units": "m"}),
            **coherence_map(a, b, recipe, windows),
        },
        coords={
            **axes,
            "therapist": list(a.ch_names),
            "client": list(b.ch_names),
            "roi_pair": ["-".join(pair) for pair in pairs],
            "edge": ["low", "high"],
            "axis": ["x", "y", "z"],
            "person": ["therapist", "client"],
        },
        attrs=dict(attrs),
    )
    return SynchronyResult(dataset)


def session_attrs(session: Session, a: Signals, windows: WindowPair, seed: int) -> dict[str, Any]:
    """Labels that a result carries: who, when, how much, and by what."""
    window_s = windows.n_window / a.sfreq
    return {
        "dyad": session.dyad,
        "therapist": session.therapist,
        "client": session.client,
        "session": session.session,
        "days": float("nan") if session.days is None else session.days,
        "modality": session.modality,
        "task": session.task,
        "run": session.run,
        "n_windows": len(windows.therapist),
        "window_s": window_s,
        "seconds": len(windows.therapist) * window_s,
        "length_s": float(a.spans[-1, 1] - a.spans[0, 0]) / a.sfreq,
        "sfreq": a.sfreq,
        "seed": seed,
        "hyperscan_version": hyperscan.__version__,
    }


def with_lag_tests(result: SynchronyResult, tests: Mapping[tuple[str, str, str], LagTest]) -> SynchronyResult:
    """Add the lag null to a result."""
    data = result.dataset
    names = ("signal", "metric", "band")
    axes = [[str(name) for name in data[dim].values] for dim in names]
    shape, n_pairs = tuple(map(len, axes)), data.sizes["roi_pair"]
    estimate, p = np.full((2, *shape, n_pairs), np.nan)
    null = np.full((*shape, max((len(test.surrogates) for test in tests.values()), default=0), n_pairs), np.nan)
    for key, test in tests.items():
        where = tuple(known.index(name) for known, name in zip(axes, key, strict=True))
        estimate[where], p[where], null[where][: len(test.surrogates)] = test.estimate, test.p, test.surrogates
    by_pair = (*names, "roi_pair")
    added = {"lag_estimate": (by_pair, estimate), "lag_p": (by_pair, p)}
    return SynchronyResult(data.assign({**added, "lag_null": ((*names, "lag", "roi_pair"), null)}))


def _grid(a: Signals, b: Signals) -> dict[str, Any]:
    """Every window there is, and whether it is clean in each person."""
    theirs = {tuple(window) for window, clean in zip(b.windows, b.clean, strict=True) if clean}
    clean = np.array([a.clean, [tuple(window) in theirs for window in a.windows]], dtype=np.int8)
    starts = first_samples(a, np.arange(len(a.windows))) - a.spans[0, 0]
    return {"grid_start": ("grid", starts / a.sfreq, {"units": "s"}), "clean": (("person", "grid"), clean)}


class _Grid:
    """Cells laid out by signal, metric and band; what was not computed is NaN."""

    def __init__(self, axes: Mapping[str, Sequence[str]], computed: Sequence[Cell]) -> None:
        self.axes = axes
        self.cells = {(cell.signal, cell.metric, cell.band): cell for cell in computed}

    def stack(self, take: Any) -> Array:
        """Stack one array per cell along three leading axes."""
        first = np.asarray(take(next(iter(self.cells.values()))))
        shape = tuple(len(names) for names in self.axes.values())
        out = np.full((*shape, *first.shape), np.nan, dtype=first.dtype)
        for (signal, metric, band), cell in self.cells.items():
            where = tuple(
                names.index(name) for names, name in zip(self.axes.values(), (signal, metric, band), strict=True)
            )
            out[where] = take(cell)
        return out


def _ordered(names: Any) -> list[str]:
    return list(dict.fromkeys(names))
