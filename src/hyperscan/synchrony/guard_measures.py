"""What the guards of the verdict take their slopes of, computed while the channels are at hand.

Pseudo-dyads remove what everyone shares. They do not remove constant coupling seen through rising in-band
signal-to-noise, nor a growing artefact common to two people; these columns are what tells them apart.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from hyperscan.metrics import MetricSpec, get_metric
from hyperscan.metrics.arrays import into_domain
from hyperscan.synchrony.pair import BandWindows, WindowPair, person_windows
from hyperscan.synchrony.person import Signals
from hyperscan.synchrony.recipe import OUT_BAND, Recipe
from hyperscan.transforms import analytic_signal

Array = npt.NDArray[Any]

NOISY_WINDOWS = 8  # windows that noise is added to at once (our choice): a copy of all would be the largest array

GUARD_COLUMNS = (
    "g1_line",
    "g1_quad",
    "w_line",
    "w_quad",
    "matched_excess_z",
    "control_excess_z",
    "outband_excess_z",
    "lag_robust_excess_z",
    "imcoh_1",
    "imcoh_2",
    "imcoh_3",
    "imcoh_4",
)


@dataclass(frozen=True)
class GuardValues:
    """What one pair of people, partners or not, contributes."""

    #: shape (n_a, n_b): Mean over windows of the squared PLV between the primary ROI's channels
    plv_squared: Array
    #: Mean z of the primary ROI pair after noise matching, of the control channels, outside the band, and of the
    #: corrected imaginary PLV; NaN where it cannot be computed
    matched_z: float
    control_z: float
    outband_z: float
    lag_robust_z: float


@dataclass(frozen=True)
class GuardView:
    """One person's part in the guards, computed once however many partners the person meets."""

    #: Label of the person
    person: str
    #: Of the noise that the noise-matched check adds
    seed: int
    #: Sampling rate in Hz
    sfreq: float
    #: Mean in-band signal fraction of the primary ROI
    fraction: float
    #: Channels of the primary ROI: the first ones of ``in_band``. Control channels follow, if all are there
    n_primary: int
    #: The primary band
    in_band: BandWindows
    #: Outside of it, channels of the primary ROI; None where that cannot be assessed
    out_band: BandWindows | None
    _noise: dict[int, Array] = field(default_factory=dict, repr=False, compare=False)

    def noise(self, n_windows: int, band: tuple[float, float]) -> Array:
        """In-band noise of the person's own, shape (n_windows, n_channels, n_window); kept for the next partner."""
        if n_windows not in self._noise:
            n_channels, n_window = self.n_primary, self.in_band.values.shape[-1]
            rng = np.random.default_rng(self.seed)
            white = rng.standard_normal((n_channels, n_windows * n_window), dtype=np.float32)
            filtered = analytic_signal(white, self.sfreq, band).reshape(n_channels, n_windows, n_window)
            self._noise.clear()
            self._noise[n_windows] = np.ascontiguousarray(filtered.swapaxes(0, 1))
        return self._noise[n_windows]


def guard_view(signals: Signals, recipe: Recipe, roi: str) -> GuardView | None:
    """Filter what the guards need of one person."""
    if recipe.modality != "eeg" or roi not in signals.rois:
        return None
    inside, control = list(signals.rois[roi]), signals.indices(recipe.control).tolist()
    control = control if len(control) == len(recipe.control) else []
    in_band = _windows_of(signals, [*inside, *control], recipe.primary_band, recipe)
    # a control of the band is one where the fit of the background is: both need a band apart, and 2-40 Hz
    assessable = 2 * OUT_BAND[1] < signals.sfreq and bool(np.isfinite(signals.s2_line).any())
    out_band = _windows_of(signals, inside, OUT_BAND, recipe) if assessable else None
    return GuardView(
        person=signals.person,
        seed=zlib.crc32(f"{signals.person} {signals.key}".encode()),
        sfreq=signals.sfreq,
        fraction=float(np.mean(signals.s2_line[inside])),
        n_primary=len(inside),
        in_band=in_band,
        out_band=out_band,
    )


def _windows_of(signals: Signals, channels: list[int], band: tuple[float, float], recipe: Recipe) -> BandWindows:
    some = dataclasses.replace(signals, data={"eeg": signals.data["eeg"][channels]})
    ((_, windows),) = person_windows(some, "eeg", {"band": band}, round(recipe.window_s * signals.sfreq))
    return windows


def guard_values(a: Signals, b: Signals, recipe: Recipe, windows: WindowPair) -> GuardValues | None:
    """Compute a pair's contribution to the guards."""
    views = [guard_view(person, recipe, roi) for person, roi in zip((a, b), recipe.primary.rois, strict=True)]
    return guard_values_of(views[0], views[1], recipe, windows)


def guard_values_of(
    a: GuardView | None, b: GuardView | None, recipe: Recipe, windows: WindowPair
) -> GuardValues | None:
    """Compute a pair's contribution to the guards from what was filtered already."""
    if a is None or b is None:
        return None
    sides = ((a, windows.therapist), (b, windows.client))
    in_band = [view.in_band.at(starts) for view, starts in sides]
    inside = [cut[:, : view.n_primary] for cut, view in zip(in_band, (a, b), strict=True)]
    outside = [cut[:, view.n_primary :] for cut, view in zip(in_band, (a, b), strict=True)]
    metric, nothing = recipe.primary_metric, float("nan")
    control = outband = nothing
    if all(cut.shape[1] for cut in outside):
        control = _mean_z(metric, outside, recipe, a.sfreq)
    if a.out_band is not None and b.out_band is not None:
        cut = [a.out_band.at(windows.therapist), b.out_band.at(windows.client)]
        outband = _mean_z(metric, cut, recipe, a.sfreq, band=OUT_BAND)
    return GuardValues(
        plv_squared=(get_metric("plv").evaluate(*inside)[0] ** 2).mean(axis=0),
        matched_z=_matched((a, b), inside, recipe),
        control_z=control,
        outband_z=outband,
        lag_robust_z=_mean_z(get_metric("ciplv"), inside, recipe, a.sfreq),
    )


def guard_row(
    a: Signals,
    b: Signals,
    recipe: Recipe,
    windows: WindowPair,
    real: GuardValues,
    pseudo: Sequence[GuardValues],
) -> dict[str, float]:
    """Put real and re-paired values together to one row of ``guards.tsv``."""
    row = dict.fromkeys(GUARD_COLUMNS, float("nan"))
    if pseudo:
        floor = _finite_mean([_finite_mean(values.plv_squared) for values in pseudo])
        for fit in ("line", "quad"):
            row[f"g1_{fit}"], row[f"w_{fit}"] = _attenuation_free(a, b, recipe, real.plv_squared, floor, fit)
        for name in ("matched", "control", "outband", "lag_robust"):
            chance = _finite_mean([getattr(values, f"{name}_z") for values in pseudo])
            row[f"{name}_excess_z"] = float(getattr(real, f"{name}_z") - chance)
    row |= {f"imcoh_{i}": value for i, value in enumerate(_imaginary(a, b, recipe, windows), start=1)}
    return row


def _finite_mean(values: npt.ArrayLike) -> float:
    """Mean without what could not be computed: one partner's gap must not cost the chance level."""
    known = np.asarray(values, float)
    known = known[np.isfinite(known)]
    return float(known.mean()) if known.size else float("nan")


def _sides(a: Signals, b: Signals, windows: WindowPair) -> list[tuple[Signals, Array]]:
    return [(a, windows.therapist), (b, windows.client)]


def _mean_z(
    metric: MetricSpec, cut: Sequence[Array], recipe: Recipe, sfreq: float, band: tuple[float, float] | None = None
) -> float:
    z = _on_growth_scale(metric, cut, sfreq, band or recipe.primary_band)
    if np.isnan(z).all():
        return float("nan")
    return float(np.mean(np.nanmean(z, axis=(-2, -1))))


def _on_growth_scale(metric: MetricSpec, cut: Sequence[Array], sfreq: float, band: tuple[float, float]) -> Array:
    x, y = (into_domain(each, metric.domain, sfreq, band) for each in cut)
    return metric.evaluate(x, y, sfreq=sfreq, band=band)[1]


def _matched(views: Sequence[GuardView], inside: Sequence[Array], recipe: Recipe) -> float:
    if not all(view.person in recipe.matched_s2 for view in views):
        return float("nan")
    noise = [_added(view, own, recipe) for view, own in zip(views, inside, strict=True)]
    parts = []
    for start in range(0, len(inside[0]), NOISY_WINDOWS):
        some = slice(start, start + NOISY_WINDOWS)
        pairs = zip(inside, noise, strict=True)
        cut = [own[some] if more is None else own[some] + more[0][some] * more[1] for own, more in pairs]
        parts.append(_on_growth_scale(recipe.primary_metric, cut, views[0].sfreq, recipe.primary_band))
    return float(np.mean(np.concatenate(parts)))


def _added(view: GuardView, cut: Array, recipe: Recipe) -> tuple[Array, Array] | None:
    """In-band noise, and its scale per channel, that brings the ROI to the signal fraction of the noisiest session."""
    excess = max(view.fraction / recipe.matched_s2[view.person] - 1, 0.0)
    if excess == 0:
        return None
    noise = view.noise(len(cut), recipe.primary_band)
    scale = np.sqrt(excess * _power(cut) / _power(noise)).astype(cut.real.dtype)
    return noise, scale[:, None]


def _power(cut: Array) -> Array:
    return np.mean([np.einsum("ct,ct->c", window, window.conj()).real for window in cut], axis=0) / cut.shape[-1]


def _attenuation_free(
    a: Signals, b: Signals, recipe: Recipe, plv_squared: Array, floor: float, fit: str
) -> tuple[float, float]:
    """Squared coupling beyond chance over what the signal fractions leave of it, and its weight."""
    roi_a, roi_b = recipe.primary.rois
    fraction_a = getattr(a, f"s2_{fit}")[list(a.rois[roi_a])]
    fraction_b = getattr(b, f"s2_{fit}")[list(b.rois[roi_b])]
    weight = np.outer(fraction_a, fraction_b)
    squared = (plv_squared - floor) / (1 - floor)
    return float(np.mean(squared / weight)), float(np.mean(weight))


def _imaginary(a: Signals, b: Signals, recipe: Recipe, windows: WindowPair) -> list[float]:
    """Signed imaginary coherency of the primary ROI pair in equal parts of the primary band."""
    taper = np.hanning(windows.n_window + 2)[1:-1]
    spectra = []
    for (person, starts), roi in zip(_sides(a, b, windows), recipe.primary.rois, strict=True):
        where = starts[:, None] + np.arange(windows.n_window)
        cut = person.data["eeg"][list(person.rois[roi])][:, where].astype(float)
        spectra.append(np.fft.rfft(cut * taper))
    x, y = spectra
    freqs = np.fft.rfftfreq(windows.n_window, 1 / a.sfreq)
    values = []
    for low, high in recipe.sub_bands:
        inside = (freqs >= low) & (freqs < high)
        if not inside.any():
            return [float("nan")] * len(recipe.sub_bands)
        u, v = (spectrum[..., inside].reshape(len(spectrum), -1) for spectrum in (x, y))
        cross = u @ v.conj().T
        norm = np.sqrt(np.outer((np.abs(u) ** 2).sum(-1), (np.abs(v) ** 2).sum(-1)))
        values.append(float(np.mean(cross.imag / norm)))
    return values
