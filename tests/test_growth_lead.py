"""Who leads, at what lag, and when nothing is said of it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from growth_fixtures import designs_table
from hyperscan.errors import TableError
from hyperscan.growth import GrowthResult, fit_growth
from hyperscan.growth.lead import clocks_known_to_ms, find_lead
from hyperscan.growth.records import CappedSlope, Record, SlopeTest

LAGS_S = np.arange(-16, 17) / 16
N, S = 8, 4


def profiles(lag_s: float, strength: float = 0.1, n: int = N, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    curve = strength * np.exp(-(((LAGS_S - lag_s) / 0.15) ** 2))
    rows = [
        (f"D{dyad}", session, lag, value)
        for dyad in range(n)
        for session in range(1, S + 1)
        for lag, value in zip(LAGS_S, curve + rng.normal(0, 0.02, len(LAGS_S)), strict=True)
    ]
    return pd.DataFrame(rows, columns=["dyad", "session", "lag_s", "profile_excess_z"])


def people(**columns: object) -> pd.DataFrame:
    rows = [(f"D{dyad}", session) for dyad in range(N) for session in range(1, S + 1)]
    return pd.DataFrame(rows, columns=["dyad", "session"]).assign(person="client", **columns)


ONE_CLOCK = people(clock_source="same_amplifier", clock_uncertainty_ms=0.0)


@pytest.mark.parametrize(("lag_s", "leader"), [(0.1, "therapist"), (-0.1, "client"), (0.3, "therapist"), (0.0, "")])
def test_the_leader_and_the_lag_are_found(lag_s: float, leader: str) -> None:
    lead = find_lead(profiles(lag_s), ONE_CLOCK)
    assert (lead.leader, lead.p < 0.01) == (leader, True)
    assert lead.ci_low_s < lag_s < lead.ci_high_s
    assert lead.peak_s == pytest.approx(lag_s, abs=0.02)
    assert np.sign(lead.asymmetry.slope) == np.sign(lag_s) or not lag_s
    assert ("leads" in lead.sentence) == bool(leader)


def test_no_direction_is_claimed_below_what_the_clocks_may_be_apart() -> None:
    near = people(clock_source="triggers", clock_uncertainty_ms=16.0)
    assert find_lead(profiles(0.1), near).leader == "therapist"
    far = find_lead(profiles(0.1), near.assign(clock_uncertainty_ms=[120.0, *[16.0] * (len(near) - 1)]))
    assert far.leader == ""
    assert "No direction is claimed" in far.sentence
    assumed = find_lead(profiles(0.1), near.assign(clock_uncertainty_ms=[np.nan, *[16.0] * (len(near) - 1)]))
    assert assumed.leader == find_lead(profiles(0.1)).leader == ""
    assert "nothing says how far the clocks may be apart" in assumed.sentence
    assert clocks_known_to_ms(people(clock_source="same_amplifier")) == 0


def test_clocks_are_those_of_the_recordings_that_have_a_profile() -> None:
    """Another modality's assumed clock hid a lead, and a recording without a row counted as one of a known clock."""
    eeg = ONE_CLOCK.assign(modality="eeg", task="talk", run="")
    others = [eeg.assign(modality="fnirs"), eeg.assign(task="rest"), eeg.assign(session=S + 1), eeg.assign(run="2")]
    table = profiles(0.1).assign(modality="eeg", task="talk", run=np.nan)
    for other in others:
        both = pd.concat([eeg, other.assign(clock_source="assumed", clock_uncertainty_ms=np.nan)])
        assert find_lead(table, both).leader == "therapist"
    part = find_lead(table, eeg[eeg["dyad"] != "D0"])
    assert (part.leader, np.isnan(part.uncertainty_ms)) == ("", True)
    assert "nothing says how far the clocks may be apart" in part.sentence


def test_without_an_excess_or_with_few_dyads_nobody_leads() -> None:
    none = find_lead(profiles(0.1, strength=0.0), ONE_CLOCK)
    assert (none.leader, none.p > 0.05) == ("", True)
    assert "No excess over chance was shown at any lag" in none.sentence
    few = find_lead(profiles(0.1, n=5), ONE_CLOCK)
    assert few.leader == ""
    assert "fewer than 6 dyads" in few.sentence


def test_each_dyad_counts_once_and_in_its_own_lags() -> None:
    table = profiles(0.1)
    repeated = pd.concat([table, table[table["dyad"] == "D0"].assign(session=9)])
    assert find_lead(repeated, ONE_CLOCK).asymmetry.n == N
    odd = pd.concat([table, table[table["dyad"] == "D0"].assign(dyad="D9", lag_s=lambda rows: rows["lag_s"] * 1.01)])
    with pytest.raises(TableError, match="dyads have different lags"):
        find_lead(odd)
    with pytest.raises(TableError, match="lags has no column 'lag_s'"):
        find_lead(table.drop(columns="lag_s"))
    with pytest.raises(TableError, match="no profile has pseudo pairs"):
        find_lead(table.assign(profile_excess_z=np.nan))


@pytest.mark.parametrize("broad", [0.05, 0.4])
def test_profiles_that_are_turned_round_in_half_of_the_dyads_name_no_leader(broad: float) -> None:
    table = profiles(0.3, n=10)
    curve = 0.1 * np.exp(-(((LAGS_S - 0.3) / broad) ** 2))
    at = np.searchsorted(LAGS_S, table["lag_s"])
    turned = table["dyad"].isin([f"D{dyad}" for dyad in range(4)])
    table["profile_excess_z"] = np.where(turned, curve[::-1][at], curve[at])
    lead = find_lead(table, ONE_CLOCK)
    # broad peaks to both sides are one wide peak, the middle of which is nearer to 0
    assert lead.peak_s > (0.2 if broad < 0.1 else 0.1)
    assert lead.p < 0.05
    assert lead.p_side > 0.05
    assert lead.leader == ""
    assert "No direction is claimed: the excess is not clearly higher on this side of lag 0" in lead.sentence


def test_lags_that_are_not_the_same_to_both_sides_are_refused() -> None:
    table = profiles(0.1)
    with pytest.raises(TableError, match="not the same to both sides"):
        find_lead(table[table["lag_s"] > -0.9], ONE_CLOCK)


def test_people_that_dyads_lend_each_other_do_not_make_the_asymmetry_grow_by_chance() -> None:
    """All pairs of 8 therapists and 8 clients are unrelated; a dyad's excess is above the pairs of its own people."""
    rng, n, n_studies = np.random.default_rng(0), 8, 4000
    pairs = rng.normal(size=(n_studies, n, n))
    apart = pairs * ~np.eye(n, dtype=bool)
    excess = np.einsum("kii->ki", pairs) - (apart.sum(1) + apart.sum(2)) / (2 * (n - 1))
    k = 2 * (n - 1)
    assert excess.mean(1).var() / (excess.var(1, ddof=1).mean() / n) == pytest.approx(k / (k - 1), rel=0.05)
    table = shifting(0.004).assign(n_pseudo=k)
    with_pairs, without = (
        fit_growth(each, "lead_asymmetry_excess") for each in (table, table.drop(columns="n_pseudo"))
    )
    assert with_pairs.weighted.se / without.weighted.se == pytest.approx(np.sqrt(k / (k - 1)))
    assert without.weighted.p < with_pairs.weighted.p
    assert with_pairs.weighted.slope == without.weighted.slope


def told_tests(part: object, path: str = "") -> Iterator[tuple[str, SlopeTest | CappedSlope]]:
    """Every test over dyads of a result, and where it stands."""
    if isinstance(part, SlopeTest | CappedSlope):
        yield path, part
    elif isinstance(part, GrowthResult | Record):
        for name, value in vars(part).items():
            yield from told_tests(value, f"{path}.{name}")
    elif isinstance(part, tuple):
        for k, value in enumerate(part):
            yield from told_tests(value, f"{path}.{k}")


def test_every_test_of_who_leads_allows_for_the_people_that_dyads_lend_each_other() -> None:
    table, k = designs_table().rename(columns={"excess_z": "lead_asymmetry_excess"}), 6
    # arms and therapists are nested, and each therapist sees two dyads
    table["therapist"] = [f"T{int(dyad[1:]) // 4}{arm}" for dyad, arm in zip(table["dyad"], table["arm"], strict=True)]
    asked = {"contrasts": {"c": {"talk": 1, "rest": -1}}, "group": "arm", "reference": "control", "moderators": ["age"]}
    given = {"primary": {"task": "talk"}, "n_flips": 19, **asked}
    tables = table.assign(n_pseudo=k), table
    wide, narrow = (dict(told_tests(fit_growth(each, "lead_asymmetry_excess", **given))) for each in tables)
    assert len(wide) == len(narrow) > 25
    for where, test in wide.items():
        plain, moderated = narrow[where], where.startswith(".differences.3")
        by = 1.0 if moderated else np.sqrt(k / (k - 1))
        assert (where, test.se / plain.se, plain.t / test.t) == (where, pytest.approx(by), pytest.approx(by))
        assert test.slope == plain.slope
        assert (test.ci_high - test.slope) / (plain.ci_high - plain.slope) == pytest.approx(by)
        assert test.p == pytest.approx(2 * stats.t.sf(abs(test.t), test.df), nan_ok=True)
        if isinstance(test, CappedSlope):
            assert test.p_satterthwaite == pytest.approx(2 * stats.t.sf(abs(test.t), test.df_satterthwaite))


def test_a_weak_chance_level_of_who_leads_is_said() -> None:
    fit = fit_growth(shifting(0.02).assign(n_pseudo=2), "lead_asymmetry_excess")
    assert "fewer than 4 pseudo pairs make the chance level" in fit.sentence


def shifting(slope: float, lag_s: float = 0.1) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    rows = [(f"D{d}", s, slope * s + rng.normal(0, 0.01), lag_s) for d in range(N) for s in range(1, S + 1)]
    return pd.DataFrame(rows, columns=["dyad", "session", "lead_asymmetry_excess", "lag_peak_s"])


@pytest.mark.parametrize(("slope", "verdict", "said"), [(0.02, "grows", "Increase"), (-0.02, "declines", "Decrease")])
def test_growth_of_the_asymmetry_is_told_as_that_and_no_shift_is_claimed(slope: float, verdict: str, said: str) -> None:
    clocks = people(clock_source="triggers", clock_uncertainty_ms=16.0, clock_ppm=0.0, clock_residual_ms=0.0)
    fit = fit_growth(shifting(slope), "lead_asymmetry_excess", quality=clocks)
    assert fit.verdict == f"{verdict}_unchecked"
    opening = f"{said} in the lead asymmetry (excess where the therapist leads minus that where the client does)"
    assert fit.sentence.startswith(f"{opening}, unchecked.")
    assert "Coupling that grows at a constant lead does this, too" in fit.sentence
    assert "dependence" not in fit.sentence.partition(".")[0]
    assert {guard.name: guard.passed for guard in fit.guards}["clock"] is True
    assert all(guard.passed is None for guard in fit.guards if guard.name != "clock")


def test_a_shift_that_the_clocks_may_make_is_not_claimed() -> None:
    clocks = people(clock_source="triggers", clock_uncertainty_ms=16.0, clock_ppm=0.0, clock_residual_ms=0.0)
    fit = fit_growth(shifting(0.02, lag_s=0.01), "lead_asymmetry_excess", quality=clocks)
    assert fit.verdict == "confounded"
    assert "may be an offset of the two clocks (known to 16 ms)" in fit.sentence


def test_no_excess_is_told_with_the_smallest_p_that_its_dyads_can_reach() -> None:
    table = profiles(0.1, n=6)
    table.loc[table["dyad"] == "D5", "profile_excess_z"] *= -1
    said = find_lead(table, ONE_CLOCK).sentence
    assert said.startswith("No excess over chance was shown at any lag (smallest p = ")
    assert said.endswith("Of 6 dyads no such p falls below .031; 5 of them have an excess at its highest point.")
    assert "no such p" not in find_lead(profiles(0.1), ONE_CLOCK).sentence
