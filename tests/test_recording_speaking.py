"""Who speaks: windows of the time in which one, the other, both or nobody does."""

from __future__ import annotations

import json
from pathlib import Path

import mne
import numpy as np
import pytest

import recording_fixtures as make
from hyperscan.config import StudyConfig
from hyperscan.errors import ReadError
from hyperscan.recording import PairedRecording, align_pair, load_session, preprocess_pair
from hyperscan.schema import SPEAKING, SPEAKS, SPOKEN
from hyperscan.synchrony import compute_synchrony

SFREQ, SECONDS, RATE, START = 64.0, 80, 10, 2.0
CONFIG = StudyConfig(metrics=["plv"], bands={"alpha": (8, 12)}, eeg_filter_hz=(1, 25), window_s=4.0)

#: When each of the two speaks, in s of the masks.
TALK = {"therapist": [(0, 20), (40, 60)], "client": [(15, 35), (60, 70)]}

#: What these make: overlap is of nobody alone, and what the masks do not cover (0-2, 80 on) is no silence.
EXPECTED = {
    "therapist": [(2, 17), (42, 62)],
    "client": [(22, 37), (62, 72)],
    "both": [(17, 22)],
    "nobody": [(37, 42), (72, 80)],
}


def masks() -> np.ndarray:
    rows = np.zeros((2, (SECONDS - 2) * RATE), int)
    for row, spans in zip(rows, TALK.values(), strict=True):
        for a, b in spans:
            row[a * RATE : b * RATE] = 1
    return rows


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Two recordings that share their rhythm while nobody speaks, and masks of who does."""
    n = int(SECONDS * SFREQ)
    silent = np.zeros(n, bool)
    for a, b in EXPECTED["nobody"]:
        silent[int(a * SFREQ) : int(b * SFREQ)] = True
    shared = np.tile(make.noise(0, 1, n), (2, 1))
    for seed, name in enumerate("tc", start=1):
        data = np.where(silent, shared + 0.1 * make.noise(seed, 2, n), make.noise(seed + 5, 2, n))
        info = mne.create_info(["Pz", "O1"], SFREQ, "eeg")
        raw = mne.io.RawArray(data, info, verbose="ERROR")
        raw.save(tmp_path / f"{name}-raw.fif", fmt="double", verbose="ERROR")
    write_masks(tmp_path, masks())
    return tmp_path


def write_masks(root: Path, rows: np.ndarray) -> None:
    np.savetxt(root / "speech.tsv", rows.T, fmt="%g", delimiter="\t")
    (root / "speech.json").write_text(json.dumps({"SamplingFrequency": RATE, "StartTime": START}))


def load(root: Path, who: str, **changes: object) -> PairedRecording:
    given = {"shared_file": root / "speech.tsv", "clock": "same_amplifier", **changes}
    return load_session(make.session(root, "t-raw.fif", "c-raw.fif", segment_event=SPEAKS + who, **given))


@pytest.mark.parametrize("who", SPEAKING)
def test_masks_tell_the_parts_and_are_not_taken_out_of_the_signals(study: Path, who: str) -> None:
    pair = load(study, who)
    assert [(part.onset_s, part.onset_s + part.duration_s) for part in pair.segments] == EXPECTED[who]
    assert pair.shared is None
    assert pair.history[-1] == f"{len(EXPECTED[who])} spans of the event '{SPEAKS}{who}' were analysed"
    part = load(study, "therapist", start_s=10.0, stop_s=50.0).segments
    assert [(one.onset_s, one.duration_s) for one in part] == [(10, 7), (42, 8)]


def test_annotations_of_each_speaker_tell_the_same(study: Path) -> None:
    raw = mne.io.read_raw_fif(study / "t-raw.fif", preload=True, verbose="ERROR")
    rows = [(a + START, b - a, SPOKEN[role]) for role, spans in TALK.items() for a, b in spans]
    raw.set_annotations(mne.Annotations(*zip(*rows, strict=True)))
    raw.save(study / "t-raw.fif", fmt="double", overwrite=True, verbose="ERROR")
    for who in ("therapist", "client", "both"):
        pair = load(study, who, shared_file=None)
        assert [(part.onset_s, part.onset_s + part.duration_s) for part in pair.segments] == EXPECTED[who]
    # without masks nothing says where they end, so silence lasts to the end of the recording
    quiet = load(study, "nobody", shared_file=None).segments
    assert [(part.onset_s, part.duration_s) for part in quiet] == [(0, 2), (37, 5), (72, 8)]


def test_synchrony_of_silence_alone_is_found_there_and_only_there(study: Path) -> None:
    found = {}
    for who in ("therapist", "client", "nobody"):
        pair = preprocess_pair(align_pair(load(study, who)), CONFIG)
        found[who] = float(compute_synchrony(pair, config=CONFIG, null=None).get_data("plv", "alpha").mean())
    assert found["nobody"] > 0.8
    assert max(found["therapist"], found["client"]) < 0.5


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (masks()[:1], "it holds 1 signals from 0 to 1"),
        (masks() * 0.5, "it holds 2 signals from 0 to 0.5"),
        (np.vstack([masks()[0], 1 - masks()[0]]), "there is no such time"),
    ],
)
def test_what_is_no_mask_of_two_people_is_refused(study: Path, rows: np.ndarray, said: str) -> None:
    write_masks(study, rows)
    with pytest.raises(ReadError, match=said):
        load(study, "nobody")


def test_without_masks_both_have_to_be_annotated(study: Path) -> None:
    with pytest.raises(ReadError, match="nothing is annotated 'therapist_speaks'"):
        load(study, "nobody", shared_file=None)
