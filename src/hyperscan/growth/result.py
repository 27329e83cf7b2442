"""What a growth analysis found: one record, and its text, table, picture and files."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pandas as pd

from hyperscan.errors import InputError, count, interval_text, p_text
from hyperscan.growth import records
from hyperscan.growth.differences import Difference
from hyperscan.growth.groups import Groups
from hyperscan.growth.shape import Shape
from hyperscan.schema import MIN_DYADS, NAMED, Outcome, Scalar
from hyperscan.storage import check_types, record_of, write_json, write_table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Columns of growth.tsv.
TSV_COLUMNS = (
    "part", "name", *NAMED, "relation", "word", "slope", "se", "df", "t", "p", "ci_low", "ci_high", "p_max_t",
    "q_bh", "p_holm", "n_dyads", "n_sessions", "passed", "detail",
)  # fmt: skip

#: Parts of one estimate each.
ESTIMATES = (
    "primary", "weighted", "two_stage", "sign_flip", "real_slope", "pseudo_slope", "therapist_level", "equivalence",
    "bayes_factor", "one_dyad",
)  # fmt: skip

#: Trends that :meth:`GrowthResult.summary` shows beside the guards.
TRENDS_TOLD = ("s2_line", "s2_quad", "matched_excess_z", "short_r2")


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
    primary : PrimarySlope
        ``metric band roi task slope se df_satterthwaite p_satterthwaite df t p ci_low ci_high singular
        n_dyads n_sessions``: the mixed model of the outcome named in advance. Slopes are per session (or
        week); ``df`` is Satterthwaite's capped at dyads - 1 and used by t, p and the 95 % interval. Numbers
        are None where there are too few dyads. This and the other parts of growth.json can be read as mappings,
        ``primary["slope"]``.
    weighted : WeightedSlope
        The test that a claim rests on: the dyads' least-squares slopes, weighted by precision, with a robust standard
        error; ``p_length`` says whether slopes go with the number of sessions.
    two_stage, sign_flip : SlopeTest, FlipTest
        The same question from the plain mean of these slopes.
    real_slope, pseudo_slope : CompanionSlope or None
        Mixed-model slope of real pairs and of the chance level.
    therapist_level : TherapistLevel
        Test of the therapists' mean slopes, and whether the verdict needed it.
    equivalence, one_dyad : Equivalence, DyadTrend or None
        Evidence for no change; the description of a single dyad.
    design : Analysis
        ``value time unit modality signal left_out n_averaged`` ..., and ``named``: whether the primary outcome was
        named by the caller or is the package's default, rather than the only one of the table.
    recordings : Recordings
        How clocks were put together (``clocks``), and the slope of the rhythm's share of the signal
        (``signal_fraction``).
    guards : tuple of Guard
        What else could have changed.
    bayes_factor : BayesFactor or None
        Rough evidence for no change.
    exploratory : tuple of ExploratorySlope
        Every metric, band and ROI pair, with p corrected for all of them by the maximum statistic; none for an
        outcome of fewer dyads than a verdict needs.
    outcomes : tuple of OutcomeRelation
        Relations of other columns to synchrony, each in a ``word`` and a ``sentence``, corrected for all that were
        asked for.
    figures : Figures
        Trends of the recordings, leave-one-dyad-out, missingness.
    per_dyad, per_session : DataFrame
        Slope and size of every dyad, shape (n_dyads, 4 or 5); the sessions that entered, one row each.

    differences : tuple of Difference
        Conditions (level and growth of every contrast), groups and moderators, each with its word, sentence, tests and
        guards.
    groups : Groups or None
        Growth in every group of dyads, and whether they differ at all.
    shape : tuple of Shape
        Whether the course departs from a line; exploratory.

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
    primary: records.PrimarySlope
    weighted: records.WeightedSlope
    two_stage: records.SlopeTest
    sign_flip: records.FlipTest
    real_slope: records.CompanionSlope | None
    pseudo_slope: records.CompanionSlope | None
    therapist_level: records.TherapistLevel
    equivalence: records.Equivalence | None
    one_dyad: records.DyadTrend | None
    design: records.Analysis
    recordings: records.Recordings
    guards: tuple[records.Guard, ...]
    bayes_factor: records.BayesFactor | None
    exploratory: Sequence[records.ExploratorySlope]
    outcomes: Sequence[records.OutcomeRelation]
    figures: records.Figures
    per_dyad: pd.DataFrame = field(repr=False)
    per_session: pd.DataFrame = field(repr=False)
    differences: Sequence[Difference] = ()
    groups: Groups | None = None
    shape: Sequence[Shape] = ()

    def __repr__(self) -> str:
        main, fit = self.primary, self.group_slope
        outcome = " ".join(label for label in main.outcome.named.values() if label)
        slope = "no slope" if fit is None else ", ".join([f"slope {fit.slope:+.3g}", *told_p(fit.p)])
        size = f"{count(main.n_dyads, 'dyad')}, {count(main.n_sessions, 'session')}"
        return f"<GrowthResult | {self.verdict} | {outcome or self.design.value} | {slope} | {size}>"

    @property
    def group_slope(self) -> records.WeightedSlope | None:
        """The slope that is told and drawn, on which a claim rests; None with fewer than two dyads that have one."""
        return self.weighted if self.weighted.n > 1 else None

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
            lines += [
                f"  {guard.name:<16} {marks[guard.passed] if guard.asked else 'not asked':<15} {guard.reason}"
                for guard in self.guards
            ]
            beside = [trend for trend in self.figures.trends if trend.name in TRENDS_TOLD and trend.n]
            lines += ["beside them:"] if beside else []
            lines += [
                f"  {trend.name:<18} {trend.person or '':<10} slope "
                + ", ".join([f"{trend.slope:+.3g} per {self.design.unit}", *told_p(trend.p)])
                for trend in beside
            ]
        found = [row for row in self.exploratory if not row.primary and row.p_max_t < 0.05]
        if len(self.exploratory) > 1:
            n_others = len(self.exploratory) - 1
            change = f"{len(found)} of {n_others} other outcomes change (max-T p < .05)"
            few = f"{count(n_others, 'other outcome')}; too few dyads to say which change"
            lines += ["", f"exploratory: {few if self.design.n_dyads_with_slope < MIN_DYADS else change}"]
            lines += [
                f"  {' '.join(self._told_apart(row.outcome))}: slope {row.test.slope:+.3g}"
                + (f" (may leak from {row.leaks_from})" if row.leaks_from else "")
                for row in found[:10]
            ]
            lines += [f"  and {len(found) - 10} more, in growth.json"] if len(found) > 10 else []
        lines += self._tell_differences()
        if self.shape:
            lines += ["", "shape of the course, exploratory (p by max-T, over these rows):"]
            lines += [f"  {one.name:<18} {_figures(one.test, one.p_max_t)}: {one.text}" for one in self.shape]
        return "\n".join([*lines, *self._tell_outcomes()]).rstrip()

    def answers(self) -> str:
        """Verdict, and the answer to every further question that was asked: conditions, groups, moderators, outcomes.

        Returns
        -------
        str
        """
        told = [f"verdict: {self.verdict}", self.sentence, *self._tell_differences(), *self._tell_outcomes()]
        return "\n".join(told).rstrip()

    def _tell_differences(self) -> list[str]:
        """Say what every difference came to, with its sides."""
        lines = []
        for one in self.differences:
            what = f"{one.name}, {one.question}" if one.question in ("level", "growth") else one.name
            lines += ["", f"{what}: {one.word}", one.sentence]
            lines += [f"  {side.name:<18} {_figures(side.test)}" for side in one.sides]
        return lines

    def _tell_outcomes(self) -> list[str]:
        """Say what every relation to a further outcome came to."""
        if not self.outcomes:
            return []
        lines = ["", "outcomes (p by Holm, over all of these rows that could be tested):"]
        lines += [f"  {row.name:<12} {row.relation:<13} {row.word:<20} {_relation(row)}" for row in self.outcomes]
        return lines + [
            f"  {row.sentence}" for row in self.outcomes if row.word.startswith(("goes_with", "confounded"))
        ]

    def _told_apart(self, outcome: Outcome) -> list[str]:
        """List the labels that tell an outcome from the others; a signal or task that all have is none."""
        labels = {**outcome.named, "signal": outcome.signal}
        found = {name: {getattr(row.outcome, name) for row in self.exploratory} for name in ("signal", "task")}
        return [label for name, label in labels.items() if label and len(found.get(name, "ab")) > 1]

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values, ready for JSON: the content of growth.json."""
        order = ["verdict", "sentence", *ESTIMATES[:7], "exploratory", *ESTIMATES[7:], "outcomes"]
        order += ["differences", "groups", "shape", "figures", "design", "recordings"]
        parts = {name: getattr(self, name) for name in (*order, "guards")}
        out: dict[str, Any] = records.json_values({**parts, "per_dyad": self.per_dyad.to_dict("records")})
        return out

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Read the content of growth.json; ``per_session`` is not part of it, and empty."""
        try:
            frames = {"per_dyad": _dyads(content["per_dyad"]), "per_session": pd.DataFrame()}
            found = record_of(cls, {**content, **frames})
            check_types(found)
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
            raise InputError(
                f"growth.json: is not what this version writes ({error}).\n"
                "Fit growth again: hyperscan growth OUT -o OUT."
            ) from None
        return found

    def to_data_frame(self) -> pd.DataFrame:
        """Every estimate, one row each (growth.tsv).

        Returns
        -------
        DataFrame
        """
        named = self.primary.outcome.named
        rows: list[Mapping[str, Scalar]] = []
        for part in ESTIMATES:
            found: records.Record | None = getattr(self, part)
            # the test over therapists counts therapists
            n = found.get("n_dyads", found.get("n")) if found and part != "therapist_level" else None
            numbers = {**found, "n_dyads": n, "detail": _detail(found)} if found else {}
            rows.append({"part": part, "name": part, **named, **numbers})
        rows += [{"part": "guard", **named, **guard, "slope": guard.figure} for guard in self.guards]
        rows += [{"part": "exploratory", "name": row.outcome.signal, **row} for row in self.exploratory]
        for row in self.outcomes:
            rows.append({"part": "outcome", **row, **(row.estimate or {}), "detail": row.sentence})
            asked = {"name": row.name, "relation": row.relation}
            rows += [{"part": "outcome_guard", **guard, "slope": guard.figure, **asked} for guard in row.guards]
        for one in self.differences:
            labels = {"part": one.question, "name": one.name}
            n = {"n_dyads": one.estimate.n, "n_sessions": one.n_sessions}
            told: dict[str, Scalar] = {"word": one.word, "p_holm": one.p_holm}
            rows.append({**labels, **told, **one.estimate, **n, "detail": f"{one.word}: {one.sentence}"})
            others = {"unweighted": one.plain, "mixed": one.mixed, "permutation": one.permutation}
            rows += [{**labels, **test, "detail": name} for name, test in others.items() if test]
            rows += [{**labels, **side.test, "n_dyads": side.test.n, "detail": side.name} for side in one.sides]
            rows += [
                {**labels, **guard, "slope": guard.figure, "name": f"{one.name}, {guard.name}"} for guard in one.guards
            ]
        rows += [{"part": "shape", **row, "n_dyads": row.test.n, "detail": row.text} for row in self.shape]
        dyads = self.per_dyad[["dyad", "slope", "n_sessions"]].rename(columns={"dyad": "name"})
        rows += [{"part": "dyad", **named, **dyad} for dyad in dyads.to_dict("records")]
        plain = [{name: records.json_values(row.get(name)) for name in TSV_COLUMNS} for row in rows]
        return pd.DataFrame(plain, columns=list(TSV_COLUMNS))

    def plot(self, *, axes: Axes | None = None, show: bool = True) -> Figure:
        """Draw every dyad's curve with the group's slope and, for the excess, the band that pseudo pairs reach.

        Parameters
        ----------
        axes : matplotlib.axes.Axes or None
            Where to draw; None = a new figure.
        show : bool
            Show the figure, where matplotlib has a window or a notebook for it.

        Returns
        -------
        matplotlib.figure.Figure
        """
        from hyperscan.plots import growth_curves
        from hyperscan.plots.style import finish, one_axes

        table, value, time = self.per_session, self.design.value, self.design.time
        shown = table.drop(columns=[value], errors="ignore").rename(columns={"value": value})
        shown = shown.assign(metric=self.primary.outcome.metric)
        if time == "weeks":
            shown = shown.assign(weeks=shown["t"], days=shown["t"] * 7)
        if time not in ("session", "weeks"):
            shown = shown.assign(**{time: shown["t"]})
        return finish(growth_curves(shown, fit=self.group_slope, ax=one_axes(axes), value=value, time=time), show)

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
        folder = Path(folder)
        write_json(folder / "growth.json", self.to_dict())
        write_table(folder / "growth.tsv", self.to_data_frame())
        return folder


def _dyads(rows: Any) -> pd.DataFrame:
    """Read the table of dyads back: labels are text, the rest is numbers."""
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise TypeError("per_dyad is no list of dyads")
    table = pd.DataFrame(rows)
    for name, values in table.items():
        if name not in ("dyad", "therapist"):
            pd.to_numeric(values)
        elif not values.map(lambda label: isinstance(label, str)).all():
            raise TypeError(f"per_dyad: {name} is no text")
    return table


def _detail(part: records.Record) -> str | None:
    """Say what of an estimate has no column of its own in growth.tsv."""
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
    return "; ".join(text for text in details if text) or None


def _figures(test: records.SlopeTest, p: float | None = None) -> str:
    """Estimate with its interval, p and number of dyads; where none could be made, that it is not there."""
    if math.isnan(test.slope):
        return f"no estimate, {count(test.n, 'dyad')}"
    interval = f"{test.slope:+.3g} ({interval_text(test.ci_low, test.ci_high)})"
    return ", ".join([interval, *told_p(test.p if p is None else p), count(test.n, "dyad")])


def told_p(p: float) -> list[str]:
    """Say p where there was a test."""
    return [] if math.isnan(p) else [p_text(p)]


def _relation(row: records.OutcomeRelation) -> str:
    """Slope of a relation with its interval, its corrected p, and on how many it rests."""
    test = row.estimate
    if test is None or row.p_holm is None:
        return row.sentence
    size = f"{count(row.n_dyads, 'dyad')}, {count(row.n_sessions, 'session')}"
    return f"slope {test.slope:+.3g} ({interval_text(test.ci_low, test.ci_high)}), {p_text(row.p_holm)}, {size}"
