"""Values of several analyses of one study: means over windows, and chance out of the pairs of all."""

from __future__ import annotations

import numpy as np

from hyperscan.pipeline.universes import OutcomeChance, window_means
from hyperscan.schema import RoiPair
from hyperscan.synchrony.pair import Cell, CellValues

CELL = Cell("eeg", "plv", "alpha")


def test_means_leave_out_windows_without_a_value() -> None:
    z = np.array([[1.0, np.nan], [2.0, np.nan], [np.nan, np.nan], [5.0, np.nan]])
    found = window_means(CellValues(CELL, np.tanh(z), z))
    np.testing.assert_allclose(found["z"], [8 / 3, np.nan])
    np.testing.assert_allclose(found["estimate"], [np.tanh([1, 2, 5]).mean(), np.nan])
    # windows 0 and 2 against 1 and 3
    np.testing.assert_allclose(found["halves_z"], [1.0 - 3.5, np.nan])
    assert "halves_z" not in window_means(CellValues(CELL, z[:1], z[:1]))


def test_no_pair_beside_a_value_covers_nothing() -> None:
    pair, other = RoiPair("all", "all"), RoiPair("frontal", "frontal")
    empty = OutcomeChance.of((), ())
    assert not empty.covers(CELL, [pair])
    chance = OutcomeChance({(CELL, pair): np.array([np.nan, 0.1]), (CELL, other): np.array([np.nan])})
    assert chance.covers(CELL, [pair])
    assert not chance.covers(CELL, [pair, other])
