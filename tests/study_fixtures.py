"""Small study folders for the tests: files need to exist, nobody opens them here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

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
