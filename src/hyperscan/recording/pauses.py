"""Gaps and pauses of a recording: stretches of their true length, marked as bad; what cannot be placed is marked."""

from __future__ import annotations

import datetime
import re
import warnings
from collections.abc import Sequence
from itertools import pairwise

import mne
import numpy as np
from mne.io import BaseRaw

from hyperscan.errors import DataQualityWarning, count
from hyperscan.recording.annotations import fresh_raw, is_break, marks, own_annotations
from hyperscan.recording.guard import check_memory
from hyperscan.recording.records import Pause
from hyperscan.recording.timeline import MAX_PPM, is_near

#: Our mark at a place where an unknown time was lost, and over what cannot be placed for that reason.
PAUSED, UNPLACED = "BAD_boundary", "BAD_unplaced"
#: Our mark over time that was not recorded and is bridged.
GAP = "BAD_gap"


def open_gaps(raw: BaseRaw, after: np.ndarray, missing: np.ndarray, *, sfreq: float | None = None) -> BaseRaw:
    """Give missing samples their time back.

    The stretch is a straight line, so that filters do not ring, and is annotated ``BAD_gap``.

    Shapes: ``after`` (n_gaps,), ``missing`` (n_gaps,).

    Examples
    --------
    >>> raw = mne.io.RawArray(np.ones((1, 100)), mne.create_info(["Cz"], 100.0, "eeg"), verbose=False)
    >>> opened = open_gaps(raw, np.array([40]), np.array([25]))
    >>> int(opened.n_times), str(opened.annotations.description[0]), float(opened.annotations.onset[0])
    (125, 'BAD_gap', 0.4)
    """
    rate = float(raw.info["sfreq"] if sfreq is None else sfreq)
    data = raw.get_data()
    shift = np.concatenate([[0], np.cumsum(missing)])
    out = np.empty((data.shape[0], data.shape[1] + int(shift[-1])))
    edges = np.concatenate([[0], after, [data.shape[1]]]).astype(int)
    for k, (first, last) in enumerate(pairwise(edges)):
        out[:, first + shift[k] : last + shift[k]] = data[:, first:last]
    kept = own_annotations(raw)
    first_at, last_at = kept.onset * raw.info["sfreq"], (kept.onset + kept.duration) * raw.info["sfreq"]
    onset = (first_at + shift[np.searchsorted(after, np.rint(first_at), side="right")]) / rate
    end = (last_at + shift[np.searchsorted(after, np.rint(last_at), side="left")]) / rate
    events = mne.Annotations(onset, np.maximum(end - onset, 0.0), list(kept.description), orig_time=None)
    gaps = []
    for k, (place, n) in enumerate(zip(after, missing, strict=True)):
        first = int(place + shift[k])
        share = np.arange(1, n + 1) / (n + 1)
        before = data[:, [max(place - 1, 0)]]
        out[:, first : first + n] = before + (data[:, [place]] - before) * share
        gaps.append((first / rate, (first + n) / rate))
    return fresh_raw(raw, out, sfreq=rate, annotations=events + marks(gaps, GAP))


def mark_boundaries(raw: BaseRaw) -> tuple[BaseRaw, int]:
    """Annotate places where the recording was cut or paused as ``BAD_boundary``."""
    kept = own_annotations(raw)
    sfreq = raw.info["sfreq"]
    inside = (kept.onset > 1.5 / sfreq) & (kept.onset < (raw.n_times - 1.5) / sfreq)
    # a break between two stretches lies behind the disconnection that it is called after
    places = kept.onset + kept.duration * (kept.description == "BAD_disconnection")
    found = [
        float(place)
        for place, name, within in zip(places, kept.description, inside, strict=True)
        if within and is_break(str(name))
    ]
    # one break may bear two names: MNE's BAD and EDGE boundary, a table's next to the recording's
    found.sort()
    at = [place for k, place in enumerate(found) if k == 0 or place - found[k - 1] > 0.5 / sfreq]
    if not at:
        return raw, 0
    paused = mne.Annotations(np.array(at) - 1 / sfreq, 2 / sfreq, PAUSED, orig_time=None)
    return fresh_raw(raw, annotations=kept + paused), len(at)


def paused_at(raw: BaseRaw) -> np.ndarray:
    """List the places where an unknown time was lost.

    Shapes: returns (n_places,).
    """
    kept = own_annotations(raw)
    return np.sort(kept.onset[kept.description == PAUSED] + 1.0 / raw.info["sfreq"])


def recorded_mask(raw: BaseRaw) -> np.ndarray:
    """Mark samples that were recorded, as opposed to those that bridge a gap.

    Shapes: returns (n_times,).
    """
    mask = np.ones(raw.n_times, bool)
    kept, sfreq = own_annotations(raw), raw.info["sfreq"]
    for onset, length, name in zip(kept.onset, kept.duration, kept.description, strict=True):
        if name == GAP:
            mask[max(round(onset * sfreq), 0) : round((onset + length) * sfreq)] = False
    return mask


_SEGMENT = re.compile(r"^Mk[0-9]+=New Segment,[^,\r\n]*,([0-9]+),[^,\r\n]*,[^,\r\n]*(?:,([0-9]{20}))?", re.MULTILINE)


def find_cuts(events: mne.Annotations, sfreq: float) -> tuple[Pause, ...]:
    """List the boundary events of an EEGLAB recording with the time that was cut out."""
    # latencies lie between two samples, such as 1000.5
    found = [
        Pause(max(int(np.ceil(onset * sfreq - 1e-3)), 0), float(length))
        for onset, length, name in zip(events.onset, events.duration, events.description, strict=True)
        if is_break(name) and length * sfreq >= 0.5
    ]
    return tuple(sorted(found, key=lambda pause: pause.after))


def find_new_segments(markers: str, sfreq: float) -> tuple[Pause, ...]:
    r"""List the pauses of a BrainVision recording, by the dates of its ``New Segment`` markers.

    Examples
    --------
    >>> first = "Mk1=New Segment,,1,1,0,20240301100000000000"
    >>> second = "Mk2=New Segment,,2501,1,0,20240301100014000000"
    >>> find_new_segments(f"{first}\n{second}", 250.0)
    (Pause(after=2500, seconds=4.0),)
    """
    rows = [(int(at) - 1, _date(date)) for at, date in _SEGMENT.findall(markers)]
    found = []
    for (start, began), (after, resumed) in pairwise(rows):
        if began is None or resumed is None:
            return ()
        recorded = (after - start) / sfreq
        lost = (resumed - began).total_seconds() - recorded
        # the computer's clock, which wrote the dates, runs a little faster or slower than the amplifier's
        if lost < -(2.0 / sfreq + 1e-3 + 1e-6 * MAX_PPM * recorded):
            return ()
        found.append(Pause(after, max(lost, 0.0)))
    return tuple(found)


def _date(text: str) -> datetime.datetime | None:
    try:
        return datetime.datetime.strptime(text, "%Y%m%d%H%M%S%f").replace(tzinfo=datetime.UTC)
    except ValueError:
        return None


def restore_time(raw: BaseRaw, pauses: Sequence[Pause], name: str) -> tuple[BaseRaw, tuple[str, ...]]:
    """Give a recording the time back that it did not record."""
    sfreq = raw.info["sfreq"]
    pauses = [pause for pause in pauses if pause.after < raw.n_times]
    after = np.array([pause.after for pause in pauses], dtype=int)
    # rounded in sum, so that errors do not add up
    missing = np.diff(np.rint(np.cumsum([0.0, *(pause.seconds for pause in pauses)]) * sfreq)).astype(int)
    opened = missing > 0
    if not opened.any():
        return raw, ()
    check_memory((raw.n_times + int(missing.sum())) * len(raw.ch_names), name, raw.n_times * len(raw.ch_names))
    kept = own_annotations(raw)
    # onsets in tables are rounded to a millisecond
    near = max(1.0, 2e-3 * sfreq)
    known = is_near(kept.onset * sfreq, after[opened].astype(float), near)
    kept.delete(np.flatnonzero(known & np.array([is_break(text) for text in kept.description], bool)))
    whole = open_gaps(fresh_raw(raw, annotations=kept), after[opened], missing[opened])
    note = f"{count(int(opened.sum()), 'pause')} ({missing.sum() / sfreq:.1f} s) put back and marked as bad"
    return whole, (f"{name}: {note}",)


def mark_unplaced(
    raw: BaseRaw, lost_at: Sequence[float], placed_again: Sequence[float], name: str
) -> tuple[BaseRaw, tuple[str, ...]]:
    """Mark what follows a pause of unknown length, as nothing says when it was."""
    end = raw.n_times / raw.info["sfreq"]
    spans = [(max(a, 0.0), min(b, end)) for a, b in zip(lost_at, placed_again, strict=True)]
    spans = [(a, b) for a, b in spans if b - a > 1.0 / raw.info["sfreq"]]
    if not spans:
        return raw, ()
    total = sum(b - a for a, b in spans)
    note = (
        f"{name}: recording was paused at {spans[0][0]:.1f} s for a time that the file does not tell; "
        f"{total:.1f} s that follow cannot be placed and are left out"
    )
    warnings.warn(
        f"{note}. Declare clock triggers with shared events, or name the part before the pause in stop_s.",
        DataQualityWarning,
        stacklevel=3,
    )
    return fresh_raw(raw, annotations=own_annotations(raw) + marks(spans, UNPLACED)), (note,)
