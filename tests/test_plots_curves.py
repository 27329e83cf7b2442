"""Synchrony over the sessions: every dyad, the group, and chance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hyperscan import plots
from hyperscan.errors import InputError
from plots_fixtures import N_DYADS


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
        "each dyad",
        "chance (excess 0)",
        "chance ± 1 SD of pseudo pairs",
        "95 % CI of the slope",
        "group slope +0.020 per session",
        "mean of the dyads, 95 % CI",
    ]


def test_groups_have_colours_and_markers_of_their_own(primary: pd.DataFrame) -> None:
    first = sorted(primary["dyad"].unique())[:2]
    table = primary.assign(arm=primary["dyad"].isin(first).map({True: "active", False: "waiting"}))
    ax = plots.growth_curves(table, {"slope": 0.02, "ci_low": 0.01, "ci_high": 0.03}, by="arm")
    told = [text.get_text() for text in ax.get_legend().get_texts()][:2]
    n = table.groupby("arm")["dyad"].nunique()
    assert told == [f"{arm} ({n[arm]} dyads)" for arm in ("active", "waiting")]
    arm_of = table.groupby("dyad")["arm"].first()
    drawn = {
        (arm_of[str(line.get_label())[1:]], str(line.get_color()), str(line.get_marker()))
        for line in ax.lines
        if str(line.get_label())[1:] in arm_of.index
    }
    for part in zip(*drawn, strict=True):
        assert len(set(part)) == 2
    # the line of all dyads is in neither colour
    (line,) = [line for line in ax.lines if "slope" in str(line.get_label())]
    assert line.get_color() not in {colour for _, colour, _ in drawn}
    with pytest.raises(InputError, match="several values of it"):
        plots.growth_curves(table.assign(arm=table["session"]), by="arm")


def test_a_narrow_figure_has_its_words_below_each_other(primary: pd.DataFrame) -> None:
    from hyperscan.plots.style import new_axes

    ax = plots.growth_curves(primary, {"slope": 0.02, "ci_low": 0.01, "ci_high": 0.03}, new_axes(None, 4.6, 5.2))
    ax.figure.canvas.draw()
    box, width = ax.get_legend().get_window_extent(), ax.figure.get_window_extent().width
    assert 0 <= box.x0 < box.x1 <= width


@pytest.mark.parametrize("draw", [plots.guards_panel, plots.roi_panels])
def test_one_dyad_is_drawn_once(draw: Any) -> None:
    rows = pd.DataFrame({"dyad": "A", "session": [1, 2, 3], "excess_z": [0.1, 0.2, 0.1], "control_excess_z": 0.0})
    axes = draw(rows.assign(roi_therapist="all", roi_client="all"))
    told = [text.get_text() for text in axes[0].figure.legends[0].get_texts()]
    assert "each dyad" not in told
    assert "1 dyad" in told


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


def test_axes_given_are_used(primary: pd.DataFrame) -> None:
    ax = Figure().add_subplot()
    assert plots.growth_curves(primary, ax=ax) is ax


@pytest.mark.parametrize("label", ["$\\frac{", "a\nb", "<script>", "x" * 400, "]]>"])
def test_hostile_dyad_names_are_drawn_as_text(primary: pd.DataFrame, label: str) -> None:
    svg = plots.save_svg(plots.dyad_panels(primary.assign(dyad=label)))
    assert "<script>" not in svg
    assert "x" * 40 not in svg


def test_a_session_over_another_chance_level_is_hollow_and_in_no_mean(primary: pd.DataFrame) -> None:
    odd = (primary["dyad"] == "D2") & (primary["session"] == 3)
    assert odd.sum() == 1
    table = primary.assign(n_pseudo=np.where(odd, 0, 6), excess_z=primary["excess_z"].where(~odd, 9.0))
    ax, without = _growth(table), _growth(primary[~odd])
    assert ax.get_title(loc="left") == without.get_title(loc="left") == "5 dyads, 19 dyad-sessions"
    drawn = {str(line.get_label()): line for line in ax.lines}
    (hollow,) = [line for label, line in drawn.items() if label.startswith("left out of growth")]
    assert (list(hollow.get_xdata()), list(hollow.get_ydata())) == ([3], [9.0])
    assert hollow.get_markerfacecolor() != drawn["_D2"].get_color()
    for line in without.lines:
        if not str(line.get_label()).startswith("_missing"):
            assert drawn[str(line.get_label())].get_ydata() == pytest.approx(line.get_ydata(), nan_ok=True)
    for draw in (plots.session_means, plots.session_band_heatmap, plots.roi_panels):
        labels = {"band": "alpha", "roi_therapist": "a", "roi_client": "a"}
        axes = [draw(rows.assign(**labels)) for rows in (table, table[~odd])]
        one, other = (each[0] if isinstance(each, list) else each for each in axes)
        for a, b in zip(one.lines, other.lines, strict=True):
            np.testing.assert_array_equal(a.get_ydata(), b.get_ydata())
        assert [a.get_text() for a in one.texts] == [b.get_text() for b in other.texts]
    # where all have the lag null as chance, all are drawn
    assert _growth(primary.assign(n_pseudo=0)).get_title(loc="left") == "5 dyads, 20 dyad-sessions"


@pytest.mark.parametrize("columns", [1, 4, 20, 100])
def test_names_of_narrow_panels_are_short_and_told_apart(primary, columns: int) -> None:
    dyads = [f"a very long name of a dyad, number {k:02d}" for k in range(primary["dyad"].nunique())]
    named = primary.assign(dyad=primary["dyad"].map(dict(zip(primary["dyad"].unique(), dyads, strict=True))))
    titles = [ax.get_title(loc="left") for ax in plots.dyad_panels(named, columns=columns)]
    assert len(set(titles)) == len(dyads)
    assert max(map(len, titles)) <= max(5, 75 // min(columns, len(dyads)))
