"""A study is read and checked before any work."""

from __future__ import annotations

from pathlib import Path

from hyperscan.pipeline import check_study


def test_check_says_what_a_run_needs(tiny: Path) -> None:
    report = check_study(tiny)
    text = str(report)
    assert report.usable == 4
    assert "an estimate" in text
    assert "GB of memory per worker" in text
    assert "limited by D01 ses-01 eeg" in text
