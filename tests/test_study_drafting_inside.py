"""Two people in one file: streams, groups and signs in channel names (layouts L8 to L10)."""

from __future__ import annotations

import h5py
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hyperscan.errors import InputError
from hyperscan.study import draft_dyads, parse_selector
from hyperscan.study.drafting.inside import split_names
from study_fixtures import asks, cells, snirf, touch, xdf


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


#: Two signs of one person's channels: what they are, not whose.
OF_ONE = [("CQ_", "EQ_"), ("EEG.", "CQ."), ("raw_", "filt_"), ("POW.", "EEG.")]


@pytest.mark.parametrize("signs", OF_ONE, ids=" ".join)
def test_signals_and_their_quality_are_no_two_people(signs):
    names = [f"{sign}{name}" for sign in signs for name in ("AF3", "F7", "F3", "FC5", "T7")]
    assert split_names(names).channels == ()
    # the same channels of two people are
    assert split_names([f"{who}_{name}" for who in ("1", "2") for name in ("AF3", "F7", "F3")]).channels
