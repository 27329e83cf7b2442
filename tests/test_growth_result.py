"""What a result says, draws and leaves behind."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from growth_fixtures import designs_table, many, table
from hyperscan.errors import InputError
from hyperscan.growth import fit_growth
from hyperscan.storage import load_table

RNG = np.random.default_rng


def test_files_hold_everything(tmp_path: Path) -> None:
    result = fit_growth(many(), equivalence_slope=0.01)
    result.save(tmp_path / "out")
    stored = json.loads((tmp_path / "out" / "growth.json").read_text(), parse_constant=pytest.fail)
    for key in ("verdict", "sentence", "primary", "two_stage", "sign_flip", "real_slope", "pseudo_slope",
                "therapist_level", "guards", "exploratory"):  # fmt: skip
        assert key in stored
    assert stored["primary"]["slope"] == pytest.approx(result.primary["slope"], rel=1e-9)
    assert set(stored["guards"][0]) == {"name", "passed", "figure", "detail", "asked"}
    frame = load_table(tmp_path / "out" / "growth.tsv")
    counts = frame["part"].value_counts()
    assert (counts["primary"], counts["guard"]) == (1, len(result.guards))
    assert (counts["exploratory"], counts["dyad"]) == (8, 8)
    parts = frame[~frame["part"].duplicated()].set_index("part")
    assert parts.loc["equivalence", "detail"].startswith(f"bound 0.01, holds: {result.equivalence['holds']}; 90 %")
    assert f"BF01 {result.bayes_factor['bf01']:.10g}" in parts.loc["bayes_factor", "detail"]
    assert parts.loc["sign_flip", "detail"] == "smallest p 0.0078125, 256 flips"
    assert parts.loc["two_stage", "n_dyads"] == 8
    led = (
        fit_growth(table(therapist=["T1"] * 24 + ["T2"] * 24)).to_data_frame().set_index("part").loc["therapist_level"]
    )
    assert led["detail"] == "2 therapists, needed: True"
    assert np.isnan(led["n_dyads"])
    alone = fit_growth(table(n=1, sessions=9)).to_data_frame().set_index("part")
    assert alone.loc["one_dyad", "p"] > 0
    assert "Mann-Kendall" in alone.loc["one_dyad", "detail"]


def test_plot_draws_every_dyad() -> None:
    for data, axis in ((table(), "session"), (table().assign(days=lambda d: 7 * d["session"]), "weeks")):
        ax = fit_growth(data, time=axis).plot().axes[0]
        assert len(ax.lines) >= 8
    ax = fit_growth(table().assign(months=lambda d: d["session"] / 4), time="months").plot().axes[0]
    assert ax.get_xlabel() == "months"
    assert "chance (excess 0)" in [text.get_text() for text in ax.get_legend().get_texts()]
    assert ax.lines[0].get_xdata().max() == 1.5
    assert any("per month" in text.get_text() for text in ax.get_legend().get_texts())


def test_one_slope_is_told_and_drawn() -> None:
    # courses of unequal length, where the mixed model and the weighted mean differ
    rows = table(slope_sd=0.05, sd=0.1)
    rows = rows[rows["session"] <= 2 + rows["dyad"].str[1:].astype(int) % 5]
    result = fit_growth(rows)
    assert result.weighted.slope != pytest.approx(result.primary["slope"], abs=1e-4)
    shown = f"{result.weighted.slope:+.3g}"
    assert f"b = {shown} " in result.sentence
    assert f"slope {shown}" in repr(result)
    (line,) = [line for line in result.plot().axes[0].lines if str(line.get_label()).startswith("group slope")]
    assert np.diff(line.get_ydata()) / np.diff(line.get_xdata()) == pytest.approx(result.weighted.slope)
    alone = fit_growth(table(n=1))
    assert alone.group_slope is None
    assert not [line for line in alone.plot().axes[0].lines if str(line.get_label()).startswith("group slope")]


def test_the_table_holds_the_word_and_the_corrected_p_of_every_difference() -> None:
    contrasts = {"talk_minus_rest": {"talk": 1, "rest": -1}, "rest_minus_talk": {"rest": 1, "talk": -1}}
    result = fit_growth(designs_table(), primary={"task": "talk"}, contrasts=contrasts, n_flips=199)
    rows = result.to_data_frame().dropna(subset="p_holm").set_index(["name", "part"])
    assert len(rows) == len(result.differences) == 4
    for one in result.differences:
        told = rows.loc[one.name, one.question]
        assert (told["word"], told["p_holm"], told["p"]) == (one.word, one.p_holm, one.estimate.p)
    assert any(one.p_holm > one.estimate.p for one in result.differences)


def test_a_plot_tells_the_scale_of_its_metric() -> None:
    for metric, scale in (("ppc", "ppc"), ("plv", "Fisher z")):
        label = fit_growth(table(metric=metric)).plot(show=False).axes[0].get_ylabel()
        assert label == f"Excess over chance ({scale})"


def test_a_plot_of_another_value_has_no_chance_and_no_fisher_z() -> None:
    ax = fit_growth(table().rename(columns={"excess_z": "wai"}), value="wai").plot().axes[0]
    assert ax.get_ylabel() == "wai"
    assert not any("chance" in text.get_text() for text in ax.get_legend().get_texts())


def test_results_repeat_and_inputs_stay() -> None:
    data = many(n=16)
    before = data.copy()
    first, second = fit_growth(data, seed=3), fit_growth(data.sample(frac=1, random_state=1), seed=3)
    assert json.dumps(first.to_dict()) == json.dumps(second.to_dict())
    pd.testing.assert_frame_equal(data, before)


@pytest.mark.parametrize("n", [1, 2, 8])
def test_a_stored_result_is_read_back_whole(tmp_path: Path, n: int) -> None:
    data = table(n=n, sessions=9, alliance=1.0, therapist=[f"T{k // 18}" for k in range(9 * n)])
    result = fit_growth(data, outcomes=["alliance"], equivalence_slope=0.02, n_flips=99)
    result.save(tmp_path)
    stored = json.loads((tmp_path / "growth.json").read_text())
    back = type(result).from_dict(stored)
    assert json.dumps(back.to_dict()) == json.dumps(stored)
    assert (back.verdict, back.sentence, back.guards) == (result.verdict, result.sentence, back.guards)
    back.save(tmp_path / "again")
    assert (tmp_path / "again" / "growth.tsv").read_bytes() == (tmp_path / "growth.tsv").read_bytes()
    with pytest.raises(InputError, match=r"growth\.json: is not what this version writes"):
        type(result).from_dict({name: part for name, part in stored.items() if name != "design"})


def test_too_few_dyads_test_no_other_outcome() -> None:
    few = many()
    told = fit_growth(few[few["dyad"].isin(sorted(few["dyad"].unique())[:3])]).summary()
    assert "exploratory: 7 other outcomes; too few dyads to say which change" in told


def test_outcomes_of_two_tasks_are_told_apart() -> None:
    both = pd.concat([many().assign(task=task) for task in ("talk", "rest")], ignore_index=True)
    result = fit_growth(both, primary={"metric": "plv", "band": "alpha", "roi": "posterior-posterior", "task": "talk"})
    lines = [line for line in result.summary().splitlines() if line.startswith("  plv")]
    assert lines
    assert len(set(lines)) == len(lines)
    assert all(" talk:" in line or " rest:" in line for line in lines)


def test_answers_tell_every_question_that_was_asked() -> None:
    asked = {"contrasts": {"talk_minus_rest": {"talk": 1, "rest": -1}}, "group": "arm", "reference": "control"}
    growth = fit_growth(designs_table(), primary={"task": "talk"}, moderators=["age"], n_flips=99, **asked)
    text = growth.answers()
    assert text.startswith(f"verdict: {growth.verdict}\n{growth.sentence}\n\ntalk_minus_rest, level: ")
    assert len(growth.differences) == 4
    assert all(f"{one.word}\n{one.sentence}" in text for one in growth.differences)
    assert text in growth.summary() or all(line in growth.summary() for line in text.splitlines())
    assert "guards:" not in text
