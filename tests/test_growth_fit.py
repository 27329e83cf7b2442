"""From a table to the verdict: estimates, words, files, errors."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from hyperscan.config import Primary
from hyperscan.errors import InputError, TableError
from hyperscan.growth import describe_methods, fit_growth, plan_power
from hyperscan.growth.reml import fit_slope
from hyperscan.growth.verdict import sentence
from hyperscan.storage import read_table
from hyperscan.words import VERDICTS

PRIMARY_KEYS = {
    "metric", "band", "roi", "task", "slope", "se", "df_satterthwaite", "p_satterthwaite", "df", "t", "p",
    "ci_low", "ci_high", "singular", "n_dyads", "n_sessions",
}  # fmt: skip


def table(slope=0.05, n=8, sessions=6, sd=0.05, seed=0, slope_sd=0.01, **columns) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    steps = rng.normal(slope, slope_sd, n)
    rows = [(f"D{d:02d}", s, steps[d] * s + rng.normal(0, sd)) for d in range(n) for s in range(1, sessions + 1)]
    return pd.DataFrame(rows, columns=["dyad", "session", "excess_z"]).assign(**columns)


def many(metrics=("plv", "ciplv"), bands=("theta", "alpha"), rois=("posterior", "all"), seed=0, **more) -> pd.DataFrame:
    parts = []
    for k, (m, b, r) in enumerate((m, b, r) for m in metrics for b in bands for r in rois):
        part = table(0.05 if (m, b, r) == ("plv", "alpha", "posterior") else 0.0, seed=seed + k, **more)
        parts.append(
            part.assign(modality="eeg", task="", run="", signal="eeg", metric=m, band=b, roi_therapist=r, roi_client=r)
        )
    return pd.concat(parts, ignore_index=True)


# --- estimates ---


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


def test_runs_of_a_session_are_averaged_first() -> None:
    data = table()
    apart = np.random.default_rng(1).normal(0, 0.1, len(data))
    runs = [data.assign(run=run, excess_z=data["excess_z"] + sign * apart) for run, sign in (("1", 1), ("2", -1))]
    halves = pd.concat(runs)
    result, plain = fit_growth(halves), fit_growth(data)
    assert result.primary["slope"] == pytest.approx(plain.primary["slope"])
    assert result.primary["n_sessions"] == 48
    assert result.design["n_averaged"] == 48
    assert result.exploratory[0]["p"] == pytest.approx(plain.exploratory[0]["p"])
    assert "averaged" in describe_methods(result)


def test_rows_without_a_value_are_counted() -> None:
    data = table()
    data.loc[[3, 20], "excess_z"] = np.nan
    result = fit_growth(data)
    assert (result.design["n_dropped"], result.primary["n_sessions"]) == (2, 46)
    assert "2 rows lack a value or a time and were left out" in result.sentence
    # of two runs one may be empty, and its session is still there
    runs = fit_growth(pd.concat([table(run="1"), table(run="2", excess_z=np.nan)]))
    assert runs.primary["n_sessions"] == 48
    assert "48 rows lack a value or a time and were left out" in runs.sentence


def test_columns_are_named_by_argument() -> None:
    data = table().rename(columns={"dyad": "pair", "session": "visit", "excess_z": "sync"})
    result = fit_growth(data, value="sync", time="visit", dyad="pair")
    assert result.primary["slope"] == pytest.approx(fit_growth(table()).primary["slope"])
    assert result.design["unit"] == "visit"
    assert "not compared with chance" in result.sentence


def test_numbers_as_text_and_float_labels_are_read() -> None:
    data = table().assign(dyad=lambda d: d["dyad"].str[1:].astype(float), excess_z=lambda d: d["excess_z"].map(repr))
    data.loc[0, "excess_z"] = "n/a"
    assert fit_growth(data).design["n_dropped"] == 1


# --- which outcome ---


def test_primary_by_default_by_name_and_the_only_one() -> None:
    data = many()
    assert fit_growth(data).primary["roi"] == "posterior-posterior"
    named = {"metric": "ciplv", "band": "theta", "roi": "all-all"}
    by_name = fit_growth(data, primary=named)
    assert {k: by_name.primary[k] for k in named} == named
    assert fit_growth(data, primary=Primary(**named)).primary == by_name.primary
    only = data[(data["metric"] == "ciplv") & (data["band"] == "theta") & (data["roi_client"] == "all")]
    assert fit_growth(only).primary == by_name.primary


def test_fnirs_default_and_signal() -> None:
    data = table().assign(modality="fnirs", metric="wtc", band="slow", roi_therapist="all", roi_client="all")
    both = pd.concat([data.assign(signal="hbo"), data.assign(signal="hbr", excess_z=-data["excess_z"])])
    result = fit_growth(both)
    assert (result.design["signal"], result.design["modality"]) == ("hbo", "fnirs")
    assert fit_growth(both, signal="hbr").primary["slope"] == pytest.approx(-result.primary["slope"])


def test_a_named_signal_decides_the_guards_of_a_bare_table() -> None:
    assert fit_growth(table(), signal="hbo").design["modality"] == "fnirs"
    assert fit_growth(table()).design["modality"] == "eeg"


def test_exploratory_outcomes_are_corrected_together() -> None:
    result = fit_growth(many())
    rows = pd.DataFrame(result.exploratory)
    assert len(rows) == 8
    assert rows["primary"].sum() == 1
    assert (rows["p_max_t"] >= rows["p"] * 0.5).all()
    assert rows.loc[rows["primary"], "p_max_t"].item() < 0.05
    assert (rows["q_bh"] >= rows["p"]).all()
    assert rows.loc[rows["primary"], "slope"].item() == pytest.approx(result.two_stage["slope"])


# --- levels of the verdict ---


def test_an_outcome_of_few_dyads_does_not_hide_the_others() -> None:
    few = table(0.0, seed=4, metric="ciplv").query("dyad in ['D00', 'D01']")
    rows = {
        row["metric"]: row
        for row in fit_growth(pd.concat([table(metric="plv"), few]), primary={"metric": "plv"}).exploratory
    }
    assert rows["plv"]["p_max_t"] == 2 / 2**8
    assert np.isnan(rows["ciplv"]["p_max_t"])
    assert (rows["ciplv"]["n_dyads"], np.isfinite(rows["ciplv"]["q_bh"])) == (2, True)


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
    assert "0.02 per session named in advance" in result.sentence
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


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_too_few_dyads_cannot_tell(n: int) -> None:
    result = fit_growth(table(n=n, sessions=9))
    assert result.verdict == "cannot_tell"
    if n > 1:
        assert f"{2 ** (1 - n):.3g}" in result.sentence
        assert result.one_dyad is None
    else:
        assert result.one_dyad["tested"]
        assert "this dyad alone" in result.sentence
        assert result.primary["slope"] is None


def test_six_dyads_with_one_session_each_are_too_few() -> None:
    assert fit_growth(table(sessions=1)).verdict == "cannot_tell"
    assert fit_growth(table().assign(excess_z=np.nan)).verdict == "cannot_tell"


def test_one_dyad_without_others_is_described_by_its_raw_synchrony() -> None:
    data = table(n=1, sessions=8).rename(columns={"excess_z": "z"}).assign(excess_z=np.nan)
    result = fit_growth(data)
    assert result.one_dyad["slope"] > 0
    assert "lag null" in result.sentence


def test_outcomes_within_between_and_change() -> None:
    data = table(n=30, sessions=8, sd=0.1, slope_sd=0.05, seed=4)
    rng = np.random.default_rng(5)
    mean = data.groupby("dyad")["excess_z"].transform("mean")
    earlier = (data["excess_z"] - mean).groupby(data["dyad"]).shift(1).fillna(0)
    data["alliance"] = 2 * earlier + rng.normal(0, 0.1, len(data))
    data["noise"] = rng.normal(size=len(data))
    rows = pd.DataFrame(fit_growth(data, outcomes=["alliance", "noise"]).outcomes).set_index(["name", "relation"])
    within = rows.loc[("alliance", "within_lagged")]
    assert within["slope"] == pytest.approx(2, abs=0.3)
    assert within["p_holm"] < 0.001
    assert rows.loc["noise"]["p_holm"].min() > 0.05
    assert (rows["p_holm"] >= rows["p"]).all()
    assert len(rows) == 6
    with pytest.raises(TableError, match="Did you mean 'alliance'"):
        fit_growth(data, outcomes=["aliance"])


def test_an_outcome_of_one_number_per_dyad_is_tested_over_dyads() -> None:
    data = table(sd=0.08, slope_sd=0.03, seed=3)
    number = data["dyad"].str[1:].astype(float)
    data = data.assign(age=number, course=number + 2.0 * data["session"])
    rows = pd.DataFrame(fit_growth(data, outcomes=["age", "course"]).outcomes).set_index(["name", "relation"])
    found = rows.loc[("age", "between")]
    plain = stats.linregress(data.groupby("dyad")["excess_z"].mean(), np.arange(8.0))
    assert (found["slope"], found["p"], found["df"]) == pytest.approx((plain.slope, plain.pvalue, 6))
    assert rows["p"].drop(("age", "between")).isna().all()
    assert rows.loc[("age", "within_lagged"), "detail"] == "it does not vary within dyads"


def test_an_outcome_that_hardly_varies_within_dyads_has_the_df_of_dyads() -> None:
    data = table(sd=0.08, slope_sd=0.03, seed=3)
    noise = np.random.default_rng(1).normal(0, 1e-3, len(data))
    rows = fit_growth(data.assign(age=data["dyad"].str[1:].astype(float) + noise), outcomes=["age"]).outcomes
    assert rows[1]["df"] == pytest.approx(6, abs=0.01)


def test_figures_beside_the_guards() -> None:
    data = table(seconds=600.0)
    data = data[~((data["dyad"] == "D00") & (data["session"] > 3))]
    data.loc[data["dyad"] == "D03", "excess_z"] *= 4
    base = table()[["dyad", "session"]].assign(task="", run="")
    rows = [
        base.assign(person=p, highfreq=0.1 * base["session"] * (p == "client"), snr_alpha=1.0)
        for p in ("therapist", "client")
    ]
    figures = fit_growth(data, quality=pd.concat(rows)).figures
    trends = {(row["name"], row["person"]): row for row in figures["trends"]}
    assert trends["highfreq", "client"]["slope"] == pytest.approx(0.1)
    assert trends["highfreq", "therapist"]["slope"] == 0
    assert trends["seconds", None]["p"] == 1
    assert figures["leave_one_out"]["dyad"] == "D03"
    assert figures["leave_one_out"]["same_sign"]
    assert figures["missing"]["n_stopped_early"] == 1
    assert (figures["missing"]["n_planned"], figures["missing"]["n_observed"]) == (48, 45)


def test_speech_is_that_of_the_outcomes_task() -> None:
    data = pd.concat([table(task="rest", speech=1.0), table(task="talk").assign(speech=lambda d: d["session"] * 10.0)])
    for task, slope in (("rest", 0.0), ("talk", 10.0)):
        (found,) = fit_growth(data, primary={"task": task}).figures["trends"]
        assert (found["name"], found["slope"]) == ("speech", pytest.approx(slope))
    with pytest.raises(TableError, match="speech: row 1 holds 'lots'"):
        fit_growth(table(speech="lots"))


# --- words and files ---


def test_weak_chance_is_said() -> None:
    assert "fewer than four pseudo pairs" in fit_growth(table(n_pseudo=2)).sentence
    assert "pseudo pairs" not in fit_growth(table(n_pseudo=4)).sentence
    runs = pd.concat([table(run="1", n_pseudo=9), table(run="2", n_pseudo=2)])
    assert "In 48 sessions fewer than four pseudo pairs" in fit_growth(runs).sentence


def test_the_lag_null_as_chance_is_called_weaker_and_not_partner_specific() -> None:
    sentence_alone = fit_growth(table(n=1, n_pseudo=0)).sentence
    assert "statistical dependence beyond the lag null" in sentence_alone
    assert "In 6 sessions no other dyad could be re-paired: the chance level is the lag null" in sentence_alone
    assert "partner-specific" not in sentence_alone
    assert "fewer than four" not in sentence_alone


def test_sessions_without_partners_do_not_make_a_study_grow() -> None:
    flat = table(slope=0.0)
    late = flat["session"] > 4
    lags = flat.assign(n_pseudo=np.where(late, 0, 5), excess_z=flat["excess_z"] + np.where(late, 0.5, 0.0))
    found, wanted = fit_growth(lags), fit_growth(flat[~late].assign(n_pseudo=5))
    assert found.primary == wanted.primary
    assert [row["p_max_t"] for row in found.exploratory] == [row["p_max_t"] for row in wanted.exploratory]
    assert found.design["n_unpaired"] == int(late.sum())
    assert found.design["n_dropped"] == 0
    assert f"{late.sum()} rows were left out: no other dyad could be re-paired" in found.sentence
    # a value that is no excess has no chance level of another kind
    raw = lags.rename(columns={"excess_z": "sync"})
    assert fit_growth(raw, value="sync").primary["n_sessions"] == len(flat)


@pytest.mark.parametrize("slope", [0.05, -0.05, 0.0])
def test_sentences_hold_their_numbers(slope: float) -> None:
    result = fit_growth(table(slope), equivalence_slope=0.03)
    assert result.verdict in VERDICTS
    for text in ("95 % CI", "8 dyads, 48 sessions", "two-stage p", "sign-flip p"):
        assert text in result.sentence
    for word in ("caused", "brains", "synchronised"):
        assert word not in result.sentence
    assert result.verdict in result.summary()
    assert "Not assessable" not in result.summary().partition("guards:")[2]


def test_files_hold_everything(tmp_path: Path) -> None:
    result = fit_growth(many(), equivalence_slope=0.01)
    result.save(tmp_path / "out")
    stored = json.loads((tmp_path / "out" / "growth.json").read_text(), parse_constant=pytest.fail)
    for key in ("verdict", "sentence", "primary", "two_stage", "sign_flip", "real_slope", "pseudo_slope",
                "therapist_level", "guards", "exploratory"):  # fmt: skip
        assert key in stored
    assert stored["primary"]["slope"] == pytest.approx(result.primary["slope"], rel=1e-9)
    assert set(stored["guards"][0]) == {"name", "passed", "figure", "detail"}
    frame = read_table(tmp_path / "out" / "growth.tsv")
    counts = frame["part"].value_counts()
    assert (counts["primary"], counts["guard"], counts["exploratory"], counts["dyad"]) == (1, 5, 8, 8)
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


def test_results_repeat_and_inputs_stay() -> None:
    data = many(n=16)
    before = data.copy()
    first, second = fit_growth(data, seed=3), fit_growth(data.sample(frac=1, random_state=1), seed=3)
    assert json.dumps(first.to_dict()) == json.dumps(second.to_dict())
    pd.testing.assert_frame_equal(data, before)


def test_plot_draws_every_dyad() -> None:
    for data, axis in ((table(), "session"), (table().assign(days=lambda d: 7 * d["session"]), "weeks")):
        ax = fit_growth(data, time=axis).plot()
        assert len(ax.lines) >= 8
    ax = fit_growth(table().assign(months=lambda d: d["session"] / 4), time="months").plot()
    assert ax.get_xlabel() == "months"
    assert "chance (excess 0)" in [text.get_text() for text in ax.get_legend().get_texts()]
    assert ax.lines[0].get_xdata().max() == 1.5
    assert any("per month" in text.get_text() for text in ax.get_legend().get_texts())


def test_a_plot_of_another_value_has_no_chance_and_no_fisher_z() -> None:
    ax = fit_growth(table().rename(columns={"excess_z": "wai"}), value="wai").plot()
    assert ax.get_ylabel() == "wai"
    assert not any("chance" in text.get_text() for text in ax.get_legend().get_texts())


def test_methods_say_what_was_done() -> None:
    text = describe_methods(fit_growth(table(n=16), equivalence_slope=0.02))
    for part in (
        "Satterthwaite",
        "100,000 random sign flips",
        "two one-sided tests",
        "10.18637/jss.v082.i13",
    ):
        assert part in text
    assert "100,000 random sign flips" in text
    assert "Bayes factor for no growth" in text
    assert "0.02 per session" in text


def test_methods_of_one_dyad_say_which_test_it_was() -> None:
    texts = [describe_methods(fit_growth(table(n=1, sessions=n))) for n in (2, 5, 9)]
    tied = describe_methods(fit_growth(table(n=1, sessions=9).round({"excess_z": 1})))
    for text, said in zip(
        (*texts, tied),
        ("too few sessions", "it was not tested", "the exact Mann-Kendall", "random permutations"),
        strict=True,
    ):
        assert said in text
    assert ["doi" in text for text in texts] == [False, True, True]
    assert ["Mann (1945)" in text for text in texts] == [False, False, True]


def test_methods_claim_no_model_that_was_not_fitted() -> None:
    alone = pd.concat([table(n=1), table(n=4, sessions=1).query("dyad != 'D00'")])
    text = describe_methods(fit_growth(alone))
    assert "no model was fitted" in text
    assert "restricted maximum likelihood" not in text


def test_methods_call_an_outcome_named_in_advance_only_where_it_was() -> None:
    only = table(metric="plv", band="alpha")
    assert "named in advance" not in describe_methods(fit_growth(only))
    assert "(plv, alpha), named in advance" in describe_methods(fit_growth(only, primary={"metric": "plv"}))


def test_methods_name_another_time_axis() -> None:
    assert "over the column hours." in describe_methods(
        fit_growth(table().assign(hours=lambda d: d["session"]), time="hours")
    )


def test_dates_alone_do_not_say_which_session_is_missing() -> None:
    dates = table().assign(days=lambda d: 7.0 * d["session"] + np.arange(48) % 3).drop(columns="session")
    missing = fit_growth(dates, time="weeks").figures["missing"]
    assert (missing["n_observed"], missing["n_planned"], missing["n_stopped_early"]) == (48, None, None)


def test_tests_of_opposite_sign_are_said_to_disagree() -> None:
    result = fit_growth(table(therapist=[f"T{k // 12}" for k in range(48)]))
    facts = vars(result) | {"value": "excess_z", "unit": "session", "n_dropped": 0}
    facts |= {"n_unpaired": 0, "n_weak_chance": None, "n_lag_chance": None}
    facts["two_stage"] = {**result.two_stage, "slope": -result.two_stage["slope"]}
    assert "disagree" in sentence("no_clear_change", facts)


def test_a_verdict_on_64_outcomes_is_quick() -> None:
    rows = ("posterior", "frontal", "central", "all")
    data = many(("plv", "ciplv", "imcoh", "accorr"), ("theta", "alpha", "beta", "gamma"), rows, n=20, sessions=8)
    start = time.process_time()
    result = fit_growth(data)
    assert len(result.exploratory) == 64
    assert time.process_time() - start < 4


# --- errors ---


@pytest.mark.parametrize(
    ("change", "given", "text"),
    [
        (lambda d: d.rename(columns={"excess_z": "exces_z"}), {}, "Did you mean 'exces_z'"),
        (lambda d: d.drop(columns="dyad"), {}, "no column 'dyad'"),
        (lambda d: d.drop(columns="session"), {}, "no column 'session'"),
        (lambda d: d, {"time": "weeks"}, "no column 'days'"),
        (lambda d: d, {"time": "visit"}, "no column 'visit'"),
        (lambda d: pd.concat([d, d]), {}, "48 rows repeat"),
        (lambda d: d.assign(excess_z="high"), {}, "row 1 holds 'high'"),
        (lambda d: d.assign(session=np.inf), {}, "row 1 is infinite"),
        (lambda d: d.assign(excess_z=np.inf), {}, "row 1 is infinite"),
        (lambda d: d.assign(dyad=None), {}, "row 1 is empty"),
        (lambda d: d.assign(dyad=""), {}, "dyad: row 1 is empty"),
        (lambda d: d.assign(therapist=["T1"] * 47 + [" "]), {}, "therapist: row 48 is empty"),
        (lambda d: pd.concat([d, d[["excess_z"]]], axis=1), {}, "several columns 'excess_z'"),
        (lambda d: d.assign(days=pd.to_timedelta(d["session"], unit="D")), {"time": "weeks"}, "days: row 1 holds"),
        (lambda d: pd.concat([d.assign(days=d["session"]), d.assign(days=50)]), {"time": "weeks"}, "48 rows repeat"),
        (lambda d: d.assign(days=d["session"], session=np.nan), {"time": "weeks"}, "session: row 1 is empty"),
        (lambda d: pd.concat([d.assign(run=r, therapist=f"T{r}") for r in "12"]), {}, "has several"),
        (lambda d: d.iloc[:0], {}, "no rows"),
        (lambda d: d.assign(therapist=np.arange(48) % 2), {}, "has several"),
        (lambda d: pd.concat([d.assign(task="a"), d.assign(task="b")]), {}, "several values of task"),
        (lambda d: pd.concat([d.assign(metric="a"), d.assign(metric="b")]), {}, "several values of metric"),
        (lambda d: d.assign(metric="plv"), {"primary": {"metric": "plw"}}, "Did you mean 'plv'"),
    ],
)
def test_table_errors_name_the_fault(change, given: dict, text: str) -> None:
    with pytest.raises(TableError, match=text) as caught:
        fit_growth(change(table()), **given)
    assert str(caught.value).count("\n") <= 2


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"equivalence_slope": -1}, "equivalence_slope = -1"),
        ({"equivalence_slope": "x"}, "equivalence_slope = 'x'"),
        ({"equivalence_slope": True}, "equivalence_slope = True"),
        ({"modality": "meg"}, "modality = 'meg': expected 'eeg' or 'fnirs'"),
        ({"n_flips": 0}, "n_flips = 0: expected a whole number from 19"),
        ({"n_flips": 99.5}, "n_flips = 99.5"),
        ({"primary": {"roi_pair": "a"}}, "unknown key 'roi_pair'"),
        ({"primary": "plv"}, "expected a Primary"),
        ({"outcomes": "alliance"}, "expected a list"),
    ],
)
def test_argument_errors(given: dict, text: str) -> None:
    with pytest.raises(InputError, match=text):
        fit_growth(table(), **given)


def test_a_table_that_is_none() -> None:
    with pytest.raises(InputError, match="expected a pandas DataFrame"):
        fit_growth([1, 2])


def test_one_time_only_cannot_tell() -> None:
    assert fit_growth(table().assign(days=14.0), time="weeks").verdict == "cannot_tell"


# --- power ---


def test_power_grows_with_dyads_and_falls_with_missing_sessions() -> None:
    result = plan_power([6, 20], 6, 0.03, n_sim=80, seed=1)
    frame = result.to_data_frame().set_index("dyads")
    assert frame.loc[20, "power"] > frame.loc[6, "power"] + 0.2
    assert (frame["power"] <= frame["two_stage"]).all()
    assert ((frame["ci_low"] <= frame["power"]) & (frame["power"] <= frame["ci_high"])).all()
    less = plan_power(20, 6, 0.03, missing=0.5, n_sim=80, seed=1).to_data_frame()["power"].item()
    assert less < frame.loc[20, "power"]
    assert "more dyads than tried" in plan_power(6, 3, 0.01, n_sim=10).summary()
    assert "yads" in result.plot().get_xlabel()


def test_power_without_growth_is_the_false_claim_rate() -> None:
    share = plan_power(12, 6, 0.0, n_sim=300, seed=2).to_data_frame()["power"].item()
    assert share <= 0.025 + 3 * np.sqrt(0.025 * 0.975 / 300)


def test_power_needs_six_dyads_and_therapists() -> None:
    five = plan_power([5, 6], 8, 1.0, n_sim=5)
    assert five.to_data_frame()["power"].tolist() == [0, 1]
    assert "Fewer than 6 dyads give no verdict, so they have no power." in five.summary()
    assert "Fewer than 6" not in plan_power(6, 8, 1.0, n_sim=5).summary()
    few = plan_power(20, 8, 0.03, dyads_per_therapist=10, n_sim=40).to_data_frame()["power"].item()
    assert few < plan_power(20, 8, 0.03, n_sim=40).to_data_frame()["power"].item()


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"dyads": 1}, "dyads = 1"), ({"dyads": []}, "dyads is empty"), ({"sessions": 1}, "sessions = 1"),
        ({"slope": np.nan}, "slope = nan"), ({"missing": 1.0}, "missing = 1.0"), ({"n_sim": 0}, "n_sim = 0"),
        ({"dyads": [8.5]}, "dyads = 8.5"),
        ({"slope": -0.03}, "slope = -0.03: expected a number from 0"),
    ],
)  # fmt: skip
def test_power_errors(given: dict, text: str) -> None:
    with pytest.raises(InputError, match=text):
        plan_power(**({"dyads": 8, "sessions": 6, "slope": 0.03} | given))


# --- awkward numbers ---


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


@pytest.mark.parametrize("column", ["session", "excess_z"])
def test_dates_are_no_numbers(column: str) -> None:
    dates = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(48), unit="D")
    with pytest.raises(TableError, match=f"{column}: row 1 holds .*expected a number"):
        fit_growth(table().assign(**{column: dates}))


def test_outcomes_of_numbered_dyads_are_found() -> None:
    data = table(n=8, alliance=0.0)
    data["alliance"] = data["excess_z"] * 2 + np.random.default_rng(1).normal(0, 0.1, len(data))
    numbered = data.assign(dyad=data["dyad"].str[1:].astype(float) + 1)
    named, found = (fit_growth(d, outcomes=["alliance"]).outcomes for d in (data, numbered))
    assert [row["p"] for row in found] == pytest.approx([row["p"] for row in named])
    with pytest.raises(TableError, match="alliance: row 1 holds 'good'"):
        fit_growth(data.assign(alliance="good"), outcomes=["alliance"])
