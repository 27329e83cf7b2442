"""A recording that changes, cannot be read or meets a fault costs its own session alone."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from hyperscan.errors import NothingToAnalyseError
from hyperscan.pipeline import prepare as prepare_module
from hyperscan.pipeline import unit as unit_module
from hyperscan.recording.guard import guarded
from pipeline_fixtures import (
    run,
)


def test_an_input_that_changes_while_it_is_read_is_left_out(
    my_study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = prepare_module.load_session

    def load_and_change(row: Any) -> Any:
        pair = load(row)
        if row.dyad == "D01" and row.session == 1:
            with row.therapist_file.open("ab") as stream:
                stream.write(b"\0")
        return pair

    monkeypatch.setattr(prepare_module, "load_session", load_and_change)
    result = run(my_study, tmp_path / "out")
    assert [(entry.dyad, entry.session) for entry in result.skipped] == [("D01", 1)]
    assert "changed while it was read" in result.skipped[0].reason
    assert not (tmp_path / "out/dyad-D01/ses-01").exists()


def test_an_unreadable_input_is_left_out(my_study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load = prepare_module.load_session

    def forbid(row: Any) -> Any:
        if row.dyad == "D02":
            raise PermissionError(13, "Permission denied", str(row.therapist_file))
        return load(row)

    monkeypatch.setattr(prepare_module, "load_session", forbid)
    result = run(my_study, tmp_path / "out")
    assert {entry.dyad for entry in result.skipped} == {"D02"}
    assert "Permission denied" in result.skipped[0].reason
    monkeypatch.undo()  # a failure of the machine is not remembered
    assert run(my_study, tmp_path / "out").skipped == []


@pytest.mark.parametrize(("error", "words"), [(MemoryError(), "memory"), (KeyError("Jane Doe"), "internal error")])
def test_a_fault_in_one_session_costs_only_that_one(
    my_study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, words: str
) -> None:
    align = prepare_module.align_pair

    def fail(pair: Any) -> Any:
        if pair.session.key[:2] == ("D02", 2):
            raise error
        return align(pair)

    monkeypatch.setattr(prepare_module, "align_pair", fail)
    result = run(my_study, tmp_path / "out")
    assert [(entry.dyad, entry.session) for entry in result.skipped] == [("D02", 2)]
    assert words in result.skipped[0].reason
    everything = "".join(path.read_text("utf-8", "replace") for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert "Jane Doe" not in everything
    if words == "internal error":
        log = next((tmp_path / "out/logs").iterdir()).read_text()
        assert "at prepare.py" in log


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EMFILE, errno.EIO, errno.ESTALE])
def test_a_fault_of_the_machine_is_not_remembered(
    my_study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def fail(row: Any) -> Any:
        with guarded("t.edf", "EDF"):
            raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(prepare_module, "load_session", fail)
        with pytest.raises(NothingToAnalyseError, match="could not be read, because"):
            run(my_study, tmp_path / "out")
    assert run(my_study, tmp_path / "out").skipped == []


@pytest.mark.parametrize("good", [0, 8])  # before anything is read, or after it
def test_a_fault_while_inputs_are_hashed_is_no_change_of_theirs(
    my_study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, good: int
) -> None:
    calls, real = [0], unit_module.sha256

    def fail(path: Path) -> str:
        calls[0] += path.suffix == ".edf"
        if path.suffix == ".edf" and calls[0] > good:
            raise OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
        return real(path)

    with monkeypatch.context() as patch:
        patch.setattr(unit_module, "sha256", fail)
        with pytest.raises(NothingToAnalyseError, match="could not be read a second time"):
            run(my_study, tmp_path / "out")
    assert run(my_study, tmp_path / "out").skipped == []
