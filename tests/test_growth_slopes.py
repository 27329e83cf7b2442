"""Slopes per dyad, tests over dyads, one dyad alone: against plain definitions and reference values."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from hyperscan.growth import fit_growth
from hyperscan.growth.flips import flip_test
from hyperscan.growth.model import Design
from hyperscan.growth.slopes import (
    describe_dyad,
    dyad_slopes,
    estimates_of,
    leave_one_out,
    mann_kendall,
    slope_test,
    therapist_means,
    weighted_test,
)

RNG = np.random.default_rng


def test_slopes_are_polyfits() -> None:
    rng = RNG(0)
    codes, t = np.repeat(np.arange(4), 6), np.tile(np.arange(6.0), 4) + 1000
    y, w = rng.normal(size=24), rng.uniform(0.5, 2, 24)
    plain, weighted = dyad_slopes(y, t, codes, 4), dyad_slopes(y, t, codes, 4, w)
    for d in range(4):
        m = codes == d
        assert plain[d] == pytest.approx(np.polyfit(t[m], y[m], 1)[0])
        assert weighted[d] == pytest.approx(np.polyfit(t[m], y[m], 1, w=np.sqrt(w[m]))[0])


def test_a_dyad_without_two_times_has_no_slope() -> None:
    slopes = dyad_slopes([1, 2, 3, np.nan, 5, 6], [0, 1, 0.3, 1, 2, 2], [0, 0, 1, 1, 2, 2], 4)
    np.testing.assert_allclose(slopes, [1, np.nan, np.nan, np.nan])
    assert np.isnan(dyad_slopes([1, 2], [0, 1], [0, 0], 1, [1, 0])).all()


@pytest.mark.parametrize("n", [2, 5, 20])
def test_slope_test_is_the_t_test(n: int) -> None:
    x = RNG(n).normal(0.3, 1, n)
    ours, target = slope_test([*x, np.nan]), stats.ttest_1samp(x, 0)
    assert (ours.t, ours.p, ours.df, ours.n) == pytest.approx((target.statistic, target.pvalue, n - 1, n))
    assert (ours.ci_low, ours.ci_high) == pytest.approx(tuple(target.confidence_interval()))


def test_slope_test_at_its_edges() -> None:
    assert slope_test([0.0, 0.0, 0.0]).p == 1
    assert slope_test([0.1, 0.1, 0.1]).p == 0
    assert np.isnan(slope_test([0.1]).p)
    assert slope_test([]).n == 0


@pytest.mark.parametrize("name", ["ds01_balanced_8x6", "ds02_sened_sparse_s135_18obs"])
@pytest.mark.parametrize("weeks", [False, True])
@pytest.mark.parametrize("value", ["value_z", "excess_z"])
def test_two_stage_agrees_with_r(shared: Path, name: str, value: str, weeks: bool) -> None:
    table = pd.read_csv(shared / "reference" / f"growth_{name}.csv")
    target = json.loads((shared / "reference" / "growth_lmertest.json").read_text())[name][value]
    target = target["two_stage_weeks" if weeks else "two_stage"]
    table["t"] = table["days"] / 7 if weeks else table["session"] - 1.0
    slopes = Design.of(table).slopes(table[value].to_numpy())
    np.testing.assert_allclose(slopes, list(target["slopes"].values()), rtol=1e-6)
    ours = slope_test(slopes)
    assert (ours.slope, ours.sd, ours.t, ours.p) == pytest.approx(
        (target["mean"], target["sd"], target["t"], target["p"]), rel=1e-6
    )
    assert flip_test(slopes, RNG(0)).p == pytest.approx(target["signflip_exact_p"])


def test_therapist_means() -> None:
    means = therapist_means(np.array([1.0, 3.0, np.nan, 5.0, np.nan]), np.array(list("aabbc")))
    assert means == {"a": 2.0, "b": 5.0}


def test_one_dyad_agrees_with_r(shared: Path) -> None:
    table = pd.read_csv(next((shared / "reference").glob("growth_ds10*.csv")))
    target = json.loads((shared / "reference" / "growth_lmertest.json").read_text())["ds10"]
    out = describe_dyad(table["session"], table["value_z"], RNG(0))
    assert out["slope"] == pytest.approx(target["theil_sen_session"])
    assert out["tau"] == pytest.approx(target["kendall_tau"])
    assert out["p"] == pytest.approx(target["kendall_exact_p"])
    per_day = describe_dyad(table["days"], table["value_z"], RNG(0))["slope"]
    assert per_day == pytest.approx(target["theil_sen_per_day"])


def test_mann_kendall_is_the_permutation_distribution() -> None:
    y = np.array([3.0, 1, 2, 5, 4, 6])

    def score(v):
        return sum(np.sign(v[j] - v[i]) for i, j in itertools.combinations(range(6), 2))

    null = [abs(score(p)) for p in itertools.permutations(y)]
    assert mann_kendall(range(6), y, RNG(0)) == pytest.approx(np.mean(np.array(null) >= abs(score(y))))
    tied = np.array([1.0, 1, 2, 3, 3, 4])
    null = [abs(score(p)) for p in itertools.permutations(tied)]
    exact = np.mean(np.array(null) >= abs(score(tied)))
    assert mann_kendall(range(6), tied, RNG(0), 20_000) == pytest.approx(exact, abs=0.005)


@pytest.mark.parametrize(
    ("n", "tested", "text"),
    [(1, False, "nothing"), (2, False, "difference of"), (7, False, "not tested"), (8, True, "alone")],
)
def test_few_sessions_are_described_not_tested(n: int, tested: bool, text: str) -> None:
    out = describe_dyad(np.arange(n), 0.1 * np.arange(n) + np.cos(np.arange(n)), RNG(0))
    assert out["tested"] == tested
    assert (out["p"] is not None) == tested
    assert text in out["text"]


@pytest.mark.parametrize("value", [0.1, 600.3, 1e-9])
def test_equal_values_have_no_slope(value: float) -> None:
    slopes = dyad_slopes(np.full(21, value), np.tile(np.arange(7.0), 3), np.repeat(np.arange(3), 7), 3)
    assert slopes.tolist() == [0, 0, 0]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("weighted", [False, True])
def test_rounding_makes_no_slope(seed: int, weighted: bool) -> None:
    """Courses that end as they began, at days that are no round weeks: all dyads round alike."""
    rng = RNG(seed)
    days = np.sort(rng.choice(30, 5, replace=False))
    t, half = np.concatenate([days, 60 - days[::-1]]) / 7, rng.normal(size=5).round(2)
    y = np.tile(np.concatenate([half, half[::-1]]), 8)
    weights = np.tile(np.concatenate([np.arange(1.0, 6), np.arange(5.0, 0, -1)]), 8) if weighted else None
    slopes = dyad_slopes(y, np.tile(t, 8), np.repeat(np.arange(8), 10), 8, weights)
    assert slopes.tolist() == [0] * 8
    growth = fit_growth(
        pd.DataFrame({"dyad": np.repeat(np.arange(8), 10), "session": np.tile(np.arange(10), 8), "t": np.tile(t, 8)})
        .assign(excess_z=y),
        time="t", n_flips=19,
    )  # fmt: skip
    assert growth.verdict == "no_clear_change"
    assert growth.weighted.p == 1


def test_a_dyad_of_large_values_rounds_no_other_away() -> None:
    y = np.array([0.0, 1.0, 2.0, 0.0, 1e13, 2e13])
    assert dyad_slopes(y, [0, 1, 2] * 2, [0, 0, 0, 1, 1, 1], 2).tolist() == [1, 1e13]


def courses(rng: np.random.Generator, lengths: list[int], slopes: list[float]) -> tuple[np.ndarray, ...]:
    """Dyads of so many sessions each, with these slopes and a little noise: values, times and codes."""
    t = np.concatenate([np.arange(n, dtype=float) for n in lengths])
    codes = np.repeat(np.arange(len(lengths)), lengths)
    return np.asarray(slopes)[codes] * t + rng.normal(0, 0.05, len(t)), t, codes


def test_alike_courses_weigh_alike() -> None:
    rng = np.random.default_rng(1)
    y, t, codes = courses(rng, [6] * 8, list(rng.normal(0.05, 0.03, 8)))
    weighted, plain = weighted_test(y, t, codes, 8), slope_test(dyad_slopes(y, t, codes, 8))
    assert [getattr(weighted, name) for name in ("slope", "se", "df", "t", "p")] == pytest.approx(
        [getattr(plain, name) for name in ("slope", "se", "df", "t", "p")], rel=1e-6
    )
    assert weighted.p_length == 1.0


def test_weights_standard_error_and_df_are_those_of_the_definition() -> None:
    rng = np.random.default_rng(2)
    lengths = [2, 3, 3, 4, 6, 6, 5, 2, 4]
    y, t, codes = courses(rng, lengths, list(rng.normal(0.02, 0.02, 9)))
    test = weighted_test(y, t, codes, 9)
    # spelled out: X = 1, W = 1 / (between + own), residuals blown up by the root of their working variance
    b = dyad_slopes(y, t, codes, 9)
    courses_of = [(t[codes == i], y[codes == i]) for i in range(9)]
    rest = [float(np.polyfit(x, v, 1, full=True)[1].sum()) for x, v in courses_of]
    noise = sum(rest) / (len(y) - 18)
    own = np.array([noise / ((x - x.mean()) ** 2).sum() for x, _ in courses_of])
    phi = np.diag(own + test.sd**2)
    w, one = np.linalg.inv(phi), np.ones((9, 1))
    bread = 1 / (one.T @ w @ one).item()
    hat = one @ (bread * one.T @ w)
    e_var = (np.eye(9) - hat) @ phi @ (np.eye(9) - hat).T
    factor = np.sqrt(np.diag(phi) / np.diag(e_var))
    e = (np.eye(9) - hat) @ b
    parts = bread * (one.T @ w).ravel() * factor
    assert test.slope == pytest.approx((bread * one.T @ w @ b).item(), rel=1e-9)
    assert test.se == pytest.approx(np.sqrt(((parts * e) ** 2).sum()), rel=1e-9)
    values = np.linalg.eigvalsh(parts[:, None] * e_var * parts)
    assert test.df == pytest.approx(values.sum() ** 2 / (values**2).sum(), rel=1e-9)
    # the variance between dyads is the REML one: no value near it has a smaller deviance

    def deviance(between: float) -> float:
        weight = 1 / (own + between)
        mean = np.average(b, weights=weight)
        return -np.log(weight).sum() + np.log(weight.sum()) + weight @ (b - mean) ** 2

    near = [deviance(max(test.sd**2 * k, 0.0)) for k in (0.5, 0.9, 1.0, 1.1, 2.0)]
    assert min(near) == pytest.approx(near[2], abs=1e-8)


def test_long_courses_count_for_more_and_are_told_apart() -> None:
    rng = np.random.default_rng(3)
    lengths = [2, 2, 2, 2, 8, 8, 8, 8]
    y, t, codes = courses(rng, lengths, [-0.1] * 4 + [0.1] * 4)
    test = weighted_test(y, t, codes, 8)
    assert test.p_length < 0.2
    y, t, codes = courses(rng, lengths, [0.1] * 8)
    assert weighted_test(y, t, codes, 8).se < slope_test(dyad_slopes(y, t, codes, 8)).se


@pytest.mark.parametrize("values", [[0.0] * 6, [1.0, 2.0, 1.0, 2.0, 1.0, 2.0], [np.nan] * 6])
def test_nothing_to_weigh_is_no_error(values: list[float]) -> None:
    test = weighted_test(values, [0, 1, 0, 1, 0, 1], [0, 0, 1, 1, 2, 2], 3)
    assert test.n == (0 if np.isnan(values[0]) else 3)
    assert not test.in_direction(-1, 0.05)


@pytest.mark.slow
def test_the_weighted_test_keeps_its_level_where_courses_differ() -> None:
    rng = np.random.default_rng(4)
    false = 0
    for _ in range(2000):
        lengths = list(rng.integers(2, 7, 12))
        y, t, codes = courses(rng, lengths, list(rng.normal(0, 0.03, 12)))
        false += weighted_test(y, t, codes, 12).p < 0.05
    assert false / 2000 == pytest.approx(0.05, abs=0.015)


@pytest.mark.parametrize("n", [5, 6, 7])
def test_what_one_dyad_decides_is_tested_where_enough_are_left(n: int) -> None:
    y, t, codes = courses(RNG(0), [5] * n, list(RNG(1).normal(0.05, 0.02, n)))
    slopes = dyad_slopes(y, t, codes, n)
    found = leave_one_out(estimates_of(y, t, codes, n), np.array([f"D{k}" for k in range(n)]))
    assert found.same_sign
    # courses are alike, so the weighted mean of those that are left is the plain one
    largest = max(stats.ttest_1samp(np.delete(slopes, k), 0).pvalue for k in range(n))
    assert found.p_max == (pytest.approx(largest) if n > 6 else None)
