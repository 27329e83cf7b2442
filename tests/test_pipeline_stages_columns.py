"""Every column that a table must have, and further ones, change one at a time: in place as in a new folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline_fixtures import edit_table
from stale_fixtures import COLUMNS, assert_as_fresh, keep_modality, read_rows, write_table


@pytest.mark.slow
@pytest.mark.parametrize("name", COLUMNS)
def test_a_changed_column_is_taken_up(mine: Path, done: Callable[[str], Path], tmp_path: Path, name: str) -> None:
    modality = "" if name == "modality" else "eeg"
    keep_modality(mine, modality)
    out = Path(shutil.copytree(done(modality), tmp_path / "out"))
    edit_table(mine, *COLUMNS[name])
    assert_as_fresh(mine, out, tmp_path / "fresh")


@pytest.mark.slow
def test_a_new_and_a_lost_column_are_taken_up(mine: Path, done: Callable[[str], Path], tmp_path: Path) -> None:
    keep_modality(mine, "eeg")
    out = Path(shutil.copytree(done("eeg"), tmp_path / "out"))
    rows = read_rows(mine)
    write_table(mine, [row | {"wai": "5"} for row in rows])
    assert_as_fresh(mine, out, tmp_path / "more")
    write_table(mine, [{name: text for name, text in row.items() if name != "bdi"} for row in rows])
    assert_as_fresh(mine, out, tmp_path / "less")
