"""Slopes inside dyads: equal to what a regression with every nuisance column gives, and blind to lines and courses."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hyperscan.growth.outcomes_slopes import Within, basis
from hyperscan.growth.pooled import regress


def rows(n: int = 8, sessions: int = 8, kept: float = 0.8, slope: float = 0.5, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x, noise = rng.normal(size=(2, n, sessions))
    dyad, session = np.meshgrid([f"D{d}" for d in range(n)], np.arange(sessions), indexing="ij")
    frame = pd.DataFrame(
        {
            "dyad": dyad.ravel(), "session": session.ravel() + 1.0, "t": session.ravel().astype(float),
            "x": x.ravel(), "y": (slope * x + noise).ravel(), "kept": rng.normal(size=n * sessions),
        }
    )  # fmt: skip
    return frame[rng.random(len(frame)) < kept].reset_index(drop=True)


def test_the_slope_is_that_of_a_regression_with_every_line_and_session() -> None:
    frame = rows(seed=2)
    within = Within.of(frame, ["kept"])
    assert within.common
    dyads = pd.get_dummies(frame["dyad"]).to_numpy(float)
    columns = np.column_stack(
        [frame["x"], frame["kept"], dyads, dyads * frame[["t"]].to_numpy(), pd.get_dummies(frame["session"])]
    ).astype(float)
    plain = np.linalg.lstsq(columns, frame["y"].to_numpy(), rcond=None)[0][0]
    shared = np.column_stack([within.x, within.kept])
    assert np.linalg.lstsq(shared, within.y, rcond=None)[0][0] == pytest.approx(plain)
    # where slopes do not differ between dyads, all rows count alike
    assert within.test().sd == 0
    assert within.test().slope == pytest.approx(plain)


def test_lines_common_courses_and_levels_change_nothing() -> None:
    frame, rng = rows(), np.random.default_rng(1)
    lines = rng.normal(size=(8, 2)) @ np.vstack([np.ones(8), np.arange(8)])
    at = frame["dyad"].str[1:].astype(int), frame["t"].astype(int)
    course = 10 * np.exp(-np.arange(8) / 2)
    bent = frame.assign(x=frame["x"] + lines[at] + course[at[1]], y=frame["y"] - 5 * lines[at] + course[at[1]])
    first, second = Within.of(frame).test(), Within.of(bent).test()
    assert second.slope == pytest.approx(first.slope)
    assert second.p == pytest.approx(first.p)


def test_standard_error_and_df_are_those_of_the_whole_covariance() -> None:
    """CR2 and Bell-McCaffrey from full matrices, as Pustejovsky and Tipton write them."""
    frame = rows(n=7, slope=0.8, seed=4)
    frame["y"] += frame["dyad"].str[1:].astype(float) * frame["x"]  # slopes that differ
    within = Within.of(frame)
    found = within.test()
    n, codes, x = 7, within.codes, np.column_stack([within.x, within.kept])
    size = np.bincount(codes, within.x**2)
    noise_and_between = found.sd**2
    fitted = np.linalg.lstsq(x, within.y, rcond=None)[0]
    y = within.y - within.kept @ fitted[1:]
    rest = y - (np.bincount(codes, within.x * y) / size)[codes] * within.x
    noise = rest @ rest / within.freedom
    same = codes[:, None] == codes
    v = noise * np.eye(len(codes)) + noise_and_between * same * np.outer(within.x, within.x)
    w = np.linalg.inv(v)
    bread = np.linalg.inv(x.T @ w @ x)
    beta = bread @ x.T @ w @ within.y
    assert found.slope == pytest.approx(beta[0])
    remainder, parts = (np.eye(len(codes)) - x @ bread @ x.T @ w), []
    for code in range(n):
        at = codes == code
        values, vectors = np.linalg.eigh(v[np.ix_(at, at)])
        white = (vectors / np.sqrt(values)) @ vectors.T
        values, vectors = np.linalg.eigh(white @ (v[np.ix_(at, at)] - x[at] @ bread @ x[at].T) @ white)
        part = np.zeros(len(codes))
        part[at] = white @ ((vectors / np.sqrt(values)) @ vectors.T) @ white @ x[at] @ bread[:, 0]
        parts.append(remainder.T @ part)
    scores = np.array([part @ within.y for part in parts])
    spread = np.array(parts) @ v @ np.array(parts).T
    assert found.se == pytest.approx(np.linalg.norm(scores))
    assert found.df == pytest.approx(min(np.trace(spread) ** 2 / (spread**2).sum(), n - 1), rel=1e-6)


def test_therapists_bind_their_dyads() -> None:
    frame = rows(n=12, sessions=6)
    within = Within.of(frame)
    clusters = np.array([str(int(label[1:]) // 2) for label in within.labels])
    found = within.test(clusters)
    assert found.n == 6
    assert found.df <= 5
    assert found.slope == pytest.approx(within.test().slope)


def test_a_course_that_few_dyads_share_is_not_taken_out() -> None:
    frame = rows()
    assert not Within.of(frame.assign(session=np.arange(len(frame)))).common


def test_nothing_left_is_no_test() -> None:
    frame = rows()
    assert not Within.of(frame.assign(x=frame["t"])).testable
    assert not Within.of(frame.assign(y=2 * frame["t"])).testable
    assert not Within.of(frame[frame["t"] < 2]).testable
    assert not Within.of(frame.iloc[:0]).testable
    exact = Within.of(frame.assign(y=3 * frame["x"]))
    assert exact.test().slope == pytest.approx(3)


def test_the_mixed_model_is_that_of_the_same_rows() -> None:
    frame = rows(n=12, kept=1.0)
    within = Within.of(frame)
    mixed = within.mixed(frame)
    assert mixed.slope == pytest.approx(within.test().slope, abs=0.1)
    assert mixed.df <= 11


def test_a_basis_leaves_out_what_says_nothing_new() -> None:
    columns = np.random.default_rng(0).normal(size=(9, 3))
    assert basis(np.column_stack([columns, columns @ np.ones(3), np.zeros(9)])).shape == (9, 3)
    assert basis(np.empty((4, 0))).shape == (4, 0)


def test_a_given_variance_between_is_used() -> None:
    value, own = np.array([0.1, 0.5, 0.2, 0.4]), np.full(4, 0.01)
    assert regress(value, own, np.ones((4, 1)), between=0.0).between == 0.0
    assert regress(value, own, np.ones((4, 1))).between > 0.0
