"""Start times are believed as far as they can be."""

from __future__ import annotations

import datetime
from pathlib import Path

import mne
import numpy as np
import pytest

import hyperscan as hs
import recording_fixtures as make
from clock_fixtures import device, pair_of
from hyperscan.recording.annotations import start_of
from hyperscan.recording.files.bids import with_start_time
from hyperscan.recording.records import ClockReport
from hyperscan.recording.start_times import StartTimes, compare_starts, hour_hint, is_shifted, is_told

TEN = datetime.datetime(2024, 3, 1, 10, 0, 5, tzinfo=datetime.UTC)
_DAYS = [(1970, 1, 1), (1985, 1, 1), (1980, 1, 1), (1900, 1, 1), (1904, 1, 1), (2000, 1, 1), (1925, 1, 1), (1960, 1, 1)]


@pytest.mark.parametrize("day", _DAYS)
def test_days_that_are_written_when_nobody_knows_tell_nothing(day: tuple[int, int, int]) -> None:
    assert not is_told(datetime.datetime(*day, 10, 0, 5, tzinfo=datetime.UTC))


def test_a_date_without_a_time_of_day_tells_nothing() -> None:
    assert not is_told(None)
    assert not is_told(TEN.replace(hour=0, second=0))
    assert is_told(TEN)
    assert [is_shifted(TEN.replace(year=year)) for year in (1921, 1989, 2024)] == [True, True, False]


def compared(first: datetime.datetime | None, second: datetime.datetime | None) -> StartTimes | None:
    """Compare recordings of a minute."""
    raws = [device(seed, np.arange(15_000) / 250, 250.0) for seed in (1, 2)]
    for raw, date in zip(raws, (first, second), strict=True):
        raw.set_meas_date(date)
    return compare_starts(pair_of(*raws))


def test_two_start_times_are_compared() -> None:
    assert compared(TEN, TEN) == StartTimes(0.0, True, False, 1.0)
    assert compared(TEN, TEN + datetime.timedelta(seconds=12)) == StartTimes(12.0, True, False, 1.0)
    # one that is cut to whole seconds leaves the difference unknown to a second
    half, quarter = (datetime.timedelta(seconds=share) for share in (0.5, 0.25))
    assert compared(TEN, TEN - half) == StartTimes(-0.5, True, False, 1.0)
    assert compared(TEN + half, TEN + quarter) == StartTimes(-0.25, True, False, 0.0)
    late = compared(TEN, TEN + datetime.timedelta(days=2))
    assert late is not None
    assert not late.overlap
    assert compared(TEN, None) is None


def test_shifted_dates_are_compared_where_they_overlap() -> None:
    shifted = TEN.replace(year=1921)
    assert compared(shifted, shifted + datetime.timedelta(seconds=12)) == StartTimes(12.0, True, True, 1.0)
    assert compared(shifted, shifted + datetime.timedelta(days=2)) is None
    assert compared(shifted, TEN) is None


@pytest.mark.parametrize(
    ("apart", "exact", "words"),
    [
        (12.0, 1.0, "the client began 12.0 s after the therapist"),
        (-0.25, 0.0, "the therapist began 0.250 s after the client"),
        (0.0, 1.0, "both began at one moment"),
    ],
)
def test_differences_are_told_as_exactly_as_they_are_known(apart: float, exact: float, words: str) -> None:
    assert StartTimes(apart, True, False, exact).describe() == words


def test_whole_hours_are_told_to_be_a_time_zone() -> None:
    assert "3600 s to the second" in hour_hint(3600.2)
    assert "-7200 s almost" in hour_hint(-7201.0)
    assert [hour_hint(each) for each in (0.0, 1.0, 3500.0, 15 * 3600.0)] == [""] * 4


@pytest.mark.parametrize(
    ("report", "known"),
    [
        (ClockReport("timestamps", 3.0, np.nan, np.nan, uncertainty_ms=1000.0), 1000.0),
        (ClockReport("timestamps", 3.0, np.nan, np.nan, uncertainty_ms=5.0), 16.0),
        (ClockReport("triggers", 3.0, 1.0, 20.0), 20.0),
        (ClockReport("triggers", 3.0, 1.0, 2.0), 16.0),
        (ClockReport("offset", 3.0, np.nan, np.nan), 16.0),
        (ClockReport("same_amplifier"), 0.0),
    ],
)
def test_two_clocks_are_known_to_no_less_than_the_setting(report: ClockReport, known: float) -> None:
    assert report.known_to(16.0) == known


# ---- recordings whose beginning was cut off


def cut(seed: int, date: datetime.datetime | None, by_s: float) -> mne.io.BaseRaw:
    raw = make.eeg_raw(seed, seconds=40.0)
    raw.set_meas_date(date)
    return raw.crop(by_s)


@pytest.mark.parametrize("road", ["files", "memory"])
@pytest.mark.parametrize(("early_s", "late_s"), [(0.0, 12.0), (12.0, 0.0), (5.0, 17.0)])
def test_a_cut_recording_begins_where_it_was_cut(tmp_path: Path, road: str, early_s: float, late_s: float) -> None:
    raws = [cut(seed, TEN, by_s) for seed, by_s in enumerate((early_s, late_s))]
    if road == "files":
        for raw, name in zip(raws, ("t-raw.fif", "c-raw.fif"), strict=True):
            raw.save(tmp_path / name, verbose="ERROR")
        pair = make.load(tmp_path, "t-raw.fif", "c-raw.fif", clock="timestamps")
    else:
        pair = hs.PairedRecording.from_raws(*raws, clock="timestamps")
    # MNE keeps when the whole recording began, so both have one date
    assert raws[0].info["meas_date"] == raws[1].info["meas_date"]
    with pytest.warns(hs.errors.DataQualityWarning, match="start times"):
        aligned = hs.align_pair(pair)
    assert aligned.clock is not None
    assert aligned.clock.offset_s == pytest.approx(late_s - early_s)


def test_what_is_known_of_a_start_stays_known_when_it_is_cut() -> None:
    assert start_of(cut(0, TEN, 12.0)) == TEN + datetime.timedelta(seconds=12)
    # whole seconds stay whole seconds, finer ones are moved to the sample
    assert start_of(cut(0, TEN, 2.25)) == TEN + datetime.timedelta(seconds=2)
    fine = TEN + datetime.timedelta(milliseconds=500)
    assert start_of(cut(0, fine, 2.25)) == TEN + datetime.timedelta(seconds=2.75)
    # nor does a date without a time of day get one
    assert start_of(cut(0, TEN.replace(hour=0, second=0), 2.0)) == TEN.replace(hour=0, second=0)
    assert start_of(cut(0, None, 2.0)) is None


@pytest.mark.parametrize("held", [None, TEN - datetime.timedelta(seconds=12)])
def test_scans_tell_when_what_is_left_begins(tmp_path: Path, held: datetime.datetime | None) -> None:
    raw, folder = cut(0, held, 12.0), tmp_path / "sub-1" / "eeg"
    folder.mkdir(parents=True)
    scans = f"filename\tacq_time\neeg/sub-1_eeg.fif\t{TEN.replace(tzinfo=None).isoformat()}\n"
    (folder.parent / "sub-1_scans.tsv").write_text(scans, encoding="utf-8")
    notes = with_start_time(raw, folder / "sub-1_eeg.fif", "t.fif")
    assert bool(notes) == (held is None)
    assert start_of(raw) == TEN
