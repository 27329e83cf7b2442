"""One numerical thread per process, whoever started it: sums keep their order, and units side by side are faster."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from threadpoolctl import threadpool_limits

#: What a process is given at its start, so that it has one from its first library on.
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"),
    "1",
)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Let the numerical libraries of this process use one thread, and put back what they used before.

    A product of matrices has other last digits with more threads, and for the sizes that occur it is slower.
    """
    import scipy.linalg  # noqa: F401 - it and numpy bring a library each; one that is not there yet cannot be told

    with threadpool_limits(1):
        yield
