"""A row of the table becomes two people: split before anything else, epochs paired, parts found."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path

import mne
import numpy as np
import pytest
import scipy.io
from mne.io import BaseRaw

import recording_fixtures as make
from conftest import SHARED
from format_fixtures import EXAMPLES, Example, write_cnt, write_gdf
from hyperscan.errors import DataQualityWarning, InputError, ReadError
from hyperscan.recording import align_pair, load_heads, load_session, preprocess_pair
from hyperscan.recording.files.eeg import NO_LENGTH
from hyperscan.recording.read import Heads, read_person
from hyperscan.study.formats import FORMATS, Format


def test_modalities(good: Path) -> None:
    make.refused(good, "c.snirf", "c-raw.fif", "modality 'eeg'", "fNIRS")
    make.write_snirf(good / "t.snirf", 1, blood=True)
    with pytest.raises(ReadError, match="raw intensity") as caught:
        make.load(good, "t.snirf", "c.snirf", "fnirs")
    make.check_message(caught.value, good, "c.snirf", "haemoglobin")


def test_no_name_and_no_date_of_birth_stay_in_the_info(good: Path) -> None:
    make.write_edf(good / "t.edf", 1)
    pair = make.load(good, "t.edf", "c-raw.fif")
    for raw in (pair.therapist, pair.client):
        assert make.CANARY not in repr({key: raw.info[key] for key in raw.info if key != "chs"})
    assert make.CANARY not in " ".join(pair.history)


def test_epochs_are_paired_by_event_sample(tmp_path: Path) -> None:
    make.save_epochs(tmp_path / "t-epo.fif", 1, [0, 2, 3, 5, 9])
    make.save_epochs(tmp_path / "c-epo.fif", 2, [1, 2, 5, 8, 9])
    pair = make.load(tmp_path, "t-epo.fif", "c-epo.fif")
    assert len(pair.segments) == 3
    assert [part.onset_s for part in pair.segments] == [0.0, 1.0, 2.0]
    for raw in (pair.therapist, pair.client):
        np.testing.assert_allclose(raw.get_data()[0, 10::100], [2e-6, 5e-6, 9e-6], atol=1e-12)


def test_epochs_are_paired_by_their_number_where_samples_differ(tmp_path: Path) -> None:
    make.save_epochs(tmp_path / "t-epo.fif", 1, [0, 2, 3, 5, 9])
    make.save_epochs(tmp_path / "c-epo.fif", 2, [1, 2, 5, 8], first=77_003)
    pair = make.load(tmp_path, "t-epo.fif", "c-epo.fif")
    np.testing.assert_allclose(pair.client.get_data()[0, 10::100], [2e-6, 5e-6], atol=1e-12)


def test_epochs_and_continuous_do_not_mix(good: Path) -> None:
    make.save_epochs(good / "t-epo.fif", 1, [0, 1])
    make.refused(good, "t-epo.fif", "c-raw.fif", "epochs")
    make.save_epochs(good / "u-epo.fif", 2, [0, 1], seconds=2.0)
    with pytest.raises(ReadError, match="Cut both alike"):
        make.load(good, "t-epo.fif", "u-epo.fif")


def test_eeglab_epochs(tmp_path: Path) -> None:
    make.write_set(tmp_path / "t.set", 1, trials=10)
    make.write_set(tmp_path / "c.set", 2, trials=10)
    pair = make.load(tmp_path, "t.set", "c.set")
    assert len(pair.segments) == 10
    assert pair.segments[3].duration_s == pytest.approx(2.0)


def test_start_stop_and_segment_event(good: Path) -> None:
    make.write_edf(good / "t.edf", 1, annotations=[(2.0, "talk"), (8.0, "rest"), (12.0, "talk"), (15.0, "end")])
    pair = make.load(good, "t.edf", "c-raw.fif", start_s=5.0, stop_s=14.0, task="x")
    assert [(part.onset_s, part.duration_s, part.task) for part in pair.segments] == [(5.0, 9.0, "x")]
    pair = make.load(good, "t.edf", "c-raw.fif", segment_event="talk")
    assert [(part.onset_s, part.duration_s) for part in pair.segments] == [(2.0, 6.0), (12.0, 3.0)]
    make.refused(good, "t.edf", "c-raw.fif", "'tlak'", "'talk' (2)", segment_event="tlak")
    make.refused(good, "t.edf", "c-raw.fif", "leave nothing", start_s=50.0)


def test_boundaries_become_bad(good: Path) -> None:
    make.write_brainvision(good / "t.vhdr", 1, markers=[("New Segment", "", 1001), ("Stimulus", "S  1", 1500)])
    marks = make.load(good, "t.vhdr", "c-raw.fif").therapist.annotations
    bad = marks[np.flatnonzero(marks.description == "BAD_boundary")[0]]
    assert bad["onset"] <= 10.0 <= bad["onset"] + bad["duration"]


def test_hypyp_epochs_pair_exactly_25(shared: Path) -> None:
    folder = shared / "data" / "eeg_dyad_hypyp_epochs"
    pair = make.load(folder, "preproc_S1.fif", "preproc_S2.fif")
    assert len(pair.segments) == 25
    assert pair.therapist.n_times == pair.client.n_times == 25 * 501


_READ = {
    "test_reduced.edf": 138,
    "chtypes_edf.edf": 42,
    "test_utf8_annotations.edf": 11,
    "test_bdf_stim_channel.bdf": 3,
    "brainvision/test_NO.vhdr": 65,
    "eeglab/test_raw_2021.set": 3,
    "eeglab/test_raw_chanloc.set": 61,
    "multiple_annotation_chans.bdf": 18,
    "nirx_15_2_short": 26,
    "nirx_15_3": 26,
    "hitachi/sample_MES_Probe1.csv": 44,
    "boxy/boxy_0_40_notriggers_unparsed.txt": 240,
    "snirf/2021-05-05_001.snirf": 40,
    "snirf/Simple_Probe.snirf": 8,
    "snirf/neuro_run01.snirf": 18,
    "snirf/hb.snirf": 360,
}


@pytest.mark.parametrize("file", _READ)
def test_real_readers(shared: Path, file: str) -> None:
    from hyperscan.recording.read import read_person

    fnirs = file.startswith(("nirx", "hitachi", "boxy", "snirf"))
    found = read_person(shared / "data" / "readers" / file, None, modality="fnirs" if fnirs else "eeg", name=file)
    kinds = found.data.get_channel_types()
    assert len([kind for kind in kinds if kind != "stim"]) == _READ[file]


def test_real_files_that_are_refused(shared: Path) -> None:
    data = shared / "data"
    partner = "fnirs_dyads_burns_snirf/DYAD130_2_rest.snirf"
    make.refused(data, "fnirs_burns_nirx142_raw/DYAD130_1_rest", partner, "NIRStar 14.2", modality="fnirs")
    make.refused(data, "readers/snirf/minimum_example.snirf", partner, "dataTimeSeries", modality="fnirs")


EIGHT = tuple(f"T_{name}" for name in make.CHANNELS) + tuple(f"C_{name}" for name in make.CHANNELS)


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
    pair = make.load_parts(tmp_path, file, "prefix:T_", "prefix:C_")
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
    pair = make.load_parts(tmp_path, "b-raw.fif", "suffix:-0", "suffix:-1")
    assert tuple(pair.client.ch_names) == make.CHANNELS
    pair = make.load_parts(tmp_path, "b-raw.fif", "1-4", "5-8")
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
        make.load_parts(tmp_path, "b-raw.fif", therapist, client)
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
    pair = make.load_parts(tmp_path, "b-raw.fif", "prefix:T_", "prefix:C_")
    for person in (pair.therapist, pair.client):
        assert person.ch_names == list(make.CHANNELS)
        assert list(person.annotations.onset) == [5.0, 12.0]
        assert list(person.annotations.description) == ["1", "2"]


def told(path: Path, example: Example) -> tuple[object, list[str]]:
    """Read a recording; return its shape, and all that is said about it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        rule = "stream:A" if example.name.endswith(".xdf") else None
        found = read_person(path, rule, modality=example.modality, name=path.name)
    data = found.data
    n_times = data.n_times if isinstance(data, BaseRaw) else len(data.events) * len(data.times)
    return (n_times, len(data.ch_names)), [*(str(each.message) for each in caught), *found.notes]


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_what_was_cut_short_is_refused_or_told(tmp_path: Path, form: Format) -> None:
    example = EXAMPLES[form.name]
    if example.lacks or (example.is_real and not SHARED.is_dir()):
        pytest.skip("needs what is not here")
    path = example.write(tmp_path / example.name, 1)
    good, notes = told(path, example)
    if not form.tells_length:
        assert any(NO_LENGTH in note for note in notes)
    silent = []
    for file in (each for each in sorted(tmp_path.rglob("*")) if each.is_file()):
        whole = file.read_bytes()
        # the last byte, the last few, at whole samples of any kind, and somewhere
        for n_kept in {
            len(whole) - 1,
            len(whole) - 3,
            *(len(whole) * part // 400 for part in (77, 200, 360, 392, 398)),
        }:
            file.write_bytes(whole[:n_kept])
            try:
                found, said = told(path, example)
            except ReadError:
                continue
            if found != good and len(said) <= len(notes) and not any(NO_LENGTH in note for note in said):
                silent.append((file.name, n_kept, found))
        file.write_bytes(whole)
    assert silent == []


# ---- a sampling rate that is none, in every format that gives one


def _eeglab(path: Path, rate: float) -> None:
    make.write_set(path, 1)
    held = scipy.io.loadmat(path, struct_as_record=False, squeeze_me=True)["EEG"]
    fields = {key: getattr(held, key) for key in held._fieldnames} | {"srate": rate}
    fields["chanlocs"] = np.array([(name,) for name in make.CHANNELS], dtype=[("labels", object)])
    scipy.io.savemat(path, {"EEG": fields}, appendmat=False)


def _header(before: str, after: str) -> Callable[[Path, float], None]:
    def write(path: Path, rate: float) -> None:
        make.write_brainvision(path, 1)
        text = path.read_text(encoding="utf-8")
        assert before in text
        path.write_text(text.replace(before, f"{after}{rate:g}"), encoding="utf-8")

    return write


def _sidecar(path: Path, rate: float) -> None:
    np.savetxt(path, 1e6 * make.noise(1).T, delimiter=",")
    facts = {"SamplingFrequency": rate, "ChannelNames": list(make.CHANNELS), "Unit": "uV"}
    path.with_name("t_sidecar.json").write_text(json.dumps(facts))


RATES = {
    "t.set": _eeglab,
    "t.vhdr": _header("SamplingInterval=10000", "SamplingInterval="),
    "t.csv": _sidecar,
    # whole numbers without a sign: none is the only one that cannot be
    "t.gdf": lambda path, _: _nothing(write_gdf(path), 256 + 4 * 216, 16),
    "t.cnt": lambda path, _: _nothing(write_cnt(path), 376, 2),
}


def _nothing(path: Path, at: int, n: int) -> None:
    content = bytearray(path.read_bytes())
    content[at : at + n] = bytes(n)
    path.write_bytes(content)


@pytest.mark.parametrize("rate", [0.0, -100.0, float("nan")])
@pytest.mark.parametrize("file", RATES)
def test_a_sampling_rate_that_is_none_is_refused(good: Path, file: str, rate: float) -> None:
    RATES[file](good / file, rate)
    with pytest.raises(ReadError) as caught:
        read_person(good / file, None, modality="eeg", name=file)
    make.check_message(caught.value, good, file)


def test_the_unit_is_named_where_it_hides_all_eeg(good: Path) -> None:
    file = make.write_brainvision(good / "t.vhdr", 1)
    file.write_text(file.read_text(encoding="utf-8").replace("\u00b5V", "xx"), encoding="utf-8")
    with (
        pytest.warns(DataQualityWarning, match="unit of 4 channels"),
        pytest.raises(ReadError, match="the unit of its 4"),
    ):
        read_person(file, None, modality="eeg", name=file.name)


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_headers_alone_tell_the_clock_that_samples_tell(
    tmp_path: Path, form: Format, monkeypatch: pytest.MonkeyPatch
) -> None:
    example = EXAMPLES[form.name]
    if example.lacks or example.is_real:
        pytest.skip("cannot be read here, or is one recording only")
    monkeypatch.setattr("hyperscan.recording.files.pairs._check_units", lambda _: None)  # examples hold any values
    paths = []
    for seed, role in enumerate(("t", "c"), start=1):
        (tmp_path / role).mkdir()
        paths.append(example.write(tmp_path / role / example.name, seed).relative_to(tmp_path).as_posix())
    row = make.session(tmp_path, *paths, example.modality)
    told = []
    for load in (load_heads, load_session):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = load(row)
            if isinstance(found, Heads):
                labels, found = found.labels, found.pair
            pair = align_pair(found)
        times = [
            (raw.info["sfreq"], raw.n_times, raw.annotations.onset.tolist(), raw.annotations.description.tolist())
            for raw in (pair.therapist, pair.client)
        ]
        told.append((times, repr(pair.clock), pair.segments, pair.history, [str(item.message) for item in caught]))
    assert told[0] == told[1]
    # headers name every channel that is read, and those of triggers or other kinds beside them
    for raw, names in zip((pair.therapist, pair.client), labels, strict=True):
        assert set(names) >= {name for name in raw.ch_names if raw.get_channel_types([name]) != ["stim"]}


def test_trigger_channels_are_read_without_the_signals(tmp_path: Path) -> None:
    info = mne.create_info(["Cz", "Pz", "STI"], 100.0, ["eeg", "eeg", "stim"])
    for seed, role in enumerate("tc"):
        data = make.noise(seed, 3, 6000)
        data[2] = 0
        data[2, [50 + seed, 700 + seed, 1900 + seed, 3300 + seed, 5000 + seed]] = 1
        mne.io.RawArray(data, info, verbose="error").save(tmp_path / f"{role}_raw.fif", verbose="error")
    pair = align_pair(load_heads(make.session(tmp_path, "t_raw.fif", "c_raw.fif")).pair)
    assert (pair.clock.source, pair.clock.n_matched, round(pair.clock.offset_s, 4)) == ("triggers", 5, -0.01)
    assert pair.therapist.ch_names == ["Cz"]
    assert not pair.therapist.get_data().any()
    with pytest.raises(InputError, match="headers alone were read"):
        preprocess_pair(pair)
