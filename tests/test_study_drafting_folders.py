"""Drafting from folders and names: layouts L5 to L7 and L11."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from hyperscan.study import draft_dyads
from hyperscan.study.drafting.draft import Told
from hyperscan.study.drafting.folders import DYAD_WORDS, SESSION_WORDS
from hyperscan.study.drafting.recordings import ROLE_WORDS
from hyperscan.study.labels import without_accents
from study_fixtures import asks, cells, touch


def test_l5_single_file_with_roles_in_the_channel_names(tmp_path):
    touch(tmp_path, *(f"W_{n:03d}/EEG/W_{n:03d}.obci" for n in (30, 31)))
    names = [f"EEG_{who}_{channel}" for channel in ("Fz", "Cz", "Pz") for who in ("ch", "cg")]
    draft = draft_dyads(tmp_path, peek=lambda path: names)
    assert cells(draft, "dyad", "therapist_channels", "client_channels") == [
        ("W030", "prefix:EEG_ch_", "prefix:EEG_cg_"),
        ("W031", "prefix:EEG_ch_", "prefix:EEG_cg_"),
    ]
    asks(draft, "nothing tells who is the therapist")
    assert any(".obci cannot be read" in note for note in draft.notes)


def test_l6_condition_dyad_session_subject(tmp_path):
    touch(tmp_path, *(f"{c}/dyad_{d}/session_{s}/subject_{p}.csv" for c, d in (("control", 1), ("treat", 2))
                      for s in (1, 2) for p in (1, 2)))  # fmt: skip
    draft = draft_dyads(tmp_path)
    assert cells(draft, "dyad", "session", "condition", "therapist_file", "client_file") == [
        (d, s, c, f"{c}/dyad_{d}/session_{s}/subject_1.csv", f"{c}/dyad_{d}/session_{s}/subject_2.csv")
        for c, d in (("control", "1"), ("treat", "2")) for s in ("1", "2")
    ]  # fmt: skip
    asks(draft, "modality: file names do not tell", "nothing tells who is the therapist")


def test_l6_one_dyad_name_under_two_conditions_is_asked(tmp_path):
    touch(
        tmp_path,
        *(f"{c}/dyad_1/session_{s}/subject_{p}.csv" for c in ("a", "b") for s in (1, 2) for p in (1, 2)),
    )
    draft = draft_dyads(tmp_path)
    assert set(draft.rows["dyad"]) == {""}
    assert sorted(set(draft.rows["condition"])) == ["a", "b"]
    asks(draft, "dyad: one dyad name stands under several folders")


def test_l7_role_named_files_in_dyad_folders(tmp_path):
    touch(
        tmp_path,
        *(f"{d}/{p}_{t}.mat" for d in ("control-01", "treat-01") for p in "FM" for t in ("rest", "talk")),
    )
    draft = draft_dyads(tmp_path)
    assert cells(draft, "dyad", "session", "task", "therapist_file", "client_file") == [
        (d.replace("-", ""), "1", t, f"{d}/F_{t}.mat", f"{d}/M_{t}.mat")
        for d in ("control-01", "treat-01") for t in ("rest", "talk")
    ]  # fmt: skip
    asks(draft, "nothing tells who is the therapist")


@pytest.mark.parametrize(
    ("therapist", "client"),
    [
        ("dyad-{d}/ses-{s}/therapist.edf", "dyad-{d}/ses-{s}/client.edf"),
        ("dyad-{d}/ses-{s}/therapist_raw.bdf", "dyad-{d}/ses-{s}/patient_raw.bdf"),
        ("dyad-{d}/ses-{s}/T/2026-01-01.vhdr", "dyad-{d}/ses-{s}/P/2026-01-02.vhdr"),
        ("{d}/session {s}/Therapist.set", "{d}/session {s}/Patient.set"),
        ("Dyad{d}_ses{s}_T.edf", "Dyad{d}_ses{s}_C.edf"),
        ("D{d}_S{s}_therapist.edf", "D{d}_S{s}_client.edf"),
        ("therapist/pair{d}-week{s}.fif", "client/pair{d}-week{s}.fif"),
    ],
)
def test_l11_two_files_with_roles(tmp_path, therapist, client):
    places = [(d, s) for d in ("01", "02") for s in ("1", "2", "3")]
    for d, s in places:
        touch(tmp_path, therapist.format(d=d, s=s), client.format(d=d, s=s))
    draft = draft_dyads(tmp_path)
    assert cells(draft, "dyad", "session", "therapist_file", "client_file", "client") == [
        (d, s, therapist.format(d=d, s=s), client.format(d=d, s=s), f"C{d}") for d, s in places
    ]
    assert len(draft.questions) == 1
    asks(draft, "therapist: nothing tells the therapists apart")
    assert any("clock" in note for note in draft.notes)


def test_subjects_are_not_taken_for_sessions(tmp_path):
    touch(tmp_path, "dyad1/S1.fif", "dyad1/S2.fif")
    assert cells(draft_dyads(tmp_path), "session", "therapist_file", "client_file") == [
        ("1", "dyad1/S1.fif", "dyad1/S2.fif")
    ]
    notes = "\n".join(draft_dyads(tmp_path).notes)
    assert "S1, S2 in the names are taken as people. If they are sessions, give each its own row" in notes


def test_s_is_a_session_where_both_people_are_in_one_file(tmp_path):
    touch(tmp_path, *(f"W_{n:03d}/EEG/W_{n:03d}_S{s}.edf" for n in (30, 31) for s in (1, 2)))
    names = [f"{who}_{channel}" for who in "TC" for channel in ("Fz", "Cz", "Pz")]
    assert cells(
        draft_dyads(tmp_path, peek=lambda _: names), "dyad", "session", "therapist_file", "client_channels"
    ) == [
        ("W030", "1", "W_030/EEG/W_030_S1.edf", "prefix:C_"),
        ("W030", "2", "W_030/EEG/W_030_S2.edf", "prefix:C_"),
        ("W031", "1", "W_031/EEG/W_031_S1.edf", "prefix:C_"),
        ("W031", "2", "W_031/EEG/W_031_S2.edf", "prefix:C_"),
    ]


def test_three_of_a_dyad_are_sessions_and_three_of_a_study_are_not(tmp_path):
    touch(tmp_path, *(f"D01/D01_S{s}.edf" for s in (1, 2, 3)), "D02/D02_S1.edf", "D02/D02_S2.edf")
    draft = draft_dyads(tmp_path / ".", peek=lambda _: ["Fz", "Cz"])
    assert cells(draft, "dyad", "session") == [("01", "1"), ("01", "2"), ("01", "3"), ("02", "1"), ("02", "2")]
    asks(draft, "channel names do not tell two people apart")
    touch(tmp_path / "other", *(f"study2/S{s}.edf" for s in (1, 2, 3)))
    assert "session" not in draft_dyads(tmp_path / "other").rule


@pytest.mark.parametrize("odd", ["W_030_Sx", "w030_session3", "W_031_S3 copy"])
def test_an_odd_name_does_not_change_how_the_others_are_read(tmp_path, odd):
    usual = [f"W_{n:03d}/EEG/W_{n:03d}_S{s}.edf" for n in (30, 31) for s in (1, 2)]
    touch(tmp_path, *usual, f"W_030/EEG/{odd}.edf")
    draft = draft_dyads(tmp_path, peek=lambda _: [f"{who}_{name}" for who in "TC" for name in ("Fz", "Cz")])
    found = {file: (dyad, number) for dyad, number, file in cells(draft, "dyad", "session", "therapist_file")}
    assert {file: found[file] for file in usual} == {file: (f"W{file[2:5]}", file[-5]) for file in usual}
    assert found[f"W_030/EEG/{odd}.edf"] == ("W030", "" if odd.endswith("x") else "3")
    assert any("Empty for W_030/EEG/W_030_Sx.edf" in question for question in draft.questions) == odd.endswith("x")
    # the folder counts, and the name is told
    assert any(f"called after another dyad than that of their folder, which counts: W_030/EEG/{odd}.edf" in note
               for note in draft.notes) == odd.startswith("W_031")  # fmt: skip


def test_a_dyad_alone_has_one_therapist(tmp_path):
    touch(tmp_path, *(f"dyad-01/ses-{s}/{who}.edf" for s in (1, 2) for who in ("therapist", "client")))
    draft = draft_dyads(tmp_path)
    assert cells(draft, "therapist", "client") == [("T01", "C01")] * 2
    assert draft.complete


# ---- words

LAYOUTS = (Path(__file__).parents[1] / "docs" / "layouts.md").read_text(encoding="utf-8")


def documented(row: str) -> set[str]:
    """Words of a row of the table of words in docs/layouts.md."""
    line = next(line for line in LAYOUTS.splitlines() if line.startswith(f"| {row} |"))
    return set(line.split("|")[2].replace("`D`", "").replace("`S01`", "").split("`")[1::2])


def test_the_documented_words_are_those_that_are_understood():
    assert documented("dyad") == set(DYAD_WORDS)
    assert {without_accents(word) for word in documented("session")} == {
        without_accents(word) for words in SESSION_WORDS.values() for word in words
    }
    for role, words in ROLE_WORDS.items():
        assert {without_accents(word) for word in documented(role)} == words


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("case", [str.lower, str.title, str.upper])
@pytest.mark.parametrize("word", sorted(documented("session")))
def test_every_word_for_a_session_is_understood(tmp_path, word, case, form):
    word = unicodedata.normalize(form, case(word))
    touch(tmp_path, *(f"dyad-1/{word}{sign}{n}/{who}.edf" for n, sign in ((1, "_"), (2, " ")) for who in "TC"))
    draft = draft_dyads(tmp_path)
    assert cells(draft, "dyad", "session", "therapist_file") == [
        ("1", str(n), f"dyad-1/{word}{sign}{n}/T.edf") for n, sign in ((1, "_"), (2, " "))
    ]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("role", ROLE_WORDS)
def test_every_word_for_a_role_is_understood(tmp_path, role, form):
    partner = {"therapist": "client", "client": "therapist"}[role]
    for i, word in enumerate(sorted(documented(role)), 1):
        named = unicodedata.normalize(form, word.title())
        touch(tmp_path, f"dyad-{i:02d}/ses-1/{named}_x.edf", f"dyad-{i:02d}/ses-1/{partner}.edf")
    rows = draft_dyads(tmp_path).rows.to_dict("records")
    assert len(rows) == len(documented(role))
    assert all(row[f"{partner}_file"].endswith(f"/{partner}.edf") for row in rows)


@pytest.mark.parametrize("word", sorted(DYAD_WORDS))
def test_every_word_for_a_dyad_is_understood(tmp_path, word):
    touch(tmp_path, *(f"{word.title()}-{n}/{who}.edf" for n in ("1", "B2") for who in "TC"))
    assert cells(draft_dyads(tmp_path), "dyad") == [("1",), ("B2",)]


def test_letters_that_an_id_cannot_have_are_spelled_out_and_told(tmp_path):
    touch(tmp_path, *(f"Müller/ses-1/{who}.edf" for who in "TC"), *(f"Möller/ses-1/{who}.edf" for who in "TC"))
    draft = draft_dyads(tmp_path)
    assert cells(draft, "dyad", "therapist_file") == [
        ("Moeller", "Möller/ses-1/T.edf"),
        ("Mueller", "Müller/ses-1/T.edf"),
    ]
    assert any("Müller is Mueller" in note for note in draft.notes)


#: Names of four recordings of two people, and the pairs: two who differ in role, else in a word for people.
FOUR = {
    "roles beside times": ("{x}_{who}", ("T1", "T2"), ("therapist", "client")),
    "roles beside ids": ("{x}_{who}", ("P01", "P02"), ("T", "P")),
    "people beside times": ("{x}_{who}", ("morning", "evening"), ("A", "B")),
    "people beside tasks": ("{x}_{who}", ("rest", "talk"), ("mother", "child")),
    "people before tasks": ("{who}_{x}", ("rest", "talk"), ("F", "M")),
    "numbers beside tasks": ("{x}_sub{who}", ("rest", "talk"), ("1", "2")),
}


@pytest.mark.parametrize(("form", "others", "people"), FOUR.values(), ids=FOUR)
def test_the_word_that_names_people_pairs_them(tmp_path, form, others, people):
    touch(tmp_path, *(f"dyad1/{form.format(x=x, who=who)}.edf" for x in others for who in people))
    draft = draft_dyads(tmp_path)
    pairs = {frozenset(row) for row in cells(draft, "therapist_file", "client_file")}
    assert pairs == {frozenset(f"dyad1/{form.format(x=x, who=who)}.edf" for who in people) for x in others}


@pytest.mark.parametrize("words", [("сессия1", "сессия2", "терапевт", "клиент"), ("red", "blue", "left", "right")])
def test_two_words_that_may_both_be_people_are_asked_for(tmp_path, words):
    # one person of two sessions was a pair
    touch(tmp_path, *(f"dyad1/{x}_{who}.edf" for x in words[:2] for who in words[2:]))
    draft = draft_dyads(tmp_path)
    assert cells(draft, "therapist_file", "client_file") == [("", "")]
    asks(draft, "more than two people in one dyad-session")


@pytest.mark.parametrize(
    "form", ["{r}0{d}/ses-{s}.edf", "{r}0{d}/ses-{s}/rec.edf", "{r}0{d}_ses{s}.edf", "{word}_{d}/session_{s}.edf"]
)
def test_one_folder_per_person_pairs_people_of_one_number(tmp_path, form):
    people = [("T", "therapist"), ("C", "client")]
    touch(tmp_path, *(form.format(r=r, word=w, d=d, s=s) for r, w in people for d in (1, 2) for s in (1, 2)))
    draft = draft_dyads(tmp_path, told=Told(therapist_id="each"))
    assert [int(dyad) for (dyad,) in cells(draft, "dyad")] == [1, 1, 2, 2]
    for dyad, session, *files in cells(draft, "dyad", "session", "therapist_file", "client_file"):
        names = [form.format(r=r, word=w, d=int(dyad), s=session) for r, w in people]
        assert files == names
    assert any("people of one number are taken as partners" in note for note in draft.notes)


def test_one_therapist_of_many_clients_is_no_partner_by_number(tmp_path):
    touch(tmp_path, *(f"{person}/session_{s}.edf" for person in ("T1", "C1", "C2", "C3") for s in (1, 2)))
    draft = draft_dyads(tmp_path)
    assert set(draft.rows["dyad"]) == {""}
    assert set(draft.rows["client_file"]) == {""}


def test_a_word_for_a_dyad_in_a_name_says_more_than_a_folder_with_a_number(tmp_path):
    touch(tmp_path, *(f"sub{p}/D0{d}_ses{s}.edf" for p in (1, 2) for d in (1, 2) for s in (1, 2)))
    draft = draft_dyads(tmp_path)
    assert cells(draft, "dyad", "therapist_file", "client_file") == [
        (f"0{d}", f"sub1/D0{d}_ses{s}.edf", f"sub2/D0{d}_ses{s}.edf") for d in (1, 2) for s in (1, 2)
    ]


@pytest.mark.parametrize("form", ["video1/0{d}_{role}_ses-{s}.edf", "study2/P{d}x_{role}_ses-{s}.edf"])
def test_a_number_of_a_folder_is_no_dyad_where_words_tell_more(tmp_path, form):
    # all dyads were one, and their names its tasks
    touch(tmp_path, *(form.format(d=d, role=role, s=s) for d in (1, 2) for s in (1, 2) for role in ("T", "C")))
    draft = draft_dyads(tmp_path, told=Told(therapist_id="each"))
    assert set(draft.rows["dyad"]) == {""}
    asks(draft, "dyad: ", "may be the dyads, or")


def test_one_number_beside_all_roles_is_no_dyad(tmp_path):
    touch(tmp_path, *(f"session {s}/{role}_x{d}.edf" for d in (1, 2) for s in (1, 2) for role in ("t01", "p01")))
    assert set(draft_dyads(tmp_path).rows["dyad"]) == {""}


@pytest.mark.parametrize("folders", ["1.Sitzung", "pre1"])
def test_folders_of_times_are_no_dyads(tmp_path, folders):
    names = [folders, folders.replace("1", "2")]
    touch(tmp_path, *(f"{name}/D0{d}_{role}.edf" for name in names for d in (1, 2) for role in ("T", "C")))
    draft = draft_dyads(tmp_path, told=Told(therapist_id="each"))
    assert [dyad for (dyad,) in cells(draft, "dyad")] == ["01", "01", "02", "02"]


@pytest.mark.parametrize("words", [("rest", "talk"), ("1a", "1b"), ("pre", "post"), ("video1", "video2")])
def test_two_recordings_that_differ_in_a_task_are_no_two_people(tmp_path, words):
    touch(tmp_path, *(f"dyad1/ses-1/{word}.edf" for word in words))
    draft = draft_dyads(tmp_path)
    assert len(draft.rows) == 2
    assert cells(draft, "task") == [(word,) for word in sorted(words)]
    assert all("" in row for row in cells(draft, "therapist_file", "client_file"))
