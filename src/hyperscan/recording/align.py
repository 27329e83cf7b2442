"""Two recordings on one clock: the therapist's."""

from __future__ import annotations

from collections.abc import Sequence

import mne
import numpy as np
from mne.io import BaseRaw

from hyperscan.errors import ClockError, did_you_mean
from hyperscan.recording.clock import Piece
from hyperscan.recording.fresh import fresh_raw, own_annotations
from hyperscan.recording.parts import shifted
from hyperscan.recording.records import ClockReport, PairedRecording, Segment
from hyperscan.recording.resample import SAME_RATE, interpolate, lower_rate
from hyperscan.recording.sources import Clocks, find_clocks, hour_hint

#: Times that are closer to a sample than this, in s, are that sample (our choice; 0.05 ms is a fiftieth of a
#: cycle at 400 Hz).
_SAME_TIME = 5e-5
CLOCKS = ("same_amplifier", "triggers", "timestamps", "offset", "assumed", "none")


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
    report = _with_losses(pair, clocks.report, start, stop)
    history = (*pair.history, _sentence(report))
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
        raws.append(_on_grid(raw, track, _grid(start, stop, rate), rate))
    return raws, min(raw.n_times / raw.info["sfreq"] for raw in raws)


def _grid(start: float, stop: float, rate: float) -> np.ndarray:
    # the therapist's own samples, so that they need no interpolation
    first = np.ceil(start * rate - _SAME_TIME * rate)
    n = int(np.floor((stop + _SAME_TIME) * rate - first)) + 1
    return (first + np.arange(n)) / rate


def _cropped(raw: BaseRaw, piece: Piece, start: float, stop: float) -> BaseRaw:
    """Nearest samples to start and stop; the drift becomes part of the sampling rate."""
    sfreq = raw.info["sfreq"]
    first, last = (round(float(x) * sfreq) for x in piece.to_own(np.array([start, stop])))
    first, last = max(first, 0), min(last, raw.n_times - 1)
    zero, end = (float(x) for x in piece.to_common(np.array([first, last]) / sfreq))
    rate = (last - first) / (end - zero) if last > first else sfreq
    rate = sfreq if abs(rate / sfreq - 1) < 1e-9 else rate
    annotations = _moved(raw, (piece,), zero, end - zero + 1 / rate)
    return fresh_raw(
        raw, raw.get_data(start=first, stop=last + 1), sfreq=rate, annotations=annotations, keep_date=False
    )


def _on_grid(raw: BaseRaw, track: Sequence[Piece], grid: np.ndarray, rate: float) -> BaseRaw:
    sfreq = raw.info["sfreq"]
    last = (raw.n_times - 1) / sfreq
    gaps = []
    out: np.ndarray | None = None
    filled = np.zeros(len(grid), bool)
    for piece in track:
        own = piece.to_own(grid)
        rows = np.flatnonzero((grid >= piece.start - _SAME_TIME) & (grid <= piece.stop + _SAME_TIME))
        rows = rows[(own[rows] >= -_SAME_TIME) & (own[rows] <= last + _SAME_TIME) & ~filled[rows]]
        if not rows.size:
            continue
        values = _values(raw, own[rows[0] : rows[-1] + 1], rate)
        if len(track) == 1 and rows.size == len(grid):
            out = values
        else:
            out = np.zeros((len(raw.ch_names), len(grid))) if out is None else out
            out[:, rows[0] : rows[-1] + 1] = values
        filled[rows[0] : rows[-1] + 1] = True
    if out is None:
        raise ClockError("no sample lies on the common time. Correct the offset or the time stamps.")
    if not filled.all():
        gaps = _runs(~filled)
        _bridge(out, gaps)
    annotations = _moved(raw, track, float(grid[0]), len(grid) / rate)
    for first, after in gaps:
        annotations.append(first / rate, (after - first) / rate, "BAD_gap")
    return fresh_raw(raw, out, sfreq=rate, annotations=annotations, keep_date=False)


def _values(raw: BaseRaw, own: np.ndarray, rate: float) -> np.ndarray:
    """Take samples at times of the recording, in s."""
    sfreq = raw.info["sfreq"]
    index = own * sfreq
    nearest = np.rint(index)
    if np.abs(index - nearest).max() < _SAME_TIME * sfreq and np.all(np.diff(nearest) == 1):
        return raw.get_data(start=int(nearest[0]), stop=int(nearest[-1]) + 1)
    # only samples of this piece may be looked at: beyond a jump lies another time
    first, stop = max(int(np.floor(index[0])), 0), min(int(np.ceil(index[-1])) + 1, raw.n_times)
    data, reached = lower_rate(raw.get_data(start=first, stop=stop), sfreq, rate)
    positions = np.clip((own - first / sfreq) * reached, 0, data.shape[1] - 1)
    return interpolate(data, positions)


def _runs(mask: np.ndarray) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _bridge(data: np.ndarray, gaps: list[tuple[int, int]]) -> None:
    # a line between the edges keeps filters from ringing; the stretch is annotated as bad
    for first, after in gaps:
        left = data[:, [first - 1]] if first > 0 else data[:, [after]]
        right = data[:, [after]] if after < data.shape[1] else left
        share = (np.arange(first, after) - first + 1) / (after - first + 1)
        data[:, first:after] = left + (right - left) * share


def _moved(raw: BaseRaw, track: Sequence[Piece], zero: float, duration: float) -> mne.Annotations:
    """Annotations on the new axis, cut to it."""
    kept = own_annotations(raw)
    moved = mne.Annotations([], [], [], orig_time=None)
    for onset, length, name in zip(kept.onset, kept.duration, kept.description, strict=True):
        first = _on_common(track, onset) - zero
        last = _on_common(track, onset + length) - zero
        if last < 0 or first >= duration:
            continue
        first, last = max(first, 0.0), min(max(last, first), duration)
        moved.append(first, last - first, name)
    return moved


def _on_common(track: Sequence[Piece], own: float) -> float:
    times = [float(piece.to_common(np.array([own]))[0]) for piece in track]
    outside = [max(piece.start - time, time - piece.stop, 0.0) for piece, time in zip(track, times, strict=True)]
    return times[int(np.argmin(outside))]


def _with_losses(pair: PairedRecording, report: ClockReport, start: float, stop: float) -> ClockReport:
    lost = [raw.n_times / raw.info["sfreq"] - (stop - start) for raw in (pair.therapist, pair.client)]
    notes = list(report.notes)
    if max(lost) > 1.0:
        notes.append(
            f"cropped to common time: {max(lost[0], 0):.0f} s of the therapist's and {max(lost[1], 0):.0f} s "
            "of the client's left out"
        )
    return ClockReport(report.source, report.offset_s, report.ppm, report.residual_ms, report.n_matched, tuple(notes))


def _sentence(report: ClockReport) -> str:
    source = report.source.replace("_", " ")
    text = f"recordings were put on the therapist's clock by {source} (offset {report.offset_s:.3f} s"
    if report.ppm == report.ppm:
        text += f", drift {report.ppm:.1f} ppm"
    if report.n_matched:
        text += f", {report.n_matched} matched"
    return text + (f", residual {report.residual_ms:.2f} ms rms)" if report.residual_ms == report.residual_ms else ")")
