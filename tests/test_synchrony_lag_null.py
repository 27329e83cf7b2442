"""The whole-session statistic under circular shifts."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hyperscan import compute_synchrony
from hyperscan.recording import preprocess_pair
from hyperscan.schema import Cell
from hyperscan.synchrony import lag_tests, recipe_of, shared_windows
from hyperscan.transforms import analytic_signal
from synchrony_fixtures import CH_NAMES, CONFIG, both, coupled, eeg_pair


@pytest.mark.parametrize(("fraction", "shown"), [(0.6, True), (0.0, False)])
def test_lag_null_finds_live_coupling_only(fraction: float, shown: bool) -> None:
    pairs = [preprocess_pair(eeg_pair(CH_NAMES, 120.0, seed, coupled_fraction=fraction), CONFIG) for seed in range(3)]
    asked = {"metrics": ["plv"], "bands": {"alpha": (8, 12)}, "config": CONFIG, "null": "lags"}
    tested = [compute_synchrony(pair, **asked, n_null=199, seed=1).dataset for pair in pairs]
    p = [float(each["lag_p"].sel(roi_pair="posterior-posterior").item()) for each in tested]
    assert (max(p) <= 0.01) if shown else (min(p) > 0.01)


def test_lag_estimate_is_the_whole_sessions_statistic() -> None:
    a, b = both(coupled(), CONFIG)
    recipe = recipe_of(CONFIG, "eeg")
    windows = shared_windows(a, b, recipe)
    tests = lag_tests(a, b, recipe, windows, n_null=50, rng=np.random.default_rng(0))
    test = tests["eeg", "plv", "alpha"]
    assert test.estimate.shape == (len(recipe.pairs_of(a.rois, b.rois)),)
    assert (test.estimate > test.chance)[recipe.pairs_of(a.rois, b.rois).index(("posterior", "posterior"))]
    assert ((test.p > 0) & (test.p <= 1)).all()


def test_metrics_shifted_together_are_what_each_is_alone() -> None:
    a, b = both(coupled(), CONFIG)
    found = {}
    for names in (["plv"], ["ciplv"], ["accorr"], ["plv", "imcoh", "ciplv", "accorr"]):
        recipe = recipe_of(dataclasses.replace(CONFIG, metrics={"eeg": names, "fnirs": ["corr"]}), "eeg")
        windows = shared_windows(a, b, recipe)
        tests = lag_tests(a, b, recipe, windows, n_null=50, rng=np.random.default_rng(0))
        found[tuple(names)] = {key: test for key, test in tests.items() if key[2] == "theta"}
    together = found["plv", "imcoh", "ciplv", "accorr"]
    assert len(together) == 4
    for name in ("plv", "ciplv", "accorr"):  # the first group of the first band draws the same lags
        key = ("eeg", name, "theta")
        alone = found[name,][key]
        np.testing.assert_allclose(together[key].surrogates, alone.surrogates, atol=1e-6)
        np.testing.assert_allclose(together[key].estimate, alone.estimate, atol=1e-6)


def test_a_value_that_is_missing_has_no_lag_p() -> None:
    a, b = both(coupled(), CONFIG)
    roi, (channel,) = next((name, where) for name, where in a.rois.items() if len(where) == 1)
    flat = a.data["eeg"].copy()
    flat[channel] = 0
    dead = dataclasses.replace(a, data={"eeg": flat})
    recipe = recipe_of(CONFIG, "eeg")
    tests = lag_tests(dead, b, recipe, shared_windows(dead, b, recipe), n_null=50, rng=np.random.default_rng(0))
    rois = [pair[0] for pair in recipe.pairs_of(a.rois, b.rois)]
    test = tests["eeg", "plv", "alpha"]
    assert np.isnan(test.estimate[rois.index(roi)])
    assert np.isnan(test.p[rois.index(roi)])
    assert np.isfinite(test.p[rois.index("all")])


def test_real_metrics_are_shifted_and_those_without_a_moment_left_out() -> None:
    a, b = both(coupled(), CONFIG)
    for names, tested in [(["corr", "plv"], {"corr", "plv"}), (["pli"], set())]:
        recipe = recipe_of(dataclasses.replace(CONFIG, metrics={"eeg": names}), "eeg")
        recipe = dataclasses.replace(recipe, metrics=tuple(spec for spec in recipe.metrics if spec.name in names))
        windows = shared_windows(a, b, recipe)
        tests = lag_tests(a, b, recipe, windows, n_null=50, rng=np.random.default_rng(0))
        assert {(cell.metric, cell.band) for cell in tests} == {(m, band) for m in tested for band in CONFIG.bands}
        if tested:
            x, y = (analytic_signal(p.data["eeg"].astype(float), p.sfreq, (8, 12)).real for p in (a, b))
            clean = a.clean_samples(10.0) & b.clean_samples(10.0)
            expected = np.arctanh(np.abs(np.corrcoef(x[:, clean], y[:, clean])[: len(x), len(x) :]))
            which = recipe.pairs_of(a.rois, b.rois).index(("all", "all"))
            found = tests[Cell("eeg", "corr", "alpha")].estimate[which]
            assert found == pytest.approx(expected.mean(), abs=2e-5)
