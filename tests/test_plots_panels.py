"""Small multiples: clocks, quality, guards, power."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from hyperscan import plots
from hyperscan.plots.panels import GUARDS_SHOWN, QUALITY_SHOWN
from hyperscan.schema import COLUMNS, TABLES
from plots_fixtures import N_DYADS


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


def test_power_curves_one_per_slope() -> None:
    sizes = [(n, s) for n in (6, 12) for s in (0.01, 0.02)]
    table = pd.DataFrame([{"n_dyads": n, "slope": s, "power": n * s, "n_sim": 100} for n, s in sizes])
    ax = plots.power_curves(table, by="slope")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["slope 0.01", "slope 0.02"]
    assert list(ax.lines[1].get_ydata()) == pytest.approx([0.12, 0.24])


def test_every_measure_that_is_drawn_has_words_and_a_unit() -> None:
    for column in (*GUARDS_SHOWN, *QUALITY_SHOWN, "clock_ppm", "clock_residual_ms"):
        assert column in COLUMNS
        assert re.search(r"\((?!.*\().+\)$", COLUMNS[column].label), column
    assert set(GUARDS_SHOWN) <= set(TABLES["guards"])
    assert set(QUALITY_SHOWN) <= set(TABLES["quality"])
