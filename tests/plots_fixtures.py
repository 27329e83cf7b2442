"""A small study as plots take it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

N_DYADS, N_SESSIONS = 5, 4


@pytest.fixture(scope="module", name="table")
def plots_table() -> pd.DataFrame:
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


@pytest.fixture(scope="module", name="primary")
def plots_primary(table: pd.DataFrame) -> pd.DataFrame:
    return table[(table["band"] == "alpha") & (table["roi_therapist"] == "posterior")]


@pytest.fixture(scope="module", name="quality")
def plots_quality(primary: pd.DataFrame) -> pd.DataFrame:
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
