"""JSON beside a recording, read strictly: nothing doubled, nothing that is no number, nothing that contradicts."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

from hyperscan.errors import DataQualityWarning, ReadError

#: Rates that differ by more than this are two settings, not two roundings (our choice).
_SAME_RATE = 0.01


def strict_json(path: Path) -> Any:
    """Read JSON in which no key stands twice and every number is one.

    Parameters
    ----------
    path : Path
        File.

    Returns
    -------
    object
        As ``json.loads`` gives it.

    Raises
    ------
    ValueError
        If it is no such JSON. Nesting without end raises ``RecursionError``.
    """
    text = path.read_text(encoding="utf-8-sig")
    return json.loads(text, object_pairs_hook=_no_doubles, parse_constant=_no_nan)


def _no_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError("a key stands there twice")
    return dict(pairs)


def _no_nan(text: str) -> float:
    raise ValueError(f"{text} is no JSON number")


def check_sidecar(path: Path, sfreq: float, name: str) -> None:
    """Compare a recording of a BIDS dataset with the JSON beside it.

    Parameters
    ----------
    path : Path
        Recording, such as ``sub-01_task-talk_eeg.edf``.
    sfreq : float
        Its sampling rate, in Hz.
    name : str
        The path as messages show it.

    Raises
    ------
    ReadError
        If the JSON cannot be read.

    Warns
    -----
    DataQualityWarning
        If it names another sampling rate.
    """
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
