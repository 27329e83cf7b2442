"""FIF files: one flipped bit of any tag is refused or changes no sample, no time and no annotation."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import mne
import numpy as np
import pytest

import recording_fixtures as make
from hyperscan.errors import ReadError
from hyperscan.recording.files.fif import read_fif, read_tags
from hyperscan.recording.guard import guarded


def write_raw(folder: Path) -> Path:
    raw = make.eeg_raw(1, sfreq=50.0, seconds=8.0)
    raw.set_annotations(mne.Annotations([1.0, 5.0], [0.5, 0.0], ["BAD_x", "S 1"]))
    raw.crop(1.0)
    raw.save(folder / "t-raw.fif", buffer_size_sec=1.0, verbose="ERROR")
    return folder / "t-raw.fif"


def write_gap(folder: Path) -> Path:
    """Write what a recorder leaves that was stopped for a while: a skip of two buffers."""
    path = write_raw(folder)
    raw = mne.io.read_raw_fif(path, preload=True, verbose="ERROR")
    raw.set_annotations(raw.annotations + mne.Annotations(3.0, 2.0, "BAD_ACQ_SKIP"))
    raw.save(path, buffer_size_sec=1.0, overwrite=True, verbose="ERROR")
    return path


def write_parts(folder: Path) -> Path:
    raw = make.eeg_raw(1, sfreq=1000.0, seconds=200.0)
    raw.save(folder / "t-raw.fif", split_size="2MB", buffer_size_sec=20.0, verbose="ERROR")
    assert (folder / "t-raw-1.fif").exists()
    return folder / "t-raw.fif"


def write_epochs(folder: Path) -> Path:
    raw = make.eeg_raw(1, sfreq=50.0, seconds=8.0)
    events = np.array([[50 * i, 0, 1 + i % 2] for i in range(1, 7)])
    epochs = mne.Epochs(raw, events, tmin=-0.2, tmax=0.5, preload=True, baseline=None, verbose="ERROR")
    epochs.drop([1]).save(folder / "t-epo.fif", verbose="ERROR")
    return folder / "t-epo.fif"


def content(path: Path) -> tuple[object, ...]:
    with warnings.catch_warnings(), mne.use_log_level("ERROR"):
        warnings.simplefilter("ignore")
        with guarded(path.name, "FIF"):
            data = read_fif(path, path.name).data
            values = data.get_data()
    if isinstance(data, mne.BaseEpochs):
        times = (*data.events.ravel(), *data.selection, len(data.drop_log), data.tmin, data.tmax)
    else:
        told = data.annotations
        times = (data.first_samp, *told.onset, *told.duration, *told.description)
    return values.shape, values.tobytes(), times


def flips(path: Path) -> Iterator[int]:
    """Every bit of the header of every tag."""
    for tag in read_tags(path, path.name):
        yield from range(8 * tag.at, 8 * (tag.at + 16))


@pytest.mark.parametrize("stride", [11, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("write", [write_raw, write_gap, write_parts, write_epochs])
def test_a_flipped_bit_of_any_tag_loses_nothing_unseen(
    tmp_path: Path, write: Callable[[Path], Path], stride: int
) -> None:
    path = write(tmp_path)
    whole, good = path.read_bytes(), content(path)
    bits = list(flips(path))[::stride]
    accepted, silent = 0, []
    for bit in bits:
        data = bytearray(whole)
        data[bit // 8] ^= 1 << bit % 8
        path.write_bytes(data)
        try:
            found = content(path)
        except ReadError:
            continue
        accepted += 1
        if found != good:
            silent.append((bit // 8, bit % 8))
    assert silent == []
    assert accepted < 0.35 * len(bits)


def test_lost_bytes_between_parts_of_the_chain_are_refused(tmp_path: Path) -> None:
    path = write_raw(tmp_path)
    data = bytearray(path.read_bytes())
    buffers = [tag for tag in read_tags(path, "t") if tag.kind == 300]
    struct.pack_into(">i", data, buffers[1].at + 12, buffers[4].at)
    path.write_bytes(data)
    with pytest.raises(ReadError, match="damaged at byte"):
        content(path)
