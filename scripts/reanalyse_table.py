"""Ask for a verdict on every value column of a table from elsewhere.

usage: python scripts/reanalyse_table.py TABLE --value COLUMN [COLUMN ...] [--dyad dyad] [--session session]
"""

import argparse
from pathlib import Path

import pandas as pd

import hyperscan as hs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", type=Path, metavar="TABLE", help="tidy .tsv or .csv: one row per dyad and session")
    parser.add_argument("--value", nargs="+", required=True, metavar="COLUMN", help="columns that may grow")
    parser.add_argument("--dyad", default="dyad", metavar="COLUMN", help="column of the dyad")
    parser.add_argument("--session", default="session", metavar="COLUMN", help="column of the session number")
    parser.add_argument("-o", "--output", type=Path, metavar="OUT", help="one folder inside per column")
    arguments = parser.parse_args()

    # the separator is told by the first line
    table = pd.read_csv(arguments.table, sep=None, engine="python")
    for column in arguments.value:
        growth = hs.fit_growth(table, value=column, dyad=arguments.dyad, session=arguments.session)
        print(f"{column}: {growth.summary()}\n")
        if arguments.output is not None:
            growth.save(arguments.output / column)


if __name__ == "__main__":
    main()
