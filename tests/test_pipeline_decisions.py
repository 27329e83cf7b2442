"""What preparation decided from data is listed, what differs is warned of, and a failed cable is no common start."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import pytest

from hyperscan.pipeline.decisions import decision_findings, decisions_of, unaligned_of
from hyperscan.pipeline.output import decisions_text
from hyperscan.pipeline.summary import PersonSummary, Summary
from hyperscan.recording.records import ClockReport, EegDecisions, FnirsDecisions, tell_decisions
from hyperscan.results.plan import Decided, Plan
from hyperscan.schema import DECISIONS, ROLES, Outcome
from hyperscan.storage import to_json
from hyperscan.study import Session

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
