"""What aligns two recordings: against truth, and refused where nothing does."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import mne
import numpy as np
import pytest

import recording_fixtures as make
from clock_fixtures import device, pair_of, placed, refused, rhythm
from hyperscan.errors import ClockError, DataQualityWarning
from hyperscan.recording import align_pair, load_session


def test_without_correction_the_same_drift_would_show() -> None:
    own = np.arange(150_000) / 250.0
    a, b = device(1, own, 250.0), device(2, own * (1 + 60e-6), 250.0)
    with pytest.warns(DataQualityWarning, match="nothing aligns"):
        aligned = align_pair(pair_of(a, b))
    assert aligned.clock.source == "assumed"
    assert np.isnan(aligned.clock.ppm)
    x, y = aligned.therapist.get_data()[0], aligned.client.get_data()[0]
    assert np.std(x - y) > 0.3 * np.std(x)


def test_almost_equal_rates_are_a_drift() -> None:
    a, b = device(1, np.arange(50_000) / 500.0, 500.0), device(2, np.arange(50_000) / 499.99, 499.99)
    aligned = align_pair(pair_of(a, b, clock="same_amplifier"))
    assert aligned.clock.ppm == pytest.approx(-20.0, abs=0.1)
    assert aligned.client.info["sfreq"] == 500.0
    x, y = aligned.therapist.get_data()[0], aligned.client.get_data()[0]
    assert np.std((x - y)[50:-50]) < 0.03 * np.std(x)


def test_clocks_that_cannot_be_used() -> None:
    a, b = device(1, np.arange(5000) / 250.0, 250.0), device(2, np.arange(5000) / 250.0, 250.0)
    refused(pair_of(a, b, clock="none"), "t.edf", "'none'")
    refused(pair_of(a, b, clock="timestamps"), "no time stamps")
    refused(pair_of(a, b, clock="offset"), "therapist_offset_s")
    refused(pair_of(a, b, clock="triggers"), "no events", "Look for the triggers of the therapist's and the client's")
    refused(pair_of(a, b, clock="trigers"), "Did you mean 'triggers'?")
    refused(pair_of(a, b, client_offset_s=3600.0), "3600 s", "time zone")
    refused(pair_of(a, b, client_offset_s=500.0), "shares no time")


def test_too_large_a_drift_and_a_wrong_event() -> None:
    rng = np.random.default_rng(0)
    pulses = np.sort(rng.uniform(5, 990, 60))
    true = np.arange(100_000) / 100.0
    a, b = device(1, true, 100.0, pulses), device(2, true, 100.0, pulses * (1 + 450e-6))
    refused(pair_of(a, b, clock="triggers"), "450 ppm", "200 ppm")
    refused(pair_of(a, b, clock="triggers", sync_event="TTL"), "'TTL'", "'S1' (60)")


#: Times of events of an hour that two devices share.
SHARED = np.sort(np.random.default_rng(3).uniform(5, 990, 40))
OTHERS = np.sort(np.random.default_rng(4).uniform(5, 990, 40))
REGULAR = np.arange(5.0, 990.0, 15.0)

#: What two devices recorded, as (times, kinds) -> what the advice says, and what it does not.
ADVICE = {
    "no event in one": ((SHARED, 1), (SHARED[:0], 1), {}, ["triggers of the client's recording", "client_offset_s"],
                        ["sync_event"]),
    "no event in the other": ((SHARED[:0], 1), (SHARED, 3), {}, ["triggers of the therapist's recording"],
                              ["sync_event", "the client's"]),
    "regular pulses": ((REGULAR, 1), (REGULAR[5:40], 1), {}, ["Give client_offset_s beside", "half of their interval"],
                       ["sync_event"]),
    "regular pulses of two kinds": ((REGULAR, 2), (REGULAR[5:40], 2), {}, ["irregular one in sync_event"], []),
    "one kind each": ((SHARED, 1), (OTHERS, 1), {}, ["No name tells more", "client_offset_s"], ["sync_event"]),
    "several kinds": ((SHARED, 4), (OTHERS, 2), {}, ["Name the shared one in sync_event"], ["No name tells"]),
    "named already": ((SHARED, 4), (OTHERS, 4), {"sync_event": "S0"}, ["No name tells more"], ["in sync_event"]),
    "a name that is not there": ((SHARED, 4), (OTHERS, 4), {"sync_event": "go"}, ["Correct sync_event to one of"], []),
}  # fmt: skip


@pytest.mark.parametrize("case", ADVICE)
def test_advice_on_triggers_fits_what_was_found(case: str) -> None:
    *held, row, said, unsaid = ADVICE[case]
    raws = []
    for seed, (times, kinds) in enumerate(held):
        raw = device(seed, np.arange(100_000) / 100.0, 100.0)
        names = [f"S{k % kinds}" for k in range(len(times))]
        raws.append(raw.set_annotations(mne.Annotations(times, 0.0, names), verbose="ERROR"))
    pair = pair_of(*raws, clock="triggers", **row)
    refused(pair, "cannot be matched", *said)
    with pytest.raises(ClockError) as caught:
        align_pair(pair)
    advice = str(caught.value).splitlines()[-1]
    assert not [words for words in unsaid if words in advice]


def test_a_noted_offset_beside_regular_pulses_lets_them_tell_the_rest() -> None:
    """The advice on regular pulses works: a note that is off by a third of their interval is enough."""
    a = device(1, np.arange(100_000) / 100.0, 100.0, REGULAR)
    b = device(2, 75.0 + np.arange(60_000) / 100.0, 100.0, REGULAR[6:40] - 75.0)
    aligned = align_pair(pair_of(a, b, clock="triggers", client_offset_s=80.0))
    assert aligned.clock.offset_s == pytest.approx(75.0, abs=0.01)


def test_dates_prove_nothing_unless_they_are_real() -> None:
    def dated(year: int, day: int, hour: int, seed: int) -> mne.io.BaseRaw:
        raw = device(seed, np.arange(5000) / 250.0, 250.0)
        return raw.set_meas_date(datetime.datetime(year, 3, day, hour, 7, 9, tzinfo=datetime.UTC))

    refused(pair_of(dated(2024, 1, 10, 1), dated(2024, 4, 10, 2)), "never")
    refused(pair_of(dated(2024, 1, 10, 1), dated(2024, 1, 11, 2)), "3600 s")
    early = device(3, np.arange(5000) / 250.0, 250.0)
    early.set_meas_date(datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC))
    with pytest.warns(DataQualityWarning, match="nothing aligns"):
        aligned = align_pair(pair_of(dated(2024, 1, 10, 1), early))
    assert aligned.client.info["meas_date"] is None
    with pytest.warns(DataQualityWarning, match="259200.0 s after the therapist"):
        declared = align_pair(pair_of(dated(2024, 1, 10, 1), dated(2024, 4, 10, 2), clock="same_amplifier"))
    assert declared.clock.residual_ms == 0.0


NINE = datetime.datetime(2024, 3, 1, 9, 7, 9, tzinfo=datetime.UTC)


def began(seed: int, date: datetime.datetime | None, seconds: float = 0.0) -> mne.io.BaseRaw:
    """60 s of a device that began some seconds after a date, by its header and in truth."""
    raw = device(seed, seconds + np.arange(15_000) / 250.0, 250.0)
    return raw.set_meas_date(None if date is None else date + datetime.timedelta(seconds=seconds))


@pytest.mark.parametrize("clock", [None, "assumed", "same_amplifier"])
@pytest.mark.parametrize(
    ("apart", "words"),
    [(12.0, "client began 12.0 s after the therapist"), (-7.5, "therapist began 7.5 s after the client")],
)
@pytest.mark.parametrize("year", [2024, 1921])
def test_start_times_against_an_offset_of_zero_are_named(
    clock: str | None, apart: float, words: str, year: int
) -> None:
    date = NINE.replace(year=year)
    pair = pair_of(began(1, date), began(2, date, apart), **({} if clock is None else {"clock": clock}))
    with pytest.warns(DataQualityWarning, match="start times") as heard:
        aligned = align_pair(pair)
    make.check_message(heard[0].message, Path("/study"), "t.edf and c.edf", words)
    assert aligned.clock.offset_s == 0.0
    assert any(words in note for note in aligned.clock.notes)


@pytest.mark.parametrize(
    "second", [None, NINE.replace(year=1985, month=1, day=1), NINE.replace(hour=0, minute=0, second=0)]
)
def test_start_times_that_nobody_knows_contradict_nothing(second: datetime.datetime | None) -> None:
    with pytest.warns(DataQualityWarning, match="nothing aligns") as heard:
        align_pair(pair_of(began(1, NINE), began(2, second)))
    assert "start times" not in str(heard[0].message)
    refused(pair_of(began(1, NINE), began(2, second), clock="timestamps"), "no start times of both")


@pytest.mark.parametrize("apart", [12.0, -7.5, 0.25])
def test_declared_time_stamps_take_start_times_at_their_word(apart: float) -> None:
    pair = pair_of(began(1, NINE), began(2, NINE, apart), clock="timestamps")
    with pytest.warns(DataQualityWarning, match="by their start times"):
        aligned = align_pair(pair)
    assert (aligned.clock.source, aligned.clock.offset_s) == ("timestamps", apart)
    assert np.isnan(aligned.clock.ppm)
    assert placed(aligned, 1.0, 45.0) < 0.1


def test_declared_time_stamps_that_are_hours_or_days_apart_are_refused() -> None:
    refused(pair_of(began(1, NINE), began(2, NINE, 3600.0), clock="timestamps"), "never overlapped", "time zone")
    refused(pair_of(began(1, NINE), began(2, NINE, 90.0), clock="timestamps"), "never overlapped")


def test_what_follows_a_pause_is_not_placed_by_start_times() -> None:
    client = began(2, NINE, 12.0)
    client.set_annotations(mne.Annotations(20.0 - 1 / 250, 2 / 250, "BAD_boundary"))
    with pytest.warns(DataQualityWarning, match="cannot be placed|start times"):
        aligned = align_pair(pair_of(began(1, NINE), client, clock="timestamps"))
    assert "BAD_unplaced" in aligned.client.annotations.description


def test_few_triggers_warn() -> None:
    a, b = (
        device(1, np.arange(5000) / 250.0, 250.0, np.array([3.0])),
        device(2, 1 + np.arange(5000) / 250.0, 250.0, np.array([2.0])),
    )
    with pytest.warns(DataQualityWarning, match="only 1 shared"):
        aligned = align_pair(pair_of(a, b, clock="triggers"))
    assert aligned.clock.offset_s == pytest.approx(1.0)
    assert np.isnan(aligned.clock.ppm)


@pytest.mark.parametrize(("last", "warned"), [(55.0, False), (25.0, True)])
def test_triggers_that_stop_early_are_told(last: float, warned: bool, recwarn: pytest.WarningsRecorder) -> None:
    """A cable came off: the clock is extended, and how far off it may be is said."""
    pulses = np.cumsum(np.random.default_rng(0).uniform(1.0, 3.0, 40))
    pulses = pulses[pulses < 55]
    own = np.arange(15_000) / 250.0
    cable = pulses[pulses < last] - 1
    aligned = align_pair(pair_of(device(1, own, 250.0, pulses), device(2, 1 + own, 250.0, cable), clock="triggers"))
    said = [str(each.message) for each in recwarn if "lie between" in str(each.message)]
    assert len(said) == warned
    assert all(f"{len(pulses)} of the therapist, {len(cable)} of the client" in each for each in said)
    assert aligned.clock.offset_s == pytest.approx(1.0, abs=1e-3)


def test_xdf_gap_drift_and_offset(tmp_path: Path) -> None:
    a = 1000.0 + np.arange(15_000) / 250.0
    b = 1002.0 + np.arange(13_000) / (250.0 * (1 + 40e-6))
    b[6000:] += 3.0
    streams = []
    for seed, name, true in ((1, "A", a), (2, "B", b)):
        data = 1e6 * (rhythm(true - 1000)[None] + 1e-7 * np.random.default_rng(seed).standard_normal((4, len(true))))
        streams.append(
            {"name": name, "type": "EEG", "rate": 250, "data": data, "stamps": true, "labels": make.CHANNELS}
        )
    # the client's computer runs 123.456 s behind, as its clock offsets say
    streams[1] |= {"stamps": b - 123.456, "clock_offset": 123.456}
    make.write_xdf(tmp_path / "b.xdf", streams)
    row = make.session(tmp_path, "b.xdf", "b.xdf", therapist_channels="stream:A", client_channels="stream:B")
    aligned = align_pair(load_session(row))
    assert aligned.clock.source == "timestamps"
    assert aligned.clock.offset_s == pytest.approx(2.0, abs=1e-4)
    assert aligned.clock.ppm == pytest.approx(40.0, abs=2.0)
    x, y = aligned.therapist.get_data()[0], aligned.client.get_data()[0]
    marks = aligned.client.annotations
    gap = marks[np.flatnonzero(marks.description == "BAD_gap")[0]]
    assert (gap["onset"], gap["duration"]) == (pytest.approx(24.0, abs=0.02), pytest.approx(3.0, abs=0.02))
    good = np.ones(len(x), bool)
    good[int(gap["onset"] * 250) - 20 : int((gap["onset"] + gap["duration"]) * 250) + 20] = False
    assert np.std((x - y)[good][50:-50]) < 0.03 * np.std(x)


def test_derived_two_person_xdf_against_its_truth(shared: Path) -> None:
    folder = shared / "data" / "xdf"
    truth = json.loads((folder / "derived_two_person.truth.json").read_text())
    row = make.session(
        folder,
        "derived_two_person.xdf",
        "derived_two_person.xdf",
        therapist_channels="stream:EEG_A",
        client_channels="stream:EEG_B",
    )
    pair = load_session(row)
    aligned = align_pair(pair)
    assert 1e3 * abs(aligned.clock.offset_s - truth["true_start_B_minus_A_s"]) < 1.0
    assert aligned.clock.residual_ms < 1.0
    assert abs(aligned.clock.ppm) < 1.0
    for raw in (aligned.therapist, aligned.client):
        found = dict(zip(raw.annotations.description, raw.annotations.onset, strict=True))
        for name, onset in truth["markers"].items():
            assert found[name] == pytest.approx(onset, abs=1e-3)
    assert aligned.client.n_times == truth["n_B"]
