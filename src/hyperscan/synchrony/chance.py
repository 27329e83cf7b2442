"""What chance gives: re-paired people of one session number, and windows of other times."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from hyperscan.errors import InputError, QualityError
from hyperscan.results import SynchronyResult
from hyperscan.schema import ROLES, Cell, RoiPair
from hyperscan.synchrony.guard_measures import GuardValues, guard_values_of, guard_view
from hyperscan.synchrony.lag_null import LagTest
from hyperscan.synchrony.pair import (
    CellValues,
    Lenders,
    PairBand,
    WindowPair,
    band_cells,
    holding,
    pair_bands,
    person_bands,
    roi_means,
    shared_windows,
    whole_cells,
)
from hyperscan.synchrony.person import Signals
from hyperscan.synchrony.recipe import Recipe
from hyperscan.synchrony.session import names_of, place_of

Array = npt.NDArray[Any]

#: Bytes that a person takes per sample and channel while it meets partners, in single precision: the signal, and one
#: band as complex numbers.
BYTES_PER_SAMPLE = 12

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
    #: shape (n_lags, n_roi_pairs): The same at every lag of the profile, where there is one
    profiles: dict[Cell, Array] = field(default_factory=dict)
    #: Its part in the guards (EEG) by metric, the primary one first
    guards_of: Mapping[str, GuardValues] = field(default_factory=dict)

    @property
    def guards(self) -> GuardValues | None:
        """Its part in the guards of the primary outcome."""
        return next(iter(self.guards_of.values()), None)


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
    compute = whole_cells if recipe.modality == "fnirs" else _band_cells_and_guards
    for pair, found in compute(therapists, clients, shared, recipe):
        if not isinstance(found, CellValues):
            done[pair].guards_of = found
            continue
        people = therapists[pair.therapist], clients[pair.client]
        done[pair].table[found.cell] = found.roi_z.mean(axis=0)
        if found.profile is not None:
            done[pair].profiles[found.cell] = roi_means(found.profile, *people, done[pair].roi_pairs)
    return done


def _band_cells_and_guards(
    therapists: Mapping[str, Signals],
    clients: Mapping[str, Signals],
    shared: Mapping[Lenders, WindowPair],
    recipe: Recipe,
) -> Iterator[tuple[Lenders, CellValues | dict[str, GuardValues]]]:
    """Stream the pairs band by band, with everyone filtered in one band in memory; with the primary one its guards."""
    for signal in recipe.signals:
        there = holding(signal, therapists, clients, shared)
        streams = [
            {
                name: person_bands(person, signal, recipe.of(role).bands, round(recipe.window_s * person.sfreq))
                for name, person in side.items()
                if signal in person.data
            }
            for role, side in zip(ROLES, (therapists, clients), strict=True)
        ]
        for band in recipe.bands:
            ours, theirs = ({name: next(stream)[1] for name, stream in side.items()} for side in streams)
            for pair, windows in there.items():
                filtered = PairBand(signal, band, ours[pair.therapist], theirs[pair.client])
                for found in band_cells(filtered, therapists[pair.therapist].sfreq, recipe, windows):
                    yield pair, found
                del filtered
            if (signal, band) == (recipe.signals[0], recipe.primary.band):
                my = {name: guard_view(therapists[name], recipe, "therapist", one) for name, one in ours.items()}
                your = {name: guard_view(clients[name], recipe, "client", one) for name, one in theirs.items()}
                for pair, windows in there.items():
                    yield pair, guard_values_of(my[pair.therapist], your[pair.client], recipe, windows)
                del my, your
            del ours, theirs  # before the next band is filtered


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
    levels: dict[Cell, OwnChance] = {}
    for both in pair_bands(a, b, recipe, windows):
        levels |= band_own_chance(both, a.sfreq, recipe, windows)
        del both  # before the next band is filtered
    return levels


def band_own_chance(both: PairBand, sfreq: float, recipe: Recipe, windows: WindowPair) -> dict[Cell, OwnChance]:
    """Chance level of a dyad-session from the two people themselves, in one band (EEG)."""
    count = len(windows.client)
    shifts = own_shifts(count, windows.n_window).tolist()
    sums: dict[Cell, Array] = {}
    for shift in shifts:
        for found in band_cells(both, sfreq, recipe, windows, shift=shift):
            sums[found.cell] = sums.get(found.cell, 0.0) + found.roi_z.mean(axis=0)
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
    data, pairs = result.dataset, recipe.pairs_of(a.rois, b.rois)
    names = names_of(data)
    out = np.full((*map(len, names.values()), len(shifts), count, len(pairs)), np.nan)
    for both in pair_bands(a, b, recipe, windows):
        for row, shift in enumerate(shifts.tolist()):
            for found in band_cells(both, a.sfreq, recipe, windows, shift=shift * windows.n_window):
                out[place_of(found.cell, names)][row] = found.roi_z
        del both  # before the next band is filtered
    dims = (*names, "shift", "window", "roi_pair")
    return SynchronyResult(data.assign(window_null=(dims, out)))
