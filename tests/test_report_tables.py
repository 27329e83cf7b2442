"""Numbers, texts and tables of a page."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from hyperscan.report.tables import brief_all, cell, heads_of, lay_out, one_line, rows_of, short, short_p, without_paths


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cannot read /home/jane/clinic/s1.edf", "cannot read …/s1.edf"),
        (r"C:\Users\Jane Doe\s1.edf: damaged", "…/"),
        ("file:///srv/data/jane/a.fif", "…/a.fif"),
        ("channels and/or windows 3/4, ratio 1/2", "channels and/or windows 3/4, ratio 1/2"),
        ("sub-01/eeg/a.edf: damaged", "sub-01/eeg/a.edf: damaged"),
    ],
)
def test_absolute_paths_do_not_reach_a_page(text: str, shown: str) -> None:
    result = without_paths(text)
    assert shown in result
    for hidden in ("/home", "jane", "Users", "/srv"):
        assert hidden not in result


def test_numbers_keep_their_value_beside_four_digits() -> None:
    made = cell(0.0283123456, "slope")
    assert (made.text, made.value) == ("0.02831", "0.0283123456")
    assert (cell(-1234.6).text, short(True), short(math.nan), short("")) == ("−1235", "yes", "–", "–")
    assert cell(0.0312, "lag_p").text == ".0312"
    assert cell(0.0312, "slope").text == "0.0312"
    assert (short_p(1e-9), cell(("Fz", "Cz")).text, cell(()).text) == ("< .0001", "Fz, Cz", "–")


def test_texts_are_one_line_and_not_endless() -> None:
    assert one_line("a\nb\x00c") == "a b c"
    assert len(one_line("x" * 1000)) == 400
    assert one_line("x" * 1000, longest=4000) == "x" * 1000


def test_empty_columns_are_left_out_and_the_first_cell_links() -> None:
    rows = [{"dyad": "D01", "task": "", "z": 0.5}, {"dyad": "D02", "task": None, "z": math.nan}]
    table = lay_out(rows, heads_of(["dyad", "task", "z"], "Fisher z"), "caption", links={"D02": "dyad-D02/report.html"})
    assert table.columns == ("Dyad", "Synchrony (Fisher z)")
    assert table.numeric == (False, True)
    assert [row[0].link for row in table.rows] == ["", "dyad-D02/report.html"]


def test_rows_of_a_frame_are_plain_values() -> None:
    rows = rows_of(pd.DataFrame({"n": [1, 2], "z": [0.5, math.nan], "dyad": ["D1", "D2"]}))
    assert rows == [{"n": 1, "z": 0.5, "dyad": "D1"}, {"n": 2, "z": None, "dyad": "D2"}]
    assert type(rows[0]["n"]) is int


def test_what_is_the_same_in_all_rows_is_one_line() -> None:
    rows = [{"dyad": f"D{k}", "clock": "triggers", "ppm": float(k)} for k in range(3)]
    heads = {"dyad": "Dyad", "clock": "Clock", "ppm": "Drift (ppm)"}
    table = lay_out(rows, heads, "Clocks", keys=["dyad"])
    assert table.columns == ("Dyad", "Drift (ppm)")
    assert table.constant == "The same in all 3 rows: Clock triggers."
    assert not table.is_line
    alike = lay_out([{**row, "ppm": 0.0} for row in rows], heads, "Clocks", keys=["dyad"])
    assert alike.is_line  # nothing is left but which row it is
    assert "Drift (ppm) 0" in alike.constant
    assert lay_out(rows[:2], heads, "Clocks", keys=["dyad"]).constant == ""


def test_an_interval_is_told_with_digits_that_tell_its_ends_apart() -> None:
    rng = np.random.default_rng(5)
    for middle, half in zip(rng.normal(0, 0.3, 50), 10 ** rng.uniform(-3, 0, 50), strict=True):
        told = brief_all(middle, middle - half * abs(middle), middle + half * abs(middle))
        assert len(set(told)) == 3, told
        assert all(len(text.strip("−0.").replace(".", "")) <= 4 for text in told)


@pytest.mark.parametrize(
    ("n_rows", "n_columns", "text", "stacks"),
    [
        (1, 5, "a", True),
        (3, 3, "a", False),
        (9, 3, "a", False),
        (9, 3, "long " * 20, True),
        (9, 8, "long " * 20, False),
    ],
)
def test_a_row_becomes_a_block_where_a_telephone_would_cut_it(
    n_rows: int, n_columns: int, text: str, stacks: bool
) -> None:
    heads = {f"c{k}": f"C{k}" for k in range(n_columns)}
    assert lay_out([dict.fromkeys(heads, text)] * n_rows, heads, "caption").stacks is stacks
