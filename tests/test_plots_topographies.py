"""Two heads, their sensors and the links between them."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.collections import LineCollection

from hyperscan import plots


def test_two_heads_draws_the_links_at_or_above_the_threshold() -> None:
    links = np.array([[0.5, 0.2], [np.nan, 0.9]])
    here = np.array([[0.0, 0.5], [0.5, 0.0]])
    ax = plots.two_heads(links, here, here, 0.5)
    (lines,) = [c for c in ax.collections if isinstance(c, LineCollection)]
    ends = sorted(np.round(segment[[0, -1]], 6).tolist() for segment in lines.get_segments())
    assert ends == [[[0.0, 0.5], [3.0, 0.5]], [[0.5, 0.0], [3.5, 0.0]]]
    for segment in lines.get_segments():  # bent, so that crossing links are told apart
        assert segment[7, 1] > segment[[0, -1], 1].max()
    assert ax.get_title(loc="left").startswith("2 of 4 links")


def test_positions_in_space_keep_their_angle_from_the_vertex() -> None:
    equator, vertex = [0.09, 0.0, 0.0], [0.0, 0.0, 0.09]
    ax = plots.two_heads(np.zeros((2, 1)), np.array([equator, vertex]), np.array([vertex]), 1.0)
    drawn = ax.collections[0].get_offsets()
    assert np.asarray(drawn) == pytest.approx(np.array([[1.0, 0.0], [0.0, 0.0]]), abs=1e-12)


def test_flat_positions_tell_a_head_from_a_probe() -> None:
    around = np.array([[0.09, 0.0, 0.0], [0.0, 0.0, 0.09]])
    assert plots.flat_positions(around) == pytest.approx(np.array([[1.0, 0.0], [0.0, 0.0]]), abs=1e-12)
    assert plots.flat_positions(around + np.array([0.2, 0.1, 0.2]))[:, 0] == pytest.approx([0.8, -0.8])
    assert np.isnan(plots.flat_positions(np.full((2, 3), np.nan))).all()


def test_names_of_crowded_channels_hide_neither_each_other_nor_a_mark() -> None:
    rng = np.random.default_rng(3)
    spots = np.column_stack([rng.uniform(-0.2, 0.2, 14), rng.uniform(0.6, 0.9, 14)])
    names = [f"S{k}_D{k}" for k in range(14)]
    ax = plots.two_heads(rng.random((14, 14)), spots, spots, 0.2, names=(names, names))
    ax.figure.canvas.draw()
    boxes = [text.get_window_extent() for text in ax.texts if text.get_text() in names]
    assert len(boxes) > 8
    assert not [1 for i, one in enumerate(boxes) for other in boxes[:i] if one.overlaps(other)]
    marks = ax.transData.transform(np.concatenate([spots, spots + np.array([3.0, 0.0])]))
    assert not [1 for box in boxes for mark in marks if box.contains(*mark)]
