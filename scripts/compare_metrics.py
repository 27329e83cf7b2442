"""Analyse one study with several metrics and compare what each says about growth.

usage: python scripts/compare_metrics.py STUDY -o OUT --metrics plv ciplv aec
"""

import argparse
import dataclasses
from pathlib import Path

import pandas as pd

import hyperscan as hs
from hyperscan.metrics import METRICS
from hyperscan.pipeline import load_study


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", type=Path, metavar="STUDY", help="folder with a dyads.tsv")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="folder for the run")
    parser.add_argument("--metrics", nargs="+", default=["plv", "ciplv", "aec"], metavar="NAME")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="worker processes")
    arguments = parser.parse_args()

    table, config = load_study(arguments.study)
    modality = table.sessions[0].modality
    named = config.primary_of(modality)
    # the primary metric is always computed; the verdict is about it, the others are compared with it
    wanted = list(dict.fromkeys([named.metric, *arguments.metrics]))
    config = dataclasses.replace(config, metrics=wanted)
    study = hs.run_study(table.sessions, config, out=arguments.output, n_jobs=arguments.jobs)

    rows = []
    for metric in wanted:
        growth = hs.fit_growth(study.table, primary=dataclasses.replace(named, metric=metric))
        numbers = {name: growth.primary[name] for name in ("slope", "ci_low", "ci_high", "p")}
        blind = "no" if METRICS[metric].zero_lag_blind else "yes"
        rows.append({"metric": metric, "sees_lag_0": blind, **numbers, "verdict": growth.verdict})
    frame = pd.DataFrame(rows)
    frame.to_csv(arguments.output.with_name(f"{arguments.output.name}_metrics.tsv"), sep="\t", index=False)
    print(f"{named.band}, {named.roi}; guards belong to {named.metric} and are left out here")
    print(frame.to_string(index=False, float_format="{:.4g}".format))


if __name__ == "__main__":
    main()
