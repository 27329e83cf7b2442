"""The plan: what is written is read back, byte for byte, and nothing else is taken for one."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path

import pytest

from hyperscan.errors import InputError
from hyperscan.results.plan import Plan, PlannedPair, Skip
from hyperscan.schema import SessionKey
from hyperscan.storage import to_json
from report_fixtures import Fake, write_fake


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = write_fake(tmp_path_factory.mktemp("plan"), Fake(n_dyads=3, n_sessions=3))
    return (folder / "plan.json").read_text(encoding="utf-8")


def test_a_plan_is_read_back_byte_for_byte(content: str, small_run: Path) -> None:
    for text in (content, (small_run / "plan.json").read_text(encoding="utf-8")):
        assert to_json(Plan.from_dict(json.loads(text)).to_dict()) == text


@pytest.mark.parametrize("name", [item.name for item in fields(Plan)])
def test_a_plan_that_lacks_a_part_is_refused(content: str, name: str) -> None:
    lacking = {key: value for key, value in json.loads(content).items() if key != name}
    with pytest.raises(InputError, match="Run the analysis again"):
        Plan.from_dict(lacking)


def test_a_worker_gets_what_it_needs(content: str) -> None:
    plan = Plan.from_dict(json.loads(content))
    small = plan.for_unit(plan.pseudo_pairs[:1])
    assert (small.primary, small.groups, small.pseudo_pairs) == (plan.primary, plan.groups, plan.pseudo_pairs[:1])
    assert (small.sessions, small.skipped, small.units, small.findings) == ((), (), {}, ())
    assert plan.group_of("eeg", "") is plan.groups[0]


def test_a_pair_names_whose_therapist_and_whose_client() -> None:
    pair = PlannedPair("D01", 2, "eeg", "", "", "D05", "client", shared_therapist=False)
    assert pair.key == SessionKey("D01", 2, "eeg", "", "")
    assert pair.dyads == ("D01", "D05")
    assert replace(pair, which="therapist").dyads == ("D05", "D01")
    assert Skip.of(pair.key, "too short").reason == "too short"
