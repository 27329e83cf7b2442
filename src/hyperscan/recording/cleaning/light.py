"""fNIRS channels before they are haemoglobin: which are usable, how much they move, what the scalp adds."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import mne
import numpy as np
import scipy
from mne.io import BaseRaw
from numpy.typing import NDArray

from hyperscan.errors import DataQualityWarning, QualityError, count
from hyperscan.recording.annotations import Spans
from hyperscan.recording.cleaning.channels import base_name
from hyperscan.recording.cleaning.eeg_filter import fill_missing, mask_spans
from hyperscan.recording.files.wavelengths import MAX_OFF_NM, check_told
from hyperscan.recording.windows import clean_mask

#: Order of the Butterworth filters, run forward and backward (our choice).
FILTER_ORDER = 3
#: Distance assumed where a file holds no optode positions, in mm (our choice; the usual adult probe).
NOMINAL_MM = 30.0
#: A channel longer than this, in mm, is a mistake in the file or blind (our choice).
MAX_MM = 100.0
#: Between the limit for short channels and this many times it, a channel sees scalp and brain mixed and is
#: not used (our choice).
MIXED_UP_TO = 1.5

Array = NDArray[np.floating]


def zero_phase(data: Array, sfreq: float, low: float, high: float | None = None) -> Array:
    """Filter by a Butterworth run both ways, a band-pass or, without ``high``, a high-pass.

    Shapes: ``data`` (..., n_times), returns the same.

    Examples
    --------
    >>> t = np.arange(2000) / 10
    >>> kept = zero_phase(np.sin(2 * np.pi * 0.1 * t) + 5, 10.0, 0.02, 0.5)
    >>> abs(kept - np.sin(2 * np.pi * 0.1 * t))[500:-500].max().round(2)
    np.float64(0.0)
    """
    edges, kind = ((low, high), "bandpass") if high else (low, "highpass")
    sos = scipy.signal.butter(FILTER_ORDER, edges, kind, fs=sfreq, output="sos")
    # the high-pass rings for about the reciprocal of its edge
    return np.asarray(scipy.signal.sosfiltfilt(sos, data, axis=-1, padlen=min(data.shape[-1] - 1, round(sfreq / low))))


def source_detector_mm(raw: BaseRaw) -> Array:
    """Source-detector distance of every channel.

    Shapes: returns (n_channels,), in mm; NaN where it is unknown.
    """
    places = np.array([ch["loc"][3:9] for ch in raw.info["chs"]], float)
    distance = np.linalg.norm(places[:, 3:] - places[:, :3], axis=1)
    distance[~(np.isfinite(distance) & (distance > 0))] = np.nan
    if np.isnan(distance).all():
        return distance
    # no probe is wider than a metre: then the unit is mm already
    return distance if np.nanmedian(distance) > 1 else distance * 1000


def place_optodes(raw: BaseRaw, who: str) -> tuple[BaseRaw, str]:
    """Give distances in m, assumed where the whole file has none, and say where they come from.

    ``in m``, ``in mm`` (as stored) or ``assumed``.
    """
    distance = source_detector_mm(raw)
    stored = np.array([np.linalg.norm(ch["loc"][6:9] - ch["loc"][3:6]) for ch in raw.info["chs"]])
    in_mm = bool(np.nanmedian(stored) > 1) if np.isfinite(stored).any() else False
    missing = np.isnan(distance)
    if in_mm or missing.all():
        raw = raw.copy()
        for ch in raw.info["chs"]:
            ch["loc"][:9] /= 1000 if in_mm else 1
            if missing.all():
                ch["loc"][3:9] = [0, 0, 0, NOMINAL_MM / 1000, 0, 0]
    said = ""
    if missing.all():
        said = (
            f"{count(missing.sum(), 'channel has', 'channels have')} no optode positions; {NOMINAL_MM:g} mm are "
            "assumed, and short channels cannot be told. Export the probe's positions."
        )
    elif missing.any():
        # among optodes with places, one without may be short, so nothing can be assumed of it
        said = f"{count(missing.sum(), 'channel')} without a source-detector distance left out. Correct the probe."
    if said:
        warnings.warn(f"{who}: {said}", DataQualityWarning, stacklevel=4)
    return raw, "assumed" if missing.all() else "in mm" if in_mm else "in m"


def channel_lengths(raw: BaseRaw, short_mm: float) -> dict[str, str]:
    """Map base names to ``short``, ``mixed``, ``long``, ``far`` or ``nowhere``."""
    # distances are rounded in files: 10.0 mm is short
    limits = (short_mm + 0.5, MIXED_UP_TO * short_mm, MAX_MM)
    lengths = {}
    for name, mm in zip(raw.ch_names, source_detector_mm(raw), strict=True):
        kind = ("short", "mixed", "long", "far")[int(np.searchsorted(limits, mm))]
        lengths[base_name(name)] = "nowhere" if np.isnan(mm) else kind
    return lengths


def regress_out(targets: Array, regressors: Array) -> tuple[Array, Array]:
    """Remove what regressors explain, by least squares on demeaned signals.

    Saager & Berger 2005, https://doi.org/10.1364/JOSAA.22.001874 (regression on short channels)

    Shapes: ``targets`` (n_targets, n_times), ``regressors`` (n_regressors, n_times), ``cleaned`` (n_targets, n_times),
    ``fitted`` (n_targets, n_times).

    Examples
    --------
    >>> scalp = np.array([[1.0, -1.0, 1.0, -1.0]])
    >>> regress_out(2 * scalp + 5, scalp)[0].tolist()
    [[5.0, 5.0, 5.0, 5.0]]
    """
    centred = regressors - regressors.mean(-1, keepdims=True)
    scale = centred.std(-1, keepdims=True)
    design = (centred / np.where(scale > 0, scale, 1)).T
    weights, *_ = np.linalg.lstsq(design, (targets - targets.mean(-1, keepdims=True)).T, rcond=1e-8)
    fitted = (design @ weights).T
    return targets - fitted, fitted


def scalp_part(data: Array, kinds: Sequence[str | float], short: NDArray[np.bool_]) -> Array:
    """Part of each long channel that the short channels of the same kind explain.

    Shapes: ``data`` (n_channels, n_times), ``short`` (n_channels,), returns (n_channels, n_times).
    """
    part = np.zeros_like(data)
    for kind in dict.fromkeys(kinds):
        same = np.array([other == kind for other in kinds])
        long = same & ~short
        if long.any() and (same & short).any():
            part[long] = regress_out(data[long], data[same & short])[1]
    return part


#: Band of the heart beat that both wavelengths must share, Hz (Pollonini et al. 2014,
#: https://doi.org/10.1016/j.heares.2013.11.007).
HEART_HZ = (0.7, 1.5)
#: A second in which the global derivative exceeds the median by this many robust SD holds motion (our choice;
#: the measure is that of Sherafati et al. 2020, https://doi.org/10.1002/hbm.25111).
MOTION_Z = 5.0
#: A channel that lacks a larger part of its values is left out (our choice).
MAX_MISSING = 0.05


_LEVELS = {
    "fnirs_cw_amplitude": "intensity",
    "fnirs_od": "optical density",
    "hbo": "haemoglobin",
    "hbr": "haemoglobin",
}


@dataclass(frozen=True)
class Light:
    """Usable channels of one person as optical density."""

    #: Optical density of what can be used
    raw: BaseRaw
    #: The same with the channels of too little scalp coupling, which are its bad ones
    judged: BaseRaw
    #: Base name to reason
    dropped: dict[str, str]
    #: Scalp coupling index by base name; empty where it cannot be computed
    sci: dict[str, float]
    #: Steps, for the history
    notes: tuple[str, ...]
    #: Spans in s that were bridged
    missing: Spans
    #: Share of the samples of all channels, bad ones included, at the channel's highest value or at rest
    saturation: float = float("nan")


def level_of(raw: BaseRaw, who: str) -> str:
    """Tell what the fNIRS channels hold: ``intensity``, ``optical density`` or ``haemoglobin``.

    Raises
    ------
    QualityError
        If there is no fNIRS channel, or the kinds are mixed.
    """
    levels = {_LEVELS[kind] for kind in raw.get_channel_types() if kind in _LEVELS}
    if len(levels) != 1:
        found = " and ".join(sorted(levels)) or "no fNIRS channel"
        raise QualityError(
            f"{who}: found {found}; one of intensity, optical density or haemoglobin is needed.\n"
            "Give both people's recordings as raw intensity where you can."
        )
    return levels.pop()


def read_light(raw: BaseRaw, min_sci: float, who: str) -> Light:
    """Read the optical density of the channels that can be used."""
    level = level_of(raw, who)
    picks = [name for name, kind in zip(raw.ch_names, raw.get_channel_types(), strict=True) if kind in _LEVELS]
    own = raw.copy().pick(picks).load_data(verbose="error")
    check_told(own, who)
    own, missing = bridge_missing(own)
    dropped = {base_name(name): "marked as bad in the recording" for name in own.info["bads"]}
    dropped |= _unpaired(own)
    dropped |= {base: why for base, why in _unusable(own, level).items() if base not in dropped}
    # the one highest sample of a channel is no rail
    at_top = [np.count_nonzero(row == np.nanmax(row, initial=-np.inf)) - 1 for row in own.get_data()]
    saturation = float(np.mean(np.maximum(at_top, 0))) / max(1, own.n_times - 1)
    own = _without(own, dropped, who)
    notes: tuple[str, ...] = ()
    if level == "intensity":
        own = mne.preprocessing.nirs.optical_density(own, verbose="error")
        notes = ("optical density from intensity (negative natural logarithm of the ratio to the mean)",)
    sci = scalp_coupling(own)
    weak = {
        base: f"scalp coupling index {value:.3f} < {min_sci:g}" for base, value in sci.items() if not value >= min_sci
    }
    if sci:
        notes += (f"channels with a scalp coupling index under {min_sci:g} left out, both wavelengths together",)
    else:
        notes += ("scalp coupling not judged: the sampling rate does not hold the heart beat",)
    own.info["bads"] = [name for name in own.ch_names if base_name(name) in weak]
    return Light(_without(own, weak, who), own, dropped | weak, sci, notes, missing, saturation)


def scalp_coupling(density: BaseRaw) -> dict[str, float]:
    """Compute the scalp coupling index by base name; empty where the rate does not hold the heart beat."""
    # the upper edge of MNE's filter, transition included, must lie below Nyquist
    if density.info["sfreq"] / 2 <= HEART_HZ[1] + 0.3:
        return {}
    values = mne.preprocessing.nirs.scalp_coupling_index(density, *HEART_HZ, verbose="error")
    return {base_name(name): float(value) for name, value in zip(density.ch_names, values, strict=True)}


def bridge_missing(raw: BaseRaw) -> tuple[BaseRaw, Spans]:
    """Bridge short gaps linearly, so that filters stay defined."""
    data, sfreq = raw.get_data(), float(raw.info["sfreq"])
    usable = clean_mask(raw)
    # what a gap was filled with is no measurement: zeros in it are no reason to drop the channel
    holes = ~np.isfinite(data) | (~usable & ~(data > 0)) if "fnirs_cw_amplitude" in raw else ~np.isfinite(data)
    rows = np.flatnonzero(holes.any(-1) & ((holes & usable).mean(-1) <= MAX_MISSING) & ~holes.all(-1))
    if not rows.size:
        return raw, []
    part = np.where(holes[rows], np.nan, data[rows])
    fill_missing(part, sfreq)
    data[rows] = part
    return mne.io.RawArray(data, raw.info, verbose="error"), mask_spans(holes[rows].any(0), sfreq)


def _unpaired(raw: BaseRaw) -> dict[str, str]:
    """Channels that lack a wavelength which most channels have, or have another one.

    Some devices state the measured wavelength of every laser, which differs a little from source to source.
    """
    waves: dict[str, list[float]] = {}
    for ch in raw.info["chs"]:
        waves.setdefault(base_name(ch["ch_name"]), []).append(float(ch["loc"][9]))
    pairs = {base: sorted(group) for base, group in waves.items()}
    sizes = Counter(len(group) for group in pairs.values() if len(group) > 1)
    if not sizes:
        return dict.fromkeys(waves, "only one wavelength")
    usual, _ = sizes.most_common(1)[0]
    expected = np.median([group for group in pairs.values() if len(group) == usual], axis=0)
    return {
        base: f"wavelengths {_listed(group)} nm, others have {_listed(expected)} nm"
        for base, group in pairs.items()
        if len(group) != usual or np.abs(np.subtract(group, expected)).max() > MAX_OFF_NM
    }


def _listed(waves: Iterable[float]) -> str:
    return ", ".join(f"{wave:.0f}" for wave in waves)


def _unusable(raw: BaseRaw, level: str) -> dict[str, str]:
    bad: dict[str, str] = {}
    for name, row in zip(raw.ch_names, raw.get_data(), strict=True):
        if not np.isfinite(row).all():
            reason = f"no value in {np.mean(~np.isfinite(row)):.1%} of the recording"
        elif level == "intensity" and (row <= 0).any():
            reason = f"intensity zero or negative in {np.mean(row <= 0):.1%} of the recording"
        elif np.ptp(row) == 0:
            reason = "flat"
        elif np.mean(row == row.max()) > 0.1:
            reason = f"saturated in {np.mean(row == row.max()):.0%} of the recording"
        else:
            continue
        bad.setdefault(base_name(name), reason)
    return bad


def _without(raw: BaseRaw, dropped: dict[str, str], who: str) -> BaseRaw:
    kept = [name for name in raw.ch_names if base_name(name) not in dropped]
    if not kept:
        # every channel has a coupling of its own; the reason is one
        alike = Counter(re.sub(r"index \S+ < ", "index under ", why) for why in dropped.values())
        reasons = "; ".join(f"{n} of {len(dropped)}: {why}" for why, n in alike.most_common(3))
        raise QualityError(
            f"{who}: no usable fNIRS channel is left ({reasons}).\n"
            "Check optode contact, lower fnirs_min_sci, or leave the session out (include = no)."
        )
    return raw if len(kept) == len(raw.ch_names) else raw.copy().pick(kept)


def motion_seconds(density: Array, sfreq: float) -> NDArray[np.bool_]:
    """Seconds in which the optical density of the whole cap jumps.

    Shapes: ``density`` (n_channels, n_times), returns (n_seconds,).
    """
    global_variation = np.sqrt((np.diff(density, axis=-1) ** 2).mean(0))
    n_second = max(1, round(sfreq))
    n = global_variation.size // n_second
    worst = global_variation[: n * n_second].reshape(n, n_second).max(-1)
    middle = np.median(worst)
    # the lower half of the distribution is free of motion
    spread = 1.4826 * np.median(middle - worst[worst <= middle]) if n else 0.0
    return np.asarray(worst > middle + MOTION_Z * spread)


def noise_floor(density: Array, sfreq: float) -> float:
    """Level of the instrument's noise: median over channels of the spectrum's top fifth.

    Shapes: ``density`` (n_channels, n_times).
    """
    # tapered, or drift would leak to the top
    taper = np.hanning(density.shape[-1])
    spectrum = np.abs(np.fft.rfft((density - density.mean(-1, keepdims=True)) * taper, axis=-1)) ** 2
    top = spectrum[:, int(0.8 * spectrum.shape[-1]) :]
    # the median of a chi-square of two degrees of freedom is log 2 of its mean
    level = 2 * np.median(top, axis=-1) / np.log(2) / (sfreq * (taper**2).sum())
    return float(np.median(np.sqrt(level)))
