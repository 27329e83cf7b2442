"""What chance gives: re-paired people of one session number, and windows of other times."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from hyperscan.errors import InputError, QualityError
from hyperscan.metrics.arrays import into_domain
from hyperscan.results import SynchronyResult
from hyperscan.synchrony.guard_measures import GuardValues, guard_values_of, guard_view
from hyperscan.synchrony.pair import (
    BandWindows,
    Cell,
    WindowPair,
    band_cells,
    person_windows,
    roi_means,
    shared_windows,
    whole_cell,
)
from hyperscan.synchrony.person import Signals
from hyperscan.synchrony.recipe import Recipe

Array = npt.NDArray[Any]

#: Bytes that a person takes per sample and channel while it meets partners: the signal and its spectrum in single
#: precision, and the windows of one band as complex numbers; and what filtering a band takes on top, once.
BYTES_PER_SAMPLE, BYTES_FILTERING = 16, 8

Names = tuple[str, str]


@dataclass
class PairValues:
    """What a pair of people who did not meet contributes to chance."""

    #: ROI pairs, therapist first
    roi_pairs: list[tuple[str, str]]
    #: (signal, metric, band) to mean z per ROI pair, shape (n_roi_pairs,)
    table: dict[tuple[str, str, str], Array] = field(default_factory=dict)
    #: Its part in the guards (EEG)
    guards: GuardValues | None = None


def chance_values(
    therapists: Mapping[str, Signals], clients: Mapping[str, Signals], pairs: Sequence[Names], recipe: Recipe
) -> dict[Names, PairValues]:
    """Compute many pairs of people who did not meet."""
    shared, done = {}, {}
    for t, c in pairs:
        try:
            shared[t, c] = shared_windows(therapists[t], clients[c], recipe)
        except QualityError:  # n_pseudo counts what is left
            continue
        done[t, c] = PairValues(recipe.pairs_of(therapists[t].rois, clients[c].rois))
    used = [
        {name: side[name] for name in sorted({pair[i] for pair in shared})}
        for i, side in enumerate((therapists, clients))
    ]
    if recipe.modality == "eeg":
        _add_guards(done, used, shared, recipe)
    cells = _whole_cells if recipe.modality == "fnirs" else _band_cells
    for signal in recipe.signals:
        for (t, c), cell in cells(used, signal, shared, recipe):
            means = roi_means(cell.z, therapists[t], clients[c], done[t, c].roi_pairs).mean(axis=0)
            done[t, c].table[cell.signal, cell.metric, cell.band] = means
    return done


def _add_guards(
    done: Mapping[Names, PairValues],
    people: Sequence[Mapping[str, Signals]],
    shared: Mapping[Names, WindowPair],
    recipe: Recipe,
) -> None:
    ours, theirs = (
        {name: guard_view(person, recipe, roi) for name, person in side.items()}
        for side, roi in zip(people, recipe.primary.rois, strict=True)
    )
    for (t, c), windows in shared.items():
        done[t, c].guards = guard_values_of(ours[t], theirs[c], recipe, windows)


def _band_cells(
    people: Sequence[Mapping[str, Signals]], signal: str, shared: Mapping[Names, WindowPair], recipe: Recipe
) -> Iterator[tuple[Names, Cell]]:
    streams = [
        {
            name: person_windows(person, signal, recipe.bands, round(recipe.window_s * person.sfreq))
            for name, person in side.items()
        }
        for side in people
    ]
    for band in recipe.bands:
        ours, theirs = ({name: next(stream)[1] for name, stream in side.items()} for side in streams)
        for (t, c), windows in shared.items():
            sfreq = people[0][t].sfreq
            for cell in band_cells(ours[t], theirs[c], signal, band, sfreq, recipe, windows):
                yield (t, c), cell
        del ours, theirs  # before the next band is filtered


def _whole_cells(
    people: Sequence[Mapping[str, Signals]], signal: str, shared: Mapping[Names, WindowPair], recipe: Recipe
) -> Iterator[tuple[Names, Cell]]:
    there = {
        (t, c): windows
        for (t, c), windows in shared.items()
        if signal in people[0][t].data and signal in people[1][c].data
    }
    for band in recipe.bands:
        for spec in recipe.metrics:
            inputs: dict[tuple[int, str, int], Any] = {}
            for (t, c), windows in there.items():
                for role, name, (start,) in ((0, t, windows.therapist), (1, c, windows.client)):
                    if (role, name, windows.n_window) not in inputs:
                        person = people[role][name]
                        window = person.data[signal][:, start : start + windows.n_window]
                        made = into_domain(window, spec.domain, person.sfreq, recipe.bands[band])
                        inputs[role, name, windows.n_window] = made
                x, y = inputs[0, t, windows.n_window], inputs[1, c, windows.n_window]
                yield (t, c), whole_cell(spec, x, y, signal, band, people[0][t].sfreq, recipe)


#: Most shifts of the client's windows: enough for the middle 95 % that is drawn, and 40 times a session's work (ours).
MAX_SHIFTS = 40


def with_other_windows(
    result: SynchronyResult, a: Signals, b: Signals, recipe: Recipe, windows: WindowPair, n_null: int | None
) -> SynchronyResult:
    """Add what every window of the therapist reaches with the client's windows of other times."""
    count = len(windows.therapist)
    if count < 2:
        raise InputError("null = 'windows': this session is one window, so there is no other to meet. Use 'lags'.")
    shifts = np.unique(np.linspace(1, count - 1, min(n_null or MAX_SHIFTS, count - 1)).round().astype(int))
    data, pairs = result.dataset, recipe.pairs_of(a.rois, b.rois)
    axes = [list(map(str, data[dim].values)) for dim in ("signal", "metric", "band")]
    out = np.full((*map(len, axes), len(shifts), count, len(pairs)), np.nan)
    for row, cell in _moved(a, b, recipe, windows, shifts):
        where = tuple(
            names.index(name) for names, name in zip(axes, (cell.signal, cell.metric, cell.band), strict=True)
        )
        out[where][row] = roi_means(cell.z, a, b, pairs)
    dims = ("signal", "metric", "band", "shift", "window", "roi_pair")
    return SynchronyResult(data.assign(window_null=(dims, out)))


def _moved(a: Signals, b: Signals, recipe: Recipe, windows: WindowPair, shifts: Array) -> Iterator[tuple[int, Any]]:
    """Stream the bands, and in each band the client's windows moved on by every shift."""
    signal = recipe.signals[0]
    streams = [person_windows(person, signal, recipe.bands, windows.n_window) for person in (a, b)]
    for band in recipe.bands:
        ours, theirs = (next(stream)[1] for stream in streams)
        partners = theirs.at(windows.client)
        for row, shift in enumerate(shifts):
            moved = BandWindows(windows.client, np.roll(partners, shift, axis=0))
            for cell in band_cells(ours, moved, signal, band, a.sfreq, recipe, windows):
                yield row, cell
        del ours, theirs, partners  # before the next band is filtered
