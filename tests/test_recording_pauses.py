"""Time that was not recorded must not move what follows."""

from __future__ import annotations

import re
from pathlib import Path

import mne
import numpy as np
import pytest

import recording_fixtures as make
from clock_fixtures import device, own_times, pair_of, paused, placed, whole_partner
from hyperscan.errors import DataQualityWarning
from hyperscan.recording import PairedRecording, align_pair, load_session


def write_paused_vhdr(root: Path, lost: float, second: str) -> None:
    own = own_times(lost)
    make.write_brainvision(root / "c.vhdr", sfreq=250.0, names=("Pz", "Oz"), data=paused(("Pz", "Oz"), own))
    marks = (root / "c.vmrk").read_text(encoding="utf-8").split("Mk2=")[0]
    marks = marks.replace("20240301100000000000", "20240101100000000000")
    marks += f"Mk2=New Segment,,5001,1,0{second}\r\nMk3=Stimulus,S  1,5251,1,0\r\n"
    (root / "c.vmrk").write_text(marks, encoding="utf-8")


def write_paused_set(root: Path, lost: float, duration: float) -> None:
    events = [("boundary", 5000.5, duration), ("S 1", 5251.0, 1.0)]
    data = paused(("Pz", "Oz"), own_times(lost))
    make.write_set(root / "c.set", sfreq=250.0, names=("Pz", "Oz"), data=data, events=events)


def write_paused_edf(root: Path, lost: float, digits: int) -> None:
    data = paused(("Pz", "Oz"), own_times(lost))
    data = data[:, : data.shape[1] // 250 * 250]
    # a long text makes room for decimals in the times of the records
    marks = [(3.0, "quite a long text"), (25.0, "S 1")]
    make.write_edf(root / "c.edf", sfreq=250.0, names=("Pz", "Oz"), data=data, annotations=marks, record_s=1.0)
    content = (root / "c.edf").read_bytes().replace(b"EDF+C", b"EDF+D", 1)
    for k in reversed(range(20, 60)):
        old, new = f"+{k}\x14\x14".encode(), f"+{k + lost:.{digits}f}\x14\x14".encode()
        # an annotation may stand behind the time of the record
        pattern = re.escape(old) + rb"((?:\x00\+[^\x00]+)?)" + re.escape(bytes(len(new) - len(old)))
        content = re.sub(pattern, lambda found, new=new: new + found[1], content)
    (root / "c.edf").write_bytes(content)


@pytest.mark.parametrize("lost", [4.0, 7.5])
@pytest.mark.parametrize("kind", ["vhdr", "set", "edf"])
def test_a_pause_of_known_length_is_put_back(tmp_path: Path, kind: str, lost: float) -> None:
    whole_partner(tmp_path)
    if kind == "vhdr":
        stamp = f"202401011000{20 + lost:09.6f}".replace(".", "")
        write_paused_vhdr(tmp_path, lost, f",{stamp}")
    elif kind == "set":
        write_paused_set(tmp_path, lost, lost * 250)
    else:
        write_paused_edf(tmp_path, lost, 3)
    row = make.session(tmp_path, "t-raw.fif", f"c.{kind}", clock="offset", client_offset_s=0.0)
    loaded = load_session(row)
    assert any("marked as bad" in note for note in loaded.history), loaded.history
    pair = align_pair(loaded)
    assert pair.client.n_times == pytest.approx(15_000, abs=250)
    marks = pair.client.annotations
    (at,) = np.flatnonzero(marks.description == "BAD_gap")
    assert (marks.onset[at], marks.duration[at]) == (pytest.approx(20.0, abs=0.005), pytest.approx(lost, abs=0.005))
    (event,) = [onset for onset, name in zip(marks.onset, marks.description, strict=True) if "S" in name]
    # EDF+ tells when it was, the others at which sample
    assert event == pytest.approx(25.0 if kind == "edf" else 21.0 + lost, abs=0.005)
    assert placed(pair, 1.0, 19.0) < 0.1
    assert placed(pair, 21.0 + lost, 58.0) < 0.1
    assert not [name for name in marks.description if name in ("BAD_boundary", "BAD_unplaced")]


def test_a_pause_longer_than_the_rest_of_the_file_is_put_back(tmp_path: Path) -> None:
    whole_partner(tmp_path, 300.0)
    write_paused_set(tmp_path, 4.0, 200.0 * 250)
    row = make.session(tmp_path, "t-raw.fif", "c.set", clock="offset", client_offset_s=0.0)
    assert load_session(row).client.n_times == 14_000 + 50_000


def test_what_was_cut_at_the_beginning_is_put_back(tmp_path: Path) -> None:
    whole_partner(tmp_path)
    own = np.arange(1250, 15_000) / 250.0
    events = [("boundary", 0.5, 1250.0)]
    make.write_set(tmp_path / "c.set", sfreq=250.0, names=("Pz", "Oz"), data=paused(("Pz", "Oz"), own), events=events)
    pair = align_pair(load_session(make.session(tmp_path, "t-raw.fif", "c.set", clock="offset", client_offset_s=0.0)))
    assert pair.client.annotations.duration[0] == pytest.approx(5.0)
    assert placed(pair, 6.0, 58.0) < 0.1


@pytest.mark.parametrize("kind", ["vhdr", "set"])
def test_a_pause_of_unknown_length_is_never_guessed(tmp_path: Path, kind: str) -> None:
    whole_partner(tmp_path)
    if kind == "vhdr":
        write_paused_vhdr(tmp_path, 4.0, "")
    else:
        write_paused_set(tmp_path, 4.0, float("nan"))
    changes = {"clock": "offset", "client_offset_s": 0.0}
    with pytest.warns(DataQualityWarning, match="cannot be placed") as heard:
        pair = align_pair(load_session(make.session(tmp_path, "t-raw.fif", f"c.{kind}", **changes)))
    make.check_message(heard[0].message, tmp_path, f"c.{kind}", "paused at 20.0 s", "36.0 s that follow", "stop_s")
    marks = pair.client.annotations
    (at,) = np.flatnonzero(marks.description == "BAD_unplaced")
    assert marks.onset[at] == pytest.approx(20.0, abs=0.01)
    assert marks.onset[at] + marks.duration[at] == pytest.approx(pair.client.n_times / 250.0, abs=0.01)
    assert "BAD_boundary" in marks.description
    assert any("cannot be placed" in note for note in pair.history)
    # the part before the pause is not touched by it: no warning
    before = align_pair(load_session(make.session(tmp_path, "t-raw.fif", f"c.{kind}", stop_s=18.0, **changes)))
    assert "BAD_unplaced" not in before.client.annotations.description


def test_events_place_what_follows_a_pause_of_unknown_length() -> None:
    true = np.arange(250_000) / 250.0
    rng = np.random.default_rng(0)
    pulses = np.sort(rng.uniform(5, 980, 80))
    own = true[(true < 500) | (true >= 504)]
    seen = np.array([p if p < 500 else p - 4 for p in pulses if not 499 < p < 505])
    mark = mne.Annotations(500.0 - 1 / 250, 2 / 250, "BAD_boundary")

    def aligned(events: np.ndarray) -> PairedRecording:
        b = device(2, own, 250.0, events)
        b.set_annotations(b.annotations + mark)
        return align_pair(pair_of(device(1, true, 250.0, pulses), b, clock="triggers"))

    pair = aligned(seen)
    assert "BAD_unplaced" not in pair.client.annotations.description
    assert placed(pair, 520.0, 900.0) < 0.1
    with pytest.warns(DataQualityWarning, match="cannot be placed"):
        pair = aligned(seen[seen < 500.0])
    assert "BAD_unplaced" in pair.client.annotations.description


def test_one_cut_in_both_people_moves_nothing() -> None:
    a, b = (device(k, np.arange(10_000) / 250.0, 250.0) for k in (1, 2))
    for raw in (a, b):
        raw.set_annotations(mne.Annotations(20.0 - 1 / 250, 2 / 250, "BAD_boundary"))
    pair = align_pair(pair_of(a, b, clock="same_amplifier"))
    assert "BAD_unplaced" not in pair.client.annotations.description
