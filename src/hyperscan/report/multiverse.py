"""The page of a multiverse: one sentence, the specification curve, and every analysis in a table."""

from __future__ import annotations

from pathlib import Path

from hyperscan.growth.multiverse import MultiverseResult
from hyperscan.plots import specification_curve
from hyperscan.plots.style import detached
from hyperscan.report.build import render
from hyperscan.report.figures import Picture, picture
from hyperscan.report.tables import Table, lay_out, rows_of
from hyperscan.results.folder import MULTIVERSE_PAGE
from hyperscan.storage import write_text

#: Numbers and words of every analysis; its choices come before them.
_SHOWN = {
    "verdict": "Verdict",
    "slope": "Slope",
    "ci_low": "CI low",
    "ci_high": "CI high",
    "p": "p",
    "n": "Dyads",
    "standardised": "Standardised slope",
    "failed": "Guards failed",
    "not_assessable": "Not assessable",
    "reason": "Why there is no result",
}


def write_page(out: Path, found: MultiverseResult) -> Path:
    """Write ``multiverse.html``; the same analyses give the same bytes."""
    with detached():
        curve = curve_picture(found)
    page = render(
        "multiverse.html.j2",
        sentence=found.sentence,
        curve=curve,
        universes=universe_table(found),
        influence=influence_table(found),
    )
    return write_text(out / MULTIVERSE_PAGE, page)


def curve_picture(found: MultiverseResult) -> Picture | None:
    """Draw the specification curve."""
    if found.table["standardised"].notna().sum() < 2:
        return None
    slopes = found.table["standardised"].dropna()
    alt = (
        f"Specification curve of {len(slopes)} analyses: standardised slopes from {slopes.min():.2f} to "
        f"{slopes.max():.2f}, {int((slopes > 0).sum())} of them above zero."
    )
    caption = (
        "Each column is one analysis of the same sessions, in the order of its standardised slope (mean slope over the "
        "standard deviation between dyads). Above: colour and shape are its verdict. Below: its level of every choice; "
        "bars: the share of the variance of slopes that goes with a choice taken alone."
    )
    return picture(specification_curve(found.table, {row.choice: row.share for row in found.influence}), alt, caption)


def universe_table(found: MultiverseResult) -> Table:
    """List every analysis with its choices and what it found."""
    choices = list(found.universes[0].settings)
    shown = found.table.assign(universe=found.table["universe"] + found.table["primary"].map({True: " *", False: ""}))
    shown = shown[["universe", *choices, *_SHOWN]]
    heads = {name: _SHOWN.get(name, name) for name in shown}
    return lay_out(rows_of(shown), heads, "Every analysis; * is the primary one")


def influence_table(found: MultiverseResult) -> Table:
    """List the choices by the share of variance that goes with them."""
    heads = {"choice": "Choice", "share": "Share", "n_levels": "Levels"}
    return lay_out(found.influence, heads, "Choices by their share of the variance of standardised slopes")
