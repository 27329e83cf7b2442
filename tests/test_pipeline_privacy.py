"""No name leaves the study: canaries in headers, annotations, channels and file names; inert payloads."""

from __future__ import annotations

import json
import re
import shutil
import socket
import stat
import struct
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import mne
import numpy as np
import pandas as pd
import pytest
from scipy.io import wavfile

import recording_fixtures as make
from hyperscan.config import StudyConfig
from hyperscan.errors import DataQualityWarning
from hyperscan.pipeline import check_study, load_study, run_study
from hyperscan.pipeline.lock import LOCK_NAME, TEMPORARY, sweep_temporary
from hyperscan.pipeline.prepare import prepare_unit
from hyperscan.pipeline.privacy import _of_table, public_channel, public_command, public_reason, revealed, scrub
from hyperscan.pipeline.unit import UnitInputs, units_of
from hyperscan.recording import align_pair, load_session, preprocess_pair
from hyperscan.simulate import simulate_study
from hyperscan.study import read_table
from pipeline_fixtures import SERVER, run, tiny_study, tree

CANARIES = tuple(
    f"Canary{name}Bird"
    for name in ("First", "Last", "His", "Exp", "Desc", "Proj", "Note", "Chan", "Eog", "File", "Side", "Site")
)
FIRST, LAST, HIS, EXP, DESC, PROJ, NOTE, CHAN, EOG, FILE, SIDE, SITE = CANARIES
PAYLOADS = ("<script>alert(1)</script>", "x');alert(7);('", "=HYPERLINK(1)", 'a" onx="b')


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a study whose first therapist's file holds a name in every place there is."""
    root = tiny_study(tmp_path_factory.mktemp("canary") / "study")
    path = next(root.glob("dyad-01/ses-01/therapist*"))
    raw = mne.io.read_raw(path, preload=True, verbose="error")
    raw.rename_channels({raw.ch_names[0]: CHAN, raw.ch_names[1]: PAYLOADS[1][:15]})
    extra = mne.create_info([EOG], raw.info["sfreq"], "eog")
    noise = 1e-5 * np.random.default_rng(0).standard_normal((1, raw.n_times))
    raw.add_channels(
        [mne.io.RawArray(noise, extra, first_samp=raw.first_samp, verbose="error")], force_update_info=True
    )
    with raw.info._unlock():
        raw.info["subject_info"] = {"his_id": HIS, "first_name": FIRST, "last_name": LAST}
        raw.info["experimenter"], raw.info["description"], raw.info["proj_name"] = EXP, DESC, PROJ
        raw.info["device_info"] = {"site": SITE, "type": "x", "model": "x", "serial": "x"}
    texts = [NOTE, PAYLOADS[0], PAYLOADS[2]]
    onset = raw.first_time if raw.info["meas_date"] else 0.0
    raw.set_annotations(mne.Annotations([onset + 1.0, onset + 2, onset + 3], 0.1, texts, raw.info["meas_date"]))
    named = path.with_name(f"{FILE}_raw.fif")
    raw.save(named, verbose="error")
    path.unlink()
    named.with_suffix(".json").write_text(f'{{"PatientName": "{SIDE}", "Empty": ""}}')
    table = (root / "dyads.tsv").read_text()
    (root / "dyads.tsv").write_text(table.replace(str(path.relative_to(root)), str(named.relative_to(root)), 1))
    shutil.copytree(root, root.parent / "broken")
    broken = next((root.parent / "broken").glob(f"dyad-01/ses-01/{FILE}_raw.fif"))
    broken.write_bytes(broken.read_bytes()[:5000])
    return root


def texts_of(out: Path) -> dict[str, bytes]:
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}


def test_no_canary_leaves(study: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    result = run(study, out, report=True)
    assert result.skipped == []
    leaks = [(name, word) for name, data in texts_of(out).items() for word in CANARIES if word.encode() in data]
    assert leaks == []
    said = "".join(capfd.readouterr())
    assert [word for word in CANARIES if word in said] == []
    for name, data in texts_of(out).items():
        assert b"alert(" not in data, name
        assert b"HYPERLINK" not in data, name
        assert str(study).encode() not in data, name
        assert not re.search(rb"(19|20)\d\d-[01]\d-[0-3]\d", data) or name.startswith("logs/"), name


def test_no_canary_leaves_with_a_reason(study: Path, tmp_path: Path) -> None:
    broken, out = study.parent / "broken", tmp_path / "out"
    result = run(broken, out, report=True)
    assert [(entry.dyad, entry.session) for entry in result.skipped] == [("D01", 1)]
    reason = result.skipped[0].reason
    assert "[therapist_file]" in reason
    table, _ = load_study(broken)
    row = next(row for row in table.sessions if row.key[:2] == ("D01", 1))
    assert f"dyad-01/ses-01/{FILE}_raw.fif" in revealed(reason, row)
    leaks = [(name, word) for name, data in texts_of(out).items() for word in CANARIES if word.encode() in data]
    assert leaks == []


def test_nothing_of_a_shared_signal_leaves(my_study: Path, tmp_path: Path) -> None:
    """Names of files and folders, tags of a sound, keys of its sidecar, a table's head, an absent channel."""
    name, noise = f"{FILE}Shared", np.random.default_rng(0).normal(size=30_000)
    (my_study / name).mkdir()
    sound = my_study / name / f"{name}.wav"
    wavfile.write(sound, 500, (3000 * noise).astype(np.int16))
    tag = b"INFOIART" + struct.pack("<I", 20) + FIRST.encode().ljust(20, b"\0")
    content = sound.read_bytes() + b"LIST" + struct.pack("<I", len(tag)) + tag
    sound.write_bytes(content[:4] + struct.pack("<I", len(content) - 8) + content[8:])
    (my_study / f"{name}cut.wav").write_bytes(content[:-500])
    (my_study / f"{name}.csv").write_text(f"{LAST}\n" + "".join(f"{value:.5f}\n" for value in noise[:6000]))
    sidecar = json.dumps({"StartTime": -1, "SamplingFrequency": 100, "PatientName": SIDE})
    for file in (sound, my_study / f"{name}cut.wav", my_study / f"{name}.csv"):
        file.with_suffix(".json").write_text(sidecar.replace("100", "500") if file.suffix == ".wav" else sidecar)
    table = pd.read_csv(my_study / "dyads.tsv", sep="\t", dtype=str)
    shared = [f"{name}/{name}.wav", f"{name}.csv", f"aux:{CHAN} Mic", f"{name}cut.wav"]
    table.assign(shared_file=shared).to_csv(my_study / "dyads.tsv", sep="\t", index=False)
    out = tmp_path / "out"
    reasons = [entry.reason for entry in run(my_study, out).skipped]
    assert len(reasons) == 2
    assert "channel '…'" in reasons[0]
    assert reasons[1].startswith("[shared_file]: is cut off")
    assert "eeg_noshared" in (out / "synchrony.tsv").read_text()
    assert [file for file, data in texts_of(out).items() if b"Canary" in data] == []
    leaks = [leak for leak in check_study(my_study, privacy=True).leaks if name in leak]
    for told in ("sound: a voice", "parts LIST beside the sound", "that may be personal: PatientName", "no ids of"):
        assert any(told in leak for leak in leaks), told
    assert not any("StartTime" in leak or FIRST in leak or LAST in leak for leak in leaks)


def test_rejected_cells_stay_out_of_the_record(study: Path, tmp_path: Path) -> None:
    mine = Path(shutil.copytree(study, tmp_path / "study"))
    table = mine / "dyads.tsv"
    head, first, *rest = table.read_text().splitlines()
    cells = first.split("\t")
    cells[head.split("\t").index("client")] = "Canary Client/../Bird"
    table.write_text("\n".join([head, "\t".join(cells), *rest]) + "\n")
    run(mine, tmp_path / "out")
    assert [name for name, data in texts_of(tmp_path / "out").items() if b"Canary" in data] == []


def test_check_names_what_is_filled_and_where(study: Path) -> None:
    leaks = "\n".join(check_study(study, privacy=True).leaks)
    for expected in (
        "header field subject_info is filled (first_name, his_id, last_name)",
        "header field experimenter is filled",
        "header field description is filled",
        "header field device_info is filled",
        "annotation texts are no codes",
        "channel names are no codes (channels 1, ",
        "1 word that is no id of the table",
        "keys that may be personal: PatientName",
    ):
        assert expected in leaks
    shown = leaks.replace(f"{FILE}_raw", "")  # files are named; what they hold is not
    assert [word for word in (*CANARIES, "alert") if word in shown] == []
    clean = [line for line in leaks.splitlines() if line.startswith("dyad-02")]
    assert clean == []


def test_a_clean_study_leaks_nothing(tmp_path: Path) -> None:
    for modality in ("eeg", "fnirs"):
        study = simulate_study(tmp_path / modality, "none", modality=modality, n_dyads=1, n_sessions=1)
        found = [leak for leak in check_study(study, privacy=True).leaks if "metaDataTags" not in leak]
        assert [leak for leak in found if "meas_date" not in leak] == []


@pytest.mark.parametrize(
    ("name", "code"), [("Fz", True), ("FPz", True), ("E128", True), ("AF7h", True), ("S1_D2", True), ("Jane", False)]
)
def test_channel_codes(name: str, code: bool) -> None:
    assert (public_channel(name) == name) is code
    assert public_channel(name, [name]) == name
    assert re.fullmatch(r"[\w+ -]{1,32}", public_channel(name))


@pytest.mark.parametrize("payload", PAYLOADS)
def test_odd_channel_names_become_inert(payload: str) -> None:
    assert re.fullmatch(r"ch-[0-9a-f]{12}", public_channel(payload))


def test_reasons_are_scrub_of_paths_and_quotes(study: Path) -> None:
    assert public_reason("x = 'Jane': no (a b/Jane.edf) /home/Jane/x.edf \"Jane\"") == "x = '…': no '…' '…' '…'"
    # a decimal number in brackets names nobody, a file does
    assert public_reason("no channel is left (2 of 2: under 0.75)") == "no channel is left (2 of 2: under 0.75)"
    assert public_reason("none (0.5 of Jane.edf)") == "none '…'"
    row = load_study(study)[0].sessions[0]
    text = f"{row.relative(row.therapist_file)}: broken; see {row.therapist_file.stem}.vmrk and Jane EOG"
    assert scrub(text, row, {"Jane EOG": "ch-1"}) == "[therapist_file]: broken; see [therapist_file] and ch-1"


def test_names_of_events_stay_out_of_the_record(tmp_path: Path) -> None:
    for seed, name in enumerate("tc"):
        make.write_snirf(tmp_path / f"{name}.snirf", seed, seconds=200.0, heart=0.1, stimuli=(30.0, 80.0, 130.0))
        with h5py.File(tmp_path / f"{name}.snirf", "a") as file:
            del file["nirs/stim1/name"]
            file["nirs/stim1/name"] = "JaneDoe's turn"
    row = make.session(tmp_path, "t.snirf", "c.snirf", "fnirs", clock="same_amplifier")
    with pytest.warns(DataQualityWarning, match="no short channels"):
        pair = preprocess_pair(align_pair(load_session(row)))
    assert any("'JaneDoe’s turn' (3)" in note for note in pair.history)
    (unit,) = units_of([row])
    prepare_unit(UnitInputs.of(unit, StudyConfig(), {}), folder=tmp_path / "prepared")
    written = (tmp_path / "prepared" / "unit.json").read_text(encoding="utf-8")
    assert "regressed out (canonical and its time derivative): '…' (3)" in written
    assert make.CANARY not in written


def test_a_private_folder_is_closed_also_what_was_there_and_what_others_write(tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(tiny, out)
    assert stat.S_IMODE((out / "synchrony.tsv").stat().st_mode) & 0o044
    (tmp_path / "outside").write_text("of others")
    (tmp_path / "outside").chmod(0o644)
    (out / "link").symlink_to(tmp_path / "outside")
    run(tiny, out, private=True, seed=3)  # the mask of this process stays open, as that of a cluster's worker is
    modes = {path: stat.S_IMODE(path.lstat().st_mode) for path in (out, *out.rglob("*")) if not path.is_symlink()}
    assert {mode & 0o077 for mode in modes.values()} == {0}
    assert stat.S_IMODE((tmp_path / "outside").stat().st_mode) == 0o644


def test_what_a_check_prepares_is_closed_too(tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert check_study(tiny, prepare=out, private=True).prepared
    kept = [out, *out.rglob("*")]
    assert [path for path in kept if path.suffix == ".npz"]
    assert {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in kept} == {0}


@pytest.mark.parametrize(
    "words",
    [["--output=CanaryDoe"], ["--out=CanaryDoe"], ["-oCanaryDoe"], ["-o", "CanaryDoe"], ["--config=CanaryDoe.toml"],
     ["CanaryDoe"], ["--dyad-label", "CanaryDoe"], ["./CanaryDoe"]],
)  # fmt: skip
def test_no_name_of_a_command_is_in_the_log(words: list[str]) -> None:
    assert "Canary" not in public_command(["/home/CanaryDoe/bin/hyperscan", "run", *words, "--jobs", "2"])
    assert public_command(["hyperscan", "run", *words, "--jobs", "2"]).endswith("--jobs 2")


def _run(tiny: Path) -> None:
    table, config = load_study(tiny)
    run_study(table.sessions, config)


def _run_memory(tiny: Path) -> None:
    rows = [row for row in load_study(tiny)[0].sessions if row.modality == "eeg"]
    pairs = {(row.dyad, row.session): load_session(row) for row in rows}
    run_study({key: (pair.therapist, pair.client) for key, pair in pairs.items()})


def _check(tiny: Path) -> None:
    check_study(tiny, prepare=True)


def kept_by(folder: str, work: Callable[[Path], None], tiny: Path) -> None:
    tempfile.tempdir = folder
    work(tiny)


@pytest.mark.parametrize("work", [_run, _run_memory, _check])
def test_what_is_killed_without_an_output_leaves_nothing_for_ever(
    tiny: Path, tmp_path: Path, work: Callable[[Path], None]
) -> None:
    process = SERVER.Process(target=kept_by, args=(str(tmp_path), work, tiny))
    process.start()
    until = time.monotonic() + 60
    while not list(tmp_path.rglob("work/dyad-*")) and time.monotonic() < until:
        time.sleep(0.01)
    live = sorted(tmp_path.iterdir())
    assert live
    sweep_temporary(tmp_path)
    assert sorted(tmp_path.iterdir()) == live, "it is at work"
    process.kill()
    process.join(60)
    assert sorted(tmp_path.iterdir()) == live
    sweep_temporary(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["hyperscan-pilot/out", "hyperscan-a1b2c3d4/out", f"{TEMPORARY}a1b2c3d4/other"])
def test_results_of_a_user_in_the_temporary_folder_stay(tmp_path: Path, name: str) -> None:
    """A killed run with an output folder of its own, wherever that is, leaves its lock, too."""
    mine = tmp_path / name
    mine.mkdir(parents=True)
    (mine / LOCK_NAME).write_text(json.dumps({"host": socket.gethostname(), "pid": 4_194_305}))
    (mine / "report.html").write_text("x")
    (mine.parent / "thesis.txt").write_text("x")
    before = tree(tmp_path)
    sweep_temporary(tmp_path)
    assert tree(tmp_path) == before


def test_a_temporary_folder_with_something_of_a_user_in_it_stays(tmp_path: Path) -> None:
    out = tmp_path / f"{TEMPORARY}a1b2c3d4" / "out"
    out.mkdir(parents=True)
    (out / LOCK_NAME).write_text(json.dumps({"host": socket.gethostname(), "pid": 4_194_305}))
    (out.parent / "thesis.txt").write_text("x")
    sweep_temporary(tmp_path)
    assert (out.parent / "thesis.txt").exists()
    (out.parent / "thesis.txt").unlink()
    sweep_temporary(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_check_looks_at_the_table_itself(my_study: Path) -> None:
    path = my_study / "dyads.tsv"
    header, *rows = path.read_text().splitlines()
    further = ["born\tcalled\tdate\tscore", *[f"17.4.1983\tJane Doe\t2026-01-0{i + 1}\t5" for i in range(len(rows))]]
    lines = [f"{line}\t{more}" for line, more in zip([header, *rows], further, strict=True)]
    path.write_text("\n".join(lines).replace("C01", "Jane") + "\n")
    leaks = [leak for leak in check_study(my_study, privacy=True).leaks if leak.startswith("dyads.tsv")]
    assert len(leaks) == 4
    for words in ("column born holds dates", "column called holds names", "column date", "1 label in column client"):
        assert any(words in leak for leak in leaks), words
    assert not any("Jane" in leak or "1983" in leak for leak in leaks)


@pytest.mark.parametrize(
    ("column", "labels", "told"),
    [
        ("dyad", ["19830417", "19901231"], "labels in column dyad may be numbers of 7 or more digits"),
        ("dyad", ["D170483", "D231190"], "labels in column dyad may be numbers that are all dates"),
        ("client", ["JaneDoe", "C02"], "1 label in column client may be names"),
        ("run", ["20260331", "20260401"], "labels in column run may be numbers of 7 or more digits"),
        ("task", ["jane", "rest"], ""),
        ("therapist", ["T01", "T02"], ""),
        ("dyad", ["AB", "CD"], ""),
    ],
)
def test_check_looks_at_labels(my_study: Path, column: str, labels: list[str], told: str) -> None:
    table = pd.read_csv(my_study / "dyads.tsv", sep="\t", dtype=str)
    codes = table["dyad"].map(dict(zip(sorted(table["dyad"].unique()), labels, strict=True)))
    table.assign(**{column: codes}).to_csv(my_study / "dyads.tsv", sep="\t", index=False)
    found = [leak for leak in _of_table(read_table(my_study)) if "column" in leak]
    assert len(found) == bool(told)
    assert all(told in leak and not any(label in leak for label in labels) for leak in found)


def test_a_task_of_its_own_for_every_dyad_may_be_a_name(tmp_path: Path) -> None:
    study = tiny_study(tmp_path / "study", n_dyads=3, n_sessions=1, duration_s=1)
    table = pd.read_csv(study / "dyads.tsv", sep="\t", dtype=str)
    table.assign(task=["Anna", "Bert", "Cleo"]).to_csv(study / "dyads.tsv", sep="\t", index=False)
    (found,) = _of_table(read_table(study))
    assert found.startswith("labels in column task may be a word of its own for every dyad, as names are (line 2)")
