"""The three levels of inference on one outcome, equivalence and the Bayes factor."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from growth_fixtures import table
from hyperscan.errors import DataQualityWarning
from hyperscan.growth import fit_growth
from hyperscan.growth.model import Design
from hyperscan.growth.reml import MixedFit, fit_slope

RNG = np.random.default_rng


PRIMARY_KEYS = {
    "metric", "band", "roi", "task", "slope", "se", "df_satterthwaite", "p_satterthwaite", "df", "t", "p",
    "ci_low", "ci_high", "singular", "n_dyads", "n_sessions",
}  # fmt: skip


def test_primary_is_the_capped_mixed_model() -> None:
    data = table()
    result = fit_growth(data)
    fit = fit_slope(data["excess_z"], data["session"] - 1.0, data["dyad"])
    primary = result.primary
    assert set(primary) == PRIMARY_KEYS
    assert (primary["slope"], primary["se"]) == pytest.approx((fit.estimate[1], fit.se[1]))
    assert primary["df_satterthwaite"] == pytest.approx(fit.df[1])
    assert primary["df"] == pytest.approx(min(fit.df[1], 7))
    assert primary["p"] == pytest.approx(2 * stats.t.sf(abs(primary["t"]), primary["df"]))
    half = stats.t.ppf(0.975, primary["df"]) * primary["se"]
    assert (primary["ci_low"], primary["ci_high"]) == pytest.approx((primary["slope"] - half, primary["slope"] + half))
    assert (primary["n_dyads"], primary["n_sessions"]) == (8, 48)
    assert result.per_session["t"].min() == 0


def test_df_above_the_number_of_dyads_is_capped() -> None:
    result = fit_growth(table(slope_sd=0.0, n=7, seed=3))
    assert result.primary["df_satterthwaite"] > 6
    assert result.primary["df"] == 6
    assert result.primary["p"] > result.primary["p_satterthwaite"]


def test_dyads_seen_once_do_not_raise_the_df() -> None:
    data = pd.concat([table(n=7), table(n=20, seed=5).query("session == 1").assign(dyad=lambda d: "X" + d["dyad"])])
    result = fit_growth(data)
    assert result.primary["n_dyads"] == 27
    assert result.primary["df"] <= 6
    assert result.two_stage["n"] == 7


@pytest.mark.parametrize(
    "name", ["ds01_balanced_8x6", "ds02_sened_sparse_s135_18obs", "ds03_unbalanced_20x8_irregular_days"]
)
@pytest.mark.parametrize(("axis", "model"), [("session", "RS"), ("weeks", "RS_weeks")])
def test_reference_tables_through_fit_growth(shared: Path, name: str, axis: str, model: str) -> None:
    data = pd.read_csv(shared / "reference" / f"growth_{name}.csv")
    target = json.loads((shared / "reference" / "growth_lmertest.json").read_text())[name]["excess_z"]
    result = fit_growth(data, time=axis)
    row = target[model]["coef_satterthwaite"][1]
    tolerance = 1e-3 if target[model]["singular"] else 1e-4
    assert result.primary["slope"] == pytest.approx(row["Estimate"], rel=tolerance)
    assert result.primary["df_satterthwaite"] == pytest.approx(row["df"], abs=1e-2)
    assert result.primary["p_satterthwaite"] == pytest.approx(row["Pr(>|t|)"], abs=1e-4)
    assert result.primary["singular"] == target[model]["singular"]
    stage = target["two_stage" if axis == "session" else "two_stage_weeks"]
    assert result.two_stage["p"] == pytest.approx(stage["p"], rel=1e-6)


def test_bayes_factor_agrees_with_lmer(shared: Path) -> None:
    data = pd.read_csv(shared / "reference" / "growth_ds01_balanced_8x6.csv")
    target = json.loads((shared / "reference" / "growth_lmertest.json").read_text())["ds01_balanced_8x6"]["ML_LRT"]
    found = fit_growth(data).bayes_factor
    assert (found["bf01"], found["chisq"], found["p"]) == pytest.approx(
        (target["BF01_BIC"], target["chisq"], target["p"]), rel=1e-5
    )


def test_real_pseudo_and_excess_slopes_come_together() -> None:
    data = table()
    rng = np.random.default_rng(1)
    data["pseudo_mean_z"] = 0.2 + 0.01 * data["session"] + rng.normal(0, 0.01, len(data))
    data["z"] = data["excess_z"] + data["pseudo_mean_z"]
    result = fit_growth(data)
    assert result.pseudo_slope["slope"] == pytest.approx(0.01, abs=0.003)
    assert result.real_slope["slope"] == pytest.approx(result.primary["slope"] + result.pseudo_slope["slope"], abs=1e-3)
    assert f"pseudo slope {result.pseudo_slope['slope']:+.3g}" in result.sentence


def test_therapists_with_slopes_of_their_own_stop_the_claim() -> None:
    rng = np.random.default_rng(0)
    own = {"a": 0.12, "b": 0.1, "c": -0.03, "d": 0.0}
    parts = [
        table(own[t], n=5, seed=k).assign(therapist=t, dyad=lambda d, t=t: t + d["dyad"]) for k, t in enumerate(own)
    ]
    data = pd.concat(parts).assign(x=rng.normal(size=120))
    result = fit_growth(data)
    assert result.primary["p"] < 0.05
    assert result.two_stage["p"] < 0.05
    assert result.verdict == "no_clear_change"
    assert result.therapist_level["n_therapists"] == 4
    assert "therapist level" in result.sentence
    assert "does not reach beyond them" in result.sentence
    means = pd.DataFrame(result.per_dyad).groupby("therapist")["slope"].mean()
    assert result.therapist_level["p"] == pytest.approx(stats.ttest_1samp(means, 0).pvalue)
    assert result.therapist_level["mixed"]["df"] <= 3


@pytest.mark.parametrize(("therapists", "needed"), [(8, False), (1, False), (4, True), (7, True)])
def test_therapist_level_where_they_see_several(therapists: int, needed: bool) -> None:
    data = table(0.1)
    data["therapist"] = (data["dyad"].str[1:].astype(int) % therapists).astype(str)
    result = fit_growth(data)
    assert result.therapist_level["needed"] is needed
    assert result.verdict == "grows_unchecked"
    assert ("does not reach beyond" in result.sentence) == (therapists < 5)


def test_equivalence() -> None:
    flat = table(0.0, n=20, slope_sd=0.005, seed=2)
    result = fit_growth(flat, equivalence_slope=0.02)
    assert result.verdict == "no_change"
    assert "0.02 Fisher z per session named in advance" in result.sentence
    primary = result.primary
    half = stats.t.ppf(0.95, primary["df"]) * primary["se"]
    assert result.equivalence["ci90_high"] == pytest.approx(primary["slope"] + half)
    assert result.equivalence["holds"] == (result.equivalence["p"] < 0.05)
    assert abs(primary["slope"]) + half < 0.02
    assert fit_growth(flat, equivalence_slope=0.003).verdict == "no_clear_change"
    assert fit_growth(flat).verdict == "no_clear_change"
    assert fit_growth(flat).bayes_factor["bf01"] > 1


def test_equivalence_has_to_hold_over_therapists_who_see_several_dyads() -> None:
    flat = table(0.0, n=30, sd=0.01)
    coach = flat["dyad"].str[1:].astype(int) % 3
    apart = flat.assign(excess_z=flat["excess_z"] + 0.03 * (coach - 1) * flat["session"])
    alone = fit_growth(apart, equivalence_slope=0.02)
    found = fit_growth(apart.assign(therapist=coach), equivalence_slope=0.02)
    level = found.therapist_level
    assert (alone.verdict, found.verdict) == ("no_change", "no_clear_change")
    assert found.equivalence["p"] == pytest.approx(stats.t.sf((0.02 - abs(level["slope"])) / level["se"], 2))


@pytest.mark.parametrize("offset", [2023.0, 7.4e5, 1e9])
def test_a_time_far_from_zero_gives_the_same_slope(offset: float) -> None:
    data = table(slope_sd=0.03)
    near = fit_growth(data.assign(age=data["session"] - 1.0), time="age", equivalence_slope=0.1)
    far = fit_growth(data.assign(age=data["session"] + offset), time="age", equivalence_slope=0.1)
    for name in ("slope", "se", "df_satterthwaite", "p"):
        assert far.primary[name] == pytest.approx(near.primary[name], rel=1e-6), name
    assert far.bayes_factor["bf01"] == pytest.approx(near.bayes_factor["bf01"], rel=1e-5)
    assert far.two_stage["slope"] == pytest.approx(near.two_stage["slope"], rel=1e-6)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_the_unit_of_a_value_does_not_matter(scale: float) -> None:
    data = table(slope_sd=0.03)
    plain, scaled = fit_growth(data), fit_growth(data.assign(excess_z=data["excess_z"] * scale + 1e3 * scale))
    assert scaled.primary["slope"] == pytest.approx(scale * plain.primary["slope"], rel=1e-6)
    assert scaled.primary["p"] == pytest.approx(plain.primary["p"], rel=1e-6)


@pytest.mark.parametrize(("n_dyads", "warned"), [(2, 0), (5, 0), (6, 1)])
def test_a_fit_that_did_not_end_is_told_where_its_slope_is(
    n_dyads: int, warned: int, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    def unfinished(*args: object, **named: object) -> MixedFit:
        return replace(fit_slope(*args, **named), converged=False)  # type: ignore[arg-type]

    monkeypatch.setattr("hyperscan.growth.model.fit_slope", unfinished)
    sessions = pd.DataFrame({"dyad": np.repeat(np.arange(n_dyads), 3), "t": np.tile([0.0, 1.0, 2.0], n_dyads)})
    fit = Design.of(sessions).mixed(RNG(0).normal(size=3 * n_dyads))
    assert fit is not None
    assert not fit.converged
    assert len([one for one in recwarn if issubclass(one.category, DataQualityWarning)]) == warned


def test_two_dyads_of_two_sessions_warn_of_no_model() -> None:
    data = pd.DataFrame({"dyad": ["a", "a", "b", "b"], "session": [1, 2, 1, 2], "excess_z": [0.1, 0.3, 0.2, 0.1]})
    assert fit_growth(data).verdict == "cannot_tell"
