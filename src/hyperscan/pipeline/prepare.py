"""First half of a unit: read, align, clean and judge one dyad-session."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Collection, Iterator
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import TypeVar

from hyperscan.config import StudyConfig
from hyperscan.errors import (
    DataQualityWarning,
    MachineError,
    OutputError,
    QualityError,
    ReadError,
    SessionError,
    fault_of_machine,
)
from hyperscan.pipeline.privacy import public_channel, public_note, public_reason, scrub
from hyperscan.pipeline.summary import Attempt, PersonSummary, Summary
from hyperscan.pipeline.unit import UNHASHED, Manifest, UnitInputs, digest, input_hashes, own_files, signals_path
from hyperscan.recall import is_remembering, remembered
from hyperscan.recording import align_pair, load_session, preprocess_pair
from hyperscan.recording.files.bids import files_of
from hyperscan.recording.records import tell_decisions
from hyperscan.schema import ROLES, SessionKey
from hyperscan.storage import new_folder, sha256
from hyperscan.study import Session
from hyperscan.synchrony import Recipe, Signals, shared_windows, signals_of
from hyperscan.synchrony.recipe import windows_recipe

Result = TypeVar("Result", bound=Attempt)


def prepare_unit(made_from: UnitInputs, *, folder: Path) -> None:
    """Prepare every row of a dyad-session and leave its signals and summaries in a folder."""
    with new_folder(folder, own_files) as temporary:
        rows = []
        for row in made_from.unit.rows:
            opened: set[Path] = remembered(("opened", row.key), row, set)
            done = attempt(row.key, partial(_prepare_row, row, made_from, temporary, opened), Summary)
            done = dataclasses.replace(done, undeclared=_undeclared(opened, row))
            rows.append(_publish(done, row, made_from.config))
        Manifest(made_from.digest, tuple(rows)).save(temporary)


#: What is opened by this thread goes in here, where somebody asks.
_HEARD: ContextVar[set[Path] | None] = ContextVar("_HEARD", default=None)


@functools.cache
def _listen() -> None:
    """Hear of every file that Python opens, in this process and from now on."""

    def hear(event: str, arguments: tuple[object, ...]) -> None:
        heard = _HEARD.get() if event == "open" else None
        if heard is not None and isinstance(arguments[0], str | bytes):
            heard.add(Path(os.fsdecode(arguments[0])))

    sys.addaudithook(hear)


@contextlib.contextmanager
def opened_files(root: Path, found: set[Path]) -> Iterator[None]:
    """Collect the files below a folder that a block opens; they are complete when it has ended, well or not."""
    _listen()
    heard: set[Path] = set()
    before = _HEARD.set(heard)
    try:
        yield
    finally:
        _HEARD.reset(before)
        top = root.resolve()
        found |= {real for path in heard if (real := path.resolve()).is_relative_to(top) and real.is_file()}


def _undeclared(opened: Collection[Path], row: Session) -> str:
    """Hash what a reader opened although no format declares it; empty where there is none."""
    known = {file.resolve() for path in row.files.values() for file in files_of(path)}
    further = [path for path in sorted(opened) if not known & {path, *path.parents}]
    return digest(files=[sha256(path) for path in further]) if further else ""


def attempt(key: SessionKey, work: Callable[[], Result], kind: type[Result]) -> Result:
    """Do a row's work; a row that cannot be used becomes a record of the same kind with its reason."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            done = work()
        except MachineError as error:
            done = kind(key, "failed", str(error))
        except SessionError as error:
            done = kind(key, "skipped", str(error))
        except MemoryError:
            reason = "did not fit into memory. Use fewer --jobs, a machine with more memory, or shorter files."
            done = kind(key, "failed", reason)
        except OutputError:  # the output's state concerns every row: the run ends with its message
            raise
        except OSError as error:  # what is written raises OutputError, so this is an input
            fault = fault_of_machine(error)
            told = f"cannot be read ({error.strerror or type(error).__name__}). Check its disk and permissions."
            reason = f"could not be read, because {fault}" if fault else told
            done = kind(key, "failed", reason)
        except Exception as error:  # a fault of ours in one session must not cost the others
            frames = [f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in traceback.extract_tb(error.__traceback__)]
            reason = f"internal error ({type(error).__name__} in {frames[-1]}). Please report it."
            done = kind(key, "failed", reason, traceback=tuple(frames))
    notes = [str(item.message) for item in caught if issubclass(item.category, DataQualityWarning)]
    return dataclasses.replace(done, notes=tuple(dict.fromkeys(notes)))


def _prepare_row(row: Session, made_from: UnitInputs, folder: Path, opened: set[Path]) -> Summary:
    with opened_files(row.root, opened):
        summary, people = judge_row(row, made_from.config)
    hashes = remembered(("hashes", row.key), row, partial(input_hashes, [row]))
    told = [each for found in (made_from.hashes, hashes) for key in hashes if (each := found.get(key, ""))]
    lost = [each.removeprefix(UNHASHED) for each in told if each.startswith(UNHASHED)]
    if lost:  # although the reader could: nobody knows whether it is still the same, and the next run finds out
        raise MachineError(
            f"{row.key}: could not be read a second time, to see whether it stayed the same ({lost[0]}). Check its "
            "disk and run again."
        )
    if not hashes.items() <= made_from.hashes.items():
        raise ReadError(
            f"{row.key}: the recording changed while it was read. Wait until copying has ended and run again."
        )
    for role, signals in people.items():
        signals.save(folder / signals_path(Path(), row.key, role).name)
    return summary


def _publish(summary: Summary, row: Session, config: StudyConfig) -> Summary:
    """Take the names of files and odd channels out of every text."""
    stand_ins = {name: public_channel(name, _named(config)) for name in summary.ch_names}
    odd = {name: stand_in for name, stand_in in stand_ins.items() if name != stand_in}
    quality = {
        role: dataclasses.replace(found, reason=scrub(found.reason, row, odd))
        for role, found in summary.quality.items()
    }
    return dataclasses.replace(
        summary,
        reason=public_reason(scrub(summary.reason, row, odd)),
        notes=tuple(scrub(note, row, odd) for note in summary.notes),
        history=tuple(public_note(scrub(step, row, odd)) for step in summary.history),
        dropped=scrub(summary.dropped, row, odd),
        decisions=scrub(summary.decisions, row, odd),
        quality=quality,
        ch_names=(),
    )


def _named(config: StudyConfig) -> set[str]:
    return {name for channels in config.rois.values() for name in channels}


def judge_row(row: Session, config: StudyConfig) -> tuple[Summary, dict[str, Signals]]:
    """Read, align, clean and judge one row, in memory."""
    aligned = remembered(("aligned", row.key), row, lambda: align_pair(load_session(row)))
    pair = preprocess_pair(aligned, config, keep=is_remembering())  # for an analysis that cleans it otherwise
    quality, clock = pair.quality, pair.clock
    assert quality is not None  # preprocess_pair always sets it
    assert clock is not None  # and align_pair this
    people = {}
    for role in ROLES:
        signals = signals_of(pair, role, config, unregressed=True)
        names = tuple(public_channel(name, _named(config)) for name in signals.ch_names)
        people[role] = dataclasses.replace(signals, ch_names=names)
    recipe = windows_recipe(config, row.modality)
    check_rate(row.key, people["therapist"].sfreq, recipe)
    windows = shared_windows(people["therapist"], people["client"], recipe)
    primary = zip(people.items(), recipe.primary.rois, strict=True)
    summary = Summary(
        key=row.key,
        sfreq=people["therapist"].sfreq,
        n_windows=len(windows.therapist),
        seconds=windows.n_window * len(windows.therapist) / people["therapist"].sfreq,
        quality={role: quality.of(role) for role in ROLES},
        dropped={role: dict(quality.dropped.get(role, {})) for role in ROLES},
        clock=clock,
        decisions={role: tell_decisions(quality.decisions[role]) for role in ROLES if role in quality.decisions},
        history=tuple(pair.history),
        people={role: PersonSummary.of(signals, roi) for (role, signals), roi in primary},
        ch_names=tuple(sorted({name for role in ROLES for name in aligned.raw(role).ch_names})),
    )
    return summary, people


def check_rate(key: SessionKey, sfreq: float, recipe: Recipe) -> None:
    """Refuse a session that was recorded too slowly for one of the bands."""
    for name, (low, high) in (item for role in ROLES for item in recipe.of(role).bands.items()):
        if high >= sfreq / 2:
            raise QualityError(
                f"{key}: at {sfreq:g} Hz nothing above {sfreq / 2:g} Hz is held, so band {name!r} "
                f"({low:g}-{high:g} Hz) cannot be computed.\nLeave the band out of bands, or the session out "
                "(include = no)."
            )
