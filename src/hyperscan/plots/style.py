"""One look for every figure, and a figure as one small SVG text that is equal on every run."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import gc
import io
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

import numpy as np

from hyperscan.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Palette:
    """Colours by what they mean, as ``#rrggbb``."""

    #: Background, text, secondary text and hairlines
    paper: str
    ink: str
    muted: str
    grid: str
    #: Real dyads, the chance level, and what was fitted
    real: str
    chance: str
    slope: str
    #: The two people
    therapist: str
    client: str
    #: What was lost or failed
    warn: str


PALETTES: Mapping[str, Palette] = MappingProxyType(
    {
        "light": Palette(
            paper="#fefefe",
            ink="#1b1f24",
            muted="#59626d",
            grid="#dfe3e8",
            real="#0072b2",
            chance="#868d96",
            slope="#d55e00",
            therapist="#009e73",
            client="#b0558a",
            warn="#c44601",
        ),
        "dark": Palette(
            paper="#16191d",
            ink="#e9ebee",
            muted="#aab2bd",
            grid="#343a42",
            real="#56b4e9",
            chance="#8e96a1",
            slope="#e69f00",
            therapist="#2dbd92",
            client="#cc79a7",
            warn="#ff8a4c",
        ),
    }
)

#: Dashes of what is expected without an effect.
DASHED = (0, (5, 3))

#: Sequential map that reads the same in grey and with any colour blindness.
SEQUENTIAL = "cividis"

_CURRENT: ContextVar[Palette | None] = ContextVar("palette", default=None)


def palette() -> Palette:
    """Return the colours in use: those of the innermost :func:`figure_style`, else the light ones.

    Returns
    -------
    Palette

    Examples
    --------
    >>> palette().real
    '#0072b2'
    """
    return _CURRENT.get() or PALETTES["light"]


def _settings(colours: Palette) -> dict[str, str | float | list[str]]:
    """Return the settings of matplotlib in these colours."""
    return {
        "font.family": "sans-serif",
        "font.sans-serif": ["DejaVu Sans", "Arial", "Helvetica"],
        "font.size": 10.0,
        "axes.titlesize": 10.5,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        # nothing of ours stands above the axes, and looking for it would take a tenth of all drawing
        "axes.titley": 1.0,
        "axes.labelsize": 10.0,
        "xtick.labelsize": 9.0,
        "ytick.labelsize": 9.0,
        "legend.fontsize": 9.0,
        "legend.frameon": False,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.grid.axis": "y",
        "axes.axisbelow": True,
        "grid.linewidth": 0.7,
        "lines.linewidth": 1.6,
        "lines.markersize": 4.5,
        "axes.unicode_minus": True,
        # no "+2.927e2" beside an axis
        "axes.formatter.useoffset": False,
        "svg.fonttype": "none",
        "svg.hashsalt": "hyperscan",
        "figure.facecolor": colours.paper,
        "axes.facecolor": colours.paper,
        "savefig.facecolor": colours.paper,
        "text.color": colours.ink,
        "axes.labelcolor": colours.ink,
        "axes.titlecolor": colours.ink,
        "axes.edgecolor": colours.muted,
        "xtick.color": colours.muted,
        "ytick.color": colours.muted,
        "xtick.labelcolor": colours.ink,
        "ytick.labelcolor": colours.ink,
        "grid.color": colours.grid,
    }


@contextlib.contextmanager
def figure_style(variant: str = "light") -> Iterator[Palette]:
    """Draw and save in the house style, whatever the user's own matplotlib settings are.

    Parameters
    ----------
    variant : {'light', 'dark'}
        Background to draw for.

    Yields
    ------
    Palette

    Raises
    ------
    InputError
        If the variant is unknown.

    Examples
    --------
    >>> with figure_style("dark") as colours:
    ...     colours.real
    '#56b4e9'
    """
    import matplotlib.style

    if variant not in PALETTES:
        raise InputError(f"variant = {variant!r}: expected 'light' or 'dark'.{did_you_mean(variant, PALETTES)}")
    colours = PALETTES[variant]
    if _CURRENT.get() is colours:  # this style is in use
        yield colours
        return
    token = _CURRENT.set(colours)
    try:
        with matplotlib.style.context(["default", _settings(colours)]):
            yield colours
    finally:
        _CURRENT.reset(token)


_DETACHED: ContextVar[bool] = ContextVar("detached", default=False)


@contextlib.contextmanager
def detached() -> Iterator[None]:
    """Make figures that need no display and that pyplot does not know: those of a page, by the hundred."""
    token, theirs = _DETACHED.set(True), gc.get_freeze_count()
    if not theirs:
        gc.freeze()  # or every search for unused figures goes through all that was imported
    try:
        with figure_style():
            yield
    finally:
        if not theirs:
            gc.unfreeze()
        _DETACHED.reset(token)


def new_figure(width: float = 8.4, height: float = 4.2) -> Figure:
    """Make a figure, known to pyplot so that ``plt.show()`` and notebooks show it, unless :func:`detached`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if not _DETACHED.get():
        import matplotlib.pyplot as plt

        return plt.figure(figsize=(width, height), layout="constrained")
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def new_axes(ax: Axes | None, width: float = 8.4, height: float = 4.2) -> Axes:
    """Return the Axes given, or those of a new figure."""
    if ax is not None:
        return ax
    with figure_style(_variant()):
        return new_figure(width, height).add_subplot()


#: Backends of matplotlib that write files and show nothing.
_SILENT = {"agg", "cairo", "pdf", "pgf", "ps", "svg", "template"}


def finish(drawn: Axes | Sequence[Axes], show: bool) -> Figure:
    """Return the figure of what was drawn, shown where matplotlib has a window or a notebook to show it in."""
    import matplotlib as mpl

    first = drawn[0] if isinstance(drawn, Sequence) else drawn
    figure = first.figure
    while figure is not figure.figure:  # a subfigure's figure
        figure = figure.figure
    if show and mpl.get_backend().lower() not in _SILENT:
        import matplotlib.pyplot as plt

        plt.show()
    return cast("Figure", figure)


def one_axes(axes: Axes | Sequence[Axes] | None) -> Axes | None:
    """Take the Axes of a figure that has one."""
    if not isinstance(axes, Sequence):
        return axes
    if len(axes) != 1:
        raise InputError(f"axes: this figure has one Axes, {len(axes)} were given. Give one, or None for a new figure.")
    return axes[0]


def panel_grid(
    n: int, *, columns: int, size: tuple[float, float], axes: Axes | Sequence[Axes] | None = None, **share: Any
) -> list[Axes]:
    """Make small multiples: ``n`` Axes in rows of ``columns``, empty places left out, or take those given."""
    if axes is not None:
        given = list(axes) if isinstance(axes, Sequence) else [axes]
        if len(given) != n:
            raise InputError(f"axes: this figure has {n} panels, {len(given)} Axes were given. Give one for each.")
        return given
    rows = max(1, -(-n // columns))
    columns = max(1, -(-n // rows))  # 5 panels as 3 + 2, not as 4 + 1
    with figure_style(_variant()):
        # never so small that the labels around the panels are cut
        figure = new_figure(max(size[0] * columns, 6.0), max(size[1] * rows, 2.6))
        made = list(figure.subplots(rows, columns, squeeze=False, **share).flat)
    for i, ax in enumerate(made[n:], n):
        # the panel above an empty place is the lowest of its column: it carries the labels
        made[i - columns].tick_params(labelbottom=True)
        ax.remove()
    return made[:n]


def legend_above(figure: Any, handles: Mapping[str, Artist]) -> None:
    """Put one legend above all panels, within the figure; beside the first panel in a figure of the user's."""
    if figure.get_layout_engine() is None:
        figure.axes[0].legend(handles.values(), handles.keys())
        return
    for columns in range(len(handles), 0, -1):
        legend = figure.legend(handles.values(), handles.keys(), loc="outside upper left", ncols=columns)
        if columns == 1 or legend.get_window_extent().width <= figure.bbox.width:
            return
        legend.remove()


def colour_bar(image: Any, axes: Axes | Sequence[Axes], label: str, **place: Any) -> None:
    """Put one bar of colours beside all Axes."""
    first = axes[0] if isinstance(axes, Sequence) else axes
    bar = first.figure.colorbar(image, ax=axes, pad=0.02, **place)
    bar.set_label(label)
    bar.outline.set_visible(False)


def _variant() -> str:
    return "dark" if palette() == PALETTES["dark"] else "light"


def looks_of(n: int) -> list[tuple[str, str, str]]:
    """Colour, marker and dashes of so many groups or tasks, told apart without colour, too."""
    colours = palette()
    told = (colours.real, colours.slope, colours.client, colours.muted)
    looks = list(zip(told, "osD^", ("-", "--", "-.", ":"), strict=True))
    return [looks[i % len(looks)] for i in range(n)]


def upright(label: str) -> str:
    r"""Break a label for the vertical axis of a low figure where it would be cut off.

    Examples
    --------
    >>> upright("plv, alpha, posterior-posterior (Fisher z)")
    'plv, alpha, posterior-posterior\n(Fisher z)'
    """
    # some 34 letters of 10 points stand on 2.4 inches
    return "\n".join(textwrap.wrap(label, 34, break_on_hyphens=False))


def spread(values: np.ndarray, gap: float) -> np.ndarray:
    """Move label positions apart until neighbours are at least ``gap`` from each other.

    Shapes: ``values`` (n,), returns (n,).

    Examples
    --------
    >>> spread(np.array([1.0, 1.0, 5.0]), 1.0).tolist()
    [0.5, 1.5, 5.0]
    """
    order = np.argsort(values, kind="stable")
    placed = values[order].astype(float)
    for _ in range(100):
        overlap = np.clip(gap - np.diff(placed), 0, None)
        if not (overlap > 1e-9 * gap).any():
            break
        placed[:-1] -= overlap / 2
        placed[1:] += overlap / 2
    result = np.empty_like(placed)
    result[order] = placed
    return result


def styled(draw: Callable[P, R]) -> Callable[P, R]:
    """Let a plot function draw in the house style, in the variant that is in use."""

    @functools.wraps(draw)
    def inside(*args: P.args, **kwargs: P.kwargs) -> R:
        with figure_style(_variant()):
            return draw(*args, **kwargs)

    return inside


def plain(text: object, width: int = 24) -> str:
    r"""Shorten a label so that it cannot break a figure; control characters become spaces.

    Its middle goes: names of one kind often begin alike, and numbers stand at the end.

    Examples
    --------
    >>> plain("client\n7"), plain("abcdef", 4)
    ('client 7', 'a…ef')
    """
    line = "".join(c if c.isprintable() else " " for c in str(text))
    return line if len(line) <= width else f"{line[: (width - 1) // 2]}…{line[-(width // 2) :]}"


#: Decimals kept of a coordinate, in points: a hundredth is far below what an eye or a printer sees.
_DECIMALS = 2

_COORDINATES = re.compile(r'\b(d|x|y|points|transform)="([^"]*)"')
_STYLES = re.compile(r'style="[^"]*"')
_LONG = re.compile(r"-?\d+\.\d{3,}")
_COLOUR = re.compile(r"#[0-9a-f]{6}")

#: Light colours as CSS variables.
_NAMED = {colour: f"var(--{name})" for name, colour in dataclasses.asdict(PALETTES["light"]).items()}


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

    first = figure[0] if isinstance(figure, Sequence) else figure
    # axes know their figure, and a figure is its own
    root, buffer = cast("Figure", getattr(first, "figure", None) or first), io.StringIO()
    canvas, dpi = root.canvas, root.dpi
    with figure_style("light"):
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        # Figure.savefig would draw twice, the first time for the sake of tight boxes, which are not used here
        FigureCanvasSVG(root).print_svg(buffer, metadata=nothing)
    root.set_canvas(canvas)
    root.set_dpi(dpi)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = _COORDINATES.sub(lambda m: f'{m[1]}="{_LONG.sub(_short, m[2])}"', svg)
    svg = _STYLES.sub(_variables, svg)
    svg = re.sub(r"\n\s*", "\n", svg)
    head = svg.index(">") + 1
    light, dark = (
        ";".join(f"--{name}:{value}" for name, value in dataclasses.asdict(PALETTES[variant]).items())
        for variant in ("light", "dark")
    )
    rules = f":root{{{light}}}@media screen and (prefers-color-scheme: dark){{:root{{{dark}}}}}"
    return f"{svg[:head]}\n<style>{rules}</style>{svg[head:]}"


def _short(match: re.Match[str]) -> str:
    """Shorten a coordinate to what can be seen."""
    return f"{float(match[0]):.{_DECIMALS}f}".rstrip("0").rstrip(".")


def _variables(match: re.Match[str]) -> str:
    """Name the colours of a style by what they mean."""
    return _COLOUR.sub(lambda found: _NAMED.get(found[0], found[0]), match[0])
