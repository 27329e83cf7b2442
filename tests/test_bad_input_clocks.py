"""Bad input of clocks: an hour apart, other codes, no clock at all."""

from __future__ import annotations

import dataclasses
import datetime
from pathlib import Path

import mne
import numpy as np
import pytest

import recording_fixtures as make
from hyperscan.errors import (
    ClockError,
    DataQualityWarning,
    InputError,
    ReadError,
)
from hyperscan.pipeline import check_study
from hyperscan.recording import align_pair, load_session, preprocess_pair
from hyperscan.study import read_table


def refused(root: Path, therapist: str, client: str, *words: str, modality: str = "eeg", **changes: object) -> None:
    """Assert that a pair is refused at reading or aligning, with a good message."""
    with pytest.raises((ReadError, ClockError)) as caught:
        align_pair(make.load(root, therapist, client, modality, **changes))
    make.check_message(str(caught.value), root, *words)


def test_an_hour_apart_although_the_recordings_overlap(tmp_path: Path) -> None:
    for seed, (name, hour) in enumerate((("t-raw.fif", 9), ("c-raw.fif", 10))):
        raw = make.eeg_raw(seed, sfreq=20.0, seconds=4000.0)
        raw.set_meas_date(datetime.datetime(2025, 3, 3, hour, 4, 5, tzinfo=datetime.UTC))
        raw.save(tmp_path / name, verbose="ERROR")
    refused(tmp_path, "t-raw.fif", "c-raw.fif", "3600 s", "time zone", "declare the clock")
    with pytest.warns(DataQualityWarning, match="client began 3600.0 s after the therapist"):
        declared = align_pair(make.load(tmp_path, "t-raw.fif", "c-raw.fif", clock="same_amplifier"))
    assert declared.therapist.n_times == 80_000


def test_codes_of_two_devices_differ(tmp_path: Path) -> None:
    at = np.cumsum(np.random.default_rng(3).uniform(0.7, 1.9, 25)).round(2)
    markers = [("Stimulus", "S  1", round(t * 100) + 1) for t in at]
    make.write_brainvision(tmp_path / "t.vhdr", 1, seconds=60, markers=markers)
    raw = make.eeg_raw(2, seconds=60.0)
    stim = np.zeros((1, raw.n_times))
    for t in at - 0.5:
        stim[0, round(t * 100) : round(t * 100) + 2] = 32769
    added = mne.io.RawArray(stim, mne.create_info(["STI"], 100.0, "stim"), verbose="ERROR")
    raw.add_channels([added], force_update_info=True).save(tmp_path / "c-raw.fif", verbose="ERROR")
    make.write_edf(tmp_path / "u.edf", 3, seconds=60, annotations=[(t - 0.5, "1") for t in at])
    for client in ("c-raw.fif", "u.edf"):
        clock = align_pair(make.load(tmp_path, "t.vhdr", client)).clock
        assert (clock.source, clock.n_matched) == ("triggers", 25)
        assert clock.offset_s == pytest.approx(0.5, abs=0.006)


@pytest.mark.parametrize(
    "changes", [{}, {"client_offset_s": 2.0}, *({"clock": name} for name in ("none", "assumed", "triggers"))]
)
def test_nothing_is_prepared_on_no_clock(tmp_path: Path, changes: dict[str, object]) -> None:
    """Equal lengths prove nothing: only align_pair decides what the two clocks are."""
    for seed, name in enumerate("tc"):
        make.write_edf(tmp_path / f"{name}.edf", seed, seconds=70.0)
    with pytest.raises(InputError) as caught:
        preprocess_pair(make.load(tmp_path, "t.edf", "c.edf", **changes))
    make.check_message(caught.value, tmp_path, "D1 ses-01", "nothing says", "Call align_pair")


def test_two_files_without_a_clock_run_with_a_warning(tmp_path: Path) -> None:
    for seed, name in enumerate("tc"):
        make.write_edf(tmp_path / f"{name}.edf", seed, seconds=70.0)
    with pytest.warns(DataQualityWarning) as heard:
        pair = align_pair(make.load(tmp_path, "t.edf", "c.edf"))
    make.check_message(heard[0].message, tmp_path, "t.edf and c.edf", "nothing aligns", "Declare triggers")
    assert preprocess_pair(pair).quality.client["clock_source"] == "assumed"
    make.write_rows(tmp_path, [make.row_of(1, 1, "t.edf", "c.edf", clock="n/a")])
    (said,) = check_study(tmp_path).rows
    assert said.status == "ok"
    make.check_message(said.notes[0], tmp_path, "t.edf and c.edf", "nothing aligns", "Declare triggers")
    (row,) = read_table(make.write_rows(tmp_path, [make.row_of(1, 1, "t.edf", "c.edf", clock="n/a")])).sessions
    with pytest.raises(ClockError) as caught:
        align_pair(load_session(dataclasses.replace(row, clock="none")))
    make.check_message(caught.value, tmp_path, "t.edf and c.edf", "declares clock 'none'", "declare triggers")
