"""Everything that a dyad-session is compared by, from one filtering of its two people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from hyperscan.schema import Cell
from hyperscan.synchrony.chance import OwnChance, band_own_chance, own_chance
from hyperscan.synchrony.guard_measures import GuardValues, band_guard_values
from hyperscan.synchrony.lag_null import LagTest, band_lag_tests, lag_tests
from hyperscan.synchrony.pair import CellValues, WindowPair, band_cells, cells, pair_bands
from hyperscan.synchrony.person import Signals
from hyperscan.synchrony.recipe import Recipe


@dataclass(frozen=True)
class SessionValues:
    """What one pair of partners has in every signal, metric and band."""

    cells: tuple[CellValues, ...]
    lag: Mapping[Cell, LagTest] = field(default_factory=dict)
    own: Mapping[Cell, OwnChance] = field(default_factory=dict)
    #: Its part in the guards (EEG)
    guards: GuardValues | None = None


def session_values(
    a: Signals, b: Signals, recipe: Recipe, windows: WindowPair, *, n_null: int, rng: np.random.Generator
) -> SessionValues:
    """Compute values, lag null, the pair's own chance level and its part in the guards, band by band."""
    if recipe.modality == "fnirs":
        lag = lag_tests(a, b, recipe, windows, n_null=n_null, rng=rng)
        return SessionValues(tuple(cells(a, b, recipe, windows)), lag, own_chance(a, b, recipe, windows, lag))
    found: list[CellValues] = []
    tests: dict[Cell, LagTest] = {}
    own: dict[Cell, OwnChance] = {}
    guards = None
    for both in pair_bands(a, b, recipe, windows):
        found += band_cells(both, a.sfreq, recipe, windows)
        tests |= band_lag_tests(both, a, b, recipe, n_null=n_null, rng=rng)
        own |= band_own_chance(both, a, b, recipe, windows)
        if both.band == recipe.primary.band:
            guards = band_guard_values(both, a, b, recipe, windows)
        del both  # before the next band is filtered
    return SessionValues(tuple(found), tests, own, guards)
