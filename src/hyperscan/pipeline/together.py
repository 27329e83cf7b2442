"""Runs side by side: each says what it needs done next, and what several of them need is done once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Generator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from hyperscan.pipeline.process import one_thread
from hyperscan.pipeline.workers import Place, Task, kept_workers, run_tasks
from hyperscan.recall import is_remembering, remembering

Work = TypeVar("Work")

#: Stages of a run, in their order.
STAGES = PREPARATION, PAIRS, SYNCHRONY = ("preparation", "pairs", "synchrony")


@dataclass(frozen=True)
class Step:
    """What a run needs done before it can go on."""

    #: one of :data:`STAGES`
    stage: str
    tasks: Sequence[Task]
    #: Takes every line about them
    tell: Callable[[str], object]


#: Yields what it needs, is sent the names of tasks whose worker died, and returns its result.
Steps = Generator[Step, Collection[str], Work]


def carry_out(runs: Sequence[Steps[Work]], place: Place, *, progress: bool) -> list[Work]:
    """Let runs go on until all have ended, stage by stage, and return their results.

    Tasks of one name are done one after the other by one worker, in the order of their runs, so that they share what
    they compute; each still leaves its own folder as soon as it is complete. Where something is remembered, a task of
    one run shares what it computes inside itself, and nothing of it is kept when it has ended.
    """
    results: dict[int, Work] = {}
    waiting: dict[int, Step] = {}

    def go_on(number: int, lost: Collection[str] | None) -> None:
        waiting.pop(number, None)
        try:
            # None begins a run
            waiting[number] = runs[number].send(lost)  # type: ignore[arg-type]
        except StopIteration as ended:
            results[number] = ended.value

    with kept_workers(), one_thread():
        for number in range(len(runs)):
            go_on(number, None)
        while waiting:
            stage = min((step.stage for step in waiting.values()), key=STAGES.index)
            steps = {number: step for number, step in waiting.items() if step.stage == stage}
            shared = len(runs) > 1 or is_remembering()
            tasks = _joined(list(steps.values())) if shared else next(iter(steps.values())).tasks
            lost = run_tasks(tasks, place, stage, progress=progress, tell=partial(_tell, list(steps.values())))
            for number, step in steps.items():
                go_on(number, {task.name for task in step.tasks} & set(lost))
    return [results[number] for number in range(len(runs))]


def _tell(steps: Sequence[Step], text: str) -> None:
    """Tell every log once."""
    for tell in {step.tell for step in steps}:
        tell(text)


def _joined(steps: Sequence[Step]) -> list[Task]:
    """Join tasks of one name; those that make one folder are done once."""
    works: dict[str, dict[Path | None, Callable[[], object]]] = defaultdict(dict)
    for task in (task for step in steps for task in step.tasks):
        works[task.name].setdefault(task.makes, task.work)
    return [Task(name, partial(_one_by_one, list(found.values()))) for name, found in works.items()]


def _one_by_one(works: Sequence[Callable[[], object]]) -> None:
    with remembering():
        for work in works:
            work()
