"""Annotations and trigger channels become plain lists of times, in a raw that holds nobody's name."""

from __future__ import annotations

import mne
import numpy as np
import pytest

import recording_fixtures as make
from hyperscan.recording.annotations import (
    event_times,
    fresh_raw,
    is_called,
    is_technical,
    listed_events,
    own_annotations,
    with_events,
)


def with_line(values: np.ndarray) -> mne.io.BaseRaw:
    """EEG with a trigger channel that holds the given values."""
    info = mne.create_info([*make.CHANNELS, "STI"], 100.0, ["eeg"] * 4 + ["stim"])
    return mne.io.RawArray(np.vstack([make.noise(1), values]), info, verbose="ERROR")


def test_a_fresh_raw_keeps_samples_and_events_and_loses_names() -> None:
    raw = make.eeg_raw(1).crop(5.0, 15.0)
    raw.set_annotations(mne.Annotations([1.0], [0.5], ["talk"]))
    made = fresh_raw(raw)
    np.testing.assert_array_equal(made.get_data(), raw.get_data())
    assert made.first_samp == 0
    assert made.info["subject_info"] is None
    assert make.CANARY not in repr({key: made.info[key] for key in made.info if key != "chs"})
    np.testing.assert_allclose(own_annotations(made).onset, own_annotations(raw).onset)


def test_a_fresh_raw_may_have_another_rate() -> None:
    made = fresh_raw(make.eeg_raw(1), make.noise(2, 4, 500), sfreq=25.0, keep_date=False)
    assert (made.info["sfreq"], made.info["lowpass"], made.n_times) == (25.0, 12.5, 500)
    assert made.info["meas_date"] is None


def test_rises_of_a_trigger_channel_are_events() -> None:
    line = np.zeros(2000)
    line[500:510], line[510:520], line[1200:1210] = 1, 3, 2
    raw = with_events(with_line(line))
    times, names = event_times(raw)
    np.testing.assert_allclose(times, [5.0, 5.1, 12.0])
    assert names == ["1", "3", "2"]
    assert raw.ch_names == list(make.CHANNELS)


@pytest.mark.parametrize("line", [np.zeros(2000), np.full(2000, 7.0), np.arange(2000) % 5.0])
def test_a_constant_or_restless_channel_holds_no_triggers(line: np.ndarray) -> None:
    assert event_times(with_events(with_line(line)))[1] == []


def test_an_event_that_is_already_annotated_is_not_taken_twice() -> None:
    line = np.zeros(2000)
    line[500:510] = line[900:910] = 1
    raw = with_line(line)
    raw.set_annotations(mne.Annotations([5.01], [0.0], ["S 1"]))
    assert event_times(with_events(raw))[1] == ["S 1", "1"]


def test_damage_and_joints_are_no_events() -> None:
    raw = make.eeg_raw(1)
    words = ["BAD_gap", "EDGE boundary", "New Segment/", "talk", "Sync Status", "talk", "rest"]
    raw.set_annotations(mne.Annotations(np.arange(7.0), 0.0, words))
    assert [is_technical(word) for word in words] == [True, True, True, False, True, False, False]
    assert event_times(raw)[1] == ["talk", "talk", "rest"]
    np.testing.assert_allclose(event_times(raw, "talk")[0], [3.0, 5.0])
    assert listed_events(raw) == "'talk' (2), 'rest' (1)"


@pytest.mark.parametrize(
    ("name", "wanted", "same"),
    [("Stimulus/S  1", "S 1", True), ("Stimulus/S 11", "S 1", False), ("S1", "S 1", False), ("talk ", "talk", True)],
)
def test_events_are_called_by_their_name_with_or_without_the_kind(name: str, wanted: str, *, same: bool) -> None:
    assert is_called(name, wanted) is same
