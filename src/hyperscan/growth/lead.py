"""Who leads, and at what lag: profiles over lags of all dyads, beyond what their clocks may be wrong by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from hyperscan.config import Primary
from hyperscan.errors import NO_INTERVAL, TableError, count, p_text, signed
from hyperscan.growth.few import without_tests
from hyperscan.growth.flips import max_t, smallest_p
from hyperscan.growth.records import SlopeTest
from hyperscan.growth.slopes import for_lent_people, slope_test
from hyperscan.growth.table import choose, label_column, number_column, text_column
from hyperscan.growth.verdict import ALPHA
from hyperscan.nulls.near_lags import lag_peak, lead_asymmetry
from hyperscan.schema import KEYS, MIN_DYADS, OUTCOME_LABELS, Outcome

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Lead:
    """What the dyads' lag profiles say together: is there dependence at some lag, at which, and who leads.

    Parameters
    ----------
    outcome : Outcome
        What was looked at.
    profile : DataFrame, shape (n_lags, 5)
        By lag: ``lag_s``, mean ``excess_z`` over dyads, its 95 % interval ``ci_low``, ``ci_high``, and ``p``, corrected
        for all lags (sign flips, maximum over lags).
    peak_s, ci_low_s, ci_high_s : float
        Lag of the highest mean excess and its 95 % interval (jackknife over dyads, too narrow where dyads differ in
        who leads); positive = the therapist leads.
    p : float
        Smallest corrected p of an excess above 0.
    p_side : float
        p that the profile is higher on the side of its highest point than on the other side.
    asymmetry : SlopeTest
        Test over dyads of the mean excess where the therapist leads minus where the client leads.
    uncertainty_ms : float
        How far the two clocks may be apart, at worst; NaN where nothing says so.
    leader : str
        ``therapist``, ``client``, or empty where no direction is claimed.
    sentence : str
        What was found, and why no direction is claimed where none is.
    """

    outcome: Outcome
    profile: pd.DataFrame = field(repr=False)
    peak_s: float
    ci_low_s: float
    ci_high_s: float
    p: float
    p_side: float
    asymmetry: SlopeTest = field(repr=False)
    uncertainty_ms: float
    leader: str
    sentence: str


def find_lead(
    lags: pd.DataFrame,
    quality: pd.DataFrame | None = None,
    primary: Primary | Mapping[str, str] | None = None,
    *,
    n_flips: int = 10_000,
    seed: int | np.random.Generator = 0,
) -> Lead:
    """Ask who leads, and at what lag.

    A direction is claimed where the mean excess over chance is above 0 at some lag (p < .05, corrected for all lags by
    sign flips of whole dyads), the profile is higher on the side of its highest point than on the other (likewise),
    and the lag of that point lies beyond what the clocks may be wrong by (95 % interval, jackknife over dyads). Without
    a lead a dyad's profile is as likely to be turned round, so the second test holds its level whatever the profile
    looks like; the interval alone would not. Each dyad counts once, by the mean over its sessions.

    Parameters
    ----------
    lags : DataFrame, shape (n_rows, n_columns)
        ``lags.tsv`` of a run, or ``StudyResult.lags``: one row per dyad-session, metric and lag.
    quality : DataFrame, optional
        ``quality.tsv``, which knows the clocks; without it, or a row of it for each recording that has a profile, no
        direction is claimed.
    primary : Primary or mapping, optional
        Which metric, band, ROI pair and task, where the table holds several.
    n_flips : int
        Random sign flips above 14 dyads; up to 14 all are enumerated.
    seed : int or numpy.random.Generator
        Source of the flips.

    Returns
    -------
    Lead
        The profile, the lag with its interval, and the sentence.

    Raises
    ------
    TableError
        If a column is missing, the outcome is not there, or dyads have different lags, or not the same to both sides.

    Examples
    --------
    >>> lags_s = np.arange(-8, 9) / 16
    >>> rng = np.random.default_rng(0)
    >>> curve = np.exp(-(((lags_s - 0.1) / 0.1) ** 2))
    >>> rows = [(d, 1, *at) for d in range(8) for at in zip(lags_s, curve + rng.normal(0, 0.1, 17))]
    >>> table = pd.DataFrame(rows, columns=["dyad", "session", "lag_s", "profile_excess_z"])
    >>> people = pd.DataFrame({"dyad": range(8), "session": 1, "clock_source": "same_amplifier"})
    >>> lead = find_lead(table, people)
    >>> lead.leader, round(lead.peak_s, 1)
    ('therapist', 0.1)
    """
    rng = np.random.default_rng(seed)
    outcome, lags_s, curves, used = _curves(lags, primary)
    n = len(curves)
    # as many pseudo pairs as these dyads can make; fewer would widen it by more
    tests = [for_lent_people(slope_test(column), 2 * (n - 1)) for column in curves.T]
    # fewer dyads are described, not tested
    p = max_t(curves, rng, n_flips) if n >= MIN_DYADS else np.full(len(lags_s), np.nan)
    mean = curves.mean(axis=0)
    peak, low, high = peak_interval(lags_s, curves, ALPHA)
    smallest = _smallest(p, mean > 0)
    sides = compare_sides(curves)
    p_side = _smallest(max_t(sides, rng, n_flips), sides.mean(axis=0) * peak > 0) if n >= MIN_DYADS else float("nan")
    known_to = clocks_known_to_ms(quality_of(quality, used))
    beyond = 1e-3 * known_to
    shown = n >= MIN_DYADS and smallest < ALPHA and p_side < ALPHA
    sign = (1 if low > beyond else -1 if high < -beyond else 0) if shown else 0
    leader = {1: "therapist", -1: "client", 0: ""}[sign]
    profile = pd.DataFrame(
        {
            "lag_s": lags_s,
            "excess_z": mean,
            "ci_low": [test.ci_low for test in tests],
            "ci_high": [test.ci_high for test in tests],
            "p": p,
        }
    )
    said = _sentence(leader, n, smallest, p_side, (peak, low, high), known_to)
    if n >= MIN_DYADS and not smallest < ALPHA:
        least, above = f"{smallest_p(n, n_flips):.2g}".removeprefix("0"), int((curves[:, mean.argmax()] > 0).sum())
        said += f" Of {n} dyads no such p falls below {least}; {above} of them have an excess at its highest point."
    asymmetry = without_tests(for_lent_people(slope_test(lead_asymmetry(lags_s, curves)), 2 * (n - 1)), n)
    return Lead(outcome, profile, peak, low, high, smallest, p_side, asymmetry, known_to, leader, said)


def compare_sides(curves: Array) -> Array:
    """How much higher each dyad's profile is where the therapist leads than where the client does, in two ways.

    The half that changes its sign where a profile is turned round, seen along two shapes: how steeply the mean of both
    halves falls (a short lag moves a peak along it), and that mean itself (of a long lag one side has all of it).
    Turning dyads round leaves both shapes as they are, so signs may be flipped.

    Shapes: ``curves`` (n_dyads, n_lags), the lags the same to both sides of 0; returns (n_dyads, 2).

    Examples
    --------
    >>> lags = np.arange(-8.0, 9)
    >>> compare_sides(np.exp(-((lags - np.array([[1], [-1]])) ** 2) / 8)).round(1)
    array([[ 0.2,  0.4],
           [-0.2, -0.4]])
    """
    turned, middle = curves[:, ::-1], curves.shape[-1] // 2 + 1
    odd, even = 0.5 * (curves - turned), 0.5 * (curves + turned).mean(axis=0)
    shapes = np.stack([-np.gradient(even), even])[:, middle:]
    return np.asarray(odd[:, middle:] @ shapes.T)


def _smallest(p: Array, use: NDArray[np.bool_]) -> float:
    """Smallest of some p, 1 where none is used; NaN where a test cannot be made."""
    return float(np.where(use, p, 1.0).min(initial=1.0)) if np.isfinite(p).all() else float("nan")


def quality_of(quality: pd.DataFrame | None, used: pd.DataFrame) -> pd.DataFrame | None:
    """Rows of quality.tsv of the recordings that were used; none where one of them has no row."""
    if quality is None:
        return None
    keys = [name for name in KEYS if name in quality and name in used]
    if not keys:
        return quality
    there, asked = (pd.MultiIndex.from_arrays([_key(table, name) for name in keys]) for table in (quality, used))
    return quality[there.isin(asked)] if asked.isin(there).all() else None


def _key(table: pd.DataFrame, name: str) -> pd.Series:
    """Return a column of the key of recordings in the form in which two tables have it alike."""
    if name == "session":
        return number_column(table, name)
    return label_column(table, name) if name == "dyad" else text_column(table, name)


def clocks_known_to_ms(quality: pd.DataFrame | None) -> float:
    """Find how far the clocks may be apart in any session, in ms; NaN where one was assumed, or nothing says so."""
    if quality is None or quality.empty:
        return float("nan")
    if "clock_uncertainty_ms" in quality:
        return float(number_column(quality, "clock_uncertainty_ms").max(skipna=False))
    sources = set(text_column(quality, "clock_source"))
    return 0.0 if sources == {"same_amplifier"} else float("nan")


def _curves(
    lags: pd.DataFrame, primary: Primary | Mapping[str, str] | None
) -> tuple[Outcome, Array, Array, pd.DataFrame]:
    """Choose the outcome; return its lags, the mean profile of every dyad, (n_dyads, n_lags), and the rows used."""
    missing = [name for name in ("dyad", "session", "lag_s", "profile_excess_z") if name not in lags]
    if missing:
        raise TableError(f"lags has no column {', '.join(map(repr, missing))}; give lags.tsv of a run.", missing)
    frame = pd.DataFrame({"dyad": label_column(lags, "dyad"), "session": number_column(lags, "session")})
    frame["lag_s"] = number_column(lags, "lag_s").round(6)
    frame["value"] = number_column(lags, "profile_excess_z")
    for name in OUTCOME_LABELS:
        frame[name] = text_column(lags, name)
    outcome = choose(frame, primary, None, None)
    same = np.logical_and.reduce([frame[name] == getattr(outcome, name) for name in OUTCOME_LABELS])
    mine = frame[same & frame["value"].notna()]
    # runs of a session first, then sessions: each counts once
    by_session = mine.groupby(["dyad", "session", "lag_s"])["value"].mean()
    means = by_session.groupby(["dyad", "lag_s"]).mean().unstack("lag_s")
    if means.empty:
        raise TableError("lags: no profile has pseudo pairs to compare with. Add dyads.")
    if means.isna().to_numpy().any():
        raise TableError("lags: dyads have different lags, as of other sampling rates. Keep those that have the same.")
    lags_s = means.columns.to_numpy(float)
    if not np.allclose(lags_s, -lags_s[::-1], atol=1e-6):
        raise TableError("lags: are not the same to both sides of 0. Give all lags of lags.tsv.")
    return outcome, lags_s, means.to_numpy(float), lags.reset_index(drop=True).loc[mine.index]


def peak_interval(lags_s: Array, curves: Array, alpha: float) -> tuple[float, float, float]:
    """Lag of the highest mean excess, with an interval by leaving out one dyad at a time.

    Shapes: ``lags_s`` (n_lags,), ``curves`` (n_dyads, n_lags).
    """
    n, peak = len(curves), lag_peak(lags_s, curves.mean(axis=0))
    if n < 3:
        return peak, float("nan"), float("nan")
    left = np.array([lag_peak(lags_s, np.delete(curves, i, axis=0).mean(axis=0)) for i in range(n)])
    se = float(np.sqrt((n - 1) / n * np.square(left - left.mean()).sum()))
    half = float(special.stdtrit(n - 1, 1 - alpha / 2)) * se
    return peak, peak - half, peak + half


def _sentence(leader: str, n: int, p: float, p_side: float, peak: tuple[float, float, float], known_to: float) -> str:
    """Say what was found, and why no direction is claimed where none is."""
    unit, scale = ("ms", 1000.0) if abs(peak[0]) < 1 else ("s", 1.0)
    at, low, high = (signed(scale * each) for each in peak)
    clocks = "nothing says how far the clocks may be apart"
    if known_to == known_to:
        clocks = f"the clocks may be {known_to:.3g} ms apart" if known_to else "one clock"
    interval = f"95 % CI {low} to {high}" if peak[1] == peak[1] else NO_INTERVAL
    about = f"{interval}; {count(n, 'dyad')}; {clocks}"
    where = f"The mean excess over chance is highest at a lag of {at} {unit} ({about})"
    if n < MIN_DYADS:
        return f"{where}. With fewer than {MIN_DYADS} dyads nothing is claimed of a group."
    if not p < ALPHA:
        return f"No excess over chance was shown at any lag (smallest {p_text(p)}, corrected for all lags)."
    shown = f"{p_text(p)}, corrected for all lags"
    if leader:
        other = "client" if leader == "therapist" else "therapist"
        return f"{where}; {shown}. The {leader} leads and the {other} follows, which does not say who drives whom."
    why = "the lag may be that of the clocks, or none"
    if not p_side < ALPHA:
        why = f"the excess is not clearly higher on this side of lag 0 ({p_text(p_side)})"
    return f"{where}; {shown}. No direction is claimed: {why}."
