"""Response of one person's haemoglobin to an annotated task: a general linear model of every channel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hyperscan.recording.cleaning.events import SessionEvent, expected_response
from hyperscan.recording.cleaning.light import zero_phase
from hyperscan.recording.records import TaskResponse
from hyperscan.transforms.regression import ar_irls

Array = NDArray[np.floating]

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
