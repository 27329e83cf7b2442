"""Metrics of whole regions on the way through a study: one rank for all that is compared."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hyperscan.config import StudyConfig
from hyperscan.errors import ConfigError, InputError
from hyperscan.metrics import METRICS
from hyperscan.pipeline.decisions import common_ranks
from hyperscan.pipeline.plan import comparable_rois
from hyperscan.recording import preprocess_pair
from hyperscan.results.plan import RegionChannels
from hyperscan.schema import Cell, RoiPair
from hyperscan.synchrony import (
    compute_synchrony,
    lag_tests,
    own_chance,
    recipe_of,
    roi_table,
    session_ranks,
    shared_windows,
)
from hyperscan.synchrony.pair import pair_bands
from pipeline_fixtures import summaries_without
from synchrony_fixtures import both, eeg_pair

NAMES = ("mic", "mim", "cacoh")
CAP = ("Fz", "F3", "F4", "Pz", "P3", "O1", "O2")
CONFIG = StudyConfig(
    metrics={"eeg": NAMES}, bands={"alpha": (8, 12)}, window_s=10.0, eeg_reference="recorded", roi_pairs="matching"
)
POSTERIOR = RoiPair("posterior", "posterior")


@pytest.fixture(scope="module")
def pair():
    return preprocess_pair(eeg_pair(CAP, 121.0, coupled_fraction=0.8, lag_s=0.025), CONFIG)


@pytest.fixture(scope="module")
def prepared(pair):
    a, b = both(pair, CONFIG)
    recipe = dataclasses.replace(recipe_of(CONFIG, "eeg"), ranks=session_ranks([a, b]))
    return a, b, recipe, shared_windows(a, b, recipe)


def test_a_region_and_a_region_have_one_value(prepared) -> None:
    a, b, recipe, windows = prepared
    (both_people,) = pair_bands(a, b, recipe, windows)
    x = both_people.a.cut(windows.therapist, channels=np.array(a.rois["posterior"]))
    y = both_people.b.cut(windows.client, channels=np.array(b.rois["posterior"]))
    table, at = roi_table(a, b, recipe, windows), recipe.pairs_of(a.rois, b.rois).index(POSTERIOR)
    rank = recipe.rank_of(POSTERIOR, "alpha", 10.0)
    assert rank == min(4, len(a.rois["posterior"]))
    for name in NAMES:
        _, z = METRICS[name].evaluate(x, y, rank=rank)
        assert table[Cell("eeg", name, "alpha")][at] == pytest.approx(float(z.mean()), abs=1e-6)


def test_the_session_stands_out_from_its_lags_and_its_own_times(prepared) -> None:
    a, b, recipe, windows = prepared
    tests = lag_tests(a, b, recipe, windows, n_null=99, rng=np.random.default_rng(0))
    own, table = own_chance(a, b, recipe, windows, {}), roi_table(a, b, recipe, windows)
    at = recipe.pairs_of(a.rois, b.rois).index(POSTERIOR)
    for name in NAMES:
        cell = Cell("eeg", name, "alpha")
        assert tests[cell].p[at] == pytest.approx(1 / (1 + len(tests[cell].surrogates)))
        assert table[cell][at] > own[cell].mean_z[at] + 0.1
        assert 0 < tests[cell].chance[at] < own[cell].mean_z[at]  # of a whole session: more samples, less by chance


def test_the_rank_is_what_all_have_and_a_window_tells_apart(prepared) -> None:
    a, b, recipe, _ = prepared
    assert recipe.ranks["posterior"] == len(a.rois["posterior"])
    narrow = dataclasses.replace(recipe, bands={"alpha": (9, 11)})
    assert narrow.rank_of(POSTERIOR, "alpha", 10.0) == 2
    with pytest.raises(InputError, match=r"'alpha': windows of 4 s tell no component of a region apart"):
        dataclasses.replace(narrow, window_s=4.0).rank_of(POSTERIOR, "alpha", 4.0)
    x = a.data["eeg"]
    referenced = dataclasses.replace(a, data={"eeg": x - x.mean(axis=0)})
    assert referenced.lacking() == {"all": 1}
    assert session_ranks([referenced, b])["all"] == len(CAP) - 1


def test_one_rank_holds_for_all_sessions_of_everyone() -> None:
    summaries = summaries_without(set(), {"Oz"})
    assert common_ranks(summaries, comparable_rois(summaries)) == {"all": 5, "posterior": 4}
    # each session its own channels: the poorest one decides
    own = [RegionChannels("eeg", "", "D1", "C1", roi, None) for roi in ("all", "posterior")]
    assert common_ranks(summaries, own) == {"all": 5, "posterior": 4}
    first = summaries[0]
    lacking = {role: dataclasses.replace(person, lacking={"all": 1}) for role, person in first.people.items()}
    assert common_ranks([dataclasses.replace(first, people=lacking)], ()) == {"all": 5, "posterior": 5}


def test_a_result_says_that_there_is_nothing_between_channels(pair) -> None:
    result = compute_synchrony(pair, metrics=["plv", "mic"], config=CONFIG, null="windows", n_null=5)
    frame = result.to_data_frame().set_index(["metric", "roi_therapist"])
    assert np.isfinite(frame.loc[("mic", "posterior"), "z"])
    assert np.isfinite(result.get_data("plv", "alpha")).all()
    for ask in (lambda: result.get_data("mic", "alpha"), lambda: result.plot("mic", kind="matrix", show=False)):
        with pytest.raises(InputError, match="metric = 'mic' compares whole regions, so it has no values between"):
            ask()
    assert result.plot("mic", kind="windows", roi="posterior-posterior", show=False) is not None


def test_inside_one_person_regions_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"within_metrics\.eeg: 'mic' compares whole regions"):
        recipe_of(dataclasses.replace(CONFIG, within_metrics={"eeg": ["mic"]}), "eeg")
