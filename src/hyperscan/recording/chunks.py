"""The chunks of an XDF file, walked before the reader sees them: a damaged length must not lead it astray."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from hyperscan.errors import ReadError
from hyperscan.recording.boundary import check_memory

#: Bytes of one value by the stream's channel_format (XDF specification 1.0); a text has a length and may be empty.
_WIDTHS = {"int8": 1, "int16": 2, "int32": 4, "int64": 8, "float32": 4, "double64": 8, "string": 1}
_SAMPLES, _HEADER = 3, 2
#: File header, stream header, samples, clock offset, boundary, stream footer.
_TAGS = range(1, 7)
#: A stream header describes channels: text, far below this (our choice).
_MAX_HEADER = 20_000_000


@dataclass
class _Walk:
    """Where the walk is, and what the stream headers said: smallest sample in bytes, channels."""

    file: BinaryIO
    size: int
    name: str
    streams: dict[int, tuple[int, int]]
    n_values: int = 0


def check_chunks(path: Path, name: str) -> bool:
    """Check that chunks follow each other to the end, and that none claims more samples than it can hold.

    Parameters
    ----------
    path : Path
        XDF file.
    name : str
        The path as messages show it.

    Returns
    -------
    bool
        Whether the last chunk was cut off.

    Raises
    ------
    ReadError
        If a length, a tag, a stream header or a number of samples cannot be.
    """
    with path.open("rb") as file:
        walk = _Walk(file, path.stat().st_size, name, {})
        file.seek(4)
        while file.tell() < walk.size:
            start = file.tell()
            length = _number(file)
            if length is None:
                return True
            stop = file.tell() + length
            if not _look(walk, start, length):
                return True
            if stop > walk.size:
                return True
            file.seek(stop)
        check_memory(walk.n_values, name)
    return False


def _number(file: BinaryIO) -> int | None:
    """Read a length: its own width, then little-endian; None where the file ends within."""
    width = file.read(1)
    if not width:
        return None
    if width[0] not in (1, 4, 8):
        return -1
    content = file.read(width[0])
    return int.from_bytes(content, "little") if len(content) == width[0] else None


def _look(walk: _Walk, start: int, length: int) -> bool:
    """Look into one chunk; False where the file ends before its contents begin."""
    if length < 2:
        raise _damage(walk, start, "a chunk without a length")
    head = walk.file.read(2)
    if len(head) < 2:
        return False
    tag = struct.unpack("<H", head)[0]
    if tag not in _TAGS:
        raise _damage(walk, start, f"a chunk of the unknown kind {tag}")
    if tag not in (_HEADER, _SAMPLES):
        return True
    ident = walk.file.read(4)
    if len(ident) < 4:
        return False
    stream = struct.unpack("<I", ident)[0]
    if tag == _HEADER:
        walk.streams[stream] = _stream(walk, start, length - 6)
        return True
    return _samples(walk, start, stream, length - 6)


def _stream(walk: _Walk, start: int, length: int) -> tuple[int, int]:
    if not 0 < length <= _MAX_HEADER:
        raise _damage(walk, start, "a stream header of an impossible size")
    text = walk.file.read(length).decode("utf-8", errors="replace")
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise _damage(walk, start, "a stream header that defines entities, which XDF has no use for,")
    count = re.search(r"<channel_count>\s*([0-9]{1,7})\s*</channel_count>", text)
    form = re.search(r"<channel_format>\s*(\w+)\s*</channel_format>", text)
    if count is None or form is None or form[1] not in _WIDTHS:
        raise _damage(walk, start, "a stream header without channel_count or channel_format")
    # one byte in front of each sample says whether a time stamp follows
    return 1 + int(count[1]) * _WIDTHS[form[1]], int(count[1])


def _samples(walk: _Walk, start: int, stream: int, length: int) -> bool:
    if stream not in walk.streams:
        raise _damage(walk, start, "samples of a stream that has no header")
    n = _number(walk.file)
    if n is None:
        return False
    smallest, n_channels = walk.streams[stream]
    if n < 0 or n * smallest > length:
        raise _damage(walk, start, f"a chunk of {length} bytes that claims {n} samples")
    walk.n_values += n * n_channels
    return True


def _damage(walk: _Walk, start: int, what: str) -> ReadError:
    return ReadError(
        f"{walk.name}: is damaged at byte {start} of {walk.size}: {what} stands there. "
        "Copy it again from the recording computer, or export it anew."
    )
