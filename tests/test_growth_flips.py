"""Sign flips of dyads' slopes, against plain definitions and reference values."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy
from scipy import stats

from hyperscan.growth.flips import benjamini_hochberg, flip_test, max_t, sign_patterns

RNG = np.random.default_rng


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


def test_benjamini_hochberg_keeps_missing() -> None:
    np.testing.assert_allclose(benjamini_hochberg([0.04, np.nan, 0.01]), [0.04, np.nan, 0.02])


def test_benjamini_hochberg_is_that_of_scipy() -> None:
    for n in (1, 2, 40):
        p = RNG(n).random(n).round(1)  # with ties
        np.testing.assert_array_equal(benjamini_hochberg(p), scipy.stats.false_discovery_control(p))
