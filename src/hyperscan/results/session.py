"""Labelled synchrony of one dyad-session."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hyperscan.errors import InputError, ReadError, count, did_you_mean
from hyperscan.hdf5 import load_dataset
from hyperscan.metrics import METRICS
from hyperscan.metrics.table import growth_scale
from hyperscan.schema import TABLES, RoiPair
from hyperscan.storage import write_dataset

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from hyperscan.plots.session import MapArrays


@dataclass(frozen=True)
class SynchronyResult:
    """Synchrony of one dyad-session.

    Parameters
    ----------
    dataset : xarray.Dataset
        ``value`` (signal, metric, band, window, therapist, client) is the metric per window and channel
        pair; ``z`` the mean over windows on the growth scale; ``roi_value`` and ``roi_z`` (signal, metric,
        band, window, roi_pair) the means over the channel pairs of an ROI pair; ``lag_estimate`` and
        ``lag_p`` the whole-session statistic and its p-value under ``lag_n`` shifts, and ``lag_null`` (signal,
        metric, band, lag, roi_pair) its surrogates, where that was asked for; ``window_null`` (signal, metric,
        band, shift, window, roi_pair) each window beside the client's windows of other times, likewise;
        ``grid_start`` (s) and ``clean`` (person, grid) the windows there are and which are free of artefacts.
        Attributes hold the session's labels, the seed and versions.

    Examples
    --------
    >>> import xarray as xr
    >>> value = xr.DataArray([[[[[[0.2, 0.4]]]]]], dims=("signal", "metric", "band", "window", "therapist", "client"))
    >>> names = {"signal": ["eeg"], "metric": ["plv"], "band": ["alpha"], "therapist": ["Pz"], "client": ["O1", "O2"]}
    >>> sync = SynchronyResult(xr.Dataset({"value": value.assign_coords(names)}))
    >>> sync.get_data("plv", "alpha").shape
    (1, 1, 2)
    >>> float(sync.to_matrix("plv", "alpha").loc["Pz", "O2"])
    0.4
    """

    dataset: xr.Dataset

    def __repr__(self) -> str:
        sizes = self.dataset.sizes
        session = " ".join(str(self.dataset.attrs[key]) for key in ("dyad", "session", "modality"))
        return (
            f"<SynchronyResult | {session} | metrics: {', '.join(self.metrics)} | "
            f"bands: {', '.join(self.bands)} | "
            f"{count(sizes['window'], 'window')}, {sizes['therapist']} x {sizes['client']} channels>"
        )

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics."""
        return tuple(map(str, self.dataset["metric"].values))

    @property
    def bands(self) -> tuple[str, ...]:
        """Names of the bands."""
        return tuple(map(str, self.dataset["band"].values))

    def get_data(self, metric: str, band: str, *, signal: str | None = None) -> npt.NDArray[Any]:
        """Values of one metric and band.

        Parameters
        ----------
        metric, band : str
            Names.
        signal : str or None
            ``eeg``, ``hbo`` ...; None = the primary one.

        Returns
        -------
        array, shape (n_windows, n_therapist_channels, n_client_channels)
            One window where a run stored the mean over them.

        Raises
        ------
        InputError
            If a name is unknown, or the metric compares whole regions.
        """
        chosen = self._cell(metric, band, signal)
        if not self.between_channels(metric):
            raise InputError(
                f"metric = {metric!r} compares whole regions, so it has no values between channels. "
                "Take to_data_frame(), or kind='windows'."
            )
        value = self.dataset["value"].sel(chosen)
        if "window" not in value.dims:
            value = value.expand_dims("window")
        return np.asarray(value.transpose("window", "therapist", "client").values)

    def between_channels(self, metric: str) -> bool:
        """Whether a metric has values between channels; one of whole regions has none."""
        return metric not in METRICS or METRICS[metric].sets is None

    def _cell(self, metric: str, band: str, signal: str | None) -> dict[str, str]:
        """Choose a metric, band and signal by their names; refuse names that are not there."""
        chosen = {"metric": metric, "band": band, "signal": signal or str(self.dataset["signal"].values[0])}
        for dim, name in chosen.items():
            known = [str(value) for value in self.dataset[dim].values]
            if name not in known:
                raise InputError(
                    f"{dim} = {name!r} is not in this result; there are: {', '.join(known)}.{did_you_mean(name, known)}"
                )
        return chosen

    def to_data_frame(self) -> pd.DataFrame:
        """One row per signal, metric, band and ROI pair, in the columns of ``synchrony.tsv``.

        Returns
        -------
        DataFrame, shape (n_signals * n_metrics * n_bands * n_roi_pairs, n_columns)
        """
        import pandas as pd

        data, cell = self.dataset, ("signal", "metric", "band", "roi_pair")
        rows = list(itertools.product(*(map(str, data[name].values) for name in cell)))

        def mean(name: str, start: int = 0, step: int = 1) -> np.ndarray:
            # arrays, because every step of labelled ones costs more than all means together
            values = data.variables[name].transpose(*cell, "window").values[..., start::step]
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Mean of empty slice", RuntimeWarning)
                return np.asarray(np.nanmean(values, axis=-1)).ravel()

        found: dict[str, Any] = dict(zip(cell, zip(*rows, strict=True), strict=True))
        pairs = [RoiPair.parse(name) for name in found.pop("roi_pair")]
        found |= {"roi_therapist": [pair.therapist for pair in pairs], "roi_client": [pair.client for pair in pairs]}
        found |= {name: data.attrs[name] for name in TABLES["synchrony"] if name in data.attrs}
        found |= {"estimate": mean("roi_value"), "z": mean("roi_z")}
        for name in ("lag_estimate", "lag_p", "lag_n"):
            if name in data:
                found[name] = data.variables[name].transpose(*cell).values.ravel()
        if data.sizes["window"] > 1:
            found["halves_z"] = mean("roi_z", 0, 2) - mean("roi_z", 1, 2)
        return pd.DataFrame({name: found[name] for name in TABLES["synchrony"] if name in found})

    def averaged(self) -> SynchronyResult:
        """Return the result without its channel matrices per window and its surrogates, as a run stores it."""
        kept = self.dataset.drop_vars(["lag_null", "window_null"], errors="ignore")
        return SynchronyResult(kept.assign(value=self.dataset["value"].mean("window")))

    def save(self, path: str | Path) -> Path:
        """Write as netCDF, whole or not at all, every variable in its shape.

        Parameters
        ----------
        path : path-like
            File name ending in ``.nc``.

        Returns
        -------
        Path
        """
        path = Path(path)
        if path.suffix != ".nc":
            raise InputError(f"path = {path.name!r}: expected a name that ends in .nc.")
        return write_dataset(path, self.dataset)

    def to_matrix(self, metric: str, band: str, *, signal: str | None = None) -> pd.DataFrame:
        """Values between the channels, averaged over the windows."""
        import pandas as pd

        values = self.get_data(metric, band, signal=signal)
        mean = np.full(values.shape[1:], np.nan)
        known = np.isfinite(values).any(axis=0)
        mean[known] = np.nanmean(values[:, known], axis=0)
        names = [list(map(str, self.dataset[role].values)) for role in ("therapist", "client")]
        return pd.DataFrame(mean, index=names[0], columns=names[1])

    def positions(self, role: str) -> pd.DataFrame:
        """Where one person's channels lie.

        Parameters
        ----------
        role : {'therapist', 'client'}
            Which person.

        Returns
        -------
        DataFrame, shape (n_channels, 3)
            Channels as index; ``x``, ``y`` and ``z`` in m in the frame of the recording, NaN where unknown. EEG:
            the standard positions of the names; fNIRS: the middle between source and detector.
        """
        import pandas as pd

        if role not in ("therapist", "client"):
            raise InputError(f"role = {role!r}: expected 'therapist' or 'client'.")
        xyz = self.dataset[f"{role}_xyz"].to_numpy()
        return pd.DataFrame(xyz, index=list(map(str, self.dataset[role].values)), columns=["x", "y", "z"])

    def coherence_map(self) -> MapArrays:
        """Wavelet coherence of the primary ROI pair over time and period, as ``plots.coherence_chart`` takes it.

        Shapes: returns (n_periods, n_times).
        """
        data = self.dataset
        if "wtc_r2" not in data:
            raise InputError(
                "kind = 'coherence': this result holds no coherence map."
                " Only fNIRS with the primary metric wtc has one."
            )
        times, floor = data["wtc_time"].to_numpy(), data["wtc_floor"].to_numpy()
        return {
            "r2": data["wtc_r2"].to_numpy(),
            "phase": data["wtc_phase"].to_numpy(),
            "period": data["wtc_period"].to_numpy(),
            "coi": data["wtc_coi"].to_numpy(),
            "sfreq": 1 / float(times[1] - times[0]),
            "significant": data["wtc_r2"].to_numpy() > floor[:, None],
        }

    @property
    def name(self) -> str:
        """Which dyad and session this is, in words."""
        told = self.dataset.attrs
        further = [str(told[key]) for key in ("task", "run") if told.get(key)]
        return ", ".join([f"{told.get('dyad', 'dyad ?')}, session {told.get('session', '?')}", *further])

    def plot(
        self,
        metric: str | None = None,
        band: str | None = None,
        *,
        kind: str = "matrix",
        signal: str | None = None,
        roi: str | None = None,
        threshold: float | None = None,
        axes: Axes | None = None,
        show: bool = True,
    ) -> Figure:
        """Draw one metric and band of the session.

        Parameters
        ----------
        metric, band, signal : str or None
            Names; None = the first.
        kind : str
            ``matrix``: the mean over the windows, of shape (n_therapist_channels, n_client_channels). ``heads``: two
            heads with the links above the threshold. ``windows``: the course over the windows, with the middle 95 %
            of what other windows reach after ``compute_synchrony(null="windows")``. ``surrogates``: the whole session
            beside its circular shifts, after ``compute_synchrony(null="lags")``. ``coherence``: the wavelet coherence
            map (fNIRS with the primary metric ``wtc``). ``kept``: which windows were clean in each person, and which
            were used.
        roi : str or None
            ROI pair of the course and the surrogates, therapist's first; None = the primary one.
        threshold : float or None
            Smallest link that is drawn between the heads; None = the strongest 5 %.
        axes : matplotlib Axes or None
            Where to draw; None = a new figure.
        show : bool
            Show the figure, where matplotlib has a window or a notebook for it.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        InputError
            If a name or the kind is unknown, or the result lacks what the kind needs.
        """
        from hyperscan.plots.style import finish, one_axes

        if kind not in SESSION_FIGURES:
            raise InputError(
                f"kind = {kind!r}: expected one of {', '.join(SESSION_FIGURES)}.{did_you_mean(kind, SESSION_FIGURES)}"
            )
        roi = roi or str(self.dataset.attrs.get("primary_roi", "all-all"))
        shown = SessionView(metric or self.metrics[0], band or self.bands[0], signal, roi, threshold)
        drawn = SESSION_FIGURES[kind](self, shown, one_axes(axes))
        said = drawn.get_title(loc="left")
        drawn.set_title(f"{self.name}{': ' if said else ''}{said}", loc="left", wrap=True)
        return finish(drawn, show)

    def to_connectivity(self, metric: str, *, signal: str | None = None) -> Any:
        """Hand one metric to mne-connectivity, therapist's channels first.

        Parameters
        ----------
        metric : str
            Name.
        signal : str or None
            None = the primary one.

        Returns
        -------
        mne_connectivity.SpectralConnectivity, data of shape (n_therapist_channels * n_client_channels, n_bands)
            Inter-brain pairs only; the bands as frequencies, at their middle in Hz.
        """
        from mne_connectivity import SpectralConnectivity

        values = np.stack([np.nanmean(self.get_data(metric, band, signal=signal), axis=0) for band in self.bands], -1)
        n_a, n_b, _ = values.shape
        names = [f"therapist {name}" for name in self.dataset["therapist"].values]
        names += [f"client {name}" for name in self.dataset["client"].values]
        indices = np.repeat(np.arange(n_a), n_b), n_a + np.tile(np.arange(n_b), n_a)
        return SpectralConnectivity(
            values.reshape(n_a * n_b, -1),
            freqs=list(map(float, self.dataset["band_hz"].mean("edge").values)),
            n_nodes=n_a + n_b,
            names=names,
            indices=indices,
            method=metric,
            n_epochs_used=int(self.dataset.sizes["window"]),
        )


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
        """Metric, band and ROI pair, for an axis on the metric's growth scale."""
        return f"{self.metric}, {self.band}, {self.roi} ({growth_scale(self.metric)})"

    def select(self, result: SynchronyResult, name: str) -> np.ndarray:
        """Values of a variable of this metric, band, signal and ROI pair."""
        data = result.dataset
        pairs = [str(pair) for pair in data["roi_pair"].values]
        if self.roi not in pairs:
            raise InputError(
                f"roi = {self.roi!r} is not in this result; there are: {', '.join(pairs)}."
                f"{did_you_mean(self.roi, pairs)}"
            )
        chosen = {**result._cell(self.metric, self.band, self.signal), "roi_pair": self.roi}
        return np.asarray(data[name].sel(chosen).values, dtype=float)


def _matrix(result: SynchronyResult, shown: SessionView, ax: Axes | None) -> Axes:
    from hyperscan.plots import channel_matrix

    matrix = result.to_matrix(shown.metric, shown.band, signal=shown.signal)
    label = f"{shown.metric}, {shown.band}"
    drawn: Axes = channel_matrix(matrix.to_numpy(), list(matrix.index), list(matrix.columns), label=label, ax=ax)
    return drawn


def _heads(result: SynchronyResult, shown: SessionView, ax: Axes | None) -> Axes:
    from hyperscan.plots import flat_positions, two_heads

    links = result.to_matrix(shown.metric, shown.band, signal=shown.signal).to_numpy()
    places = [flat_positions(result.positions(role).to_numpy()) for role in ("therapist", "client")]
    threshold = float(np.nanquantile(links, 0.95)) if shown.threshold is None else shown.threshold
    label = f"{shown.metric}, {shown.band}"
    names = tuple(list(map(str, result.dataset[role].values)) for role in ("therapist", "client"))
    drawn: Axes = two_heads(links, *places, threshold, ax, label=label, names=names)
    return drawn


def _windows(result: SynchronyResult, shown: SessionView, ax: Axes | None) -> Axes:
    from hyperscan.plots import time_course

    data = result.dataset
    times = data["window_start"].to_numpy() + float(data.attrs["window_s"]) / 2
    if len(times) < 2:
        further = " kind='coherence' shows its course in time." if "wtc_r2" in data else ""
        raise InputError(f"kind = 'windows': this session is one window, which has no course.{further}")
    null = shown.select(result, "window_null") if "window_null" in data else None
    chance = float(shown.select(result, "pseudo_mean_z")) if "pseudo_mean_z" in data else None
    drawn: Axes = time_course(times, shown.select(result, "roi_z"), null, ax, label=shown.label, chance=chance)
    drawn.set_xlabel(f"{data['window_start'].attrs.get('long_name', 'Time in session')} (s)")
    return drawn


def _surrogates(result: SynchronyResult, shown: SessionView, ax: Axes | None) -> Axes:
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


def _coherence(result: SynchronyResult, _: SessionView, ax: Axes | None) -> Axes:
    from hyperscan.plots import coherence_chart

    drawn: Axes = coherence_chart(**result.coherence_map(), ax=ax)
    return drawn


def _kept(result: SynchronyResult, _: SessionView, ax: Axes | None) -> Axes:
    from hyperscan.plots import data_kept_timeline

    data = result.dataset
    if "clean" not in data:
        raise InputError("kind = 'kept': this result says nothing of the windows left out. Compute it again.")
    long, starts = float(data.attrs["window_s"]), data["grid_start"].to_numpy()
    lanes = {str(role): starts[data["clean"].sel(person=role).to_numpy() == 1] for role in data["person"].values}
    lanes["used"] = data["window_start"].to_numpy()
    kept = {name: [(float(start), long) for start in found] for name, found in lanes.items()}
    drawn: Axes = data_kept_timeline(kept, float(data.attrs["length_s"]), ax)
    drawn.set_xlabel(f"{data['grid_start'].attrs.get('long_name', 'Time in session')} (s); pale = left out")
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


def read_synchrony(path: str | Path) -> SynchronyResult:
    """Read what :meth:`SynchronyResult.save` wrote.

    Parameters
    ----------
    path : path-like
        netCDF file.

    Returns
    -------
    SynchronyResult
        Without a window axis in ``value``, of shape (n_signals, n_metrics, n_bands, n_therapist_channels,
        n_client_channels), where a run stored it.

    Raises
    ------
    ReadError
        If the file is missing or is no such result.

    Examples
    --------
    >>> import tempfile
    >>> import xarray as xr
    >>> saved = xr.Dataset({"roi_z": ("roi_pair", [0.1])}, coords={"roi_pair": ["all-all"]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = SynchronyResult(saved).save(folder + "/x.nc")
    ...     float(read_synchrony(path).dataset["roi_z"].sel(roi_pair="all-all"))
    0.1
    """
    path = Path(path)
    dataset = load_dataset(path)
    if "roi_z" not in dataset:
        raise ReadError(f"{path.name}: holds no synchrony (no variable roi_z). Name a file of SynchronyResult.save.")
    return SynchronyResult(dataset)
