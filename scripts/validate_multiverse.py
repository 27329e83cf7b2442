"""Validate the joint test of a multiverse: p under no growth, and power beside the best single analysis.

Every cell draws studies of its own: dyads' slopes, sessions and the noise that analyses share are made here with numpy
alone. Prints a table in Markdown. ``--small`` runs a few studies, for CI. ``--artefacts`` runs whole multiverses of
simulated recordings instead, in which nothing but an artefact that both people share grows.
"""

from __future__ import annotations

import argparse
import datetime
import platform
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from scipy import stats

import hyperscan as hs
from hyperscan.growth.multiverse import DyadSlopes, JointTest, joint_test
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


def judge_study(cell: Cell, seed: int) -> tuple[JointTest, Array]:
    """Judge one study jointly, and by the p of every single analysis."""
    rng = np.random.default_rng([20261128, CELLS.index(cell), seed])
    slopes, weights, single = [], [], []
    for y, codes, t in draw_study(cell, rng):
        found = estimates_of(y, t, codes, cell.n_dyads)
        slopes.append(found.value)
        weights.append(slope_weights(found))
        single.append(pooled_test(found).p)
    therapists = np.arange(cell.n_dyads) % cell.n_therapists if cell.n_therapists else None
    lined_up = DyadSlopes.from_arrays(np.column_stack(slopes), np.column_stack(weights), therapists)
    return joint_test(lined_up, 2000, rng), np.array(single)


def interval(hits: int, n: int) -> str:
    """Share with its exact 95 % interval."""
    found = stats.binomtest(hits, n).proportion_ci()
    return f"{hits / n:.3f} ({found.low:.3f}-{found.high:.3f})"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="20 studies per cell of up to 24 analyses")
    parser.add_argument("--studies", type=int, default=1000, help="studies per cell")
    parser.add_argument("--rows", type=int, nargs="+", help="rows of the table, from 1; default: all")
    parser.add_argument("--artefacts", action="store_true", help="recordings in which an artefact grows")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    options = parser.parse_args()
    n = 20 if options.small else options.studies
    if options.artefacts:
        for line in artefact_lines(2 if options.small else 8, options.jobs):
            print(line, flush=True)
        return
    cells = [CELLS[row - 1] for row in options.rows or range(1, len(CELLS) + 1)]
    cells = [cell for cell in cells if not options.small or cell.n_universes <= 24]
    print(f"{n} studies per cell, seed 20261128, {datetime.date.today()}, {platform.machine()}.\n")
    print("| studies | joint, median | joint, share | best single analysis | joint of best | any of them | KS |")
    print("|---|---|---|---|---|---|---|")
    for cell in cells:
        print(cell_line(cell, n, options.jobs), flush=True)


def cell_line(cell: Cell, n: int, jobs: int) -> str:
    """Row of the table for one kind of study."""
    found = Parallel(n_jobs=jobs)(map(delayed(partial(judge_study, cell)), range(n)))
    tests, single = [test for test, _ in found], np.array([p for _, p in found]) < 0.05
    medians = np.array([test.p for test in tests])
    # p of few flips is discrete: spread it within its step, else no such p is uniform
    spread = medians - np.random.default_rng(1).uniform(0, 1, n) * np.array([test.smallest_p for test in tests])
    hits, best = int((medians < 0.05).sum()), int(single.sum(0).max())
    cells = [
        cell.name,
        interval(hits, n),
        interval(sum(test.p_share < 0.05 for test in tests), n),
        interval(best, n),
        f"{hits / best:.0%}" if cell.effect else "",
        interval(int(single.any(1).sum()), n),
        "" if cell.effect else f"{stats.kstest(spread, 'uniform').pvalue:.2f}",
    ]
    return f"| {' | '.join(cells)} |"


#: What grows, by scenarios of the simulation; the last one is coupling.
GROWING = ("artefact_broadband", "artefact_narrowband", "artefact_topography", "growth")

#: A metric that sees a common artefact, and one that is blind to what has no lag.
METRICS = ("plv", "ciplv")


def artefact_lines(n_dyads: int, jobs: int) -> Iterator[str]:
    """Rows of a table: the verdict by every metric where only an artefact grows, and the sentence."""
    yield f"| what grows | {' | '.join(METRICS)} | sentence |"
    yield "|---" * (len(METRICS) + 2) + "|"
    config = hs.StudyConfig(n_null=19, window_s=10.0, multiverse={"metrics": METRICS})
    for scenario in GROWING:
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            study = hs.simulate_study(f"{folder}/study", scenario, n_dyads=n_dyads, n_sessions=4, duration_s=90, seed=1)
            found = hs.run_multiverse(hs.read_sessions(study), config, out=f"{folder}/out", n_jobs=jobs)
        verdicts = [one.verdict for one in found.universes]
        yield f"| {scenario} | {' | '.join(verdicts)} | {found.sentence.partition(' All together')[0]} |"


if __name__ == "__main__":
    main()
