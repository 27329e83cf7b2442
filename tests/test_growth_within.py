"""Change of one person alone, from tables: what is claimed, what each guard stops, and what is said."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest

from hyperscan.errors import InputError
from hyperscan.growth import GrowthResult, choose_index, fit_within, slopes_of_people
from hyperscan.growth.within import ask_measures
from hyperscan.schema import Index
from hyperscan.words import ON_REQUEST, PERSON_GUARDS, PERSON_VERDICTS

POWER = Index("power", "alpha", "posterior")
COUPLING = Index("lagcoh", "alpha", "frontal-posterior")

#: What a study of EEG holds beside the index, and how much it varies from session to session.
BESIDE = {
    POWER: 0.4,
    Index("power_over_background", "alpha", "posterior"): 0.4,
    Index("high_frequency", "", "posterior"): 0.3,
    Index("drift", "", "posterior"): 0.3,
    Index("high_frequency", "", "all"): 0.3,
    Index("drift", "", "all"): 0.3,
    Index("band_power", "theta", "all"): 0.3,
    Index("band_power", "alpha", "all"): 0.3,
    Index("band_power", "beta", "posterior"): 0.3,
    Index("evenness", "alpha", "all"): 0.02,
    COUPLING: 0.01,
    Index("imcoh_corrected", "alpha", "frontal-posterior"): 0.003,
}


def within(slopes: Mapping[Index, float], both: bool = False, n_dyads: int = 12, seed: int = 0) -> pd.DataFrame:
    """Make within.tsv of eight sessions; slopes per session of the client, or of both people."""
    rng, rows = np.random.default_rng(seed), []
    for dyad in range(n_dyads):
        for person in ("therapist", "client"):
            for index, spread in BESIDE.items():
                start = rng.normal(0, 2 * spread)
                for session in range(8):
                    slope = slopes.get(index, 0.0) if person == "client" or both else 0.0
                    value = start + slope * session + rng.normal(0, spread)
                    labels = (f"D{dyad:02d}", f"T{dyad}", f"C{dyad}", session + 1, 7.0 * session)
                    rows.append((*labels, "eeg", "", "", person, "eeg", *index, value))
    columns = ["dyad", "therapist", "client", "session", "days", "modality", "task", "run", "person", "signal"]
    return pd.DataFrame(rows, columns=[*columns, "index", "band", "region", "value"])


def quality(table: pd.DataFrame, **columns: float) -> pd.DataFrame:
    keys = ["dyad", "session", "modality", "task", "run", "person"]
    rows = table[keys].drop_duplicates().assign(channels_kept=32)
    return rows.assign(**{name: slope * rows["session"] for name, slope in columns.items()})


#: Power falls by 3 dB over eight sessions, above the background and over it.
FALL = {
    POWER: -0.43,
    Index("power_over_background", "alpha", "posterior"): -0.43,
    Index("band_power", "alpha", "all"): -0.3,
}


def fit(slopes: Mapping[Index, float], index: Index = POWER, **options: bool) -> GrowthResult:
    table = within(slopes, **options)
    return fit_within(table, index, quality(table), n_flips=99)


def failed(result: GrowthResult) -> set[str]:
    return {guard.name for guard in result.guards if guard.passed is False}


def test_a_fall_of_the_client_alone_is_claimed_and_said_with_its_limits() -> None:
    result = fit(FALL)
    assert result.verdict == "changes_down"
    assert failed(result) == set()
    assert result.sentence.startswith("Decrease in the client's 1/f-free power (power/alpha/posterior). b = -0.4")
    assert "client minus therapist -0.4" in result.sentence
    assert "12 clients" in result.sentence
    assert {guard.name for guard in result.guards} <= set(PERSON_GUARDS)
    rise = fit({index: -slope for index, slope in FALL.items()})
    assert rise.verdict == "changes_up"


def test_nothing_is_claimed_where_nothing_changes() -> None:
    result = fit({})
    assert result.verdict == "no_clear_change"
    assert "not evidence of no change" in result.sentence


@pytest.mark.parametrize(
    ("guard", "further", "options"),
    [
        ("therapist", {}, {"both": True}),
        ("twin", {Index("power_over_background", "alpha", "posterior"): 0.0}, {}),
        ("twin", {Index("power_over_background", "alpha", "posterior"): -0.2}, {}),
        ("high_frequencies", {Index("high_frequency", "", "posterior"): 0.3}, {}),
        ("high_frequencies", {Index("high_frequency", "", "posterior"): -0.3}, {}),
        ("low_frequencies", {Index("drift", "", "posterior"): 0.3}, {}),
        ("drowsiness", {Index("band_power", "theta", "all"): 0.25}, {}),
        ("beta", {Index("band_power", "beta", "posterior"): 0.25}, {}),
    ],
)
def test_what_else_would_change_the_index_is_found(
    guard: str, further: dict[Index, float], options: dict[str, bool]
) -> None:
    result = fit({**FALL, **further}, **options)
    assert result.verdict == "confounded"
    assert failed(result) == {guard}
    assert "is not called the client's change" in result.sentence


@pytest.mark.parametrize("lost", ["theta", "alpha"])
def test_drowsiness_is_not_ruled_out_by_one_rhythm_alone(lost: str) -> None:
    table = within({COUPLING: 0.006})
    table = table[table["index"].ne("band_power") | table["band"].ne(lost)]
    answers = {guard.name: guard.passed for guard in fit_within(table, COUPLING, quality(table), n_flips=99).guards}
    assert answers["drowsiness"] is None


def test_beta_is_asked_about_where_it_was_measured() -> None:
    assert fit({**FALL, Index("band_power", "beta", "posterior"): -0.25}).verdict == "changes_down"
    table = within(FALL)
    without = fit_within(table[table["band"] != "beta"], POWER, quality(table), n_flips=99)
    assert without.verdict == "changes_down"
    assert "beta" not in {guard.name for guard in without.guards}


def test_theta_that_falls_along_is_no_drowsiness() -> None:
    assert fit({**FALL, Index("band_power", "theta", "all"): -0.25}).verdict == "changes_down"


def test_a_measure_that_moves_by_less_than_a_tenth_of_the_index_does_not_matter() -> None:
    strong = {index: 5 * slope for index, slope in FALL.items()}
    assert fit({**strong, Index("high_frequency", "", "posterior"): 0.15}).verdict == "changes_down"


def test_coupling_needs_its_noise_corrected_twin_and_a_rhythm_no_more_even() -> None:
    corrected = Index("imcoh_corrected", "alpha", "frontal-posterior")
    grown = {COUPLING: 0.01, corrected: 0.003}
    assert fit(grown, COUPLING).verdict == "changes_up"
    assert failed(fit({COUPLING: 0.01}, COUPLING)) == {"twin"}
    assert failed(fit({**grown, Index("evenness", "alpha", "all"): 0.02}, COUPLING)) == {"even_rhythm"}
    drowsy = {**grown, Index("band_power", "theta", "all"): 0.3, Index("band_power", "alpha", "all"): -0.3}
    awake = {**grown, Index("band_power", "alpha", "all"): 0.3}
    assert fit(awake, COUPLING).verdict == "changes_up"
    assert failed(fit(drowsy, COUPLING)) == {"drowsiness"}


def test_what_is_not_known_makes_it_unchecked_and_lost_channels_confounded() -> None:
    table = within(FALL)
    bare = fit_within(table, POWER, n_flips=99)
    assert bare.verdict == "changes_down_unchecked"
    assert "Not assessable: channels" in bare.sentence
    lost = quality(table, channels_kept=-1.0)
    lost.loc[lost["person"] == "therapist", "channels_kept"] = 32
    assert failed(fit_within(table, POWER, lost, n_flips=99)) == {"channels"}
    alone = table[table["person"] == "client"]
    assert fit_within(alone, POWER, quality(alone), n_flips=99).verdict == "changes_down_unchecked"


def test_impedance_and_time_of_day_are_asked_where_the_table_has_them() -> None:
    table = within(FALL)
    beside = table[table["person"] == "client"].drop_duplicates(["dyad", "session"])
    beside = beside[["dyad", "session", "modality", "task", "run"]].assign(excess_z=0.1)
    plain = fit_within(table, POWER, quality(table), beside, n_flips=99)
    assert not {guard.name for guard in plain.guards} & (set(ON_REQUEST) - {"beta"})
    later = beside.assign(hour=9.0 + beside["session"], client_impedance=5.0)
    asked = fit_within(table, POWER, quality(table), later, n_flips=99)
    assert failed(asked) == {"time_of_day"}
    assert {guard.name for guard in asked.guards if guard.passed} >= {"impedance"}


def test_the_index_is_related_to_synchrony_and_outcomes() -> None:
    table = within(FALL)
    beside = table[(table["person"] == "client") & (table["index"] == "power")]
    noise = np.random.default_rng(1).normal(0, 0.1, (2, len(beside)))
    beside = beside.assign(excess_z=noise[0] - 0.1 * beside["value"], bdi=noise[1] + beside["value"])
    result = fit_within(table, POWER, quality(table), beside, outcomes=["bdi"], n_flips=99)
    assert {row.name for row in result.outcomes} == {"synchrony", "bdi"}


def test_an_index_is_found_by_as_much_of_its_name_as_is_needed() -> None:
    table = within({}, n_dyads=1)
    assert choose_index(table, "", POWER) == POWER
    assert choose_index(table, "lagcoh", POWER) == COUPLING
    assert choose_index(table, "band_power/theta", POWER) == Index("band_power", "theta", "all")
    with pytest.raises(InputError, match=r"no index 'pwer'; there are: .*Did you mean 'power'"):
        choose_index(table, "pwer", POWER)
    with pytest.raises(InputError, match="no region 'frontal' of power/alpha"):
        choose_index(table, "power/alpha/frontal", POWER)
    with pytest.raises(InputError, match="no such index of a client"):
        fit_within(table[table["person"] == "therapist"], POWER)


def test_slopes_of_people_are_those_of_client_therapist_and_difference() -> None:
    found = {each.index: each for each in slopes_of_people(within(FALL))}
    power = found[POWER]
    assert power.client.slope == pytest.approx(-0.43, abs=0.1)
    assert power.therapist.slope == pytest.approx(0.0, abs=0.1)
    assert power.difference.slope == pytest.approx(power.client.slope - power.therapist.slope)
    assert power.p_max_t < 0.05
    assert found[COUPLING].p_max_t > 0.05


def test_one_session_each_gives_no_verdict() -> None:
    table = within({})
    first = table[table["session"] == 1]
    assert fit_within(first, POWER, quality(first), n_flips=99).verdict == "cannot_tell"


def test_guards_ask_every_measure_and_words_name_no_part_of_the_brain() -> None:
    assert all(words.columns for words in PERSON_GUARDS.values())
    assert ask_measures.__doc__
    said = " ".join(f"{verdict.meaning} {verdict.limits} {verdict.label}" for verdict in PERSON_VERDICTS.values())
    for word in ("regulation", "amygdala", "default mode", "normalised", "improve"):
        assert word not in said.lower()
    assert {"changes_up", "changes_down", "changes_up_unchecked", "changes_down_unchecked"} <= set(PERSON_VERDICTS)
    assert PERSON_VERDICTS["changes_down"].opening.startswith("Decrease")


def test_an_index_without_a_single_value_cannot_tell() -> None:
    found = fit_within(within({}).assign(value=np.nan), POWER, n_flips=19)
    assert found.verdict == "cannot_tell"
    assert found.group_slope is None


@pytest.mark.parametrize(
    ("bound", "measure", "verdict"),
    [
        (1.0, 0.0, "no_change"),
        (0.01, 0.0, "no_clear_change"),
        (1.0, 1.0, "no_clear_change"),
        (0.0, 0.0, "no_clear_change"),
    ],
)
def test_no_change_of_a_person_is_said_below_the_bound_where_nothing_hides_one(
    bound: float, measure: float, verdict: str
) -> None:
    table = within({})
    beside = quality(table).assign(channels_kept=lambda rows: 20 - measure * rows["session"])
    result = fit_within(table, POWER, beside, n_flips=99, equivalence_slope=bound)
    assert result.verdict == verdict
    if verdict == "no_change":
        assert result.sentence.startswith("No change in the client's 1/f-free power (power/alpha/posterior): its slope")
        assert "smaller than the 1 dB per session named in advance" in result.sentence
    assert ("the recordings may hide one (channels)" in result.sentence) == bool(measure)


@pytest.mark.parametrize(("metric", "scale"), [("lagcoh", "Fisher z"), ("dwpli", "dwpli")])
def test_coupling_is_told_in_the_scale_of_its_metric(metric: str, scale: str) -> None:
    table = within({}).replace({"index": {"lagcoh": metric}})
    found = fit_within(table, COUPLING._replace(name=metric), quality(table), n_flips=19)
    assert re.search(rf"b = \S+ {scale} per session", found.sentence)
    assert {"even_rhythm"} <= {guard.name for guard in found.guards}


RESPONSE = Index("response", "talk", "lPFC")
HBR = Index("response_hbr", "talk", "lPFC")


def haemoglobin(slopes: Mapping[Index, float]) -> pd.DataFrame:
    """Make within.tsv of eight fNIRS sessions with a task; slopes of the client."""
    spreads = {
        RESPONSE: 0.1,
        HBR: 0.03,
        Index("task_events", "talk", "all"): 0.0,
        Index("task_seconds", "talk", "all"): 0.0,
    }
    rng, rows = np.random.default_rng(0), []
    for dyad in range(12):
        for person in ("therapist", "client"):
            for index, spread in spreads.items():
                slope = slopes.get(index, 0.0) if person == "client" else 0.0
                for session in range(8):
                    value = 1 + slope * session + rng.normal(0, spread)
                    labels = (f"D{dyad:02d}", f"T{dyad}", f"C{dyad}", session + 1, 7.0 * session)
                    rows.append((*labels, "fnirs", "", "", person, "hbo", *index, value))
    columns = ["dyad", "therapist", "client", "session", "days", "modality", "task", "run", "person", "signal"]
    return pd.DataFrame(rows, columns=[*columns, "index", "band", "region", "value"])


#: Facts of the quality of fNIRS that do not change.
STEADY = dict.fromkeys(("short_r2", "mayer_fraction", "band_sd", "motion", "instrument_noise", "sci"), 0.0)


def test_a_response_that_grows_in_both_haemoglobins_is_claimed_in_its_unit() -> None:
    table = haemoglobin({RESPONSE: 0.1, HBR: 0.03})
    result = fit_within(
        table, choose_index(table, "response/talk/lPFC", RESPONSE), quality(table, **STEADY), n_flips=99
    )
    assert result.verdict == "changes_up"
    assert {"haemoglobins", "task"} <= {guard.name for guard in result.guards}
    assert result.sentence.startswith("Increase in the client's task response (response/talk/lPFC). b = +0.1")
    assert "µM per session" in result.sentence
    assert "regulation" not in result.sentence


@pytest.mark.parametrize(
    ("guard", "slopes"),
    [
        ("haemoglobins", {RESPONSE: 0.1, HBR: -0.03}),
        ("task", {RESPONSE: 0.1, HBR: 0.03, Index("task_events", "talk", "all"): 1.0}),
    ],
)
def test_what_else_would_change_a_response_is_found(guard: str, slopes: dict[Index, float]) -> None:
    table = haemoglobin(slopes)
    result = fit_within(table, RESPONSE, quality(table, **STEADY), n_flips=99)
    assert result.verdict == "confounded"
    assert failed(result) == {guard}


def test_a_response_that_no_annotation_gives_is_asked_for_with_what_it_needs() -> None:
    table = haemoglobin({})
    with pytest.raises(
        InputError, match="needs annotations of that name in the recordings, and the name in fnirs_task"
    ):
        choose_index(table[table["index"] == "task_seconds"], "response/talk", RESPONSE)
