"""Groups of dyads and moderators: planted differences, permutations, therapists, and lmerTest."""

from __future__ import annotations

import json
import math
import re
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from growth_fixtures import designs_table
from hyperscan.errors import InputError, TableError
from hyperscan.growth import GrowthResult, fit_growth, plan_power
from hyperscan.growth.differences import Difference
from hyperscan.growth.groups import permute, therapists_of, welch_f
from hyperscan.growth.slopes import estimates_of, slope_test

RNG = np.random.default_rng


def arms(difference=0.0, sizes=(8, 8), sessions=6, seed=0, per_therapist=1, crossed=False, therapist_sd=0.0):
    rng, rows, n = RNG(seed), [], sum(sizes)
    names = np.repeat([f"arm{k}" for k in range(len(sizes))], sizes)
    who = np.arange(n) % (n // per_therapist) if crossed else np.arange(n) // per_therapist
    own = rng.normal(0, therapist_sd, n)
    for d in range(n):
        slope = 0.02 + rng.normal(0, 0.01) + own[who[d]] + difference * (names[d] == f"arm{len(sizes) - 1}")
        age = round(float(rng.normal(40, 10)), 1)
        rows += [
            (f"D{d:02d}", f"T{who[d]:02d}", s + 1, names[d], age, slope * s + rng.normal(0, 0.05))
            for s in range(sessions)
        ]
    return pd.DataFrame(rows, columns=["dyad", "therapist", "session", "arm", "age", "excess_z"])


def compared(table: pd.DataFrame, **given) -> GrowthResult:
    return fit_growth(table, **{"group": "arm", "reference": "arm0", "n_flips": 499, **given})


def only(result: GrowthResult) -> Difference:
    (one,) = result.differences
    return one


def test_a_planted_difference_is_found_and_its_sides_are_told() -> None:
    result = compared(arms(0.05))
    one = only(result)
    assert one.word == "differs_unchecked"
    assert one.name == "arm1 - arm0"
    assert one.estimate.slope == pytest.approx(0.05, abs=0.02)
    assert "more growth of partner-specific statistical dependence in arm1 than in arm0" in one.sentence
    assert "Unless dyads were assigned at random" in one.sentence
    assert [side.name for side in result.groups.sides] == ["arm0", "arm1"]
    assert one.permutation.exact
    assert one.permutation.n_flips == math.comb(16, 8)
    swapped = only(compared(arms(0.05), reference="arm1"))
    assert swapped.estimate.slope == pytest.approx(-one.estimate.slope)
    assert "in arm1 than in arm0" in swapped.sentence
    assert only(compared(arms())).word == "no_clear_difference"
    again = GrowthResult.from_dict(json.loads(json.dumps(result.to_dict())))
    assert again.to_dict() == result.to_dict()


def test_numbers_are_those_of_lmertest() -> None:
    """R 4.2.2, lmerTest 3.1-3: lmer(talk ~ t * arm + (1 + t | dyad)) and lmer(talk ~ t * age + (1 + t | dyad)).

    The table of designs_table() was written as CSV and read by R; t = session - 1, arm 0 or 1.
    """
    table = designs_table().query("task == 'talk'")
    result = compared(table, reference="control", moderators=["age"])
    expected = [(0.057824216, 0.03734343, 13.862971, 0.14403656), (0.0052671624, 0.001684393, 13.768941, 0.0075508714)]
    for one, numbers in zip(result.differences, expected, strict=True):
        fit = one.mixed
        assert (fit.slope, fit.se, fit.df_satterthwaite, fit.p_satterthwaite) == pytest.approx(numbers, rel=1e-4)


def test_more_than_two_groups_need_the_omnibus_and_holm() -> None:
    result = compared(arms(0.08, (6, 6, 6)))
    assert result.groups.omnibus.p < 0.05
    words = {one.name: one.word for one in result.differences}
    assert words == {"arm1 - arm0": "no_clear_difference", "arm2 - arm0": "differs_unchecked"}
    assert result.differences[1].p_holm >= result.differences[1].estimate.p
    assert "all groups together p" in result.differences[1].sentence
    x = [RNG(k).normal(k / 3, 1, 6) for k in range(3)]
    ours, theirs = welch_f([slope_test(part) for part in x]), stats.f_oneway(*x, equal_var=False)
    assert (ours.f, ours.p) == pytest.approx((theirs.statistic, theirs.pvalue))


def test_therapists_decide_where_they_see_several_dyads() -> None:
    nested = only(compared(arms(0.05, (12, 12), per_therapist=3, therapist_sd=0.01)))
    assert nested.therapist_level.needed
    assert nested.therapist_level.test.n == 8
    assert nested.permutation.n_flips == math.comb(8, 4)
    assert nested.word == "differs_unchecked"
    crossed = only(compared(arms(0.05, (12, 12), per_therapist=3, crossed=True, therapist_sd=0.03)))
    assert crossed.therapist_level.test.n == 8
    assert not crossed.permutation.exact
    one_each = only(compared(arms(0.2, (8, 8), per_therapist=8)))
    assert one_each.word == "cannot_tell"
    assert "One group has a single therapist: group and therapist cannot be told apart." in one_each.sentence
    found = estimates_of([0, 1, 0, 2], [0, 1, 0, 1], [0, 0, 1, 1], 2)
    assert not therapists_of(found, np.array([0.0, 1.0]), np.array(["A", "B"]))[0].needed


def test_small_groups_are_not_compared() -> None:
    one = only(compared(arms(0.2, (3, 10))))
    assert one.word == "cannot_tell"
    assert "arm0 has 3 dyads with two or more sessions, and 4 are needed." in one.sentence


@pytest.mark.parametrize("few", [0, 1, 3])
def test_a_group_that_is_too_small_hides_no_difference_of_others(few: int) -> None:
    table = arms(0.2, (8, few, 8))
    if not few:  # a group of the study without a session of the outcome
        table = pd.concat([table, table[:1].assign(dyad="D99", therapist="T99", arm="arm1", excess_z=np.nan)])
    result = compared(table)
    assert result.groups.omnibus is None
    words = {one.name: one.word for one in result.differences}
    assert words == {"arm1 - arm0": "cannot_tell", "arm2 - arm0": "differs_unchecked"}
    small, large = result.differences
    assert math.isnan(small.p_holm)
    assert large.p_holm == large.estimate.p
    assert not any("Holm" in one.sentence or "not defined after" in one.sentence for one in result.differences)


@pytest.mark.parametrize("sizes", [(1, 8), (1, 1), (2, 1), (8, 3)])
@pytest.mark.parametrize("given", [{}, {"moderators": ["age"]}, {"outcomes": ["age"]}])
def test_what_has_no_interval_is_said_to_have_none(sizes: tuple[int, int], given: dict) -> None:
    told = compared(arms(0.1, sizes), **given).summary()
    assert not re.search(r"\bnan\b", told)
    assert ("no interval" in told) == (1 in sizes)


def test_where_nothing_has_a_slope_no_estimate_is_told() -> None:
    table = arms(0.1, (5, 5))
    result = compared(table[table["session"] == table["session"].min()])
    told = result.summary()
    assert "nan" not in told
    assert told.count("no estimate, 0 dyads") == 2


def test_a_reference_without_sessions_of_the_outcome_cannot_tell() -> None:
    table = arms(0.2)
    one = only(compared(table.assign(excess_z=table["excess_z"].where(table["arm"] != "arm0"))))
    assert one.word == "cannot_tell"
    assert "arm0 has 0 dyads with two or more sessions, and 4 are needed." in one.sentence
    with pytest.raises(InputError, match="reference = 'none'"):
        compared(table, reference="none")


def test_one_dyad_against_all_others_is_no_comparison() -> None:
    table = arms(seed=4)
    one = only(fit_growth(table.assign(age=(table["dyad"] == "D00") * 1.0), moderators=["age"], n_flips=99))
    assert one.word == "cannot_tell"
    assert math.isnan(one.estimate.p)
    assert math.isnan(one.estimate.se)
    assert math.isnan(one.plain.p)


def test_a_moderator_of_yes_and_no_is_a_number_that_each_answer_needs_dyads_for() -> None:
    table = arms(seed=4)
    number = table["dyad"].str[1:].astype(int)
    steps = (number % 2) * 0.05 * (table["session"] - 1)
    trained = table.assign(excess_z=table["excess_z"] + steps, trained=np.where(number % 2, "yes", "no"))
    one = only(fit_growth(trained, moderators=["trained"], n_flips=499))
    assert one.word == "differs_unchecked"
    assert one.estimate.slope == pytest.approx(0.05, abs=0.02)
    assert "trained is yes (1) or no (0), taken as a number." in one.sentence
    few = trained.assign(trained=np.where(number < 3, "yes", "no"))
    one = only(fit_growth(few, moderators=["trained"], n_flips=499))
    assert one.word == "cannot_tell"
    assert "It has two values, 1 in 3 dyads, and 4 dyads are needed of each." in one.sentence


def test_growth_may_go_with_a_number_of_the_dyads() -> None:
    table = arms(seed=4)
    steps = (table["age"] - 40) * 0.004 * (table["session"] - 1)
    one = only(fit_growth(table.assign(excess_z=table["excess_z"] + steps), moderators=["age"], n_flips=499))
    assert one.word == "differs_unchecked"
    assert one.estimate.slope == pytest.approx(0.004, abs=0.001)
    assert one.unit == "Fisher z per session per unit of age"
    assert "the higher age was" in one.sentence
    some = table.assign(age=table["age"].where(table["dyad"] != "D00"))
    assert "1 dyad has no age and did not enter." in only(fit_growth(some, moderators=["age"], n_flips=99)).sentence


def test_permutation_of_two_groups_takes_all_splits() -> None:
    x, by = RNG(0).normal(size=9), np.repeat([0.0, 1.0], [4, 5])
    ours = permute(x, by, None, RNG(0), 99)
    splits = [np.isin(np.arange(9), first) for first in combinations(range(9), 5)]
    t = np.abs([stats.ttest_ind(x[split], x[~split], equal_var=False).statistic for split in splits])
    assert ours.exact
    assert ours.p == pytest.approx((t >= abs(stats.ttest_ind(x[4:], x[:4], equal_var=False).statistic) - 1e-12).mean())
    drawn = permute(RNG(1).normal(size=30), np.repeat([0.0, 1.0], 15), None, RNG(0), 999)
    assert (drawn.exact, drawn.n_flips) == (False, 999)


@pytest.mark.parametrize(
    ("steps", "steadier", "word"), [(0.05, 0.0, "differs"), (0.0, 0.0, "confounded"), (0.05, 0.03, "confounded")]
)
def test_guards_are_asked_of_the_difference_between_groups(steps: float, steadier: float, word: str) -> None:
    """Where the coupling corrected for noise grows alike in both arms, signal-to-noise grew more in one of them.

    And where rhythms of all get steadier, but so unlike that no test shows it, the arm with more coupling shows more.
    """
    table = arms(0.05).assign(band="alpha", own_excess_z=lambda d: d["excess_z"])
    table["excess_z"] += 0.3 * (table["arm"] == "arm1") if steadier else 0.0
    rng, more = RNG(6), (table["arm"] == "arm1") * (table["session"] - 1.0)
    usual = ("phase_kept", "lag_robust_excess_z", "imcoh_1", "imcoh_2", "imcoh_3", "imcoh_4")
    guards = table[["dyad", "session"]].assign(
        **{name: 0.1 + 0.05 * more + rng.normal(0, 0.02, len(table)) for name in usual},
        **{name: 0.1 + steps * more + rng.normal(0, 0.02, len(table)) for name in ("g1_line", "g1_quad", "g1_high")},
        **{name: rng.normal(0, 0.02, len(table)) for name in ("control_excess_z", "outband_excess_z", "steadiness")},
        w_line=0.5,
        w_quad=0.5,
        w_high=0.5,
    )
    unlike = np.where(table["dyad"].str[1:].astype(int) % 2, 0.05, -0.05) if steadier else 0.0
    guards["steadiness"] += (steadier + unlike) * table["session"]
    people = [
        table[["dyad", "session"]].assign(
            person=person,
            clock_source="same_amplifier",
            clock_ppm=np.nan,
            clock_residual_ms=np.nan,
            peak_hz_alpha=10 + 2 * (person == "client") + rng.normal(0, 0.01, len(table)),
            motion=rng.normal(0.2, 0.01, len(table)),
            highfreq=rng.normal(0.2, 0.01, len(table)),
        )
        for person in ("therapist", "client")
    ]
    one = only(compared(table, guards=guards, quality=pd.concat(people)))
    assert one.word == word, one.sentence


def test_what_dyads_are_compared_by_is_one_value_per_dyad() -> None:
    table = arms()
    changing = table.assign(arm=np.where(table["session"] > 3, "arm0", table["arm"]))
    with pytest.raises(TableError, match=r"arm: dyad 'D08' has several values \(arm0, arm1\)"):
        compared(changing)
    with pytest.raises(TableError, match="group: the table has no column 'arms'"):
        compared(table, group="arms")
    with pytest.raises(InputError, match=r"reference = 'control': .* 'arm0', 'arm1'"):
        compared(table, reference="control")
    with pytest.raises(TableError, match="arm: row 1 is empty"):
        compared(table.assign(arm=None))
    with pytest.raises(TableError, match=r"arm: row 1 holds .*arm0.*; expected a number"):
        fit_growth(table, moderators=["arm"])


def test_power_of_two_groups() -> None:
    more, fewer = plan_power([12, 24], 6, 0.05, groups=2, n_sim=60, seed=1).to_data_frame()["power"][::-1]
    assert more > fewer
    assert plan_power(16, 6, 0.0, groups=2, n_sim=150, seed=2).to_data_frame()["power"].item() < 0.08
    none = plan_power(6, 8, 1.0, groups=2, n_sim=5)
    assert none.to_data_frame()["power"].item() == 0
    assert "Groups of fewer than 4 dyads are not compared" in none.summary()
    assert "a difference of growth between two groups" in none.summary()
    with pytest.raises(InputError, match="groups = 3"):
        plan_power(8, 6, 0.03, groups=3)
