"""Re-paired people and windows of other times."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hyperscan import compute_synchrony
from hyperscan.errors import InputError
from hyperscan.recording import preprocess_pair
from hyperscan.synchrony import chance_values, guard_values, recipe_of, roi_table, shared_windows
from hyperscan.synchrony.pair import Lenders
from synchrony_fixtures import CH_NAMES, CONFIG, both, coupled, eeg_pair, fnirs


def test_pairs_computed_together_are_what_each_is_alone() -> None:
    people = [both(preprocess_pair(eeg_pair(CH_NAMES, 41.0, seed), CONFIG), CONFIG) for seed in range(3)]
    therapists, clients = ({p.key.dyad: p for p in side} for side in zip(*people, strict=True))
    recipe = recipe_of(CONFIG, "eeg")
    pairs = [("D0", "D1"), ("D0", "D2"), ("D2", "D1")]
    found = chance_values(therapists, clients, pairs, recipe)
    assert list(found) == pairs
    for pair, values in found.items():
        a, b = therapists[pair.therapist], clients[pair.client]
        alone = roi_table(a, b, recipe)
        assert list(values.table) == list(alone)
        for cell, z in alone.items():
            np.testing.assert_array_equal(values.table[cell], z)
        guards = guard_values(a, b, recipe, shared_windows(a, b, recipe))
        np.testing.assert_array_equal(values.guards.plv_squared, guards.plv_squared)


def test_a_pair_with_too_few_windows_gives_no_value() -> None:
    a, b = both(coupled(), CONFIG)
    short = dataclasses.replace(b, clean=np.array([1, 1, 0, 0, 0, 0], bool))
    recipe = recipe_of(CONFIG, "eeg")
    found = chance_values({"D1": a}, {"D2": b, "D3": short}, [("D1", "D2"), ("D1", "D3")], recipe)
    assert list(found) == [Lenders("D1", "D2")]
    assert chance_values({"D1": a}, {"D3": short}, [("D1", "D3")], recipe) == {}


def test_sessions_of_different_length_share_the_shorter_one() -> None:
    pair, config = fnirs()
    a, b = both(pair, config)
    short = dataclasses.replace(b, spans=np.array([[10, 410]]))
    recipe = recipe_of(config, "fnirs")
    found = chance_values({"D1": a}, {"D2": b, "D3": short}, [("D1", "D2"), ("D1", "D3")], recipe)
    for client in (b, short):
        alone = roi_table(a, client, recipe)
        values = found[Lenders("D1", "D2" if client is b else "D3")]
        assert values.guards is None
        for cell, z in alone.items():
            np.testing.assert_array_equal(values.table[cell], z)


def test_windows_of_other_times_meet_every_shift() -> None:
    data = compute_synchrony(coupled(), ["plv", "corr"], {"alpha": (8, 12)}, config=CONFIG, null="windows").dataset
    assert data["window_null"].sizes["shift"] == 5
    here, moved = data["roi_z"], data["window_null"]
    assert moved.dims == ("signal", "metric", "band", "shift", "window", "roi_pair")
    posterior = {"metric": "plv", "roi_pair": "posterior-posterior"}
    assert float(here.sel(posterior).mean()) > 2 * float(moved.sel(posterior).mean())
    with pytest.raises(InputError, match="this session is one window"):
        compute_synchrony(fnirs()[0], ["corr"], config=fnirs()[1], null="windows")
