"""Two recordings on one clock: the therapist's."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from mne.io import BaseRaw

from hyperscan.errors import ClockError, did_you_mean
from hyperscan.recording.annotations import fresh_raw
from hyperscan.recording.clocks.clock_sources import Clocks, find_clocks, hour_hint
from hyperscan.recording.files.pairs import one_file
from hyperscan.recording.pauses import mark_unplaced, paused_at
from hyperscan.recording.records import ClockReport, PairedRecording, Segment
from hyperscan.recording.resampling import SAME_RATE, moved_annotations, on_common, on_grid, sample_times
from hyperscan.recording.timeline import Piece
from hyperscan.recording.windows import shifted
from hyperscan.schema import CLOCKS, ROLES


def align_pair(pair: PairedRecording) -> PairedRecording:
    """Put two recordings on the therapist's clock and crop them to the time that both cover.

    EEG: the client is resampled to the therapist's samples by a windowed sinc, anti-aliased to the lower rate
    where
    rates differ. fNIRS: recordings keep their own rate, because motion correction needs it; the drift goes
    into the
    client's sampling rate, and the first samples lie within half a sample of each other. Time that one of
    them did
    not record is bridged by a straight line and annotated ``BAD_gap``; it is never interpolated as if
    measured.

    Parameters
    ----------
    pair : PairedRecording
        From :func:`load_session`.

    Returns
    -------
    PairedRecording
        Both raws start at 0 s; EEG raws have one rate and length; ``clock`` says how it was done,
        ``segments`` are on
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
    A drift of 12 ppm uncorrected over 50 min leaves 79 % of a phase-locked value at 10 Hz and 32 % at 20 Hz.

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
        return _epochs_aligned(pair)
    clocks = find_clocks(pair)
    start, stop = _common_time(pair, clocks)
    raws, length = _placed(pair, clocks, start, stop)
    segments = shifted(pair.segments or (Segment(start, length, pair.session.task),), start, length)
    if not segments:
        raise ClockError(
            f"{_client(pair)}: the parts to analyse lie outside the {length:.0f} s that both people "
            "recorded. "
            "Correct start_s, stop_s or segment_event in dyads.tsv."
        )
    raws, unplaced = _with_unplaced(pair, clocks, raws, start)
    report = _with_losses(pair, clocks.report, start, stop)
    history = (*pair.history, _sentence(report), *_changed_rates(pair), *unplaced)
    return pair.replace(
        therapist=raws[0], client=raws[1], segments=segments, clock=report, history=history, stamps=None
    )


def _epochs_aligned(pair: PairedRecording) -> PairedRecording:
    source = pair.session.clock or "triggers"
    known = 0.0 if source == "same_amplifier" else np.nan
    report = ClockReport(source, 0.0, known, known, len(pair.segments), ("epochs were paired when they were read",))
    return pair.replace(clock=report, history=(*pair.history, _sentence(report)))


def _client(pair: PairedRecording) -> str:
    return pair.session.relative(pair.session.client_file)


def _common_time(pair: PairedRecording, clocks: Clocks) -> tuple[float, float]:
    """First and last moment on the therapist's clock that both recorded, in s."""
    bounds = []
    for raw, track in ((pair.therapist, clocks.therapist), (pair.client, clocks.client)):
        last = (raw.n_times - 1) / raw.info["sfreq"]
        first_at = max(float(track[0].to_common(np.zeros(1))[0]), track[0].start)
        last_at = min(float(track[-1].to_common(np.array([last]))[0]), track[-1].stop)
        bounds.append((first_at, last_at))
    start, stop = max(bounds[0][0], bounds[1][0]), min(bounds[0][1], bounds[1][1])
    if stop <= start:
        offset = clocks.report.offset_s
        raise ClockError(
            f"{_client(pair)}: the client's recording starts {offset:.1f} s after the therapist's and shares "
            "no time with it."
            f"{hour_hint(offset)} Correct the offset in dyads.tsv, or the files."
        )
    return start, stop


def _placed(pair: PairedRecording, clocks: Clocks, start: float, stop: float) -> tuple[list[BaseRaw], float]:
    pieces = len(clocks.therapist) + len(clocks.client)
    if pair.session.modality == "fnirs" and pieces == 2 and pair.stamps is None:
        raws = [
            _cropped(pair.therapist, clocks.therapist[0], start, stop),
            _cropped(pair.client, clocks.client[0], start, stop),
        ]
        return raws, min(raw.n_times / raw.info["sfreq"] for raw in raws)
    rates = [pair.therapist.info["sfreq"], pair.client.info["sfreq"]]
    common = rates[0] if abs(rates[0] / rates[1] - 1) < SAME_RATE else min(rates)
    wanted = rates if pair.session.modality == "fnirs" else [common, common]
    raws = []
    for raw, track, rate in zip((pair.therapist, pair.client), (clocks.therapist, clocks.client), wanted, strict=True):
        raws.append(on_grid(raw, track, sample_times(start, stop, rate), rate))
    return raws, min(raw.n_times / raw.info["sfreq"] for raw in raws)


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


def _with_unplaced(
    pair: PairedRecording, clocks: Clocks, raws: list[BaseRaw], start: float
) -> tuple[list[BaseRaw], tuple[str, ...]]:
    """Mark what follows a pause of unknown length, unless events of both people say when it was."""
    session = pair.session
    if one_file(session) or clocks.report.source == "timestamps":
        return raws, ()
    tracks = {"therapist": clocks.therapist, "client": clocks.client}
    lost = {role: [on_common(tracks[role], float(t)) for t in paused_at(pair.raw(role))] for role in ROLES}
    tolerance = 1.5 / min(pair.raw(role).info["sfreq"] for role in ROLES)
    needed = max((part.onset_s + part.duration_s for part in pair.segments), default=np.inf)
    marked: list[BaseRaw] = []
    notes: list[str] = []
    for raw, role, other in zip(raws, ROLES, ROLES[::-1], strict=True):
        # where both were cut at one moment, nothing moved against the other
        alone = [t for t in lost[role] if all(abs(t - each) > tolerance for each in lost[other])]
        spans = [(a, b) for a, b in _stretches(alone, clocks.anchors) if a < needed]
        name = session.relative(getattr(session, f"{role}_file"))
        whole, note = mark_unplaced(raw, [a - start for a, _ in spans], [b - start for _, b in spans], name)
        marked.append(whole)
        notes += note
    return marked, tuple(notes)


def _stretches(lost: list[float], anchors: np.ndarray) -> list[tuple[float, float]]:
    """Stretches after lost time that no shared event places; without events nothing places what follows."""
    if not lost or not anchors.size:
        return [(time, np.inf) for time in lost[:1]]
    return [(a, b) for a, b in pairwise([*lost, np.inf]) if not ((anchors > a) & (anchors < b)).any()]


def _with_losses(pair: PairedRecording, report: ClockReport, start: float, stop: float) -> ClockReport:
    lost = [raw.n_times / raw.info["sfreq"] - (stop - start) for raw in (pair.therapist, pair.client)]
    notes = [*report.notes, *_changed_rates(pair)]
    if max(lost) > 1.0:
        notes.append(
            f"cropped to common time: {max(lost[0], 0):.0f} s of the therapist's and {max(lost[1], 0):.0f} s "
            "of the client's left out"
        )
    return ClockReport(report.source, report.offset_s, report.ppm, report.residual_ms, report.n_matched, tuple(notes))


def _changed_rates(pair: PairedRecording) -> list[str]:
    """Say who was resampled to the other's lower rate; fNIRS keeps its own."""
    rates = {role: pair.raw(role).info["sfreq"] for role in ROLES}
    low, high = sorted(rates.values())
    if pair.session.modality == "fnirs" or high / low - 1 < SAME_RATE:
        return []
    faster = max(rates, key=lambda role: rates[role])
    name = pair.session.relative(getattr(pair.session, f"{faster}_file"))
    return [f"{name}: the {faster} was resampled from {high:g} to {low:g} Hz, the rate of the other person"]


def _sentence(report: ClockReport) -> str:
    source = report.source.replace("_", " ")
    text = f"recordings were put on the therapist's clock by {source} (offset {report.offset_s:.3f} s"
    if report.ppm == report.ppm:
        text += f", drift {report.ppm:.1f} ppm"
    if report.n_matched:
        text += f", {report.n_matched} matched"
    return text + (f", residual {report.residual_ms:.2f} ms rms)" if report.residual_ms == report.residual_ms else ")")
