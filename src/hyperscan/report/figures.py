"""The figures of the pages: drawn from the tables, with a text that says what they show."""

from __future__ import annotations

import base64
import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from hyperscan.errors import count
from hyperscan.plots.frames import dyad_curves
from hyperscan.plots.style import save_svg
from hyperscan.report.read import RunFolder, mapping, records
from hyperscan.report.tables import is_number, label, short
from hyperscan.schema import column_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes


#: Most dyads that get a panel on the first page: all have one on their own page (our choice).
MAX_PANELS = 60

#: CSS pixels per point of a figure: 10-point text reads like the text of the page (our choice).
_PIXELS = 1.5


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


def picture(drawn: Axes | Sequence[Axes], alt: str, caption: str) -> Picture:
    """Wrap drawn axes as a picture."""
    svg = save_svg(drawn)
    data = base64.b64encode(svg.encode()).decode("ascii")
    size = re.search(r'width="([\d.]+)pt" height="([\d.]+)pt"', svg)
    width, height = (round(float(points) * _PIXELS) for points in (size.groups() if size else ("600", "300")))
    return Picture(f"data:image/svg+xml;base64,{data}", label(alt), label(caption), width, height)


def growth_picture(run: RunFolder) -> Picture | None:
    """Every dyad's excess over time with the group's slope."""
    from hyperscan.plots.curves import growth_curves

    rows = run.primary
    if not _has(rows, "dyad", "session", "excess_z"):
        return None
    fit = mapping(run.growth.get("primary"))
    curves = dyad_curves(rows, ["excess_z"], run.config.time)
    up = sum(curve["excess_z"].iloc[-1] > curve["excess_z"].iloc[0] for curve in curves.values() if len(curve) > 1)
    several = sum(len(curve) > 1 for curve in curves.values())
    alt = (
        f"Line chart of excess synchrony over sessions. {up} of {several} dyads with two or more sessions"
        " end higher than they"
        f" began. Group slope {short(fit.get('slope'))} Fisher z per {_per(run)}, 95 % confidence interval"
        f" {short(fit.get('ci_low'))} to {short(fit.get('ci_high'))}."
    )
    caption = (
        f"Excess = a real pair's synchrony ({run.outcome}) minus the mean of its pseudo pairs at the same"
        " session"
        " number. Thin lines: dyads. Thick line: the group's slope, drawn through the mean of all points; the"
        " band around it is the 95 % confidence interval of that slope alone."
    )
    if "pseudo_sd_z" in rows:
        caption += " Grey band: ± 1 SD of single pseudo pairs, mean over dyads."
    return picture(growth_curves(rows, fit, time=run.config.time), alt, caption)


def dyads_picture(run: RunFolder) -> Picture | None:
    """Small multiples: each dyad beside its chance band."""
    from hyperscan.plots.curves import dyad_panels

    rows = run.primary
    if not _has(rows, "dyad", "session", "z", "pseudo_mean_z", "pseudo_sd_z"):
        return None
    dyads = sorted(rows["dyad"].unique())
    shown = rows[rows["dyad"].isin(dyads[:MAX_PANELS])]
    above = int((shown["z"] > shown["pseudo_mean_z"] + shown["pseudo_sd_z"]).sum())
    alt = (
        f"Small line charts, one for each of {count(min(len(dyads), MAX_PANELS), 'dyad')}, of synchrony beside its"
        " chance level."
        f" {above} of {len(shown)} dyad-sessions lie above the chance band."
    )
    caption = (
        f"{run.outcome}, in Fisher z, on common axes. Solid: the real pair. Dashed: the mean of its pseudo"
        " pairs"
        " (each person re-paired with the other person of another dyad, same session number); band: ± 1 SD"
        " of them."
    )
    if len(dyads) > MAX_PANELS:
        caption += f" The first {MAX_PANELS} of {len(dyads)} dyads; the others are on their own pages."
    columns = 4 if len(dyads) <= 24 else 6
    return picture(dyad_panels(shown, time=run.config.time, columns=columns), alt, caption)


def roi_picture(run: RunFolder, dyad: str = "") -> Picture | None:
    """Small multiples: each ROI pair over time."""
    from hyperscan.plots.curves import roi_panels

    rows = run.outcome.select(run.synchrony, any_roi=True)
    rows = rows[rows["dyad"] == dyad] if dyad and "dyad" in rows else rows
    if not _has(rows, "dyad", "session", "excess_z", "roi_therapist", "roi_client"):
        return None
    if len(rows.drop_duplicates(["roi_therapist", "roi_client"])) > MAX_PANELS:
        return None
    means = rows.groupby(["roi_therapist", "roi_client"])["excess_z"].mean()
    top = "-".join(map(str, means.idxmax()))
    alt = f"Small line charts of excess synchrony over sessions for {len(means)} ROI pairs; highest on average: {top}."
    outcome = dataclasses.replace(run.outcome, roi="")
    caption = f"{outcome}, therapist's ROI first. Thin: dyads; thick: their mean. Exploratory but for the primary pair."
    return picture(roi_panels(rows, time=run.config.time), alt, caption)


def chance_picture(run: RunFolder, dyad: str) -> Picture | None:
    """One dyad beside its chance band."""
    from hyperscan.plots.curves import chance_curves

    rows = run.primary
    rows = rows[rows["dyad"] == dyad] if "dyad" in rows else rows
    if not _has(rows, "session", "z", "pseudo_mean_z", "pseudo_sd_z"):
        return None
    above = int((rows["z"] > rows["pseudo_mean_z"] + rows["pseudo_sd_z"]).sum())
    alt = (
        f"Line chart of dyad {dyad}'s synchrony beside its chance level: {above} of {count(len(rows), 'session')}"
        " lie above"
        " the chance band."
    )
    caption = f"{run.outcome}. Band: mean ± 1 SD of this dyad's pseudo pairs at the same session number."
    return picture(chance_curves(rows, time=run.config.time), alt, caption)


def heat_picture(run: RunFolder, dyad: str = "") -> Picture | None:
    """Session by band, for the primary metric and ROI pair."""
    from hyperscan.plots.matrices import session_band_heatmap

    rows = dataclasses.replace(run.outcome, band="").select(run.synchrony)
    rows = rows[rows["dyad"] == dyad] if dyad and "dyad" in rows else rows
    if not _has(rows, "session", "band", "excess_z"):
        return None
    means = rows.groupby("band")["excess_z"].mean()
    who = f"dyad {dyad}" if dyad else "all dyads"
    alt = (
        f"Heat map of mean excess synchrony by session and band for {who}; highest on average in"
        f" {means.idxmax()}"
        f" ({short(float(means.max()))} Fisher z)."
    )
    outcome = dataclasses.replace(run.outcome, band="")
    return picture(session_band_heatmap(rows), alt, f"{outcome}: mean over {who}.")


def guards_picture(run: RunFolder) -> Picture | None:
    """Draw what the guards are taken of, over the sessions."""
    from hyperscan.plots.panels import GUARDS_SHOWN, filled, guards_panel

    columns = filled(run.guards, GUARDS_SHOWN)
    if not columns or not _has(run.guards, "dyad", "session"):
        return None
    alt = f"Line charts over sessions of {len(columns)} measures behind the guards: {', '.join(map(_words, columns))}."
    caption = (
        "What the guards are taken of: a true change shows in the noise-corrected and lagged measures and"
        " not in"
        " control channels or outside the band."
    )
    return picture(guards_panel(run.guards, columns, time=_time_in(run, run.guards)), alt, caption)


def clock_picture(run: RunFolder) -> Picture | None:
    """Clock drift and residual over the sessions."""
    from hyperscan.plots.panels import clock_panel, filled

    columns = filled(run.quality, ("clock_ppm", "clock_residual_ms"))
    if not columns or not _has(run.quality, "dyad", "session"):
        return None
    if not (run.quality[columns].fillna(0) != 0).any(axis=None):
        return None
    worst = {column: short(float(run.quality[column].abs().max())) for column in columns}
    alt = (
        f"Line charts of clock drift and residual over sessions; largest:"
        f" {'; '.join(f'{_words(c)} {v}' for c, v in worst.items())}."
    )
    caption = (
        "Drift of the client's clock that was removed, and what was left after it. A residual that falls"
        " over the"
        " sessions would raise synchrony by itself."
    )
    return picture(clock_panel(run.quality, time=_time_in(run, run.quality)), alt, caption)


def quality_picture(run: RunFolder) -> Picture | None:
    """Quality of both people over the sessions."""
    from hyperscan.plots.panels import QUALITY_SHOWN, filled, quality_panel

    ratio = f"snr_{run.outcome.band}"
    columns = filled(run.quality, (*QUALITY_SHOWN, ratio))
    if not columns or not _has(run.quality, "dyad", "session", "person"):
        return None
    alt = f"Line charts over sessions, therapist and client apart, of {', '.join(map(_words, columns))}."
    caption = "Mean over dyads with its 95 % confidence interval."
    return picture(quality_panel(run.quality, columns, time=_time_in(run, run.quality)), alt, caption)


def grid_picture(run: RunFolder) -> Picture | None:
    """Which sessions were used, left out, or never there."""
    from hyperscan.plots.matrices import missing_session_grid

    if not _has(run.primary, "dyad", "session"):
        return None
    used = run.primary[["dyad", "session"]].drop_duplicates()
    skips = pd.DataFrame(
        [
            {"dyad": str(item.get("dyad")), "session": item.get("session"), "state": "skipped"}
            for item in records(run.plan.get("skipped"))
            if is_number(item.get("session"))
        ],
        columns=["dyad", "session", "state"],
    )
    states = pd.concat([used.assign(state="used"), skips], ignore_index=True)
    states = states.drop_duplicates(["dyad", "session"])
    n = int((states["state"] == "skipped").sum())
    alt = (
        f"Grid of dyads by sessions: {count(len(used), 'dyad-session')} used, {n} left out; an empty place was not"
        " recorded."
    )
    return picture(missing_session_grid(states), alt, "An empty place: no such session in the study table.")


def null_picture(run: RunFolder) -> Picture | None:
    """Excess of pseudo pairs, and where the real pairs lie."""
    from hyperscan.plots.session import surrogate_histogram

    keys = [key for key in ("dyad", "session", "task", "run") if key in run.primary and key in run.pseudo]
    if not _has(run.primary, "pseudo_mean_z", "excess_z") or not _has(run.pseudo, "z") or "session" not in keys:
        return None
    levels = run.primary[[*keys, "pseudo_mean_z"]].drop_duplicates(keys)
    joined = run.pseudo.merge(levels, on=keys, how="inner")
    around = (joined["z"] - joined["pseudo_mean_z"]).dropna().to_numpy()
    if len(around) < 2:
        return None
    real = run.primary["excess_z"].dropna().to_numpy()
    beyond = float((real > np.quantile(around, 0.975)).mean())
    alt = (
        f"Histogram of the excess of {len(around)} pseudo pairs around zero; {beyond:.0%} of {len(real)} real"
        " dyad-sessions lie above its upper 2.5 %."
    )
    caption = (
        "Each pseudo pair's synchrony minus the mean of its session's pseudo pairs, with the real"
        " dyad-sessions as"
        " ticks. This shows the level of synchrony; it says nothing about growth."
    )
    label_x = "Excess over chance (Fisher z)"
    return picture(surrogate_histogram(real, around, label=label_x, what="pseudo pairs"), alt, caption)


#: Figures of the first page, by the name that its template uses.
STUDY_PICTURES: Mapping[str, Callable[[RunFolder], Picture | None]] = MappingProxyType(
    {
        "growth_picture": growth_picture,
        "dyads_picture": dyads_picture,
        "guards_picture": guards_picture,
        "grid_picture": grid_picture,
        "clock_picture": clock_picture,
        "quality_picture": quality_picture,
        "heat_picture": heat_picture,
        "roi_picture": roi_picture,
        "null_picture": null_picture,
    }
)


def _words(column: str) -> str:
    return column_of(column).label


def _time_in(run: RunFolder, table: pd.DataFrame) -> str:
    """Return the time axis of the study where the table has it, else session numbers."""
    return run.config.time if run.config.time == "session" or "days" in table else "session"


def _per(run: RunFolder) -> str:
    return "week" if run.config.time == "weeks" else "session"


def _has(table: pd.DataFrame, *columns: str) -> bool:
    """Whether the columns are there and every one holds at least one value."""
    return len(table) > 0 and all(column in table and bool(table[column].notna().any()) for column in columns)
