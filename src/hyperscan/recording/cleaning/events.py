"""Annotated events of a session, as regressors: what turns, exercises and conditions evoke in anybody.

Two people in one room follow one protocol. Responses to its events make them alike without any coupling,
and differently so in every session; they are regressed out before synchrony is computed.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from mne.io import BaseRaw
from numpy.typing import NDArray
from scipy.special import gammaln

from hyperscan.recording.annotations import is_called, own_annotations

#: Annotations that describe the recording, not the session.
_TECHNICAL = ("bad", "edge", "new segment", "boundary", "start recording", "end recording", "recording")
#: An event that covers more of the recording is the recording itself (our choice).
_MAX_COVER = 0.9
#: Event times closer than this, in s, in both recordings are one event.
_SAME_S = 0.5
#: With more kinds of events than this, all are taken as one: a code per event has no average (our choice).
MAX_KINDS = 12

Floats = NDArray[np.floating]
Events = dict[str, list[tuple[float, float]]]


def session_events(raws: Collection[BaseRaw], ignore: Collection[str] = ()) -> Events:
    """Events annotated in either recording of a pair."""
    events: Events = {}
    for raw in raws:
        seconds = raw.n_times / raw.info["sfreq"]
        own = own_annotations(raw)
        for onset, duration, label in zip(own.onset, own.duration, own.description, strict=True):
            named = any(is_called(str(label), name) for name in ignore)
            if named or str(label).lower().startswith(_TECHNICAL) or duration > _MAX_COVER * seconds:
                continue
            known = events.setdefault(str(label), [])
            if all(abs(onset - other) > _SAME_S for other, _ in known):
                known.append((float(onset), float(duration)))
    if len(events) > MAX_KINDS:
        return {"any event": sorted({event for group in events.values() for event in group})}
    return events


def haemodynamic_response(times: Floats) -> Floats:
    """Canonical response to a brief event, peak 1.

    Friston et al. 1998, https://doi.org/10.1006/nimg.1997.0306 (gamma densities of 6 and 16 s, ratio 6)

    Shapes: ``times`` (n_times,), returns (n_times,).

    Examples
    --------
    >>> times = np.arange(0, 32, 0.1)
    >>> float(times[haemodynamic_response(times).argmax()].round(1))
    5.0
    """
    response = _gamma(times, 6.0) - _gamma(times, 16.0) / 6
    return np.asarray(response / response.max())


def _gamma(times: Floats, shape: float) -> Floats:
    positive = np.maximum(times, 1e-9)
    return np.exp((shape - 1) * np.log(positive) - positive - gammaln(shape))


def event_regressors(events: Events, n_times: int, sfreq: float) -> Floats:
    """Model the responses to events: per kind the canonical one and its slope in time.

    Shapes: returns (2 * n_kinds, n_times).
    """
    kernel = haemodynamic_response(np.arange(0, 32, 1 / sfreq))
    rows = []
    for group in events.values():
        course = np.zeros(n_times)
        for onset, duration in group:
            first = round(onset * sfreq)
            course[max(first, 0) : max(first + max(1, round(duration * sfreq)), 0)] += 1
        expected = np.convolve(course, kernel)[:n_times]
        rows += [expected, np.gradient(expected)]
    return np.array([row for row in rows if np.ptp(row) > 0]).reshape(-1, n_times)
