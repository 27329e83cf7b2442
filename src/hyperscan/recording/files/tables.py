"""Plain ``.mat`` and text tables: numbers whose meaning a JSON sidecar declares."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import mne
import numpy as np
import scipy.io

from hyperscan.errors import ReadError
from hyperscan.recording.files.bids import Sidecar
from hyperscan.recording.files.matlab import check_matlab, check_version
from hyperscan.recording.files.units import factor_to_si
from hyperscan.recording.guard import check_memory
from hyperscan.recording.records import PersonRecording

#: Units that a sidecar may name, for messages.
#: A number and its comma take two bytes or more in a file, and four numbers' memory while lists are made of them.
_VALUES_PER_BYTE = 2
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
    return _recording(table_of_numbers(path, name), declared, name)


def table_of_numbers(path: Path, name: str) -> np.ndarray:
    """Read the numbers of a text table, below a line of names or without one; empty cells are NaN.

    Shapes: returns (n_rows, n_columns).
    """
    check_memory(_VALUES_PER_BYTE * path.stat().st_size, name)
    text = path.read_text(encoding="utf-8-sig", errors="replace").strip()
    lines = text.splitlines() or [""]
    separator = next((each for each in ("\t", ";", ",") if each in lines[0]), None)
    rows = [_numbers(line, separator) for line in lines]
    if rows and rows[0] is None:
        rows = rows[1:]
    bad = next((k for k, row in enumerate(rows) if row is None or len(row) != len(rows[0] or [])), None)
    if bad is not None or not rows:
        raise ReadError(
            f"{name}: row {(bad or 0) + 1} of the table is not {len(rows[0] or []) if rows else 'any'} "
            "numbers. "
            "Write one row per sample and one column per channel."
        )
    return np.array(rows, dtype=float)


def _numbers(line: str, separator: str | None) -> list[float] | None:
    cells = line.split(separator)
    if separator == ";":
        cells = [cell.replace(",", ".") for cell in cells]
    try:
        return [float(cell) if cell.strip() else np.nan for cell in cells]
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
    if volts:
        return _Declared(rate, names, ("eeg",) * len(names), volts, sidecar.variable)
    kinds = tuple(each.lower()[-3:] for each in names)
    if not set(kinds) <= {"hbo", "hbr"}:
        raise ReadError(
            f"{name}: its sidecar gives a unit of haemoglobin, so channel names must end in ' hbo' or ' hbr'. "
            "Rename them."
        )
    return _Declared(rate, names, kinds, molar or 1.0, sidecar.variable)
