"""Guards taken from the quality table: fNIRS, and the clock of both modalities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from hyperscan.growth.guards import Guard, Slopes, figure_text, not_assessable
from hyperscan.growth.two_stage import SlopeTest


@dataclass(frozen=True)
class Trend:
    """A quality measure, and the direction of change that would raise the excess.

    Parameters
    ----------
    column : str
        Column of quality.tsv (mean of the two people) or of the outcome's sessions.
    direction : int
        -1: a fall raises the excess; +1: a rise does; 0: either may.
    label : str
        What it is called in a sentence.
    """

    column: str
    direction: int
    label: str


#: fNIRS guards: name -> measures. A fall of noise, or a rise of what both share, shows constant coupling
#: better. In-band SD counts both ways (our choice): it falls with noise and rises with the signal itself.
FNIRS_GUARDS: dict[str, tuple[Trend, ...]] = {
    "short_channels": (Trend("short_r2", -1, "share of short-channel (systemic) signal"),),
    "in_band_sd": (Trend("band_sd", 0, "in-band standard deviation"),),
    "mayer": (Trend("mayer_fraction", -1, "Mayer-wave fraction"),),
    "motion": (Trend("motion_overlap", 1, "overlap of motion in both people"),),
    "instrument": (
        Trend("instrument_noise", -1, "instrument noise"),
        Trend("sci", 1, "scalp coupling"),
    ),
    "length": (Trend("clean_seconds", 1, "clean seconds"),),
}

#: Columns of quality.tsv the clock guard needs.
_CLOCK_COLUMNS = ("clock_source", "clock_ppm", "clock_residual_ms")


def fnirs_guards(quality: pd.DataFrame | None, sessions: pd.DataFrame, *, task: str, sign: float) -> list[Guard]:
    """Answer of every fNIRS guard: they flag, they never adjust.

    Parameters
    ----------
    quality : DataFrame or None
        quality.tsv, a row per dyad, session and person.
    sessions : DataFrame
        ``dyad session t`` and, where known, ``pseudo_mean_z`` of the outcome.
    task : str
        Task of the outcome.
    sign : float
        +1 where growth is claimed, -1 for a fall.

    Returns
    -------
    list of Guard
        A measure that changes (p < .05) in the direction that would make the outcome change fails its guard.
    """
    if quality is None:
        out = [not_assessable(name, "the table alone holds no quality measures") for name in FNIRS_GUARDS]
    else:
        slopes = Slopes.of(quality, sessions, task=task)
        out = [_trend_guard(name, trends, slopes, sign) for name, trends in FNIRS_GUARDS.items()]
    return [*out, chance(sessions, sign)]


def chance(sessions: pd.DataFrame, sign: float) -> Guard:
    """Ask whether the excess changes because the chance level moves the other way."""
    if "pseudo_mean_z" not in sessions:
        return not_assessable("chance", "the table holds no pseudo-dyad level")
    slopes = Slopes.of(sessions.drop(columns=["t", "therapist"], errors="ignore"), sessions, task="")
    test = slopes.test(slopes.column("pseudo_mean_z"))
    if not slopes.enough(test):
        return not_assessable("chance", "too few sessions with a pseudo-dyad level")
    passed = not test.in_direction(-sign, 0.05)
    verb = "does not move" if passed else "moves"
    return Guard("chance", passed, test.slope, f"The chance level {verb} the other way ({figure_text(test)}).")


def _trend_guard(name: str, trends: Sequence[Trend], slopes: Slopes, sign: float) -> Guard:
    tests = [(trend, slopes.test(slopes.column(trend.column))) for trend in trends]
    known = [(trend, test) for trend, test in tests if slopes.enough(test)]
    if not known:
        return not_assessable(name, f"too few sessions with {trends[0].label} ({trends[0].column})")
    failed = [(trend, test) for trend, test in known if _raises(trend.direction, test, sign)]
    trend, test = (failed or known)[0]
    verb = "changes in the direction that would make synchrony change" if failed else "shows no such change"
    return Guard(name, not failed, test.slope, f"{_capital(trend.label)} {verb} ({figure_text(test)}).")


def _raises(direction: int, test: SlopeTest, sign: float) -> bool:
    if direction == 0:
        return bool(test.p < 0.05)
    return test.in_direction(direction * sign, 0.05)


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def clock(quality: pd.DataFrame | None, sessions: pd.DataFrame, *, task: str, sign: float) -> Guard:
    """Clock drift or residual must not fall over the sessions, which would raise the excess.

    Parameters
    ----------
    quality : DataFrame or None
        quality.tsv: ``clock_source clock_ppm clock_residual_ms`` per dyad, session and person.
    sessions : DataFrame
        ``dyad session t`` of the outcome.
    task : str
        Task of the outcome.
    sign : float
        +1 where growth is claimed, -1 for a fall (then a rise fails it).

    Returns
    -------
    Guard
        Not assessable where a clock was assumed or nothing is known of it; one amplifier for both people
        passes.
    """
    if quality is None:
        return not_assessable("clock", "the table alone says nothing about the recordings' clocks")
    missing = [column for column in _CLOCK_COLUMNS if column not in quality]
    if missing:
        return not_assessable("clock", f"the quality table has no column {missing[0]}")
    rows = _rows_of(quality, sessions, task)
    sources = set(rows["clock_source"].astype(str))
    unknown = sources & {"assumed", "none", "nan", "None", "n/a", ""}
    if rows.empty:
        return not_assessable("clock", "the quality table has no row of these sessions")
    if unknown:
        return not_assessable("clock", "in some sessions the two recordings' clock was assumed, not measured")
    same = rows["clock_source"].astype(str) == "same_amplifier"
    measured = rows.assign(
        **{name: rows[name].abs().where(~(same & rows[name].isna()), 0.0) for name in _CLOCK_COLUMNS[1:]}
    )
    # the two people's rows speak of one clock relation; where only one has a number, that one counts
    worst = measured.groupby(["dyad", "session"], as_index=False)[list(_CLOCK_COLUMNS[1:])].max()
    slopes = Slopes.of(worst, sessions, task="")
    tests = {name: slopes.test(slopes.column(name)) for name in _CLOCK_COLUMNS[1:]}
    if not slopes.enough(*tests.values()):
        return not_assessable("clock", "too few sessions with a measured drift and residual")
    failed = [name for name, test in tests.items() if test.in_direction(-sign, 0.05)]
    shown = failed[0] if failed else "clock_ppm"
    detail = "; ".join(f"{name.removeprefix('clock_')}: {figure_text(test)}" for name, test in tests.items())
    verb = "improves over the sessions" if sign > 0 else "worsens over the sessions"
    text = f"The clock {verb}" if failed else "The clock does not explain the change"
    return Guard("clock", not failed, tests[shown].slope, f"{text} ({detail}).")


def _rows_of(quality: pd.DataFrame, sessions: pd.DataFrame, task: str) -> pd.DataFrame:
    rows = quality
    if task and "task" in rows:
        rows = rows[rows["task"].astype(str) == task]
    keys = set(zip(sessions["dyad"].astype(str), sessions["session"].astype(float), strict=True))
    labels = rows["dyad"].map(lambda v: str(int(v)) if isinstance(v, float) and v.is_integer() else str(v))
    numbers = pd.to_numeric(rows["session"], errors="coerce")
    inside = np.array([key in keys for key in zip(labels, numbers, strict=True)], bool)
    out = rows[inside].copy()
    for name in _CLOCK_COLUMNS[1:]:
        out[name] = pd.to_numeric(out[name], errors="coerce").astype(float)
    return out
