"""Two recordings on one clock: the therapist's."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import numpy as np
from mne.io import BaseRaw

from hyperscan.errors import ClockError, did_you_mean
from hyperscan.recording.annotations import fresh_raw
from hyperscan.recording.clocks.clock_sources import Clocks, clock_of_epochs, find_clocks
from hyperscan.recording.files.pairs import one_file
from hyperscan.recording.pauses import mark_unplaced, paused_at
from hyperscan.recording.records import PairedRecording, Segment, SharedSignal
from hyperscan.recording.resampling import (
    SAME_RATE,
    moved_annotations,
    on_common,
    on_grid,
    sample_times,
    unread_on_grid,
)
from hyperscan.recording.start_times import hour_hint
from hyperscan.recording.timeline import Piece, is_near
from hyperscan.recording.windows import shifted
from hyperscan.schema import CLOCKS, ROLES


def align_pair(pair: PairedRecording) -> PairedRecording:
    """Put two recordings on the therapist's clock and crop them to the time that both cover.

    EEG: the client is resampled to the therapist's samples by a windowed sinc, anti-aliased to the lower rate where
    rates differ. fNIRS: recordings keep their own rate, because motion correction needs it; the drift goes into the
    client's sampling rate, and the first samples lie within half a sample of each other. Time that one of them
    did not record is bridged by a straight line and annotated ``BAD_gap``; it is never interpolated as if measured.

    Parameters
    ----------
    pair : PairedRecording
        From :func:`load_session`.

    Returns
    -------
    PairedRecording
        Both raws start at 0 s; EEG raws have one rate and n_times; ``clock`` says how it was done, ``segments`` are on
        the new axis.

    Raises
    ------
    ClockError
        If the clock is ``none``, triggers cannot be matched, drift exceeds 200 ppm, or nothing overlaps.

    Warns
    -----
    DataQualityWarning
        If nothing aligns the two (``assumed``), or too few triggers fix the drift.

    Notes
    -----
    A drift of 12 ppm uncorrected over 50 min leaves 80.0 % of a phase-locked value at 10 Hz and 34.1 % at 20 Hz.

    Examples
    --------
    >>> import mne, numpy as np
    >>> from pathlib import Path
    >>> from hyperscan.study.session import Session
    >>> raw = mne.io.RawArray(np.zeros((1, 1000)), mne.create_info(["Pz"], 100.0, "eeg"), verbose=False)
    >>> here = Path(".").resolve()
    >>> session = Session("D1", "T1", "C1", 1, "eeg", here, here, here, client_offset_s=2.0, clock="offset")
    >>> int(align_pair(PairedRecording(raw, raw, session)).client.n_times)
    800
    """
    if pair.session.clock is not None and pair.session.clock not in CLOCKS:
        raise ClockError(
            f"clock {pair.session.clock!r} is not known; allowed: {', '.join(CLOCKS)}. Correct it."
            f"{did_you_mean(pair.session.clock, CLOCKS)}"
        )
    if pair.epoched and pair.session.clock != "none":
        report = clock_of_epochs(pair)
        return pair.replace(clock=report, history=(*pair.history, report.describe()))
    clocks = find_clocks(pair)
    pair = pair.replace(segments=_told_segments(pair, clocks), segments_of="therapist")
    start, stop = _common_time(pair, clocks)
    raws = _place(pair, clocks, start, stop)
    length = min(raw.n_times / raw.info["sfreq"] for raw in raws.values())
    segments = shifted(pair.segments or (Segment(start, length, pair.session.task),), start, length)
    if not segments:
        raise ClockError(
            f"{_client(pair)}: the parts to analyse lie outside the {length:.0f} s that both people "
            "recorded. "
            "Correct start_s, stop_s or segment_event in dyads.tsv."
        )
    raws, unplaced = _mark_pauses(pair, clocks, raws, start)
    changed = _changed_rates(pair)
    notes = [*clocks.report.notes, *changed]
    lost = {role: pair.raw(role).n_times / pair.raw(role).info["sfreq"] - (stop - start) for role in ROLES}
    if max(lost.values()) > 1.0:
        notes.append(
            f"cropped to common time: {max(lost['therapist'], 0):.0f} s of the therapist's and "
            f"{max(lost['client'], 0):.0f} s of the client's left out"
        )
    report = dataclasses.replace(clocks.report, notes=tuple(notes))
    history = (*pair.history, report.describe(), *changed, *unplaced)
    rate = float(raws["therapist"].info["sfreq"])
    shared = _place_shared(pair, clocks, sample_times(start, stop, rate), rate)
    return pair.replace(**raws, segments=segments, clock=report, history=history, stamps=None, shared=shared)


def _told_segments(pair: PairedRecording, clocks: Clocks) -> tuple[Segment, ...]:
    """Bring segments that events of one recording tell to the therapist's clock, and cut the client's to the row."""
    session, role = pair.session, pair.segments_of
    if session.segment_event is None or (role == "therapist" and pair.stamps is None):
        return pair.segments
    ends = np.array([[part.onset_s, part.onset_s + part.duration_s] for part in pair.segments])
    moved = on_common(clocks.of(role), ends.ravel()).reshape(-1, 2)
    if role == "client":
        stop = np.inf if session.stop_s is None else session.stop_s
        moved = np.clip(moved, session.start_s or 0.0, stop)
    kept = [Segment(float(a), float(b - a), session.task) for a, b in moved if b > a]
    if not kept:
        raise ClockError(
            f"{_client(pair)}: every span of segment_event {session.segment_event!r} lies outside start_s and stop_s "
            "on the therapist's clock. Correct them, or the event."
        )
    return tuple(kept)


def _client(pair: PairedRecording) -> str:
    return pair.session.relative(pair.session.client_file)


def _common_time(pair: PairedRecording, clocks: Clocks) -> tuple[float, float]:
    """First and last moment on the therapist's clock that both recorded, in s."""
    firsts, lasts = [], []
    for role in ROLES:
        raw, track = pair.raw(role), clocks.of(role)
        end = (raw.n_times - 1) / raw.info["sfreq"]
        firsts.append(max(float(track[0].to_common(np.zeros(1))[0]), track[0].start))
        lasts.append(min(float(track[-1].to_common(np.array([end]))[0]), track[-1].stop))
    start, stop = max(firsts), min(lasts)
    if stop <= start:
        offset = clocks.report.offset_s
        raise ClockError(
            f"{_client(pair)}: the client's recording starts {offset:.1f} s after the therapist's and shares "
            "no time with it."
            f"{hour_hint(offset)} Correct the offset in dyads.tsv, or the files."
        )
    return start, stop


def _place(pair: PairedRecording, clocks: Clocks, start: float, stop: float) -> dict[str, BaseRaw]:
    """Bring both recordings to the common time: fNIRS cropped where it can be, all else read off on one grid."""
    n_pieces = len(clocks.therapist) + len(clocks.client)
    if pair.session.modality == "fnirs" and n_pieces == 2 and pair.stamps is None:
        return {role: _cropped(pair.raw(role), clocks.of(role)[0], start, stop) for role in ROLES}
    rates = {role: pair.raw(role).info["sfreq"] for role in ROLES}
    if pair.session.modality != "fnirs":
        alike = abs(rates["therapist"] / rates["client"] - 1) < SAME_RATE
        rates = dict.fromkeys(ROLES, rates["therapist"] if alike else min(rates.values()))
    if not pair.samples:
        return {role: unread_on_grid(pair.raw(role), clocks.of(role), start, stop, rates[role]) for role in ROLES}
    return {
        role: on_grid(pair.raw(role), clocks.of(role), sample_times(start, stop, rate), rate)
        for role, rate in rates.items()
    }


def _place_shared(pair: PairedRecording, clocks: Clocks, grid: np.ndarray, rate: float) -> SharedSignal | None:
    """Bring the shared signal to the common time by the clock of the recording that its time is told by."""
    if pair.shared is None:
        return None
    track = [dataclasses.replace(piece, own=piece.own - pair.shared.start_s) for piece in clocks.of(pair.shared.role)]
    try:
        return SharedSignal(on_grid(pair.shared.raw, track, grid, rate), pair.shared.sfreq)
    except ClockError:
        raise ClockError(
            f"{pair.session.key}: shared_file shares no time with the two recordings (its first sample is at "
            f"{pair.shared.start_s:g} s of the {pair.shared.role}'s). Correct StartTime in its sidecar, or the file."
        ) from None


def _cropped(raw: BaseRaw, piece: Piece, start: float, stop: float) -> BaseRaw:
    """Nearest samples to start and stop; the drift becomes part of the sampling rate."""
    sfreq = raw.info["sfreq"]
    first, last = (round(float(x) * sfreq) for x in piece.to_own(np.array([start, stop])))
    first, last = max(first, 0), min(last, raw.n_times - 1)
    zero, end = (float(x) for x in piece.to_common(np.array([first, last]) / sfreq))
    rate = (last - first) / (end - zero) if last > first else sfreq
    rate = sfreq if abs(rate / sfreq - 1) < 1e-9 else rate
    annotations = moved_annotations(raw, (piece,), zero, end - zero + 1 / rate)
    return fresh_raw(
        raw, raw.get_data(start=first, stop=last + 1), sfreq=rate, annotations=annotations, keep_date=False
    )


def _mark_pauses(
    pair: PairedRecording, clocks: Clocks, raws: dict[str, BaseRaw], start: float
) -> tuple[dict[str, BaseRaw], tuple[str, ...]]:
    """Mark what follows a pause of unknown length, unless events of both people say when it was."""
    session, anchors = pair.session, clocks.anchors
    if one_file(session) or pair.stamps is not None:
        return raws, ()
    lost = {role: on_common(clocks.of(role), paused_at(pair.raw(role))) for role in ROLES}
    tolerance = 1.5 / min(pair.raw(role).info["sfreq"] for role in ROLES)
    needed = max((part.onset_s + part.duration_s for part in pair.segments), default=np.inf)
    marked: dict[str, BaseRaw] = {}
    notes: list[str] = []
    for role, other in zip(ROLES, ROLES[::-1], strict=True):
        # where both were cut at one moment, nothing moved against the other
        alone = lost[role][~is_near(lost[role], lost[other], tolerance)].tolist()
        # without events nothing places what follows the first pause
        spans = list(pairwise([*alone, np.inf])) if anchors.size else [(time, np.inf) for time in alone[:1]]
        spans = [(a, b) for a, b in spans if a < needed and not ((anchors > a) & (anchors < b)).any()]
        name = session.relative(getattr(session, f"{role}_file"))
        marked[role], said = mark_unplaced(
            raws[role], [a - start for a, _ in spans], [b - start for _, b in spans], name
        )
        notes += said
    return marked, tuple(notes)


def _changed_rates(pair: PairedRecording) -> list[str]:
    """Say who was resampled to the other's lower rate; fNIRS keeps its own."""
    rates = {role: pair.raw(role).info["sfreq"] for role in ROLES}
    low, high = sorted(rates.values())
    if pair.session.modality == "fnirs" or high / low - 1 < SAME_RATE:
        return []
    faster = max(rates, key=lambda role: rates[role])
    name = pair.session.relative(getattr(pair.session, f"{faster}_file"))
    return [f"{name}: the {faster} was resampled from {high:g} to {low:g} Hz, the rate of the other person"]
