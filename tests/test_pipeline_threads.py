"""One numerical thread wherever units are worked on: the tests themselves are started with one, a user is not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from hyperscan.pipeline.threads import one_thread
from hyperscan.pipeline.together import SYNCHRONY, Step, Steps, carry_out
from hyperscan.pipeline.workers import Conditions, Place, Task, do_checked
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


def test_a_product_has_the_digits_of_one_thread() -> None:
    a, b = np.random.default_rng(0).normal(size=(2, 64, 5000)).astype(np.float32)

    def product(n_threads: int) -> bytes:
        with threadpool_limits(n_threads):
            return (a @ b.T).tobytes()

    with threadpool_limits(2), one_thread():
        made = (a @ b.T).tobytes()
    assert made == product(1)
