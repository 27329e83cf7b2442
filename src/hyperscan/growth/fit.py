"""Fit growth: from a tidy table to the verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hyperscan.config import Primary
from hyperscan.errors import InputError
from hyperscan.growth import figures
from hyperscan.growth.flips import benjamini_hochberg, flip_test, max_t
from hyperscan.growth.guards import Guard, clock, eeg_guards, fnirs_guards, made_for_another, recording_table
from hyperscan.growth.model import (
    CappedSlope,
    Design,
    bayes_factor,
    equivalence,
    slope_of,
    therapist_level,
)
from hyperscan.growth.outcomes import relate_outcomes
from hyperscan.growth.result import GrowthResult
from hyperscan.growth.slopes import SlopeTest, describe_dyad, dyad_slopes, slope_test
from hyperscan.growth.table import CELL, SIGNALS, Names, Sessions, choose, sessions_of, tidy
from hyperscan.growth.verdict import MIN_DYADS, claimed_sign, decide, sentence

Array = NDArray[np.float64]

#: With n random flips the smallest p is 1 / (n + 1).
MIN_FLIPS = 19

#: A chance level of fewer pseudo pairs than this is called weak.
MIN_PSEUDO = 4


def fit_growth(
    table: pd.DataFrame,
    value: str = "excess_z",
    time: str = "session",
    primary: Primary | Mapping[str, str] | None = None,
    guards: pd.DataFrame | None = None,
    quality: pd.DataFrame | None = None,
    *,
    dyad: str = "dyad",
    therapist: str = "therapist",
    session: str = "session",
    days: str = "days",
    modality: str | None = None,
    signal: str | None = None,
    equivalence_slope: float = 0.0,
    outcomes: Sequence[str] = (),
    n_flips: int = 100_000,
    seed: int | np.random.Generator = 0,
) -> GrowthResult:
    """Ask whether synchrony grows over the sessions, by more than chance and the recordings did.

    Parameters
    ----------
    table : DataFrame
        One row per dyad and session (and outcome): synchrony.tsv of a run, or any table with a dyad, a time
        and a value. Rows without a value are left out and counted.
    value : str
        Column of the outcome; ``excess_z`` is Fisher z above the re-paired dyads' mean.
    time : str
        ``session`` (0 at session 1), ``weeks`` (days / 7), or any numeric column.
    primary : Primary or mapping, optional
        The outcome named in advance: ``metric band roi task``. By default the only one of the table, else
        that of :data:`hyperscan.config.PRIMARY`. All others are exploratory.
    guards, quality : DataFrame, optional
        Guard and quality tables of the run. Without them a change is at most ``grows_unchecked``.
    dyad, therapist, session, days : str
        What the table's columns are called; only dyad, time and value have to be there.
    modality : {'eeg', 'fnirs'}, optional
        Which rows and which guards, where the table does not say or holds both.
    signal : str, optional
        ``hbo`` ... where the table holds several.
    equivalence_slope : float
        Smallest slope of interest, named in advance, per unit of time; 0 = none.
    outcomes : sequence of str
        Columns (symptoms, alliance) to relate to synchrony, corrected for how many there are.
    n_flips : int
        Random sign flips above 14 dyads, 19 or more; up to 14 all are enumerated.
    seed : int or numpy.random.Generator
        Source of the flips.

    Returns
    -------
    GrowthResult
        Verdict, sentence and every estimate behind them.

    Raises
    ------
    TableError
        If a column is missing or holds something else than it should, rows repeat, or the outcome is not
        there.
    InputError
        If an argument cannot be used.

    Notes
    -----
    ``value ~ t + (1 + t | dyad)`` by REML with Satterthwaite degrees of freedom (doi:10.18637/jss.v082.i13)
    capped at dyads - 1; beside it least-squares slopes per dyad with a t test and exact sign flips. A change
    is claimed where the mixed model and the two-stage test agree at p < .05 and, where therapists see several
    dyads, the test over therapists too. Several runs of a session are averaged first.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> table = pd.DataFrame([(d, s, 0.1 * s + rng.normal(0, 0.05)) for d in range(8) for s in range(1, 7)],
    ...                      columns=["dyad", "session", "excess_z"])
    >>> fit_growth(table).verdict
    'grows_unchecked'
    """
    _check(equivalence_slope, modality, n_flips)
    rng = np.random.default_rng(seed)
    names = Names(value, time, dyad, therapist, session, days)
    frame = tidy(table, names)
    cell = choose(frame, primary, modality, signal)
    sessions = sessions_of(frame, cell, {"session": "session", "weeks": "week"}.get(time, time))
    if sessions.frame.empty and value == "excess_z" and "z" in frame and frame["dyad"].nunique() == 1:
        # one dyad has no re-paired others, so no excess: its raw synchrony is described instead
        frame = frame.assign(value=frame["z"])
        names, sessions = replace(names, value="z"), sessions_of(frame, cell, sessions.unit)
    # the only outcome of a table need not have been named before its data were seen
    named = primary is not None or any(frame[column].nunique() > 1 for column in ("metric", "band", "roi"))
    return _Analysis(table, names, frame, sessions, rng, n_flips, named).result(
        guards, quality, outcomes, float(equivalence_slope), modality, signal
    )


def _check(equivalence_slope: float, modality: str | None, n_flips: int) -> None:
    number = isinstance(equivalence_slope, int | float) and not isinstance(equivalence_slope, bool)
    if not (number and 0 <= equivalence_slope < np.inf):
        raise InputError(f"equivalence_slope = {equivalence_slope!r}: expected 0 (none) or a positive slope.")
    if modality not in (None, "eeg", "fnirs"):
        raise InputError(f"modality = {modality!r}: expected 'eeg' or 'fnirs', which have guards of their own.")
    if not isinstance(n_flips, int | np.integer) or n_flips < MIN_FLIPS:
        raise InputError(f"n_flips = {n_flips!r}: expected a whole number from {MIN_FLIPS} on; fewer reach no p = .05.")


class _Analysis:
    """The steps of one fit, over the data they share."""

    def __init__(
        self,
        table: pd.DataFrame,
        names: Names,
        frame: pd.DataFrame,
        sessions: Sessions,
        rng: np.random.Generator,
        n_flips: int,
        named: bool,
    ) -> None:
        self.table, self.names, self.frame, self.sessions = table, names, frame, sessions
        self.rng, self.n_flips, self.named = rng, n_flips, named
        self.rows = sessions.frame
        self.y: Array = self.rows["value"].to_numpy(float)
        self.design = Design.of(self.rows)
        self.slopes = self.design.slopes(self.y)

    def result(
        self,
        guards: pd.DataFrame | None,
        quality: pd.DataFrame | None,
        outcomes: Sequence[str],
        bound: float,
        modality: str | None,
        signal: str | None,
    ) -> GrowthResult:
        """Everything, in the order of the verdict."""
        capped = self.design.capped(self.y)
        two_stage = slope_test(self.slopes)
        level = therapist_level(self.design, self.y, self.slopes)
        kind = modality or self._modality(signal)
        guards, quality = recording_table(guards, "guards", kind), recording_table(quality, "quality", kind)
        facts: dict[str, Any] = {
            "primary": self._primary(capped),
            "two_stage": two_stage.to_dict(),
            "sign_flip": flip_test(self.slopes, self.rng, self.n_flips).to_dict(),
            "real_slope": slope_of(self.design, self.rows, "z"),
            "pseudo_slope": slope_of(self.design, self.rows, "pseudo_mean_z"),
            "therapist_level": level,
            "equivalence": None if capped is None else equivalence(capped, two_stage, level, bound),
            "one_dyad": self._one_dyad(),
        }
        claimed = claimed_sign(None if capped is None else capped.to_dict(), facts["two_stage"], level)
        facts["guards"] = tuple(self._guards(guards, quality, kind, float(claimed or 1)))
        verdict = decide(
            n_dyads=two_stage.n,
            claimed=claimed,
            equivalent=None if capped is None else facts["equivalence"]["holds"],
            guards=facts["guards"],
        )
        design = self._design(kind)
        return GrowthResult(
            verdict=verdict,
            sentence=sentence(verdict, facts | design),
            **facts,
            bayes_factor=None if capped is None else bayes_factor(self.design, self.y),
            exploratory=self._exploratory(),
            outcomes=relate_outcomes(self.table, self.names, self.rows, self.sessions.cell, outcomes),
            figures=self._figures(guards, quality),
            design=design,
            per_dyad=self._per_dyad(),
            per_session=self.rows,
        )

    def _modality(self, signal: str | None) -> str:
        cell = self.sessions.cell
        return cell["modality"] or ("fnirs" if (cell["signal"] or signal) in SIGNALS else "eeg")

    def _primary(self, capped: CappedSlope | None) -> dict[str, Any]:
        named = {name: self.sessions.cell[name] for name in ("metric", "band", "roi", "task")}
        keys = (
            "slope",
            "se",
            "df_satterthwaite",
            "p_satterthwaite",
            "df",
            "t",
            "p",
            "ci_low",
            "ci_high",
            "singular",
        )
        numbers = dict.fromkeys(keys) if capped is None else capped.to_dict()
        return {**named, **numbers, "n_dyads": len(self.design.labels), "n_sessions": len(self.rows)}

    def _one_dyad(self) -> dict[str, Any] | None:
        if len(self.design.labels) != 1:
            return None
        return describe_dyad(self.design.t, self.y, self.rng, self.n_flips)

    def _guards(self, guards: pd.DataFrame | None, quality: pd.DataFrame | None, kind: str, sign: float) -> list[Guard]:
        task = self.sessions.cell["task"]
        if kind == "fnirs":
            out = fnirs_guards(quality, self.rows, task=task, sign=sign)
        else:
            out = eeg_guards(guards, self.rows, outcome=self.sessions.cell, sign=sign)
        return [*out, clock(quality, self.rows, task=task, sign=sign)]

    def _design(self, kind: str) -> dict[str, Any]:
        return {
            "value": self.names.value,
            "time": self.names.time,
            "unit": self.sessions.unit,
            "modality": kind,
            "signal": self.sessions.cell["signal"],
            "n_dyads_with_slope": self.design.n_with_slope,
            "n_dropped": self.sessions.n_dropped,
            "n_unpaired": self.sessions.n_unpaired,
            "n_averaged": self.sessions.n_averaged,
            "n_weak_chance": self._n_chance(MIN_PSEUDO),
            "n_lag_chance": self._n_chance(1),
            "n_flips": self.n_flips,
            "named": self.named,
        }

    def _n_chance(self, below: int) -> int | None:
        """Sessions whose excess is over fewer pseudo pairs than this; without any it is over the lag null."""
        if "n_pseudo" not in self.rows or self.names.value != "excess_z":
            return None
        return int((self.rows["n_pseudo"] < below).sum())

    def _exploratory(self) -> list[dict[str, Any]]:
        found = self.frame[self.frame["value"].notna() & self.frame["t"].notna()]
        labels, codes = np.unique(found["dyad"].to_numpy(str), return_inverse=True)
        cells, slopes = [], []
        position = pd.Series(np.arange(len(found)), index=found.index)
        for key, rows in found.groupby(list(CELL), sort=True):
            at = position[rows.index].to_numpy()
            t, y, who = _run_means(rows, codes[at])
            cells.append(dict(zip(CELL, key, strict=True)))
            slopes.append(dyad_slopes(y, t, who, len(labels)))
        if not cells:
            return []
        matrix = np.column_stack(slopes)
        tests = [slope_test(column) for column in matrix.T]
        # t of two or three dyads is now and then immense: their maximum would hide every other outcome
        dyads = np.array([test.n for test in tests])
        enough = dyads >= min(MIN_DYADS, dyads.max())
        p_max = np.full(len(tests), np.nan)
        p_max[enough] = max_t(matrix[:, enough], self.rng, self.n_flips)
        q = benjamini_hochberg([test.p for test in tests])
        return [
            self._row(cell, test, float(p_max[i]), float(q[i]))
            for i, (cell, test) in enumerate(zip(cells, tests, strict=True))
        ]

    def _row(self, cell: Mapping[str, str], test: SlopeTest, p_max: float, q: float) -> dict[str, Any]:
        keep = ("slope", "se", "df", "t", "p", "ci_low", "ci_high")
        numbers = {name: value for name, value in test.to_dict().items() if name in keep}
        named = {name: cell[name] for name in CELL if name != "modality"}
        is_primary = all(cell[name] == self.sessions.cell[name] for name in CELL)
        return {**named, **numbers, "p_max_t": p_max, "q_bh": q, "n_dyads": test.n, "primary": is_primary}

    def _figures(self, guards: pd.DataFrame | None, quality: pd.DataFrame | None) -> dict[str, Any]:
        task = self.sessions.cell["task"]
        trends = figures.table_figures(self.rows, self.table, self.names, task)
        if quality is not None:
            trends += figures.quality_figures(quality, self.rows, task=task)
        if guards is not None and not made_for_another(guards, self.sessions.cell):
            trends += figures.guard_figures(guards, self.rows, task=task)
        return {
            "trends": trends,
            "leave_one_out": figures.leave_one_out(self.design, self.slopes),
            "missing": figures.missingness(self.rows, self.design, self.names.session in self.table),
        }

    def _per_dyad(self) -> pd.DataFrame:
        grouped = self.rows.groupby("dyad")["value"]
        out = pd.DataFrame({"dyad": self.design.labels, "slope": self.slopes})
        out["n_sessions"] = grouped.size().to_numpy()
        out["mean"] = grouped.mean().to_numpy()
        if self.design.therapists is not None:
            out.insert(1, "therapist", self.design.therapists)
        return out


def _run_means(rows: pd.DataFrame, codes: NDArray[np.intp]) -> tuple[Array, Array, NDArray[np.intp]]:
    """Average the runs of a session, as for the primary outcome."""
    sessions = rows["session"].to_numpy(float)
    keys = np.column_stack([codes, sessions])
    unique, group = np.unique(keys, axis=0, return_inverse=True)
    group = np.ravel(group)
    size = np.bincount(group)
    t = np.bincount(group, rows["t"].to_numpy(float)) / size
    y = np.bincount(group, rows["value"].to_numpy(float)) / size
    return t, y, unique[:, 0].astype(np.intp)
