"""Where a recording may be used: spans that are marked as bad, and the grid of windows between them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from mne.io import BaseRaw
from numpy.typing import NDArray

from hyperscan.errors import QualityError
from hyperscan.recording.records import ROLES, PairedRecording, Segment

#: Annotations at which the recording was interrupted: nothing is filtered across them.
BREAKS = ("edge", "bad boundary", "bad_acq_skip", "bad_gap", "bad gap", "bad_boundary")

Spans = list[tuple[float, float]]


@dataclass(frozen=True)
class WindowGrid:
    """Windows of equal length, side by side within each segment.

    Parameters
    ----------
    starts : ndarray of int, shape (n_windows,)
        First sample of each window.
    segment : ndarray of int, shape (n_windows,)
        Index of the segment it lies in.
    offset_s : ndarray, shape (n_windows,)
        Time since that segment's start, in s.
    clean_therapist, clean_client : ndarray of bool, shape (n_windows,)
        Whether nothing in the window is marked as bad in that person.
    n_window : int
        Samples per window.
    """

    starts: NDArray[np.intp]
    segment: NDArray[np.intp]
    offset_s: NDArray[np.float64]
    clean_therapist: NDArray[np.bool_]
    clean_client: NDArray[np.bool_]
    n_window: int

    @property
    def clean(self) -> NDArray[np.bool_]:
        """Windows clean in both people, shape (n_windows,)."""
        return self.clean_therapist & self.clean_client


def annotated_spans(raw: BaseRaw, prefixes: Iterable[str]) -> Spans:
    """Annotations whose description starts with one of some words, in s from the first sample.

    Parameters
    ----------
    raw : mne.io.BaseRaw
        Recording.
    prefixes : iterable of str
        Beginnings of descriptions; case is ignored.

    Returns
    -------
    list of (float, float)
        Onset and end in s, in order of onset.
    """
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

    Parameters
    ----------
    raw : mne.io.BaseRaw
        Recording.

    Returns
    -------
    ndarray of bool, shape (n_times,)
    """
    mask = np.ones(raw.n_times, bool)
    for start, stop in annotated_spans(raw, ["bad"]):
        mask[_sample_range(start, stop, raw)] = False
    return mask


def _sample_range(start: float, stop: float, raw: BaseRaw) -> slice:
    sfreq = raw.info["sfreq"]
    # a rounding error of the onset must not spill into the next sample
    first = max(0, int(np.floor(start * sfreq + 1e-3)))
    last = min(raw.n_times, int(np.ceil(stop * sfreq - 1e-3)))
    return slice(first, max(first, last))


def break_samples(raw: BaseRaw) -> list[int]:
    """Find the samples at which the recording was interrupted.

    Parameters
    ----------
    raw : mne.io.BaseRaw
        Recording.

    Returns
    -------
    list of int
        Sorted; neither 0 nor ``n_times`` is among them.
    """
    sfreq = raw.info["sfreq"]
    cuts = {round(edge * sfreq) for span in annotated_spans(raw, BREAKS) for edge in span}
    return sorted(cut for cut in cuts if 0 < cut < raw.n_times)


def whole_segments(pair: PairedRecording) -> tuple[Segment, ...]:
    """Segments of a pair; the whole recording where none are given."""
    raw = pair.therapist
    return pair.segments or (Segment(0.0, raw.n_times / raw.info["sfreq"], pair.session.task),)


def window_grid(pair: PairedRecording, window_s: float) -> WindowGrid:
    """Non-overlapping windows from the start of each segment on, and which of them are clean.

    Parameters
    ----------
    pair : PairedRecording
        Two raws of one sampling rate and length.
    window_s : float
        Length of a window in s.

    Returns
    -------
    WindowGrid
        All windows that fit into the segments, clean or not; one that crosses an interruption is not clean.

    Raises
    ------
    QualityError
        If no window fits into any segment.
    """
    raw = pair.therapist
    sfreq = float(raw.info["sfreq"])
    n_window = round(window_s * sfreq)
    segments = whole_segments(pair)
    starts, index, offset = _grid(segments, sfreq, n_window, min(raw.n_times, pair.client.n_times))
    if starts.size == 0:
        longest = max(segment.duration_s for segment in segments)
        raise QualityError(
            f"{pair.session.key}: window_s = {window_s:g} s is longer than every segment; the longest of "
            f"{len(segments)} lasts {longest:g} s.\nSet window_s to {_round_down(longest):g} or less, or "
            "give continuous recordings."
        )
    clean = {role: clean_windows(pair.raw(role), starts, n_window) for role in ROLES}
    return WindowGrid(starts, index, offset, clean["therapist"], clean["client"], n_window)


def _round_down(seconds: float) -> float:
    return float(np.floor(seconds * 100 + 1e-6) / 100)


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
    """Windows in which nothing is marked as bad and the recording is not interrupted.

    Parameters
    ----------
    raw : mne.io.BaseRaw
        One person.
    starts : ndarray of int, shape (n_windows,)
        First samples.
    n_window : int
        Samples per window.

    Returns
    -------
    ndarray of bool, shape (n_windows,)
    """
    bad = np.concatenate([[0], np.cumsum(~clean_mask(raw))])
    ends = np.minimum(starts + n_window, raw.n_times)
    clean = bad[ends] == bad[starts]
    for cut in break_samples(raw):
        clean &= ~((starts < cut) & (cut < ends))
    return np.asarray(clean)
