"""How good a prepared recording is, in numbers that the verdict on growth uses, and in a plain grade.

A signal that gets better from session to session makes constant coupling look like growth; so every number
here is kept per person and session.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from mne.io import BaseRaw
from numpy.typing import NDArray

from hyperscan.config import StudyConfig
from hyperscan.errors import HyperscanError, count
from hyperscan.recording.cleaning.channels import roi_channels
from hyperscan.recording.cleaning.eeg import CleanPerson
from hyperscan.recording.cleaning.fnirs import CleanOptodes
from hyperscan.recording.records import PairedRecording, QualityReport
from hyperscan.recording.windows import clean_mask, whole_segments, window_grid
from hyperscan.schema import ROLES
from hyperscan.transforms.filters import band_response
from hyperscan.transforms.spectrum import (
    background_spans,
    band_power,
    power_share,
    signal_fraction,
    spectral_peak,
    welch_psd,
)

#: Limits of the grades (all ours): share of channels kept, share of time clean, fNIRS scalp coupling.
GRADES: Mapping[str, tuple[float, float, float]] = {"good": (0.85, 0.8, 0.85), "fair": (0.65, 0.5, 0.75)}
#: High frequencies and drift, in Hz, as shares of the EEG passband (our choice).
HIGH_HZ, DRIFT_HZ, WHOLE_HZ = (30.0, 40.0), (1.0, 2.0), (1.0, 40.0)
#: Mayer waves, and the slow range they are a share of, Hz (waves:
#: Yücel et al. 2016, https://doi.org/10.1364/BOE.7.003078; the range is our choice).
MAYER_HZ, SLOW_HZ = (0.07, 0.13), (0.02, 0.2)

Floats = NDArray[np.floating]


def signal_fractions(
    raw: BaseRaw, band: tuple[float, float], *, degree: int = 1, clean: NDArray[np.bool_] | None = None
) -> dict[str, float]:
    """Share of the power in a band that stands above the 1/f background, for every channel.

    Shapes: ``clean`` (n_times,).

    Examples
    --------
    >>> import mne
    >>> noise = np.cumsum(np.random.default_rng(0).standard_normal((1, 20000)), axis=1) * 1e-7
    >>> raw = mne.io.RawArray(noise, mne.create_info(["Oz"], 250.0, "eeg"), verbose="error")
    >>> signal_fractions(raw, (8.0, 12.0))["Oz"] < 0.3
    True
    """
    freqs, psd = _spectra(raw, clean)
    values = _fraction(freqs, psd, band, float(raw.info["sfreq"]), degree)
    return dict(zip(raw.ch_names, (float(value) for value in values), strict=True))


def _spectra(raw: BaseRaw, clean: NDArray[np.bool_] | None = None) -> tuple[Floats, Floats]:
    mask = clean_mask(raw) if clean is None else clean
    return welch_psd(raw.get_data(), float(raw.info["sfreq"]), 4.0, mask)


def _fraction(freqs: Floats, psd: Floats, band: tuple[float, float], sfreq: float, degree: int) -> Floats:
    if sfreq < 90:
        return np.full(len(psd), np.nan)
    return signal_fraction(freqs, psd, band_response(freqs, band, sfreq), degree, background_spans(band))


def judge(pair: PairedRecording, people: Mapping[str, CleanPerson], config: StudyConfig) -> QualityReport:
    """Measure both people of a prepared pair and grade them."""
    measure = _measure_eeg if pair.session.modality == "eeg" else _measure_fnirs
    clock = _clock(pair)
    counts = _windows(pair, config)
    values = {}
    for role in ROLES:
        person = people[role]
        raw = pair.raw(role)
        values[role] = {
            "channels_kept": len(roi_channels(raw)["all"]),
            "channels_total": person.n_total,
            "clean_seconds": _clean_seconds(pair, role),
            "n_windows": counts[role],
            **measure(raw, person, config),
            **clock,
        }
    if pair.session.modality == "fnirs":
        overlap = _overlap(people)
        for role in ROLES:
            values[role]["motion_overlap"] = overlap
    for role in ROLES:
        grade, reason = _grade(values[role], pair, config)
        values[role] |= {"grade": grade, "reason": reason}
    dropped = {role: dict(people[role].dropped) for role in ROLES}
    return QualityReport(values["therapist"], values["client"], dropped)


def _clock(pair: PairedRecording) -> dict[str, Any]:
    clock = pair.clock
    return {
        "clock_source": clock.source if clock else "",
        "clock_offset_s": clock.offset_s if clock else np.nan,
        "clock_ppm": clock.ppm if clock else np.nan,
        "clock_residual_ms": clock.residual_ms if clock else np.nan,
    }


def _windows(pair: PairedRecording, config: StudyConfig) -> dict[str, int]:
    try:
        grid = window_grid(pair, config.window_s)
    except HyperscanError:
        return dict.fromkeys(ROLES, 0)
    return {"therapist": int(grid.clean_therapist.sum()), "client": int(grid.clean_client.sum())}


def _clean_seconds(pair: PairedRecording, role: str) -> float:
    raw = pair.raw(role)
    sfreq = raw.info["sfreq"]
    return float((clean_mask(raw) & segment_mask(pair)).sum() / sfreq)


def segment_mask(pair: PairedRecording) -> NDArray[np.bool_]:
    """Mark samples that lie in a segment, shape (n_times,)."""
    sfreq = pair.therapist.info["sfreq"]
    mask = np.zeros(pair.therapist.n_times, bool)
    for segment in whole_segments(pair):
        mask[round(segment.onset_s * sfreq) : round((segment.onset_s + segment.duration_s) * sfreq)] = True
    return mask


def _measure_eeg(raw: BaseRaw, person: CleanPerson, config: StudyConfig) -> dict[str, Any]:
    sfreq = float(raw.info["sfreq"])
    freqs, psd = _spectra(raw)
    regions = roi_channels(raw, config)
    primary = config.primary_of("eeg")
    rows = [raw.ch_names.index(name) for name in regions.get(primary.rois[0], regions["all"])]
    values: dict[str, Any] = {}
    bands = config.bands_of("eeg")
    for name, band in bands.items():
        if band[1] >= sfreq / 2:
            continue
        peak = spectral_peak(freqs, psd[rows].mean(0), band)
        values[f"snr_{name}"] = _mean(_fraction(freqs, psd[rows], band, sfreq, 1))
        values[f"peak_hz_{name}"] = float(peak.frequency)
        values[f"peak_width_{name}"] = float(peak.width)
        values[f"peak_db_{name}"] = float(peak.height_db)
    for name, degree in (("s2_line", 1), ("s2_quad", 2)):
        values[name] = _mean(_fraction(freqs, psd[rows], bands[primary.band], sfreq, degree))
    values["highfreq"] = _mean(power_share(freqs, psd, HIGH_HZ, WHOLE_HZ)) if freqs[-1] >= 40 else np.nan
    values["motion"] = _mean(power_share(freqs, psd, DRIFT_HZ, WHOLE_HZ))
    values["amplitude"] = float(np.median(np.sqrt(band_power(freqs, psd, WHOLE_HZ))))
    return values | dict(person.facts)


def _mean(values: Floats) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if finite.size else np.nan


def _measure_fnirs(raw: BaseRaw, person: CleanPerson, config: StudyConfig) -> dict[str, Any]:
    kinds = raw.get_channel_types()
    kind = "hbo" if "hbo" in kinds else "hbr"
    data = raw.get_data(picks=[name for name, own in zip(raw.ch_names, kinds, strict=True) if own == kind])
    sfreq = float(raw.info["sfreq"])
    # 100 s resolve 0.01 Hz
    freqs, psd = welch_psd(data, sfreq, min(100.0, raw.n_times / sfreq), clean_mask(raw))
    band = config.bands_of("fnirs").get(config.primary_of("fnirs").band, config.fnirs_filter_hz)
    inside = (freqs >= band[0]) & (freqs <= band[1])
    return {
        "band_sd": _mean(np.sqrt(psd[:, inside].sum(-1) * (freqs[1] - freqs[0]))),
        "mayer_fraction": _mean(power_share(freqs, psd, MAYER_HZ, SLOW_HZ)),
        **person.facts,
    }


def _overlap(people: Mapping[str, CleanPerson]) -> float:
    """Share of the common seconds in which both people move."""
    moving = [person.moving for person in people.values() if isinstance(person, CleanOptodes)]
    n = min((each.size for each in moving), default=0)
    return float((moving[0][:n] & moving[1][:n]).mean()) if n and len(moving) == 2 else np.nan


def _grade(values: Mapping[str, Any], pair: PairedRecording, config: StudyConfig) -> tuple[str, str]:
    floor = below_floor(values, pair.session.modality, config)
    if floor:
        return "reject", floor
    kept = values["channels_kept"] / max(1, values["channels_total"])
    clean = values["clean_seconds"] / max(1e-9, sum(segment.duration_s for segment in whole_segments(pair)))
    sci = values.get("sci", np.nan)
    facts = f"{values['channels_kept']} of {values['channels_total']} channels, {clean:.0%} of the time clean"
    facts += f", scalp coupling {sci:.2f}" if np.isfinite(sci) else ""
    lost = values.get("lost", 0.0)
    facts += f", {lost:.0%} without values or at a rail" if lost >= 0.005 else ""
    for grade, (channels, time, coupling) in GRADES.items():
        if kept >= channels and clean >= time and not sci < coupling:
            return grade, facts
    return "poor", facts


def below_floor(values: Mapping[str, Any], modality: str, config: StudyConfig) -> str:
    """Why a person's recording is too short to be used; empty if it is not."""
    if modality == "eeg" and values["n_windows"] < config.min_windows:
        found = f"{count(values['n_windows'], 'clean window')} of {config.window_s:g} s"
        found += f" ({values['clean_seconds']:.0f} s clean)" if "clean_seconds" in values else ""
        return f"{found}, fewer than min_windows = {config.min_windows}"
    if modality == "fnirs" and values["clean_seconds"] < config.min_seconds:
        return f"{values['clean_seconds']:.0f} s usable, fewer than min_seconds = {config.min_seconds:g}"
    return ""
