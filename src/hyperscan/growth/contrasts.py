"""Conditions: whether synchrony, or its growth, is higher in one task than in another, within dyad and session."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hyperscan.errors import TableError, count, did_you_mean, p_text
from hyperscan.growth.differences import Asked, Asking, Difference, Side, Wording, settle_differences, tell_more
from hyperscan.growth.evidence import Question
from hyperscan.growth.flips import flip_test
from hyperscan.growth.guards import ask_differences
from hyperscan.growth.likelihood import RandomTerm
from hyperscan.growth.model import Design
from hyperscan.growth.pooled import ROUNDING
from hyperscan.growth.records import CappedSlope, TherapistLevel
from hyperscan.growth.reml import NO_RESIDUAL, fit_mixed
from hyperscan.growth.slopes import (
    Estimates,
    estimates_of,
    for_lent_people,
    level_for_lent_people,
    plain_test,
    pooled_test,
    slope_test,
    therapist_test,
)
from hyperscan.growth.table import COMPANIONS, Sessions, sessions_of
from hyperscan.schema import CELL_COLUMNS, COLUMNS, CONTRAST, KEYS, MIN_DYADS, TABLES
from hyperscan.words import LIMITS

Array = NDArray[np.float64]

#: Columns that are means, so that the difference of tasks has the difference of theirs.
ADDITIVE = (
    *("estimate", "z", "pseudo_mean_z", "excess_z", "own_mean_z", "own_excess_z", "halves_z"),
    "lead_asymmetry_excess",
)

#: Columns that a difference of tasks has no value of: other spreads, other statistics, where a profile is highest.
NOT_ADDITIVE = ("pseudo_sd_z", "lag_peak_s", "lag_peak_p", "lag_estimate", "lag_p", "lag_n")

#: Columns of which the least of the tasks counts.
LEAST = ("n_pseudo", "n_own", "n_windows", "seconds")

#: Column that says which task of a session came first.
ORDER = "order"

Contrast = Mapping[str, float]


def contrast_rows(table: pd.DataFrame, contrasts: Mapping[str, Contrast]) -> pd.DataFrame:
    """Rows of every contrast as synchrony.tsv has them, its name as their task, where all of its tasks are there."""
    parts = [_rows_of(table, name, contrast) for name, contrast in contrasts.items()]
    return pd.concat(parts, ignore_index=True) if parts else table.iloc[:0]


def _rows_of(table: pd.DataFrame, name: str, contrast: Contrast) -> pd.DataFrame:
    additive = [column for column in ADDITIVE if column in table]
    least = [column for column in LEAST if column in table]
    labels = [c for c in (*KEYS, *CELL_COLUMNS) if c in table]
    keys = [column for column in labels if column not in ("task", "run")]
    tasks = {task: table[table["task"].astype(str) == task] for task in contrast}
    # runs of a session are averaged, as in every analysis
    means = {task: rows.groupby(keys, sort=False)[additive].mean() for task, rows in tasks.items()}
    total = weighted_sum(means, contrast)
    smallest = reduce(np.fmin, [rows.groupby(keys, sort=False)[least].min() for rows in tasks.values()])
    # labels of people go with the session, and so do covariates that are the same in all tasks
    carried = [c for c in table if c not in (*labels, *additive, *least, *NOT_ADDITIVE, "flags")]
    every = pd.concat(tasks.values()).groupby(keys, sort=False)
    first, covariates = every[carried].first(), [name for name in carried if name not in TABLES["synchrony"]]
    if covariates:
        first[covariates] = first[covariates].mask(every[covariates].nunique() > 1)
    joined = first.join(total, how="inner").join(smallest, how="left")
    joined = joined[joined[additive].notna().any(axis=1)].reset_index().assign(task=name, run="", flags=CONTRAST)
    return joined.reindex(columns=table.columns)


def weighted_sum(tasks: Mapping[str, pd.DataFrame], contrast: Contrast) -> pd.DataFrame:
    """Sum of numbers of several tasks by their weights; where tasks are alike that is 0, and not what rounding leaves.

    Examples
    --------
    >>> tasks = {name: pd.DataFrame({"z": [z]}) for name, z in (("a", 0.1), ("b", 0.2), ("c", 0.15))}
    >>> weighted_sum(tasks, {"a": 0.5, "b": 0.5, "c": -1.0})["z"].tolist()
    [0.0]
    """
    parts = [tasks[task].mul(share) for task, share in contrast.items()]
    total, size = reduce(pd.DataFrame.add, parts), reduce(pd.DataFrame.add, [part.abs() for part in parts])
    return total.mask(total.abs() <= ROUNDING * size, 0.0)


@dataclass(frozen=True)
class TaskSessions:
    """The sessions that hold every task of a contrast: their difference, and each task alone."""

    name: str
    contrast: Contrast
    #: One row per dyad and session: the weighted sum over tasks as ``value``, and of the columns beside it
    difference: pd.DataFrame
    #: By task, the same dyads and sessions
    alone: Mapping[str, pd.DataFrame]

    @classmethod
    def of(cls, name: str, contrast: Contrast, sessions: Mapping[str, Sessions]) -> TaskSessions:
        """Join the tasks within dyad and session."""
        keyed = {task: sessions[task].frame.set_index(["dyad", "session"]) for task in contrast}
        shared = reduce(pd.Index.intersection, [frame.index for frame in keyed.values()]).sort_values()
        alone = {task: frame.loc[shared] for task, frame in keyed.items()}
        columns = [
            column
            for column in ("value", *COMPANIONS)
            if column not in NOT_ADDITIVE and all(column in frame for frame in alone.values())
        ]
        found = weighted_sum({task: frame[columns].astype(float) for task, frame in alone.items()}, contrast)
        for column in (column for column in LEAST if column in found):
            found[column] = reduce(np.minimum, [frame[column].astype(float) for frame in alone.values()])
        # tasks of one session are at one time
        found["t"] = sum(frame["t"] for frame in alone.values()) / len(alone)
        some = next(iter(alone.values()))
        if "therapist" in some:
            found["therapist"] = some["therapist"]
        return cls(name, contrast, found.reset_index(), {task: frame.reset_index() for task, frame in alone.items()})

    @property
    def names(self) -> tuple[str, str]:
        """Tasks on the positive side, and on the negative one, in words."""
        sides = [[task for task, share in self.contrast.items() if share * sign > 0] for sign in (1, -1)]
        return " and ".join(sides[0]), " and ".join(sides[1])


def compare_conditions(
    frame: pd.DataFrame, contrasts: Mapping[str, Contrast], asking: Asking, order: pd.DataFrame | None
) -> tuple[Difference, ...]:
    """Test level and growth of every contrast of a tidy table.

    ``order`` holds the place of each task in its session, where the table says: ``dyad session task order``.
    """
    known = sorted(set(frame["task"]))
    for name, contrast in contrasts.items():
        for task in contrast:
            if task not in known:
                raise TableError(
                    f"contrasts.{name}: the table has no task {task!r}; it has: {', '.join(map(repr, known))}."
                    f"{did_you_mean(task, known)}"
                )
    tasks = {task for contrast in contrasts.values() for task in contrast}
    outcome = asking.evidence.outcome
    sessions = {task: sessions_of(frame, replace(outcome, task=task), asking.unit) for task in sorted(tasks)}
    found = [TaskSessions.of(name, contrast, sessions) for name, contrast in contrasts.items()]
    settled: list[Difference] = []
    for level in (True, False):
        settled += settle_differences([_compare(one, asking, order, level=level) for one in found])
    # of one contrast, level and growth follow each other
    return tuple(one for name in contrasts for one in settled if one.name == name)


def _compare(conditions: TaskSessions, asking: Asking, order: pd.DataFrame | None, *, level: bool) -> Asked:
    """Test the level or the growth of one contrast."""
    rows = conditions.difference
    design, y = Design.of(rows), rows["value"].to_numpy(float)
    found = _estimates(rows, level)
    n = int(found.known.sum())
    estimate = pooled_test(found)
    evidence = replace(
        asking.evidence,
        sessions=rows,
        outcome=replace(asking.evidence.outcome, task=""),
        question=Question(conditions=conditions.contrast, level=level),
        sides=conditions.alone,
    )
    therapists, lent = design.therapists, evidence.n_lent
    mixed = _mixed_level(design, y, n) if level else design.capped(y)
    over = TherapistLevel() if therapists is None else therapist_test(found.value, therapists)
    difference = Difference(
        name=conditions.name,
        question="level" if level else "growth",
        word="",
        sentence="",
        unit=asking.value_unit if level else f"{asking.value_unit} per {asking.unit}".strip(),
        estimate=for_lent_people(estimate, lent),
        plain=for_lent_people(slope_test(found.value), lent),
        mixed=mixed and for_lent_people(mixed, lent),
        permutation=flip_test(found.value, asking.rng, asking.n_flips),
        therapist_level=level_for_lent_people(over, lent),
        p_holm=np.nan,
        sides=tuple(
            Side.of(task, for_lent_people(pooled_test(_estimates(alone, level)), lent), len(alone))
            for task, alone in conditions.alone.items()
        ),
        guards=ask_differences(evidence, asking.modality, estimate.slope) if n >= MIN_DYADS else (),
        notes=tuple(filter(None, (_tell_order(conditions, order, level), _tell_amounts(conditions)))),
        n_sessions=len(rows),
    )
    needed = "a session" if level else "two or more sessions"
    lack = f"{count(n, 'dyad has', 'dyads have')} {needed} with all tasks, and {MIN_DYADS} are needed."
    return Asked(difference, _wording(conditions, difference, asking.what), lack if n < MIN_DYADS else "")


def _estimates(rows: pd.DataFrame, level: bool) -> Estimates:
    design = Design.of(rows)
    return estimates_of(rows["value"].to_numpy(float), design.t, design.codes, len(design.labels), level=level)


def _mixed_level(design: Design, y: Array, n: int) -> CappedSlope | None:
    """Mean of ``y ~ 1 + (1 | dyad)``; None where sessions of a dyad do not differ, or there is one of each."""
    if n < 2 or len(y) <= len(design.labels):
        return None
    means = np.bincount(design.codes, y) / np.bincount(design.codes)
    if float(((y - means[design.codes]) ** 2).sum()) <= NO_RESIDUAL * float((y**2).sum()):
        return None
    ones = np.ones((len(y), 1))
    return CappedSlope.of(fit_mixed(y, ones, [RandomTerm(design.codes, ones)]), n, k=0)


def _wording(conditions: TaskSessions, found: Difference, what: str) -> Wording:
    """Say what is asked, and what either sign of the difference means."""
    first, second = conditions.names
    if found.question == "level":
        return Wording(
            f"{what} between {first} and {second}",
            f"higher {what} in {first} than in {second}",
            f"higher {what} in {second} than in {first}",
            LIMITS["conditions"],
        )
    slopes = {
        name: [side.test.slope for side in found.sides if side.name in name.split(" and ")] for name in (first, second)
    }
    return Wording(
        f"the change of {what} between {first} and {second}",
        tell_more(what, f"in {first} than in {second}", slopes[first]),
        tell_more(what, f"in {second} than in {first}", slopes[second]),
        LIMITS["conditions"],
    )


def _tell_amounts(conditions: TaskSessions) -> str:
    """Say where tasks of one session hold different amounts of data."""
    for column in ("n_windows", "seconds"):
        held = [frame[column].to_numpy(float) for frame in conditions.alone.values() if column in frame]
        unequal = int((np.ptp(held, axis=0) > 0).sum()) if len(held) == len(conditions.alone) else 0
        if unequal:
            label = COLUMNS[column].label[0].lower() + COLUMNS[column].label[1:]
            return f"In {count(unequal, 'session')} the tasks differ in the amount of data ({label})."
    return ""


def _tell_order(conditions: TaskSessions, order: pd.DataFrame | None, level: bool) -> str:
    """Say which task came first, and whether the difference goes with that."""
    first, second = conditions.names
    if order is None:
        return "The order of the tasks is not in the table (column order), so that an effect of it is not ruled out."
    places = order[order["task"].isin(list(conditions.contrast))].dropna()
    share = places["task"].map(conditions.contrast)
    # mean place of the positive side minus that of the negative one: below 0, the positive side came first
    lead = (places["order"] * share).groupby([places["dyad"], places["session"]]).sum().rename("lead").reset_index()
    joined = conditions.difference.merge(lead, on=["dyad", "session"], how="left")
    if joined["lead"].isna().any():
        lost = int(joined["lead"].isna().sum())
        return f"The order of the tasks is not known in {count(lost, 'session')}: an effect of it is not ruled out."
    balanced = int((joined["lead"] == 0).sum())
    if balanced == len(joined):
        return f"{first} and {second} had the same mean place in the order of every session."
    if balanced:
        text = f"{first} and {second} had the same mean place in the order of {count(balanced, 'session')} and not in"
        return f"{text} {len(joined) - balanced}: an effect of it is not ruled out."
    ahead = joined["lead"] < 0
    if ahead.all() or not ahead.any():
        early, late = (first, second) if ahead.all() else (second, first)
        return f"{early} came before {late} in every session: task and order cannot be told apart."
    text = f"{first} came first in {int(ahead.sum())} of {len(ahead)} sessions"
    if not level:
        return f"{text}."
    means = joined.assign(ahead=ahead).groupby(["dyad", "ahead"])["value"].mean().unstack()
    both = (means[True] - means[False]).dropna().to_numpy(float)
    test = slope_test(both)
    if test.n < 3:
        by_dyad = joined.assign(ahead=ahead).groupby("dyad")[["value", "ahead"]].mean()
        test = plain_test(by_dyad["value"].to_numpy(float), (by_dyad["ahead"] > 0.5).to_numpy(float))
    if test.n < MIN_DYADS or math.isnan(test.p):
        return f"{text}; too few dyads to tell whether the difference goes with that."
    return f"{text}; the difference was then {test.slope:+.3g} apart from that of the other order ({p_text(test.p)})."
