"""Epochs of two people: which belong together, by a key that survives what was left out. Never by position."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.io
from mne import BaseEpochs, Epochs
from numpy.typing import ArrayLike

from hyperscan.errors import DataQualityWarning, ReadError, count
from hyperscan.recording.records import EpochKeys
from hyperscan.recording.timeline import MAX_PPM

#: By how much one interval may differ between two people, in s, beside two samples (as where triggers are matched).
_JITTER_S = 0.005

#: Intervals from which on their pattern is believed (our choice).
_FEWEST_STEPS = 4

#: An event closer to time 0 of its epoch than this, in samples, is the one that the epoch was cut at.
_AT_ZERO = 0.51


# ---- what a file tells


def keys_of_mne(epochs: BaseEpochs) -> EpochKeys:
    """Take samples and numbers that MNE keeps, as far as they were counted before any epoch was left out."""
    samples, n = epochs.events[:, 0], len(epochs.events)
    n_original = len(epochs.drop_log)
    # 0, 1, 2 ... is what MNE writes when nobody said when epochs were recorded
    counted = np.array_equal(samples, np.arange(n)) or np.array_equal(samples, epochs.selection)
    # laid end to end, as other tools number what is left; so is a recording that MNE itself cut whole
    laid_out = type(epochs) is not Epochs and n_original == n
    laid_out = laid_out and np.array_equal(samples // len(epochs.times), np.arange(n))
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
    if a.samples is not None and b.samples is not None and np.isclose(a.rate, b.rate, rtol=1e-6) and not a.stated:
        found.append((*_shared(a.samples, b.samples), "event sample"))
    # numbers of two lists are alike where the lists are, and say nothing where neither list lost a row
    if a.numbers is not None and b.numbers is not None and a.n_original == b.n_original and (a.logged or b.logged):
        found.append((*_shared(a.numbers, b.numbers), a.counted))
    if not found:
        raise ReadError(
            f"{names}: nothing says which of their {a.n_epochs} and {b.n_epochs} epochs belong together: samples are "
            "counted within what is left, or not told, and their order proves nothing.\nSave both with urevents "
            "(EEGLAB) or with the events and the drop log of one recording (MNE), give every trial a key "
            "(PairedRecording.from_epochs(..., key=...)), or name continuous files."
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


# ---- what their times say of it


def common_times(
    a: EpochKeys, b: EpochKeys, rows: tuple[np.ndarray, np.ndarray], names: str
) -> tuple[np.ndarray, np.ndarray] | None:
    """Find when both people's paired epochs were cut, in s of each one's own recording; None where not told.

    Epochs of the same moments are equally far apart in both recordings; others are refused, or told of where the user
    stated the key. Shapes: ``rows`` two of (n_common,), returns two of (n_common,).
    """
    if a.samples is None or b.samples is None or not (a.rate > 0 and b.rate > 0):
        return None
    mine, theirs = a.samples[rows[0]] / a.rate, b.samples[rows[1]] / b.rate
    if not np.isfinite([mine, theirs]).all():
        return None
    steps, others = np.diff(mine), np.diff(theirs)
    apart = np.abs(others - steps) > _JITTER_S + 2 / min(a.rate, b.rate) + 1e-6 * MAX_PPM * np.abs(steps)
    if apart.any():
        first = int(np.flatnonzero(apart)[0])
        said = (
            f"{names}: epochs paired by {a.counted or 'event sample'} are not of the same moments: between the common "
            f"epochs {first + 1} and {first + 2} lie {steps[first]:.3f} s in the therapist's recording and "
            f"{others[first]:.3f} s in the client's ({int(apart.sum())} of {count(len(apart), 'interval')} differ)."
        )
        if not a.stated:
            raise ReadError(
                f"{said}\nAn event that one device lost moves every later number. Cut both at the events that both "
                "have, give every trial a key (PairedRecording.from_epochs(..., key=...)), or name continuous files."
            )
        warnings.warn(f"{said} Check the keys.", DataQualityWarning, stacklevel=2)
    return mine, theirs


def fix_moments(times: np.ndarray) -> bool:
    """Whether the intervals of epochs tell which is which: an even grid looks alike wherever it begins.

    Shape: ``times`` (n_epochs,).
    """
    steps = np.diff(times)
    if len(steps) < _FEWEST_STEPS or steps.min() <= 0:
        return False
    # where epochs were left out, even the shortest interval may hold a few steps of the grid
    grids = steps.min() / np.arange(1, 4)
    return all((np.abs(steps / grid - np.rint(steps / grid)) * grid > 2 * _JITTER_S).any() for grid in grids)
