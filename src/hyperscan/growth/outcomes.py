"""Relations between synchrony and what therapy is about: symptoms, alliance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from hyperscan.errors import InputError, TableError, did_you_mean
from hyperscan.growth.likelihood import RandomTerm
from hyperscan.growth.records import OutcomeRelation
from hyperscan.growth.reml import fit_mixed
from hyperscan.growth.slopes import dyad_slopes
from hyperscan.growth.table import Names, label_column, number_column

Array = NDArray[np.float64]

#: A scatter within dyads below this share of the outcome's range counts as none: a mixed model needs sessions that
#: differ (our choice).
NO_REST = 1e-6


def relate_outcomes(
    table: pd.DataFrame, names: Names, sessions: pd.DataFrame, task: str, outcomes: Sequence[str]
) -> tuple[OutcomeRelation, ...]:
    """Relate each outcome column to synchrony, within and between dyads and over the course."""
    if isinstance(outcomes, str):
        raise InputError(f"outcomes = {outcomes!r}: expected a list of columns, such as [{outcomes!r}].")
    found: list[OutcomeRelation] = []
    for name in outcomes:
        joined = _join(table, names, sessions, task, name)
        found += [*relate_earlier(joined, name), relate_change(joined, name)]
    corrected = holm([relation.p for relation in found])
    return tuple(replace(relation, p_holm=p) for relation, p in zip(found, corrected, strict=True))


def _join(table: pd.DataFrame, names: Names, sessions: pd.DataFrame, task: str, name: str) -> pd.DataFrame:
    """Put an outcome beside the synchrony of each session."""
    known = [str(column) for column in table.columns]
    for column in (name, names.session):
        if column not in known:
            raise TableError(f"outcomes: the table has no column {column!r}.{did_you_mean(column, known)}")
    rows = table[table["task"].astype(str) == task] if task and "task" in table else table
    values = pd.DataFrame(
        {
            "dyad": label_column(rows, names.dyad),
            "session": number_column(rows, names.session),
            "outcome": number_column(rows, name),
        }
    )
    # every outcome row of a session repeats the same number
    mean = values.groupby(["dyad", "session"], as_index=False)["outcome"].mean()
    return sessions[["dyad", "session", "t", "value"]].merge(mean, on=["dyad", "session"], how="left")


def relate_earlier(joined: pd.DataFrame, name: str) -> list[OutcomeRelation]:
    """Relate an outcome to the synchrony of the session before, within dyads, and to that of the dyad as a whole."""
    joined = joined.sort_values(["dyad", "t"], kind="stable")
    between = joined.groupby("dyad")["value"].transform("mean")
    earlier = (joined["value"] - between).groupby(joined["dyad"]).shift(1)
    use = joined["outcome"].notna() & earlier.notna()
    y = joined["outcome"][use].to_numpy(float)
    x = np.column_stack([np.ones(len(y)), joined["t"][use], earlier[use], between[use]])
    groups = joined["dyad"][use].to_numpy(str)
    labels = ("within_lagged", "between")
    if len(np.unique(groups)) < 4 or len(y) < 8 or np.linalg.matrix_rank(x) < 4 or np.ptp(y) == 0:
        detail = "too few sessions or no variation"
        return [OutcomeRelation(name, label, len(y), detail=detail) for label in labels]
    if _rest(y, x[:, :0], groups) <= NO_REST * np.ptp(y):
        within = OutcomeRelation(name, "within_lagged", len(y), detail="it does not vary within dyads")
        return [within, relate_dyads(name, pd.DataFrame({"dyad": groups, "y": y, "x": between[use]}))]
    if _rest(y, x[:, 1:3], groups) <= NO_REST * np.ptp(y):
        detail = "time and earlier synchrony leave no variation within dyads"
        return [OutcomeRelation(name, label, len(y), detail=detail) for label in labels]
    fit = fit_mixed(y, x, [RandomTerm(groups, np.ones((len(y), 1)))])
    numbers = zip(*(part[2:4].tolist() for part in (fit.estimate, fit.se, fit.df, fit.t, fit.p)), strict=True)
    return [
        OutcomeRelation(name, label, len(y), slope, se, df, t, p, detail=label)
        for label, (slope, se, df, t, p) in zip(labels, numbers, strict=True)
    ]


def _rest(y: Array, x: Array, groups: NDArray[Any]) -> float:
    """Root mean square of what dyads' own means and these columns leave of y."""
    columns = np.column_stack([groups[:, None] == np.unique(groups), x]).astype(float)
    beta, *_ = np.linalg.lstsq(columns, y, rcond=None)
    return float(np.sqrt(np.mean((y - columns @ beta) ** 2)))


def relate_dyads(name: str, rows: pd.DataFrame) -> OutcomeRelation:
    """Test an outcome with one number per dyad: a regression over dyads, as sessions only repeat it."""
    mean = rows.groupby("dyad").mean()
    fit = stats.linregress(mean["x"], mean["y"])
    slope, se, p, n = float(fit.slope), float(fit.stderr), float(fit.pvalue), len(mean)
    with np.errstate(divide="ignore"):
        t = float(np.divide(fit.slope, fit.stderr))
    return OutcomeRelation(name, "between", n, slope, se, n - 2.0, t, p, detail=f"one number per dyad, {n} dyads")


def relate_change(joined: pd.DataFrame, name: str) -> OutcomeRelation:
    """Correlate the dyads' growth with the change of an outcome."""
    labels, codes = np.unique(joined["dyad"].to_numpy(str), return_inverse=True)
    t = joined["t"].to_numpy(float)
    growth, change = (dyad_slopes(joined[c].to_numpy(float), t, codes, len(labels)) for c in ("value", "outcome"))
    use = np.isfinite(growth) & np.isfinite(change)
    n = int(use.sum())
    if n < 4 or np.ptp(growth[use]) == 0 or np.ptp(change[use]) == 0:
        return OutcomeRelation(name, "change", n, detail="too few dyads or no variation")
    r, p = map(float, stats.pearsonr(growth[use], change[use]))
    return OutcomeRelation(
        name, "change", n, df=float(n - 2), p=p, r=r, detail=f"Pearson r = {r:+.2f} of {n} dyads' slopes"
    )


def holm(p: Sequence[float | None]) -> list[float | None]:
    """P values corrected for all of them (Holm 1979); None stays None."""
    known = sorted((value, i) for i, value in enumerate(p) if value is not None)
    out: list[float | None] = [None] * len(p)
    largest = 0.0
    for rank, (value, i) in enumerate(known):
        largest = max(largest, min(1.0, value * (len(known) - rank)))
        out[i] = largest
    return out
