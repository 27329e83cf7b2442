"""The table of benchmark cases hangs together; nothing is timed here."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from hyperscan.metrics import METRICS

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch):
    if not (BENCHMARKS / "run.py").exists():
        pytest.skip("benchmarks/ is not part of this installation")
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    before = set(sys.modules)
    import run

    yield run
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(BENCHMARKS)):
            del sys.modules[name]


def test_every_case_is_measured_or_says_why_not(run) -> None:
    for case in run.CASES:
        assert (case.build is None) == bool(case.skip), case.name
        assert case.target is None or case.target > 0
    keys = [run._key(case) for case in run.CASES]
    assert len(set(keys)) == len(keys)


def test_small_run_names_cases_that_exist(run) -> None:
    assert {case.name for case in run.CASES} >= run.SMALL


@pytest.mark.parametrize("name", ["plv", "aec", "pec", "ccorr", "coh", "imcoh", "wpli", "pli", "accorr"])
def test_each_promised_metric_has_a_case(run, name: str) -> None:
    assert name in METRICS
    assert {f"{name}, {kind}" for kind in ("complex64", "complex128")} <= {case.name for case in run.CASES}


def test_targets_read_both_ways(run) -> None:
    from timing import Case, Result

    faster = Result(Case("t", "n", "p", 10.0, None), ratios=[9.0, 11.0, 12.0])
    cost = Result(Case("t", "n", "p", 5.0, None, sense="cost"), ratios=[6.0, 4.0, 6.5])
    assert (faster.ratio, faster.met) == (11.0, True)
    assert (cost.ratio, cost.met) == (6.0, False)


def test_measure_compares_values_and_scales_the_peer(run) -> None:
    from timing import Case, Job, measure

    job = Job(lambda: sum(range(20_000)), lambda: 1, lambda a, b: abs(a - b), tolerance=0.5, scale=1000.0)
    result = measure(Case("t", "n", "p", None, lambda small: job), small=True)
    assert result.agrees is False
    assert result.difference == sum(range(20_000)) - 1
    assert len(result.ratios) == 2
