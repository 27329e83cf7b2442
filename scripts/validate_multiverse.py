"""Validate the joint test of a multiverse: p under no growth, and power beside the best single analysis.

Every cell draws studies of its own: dyads' slopes, sessions and the noise that analyses share are made here with numpy
alone. Prints a table in Markdown. ``--small`` runs a few studies, for CI.
"""

from __future__ import annotations

import argparse
import datetime
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from scipy import stats

from hyperscan.growth.multiverse import DyadSlopes, joint_test
from hyperscan.growth.slopes import estimates_of, pooled_test, slope_weights

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Cell:
    """One kind of study."""

    name: str
    n_dyads: int = 12
    sessions: tuple[int, int] = (6, 6)
    n_universes: int = 24
    #: Correlation of noise between analyses, and how many of them are copies of one
    shared: float = 0.7
    copies: int = 0
    #: Mean slope in units of its spread between dyads; of how many analyses
    effect: float = 0.0
    with_effect: float = 1.0
    n_therapists: int = 0
    skew: bool = False


CELLS = (
    Cell("null, 12 dyads, 24 analyses, r .7"),
    Cell("null, 8 dyads, 72 analyses, r .9", n_dyads=8, n_universes=72, shared=0.9),
    Cell("null, 20 dyads, 200 analyses, r .3", n_dyads=20, n_universes=200, shared=0.3),
    Cell("null, 12 dyads of 2-6 sessions", sessions=(2, 6)),
    Cell("null, skewed slopes", skew=True),
    Cell("null, half of the analyses copies of one", copies=12),
    Cell("null, 20 dyads of 7 therapists", n_dyads=20, n_therapists=7),
    Cell("effect in all, 12 dyads, r .7", effect=0.9),
    Cell("effect in all, 20 dyads, r .9", n_dyads=20, shared=0.9, effect=0.7),
    Cell("effect in all, 12 dyads of 2-6 sessions", sessions=(2, 6), effect=1.0),
    Cell("effect in a quarter of the analyses", effect=0.9, with_effect=0.25),
)


def draw_study(cell: Cell, rng: np.random.Generator) -> Iterator[tuple[Array, NDArray[np.intp], Array]]:
    """Values, dyads and times of every analysis of one study."""
    courses = rng.integers(cell.sessions[0], cell.sessions[1] + 1, cell.n_dyads)
    codes = np.repeat(np.arange(cell.n_dyads), courses)
    t = np.concatenate([np.arange(n, dtype=float) for n in courses])
    spread = 0.03
    own = rng.exponential(1, cell.n_dyads) - 1 if cell.skew else rng.standard_normal(cell.n_dyads)
    if cell.n_therapists:
        own = own * 0.7 + 0.7 * rng.standard_normal(cell.n_therapists)[np.arange(cell.n_dyads) % cell.n_therapists]
    common = rng.standard_normal(len(t))
    last = np.zeros(len(t))
    for i in range(cell.n_universes):
        effect = cell.effect if i < cell.with_effect * cell.n_universes else 0.0
        noise = 0.1 * (np.sqrt(cell.shared) * common + np.sqrt(1 - cell.shared) * rng.standard_normal(len(t)))
        if i and i < cell.copies:
            noise = last + 1e-3 * rng.standard_normal(len(t))
        last = noise
        yield spread * (effect + own)[codes] * t + noise, codes, t


def judge_study(cell: Cell, seed: int) -> tuple[float, float, Array]:
    """Both joint p values of one study, and the p of every single analysis."""
    rng = np.random.default_rng([20261128, CELLS.index(cell), seed])
    slopes, weights, single = [], [], []
    for y, codes, t in draw_study(cell, rng):
        found = estimates_of(y, t, codes, cell.n_dyads)
        slopes.append(found.value)
        weights.append(slope_weights(found))
        single.append(pooled_test(found).p)
    therapists = np.arange(cell.n_dyads) % cell.n_therapists if cell.n_therapists else None
    lined_up = DyadSlopes.from_arrays(np.column_stack(slopes), np.column_stack(weights), therapists)
    test = joint_test(lined_up, 2000, rng)
    return test.p, test.p_share, np.array(single)


def interval(hits: int, n: int) -> str:
    """Share with its exact 95 % interval."""
    found = stats.binomtest(hits, n).proportion_ci()
    return f"{hits / n:.3f} ({found.low:.3f}-{found.high:.3f})"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="20 studies per cell of up to 24 analyses")
    parser.add_argument("--studies", type=int, default=1000, help="studies per cell")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    options = parser.parse_args()
    n = 20 if options.small else options.studies
    cells = [cell for cell in CELLS if not options.small or cell.n_universes <= 24]
    print(f"{n} studies per cell, seed 20261128, {datetime.date.today()}, {platform.machine()}.\n")
    print("| studies | joint p < .05 (median) | joint p < .05 (share) | best single analysis | KS of the first |")
    print("|---|---|---|---|---|")
    for cell in cells:
        found = Parallel(n_jobs=options.jobs)(map(delayed(partial(judge_study, cell)), range(n)))
        medians, shares = (np.array([row[k] for row in found]) for k in (0, 1))
        best = max((np.array([row[2] for row in found]) < 0.05).sum(0))
        # p of few flips is discrete: spread it within its step, else no such p is uniform
        spread = medians - np.random.default_rng(1).uniform(0, 1, n) * np.array([2.0**-cell.n_dyads * 2] * n)
        uniform = "" if cell.effect else f"{stats.kstest(spread, 'uniform').pvalue:.2f}"
        print(
            f"| {cell.name} | {interval(int((medians < 0.05).sum()), n)} | {interval(int((shares < 0.05).sum()), n)} "
            f"| {interval(int(best), n)} | {uniform} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
