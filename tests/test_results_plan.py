"""The plan: what is written is read back, byte for byte, and nothing else is taken for one."""

from __future__ import annotations

import functools
import json
import operator
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from hyperscan.errors import InputError
from hyperscan.growth import GrowthResult
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


def leaves(content: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Places of everything that a mapping or list holds, two of every list."""
    for key in content if isinstance(content, dict) else range(min(len(content), 2)):
        yield (*place, key)
        if isinstance(content[key], dict | list):
            yield from leaves(content[key], (*place, key))


def at(content: Any, place: tuple[Any, ...]) -> Any:
    return functools.reduce(operator.getitem, place, content)


@pytest.mark.parametrize("file", ["plan.json", "growth.json", "persons.json"])
def test_a_file_whose_parts_are_of_other_types_is_refused(content: str, tmp_path: Path, file: str) -> None:
    text = (write_fake(tmp_path, Fake(n_dyads=3, n_sessions=3)) / file).read_text()
    read = Plan.from_dict if file == "plan.json" else GrowthResult.from_dict
    places = [place for place in leaves(json.loads(text)) if place[0] != "schema"]
    assert len(places) > 30
    for place in places:
        was = at(json.loads(text), place)
        for value in ("abc", 7, True, [[]], {"a": {}}, 10**400, float("nan")):
            unlike = {str: [str], dict: [dict], list: [list]}.get(type(was), [int, float, type(None), bool])
            if was is None or (type(value) in unlike and value != 10**400):
                continue
            changed = json.loads(text)
            at(changed, place[:-1])[place[-1]] = value
            with pytest.raises(InputError, match="is not"):
                read(changed)
