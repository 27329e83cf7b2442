"""From a tidy table to the sessions that answer the question: columns checked, one outcome chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from hyperscan.config import PRIMARY, Primary
from hyperscan.errors import InputError, TableError, count, did_you_mean

#: What tells two outcomes apart.
CELL = ("modality", "task", "signal", "metric", "band", "roi")

#: Signal used of an fNIRS table when none is named, in order of preference.
SIGNALS = ("hbo", "hbo_nosc", "hbt", "hbr")

#: Columns beside the value that describe the same outcome.
COMPANIONS = ("z", "pseudo_mean_z", "pseudo_sd_z", "excess_z", "n_pseudo", "n_windows", "seconds")


@dataclass(frozen=True)
class Names:
    """What the columns of the table are called."""

    value: str
    time: str
    dyad: str
    therapist: str
    session: str
    days: str

    @property
    def renamed(self) -> tuple[str, ...]:
        """Columns that need not be there, but were named by the caller, and so have to be."""
        optional = {"therapist": self.therapist, "session": self.session, "days": self.days}
        return tuple(name for usual, name in optional.items() if name != usual)


@dataclass(frozen=True)
class Sessions:
    """The rows of one outcome, one per dyad and session.

    Parameters
    ----------
    frame : DataFrame
        Columns ``dyad session t value`` and, where the table has them, ``therapist z pseudo_mean_z
        excess_z``.
    cell : mapping
        The outcome: ``modality task signal metric band roi`` (empty where the table does not say).
    unit : str
        What the slope is per: ``session``, ``week`` or the name of the time column.
    n_dropped : int
        Rows left out because value or time is missing.
    n_unpaired : int
        Rows left out because no other dyad could be re-paired, where the others have pseudo pairs.
    n_averaged : int
        Sessions whose runs were averaged.
    """

    frame: pd.DataFrame
    cell: Mapping[str, str]
    unit: str
    n_dropped: int
    n_unpaired: int
    n_averaged: int


def tidy(table: pd.DataFrame, names: Names) -> pd.DataFrame:
    """Check a table and bring its columns to standard names.

    Parameters
    ----------
    table : DataFrame
        One row per dyad, session and outcome.
    names : Names
        What its columns are called.

    Returns
    -------
    DataFrame
        With ``dyad t value session unpaired`` and the columns of :data:`CELL` (empty text where absent).

    Raises
    ------
    TableError
        If a column is missing or holds what it cannot hold, or rows repeat.
    """
    if not isinstance(table, pd.DataFrame):
        raise InputError(f"table is a {type(table).__name__}; expected a pandas DataFrame.")
    _need(table, names.dyad, _time_column(table, names), names.value, *names.renamed)
    if table.empty:
        raise TableError("table has no rows; it needs one per dyad and session.")
    frame = pd.DataFrame({"dyad": label_column(table, names.dyad)})
    frame["value"] = number_column(table, names.value)
    frame["t"] = _time(table, names)
    frame["session"] = number_column(table, names.session) if names.session in table else frame["t"]
    if names.therapist in table:
        frame["therapist"] = label_column(table, names.therapist)
    for column in COMPANIONS:
        if column in table:
            frame[column] = number_column(table, column)
    for column in (*CELL, "run"):
        frame[column] = _cell_column(table, column)
    _check_sessions(frame, names.session)
    _check_repeats(frame)
    frame["unpaired"] = names.value == "excess_z" and _unpaired(frame)
    frame.loc[frame["unpaired"], "value"] = np.nan
    return frame


def _unpaired(frame: pd.DataFrame) -> pd.Series | bool:
    """Find excess over the lag null among excess over pseudo pairs.

    It is that of another statistic (the whole session's, not its windows'), and of the same coupling it is larger: a
    study whose late sessions lack partners would seem to grow.
    """
    if "n_pseudo" not in frame:
        return False
    most = frame.groupby(list(CELL))["n_pseudo"].transform("max")
    return (frame["n_pseudo"] == 0) & (most > 0)


def _need(table: pd.DataFrame, *columns: str) -> None:
    """Refuse a table without these columns, naming all that it lacks at once."""
    known = [str(name) for name in table.columns]
    missing = [name for name in dict.fromkeys(columns) if name not in table.columns]
    if missing:
        hint = did_you_mean(missing[0], known) if len(missing) == 1 else ""
        raise TableError(
            f"table has no column {', '.join(map(repr, missing))}; it has: {', '.join(known[:20])}.{hint}\n"
            "Name your columns: dyad=, time=, value=; therapist=, session=, days= where you have them.",
            missing,
        )
    twice = [name for name in columns if (table.columns == name).sum() > 1]
    if twice:
        raise TableError(f"table has several columns {twice[0]!r}; rename or drop all but one.")


def label_column(table: pd.DataFrame, column: str) -> pd.Series:
    """Labels of a column as text, whole numbers without a decimal point; none may be empty."""
    values = table[column].reset_index(drop=True)
    empty = np.flatnonzero(values.isna() | (values.astype(str).str.strip() == ""))
    if len(empty):
        raise TableError(f"{column}: row {empty[0] + 1} is empty; every row needs its {column}.")
    if pd.api.types.is_float_dtype(values) and (values % 1 == 0).all():
        values = values.astype("int64")
    return values.astype(str)


def number_column(table: pd.DataFrame, column: str) -> pd.Series:
    """Finite numbers of a column, NaN where it is empty; anything else raises a TableError."""
    raw = table[column].reset_index(drop=True)
    types = pd.api.types
    if types.is_datetime64_any_dtype(raw) or types.is_timedelta64_dtype(raw) or types.is_complex_dtype(raw):
        raise TableError(f"{column}: row 1 holds {raw.iloc[0]!r}; expected a number (for dates: days since the first).")
    # the texts by which TSV files say "missing"
    raw = raw.replace({"n/a": np.nan, "": np.nan, "NA": np.nan}) if raw.dtype != float else raw
    values = pd.to_numeric(raw, errors="coerce").astype(float)
    wrong = np.flatnonzero(values.isna() & raw.notna())
    if len(wrong):
        raise TableError(f"{column}: row {wrong[0] + 1} holds {raw.iloc[wrong[0]]!r}; expected a number.")
    infinite = np.flatnonzero(np.isinf(values))
    if len(infinite):
        raise TableError(
            f"{column}: row {infinite[0] + 1} is infinite; every number has to be finite.\n"
            "A synchrony of exactly 1 has no Fisher z: leave it empty."
        )
    return values


def _time_column(table: pd.DataFrame, names: Names) -> str:
    if names.time == "session":
        return names.session
    return names.days if names.time == "weeks" and "weeks" not in table else names.time


def _time(table: pd.DataFrame, names: Names) -> pd.Series:
    column = _time_column(table, names)
    values = number_column(table, column)
    if names.time == "session":
        return values - 1
    return values / 7 if column != names.time else values


def _cell_column(table: pd.DataFrame, column: str) -> pd.Series:
    if column == "roi" and "roi" not in table and {"roi_therapist", "roi_client"} <= set(table.columns):
        values = _text(table["roi_therapist"]) + "-" + _text(table["roi_client"])
    elif column in table:
        values = _text(table[column])
    else:
        values = pd.Series("", index=range(len(table)))
    return values.reset_index(drop=True)


def _text(values: pd.Series) -> pd.Series:
    whole = pd.api.types.is_float_dtype(values) and (values.dropna() % 1 == 0).all()
    values = values.astype("Int64") if whole else values
    return values.astype(object).where(values.notna(), "").map(str).replace("n/a", "")


def _check_sessions(frame: pd.DataFrame, column: str) -> None:
    """Refuse rows with a time but no session, which runs are averaged and guards joined by."""
    lost = np.flatnonzero(frame["session"].isna() & frame["t"].notna())
    if len(lost):
        raise TableError(
            f"{column}: row {lost[0] + 1} is empty though it has a time; every row needs its session.\n"
            f"Fill it in, or drop the column {column!r} if time alone tells the sessions apart."
        )


def _check_repeats(frame: pd.DataFrame) -> None:
    # a session at two times is a mistake, too: only runs may share one
    key = ["dyad", "session", *CELL, "run"]
    repeated = frame[frame.duplicated(key) & frame["t"].notna()]
    if len(repeated):
        row = repeated.iloc[0]
        where = ", ".join(f"{name} {row[name]}" for name in CELL if row[name])
        raise TableError(
            f"table: {count(len(repeated), 'row repeats', 'rows repeat')} another; the first is dyad {row['dyad']}, "
            f"session {row['session']:g} {where}".rstrip()
            + ".\n"
            "Each dyad, session and outcome may stand there once (several runs need a column 'run')."
        )


def choose(
    frame: pd.DataFrame, primary: Primary | Mapping[str, str] | None, modality: str | None, signal: str | None
) -> dict[str, str]:
    """Choose the primary outcome.

    Parameters
    ----------
    frame : DataFrame
        From :func:`tidy`.
    primary : Primary or mapping or None
        The outcome named in advance; what it leaves open is what the table has one of, else the default.
    modality, signal : str, optional
        ``eeg`` or ``fnirs``; ``hbo`` ...

    Returns
    -------
    dict
        A value for each of :data:`CELL`.

    Raises
    ------
    TableError
        If the table does not hold the outcome, or the choice is open.
    """
    asked = _asked(primary)
    cell: dict[str, str] = {}
    rows = frame
    rows, cell["modality"] = _pick(rows, "modality", modality or _modality(rows, asked))
    rows, cell["signal"] = _pick(rows, "signal", signal or _signal(rows))
    defaults = _defaults(rows, asked, cell["modality"])
    for column in ("metric", "band", "roi"):
        rows, cell[column] = _pick(rows, column, asked.get(column) or defaults.get(column, ""))
    rows, cell["task"] = _pick(rows, "task", asked.get("task", ""))
    return cell


def _asked(primary: Primary | Mapping[str, str] | None) -> dict[str, str]:
    if primary is None:
        return {}
    if isinstance(primary, Primary):
        return {name: getattr(primary, name) for name in ("metric", "band", "roi", "task")}
    if not isinstance(primary, Mapping):
        raise InputError(f"primary = {primary!r}: expected a Primary or a mapping with metric, band, roi and task.")
    for key in primary:
        if key not in ("metric", "band", "roi", "task"):
            allowed = ["metric", "band", "roi", "task"]
            raise InputError(f"primary has an unknown key {key!r}; allowed: {', '.join(allowed)}.")
    return {key: str(value) for key, value in primary.items()}


def _modality(rows: pd.DataFrame, asked: Mapping[str, str]) -> str:
    found = sorted(set(rows["modality"]))
    if len(found) == 1:
        return str(found[0])
    holding = [m for m in found if not asked or _holds(rows[rows["modality"] == m], asked)]
    # EEG first, where a study holds both and nothing was said
    return str((holding or found)[0])


def _holds(rows: pd.DataFrame, asked: Mapping[str, str]) -> bool:
    return all(not value or value in set(rows[column]) for column, value in asked.items())


def _signal(rows: pd.DataFrame) -> str:
    found = set(rows["signal"])
    return next((name for name in SIGNALS if name in found), "") if len(found) > 1 else ""


def _defaults(rows: pd.DataFrame, asked: Mapping[str, str], modality: str) -> dict[str, str]:
    known = {column: rows[column].iloc[0] for column in ("metric", "band", "roi") if rows[column].nunique() == 1}
    if modality in PRIMARY:
        return {name: getattr(PRIMARY[modality], name) for name in ("metric", "band", "roi")} | known
    return known


def _pick(rows: pd.DataFrame, column: str, wanted: str) -> tuple[pd.DataFrame, str]:
    found: Sequence[str] = sorted(set(rows[column]))
    if not wanted or (len(found) == 1 and not found[0]):
        # a table that does not tell its outcomes apart by this column has one
        if len(found) == 1:
            return rows, found[0]
        argument = f"{column}=" if column in ("modality", "signal") else f"primary={{'{column}': ...}}"
        raise TableError(
            f"table holds several values of {column}: {_listed(found)}.\nOne has to be named in advance: {argument}."
        )
    if wanted not in found:
        raise TableError(
            f"table has no rows with {column} {wanted!r} for the primary outcome; "
            f"it has: {_listed(found)}.{did_you_mean(wanted, found)}\n"
            "Name another primary before looking at the data, or add these rows."
        )
    return rows[rows[column] == wanted], wanted


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:10])) + (", ..." if len(names) > 10 else "")


def sessions_of(frame: pd.DataFrame, cell: Mapping[str, str], unit: str) -> Sessions:
    """Rows of one outcome, runs of one session averaged."""
    rows = frame[np.logical_and.reduce([frame[column] == cell[column] for column in CELL])]
    kept = rows[rows["value"].notna() & rows["t"].notna()]
    _check_therapists(kept)
    numbers = ["t", "value", *[name for name in COMPANIONS if name in kept]]
    first = ["therapist"] if "therapist" in kept else []
    grouped = kept.groupby(["dyad", "session"], sort=True)
    out = grouped[numbers].mean()
    if "n_pseudo" in out:
        # of several runs the weakest chance level counts
        out["n_pseudo"] = grouped["n_pseudo"].min()
    for name in first:
        out[name] = grouped[name].first()
    n_averaged = int((grouped.size() > 1).sum())
    out = out.reset_index().sort_values(["dyad", "t"], kind="stable").reset_index(drop=True)
    n_unpaired = int(rows["unpaired"].sum())
    return Sessions(out, dict(cell), unit, len(rows) - len(kept) - n_unpaired, n_unpaired, n_averaged)


def _check_therapists(rows: pd.DataFrame) -> None:
    if "therapist" not in rows:
        return
    several = rows.groupby("dyad")["therapist"].nunique()
    if (several > 1).any():
        dyad = several[several > 1].index[0]
        raise TableError(
            f"therapist: dyad {dyad!r} has several; a dyad is one therapist with one client.\n"
            "Give each pair its own dyad."
        )
