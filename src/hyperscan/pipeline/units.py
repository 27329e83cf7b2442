"""A unit of work is one dyad-session: its name, its digest, and its folder that appears whole."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hyperscan
from hyperscan.config import StudyConfig
from hyperscan.storage import sha256, to_json, write_json
from hyperscan.study import Session

MANIFEST = "unit.json"


@dataclass(frozen=True)
class Unit:
    """One dyad-session with all its rows (modalities, tasks, runs).

    Parameters
    ----------
    dyad : str
        Label.
    session : int
        Session number.
    rows : tuple of Session
        Sorted by key.
    """

    dyad: str
    session: int
    rows: tuple[Session, ...]

    @property
    def name(self) -> str:
        """Folder inside the output, ``dyad-D01/ses-01``."""
        return f"dyad-{self.dyad}/ses-{self.session:02d}"


def units_of(sessions: Iterable[Session]) -> list[Unit]:
    """Group rows by dyad and session, in order.

    Parameters
    ----------
    sessions : iterable of Session
        Rows in any order.

    Returns
    -------
    list of Unit
    """
    groups: dict[tuple[str, int], list[Session]] = {}
    for row in sorted(sessions, key=lambda row: row.key):
        groups.setdefault((row.dyad, row.session), []).append(row)
    return [Unit(dyad, session, tuple(rows)) for (dyad, session), rows in groups.items()]


def row_label(row: Session) -> str:
    """File name stem of a row, ``eeg_task-rest_run-1``."""
    parts = [row.modality] + [f"task-{row.task}"] * bool(row.task) + [f"run-{row.run}"] * bool(row.run)
    return "_".join(parts)


def digest(content: Mapping[str, Any]) -> str:
    """SHA-256 of a mapping's JSON text."""
    return hashlib.sha256(to_json(content).encode()).hexdigest()


def input_hashes(rows: Sequence[Session]) -> dict[str, str]:
    """SHA-256 of every input of some rows, by path relative to the study.

    Sidecars count: a BrainVision header names its data file, an EEGLAB set may have one, a NIRx folder is
    hashed whole.

    Parameters
    ----------
    rows : sequence of Session
        Rows of the table.

    Returns
    -------
    dict of str to str
    """
    hashes: dict[str, str] = {}
    for row in rows:
        for path in (row.therapist_file, row.client_file):
            for file in _with_sidecars(path):
                name = row.relative(file)
                if name not in hashes:
                    hashes[name] = sha256(file) if file.exists() else "missing"
    return dict(sorted(hashes.items()))


def _with_sidecars(path: Path) -> list[Path]:
    if path.is_dir() or not path.exists():
        return [path]
    suffixes = (".eeg", ".vmrk", ".dat", ".fdt", ".json", ".tsv", "_sidecar.json")
    beside = [path.with_name(path.stem + suffix) for suffix in suffixes]
    return [path, *(file for file in beside if file.is_file() and file != path)]


def prepare_digest(unit: Unit, hashes: Mapping[str, str], config: StudyConfig) -> str:
    """Tell whether a prepared dyad-session may be used again: inputs, row, configuration and version."""
    rows = [
        {
            **{name: value for name, value in vars(row).items() if name not in ("root", "line", "covariates")},
            "therapist_file": row.relative(row.therapist_file),
            "client_file": row.relative(row.client_file),
        }
        for row in unit.rows
    ]
    content = {"inputs": hashes, "rows": rows, "config": config.to_dict(), "version": hyperscan.__version__}
    return digest(content)


def is_current(folder: Path, wanted: str) -> bool:
    """Whether a unit's folder was made from the wanted content and is undamaged."""
    manifest = read_manifest(folder)
    if manifest is None or manifest.get("digest") != wanted:
        return False
    files = manifest.get("files", {})
    return all((folder / name).is_file() and sha256(folder / name) == value for name, value in files.items())


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """Read a unit's manifest; None where there is none or it is damaged."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return manifest if isinstance(manifest, dict) else None


def write_manifest(folder: Path, digest_: str, content: Mapping[str, Any]) -> None:
    """Write the manifest of a unit as its last file, with the hash of every other one."""
    files = {path.name: sha256(path) for path in sorted(folder.iterdir()) if path.is_file()}
    write_json(folder / MANIFEST, {"digest": digest_, **content, "files": files})
