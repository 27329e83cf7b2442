"""SNIRF 1.0 and 1.1: every field that changes a value or a time counts; what is not read is named as such."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import mne
import numpy as np
import pytest

import recording_fixtures as make
from hyperscan.errors import DataQualityWarning, ReadError
from hyperscan.recording import align_pair, load_session
from hyperscan.recording.cleaning.channels import roi_channels
from hyperscan.recording.cleaning.light import source_detector_mm
from hyperscan.recording.files.snirf import read_snirf
from hyperscan.recording.read import read_person


def test_snirf_links_are_not_followed(good: Path) -> None:
    make.write_snirf(good / "t.snirf", 1)
    with h5py.File(good / "t.snirf", "a") as file:
        del file["nirs/data1/dataTimeSeries"]
        file["nirs/data1/dataTimeSeries"] = h5py.ExternalLink("c.snirf", "/nirs/data1/dataTimeSeries")
    make.refused(good, "t.snirf", "c.snirf", "link", modality="fnirs")
    make.write_snirf(good / "u.snirf", 1)
    with h5py.File(good / "u.snirf", "a") as file:
        file["nirs2"] = h5py.SoftLink("/nirs")
    make.refused(good, "u.snirf", "c.snirf", "link", modality="fnirs", therapist_channels="/nirs")


def test_snirf_gap_is_opened_and_marked(good: Path) -> None:
    times = np.arange(600) / 10.0
    times[300:] += 3.0
    make.write_snirf(good / "t.snirf", 1, times=times, stimuli=(50.0,))
    pair = make.load(good, "t.snirf", "c.snirf", "fnirs")
    assert pair.therapist.info["sfreq"] == pytest.approx(10.0)
    assert pair.therapist.n_times == 630
    marks = pair.therapist.annotations
    gap = marks[np.flatnonzero(marks.description == "BAD_gap")[0]]
    assert (gap["onset"], gap["duration"]) == (pytest.approx(30.0), pytest.approx(3.0))
    assert marks.onset[np.flatnonzero(marks.description == "talk")[0]] == pytest.approx(50.0)


def test_snirf_time_that_jumps_back(good: Path) -> None:
    times = np.arange(600) / 10.0
    times[300:] -= 3.0
    make.write_snirf(good / "t.snirf", 1, times=times)
    make.refused(good, "t.snirf", "c.snirf", "jumps back", modality="fnirs")


def test_snirf_orphan_wavelength_goes_with_a_warning(good: Path) -> None:
    make.write_snirf(good / "t.snirf", 1, only=2)
    with pytest.warns(DataQualityWarning, match="lack the wavelengths 760 and 850 nm"):
        pair = make.load(good, "t.snirf", "c.snirf", "fnirs")
    assert [name for name in pair.therapist.ch_names if name.startswith("S2")] == []
    assert len(pair.therapist.ch_names) == 4


def test_snirf_with_two_data_blocks_or_none(good: Path) -> None:
    make.write_snirf(good / "t.snirf", 1)
    with h5py.File(good / "t.snirf", "a") as file:
        file.copy("nirs/data1", "nirs/data2")
    make.refused(good, "t.snirf", "c.snirf", "2 data blocks", modality="fnirs")
    with h5py.File(good / "u.snirf", "w") as file:
        file["x"] = 1
    make.refused(good, "u.snirf", "c.snirf", "no SNIRF", modality="fnirs")


@pytest.mark.parametrize(("first", "second"), [("nirs1", "nirs2"), ("nirs", "nirs2")])
def test_snirf_groups(tmp_path: Path, first: str, second: str) -> None:
    make.write_snirf(tmp_path / "b.snirf", 7, groups=(first, second))
    pair = make.load_parts(tmp_path, "b.snirf", f"/{first}", f"/{second}", "fnirs")
    assert pair.therapist.ch_names == pair.client.ch_names
    rng = np.random.default_rng(8)
    expected = 0.02 * rng.standard_normal((600, 6)) + 1.0
    np.testing.assert_allclose(pair.client.get_data(), expected.T)
    with pytest.raises(ReadError) as caught:
        load_session(make.session(tmp_path, "b.snirf", "other.snirf", "fnirs"))
    make.check_message(caught.value, tmp_path, "b.snirf", f"/{first}, /{second}")
    with pytest.raises(ReadError, match="no group '/nirs7'"):
        make.load_parts(tmp_path, "b.snirf", f"/{first}", "/nirs7", "fnirs")


def test_snirf_sources(tmp_path: Path) -> None:
    make.write_snirf(tmp_path / "b.snirf", 7, n_sources=6)
    pair = make.load_parts(tmp_path, "b.snirf", "sources:1-3", "sources:4-6", "fnirs")
    assert pair.therapist.ch_names[0] == "S1_D1 760"
    assert pair.client.ch_names[0] == "S4_D4 760"
    assert len(pair.client.ch_names) == 6
    density = mne.preprocessing.nirs.optical_density(pair.client, verbose="ERROR")
    assert set(density.get_channel_types()) == {"fnirs_od"}


@pytest.mark.parametrize(
    ("file", "rules", "n"),
    [
        ("two_subjects_one_file", ("sources:1-8", "sources:9-16"), 20),
        ("hb_two_subjects", ("sources:1-8", "sources:9-16"), 20),
        ("nirs1_nirs2", ("/nirs1", "/nirs2"), 40),
        ("nirs_nirs2", ("/nirs", "/nirs2"), 40),
    ],
)
@pytest.mark.filterwarnings("ignore:.*channels are the same in both people")
def test_real_two_person_snirf(shared: Path, file: str, rules: tuple[str, str], n: int) -> None:
    # the two groups of the last two files hold one and the same synthetic recording
    pair = make.load_parts(shared / "data" / "fnirs_two_person_snirf", f"{file}.snirf", *rules, "fnirs")
    assert len(pair.therapist.ch_names) == len(pair.client.ch_names) == n
    sources = {name.split("_")[0] for name in pair.client.ch_names}
    expected = range(9, 17) if n == 20 else range(1, 17)
    assert sources == {f"S{k}" for k in expected}
    assert align_pair(pair).client.n_times == 2340


# ---- fields that change values, times or names: one test per field


def changed(path: Path, change: Callable[[h5py.Group], None], **options) -> Path:
    """Write a SNIRF file and change its group."""
    make.write_snirf(path, 1, **options)
    with h5py.File(path, "a") as file:
        change(file["nirs"])
    return path


def put(group: h5py.Group, key: str, value: object) -> None:
    """Write a field, whether it is there or not."""
    if key in group:
        del group[key]
    group[key] = value


def read(path: Path):
    """Read without any warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return read_snirf(path, path.name).data


@pytest.mark.parametrize(
    ("unit", "per_s"),
    [("s", 1.0), ("ms", 1e3), ("us", 1e6), ("\u00b5s", 1e6), ("\u03bcs", 1e6), ("ns", 1e9), (None, 1)],
)
@pytest.mark.parametrize("short", [False, True])
def test_times_are_in_the_unit_of_the_file_and_stimuli_in_s(
    tmp_path: Path, unit: str | None, per_s: float, short: bool
) -> None:
    def change(group: h5py.Group) -> None:
        times = group["data1/time"][()] * per_s + 2 * per_s
        put(group, "data1/time", np.array([times[0], times[1] - times[0]]) if short else times)
        put(group, "metaDataTags/TimeUnit", unit or "s")
        if unit is None:
            del group["metaDataTags/TimeUnit"]

    raw = read(changed(tmp_path / "t.snirf", change, stimuli=(2.0, 12.0, 32.0)))
    assert raw.info["sfreq"] == pytest.approx(10.0)
    np.testing.assert_allclose(raw.annotations.onset, [0.0, 10.0, 30.0], atol=1e-9)
    np.testing.assert_allclose(raw.annotations.duration, 5.0)


@pytest.mark.parametrize("unit", ["h", "fortnight"])
def test_a_unit_of_time_that_is_not_known_is_named(good: Path, unit: str) -> None:
    changed(good / "t.snirf", lambda group: put(group, "metaDataTags/TimeUnit", unit))
    make.refused(good, "t.snirf", "c.snirf", "not supported: ", unit, "TimeUnit", modality="fnirs")


def test_times_that_cannot_be_in_their_unit_are_refused(good: Path) -> None:
    changed(good / "t.snirf", lambda group: put(group, "metaDataTags/TimeUnit", "us"))
    make.refused(good, "t.snirf", "c.snirf", "TimeUnit", "samples per s", modality="fnirs")


@pytest.mark.parametrize("jitter", [0.0, 0.2])
def test_only_uneven_times_are_called_uneven(tmp_path: Path, jitter: float) -> None:
    times = np.arange(600) / 10.0 + jitter * 0.1 * np.random.default_rng(0).uniform(-1, 1, 600)
    make.write_snirf(tmp_path / "t.snirf", 1, times=times)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        read_snirf(tmp_path / "t.snirf", "t.snirf")
    assert ["uneven" in str(each.message) for each in caught] == [True] * bool(jitter)


OFFSETS = {
    "one for all": np.array([3.0]),
    "one each": np.arange(6.0),
    "below zero": np.full(6, -0.5),
}


@pytest.mark.parametrize("offset", OFFSETS.values(), ids=OFFSETS)
@pytest.mark.parametrize("blood", [False, True])
def test_the_offset_is_added(tmp_path: Path, offset: np.ndarray, blood: bool) -> None:
    plain = read(make.write_snirf(tmp_path / "p.snirf", 1, blood=blood)).get_data()
    raw = read(changed(tmp_path / "t.snirf", lambda group: put(group, "data1/dataOffset", offset), blood=blood))
    np.testing.assert_allclose(raw.get_data() - plain, np.broadcast_to(offset, 6)[:, None] + 0 * plain, atol=1e-12)


@pytest.mark.parametrize("offset", [np.zeros(5), np.full(6, np.nan)])
def test_an_offset_that_fits_no_channel_is_refused(good: Path, offset: np.ndarray) -> None:
    changed(good / "t.snirf", lambda group: put(group, "data1/dataOffset", offset))
    make.refused(good, "t.snirf", "c.snirf", "dataOffset", modality="fnirs")


@pytest.mark.parametrize(
    ("units", "factors"),
    [
        (["uM"] * 6, [1e-6] * 6),
        (["uM", "\u00b5M", "\u03bcM", "umol/L", "mM", "M"], [1e-6, 1e-6, 1e-6, 1e-6, 1e-3, 1.0]),
        (["mol/m^3", "", "nM", "micromolar", "mmol/l", "pM"], [1e-3, 1.0, 1e-9, 1e-6, 1e-3, 1e-12]),
    ],
)
def test_each_channel_of_haemoglobin_has_its_own_unit(tmp_path: Path, units: list[str], factors: list[float]) -> None:
    def change(group: h5py.Group) -> None:
        for k, unit in enumerate(units, start=1):
            put(group, f"data1/measurementList{k}/dataUnit", unit)

    plain = read(make.write_snirf(tmp_path / "p.snirf", 1, blood=True)).get_data()
    raw = read(changed(tmp_path / "t.snirf", change, blood=True))
    np.testing.assert_allclose(raw.get_data(), plain * np.array(factors)[:, None])


def test_a_unit_of_haemoglobin_that_is_not_known_is_named(good: Path) -> None:
    changed(good / "t.snirf", lambda group: put(group, "data1/measurementList2/dataUnit", "M*mm"), blood=True)
    make.refused(good, "t.snirf", "c.snirf", "not supported: ", "'M*mm'", "dataUnit", modality="fnirs")


def set_kind(first: int, kind: int, label: str = "") -> Callable[[h5py.Group], None]:
    """Say that channels from one on hold another kind of value."""

    def change(group: h5py.Group) -> None:
        for k in range(first, 7):
            put(group, f"data1/measurementList{k}/dataType", np.int32(kind))
            put(group, f"data1/measurementList{k}/dataTypeLabel", label)

    return change


KINDS = {
    "raw and HbO": (set_kind(5, 99999, "HbO"), "data types mixed"),
    "raw and optical density": (set_kind(2, 99999, "dOD"), "data types mixed"),
    "raw and absorption": (set_kind(4, 99999, "mua"), "mua"),
    "an average": (set_kind(1, 99999, "HRF HbO"), "HRF HbO"),
    "frequency domain": (set_kind(1, 101), "frequency-domain"),
    "time domain": (set_kind(1, 201), "time-domain"),
    "moments": (set_kind(1, 301), "time-domain"),
    "fluorescence": (set_kind(1, 51), "fluorescence"),
    "correlation": (set_kind(1, 410), "diffuse correlation"),
    "total haemoglobin alone": (set_kind(1, 99999, "HbT"), "HbT"),
    "no label": (set_kind(1, 99999, ""), "without a dataTypeLabel"),
}


@pytest.mark.parametrize(("change", "word"), KINDS.values(), ids=KINDS)
def test_data_types_that_are_not_read_are_named(good: Path, change: Callable, word: str) -> None:
    changed(good / "t.snirf", change)
    make.refused(good, "t.snirf", "c.snirf", "not supported: ", word, modality="fnirs")


def test_optical_density_has_its_wavelengths(tmp_path: Path) -> None:
    raw = read(changed(tmp_path / "t.snirf", set_kind(1, 99999, "dOD")))
    assert set(raw.get_channel_types()) == {"fnirs_od"}
    assert [each["loc"][9] for each in raw.info["chs"]] == [760.0, 850.0] * 3


# ---- valid forms


def as_lists(group: h5py.Group) -> None:
    """Describe the channels by arrays, as version 1.1 may."""
    block = group["data1"]
    n = block["dataTimeSeries"].shape[1]
    for key in ("sourceIndex", "detectorIndex", "wavelengthIndex", "dataType", "dataTypeLabel"):
        if key in block["measurementList1"]:
            column = [np.ravel(block[f"measurementList{k}/{key}"][()])[0] for k in range(1, n + 1)]
            block[f"measurementLists/{key}"] = np.array(column)
    for k in range(1, n + 1):
        del block[f"measurementList{k}"]


def flat_places(group: h5py.Group) -> None:
    """Give all sources one detector, whose place has no outer dimension, in two dimensions."""
    for end in ("source", "detector"):
        del group[f"probe/{end}Pos3D"]
    group["probe/sourcePos2D"] = np.array([[0.03, 0.0], [0.0, 0.03], [-0.03, 0.0]])
    group["probe/detectorPos2D"] = np.zeros(2)
    for k in range(1, 7):
        put(group, f"data1/measurementList{k}/detectorIndex", np.int32(1))


def own_lasers(group: h5py.Group) -> None:
    """Give each source two wavelengths of its own."""
    put(group, "probe/wavelengths", np.array([757.0, 848.0, 760.0, 850.0, 762.0, 853.0]))
    for k in range(1, 7):
        put(group, f"data1/measurementList{k}/wavelengthIndex", np.int32(k))


def few_labels(group: h5py.Group) -> None:
    """Name more landmarks than there are places."""
    group["probe/landmarkPos3D"] = np.array([[0.0, 0.08, 0.0]])
    group["probe/landmarkLabels"] = np.array([b"nasion", b"lpa", b"rpa"])


def without(*keys: str) -> Callable[[h5py.Group], None]:
    """Leave fields out."""

    def change(group: h5py.Group) -> None:
        for key in keys:
            del group[key]

    return change


VALID = {
    "measurementLists": as_lists,
    "one detector without an outer dimension": flat_places,
    "wavelengths per source": own_lasers,
    "fewer landmarks than labels": few_labels,
    "no date": without("metaDataTags/MeasurementDate", "metaDataTags/MeasurementTime"),
    "a date that is unknown": lambda group: put(group, "metaDataTags/MeasurementDate", "unknown"),
    "no subject": without("metaDataTags/SubjectID"),
    "no labels of optodes": without("probe/sourceLabels", "probe/detectorLabels"),
    "unit of intensity": lambda group: put(group, "data1/measurementList1/dataUnit", "counts"),
    "a stimulus of one row": lambda group: put(group, "stim1/data", np.array([10.0, 5.0, 1.0])),
    "a stimulus without rows": lambda group: put(group, "stim1/data", np.zeros((0, 3))),
}


@pytest.mark.parametrize("change", VALID.values(), ids=VALID)
def test_valid_forms_are_read(tmp_path: Path, change: Callable) -> None:
    plain = read(make.write_snirf(tmp_path / "p.snirf", 1, stimuli=(10.0,)))
    raw = read(changed(tmp_path / "t.snirf", change, stimuli=(10.0,)))
    np.testing.assert_array_equal(raw.get_data(), plain.get_data())
    same_names = ("S1_D1 760", "S1_D1 850", "S2_D1 760") if change is flat_places else tuple(plain.ch_names)
    assert tuple(raw.ch_names)[: len(same_names)] == same_names
    assert mne.preprocessing.nirs.optical_density(raw, verbose="ERROR").info["nchan"] == 6


def test_total_haemoglobin_is_left_out_with_a_note(tmp_path: Path) -> None:
    def change(group: h5py.Group) -> None:
        for k, label in enumerate(["HbO", "HbR", "HbT"] * 2, start=1):
            put(group, f"data1/measurementList{k}/dataTypeLabel", label)
            put(group, f"data1/measurementList{k}/sourceIndex", np.int32((k + 2) // 3))
            put(group, f"data1/measurementList{k}/detectorIndex", np.int32((k + 2) // 3))

    plain = read(make.write_snirf(tmp_path / "p.snirf", 1, blood=True)).get_data()
    found = read_snirf(changed(tmp_path / "t.snirf", change, blood=True), "t.snirf")
    assert found.data.ch_names == ["S1_D1 hbo", "S1_D1 hbr", "S2_D2 hbo", "S2_D2 hbr"]
    np.testing.assert_array_equal(found.data.get_data(), plain[[0, 1, 3, 4]])
    make.check_note(found.notes, tmp_path, "HbT", "left out")


def test_stimuli_without_a_time_and_beyond_the_ends_are_told(tmp_path: Path) -> None:
    make.write_snirf(tmp_path / "t.snirf", 1, stimuli=(0.0, np.nan, 59.9, -3.0, 61.0, -0.04))
    with pytest.warns(DataQualityWarning, match="2 events before the first or after the last sample"):
        found = read_snirf(tmp_path / "t.snirf", "t.snirf")
    np.testing.assert_allclose(found.data.annotations.onset, [0.0, 0.0, 59.9])
    make.check_note(found.notes, tmp_path, "1 stimulus without a time")


def set_first(key: str, value: int) -> Callable[[h5py.Group], None]:
    """Change a field of the first channel."""
    return lambda group: put(group, f"data1/measurementList1/{key}", np.int32(value))


WRONG = {
    "a source that is not there": (
        lambda g: put(g, "data1/measurementList2/sourceIndex", np.int32(9)),
        "sources 1 to 9",
    ),
    "counted from 0": (set_first("detectorIndex", 0), "from 1 on"),
    "a wavelength that is not there": (
        lambda g: put(g, "data1/measurementList1/wavelengthIndex", np.int32(3)),
        "number 3",
    ),
    "wavelengths counted from 0": (set_first("wavelengthIndex", 0), "number 0"),
    "another measured wavelength": (
        set_first("wavelengthActual", 850),
        "wavelengthActual",
    ),
    "a channel twice": (lambda g: put(g, "data1/measurementList2/wavelengthIndex", np.int32(1)), "more than once"),
    "too few descriptions": (without("data1/measurementList6"), "describes 5 channels"),
    "no kind": (without("data1/measurementList3/dataType"), "no dataType"),
    "counted within modules": (lambda g: put(g, "probe/useLocalIndex", 1), "useLocalIndex"),
    "a unit of length that is not known": (lambda g: put(g, "metaDataTags/LengthUnit", "inch"), "'inch'"),
}


@pytest.mark.parametrize(("change", "word"), WRONG.values(), ids=WRONG)
def test_what_contradicts_itself_is_named(good: Path, change: Callable, word: str) -> None:
    changed(good / "t.snirf", change)
    make.refused(good, "t.snirf", "c.snirf", word, modality="fnirs")


@pytest.mark.parametrize("factor", [1.0, 100.0, 1000.0])
def test_a_unit_of_length_that_is_not_told_is_found_and_said(tmp_path: Path, factor: float) -> None:
    def change(group: h5py.Group) -> None:
        del group["metaDataTags/LengthUnit"]
        for end in ("source", "detector"):
            put(group, f"probe/{end}Pos3D", factor * group[f"probe/{end}Pos3D"][()])

    with pytest.warns(DataQualityWarning, match="LengthUnit"):
        found = read_snirf(changed(tmp_path / "t.snirf", change), "t.snirf")
    assert np.linalg.norm(
        found.data.info["chs"][0]["loc"][3:6] - found.data.info["chs"][0]["loc"][6:9]
    ) == pytest.approx(0.03)


def test_stimuli_cost_time_in_proportion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are, annotations are made once: each addition would sort all of them again."""
    added, append = [], mne.Annotations.append

    def counted(*given: Any, **named: Any) -> Any:
        added.append(given)
        return append(*given, **named)

    monkeypatch.setattr(mne.Annotations, "append", counted)
    make.write_snirf(tmp_path / "t.snirf", 1, stimuli=tuple(np.linspace(0, 50, 3000)))
    assert len(read_snirf(tmp_path / "t.snirf", "t.snirf").data.annotations) >= 3000
    assert len(added) < 10


@pytest.mark.parametrize("system", ["MNIColin27", "ICBM152AsymmetricalVersion2009a"])
def test_places_in_mni_space_are_in_their_regions(tmp_path: Path, system: str) -> None:
    middle = np.array([[62.0, -52.0, 28.0], [0.0, 68.0, 12.0], [60.0, -20.0, 68.0]])
    make.write_snirf(tmp_path / "t.snirf", 1, unit="mm")
    with h5py.File(tmp_path / "t.snirf", "a") as file:
        for end, side in (("source", -15.0), ("detector", 15.0)):
            file[f"nirs/probe/{end}Pos3D"][...] = middle + np.array([0.0, 0.0, side])
        file["nirs/probe/coordinateSystem"] = system
    found = read_person(tmp_path / "t.snirf", None, modality="fnirs", name="t.snirf")
    assert roi_channels(found.data) == {
        "all": ("S1_D1", "S2_D2", "S3_D3"), "rTPJ": ("S1_D1",), "PFC": ("S2_D2",)
    }  # fmt: skip
    np.testing.assert_allclose(source_detector_mm(found.data), 30.0, rtol=1e-6)
    assert any("from MNI to head coordinates" in note for note in found.notes)


#: What a file may say of the coordinates of its probe, and whether these are a head's.
FRAMES = {
    "nothing": ({}, False),
    "unknown, by MNE": ({"metaDataTags/MNE_coordFrame": 0}, False),
    "a scan's, by MNE": ({"metaDataTags/MNE_coordFrame": 5}, False),
    "another one": ({"probe/coordinateSystem": "Other"}, False),
    "a head's, by MNE": ({"metaDataTags/MNE_coordFrame": 4}, True),
}


@pytest.mark.parametrize(("told", "on_head"), FRAMES.values(), ids=FRAMES)
def test_places_in_unknown_coordinates_are_in_no_region(tmp_path: Path, told: dict, on_head: bool) -> None:
    # a forehead in head coordinates, 3 cm between source and detector
    make.write_snirf(tmp_path / "t.snirf", 1)
    with h5py.File(tmp_path / "t.snirf", "a") as file:
        for end, height in (("source", 0.03), ("detector", 0.06)):
            file[f"nirs/probe/{end}Pos3D"][...] = np.array([[0.0, 0.1, height]] * 3)
        for key, value in told.items():
            file[f"nirs/{key}"] = value
    found = read_person(tmp_path / "t.snirf", None, modality="fnirs", name="t.snirf")
    assert ("PFC" in roi_channels(found.data)) == on_head
    assert any("not for regions" in note for note in found.notes) != on_head
    np.testing.assert_allclose(source_detector_mm(found.data), 30.0, rtol=1e-6)


def test_places_of_a_homer_file_are_in_no_region(tmp_path: Path) -> None:
    make.write_nirs(tmp_path / "t.nirs", 1)
    found = read_person(tmp_path / "t.nirs", None, modality="fnirs", name="t.nirs")
    for channel in found.data.info["chs"]:
        channel["loc"][:3] = [0.0, 0.1, 0.045]
    assert set(roi_channels(found.data)) == {"all"}
    assert any("not for regions" in note for note in found.notes)
