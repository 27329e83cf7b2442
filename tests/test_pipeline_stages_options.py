"""Every optional column is changed, one at a time, and the run in place leaves what one in a new folder leaves."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline_fixtures import run, tree
from stale_fixtures import FURTHER, keep_modality, read_rows, write_table


@pytest.mark.slow
@pytest.mark.parametrize("name", FURTHER)
def test_a_changed_further_column_is_taken_up(mine: Path, tmp_path: Path, name: str) -> None:
    value, other, beside = FURTHER[name]
    keep_modality(mine, "" if name.endswith("_age") else "eeg")  # ages enter the path lengths of light
    rows = read_rows(mine)
    if name == "date":
        rows = [{column: text for column, text in row.items() if column != "days"} for row in rows]
    filled = [row | beside | {name: value} for row in rows]
    write_table(mine, filled)
    # a date is compared with another session of the dyad, which there is not: days stay 0
    run(mine, tmp_path / "out")
    before = tree(tmp_path / "out")
    write_table(mine, [row | {name: other} if row["dyad"] == "D01" else row for row in filled])
    run(mine, tmp_path / "out")
    run(mine, tmp_path / "fresh")
    assert tree(tmp_path / "out") == tree(tmp_path / "fresh")
    assert (tree(tmp_path / "out") != before) == (name != "date")
