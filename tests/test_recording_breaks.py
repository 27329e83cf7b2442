"""Every format's ways to tell that recording was interrupted, walked over the table of formats."""

from __future__ import annotations

import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path

import edfio
import mne
import numpy as np
import pytest

import format_fixtures as rare
import recording_fixtures as make
from hyperscan.errors import ReadError
from hyperscan.recording.annotations import is_break, is_technical
from hyperscan.recording.files.breaks import cnt_events
from hyperscan.recording.files.frames import pauses_between
from hyperscan.recording.pauses import GAP, PAUSED, mark_boundaries
from hyperscan.recording.read import load_session, pair_raws, read_person
from hyperscan.recording.records import PersonRecording
from hyperscan.study.formats import FORMATS

#: Length of each recording in samples, where it is interrupted, and for how many samples.
N, AT, LOST = 2000, 1000, 400


def _joined_fif(path: Path) -> None:
    parts = [make.eeg_raw(seed, seconds=10.0) for seed in (1, 2)]
    mne.concatenate_raws(parts, verbose="ERROR").save(path, overwrite=True, verbose="ERROR")


def _annotated_fif(name: str, duration: float = 0.0) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        raw = make.eeg_raw(1)
        raw.set_annotations(mne.Annotations([AT / 100 - duration], [duration], [name]))
        raw.save(path, overwrite=True, verbose="ERROR")

    return write


def _skipped_fif(path: Path) -> None:
    """MNE writes what it calls a skip as no samples at all."""
    data = np.insert(make.noise(1), [AT] * LOST, 0.0, axis=1)
    raw = mne.io.RawArray(data, mne.create_info(list(make.CHANNELS), 100.0, "eeg"), verbose="ERROR")
    raw.set_annotations(mne.Annotations(AT / 100, LOST / 100, "BAD_ACQ_SKIP"))
    raw.save(path, overwrite=True, verbose="ERROR")


def _status(path: Path) -> None:
    """BioSemi's status channel: bit 16 is up at the beginning and where recording was resumed."""
    line = np.zeros(N)
    line[:50] = line[AT : AT + 50] = 1 << 16
    line[500:510] += 7
    info = mne.create_info([*make.CHANNELS, "Status"], 100.0, ["eeg"] * 4 + ["stim"])
    raw = mne.io.RawArray(np.vstack([make.noise(1), line]), info, verbose="ERROR")
    raw.save(path, overwrite=True, verbose="ERROR")


def _edf(kind: bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        make.write_edf(path, 1, annotations=[(0.5, "a"), (14.5, "b")])
        content = path.read_bytes().replace(b"EDF+C", kind, 1).replace(b"BDF+C", kind.replace(b"EDF", b"BDF"), 1)
        for k in reversed(range(10, 20)):
            content = content.replace(f"+{k}\x14\x14".encode(), f"+{k + LOST // 100}\x14\x14".encode())
        path.write_bytes(content)

    return write


def _edf_text(name: str) -> Callable[[Path], None]:
    return lambda path: make.write_edf(path, 1, annotations=[(AT / 100, name)]) and None


def _bdf_status(path: Path) -> None:
    line = np.zeros(N)
    line[:50] = line[AT : AT + 50] = 1 << 16
    signals = [
        edfio.BdfSignal(row, 100.0, label=name, physical_dimension="uV")
        for row, name in zip(rare.microvolts(1), make.CHANNELS, strict=True)
    ]
    wide = (-(1 << 23), (1 << 23) - 1)
    signals.append(edfio.BdfSignal(line, 100.0, label="Status", physical_range=wide, digital_range=wide))
    edfio.Bdf(signals).write(path)


def _brainvision(date: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        make.write_brainvision(path, 1, markers=[])
        marks = path.with_suffix(".vmrk")
        text = marks.read_text(encoding="utf-8").replace("20240301100000000000", "20240101100000000000").rstrip()
        marks.write_text(f"{text}\r\nMk2=New Segment,LostSamples,{AT + 1},1,0{date}\r\n", encoding="utf-8")

    return write


def _eeglab(name: object, duration: float) -> Callable[[Path], None]:
    return lambda path: make.write_set(path, 1, events=[(name, AT + 0.5, duration)]) and None


def _gdf(path: Path) -> None:
    rare.write_gdf(path, 1, pulses=[AT], code=32766)


def _cnt(kind: int) -> Callable[[Path], None]:
    """Neuroscan: the upper half of an event's fourth byte is 0xE; the table of type 3 counts samples."""

    def write(path: Path) -> None:
        rare.write_cnt(path, 1, pulses=[AT])
        content = bytearray(path.read_bytes())
        table = struct.unpack_from("<i", content, 886)[0]
        content[table + 9 + 3] = 0xE0
        if kind > 1:
            offset = struct.unpack_from("<i", content, table + 9 + 4)[0]
            at = AT if kind == 3 else offset
            event = struct.pack("<HBBihhfccc", 7, 0, 0xE0, at, 0, 0, 0.0, b"\0", b"\0", b"\0")
            content[table:] = struct.pack("<Bii", kind, len(event), 0) + event
        path.write_bytes(bytes(content))

    return write


def _segmented_egi(path: Path) -> None:
    rare.write_egi(path)
    content = bytearray(path.read_bytes())
    content[3] = 5
    path.write_bytes(bytes(content))


def _mff(path: Path) -> None:
    if "mffpy" not in sys.modules:
        pytest.importorskip("mffpy", reason="EGI MFF is read by the package mffpy, which is not installed")
    rare.write_mff(path, 1, gap_s=LOST / 100)


def _persyst(path: Path) -> None:
    rare.write_persyst(path, 1)
    text = path.read_text(encoding="utf-8")
    # the break is at midnight
    times = f"[SampleTimes]\n0=86390.000000\n{AT}={LOST / 100:.6f}\n"
    path.write_text(text.replace("[Patient]", f"{times}[Patient]"), encoding="utf-8")


def _hitachi(path: Path) -> None:
    source = Path(__file__).parents[2] / "shared" / "data" / "readers" / "hitachi" / "sample_MES_Probe1.csv"
    if not source.exists():
        pytest.skip("the real recording is not there")
    head, _, rows = source.read_bytes().decode("latin-1").partition("\nData")
    lines = rows.splitlines()
    first = next(k for k, line in enumerate(lines) if line.startswith("1,"))
    column = lines[first - 1].split(",").index("Time")
    made = []
    for k, line in enumerate(lines[first : first + 600]):
        cells, time = line.split(","), 10.0 + 0.1 * k + (40.0 if k >= 300 else 0.0)
        cells[column] = f"17:{int(time) // 60:02d}:{time % 60:05.2f}"
        made.append(",".join(cells))
    path.write_bytes("\n".join([head, "Data", *lines[1:first], *made, ""]).encode("latin-1"))


def _xdf(path: Path) -> None:
    stamps = 100.0 + np.arange(N) / 100.0
    stamps[AT:] += LOST / 100
    make.write_xdf(path, [make.xdf_person(1, "A", stamps)])


PUT_BACK, MARKED, REFUSED = "put back", "marked", "refused"

#: Ways to tell of a break by format: name of the file, how it is written, what is done. A text: why there is none.
WAYS: dict[str, list[tuple[str, Callable[[Path], None], str]] | str] = {
    "FIF": [
        ("t-raw.fif", _skipped_fif, "BAD_ACQ_SKIP"),
        ("t-raw.fif", _joined_fif, MARKED),
        ("t-raw.fif", _annotated_fif("EDGE boundary"), MARKED),
        ("t-raw.fif", _annotated_fif("boundary"), MARKED),
        ("t-raw.fif", _annotated_fif("-99"), MARKED),
        ("t-raw.fif", _annotated_fif("BAD_disconnection", 2.0), MARKED),
        ("t-raw.fif", _annotated_fif("9002/Amplifier reconnected"), MARKED),
        ("t-raw.fif", _status, MARKED),
    ],
    "EDF": [
        ("t.edf", _edf(b"EDF+D"), PUT_BACK),
        # calls itself continuous, while the times of its records are not
        ("t.edf", _edf(b"EDF+C"), PUT_BACK),
        ("t.edf", _edf_text("boundary"), MARKED),
        ("t.edf", _edf_text("Comment/-99"), MARKED),
    ],
    "BDF": [("t.bdf", _edf(b"EDF+D"), PUT_BACK), ("t.bdf", _bdf_status, MARKED)],
    "BrainVision": [
        ("t.vhdr", _brainvision(""), MARKED),
        ("t.vhdr", _brainvision(",20240101100014000000"), PUT_BACK),
    ],
    "EEGLAB": [
        ("t.set", _eeglab("boundary", LOST), PUT_BACK),
        ("t.set", _eeglab(-99.0, LOST), PUT_BACK),
        ("t.set", _eeglab("-99", LOST), PUT_BACK),
        ("t.set", _eeglab("Boundary, cut by hand", LOST), PUT_BACK),
        ("t.set", _eeglab(-99.0, np.nan), MARKED),
        ("t.set", _eeglab(-99.0, 0.0), MARKED),
        ("t.set", _eeglab(32766.0, 0.0), MARKED),
    ],
    "EGI": [("t.raw", _segmented_egi, REFUSED)],
    "EGI MFF": [("t.mff", _mff, "BAD_ACQ_SKIP")],
    "GDF": [("t.gdf", _gdf, MARKED)],
    "CNT": [("t.cnt", _cnt(kind), MARKED) for kind in (1, 2, 3)],
    "ANT CNT": "MNE names lost connections BAD_disconnection or Amplifier reconnected, which FIF tries",
    "Persyst": [("t.lay", _persyst, PUT_BACK)],
    "eximia": "frames without a header, time or marker",
    "Curry": "its reader is not installed",
    "Nicolet": "frames with one start time",
    "XDF": [("t.xdf", _xdf, PUT_BACK)],
    "SNIRF": "times of its samples, see test_recording_nirs",
    "NIRx": "frames with one start time",
    "Homer": "times of its samples, see test_recording_nirs",
    "Hitachi": [("t.csv", _hitachi, PUT_BACK)],
    "BOXY": "frames with one start time",
    "MATLAB": "numbers without times",
    "table": "numbers without times",
}


def test_every_format_says_how_it_tells_of_breaks() -> None:
    assert set(WAYS) == {form.name for form in FORMATS}


_EACH = [(name, *way) for name, ways in WAYS.items() if not isinstance(ways, str) for way in ways]


@pytest.mark.filterwarnings("ignore::hyperscan.errors.DataQualityWarning")
@pytest.mark.parametrize(
    ("form", "file", "write", "done"), _EACH, ids=[f"{name}-{k}" for k, (name, *_) in enumerate(_EACH)]
)
def test_what_follows_a_break_is_put_in_place_or_marked(
    tmp_path: Path, form: str, file: str, write: Callable[[Path], None], done: str
) -> None:
    write(tmp_path / file)
    fnirs = form == "Hitachi"
    partner = make.write_snirf(tmp_path / "c.snirf", 9) if fnirs else make.write_fif(tmp_path / "c-raw.fif", 9)
    row = make.session(tmp_path, file, partner.name, "fnirs" if fnirs else "eeg")
    if done == REFUSED:
        with pytest.raises(ReadError, match="segmented"):
            load_session(row)
        return
    people = [read_person(path, None, modality=row.modality, name=path.name) for path in (row.therapist_file, partner)]
    raw = pair_raws(row, *people).therapist
    # MNE's skip bears its name twice: as it was saved and as it is read
    marks = {
        (round(float(onset), 2), round(float(length), 2))
        for onset, length, text in zip(
            raw.annotations.onset, raw.annotations.duration, raw.annotations.description, strict=True
        )
        if text == {PUT_BACK: GAP, MARKED: PAUSED}.get(done, done)
    }
    if fnirs:
        assert list(marks) == [(pytest.approx(30.0, abs=0.2), pytest.approx(40.0, abs=0.2))]
    elif done == MARKED:
        assert list(marks) == [(pytest.approx(AT / 100 - 0.01, abs=0.011), 0.02)]
        assert raw.n_times == N
    else:
        assert list(marks) == [(pytest.approx(AT / 100, abs=0.011), LOST / 100)]
        assert raw.n_times == N + LOST
        assert PAUSED not in raw.annotations.description


@pytest.mark.parametrize(
    "name", ["boundary", "BAD boundary", "New Segment/", "New Segment/LostSamples", "Stimulus/-99", "-99.0", "32766"]
)
def test_breaks_are_no_events_that_two_devices_share(name: str) -> None:
    assert is_break(name)
    assert is_technical(name)


@pytest.mark.parametrize("name", ["S 99", "99", "-9", "segment", "pause", "Stimulus/S 99"])
def test_other_names_are_no_breaks(name: str) -> None:
    assert not is_break(name)


def test_two_names_of_one_break_are_marked_once() -> None:
    raw = make.eeg_raw(1)
    raw.set_annotations(mne.Annotations([10.0, 10.0, 15.0], 0.0, ["BAD boundary", "EDGE boundary", "-99"]))
    marked, n = mark_boundaries(raw)
    assert n == 2
    assert list(marked.annotations.description).count(PAUSED) == 2


def test_times_of_samples_that_run_back_are_refused(tmp_path: Path) -> None:
    rows = [(0, 100.0), (1000, 104.0)]
    with pytest.raises(ReadError) as caught:
        pauses_between(rows, 100.0, "t.lay")
    make.check_message(caught.value, tmp_path, "t.lay", "run back by 6.0 s", "export it again")


def test_a_cnt_file_without_events_has_no_breaks(tmp_path: Path) -> None:
    rare.write_cnt(tmp_path / "t.cnt", 1, pulses=[])
    assert cnt_events(tmp_path / "t.cnt", N, "t.cnt") == []


@pytest.mark.parametrize("kind", [1, 2, 3])
def test_events_of_cnt_are_at_the_samples_that_their_table_tells(tmp_path: Path, kind: int) -> None:
    # above 1 GB the table counts samples (type 3), which no header comes before
    path = rare.write_cnt(tmp_path / "t.cnt", 1, pulses=[0, 500, 1999], kind=kind)
    found = read_person(path, None, modality="eeg", name="t.cnt").data.annotations
    assert list(found.onset) == [0.0, 5.0, 19.99]
    assert set(found.description) == {"7"}


def test_marks_of_cnt_are_spans_and_breaks_and_no_events(tmp_path: Path) -> None:
    marks = [(300, 0xC), (700, 0xD), (900, 0xE), (1500, 0xC), (1600, 0xD)]
    path = rare.write_cnt(tmp_path / "t.cnt", 1, pulses=[500], marks=marks)
    found = read_person(path, None, modality="eeg", name="t.cnt").data.annotations
    rows = zip(found.onset, found.duration, found.description, strict=True)
    assert [(float(at), float(lasts), str(text)) for at, lasts, text in rows] == [
        (3.0, 4.0, "BAD_rejected"), (5.0, 0.0, "7"), (9.0, 0.0, "New Segment/"), (15.0, 1.0, "BAD_rejected")
    ]  # fmt: skip


def test_a_cnt_table_of_events_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    path = rare.write_cnt(tmp_path / "t.cnt", 1)
    path.write_bytes(path.read_bytes()[:-8])  # a whole event
    with pytest.raises(ReadError) as caught:
        read_person(path, None, modality="eeg", name="t.cnt")
    make.check_message(caught.value, tmp_path, "t.cnt", "holds 8 of 16 bytes")


@pytest.mark.parametrize("names", [("Fz", "Cz", "Pz", "Oz"), ("EEG Fz", "EEG Cz", "AFF5h", "VEOGU")])
def test_names_of_cnt_are_no_marks_of_bad_channels(tmp_path: Path, names: tuple[str, ...]) -> None:
    path = rare.write_cnt(tmp_path / "t.cnt", 1, names=names, bad=[2])
    assert read_person(path, None, modality="eeg", name="t.cnt").data.info["bads"] == [names[2]]


def test_the_start_of_cnt_does_not_depend_on_where_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, starts = rare.write_cnt(tmp_path / "t.cnt", 1), set()
    for zone in ("UTC", "America/New_York"):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        starts.add(read_person(path, None, modality="eeg", name="t.cnt").data.info["meas_date"].isoformat())
    monkeypatch.undo()
    time.tzset()
    assert starts == {"2024-03-01T10:00:00+00:00"}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_hitachi_tells_start_pauses_and_marks_whatever_ends_its_lines(tmp_path: Path, end: str) -> None:
    path = rare.write_hitachi(tmp_path / "t.csv", end=end, pause_s=40.0)
    raw = read_person(path, None, modality="fnirs", name="t.csv").data
    rows = zip(raw.annotations.onset, raw.annotations.duration, raw.annotations.description, strict=True)
    assert sorted((round(float(at), 3), round(float(lasts), 3), str(text)) for at, lasts, text in rows) == [
        (10.0, 4.0, "BAD_body_movement"), (20.0, 6.0, "BAD_removal"), (30.0, 40.0, GAP)
    ]  # fmt: skip
    assert raw.info["meas_date"].isoformat() == "2024-05-17T05:14:07.300000+00:00"
    marked = pair_raws(
        make.session(tmp_path, "t.csv", "t.csv", "fnirs"), *(PersonRecording(raw.copy()) for _ in range(2))
    ).therapist
    assert [text for text in marked.annotations.description if not is_technical(str(text))] == ["1"]


def test_hitachi_without_times_of_rows_has_no_start(tmp_path: Path) -> None:
    # the head tells the minute, and two files would be placed to a second
    path = rare.write_hitachi(tmp_path / "t.csv", timed=False)
    assert read_person(path, None, modality="fnirs", name="t.csv").data.info["meas_date"] is None
