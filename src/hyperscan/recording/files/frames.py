"""Recordings of whole numbers frame by frame, which a text next to them describes: Persyst and Nicolet."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import mne
import numpy as np
from mne._fiff.utils import _read_segments_file
from mne.io import BaseRaw

from hyperscan.errors import ReadError
from hyperscan.recording.files.eeg import check_frames, header_text
from hyperscan.recording.records import Pause, PersonRecording
from hyperscan.recording.start_times import DAY_S


class RawFrames(BaseRaw):
    """A recording whose frames of one whole number per channel are read where they are asked for."""

    def __init__(self, path: Path, channels: Sequence[str], sfreq: float, volts: float, kind: str, skipped: int = 0):
        n_times = (path.stat().st_size - skipped) // (len(channels) * np.dtype(kind).itemsize)
        info = mne.create_info(list(channels), sfreq, "eeg", verbose="WARNING")
        for channel in info["chs"]:
            channel["cal"] = volts
        stored = {"dtype": kind, "offset": skipped}
        super().__init__(info, filenames=[path], last_samps=[n_times - 1], raw_extras=[stored], verbose="WARNING")

    def _read_segment_file(
        self, data: np.ndarray, idx: Any, fi: int, start: int, stop: int, cals: Any, mult: Any
    ) -> None:
        """Fill samples from ``start`` on, as MNE's readers do."""
        stored = self._raw_extras[fi]
        _read_segments_file(
            self, data, idx, fi, start, stop, cals, mult, dtype=stored["dtype"], offset=stored["offset"]
        )


def _found(path: Path, ending: str) -> Path | None:
    """Find the file of the same stem with an ending, in small letters or in capitals."""
    return next((each for kind in (ending, ending.upper()) if (each := path.with_suffix(kind)).exists()), None)


def _moment(text: str, forms: Sequence[str]) -> datetime.datetime | None:
    """Read a moment that is written in one of several forms; None if in none, as where nobody tells."""
    for form in forms:
        try:
            return datetime.datetime.strptime(text, form).replace(tzinfo=datetime.UTC)
        except ValueError:
            continue
    return None


# ---- Persyst

_SAMPLE_TIME = re.compile(r"^\s*([0-9]+)\s*=\s*([0-9]+(?:\.[0-9]*)?)\s*$", re.MULTILINE)
_SECTION = re.compile(r"^\[([^\]\n]+)\]\s*$", re.MULTILINE)
_ENTRY = re.compile(r"^\s*([^=\n]*?)\s*=\s*(.*?)\s*$", re.MULTILINE)
_COMMENT = re.compile(r"^\s*([0-9.]+),([0-9.]+),[^,\n]*,[^,\n]*,(.*?)\s*$", re.MULTILINE)
#: Days and times of day as layouts write them.
_DAYS, _TIMES = ("%m/%d/%Y", "%d-%m-%Y", "%Y.%m.%d"), ("%H:%M:%S", "%H:%M:%S.%f")
#: How a sample is stored by the layout's number for it.
_STORED = {"0": "<i2", "7": "<i4"}


def read_persyst(path: Path, name: str) -> PersonRecording:
    """Read a Persyst layout and its data, its pauses by the times of day that the layout lists.

    Channels are in the order of the numbers that the layout gives them. What it tells of a person is not looked at.
    """
    parts = _SECTION.split(header_text(path).replace("\r\n", "\n"))
    texts = {title.lower(): text for title, text in zip(parts[1::2], parts[2::2], strict=True)}
    facts, patient = (_entries(texts.get(section, "")) for section in ("fileinfo", "patient"))
    data = path.with_name(facts.get("file", "").replace("\\", "/").rpartition("/")[2] or f"{path.stem}.dat")
    if not data.is_file():
        raise ReadError(f"{name}: its data part (.dat) is not there. Copy it beside the layout, under the name in it.")
    try:
        sfreq, volts = float(facts["samplingrate"]), 1e-6 * float(facts["calibration"])
        n_channels, skipped = int(facts["waveformcount"]), int(facts.get("headerlength") or 0)
        kind = _STORED[facts.get("datatype", "0")]
    except (KeyError, ValueError) as error:
        raise ReadError(
            f"{name}: its [FileInfo] lacks a SamplingRate, Calibration or WaveformCount, or has a DataType other than "
            "0 and 7. Copy it again, or export it anew."
        ) from error
    channels = _channels(texts.get("channelmap", ""), n_channels, name)
    check_frames(data, n_channels, np.dtype(kind).itemsize, f"{name}: its data part (.dat)", skipped)
    raw = RawFrames(data, channels, sfreq, volts, kind, skipped)
    told = [(float(onset), float(lasts), said) for onset, lasts, said in _COMMENT.findall(texts.get("comments", ""))]
    onsets, lengths, said = zip(*told, strict=True) if told else ((), (), ())
    raw.set_annotations(mne.Annotations(onsets, lengths, said), verbose="WARNING")
    raw.set_meas_date(
        _moment(
            f"{patient.get('testdate', '')} {patient.get('testtime', '')}",
            [f"{day} {time}" for day in _DAYS for time in _TIMES],
        )
    )
    rows = [(int(at), float(time)) for at, time in _SAMPLE_TIME.findall(texts.get("sampletimes", ""))]
    return PersonRecording(raw, pauses=pauses_between(rows, sfreq, name))


def _entries(section: str) -> Mapping[str, str]:
    return {key.lower(): value for key, value in _ENTRY.findall(section)}


def _channels(section: str, n: int, name: str) -> list[str]:
    """List the channels in the order of their numbers, which need not be that of the lines."""
    rows = [(int(number), label) for label, number in _ENTRY.findall(section) if number.isdigit()]
    if sorted(number for number, _ in rows) != list(range(1, n + 1)):
        raise ReadError(
            f"{name}: its [ChannelMap] does not number {n} channels from 1 on, each once, as WaveformCount has it. "
            "Copy it again, or export it anew."
        )
    return [re.split("-REF", label.upper())[0] for _, label in sorted(rows)]


def pauses_between(rows: list[tuple[int, float]], sfreq: float, name: str) -> tuple[Pause, ...]:
    """List the pauses of a recording of which some samples have a time of day, in s.

    Examples
    --------
    >>> pauses_between([(0, 86390.0), (1000, 5.0)], 100.0, "t.lay")
    (Pause(after=1000, seconds=5.0),)
    """
    found = []
    for (start, began), (after, resumed) in pairwise(rows):
        # past midnight
        passed = resumed - began + (DAY_S if resumed < began - DAY_S / 2 else 0.0)
        lost = passed - (after - start) / sfreq
        if lost < -0.5 or after <= start:
            raise ReadError(
                f"{name}: the times of its samples run back by {-lost:.1f} s at sample {after}. Nobody can tell which "
                "time is right: export it again."
            )
        if lost * sfreq > 1.5:
            found.append(Pause(after, lost))
    return tuple(found)


# ---- Nicolet


def read_nicolet(path: Path, name: str) -> PersonRecording:
    """Read a Nicolet recording, whose header must describe the data that are there."""
    header = _found(path, ".head")
    if header is None:
        raise ReadError(f"{name}: its header (.head) is not there. Copy it beside the data.")
    facts = _entries(header.read_text(encoding="latin-1"))
    listed, size = facts.get("elec_names", ""), path.stat().st_size
    channels = [channel.strip() for channel in listed.strip("[]").split(",")]
    try:
        n_channels, n_samples = int(facts["num_channels"]), int(facts["num_samples"])
        sfreq, volts = float(facts["sample_freq"]), 1e-6 * float(facts["conversion_factor"])
    except (KeyError, ValueError) as error:
        raise ReadError(
            f"{name}: its header (.head) lacks a size, its rate or its conversion factor, so it is damaged. Copy it "
            "again."
        ) from error
    if not (listed.startswith("[") and listed.endswith("]")) or len(channels) != n_channels:
        raise ReadError(
            f"{name}: its header (.head) announces {n_channels} channels and names {len(channels)}: it was cut off or "
            "damaged. Copy it again."
        )
    if size != 2 * n_channels * n_samples:
        raise ReadError(
            f"{name}: holds {size} bytes of {2 * n_channels * n_samples} that its header (.head) announces. "
            "Copy both files again."
        )
    raw = RawFrames(path, channels, sfreq, volts, "<i2")
    forms = ("%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%d %H:%M:%S")
    return PersonRecording(raw.set_meas_date(_moment(facts.get("start_ts", ""), forms)))
