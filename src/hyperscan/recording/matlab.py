"""Elements of a MATLAB level 5 file: a reader in C takes their tags at their word, and may crash on a wrong one.

Layout: MAT-File Format, The MathWorks, level 5. Compressed elements carry a checksum of their own.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from typing import NamedTuple

#: Types of elements.
MATRIX = 14
_FLAGS, _SIZES, _NAMES = {6}, {5, 6}, {1, 2, 16}  # some writers say unsigned, or UTF-8
_DATA = frozenset({1, 2, 3, 4, 5, 6, 7, 9, 12, 13, 16, 17, 18})

#: Classes of arrays: cell, struct, object; sparse; char and numbers. Others have layouts of their own.
_CELL, _STRUCT, _OBJECT, _SPARSE, _PLAIN = 1, 2, 3, 5, frozenset({4, *range(6, 16)})

#: Deeper nesting is no recording (our choice).
_MAX_DEPTH = 32


class Element(NamedTuple):
    """An element: its type, and where its data begin and end."""

    kind: int
    start: int
    stop: int


class MalformedError(ValueError):
    """An element that cannot be what its tag says."""


def check_matrix(data: memoryview, element: Element, order: str, depth: int = 0) -> None:
    """Check that everything within an array is where and what it says.

    Parameters
    ----------
    data : memoryview of bytes
        The file.
    element : Element
        An array (type 14).
    order : {'<', '>'}
        Byte order.
    depth : int
        Arrays around this one.

    Raises
    ------
    MalformedError
        If a tag cannot be right.
    """
    if element.start == element.stop:  # an empty array
        return
    parts = list(_elements(data, element.start, element.stop, order))
    if depth > _MAX_DEPTH or not _are(parts[:3], _FLAGS, _SIZES, _NAMES):
        raise MalformedError
    flags, shape, _, *rest = parts
    if flags.stop - flags.start != 8 or shape.stop - shape.start < 8:
        raise MalformedError
    word = _number(data, flags.start, order)
    kind, n_parts = word & 0xFF, 2 if word & 0x0800 else 1
    size = math.prod(_number(data, at, order) for at in range(shape.start, shape.stop, 4))
    if kind in (_CELL, _STRUCT, _OBJECT):
        inner = _contained(data, rest, kind, size, order)
        for part in inner:
            check_matrix(data, part, order, depth + 1)
    elif kind in _PLAIN or kind == _SPARSE:
        wanted = n_parts + 2 if kind == _SPARSE else n_parts
        if len(rest) != wanted or not {part.kind for part in rest} <= _DATA:
            raise MalformedError


def _contained(data: memoryview, rest: list[Element], kind: int, size: int, order: str) -> list[Element]:
    """Arrays within a cell or a struct, as many as there must be."""
    inner = rest
    if kind != _CELL:
        first = 1 if kind == _OBJECT else 0
        if not _are(rest[first : first + 2], _SIZES, _NAMES):
            raise MalformedError
        length, names, inner = rest[first], rest[first + 1], rest[first + 2 :]
        width = _number(data, length.start, order)
        if width == 0 or (names.stop - names.start) % width:
            raise MalformedError
        size *= (names.stop - names.start) // width
    if len(inner) != size or any(part.kind != MATRIX for part in inner):
        raise MalformedError
    return inner


def _are(parts: list[Element], *kinds: set[int]) -> bool:
    return len(parts) == len(kinds) and all(part.kind in kind for part, kind in zip(parts, kinds, strict=True))


def _elements(data: memoryview, start: int, stop: int, order: str) -> Iterator[Element]:
    at = start
    while at < stop:
        if at + 8 > stop:
            raise MalformedError
        kind, n_bytes = struct.unpack_from(f"{order}II", data, at)
        if kind >> 16:  # four bytes or fewer stand in the tag itself
            kind, n_bytes = kind & 0xFFFF, kind >> 16
            found, at = Element(kind, at + 4, at + 4 + n_bytes), at + 8
            if n_bytes > 4:
                raise MalformedError
        else:
            found = Element(kind, at + 8, at + 8 + n_bytes)
            at = found.stop if kind == MATRIX else found.stop + -n_bytes % 8
        if at > stop:
            raise MalformedError
        yield found


def _number(data: memoryview, at: int, order: str) -> int:
    return int(struct.unpack_from(f"{order}I", data, at)[0])
