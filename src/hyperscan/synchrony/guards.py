"""What the guards of the verdict take their slopes of, computed while the channels are at hand.

Pseudo-dyads remove what everyone shares. They do not remove constant coupling seen through rising in-band
signal-to-noise, nor a growing artefact common to two people; these columns are what tells them apart.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hyperscan.metrics import get_metric
from hyperscan.synchrony.pairs import WindowPair, band_windows, roi_means
from hyperscan.synchrony.recipe import OUT_BAND, Recipe
from hyperscan.synchrony.signals import Signals
from hyperscan.transforms import analytic_signal

Array = npt.NDArray[Any]

#: Name under which the control channels enter as one more ROI.
CONTROL = "_control"

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
    """What one pair of people, partners or not, contributes.

    Parameters
    ----------
    plv_squared : array, shape (n_a, n_b)
        Mean over windows of the squared PLV between the primary ROI's channels.
    matched_z, control_z, outband_z, lag_robust_z : float
        Mean z of the primary ROI pair after noise matching, of the control channels, outside the band, and
        of the corrected imaginary PLV; NaN where it cannot be computed.
    """

    plv_squared: Array
    matched_z: float
    control_z: float
    outband_z: float
    lag_robust_z: float


def guard_values(a: Signals, b: Signals, recipe: Recipe, windows: WindowPair) -> GuardValues | None:
    """Compute a pair's contribution to the guards.

    Parameters
    ----------
    a, b : Signals
        Therapist and client (EEG).
    recipe : Recipe
        With control channels and matched signal fractions from the plan.
    windows : WindowPair
        Windows that both share.

    Returns
    -------
    GuardValues or None
        None for fNIRS and where a person has no channel of the primary ROI.
    """
    roi_a, roi_b = recipe.primary.rois
    if recipe.modality != "eeg" or roi_a not in a.rois or roi_b not in b.rois:
        return None
    ours, theirs = _with_control(a, recipe), _with_control(b, recipe)
    in_band = [
        band_windows(p, "eeg", recipe.primary_band, w, windows.n_window) for p, w in _sides(ours, theirs, windows)
    ]
    primary, control = recipe.primary.metric, (CONTROL, CONTROL)
    return GuardValues(
        plv_squared=_roi_block(_metric("plv", in_band, recipe)[0] ** 2, ours, theirs, recipe).mean(axis=0),
        matched_z=_matched(ours, theirs, recipe, windows),
        control_z=_mean_z(primary, in_band, ours, theirs, recipe, control),
        outband_z=_outband(ours, theirs, recipe, windows),
        lag_robust_z=_mean_z("ciplv", in_band, ours, theirs, recipe, recipe.primary.rois),
    )


def guard_row(
    a: Signals,
    b: Signals,
    recipe: Recipe,
    windows: WindowPair,
    real: GuardValues,
    pseudo: Sequence[GuardValues],
) -> dict[str, float]:
    """Put real and re-paired values together to one row of ``guards.tsv``.

    Parameters
    ----------
    a, b : Signals
        Therapist and client.
    recipe : Recipe
        What was computed.
    windows : WindowPair
        Windows of the real pair.
    real : GuardValues
        Of the dyad.
    pseudo : sequence of GuardValues
        Of its re-pairings at the same session number.

    Returns
    -------
    dict
        One number per column of :data:`GUARD_COLUMNS`; NaN = not assessable.
    """
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


def _with_control(signals: Signals, recipe: Recipe) -> Signals:
    control = signals.indices(recipe.control)
    complete = len(control) == len(recipe.control) > 0
    return dataclasses.replace(signals, rois={**signals.rois, CONTROL: tuple(control)} if complete else signals.rois)


def _metric(
    name: str,
    cut: list[Array],
    recipe: Recipe,
    *,
    band: tuple[float, float] | None = None,
    sfreq: float = 0.0,
) -> tuple[Array, Array]:
    return get_metric(name).evaluate(cut[0], cut[1], sfreq=sfreq, band=band or recipe.primary_band)


def _roi_block(values: Array, a: Signals, b: Signals, recipe: Recipe) -> Array:
    roi_a, roi_b = recipe.primary.rois
    return values[:, list(a.rois[roi_a])][..., list(b.rois[roi_b])]


def _mean_z(metric: str, cut: list[Array], a: Signals, b: Signals, recipe: Recipe, rois: tuple[str, str]) -> float:
    if rois[0] not in a.rois or rois[1] not in b.rois:
        return float("nan")
    _, z = _metric(metric, cut, recipe, sfreq=a.sfreq)
    return float(np.mean(roi_means(z, a, b, [rois])))


def _outband(a: Signals, b: Signals, recipe: Recipe, windows: WindowPair) -> float:
    # a control of the band is one where the fit of the background is: both need a band apart, and 2-40 Hz
    if 2 * OUT_BAND[1] >= a.sfreq or not all(np.isfinite(person.s2_line).any() for person in (a, b)):
        return float("nan")
    cut = [band_windows(p, "eeg", OUT_BAND, w, windows.n_window) for p, w in _sides(a, b, windows)]
    _, z = _metric(recipe.primary.metric, cut, recipe, band=OUT_BAND, sfreq=a.sfreq)
    return float(np.mean(roi_means(z, a, b, [recipe.primary.rois])))


def _matched(a: Signals, b: Signals, recipe: Recipe, windows: WindowPair) -> float:
    if a.person not in recipe.matched_s2 or b.person not in recipe.matched_s2:
        return float("nan")
    cut = [
        _noisier(p, roi, w, recipe, windows.n_window)
        for (p, w), roi in zip(_sides(a, b, windows), recipe.primary.rois, strict=True)
    ]
    _, z = _metric(recipe.primary.metric, cut, recipe, sfreq=a.sfreq)
    return float(np.mean(z))


def _noisier(signals: Signals, roi: str, windows: Array, recipe: Recipe, n_window: int) -> Array:
    """Add in-band noise until the ROI's signal fraction is that of the person's noisiest session."""
    channels = list(signals.rois[roi])
    cut = band_windows(signals, "eeg", recipe.primary_band, windows, n_window)[:, channels]
    excess = max(float(np.mean(signals.s2_line[channels])) / recipe.matched_s2[signals.person] - 1, 0.0)
    rng = np.random.default_rng(zlib.crc32(f"{signals.person} {signals.key}".encode()))
    noise = analytic_signal(
        rng.standard_normal((len(channels), cut.shape[0] * n_window)), signals.sfreq, recipe.primary_band
    )
    noise = noise.reshape(len(channels), cut.shape[0], n_window).swapaxes(0, 1)
    power = np.mean(np.abs(cut) ** 2, axis=(0, 2)) / np.mean(np.abs(noise) ** 2, axis=(0, 2))
    return cut + noise * np.sqrt(excess * power)[None, :, None]


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
