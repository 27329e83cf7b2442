"""Two stages, sign flips, clusters, one dyad: against plain definitions and reference values."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from hyperscan.errors import InputError
from hyperscan.growth.flips import benjamini_hochberg, flip_clusters, flip_test, max_t, sign_patterns
from hyperscan.growth.model import Design
from hyperscan.growth.slopes import describe_dyad, dyad_slopes, mann_kendall, slope_test, therapist_means

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


# --- sign flips ---


def test_exact_flips_are_all_sign_patterns() -> None:
    x = RNG(1).normal(0.5, 1, 7)
    sums = [abs(np.dot(signs, x)) for signs in itertools.product([1, -1], repeat=7)]
    expected = np.mean(np.array(sums) >= abs(x.sum()) - 1e-12)
    test = flip_test(x, RNG(0))
    assert (test.p, test.exact, test.n_flips, test.smallest_p) == (expected, True, 128, 2 / 128)
    assert len({tuple(row) for block in sign_patterns(7, 0, RNG(0)) for row in block}) == 128


@pytest.mark.parametrize(("n", "smallest"), [(5, 2 / 32), (6, 2 / 64), (14, 2 / 2**14)])
def test_smallest_reachable_p(n: int, smallest: float) -> None:
    test = flip_test(np.ones(n) + np.arange(n) / 10, RNG(0))
    assert test.p == test.smallest_p == smallest


def test_random_flips_are_near_the_exact_p_and_repeat() -> None:
    x = RNG(2).normal(0.35, 1, 15)
    first, again = flip_test(x, RNG(3), 50_000), flip_test(x, RNG(3), 50_000)
    signs = np.concatenate(list(sign_patterns(14, 0, RNG(0))))
    exact = np.mean([np.abs(signs @ x[:14] + s * x[14]) >= abs(x.sum()) - 1e-12 for s in (1, -1)])
    assert first.p == again.p
    assert first.p == pytest.approx(exact, abs=5 * np.sqrt(exact / 50_000))
    assert not first.exact


def test_max_t_is_the_plain_maximum() -> None:
    rng = RNG(4)
    x = rng.normal(0, 1, (7, 5)) + np.array([1.5, 0, 0, 0.5, 0])
    x[2, 1] = x[6, 3] = np.nan

    def t_of(values):
        return abs(stats.ttest_1samp(values, 0, nan_policy="omit").statistic)

    observed = t_of(x)
    null = [t_of(x * np.array(signs)[:, None]).max() for signs in itertools.product([1, -1], repeat=7)]
    expected = [np.mean(np.array(null) >= o * (1 - 1e-10)) for o in observed]
    np.testing.assert_allclose(max_t(x, RNG(0)), expected)


def test_max_t_of_one_outcome_is_the_flip_test() -> None:
    x = RNG(5).normal(0.4, 1, 9)
    assert max_t(x[:, None], RNG(0))[0] == pytest.approx(flip_test(x, RNG(0)).p)


def test_max_t_holds_its_level() -> None:
    rng = RNG(6)
    smallest = [np.nanmin(max_t(rng.normal(size=(8, 12)), rng)) for _ in range(300)]
    assert np.mean(np.array(smallest) <= 0.05) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 300)


def test_max_t_without_slopes() -> None:
    x = np.column_stack([np.full(6, np.nan), np.zeros(6), np.arange(1.0, 7)])
    np.testing.assert_allclose(max_t(x, RNG(0)), [np.nan, 1, 2 / 64])


def test_clusters_join_neighbours_in_space_and_band() -> None:
    rng = RNG(7)
    x = rng.normal(0, 1, (12, 5, 3))
    x[:, 0, 1] += 3
    x[:, 0, 2] += 3
    x[:, 1, 2] += 3
    x[:, 4, 0] -= 3
    chain = np.eye(5, k=1) + np.eye(5, k=-1)
    clusters = flip_clusters(x, chain, RNG(0), n_flips=499, threshold=3.0)
    found = [{tuple(m) for m in c.members} for c in clusters]
    assert {(0, 1), (0, 2), (1, 2)} in found
    assert {(4, 0)} in found
    assert clusters[0].p <= 0.01
    assert [c.mass < 0 for c in clusters if (4, 0) in map(tuple, c.members)] == [True]


def test_clusters_of_few_dyads_are_exact() -> None:
    x = np.random.default_rng(4).normal(0.8, 1, (6, 1, 1))
    (cluster,) = flip_clusters(x, [[0]], np.random.default_rng(0), threshold=1.0)
    # one cell alone: its cluster is as large as its t, which is the sign-flip test
    assert cluster.p == flip_test(x.ravel(), np.random.default_rng(0)).p
    assert (cluster.p * 64) % 1 == 0


def test_cluster_slopes_are_checked() -> None:
    x = np.random.default_rng(4).normal(0.8, 1, (6, 2, 1))
    with pytest.raises(InputError, match="adjacency \\(3, 3\\) do not fit"):
        flip_clusters(x, np.eye(3), np.random.default_rng(0))
    x[0, 0, 0] = np.nan
    with pytest.raises(InputError, match="some are missing"):
        flip_clusters(x, np.eye(2), np.random.default_rng(0))


def test_no_clusters_in_noise() -> None:
    assert flip_clusters(RNG(8).normal(0, 1, (10, 3, 2)), np.zeros((3, 3)), RNG(0), threshold=9.0) == []


def test_benjamini_hochberg_keeps_missing() -> None:
    np.testing.assert_allclose(benjamini_hochberg([0.04, np.nan, 0.01]), [0.04, np.nan, 0.02])


# --- one dyad ---


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
