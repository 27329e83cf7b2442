"""The validation of the verdict: its shortcut gives the pipeline's numbers, it resumes, and it reports."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest

from hyperscan.pipeline.plan import make_plan, recipe_for
from hyperscan.synchrony import guard_row, guard_values, roi_table, shared_windows

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

import validate_verdict as script
import verdict_conditions as conditions
import verdict_studies as studies


def condition(title: str) -> conditions.Condition:
    return next(c for c in conditions.EEG_CONDITIONS if c.title == title)


@pytest.mark.parametrize(
    "title", ["growth, 25 ms", "constant, strong SNR rise, concave 1/f", "growing artefact, broadband"]
)
def test_all_at_once_equals_one_by_one(title: str) -> None:
    design, case = conditions.Design(4, 2, 60.0), condition(title)
    table, guards, quality = studies.study_tables(case, design, [3])
    people: dict = {}
    rows, summaries = {}, {}
    for row, _, data, ppm in conditions.simulate(case, design, [3]):
        summaries[row.key] = studies._judged(row, studies.recording(row, data, ppm), studies.EEG, people)
        rows[row.key] = row
    plan = make_plan(list(rows.values()), [], summaries, studies.EEG, {})
    assert len(quality) == 2 * len(table) == 16
    for (_, mine), (_, chain) in zip(quality.iterrows(), studies.quality_rows(summaries).iterrows(), strict=True):
        for name in ("dyad", "session", "person", "clean_seconds", "n_windows", "clock_source"):
            assert mine[name] == chain[name]
        assert mine["s2_line"] == pytest.approx(chain["s2_line"], abs=1e-4)
    for key in list(rows)[::3]:
        recipe = recipe_for(rows[key], plan, studies.EEG)
        a, b = people[key]["therapist"], people[key]["client"]
        pairs = [(a, b)]
        for planned in plan.pseudo_pairs:
            if planned.key == key:
                other = people[key._replace(dyad=planned.partner_dyad)][planned.which]
                pairs.append((a, other) if planned.which == "client" else (other, b))
        assert len(pairs) == 7
        at = recipe.pairs_of(a.rois, b.rois).index(recipe.primary.rois)
        z, *chance = [float(roi_table(x, y, recipe)["eeg", "plv", "alpha"][at]) for x, y in pairs]
        mine = table[(table["dyad"] == key.dyad) & (table["session"] == key.session)].iloc[0]
        np.testing.assert_allclose([mine["z"], mine["excess_z"]], [z, z - np.mean(chance)], atol=1e-5)
        real, *pseudo = [guard_values(x, y, recipe, shared_windows(x, y, recipe)) for x, y in pairs]
        expected = guard_row(a, b, recipe, shared_windows(a, b, recipe), real, pseudo)
        row = guards[(guards["dyad"] == key.dyad) & (guards["session"] == key.session)].iloc[0]
        for name, value in dataclasses.asdict(expected).items():
            if name != "matched_excess_z":  # left out by the shortcut: it decides nothing
                assert row[name] == pytest.approx(value, abs=2e-5), name


def test_what_screening_may_object_to_goes_through_the_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    case, design = condition("constant coupling"), conditions.Design(4, 2, 60.0)
    loud = {("D01", 1): 6, ("D02", 2): 0}

    def one_loud_channel(*given: object) -> object:
        for row, truth, (therapist, client), ppm in conditions.simulate(*given):
            if (row.dyad, row.session) in loud:
                client[loud[row.dyad, row.session]] *= 40
            yield row, truth, (therapist, client), ppm

    monkeypatch.setattr(studies, "simulate", one_loud_channel)
    seen: list = []
    judged = studies._judged
    monkeypatch.setattr(studies, "_judged", lambda row, *rest: seen.append(row.key) or judged(row, *rest))
    studies.study_tables(case, design, [1])
    assert {(key.dyad, key.session) for key in seen} == {("D00", 1), *loud}


def test_a_shortcut_that_differs_from_the_chain_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    wider = studies._band_passed
    monkeypatch.setattr(studies, "_band_passed", lambda data, config: 1.01 * wider(data, config))
    with pytest.raises(RuntimeError, match="does not prepare it"):
        studies.study_tables(condition("constant coupling"), conditions.Design(3, 2, 60.0), [1])


def test_conditions_are_what_they_say() -> None:
    design = conditions.Design(12, 3, 1.0)

    def truths(title: str) -> list:
        return list(conditions.simulate(condition(title), design, [1]))

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
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    few = {"8x6:constant_coupling": (condition("constant coupling"), conditions.Design(6, 2, 60.0))}
    monkeypatch.setattr(script, "cells", lambda: few)
    given = ["--reps", "2", "--work", str(tmp_path), "--out", str(tmp_path / "out.md")]
    assert script.main(given) == 0
    kept = sorted(tmp_path.glob("verdict_seed*/*.gz"))
    first = [(path.name, path.stat().st_mtime_ns) for path in kept]
    assert [name for name, _ in first] == ["8x6-constant_coupling-000.json.gz", "8x6-constant_coupling-001.json.gz"]
    assert script.main(given) == 0
    assert [(path.name, path.stat().st_mtime_ns) for path in kept] == first
    text = (tmp_path / "out.md").read_text()
    assert "| constant coupling | 2 |" in text
    assert "2 replications" in capsys.readouterr().out
    tables = script.kept(kept[0])
    fresh = script.simulated("8x6:constant_coupling", 0, script.FRESH_SEED)
    for mine, again in zip(tables, fresh, strict=True):
        assert list(mine) == list(again)
        numbers = list(mine.select_dtypes("number"))
        np.testing.assert_allclose(mine[numbers], again[numbers].astype(float), rtol=1e-8, atol=1e-14)
    pair = [script.judged("8x6:constant_coupling", 0, each) for each in (fresh, tables)]
    assert pair[0]["verdict"] == pair[1]["verdict"]
    assert pair[0]["slope"] == pytest.approx(pair[1]["slope"], rel=1e-8)
