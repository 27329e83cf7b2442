"""The fNIRS chain: from two recordings as read to haemoglobin of both people on one grid."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import mne
import numpy as np
from mne.io import BaseRaw
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import CubicSpline
from scipy.signal import butter, sosfiltfilt

from hyperscan.config import BY_AGE, StudyConfig
from hyperscan.errors import DataQualityWarning, QualityError, count
from hyperscan.recording.annotations import own_annotations
from hyperscan.recording.cleaning.channels import base_name
from hyperscan.recording.cleaning.eeg import CleanPerson
from hyperscan.recording.cleaning.events import Events, event_regressors
from hyperscan.recording.cleaning.light import (
    MIXED_UP_TO,
    bridge_missing,
    level_of,
    motion_seconds,
    noise_floor,
    read_light,
    regress_out,
    scalp_part,
    source_detector_mm,
)
from hyperscan.recording.records import PairedRecording
from hyperscan.recording.windows import Spans

#: Oldest age that is believed, in years (our choice).
MAX_AGE = 120.0


def differential_pathlength(wavelength_nm: ArrayLike, age_years: float) -> NDArray[np.float64]:
    """Differential pathlength factor of the frontal human head.

    Scholkmann & Wolf 2013, https://doi.org/10.1117/1.JBO.18.10.105004 (equation 7)

    Examples
    --------
    >>> differential_pathlength([760, 850], 30).round(2).tolist()
    [6.3, 5.23]
    """
    wave = np.asarray(wavelength_nm, float)
    return np.asarray(
        223.3 + 0.05624 * age_years**0.8493 - 5.723e-7 * wave**3 + 0.001245 * wave**2 - 0.9025 * wave, dtype=np.float64
    )


def age_of(pair: PairedRecording, role: str, config: StudyConfig) -> float:
    """Age of one person in years, from the column ``therapist_age`` or ``client_age``; NaN if it is not needed.

    Raises
    ------
    QualityError
        If the settings need an age that the table does not give: a session with another factor than the
        person's others would be converted differently.
    """
    if config.fnirs_ppf != BY_AGE:
        return float("nan")
    found: Any = pair.session.covariates.get(f"{role}_age")
    if isinstance(found, int | float) and 0 <= found <= MAX_AGE:
        return float(found)
    raise QualityError(
        f"{pair.session.key}: fnirs_ppf = 'age' needs the {role}'s age in years (column {role}_age of dyads.tsv, "
        f"0 to {MAX_AGE:g}), found {found!r}.\nFill it in for every session, or set fnirs_ppf to a number."
    )


def pathlength_factors(raw: BaseRaw, config: StudyConfig, age_years: float) -> tuple[float | tuple[float, ...], str]:
    """Choose the factors of the Beer-Lambert law for one person."""
    if config.fnirs_ppf != BY_AGE:
        return float(config.fnirs_ppf), f"partial pathlength factor {float(config.fnirs_ppf):g}"
    waves = sorted({float(name.rsplit(" ", 1)[-1]) for name in raw.ch_names})
    factors = tuple(differential_pathlength(waves, age_years).tolist())
    said = ", ".join(f"{factor:.2f} at {wave:g} nm" for factor, wave in zip(factors, waves, strict=True))
    return factors, f"differential pathlength factor by age (Scholkmann & Wolf 2013): {said}"


#: Distance assumed where a file holds no optode positions, in mm (our choice; the usual adult probe).
NOMINAL_MM = 30.0
#: A channel longer than this, in mm, is a mistake in the file or blind (our choice).
MAX_MM = 100.0
#: Order of the Butterworth filters, run forward and backward (our choice).
ORDER = 3

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class CleanOptodes(CleanPerson):
    """One person's haemoglobin after preparation, with what only the light tells (NaN for haemoglobin input)."""

    #: Scalp coupling index, mean over channels
    sci: float
    instrument_noise: float
    saturation: float
    #: Share of the seconds that hold motion, before correction
    motion: float
    #: Share of HbO in the analysis band that short channels explain; NaN without any
    short_r2: float
    #: shape (n_seconds,): Seconds in which the cap moved, before correction; empty for haemoglobin input
    moving: NDArray[np.bool_]


@dataclass(frozen=True)
class _Probe:
    """Usable channels, motion-corrected, and what was done to get there."""

    raw: BaseRaw
    dropped: dict[str, str]
    notes: tuple[str, ...]
    missing: Spans
    sci: float = np.nan
    instrument_noise: float = np.nan
    saturation: float = np.nan
    moving: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))


def clean_fnirs(
    raw: BaseRaw,
    config: StudyConfig,
    events: Events,
    n_grid: int,
    who: str = "recording",
    *,
    age_years: float = float("nan"),
) -> CleanOptodes:
    """Prepare the fNIRS of one person.

    Fishburn et al. 2019, https://doi.org/10.1016/j.neuroimage.2018.09.025 (TDDR); Delpy et al. 1988,
    https://doi.org/10.1088/0031-9155/33/12/008 (Beer-Lambert law); Yücel et al. 2021,
    https://doi.org/10.1117/1.NPh.8.1.012101 (order and reporting of steps).
    """
    raw, place_notes = _with_places(raw, who)
    lengths = _lengths(raw, config)
    is_light = level_of(raw, who) != "haemoglobin"
    probe = _from_light(raw, config, who) if is_light else _from_haemoglobin(raw)
    probe, n_short = _split(probe, lengths, who)
    scalp = scalp_part(probe.raw.get_data(), _kinds(probe.raw), _are(probe.raw, lengths, "short"))
    long = [name for name in probe.raw.ch_names if lengths[base_name(name)] == "long"]
    ppf, ppf_note = pathlength_factors(probe.raw, config, age_years) if is_light else (1.0, "")
    whole, part = (_haemoglobin(probe.raw, data, long, ppf) for data in (probe.raw.get_data(), scalp))
    full, filter_notes = _on_grid(whole, config, n_grid)
    explained = _on_grid(part, config, n_grid)[0] if n_short else np.zeros_like(full)
    kinds = _kinds(whole)
    main = np.array([kind == ("hbo" if "hbo" in kinds else "hbr") for kind in kinds])
    short_r2 = _share(full[main], explained[main], config) if n_short else np.nan
    signal = full - explained if config.fnirs_short_regression else full
    clean = _pack(raw, whole, signal, config)
    event_notes = _without_events(clean, events, config)
    for start, stop in probe.missing:
        clean.annotations.append(start, stop - start, "BAD_missing")
    light_notes = (f"haemoglobin by the modified Beer-Lambert law, {ppf_note}",)
    notes = (
        *place_notes,
        *probe.notes,
        *_short_notes(n_short, config),
        *(light_notes if is_light else ()),
        *filter_notes,
        *event_notes,
        *_loss_notes(probe),
    )
    n_total = sum(kind in ("long", "nowhere") for kind in lengths.values())
    return CleanOptodes(
        clean,
        probe.dropped,
        n_total,
        notes,
        sci=probe.sci,
        instrument_noise=probe.instrument_noise,
        saturation=probe.saturation,
        motion=float(probe.moving.mean()) if is_light else np.nan,
        short_r2=short_r2,
        moving=probe.moving,
    )


def _with_places(raw: BaseRaw, who: str) -> tuple[BaseRaw, tuple[str, ...]]:
    """Distances in m, assumed where the whole file has none."""
    distance = source_detector_mm(raw)
    stored = np.array([np.linalg.norm(ch["loc"][6:9] - ch["loc"][3:6]) for ch in raw.info["chs"]])
    in_mm = np.nanmedian(stored) > 1 if np.isfinite(stored).any() else False
    missing = np.isnan(distance)
    notes: tuple[str, ...] = ()
    if in_mm or missing.all():
        raw = raw.copy()
        for ch in raw.info["chs"]:
            ch["loc"][:9] /= 1000 if in_mm else 1
            if missing.all():
                ch["loc"][3:9] = [0, 0, 0, NOMINAL_MM / 1000, 0, 0]
    if in_mm:
        notes += ("optode positions were stored in mm and taken as such",)
    if missing.all():
        _warn(
            f"{who}: {count(missing.sum(), 'channel has', 'channels have')} no optode positions; "
            f"{NOMINAL_MM:g} mm are assumed, and short channels cannot be told. Export the probe's positions."
        )
        notes += (f"{count(missing.sum(), 'channel')} without optode positions: {NOMINAL_MM:g} mm assumed",)
    elif missing.any():
        # among optodes with places, one without may be short, so nothing can be assumed of it
        _warn(
            f"{who}: {count(missing.sum(), 'channel')} without a source-detector distance left out. Correct the probe."
        )
    return raw, notes


def _warn(message: str) -> None:
    warnings.warn(message, DataQualityWarning, stacklevel=4)


def _lengths(raw: BaseRaw, config: StudyConfig) -> dict[str, str]:
    """Map base names to ``short``, ``mixed``, ``long``, ``far`` or ``nowhere``."""
    lengths = {}
    for name, mm in zip(raw.ch_names, source_detector_mm(raw), strict=True):
        # distances are rounded in files: 10.0 mm is short
        limits = (config.fnirs_short_mm + 0.5, MIXED_UP_TO * config.fnirs_short_mm, MAX_MM)
        kind = ("short", "mixed", "long", "far")[int(np.searchsorted(limits, mm))]
        lengths[base_name(name)] = "nowhere" if np.isnan(mm) else kind
    return lengths


def _are(raw: BaseRaw, lengths: Mapping[str, str], kind: str) -> NDArray[np.bool_]:
    return np.array([lengths[base_name(name)] == kind for name in raw.ch_names])


def _kinds(raw: BaseRaw) -> list[str]:
    """Wavelength or chromophore of every channel."""
    return [name.rsplit(" ", 1)[-1] for name in raw.ch_names]


def _from_light(raw: BaseRaw, config: StudyConfig, who: str) -> _Probe:
    light = read_light(raw, config.fnirs_min_sci, who)
    density, sfreq = light.raw.get_data(), float(raw.info["sfreq"])
    moving = motion_seconds(density, sfreq)
    corrected, notes = light.raw, light.notes
    if config.fnirs_tddr:
        corrected = mne.preprocessing.nirs.temporal_derivative_distribution_repair(light.raw, verbose="error")
        notes = (*notes, "motion corrected by temporal derivative distribution repair")
    sci = float(np.mean(list(light.sci.values()))) if light.sci else np.nan
    return _Probe(
        corrected, light.dropped, notes, light.missing, sci, noise_floor(density, sfreq), light.saturation, moving
    )


def _from_haemoglobin(raw: BaseRaw) -> _Probe:
    picks = [name for name, kind in zip(raw.ch_names, raw.get_channel_types(), strict=True) if kind in ("hbo", "hbr")]
    own, missing = bridge_missing(raw.copy().pick(picks).load_data(verbose="error"))
    dropped = {base_name(name): "marked as bad in the recording" for name in own.info["bads"]}
    dropped |= {
        base_name(name): "flat or without values"
        for name, row in zip(own.ch_names, own.get_data(), strict=True)
        if not np.isfinite(row).all() or np.ptp(row) == 0
    }
    kept = [name for name in own.ch_names if base_name(name) not in dropped]
    kinds = {name.rsplit(" ", 1)[-1] for name in kept}
    notes = ["haemoglobin as recorded: optical density, scalp coupling, motion correction and Beer-Lambert skipped"]
    if kinds and "hbr" not in kinds:
        notes.append("the recording holds HbO only; HbR and HbT are not computed")
    return _Probe(own.pick(kept) if kept else own, dropped, tuple(notes), missing)


def _split(probe: _Probe, lengths: Mapping[str, str], who: str) -> tuple[_Probe, int]:
    """Probe without what is neither long nor short, and the number of good short channels."""
    odd = {
        "mixed": "source-detector distance between short and long",
        "far": f"source-detector distance over {MAX_MM:g} mm",
        "nowhere": "no source-detector distance",
    }
    left = {base_name(name) for name in probe.raw.ch_names} - set(probe.dropped)
    dropped = {**probe.dropped, **{base: odd[lengths[base]] for base in sorted(left) if lengths[base] in odd}}
    kept = [name for name in probe.raw.ch_names if base_name(name) not in dropped]
    n_long = sum(lengths[base_name(name)] == "long" for name in kept)
    if not n_long:
        reasons = "; ".join(f"{base}: {why}" for base, why in list(dropped.items())[:3])
        raise QualityError(
            f"{who}: no usable long channel is left ({reasons}).\n"
            "Check optode contact, lower fnirs_min_sci, or leave the session out (include = no)."
        )
    short = {base_name(name) for name in kept if lengths[base_name(name)] == "short"}
    raw = probe.raw if len(kept) == len(probe.raw.ch_names) else probe.raw.copy().pick(kept)
    return dataclasses.replace(probe, raw=raw, dropped=dropped), len(short)


def _haemoglobin(raw: BaseRaw, data: Floats, long: Sequence[str], ppf: float | tuple[float, ...]) -> BaseRaw:
    own = mne.io.RawArray(data, raw.info, verbose="error").pick(list(long))
    if "fnirs_od" not in own:
        return own
    return mne.preprocessing.nirs.beer_lambert_law(own, ppf=ppf)


def _on_grid(raw: BaseRaw, config: StudyConfig, n_grid: int) -> tuple[Floats, tuple[str, ...]]:
    """Band-pass, then read off at the times of the common grid, shape (n_channels, n_grid)."""
    sfreq = float(raw.info["sfreq"])
    low, high = config.fnirs_filter_hz
    data = raw.get_data()
    data = data - data.mean(-1, keepdims=True)
    limited = high < 0.9 * sfreq / 2
    sos = butter(ORDER, (low, high) if limited else low, "bandpass" if limited else "highpass", fs=sfreq, output="sos")
    # the high-pass rings for about the reciprocal of its edge
    pad = min(data.shape[-1] - 1, round(sfreq / low))
    filtered = sosfiltfilt(sos, data, axis=-1, padlen=pad)
    times = np.arange(n_grid) / config.fnirs_sfreq
    upper = f"{low:g}-{high:g} Hz" if limited else f"above {low:g} Hz"
    notes = (
        f"band-pass {upper}, zero-phase Butterworth of order {ORDER} run both ways",
        f"read off on a common grid of {config.fnirs_sfreq:g} Hz by cubic splines (recorded at {sfreq:g} Hz)",
    )
    return CubicSpline(np.arange(data.shape[-1]) / sfreq, filtered, axis=-1)(times), notes


def _share(full: Floats, explained: Floats, config: StudyConfig) -> float:
    """Share of the power of HbO in the analysis band that the short channels explain, mean over channels."""
    band = config.bands_of("fnirs").get(config.primary_of("fnirs").band, config.fnirs_filter_hz)
    sos = butter(ORDER, band, "bandpass", fs=config.fnirs_sfreq, output="sos")
    left, whole = (sosfiltfilt(sos, x, axis=-1, padlen=0).var(-1) for x in (full - explained, full))
    return float(np.mean(1 - left / np.where(whole > 0, whole, 1)))


def _pack(raw: BaseRaw, template: BaseRaw, signal: Floats, config: StudyConfig) -> BaseRaw:
    info = template.info.copy()
    with info._unlock():
        info["sfreq"] = config.fnirs_sfreq
        info["lowpass"] = min(config.fnirs_filter_hz[1], config.fnirs_sfreq / 2)
        info["highpass"] = config.fnirs_filter_hz[0]
        info["meas_date"] = None
    clean = mne.io.RawArray(signal, info, verbose="error")
    annotations = own_annotations(raw)
    keep = annotations.onset < signal.shape[-1] / config.fnirs_sfreq
    return clean.set_annotations(annotations[keep], verbose="error")


def _without_events(raw: BaseRaw, events: Events, config: StudyConfig) -> tuple[str, ...]:
    """Regress session events out, in place."""
    if not config.fnirs_regress_events:
        return ("annotated events not regressed out (fnirs_regress_events = false)",)
    if not events:
        return ("no annotated events to regress out: structure particular to a dyad's session is not excluded",)
    design = event_regressors(events, raw.n_times, config.fnirs_sfreq)
    if not len(design) or len(design) > raw.n_times // 10:
        return ("annotated events not regressed out: too many kinds for the length of the recording",)
    low, high = config.fnirs_filter_hz
    high = min(high, 0.45 * config.fnirs_sfreq)
    sos = butter(ORDER, (low, high), "bandpass", fs=config.fnirs_sfreq, output="sos")
    pad = min(raw.n_times - 1, round(config.fnirs_sfreq / low))
    # filtered like the data, or slow differences would come back
    design = sosfiltfilt(sos, design, axis=-1, padlen=pad)
    raw._data[:] = regress_out(raw.get_data(), design)[0]
    # in quotation marks, which a run's record empties: an annotation may hold what somebody typed
    shown = {label.replace("'", "’"): len(group) for label, group in events.items()}
    counts = ", ".join(f"'{label}' ({n})" for label, n in shown.items())
    return (f"responses to annotated events regressed out (canonical and its time derivative): {counts}",)


def _loss_notes(probe: _Probe) -> tuple[str, ...]:
    """Say which channels and how many seconds this person lost."""
    notes = []
    if probe.dropped:
        notes.append("bad channels left out: " + ", ".join(f"{name} ({why})" for name, why in probe.dropped.items()))
    if probe.missing:
        seconds = sum(stop - start for start, stop in probe.missing)
        notes.append(f"marked as bad: {seconds:.1f} s without values")
    return tuple(notes)


def _short_notes(n_short: int, config: StudyConfig) -> tuple[str, ...]:
    if not n_short:
        return ("no short channels: what the scalp adds is still in the signal",)
    if not config.fnirs_short_regression:
        return ("short channels not regressed out (fnirs_short_regression = false)",)
    return (f"{count(n_short, 'short channel')} of the same person regressed out per wavelength (least squares)",)
