"""A run's folder: the one reader of what a run left."""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hyperscan.config import StudyConfig
from hyperscan.errors import DataQualityWarning, InputError
from hyperscan.results.plan import Plan, Remark
from hyperscan.results.session import SynchronyResult, read_synchrony
from hyperscan.schema import (
    CELL_COLUMNS,
    COLUMNS,
    INDEX_COLUMNS,
    KEYS,
    NO_CONTROL,
    OUTCOME_COLUMNS,
    TABLES,
    Outcome,
    column_of,
)
from hyperscan.storage import load_table, read_json, sha256

if TYPE_CHECKING:
    import pandas as pd

_DIGITS = re.compile(r"(\d+)")

#: File that a run writes last: without it, settings and tables may be of two runs.
RECORD = "run.json"

#: Page to look around in the results, made on demand.
VIEW = "view.html"

#: Page of a multiverse, in the folder that holds its runs.
MULTIVERSE_PAGE = "multiverse.html"

#: What was found on an index of each person alone, as ``growth.json`` is written.
WITHIN = "persons.json"

#: Labels that tell rows apart, and what every row says of a person: every run writes those that its table has.
LABELS = (
    *(*KEYS, "therapist", "client", *OUTCOME_COLUMNS, *CELL_COLUMNS, *INDEX_COLUMNS),
    *("person", "partner_dyad", "which", "grade", "reason"),
)


def check_table(name: str, table: pd.DataFrame) -> None:
    """Refuse a table of a run that lacks labels, or holds something else than numbers where its columns are numbers."""
    import pandas as pd

    missing = [column for column in TABLES[name] if column in LABELS and column not in table]
    if missing:
        raise InputError(
            f"{name}.tsv: lacks the columns {', '.join(missing)}, which every run writes. Run the analysis again."
        )
    for column in table if name == "quality" else table.columns.intersection(list(TABLES[name])):
        if column_of(column).text or table.empty:
            continue
        numbers = pd.to_numeric(table[column], errors="coerce")
        wrong = numbers.isna() & table[column].notna()
        if table[column].dtype == bool:
            wrong |= True
        if column == "session":
            wrong |= ~(numbers >= 1) | (numbers % 1 != 0)
        if wrong.any():
            what = "a whole number from 1 on" if column == "session" else "a number, or n/a where there is none"
            raise InputError(
                f"{name}.tsv: {column} is not {what} in line {int(wrong.to_numpy().argmax()) + 2}. "
                "Run the analysis again."
            )


@dataclass(frozen=True)
class RunFolder:
    """The files of a run, each read when it is first asked for; an absent one is empty, never invented."""

    path: Path

    def check_there(self) -> None:
        """Refuse a folder without the tables and the plan of a run, which need not be finished."""
        missing = [f"{name}.tsv" for name in TABLES if not (self.path / f"{name}.tsv").is_file()]
        if missing or not (self.path / "plan.json").is_file():
            raise InputError(
                f"{self.path.resolve().name}: holds no finished run ({', '.join(missing) or 'plan.json'} missing). "
                "Name the folder given to run -o, or start that run again to finish it. Of an analysis of a multiverse "
                "make a run: hyperscan run STUDY -o NEW --config universes/u001.toml."
            )

    def check_whole(self, tables: Collection[str] = tuple(TABLES)) -> None:
        """Refuse a folder whose run did not end; warn of settings, and some tables, that are not as it wrote them."""
        name, recorded = self.path.resolve().name, self._json(RECORD).get("outputs")
        if not isinstance(recorded, dict):
            raise InputError(
                f"{name}: its run was interrupted or goes on ({RECORD} missing), so tables, settings and report may be "
                "of two runs.\nStart that run again to finish it: hyperscan run STUDY -o FOLDER."
            )
        known = (f"{table}.tsv" for table in TABLES if table in tables)
        read = ("config.toml", "plan.json", "growth.json", WITHIN, *known)
        paths = {file: self.path / file for file in read if file in recorded}
        changed = [file for file, path in paths.items() if not path.is_file() or sha256(path) != recorded[file]]
        if changed:
            warnings.warn(
                f"{name}: {', '.join(changed)} not as the run wrote it ({RECORD}). Start the run again if that was "
                "not meant.",
                DataQualityWarning,
                stacklevel=2,
            )

    @cached_property
    def table(self) -> pd.DataFrame:
        """Synchrony."""
        return self._table("synchrony")

    @cached_property
    def pseudo(self) -> pd.DataFrame:
        """Re-paired dyads, of every outcome."""
        return self._table("pseudo")

    @cached_property
    def lags(self) -> pd.DataFrame:
        """Lag profiles of the primary ROI pair."""
        return self._table("lags")

    @cached_property
    def guards(self) -> pd.DataFrame:
        """What the guards' slopes are taken of."""
        table = self._table("guards")
        table.attrs[NO_CONTROL] = self.plan.no_control
        return table

    @cached_property
    def within(self) -> pd.DataFrame:
        """Indices of each person alone."""
        return self._table("within")

    @cached_property
    def quality(self) -> pd.DataFrame:
        """One row per dyad-session and person."""
        return self._table("quality")

    @cached_property
    def plan(self) -> Plan:
        """Decisions of the run; one that cannot be read is empty and says so among its findings."""
        if not (self.path / "plan.json").is_file():
            return Plan("", Outcome())
        try:
            return Plan.load(self.path / "plan.json")
        except InputError as error:
            return Plan("", Outcome(), findings=(Remark("unreadable", "warning", str(error)),))

    @cached_property
    def config_text(self) -> str:
        """``config.toml`` as it is."""
        path = self.path / "config.toml"
        return path.read_text(encoding="utf-8") if path.is_file() else ""

    @cached_property
    def config(self) -> StudyConfig:
        """Effective settings; the defaults where they were not kept."""
        return StudyConfig.from_toml(self.path / "config.toml") if self.config_text else StudyConfig()

    @cached_property
    def versions(self) -> dict[str, str]:
        """Versions of what made the folder, by name, ours first."""
        made_by = self._json("dataset_description.json").get("GeneratedBy")
        made_by = made_by if isinstance(made_by, list) else []
        return {str(one.get("Name", "")): str(one.get("Version", "")) for one in made_by if isinstance(one, dict)}

    @property
    def dyads(self) -> list[str]:
        """Every dyad that is named anywhere, in order."""
        names = {skip.dyad for skip in self.plan.skipped}
        for table in (self.table, self.quality):
            if "dyad" in table:
                names |= set(table["dyad"].astype(str))
        return sorted(names - {""})

    def sessions_of(self, dyad: str, session: int | None = None) -> list[SynchronyResult]:
        """Read the full matrices of a dyad's sessions, or of one of them, in order."""
        number = "*" if session is None else f"{session:02d}"
        found = self.path.glob(f"dyad-{dyad}/ses-{number}/*_synchrony.nc")
        # by number: ses-100 comes after ses-99
        order = sorted(found, key=lambda path: [int(p) if k % 2 else p for k, p in enumerate(_DIGITS.split(str(path)))])
        return [read_synchrony(path) for path in order]

    def pseudo_of(self, outcome: Outcome) -> pd.DataFrame:
        """Re-paired dyads of one outcome; the whole table, which may be huge, is never in memory."""
        return self._table("pseudo", outcome)

    def _table(self, name: str, outcome: Outcome | None = None) -> pd.DataFrame:
        import pandas as pd

        path = self.path / f"{name}.tsv"
        texts = [column for column in TABLES[name] if COLUMNS[column].text]
        if not path.is_file():
            return pd.DataFrame()
        table = load_table(path, *texts, keep=None if outcome is None else partial(Outcome.select, outcome))
        check_table(name, table)
        return table

    def _json(self, name: str) -> dict[str, Any]:
        """Content of a JSON file of the folder; empty where it is absent, or holds something else than a mapping."""
        path = self.path / name
        return read_json(path) if path.is_file() else {}
