"""Every figure can be read: words inside the canvas, no offset beside an axis, thin lines told, one scale a unit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import matplotlib.text
import numpy as np
import pandas as pd
import pytest

from hyperscan import plots
from hyperscan.plots.style import finish

RNG = np.random.default_rng(0)
N = 64


def study(n_dyads: int = 9, sessions: tuple[int, ...] = (1, 2, 3, 5, 6)) -> pd.DataFrame:
    """Long labels, a missing session, convex courses."""
    rows = [
        {"dyad": f"Dyad{'Longlabel' * (d % 2)}{d}", "session": s, "days": 7.0 * s, "excess_z": 0.01 * s**2 + 0.01 * d,
         "band": band, "roi_therapist": roi, "roi_client": "temporal_right"}
        for d in range(n_dyads) for s in sessions for band in ("alpha", "beta") for roi in ("temporal_left", "frontal")
    ]  # fmt: skip
    frame = pd.DataFrame(rows).assign(pseudo_mean_z=0.13, pseudo_sd_z=0.02)
    frame["excess_z"] += RNG.normal(0, 0.005, len(frame))
    return frame.assign(z=frame["excess_z"] + 0.13)


def one(table: pd.DataFrame) -> pd.DataFrame:
    return table[(table["band"] == "alpha") & (table["roi_therapist"] == "frontal")]


def recordings() -> pd.DataFrame:
    """Large and small numbers that hardly change."""
    frame = pd.concat([one(study()).assign(person=person) for person in ("therapist", "client")], ignore_index=True)
    n = len(frame)
    return frame.assign(
        clean_seconds=292.7 + RNG.normal(0, 1e-3, n), channels_kept=32, s2_line=0.93 + RNG.normal(0, 1e-3, n),
        band_sd=2e-7 + RNG.normal(0, 1e-9, n), instrument_noise=1e-8, clock_ppm=11 + RNG.normal(0, 1e-3, n),
        clock_residual_ms=0.2, g1_line=0.1, control_excess_z=RNG.normal(0, 1e-4, n), matched_excess_z=frame["excess_z"],
        steadiness=RNG.normal(0, 1e-3, n),
        phase_kept=RNG.normal(0.05, 0.01, n),
    )  # fmt: skip


def channels(n: int = N) -> tuple[pd.DataFrame, pd.DataFrame]:
    angle = 2.4 * np.arange(n)
    polar = np.sqrt(np.arange(n) / n) * np.pi / 2
    xyz = 0.09 * np.column_stack([np.sin(polar) * np.cos(angle), np.sin(polar) * np.sin(angle), np.cos(polar)])
    names = [f"CH{i}" for i in range(n)]
    matrix = pd.DataFrame(RNG.random((n, n)), index=names, columns=names)
    return matrix, pd.DataFrame(xyz, index=names, columns=["x", "y", "z"])


def matrices(n: int = N) -> dict[str, pd.DataFrame]:
    return {f"Session {k}": channels(n)[0] for k in range(1, 6)}


def coherence() -> Any:
    period, coi = np.geomspace(4, 64, 12), np.full(300, 40.0)
    return {"r2": RNG.random((12, 300)), "phase": RNG.random((12, 300)), "period": period, "coi": coi, "sfreq": 1.0}


def two_heads(links: pd.DataFrame, xyz: pd.DataFrame) -> Any:
    names = list(links)
    return plots.two_heads(links.to_numpy(), xyz.to_numpy(), xyz.to_numpy(), 0.99, names=(names, names))


FIT = {"slope": 0.1234567, "ci_low": 0.1, "ci_high": 0.15}
DRAW: dict[str, Callable[[], Any]] = {
    "growth_curves": lambda: plots.growth_curves(one(study()), FIT),
    "growth_curves of 30": lambda: plots.growth_curves(one(study(30)), FIT),
    "chance_curves": lambda: plots.chance_curves(one(study(1))),
    "dyad_panels": lambda: plots.dyad_panels(one(study())),
    "dyad_panels of 6": lambda: plots.dyad_panels(one(study(6)).assign(own_mean_z=0.12)),
    "dyad_panels of 1": lambda: plots.dyad_panels(one(study(1)).assign(own_mean_z=0.12)),
    "roi_panels": lambda: plots.roi_panels(study()[lambda f: f["band"] == "alpha"]),
    "session_band_heatmap": lambda: plots.session_band_heatmap(study()),
    "missing_session_grid": lambda: plots.missing_session_grid(one(study()).assign(state="used")),
    "clock_panel": lambda: plots.clock_panel(recordings()),
    "quality_panel": lambda: plots.quality_panel(recordings()),
    "guards_panel": lambda: plots.guards_panel(recordings()),
    "channel_matrix": lambda: plots.channel_matrix(channels()[0].to_numpy(), *([list(channels()[0])] * 2)),
    "two_heads": lambda: two_heads(*channels()),
    "matrix_panels": lambda: plots.matrix_panels(matrices()),
    "matrix_panels of 8": lambda: plots.matrix_panels(matrices(8)),
    "head_panels": lambda: plots.head_panels(matrices(), channels()[1], channels()[1], 0.99),
    "map_panels": lambda: plots.map_panels({"Session 1": coherence(), "Session 2": coherence()}),
    "coherence_chart": lambda: plots.coherence_chart(**coherence()),
    "course_chart": lambda: plots.course_chart(
        pd.DataFrame({"session": [1, 1, 2, 2], "time_s": [10.0, 30.0] * 2, "z": 0.2, "pseudo_mean_z": 0.1})
    ),
    "time_course": lambda: plots.time_course(np.arange(5) * 1e4, 292.7 + RNG.normal(0, 1e-3, 5), chance=292.7),
    "surrogate_histogram": lambda: plots.surrogate_histogram(0.3, RNG.normal(0, 0.1, 500), p=1.0),
    "data_kept_timeline": lambda: plots.data_kept_timeline({"therapist": [(0, 5)], "client": [(2, 7)]}, 10),
    "power_curves": lambda: plots.power_curves(
        pd.DataFrame({"n_dyads": [8, 16] * 2, "sessions": [4, 4, 8, 8], "power": [0.3, 0.6, 0.5, 0.9]}), by="sessions"
    ),
}  # fmt: skip


def cut_off(figure: Any) -> list[str]:
    """List the visible words of a drawn figure that reach beyond its canvas."""
    unseen: set[int] = set()
    for ax in figure.axes:
        for axis, limits in ((ax.xaxis, sorted(ax.get_xlim())), (ax.yaxis, sorted(ax.get_ylim()))):
            for tick in axis.get_major_ticks():
                # labels of ticks beyond the limits are kept, and never drawn
                if not ax.axison or not limits[0] <= tick.get_loc() <= limits[1]:
                    unseen |= {id(tick.label1), id(tick.label2)}
    width, height = figure.canvas.get_width_height()
    shown = [each for each in figure.findobj(matplotlib.text.Text) if each.get_visible() and id(each) not in unseen]
    boxes = [(text.get_text(), text.get_window_extent()) for text in shown if text.get_text().strip()]
    return [text for text, box in boxes if box.x0 < -1 or box.y0 < -1 or box.x1 > width + 1 or box.y1 > height + 1]


@pytest.mark.parametrize("name", DRAW)
def test_words_lie_inside_the_canvas_and_axes_have_no_offset(name: str) -> None:
    figure = finish(DRAW[name](), show=False)
    figure.canvas.draw()
    assert cut_off(figure) == []
    offsets = [axis.get_offset_text().get_text() for ax in figure.axes for axis in (ax.xaxis, ax.yaxis)]
    assert [text for text in offsets if text] == []


@pytest.mark.parametrize("name", ["growth_curves", "dyad_panels", "roi_panels", "clock_panel", "guards_panel"])
def test_thin_lines_are_told(name: str) -> None:
    drawn = DRAW[name]()
    figure = finish(drawn, show=False)
    legends = [*figure.legends, *(ax.get_legend() for ax in figure.axes if ax.get_legend())]
    told = [text.get_text() for legend in legends for text in legend.get_texts()]
    told += [ax.get_title(loc="left") for ax in figure.axes]
    assert any(word in text for text in told for word in ("each dyad", "a line each", "real pair"))


def test_a_missing_session_breaks_the_line() -> None:
    ax = plots.growth_curves(one(study(1)), FIT)
    (line,) = [line for line in ax.lines if str(line.get_label()).startswith("_Dyad")]
    assert np.isnan(np.asarray(line.get_ydata(), float)).sum() == 1
    assert [line for line in ax.lines if line.get_label() == "_missing"]


def test_a_bend_is_told_beside_the_straight_line_and_a_straight_course_is_not() -> None:
    bent, straight = (
        one(study()),
        one(study()).assign(excess_z=lambda f: 0.1 * f["session"] + RNG.normal(0, 0.02, len(f))),
    )
    told = [plots.growth_curves(t, FIT).get_title(loc="left") for t in (bent, straight)]
    assert told[0].endswith("; courses bend upwards (p < .001)")
    assert "bend" not in told[1]


def test_noise_is_not_zoomed_into_change() -> None:
    """Measures of one unit share a scale; one that hardly changes is drawn flat."""
    axes = {ax.get_title(loc="left"): ax for ax in plots.guards_panel(recordings())}
    limits = [ax.get_ylim() for title, ax in axes.items() if "Excess" in title]
    assert len(limits) == 2
    assert limits[0] == limits[1]
    for ax in plots.quality_panel(recordings()):
        low, high = ax.get_ylim()
        drawn = [np.ptp(container.lines[0].get_ydata()) for container in ax.containers]
        assert max(drawn) < 0.2 * (high - low)


def test_what_both_people_share_is_one_line() -> None:
    axes = {ax.get_title(loc="left"): ax for ax in plots.quality_panel(recordings())}
    assert len(axes["Channels kept (n)"].containers) == 1
    assert len(axes["Signal fraction s² (0-1)"].containers) == 2


@pytest.mark.parametrize("n", [8, 32, 64])
def test_matrices_name_their_channels_and_fill_their_rows(n: int) -> None:
    ax = plots.matrix_panels(matrices(n))
    names = {text.get_text() for text in ax.texts}
    assert len(names & {f"CH{i}" for i in range(n)}) >= min(n, 12)
    lefts = [image.get_extent()[0] for image in ax.images]
    assert len(set(lefts)) == 3  # five sessions: three and two


def test_heads_say_sides_and_name_the_strongest_channels() -> None:
    words = [text.get_text() for text in DRAW["two_heads"]().texts]
    assert words.count("L") == words.count("R") == 2
    assert any(word.startswith("CH") for word in words)
