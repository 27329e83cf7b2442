"""Names made standard, and regions found by name or place."""

from __future__ import annotations

from pathlib import Path

import mne
import numpy as np
import pytest

from hyperscan.config import StudyConfig
from hyperscan.recording.cleaning.channels import FNIRS_CENTRES_MM, clean_name, roi_channels, sort_channels
from hyperscan.recording.cleaning.eeg import clean_eeg
from prepare_fixtures import CAP, Probe, brain, eeg_raw, fnirs_raw


def _raw(names, types="eeg", data=None):
    data = np.random.default_rng(0).standard_normal((len(names), 2000)) if data is None else data
    return mne.io.RawArray(data, mne.create_info(list(names), 100.0, types), verbose="error")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("EEG Fp1", "Fp1"), ("FP1", "Fp1"), ("fp1", "Fp1"), ("Fp1-Ref", "Fp1"), ("EEG C3-A2", "C3"),
        ("1_Fz", "Fz"), ("T3", "T7"), ("T4", "T8"), ("T5", "P7"), ("T6", "P8"), ("Fc5.", "FC5"),
        ("EEG_ch_Cz", "Cz"), ("POZ", "POz"),
        ("Cz-0", "Cz"), ("AFF5h", "AFF5h"), ("PO7", "PO7"),
        ("Fp1-F7", None), ("EEG A2-A1", None), ("ECG ECG", None), ("A1", None), ("E12", None), ("", None),
    ],
)  # fmt: skip
def test_names_become_standard(name, expected):
    assert clean_name(name) == expected


def test_non_eeg_channels_go_though_typed_eeg():
    names = [
        "EEG Fz",
        "ECG",
        "HEOG",
        "VEOG-L",
        "EMG chin",
        "EEG A2-A1",
        "M1",
        "Status",
        "Fp1-F7",
        "Resp",
        "EEG 007",
    ]
    table = sort_channels(_raw(names))
    assert dict(table.names) == {"EEG Fz": "Fz", "EEG 007": "EEG 007"}
    assert set(table.dropped) == set(names) - set(table.names)
    assert table.aliases == {"EEG Fz": "Fz"}
    assert "derivation" in table.dropped["Fp1-F7"]


def test_typed_channels_and_duplicates():
    raw = _raw(["Fp1", "FP1", "T3", "T7", "Pz", "eye"], ["eeg"] * 5 + ["eog"])
    table = sort_channels(raw)
    assert list(table.names.values()) == ["Fp1", "T7", "Pz"]
    assert table.dropped["FP1"] == "same position as Fp1"
    assert table.dropped["T7"] == "same position as T3"
    assert table.dropped["eye"] == "EOG"


def test_biosemi_positions_are_no_ears():
    names = [f"A{k}" for k in range(1, 17)]
    assert len(sort_channels(_raw(names)).names) == 16
    assert sort_channels(_raw(["A1", "A2", "Cz"])).names == {"Cz": "Cz"}
    assert set(sort_channels(_raw([*CAP, "A1", "A2"])).dropped) == {"A1", "A2"}
    assert len(sort_channels(_raw([f"1-{name}" for name in names])).names) == 16


@pytest.mark.parametrize("suffix", ["", "-1"])
def test_connectors_are_no_electrodes(suffix):
    """The second person on a BioSemi: C3 is the third plug of the third block, not the motor cortex."""
    names = [f"{block}{k}{suffix}" for block in "CD" for k in range(1, 33)]
    table = sort_channels(_raw([*names, "EXG1", "Status"]))
    assert list(table.names.values()) == names
    assert table.dropped["EXG1"] == "external electrode beside the cap"
    raw = _raw(names)
    assert set(roi_channels(raw)) == {"all"}
    mine = StudyConfig(rois={"mine": (f"C3{suffix}", f"D7{suffix}")})
    assert roi_channels(raw, mine)["mine"] == (f"C3{suffix}", f"D7{suffix}")


def test_a_cap_of_connectors_has_no_positions():
    names = [f"A{k}" for k in range(1, 33)]
    rng = np.random.default_rng(0)
    raw = eeg_raw(brain(rng, 30.0), names=names)
    raw._data[4] = 0
    clean = clean_eeg(raw, StudyConfig(eeg_interpolate=True))
    assert clean.raw.get_montage() is None
    assert list(clean.dropped) == ["A5"]
    assert any("connectors" in note for note in clean.notes)


@pytest.mark.parametrize(
    "name",
    ["EMGright", "LHEOG", "HEO", "VEOU", "VEOL", "EXG3", "Erg1", "Ergo-Left", "Plet", "GSR1", "Temp", "Resp", "x_dir",
     "ACC_X", "GYROX", "MARKER_HARDWARE", "INTERPOLATED", "COUNTER", "CQ_AF3", "BATTERY_PERCENT", "POL DC01",
     "SaO2 X9", "AUX_RIGHT", "Right AUX", "IO1", "Packet Counter", "POL $A1", "Timestamp"],
)  # fmt: skip
def test_what_amplifiers_record_beside_the_cap_goes(name):
    assert name in sort_channels(_raw([*CAP, name])).dropped


def test_the_reference_behind_a_name_is_no_reason():
    names = ["E12-REF", "E13-Ref", "EEG 26-REF", "Ch1_ref"]
    table = sort_channels(_raw([*names, "EEG EKG1-REF", "REF", "EEG ROC-REF"]))
    assert list(table.names) == names
    assert set(table.dropped) == {"EEG EKG1-REF", "REF", "EEG ROC-REF"}


def test_external_inputs_are_the_cap_where_nothing_else_is():
    names = [f"EXG{k}" for k in range(1, 9)]
    assert list(sort_channels(_raw(names)).names) == names


def test_trigger_channel_of_unknown_name_is_told_by_its_values():
    data = np.random.default_rng(0).standard_normal((2, 2000))
    data[1] = np.repeat([0, 1, 0, 4], 500)
    assert "trigger" in sort_channels(_raw(["Cz", "X7"], data=data)).dropped["X7"]


def test_regions_of_a_cap():
    regions = roi_channels(eeg_raw(np.zeros((len(CAP), 10))))
    assert regions["all"] == tuple(CAP)
    assert set(regions["posterior"]) == {"P7", "P3", "Pz", "P4", "P8", "PO3", "PO4", "O1", "Oz", "O2"}
    assert set(regions["occipital"]) == {"O1", "Oz", "O2"}
    assert set(regions["central"]) == {
        "C3",
        "Cz",
        "C4",
        "FC1",
        "FC2",
        "CP1",
        "CP2",
        "FC5",
        "FC6",
        "CP5",
        "CP6",
    }
    assert regions["temporal_left"] == ("T7",)
    assert regions["temporal_right"] == ("T8",)
    assert set(regions["frontal"]) == {"Fp1", "Fp2", "F7", "F3", "Fz", "F4", "F8", "AF3", "AF4"}
    assert set(regions["parietal"]) == {"P7", "P3", "Pz", "P4", "P8"}


def test_every_extended_name_lies_in_at_most_two_regions():
    names = mne.channels.make_standard_montage("biosemi256").ch_names
    standard = ["FT9", "TP10", "PO10", "I1", "Iz", "AFp1", "CPP3h", "POO9h", "FTT8h", "F10", "P9"]
    regions = roi_channels(_raw(standard))
    homes = {name: [r for r, chans in regions.items() if name in chans and r != "all"] for name in standard}
    assert homes["FT9"] == ["temporal_left"]
    assert homes["TP10"] == ["temporal_right"]
    assert set(homes["PO10"]) == {"posterior"}
    assert set(homes["Iz"]) == {"occipital", "posterior"}
    assert homes["FTT8h"] == ["temporal_right"]
    assert all(homes.values())
    assert roi_channels(_raw(names[:8]))["all"] == tuple(names[:8])


def test_user_regions_add_and_replace():
    config = StudyConfig(rois={"posterior": ("O1", "OZ"), "mine": ("fz", "T3", "nowhere"), "empty": ("X1",)})
    regions = roi_channels(eeg_raw(np.zeros((len(CAP), 10))), config)
    assert regions["posterior"] == ("O1", "Oz")
    assert regions["mine"] == ("Fz", "T7")
    assert "empty" not in regions


def test_fnirs_regions_by_list_and_by_place():
    probe = Probe(n_long=3, n_short=0)
    raw = fnirs_raw(np.zeros((6, 10)), probe)
    trans = mne.read_trans(
        Path(mne.__file__).parent / "data/fsaverage/fsaverage-trans.fif",
        verbose="error",
    )
    back = np.linalg.inv(trans["trans"])
    for channel, region in enumerate(("rTPJ", "lTPJ", "IFG")):
        place = mne.transforms.apply_trans(back, np.array(FNIRS_CENTRES_MM[region][0]) / 1000)
        for row in (2 * channel, 2 * channel + 1):
            raw.info["chs"][row]["loc"][:3] = place
    regions = roi_channels(raw, StudyConfig(rois={"pair": ("S1_D1", "S2_D2 hbo")}))
    assert regions["all"] == ("S1_D1", "S2_D2", "S3_D3")
    assert regions["rTPJ"] == ("S1_D1",)
    assert regions["lTPJ"] == ("S2_D2",)
    assert regions["IFG"] == ("S3_D3",)
    assert regions["pair"] == ("S1_D1", "S2_D2")
    for ch in raw.info["chs"]:
        ch["loc"][:3] = np.nan
    assert set(roi_channels(raw)) == {"all"}


SOME = ("Fp1", "Fp2", "F3", "F4", "C3", "C4", "O1", "O2")


@pytest.mark.parametrize(
    "form",
    [
        *("EEG {}-Cz", "{}-Cz", "{} - Cz", "{}_FCz", "{}:CPz", "EEG {}-Pz", "EEG {}-Nz", "{}-A1A2", "EEG {}-M1M2"),
        *("{}-TP9TP10", "EEG {}-(A1+A2)/2", "{}-LE", "{}-AR", "{}-G2", "EEG {}-Org", "{}-X1", "{}-AVG", "EEG {}-Ref"),
    ],
)
@pytest.mark.parametrize("alone", [(), ("ECG",), ("EEG A1-A2",), ("EEG T7-T8",)])
def test_a_second_name_common_to_all_is_a_reference(form: str, alone: tuple[str, ...]):
    table = sort_channels(_raw([*(form.format(name) for name in SOME), *alone]))
    assert tuple(table.names.values()) == SOME
    assert len(table.dropped) == len(alone)


@pytest.mark.parametrize(
    "names",
    [
        ("Fp1-F7", "F7-T7", "T7-P7", "P7-O1", "Fp2-F8", "F8-T8", "T8-P8", "P8-O2"),
        ("Fp1-Cz", "Fp2-Cz", "F3-Pz", "F4-Pz"),
        ("Fp1-Cz", "Fp2-Cz"),
        ("Fp1-Cz", "Fp2-Cz", "F3-Cz", "F4-Pz", "C3-Pz", "C4-Pz"),
    ],
)
def test_a_chain_or_two_derivations_have_no_common_reference(names: tuple[str, ...]):
    table = sort_channels(_raw(names))
    assert not table.names
    assert set(table.dropped.values()) == {"derivation between two electrodes"}


@pytest.mark.parametrize("word", ["EMG", "imp", "temp", "trig"])
def test_what_is_no_eeg_by_its_name_is_no_reference(word: str):
    table = sort_channels(_raw([f"{name} {word}" for name in SOME]))
    assert set(table.dropped.values()) == {"not EEG by its name"}


def test_regions_of_a_cap_with_a_common_reference():
    regions = roi_channels(_raw([f"EEG {name}-Cz" for name in SOME]))
    assert regions["occipital"] == ("EEG O1-Cz", "EEG O2-Cz")
    assert regions["frontal"] == tuple(f"EEG {name}-Cz" for name in SOME[:4])
