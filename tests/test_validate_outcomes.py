"""The script that validates outcomes: it runs, resumes, and simulates what it says."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "validate_outcomes.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("validate_outcomes", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["validate_outcomes"] = module
    spec.loader.exec_module(module)
    return module


def test_it_runs_and_resumes(script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = {name: truth for name, truth in script.cells().items() if name.startswith("8 x 8 | ")}
    few = {name: few[name] for name in ("8 x 8 | independent", "8 x 8 | next_session 0.5")}
    monkeypatch.setattr(script, "cells", lambda: few)
    given = ["--small", "--reps", "2", "--state", str(tmp_path / "state.jsonl"), "--out", str(tmp_path / "out.md")]
    assert script.main(given) == 0
    first = (tmp_path / "state.jsonl").read_text()
    assert len(first.splitlines()) == 4
    assert script.main(given) == 0
    assert (tmp_path / "state.jsonl").read_text() == first
    assert "| 8 x 8 | next_session 0.5 | 2 |" in (tmp_path / "out.md").read_text()


def test_what_is_planted_is_there_and_nothing_else(script: ModuleType) -> None:
    rng = np.random.default_rng(0)
    for relation in script.RELATIONS:
        slope, p = script.plain_test(script.simulate(script.Truth(80, 8, relation, 0.8), rng), relation)
        assert p < 0.001
        assert slope > 0
    alone = [script.plain_test(script.simulate(script.Truth(20, 8), rng), "same_session")[1] for _ in range(20)]
    assert 0.1 < np.mean(alone) < 0.9
    lost = script.simulate(script.Truth(20, 8, informative=True), rng)
    assert 60 < len(lost) < 150
    assert script.simulate(script.Truth(20, 8, per_therapist=4), rng)["therapist"].nunique() == 5


def test_outcomes_of_yes_and_no_have_the_share_that_is_named(script: ModuleType) -> None:
    rng = np.random.default_rng(0)
    for share in (0.5, 0.15):
        found = script.simulate(script.Truth(20, 8, share=share), rng)["outcome"]
        assert set(found) == {0, 1}
        assert found.mean() == pytest.approx(share, abs=0.01)
    assert all(truth.share for truth in script.event_cells().values())
    slope, p = script.plain_test(
        script.simulate(script.Truth(80, 8, "same_session", 0.8, share=0.5), rng), "same_session"
    )
    assert slope > 0
    assert p < 0.001
