"""Relations of synchrony to symptoms and alliance: what is asked, what is said, and what must not be said."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from growth_fixtures import table
from hyperscan.config import FurtherOutcome
from hyperscan.errors import ConfigError, TableError
from hyperscan.growth import fit_growth
from hyperscan.growth.flips import holm
from hyperscan.growth.records import OutcomeRelation
from hyperscan.schema import RELATIONS
from hyperscan.words import RELATION_ANSWERS, RELATION_GUARDS, RELATION_WORDS


def study(n: int = 12, sessions: int = 8, seed: int = 0, **of: float) -> pd.DataFrame:
    """Make a table in which bdi goes with synchrony at these distances (``same``, ``later``, ``earlier``)."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(2, n, sessions))
    y = y + of.get("same", 0.0) * x
    y[:, 1:] += of.get("later", 0.0) * x[:, :-1]
    x[:, 1:] += of.get("earlier", 0.0) * y[:, :-1]
    time = np.arange(sessions)
    # synchrony saturates and symptoms fall fast, then slowly, in every dyad
    x = 0.1 * x + 0.3 * (1 - np.exp(-time / 2)) + rng.normal(0, 0.03, (n, 1)) * time
    y = y + 20 * np.exp(-time / 3) + rng.normal(0, 0.3, (n, 1)) * time + rng.normal(0, 3, (n, 1))
    rows = [(f"D{d:02d}", s + 1, x[d, s], y[d, s]) for d in range(n) for s in range(sessions)]
    return pd.DataFrame(rows, columns=["dyad", "session", "excess_z", "bdi"])


def answers(data: pd.DataFrame, *outcomes: object, **more: object) -> dict[tuple[str, str], OutcomeRelation]:
    found = fit_growth(data, outcomes=outcomes or ["bdi"], n_flips=99, **more).outcomes
    return {(row.name, row.relation): row for row in found}


@pytest.fixture(scope="module")
def same() -> dict[tuple[str, str], OutcomeRelation]:
    return answers(study(same=-1.2, seed=1), {"name": "bdi", "measured": "before"})


def test_a_relation_is_found_where_it_is_and_nowhere_else(same: dict[tuple[str, str], OutcomeRelation]) -> None:
    claimed = {key[1] for key, row in same.items() if row.word == "goes_with_unchecked"}
    assert claimed == {"same_session"}
    found = same["bdi", "same_session"]
    assert found.estimate.slope == pytest.approx(-12, abs=3)
    assert found.sentence.startswith(
        "Unchecked. bdi was lower in sessions with more excess synchrony than on the dyad's own line. Slope -"
    )
    assert "bdi was measured before the session." in found.sentence
    assert (found.n_dyads, found.n_sessions) == (12, 96)
    guards = {guard.name: guard.passed for guard in found.guards}
    assert (guards["other_sessions"], guards["common_course"], guards["space"]) == (True, True, None)
    assert -1 <= found.standardised_low < found.standardised < found.standardised_high < 0
    assert found.mixed.p < 0.001
    assert found.second.slope == pytest.approx(found.estimate.slope, rel=0.1)


@pytest.mark.parametrize("where", ["later", "earlier"])
def test_a_relation_to_another_session_keeps_its_direction(where: str) -> None:
    found = answers(study(n=20, seed=2, **{where: 1.2}))
    claimed = {key[1] for key, row in found.items() if row.word.startswith("goes_with")}
    assert claimed == {{"later": "next_session", "earlier": "reverse"}[where]}
    row = found["bdi", claimed.pop()]
    assert row.estimate.slope > 0
    assert "comes first" in row.sentence


def test_a_dyad_alone_at_its_session_numbers_has_no_slope_of_round_off() -> None:
    data = study(same=-1.2, seed=1)
    alone = data["dyad"] == "D00"
    found = answers(data.assign(session=data["session"] + 100 * alone))["bdi", "same_session"]
    assert found.second.n == 11
    assert found.second.slope == pytest.approx(answers(data[~alone])["bdi", "same_session"].second.slope)


def test_curves_common_to_all_dyads_are_no_relation() -> None:
    rows = [answers(study(n=20, seed=seed)) for seed in range(3)]
    assert {row.word for found in rows for key, row in found.items() if key[1] in RELATIONS[:3]} == {
        "no_clear_relation"
    }


def test_df_are_those_of_dyads_and_p_is_corrected_for_all(same: dict[tuple[str, str], OutcomeRelation]) -> None:
    assert list(same) == [("bdi", relation) for relation in RELATIONS]
    for row in same.values():
        assert row.estimate.df <= row.n_dyads - 1
        assert row.mixed is None or row.mixed.df <= row.n_dyads - 1
        assert row.p_holm >= row.p_decides
    assert holm([0.01, None, 0.04, 0.03]) == [0.03, None, 0.06, 0.06]
    only = answers(study(same=-1.2, seed=1), {"name": "bdi", "relations": ["same_session"]})
    assert [key[1] for key in only] == ["same_session"]
    assert only["bdi", "same_session"].p_holm == only["bdi", "same_session"].p_decides


def test_an_outcome_of_one_number_per_dyad_is_tested_over_dyads() -> None:
    data = table(sd=0.08, slope_sd=0.03, seed=3)
    found = answers(data.assign(age=data["dyad"].str[1:].astype(float)), "age")
    plain = stats.linregress(data.groupby("dyad")["excess_z"].mean(), np.arange(8.0))
    assert found["age", "between"].estimate.slope == pytest.approx(plain.slope)
    assert {found["age", name].word for name in RELATIONS[:3]} == {"cannot_tell"}
    assert found["age", "same_session"].sentence == "Cannot tell (age, same session): there is one number per dyad."
    slopes = [np.polyfit(part["session"], part["excess_z"], 1)[0] for _, part in data.groupby("dyad")]
    assert found["age", "change"].estimate.slope == pytest.approx(stats.linregress(slopes, np.arange(8.0)).slope)


def test_before_and_after_go_the_same_road() -> None:
    data = table(n=10, sd=0.05, slope_sd=0.05, seed=3)
    rng = np.random.default_rng(0)
    slopes = data.groupby("dyad")["excess_z"].transform(lambda part: np.polyfit(np.arange(6), part, 1)[0])
    ends = data["session"].isin([1, 6])
    structure = 4 * slopes * data["session"] + rng.normal(0, 0.05, len(data))
    found = answers(data.assign(volume=structure.where(ends)), "volume")
    assert found["volume", "change"].word == "goes_with_unchecked"
    assert found["volume", "change"].estimate.slope == pytest.approx(4, abs=1)
    assert found["volume", "same_session"].word == "cannot_tell"


@pytest.mark.parametrize(("no", "yes"), [(False, True), (0, 1), ("no", "yes"), ("FALSE", "true"), ("No", "1")])
def test_yes_or_no_is_taken_as_a_number_and_said(no: object, yes: object) -> None:
    data = study(same=-1.2)
    alarm = (data["bdi"] > data["bdi"].median()).map({True: yes, False: no})
    found = answers(data.assign(alarm=alarm), "alarm")
    assert "alarm is yes (1) or no (0)" in found["alarm", "same_session"].sentence
    numbers = answers(data.assign(alarm=(alarm == yes).astype(float)), "alarm")
    assert found["alarm", "same_session"].estimate == numbers["alarm", "same_session"].estimate


def test_an_event_that_comes_with_synchrony_is_found() -> None:
    data = study(n=20, same=0.0, seed=2)
    rest = data["excess_z"] - data.groupby("dyad")["excess_z"].transform("mean")
    noise = np.random.default_rng(0).normal(0, 0.1, len(data))
    found = answers(data.assign(rupture=np.where(rest + noise > 0.1, "yes", "no")), "rupture")[
        "rupture", "same_session"
    ]
    assert found.word == "goes_with_unchecked"
    assert found.estimate.slope > 0
    assert "rupture is yes (1) or no (0), taken as a number." in found.sentence


def test_one_dyad_that_says_yes_is_no_comparison() -> None:
    data = study(n=12)
    number = data["dyad"].str[1:].astype(int)
    few = answers(data.assign(remitted=np.where(number < 3, "yes", "no")), "remitted")["remitted", "between"]
    assert few.word == "cannot_tell"
    assert "of two values each needs 4 dyads" in few.sentence
    enough = answers(data.assign(remitted=np.where(number < 4, "yes", "no")), "remitted")["remitted", "between"]
    assert enough.estimate is not None
    assert "remitted is yes (1) or no (0)" in enough.sentence


def test_another_word_among_yes_and_no_is_refused() -> None:
    data = study()
    wrong = data.assign(alarm=["yes", "no", "maybe", *["no"] * (len(data) - 3)])
    with pytest.raises(TableError, match="alarm: row 3 holds 'maybe' in a column of yes and no; allowed: yes, true"):
        fit_growth(wrong, outcomes=["alarm"])
    gaps = data.assign(alarm=np.random.default_rng(0).choice(["yes", "no", "n/a"], len(data)))
    found = answers(gaps, "alarm")["alarm", "same_session"]
    assert found.n_sessions == (gaps["alarm"] != "n/a").sum()


def test_over_therapists_from_five_on() -> None:
    data, number = study(same=-1.2, seed=1), {f"D{d:02d}": d for d in range(12)}
    few = answers(data.assign(therapist=data["dyad"].map(lambda d: f"T{number[d] // 3}")))["bdi", "same_session"]
    assert few.word == "goes_with_unchecked"
    assert "4 therapists see several dyads, and a test over them takes five" in few.sentence
    many = answers(data.assign(therapist=data["dyad"].map(lambda d: f"T{number[d] // 2}")))["bdi", "same_session"]
    assert many.therapist_level.needed
    assert many.therapist_level.test.df <= 5
    assert many.p_decides == max(many.estimate.p, many.therapist_level.test.p)
    assert "over 6 therapists p" in many.sentence


def test_a_recording_that_goes_with_the_outcome_confounds_the_relation() -> None:
    data = study(same=-1.2, seed=1).assign(modality="fnirs", signal="hbo")
    rng = np.random.default_rng(0)
    rest = data["excess_z"] - data.groupby("dyad")["excess_z"].transform("mean")
    keys = ["dyad", "session", "modality"]
    quality = data[keys].assign(motion_overlap=rest + rng.normal(0, 0.02, len(data)), person="therapist")
    moved = answers(data, quality=quality)["bdi", "same_session"]
    assert {guard.name: guard.passed for guard in moved.guards}["motion"] is False
    assert moved.word == "confounded"
    assert "A guard failed, so it is not attributed to coupling." in moved.sentence
    assert "Motion: may explain the relation" in moved.sentence
    still = answers(data, quality=quality.assign(motion_overlap=rng.normal(size=len(data))))["bdi", "same_session"]
    assert {guard.name: guard.passed for guard in still.guards}["motion"] is True


def test_few_dyads_and_missing_outcomes_are_said() -> None:
    few = answers(study(n=4))["bdi", "same_session"]
    assert few.word == "cannot_tell"
    assert "4 dyads have enough sessions and 6 are needed" in few.sentence
    data = study()
    empty = answers(data.assign(bdi=np.nan))
    assert {row.word for row in empty.values()} == {"cannot_tell"}
    gaps = data.assign(bdi=data["bdi"].where(np.random.default_rng(0).random(len(data)) > 0.3))
    assert answers(gaps)["bdi", "same_session"].n_sessions == gaps["bdi"].notna().sum()


def test_what_cannot_be_used_is_refused() -> None:
    data = study()
    with pytest.raises(TableError, match="Did you mean 'bdi'"):
        fit_growth(data, outcomes=["bdo"])
    with pytest.raises(TableError, match="bdi: row 1 holds 'good'"):
        fit_growth(data.assign(bdi="good"), outcomes=["bdi"])
    for wrong, said in (
        ("bdi", "expected a list of columns"),
        ([{"measured": "after"}], "expected a name"),
        ([{"name": "bdi", "measured": "later"}], "expected 'before' or 'after'"),
        ([{"name": "bdi", "relations": ["nextsession"]}], "Did you mean 'next_session'"),
        ([{"name": "bdi", "when": "after"}], "unknown key 'when'"),
        (["bdi", "bdi"], "stands there twice"),
    ):
        with pytest.raises(ConfigError, match=said):
            fit_growth(data, outcomes=wrong)
    assert FurtherOutcome.parse({"name": "wai", "measured": "after"}).plain() == {"name": "wai", "measured": "after"}
    assert FurtherOutcome.parse("wai").plain() == "wai"


def test_numbered_dyads_and_order_of_rows_change_nothing() -> None:
    data = study(same=-1.2, seed=1)
    numbered = data.assign(dyad=data["dyad"].str[1:].astype(float) + 1).sample(frac=1, random_state=1)
    named, found = (list(answers(d).values()) for d in (data, numbered))
    assert [row.p_holm for row in found] == pytest.approx([row.p_holm for row in named])


def test_words_never_claim_a_cause_nor_an_order_that_is_not_there() -> None:
    words = [text for relation in RELATION_WORDS.values() for text in (*vars(relation).values(),) if text]
    words += [answer.meaning for answer in RELATION_ANSWERS.values()]
    said = " ".join(map(str, words)) + " ".join(row.sentence for row in answers(study(same=-1.2, seed=1)).values())
    assert not re.search(r"predict|mediat|\bcauses?\b|leads to|because of|thanks to", said)
    assert tuple(RELATION_WORDS) == RELATIONS
    assert {guard.name for row in answers(study()).values() for guard in row.guards} & set(RELATION_GUARDS)


def test_reliability_is_told_where_the_windows_tell_it() -> None:
    rng = np.random.default_rng(1)
    data = study(same=-1.2, seed=1).assign(n_windows=6)
    # synchrony varies by .1 within dyads, of which windows make a quarter of the variance
    found = answers(data.assign(halves_z=rng.normal(0, 0.1, len(data))))
    assert found["bdi", "same_session"].reliability == pytest.approx(0.75, abs=0.12)
    assert "Split-half reliability of what synchrony differs by here: 0.7" in found["bdi", "same_session"].sentence
    assert all(0 < row.reliability <= 1 for row in found.values())
    assert {row.reliability for row in answers(data).values()} == {None}


def test_an_event_that_a_line_and_a_slope_tell_whole_ends_no_analysis() -> None:
    """Yes in one session of each dyad with three, never in those with more: no mixed model has a residual there."""
    rng = np.random.default_rng(0)
    lengths = [3] * 6 + [5] * 2
    rows = [
        (f"D{d}", s, rng.normal(0.1 * s, 0.1), float(n == 3 and s == 1 + d % 3))
        for d, n in enumerate(lengths)
        for s in range(1, n + 1)
    ]
    table = pd.DataFrame(rows, columns=["dyad", "session", "excess_z", "rupture"])
    growth = fit_growth(table, outcomes=["rupture"], n_flips=19)
    (same,) = (one for one in growth.outcomes if one.relation == "same_session")
    assert same.estimate is not None
    assert same.mixed is None
