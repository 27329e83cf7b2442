"""Tables of growth analyses, with known slopes."""

from __future__ import annotations

import numpy as np
import pandas as pd


def table(slope=0.05, n=8, sessions=6, sd=0.05, seed=0, slope_sd=0.01, **columns) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    steps = rng.normal(slope, slope_sd, n)
    rows = [(f"D{d:02d}", s, steps[d] * s + rng.normal(0, sd)) for d in range(n) for s in range(1, sessions + 1)]
    return pd.DataFrame(rows, columns=["dyad", "session", "excess_z"]).assign(**columns)


def many(metrics=("plv", "ciplv"), bands=("theta", "alpha"), rois=("posterior", "all"), seed=0, **more) -> pd.DataFrame:
    parts = []
    for k, (m, b, r) in enumerate((m, b, r) for m in metrics for b in bands for r in rois):
        part = table(0.05 if (m, b, r) == ("plv", "alpha", "posterior") else 0.0, seed=seed + k, **more)
        parts.append(
            part.assign(modality="eeg", task="", run="", signal="eeg", metric=m, band=b, roi_therapist=r, roi_client=r)
        )
    return pd.concat(parts, ignore_index=True)
