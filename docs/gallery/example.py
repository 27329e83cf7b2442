"""Tables and one session that the other scripts draw: a simulated study, so that every figure has a known truth."""

import tempfile
import warnings

import numpy as np
import pandas as pd

import hyperscan as hs

rng = np.random.default_rng(0)
rows = [
    {"dyad": f"D{d:02d}", "session": s, "metric": "plv", "band": band, "roi_therapist": roi, "roi_client": roi}
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
alpha = table[(table["band"] == "alpha") & (table["roi_therapist"] == "posterior")]

keys = alpha[["dyad", "session"]]
quality = pd.concat([keys.assign(person=person) for person in ("therapist", "client")], ignore_index=True)
quality["clock_ppm"] = 12 + rng.normal(0, 1, len(quality))
quality["clock_residual_ms"] = rng.uniform(0.3, 0.6, len(quality))
quality["channels_kept"] = rng.integers(28, 33, len(quality))
quality["clean_seconds"] = rng.uniform(300, 600, len(quality))
quality["snr_alpha"] = rng.uniform(0.5, 0.7, len(quality))

states = keys.assign(state=np.where(rng.random(len(keys)) < 0.1, "skipped", "used")).drop(keys.index[[5, 17]])

with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
    warnings.simplefilter("ignore")  # a short recording of few channels, which a real one should not be
    path = hs.simulate_study(f"{folder}/study", "growth", n_dyads=1, n_sessions=3)
    last = hs.read_sessions(path / "dyads.tsv")[-1]
    session = hs.compute_synchrony(hs.preprocess_pair(hs.align_pair(hs.load_session(last))), ["plv"])
