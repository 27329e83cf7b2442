"""The fNIRS chain: from two recordings as read to haemoglobin of both people on one grid."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import mne
import numpy as np
import scipy
from mne.io import BaseRaw
from numpy.typing import ArrayLike, NDArray

from hyperscan.config import BY_AGE, StudyConfig
from hyperscan.errors import QualityError, count
from hyperscan.recording.annotations import Spans, marks, own_annotations
from hyperscan.recording.cleaning.channels import base_name
from hyperscan.recording.cleaning.eeg import CleanPerson
from hyperscan.recording.cleaning.events import SessionEvent, estimate_responses, regress_events
from hyperscan.recording.cleaning.light import (
    FILTER_ORDER,
    MAX_MM,
    NOMINAL_MM,
    bridge_missing,
    channel_lengths,
    level_of,
    motion_seconds,
    place_optodes,
    read_light,
    scalp_part,
    zero_phase,
)
from hyperscan.recording.records import FnirsDecisions, PairedRecording, TaskResponse

#: Oldest age that is believed, in years (our choice).
MAX_AGE = 120.0


def differential_pathlength(wavelength_nm: ArrayLike, age_years: float) -> NDArray[np.float64]:
    """Compute the differential pathlength factor of the frontal human head.

    Scholkmann & Wolf 2013, https://doi.org/10.1117/1.JBO.18.10.105004 (equation 7)

    Shapes: ``wavelength_nm`` (n_wavelengths,), returns (n_wavelengths,).

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
    """Read the age of one person in years from the column ``therapist_age`` or ``client_age``; NaN if it is not needed.

    Raises
    ------
    QualityError
        If the settings need an age that the table does not give: a session with another factor than the
        person's others would be converted differently.
    """
    if config.fnirs_ppf != BY_AGE:
        return float("nan")
    found = pair.session.covariates.get(f"{role}_age")
    if isinstance(found, int | float) and 0 <= found <= MAX_AGE:
        return float(found)
    raise QualityError(
        f"{pair.session.key}: fnirs_ppf = 'age' needs the {role}'s age in years (column {role}_age of dyads.tsv, "
        f"0 to {MAX_AGE:g}), found {found!r}.\nFill it in for every session, or set fnirs_ppf to a number."
    )


def pathlength_factors(raw: BaseRaw, config: StudyConfig, age_years: float) -> tuple[float, ...]:
    """Choose the factors of the Beer-Lambert law for one person: one, or by age one per wavelength."""
    if config.fnirs_ppf != BY_AGE:
        return (float(config.fnirs_ppf),)
    return tuple(differential_pathlength(_wavelengths(raw), age_years).tolist())


def _wavelengths(raw: BaseRaw) -> list[float]:
    return sorted({float(kind) for kind in _kinds(raw.ch_names)})


Array = NDArray[np.floating]


@dataclass(frozen=True)
class CleanOptodes(CleanPerson):
    """One person's haemoglobin after preparation, with the light that it was made of."""

    saturation: float
    #: Optical density before correction, channels of too little scalp coupling marked as bad; None for haemoglobin
    density: BaseRaw | None = field(default=None, compare=False, repr=False)
    #: shape (n_channels, n_grid): HbO in the analysis band, and what of it short channels leave; None without any
    scalp: tuple[Array, Array] | None = field(default=None, compare=False, repr=False)
    #: shape (n_seconds,): Seconds in which the cap moved, before correction; empty for haemoglobin input
    moving: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))
    #: shape (n_channels, n_grid): Haemoglobin as it is without the regression of short channels; None without it
    unregressed: Array | None = field(default=None, compare=False, repr=False)
    #: To the tasks that the settings name, and why a task has none
    responses: tuple[TaskResponse, ...] = ()
    unanswered: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Probe:
    """Usable channels, motion-corrected, and what was done to get there."""

    raw: BaseRaw
    dropped: dict[str, str]
    notes: tuple[str, ...]
    missing: Spans
    coupling_judged: bool = False
    saturation: float = np.nan
    #: Before correction
    density: BaseRaw | None = None


def clean_fnirs(
    raw: BaseRaw,
    config: StudyConfig,
    events: Mapping[str, Sequence[SessionEvent]],
    n_grid: int,
    who: str = "recording",
    *,
    tasks: Mapping[str, Sequence[SessionEvent]] = MappingProxyType({}),
    age_years: float = float("nan"),
) -> CleanOptodes:
    """Prepare the fNIRS of one person.

    Fishburn et al. 2019, https://doi.org/10.1016/j.neuroimage.2018.09.025 (TDDR); Delpy et al. 1988,
    https://doi.org/10.1088/0031-9155/33/12/008 (Beer-Lambert law); Yücel et al. 2021,
    https://doi.org/10.1117/1.NPh.8.1.012101 (order and reporting of steps).
    """
    raw, distances = place_optodes(raw, who)
    lengths = channel_lengths(raw, config.fnirs_short_mm)
    level = level_of(raw, who)
    probe = _from_haemoglobin(raw) if level == "haemoglobin" else _from_light(raw, config, who)
    probe, n_short = _split(probe, lengths, who)
    factors = () if level == "haemoglobin" else pathlength_factors(probe.raw, config, age_years)
    info, full, explained = _haemoglobin(probe.raw, lengths, factors, config, n_grid)
    signals = tuple(dict.fromkeys(_kinds(info["ch_names"])))
    responses, unanswered = _responses(probe.raw, lengths, factors, tasks, config, n_grid)
    main = np.array([kind == ("hbo" if "hbo" in signals else "hbr") for kind in _kinds(info["ch_names"])])
    (signal, *unregressed), without_events = _regressed(full, explained, events, config)
    decisions = FnirsDecisions(
        level=level,
        signals=signals,
        distances=distances,
        montage=tuple(base for base, length in lengths.items() if length in ("long", "nowhere")),
        bad=tuple(probe.dropped),
        coupling_judged=probe.coupling_judged,
        n_short=n_short,
        short_regressed=bool(n_short) and config.fnirs_short_regression,
        passband_hz=_passband(config, float(raw.info["sfreq"])),
        events=tuple(events) if without_events else (),
        pathlength=factors,
    )
    clean = mne.io.RawArray(signal, info, verbose="error")
    annotations = own_annotations(raw)
    keep = annotations.onset < signal.shape[-1] / config.fnirs_sfreq
    clean.set_annotations(annotations[keep] + marks(probe.missing, "BAD_missing"), verbose="error")
    return CleanOptodes(
        raw=clean,
        dropped=probe.dropped,
        n_total=len(decisions.montage),
        notes=(*_notes(raw, probe, decisions, events, config), *_task_notes(responses, unanswered)),
        decisions=decisions,
        saturation=probe.saturation,
        density=probe.density,
        scalp=_in_band(full[main], explained[main], config) if n_short else None,
        moving=moving_seconds(probe.density),
        unregressed=unregressed[0] if unregressed else None,
        responses=responses,
        unanswered=unanswered,
    )


def _regressed(
    full: Array, explained: Array, events: Mapping[str, Sequence[SessionEvent]], config: StudyConfig
) -> tuple[list[Array], bool]:
    """Regress short channels and events out of haemoglobin, then events alone; say whether events could be.

    Shapes: ``full, explained`` (n_channels, n_grid), returns the first, and the second where short channels are asked.
    """
    parts = [full - explained, full] if config.fnirs_short_regression else [full]
    if not (events and config.fnirs_regress_events):
        return parts, False
    found = [regress_events(part, events, config.fnirs_sfreq, config.fnirs_filter_hz) for part in parts]
    known = [part for part in found if part is not None]
    return (known, True) if len(known) == len(parts) else (parts, False)


def _kinds(names: Sequence[str]) -> list[str]:
    """Wavelength or chromophore of every channel."""
    return [name.rsplit(" ", 1)[-1] for name in names]


def _from_light(raw: BaseRaw, config: StudyConfig, who: str) -> _Probe:
    light = read_light(raw, config.fnirs_min_sci, who)
    corrected, notes = light.raw, light.notes
    if config.fnirs_tddr:
        corrected = mne.preprocessing.nirs.temporal_derivative_distribution_repair(light.raw, verbose="error")
        notes = (*notes, "motion corrected by temporal derivative distribution repair")
    return _Probe(
        raw=corrected,
        dropped=light.dropped,
        notes=notes,
        missing=light.missing,
        coupling_judged=bool(light.sci),
        saturation=light.saturation,
        density=light.judged,
    )


def moving_seconds(density: BaseRaw | None) -> NDArray[np.bool_]:
    """Find the seconds in which the cap moved, by its good channels; none where there is no light.

    Shapes: returns (n_seconds,).
    """
    if density is None:
        return np.zeros(0, bool)
    return motion_seconds(
        density.get_data(picks=mne.pick_types(density.info, fnirs=True)), float(density.info["sfreq"])
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
    kinds = set(_kinds(own.ch_names))
    if len(kinds) > 1:
        n_of = Counter(map(base_name, own.ch_names))
        dropped |= {base: "lacks its other haemoglobin" for base, n in n_of.items() if n == 1 and base not in dropped}
    kept = [name for name in own.ch_names if base_name(name) not in dropped]
    kinds = set(_kinds(kept))
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
    kinds = _kinds(kept)
    orders = {
        kind: tuple(base_name(name) for name, own in zip(kept, kinds, strict=True) if own == kind) for kind in kinds
    }
    if len(set(orders.values())) > 1:
        # rows of two wavelengths or haemoglobins are put together by their place
        places = {base: place for place, base in enumerate(dict.fromkeys(map(base_name, kept)))}
        kept.sort(key=lambda name: places[base_name(name)])
    raw = probe.raw if kept == probe.raw.ch_names else probe.raw.copy().pick(kept)
    return dataclasses.replace(probe, raw=raw, dropped=dropped), len(short)


def _haemoglobin(
    raw: BaseRaw, lengths: Mapping[str, str], factors: Sequence[float], config: StudyConfig, n_grid: int
) -> tuple[mne.Info, Array, Array]:
    """Haemoglobin of the long channels on the common grid, and the part that short channels explain.

    Shapes: returns two of (n_channels, n_grid).
    """
    short = np.array([lengths[base_name(name)] == "short" for name in raw.ch_names])
    long = [name for name in raw.ch_names if lengths[base_name(name)] == "long"]
    data, band = raw.get_data(), _passband(config, float(raw.info["sfreq"]))
    found = []
    for part in (data, scalp_part(data, _kinds(raw.ch_names), short)) if short.any() else (data,):
        own = mne.io.RawArray(part, raw.info, verbose="error").pick(long)
        blood = _blood(own, factors)
        found.append(_on_grid(blood, band, config, n_grid))
    info = blood.info.copy()
    with info._unlock():
        info["sfreq"] = config.fnirs_sfreq
        info["lowpass"] = min(config.fnirs_filter_hz[1], config.fnirs_sfreq / 2)
        info["highpass"] = config.fnirs_filter_hz[0]
        info["meas_date"] = None
    return info, found[0], found[1] if short.any() else np.zeros_like(found[0])


def _blood(raw: BaseRaw, factors: Sequence[float]) -> BaseRaw:
    """Haemoglobin of what may still be optical density."""
    if "fnirs_od" not in raw:
        return raw
    return mne.preprocessing.nirs.beer_lambert_law(raw, ppf=tuple(factors) if len(factors) > 1 else factors[0])


def _on_grid(raw: BaseRaw, band: tuple[float, float | None], config: StudyConfig, n_grid: int) -> Array:
    """Filter, and read off on the common grid; shape (n_channels, n_grid)."""
    blood, sfreq = raw.get_data(), float(raw.info["sfreq"])
    filtered = zero_phase(blood - blood.mean(-1, keepdims=True), sfreq, *band)
    return np.asarray(
        scipy.interpolate.CubicSpline(np.arange(blood.shape[-1]) / sfreq, filtered, axis=-1)(
            np.arange(n_grid) / config.fnirs_sfreq
        )
    )


def _responses(
    raw: BaseRaw,
    lengths: Mapping[str, str],
    factors: Sequence[float],
    tasks: Mapping[str, Sequence[SessionEvent]],
    config: StudyConfig,
    n_grid: int,
) -> tuple[tuple[TaskResponse, ...], Mapping[str, str]]:
    """Responses to tasks in the long channels, the short ones among the regressors, and why a task has none."""
    if not tasks:
        return (), {}
    blood, sfreq, low = _blood(raw, factors), float(raw.info["sfreq"]), config.fnirs_filter_hz[0]
    # as wide as the grid holds: noise is to be modelled, and a band that is empty has no model
    high = 0.45 * config.fnirs_sfreq
    data = _on_grid(blood, (low, high if high < 0.9 * sfreq / 2 else None), config, n_grid)
    short = np.array([lengths[base_name(name)] == "short" for name in blood.ch_names])
    kinds = np.array(_kinds(blood.ch_names))
    long = {kind: data[~short & (kinds == kind)] for kind in ("hbo", "hbr") if (~short & (kinds == kind)).any()}
    return estimate_responses(long, data[short & config.fnirs_short_regression], tasks, config.fnirs_sfreq, low)


def _task_notes(responses: Sequence[TaskResponse], unanswered: Mapping[str, str]) -> list[str]:
    """Say what was done about tasks, names in quotation marks."""
    shown = [f"'{one.task.replace(chr(39), '’')}' ({one.n_events})" for one in responses]
    how = "by a general linear model (canonical response, autoregressive prewhitening, robust weights)"
    return [f"responses to tasks estimated {how}: {', '.join(shown)}"] * bool(shown) + [
        f"no response to '{task.replace(chr(39), '’')}': {why}" for task, why in unanswered.items()
    ]


def _passband(config: StudyConfig, sfreq: float) -> tuple[float, float | None]:
    low, high = config.fnirs_filter_hz
    return low, high if high < 0.9 * sfreq / 2 else None


def _in_band(full: Array, explained: Array, config: StudyConfig) -> tuple[Array, Array]:
    """Filter HbO, and what short channels leave of it, to the analysis band.

    Shapes: all (n_channels, n_grid).
    """
    band = config.bands_of("fnirs").get(config.primary_of("fnirs").band, config.fnirs_filter_hz)
    sos = scipy.signal.butter(FILTER_ORDER, band, "bandpass", fs=config.fnirs_sfreq, output="sos")
    whole, left = (scipy.signal.sosfiltfilt(sos, x, axis=-1, padlen=0) for x in (full, full - explained))
    return whole, left


def _notes(
    raw: BaseRaw,
    probe: _Probe,
    decided: FnirsDecisions,
    events: Mapping[str, Sequence[SessionEvent]],
    config: StudyConfig,
) -> tuple[str, ...]:
    """Say every step for the history, in its order."""
    notes = []
    if decided.distances == "in mm":
        notes.append("optode positions were stored in mm and taken as such")
    elif decided.distances == "assumed":
        n = count(len(raw.ch_names), "channel")
        notes.append(f"{n} without optode positions: {NOMINAL_MM:g} mm assumed")
    notes += probe.notes
    if not decided.n_short:
        notes.append("no short channels: what the scalp adds is still in the signal")
    elif not decided.short_regressed:
        notes.append("short channels not regressed out (fnirs_short_regression = false)")
    else:
        n = count(decided.n_short, "short channel")
        notes.append(f"{n} of the same person regressed out per wavelength (least squares)")
    if decided.pathlength:
        factor = f"partial pathlength factor {decided.pathlength[0]:g}"
        if config.fnirs_ppf == BY_AGE:
            waves = zip(decided.pathlength, _wavelengths(probe.raw), strict=True)
            said = ", ".join(f"{factor:.2f} at {wave:g} nm" for factor, wave in waves)
            factor = f"differential pathlength factor by age (Scholkmann & Wolf 2013): {said}"
        notes.append(f"haemoglobin by the modified Beer-Lambert law, {factor}")
    low, high = decided.passband_hz
    edges, sfreq = f"{low:g}-{high:g} Hz" if high else f"above {low:g} Hz", raw.info["sfreq"]
    notes.append(f"band-pass {edges}, zero-phase Butterworth of order {FILTER_ORDER} run both ways")
    grid = f"read off on a common grid of {config.fnirs_sfreq:g} Hz by cubic splines (recorded at {sfreq:g} Hz)"
    notes += [grid, _event_note(decided, events, config)]
    if probe.dropped:
        notes.append("bad channels left out: " + ", ".join(f"{name} ({why})" for name, why in probe.dropped.items()))
    if probe.missing:
        notes.append(f"marked as bad: {sum(stop - start for start, stop in probe.missing):.1f} s without values")
    return tuple(notes)


def _event_note(decided: FnirsDecisions, events: Mapping[str, Sequence[SessionEvent]], config: StudyConfig) -> str:
    if not config.fnirs_regress_events:
        return "annotated events not regressed out (fnirs_regress_events = false)"
    if not events:
        return "no annotated events to regress out: structure particular to a dyad's session is not excluded"
    if not decided.events:
        return "annotated events not regressed out: too many kinds for the length of the recording"
    # in quotation marks, which a run's record empties: an annotation may hold what somebody typed
    shown = {label.replace("'", "’"): len(group) for label, group in events.items()}
    counts = ", ".join(f"'{label}' ({n})" for label, n in shown.items())
    return f"responses to annotated events regressed out (canonical and its time derivative): {counts}"
