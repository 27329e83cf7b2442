"""Weighted regression over dyads with robust standard errors."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from hyperscan.growth.pooled import regress, variance_between
from hyperscan.growth.slopes import Estimates, estimates_of, plain_test, pooled_test, slope_test


def test_equal_weights_give_the_tests_of_the_textbook() -> None:
    rng = np.random.default_rng(0)
    x, own = rng.normal(size=9), np.zeros(9)
    ours, plain = regress(x, own, np.ones((9, 1))).test(), stats.ttest_1samp(x, 0)
    assert (ours.t, ours.p, ours.df) == pytest.approx((plain.statistic, plain.pvalue, 8))
    by = np.repeat([0.0, 1.0], [4, 5])
    fit = regress(x, own, np.column_stack([by, np.ones(9)]))
    welch = stats.ttest_ind(x[by == 1], x[by == 0], equal_var=False)
    # CR2 of two groups is Welch's standard error
    assert fit.test().t == pytest.approx(welch.statistic)
    assert plain_test(x, by).p == pytest.approx(welch.pvalue)
    y = rng.normal(size=9)
    assert plain_test(y, x).p == pytest.approx(stats.linregress(x, y).pvalue)


def test_clusters_are_the_unit() -> None:
    rng = np.random.default_rng(1)
    therapists = np.repeat(np.arange(6), 3)
    x = rng.normal(size=6)[therapists]  # dyads of a therapist are alike
    fit = regress(x, np.full(18, 1e-9), np.ones((18, 1)), therapists).test()
    means = slope_test(x[::3])
    assert (fit.slope, fit.se, fit.n) == pytest.approx((means.slope, means.se, 6))
    assert fit.df == pytest.approx(5)
    by = (therapists % 2).astype(float)
    both = regress(x, np.full(18, 1e-9), np.column_stack([by, np.ones(18)]), therapists).test()
    welch = stats.ttest_ind(x[::3][by[::3] == 1], x[::3][by[::3] == 0], equal_var=False)
    assert both.t == pytest.approx(welch.statistic)


def test_variance_between_is_what_the_columns_leave() -> None:
    rng = np.random.default_rng(2)
    by = rng.normal(size=400)
    value = 5 * by + rng.normal(0, 0.3, 400) + rng.normal(0, 0.4, 400)
    columns = np.column_stack([by, np.ones(400)])
    assert variance_between(value, np.full(400, 0.16), columns) == pytest.approx(0.09, abs=0.03)
    assert variance_between(value, np.full(400, 0.16), columns[:, 1:]) > 10
    assert variance_between(3 * by, np.full(400, 0.16), columns) == 0


def test_means_are_weighted_by_their_sessions() -> None:
    codes = np.repeat([0, 1, 2], [2, 4, 8])
    y = np.concatenate([np.tile([-1.0, 1.0], 7)]) + codes
    found = estimates_of(y, np.arange(14.0), codes, 4, level=True)
    np.testing.assert_allclose(found.value[:3], [0, 1, 2])
    assert np.isnan(found.value[3])
    np.testing.assert_allclose(found.own[:3], 14 / 11 / np.array([2, 4, 8]))
    assert pooled_test(found).n == 3


def test_too_little_to_compare_has_no_p() -> None:
    found = estimates_of([0, 1, 0, 2, 0, 1.5], [0, 1] * 3, [0, 0, 1, 1, 2, 2], 3)
    assert np.isnan(pooled_test(found, np.array([1.0, 1.0, 1.0])).p)
    assert np.isnan(plain_test(found.value, np.array([0.0, 0.0, 1.0])).p)


@pytest.mark.parametrize("value", [0.02, 0.06, 700.1])
@pytest.mark.parametrize("columns", ["groups", "numbers"])
def test_equal_slopes_go_with_nothing(columns: str, value: float) -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        by = np.repeat([0.0, 1.0], 6) if columns == "groups" else rng.normal(40, 10, 12)
        slopes = value * (1 + 1e-16 * rng.integers(-2, 3, 12))
        found = Estimates(slopes, rng.uniform(0, 1, 12), np.full(12, 5.0))
        therapists = np.repeat(np.arange(6), 2)
        clustered = regress(slopes, found.own, np.column_stack([by - by.mean(), np.ones(12)]), therapists).test()
        for test in (plain_test(slopes, by), pooled_test(found, by), clustered):
            assert (test.slope, test.p) == (0, 1)
