"""SNIRF, Homer and NIRx: people by group or source, gaps and stimuli in their place, damage refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import mne
import numpy as np
import pytest
import scipy.io

import recording_fixtures as make
from hyperscan.recording.files.nirs import read_homer, read_nirx
from hyperscan.recording.read import read_person
from prepare_fixtures import fnirs_pair


def test_snirf_and_homer(good: Path) -> None:
    make.write_snirf(good / "t.snirf", 1, stimuli=(10.0, 30.0))
    pair = make.load(good, "t.snirf", "c.snirf", "fnirs")
    assert pair.therapist.ch_names[:2] == ["S1_D1 760", "S1_D1 850"]
    assert pair.therapist.info["sfreq"] == pytest.approx(10.0)
    assert list(pair.therapist.annotations.onset) == [10.0, 30.0]
    make.write_nirs(good / "t.nirs", 1)
    homer = make.load(good, "t.nirs", "c.snirf", "fnirs").therapist
    assert sorted(homer.ch_names) == pair.therapist.ch_names
    assert list(homer.annotations.onset) == [10.0]
    places = {channel["ch_name"]: channel["loc"] for channel in homer.info["chs"]}
    np.testing.assert_allclose(places["S2_D2 760"][3:6], [0.04, 0.0, 0.0])
    assert places["S1_D1 850"][9] == 850.0


@pytest.mark.parametrize(
    ("rule", "sources"), [("1-2,4-5", ("S1_D1", "S2_D2")), ("2,3,5,6", ("S2_D2", "S3_D3")), ("3,6", ("S3_D3",))]
)
def test_positions_count_measurements_as_the_file_lists_them(
    tmp_path: Path, rule: str, sources: tuple[str, ...]
) -> None:
    # all first wavelengths, then all second ones
    make.write_nirs(tmp_path / "t.nirs", 1)
    columns = 1 + 0.02 * np.random.default_rng(1).standard_normal((600, 6))
    raw = read_person(tmp_path / "t.nirs", rule, modality="fnirs", name="t.nirs").data
    assert raw.ch_names == [f"{each} {wave}" for wave in (760, 850) for each in sources]
    at = [int(each[1]) - 1 + 3 * (wave == 850) for wave in (760, 850) for each in sources]
    np.testing.assert_allclose(raw.get_data(), columns.T[at])


def test_homer_survives_optical_density(good: Path) -> None:
    make.write_nirs(good / "t.nirs", 1)
    homer = make.load(good, "t.nirs", "c.snirf", "fnirs").therapist
    density = mne.preprocessing.nirs.optical_density(homer, verbose="ERROR")
    blood = mne.preprocessing.nirs.beer_lambert_law(density, ppf=6.0)
    assert set(blood.get_channel_types()) == {"hbo", "hbr"}


def _snirf_with_a_gap(path: Path, times: np.ndarray) -> None:
    make.write_snirf(path, 1, times=times, stimuli=(10.0, 50.0))


def _homer_with_a_gap(path: Path, times: np.ndarray) -> None:
    make.write_nirs(path, 1, times=times)


@pytest.mark.parametrize("gap_s", [0.0, 3.0])
@pytest.mark.parametrize(
    ("file", "write", "at"),
    [
        ("t.snirf", _snirf_with_a_gap, [10.0, 50.0]),
        ("t.nirs", _homer_with_a_gap, [10.0]),
    ],
)
def test_each_stimulus_appears_once_whether_time_has_a_gap_or_not(
    good: Path, file: str, write: Callable[[Path, np.ndarray], None], at: list[float], gap_s: float
) -> None:
    times = np.arange(600) / 10.0
    times[300:] += gap_s
    write(good / file, times)
    pair = make.load(good, file, "c.snirf", "fnirs")
    marks = pair.therapist.annotations
    events = [onset for onset, name in zip(marks.onset, marks.description, strict=True) if name != "BAD_gap"]
    np.testing.assert_allclose(events, at, atol=1e-6)
    assert pair.therapist.n_times == 600 + round(10 * gap_s)
    assert ("1 gap in the time vector" in " ".join(pair.history)) == (gap_s > 0)


# ---- what was taken out by hand, and stimuli at the edges


def homer(path: Path, *, probe: dict | None = None, **more: object) -> Path:
    """Write a Homer file with changes to its probe and variables."""
    make.write_nirs(path, 1)
    held = scipy.io.loadmat(path, struct_as_record=False, squeeze_me=True)
    fields = {key: getattr(held["SD"], key) for key in held["SD"]._fieldnames}
    fields = {key: value for key, value in (fields | (probe or {})).items() if value is not None}
    kept = {"d": held["d"], "t": held["t"][:, None], "s": held["s"][:, None], "aux": held["aux"][:, None]}
    scipy.io.savemat(path, {**kept, "SD": fields, **more}, appendmat=False)
    return path


@pytest.mark.parametrize("key", ["MeasListAct", "MeasListActMan"])
@pytest.mark.parametrize(
    ("act", "bad"),
    [
        ([1, 1, 1, 1, 1, 1], set()),
        ([1, 0, 1, 1, 0, 1], {"S2_D2"}),
        ([0, 1, 1, 1, 1, 1], {"S1_D1"}),
        ([1, 1, 1, 0, 1, 0], {"S1_D1", "S3_D3"}),
    ],
)
@pytest.mark.parametrize("as_row", [False, True])
def test_channels_pruned_by_hand_are_bad(tmp_path: Path, key: str, act: list[int], bad: set[str], as_row: bool) -> None:
    # one wavelength or both, as a column or a row; the fixture lists all first wavelengths first
    held = np.array(act, float)[None, :] if as_row else np.array(act, float)[:, None]
    found = read_homer(homer(tmp_path / "t.nirs", probe={key: held}), "t.nirs")
    assert {each.partition(" ")[0] for each in found.data.info["bads"]} == bad
    assert len(found.data.info["bads"]) == 2 * len(bad)
    assert any("pruned by hand" in note for note in found.notes) == bool(bad)


def test_pruned_channels_that_cannot_be_told_are_refused(good: Path) -> None:
    homer(good / "t.nirs", probe={"MeasListAct": np.zeros(5)})
    make.refused(good, "t.nirs", "c.snirf", "MeasListAct marks 5", modality="fnirs")


@pytest.mark.parametrize(
    ("out", "spans"),
    [
        ([], []),
        ([(0, 50)], [(0.0, 5.0)]),
        ([(100, 200), (300, 301)], [(10.0, 10.0), (30.0, 0.1)]),
        ([(550, 600)], [(55.0, 5.0)]),
    ],
)
def test_time_excluded_by_hand_is_marked_as_bad(
    tmp_path: Path, out: list[tuple[int, int]], spans: list[tuple[float, float]]
) -> None:
    included = np.ones(600)
    for first, stop in out:
        included[first:stop] = 0
    found = read_homer(homer(tmp_path / "t.nirs", tIncMan=included[:, None]), "t.nirs")
    marks = found.data.annotations
    bad = marks.description == "BAD_manual"
    np.testing.assert_allclose(np.c_[marks.onset, marks.duration][bad], np.reshape(spans, (-1, 2)), atol=1e-6)
    assert any("excluded by hand" in note for note in found.notes) == bool(out)


def test_time_excluded_before_a_gap_stays_in_its_place(tmp_path: Path) -> None:
    times = np.arange(600) / 10.0
    times[300:] += 3.0
    included = np.ones(600)
    included[400:450] = 0
    found = read_homer(homer(tmp_path / "t.nirs", t=times[:, None], tIncMan=included), "t.nirs")
    (mark,) = [each for each in found.data.annotations if each["description"] == "BAD_manual"]
    assert (mark["onset"], mark["duration"]) == (pytest.approx(43.0), pytest.approx(5.0))


COLUMNS = {
    "first row": ([(0, 1)], [0.0]),
    "last row": ([(599, 600)], [59.9]),
    "a block at the start": ([(0, 50), (100, 150)], [0.0, 10.0]),
    "a block to the end": ([(100, 150), (590, 600)], [10.0, 59.0]),
    "first and last": ([(0, 1), (599, 600)], [0.0, 59.9]),
}


@pytest.mark.parametrize(("up", "at"), COLUMNS.values(), ids=COLUMNS)
@pytest.mark.parametrize("as_row", [False, True])
def test_no_stimulus_is_lost_at_the_edges(
    tmp_path: Path, up: list[tuple[int, int]], at: list[float], as_row: bool
) -> None:
    column = np.zeros(600)
    for first, stop in up:
        column[first:stop] = 1
    held = column[None, :] if as_row else column[:, None]
    raw = read_homer(homer(tmp_path / "t.nirs", s=held), "t.nirs").data
    np.testing.assert_allclose(raw.annotations.onset, at)


def test_a_stimulus_that_rises_on_a_higher_level_counts(tmp_path: Path) -> None:
    column = np.zeros(600)
    column[100:200] = 1
    column[150:200] = 2
    column[300] = -1  # taken out by hand in Homer
    raw = read_homer(homer(tmp_path / "t.nirs", s=column[:, None]), "t.nirs").data
    np.testing.assert_allclose(raw.annotations.onset, [10.0, 15.0])


@pytest.mark.parametrize("key", ["s", "tIncMan"])
def test_a_variable_that_fits_no_sample_is_refused(good: Path, key: str) -> None:
    homer(good / "t.nirs", **{key: np.ones((599, 1))})
    make.refused(good, "t.nirs", "c.snirf", f"variable {key} has 599 rows", modality="fnirs")


@pytest.mark.parametrize(
    ("unit", "factor", "mm"), [("mm", 1.0, 30), ("cm", 0.1, 30), ("m", 1e-3, 30), (None, 1.0, 30), (None, 0.1, 30)]
)
@pytest.mark.filterwarnings("ignore:.*SpatialUnit")
def test_the_unit_of_the_probe(tmp_path: Path, unit: str | None, factor: float, mm: float) -> None:
    places = np.arange(3)[:, None] * np.array([[40.0, 0.0, 0.0]])
    probe = {"SpatialUnit": unit, "SrcPos": factor * places, "DetPos": factor * (places + np.array([[0.0, 30.0, 0.0]]))}
    found = read_homer(homer(tmp_path / "t.nirs", probe=probe), "t.nirs")
    loc = found.data.info["chs"][0]["loc"]
    assert 1e3 * np.linalg.norm(loc[3:6] - loc[6:9]) == pytest.approx(mm)
    assert any("SpatialUnit" in note for note in found.notes) == (unit is None)


def test_a_probe_that_contradicts_itself_is_named(good: Path) -> None:
    homer(good / "t.nirs", probe={"SpatialUnit": "inch"})
    make.refused(good, "t.nirs", "c.snirf", "not supported: ", "'inch'", "SD.SpatialUnit", modality="fnirs")
    homer(good / "t.nirs", probe={"SrcPos": np.zeros((2, 3))})
    make.refused(good, "t.nirs", "c.snirf", "SrcPos, which has 2", modality="fnirs")


def test_triggers_of_nirx_last_no_time_and_saturation_is_of_its_channel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # its reader says 1 s of every trigger, which a segment would last, and marks all channels where one is saturated
    asked: list[str] = []

    def read(*_: object, saturated: str, **__: object) -> mne.io.BaseRaw:
        asked.append(saturated)
        found = fnirs_pair(1, seconds=20.0)[0].therapist
        return found.set_annotations(mne.Annotations([2.0, 5.5], [1.0, 1.0], ["4.0", "15.0"]))

    monkeypatch.setattr(mne.io, "read_raw_nirx", read)
    (tmp_path / "t.hdr").write_text('[GeneralInfo]\nNIRStar="15.3"\n', encoding="latin-1")
    for wave in ("wl1", "wl2"):
        (tmp_path / f"t.{wave}").write_text("1 2\n", encoding="latin-1")
    marks = read_nirx(tmp_path, "t").data.annotations
    assert list(marks.onset) == [2.0, 5.5]
    assert list(marks.duration) == [0.0, 0.0]
    assert list(marks.description) == ["4", "15"]
    assert asked == ["nan"]
