"""A draft becomes a table: written whole, never over another, and read back."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hyperscan.errors import InputError, OutputError, OutputWriteError
from hyperscan.schema import CLOCKS
from hyperscan.study import Draft, Told, draft_dyads, read_table, write_draft
from hyperscan.study.drafting.draft import columns_of
from study_fixtures import REQUIRED, asks, bids, cells, touch

EXAMPLES = Path(__file__).parents[2] / "shared" / "data"


def listed_whole(draft: Draft) -> None:
    """Assert that every column with an empty required cell is asked about, and what is listed is not there yet."""
    asked = {name for question in draft.questions for name in columns_of(question)}
    rows = draft.rows.to_dict("records")
    assert {name for name in REQUIRED if any(not row[name] for row in rows)} <= asked
    assert set(draft.empty) <= asked
    assert draft.complete is (not asked)


def test_a_filled_draft_is_a_sound_table(tmp_path):
    for d in ("01", "02"):
        for s in ("1", "2"):
            touch(tmp_path, f"dyad-{d}/ses-{s}/therapist.edf", f"dyad-{d}/ses-{s}/client.edf")
    draft = draft_dyads(tmp_path)
    path = write_draft(draft, tmp_path)
    before = read_table(path)
    assert len(before.rejected) == 4
    assert all("therapist is empty" in row.reason for row in before.rejected)
    path.unlink()
    write_draft(Draft(draft.rows.assign(therapist="T01"), draft.rule), tmp_path)
    after = read_table(tmp_path)
    assert (len(after.sessions), after.rejected, after.notes) == (4, (), ())
    assert [s.task for s in after.sessions] == [""] * 4


def test_names_that_a_table_could_misread(tmp_path):
    touch(tmp_path, "=cmd 1/ses-1/therapist.edf", "=cmd 1/ses-1/client 'x' \"y\".edf")
    draft = draft_dyads(tmp_path)
    assert draft.rows["therapist_file"][0] == "./=cmd 1/ses-1/therapist.edf"
    write_draft(Draft(draft.rows.assign(therapist="T01"), ""), tmp_path)
    (session,) = read_table(tmp_path).sessions
    assert session.client_file.name == "client 'x' \"y\".edf"
    assert session.relative(session.therapist_file) == "=cmd 1/ses-1/therapist.edf"


def test_a_draft_never_replaces_a_table(tmp_path):
    touch(tmp_path, "dyad-1/therapist.edf", "dyad-1/client.edf", "dyads.tsv")
    draft = draft_dyads(tmp_path)
    with pytest.raises(OutputError, match=r"dyads\.tsv exists and is not replaced"):
        write_draft(draft, tmp_path)
    assert (tmp_path / "dyads.tsv").read_text() == "dyads.tsv"
    assert write_draft(draft, tmp_path / "other.tsv").name == "other.tsv"


def test_a_failed_write_leaves_nothing(tmp_path, monkeypatch):
    touch(tmp_path, "dyad-1/therapist.edf", "dyad-1/client.edf")
    draft = draft_dyads(tmp_path)

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputWriteError, match="No space left"):
        write_draft(draft, tmp_path)
    assert not (tmp_path / "dyads.tsv").exists()


def test_drafting_writes_nothing(tmp_path):
    touch(tmp_path, "dyad-1/therapist.edf", "dyad-1/client.edf")
    before = sorted(tmp_path.rglob("*"))
    draft_dyads(tmp_path)
    assert sorted(tmp_path.rglob("*")) == before


NAME = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=12).filter(
    lambda name: name not in (".", "..")
)


@given(paths=st.lists(st.lists(NAME, min_size=1, max_size=4), min_size=1, max_size=6))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_tree_gives_a_draft_that_reads_back(tmp_path_factory, paths):
    root = tmp_path_factory.mktemp("tree")
    # one letter before every name: no name is hidden, a role or a folder and a file at once
    touch(root, "plain.edf", *("a" + "/b".join(parts) + ".edf" for parts in paths if len(parts) > 1))
    draft = draft_dyads(root)
    assert draft.rule
    listed_whole(draft)
    table = read_table(write_draft(draft, root))
    assert len(table.sessions) + len(table.rejected) == len(draft.rows) > 0


@pytest.mark.skipif(not EXAMPLES.is_dir(), reason="example recordings are not there")
@pytest.mark.parametrize(
    ("folder", "n_rows"),
    [("eeg_study_growth", 18), ("fnirs_dyads_bnu_mat", 10), ("fnirs_dyads_burns_snirf", 4),
     ("fnirs_two_person_snirf", 4), ("fnirs_dyad_FCS01_nirx", 1), ("eeg_dyad_hypyp_epochs", 1)],
)  # fmt: skip
def test_real_folders(folder, n_rows):
    draft = draft_dyads(EXAMPLES / folder)
    assert len(draft.rows) == n_rows
    assert draft.questions


# ---- what is left to fill in

#: Files of which each leaves other cells empty.
TREES = {
    "roles unknown": ["dyad-1/ses-1/a.edf", "dyad-1/ses-1/b.edf"],
    "one file": ["dyad-1/ses-1/both.edf", "dyad-2/ses-1/both.edf"],
    "partner lost": ["dyad-1/ses-1/T.edf", "dyad-1/ses-1/C.edf", "dyad-2/ses-1/T.edf"],
    "three people": [f"dyad-1/ses-1/{who}.edf" for who in ("T", "C", "x")],
    "no dyad": ["rest/T.edf", "rest/C.edf"],
    "session 0": ["dyad-1/ses-0/T.edf", "dyad-1/ses-0/C.edf"],
    "modality unknown": ["dyad-1/ses-1/T.mat", "dyad-1/ses-1/C.mat"],
    "names that clash": ["Müller/ses-1/T.edf", "Müller/ses-1/C.edf", "Mueller/ses-1/T.edf", "Mueller/ses-1/C.edf"],
    "arms": [f"{arm}/dyad_1/{who}.edf" for arm in "ab" for who in "TC"],
    "neighbours": [f"sub-{i:02d}/eeg/sub-{i:02d}_eeg.edf" for i in range(1, 6)],
    "one therapist": [f"sub-{who}/eeg/sub-{who}_eeg.edf" for who in ("T1", "C1", "C2", "C3")],
    "whole": [f"sub-{who}/eeg/sub-{who}_eeg.edf" for who in ("T1", "C1")],
}


@pytest.mark.parametrize("tree", TREES)
def test_the_list_of_what_to_fill_in_is_whole(tmp_path, tree):
    touch(tmp_path, *TREES[tree])
    draft = draft_dyads(tmp_path, peek=lambda _: ["Fz", "Cz"])
    listed_whole(draft)
    assert draft.complete is (tree == "whole")
    assert all(f"{name} in " in str(draft) for name in draft.empty)
    table = read_table(write_draft(draft, tmp_path))
    # nothing that a row lacks is left for check to find
    assert bool(table.rejected) is not draft.complete


# ---- what the owner tells


def test_words_of_the_owner_give_the_roles(tmp_path):
    touch(tmp_path, *(f"control-0{i}/{who}_{task}.mat" for i in (1, 2) for who in "FM" for task in ("rest", "talk")))
    for told in (Told(therapist=("M",)), Told(client=("f",)), Told(("M",), ("F",))):
        rows = draft_dyads(tmp_path, told=told).rows
        assert rows["therapist_file"].str.contains("M_").all()
        assert rows["client_file"].str.contains("F_").all()
    draft = draft_dyads(tmp_path, told=Told(("M",), therapist_id="each", clock="triggers", modality="fnirs"))
    assert draft.complete
    assert cells(draft, "therapist", "client", "modality", "clock")[0] == (
        "Tcontrol01", "Ccontrol01", "fnirs", "triggers"
    )  # fmt: skip
    draft = draft_dyads(tmp_path, told=Told(("M",), therapist_id="T1", modality="fnirs"))
    assert set(draft.rows["therapist"]) == {"T1"}


def test_labels_and_channels_of_the_owner_give_the_roles(tmp_path):
    bids(tmp_path / "a", *(f"sub-{i:02d}_ses-1_acq-dyad{(i + 1) // 2}_eeg.edf" for i in (1, 2, 3, 4)))
    draft = draft_dyads(tmp_path / "a", told=Told(therapist=("02", "03")))
    assert cells(draft, "therapist", "client") == [("02", "01"), ("03", "04")]
    assert draft.complete
    touch(tmp_path / "b", "dyad-1/ses-1/x.edf", "dyad-1/ses-2/x.edf")
    names = [f"{who}_{place}" for who in ("a", "b") for place in ("Fz", "Cz")]
    for word in ("b_", "b", "prefix:b_"):
        draft = draft_dyads(tmp_path / "b", peek=lambda _: names, told=Told(therapist=(word,), therapist_id="T1"))
        assert cells(draft, "therapist_channels", "client_channels")[0] == ("prefix:b_", "prefix:a_")
        assert draft.complete


@pytest.mark.parametrize("clock", CLOCKS[:-1])
def test_every_clock_can_be_told(tmp_path, clock):
    touch(tmp_path, "dyad-1/ses-1/T.edf", "dyad-1/ses-1/C.edf")
    draft = draft_dyads(tmp_path, told=Told(therapist_id="T1", clock=clock))
    assert set(draft.rows["clock"]) == {clock}
    assert draft.complete is (clock != "offset")
    assert not any("add the column clock" in note for note in draft.notes)
    if clock == "offset":
        asks(draft, "therapist_offset_s, client_offset_s: ")
        assert draft.empty == {"therapist_offset_s": 1, "client_offset_s": 1}


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"therapist": ("F", "unheard")}, "therapist 'unheard': no person's file"),
        ({"therapist": ("F",), "client": ("f",)}, "'f' is told to be therapist and client"),
        ({"clock": "none"}, "allowed: same_amplifier"),
        ({"modality": "meg"}, "allowed: eeg, fnirs"),
        ({"therapist_id": "Jane Doe"}, "letters A-Z a-z and digits"),
    ],
)
def test_what_the_owner_cannot_mean_is_refused(tmp_path, told, said):
    touch(tmp_path, "dyad-1/F.edf", "dyad-1/M.edf")
    with pytest.raises(InputError, match=said):
        draft_dyads(tmp_path, told=Told(**told))
