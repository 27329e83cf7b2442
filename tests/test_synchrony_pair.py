"""Any two people: shared windows, cells, ROI means."""

from __future__ import annotations

import dataclasses

import mne
import numpy as np
import pytest

from hyperscan.config import StudyConfig
from hyperscan.errors import DataQualityWarning, QualityError
from hyperscan.recording import preprocess_pair
from hyperscan.recording.records import Segment
from hyperscan.schema import ROLES
from hyperscan.synchrony import recipe_of, roi_table, shared_windows
from hyperscan.synchrony.pair import roi_means
from prepare_fixtures import fnirs_pair
from synchrony_fixtures import CONFIG, both, coupled, fnirs


def test_roi_means_leave_missing_channel_pairs_out() -> None:
    a, b = both(coupled(), CONFIG)
    values = np.arange(32.0).reshape(2, 4, 4)
    values[0, 2, 2] = np.nan
    found = roi_means(values, a, b, [("posterior", "posterior"), ("all", "frontal")])
    expected = [[np.nanmean(w[2:, 2:]), np.nanmean(w[:, :2])] for w in values]
    np.testing.assert_allclose(found, expected)
    values[0, 2:, 2:] = np.nan
    assert np.isnan(roi_means(values, a, b, [("posterior", "posterior")])[0, 0])


@dataclasses.dataclass(frozen=True)
class Someone:
    rois: dict[str, tuple[int, ...]]


@pytest.mark.parametrize("odd", [None, np.nan, np.inf])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_roi_means_are_means_of_the_channel_pairs_one_by_one(odd: float | None, dtype: str) -> None:
    a = Someone({"left": (0, 2), "right": (1,), "none": (), "all": (0, 1, 2)})
    b = Someone({"left": (3,), "right": (0, 1, 4), "none": (), "all": (0, 1, 2, 3, 4)})
    values = np.random.default_rng(0).standard_normal((2, 6, 3, 5)).astype(dtype)
    if odd is not None:
        values[1, 4, 2, 1] = odd
    pairs = [(one, other) for one in a.rois for other in ("all", "right", "none", "left")]
    found = roi_means(values, a, b, pairs)
    assert found.dtype == dtype
    for k, (one, other) in enumerate(pairs):
        for where in np.ndindex(2, 6):
            each = [values[(*where, i, j)] for i in a.rois[one] for j in b.rois[other]]
            usable = [float(value) for value in each if not np.isnan(value)]
            expected = np.mean(usable) if usable else np.nan
            assert found[(*where, k)] == pytest.approx(expected, rel=1e-5, abs=1e-6, nan_ok=True)
        np.testing.assert_array_equal(roi_means(values, a, b, pairs[k : k + 1])[..., 0], found[..., k])


def test_windows_are_those_clean_in_both_evenly_spaced_and_paired_by_time() -> None:
    recipe = recipe_of(CONFIG, "eeg")
    a, b = both(coupled(), CONFIG)
    a = dataclasses.replace(a, clean=np.array([1, 1, 0, 1, 1, 1], bool))
    # the partner's part of the session starts 5 s into a longer recording
    late = dataclasses.replace(b, spans=b.spans + 640, clean=np.array([0, 1, 1, 1, 1, 1], bool))
    shared = shared_windows(a, late, recipe)
    np.testing.assert_array_equal(shared.therapist, np.array([1, 3, 4, 5]) * 1280)
    np.testing.assert_array_equal(shared.client, shared.therapist + 640)
    few = shared_windows(a, late, dataclasses.replace(recipe, n_windows=2))
    np.testing.assert_array_equal(few.therapist, np.array([1, 4]) * 1280)
    b = dataclasses.replace(b, clean=np.array([1, 1, 1, 0, 0, 0], bool))
    with pytest.raises(QualityError, match=r"2 windows of 10 s are clean in both people, min_windows = 3"):
        shared_windows(a, b, recipe)


def test_swapping_people_transposes_a_symmetric_metric() -> None:
    a, b = both(coupled(), CONFIG)
    recipe = dataclasses.replace(recipe_of(CONFIG, "eeg"), roi_pairs="all")
    there, back = roi_table(a, b, recipe), roi_table(b, a, recipe)
    pairs = recipe.pairs_of(a.rois, b.rois)
    turned = [pairs.index((y, x)) for x, y in pairs]
    for key in there:
        np.testing.assert_allclose(there[key], back[key][turned], atol=1e-5)


def test_fnirs_lengths_are_cut_to_the_common_one() -> None:
    pair, config = fnirs()
    a, b = both(pair, config)
    recipe = dataclasses.replace(recipe_of(config, "fnirs"), seconds=100.0)
    assert shared_windows(a, b, recipe).n_window == 200
    short = dataclasses.replace(b, spans=np.array([[10, 110]]))
    windows = shared_windows(a, short, recipe)
    assert (windows.n_window, windows.therapist[0], windows.client[0]) == (100, 0, 10)


@pytest.mark.parametrize("role", ROLES)
def test_what_one_person_has_marked_as_bad_is_in_no_value_of_fnirs(role: str) -> None:
    pair, config = fnirs()
    recipe, sfreq = recipe_of(config, "fnirs"), pair.client.info["sfreq"]
    marked, spoiled = ({who: pair.raw(who).copy() for who in ROLES} for _ in range(2))
    for raws in (marked, spoiled):
        raws[role].set_annotations(mne.Annotations([200.0], [60.0], ["bad_by_hand"]))
    joint = 1e-5 * np.random.default_rng(0).standard_normal(round(60 * sfreq))
    for raw in spoiled.values():
        raw._data[:, round(200 * sfreq) : round(260 * sfreq)] += joint
    found = [roi_table(*both(pair.replace(**raws), config), recipe) for raws in (marked, spoiled)]
    for cell, values in found[0].items():
        np.testing.assert_array_equal(values, found[1][cell])
    a, b = both(pair.replace(**marked), config)
    assert shared_windows(a, b, recipe).n_window == round(200 * sfreq)


def test_fnirs_whose_parts_are_all_short_is_skipped_and_what_is_left_out_is_told() -> None:
    pair, config = fnirs_pair(7)[0], StudyConfig()
    parts = pair.replace(segments=(Segment(0.0, 100.0), Segment(150.0, 100.0)))
    with pytest.raises(QualityError, match="100 s usable, fewer than min_seconds = 120"):
        preprocess_pair(parts, config)
    parts = pair.replace(segments=(Segment(0.0, 20.0), Segment(100.0, 150.0)))
    with pytest.warns(DataQualityWarning, match="150 s from 100 s on, and 20 s beside it are left out"):
        prepared = preprocess_pair(parts, config)
    assert prepared.history[-1].endswith("20 s beside it are left out")
    np.testing.assert_array_equal(both(prepared, config)[0].spans, [[200, 500]])
