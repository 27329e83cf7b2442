"""A unit of work is one dyad-session: its name, its digest, and its folder that appears whole."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.metadata
import json
import platform
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

import hyperscan
from hyperscan.config import PREPARATION, StudyConfig
from hyperscan.pipeline.summary import Attempt, Summary
from hyperscan.recall import remembered
from hyperscan.recording.files.bids import files_of
from hyperscan.results.plan import Plan, PlannedPair
from hyperscan.schema import ROLES, TABLES, SessionKey
from hyperscan.storage import odd_kind, remove_files, sha256, to_json, write_text
from hyperscan.study import Session
from hyperscan.study.formats import FORMATS
from hyperscan.study.rows import SHARED_ENDINGS

MANIFEST = "unit.json"

#: Tables that every unit has its part of: quality is told by preparation.
UNIT_TABLES = tuple(name for name in TABLES if name != "quality")

#: Tables of a batch of pairs: z, lag profiles, and what the guards take.
BATCH_TABLES = ("values", "profiles", "guards")

#: What all analyses of a multiverse find in a dyad-session, or in a batch of pairs.
FOUND = "found.json"

#: Names of the other files of a unit, or of a batch.
_UNIT_FILE = re.compile(
    rf"({'|'.join((*UNIT_TABLES, *BATCH_TABLES))})\.tsv|{re.escape(FOUND)}|"
    r"(eeg|fnirs)(_(task|run)-\w+)*_(synchrony\.nc|(therapist|client)\.npz)"
)

#: Packages that the numbers depend on: those that read and compute, then those that are asked where they are installed.
VERSIONED = (
    *("mne", "numpy", "scipy", "pandas", "xarray", "numba", "mne-connectivity", "netCDF4", "h5py", "pyxdf"),
    *("mffpy", "antio", "curryreader", "mne-icalabel", "onnxruntime", "torch"),
)

#: Version of a package that is not installed.
ABSENT = "none"

#: Endings that name a kind of file; what follows a point in the name of a folder may be anything.
_ENDINGS = {
    ".json",
    ".tsv",
    *SHARED_ENDINGS,
    *(ending for form in FORMATS for ending in (*form.suffixes, *form.companions)),
}

#: Covariates that preparation may read: the ages that path lengths are taken by.
_READ_EARLY = tuple(f"{role}_age" for role in ROLES)


def package_versions() -> dict[str, str]:
    """Versions of the packages that the numbers depend on, by name."""
    return remembered("versions", VERSIONED, _installed)


def _installed() -> dict[str, str]:
    found = dict.fromkeys(VERSIONED, ABSENT)
    for name in VERSIONED:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def all_versions() -> dict[str, str]:
    """Versions of everything that the numbers depend on: this package and its code, Python, and the packages."""
    ours = {"hyperscan": hyperscan.__version__, "code": code_digest()}
    return {**ours, "python": platform.python_version(), **package_versions()}


@functools.cache
def code_digest() -> str:
    """SHA-256 of the package's own code and templates: in a clone they change while its version does not."""
    top = Path(hyperscan.__file__).parent
    files = [path for path in sorted(top.rglob("[!.]*")) if path.is_file() and path.parent.name != "__pycache__"]
    return digest(code={path.relative_to(top).as_posix(): sha256(path) for path in files})


@dataclass(frozen=True)
class Unit:
    """One dyad-session with all its rows (modalities, tasks, runs)."""

    dyad: str
    session: int
    #: Sorted by key
    rows: tuple[Session, ...]

    @property
    def name(self) -> str:
        """Folder inside the output, ``dyad-D01/ses-01``."""
        return unit_name(self.dyad, self.session)


def units_of(sessions: Iterable[Session]) -> list[Unit]:
    """Group rows by dyad and session, in order."""
    groups: dict[tuple[str, int], list[Session]] = {}
    for row in sorted(sessions, key=lambda row: row.key):
        groups.setdefault((row.dyad, row.session), []).append(row)
    return [Unit(dyad, session, tuple(rows)) for (dyad, session), rows in groups.items()]


def row_label(row: Session | SessionKey) -> str:
    """File name stem of a row, ``eeg_task-rest_run-1``."""
    parts = [row.modality] + [f"task-{row.task}"] * bool(row.task) + [f"run-{row.run}"] * bool(row.run)
    return "_".join(parts)


def unit_name(dyad: str, session: int) -> str:
    """Folder of a dyad-session inside the output, ``dyad-D01/ses-01``."""
    return f"dyad-{dyad}/ses-{session:02d}"


def signals_path(prepared: Path, key: SessionKey, role: str) -> Path:
    """Where preparation leaves one person of one row."""
    return prepared / unit_name(key.dyad, key.session) / f"{row_label(key)}_{role}.npz"


def digest(**content: object) -> str:
    """Return the SHA-256 of named content's JSON text, every digit of every number in it."""
    return hashlib.sha256(json.dumps(content_of(content)).encode()).hexdigest()


def content_of(value: object) -> Any:
    """Give every field of a record and of the records in it; files by their place in the study, without table lines."""
    if isinstance(value, Session):
        known = {item.name: getattr(value, item.name) for item in fields(value) if item.name not in ("root", "line")}
        return {
            name: value.relative(held) if isinstance(held, Path) else content_of(held) for name, held in known.items()
        }
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: content_of(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Mapping):
        return {str(name): content_of(held) for name, held in value.items()}
    return [content_of(held) for held in value] if isinstance(value, list | tuple) else value


#: In the place of a hash where a file could not be read.
UNHASHED = "unreadable: "


def input_hashes(rows: Sequence[Session]) -> dict[str, str]:
    """SHA-256 of every input of some rows, by dyad-session and role.

    Files are named by whose they are, because their own names may hold what must not leave the study. Sidecars count: a
    BrainVision header names its data file, an EEGLAB set may have one, a NIRx folder is hashed whole.
    """
    seen: dict[Path, str] = {}
    hashes = {}
    for row in rows:
        for role, named in row.files.items():
            for i, file in enumerate(files_of(named)):
                if file not in seen:
                    try:
                        seen[file] = sha256(file)
                    except OSError as error:  # the reader will say the same, and that row is left out
                        seen[file] = f"{UNHASHED}{error.strerror}"
                number = f".{i}" if i else ""
                ending = file.suffix if file.suffix.lower() in _ENDINGS else ""
                name = f"{unit_name(row.dyad, row.session)}/{row_label(row)}_{role}{number}{ending}"
                hashes[name] = seen[file]
    return dict(sorted(hashes.items()))


@dataclass(frozen=True)
class UnitInputs:
    """Everything that the preparation of a dyad-session is made from; it is given nothing else."""

    #: Its rows hold no covariates but those that preparation may read
    unit: Unit
    #: All but the settings that enter preparation are as if nothing had been set
    config: StudyConfig
    #: SHA-256 of every input, by whose it is
    hashes: Mapping[str, str]
    versions: Mapping[str, str]

    @classmethod
    def of(cls, unit: Unit, config: StudyConfig, versions: Mapping[str, str]) -> UnitInputs:
        """Look at the inputs of a dyad-session as they are now."""
        rows = [
            replace(row, covariates={name: row.covariates[name] for name in _READ_EARLY if name in row.covariates})
            for row in unit.rows
        ]
        hashes = remembered(("hashes", unit.name), rows, partial(input_hashes, rows))
        return cls(replace(unit, rows=tuple(rows)), config.entering(PREPARATION), hashes, versions)

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of all of it."""
        return digest(made_from=self)


@dataclass(frozen=True)
class Basis:
    """Everything that is computed from besides a unit's own rows: what was decided and prepared, settings, versions."""

    plan: Plan
    config: StudyConfig
    versions: Mapping[str, str]
    #: SHA-256 of all of it, which a reduced one keeps
    digest: str

    @classmethod
    def of(cls, plan: Plan, config: StudyConfig, versions: Mapping[str, str]) -> Basis:
        """Join what is the same for all units of a run."""
        return cls(plan, config, versions, digest(plan=plan, config=config, versions=versions))

    def for_unit(self, pairs: Iterable[PlannedPair] = ()) -> Basis:
        """Keep what a worker needs."""
        return replace(self, plan=self.plan.for_unit(pairs))

    def digest_of(self, part: object) -> str:
        """Tell whether a computed part of a run may be used again."""
        return digest(basis=self.digest, part=part)


RowRecord = TypeVar("RowRecord", bound=Attempt)


@dataclass(frozen=True)
class Prepared:
    """What preparation found, as results carry it: it need not be done again once they are there."""

    #: Of everything that preparation depends on
    digest: str
    rows: tuple[Summary, ...]


@dataclass(frozen=True)
class Manifest(Generic[RowRecord]):
    """Content of ``unit.json``: what a folder was made from, and how every row went."""

    #: Of everything that the folder depends on
    digest: str
    rows: tuple[RowRecord, ...]
    prepared: Prepared | None = None
    #: SHA-256 of every other file of the folder
    files: Mapping[str, str] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        """Write as the last file of a folder, with the hash of every other one."""
        files = {path.name: sha256(path) for path in sorted(folder.iterdir()) if path.is_file()}
        carried = {}
        if self.prepared is not None:
            rows = [row.to_dict() for row in self.prepared.rows]
            carried = {"prepared": {"digest": self.prepared.digest, "rows": rows}}
        mine = [row.to_dict() for row in self.rows]
        write_text(folder / MANIFEST, _sealed({"digest": self.digest, "rows": mine, **carried, "files": files}))


#: How a manifest begins: with the hash of the rest.
_SEAL = '{{\n  "sha256": "{}",\n'


def _sealed(content: Mapping[str, Any]) -> str:
    body = to_json(content)
    return _SEAL.format(hashlib.sha256(body.encode()).hexdigest()) + body.removeprefix("{\n")


def _unsealed(text: str) -> str:
    """Take the hash off a manifest's text; refuse a text of which one bit is not as written."""
    body = "{\n" + text[len(_SEAL.format("0" * 64)) :]
    if not text.startswith(_SEAL.format(hashlib.sha256(body.encode()).hexdigest())):
        raise ValueError("is not as it was written")
    return body


def read_manifest(folder: Path, kind: type[RowRecord]) -> Manifest[RowRecord] | None:
    """Read a folder's manifest with rows of a kind; None where there is none, or one bit of it is not as written."""
    if odd_kind(folder / MANIFEST):
        return None
    try:
        content = json.loads(_unsealed((folder / MANIFEST).read_bytes().decode("utf-8")))
        carried = content.get("prepared")
        return Manifest(
            digest=content["digest"],
            rows=tuple(map(kind.from_dict, content["rows"])),
            prepared=carried and Prepared(carried["digest"], tuple(map(Summary.from_dict, carried["rows"]))),
            files=dict(content["files"]),
        )
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None


def own_files(folder: Path) -> set[str]:
    """Name the files of a folder that are ours: those that its record lists, and the record.

    A damaged record lists nothing; then they are those that a unit has by their names. Without a record none is ours.
    """
    if not (folder / MANIFEST).is_file():
        return set()
    manifest = read_manifest(folder, Attempt)
    if manifest is None:
        return {MANIFEST, *(path.name for path in folder.iterdir() if _UNIT_FILE.fullmatch(path.name))}
    return {MANIFEST, *(name for name in manifest.files if Path(name).name == name)}


def stays_current(folder: Path, wanted: str) -> bool:
    """Whether :func:`is_current`, which runs that share a folder find out once while nobody makes it again."""
    try:
        found = (folder / MANIFEST).stat()
    except OSError:
        return False
    key = (wanted, found.st_ino, found.st_mtime_ns)
    return remembered(("current", folder), key, partial(is_current, folder, wanted))


def remove_unit(folder: Path, top: Path) -> None:
    """Remove what is ours in a unit's folder, and the folders up to ``top`` that are empty then."""
    remove_files(folder, own_files(folder), top)


def is_current(folder: Path, wanted: str) -> bool:
    """Whether a unit's folder was made from the wanted content and is undamaged."""
    manifest = read_manifest(folder, Attempt)
    if manifest is None or manifest.digest != wanted:
        return False
    return all((folder / name).is_file() and sha256(folder / name) == made for name, made in manifest.files.items())
