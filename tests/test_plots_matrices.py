"""Values on a grid, and which sessions there are."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hyperscan import plots
from hyperscan.errors import InputError
from plots_fixtures import N_SESSIONS


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


def test_missing_grid_counts() -> None:
    states = pd.DataFrame({"dyad": list("AAB"), "session": [1, 2, 1], "state": ["used", "skipped", "used"]})
    ax = plots.missing_session_grid(states)
    assert ax.get_title(loc="left") == "2 of 3 dyad-sessions used"
    assert [len(line.get_xdata()) for line in ax.lines] == [2, 1]
