"""Re-paired people and windows of other times."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hyperscan import compute_synchrony
from hyperscan.errors import InputError
from hyperscan.recording import preprocess_pair
from hyperscan.schema import Cell
from hyperscan.synchrony import chance_values, guard_values, lag_tests, own_chance, recipe_of, roi_table, shared_windows
from hyperscan.synchrony.chance import own_shifts
from hyperscan.synchrony.pair import Lenders, person_bands, roi_means
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
    data = compute_synchrony(
        coupled(), metrics=["plv", "corr"], bands={"alpha": (8, 12)}, config=CONFIG, null="windows"
    ).dataset
    assert data["window_null"].sizes["shift"] == 5
    here, moved = data["roi_z"], data["window_null"]
    assert moved.dims == ("signal", "metric", "band", "shift", "window", "roi_pair")
    posterior = {"metric": "plv", "roi_pair": "posterior-posterior"}
    assert float(here.sel(posterior).mean()) > 2 * float(moved.sel(posterior).mean())
    with pytest.raises(InputError, match="this session is one window"):
        compute_synchrony(fnirs()[0], metrics=["corr"], config=fnirs()[1], null="windows")


@pytest.mark.parametrize("n_windows", [2, 3, 5, 12, 60, 135])
def test_no_shift_brings_a_window_to_a_piece_of_its_own_time(n_windows: int) -> None:
    n_window = 200
    own_time = np.repeat(np.arange(n_windows), n_window)
    shifts = own_shifts(n_windows, n_window)
    assert len(shifts) == 1 if n_windows == 2 else len(shifts) >= 4
    assert n_windows < 3 or len(shifts) * n_windows >= 60
    for shift in shifts:
        assert not (np.roll(own_time, shift) == own_time).any()
    assert len(own_shifts(1, n_window)) == 0


def test_own_chance_is_the_mean_over_shifted_windows() -> None:
    a, b = both(coupled(), CONFIG)
    recipe = recipe_of(CONFIG, "eeg")
    windows, pairs = shared_windows(a, b, recipe), recipe.pairs_of(a.rois, b.rois)
    found = own_chance(a, b, recipe, windows, {})
    cell = Cell("eeg", "plv", recipe.primary.band)
    bands = {cell.band: recipe.bands[cell.band]}
    ((_, ours),) = person_bands(a, "eeg", bands, windows.n_window)
    ((_, theirs),) = person_bands(b, "eeg", bands, windows.n_window)
    x, y = ours.cut(windows.therapist), np.concatenate(list(theirs.cut(windows.client)), axis=-1)
    values = []
    for shift in own_shifts(len(x), windows.n_window):
        moved = np.split(np.roll(y, shift, axis=-1), len(x), axis=-1)
        phases = [
            np.exp(1j * np.angle(u)) @ np.exp(-1j * np.angle(v)).T / windows.n_window
            for u, v in zip(x, moved, strict=True)
        ]
        values += [roi_means(np.arctanh(np.abs(phase)), a, b, pairs) for phase in phases]
    np.testing.assert_allclose(found[cell].mean_z, np.mean(values, axis=0), rtol=2e-5)
    assert found[cell].n == len(values) == 60
    # coupled people reach less at other times
    primary = pairs.index(recipe.primary.rois)
    assert roi_table(a, b, recipe)[cell][primary] > 2 * found[cell].mean_z[primary]


def test_the_level_of_the_lag_null_is_that_of_haemoglobin() -> None:
    pair, config = fnirs()
    a, b = both(pair, config)
    recipe = recipe_of(config, "fnirs")
    windows = shared_windows(a, b, recipe)
    tests = lag_tests(a, b, recipe, windows, n_null=19, rng=np.random.default_rng(0))
    found = own_chance(a, b, recipe, windows, tests)
    assert set(found) == set(tests)
    for cell, test in tests.items():
        np.testing.assert_array_equal(found[cell].mean_z, test.surrogates.mean(axis=0))
        assert found[cell].n == len(test.surrogates)
