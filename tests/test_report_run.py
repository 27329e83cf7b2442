"""What a report is made from: the primary outcome, and what cannot be read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hyperscan.report.run import ReportedRun
from hyperscan.schema import Outcome
from hyperscan.storage import write_json
from report_fixtures import Fake, growth_of_fake, write_fake

SMALL = Fake(n_dyads=3, n_sessions=3)


def test_the_outcome_is_the_fitted_one_else_the_planned_else_that_of_the_settings(tmp_path: Path) -> None:
    write_fake(tmp_path, SMALL)
    growth = growth_of_fake(tmp_path)
    fitted = replace(growth.primary, outcome=Outcome("ciplv", "beta", "all-all"))
    replace(growth, primary=fitted).save(tmp_path)
    assert ReportedRun.of(tmp_path).outcome == Outcome("ciplv", "beta", "all-all", "", "eeg", "eeg")
    (tmp_path / "growth.json").unlink()
    assert ReportedRun.of(tmp_path).outcome == SMALL.primary
    (tmp_path / "plan.json").unlink()
    (tmp_path / "config.toml").write_text('primary = {metric = "plv", band = "theta", roi = "all-all"}\n')
    assert ReportedRun.of(tmp_path).outcome == Outcome("plv", "theta", "all-all", "", "eeg", "eeg")


def test_rows_are_those_of_the_outcome(tmp_path: Path) -> None:
    run = ReportedRun.of(write_fake(tmp_path, SMALL))
    assert len(run.primary) == len(run.plan.sessions)
    labels = run.primary_pseudo[["metric", "band", "roi_therapist", "signal"]].drop_duplicates()
    assert labels.to_numpy().tolist() == [["plv", "alpha", "posterior", "eeg"]]
    assert 0 < len(run.primary_pseudo) < len(run.pseudo)


def test_a_growth_of_another_version_is_told_and_not_shown(tmp_path: Path) -> None:
    write_fake(tmp_path, SMALL)
    write_json(tmp_path / "growth.json", {"verdict": "grows", "sentence": "b = 3"})
    run = ReportedRun.of(tmp_path)
    assert run.growth is None
    assert [(remark.severity, remark.message[:11]) for remark in run.remarks] == [("warning", "growth.json")]


@pytest.mark.parametrize(("time", "unit"), [("session", "session"), ("weeks", "week")])
def test_the_unit_of_a_slope_follows_the_time_axis(tmp_path: Path, time: str, unit: str) -> None:
    write_fake(tmp_path, SMALL)
    (tmp_path / "config.toml").write_text(f'time = "{time}"\n')
    assert ReportedRun.of(tmp_path).unit == unit
