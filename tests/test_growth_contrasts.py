"""Conditions within dyad and session: planted differences, what tells order, amounts and guards, and lmerTest."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from growth_fixtures import designs_table
from hyperscan.errors import ConfigError, TableError
from hyperscan.growth import GrowthResult, fit_growth
from hyperscan.growth.contrasts import ADDITIVE, LEAST, NOT_ADDITIVE, contrast_rows
from hyperscan.schema import CELL_COLUMNS, TABLES

CONTRAST = {"talk_minus_rest": {"talk": 1, "rest": -1}}


def tasks(level=0.0, growth=0.0, n=8, sessions=6, seed=0, sd=0.05) -> pd.DataFrame:
    rng, rows = np.random.default_rng(seed), []
    for d in range(n):
        own = rng.normal(0, 0.02)
        for s in range(sessions):
            both = 0.03 * s + rng.normal(0, sd)
            rows.append((f"D{d}", s + 1, "rest", both + rng.normal(0, sd)))
            rows.append((f"D{d}", s + 1, "talk", both + level + (growth + own / 2) * s + rng.normal(0, sd)))
    return pd.DataFrame(rows, columns=["dyad", "session", "task", "excess_z"])


def found(table: pd.DataFrame, contrasts=CONTRAST, **given) -> dict:
    result = fit_growth(table, primary={"task": "talk"}, contrasts=contrasts, n_flips=199, **given)
    return {(one.name, one.question): one for one in result.differences}


def test_level_and_growth_are_told_apart() -> None:
    higher = found(tasks(level=0.2))
    assert higher["talk_minus_rest", "level"].word == "differs_unchecked"
    assert higher["talk_minus_rest", "level"].estimate.slope == pytest.approx(0.2, abs=0.08)
    assert higher["talk_minus_rest", "growth"].word == "no_clear_difference"
    steeper = found(tasks(growth=0.06))["talk_minus_rest", "growth"]
    assert steeper.word == "differs_unchecked"
    assert "more growth of" in steeper.sentence
    assert "in talk than in rest" in steeper.sentence
    assert "signal to noise" in steeper.sentence
    assert {side.name for side in steeper.sides} == {"talk", "rest"}
    turned = found(tasks(growth=0.06), {"x": {"rest": 1, "talk": -1}})["x", "growth"]
    assert turned.estimate.slope == pytest.approx(-steeper.estimate.slope)
    assert "in talk than in rest" in turned.sentence


def test_numbers_are_those_of_lmertest() -> None:
    """R 4.2.2, lmerTest 3.1-3: lmer(I(talk - rest) ~ 1 + (1 | dyad)) and lmer(I(talk - rest) ~ t + (1 + t | dyad)).

    The table of designs_table() was written as CSV and read by R; t = session - 1.
    """
    one = found(designs_table())
    level, growth = (one["talk_minus_rest", question].mixed for question in ("level", "growth"))
    expected = {"level": (0.14930486, 0.055042685, 15.121363, 0.015962611)}
    expected["growth"] = (0.022233506, 0.016640677, 14.662946, 0.20188539)
    for fit, numbers in ((level, expected["level"]), (growth, expected["growth"])):
        ours = (fit.slope, fit.se, fit.df_satterthwaite, fit.p_satterthwaite)
        assert ours == pytest.approx(numbers, rel=1e-4)


def test_several_contrasts_are_corrected_by_holm() -> None:
    three = pd.concat([tasks(level=0.06), tasks(seed=1).query("task == 'rest'").assign(task="film")])
    both = found(three, {**CONTRAST, "talk_minus_film": {"talk": 1, "film": -1}})
    p = sorted(one.estimate.p for (_, question), one in both.items() if question == "level")
    holm = sorted(one.p_holm for (_, question), one in both.items() if question == "level")
    assert holm[0] == pytest.approx(min(1, 2 * p[0]))
    assert "after Holm" in both["talk_minus_rest", "level"].sentence


def test_order_is_named() -> None:
    table = tasks(level=0.2)
    assert "order of the tasks is not in the table" in found(table)["talk_minus_rest", "level"].sentence
    fixed = table.assign(order=(table["task"] == "talk") + 1)
    text = found(fixed)["talk_minus_rest", "level"].sentence
    assert "rest came before talk in every session: task and order cannot be told apart." in text
    odd = table["session"] % 2 == 1
    changing = table.assign(order=np.where((table["task"] == "talk") == odd, 1, 2))
    assert "talk came first in 24 of 48 sessions; the difference was then" in (
        found(changing)["talk_minus_rest", "level"].sentence
    )
    # two runs a session, each in another order: their mean place is the same
    assert "talk and rest had the same mean place in the order of every session." in (
        found(table.assign(order=1.5))["talk_minus_rest", "level"].sentence
    )
    mixed = table.assign(order=np.where(odd, 1.5, changing["order"]))
    assert "in the order of 24 sessions and not in 24: an effect of it is not ruled out." in (
        found(mixed)["talk_minus_rest", "level"].sentence
    )


def test_unequal_amounts_are_named_and_incomplete_sessions_do_not_enter() -> None:
    table = tasks().assign(n_windows=lambda d: np.where((d["task"] == "talk") & (d["session"] == 1), 3, 4))
    table = table[~((table["dyad"] == "D0") & (table["session"] == 2) & (table["task"] == "rest"))]
    one = found(table)["talk_minus_rest", "level"]
    assert one.n_sessions == 47
    assert "In 8 sessions the tasks differ in the amount of data (clean windows (n))." in one.sentence


def guard_tables(table: pd.DataFrame, **steps: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Measures of both tasks; ``steps`` say how much each grows more in talk."""
    rng = np.random.default_rng(3)
    t = table["session"] - 1.0
    talk = (table["task"] == "talk") * t
    guards = table[["dyad", "session", "task"]].copy()
    usual = {
        "g1_line": 0.05,
        "g1_quad": 0.05,
        "g1_high": 0.05,
        "control_excess_z": 0.0,
        "outband_excess_z": 0.0,
        "steadiness": 0.0,
    }
    usual |= {"phase_kept": 0.05, "lag_robust_excess_z": 0.05, **{f"imcoh_{i}": 0.05 for i in (1, 2, 3, 4)}}
    for name, step in (usual | {k: v for k, v in steps.items() if k in usual}).items():
        guards[name] = 0.1 + step * talk + rng.normal(0, 0.02, len(table))
    people = []
    for person in ("therapist", "client"):
        part = table[["dyad", "session", "task"]].assign(person=person, clock_source="same_amplifier")
        part = part.assign(clock_ppm=np.nan, clock_residual_ms=np.nan)
        for name in ("motion", "highfreq"):
            part[name] = 0.2 + steps.get(name, 0.0) * talk + rng.normal(0, 0.01, len(table))
        far = steps.get("peaks", 0.0) * talk if person == "client" else 0.0
        part["peak_hz_alpha"] = 10 + (person == "client") * 2 + far + rng.normal(0, 0.05, len(table))
        people.append(part)
    return guards.assign(w_line=0.5, w_quad=0.5, w_high=0.5), pd.concat(people)


@pytest.mark.parametrize(
    ("steps", "failed", "word"),
    [
        ({}, set(), "differs"),
        ({"g1_line": 0.0}, {"signal_to_noise"}, "confounded"),
        ({"control_excess_z": 0.06}, {"space"}, "confounded"),
        ({"outband_excess_z": 0.03}, {"band"}, "confounded"),
        ({"steadiness": 0.05}, {"steadiness"}, "confounded"),
        ({"motion": 0.02}, {"movement"}, "confounded"),
        ({"highfreq": 0.02}, {"movement"}, "confounded"),
        ({"peaks": -0.3}, {"peaks"}, "confounded"),
        (
            {"lag_robust_excess_z": 0.0, **{f"imcoh_{i}": 0.0 for i in (1, 2, 3, 4)}},
            {"lag"},
            "differs_unchecked",
        ),
    ],
)
def test_guards_are_asked_of_the_difference(steps: dict, failed: set, word: str) -> None:
    table = tasks(growth=0.06).assign(band="alpha", own_excess_z=lambda d: d["excess_z"])
    guards, quality = guard_tables(table, **steps)
    one = found(table, guards=guards, quality=quality)["talk_minus_rest", "growth"]
    assert {guard.name for guard in one.guards if guard.passed is False} == failed
    assert one.word == word
    assert not any("change" in guard.detail for guard in one.guards)


@pytest.mark.parametrize(("alike", "failed"), [(0.0, False), (0.03, True)])
def test_steadiness_that_rises_alike_shows_more_where_there_is_more_coupling(alike: float, failed: bool) -> None:
    """Talk is coupled, rest is not, and both get steadier alike: steadiness differs no more, and talk alone grows."""
    table = tasks(level=0.3, growth=0.02).assign(band="alpha", own_excess_z=lambda d: d["excess_z"])
    guards, quality = guard_tables(table)
    guards["steadiness"] += alike * table["session"]
    one = found(table, guards=guards, quality=quality)["talk_minus_rest", "growth"]
    guard = next(each for each in one.guards if each.name == "steadiness")
    assert guard.passed is not failed
    assert ("of the difference with constant coupling, more than" in guard.detail) == failed
    assert one.word == ("confounded" if failed else "differs")


def test_a_table_of_a_study_knows_its_primary_and_another_task_is_one_argument_away() -> None:
    table = tasks(growth=0.05)
    table.attrs["primary_outcome"] = {"task": "talk", "metric": "plv"}
    assert fit_growth(table, n_flips=99).primary.outcome.task == "talk"
    assert fit_growth(table, primary={"task": "rest"}, n_flips=99).primary.outcome.task == "rest"


def test_rows_of_a_contrast_are_sums_of_those_of_its_tasks() -> None:
    table = tasks(level=0.1).assign(z=lambda d: d["excess_z"] + 1, run="", flags="", n_windows=4, arm="a", lag_p=0.5)
    rows = contrast_rows(table, CONTRAST)
    assert len(rows) == 48
    assert list(rows.columns) == list(table.columns)
    assert set(rows["task"]) == {"talk_minus_rest"}
    wide = table.pivot_table(index=["dyad", "session"], columns="task", values="excess_z")
    expected = (wide["talk"] - wide["rest"]).to_numpy()
    np.testing.assert_allclose(rows.sort_values(["dyad", "session"])["excess_z"], expected)
    assert rows["lag_p"].isna().all()
    assert set(rows["arm"]) == {"a"}
    grown = fit_growth(pd.concat([table, rows]), primary={"task": "talk_minus_rest"}, n_flips=99)
    assert grown.weighted.slope == pytest.approx(found(table)["talk_minus_rest", "growth"].estimate.slope)


def test_every_column_of_a_contrast_is_that_of_the_difference_or_empty() -> None:
    """A column of the first task alone reads as the difference: growth of who leads was claimed of equal tasks."""
    labels = {name: f"{name} 1" for name in (*CELL_COLUMNS, "dyad", "therapist", "client", "modality")}
    numbers = [name for name in TABLES["synchrony"] if name not in (*labels, "task", "run", "flags")]
    shared = {"session": 3, "days": 14.0, "window_s": 20.0}
    rows = [
        {**labels, "run": "", "flags": "", "task": task, **{name: 7.0 - share - i for i, name in enumerate(numbers)}}
        for task, share in (("talk", 3.0), ("rest", 1.0))
    ]
    made = contrast_rows(pd.DataFrame(rows).assign(**shared)[list(TABLES["synchrony"])], CONTRAST)
    assert list(made) == list(TABLES["synchrony"])
    for i, name in enumerate(numbers):
        wanted = {**shared, **dict.fromkeys(ADDITIVE, -2.0), **dict.fromkeys(LEAST, 4.0 - i)}
        wanted |= dict.fromkeys(NOT_ADDITIVE, np.nan)
        np.testing.assert_equal(float(made[name].iloc[0]), wanted[name], err_msg=name)


def test_a_covariate_that_differs_between_tasks_is_none_of_their_difference() -> None:
    table = tasks(n=2, sessions=2).assign(bdi=[20, 20, 18, 18, 9, 9, 7, 7], mood=range(8), note="a")
    table = table.assign(order=[1, 2] * 4, half=[3.0, np.nan] * 4, days=7.0 * (table["session"] - 1))
    made = contrast_rows(table.sort_values("task", ascending=False), CONTRAST).sort_values(["dyad", "session"])
    assert made["bdi"].tolist() == [20, 18, 9, 7]
    assert made[["mood", "order"]].isna().all(axis=None)
    assert made["half"].tolist() == [3.0] * 4
    assert made["note"].tolist() == ["a"] * 4
    assert made["days"].tolist() == [0.0, 7.0] * 2


def test_clocks_are_asked_of_the_lag_in_each_task() -> None:
    """Where both tasks have one lag, that of their difference is none."""
    table = tasks(growth=0.06).rename(columns={"excess_z": "lead_asymmetry_excess"}).assign(lag_peak_s=0.08)
    people = table[["dyad", "session", "task"]].assign(clock_source="triggers", clock_uncertainty_ms=20.0)
    people = people.assign(clock_ppm=1.0, clock_residual_ms=1.0)
    for rest_s, passed in ((0.08, True), (-0.08, True), (0.01, False), (np.nan, None)):
        rows = table.assign(lag_peak_s=table["lag_peak_s"].where(table["task"] == "talk", rest_s))
        one = found(rows, value="lead_asymmetry_excess", quality=people)["talk_minus_rest", "growth"]
        assert {guard.name: guard.passed for guard in one.guards}["clock"] is passed, rest_s


def test_what_is_no_difference_is_refused() -> None:
    table = tasks()
    with pytest.raises(TableError, match=r"contrasts.x: the table has no task 'talks'; .* Did you mean 'talk'"):
        found(table, {"x": {"talks": 1, "rest": -1}})
    for wrong, said in [
        ({"talk": 1, "rest": 1}, "sum to 2, those below to 0"),
        ({"talk": 1}, "those below to 0"),
        ({"talk": "one", "rest": -1}, "expected a weight"),
    ]:
        with pytest.raises(ConfigError, match=said):
            found(table, {"x": wrong})
    with pytest.raises(ConfigError, match="has the name of a task"):
        found(table, {"talk": {"talk": 1, "rest": -1}})


def test_few_dyads_are_described_and_results_come_back_from_json() -> None:
    result = fit_growth(tasks(level=0.2, n=4), primary={"task": "talk"}, contrasts=CONTRAST, n_flips=99)
    assert [one.word for one in result.differences] == ["cannot_tell", "cannot_tell"]
    assert "4 dyads have a session with all tasks, and 6 are needed." in result.differences[0].sentence
    again = GrowthResult.from_dict(json.loads(json.dumps(result.to_dict())))
    assert again.to_dict() == result.to_dict()
    assert {"level", "growth"} <= set(result.to_data_frame()["part"])
    assert "talk_minus_rest, level: cannot_tell" in result.summary()


def test_tasks_that_are_alike_do_not_differ_by_rounding() -> None:
    rows = [
        (f"D{d}", s, task, value)
        for d in range(8)
        for s in range(1, 5)
        for task, value in (("talk", 0.1), ("play", 0.2), ("rest", 0.15))
    ]
    table = pd.DataFrame(rows, columns=["dyad", "session", "task", "excess_z"])
    contrast = {"both_minus_rest": {"talk": 0.5, "play": 0.5, "rest": -1.0}}
    growth = fit_growth(table, primary={"task": "rest"}, contrasts=contrast, n_flips=19)
    assert {one.word for one in growth.differences} == {"no_clear_difference"}
    assert contrast_rows(table, contrast)["excess_z"].eq(0).all()
