"""Samples and annotations of one recording at their place on another clock."""

from __future__ import annotations

from collections.abc import Sequence

import mne
import numpy as np
from mne.io import BaseRaw

from hyperscan.errors import ClockError
from hyperscan.recording.clock import Piece
from hyperscan.recording.fresh import fresh_raw, own_annotations
from hyperscan.recording.gaps import GAP
from hyperscan.recording.resample import interpolate, lower_rate
from hyperscan.recording.stamps import StampFit, fit_stamps

#: Times that are closer to a sample than this, in s, are that sample (our choice; 0.05 ms is a fiftieth of a
#: cycle at 400 Hz).
_SAME_TIME = 5e-5


def sample_times(start: float, stop: float, rate: float) -> np.ndarray:
    """List the therapist's sample times from a start to a stop.

    Parameters
    ----------
    start, stop : float
        On the therapist's clock, in s.
    rate : float
        In Hz.

    Returns
    -------
    ndarray, shape (n_times,)
        In s.
    """
    # the therapist's own samples, so that they need no interpolation
    first = np.ceil(start * rate - _SAME_TIME * rate)
    n = int(np.floor((stop + _SAME_TIME) * rate - first)) + 1
    return (first + np.arange(n)) / rate


def on_own_stamps(raw: BaseRaw, stamps: np.ndarray) -> tuple[BaseRaw, StampFit]:
    """Put a recording on the clock of its own time stamps, which nothing else shares.

    Parameters
    ----------
    raw : BaseRaw
        Samples one after the other.
    stamps : ndarray, shape (n_times,)
        Time of each, in s.

    Returns
    -------
    raw : BaseRaw
        At its nominal rate; gaps are bridged by a line and annotated ``BAD_gap``.
    fit : StampFit
        What the stamps say.
    """
    rate = raw.info["sfreq"]
    fit = fit_stamps(stamps, rate)
    zero = float(fit.pieces[0].common[0])
    track = [Piece(p.own, p.common - zero, p.start - zero, p.stop - zero) for p in fit.pieces]
    return on_grid(raw, track, sample_times(0.0, track[-1].stop, rate), rate, keep_date=True), fit


def on_grid(raw: BaseRaw, track: Sequence[Piece], grid: np.ndarray, rate: float, *, keep_date: bool = False) -> BaseRaw:
    """Take a recording's values at times of another clock.

    Parameters
    ----------
    raw : BaseRaw
        A recording.
    track : sequence of Piece
        From s of the recording to s of the other clock.
    grid : ndarray, shape (n_out,)
        Times on the other clock, in s, evenly spaced.
    rate : float
        Of the grid, in Hz.
    keep_date : bool
        Keep the recording date.

    Returns
    -------
    BaseRaw
        Starts with the grid. Time that was not recorded is bridged by a line and annotated ``BAD_gap``.

    Raises
    ------
    ClockError
        If no sample lies on the grid.
    """
    sfreq = raw.info["sfreq"]
    last = (raw.n_times - 1) / sfreq
    gaps = []
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
    if not filled.all():
        gaps = _runs(~filled)
        _bridge(out, gaps)
    annotations = moved_annotations(raw, track, float(grid[0]), len(grid) / rate)
    for first, after in gaps:
        annotations.append(first / rate, (after - first) / rate, GAP)
    return fresh_raw(raw, out, sfreq=rate, annotations=annotations, keep_date=keep_date)


def _values(raw: BaseRaw, own: np.ndarray, rate: float) -> np.ndarray:
    """Take samples at times of the recording, in s."""
    sfreq = raw.info["sfreq"]
    index = own * sfreq
    nearest = np.rint(index)
    if np.abs(index - nearest).max() < _SAME_TIME * sfreq and np.all(np.diff(nearest) == 1):
        return raw.get_data(start=int(nearest[0]), stop=int(nearest[-1]) + 1)
    # only samples of this piece may be looked at: beyond a jump lies another time
    first, stop = max(int(np.floor(index[0])), 0), min(int(np.ceil(index[-1])) + 1, raw.n_times)
    data, reached = lower_rate(raw.get_data(start=first, stop=stop), sfreq, rate)
    positions = np.clip((own - first / sfreq) * reached, 0, data.shape[1] - 1)
    return interpolate(data, positions)


def _runs(mask: np.ndarray) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _bridge(data: np.ndarray, gaps: list[tuple[int, int]]) -> None:
    # a line between the edges keeps filters from ringing; the stretch is annotated as bad
    for first, after in gaps:
        left = data[:, [first - 1]] if first > 0 else data[:, [after]]
        right = data[:, [after]] if after < data.shape[1] else left
        share = (np.arange(first, after) - first + 1) / (after - first + 1)
        data[:, first:after] = left + (right - left) * share


def moved_annotations(raw: BaseRaw, track: Sequence[Piece], zero: float, duration: float) -> mne.Annotations:
    """Move annotations to another clock, and cut them to what is left.

    Parameters
    ----------
    raw : BaseRaw
        A recording.
    track : sequence of Piece
        From s of the recording to s of the other clock.
    zero, duration : float
        Beginning and length of the new axis, in s of the other clock.

    Returns
    -------
    mne.Annotations
        Onsets from ``zero`` on.
    """
    kept = own_annotations(raw)
    moved = mne.Annotations([], [], [], orig_time=None)
    for onset, length, name in zip(kept.onset, kept.duration, kept.description, strict=True):
        first = on_common(track, onset) - zero
        last = on_common(track, onset + length) - zero
        if last < 0 or first >= duration:
            continue
        first, last = max(first, 0.0), min(max(last, first), duration)
        moved.append(first, last - first, name)
    return moved


def on_common(track: Sequence[Piece], own: float) -> float:
    """Translate a time of a recording by the piece that holds there.

    Parameters
    ----------
    track : sequence of Piece
        From s of the recording to s of the other clock.
    own : float
        In s.

    Returns
    -------
    float
    """
    times = [float(piece.to_common(np.array([own]))[0]) for piece in track]
    outside = [max(piece.start - time, time - piece.stop, 0.0) for piece, time in zip(track, times, strict=True)]
    return times[int(np.argmin(outside))]
