"""Units side by side: on this machine, one numerical thread each, or on a Dask scheduler."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from joblib.externals.loky.backend import get_context
from joblib.externals.loky.process_executor import BrokenProcessPool, ProcessPoolExecutor
from tqdm import tqdm

from hyperscan.errors import ClusterError, HyperscanError, InputError, count
from hyperscan.pipeline.lock import LOCK_NAME, join_writers
from hyperscan.pipeline.process import ONE_THREAD, give_back, kept_memory, one_thread
from hyperscan.pipeline.unit import all_versions
from hyperscan.storage import landing_if

logger = logging.getLogger(__name__)

Item = TypeVar("Item")

#: Names of tasks in the order they end, and whether their worker lived.
Done = Generator[tuple[str, bool], None, None]

#: A unit whose worker dies is tried once more; then it is left out (our choice).
MAX_ATTEMPTS = 2

#: How often a worker looks whether its parent is still there, in s: an orphan must not write into the
#: output of the next run.
WATCH_S = 0.25

#: How long a Dask scheduler may take to answer, and be without any worker, in s; how often it is asked (our choice).
CONNECT_S, WORKERS_S, POLL_S = 10, 120, 0.05

THREADS = (
    "--cluster: workers have several threads each; one unit per process is needed. "
    "Start them with: dask worker ADDRESS --nworkers N --nthreads 1."
)


@dataclass(frozen=True)
class Task:
    """One piece of work that leaves its result in files."""

    #: Of the unit, ``dyad-D01/ses-01``
    name: str
    #: ``functools.partial`` of a module's function, which other processes find; small: recordings go by path
    work: Callable[[], object]
    #: Folder that it makes: two tasks that make the same one are the same
    makes: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where units are worked on."""

    #: Worker processes on this machine; 1 = this process itself
    n_jobs: int = 1
    #: Address of a Dask scheduler, which replaces them
    cluster: str | None = None
    #: Folder that workers write into, which the next run waits for; those of a cluster must see it, and the studies
    output: Path | None = None
    inputs: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        if self.n_jobs < 1:  # elsewhere -1 is all processors; here their memory decides
            raise InputError(f"n_jobs = {self.n_jobs}: expected a whole number from 1 on.")


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
        done = _on_cluster(tasks, place)
    elif place.n_jobs == 1:
        done = _here(tasks)
    else:
        done = _side_by_side(tasks, replace(place, n_jobs=min(place.n_jobs, len(tasks))))
    lost = []
    with contextlib.closing(done):  # an interrupt stops the workers before it goes on
        for name, alive in follow(done, len(tasks), label, progress=progress):
            tell(f"{label}: {name} {'done' if alive else 'lost its worker twice'}")
            if not alive:
                lost.append(name)
    return sorted(lost)


#: How often a bar moves while a unit lasts, and how often a log says how far it is, in s (our choice).
MOVES_S, TELLS_S = 1.0, 5.0


def follow(done: Iterable[Item], total: int, label: str, *, progress: bool = True) -> Iterator[Item]:
    """Show how far a stage is, and that it goes on while a unit lasts."""
    with under_way(label, total, progress=progress) as ended:
        for each in done:
            ended()
            yield each


@contextlib.contextmanager
def under_way(label: str, total: int = 1, *, progress: bool = True) -> Iterator[Callable[[], object]]:
    """Show that a stage goes on: a bar on a terminal, lines elsewhere; what is yielded is called when a unit ended."""
    terminal, began = sys.stderr.isatty(), time.monotonic()
    n_ended, over = 0, threading.Event()
    unit = "session" if total > 1 else "step"
    with tqdm(total=total, desc=label, unit=unit, disable=not (progress and terminal)) as bar:

        def end() -> None:
            nonlocal n_ended
            n_ended += 1
            bar.update()

        def move() -> None:
            while not over.wait(MOVES_S if terminal else TELLS_S):
                if terminal:
                    bar.refresh()
                else:
                    far = f"{n_ended} of {total}, " * (total > 1)
                    logger.info("%s: %s%.0f s", label, far, time.monotonic() - began)

        if progress:
            threading.Thread(target=move, daemon=True).start()
        try:
            yield end
        finally:
            over.set()


class _Running(NamedTuple):
    """A task in its worker."""

    task: Task
    attempt: int
    executor: ProcessPoolExecutor


def _here(tasks: Sequence[Task]) -> Done:
    for task in tasks:
        task.work()
        yield task.name, True
    give_back()


def _side_by_side(tasks: Sequence[Task], place: Place) -> Done:
    """Give every worker its own executor: when one dies, it is known which task it had."""
    waiting = deque((task, 1) for task in tasks)
    running: dict[Future[Any], _Running] = {}
    idle: list[ProcessPoolExecutor] = []
    try:
        _take(place, idle)
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
                    idle.append(_worker(place.output))
                    if attempt < MAX_ATTEMPTS:
                        logger.warning("%s: its worker died; it is tried once more", task.name)
                        waiting.appendleft((task, attempt + 1))
                    else:
                        yield task.name, False
                except BaseException:
                    idle.append(executor)  # its worker lives, and must be stopped as all others
                    raise
                else:
                    idle.append(executor)
                    yield task.name, True
    finally:
        _stop([each.executor for each in running.values()])
        _put_back(place, idle)


#: Idle workers by the output that they write into, of the run that is under way; None: each stage has its own.
_KEPT: ContextVar[dict[Path | None, list[ProcessPoolExecutor]] | None] = ContextVar("kept", default=None)


@contextlib.contextmanager
def kept_workers() -> Iterator[None]:
    """Let the workers of one stage do the tasks of the next: each takes seconds to start."""
    kept: dict[Path | None, list[ProcessPoolExecutor]] = {}
    before = _KEPT.set(kept)
    try:
        yield
    finally:
        _KEPT.reset(before)
        _stop([executor for executors in kept.values() for executor in executors])


def _take(place: Place, idle: list[ProcessPoolExecutor]) -> None:
    """Add as many workers as asked for, those that are kept first; an interrupt leaves none that nobody stops."""
    kept = (_KEPT.get() or {}).get(place.output, [])
    while kept and len(idle) < place.n_jobs:
        idle.append(kept.pop())
        if not _answers(idle[-1]):
            idle.pop()
    while len(idle) < place.n_jobs:
        idle.append(_worker(place.output))


def _put_back(place: Place, idle: list[ProcessPoolExecutor]) -> None:
    kept = _KEPT.get()
    if kept is None:
        _stop(idle)
        return
    kept.setdefault(place.output, []).extend(idle)
    for executor in idle:
        _answers(executor)  # one that does not is replaced when it is asked for


def _answers(executor: ProcessPoolExecutor) -> bool:
    """Whether an idle worker lives; it gives freed memory back."""
    try:
        executor.submit(give_back).result()
    except BrokenProcessPool:
        executor.shutdown(wait=False, kill_workers=True)
        return False
    return True


def _stop(executors: Iterable[ProcessPoolExecutor]) -> None:
    for executor in executors:
        executor.shutdown(wait=True, kill_workers=True)


def _worker(output: Path | None) -> ProcessPoolExecutor:
    start = partial(_start_worker, os.getpid(), output)
    return ProcessPoolExecutor(max_workers=1, context=get_context("loky"), initializer=start, env=ONE_THREAD)


#: What a worker holds until it ends: a context that nobody refers to is left at once.
_UNTIL_END = contextlib.ExitStack()


def _start_worker(parent: int, output: Path | None) -> None:
    # Ctrl-C reaches the whole group; the parent decides, and stops its workers itself
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if output is not None:
        join_writers(output)  # until it ends, which the next run waits for
    _UNTIL_END.enter_context(landing_if(lambda: contextlib.nullcontext(os.getppid() == parent)))  # without such locks
    if os.getppid() != parent:
        os._exit(1)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    _UNTIL_END.enter_context(kept_memory())


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(WATCH_S)
    os._exit(1)


def _on_cluster(tasks: Sequence[Task], place: Place) -> Done:
    """Hand the same tasks to a Dask scheduler, which gives a lost worker's task to another one."""
    address = place.cluster
    try:
        import distributed
    except ImportError as error:
        raise InputError("--cluster needs dask. Install the extra: pip install 'hyperscan-mne[cluster]'.") from error
    dask: Any = distributed  # ships no types
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of versions: every worker's are compared before it gets any work
            client = dask.Client(address, timeout=CONNECT_S, set_as_default=False)
    except Exception as error:  # every kind of address fails in a way of its own
        secured = str(address).startswith(("tls:", "wss:")) and not isinstance(error, TimeoutError)
        raise InputError(
            f"--cluster {address}: a secured scheduler needs certificates. Name them in Dask's configuration "
            "(distributed.comm.tls) on every machine."
            if secured
            else f"--cluster {address}: no Dask scheduler answers. Start one (dask scheduler) and check the address."
        ) from error
    wanted = Conditions.here(place.output, place.inputs)
    with client, client.as_current():
        logger.info("--cluster: waiting for workers" if not client.nthreads() else "--cluster: workers are there")
        try:
            client.wait_for_workers(1, timeout=WORKERS_S)
        except Exception as error:  # TimeoutError, whose class differs between versions
            raise InputError(
                f"--cluster {address}: the scheduler has no worker after {WORKERS_S} s. Start some: "
                "dask worker ADDRESS --nworkers N --nthreads 1."
            ) from error
        if any(threads > 1 for threads in client.nthreads().values()):
            raise InputError(THREADS)
        with _attempts(client):
            # the dict holds the futures: dask forgets what nobody holds
            futures = {client.submit(do_checked, task.work, wanted, pure=False): task.name for task in tasks}
            try:
                for future in _arriving(dask.as_completed(list(futures)), client, address):
                    name, status = futures[future], future.status
                    try:
                        # asking for the result of one that ended well would wait for the worker that may be gone since
                        if status in ("error", "cancelled"):
                            future.result()
                    except dask.KilledWorker:
                        yield name, False
                    except HyperscanError:
                        raise
                    except Exception as error:
                        lost = status == "cancelled" or client.status != "running"
                        raise _translated(error, address, lost=lost) from error
                    else:
                        yield name, True
                    future.release()  # else it would be done again when its worker goes
            finally:
                if client.status == "running":
                    client.cancel(list(futures), force=True)


def _arriving(done: Any, client: Any, address: str | None) -> Iterator[Any]:
    """Give futures as they end; a cluster that has no worker left for long ends the run."""
    asked = seen = time.monotonic()
    while not done.is_empty():
        batch = done.next_batch(block=False)
        yield from batch
        now = time.monotonic()
        if batch:
            seen = now
        elif now - asked > min(CONNECT_S, WORKERS_S / 2) and client.status == "running":
            asked = now
            with contextlib.suppress(OSError):  # of a scheduler that goes this very moment
                if client.nthreads():
                    seen = now
                elif now - seen > WORKERS_S:
                    raise ClusterError(
                        f"--cluster {address}: all workers are gone since {now - seen:.0f} s. Start some, and the same "
                        "command: finished sessions are kept."
                    )
        else:
            time.sleep(POLL_S)


def _translated(error: Exception, address: str | None, *, lost: bool) -> Exception:
    """Say what went wrong with a cluster, where it was no fault of the task itself."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if lost or kinds & {"CancelledError", "FutureCancelledError", "CommClosedError", "SchedulerClosed"}:
        return ClusterError(
            f"--cluster {address}: the scheduler ended or dropped the work. Start it again, and the same command: "
            "finished sessions are kept."
        )
    if "deseriali" in str(error).lower() or kinds & {"ModuleNotFoundError", "UnpicklingError"}:
        return ClusterError(
            f"--cluster {address}: a worker cannot take up the work ({type(error).__name__}). Install the same version "
            "of this package and of its libraries on every machine."
        )
    return error


@dataclass(frozen=True)
class Conditions:
    """What a worker must have in common with the run, so that its numbers are the run's."""

    #: By name, with the code of this package
    versions: Mapping[str, str]
    #: Lock of the output folder, and its text: it names the run; None without an output folder
    lock: Path | None
    holder: str
    #: Folders that must be seen
    folders: tuple[Path, ...]

    @classmethod
    def here(cls, output: Path | None, inputs: Sequence[Path]) -> Conditions:
        """Describe this process."""
        lock = None if output is None else output / LOCK_NAME
        held = lock.read_text(encoding="utf-8") if lock is not None and lock.is_file() else ""
        return cls(all_versions(), lock if held else None, held, tuple(inputs))

    def check(self) -> None:
        """Refuse a worker that differs: one that came late too."""
        mine = all_versions()
        odd = [
            f"{name} {mine.get(name, 'none')} for {held}"
            for name, held in self.versions.items()
            if mine.get(name) != held
        ]
        if odd:
            raise ClusterError(
                f"--cluster: a worker has other versions than this run ({', '.join(odd[:3])[:160]}). "
                "Install the same ones on every machine."
            )
        if not self.holds():
            raise ClusterError(
                "--cluster: a worker does not see this run's output folder, or another one under its name. "
                "Use a folder that all machines see under one path."
            )
        for folder in self.folders:
            if not folder.is_dir():
                raise ClusterError(
                    "--cluster: a worker does not see the study's folder. "
                    "Put it where all machines see it under one path."
                )

    @contextlib.contextmanager
    def landing(self) -> Iterator[bool]:
        """Say whether a result may land; the next run waits while it does."""
        descriptor = None if self.lock is None else join_writers(self.lock.parent)
        try:
            yield self.holds()
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def holds(self) -> bool:
        """Whether the run still has its output folder: what ends later must not land there."""
        try:
            return self.lock is None or self.lock.read_text(encoding="utf-8") == self.holder
        except OSError:
            return False


def do_checked(work: Callable[[], object], wanted: Conditions) -> object:
    """Do a task on a worker that was checked, one at a time; it lands only while the run goes on."""
    wanted.check()
    if not _ALONE.acquire(blocking=False):
        # warnings are caught per process in Python, so two units in one process would mix up theirs
        raise ClusterError(THREADS)
    try:
        with landing_if(wanted.landing), one_thread():
            return work()
    finally:
        _ALONE.release()


#: Held by the task that this process is at.
_ALONE = threading.Lock()


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
        if client.status == "running":
            with contextlib.suppress(OSError):  # of a scheduler that goes this very moment
                client.run_on_scheduler(put, before)
