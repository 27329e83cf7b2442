"""Power to show that an outcome goes with synchrony."""

from __future__ import annotations

import numpy as np
import pytest

from hyperscan.errors import InputError
from hyperscan.growth import plan_power
from hyperscan.growth.power import Planned
from hyperscan.schema import RELATIONS

SPREAD = {"intercept_sd": 0.1, "slope_sd": 0.03, "residual_sd": 0.08, "missing": 0.0, "dyads_per_therapist": 1}


@pytest.mark.parametrize("relation", RELATIONS)
def test_a_strong_relation_is_found_and_none_is_not(relation: str) -> None:
    found = [
        plan_power(16, 7, size, relation=relation, n_sim=15, seed=3).table["power"].iloc[0] for size in (0.0, 0.95)
    ]
    assert found[0] <= 0.14
    assert found[1] >= 0.9


@pytest.mark.parametrize("relation", RELATIONS)
def test_the_simulated_slope_is_the_size_that_was_asked_for(relation: str) -> None:
    planned = Planned(relation, 0.6, **SPREAD)
    series = planned.simulate(400, 10, np.random.default_rng(0))
    found = series.relate(relation).relation.standardised
    # noise of sessions weakens what is between dyads, and a line takes its share of a later session's
    assert 0.42 < found < 0.66


def test_therapists_and_missing_sessions_cost_power() -> None:
    full, less = (
        plan_power(10, 8, 0.4, relation="same_session", n_sim=40, seed=1, **more).table["power"].iloc[0]
        for more in ({}, {"dyads_per_therapist": 2, "missing": 0.3})
    )
    assert less < full


def test_it_says_what_was_asked() -> None:
    result = plan_power(8, 6, 0.5, relation="next_session", n_sim=5)
    assert "relation next_session" in result.summary()
    assert "power to show a relation that is named alone" in result.summary()
    assert plan_power(5, 6, 0.9, relation="change", n_sim=5).table["power"].iloc[0] == 0
    with pytest.raises(InputError, match="Did you mean 'next_session'"):
        plan_power(8, 6, 0.5, relation="nextsession")
    with pytest.raises(InputError, match="below 1"):
        plan_power(8, 6, 1.0, relation="change")
