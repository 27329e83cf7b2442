"""A figure as one small SVG text that is equal on every run and fits light and dark pages."""

from __future__ import annotations

import dataclasses
import io
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from hyperscan.plots.style import PALETTES, figure_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Decimals kept of a coordinate, in points: a hundredth is far below what an eye or a printer sees.
_DECIMALS = 2

_COORDINATES = re.compile(r'\b(d|x|y|points|transform)="([^"]*)"')
_STYLES = re.compile(r'style="[^"]*"')
_LONG = re.compile(r"-?\d+\.\d{3,}")


def save_svg(figure: Figure | Axes | Sequence[Axes]) -> str:
    """Turn a figure into SVG text that adapts to a light or a dark page by itself.

    Draw it in the light :func:`hyperscan.plots.figure_style`: every colour of that palette becomes a CSS
    variable, which a media query inside the SVG sets to the colour of the dark palette.

    Parameters
    ----------
    figure : Figure, Axes or sequence of Axes
        What to save.

    Returns
    -------
    str
        SVG without date, creator or random ids: the same figure gives the same text.

    Examples
    --------
    >>> from hyperscan.plots import style
    >>> "prefers-color-scheme: dark" in save_svg(style.new_figure(2, 1))
    True
    """
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    root, buffer = _figure_of(figure), io.StringIO()
    canvas, dpi = root.canvas, root.dpi
    with figure_style("light"):
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        # Figure.savefig would draw twice, the first time for the sake of tight boxes, which are not used here
        FigureCanvasSVG(root).print_svg(buffer, metadata=nothing)
    root.set_canvas(canvas)
    root.set_dpi(dpi)
    return _adapt(buffer.getvalue())


def _figure_of(figure: Figure | Axes | Sequence[Axes]) -> Figure:
    first = figure[0] if isinstance(figure, Sequence) else figure
    # axes know their figure, and a figure is its own
    return cast("Figure", getattr(first, "figure", None) or first)


def _adapt(svg: str) -> str:
    svg = svg[svg.index("<svg") :]
    svg = _COORDINATES.sub(lambda m: f'{m[1]}="{_LONG.sub(_short, m[2])}"', svg)
    svg = _STYLES.sub(lambda m: _variables(m[0]), svg)
    svg = re.sub(r"\n\s*", "\n", svg)
    head = svg.index(">") + 1
    return f"{svg[:head]}\n<style>{_stylesheet()}</style>{svg[head:]}"


def _short(match: re.Match[str]) -> str:
    return f"{float(match[0]):.{_DECIMALS}f}".rstrip("0").rstrip(".")


def _variables(style: str) -> str:
    for field in dataclasses.fields(PALETTES["light"]):
        style = style.replace(getattr(PALETTES["light"], field.name), f"var(--{field.name})")
    return style


def _stylesheet() -> str:
    rules = {
        variant: ";".join(f"--{name}:{value}" for name, value in dataclasses.asdict(colours).items())
        for variant, colours in PALETTES.items()
    }
    return f":root{{{rules['light']}}}@media screen and (prefers-color-scheme: dark){{:root{{{rules['dark']}}}}}"
