"""A study and one session that the other scripts draw: simulated, so that every figure has a known truth."""

import tempfile
import warnings

import numpy as np
import pandas as pd

import hyperscan as hs
from hyperscan.results.plan import Plan, Skip
from hyperscan.schema import Outcome

rng = np.random.default_rng(0)
labels = {"modality": "eeg", "task": "", "run": "", "signal": "eeg", "metric": "plv"}
rows = [
    {"dyad": f"D{d:02d}", "session": s, **labels, "band": band, "roi_therapist": roi, "roi_client": roi}
    for d in range(1, 9)
    for s in range(1, 7)
    for band in ("theta", "alpha", "beta")
    for roi in ("all", "frontal", "posterior")
]
table = pd.DataFrame(rows)
strength = 0.02 * (table["band"] == "alpha") * table["roi_therapist"].map({"all": 0.5, "frontal": 0.2, "posterior": 1})
table["pseudo_mean_z"], table["pseudo_sd_z"] = 0.13 + rng.normal(0, 0.004, len(table)), 0.02
table["excess_z"] = strength * table["session"] + rng.normal(0, 0.015, len(table))
table["z"] = table["pseudo_mean_z"] + table["excess_z"]

shape = np.exp(-((8 * np.linspace(-1, 1, 33) - 0.6) ** 2))  # the therapist leads by 75 ms
lags = table[(table["band"] == "alpha") & (table["roi_therapist"] == "posterior")].drop(columns="z")
lags = lags.merge(pd.DataFrame({"lag_s": np.linspace(-1, 1, 33), "shape": shape}), how="cross")
lags["profile_excess_z"] = lags["shape"] * lags["excess_z"] + rng.normal(0, 0.006, len(lags))
lags["profile_pseudo_z"], lags["profile_pseudo_sd_z"] = 0.05 + rng.normal(0, 0.002, len(lags)), 0.02
lags["profile_z"] = lags["profile_pseudo_z"] + lags["profile_excess_z"]

keys = table[["dyad", "session", "modality", "task", "run"]].drop_duplicates(ignore_index=True)
quality = pd.concat([keys.assign(person=person) for person in ("therapist", "client")], ignore_index=True)
quality["clock_ppm"] = 12 + rng.normal(0, 1, len(quality))
quality["clock_residual_ms"] = rng.uniform(0.3, 0.6, len(quality))
quality["channels_kept"] = rng.integers(28, 33, len(quality))
quality["clean_seconds"] = rng.uniform(300, 600, len(quality))
quality["snr_alpha"] = rng.uniform(0.5, 0.7, len(quality))

# two sessions were lost, and in a real study these tables come from hs.run_study
lost = keys.iloc[[5, 17]]
table = table[~table.set_index(["dyad", "session"]).index.isin(lost.set_index(["dyad", "session"]).index)]
primary = Outcome("plv", "alpha", "posterior-posterior", signal="eeg", modality="eeg")
plan = Plan("0.1.0", primary, skipped=tuple(Skip(**row, reason="too short") for row in lost.to_dict("records")))
study = hs.StudyResult(table, pseudo=pd.DataFrame(), guards=pd.DataFrame(), quality=quality, plan=plan, lags=lags)

with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
    warnings.simplefilter("ignore")  # few channels, which a real recording should not have
    path = hs.simulate_study(f"{folder}/study", "growth", n_dyads=1, n_sessions=3, duration_s=300)
    pair = hs.preprocess_pair(hs.align_pair(hs.load_session(hs.read_sessions(path / "dyads.tsv")[-1])))
