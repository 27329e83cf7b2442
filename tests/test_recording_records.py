"""Records that recordings travel in: two people stay two, and what a record says of itself."""

from __future__ import annotations

from pathlib import Path

import pytest

import recording_fixtures as make
from hyperscan.recording import ClockReport, PairedRecording, Segment
from hyperscan.recording.records import PersonRecording
from hyperscan.schema import ROLES


@pytest.fixture
def pair(tmp_path: Path) -> PairedRecording:
    row = make.session(tmp_path, "t.edf", "c.edf")
    return PairedRecording(make.eeg_raw(1), make.eeg_raw(2, seconds=30.0), row)


def test_each_role_has_its_own_raw(pair: PairedRecording) -> None:
    assert [pair.raw(role) is getattr(pair, role) for role in ROLES] == [True, True]


def test_a_change_makes_a_new_record(pair: PairedRecording) -> None:
    changed = pair.replace(segments=(Segment(0.0, 5.0, "talk"),), clock=ClockReport("offset", 0.25))
    assert (pair.segments, pair.clock) == ((), None)
    assert changed.segments[0].task == "talk"
    assert changed.therapist is pair.therapist


def test_a_pair_says_what_it_holds_and_nobody_s_name(pair: PairedRecording) -> None:
    said = repr(pair)
    assert "therapist 4 channels 100 Hz 20.0 s, client 4 channels 100 Hz 30.0 s" in said
    assert "not aligned | not prepared" in said
    assert "clock offset" in repr(pair.replace(clock=ClockReport("offset")))
    assert make.CANARY not in said


def test_one_person_as_a_file_holds_it_needs_no_more_than_data() -> None:
    raw = make.eeg_raw(1)
    found = PersonRecording(raw)
    assert (found.data, found.stamps, found.notes, found.pauses, found.light) == (raw, None, (), (), ())
