"""One person's prepared session as arrays."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from hyperscan.synchrony import Signals, recipe_of, roi_table, signals_of
from synchrony_fixtures import CONFIG, both, coupled, fnirs


def test_saved_signals_come_back(tmp_path: Path) -> None:
    a, b = both(coupled(), CONFIG)
    a.save(tmp_path / "a.npz")
    again = Signals.load(tmp_path / "a.npz")
    recipe = recipe_of(CONFIG, "eeg")
    for key, z in roi_table(a, b, recipe).items():
        np.testing.assert_array_equal(roi_table(again, b, recipe)[key], z)
    assert again.key == a.key
    assert again.rois == a.rois


def test_clean_samples_are_those_of_clean_windows() -> None:
    a, _ = both(coupled(), CONFIG)
    some = dataclasses.replace(a, clean=np.array([0, 1, 0, 0, 1, 0], bool), spans=a.spans + 5)
    expected = np.zeros(a.data["eeg"].shape[1], bool)
    expected[5 + 1280 : 5 + 2560] = expected[5 + 5120 : 5 + 6400] = True
    np.testing.assert_array_equal(some.clean_samples(10.0), expected)


def test_channels_are_found_by_name_and_missing_ones_left_out() -> None:
    a, b = both(coupled(), CONFIG)
    np.testing.assert_array_equal(a.indices(("O1", "Fz", "T7")), [3, 0])
    assert a.rois["posterior"] == (2, 3)
    assert (a.person, b.person, a.key.session) == ("T0", "C0", 3)
    assert a.data["eeg"].dtype == np.float32
    assert a.xyz[0, 1] > 0 > a.xyz[3, 1]  # Fz in front, O1 behind


def test_haemoglobin_of_both_kinds_adds_up_and_unregressed_hbo_is_kept_apart() -> None:
    pair, config = fnirs()
    assert "hbo_nosc" not in signals_of(pair, "therapist", config).data
    before = {"therapist": pair.therapist.get_data()}
    a = signals_of(pair.replace(unregressed=before), "therapist", config, unregressed=True)
    assert set(a.data) == {"hbo", "hbr", "hbt", "hbo_nosc"}
    np.testing.assert_array_equal(a.data["hbt"], a.data["hbo"] + a.data["hbr"])
    np.testing.assert_array_equal(a.data["hbo_nosc"], a.data["hbo"])
    assert a.windows.tolist() == [[0, 0]]
    assert np.isnan(a.s2_line).all()
