"""Rows that contradict each other: duplicates, spellings, partners, days, recordings used twice."""

from __future__ import annotations

import time

import pytest

from hyperscan.study import read_table
from study_fixtures import a_row, rejected_lines, rows_of, touch


def test_duplicate_keys(tmp_path):
    rows = [*rows_of(1, 3), a_row(1, 2, therapist_file="other.edf", client_file="other2.edf")]
    assert rejected_lines(tmp_path, rows, "are the same as in line") == [3, 5]


def test_runs_tasks_and_modalities_are_no_duplicates(tmp_path):
    rows = [
        a_row(1, 1, task="talk", run="1"),
        a_row(1, 1, task="talk", run="2", therapist_file="r2t.edf", client_file="r2c.edf"),
        a_row(1, 1, task="rest", therapist_file="rt.edf", client_file="rc.edf"),
        a_row(1, 1, modality="fnirs", therapist_file="ft.edf", client_file="fc.edf"),
    ]
    assert not rejected_lines(tmp_path, rows, "")


@pytest.mark.parametrize(("column", "usual"), [("dyad", "D01"), ("therapist", "T01"), ("client", "C01")])
def test_ids_that_differ_in_case_only(tmp_path, column, usual):
    rows = rows_of(2, 3)
    rows[1][column] = usual.lower()
    assert 3 in rejected_lines(tmp_path, rows, "")
    assert len(read_table(tmp_path).sessions) == 5


def test_a_dyad_with_another_partner(tmp_path):
    rows = rows_of(2, 3)
    rows[1]["client"] = "C09"
    assert rejected_lines(tmp_path, rows, "its own dyad id") == [3]


def test_exchanged_roles(tmp_path):
    rows = rows_of(2, 3)
    rows[2] |= {"therapist": "C01", "client": "T01"}
    assert rejected_lines(tmp_path, rows, "exchanged") == [4]


@pytest.mark.parametrize(
    ("days", "wrong"),
    [([0, 7, 14, 21, 28], []), ([0, 7, 7, 21, 28], []), ([0, 14, 7, 21, 28], [3, 4]),
     ([0, 7, 14, 3, 28], [5]),
     ([28, 7, 14, 21, 30], [2]), ([0, 7, 140, 21, 28], [4])],
)  # fmt: skip
def test_days_that_disagree_with_the_order(tmp_path, days, wrong):
    rows = [a_row(1, s, days=str(d)) for s, d in enumerate(days, 1)] + [a_row(2, 1, days="0")]
    assert rejected_lines(tmp_path, rows, "disagrees with the order") == wrong


def test_one_session_on_two_days(tmp_path):
    rows = [
        a_row(1, 1, days="0", task="a"),
        a_row(1, 1, days="5", task="b", therapist_file="x.edf", client_file="y.edf"),
    ]
    assert rejected_lines(tmp_path, rows, "on day 0 in line 2") == [3]


@pytest.mark.parametrize(
    ("first", "second", "overlap"),
    [
        ({}, {}, True),
        ({"stop_s": "600"}, {"start_s": "600"}, False),
        ({"stop_s": "600.1"}, {"start_s": "600"}, True),
        ({"segment_event": "rest"}, {"segment_event": "talk"}, False),
        ({"segment_event": "rest"}, {"segment_event": "rest"}, True),
        # all of it, and a part of it; of which part of a part nobody knows yet where it lies
        ({}, {"segment_event": "talk"}, True),
        ({"segment_event": "talk", "start_s": "60"}, {}, True),
        ({"stop_s": "600"}, {"segment_event": "talk"}, False),
    ],
)
def test_one_recording_for_two_sessions(tmp_path, first, second, overlap):
    shared = {"therapist_file": "t.edf", "client_file": "c.edf"}
    rows = [a_row(1, 1, **shared, **first), a_row(1, 2, **shared, **second), a_row(2, 1)]
    assert rejected_lines(tmp_path, rows, "for the same time in line") == ([2, 3] if overlap else [])


def test_a_whole_meeting_and_a_part_of_it_may_be_two_tasks(tmp_path):
    files = {"therapist_file": "t.edf", "client_file": "c.edf"}
    rows = [a_row(1, 1, task="all", **files), a_row(1, 1, task="talk", segment_event="talk", **files)]
    assert not rejected_lines(tmp_path, rows, "")


def test_a_file_is_not_divided_into_more_parts_than_people(tmp_path):
    touch(tmp_path, "room.edf")
    parts = {"therapist_file": "room.edf", "client_file": "room.edf"}
    rows = [
        a_row(n, 1, **parts, therapist_channels=f"prefix:t{n}.", client_channels=f"prefix:c{n}.") for n in range(1, 66)
    ]
    assert not rejected_lines(tmp_path, rows[:64], "")
    assert rejected_lines(tmp_path, rows, "'room.edf' is divided into 130 parts") == list(range(2, 67))


def test_one_recording_of_the_therapist_for_two_dyads(tmp_path):
    rows = rows_of(3, 1)
    for row in rows[:2]:
        row |= {"therapist": "T01", "therapist_file": "group.edf"}
    assert rejected_lines(tmp_path, rows, "therapist_file is used for the same time") == [2, 3]


def test_four_people_in_one_file_are_two_dyads(tmp_path):
    one = {"therapist_file": "four.edf", "client_file": "four.edf"}
    rows = [
        a_row(1, therapist_channels="1-8", client_channels="9-16", **one),
        a_row(2, therapist_channels="17-24", client_channels="25-32", **one),
    ]
    assert not rejected_lines(tmp_path, rows, "")
    rows[1]["therapist_channels"] = "16-24"
    assert rejected_lines(tmp_path, rows, "for the same time") == [2, 3]


def test_eeg_and_fnirs_of_one_session_may_share_a_file(tmp_path):
    files = {"therapist_file": "t.edf", "client_file": "c.edf"}
    assert not rejected_lines(tmp_path, [a_row(**files), a_row(modality="fnirs", **files)], "")


#: Columns that some cases add to the table, each with its text for a row.
FURTHER = {
    "a part each": {"therapist_channels": "prefix:a{}.", "client_channels": "prefix:b{}."},
    "an event each": {"segment_event": "e{}"},
}


@pytest.mark.parametrize(
    "case", ["one key", "one dyad", "one recording", "no file", "no folder", "one spelling each", *FURTHER]
)
def test_a_long_table_takes_time_in_proportion(tmp_path, case):
    for name in "tc":
        touch(tmp_path, f"{name}.edf")
    header = [
        "dyad",
        "therapist",
        "client",
        "session",
        "modality",
        "therapist_file",
        "client_file",
        "days",
        "start_s",
        "stop_s",
        *FURTHER.get(case, ()),
    ]

    def seconds(n: int) -> float:
        rows = []
        for i in range(n):
            row = [f"D{i // 50}", "T1", f"C{i // 50}", i % 50 + 1, "eeg", "t.edf", "c.edf", i % 50, 10 * i, 10 * i + 10]
            if case == "one key":
                row[0:4] = ["D1", "T1", "C1", 1]
            elif case == "one dyad":
                row[0:4], row[7] = ["D1", "T1", "C1", i + 1], i / 10
            elif case == "one recording":
                row[8:] = ["n/a", "n/a"]
            elif case == "no file":
                row[5] = f"absent{i}.edf"
            elif case == "no folder":
                row[5] = f"absent{i}/absent/t.edf"
            elif case in FURTHER:
                row[8:] = ["n/a", "n/a", *(text.format(i) for text in FURTHER[case].values())]
            else:
                row[0] = "".join(letter.upper() if i >> k & 1 else letter for k, letter in enumerate("dyadislonglabel"))
            rows.append("\t".join(map(str, row)))
        (tmp_path / "dyads.tsv").write_text("\n".join(["\t".join(header), *rows]) + "\n")
        began = time.process_time()
        read_table(tmp_path)
        return time.process_time() - began

    seconds(100)
    few = min(seconds(1500) for _ in range(2))
    assert seconds(6000) < 9 * few  # quadratic: 16
