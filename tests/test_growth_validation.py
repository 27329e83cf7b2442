"""The validation script runs, resumes, and simulates what it says."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "validate_growth.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("validate_growth", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["validate_growth"] = module
    spec.loader.exec_module(module)
    return module


def test_tables_run_and_resume(script: ModuleType, tmp_path: Path) -> None:
    given = ["--reps", "1", "--state", str(tmp_path / "state.jsonl"), "--out", str(tmp_path / "out.md")]
    assert script.main(given) == 0
    first = (tmp_path / "state.jsonl").read_text()
    assert len(first.splitlines()) == len(script.table_cells())
    assert script.main(given) == 0
    assert (tmp_path / "state.jsonl").read_text() == first
    text = (tmp_path / "out.md").read_text()
    for design in script.DESIGNS:
        assert design in text


def test_designs_have_their_sessions(script: ModuleType) -> None:
    rng = np.random.default_rng(0)
    sparse = script.simulate(script.DESIGNS["8 x 6, 18 of 48 rows"], script.Condition(), rng)
    assert len(sparse) == 18
    assert sparse.groupby("dyad").size().min() >= 2
    missing = script.simulate(script.DESIGNS["20 x 8, 25 % missing"], script.Condition(), rng)
    assert 95 < len(missing) < 145


def test_simulated_growth_and_drift_are_what_they_say(script: ModuleType) -> None:
    rng = np.random.default_rng(1)
    condition = script.Condition(growth=0.03, drift=0.05)
    slopes = []
    for _ in range(40):
        table = script.simulate(script.DESIGNS["20 x 8"], condition, rng)
        slopes.append([np.polyfit(table["session"], table[c], 1)[0] for c in ("z", "pseudo_mean_z", "excess_z")])
    np.testing.assert_allclose(np.mean(slopes, axis=0), [0.08, 0.05, 0.03], atol=0.004)
