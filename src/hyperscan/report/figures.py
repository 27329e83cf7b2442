"""The figures of the pages: drawn from the tables, with a text that says what they show."""

from __future__ import annotations

import base64
import dataclasses
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from hyperscan.errors import count
from hyperscan.growth.table import regions_once
from hyperscan.metrics.table import index_scale
from hyperscan.plots.frames import bend_of, beside_chance, dyad_curves, of_sessions, window_table
from hyperscan.plots.style import save_svg
from hyperscan.report.run import ReportedRun
from hyperscan.report.tables import brief_all, one_line, short
from hyperscan.results import SynchronyResult
from hyperscan.schema import KEYS, OF_DYADS, ROLES, column_of, index_facts, other_chance

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from hyperscan.growth.differences import Difference
    from hyperscan.growth.records import WeightedSlope


#: Links drawn: the strongest 5 %, and on large caps no more than this many per session on average (our choice).
STRONGEST, MOST_LINKS = 0.05, 20

#: Most dyads that get a panel on the first page: all have one on their own page (our choice).
MAX_PANELS = 60

#: CSS pixels per point of a figure: 10-point text reads like the text of the page (our choice).
_PIXELS = 1.5


#: Least scale of a figure on a narrow screen, as in ``style.css``, and the width of the text there, in CSS pixels.
_LEAST_SCALE, _NARROW_PX = 0.64, 362

#: Inches of the growth figure on a narrow screen.
_NARROW_GROWTH = (4.6, 5.2)


#: What a true change does to what the guards are taken of, by the beginning of their columns.
_TRUE_CHANGE = {
    "g1_": "noise-corrected measures change, too",
    "lag_": "lagged ones change if it has a lag",
    "control_": "control channels stay",
    "outband_": "what is outside the band stays",
}


#: Of sessions without pseudo pairs, which are hollow.
_ALONE = " Hollow: no pseudo pairs, so it is left out of growth."

#: Of the second chance level, where it is drawn.
_OWN_LEVEL = " Dotted: the same two people at times that do not match, the second chance level."


@dataclass(frozen=True)
class Picture:
    """A figure on a page."""

    #: Data URI of an SVG
    src: str
    #: What the figure shows, for those who do not see it
    alt: str
    #: What to know when reading it
    caption: str
    #: Size on a wide page, in CSS pixels
    width: int
    height: int
    #: The same for a screen as narrow as a telephone's; empty where one drawing serves both
    narrow: str = ""

    @property
    def fits(self) -> bool:
        """Whether all of it is seen on a narrow screen, with letters that can be read."""
        return bool(self.narrow) or self.width * _LEAST_SCALE <= _NARROW_PX


def picture(drawn: Axes | Sequence[Axes], alt: str, caption: str, narrow: Axes | None = None) -> Picture:
    """Wrap drawn axes as a picture."""
    svg = save_svg(drawn)
    size = re.search(r'width="([\d.]+)pt" height="([\d.]+)pt"', svg)
    width, height = (round(float(points) * _PIXELS) for points in (size.groups() if size else ("600", "300")))
    alt, caption = (one_line(text, longest=2000) for text in (alt, caption))
    return Picture(_as_uri(svg), alt, caption, width, height, "" if narrow is None else _as_uri(save_svg(narrow)))


def _as_uri(svg: str) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode('ascii')}"


def growth_picture(run: ReportedRun) -> Picture | None:
    """Every dyad's excess over time with the group's slope."""
    from hyperscan.plots.curves import BENT

    rows = run.primary
    if not _has(rows, "dyad", "session", "excess_z"):
        return raw_picture(run)
    fit = None if run.growth is None else run.growth.group_slope
    slope, low, high = brief_all(*(getattr(fit, name, None) for name in ("slope", "ci_low", "ci_high")))
    curves = dyad_curves(run.entered, ["excess_z"], run.config.time)
    up = sum(curve["excess_z"].iloc[-1] > curve["excess_z"].iloc[0] for curve in curves.values() if len(curve) > 1)
    several = sum(len(curve) > 1 for curve in curves.values())
    alt = (
        f"Line chart of excess synchrony over sessions. {up} of {several} dyads with two or more sessions end higher"
        " than they began."
    )
    if fit is not None:
        alt += f" Group slope {slope} {run.scale} per {run.unit}, 95 % confidence interval {low} to {high}."
    paired = _has(rows, "pseudo_mean_z")
    chance = "the mean of its pseudo pairs at the same session number" if paired else "its mean under circular shifts"
    caption = f"Excess = a real pair's synchrony ({run.outcome}) minus {chance}."
    caption += _of_lines(curves.values(), run.config.time)
    if other_chance(rows).any():
        caption += " Hollow: left out of growth and of all means, as its chance level is another one."
    if run.config.group in rows:
        of_all = "" if fit is None else "; the thick line and the diamonds are of all dyads"
        caption += f" Colours: {run.config.group}{of_all}."
    if fit is not None:
        caption += (
            f" Diamonds: mean of the dyads that have the {_slot(run)}, each with its own 95 % confidence interval."
            " Thick line: the group's slope, through the mean of all points; the band around it is the 95 % confidence"
            " interval of that slope alone."
        )
    bend = bend_of(curves, "excess_z")
    if bend is not None and bend.p < BENT:
        caption += (
            f" The {bend}, by a quadratic term per dyad and a t test over {bend.n} dyads: read the diamonds, not the"
            " line, for where in the therapy it changes."
        )
    if _has(rows, "pseudo_sd_z"):
        caption += f" Grey band: ± 1 SD of single pseudo pairs{', mean over dyads' * (len(curves) > 1)}."
    return _growth_drawn(run, fit, "excess_z", alt, caption)


def _slot(run: ReportedRun) -> str:
    """Say what means over dyads are taken at."""
    return "session" if run.config.time == "session" else "week (rounded to whole ones)"


def _of_lines(curves: Iterable[pd.DataFrame], time: str) -> str:
    """Say what the thin lines of a growth figure are: points, where there is one session."""
    times = [curve["time"].to_numpy() for curve in curves]
    gaps = time == "session" and any(np.diff(each).max(initial=0) > 1.5 for each in times)
    if len(times) < 2:
        return " Dotted: across missing sessions." * gaps
    if max(map(len, times)) < 2:
        return " Points: dyads."
    return f" Thin lines: dyads{', dotted across missing sessions' * gaps}."


def _growth_drawn(run: ReportedRun, fit: WeightedSlope | None, value: str, alt: str, caption: str) -> Picture:
    """Draw the growth figure for wide and for narrow screens, with groups in colours of their own."""
    from hyperscan.plots.curves import growth_curves
    from hyperscan.plots.style import new_axes

    group = run.config.group if run.config.group in run.primary else None
    wide, narrow = (
        growth_curves(run.primary, fit, ax, value=value, time=run.config.time, by=group)
        for ax in (None, new_axes(None, *_NARROW_GROWTH))
    )
    return picture(wide, alt, caption, narrow)


def raw_picture(run: ReportedRun) -> Picture | None:
    """Every dyad's synchrony as it is, where there is no chance level to compare it with."""
    rows = run.primary
    if not _has(rows, "dyad", "session", "z"):
        return None
    alt = f"Line chart of synchrony over sessions, {count(rows['dyad'].nunique(), 'dyad')}; no chance level is known."
    caption = (
        f"Synchrony as it is ({run.outcome}). No chance level is known to compare it with (other dyads, or at"
        " least a lag null, would give one). Unrelated people lie above 0, too."
    )
    return _growth_drawn(run, None, "z", alt, caption)


def means_picture(run: ReportedRun) -> Picture | None:
    """Mean over dyads at each session with its interval, of each group and each task: that of all is in growth."""
    from hyperscan.plots.curves import session_means
    from hyperscan.plots.style import panel_grid, plain

    group, rows = run.config.group, run.entered
    if not _has(rows, "dyad", "session", "excess_z") or rows["dyad"].nunique() < 2:
        return None
    drawn = [(rows, group)] if group in rows else []
    tasks = dict.fromkeys(task for sides in run.config.contrasts.values() for task in sides)
    of_tasks = [dataclasses.replace(run.outcome, task=task).select(run.compared) for task in tasks]
    if len(of_tasks) > 1:
        # the task of the outcome first: it has the look that it has alone
        order = sorted(tasks, key=lambda task: task != run.outcome.task)
        both = pd.concat(of_tasks)
        drawn.append((both.assign(task=pd.Categorical(both["task"], order)), "task"))
    if not drawn:
        return None
    axes = panel_grid(len(drawn), columns=2, size=(4.6 if len(drawn) > 1 else 5.2, 3.4), sharey=True)
    for ax, (table, by) in zip(axes, drawn, strict=True):
        session_means(table, ax, time=_time_in(run, table), by=by)
        title = f"By {by}" if by == "task" or not run.outcome.task else f"By {by} ({run.outcome.task})"
        ax.set_title(plain(title), loc="left", fontsize=10.5, fontweight="bold", parse_math=False)
    for ax in axes[1:]:
        ax.set_ylabel("")
    told = " and ".join(f"by {by}" for _, by in drawn)
    alt = f"Line charts of mean excess synchrony over sessions with confidence intervals, {told}."
    outcome = dataclasses.replace(run.outcome, task="") if len(drawn) > 1 else run.outcome
    caption = (
        f"{outcome}: mean over the dyads that have the {_slot(run)}. Lines up and down: 95 % confidence intervals (t)"
        " of each mean by itself; whether curves differ is told by the tests, not by overlap."
    )
    return picture(axes, alt, caption)


def relations_picture(run: ReportedRun) -> Picture | None:
    """Every relation of symptoms, alliance and other columns to synchrony, in standard deviations."""
    from hyperscan.plots.estimates import forest_plot

    found = [row for row in (run.growth.outcomes if run.growth else ()) if row.standardised is not None]
    if not found:
        return None
    claimed = [row for row in found if row.word.startswith("goes_with")]
    table = pd.DataFrame(
        {
            "label": [f"{row.name}, {row.spoken}" for row in found],
            "part": [row.name for row in found],
            "slope": [row.standardised for row in found],
            "ci_low": [row.standardised_low for row in found],
            "ci_high": [row.standardised_high for row in found],
            "clear": [row in claimed for row in found],
        }
    )
    named = "; ".join(f"{row.name} {row.spoken} {short(row.standardised)}" for row in claimed)
    alt = (
        f"Estimates with confidence intervals of {count(len(found), 'relation')} between further outcomes and excess"
        f" synchrony. Clear after correction: {named or 'none'}."
    )
    inside = list(dict.fromkeys(row.spoken for row in found if row.relation not in OF_DYADS))
    caption = "Slopes in standard deviations of what entered"
    if inside:
        caption += f": inside dyads ({', '.join(inside)}) without each dyad's own line and what all share at a session"
    caption += ". Lines: 95 % confidence intervals, not corrected."
    if claimed:
        caption += " Filled: p < .05 after Holm's correction, and no guard failed, but that of lag."
    return picture(forest_plot(table, label_x="Slope (SD per SD)"), alt, caption)


def dyads_picture(run: ReportedRun) -> Picture | None:
    """Small multiples: each dyad beside its chance level."""
    from hyperscan.plots.curves import dyad_panels

    rows = run.primary
    if not (_has(rows, "dyad", "session", "z") and _has_level(rows)):
        return None
    dyads = sorted(rows["dyad"].unique())
    shown = rows[rows["dyad"].isin(dyads[:MAX_PANELS])]
    above, n_paired = _above_chance(shown)
    alt = (
        f"Small line charts, one for each of {count(min(len(dyads), MAX_PANELS), 'dyad')}, of synchrony beside its"
        " chance level."
    )
    caption = f"{run.outcome}, in {run.scale}, on common axes. Solid: the real pair."
    if n_paired:
        alt += f" {above} of {n_paired} dyad-sessions lie more than 1 SD of single pairs above it."
        caption += (
            " Dashed: the mean of its pseudo pairs (each person re-paired with the other person of another dyad, same"
            " session number); band: ± 1 SD of them."
        )
    caption += _OWN_LEVEL if _has(rows, "own_mean_z") else ""
    caption += _ALONE if n_paired and shown["pseudo_mean_z"].isna().any() else ""
    if len(dyads) > MAX_PANELS:
        caption += f" The first {MAX_PANELS} of {len(dyads)} dyads; the others are on their own pages."
    columns = 4 if len(dyads) <= 24 else 6
    return picture(dyad_panels(shown, time=run.config.time, columns=columns), alt, caption)


def _above_chance(rows: pd.DataFrame) -> tuple[int, int]:
    """How many dyad-sessions lie above the band of their pseudo pairs, of how many that have one."""
    if not _has(rows, "pseudo_mean_z", "pseudo_sd_z"):
        return 0, 0
    # runs of a session are one point
    paired = (
        rows.dropna(subset=["pseudo_mean_z"]).groupby(["dyad", "session"])[["z", "pseudo_mean_z", "pseudo_sd_z"]].mean()
    )
    return int((paired["z"] > paired["pseudo_mean_z"] + paired["pseudo_sd_z"]).sum()), len(paired)


def roi_picture(run: ReportedRun, dyad: str = "") -> Picture | None:
    """Small multiples: each ROI pair over time."""
    from hyperscan.plots.curves import roi_panels

    rows = run.outcome.select(run.compared, any_roi=True)
    rows = rows[rows["dyad"] == dyad] if dyad and "dyad" in rows else rows
    if not _has(rows, "dyad", "session", "excess_z", "roi_therapist", "roi_client"):
        return None
    pairs = rows["roi_therapist"].astype(str) + "-" + rows["roi_client"].astype(str)
    rows = regions_once(rows.assign(roi=pairs), "excess_z", str(run.outcome.rois))
    if len(rows.drop_duplicates(["roi_therapist", "roi_client"])) > MAX_PANELS:
        return None
    sessions = of_sessions(rows, ["excess_z"], "roi_therapist", "roi_client")
    means = sessions.groupby(["roi_therapist", "roi_client"])["excess_z"].mean()
    top = "-".join(map(str, means.idxmax()))
    alt = f"Small line charts of excess synchrony over sessions for {len(means)} ROI pairs; highest on average: {top}."
    outcome = dataclasses.replace(run.outcome, roi="")
    thin = "Thin" if rows["session"].nunique() > 1 else "Small points"
    lines = f" {thin}: dyads; thick: their mean." if rows["dyad"].nunique() > 1 else ""
    caption = f"{outcome}, therapist's ROI first.{lines} Exploratory but for the primary pair."
    return picture(roi_panels(rows, time=run.config.time), alt, caption)


def chance_picture(run: ReportedRun, dyad: str) -> Picture | None:
    """One dyad beside its chance level."""
    from hyperscan.plots.curves import chance_curves

    rows = run.primary
    rows = rows[rows["dyad"] == dyad] if "dyad" in rows else rows
    if not (_has(rows, "session", "z") and _has_level(rows)):
        return None
    above, n_paired = _above_chance(rows)
    alt = f"Line chart of dyad {dyad}'s synchrony beside its chance level."
    caption = f"{run.outcome}."
    if n_paired:
        alt += f" {above} of {count(n_paired, 'session')} lie more than 1 SD of single pairs above it."
        caption += " Band: mean ± 1 SD of this dyad's pseudo pairs at the same session number."
    caption += _OWN_LEVEL if _has(rows, "own_mean_z") else ""
    caption += _ALONE if n_paired and rows["pseudo_mean_z"].isna().any() else ""
    return picture(chance_curves(rows, time=run.config.time), alt, caption)


def heat_picture(run: ReportedRun, dyad: str = "") -> Picture | None:
    """Session by band, for the primary metric and ROI pair."""
    from hyperscan.plots.matrices import session_band_heatmap

    rows = dataclasses.replace(run.outcome, band="").select(run.compared)
    rows = rows[rows["dyad"] == dyad] if dyad and "dyad" in rows else rows
    if not _has(rows, "session", "band", "excess_z") or rows["band"].nunique() < 2:
        return None  # of one band the other figures say all
    means = of_sessions(rows, ["excess_z"], "band").groupby("band")["excess_z"].mean()
    dyads = sorted(map(str, rows["dyad"].unique()))
    who = f"dyad {dyads[0]}" if len(dyads) == 1 else "all dyads"
    alt = (
        f"Heat map of mean excess synchrony by session and band for {who}; highest on average in {means.idxmax()}"
        f" ({short(float(means.max()))} {run.scale})."
    )
    outcome = dataclasses.replace(run.outcome, band="")
    return picture(session_band_heatmap(rows), alt, f"{outcome}: {who if len(dyads) == 1 else f'mean over {who}'}.")


def lag_picture(run: ReportedRun) -> Picture | None:
    """Draw synchrony over lags beside chance."""
    from hyperscan.plots.lags import lag_chart

    rows = run.primary_lags
    if not _has(rows, "profile_z", "profile_pseudo_z"):
        return None
    # each dyad counts once, and each of its sessions, as in the drawing
    sessions = of_sessions(rows, ["profile_excess_z"], "lag_s")
    by_dyad = sessions.groupby(["dyad", "lag_s"])["profile_excess_z"].mean()
    peak = by_dyad.groupby("lag_s").mean().idxmax()
    alt = f"Synchrony over lags of the real pairs and of chance; the mean excess is highest at {short(float(peak))} s."
    return picture(lag_chart(rows), alt, f"{run.lag_outcome}: over all windows of a session, mean over dyads.")


def lead_picture(run: ReportedRun) -> Picture | None:
    """Draw the excess by lag and session."""
    from hyperscan.plots.lags import lag_heatmap

    rows = run.primary_lags
    if not _has(rows, "profile_excess_z", "session"):
        return None
    alt = f"Heat map of the mean excess over chance by lag and session, {rows['session'].nunique()} sessions."
    return picture(lag_heatmap(rows), alt, f"{run.lag_outcome}: mean over dyads.")


def guards_picture(run: ReportedRun) -> Picture | None:
    """Draw what the guards are taken of, over the sessions."""
    from hyperscan.plots.panels import GUARDS_SHOWN, filled, guards_panel

    table = run.outcome.select(run.guards) if len(run.guards) else run.guards
    columns = filled(table, GUARDS_SHOWN)
    if not columns or not _has(table, "dyad", "session"):
        return None
    named = ", ".join(column_of(name).label for name in columns)
    alt = f"Line charts over sessions of {len(columns)} measures behind the guards: {named}."
    known = {name: words for name, words in _TRUE_CHANGE.items() if table["session"].nunique() > 1}
    shows = [words for name, words in known.items() if any(column.startswith(name) for column in columns)]
    caption = "What the guards are taken of." + (f" In a true change, {'; '.join(shows)}." if shows else "")
    units = [column_of(name).axis_label.rpartition("(")[2] for name in columns]
    caption += " Measures of one unit share one scale." * (len(set(units)) < len(units))
    return picture(guards_panel(table, columns, time=_time_in(run, table)), alt, caption)


def person_picture(run: ReportedRun) -> Picture | None:
    """Client, therapist and their difference over the sessions, in the index that was named."""
    from hyperscan.plots.panels import guards_panel

    found = run.alone
    within = run.primary_within
    if found is None or not _has(within, "dyad", "session", "person", "value", "index"):
        return None
    named = found.primary.outcome
    rows = within[(within["index"] == named.metric) & (within["region"] == named.roi)]
    rows = rows[rows["band"].fillna("").astype(str) == named.band]
    keys = [name for name in ("dyad", "session", "days") if name in rows and rows[name].notna().all()]
    wide = rows.pivot_table(index=keys, columns="person", values="value").reindex(columns=["client", "therapist"])
    wide["difference"] = wide["client"] - wide["therapist"]
    wide = wide.rename(columns={name: f"{name}_value" for name in ("client", "therapist", "difference")})
    columns = [name for name in wide if wide[name].notna().any()]
    if not columns:
        return None
    facts, unit = index_facts(named.metric), index_scale(named.metric)
    label = f"{facts.label} ({named.metric}, {named.band}, {named.roi})"
    alt = f"Line charts over sessions of {label}: {', '.join(column_of(name).label for name in columns)}."
    wide = wide.reset_index()
    thin = "Thin lines" if wide["session"].nunique() > 1 else "Small points"
    lines = f" {thin}: dyads. Thick: their mean with its 95 % CI." if wide["dyad"].nunique() > 1 else ""
    caption = f"{label[0].upper()}{label[1:]} in {unit}.{lines} Client and therapist share one scale."
    return picture(guards_panel(wide, columns, time=_time_in(run, wide), unit=unit), alt, caption)


def clock_picture(run: ReportedRun) -> Picture | None:
    """Clock drift and residual over the sessions."""
    from hyperscan.plots.panels import clock_panel, filled

    columns = filled(run.quality, ("clock_ppm", "clock_residual_ms"))
    if not columns or not _has(run.quality, "dyad", "session"):
        return None
    if not (run.quality[columns].fillna(0) != 0).any(axis=None):
        return None
    worst = {column: short(float(run.quality[column].abs().max())) for column in columns}
    alt = (
        "Line charts of clock drift and residual over sessions; largest:"
        f" {'; '.join(f'{column_of(c).label} {v}' for c, v in worst.items())}."
    )
    drawn = {"clock_ppm": "Drift of the client's clock that was removed.", "clock_residual_ms": "What was left of it."}
    said = " ".join(drawn[column] for column in columns)
    caption = f"{said} A fall over the sessions would raise synchrony by itself."
    return picture(clock_panel(run.quality, time=_time_in(run, run.quality)), alt, caption)


def quality_picture(run: ReportedRun) -> Picture | None:
    """Quality of both people over the sessions."""
    from hyperscan.plots.panels import QUALITY_SHOWN, filled, quality_panel

    # what is the same in all sessions is a line of the table below
    found = filled(run.quality, QUALITY_SHOWN)
    columns = [name for name in found if run.quality[name].nunique(dropna=False) > 1]
    if not columns or not _has(run.quality, "dyad", "session", "person"):
        return None
    named = ", ".join(column_of(name).label for name in columns)
    alt = f"Line charts over sessions, therapist and client apart, of {named}."
    mean = "Mean over dyads with its 95 % confidence interval. " if run.quality["dyad"].nunique() > 1 else ""
    caption = f"{mean}Axes are not zoomed into noise."
    return picture(quality_panel(run.quality, columns, time=_time_in(run, run.quality)), alt, caption)


def grid_picture(run: ReportedRun) -> Picture | None:
    """Which sessions were used, left out, or never there."""
    from hyperscan.plots.matrices import missing_session_grid

    if not _has(run.primary, "dyad", "session"):
        return None
    used = run.entered[["dyad", "session"]].drop_duplicates()
    lost = [(row.dyad, row.session, "left out of growth") for row in run.left_out if row.session is not None]
    lost += [(skip.dyad, skip.session, "skipped") for skip in run.plan.skipped if skip.session is not None]
    skips = pd.DataFrame(lost, columns=["dyad", "session", "state"])
    states = pd.concat([used.assign(state="used"), skips], ignore_index=True)
    states = states.drop_duplicates(["dyad", "session"])
    n, n_lost = (int((states["state"] == state).sum()) for state in ("skipped", "left out of growth"))
    numbers = pd.to_numeric(states["session"])
    if not n and not n_lost and len(states) == states["dyad"].nunique() * (numbers.max() - numbers.min() + 1):
        return None  # all used, none missing: a line of the page says so
    alt = (
        f"Grid of dyads by sessions: {count(len(used), 'dyad-session')} used, {n_lost} left out of growth, {n} skipped;"
        " an empty place was not recorded."
    )
    return picture(missing_session_grid(states), alt, "An empty place: no such session in the study table.")


def null_picture(run: ReportedRun) -> Picture | None:
    """Excess of pseudo pairs, and where the real pairs lie."""
    from hyperscan.plots.session import surrogate_histogram

    keys = [key for key in ("dyad", "session", "task", "run") if key in run.primary and key in run.primary_pseudo]
    if not _has(run.primary, "pseudo_mean_z", "excess_z") or not _has(run.primary_pseudo, "z") or "session" not in keys:
        return None
    real, around = beside_chance(run.entered, run.primary_pseudo, keys)
    if len(around) < 2:
        return None
    beyond = float((real > np.quantile(around, 0.975)).mean())
    alt = (
        f"Histogram of the excess of {len(around)} pseudo pairs around zero; {beyond:.0%} of {len(real)} real"
        " dyad-sessions lie above its upper 2.5 %."
    )
    caption = (
        "Each pseudo pair's synchrony minus the mean of its session's pseudo pairs, with each real dyad-session as a"
        f" tick{', mean over its runs' * _has_runs(run.primary)}. This shows the level of synchrony; it says nothing"
        " about growth."
    )
    label_x = column_of("excess_z", run.scale).label
    return picture(surrogate_histogram(real, around, label=label_x, what="pseudo pairs"), alt, caption)


def _has_numbers(one: Difference) -> bool:
    """Whether there is anything of a difference to draw."""
    return any(np.isfinite(test.slope) for test in (one.estimate, *(side.test for side in one.sides)))


def differences_picture(run: ReportedRun) -> Picture | None:
    """Draw every difference of conditions and groups with the sides that it is the difference of."""
    from hyperscan.plots.estimates import forest_plot
    from hyperscan.plots.style import panel_grid

    compared = [one for one in (run.growth.differences if run.growth else ()) if one.sides and _has_numbers(one)]
    rows = []
    for one in compared:
        asked = "level" if one.question == "level" else "growth"
        for label, test, clear in (
            *((side.name, side.test, False) for side in one.sides),
            (one.spoken, one.estimate, one.word in ("differs", "differs_unchecked")),
        ):
            rows.append({"label": label, "part": f"{one.name}, {one.question}", "clear": clear, "asked": asked, **test})
    if not rows:
        return None
    table = pd.DataFrame(rows)
    parts = {asked: table[table["asked"] == asked] for asked in ("level", "growth") if (table["asked"] == asked).any()}
    tall = 0.9 + 0.34 * max(len(part) + 0.5 * part["part"].nunique() for part in parts.values())
    axes = panel_grid(len(parts), columns=2, size=(4.9 if len(parts) > 1 else 7.2, tall))
    units = {"level": f"Mean excess ({run.scale})", "growth": f"Slope of the excess ({run.scale} per {run.unit})"}
    for ax, (asked, part) in zip(axes, parts.items(), strict=True):
        forest_plot(part, ax, label_x=units[asked])
        ax.set_title(asked.capitalize(), loc="left", fontsize=10.5, fontweight="bold")
    told = "; ".join(f"{one.spoken}, {one.question}: {one.word.replace('_', ' ')}" for one in compared)
    alt = f"Estimates with confidence intervals of {count(len(compared), 'difference')} and of their sides. {told}."
    caption = (
        "Both sides, and what one is minus the other. Lines: 95 % confidence intervals."
        + " Filled: a difference that is claimed." * any(row["clear"] for row in rows)
    )
    return picture(axes, alt, caption)


#: Figures of the first page, by the name that its template uses.
STUDY_PICTURES: Mapping[str, Callable[[ReportedRun], Picture | None]] = MappingProxyType(
    {
        "growth_picture": growth_picture,
        "means_picture": means_picture,
        "differences_picture": differences_picture,
        "relations_picture": relations_picture,
        "dyads_picture": dyads_picture,
        "guards_picture": guards_picture,
        "grid_picture": grid_picture,
        "clock_picture": clock_picture,
        "quality_picture": quality_picture,
        "lag_picture": lag_picture,
        "lead_picture": lead_picture,
        "heat_picture": heat_picture,
        "roi_picture": roi_picture,
        "null_picture": null_picture,
        "person_picture": person_picture,
    }
)


def _time_in(run: ReportedRun, table: pd.DataFrame) -> str:
    """Return the time axis of the study where the table has it, else session numbers."""
    return run.config.time if run.config.time == "session" or "days" in table else "session"


def _has_runs(rows: pd.DataFrame) -> bool:
    """Whether some session has several recordings."""
    return len(rows.drop_duplicates([key for key in KEYS if key in rows])) > len(
        rows.drop_duplicates(["dyad", "session"])
    )


def _has(table: pd.DataFrame, *columns: str) -> bool:
    """Whether the columns are there and every one holds at least one value."""
    return len(table) > 0 and all(column in table and bool(table[column].notna().any()) for column in columns)


def _has_level(rows: pd.DataFrame) -> bool:
    """Whether there is a level to draw synchrony beside: that of pseudo pairs, or of the same two at other times."""
    there = {"pseudo_mean_z", "pseudo_sd_z"} <= set(rows)
    return there and (_has(rows, "pseudo_mean_z", "pseudo_sd_z") or _has(rows, "own_mean_z"))


def results_of(run: ReportedRun, dyad: str) -> dict[str, SynchronyResult]:
    """Full results of a dyad's sessions that hold the primary outcome, by title, in order of session."""
    wanted = run.outcome
    found = {}
    for result in run.sessions_of(dyad):
        told = result.dataset.attrs
        same = told.get("modality") == wanted.modality and (not wanted.task or told.get("task") == wanted.task)
        if same and wanted.metric in result.metrics and wanted.band in result.bands:
            run_label = f", run {told['run']}" if told.get("run") else ""
            found[f"Session {told['session']}{run_label}"] = result
    return found


def dyad_pictures(run: ReportedRun, dyad: str) -> dict[str, Picture | None]:
    """Draw the figures of a dyad's page by the names that its template uses; None where there is nothing to draw."""
    results = results_of(run, dyad)
    wanted = run.outcome
    matrices = {
        title: result.to_matrix(wanted.metric, wanted.band, signal=wanted.signal or None)
        for title, result in results.items()
        if result.between_channels(wanted.metric)
    }
    matrices = {title: matrix for title, matrix in matrices.items() if np.isfinite(matrix.to_numpy()).any()}
    return {
        "chance_picture": chance_picture(run, dyad),
        "heat_picture": heat_picture(run, dyad),
        "matrix_picture": matrix_picture(run, matrices),
        "heads_picture": heads_picture(run, results, matrices),
        "course_picture": course_picture(run, dyad, results),
        "map_picture": map_picture(run, results),
    }


def _panels(titles: Collection[str]) -> str:
    """Say how many panels a dyad's figure has: sessions, or recordings where a session has several."""
    return count(len(titles), "recording" if any(", run " in title for title in titles) else "session")


def matrix_picture(run: ReportedRun, matrices: Mapping[str, pd.DataFrame]) -> Picture | None:
    """Draw the therapist's by the client's channels, one panel per session."""
    from hyperscan.plots.dyad import matrix_panels

    if not matrices:
        return None
    tops = [f"{title}: {'-'.join(map(str, matrix.stack().idxmax()))}" for title, matrix in matrices.items()]
    alt = (
        f"Heat maps, one for each of {_panels(matrices)}, of synchrony between the therapist's and the"
        f" client's channels. Strongest pair: {'; '.join(tops)}."
    )
    outcome = ", ".join(filter(None, (run.outcome.metric, run.outcome.band, run.outcome.task)))
    caption = (
        f"{outcome}, on the metric's own scale, mean over windows; rows are the therapist's channels, columns the"
        " client's. Chance is not subtracted, and no single channel pair is tested."
    )
    return picture(matrix_panels(matrices, label=outcome), alt, caption)


def heads_picture(
    run: ReportedRun, results: Mapping[str, SynchronyResult], matrices: Mapping[str, pd.DataFrame]
) -> Picture | None:
    """Draw two heads with the strongest links, one panel per session."""
    from hyperscan.plots.dyad import head_panels

    places = [pd.concat([result.positions(role) for result in results.values()]) for role in ROLES if results]
    places = [xyz[~xyz.index.duplicated()].dropna() for xyz in places]
    if not matrices or any(xyz.empty for xyz in places):
        return None
    values = np.concatenate([matrix.to_numpy().ravel() for matrix in matrices.values()])
    values = values[np.isfinite(values)]
    share = min(STRONGEST, MOST_LINKS * len(matrices) / len(values))
    threshold = float(np.quantile(values, 1 - share))
    counts = [f"{title} {int((matrix >= threshold).sum().sum())}" for title, matrix in matrices.items()]
    alt = (
        f"Two heads for each of {_panels(matrices)}, therapist left and client right, with lines between"
        f" the most synchronous channels. Number of lines: {', '.join(counts)}."
    )
    task = f" of {run.outcome.task}" * bool(run.outcome.task)
    caption = (
        f"The strongest {100 * share:.2g} % of the channel pairs of all sessions{task} together ({run.outcome.metric} ≥"
        f" {short(threshold)}), so that sessions can be compared; therapist left (circles), client right (squares),"
        " noses up; wider = stronger. A description: chance is not subtracted."
    )
    return picture(head_panels(matrices, places[0], places[1], threshold), alt, caption)


def course_picture(run: ReportedRun, dyad: str, results: Mapping[str, SynchronyResult]) -> Picture | None:
    """Draw synchrony over the windows of every session, next to its chance level."""
    from hyperscan.plots.dyad import course_chart

    wanted = run.outcome
    pair = str(wanted.rois)
    tables = [
        window_table(result.dataset, wanted.metric, wanted.band, pair, wanted.signal)
        for result in results.values()
        if pair in result.dataset["roi_pair"].values and result.dataset.sizes["window"] > 1
    ]
    if not tables:
        return None
    table, rows = pd.concat(tables, ignore_index=True), run.primary
    if "pseudo_mean_z" in rows:
        level = rows.loc[rows["dyad"] == dyad, ["session", "run", "pseudo_mean_z"]]
        table = table.merge(level, on=["session", "run"], how="left")
    else:
        table["pseudo_mean_z"] = np.nan
    above = int((table["z"] > table["pseudo_mean_z"]).sum())
    alt = f"Line chart of synchrony over the windows of {_panels(results)}, one by one."
    if table["pseudo_mean_z"].notna().any():
        alt += f" {above} of {len(table)} windows lie above their chance level."
    caption = f"{wanted}, every analysed window; time since the start of the first segment."
    return picture(course_chart(table, label=column_of("z", run.scale).label), alt, caption)


def map_picture(run: ReportedRun, results: Mapping[str, SynchronyResult]) -> Picture | None:
    """Draw the wavelet coherence maps, one per session."""
    from hyperscan.plots.dyad import map_panels

    maps = {title: result.coherence_map() for title, result in results.items() if "wtc_r2" in result.dataset}
    if not maps:
        return None
    shares = [
        f"{title} {np.mean(arrays['significant'][arrays['period'][:, None] <= arrays['coi']]):.0%}"
        for title, arrays in maps.items()
    ]
    alt = (
        f"Wavelet coherence maps over time and period, one for each of {_panels(maps)}. Share of the"
        f" cells free of edge effects that is outlined: {', '.join(shares)}."
    )
    caption = (
        f"{run.outcome}: mean over its channel pairs. White outline: above the 95th percentile of the same period when"
        " the client's signals are shifted in time, so about 5 % of the cells are outlined by chance alone."
    )
    return picture(map_panels(maps), alt, caption)
