"""One look, equal bytes, and nothing global touched."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from hyperscan import plots
from hyperscan.errors import InputError
from hyperscan.plots import style
from report_fixtures import contrast

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


def test_dark_variant_draws_in_its_own_colours(primary: pd.DataFrame) -> None:
    with plots.figure_style("dark") as colours:
        ax = plots.growth_curves(primary)
    assert ax.lines[0].get_color() == colours.real == "#56b4e9"


def test_unknown_time_and_variant_are_refused(primary: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="time = 'months': expected 'session' or 'weeks'"):
        plots.growth_curves(primary, time="months")
    with pytest.raises(InputError, match="Did you mean 'dark'"), plots.figure_style("drak"):
        pass


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


@pytest.mark.parametrize("name", DRAW)
def test_pyplot_knows_every_figure(
    name: str, primary: pd.DataFrame, table: pd.DataFrame, quality: pd.DataFrame
) -> None:
    """plt.show(), a notebook and plt.savefig show what was drawn, small multiples too."""
    drawn = DRAW[name]({"primary": primary, "table": table, "quality": quality})
    figure = style.finish(drawn, show=True)
    assert figure is plt.gcf()
    buffer = io.BytesIO()
    plt.savefig(buffer, format="png", dpi=40)
    buffer.seek(0)
    pixels = plt.imread(buffer, format="png")
    assert len(np.unique(pixels.reshape(-1, pixels.shape[-1]), axis=0)) > 10


def test_the_figures_of_a_page_need_no_pyplot() -> None:
    code = (
        "import sys, numpy as np; from hyperscan import plots; from hyperscan.plots.style import detached\n"
        "with detached(): plots.save_svg(plots.time_course(np.arange(3.0), np.arange(3.0)))\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
