"""Names that differ in case alone are one label where no session has both; else the files are named."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from hyperscan.study import draft_dyads, read_table, write_draft
from study_fixtures import asks, bids, cells, touch

PAIR = ("T", "C")


@pytest.fixture(autouse=True)
def _case_is_kept(tmp_path: Path) -> None:
    touch(tmp_path, ".case")
    if (tmp_path / ".CASE").exists():
        pytest.skip("this disk takes the two for one name")


#: Folders whose names differ in case alone, and the labels of their sessions.
FOLDERS: list[tuple[Sequence[str], list[tuple[str, str]]]] = [
    (("PAIR_A3/ses-1", "Pair_a3/ses-2", "pair_A3/ses-3"), [("A3", "1"), ("A3", "2"), ("A3", "3")]),
    (("Paar07_Sitzung1", "PAAR07_SITZUNG2"), [("07", "1"), ("07", "2")]),
    (("kim/Ses-1", "kim/SES-2", "KIM/ses-3"), [("kim", "1"), ("kim", "2"), ("kim", "3")]),
    (("ÜN1/visit-1", "ün1/visit-2"), [("UeN1", "1"), ("UeN1", "2")]),
]


@pytest.mark.parametrize(("folders", "labels"), FOLDERS, ids=lambda value: str(value[0]))
def test_case_alone_makes_no_other_dyad(tmp_path: Path, folders: Sequence[str], labels: list[tuple[str, str]]) -> None:
    touch(tmp_path, *(f"{folder}/{who}.edf" for folder in folders for who in PAIR))
    draft = draft_dyads(tmp_path)
    assert cells(draft, "dyad", "session") == labels
    assert not any("two names" in question for question in draft.questions)
    (note,) = [note for note in draft.notes if "differ in case alone" in note]
    assert f"(dyad {labels[0][0]})" in note
    draft.rows["therapist"] = "T1"
    write_draft(draft, tmp_path)
    assert read_table(tmp_path).rejected == ()


def test_where_sessions_collide_the_files_are_named(tmp_path: Path) -> None:
    touch(
        tmp_path, *(f"{folder}/{who}.edf" for folder in ("Dyad4/ses-1", "DYAD4/ses-1", "dyad4/ses-2") for who in PAIR)
    )
    touch(tmp_path, *(f"{folder}/{who}.edf" for folder in ("Dyad5/ses-1", "DYAD5/ses-2") for who in PAIR))
    draft = draft_dyads(tmp_path)
    assert sorted(cells(draft, "dyad")) == [("",)] * 3 + [("5",)] * 2
    asks(draft, "dyad: two names would become one label: DYAD4 and Dyad4 and dyad4 (4)")
    asks(draft, "Of one session there are: DYAD4/ses-1/C.edf and DYAD4/ses-1/T.edf and Dyad4/ses-1/C.edf")


def test_two_people_in_two_spellings_are_not_paired(tmp_path: Path) -> None:
    touch(tmp_path, "Dyad4_ses1/T.edf", "dyad4_ses1/C.edf", "dyad5_ses1/T.edf", "dyad5_ses1/C.edf")
    draft = draft_dyads(tmp_path)
    assert sorted(cells(draft, "dyad")) == [("",), ("",), ("5",)]
    asks(draft, "Of one session there are: ", "Dyad4_ses1/T.edf", "dyad4_ses1/C.edf")


def test_other_names_of_one_label_are_asked_for_as_before(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{name}/ses-{k}/{who}.edf" for k, name in enumerate(("Müller", "MUELLER"), 1) for who in PAIR))
    draft = draft_dyads(tmp_path)
    assert cells(draft, "dyad") == [("",), ("",)]
    asks(draft, "dyad: two names would become one label: MUELLER and Müller")


def test_tasks_and_arms_that_differ_in_case_are_one(tmp_path: Path) -> None:
    names = [(1, "rest"), (1, "talk"), (2, "Rest"), (2, "TALK")]
    touch(tmp_path / "a", *(f"dyad-1/ses-{k}/{who}_{task}.edf" for k, task in names for who in PAIR))
    draft = draft_dyads(tmp_path / "a")
    assert sorted({task.casefold() for (task,) in cells(draft, "task")}) == ["rest", "talk"]
    touch(tmp_path / "b", *(f"{arm}/dyad_{i}/{who}.edf" for i, arm in enumerate(("CBT", "cbt", "WL")) for who in PAIR))
    draft = draft_dyads(tmp_path / "b")
    assert sorted(cells(draft, "condition")) == [("CBT",), ("CBT",), ("WL",)]
    assert any("CBT and cbt (condition CBT)" in note for note in draft.notes)


def test_a_dyad_under_two_arms_is_asked_for_whatever_its_case(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{arm}/{who}.edf" for arm in ("a/dyad_1", "b/Dyad_1", "b/dyad_2") for who in PAIR))
    asks(draft_dyads(tmp_path), "dyad: one dyad name stands under several folders (a, b)")


def test_people_that_differ_in_case_are_one(tmp_path: Path) -> None:
    bids(
        tmp_path,
        *(f"sub-{who}_ses-1_acq-dyad1_eeg.edf" for who in ("T1", "C1")),
        *(f"sub-{who}_ses-2_acq-dyad1_eeg.edf" for who in ("t1", "C1")),
    )
    draft = draft_dyads(tmp_path)
    assert cells(draft, "therapist", "client") == [("T1", "C1")] * 2
    assert any("T1 and t1 (person T1)" in note for note in draft.notes)


def test_people_of_one_session_stay_two(tmp_path: Path) -> None:
    bids(tmp_path, *(f"sub-{who}_ses-1_acq-dyad{d}_eeg.edf" for d, who in ((1, "T1"), (1, "C1"), (2, "t1"), (2, "C2"))))
    assert sorted(cells(draft_dyads(tmp_path), "therapist")) == [("T1",), ("t1",)]
