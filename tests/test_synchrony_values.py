"""One filtering of two people, and everything that is computed from it."""

from __future__ import annotations

import numpy as np

from hyperscan.recording import preprocess_pair
from hyperscan.synchrony import (
    guard_values,
    lag_tests,
    own_chance,
    recipe_of,
    roi_table,
    session_values,
    shared_windows,
)
from hyperscan.synchrony.pair import roi_means
from synchrony_fixtures import CH_NAMES, CONFIG, both, eeg_pair, fnirs


def test_one_pass_gives_what_each_part_gives_alone() -> None:
    for pair, config in ((preprocess_pair(eeg_pair(CH_NAMES, 61.0, 1), CONFIG), CONFIG), fnirs()):
        a, b = both(pair, config)
        recipe = recipe_of(config, pair.session.modality)
        windows = shared_windows(a, b, recipe)
        found = session_values(a, b, recipe, windows, n_null=19, rng=np.random.default_rng(0))
        lag = lag_tests(a, b, recipe, windows, n_null=19, rng=np.random.default_rng(0))
        own = own_chance(a, b, recipe, windows, lag)
        means = {one.cell: roi_means(one.z, a, b, recipe.pairs_of(a.rois, b.rois)).mean(axis=0) for one in found.cells}
        for cell, z in roi_table(a, b, recipe, windows).items():
            np.testing.assert_array_equal(means[cell], z)
        assert list(found.lag) == list(lag)
        assert list(found.own) == list(own)
        for cell, test in lag.items():
            for mine, alone in zip(found.lag[cell], test, strict=True):
                np.testing.assert_array_equal(mine, alone)
            np.testing.assert_array_equal(found.own[cell].mean_z, own[cell].mean_z)
        guards = guard_values(a, b, recipe, windows)
        assert (found.guards is None) == (guards is None)
        if guards is not None and found.guards is not None:
            np.testing.assert_array_equal(found.guards.plv_squared, guards.plv_squared)
