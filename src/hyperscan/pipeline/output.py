"""Where a run may write: its own folder, never the study's nor someone else's."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Sequence
from pathlib import Path

import hyperscan
from hyperscan.errors import OutputError
from hyperscan.pipeline.lock import LOCK_NAME
from hyperscan.storage import PARTIAL_PREFIX, write_json, write_text
from hyperscan.study import Session

#: What a run may leave that dies in its first moment.
_OWN = (LOCK_NAME, PARTIAL_PREFIX)

#: What the numbers depend on.
VERSIONED = ("mne", "numpy", "scipy", "pandas", "xarray", "numba", "mne-connectivity")

#: Who made the folder, first in its description.
OURS = "hyperscan-mne"

#: BIDS has names for people, not for pairs of people: everything but the description and this text is ours.
BIDSIGNORE = """dyad-*
logs
work
plan.json
run.json
growth.json
synchrony.json
*.tsv
*.toml
*.html
*.bib
methods.md
"""

README = """Inter-brain synchrony of therapist and client, and whether it grows over the sessions.

A derivative made by hyperscan-mne. Start with report.html. synchrony.tsv holds one row per dyad, session, metric,
band and pair of regions, and synchrony.json says what its columns mean; growth.json holds the verdict; plan.json
says what was left out and why; run.json names the settings, versions and checksums of inputs and outputs.
dyad-*/ses-*/*.nc hold the full matrices. BIDS has no names for results of two people, so .bidsignore lists them.
"""


def versions() -> dict[str, str]:
    """Versions of what the numbers depend on, by name."""
    return {name: importlib.metadata.version(name) for name in VERSIONED}


def describe_output(out: Path) -> None:
    """Write what BIDS asks of a derivative; the description first, because it makes the folder ours.

    Parameters
    ----------
    out : Path
        Output folder.
    """
    made_by = {OURS: hyperscan.__version__, **versions()}
    description = {
        "Name": "Inter-brain synchrony and its growth over sessions",
        "BIDSVersion": "1.10.0",
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": name, "Version": version} for name, version in made_by.items()],
    }
    write_json(out / "dataset_description.json", description)
    write_text(out / ".bidsignore", BIDSIGNORE)
    write_text(out / "README", README)


def check_output(out: Path, sessions: Sequence[Session]) -> None:
    """Refuse a folder in or around the study, and one that holds something else.

    Parameters
    ----------
    out : Path
        Output folder; it need not exist.
    sessions : sequence of Session
        Of the study.

    Raises
    ------
    OutputError
        If it cannot be used.
    """
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


def _is_ours(folder: Path) -> bool:
    if (folder / LOCK_NAME).exists():
        return True
    try:
        found = json.loads((folder / "dataset_description.json").read_text("utf-8"))
        return bool(found["GeneratedBy"][0]["Name"] == OURS)
    except (OSError, ValueError, LookupError, TypeError):
        return False
