"""Hand the channel matrices of a run to mne-connectivity, one file per session and metric.

usage: python scripts/export_connectivity.py OUT DEST [--metrics plv ciplv]
"""

import argparse
from pathlib import Path

import pandas as pd

import hyperscan as hs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, metavar="OUT", help="folder of a run")
    parser.add_argument("dest", type=Path, metavar="DEST", help="folder for the files")
    parser.add_argument("--metrics", nargs="+", metavar="NAME", help="default: all of the run")
    arguments = parser.parse_args()

    n_files = 0
    for path in sorted(arguments.out.glob("dyad-*/ses-*/*.nc")):
        sync = hs.read_synchrony(path)
        for metric in arguments.metrics or sync.metrics:
            connectivity = sync.to_connectivity(metric)
            where = arguments.dest / path.relative_to(arguments.out).parent
            where.mkdir(parents=True, exist_ok=True)
            # only pairs between the two people hold values; connectivity.plot_circle() draws them
            nodes = [[connectivity.names[i] for i in side] for side in connectivity.indices]
            frame = pd.DataFrame(connectivity.get_data(), columns=sync.bands)
            frame.insert(0, "therapist", nodes[0])
            frame.insert(1, "client", nodes[1])
            frame.to_csv(where / f"{path.stem}_{metric}.tsv", sep="\t", index=False)
            n_files += 1
    print(f"{n_files} files in {arguments.dest}")


if __name__ == "__main__":
    main()
