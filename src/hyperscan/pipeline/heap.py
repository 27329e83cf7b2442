"""What a process of our own asks of the C library's memory: a worker's, and a command's, never a user's."""

from __future__ import annotations

import contextlib
import ctypes
import platform
from collections.abc import Iterator

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
