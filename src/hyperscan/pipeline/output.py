"""A run's folder: where it may write, its log, and the tables joined from all units."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import platform
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

import hyperscan
from hyperscan.errors import HyperscanError, OutputError
from hyperscan.growth.contrasts import contrast_rows
from hyperscan.pipeline.decisions import told_of
from hyperscan.pipeline.lock import LOCK_NAME
from hyperscan.pipeline.summary import Attempt, Summary
from hyperscan.pipeline.together import PAIRS
from hyperscan.pipeline.unit import ABSENT, UNIT_TABLES, Unit, package_versions, read_manifest, remove_unit, units_of
from hyperscan.results.folder import RunFolder
from hyperscan.results.plan import Skip
from hyperscan.schema import DECISIONS, TABLES, Column, SessionKey, column_of
from hyperscan.storage import (
    PARTIAL_PREFIX,
    load_table,
    odd_kind,
    remove_files,
    sweep,
    table_text,
    write_json,
    write_table,
    write_text,
)
from hyperscan.study import Session

logger = logging.getLogger(__name__)

LOGS = "logs"

#: Prepared signals and batches of pairs live here while a run lasts.
WORK = "work"

#: Units among them that are computed and wait for all others: results change together, or not at all.
FRESH = "units"

#: Folder of the analyses of a multiverse, each a run of its own.
UNIVERSES = "universes"


class RunLog:
    """A file of lines with their times in UTC."""

    def __init__(self, out: Path, **facts: object) -> None:
        now = datetime.now(UTC)
        self.path = out / LOGS / f"run-{now:%Y%m%dT%H%M%S}-{os.getpid()}.log"
        head = {"python": platform.python_version(), "system": platform.system(), "cores": os.cpu_count(), **facts}
        self._shown: set[str] = set()
        self._head = "".join(f"# {name}: {value}\n" for name, value in head.items())

    def open(self) -> None:
        """Begin the file, with every line that was said before; a run that has nothing to do leaves none."""
        if self._head:
            write_text(self.path, self._head)
            self._head = ""

    def say(self, text: str) -> None:
        """Add a line, shown with ``--verbose`` too. A log that cannot be written stops no run."""
        logger.debug("%s", text)
        line = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {text}\n"
        if self._head:
            self._head += line
            return
        with contextlib.suppress(OSError), self.path.open("a", encoding="utf-8") as stream:
            stream.write(line)

    def show(self, text: str, level: int = logging.WARNING) -> None:
        """Show a text at the terminal, once however many analyses write this log."""
        if text not in self._shown:
            self._shown.add(text)
            logger.log(level, "%s", text)

    def attempts(self, rows: Iterable[Attempt]) -> None:
        """Add what was skipped, what is weaker than it looks, and the frames of faults of ours."""
        for row in rows:
            for note in row.notes:
                self.say(f"{row.key}: warning: {note}")
            if not row.ok:
                self.say(f"{row.key}: {row.status}: {row.reason}")
            for frame in row.traceback:
                self.say(f"{row.key}:   at {frame}")


#: What a run may leave that dies in its first moment.
_OWN = (LOCK_NAME, PARTIAL_PREFIX)

#: File by which a folder is known as ours.
DESCRIPTION = "dataset_description.json"

#: Who made the folder, first in its description.
OURS = "hyperscan-mne"

#: BIDS has names for people, not for pairs of people: everything but the description and this text is ours.
BIDSIGNORE = """dyad-*
logs
work
universes
multiverse.*
plan.json
run.json
growth.json
within.json
persons.json
synchrony.json
pseudo.json
lags.json
guards.json
quality.json
*.tsv
*.toml
*.html
*.bib
methods.md
"""

#: What README says in the folder of a run.
README = """Inter-brain synchrony of therapist and client, and whether it grows over the sessions.

A derivative made by hyperscan-mne. Start with report.html. synchrony.tsv holds one row per dyad, session, metric,
band and pair of regions; the .json next to a table says what its columns mean; growth.json holds the verdict; plan.json
says what was left out and why; run.json names the settings, versions and checksums of inputs and outputs.
dyad-*/ses-*/*.nc hold the full matrices. BIDS has no names for results of two people, so .bidsignore lists them.
"""


def describe_output(out: Path, text: str = README) -> None:
    """Write what BIDS asks of a derivative; the description first, because it makes the folder ours."""
    installed = {name: version for name, version in package_versions().items() if version != ABSENT}
    made_by = {OURS: hyperscan.__version__, **installed}
    description = {
        "Name": "Inter-brain synchrony and its growth over sessions",
        "BIDSVersion": "1.10.0",
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": name, "Version": version} for name, version in made_by.items()],
    }
    write_json(out / DESCRIPTION, description)
    write_text(out / ".bidsignore", BIDSIGNORE)
    write_text(out / "README", text)


def check_output(out: Path, sessions: Sequence[Session], *, multiverse: bool = False) -> None:
    """Refuse a folder in or around the study, and one that holds something else: a multiverse, or for one a run."""
    here = out.resolve()
    for root in {row.root.resolve() for row in sessions}:
        inside = here.is_relative_to(root) and here.relative_to(root).parts[:1] != ("derivatives",)
        if inside or root.is_relative_to(here):
            raise OutputError(
                f"{out.name}: the output would lie in the study itself. "
                "Choose a folder outside it, or under its derivatives/."
            )
    if here.exists() and not here.is_dir():
        raise OutputError(f"{out.name}: is a file. Choose a new or empty folder.")
    if here.is_dir() and not _is_ours(here) and any(not p.name.startswith(_OWN) for p in here.iterdir()):
        raise OutputError(f"{out.name}: is not empty and no folder of a run. Choose a new or empty folder.")
    if multiverse and (here / "plan.json").exists():
        raise OutputError(f"{out.name}: is the folder of a run. Choose another one for the multiverse.")
    if not multiverse and (here / UNIVERSES).exists():
        raise OutputError(f"{out.name}: is the folder of a multiverse. Choose another one for the run.")
    refuse_links(here, units_of(sessions))


def earlier_dyads(out: Path) -> set[str]:
    """List the dyads that an earlier run left pages of: those of its tables and plan."""
    try:
        return {dyad for dyad in RunFolder(out).dyads if dyad.isalnum()}
    except (HyperscanError, OSError, ValueError):  # damaged, and written new
        return set()


def remove_work(out: Path) -> None:
    """Remove prepared signals and batches, which results do not need, and what a worker that died left half written."""
    sweep(out)
    made = ("dyad-*/ses-*", f"{PAIRS}/*", f"{FRESH}/dyad-*/ses-*")
    for folder in [folder for pattern in made for folder in (out / WORK).glob(pattern)]:
        remove_unit(folder, out)
    for folder in (out / WORK).glob(f"{FRESH}/dyad-*"):  # units were moved out of them
        remove_files(folder, (), out)


def _is_ours(folder: Path) -> bool:
    if (folder / LOCK_NAME).exists():
        return True
    if odd_kind(folder / DESCRIPTION):
        return False
    try:
        found = json.loads((folder / DESCRIPTION).read_text("utf-8"))
        return bool(found["GeneratedBy"][0]["Name"] == OURS)
    except (OSError, ValueError, LookupError, TypeError):
        return False


def refuse_links(out: Path, units: Sequence[Unit]) -> None:
    """Refuse a link where a folder of ours goes: what lies behind it is not ours to replace."""
    folders = [
        out / LOGS,
        out / WORK,
        out / UNIVERSES,
        *(top / unit.name for unit in units for top in (out, out / WORK, out / WORK / FRESH)),
    ]
    for link in (each for folder in folders for each in (folder.parent, folder) if each != out and each.is_symlink()):
        raise OutputError(
            f"{out.name}: {link.relative_to(out).as_posix()} in it is a link, and what lies behind it would be "
            "replaced. Remove the link, or choose another folder."
        )


def append_contrasts(out: Path, contrasts: Mapping[str, Mapping[str, float]]) -> None:
    """Add the rows of differences between tasks to the table of synchrony, whose other rows stay as they are."""
    if not contrasts:
        return
    path = out / "synchrony.tsv"
    table = load_table(path)
    added = contrast_rows(table, contrasts)
    if len(added):
        write_text(path, path.read_text("utf-8") + table_text(added).partition("\n")[2])


def write_tables(out: Path, units: Sequence[Unit], summaries: Mapping[SessionKey, Summary]) -> None:
    """Join the units' tables in the order of their keys and write them with their descriptions."""
    for name in UNIT_TABLES:
        # as text: what a unit holds is what the table holds, to the last digit of a covariate and the zeros of a code
        parts = [file.read_text("utf-8") for unit in units if (file := out / unit.name / f"{name}.tsv").exists()]
        heads = dict.fromkeys(text.partition("\n")[0] for text in parts)
        assert len(heads) < 2, heads  # made by the same code from one table
        head = next(iter(heads), "\t".join(TABLES[name]))
        write_text(out / f"{name}.tsv", "".join([f"{head}\n", *(text.partition("\n")[2] for text in parts)]))
        write_json(out / f"{name}.json", column_descriptions(head.split("\t"), TABLES[name]))
    quality = quality_rows(summaries)
    write_table(out / "quality.tsv", quality)
    write_json(out / "quality.json", column_descriptions(quality, quality))


#: What became of a step, as trackers of derivatives call it.
SUCCESS, FAIL, UNAVAILABLE = "SUCCESS", "FAIL", "UNAVAILABLE"


def status_rows(summaries: Mapping[SessionKey, Summary], skipped: Collection[Skip]) -> pd.DataFrame:
    """Say of every dyad-session how each step of the run went, in the columns and words of status trackers."""
    lost = {(skip.dyad, skip.session, skip.modality, skip.task, skip.run) for skip in skipped}
    rows = []
    for key in sorted(summaries):
        prepared = summaries[key].ok
        steps = {
            "preparation": SUCCESS if prepared else FAIL,
            "synchrony": UNAVAILABLE if not prepared else FAIL if tuple(key) in lost else SUCCESS,
        }
        for step, status in steps.items():
            made_by = {"pipeline_name": OURS, "pipeline_version": hyperscan.__version__, "pipeline_step": step}
            rows.append({**key._asdict(), **made_by, "status": status})
    return pd.DataFrame(rows)


def computed_rows(out: Path, units: Sequence[Unit]) -> list[Attempt]:
    """List how the computation of every row went."""
    manifests = [read_manifest(out / unit.name, Attempt) for unit in units]
    return [row for manifest in manifests if manifest is not None for row in manifest.rows]


def quality_rows(summaries: Mapping[SessionKey, Summary]) -> pd.DataFrame:
    """One row per dyad-session and person, as ``quality.tsv`` has it."""
    rows = [
        {**key._asdict(), "person": role, **quality, "decisions": decisions_text(summaries[key], role)}
        for key in sorted(summaries)
        for role, quality in summaries[key].quality.items()
    ]
    frame = pd.DataFrame(rows, columns=None if rows else list(TABLES["quality"]))
    first = [name for name in TABLES["quality"] if name in frame]
    return frame[first + [name for name in frame if name not in first]]


def decisions_text(summary: Summary, role: str) -> str:
    """Say in one cell what one person's data decided."""
    told = told_of(summary, role)
    return "; ".join(f"{DECISIONS[name].label}: {told[name]}" for name in DECISIONS if name in told)


def column_descriptions(names: Iterable[str], ours: Collection[str]) -> dict[str, dict[str, str]]:
    """Say what columns mean, as a BIDS sidecar does; those that are not ours are covariates.

    Examples
    --------
    >>> column_descriptions(["window_s", "grade"], ours=["window_s"])
    {'window_s': {'Description': 'window length', 'Units': 's'}, 'grade': {'Description': 'as in dyads.tsv'}}
    """
    told = {}
    for name in names:
        column = column_of(name) if name in ours else Column(name, name, meaning="as in dyads.tsv")
        told[name] = {"Description": column.meaning, **({"Units": column.units} if column.units else {})}
    return told
