"""EEG files: what was written comes out, at its time, and damage is refused."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import edfio
import h5py
import mne
import numpy as np
import pytest

import format_fixtures as rare
import recording_fixtures as make
from hyperscan.errors import DataQualityWarning, ReadError
from hyperscan.recording import PairedRecording, align_pair, load_session
from hyperscan.recording.annotations import with_events
from hyperscan.recording.files.eeg import read_curry
from hyperscan.recording.read import read_person
from hyperscan.study.formats import recognise

WRITERS = {
    "t-raw.fif": make.write_fif,
    "t.edf": make.write_edf,
    "t.bdf": make.write_edf,
    "t.vhdr": make.write_brainvision,
    "t.set": make.write_set,
}


@pytest.mark.parametrize("file", WRITERS)
def test_eeg_formats_give_the_samples_that_were_written(good: Path, file: str) -> None:
    WRITERS[file](good / file, 3)
    pair = make.load(good, file, "c-raw.fif")
    n = min(pair.therapist.n_times, 2000)
    assert n >= 1999
    assert tuple(pair.therapist.ch_names) == make.CHANNELS
    assert pair.therapist.info["sfreq"] == 100.0
    np.testing.assert_allclose(pair.therapist.get_data()[:, :n], make.noise(3)[:, :n], atol=2e-9)
    assert pair.clock is None
    assert pair.segments[0].duration_s == pytest.approx(20.0, abs=0.02)


def test_set_with_fdt(good: Path) -> None:
    make.write_set(good / "t.set", 3, fdt=True)
    np.testing.assert_allclose(make.load(good, "t.set", "c-raw.fif").therapist.get_data(), make.noise(3), atol=1e-9)


def test_up_to_one_percent_may_be_missing(good: Path) -> None:
    make.write_edf(good / "t.edf", 2, seconds=200)
    content = (good / "t.edf").read_bytes()
    (good / "t.edf").write_bytes(content[: -1 * 400 * 2 // 2 - 10])
    with pytest.warns(DataQualityWarning, match="another number of records"):
        pair = make.load(good, "t.edf", "c-raw.fif")
    assert 198.0 <= pair.therapist.n_times / 100.0 < 200.0
    assert any("are missing" in note for note in pair.history)


def test_set_without_fdt(good: Path) -> None:
    make.write_set(good / "t.set", 1, fdt=True)
    content = (good / "t.fdt").read_bytes()
    (good / "t.fdt").write_bytes(content[:-400])
    make.refused(good, "t.set", "c-raw.fif", ".fdt", "cut off")
    (good / "t.fdt").unlink()
    make.refused(good, "t.set", "c-raw.fif", ".fdt", "not there")


def test_missing_part_of_a_split_fif(good: Path) -> None:
    raw = make.eeg_raw(1, sfreq=1000.0, seconds=400.0)
    raw.save(good / "t-raw.fif", split_size="3MB", overwrite=True, verbose="ERROR")
    parts = sorted(good.glob("t-raw-*.fif"))
    assert parts
    whole = make.load(good, "t-raw.fif", "c-raw.fif").therapist
    assert whole.n_times == 400_000
    parts[0].unlink()
    make.refused(good, "t-raw.fif", "c-raw.fif", "one of several parts", "(t-raw-1.fif)", "Copy all parts")


def test_evoked_is_refused(good: Path) -> None:
    raw = make.eeg_raw(1)
    mne.EvokedArray(raw.get_data(), raw.info, verbose="ERROR").save(good / "t-ave.fif", verbose="ERROR")
    make.refused(good, "t-ave.fif", "c-raw.fif", "evoked")


def test_a_zero_byte_in_a_channel_name_is_damage(good: Path) -> None:
    make.write_edf(good / "t.edf", 1)
    content = bytearray((good / "t.edf").read_bytes())
    content[content.index(b"Cz  ") + 5] = 0  # one bit of a blank
    (good / "t.edf").write_bytes(content)
    make.refused(good, "t.edf", "c-raw.fif", "channel 2", "zero byte")


def _what_it_says(root: Path) -> Exception | None:
    try:
        make.load(root, "t.edf", "c-raw.fif")
    except (ReadError, DataQualityWarning) as said:
        return said
    return None


def test_damaged_header_bytes_never_end_in_a_traceback(good: Path) -> None:
    make.write_edf(good / "t.edf", 1)
    content = (good / "t.edf").read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(60):
        flipped = bytearray(content)
        flipped[int(rng.integers(8, 1500))] ^= 1 << int(rng.integers(8))
        (good / "t.edf").write_bytes(flipped)
        said = _what_it_says(good)
        assert said is None or "t.edf" in str(said)
        if isinstance(said, ReadError):
            make.check_message(said, good, "t.edf")


def test_edf_plus_d_gaps_are_opened(good: Path) -> None:
    make.write_edf(good / "t.edf", 1, annotations=[(0.5, "a"), (14.5, "b")])
    content = (good / "t.edf").read_bytes().replace(b"EDF+C", b"EDF+D", 1)
    # the records from 10 s on begin 4 s later
    for k in reversed(range(10, 20)):
        content = content.replace(f"+{k}\x14\x14".encode(), f"+{k + 4}\x14\x14".encode())
    (good / "t.edf").write_bytes(content)
    raw = make.load(good, "t.edf", "c-raw.fif").therapist
    assert raw.n_times == 2400
    marks = raw.annotations
    gap = marks[np.flatnonzero(marks.description == "BAD_gap")[0]]
    assert (gap["onset"], gap["duration"]) == (pytest.approx(10.0), pytest.approx(4.0))
    np.testing.assert_allclose(raw.get_data()[:, 1400:], make.noise(1)[:, 1000:], atol=2e-9)


def delayed(content: bytes, start_s: float, gap_s: float) -> bytes:
    """Let an EDF+ file begin later than its header says, and its records from the tenth on later still."""
    head, body = content[: int(content[184:192])], content[int(content[184:192]) :]
    n = int(content[236:244])
    size, out = len(body) // n, [head.replace(b"EDF+C", b"EDF+D", 1)]
    for k in range(n):
        record = body[k * size : (k + 1) * size]
        first, later = record.index(f"+{k}\x14\x14\0".encode()), start_s + gap_s * (k >= 10)
        told = [f"+{k + later:g}\x14\x14".encode()]
        for event in filter(None, record[first:].split(b"\0")[1:]):
            onset, text = event.split(b"\x14", 1)
            told += [f"+{float(onset) + later:g}\x14".encode() + text] * (b"room" not in text)
        out.append(record[:first] + b"\0".join(told).ljust(size - first, b"\0"))
    return b"".join(out)


@pytest.mark.parametrize("start_s", [0, 0.25, 3])
def test_events_of_a_discontinuous_edf_keep_their_samples(good: Path, start_s: float) -> None:
    events = [(0.5, "a text that makes room for times"), (8.5, "before"), (14.5, "after"), (18.5, "late")]
    make.write_edf(good / "t.edf", 1, annotations=events)
    (good / "t.edf").write_bytes(delayed((good / "t.edf").read_bytes(), start_s, 4.0))
    marks = make.load(good, "t.edf", "c-raw.fif").therapist.annotations
    found = {name: onset for onset, name in zip(marks.onset, marks.description, strict=True)}
    # the last lies beyond what was recorded, which ends 4 s before
    assert found == {"before": 8.5, "BAD_gap": 10.0, "after": 18.5, "late": 22.5}


RARE: dict[str, Callable[..., Path]] = {"t.raw": rare.write_egi, "t.gdf": rare.write_gdf, "t.cnt": rare.write_cnt}


EVENTS = {"t.raw": "DIN1", "t.gdf": "769", "t.cnt": "7"}


def read_alone(root: Path, file: str, **changes: object) -> PairedRecording:
    make.write_fif(root / "c-raw.fif", 99)
    return load_session(make.session(root, file, "c-raw.fif", **changes))


def refused_alone(root: Path, file: str, *words: str) -> None:
    with pytest.raises(ReadError) as caught:
        read_alone(root, file)
    make.check_message(caught.value, root, file, *words)


@pytest.mark.parametrize("file", RARE)
def test_samples_names_and_events_come_out(tmp_path: Path, file: str) -> None:
    RARE[file](tmp_path / file, 3)
    raw = read_alone(tmp_path, file).therapist
    assert raw.info["sfreq"] == 100.0
    assert raw.ch_names == (["E1", "E2", "E3", "E4"] if file == "t.raw" else list(make.CHANNELS))
    np.testing.assert_allclose(raw.get_data(), make.noise(3), atol=6e-9 if file == "t.cnt" else 1e-11)
    assert list(raw.annotations.onset) == [5.0, 12.0]
    assert set(raw.annotations.description) == {EVENTS[file]}
    assert make.CANARY not in repr({key: raw.info[key] for key in raw.info if key != "chs"})


@pytest.mark.parametrize("file", RARE)
def test_they_are_told_by_content(tmp_path: Path, file: str) -> None:
    RARE[file](tmp_path / file)
    assert recognise(tmp_path / file, file).name == {"t.raw": "EGI", "t.gdf": "GDF", "t.cnt": "CNT"}[file]
    (tmp_path / file).rename(tmp_path / "t.edf")
    refused_alone(tmp_path, "t.edf", "its name ends in '.edf'", "Rename")


@pytest.mark.parametrize("share", [0.05, 0.5, 0.97])
@pytest.mark.parametrize("file", RARE)
def test_cut_off_files_are_refused(tmp_path: Path, file: str, share: float) -> None:
    RARE[file](tmp_path / file, 3)
    content = (tmp_path / file).read_bytes()
    for more in range(5):
        (tmp_path / file).write_bytes(content[: int(len(content) * share) + more])
        refused_alone(tmp_path, file, "Copy it again")


def test_triggers_of_three_formats_align(tmp_path: Path) -> None:
    pulses = [120, 331, 500, 743, 901, 1200, 1427, 1555]
    RARE["t.raw"](tmp_path / "t.raw", 1, pulses=pulses)
    for seed, file in enumerate(("t.gdf", "t.cnt"), start=2):
        RARE[file](tmp_path / file, seed, pulses=[each - 40 for each in pulses])
        clock = align_pair(load_session(make.session(tmp_path, "t.raw", file))).clock
        assert (clock.source, clock.n_matched) == ("triggers", 8)
        assert clock.offset_s == pytest.approx(0.4, abs=1e-6)


def test_a_new_segment_of_gdf_is_a_pause(tmp_path: Path) -> None:
    rare.write_gdf(tmp_path / "t.gdf", 1, pulses=[1000], code=32766)
    marks = read_alone(tmp_path, "t.gdf").therapist.annotations
    assert "BAD_boundary" in marks.description


def test_segmented_egi_is_refused(tmp_path: Path) -> None:
    rare.write_egi(tmp_path / "t.raw")
    content = bytearray((tmp_path / "t.raw").read_bytes())
    content[3] = 5
    (tmp_path / "t.raw").write_bytes(content)
    refused_alone(tmp_path, "t.raw", "segmented", "Export the continuous recording")


def test_mff_without_its_package_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rare.write_mff(tmp_path / "t.mff", 1)
    monkeypatch.setitem(sys.modules, "mffpy", None)
    refused_alone(tmp_path, "t.mff", "needs the Python package 'mffpy'", "Install it")


@pytest.mark.parametrize("gap_s", [0.0, 4.0])
def test_mff(tmp_path: Path, gap_s: float) -> None:
    pytest.importorskip("mffpy", reason="EGI MFF is read by the package mffpy, which is not installed")
    rare.write_mff(tmp_path / "t.mff", 3, gap_s=gap_s)
    raw = read_alone(tmp_path, "t.mff").therapist
    assert raw.ch_names == list(make.CHANNELS)
    late = round(gap_s * 100)
    assert raw.n_times == 2000 + late
    np.testing.assert_allclose(raw.get_data()[:, :1000], make.noise(3)[:, :1000], atol=1e-11)
    np.testing.assert_allclose(raw.get_data()[:, 1000 + late :], make.noise(3)[:, 1000:], atol=1e-11)
    assert list(raw.annotations.description) == (["BAD_ACQ_SKIP"] if gap_s else [])


# ---- headers that leave a fact open, forms that are not read, units


def patched(path: Path, at: int, text: str) -> Path:
    """Write over a field of an EDF or BDF header."""
    content = bytearray(path.read_bytes())
    content[at : at + len(text)] = text.encode("latin-1")
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("file", ["t.edf", "t.bdf"])
@pytest.mark.parametrize("duration", ["0       ", "-1      ", "0.0     ", "inf     ", "nan     ", "-0      "])
def test_a_record_duration_that_is_none_is_refused(good: Path, file: str, duration: str) -> None:
    patched(make.write_edf(good / file, 1), 244, duration)
    make.refused(good, file, "c-raw.fif", "sampling rate is unknown", "header")


@pytest.mark.parametrize("duration", ["0       ", "1       "])
def test_a_file_of_annotations_only_is_not_called_damaged(good: Path, duration: str) -> None:
    fixed = b"0".ljust(8) + b"X".ljust(80) * 2 + b"02.01.24" + b"10.11.12" + b"512".ljust(8) + b"EDF+C".ljust(44)
    fixed += b"1".ljust(8) + duration.encode() + b"1".ljust(4)
    signal = b"EDF Annotations".ljust(16) + b"".ljust(88) + b"-1".ljust(8) + b"1".ljust(8)
    signal += b"-32768".ljust(8) + b"32767".ljust(8) + b"".ljust(80) + b"30".ljust(8) + b"".ljust(32)
    (good / "t.edf").write_bytes(fixed + signal + b"+0\x14\x14\0".ljust(60, b"\0"))
    make.refused(good, "t.edf", "c-raw.fif", "not supported: ", "annotations only")


@pytest.mark.parametrize(
    ("unit", "factor"),
    [
        ("uV", 1e-6),
        ("\u00b5V", 1e-6),
        ("\u00ce\u00bcV", 1e-6),
        ("\u00c2\u00b5V", 1e-6),
        ("UV", 1e-6),
        ("microV", 1e-6),
        ("mV", 1e-3),
        ("MilliV", 1e-3),
        ("nV", 1e-9),
        ("V", 1.0),
    ],
)
@pytest.mark.parametrize("file", ["t.edf", "t.bdf"])
def test_units_of_edf(tmp_path: Path, file: str, unit: str, factor: float) -> None:
    plain = read_alone(tmp_path, make.write_edf(tmp_path / file, 1).name).therapist.get_data()
    for k in range(4):
        patched(tmp_path / file, 256 + 96 * 4 + 8 * k, unit.ljust(8))
    found = read_person(tmp_path / file, None, modality="eeg", name=file)
    np.testing.assert_allclose(found.data.get_data(), plain * factor / 1e-6, rtol=1e-9)


@pytest.mark.parametrize("unit", ["", "counts", "%"])
def test_a_unit_of_edf_that_is_not_known_is_named(tmp_path: Path, unit: str) -> None:
    make.write_edf(tmp_path / "t.edf", 1)
    patched(tmp_path / "t.edf", 256 + 96 * 4 + 8, unit.ljust(8))
    with pytest.warns(DataQualityWarning, match="the unit of 1 channel"):
        read_person(tmp_path / "t.edf", None, modality="eeg", name="t.edf")


@pytest.mark.parametrize("magic", [b"RIFF", b"RF64"])
@pytest.mark.parametrize("file", ["test-ref.cnt", "test-user-annotation.cnt"])
@pytest.mark.filterwarnings("ignore:.*several references")
def test_ant_files_of_both_headers(tmp_path: Path, shared: Path, magic: bytes, file: str) -> None:
    source = shared / "data" / "readers" / "ant_rf64" / file
    path = tmp_path / file
    path.write_bytes(source.read_bytes() if magic == b"RF64" else magic + source.read_bytes()[4:])
    assert recognise(path, file).name == "ANT CNT"
    if magic == b"RF64":
        assert read_person(path, None, modality="eeg", name=file).data.n_times > 0


@pytest.mark.parametrize(("file", "modality"), [("t.mat", "eeg"), ("t.nirs", "fnirs"), ("t.snirf", "fnirs")])
def test_other_hdf5_files_are_named(good: Path, file: str, modality: str) -> None:
    head = b"MATLAB 7.3 MAT-file".ljust(512) if file != "t.snirf" else b""
    with h5py.File(good / file, "w", userblock_size=len(head)) as held:
        held["x"] = np.ones((10, 4))
    content = bytearray((good / file).read_bytes())
    content[: len(head)] = head
    (good / file).write_bytes(content)
    (good / "t_sidecar.json").write_text('{"SamplingFrequency": 1, "ChannelNames": ["a"], "Unit": "uV"}')
    partner, word = ("c.snirf", "no SNIRF") if modality == "fnirs" else ("c-raw.fif", "MATLAB 7.3")
    make.refused(good, file, partner, "MATLAB 7.3" if file == "t.nirs" else word, modality=modality)


def test_an_hdf5_file_of_another_name_is_not_told_to_be_renamed_only(good: Path) -> None:
    with h5py.File(good / "t.hdf5", "w") as held:
        held["x"] = 1
    make.refused(good, "t.hdf5", "c-raw.fif", "HDF5", "EDF")


#: Trigger lines with fewer and more values per s than EEG, as EDF lets every signal have a rate of its own.
RATES = (1, 16, 50, 200, 500)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("line", ["TRIG", "Trigger", "Status"])
@pytest.mark.parametrize("kind", ["EDF+C", "EDF+D", "BDF+D"])
def test_a_trigger_line_is_read_at_its_own_rate(tmp_path: Path, kind: str, line: str, rate: int) -> None:
    # brought to the rate of EEG, a code rings: thirty events instead of two
    codes = np.zeros(20 * rate)
    codes[4 * rate], codes[12 * rate + rate // 2] = 5, 7
    path = tmp_path / f"t.{kind[:3].lower()}"
    signal = edfio.BdfSignal if kind[0] == "B" else edfio.EdfSignal
    signals = [signal(row, 100.0, label=name, physical_dimension="uV")
               for row, name in zip(rare.microvolts(1), make.CHANNELS, strict=True)]  # fmt: skip
    signals.append(signal(codes, rate, label=line, physical_range=(-100, 100)))
    (edfio.Bdf if kind[0] == "B" else edfio.Edf)(signals, annotations=[edfio.EdfAnnotation(1.0, None, "note")]).write(
        path
    )
    gap = 4.0 if kind.endswith("D") else 0.0
    if gap:
        make_discontinuous(path, after=10, gap_s=gap)
    found = with_events(read_person(path, None, modality="eeg", name=path.name).data).annotations
    events = {str(text): float(at) for at, text in zip(found.onset, found.description, strict=True)}
    assert events.keys() == {"note", "5", "7"} | ({"BAD_gap"} if gap else set())
    assert (events["5"], events["7"]) == (4.0, pytest.approx(12.0 + rate // 2 / rate + gap))
    raw = read_person(path, None, modality="eeg", name=path.name).data
    # EEG keeps its time: a faster line stretched it by its rate
    assert raw.n_times / raw.info["sfreq"] == 20.0 + gap
    first = int(10 * raw.info["sfreq"])
    step = round(raw.info["sfreq"] / 100)
    told = raw.get_data(picks=["Cz"], stop=first)[0, ::step]
    assert np.corrcoef(told[100:900], make.noise(1)[1, 100:900])[0, 1] > 0.99


def make_discontinuous(path: Path, *, after: int, gap_s: float) -> None:
    """Move the records of a file after some of them, of 1 s each, by a gap."""
    content = bytearray(path.read_bytes())
    content[192:197] = content[192:195] + b"+D"
    for number in reversed(range(after, 20)):
        old = f"+{number}\x14\x14".encode()
        at = content.index(old)
        new = f"+{number + gap_s:g}\x14\x14".encode()
        assert len(new) == len(old)
        content[at : at + len(old)] = new
    path.write_bytes(bytes(content))


def test_the_older_ending_of_edf_is_read(tmp_path: Path) -> None:
    make.write_edf(tmp_path / "t.edf", 1, annotations=[(5.0, "S1")])
    (tmp_path / "t.edf").rename(tmp_path / "t.rec")
    raw = read_alone(tmp_path, "t.rec").therapist
    np.testing.assert_allclose(raw.get_data(), make.noise(1), atol=1e-8)
    assert list(raw.annotations.onset) == [5.0]


def write_curry(root: Path, unit: str, order: str = "SAMP") -> Path:
    rare.write_curry(root / "t.cdt", 1)
    parameters = f"DataSampOrder = {order}\nDataUnit = {unit}\nNumChanThisGroup = 4\n"
    with (root / "t.cdt.dpa").open("a", encoding="utf-8") as file:
        file.write(parameters)
    return root / "t.cdt"


@pytest.mark.parametrize(("unit", "factors"), [("uV", {}), ("mV", 1e-3), ("nV", 1e-9), ("\u00b5V", 1e-6)])
def test_units_of_curry_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unit: str, factors: object) -> None:
    # its reader, an extra package, takes all but uV for volts
    monkeypatch.setattr(mne.io, "read_raw_curry", lambda *_, **__: make.eeg_raw(1))
    found = read_curry(write_curry(tmp_path, unit), "t.cdt")
    assert found.factors == (dict.fromkeys(make.CHANNELS, factors) if factors else {})


def test_curry_channel_after_channel_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReadError) as caught:
        read_curry(write_curry(tmp_path, "uV", "CHAN"), "t.cdt")
    make.check_message(caught.value, tmp_path, "t.cdt", "not supported", "DataSampOrder")


def test_events_of_mff_last_as_long_as_their_file_says(tmp_path: Path) -> None:
    pytest.importorskip("mffpy", reason="EGI MFF is read by the package mffpy, which is not installed")
    folder = rare.write_mff(tmp_path / "t.mff", 1, gap_s=5.0)
    rows = [("02.000000000", 0.1, "DIN1"), ("04.800000", 3.5, "talk"), ("16.000000000", 0.0, "DIN1")]
    events = "".join(
        f"<event><beginTime>2024-03-01T10:00:{second}+00:00</beginTime><duration>{lasts * 1e9:.0f}</duration>"
        f"<code>{code}</code></event>"
        for second, lasts, code in rows
    )
    track = f'<eventTrack xmlns="http://www.egi.com/event_mff"><trackType>STIM</trackType>{events}</eventTrack>'
    (folder / "Events_DIN.xml").write_text(f'<?xml version="1.0" encoding="UTF-8"?>\n{track}', encoding="utf-8")
    marks = with_events(read_person(folder, None, modality="eeg", name="t.mff").data).annotations
    found = [(round(float(at), 3), round(float(lasts), 3), str(text)) for at, lasts, text in
             zip(marks.onset, marks.duration, marks.description, strict=True) if "SKIP" not in text]  # fmt: skip
    assert found == [(2.0, 0.1, "DIN1"), (4.8, 3.5, "talk"), (16.0, 0.0, "DIN1")]
