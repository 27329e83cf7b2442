"""p values, the largest statistic, and clusters: exact counts and error rates."""

from __future__ import annotations

import numpy as np
import pytest

from hyperscan.errors import InputError
from hyperscan.nulls import cluster, max_statistic, p_value, pair_adjacency


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(17)


@pytest.mark.parametrize(
    ("observed", "alternative", "expected"),
    [
        (100.0, "greater", 1 / 100),
        (-1.0, "greater", 100 / 100),
        (50.0, "greater", 50 / 100),
        (-1.0, "less", 1 / 100),
        (50.0, "less", 52 / 100),
        (98.0, "two-sided", 4 / 100),
        (49.0, "two-sided", 1.0),
    ],
)
def test_p_counts_ties_as_exceeding(observed, alternative, expected):
    assert p_value(observed, np.arange(99.0), alternative).item() == pytest.approx(expected)


def test_p_is_uniform_under_the_null(rng):
    draws = rng.standard_normal((100, 4000))
    p = p_value(draws[0], draws[1:])
    assert np.mean(p <= 0.05) == pytest.approx(0.05, abs=0.012)
    assert p.min() >= 0.01
    assert np.mean(p_value(draws[0], draws[1:], "two-sided") <= 0.1) == pytest.approx(0.1, abs=0.015)


def test_nan_stays_nan():
    null = np.random.default_rng(0).standard_normal((30, 3))
    null[4, 2] = np.nan
    np.testing.assert_array_equal(np.isnan(p_value([np.nan, 0, 0], null)), [True, False, True])


@pytest.mark.parametrize("function", [p_value, max_statistic])
@pytest.mark.parametrize(
    ("observed", "null", "message"),
    [
        (1.0, np.arange(18.0), "18 surrogates give p no lower than 0.0526; at least 19"),
        (1.0, np.ones(99), "all 99 surrogates are equal for 1 of 1"),
        ([1.0, 2.0], np.c_[np.arange(30), np.ones(30)], "for 1 of 2"),
        ([1.0, 2.0], np.arange(99.0), r"surrogates has shape \(99,\)"),
    ],
)
def test_useless_surrogates_are_refused(function, observed, null, message):
    with pytest.raises(InputError, match=message):
        function(observed, null)


@pytest.mark.parametrize("function", [p_value, max_statistic])
def test_unknown_alternative_is_refused(function):
    with pytest.raises(InputError, match="alternative='bigger' is unknown"):
        function(1.0, np.arange(99.0), "bigger")


def test_max_statistic_holds_the_family_wise_rate(rng):
    hits = 0
    for _ in range(300):
        shared = rng.standard_normal((100, 1))
        draws = 0.7 * shared + rng.standard_normal((100, 25))
        hits += max_statistic(draws[0], draws[1:]).min() <= 0.05
    assert hits / 300 == pytest.approx(0.05, abs=0.035)


def test_max_statistic_equals_a_loop(rng):
    observed, null = rng.standard_normal((3, 4)) + 1, rng.standard_normal((99, 3, 4))
    found = max_statistic(observed, null, standardise=False)
    largest = np.array([row.max() for row in null])
    for index in np.ndindex(3, 4):
        assert found[index] == pytest.approx(((largest >= observed[index]).sum() + 1) / 100)


def test_standardising_keeps_one_wide_null_from_deciding(rng):
    null = rng.standard_normal((199, 2)) * [1, 100]
    observed = np.array([6.0, 0.0])
    assert max_statistic(observed, null)[0] == pytest.approx(0.005)
    assert max_statistic(observed, null, standardise=False)[0] > 0.2
    assert max_statistic(-observed, null, "less")[0] == pytest.approx(0.005)
    assert max_statistic(-observed, null, "two-sided")[0] == pytest.approx(0.005)


def test_max_statistic_leaves_nan_out(rng):
    null = rng.standard_normal((99, 3))
    null[:, 1] = np.nan
    found = max_statistic([5.0, 5.0, 0.0], null)
    np.testing.assert_array_equal(np.isnan(found), [False, True, False])
    assert np.isnan(max_statistic([np.nan], null[:, :1])).all()


def test_cluster_finds_the_planted_patch(rng):
    chain = np.eye(6, k=1) + np.eye(6, k=-1)
    adjacency = pair_adjacency(chain, chain, n_bands=2)
    null = rng.standard_normal((199, 2, 6, 6))
    observed = np.zeros((2, 6, 6))
    observed[0, 1:4, 2:4] = 2.5
    observed[1, 2, 3] = 2.5
    observed[1, 5, 5] = 2.2
    found = cluster(observed, null, adjacency)
    np.testing.assert_array_equal(found.labels == 1, observed == 2.5)
    assert found.labels[1, 5, 5] == 2
    assert found.p[0] == pytest.approx(0.005)
    assert found.p[1] > 0.05
    assert found.mass[0] > found.mass[1]


def test_cluster_holds_its_rate(rng):
    chain = np.eye(5, k=1) + np.eye(5, k=-1)
    adjacency = pair_adjacency(chain, chain)
    hits = sum(
        cluster(draws[0], draws[1:], adjacency).p.min(initial=1) <= 0.05
        for draws in (rng.standard_normal((60, 1, 5, 5)) for _ in range(200))
    )
    assert hits / 200 == pytest.approx(0.05, abs=0.04)


def test_no_cluster_is_no_error(rng):
    found = cluster(np.zeros(4), rng.standard_normal((50, 4)), np.eye(4, k=1))
    assert found.p.size == 0
    assert not found.labels.any()


def test_adjacency_must_fit(rng):
    with pytest.raises(InputError, match=r"adjacency has shape \(3, 3\); allowed is \(4, 4\)"):
        cluster(np.zeros(4), rng.standard_normal((50, 4)), np.eye(3))


def test_pair_adjacency_counts_neighbours():
    chain_a, chain_b = np.eye(3, k=1) + np.eye(3, k=-1), np.eye(4, k=1) + np.eye(4, k=-1)
    found = pair_adjacency(chain_a, chain_b, n_bands=2).toarray()
    assert found.shape == (24, 24)
    np.testing.assert_array_equal(found, found.T)
    # middle channels: two neighbours of the therapist's, two of the client's, one other band
    assert found[np.ravel_multi_index((0, 1, 1), (2, 3, 4))].sum() == 5
    assert found[np.ravel_multi_index((0, 0, 0), (2, 3, 4))].sum() == 3
