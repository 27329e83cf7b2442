"""Where a recording may be used: its parts by time, event or speaker, spans marked as bad, the windows between them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from mne.io import BaseRaw
from numpy.typing import NDArray

from hyperscan.config import StudyConfig
from hyperscan.errors import QualityError, ReadError
from hyperscan.recording.annotations import Spans, event_times, is_called, joined_spans, listed_events, own_annotations
from hyperscan.recording.records import PairedRecording, Segment, SharedSignal
from hyperscan.schema import ROLES, SPEAKING, SPEAKS, SPOKEN


def find_segments(pair: PairedRecording) -> tuple[tuple[Segment, ...], str, tuple[str, ...]]:
    """Find the parts of a pair for the row of the table, by the clock of which role, and what is to be said of them."""
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
        return (Segment(start, stop - start, session.task),), "therapist", ()
    told = session.segment_event.startswith(SPEAKS)
    role, spans = speaking_spans(pair, session.segment_event) if told else segment_spans(pair)
    # start_s and stop_s are told by the therapist's clock: spans of the client's are cut once both are on one
    clipped = spans if role == "client" else [(max(a, start), min(b, stop)) for a, b in spans]
    kept = tuple(Segment(a, b - a, session.task) for a, b in clipped if b > a)
    if not kept:
        raise ReadError(
            f"{session.relative(session.therapist_file)}: every span of segment_event "
            f"{session.segment_event!r} lies outside "
            f"{start:g} to {stop:g} s. Correct start_s and stop_s, or the event."
        )
    used = "were analysed" if session.modality == "eeg" else "are there"
    return kept, role, (f"{len(kept)} spans of the event {session.segment_event!r} {used}",)


def segment_spans(pair: PairedRecording) -> tuple[str, Spans]:
    """List spans of the segment event in s of one recording, and whose: the therapist's, else the client's."""
    session = pair.session
    for role in ROLES:
        spans = _spans(pair.raw(role), session.segment_event or "")
        if spans:
            return role, spans
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
    return joined_spans(spans)


def speaking_spans(pair: PairedRecording, asked: str) -> tuple[str, Spans]:
    """Find when those speak whom ``speaks:WHO`` names, and nobody else does, in s of one recording, and whose.

    Two masks of ``shared_file`` tell it (0 and 1; the therapist's first), else annotations: see :data:`SPOKEN`. Time
    that masks do not cover belongs to nobody's silence.
    """
    wanted = SPEAKING[asked.removeprefix(SPEAKS)]
    if pair.shared is not None:
        role, (start, stop, found) = pair.shared.role, _of_masks(pair, pair.shared)
    else:
        role, found = _of_annotations(pair)
        start, stop = 0.0, pair.raw(role).n_times / pair.raw(role).info["sfreq"]
    edges = np.unique([start, stop, *(edge for spans in found for span in spans for edge in span)])
    kept: Spans = []
    for a, b in pairwise(edges[(edges >= start) & (edges <= stop)].tolist()):
        now = tuple(any(first <= a < last for first, last in spans) for spans in found)
        if now != wanted:
            continue
        if kept and kept[-1][1] == a:
            kept[-1] = (kept[-1][0], b)
        else:
            kept.append((a, b))
    if not kept:
        raise ReadError(f"{pair.session.key}: segment_event = {asked!r}: there is no such time. Leave the row out.")
    return role, kept


def _of_masks(pair: PairedRecording, shared: SharedSignal) -> tuple[float, float, Sequence[Spans]]:
    """First and last moment that the masks cover, and when each of the two speaks."""
    data, sfreq = shared.raw.get_data(), float(shared.raw.info["sfreq"])
    if len(data) != len(ROLES) or not np.isin(data, (0, 1)).all():
        raise ReadError(
            f"{pair.session.key}: segment_event asks who speaks, and shared_file is no pair of masks: it holds "
            f"{len(data)} signals from {data.min():g} to {data.max():g}.\nGive a table of two columns of 0 and 1, the "
            "therapist's first, or leave shared_file empty and annotate who speaks."
        )
    spans = []
    for mask in data:
        edges = np.flatnonzero(np.diff(mask, prepend=0, append=0))
        spans.append([(shared.start_s + a / sfreq, shared.start_s + b / sfreq) for a, b in edges.reshape(-1, 2)])
    return shared.start_s, shared.start_s + data.shape[-1] / sfreq, spans


def _of_annotations(pair: PairedRecording) -> tuple[str, Sequence[Spans]]:
    """When each of the two speaks by the annotations of the therapist's recording, else of the client's, and whose."""
    spans = {role: [_called(pair.raw(role), name) for name in SPOKEN.values()] for role in ROLES}
    whole = next((role for role in ROLES if all(spans[role])), None)
    if whole is not None:
        return whole, spans[whole]
    either = [mine or theirs for mine, theirs in zip(*spans.values(), strict=True)]
    missing = [name for name, found in zip(SPOKEN.values(), either, strict=True) if not found]
    session = pair.session
    one_clock = session.clock == "same_amplifier" or session.therapist_file == session.client_file
    if missing or not one_clock:
        where = f"nothing is annotated {missing[0]!r}" if missing else "each recording annotates one of the two only"
        raise ReadError(
            f"{session.key}: segment_event asks who speaks, and {where}. "
            f"There: {listed_events(pair.therapist)}.\nAnnotate when each of the two speaks in one recording, or give "
            "two masks as shared_file."
        )
    return "therapist", either


def _called(raw: BaseRaw, name: str) -> Spans:
    """Spans of the annotations of one name that have a length, in s from the first sample."""
    kept = own_annotations(raw)
    rows = zip(kept.onset, kept.duration, kept.description, strict=True)
    return [(float(a), float(a + length)) for a, length, said in rows if length > 0 and is_called(str(said), name)]


def shifted(segments: tuple[Segment, ...], start: float, duration: float) -> tuple[Segment, ...]:
    """Move segments to a time axis that begins later, and cut them to it.

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


#: Annotations at which the recording was interrupted: nothing is filtered across them.
BREAKS = ("edge", "bad boundary", "bad_acq_skip", "bad_gap", "bad gap", "bad_boundary")

#: Those of them where an unknown time was lost: however short, nothing is compared across them.
_LOST = ("edge", "bad boundary", "bad_boundary")


@dataclass(frozen=True)
class WindowGrid:
    """Windows of equal length, side by side within each segment."""

    #: shape (n_windows,): First sample of each window
    starts: NDArray[np.intp]
    #: shape (n_windows,): Index of the segment it lies in
    segment: NDArray[np.intp]
    #: shape (n_windows,): Time since that segment's start, in s
    offset_s: NDArray[np.float64]
    #: shape (n_windows,): Whether nothing in the window is marked as bad in that person
    clean_therapist: NDArray[np.bool_]
    clean_client: NDArray[np.bool_]
    #: Samples per window
    n_window: int

    @property
    def clean(self) -> NDArray[np.bool_]:
        """Windows clean in both people, shape (n_windows,)."""
        return self.clean_therapist & self.clean_client


def annotated_spans(raw: BaseRaw, prefixes: Iterable[str]) -> Spans:
    """List spans of annotations by the first words of their description, in s from the first sample."""
    wanted = tuple(prefix.lower() for prefix in prefixes)
    return sorted(
        (float(onset) - raw.first_time, float(onset + duration) - raw.first_time)
        for onset, duration, description in zip(
            raw.annotations.onset, raw.annotations.duration, raw.annotations.description, strict=True
        )
        if str(description).lower().startswith(wanted)
    )


def clean_mask(raw: BaseRaw) -> NDArray[np.bool_]:
    """Mark samples that no ``BAD`` annotation covers.

    Shapes: returns (n_times,).
    """
    mask = np.ones(raw.n_times, bool)
    sfreq = raw.info["sfreq"]
    for start, stop in annotated_spans(raw, ["bad"]):
        # a rounding error of the onset must not spill into the next sample
        first = max(0, int(np.floor(start * sfreq + 1e-3)))
        last = min(raw.n_times, int(np.ceil(stop * sfreq - 1e-3)))
        mask[first : max(first, last)] = False
    return mask


def break_samples(raw: BaseRaw) -> list[int]:
    """Find the samples at which the recording was interrupted."""
    sfreq = raw.info["sfreq"]
    cuts = {round(edge * sfreq) for span in annotated_spans(raw, BREAKS) for edge in span}
    return sorted(cut for cut in cuts if 0 < cut < raw.n_times)


def whole_segments(pair: PairedRecording) -> tuple[Segment, ...]:
    """List the segments of a pair; the whole recording where none are given."""
    raw = pair.therapist
    return pair.segments or (Segment(0.0, raw.n_times / raw.info["sfreq"], pair.session.task),)


def longest_mark_s(config: StudyConfig) -> float:
    """Find what a mark may last and still stay inside a stretch of fNIRS: half a period of the primary band's top.

    Less than that is bridged without a loss by what is around it; more would be a made-up course (our choice).
    """
    return 0.5 / config.bands_of("fnirs").get(config.primary_of("fnirs").band, config.fnirs_filter_hz)[1]


def unbroken_stretch(pair: PairedRecording, config: StudyConfig) -> Segment | None:
    """Find the longest stretch of a segment that nobody marked as bad, the first of equal ones; None if all is marked.

    fNIRS is compared in one stretch. Marks of less than :func:`longest_mark_s` stay in it.
    """
    ends: list[tuple[float, float]] = []
    for raw in (pair.therapist, pair.client):
        ends += annotated_spans(raw, _LOST)
    for first, last in joined_spans(
        span for raw in (pair.therapist, pair.client) for span in annotated_spans(raw, ["bad"])
    ):
        ends += [(first, last)] * (last - first >= longest_mark_s(config))
    free: list[Segment] = []
    for segment in whole_segments(pair):
        at, stop = segment.onset_s, segment.onset_s + segment.duration_s
        for first, last in joined_spans([*ends, (stop, stop)]):
            if min(first, stop) > at:
                free.append(Segment(at, min(first, stop) - at, segment.task))
            at = max(at, last)
    return max(free, key=lambda part: round(part.duration_s, 6), default=None)


def compared_stretches(pair: PairedRecording, config: StudyConfig) -> tuple[Segment, ...]:
    """List the stretches that are compared: the segments; of fNIRS the one that nothing interrupts, if there is one."""
    if pair.session.modality == "eeg":
        return whole_segments(pair)
    stretch = unbroken_stretch(pair, config)
    return () if stretch is None else (stretch,)


def window_grid(pair: PairedRecording, window_s: float) -> WindowGrid:
    """Lay windows without overlap from the start of each segment on, and judge which are clean."""
    raw = pair.therapist
    sfreq = float(raw.info["sfreq"])
    n_window = round(window_s * sfreq)
    segments = whole_segments(pair)
    starts, index, offset = _grid(segments, sfreq, n_window, min(raw.n_times, pair.client.n_times))
    if starts.size == 0:
        longest = max(segment.duration_s for segment in segments)
        allowed = np.floor(longest * 100 + 1e-6) / 100
        raise QualityError(
            f"{pair.session.key}: window_s = {window_s:g} s is longer than every segment; the longest of "
            f"{len(segments)} lasts {longest:g} s.\nSet window_s to {allowed:g} or less, or "
            "give continuous recordings."
        )
    clean = {role: clean_windows(pair.raw(role), starts, n_window) for role in ROLES}
    return WindowGrid(starts, index, offset, clean["therapist"], clean["client"], n_window)


def _grid(
    segments: Sequence[Segment], sfreq: float, n_window: int, n_times: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    starts: list[int] = []
    index: list[int] = []
    offset: list[float] = []
    for number, segment in enumerate(segments):
        first = round(segment.onset_s * sfreq)
        # durations read from files are rounded: half a sample must not cost a window
        last = min(n_times, round((segment.onset_s + segment.duration_s) * sfreq))
        here = range(max(first, 0), last - n_window + 1, n_window)
        starts += here
        index += [number] * len(here)
        offset += [(start - first) / sfreq for start in here]
    return np.array(starts, np.intp), np.array(index, np.intp), np.array(offset, float)


def clean_windows(raw: BaseRaw, starts: NDArray[np.intp], n_window: int) -> NDArray[np.bool_]:
    """Tell windows without a bad mark or an interruption.

    Shapes: ``starts`` (n_windows,), returns (n_windows,).
    """
    bad = np.concatenate([[0], np.cumsum(~clean_mask(raw))])
    ends = np.minimum(starts + n_window, raw.n_times)
    clean = bad[ends] == bad[starts]
    for cut in break_samples(raw):
        clean &= ~((starts < cut) & (cut < ends))
    return np.asarray(clean)
