"""Sessions by name: a number counts only where it is alone, a date orders, and everything else is asked for."""

from __future__ import annotations

import pytest

from hyperscan.study import draft_dyads, read_table, write_draft
from hyperscan.study.drafting.draft import Told
from hyperscan.study.drafting.sessions import read_dates, session_number, tells_time
from study_fixtures import asks, bids, cells, touch

EACH = Told(therapist_id="each")
#: One day in the forms that names have, and what is none.
WRITTEN = {
    "20240301": "2024-03-01", "2024-03-01": "2024-03-01", "2024_03_01": "2024-03-01", "01.03.2024": "2024-03-01",
    "1.3.2024": "2024-03-01", "20240301T1015": "2024-03-01", "rec_20240301_T": "2024-03-01", "20241301": "",
    "01-03-2024": "", "2024-0301": "", "120240301": "", "20240301b": "",
}  # fmt: skip


@pytest.mark.parametrize(("text", "day"), WRITTEN.items())
def test_dates_in_names(text, day):
    assert read_dates(text) == [day] * bool(day)


@pytest.mark.parametrize(
    ("label", "number"),
    [("1", 1), ("0012", 12), ("visit3", 3), ("pre1", 1), ("w1s2", None), ("1a", None), ("pre", None), ("0", None),
     ("20240301", None), ("20231224", None), ("d5w2", None)],
)  # fmt: skip
def test_a_number_counts_where_it_is_alone_behind_letters(label, number):
    assert session_number(label) == number


@pytest.mark.parametrize(("word", "told"), [("pre", True), ("1a", True), ("follow up", True), ("rest", False)])
def test_words_that_may_tell_sessions(word, told):
    assert tells_time(word) == told


#: Names of one dyad's recordings, by a form for the session and the role.
LAYOUTS = {
    "in files": "Dyad{d}/{s}_{role}.edf",
    "in folders": "Dyad{d}/{s}/{role}.edf",
    "behind a number": "Dyad{d}_{s}/{role}.edf",
    "flat": "D{d}_{s}_{role}.edf",
}


@pytest.mark.parametrize("form", ["{y}{m}{d}", "{y}-{m}-{d}", "{d}.{m}.{y}"])
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_dates_number_sessions_in_their_order(tmp_path, layout, form):
    days = [("2023", "12", "24"), ("2024", "01", "07"), ("2024", "02", "03")]
    texts = [form.format(y=y, m=m, d=d) for y, m, d in days]
    touch(tmp_path, *(layout.format(d=d, s=s, role=role) for d in (1, 2) for s in texts for role in ("T", "C")))
    draft = draft_dyads(tmp_path, told=EACH)
    assert cells(draft, "dyad", "session", "date") == [
        (str(dyad), str(k), "-".join(day)) for dyad in (1, 2) for k, day in enumerate(days, start=1)
    ]
    assert "task" not in draft.rows
    assert draft.complete
    assert "date" in draft.rule
    assert any("in the order of the dates" in note for note in draft.notes)
    # the table takes the dates as days, and keeps none of them
    found = read_table(write_draft(draft, tmp_path)).sessions
    assert [row.days for row in found if row.dyad == "1"] == [0.0, 14.0, 41.0]


def test_dates_of_bids_sessions_over_a_new_year_keep_their_order(tmp_path):
    # by their last four digits the second would come first
    bids(tmp_path, *(f"sub-{p}_ses-{s}_task-talk_eeg.edf" for p in ("T01", "C01") for s in ("20231224", "20240107")))
    draft = draft_dyads(tmp_path)
    assert cells(draft, "session", "date") == [("1", "2023-12-24"), ("2", "2024-01-07")]
    assert [file.split("/")[1] for (file,) in cells(draft, "therapist_file")] == ["ses-20231224", "ses-20240107"]


#: Labels of one dyad's sessions, of which the last digits are no order.
NO_ORDER = [
    ("w1s2", "w2s1"),
    ("baseline1", "week4", "month3"),
    ("pre1", "post2"),
    ("1a", "1b"),
    ("pre", "post"),
    ("20240301", "2"),
]


@pytest.mark.parametrize("labels", NO_ORDER, ids=",".join)
def test_labels_that_do_not_count_are_asked_for(tmp_path, labels):
    bids(tmp_path, *(f"sub-{p}_ses-{s}_task-talk_eeg.edf" for p in ("T01", "C01") for s in labels))
    draft = draft_dyads(tmp_path)
    assert ("",) in cells(draft, "session")
    assert not draft.complete
    asks(draft, "session: ", "in the order in which they took place")


@pytest.mark.parametrize("labels", [("session1", "week4", "visit9"), ("week2", "session1")], ids=",".join)
def test_folder_names_that_count_several_things_are_asked_for(tmp_path, labels):
    touch(tmp_path, *(f"dyad{d}/{s}_{role}.edf" for d in (1, 2) for s in labels for role in ("T", "C")))
    draft = draft_dyads(tmp_path, told=EACH)
    assert set(draft.rows["session"]) == {""}
    asks(draft, "session: numbers count several things")


@pytest.mark.parametrize(
    "words", [("pre", "post"), ("T1", "T2"), ("1a", "1b", "2a"), ("baseline", "follow-up")], ids=",".join
)
def test_words_that_may_be_sessions_are_no_tasks_of_the_first(tmp_path, words):
    touch(tmp_path, *(f"dyad{d}/{w}_{role}.edf" for d in (1, 2) for w in words for role in ("therapist", "client")))
    draft = draft_dyads(tmp_path, told=EACH)
    assert len(draft.rows) == 2 * len(words)
    assert set(draft.rows["session"]) == {""}
    asks(draft, "session: ", "fill in 1, 2, 3 ... in their order and n/a for task")


def test_words_that_are_tasks_stay_tasks(tmp_path):
    touch(tmp_path, *(f"dyad{d}/{w}_{role}.edf" for d in (1, 2) for w in ("rest", "talk") for role in "TC"))
    draft = draft_dyads(tmp_path, told=EACH)
    assert cells(draft, "session", "task") == [("1", "rest"), ("1", "talk")] * 2
    # with a session in the names, numbers are those of tasks
    numbered = (f"dyad1/ses-{s}/v{k}_{role}.edf" for s in (1, 2) for k in (1, 2) for role in "TC")
    touch(tmp_path / "b", *numbered)
    assert draft_dyads(tmp_path / "b", told=EACH).complete


def test_one_date_of_all_names_is_no_session(tmp_path):
    touch(tmp_path, *(f"dyad{d}/rec_20240501_{role}.edf" for d in (1, 2) for role in "TC"))
    draft = draft_dyads(tmp_path, told=EACH)
    assert cells(draft, "dyad", "session") == [("1", "1"), ("2", "1")]
    assert "date" not in draft.rows
    assert "task" not in draft.rows


def test_a_number_counts_before_a_date(tmp_path):
    touch(tmp_path, *(f"dyad1/ses-{s}_2024050{4 - s}_{role}.edf" for s in (1, 2, 3) for role in "TC"))
    draft = draft_dyads(tmp_path, told=EACH)
    assert cells(draft, "session") == [("1",), ("2",), ("3",)]
    assert "date" not in draft.rows


@pytest.mark.parametrize("word", ["1.Sitzung", "1. Session", "1st_session", "1te Sitzung", "1\u00e8re s\u00e9ance"])
def test_a_number_before_the_word_counts(tmp_path, word):
    names = [word, word.replace("1", "2", 1)]
    touch(tmp_path, *(f"dyad1/{name}_{role}.edf" for name in names for role in ("T", "C")))
    assert cells(draft_dyads(tmp_path), "session") == [("1",), ("2",)]
