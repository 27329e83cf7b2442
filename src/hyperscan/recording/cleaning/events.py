"""Annotated events of a session, as regressors: what turns, exercises and conditions evoke in anybody.

Two people in one room follow one protocol. Responses to its events make them alike without any coupling,
and differently so in every session; they are regressed out before synchrony is computed. What a task evokes in one
person's haemoglobin is estimated by a general linear model of every channel.
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
from hyperscan.recording.records import TaskResponse
from hyperscan.transforms.regression import ar_irls

#: Annotations that describe the recording, not the session.
_TECHNICAL = ("bad", "edge", "new segment", "boundary", "start recording", "end recording", "recording")
#: An event that covers more of the recording is the recording itself (our choice).
_MAX_COVER = 0.9
#: Event times closer than this, in s, in both recordings are one event.
_SAME_S = 0.5
#: With more kinds of events than this, all are taken as one: a code per event has no average (our choice).
MAX_KINDS = 12

#: Fewer events of a task than this give no response (our choice: each would decide it).
MIN_EVENTS = 3
#: Events that were marked by a moment count as so long, in s (as MNE-NIRS has it).
MOMENT_S = 1.0
#: Share of a task's course that other tasks and the scalp may explain (our choice: beyond it noise grows tenfold).
MAX_SHARED = 0.9
#: Orders of the noise model per Hz (Barker et al. 2013, https://doi.org/10.1364/BOE.4.001366).
ORDERS_PER_HZ = 4
#: Share of the samples that regressors of the scalp may be in number (our choice).
MAX_SCALP = 0.02

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


def estimate_responses(
    blood: Mapping[str, Array],
    scalp: Array,
    tasks: Mapping[str, Sequence[SessionEvent]],
    sfreq: float,
    high_pass_hz: float,
) -> tuple[tuple[TaskResponse, ...], dict[str, str]]:
    """Estimate the response to every task, and say why one has none.

    All tasks and the short channels enter one model, filtered as the data are.

    Shapes: ``blood`` by chromophore (n_channels, n_times), ``scalp`` (n_short, n_times).
    """
    n_times = next(iter(blood.values())).shape[-1]
    inside = {task: [event for event in group if event.onset_s < n_times / sfreq] for task, group in tasks.items()}
    lacking = {
        task: f"{len(group)} events, and a response needs {MIN_EVENTS}"
        for task, group in inside.items()
        if len(group) < MIN_EVENTS
    }
    there = {task: group for task, group in inside.items() if task not in lacking}
    if not there:
        return (), lacking
    courses = np.array([expected_response(group, n_times, sfreq, MOMENT_S) for group in there.values()])
    # filtered like the data, or slow differences would come back
    design = np.vstack([zero_phase(courses, sfreq, high_pass_hz), _components(scalp)])
    blurred = dict.fromkeys(_shared(design, list(there)), "its course is that of other tasks or of the scalp")
    if blurred:
        others = {task: group for task, group in there.items() if task not in blurred}
        found, further = estimate_responses(blood, scalp, others, sfreq, high_pass_hz)
        return found, {**lacking, **blurred, **further}
    order = max(1, round(ORDERS_PER_HZ * sfreq))
    fits = {kind: ar_irls(rows, design, order) for kind, rows in blood.items()}
    found = tuple(
        TaskResponse(
            task,
            len(group),
            float(np.mean([event.duration_s for event in group])),
            {kind: fit[:, number] for kind, fit in fits.items()},
        )
        for number, (task, group) in enumerate(there.items())
    )
    return found, lacking


def _components(scalp: Array) -> Array:
    """Short channels as regressors that do not repeat each other (Santosa et al. 2020, doi:10.1117/1.NPh.7.3.035009).

    Shapes: ``scalp`` (n_short, n_times), returns (n_components, n_times).
    """
    if not len(scalp):
        return scalp
    centred = scalp - scalp.mean(axis=-1, keepdims=True)
    _, sizes, components = np.linalg.svd(centred / centred.std(axis=-1, keepdims=True), full_matrices=False)
    n_most = max(1, int(MAX_SCALP * scalp.shape[-1]))
    return np.asarray(components[sizes > 1e-6 * sizes[0]][:n_most])


def _shared(design: Array, tasks: Sequence[str]) -> list[str]:
    """Tasks whose course the other regressors explain, or that has none."""
    centred = (design - design.mean(axis=-1, keepdims=True)).T
    found = []
    for number, task in enumerate(tasks):
        own, rest = centred[:, number], np.delete(centred, number, axis=1)
        left = own - rest @ np.linalg.lstsq(rest, own, rcond=None)[0] if rest.size else own
        if not left @ left > (1 - MAX_SHARED) * (own @ own):
            found.append(task)
    return found
