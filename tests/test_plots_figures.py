"""Every plot: what is drawn, what is written on the axes, and that nothing global is touched."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from hyperscan import plots
from hyperscan.errors import InputError, TableError
from hyperscan.plots import style
from hyperscan.plots.frames import column_label, mean_and_ci
from hyperscan.plots.topographies import PAIR_ROOM, PAIR_SIZE
from report_fixtures import Fake, contrast, write_fake

N_DYADS, N_SESSIONS = 5, 4


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    rows = [
        {
            "dyad": f"D{d}",
            "session": s,
            "days": 7.0 * (s - 1),
            "band": band,
            "roi_therapist": roi,
            "roi_client": roi,
        }
        for d in range(N_DYADS)
        for s in range(1, N_SESSIONS + 1)
        for band in ("theta", "alpha")
        for roi in ("all", "posterior", "frontal")
    ]
    frame = pd.DataFrame(rows)
    frame["pseudo_mean_z"], frame["pseudo_sd_z"] = 0.13, 0.02
    frame["excess_z"] = 0.02 * frame["session"] + rng.normal(0, 0.01, len(frame))
    frame["z"] = frame["pseudo_mean_z"] + frame["excess_z"]
    return frame


@pytest.fixture(scope="module")
def primary(table: pd.DataFrame) -> pd.DataFrame:
    return table[(table["band"] == "alpha") & (table["roi_therapist"] == "posterior")]


@pytest.fixture(scope="module")
def quality(primary: pd.DataFrame) -> pd.DataFrame:
    people = [primary[["dyad", "session", "days"]].assign(person=person) for person in ("therapist", "client")]
    frame = pd.concat(people, ignore_index=True)
    return frame.assign(
        clock_ppm=12.0,
        clock_residual_ms=0.5,
        clean_seconds=300.0,
        snr_alpha=4.0,
        highfreq=np.nan,
        g1_line=0.1,
    )


def _growth(table: pd.DataFrame) -> Axes:
    return plots.growth_curves(table, {"slope": 0.02, "ci_low": 0.01, "ci_high": 0.03})


def test_growth_draws_a_line_per_dyad_the_chance_and_the_slope(primary: pd.DataFrame) -> None:
    ax = _growth(primary)
    dyads = [line for line in ax.lines if str(line.get_label()).startswith("_D")]
    assert len(dyads) == N_DYADS
    for line in dyads:
        assert line.get_ydata() == pytest.approx(
            primary.loc[primary["dyad"] == str(line.get_label())[1:], "excess_z"].to_numpy()
        )
    assert ax.get_title(loc="left") == "5 dyads, 20 dyad-sessions"
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == [
        "chance (excess 0)",
        "chance ± 1 SD of pseudo pairs",
        "95 % CI of the slope",
        "group slope +0.0200 per session",
    ]


def test_group_line_has_the_slope_of_the_fit_and_passes_through_the_mean(primary: pd.DataFrame) -> None:
    ax = _growth(primary)
    line = next(line for line in ax.lines if str(line.get_label()).startswith("group"))
    x, y = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
    assert (y[-1] - y[0]) / (x[-1] - x[0]) == pytest.approx(0.02)
    assert np.interp(primary["session"].mean(), x, y) == pytest.approx(primary["excess_z"].mean())
    drawn = next(band for band in ax.collections if "CI" in str(band.get_label()))
    band = drawn.get_paths()[0].vertices
    right = band[np.isclose(band[:, 0], x[-1])][:, 1]
    half = 0.01 * (x[-1] - primary["session"].mean())
    assert (right.min(), right.max()) == pytest.approx((y[-1] - half, y[-1] + half))


@pytest.mark.parametrize("fit", [None, {}, {"slope": None}, {"slope": "big"}])
def test_growth_without_a_slope_draws_no_slope(primary: pd.DataFrame, fit: Any) -> None:
    ax = plots.growth_curves(primary, fit)
    assert [str(band.get_label()) for band in ax.collections] == ["chance ± 1 SD of pseudo pairs"]
    assert len(ax.lines) == N_DYADS + 1


def test_runs_of_a_session_are_averaged(primary: pd.DataFrame) -> None:
    twice = pd.concat([primary, primary.assign(excess_z=primary["excess_z"] + 0.2)])
    ax = plots.growth_curves(twice)
    assert ax.lines[0].get_ydata() == pytest.approx(primary["excess_z"].to_numpy()[:N_SESSIONS] + 0.1)


def test_weeks_are_days_by_seven(primary: pd.DataFrame) -> None:
    ax = plots.growth_curves(primary, time="weeks")
    assert list(ax.lines[0].get_xdata()) == [0, 1, 2, 3]
    assert ax.get_xlabel() == "Time since first session (weeks)"


def test_chance_band_is_mean_plus_minus_sd(primary: pd.DataFrame) -> None:
    ax = plots.chance_curves(primary[primary["dyad"] == "D1"])
    band = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == pytest.approx((0.11, 0.15))
    assert [line.get_label() for line in ax.lines] == ["chance (mean of pseudo pairs)", "real pair"]


def test_one_session_still_shows_its_band(primary: pd.DataFrame) -> None:
    ax = plots.chance_curves(primary.head(1))
    assert np.ptp(ax.collections[0].get_paths()[0].vertices[:, 0]) > 0


def test_dyad_panels_share_axes_and_name_each_dyad(primary: pd.DataFrame) -> None:
    axes = plots.dyad_panels(primary)
    assert [ax.get_title(loc="left") for ax in axes] == [f"D{d}" for d in range(N_DYADS)]
    assert len({ax.get_ylim() for ax in axes}) == 1


def test_roi_panels_mean_is_the_mean_over_dyads(table: pd.DataFrame) -> None:
    alpha = table[table["band"] == "alpha"]
    axes = plots.roi_panels(alpha)
    assert [ax.get_title(loc="left") for ax in axes] == ["all", "posterior", "frontal"]
    drawn = next(line for line in axes[1].lines if str(line.get_label()).startswith("mean of 5"))
    rows = alpha[alpha["roi_therapist"] == "posterior"]
    assert drawn.get_ydata() == pytest.approx(rows.groupby("session")["excess_z"].mean().to_numpy())


def test_heatmap_prints_the_means_it_colours(table: pd.DataFrame) -> None:
    rows = table[table["roi_therapist"] == "all"]
    ax = plots.session_band_heatmap(rows)
    shown = np.array([float(text.get_text()) for text in ax.texts]).reshape(2, N_SESSIONS)
    means = rows.pivot_table(index="band", columns="session", values="excess_z").loc[["theta", "alpha"]].to_numpy()
    assert shown == pytest.approx(means, abs=0.0051)
    assert np.asarray(ax.images[0].get_array()) == pytest.approx(means)
    assert ax.get_xticklabels()[0].get_text() == "1\nn = 5"


def test_channel_matrix_keeps_therapist_in_rows() -> None:
    values = np.arange(6.0).reshape(2, 3)
    ax = plots.channel_matrix(values, ["O1", "O2"], ["P1", "P2", "P3"])
    assert np.array_equal(np.asarray(ax.images[0].get_array()), values)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["O1", "O2"]
    assert (ax.get_ylabel(), ax.get_xlabel()) == ("Therapist (2 channels)", "Client (3 channels)")


def test_long_channel_axes_skip_names_but_not_rows() -> None:
    ax = plots.channel_matrix(np.zeros((100, 64)), [f"T{i}" for i in range(100)], [f"C{i}" for i in range(64)])
    assert len(ax.get_yticklabels()) <= 36
    assert ax.images[0].get_array().shape == (100, 64)
    assert not ax.texts


def test_channel_matrix_refuses_names_that_do_not_fit() -> None:
    with pytest.raises(InputError, match=r"values has shape \(2, 2\).*expected \(1, 2\)"):
        plots.channel_matrix(np.zeros((2, 2)), ["O1"], ["O1", "O2"])


def test_two_heads_draws_the_links_at_or_above_the_threshold() -> None:
    links = np.array([[0.5, 0.2], [np.nan, 0.9]])
    here = np.array([[0.0, 0.5], [0.5, 0.0]])
    ax = plots.two_heads(links, here, here, 0.5)
    (lines,) = [c for c in ax.collections if isinstance(c, LineCollection)]
    ends = sorted(tuple(map(tuple, segment)) for segment in lines.get_segments())
    assert ends == [((0.0, 0.5), (3.0, 0.5)), ((0.5, 0.0), (3.5, 0.0))]
    assert ax.get_title(loc="left").startswith("2 of 4 links")


def test_positions_in_space_keep_their_angle_from_the_vertex() -> None:
    equator, vertex = [0.09, 0.0, 0.0], [0.0, 0.0, 0.09]
    ax = plots.two_heads(np.zeros((2, 1)), np.array([equator, vertex]), np.array([vertex]), 1.0)
    drawn = ax.collections[0].get_offsets()
    assert np.asarray(drawn) == pytest.approx(np.array([[1.0, 0.0], [0.0, 0.0]]), abs=1e-12)


def test_wtc_map_arrow_points_up_where_the_therapist_leads() -> None:
    period, coi = 2.0 ** np.arange(1, 5, 0.25), np.full(200, 100.0)
    r2 = np.full((len(period), 200), 0.8)
    ax = plots.wtc_map(r2, np.full_like(r2, np.pi / 2), period, coi, 2.0, significant=r2 > 0.5)
    arrows = next(c for c in ax.collections if type(c).__name__ == "Quiver")
    assert pytest.approx(np.ones_like(arrows.V)) == arrows.V
    assert ax.get_ylim() == (period[-1], period[0])
    assert ax.get_xlim()[1] == pytest.approx(99.5)


def test_wtc_map_refuses_what_does_not_fit() -> None:
    with pytest.raises(InputError, match="do not fit"):
        plots.wtc_map(np.zeros((3, 10)), np.zeros((3, 9)), np.arange(1, 4), np.zeros(10), 2.0)


def test_time_course_band_is_the_middle_95_percent() -> None:
    null = np.tile(np.linspace(0, 1, 1001)[:, None], (1, 3))
    label = "plv, alpha, posterior-posterior (Fisher z)"
    ax = plots.time_course(np.array([10.0, 30.0, 50.0]), np.array([0.1, 0.2, 0.3]), null, label=label)
    ax.figure.canvas.draw()
    box = ax.yaxis.label.get_window_extent()
    assert box.y0 >= 0
    assert box.y1 <= ax.figure.bbox.height, "the label is not cut off"
    band = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == pytest.approx((0.025, 0.975))


def test_histogram_counts_every_surrogate_and_marks_the_observed() -> None:
    ax = plots.surrogate_histogram(0.3, np.append(np.linspace(0, 0.2, 99), np.nan), p=0.01)
    assert sum(patch.get_height() for patch in ax.patches) == 99
    assert ax.lines[0].get_xdata()[0] == 0.3
    assert ax.get_legend().get_texts()[1].get_text() == "observed 0.3, p = 0.01"


def test_clock_and_quality_panels_show_what_holds_values(quality: pd.DataFrame) -> None:
    assert [ax.get_ylabel() for ax in plots.clock_panel(quality)] == [
        "Clock drift removed (ppm)",
        "Clock residual (ms)",
    ]
    titles = [ax.get_title(loc="left") for ax in plots.quality_panel(quality)]
    assert titles == ["Clean time (s)", "Signal fraction, alpha (0-1)"]  # highfreq is all missing


def test_intervals_of_quality_end_where_the_measure_ends() -> None:
    rows = [
        {"dyad": dyad, "session": session, "person": person, "sci": share, "clean_seconds": 300.0 * share}
        for dyad, share in (("A", 0.02), ("B", 0.5), ("C", 0.99))
        for session in (1, 2)
        for person in ("therapist", "client")
    ]
    for ax, top in zip(plots.quality_panel(pd.DataFrame(rows)), (np.inf, 1.0), strict=True):
        ends = np.concatenate([line.get_segments() for line in ax.collections])[..., 1]
        assert ends.min() == 0.0
        assert ends.max() == top if np.isfinite(top) else ends.max() > 300.0
        assert ax.get_ylim()[0] > -0.1 * ax.get_ylim()[1]


def test_guards_panel_draws_every_dyad_and_the_mean(quality: pd.DataFrame) -> None:
    (ax,) = plots.guards_panel(quality)
    assert len([line for line in ax.lines if line.get_label() == "each dyad"]) == N_DYADS


def test_missing_grid_counts() -> None:
    states = pd.DataFrame({"dyad": list("AAB"), "session": [1, 2, 1], "state": ["used", "skipped", "used"]})
    ax = plots.missing_session_grid(states)
    assert ax.get_title(loc="left") == "2 of 3 dyad-sessions used"
    assert [len(line.get_xdata()) for line in ax.lines] == [2, 1]


def test_power_curves_one_per_slope() -> None:
    sizes = [(n, s) for n in (6, 12) for s in (0.01, 0.02)]
    table = pd.DataFrame([{"n_dyads": n, "slope": s, "power": n * s, "n_sim": 100} for n, s in sizes])
    ax = plots.power_curves(table, by="slope")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["slope 0.01", "slope 0.02"]
    assert list(ax.lines[1].get_ydata()) == pytest.approx([0.12, 0.24])


DRAW: dict[str, Callable[[Any], Any]] = {
    "growth_curves": lambda f: plots.growth_curves(f["primary"]),
    "chance_curves": lambda f: plots.chance_curves(f["primary"]),
    "dyad_panels": lambda f: plots.dyad_panels(f["primary"]),
    "roi_panels": lambda f: plots.roi_panels(f["table"]),
    "session_band_heatmap": lambda f: plots.session_band_heatmap(f["table"]),
    "clock_panel": lambda f: plots.clock_panel(f["quality"]),
    "quality_panel": lambda f: plots.quality_panel(f["quality"]),
    "data_kept_timeline": lambda f: plots.data_kept_timeline({"client": [(0, 5)]}, 10),
    "surrogate_histogram": lambda f: plots.surrogate_histogram(0.1, np.arange(20.0)),
}


@pytest.mark.parametrize("name", DRAW)
def test_figures_are_equal_each_time_carry_no_date_and_touch_nothing_global(
    name: str, primary: pd.DataFrame, table: pd.DataFrame, quality: pd.DataFrame
) -> None:
    frames = {"primary": primary, "table": table, "quality": quality}
    before = {key: frame.copy() for key, frame in frames.items()}
    settings = dict(matplotlib.rcParams)
    svg = plots.save_svg(DRAW[name](frames))
    assert svg == plots.save_svg(DRAW[name](frames))
    assert dict(matplotlib.rcParams) == settings
    assert "<metadata" not in svg
    assert "dc:date" not in svg
    for key, frame in frames.items():
        pd.testing.assert_frame_equal(frame, before[key])


def test_svg_carries_both_palettes_as_variables(primary: pd.DataFrame) -> None:
    svg = plots.save_svg(plots.growth_curves(primary))
    for colours in style.PALETTES.values():
        assert f"--real:{colours.real}" in svg
    body = svg.split("</style>", 1)[1]
    assert "var(--real)" in body
    assert style.PALETTES["light"].real not in body


def test_users_settings_do_not_change_a_figure(primary: pd.DataFrame) -> None:
    plain = plots.save_svg(plots.growth_curves(primary))
    with matplotlib.rc_context({"lines.linewidth": 9, "font.size": 30, "axes.grid": False}):
        assert plots.save_svg(plots.growth_curves(primary)) == plain


def test_axes_given_are_used(primary: pd.DataFrame) -> None:
    ax = Figure().add_subplot()
    assert plots.growth_curves(primary, ax=ax) is ax


def test_dark_variant_draws_in_its_own_colours(primary: pd.DataFrame) -> None:
    with plots.figure_style("dark") as colours:
        ax = plots.growth_curves(primary)
    assert ax.lines[0].get_color() == colours.real == "#56b4e9"


@pytest.mark.parametrize("label", ["$\\frac{", "a\nb", "<script>", "x" * 400, "]]>"])
def test_hostile_dyad_names_are_drawn_as_text(primary: pd.DataFrame, label: str) -> None:
    svg = plots.save_svg(plots.dyad_panels(primary.assign(dyad=label)))
    assert "<script>" not in svg
    assert "x" * 40 not in svg


@pytest.mark.parametrize("column", ["dyad", "session", "excess_z"])
def test_a_missing_column_is_named(primary: pd.DataFrame, column: str) -> None:
    with pytest.raises(TableError, match=f"lacks the columns {column}; found"):
        plots.growth_curves(primary.drop(columns=column))


def test_unknown_time_and_variant_are_refused(primary: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="time = 'months': expected 'session' or 'weeks'"):
        plots.growth_curves(primary, time="months")
    with pytest.raises(InputError, match="Did you mean 'dark'"), plots.figure_style("drak"):
        pass


@pytest.mark.parametrize(("values", "mean", "half"), [([1.0, 2.0, 3.0], 2.0, 2.4841), ([5.0], 5.0, np.nan)])
def test_mean_and_interval(values: list[float], mean: float, half: float) -> None:
    # 2.4841 = t(.975, 2) / sqrt(3)
    assert mean_and_ci(np.array([*values, np.nan])) == pytest.approx((mean, half), abs=1e-4, nan_ok=True)


def test_labels_carry_units() -> None:
    assert column_label("clock_ppm").endswith("(ppm)")
    assert column_label("peak_hz_beta") == "Peak frequency, beta (Hz)"


@pytest.mark.parametrize("variant", ["light", "dark"])
def test_colours_are_told_from_the_paper(variant: str) -> None:
    colours = style.PALETTES[variant]
    for name in ("ink", "muted"):
        assert contrast(getattr(colours, name), colours.paper) >= 4.5  # WCAG 2.2, text
    for name in ("real", "chance", "slope", "therapist", "client", "warn"):
        assert contrast(getattr(colours, name), colours.paper) >= 3.0  # WCAG 2.2, graphics


def test_every_public_name_is_there_and_importing_is_light() -> None:
    assert all(callable(getattr(plots, name)) for name in plots.__all__)
    code = (
        "import sys, hyperscan.plots; assert not {'matplotlib', 'pandas', 'numpy'} & set(sys.modules);"
        "hyperscan.plots.growth_curves; assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_drawing_needs_no_pyplot() -> None:
    code = (
        "import sys, numpy as np; from hyperscan import plots;"
        "plots.save_svg(plots.time_course(np.arange(3.0), np.arange(3.0)));"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# ---- the sessions of a dyad ----


def _matrices() -> dict[str, pd.DataFrame]:
    first = pd.DataFrame([[0.1, 0.2], [0.3, 0.9]], index=["O1", "O2"], columns=["O1", "O2"])
    return {"Session 1": first, "Session 2": first.drop(index="O1")}


def test_matrix_panels_share_channels_and_scale() -> None:
    ax = plots.matrix_panels(_matrices())
    drawn = [np.asarray(image.get_array().filled(np.nan)) for image in ax.images]
    assert np.array_equal(drawn[1], [[np.nan, np.nan], [0.3, 0.9]], equal_nan=True)
    assert {image.get_clim() for image in ax.images} == {(0.1, 0.9)}
    first, second = (image.get_extent() for image in ax.images)
    assert first[1] < second[0], "panels stand side by side"
    names = [text.get_text() for text in ax.texts]
    assert names == ["Session 1", "Session 2", "O1", "O2", "O1", "O1", "O2", "O2"]


def test_head_panels_draw_what_has_a_place_and_reaches_the_threshold() -> None:
    xyz = pd.DataFrame([[-0.03, -0.08, 0.05], [0.03, -0.08, 0.05]], index=["O1", "O2"], columns=["x", "y", "z"])
    ax = plots.head_panels(_matrices(), xyz, xyz.assign(x=[-0.03, np.nan]), 0.25)
    titles = [text.get_text() for text in ax.texts if text.get_text().startswith("Session")]
    assert titles == ["Session 1: 1 of 2", "Session 2: 1 of 1"]
    lines = [c for c in ax.collections if isinstance(c, LineCollection)]
    (start, end), (other, _) = (c.get_segments()[0] for c in lines)
    assert start == pytest.approx([PAIR_ROOM[0] + 0.8, -0.5 - PAIR_ROOM[1]]), "a flat probe fills the head"
    assert end - start == pytest.approx([3.0 - 0.8, 0]), "one channel alone lies in the middle"
    assert other[0] - start[0] == pytest.approx(PAIR_SIZE[0]), "sessions stand side by side"


def test_course_chart_puts_sessions_one_after_the_other() -> None:
    table = pd.DataFrame({"session": [2, 2, 5], "time_s": [0.0, 100.0, 50.0], "z": [0.1, 0.3, 0.5]})
    ax = plots.course_chart(table.assign(pseudo_mean_z=[0.1, 0.1, np.nan]))
    x, y = (np.asarray(values, dtype=float) for values in ax.lines[0].get_data())
    assert x[[0, 1, 3]] == pytest.approx([-0.4, 0.4, 1.0])
    assert y[[0, 1, 3]].tolist() == [0.1, 0.3, 0.5]
    assert np.isnan(y[[2, 4]]).all(), "no line from one session to the next"
    means, levels = (c.get_segments() for c in ax.collections)
    assert [float(segment[0, 1]) for segment in means] == pytest.approx([0.2, 0.5])
    assert float(levels[0][0, 1]) == pytest.approx(0.1)
    with pytest.raises(InputError, match="nothing to draw"):
        plots.course_chart(table.iloc[:0].assign(pseudo_mean_z=[]))


def test_flat_positions_tell_a_head_from_a_probe() -> None:
    around = np.array([[0.09, 0.0, 0.0], [0.0, 0.0, 0.09]])
    assert plots.flat_positions(around) == pytest.approx(np.array([[1.0, 0.0], [0.0, 0.0]]), abs=1e-12)
    assert plots.flat_positions(around + np.array([0.2, 0.1, 0.2]))[:, 0] == pytest.approx([0.8, -0.8])
    assert np.isnan(plots.flat_positions(np.full((2, 3), np.nan))).all()


def test_map_panels_draw_one_map_per_session() -> None:
    period, coi = 2.0 ** np.arange(1, 3, 1 / 12), np.full(50, 100.0)
    r2 = np.full((len(period), 50), 0.4)
    arrays = {"r2": r2, "phase": r2, "period": period, "coi": coi, "sfreq": 2.0}
    axes = plots.map_panels({"Session 1": arrays, "Session 2": arrays})
    assert [ax.get_title(loc="left") for ax in axes] == ["Session 1", "Session 2"]
    with pytest.raises(InputError, match="do not fit"):
        plots.map_panels({"Session 1": {**arrays, "phase": r2[:, :9]}})
    with pytest.raises(InputError, match="nothing to draw"):
        plots.map_panels({})


def test_a_session_draws_itself_in_every_kind(tmp_path: Any) -> None:
    import hyperscan as hs

    folder = write_fake(tmp_path, Fake(modality="fnirs", n_dyads=1, n_sessions=2, matrices=4))
    result = hs.read_synchrony(next(folder.glob("dyad-*/ses-*/*.nc")))
    matrix = result.to_matrix("wtc", "slow")
    assert matrix.to_numpy() == pytest.approx(result.get_data("wtc", "slow")[0])
    drawn = result.plot(kind="matrix").images[0].get_array()
    assert np.asarray(drawn) == pytest.approx(matrix.to_numpy())
    heads = result.plot(kind="heads", threshold=float(matrix.to_numpy().max()))
    assert heads.get_title(loc="left").startswith("1 of 16 links: wtc, slow")
    assert result.plot(kind="windows").lines[0].get_ydata() == pytest.approx(result.dataset["roi_z"].to_numpy().ravel())
    assert result.plot(kind="coherence").get_ylabel() == "Period (s)"
    with pytest.raises(InputError, match="Did you mean 'heads'"):
        result.plot(kind="head")
    with pytest.raises(InputError, match="roi = 'all-al' is not in this result"):
        result.plot(kind="windows", roi="all-al")
    with pytest.raises(InputError, match="expected 'therapist' or 'client'"):
        result.positions("patient")
