"""Estimates with their intervals: one line each, and of every defensible analysis with the choices that led to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from hyperscan.plots.frames import require
from hyperscan.plots.style import DASHED, new_axes, new_figure, palette, plain, styled
from hyperscan.words import VERDICT_GROUPS

if TYPE_CHECKING:
    from matplotlib.axes import Axes


#: Height of a line, in inches.
_LINE = 0.34


@styled
def forest_plot(table: pd.DataFrame, ax: Axes | None = None, *, label_x: str = "Slope") -> Axes:
    """Draw estimates with their confidence intervals, one under the other, and a line at zero.

    Parameters
    ----------
    table : DataFrame of shape (n_rows, n_columns)
        ``label``, ``slope``, ``ci_low``, ``ci_high`` (all in one unit) and, where the rows come in parts, ``part``.
        With ``clear`` (true or false) a row that is clear is filled. What has no number is left out of the drawing
        and keeps its line.
    ax : matplotlib.axes.Axes or None
        Where to draw; None = a new figure.
    label_x : str
        What the numbers are, with their unit.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TableError
        If a column is missing.

    Examples
    --------
    >>> rows = pd.DataFrame({"label": ["bdi", "wai"], "slope": [-0.3, 0.1], "ci_low": [-0.5, -0.1]})
    >>> ax = forest_plot(rows.assign(ci_high=[-0.1, 0.3]))
    >>> [text.get_text() for text in ax.get_yticklabels()]
    ['bdi', 'wai']
    """
    require(table, "label", "slope", "ci_low", "ci_high")
    parts = table["part"].astype(str) if "part" in table else pd.Series("", index=table.index)
    # a part begins after half a line of room
    places = np.arange(len(table)) + 0.5 * (parts != parts.shift()).cumsum().to_numpy()
    ax = new_axes(ax, 7.2, 0.9 + _LINE * (float(places.max(initial=0.0)) + 1))
    colours = palette()
    clear = table["clear"].astype(bool).tolist() if "clear" in table else [True] * len(table)
    numbers = table[["slope", "ci_low", "ci_high"]].to_numpy(float)
    for place, (slope, low, high), filled in zip(places, numbers, clear, strict=True):
        ax.plot([low, high], [place, place], color=colours.real, lw=1.6, solid_capstyle="butt")
        face = colours.real if filled else colours.paper
        ax.plot([slope], [place], marker="o", ms=6, mec=colours.real, mfc=face, ls="none")
    ax.axvline(0, color=colours.chance, lw=1.2, ls=DASHED, zorder=0)
    ax.set_yticks(places, [plain(text, 40) for text in table["label"].astype(str)], parse_math=False)
    ax.set_ylim(float(places.max(initial=1.0)) + 0.7, float(places.min(initial=0.0)) - 0.7)
    ax.set_xlabel(label_x)
    return ax


#: Inches: of the curve, of one row of the matrix and of a choice's head; widest figure, what one analysis
#: takes, and what is drawn beside.
CURVE, ROW, HEAD, WIDEST, EACH, BESIDE = 2.6, 0.19, 0.12, 12.0, 0.11, 1.3


@styled
def specification_curve(table: pd.DataFrame, influence: Mapping[str, float]) -> list[Axes]:
    """Draw the standardised slopes of all analyses in order, below each its choices, and beside them what they share.

    Parameters
    ----------
    table : DataFrame of shape (n_universes, n_columns)
        As ``multiverse.tsv``: ``standardised verdict primary`` and a column per choice.
    influence : mapping
        Columns of the choices, in the order to be drawn, to the share of the variance of slopes that goes with each.

    Returns
    -------
    list of matplotlib.axes.Axes
        The curve, the shares of the verdicts, the matrix of choices, and the bars of their influence.

    Raises
    ------
    TableError
        If a column is missing.

    Examples
    --------
    >>> table = pd.DataFrame({"standardised": [0.2, 0.9], "verdict": ["no_clear_change", "grows"]})
    >>> table = table.assign(primary=[True, False], window_s=["10", "20"])
    >>> axes = specification_curve(table, {"window_s": 1.0})
    >>> axes[0].get_ylabel(), len(axes)
    ('Standardised slope', 4)
    """
    require(table, "standardised", "verdict", "primary", *influence)
    shown = table[table["standardised"].notna()].sort_values("standardised", kind="stable").reset_index(drop=True)
    levels = [(choice, level) for choice in influence for level in _ordered(table[choice])]
    # rows from the top, with a gap above each choice
    heads = np.cumsum([0 if i and levels[i - 1][0] == choice else 1 for i, (choice, _) in enumerate(levels)])
    places = np.arange(len(levels)) + heads * HEAD / ROW
    height = CURVE + ROW * (len(levels) + 1) + HEAD * len(influence) + 0.5
    figure = new_figure(float(np.clip(EACH * len(shown) + 2.6 + BESIDE, 7.4, WIDEST)), height)
    (curve, verdicts), (matrix, bars) = figure.subplots(
        2, 2, sharex="col", width_ratios=[figure.get_figwidth() - BESIDE, BESIDE], height_ratios=[CURVE, height - CURVE]
    )
    size = float(np.clip(900 / max(len(shown), 1), 9, 36))
    _draw_curve(curve, shown, size)
    _draw_matrix(matrix, shown, levels, places, size)
    _draw_verdicts(verdicts, shown)
    _draw_influence(bars, influence, levels, places)
    return [curve, verdicts, matrix, bars]


def _draw_curve(ax: Axes, shown: pd.DataFrame, size: float) -> None:
    """Draw the slopes, coloured and shaped by the group of their verdict."""
    colours = palette()
    looks = dict(zip(VERDICT_GROUPS, _looks(), strict=True))
    for group, (colour, marker) in looks.items():
        mine = shown[shown["verdict"].isin(list(group.verdicts))]
        if len(mine):
            ax.scatter(
                mine.index, mine["standardised"], s=size, color=colour, marker=marker, linewidths=0.9, zorder=3,
                label=f"{len(mine)} {group.one if len(mine) == 1 else group.many}",
            )  # fmt: skip
    ax.axhline(0, color=colours.chance, lw=1.2, ls=DASHED, zorder=1)
    for at in shown.index[shown["primary"].astype(bool)]:
        ax.axvline(at, color=colours.muted, lw=1.0, zorder=0)
        right = at < len(shown) * 0.85
        ax.annotate(
            "primary", (at, 1), xycoords=("data", "axes fraction"), xytext=(3 if right else -3, -2),
            textcoords="offset points", ha="left" if right else "right", va="top", fontsize=9, color=colours.muted,
        )  # fmt: skip
    ax.set_ylabel("Standardised slope")
    ax.set_title(f"{len(shown)} analyses, in order of their slope")
    ax.legend(loc="upper left", bbox_to_anchor=(0, 0.97))
    ax.margins(x=0.02, y=0.12)


def _draw_matrix(
    ax: Axes, shown: pd.DataFrame, levels: Sequence[tuple[str, str]], places: np.ndarray, size: float
) -> None:
    """Mark the level of every choice that each analysis took.

    Shapes: ``places`` (n_levels,).
    """
    colours = palette()
    changed = [i for i, (choice, _) in enumerate(levels) if not i or levels[i - 1][0] != choice]
    for (choice, level), place in zip(levels, places, strict=True):
        at = shown.index[shown[choice].astype(str) == level]
        ax.scatter(at, np.full(len(at), place), s=size * 0.8, marker="|", color=colours.real, linewidths=1.4)
    for at in shown.index[shown["primary"].astype(bool)]:
        ax.axvline(at, color=colours.muted, lw=1.0, zorder=0)
    for i in changed[1:]:
        ax.axhline((places[i - 1] + places[i]) / 2, color=colours.grid, lw=0.8)
    labels = [
        f"{plain(choice, 22)}  {plain(level, 20)}" if i in changed else plain(level, 20)
        for i, (choice, level) in enumerate(levels)
    ]
    ax.set_yticks(places, labels, parse_math=False)
    ax.set_ylim(places[-1] + 0.9, places[0] - 0.9)
    ax.grid(visible=False)
    ax.set_xticks([])
    ax.set_xlabel("Analyses")
    ax.spines[["left", "bottom"]].set_visible(False)
    ax.tick_params(length=0)


def _draw_verdicts(ax: Axes, shown: pd.DataFrame) -> None:
    """Stack the shares of the groups of verdicts."""
    left = 0.0
    for group, (colour, _) in zip(VERDICT_GROUPS, _looks(), strict=True):
        share = float(shown["verdict"].isin(list(group.verdicts)).mean()) if len(shown) else 0.0
        if share:
            ax.bar(0.5, share, bottom=left, width=0.28, color=colour)
            ax.annotate(f"{share:.0%}", (0.68, left + share / 2), va="center", fontsize=9)
            left += share
    ax.set_title("verdicts", fontweight="normal", fontsize=9)
    ax.set_ylim(0, 1)
    ax.set_axis_off()


def _draw_influence(
    ax: Axes, influence: Mapping[str, float], levels: Sequence[tuple[str, str]], places: np.ndarray
) -> None:
    """Draw the share of the variance of slopes that goes with each choice, beside its levels.

    Shapes: ``places`` (n_levels,).
    """
    for choice, share in influence.items():
        mine = [place for (name, _), place in zip(levels, places, strict=True) if name == choice]
        middle = (mine[0] + mine[-1]) / 2
        ax.barh(middle, share, height=max(0.6, 0.6 * len(mine)), color=palette().muted)
        ax.annotate(f"{share:.0%}", (share, middle), xytext=(3, 0), textcoords="offset points", va="center", fontsize=9)
    ax.set_xlim(0, 1)
    ax.set_ylim(places[-1] + 0.9, places[0] - 0.9)
    ax.set_axis_off()
    ax.set_title("share of\nvariance", fontweight="normal", fontsize=9, loc="left")


def _ordered(levels: pd.Series) -> list[str]:
    """Distinct levels: numbers by size, others by name."""
    texts = sorted(set(levels.astype(str)))
    numbers = pd.to_numeric(pd.Series(texts), errors="coerce")
    return [texts[i] for i in np.argsort(numbers)] if numbers.notna().all() else texts


def _looks() -> list[tuple[str, str]]:
    """Colour and marker of every group of verdicts, in their order."""
    colours = palette()
    return [
        (colours.real, "o"),
        (colours.slope, "v"),
        (colours.warn, "X"),
        (colours.chance, "."),
        (colours.muted, "+"),
        (colours.muted, "x"),
    ]
