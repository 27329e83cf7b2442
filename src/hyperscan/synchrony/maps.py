"""Wavelet coherence of one dyad-session over time and period, to look at beside the number that it gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from hyperscan.metrics import WaveletMap, wtc_mean_map
from hyperscan.synchrony.pairs import WindowPair, whole_windows
from hyperscan.synchrony.recipe import Recipe
from hyperscan.synchrony.signals import Signals

Array = npt.NDArray[Any]

#: Most columns that are kept: more than a picture on a page can show (our choice).
MAX_COLUMNS = 240

#: Circular shifts behind the outline: each scale pools all its cells, so few suffice (our choice).
N_SHIFTS = 8

#: Share of cells that chance alone outlines.
OUTLINED = 0.05


def coherence_map(a: Signals, b: Signals, recipe: Recipe, windows: WindowPair) -> dict[str, Any]:
    """Map of the primary ROI pair in the primary band, averaged over its channel pairs.

    Parameters
    ----------
    a, b : Signals
        Therapist and client.
    recipe : Recipe
        What the study computes.
    windows : WindowPair
        The stretch that both share.

    Returns
    -------
    dict
        Variables of the result: ``wtc_r2`` and ``wtc_phase`` (rad, positive where the therapist leads) over
        ``wtc_period`` (s) and ``wtc_time`` (s), ``wtc_coi`` (longest period in s free of edge effects) and
        ``wtc_floor``, the 95th percentile of each period under circular shifts of the client. Empty unless
        wavelet coherence is the primary metric of an fNIRS study.
    """
    pair = recipe.primary.rois
    if recipe.modality != "fnirs" or recipe.primary.metric != "wtc" or pair[0] not in a.rois or pair[1] not in b.rois:
        return {}
    x, y = whole_windows(a, b, recipe.signals[0], windows)
    x, y = x[list(a.rois[pair[0]])], y[list(b.rois[pair[1]])]
    found = wtc_mean_map(x, y, a.sfreq, recipe.primary_band)
    step = -(-x.shape[-1] // MAX_COLUMNS)
    plane = ("wtc_period", "wtc_time")
    return {
        "wtc_period": ("wtc_period", found.period, {"units": "s"}),
        "wtc_time": ("wtc_time", np.arange(0, x.shape[-1], step) / a.sfreq, {"units": "s"}),
        "wtc_r2": (plane, found.r2[:, ::step].astype(np.float32)),
        "wtc_phase": (plane, found.phase[:, ::step].astype(np.float32), {"units": "rad"}),
        "wtc_coi": ("wtc_time", found.coi[::step], {"units": "s"}),
        "wtc_floor": ("wtc_period", _floor(x, y, a.sfreq, recipe.primary_band)),
    }


def _floor(x: Array, y: Array, sfreq: float, band: tuple[float, float]) -> Array:
    """Find what each period exceeds in 5 % of its cells when the client is shifted against the therapist."""
    n_times = x.shape[-1]
    shifts = np.arange(1, N_SHIFTS + 1) * n_times // (N_SHIFTS + 1)
    maps = [wtc_mean_map(x, np.roll(y, shift, axis=-1), sfreq, band) for shift in shifts]
    return np.array([_quantile(maps, row) for row in range(len(maps[0].period))])


def _quantile(maps: list[WaveletMap], row: int) -> float:
    cells = np.concatenate([found.r2[row, found.valid[row]] for found in maps])
    cells = cells[np.isfinite(cells)]
    return float(np.quantile(cells, 1 - OUTLINED)) if len(cells) else np.nan
