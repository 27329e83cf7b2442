"""Figures beside the guards: they decide nothing, and a reader wants to see them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hyperscan.growth.guards import Slopes
from hyperscan.growth.model import Design
from hyperscan.growth.slopes import SlopeTest, slope_test
from hyperscan.growth.table import Names, label_column, number_column

Array = NDArray[np.float64]

#: Columns of quality.tsv whose trend is reported for each person, by what they tell (prefixes match, too).
QUALITY_FIGURES: dict[str, tuple[str, ...]] = {
    "amount of data": ("clean_seconds", "n_windows", "channels_kept"),
    "signal fraction": ("s2_line", "s2_quad", "snr_"),
    "rhythmicity": ("peak_width_", "peak_hz_"),
    "artefact": ("highfreq", "motion"),
    "fNIRS": ("short_r2", "band_sd", "mayer_fraction", "motion_overlap", "instrument_noise", "sci"),
}


def quality_figures(quality: pd.DataFrame, sessions: pd.DataFrame, *, task: str) -> list[dict[str, Any]]:
    """Trend of every quality measure of each person."""
    out: list[dict[str, Any]] = []
    people = quality["person"].dropna().unique().tolist() if "person" in quality else [None]
    for person in people:
        rows = quality if person is None else quality[quality["person"] == person]
        slopes = Slopes.of(rows, sessions, task=task)
        for topic, column in _wanted(list(rows.columns)):
            out.append(_trend(topic, column, slopes.test(slopes.column(column)), person))
    return out


def _wanted(columns: list[str]) -> Iterator[tuple[str, str]]:
    for topic, names in QUALITY_FIGURES.items():
        for column in columns:
            if any(column == name or (name.endswith("_") and column.startswith(name)) for name in names):
                yield topic, column


def _trend(topic: str, name: str, test: SlopeTest, person: str | None = None) -> dict[str, Any]:
    return {
        "topic": topic,
        "name": name,
        "person": person,
        "slope": test.slope,
        "t": test.t,
        "p": test.p,
        "n": test.n,
    }


def guard_figures(guards: pd.DataFrame, sessions: pd.DataFrame, *, task: str) -> list[dict[str, Any]]:
    """Slope of the noise-matched excess, a sensitivity check and not a gate."""
    if "matched_excess_z" not in guards:
        return []
    slopes = Slopes.of(guards, sessions, task=task)
    return [_trend("sensitivity", "matched_excess_z", slopes.test(slopes.column("matched_excess_z")))]


def table_figures(sessions: pd.DataFrame, table: pd.DataFrame, names: Names, task: str) -> list[dict[str, Any]]:
    """Trends of what the outcome's own table says: windows, seconds and, where given, speech."""
    base = sessions.drop(columns=["t", "therapist"], errors="ignore")
    slopes = Slopes.of(base, sessions, task="")
    out = [
        _trend("amount of data", name, slopes.test(slopes.column(name)))
        for name in ("n_windows", "seconds")
        if name in sessions
    ]
    if "speech" in table and names.session in table:
        said = {"dyad": label_column(table, names.dyad), "speech": number_column(table, "speech")}
        said |= {"session": number_column(table, names.session)}
        tasks = {"task": table["task"].reset_index(drop=True)} if "task" in table else {}
        slopes = Slopes.of(pd.DataFrame(said | tasks), sessions, task=task)
        out.append(_trend("artefact", "speech", slopes.test(slopes.column("speech"))))
    return out


def leave_one_out(design: Design, slopes: Array) -> dict[str, Any]:
    """How much one dyad decides: mean slope and p with each dyad left out.

    Shapes: ``slopes`` (n_dyads,).
    """
    known = np.flatnonzero(np.isfinite(slopes))
    if len(known) < 3:
        return {"same_sign": None, "slope_min": None, "slope_max": None, "p_max": None, "dyad": None}
    tests = [slope_test(np.delete(slopes, k)) for k in known]
    means = np.array([test.slope for test in tests])
    full = float(np.nanmean(slopes))
    return {
        "same_sign": bool((np.sign(means) == np.sign(full)).all()),
        "slope_min": float(means.min()),
        "slope_max": float(means.max()),
        "p_max": max(test.p for test in tests),
        "dyad": str(design.labels[known[int(np.abs(means - full).argmax())]]),
    }


def missingness(sessions: pd.DataFrame, design: Design, numbered: bool) -> dict[str, Any]:
    """Sessions per dyad, and whether dyads that stop early stopped at unusual values.

    Parameters
    ----------
    sessions : DataFrame
        Rows of the outcome.
    design : Design
        The same as arrays.
    numbered : bool
        Whether sessions have numbers; dates alone do not say which one is missing.

    Returns
    -------
    dict
        ``n_planned`` (dyads times distinct sessions), ``n_observed``, ``fewest`` and ``most`` per dyad,
        ``n_stopped_early`` and ``last_value_before_stop``: mean over those dyads of their last value minus
        the mean of all dyads at that session; None without session numbers. The mixed model assumes that what is
        missing does not depend on what it would have been.
    """
    counts = np.bincount(design.codes, minlength=len(design.labels))
    seen = {
        "n_observed": len(sessions),
        "fewest": int(counts.min(initial=len(sessions))),
        "most": int(counts.max(initial=0)),
    }
    if not numbered:
        return seen | dict.fromkeys(("n_planned", "n_stopped_early", "last_value_before_stop"))
    last = sessions["session"] == sessions.groupby("dyad")["session"].transform("max")
    early = sessions[last & (sessions["session"] < sessions["session"].max())]
    mean = sessions.groupby("session")["value"].mean()
    gap = early["value"] - early["session"].map(mean)
    return seen | {
        "n_planned": len(design.labels) * int(sessions["session"].nunique()),
        "n_stopped_early": len(early),
        "last_value_before_stop": float(gap.mean()) if len(early) else None,
    }
