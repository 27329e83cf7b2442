"""Every layout, with recordings in it: drafted by ``init``, filled in, checked; and as the documentation has it."""

from __future__ import annotations

import csv
import dataclasses
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.io

import recording_fixtures as make
from hyperscan.cli import main
from hyperscan.recording import align_pair, load_session
from hyperscan.study import read_table
from hyperscan.words import size_text

TEXT = (Path(__file__).parents[1] / "docs" / "layouts.md").read_text(encoding="utf-8")
SECONDS = 130.0
PULSES = np.cumsum(np.random.default_rng(4).uniform(2.0, 9.0, 20)).round(2)


def write(path: Path, seed: int, names: Sequence[str] = make.CHANNELS) -> None:
    """Write a recording of the format that its name tells; one file of two people where the format holds them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = path.suffix
    if kind in (".edf", ".bdf"):
        make.write_edf(path, seed, seconds=SECONDS, names=names)
    elif kind == ".vhdr":
        markers = [("Stimulus", "S  1", round(100 * at) + 1) for at in PULSES]
        make.write_brainvision(path, seed, seconds=SECONDS, names=names, markers=markers)
    elif kind == ".xdf":
        stamps = 100.0 + np.arange(round(100 * SECONDS)) / 100.0
        make.write_xdf(path, [make.xdf_person(seed + k, f"EEG_{who}", stamps) for k, who in enumerate("AB")])
    elif kind == ".snirf":
        make.write_snirf(path, seed, groups=("nirs1", "nirs2"), seconds=150.0, heart=0.1)
    else:
        write_numbers(path, seed, names)


def write_numbers(path: Path, seed: int, names: Sequence[str]) -> None:
    blood = path.suffix == ".mat"
    held = [f"S{k}_D{k} {kind}" for k in (1, 2) for kind in ("hbo", "hbr")] if blood else list(names)
    facts = {"SamplingFrequency": 8 if blood else 100, "ChannelNames": held, "Unit": "uM" if blood else "uV"}
    path.with_name(f"{path.stem}_sidecar.json").write_text(json.dumps(facts), encoding="utf-8")
    if blood:
        steps = np.random.default_rng(seed).standard_normal((1200, len(held)))
        scipy.io.savemat(path, {"blood": 0.01 * np.cumsum(steps, axis=0)})
    else:
        np.savetxt(path, 1e6 * make.noise(seed, len(held), round(100 * SECONDS)).T, delimiter=",")


# ---- as the documentation has it


def documented() -> dict[str, list[dict[str, str]]]:
    """Read the tables of the documentation, by layout."""
    found = {}
    for section in re.split(r"^## ", TEXT, flags=re.MULTILINE):
        label = re.match(r"L[0-9]+", section)
        lines = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| ")]
        if label:
            found[label[0]] = [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]
    return found


DOCUMENTED = documented()


def channels_for(row: dict[str, str]) -> Sequence[str]:
    rule = row.get("client_channels", "")
    if rule.startswith("prefix:"):
        return [f"{who}_{name}" for who in "TC" for name in make.CHANNELS]
    if re.fullmatch(r"[0-9]+-[0-9]+", rule):
        return [f"E{k}" for k in range(1, int(rule.split("-")[1]) + 1)]
    return make.CHANNELS


def test_every_layout_is_documented() -> None:
    assert list(DOCUMENTED) == [f"L{k}" for k in range(1, 12)]
    assert all(DOCUMENTED.values())


@pytest.mark.parametrize("layout", DOCUMENTED)
def test_documented_tables_are_read_and_aligned(tmp_path: Path, layout: str) -> None:
    rows = DOCUMENTED[layout]
    files = {(row[f"{role}_file"]): row for row in rows for role in ("therapist", "client")}
    for seed, (file, row) in enumerate(files.items()):
        write(tmp_path / file, 10 * seed, channels_for(row))
    pd.DataFrame(rows).to_csv(tmp_path / "dyads.tsv", sep="\t", index=False)
    table = read_table(tmp_path)
    assert not table.rejected
    assert len(table.sessions) == len(rows)
    for session, row in zip(table.sessions, rows, strict=True):
        two_files = "clock" not in row and row["therapist_file"] != row["client_file"]
        asked = dataclasses.replace(session, clock="same_amplifier") if two_files else session
        pair = align_pair(load_session(asked))
        assert pair.clock.source == {"L8": "timestamps", "L11": "triggers"}.get(layout, "same_amplifier")
        assert len(pair.therapist.ch_names) == len(pair.client.ch_names)


# ---- from init to check

BOTH = [f"{who}_{name}" for who in "TC" for name in make.CHANNELS]


def bids_name(subject: str, session: str, ending: str) -> str:
    return f"sub-{subject}/ses-{session}/eeg/sub-{subject}_ses-{session}_{ending}"


#: Layout -> its files, with channel names where both people are in one file.
TREES: dict[str, Callable[[], dict[str, Sequence[str]]]] = {
    "L1": lambda: {bids_name(s, "dyadic1", "task-talk_eeg.edf"): make.CHANNELS for s in ("01", "02")},
    "L2": lambda: {
        bids_name(s, n, "task-talk_acq-dyad001_eeg.edf"): make.CHANNELS for s in ("T01", "C01") for n in ("1", "2")
    },
    "L3": lambda: {bids_name("dyad07", n, "task-talk_eeg.vhdr"): BOTH for n in ("1", "2")},
    "L4": lambda: {bids_name(s, "1", "task-talk_eeg.edf"): make.CHANNELS for s in ("01", "02", "03", "04")},
    "L5": lambda: {"W_030/EEG/W_030.edf": BOTH, "W_031/EEG/W_031.edf": BOTH},
    "L6": lambda: {f"talk/dyad_1/session_{n}/subject_{p}.csv": make.CHANNELS for n in ("1", "2") for p in ("1", "2")},
    "L7": lambda: {f"control-01/{p}_{t}.mat": () for p in "FM" for t in ("rest", "talk")},
    "L8": lambda: {f"dyad-01/ses-{n}/talk.xdf": () for n in ("1", "2")},
    "L9": lambda: {f"dyad-01/ses-{n}/talk.snirf": () for n in ("1", "2")},
    "L10": lambda: {
        f"dyad-01/ses-{n}/both.bdf": [f"{k}-{name}" for k in "12" for name in make.CHANNELS] for n in ("1", "2")
    },
    "L11": lambda: {
        f"dyad-01/ses-{n}/{who}.vhdr": make.CHANNELS for n in ("1", "2") for who in ("therapist", "client")
    },
}


def fill(root: Path) -> list[dict[str, str]]:
    """Answer what a draft asks, as a user would: who is who, of which modality."""
    path = root / "dyads.tsv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    for k, row in enumerate(rows):
        row["dyad"] = row["dyad"] if row["dyad"] not in ("", "n/a") else f"D{k + 1}"
        for role in ("therapist", "client"):
            row[role] = row[role] if row[role] not in ("", "n/a") else f"{role[0].upper()}{row['dyad']}"
        if row["modality"] in ("", "n/a"):
            row["modality"] = "fnirs" if row["therapist_file"].endswith((".mat", ".snirf")) else "eeg"
        if row["therapist_file"] != row["client_file"]:
            row["clock"] = "same_amplifier"
    pd.DataFrame(rows).to_csv(path, sep="\t", index=False)
    return rows


@pytest.mark.parametrize("layout", TREES)
def test_init_drafts_what_check_accepts(tmp_path: Path, layout: str, capsys: pytest.CaptureFixture[str]) -> None:
    for seed, (file, names) in enumerate(TREES[layout]().items()):
        write(tmp_path / file, 10 * seed, names or make.CHANNELS)
    if layout in ("L1", "L2", "L3", "L4"):
        description = {"Name": "x", "BIDSVersion": "1.9.0"}
        (tmp_path / "dataset_description.json").write_text(json.dumps(description), encoding="utf-8")
    if layout in ("L1", "L2"):
        people = {"L1": ("01", "02"), "L2": ("T01", "C01")}[layout]
        listed = f"participant_id\trole\nsub-{people[0]}\ttherapist\nsub-{people[1]}\tclient\n"
        (tmp_path / "participants.tsv").write_text(listed, encoding="utf-8")
    # a dyad that is alone needs no therapist's label from the user
    alone = layout in ("L3", "L11")
    assert main(["init", str(tmp_path)]) == (0 if alone or layout in ("L1", "L2") else 3)
    shown = capsys.readouterr()
    assert re.search(rf"\b{layout}\b|L5-L7, L11", shown.out)
    rows = fill(tmp_path)
    if layout in ("L8", "L9", "L10"):
        assert rows[0]["therapist_channels"] != rows[0]["client_channels"]
    (tmp_path / "study.toml").write_text("window_s = 10.0\nmin_windows = 3\n", encoding="utf-8")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    code = main(["check", "-q", str(tmp_path)])
    shown = capsys.readouterr()
    assert code == 0, shown.out + shown.err
    usable = size_text([(row["dyad"], row["session"]) for row in rows])
    assert f"{usable} would be analysed, 0 skipped" in shown.out
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
