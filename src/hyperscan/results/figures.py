"""The figures of one dyad-session, by the kind that ``SynchronyResult.plot`` is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from hyperscan.errors import InputError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from matplotlib.axes import Axes


class Session(Protocol):
    """What figures need of a session's result."""

    @property
    def dataset(self) -> xr.Dataset:
        """Everything that was computed."""

    def get_data(self, metric: str, band: str, *, signal: str | None = None) -> np.ndarray:
        """Values of one metric and band."""

    def to_matrix(self, metric: str, band: str, *, signal: str | None = None) -> pd.DataFrame:
        """Return the mean over the windows between the channels."""

    def positions(self, role: str) -> pd.DataFrame:
        """Where one person's channels lie."""

    def coherence_map(self) -> dict[str, Any]:
        """Wavelet coherence over time and period."""


@dataclass(frozen=True)
class SessionView:
    """What of a session is shown."""

    #: Names
    metric: str
    band: str
    #: None = the primary one
    signal: str | None
    #: ROI pair, therapist's first
    roi: str
    #: Smallest link between the heads; None = the strongest 5 %
    threshold: float | None

    @property
    def label(self) -> str:
        """Metric, band and ROI pair, for an axis in Fisher z."""
        return f"{self.metric}, {self.band}, {self.roi} (Fisher z)"

    def select(self, result: Session, name: str) -> np.ndarray:
        """Values of a variable of this metric, band, signal and ROI pair."""
        data = result.dataset
        pairs = [str(pair) for pair in data["roi_pair"].values]
        if self.roi not in pairs:
            raise InputError(
                f"roi = {self.roi!r} is not in this result; there are: {', '.join(pairs)}."
                f"{did_you_mean(self.roi, pairs)}"
            )
        result.get_data(self.metric, self.band, signal=self.signal)  # tells an unknown name
        signal = self.signal or str(data["signal"].values[0])
        chosen = data[name].sel(metric=self.metric, band=self.band, roi_pair=self.roi, signal=signal)
        return np.asarray(chosen.values, dtype=float)


def _matrix(result: Session, shown: SessionView, ax: Axes | None) -> Axes:
    from hyperscan.plots import channel_matrix

    matrix = result.to_matrix(shown.metric, shown.band, signal=shown.signal)
    label = f"{shown.metric}, {shown.band}"
    drawn: Axes = channel_matrix(matrix.to_numpy(), list(matrix.index), list(matrix.columns), label=label, ax=ax)
    return drawn


def _heads(result: Session, shown: SessionView, ax: Axes | None) -> Axes:
    from hyperscan.plots import flat_positions, two_heads

    links = result.to_matrix(shown.metric, shown.band, signal=shown.signal).to_numpy()
    places = [flat_positions(result.positions(role).to_numpy()) for role in ("therapist", "client")]
    threshold = float(np.nanquantile(links, 0.95)) if shown.threshold is None else shown.threshold
    label = f"{shown.metric}, {shown.band}"
    drawn: Axes = two_heads(links, *places, threshold, ax, label=label)
    return drawn


def _windows(result: Session, shown: SessionView, ax: Axes | None) -> Axes:
    from hyperscan.plots import time_course

    data = result.dataset
    times = data["window_start"].to_numpy() + float(data.attrs["window_s"]) / 2
    null = shown.select(result, "window_null") if "window_null" in data else None
    drawn: Axes = time_course(times, shown.select(result, "roi_z"), null, ax, label=shown.label)
    return drawn


def _surrogates(result: Session, shown: SessionView, ax: Axes | None) -> Axes:
    from hyperscan.plots import surrogate_histogram

    if "lag_null" not in result.dataset:
        raise InputError(
            "kind = 'surrogates': this result holds no surrogates (a run does not keep them).\n"
            "Compute the session with compute_synchrony(..., null='lags')."
        )
    values = shown.select(result, "lag_null")
    if not np.isfinite(values).any():
        raise InputError(
            f"kind = 'surrogates': {shown.metric}, {shown.band} has no lag null here: the metric has none, or the"
            " session is too short for it. Name another metric."
        )
    observed, p = (float(shown.select(result, name)) for name in ("lag_estimate", "lag_p"))
    drawn: Axes = surrogate_histogram(observed, values, ax, p=p, label=shown.label, what="circular shifts")
    return drawn


def _coherence(result: Session, _: SessionView, ax: Axes | None) -> Axes:
    from hyperscan.plots import wtc_map

    drawn: Axes = wtc_map(**result.coherence_map(), ax=ax)
    return drawn


def _kept(result: Session, _: SessionView, ax: Axes | None) -> Axes:
    from hyperscan.plots import data_kept_timeline

    data = result.dataset
    if "clean" not in data:
        raise InputError("kind = 'kept': this result says nothing of the windows left out. Compute it again.")
    long, starts = float(data.attrs["window_s"]), data["grid_start"].to_numpy()
    lanes = {str(role): starts[data["clean"].sel(person=role).to_numpy() == 1] for role in data["person"].values}
    lanes["used"] = data["window_start"].to_numpy()
    kept = {name: [(float(start), long) for start in found] for name, found in lanes.items()}
    drawn: Axes = data_kept_timeline(kept, float(data.attrs["length_s"]), ax)
    return drawn


#: Kind to what draws it.
SESSION_FIGURES: Mapping[str, Callable[[Any, SessionView, Any], Any]] = MappingProxyType(
    {
        "matrix": _matrix,
        "heads": _heads,
        "windows": _windows,
        "surrogates": _surrogates,
        "coherence": _coherence,
        "kept": _kept,
    }
)
