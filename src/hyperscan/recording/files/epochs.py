"""Epochs of two people: which belong together, by a key that survives what was left out. Never by position."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.io
from mne import BaseEpochs
from numpy.typing import ArrayLike

from hyperscan.errors import ReadError
from hyperscan.recording.records import EpochKeys

#: An event closer to time 0 of its epoch than this, in samples, is the one that the epoch was cut at.
_AT_ZERO = 0.51


# ---- what a file tells


def keys_of_mne(epochs: BaseEpochs) -> EpochKeys:
    """Take samples and numbers that MNE keeps, as far as they were counted before any epoch was left out."""
    samples, n = epochs.events[:, 0], len(epochs.events)
    n_original = len(epochs.drop_log)
    # 0, 1, 2 ... is what MNE writes when nobody said when epochs were recorded
    counted = np.array_equal(samples, np.arange(n)) or np.array_equal(samples, epochs.selection)
    # laid end to end, as other tools number what is left; a recording that was cut whole looks alike
    laid_out = n_original == n and np.array_equal(samples // len(epochs.times), np.arange(n))
    told = len(np.unique(samples)) == n and not counted and not laid_out
    held = getattr(epochs, "_raw_sfreq", None)
    rates = np.ravel(epochs.info["sfreq"] if held is None else held)
    return EpochKeys(
        n,
        np.asarray(samples, float) if told else None,
        np.asarray(epochs.selection, float),
        n_original,
        n_original > n,
        "the number of the original epoch",
        float(rates[0]),
    )


@dataclass(frozen=True)
class _Event:
    """An event within an epoch of an EEGLAB file."""

    #: Samples from time 0 of the epoch
    from_zero: float
    #: Its number among all events of the recording, from 1 on
    number: float


def keys_of_eeglab(path: Path, n: int) -> EpochKeys:
    """Take the original events (``urevent``) of n epochs: ``event.latency`` counts within what is left."""
    names = ("event", "urevent", "epoch", "pnts", "srate", "xmin")
    try:
        held = scipy.io.loadmat(path, squeeze_me=True, struct_as_record=False, variable_names=["EEG", *names])
    except NotImplementedError:
        # MATLAB 7.3, which scipy does not read
        return EpochKeys(n)
    fields = {name: getattr(held["EEG"], name, None) for name in names} if "EEG" in held else held
    width, rate, start = (_number(fields.get(name)) for name in ("pnts", "srate", "xmin"))
    original = np.array([_number(getattr(each, "latency", None)) for each in _rows(fields.get("urevent"))])
    within: dict[int, list[_Event]] = defaultdict(list)
    for event in _rows(fields.get("event")):
        epoch, latency, number = (_number(getattr(event, key, None)) for key in ("epoch", "latency", "urevent"))
        if not np.isfinite([epoch, latency, number]).all() or number < 1:
            continue
        from_zero = latency - 1 - (epoch - 1) * width + start * rate
        within[int(epoch)].append(_Event(from_zero, number))
    for k, listed in enumerate(_rows(fields.get("epoch")), start=1):
        # some writers keep the original events here only
        late, numbered = (_numbers(getattr(listed, f"event{key}", None)) for key in ("latency", "urevent"))
        if k not in within and len(late) == len(numbered):
            rows = zip(late / 1e3 * rate, numbered, strict=True)
            within[k] = [_Event(at, number) for at, number in rows if np.isfinite([at, number]).all() and number >= 1]
    samples, numbers = np.full(n, np.nan), np.full(n, np.nan)
    for epoch, events in within.items():
        if 1 <= epoch <= n and events:
            nearest = min(events, key=lambda event: (abs(event.from_zero), event.number))
            if nearest.number <= len(original):
                samples[epoch - 1] = np.rint(original[int(nearest.number) - 1] - nearest.from_zero)
            if abs(nearest.from_zero) < _AT_ZERO:
                numbers[epoch - 1] = nearest.number
    known = _told(numbers)
    counted = "the number of the original event"
    return EpochKeys(n, _told(samples), known, len(original), known is not None, counted, rate)


def _rows(held: object) -> list[object]:
    return [] if held is None else list(np.ravel(np.asarray(held, object)))


def _number(held: ArrayLike | None) -> float:
    """Read a number; NaN for an empty field and for text."""
    values = _numbers(held)
    return float(values[0]) if values.size == 1 else np.nan


def _numbers(held: ArrayLike | None) -> np.ndarray:
    """Read numbers in a field or in its cells; none from text.

    Shapes: returns (n_values,).
    """
    try:
        return np.ravel(np.asarray(held, float))
    except (TypeError, ValueError):
        return np.zeros(0)


def _told(keys: np.ndarray) -> np.ndarray | None:
    known = keys[np.isfinite(keys)]
    return keys if known.size and len(np.unique(known)) == len(known) else None


# ---- what two files have in common


def common_epochs(a: EpochKeys, b: EpochKeys, names: str) -> tuple[np.ndarray, np.ndarray, str]:
    """Find the epochs that two people have in common, by the key that pairs most.

    Shapes: ``first, second`` (n_common,).
    """
    found = []
    if a.samples is not None and b.samples is not None and np.isclose(a.rate, b.rate, rtol=1e-6):
        found.append((*_shared(a.samples, b.samples), "event sample"))
    # numbers of two lists are alike where the lists are, and say nothing where neither list lost a row
    if a.numbers is not None and b.numbers is not None and a.n_original == b.n_original and (a.logged or b.logged):
        found.append((*_shared(a.numbers, b.numbers), a.counted))
    if not found:
        raise ReadError(
            f"{names}: nothing says which of their {a.n_epochs} and {b.n_epochs} epochs belong together: samples are "
            "counted within what is left, or not told, and their order proves nothing.\nSave both with urevents "
            "(EEGLAB) or with the events and the drop log of one recording (MNE), or name continuous files."
        )
    _check_agreement(a, b, found, names)
    best = max(found, key=lambda each: len(each[0]))
    if not len(best[0]):
        raise ReadError(
            f"{names}: no event sample and no epoch number is common to both people ({a.n_epochs} and {b.n_epochs} "
            "epochs). Save both with their events, cut at the same moments."
        )
    return best


def _shared(mine: np.ndarray, theirs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rows = [np.flatnonzero(np.isfinite(keys)) for keys in (mine, theirs)]
    _, first, second = np.intersect1d(mine[rows[0]], theirs[rows[1]], return_indices=True)
    return rows[0][first], rows[1][second]


def _check_agreement(
    a: EpochKeys, b: EpochKeys, found: Sequence[tuple[np.ndarray, np.ndarray, str]], names: str
) -> None:
    """Refuse epochs that samples and numbers pair in two ways."""
    if len(found) < 2 or a.numbers is None or b.numbers is None:
        return
    first, second, _ = found[0]
    mine, theirs = a.numbers[first], b.numbers[second]
    apart = int((mine != theirs)[np.isfinite(mine) & np.isfinite(theirs)].sum())
    if apart:
        raise ReadError(
            f"{names}: {apart} epochs of the two people have one sample, but the numbers of different ones. Which "
            "belong together? Cut both recordings at one list of events, or name continuous files."
        )
