"""Samples and annotations of one recording at their place on another clock."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

import mne
import numpy as np
import scipy
from mne.io import BaseRaw

from hyperscan.errors import ClockError
from hyperscan.recording.annotations import fresh_raw, marks, own_annotations, samples_of
from hyperscan.recording.pauses import GAP
from hyperscan.recording.timeline import Piece, StampFit, fit_stamps

#: Samples on each side that a value rests on, and the Kaiser window's beta: flat within 0.1 % to 0.42 of the
#: sampling rate (our choice; 105 Hz at 250 Hz).
_HALF = 16
_BETA = 9.0
#: Steps between two samples; the nearest is used, so times err by at most 1/4096 of a sample.
_PHASES = 2048
#: Two rates closer than this differ by their clocks, not by their settings (our choice; 500 and 499.99 Hz).
SAME_RATE = 1e-3


def _weights() -> np.ndarray:
    fraction = np.arange(_PHASES + 1)[:, None] / _PHASES
    distance = fraction - np.arange(1 - _HALF, _HALF + 1)
    window = np.i0(_BETA * np.sqrt(np.clip(1 - (distance / _HALF) ** 2, 0, None))) / np.i0(_BETA)
    weights = np.sinc(distance) * window
    return weights / weights.sum(axis=1, keepdims=True)


def interpolate(data: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Interpolate between samples by a windowed sinc.

    Shapes: ``data`` (n_channels, n_times), ``positions`` (n_out,), returns (n_channels, n_out).

    Examples
    --------
    >>> t = np.arange(200.0)
    >>> found = interpolate(np.sin(0.3 * t)[None], np.array([100.25, 101.25]))[0]
    >>> bool(np.allclose(found, np.sin(0.3 * np.array([100.25, 101.25])), atol=1e-4))
    True
    """
    table = _weights()
    phase = np.rint(positions * _PHASES).astype(np.int64)
    whole, part = np.divmod(phase, _PHASES)
    # between two jumps of the whole part, taps are plain slices
    breaks = np.flatnonzero(np.diff(whole) != 1) + 1
    if len(breaks) > len(positions) // 64 + 8:
        return _gather(data, whole, table[part])
    out = np.empty((data.shape[0], len(positions)))
    edges = np.unique(np.concatenate([[0, len(positions)], breaks, np.arange(0, len(positions), 8192)]))
    for first, last in pairwise(edges):
        block = _around(data, int(whole[first]), int(last - first))
        # tap first, so that every step runs along memory
        weights = np.ascontiguousarray(table[part[first:last]].T)
        total = out[:, first:last]
        total[:] = 0.0
        for tap in range(2 * _HALF):
            total += block[:, tap : tap + last - first] * weights[tap]
    return out


def _around(data: np.ndarray, first: int, n: int) -> np.ndarray:
    start, stop = first + 1 - _HALF, first + n + _HALF
    block = data[:, max(start, 0) : max(min(stop, data.shape[1]), 0)]
    missing = (max(0, -start), max(0, stop - data.shape[1]))
    return np.pad(block, ((0, 0), missing), mode="edge") if any(missing) else block


def _gather(data: np.ndarray, whole: np.ndarray, weights: np.ndarray) -> np.ndarray:
    out = np.zeros((data.shape[0], len(whole)))
    for tap in range(2 * _HALF):
        index = np.clip(whole + 1 - _HALF + tap, 0, data.shape[1] - 1)
        out += data[:, index] * weights[:, tap]
    return out


def lower_rate(data: np.ndarray, sfreq: float, target: float) -> tuple[np.ndarray, float]:
    """Resample to about a lower rate, anti-aliased and without delay.

    Shapes: ``data`` (n_channels, n_times), returns (n_channels, n_out).

    Examples
    --------
    >>> lower_rate(np.zeros((1, 1000)), 512.0, 256.0)[1]
    256.0
    """
    if sfreq <= target * (1 + SAME_RATE):
        return data, sfreq
    ratio = Fraction(target / sfreq).limit_denominator(512)
    # one channel at a time: scipy's padding copies what it is given
    rows = [scipy.signal.resample_poly(row, ratio.numerator, ratio.denominator, padtype="line") for row in data]
    return np.array(rows), sfreq * ratio.numerator / ratio.denominator


#: Times that are closer to a sample than this, in s, are that sample (our choice; 0.05 ms is a fiftieth of a cycle at
#: 400 Hz).
_SAME_TIME = 5e-5


def sample_times(start: float, stop: float, rate: float) -> np.ndarray:
    """List the therapist's sample times from a start to a stop.

    Shapes: returns (n_times,).
    """
    first, n = _grid(start, stop, rate)
    return (first + np.arange(n)) / rate


def _grid(start: float, stop: float, rate: float) -> tuple[float, int]:
    """Find the first of the therapist's own samples, which need no interpolation, and how many there are."""
    first = np.ceil(start * rate - _SAME_TIME * rate)
    return float(first), int(np.floor((stop + _SAME_TIME) * rate - first)) + 1


def unread_on_grid(raw: BaseRaw, track: Sequence[Piece], start: float, stop: float, rate: float) -> BaseRaw:
    """Move the events of a recording whose samples were not read to times of another clock, from start to stop."""
    first, n = _grid(start, stop, rate)
    annotations = moved_annotations(raw, track, first / rate, n / rate)
    return fresh_raw(raw, np.zeros((len(raw.ch_names), n)), sfreq=rate, annotations=annotations, keep_date=False)


def on_own_stamps(raw: BaseRaw, stamps: np.ndarray) -> tuple[BaseRaw, StampFit]:
    """Put a recording on the clock of its own time stamps.

    Shapes: ``stamps`` (n_times,).
    """
    rate = raw.info["sfreq"]
    fit = fit_stamps(stamps, rate)
    zero = float(fit.pieces[0].common[0])
    track = [Piece(p.own, p.common - zero, p.start - zero, p.stop - zero) for p in fit.pieces]
    return on_grid(raw, track, sample_times(0.0, track[-1].stop, rate), rate, keep_date=True), fit


def on_grid(raw: BaseRaw, track: Sequence[Piece], grid: np.ndarray, rate: float, *, keep_date: bool = False) -> BaseRaw:
    """Take a recording's values at times of another clock.

    Shapes: ``grid`` (n_out,).
    """
    sfreq = raw.info["sfreq"]
    last = (raw.n_times - 1) / sfreq
    out: np.ndarray | None = None
    filled = np.zeros(len(grid), bool)
    for piece in track:
        own = piece.to_own(grid)
        rows = np.flatnonzero((grid >= piece.start - _SAME_TIME) & (grid <= piece.stop + _SAME_TIME))
        rows = rows[(own[rows] >= -_SAME_TIME) & (own[rows] <= last + _SAME_TIME) & ~filled[rows]]
        if not rows.size:
            continue
        values = _values(raw, own[rows[0] : rows[-1] + 1], rate)
        if len(track) == 1 and rows.size == len(grid):
            out = values
        else:
            out = np.zeros((len(raw.ch_names), len(grid))) if out is None else out
            out[:, rows[0] : rows[-1] + 1] = values
        filled[rows[0] : rows[-1] + 1] = True
    if out is None:
        raise ClockError("no sample lies on the common time. Correct the offset or the time stamps.")
    gaps = _bridge(out, ~filled)
    annotations = moved_annotations(raw, track, float(grid[0]), len(grid) / rate)
    annotations += marks([(first / rate, after / rate) for first, after in gaps], GAP)
    return fresh_raw(raw, out, sfreq=rate, annotations=annotations, keep_date=keep_date)


def _values(raw: BaseRaw, own: np.ndarray, rate: float) -> np.ndarray:
    """Take samples at times of the recording, in s; to be read only."""
    sfreq = raw.info["sfreq"]
    index = own * sfreq
    nearest = np.rint(index)
    if np.abs(index - nearest).max() < _SAME_TIME * sfreq and np.all(np.diff(nearest) == 1):
        return samples_of(raw)[:, int(nearest[0]) : int(nearest[-1]) + 1]
    # only samples of this piece may be looked at: beyond a jump lies another time
    first, stop = max(int(np.floor(index[0])), 0), min(int(np.ceil(index[-1])) + 1, raw.n_times)
    data, reached = lower_rate(samples_of(raw)[:, first:stop], sfreq, rate)
    positions = np.clip((own - first / sfreq) * reached, 0, data.shape[1] - 1)
    return interpolate(data, positions)


def _bridge(data: np.ndarray, is_gap: np.ndarray) -> list[tuple[int, int]]:
    """Draw a line over each gap, in place, which keeps filters from ringing; list first and last + 1 samples."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], is_gap.astype(np.int8), [0]])))
    gaps = [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    for first, after in gaps:
        left = data[:, [first - 1]] if first > 0 else data[:, [after]]
        right = data[:, [after]] if after < data.shape[1] else left
        share = (np.arange(first, after) - first + 1) / (after - first + 1)
        data[:, first:after] = left + (right - left) * share
    return gaps


def moved_annotations(raw: BaseRaw, track: Sequence[Piece], zero: float, duration: float) -> mne.Annotations:
    """Move annotations to another clock, and cut them to what is left."""
    kept = own_annotations(raw)
    first, last = (on_common(track, own) - zero for own in (kept.onset, kept.onset + kept.duration))
    inside = np.flatnonzero((last >= 0) & (first < duration))
    first, last = np.maximum(first, 0.0)[inside], last[inside]
    last = np.minimum(np.maximum(last, first), duration)
    return mne.Annotations(first, last - first, list(kept.description[inside]), orig_time=None)


def on_common(track: Sequence[Piece], own: np.ndarray) -> np.ndarray:
    """Translate times of a recording to the common clock, each by the piece that it lies in or is nearest to.

    Shapes: ``own`` (n_times,), returns (n_times,).
    """
    found, apart = np.zeros(len(own)), np.full(len(own), np.inf)
    for piece in track:
        times = piece.to_common(own)
        outside = np.maximum(np.maximum(piece.start - times, times - piece.stop), 0.0)
        nearer = outside < apart
        found[nearer], apart[nearer] = times[nearer], outside[nearer]
    return found
