"""Validate contrasts and groups from recordings on: what changes is the recordings of one side alone.

    python scripts/validate_comparisons.py --small        under 20 s: one study of each kind
    python scripts/validate_comparisons.py --reps 50      every cell; stop and start as you like

Each side of a comparison is a study of validate_verdict.py with noise of its own (verdict_studies.py says how it goes
through preparation, plan, metrics, chance and guards); the tables of both are put together as a run has them: as two
tasks of the same dyads, or as two arms of other dyads, whose strangers are of their own arm.
"""

from __future__ import annotations

import argparse
import datetime
import math
import os
import re
import sys
import tempfile
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent))

import mne
import pandas as pd
from scipy import stats

from hyperscan.growth import GrowthResult, fit_growth
from hyperscan.words import DIFFERENCES
from verdict_conditions import CONSTANT, GROWTH, STRONG, A, Condition, Design, Trap
from verdict_studies import Tables, keep, kept, study_tables
from verdict_traps import Scene

ROOT = Path(__file__).resolve().parent.parent

#: Not used for any choice of the package.
FRESH_SEED = 20_261_130

ALPHA = 0.05

STILL = Condition("constant coupling", CONSTANT)


@dataclass(frozen=True)
class Cell:
    """What one side does and the other does not."""

    name: str
    #: The first task, or the arm that is compared
    first: Condition | Trap
    #: The second task, or the reference
    second: Condition | Trap = STILL
    #: Whether coupling itself differs in level, or in growth
    level: bool = False
    growth: bool = False


CELLS = (
    Cell("nothing differs", STILL),
    Cell("signal to noise rises in one only", Condition("rises", CONSTANT, gain=STRONG)),
    Cell("signal to noise is higher in one", Condition("higher", CONSTANT, gain=(1.5, 1.5))),
    Cell(
        "a broadband artefact grows in one only",
        Condition("artefact", CONSTANT, artefact="broadband", artefact_gain=0.6),
    ),
    Cell(
        "rhythms become steadier in one only",
        Trap("steadier", lambda u: Scene(coupling=0.25, burstiness=1.2 - 1.1 * u)),
        Trap("as they are", lambda _: Scene(coupling=0.25)),
    ),
    Cell("coupling grows in one only", Condition("growth", GROWTH, grows=True), level=True, growth=True),
)

KINDS = ("tasks", "arms")


def tables_of(cell: Cell, kind: str, design: Design, seed: Sequence[int]) -> Tables:
    """Tables of both sides as a run of them writes them."""
    sides = []
    for number, condition in enumerate((cell.first, cell.second)):
        parts = study_tables(condition, design, [*seed, number])
        if kind == "tasks":
            sides.append([frame.assign(task=("talk", "rest")[number]) for frame in parts])
        else:
            arm, shift = ("active", "control")[number], 50 * number
            sides.append([_renamed(frame, shift).assign(arm=arm) for frame in parts])
    first, second = sides
    synchrony, guards, quality = (pd.concat(both, ignore_index=True) for both in zip(first, second, strict=True))
    return synchrony, guards, quality


def _renamed(frame: pd.DataFrame, shift: int) -> pd.DataFrame:
    """Other dyads than those of the other arm."""
    moved = {name: [f"{label[0]}{int(label[1:]) + shift:02d}" for label in frame[name]]
             for name in ("dyad", "therapist") if name in frame}  # fmt: skip
    return frame.assign(**moved)


def judged(tables: Tables, kind: str) -> GrowthResult:
    """Ask the comparison as `growth` does."""
    synchrony, guards, quality = tables
    asked: dict[str, Any] = {"group": "arm", "reference": "control"}
    if kind == "tasks":
        asked = {"contrasts": {"talk_minus_rest": {"talk": 1, "rest": -1}}, "primary": {"task": "talk"}}
    return fit_growth(synchrony, guards=guards, quality=quality, n_flips=999, **asked)


def answers(tables: Tables, kind: str) -> dict[str, dict[str, Any]]:
    """Word, p, sign and failed guards of every question of a study."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = judged(tables, kind).differences
    return {
        each.question: {
            "word": each.word,
            "p": each.estimate.p,
            "slope": each.estimate.slope,
            "failed": [guard.name for guard in each.guards if guard.passed is False],
        }
        for each in found
    }


def make(name: str, kind: str, design: Design, seed: Sequence[int], path: Path) -> None:
    """Simulate a study of a cell and keep its tables."""
    (cell,) = (each for each in CELLS if each.name == name)
    mne.set_log_level("ERROR")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        keep(path, tables_of(cell, kind, design, seed))


def run(
    cells: Sequence[Cell], reps: int, design: Design, folder: Path, seed: int, jobs: int = 1, minutes: float = math.inf
) -> dict[tuple[str, str], Any]:
    """Make studies that are not kept, round by round so that a stopped run is balanced, and ask all that are there."""
    wanted = {
        (rep, cell.name, number): folder / f"{kind}-{slug(cell)}-{rep:03d}.json.gz"
        for rep in range(reps)
        for cell in cells
        for number, kind in enumerate(KINDS)
    }
    todo = [(key, path) for key, path in wanted.items() if not path.is_file()]
    deadline = time.monotonic() + 60 * minutes
    with ProcessPoolExecutor(jobs) as pool:
        for first in range(0, len(todo), jobs):
            if time.monotonic() > deadline:
                break
            made = [
                pool.submit(make, name, KINDS[number], design, [seed, sum(map(ord, name)), number, rep], path)
                for (rep, name, number), path in todo[first : first + jobs]
            ]
            for study in made:
                study.result()
    found: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for (_, name, number), path in wanted.items():
        if path.is_file():
            found[KINDS[number], name].append(answers(kept(path), KINDS[number]))
    return found


def slug(cell: Cell) -> str:
    """Name of a cell's files."""
    return re.sub("[^a-z]+", "_", cell.name)


INTRODUCTION = """# Comparisons of recordings that change on one side

Written by `scripts/validate_comparisons.py` on {today} ({cores} cores, shared with other work, one used; seed {seed},
on which nothing was chosen). Two tasks of 8 dyads, or two arms of 8 dyads each, 6 sessions of 120 s; signals as in
[the verdict on simulated recordings](verdict.md). Movement and peaks are not measured where sessions are prepared at
once, so the best word is `differs_unchecked` here: **claims** is the share of it and of `differs`, with its exact 95 %
interval. `tests alone` is the share with p < .05 before any guard was asked.

| compared | what differs | question | true | n | **claims** | 95 % | tests alone | confounded | guards that failed, of p < .05 |
|---|---|---|---|---|---|---|---|---|---|
"""  # noqa: E501 - a table


def page(found: Mapping[tuple[str, str], Any], seed: int) -> str:
    """Write the table."""
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    lines = [
        _line(cell, kind, question, [row[question] for row in found[kind, cell.name]])
        for cell in CELLS
        for kind in KINDS
        if found.get((kind, cell.name))
        for question in found[kind, cell.name][0]
    ]
    return INTRODUCTION.format(today=today, cores=os.cpu_count(), seed=seed) + "\n".join(lines) + "\n"


def _line(cell: Cell, kind: str, question: str, answers: Sequence[Mapping[str, Any]]) -> str:
    words, n = Counter(answer["word"] for answer in answers), len(answers)
    claims = words["differs"] + words["differs_unchecked"]
    low, high = stats.binomtest(claims, n).proportion_ci()
    alone = [answer for answer in answers if answer["p"] < ALPHA]
    failed = Counter(name for answer in alone for name in answer["failed"])
    told = ", ".join(f"{name} {count / len(alone):.2f}" for name, count in failed.most_common()) or "-"
    true = cell.level if question == "level" else cell.growth
    asked = "growth" if question == "group" else question
    return (
        f"| {kind} | {cell.name} | {asked} | {'yes' if true else 'no'} | {n} | **{claims / n:.2f}** "
        f"| {low:.2f}-{high:.2f} | {len(alone) / n:.2f} | {words['confounded'] / n:.2f} | {told} |"
    )


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--small", action="store_true", help="one study of each kind, of four dyads")
    parser.add_argument("--reps", type=int, default=50, help="studies per cell")
    parser.add_argument("--seed", type=int, default=FRESH_SEED)
    parser.add_argument("--work", type=Path, default=ROOT / "work", help="where finished studies are kept")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/validation/comparisons.md")
    parser.add_argument("--minutes", type=float, default=math.inf, help="start no study after so long")
    parser.add_argument("--jobs", type=int, default=1, help="studies made side by side")
    parser.add_argument("--cells", default="", help="regular expression of names of cells")
    options = parser.parse_args()
    started = time.monotonic()
    if options.small:
        with tempfile.TemporaryDirectory() as folder:
            found = run(CELLS[1:2], 1, Design(5, 3, 60.0), Path(folder), options.seed)
        words = {answer["word"] for rows in found.values() for row in rows for answer in row.values()}
        if not words or not words <= set(DIFFERENCES):
            sys.exit(f"no comparison has a word: {words}")
        print(f"{len(found)} studies in {time.monotonic() - started:.0f} s: {', '.join(sorted(words))}")
        return
    chosen = [cell for cell in CELLS if re.search(options.cells, cell.name)]
    folder = options.work / f"comparisons_seed{options.seed}"
    found = run(chosen, options.reps, A, folder, options.seed, options.jobs, options.minutes)
    options.out.write_text(page(found, options.seed), encoding="utf-8")


if __name__ == "__main__":
    main()
