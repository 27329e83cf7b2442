"""Plain ``.mat`` and text tables: numbers whose meaning a JSON sidecar declares."""

from __future__ import annotations

import re
import warnings
from array import array
from dataclasses import dataclass
from pathlib import Path

import mne
import numpy as np
import scipy.io

from hyperscan.errors import DataQualityWarning, ReadError
from hyperscan.recording.files.bids import Sidecar
from hyperscan.recording.files.matlab import check_matlab, check_version
from hyperscan.recording.files.units import factor_to_si
from hyperscan.recording.guard import check_memory, check_names
from hyperscan.recording.records import PersonRecording

#: Signs from which on a line is looked at before its cells are made, and the memory of these, in numbers: a cell and
#: its comma take two signs or more.
_LONG, _VALUES_PER_SIGN = 1_000_000, 6

#: What Python reads as a number and no program writes (1_000, digits of other scripts), and what a decimal comma leaves
#: behind it where commas separate columns (0,05).
_NO_NUMBER = re.compile(r"[^\x00-\x7f]|_|(?<![\d.eE])(?<![eE][+-])0\d")

#: Units that a sidecar may name, for messages.
_KNOWN_UNITS = "V, mV, uV, nV, M, mM, uM"
_FORM = '{"SamplingFrequency": 250, "ChannelNames": ["Fz", "Cz"], "Unit": "uV"}'


@dataclass(frozen=True)
class _Declared:
    """What the numbers of a table are."""

    sfreq: float
    names: tuple[str, ...]
    kinds: tuple[str, ...]
    #: To SI
    factor: float
    #: Name of the matrix; None if there is only one
    variable: str | None


def read_numbers(path: Path, name: str) -> PersonRecording:
    """Read a text table: one row per sample, one column per channel.

    ``NAME_sidecar.json`` next to ``NAME.csv`` declares ``SamplingFrequency`` (Hz), ``ChannelNames`` and ``Unit`` (V,
    mV, uV, nV; for haemoglobin M, mM, uM with names ending in ``hbo`` or ``hbr``).
    """
    declared = _declared(path, name)
    values = table_of_numbers(path, name)
    _check_head(path, declared.names, name)
    return _recording(values, declared, name)


def _check_head(path: Path, names: tuple[str, ...], name: str) -> None:
    """Refuse a line of names that has a channel of the sidecar at another place: samples would get the wrong name."""
    with path.open(encoding="utf-8-sig", errors="replace") as lines:
        head = next((line for line in lines if line.strip()), "")
    separator = next((each for each in ("\t", ";", ",") if each in head), None)
    if _numbers(head.rstrip("\r\n"), separator) is not None:  # no names
        return
    cells = [cell.strip().strip("\"'") for cell in head.split(separator)]
    moved = [cell for place, cell in enumerate(cells, start=1) if cell in names and names.index(cell) + 1 != place]
    if moved:
        raise ReadError(
            f"{name}: its first line has {moved[0][:20]!r} as column {cells.index(moved[0]) + 1}, its sidecar names it "
            f"as channel {names.index(moved[0]) + 1}. Write ChannelNames in the order of the columns."
        )


def table_of_numbers(path: Path, name: str) -> np.ndarray:
    """Read the numbers of a text table, below a line of names or without one; empty cells are NaN.

    Shapes: returns (n_rows, n_columns).
    """
    check_memory(path.stat().st_size, name)
    values, n_rows, n_columns, line = array("d"), 0, 0, ""
    separator: str | None = ""  # until the first line tells
    is_blank = False
    with path.open(encoding="utf-8-sig", errors="replace") as lines:
        for line in lines:
            is_first, was_blank, is_blank = separator == "", is_blank, not line.strip()
            if is_blank:
                continue
            if len(line) > _LONG:
                check_memory(_VALUES_PER_SIGN * len(line), name)
            if is_first:
                separator = next((each for each in ("\t", ";", ",") if each in line), None)
            row = _numbers(line.rstrip("\r\n"), separator)
            if row is None and is_first:  # names
                continue
            n_columns = n_columns or len(row or ())
            if row is None or len(row) != n_columns or (was_blank and not is_first):
                raise ReadError(
                    f"{name}: row {n_rows + 1} of the table is not {n_columns or 'any'} numbers. Write one row per "
                    "sample and one column per channel, with decimal points."
                )
            values.extend(row)
            n_rows += 1
    if not n_rows:
        raise ReadError(f"{name}: holds no numbers. Write one row per sample and one column per channel.")
    if not line.endswith("\n"):
        warnings.warn(
            f"{name}: its last line does not end with a line break, so it may be cut off. Check it, or export it anew.",
            DataQualityWarning,
            stacklevel=2,
        )
    return np.array(values).reshape(n_rows, n_columns)


def _numbers(line: str, separator: str | None) -> list[float] | None:
    """Read a line's numbers; None if it holds something else, as names, or what is left of a number at its comma."""
    line = line.replace(",", ".") if separator == ";" else line
    if _NO_NUMBER.search(line):
        return None
    try:
        return [float(cell) if cell.strip() else np.nan for cell in line.split(separator)]
    except ValueError:
        return None


def read_matlab(path: Path, name: str) -> PersonRecording:
    """Read a matrix of a MATLAB file that a JSON sidecar describes."""
    declared = _declared(path, name)
    check_matlab(path, name)
    check_version(path, name)
    shapes = {
        key: shape
        for key, shape, kind in scipy.io.whosmat(path)
        if kind in ("double", "single") and len(shape) == 2 and min(shape) >= 1 and max(shape) > 1
    }
    fits = [key for key in shapes if declared.variable in (None, key)]
    if len(fits) != 1:
        listed = ", ".join(f"{key[:20]} {n}x{m}" for key, (n, m) in list(shapes.items())[:6]) or "none"
        raise ReadError(
            f"{name}: cannot tell which matrix is the recording (there: {listed}). "
            'Name it in the sidecar: "Variable": "NAME".'
        )
    check_memory(int(np.prod(shapes[fits[0]], dtype=object)), name, path.stat().st_size)
    held = scipy.io.loadmat(path, variable_names=fits)[fits[0]]
    return _recording(np.asarray(held, dtype=float), declared, name)


def _recording(data: np.ndarray, declared: _Declared, name: str) -> PersonRecording:
    n = len(declared.names)
    if n not in data.shape or data.ndim != 2:
        raise ReadError(
            f"{name}: is a table of {' x '.join(map(str, data.shape))}, but its sidecar names {n} channels. "
            "Name every column, in its order."
        )
    data = data.T if data.shape[1] == n else data
    info = mne.create_info(list(declared.names), declared.sfreq, list(declared.kinds))
    raw = mne.io.RawArray(np.ascontiguousarray(data) * declared.factor, info, verbose="WARNING")
    return PersonRecording(raw)


def _declared(path: Path, name: str) -> _Declared:
    beside = path.with_name(f"{path.stem}_sidecar.json")
    if not beside.exists():
        raise ReadError(
            f"{name}: a plain table needs {beside.name} beside it, which says what the numbers are, such as\n{_FORM}\n"
            "Write it, or export the recording as EDF, FIF or SNIRF."
        )
    try:
        sidecar = Sidecar.read(beside)
    except (ValueError, RecursionError, OverflowError) as error:
        raise ReadError(
            f"{name}: its sidecar is not valid JSON ({type(error).__name__}). Write it as\n{_FORM}"
        ) from error
    rate, names = sidecar.sfreq or 0.0, sidecar.channels
    volts, molar = (factor_to_si(sidecar.unit, base) if sidecar.unit else None for base in ("V", "M"))
    if not 0 < rate < 1e6 or not names or len(set(names)) < len(names) or not (volts or molar):
        raise ReadError(
            f"{name}: its sidecar needs SamplingFrequency (Hz), ChannelNames (all different) and Unit "
            f"({_KNOWN_UNITS}). Write it as\n{_FORM}"
        )
    check_names(names, name)
    if volts:
        return _Declared(rate, names, ("eeg",) * len(names), volts, sidecar.variable)
    kinds = tuple(each.lower()[-3:] for each in names)
    if not set(kinds) <= {"hbo", "hbr"}:
        raise ReadError(
            f"{name}: its sidecar gives a unit of haemoglobin, so channel names must end in ' hbo' or ' hbr'. "
            "Rename them."
        )
    return _Declared(rate, names, kinds, molar or 1.0, sidecar.variable)
