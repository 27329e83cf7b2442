"""Plain ``.mat`` and text tables: numbers whose meaning a JSON sidecar declares."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mne
import numpy as np
import scipy.io
from mne.io import BaseRaw

from hyperscan.errors import DataQualityWarning, ReadError
from hyperscan.recording.files.matlab import check_matlab
from hyperscan.recording.guard import check_memory

#: Rates that differ by more than this are two settings, not two roundings (our choice).
_SAME_RATE = 0.01


def strict_json(path: Path) -> Any:
    """Read JSON in which no key stands twice and every number is one."""
    text = path.read_text(encoding="utf-8-sig")
    return json.loads(text, object_pairs_hook=_no_doubles, parse_constant=_no_nan)


def _no_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError("a key stands there twice")
    return dict(pairs)


def _no_nan(text: str) -> float:
    raise ValueError(f"{text} is no JSON number")


def check_sidecar(path: Path, sfreq: float, name: str) -> None:
    """Compare a recording of a BIDS dataset with the JSON beside it."""
    beside = path.with_suffix(".json")
    if not path.stem.endswith(("_eeg", "_nirs")) or not beside.is_file():
        return
    try:
        held = strict_json(beside)
    except (ValueError, RecursionError) as error:
        raise ReadError(
            f"{name}: its sidecar {beside.name[-60:]} is not valid JSON ({type(error).__name__}; no key may stand "
            "twice, NaN is no number). Correct it, or remove it."
        ) from error
    rate = held.get("SamplingFrequency") if isinstance(held, dict) else None
    if isinstance(rate, int | float) and rate > 0 and abs(rate / sfreq - 1) > _SAME_RATE:
        warnings.warn(
            f"{name}: holds {sfreq:g} Hz, its sidecar says {rate:g} Hz; the recording is believed. Correct it.",
            DataQualityWarning,
            stacklevel=3,
        )


#: Units that a sidecar may name, with channel type and factor to SI.
_UNITS = {"V": 1.0, "mV": 1e-3, "uV": 1e-6, "µV": 1e-6, "nV": 1e-9}
_HB_UNITS = {"M": 1.0, "mM": 1e-3, "uM": 1e-6, "µM": 1e-6}
_FORM = '{"SamplingFrequency": 250, "ChannelNames": ["Fz", "Cz"], "Unit": "uV"}'


@dataclass(frozen=True)
class _Sidecar:
    sfreq: float
    names: tuple[str, ...]
    kinds: tuple[str, ...]
    factor: float
    variable: str | None


def read_table(path: Path, name: str) -> BaseRaw:
    """Read a text table: one row per sample, one column per channel.

    ``NAME_sidecar.json`` beside ``NAME.csv`` declares ``SamplingFrequency`` (Hz), ``ChannelNames`` and ``Unit`` (V, mV,
    uV, nV; for haemoglobin M, mM, uM with names ending in ``hbo`` or ``hbr``).
    """
    sidecar = _sidecar(path, name)
    text = path.read_text(encoding="utf-8-sig", errors="replace").strip()
    lines = text.splitlines()
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
    return _raw(np.array(rows, dtype=float), sidecar, name)


def _numbers(line: str, separator: str | None) -> list[float] | None:
    cells = line.split(separator)
    if separator == ";":
        cells = [cell.replace(",", ".") for cell in cells]
    try:
        return [float(cell) if cell.strip() else np.nan for cell in cells]
    except ValueError:
        return None


def read_matlab(path: Path, name: str) -> BaseRaw:
    """Read a matrix of a MATLAB file that a JSON sidecar describes."""
    sidecar = _sidecar(path, name)
    check_matlab(path, name)
    matrices = [
        (key, shape)
        for key, shape, kind in scipy.io.whosmat(path)
        if kind in ("double", "single") and len(shape) == 2 and min(shape) >= 1 and max(shape) > 1
    ]
    fits = [row for row in matrices if sidecar.variable in (None, row[0])]
    if len(fits) != 1:
        listed = ", ".join(f"{key[:20]} {shape[0]}x{shape[1]}" for key, shape in matrices[:6]) or "none"
        raise ReadError(
            f"{name}: cannot tell which matrix is the recording (there: {listed}). "
            'Name it in the sidecar: "Variable": "NAME".'
        )
    key, shape = fits[0]
    check_memory(int(shape[0]) * int(shape[1]), name)
    return _raw(np.asarray(scipy.io.loadmat(path, variable_names=[key])[key], dtype=float), sidecar, name)


def _raw(data: np.ndarray, sidecar: _Sidecar, name: str) -> BaseRaw:
    n = len(sidecar.names)
    if n not in data.shape or data.ndim != 2:
        raise ReadError(
            f"{name}: is a table of {' x '.join(map(str, data.shape))}, but its sidecar names {n} channels. "
            "Name every column, in its order."
        )
    data = data.T if data.shape[1] == n else data
    info = mne.create_info(list(sidecar.names), sidecar.sfreq, list(sidecar.kinds))
    return mne.io.RawArray(np.ascontiguousarray(data) * sidecar.factor, info, verbose="WARNING")


def _sidecar(path: Path, name: str) -> _Sidecar:
    beside = path.with_name(f"{path.stem}_sidecar.json")
    if not beside.exists():
        raise ReadError(
            f"{name}: a plain table needs {beside.name} beside it, which says what the numbers are, such "
            f"as\n{_FORM}\n"
            "Write it, or export the recording as EDF, FIF or SNIRF."
        )
    try:
        values = strict_json(beside)
    except (ValueError, RecursionError) as error:
        raise ReadError(
            f"{name}: its sidecar is not valid JSON ({type(error).__name__}). Write it as\n{_FORM}"
        ) from error
    return _checked(values, name)


def _checked(values: Any, name: str) -> _Sidecar:
    held = values if isinstance(values, dict) else {}
    rate, names, unit = held.get("SamplingFrequency"), held.get("ChannelNames"), held.get("Unit")
    if not (_is_rate(rate) and _are_names(names) and isinstance(unit, str) and unit in {**_UNITS, **_HB_UNITS}):
        units = ", ".join(dict.fromkeys((*_UNITS, *_HB_UNITS)))
        raise ReadError(
            f"{name}: its sidecar needs SamplingFrequency (Hz), ChannelNames (all different) and Unit "
            f"({units}). "
            f"Write it as\n{_FORM}"
        )
    listed, variable = tuple(map(str, names or ())), held.get("Variable")
    if unit in _UNITS:
        return _Sidecar(float(rate or 0), listed, ("eeg",) * len(listed), _UNITS[unit], variable)
    kinds = tuple(each.lower()[-3:] for each in listed)
    if not set(kinds) <= {"hbo", "hbr"}:
        raise ReadError(
            f"{name}: its sidecar gives a unit of haemoglobin, so channel names must end in ' hbo' or ' "
            "hbr'. "
            "Rename them."
        )
    return _Sidecar(float(rate or 0), listed, kinds, _HB_UNITS[unit], variable)


def _is_rate(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e6


def _are_names(value: Any) -> bool:
    if not isinstance(value, list) or not value:
        return False
    return all(isinstance(each, str) and each for each in value) and len(set(value)) == len(value)
