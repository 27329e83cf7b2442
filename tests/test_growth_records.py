"""Records of what growth finds: fields for code, keys of growth.json for readers."""

from __future__ import annotations

import json
import math
from dataclasses import fields

import numpy as np
import pytest

from growth_fixtures import table
from hyperscan.growth import GrowthResult, fit_growth
from hyperscan.growth.records import LeaveOneOut, Record, SlopeTest, json_values


@pytest.fixture(scope="module")
def result() -> GrowthResult:
    return fit_growth(table(n=8, therapist=[f"T{k // 12}" for k in range(48)]), equivalence_slope=0.02, n_flips=99)


def parts_of(result: GrowthResult) -> dict[str, Record]:
    return {name: part for name, part in vars(result).items() if isinstance(part, Record)}


def test_every_part_of_a_result_is_read_by_field_and_by_key(result: GrowthResult) -> None:
    found = parts_of(result)
    assert {"primary", "two_stage", "sign_flip", "therapist_level", "equivalence", "bayes_factor", "design"} <= set(
        found
    )
    for part in found.values():
        for item in fields(part):
            if item.name in part:
                assert part[item.name] is getattr(part, item.name) or part[item.name] == getattr(part, item.name)
        assert dict(part) == part.parts()
        assert len(part) == len(list(part))
        with pytest.raises(KeyError):
            part["no_such_number"]


def test_keys_are_those_of_growth_json(result: GrowthResult) -> None:
    stored = json.loads(json.dumps(result.to_dict()))
    for name, part in parts_of(result).items():
        assert list(part) == list(stored[name])
    assert result.primary["slope"] == result.primary.fit.slope == stored["primary"]["slope"]
    assert result.therapist_level["p"] == result.therapist_level.test.p
    assert {**result.primary}["metric"] == ""


def test_numbers_are_those_of_python(result: GrowthResult) -> None:
    def walk(value):
        if isinstance(value, Record):
            for item in value.values():
                walk(item)
        assert not isinstance(value, np.generic), value

    for part in (*parts_of(result).values(), *result.guards, *result.exploratory, *result.figures.trends):
        walk(part)


def test_a_number_that_is_not_finite_is_null_and_comes_back() -> None:
    test = SlopeTest(0.1, math.nan, math.nan, math.nan, math.nan, math.nan, math.nan, math.nan, 1)
    stored = json_values(test)
    assert stored == {"slope": 0.1, **dict.fromkeys(("sd", "se", "df", "t", "p", "ci_low", "ci_high")), "n": 1}
    back = SlopeTest.from_dict(stored)
    assert (back.slope, back.n) == (0.1, 1)
    assert math.isnan(back.p)
    # what may be absent stays absent
    assert LeaveOneOut.from_dict(json_values(LeaveOneOut())) == LeaveOneOut()


def test_plain_values_are_what_json_holds() -> None:
    assert json_values({"a": (np.float64(1.5), np.inf), "b": np.array([1, 2])}) == {"a": [1.5, None], "b": [1, 2]}
