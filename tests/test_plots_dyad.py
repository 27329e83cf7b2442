"""The sessions of one dyad on common scales."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection

from hyperscan import plots
from hyperscan.errors import InputError
from hyperscan.plots.topographies import PAIR_ROOM, PAIR_SIZE


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
    assert names[:8] == ["Session 1", "Session 2", "O1", "O2", "O1", "O1", "O2", "O2"]
    assert names[8:] == ["Therapist (2 channels)", "Client (2 channels)"]
    # nothing is written outside the axes, where a layout would not see it
    assert all(ax.get_xlim()[0] < text.get_position()[0] < ax.get_xlim()[1] for text in ax.texts)


def test_head_panels_draw_what_has_a_place_and_reaches_the_threshold() -> None:
    xyz = pd.DataFrame([[-0.03, -0.08, 0.05], [0.03, -0.08, 0.05]], index=["O1", "O2"], columns=["x", "y", "z"])
    ax = plots.head_panels(_matrices(), xyz, xyz.assign(x=[-0.03, np.nan]), 0.25)
    titles = [text.get_text() for text in ax.texts if text.get_text().startswith("Session")]
    assert titles == ["Session 1: 1 of 2 pairs ≥ 0.25", "Session 2: 1 of 1 pairs ≥ 0.25"]
    lines = [c for c in ax.collections if isinstance(c, LineCollection)]
    (start, end), (other, _) = (c.get_segments()[0][[0, -1]] for c in lines)
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
