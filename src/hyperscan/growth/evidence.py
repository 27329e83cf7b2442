"""Evidence: what guards are asked of, its slopes per dyad on the time axis of the outcome, and trends told beside."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hyperscan.config import StudyConfig
from hyperscan.errors import InputError, TableError, count
from hyperscan.growth.few import without_tests
from hyperscan.growth.records import SlopeTest, Trend
from hyperscan.growth.slopes import dyad_slopes, estimates_of, plain_test, pooled_test
from hyperscan.growth.table import Names, label_column, number_column, text_column
from hyperscan.schema import (
    BANDWISE,
    CLOCK_ERRORS,
    GUARD_COLUMNS,
    MIN_DYADS,
    NO_CONTROL,
    NO_SHARED,
    OUTCOME_COLUMNS,
    TABLES,
    TEXT_COLUMNS,
    Outcome,
)
from hyperscan.words import GUARDS_OF_WHOLE, NOT_OF_LEAD, GuardWords

Array = NDArray[np.float64]

#: A guard that can be asked of fewer than this share of the dyads is not assessable: one that passes where nothing is
#: found would pass by seeing little (our choice).
MIN_ASSESSED = 0.5

#: Sources of a clock that say that nobody measured it.
UNMEASURED = frozenset({"assumed", "none", "nan", "None", "n/a", ""})


def recording_table(table: pd.DataFrame | None, what: str, modality: str) -> pd.DataFrame | None:
    """Rows of a guard or quality table that are of one modality, as a study may hold both."""
    if table is None:
        return None
    if not isinstance(table, pd.DataFrame):
        raise InputError(f"{what} is a {type(table).__name__}; expected a pandas DataFrame or None.")
    missing = [column for column in ("dyad", "session") if column not in table.columns]
    if missing:
        raise TableError(f"{what} has no column {missing[0]!r}; it needs dyad and session beside its numbers.")
    # of labels that are missing, as pandas reads the n/a of a run, grouping would lose the rows
    texts = {name: text_column(table, name).to_numpy() for name in TEXT_COLUMNS if name in table and name != "dyad"}
    table = table.assign(**texts)
    return table[table["modality"].astype(str) == modality] if "modality" in table else table


def of_tasks(table: pd.DataFrame, tasks: Collection[str]) -> pd.DataFrame:
    """Rows of some tasks, where the table tells tasks apart."""
    return table[table["task"].astype(str).isin(list(tasks))] if any(tasks) and "task" in table else table


def dyad_label(value: Any) -> str:
    """Label of a dyad as the outcome has it: whole numbers without a decimal point."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


@dataclass(frozen=True)
class Question:
    """What is asked of the outcome, and so of every measure: a slope, or what of it differs."""

    #: Tasks and their weights, where the outcome is a difference of tasks within dyad and session
    conditions: Mapping[str, float] = field(default_factory=dict)
    #: Mean over the sessions instead of their slope
    level: bool = False
    #: Number of every dyad that the slopes are compared by: 0 or 1 of two groups, or a moderator
    column: Mapping[str, float] | None = None
    #: Weigh every dyad by precision: where what is in the place of time may hardly vary in one of them
    by_precision: bool = False

    def tasks(self, outcome: Outcome) -> Mapping[str, float]:
        """Return the tasks that are looked at, with their weights."""
        return self.conditions or {outcome.task: 1.0}


@dataclass(frozen=True)
class Slopes:
    """Slopes per dyad of columns of a per-session table, on the time axis of the outcome."""

    #: One row per dyad and session of the outcome: ``code t`` and the table's numbers
    frame: pd.DataFrame
    n_dyads: int
    #: Means over sessions instead of slopes
    level: bool = False
    #: shape (n_dyads,): What the dyads are compared by, if they are
    compared_by: Array | None = None
    #: Dyads count by precision in every test
    by_precision: bool = False

    @classmethod
    def of(
        cls, table: pd.DataFrame, sessions: pd.DataFrame, tasks: Mapping[str, float], question: Question = Question()
    ) -> Slopes:
        """Bring a table of recordings to the sessions of the outcome; runs (and rows that repeat) are averaged.

        Of several tasks the weighted sum is taken, in the sessions that have all of them; weights of a fit (``w_``)
        become those of the sum.
        """
        rows = of_tasks(table, tasks)
        # what is no number, and what is made here
        left_out = {"t", "code", *TEXT_COLUMNS} - {"dyad"}
        numbers = rows.drop(columns=[name for name in rows if name in left_out])
        keys = {
            "dyad": numbers["dyad"].map(dyad_label),
            "session": pd.to_numeric(numbers["session"], errors="coerce"),
        }
        values = numbers.drop(columns=["dyad", "session"]).apply(pd.to_numeric, errors="coerce").astype(float)
        values = values.mask(np.isinf(values)).assign(**keys)
        if len(tasks) > 1:
            mean = sum_of_tasks(values.assign(task=rows["task"].astype(str)), tasks)
        else:
            mean = values.groupby(["dyad", "session"]).mean().reset_index()
        base = sessions[["dyad", "session", "t"]].copy()
        base["dyad"] = base["dyad"].map(str)
        labels, codes = np.unique(base["dyad"].to_numpy(str), return_inverse=True)
        base["code"] = codes
        column = question.column
        by = None if column is None else np.array([column.get(label, np.nan) for label in labels.tolist()])
        frame = base.merge(mean, on=["dyad", "session"], how="left")
        return cls(frame, len(labels), question.level, by, question.by_precision)

    def column(self, name: str) -> Array:
        """Values of a column, all NaN where the table lacks it."""
        if name not in self.frame:
            return np.full(len(self.frame), np.nan)
        return np.asarray(self.frame[name].to_numpy(float))

    def lacks(self, what: str, *tests: SlopeTest, why: str = "") -> str:
        """Say why tests cannot be believed: each needs as many dyads as a verdict, and half of those with a slope.

        ``why`` says why no session has it, where that is known.
        """
        there = int(np.isfinite(self.per_dyad(self.frame["t"].to_numpy(float))).sum())
        needed, found = max(MIN_DYADS, math.ceil(MIN_ASSESSED * there)), min(test.n for test in tests)
        sessions = "a session" if self.level else "two or more sessions"
        if there < MIN_DYADS:
            have = count(there, "dyad has", "dyads have")
            return f"guards compare dyads: {have} {sessions}, and {MIN_DYADS} are needed"
        if found < needed:
            if not found and why:
                return why
            have = count(found, "dyad has", "dyads have") if found else "no dyad has"
            return f"{have} {sessions} with {what}, of {there}; at least {needed} are needed"
        if not all(np.isfinite(test.p) for test in tests):
            return f"too few dyads on one side with {what}"
        return ""

    def test(self, values: Array, weights: Array | None = None) -> SlopeTest:
        """Slope of these values over the dyads, or how it differs between them; ``weights`` are of sessions."""
        if self.by_precision:
            return self.weighted(values, weights)
        return plain_test(self.per_dyad(values, weights), self.compared_by)

    def weighted(self, values: Array, weights: Array | None = None) -> SlopeTest:
        """Test the same with every dyad weighted by precision."""
        t, codes = self.frame["t"], self.frame["code"]
        found = estimates_of(values, t, codes, self.n_dyads, level=self.level, weights=weights)
        return pooled_test(found, self.compared_by)

    def per_dyad(self, values: Array, weights: Array | None = None) -> Array:
        """Slope (or mean) of these values in every dyad."""
        if not self.level:
            return dyad_slopes(values, self.frame["t"], self.frame["code"], self.n_dyads, weights)
        w = np.where(np.isfinite(values), 1.0 if weights is None else np.nan_to_num(weights), 0.0)
        codes = self.frame["code"].to_numpy()
        mass = np.bincount(codes, w, self.n_dyads)
        total = np.bincount(codes, w * np.nan_to_num(values), self.n_dyads)
        return np.where(mass > 0, total / np.where(mass > 0, mass, 1.0), np.nan)


@dataclass(frozen=True)
class Evidence:
    """What guards and trends are taken of: the sessions of the outcome, and the recordings' tables."""

    #: ``dyad session t value`` of the outcome, and the columns beside it
    sessions: pd.DataFrame
    outcome: Outcome
    #: guards.tsv and quality.tsv of its modality; None where there are none
    guards: pd.DataFrame | None = None
    quality: pd.DataFrame | None = None
    question: Question = field(default_factory=Question)
    #: By task, where the outcome is a difference of tasks: the same sessions of each alone
    sides: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    #: Sessions of the same outcome in other bands that its filter reaches into, by band: ``dyad session task value``
    neighbours: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    #: Bands of the same outcome whose edges nobody told, so that it is not known what its filter reaches into
    unknown_bands: tuple[str, ...] = ()
    #: Whether the sign of the outcome tells who leads
    signed: bool = False

    @property
    def tasks(self) -> Mapping[str, float]:
        """Tasks that are looked at, with their weights."""
        return self.question.tasks(self.outcome)

    @property
    def n_lent(self) -> float:
        """Pseudo pairs of a session that a test has to allow for; 0 where it needs not.

        Growth of synchrony has to show above the same people's other times too, which dyads do not share.
        """
        pairs = self.sessions.get("n_pseudo") if self.signed else None
        return 0.0 if pairs is None else float(pairs.median())

    @cached_property
    def of_guards(self) -> Slopes:
        """Slopes of the guard measures, with the very outcome that is claimed to change as ``excess_z``."""
        assert self.guards is not None
        rows = self.guards.drop(columns=["excess_z"], errors="ignore")
        slopes = Slopes.of(rows, self.sessions, self.tasks, self.question)
        slopes.frame["excess_z"] = self.sessions["value"].to_numpy(float)
        return slopes

    @cached_property
    def of_quality(self) -> Slopes:
        """Slopes of the quality measures, mean of the two people."""
        assert self.quality is not None
        return Slopes.of(self.quality, self.sessions, self.tasks, self.question)

    @cached_property
    def of_sessions(self) -> Slopes:
        """Slopes of the outcome, as ``excess_z``, and of the columns beside it."""
        columns = self.sessions.drop(columns=["t", "therapist", "excess_z"], errors="ignore")
        return Slopes.of(columns.rename(columns={"value": "excess_z"}), self.sessions, {"": 1.0}, self.question)

    @cached_property
    def quality_rows(self) -> pd.DataFrame:
        """Rows of quality.tsv of the outcome's sessions, both people."""
        assert self.quality is not None
        rows = of_tasks(self.quality, self.tasks)
        keys = set(zip(self.sessions["dyad"].astype(str), self.sessions["session"].astype(float), strict=True))
        numbers = pd.to_numeric(rows["session"], errors="coerce")
        inside = np.array([key in keys for key in zip(rows["dyad"].map(dyad_label), numbers, strict=True)], bool)
        return rows[inside]

    def part_without(self, column: str) -> str:
        """Say in how many sessions a person has no value of a column of quality.tsv; empty where all have one."""
        rows = self.quality_rows
        gone = pd.to_numeric(rows[column], errors="coerce").isna().groupby([rows["dyad"], rows["session"]]).any()
        return f"{int(gone.sum())} of {count(len(gone), 'session')}" if gone.any() else ""

    @cached_property
    def clock_rows(self) -> pd.DataFrame:
        """Rows of the outcome's sessions: the clock's source as text, its figures as numbers."""
        there = self.quality_rows
        figures = [name for name in (*CLOCK_ERRORS, "clock_uncertainty_ms") if name in there]
        found = {name: pd.to_numeric(there[name], errors="coerce").astype(float) for name in figures}
        return there.assign(clock_source=text_column(there, "clock_source").to_numpy(), **found)

    @cached_property
    def clocks(self) -> Mapping[str, int]:
        """Sessions of the outcome by the source of their clock; empty where the tables do not say."""
        if self.quality is None or "clock_source" not in self.quality:
            return {}
        keys = [name for name in ("dyad", "session", "clock_source") if name in self.clock_rows]
        rows = self.clock_rows.drop_duplicates(keys)
        return {str(name): int(n) for name, n in rows["clock_source"].value_counts(sort=False).items()}

    @property
    def clock_assumed(self) -> bool:
        """Whether some session's clock was not measured."""
        return bool(UNMEASURED & set(self.clocks))

    @cached_property
    def clock_uncertainty_ms(self) -> float:
        """How far the offset of two clocks may be off in any session, in ms; the default where nothing says."""
        if not self.clocks:
            return StudyConfig.clock_uncertainty_ms
        if set(self.clocks) == {"same_amplifier"}:
            return 0.0
        stated = self.clock_rows.get("clock_uncertainty_ms", pd.Series(dtype=float)).dropna()
        return StudyConfig.clock_uncertainty_ms if stated.empty else float(stated.max())

    @property
    def no_control(self) -> str:
        """Why the plan of the run chose no control channels; empty where it did, or nothing says so."""
        told: Mapping[str, str] = {} if self.guards is None else self.guards.attrs.get(NO_CONTROL, {})
        return next((told[task] for task in self.tasks if task in told), "")

    @cached_property
    def signal_fraction(self) -> SlopeTest | None:
        """Slope of the share of the rhythm in both people's signal; None where the tables do not hold it."""
        if self.quality is None or "s2_line" not in self.quality:
            return None
        test = self.of_quality.test(self.of_quality.column("s2_line"))
        return None if self.of_quality.lacks("", test) else test

    @cached_property
    def made_for(self) -> str:
        """The outcome that the guard measures were made for, if it is another one."""
        assert self.guards is not None
        labels = {name: getattr(self.outcome, name) for name in OUTCOME_COLUMNS if name in self.guards}
        named = [name for name, label in labels.items() if label]
        found = self.guards[named].dropna().astype(str).drop_duplicates().to_dict("records")
        other = [row for row in found if any(row[name] not in ("", labels[name]) for name in named)]
        return ", ".join(map(str, other[0].values())) if other else ""

    def lacks(self, words: GuardWords) -> str:
        """Say why the table of a guard's columns cannot be used, or nothing."""
        metric = self.outcome.metric
        if self.signed and not words.of_lead:
            return NOT_OF_LEAD
        if words.metrics and metric and metric not in words.metrics:
            return f"it looks at {', '.join(words.metrics)}, and the outcome is {metric}"
        if set(words.columns) & set(GUARD_COLUMNS):
            if self.guards is None:
                return words.unknown or "the table alone holds no guard measures"
            if self.outcome.signal in NO_SHARED.values():
                return GUARDS_OF_WHOLE
            return self.made_for and f"the guard measures are those of another outcome: {self.made_for}"
        if set(words.columns) & {*TABLES["quality"], *BANDWISE} and self.quality is None:
            return words.unknown or "the table alone holds no quality measures"
        return ""


def sum_of_tasks(values: pd.DataFrame, tasks: Mapping[str, float]) -> pd.DataFrame:
    """Weighted sum over tasks of every number, by dyad and session; missing where one of the tasks is."""
    parts = []
    for task, share in tasks.items():
        mean = values[values["task"] == task].drop(columns="task").groupby(["dyad", "session"]).mean()
        # a weight is one over a variance, and variances add
        weights = [name for name in mean if str(name).startswith("w_")]
        parts.append(mean.mul(share).assign(**{name: share**2 / mean[name] for name in weights}))
    whole = parts[0]
    for part in parts[1:]:
        whole = whole.add(part)
    return whole.assign(**{name: 1 / whole[name] for name in whole if str(name).startswith("w_")}).reset_index()


#: Columns of quality.tsv whose trend is reported for each person, by what they tell (prefixes match, too).
QUALITY_TRENDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "amount of data": ("clean_seconds", "n_windows", "channels_kept"),
        "signal fraction": ("s2_line", "s2_quad", "snr_"),
        "rhythmicity": ("peak_width_", "peak_hz_"),
        "artefact": ("highfreq", "motion"),
        "fNIRS": ("short_r2", "band_sd", "mayer_fraction", "motion_overlap", "instrument_noise", "sci"),
    }
)


def recording_trends(evidence: Evidence, table: pd.DataFrame, names: Names) -> tuple[Trend, ...]:
    """Trends of windows, seconds and speech of the outcome's table, of each person's quality, of the matched excess."""
    slopes, task = evidence.of_sessions, evidence.outcome.task
    found = [trend_of("amount of data", name, slopes) for name in ("n_windows", "seconds") if name in evidence.sessions]
    if "speech" in table and names.session in table:
        said = {"dyad": label_column(table, names.dyad), "speech": number_column(table, "speech")}
        said |= {"session": number_column(table, names.session)}
        tasks = {"task": table["task"].reset_index(drop=True)} if "task" in table else {}
        slopes = Slopes.of(pd.DataFrame(said | tasks), evidence.sessions, {task: 1.0})
        found.append(trend_of("artefact", "speech", slopes))
    if evidence.quality is not None:
        found += quality_trends(evidence.quality, evidence.sessions, task)
    if evidence.guards is not None and not evidence.made_for and "matched_excess_z" in evidence.guards:
        found.append(trend_of("sensitivity", "matched_excess_z", evidence.of_guards))
    return tuple(found)


def quality_trends(quality: pd.DataFrame, sessions: pd.DataFrame, task: str) -> list[Trend]:
    """Trend of every quality measure of each person."""
    out = []
    people = quality["person"].dropna().unique().tolist() if "person" in quality else [None]
    for person in people:
        rows = quality if person is None else quality[quality["person"] == person]
        slopes = Slopes.of(rows, sessions, {task: 1.0})
        for topic, wanted in QUALITY_TRENDS.items():
            for column in map(str, rows.columns):
                if any(column == name or (name.endswith("_") and column.startswith(name)) for name in wanted):
                    out.append(trend_of(topic, column, slopes, person))
    return out


def trend_of(topic: str, name: str, slopes: Slopes, person: str | None = None) -> Trend:
    """Trend of a column."""
    test = slopes.test(slopes.column(name))
    test = without_tests(test, test.n)
    return Trend(topic, name, person, test.slope, test.t, test.p, test.n)
