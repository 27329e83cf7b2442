"""Every reader against MNE's own on real files: samples, names, types, places, rate and events are the same."""

from __future__ import annotations

import importlib
import warnings
from pathlib import Path

import h5py
import mne
import numpy as np
import pytest

from hyperscan.recording.read import read_file, read_person
from hyperscan.study.formats import FORMATS, recognise

READERS = Path(__file__).parents[2] / "shared" / "data" / "readers"
#: MNE's reader by the name of the format.
BY_MNE = {
    "EDF": mne.io.read_raw_edf,
    "BDF": mne.io.read_raw_bdf,
    "BrainVision": mne.io.read_raw_brainvision,
    "EEGLAB": mne.io.read_raw_eeglab,
    "SNIRF": mne.io.read_raw_snirf,
    "NIRx": mne.io.read_raw_nirx,
    "Hitachi": mne.io.read_raw_hitachi,
    "BOXY": mne.io.read_raw_boxy,
    "ANT CNT": mne.io.read_raw_ant,
}
NO_TRIGGERS = {"BodyMovement", "RemovalMark", "PreScan"}
#: Parts of recordings, tables beside them, and what neither reads.
NOT_ALONE = (".eeg", ".vmrk", ".fdt", ".json", ".tsv")
REFUSED = ("minimum_example.snirf",)


def recordings() -> list[str]:
    """List the recordings in the folder: files that are no parts, and folders with a NIRx header."""
    if not READERS.is_dir():
        return []
    found = [path for path in READERS.rglob("*") if path.is_file() and path.suffix not in NOT_ALONE]
    found = [path.parent if any(path.parent.glob("*.wl1")) else path for path in found]
    return sorted({str(path.relative_to(READERS)) for path in found if path.name not in REFUSED})


def _start(path: Path) -> float:
    with h5py.File(path, "r") as file:
        return float(file["nirs/data1/time"][0])


@pytest.mark.parametrize("file", recordings())
def test_a_reader_gives_what_mne_gives(file: str) -> None:
    path = READERS / file
    form = recognise(path, path.name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours = read_file(path, form, path.name)
        # what is saturated in one channel is no value of that one
        options = {"saturated": "nan"} if form.name == "NIRx" else {}
        theirs = BY_MNE[form.name](path, verbose="ERROR", **options)
        # what Hitachi marks as no good is no trigger
        theirs.drop_channels([each for each in theirs.ch_names if each in NO_TRIGGERS])
        # the whole way, too
        kinds = set(theirs.get_channel_types())
        modality = "eeg" if "eeg" in kinds else "fnirs"
        person = read_person(path, None, modality=modality, name=path.name)
    data = ours.data
    assert data.ch_names == theirs.ch_names
    assert data.get_channel_types() == theirs.get_channel_types()
    assert data.info["sfreq"] == pytest.approx(theirs.info["sfreq"], rel=1e-9)
    np.testing.assert_allclose(data.get_data(), theirs.get_data(), rtol=1e-12)
    places = [np.array([each["loc"][:9] for each in raw.info["chs"]]) for raw in (data, theirs)]
    np.testing.assert_allclose(*places, atol=1e-12)
    began, by_mne = data.info["meas_date"], theirs.info["meas_date"]
    # of Hitachi MNE takes the minute, and the rows tell the second
    assert began == by_mne or (form.name == "Hitachi" and 0 <= (began - by_mne).total_seconds() < 60)
    times = [np.sort(raw.annotations.onset - raw.first_time) for raw in (data, theirs)]
    # SNIRF's stimuli are on the file's own time, whose beginning MNE leaves out
    np.testing.assert_allclose(times[0], times[1] - (_start(path) if form.name == "SNIRF" else 0.0), atol=1e-7)
    assert set(person.data.ch_names) <= set(theirs.ch_names)
    shared = [each for each in person.data.ch_names if each in theirs.ch_names]
    if person.data.n_times == theirs.n_times:
        np.testing.assert_allclose(person.data.get_data(picks=shared), theirs.get_data(picks=shared), rtol=1e-12)


@pytest.mark.skipif(not READERS.is_dir(), reason="the real files are no part of the project")
def test_the_real_files_are_of_many_formats() -> None:
    assert {recognise(READERS / file, file).name for file in recordings()} == set(BY_MNE)


def test_every_format_says_what_it_reads_and_refuses() -> None:
    for form in FORMATS:
        assert form.reads, form.name
        assert form.refuses, form.name


def test_the_documentation_has_the_table_of_formats(monkeypatch: pytest.MonkeyPatch) -> None:
    docs = Path(__file__).parents[1] / "docs"
    monkeypatch.syspath_prepend(str(docs))
    shown = importlib.import_module("hooks").TABLES["formats"]()
    assert "<!-- table: formats -->" in (docs / "layouts.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1].strip() for line in shown.splitlines()[2:]]
    assert rows == [form.name for form in FORMATS]
