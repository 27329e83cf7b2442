"""First half of a unit: read, align, clean and judge one dyad-session."""

from __future__ import annotations

import dataclasses
import math
import traceback
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from hyperscan.config import StudyConfig
from hyperscan.errors import DataQualityWarning, OutputError, ReadError, SessionError
from hyperscan.pipeline.privacy import public_channel, public_note, public_reason, scrubbed
from hyperscan.pipeline.unit import Unit, input_hashes, signals_path, write_manifest
from hyperscan.recording import PairedRecording, align_pair, load_session, preprocess_pair
from hyperscan.schema import ROLES, SessionKey
from hyperscan.storage import new_folder
from hyperscan.study import Session
from hyperscan.synchrony import Signals, recipe_of, shared_windows, signals_of

Summary = dict[str, Any]


def prepare_unit(unit: Unit, config: StudyConfig, hashes: Mapping[str, str], wanted: str, folder: Path) -> None:
    """Prepare every row of a dyad-session and leave its signals and summaries in a folder."""
    with new_folder(folder) as temporary:
        rows = []
        for row in unit.rows:
            done = attempt(row.key, partial(_prepare_row, row, config, hashes, temporary))
            rows.append(_public(done, row, config))
        write_manifest(temporary, wanted, {"rows": rows})


def attempt(key: SessionKey, work: Callable[[], Summary]) -> Summary:
    """Do a row's work; a row that cannot be used becomes a summary with its reason."""
    common: Summary = {"key": list(key), "status": "ok", "reason": "", "notes": []}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            done = work()
        except SessionError as error:
            done = {"status": "skipped", "reason": str(error)}
        except MemoryError:
            reason = "did not fit into memory. Use fewer --jobs, a machine with more memory, or shorter files."
            done = {"status": "failed", "reason": reason}
        except OutputError:  # the output's state concerns every row: the run ends with its message
            raise
        except OSError as error:  # what is written raises OutputError, so this is an input
            reason = f"cannot be read ({error.strerror or type(error).__name__}). Check its disk and permissions."
            done = {"status": "failed", "reason": reason}
        except Exception as error:  # a fault of ours in one session must not cost the others
            frames = [f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in traceback.extract_tb(error.__traceback__)]
            reason = f"internal error ({type(error).__name__} in {frames[-1]}). Please report it."
            done = {"status": "failed", "reason": reason, "traceback": frames}
    notes = [str(item.message) for item in caught if issubclass(item.category, DataQualityWarning)]
    return {**common, **done, "notes": list(dict.fromkeys(notes))}


def _prepare_row(row: Session, config: StudyConfig, hashes: Mapping[str, str], folder: Path) -> Summary:
    summary, people = judge_row(row, config)
    if not input_hashes([row]).items() <= hashes.items():
        raise ReadError(
            f"{row.key}: the recording changed while it was read. Wait until copying has ended and run again."
        )
    for role, signals in people.items():
        signals.save(folder / signals_path(Path(), row.key, role).name)
    return summary


def _public(summary: Summary, row: Session, config: StudyConfig) -> Summary:
    """Take the names of files and odd channels out of every text."""
    names = summary.pop("ch_names", ())
    stand_ins = {name: public_channel(name, _named(config)) for name in names}
    odd = {name: stand_in for name, stand_in in stand_ins.items() if name != stand_in}
    texts = ("reason", "notes", "history", "dropped", "quality")
    done = {**summary, **{name: scrubbed(summary[name], row, odd) for name in texts if name in summary}}
    if "history" in done:
        done["history"] = [public_note(note) for note in done["history"]]
    return {**done, "reason": public_reason(done["reason"])}


def _named(config: StudyConfig) -> set[str]:
    return {name for channels in config.rois.values() for name in channels}


def judge_row(row: Session, config: StudyConfig) -> tuple[Summary, dict[str, Signals]]:
    """Read, align, clean and judge one row, in memory."""
    aligned = align_pair(load_session(row))
    pair = preprocess_pair(aligned, config)
    people = {role: _with_public_names(who, config) for role, who in _people(pair, aligned, config).items()}
    recipe = recipe_of(config, row.modality)
    windows = shared_windows(people["therapist"], people["client"], recipe)
    summary = {
        "sfreq": people["therapist"].sfreq,
        "n_windows": len(windows.therapist),
        "seconds": windows.n_window * len(windows.therapist) / people["therapist"].sfreq,
        "quality": {role: dict(_report(pair).of(role)) for role in ROLES},
        "dropped": {role: dict(_report(pair).dropped.get(role, {})) for role in ROLES},
        "clock": _clock(pair),
        "history": list(pair.history),
        "ch_names": sorted({name for role in ROLES for name in aligned.raw(role).ch_names}),
        "people": {
            role: _describe(signals, recipe.primary.rois[i]) for i, (role, signals) in enumerate(people.items())
        },
    }
    return summary, people


def _with_public_names(signals: Signals, config: StudyConfig) -> Signals:
    names = tuple(public_channel(name, _named(config)) for name in signals.ch_names)
    return dataclasses.replace(signals, ch_names=names)


def _people(pair: PairedRecording, aligned: PairedRecording, config: StudyConfig) -> dict[str, Signals]:
    unregressed = None
    short_r2 = [_report(pair).of(role).get("short_r2", math.nan) for role in ROLES]
    if pair.session.modality == "fnirs" and config.fnirs_short_regression and any(map(math.isfinite, short_r2)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataQualityWarning)  # said once already
            unregressed = preprocess_pair(aligned, dataclasses.replace(config, fnirs_short_regression=False))
    return {role: signals_of(pair, role, config, unregressed=unregressed) for role in ROLES}


def _report(pair: PairedRecording) -> Any:
    assert pair.quality is not None  # preprocess_pair always sets it
    return pair.quality


def _clock(pair: PairedRecording) -> Mapping[str, Any]:
    assert pair.clock is not None  # align_pair always sets it
    return {**dataclasses.asdict(pair.clock), "notes": list(pair.clock.notes)}


def _describe(signals: Signals, roi: str) -> Summary:
    """Say what the plan needs to know: channels, ROIs, and how much of the rhythm each one carries."""
    fractions = np.mean([signals.s2_line, signals.s2_quad], axis=0)
    inside = list(signals.rois.get(roi, ()))
    in_roi = float(np.mean(signals.s2_line[inside])) if inside else math.nan
    return {
        "person": signals.person,
        "channels": list(signals.ch_names),
        "rois": {name: [signals.ch_names[i] for i in where] for name, where in signals.rois.items()},
        "s2": [float(value) for value in fractions],
        "s2_roi": in_roi,
    }
