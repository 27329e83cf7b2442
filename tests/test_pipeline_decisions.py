"""What preparation decided from data is listed, what differs is warned of, and a failed cable is no common start."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import pytest

from hyperscan.config import StudyConfig
from hyperscan.pipeline.decisions import (
    Alike,
    common_rate,
    comparability_findings,
    decision_findings,
    decisions_of,
    outcome_findings,
    unaligned_of,
)
from hyperscan.pipeline.output import decisions_text
from hyperscan.pipeline.summary import PersonSummary, Summary
from hyperscan.recording.records import ClockReport, EegDecisions, FnirsDecisions, tell_decisions
from hyperscan.results.plan import Decided, Plan
from hyperscan.schema import DECISIONS, ROLES, Outcome
from hyperscan.storage import to_json
from hyperscan.study import Finding, Session
from hyperscan.study.pairing import pseudo_pairs

EEG = EegDecisions(
    sfreq=250.0, passband_hz=(1.0, 40.0), filtered=True, montage=("Fz", "O1", "O2"), positional=False, bad=(),
    interpolated=(), reference="average", n_reference=3, rank=2,
)  # fmt: skip
FNIRS = FnirsDecisions(
    level="intensity", signals=("hbo", "hbr"), distances="in m", montage=("S1_D1",), bad=(), coupling_judged=True,
    n_short=2, short_regressed=True, passband_hz=(0.01, 0.5), events=("task",), pathlength=(6.0,),
)  # fmt: skip
#: Another value of every decision that should be alike in all sessions of a person.
OTHER = {
    "sfreq": 500.0, "passband_hz": (1.0, None), "filtered": False, "positional": True, "interpolated": ("O1",),
    "reference": "recorded", "detector": "mne-icalabel 0.7", "level": "haemoglobin", "signals": ("hbo",),
    "distances": "assumed", "coupling_judged": False, "short_regressed": False, "events": (), "pathlength": (5.0, 6.0),
}  # fmt: skip


#: A row of the table, and what is known of it.
Row = tuple[Session, Summary]


def session(number: int, clock: str | None = None, dyad: str = "D1") -> Session:
    here = Path("study")
    return Session(dyad, f"T{dyad}", f"C{dyad}", number, "eeg", here / "t.edf", here / "c.edf", here, clock=clock)


def summary(row: Session, decided: EegDecisions | FnirsDecisions = EEG, clock: ClockReport | None = None) -> Summary:
    told = tell_decisions(decided)
    return Summary(
        row.key,
        clock=clock or ClockReport("triggers", 7.3),
        people={role: PersonSummary(getattr(row, role), (), {}, (), math.nan) for role in ROLES},
        decisions={"therapist": told, "client": tell_decisions(EEG)},
    )


def test_every_decision_is_in_the_table() -> None:
    taken = {item.name for kind in (EegDecisions, FnirsDecisions) for item in dataclasses.fields(kind)}
    assert {*taken, "clock_source"} == set(DECISIONS)
    for decided in (EEG, FNIRS):
        assert set(tell_decisions(decided)) == {item.name for item in dataclasses.fields(decided)}
        assert all(tell_decisions(decided).values())
    assert tell_decisions(EEG)["passband_hz"] == "1-40 Hz"
    assert {name for name, choice in DECISIONS.items() if choice.alike} == {*OTHER, "clock_source"}


@pytest.mark.parametrize("name", DECISIONS)
def test_what_should_be_alike_and_differs_is_warned_of(name: str) -> None:
    """Every decision of the table: one session has another value than two before it."""
    rows = [session(number) for number in (1, 2, 3)]
    decided = EEG if name in vars(EEG) else FNIRS
    changed = dataclasses.replace(decided, **{name: OTHER[name]}) if name in OTHER else decided
    clock = ClockReport("offset" if name == "clock_source" else "triggers", 7.3)
    found = decisions_of([*(summary(row, decided) for row in rows[:2]), summary(rows[2], changed, clock)])
    (mine,) = [one for one in found if one.name == name and one.person == "TD1"]
    warnings = list(decision_findings(found))
    if not DECISIONS[name].alike:
        assert warnings == []
        return
    assert list(mine.values.values()) == [("1", "2"), ("3",)]
    assert {one.kind for one in warnings} == {"decisions"}
    assert DECISIONS[name].label in warnings[0].message
    assert "in session 1, 2; " in warnings[0].message
    # what can be set is named, with the value where one makes all alike
    setting = DECISIONS[name].setting
    assert all(key in vars(StudyConfig()) for key in setting.split(" or ") if key)
    wanted = "set eeg_max_sfreq = 250 in study.toml" if name == "sfreq" else f"set {setting} in study.toml"
    assert (wanted in warnings[0].message) is bool(setting)
    assert ("study.toml" in warnings[0].message) is bool(setting)


def test_decisions_go_into_plan_and_quality() -> None:
    rows = [session(number) for number in (1, 2)]
    found = decisions_of([summary(row) for row in rows])
    plan = Plan("0", Outcome(), decisions=found)
    again = Plan.from_dict(json.loads(to_json(plan.to_dict())))
    assert {one.name: list(one.values) for one in again.decisions} == {one.name: list(one.values) for one in found}
    assert again.decisions[0] == Decided("eeg", "", "D1", "CD1", "clock_source", {"triggers": ("1", "2")})
    text = decisions_text(summary(rows[0]), "client")
    assert text.startswith("what aligns the clocks: triggers; sampling rate: 250 Hz; passband: 1-40 Hz")
    assert "reference: average; channels of the reference: 3; independent channels: 2" in text


ASSUMED = ClockReport("assumed", 0.0, math.nan, math.nan, 0, ("x", "events: 51 of the therapist, 0 of the client"))


@pytest.mark.parametrize(("declared", "others", "skipped"), [
    (None, "triggers", True), ("assumed", "triggers", False), (None, "assumed", False), (None, "same_amplifier", False),
])  # fmt: skip
def test_a_failed_cable_is_not_taken_for_a_common_start(declared: str | None, others: str, skipped: bool) -> None:
    rows = [*(session(number, dyad="D2") for number in (1, 2)), session(1, declared)]
    clocks = [ClockReport(others, offset) for offset in (7.28, 7.31)] + [ASSUMED]
    summaries = {row.key: summary(row, clock=clock) for row, clock in zip(rows, clocks, strict=True)}
    found = unaligned_of(rows, summaries)
    assert set(found) == ({rows[2].key} if skipped else set())
    if skipped:
        reason = found[rows[2].key]
        for said in ("events: 51 of the therapist, 0 of the client", "2 sessions", "7.28 to 7.31 s", "clock = assumed"):
            assert said in reason


# ---- who loses partners, and how little is analysed


def at(dyad: str, number: int, sfreq: float, *rois: str, modality: str = "eeg", seconds: float = 900.0) -> Row:
    """One row and what is known of it: rate, regions of the client, length."""
    row = dataclasses.replace(session(number, dyad=dyad), modality=modality)
    regions = dict.fromkeys(rois or ("all",), ("Fz",))
    people = {role: PersonSummary(getattr(row, role), ("Fz",), {"all": ("Fz",)}, (), math.nan) for role in ROLES}
    people["client"] = dataclasses.replace(people["client"], rois=regions)
    return row, Summary(row.key, sfreq=sfreq, seconds=seconds, people=people)


def told_of(rows: list[Row], **settings: object) -> list[Finding]:
    return comparability_findings(
        [row for row, _ in rows], {row.key: one for row, one in rows}, StudyConfig(**settings)
    )


#: Rates of the dyads of one session: who is told to be another, how many partners are left, and the setting.
RATES = [
    ((125.0, 125.0, 200.0), {"D3": "200 Hz, the others of its session number 125 Hz; 0 of 2"}, "eeg_max_sfreq = 125"),
    ((250.0, 128.0, 250.0, 250.0), {"D2": "128 Hz, the others of its session number 250 Hz; 0 of 3"},
     "eeg_max_sfreq = 128"),
    ((100.0, 100.0, 100.0, 200.0, 200.0), {"D4": "200 Hz", "D5": "1 of 4"}, "eeg_max_sfreq = 100"),
    ((200.0, 125.0), {"D1": "200 Hz, the others of its session number 125 Hz; 0 of 1"}, "eeg_max_sfreq = 125"),
    ((512.0, 1000.0, 256.0), {}, ""),  # the setting as it is brings them to one rate
    ((125.0, 125.0), {}, ""),
]  # fmt: skip


@pytest.mark.parametrize(("rates", "odd", "setting"), RATES, ids=lambda value: str(value)[:20])
def test_another_rate_costs_partners_and_the_setting_is_named(
    rates: tuple[float, ...], odd: dict[str, str], setting: str
) -> None:
    rows = [at(f"D{k}", 4, rate) for k, rate in enumerate(rates, start=1)]
    found = told_of(rows)
    assert [one.kind for one in found] == ["partners"] * bool(odd)
    assert {key.dyad for one in found for key in one.keys} == set(odd)
    for one in found:
        assert f"Set {setting} in study.toml" in one.message
        assert all(f"{dyad} ses-04 eeg" in one.message and said in one.message for dyad, said in odd.items())
        # what is named helps
        assert told_of(rows, eeg_max_sfreq=float(setting.split()[-1])) == []


def test_rates_that_no_setting_joins_are_left_to_the_recording() -> None:
    assert common_rate([125.0, 200.0]) == "eeg_max_sfreq = 125"
    (found,) = told_of([at("D1", 1, 250.0), at("D2", 1, 199.98765), at("D3", 1, 250.0)], eeg_max_sfreq=0)
    assert ("Record at one rate" in found.message) is (common_rate([250.0, 199.98765]) == "")


@pytest.mark.parametrize(
    ("regions", "said"),
    [
        ((("all", "frontal"), ("all", "frontal"), ("all",)), "D3 ses-01 eeg (the client lacks frontal; 0 of 2"),
        ((("all",), ("all", "rTPJ"), ("all",)), "D2 ses-01 eeg (the client also has rTPJ; 0 of 2"),
    ],
)
def test_other_regions_cost_partners_too(regions: tuple[tuple[str, ...], ...], said: str) -> None:
    (found,) = told_of([at(f"D{k}", 1, 250.0, *names) for k, names in enumerate(regions, start=1)])
    assert (found.kind, said in found.message, "[rois]" in found.message) == ("partners", True, True)


def test_who_is_re_paired_is_who_is_told_alike() -> None:
    """Sessions that are told to have partners are those that the plan re-pairs."""
    rows = [at("D1", 1, 125.0), at("D2", 1, 125.0), at("D3", 1, 200.0), at("D1", 2, 200.0), at("D3", 2, 200.0)]
    labels = {row.key: Alike.of(row, one, StudyConfig()) for row, one in rows}
    paired = {pair.key for pair in pseudo_pairs([row for row, _ in rows], compatible=labels)}
    (found,) = told_of(rows)
    assert set(labels) - paired == set(found.keys)


@pytest.mark.parametrize(
    ("lengths", "said"),
    [
        ((240.0, 900.0), "fnirs: 240 s of every session are analysed, as long as the shortest is (D1 ses-01 fnirs)"),
        ((1200.0, 480.0), "fnirs: 480 s of every session are analysed, as long as the shortest is (D2 ses-01 fnirs)"),
        ((600.0, 600.0), ""),
        ((599.5, 900.0), ""),  # whole samples of 600 s
    ],
)
def test_little_fnirs_is_warned_of_by_what_is_analysed(lengths: tuple[float, ...], said: str) -> None:
    rows = [at(f"D{k}", 1, 2.0, modality="fnirs", seconds=each) for k, each in enumerate(lengths, start=1)]
    found = told_of(rows)
    assert [one.kind for one in found] == ["short"] * bool(said)
    assert all(said in one.message and "Under 600 s" in one.message for one in found)
    # EEG has windows instead
    assert told_of([at("D1", 1, 250.0, seconds=100.0)]) == []


def test_tasks_that_a_contrast_joins_are_short_together() -> None:
    rows = [at("D1", 1, 2.0, modality="fnirs", seconds=each) for each in (300.0, 900.0)]
    named = []
    for (row, one), task in zip(rows, ("talk", "rest"), strict=True):
        row = dataclasses.replace(row, task=task)
        named.append((row, dataclasses.replace(one, key=row.key)))
    assert [one.message.split(":")[0] for one in told_of(named)] == ["fnirs talk"]
    joined = told_of(named, contrasts={"talk_minus_rest": {"talk": 1, "rest": -1}})
    assert [one.message.split(":")[0] for one in joined] == ["fnirs rest and talk"]


def test_what_there_is_of_each_outcome_is_told() -> None:
    scores = [{"bdi": 20 - n if n else None, "volume": 3.9 if n == 1 else None, "rupture": "yes"} for n in range(3)]
    rows = [dataclasses.replace(session(n + 1, dyad=d), covariates=scores[n]) for d in ("D1", "D2") for n in range(3)]
    config = StudyConfig(outcomes=({"name": "bdi"}, {"name": "volume"}))
    bdi, volume = map(str, outcome_findings(rows, config))
    assert bdi == "outcomes: bdi is there in 4 of 6 sessions."
    assert volume.startswith("outcomes: volume is there in 2 of 6 sessions, one value per dyad")
