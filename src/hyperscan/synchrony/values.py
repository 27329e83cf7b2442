"""Everything that a dyad-session is compared by, from one filtering of its two people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from hyperscan.recall import remembered
from hyperscan.schema import ROLES, Cell
from hyperscan.synchrony.chance import OwnChance, band_own_chance, own_chance
from hyperscan.synchrony.guard_measures import GuardValues, band_guard_values
from hyperscan.synchrony.lag_null import LagTest, band_lag_tests, lag_tests
from hyperscan.synchrony.pair import CellValues, WindowPair, band_cells, cells, pair_bands
from hyperscan.synchrony.person import Signals, WithinValue, same
from hyperscan.synchrony.recipe import Recipe
from hyperscan.synchrony.within import PersonView, within_values


@dataclass(frozen=True)
class SessionValues:
    """What one pair of partners has in every signal, metric and band."""

    cells: tuple[CellValues, ...]
    lag: Mapping[Cell, LagTest] = field(default_factory=dict)
    own: Mapping[Cell, OwnChance] = field(default_factory=dict)
    #: Its part in the guards (EEG) by metric, the primary one first
    guards_of: Mapping[str, GuardValues] = field(default_factory=dict)
    #: Role to the indices of that person alone
    within: Mapping[str, Sequence[WithinValue]] = field(default_factory=dict)

    @property
    def guards(self) -> GuardValues | None:
        """Its part in the guards of the primary outcome."""
        return next(iter(self.guards_of.values()), None)


def outcome_values(
    a: Signals, b: Signals, recipe: Recipe, windows: WindowPair, *, n_null: int, rng: np.random.Generator, null: bool
) -> SessionValues:
    """Compute of all this what growth of the primary outcome and its guards are taken of.

    ``null``: with the lag null, which is the chance level of a pair that has no other.
    """
    if recipe.modality == "fnirs":  # whose shifts are the own chance level too
        lag = lag_tests(a, b, recipe, windows, n_null=n_null, rng=rng)
        return SessionValues(tuple(cells(a, b, recipe, windows)), lag, own_chance(a, b, recipe, windows, lag))
    (both,) = pair_bands(a, b, recipe, windows)
    return SessionValues(
        tuple(band_cells(both, a.sfreq, recipe, windows)),
        band_lag_tests(both, a, b, recipe, n_null=n_null, rng=rng) if null else {},
        band_own_chance(both, a.sfreq, recipe, windows),
        band_guard_values(both, a, b, recipe, windows),
    )


def session_values(
    a: Signals, b: Signals, recipe: Recipe, windows: WindowPair, *, n_null: int, rng: np.random.Generator
) -> SessionValues:
    """Compute values, lag null, own chance level and guards of the pair, and each person alone, band by band."""
    sides = zip(ROLES, (a, b), (windows.therapist, windows.client), strict=True)
    if recipe.modality == "fnirs":
        lag = lag_tests(a, b, recipe, windows, n_null=n_null, rng=rng)
        within = {role: within_values(person, starts, windows.n_window, recipe) for role, person, starts in sides}
        chance = own_chance(a, b, recipe, windows, lag)
        return SessionValues(tuple(cells(a, b, recipe, windows)), lag, chance, within=within)
    # each person alone has no metric of the pair
    alone_recipe = recipe.but_metrics
    views = {
        role: remembered(
            ("view", a.key, role),
            (*same(a, b), alone_recipe),
            partial(PersonView.of, person, starts, windows.n_window, alone_recipe.of(role)),
        )
        for role, person, starts in sides
    }
    alone = {
        role: list(remembered(("spectral", a.key, role), (*same(a, b), alone_recipe), view.spectral_values))
        for role, view in views.items()
    }
    found: list[CellValues] = []
    tests: dict[Cell, LagTest] = {}
    own: dict[Cell, OwnChance] = {}
    guards: Mapping[str, GuardValues] = {}
    for both in pair_bands(a, b, recipe, windows):
        found += band_cells(both, a.sfreq, recipe, windows)
        tests |= band_lag_tests(both, a, b, recipe, n_null=n_null, rng=rng)
        own |= band_own_chance(both, a.sfreq, recipe, windows)
        if both.signal == recipe.signals[0]:  # guards and each person alone are of the primary signal
            if both.band == recipe.primary.band:
                guards = band_guard_values(both, a, b, recipe, windows)
            for role, signals in zip(ROLES, (both.a, both.b), strict=True):
                compute = partial(views[role].band_values, both.band, signals)
                alone[role] += remembered(("alone", a.key, role), (*same(a, b), alone_recipe, both.band), compute)
            del signals, compute
        del both  # before the next band is filtered
    return SessionValues(tuple(found), tests, own, guards, alone)
