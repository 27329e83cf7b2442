"""Guards: what else could make excess synchrony grow, and whether it did."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hyperscan.errors import InputError, TableError, count
from hyperscan.growth.slopes import SlopeTest, dyad_slopes, slope_test

Array = NDArray[np.float64]

#: Fewer dyads than this with a slope make a guard not assessable, as they make the verdict ``cannot_tell``.
MIN_DYADS = 6

#: A guard that can be asked of fewer than this share of the dyads is not assessable: one that passes where nothing is
#: found would pass by seeing little (our choice).
MIN_SHARE = 0.5

#: The band guard asks for an out-of-band change beyond this share of the change itself. Its control varies so little
#: that it fails true growth by chance where any change counts; a broadband artefact changes it by more than the
#: outcome (chosen by simulation, seed 7 of scripts/validate_verdict.py).
BAND_SHARE = 0.1

#: Columns by which guards.tsv says what outcome it was made for.
OUTCOME = ("metric", "band", "roi")

#: Columns of the recordings' tables that are no numbers, and those that :class:`Slopes` makes itself.
_NO_NUMBERS = ("task", "run", "person", "modality", *OUTCOME, "t", "code")

#: Columns of guards.tsv: unit vectors of imaginary coherency in four sub-bands.
IMCOH = ("imcoh_1", "imcoh_2", "imcoh_3", "imcoh_4")


@dataclass(frozen=True)
class Guard:
    """One guard's answer."""

    #: ``signal_to_noise``, ``space``, ``band``, ``lag``, ``clock``
    name: str
    #: None = not assessable
    passed: bool | None
    #: The slope it looked at, per unit of time
    figure: float | None
    #: One sentence
    detail: str

    @property
    def reason(self) -> str:
        """Detail without the words that say again that it could not be assessed."""
        return self.detail.removeprefix("Not assessable: ")

    def to_dict(self) -> dict[str, Any]:
        """Plain mapping of the fields."""
        return asdict(self)


@dataclass(frozen=True)
class Slopes:
    """Slopes per dyad of columns of a per-session table, on the time axis of the outcome.

    Parameters
    ----------
    frame : DataFrame
        One row per dyad and session of the outcome: ``code t`` and the table's numbers.
    n_dyads : int
        Dyads.
    """

    frame: pd.DataFrame
    n_dyads: int

    @classmethod
    def of(cls, table: pd.DataFrame, sessions: pd.DataFrame, *, task: str) -> Slopes:
        """Bring a guard or quality table to the sessions that entered the outcome.

        Parameters
        ----------
        table : DataFrame
            Columns ``dyad session`` and, optionally, ``task run person`` ...; numbers beside them.
        sessions : DataFrame
            ``dyad session t`` of the outcome.
        task : str
            Task of the outcome; other tasks are left out.

        Returns
        -------
        Slopes
            Runs (and rows that repeat) averaged; numeric columns only.
        """
        rows = table
        if task and "task" in rows:
            rows = rows[rows["task"].astype(str) == task]
        numbers = rows.drop(columns=[c for c in _NO_NUMBERS if c in rows])
        keys = {
            "dyad": numbers["dyad"].map(_label),
            "session": pd.to_numeric(numbers["session"], errors="coerce"),
        }
        values = numbers.drop(columns=["dyad", "session"]).apply(pd.to_numeric, errors="coerce").astype(float)
        values = values.mask(np.isinf(values))
        mean = values.assign(**keys).groupby(["dyad", "session"]).mean().reset_index()
        base = sessions[["dyad", "session", "t"]].copy()
        base["dyad"] = base["dyad"].map(str)
        labels, codes = np.unique(base["dyad"].to_numpy(str), return_inverse=True)
        base["code"] = codes
        return cls(base.merge(mean, on=["dyad", "session"], how="left"), len(labels))

    def column(self, name: str) -> Array:
        """Values of a column, all NaN where the table lacks it."""
        if name not in self.frame:
            return np.full(len(self.frame), np.nan)
        return np.asarray(self.frame[name].to_numpy(float))

    def enough(self, *tests: SlopeTest) -> bool:
        """Whether each test rests on as many dyads as a verdict needs, and on half of those with a slope."""
        there = int(np.isfinite(self.per_dyad(self.frame["t"].to_numpy(float))).sum())
        return min(test.n for test in tests) >= max(MIN_DYADS, MIN_SHARE * there)

    def test(self, values: Array, weights: Array | None = None) -> SlopeTest:
        """Slope of these values over the dyads."""
        return slope_test(self.per_dyad(values, weights))

    def per_dyad(self, values: Array, weights: Array | None = None) -> Array:
        """Slope of these values in every dyad."""
        return dyad_slopes(values, self.frame["t"], self.frame["code"], self.n_dyads, weights)


def recording_table(table: pd.DataFrame | None, what: str, modality: str) -> pd.DataFrame | None:
    """Rows of a guard or quality table that are of one modality, as a study may hold both."""
    if table is None:
        return None
    if not isinstance(table, pd.DataFrame):
        raise InputError(f"{what} is a {type(table).__name__}; expected a pandas DataFrame or None.")
    missing = [column for column in ("dyad", "session") if column not in table.columns]
    if missing:
        raise TableError(f"{what} has no column {missing[0]!r}; it needs dyad and session beside its numbers.")
    return table[table["modality"].astype(str) == modality] if "modality" in table else table


def made_for_another(guards: pd.DataFrame, outcome: Mapping[str, str]) -> str:
    """Say which outcome a guard table was made for, if it is another one."""
    named = [column for column in OUTCOME if column in guards and outcome[column]]
    found = guards[named].dropna().astype(str).drop_duplicates().to_dict("records")
    other = [row for row in found if any(row[column] not in ("", outcome[column]) for column in named)]
    return ", ".join(map(str, other[0].values())) if other else ""


def _label(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def figure_text(test: SlopeTest) -> str:
    """Slope, t and p of a test, for a sentence."""
    return f"slope {test.slope:+.4g}, t({test.df:g}) = {test.t:.2f}, p = {test.p:.3g}, {count(test.n, 'dyad')}"


def not_assessable(name: str, why: str) -> Guard:
    """Guard that nothing can be said of."""
    return Guard(name, None, None, f"Not assessable: {why}.")


def signal_to_noise(slopes: Slopes, sign: float) -> Guard:
    """Ask whether growth remains once squared synchrony is divided by both people's signal fractions.

    Parameters
    ----------
    slopes : Slopes
        Of guards.tsv: ``g1_line g1_quad`` with weights ``w_line w_quad``.
    sign : float
        +1 where growth is claimed, -1 for a fall.

    Returns
    -------
    Guard
        Passes if the weighted slope points the claimed way at p < .05 with both background fits.
    """
    name = "signal_to_noise"
    tests = [slopes.test(slopes.column(f"g1_{fit}"), slopes.column(f"w_{fit}")) for fit in ("line", "quad")]
    if not slopes.enough(*tests):
        return not_assessable(name, "too few sessions with a spectral fit of signal and background")
    passed = all(test.in_direction(sign, 0.05) for test in tests)
    detail = "; ".join(
        f"{label} background: {figure_text(test)}" for label, test in zip(("straight", "curved"), tests, strict=True)
    )
    verb = "remains after" if passed else "does not stand up to"
    weakest = min(tests, key=lambda test: sign * test.slope)
    return Guard(name, passed, weakest.slope, f"The change {verb} correction for signal-to-noise ({detail}).")


def space(slopes: Slopes, sign: float) -> Guard:
    """Ask whether the region changes more than channels that carry little of the rhythm (p < .10)."""
    test = slopes.test(slopes.column("excess_z") - slopes.column("control_excess_z"))
    if not slopes.enough(test):
        return not_assessable("space", "too few sessions with control channels outside the region")
    passed = test.in_direction(sign, 0.10)
    verb = "exceeds" if passed else "is not clearly larger than"
    return Guard("space", passed, test.slope, f"The change {verb} that of control channels ({figure_text(test)}).")


def band(slopes: Slopes, sign: float) -> Guard:
    """Ask whether an out-of-band control changes the same way, by clearly more than a share of the change (p < .10).

    Parameters
    ----------
    slopes : Slopes
        Of guards.tsv: ``outband_excess_z``, beside the outcome as ``excess_z``.
    sign : float
        +1 where growth is claimed, -1 for a fall.

    Returns
    -------
    Guard
        Fails if the out-of-band slope exceeds :data:`BAND_SHARE` of the outcome's slope at p < .10.
    """
    control = slopes.column("outband_excess_z")
    test, beyond = slopes.test(control), slopes.test(control - BAND_SHARE * slopes.column("excess_z"))
    if not slopes.enough(beyond):
        return not_assessable("band", "too few sessions with an out-of-band control")
    passed = not (test.slope * sign > 0 and beyond.in_direction(sign, 0.10))
    verb = "does not change the same way" if passed else "changes the same way"
    share = f"beyond a {BAND_SHARE:.0%} share: p = {beyond.p:.3g}"
    detail = f"Synchrony outside the band {verb} ({figure_text(test)}; {share})."
    return Guard("band", passed, test.slope, detail)


def lag(slopes: Slopes, sign: float) -> Guard:
    """Ask whether synchrony that zero-lag mixing cannot make changes the same way, in one of two measures.

    Parameters
    ----------
    slopes : Slopes
        Of guards.tsv: ``lag_robust_excess_z`` and the four ``imcoh`` columns.
    sign : float
        +1 where growth is claimed, -1 for a fall.

    Returns
    -------
    Guard
        Passes if either measure points the claimed way at p < .05.
    """
    robust = slopes.test(slopes.column("lag_robust_excess_z"))
    pattern = slopes.test(pattern_projection(slopes))
    tests = [test for test in (robust, pattern) if slopes.enough(test)]
    if not tests:
        return not_assessable("lag", "too few sessions with lag-robust synchrony")
    passed = any(test.in_direction(sign, 0.05) for test in tests)
    if not passed and len(tests) < 2:
        return not_assessable("lag", "one of its two measures is missing and the other shows no change")
    best = min(tests, key=lambda test: test.p if test.slope * sign > 0 else 2 - test.p)
    detail = f"lag-robust synchrony: {figure_text(robust)}; lag pattern: {figure_text(pattern)}"
    verb = "also changes" if passed else "shows no clear change"
    return Guard("lag", passed, best.slope, f"Synchrony at a lag {verb} ({detail}).")


def pattern_projection(slopes: Slopes) -> Array:
    """Each session's lag pattern, projected on the mean pattern of the other dyads.

    Shapes: returns (n_rows,).
    """
    vectors = np.column_stack([slopes.column(name) for name in IMCOH])
    known = np.isfinite(vectors).all(1)
    codes = slopes.frame["code"].to_numpy()
    out = np.full(len(vectors), np.nan)
    total, count = vectors[known].sum(0), int(known.sum())
    for code in range(slopes.n_dyads):
        own = known & (codes == code)
        others = count - int(own.sum())
        mean = (total - vectors[own].sum(0)) / max(others, 1)
        norm = float(np.linalg.norm(mean))
        if others and norm > 0:
            out[own] = vectors[own] @ (mean / norm)
    return out


#: The EEG guards in the order of the verdict.
EEG_GUARDS: dict[str, Callable[[Slopes, float], Guard]] = {
    "signal_to_noise": signal_to_noise,
    "space": space,
    "band": band,
    "lag": lag,
}


def eeg_guards(
    guards: pd.DataFrame | None, sessions: pd.DataFrame, *, outcome: Mapping[str, str], sign: float
) -> list[Guard]:
    """Answer of every EEG guard."""
    if guards is None:
        return [not_assessable(name, "the table alone holds no guard measures") for name in EEG_GUARDS]
    other = made_for_another(guards, outcome)
    if other:
        return [
            not_assessable(name, f"the guard measures are those of another outcome: {other}") for name in EEG_GUARDS
        ]
    slopes = Slopes.of(guards.drop(columns=["excess_z"], errors="ignore"), sessions, task=outcome["task"])
    # the guard compares with the very outcome that is claimed to change
    slopes.frame["excess_z"] = sessions["value"].to_numpy(float)
    return [guard(slopes, sign) for guard in EEG_GUARDS.values()]


def summarise(guards: Sequence[Guard]) -> dict[str, list[str]]:
    """Names of the guards that failed, and of those not assessable."""
    return {
        "failed": [guard.name for guard in guards if guard.passed is False],
        "open": [guard.name for guard in guards if guard.passed is None],
    }


@dataclass(frozen=True)
class Trend:
    """A quality measure, and the direction of change that would raise the excess."""

    #: Column of quality.tsv (mean of the two people) or of the outcome's sessions
    column: str
    #: -1: a fall raises the excess; +1: a rise does; 0: either may
    direction: int
    #: What it is called in a sentence
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
    """Answer of every fNIRS guard: they flag, they never adjust."""
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
