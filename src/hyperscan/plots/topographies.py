"""Two heads seen from above, with the links between them that are strong enough."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from hyperscan.errors import InputError
from hyperscan.plots.style import new_axes, palette, plain, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes


#: Distance between the heads' centres, in head radii.
_APART = 3.0

#: Width and height of a drawn pair, and the room left of and above the therapist's centre, in head radii.
PAIR_SIZE, PAIR_ROOM = (2.7 + _APART, 2.6), (1.35, 1.25)

#: Most channels of a head that are named (our choice: more collide).
NAMED_CHANNELS = 12

#: Distances from the origin, in m, that only coordinates around the head's centre have (our choice: heads of
#: children to adults, with the origin between the ears).
_HEAD = (0.05, 0.16)


@styled
def two_heads(
    links: np.ndarray,
    therapist_xyz: np.ndarray,
    client_xyz: np.ndarray,
    threshold: float,
    ax: Axes | None = None,
    *,
    radius: float | None = None,
    label: str = "synchrony",
    strongest: float | None = None,
    size: float = 16,
    names: tuple[Sequence[str], Sequence[str]] = ((), ()),
) -> Axes:
    """Draw both people's sensors and a line for every link at or above a threshold.

    Parameters
    ----------
    links : ndarray, shape (n_therapist, n_client)
        Values; NaN is never drawn.
    therapist_xyz, client_xyz : ndarray, shape (n_channels, 3) or (n_channels, 2)
        Positions, x to the right ear and y to the nose: 3-D ones in any unit around the head's centre
        (projected so that the distance from the vertex is kept), 2-D ones in the unit of ``radius``. EEG
        electrodes or the middles of fNIRS channels.
    threshold : float
        Smallest value that is drawn.
    ax : matplotlib.axes.Axes or None
        Where to draw; None = a new figure.
    radius : float or None
        Head radius of 2-D positions; None = 1.
    label : str
        What the links are, for the title.
    strongest : float or None
        Value of the widest line; None = the largest one drawn. Give it where several figures are compared.
    size : float
        Area of a sensor's mark, in square points.
    names : tuple of two sequences of str
        Names of the therapist's and the client's channels; those of drawn links are written, or none.

    Returns
    -------
    matplotlib.axes.Axes
        Stronger links are wider and darker.

    Raises
    ------
    InputError
        If positions and links do not fit.

    Examples
    --------
    >>> here = np.array([[0.0, 0.5], [0.0, -0.5]])
    >>> two_heads(np.array([[0.1, 0.9], [0.2, 0.3]]), here, here, 0.5).get_title(loc="left")
    '1 of 4 links: synchrony ≥ 0.5'
    """
    links = np.asarray(links, dtype=float)
    places = [_flat(xyz, radius) for xyz in (therapist_xyz, client_xyz)]
    if links.shape != (len(places[0]), len(places[1])):
        raise InputError(
            f"links has shape {links.shape}, but there are {len(places[0])} therapist and {len(places[1])}"
            " client"
            " positions. Give one position per channel."
        )
    ax = new_axes(ax, 7.6, 4.0)
    radius_pt = 72 * 7.6 / PAIR_SIZE[0]
    n = draw_pair(
        ax, links, places[0], places[1], threshold, names, strongest=strongest, size=size, radius_pt=radius_pt
    )
    ax.set_title(f"{n} of {links.size} links: {label} ≥ {threshold:.3g}")
    ax.set_aspect("equal")
    ax.set_axis_off()
    ax.set_xlim(-PAIR_ROOM[0], PAIR_SIZE[0] - PAIR_ROOM[0])
    ax.set_ylim(PAIR_ROOM[1] - PAIR_SIZE[1], PAIR_ROOM[1])
    return ax


def draw_pair(
    ax: Axes,
    links: np.ndarray,
    therapist_xy: np.ndarray,
    client_xy: np.ndarray,
    threshold: float,
    names: tuple[Sequence[str], Sequence[str]] = ((), ()),
    *,
    strongest: float | None,
    size: float,
    origin: tuple[float, float] = (0.0, 0.0),
    fontsize: float = 10.0,
    radius_pt: float,
) -> int:
    """Draw two heads of radius 1, which is so many points on paper, and their links; they take :data:`PAIR_SIZE`.

    Shapes: ``links`` (n_therapist, n_client), ``therapist_xy, client_xy`` (n_channels, 2).
    """
    colours = palette()
    centres = (np.array(origin), np.add(origin, (_APART, 0.0)))
    places = [centre + xy for centre, xy in zip(centres, (therapist_xy, client_xy), strict=True)]
    people = zip(("Therapist", "Client"), centres, places, (colours.therapist, colours.client), ("o", "s"), strict=True)
    for name, (x, y), xy, colour, marker in people:
        _head(ax, x, y)
        ax.scatter(xy[:, 0], xy[:, 1], s=size, color=colour, zorder=4, marker=marker)
        ax.text(x, y - 1.1, f"{name} ({len(xy)})", ha="center", va="top", color=colours.ink, fontsize=fontsize)
        for side, letter in ((-1.0, "L"), (1.0, "R")):
            ax.text(
                x + 0.9 * side, y + 0.72, letter, ha="center", va="center", color=colours.muted, fontsize=fontsize - 2
            )
    strong = np.argwhere(np.nan_to_num(links, nan=-np.inf) >= threshold)
    _lines(ax, links, strong, places, threshold, strongest, origin[1])
    for person, (listed, xy) in enumerate(zip(names, places, strict=True)):
        # the strongest first, as many as can be read
        order = strong[np.argsort(-links[strong[:, 0], strong[:, 1]], kind="stable"), person] if len(listed) else []
        channels = list(dict.fromkeys(int(each) for each in order))[:NAMED_CHANNELS]
        told = {channel: plain(listed[channel], 8) for channel in channels}
        _name_channels(ax, told, xy, max(fontsize - 2.5, 6), radius_pt)
    return len(strong)


def _name_channels(ax: Axes, told: Mapping[int, str], xy: np.ndarray, fontsize: float, radius_pt: float) -> None:
    """Write names beside their marks, those given first first; one that would hide a name or a mark is left out.

    Shapes: ``xy`` (n_channels, 2).
    """
    from matplotlib.patheffects import withStroke

    colours, tall = palette(), fontsize / radius_pt
    own = np.full(2, 0.3 * tall)
    # middles and half sizes of what is drawn already
    middles, halves = list(xy), [own] * len(xy)
    for channel, name in told.items():
        half = np.array([0.33 * tall * len(name), 0.55 * tall])  # some two thirds of the height for a letter
        for way in ((0, 1), (0, -1), (1, 0), (-1, 0)):
            at = xy[channel] + way * (half + own + 0.1 * tall)
            hidden = [(np.abs(at - middle) < half + other).all() for middle, other in zip(middles, halves, strict=True)]
            if not any(hidden):
                middles.append(at)
                halves.append(half)
                ax.text(
                    at[0], at[1], name, ha="center", va="center", color=colours.ink, fontsize=fontsize, zorder=5,
                    parse_math=False, path_effects=[withStroke(linewidth=2.0, foreground=colours.paper)],
                )  # fmt: skip
                break


def flat_positions(xyz: np.ndarray) -> np.ndarray:
    """Lay a recording's positions out on a head of radius 1, whatever frame its file has them in.

    Positions around the head's centre keep their angle from the vertex. A flat probe, or one in a frame whose
    origin lies elsewhere, is seen from above as it is and scaled to the head: its place on the head is unknown.

    Parameters
    ----------
    xyz : ndarray, shape (n_channels, 3)
        In m, x to the right ear and y to the nose.

    Returns
    -------
    ndarray, shape (n_channels, 2)
        For :func:`two_heads`; NaN where a position is unknown.

    Examples
    --------
    >>> flat_positions(np.array([[0.0, 0.0, 0.0], [0.1, 0.0, 0.0]])).round(2).tolist()
    [[-0.8, 0.0], [0.8, 0.0]]
    """
    xyz = np.asarray(xyz, dtype=float)
    known = xyz[np.isfinite(xyz).all(axis=1)]
    if len(known) == 0:
        return np.full((len(xyz), 2), np.nan)
    radii = np.linalg.norm(known, axis=1)
    if radii.min() > _HEAD[0] and radii.max() < _HEAD[1] and np.ptp(known[:, 2]) > 0:
        return _flat(xyz, None)
    middle = (known.min(axis=0) + known.max(axis=0))[:2] / 2
    reach = np.linalg.norm(known[:, :2] - middle, axis=1).max()
    return np.asarray(0.8 * (xyz[:, :2] - middle) / (reach or 1.0))


def _flat(xyz: np.ndarray, radius: float | None) -> np.ndarray:
    xyz = np.asarray(xyz, dtype=float)
    if xyz.ndim != 2 or xyz.shape[1] not in (2, 3):
        raise InputError(f"positions have shape {xyz.shape}: expected (n_channels, 2) or (n_channels, 3).")
    if xyz.shape[1] == 2:
        return xyz / (radius or 1.0)
    # azimuthal equidistant: a right angle from the vertex lands on the head's outline
    length = np.linalg.norm(xyz, axis=1)
    polar = np.arccos(np.clip(xyz[:, 2] / np.where(length > 0, length, 1), -1, 1)) / (np.pi / 2)
    azimuth = np.arctan2(xyz[:, 1], xyz[:, 0])
    return np.column_stack([polar * np.cos(azimuth), polar * np.sin(azimuth)])


def _head(ax: Axes, x: float, y: float) -> None:
    from matplotlib.patches import Circle, Polygon

    style = {"fill": False, "ec": palette().muted, "lw": 1.3, "zorder": 1}
    ax.add_patch(Polygon([(x - 0.14, y + 0.985), (x, y + 1.16), (x + 0.14, y + 0.985)], closed=False, **style))
    ax.add_patch(Circle((x, y), 1.0, **style))


def _lines(
    ax: Axes,
    links: np.ndarray,
    strong: np.ndarray,
    places: list[np.ndarray],
    threshold: float,
    strongest: float | None,
    base: float,
) -> None:
    from matplotlib.collections import LineCollection

    if len(strong) == 0:
        return
    values = links[strong[:, 0], strong[:, 1]]
    span = (values.max() if strongest is None else strongest) - threshold
    rank = np.clip((values - threshold) / (span or 1.0), 0, 1)
    order = np.argsort(values, kind="stable")  # the strongest on top
    height = (places[0][strong[:, 0], 1] + places[1][strong[:, 1], 1]) / 2 - base
    here, there = places[0][strong[:, 0]], places[1][strong[:, 1]]
    # bent upwards, those of higher channels more, so that links apart in height do not cross between the heads
    middle = (here + there) / 2 + np.column_stack([np.zeros(len(here)), 0.45 + 0.35 * height])
    t = np.linspace(0, 1, 15)[:, None, None]
    bent = (1 - t) ** 2 * here + 2 * t * (1 - t) * middle + t**2 * there
    ax.add_collection(
        LineCollection(
            list(bent.transpose(1, 0, 2)[order]),
            colors=palette().real,
            linewidths=0.9 + 1.9 * rank[order],
            alpha=0.5 + 0.45 * rank[order],
            zorder=3,
        )
    )
