"""The rule for few dyads: below :data:`~hyperscan.schema.MIN_DYADS` a group is described, and no test of it is told."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, TypeVar

from hyperscan.growth.records import DyadTrend, Findings, Record
from hyperscan.schema import MIN_DYADS

AnyRecord = TypeVar("AnyRecord", bound=Record)

#: Fields that only a test gives.
TESTED = ("t", "p", "p_satterthwaite", "p_length", "p_side", "p_max_t", "q_bh", "p_holm", "p_max")


def without_tests(part: AnyRecord, n: int) -> AnyRecord:
    """Return a part as it is told of n dyads: below MIN_DYADS without t and p, however deep; estimates stay.

    Examples
    --------
    >>> from hyperscan.growth.slopes import slope_test
    >>> few = without_tests(slope_test([0.1, 0.2, 0.4]), 3)
    >>> round(few.slope, 2), few.p
    (0.23, nan)
    """
    if n >= MIN_DYADS:
        return part
    found: dict[str, Any] = {name: _without(name, value, n) for name, value in vars(part).items()}
    return replace(part, **found)


def _without(name: str, value: object, n: int) -> object:
    if name in TESTED:
        return None if value is None else math.nan
    if isinstance(value, Record):
        return without_tests(value, n)
    if isinstance(value, tuple) and value and all(isinstance(one, Record) for one in value):
        return tuple(without_tests(one, n) for one in value)
    return value


def findings_without_tests(found: Findings) -> Findings:
    """Return what a verdict rests on as it is told: a single dyad's own course is its own test, of its sessions."""
    n = found.two_stage.n
    if n >= MIN_DYADS:
        return found
    told: dict[str, Any] = {
        name: without_tests(part, n)
        for name, part in vars(found).items()
        if isinstance(part, Record) and not isinstance(part, DyadTrend)
    }
    return replace(found, **{**told, "equivalence": None})
