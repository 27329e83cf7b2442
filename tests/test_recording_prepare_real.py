"""Every real recording that can be read goes through its chain: read, aligned, cleaned, judged."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path

import mne
import numpy as np
import pytest

from conftest import SHARED
from hyperscan.config import StudyConfig
from hyperscan.errors import QualityError, ReadError
from hyperscan.recording import PairedRecording, align_pair, load_session, preprocess_pair
from hyperscan.recording.files.pairs import compare_people
from hyperscan.recording.read import read_person
from hyperscan.study import Session
from prepare_fixtures import backwards
from recording_fixtures import check_message

DATA = SHARED / "data"
EEG, FNIRS = ("eeg",), ("fnirs",)
SIGNAL = {".edf", ".bdf", ".vhdr", ".set", ".fif", ".snirf", ".mat", ".xdf", ".csv", ".txt", ".nirs"}
#: No recordings, files that other tests take through their chain, and recordings that are pairs (below).
ELSEWHERE = ("tables", "nonneural", "eeg_study_growth", "eeg_backgrounds", "fnirs_dyads_bnu", "fnirs_two_person")

#: What cannot be read, or holds no usable recording, and what the message must say.
REFUSED = {
    "fnirs_burns_nirx142_raw/DYAD130_1_rest": "NIRStar 14.2",
    "readers/boxy/boxy_0_40_notriggers_unparsed.txt": "names no wavelength",
    "readers/snirf/minimum_example.snirf": "lacks dataTimeSeries",
    "readers/snirf/hb.snirf": "A unit is wrong",
    "xdf/derived_two_person.xdf": "2 streams fit",
    "xdf/empty_streams.xdf": "holds no EEG",
    "xdf/minimal.xdf": "cuts into alpha",
}
#: Phantoms and unworn probes: nothing couples to a scalp, so the chain passes only without that floor.
UNWORN = {"readers/nirx_15_2_short", "readers/snirf/2021-05-05_001.snirf", "readers/snirf/Simple_Probe.snirf"}


def _recordings() -> Iterator[str]:
    """Recordings below the folder, NIRx folders included."""
    for path in sorted(DATA.rglob("*")):
        name = path.relative_to(DATA).as_posix()
        nirx = path.is_dir() and any(path.glob("*.hdr"))
        if name.startswith(ELSEWHERE) or not (nirx or path.suffix in SIGNAL):
            continue
        if nirx or path.suffix == ".nirs" or not any(path.parent.glob("*.hdr")):
            yield name


def _modality(name: str) -> str:
    light = ("fnirs", "readers/nirx", "readers/snirf", "readers/hitachi", "readers/boxy")
    return "fnirs" if name.startswith(light) else "eeg"


def _config(seconds: float, **changes: object) -> StudyConfig:
    window_s = max(0.8, min(20.0, np.floor(seconds / 4)))
    bands = {"alpha": (8.0, 12.0), "slow": (0.02, 0.10)}
    return StudyConfig(**{"window_s": window_s, "bands": bands, "min_windows": 1, "min_seconds": 20, **changes})


def _session(modality: str, *paths: Path, root: Path = DATA, **changes: object) -> Session:
    return Session("D1", "T1", "C1", 1, modality, *paths, root, **changes)


def _with_a_partner(name: str) -> tuple[PairedRecording, float]:
    """One person's file beside its own mirror image in time; a short one goes back and forth."""
    modality = _modality(name)
    path = DATA / name
    person = read_person(path, None, modality=modality, name=name)
    raw = person.data
    if not isinstance(raw, mne.io.BaseRaw):
        pytest.skip("epochs are paired in test_recording_quality")
    session = _session(modality, path, path.with_name("mirror"), clock="assumed")
    data = raw.get_data()
    compare_people(_pair(session, raw.info, data, data[:, ::-1].copy()), person, person)
    if raw.times[-1] < 20:
        data = np.tile(np.concatenate([data, data[:, ::-1]], axis=-1), int(np.ceil(10 / raw.times[-1])))
    # half a file later, or what goes back and forth would meet itself
    mirrored = np.roll(data[:, ::-1], raw.n_times // 2, axis=-1)
    return _pair(session, raw.info, data, mirrored), data.shape[-1] / raw.info["sfreq"]


def _pair(session: Session, info: mne.Info, *people: np.ndarray) -> PairedRecording:
    return PairedRecording(*(mne.io.RawArray(data, info, verbose="error") for data in people), session)


def _prepared_by_default(name: str) -> PairedRecording:
    pair, seconds = _with_a_partner(name)
    return preprocess_pair(align_pair(pair), _config(seconds))


def _check(pair: PairedRecording, config: StudyConfig, kept: float) -> PairedRecording:
    """Take a loaded pair through its chain, and see that the numbers are numbers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        prepared = preprocess_pair(align_pair(pair), config, enforce=False)
    assert prepared.quality is not None
    for role in ("therapist", "client"):
        raw, values = prepared.raw(role), prepared.quality.of(role)
        data = raw.get_data()
        assert np.isfinite(data).all()
        assert (data.std(-1) > 0).all()
        assert values["channels_kept"] >= kept * values["channels_total"], prepared.quality.dropped[role]
        if values["grade"] == "reject":
            assert not values["n_windows"]
            assert "clean windows" in values["reason"]
            continue
        level = values["amplitude"] if pair.session.modality == "eeg" else values["band_sd"]
        low, high = (1e-8, 1e-3) if pair.session.modality == "eeg" else (1e-10, 1e-4)
        assert low < level < high
        assert not set(prepared.quality.dropped[role]) & set(raw.ch_names)
    assert prepared.therapist.n_times == prepared.client.n_times
    assert prepared.therapist.info["sfreq"] == prepared.client.info["sfreq"]
    return prepared


@pytest.mark.parametrize("name", list(_recordings()) or ["none"])
def test_every_readable_recording_passes(shared: Path, name: str) -> None:
    if name == "none":
        pytest.skip("the folder ../shared holds no recordings")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if name in REFUSED:
            with pytest.raises((ReadError, QualityError), match=REFUSED[name]):
                _prepared_by_default(name)
            return
        pair, seconds = _with_a_partner(name)
        if name in UNWORN:
            with pytest.raises(QualityError, match="no usable fNIRS channel is left"):
                _prepared_by_default(name)
    unworn = {"fnirs_min_sci": -0.0} if name in UNWORN or _modality(name) == "fnirs" else {}
    # real caps lose a channel or two, not half of them: with the floor of scalp coupling lifted, all others hold
    _check(pair, _config(seconds, **unworn), kept=0.1 if unworn else 0.75)


TWO_PEOPLE = {
    "fnirs_two_person_snirf/nirs1_nirs2.snirf": ("/nirs1", "/nirs2"),
    "fnirs_two_person_snirf/nirs_nirs2.snirf": ("/nirs", "/nirs2"),
    "fnirs_two_person_snirf/two_subjects_one_file.snirf": ("sources:1-8", "sources:9-16"),
    "fnirs_two_person_snirf/hb_two_subjects.snirf": ("sources:1-8", "sources:9-16"),
    "xdf/derived_two_person.xdf": ("stream:EEG_A", "stream:EEG_B"),
}
#: Both groups hold one synthetic recording.
ONE_RECORDING_TWICE = tuple(name for name, (rule, _) in TWO_PEOPLE.items() if rule.startswith("/"))


@pytest.mark.parametrize("name", TWO_PEOPLE)
def test_two_people_in_one_file_pass(shared: Path, name: str) -> None:
    therapist, client = TWO_PEOPLE[name]
    path = shared / "data" / name
    modality = "eeg" if name.startswith("xdf") else "fnirs"
    row = _session(modality, path, path, root=shared / "data", therapist_channels=therapist, client_channels=client)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loaded = load_session(row)
        if name in ONE_RECORDING_TWICE:
            with pytest.raises(QualityError) as caught:
                preprocess_pair(align_pair(loaded), _config(60.0))
            check_message(caught.value, shared / "data", name, "40 channels hold the same samples", "Correct")
            loaded = loaded.replace(client=backwards(loaded.client))
    prepared = _check(loaded, _config(60.0, window_s=5.0), kept=0.99)
    if modality == "fnirs":
        assert 0.3 < prepared.quality.therapist["short_r2"] < 1


@pytest.mark.parametrize("dyad", ["control-01", "control-02", "control-03", "treat-01", "treat-02"])
@pytest.mark.parametrize("task", ["rest", "talk"])
def test_haemoglobin_tables_pass(shared: Path, tmp_path: Path, dyad: str, task: str) -> None:
    files = []
    for person in "FM":
        name = f"{person}_{task}"
        files.append(Path(shutil.copy(shared / "data/fnirs_dyads_bnu_mat" / dyad / f"{name}.mat", tmp_path)))
        names = [f"S{k}_D{k} hbo" for k in range(1, 5)]
        sidecar = {"SamplingFrequency": 8.333, "ChannelNames": names, "Unit": "mM"}
        (tmp_path / f"{name}_sidecar.json").write_text(json.dumps(sidecar), encoding="utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loaded = load_session(_session("fnirs", *files, root=tmp_path))
    prepared = _check(loaded, _config(120.0, min_seconds=100), kept=1.0)
    assert any(line.startswith("haemoglobin as recorded") for line in prepared.history)
    assert any("HbO only" in line for line in prepared.history)
    assert np.isnan(prepared.quality.therapist["sci"])
