"""From a tidy table to the sessions that answer the question: columns checked, one outcome chosen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from hyperscan.config import PRIMARY, Primary
from hyperscan.errors import InputError, TableError, count, did_you_mean
from hyperscan.growth.records import LeftOut, Missing
from hyperscan.schema import NAMED, NO_SHARED, OUTCOME_COLUMNS, OUTCOME_LABELS, YES_NO, Outcome, other_chance

#: Signal used of a table when none is named, in order of preference (our choice).
PREFERRED = ("eeg", NO_SHARED["eeg"], "hbo", "hbo_nosc", "hbt", "hbr", NO_SHARED["fnirs"])

#: The texts by which TSV files say that there is no value.
_MISSING = ("n/a", "", "NA")

#: Columns beside the value that describe the same outcome.
COMPANIONS = (
    *("z", "pseudo_mean_z", "pseudo_sd_z", "excess_z", "n_pseudo", "own_excess_z", "halves_z"),
    *("lag_peak_s", "n_windows", "seconds"),
)


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
    """The rows of one outcome, one per dyad and session."""

    #: Columns ``dyad session t value`` and, where the table has them, ``therapist z pseudo_mean_z excess_z``
    frame: pd.DataFrame
    outcome: Outcome
    #: What the slope is per: ``session``, ``week`` or the name of the time column
    unit: str
    #: Rows of the outcome that did not enter
    left_out: tuple[LeftOut, ...]
    #: Sessions whose runs were averaged
    n_averaged: int


def tidy(table: pd.DataFrame, names: Names) -> pd.DataFrame:
    """Check a table and bring its columns to standard names.

    Returns ``dyad t value session unpaired``, the labels of the outcome (empty text where absent) and what the table
    holds of the columns beside the value; a table that cannot be used raises a TableError.
    """
    if not isinstance(table, pd.DataFrame):
        raise InputError(f"table is a {type(table).__name__}; expected a pandas DataFrame.")
    _need(table, names.dyad, _time_column(table, names), names.value, *names.renamed)
    if table.empty:
        raise TableError("table has no rows; it needs one per dyad and session.")
    frame = pd.DataFrame({"dyad": label_column(table, names.dyad)})
    frame["value"] = yes_no_column(table, names.value)
    column = _time_column(table, names)
    frame["t"] = number_column(table, column)
    if names.time == "session":
        frame["t"] -= 1
    elif column != names.time:
        frame["t"] /= 7
    frame["session"] = number_column(table, names.session) if names.session in table else frame["t"]
    if names.therapist in table:
        frame["therapist"] = label_column(table, names.therapist)
    for column in COMPANIONS:
        if column in table:
            frame[column] = number_column(table, column)
    for column in (*OUTCOME_LABELS, "run"):
        frame[column] = text_column(table, column)
    _check_rows(frame, names.session)
    frame["unpaired"] = False
    if names.value == "excess_z":
        frame["unpaired"] = other_chance(frame)
    frame.loc[frame["unpaired"], "value"] = np.nan
    return frame


def _need(table: pd.DataFrame, *columns: str) -> None:
    """Refuse a table without these columns, naming all that it lacks at once."""
    known = [str(name) for name in table.columns]
    missing = [name for name in dict.fromkeys(columns) if name not in table.columns]
    if missing:
        hint = did_you_mean(missing[0], known) if len(missing) == 1 else ""
        raise TableError(
            f"table has no column {', '.join(map(repr, missing))}; it has: {', '.join(known[:20])}.{hint}\n"
            "Name your columns: dyad=, value= and session= (time= for another axis, days= for weeks); therapist= where "
            "you have it.",
            missing,
        )
    twice = [name for name in columns if (table.columns == name).sum() > 1]
    if twice:
        raise TableError(f"table has several columns {twice[0]!r}; rename or drop all but one.")


def label_column(table: pd.DataFrame, column: str) -> pd.Series:
    """Labels of a column as text, whole numbers without a decimal point; none may be empty."""
    values = table[column].reset_index(drop=True)
    blank = [label for label in values.unique() if isinstance(label, str) and not label.strip()]
    empty = np.flatnonzero(values.isna() | values.isin(blank))
    if len(empty):
        raise TableError(f"{column}: row {empty[0] + 1} is empty; every row needs its {column}.")
    if pd.api.types.is_float_dtype(values) and (values % 1 == 0).all():
        values = values.astype("int64")
    labels = values.astype(str)
    if labels.nunique() != values.nunique():
        raise TableError(f"{column}: holds labels that read alike, as the number 1 and the text '1'. Use one type.")
    return labels


def number_column(table: pd.DataFrame, column: str) -> pd.Series:
    """Finite numbers of a column, NaN where it is empty; anything else raises a TableError."""
    raw = table[column].reset_index(drop=True)
    types = pd.api.types
    if types.is_datetime64_any_dtype(raw) or types.is_timedelta64_dtype(raw) or types.is_complex_dtype(raw):
        raise TableError(f"{column}: row 1 holds {raw.iloc[0]!r}; expected a number (for dates: days since the first).")
    raw = raw.replace(dict.fromkeys(_MISSING, np.nan)) if raw.dtype != float else raw
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


def yes_no_column(table: pd.DataFrame, column: str) -> pd.Series:
    """Numbers of a column, or its words for yes and no as 1 and 0; anything else raises a TableError."""
    raw = table[column].reset_index(drop=True)
    if pd.api.types.is_float_dtype(raw):
        return number_column(table, column)
    texts = raw.map(lambda cell: str(cell).strip().casefold())
    if not texts.isin([text for text in YES_NO if text.isalpha()]).any():
        return number_column(table, column)
    empty = raw.isna() | texts.isin([text.casefold() for text in _MISSING])
    wrong = np.flatnonzero(~empty & ~texts.isin(list(YES_NO)))
    if len(wrong):
        raise TableError(
            f"{column}: row {wrong[0] + 1} holds {raw.iloc[wrong[0]]!r} in a column of yes and no; "
            f"allowed: {', '.join(YES_NO)}, or an empty cell."
        )
    return texts.map(YES_NO).astype(float)


def holds_yes_no(values: ArrayLike) -> bool:
    """Whether numbers are those of yes (1) and no (0), both there."""
    found = np.asarray(values, float)
    return set(found[np.isfinite(found)].tolist()) == {0.0, 1.0}


def _time_column(table: pd.DataFrame, names: Names) -> str:
    """Name the column that the time axis is taken from."""
    if names.time == "session":
        return names.session
    return names.days if names.time == "weeks" and "weeks" not in table else names.time


def text_column(table: pd.DataFrame, column: str) -> pd.Series:
    """Labels of a column as text, empty where the table lacks them; ``roi`` may be spelled as two columns."""
    if column == "roi" and "roi" not in table and {"roi_therapist", "roi_client"} <= set(table.columns):
        return text_column(table, "roi_therapist") + "-" + text_column(table, "roi_client")
    if column not in table:
        return pd.Series("", index=range(len(table)))
    values = table[column].reset_index(drop=True)
    whole = pd.api.types.is_float_dtype(values) and (values.dropna() % 1 == 0).all()
    values = values.astype("Int64") if whole else values
    return values.astype(object).where(values.notna(), "").map(str).replace("n/a", "")


def _check_rows(frame: pd.DataFrame, session: str) -> None:
    """Refuse rows with a time but no session, which runs are averaged and guards joined by, and rows that repeat."""
    lost = np.flatnonzero(frame["session"].isna() & frame["t"].notna())
    if len(lost):
        raise TableError(
            f"{session}: row {lost[0] + 1} is empty though it has a time; every row needs its session.\n"
            f"Fill it in, or drop the column {session!r} if time alone tells the sessions apart."
        )
    # a session at two times is a mistake, too: only runs may share one
    repeated = frame[frame.duplicated(["dyad", "session", *OUTCOME_LABELS, "run"]) & frame["t"].notna()]
    if len(repeated):
        row = repeated.iloc[0]
        where = ", ".join(f"{name} {row[name]}" for name in OUTCOME_LABELS if row[name])
        raise TableError(
            f"table: {count(len(repeated), 'row repeats', 'rows repeat')} another; the first is dyad {row['dyad']}, "
            f"session {row['session']:g} {where}".rstrip()
            + ".\n"
            "Each dyad, session and outcome may stand there once (several runs need a column 'run')."
        )


def choose(
    frame: pd.DataFrame,
    primary: Primary | Mapping[str, str] | None,
    modality: str | None,
    signal: str | None,
    study: Mapping[str, str] = MappingProxyType({}),
) -> Outcome:
    """Choose the primary outcome of a tidy table.

    What was not named in advance is what the table has one of, else what its study named, else the default; an outcome
    that the table does not hold, or that is left open, raises a TableError.
    """
    asked = _asked(primary)
    found: dict[str, str] = {}
    modalities = sorted(frame["modality"].unique())
    holding = [
        name
        for name in modalities
        if all(not label or (frame[frame["modality"] == name][key] == label).any() for key, label in asked.items())
    ]
    # EEG first, where a study holds both and nothing was said
    said = {name: study.get(name, "") if study.get(name) in frame[name].unique() else "" for name in OUTCOME_LABELS}
    rows, found["modality"] = _pick(frame, "modality", modality or said["modality"] or str((holding or modalities)[0]))
    signals = rows["signal"].unique()
    preferred = (
        said["signal"]
        if said["signal"] in signals
        else next((name for name in PREFERRED if name in signals), "")
        if len(signals) > 1
        else ""
    )
    rows, found["signal"] = _pick(rows, "signal", signal or preferred)
    default = PRIMARY.get(found["modality"])
    known = {column: rows[column].iloc[0] for column in OUTCOME_COLUMNS if rows[column].nunique() == 1}
    for column in OUTCOME_COLUMNS:
        wanted = asked.get(column) or str(known.get(column, "")) or said[column] or str(getattr(default, column, ""))
        rows, found[column] = _pick(rows, column, wanted)
    rows, found["task"] = _pick(rows, "task", asked.get("task", "") or said["task"])
    return Outcome(**found)


def _asked(primary: Primary | Mapping[str, str] | None) -> dict[str, str]:
    """Labels that were named in advance."""
    if primary is None:
        return {}
    if isinstance(primary, Primary):
        return {name: getattr(primary, name) for name in NAMED}
    if not isinstance(primary, Mapping):
        raise InputError(f"primary = {primary!r}: expected a Primary or a mapping with metric, band, roi and task.")
    for key in primary:
        if key not in NAMED:
            raise InputError(f"primary has an unknown key {key!r}; allowed: {', '.join(NAMED)}.")
    return {key: str(value) for key, value in primary.items()}


def _pick(rows: pd.DataFrame, column: str, wanted: str) -> tuple[pd.DataFrame, str]:
    """Rows of the wanted label, and the label; of the only one where none is wanted."""
    found: Sequence[str] = sorted(rows[column].unique())
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
    """List labels, the first ten of many."""
    return ", ".join(map(repr, names[:10])) + (", ..." if len(names) > 10 else "")


def regions_once(table: pd.DataFrame, value: str, first: str) -> pd.DataFrame:
    """Leave out the region pairs (column ``roi``) that have the values of another one in all rows: the same channels.

    Told are the pair named first, such as the primary one, then all channels, then the others in order.

    Examples
    --------
    >>> table = pd.DataFrame({"roi": ["all-all", "PFC-PFC"] * 2, "session": [1, 1, 2, 2], "z": [0.1, 0.1, 0.2, 0.2]})
    >>> regions_once(table, "z", "PFC-PFC")["roi"].unique().tolist()
    ['PFC-PFC']
    """
    keys = [name for name in (*OUTCOME_LABELS, "dyad", "session", "run") if name in table and name != "roi"]
    known = table.assign(**{name: table[name].fillna("").astype(str) for name in keys})
    wide = known.pivot_table(index=keys, columns="roi", values=value, observed=True)
    order = sorted(wide.columns, key=lambda roi: (roi != first, roi != "all-all"))
    # as many digits as a table holds: the order of channels in a mean does not matter
    values = wide[order].round(9).to_numpy() + 0.0  # no zero below zero
    values[np.isnan(values)] = np.nan
    told: dict[bytes, str] = {}
    for roi, column in zip(order, values.T, strict=True):
        told.setdefault(column.tobytes(), roi)
    return table[~table["roi"].isin(set(order) - set(told.values()))]


def sessions_of(frame: pd.DataFrame, outcome: Outcome, unit: str) -> Sessions:
    """Rows of one outcome, runs of one session averaged."""
    rows = frame[np.logical_and.reduce([frame[name] == getattr(outcome, name) for name in OUTCOME_LABELS])]
    kept = rows[rows["value"].notna() & rows["t"].notna()]
    several = kept.groupby("dyad")["therapist"].nunique() > 1 if "therapist" in kept else pd.Series(dtype=bool)
    if several.any():
        raise TableError(
            f"therapist: dyad {several.index[several][0]!r} has several; a dyad is one therapist with one client.\n"
            "Give each pair its own dyad."
        )
    grouped = kept.groupby(["dyad", "session"], sort=True)
    out = grouped[["t", "value", *(name for name in COMPANIONS if name in kept)]].mean()
    if "n_pseudo" in out:
        # of several runs the weakest chance level counts
        out["n_pseudo"] = grouped["n_pseudo"].min()
    if "therapist" in kept:
        out["therapist"] = grouped["therapist"].first()
    n_averaged = int((grouped.size() > 1).sum())
    out = out.reset_index().sort_values(["dyad", "t"], kind="stable").reset_index(drop=True)
    return Sessions(out, outcome, unit, tuple(_left_out(rows.drop(kept.index))), n_averaged)


def _left_out(rows: pd.DataFrame) -> Iterator[LeftOut]:
    """Name rows that did not enter, and why."""
    for row in rows.sort_values(["dyad", "session", "run"]).itertuples():
        session = None if pd.isna(row.session) else float(row.session)
        yield LeftOut(str(row.dyad), session, str(row.run), "other_chance" if row.unpaired else "no_value")


def missing_sessions(sessions: pd.DataFrame, numbered: bool) -> Missing:
    """Count sessions per dyad, and say whether dyads that stop early stopped at unusual values.

    The mixed model assumes that what is missing does not depend on what it would have been. Without session numbers
    (``numbered``) dates alone do not say which one is missing.
    """
    sizes = sessions.groupby("dyad").size().to_numpy()
    n, fewest, most = len(sessions), int(sizes.min(initial=len(sessions))), int(sizes.max(initial=0))
    if not numbered:
        return Missing(n, fewest, most)
    last = sessions["session"] == sessions.groupby("dyad")["session"].transform("max")
    early = sessions[last & (sessions["session"] < sessions["session"].max())]
    gap = early["value"] - early["session"].map(sessions.groupby("session")["value"].mean())
    stopped = float(gap.mean()) if len(early) else None
    return Missing(n, fewest, most, len(sizes) * int(sessions["session"].nunique()), len(early), stopped)
