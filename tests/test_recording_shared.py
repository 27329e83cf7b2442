"""The shared signal: read, put on the common time, taken out of both people; refused where it cannot be used."""

from __future__ import annotations

import json
import resource
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import mne
import numpy as np
import pytest
from scipy.io import wavfile

import recording_fixtures as make
from hyperscan.config import StudyConfig
from hyperscan.errors import ClockError, DataQualityWarning, QualityError, ReadError
from hyperscan.pipeline.privacy import leaks_of, revealed, scrub
from hyperscan.pipeline.unit import input_hashes
from hyperscan.recording import PairedRecording, align_pair, load_session, preprocess_pair
from hyperscan.recording.cleaning.shared import MAX_SHARE, Lags, explained
from hyperscan.recording.files.shared import MAX_SIGNALS, read_shared_file
from hyperscan.recording.records import SharedSignal
from hyperscan.schema import NO_SHARED, ROLES, SIGNALS, Cell
from hyperscan.study import Session, read_table
from hyperscan.synchrony import chance_values, recipe_of, roi_table, signals_of

CONFIG = StudyConfig(metrics={"eeg": ["plv"]}, bands={"alpha": (8, 12)}, eeg_filter_hz=(1, 25), window_s=10.0)
SFREQ, SECONDS = 64.0, 60.0
N = int(SFREQ * SECONDS)


def written(path: Path, values: np.ndarray, **sidecar: object) -> Path:
    """Write a signal in the format of the file's ending, with its sidecar."""
    if path.suffix == ".wav":
        wavfile.write(path, 1000, values)
    else:
        np.savetxt(path, values, delimiter="\t" if path.suffix == ".tsv" else ",")
    path.with_suffix(".json").write_text(json.dumps(sidecar))
    return path


def row_with(root: Path, shared: Path | str | None, **changes: object) -> Session:
    return make.session(root, "t-raw.fif", "c-raw.fif", clock="same_amplifier", shared_file=shared, **changes)


def write_two(root: Path, therapist: np.ndarray, client: np.ndarray, aside: np.ndarray | None = None) -> None:
    """Write two people of two channels, the therapist's with a further one where it is given."""
    for seed, (name, data) in enumerate((("t", therapist), ("c", client))):
        rows, names = (1e-5 * (data + make.noise(seed, 2, N, 0.5)), ["Pz", "O1"])
        if name == "t" and aside is not None:
            rows, names = np.vstack([rows, aside[None]]), [*names, "Erg1"]
        raw = mne.io.RawArray(rows, mne.create_info(names, SFREQ, "eeg"), verbose="ERROR")
        raw.save(root / f"{name}-raw.fif", fmt="double", overwrite=True, verbose="ERROR")


# ---- files


def test_a_table_is_read_as_it_is(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(50, 2))
    path = written(tmp_path / "mask.tsv", values, SamplingFrequency=10, StartTime=-2.5)
    found = read_shared_file(path, row_with(tmp_path, path))
    np.testing.assert_allclose(found.raw.get_data(), values.T)
    assert (found.sfreq, found.start_s, found.role) == (10.0, -2.5, "therapist")


def test_of_sound_only_the_envelope_is_kept(tmp_path: Path) -> None:
    loud = np.repeat([0.1, 0.8], 500)
    tone = np.sin(2 * np.pi * 125 * np.arange(1000) / 1000) * loud
    sound = (32000 * np.stack([tone, tone[::-1]], axis=1)).astype(np.int16)
    path = written(tmp_path / "room.wav", sound, StartTime=1.0)
    found = read_shared_file(path, row_with(tmp_path, path))
    assert (found.sfreq, found.raw.get_data().shape, found.start_s) == (500.0, (2, 500), 1.0 + 0.5 / 1000)
    quiet, noisy = found.raw.get_data()[0, :250].mean(), found.raw.get_data()[0, 250:].mean()
    assert noisy / quiet == pytest.approx(8, rel=0.01)


NOISE = np.random.default_rng(1).normal(size=400)
GAP = np.where(np.arange(400) == 250, np.nan, NOISE)
SOUND = (1000 * NOISE).astype(np.int16)
OF_TABLE = {"SamplingFrequency": 100, "StartTime": 0}

BAD_FILES: dict[str, tuple[str, np.ndarray, dict[str, object], str]] = {
    "no start": ("x.csv", NOISE, {"SamplingFrequency": 100}, "StartTime"),
    "no rate": ("x.csv", NOISE, {"StartTime": 0}, "SamplingFrequency"),
    "rate of 0": ("x.csv", NOISE, {"StartTime": 0, "SamplingFrequency": 0}, "SamplingFrequency"),
    "another rate": ("x.wav", SOUND, {"StartTime": 0, "SamplingFrequency": 1001}, "1001"),
    "a gap": ("x.csv", GAP, OF_TABLE, "2.50 s"),
    "constant": ("x.csv", np.ones(400), OF_TABLE, "never changes"),
    "silent": ("x.wav", np.zeros(4000, np.int16), {"StartTime": 0}, "never changes"),
    "one value": ("x.csv", NOISE[:1], OF_TABLE, "fewer than two"),
    "many": ("x.csv", np.ones((3, MAX_SIGNALS + 1)), OF_TABLE, f"{MAX_SIGNALS + 1} signals"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_file_that_cannot_be_used_is_refused(tmp_path: Path, case: str) -> None:
    name, values, sidecar, word = BAD_FILES[case]
    path = written(tmp_path / name, values, **sidecar)
    with pytest.raises(ReadError) as caught:
        read_shared_file(path, row_with(tmp_path, path))
    make.check_message(caught.value, tmp_path, name, word)


#: Tables that no program writes, or that were written with decimal commas, and a word of what is said.
ODD_TABLES = {
    "decimal commas": ("".join(f"{x:.4f}\n" for x in NOISE).replace(".", ","), "decimal points"),
    "groups of digits": ("1.5\n1_000\n", "row 2"),
    "digits of another script": ("1.5\n１２\n", "row 2"),
    "a gap of lines": ("1.5\n\n2.5\n", "row 2"),
    "names alone": ("motion\n", "no numbers"),
    "nothing": ("", "no numbers"),
}


@pytest.mark.parametrize("case", ODD_TABLES)
def test_an_odd_table_is_refused(tmp_path: Path, case: str) -> None:
    path = written(tmp_path / "x.csv", NOISE, **OF_TABLE)
    path.write_text(ODD_TABLES[case][0], encoding="utf-8")
    with pytest.raises(ReadError) as caught:
        read_shared_file(path, row_with(tmp_path, path))
    make.check_message(caught.value, tmp_path, "x.csv", ODD_TABLES[case][1])


@pytest.mark.parametrize(
    "line", ["{:.17g}\n", "{:.4e}\n", " {:+.3f}\n", "{:.5f}\r\n", "{:.5f}\t{:.5f}\n", "{:.3f};{:.3f}\n"]
)
def test_numbers_as_programs_write_them_are_read(tmp_path: Path, line: str) -> None:
    scale = 1e-4 if "g" in line or "e" in line else 1.0  # numbers with exponents
    path = written(tmp_path / "x.csv", NOISE, **OF_TABLE)
    text = "\n\na\tb\n".replace("\t", "\t" if "\t" in line else ";" if ";" in line else "")
    text += "".join(line.format(scale * x, x) for x in NOISE) + "\n"
    with path.open("w", newline="") as stream:
        stream.write(text.replace(".", ",") if ";" in line else text)
    found = read_shared_file(path, row_with(tmp_path, path)).raw.get_data()
    np.testing.assert_allclose(found[0], scale * NOISE, atol=1e-3 * scale)
    assert found.shape == (line.count("{"), NOISE.size)


def test_a_table_whose_last_line_does_not_end_may_be_cut_off(tmp_path: Path) -> None:
    path = written(tmp_path / "x.csv", NOISE, **OF_TABLE)
    path.write_bytes(path.read_bytes()[:-6])
    with pytest.warns(DataQualityWarning, match=r"x\.csv: its last line does not end .* cut off"):
        read_shared_file(path, row_with(tmp_path, path))


def test_a_long_table_takes_little_more_memory_than_its_numbers(tmp_path: Path) -> None:
    path = written(tmp_path / "x.csv", NOISE, **OF_TABLE)
    path.write_text("1\n2\n" * 1_000_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    read_shared_file(path, row_with(tmp_path, path))
    assert 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) < 8 * 8 * 2_000_000


def _no_sidecar(path: Path) -> None:
    path.with_suffix(".json").unlink()


def _broken_sidecar(path: Path) -> None:
    path.with_suffix(".json").write_text("{")


def _cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-300])


def _no_sound(path: Path) -> None:
    path.write_bytes(b"RIFF" + bytes(100))


@pytest.mark.parametrize("damage", [_no_sidecar, _broken_sidecar, _cut_off, _no_sound])
def test_a_damaged_file_is_refused(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    path = written(tmp_path / "x.wav", SOUND, StartTime=0)
    damage(path)
    with pytest.raises(ReadError) as caught:
        read_shared_file(path, row_with(tmp_path, path))
    make.check_message(caught.value, tmp_path, "x.wav")


# ---- on the common time


@pytest.mark.parametrize("how", ["file", "aux", "early"])
def test_it_lies_where_it_was_recorded(tmp_path: Path, how: str) -> None:
    """The therapist's own channel as the truth: as a file, as a channel, and as a file that begins before."""
    rng = np.random.default_rng(2)
    signal = mne.filter.filter_data(rng.normal(size=N + 128), SFREQ, 1, 20, verbose="ERROR")
    write_two(tmp_path, np.vstack([signal[128:]] * 2), rng.normal(size=(2, N)), signal[128:])
    start, values = (-2.0, signal) if how == "early" else (0.0, signal[128:])
    file = written(tmp_path / "x.csv", values, SamplingFrequency=SFREQ, StartTime=start)
    row = row_with(tmp_path, "aux:Erg1" if how == "aux" else file, start_s=5.0, stop_s=50.0)
    pair = align_pair(replace_clock(load_session(row)))
    assert pair.shared is not None
    assert pair.therapist.ch_names == (["Pz", "O1"] if how == "aux" else ["Pz", "O1", "Erg1"])
    ours, theirs = pair.shared.raw.get_data()[0], pair.therapist.get_data(picks=["Pz"])[0]
    assert len(ours) == pair.therapist.n_times
    assert np.corrcoef(ours, theirs)[0, 1] > 0.85
    assert np.argmax(np.correlate(ours, theirs, "full")) == len(ours) - 1


def replace_clock(pair: PairedRecording) -> PairedRecording:
    """Let the client's recording start 3 s later, so that the common time begins in the middle."""
    offsets = {"clock": "offset", "therapist_offset_s": 0.0, "client_offset_s": 3.0}
    return pair.replace(session=replace(pair.session, **offsets))


def test_a_channel_that_is_not_there_and_epochs_are_refused(tmp_path: Path) -> None:
    write_two(tmp_path, make.noise(3, 2, N, 1), make.noise(4, 2, N, 1))
    with pytest.raises(ReadError) as caught:
        load_session(row_with(tmp_path, "aux:Erg1"))
    make.check_message(caught.value, tmp_path, "shared_file", "'Erg1'")
    for name in "tc":
        raw = mne.io.read_raw_fif(tmp_path / f"{name}-raw.fif", verbose="ERROR")
        epochs = mne.make_fixed_length_epochs(raw, 2.0, preload=True, verbose="ERROR")
        epochs.save(tmp_path / f"{name}-epo.fif", overwrite=True, verbose="ERROR")
    path = written(tmp_path / "x.csv", NOISE, **OF_TABLE)
    files = {f"{role}_file": tmp_path / f"{role[0]}-epo.fif" for role in ROLES}
    with pytest.raises(ReadError) as caught:
        load_session(replace(row_with(tmp_path, path), **files))
    make.check_message(caught.value, tmp_path, "shared_file", "epochs")


BAD_TIMES: dict[str, tuple[float, float, np.ndarray, type[Exception], str]] = {
    "elsewhere": (100.0, 500.0, np.ones(N), ClockError, "no time"),
    "too short": (SFREQ, 0.0, np.ones(N - 400), QualityError, "no values"),
    "too slow": (10.0, 0.0, np.ones(10 * 60), QualityError, "10 values per s"),
    "still": (SFREQ, 0.0, np.r_[np.zeros(N), np.ones(N)], QualityError, "does not change"),
}


@pytest.mark.parametrize("case", BAD_TIMES)
def test_a_signal_that_does_not_serve_the_session_is_refused(tmp_path: Path, case: str) -> None:
    rate, start, shape, kind, word = BAD_TIMES[case]
    values = shape * (1 if case == "still" else np.random.default_rng(0).normal(size=len(shape)))
    write_two(tmp_path, make.noise(3, 2, N, 1), make.noise(4, 2, N, 1))
    path = written(tmp_path / "x.csv", values, SamplingFrequency=rate, StartTime=start)
    with pytest.raises(kind) as caught:
        preprocess_pair(align_pair(load_session(row_with(tmp_path, path))), CONFIG)
    make.check_message(caught.value, tmp_path, "shared_file", word)


# ---- taken out


def test_what_follows_at_any_lag_is_found_exactly() -> None:
    """Against the design matrix written out, with two signals and samples that do not count."""
    rng = np.random.default_rng(5)
    shared, usable, lags = rng.normal(size=(2, 400)), rng.random(400) < 0.8, Lags(1, 3)
    design = np.zeros((14, 400))
    for place, (row, lag) in enumerate((row, lag) for row in shared for lag in lags.samples):
        moved = np.roll(row, lag)
        moved[: max(lag, 0)] = 0
        moved[400 + min(lag, 0) :] = 0
        design[place] = moved
    data = rng.normal(size=(3, 14)) @ design + rng.normal(size=(3, 400))
    data[:, ~usable] += 1e3
    weights = np.linalg.lstsq(design[:, usable].T, data[:, usable].T, rcond=None)[0]
    np.testing.assert_allclose(explained(data, shared, usable, lags), (design.T @ weights).T, atol=1e-9)


def dyad(seed: int, drive: float, coupling: float, seconds: float = SECONDS) -> PairedRecording:
    """Two people whom one signal drives after 150 and 250 ms, and who have something in common of their own."""
    rng, n = np.random.default_rng(seed), int(SFREQ * seconds)
    signal, common = rng.normal(size=(2, n))
    raws = []
    for delay in (10, 16):
        x = rng.normal(size=(2, n)) + drive * np.roll(signal, delay) + coupling * common
        raws.append(mne.io.RawArray(1e-5 * x, mne.create_info(["Pz", "O1"], SFREQ, "eeg"), verbose="ERROR"))
    here = Path("study")
    row = Session(f"D{seed}", f"T{seed}", f"C{seed}", 1, "eeg", here, here, here, clock="same_amplifier")
    alone = mne.io.RawArray(signal[None], mne.create_info(["shared 1"], SFREQ, "misc"), verbose="ERROR")
    return preprocess_pair(align_pair(PairedRecording(*raws, row, shared=SharedSignal(alone, SFREQ))), CONFIG)


def excesses(drive: float, coupling: float) -> dict[str, np.ndarray]:
    """Excess of four dyads over all of their pseudo pairs, by signal."""
    people = [[signals_of(dyad(seed, drive, coupling), role, CONFIG) for role in ROLES] for seed in range(4)]
    recipe = recipe_of(CONFIG, "eeg")
    sides = [{str(number): pair[side] for number, pair in enumerate(people)} for side in (0, 1)]
    names = list(sides[0])
    apart = chance_values(*sides, [(a, b) for a in names for b in names if a != b], recipe)
    found = {}
    for signal in SIGNALS["eeg"]:
        cell = Cell(signal, "plv", "alpha")
        chance = np.mean([values.table[cell][0] for values in apart.values()])
        found[signal] = np.array([roi_table(*pair, recipe)[cell][0] for pair in people]) - chance
    return found


def test_one_signal_leaves_nothing_and_coupling_beside_it_is_found() -> None:
    driven, both, neither = excesses(2.0, 0.0), excesses(2.0, 1.0), excesses(0.0, 0.0)
    whole, beyond = SIGNALS["eeg"]
    assert beyond == NO_SHARED["eeg"]
    assert driven[whole].min() > 0.2
    assert abs(driven[beyond].mean()) < 0.02
    assert both[beyond].min() > 0.3
    # what was driven and what was not are alike once the signal is taken out
    np.testing.assert_allclose(driven[beyond], neither[beyond], atol=0.01)


def test_the_share_that_follows_is_told_and_is_nothing_by_chance() -> None:
    driven, alone = dyad(0, 1.0, 0.0), dyad(0, 0.0, 0.0)
    assert driven.quality is not None
    assert alone.quality is not None
    assert driven.quality.client["shared_r2"] == pytest.approx(0.5, abs=0.06)
    # four standard deviations of r² at 480 degrees of freedom and 16 that the lags take
    assert alone.quality.client["shared_r2"] == pytest.approx(0, abs=0.05)
    assert "follows the shared signal within 1 s" in driven.history[-1]


def test_too_short_a_session_keeps_its_whole_signal_and_says_so() -> None:
    with pytest.warns(DataQualityWarning, match=f"more than {MAX_SHARE:.0%}.*max_lag_s"):
        pair = dyad(0, 1.0, 0.0, seconds=30.0)
    assert not pair.unshared
    assert set(signals_of(pair, "client", CONFIG).data) == {"eeg"}


# ---- in a study


def test_the_file_and_its_sidecar_enter_the_digest_and_no_output(tmp_path: Path) -> None:
    write_two(tmp_path, make.noise(3, 2, N, 1), make.noise(4, 2, N, 1))
    path = written(tmp_path / "jane.wav", SOUND, StartTime=0)
    make.write_rows(tmp_path, [make.row_of(1, 1, "t-raw.fif", "c-raw.fif", shared_file="jane.wav")])
    table = read_table(tmp_path)
    (row,) = table.sessions
    before = input_hashes([row])
    assert [name for name in before if "shared" in name] == [
        "dyad-D1/ses-01/eeg_shared.1.json",
        "dyad-D1/ses-01/eeg_shared.wav",
    ]
    for changed in (path, path.with_suffix(".json")):
        changed.write_bytes(changed.read_bytes() + b"\n")
        assert input_hashes([row]) != before
        before = input_hashes([row])
    hidden = scrub("jane.wav: needs jane.json", row, {})
    assert "jane" not in hidden
    assert revealed("[shared_file]: silent", row) == "jane.wav: silent"
    assert any("jane.wav" in leak and "voice" in leak for leak in leaks_of(table))


@pytest.mark.parametrize(
    ("cell", "word"), [("aux:", "names no channel"), ("t-raw.fif", ".wav"), ("gone.wav", "not there")]
)
def test_a_cell_that_names_nothing_usable_is_told(tmp_path: Path, cell: str, word: str) -> None:
    write_two(tmp_path, make.noise(3, 2, N, 1), make.noise(4, 2, N, 1))
    make.write_rows(tmp_path, [make.row_of(1, 1, "t-raw.fif", "c-raw.fif", shared_file=cell)])
    (rejected,) = read_table(tmp_path).rejected
    assert word in rejected.reason
    assert "shared_file" in rejected.reason


@pytest.mark.parametrize("one_file", [False, True])
def test_the_shared_channel_is_the_therapists_where_both_have_one(tmp_path: Path, one_file: bool) -> None:
    names = ["Pz", "O1", "Fz", "Cz", "Speech"]
    for seed, name in enumerate(("t", "c")):
        raw = mne.io.RawArray(make.noise(seed, 5, N), mne.create_info(names, SFREQ, "eeg"), verbose="ERROR")
        raw.save(tmp_path / f"{name}-raw.fif", verbose="ERROR")
    changes = {"therapist_channels": "1-2", "client_channels": "3-5"} if one_file else {}
    files = ("t-raw.fif", "t-raw.fif" if one_file else "c-raw.fif")
    row = make.session(tmp_path, *files, shared_file="aux:Speech", clock="same_amplifier", **changes)
    pair = load_session(row)
    assert pair.therapist.ch_names == (names[:2] if one_file else names[:4])
    assert pair.client.ch_names == (names[2:4] if one_file else names[:4])
    assert pair.shared is not None
    np.testing.assert_allclose(pair.shared.raw.get_data()[0], make.noise(0, 5, N)[4], atol=1e-9)
