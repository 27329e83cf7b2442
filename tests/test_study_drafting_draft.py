"""A draft becomes a table: written whole, never over another, and read back."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hyperscan.errors import OutputError, OutputWriteError
from hyperscan.study import Draft, draft_dyads, read_table, write_draft
from study_fixtures import touch

EXAMPLES = Path(__file__).parents[2] / "shared" / "data"


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
