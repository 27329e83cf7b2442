"""Runs side by side: tasks of one name by one worker in turn, those that make one folder once, stage by stage."""

from __future__ import annotations

import contextvars
from functools import partial
from pathlib import Path

import pytest

from hyperscan.pipeline import together
from hyperscan.pipeline.together import PAIRS, PREPARATION, SYNCHRONY, Step, Steps, carry_out
from hyperscan.pipeline.workers import Place, Task
from hyperscan.recall import is_remembering, remembered, remembering


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


@pytest.mark.parametrize("names", ["a", "ab"])
def test_a_task_shares_what_it_computes_and_nothing_of_it_stays(names: str) -> None:
    """One run alone, too: analyses of one preparation are one run, whose tasks may be done by other processes."""
    made: list[str] = []

    def work(name: str) -> None:
        for _ in range(2):
            remembered(name, 0, lambda: made.append(name))

    def go(name: str) -> Steps[None]:
        yield Step(SYNCHRONY, [Task("unit", partial(work, name), Path(name))], made.append)

    with remembering():
        tasks: list[Task] = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(together, "run_tasks", lambda given, *_, **__: tasks.extend(given) or [])
            carry_out([go(name) for name in names], Place(), progress=False)
        for task in tasks:
            contextvars.Context().run(task.work)  # as in a worker: nothing is remembered there
        assert made == list(names)
        for task in tasks:
            task.work()  # and as in this process
        assert made == [*names, *names]
        work("a")
        assert made == [*names, *names, "a"], "kept from the task"


def test_a_run_that_shares_nothing_keeps_nothing() -> None:
    """What is kept for others takes memory."""
    asked: list[bool] = []

    def go() -> Steps[None]:
        yield Step(SYNCHRONY, [Task("unit", lambda: asked.append(is_remembering()), Path("u"))], print)

    carry_out([go()], Place(), progress=False)
    assert asked == [False]
