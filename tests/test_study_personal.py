"""What identifies people does not pass as a covariate, and what studies measure does."""

from __future__ import annotations

import pytest

from hyperscan.errors import DataQualityWarning
from hyperscan.study import read_sessions
from hyperscan.study.personal import find_personal
from study_fixtures import a_row, write_table

#: Cells by what they hold; each alone in a column of numbers or levels is enough.
PERSONAL = {
    "dates": ["17.04.1983", "1983-04-17", "17.4.83", "17.04.", "4/17/1983", "1983/4/17", "17 April 1983", "Apr 17, 83",
              "born 17.4.1983", "1983-04", "12:30 17.04.1983", "17. März", "1983-04-17T10:00"],
    "numbers of 7": ["19830417", "1700000000", "1700000000000", "1.7e9", "491701234567", "01701234567", "19830417.0"],
    "telephone": ["+49 170 1234567", "(0170) 123-4567", "0170/1234567", "555-123-4567"],
    "mail": ["jane@clinic.org", "https://jane.example.org", "www.jane.org"],
    "addresses": ["12 Main Street", "Hauptstr. 5", "Am Markt 3, 10115 Berlin", "10115 Berlin", "5 rue Pasteur"],
    "names": ["Jane Doe", "Doe, Jane", "Jane M. Doe", "Anna-Lena Müller", "JANE DOE"],
    "remarks": ["cried a lot today", "Came late. Left early", "her mother died in May"],
    "more than 64": ["x" * 65],
}  # fmt: skip
CASES = [(what, cell) for what, cells in PERSONAL.items() for cell in cells]


@pytest.mark.parametrize(("what", "cell"), CASES)
def test_a_cell_of_each_kind_is_found(what: str, cell: str) -> None:
    found = find_personal("x", {2: "n", 3: cell, 4: "n"}, {2: "D1", 3: "D2", 4: "D3"})
    assert found is not None
    assert found[0] == 3
    assert what in found[1]


@pytest.mark.parametrize(
    "cells",
    [["30423", "29801", "31000.5"], ["170483", "010190", "311299"], ["30423"], ["30400"], ["30423", "30400", "31077"],
     ["170400", "010100", "311200"], ["17042000", "01012000", "31122000"], ["19830417", "20001231"],
     ["0170500000", "30000", "41000"], ["1200000", "900000", "491701234500"], ["4500000", "3123456", "2718281"]],
)  # fmt: skip
def test_columns_of_dates_as_numbers_are_found(cells: list[str]) -> None:
    assert find_personal("x", dict(enumerate(cells, 2)), {}) is not None


@pytest.mark.parametrize(
    "name",
    ["name", "first_name", "client name", "Surname", "birthday", "client_dob", "phone", "email", "home_address", "zip",
     "remark", "session notes", "comments"],
)  # fmt: skip
def test_a_column_that_is_called_so_is_left_out(name: str) -> None:
    assert find_personal(name, {2: "7"}, {}) is not None


def test_a_word_of_its_own_for_every_dyad_is_a_name() -> None:
    dyads = {2: "D1", 3: "D2", 4: "D3", 5: "D1"}
    assert find_personal("x", {2: "Anna", 3: "Bert", 4: "Cleo", 5: "Anna"}, dyads) is not None
    assert find_personal("x", {2: "CBT", 3: "waiting list", 4: "CBT", 5: "CBT"}, dyads) is None
    assert find_personal("x", {2: "A1", 3: "A2", 4: "A3", 5: "A1"}, dyads) is None


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("symptoms", ["24", "17.5", "9"]),
        ("alliance", ["4.25", "-1", "1e3"]),
        ("client_age", ["34", "52", "41"]),
        ("therapist_age", ["34.5", "52", "41"]),
        ("arm", ["CBT", "waiting list", "treatment as usual"]),
        ("phase", ["early", "middle", "late"]),
        ("phase", ["Phase 1", "Phase 2", "Phase 2"]),
        ("room", ["3", "A", "3b"]),
        ("condition", ["talk", "rest", "talk"]),
        ("income", ["35000", "120000", "9000"]),
        ("income", ["23456", "31017", "58001"]),
        ("household income (EUR)", ["23456", "31017.5", "58001"]),
        ("x", ["35000", "20000", "18500"]),
        ("x", ["35000", "20000", "18451", "22250"]),
        ("x", ["4500000", "3100000", "12000000"]),
        ("income_jpy", ["4512345", "3100000", "12000000"]),
        ("x", ["120500", "140000", "98000"]),
        ("cell_count", ["5234111", "4123456", "900000"]),
        ("dose_mg", ["0.5", "100", "1500"]),
        ("code", ["007", "008", "9"]),
        ("month", ["May", "June", "May"]),
        ("ratio", ["12.25", "2024.5", "1983.04"]),
        ("version", ["PHQ-9", "PHQ-9", "BDI-II"]),
    ],
)
def test_what_studies_measure_passes(name: str, cells: list[str]) -> None:
    assert find_personal(name, dict(enumerate(cells, 2)), {2: "D1", 3: "D2", 4: "D2"}) is None


@pytest.mark.parametrize("cell", [cells[0] for cells in PERSONAL.values()])
def test_nothing_of_it_reaches_a_session_or_a_message(tmp_path, cell: str) -> None:
    write_table(tmp_path, [a_row(1, 1, x="1", wai="3"), a_row(1, 2, x=f'"{cell}"', wai="4")])
    with pytest.warns(DataQualityWarning, match="left out") as caught:
        sessions = read_sessions(tmp_path)
    assert [s.covariates for s in sessions] == [{"wai": 3}, {"wai": 4}]
    assert cell not in str(caught[0].message)
