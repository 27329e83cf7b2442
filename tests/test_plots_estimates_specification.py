"""The specification curve: everything in order, nothing left out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hyperscan.errors import TableError
from hyperscan.plots import specification_curve
from hyperscan.words import VERDICT_GROUPS, VERDICTS


def table(n: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    verdicts = list(VERDICTS)
    return pd.DataFrame(
        {
            "standardised": rng.normal(0.5, 0.4, n),
            "verdict": [verdicts[i % len(verdicts)] for i in range(n)],
            "primary": [i == 3 for i in range(n)],
            "window_s": [["9", "10", "20"][i % 3] for i in range(n)],
            "eeg_reference": [["average", "recorded"][i % 2] for i in range(n)],
        }
    )


@pytest.mark.parametrize("n", [12, 72, 200])
def test_every_analysis_is_drawn_once_with_its_choices(n: int) -> None:
    rows = table(n)
    curve, verdicts, matrix, bars = specification_curve(rows, {"window_s": 0.6, "eeg_reference": 0.1})
    drawn = np.concatenate([np.ma.getdata(found.get_offsets()) for found in curve.collections])
    assert len(drawn) == n
    ordered = drawn[np.argsort(drawn[:, 0])]
    assert ordered[:, 1] == pytest.approx(np.sort(rows["standardised"]))
    assert sum(len(found.get_offsets()) for found in matrix.collections) == 2 * n
    # numbers by size, not by letter
    assert [label.get_text().split()[-1] for label in matrix.get_yticklabels()][:3] == ["9", "10", "20"]
    assert [text.get_text() for text in bars.texts] == ["60%", "10%"]
    assert sum(patch.get_height() for patch in verdicts.patches) == pytest.approx(1)
    assert len(curve.get_legend().get_texts()) == len([g for g in VERDICT_GROUPS if g.verdicts != ("",)])


def test_a_table_without_slopes_is_refused() -> None:
    with pytest.raises(TableError, match="standardised"):
        specification_curve(pd.DataFrame({"verdict": ["grows"], "primary": [True]}), {})
