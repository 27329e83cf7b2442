"""What a study computes for every pair of people, and what it refuses."""

from __future__ import annotations

import dataclasses

from hyperscan.synchrony import recipe_of
from synchrony_fixtures import CONFIG, both, coupled


def test_pairs_of_rois_and_the_primary_one() -> None:
    a, b = both(coupled(), CONFIG)
    listed = dataclasses.replace(CONFIG, roi_pairs=["frontal-posterior"])
    assert set(recipe_of(listed, "eeg").pairs_of(a.rois, b.rois)) == {
        ("all", "all"), ("frontal", "posterior"), ("posterior", "posterior"),
    }  # fmt: skip
    every = dataclasses.replace(CONFIG, roi_pairs="all")
    assert len(recipe_of(every, "eeg").pairs_of(a.rois, b.rois)) == len(a.rois) ** 2
