"""What was computed last, kept for whoever asks for the same again: analyses of one session share their first steps."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Hashable, Iterator
from contextvars import ContextVar
from typing import NamedTuple, TypeVar, cast

Kept = TypeVar("Kept")


class _Kept(NamedTuple):
    key: object
    value: object
    #: Warnings that came with it
    said: list[warnings.WarningMessage]


#: By what it is; None where nobody shares.
_KEPT: ContextVar[dict[Hashable, _Kept] | None] = ContextVar("_KEPT", default=None)


@contextlib.contextmanager
def remembering() -> Iterator[None]:
    """Let what a block computes be computed once as long as its inputs stay the same."""
    before = _KEPT.set({})
    try:
        yield
    finally:
        _KEPT.reset(before)


def is_remembering() -> bool:
    """Whether something is kept here, so that it is worth to find out what is the same."""
    return _KEPT.get() is not None


def remembered(what: Hashable, key: object, make: Callable[[], Kept]) -> Kept:
    """Return what ``make`` returns; inside :func:`remembering` the value that it last made for an equal key.

    One value is kept of each thing (``what``), so memory does not grow with what is asked for. The key holds everything
    that the value depends on; a record of arrays is equal to itself only. Warnings are given again with the value.

    Examples
    --------
    >>> with remembering():
    ...     first = remembered("list", (1, 2), list)
    ...     remembered("list", (1, 2), list) is first, remembered("list", (1, 3), list) is first
    (True, False)
    """
    kept = _KEPT.get()
    if kept is None:
        return make()
    found = kept.get(what)
    if found is None or found.key != key:
        kept.pop(what, None)  # before the next one is in memory
        found = None
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            value = make()
        found = kept[what] = _Kept(key, value, said)
    for item in found.said:
        warnings.warn_explicit(item.message, item.category, item.filename, item.lineno)
    return cast(Kept, found.value)
