"""A dyad-session: its key, and paths as messages may show them."""

from __future__ import annotations

from pathlib import Path

from hyperscan.schema import SessionKey
from hyperscan.study import Session

ROOT = Path("/home/someone/study")


def a_session(**changes: object) -> Session:
    values = {"therapist_file": ROOT / "ses-2/t.edf", "client_file": ROOT / "ses-2/c.edf", "root": ROOT}
    return Session("D1", "T1", "C1", 2, "eeg", **{**values, **changes})


def test_the_key_tells_sessions_apart_and_sorts_them() -> None:
    sessions = [a_session(task="rest", run="1"), a_session(), a_session(task="a")]
    assert sessions[0].key == SessionKey("D1", 2, "eeg", "rest", "1")
    assert [str(key) for key in sorted(session.key for session in sessions)] == [
        "D1 ses-02 eeg",
        "D1 ses-02 eeg task-a",
        "D1 ses-02 eeg task-rest run-1",
    ]


def test_messages_show_paths_inside_the_study_and_names_alone_outside() -> None:
    session = a_session(client_file=Path("/mnt/disk/c.edf"))
    assert session.relative(session.therapist_file) == "ses-2/t.edf"
    assert session.relative(session.client_file) == "c.edf"
    assert repr(session) == "<Session | D1 ses-02 eeg | T1, C1 | ses-2/t.edf, c.edf>"


def test_a_file_of_both_people_is_named_once() -> None:
    both = ROOT / "both.xdf"
    assert repr(a_session(therapist_file=both, client_file=both)).endswith("| both.xdf>")
