"""What guards are taken of: slopes of measures over the sessions of the outcome."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hyperscan.growth.evidence import Question, Slopes
from hyperscan.growth.slopes import dyad_slopes, estimates_of

RNG = np.random.default_rng(4)


@pytest.fixture
def sessions() -> pd.DataFrame:
    """Ten dyads in which what stands in the place of time varies, and one in which it hardly does."""
    codes, t = np.repeat(np.arange(11), 6), RNG.normal(size=66)
    t[codes == 10] *= 0.001
    return pd.DataFrame({"dyad": [f"D{k}" for k in codes], "session": np.tile(np.arange(1, 7), 11), "t": t})


def test_a_dyad_in_which_nothing_varies_counts_little_by_precision(sessions: pd.DataFrame) -> None:
    """Its slope is noise over next to nothing, and would be the mean of all."""
    measure = sessions[["dyad", "session"]].assign(m=0.3 * sessions["t"] + 0.1 * RNG.normal(size=66))
    plain, precise = (
        Slopes.of(measure, sessions, {"": 1.0}, Question(by_precision=by)).test(measure["m"].to_numpy())
        for by in (False, True)
    )
    assert abs(plain.slope - 0.3) > 1
    assert plain.p > 0.1
    assert precise.slope == pytest.approx(0.3, abs=0.05)
    assert precise.p < 1e-4


def test_weights_of_sessions_count_in_every_dyad(sessions: pd.DataFrame) -> None:
    """Against least squares by hand, dyad by dyad."""
    t, codes = sessions["t"].to_numpy(), np.repeat(np.arange(11), 6)
    y, w = t + RNG.normal(size=66), RNG.uniform(0.1, 3, 66)
    found = estimates_of(y, t, codes, 11, weights=w)
    residual = 0.0
    for k in range(11):
        rows = codes == k
        design = np.column_stack([np.ones(6), t[rows]]) * np.sqrt(w[rows])[:, None]
        beta, rest, *_ = np.linalg.lstsq(design, y[rows] * np.sqrt(w[rows]), rcond=None)
        assert found.value[k] == pytest.approx(beta[1])
        residual += float(rest[0])
    spread = [np.cov(t[codes == k], aweights=w[codes == k], ddof=0) * w[codes == k].sum() for k in range(11)]
    np.testing.assert_allclose(found.own, residual / 44 / np.array(spread), rtol=1e-9)
    np.testing.assert_allclose(dyad_slopes(y, t, codes, 11, w), found.value)
    same = estimates_of(y, t, codes, 11, weights=np.full(66, 7.0))
    np.testing.assert_allclose(same.own, estimates_of(y, t, codes, 11).own)
