"""Units side by side on this machine, one numerical thread each."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from joblib import Parallel, delayed, parallel_config
from tqdm import tqdm

logger = logging.getLogger(__name__)

Task = tuple[Callable[..., Any], tuple[Any, ...]]


def run_tasks(tasks: Sequence[Task], n_jobs: int, label: str, *, progress: bool = True) -> None:
    """Do tasks in any order; each leaves its result in files.

    Parameters
    ----------
    tasks : sequence of (callable, arguments)
        Independent of each other.
    n_jobs : int
        Worker processes; 1 = here.
    label : str
        What the progress bar says.
    progress : bool
        Show the bar.
    """
    if not tasks:
        return
    logger.info("%s: %d dyad-sessions", label, len(tasks))
    with parallel_config(backend="loky", n_jobs=n_jobs, inner_max_num_threads=1):
        done = Parallel(return_as="generator_unordered")(delayed(work)(*arguments) for work, arguments in tasks)
        for _ in tqdm(done, total=len(tasks), desc=label, unit="session", disable=None if progress else True):
            pass
