"""Groups of dyads and moderators: whether growth differs between arms, or goes with a number of the dyads."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from hyperscan.errors import InputError, TableError, count, did_you_mean
from hyperscan.growth.differences import Asked, Asking, Difference, Side, Wording, settle_differences, tell_more
from hyperscan.growth.evidence import Question
from hyperscan.growth.guards import ask_differences
from hyperscan.growth.likelihood import RandomTerm
from hyperscan.growth.model import Design
from hyperscan.growth.pooled import regress
from hyperscan.growth.records import CappedSlope, FlipTest, Record, SlopeTest, TherapistLevel
from hyperscan.growth.reml import fit_mixed
from hyperscan.growth.slopes import (
    Estimates,
    estimates_of,
    for_lent_people,
    level_for_lent_people,
    plain_test,
    pooled_test,
    therapist_means,
)
from hyperscan.growth.table import holds_yes_no, label_column, yes_no_column
from hyperscan.schema import MIN_DYADS, MIN_GROUP
from hyperscan.words import LIMITS, YES_NO_SAID

Array = NDArray[np.float64]

#: Up to this many ways to hand out the labels all are looked at (16 dyads in two halves have 12,870).
MAX_ARRANGEMENTS = 20_000


@dataclass(frozen=True)
class Omnibus(Record):
    """Welch's F over the weighted slopes of more than two groups."""

    f: float
    df1: float
    df2: float
    p: float


@dataclass(frozen=True)
class Groups(Record):
    """Growth in each group of dyads, and whether the groups differ at all."""

    #: Column of the groups, and the group that the others are compared with
    column: str
    reference: str
    #: The reference first
    sides: tuple[Side, ...]
    #: Whether all groups that are large enough differ; None of two, whose difference says it
    omnibus: Omnibus | None = None


def labels_of(table: pd.DataFrame, dyad: str, column: str) -> dict[str, str]:
    """Group of every dyad; a column that changes within a dyad, or is empty, raises a TableError."""
    _need(table, column, "group")
    found = _constant(label_column(table, dyad), label_column(table, column), column)
    return {str(name): str(label) for name, label in found.items()}


def numbers_of(table: pd.DataFrame, dyad: str, column: str) -> dict[str, float]:
    """Moderator of every dyad that has one; a column that changes within a dyad raises a TableError."""
    _need(table, column, "moderators")
    values = yes_no_column(table, column)
    known = values.notna()
    found = _constant(label_column(table, dyad)[known], values[known], column)
    return {str(name): float(value) for name, value in found.items()}


def _need(table: pd.DataFrame, column: str, argument: str) -> None:
    known = [str(name) for name in table.columns]
    if column not in known:
        raise TableError(
            f"{argument}: the table has no column {column!r}; it has: {', '.join(known[:20])}."
            f"{did_you_mean(column, known)}"
        )


def _constant(dyads: pd.Series, values: pd.Series, column: str) -> dict[str, Any]:
    """One value per dyad."""
    several = values.groupby(dyads).nunique() > 1
    if several.any():
        dyad = several.index[several][0]
        held = ", ".join(map(str, sorted(set(values[dyads == dyad]))[:5]))
        raise TableError(
            f"{column}: dyad {dyad!r} has several values ({held}); what dyads are compared by is one value per dyad.\n"
            "Correct the table. What changes over the sessions is an outcome, what changes within one is a task."
        )
    return dict(values.groupby(dyads).first().items())


def compare_groups(
    rows: pd.DataFrame, labels: Mapping[str, str], column: str, reference: str, asking: Asking
) -> tuple[Groups, tuple[Difference, ...]]:
    """Compare the growth of every group with that of the reference."""
    found = sorted(set(labels.values()))
    if reference not in found:
        raise InputError(
            f"reference = {reference!r}: name the group that the others are compared with; column {column!r} holds: "
            f"{', '.join(map(repr, found))}.{did_you_mean(reference, found)}"
        )
    names = [reference, *(name for name in found if name != reference)]
    parts = {name: rows[rows["dyad"].map(labels) == name] for name in names}
    lent = {name: replace(asking.evidence, sessions=part).n_lent for name, part in parts.items()}
    tests = {name: for_lent_people(pooled_test(_slopes(part)), lent[name]) for name, part in parts.items()}
    groups = Groups(column, reference, tuple(Side.of(name, tests[name], len(parts[name])) for name in names))
    compared = [test for test in tests.values() if test.n >= MIN_GROUP]
    if len(compared) > 2:
        groups = replace(groups, omnibus=welch_f(compared))
    asked = []
    for name in names[1:]:
        both = rows[rows["dyad"].map(labels).isin([reference, name])]
        numbers = {dyad: float(labels[dyad] == name) for dyad in both["dyad"].unique()}
        sides = tuple(side for side in groups.sides if side.name in (name, reference))
        lacks = [
            f"{side.name} has {count(side.test.n, 'dyad')} with two or more sessions, and {MIN_GROUP} are needed."
            for side in sides
            if side.test.n < MIN_GROUP
        ]
        slopes = {side.name: [side.test.slope] for side in sides}
        wording = Wording(
            f"the change of {asking.what} between {name} and {reference}",
            tell_more(asking.what, f"in {name} than in {reference}", slopes[name]),
            tell_more(asking.what, f"in {reference} than in {name}", slopes[reference]),
            LIMITS["groups"],
        )
        named = f"{name} - {reference}"
        asked.append(_compare(both, numbers, named, asking, wording, sides=sides, lack=" ".join(lacks)))
    return groups, settle_differences(asked, None if groups.omnibus is None else groups.omnibus.p)


def relate_moderators(
    rows: pd.DataFrame, moderators: Mapping[str, Mapping[str, float]], asking: Asking
) -> tuple[Difference, ...]:
    """Ask of every number of the dyads whether growth goes with it."""
    asked = []
    for name, numbers in moderators.items():
        known = rows[rows["dyad"].isin(list(numbers))]
        n_lost = rows["dyad"].nunique() - known["dyad"].nunique()
        notes = [f"{count(n_lost, 'dyad has', 'dyads have')} no {name} and did not enter."] if n_lost else []
        notes += [YES_NO_SAID.format(name=name)] if holds_yes_no(list(numbers.values())) else []
        wording = Wording(
            f"the change of {asking.what} with {name}",
            f"more growth (or less of a fall) of {asking.what} the higher {name} was",
            f"less growth (or more of a fall) of {asking.what} the higher {name} was",
            LIMITS["moderators"],
        )
        asked.append(_compare(known, numbers, name, asking, wording, lack=_lack(known, numbers), notes=notes))
    return settle_differences(asked)


def _lack(rows: pd.DataFrame, numbers: Mapping[str, float]) -> str:
    """Say why too few dyads have a number and a slope; empty where they do. Two numbers make two groups."""
    labels = Design.of(rows).labels[_slopes(rows).known]
    values, sizes = np.unique([numbers[label] for label in labels.tolist()], return_counts=True)
    if len(labels) < MIN_DYADS:
        return f"{count(len(labels), 'dyad has', 'dyads have')} it and a slope, and {MIN_DYADS} are needed."
    if len(values) == 2 and sizes.min() < MIN_GROUP:
        few = f"{values[sizes.argmin()]:g} in {count(int(sizes.min()), 'dyad')}"
        return f"It has two values, {few}, and {MIN_GROUP} dyads are needed of each."
    return ""


def _slopes(rows: pd.DataFrame) -> Estimates:
    design = Design.of(rows)
    return estimates_of(rows["value"].to_numpy(float), design.t, design.codes, len(design.labels))


def _compare(
    rows: pd.DataFrame,
    numbers: Mapping[str, float],
    name: str,
    asking: Asking,
    wording: Wording,
    *,
    lack: str,
    sides: tuple[Side, ...] = (),
    notes: Sequence[str] = (),
) -> Asked:
    """Ask how the slopes go with one number per dyad: that of two groups (``sides``), or a moderator."""
    design, y = Design.of(rows), rows["value"].to_numpy(float)
    found = _slopes(rows)
    column = np.array([numbers[label] for label in design.labels.tolist()], float)
    estimate = pooled_test(found, column)
    level, alone = therapists_of(found, column, design.therapists)
    evidence = replace(asking.evidence, sessions=rows, question=Question(column=numbers))
    # numbers of dyads that are re-paired with each other know nothing of what they share
    lent = evidence.n_lent if sides else 0.0
    mixed = interaction(design, y, column)
    per = "" if sides else f" per unit of {name}"
    difference = Difference(
        name=name,
        question="group" if sides else "moderator",
        word="",
        sentence="",
        unit=f"{asking.value_unit} per {asking.unit}{per}".strip(),
        estimate=for_lent_people(estimate, lent),
        plain=for_lent_people(plain_test(found.value, column), lent),
        mixed=mixed and for_lent_people(mixed, lent),
        permutation=permute(found.value, column, design.therapists, asking.rng, asking.n_flips),
        therapist_level=level_for_lent_people(level, lent),
        p_holm=math.nan,
        sides=sides,
        guards=() if lack else ask_differences(evidence, asking.modality, estimate.slope),
        notes=tuple(notes),
        n_sessions=len(rows),
    )
    return Asked(difference, wording, lack or alone)


def therapists_of(found: Estimates, column: Array, therapists: NDArray[Any] | None) -> tuple[TherapistLevel, str]:
    """Test the same with therapists as the unit, where one sees several dyads; say why it cannot be, or nothing.

    Shapes: ``column`` (n_dyads,), ``therapists`` (n_dyads,).
    """
    if therapists is None:
        return TherapistLevel(), ""
    use = found.known & np.isfinite(column)
    by, who = column[use], therapists[use]
    names = np.unique(who)
    needed = 1 < len(names) < len(who)
    level = TherapistLevel(known=True, n_therapists=len(names), needed=needed)
    if not needed:
        return level, ""
    within = [np.ptp(by[who == one]) > 0 for one in names]
    held = {float(value): np.unique(who[by == value]) for value in np.unique(by)}
    if not any(within) and len(held) == 2 and min(map(len, held.values())) < 2:
        return level, "One group has a single therapist: group and therapist cannot be told apart."
    columns = np.column_stack([by - by.mean(), np.ones(len(by))])
    if len(names) < 3 or np.linalg.matrix_rank(columns) < 2:
        return level, "Too few therapists to tell what they and the dyads differ by apart."
    test = regress(found.value[use], found.own[use], columns, who).test()
    return replace(level, test=test), ""


def interaction(design: Design, y: Array, column: Array) -> CappedSlope | None:
    """Interaction of ``y ~ t * column + (1 + t | dyad)``, df capped at dyads - 2; None where it cannot be fitted.

    Shapes: ``y`` (n,), ``column`` (n_dyads,).
    """
    n = design.n_with_slope
    if n < 3 or len(y) <= 4:
        return None
    x = column[design.codes]
    centred = x - x.mean()
    fixed = np.column_stack([np.ones_like(y), design.t, centred, centred * design.t])
    if np.linalg.matrix_rank(fixed) < 4 or design.noiseless(y):
        return None
    return CappedSlope.of(fit_mixed(y, fixed, [RandomTerm(design.codes, fixed[:, :2])]), n - 1, k=3)


def welch_f(tests: Sequence[SlopeTest]) -> Omnibus:
    """Welch's F test of equal means, here of weighted ones with their own degrees of freedom.

    Welch 1951, doi:10.1093/biomet/38.3-4.330

    Examples
    --------
    >>> from hyperscan.growth.slopes import slope_test
    >>> found = welch_f([slope_test([1, 2, 3]), slope_test([2, 3, 4]), slope_test([6, 7, 8])])
    >>> round(found.f, 2), round(found.p, 4)
    (18.0, 0.01)
    """
    k = len(tests)
    if k < 3 or any(not test.se > 0 for test in tests):
        return Omnibus(math.nan, k - 1.0, math.nan, math.nan)
    mean, df = np.array([test.slope for test in tests]), np.array([test.df for test in tests])
    weight = np.array([test.se for test in tests]) ** -2.0
    total = weight.sum()
    gap = float((weight * (mean - weight @ mean / total) ** 2).sum()) / (k - 1)
    spread = float(((1 - weight / total) ** 2 / df).sum())
    f = gap / (1 + 2 * (k - 2) / (k**2 - 1) * spread)
    df2 = (k**2 - 1) / (3 * spread)
    return Omnibus(f, k - 1.0, df2, float(special.fdtrc(k - 1, df2, f)))


def permute(
    values: Array, column: Array, therapists: NDArray[Any] | None, rng: np.random.Generator, n_draws: int
) -> FlipTest:
    """Permute what dyads are compared by: labels of two groups in Welch's t, or a number in a covariance.

    Where every therapist's dyads have one label, labels of therapists are permuted (and their mean numbers compared);
    where therapists have dyads of several labels, they are permuted within therapists.

    Shapes: ``values, column`` (n_dyads,), ``therapists`` (n_dyads,).

    Examples
    --------
    >>> x, by = np.array([0.1, 0.2, 0.3, 0.7, 0.8, 0.6]), np.array([0, 0, 0, 1, 1, 1.0])
    >>> permute(x, by, None, np.random.default_rng(0), 1000).p
    0.1
    """
    use = np.isfinite(values) & np.isfinite(column)
    x, by = values[use], column[use]
    who = None if therapists is None else therapists[use]
    if who is not None and len(np.unique(who)) < len(who):
        if any(np.ptp(by[who == one]) > 0 for one in np.unique(who)):
            return _permute_within(x, by, who, rng, n_draws)
        means = therapist_means(x, who)
        x, by = np.array(list(means.values())), np.array([by[who == one][0] for one in means])
    n = len(x)
    if n < 3 or np.ptp(by) == 0 or np.ptp(x) == 0:
        return FlipTest(math.nan, 0, True, math.nan, n)
    kinds = np.unique(by)
    if len(kinds) > 2:
        order = np.tile(by - by.mean(), (n_draws, 1))
        drawn = rng.permuted(order, axis=1) @ x
        return _rank(abs(float((by - by.mean()) @ x)), np.abs(drawn), n)
    first = int((by == kinds[1]).sum())
    if math.comb(n, first) > MAX_ARRANGEMENTS:
        labels = rng.permuted(np.tile(by == kinds[1], (n_draws, 1)), axis=1)
        return _rank(_welch_t(x, (by == kinds[1])[None])[0], _welch_t(x, labels), n)
    labels = np.zeros((math.comb(n, first), n), bool)
    for row, chosen in enumerate(combinations(range(n), first)):
        labels[row, list(chosen)] = True
    observed, drawn = _welch_t(x, (by == kinds[1])[None])[0], _welch_t(x, labels)
    hits, smallest = int((drawn >= observed * (1 - 1e-10)).sum()), int((drawn >= drawn.max() * (1 - 1e-10)).sum())
    return FlipTest(hits / len(drawn), len(drawn), True, smallest / len(drawn), n)


def _permute_within(x: Array, by: Array, who: NDArray[Any], rng: np.random.Generator, n_draws: int) -> FlipTest:
    """Permute labels among the dyads of each therapist; who has one label says nothing."""
    observed, drawn = 0.0, np.zeros(n_draws)
    for one in np.unique(who):
        mine = who == one
        rest = x[mine] - x[mine].mean()
        observed += float(rest @ by[mine])
        drawn += rng.permuted(np.tile(by[mine], (n_draws, 1)), axis=1) @ rest
    return _rank(abs(observed), np.abs(drawn), len(x))


def _rank(observed: float, drawn: Array, n: int) -> FlipTest:
    p = (int((drawn >= observed * (1 - 1e-10)).sum()) + 1) / (len(drawn) + 1)
    return FlipTest(p, len(drawn), False, 1 / (len(drawn) + 1), n)


def _welch_t(x: Array, first: NDArray[np.bool_]) -> Array:
    """Size of Welch's t for many labellings at once.

    Shapes: ``x`` (n,), ``first`` (n_draws, n), returns (n_draws,).
    """
    x = x - x.mean()
    parts: list[tuple[Array, Array]] = []
    for side in (first, ~first):
        size = side.sum(1)
        mean = side @ x / size
        variance = (side @ x**2 - size * mean**2) / np.maximum(size - 1, 1)
        parts.append((mean, np.maximum(variance, 1e-24 * float(x @ x)) / size))
    return np.asarray(np.abs(parts[0][0] - parts[1][0]) / np.sqrt(parts[0][1] + parts[1][1]))
