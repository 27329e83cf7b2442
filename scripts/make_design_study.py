"""Write a simulated study of two arms, two tasks per recording and symptoms: what `hyperscan run` compares.

usage: python scripts/make_design_study.py DEST [--dyads 16] [--sessions 6] [--seconds 60]
"""

import argparse
from pathlib import Path

import edfio
import numpy as np
import pandas as pd

from hyperscan.simulate import EegTruth, simulate_eeg
from hyperscan.simulate.study import CH_NAMES

SFREQ = 128
SETTINGS = """window_s = 10.0
primary = {metric = "plv", band = "alpha", roi = "posterior-posterior", task = "talk"}
metrics = ["plv", "ciplv"]
bands = {alpha = [8.0, 12.0]}
group = "arm"
reference = "control"
outcomes = ["bdi"]
contrasts = {talk_minus_rest = {talk = 1, rest = -1}}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dest", type=Path, metavar="DEST", help="folder to make")
    for name, usual in (("dyads", 16), ("sessions", 6), ("seconds", 60)):
        parser.add_argument(f"--{name}", type=int, default=usual)
    asked = parser.parse_args()
    rng, rows = np.random.default_rng(19), []
    for d in range(asked.dyads):
        arm, own = ("control", "active")[d % 2], rng.normal(0, 0.03)
        for s in range(asked.sessions):
            # talk couples more and, in the active arm, more from session to session; symptoms follow the coupling
            fractions = {
                "rest": 0.15,
                "talk": np.clip(0.25 + own + (0.02, 0.11)[d % 2] * s + rng.normal(0, 0.05), 0, 1),
            }
            bdi = round(28 - 18 * fractions["talk"] - 0.8 * s + rng.normal(0, 1.5), 1)
            parts = [
                simulate_eeg(EegTruth(coupled_fraction=float(f)), CH_NAMES, SFREQ, asked.seconds, rng)
                for f in fractions.values()
            ]
            spans = [edfio.EdfAnnotation(k * asked.seconds, asked.seconds, task) for k, task in enumerate(fractions)]
            folder = asked.dest / f"dyad-{d + 1:02d}" / f"ses-{s + 1:02d}"
            folder.mkdir(parents=True)
            for k, role in enumerate(("therapist", "client")):
                data = np.concatenate([part[k] for part in parts], axis=1) * 1e6
                limit = (-float(np.ceil(np.abs(data).max())), float(np.ceil(np.abs(data).max())))
                told = {"sampling_frequency": SFREQ, "physical_dimension": "uV", "physical_range": limit}
                signals = [edfio.EdfSignal(x, label=ch, **told) for x, ch in zip(data, CH_NAMES, strict=True)]
                edfio.Edf(signals, annotations=spans).write(folder / f"{role}.edf")
            labels = {
                "dyad": f"D{d + 1:02d}",
                "therapist": f"T{d + 1:02d}",
                "client": f"C{d + 1:02d}",
                "session": s + 1,
            }
            files = {f"{role}_file": f"{folder.relative_to(asked.dest)}/{role}.edf" for role in ("therapist", "client")}
            told = {"modality": "eeg", **files, "clock": "same_amplifier", "arm": arm, "bdi": bdi}
            rows += [{**labels, "task": t, "segment_event": t, **told, "order": k + 1} for k, t in enumerate(fractions)]
    pd.DataFrame(rows).to_csv(asked.dest / "dyads.tsv", sep="\t", index=False)
    (asked.dest / "study.toml").write_text(SETTINGS, encoding="utf-8")


if __name__ == "__main__":
    main()
