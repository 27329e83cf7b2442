"""One numerical thread wherever units are worked on: the tests themselves are started with one, a user is not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from hyperscan.config import StudyConfig
from hyperscan.pipeline import run_multiverse
from hyperscan.pipeline.fits import growth_of, within_of
from hyperscan.pipeline.process import one_thread
from hyperscan.pipeline.run import report_of
from hyperscan.pipeline.together import SYNCHRONY, Step, Steps, carry_out
from hyperscan.pipeline.workers import Conditions, Place, Task, do_checked
from hyperscan.study import Session
from report_fixtures import Fake, write_fake
from worker_tasks import tell_threads


def carried_out(tasks: Sequence[Task], n_jobs: int) -> None:
    def go() -> Steps[None]:
        yield Step(SYNCHRONY, tasks, str)

    carry_out([go()], Place(n_jobs=n_jobs), progress=False)


def on_cluster(tasks: Sequence[Task]) -> None:
    for task in tasks:
        do_checked(task.work, Conditions.here(None, ()))


#: Where units are worked on: in this process, in workers, in a worker of Dask.
ROADS: dict[str, Callable[[Sequence[Task]], None]] = {
    "here": partial(carried_out, n_jobs=1),
    "workers": partial(carried_out, n_jobs=2),
    "cluster": on_cluster,
}


@pytest.mark.parametrize("road", ROADS)
def test_a_unit_has_one_numerical_thread_and_its_process_has_its_own_again(tmp_path: Path, road: str) -> None:
    tasks = [Task(f"t{i}", partial(tell_threads, tmp_path / f"t{i}")) for i in range(2)]
    with threadpool_limits(2):
        before = [each["num_threads"] for each in threadpool_info()]
        ROADS[road](tasks)
        assert [each["num_threads"] for each in threadpool_info()] == before
    assert 2 in before
    assert [set((tmp_path / task.name).read_text().split()) for task in tasks] == [{"1"}, {"1"}]


class Seen(Exception):
    """What is asked for has come to its numbers."""


def _growth(folder: Path) -> None:
    growth_of(folder, StudyConfig())


def _within(folder: Path) -> None:
    within_of(folder, StudyConfig())


def _report(folder: Path) -> None:
    report_of(folder)


def _multiverse(folder: Path) -> None:
    row = Session("D1", "T1", "C1", 1, "eeg", folder / "t.edf", folder / "c.edf", folder)
    run_multiverse([row], StudyConfig(multiverse={"window_s": (10.0, 20.0)}), out=folder.parent / "choices")


#: What comes to numbers outside of units, and where it does.
ANSWERS = {
    "fits.fit_growth": _growth,
    "fits.fit_within": _within,
    "run.build_report": _report,
    "multiverse._run_all": _multiverse,
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_is_that_of_one_thread_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The verdict of a large study had other last digits with two."""
    write_fake(tmp_path / "out", Fake(n_dyads=3, n_sessions=3))
    used: list[int] = []

    def see(*_: object, **__: object) -> None:
        used.extend(each["num_threads"] for each in threadpool_info())
        raise Seen

    monkeypatch.setattr(f"hyperscan.pipeline.{name}", see)
    with threadpool_limits(2), pytest.raises(Seen):
        ANSWERS[name](tmp_path / "out")
    assert set(used) == {1}


def test_a_product_has_the_digits_of_one_thread() -> None:
    a, b = np.random.default_rng(0).normal(size=(2, 64, 5000)).astype(np.float32)

    def product(n_threads: int) -> bytes:
        with threadpool_limits(n_threads):
            return (a @ b.T).tobytes()

    with threadpool_limits(2), one_thread():
        made = (a @ b.T).tobytes()
    assert made == product(1)
