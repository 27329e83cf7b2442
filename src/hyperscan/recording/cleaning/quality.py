"""How good a prepared recording is, in numbers that the verdict on growth uses, and in a plain grade.

A signal that gets better from session to session makes constant coupling look like growth; so every number
here is kept per person and session.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import mne
import numpy as np
from mne.io import BaseRaw
from numpy.typing import NDArray

from hyperscan.config import StudyConfig
from hyperscan.errors import HyperscanError, count
from hyperscan.recording.annotations import samples_of
from hyperscan.recording.cleaning.channels import roi_channels
from hyperscan.recording.cleaning.eeg import CleanCap, CleanPerson
from hyperscan.recording.cleaning.fnirs import CleanOptodes
from hyperscan.recording.cleaning.light import noise_floor, scalp_coupling
from hyperscan.recording.records import (
    BandQuality,
    ClockReport,
    PairedRecording,
    PersonQuality,
    QualityReport,
    Segment,
)
from hyperscan.recording.windows import clean_mask, compared_stretches, whole_segments, window_grid
from hyperscan.schema import ROLES
from hyperscan.transforms.filters import band_response
from hyperscan.transforms.spectrum import (
    FITTED_SFREQ,
    SHORTEST_SEGMENT,
    background_spans,
    band_power,
    holds_background,
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

Array = NDArray[np.floating]


def signal_fractions(
    raw: BaseRaw,
    band: tuple[float, float],
    *,
    degrees: Sequence[int] = (1, 2),
    clean: NDArray[np.bool_] | None = None,
) -> Array:
    """Measure the share of the power in a band above the 1/f background, by a line (1) and by a curve (2).

    Shapes: ``clean`` (n_times,), returns (n_degrees, n_channels).

    Examples
    --------
    >>> import mne
    >>> noise = np.cumsum(np.random.default_rng(0).standard_normal((1, 20000)), axis=1) * 1e-7
    >>> raw = mne.io.RawArray(noise, mne.create_info(["Oz"], 250.0, "eeg"), verbose="error")
    >>> signal_fractions(raw, (8.0, 12.0)) < 0.3
    array([[ True],
           [ True]])
    """
    freqs, psd = _spectra(raw, clean)
    return np.stack([_fraction(freqs, psd, band, float(raw.info["sfreq"]), degree) for degree in degrees])


def _spectra(raw: BaseRaw, clean: NDArray[np.bool_] | None = None) -> tuple[Array, Array]:
    mask = clean_mask(raw) if clean is None else clean
    return welch_psd(samples_of(raw), float(raw.info["sfreq"]), 4.0, mask)


def _fraction(freqs: Array, psd: Array, band: tuple[float, float], sfreq: float, degree: int) -> Array:
    if sfreq < FITTED_SFREQ:
        return np.full(len(psd), np.nan)
    return signal_fraction(freqs, psd, band_response(freqs, band, sfreq), degree, background_spans(band))


def judge(pair: PairedRecording, people: Mapping[str, CleanPerson], config: StudyConfig) -> QualityReport:
    """Measure both people of a prepared pair and grade them."""
    clock = pair.clock or ClockReport("", np.nan, np.nan, np.nan)
    segments = whole_segments(pair)
    try:
        grid = window_grid(pair, config.window_s)
        n_windows = {"therapist": int(grid.clean_therapist.sum()), "client": int(grid.clean_client.sum())}
    except HyperscanError:
        n_windows = dict.fromkeys(ROLES, 0)
    moving = [person.moving for person in people.values() if isinstance(person, CleanOptodes)]
    # all figures are of what is compared; where nothing is, of everything
    compared = compared_stretches(pair, config) or segments
    judged = {}
    for role, person in people.items():
        raw = pair.raw(role)
        sfreq = raw.info["sfreq"]
        inside = mask_of(segments, raw.n_times, sfreq)
        found = PersonQuality(
            channels_kept=len(roi_channels(raw)["all"]),
            channels_total=person.n_total,
            clean_seconds=float((clean_mask(raw) & inside).sum() / sfreq),
            n_windows=n_windows[role],
            clock_source=clock.source,
            clock_offset_s=clock.offset_s,
            clock_ppm=clock.ppm,
            clock_residual_ms=clock.residual_ms,
            clock_uncertainty_ms=clock.known_to(config.clock_uncertainty_ms),
        )
        if isinstance(person, CleanCap):
            found = _with_rhythms(found, raw, person, config, role, clean_mask(raw) & inside)
        elif isinstance(person, CleanOptodes):
            found = _with_haemoglobin(found, raw, person, moving, config, compared)
        grade, reason = _grade(found, pair.session.modality, sum(segment.duration_s for segment in segments), config)
        judged[role] = dataclasses.replace(found, grade=grade, reason=reason)
    dropped = {role: dict(person.dropped) for role, person in people.items()}
    decisions = {role: person.decisions for role, person in people.items()}
    return QualityReport(judged["therapist"], judged["client"], dropped, decisions)


def mask_of(segments: Sequence[Segment], n_times: int, sfreq: float) -> NDArray[np.bool_]:
    """Mark the samples within segments.

    Shapes: returns (n_times,).
    """
    inside = np.zeros(n_times, bool)
    for segment in segments:
        inside[round(segment.onset_s * sfreq) : round((segment.onset_s + segment.duration_s) * sfreq)] = True
    return inside


def _with_rhythms(
    found: PersonQuality, raw: BaseRaw, person: CleanCap, config: StudyConfig, role: str, clean: NDArray[np.bool_]
) -> PersonQuality:
    sfreq = float(raw.info["sfreq"])
    freqs, psd = _spectra(raw, clean)
    regions = roi_channels(raw, config)
    primary, bands = config.primary_of("eeg"), config.bands_of("eeg", role)
    inside = psd[[raw.ch_names.index(name) for name in regions.get(getattr(primary.rois, role), regions["all"])]]
    if not holds_background(config.passband("eeg"), sfreq):  # then nothing tells a rhythm from its background
        inside = np.full_like(inside, np.nan)
    rhythms = {}
    for name, band in bands.items():
        if band[1] < sfreq / 2:
            peak = spectral_peak(freqs, inside.mean(0), band)
            share = _mean(_fraction(freqs, inside, band, sfreq, 1))
            rhythms[name] = BandQuality(share, float(peak.frequency), float(peak.width), float(peak.height_db))
    return dataclasses.replace(
        found,
        bands=rhythms,
        s2_line=_mean(_fraction(freqs, inside, bands[primary.band], sfreq, 1)),
        s2_quad=_mean(_fraction(freqs, inside, bands[primary.band], sfreq, 2)),
        highfreq=_mean(power_share(freqs, psd, HIGH_HZ, WHOLE_HZ)) if freqs[-1] >= 40 else np.nan,
        motion=_mean(power_share(freqs, psd, DRIFT_HZ, WHOLE_HZ)),
        amplitude=float(np.median(np.sqrt(band_power(freqs, psd, WHOLE_HZ)))),
        line_noise_db=person.line_noise_db,
        lost=person.lost,
        saturation=person.saturation,
    )


def _mean(values: Array) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if finite.size else np.nan


def _with_haemoglobin(
    found: PersonQuality,
    raw: BaseRaw,
    person: CleanOptodes,
    moving: Sequence[NDArray[np.bool_]],
    config: StudyConfig,
    compared: Sequence[Segment],
) -> PersonQuality:
    kinds = raw.get_channel_types()
    kind = "hbo" if "hbo" in kinds else "hbr"
    data = raw.get_data(picks=[name for name, own in zip(raw.ch_names, kinds, strict=True) if own == kind])
    sfreq = float(raw.info["sfreq"])
    inside = mask_of(compared, raw.n_times, sfreq)
    if inside.sum() < SHORTEST_SEGMENT:  # too little to measure anything of, or to be used
        compared, inside = (Segment(0.0, raw.n_times / sfreq),), np.ones(raw.n_times, bool)
    # 100 s resolve 0.01 Hz
    freqs, psd = welch_psd(data, sfreq, min(100.0, inside.sum() / sfreq), clean_mask(raw) & inside)
    band = config.bands_of("fnirs").get(config.primary_of("fnirs").band, config.fnirs_filter_hz)
    in_band = (freqs >= band[0]) & (freqs <= band[1])
    # of the seconds that both people have, empty where one was given as haemoglobin
    n_seconds = min(each.size for each in moving)
    both = np.all([each[:n_seconds] for each in moving], axis=0)[mask_of(compared, n_seconds, 1.0)]
    own = person.moving[mask_of(compared, person.moving.size, 1.0)]
    noise, coupling = light_quality(person.density, compared)
    return dataclasses.replace(
        found,
        motion=float(own.mean()) if own.size else np.nan,
        short_r2=np.nan if person.scalp is None else _explained_share(*person.scalp, inside),
        band_sd=_mean(np.sqrt(psd[:, in_band].sum(-1) * (freqs[1] - freqs[0]))),
        mayer_fraction=_mean(power_share(freqs, psd, MAYER_HZ, SLOW_HZ)),
        motion_overlap=float(both.mean()) if both.size else np.nan,
        instrument_noise=noise,
        sci=coupling,
        saturation=person.saturation,
    )


def light_quality(density: BaseRaw | None, compared: Sequence[Segment]) -> tuple[float, float]:
    """Measure noise of the good channels and scalp coupling of all in what is compared; NaN where there is no light."""
    if density is None:
        return np.nan, np.nan
    sfreq = float(density.info["sfreq"])
    first, *_, last = np.flatnonzero(mask_of(compared, density.n_times, sfreq))
    light = mne.io.RawArray(density.get_data(start=first, stop=last + 1), density.info, verbose="error")
    noise = noise_floor(light.get_data(picks=mne.pick_types(light.info, fnirs=True)), sfreq)
    return noise, _mean(np.array(list(scalp_coupling(light).values())))


def _explained_share(whole: Array, left: Array, inside: NDArray[np.bool_]) -> float:
    """Share of the power of HbO in the analysis band that the short channels explain, mean over channels.

    Shapes: ``whole, left`` (n_channels, n_grid), ``inside`` (n_grid,).
    """
    power, rest = (x[:, inside[: x.shape[-1]]].var(-1) for x in (whole, left))
    return float(np.mean(1 - rest / np.where(power > 0, power, 1)))


def _grade(found: PersonQuality, modality: str, seconds: float, config: StudyConfig) -> tuple[str, str]:
    floor = below_floor(found.n_windows, found.clean_seconds, modality, config)
    if floor:
        return "reject", floor
    kept = found.channels_kept / max(1, found.channels_total)
    clean = found.clean_seconds / max(1e-9, seconds)
    sci = np.nan if found.sci is None else found.sci
    lost = found.lost or 0.0
    facts = f"{found.channels_kept} of {found.channels_total} channels, {clean:.0%} of the time clean"
    facts += f", scalp coupling {sci:.2f}" if np.isfinite(sci) else ""
    facts += f", {lost:.0%} without values or at a rail" if lost >= 0.005 else ""
    for grade, (channels, time, coupling) in GRADES.items():
        if kept >= channels and clean >= time and not sci < coupling:
            return grade, facts
    return "poor", facts


def below_floor(n_windows: int, clean_seconds: float, modality: str, config: StudyConfig) -> str:
    """Say why a recording is too short to be used; empty if it is not. NaN seconds are not told."""
    if modality == "eeg" and n_windows < config.min_windows:
        found = f"{count(n_windows, 'clean window')} of {config.window_s:g} s"
        found += f" ({clean_seconds:.0f} s clean)" if np.isfinite(clean_seconds) else ""
        return f"{found}, fewer than min_windows = {config.min_windows}"
    if modality == "fnirs" and clean_seconds < config.min_seconds:
        return f"{clean_seconds:.0f} s usable, fewer than min_seconds = {config.min_seconds:g}"
    return ""
