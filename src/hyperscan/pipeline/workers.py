"""Units side by side: on this machine, one numerical thread each, or on a Dask scheduler."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from typing import Any, NamedTuple

from joblib.externals.loky.backend import get_context
from joblib.externals.loky.process_executor import BrokenProcessPool, ProcessPoolExecutor
from tqdm import tqdm

from hyperscan.errors import InputError, count

logger = logging.getLogger(__name__)

#: Names of tasks in the order they end, and whether their worker lived.
Done = Generator[tuple[str, bool], None, None]

#: A unit whose worker dies is tried once more; then it is left out (our choice).
MAX_ATTEMPTS = 2

#: How often a worker looks whether its parent is still there, in s: an orphan must not write into the
#: output of the next run.
WATCH_S = 0.25

#: How long a Dask scheduler may take to answer, in s (our choice).
CONNECT_S = 10

#: One numerical thread per worker: units side by side are faster than threads, and sums keep their order.
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"),
    "1",
)


@dataclass(frozen=True)
class Task:
    """One piece of work that leaves its result in files."""

    #: Of the unit, ``dyad-D01/ses-01``
    name: str
    #: ``functools.partial`` of a module's function, which other processes find; small: recordings go by path
    work: Callable[[], object]


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where units are worked on."""

    #: Worker processes on this machine; 1 = this process itself
    n_jobs: int = 1
    #: Address of a Dask scheduler, which replaces them
    cluster: str | None = None


def run_tasks(
    tasks: Sequence[Task],
    place: Place,
    label: str,
    *,
    progress: bool = True,
    tell: Callable[[str], object] = logger.debug,
) -> list[str]:
    """Do tasks in any order."""
    if not tasks:
        return []
    logger.info("%s: %s", label, count(len(tasks), "unit"))
    if place.cluster is not None:
        done = _on_cluster(tasks, place.cluster)
    elif place.n_jobs == 1:
        done = _here(tasks)
    else:
        done = _side_by_side(tasks, min(place.n_jobs, len(tasks)))
    lost = []
    with contextlib.closing(done):  # an interrupt stops the workers before it goes on
        for name, alive in tqdm(done, total=len(tasks), desc=label, unit="session", disable=None if progress else True):
            tell(f"{label}: {name} {'done' if alive else 'lost its worker twice'}")
            if not alive:
                lost.append(name)
    return sorted(lost)


class _Running(NamedTuple):
    """A task in its worker."""

    task: Task
    attempt: int
    executor: ProcessPoolExecutor


def _here(tasks: Sequence[Task]) -> Done:
    for task in tasks:
        task.work()
        yield task.name, True


def _side_by_side(tasks: Sequence[Task], n_jobs: int) -> Done:
    """Give every worker its own executor: when one dies, it is known which task it had."""
    waiting = deque((task, 1) for task in tasks)
    running: dict[Future[Any], _Running] = {}
    idle = [_worker() for _ in range(n_jobs)]
    try:
        while waiting or running:
            while waiting and idle:
                task, attempt = waiting.popleft()
                executor = idle.pop()
                running[executor.submit(task.work)] = _Running(task, attempt, executor)
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                task, attempt, executor = running.pop(future)
                try:
                    future.result()
                except BrokenProcessPool:
                    executor.shutdown(wait=False, kill_workers=True)
                    idle.append(_worker())
                    if attempt < MAX_ATTEMPTS:
                        logger.warning("%s: its worker died; it is tried once more", task.name)
                        waiting.appendleft((task, attempt + 1))
                    else:
                        yield task.name, False
                else:
                    idle.append(executor)
                    yield task.name, True
    finally:
        for executor in [*idle, *(each.executor for each in running.values())]:
            executor.shutdown(wait=True, kill_workers=True)


def _worker() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(
        max_workers=1, context=get_context("loky"), initializer=_start_worker, initargs=(os.getpid(),), env=ONE_THREAD
    )


def _start_worker(parent: int) -> None:
    # Ctrl-C reaches the whole group; the parent decides, and stops its workers itself
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(WATCH_S)
    os._exit(1)


def _on_cluster(tasks: Sequence[Task], address: str) -> Done:
    """Hand the same tasks to a Dask scheduler, which gives a lost worker's task to another one."""
    try:
        import distributed
    except ImportError as error:
        raise InputError("--cluster needs dask. Install the extra: pip install 'hyperscan-mne[cluster]'.") from error
    dask: Any = distributed  # ships no types
    try:
        client = dask.Client(address, timeout=CONNECT_S, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise InputError(
            f"--cluster {address}: no Dask scheduler answers. Start one (dask scheduler) and check the address."
        ) from error
    with client, client.as_current(), _attempts(client):
        # warnings are caught per process in Python, so two units in one process would mix up theirs
        if any(threads > 1 for threads in client.nthreads().values()):
            raise InputError(
                "--cluster: workers have several threads each; one unit per process is needed. "
                "Start them with: dask worker ADDRESS --nworkers N --nthreads 1."
            )
        # the dict holds the futures: dask forgets what nobody holds
        futures = {client.submit(task.work, pure=False): task.name for task in tasks}
        for future in dask.as_completed(list(futures)):
            try:
                future.result()
            except dask.KilledWorker:
                yield futures[future], False
            else:
                yield futures[future], True


@contextlib.contextmanager
def _attempts(client: Any) -> Iterator[None]:
    """Let the scheduler give up a task after as many dead workers as everywhere else, and leave it as it was."""

    def put(limit: int, dask_scheduler: Any = None) -> int:
        before = int(dask_scheduler.allowed_failures)
        dask_scheduler.allowed_failures = limit
        return before

    before = client.run_on_scheduler(put, MAX_ATTEMPTS - 1)
    try:
        yield
    finally:
        client.run_on_scheduler(put, before)
