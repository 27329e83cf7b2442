"""Fits from the tables of a run: every setting that they take is passed on."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from hyperscan.config import FurtherOutcome, StudyConfig
from hyperscan.growth import fit_growth, fit_within
from hyperscan.pipeline import fits
from hyperscan.schema import Outcome

#: Another value of every setting that a fit has an argument for; the primary outcome is that of the plan.
CHANGED: dict[str, Any] = {
    "bands": {"alpha": (7.0, 11.0)},
    "time": "weeks",
    "equivalence_slope": 0.25,
    "outcomes": ["bdi"],
    "group": "arm",
    "reference": "A",
    "moderators": ["severity"],
    "min_pseudo": 7,
    "contrasts": {"talk_minus_rest": {"talk": 1, "rest": -1}},
    "seed": 11,
}


def asked_of(fit: Callable[..., Any]) -> set[str]:
    """Names that are both settings and arguments; the smallest slope of an index is a setting of its own."""
    names = {item.name for item in fields(StudyConfig)} & set(inspect.signature(fit).parameters)
    return names - ({"primary"} if fit is fit_growth else {"equivalence_slope", "within"})


def test_the_enumeration_is_complete() -> None:
    assert set(CHANGED) == asked_of(fit_growth)
    assert asked_of(fit_within) < set(CHANGED)


@pytest.mark.parametrize(("ask", "fit"), [(fits.growth_of, fit_growth), (fits.within_of, fit_within)])
def test_a_run_passes_every_setting_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ask: Callable[..., Any], fit: Callable[..., Any]
) -> None:
    given: dict[str, object] = {}
    labels = {"modality": "eeg", "signal": "eeg", "metric": "plv", "band": "alpha", "roi": "all-all"}
    rows = [{**labels, "dyad": d, "arm": d, "task": task} for d in ("A", "B") for task in ("talk", "rest")]
    mine = {"index": "power", "band": "alpha", "region": "all", "modality": "eeg", "task": "talk"}
    study = SimpleNamespace(
        table=pd.DataFrame(rows), within=pd.DataFrame([mine]), guards=None, quality=None, check_there=lambda: None
    )
    plan = SimpleNamespace(primary=Outcome("plv", "alpha", "all-all", "talk", "eeg", "eeg"))
    monkeypatch.setattr(fits, "RunFolder", lambda out: study)
    monkeypatch.setattr(fits.Plan, "load", lambda path: plan)
    monkeypatch.setattr(fits, fit.__name__, lambda *_, **named: given.update(named))
    config = StudyConfig(**CHANGED)
    ask(tmp_path, config)
    assert {name: given[name] for name in asked_of(fit)} == {name: getattr(config, name) for name in asked_of(fit)}
    assert given["outcomes"] == (FurtherOutcome("bdi"),)


@pytest.mark.parametrize(
    ("named", "asked", "bound"),
    [
        ("", "", 0.2),
        ("", "power/alpha/all", 0.2),
        ("", "power/beta/all", 0.0),
        ("power/beta/all", "", 0.2),
        ("power/beta/all", "power/beta/all", 0.2),
        ("power/beta/all", "power/alpha/all", 0.0),
    ],
)
def test_the_bound_of_no_change_in_a_person_is_that_of_the_index_of_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str, asked: str, bound: float
) -> None:
    given: dict[str, object] = {}
    mine = {"index": "power", "region": "all", "modality": "eeg", "task": "talk"}
    study = SimpleNamespace(
        table=pd.DataFrame([{"metric": "plv"}]),
        within=pd.DataFrame([{**mine, "band": band} for band in ("alpha", "beta")]),
        quality=None, check_there=lambda: None,
    )  # fmt: skip
    plan = SimpleNamespace(primary=Outcome("plv", "alpha", "all-all", "talk", "eeg", "eeg"))
    monkeypatch.setattr(fits, "RunFolder", lambda out: study)
    monkeypatch.setattr(fits.Plan, "load", lambda path: plan)
    monkeypatch.setattr(fits, "fit_within", lambda *_, **named: given.update(named))
    fits.within_of(tmp_path, StudyConfig(within=named, within_equivalence_slope=0.2, equivalence_slope=0.3), asked)
    assert given["equivalence_slope"] == bound
