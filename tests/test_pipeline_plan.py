"""Study-wide decisions: the channels of regions, copies, what was found and who is told."""

from __future__ import annotations

import shutil
from pathlib import Path

import mne
import pytest

from hyperscan.errors import (
    NothingToAnalyseError,
)
from hyperscan.pipeline import check_study, load_study, run_study
from hyperscan.pipeline.plan import comparable_rois, roi_findings, used_rois
from hyperscan.results.plan import Plan, RegionChannels
from hyperscan.simulate import simulate_study
from pipeline_fixtures import (
    CAP,
    edit_table,
    run,
    summaries_without,
)


def decided(*lost: set[str]) -> dict[str, RegionChannels]:
    """Decide on the client's regions, by their names."""
    entries = comparable_rois(summaries_without(*lost))
    assert {entry.person for entry in entries} <= {"C1"}
    return {entry.roi: entry for entry in entries}


def test_equal_sessions_need_no_entry():
    assert decided(set(), set()) == {}
    assert decided({"O1"}, {"O1"}) == {}


def test_a_channel_that_one_session_lacks_is_used_in_none():
    regions = decided(set(), {"O1"}, {"Fz"})
    assert regions["all"].used == ("Pz", "O2", "Oz", "P3")
    assert regions["posterior"].used == ("Pz", "O2", "Oz", "P3")
    assert regions["posterior"].lost == {"O1": ("D1 ses-02 eeg",)}
    (finding,) = roi_findings(list(regions.values()))
    assert str(finding) == (
        "C1 (D1, eeg): to keep regions comparable, channels that some session lacks are used in none: "
        "Fz (not in D1 ses-03 eeg); O1 (not in D1 ses-02 eeg). Where that costs too much, leave the session out "
        "(include = no)."
    )
    rois = {"all": (0, 1, 2), "posterior": (1, 2), "mine": (2,)}
    names = ["Fz", "Pz", "O1"]
    assert used_rois(rois, names, list(regions.values())) == {"all": (1,), "posterior": (1,), "mine": (2,)}
    assert used_rois(rois, names, []) == rois


def test_one_ruined_session_does_not_decide_for_all():
    regions = decided(set(), {"O1"}, set(CAP) - {"Pz"})
    assert regions["all"].used == ("Fz", "Pz", "O2", "Oz", "P3")
    assert regions["all"].lost["O2"] == ("D1 ses-03 eeg",)


def test_too_little_in_common_is_said_and_left():
    regions = decided({"O1", "O2"}, {"Oz", "P3"})
    assert regions["all"].used is None
    (finding,) = roi_findings(list(regions.values()))
    assert finding.severity == "warning"
    assert "regions hold different channels from session to session" in str(finding)
    assert used_rois({"all": (0,)}, ["Fz"], list(regions.values())) == {"all": (0,)}


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
    plan = Plan.load(tmp_path / "out" / "plan.json")
    client = table.sessions[0].client
    entries = {entry.roi: entry for entry in plan.roi_channels}
    assert {entry.person for entry in entries.values()} == {client}
    assert list(entries["posterior"].lost) == ["O2"]
    assert "O2" not in entries["posterior"].used
    assert any(finding.kind == "roi_channels" for finding in plan.findings)
    assert any(
        f"{client} ({table.sessions[0].dyad}, eeg): to keep regions comparable" in note
        for note in check_study(lame).notes
    )


def test_one_recording_under_two_names_is_left_out(my_study: Path, tmp_path: Path) -> None:
    first, second = (next(my_study.glob(f"dyad-0{i}/ses-01/*therapist*.edf")) for i in (1, 2))
    shutil.copy(first, second)
    result = run(my_study, tmp_path / "out")
    assert [(entry.dyad, entry.session) for entry in result.skipped] == [("D01", 1), ("D02", 1)]
    assert "one recording is there under two names" in result.skipped[0].reason
    assert "edf" not in result.skipped[0].reason
    report = check_study(my_study)
    assert (report.usable, report.skipped) == (2, 2)
    assert {finding.kind for finding in result.plan.findings} >= {"few_dyads", "two_sessions"}


def test_no_usable_row_is_nothing_to_analyse(my_study: Path, tmp_path: Path) -> None:
    edit_table(my_study, "eeg", "meg")
    table, config = load_study(my_study)
    with pytest.raises(NothingToAnalyseError, match="Not one of 4"):
        run_study(table.sessions, config, out=tmp_path / "out", rejected=table.rejected)
    assert not (tmp_path / "out").exists()
