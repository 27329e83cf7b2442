"""Text to cells: separators, encodings, lengths of rows, and what is no table."""

from __future__ import annotations

import os

import pytest

from hyperscan.study import read_sessions, read_table
from study_fixtures import rows_of, says, structure_fault, write_table


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
