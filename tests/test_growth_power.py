"""Power: simulated studies against what is known of them."""

from __future__ import annotations

import numpy as np
import pytest

from hyperscan.errors import InputError
from hyperscan.growth import plan_power

RNG = np.random.default_rng


def test_power_grows_with_dyads_and_falls_with_missing_sessions() -> None:
    result = plan_power([6, 20], 6, 0.03, n_sim=80, seed=1)
    frame = result.to_data_frame().set_index("dyads")
    assert frame.loc[20, "power"] > frame.loc[6, "power"] + 0.2
    assert (frame["power"] <= frame["two_stage"]).all()
    assert ((frame["ci_low"] <= frame["power"]) & (frame["power"] <= frame["ci_high"])).all()
    less = plan_power(20, 6, 0.03, missing=0.5, n_sim=80, seed=1).to_data_frame()["power"].item()
    assert less < frame.loc[20, "power"]
    assert "more dyads than tried" in plan_power(6, 3, 0.01, n_sim=10).summary()
    assert "yads" in result.plot().axes[0].get_xlabel()


def test_power_without_growth_is_the_false_claim_rate() -> None:
    share = plan_power(12, 6, 0.0, n_sim=300, seed=2).to_data_frame()["power"].item()
    assert share <= 0.025 + 3 * np.sqrt(0.025 * 0.975 / 300)


def test_power_needs_six_dyads_and_therapists() -> None:
    five = plan_power([5, 6], 8, 1.0, n_sim=5)
    assert five.to_data_frame()["power"].tolist() == [0, 1]
    assert "Fewer than 6 dyads give no verdict, so they have no power." in five.summary()
    assert "Fewer than 6" not in plan_power(6, 8, 1.0, n_sim=5).summary()
    few = plan_power(20, 8, 0.03, dyads_per_therapist=10, n_sim=40).to_data_frame()["power"].item()
    assert few < plan_power(20, 8, 0.03, n_sim=40).to_data_frame()["power"].item()


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"dyads": 1}, "dyads = 1"), ({"dyads": []}, "dyads is empty"), ({"sessions": 1}, "sessions = 1"),
        ({"slope": np.nan}, "slope = nan"), ({"missing": 1.0}, "missing = 1.0"), ({"n_sim": 0}, "n_sim = 0"),
        ({"dyads": [8.5]}, "dyads = 8.5"),
        ({"slope": -0.03}, "slope = -0.03: expected a number from 0"),
    ],
)  # fmt: skip
def test_power_errors(given: dict, text: str) -> None:
    with pytest.raises(InputError, match=text):
        plan_power(**({"dyads": 8, "sessions": 6, "slope": 0.03} | given))
