"""Windows stay inside segments, and what is marked stays out of them."""

from __future__ import annotations

import mne
import numpy as np
import pytest

from hyperscan.config import StudyConfig
from hyperscan.errors import QualityError
from hyperscan.recording.records import Segment
from hyperscan.recording.windows import clean_mask, window_grid
from prepare_fixtures import clean_pair

SHORT = StudyConfig(window_s=5.0)


def test_window_grid_stays_inside_segments():
    pair = clean_pair(5).replace(segments=(Segment(2.0, 23.0), Segment(30.0, 29.9), Segment(59.95, 3.0)))
    grid = window_grid(pair, 10.0)
    assert (grid.starts / 250).tolist() == [2.0, 12.0, 30.0, 40.0]
    assert grid.segment.tolist() == [0, 0, 1, 1]
    assert grid.offset_s.tolist() == [0.0, 10.0, 0.0, 10.0]
    assert grid.n_window == 2500
    assert grid.clean.all()
    with pytest.raises(QualityError, match=r"the longest of 3 lasts 29.9 s.\nSet window_s to 29.9 or less"):
        window_grid(pair, 40.0)


def test_bad_spans_follow_the_first_sample_of_a_crop():
    raw = clean_pair(6).therapist
    raw.set_annotations(mne.Annotations([10.0], [2.0], ["bad one"]))
    cropped = raw.copy().crop(tmin=9.0)
    assert np.flatnonzero(~clean_mask(cropped))[[0, -1]].tolist() == [250, 749]
