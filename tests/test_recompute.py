"""A reviewer recomputes the report from the tables, by what docs/outputs.md says and with nothing of this package."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

LABELS = dict.fromkeys(("dyad", "therapist", "client", "partner_dyad", "task", "run"), str)


def read(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(folder / f"{name}.tsv", sep="\t", dtype=LABELS, na_values="n/a", keep_default_na=False)


@pytest.fixture(scope="module")
def growth(small_run: Path) -> dict[str, Any]:
    return json.loads((small_run / "growth.json").read_text("utf-8"))  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def primary(small_run: Path, growth: dict[str, Any]) -> pd.DataFrame:
    table, wanted = read(small_run, "synchrony"), growth["primary"]
    roi = wanted["roi"].split("-")
    named = {"metric": wanted["metric"], "band": wanted["band"], "roi_therapist": roi[0], "roi_client": roi[1]}
    rows = table[(table[list(named)] == pd.Series(named)).all(axis=1)]
    guards = read(small_run, "guards").drop(columns=["metric", "band", "roi", "modality", "task", "run"])
    return rows.assign(t=rows["session"] - 1.0).merge(guards, on=["dyad", "session"])


def slopes(rows: pd.DataFrame, values: pd.Series, weights: pd.Series | None = None) -> np.ndarray:
    """One slope per dyad."""
    found = []
    for _, part in rows.groupby("dyad"):
        w = np.ones(len(part)) if weights is None else weights[part.index]
        found.append(np.polyfit(part["t"], values[part.index], 1, w=np.sqrt(w))[0])
    return np.array(found)


def t_test(found: np.ndarray) -> tuple[float, float]:
    return float(found.mean()), float(stats.ttest_1samp(found, 0).pvalue)


def test_two_stage_and_sign_flip(primary: pd.DataFrame, growth: dict[str, Any]) -> None:
    found = slopes(primary, primary["excess_z"])
    assert t_test(found) == pytest.approx((growth["two_stage"]["slope"], growth["two_stage"]["p"]), rel=1e-6)
    flipped = [abs(np.mean(found * signs)) for signs in product((-1, 1), repeat=len(found))]
    assert np.mean(np.array(flipped) >= abs(found.mean()) - 1e-12) == pytest.approx(growth["sign_flip"]["p"])


def test_the_weighted_slope_that_decides(primary: pd.DataFrame, growth: dict[str, Any]) -> None:
    b, spread, left, n_sessions = slopes(primary, primary["excess_z"]), [], 0.0, len(primary)
    for slope, (_, part) in zip(b, primary.groupby("dyad"), strict=True):
        dt = part["t"] - part["t"].mean()
        spread.append(float((dt**2).sum()))
        left += float(((part["excess_z"] - part["excess_z"].mean() - slope * dt) ** 2).sum())
    v = left / (n_sessions - 2 * len(b)) / np.array(spread)

    def reml(tau2: float) -> float:
        w = 1 / (v + tau2)
        return float(np.log(v + tau2).sum() + np.log(w.sum()) + (w * (b - (w @ b) / w.sum()) ** 2).sum())

    tau2 = optimize.minimize_scalar(reml, bounds=(0, 10 * b.var()), method="bounded", options={"xatol": 1e-14}).x
    tau2 = 0.0 if reml(0.0) <= reml(tau2) else tau2
    w = 1 / (v + tau2)
    share = w / w.sum()
    estimate = float(share @ b)
    se = np.sqrt((share**2 * (b - estimate) ** 2 / (1 - share)).sum())
    assert estimate == pytest.approx(growth["weighted"]["slope"], rel=1e-4)
    assert se == pytest.approx(growth["weighted"]["se"], rel=1e-3)


def test_guards_follow_from_their_columns(primary: pd.DataFrame, growth: dict[str, Any]) -> None:
    guards = {guard["name"]: guard for guard in growth["guards"]}
    rows, sign = primary, np.sign(growth["two_stage"]["slope"])
    excess, out = rows["excess_z"], rows["outband_excess_z"]
    fits = [t_test(slopes(rows, rows[f"g1_{fit}"], rows[f"w_{fit}"])) for fit in ("line", "quad", "high")]
    assert guards["signal_to_noise"]["figure"] == pytest.approx(
        min((s for s, _ in fits), key=lambda s: s * sign), rel=1e-6
    )
    assert guards["signal_to_noise"]["passed"] == all(s * sign > 0 and p < 0.05 for s, p in fits)
    if guards["space"]["passed"] is not None:
        slope, p = t_test(slopes(rows, excess - rows["control_excess_z"]))
        assert (guards["space"]["figure"], guards["space"]["passed"]) == (
            pytest.approx(slope),
            slope * sign > 0 and p < 0.1,
        )
    slope, _ = t_test(slopes(rows, out))
    beyond, p = t_test(slopes(rows, out - 0.1 * excess))
    assert guards["band"]["passed"] == (not (slope * sign > 0 and beyond * sign > 0 and p < 0.1))
    vectors = rows[[f"imcoh_{i}" for i in range(1, 5)]].to_numpy()
    pattern = pd.Series(0.0, index=rows.index)
    for dyad in rows["dyad"].unique():
        mine = (rows["dyad"] == dyad).to_numpy()
        others = vectors[~mine].mean(axis=0)
        pattern[mine] = vectors[mine] @ (others / np.linalg.norm(others))
    tests = [t_test(slopes(rows, values)) for values in (rows["lag_robust_excess_z"], pattern)]
    assert guards["lag"]["passed"] == any(s * sign > 0 and p < 0.05 for s, p in tests)
    assert guards["lag"]["figure"] in [pytest.approx(s, rel=1e-6) for s, _ in tests]
    slope, p = t_test(slopes(rows, rows["phase_kept"]))
    assert (guards["phase"]["figure"], guards["phase"]["passed"]) == (
        pytest.approx(slope),
        slope * sign > 0 and p < 0.05,
    )
    slope, p = t_test(slopes(rows, rows["steadiness"]))
    assert guards["steadiness"]["figure"] == pytest.approx(slope, rel=1e-6)
    means = excess.groupby(rows["dyad"]).transform("mean")
    share = t_test(slopes(rows, rows["steadiness"] * means))[0] / t_test(slopes(rows, excess))[0]
    assert guards["steadiness"]["passed"] == (not (slope * sign > 0 and p < 0.05) and not share > 0.15)


def test_labels_survive_the_reading_that_the_page_gives(small_run: Path, tmp_path: Path) -> None:
    table = read(small_run, "synchrony").assign(dyad="01")
    table.to_csv(tmp_path / "synchrony.tsv", sep="\t", index=False, na_rep="n/a")
    assert set(read(tmp_path, "synchrony")["dyad"]) == {"01"}


# ---- what follows recomputes the other numbers of the report, section by section of the page ----


def lines_of(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """Slope of each dyad, spread of its times, and what its line leaves."""
    found = []
    for _, part in rows.groupby("dyad"):
        t, y = part["t"] - part["t"].mean(), part[column] - part[column].mean()
        b = (t @ y) / (t @ t)
        found.append((b, t @ t, ((y - b * t) ** 2).sum(), len(t)))
    return pd.DataFrame(found, columns=["b", "spread", "left", "n"])


def reml_of(b: np.ndarray, v: np.ndarray, columns: np.ndarray) -> float:
    """Variance between dyads."""

    def deviance(tau2: float) -> float:
        w = 1 / (v + tau2)
        cross = columns.T @ (w[:, None] * columns)
        rest = b - columns @ np.linalg.solve(cross, columns.T @ (w * b))
        return float(np.log(v + tau2).sum() + np.linalg.slogdet(cross)[1] + w @ rest**2)

    grid = np.r_[0.0, np.geomspace(1e-5, 4, 200) * b.var()]
    k = int(np.argmin([deviance(x) for x in grid]))
    span = (float(grid[max(k - 1, 0)]), float(grid[min(k + 1, 200)]))
    best = optimize.minimize_scalar(deviance, bounds=span, method="bounded", options={"xatol": 1e-15})
    return float(best.x) if best.fun < deviance(0.0) else 0.0


def weighted_of(lines: pd.DataFrame) -> dict[str, float]:
    """Weighted slope with the sandwich, Bell and McCaffrey's degrees of freedom, p and interval."""
    b, n = lines["b"].to_numpy(), len(lines)
    v = lines["left"].sum() / (lines["n"].sum() - 2 * n) / lines["spread"].to_numpy()
    w = 1 / (v + reml_of(b, v, np.ones((n, 1))))
    share = w / w.sum()
    slope = share @ b
    adjusted = share**2 / (1 - share)
    se = np.sqrt(adjusted @ (b - slope) ** 2)
    hat = np.eye(n) - np.outer(np.ones(n), share)
    working = adjusted[:, None] * (hat @ np.diag(1 / w) @ hat.T)
    df = min(np.trace(working) ** 2 / np.trace(working @ working), n - 1)
    half = stats.t.ppf(0.975, df) * se
    p = 2 * stats.t.sf(abs(slope / se), df)
    return {"slope": slope, "se": se, "df": df, "p": p, "ci_low": slope - half, "ci_high": slope + half}


def alike(mine: dict[str, float], theirs: dict[str, Any], rel: float = 1e-5) -> None:
    assert mine == pytest.approx({key: theirs[key] for key in mine}, rel=rel)


def test_excess_and_chance_follow_from_the_pairs(small_run: Path) -> None:
    table, pseudo = read(small_run, "synchrony"), read(small_run, "pseudo")
    keys = ["dyad", "session", "task", "run", "signal", "metric", "band", "roi_therapist", "roi_client"]
    pairs = pseudo.groupby(keys)["z"].agg(["mean", "std", "count"]).reset_index()
    both = table.merge(pairs, on=keys)
    assert len(both) == len(table)
    for column, wanted in (("pseudo_mean_z", "mean"), ("pseudo_sd_z", "std"), ("n_pseudo", "count")):
        np.testing.assert_allclose(both[column], both[wanted], atol=1e-9)
    np.testing.assert_allclose(table["excess_z"], table["z"] - table["pseudo_mean_z"], atol=1e-9)
    np.testing.assert_allclose(table["own_excess_z"], table["z"] - table["own_mean_z"], atol=1e-9)


def test_weighted_slope_with_its_interval_and_leave_one_out(primary: pd.DataFrame, growth: dict[str, Any]) -> None:
    lines = lines_of(primary, "excess_z")
    alike(weighted_of(lines), growth["weighted"])
    mismatched = next(guard for guard in growth["guards"] if guard["name"] == "mismatched_times")
    own = weighted_of(lines_of(primary, "own_excess_z"))
    assert mismatched["figure"] == pytest.approx(own["slope"], rel=1e-5)
    assert mismatched["passed"] == (own["p"] < 0.05 and own["slope"] * growth["weighted"]["slope"] > 0)
    b = lines["b"].to_numpy()
    v = lines["left"].sum() / (lines["n"].sum() - 2 * len(b)) / lines["spread"].to_numpy()
    left_out = []
    for i in range(len(b)):
        rest = np.delete(np.arange(len(b)), i)
        w = 1 / (v[rest] + reml_of(b[rest], v[rest], np.ones((len(rest), 1))))
        left_out.append(w @ b[rest] / w.sum())
    told = growth["figures"]["leave_one_out"]
    assert (min(left_out), max(left_out)) == pytest.approx((told["slope_min"], told["slope_max"]), rel=1e-5)


def mixed_of(rows: pd.DataFrame, column: str, *, slope: bool = True, reml: bool = True) -> dict[str, float]:
    """Random intercept and slope per dyad, by the profiled deviance."""
    parts = [(np.column_stack([np.ones(len(p)), p["t"]]), p[column].to_numpy()) for _, p in rows.groupby("dyad")]
    k, n = 1 + slope, sum(len(y) for _, y in parts)

    def fit(theta: np.ndarray) -> tuple[float, np.ndarray, np.ndarray, float]:
        lower = np.array([[theta[0], 0], [theta[1], theta[2]]])
        cross, along, size, square = np.zeros((k, k)), np.zeros(k), 0.0, 0.0
        for z, y in parts:
            v = np.eye(len(y)) + z @ lower @ lower.T @ z.T
            solved = np.linalg.solve(v, np.column_stack([z[:, :k], y]))
            cross += z[:, :k].T @ solved[:, :k]
            along += z[:, :k].T @ solved[:, k]
            square += float(y @ solved[:, k])
            size += float(np.linalg.slogdet(v)[1])
        beta = np.linalg.solve(cross, along)
        m, rest = (n - k if reml else n), square - along @ beta
        deviance = size + m * (1 + np.log(2 * np.pi * rest / m)) + (np.linalg.slogdet(cross)[1] if reml else 0.0)
        return float(deviance), beta, cross, rest / m

    options = {"xatol": 1e-9, "fatol": 1e-11, "maxiter": 2000}
    starts = ([0.5, 0.0, 0.3], [0.01, 0.0, 0.01], [0.3, 0.3, 0.01])
    best = min(
        (optimize.minimize(lambda x: fit(x)[0], s, method="Nelder-Mead", options=options) for s in starts),
        key=lambda found: found.fun,
    )
    deviance, beta, cross, sigma2 = fit(best.x)
    se = float(np.sqrt(sigma2 * np.linalg.inv(cross)[-1, -1]))
    return {"slope": float(beta[-1]), "se": se, "deviance": deviance, "n": n}


def test_mixed_models_likelihood_ratio_bayes_factor_and_equivalence(
    primary: pd.DataFrame, growth: dict[str, Any]
) -> None:
    columns = {"primary": "excess_z", "real_slope": "z", "pseudo_slope": "pseudo_mean_z"}
    for name, column in columns.items():
        told, mine = growth[name], mixed_of(primary, column)
        alike({key: mine[key] for key in ("slope", "se")}, told, 1e-3)
        assert told["df"] == pytest.approx(min(told["df_satterthwaite"], primary["dyad"].nunique() - 1))
        assert told["p"] == pytest.approx(2 * stats.t.sf(abs(told["t"]), told["df"]), rel=1e-6)
    found, without = (mixed_of(primary, "excess_z", slope=slope, reml=False) for slope in (True, False))
    chisq = without["deviance"] - found["deviance"]
    bf01 = np.exp((np.log(found["n"]) - chisq) / 2)
    alike({"chisq": chisq, "p": float(stats.chi2.sf(chisq, 1)), "bf01": float(bf01)}, growth["bayes_factor"], 1e-3)
    model = growth["primary"]
    half = stats.t.ppf(0.95, model["df"]) * model["se"]
    alike({"ci90_low": model["slope"] - half, "ci90_high": model["slope"] + half}, growth["equivalence"])


def flips_of(values: np.ndarray) -> np.ndarray:
    """p of each column by the largest |t| over joint sign flips of the rows."""

    def t_of(x: np.ndarray) -> np.ndarray:
        return np.asarray(np.abs(x.mean(0) / x.std(0, ddof=1)))

    largest = np.array([t_of(values * np.array(s)[:, None]).max() for s in product((1, -1), repeat=len(values))])
    return np.array([(largest >= t * (1 - 1e-9)).mean() for t in t_of(values)])


def test_exploratory_outcomes_and_their_corrections(
    small_run: Path, primary: pd.DataFrame, growth: dict[str, Any]
) -> None:
    table = read(small_run, "synchrony").assign(t=lambda rows: rows["session"] - 1.0)
    table["roi"] = table["roi_therapist"] + "-" + table["roi_client"]
    told = pd.DataFrame(growth["exploratory"])
    labels = ["metric", "band", "roi"]
    courses = {key: slopes(rows, rows["excess_z"]) for key, rows in table.groupby(labels)}
    b = np.column_stack([courses[key] for key in told[labels].itertuples(index=False, name=None)])
    np.testing.assert_allclose(told["slope"], b.mean(0), rtol=1e-6)
    np.testing.assert_allclose(told["p"], stats.ttest_1samp(b, 0).pvalue, rtol=1e-6)
    np.testing.assert_allclose(told["p_max_t"], flips_of(b), rtol=1e-6)
    np.testing.assert_allclose(told["q_bh"], stats.false_discovery_control(told["p"]), rtol=1e-6)
    assert told["primary"].sum() == 1


def test_trends_and_shape(small_run: Path, growth: dict[str, Any], primary: pd.DataFrame) -> None:
    quality = read(small_run, "quality").assign(t=lambda rows: rows["session"] - 1.0)
    asked = [trend for trend in growth["figures"]["trends"] if trend["person"] and trend["p"] is not None]
    for trend in asked:
        rows = quality[quality["person"] == trend["person"]]
        found = slopes(rows, rows[trend["name"]])
        assert trend["slope"] == pytest.approx(found.mean(), rel=1e-6, abs=1e-12), trend
        if np.ptp(found) > 1e-12:
            assert trend["p"] == pytest.approx(stats.ttest_1samp(found, 0).pvalue, rel=1e-6), trend
    both = quality.groupby(["dyad", "session", "t"], as_index=False)["s2_line"].mean()
    assert growth["recordings"]["signal_fraction"]["slope"] == pytest.approx(slopes(both, both["s2_line"]).mean())
    # a dyad enters the shape with four sessions; these have three
    assert not growth["shape"]


def test_who_leads_follows_from_the_profiles(small_run: Path) -> None:
    from hyperscan.growth import find_lead

    lags = read(small_run, "lags")
    profile = lags[lags["metric"] == "plv"].groupby(["dyad", "lag_s"])["profile_excess_z"].mean().unstack()
    at, y = profile.columns.to_numpy(float), profile.to_numpy()

    def peak(curve: np.ndarray) -> float:
        k, half = int(curve.argmax()), curve.max() / 2
        low = max(np.flatnonzero(curve[:k] <= half), default=-1) + 1
        high = min(np.flatnonzero(curve[k:] <= half) + k, default=len(curve))
        part = slice(low, high)
        a, b, _ = np.polyfit(at[part], curve[part], 2, w=np.sqrt(curve[part] - half))
        return float(-b / a / 2)

    n = len(y)
    without = np.array([peak(np.delete(y, i, 0).mean(0)) for i in range(n)])
    half = stats.t.ppf(0.975, n - 1) * np.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum())
    told = find_lead(lags, read(small_run, "quality"), {"metric": "plv"})
    mine = (peak(y.mean(0)), peak(y.mean(0)) - half, peak(y.mean(0)) + half)
    assert mine == pytest.approx((told.peak_s, told.ci_low_s, told.ci_high_s), rel=1e-6)
    np.testing.assert_allclose(told.profile["p"], flips_of(y), rtol=1e-6)


def test_each_person_by_the_same_formulas(small_run: Path) -> None:
    told = json.loads((small_run / "persons.json").read_text("utf-8"))
    index = {"index": told["primary"]["metric"], "band": told["primary"]["band"], "region": told["primary"]["roi"]}
    rows = read(small_run, "within").assign(t=lambda table: table["session"] - 1.0)
    rows = rows[(rows[list(index)] == pd.Series(index)).all(axis=1)]
    alike(weighted_of(lines_of(rows[rows["person"] == "client"], "value")), told["weighted"])
    assert "'value'" not in " ".join(relation["sentence"] for relation in told["outcomes"])


@pytest.fixture(scope="module")
def scores() -> pd.DataFrame:
    """Ten dyads with symptoms that are missing here and there, and yes or no."""
    rng = np.random.default_rng(11)
    rows = [
        (f"D{d}", s, x := 0.1 * s * rng.uniform(0.5, 1.5) + rng.normal(0, 0.1), 20 - s - 4 * x + rng.normal(), "no")
        for d in range(10)
        for s in range(1, 8)
    ]
    table = pd.DataFrame(rows, columns=["dyad", "session", "excess_z", "bdi", "rupture"])
    table.loc[rng.random(len(table)) < 0.3, "rupture"] = "yes"
    table.loc[rng.random(len(table)) < 0.08, "bdi"] = np.nan
    return table.assign(t=table["session"] - 1.0)


def test_relations_to_an_outcome(scores: pd.DataFrame) -> None:
    from hyperscan import fit_growth

    told = fit_growth(scores, outcomes=["bdi", "rupture"], n_flips=99).outcomes
    found = {(one.name, one.relation): one for one in told}
    # between dyads, of equal courses: the regression's own test
    yes = scores.assign(y=(scores["rupture"] == "yes").astype(float))
    change = stats.linregress(slopes(yes, yes["excess_z"]), slopes(yes, yes["y"]))
    estimate = found["rupture", "change"].estimate
    assert estimate is not None
    assert (estimate.slope, estimate.se, estimate.p) == pytest.approx((change.slope, change.stderr, change.pvalue))
    # inside dyads: lines and the common course out of both, one regression in which slopes differ
    rows = scores.dropna(subset=["bdi"])
    bases, series = [], []
    for _, part in rows.groupby("dyad"):
        line = np.column_stack([np.ones(len(part)), part["t"]])
        bases.append(np.linalg.svd(line)[0][:, 2:].T)
        numbers = (part["session"].to_numpy()[:, None] == np.arange(1, 8)).astype(float)
        series.append(bases[-1] @ np.column_stack([part["bdi"], part["excess_z"], numbers]))
    table = np.vstack(series)
    which = np.repeat(np.arange(10), [len(part) for part in series])
    y, x, numbers = table[:, 0], table[:, 1], table[:, 2:]
    left, values, _ = np.linalg.svd(numbers, full_matrices=False)
    common = left[:, values > 1e-9]
    assert common.shape[1] <= len(y) / 4
    fitted = np.linalg.lstsq(np.column_stack([x, common]), y, rcond=None)[0]
    rest = y - common @ fitted[1:]
    size = np.bincount(which, x**2)
    b = np.bincount(which, x * rest) / size
    noise = ((rest - b[which] * x) ** 2).sum() / (len(y) - common.shape[1] - 10)
    tau2 = reml_of(b, noise / size, np.ones((10, 1)))
    v = noise * np.eye(len(y)) + tau2 * np.outer(x, x) * (which[:, None] == which)
    columns = np.column_stack([x, common])
    slope = np.linalg.solve(columns.T @ np.linalg.solve(v, columns), columns.T @ np.linalg.solve(v, y))[0]
    same = found["bdi", "same_session"].estimate
    assert same is not None
    assert slope == pytest.approx(same.slope, rel=1e-4)
