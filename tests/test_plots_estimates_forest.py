"""Estimates with their intervals, one line each."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hyperscan import plots
from hyperscan.errors import TableError


def test_every_row_has_its_line_and_what_is_not_clear_is_hollow() -> None:
    rows = pd.DataFrame(
        {
            "label": ["bdi, same session", "bdi, between", "wai, same session"],
            "part": ["bdi", "bdi", "wai"],
            "slope": [-0.3, 0.1, np.nan],
            "ci_low": [-0.5, -0.1, np.nan],
            "ci_high": [-0.1, 0.3, np.nan],
            "clear": [True, False, False],
        }
    )
    ax = plots.forest_plot(rows, label_x="SD per SD")
    assert [text.get_text() for text in ax.get_yticklabels()] == rows["label"].tolist()
    first, second, third = ax.get_yticks()
    assert third - second > second - first
    spans = [line.get_xdata() for line in ax.lines[:-1:2]]
    np.testing.assert_array_equal(spans[:2], rows[["ci_low", "ci_high"]][:2])
    faces = [line.get_markerfacecolor() for line in ax.lines[1:-1:2]]
    assert faces[0] != faces[1] == faces[2]
    assert ax.get_xlabel() == "SD per SD"
    assert ax.get_ylim()[0] > ax.get_ylim()[1]
    with pytest.raises(TableError, match="ci_high"):
        plots.forest_plot(rows.drop(columns="ci_high"))
