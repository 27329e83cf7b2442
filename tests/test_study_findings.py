from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest

import recording_fixtures as make
from format_fixtures import EXAMPLES, Example
from hyperscan.errors import ReadError
from hyperscan.recording.files.pairs import check_same_file
from hyperscan.schema import SessionKey
from hyperscan.study import Session, find_duplicates, find_swaps, read_sessions, study_findings
from study_fixtures import a_row, rows_of, touch, write_table

PATH = Path("x.edf")


def a_dyad(name: str, numbers: list[int], days: list[float | None] | None = None, **changes: str) -> list[Session]:
    made = [
        Session(name, "T" + name, "C" + name, n, "eeg", PATH, PATH, Path(), days=day)
        for n, day in zip(numbers, days or [None] * len(numbers), strict=True)
    ]
    return [dataclasses.replace(session, **changes) for session in made]


def enough() -> list[Session]:
    return [session for i in range(6) for session in a_dyad(f"Z{i}", [1, 2, 3])]


def kinds(sessions: list[Session]) -> dict[str, str]:
    return {finding.kind: str(finding) for finding in study_findings([*enough(), *sessions])}


def test_a_complete_design_has_no_finding():
    assert study_findings(enough()) == []


@pytest.mark.parametrize(
    ("sessions", "kind", "facts"),
    [
        (a_dyad("A", [1, 2, 5]), "missing_session", "A: sessions 3, 4 are missing"),
        (a_dyad("A", [2, 3, 4]), "missing_session", "A: session 1 is missing"),
        (a_dyad("A", [1]), "one_session", "A: one session only"),
        (a_dyad("A", [1, 2]), "two_sessions", "no confidence interval"),
        (a_dyad("A", [1, 2, 3], [0, 7, 35]), "unequal_spacing", "7 to 28 days"),
        (a_dyad("A", [1, 2, 3], [0, 7, None]), "days_missing", "not for session 3"),
        (a_dyad("A", [1, 2, 3], therapist="TZ0"), "shared_therapist", "therapist TZ0 has 2 clients (A, Z0)"),
        (a_dyad("A", [1, 2, 3], client="CZ0"), "shared_client", "client CZ0 is in 2 dyads"),
        (a_dyad("A", [1, 2, 3], client="TZ0"), "two_roles", "TZ0 is a client in one dyad"),
        (a_dyad("A", [1, 2, 3], therapist="TZ0", client="CZ0"), "pair_twice", "are A and Z0"),
    ],
)
def test_each_finding(sessions, kind, facts):
    found = kinds(sessions)
    assert facts in found[kind]
    assert len(found[kind].splitlines()) == 1


def test_unequal_spacing_is_no_remark_where_time_is_in_weeks():
    sessions = [*enough(), *a_dyad("A", [1, 2, 3], [0, 7, 35])]
    assert [finding.kind for finding in study_findings(sessions)] == ["unequal_spacing"]
    assert study_findings(sessions, "weeks") == []


@pytest.mark.parametrize("days", [[0, 7, 14], [0, 7, 17], [0, 6, 14], [0, 14, 28]])
def test_regular_sessions_are_not_unequally_spaced(days):
    assert "unequal_spacing" not in kinds(a_dyad("A", [1, 2, 3], days))


def test_a_missing_session_does_not_look_like_unequal_spacing():
    found = kinds(a_dyad("A", [1, 2, 4], [0, 7, 21]))
    assert "missing_session" in found
    assert "unequal_spacing" not in found


def test_several_tasks_are_not_several_sessions():
    two_tasks = a_dyad("A", [1], task="talk") + a_dyad("A", [1], task="rest")
    assert "one_session" in kinds(two_tasks)


def test_a_shared_therapist_is_normal():
    found = study_findings([*enough(), *a_dyad("A", [1, 2, 3], therapist="TZ0")])
    assert [finding.severity for finding in found] == ["info"]


def test_too_few_dyads_for_a_verdict():
    (finding,) = study_findings([s for i in range(5) for s in a_dyad(f"Z{i}", [1, 2, 3])])
    assert finding.kind == "few_dyads"
    assert finding.message.startswith("5 dyads")


# -- one recording under two names


def test_copies_are_found_by_content(tmp_path):
    write_table(tmp_path, rows_of(3, 2))
    copied = (tmp_path / "dyad-01/ses-01/therapist.edf").read_bytes()
    (tmp_path / "dyad-02/ses-02/client.edf").write_bytes(copied)
    (finding,) = find_duplicates(read_sessions(tmp_path))
    assert finding.severity == "error"
    assert [(key.dyad, key.session) for key in finding.keys] == [("D01", 1), ("D02", 2)]
    assert "dyad-01/ses-01/therapist.edf" in finding.message
    assert "dyad-02/ses-02/client.edf" in finding.message


def test_a_difference_that_the_sample_misses_is_no_copy(tmp_path):
    write_table(tmp_path, rows_of(1, 2))
    data = bytearray(1_000_000)
    (tmp_path / "dyad-01/ses-01/client.edf").write_bytes(data)
    data[200_000] = 1
    (tmp_path / "dyad-01/ses-02/client.edf").write_bytes(data)
    assert find_duplicates(read_sessions(tmp_path)) == []


def test_equal_sizes_are_not_read_whole(tmp_path, monkeypatch):
    write_table(tmp_path, rows_of(4, 4))
    monkeypatch.setattr("hyperscan.study.findings._digest", lambda path: pytest.fail("hashed a whole file"))
    assert find_duplicates(read_sessions(tmp_path)) == []


def test_brainvision_copies_are_found_although_the_headers_differ(tmp_path):
    names = {"a.vhdr": "DataFile=a.eeg", "b.vhdr": "DataFile=b.eeg", "a.eeg": "samples", "b.eeg": "samples"}
    for name, text in names.items():
        (tmp_path / name).write_text(text)
    write_table(tmp_path, [a_row(therapist_file="a.vhdr", client_file="b.vhdr")])
    (finding,) = find_duplicates(read_sessions(tmp_path))
    assert "a.vhdr" in finding.message


def write_twins(tmp_path, example, seeds):
    """Write recordings of equal names and headers in folders of their own, one per seed."""
    first, second = seeds
    (tmp_path / "a").mkdir(parents=True)
    example.write(tmp_path / "a" / example.name, first)
    if first == second:
        shutil.copytree(tmp_path / "a", tmp_path / "b")
    else:
        (tmp_path / "b").mkdir()
        example.write(tmp_path / "b" / example.name, second)
    files = [f"{folder}/{example.name}" for folder in "ab"]
    row = a_row(therapist_file=files[0], client_file=files[1], modality=example.modality)
    write_table(tmp_path, [row], files=False)
    return find_duplicates(read_sessions(tmp_path)), Session(
        "D1", "T1", "C1", 1, example.modality, *(tmp_path / folder / example.name for folder in "ab"), tmp_path
    )


@pytest.mark.parametrize(
    "example", [each for each in EXAMPLES.values() if not each.is_real], ids=lambda each: each.name
)
def test_data_are_compared_and_not_headers(tmp_path, example):
    found, row = write_twins(tmp_path, example, (1, 2))
    assert found == []
    check_same_file(row)
    ((finding,), row) = write_twins(tmp_path / "twice", example, (1, 1))
    assert finding.kind == "same_content"
    if not row.client_file.is_dir():
        with pytest.raises(ReadError, match="the same data"):
            check_same_file(row)


@pytest.mark.parametrize("ending", [".EEG", ".seg", ".avg", ".dat"])
def test_data_of_brainvision_may_end_in_anything(tmp_path, ending):
    def write(path, seed):
        make.write_brainvision(path, seed)
        path.with_suffix(".eeg").rename(path.with_suffix(ending))
        path.write_text(path.read_text(encoding="utf-8").replace("t.eeg", f"t{ending}"), encoding="utf-8")

    example = Example("t.vhdr", write)
    found, row = write_twins(tmp_path, example, (1, 2))
    assert found == []
    check_same_file(row)


def test_folders_are_recordings_too(tmp_path):
    for folder in ("a", "b", "c"):
        touch(tmp_path, f"{folder}/x.wl1")
        (tmp_path / folder / "x.wl1").write_text("same" if folder != "c" else "else")
    write_table(tmp_path, [a_row(1, therapist_file="a", client_file="b"), a_row(2, therapist_file="c")])
    (finding,) = find_duplicates(read_sessions(tmp_path))
    assert "(a)" in finding.message
    assert "(b)" in finding.message


def test_one_file_for_two_people_or_two_phases_is_no_copy(tmp_path):
    both = {
        "therapist_file": "both.edf",
        "client_file": "both.edf",
        "therapist_channels": "1-2",
        "client_channels": "3-4",
    }
    write_table(tmp_path, [a_row(1, 1, stop_s="60", **both), a_row(1, 2, start_s="60", **both)])
    assert find_duplicates(read_sessions(tmp_path)) == []


def test_what_is_not_known_of_a_person_is_no_swap() -> None:
    key = SessionKey("D1", 1, "eeg", "", "")
    facts = {"therapist": {"peak_hz_alpha": None}, "client": {"peak_hz_alpha": 10.0}}
    assert find_swaps({key: facts, key._replace(session=2): facts, key._replace(session=3): facts}) == []


def test_what_holds_for_several_dyads_is_said_once() -> None:
    rows = [row for name in "ABCDEF" for row in a_dyad(name, [1, 2])]
    found = [one for one in study_findings(rows) if one.kind == "two_sessions"]
    assert [one.message.split(": ")[0] for one in found] == ["A, B, C and 3 more"]
    assert len(found[0].keys) == 12
