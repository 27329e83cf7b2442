"""Guards: every one passes, fails and abstains where it should, and the verdict follows."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hyperscan.errors import InputError, TableError
from hyperscan.growth import fit_growth
from hyperscan.growth.evidence import Evidence, Slopes
from hyperscan.growth.guards import (
    _FIGURES,
    LAG_PATTERN,
    OWN_GUARDS,
    Guard,
    ask_differences,
    ask_guards,
    ask_trend,
    not_asked,
    pattern_projection,
)
from hyperscan.growth.records import SlopeTest
from hyperscan.growth.verdict import UNCLAIMED
from hyperscan.growth.within import _OWN, PersonEvidence, ask_measures
from hyperscan.metrics import METRICS
from hyperscan.results.plan import Group, Plan
from hyperscan.schema import GUARD_COLUMNS, MODALITIES, NO_CONTROL, STUDY_BANDS, Index, Outcome
from hyperscan.words import (
    BAND_SHARE,
    CHANCE_SHARE,
    DIFFERENCE_GUARDS,
    GUARDS,
    ON_REQUEST,
    PERSON_GUARDS,
    STEADINESS_SHARE,
    GuardWords,
    Measure,
    share_text,
)

N, S = 10, 6
NOISE = 0.02


def table(slope: float = 0.05, modality: str = "eeg", seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    rows = [(f"D{d}", s, slope * s + rng.normal(0, NOISE)) for d in range(N) for s in range(1, S + 1)]
    out = pd.DataFrame(rows, columns=["dyad", "session", "excess_z"])
    out["pseudo_mean_z"] = 0.2 + rng.normal(0, NOISE, len(out))
    out["own_excess_z"] = out["excess_z"] + np.random.default_rng(seed + 1).normal(0, NOISE, len(out))
    return out.assign(modality=modality, task="", run="")


def trend(slope: float, level: float = 0.5, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.tile(level + slope * np.arange(1, S + 1), N) + rng.normal(0, NOISE, N * S)


def guard_table(sign: float = 1, **changes: float | None) -> pd.DataFrame:
    """Everything as true growth would make it; ``changes`` are slopes, None empties a column."""
    slopes = {
        "g1_line": 0.05 * sign, "g1_quad": 0.05 * sign, "g1_high": 0.05 * sign,
        "control_excess_z": 0.0, "outband_excess_z": 0.0,
        "lag_robust_excess_z": 0.05 * sign, "imcoh_1": 0.03 * sign, "imcoh_2": 0.03 * sign,
        "imcoh_3": 0.0, "imcoh_4": 0.0, "lag_beyond": 0.04 * sign, "steadiness": 0.0,
        "phase_kept": 0.05 * sign,
    } | changes  # fmt: skip
    # a column that is added later stays as it is, unless a test changes it
    slopes = slopes | {name: 0.0 for name in GUARD_COLUMNS if name not in slopes and not name.startswith("w_")}
    out = table().drop(columns=["excess_z", "own_excess_z", "pseudo_mean_z", "modality"])
    for k, (name, slope) in enumerate(slopes.items()):
        out[name] = np.nan if slope is None else trend(slope, 0.5 if sign > 0 else 1, seed=80 + k)
    return out.assign(w_line=0.5, w_quad=0.4, w_high=0.4)


def quality_table(**columns) -> pd.DataFrame:
    base = table()[["dyad", "session", "task", "run"]]
    people = [
        base.assign(person=p, clock_source="triggers", clock_ppm=0.0, clock_residual_ms=0.0)
        for p in ("therapist", "client")
    ]
    return pd.concat([p.assign(**columns) for p in people], ignore_index=True)


def fnirs_quality(**slopes: float) -> pd.DataFrame:
    names = [
        "short_r2",
        "band_sd",
        "mayer_fraction",
        "motion_overlap",
        "instrument_noise",
        "sci",
        "clean_seconds",
    ]
    return quality_table(**{n: trend(slopes.get(n, 0.0), seed=30 + k) for k, n in enumerate(names)})


def answers(result) -> dict[str, bool | None]:
    return {guard.name: guard.passed for guard in result.guards}


@pytest.mark.parametrize(("sign", "verdict"), [(1, "grows"), (-1, "declines")])
def test_all_guards_pass(sign: int, verdict: str) -> None:
    result = fit_growth(table(0.05 * sign), guards=guard_table(sign), quality=quality_table())
    assert result.verdict == verdict
    # one table of one band: nothing that leaks
    asked = [name for name, words in GUARDS.items() if "eeg" in words.modalities and name != "leak"]
    assert answers(result) == dict.fromkeys(asked, True)
    assert "statistical dependence" in result.sentence
    assert "caused" not in result.sentence


FAILURES = {
    "signal_to_noise, one fit": ({"g1_line": 0.0}, "signal_to_noise", "confounded"),
    "signal_to_noise, other fit": ({"g1_quad": -0.05}, "signal_to_noise", "confounded"),
    "signal_to_noise, from above": ({"g1_high": 0.0}, "signal_to_noise", "confounded"),
    "space": ({"control_excess_z": 0.06}, "space", "confounded"),
    "band": ({"outband_excess_z": 0.03}, "band", "confounded"),
    "steadiness": ({"steadiness": 0.05}, "steadiness", "confounded"),
    "phase": ({"phase_kept": 0.0}, "phase", "confounded"),
    "lag": ({"lag_beyond": 0.0}, "lag", "grows_lag_unresolved"),
}  # fmt: skip


@pytest.mark.parametrize("case", FAILURES)
@pytest.mark.parametrize("sign", [1, -1])
def test_each_guard_can_fail(case: str, sign: int) -> None:
    changes, name, verdict = FAILURES[case]
    changed = {key: sign * slope for key, slope in changes.items()}
    result = fit_growth(table(0.05 * sign), guards=guard_table(sign, **changed), quality=quality_table())
    assert [key for key, passed in answers(result).items() if passed is False] == [name]
    assert result.verdict == (verdict if sign > 0 else verdict.replace("grows", "declines"))


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("wide_fit", ["g1_line", "g1_quad"])
def test_what_rises_beside_the_rhythm_takes_a_clear_third_fit(wide_fit: str, sign: int) -> None:
    # slopes per dyad: common to all fits, and what the third has of its own
    common, own = np.resize([-0.045, 0.045], N), np.resize([-0.04, -0.04, 0.04, 0.04], N)
    common, own = common - common.mean(), own - own.mean()
    steps = np.tile(np.arange(1, S + 1), N)

    def fits(wide: np.ndarray, high: np.ndarray) -> pd.DataFrame:
        courses = {"g1_line": high, "g1_quad": high, "g1_high": high} | {wide_fit: wide}
        narrow = {name: 0.05 + common if name not in (wide_fit, "g1_high") else each for name, each in courses.items()}
        return guard_table(sign).assign(**{n: 1 + sign * steps * np.repeat(each, S) for n, each in narrow.items()})

    # the third fit shows growth with p between .05 and .20 both times
    follows = fits(0.05 + common, 0.03 + common + own)
    outgrown = fits(0.05 + common, 0.03 + common)
    for guards, passed in ((follows, True), (outgrown, False)):
        (guard,) = (g for g in fit_growth(table(0.05 * sign), guards=guards, quality=quality_table()).guards
                    if g.name == "signal_to_noise")  # fmt: skip
        assert guard.passed is passed
        assert ("come to take more for background" in guard.detail) is not passed


def test_a_fit_equal_to_the_third_hides_no_other_that_outgrows_it() -> None:
    each = np.resize([-0.045, 0.045], N) + 0.05
    steps = np.tile(np.arange(1, S + 1), N)
    same, more = (1 + steps * np.repeat(slopes, S) for slopes in (each, each + 0.02))
    guards = guard_table().assign(g1_line=same, g1_quad=more, g1_high=same)
    (guard,) = (g for g in fit_growth(table(), guards=guards, quality=quality_table()).guards
                if g.name == "signal_to_noise")  # fmt: skip
    assert guard.passed
    assert "come to take more for background" in guard.detail


OPEN = {
    "signal_to_noise": {"g1_line": None}, "space": {"control_excess_z": None},
    "band": {"outband_excess_z": None}, "steadiness": {"steadiness": None},
    "lag": {"lag_beyond": None}, "phase": {"phase_kept": None},
    "lag, one clock": {"lag_robust_excess_z": None, "imcoh_1": None},
    "lag, one clock, half": {"lag_robust_excess_z": None, "imcoh_1": 0.0, "imcoh_2": 0.0},
}  # fmt: skip


@pytest.mark.parametrize("case", OPEN)
def test_an_empty_column_is_not_assessable(case: str) -> None:
    quality = quality_table(clock_source="same_amplifier" if "one clock" in case else "triggers")
    result = fit_growth(table(), guards=guard_table(**OPEN[case]), quality=quality)
    assert answers(result)[case.split(",")[0]] is None
    assert result.verdict == "grows_unchecked"
    assert case.split(",")[0].replace("_", " ") in result.sentence


@pytest.mark.parametrize("modality", ["eeg", "fnirs"])
@pytest.mark.parametrize("sign", [1, -1])
def test_what_two_people_share_at_any_time_is_no_growth(sign: int, modality: str) -> None:
    # spectra that come to agree raise the pair's own level at mismatched times as much as the excess over strangers
    sync = table(0.05 * sign, modality).assign(own_excess_z=trend(0.0))
    quality = quality_table() if modality == "eeg" else fnirs_quality()
    result = fit_growth(sync, guards=guard_table(sign), quality=quality)
    assert [key for key, passed in answers(result).items() if passed is False] == ["mismatched_times"]
    assert result.verdict == "confounded"
    assert f"own mismatched times does not clearly {'rise' if sign > 0 else 'fall'}" in result.sentence


def test_either_lag_measure_is_enough_on_one_clock() -> None:
    quality = quality_table(clock_source="same_amplifier")
    for changes in ({"lag_robust_excess_z": 0.0}, {"imcoh_1": 0.0, "imcoh_2": 0.0}, {"imcoh_3": None}):
        result = fit_growth(table(), guards=guard_table(**changes, lag_beyond=0.0), quality=quality)
        assert answers(result)["lag"] is True
    neither = guard_table(lag_robust_excess_z=0.0, imcoh_1=0.0, imcoh_2=0.0)
    assert fit_growth(table(), guards=neither, quality=quality).verdict == "grows_lag_unresolved"


@pytest.mark.parametrize(
    ("source", "stated", "said"),
    [("triggers", None, "± 16 ms"), ("offset", 25.0, "± 25 ms"), ("timestamps", 1000.0, "± 1e+03 ms"),
     ("assumed", np.nan, "± 16 ms")],
)  # fmt: skip
def test_a_lag_within_the_clocks_uncertainty_is_unresolved(source: str, stated: float | None, said: str) -> None:
    # what is blind to zero lag on one clock sees any lag that a wrong offset makes
    columns = {"clock_source": source} | ({} if stated is None else {"clock_uncertainty_ms": stated})
    result = fit_growth(table(), guards=guard_table(lag_beyond=-0.02), quality=quality_table(**columns))
    assert answers(result)["lag"] is False
    assert said in next(guard.detail for guard in result.guards if guard.name == "lag")
    assert "Failed guard lag: " in result.sentence
    beyond = fit_growth(table(), guards=guard_table(), quality=quality_table(**columns))
    assert answers(beyond)["lag"] is (None if source == "assumed" else True)


def test_control_channels_and_the_band_outside_are_named() -> None:
    guards = guard_table(control_excess_z=0.06, outband_excess_z=0.03).assign(control_channels="F7+F8")
    sentence = fit_growth(table(), guards=guards, quality=quality_table()).sentence
    assert "that of control channels F7 and F8 (" in sentence
    assert "outside the band, at 26-34 Hz, rises by more than 10 % of the rise of synchrony" in sentence


def test_a_failed_guard_comes_before_an_open_one() -> None:
    guards = guard_table(outband_excess_z=0.05, control_excess_z=None)
    assert fit_growth(table(), guards=guards, quality=quality_table()).verdict == "confounded"


def test_a_bare_table_has_no_guard() -> None:
    result = fit_growth(table()[["dyad", "session", "excess_z"]])
    assert result.verdict == "grows_unchecked"
    assert set(answers(result).values()) == {None}


def test_weights_count_in_the_signal_to_noise_guard() -> None:
    guards = guard_table()
    # sessions that would undo the growth weigh nothing
    late = guards["session"] == S
    guards.loc[late, ["g1_line", "g1_quad", "g1_high"]] = -5.0
    assert answers(fit_growth(table(), guards=guards))["signal_to_noise"] is False
    guards.loc[late, ["w_line", "w_quad", "w_high"]] = 1e-9
    assert answers(fit_growth(table(), guards=guards))["signal_to_noise"] is True


def test_few_dyads_with_a_measure_are_not_assessable() -> None:
    guards = guard_table()
    guards.loc[guards["dyad"].isin([f"D{d}" for d in range(5, N)]), "outband_excess_z"] = np.nan
    assert answers(fit_growth(table(), guards=guards))["band"] is None


@pytest.mark.parametrize("sign", [1, -1])
def test_the_band_guard_leaves_a_tenth_of_the_change(sign: int) -> None:
    def band_guard(slope: float) -> Guard:
        # so little noise that any slope is significant
        guards = guard_table(sign).assign(outband_excess_z=0.1 + slope * table()["session"] + 1e-5 * trend(0.0))
        result = fit_growth(table(0.05 * sign), guards=guards)
        return next(guard for guard in result.guards if guard.name == "band")

    assert band_guard(0.003 * sign).passed is True
    assert band_guard(-0.02 * sign).passed is True
    failed = band_guard(0.008 * sign)
    assert failed.passed is False
    assert "10 % share" in failed.detail


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("slope", "passed"), [(0.045, False), (0.015, True), (-0.045, True)])
def test_steadiness_fails_by_what_it_would_make_however_unsure(sign: int, slope: float, passed: bool) -> None:
    data = table(0.05 * sign)
    data["excess_z"] += 0.2 if sign > 0 else 0.55  # mean .375 either way
    # dyads differ so much that the mean slope is not significant
    own = slope * sign + np.where(data["dyad"].str[1:].astype(int) % 2, 0.15, -0.15)
    guards = guard_table(sign).assign(steadiness=0.5 + own * data["session"])
    guard = next(each for each in fit_growth(data, guards=guards).guards if each.name == "steadiness")
    assert guard.passed is passed
    assert (f"more than {share_text(STEADINESS_SHARE)}" in guard.detail) == (not passed)


@pytest.mark.parametrize(("band", "bands", "verdict"), [
    ("theta", {}, "confounded"), ("alpha", {}, "grows"), ("gamma", {}, "grows"),
    ("theta", {"theta": (4, 8), "alpha": (6, 12)}, "grows"),  # what overlaps is no other band
])  # fmt: skip
def test_a_band_that_may_be_the_skirt_of_another_is_no_claim(band: str, bands: dict, verdict: str) -> None:
    small = table(0.02, seed=4)
    both = [table(0.05).assign(band="alpha"), small.assign(band="theta"), small.assign(band="gamma")]
    names = {"bands": bands} if bands else {}
    result = fit_growth(pd.concat(both), primary={"band": band}, guards=guard_table(), quality=quality_table(), **names)
    assert result.verdict == verdict
    assert answers(result).get("leak") == {"theta": False, "alpha": True}.get(band if not bands else "")
    if verdict == "confounded":
        assert (
            "Failed guard leak: The band alpha, into which the outcome's filter reaches, exceeds it ("
            in result.sentence
        )
    assert {row.outcome.band: row.leaks_from for row in result.exploratory}["theta"] == ("" if bands else "alpha")


@pytest.mark.parametrize("told", [True, False])
def test_bands_of_the_studys_own_names_are_asked_about_or_not_assessable(told: bool) -> None:
    both = pd.concat([table(0.05).assign(band="upper"), table(0.02, seed=4).assign(band="lower")], ignore_index=True)
    both.attrs = {STUDY_BANDS: {"lower": (4.0, 8.0), "upper": (8.0, 12.0)}} if told else {}
    result = fit_growth(both, primary={"band": "lower"}, guards=guard_table(), quality=quality_table(), n_flips=99)
    assert result.verdict == ("confounded" if told else "grows_unchecked")
    assert answers(result)["leak"] is (False if told else None)
    assert told or "leak (nothing says which frequencies the bands lower, upper have)" in result.sentence
    # a table of one band has nothing beside it
    alone = both[both["band"] == "lower"]
    assert "leak" not in answers(fit_growth(alone, guards=guard_table(), quality=quality_table(), n_flips=99))


@pytest.mark.parametrize(("changes", "hidden"), [
    ({}, ""), ({"g1_line": 0.05, "g1_quad": 0.05, "g1_high": 0.05}, "signal to noise"),
    ({"g1_line": -0.05, "g1_quad": -0.05, "g1_high": -0.05}, "signal to noise"), ({"steadiness": -0.05}, "steadiness"),
])  # fmt: skip
def test_no_change_is_not_claimed_where_the_recordings_may_hide_one(changes: dict, hidden: str) -> None:
    still = dict.fromkeys(("g1_line", "g1_quad", "g1_high"), 0.0)
    guards = guard_table(**{**still, **changes})
    result = fit_growth(table(0.0, seed=2), guards=guards, quality=quality_table(), equivalence_slope=0.02)
    assert result.equivalence["holds"]
    assert result.verdict == ("no_clear_change" if hidden else "no_change")
    assert result.equivalence["hidden_by"] == hidden
    assert (f"the recordings may hide one ({hidden}), so that no change is not claimed" in result.sentence) == bool(
        hidden
    )


@pytest.mark.parametrize("known", [2, 5, 6])
def test_a_band_beside_it_that_few_dyads_have_vouches_for_nothing(known: int) -> None:
    rows = table().assign(band="theta", excess_z=lambda d: 0.1 * d["excess_z"])
    beside = table().assign(band="alpha", excess_z=0.0)
    beside.loc[~beside["dyad"].isin(sorted(beside["dyad"].unique())[:known]), "excess_z"] = np.nan
    both = pd.concat([rows, beside], ignore_index=True)
    result = fit_growth(both, primary={"band": "theta"}, guards=guard_table(), quality=quality_table(), n_flips=99)
    (guard,) = [each for each in result.guards if each.name == "leak"]
    assert guard.passed is (None if known < 6 else True), guard.detail


def test_shares_are_told_as_they_are_asked() -> None:
    page = (Path(__file__).parents[1] / "docs" / "outputs.md").read_text(encoding="utf-8")
    for name, share in (("steadiness", STEADINESS_SHARE), ("band", BAND_SHARE), ("chance", CHANCE_SHARE)):
        assert f" {share_text(share)} of the change" in GUARDS[name].fails
        (row,) = [line for line in page.splitlines() if line.startswith(f"| `{name}` | ")]
        assert f" {share_text(share)} of " in row


def test_a_guard_that_sees_a_minority_of_the_dyads_is_not_assessable() -> None:
    data = pd.concat([table(seed=k).assign(dyad=lambda t, k=k: f"{k}" + t["dyad"]) for k in range(2)])
    guards = pd.concat([guard_table().assign(dyad=lambda t, k=k: f"{k}" + t["dyad"]) for k in range(2)])
    assert answers(fit_growth(data, guards=guards))["band"] is True
    unseen = guards["dyad"].isin([f"1D{d}" for d in range(10)] + ["0D0"])
    guards.loc[unseen, "outband_excess_z"] = np.nan  # 9 of 20 are left
    assert answers(fit_growth(data, guards=guards))["band"] is None


def test_an_unchecked_verdict_says_why() -> None:
    sentence = fit_growth(table(), quality=quality_table(clock_source="assumed"), guards=guard_table()).sentence
    assert (
        "Not assessable: lag (an assumed clock may be wrong by any lag); "
        "clock (in some sessions the two recordings' clock was assumed, not measured)." in sentence
    )
    bare = fit_growth(table()).sentence
    lacking = [name for name, words in GUARDS.items() if set(words.columns) & set(GUARD_COLUMNS)]
    assert f"{', '.join(lacking).replace('_', ' ')} (the table alone holds no guard measures); clock (" in bare
    without = fit_growth(table().drop(columns="own_excess_z")).sentence
    assert "mismatched times (the table holds no level of the same two people at other times)" in without


def test_a_summary_shows_the_signal_fractions_of_both_people() -> None:
    quality = quality_table(s2_line=trend(0.02), s2_quad=trend(0.01))
    text = fit_growth(table(), guards=guard_table().assign(matched_excess_z=trend(0.03)), quality=quality).summary()
    for shown in ("s2_line            therapist", "s2_line            client", "s2_quad", "matched_excess_z"):
        assert shown in text
    assert "slope +0.0" in text.split("s2_line")[1].splitlines()[0]


def test_guards_of_other_tasks_and_sessions_do_not_enter() -> None:
    sync, guards = table().assign(task="talk"), guard_table().assign(task="talk")
    other = guard_table(outband_excess_z=0.2).assign(task="rest")
    later = guard_table(outband_excess_z=0.2).assign(task="talk", session=guards["session"] + 100)
    both = pd.concat([guards, other, later], ignore_index=True)
    assert answers(fit_growth(sync, guards=both))["band"] is True


def test_pattern_is_that_of_the_other_dyads() -> None:
    sessions = table()
    rng = np.random.default_rng(5)
    vectors = rng.normal(size=(len(sessions), 4))
    vectors[3, 2] = np.nan
    frame = sessions[["dyad", "session"]].assign(**dict(zip(LAG_PATTERN, vectors.T, strict=True)))
    slopes = Slopes.of(frame, sessions.assign(t=sessions["session"] - 1.0), {"": 1.0})
    ours = pattern_projection(slopes)
    for i, dyad in enumerate(sessions["dyad"]):
        others = vectors[(sessions["dyad"] != dyad).to_numpy()]
        mean = others[np.isfinite(others).all(1)].mean(0)
        expected = vectors[i] @ mean / np.linalg.norm(mean)
        assert ours[i] == pytest.approx(expected, nan_ok=True)


def test_growth_masked_by_falling_signal_to_noise_is_said() -> None:
    result = fit_growth(table(0.0), guards=guard_table())
    assert result.verdict == "no_clear_change"
    assert "masked" in result.sentence


# --- the clock ---


@pytest.mark.parametrize(
    ("columns", "passed"),
    [
        ({"clock_ppm": 20 + trend(0.0)}, True),
        ({"clock_ppm": 20 - trend(0.5)}, False),
        ({"clock_ppm": -20 + trend(0.5)}, False),
        ({"clock_ppm": 20 + trend(0.5)}, True),
        ({"clock_residual_ms": 5 - trend(0.5)}, False),
        ({"clock_source": "assumed"}, None),
        ({"clock_ppm": np.nan}, None),
        ({"clock_source": "same_amplifier", "clock_ppm": np.nan, "clock_residual_ms": np.nan}, True),
        ({"clock_source": "same_amplifier"}, True),
    ],
    ids=["still", "drift falls", "negative drift nears zero", "drift rises", "residual falls", "assumed",
         "unknown",
         "same amplifier, empty", "same amplifier"],
)  # fmt: skip
def test_clock(columns: dict, passed: bool | None) -> None:
    result = fit_growth(table(), guards=guard_table(), quality=quality_table(**columns))
    assert answers(result)["clock"] is passed
    assert result.verdict == {True: "grows", False: "confounded", None: "grows_unchecked"}[passed]


def test_a_rising_drift_fails_a_fall() -> None:
    quality = quality_table(clock_ppm=20 + trend(0.5))
    assert fit_growth(table(-0.05), guards=guard_table(-1), quality=quality).verdict == "confounded"


def test_one_assumed_session_leaves_the_clock_open() -> None:
    quality = quality_table()
    quality.loc[0, "clock_source"] = "assumed"
    assert answers(fit_growth(table(), guards=guard_table(), quality=quality))["clock"] is None


# --- fNIRS ---


def test_fnirs_grows_when_nothing_else_changes() -> None:
    result = fit_growth(table(modality="fnirs"), quality=fnirs_quality())
    names = {
        "short_channels",
        "in_band_sd",
        "mayer",
        "motion",
        "instrument",
        "length",
        "chance",
        "clock",
        "mismatched_times",
    }
    assert answers(result) == dict.fromkeys(names, True)
    assert result.verdict == "grows"


@pytest.mark.parametrize(
    ("column", "slope", "name"),
    [
        ("short_r2", -0.03, "short_channels"), ("band_sd", -0.03, "in_band_sd"),
        ("band_sd", 0.03, "in_band_sd"),
        ("mayer_fraction", -0.03, "mayer"), ("motion_overlap", 0.03, "motion"), ("sci", 0.03, "instrument"),
        ("instrument_noise", -0.03, "instrument"), ("clean_seconds", 0.03, "length"),
    ],
)  # fmt: skip
def test_fnirs_guards_fail_in_their_direction(column: str, slope: float, name: str) -> None:
    result = fit_growth(table(modality="fnirs"), quality=fnirs_quality(**{column: slope}))
    assert [key for key, passed in answers(result).items() if passed is False] == [name]
    assert result.verdict == "confounded"
    if column != "band_sd":
        other = fit_growth(table(modality="fnirs"), quality=fnirs_quality(**{column: -slope}))
        assert other.verdict == "grows"
        fall = fit_growth(table(-0.05, "fnirs"), quality=fnirs_quality(**{column: -slope}))
        assert answers(fall)[name] is False


def test_fnirs_without_short_channels_is_at_most_unchecked() -> None:
    quality = fnirs_quality().assign(short_r2=np.nan)
    result = fit_growth(table(modality="fnirs"), quality=quality)
    assert result.verdict == "grows_unchecked"
    assert answers(result)["short_channels"] is None
    assert "short channels" in result.sentence


@pytest.mark.parametrize("column", ["short_r2", "band_sd", "mayer_fraction", "motion_overlap"])
@pytest.mark.parametrize("people", [["client"], ["therapist", "client"]])
def test_a_measure_that_some_sessions_lack_vouches_for_none(column: str, people: list[str]) -> None:
    """Sessions without short channels, say, were prepared in another way than the others, and a trend cannot tell."""
    quality = fnirs_quality()
    lacking = quality["dyad"].eq(quality["dyad"].iloc[0]) & quality["session"].eq(2) & quality["person"].isin(people)
    assert lacking.sum() == len(people)
    quality.loc[lacking, column] = np.nan
    result = fit_growth(table(modality="fnirs"), quality=quality, n_flips=99)
    assert result.verdict == "grows_unchecked"
    (guard,) = [each for each in result.guards if column in each.detail]
    assert guard.passed is None
    assert re.search(rf"1 of \d+ sessions have no .*\({column}\) in one person or both", guard.detail)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("share", "passed"), [(1.0, False), (0.12, False), (0.08, True), (-0.5, True)])
def test_a_chance_level_that_moves_the_other_way_makes_a_share_of_the_change(
    share: float, passed: bool, sign: int
) -> None:
    sync = table(0.05 * sign, modality="fnirs")
    # one level for all dyads of a session, as they share their strangers
    sync["pseudo_mean_z"] = 0.2 - sign * share * 0.05 * sync["session"] + 1e-4 * (sync["session"] % 2)
    (guard,) = [g for g in fit_growth(sync, quality=fnirs_quality(), n_flips=99).guards if g.name == "chance"]
    assert guard.passed is passed
    assert ("of the change" in guard.detail) == (share > 0)


# --- the table of guards ---


@pytest.mark.parametrize(("band", "verdict"), [("alpha", "grows"), ("theta", "grows_unchecked")])
def test_guards_of_another_outcome_do_not_speak_for_this_one(band: str, verdict: str) -> None:
    guards = guard_table().assign(metric="plv", band="alpha", roi="posterior-posterior")
    data = table().assign(metric="plv", band=band, roi_therapist="posterior", roi_client="posterior")
    result = fit_growth(data, guards=guards, quality=quality_table())
    assert result.verdict == verdict
    assert ("another outcome: plv, alpha, posterior-posterior" in result.sentence) == (band == "theta")


def test_rows_of_the_other_modality_do_not_enter_the_guards() -> None:
    guards = guard_table().assign(modality="eeg")
    quality = quality_table().assign(modality="eeg")
    other = quality.assign(modality="fnirs", clock_source="assumed")
    mixed = pd.concat([guards, guards.assign(modality="fnirs", g1_line=-trend(0.3))])
    alone = fit_growth(table(), guards=guards, quality=quality)
    both = fit_growth(table(), guards=mixed, quality=pd.concat([quality, other]))
    assert alone.verdict == both.verdict == "grows"
    assert both.guards == alone.guards


def test_a_quality_table_of_other_sessions_is_called_that() -> None:
    result = fit_growth(table(), guards=guard_table(), quality=quality_table(dyad="X"))
    assert result.guards[-1].detail == "Not assessable: the quality table has no row of these sessions."


def test_guard_tables_are_checked() -> None:
    with pytest.raises(InputError, match="guards is a str"):
        fit_growth(table(), guards="guards.tsv")
    with pytest.raises(TableError, match="quality has no column 'dyad'"):
        fit_growth(table(), quality=quality_table().drop(columns="dyad"))
    with pytest.raises(TableError, match="guards has no column 'session'"):
        fit_growth(table(), guards=guard_table().drop(columns="session"))
    with pytest.raises(InputError, match="quality is a list"):
        fit_growth(table(modality="fnirs"), quality=[])


@pytest.mark.parametrize("name", sorted(GUARDS))
def test_a_guard_looks_at_the_columns_that_its_words_name(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[str] = set()
    column = Slopes.column
    monkeypatch.setattr(Slopes, "column", lambda self, wanted: seen.add(wanted) or column(self, wanted))
    modality = GUARDS[name].modalities[0]
    sessions = table(modality=modality).assign(t=lambda d: d["session"] - 1.0, value=lambda d: d["excess_z"])
    quality = fnirs_quality().assign(clock_source="triggers", clock_ppm=1.0, clock_residual_ms=1.0)
    for source in ("triggers", "same_amplifier"):  # one clock and two are asked differently
        tables = guard_table(), quality.assign(clock_source=source)
        evidence = Evidence(sessions, Outcome(), *tables, neighbours={"beside": sessions.assign(task="")})
        guard = OWN_GUARDS[name](evidence, 1.0) if name in OWN_GUARDS else ask_trend(GUARDS[name], evidence, 1.0)
        assert guard.name == name
        assert guard.passed is not None
    # the source of a clock is a label, of which no slope is taken
    assert seen == set(GUARDS[name].columns) - {"clock_source"}


#: What a guard's words say of the slope that it names, and whether that is so for a sign, a slope and a p.
SAID: tuple[tuple[str, Callable[[float, float, float], bool]], ...] = (
    (r"\brises\b", lambda sign, slope, p: slope > 0 and p < 0.10),
    (r"\bfalls\b", lambda sign, slope, p: slope < 0 and p < 0.10),
    ("does not clearly rise", lambda sign, slope, p: not (slope > 0 and p < 0.05)),
    ("does not clearly fall", lambda sign, slope, p: not (slope < 0 and p < 0.05)),
    ("does not (rise|fall) by clearly", lambda sign, slope, p: not (slope * sign > 0 and p < 0.10)),
    ("no clear change$", lambda sign, slope, p: p >= 0.05),
    ("remains after|exceeds", lambda sign, slope, p: slope * sign > 0 and p < 0.10),
    ("does not stand up", lambda sign, slope, p: not (slope * sign > 0 and p < 0.05)),
    ("is not clearly larger", lambda sign, slope, p: not (slope * sign > 0 and p < 0.10)),
    ("improves", lambda sign, slope, p: slope < 0 and p < 0.05),
    ("worsens", lambda sign, slope, p: slope > 0 and p < 0.05),
    ("not clearly closer", lambda sign, slope, p: not (slope * sign < 0 and p < 0.05)),
    ("are closer", lambda sign, slope, p: slope * sign < 0 and p < 0.05),
    ("does not explain|by enough to matter|would make|moves? (as it does|against it)", lambda sign, slope, p: True),
    ("The (rise|fall) ", lambda sign, slope, p: True),
)


@pytest.mark.parametrize("modality", MODALITIES)
def test_no_guard_passes_without_what_it_asks_about(modality: str) -> None:
    quality = fnirs_quality().assign(clock_source="triggers", clock_ppm=1.0, clock_residual_ms=1.0)
    tables = table(), guard_table(), quality
    for name, words in GUARDS.items():
        # one of the two measures of lag is enough, and the outcome itself is always there
        for column in set(words.columns) - {"excess_z", *(GUARDS["lag"].columns)}:
            if modality not in words.modalities:
                continue
            data, guards, people = (frame.assign(**{column: np.nan}) if column in frame else frame for frame in tables)
            data = data.assign(modality=modality)
            found = fit_growth(data, guards=guards, quality=people, modality=modality, n_flips=99).guards
            assert {guard.name: guard.passed for guard in found}[name] is None, (name, column)


@pytest.mark.parametrize(("name", "column"), [
    (name, measure.column) for name, words in PERSON_GUARDS.items() for measure in words.measures
])  # fmt: skip
def test_no_guard_of_a_person_passes_without_one_of_its_measures(name: str, column: str) -> None:
    sessions = table().assign(t=lambda d: d["session"] - 1.0, value=lambda d: d["excess_z"])
    held = {"client_value", *(measure.column for measure in PERSON_GUARDS[name].measures)}
    rows = table().assign(**dict.fromkeys(held, 0.0))
    part = rows.assign(**{column: rows[column].where((rows["dyad"] != "D1") | (rows["session"] > 2))})
    some = True if name in ON_REQUEST else None  # a column of the study need not be there in each session
    for frame, passed in ((rows, True), (rows.assign(**{column: np.nan}), None), (part, some)):
        people = PersonEvidence(Index("evenness", "alpha", "all"), "eeg", Slopes.of(frame, sessions, {"": 1.0}))
        assert ask_measures(PERSON_GUARDS[name], people, 1.0).passed is passed


@pytest.mark.parametrize("missing", [np.nan, None, pd.NA])
def test_tables_that_pandas_read_are_asked_as_those_that_we_read(missing: object) -> None:
    columns = {"peak_hz_": 10.0, "motion": trend(0.0, seed=1), "highfreq": trend(0.0, seed=2)}
    quality, guards = quality_table(**columns), guard_table()
    quality["peak_hz_"] += np.random.default_rng(0).normal(0, 0.3, len(quality))
    data = table().assign(arm=lambda d: np.where(d["dyad"].str[-1].isin(list("13579")), "a", "b"))
    found = []
    for empty in ("", missing):
        tables = {"guards": guards.assign(task=empty, run=empty), "quality": quality.assign(task=empty, run=empty)}
        result = fit_growth(data.assign(task=""), **tables, group="arm", reference="b", n_flips=99)
        found.append((result.guards, result.differences[0].guards))
    assert found[0] == found[1]
    told = {guard.name: guard.detail for guard in found[1][1]}
    assert not [name for name in ("peaks", "clock", "movement") if told[name].startswith("Not assessable")]


@pytest.mark.parametrize("missing", [np.nan, None, "", "n/a", "none"])
def test_one_session_whose_clock_is_not_told_is_one_of_an_assumed_clock(missing: object) -> None:
    quality = quality_table(clock_source="same_amplifier")
    quality["clock_source"] = quality["clock_source"].astype(object)
    quality.loc[(quality["dyad"] == quality["dyad"][0]) & (quality["session"] == 2), "clock_source"] = missing
    result = fit_growth(table(), guards=guard_table(), quality=quality, n_flips=99)
    assert result.verdict == "grows_unchecked"
    assert answers(result)["clock"] is None
    assert "not said (1 session)" in result.sentence


@pytest.mark.parametrize(("sign", "slope", "p"), list(product((1.0, -1.0), (0.01, -0.01), (0.001, 0.07, 0.5))))
def test_no_guard_says_what_its_numbers_do_not(
    sign: float, slope: float, p: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    test = SlopeTest(slope, 0.01, 0.004, 7.0, slope / 0.004, p, slope - 0.01, slope + 0.01, N)
    monkeypatch.setattr(Slopes, "test", lambda *_: test)
    monkeypatch.setattr(Slopes, "weighted", lambda *_: test)
    quality = fnirs_quality().assign(clock_source="triggers", clock_ppm=1.0, clock_residual_ms=1.0, peak_hz_=10.0)
    quality = quality.assign(motion=0.1, highfreq=0.1)
    sessions = table().assign(t=lambda d: d["session"] - 1.0, value=lambda d: d["excess_z"])
    beside = {"beta": sessions[["dyad", "session", "task", "value"]]}
    evidence = [Evidence(sessions, Outcome(), guard_table(), quality.assign(clock_source=source), neighbours=beside)
                for source in ("triggers", "same_amplifier")]  # fmt: skip
    held = {"client_value", "therapist_value"}.union(*(words.columns for words in PERSON_GUARDS.values()))
    slopes = Slopes.of(table().assign(**dict.fromkeys(held, 1.0)), sessions, {"": 1.0})
    people = PersonEvidence(Index("power", "alpha", "all"), "eeg", slopes)
    told = [guard for each in evidence for kind in MODALITIES for guard in ask_guards(each, kind, sign)]
    told += [_OWN.get(name, ask_measures)(words, people, sign) for name, words in PERSON_GUARDS.items()]
    told += [guard for kind in MODALITIES for guard in ask_guards(evidence[0], kind, sign, DIFFERENCE_GUARDS)]
    # one table of one band: nothing that leaks
    assert {*GUARDS, *PERSON_GUARDS, *DIFFERENCE_GUARDS} - {"leak"} <= {guard.name for guard in told}
    for guard in told:
        assert guard.passed is not None, guard
        head = re.sub(r"of the (rise|fall) of|make \w+ (rise|fall)", "", _FIGURES.sub("", guard.detail))
        found = [holds(sign, slope, p) for words, holds in SAID if re.search(words, head)]
        assert found, guard
        assert all(found), guard
    # of a difference nothing is said to change
    asked = ask_differences(evidence[0], "eeg", sign)
    assert not [guard for guard in asked if re.search(r"\bchange|The (rise|fall) |slope", guard.detail)]
    for guard in not_asked(told, "change"):
        assert (guard.passed, guard.asked) == (None, False)
        assert guard.detail.startswith("Not asked: no change is claimed (")


@pytest.mark.parametrize("slope", [0.0, 0.05])
def test_where_no_change_is_claimed_no_guard_is_passed_or_failed(slope: float) -> None:
    result = fit_growth(table(slope), guards=guard_table(), quality=quality_table())
    claimed = result.verdict not in UNCLAIMED
    assert claimed == bool(slope)
    assert {guard.asked for guard in result.guards} == {claimed}
    assert ("Guards were not asked: no change is claimed." in result.sentence) != claimed
    assert "Not assessable" not in result.sentence
    assert ("not asked" in result.summary()) != claimed


def test_every_guard_without_a_function_says_which_trend_fails_it() -> None:
    trends = {name for name, words in GUARDS.items() if words.measures}
    # a trend, and what it would make of the change
    assert trends & set(OWN_GUARDS) == {"steadiness"}
    assert GUARDS.keys() - trends <= set(OWN_GUARDS)


@pytest.mark.parametrize(("column", "table_of"), [("outband_excess_z", "guards"), ("highfreq", "quality")])
@pytest.mark.parametrize("modality", ["eeg", "fnirs"])
def test_a_trend_guard_is_one_entry_of_the_table(
    column: str, table_of: str, modality: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = GuardWords("new", "Did it?", "it rises", (modality,), (Measure(column, 1, "something new"),))
    monkeypatch.setattr("hyperscan.growth.guards.GUARDS", {"new": words, **GUARDS})
    quality = fnirs_quality().assign(highfreq=trend(0.05).tolist() * 2, modality=modality)
    guards = guard_table(outband_excess_z=0.05).assign(modality=modality)
    found = fit_growth(table(modality=modality), guards=guards, quality=quality)
    assert found.guards[0].name == "new"
    assert found.guards[0].passed is False
    assert found.guards[0].detail.startswith("Something new rises, which by itself may make synchrony rise")
    assert found.verdict == "confounded"
    without = fit_growth(table(modality=modality))
    assert without.guards[0].reason == f"the table alone holds no {table_of.removesuffix('s')} measures."


@pytest.mark.parametrize("metric", [name for name, spec in METRICS.items() if "eeg" not in spec.not_for])
def test_no_guard_judges_a_metric_by_the_value_of_another(metric: str) -> None:
    # as constant coupling under rising signal-to-noise and at zero lag leaves them: they speak of phase locking
    sync = table().assign(metric=metric, band="alpha", roi="posterior-posterior")
    measures = {
        "g1_line": 0.0,
        "g1_quad": 0.0,
        "lag_robust_excess_z": 0.0,
        "imcoh_1": 0.0,
        "imcoh_2": 0.0,
        "lag_beyond": 0.0,
    }
    outcome = {"metric": metric, "band": "alpha", "roi": "posterior-posterior"}
    result = fit_growth(sync, guards=guard_table(**measures).assign(**outcome), quality=quality_table())
    for name in ("signal_to_noise", "lag"):
        speaks = metric in GUARDS[name].metrics
        assert answers(result)[name] is (False if speaks else None)
        assert speaks or f"the outcome is {metric}" in result.sentence
    assert (result.verdict == "confounded") == (metric == "plv")


def test_the_space_guard_says_why_the_run_chose_no_control_channels() -> None:
    guards = guard_table(control_excess_z=None)
    why = "the quietest channels carry 0.63 of the ROI's signal fraction; 0.5 is too much"
    plan = Plan("", Outcome(), groups=(Group("eeg", "", 60, 7, None, "", (), why),))
    for told, reason in (({}, "two outside the region or more"), (plan.no_control, why)):
        guards.attrs[NO_CONTROL] = told
        found = {guard.name: guard for guard in fit_growth(table(), guards=guards).guards}
        assert found["space"].passed is None
        assert reason in found["space"].detail
    few = fit_growth(table()[lambda rows: rows["dyad"] < "D3"], guards=guards)
    assert "3 dyads have two or more sessions, and 6 are needed" in few.guards[0].detail


@pytest.mark.parametrize("name", [name for name, words in GUARDS.items() if set(words.columns) & set(GUARD_COLUMNS)])
def test_a_guard_whose_columns_are_empty_says_what_it_would_take(name: str) -> None:
    empty = dict.fromkeys(set(GUARDS[name].columns) & set(GUARD_COLUMNS))
    found = {guard.name: guard for guard in fit_growth(table(), guards=guard_table(**empty)).guards}
    if name in found:
        assert found[name].passed is None
        assert "no dyad has two or more sessions with" in found[name].detail


def test_the_band_guard_gives_no_p_of_a_slope_the_other_way() -> None:
    for slope, words in ((0.03, "beyond a 10 % share: p"), (0.0, "less than a 10 % share")):
        found = fit_growth(table(), guards=guard_table(outband_excess_z=slope))
        assert words in next(guard.detail for guard in found.guards if guard.name == "band")
