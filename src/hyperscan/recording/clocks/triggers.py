"""From two lists of event times to the time of one clock on the other. Arrays only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import comb
from typing import NamedTuple

import numpy as np

from hyperscan.errors import count
from hyperscan.recording.timeline import MAX_PPM, Piece, nearest, straight

#: Drifts that are searched, so that too large a one can be named.
_SEARCH_PPM = 1000.0
#: Events closer than this to the one before are bounces of one press or pulse (our choice).
BOUNCE_S = 0.03
#: Share of the best match that a second one may reach before the two cannot be told apart (our choice).
_RIVAL = 0.8
#: Differences that one pass of the search holds.
_MAX_PAIRS = 40_000
#: Peaks of the search that are followed up: regular triggers give one per period.
_MAX_PEAKS = 40
#: Events that a piece of its own rests on, at least (our choice).
_FEWEST = 5
#: Twice the logarithm of the odds that is strong evidence (Kass & Raftery 1995).
_STRONG = 10.0
#: False matches that unrelated events may give, on average (our choice).
_CHANCE = 1e-3
#: Events in a row without a partner in both lists that show that a fit does not hold there (our choice: with a
#: fifth of the events missing and a tenth extra, one run in ten thousand recordings).
_ASTRAY = 10
#: How far from a noted offset the search looks, in s (our choice: a watch).
_NEAR_S = 5.0


@dataclass(frozen=True)
class ClockFit:
    """How the client's clock runs against the therapist's."""

    #: In order; more than one where a clock was reset
    pieces: tuple[Piece, ...]
    #: The client's zero on the therapist's clock, in s
    offset_s: float
    #: How much faster the client's clock runs; NaN where the events span too little time to tell
    ppm: float
    #: Root mean square distance of the matched events from the fit, in ms; NaN for fewer than three
    residual_ms: float
    #: shape (n_matched, 2): Positions of the events in the therapist's and in the client's list
    matched: np.ndarray
    #: shape (n_matched,): When those were, in s on the therapist's clock
    anchors: np.ndarray
    notes: tuple[str, ...] = ()


class NoFitError(ValueError):
    """Two lists of events cannot be matched; the message says why, ``regular`` that several offsets fit alike."""

    def __init__(self, message: str, *, regular: bool = False) -> None:
        super().__init__(message)
        self.regular = regular


def match_events(
    therapist: np.ndarray,
    client: np.ndarray,
    *,
    names: tuple[Sequence[str], Sequence[str]] | None = None,
    tolerance_s: float = 0.005,
    expected_s: float | None = None,
) -> ClockFit:
    """Match two lists of event times of which some are missing, extra or bouncing, and fit offset and drift.

    The difference of true partners clusters at the offset, whatever the events are called: all differences are searched
    for the densest offset and drift (a Hough transform), then a straight line is fitted to mutual nearest neighbours by
    least squares, trimmed at four robust standard deviations. What is left over is searched again, for a clock that was
    reset.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> times = np.sort(rng.uniform(0, 2000, 40))
    >>> fit = match_events(times, (times[3:] - 4.0) * (1 + 20e-6))
    >>> round(fit.offset_s, 3), round(fit.ppm, 1), len(fit.matched)
    (4.0, 20.0, 37)
    """
    a, first = _debounced(therapist)
    b, second = _debounced(client)
    if not len(a) or not len(b):
        raise NoFitError("one of the recordings has no events")
    if len(a) == 1 and len(b) == 1:
        offset_s, matched = float(a[0] - b[0]), np.array([[first[0], second[0]]])
        note = "one event is shared: the drift cannot be known"
        return ClockFit((straight(offset_s),), offset_s, np.nan, np.nan, matched, a, (note,))
    codes = None if names is None else ([names[0][k] for k in first], [names[1][k] for k in second])
    best = _best_match(a, b, tolerance_s, codes, expected_s)
    fits = [part for fit in _further(a, b, best, tolerance_s) for part in fit.split_at_steps(a, b)]
    return _joined(a, b, fits, (first, second), tolerance_s)


def _debounced(times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    kept: list[int] = []
    for k, time in enumerate(times):
        if not kept or time - times[kept[-1]] > BOUNCE_S:
            kept.append(k)
    return np.asarray(times, float)[kept], np.array(kept, int)


class _Candidate(NamedTuple):
    """An offset and a drift under which many differences of event times coincide."""

    n_events: int
    offset_s: float
    ppm: float


def _candidates(a: np.ndarray, b: np.ndarray, tolerance_s: float, near_s: float | None = None) -> list[_Candidate]:
    """Search a grid of drifts for the densest offsets, best first, well apart."""
    span = max(np.ptp(a), np.ptp(b), 1.0)
    width = 4 * tolerance_s
    step = max(1.0, 1e6 * width / span)
    grid = np.arange(-np.ceil(_SEARCH_PPM / step), np.ceil(_SEARCH_PPM / step) + 1) * step
    every = max(1, round(len(a) * len(b) / _MAX_PAIRS))
    middle = b.mean()
    found = []
    for ppm in grid:
        # turned about the middle, so that an offset means the same at every drift
        turned = middle + (b - middle) / (1 + 1e-6 * ppm)
        gaps = np.sort((a[::every, None] - turned).ravel())
        gaps = gaps if near_s is None else gaps[np.abs(gaps - near_s) <= _NEAR_S]
        # windows that hold almost as many differences as the fullest one, fullest first
        counts = np.searchsorted(gaps, gaps + width, side="right") - np.arange(len(gaps))
        peaks: list[_Candidate] = []
        while counts.size and len(peaks) < _MAX_PEAKS:
            k = int(np.argmax(counts))
            n = int(counts[k])
            if n < 1 or (peaks and n < _RIVAL * peaks[0].n_events):
                break
            peaks.append(_Candidate(n, float(gaps[k : k + n].mean()), float(ppm)))
            counts = np.where(np.abs(gaps - peaks[-1].offset_s) > 5 * width, counts, 0)
        found += peaks
    found.sort(key=lambda item: (-item.n_events, abs(item.ppm)))
    chosen: list[_Candidate] = []
    for item in found:
        if len(chosen) < _MAX_PEAKS and all(abs(item.offset_s - other.offset_s) > 5 * width for other in chosen):
            chosen.append(item)
    return chosen


@dataclass(frozen=True)
class Match:
    """Events of two lists that belong together, and the line therapist = mean_a + rate * (client - mean_b)."""

    #: shape (n_matched, 2): Positions in the therapist's and in the client's list
    rows: np.ndarray
    rate: float
    mean_a: float
    mean_b: float

    def predict(self, b: np.ndarray) -> np.ndarray:
        """Translate times of the client's clock, shape as `b`."""
        return self.mean_a + self.rate * (b - self.mean_b)

    def refit(self, a: np.ndarray, b: np.ndarray, rows: np.ndarray) -> Match:
        """Fit the line to other pairs of events by least squares, with the present rate where they cannot tell.

        Shapes: ``a`` (n_therapist,), ``b`` (n_client,), ``rows`` (n_matched, 2).
        """
        x, y = b[rows[:, 1]], a[rows[:, 0]]
        dx = x - x.mean()
        spread = float(dx @ dx)
        slope = float(dx @ (y - y.mean())) / spread if spread > 0 and len(rows) > 2 else self.rate
        if abs(slope - 1) > 2e-6 * _SEARCH_PPM:
            slope = self.rate
        return Match(rows, slope, float(y.mean()), float(x.mean()))

    def conflicts(self, other: Match) -> bool:
        """Tell whether two matches give the same events different partners."""
        shared = {(int(i), int(j)) for i, j in self.rows} & {(int(i), int(j)) for i, j in other.rows}
        if 2 * len(shared) > min(len(self.rows), len(other.rows)):
            return False
        claimed = max(len(np.intersect1d(self.rows[:, k], other.rows[:, k])) for k in (0, 1))
        return 2 * claimed > min(len(self.rows), len(other.rows))

    def part(self, other: Match) -> tuple[Match, Match]:
        """Cut two matches where fewest of their events are on the wrong side, and leave those out."""
        own, others = (match.rows[:, 0].tolist() for match in (self, other))
        both = sorted([(position, False) for position in own] + [(position, True) for position in others])
        is_other = np.array([each for _, each in both])
        # wrong if all before the cut were this one's, and all after it the other's
        before_other, before_own = (np.concatenate([[0], np.cumsum(each)]) for each in (is_other, ~is_other))
        wrong = before_other + (~is_other).sum() - before_own
        own_first = wrong.min() <= len(both) - wrong.max()
        at = int(np.argmin(wrong) if own_first else np.argmax(wrong))
        positions = [position for position, _ in both]
        edge = positions[at] if at < len(both) else positions[-1] + 1
        sides = []
        for match, early in ((self, own_first), (other, not own_first)):
            before = match.rows[:, 0] < edge
            sides.append(replace(match, rows=match.rows[before if early else ~before]))
        return sides[0], sides[1]

    def split_at_steps(self, a: np.ndarray, b: np.ndarray) -> list[Match]:
        """Part the match where its residual steps: a clock that was reset by less than the search tells apart.

        Shapes: ``a`` (n_therapist,), ``b`` (n_client,).
        """
        rows = self.rows[np.argsort(b[self.rows[:, 1]])]
        x, n = b[rows[:, 1]], len(rows)
        residual = a[rows[:, 0]] - self.predict(x)
        if n < 4 * _FEWEST:
            return [self]
        splits = range(_FEWEST, n - _FEWEST + 1)
        losses = np.array([_loss(x[:k], residual[:k], 1) + _loss(x[k:], residual[k:], 1) for k in splits])
        # against a bend that is smooth; strong evidence as in _bend, and half of what the bend leaves must go
        smooth, stepped = _loss(x, residual, 3), max(float(losses.min()), 1e-12 * n)
        if stepped > 0.5 * smooth or n * np.log(smooth / stepped) - np.log(n) < _STRONG:
            return [self]
        k = splits[int(np.argmin(losses))]
        parts = [self.refit(a, b, part) for part in (rows[:k], rows[k:])]
        return [piece for part in parts for piece in part.split_at_steps(a, b)]


def _loss(x: np.ndarray, y: np.ndarray, degree: int) -> float:
    centred = (x - x.mean()) / max(float(np.ptp(x)), 1e-9)
    left = y - np.polynomial.polynomial.polyval(centred, np.polynomial.polynomial.polyfit(centred, y, degree))
    return float(left @ left)


def _refined(a: np.ndarray, b: np.ndarray, offset: float, ppm: float, tolerance_s: float) -> Match:
    """Fit a line to mutual nearest neighbours, again and again, trimmed at four robust standard deviations."""
    match = Match(np.zeros((0, 2), int), 1 / (1 + 1e-6 * ppm), b.mean() + offset, b.mean())
    widest = limit = 6 * tolerance_s
    order_a = np.argsort(a)
    for _ in range(12):
        predicted = match.predict(b)
        order_b = np.argsort(predicted)
        near_b = order_b[nearest(predicted[order_b], a)]
        near_a = order_a[nearest(a[order_a], predicted)]
        keep = (near_a[near_b] == np.arange(len(a))) & (np.abs(a - predicted[near_b]) <= limit)
        rows = np.column_stack([np.flatnonzero(keep), near_b[keep]])
        if len(rows) < 2:
            return replace(match, rows=rows)
        previous = match
        match = match.refit(a, b, rows)
        residual = a[rows[:, 0]] - match.predict(b[rows[:, 1]])
        # never wider than at first: a line across a reset would gather both sides
        limit = min(max(tolerance_s, 4 * 1.4826 * float(np.median(np.abs(residual)))), widest)
        if np.array_equal(rows, previous.rows):
            break
    return match


def _best_match(
    a: np.ndarray,
    b: np.ndarray,
    tolerance_s: float,
    codes: tuple[Sequence[str], Sequence[str]] | None,
    expected_s: float | None,
) -> Match:
    candidates = _candidates(a, b, tolerance_s)
    if expected_s is not None:
        candidates += _candidates(a, b, tolerance_s, expected_s)
    matches = [_refined(a, b, each.offset_s, each.ppm, tolerance_s) for each in candidates]
    matches.sort(key=lambda match: -len(match.rows))
    n_best = len(matches[0].rows)
    needed = max(2, int(np.ceil(0.3 * min(len(a), len(b)))))
    if n_best < needed:
        raise NoFitError(f"only {n_best} of {min(len(a), len(b))} events fit one offset and drift; needed: {needed}")
    # matches of so many events that unrelated lists hold: the first is free, the second has the drift to move in
    span = max(float(np.ptp(a)), float(np.ptp(b)), 1.0)
    near = 1.0 if expected_s is None else min(2 * _NEAR_S / span, 1.0)
    chance = min(4 * tolerance_s / span, 1.0)
    second = max(2e-6 * MAX_PPM, 4 * tolerance_s / span)
    ways = comb(len(a), n_best) * comb(len(b), n_best)
    if float(ways * near * second * chance ** (n_best - 2)) > _CHANCE:
        raise NoFitError(
            f"only {n_best} of {len(a)} and {len(b)} events fit one offset and drift, as unrelated ones would"
        )
    rivals = [matches[0]]
    for match in matches[1:]:
        rival = len(match.rows) >= max(2, _RIVAL * n_best) and match.conflicts(matches[0])
        if rival and all(match.conflicts(other) for other in rivals):
            rivals.append(match)
    if len(rivals) == 1:
        return rivals[0]
    if expected_s is not None:
        return min(rivals, key=lambda match: abs(float(match.predict(np.zeros(1))[0]) - expected_s))
    return _told_by_names(rivals, codes)


def _told_by_names(rivals: list[Match], codes: tuple[Sequence[str], Sequence[str]] | None) -> Match:
    """Choose the match whose pairs follow one translation of names far better than the others' do."""
    if codes is not None:
        purity = []
        for match in rivals:
            pairs = Counter((codes[0][i], codes[1][j]) for i, j in match.rows)
            usual: dict[str, int] = {}
            for (own, _), n in pairs.items():
                usual[own] = max(usual.get(own, 0), n)
            purity.append(sum(usual.values()) / max(len(match.rows), 1))
        best, second = np.argsort(purity)[::-1][:2].tolist()
        if purity[best] > purity[second] + 0.2:
            return rivals[best]
    offsets = ", ".join(f"{float(match.predict(np.zeros(1))[0]):.3f}" for match in rivals[:3])
    raise NoFitError(f"the events repeat regularly, so several offsets fit alike ({offsets} s)", regular=True)


def _further(a: np.ndarray, b: np.ndarray, best: Match, tolerance_s: float) -> list[Match]:
    """Match what is left, as a clock that was reset leaves it; the best match comes first, without strays."""
    fits = [best]
    for _ in range(5):
        rest_a = np.setdiff1d(np.arange(len(a)), np.concatenate([fit.rows[:, 0] for fit in fits]))
        rest_b = np.setdiff1d(np.arange(len(b)), np.concatenate([fit.rows[:, 1] for fit in fits]))
        if min(len(rest_a), len(rest_b)) < _FEWEST:
            break
        top = _candidates(a[rest_a], b[rest_b], tolerance_s)[0]
        match = _refined(a[rest_a], b[rest_b], top.offset_s, top.ppm, tolerance_s)
        match = replace(match, rows=np.column_stack([rest_a[match.rows[:, 0]], rest_b[match.rows[:, 1]]]))
        parted = []
        for fit in fits:
            kept, match = fit.part(match)
            parted.append(kept)
        # matches that interleave by more than stray events are not one clock after another
        entangled = any(
            len(fit.rows) - len(kept.rows) > 0.15 * len(fit.rows) for fit, kept in zip(fits, parted, strict=True)
        )
        if entangled or len(match.rows) < max(_FEWEST, 0.1 * len(best.rows)):
            break
        fits = [*parted, match]
    return fits


def _joined(
    a: np.ndarray,
    b: np.ndarray,
    fits: list[Match],
    numbers: tuple[np.ndarray, np.ndarray],
    tolerance_s: float,
) -> ClockFit:
    fits = sorted(fits, key=lambda fit: a[fit.rows[:, 0]].min())
    notes: list[str] = []
    pieces: list[Piece] = []
    rows = np.concatenate([fit.rows for fit in fits])
    astray = _astray(a, b, rows)
    fitted = [_stretch(a, b, fit, tolerance_s) for fit in fits]
    for k, (fit, stretch) in enumerate(zip(fits, fitted, strict=True)):
        start = -np.inf if k == 0 else float(a[fit.rows[:, 0]].min())
        stop = np.inf if k == len(fits) - 1 else float(a[fit.rows[:, 0]].max())
        left = [replace(stretch.piece, start=start, stop=stop)]
        for first, last in astray:
            cut = [
                part
                for each in left
                for part in (replace(each, stop=min(each.stop, first)), replace(each, start=max(each.start, last)))
            ]
            left = [each for each in cut if each.stop > each.start]
        pieces += left
        notes += stretch.notes
    if len(fits) > 1:
        notes.append(f"a clock was set anew: {len(fits)} pieces were fitted separately")
    if astray:
        notes.append(
            f"{count(len(astray), 'stretch', 'stretches')} in which no event of either device has a partner left out"
        )
    missing = len(a) - len(rows), len(b) - len(rows)
    if any(missing):
        notes.append(f"{missing[0]} of the therapist's and {missing[1]} of the client's events have no partner")
    residual = np.concatenate([stretch.residual for stretch in fitted])
    rms = float(np.sqrt(np.mean(residual**2))) * 1e3 if len(rows) > 2 * len(fits) else np.nan
    worst = max((stretch.ppm for stretch in fitted), key=lambda ppm: 0.0 if np.isnan(ppm) else abs(ppm))
    matched = np.column_stack([numbers[0][rows[:, 0]], numbers[1][rows[:, 1]]])
    offset = float(pieces[0].to_common(np.zeros(1))[0])
    return ClockFit(tuple(pieces), offset, worst, rms, matched, np.sort(a[rows[:, 0]]), tuple(notes))


def _astray(a: np.ndarray, b: np.ndarray, rows: np.ndarray) -> list[tuple[float, float]]:
    """List stretches between matched events, in s of the therapist's clock, that hold many of both devices' events."""
    rows = rows[np.argsort(rows[:, 0])]
    edges_a = [-1, *rows[:, 0].tolist(), len(a)]
    edges_b = [-1, *rows[:, 1].tolist(), len(b)]
    times = [-np.inf, *a[rows[:, 0]].tolist(), np.inf]
    found = []
    for k in range(len(times) - 1):
        alone_a, alone_b = a[edges_a[k] + 1 : edges_a[k + 1]], b[edges_b[k] + 1 : edges_b[k + 1]]
        if min(len(alone_a), len(alone_b)) < _ASTRAY:
            continue
        # before the first and after the last match, only while both devices ran
        if k == 0:
            alone_a = alone_a[alone_a >= alone_b[0] + times[1] - b[rows[0, 1]]]
        if k == len(rows):
            alone_a = alone_a[alone_a <= alone_b[-1] + times[k] - b[rows[-1, 1]]]
        if len(alone_a) >= _ASTRAY:
            found.append((times[k], times[k + 1]))
    return found


#: A drift whose standard error is above this is not removed: over an hour it would add more than it takes
#: (our choice).
_MAX_SE_PPM = 20.0


@dataclass(frozen=True)
class _Stretch:
    """A stretch of time that one match covers, and what its line or curve leaves in s of each event."""

    piece: Piece
    ppm: float
    residual: np.ndarray
    notes: tuple[str, ...] = ()


def _stretch(a: np.ndarray, b: np.ndarray, fit: Match, tolerance_s: float) -> _Stretch:
    x, y = b[fit.rows[:, 1]], a[fit.rows[:, 0]]
    residual = y - fit.predict(x)
    n = len(x)
    sigma = float(np.sqrt(residual @ residual / (n - 2))) if n > 2 else tolerance_s
    # two or three events fit any line: then trust the jitter that was announced
    sigma = max(sigma, tolerance_s / 2) if n < 5 else sigma
    error_ppm = 1e6 * sigma / max(float(np.linalg.norm(x - x.mean())), 1e-9)
    if n < 2 or error_ppm > _MAX_SE_PPM:
        offset = float(np.mean(y - x))
        note = f"{n} events span too little time to know the drift (standard error {error_ppm:.0f} ppm)"
        return _Stretch(straight(offset), np.nan, y - x - offset, (note,))
    curve, bent = _bend(x, residual)
    knots = np.linspace(x.min(), x.max(), max(2, 1 + int(np.ptp(x) / 10))) if bent else np.array([x.min(), x.max()])
    piece = Piece(knots, fit.predict(knots) + np.polynomial.polynomial.polyval(knots - x.mean(), curve))
    notes = ("the drift changed during the recording; a smooth curve was fitted",) if bent else ()
    return _Stretch(piece, 1e6 * (1 / fit.rate - 1), y - piece.to_common(x), notes)


def _bend(x: np.ndarray, residual: np.ndarray) -> tuple[np.ndarray, bool]:
    """Curvature of the drift (temperature), as polynomial coefficients, if events leave no doubt of it."""
    if len(x) < 20 or np.std(residual) < 1e-5:
        return np.zeros(1), False
    scale = np.ptp(x) / 2
    centred = (x - x.mean()) / scale
    coefficients = np.polynomial.polynomial.polyfit(centred, residual, 3)
    left = residual - np.polynomial.polynomial.polyval(centred, coefficients)
    # Schwarz's criterion for two further parameters, with a margin
    gain = len(x) * np.log(float(residual @ residual) / max(float(left @ left), 1e-30)) - 2 * np.log(len(x))
    if gain < _STRONG:
        return np.zeros(1), False
    return coefficients / scale ** np.arange(4), True
