"""What a whole table gives: sessions, rejected rows, days, covariates; a header that is wrong is refused."""

from __future__ import annotations

import contextlib
import re
import time
import warnings
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hyperscan.errors import DataQualityWarning, TableError
from hyperscan.study import Session, StudyTable, read_sessions, read_table
from study_fixtures import REQUIRED, a_row, rejected_lines, rows_of, says, structure_fault, touch, write_table


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


def test_twenty_clean_studies_give_no_warning(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for number in range(20):
            rows = rows_of(1 + number % 5, 1 + number % 7)
            for row in rows:
                row["days"] = str(7 * int(row["session"]) - 7)
            write_table(tmp_path / str(number), rows)
            assert len(read_sessions(tmp_path / str(number))) == len(rows)


def test_a_therapist_with_several_clients_is_normal(tmp_path):
    rows = [row | {"therapist": "T01"} for row in rows_of(4, 2)]
    write_table(tmp_path, rows)
    assert {s.therapist for s in read_sessions(tmp_path)} == {"T01"}


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


def test_a_long_table_costs_time_in_proportion(tmp_path):
    took = []
    for n in (300, 2400):
        one = {"therapist_file": "t.edf", "client_file": "c.edf"}
        rows = [a_row(1, k, start_s=f"{k}", stop_s=f"{k + 1}", **one) for k in range(1, n + 1)]
        touch(tmp_path / f"{n}", *one.values())
        write_table(tmp_path / f"{n}", rows, files=False)
        began = time.process_time()
        read_table(tmp_path / f"{n}")
        took.append(time.process_time() - began)
    assert took[1] < 30 * took[0]  # 8 in proportion, 64 by squares
