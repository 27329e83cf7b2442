"""XDF: one stream per person, markers at their time, damage at its byte."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

import recording_fixtures as make
from hyperscan.errors import ReadError
from hyperscan.recording.annotations import with_events
from hyperscan.recording.files.xdf import read_xdf


def two_people(root: Path, **changes) -> Path:
    stamps = 100.0 + np.arange(3000) / 100.0
    streams = [
        make.xdf_person(1, "A", stamps),
        make.xdf_person(2, "B", stamps + 0.5, **changes),
        {
            "name": "Marks",
            "type": "Markers",
            "format": "string",
            "data": ["talk", "rest"],
            "stamps": [110.0, 120.0],
        },
    ]
    return make.write_xdf(root / "b.xdf", streams)


def test_xdf_streams_by_name_and_source(tmp_path: Path) -> None:
    two_people(tmp_path)
    for rules in (("stream:A", "stream:B"), ("stream:id-A", "stream:id-B")):
        pair = make.load_parts(tmp_path, "b.xdf", *rules)
        assert tuple(pair.client.ch_names) == make.CHANNELS
        np.testing.assert_allclose(pair.client.get_data(), make.noise(2, 4, 3000), rtol=1e-6)
        assert list(pair.therapist.annotations.onset) == pytest.approx([10.0, 20.0])
        assert list(pair.client.annotations.onset) == pytest.approx([9.5, 19.5])


@pytest.mark.parametrize(
    ("rules", "changes", "word"),
    [
        (("stream:A", "stream:Z"), {}, "'Z'"),
        (("stream:A", "stream:A"), {"name": "A"}, "2 streams fit"),
        (("stream:A", "stream:Marks"), {}, "'Marks'"),
    ],
)
def test_xdf_streams_that_cannot_be(tmp_path: Path, rules: tuple[str, str], changes: dict, word: str) -> None:
    two_people(tmp_path, **changes)
    with pytest.raises(ReadError) as caught:
        make.load_parts(tmp_path, "b.xdf", *rules)
    make.check_message(caught.value, tmp_path, "b.xdf", word, "'A'")


def test_xdf_streams_of_one_name_are_told_by_their_source(tmp_path: Path) -> None:
    two_people(tmp_path, name="A")
    pair = make.load_parts(tmp_path, "b.xdf", "stream:id-A", "stream:id-B")
    np.testing.assert_allclose(pair.client.get_data(), make.noise(2, 4, 3000), rtol=1e-6)


def test_xdf_codes_of_a_numeric_marker_stream_are_events(tmp_path: Path) -> None:
    stamps = 100.0 + np.arange(3000) / 100.0
    people = [make.xdf_person(1, "A", stamps), make.xdf_person(2, "B", stamps)]
    codes = {"name": "NIRStarTriggers", "type": "Markers", "data": np.array([[1.0, 4.0]]), "stamps": [105.0, 117.5]}
    moved = {"name": "Gaze", "type": "Gaze", "data": np.array([[1.0, 4.0]]), "stamps": [105.5, 111.0]}
    make.write_xdf(tmp_path / "b.xdf", [*people, codes, moved])
    marks = make.load_parts(tmp_path, "b.xdf", "stream:A", "stream:B").client.annotations
    assert list(marks.onset) == pytest.approx([5.0, 17.5])
    assert list(marks.description) == ["1", "4"]


def test_xdf_empty_stream_and_two_marker_streams(tmp_path: Path) -> None:
    stamps = 100.0 + np.arange(500) / 100.0
    empty = make.xdf_person(2, "B", np.zeros(0))
    make.write_xdf(tmp_path / "b.xdf", [make.xdf_person(1, "A", stamps), empty])
    with pytest.raises(ReadError, match="is empty") as caught:
        make.load_parts(tmp_path, "b.xdf", "stream:A", "stream:B")
    make.check_message(caught.value, tmp_path, "b.xdf")
    mark = {"name": "M", "type": "Markers", "format": "string", "data": ["a"], "stamps": [101.0]}
    people = [make.xdf_person(1, "A", stamps), make.xdf_person(2, "B", stamps)]
    make.write_xdf(tmp_path / "b.xdf", [*people, mark, mark | {"stamps": [102.0]}])
    with pytest.raises(ReadError, match="two marker streams"):
        make.load_parts(tmp_path, "b.xdf", "stream:A", "stream:B")
    make.write_xdf(tmp_path / "b.xdf", [*people, mark, mark])
    assert len(make.load_parts(tmp_path, "b.xdf", "stream:A", "stream:B").client.annotations) == 1


def test_xdf_that_was_cut_off_is_used_as_far_as_it_goes(tmp_path: Path) -> None:
    stamps = 100.0 + np.arange(500) / 100.0
    make.write_xdf(tmp_path / "b.xdf", [make.xdf_person(1, "A", stamps), make.xdf_person(2, "B", stamps)], footer=False)
    pair = make.load_parts(tmp_path, "b.xdf", "stream:A", "stream:B")
    assert any("cut off" in note for note in pair.history)


def test_real_xdf_files(shared: Path) -> None:
    from hyperscan.recording.read import read_person

    folder = shared / "data" / "xdf"
    found = read_person(folder / "clock_resets.xdf", "stream:BioSemi", modality="eeg", name="clock_resets.xdf")
    assert found.data.n_times == 27_815
    with pytest.raises(ReadError, match=r"empty_streams\.xdf"):
        read_person(folder / "empty_streams.xdf", None, modality="eeg", name="empty_streams.xdf")
    for file in sorted(folder.glob("sub-*.xdf")):
        assert read_person(file, "stream:Muse", modality="eeg", name=file.name).data.ch_names[0] == "TP9"


def test_three_streams_are_listed(good: Path) -> None:
    stamps = 100.0 + np.arange(2000) / 100.0
    make.write_xdf(good / "b.xdf", [make.xdf_person(k, name, stamps) for k, name in enumerate("ABC")])
    rules = {"therapist_channels": "1-4", "client_channels": "5-8"}
    make.refused(good, "b.xdf", "b.xdf", "3 streams fit", "'A'", "'C'", "stream:A or stream:B", **rules)


def test_xdf_is_used_to_where_it_was_cut(tmp_path: Path) -> None:
    content = make.two_streams(tmp_path / "b.xdf")
    (tmp_path / "b.xdf").write_bytes(content[:-40])
    pair = make.load(tmp_path, "b.xdf", "b.xdf", **make.XDF_RULES)
    assert pair.client.n_times == 2000
    assert any("cut off" in note for note in pair.history)


@pytest.mark.parametrize("what", ["length", "tag", "samples", "entities", "no header"])
def test_xdf_chunks_that_cannot_be(tmp_path: Path, what: str) -> None:
    content = bytearray(make.two_streams(tmp_path / "b.xdf"))
    header = content.index(b"\x02\x00\x01\x00\x00\x00<?xml")
    samples = content.index(b"\x03\x00\x01\x00\x00\x00\x04")
    if what == "length":
        content[header - 4 : header] = struct.pack("<I", 1)
    elif what == "tag":
        content[header : header + 2] = b"\x63\x00"
    elif what == "samples":
        content[samples + 7 : samples + 11] = struct.pack("<I", 2**32 - 1)
    elif what == "entities":
        content = content.replace(b"<source_id>id-A</source_id>", b"<!ENTITY a 'aaaaaaaaaaaa'>a")
    else:
        content[samples + 2 : samples + 6] = struct.pack("<I", 77)
    (tmp_path / "b.xdf").write_bytes(content)
    make.refused(tmp_path, "b.xdf", "b.xdf", "b.xdf", "damaged at byte", "Copy it again", **make.XDF_RULES)


@pytest.mark.parametrize("at", [3.6e6, 1e100])
def test_time_stamps_that_leave_hours_empty_are_refused(tmp_path: Path, at: float) -> None:
    stamps = np.arange(2000) / 100
    stamps[-1] = at
    make.write_xdf(
        tmp_path / "b.xdf", [make.xdf_person(1, "A", stamps), make.xdf_person(2, "B", np.arange(2000) / 100)]
    )
    people = {"therapist_channels": "stream:A", "client_channels": "stream:B"}
    words = ("b.xdf", "2000 samples", "h without any", "allowed are 3 h", "export each anew")
    make.refused(tmp_path, "b.xdf", "b.xdf", *words, **people)


@pytest.mark.parametrize("at", [0, -1])
def test_a_time_stamp_that_stands_alone_is_left_out_with_a_note(tmp_path: Path, at: int) -> None:
    stamps = 5000.0 + np.arange(2000) / 100
    stamps[at] += 3600.0 if at == 0 else -3600.0
    make.write_xdf(tmp_path / "t.xdf", [make.xdf_person(1, "A", stamps)])
    make.write_xdf(tmp_path / "c.xdf", [make.xdf_person(2, "B", 5000.0 + np.arange(2000) / 100)])
    people = {"therapist_channels": "stream:A", "client_channels": "stream:B"}
    pair = make.load(tmp_path, "t.xdf", "c.xdf", **people)
    assert pair.therapist.n_times == 1999
    make.check_note(pair.history, tmp_path, "t.xdf", "1 sample left out", "stands alone")


def test_time_stamps_that_do_not_rise_are_refused(tmp_path: Path) -> None:
    make.write_xdf(
        tmp_path / "b.xdf",
        [make.xdf_person(1, "A", np.full(2000, 7.0)), make.xdf_person(2, "B", np.arange(2000) / 100)],
    )
    people = {"therapist_channels": "stream:A", "client_channels": "stream:B"}
    make.refused(tmp_path, "b.xdf", "b.xdf", "b.xdf", "no usable sampling rate", "time stamps", **people)


# ---- streams that differ in little, and what streams say of their channels


def people(root: Path, *tags: dict[str, str], **changes: object) -> Path:
    """Write streams of one name whose headers differ in the given tags only."""
    stamps = 100.0 + np.arange(2000) / 100.0
    streams = [make.xdf_person(k, "RDA", stamps) | {"tags": tag} | changes for k, tag in enumerate(tags)]
    make.write_xdf(root / "b.xdf", streams)
    return root / "b.xdf"


TWINS = {
    "host": ({"hostname": "pc1"}, {"hostname": "pc2"}, "RDA@pc1", "RDA@pc2"),
    "uid": ({"hostname": "pc", "uid": "a-1"}, {"hostname": "pc", "uid": "b-2"}, "a-1", "b-2"),
    "host and uid": ({"hostname": "pc1", "uid": "a"}, {"hostname": "pc2", "uid": "b"}, "RDA@pc1", "RDA@pc2"),
}


@pytest.mark.parametrize(("first", "second", "a", "b"), TWINS.values(), ids=TWINS)
def test_streams_of_one_name_can_be_named_as_the_message_says(
    tmp_path: Path, first: dict[str, str], second: dict[str, str], a: str, b: str
) -> None:
    file = people(tmp_path, first, second)
    with pytest.raises(ReadError) as caught:
        make.load_parts(tmp_path, file.name, "stream:RDA", "stream:x")
    make.check_message(caught.value, tmp_path, f"stream:{a} or stream:{b}")
    pair = make.load_parts(tmp_path, file.name, f"stream:{a}", f"stream:{b}")
    assert not np.allclose(pair.therapist.get_data(), pair.client.get_data())


def test_streams_that_nothing_tells_apart_are_refused_with_a_way_out(tmp_path: Path) -> None:
    file = people(tmp_path, {}, {})
    with pytest.raises(ReadError, match="export one of them to a file of its own"):
        make.load_parts(tmp_path, file.name, "stream:RDA", "stream:x")


@pytest.mark.parametrize("kind", ["ExG", "EXG", "Biosignal", "signal"])
def test_inputs_of_a_general_type_are_eeg_where_they_are_called_after_electrodes(tmp_path: Path, kind: str) -> None:
    file = people(tmp_path, {}, type=kind, channel_type=kind)
    found = read_xdf(file, file.name)
    assert set(found.data.get_channel_types()) == {"eeg"}


@pytest.mark.parametrize("kind", ["ExG", "Accelerometer"])
def test_a_stream_without_eeg_is_named(good: Path, kind: str) -> None:
    people(good, {}, type=kind, channel_type=kind, labels=("in1", "in2", "in3", "in4"))
    rules = {"therapist_channels": "stream:RDA"}
    make.refused(good, "b.xdf", "c-raw.fif", "'RDA'", repr(kind[:12]), "named after an electrode", **rules)


@pytest.mark.parametrize("rule", [None, "stream:RDA"])
@pytest.mark.parametrize("kind", ["EEG", "ExG"])
def test_an_irregular_rate_is_named(good: Path, rule: str | None, kind: str) -> None:
    people(good, {}, type=kind, rate=0)
    make.refused(good, "b.xdf", "c-raw.fif", "not supported: ", "irregular rate", therapist_channels=rule)


@pytest.mark.parametrize(
    ("unit", "factor"),
    [("uV", 1e-6), ("\u00b5V", 1e-6), ("\u03bcV", 1e-6), ("Microvolts", 1e-6), ("millivolts", 1e-3), ("V", 1.0)],
)
def test_units_of_streams(tmp_path: Path, unit: str, factor: float) -> None:
    found = read_xdf(people(tmp_path, {}, unit=unit), "b.xdf")
    plain = read_xdf(people(tmp_path, {}, unit="microvolts"), "b.xdf")
    np.testing.assert_allclose(found.data.get_data(), plain.data.get_data() * factor / 1e-6)


def test_a_unit_that_is_not_told_is_said_and_one_that_is_not_known_refused(good: Path) -> None:
    make.check_note(read_xdf(people(good, {}, unit=""), "b.xdf").notes, good, "gives no unit", "microvolts")
    people(good, {}, unit="counts")
    make.refused(good, "b.xdf", "c-raw.fif", "not supported: ", "'counts'")


@pytest.mark.parametrize(("step", "lost"), [(100, 200), (40, 200)])
def test_samples_that_are_lost_all_the_time_do_not_stretch_what_is_left(tmp_path: Path, step: int, lost: int) -> None:
    """Without a stretch that is whole, gaps look like a slower clock; a stream that is slower throughout is none."""
    at = np.arange(3000)
    stamps = 100 + (at + lost * (at // step)) / 100
    make.write_xdf(tmp_path / "t.xdf", [make.xdf_person(1, "A", stamps), make.xdf_person(2, "B", 100 + at / 50.0)])
    with pytest.raises(ReadError) as caught:
        read_xdf(tmp_path / "t.xdf", "t.xdf", "A")
    make.check_message(caught.value, tmp_path, "declares 100 Hz", "Record it again")
    assert read_xdf(tmp_path / "t.xdf", "t.xdf", "B").data.n_times == 3000


@pytest.mark.parametrize("kind", ["Trigger", "stim", "Markers", "TTL"])
def test_a_channel_of_triggers_gives_events(tmp_path: Path, kind: str) -> None:
    stamps = 100.0 + np.arange(3000) / 100.0
    data = 1e6 * make.noise(1, 4, 3000)
    data[3] = 0
    data[3, 500:510], data[3, 1200:1203] = 5, 7
    stream = make.xdf_person(1, "A", stamps, data=data, types=("EEG", "EEG", "EEG", kind))
    make.write_xdf(tmp_path / "a.xdf", [stream])
    found = read_xdf(tmp_path / "a.xdf", "a.xdf")
    assert found.data.get_channel_types() == ["eeg", "eeg", "eeg", "stim"]
    events = with_events(found.data).annotations
    assert [(float(at), str(text)) for at, text in zip(events.onset, events.description, strict=True)] == [
        (5.0, "5"), (12.0, "7")
    ]  # fmt: skip
