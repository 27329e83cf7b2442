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


def one_of(table: pd.DataFrame) -> pd.DataFrame:
    return table[(table["band"] == "alpha") & (table["roi_therapist"] == table["roi_therapist"].iloc[0])]


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


def long_names(n_dyads: int = 30) -> pd.DataFrame:
    """Names as long as they may be that differ at their end alone, in one session each."""
    frame = study(n_dyads, (1,))
    number = frame["dyad"].str.extract(r"(\d+)$", expand=False).str.zfill(2)
    return frame.assign(dyad="Practice" * 7 + number, roi_therapist=frame["roi_therapist"] + "_of_the_whole_head")


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
    "dyad_panels of 30 long names": lambda: plots.dyad_panels(one_of(long_names()), columns=6),
    "roi_panels of long names": lambda: plots.roi_panels(long_names()[lambda f: f["band"] == "alpha"]),
    "growth_curves of one session": lambda: plots.growth_curves(one_of(long_names())),
    "missing_session_grid of long names": lambda: plots.missing_session_grid(one_of(long_names()).assign(state="used")),
    "matrix_panels of 1": lambda: plots.matrix_panels({"Session 1": channels(8)[0]}),
    "course_chart of runs": lambda: plots.course_chart(
        pd.DataFrame({"session": [1, 1, 2, 2], "run": ["1", "2"] * 2, "time_s": 10.0, "z": 0.2, "pseudo_mean_z": 0.1})
    ),
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


@pytest.mark.parametrize("name", ["dyad_panels of 30 long names", "roi_panels of long names"])
def test_long_titles_are_told_apart_and_do_not_meet(name: str) -> None:
    figure = finish(DRAW[name](), show=False)
    figure.canvas.draw()
    titles = [(ax._left_title.get_text(), ax._left_title.get_window_extent()) for ax in figure.axes]
    assert len({text for text, _ in titles}) == len(titles) > 1
    for i, (_, box) in enumerate(titles):
        assert not any(box.overlaps(other) for _, other in titles[i + 1 :])


def test_names_of_a_grid_are_told_apart() -> None:
    ax = DRAW["missing_session_grid of long names"]()
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert len(set(names)) == len(names) == 30


def test_one_session_has_a_band_of_chance_and_points_that_are_seen() -> None:
    table = one_of(long_names())
    (band,) = [each for each in plots.growth_curves(table).collections if "SD" in str(each.get_label())]
    assert np.ptp(band.get_paths()[0].vertices[:, 0]) > 0
    points = [line for line in plots.roi_panels(table)[0].lines if line.get_label() == "each dyad"]
    assert len(points) == 30
    assert all(line.get_marker() not in ("", "None", None) for line in points)


def test_groups_of_one_session_stand_side_by_side() -> None:
    table = one_of(long_names())
    ax = plots.session_means(table.assign(arm=np.where(np.arange(len(table)) % 2, "a", "b")), by="arm")
    left, right = ax.get_xlim()
    assert right - left >= 1


def test_runs_of_a_session_are_courses_of_their_own() -> None:
    rows = {"session": 1, "run": ["1", "1", "2", "2"], "time_s": [10.0, 30.0] * 2, "z": [0.1, 0.2, 0.5, 0.6]}
    ax = plots.course_chart(pd.DataFrame(rows).assign(pseudo_mean_z=[0.1, 0.1, 0.3, 0.3]))
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1\nrun 1", "1\nrun 2"]
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [0.1, 0.2, np.nan, 0.5, 0.6, np.nan])
    assert ax.get_title(loc="left") == "2 recordings, 4 windows"
    assert [path.vertices[0, 1] for path in ax.collections[1].get_paths()] == [0.1, 0.3]


def test_a_run_without_pseudo_pairs_is_hollow_and_in_no_mean() -> None:
    rows = {"dyad": "A", "session": [1, 1, 2], "z": [0.2, 0.8, 0.3], "pseudo_mean_z": [0.1, np.nan, 0.1]}
    table = pd.DataFrame(rows).assign(pseudo_sd_z=0.02)
    for ax in (plots.chance_curves(table), plots.dyad_panels(table)[0]):
        found = {str(line.get_label()): line for line in ax.lines}
        assert found["real pair"].get_ydata() == pytest.approx([0.2, 0.3])
        assert found["without pseudo pairs"].get_ydata() == pytest.approx([0.8])
