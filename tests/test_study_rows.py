"""One row: cells that cannot be read, paths that must stay inside, two people in one file."""

from __future__ import annotations

import unicodedata

import pytest

from hyperscan.study import read_sessions, read_table
from study_fixtures import a_row, only_rejection, rows_of, says, touch, write_table


def test_spreadsheet_numbers_and_loose_case_are_understood(tmp_path):
    write_table(
        tmp_path,
        [a_row(1, 1, modality="EEG") | {"session": "01"}, a_row(1, 2) | {"session": "2.0"}],
    )
    assert [(s.session, s.modality) for s in read_sessions(tmp_path)] == [(1, "eeg"), (2, "eeg")]


BAD_CELLS = {
    "dyad": ["", "n/a", "sub-01", "../D1", "..", "=cmd", "@SUM", "D 1", "Dé", "D\0", "x" * 65, "<script>"],
    "therapist": ["", "T_1", "Jane Doe", "-1"],
    "client": ["nan", "C/1"],
    "session": ["0", "-1", "1.5", "one", "1e9", "", "ses-3", "99999999999999999999", "٣"],
    "modality": ["nirs", "EGG", "meg", ""],
    "days": ["-1", "1,5", "soon", "inf", "1e400", "40000"],
    "date": ["31.03.2026", "2026-13-01", "2026-02-30", "yesterday"],
    "task": ["talk-1", "a b", "=1"],
    "run": ["-", "1_2"],
    "start_s": ["-3", "abc", "0,5"],
    "stop_s": ["0", "-1", "1e9"],
    "segment_event": ["x" * 300, "a\x07b", "speaks:", "speaks:therapists"],
    "therapist_channels": ["32-1", "0-3", "prefx:T", "prefix:", "/nirs1/../x", "1-99999999", "a", "1,,2"],
    "client_channels": ["sources:", "stream:"],
    "clock": ["none", "trigger", "GPS"],
    "therapist_offset_s": ["3"],
    "client_offset_s": ["3", "x"],
    "sync_event": ["x" * 300],
    "shared_file": ["gone.wav", "aux:", "../x.wav", "aux:a\x07b"],
    "include": ["maybe", "2"],
    "therapist_file": ["gone.edf", "", "."],
    "client_file": ["gone.edf", "dyad-99/x.edf"],
}


@pytest.mark.parametrize(("column", "value"), [(c, v) for c, values in BAD_CELLS.items() for v in values])
def test_a_bad_cell_rejects_its_row_only(tmp_path, column, value):
    rows = [*rows_of(2, 2), a_row(7, 1, **{column: value})]
    message = only_rejection(tmp_path, rows)
    says(message, "line 6", column)
    shown = value[:20].strip()
    if shown and column != "date" and shown not in ("n/a", "nan") and shown.isprintable() and "offset" not in column:
        assert shown in message
    if column == "date":
        assert value not in message


def test_every_fault_of_a_row_is_named(tmp_path):
    rows = [*rows_of(1, 2), a_row(2, 1, session="x", modality="meg", clock="none", client_file="gone.edf")]
    message = only_rejection(tmp_path, rows)
    for column in ("session", "modality", "clock", "client_file"):
        assert f"{column} = " in message


@pytest.mark.parametrize("value", ["no", "No", "FALSE", "0"])
def test_rows_that_are_not_included_are_left_out_unjudged(tmp_path, value):
    rows = [*rows_of(1, 2), a_row(1, 3, include=value, client_file="gone.edf", clock="none")]
    table = read_table(write_table(tmp_path, rows))
    assert (len(table.sessions), len(table.rejected)) == (2, 0)
    assert [row.line for row in table.excluded] == [4]


ESCAPES = [
    "../out.edf", "../../out.edf", "dyad-01/../../out.edf", "/etc/passwd", "//server/x", "C:\\x.edf",
    "C:/x.edf", "\\\\server\\share\\x.edf", "~/x.edf", "~root/x", "a\0b.edf", "..", "./..", "dyad-01/../..",
    "x" * 5000, "x" * 300, "link/out.edf", "link", "out_link.edf", "loop/x.edf", "dangling.edf", "file:///etc/passwd",
    "%2e%2e/out.edf", "..\\out.edf", "dyad-01/ses-01/therapist.edf/x",
]  # fmt: skip


@pytest.mark.parametrize("column", ["therapist_file", "client_file"])
@pytest.mark.parametrize("text", ESCAPES)
def test_paths_cannot_leave_the_study(tmp_path, text, column):
    root = tmp_path / "study"
    touch(tmp_path, "out.edf", "elsewhere/out.edf")
    root.mkdir()
    (root / "link").symlink_to(tmp_path / "elsewhere")
    (root / "out_link.edf").symlink_to(tmp_path / "out.edf")
    (root / "loop").symlink_to(root / "loop")
    (root / "dangling.edf").symlink_to(root / ".git/annex/objects/x.edf")
    touch(root, *(row[f"{role}_file"] for row in rows_of(2, 2) for role in ("therapist", "client")))
    message = only_rejection(root, [*rows_of(1, 2), a_row(2, 1, **{column: text})], files=False)
    says(message, "line 4", column)
    assert str(tmp_path) not in message.replace(text, "")


def test_a_link_inside_the_study_keeps_its_own_name(tmp_path):
    touch(tmp_path, ".git/annex/objects/SHA-1.edf", "dyad-01/ses-01/client.edf")
    (tmp_path / "dyad-01/ses-01/therapist.edf").symlink_to(tmp_path / ".git/annex/objects/SHA-1.edf")
    write_table(tmp_path, [a_row()], files=False)
    assert read_sessions(tmp_path)[0].therapist_file.name == "therapist.edf"


def test_a_link_to_data_that_was_not_downloaded_is_explained(tmp_path):
    touch(tmp_path, "dyad-01/ses-01/client.edf")
    (tmp_path / "dyad-01/ses-01/therapist.edf").symlink_to("../../.git/annex/objects/x.edf")
    write_table(tmp_path, [a_row()], files=False)
    says(read_table(tmp_path).rejected[0].reason, "therapist_file", "Download", "datalad get")


def test_dots_that_stay_inside_are_resolved(tmp_path):
    rows = [a_row(therapist_file="dyad-01/../dyad-01/ses-01/therapist.edf")]
    write_table(tmp_path, rows)
    touch(tmp_path, "dyad-01/ses-01/therapist.edf")
    assert read_sessions(tmp_path)[0].therapist_file == tmp_path.resolve() / "dyad-01/ses-01/therapist.edf"


@pytest.mark.parametrize(
    "name", ["with space.edf", "-dash.edf", "émoji😀.edf", "quote'.edf", 'mid"quote.edf', "x" * 240 + ".edf"]
)
def test_odd_file_names_work(tmp_path, name):
    write_table(tmp_path, [a_row(therapist_file=name)])
    assert read_sessions(tmp_path)[0].therapist_file.name == name


def test_a_file_name_with_a_newline_works_when_quoted(tmp_path):
    touch(tmp_path, "two\nlines.edf", "dyad-01/ses-01/client.edf", "dyad-01/ses-02/client.edf", "x.edf")
    rows = [a_row(therapist_file='"two\nlines.edf"'), a_row(1, 2, therapist_file="x.edf")]
    write_table(tmp_path, rows, files=False)
    sessions = read_sessions(tmp_path)
    assert [s.line for s in sessions] == [2, 4]
    assert sessions[0].therapist_file.name == "two\nlines.edf"


@pytest.mark.parametrize(("on_disk", "in_table"), [("NFD", "NFC"), ("NFC", "NFD")])
def test_composed_and_decomposed_letters_are_one_name(tmp_path, on_disk, in_table):
    name = "Gespräch/é.edf"
    touch(tmp_path, unicodedata.normalize(on_disk, name), "c.edf")
    row = a_row(therapist_file=unicodedata.normalize(in_table, name), client_file="c.edf")
    write_table(tmp_path, [row], files=False)
    assert read_sessions(tmp_path)[0].therapist_file.exists()


def test_a_missing_file_is_explained(tmp_path):
    root = tmp_path
    touch(root, "eeg/therapist.edf")
    absent = ("eeg/therapits.edf", "eeg\\therapist.edf")
    reason = only_rejection(root, [*rows_of(1, 1), a_row(2, therapist_file=absent[0])], absent=absent)
    says(reason, "eeg/therapits.edf", "is not there", "Did you mean 'therapist.edf'?")
    reason = only_rejection(root, [*rows_of(1, 1), a_row(2, therapist_file=absent[1])], absent=absent)
    says(reason, "Write folders with '/'")


def test_the_reader_lists_no_folder_outside_the_study(tmp_path):
    root = tmp_path / "study"
    touch(tmp_path, "elsewhere/secret1.edf")
    root.mkdir()
    (root / "link").symlink_to(tmp_path / "elsewhere")
    assert "secret1" not in only_rejection(root, [*rows_of(1, 1), a_row(2, therapist_file="link/secret2.edf")])


def test_one_file_with_two_selectors(tmp_path):
    both = {"therapist_file": "both.edf", "client_file": "both.edf"}
    write_table(tmp_path, [a_row(therapist_channels="1-16,33-48", client_channels="17-32,49-64", **both)])
    (session,) = read_sessions(tmp_path)
    assert session.therapist_file == session.client_file
    assert (session.therapist_channels, session.client_channels) == ("1-16,33-48", "17-32,49-64")


@pytest.mark.parametrize(
    ("therapist", "client"),
    [("n/a", "n/a"), ("1-32", "n/a"), ("1-32", "32-64"), ("prefix:T", "prefix:T_"), ("1-32", "prefix:C_"),
     ("stream:EEG", "stream:EEG"), ("/nirs1", "/nirs1"), ("suffix:0", "suffix:-0")],
)  # fmt: skip
def test_one_file_without_two_parts_is_refused(tmp_path, therapist, client):
    row = a_row(3, therapist_file="both.edf", client_file="both.edf")
    row |= {"therapist_channels": therapist, "client_channels": client}
    says(only_rejection(tmp_path, [*rows_of(1, 2), row]), "in one file", "therapist_channels")


@pytest.mark.parametrize("link", ["hard", "soft"])
def test_two_names_of_one_file_are_recognised(tmp_path, link):
    touch(tmp_path, "a.edf")
    if link == "hard":
        (tmp_path / "b.edf").hardlink_to(tmp_path / "a.edf")
    else:
        (tmp_path / "b.edf").symlink_to(tmp_path / "a.edf")
    row = a_row(2, therapist_file="a.edf", client_file="b.edf")
    table = read_table(write_table(tmp_path, [*rows_of(1, 1), row], files=False))
    says(str(table.rejected[-1]), "in one file")


def test_an_offset_beside_triggers_is_a_note_and_may_stand_alone(tmp_path):
    rows = [a_row(1, 1, clock="triggers", client_offset_s="12"), a_row(1, 2, clock="offset", client_offset_s="12")]
    table = read_table(write_table(tmp_path, rows))
    assert [(row.session, row.client_offset_s) for row in table.sessions] == [(1, 12.0)]
    says(table.rejected[0].reason, "needs both therapist_offset_s and client_offset_s")
