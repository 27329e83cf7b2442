"""Windows stay inside segments, and what is marked stays out of them."""

from __future__ import annotations

import mne
import numpy as np
import pytest

from hyperscan.config import StudyConfig
from hyperscan.errors import QualityError
from hyperscan.recording.records import Segment
from hyperscan.recording.windows import clean_mask, unbroken_stretch, window_grid
from prepare_fixtures import clean_pair, fnirs_pair

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


@pytest.mark.parametrize(
    ("therapist", "client", "wanted"),
    [
        ([], [], (0.0, 300.0)),
        ([(100.0, 4.9, "BAD_x")], [], (0.0, 300.0)),
        ([(100.0, 5.0, "BAD_x")], [], (105.0, 195.0)),
        ([(100.0, 3.0, "bad x")], [(102.0, 3.0, "BAD_gap")], (105.0, 195.0)),
        ([], [(180.0, 120.0, "BAD_unplaced")], (0.0, 180.0)),
        ([], [(250.0, 0.0, "EDGE boundary")], (0.0, 250.0)),
        ([(200.0, 10.0, "BAD_x")], [(90.0, 10.0, "bad_y"), (299.0, 1.0, "BAD_z")], (100.0, 100.0)),
        ([(0.0, 300.0, "BAD_x")], [], None),
    ],
)
def test_stretch_of_fnirs_ends_at_marks(therapist, client, wanted):
    pair, _ = fnirs_pair(3)
    for raw, rows in ((pair.therapist, therapist), (pair.client, client)):
        raw.set_annotations(mne.Annotations(*zip(*rows, strict=True)) if rows else None)
    found = unbroken_stretch(pair, StudyConfig())
    assert (found and (found.onset_s, found.duration_s)) == wanted
    halves = pair.replace(segments=(Segment(0.0, 20.0), Segment(20.0, 40.0), Segment(80.0, 40.0)))
    if not (therapist or client):
        assert unbroken_stretch(halves, StudyConfig()) == Segment(20.0, 40.0)
