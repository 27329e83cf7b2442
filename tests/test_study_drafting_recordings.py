"""What counts as a recording in a folder, and what is passed over."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hyperscan.errors import InputError
from hyperscan.study import draft_dyads
from study_fixtures import cells, touch


def test_l11_nirx_folders_are_recordings(tmp_path):
    for who in ("child", "parent"):
        for suffix in ("hdr", "wl1", "wl2", "inf", "nirs"):
            touch(tmp_path, f"dyad-01/ses-01/{who}/NIRS-2019-09-28_002.{suffix}")
    draft = draft_dyads(tmp_path)
    assert cells(draft, "modality", "therapist_file", "client_file") == [
        ("fnirs", "dyad-01/ses-01/child", "dyad-01/ses-01/parent")
    ]


def test_parts_of_one_recording_are_one(tmp_path):
    touch(tmp_path, *(f"dyad-1/ses-1/{who}{end}" for who in ("therapist", "client")
                      for end in (".vhdr", ".vmrk", ".eeg")))  # fmt: skip
    touch(
        tmp_path,
        *(f"dyad-2/ses-1/{who}_raw{end}.fif" for who in ("therapist", "client") for end in ("", "-1")),
    )
    draft = draft_dyads(tmp_path)
    assert cells(draft, "therapist_file", "client_file") == [
        ("dyad-1/ses-1/therapist.vhdr", "dyad-1/ses-1/client.vhdr"),
        ("dyad-2/ses-1/therapist_raw.fif", "dyad-2/ses-1/client_raw.fif"),
    ]


def test_links_are_not_followed(tmp_path):
    root = tmp_path / "study"
    touch(root, "dyad-1/therapist.edf", "dyad-1/client.edf", ".git/annex/k.edf")
    touch(tmp_path, "outside/secret.edf")
    (root / "loop").symlink_to(root)
    (root / "dyad-1" / "up").symlink_to(root)
    (root / "out").symlink_to(tmp_path / "outside")
    (root / "dyad-1" / "secret.edf").symlink_to(tmp_path / "outside/secret.edf")
    (root / "dyad-1" / "self.edf").symlink_to(root / "dyad-1" / "self.edf")
    draft = draft_dyads(root)
    assert cells(draft, "therapist_file", "client_file") == [("dyad-1/therapist.edf", "dyad-1/client.edf")]
    for name in ("loop", "dyad-1/up", "out", "dyad-1/secret.edf"):
        assert any(repr(name) in note for note in draft.notes), name


def test_data_that_was_not_downloaded_is_drafted_all_the_same(tmp_path):
    for who in ("therapist", "client"):
        touch(tmp_path, "dyad-1/ses-1/notes.md")
        (tmp_path / f"dyad-1/ses-1/{who}.edf").symlink_to(f"../../.git/annex/{who}.edf")
    assert len(draft_dyads(tmp_path).rows) == 1


def test_an_empty_folder_is_refused(tmp_path):
    touch(tmp_path, "readme.txt", "participants.tsv", ".hidden.edf")
    with pytest.raises(InputError, match="holds no recording"):
        draft_dyads(tmp_path)
    with pytest.raises(InputError, match="is not a folder"):
        draft_dyads(tmp_path / "gone")


@pytest.mark.parametrize("name", ["new\nline.edf", "tab\t.edf", "bell\x07.edf"])
def test_names_that_no_table_can_hold_are_noted(tmp_path, name):
    touch(tmp_path, "dyad-1/therapist.edf", "dyad-1/client.edf", f"dyad-1/{name}")
    draft = draft_dyads(tmp_path)
    assert len(draft.rows) == 1
    assert any("Rename" in note and name not in note for note in draft.notes)


def test_a_file_name_that_is_not_utf8_is_noted(tmp_path):
    touch(tmp_path, "dyad-1/therapist.edf", "dyad-1/client.edf")
    try:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/dyad-1/\xff.edf")).touch()
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    draft = draft_dyads(tmp_path)
    assert len(draft.rows) == 1
    assert any("Rename" in note for note in draft.notes)
