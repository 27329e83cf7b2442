"""Runs side by side: tasks of one name by one worker in turn, those that make one folder once, stage by stage."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from hyperscan.pipeline import together
from hyperscan.pipeline.together import PAIRS, PREPARATION, SYNCHRONY, Step, Steps, carry_out
from hyperscan.pipeline.workers import Place, Task


def a_run(name: str, done: list[str], said: list[str], stages: tuple[str, ...], shared: str = "") -> Steps[str]:
    lost: list[str] = []
    for stage in stages:
        folder = Path(shared if stage == PREPARATION and shared else f"{name}/{stage}")
        tasks = [Task(unit, partial(done.append, f"{stage} {unit} {name}"), folder / unit) for unit in ("u1", "u2")]
        lost += yield Step(stage, tasks, said.append)
    return f"{name} lost {sorted(lost)}"


def test_stages_are_in_step_and_a_shared_folder_is_made_once() -> None:
    done: list[str] = []
    said: list[list[str]] = [[], [], []]
    runs = [
        a_run("a", done, said[0], (PREPARATION, SYNCHRONY), "both"),
        a_run("b", done, said[1], (PREPARATION, PAIRS, SYNCHRONY), "both"),
        a_run("c", done, said[2], ()),
    ]
    assert carry_out(runs, Place(), progress=False) == ["a lost []", "b lost []", "c lost []"]
    assert done == [
        *("preparation u1 a", "preparation u2 a", "pairs u1 b", "pairs u2 b"),
        *("synchrony u1 a", "synchrony u1 b", "synchrony u2 a", "synchrony u2 b"),
    ]
    assert [len(lines) for lines in said] == [4, 6, 0]


def test_every_run_hears_of_its_own_lost_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "run_tasks", lambda *_, **__: ["u2", "u9"])
    runs = [a_run(name, [], [], (SYNCHRONY,)) for name in "ab"]
    assert carry_out(runs, Place(), progress=False) == ["a lost ['u2']", "b lost ['u2']"]
