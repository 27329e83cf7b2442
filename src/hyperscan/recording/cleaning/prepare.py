"""Preparation of a pair: clean both people, judge them, say what was done."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping
from functools import partial

import numpy as np

from hyperscan.config import CLEANING, Primary, StudyConfig
from hyperscan.errors import ClockError, DataQualityWarning, InputError, QualityError
from hyperscan.recall import remembered
from hyperscan.recording.annotations import give_up_samples, samples_of
from hyperscan.recording.cleaning.eeg import CleanPerson, clean_eeg
from hyperscan.recording.cleaning.events import session_events, task_events
from hyperscan.recording.cleaning.fnirs import CleanOptodes, age_of, clean_fnirs
from hyperscan.recording.cleaning.light import level_of
from hyperscan.recording.cleaning.quality import below_floor, judge
from hyperscan.recording.cleaning.shared import without_shared
from hyperscan.recording.files.pairs import check_two_people
from hyperscan.recording.records import PairedRecording, QualityReport
from hyperscan.recording.windows import compared_stretches, longest_mark_s, whole_segments, window_grid
from hyperscan.schema import ROLES, SPEAKS, SPOKEN

#: Amplitudes (median over channels, V) that scalp EEG can have, and the ratio of two people's beyond which
#: one of them is in another unit (our choice).
PLAUSIBLE_V, MAX_RATIO = (5e-7, 1e-3), 100.0

#: Windows must hold so many cycles of every band: phase from fewer is not defined (our choice).
FEWEST_CYCLES = 3.0

#: Windows of fewer cycles of the primary band get a warning: chance phase locking is then above 0.2 (our choice).
FEW_CYCLES = 20.0

#: Share of an fNIRS recording that is left out without a warning (our choice).
MUCH_LEFT = 0.05


def preprocess_pair(
    pair: PairedRecording, config: StudyConfig | None = None, *, enforce: bool = True, keep: bool = True
) -> PairedRecording:
    """Clean both recordings of an aligned pair and judge their quality.

    Parameters
    ----------
    pair : PairedRecording
        From :func:`hyperscan.align_pair`; neither it nor its raws are changed, unless ``keep`` is false.
    config : StudyConfig or None
        Settings; None = the defaults.
    enforce : bool
        Refuse a session under the floor; False = return it with the grade ``reject``.
    keep : bool
        Leave ``pair`` as it is; False = give up the samples of each EEG recording once it is cleaned, which saves as
        much memory as one of them takes.

    Returns
    -------
    PairedRecording
        EEG: kept scalp channels in V. fNIRS: haemoglobin in M. Both raws have one sampling rate and n_times;
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
    people = _prepare_eeg(pair, config, keep=keep) if pair.session.modality == "eeg" else _prepare_fnirs(pair, config)
    therapist, client = (people[role] for role in ROLES)
    # what both have in common is said once
    lines = [note if note in client.notes else f"therapist: {note}" for note in therapist.notes]
    lines += [f"client: {note}" for note in client.notes if note not in therapist.notes]
    # the prepared recording may end a sample earlier
    end = therapist.raw.n_times / therapist.raw.info["sfreq"]
    prepared = pair.replace(
        therapist=therapist.raw,
        client=client.raw,
        segments=tuple(
            dataclasses.replace(segment, duration_s=min(segment.duration_s, end - segment.onset_s))
            for segment in whole_segments(pair)
            if segment.onset_s < end
        ),
        history=(*pair.history, *_online_note(pair), *lines),
        responses={role: person.responses for role, person in people.items() if isinstance(person, CleanOptodes)},
        unregressed=_unregressed(people),
    )
    report = judge(prepared, people, config)
    prepared = prepared.replace(quality=report)
    if enforce:
        _enforce(prepared, report, config)
    return without_shared(_told_stretch(prepared, config), config)


def _told_stretch(pair: PairedRecording, config: StudyConfig) -> PairedRecording:
    """Say what of an fNIRS recording is not compared, as it is compared in one stretch."""
    kept = compared_stretches(pair, config)
    seconds = sum(part.duration_s for part in whole_segments(pair))
    left = seconds - sum(part.duration_s for part in kept)
    if not kept or left <= 1.0:
        return pair
    (stretch,) = kept
    note = (
        f"fNIRS is compared in one stretch: the longest that has no mark of {longest_mark_s(config):g} s or more is "
        f"{stretch.duration_s:.0f} s from {stretch.onset_s:.0f} s on, and {left:.0f} s beside it are left out"
    )
    if left > MUCH_LEFT * seconds:
        _warn(f"{pair.session.key}: {note}. Check what is marked as BAD, and segment_event.")
    return pair.replace(history=(*pair.history, note))


def _check_aligned(pair: PairedRecording) -> None:
    if not pair.samples:
        raise InputError(f"{pair.session.key}: headers alone were read. Read the samples with load_session.")
    therapist_s, client_s = (raw.n_times / raw.info["sfreq"] for raw in (pair.therapist, pair.client))
    # half a second and more cannot be the last sample of either
    if abs(therapist_s - client_s) > 0.5:
        raise InputError(
            f"{pair.session.key}: therapist lasts {therapist_s:.2f} s, client {client_s:.2f} s; "
            "preparation needs one clock. Call align_pair first."
        )
    if pair.clock is None:
        raise InputError(
            f"{pair.session.key}: nothing says that its two recordings share a clock. Call align_pair first; "
            "it decides by the row's clock."
        )


def _check_online_filters(pair: PairedRecording, config: StudyConfig) -> None:
    """Refuse recordings whose amplifier or export already cut into the primary band; warn where two differ."""
    modality = pair.session.modality
    name = config.primary_of(modality).band
    stated = []
    for role in ROLES:
        low, high = config.bands_of(modality, role).get(name, config.passband(modality))
        info = pair.raw(role).info
        first, last = info["highpass"] or 0.0, info["lowpass"] or np.inf
        # a low edge above the high one is a header that says nothing
        if first < last and (first > low or last < high):
            raise QualityError(
                f"{pair.session.key}, {role}: recorded or exported with {first:g}-{last:g} Hz, which "
                f"cuts into {name} ({low:g}-{high:g} Hz).\n"
                "Export it unfiltered, or name another primary band."
            )
        # an upper edge at half the rate is what files say of none, and a file that states no filter proves nothing
        upper = last if last < 0.95 * info["sfreq"] / 2 else np.inf
        stated.append((first, upper) if first < last else (0.0, np.inf))
    if modality == "eeg" and not np.allclose(stated[0], stated[1]) and (0.0, np.inf) not in stated:
        _warn(f"{pair.session.key}: {_online_note(pair)[0]}; check that both were exported alike.")


def _online_note(pair: PairedRecording) -> list[str]:
    edges = {role: [float(pair.raw(role).info[key] or 0) for key in ("highpass", "lowpass")] for role in ROLES}
    # numbers in headers are rounded
    if np.allclose(edges["therapist"], edges["client"]):
        return []
    said = " and ".join(f"{low:g}-{high:g} Hz ({role})" for role, (low, high) in edges.items())
    return [f"recorded with different online filters: {said}"]


def _prepare_eeg(pair: PairedRecording, config: StudyConfig, *, keep: bool) -> Mapping[str, CleanPerson]:
    key = pair.session.key
    bands = {name: min(config.bands_of("eeg", role)[name] for role in ROLES) for name in config.bands_of("eeg")}
    for name, (low, _) in bands.items():
        if config.window_s * low < FEWEST_CYCLES:
            raise QualityError(
                f"{key}: window_s = {config.window_s:g} s holds "
                f"{config.window_s * low:.1f} cycles of {name} ({low:g} Hz); at least {FEWEST_CYCLES:g} are needed.\n"
                f"Set window_s to {FEWEST_CYCLES / low:.2g} or more, or leave {name} out of bands."
            )
    name = config.primary_of("eeg").band
    low, _ = bands.get(name, config.passband("eeg"))
    if config.window_s * low < FEW_CYCLES:
        _warn(
            f"{key}: short windows (window_s = {config.window_s:g} s, {config.window_s * low:g} cycles of "
            f"{name}) inflate synchrony by chance and cost power. Use longer ones if the segments allow it."
        )
    cleaning = config.entering(CLEANING)
    people = {}
    for role in ROLES:
        clean = partial(clean_eeg, pair.raw(role), cleaning, f"{key}, {role}")
        people[role] = remembered(("clean", key, role), (pair.raw(role), cleaning), clean)
        if not keep:
            give_up_samples(pair.raw(role))
    rates = {person.raw.info["sfreq"] for person in people.values()}
    if len(rates) > 1:
        raise InputError(f"{key}: sampling rates {sorted(rates)} Hz differ. Call align_pair first.")
    n_times = min(person.raw.n_times for person in people.values())
    for person in people.values():
        if person.raw.n_times > n_times:
            person.raw.crop(tmax=(n_times - 1) / person.raw.info["sfreq"])
    _check_units(pair, {role: float(np.median(samples_of(person.raw).std(-1))) for role, person in people.items()})
    return people


def _check_units(pair: PairedRecording, level_v: Mapping[str, float]) -> None:
    """Refuse two people whose amplitudes no unit can share, and warn of one that is no EEG's."""
    ratio = max(level_v.values()) / max(min(level_v.values()), 1e-300)
    if ratio > MAX_RATIO:
        raise QualityError(
            f"{pair.session.key}: median amplitudes of therapist {level_v['therapist']:.2g} V and client "
            f"{level_v['client']:.2g} V differ {ratio:.0f}-fold; one file is in another unit.\n"
            "Export both with the unit stated."
        )
    for role, value in level_v.items():
        if not PLAUSIBLE_V[0] <= value <= PLAUSIBLE_V[1]:
            _warn(f"{pair.session.key}, {role}: amplitude {value:.2g} V is no EEG's; check the file's unit.")


def _warn(message: str) -> None:
    warnings.warn(message, DataQualityWarning, stacklevel=4)


def _prepare_fnirs(pair: PairedRecording, config: StudyConfig) -> Mapping[str, CleanPerson]:
    key = pair.session.key
    who = {role: f"{key}, {role}" for role in ROLES}
    levels = {role: level_of(pair.raw(role), who[role]) for role in ROLES}
    if len(set(levels.values())) > 1:
        raise QualityError(
            f"{key}: the therapist's file holds {levels['therapist']}, the client's "
            f"{levels['client']}.\n"
            "Give both as raw intensity."
        )
    residual = pair.clock.residual_ms if pair.clock else np.nan
    if residual > 1000 / config.fnirs_sfreq:
        raise ClockError(
            f"{key}: the clocks differ by {residual:.0f} ms after alignment; one sample of "
            f"the common grid is {1000 / config.fnirs_sfreq:.0f} ms.\n"
            "Check the triggers, or leave the session out (include = no)."
        )
    seconds = min(raw.n_times / raw.info["sfreq"] for raw in (pair.therapist, pair.client))
    n_grid = int(np.floor(seconds * config.fnirs_sfreq + 1e-6))
    if n_grid / config.fnirs_sfreq < 3 / config.fnirs_filter_hz[1]:
        raise QualityError(f"{key}: {seconds:.1f} s in common are too few. Check clock and files.")
    ignore = [mark for mark in (pair.session.segment_event, pair.session.sync_event) if mark]
    # time in which somebody speaks is looked at, not taken out
    ignore += SPOKEN.values() if any(mark.startswith(SPEAKS) for mark in ignore) else ()
    events = session_events([pair.therapist, pair.client], ignore) if config.fnirs_regress_events else {}
    tasks = task_events([pair.therapist, pair.client], config.fnirs_tasks)
    ages = {role: age_of(pair, role, config) for role in ROLES}
    cleaning = _fnirs_cleaning(config)
    people = {
        role: remembered(
            ("clean", key, role, cleaning.fnirs_short_regression),
            (pair.raw(role), cleaning),
            partial(
                clean_fnirs, pair.raw(role), cleaning, events, n_grid, who[role], tasks=tasks, age_years=ages[role]
            ),
        )
        for role in ROLES
    }
    for task, why in {task: why for role in ROLES for task, why in people[role].unanswered.items()}.items():
        said = "no annotation is called so" if not tasks[task] else why
        _warn(f"{key}: fnirs_tasks: {task!r} has no response here: {said}. Check the annotations, or leave it out.")
    unshort = [role for role in ROLES if people[role].scalp is None]
    if unshort:
        _warn(
            f"{key}: no short channels in {' and '.join(unshort)}; waves of the scalp "
            "stay in the signal, and growth can at most be called unchecked. Check the probe if it has some."
        )
    return people


def _unregressed(people: Mapping[str, CleanPerson]) -> dict[str, np.ndarray]:
    """Gather haemoglobin before short channels were regressed out of it, where one of the two has some."""
    optodes = {role: person for role, person in people.items() if isinstance(person, CleanOptodes)}
    if all(person.scalp is None for person in optodes.values()):
        return {}
    return {role: person.unregressed for role, person in optodes.items() if person.unregressed is not None}


def _fnirs_cleaning(config: StudyConfig) -> StudyConfig:
    """Keep what cleaning reads: the primary band is that in which short channels explain a share."""
    name = config.primary_of("fnirs").band
    bands = {band: edges for band, edges in config.bands_of("fnirs").items() if band == name}
    primary = Primary("", name, "all-all") if bands else None
    return dataclasses.replace(config.entering(CLEANING), bands=bands, primary=primary)


def _enforce(pair: PairedRecording, report: QualityReport, config: StudyConfig) -> None:
    """Refuse a session under the floor, for the person or, if neither alone, for both together."""
    modality, why = pair.session.modality, ""
    for who in ROLES:
        found = report.of(who)
        why = why or below_floor(found.n_windows, found.clean_seconds, modality, config)
        if why:
            break
    if modality == "fnirs" and not why:
        who = "the longest stretch that both people have"
        why = below_floor(0, sum(part.duration_s for part in compared_stretches(pair, config)), modality, config)
    if modality == "eeg":
        n_both = int(window_grid(pair, config.window_s).clean.sum())
        if n_both >= config.min_windows:
            return
        if not why:
            who, why = "both people together", below_floor(n_both, np.nan, "eeg", config)
    if not why:
        return
    remedy = "Lower window_s or min_windows" if modality == "eeg" else "Lower min_seconds"
    raise QualityError(
        f"{pair.session.key}: {why} ({who}).\n"
        f"{remedy}, look at what is marked as BAD, or leave the session out (include = no)."
    )
