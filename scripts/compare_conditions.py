"""Compare two tasks of a run within dyads and sessions: level and growth of the difference of their excess.

usage: python scripts/compare_conditions.py OUT TASK1 TASK2
"""

import argparse
from dataclasses import replace
from pathlib import Path

import pandas as pd
from scipy import stats

import hyperscan as hs

KEYS = ["dyad", "therapist", "session"]


def excess(study: hs.StudyResult, task: str) -> pd.Series:
    """Excess of the primary outcome in one task, by dyad and session; runs of a session are averaged."""
    rows = replace(study.plan.primary, task=task).select(study.table)
    if rows.empty:
        tasks = ", ".join(sorted(set(study.table["task"])))
        raise SystemExit(f"task {task!r} is not in this run; there are: {tasks}")
    return rows.groupby(KEYS)["excess_z"].mean()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, metavar="OUT", help="folder of a run with two tasks")
    parser.add_argument("task", nargs=2, metavar="TASK", help="the first minus the second")
    arguments = parser.parse_args()

    study = hs.StudyResult.load(arguments.out)
    first, second = arguments.task
    difference = (excess(study, first) - excess(study, second)).dropna().rename("difference").reset_index()
    # sessions of a dyad are no independent observations: one mean per dyad
    means = difference.groupby("dyad")["difference"].mean()
    test = stats.ttest_1samp(means, 0)
    low, high = test.confidence_interval()
    print(f"level, {first} - {second}: {means.mean():+.4f} (95 % CI {low:+.4f} to {high:+.4f}, p = {test.pvalue:.3g})")
    print(f"growth of the difference, over {len(means)} dyads:")
    print(hs.fit_growth(difference, value="difference").summary())


if __name__ == "__main__":
    main()
