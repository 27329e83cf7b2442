"""Small study folders for the tests: files need to exist, nobody opens them here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import h5py
import numpy as np
import pytest

from hyperscan.errors import TableError
from hyperscan.study import Draft, read_table

REQUIRED = ("dyad", "therapist", "client", "session", "modality", "therapist_file", "client_file")


def a_row(dyad: int = 1, session: int = 1, /, **changes: str) -> dict[str, str]:
    """Return a sound row; keyword arguments replace or add cells."""
    folder = f"dyad-{dyad:02d}/ses-{session:02d}"
    row = {
        "dyad": f"D{dyad:02d}",
        "therapist": f"T{dyad:02d}",
        "client": f"C{dyad:02d}",
        "session": str(session),
        "modality": "eeg",
        "therapist_file": f"{folder}/therapist.edf",
        "client_file": f"{folder}/client.edf",
    }
    return row | changes


def rows_of(dyads: int = 2, sessions: int = 3) -> list[dict[str, str]]:
    """Return sound rows of several dyads."""
    return [a_row(i, s) for i in range(1, dyads + 1) for s in range(1, sessions + 1)]


def touch(root: Path, *names: str) -> None:
    """Create files that differ from each other, with their folders."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


def write_table(
    root: Path,
    rows: Iterable[Mapping[str, str]],
    *,
    name: str = "dyads.tsv",
    files: bool = True,
    absent: tuple[str, ...] = ("gone.edf", "dyad-99/x.edf"),
    encoding: str = "utf-8",
    newline: str = "\n",
) -> Path:
    """Write a table with the union of the rows' columns, and the files that its rows name."""
    rows = list(rows)
    columns = list(dict.fromkeys(column for row in rows for column in row))
    separator = "\t" if name.endswith(".tsv") else ","
    lines = [separator.join(columns)] + [separator.join(row.get(c, "n/a") for c in columns) for row in rows]
    path = root / name
    root.mkdir(parents=True, exist_ok=True)
    path.write_bytes((newline.join(lines) + newline).encode(encoding))
    if files:
        paths = {row.get(column, "") for row in rows for column in ("therapist_file", "client_file")}
        touch(root, *(p for p in paths if p.endswith(".edf") and p not in absent))
    return path


REMEDY = re.compile(
    r"\b(Write|Correct|Give|Fill|Keep|Remove|Put|Rename|Mend|Save|Use|Name|Add|Spell|Download|Separate|"
    r"Did you mean|Compare|Look|Begin|allowed|expected|drafts|Check)\b"
)


def says(message: str, *facts: str) -> None:
    """Assert that a message names the facts, offers a remedy, and is short."""
    for fact in facts:
        assert fact in message, f"{fact!r} is not in: {message}"
    assert REMEDY.search(message), f"no remedy in: {message}"
    assert "Traceback" not in message
    assert len(message.splitlines()) <= 3


def only_rejection(root: Path, rows: list[dict[str, str]], **options: object) -> str:
    table = read_table(write_table(root, rows, **options))
    assert len(table.rejected) == 1, [str(row) for row in table.rejected]
    assert len(table.sessions) == len(rows) - 1
    return str(table.rejected[0])


def structure_fault(path: Path) -> TableError:
    with pytest.raises(TableError) as caught:
        read_table(path)
    assert caught.value.problems or caught.value.args
    return caught.value


def rejected_lines(root: Path, rows: list[dict[str, str]], fact: str) -> list[int]:
    table = read_table(write_table(root, rows))
    for row in table.rejected:
        says(str(row), fact)
    return [row.line for row in table.rejected]


def cells(draft: Draft, *columns: str) -> list[tuple[str, ...]]:
    return [tuple(row) for row in draft.rows[list(columns)].to_numpy().tolist()]


def asks(draft: Draft, *facts: str) -> None:
    text = "\n".join(draft.questions)
    for fact in facts:
        assert fact in text, f"{fact!r} is not asked in: {text}"
    for question in draft.questions:
        assert ":" in question
        assert "ill in" in question


def bids(root: Path, *names: str) -> None:
    """Make files from BIDS names, in the folders that the names tell."""
    for name in names:
        parts = [part for part in name.split("_") if part.startswith(("sub-", "ses-"))]
        datatype = "nirs" if "_nirs." in name else "eeg"
        touch(root, "/".join([*parts, datatype, name]))
    touch(root, "dataset_description.json")


def xdf(path: Path, *streams: tuple[str, str]) -> None:
    """Write an XDF file of stream headers only: the magic word, then chunks of tag 2."""
    data = b"XDF:"
    for number, (name, kind) in enumerate(streams, 1):
        info = (
            f"<?xml version='1.0'?><info><name>{name}</name><type>{kind}</type>"
            "<channel_count>8</channel_count><nominal_srate>250</nominal_srate><channel_format>float32</channel_format>"
            "<source_id>s</source_id><uid>u</uid><session_id>x</session_id><hostname>h</hostname><created_at>1</created_at></info>"
        ).encode()
        content = (2).to_bytes(2, "little") + number.to_bytes(4, "little") + info
        data += b"\x04" + len(content).to_bytes(4, "little") + content
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def snirf(path: Path, *groups: str, sources: int = 16) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for group in groups:
            file[f"{group}/probe/sourcePos3D"] = np.zeros((sources, 3))
