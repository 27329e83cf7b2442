"""Relations between synchrony and what therapy is about: symptoms, alliance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from hyperscan.errors import InputError, TableError, did_you_mean
from hyperscan.growth.likelihood import RandomTerm
from hyperscan.growth.reml import fit_mixed
from hyperscan.growth.slopes import dyad_slopes
from hyperscan.growth.table import Names, label_column, number_column

Array = NDArray[np.float64]

#: A scatter within dyads below this share of the outcome's range counts as none: a mixed model needs sessions that
#: differ (our choice).
NO_REST = 1e-6


def relate_outcomes(
    table: pd.DataFrame,
    names: Names,
    sessions: pd.DataFrame,
    cell: Mapping[str, str],
    outcomes: Sequence[str],
) -> list[dict[str, Any]]:
    """Relate each outcome column to synchrony, within and between dyads and over the course."""
    if isinstance(outcomes, str):
        raise InputError(f"outcomes = {outcomes!r}: expected a list of columns, such as [{outcomes!r}].")
    rows: list[dict[str, Any]] = []
    for name in outcomes:
        joined = _join(table, names, sessions, cell, name)
        rows += [*_lagged(joined, name), _change(joined, name)]
    for row, p in zip(rows, _holm([row["p"] for row in rows]), strict=True):
        row["p_holm"] = p
    return rows


def _join(
    table: pd.DataFrame, names: Names, sessions: pd.DataFrame, cell: Mapping[str, str], name: str
) -> pd.DataFrame:
    known = [str(column) for column in table.columns]
    for column in (name, names.session):
        if column not in known:
            raise TableError(f"outcomes: the table has no column {column!r}.{did_you_mean(column, known)}")
    rows = table[table["task"].astype(str) == cell["task"]] if cell["task"] and "task" in table else table
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


def _lagged(joined: pd.DataFrame, name: str) -> list[dict[str, Any]]:
    joined = joined.sort_values(["dyad", "t"], kind="stable")
    between = joined.groupby("dyad")["value"].transform("mean")
    earlier = (joined["value"] - between).groupby(joined["dyad"]).shift(1)
    use = joined["outcome"].notna() & earlier.notna()
    y = joined["outcome"][use].to_numpy(float)
    x = np.column_stack([np.ones(len(y)), joined["t"][use], earlier[use], between[use]])
    groups = joined["dyad"][use].to_numpy(str)
    labels = ("within_lagged", "between")
    if len(np.unique(groups)) < 4 or len(y) < 8 or np.linalg.matrix_rank(x) < 4 or np.ptp(y) == 0:
        return [_row(name, label, n=len(y), detail="too few sessions or no variation") for label in labels]
    if _rest(y, x[:, :0], groups) <= NO_REST * np.ptp(y):
        within = _row(name, "within_lagged", n=len(y), detail="it does not vary within dyads")
        return [within, _over_dyads(name, pd.DataFrame({"dyad": groups, "y": y, "x": between[use]}))]
    if _rest(y, x[:, 1:3], groups) <= NO_REST * np.ptp(y):
        detail = "time and earlier synchrony leave no variation within dyads"
        return [_row(name, label, n=len(y), detail=detail) for label in labels]
    fit = fit_mixed(y, x, [RandomTerm(groups, np.ones((len(y), 1)))])
    return [
        _row(
            name, label, n=len(y), slope=float(fit.estimate[k]), se=float(fit.se[k]), df=float(fit.df[k]),
            t=float(fit.t[k]), p=float(fit.p[k]),
        )
        for k, label in zip((2, 3), labels, strict=True)
    ]  # fmt: skip


def _rest(y: Array, x: Array, groups: NDArray[Any]) -> float:
    """Root mean square of what dyads' own means and these columns leave of y."""
    columns = np.column_stack([groups[:, None] == np.unique(groups), x]).astype(float)
    beta, *_ = np.linalg.lstsq(columns, y, rcond=None)
    return float(np.sqrt(np.mean((y - columns @ beta) ** 2)))


def _over_dyads(name: str, rows: pd.DataFrame) -> dict[str, Any]:
    """Test an outcome with one number per dyad: a regression over dyads, as sessions only repeat it."""
    mean = rows.groupby("dyad").mean()
    fit = stats.linregress(mean["x"], mean["y"])
    n, detail = len(mean), f"one number per dyad, {len(mean)} dyads"
    with np.errstate(divide="ignore"):
        t = float(np.divide(fit.slope, fit.stderr))
    return _row(
        name, "between", n=n, slope=float(fit.slope), se=float(fit.stderr), df=n - 2.0, t=t, p=float(fit.pvalue),
        detail=detail,
    )  # fmt: skip


def _change(joined: pd.DataFrame, name: str) -> dict[str, Any]:
    labels, codes = np.unique(joined["dyad"].to_numpy(str), return_inverse=True)
    t = joined["t"].to_numpy(float)
    growth, change = (dyad_slopes(joined[c].to_numpy(float), t, codes, len(labels)) for c in ("value", "outcome"))
    use = np.isfinite(growth) & np.isfinite(change)
    n = int(use.sum())
    if n < 4 or np.ptp(growth[use]) == 0 or np.ptp(change[use]) == 0:
        return _row(name, "change", n=n, detail="too few dyads or no variation")
    r = stats.pearsonr(growth[use], change[use])
    detail = f"Pearson r = {r.statistic:+.2f} of {n} dyads' slopes"
    return _row(name, "change", n=n, r=float(r.statistic), df=float(n - 2), p=float(r.pvalue), detail=detail)


def _row(name: str, relation: str, *, n: int, detail: str = "", **numbers: float) -> dict[str, Any]:
    empty: dict[str, Any] = dict.fromkeys(("slope", "se", "df", "t", "p", "r"))
    return {"name": name, "relation": relation, "n": n, **empty, **numbers, "detail": detail or relation}


def _holm(p: Sequence[float | None]) -> list[float | None]:
    known = sorted((value, i) for i, value in enumerate(p) if value is not None)
    out: list[float | None] = [None] * len(p)
    largest = 0.0
    for rank, (value, i) in enumerate(known):
        largest = max(largest, min(1.0, value * (len(known) - rank)))
        out[i] = largest
    return out
