"""How one clock follows another: straight or bent pieces between jumps. Arrays only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Piece:
    """A stretch over which one clock follows the other without a jump.

    Parameters
    ----------
    own, common : ndarray, shape (n_knots,)
        The same moments on the device's clock and on the common clock, in s; straight lines between, and
        beyond.
    start, stop : float
        Where the piece holds, in s on the common clock.
    """

    own: np.ndarray
    common: np.ndarray
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
    """Describe a clock that started at an offset and runs a little faster or slower.

    Parameters
    ----------
    offset_s : float
        Its zero on the common clock, in s.
    ppm : float
        How much faster it runs, in parts per million.

    Returns
    -------
    Piece

    Examples
    --------
    >>> float(straight(2.0, 0.0).to_own(np.array(5.0)))
    3.0
    """
    span = 1000.0
    return Piece(np.array([0.0, span * (1 + ppm * 1e-6)]), np.array([offset_s, offset_s + span]))
