"""What the columns of a run's tables are called."""

from __future__ import annotations

#: What tells one row of a table from all others.
KEYS = ("dyad", "session", "modality", "task", "run")

#: Columns of ``synchrony.tsv`` before the covariates, in their order.
SYNCHRONY_COLUMNS = (
    "dyad",
    "therapist",
    "client",
    "session",
    "days",
    "modality",
    "task",
    "run",
    "signal",
    "metric",
    "band",
    "roi_therapist",
    "roi_client",
    "estimate",
    "z",
    "pseudo_mean_z",
    "pseudo_sd_z",
    "n_pseudo",
    "excess_z",
    "lag_estimate",
    "lag_p",
    "n_windows",
    "window_s",
    "seconds",
    "flags",
)
