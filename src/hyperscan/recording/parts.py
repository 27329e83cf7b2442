"""Which parts of a session are analysed: start and stop, spans of an annotation, gaps left out."""

from __future__ import annotations

import numpy as np
from mne.io import BaseRaw

from hyperscan.errors import ReadError
from hyperscan.recording.events import event_times, is_called, listed_events
from hyperscan.recording.fresh import own_annotations
from hyperscan.recording.records import PairedRecording, Segment


def find_segments(pair: PairedRecording) -> tuple[tuple[Segment, ...], tuple[str, ...]]:
    """Find the parts that the row of the table asks for.

    Parameters
    ----------
    pair : PairedRecording
        Before alignment, on the therapist's time.

    Returns
    -------
    segments : tuple of Segment
        In s from the therapist's first sample.
    notes : tuple of str

    Raises
    ------
    ReadError
        If the part lies outside the recording, or no event has that name.
    """
    session = pair.session
    duration = pair.therapist.n_times / pair.therapist.info["sfreq"]
    start = session.start_s or 0.0
    stop = duration if session.stop_s is None else min(session.stop_s, duration)
    if stop <= start:
        raise ReadError(
            f"{session.relative(session.therapist_file)}: start_s {start:g} and stop_s {stop:g} leave "
            "nothing of the "
            f"{duration:.0f} s recorded. Correct them in dyads.tsv."
        )
    if session.segment_event is None:
        return (Segment(start, stop - start, session.task),), ()
    spans = segment_spans(pair)
    clipped = [(max(a, start), min(b, stop)) for a, b in spans]
    kept = tuple(Segment(a, b - a, session.task) for a, b in clipped if b > a)
    if not kept:
        raise ReadError(
            f"{session.relative(session.therapist_file)}: every span of segment_event "
            f"{session.segment_event!r} lies outside "
            f"{start:g} to {stop:g} s. Correct start_s and stop_s, or the event."
        )
    return kept, (f"{len(kept)} spans of the event {session.segment_event!r} were analysed",)


def segment_spans(pair: PairedRecording) -> list[tuple[float, float]]:
    """Spans of the segment event in s: the therapist's annotations, else the client's.

    Parameters
    ----------
    pair : PairedRecording
        A pair.

    Returns
    -------
    list of (start, stop)

    Raises
    ------
    ReadError
        If nobody's recording has such an event.
    """
    session = pair.session
    for raw in (pair.therapist, pair.client):
        spans = _spans(raw, session.segment_event or "")
        if spans:
            return spans
    raise ReadError(
        f"{session.relative(session.therapist_file)}: no event is called {session.segment_event!r}. "
        f"There: {listed_events(pair.therapist)}. Correct segment_event in dyads.tsv."
    )


def _spans(raw: BaseRaw, event: str) -> list[tuple[float, float]]:
    kept = own_annotations(raw)
    end = raw.n_times / raw.info["sfreq"]
    others, names = event_times(raw)
    spans = []
    for onset, length, name in zip(kept.onset, kept.duration, kept.description, strict=True):
        if not is_called(str(name), event):
            continue
        if length <= 1.0 / raw.info["sfreq"]:
            # a marker without length lasts until the next event of another name
            later = [t for t, each in zip(others, names, strict=True) if t > onset and not is_called(each, event)]
            length = min([*later, end]) - onset
        spans.append((float(onset), float(onset + length)))
    return _merged(spans)


def _merged(spans: list[tuple[float, float]]) -> list[tuple[float, float]]:
    merged: list[tuple[float, float]] = []
    for start, stop in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(stop, merged[-1][1]))
        else:
            merged.append((start, stop))
    return merged


def shifted(segments: tuple[Segment, ...], start: float, duration: float) -> tuple[Segment, ...]:
    """Move segments to a time axis that begins later, and cut them to it.

    Parameters
    ----------
    segments : tuple of Segment
        On the old axis.
    start : float
        Beginning of the new axis on the old one, in s.
    duration : float
        Length of the new axis, in s.

    Returns
    -------
    tuple of Segment
        Those of which something is left.

    Examples
    --------
    >>> shifted((Segment(0.0, 10.0),), 4.0, 3.0)
    (Segment(onset_s=0.0, duration_s=3.0, task=''),)
    """
    moved = []
    for part in segments:
        a = max(part.onset_s - start, 0.0)
        b = min(part.onset_s + part.duration_s - start, duration)
        if b - a > np.finfo(float).eps * max(duration, 1.0):
            moved.append(Segment(float(a), float(b - a), part.task))
    return tuple(moved)
