"""Bad input of signals: marks, names, references and exchanged people; clean studies pass in silence."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import mne
import numpy as np
import pytest

import format_fixtures as rare
import recording_fixtures as make
from hyperscan.config import StudyConfig
from hyperscan.errors import (
    DataQualityWarning,
    QualityError,
)
from hyperscan.metrics import get_metric
from hyperscan.recording import align_pair, load_session, preprocess_pair
from hyperscan.schema import SessionKey
from hyperscan.study import find_swaps, read_table
from hyperscan.transforms import analytic_signal
from prepare_fixtures import clean_pair, fnirs_pair, pair_of

TESTS = Path(__file__).parent


def test_marks_that_cover_everything(tmp_path: Path) -> None:
    for seed, name in enumerate(("t-raw.fif", "c-raw.fif")):
        raw = make.eeg_raw(seed, seconds=90.0)
        if seed:
            raw.set_annotations(mne.Annotations(0.0, 85.0, "BAD_all"))
        raw.save(tmp_path / name, verbose="ERROR")
    pair = align_pair(make.load(tmp_path, "t-raw.fif", "c-raw.fif", clock="same_amplifier"))
    with pytest.raises(QualityError) as caught:
        preprocess_pair(pair)
    make.check_message(str(caught.value), tmp_path, "D1 ses-01", "client", "s clean", "min_windows = 3")


def test_hbo_only_runs_with_a_note(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("t", "c"):
        data = np.cumsum(rng.standard_normal((2400, 3)), axis=0) * 0.01
        np.savetxt(tmp_path / f"{name}.csv", data, delimiter=",")
        facts = {"SamplingFrequency": 8, "ChannelNames": [f"S{k}_D{k} hbo" for k in (1, 2, 3)], "Unit": "uM"}
        (tmp_path / f"{name}_sidecar.json").write_text(json.dumps(facts))
    pair = align_pair(make.load(tmp_path, "t.csv", "c.csv", "fnirs", clock="same_amplifier"))
    with pytest.warns(DataQualityWarning) as heard:
        prepared = preprocess_pair(pair)
    assert all("D1 ses-01 fnirs" in str(item.message) for item in heard)
    assert set(prepared.client.get_channel_types()) == {"hbo"}
    assert any("HbO only" in note or "hbo only" in note for note in prepared.history)


def test_a_channel_without_length_is_left_out() -> None:
    pair, _ = fnirs_pair(3)
    for ch in pair.client.info["chs"][:2]:
        ch["loc"][6:9] = ch["loc"][3:6]
    with pytest.warns(DataQualityWarning, match="client: 2 channels without a source-detector distance left out"):
        prepared = preprocess_pair(pair)
    assert prepared.quality.dropped["client"] == {"S1_D1": "no source-detector distance"}
    assert not [name for name in prepared.client.ch_names if name.startswith("S1_")]
    assert "S1_D1 hbo" in prepared.therapist.ch_names


def test_names_twice_in_a_file(good: Path) -> None:
    make.write_edf(good / "t.edf", 1, names=("Fz", "Fz", "T3", "FP1"))
    with pytest.warns(DataQualityWarning) as heard:
        pair = make.load(good, "t.edf", "c-raw.fif", clock="same_amplifier")
    make.check_message(str(heard[0].message), good, "t.edf", "channel names stood there twice")
    prepared = preprocess_pair(align_pair(pair), StudyConfig(window_s=5.0))
    assert prepared.therapist.ch_names == ["Fz", "T7", "Fp1"]
    assert any("T3 -> T7" in note for note in prepared.history)
    assert "same position" in " ".join(prepared.quality.dropped["therapist"].values())


def test_average_reference_lacks_a_rank() -> None:
    pair = preprocess_pair(clean_pair(0, 60.0), StudyConfig(window_s=5.0))
    assert any("rank 31" in note for note in pair.history)
    a, b = (raw.get_data()[:, :5000] for raw in (pair.therapist, pair.client))
    assert np.linalg.matrix_rank(a) == len(a) - 1
    value, z = get_metric("plv").evaluate(*(analytic_signal(x, 250.0, (8.0, 12.0)) for x in (a, b)))
    assert np.isfinite(value).all()
    assert np.isfinite(z).all()


def _facts(rng: np.random.Generator, peak: float, width: float) -> dict[str, object]:
    return {
        "peak_hz_alpha": peak + 0.15 * rng.standard_normal(),
        "peak_width_alpha": width + 0.1 * rng.standard_normal(),
        "amplitude": 1e-5 * np.exp(0.2 * rng.standard_normal()),
        "highfreq": np.nan,
        "grade": "good",
    }


@pytest.mark.parametrize("seed", range(10))
def test_an_exchanged_session_is_found_by_its_fingerprint(seed: int) -> None:
    rng = np.random.default_rng(seed)
    people = {}
    for dyad in range(8):
        peaks = rng.permutation([9.0, 10.5]) + 0.2 * rng.standard_normal(2)
        for number in range(1, 6):
            pair = [_facts(rng, peaks[0], 2.0), _facts(rng, peaks[1], 1.5)]
            people[SessionKey(f"D{dyad}", number, "eeg", "", "")] = dict(
                zip(("therapist", "client"), pair, strict=True)
            )
    assert find_swaps(people) == []
    key = SessionKey("D3", 4, "eeg", "", "")
    people[key] = {"therapist": people[key]["client"], "client": people[key]["therapist"]}
    (finding,) = find_swaps(people)
    assert finding.keys == (key,)
    make.check_message(str(finding), TESTS, "D3 ses-04", "nothing was exchanged", "Check the two files")
    alike = {k: {"therapist": _facts(rng, 10.0, 2.0), "client": _facts(rng, 10.0, 2.0)} for k in people}
    assert find_swaps(alike) == []


def test_an_exchanged_session_is_found_in_recordings() -> None:
    people = {}
    for number in range(1, 5):
        a, b = (clean_pair(10 * number + k, 60.0, centre=centre) for k, centre in enumerate((9.0, 11.0)))
        raws = (a.therapist, b.client) if number != 3 else (b.client, a.therapist)
        quality = preprocess_pair(pair_of(*raws)).quality
        people[SessionKey("D1", number, "eeg", "", "")] = {"therapist": quality.therapist, "client": quality.client}
    assert [finding.keys[0].session for finding in find_swaps(people)] == [3]


def _write_fif(path: Path, seed: int) -> Path:
    return make.write_fif(path.with_name(path.name + "-raw.fif"), seed, seconds=70.0)


def _write_edf(path: Path, seed: int) -> Path:
    return make.write_edf(path.with_name(path.name + ".edf"), seed, seconds=70.0)


def _write_bdf(path: Path, seed: int) -> Path:
    return make.write_edf(path.with_name(path.name + ".bdf"), seed, seconds=70.0)


def _write_vhdr(path: Path, seed: int) -> Path:
    return make.write_brainvision(path.with_name(path.name + ".vhdr"), seed, seconds=70.0)


def _write_set(path: Path, seed: int) -> Path:
    return make.write_set(path.with_name(path.name + ".set"), seed, seconds=70.0)


def _single_edf(root: Path, seed: int) -> dict[str, str]:
    names = [f"{person}_{name}" for person in "TC" for name in make.CHANNELS]
    make.write_edf(root / f"both{seed}.edf", seed, seconds=70.0, names=names)
    return {"therapist_channels": "prefix:T_", "client_channels": "prefix:C_", "file": f"both{seed}.edf"}


def _single_xdf(root: Path, seed: int) -> dict[str, str]:
    stamps = 100.0 + np.arange(7000) / 100.0
    make.write_xdf(root / f"both{seed}.xdf", [make.xdf_person(seed + k, n, stamps) for k, n in enumerate("AB")])
    return {"therapist_channels": "stream:A", "client_channels": "stream:B", "file": f"both{seed}.xdf"}


def _single_snirf(root: Path, seed: int) -> dict[str, str]:
    make.write_snirf(root / f"both{seed}.snirf", seed, groups=("nirs1", "nirs2"), seconds=150.0)
    return {"therapist_channels": "/nirs1", "client_channels": "/nirs2", "file": f"both{seed}.snirf"}


def _write_gdf(path: Path, seed: int) -> Path:
    return rare.write_gdf(path.with_name(path.name + ".gdf"), seed, n_times=7000)


def _write_cnt(path: Path, seed: int) -> Path:
    return rare.write_cnt(path.with_name(path.name + ".cnt"), seed, n_times=7000)


def _write_table(path: Path, seed: int) -> Path:
    facts = {"SamplingFrequency": 100, "ChannelNames": list(make.CHANNELS), "Unit": "uV"}
    path.with_name(path.name + "_sidecar.json").write_text(json.dumps(facts))
    file = path.with_name(path.name + ".csv")
    np.savetxt(file, 1e6 * make.noise(seed, 4, 7000).T, delimiter=",")
    return file


TWO_FILES = (_write_fif, _write_edf, _write_bdf, _write_vhdr, _write_set, _write_gdf, _write_cnt, _write_table)


ONE_FILE = (_single_edf, _single_xdf, _single_snirf)


@pytest.mark.parametrize("number", range(20))
def test_clean_studies_pass_in_silence(tmp_path: Path, number: int) -> None:
    rows = []
    for session in (1, 2):
        seed = 1000 * number + 10 * session
        if number % 2:
            made = ONE_FILE[number // 2 % 3](tmp_path, seed)
            file = made.pop("file")
            row = make.row_of(1, session, file, file, clock="same_amplifier", **made)
            rows.append(row | {"modality": "fnirs"} if file.endswith(".snirf") else row)
        else:
            writers = [TWO_FILES[(number // 2 + 3 * k) % len(TWO_FILES)] for k in range(2)]
            names = [writer(tmp_path / f"s{session}{k}", seed + k).name for k, writer in enumerate(writers)]
            rows.append(make.row_of(1, session, *names, clock="same_amplifier", days=str(7 * session - 7)))
    make.write_rows(tmp_path, rows)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = read_table(tmp_path)
        assert not table.rejected
        for row in table.sessions:
            aligned = align_pair(load_session(row))
            if row.modality == "eeg":
                assert preprocess_pair(aligned).quality.client["grade"] == "good"
            assert aligned.clock.residual_ms < 1.0
