"""The validation of the verdict: its shortcut gives the pipeline's numbers, it resumes, and it reports."""

from __future__ import annotations

import importlib.util
import sys
import warnings
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from hyperscan.pipeline.plan import make_plan, recipe_for
from hyperscan.synchrony import guard_row, guard_values, roi_table, shared_windows

SCRIPT = Path(__file__).parents[1] / "scripts" / "validate_verdict.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("validate_verdict", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["validate_verdict"] = module
    spec.loader.exec_module(module)
    return module


def condition(script: ModuleType, title: str) -> object:
    return next(c for c in script.EEG_CONDITIONS if c.title == title)


def test_all_pairs_at_once_equal_one_by_one(script: ModuleType) -> None:
    design, growth = script.Design(4, 2, 80.0), condition(script, "growth, 25 ms")
    table, guards, quality = script.study_tables(growth, design, [3])
    people: dict = {}
    rows, summaries = {}, {}
    for row, _, data, ppm in script.simulate(growth, design, [3]):
        summaries[row.key] = script._judged(row, script.recording(row, data, ppm), script.EEG, people)
        rows[row.key] = row
    plan = make_plan(list(rows.values()), [], summaries, script.EEG, {})
    assert len(quality) == 2 * len(table) == 16
    for key in list(rows)[::3]:
        recipe = recipe_for(rows[key], plan, script.EEG)
        a, b = people[key]["therapist"], people[key]["client"]
        pairs = [(a, b)]
        for entry in plan["pseudo_pairs"]:
            if (entry["dyad"], entry["session"]) == (key.dyad, key.session):
                other = people[key._replace(dyad=entry["partner_dyad"])][entry["which"]]
                pairs.append((a, other) if entry["which"] == "client" else (other, b))
        assert len(pairs) == 7
        at = recipe.pairs_of(a.rois, b.rois).index(recipe.primary.rois)
        z, *chance = [float(roi_table(x, y, recipe)["eeg", "plv", "alpha"][at]) for x, y in pairs]
        mine = table[(table["dyad"] == key.dyad) & (table["session"] == key.session)].iloc[0]
        np.testing.assert_allclose([mine["z"], mine["excess_z"]], [z, z - np.mean(chance)], atol=1e-5)
        real, *pseudo = [guard_values(x, y, recipe, shared_windows(x, y, recipe)) for x, y in pairs]
        expected = guard_row(a, b, recipe, shared_windows(a, b, recipe), real, pseudo)
        row = guards[(guards["dyad"] == key.dyad) & (guards["session"] == key.session)].iloc[0]
        for name, value in expected.items():
            if name != "matched_excess_z":  # left out by the shortcut: it decides nothing
                assert row[name] == pytest.approx(value, abs=2e-5), name


def test_conditions_are_what_they_say(script: ModuleType) -> None:
    design = script.Design(12, 3, 1.0)

    def truths(title: str) -> list:
        return list(script.simulate(condition(script, title), design, [1]))

    growth = [(row.session, truth) for row, truth, _, _ in truths("growth, 10 ms")]
    means = [np.mean([t.coupled_fraction for s, t in growth if s == k]) for k in (1, 3)]
    np.testing.assert_allclose(means, [0.15, 0.25], atol=0.05)
    assert {t.lag_s for _, t in growth} == {0.010}
    lags = {row.dyad: truth.lag_s for row, truth, _, _ in truths("growth, random lag")}
    assert len(set(lags.values())) == 12
    assert len(truths("growth, 25 ms, missing 25 %")) < 36
    tasks = {(row.session, truth.task_seed) for row, truth, _, _ in truths("shared task timing, growing")}
    assert len(tasks) == 3
    one = [truth.rhythm_gain for row, truth, _, _ in truths("constant, strong SNR rise in one person")]
    both = [truth.rhythm_gain for row, truth, _, _ in truths("constant, strong SNR rise")]
    np.testing.assert_allclose([g[0] for g in one], [g[0] for g in both])
    assert [g[1] for g in one] != [g[1] for g in both]


def test_it_runs_resumes_and_reports(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    few = {"8x6:constant_coupling": (condition(script, "constant coupling"), script.Design(6, 2, 60.0))}
    monkeypatch.setattr(script, "cells", lambda: few)
    given = ["--reps", "2", "--work", str(tmp_path), "--out", str(tmp_path / "out.md")]
    with warnings.catch_warnings():
        assert script.main(given) == 0
        state = next(tmp_path.glob("*.jsonl"))
        first = state.read_text()
        assert len(first.splitlines()) == 2
        assert script.main(given) == 0
    assert state.read_text() == first
    text = (tmp_path / "out.md").read_text()
    assert "| constant coupling | 2 |" in text
    assert "2 replications" in capsys.readouterr().out
