"""What a process of our own asks of the C library's memory; and one numerical thread in every process."""

from __future__ import annotations

import contextlib
import ctypes
import platform
from collections.abc import Iterator

from threadpoolctl import threadpool_limits

#: ``M_TRIM_THRESHOLD`` and ``M_MMAP_MAX`` of glibc's malloc.h, and their defaults.
_TRIM, _MAPS = (-1, 128 * 1024), (-4, 65536)


@contextlib.contextmanager
def kept_memory() -> Iterator[None]:
    """Keep the memory of freed arrays for the next ones, and give it back to the system at the end.

    The C library of Linux maps every large array anew, and the system clears its pages: a third of the time of a
    session. Elsewhere nothing is changed.
    """
    library = _library()
    if library is None:
        yield
        return
    library.mallopt(_TRIM[0], 2**31 - 1)
    library.mallopt(_MAPS[0], 0)
    try:
        yield
    finally:
        library.mallopt(*_MAPS)
        library.mallopt(*_TRIM)
        library.malloc_trim(0)


def give_back() -> None:
    """Give freed memory back to the system, as between the stages of a run; no setting is changed."""
    library = _library()
    if library is not None:
        library.malloc_trim(0)


def _library() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None


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
