"""What chance gives: re-paired people of one session number, and windows of other times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from hyperscan.errors import InputError, QualityError
from hyperscan.results import SynchronyResult
from hyperscan.schema import Cell, RoiPair
from hyperscan.synchrony.guard_measures import GuardValues, guard_values_of, guard_view
from hyperscan.synchrony.lag_null import LagTest
from hyperscan.synchrony.pair import (
    BandWindows,
    Lenders,
    WindowPair,
    band_cells,
    both_windows,
    cells_of_pairs,
    roi_means,
    shared_windows,
)
from hyperscan.synchrony.person import Signals
from hyperscan.synchrony.recipe import Recipe
from hyperscan.synchrony.session import names_of, place_of

Array = npt.NDArray[Any]

#: Bytes that a person takes per sample and channel while it meets partners: the signal and its spectrum in single
#: precision, and the windows of one band as complex numbers; and what filtering a band takes on top, once.
BYTES_PER_SAMPLE, BYTES_FILTERING = 16, 8

#: Mismatched windows that a session's own chance level rests on at least, and the most and fewest shifts that make
#: them: three windows need many shifts for a steady level, long sessions few (our choice).
OWN_WINDOWS, MOST_OWN_SHIFTS, FEWEST_OWN_SHIFTS = 60, 20, 4

#: Most shifts of the client's windows: enough for the middle 95 % that is drawn, and 40 times a session's work (ours).
MAX_SHIFTS = 40


@dataclass
class PairValues:
    """What a pair of people who did not meet contributes to chance."""

    roi_pairs: list[RoiPair]
    #: shape (n_roi_pairs,): Mean z per ROI pair
    table: dict[Cell, Array] = field(default_factory=dict)
    #: Its part in the guards (EEG)
    guards: GuardValues | None = None


def chance_values(
    therapists: Mapping[str, Signals],
    clients: Mapping[str, Signals],
    pairs: Sequence[tuple[str, str]],
    recipe: Recipe,
) -> dict[Lenders, PairValues]:
    """Compute many pairs of people who did not meet, by the dyads that lend therapist and client."""
    shared, done = {}, {}
    for pair in map(Lenders._make, pairs):
        a, b = therapists[pair.therapist], clients[pair.client]
        try:
            shared[pair] = shared_windows(a, b, recipe)
        except QualityError:  # n_pseudo counts what is left
            continue
        done[pair] = PairValues(recipe.pairs_of(a.rois, b.rois))
    therapists = {name: therapists[name] for name in sorted({pair.therapist for pair in shared})}
    clients = {name: clients[name] for name in sorted({pair.client for pair in shared})}
    if recipe.modality == "eeg":
        ours = {name: guard_view(person, recipe, "therapist") for name, person in therapists.items()}
        theirs = {name: guard_view(person, recipe, "client") for name, person in clients.items()}
        for pair, windows in shared.items():
            done[pair].guards = guard_values_of(ours[pair.therapist], theirs[pair.client], recipe, windows)
        del ours, theirs  # before the bands are filtered
    for pair, found in cells_of_pairs(therapists, clients, shared, recipe):
        means = roi_means(found.z, therapists[pair.therapist], clients[pair.client], done[pair].roi_pairs)
        done[pair].table[found.cell] = means.mean(axis=0)
    return done


@dataclass(frozen=True)
class OwnChance:
    """What the same two people reach at times that do not match, for one signal, metric and band."""

    #: shape (n_roi_pairs,): Mean z over the mismatched windows
    mean_z: Array
    #: Mismatched windows, or shifts
    n: int


def own_chance(
    a: Signals, b: Signals, recipe: Recipe, windows: WindowPair, lag: Mapping[Cell, LagTest]
) -> dict[Cell, OwnChance]:
    """Chance level of a dyad-session from the two people themselves, who keep their spectra and lose their timing.

    EEG: the client's windows, one after the other, are shifted by one window and more, and cut again; no piece meets
    the time it was recorded at. fNIRS has one window, and the shifts of its lag null are this level.
    """
    if recipe.modality == "fnirs":
        return {cell: OwnChance(test.chance, len(test.surrogates)) for cell, test in lag.items()}
    count, pairs = len(windows.client), recipe.pairs_of(a.rois, b.rois)
    shifts = own_shifts(count, windows.n_window)
    if not len(shifts):
        return {}
    sums: dict[Cell, Array] = {}
    for signal in recipe.signals:
        streams = both_windows(a, b, signal, recipe, windows.n_window)
        for band in recipe.bands:
            ours, theirs = (next(stream)[1] for stream in streams)
            partners = theirs.at(windows.client)
            in_time = partners.swapaxes(0, 1).reshape(partners.shape[1], -1)
            for shift in shifts:
                cut = np.roll(in_time, shift, axis=-1).reshape(len(in_time), count, -1).swapaxes(0, 1)
                moved = BandWindows(windows.client, np.ascontiguousarray(cut))
                for found in band_cells(ours, moved, signal, band, a.sfreq, recipe, windows):
                    means = roi_means(found.z, a, b, pairs).mean(axis=0)
                    sums[found.cell] = sums.get(found.cell, 0.0) + means
            del ours, theirs, partners, in_time, cut, moved  # before the next band is filtered
    return {cell: OwnChance(total / len(shifts), count * len(shifts)) for cell, total in sums.items()}


def own_shifts(n_windows: int, n_window: int) -> Array:
    """Shifts in samples, evenly spaced, that bring no window to a piece of its own time; none below two windows."""
    if n_windows < 2:
        return np.empty(0, dtype=int)
    wanted = int(np.clip(np.ceil(OWN_WINDOWS / n_windows), FEWEST_OWN_SHIFTS, MOST_OWN_SHIFTS))
    return np.unique(np.linspace(n_window, (n_windows - 1) * n_window, wanted).round().astype(int))


def with_other_windows(
    result: SynchronyResult, a: Signals, b: Signals, recipe: Recipe, windows: WindowPair, n_null: int | None
) -> SynchronyResult:
    """Add what every window of the therapist reaches with the client's windows of other times."""
    count = len(windows.therapist)
    if count < 2:
        raise InputError("null = 'windows': this session is one window, so there is no other to meet. Use 'lags'.")
    shifts = np.unique(np.linspace(1, count - 1, min(n_null or MAX_SHIFTS, count - 1)).round().astype(int))
    data, pairs, signal = result.dataset, recipe.pairs_of(a.rois, b.rois), recipe.signals[0]
    names = names_of(data)
    out = np.full((*map(len, names.values()), len(shifts), count, len(pairs)), np.nan)
    streams = both_windows(a, b, signal, recipe, windows.n_window)
    for band in recipe.bands:
        ours, theirs = (next(stream)[1] for stream in streams)
        partners = theirs.at(windows.client)
        for row, shift in enumerate(shifts):
            moved = BandWindows(windows.client, np.roll(partners, shift, axis=0))
            for found in band_cells(ours, moved, signal, band, a.sfreq, recipe, windows):
                out[place_of(found.cell, names)][row] = roi_means(found.z, a, b, pairs)
        del ours, theirs, partners, moved  # before the next band is filtered
    dims = (*names, "shift", "window", "roi_pair")
    return SynchronyResult(data.assign(window_null=(dims, out)))
