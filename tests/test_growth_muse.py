"""A published study's tables: synchrony does not change, trust does, with the published numbers."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from scipy import stats

from hyperscan.growth.reml import fit_slope

FILE = "preprocessed_interpolate_bandpass_.1_20/merged_corr_df_1s_epoch.csv"

# slope, p, and whether the variance between dyads is zero, of the published model y ~ ses + (1 | dyad)
PUBLISHED = {
    "TP9": (-0.0075, 0.23, False),
    "AF7": (-0.0074, 0.44, False),
    "AF8": (0.0016, 0.85, True),
    "TP10": (-0.0052, 0.37, True),
    "affective_trust": (0.178, 0.0, False),
    "cognitive_trust": (0.070, 0.016, False),
}


@pytest.fixture(scope="module")
def muse(shared: Path) -> pd.DataFrame:
    file = shared / "data" / "tables" / "muse_artgram" / FILE
    if not file.is_file():
        pytest.skip("the published tables are not here")
    return pd.read_csv(file)


def rows_of(muse: pd.DataFrame, column: str) -> pd.DataFrame:
    """Rows the authors used: good signal, correlations within 0.4; for trust, unknown ones were kept."""
    size = muse[["TP9", "AF7", "AF8", "TP10"]].abs()
    good = muse["Signal Drop"] != 1
    if column.endswith("trust"):
        return muse[good & ~(size > 0.4).any(axis=1) & muse[column].notna()]
    return muse[good & muse["Signal Drop"].notna() & (size <= 0.4).all(axis=1)]


@pytest.mark.parametrize("column", PUBLISHED)
def test_published_model(muse: pd.DataFrame, column: str) -> None:
    slope, p, singular = PUBLISHED[column]
    rows = rows_of(muse, column)
    fit = fit_slope(rows[column], rows["ses"] - 1.0, rows["subj"], slope="none")
    assert fit.estimate[1] == pytest.approx(slope, abs=6e-4 if column.endswith("trust") else 6e-5)
    # the published p are of a normal distribution
    assert 2 * stats.norm.sf(abs(fit.t[1])) == pytest.approx(p, abs=6e-3)
    assert fit.singular == singular
    assert fit.converged
