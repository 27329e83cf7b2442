"""The sections say what growth, plan and tables hold, and nothing that nobody wrote."""

from __future__ import annotations

import ast
import base64
import json
import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from growth_fixtures import designs_table
from hyperscan.growth import GrowthResult, fit_growth, records
from hyperscan.report import sections
from hyperscan.report.figures import (
    STUDY_PICTURES,
    _above_chance,
    differences_picture,
    grid_picture,
    growth_picture,
    lag_picture,
    means_picture,
    null_picture,
    roi_picture,
)
from hyperscan.report.run import ReportedRun
from hyperscan.report.view import view_data
from hyperscan.results.plan import Remark
from hyperscan.schema import Outcome
from hyperscan.storage import load_table, write_table
from hyperscan.words import NO_VERDICT, VERDICTS
from report_fixtures import Fake, first_page, growth_of_fake, write_fake

SMALL = Fake(n_dyads=3, n_sessions=3)


def page_text(folder: Path) -> str:
    return first_page(folder).text


@pytest.mark.parametrize("verdict", sorted(VERDICTS))
def test_every_verdict_is_told_with_its_limits(tmp_path: Path, verdict: str) -> None:
    write_fake(tmp_path, SMALL)
    replace(growth_of_fake(tmp_path), verdict=verdict).save(tmp_path)
    text = page_text(tmp_path)
    assert VERDICTS[verdict].label in text
    assert VERDICTS[verdict].limits in text


def test_failed_and_open_guards_are_told_apart_without_colour(tmp_path: Path) -> None:
    write_fake(tmp_path, replace(SMALL, verdict="confounded"))
    text = page_text(tmp_path)
    assert "✗ Failed" in text
    assert "✓ Passed" in text
    write_fake(tmp_path, replace(SMALL, verdict="grows_unchecked"))
    assert "– Not assessable" in page_text(tmp_path)


@pytest.mark.parametrize("modality", ["eeg", "fnirs"])
def test_the_growth_of_this_package_is_told(tmp_path: Path, modality: str) -> None:
    write_fake(tmp_path, Fake(modality=modality, full_pseudo=False))
    growth, text = growth_of_fake(tmp_path), page_text(tmp_path)
    assert VERDICTS[growth.verdict].label in text
    for said in re.split(r"(?<=[.)])\s+(?=[A-Z]|b = )", growth.sentence):
        assert said in text
    assert [guard.detail in text for guard in growth.guards] == [True] * len(growth.guards)
    assert "Leaving out one dyad at a time" in text
    told = dict(sections.key_facts(ReportedRun.of(tmp_path)))["Slope"]
    assert float(told.split()[0]) == pytest.approx(growth.weighted.slope, rel=0.05)  # two digits


def test_one_dyad_is_described_and_not_tested(tmp_path: Path) -> None:
    text = page_text(write_fake(tmp_path, Fake("cannot_tell", n_dyads=1)))
    assert "Cannot tell" in text
    assert "This dyad alone" in text
    assert "below 8 sessions described, not tested" in text
    assert "no other dyad could be re-paired" in text
    slope = dict(sections.key_facts(ReportedRun.of(tmp_path)))["Slope"]
    assert slope.endswith("of this dyad; described, not tested")
    assert "CI" not in slope


def test_what_was_found_about_the_study_is_told_with_its_severity(tmp_path: Path) -> None:
    found = (
        Remark("unequal_spacing", "info", "D1: 7 to 21 days lie between sessions."),
        Remark("swapped", "warning", "D2 session 3: therapist and client seem exchanged."),
        Remark("same_content", "error", "D3: the same bytes under 2 names."),
    )
    run = ReportedRun.of(write_fake(tmp_path, replace(SMALL, findings=found)))
    told = sections.remarks(run)
    assert [severity for severity, _ in told] == ["Error", "Warning", "Note"]
    text = page_text(tmp_path)
    assert all(f"{severity}. {message}" in text for severity, message in told)
    assert {message for _, message in told} == {remark.message for remark in found}
    assert "None: people, sessions and regions fit together" in page_text(write_fake(tmp_path, SMALL))


def test_every_part_and_number_of_the_slopes_is_a_field_of_a_record() -> None:
    parts = {item.name for item in fields(GrowthResult)}
    assert set(sections.SLOPES) <= parts
    known = {
        item.name
        for record in vars(records).values()
        if isinstance(record, type) and issubclass(record, records.Record) and record is not records.Record
        for item in fields(record)
    }
    asked = {*sections.SLOPE_COLUMNS, *sections.SLOPE_NOTES, *sections.SLOPE_SIZES}
    assert asked <= known


def test_no_key_is_asked_for_by_guess() -> None:
    """Records are read by field and rows strictly, so that a key that nobody writes cannot be read."""
    guesses = []
    for path in Path(sections.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get":
                guesses += [f"{path.name}: {ast.unparse(node)}"] * isinstance(node.args[0], ast.Constant)
    assert [guess for guess in guesses if ".attrs" not in guess and "told.get" not in guess] == [
        "sections.py: part.get('singular')"
    ]


def test_a_row_that_lacks_a_column_is_a_fault() -> None:
    from hyperscan.report.tables import lay_out

    with pytest.raises(KeyError, match="nobody_writes"):
        lay_out([{"dyad": "D1"}], {"dyad": "Dyad", "nobody_writes": "?"}, "")


@pytest.mark.parametrize("name", [*sections.STUDY_SECTIONS, *STUDY_PICTURES])
def test_the_first_page_shows_every_section(name: str) -> None:
    template = Path(sections.__file__).parent / "templates" / "report.html.j2"
    assert re.search(rf"\b{name}\b", template.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", sections.DYAD_SECTIONS)
def test_a_dyad_page_shows_every_section(name: str) -> None:
    template = Path(sections.__file__).parent / "templates" / "dyad.html.j2"
    assert re.search(rf"\b{name}\b", template.read_text(encoding="utf-8"))


def test_a_dyads_page_says_what_was_left_out_of_it(tmp_path: Path) -> None:
    run = ReportedRun.of(write_fake(tmp_path, SMALL))
    for dyad in ("D01", "D02", "D03"):
        lost = [skip.session for skip in run.plan.skipped if skip.dyad == dyad]
        shown = sections.skipped_table(run, dyad)
        assert [int(row[0].text) for row in shown.rows] == lost if lost else shown is None
    assert any(skip.dyad for skip in run.plan.skipped)


def test_the_levels_of_chance_stay_a_table_where_every_session_has_as_many_dyads(tmp_path: Path) -> None:
    write_fake(tmp_path, SMALL)
    table = load_table(tmp_path / "synchrony.tsv")
    held = table.groupby("dyad")["session"].transform("nunique")
    write_table(tmp_path / "synchrony.tsv", table[held == held.max()].assign(n_pseudo=4, lag_p=np.nan))
    levels = sections.nulls_table(ReportedRun.of(tmp_path))
    assert "Excess (Fisher z)" in levels.columns
    assert not levels.is_line
    assert "lag-null" not in f"{levels.columns} {levels.constant}"  # none was taken, so that 0 would say too much


FILES = [
    "synchrony.tsv",
    "pseudo.tsv",
    "guards.tsv",
    "quality.tsv",
    "growth.json",
    "growth.tsv",
    "plan.json",
    "config.toml",
    "dataset_description.json",
]


@pytest.mark.parametrize("name", FILES)
def test_any_one_file_may_be_absent(tmp_path: Path, name: str) -> None:
    write_fake(tmp_path, SMALL)
    (tmp_path / name).unlink()
    run = ReportedRun.of(tmp_path)
    shown = {section: make(run) for section, make in sections.STUDY_SECTIONS.items()}
    assert (shown["verdict"] is NO_VERDICT) == (name == "growth.json")
    assert (shown["quality"] is None) == (shown["clocks"] is None) == (name == "quality.tsv")
    assert (shown["plan"] is None) == (name == "plan.json")
    assert (shown["nulls"] is None) == (name == "synchrony.tsv")
    assert [make(run, "D02") for make in sections.DYAD_SECTIONS.values()]


@pytest.mark.parametrize("value", [None, [], {}, "text", 3, True, [1, "a", None], float("nan")])
def test_odd_values_in_growth_and_plan_break_nothing(tmp_path: Path, value: Any) -> None:
    write_fake(tmp_path, SMALL)
    for name in ("growth.json", "plan.json"):
        content = json.loads((tmp_path / name).read_text())
        (tmp_path / name).write_text(json.dumps(dict.fromkeys(content, value)))
    text = page_text(tmp_path)
    assert "No verdict" in text
    assert "Warning. growth.json: is not what this version writes" in text
    assert "Warning. plan.json: is not the plan of a run of this version" in text


def test_each_person_has_a_chapter_with_verdict_guards_and_slopes(tmp_path: Path) -> None:
    run = ReportedRun.of(write_fake(tmp_path, Fake()))
    part, table = sections.person_part(run), sections.person_table(run)
    assert part is not None
    assert part.verdict.word == "no_clear_change"
    assert "in the client's 1/f-free power (power/alpha/posterior)" in part.sentence.story
    assert {line.name for line in part.guards} >= {"therapist", "twin", "drowsiness"}
    assert table is not None
    assert table.columns[:4] == ("Index", "Band", "Region", "Scale")
    assert [row[0].text for row in table.rows] == ["power", "power_over_background", "drift"]
    (tmp_path / "persons.json").unlink()
    assert sections.person_part(ReportedRun.of(tmp_path)) is None


def test_the_story_has_no_statistics_and_the_numbers_have_them_all(tmp_path: Path) -> None:
    run = ReportedRun.of(write_fake(tmp_path, Fake(n_dyads=8, n_sessions=5, full_pseudo=False)))
    told = sections.growth_in_words(run)
    assert "b = " in told.numbers
    assert "t(" in told.numbers
    assert told.story
    assert not re.search(r"\bb = |\bt\(|\bp [<=] ", told.story)
    for line in sections.guard_lines(run):
        assert not re.search(r"\bp = |\bt\(", line.finding)
        assert line.finding


def test_fnirs_tells_every_signal_beside_the_primary_one(tmp_path: Path) -> None:
    run = ReportedRun.of(write_fake(tmp_path, Fake(modality="fnirs", full_pseudo=False)))
    table = sections.signal_table(run)
    assert table is not None
    told = {row[0].text.split(" (")[0]: row for row in table.rows}
    assert list(told) == ["HbO", "HbR", "HbO without short-channel regression"]
    assert run.growth is not None
    assert float(told["HbO"][2].value) == pytest.approx(run.growth.weighted.slope)
    assert sections.signal_table(ReportedRun.of(write_fake(tmp_path / "eeg", Fake(full_pseudo=False)))) is None


def test_runs_of_a_session_are_one_in_the_table_of_signals_as_in_the_verdict(tmp_path: Path) -> None:
    write_fake(tmp_path, Fake(modality="fnirs", full_pseudo=False))
    path = tmp_path / "synchrony.tsv"
    table = load_table(path)
    again = table[table["session"].isin([1, 2]) & (table["dyad"] != table["dyad"].iloc[0])]
    more = again.assign(run="2", excess_z=again["excess_z"] + 0.1 * again["session"])
    write_table(path, pd.concat([table, more]))
    run = ReportedRun.of(tmp_path)
    told = sections.signal_table(run)
    assert told is not None
    named = run.outcome.named
    found = fit_growth(run.table, primary=named).weighted
    assert [float(cell.value) for cell in told.rows[0][2:6]] == pytest.approx(
        [found.slope, found.ci_low, found.ci_high, found.p]
    )
    levels, rows = sections.nulls_table(run), run.entered
    assert levels is not None
    by_dyad = rows[rows["session"] == 1].groupby("dyad")["excess_z"].mean()
    at = levels.columns.index("Excess (Fisher z)")
    assert float(levels.rows[0][at].value) == pytest.approx(by_dyad.mean())
    assert by_dyad.mean() != pytest.approx(rows[rows["session"] == 1]["excess_z"].mean())
    assert _above_chance(run.primary)[1] == len(run.primary[["dyad", "session"]].drop_duplicates())


def test_a_metric_that_is_not_put_on_fisher_z_is_not_said_to_be(tmp_path: Path) -> None:
    write_fake(tmp_path, Fake(n_dyads=8, n_sessions=5, full_pseudo=False))
    turned = {"plv": "ppc", "ppc": "plv"}
    for path in (each for name in ("*.tsv", "*.json", "*.toml") for each in tmp_path.glob(name)):
        text = re.sub(r"\b(plv|ppc)\b", lambda one: turned[one.group()], path.read_text("utf-8"))
        path.write_text(text, "utf-8")
    run = ReportedRun.of(tmp_path)
    found = fit_growth(run.table, guards=run.guards, quality=run.quality, primary={"metric": "ppc"})
    assert re.search(r"b = \S+ ppc per session", found.sentence)
    found.save(tmp_path)
    page = first_page(tmp_path).text
    said = [page[at.start() - 20 : at.end() + 25] for at in re.finditer("Fisher z", page)]
    # of the others
    assert [re.search(r"put on the Fisher z scale \(ppc as it is\)", text) is not None for text in said] == [True], said
    assert "Excess, noise-matched (ppc)" in page
    for drawn in (growth_picture(run), null_picture(run)):
        assert drawn is not None
        assert "Fisher" not in drawn.alt + drawn.caption
        svg = base64.b64decode(drawn.src.partition(",")[2]).decode()
        assert "Fisher" not in svg
        assert "Excess over chance (ppc)" in svg
    assert set(view_data(run)["scales"].items()) >= {("ppc", "ppc"), ("ciplv", "Fisher z")}


def test_differences_are_told_on_the_first_screen_with_their_guards(tmp_path: Path) -> None:
    write_fake(tmp_path, SMALL)
    table = designs_table().query("dyad != 'D00'")
    found = fit_growth(
        table,
        primary={"task": "talk"},
        contrasts={"talk_minus_rest": {"talk": 1, "rest": -1}},
        group="arm",
        reference="control",
        n_flips=99,
    )
    told = {"differences": found.differences, "groups": found.groups, "shape": found.shape}
    replace(growth_of_fake(tmp_path), **told).save(tmp_path)
    run = ReportedRun.of(tmp_path)
    facts = dict(sections.key_facts(run))
    assert {"talk minus rest, level", "talk minus rest, growth", "active minus control, growth"} <= set(facts)
    assert "15 dyads" in facts["talk minus rest, growth"]
    text = page_text(tmp_path)
    assert all(one.sentence in text for one in found.differences)
    assert "Shape of the course" in text
    assert len(sections.difference_guards(run).rows) == sum(len(one.guards) for one in found.differences)
    alt = differences_picture(run).alt
    assert "talk minus rest, level" in alt
    assert "differs" in alt or "no clear difference" in alt


def test_a_failed_guard_is_named_on_the_first_screen() -> None:
    found = sections.account_of("Increase. Failed guard lag: It stays (slope +0.1, t(7) = 1.2, p = .27). Clocks: one.")
    assert found.story == "Increase. Failed guard lag: It stays. Clocks: one."
    assert found.numbers == "Failed guard lag: It stays (slope +0.1, t(7) = 1.2, p = .27)."


def test_guards_that_share_one_reason_for_no_answer_are_one_line(tmp_path: Path) -> None:
    write_fake(tmp_path, SMALL)
    open_guards = tuple(records.Guard(name, None, None, "Not assessable: 3 dyads.") for name in ("lag", "band"))
    replace(growth_of_fake(tmp_path), guards=open_guards).save(tmp_path)
    text = page_text(tmp_path)
    assert "None of the 2 guards could be asked. Not assessable: 3 dyads." in text
    assert "– Not assessable" not in text
    assert sections.guard_table(ReportedRun.of(tmp_path)) is None
    named = replace(open_guards[0], passed=False, detail="It stays.")
    replace(growth_of_fake(tmp_path), guards=(named, open_guards[1])).save(tmp_path)
    facts = dict(sections.key_facts(ReportedRun.of(tmp_path)))
    assert facts["Guards"] == "1 failed (lag), 1 not assessable (band)"


def test_relations_without_an_answer_are_folded(tmp_path: Path) -> None:
    write_fake(tmp_path, SMALL)
    clear = records.OutcomeRelation("bdi", "same_session", "goes_with", "In sessions with more, bdi was lower.")
    unclear = records.OutcomeRelation("wai", "between", "no_clear_relation", "No clear relation of wai (between).")
    replace(growth_of_fake(tmp_path), outcomes=(unclear, clear)).save(tmp_path)
    text = page_text(tmp_path)
    assert "bdi, same session: " in text
    assert (
        text.index(clear.sentence) < text.index("Relations without a clear answer (1)") < text.index(unclear.sentence)
    )
    replace(growth_of_fake(tmp_path), outcomes=(unclear,)).save(tmp_path)
    assert "None of 1 relation is clear" in page_text(tmp_path)


def test_the_means_of_groups_and_tasks_are_drawn(tmp_path: Path) -> None:
    write_fake(tmp_path, SMALL)
    # without groups the growth figure has them
    assert means_picture(ReportedRun.of(tmp_path)) is None
    table = load_table(tmp_path / "synchrony.tsv")
    write_table(tmp_path / "synchrony.tsv", table.assign(arm=np.where(table["dyad"] == "D01", "one", "other")))
    (tmp_path / "config.toml").write_text('group = "arm"\nreference = "one"\n')
    run = ReportedRun.of(tmp_path)
    assert means_picture(run).alt.endswith("by arm.")
    assert "Colours: arm" in growth_picture(run).caption


def test_regions_of_the_same_channels_are_told_once(tmp_path: Path) -> None:
    write_fake(tmp_path, SMALL)
    table = load_table(tmp_path / "synchrony.tsv")
    whole = table[table["roi_therapist"] == "posterior"].assign(roi_therapist="cap", roi_client="cap")
    doubled = pd.concat([table, whole], ignore_index=True)
    primary = Outcome("plv", "alpha", "posterior-posterior").named
    once, twice = (fit_growth(rows, primary=primary, n_flips=99).exploratory for rows in (table, doubled))
    assert [row.outcome for row in once] == [row.outcome for row in twice]
    write_table(tmp_path / "synchrony.tsv", doubled)
    assert roi_picture(ReportedRun.of(tmp_path)).alt.split("for ")[1] == alt_of_regions(table)


def alt_of_regions(table: pd.DataFrame) -> str:
    rows = Outcome("plv", "alpha").select(table, any_roi=True)
    means = rows.groupby(["roi_therapist", "roi_client"])["excess_z"].mean()
    return f"{len(means)} ROI pairs; highest on average: {'-'.join(means.idxmax())}."


def test_a_session_left_out_of_growth_is_counted_alike_everywhere(tmp_path: Path) -> None:
    write_fake(tmp_path, SMALL)
    table = load_table(tmp_path / "synchrony.tsv")
    odd = (table["dyad"] == "D02") & (table["session"] == table.loc[table["dyad"] == "D02", "session"].min())
    table.loc[odd, ["pseudo_mean_z", "pseudo_sd_z"]] = float("nan")
    table.loc[odd, "n_pseudo"] = 0
    write_table(tmp_path / "synchrony.tsv", table)
    primary = Outcome("plv", "alpha", "posterior-posterior")
    found = fit_growth(table, primary=primary.named, n_flips=99)
    found.save(tmp_path)
    run = ReportedRun.of(tmp_path)
    n, n_all = found.primary.n_sessions, len(run.primary)
    (left,) = run.left_out
    assert (n, len(run.entered)) == (n_all - 1, n_all - 1)
    facts, methods = dict(sections.key_facts(run)), sections.methods_of(run).to_markdown()
    assert facts["Dyad-sessions in growth"] == str(n)
    assert facts["Left out of growth"].startswith(f"1 row, {left.name} (no other dyad could be re-paired")
    n_out = len(run.plan.skipped)
    assert facts["Not analysed"].startswith(f"{n_out} dyad-session")
    assert f"{n_all} dyad-sessions were analysed; {n_out} dyad-session{'s' * (n_out != 1)} w" in methods
    assert f"{n} dyad-sessions of {found.primary.n_dyads} dyads entered the test of growth" in methods
    assert f"Left out of the fit: 1 row, {left.name} (no other dyad could be re-paired" in methods
    assert left.name in sections.growth_in_words(run).story
    assert f"{n} of " in " ".join(sections.influence(run))
    rows = [[cell.text for cell in row] for row in sections.skipped_table(run).rows]
    assert len(rows) == n_out + 1
    assert any("left out of growth: no other dyad" in cell for cell in rows[-1])
    assert f"{n} dyad-sessions used, 1 left out of growth, {n_out} skipped" in grid_picture(run).alt
    assert "Hollow: left out of growth" in growth_picture(run).caption
    assert sum(int(row[1].text) for row in sections.nulls_table(run).rows) == n
    assert [left.dyad, f"{left.session:g}", f"left out of growth: {left.reason}"] in view_data(run)["lost"]


def test_who_leads_is_told_of_another_metric_where_the_primary_one_has_no_profile(tmp_path: Path) -> None:
    write_fake(tmp_path, replace(SMALL, modality="fnirs"))
    lags = load_table(tmp_path / "lags.tsv")
    write_table(tmp_path / "lags.tsv", lags.assign(metric="corr"))
    run = ReportedRun.of(tmp_path)
    assert sections.lead_in_words(run).startswith("wtc has no lag profile; this is of corr. ")
    assert "corr" in lag_picture(run).caption
    write_table(tmp_path / "lags.tsv", lags)
    assert "no lag profile" not in sections.lead_in_words(ReportedRun.of(tmp_path))
