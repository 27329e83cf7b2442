"""Where a run may write: its own folder, never the study's nor someone else's."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hyperscan
from hyperscan.errors import OutputError
from hyperscan.pipeline.lock import LOCK_NAME
from hyperscan.storage import PARTIAL_PREFIX
from hyperscan.study import Session

#: What a run may leave that dies in its first moment.
_OWN = (LOCK_NAME, PARTIAL_PREFIX)

DATASET_DESCRIPTION: dict[str, Any] = {
    "Name": "Inter-brain synchrony and its growth over sessions",
    "BIDSVersion": "1.10.0",
    "DatasetType": "derivative",
    "GeneratedBy": [{"Name": "hyperscan-mne", "Version": hyperscan.__version__}],
}


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
        names = [made["Name"] for made in found["GeneratedBy"]]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return bool(names == [DATASET_DESCRIPTION["GeneratedBy"][0]["Name"]])
