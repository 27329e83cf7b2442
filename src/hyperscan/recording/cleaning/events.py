"""Annotated events of a session, as regressors: what turns, exercises and conditions evoke in anybody.

Two people in one room follow one protocol. Responses to its events make them alike without any coupling,
and differently so in every session; they are regressed out before synchrony is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import scipy
from mne.io import BaseRaw
from numpy.typing import NDArray

from hyperscan.recording.annotations import is_called, own_annotations
from hyperscan.recording.cleaning.light import regress_out, zero_phase

#: Annotations that describe the recording, not the session.
_TECHNICAL = ("bad", "edge", "new segment", "boundary", "start recording", "end recording", "recording")
#: An event that covers more of the recording is the recording itself (our choice).
_MAX_COVER = 0.9
#: Event times closer than this, in s, in both recordings are one event.
_SAME_S = 0.5
#: With more kinds of events than this, all are taken as one: a code per event has no average (our choice).
MAX_KINDS = 12

Array = NDArray[np.floating]


class SessionEvent(NamedTuple):
    """An annotated event of a session, in s from the first sample."""

    onset_s: float
    duration_s: float


def session_events(raws: Collection[BaseRaw], ignore: Collection[str] = ()) -> dict[str, list[SessionEvent]]:
    """Collect the events annotated in either recording of a pair, by label."""
    events = _events_by(raws, lambda label: "" if any(is_called(label, name) for name in ignore) else label)
    if len(events) > MAX_KINDS:
        return {"any event": sorted({event for group in events.values() for event in group})}
    return events


def task_events(raws: Collection[BaseRaw], tasks: Sequence[str]) -> dict[str, list[SessionEvent]]:
    """Collect the events of some tasks annotated in either recording of a pair, by the task's name, in time's order."""
    found = _events_by(raws, lambda label: next((task for task in tasks if is_called(label, task)), ""))
    return {task: sorted(found.get(task, [])) for task in tasks}


def _events_by(raws: Collection[BaseRaw], name_of: Callable[[str], str]) -> dict[str, list[SessionEvent]]:
    """Gather events by what their label is called, once where both recordings have them; nothing = left out."""
    events: dict[str, list[SessionEvent]] = {}
    for raw in raws:
        seconds = raw.n_times / raw.info["sfreq"]
        own = own_annotations(raw)
        for onset, duration, label in zip(own.onset, own.duration, map(str, own.description), strict=True):
            name = name_of(label)
            if not name or label.lower().startswith(_TECHNICAL) or duration > _MAX_COVER * seconds:
                continue
            known = events.setdefault(name, [])
            if all(abs(onset - other.onset_s) > _SAME_S for other in known):
                known.append(SessionEvent(float(onset), float(duration)))
    return events


def haemodynamic_response(times: Array) -> Array:
    """Canonical response to a brief event, peak 1.

    Friston et al. 1998, https://doi.org/10.1006/nimg.1997.0306 (gamma densities of 6 and 16 s, ratio 6)

    Shapes: ``times`` (n_times,), returns (n_times,).

    Examples
    --------
    >>> times = np.arange(0, 32, 0.1)
    >>> float(times[haemodynamic_response(times).argmax()].round(1))
    5.0
    """
    positive = np.maximum(times, 1e-9)
    early, late = (
        np.exp((shape - 1) * np.log(positive) - positive - scipy.special.gammaln(shape)) for shape in (6.0, 16.0)
    )
    response = early - late / 6
    return np.asarray(response / response.max())


def expected_response(group: Sequence[SessionEvent], n_times: int, sfreq: float, shortest_s: float = 0.0) -> Array:
    """Model the response to events of one kind: 1 is where that to a very long event ends.

    Shapes: returns (n_times,).
    """
    kernel = haemodynamic_response(np.arange(0, 32, 1 / sfreq))
    course = np.zeros(n_times)
    for onset, duration in group:
        first = round(onset * sfreq)
        course[max(first, 0) : max(first + max(1, round(max(duration, shortest_s) * sfreq)), 0)] += 1
    return np.asarray(np.convolve(course, kernel / kernel.sum())[:n_times])


def event_regressors(events: Mapping[str, Sequence[SessionEvent]], n_times: int, sfreq: float) -> Array:
    """Model the responses to events: per kind the canonical one and its slope in time.

    Shapes: returns (2 * n_kinds, n_times), without those that never change.
    """
    rows = []
    for group in events.values():
        expected = expected_response(group, n_times, sfreq)
        rows += [expected, np.gradient(expected)]
    return np.array([row for row in rows if np.ptp(row) > 0]).reshape(-1, n_times)


def regress_events(
    data: Array, events: Mapping[str, Sequence[SessionEvent]], sfreq: float, band: tuple[float, float]
) -> Array | None:
    """Remove the responses to session events, filtered like the data; None where too many kinds leave too little.

    Shapes: ``data`` (n_channels, n_times), returns (n_channels, n_times).
    """
    n_times = data.shape[-1]
    design = event_regressors(events, n_times, sfreq)
    if not len(design) or len(design) > n_times // 10:
        return None
    low, high = band
    # filtered like the data, or slow differences would come back
    return regress_out(data, zero_phase(design, sfreq, low, min(high, 0.45 * sfreq)))[0]
