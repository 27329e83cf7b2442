"""What a growth analysis found: one record, and its text, table, picture and files."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from hyperscan.errors import count
from hyperscan.growth.guards import Guard
from hyperscan.growth.verdict import p_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Columns of growth.tsv.
COLUMNS = (
    "part", "name", "metric", "band", "roi", "task", "slope", "se", "df", "t", "p", "ci_low", "ci_high",
    "p_max_t", "q_bh", "n_dyads", "n_sessions", "passed", "detail",
)  # fmt: skip

#: Trends that :meth:`GrowthResult.summary` shows beside the guards.
BESIDE = ("s2_line", "s2_quad", "matched_excess_z", "short_r2")


@dataclass(frozen=True, eq=False)
class GrowthResult:
    """Answer to whether synchrony grows over sessions, and what it rests on.

    Parameters
    ----------
    verdict : str
        ``grows``, ``grows_lag_unresolved``, ``grows_unchecked``, ``declines`` and its two relatives,
        ``confounded``, ``no_change``, ``no_clear_change`` or ``cannot_tell``.
    sentence : str
        What to report, in words.
    primary : mapping
        ``metric band roi task slope se df_satterthwaite p_satterthwaite df t p ci_low ci_high singular
        n_dyads n_sessions``: the mixed model of the outcome named in advance. Slopes are per session (or
        week); ``df`` is Satterthwaite's capped at dyads - 1 and used by t, p and the 95 % interval. Numbers
        are None where there are too few dyads.
    two_stage, sign_flip : mapping
        The same question from the dyads' least-squares slopes.
    real_slope, pseudo_slope : mapping or None
        Mixed-model slope of real pairs and of the chance level.
    therapist_level : mapping
        Test of the therapists' mean slopes, and whether the verdict needed it.
    guards : tuple of Guard
        What else could have changed.
    exploratory : list of dict
        Every metric, band and ROI pair, with p corrected for all of them by the maximum statistic; none for an
        outcome of fewer dyads than a verdict needs, where others have more.
    equivalence, bayes_factor, one_dyad : mapping or None
        Evidence for no change; the description of a single dyad.
    outcomes : list of dict
        Relations to covariates, corrected for how many were tried.
    figures : mapping
        Trends of the recordings, leave-one-dyad-out, missingness.
    design : mapping
        ``value time unit modality signal n_dropped n_unpaired n_averaged`` ..., and ``named``: whether the primary
        outcome was named by the caller or is the package's default, rather than the only one of the table.
    per_dyad, per_session : DataFrame
        Slope and size of every dyad; the sessions that entered.

    Examples
    --------
    >>> import hyperscan as hs
    >>> rows = [(dyad, s, 0.1 * s + 0.01 * dyad * s) for dyad in range(8) for s in (1, 2, 3, 4)]
    >>> growth = hs.fit_growth(pd.DataFrame(rows, columns=["dyad", "session", "wai"]), value="wai")
    >>> growth.verdict, round(growth.primary["slope"], 3)
    ('grows_unchecked', 0.135)
    >>> growth.to_data_frame()["part"].value_counts()["dyad"]
    np.int64(8)
    """

    verdict: str
    sentence: str
    primary: Mapping[str, Any]
    two_stage: Mapping[str, Any]
    sign_flip: Mapping[str, Any]
    real_slope: Mapping[str, Any] | None
    pseudo_slope: Mapping[str, Any] | None
    therapist_level: Mapping[str, Any]
    guards: tuple[Guard, ...]
    exploratory: Sequence[Mapping[str, Any]]
    equivalence: Mapping[str, Any] | None
    bayes_factor: Mapping[str, Any] | None
    one_dyad: Mapping[str, Any] | None
    outcomes: Sequence[Mapping[str, Any]]
    figures: Mapping[str, Any]
    design: Mapping[str, Any]
    per_dyad: pd.DataFrame = field(repr=False)
    per_session: pd.DataFrame = field(repr=False)

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not isinstance(value, pd.DataFrame):
                object.__setattr__(self, name, _builtin(value))

    def __repr__(self) -> str:
        main = self.primary
        outcome = " ".join(str(main[key]) for key in ("metric", "band", "roi", "task") if main[key])
        slope = "no slope" if main["slope"] is None else f"slope {main['slope']:+.3g}, p = {main['p']:.3g}"
        size = f"{count(main['n_dyads'], 'dyad')}, {count(main['n_sessions'], 'session')}"
        return f"<GrowthResult | {self.verdict} | {outcome or self.design['value']} | {slope} | {size}>"

    def summary(self) -> str:
        """Verdict, sentence and guards as text.

        Returns
        -------
        str
        """
        marks = {True: "passed", False: "FAILED", None: "not assessable"}
        lines = [f"verdict: {self.verdict}", self.sentence, ""]
        if self.verdict != "cannot_tell":
            lines += ["guards:"]
            lines += [f"  {guard.name:<16} {marks[guard.passed]:<15} {guard.reason}" for guard in self.guards]
            lines += self._beside()
        found = [row for row in self.exploratory if not row["primary"] and (row["p_max_t"] or 1) < 0.05]
        if len(self.exploratory) > 1:
            lines += [
                "",
                f"exploratory: {len(found)} of {len(self.exploratory) - 1} other outcomes change (max-T p < .05)",
            ]
            lines += [f"  {row['metric']} {row['band']} {row['roi']}: slope {row['slope']:+.3g}" for row in found[:10]]
            lines += [f"  and {len(found) - 10} more, in growth.json"] if len(found) > 10 else []
        return "\n".join([*lines, *self._related()]).rstrip()

    def _related(self) -> list[str]:
        """Relations to the outcomes that were named, each corrected for all of them."""
        if not self.outcomes:
            return []
        shown = [f"  {row['name']:<18} {row['relation']:<14} {_relation(row)}" for row in self.outcomes]
        return ["", "outcomes (p by Holm, over all of these rows):", *shown]

    def _beside(self) -> list[str]:
        """Slopes that a reader needs to weigh the guards: both people's signal fraction, the noise-matched excess."""
        shown = [row for row in self.figures["trends"] if row["name"] in BESIDE and row["n"]]
        if not shown:
            return []
        return ["beside them:"] + [
            f"  {row['name']:<18} {row['person'] or '':<10} slope {row['slope']:+.3g} per {self.design['unit']}, "
            f"{p_text(row['p'])}"
            for row in shown
        ]

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values, ready for JSON."""
        parts = {name: value for name, value in vars(self).items() if name not in ("per_session", "guards", "per_dyad")}
        parts["guards"] = [guard.to_dict() for guard in self.guards]
        parts["per_dyad"] = self.per_dyad.to_dict("records")
        out: dict[str, Any] = _plain(parts)
        return out

    def to_data_frame(self) -> pd.DataFrame:
        """Every estimate, one row each (growth.tsv).

        Returns
        -------
        DataFrame
        """
        named = {key: self.primary[key] for key in ("metric", "band", "roi", "task")}
        parts = [
            "primary",
            "two_stage",
            "sign_flip",
            "real_slope",
            "pseudo_slope",
            "therapist_level",
            "equivalence",
            "bayes_factor",
            "one_dyad",
        ]
        rows = [{"part": part, "name": part, **named, **_estimate(getattr(self, part) or {})} for part in parts]
        rows += [{"part": "guard", **named, **guard.to_dict(), "slope": guard.figure} for guard in self.guards]
        rows += [{"part": "exploratory", "name": row["signal"], **row} for row in self.exploratory]
        rows += [{"part": "outcome", **row} for row in self.outcomes]
        rows += [
            {
                "part": "dyad",
                "name": row["dyad"],
                **named,
                "slope": row["slope"],
                "n_sessions": row["n_sessions"],
            }
            for row in self.per_dyad.to_dict("records")
        ]
        return pd.DataFrame([{name: _plain(row.get(name)) for name in COLUMNS} for row in rows], columns=list(COLUMNS))

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw every dyad's curve with the group's slope and, for the excess, the band that pseudo pairs reach.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure by default.

        Returns
        -------
        matplotlib.axes.Axes
        """
        from hyperscan.plots import growth_curves

        table, value = self.per_session, self.design["value"]
        shown = table.drop(columns=[value], errors="ignore").rename(columns={"value": value})
        if self.design["time"] == "weeks":
            shown = shown.assign(weeks=shown["t"], days=shown["t"] * 7)
        time = self.design["time"]
        if time not in ("session", "weeks"):
            shown = shown.assign(**{time: shown["t"]})
        drawn: Axes = growth_curves(shown, fit=_plain(self.primary), ax=ax, value=value, time=time)
        return drawn

    def save(self, folder: str | Path) -> Path:
        """Write growth.json and growth.tsv.

        Parameters
        ----------
        folder : path-like
            Made if missing.

        Returns
        -------
        Path
            The folder.

        Raises
        ------
        OutputWriteError
            If the disk is full or writing is not permitted.
        """
        from hyperscan.storage import write_json, write_table

        folder = Path(folder)
        write_json(folder / "growth.json", self.to_dict())
        write_table(folder / "growth.tsv", self.to_data_frame())
        return folder


def _estimate(part: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers of a part in the columns of growth.tsv; those without a column of their own as a detail."""
    details = [
        f"bound {part['bound']:.10g}, holds: {part['holds']}" if part.get("bound") else "",
        f"90 % interval {part['ci90_low']:.10g} to {part['ci90_high']:.10g}" if "ci90_low" in part else "",
        f"BF01 {part['bf01']:.10g}, BIC {part['bic1']:.10g} with and {part['bic0']:.10g} without a slope"
        if "bf01" in part
        else "",
        f"smallest p {part['smallest_p']:.10g}, {part['n_flips']} flips" if "smallest_p" in part else "",
        f"{part['n_therapists']} therapists, needed: {part['needed']}" if part.get("known") else "",
        str(part.get("text", "")),
    ]
    size = None if "n_therapists" in part else part.get("n_dyads", part.get("n"))
    return {**part, "n_dyads": size, "detail": "; ".join(text for text in details if text) or None}


def _relation(row: Mapping[str, Any]) -> str:
    if row["p_holm"] is None:
        return f"not assessable: {row['detail']}"
    name = "slope" if row["slope"] is not None else "r"
    return f"{name} {row[name]:+.3g}, {p_text(row['p_holm'])}"


def _builtin(value: Any) -> Any:
    """Return numbers of numpy as those of Python, however deep they lie; a guard is a record of its own."""
    if isinstance(value, Mapping):
        return {str(key): _builtin(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_builtin, value))
    if isinstance(value, Guard):
        return dataclasses.replace(value, figure=_builtin(value.figure))
    return value.tolist() if isinstance(value, np.generic | np.ndarray) else value


def _plain(value: Any) -> Any:
    """Return the value as JSON can hold it: what is not a number is None."""
    value = _builtin(value)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
