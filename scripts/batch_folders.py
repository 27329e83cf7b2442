"""Run several study folders one after the other and list their verdicts.

usage: python scripts/batch_folders.py STUDY [STUDY ...] -o OUT [--jobs N]
"""

import argparse
from pathlib import Path

import pandas as pd

import hyperscan as hs
from hyperscan.errors import HyperscanError
from hyperscan.pipeline import load_study


def verdict_of(study: Path, out: Path, n_jobs: int) -> dict[str, object]:
    """Run one study, with the settings beside its table, and return what its growth.json concludes."""
    table, config = load_study(study)
    result = hs.run_study(table.sessions, config, out=out, n_jobs=n_jobs, rejected=table.rejected)
    growth = hs.fit_growth(result.table, guards=result.guards, quality=result.quality, primary=config.primary)
    numbers = {name: growth.primary[name] for name in ("slope", "ci_low", "ci_high", "p", "n_dyads", "n_sessions")}
    return {"verdict": growth.verdict, **numbers, "skipped": len(result.skipped)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("studies", type=Path, nargs="+", metavar="STUDY", help="folder with a dyads.tsv")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="one folder inside per study")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="worker processes")
    arguments = parser.parse_args()
    rows = []
    for study in arguments.studies:
        try:
            row = verdict_of(study, arguments.output / study.name, arguments.jobs)
        except HyperscanError as error:  # the other studies go on
            row = {"verdict": f"not analysed: {error}"}
        rows.append({"study": study.name, **row})
    frame = pd.DataFrame(rows)
    frame.to_csv(arguments.output / "verdicts.tsv", sep="\t", index=False)
    print(frame.to_string(index=False))


if __name__ == "__main__":
    main()
