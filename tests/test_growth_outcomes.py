"""Relations of synchrony to symptoms and alliance."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from growth_fixtures import table
from hyperscan.errors import TableError
from hyperscan.growth import fit_growth

RNG = np.random.default_rng


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


def test_outcomes_of_numbered_dyads_are_found() -> None:
    data = table(n=8, alliance=0.0)
    data["alliance"] = data["excess_z"] * 2 + np.random.default_rng(1).normal(0, 0.1, len(data))
    numbered = data.assign(dyad=data["dyad"].str[1:].astype(float) + 1)
    named, found = (fit_growth(d, outcomes=["alliance"]).outcomes for d in (data, numbered))
    assert [row["p"] for row in found] == pytest.approx([row["p"] for row in named])
    with pytest.raises(TableError, match="alliance: row 1 holds 'good'"):
        fit_growth(data.assign(alliance="good"), outcomes=["alliance"])
