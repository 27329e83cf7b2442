"""One row of ``dyads.tsv`` -> values, with every fault of the row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hyperscan.errors import InputError
from hyperscan.study import cells
from hyperscan.study.columns import OPTIONAL
from hyperscan.study.grid import Row
from hyperscan.study.paths import study_path
from hyperscan.study.selectors import Selector, disjoint

_IDS: Mapping[str, Callable[[str], Any]] = {
    "dyad": cells.label,
    "therapist": cells.label,
    "client": cells.label,
    "session": cells.session_number,
    "modality": cells.modality,
}
_FILES = ("therapist_file", "client_file")


@dataclass(frozen=True)
class Entry:
    """A row whose cells were read.

    Parameters
    ----------
    line : int
        Line of the table.
    values : mapping
        Column -> value; columns without a (usable) value are absent.
    faults : tuple of str
        What keeps the row from being used.
    """

    line: int
    values: Mapping[str, Any]
    faults: tuple[str, ...] = ()

    @property
    def included(self) -> bool:
        """Whether the row asks to be analysed."""
        return bool(self.values.get("include", True))

    @property
    def key(self) -> tuple[Any, ...] | None:
        """Dyad, session, modality, task and run; None where one of them cannot be read."""
        if not {"dyad", "session", "modality"} <= set(self.values):
            return None
        parts = (self.values[name] for name in ("dyad", "session", "modality"))
        return (*parts, self.values.get("task", ""), self.values.get("run", ""))


def read_row(row: Row, root: Path) -> Entry:
    """Read every cell of a row.

    Parameters
    ----------
    row : Row
        Line of the table.
    root : Path
        Study folder, resolved.

    Returns
    -------
    Entry
        With every fault found, not only the first.
    """
    values: dict[str, Any] = {}
    faults: list[str] = [row.fault] if row.fault else []
    readers = {**_IDS, **dict.fromkeys(_FILES, lambda text: study_path(text, root)), **OPTIONAL}
    for column, reader in readers.items():
        text = row.cells.get(column, "")
        if not cells.is_missing(text):
            _read_cell(column, text, reader, values, faults)
        elif column not in OPTIONAL:
            faults.append(f"{column} is empty. Fill it in.")
    if not values.get("include", True):
        return Entry(row.line, values)
    return Entry(row.line, _one_path(values), (*faults, *_check(values)))


def _read_cell(column: str, text: str, reader: Callable[[str], Any], values: dict[str, Any], faults: list[str]) -> None:
    try:
        values[column] = reader(text)
    except InputError as error:
        # a date is personal: it is not repeated
        value = "" if column == "date" else f" = {cells.shown(text)}"
        faults.append(f"{column}{value}: {error}")


def _one_path(values: dict[str, Any]) -> dict[str, Any]:
    """Give both people the same path where both names lead to one file."""
    if _one_file(values):
        return {**values, "client_file": values["therapist_file"]}
    return values


def _one_file(values: Mapping[str, Any]) -> bool:
    if not set(_FILES) <= set(values):
        return False
    therapist, client = (values[name] for name in _FILES)
    return bool(therapist == client or therapist.samefile(client))


def _check(values: Mapping[str, Any]) -> list[str]:
    faults = []
    if "therapist" in values and values.get("therapist") == values.get("client"):
        faults.append(f"therapist and client are both {values['therapist']!r}. Give the two people two ids.")
    if values.get("start_s", 0.0) >= values.get("stop_s", float("inf")):
        faults.append(
            f"stop_s = {values['stop_s']:g} is not after start_s = {values.get('start_s', 0.0):g}. Correct one of them."
        )
    offsets = [name for name in ("therapist_offset_s", "client_offset_s") if name in values]
    if len(offsets) == 1 or (values.get("clock") == "offset" and not offsets):
        faults.append("a declared offset needs both therapist_offset_s and client_offset_s. Fill in both.")
    if _one_file(values):
        faults += _check_one_file(values)
    return faults


def _check_one_file(values: Mapping[str, Any]) -> list[str]:
    therapist: Selector | None = values.get("therapist_channels")
    client: Selector | None = values.get("client_channels")
    remedy = "Name each person's part in therapist_channels and client_channels, for example 1-32 and 33-64"
    file = cells.shown(values["therapist_file"].name)
    if therapist is None or client is None:
        return [f"both people are in one file ({file}), but nothing says who is where. {remedy}."]
    if not disjoint(therapist, client):
        return [f"both people are in one file ({file}), and '{therapist}' and '{client}' may overlap. {remedy}."]
    return []
