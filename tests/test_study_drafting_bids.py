"""Drafting from BIDS datasets: layouts L1 to L4."""

from __future__ import annotations

import json

import pytest

from hyperscan.study import draft_dyads, read_table, write_draft
from study_fixtures import asks, bids, cells, touch


def test_l1_the_session_label_names_the_dyad(tmp_path):
    for dyad, people in {"1": ("01", "02"), "04": ("03", "04")}.items():
        bids(tmp_path, *(f"sub-{p}_ses-dyadic{dyad}_task-game_nirs.snirf" for p in people))
    draft = draft_dyads(tmp_path)
    assert "L1" in draft.rule
    assert cells(draft, "dyad", "session", "modality", "task") == [
        ("04", "1", "fnirs", "game"),
        ("1", "1", "fnirs", "game"),
    ]
    assert cells(draft, "therapist_file")[1] == ("sub-01/ses-dyadic1/nirs/sub-01_ses-dyadic1_task-game_nirs.snirf",)
    assert cells(draft, "client_file")[1] == ("sub-02/ses-dyadic1/nirs/sub-02_ses-dyadic1_task-game_nirs.snirf",)
    assert any("number 1" in note for note in draft.notes)
    asks(draft, "therapist, client: nothing tells who is the therapist")


def test_l1_with_three_people_is_asked(tmp_path):
    bids(tmp_path, *(f"sub-{p}_ses-dyadic1_task-game_nirs.snirf" for p in ("01", "02", "03")))
    draft = draft_dyads(tmp_path)
    assert cells(draft, "dyad", "therapist_file", "client_file") == [("1", "", "")]
    asks(draft, "more than two people", "sub-03")


def test_l2_longitudinal_is_the_default(tmp_path):
    for session in ("1", "2", "10"):
        for dyad, client in {"dyad001": "C01", "dyad002": "C02"}.items():
            for person in ("T01", client):
                bids(tmp_path, f"sub-{person}_ses-{session}_task-talk_acq-{dyad}_eeg.edf")
    draft = draft_dyads(tmp_path)
    assert "L2" in draft.rule
    assert cells(draft, "dyad", "therapist", "client", "session") == [
        (dyad, "T01", client, session)
        for dyad, client in (("001", "C01"), ("002", "C02"))
        for session in ("1", "2", "10")
    ]
    assert draft.questions == ()
    path = write_draft(draft, tmp_path)
    table = read_table(path)
    assert (len(table.sessions), table.rejected) == (6, ())
    assert table.sessions[0].therapist_file.name == "sub-T01_ses-1_task-talk_acq-dyad001_eeg.edf"


def test_l2_without_roles_says_who_is_in_several_dyads(tmp_path):
    for dyad, other in {"dyad001": "S002", "dyad002": "S003"}.items():
        bids(tmp_path, *(f"sub-{person}_ses-1_acq-{dyad}_eeg.edf" for person in ("S001", other)))
    draft = draft_dyads(tmp_path)
    assert cells(draft, "therapist", "client") == [("", ""), ("", "")]
    asks(draft, "In several dyads, as therapists may be: S001")


def test_roles_of_participants_tsv_are_used(tmp_path):
    bids(tmp_path, *(f"sub-{person}_ses-{s}_acq-dyad1_eeg.edf" for person in ("01", "02") for s in (1, 2)))
    (tmp_path / "participants.tsv").write_text("participant_id\trole\nsub-01\tpatient\nsub-02\ttherapist\n")
    draft = draft_dyads(tmp_path)
    assert cells(draft, "therapist", "client") == [("02", "01")] * 2
    assert draft.rows["therapist_file"][0].startswith("sub-02/")
    assert draft.questions == ()


@pytest.mark.parametrize("data", ["participant_id\nsub-01\n", "participant_id\trole\nsub-01\tpätient\n"])
def test_odd_participants_tables_do_no_harm(tmp_path, data):
    bids(tmp_path, *(f"sub-{person}_ses-1_acq-dyad1_eeg.edf" for person in ("01", "02")))
    (tmp_path / "participants.tsv").write_bytes(data.encode("latin-1"))
    draft = draft_dyads(tmp_path)
    assert len(draft.rows) == 1
    assert any("participants.tsv line 2" in note for note in draft.notes) == ("ä" in data)


def test_a_missing_partner_is_asked_for(tmp_path):
    bids(tmp_path, *(f"sub-{p}_ses-{s}_acq-dyad1_eeg.edf" for p in ("T1", "C1") for s in (1, 2, 3)))
    (tmp_path / "sub-C1/ses-2/eeg/sub-C1_ses-2_acq-dyad1_eeg.edf").unlink()
    draft = draft_dyads(tmp_path)
    assert [bool(client) for (client,) in cells(draft, "client_file")] == [True, False, True]
    asks(draft, "the partner is missing", "sub-T1/ses-2")
    assert len(read_table(write_draft(draft, tmp_path)).rejected) == 1


def test_l3_a_subject_is_a_dyad(tmp_path):
    bids(tmp_path, *(f"sub-dyad{d}_ses-{s}_task-x_eeg.vhdr" for d in ("01", "02") for s in (1, 2)))
    names = [f"{person}_{channel}" for person in ("T", "P") for channel in ("Fz", "Cz", "Pz")]
    draft = draft_dyads(tmp_path, peek=lambda path: names)
    assert "L3" in draft.rule
    assert "prefix" in draft.rule
    assert cells(draft, "dyad", "session", "therapist_channels", "client_channels") == [
        (dyad, session, "prefix:T_", "prefix:P_") for dyad in ("01", "02") for session in ("1", "2")
    ]
    assert (draft.rows["therapist_file"] == draft.rows["client_file"]).all()
    asks(draft, "therapist: nothing tells the therapists apart")


def test_l3_without_a_sign_in_the_channel_names_is_asked(tmp_path):
    bids(tmp_path, "sub-dyad01_ses-1_task-x_eeg.vhdr")
    draft = draft_dyads(tmp_path, peek=lambda path: [f"E{i}" for i in range(1, 65)])
    assert cells(draft, "client_file", "therapist") == [("", "")]
    asks(draft, "therapist_channels, client_channels", "1-32 and 33-64", "sub-dyad01")
    # what is asked for stands in the table, to be filled in
    assert cells(draft, "therapist_channels", "client_channels") == [("", "")]
    assert "\ttherapist_channels\tclient_channels\n" in write_draft(draft, tmp_path).read_text()
    assert str(draft).startswith("1 row, paired by: ")


def test_l3_is_told_by_the_channels_where_the_labels_do_not(tmp_path):
    bids(tmp_path, *(f"sub-{p}_ses-1_task-x_eeg.vhdr" for p in ("01", "02")))
    names = [f"{person}_{channel}" for person in ("1", "2") for channel in ("Fz", "Cz", "Pz")]
    draft = draft_dyads(tmp_path, peek=lambda path: names)
    assert "L3" in draft.rule
    assert cells(draft, "dyad", "therapist_channels", "client_channels") == [
        ("01", "prefix:1_", "prefix:2_"),
        ("02", "prefix:1_", "prefix:2_"),
    ]


def test_l4_neighbouring_numbers_are_proposed_not_decided(tmp_path):
    # 03 was excluded: 04 must not slip to 05
    bids(tmp_path, *(f"sub-{p:02d}_task-x_run-{r}_eeg.edf" for p in (1, 2, 4, 5, 6) for r in (1, 2)))
    draft = draft_dyads(tmp_path)
    assert "L4" in draft.rule
    pairs = {(a[4:6], b[4:6]) for a, b in cells(draft, "therapist_file", "client_file")}
    assert pairs == {("01", "02"), ("04", ""), ("05", "06")}
    assert set(draft.rows["dyad"]) == {""}
    asks(draft, "dyad: nothing says who is whose partner", "the partner is missing")
    assert len(read_table(write_draft(draft, tmp_path)).sessions) == 0


def test_l4_with_a_dyad_column_in_participants_tsv(tmp_path):
    bids(tmp_path, *(f"sub-{p}_ses-{s}_eeg.edf" for p in ("a", "b", "c", "d") for s in (1, 2)))
    (tmp_path / "participants.tsv").write_text(
        "participant_id\tpair\trole\nsub-a\tX-1\tT\nsub-c\tX-1\tP\nsub-b\tX2\tP\nsub-d\tX2\tT\n"
    )
    draft = draft_dyads(tmp_path)
    assert cells(draft, "dyad", "therapist", "client") == [("X1", "a", "c")] * 2 + [("X2", "d", "b")] * 2


@pytest.mark.parametrize("before", ["/sub-{p}/ses-{s}/eeg/", "bids::sub-{p}/ses-{s}/eeg/", "eeg/", ""])
def test_l4_recordings_whose_json_files_name_each_other_are_partners(tmp_path, before):
    # 01 met 03, and 02 met 04: neighbours are strangers
    meets = {"01": "03", "02": "04", "04": "02"}  # one of the two may say it
    for person in ("01", "02", "03", "04"):
        for s in (1, 2):
            bids(tmp_path, f"sub-{person}_ses-{s}_eeg.edf")
            if person in meets:
                other = f"sub-{meets[person]}_ses-{s}_eeg.edf"
                named = [before.format(p=meets[person], s=s) + other, "sub-99_physio.tsv.gz"]
                told = {"SimultaneousRecordingWith": named}
                place = tmp_path / f"sub-{person}" / f"ses-{s}" / "eeg" / f"sub-{person}_ses-{s}_eeg.json"
                place.write_text(json.dumps(told))
    draft = draft_dyads(tmp_path)
    pairs = {
        (d, s, *sorted((a[4:6], b[4:6])))
        for d, s, a, b in cells(draft, "dyad", "session", "therapist_file", "client_file")
    }
    assert pairs == {("1", "1", "01", "03"), ("1", "2", "01", "03"), ("2", "1", "02", "04"), ("2", "2", "02", "04")}


@pytest.mark.parametrize("told", ["3", '[null, "sub-01_eeg.edf"]', '"nobody"', "}"])
def test_l4_json_files_that_name_no_partner_do_no_harm(tmp_path, told):
    bids(tmp_path, "sub-01_eeg.edf", "sub-02_eeg.edf")
    (tmp_path / "sub-01" / "eeg" / "sub-01_eeg.json").write_text(f'{{"SimultaneousRecordingWith": {told}}}')
    assert "neighbouring numbers" in draft_dyads(tmp_path).rule


def test_l4_one_named_by_two_is_asked_for(tmp_path):
    bids(tmp_path, *(f"sub-{p}_eeg.edf" for p in ("01", "02", "03", "04", "05")))
    for person, other in {"01": "03", "02": "03", "04": "05"}.items():
        told = json.dumps({"SimultaneousRecordingWith": f"sub-{other}_eeg.edf"})
        (tmp_path / f"sub-{person}" / "eeg" / f"sub-{person}_eeg.json").write_text(told)
    draft = draft_dyads(tmp_path)
    assert sorted(cells(draft, "dyad")) == [("",)] * 3 + [("1",)]
    asks(draft, "one partner of", "sub-02")


def test_sessions_without_a_number_are_asked_for(tmp_path):
    bids(tmp_path, *(f"sub-{p}_ses-{s}_acq-dyad1_eeg.edf" for p in ("T1", "C1") for s in ("pre", "post")))
    draft = draft_dyads(tmp_path)
    assert set(draft.rows["session"]) == {""}
    asks(draft, "session: labels without a number")


def test_derivatives_and_other_files_of_a_bids_dataset_are_left_out(tmp_path):
    bids(tmp_path, *(f"sub-{p}_ses-1_acq-dyad1_eeg.edf" for p in ("T1", "C1")))
    touch(
        tmp_path,
        "derivatives/clean/sub-T1_ses-1_acq-dyad1_eeg.edf",
        "sourcedata/x.bdf",
        ".git/x.edf",
        "pilot.edf",
    )
    draft = draft_dyads(tmp_path)
    assert len(draft.rows) == 1
    assert any("pilot.edf" in note for note in draft.notes)


# ---- roles in sub- labels


@pytest.mark.parametrize(
    ("therapist", "client"), [("T{}", "C{}"), ("{}T", "{}P"), ("therapist{}", "patient{}"), ("D{}T", "D{}C"),
                              ("Therapeut{}", "Klientin{}"), ("terapeuta{}", "paciente{}"), ("pair{}th", "pair{}cl")]
)  # fmt: skip
def test_l4_labels_that_name_role_and_number_are_partners(tmp_path, therapist, client):
    for number in ("01", "02", "03"):
        for session in ("1", "2"):
            people = (who.format(number) for who in (therapist, client))
            bids(tmp_path, *(f"sub-{who}_ses-{session}_task-talk_eeg.edf" for who in people))
    draft = draft_dyads(tmp_path)
    assert cells(draft, "dyad", "therapist", "client", "session") == [
        (n, therapist.format(n), client.format(n), s) for n in ("01", "02", "03") for s in ("1", "2")
    ]
    assert draft.complete
    assert any("are taken as partners" in note for note in draft.notes)
    assert not read_table(write_draft(draft, tmp_path)).rejected


def test_l4_a_partner_without_recording_is_asked_for_under_its_own_role(tmp_path):
    bids(tmp_path, *(f"sub-{who}_ses-1_eeg.edf" for who in ("T01", "C01", "T02", "C02", "C03")))
    draft = draft_dyads(tmp_path)
    assert cells(draft, "dyad", "therapist", "client", "therapist_file")[2] == ("03", "", "C03", "")
    asks(draft, "the partner is missing for sub-C03")
    assert draft.empty == {"therapist": 1, "therapist_file": 1}


def test_l4_numbers_of_one_therapist_and_many_clients_pair_nobody(tmp_path):
    bids(tmp_path, *(f"sub-{who}_ses-1_eeg.edf" for who in ("T1", "C1", "C2", "C3")))
    draft = draft_dyads(tmp_path)
    assert cells(draft, "dyad", "therapist", "client") == [("", "", f"C{i}") for i in (1, 2, 3)]
    asks(draft, "dyad, therapist, therapist_file:", "Fill in each client's therapist")


def test_l4_numbers_of_several_groups_propose_nobody_and_the_question_says_so(tmp_path):
    bids(tmp_path, *(f"sub-{group}{i:02d}_ses-1_eeg.edf" for group in ("x", "y") for i in (1, 2)))
    draft = draft_dyads(tmp_path)
    assert len(draft.rows) == 4
    asks(draft, "The numbers propose nobody", "every file has a row of its own")
    assert "neighbo" not in str(draft)


def test_l4_roles_of_participants_tsv_are_used_for_neighbours(tmp_path):
    bids(tmp_path, *(f"sub-{i:02d}_ses-1_eeg.edf" for i in (1, 2)))
    people = "participant_id\trole\nsub-01\tPatientin\nsub-02\tThérapeute\n"
    (tmp_path / "participants.tsv").write_text(people, encoding="utf-8")
    assert cells(draft_dyads(tmp_path), "dyad", "therapist", "client") == [("", "02", "01")]
