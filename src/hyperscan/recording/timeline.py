"""How one clock follows another: straight pieces between jumps, fitted to time stamps. Arrays only."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from hyperscan.errors import count

#: Amplifier crystals differ by tens of ppm; more than this is no drift but a fault (our choice).
MAX_PPM = 200.0


def nearest(ordered: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Find the position of the value nearest to each x; of two as near the first.

    Shapes: ``ordered`` (n_values,), n_values > 0; returns as ``x``.
    """
    right = np.clip(np.searchsorted(ordered, x), 1, max(len(ordered) - 1, 1))
    left = right - 1
    right = np.minimum(right, len(ordered) - 1)
    return np.where(np.abs(x - ordered[left]) <= np.abs(x - ordered[right]), left, right)


def is_near(x: np.ndarray, others: np.ndarray, within: float) -> np.ndarray:
    """Tell which times have another one at most so far away.

    Shapes: ``x`` (n_times,), ``others`` (n_others,); returns (n_times,).

    Examples
    --------
    >>> is_near(np.array([1.0, 5.0]), np.array([4.9, 9.0]), 0.2)
    array([False,  True])
    """
    if not others.size:
        return np.zeros(len(x), bool)
    ordered = np.sort(others)
    return np.asarray(np.abs(x - ordered[nearest(ordered, x)]) <= within)


@dataclass(frozen=True)
class Piece:
    """A stretch over which one clock follows the other without a jump."""

    #: shape (n_knots,): The same moments on the device's clock and on the common clock, in s; straight lines between,
    #: and beyond
    own: np.ndarray
    common: np.ndarray
    #: Where the piece holds, in s on the common clock
    start: float = -np.inf
    stop: float = np.inf

    def to_common(self, own: np.ndarray) -> np.ndarray:
        """Translate to times on the common clock, in s."""
        return _line(np.asarray(own, float), self.own, self.common)

    def to_own(self, common: np.ndarray) -> np.ndarray:
        """Translate to times on the device's clock, in s."""
        return _line(np.asarray(common, float), self.common, self.own)


def _line(x: np.ndarray, xs: np.ndarray, ys: np.ndarray) -> np.ndarray:
    y = np.interp(x, xs, ys)
    head = (ys[1] - ys[0]) / (xs[1] - xs[0])
    tail = (ys[-1] - ys[-2]) / (xs[-1] - xs[-2])
    y = np.where(x < xs[0], ys[0] + (x - xs[0]) * head, y)
    return np.where(x > xs[-1], ys[-1] + (x - xs[-1]) * tail, y)


def straight(offset_s: float, ppm: float = 0.0) -> Piece:
    """Describe a clock by its zero on the common clock, in s, and by how much faster it runs, in parts per million.

    Examples
    --------
    >>> float(straight(2.0, 0.0).to_own(np.array(5.0)))
    3.0
    """
    span = 1000.0
    return Piece(np.array([0.0, span * (1 + ppm * 1e-6)]), np.array([offset_s, offset_s + span]))


#: A lasting step of more samples than this is a gap or a jump, less is jitter of transport (trust in stamps: two
#: samples).
_STEP = 2.0
#: Samples on each side of a candidate whose medians are compared, or so many s where that is more (our choice:
#: medians over many bursts of transport).
_SIDE, _SIDE_S = 100, 2.0
#: Pieces shorter than this, in s, borrow their rate from the longer ones (our choice).
_SHORT_S = 10.0


@dataclass(frozen=True)
class StampFit:
    """What time stamps say about a device's clock."""

    #: From s of samples (number / nominal rate) to the stamps' clock
    pieces: tuple[Piece, ...]
    #: How much faster than nominal the device sampled, in parts per million
    ppm: float
    #: Root mean square of what straight pieces leave of the smoothed stamps, in ms
    residual_ms: float
    notes: tuple[str, ...] = ()


def find_breaks(stamps: np.ndarray, sfreq: float, *, step: float = _STEP) -> np.ndarray:
    """Find where time stamps jump for good, as opposed to jitter of transport.

    Shapes: ``stamps`` (n_times,), returns (n_breaks,).

    Examples
    --------
    >>> stamps = np.arange(1000) / 100.0
    >>> stamps[600:] += 15.0
    >>> find_breaks(stamps, 100.0)
    array([600])
    """
    n = len(stamps)
    if n < 3:
        return np.zeros(0, int)
    # the rate as it was, which bursts and jumps beyond a second do not touch
    intervals = np.diff(stamps)
    usual = intervals[np.abs(intervals) < 1.0 + 1.0 / sfreq]
    dt = max(float(usual.mean()), 0.1 / sfreq) if usual.size else 1.0 / sfreq
    side = max(_SIDE, round(_SIDE_S * sfreq))
    excess = stamps - np.arange(n) * dt
    steps = np.diff(excess)
    breaks = [0]
    for k in (np.flatnonzero(np.abs(steps) > 0.75 * step * dt) + 1).tolist():
        before = excess[max(breaks[-1], k - side) : k]
        after = excess[k : k + side]
        jump = np.median(after) - np.median(before)
        jitter = max(_spread(before), _spread(after))
        if abs(jump) > max(step * dt, 3 * jitter) and abs(steps[k - 1]) > 0.5 * abs(jump):
            breaks.append(int(k))
    return np.array(breaks[1:], int)


def _spread(x: np.ndarray) -> float:
    return 1.4826 * float(np.median(np.abs(x - np.median(x))))


def fit_stamps(stamps: np.ndarray, sfreq: float) -> StampFit:
    """Fit straight pieces to the time stamps of a recording.

    Shapes: ``stamps`` (n_times,).

    Examples
    --------
    >>> fit = fit_stamps(50.0 + np.arange(60_000) / 1000.01218, 1000.0)
    >>> round(fit.ppm, 2), len(fit.pieces)
    (12.18, 1)
    """
    edges = np.concatenate([[0], find_breaks(stamps, sfreq), [len(stamps)]])
    every = [(int(a), int(b)) for a, b in pairwise(edges)]
    # a first or last stamp that stands alone is damaged: it would claim the time of all the others, or leave a gap
    spans = [span for span in every if span[1] - span[0] > 1] or every
    long = [span for span in spans if span[1] - span[0] >= _SHORT_S * sfreq] or [max(spans, key=lambda s: s[1] - s[0])]
    slopes = {(a, b): _slope(stamps[a:b], sfreq) for a, b in long}
    usual = float(np.average(list(slopes.values()), weights=[b - a for a, b in slopes]))
    pieces, squares = [], []
    for a, b in spans:
        slope = slopes.get((a, b), usual)
        index = np.arange(a, b)
        centre = float(np.mean(stamps[a:b])) - slope * float(index.mean())
        first, last = centre + slope * a, centre + slope * (b - 1)
        own = np.array([a, b - 1 + (b - a == 1)]) / sfreq
        pieces.append(Piece(own, np.array([first, last + slope * (b - a == 1)]), first, last))
        squares.append(_smooth(stamps[a:b] - centre - slope * index, sfreq) ** 2)
    kept, notes = _in_order(pieces, 1.0 / sfreq)
    if len(spans) > 1:
        notes = (
            f"{count(len(spans) - 1, 'gap or jump', 'gaps or jumps')} in the time stamps; "
            "each piece was placed by its own stamps",
            *notes,
        )
    if len(spans) < len(every):
        notes = (*notes, f"{count(len(every) - len(spans), 'sample')} left out whose time stamp stands alone")
    residual = 1e3 * float(np.sqrt(np.mean(np.concatenate(squares))))
    return StampFit(tuple(kept), 1e6 * (1.0 / (sfreq * usual) - 1.0), residual, notes)


def _slope(stamps: np.ndarray, sfreq: float) -> float:
    """Fit seconds per sample by least squares trimmed of late bursts."""
    if len(stamps) < 3:
        return 1.0 / sfreq
    index = np.arange(len(stamps), dtype=float)
    index -= index.mean()
    slope = float(index @ (stamps - stamps.mean())) / float(index @ index)
    left = stamps - stamps.mean() - slope * index
    keep = np.abs(left - np.median(left)) <= 4 * max(_spread(left), 1e-9)
    index = index[keep] - index[keep].mean()
    return float(index @ (stamps[keep] - stamps[keep].mean())) / float(index @ index)


def _smooth(residual: np.ndarray, sfreq: float) -> np.ndarray:
    """Take means over ten seconds, without the jitter of transport."""
    n = max(1, min(len(residual), round(10 * sfreq)))
    whole = residual[: len(residual) // n * n].reshape(-1, n)
    return whole.mean(axis=1)


def _in_order(pieces: list[Piece], dt: float) -> tuple[list[Piece], tuple[str, ...]]:
    """Leave out time that two pieces claim: after a jump back nobody knows which is right."""
    kept, reached = [pieces[0]], pieces[0].common[-1]
    notes: tuple[str, ...] = ()
    for piece in pieces[1:]:
        end, reached = reached, max(reached, piece.common[-1])
        if piece.common[0] > end - dt:
            kept.append(piece)
            continue
        notes = ("time stamps jump back; time that two pieces claim was left out",)
        if piece.common[-1] <= end:
            continue
        last = kept[-1]
        kept[-1] = Piece(last.own, last.common, last.start, min(last.stop, float(piece.common[0])))
        kept.append(Piece(piece.own, piece.common, float(end), piece.stop))
    return [each for each in kept if each.stop > each.start], notes
