"""Shape: whether the course departs from the line that was named in advance. Exploratory, with one correction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hyperscan.growth.flips import max_t
from hyperscan.growth.model import Design
from hyperscan.growth.records import Record, SlopeTest
from hyperscan.growth.slopes import for_lent_people, slope_test
from hyperscan.schema import MIN_DYADS

Array = NDArray[np.float64]

#: Questions about the shape, in words: what a positive estimate says, and a negative one.
SHAPES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "early_late": ("the later half of the sessions lies higher", "the later half of the sessions lies lower"),
        "rise_and_fall": ("the middle lies below the line", "the middle lies above the line"),
        "saturation": ("it rises first and levels off, or falls late", "it falls first and levels off, or rises late"),
    }
)

#: What is added where the mean course turns inside the sessions: a dip (as rupture and repair), or a rise and fall.
TURNS = ("; a dip: it falls and rises again", "; it rises and falls again")

#: Share of the course at either end in which a turning point tells nothing (our choice).
EDGE = 0.2

#: Below this share of the largest value a bend is round-off.
NO_BEND = 1e-12

#: Sessions that a dyad needs to enter: a line and what departs from it (our choice).
MIN_SESSIONS = 4


@dataclass(frozen=True)
class Shape(Record):
    """One question about the shape of the course."""

    spread = "test"

    #: A key of :data:`SHAPES`
    name: str
    #: Of one number per dyad, on the outcome's scale: between halves; of the middle over the ends; of the early rise
    test: SlopeTest
    #: p corrected for all questions about the shape by the maximum over joint sign flips
    p_max_t: float
    #: What the estimate says
    text: str


def describe_shape(
    rows: pd.DataFrame, rng: np.random.Generator, n_flips: int, n_lent: float = 0.0
) -> tuple[Shape, ...]:
    """Ask for early against late, rise and fall, and saturation; nothing with too few dyads of enough sessions."""
    design, y = Design.of(rows), rows["value"].to_numpy(float)
    numbers = np.array([_numbers(design.t[design.codes == k], y[design.codes == k]) for k in range(len(design.labels))])
    if not len(numbers) or int(np.isfinite(numbers).all(1).sum()) < MIN_DYADS:
        return ()
    corrected = max_t(numbers[:, : len(SHAPES)], rng, n_flips)
    mean_line, found = float(np.nanmean(numbers[:, 3])), []
    for k, (name, (positive, negative)) in enumerate(SHAPES.items()):
        test = for_lent_people(slope_test(numbers[:, k]), n_lent)
        text = positive if test.slope > 0 else negative if test.slope < 0 else "no departure"
        if name == "rise_and_fall" and turns(mean_line, test.slope):
            text += TURNS[test.slope < 0]
        found.append(Shape(name, test, float(corrected[k]), text))
    return tuple(found)


def turns(steepness: float, bend: float) -> bool:
    """Whether ``steepness u + bend (2 u - 1)^2`` has its turning point well inside 0 to 1."""
    return bend != 0 and EDGE < 0.5 - steepness / (8 * bend) < 1 - EDGE


def _numbers(t: Array, y: Array) -> Array:
    """Later half minus earlier half; bend; early rise; and steepness of the line beside the bend, NaN where untold.

    Bend and early rise are least-squares coefficients next to a line, over a time u that runs from 0 to 1: of
    ``(2 u - 1)^2`` (both ends above the middle) and of ``1 - 8^-u``, which has done three quarters of its rise at half
    time. Both tell a course that bends, from different sides.

    Shapes: ``t, y`` (n_sessions,), returns (4,).
    """
    if len(np.unique(t)) < MIN_SESSIONS:
        return np.full(4, np.nan)
    u = (t - t.min()) / np.ptp(t)
    halves = float(y[u > 0.5].mean() - y[u < 0.5].mean())
    fits = [
        np.linalg.lstsq(np.column_stack([curve, u, np.ones_like(u)]), y, rcond=None)[0]
        for curve in ((2 * u - 1) ** 2, 1 - 8.0**-u)
    ]
    found = np.array([halves, fits[0][0], fits[1][0], fits[0][1]])
    # a course without a bend leaves one of round-off, alike in all dyads
    return np.where(np.abs(found) <= NO_BEND * np.abs(y).max(), 0.0, found)
