from __future__ import annotations

import contextlib
import os
import re
import unicodedata
import warnings
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hyperscan.errors import DataQualityWarning, TableError
from hyperscan.study import Session, StudyTable, read_sessions, read_table
from study_fixtures import REQUIRED, a_row, rows_of, touch, write_table

REMEDY = re.compile(
    r"\b(Write|Correct|Give|Fill|Keep|Remove|Put|Rename|Mend|Save|Use|Name|Add|Spell|Download|Separate|"
    r"Did you mean|Compare|Look|Begin|allowed|expected|drafts|Check)\b"
)


def says(message: str, *facts: str) -> None:
    """Assert that a message names the facts, offers a remedy, and is short."""
    for fact in facts:
        assert fact in message, f"{fact!r} is not in: {message}"
    assert REMEDY.search(message), f"no remedy in: {message}"
    assert "Traceback" not in message
    assert len(message.splitlines()) <= 3


def only_rejection(root: Path, rows: list[dict[str, str]], **options: object) -> str:
    table = read_table(write_table(root, rows, **options))
    assert len(table.rejected) == 1, [str(row) for row in table.rejected]
    assert len(table.sessions) == len(rows) - 1
    return str(table.rejected[0])


# -- what a sound table gives


def test_a_sound_table_gives_every_field(tmp_path):
    row = a_row(
        days="7.5", task="talk", run="01", start_s="10", stop_s="600.5", segment_event="interaction",
        therapist_channels="prefix:T_", client_channels="prefix:C_", clock="offset", therapist_offset_s="0",
        client_offset_s="-1.25", sync_event="TTL", include="yes", wai="5", bdi="12.5", arm="CBT",
    )  # fmt: skip
    write_table(tmp_path, [row])
    (session,) = read_sessions(tmp_path)
    root = tmp_path.resolve()
    assert session == Session(
        dyad="D01", therapist="T01", client="C01", session=1, modality="eeg",
        therapist_file=root / "dyad-01/ses-01/therapist.edf", client_file=root / "dyad-01/ses-01/client.edf",
        root=root, days=7.5, task="talk", run="01", start_s=10.0, stop_s=600.5, segment_event="interaction",
        therapist_channels="prefix:T_", client_channels="prefix:C_", clock="offset", therapist_offset_s=0.0,
        client_offset_s=-1.25, sync_event="TTL", covariates={"wai": 5, "bdi": 12.5, "arm": "CBT"}, line=2,
    )  # fmt: skip
    assert session.relative(session.client_file) == "dyad-01/ses-01/client.edf"
    assert session.key == ("D01", 1, "eeg", "talk", "01")


@pytest.mark.parametrize("name", ["dyads.tsv", "dyads.csv"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_separators_line_ends_and_byte_order_mark(tmp_path, name, newline, encoding):
    write_table(tmp_path, rows_of(2, 3), name=name, newline=newline, encoding=encoding)
    table = read_table(tmp_path)
    assert [s.key[:2] for s in table.sessions] == [(f"D{d:02d}", s) for d in (1, 2) for s in (1, 2, 3)]
    assert [s.line for s in table.sessions] == [2, 3, 4, 5, 6, 7]
    assert not table.rejected


def test_blank_lines_are_passed_over_but_counted(tmp_path):
    path = write_table(tmp_path, rows_of(1, 2))
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], "", lines[1], "\t" * 6, lines[2], ""]))
    assert [s.line for s in read_sessions(path)] == [3, 5]


def test_twenty_clean_studies_give_no_warning(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for number in range(20):
            rows = rows_of(1 + number % 5, 1 + number % 7)
            for row in rows:
                row["days"] = str(7 * int(row["session"]) - 7)
            write_table(tmp_path / str(number), rows)
            assert len(read_sessions(tmp_path / str(number))) == len(rows)


def test_spreadsheet_numbers_and_loose_case_are_understood(tmp_path):
    write_table(
        tmp_path,
        [a_row(1, 1, modality="EEG") | {"session": "01"}, a_row(1, 2) | {"session": "2.0"}],
    )
    assert [(s.session, s.modality) for s in read_sessions(tmp_path)] == [(1, "eeg"), (2, "eeg")]


def test_a_therapist_with_several_clients_is_normal(tmp_path):
    rows = [row | {"therapist": "T01"} for row in rows_of(4, 2)]
    write_table(tmp_path, rows)
    assert {s.therapist for s in read_sessions(tmp_path)} == {"T01"}


# -- a broken structure


def structure_fault(path: Path) -> TableError:
    with pytest.raises(TableError) as caught:
        read_table(path)
    assert caught.value.problems or caught.value.args
    return caught.value


@pytest.mark.parametrize("column", REQUIRED)
def test_a_missing_column_is_named(tmp_path, column):
    row = a_row()
    del row[column]
    error = structure_fault(write_table(tmp_path, [row], files=False))
    says(str(error), "dyads.tsv", f"column {column!r} is missing", "required")


def test_a_misspelt_column_is_to_be_renamed_and_a_missing_one_added(tmp_path):
    row = a_row()
    row["Dyad"] = row.pop("dyad")
    error = structure_fault(write_table(tmp_path, [row], files=False))
    says(str(error), "column 'dyad' is missing. Is it the one named 'Dyad'? Rename it; required: dyad,")
    row["pair"] = row.pop("Dyad")
    error = structure_fault(write_table(tmp_path, [row], files=False))
    says(str(error), "column 'dyad' is missing. Add it; required: dyad,")


def test_every_structural_fault_is_listed_at_once(tmp_path):
    rows = [a_row(**{"Client": "x", "day": "3", "estimate": "1", "<b>": "2", "wai": "3,5"})]
    del rows[0]["modality"]
    problems = structure_fault(write_table(tmp_path, rows, files=False)).problems
    for problem in problems:
        says(problem, "dyads.tsv")
    text = "\n".join(problems)
    for fact in (
        "'modality' is missing",
        "'Client'",
        "'day'",
        "'days'",
        "'estimate'",
        "'<b>'",
        "decimal comma",
    ):
        assert fact in text
    assert len(problems) == 6


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("day", "days"), ("dates", "date"), ("Task", "task"), ("start", "start_s"), ("stop_S", "stop_s"),
     ("therapist_channel", "therapist_channels"), ("clocks", "clock"), ("clokc", "clock"), ("included", "include"),
     ("sync_events", "sync_event"), ("segment-event", "segment_event"), ("client_offset", "client_offset_s")],
)  # fmt: skip
def test_a_misspelt_option_is_not_taken_for_a_covariate(tmp_path, typed, meant):
    error = structure_fault(write_table(tmp_path, [a_row(**{typed: "1"})]))
    says(str(error), typed, meant)


@pytest.mark.parametrize(
    "name", ["age", "sex", "therapist_age", "client_age", "wai", "WAI (client)", "BDI-II", "rate", "block", "Bündnis"]
)
def test_real_covariate_names_pass(tmp_path, name):
    write_table(tmp_path, [a_row(**{name: "3"})])
    assert read_sessions(tmp_path)[0].covariates == {name: 3}


def test_a_misspelt_required_column_is_recognised(tmp_path):
    row = a_row()
    row["therapist_files"] = row.pop("therapist_file")
    says(str(structure_fault(write_table(tmp_path, [row], files=False))), "therapist_file", "therapist_files")


@pytest.mark.parametrize(
    ("data", "facts"),
    [
        (b"", ["empty"]),
        (b"\n\n", ["empty"]),
        (b"dyad\ttherapist\n", ["no rows"]),
        (b"dyad;therapist;client\nD1;T1;C1\n", ["line 1", "semicolons"]),
        (b"dyad,therapist,client\nD1,T1,C1\n", ["line 1", "commas"]),
        (b"dyad therapist client\nD1 T1 C1\n", ["line 1", "only one column"]),
        ("dyad\ttherapist\nD1\tT1\nD2\tJörg\n".encode("latin-1"), ["line 3", "UTF-8"]),
        ("dyad\ttherapist\nD1\tT1\n".encode("utf-16"), ["UTF-16"]),
        (b"PK\x03\x04xxxx", ["spreadsheet"]),
        (b'dyad\ttherapist\nD1\t"T1\nD2\tT2\n', ["line 2", "cannot be split"]),
        (b"dyad\ttherapist\nD1\t" + b"x" * 200_000 + b"\n", ["line 2", "cannot be split"]),
        (b"dyad\t\ttherapist\nD1\t2\tT1\n", ["column 2 has no name"]),
        (b"dyad\tdyad\ttherapist\nD1\tD1\tT1\n", ["twice"]),
    ],
)
def test_a_broken_file_is_refused(tmp_path, data, facts):
    path = tmp_path / "dyads.tsv"
    path.write_bytes(data)
    error = structure_fault(path)
    for problem in error.problems or (str(error),):
        says(problem, "dyads.tsv")
    assert all(fact in str(error) for fact in facts), str(error)


def test_a_missing_table_points_to_init(tmp_path):
    says(str(structure_fault(tmp_path)), "dyads.tsv", "hyperscan init")
    (tmp_path / "dyad.tsv").write_text("")
    says(str(structure_fault(tmp_path)), "'dyad.tsv'")
    says(str(structure_fault(tmp_path / "none.tsv")), "none.tsv")
    says(str(structure_fault(tmp_path / "study.xlsx")), "study.xlsx", ".tsv")


def test_two_tables_in_one_folder_are_refused(tmp_path):
    write_table(tmp_path, rows_of(1, 1))
    write_table(tmp_path, rows_of(1, 1), name="dyads.csv")
    says(str(structure_fault(tmp_path)), "dyads.tsv and dyads.csv")
    assert len(read_sessions(tmp_path / "dyads.csv")) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_table_is_refused(tmp_path):
    write_table(tmp_path, rows_of(1, 1)).chmod(0)
    says(str(structure_fault(tmp_path)), "cannot be read", "permissions")


# -- a broken row leaves the others alone

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
    "segment_event": ["x" * 300, "a\x07b"],
    "therapist_channels": ["32-1", "0-3", "prefx:T", "prefix:", "/nirs1/../x", "1-99999999", "a", "1,,2"],
    "client_channels": ["sources:", "stream:"],
    "clock": ["none", "trigger", "GPS"],
    "therapist_offset_s": ["3"],
    "client_offset_s": ["3", "x"],
    "sync_event": ["x" * 300],
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


@pytest.mark.parametrize(("cells", "fault"), [(-1, "6 cells, the header 7"), (1, "8 cells, the header 7")])
def test_a_row_of_another_length(tmp_path, cells, fault):
    path = write_table(tmp_path, rows_of(1, 3))
    lines = path.read_text().splitlines()
    lines[2] = lines[2].rpartition("\t")[0] if cells < 0 else lines[2] + "\textra"
    path.write_text("\n".join(lines))
    table = read_table(path)
    assert len(table.sessions) == 2
    says(str(table.rejected[0]), "line 3", fault)


def test_surplus_empty_cells_are_forgiven(tmp_path):
    path = write_table(tmp_path, rows_of(1, 2))
    path.write_text("\n".join(line + "\t\t" for line in path.read_text().splitlines()))
    assert len(read_sessions(path)) == 2


def test_read_sessions_warns_of_rejected_rows_and_names_each(tmp_path):
    write_table(tmp_path, [*rows_of(1, 2), a_row(2, 1, modality="meg"), a_row(3, 1, session="x")])
    with pytest.warns(DataQualityWarning, match=r"2 of 4 rows cannot be used\.\nline 4 .*\nline 5 ") as caught:
        assert len(read_sessions(tmp_path)) == 2
    assert len(caught) == 1
    assert caught[0].filename == __file__


def test_read_sessions_refuses_when_nothing_is_left(tmp_path):
    write_table(tmp_path, [a_row(modality="meg"), a_row(2, include="no")])
    with pytest.raises(TableError, match="not one row can be used") as caught:
        read_sessions(tmp_path)
    assert len(caught.value.problems) == 2
    says(caught.value.problems[0], "line 2", "modality")


@pytest.mark.parametrize("value", ["no", "No", "FALSE", "0"])
def test_rows_that_are_not_included_are_left_out_unjudged(tmp_path, value):
    rows = [*rows_of(1, 2), a_row(1, 3, include=value, client_file="gone.edf", clock="none")]
    table = read_table(write_table(tmp_path, rows))
    assert (len(table.sessions), len(table.rejected)) == (2, 0)
    assert [row.line for row in table.excluded] == [4]


# -- paths

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


# -- one file, two people


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


# -- rows compared


def rejected_lines(root: Path, rows: list[dict[str, str]], fact: str) -> list[int]:
    table = read_table(write_table(root, rows))
    for row in table.rejected:
        says(str(row), fact)
    return [row.line for row in table.rejected]


def test_duplicate_keys(tmp_path):
    rows = [*rows_of(1, 3), a_row(1, 2, therapist_file="other.edf", client_file="other2.edf")]
    assert rejected_lines(tmp_path, rows, "are the same as in line") == [3, 5]


def test_runs_tasks_and_modalities_are_no_duplicates(tmp_path):
    rows = [
        a_row(1, 1, task="talk", run="1"),
        a_row(1, 1, task="talk", run="2", therapist_file="r2t.edf", client_file="r2c.edf"),
        a_row(1, 1, task="rest", therapist_file="rt.edf", client_file="rc.edf"),
        a_row(1, 1, modality="fnirs", therapist_file="ft.edf", client_file="fc.edf"),
    ]
    assert not rejected_lines(tmp_path, rows, "")


@pytest.mark.parametrize(("column", "usual"), [("dyad", "D01"), ("therapist", "T01"), ("client", "C01")])
def test_ids_that_differ_in_case_only(tmp_path, column, usual):
    rows = rows_of(2, 3)
    rows[1][column] = usual.lower()
    assert 3 in rejected_lines(tmp_path, rows, "")
    assert len(read_table(tmp_path).sessions) == 5


def test_a_dyad_with_another_partner(tmp_path):
    rows = rows_of(2, 3)
    rows[1]["client"] = "C09"
    assert rejected_lines(tmp_path, rows, "its own dyad id") == [3]


def test_exchanged_roles(tmp_path):
    rows = rows_of(2, 3)
    rows[2] |= {"therapist": "C01", "client": "T01"}
    assert rejected_lines(tmp_path, rows, "exchanged") == [4]


@pytest.mark.parametrize(
    ("days", "wrong"),
    [([0, 7, 14, 21, 28], []), ([0, 7, 7, 21, 28], []), ([0, 14, 7, 21, 28], [3, 4]),
     ([0, 7, 14, 3, 28], [5]),
     ([28, 7, 14, 21, 30], [2]), ([0, 7, 140, 21, 28], [4])],
)  # fmt: skip
def test_days_that_disagree_with_the_order(tmp_path, days, wrong):
    rows = [a_row(1, s, days=str(d)) for s, d in enumerate(days, 1)] + [a_row(2, 1, days="0")]
    assert rejected_lines(tmp_path, rows, "disagrees with the order") == wrong


def test_one_session_on_two_days(tmp_path):
    rows = [
        a_row(1, 1, days="0", task="a"),
        a_row(1, 1, days="5", task="b", therapist_file="x.edf", client_file="y.edf"),
    ]
    assert rejected_lines(tmp_path, rows, "on day 0 in line 2") == [3]


def test_dates_become_days_and_are_not_kept(tmp_path):
    dates = {(1, 1): "2026-03-28", (1, 2): "2026-03-30", (2, 1): "2025-12-24T16:00", (2, 2): "2026-01-07"}
    rows = [a_row(d, s, date=text) for (d, s), text in dates.items()]
    write_table(tmp_path, rows)
    sessions = read_sessions(tmp_path)
    assert [s.days for s in sessions] == [0.0, 2.0, 0.0, 14.0]
    assert "2026" not in repr([{**vars(s), "root": 0, "therapist_file": 0, "client_file": 0} for s in sessions])


def test_a_first_session_that_is_left_out_still_counts_as_day_zero(tmp_path):
    rows = [a_row(1, s, date=f"2026-03-{7 * s:02d}") for s in (1, 2, 3)]
    rows[0]["include"] = "no"
    write_table(tmp_path, rows)
    assert [s.days for s in read_sessions(tmp_path)] == [7.0, 14.0]


def test_days_and_dates_must_tell_one_story(tmp_path):
    good = [a_row(2, s, date=f"2026-03-{7 * s:02d}", days=str(7 * s - 7)) for s in (1, 2)]
    bad = [a_row(1, s, date=f"2026-03-{7 * s:02d}", days=str(9 * s - 9)) for s in (1, 2, 3)]
    assert rejected_lines(tmp_path, good + bad, "days and date disagree") == [4, 5, 6]
    mixed = [a_row(1, 1, date="2026-03-01"), a_row(1, 2, days="7")]
    assert rejected_lines(tmp_path, good + mixed, "days in some rows and date in others") == [4, 5]


@pytest.mark.parametrize(
    ("first", "second", "overlap"),
    [
        ({}, {}, True),
        ({"stop_s": "600"}, {"start_s": "600"}, False),
        ({"stop_s": "600.1"}, {"start_s": "600"}, True),
        ({"segment_event": "rest"}, {"segment_event": "talk"}, False),
        ({"segment_event": "rest"}, {"segment_event": "rest"}, True),
    ],
)
def test_one_recording_for_two_sessions(tmp_path, first, second, overlap):
    shared = {"therapist_file": "t.edf", "client_file": "c.edf"}
    rows = [a_row(1, 1, **shared, **first), a_row(1, 2, **shared, **second), a_row(2, 1)]
    assert rejected_lines(tmp_path, rows, "for the same time in line") == ([2, 3] if overlap else [])


def test_one_recording_of_the_therapist_for_two_dyads(tmp_path):
    rows = rows_of(3, 1)
    for row in rows[:2]:
        row |= {"therapist": "T01", "therapist_file": "group.edf"}
    assert rejected_lines(tmp_path, rows, "therapist_file is used for the same time") == [2, 3]


def test_four_people_in_one_file_are_two_dyads(tmp_path):
    one = {"therapist_file": "four.edf", "client_file": "four.edf"}
    rows = [
        a_row(1, therapist_channels="1-8", client_channels="9-16", **one),
        a_row(2, therapist_channels="17-24", client_channels="25-32", **one),
    ]
    assert not rejected_lines(tmp_path, rows, "")
    rows[1]["therapist_channels"] = "16-24"
    assert rejected_lines(tmp_path, rows, "for the same time") == [2, 3]


def test_eeg_and_fnirs_of_one_session_may_share_a_file(tmp_path):
    files = {"therapist_file": "t.edf", "client_file": "c.edf"}
    assert not rejected_lines(tmp_path, [a_row(**files), a_row(modality="fnirs", **files)], "")


# -- covariates


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        (["1", "2", "-3"], [1, 2, -3]),
        (["1", "2.5", "1e3"], [1.0, 2.5, 1000.0]),
        (["1", "n/a", ""], [1, None, None]),
        (["1", "x", "2"], ["1", "x", "2"]),
        (["007", "008", "9"], ["007", "008", "9"]),
        (["", "", ""], [None, None, None]),
        (["9" * 19, "1", "2"], [1e19, 1.0, 2.0]),
    ],
)
def test_a_covariate_has_one_type(tmp_path, texts, values):
    write_table(tmp_path, [a_row(1, s, wai=text) for s, text in enumerate(texts, 1)])
    read = [s.covariates["wai"] for s in read_sessions(tmp_path)]
    assert read == values
    assert [type(value) for value in read] == [type(value) for value in values]


@pytest.mark.parametrize("text", ['=HYPERLINK("http://x")', "@SUM(A1)", "+cmd|x", "-2+3", "=1+1"])
def test_formulas_are_neutralised_and_reported(tmp_path, text):
    quoted = '"' + text.replace('"', '""') + '"'
    write_table(tmp_path, [a_row(1, 1, arm="CBT"), a_row(1, 2, arm=quoted)])
    with pytest.warns(DataQualityWarning, match=r"dyads.tsv line 3: column 'arm' .* formula"):
        assert read_sessions(tmp_path)[1].covariates["arm"] == "'" + text


@pytest.mark.parametrize("text", ["2026-03-31", "31.03.2026", "3/31/26", "2026-03-31T10:00:00"])
def test_dates_do_not_pass_as_covariates(tmp_path, text):
    write_table(tmp_path, [a_row(1, 1, seen="n/a", wai="3"), a_row(1, 2, seen=text, wai="4")])
    with pytest.warns(DataQualityWarning, match="line 3: column 'seen' holds dates") as caught:
        sessions = read_sessions(tmp_path)
    assert [s.covariates for s in sessions] == [{"wai": 3}, {"wai": 4}]
    assert text not in str(caught[0].message)


def test_remarks_do_not_pass_as_covariates(tmp_path):
    write_table(tmp_path, [a_row(1, 1, note="Ms Doe cried " * 8)])
    with pytest.warns(DataQualityWarning, match="left out") as caught:
        assert read_sessions(tmp_path)[0].covariates == {}
    assert "Doe" not in str(caught[0].message)


# -- fuzz

CELL = st.one_of(
    st.sampled_from(
        ["D01", "d01", "1", "2", "-1", "eeg", "fnirs", "a.edf", "b.edf", "../a.edf", "/a", "n/a", "", "NaN"]
    ),
    st.sampled_from(["1-32", "prefix:T", "/nirs1", "none", "2026-01-01", "1,5", "=1", "yes", '"', "a\0b", "1e999"]),
    st.text(max_size=12),
)
COLUMN = st.one_of(
    st.sampled_from([*REQUIRED, "days", "date", "task", "clock", "include", "start_s"]), st.text(max_size=8)
)


@given(
    header=st.lists(COLUMN, max_size=4),
    rows=st.lists(st.lists(CELL, max_size=14), max_size=6),
    separator=st.sampled_from(["\t", "\t", "\t", ",", ";"]),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(header=[], rows=[["D1", "T1", "C1", "1", "eeg", "a.edf", "b.edf"]], separator="\t")
def test_no_table_text_escapes_as_another_error(tmp_path, header, rows, separator):
    touch(tmp_path, "a.edf", "b.edf")
    lines = [separator.join(cells) for cells in ([*REQUIRED, *header], *rows)]
    (tmp_path / "dyads.tsv").write_bytes("\n".join(lines).encode("utf-8", "surrogatepass"))
    judge(tmp_path)


@given(data=st.binary(max_size=200))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_escape_as_another_error(tmp_path, data):
    head = "\t".join(REQUIRED).encode() if data[:1] < b"\x80" else b""
    (tmp_path / "dyads.tsv").write_bytes(head + data)
    judge(tmp_path)


def judge(root: Path) -> None:
    with contextlib.suppress(TableError):
        check_table(read_table(root), root)


def check_table(table: StudyTable, root: Path) -> None:
    for session in table.sessions:
        assert session.therapist_file.resolve().is_relative_to(root.resolve())
        assert re.fullmatch("[A-Za-z0-9]+", session.dyad + session.therapist + session.client)
        assert session.session >= 1
        assert session.modality in ("eeg", "fnirs")
    for row in table.rejected:
        assert row.reason
        assert re.fullmatch("[A-Za-z0-9]*", row.dyad)
