"""Preparation of a pair: clean both people, judge them, say what was done."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping

import numpy as np
from mne.io import BaseRaw

from hyperscan.config import StudyConfig
from hyperscan.errors import ClockError, DataQualityWarning, InputError, QualityError
from hyperscan.recording.cleaning.eeg import CleanPerson, clean_eeg
from hyperscan.recording.cleaning.events import session_events
from hyperscan.recording.cleaning.fnirs import age_of, clean_fnirs
from hyperscan.recording.cleaning.light import level_of
from hyperscan.recording.cleaning.quality import below_floor, judge
from hyperscan.recording.files.pairs import check_two_people
from hyperscan.recording.records import PairedRecording, Segment
from hyperscan.recording.windows import whole_segments, window_grid
from hyperscan.schema import ROLES

#: Amplitudes (median over channels, V) that scalp EEG can have, and the ratio of two people's beyond which
#: one of them is in another unit (our choice).
PLAUSIBLE_V, MAX_RATIO = (5e-7, 1e-3), 100.0

#: Windows of fewer cycles of the primary band get a warning: chance phase locking is then above 0.2 (our choice).
FEW_CYCLES = 20.0


def preprocess_pair(
    pair: PairedRecording, config: StudyConfig | None = None, *, enforce: bool = True
) -> PairedRecording:
    """Clean both recordings of an aligned pair and judge their quality.

    Parameters
    ----------
    pair : PairedRecording
        From :func:`hyperscan.align_pair`; neither it nor its raws are changed.
    config : StudyConfig or None
        Settings; None = the defaults.
    enforce : bool
        Refuse a session under the floor; False = return it with the grade ``reject``.

    Returns
    -------
    PairedRecording
        EEG: kept scalp channels in V. fNIRS: haemoglobin in M. Both raws have one sampling rate and length;
        what may not be used is annotated as ``BAD_``; ``quality`` is filled and ``history`` extended.

    Raises
    ------
    QualityError
        If too little is left, with the number that failed, or if both people have the same samples.
    ClockError
        If the clocks of two fNIRS recordings differ by more than a sample of the common grid.
    InputError
        If the pair has not been aligned.

    Examples
    --------
    >>> import mne
    >>> from pathlib import Path
    >>> from hyperscan.recording import ClockReport
    >>> from hyperscan.study import Session
    >>> here = Path("study")
    >>> row = Session("D1", "T1", "C1", 1, "eeg", here / "t.edf", here / "c.edf", here)
    >>> rng = np.random.default_rng(0)
    >>> info = mne.create_info(["Fz", "Pz", "O1", "O2"], 125.0, "eeg")
    >>> raws = [mne.io.RawArray(1e-5 * rng.normal(size=(4, 9000)), info, verbose="error") for _ in range(2)]
    >>> clock = ClockReport("same_amplifier")
    >>> pair = preprocess_pair(PairedRecording(*raws, row, clock=clock))
    >>> pair.quality.client.grade, pair.quality.client.n_windows
    ('good', 3)
    """
    config = config or StudyConfig()
    _check_aligned(pair)
    check_two_people(pair)
    _check_online_filters(pair, config)
    _compare_online_filters(pair)
    clean = _prepare_eeg if pair.session.modality == "eeg" else _prepare_fnirs
    people = clean(pair, config)
    prepared = pair.replace(
        therapist=people["therapist"].raw,
        client=people["client"].raw,
        segments=_clipped(pair, people["therapist"].raw),
        history=(*pair.history, *_online_note(pair), *_history(people)),
    )
    prepared = prepared.replace(quality=judge(prepared, people, config))
    if enforce:
        _enforce(prepared, config)
    return prepared


def _check_aligned(pair: PairedRecording) -> None:
    lengths = [raw.n_times / raw.info["sfreq"] for raw in (pair.therapist, pair.client)]
    # half a second and more cannot be the last sample of either
    if abs(lengths[0] - lengths[1]) > 0.5:
        raise InputError(
            f"{pair.session.key}: therapist lasts {lengths[0]:.2f} s, client {lengths[1]:.2f} s; "
            "preparation needs one clock. Call align_pair first."
        )
    if pair.clock is None:
        raise InputError(
            f"{pair.session.key}: nothing says that its two recordings share a clock. Call align_pair first; "
            "it decides by the row's clock."
        )


def _check_online_filters(pair: PairedRecording, config: StudyConfig) -> None:
    """Refuse recordings whose amplifier or export already cut into the primary band."""
    modality = pair.session.modality
    name = config.primary_of(modality).band
    low, high = config.bands_of(modality).get(name, config.passband(modality))
    for role in ROLES:
        kept = pair.raw(role).info["highpass"] or 0.0, pair.raw(role).info["lowpass"] or np.inf
        # a low edge above the high one is a header that says nothing
        if kept[0] < kept[1] and (kept[0] > low or kept[1] < high):
            raise QualityError(
                f"{pair.session.key}, {role}: recorded or exported with {kept[0]:g}-{kept[1]:g} Hz, which "
                f"cuts into {name} ({low:g}-{high:g} Hz).\n"
                "Export it unfiltered, or name another primary band."
            )


def _compare_online_filters(pair: PairedRecording) -> None:
    """Warn where two amplifiers say that they filtered differently.

    An upper edge at half the rate is what files say of none, and a file that states no filter proves nothing.
    """
    stated = []
    for role in ROLES:
        info = pair.raw(role).info
        low, high = info["highpass"] or 0.0, info["lowpass"] or np.inf
        stated.append((low, high if high < 0.95 * info["sfreq"] / 2 else np.inf) if low < high else (0.0, np.inf))
    if not np.allclose(stated[0], stated[1]) and (0.0, np.inf) not in stated and pair.session.modality == "eeg":
        _warn(f"{pair.session.key}: {_online_note(pair)[0]}; check that both were exported alike.")


def _online_note(pair: PairedRecording) -> list[str]:
    edges = [[float(raw.info[key] or 0) for key in ("highpass", "lowpass")] for raw in (pair.therapist, pair.client)]
    # numbers in headers are rounded
    if np.allclose(edges[0], edges[1]):
        return []
    said = " and ".join(f"{low:g}-{high:g} Hz ({role})" for (low, high), role in zip(edges, ROLES, strict=True))
    return [f"recorded with different online filters: {said}"]


def _prepare_eeg(pair: PairedRecording, config: StudyConfig) -> Mapping[str, CleanPerson]:
    _check_cycles(pair, config)
    _warn_of_short_windows(pair, config)
    people = {role: clean_eeg(pair.raw(role), config, f"{pair.session.key}, {role}") for role in ROLES}
    rates = {person.raw.info["sfreq"] for person in people.values()}
    if len(rates) > 1:
        raise InputError(f"{pair.session.key}: sampling rates {sorted(rates)} Hz differ. Call align_pair first.")
    n_times = min(person.raw.n_times for person in people.values())
    for person in people.values():
        if person.raw.n_times > n_times:
            person.raw.crop(tmax=(n_times - 1) / person.raw.info["sfreq"])
    _check_units(pair, people)
    return people


def _check_cycles(pair: PairedRecording, config: StudyConfig) -> None:
    """Windows must hold three cycles of every band (phase from fewer is not defined; our choice)."""
    for name, (low, _) in config.bands_of("eeg").items():
        if config.window_s * low < 3:
            raise QualityError(
                f"{pair.session.key}: window_s = {config.window_s:g} s holds "
                f"{config.window_s * low:.1f} cycles of {name} ({low:g} Hz); at least 3 are needed.\n"
                f"Set window_s to {3 / low:.2g} or more, or leave {name} out of bands."
            )


def _warn_of_short_windows(pair: PairedRecording, config: StudyConfig) -> None:
    name = config.primary_of("eeg").band
    low, _ = config.bands_of("eeg").get(name, config.passband("eeg"))
    if config.window_s * low < FEW_CYCLES:
        _warn(
            f"{pair.session.key}: short windows (window_s = {config.window_s:g} s, {config.window_s * low:g} cycles of "
            f"{name}) inflate synchrony by chance and cost power. Use longer ones if the segments allow it."
        )


def _check_units(pair: PairedRecording, people: Mapping[str, CleanPerson]) -> None:
    level = {role: float(np.median(person.raw.get_data().std(-1))) for role, person in people.items()}
    ratio = max(level.values()) / max(min(level.values()), 1e-300)
    if ratio > MAX_RATIO:
        raise QualityError(
            f"{pair.session.key}: median amplitudes of therapist {level['therapist']:.2g} V and client "
            f"{level['client']:.2g} V differ {ratio:.0f}-fold; one file is in another unit.\n"
            "Export both with the unit stated."
        )
    for role, value in level.items():
        if not PLAUSIBLE_V[0] <= value <= PLAUSIBLE_V[1]:
            _warn(f"{pair.session.key}, {role}: amplitude {value:.2g} V is no EEG's; check the file's unit.")


def _warn(message: str) -> None:
    warnings.warn(message, DataQualityWarning, stacklevel=4)


def _prepare_fnirs(pair: PairedRecording, config: StudyConfig) -> Mapping[str, CleanPerson]:
    who = {role: f"{pair.session.key}, {role}" for role in ROLES}
    levels = {role: level_of(pair.raw(role), who[role]) for role in ROLES}
    if len(set(levels.values())) > 1:
        raise QualityError(
            f"{pair.session.key}: the therapist's file holds {levels['therapist']}, the client's "
            f"{levels['client']}.\n"
            "Give both as raw intensity."
        )
    _check_clock(pair, config)
    seconds = min(raw.n_times / raw.info["sfreq"] for raw in (pair.therapist, pair.client))
    n_grid = int(np.floor(seconds * config.fnirs_sfreq + 1e-6))
    if n_grid / config.fnirs_sfreq < 3 / config.fnirs_filter_hz[1]:
        raise QualityError(f"{pair.session.key}: {seconds:.1f} s in common are too few. Check clock and files.")
    ignore = [mark for mark in (pair.session.segment_event, pair.session.sync_event) if mark]
    events = session_events([pair.therapist, pair.client], ignore) if config.fnirs_regress_events else {}
    ages = {role: age_of(pair, role, config) for role in ROLES}
    people = {
        role: clean_fnirs(pair.raw(role), config, events, n_grid, who[role], age_years=ages[role]) for role in ROLES
    }
    unshort = [role for role in ROLES if not np.isfinite(people[role].short_r2)]
    if unshort:
        _warn(
            f"{pair.session.key}: no short channels in {' and '.join(unshort)}; waves of the scalp "
            "stay in the signal, and growth can at most be called unchecked. Check the probe if it has some."
        )
    return people


def _check_clock(pair: PairedRecording, config: StudyConfig) -> None:
    residual = pair.clock.residual_ms if pair.clock else np.nan
    if residual > 1000 / config.fnirs_sfreq:
        raise ClockError(
            f"{pair.session.key}: the clocks differ by {residual:.0f} ms after alignment; one sample of "
            f"the common grid is {1000 / config.fnirs_sfreq:.0f} ms.\n"
            "Check the triggers, or leave the session out (include = no)."
        )


def _clipped(pair: PairedRecording, raw: BaseRaw) -> tuple[Segment, ...]:
    """Segments inside the prepared recording, which may end a sample earlier."""
    end = raw.n_times / raw.info["sfreq"]
    return tuple(
        dataclasses.replace(segment, duration_s=min(segment.duration_s, end - segment.onset_s))
        for segment in whole_segments(pair)
        if segment.onset_s < end
    )


def _history(people: Mapping[str, CleanPerson]) -> list[str]:
    """Join the notes of both people: what both have in common once, the rest by role."""
    therapist, client = (people[role].notes for role in ROLES)
    lines = [note if note in client else f"therapist: {note}" for note in therapist]
    return lines + [f"client: {note}" for note in client if note not in therapist]


def _enforce(pair: PairedRecording, config: StudyConfig) -> None:
    assert pair.quality is not None
    if pair.session.modality == "eeg":
        grid = window_grid(pair, config.window_s)
        if grid.clean.sum() >= config.min_windows:
            return
        who, why = "both people together", below_floor(int(grid.clean.sum()), np.nan, "eeg", config)
    for role in ROLES:
        found = pair.quality.of(role)
        reason = below_floor(found.n_windows, found.clean_seconds, pair.session.modality, config)
        if reason:
            who, why = role, reason
            break
    else:
        if pair.session.modality == "fnirs":
            return
    remedy = "Lower window_s or min_windows" if pair.session.modality == "eeg" else "Lower min_seconds"
    raise QualityError(
        f"{pair.session.key}: {why} ({who}).\n"
        f"{remedy}, look at what is marked as BAD, or leave the session out (include = no)."
    )
