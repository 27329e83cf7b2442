"""A study is read and checked before any work."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

from hyperscan.config import StudyConfig
from hyperscan.errors import DataQualityWarning
from hyperscan.pipeline import check_study, load_study
from hyperscan.pipeline import study as study_module
from hyperscan.study import Session


def test_check_says_what_a_run_needs(tiny: Path) -> None:
    report = check_study(tiny)
    text = str(report)
    assert report.usable == 4
    assert "an estimate" in text
    assert "GB of memory per worker" in text
    assert "limited by D01 ses-01 eeg" in text


def test_settings_beside_the_table_are_read(my_study: Path, tmp_path: Path) -> None:
    table, config = load_study(my_study)
    assert (len(table.sessions), config.window_s, config.seed) == (4, 10.0, 0)
    assert load_study(my_study / "dyads.tsv", seed=5)[1].seed == 5
    (tmp_path / "other.toml").write_text("window_s = 8.0\n")
    assert load_study(my_study, config=tmp_path / "other.toml")[1].window_s == 8.0
    (my_study / "study.toml").unlink()
    assert load_study(my_study)[1] == StudyConfig()


def test_a_line_of_check_names_what_would_run(tiny: Path) -> None:
    lines = str(check_study(tiny)).splitlines()
    assert lines[0] == (
        "ok    D01 ses-01 eeg: 128 Hz, 4 windows, 40 s, therapist 8/8 channels, client 8/8 channels, "
        "clock same_amplifier, quality good/good"
    )
    assert "4 dyad-sessions would be analysed, 0 skipped." in lines


def test_what_many_sessions_say_is_said_once(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judge = study_module.judge_row

    def judge_and_warn(row: Session, config: StudyConfig) -> Any:
        warnings.warn(f"{row.relative(row.client_file)}: hums", DataQualityWarning, stacklevel=2)
        return judge(row, config)

    monkeypatch.setattr(study_module, "judge_row", judge_and_warn)
    report = check_study(tiny)
    assert "D01 ses-01 eeg and 3 more: [client_file]: hums" in report.notes
    assert all(row.notes == () for row in report.rows)
