from __future__ import annotations

import errno
import os
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hyperscan.errors import InputError, OutputError, OutputWriteError
from hyperscan.study import Draft, draft_dyads, parse_selector, read_table, write_draft
from hyperscan.study.drafting.inside import split_names
from study_fixtures import touch

EXAMPLES = Path(__file__).parents[2] / "shared" / "data"


def cells(draft: Draft, *columns: str) -> list[tuple[str, ...]]:
    return [tuple(row) for row in draft.rows[list(columns)].to_numpy().tolist()]


def asks(draft: Draft, *facts: str) -> None:
    text = "\n".join(draft.questions)
    for fact in facts:
        assert fact in text, f"{fact!r} is not asked in: {text}"
    for question in draft.questions:
        assert ":" in question
        assert "ill in" in question


def bids(root: Path, *names: str) -> None:
    """Make files from BIDS names, in the folders that the names tell."""
    for name in names:
        parts = [part for part in name.split("_") if part.startswith(("sub-", "ses-"))]
        datatype = "nirs" if "_nirs." in name else "eeg"
        touch(root, "/".join([*parts, datatype, name]))
    touch(root, "dataset_description.json")


def xdf(path: Path, *streams: tuple[str, str]) -> None:
    """Write an XDF file of stream headers only: the magic word, then chunks of tag 2."""
    data = b"XDF:"
    for number, (name, kind) in enumerate(streams, 1):
        info = (
            f"<?xml version='1.0'?><info><name>{name}</name><type>{kind}</type>"
            "<channel_count>8</channel_count><nominal_srate>250</nominal_srate><channel_format>float32</channel_format>"
            "<source_id>s</source_id><uid>u</uid><session_id>x</session_id><hostname>h</hostname><created_at>1</created_at></info>"
        ).encode()
        content = (2).to_bytes(2, "little") + number.to_bytes(4, "little") + info
        data += b"\x04" + len(content).to_bytes(4, "little") + content
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def snirf(path: Path, *groups: str, sources: int = 16) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for group in groups:
            file[f"{group}/probe/sourcePos3D"] = np.zeros((sources, 3))


# -- L1-L4: BIDS


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


# -- L5-L7, L11: folders and names


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


def test_l11_nirx_folders_are_recordings(tmp_path):
    for who in ("child", "parent"):
        for suffix in ("hdr", "wl1", "wl2", "inf", "nirs"):
            touch(tmp_path, f"dyad-01/ses-01/{who}/NIRS-2019-09-28_002.{suffix}")
    draft = draft_dyads(tmp_path)
    assert cells(draft, "modality", "therapist_file", "client_file") == [
        ("fnirs", "dyad-01/ses-01/child", "dyad-01/ses-01/parent")
    ]


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


# -- L8-L10: one file, two people


def test_l8_two_streams_of_an_xdf_file(tmp_path):
    for number in (1, 2):
        xdf(
            tmp_path / f"dyad-01/ses-{number}/talk.xdf",
            ("Therapist", "EEG"),
            ("Client", "EEG"),
            ("M", "Markers"),
        )
    draft = draft_dyads(tmp_path)
    assert "L8" in draft.rule
    assert cells(draft, "session", "modality", "therapist_channels", "client_channels") == [
        ("1", "eeg", "stream:Therapist", "stream:Client"),
        ("2", "eeg", "stream:Therapist", "stream:Client"),
    ]


@pytest.mark.parametrize(
    ("streams", "fact"),
    [
        ([("LiveAmp", "EEG"), ("LiveAmp", "EEG")], "2 EEG or NIRS streams of one name"),
        ([("LiveAmp", "EEG"), ("M", "Markers")], "1 EEG or NIRS streams where two are needed"),
        ([("A", "EEG"), ("B", "EEG"), ("C", "EEG")], "3 EEG or NIRS streams where two are needed"),
        ([], "0 EEG or NIRS streams"),
    ],
)
def test_l8_other_streams_are_asked(tmp_path, streams, fact):
    xdf(tmp_path / "dyad-01/ses-1/talk.xdf", *streams)
    draft = draft_dyads(tmp_path)
    asks(draft, fact)
    assert cells(draft, "client_file") == [("",)]


def test_l8_streams_in_another_order_keep_their_roles(tmp_path):
    xdf(tmp_path / "dyad-01/ses-1/talk.xdf", ("EEG_patient", "EEG"), ("EEG_therapist", "EEG"))
    assert cells(draft_dyads(tmp_path), "therapist_channels", "client_channels") == [
        ("stream:EEG_therapist", "stream:EEG_patient")
    ]


@pytest.mark.parametrize("groups", [("nirs1", "nirs2"), ("nirs", "nirs2")])
def test_l9_two_groups_of_a_snirf_file(tmp_path, groups):
    snirf(tmp_path / "dyad-01/ses-1/talk.snirf", *groups)
    draft = draft_dyads(tmp_path)
    assert "L9" in draft.rule
    assert cells(draft, "modality", "therapist_channels", "client_channels") == [
        ("fnirs", *(f"/{group}" for group in groups))
    ]
    asks(draft, "nothing tells who is the therapist")


def test_one_group_of_a_snirf_file_is_asked(tmp_path):
    snirf(tmp_path / "dyad-01/ses-1/talk.snirf", "nirs", sources=16)
    asks(draft_dyads(tmp_path), "sources:1-8 and sources:9-16")


def test_external_links_of_a_snirf_file_are_not_followed(tmp_path):
    snirf(tmp_path / "other.h5", "nirs")
    with h5py.File(tmp_path / "talk.snirf", "w") as file:
        file["nirs1"] = h5py.ExternalLink("other.h5", "/nirs")
        file["nirs2"] = h5py.SoftLink("/nirs1")
    asks(draft_dyads(tmp_path), "0 groups")


@pytest.mark.parametrize(
    ("names", "channels"),
    [
        (["T_Fz", "T_Cz", "T_Pz", "P_Fz", "P_Cz", "P_Pz", "Status"], ("prefix:T_", "prefix:P_")),
        (["1-A1", "1-A2", "1-A3", "2-A1", "2-A2", "2-A3"], ("prefix:1-", "prefix:2-")),
        (["Fz-0", "Cz-0", "Pz-0", "Fz-1", "Cz-1", "Pz-1", "STI"], ("suffix:-0", "suffix:-1")),
        (["T_Fz", "T_Cz", "P_Fz", "P_Cz"], ("prefix:T_", "prefix:P_")),
        (["A_Fz", "A_Cz", "B_Fz", "B_Cz"], ("prefix:A_", "prefix:B_")),
        (["A_x", "A_y", "B_x", "B_y"], ()),
        (["A_Fz", "A_Cz", "B_Fz", "B_Cz", "C_Fz", "C_Cz"], ()),
        (["EEG Fp1-A1", "EEG Fp2-A2", "EEG F3-A1", "EEG F4-A2"], ()),
        (["Fp1-Ref", "Fp2-Ref", "Cz-Ref"], ()),
        ([f"{b}{i}" for b in "ABCD" for i in range(1, 33)], ()),
        (["S1_D1 760", "S1_D1 850", "S2_D1 760", "S2_D1 850"], ()),
        (["S1_D1 hbo", "S1_D1 hbr", "S2_D1 hbo", "S2_D1 hbr"], ()),
        (["Fz"], ()),
        ([], ()),
    ],
)
def test_l10_signs_in_channel_names(names, channels):
    found = split_names(names)
    assert found.channels == channels
    assert bool(found.question) is not bool(channels)
    if channels:
        picked = [parse_selector(text).pick(names) for text in channels]
        assert len(picked[0]) == len(picked[1]) > 1


def test_l10_suffixes_from_the_recording(tmp_path):
    touch(tmp_path, *(f"dyad-0{d}/ses-{s}/both.bdf" for d in (1, 2) for s in (1, 2)))
    draft = draft_dyads(tmp_path, peek=lambda path: ["Fz-0", "Cz-0", "Pz-0", "Fz-1", "Cz-1", "Pz-1"])
    assert set(cells(draft, "therapist_channels", "client_channels")) == {("suffix:-0", "suffix:-1")}
    assert cells(draft, "therapist", "client") == [("", "")] * 4


def test_without_a_peek_the_channels_are_asked_for(tmp_path):
    touch(tmp_path, "dyad-01/ses-1/both.bdf", "dyad-01/ses-2/both.bdf")
    asks(draft_dyads(tmp_path), "its channel names were not read", "Fill in each person's part")


@pytest.mark.parametrize("error", [OSError("x"), ValueError("x"), RuntimeError("x"), InputError("x")])
def test_a_recording_that_cannot_be_peeked_at_is_asked_for(tmp_path, error):
    def peek(path):
        raise error

    touch(tmp_path, "dyad-01/ses-1/both.bdf")
    asks(draft_dyads(tmp_path, peek=peek), "it cannot be read")


@given(data=st.binary(max_size=300), name=st.sampled_from(["x.xdf", "x.snirf"]), magic=st.booleans())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_headers_are_asked_about(tmp_path, data, name, magic):
    start = (b"XDF:" if name.endswith("xdf") else b"\x89HDF\r\n\x1a\n") if magic else b""
    (tmp_path / name).write_bytes(start + data)
    assert draft_dyads(tmp_path).questions
    (tmp_path / name).unlink()


# -- a draft leads to a table


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


# -- odd trees


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
