"""The mixed model against lmerTest, against its plain definition, and at its boundaries."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

from growth_fixtures import dense, numerical_hessian, study
from hyperscan.errors import InputError
from hyperscan.growth.likelihood import RandomTerm
from hyperscan.growth.reml import fit_mixed, fit_slope

SETS = {
    "ds01_balanced_8x6": "growth_ds01_balanced_8x6.csv",
    "ds02_sened_sparse_s135_18obs": "growth_ds02_sened_sparse_s135_18obs.csv",
    "ds03_unbalanced_20x8_irregular_days": "growth_ds03_unbalanced_20x8_irregular_days.csv",
}
MODELS = {"RI": "none", "RS": "correlated", "RS_uncorr": "uncorrelated", "RS_weeks": "correlated"}


def reference(shared: Path) -> dict:
    return json.loads((shared / "reference" / "growth_lmertest.json").read_text())


def agree(fit, target: dict) -> None:
    singular = target["singular"]
    assert fit.singular == singular
    rows = target["coef_satterthwaite"]
    tolerance = 1e-3 if singular else 1e-4
    np.testing.assert_allclose(fit.estimate, [row["Estimate"] for row in rows], rtol=tolerance)
    np.testing.assert_allclose(fit.se, [row["Std. Error"] for row in rows], rtol=tolerance)
    np.testing.assert_allclose(fit.df, [row["df"] for row in rows], atol=1e-2)
    np.testing.assert_allclose(fit.p, [row["Pr(>|t|)"] for row in rows], atol=1e-4)
    assert fit.deviance == pytest.approx(target["REMLcrit"], abs=1e-6)
    sds = [row["sdcor"] for row in target["varcorr"] if row["var2"] is None]
    ours = [*np.sqrt(np.concatenate([np.diag(c) for c in fit.covariances])), fit.sigma]
    np.testing.assert_allclose(ours, sds, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("value", ["value_z", "excess_z"])
@pytest.mark.parametrize("name", SETS)
def test_agrees_with_lmertest(shared: Path, name: str, value: str, model: str) -> None:
    table = pd.read_csv(shared / "reference" / SETS[name])
    t = table["days"] / 7 if model == "RS_weeks" else table["session"] - 1.0
    agree(fit_slope(table[value], t, table["dyad"], slope=MODELS[model]), reference(shared)[name][value][model])


@pytest.mark.parametrize("model", ["RI", "RS"])
def test_agrees_on_sleepstudy(shared: Path, model: str) -> None:
    table = pd.read_csv(shared / "reference" / "growth_ds00_sleepstudy_public.csv")
    fit = fit_slope(table["Reaction"], table["Days"], table["Subject"], slope=MODELS[model])
    target = reference(shared)["ds00_sleepstudy"][model]
    agree(fit, target)
    slopes = {k: float(fit.estimate[1] + v[-1]) for k, v in fit.random_effects.items()}
    if model == "RS":
        for subject, slope in target["ranef_slopes"].items():
            assert slopes[int(subject)] == pytest.approx(slope, rel=1e-5)


@pytest.mark.parametrize("name", SETS)
def test_bic_agrees_with_lmer(shared: Path, name: str) -> None:
    table = pd.read_csv(shared / "reference" / SETS[name])
    target = reference(shared)[name]["ML_LRT"]
    y, t = table["excess_z"].to_numpy(), table["session"].to_numpy() - 1.0
    x = np.column_stack([np.ones_like(t), t])
    term = RandomTerm(table["dyad"].to_numpy(), x)
    full, null = fit_mixed(y, x, [term], reml=False), fit_mixed(y, x[:, :1], [term], reml=False)
    assert full.bic == pytest.approx(target["BIC1"], abs=1e-5)
    assert null.bic == pytest.approx(target["BIC0"], abs=1e-5)
    assert null.deviance - full.deviance == pytest.approx(target["chisq"], abs=1e-5)


# --- the plain definition: dense covariance, no profiling, numerical derivatives (growth_fixtures.py) ---


def full_deviance(y, x, blocks, varpar, reml=True):
    dev, _, _, sigma2 = dense(y, x, blocks, varpar[:-1], reml)
    dof = len(y) - (x.shape[1] if reml else 0)
    profiled = dof * (1 + np.log(2 * np.pi * sigma2))
    s2 = varpar[-1] ** 2
    return dev - profiled + dof * (np.log(2 * np.pi * s2) + sigma2 / s2)


@pytest.mark.parametrize(("seed", "kept"), [(1, 1.0), (2, 0.7), (3, 0.7)])
@pytest.mark.parametrize("reml", [True, False])
def test_agrees_with_the_plain_definition(seed: int, kept: float, reml: bool) -> None:
    y, t, dyad = study(seed, kept=kept)
    x = np.column_stack([np.ones_like(t), t])
    blocks = [(dyad, x)]
    found = [
        optimize.minimize(
            lambda th: dense(y, x, blocks, th, reml)[0], start, method="Nelder-Mead",
            options={"xatol": 1e-9, "fatol": 1e-12, "maxiter": 8000, "maxfev": 8000},
        )
        for start in ([1.0, 0.1, 0.3], [1.0, -0.3, 0.3])
    ]  # fmt: skip
    best = min(found, key=lambda r: r.fun)
    _, beta, c, sigma2 = dense(y, x, blocks, best.x, reml)
    fit = fit_slope(y, t, dyad, reml=reml)
    assert fit.converged
    assert fit.deviance <= best.fun + 1e-8
    np.testing.assert_allclose(fit.estimate, beta, rtol=1e-4)
    np.testing.assert_allclose(fit.vcov, sigma2 * c, rtol=1e-3)


@pytest.mark.parametrize(("seed", "singular"), [(4, True), (11, False)])
def test_satterthwaite_is_that_of_the_plain_definition(seed: int, singular: bool) -> None:
    y, t, dyad = study(seed, kept=0.8, ss=0.03 if singular else 0.1)
    x = np.column_stack([np.ones_like(t), t])
    fit = fit_slope(y, t, dyad)
    assert fit.singular == singular
    at = np.append(fit.theta, fit.sigma)
    hessian = numerical_hessian(lambda v: full_deviance(y, x, [(dyad, x)], v), at, 1e-4)

    def variance(v):
        return v[-1] ** 2 * np.diag(dense(y, x, [(dyad, x)], v[:-1], True)[2])

    steps = np.eye(4) * 1e-5
    jacobian = np.array([(variance(at + s) - variance(at - s)) / 2e-5 for s in steps])
    spread = np.einsum("kp,kl,lp->p", jacobian, 2 * np.linalg.inv(hessian), jacobian)
    np.testing.assert_allclose(fit.df, 2 * variance(at) ** 2 / spread, rtol=1e-3)


def test_therapists_above_dyads_agree_with_the_plain_definition() -> None:
    y, t, dyad = study(6, n=12, sessions=5, therapists=4)
    therapist = dyad % 4
    x = np.column_stack([np.ones_like(t), t])
    fit = fit_slope(y, t, dyad, therapist=therapist)
    blocks = [(therapist, x), (dyad, x)]
    dev, beta, c, sigma2 = dense(y, x, blocks, fit.theta, True)
    assert fit.deviance == pytest.approx(dev, abs=1e-6)
    np.testing.assert_allclose(fit.estimate, beta, rtol=1e-6)
    np.testing.assert_allclose(fit.vcov, sigma2 * c, rtol=1e-6)
    polished = optimize.minimize(lambda th: dense(y, x, blocks, th, True)[0], fit.theta, method="Nelder-Mead")
    assert polished.fun >= fit.deviance - 1e-6
    assert len(fit.covariances) == 2


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
@pytest.mark.parametrize("unit", [1.0, 7.0, 1 / 7])
def test_units_do_not_matter(scale: float, unit: float) -> None:
    y, t, dyad = study(7, kept=0.8)
    base, other = fit_slope(y, t, dyad), fit_slope(y * scale + 3 * scale, t * unit, dyad)
    assert other.estimate[1] == pytest.approx(base.estimate[1] * scale / unit, rel=1e-7)
    np.testing.assert_allclose(other.df, base.df, rtol=1e-5)
    assert other.p[1] == pytest.approx(base.p[1], rel=1e-5)


@pytest.mark.parametrize("unit", [1e-6, 1e9])
def test_the_unit_of_time_does_not_make_a_fit_singular(unit: float) -> None:
    y, t, dyad = study(11, kept=0.8, ss=0.1)
    assert not fit_slope(y, t, dyad).singular
    assert not fit_slope(y, t * unit, dyad).singular


@pytest.mark.parametrize("spread", [10.0, 1e3, 1e5])
def test_dyads_far_apart_keep_the_df_of_dyads(spread: float) -> None:
    rng = np.random.default_rng(3)
    dyad, t = np.repeat(np.arange(8), 6), np.tile(np.arange(6.0), 8)
    y = (spread * rng.normal(size=8))[dyad] + rng.normal(0.3, 0.3, 8)[dyad] * t + rng.normal(size=48)
    # balanced sessions: the slope is that of the two stages, with dyads - 1
    np.testing.assert_allclose(fit_slope(y, t, dyad).df, 7, rtol=1e-4)


def test_rows_and_labels_may_come_in_any_order() -> None:
    y, t, dyad = study(8, kept=0.7)
    order = np.random.default_rng(0).permutation(len(y))
    names = np.array([f"D{9 - d}" for d in dyad])
    a, b = fit_slope(y, t, dyad), fit_slope(y[order], t[order], names[order])
    np.testing.assert_allclose(a.estimate, b.estimate, rtol=1e-9)
    np.testing.assert_allclose(a.df, b.df, rtol=1e-6)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("su", "ss"),
    [(0.0, 0.0), (0.1, 0.0), (0.0, 0.03), (0.5, 0.2)],
    ids=["none", "intercept", "slope", "large"],
)
def test_boundary_fits_are_optima_and_kept(seed: int, su: float, ss: float) -> None:
    y, t, dyad = study(20 + seed, n=5, sessions=4, kept=0.9, su=su, ss=ss)
    x = np.column_stack([np.ones_like(t), t])
    fit = fit_slope(y, t, dyad)
    assert fit.converged
    starts = np.random.default_rng(seed).normal(0, 1, (12, 3))
    others = [optimize.minimize(lambda th: dense(y, x, [(dyad, x)], th, True)[0], s).fun for s in starts]
    assert fit.deviance <= min(others) + 1e-5
    assert np.isfinite(fit.df).all()
    assert (fit.df > 0).all()
    correlation = abs(fit.covariances[0][0, 1]) / np.sqrt(np.prod(np.diag(fit.covariances[0])) + 1e-300)
    assert fit.singular == (min(fit.theta[0], fit.theta[2]) < 1e-4)
    assert not (correlation > 1 - 1e-9 and min(np.diag(fit.covariances[0])) > 1e-12) or fit.singular


def test_of_two_optima_the_better_is_found() -> None:
    """A boundary optimum of deviance 0.0085 above the best one, which only large starting values reach."""
    y = [0.4758, 0.3015, 0.3359, -0.2362, -0.1522, 0.586, 0.5662, 0.8311]
    y += [-0.1995, -0.1545, -0.1083, 0.4802, 0.4404, 0.6942, -0.3503]
    t = [7, 16, 22, 0, 15, 1, 8, 24, 3, 9, 15, 0, 9, 22, 10]
    fit = fit_slope(y, t, [0, 0, 0, 1, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5, 6])
    assert fit.deviance == pytest.approx(5.41232, abs=1e-4)
    assert not fit.singular


def test_no_spread_between_dyads_is_ordinary_regression() -> None:
    dyad, t = np.repeat(np.arange(6), 4), np.tile(np.arange(4.0), 6)
    rng = np.random.default_rng(2)
    noise = rng.normal(size=(6, 4))
    # dyads as alike as can be: less spread between their lines than their residuals would make
    noise -= noise.mean(1, keepdims=True)
    noise -= np.outer(noise @ (t[:4] - 1.5), t[:4] - 1.5) / ((t[:4] - 1.5) ** 2).sum()
    y = 1 + 0.5 * t + noise.ravel()
    fit = fit_slope(y, t, dyad)
    ols = stats.linregress(t, y)
    assert fit.singular
    assert fit.estimate[1] == pytest.approx(ols.slope)
    assert fit.se[1] == pytest.approx(ols.stderr)
    assert fit.df[1] == pytest.approx(len(y) - 2)


def test_two_sessions_per_dyad_is_the_paired_t_test() -> None:
    rng = np.random.default_rng(3)
    first = rng.normal(0, 1, 9)
    change = rng.normal(1, 1, 9)
    y = np.column_stack([first, first + change]).ravel()
    fit = fit_slope(y, np.tile([0.0, 1.0], 9), np.repeat(np.arange(9), 2))
    target = stats.ttest_1samp(change, 0)
    assert fit.estimate[1] == pytest.approx(change.mean())
    assert fit.t[1] == pytest.approx(target.statistic, rel=1e-4)
    assert fit.df[1] == pytest.approx(8, rel=1e-3)


def test_values_without_noise_give_the_limit() -> None:
    dyad, t = np.repeat(np.arange(5), 4), np.tile(np.arange(4.0), 5)
    slopes = np.array([0.1, 0.2, 0.3, 0.2, 0.4])
    fit = fit_slope(slopes[dyad] * t + dyad, t, dyad)
    target = stats.ttest_1samp(slopes, 0)
    assert fit.t[1] == pytest.approx(target.statistic)
    assert fit.df[1] == 4
    assert fit.singular


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"t": [1.0] * 8}, "two distinct values"),
        ({"y": [np.nan, *range(7)]}, "NaN"),
        ({"slope": "random"}, "expected 'correlated'"),
        ({"therapist": [1, 2, 1, 1, 2, 2, 2, 2]}, "several groups"),
        ({"dyad": [1, 1, 1]}, "8 observations"),
    ],
)
def test_errors_name_what_is_wrong(change: dict, text: str) -> None:
    given = {"y": np.arange(8.0) % 3, "t": np.tile(np.arange(4.0), 2), "dyad": np.repeat([1, 2], 4)} | change
    with pytest.raises(InputError, match=text):
        fit_slope(**given)


@pytest.mark.parametrize("round_off", [0.0, 1e-17])
@pytest.mark.parametrize("slope", [0.0, 0.3])
def test_dyads_on_one_common_line_need_no_optimiser(slope: float, round_off: float) -> None:
    # two dyads re-paired with each other have one chance level: at two sessions each, no residual is left at all
    t = np.array([1.0, 2.0, 1.0, 2.0])
    dyad = np.array(["A", "A", "B", "B"])
    y = 0.2 + slope * t + round_off * np.array([1, -1, -1, 1])
    fit = fit_slope(y, t, dyad)
    assert fit.estimate == pytest.approx([0.2, slope], abs=1e-12)
    assert fit.sigma == 0.0
    assert fit.converged
