"""Annotations and trigger channels become plain lists of times, in a raw that holds nobody's name."""

from __future__ import annotations

import mne
import numpy as np
import pytest

import recording_fixtures as make
from hyperscan.recording.annotations import (
    event_times,
    find_trigger_lines,
    fresh_raw,
    is_called,
    is_technical,
    listed_events,
    own_annotations,
    trigger_codes,
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


def pulses(rest: int, code: int, *, n: int = 5) -> np.ndarray:
    """Line of 20 s with pulses at 5, 8 and 12 s."""
    line = np.full(2000, float(rest))
    for at in (500, 800, 1200):
        line[at : at + n] = code
    return line


#: How amplifiers use trigger lines: resting level and code of the pulse.
_LINES = {"active high": (0, 1), "active low": (1, 0), "floating pins": (65280, 65281), "low of 255": (255, 0)}


@pytest.mark.parametrize("first", ["at rest", "pulse", "glitch"])
@pytest.mark.parametrize(("rest", "code"), _LINES.values(), ids=_LINES)
def test_pulses_leave_the_resting_level_whatever_it_is(rest: int, code: int, first: str) -> None:
    line = pulses(rest, code)
    line[:3] = {"at rest": rest, "pulse": code, "glitch": 77}[first]
    times, names = event_times(with_events(with_line(line)))
    np.testing.assert_allclose(times, [5.0, 8.0, 12.0])
    assert names == [str(code)] * 3


def test_a_line_that_holds_its_codes_tells_each_change_to_a_code() -> None:
    line = np.repeat([1.0, 2.0, 1.0, 0.0, 3.0], 400)
    times, names = event_times(with_events(with_line(line)))
    np.testing.assert_allclose(times, [4.0, 8.0, 16.0])
    assert names == ["2", "1", "3"]


@pytest.mark.parametrize("first", [0, 1])
def test_a_square_wave_rises_whichever_half_came_first(first: int) -> None:
    line = (np.arange(2000) // 200 + first) % 2.0
    times = event_times(with_events(with_line(line)))[0]
    # up at the first sample, it rose at an unknown time before
    np.testing.assert_allclose(times, np.arange(4.0 if first else 2.0, 20.0, 4.0))


def test_a_line_without_numbers_in_places_is_at_rest_there() -> None:
    line = pulses(0, 4)
    line[:50] = np.nan
    np.testing.assert_allclose(event_times(with_events(with_line(line)))[0], [5.0, 8.0, 12.0])


@pytest.mark.parametrize("line", [np.zeros(2000), np.full(2000, 7.0), np.arange(2000) % 5.0])
def test_a_constant_or_restless_channel_holds_no_triggers(line: np.ndarray) -> None:
    assert event_times(with_events(with_line(line)))[1] == []


def test_an_event_that_is_already_annotated_is_not_taken_twice() -> None:
    line = np.zeros(2000)
    line[500:510] = line[900:910] = 1
    raw = with_line(line)
    raw.set_annotations(mne.Annotations([5.01], [0.0], ["S 1"]))
    assert event_times(with_events(raw))[1] == ["S 1", "1"]


@pytest.mark.parametrize("mark", ["BAD_moved", "EDGE boundary", "New Segment/"])
def test_a_trigger_at_which_a_mark_begins_is_an_event(mark: str) -> None:
    line = np.zeros(2000)
    line[500:510] = 7
    raw = with_line(line).set_annotations(mne.Annotations(5.0, 2.0, mark), verbose="ERROR")
    times, names = event_times(with_events(raw))
    assert (times.tolist(), names) == ([5.0], ["7"])


def test_damage_and_joints_are_no_events() -> None:
    raw = make.eeg_raw(1)
    words = ["BAD_gap", "EDGE boundary", "New Segment/", "talk", "Sync Status", "talk", "rest", "impedance"]
    raw.set_annotations(mne.Annotations(np.arange(8.0), 0.0, words))
    assert [is_technical(word) for word in words] == [True, True, True, False, True, False, False, True]
    assert event_times(raw)[1] == ["talk", "talk", "rest"]
    np.testing.assert_allclose(event_times(raw, "talk")[0], [3.0, 5.0])
    assert listed_events(raw) == "'talk' (2), 'rest' (1)"


@pytest.mark.parametrize(
    ("name", "wanted", "same"),
    [("Stimulus/S  1", "S 1", True), ("Stimulus/S 11", "S 1", False), ("S1", "S 1", False), ("talk ", "talk", True)],
)
def test_events_are_called_by_their_name_with_or_without_the_kind(name: str, wanted: str, *, same: bool) -> None:
    assert is_called(name, wanted) is same


@pytest.mark.parametrize(
    "name", ["TRIG", "Trigger-In", "Marker", "EVENTS", "STI 014", "DIN1", "Status", "TTL 1", "Sync"]
)
def test_a_trigger_line_is_known_by_its_name(name: str) -> None:
    raw = with_line(pulses(0, 1)).rename_channels({"STI": name}).set_channel_types({name: "eeg"}, verbose="ERROR")
    assert find_trigger_lines(raw) == [5]
    np.testing.assert_allclose(event_times(with_events(raw))[0], [5.0, 8.0, 12.0])


def test_electrodes_and_other_signals_are_no_trigger_lines() -> None:
    names = ["T3", "Fp1", "DC1", "ECG", "Status EEG", "Trapezius", "STN", "T8"]
    raw = mne.io.RawArray(make.noise(1, len(names), 100), mne.create_info(names, 100.0, "eeg"), verbose="ERROR")
    assert find_trigger_lines(raw) == []
    typed = (
        with_line(pulses(0, 1))
        .rename_channels({"STI": "Marker"})
        .set_channel_types({"Marker": "misc"}, verbose="ERROR")
    )
    assert find_trigger_lines(typed) == []  # a type that somebody gave is believed


@pytest.mark.parametrize("unit", [1.0, 1e-3, 1e-6])
def test_codes_that_a_reader_took_for_volts_are_whole_again(unit: float) -> None:
    line = pulses(0, 255)
    line[1500] = 1
    assert set(trigger_codes(unit * line)) == {0, 1, 255}


def test_an_analogue_line_counts_where_it_has_two_levels() -> None:
    noise = 0.03 * np.random.default_rng(0).standard_normal(2000)
    np.testing.assert_array_equal(trigger_codes(1e-4 * (3.3 * pulses(0, 1) + noise)), pulses(0, 1))
    steps = np.round(3.3 * pulses(0, 1) + noise, 3)  # a converter of 1 mV: each sample is a whole number of them
    np.testing.assert_array_equal(trigger_codes(steps), pulses(0, 1))
    swinging = np.sin(np.arange(2000) / 30)
    assert set(trigger_codes(swinging)) == {-1, 0, 1}  # no two levels: rounded as it is
