"""Every kind of bad input has its decision and its tests."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from bad_input_cases import read_cases

TESTS = Path(__file__).parent


CASES = {case.number: case for case in read_cases()}


@cache
def names_in(module: str) -> frozenset[str]:
    tree = ast.parse((TESTS / f"{module}.py").read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def test_all_cases_are_listed() -> None:
    assert list(CASES) == list(range(1, 87))
    for case in CASES.values():
        assert case.what, case.number
        assert set(case.decision.split("/")) <= {"R", "S", "C", "A", "ok", "resume", "rerun"}, case.number


@pytest.mark.parametrize("number", CASES)
def test_each_case_has_its_tests(number: int) -> None:
    assert CASES[number].tests
    for name in CASES[number].tests:
        module, _, test = name.partition("::")
        assert test in names_in(module), name
