"""Regions hold the same channels in all of a person's sessions, and what that costs is listed."""

from __future__ import annotations

import json
from pathlib import Path

import mne
import pytest

from hyperscan.pipeline import check_study, load_study, run_study
from hyperscan.pipeline.regions import comparable_rois, roi_findings, used_rois
from hyperscan.schema import SessionKey
from hyperscan.simulate import simulate_study
from hyperscan.study import Session

CAP = ["Fz", "Pz", "O1", "O2", "Oz", "P3"]


def _study(*lost: set[str]) -> tuple[list[Session], dict[SessionKey, dict]]:
    """Sessions of one dyad; the client lacks some channels in each, the therapist none."""
    here = Path("study")
    rows = [Session("D1", "T1", "C1", k, "eeg", here / "t", here / "c", here) for k in range(1, len(lost) + 1)]

    def person(label: str, gone: set[str]) -> dict:
        kept = [name for name in CAP if name not in gone]
        return {"person": label, "rois": {"all": kept, "posterior": [name for name in kept if name != "Fz"]}}

    return rows, {
        row.key: {"people": {"therapist": person("T1", set()), "client": person("C1", gone)}}
        for row, gone in zip(rows, lost, strict=True)
    }


def test_equal_sessions_need_no_entry():
    assert comparable_rois(*_study(set(), set())) == []
    assert comparable_rois(*_study({"O1"}, {"O1"})) == []


def test_a_channel_that_one_session_lacks_is_used_in_none():
    entries = comparable_rois(*_study(set(), {"O1"}, {"Fz"}))
    assert {entry["person"] for entry in entries} == {"C1"}
    by_roi = {entry["roi"]: entry for entry in entries}
    assert by_roi["all"]["used"] == ["Pz", "O2", "Oz", "P3"]
    assert by_roi["posterior"]["used"] == ["Pz", "O2", "Oz", "P3"]
    assert by_roi["posterior"]["lost"] == {"O1": ["D1 ses-02 eeg"]}
    (finding,) = roi_findings(entries)
    assert str(finding) == (
        "C1 (D1, eeg): to keep regions comparable, channels that some session lacks are used in none: "
        "Fz (not in D1 ses-03 eeg); O1 (not in D1 ses-02 eeg). Where that costs too much, leave the session out "
        "(include = no)."
    )
    rois = {"all": (0, 1, 2), "posterior": (1, 2), "mine": (2,)}
    whose = ("eeg", "", "D1", "C1")
    assert used_rois(rois, ["Fz", "Pz", "O1"], entries, whose) == {"all": (1,), "posterior": (1,), "mine": (2,)}
    assert used_rois(rois, ["Fz", "Pz", "O1"], entries, ("eeg", "", "D1", "T1")) == rois


def test_one_ruined_session_does_not_decide_for_all():
    entries = {entry["roi"]: entry for entry in comparable_rois(*_study(set(), {"O1"}, set(CAP) - {"Pz"}))}
    assert entries["all"]["used"] == ["Fz", "Pz", "O2", "Oz", "P3"]
    assert entries["all"]["lost"]["O2"] == ["D1 ses-03 eeg"]


def test_too_little_in_common_is_said_and_left():
    entries = comparable_rois(*_study({"O1", "O2"}, {"Oz", "P3"}))
    by_roi = {entry["roi"]: entry for entry in entries}
    assert by_roi["all"]["used"] is None
    (finding,) = roi_findings(entries)
    assert finding.severity == "warning"
    assert "regions hold different channels from session to session" in str(finding)
    assert used_rois({"all": (0,)}, ["Fz"], entries, ("eeg", "", "D1", "C1")) == {"all": (0,)}


@pytest.fixture
def lame(tmp_path: Path) -> Path:
    """A study of two dyads whose first client has no O2 in the first session."""
    study = simulate_study(tmp_path / "study", "growth", seed=1, n_dyads=2, n_sessions=2)
    row = load_study(study)[0].sessions[0]
    raw = mne.io.read_raw(row.client_file, preload=True, verbose="error")
    raw._data[raw.ch_names.index("O2")] = 0
    raw.save(
        row.client_file, overwrite=True, verbose="error"
    ) if row.client_file.suffix == ".fif" else mne.export.export_raw(
        row.client_file, raw, overwrite=True, verbose="error"
    )
    return study


@pytest.mark.filterwarnings("ignore::hyperscan.errors.DataQualityWarning")
def test_a_run_leaves_the_lost_channel_out_of_every_session(lame: Path, tmp_path: Path) -> None:
    table, config = load_study(lame)
    run_study(table.sessions, config, out=tmp_path / "out")
    plan = json.loads((tmp_path / "out" / "plan.json").read_text(encoding="utf-8"))
    client = table.sessions[0].client
    entries = {entry["roi"]: entry for entry in plan["roi_channels"]}
    assert {entry["person"] for entry in entries.values()} == {client}
    assert list(entries["posterior"]["lost"]) == ["O2"]
    assert "O2" not in entries["posterior"]["used"]
    assert any(finding["kind"] == "roi_channels" for finding in plan["findings"])
    assert any(
        f"{client} ({table.sessions[0].dyad}, eeg): to keep regions comparable" in note
        for note in check_study(lame).notes
    )
