"""What became of a dyad-session survives its file, whatever is not known of it."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest

from hyperscan.pipeline.summary import Attempt, Computed, PersonSummary, Summary
from hyperscan.recording.records import BandQuality, ClockReport, PersonQuality
from hyperscan.schema import SessionKey
from hyperscan.storage import to_json
from hyperscan.synchrony import Signals

KEY = SessionKey("D1", 2, "eeg", "rest", "1")


def through_json(row: Attempt) -> dict:
    return json.loads(to_json(row.to_dict()))


def whole() -> Summary:
    person = PersonSummary("T1", ("Fz", "O1"), {"all": ("Fz", "O1")}, s2=(0.25, math.nan), s2_roi=math.nan)
    quality = PersonQuality(2, 3, 60.0, 6, "triggers", 0.5, math.nan, 1.5, "fair", "2 of 3 channels", s2_line=0.25)
    rhythms = {"alpha": BandQuality(0.9, math.nan, math.nan, 4.0)}
    return Summary(
        KEY,
        notes=("short windows",),
        sfreq=250.0,
        n_windows=6,
        seconds=60.0,
        quality={"therapist": quality, "client": PersonQuality(3, 3, 60.0, 6, bands=rhythms)},
        dropped={"therapist": {"Cz": "flat"}, "client": {}},
        clock=ClockReport("triggers", 0.5, math.nan, 1.5, 20, ("one trigger is missing",)),
        decisions={"therapist": {"reference": "average"}, "client": {"reference": "average"}},
        history=("band-pass 1-40 Hz",),
        people={"therapist": person, "client": person},
        ch_names=("Jane Doe",),
    )


def test_a_summary_reads_what_it_wrote() -> None:
    first = through_json(whole())
    again = Summary.from_dict(first)
    assert through_json(again) == first
    assert again.key == KEY
    assert again.people["client"].rois == {"all": ("Fz", "O1")}
    assert again.people["client"].s2[0] == 0.25
    assert math.isnan(again.people["client"].s2[1])
    assert math.isnan(again.people["client"].s2_roi)
    assert again.clock is not None
    assert again.clock.notes == ("one trigger is missing",)
    assert math.isnan(again.clock.ppm)
    assert again.quality["client"].bands["alpha"].snr == 0.9
    assert again.quality["therapist"].s2_line == 0.25
    assert again.dropped["therapist"] == {"Cz": "flat"}
    assert again.decisions["client"] == {"reference": "average"}


def test_names_of_channels_as_recorded_are_in_no_file() -> None:
    assert "Jane Doe" not in to_json(whole().to_dict())
    assert Summary.from_dict(through_json(whole())).ch_names == ()


def test_what_could_not_be_prepared_has_a_reason_and_nothing_else() -> None:
    failed = Summary(KEY, "failed", "internal error", traceback=("prepare.py:1 f",))
    assert list(through_json(failed)) == ["key", "status", "reason", "notes", "traceback"]
    again = Summary.from_dict(through_json(failed))
    assert again == failed
    assert not again.ok
    assert again.people == {}


def test_a_refused_summary_keeps_its_facts() -> None:
    refused = whole().refuse("there twice")
    assert (refused.ok, refused.status, refused.reason) == (False, "skipped", "there twice")
    assert Summary.from_dict(through_json(refused)).quality["client"].channels_kept == 3


def test_tables_of_a_computed_row_are_in_files_of_their_own() -> None:
    done = Computed(KEY, tables={"synchrony": pd.DataFrame({"z": [1.0]})})
    assert list(through_json(done)) == ["key", "status", "reason", "notes"]
    assert Attempt.from_dict(through_json(done)) == Attempt(KEY)


def test_a_person_is_described_by_channels_regions_and_fractions() -> None:
    nothing = np.zeros((0, 2))
    signals = Signals(
        person="C1",
        key=KEY,
        sfreq=100.0,
        ch_names=("Fz", "O1", "O2"),
        rois={"all": (0, 1, 2), "posterior": (1, 2)},
        data={},
        spans=nothing,
        windows=nothing,
        clean=np.zeros(0, bool),
        s2_line=np.array([0.1, 0.4, 0.6]),
        s2_quad=np.array([0.3, 0.4, 0.8]),
        xyz=np.zeros((3, 3)),
    )
    described = PersonSummary.of(signals, "posterior")
    assert described.channels == ("Fz", "O1", "O2")
    assert described.rois["posterior"] == ("O1", "O2")
    assert described.s2 == pytest.approx((0.2, 0.4, 0.7))
    assert described.s2_roi == pytest.approx(0.5)
    assert math.isnan(PersonSummary.of(signals, "frontal").s2_roi)
