"""Prepared recordings in, labelled synchrony out: the only translator between raws and metrics.

One path serves real pairs and pseudo-pairs alike.
"""

from hyperscan.synchrony.chance import BYTES_PER_SAMPLE, OwnChance, PairValues, chance_values, own_chance
from hyperscan.synchrony.guard_measures import GuardRow, GuardValues, guard_row, guard_values
from hyperscan.synchrony.lag_null import LagTest, lag_tests
from hyperscan.synchrony.pair import shared_windows
from hyperscan.synchrony.person import Signals, WithinValue, session_ranks, signals_of
from hyperscan.synchrony.recipe import Recipe, recipe_of
from hyperscan.synchrony.session import roi_table, session_attrs, session_result, with_lag_tests
from hyperscan.synchrony.values import SessionValues, compute_synchrony, outcome_values, session_values
from hyperscan.synchrony.within import within_values

__all__ = [
    "BYTES_PER_SAMPLE",
    "GuardRow",
    "GuardValues",
    "LagTest",
    "OwnChance",
    "PairValues",
    "Recipe",
    "SessionValues",
    "Signals",
    "WithinValue",
    "chance_values",
    "compute_synchrony",
    "guard_row",
    "guard_values",
    "lag_tests",
    "outcome_values",
    "own_chance",
    "recipe_of",
    "roi_table",
    "session_attrs",
    "session_ranks",
    "session_result",
    "session_values",
    "shared_windows",
    "signals_of",
    "with_lag_tests",
    "within_values",
]
