"""What is said of faults of the study's table, its clocks and its probes: which row or file, what, and the remedy."""

from __future__ import annotations

from pathlib import Path

import h5py
import mne
import numpy as np
import pytest

import recording_fixtures as make
from hyperscan.cli import main
from hyperscan.errors import ReadError
from hyperscan.pipeline import check_study
from hyperscan.recording import align_pair, load_session
from hyperscan.study import read_table
from study_fixtures import write_table


def row(dyad: str, session: str, therapist: str, client: str, /, **changes: str) -> dict[str, str]:
    base = {"dyad": dyad, "therapist": f"T{dyad}", "client": f"C{dyad}", "session": session, "modality": "eeg"}
    return {**base, "therapist_file": therapist, "client_file": client, **changes}


TABLES = {
    10: ([row("1", "1", "a.edf", "gone.edf")], ("line 2", "gone.edf", "is not there")),
    11: (
        [row("1", "1", "a.edf", "b.edf"), row("1", "2", "c.edf", "d.edf", client="X9")],
        ("line 3", "dyad '1'", "'X9'", "its own dyad id"),
    ),
    12: ([row("1", "1", "a.edf", "a.edf")], ("line 2", "a.edf", "therapist_channels")),
    14: (
        [row("1", "1", "a.edf", "b.edf"), row("2", "1", "a.edf", "d.edf")],
        ("line 3", "a.edf", "line 2"),
    ),
    16: (
        [row("1", "1", "a.edf", "b.edf"), row("1", "2", "a.edf", "b.edf")],
        ("line 3", "a.edf", "line 2"),
    ),
    17: (
        [row("1", n, f"a{n}.edf", f"b{n}.edf", days=d) for n, d in (("1", "0"), ("2", "21"), ("3", "14"), ("4", "28"))],
        ("line 4", "session 3 is on day 14"),
    ),
    58: ([row("1", "one", "a.edf", "b.edf")], ("line 2", "session = 'one'", "whole number")),
    59: ([row("1", "1", "a.edf", "b.edf", client="T1")], ("line 2", "both 'T1'")),
}


@pytest.mark.parametrize("case", TABLES)
def test_a_row_that_cannot_be_used_is_named_with_its_remedy(tmp_path: Path, case: int) -> None:
    rows, words = TABLES[case]
    write_table(tmp_path, rows)
    said = [str(each) for each in read_table(tmp_path).rejected]
    (fitting,) = [text for text in said if text.startswith(words[0])]
    make.check_message(fitting, tmp_path, *words)


def test_one_bad_row_ends_with_3_and_all_with_4(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for k, name in enumerate("abc"):
        make.write_edf(tmp_path / f"{name}.edf", k, seconds=70.0)
    (tmp_path / "d.edf").write_bytes(b"")
    rows = [row("1", "1", "a.edf", "b.edf", clock="assumed"), row("2", "1", "c.edf", "d.edf", clock="assumed")]
    write_table(tmp_path, rows, files=False)
    assert main(["check", "-q", str(tmp_path)]) == 3
    assert "d.edf: is empty" in capsys.readouterr().out
    write_table(tmp_path, rows[1:], files=False)
    assert main(["check", "-q", str(tmp_path)]) == 4


# ---- check neither analyses nor writes


def test_check_neither_analyses_nor_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from hyperscan import growth, metrics, nulls, synchrony

    study, elsewhere = tmp_path / "study", tmp_path / "elsewhere"
    study.mkdir()
    elsewhere.mkdir()
    for k, name in enumerate("ab"):
        make.write_edf(study / f"{name}.edf", k, seconds=70.0)
    write_table(study, [row("1", "1", "a.edf", "b.edf", clock="assumed")], files=False)

    def never(*_: object, **__: object) -> None:
        pytest.fail("check analysed something")

    for module in (growth, metrics, nulls, synchrony):
        for name in getattr(module, "__all__", ()):
            if callable(getattr(module, name)) and not isinstance(getattr(module, name), type):
                monkeypatch.setattr(module, name, never)
    monkeypatch.setattr(metrics.MetricSpec, "evaluate", never)
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("HOME", str(elsewhere))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    report = check_study(study)
    assert (len(report.rows), report.skipped) == (1, 0)
    assert main(["check", "-q", str(study)]) == 0
    assert "1 dyad-session would be analysed" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


# ---- probes and containers


def refused(root: Path, *words: str, modality: str = "fnirs", file: str = "t.snirf", **changes: object) -> None:
    with pytest.raises(ReadError) as caught:
        load_session(make.session(root, file, "c.snirf", modality, **changes))
    make.check_message(caught.value, root, file, *words)


@pytest.fixture
def probe(tmp_path: Path) -> Path:
    for seed, name in enumerate("tc"):
        make.write_snirf(tmp_path / f"{name}.snirf", seed)
    return tmp_path


def test_a_probe_in_mm_that_says_m(probe: Path) -> None:
    with h5py.File(probe / "t.snirf", "a") as file:
        for place in ("nirs/probe/sourcePos3D", "nirs/probe/detectorPos3D"):
            file[place][...] = 1000 * np.asarray(file[place])
    refused(probe, "30 m", "LengthUnit", "Correct the length unit")


def test_two_numbers_are_start_and_step(probe: Path) -> None:
    with h5py.File(probe / "t.snirf", "a") as file:
        del file["nirs/data1/time"]
        file["nirs/data1/time"] = np.array([3.0, 0.1])
        # a group beside the data, as real exports have
        file["nirs/aux1/name"] = "accelerometer"
        file["nirs/aux1/dataTimeSeries"] = np.zeros((600, 1))
        file["nirs/aux1/time"] = np.array([3.0, 0.1])
        file["nirs/stim1/name"] = "talk"
        file["nirs/stim1/data"] = np.array([[13.0, 5.0, 1.0]])
    raw = load_session(make.session(probe, "t.snirf", "c.snirf", "fnirs")).therapist
    assert raw.info["sfreq"] == pytest.approx(10.0)
    assert raw.n_times == 600
    assert list(raw.annotations.onset) == [pytest.approx(10.0)]


def test_a_negative_value_is_no_reading_fault(probe: Path) -> None:
    with h5py.File(probe / "t.snirf", "a") as file:
        file["nirs/data1/dataTimeSeries"][5, 0] = -1.0
    pair = align_pair(load_session(make.session(probe, "t.snirf", "c.snirf", "fnirs", clock="same_amplifier")))
    assert float(pair.therapist.get_data()[0, 5]) == -1.0


def test_haemoglobin_in_a_wrong_unit(probe: Path) -> None:
    for name in "tc":
        make.write_snirf(probe / f"{name}.snirf", ord(name), blood=True)
    with h5py.File(probe / "t.snirf", "a") as file:
        file["nirs/data1/dataTimeSeries"][...] = 1e6 * np.asarray(file["nirs/data1/dataTimeSeries"])
    refused(probe, "haemoglobin", "mol/l", "uM or arbitrary units stored as M", "export it anew")


# ---- variants of clean files


def test_an_edf_plus_whose_partner_has_no_annotations(tmp_path: Path) -> None:
    make.write_edf(tmp_path / "t.edf", 1, annotations=[(float(t), "x") for t in (1.5, 4.0, 9.2, 11.1, 15.8, 17.3)])
    make.write_edf(tmp_path / "c.edf", 2)
    with pytest.warns(UserWarning, match="nothing aligns"):
        pair = align_pair(load_session(make.session(tmp_path, "t.edf", "c.edf")))
    assert pair.clock.source == "assumed"
    assert len(pair.therapist.annotations) == 6


def test_status_bits_of_a_biosemi_file_are_triggers(tmp_path: Path) -> None:
    raw = make.eeg_raw(1, seconds=40.0)
    status = np.zeros((1, raw.n_times))
    # the battery and CMS bits stand throughout, the trigger in the lower 16 bits
    status[0] = 0x100000 + 0x080000
    for k, at in enumerate((3.0, 7.7, 12.1, 20.4, 31.9)):
        status[0, round(100 * at) : round(100 * at) + 5] += k + 1
    info = mne.create_info(["Status"], 100.0, "stim")
    raw.add_channels([mne.io.RawArray(status, info, verbose="ERROR")], force_update_info=True)
    raw.save(tmp_path / "t-raw.fif", verbose="ERROR", fmt="double")
    make.write_fif(tmp_path / "c-raw.fif", 2, seconds=40.0)
    marks = load_session(make.session(tmp_path, "t-raw.fif", "c-raw.fif")).therapist.annotations
    assert list(marks.onset) == [3.0, 7.7, 12.1, 20.4, 31.9]


def test_a_set_of_matlab_7_3(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "t.set", "w", userblock_size=512) as file:
        file["EEG/data"] = np.zeros((3, 3))
    content = bytearray((tmp_path / "t.set").read_bytes())
    content[:10] = b"MATLAB 7.3"
    (tmp_path / "t.set").write_bytes(content)
    make.write_fif(tmp_path / "c-raw.fif", 2)
    with pytest.raises(ReadError) as caught:
        load_session(make.session(tmp_path, "t.set", "c-raw.fif"))
    make.check_message(caught.value, tmp_path, "t.set")
