"""channels.tsv and events.tsv beside a BIDS recording: what is taken, and what disagrees."""

from __future__ import annotations

import datetime
import json
import warnings
from pathlib import Path

import mne
import mne_bids
import numpy as np
import pytest

import recording_fixtures as make
from hyperscan.errors import DataQualityWarning, ReadError
from hyperscan.recording import PairedRecording, align_pair, load_session, preprocess_pair
from hyperscan.recording.annotations import event_times, own_annotations
from hyperscan.recording.files.bids import bids_tables, files_of, scans_table
from hyperscan.recording.read import read_person
from hyperscan.recording.start_times import is_told
from prepare_fixtures import CAP, brain

NAMES = ("Fz", "Cz", "Pz", "Oz")
STEM = "sub-{}_ses-1_task-talk_eeg"


def folder_of(root: Path, person: int, kind: str = "eeg") -> Path:
    folder = root / f"sub-{person}" / "ses-1" / kind
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def study(tmp_path: Path) -> Path:
    for person in (1, 2):
        make.write_edf(folder_of(tmp_path, person) / f"{STEM.format(person)}.edf", person, names=NAMES)
    return tmp_path


def beside(root: Path, text: str, kind: str = "channels", person: int = 1, datatype: str = "eeg") -> Path:
    path = folder_of(root, person, datatype) / f"sub-{person}_ses-1_task-talk_{kind}.tsv"
    path.write_text(text.replace(" ", "\t"), encoding="utf-8")
    return path


def load(root: Path, ending: str = "edf", modality: str = "eeg") -> PairedRecording:
    kind = "eeg" if modality == "eeg" else "nirs"
    files = [f"sub-{k}/ses-1/{kind}/sub-{k}_ses-1_task-talk_{kind}.{ending}" for k in (1, 2)]
    return load_session(make.session(root, *files, modality, clock="same_amplifier"))


def warned(root: Path, *words: str, **options: str) -> PairedRecording:
    with pytest.warns(DataQualityWarning) as heard:
        pair = load(root, **options)
    (said,) = heard
    make.check_message(said.message, root, "sub-1_ses-1_task-talk_", *words)
    return pair


def refused(root: Path, *words: str) -> None:
    with pytest.raises(ReadError) as caught:
        load(root)
    make.check_message(caught.value, root, "sub-1_ses-1_task-talk_", *words)


def test_bad_channels_and_types_are_taken(study: Path) -> None:
    beside(study, "name type units status\nFz EEG uV good\nCz EOG uV good\nPz EEG uV bad\nOz MISC n/a n/a\n")
    pair = load(study)
    assert pair.therapist.get_channel_types() == ["eeg", "eog", "eeg", "misc"]
    assert pair.therapist.info["bads"] == ["Pz"]
    assert pair.client.get_channel_types() == ["eeg"] * 4
    assert pair.client.info["bads"] == []
    make.check_note(
        pair.history, study, f"{STEM.format(1)}.edf: taken from its channels.tsv: types of 2 channels; 1 bad"
    )


def test_what_was_taken_counts_in_preparation(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for person in (1, 2):
        data = 1e6 * brain(rng, 60.0)
        make.write_edf(folder_of(tmp_path, person) / f"{STEM.format(person)}.edf", sfreq=250.0, names=CAP, data=data)
    rows = [f"{name} {'ECG' if name == 'T8' else 'EEG'} {'bad' if name == 'C3' else 'good'}" for name in CAP]
    beside(tmp_path, "\n".join(["name type status", *rows]) + "\n")
    prepared = preprocess_pair(align_pair(load(tmp_path)))
    assert prepared.quality.dropped["therapist"]["C3"] == "marked as bad in the recording"
    assert not {"C3", "T8"} & set(prepared.therapist.ch_names)
    assert prepared.client.ch_names == CAP


def test_a_trigger_channel_named_by_the_table_gives_events(tmp_path: Path) -> None:
    for person in (1, 2):
        data = 1e6 * make.noise(person)
        data[3] = 0.0
        data[3, 500:510] = 3.0
        make.write_edf(folder_of(tmp_path, person) / f"{STEM.format(person)}.edf", names=NAMES, data=data)
        beside(tmp_path, "name type\nFz EEG\nCz EEG\nPz EEG\nOz TRIG\n", person=person)
    pair = load(tmp_path)
    assert pair.therapist.ch_names == ["Fz", "Cz", "Pz"]
    onsets, names = event_times(pair.therapist)
    assert names == ["3"]
    np.testing.assert_allclose(onsets, [5.0])


def test_a_table_of_a_higher_level_holds_for_all_below(study: Path) -> None:
    (study / "dataset_description.json").write_text("{}")
    (study / "task-talk_channels.tsv").write_text("name\ttype\nFz\tEOG\nCz\tEEG\nPz\tEEG\nOz\tEEG\n")
    (study / "task-rest_events.tsv").write_text("onset\tduration\n1\t0\n")
    (study / "sub-2_channels.tsv").write_text("name\ttype\nFz\tEEG\nCz\tEOG\nPz\tEEG\nOz\tEEG\n")
    own = study / "sub-2" / "ses-1" / "eeg" / f"{STEM.format(2)}.edf"
    (study / "sub-2" / "sub-2_channels.tsv").write_text("name\ttype\nFz\tECG\nCz\tEEG\nPz\tEEG\nOz\tEEG\n")
    pair = load(study)
    assert [raw.get_channel_types()[0] for raw in (pair.therapist, pair.client)] == ["eog", "ecg"]
    assert list(bids_tables(own)) == ["channels"]
    # a table that changes is an input that changed
    assert study / "sub-2" / "sub-2_channels.tsv" in files_of(own)


def test_recordings_that_are_not_bids_have_no_tables(tmp_path: Path) -> None:
    (tmp_path / "channels.tsv").write_text("name\ttype\nFz\tEOG\n")
    assert bids_tables(tmp_path / "therapist.edf") == {}


def test_a_channel_that_is_not_there_is_reported(study: Path) -> None:
    table = "name type\nFz EEG\nCz EEG\nPz EEG\nOz EEG\nJaneDoe EEG\n"
    beside(study, table)
    warned(study, "names 1 channel that the recording does not have (line 6)", "Correct the table")
    beside(study, "name type\nFz EEG\nCz EEG\nOz EEG\n")
    warned(study, "does not name 1 channel of the recording (number 3)", "Add them")


def test_units_that_disagree_are_reported_and_missing_ones_taken(study: Path) -> None:
    beside(study, "name type units\nFz EEG mV\nCz EEG µV\nPz EEG uV\nOz EEG uV\n")
    warned(study, "another unit than the recording for 1 channel", "Correct the table")
    path = study / "sub-1" / "ses-1" / "eeg" / f"{STEM.format(1)}.edf"
    stated = mne.io.read_raw_edf(path, verbose="ERROR").get_data()
    content = bytearray(path.read_bytes())
    first = 256 + 4 * (16 + 80)
    content[first : first + 32] = b" " * 32
    path.write_bytes(content)
    beside(study, "name type units\nFz EEG uV\nCz EEG µV\nPz EEG uV\nOz EEG uV\n")
    pair = load(study)
    np.testing.assert_allclose(pair.therapist.get_data(), stated)
    make.check_note(pair.history, study, "taken from its channels.tsv: units of 4 channels")


@pytest.mark.parametrize("unit", ["uV", "\u00b5V", "\u03bcV", "microV", "microvolts", "Microvolt"])
def test_units_of_the_table_may_be_spelled_as_those_of_files(study: Path, unit: str) -> None:
    path = own_file(study)
    stated = mne.io.read_raw_edf(path, verbose="ERROR").get_data()
    content = bytearray(path.read_bytes())
    first = 256 + 4 * (16 + 80)
    content[first : first + 32] = b" " * 32
    path.write_bytes(content)
    beside(study, "name type units\n" + "".join(f"{name} EEG {unit}\n" for name in NAMES))
    np.testing.assert_allclose(load(study).therapist.get_data(), stated)


@pytest.mark.parametrize(
    ("kind", "text", "words"),
    [
        ("channels", "name type\nFz EEG\nFz EEG\n", ("names a channel twice (line 3)", "Correct")),
        ("channels", "name status\nFz good\n", ("no column 'type'", "Add it")),
        ("events", "time name\n1 x\n", ("no column 'onset'", "Add it")),
        ("events", "", ("cannot be read", "Save it")),
    ],
)
def test_tables_that_cannot_be_used(study: Path, kind: str, text: str, words: tuple[str, ...]) -> None:
    beside(study, text, kind)
    refused(study, f"{kind}.tsv", *words)


def test_events_are_added_and_named(tmp_path: Path) -> None:
    for person in (1, 2):
        marks = [(2.0, "11"), (5.0, "12"), (9.0, "13")]
        path = folder_of(tmp_path, person) / f"{STEM.format(person)}.edf"
        make.write_edf(path, person, annotations=marks)
    table = "onset duration trial_type value\n2.0004 1.5 talk 11\n5.0 0 n/a 12\n7.25 0.5 rest n/a\n"
    beside(tmp_path, table, "events")
    pair = load(tmp_path)
    onsets, names = event_times(pair.therapist)
    assert names == ["talk", "12", "rest", "13"]
    np.testing.assert_allclose(onsets, [2.0, 5.0, 7.25, 9.0])
    assert pair.therapist.annotations.duration[0] == pytest.approx(1.5)
    words = (
        "taken from its events.tsv: 1 event added",
        "names of 1 event",
        "1 event of the recording not in the table",
    )
    make.check_note(pair.history, tmp_path, *words)
    assert event_times(pair.client)[1] == ["11", "12", "13"]
    row = make.session(
        tmp_path,
        *(f"sub-{k}/ses-1/eeg/{STEM.format(k)}.edf" for k in (1, 2)),
        segment_event="talk",
        clock="offset",
        client_offset_s=0.0,
    )
    assert load_session(row).segments[0].onset_s == pytest.approx(2.0)


def test_events_outside_the_recording_are_reported(study: Path) -> None:
    beside(study, "onset duration trial_type\n3 1 talk\n99 1 talk\nn/a 1 talk\n", "events")
    pair = warned(study, "2 events without a time within the recording (lines 3, 4)", "left out", "Correct onset")
    assert list(pair.therapist.annotations.onset) == [3.0]


def test_a_table_without_events_is_no_fault(study: Path) -> None:
    beside(study, "onset duration trial_type\n", "events")
    assert len(load(study).therapist.annotations) == 0


def test_nirs_channels_are_matched_by_optodes(tmp_path: Path) -> None:
    for person in (1, 2):
        make.write_snirf(folder_of(tmp_path, person, "nirs") / f"sub-{person}_ses-1_task-talk_nirs.snirf", person)
    head = "name type source detector wavelength_nominal units status\n"
    rows = [
        f"S{k}-D{k} NIRSCWAMPLITUDE S{k} D{k} {wave} V {'bad' if k == 2 else 'good'}\n"
        for k in (1, 2, 3)
        for wave in ("760", "850.0")
    ]
    # the accelerometer of the file is not read
    beside(tmp_path, head + "".join(rows) + "X ACCEL n/a n/a n/a m/s^2 good\n", datatype="nirs")
    assert load(tmp_path, "snirf", "fnirs").therapist.info["bads"] == ["S2_D2 760", "S2_D2 850"]
    beside(tmp_path, head + "".join(rows).replace("NIRSCWAMPLITUDE", "NIRSCWHBO", 1), datatype="nirs")
    words = ("says another kind of signal than the recording for 1 channel", "Correct the table")
    pair = warned(tmp_path, *words, ending="snirf", modality="fnirs")
    assert set(pair.therapist.get_channel_types()) == {"fnirs_cw_amplitude"}


def test_what_mne_bids_writes_is_read_in_silence(tmp_path: Path) -> None:
    rows = []
    for person in (1, 2):
        raw = mne.io.RawArray(make.noise(person), mne.create_info(list(NAMES), 100.0, "eeg"), verbose="ERROR")
        raw.info["line_freq"] = 50
        raw.set_channel_types({"Oz": "eog"}, on_unit_change="ignore")
        raw.info["bads"] = ["Cz"]
        raw.set_annotations(mne.Annotations([3.0, 8.0], [0.0, 1.0], ["talk", "rest"]))
        path = mne_bids.BIDSPath(root=tmp_path, subject=str(person), session="1", task="talk", datatype="eeg")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            written = mne_bids.write_raw_bids(raw, path, format="EDF", allow_preload=True, verbose="ERROR")
        rows.append(written.fpath)
    files = [str(path.relative_to(tmp_path)) for path in rows]
    pair = load_session(make.session(tmp_path, *files, clock="same_amplifier"))
    for raw in (pair.therapist, pair.client):
        assert raw.get_channel_types() == ["eeg", "eeg", "eeg", "eog"]
        assert raw.info["bads"] == ["Cz"]
        onsets, names = event_times(raw)
        assert [name for name in names if name in ("talk", "rest")] == ["talk", "rest"]
        np.testing.assert_allclose(onsets[-2:], [3.0, 8.0], atol=0.011)


@pytest.mark.parametrize("text", ["{", '{"A": 1, "A": 2}', '{"SamplingFrequency": NaN}', "[" * 100_000])
def test_a_broken_bids_sidecar(tmp_path: Path, text: str) -> None:
    make.write_edf(tmp_path / "sub-1_task-x_eeg.edf", 1)
    make.write_edf(tmp_path / "sub-2_task-x_eeg.edf", 2)
    (tmp_path / "sub-1_task-x_eeg.json").write_text(text, encoding="utf-8")
    with pytest.raises(ReadError) as caught:
        load_session(make.session(tmp_path, "sub-1_task-x_eeg.edf", "sub-2_task-x_eeg.edf"))
    make.check_message(
        caught.value, tmp_path, "sub-1_task-x_eeg.edf", "sub-1_task-x_eeg.json", "not valid JSON", "Correct"
    )


def test_a_bids_sidecar_of_another_rate(tmp_path: Path) -> None:
    for k in (1, 2):
        make.write_edf(tmp_path / f"sub-{k}_task-x_eeg.edf", k)
        facts = json.dumps({"SamplingFrequency": 100 * k})
        (tmp_path / f"sub-{k}_task-x_eeg.json").write_text(facts, encoding="utf-8")
    with pytest.warns(UserWarning, match="sidecar says 200 Hz") as heard:
        load_session(make.session(tmp_path, "sub-1_task-x_eeg.edf", "sub-2_task-x_eeg.edf"))
    make.check_message(heard[0].message, tmp_path, "sub-2_task-x_eeg.edf", "holds 100 Hz")


def own_file(root: Path, person: int = 1) -> Path:
    return folder_of(root, person) / f"{STEM.format(person)}.edf"


def write_scans(root: Path, cell: str, person: int = 1, *, of_person: bool = False) -> None:
    """Write the ``scans.tsv`` of a session, or of a person; a second row is of another recording."""
    own = own_file(root, person)
    folder = own.parents[2] if of_person else own.parents[1]
    listed = own.relative_to(folder).as_posix()
    rows = f"filename\tacq_time\n{listed}\t{cell}\n{listed.replace('talk', 'rest')}\t2020-01-01T08:00:00\n"
    (folder / f"sub-{person}{'' if of_person else '_ses-1'}_scans.tsv").write_text(rows, encoding="utf-8")


def start_of(root: Path) -> datetime.datetime | None:
    """Return when the first person's recording began, as it is read."""
    path = own_file(root)
    return read_person(path, None, modality="eeg", name=path.name).data.info["meas_date"]


def set_header_date(root: Path, date: str, person: int = 1) -> None:
    """Write date and time into the header of an EDF file; 01.01.85 is what anonymisation writes."""
    content = bytearray(own_file(root, person).read_bytes())
    content[88:168], content[168:184] = b"Startdate X X X X".ljust(80), date.encode()
    own_file(root, person).write_bytes(bytes(content))


NOBODY_KNOWS = "01.01.8500.00.00"


@pytest.mark.parametrize("of_person", [False, True])
@pytest.mark.parametrize(
    ("cell", "hour", "micro"),
    [
        ("2024-03-01T10:00:12", 10, 0),
        ("2024-03-01T10:00:12.250000", 10, 250_000),
        ("2024-03-01T10:00:12Z", 10, 0),
        ("2024-03-01T10:00:12+02:00", 8, 0),
        ("1921-03-01T10:00:12", 10, 0),
    ],
)
def test_a_start_time_is_taken_from_scans_where_the_header_has_none(
    study: Path, cell: str, hour: int, micro: int, *, of_person: bool
) -> None:
    set_header_date(study, NOBODY_KNOWS)
    write_scans(study, cell, of_person=of_person)
    found = start_of(study)
    assert found is not None
    assert (found.hour, found.minute, found.second, found.microsecond) == (hour, 0, 12, micro)
    assert scans_table(own_file(study)) in files_of(own_file(study))


@pytest.mark.parametrize("cell", ["n/a", "", "2024-03-01", "1985-01-01T00:00:00"])
def test_a_start_time_that_scans_do_not_tell_is_none(study: Path, cell: str) -> None:
    set_header_date(study, NOBODY_KNOWS)
    write_scans(study, cell)
    assert not is_told(start_of(study))


@pytest.mark.parametrize("filename", ["", ".", "/", "..", "n/a"])
def test_a_row_of_scans_that_names_nothing_is_passed_over(study: Path, filename: str) -> None:
    set_header_date(study, NOBODY_KNOWS)
    write_scans(study, "2024-03-01T10:00:12.345")
    path = scans_table(own_file(study))
    assert path is not None
    path.write_text(f"{path.read_text()}{filename}\t2024-03-01T09:00:00\n")
    assert start_of(study) == datetime.datetime(2024, 3, 1, 10, 0, 12, 345_000, tzinfo=datetime.UTC)


def test_two_people_are_aligned_by_scans(study: Path) -> None:
    for person, cell in ((1, "2024-03-01T10:00:00.250"), (2, "2024-03-01T10:00:05.750")):
        set_header_date(study, NOBODY_KNOWS, person)
        write_scans(study, cell, person)
    files = [own_file(study, person).relative_to(study).as_posix() for person in (1, 2)]
    with pytest.warns(DataQualityWarning, match="by their start times"):
        pair = align_pair(load_session(make.session(study, *files, clock="timestamps")))
    assert pair.clock.offset_s == pytest.approx(5.5)
    assert any("start time taken from its scans.tsv" in line for line in pair.history)
    with pytest.warns(DataQualityWarning, match="client began 5.500 s after the therapist"):
        align_pair(load_session(make.session(study, *files)))


@pytest.mark.parametrize("cell", ["2024-13-01T10:00:00", "10 o'clock", "yesterday"])
def test_a_start_time_that_cannot_be_is_reported(study: Path, cell: str) -> None:
    set_header_date(study, NOBODY_KNOWS)
    write_scans(study, cell)
    with pytest.warns(DataQualityWarning, match="acq_time") as heard:
        start_of(study)
    make.check_message(heard[0].message, study, "line 2", "Write one as")


def test_a_start_time_that_disagrees_with_the_header_is_reported(study: Path) -> None:
    set_header_date(study, "01.03.2410.00.12")
    write_scans(study, "2024-03-01T11:00:12")
    with pytest.warns(DataQualityWarning, match="begin 3600.0 s after the time in its header") as heard:
        held = start_of(study)
    assert held is not None
    assert held.hour == 10
    make.check_message(heard[0].message, study, "time zone")
    # shifted dates of anonymisation are no contradiction, and a second is rounding
    for near in ("1920-03-01T11:00:12", "2024-03-01T10:00:13"):
        write_scans(study, near)
        assert start_of(study) == held


def test_events_stay_where_they_are_when_a_start_time_is_taken(study: Path) -> None:
    make.write_edf(own_file(study), 1, names=NAMES, annotations=[(3.0, "talk"), (9.0, "rest")])
    set_header_date(study, NOBODY_KNOWS)
    write_scans(study, "2024-03-01T10:00:12")
    data = read_person(own_file(study), None, modality="eeg", name="t.edf").data
    np.testing.assert_allclose(own_annotations(data).onset, [3.0, 9.0])
