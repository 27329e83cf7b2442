"""One file, two people: split before anything else, nobody dropped, names kept where they carry meaning."""

from __future__ import annotations

from pathlib import Path

import mne
import numpy as np
import pytest

import recording_fixtures as make
from hyperscan.errors import ReadError
from hyperscan.recording import align_pair, load_session

EIGHT = tuple(f"T_{name}" for name in make.CHANNELS) + tuple(f"C_{name}" for name in make.CHANNELS)


def load(root: Path, file: str, therapist: str | None, client: str | None, modality: str = "eeg"):
    row = make.session(root, file, file, modality, therapist_channels=therapist, client_channels=client)
    return load_session(row)


@pytest.mark.parametrize("file", ["both.edf", "both.bdf", "both.vhdr", "both.set", "both-raw.fif"])
def test_by_prefix(tmp_path: Path, file: str) -> None:
    writers = {
        "edf": make.write_edf,
        "bdf": make.write_edf,
        "vhdr": make.write_brainvision,
        "set": make.write_set,
        "fif": make.write_fif,
    }
    writers[file.rpartition(".")[2]](tmp_path / file, 3, names=EIGHT)
    pair = load(tmp_path, file, "prefix:T_", "prefix:C_")
    assert tuple(pair.therapist.ch_names) == tuple(pair.client.ch_names) == make.CHANNELS
    n = 1990
    np.testing.assert_allclose(pair.therapist.get_data()[:, :n], make.noise(3, 8)[:4, :n], atol=3e-9)
    np.testing.assert_allclose(pair.client.get_data()[:, :n], make.noise(3, 8)[4:, :n], atol=3e-9)
    aligned = align_pair(pair)
    assert aligned.clock.source == "same_amplifier"
    assert aligned.clock.residual_ms == 0.0


def test_by_suffix_and_position(tmp_path: Path) -> None:
    names = tuple(f"{name}-{k}" for k in (0, 1) for name in make.CHANNELS)
    make.write_fif(tmp_path / "b-raw.fif", 3, names=names)
    pair = load(tmp_path, "b-raw.fif", "suffix:-0", "suffix:-1")
    assert tuple(pair.client.ch_names) == make.CHANNELS
    pair = load(tmp_path, "b-raw.fif", "1-4", "5-8")
    assert pair.client.ch_names == list(names[4:])
    np.testing.assert_allclose(pair.client.get_data(), make.noise(3, 8)[4:], rtol=1e-6)


@pytest.mark.parametrize(
    ("therapist", "client", "word"),
    [
        ("1-4", "4-8", "share"),
        ("1-4", "5-9", "position 9"),
        ("prefix:X_", "prefix:C_", "fits none"),
        ("prefix:T_", None, "share"),
        ("/nirs1", "/nirs2", "SNIRF"),
        ("stream:A", "stream:B", "XDF"),
        ("nonsense:1", "1-4", "channel rule"),
    ],
)
def test_rules_that_cannot_be(tmp_path: Path, therapist: str, client: str | None, word: str) -> None:
    make.write_fif(tmp_path / "b-raw.fif", 3, names=EIGHT)
    with pytest.raises(ReadError) as caught:
        load(tmp_path, "b-raw.fif", therapist, client)
    if client is None:
        assert "same data" in str(caught.value)
    else:
        make.check_message(caught.value, tmp_path, "b-raw.fif", word)


def test_a_trigger_channel_serves_both(tmp_path: Path) -> None:
    raw = mne.io.RawArray(make.noise(3, 8), mne.create_info(list(EIGHT), 100.0, "eeg"), verbose="ERROR")
    pulses = np.zeros((1, raw.n_times))
    pulses[0, 500:510], pulses[0, 1200:1210] = 1, 2
    raw.add_channels([mne.io.RawArray(pulses, mne.create_info(["STI"], 100.0, "stim"), verbose="ERROR")])
    raw.save(tmp_path / "b-raw.fif", verbose="ERROR")
    pair = load(tmp_path, "b-raw.fif", "prefix:T_", "prefix:C_")
    for person in (pair.therapist, pair.client):
        assert person.ch_names == list(make.CHANNELS)
        assert list(person.annotations.onset) == [5.0, 12.0]
        assert list(person.annotations.description) == ["1", "2"]


@pytest.mark.parametrize(("first", "second"), [("nirs1", "nirs2"), ("nirs", "nirs2")])
def test_snirf_groups(tmp_path: Path, first: str, second: str) -> None:
    make.write_snirf(tmp_path / "b.snirf", 7, groups=(first, second))
    pair = load(tmp_path, "b.snirf", f"/{first}", f"/{second}", "fnirs")
    assert pair.therapist.ch_names == pair.client.ch_names
    rng = np.random.default_rng(8)
    expected = 0.02 * rng.standard_normal((600, 6)) + 1.0
    np.testing.assert_allclose(pair.client.get_data(), expected.T)
    with pytest.raises(ReadError) as caught:
        load_session(make.session(tmp_path, "b.snirf", "other.snirf", "fnirs"))
    make.check_message(caught.value, tmp_path, "b.snirf", f"/{first}, /{second}")
    with pytest.raises(ReadError, match="no group '/nirs7'"):
        load(tmp_path, "b.snirf", f"/{first}", "/nirs7", "fnirs")


def test_snirf_sources(tmp_path: Path) -> None:
    make.write_snirf(tmp_path / "b.snirf", 7, n_sources=6)
    pair = load(tmp_path, "b.snirf", "sources:1-3", "sources:4-6", "fnirs")
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
    pair = load(shared / "data" / "fnirs_two_person_snirf", f"{file}.snirf", *rules, "fnirs")
    assert len(pair.therapist.ch_names) == len(pair.client.ch_names) == n
    sources = {name.split("_")[0] for name in pair.client.ch_names}
    expected = range(9, 17) if n == 20 else range(1, 17)
    assert sources == {f"S{k}" for k in expected}
    assert align_pair(pair).client.n_times == 2340


def two_streams(root: Path, **changes) -> Path:
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
    two_streams(tmp_path)
    for rules in (("stream:A", "stream:B"), ("stream:id-A", "stream:id-B")):
        pair = load(tmp_path, "b.xdf", *rules)
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
    two_streams(tmp_path, **changes)
    with pytest.raises(ReadError) as caught:
        load(tmp_path, "b.xdf", *rules)
    make.check_message(caught.value, tmp_path, "b.xdf", word, "'A'")


def test_xdf_streams_of_one_name_are_told_by_their_source(tmp_path: Path) -> None:
    two_streams(tmp_path, name="A")
    pair = load(tmp_path, "b.xdf", "stream:id-A", "stream:id-B")
    np.testing.assert_allclose(pair.client.get_data(), make.noise(2, 4, 3000), rtol=1e-6)


def test_xdf_codes_of_a_numeric_marker_stream_are_events(tmp_path: Path) -> None:
    stamps = 100.0 + np.arange(3000) / 100.0
    people = [make.xdf_person(1, "A", stamps), make.xdf_person(2, "B", stamps)]
    codes = {"name": "NIRStarTriggers", "type": "Markers", "data": np.array([[1.0, 4.0]]), "stamps": [105.0, 117.5]}
    moved = {"name": "Gaze", "type": "Gaze", "data": np.array([[1.0, 4.0]]), "stamps": [105.5, 111.0]}
    make.write_xdf(tmp_path / "b.xdf", [*people, codes, moved])
    marks = load(tmp_path, "b.xdf", "stream:A", "stream:B").client.annotations
    assert list(marks.onset) == pytest.approx([5.0, 17.5])
    assert list(marks.description) == ["1", "4"]


def test_xdf_empty_stream_and_two_marker_streams(tmp_path: Path) -> None:
    stamps = 100.0 + np.arange(500) / 100.0
    empty = make.xdf_person(2, "B", np.zeros(0))
    make.write_xdf(tmp_path / "b.xdf", [make.xdf_person(1, "A", stamps), empty])
    with pytest.raises(ReadError, match="is empty") as caught:
        load(tmp_path, "b.xdf", "stream:A", "stream:B")
    make.check_message(caught.value, tmp_path, "b.xdf")
    mark = {"name": "M", "type": "Markers", "format": "string", "data": ["a"], "stamps": [101.0]}
    people = [make.xdf_person(1, "A", stamps), make.xdf_person(2, "B", stamps)]
    make.write_xdf(tmp_path / "b.xdf", [*people, mark, mark | {"stamps": [102.0]}])
    with pytest.raises(ReadError, match="two marker streams"):
        load(tmp_path, "b.xdf", "stream:A", "stream:B")
    make.write_xdf(tmp_path / "b.xdf", [*people, mark, mark])
    assert len(load(tmp_path, "b.xdf", "stream:A", "stream:B").client.annotations) == 1


def test_xdf_that_was_cut_off_is_used_as_far_as_it_goes(tmp_path: Path) -> None:
    stamps = 100.0 + np.arange(500) / 100.0
    make.write_xdf(tmp_path / "b.xdf", [make.xdf_person(1, "A", stamps), make.xdf_person(2, "B", stamps)], footer=False)
    pair = load(tmp_path, "b.xdf", "stream:A", "stream:B")
    assert any("cut off" in note for note in pair.history)


def test_real_xdf_files(shared: Path) -> None:
    from hyperscan.recording.files.load import read_person

    folder = shared / "data" / "xdf"
    found = read_person(folder / "clock_resets.xdf", "stream:BioSemi", modality="eeg", name="clock_resets.xdf")
    assert found.data.n_times == 27_815
    with pytest.raises(ReadError, match=r"empty_streams\.xdf"):
        read_person(folder / "empty_streams.xdf", None, modality="eeg", name="empty_streams.xdf")
    for file in sorted(folder.glob("sub-*.xdf")):
        assert read_person(file, "stream:Muse", modality="eeg", name=file.name).data.ch_names[0] == "TP9"
