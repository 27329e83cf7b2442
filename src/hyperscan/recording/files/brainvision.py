"""BrainVision recordings: a header, markers and data, compared with each other before MNE reads them."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import mne

from hyperscan.errors import ReadError, count
from hyperscan.recording.files.eeg import MAX_CUT, NO_LENGTH, cut_off, find_factors, header_text
from hyperscan.recording.files.units import NOT_SUPPORTED
from hyperscan.recording.guard import check_memory, check_names
from hyperscan.recording.pauses import find_new_segments
from hyperscan.recording.records import PersonRecording

_KEYS = re.compile(r"^\s*([A-Za-z]+)\s*=\s*(.*?)\s*$", re.MULTILINE)
_CHANNEL = re.compile(r"^Ch[0-9]+=([^,\n]*),([^\r\n]*)", re.MULTILINE)
_MARKER = re.compile(r"^Mk[0-9]+=[^,\r\n]*,[^,\r\n]*,([0-9]+)", re.MULTILINE)
_WIDTHS = {"INT_16": 2, "UINT_16": 2, "INT_32": 4, "IEEE_FLOAT_32": 4, "IEEE_FLOAT_64": 8}


@dataclass(frozen=True)
class BrainVisionHeader:
    """What the header of a BrainVision recording says, and the two files that it names."""

    #: Entries of all sections by name
    keys: Mapping[str, str]
    #: Names of the channels
    channels: tuple[str, ...]
    #: Their units
    units: tuple[str, ...]
    data: Path
    #: Content of the marker file; empty if none is named
    markers: str
    #: Whether a V-Amp wrote it
    is_v_amp: bool = False


def read_brainvision_header(path: Path, name: str) -> BrainVisionHeader:
    """Read a header and the markers, and find the data."""
    text = _text(path)
    section = re.split(r"^\[", text.partition("[Channel Infos]")[2], maxsplit=1, flags=re.MULTILINE)[0]
    described = _CHANNEL.findall(section)
    channels = tuple(channel for channel, _ in described)
    # without a unit values are in microvolts (BrainVision Core Data Format 1.0)
    units = tuple(f"{rest},,".split(",")[2].strip() or "uV" for _, rest in described)
    check_names(channels, name)
    # MNE's reader finds no unit for doubled names
    twice = [channel for channel, times in Counter(channels).items() if channel and times > 1]
    if twice:
        shown = ", ".join(map(repr, twice[:4]))
        raise ReadError(
            f"{name}: {count(len(twice), 'channel name stands', 'channel names stand')} there twice ({shown}), as when "
            "two people's montages are in one file. Give each its own name in the header's [Channel Infos], as Fz_1 "
            "and Fz_2."
        )
    keys = dict(_KEYS.findall(text))
    data = _partner(path, keys.get("DataFile"), "data", name)
    markers = _text(_partner(path, keys["MarkerFile"], "marker", name)) if keys.get("MarkerFile") else ""
    return BrainVisionHeader(keys, channels, units, data, markers, path.suffix.lower() == ".ahdr")


def _text(path: Path) -> str:
    # text after [Comment] is free and may hold anything
    return header_text(path).split("[Comment]")[0]


def _partner(path: Path, named: str | None, what: str, name: str) -> Path:
    if not named:
        raise ReadError(f"{name}: names no {what} file. The header is damaged: export the recording anew.")
    named = named.replace("$b", path.stem)
    found = path.parent / Path(named.replace("\\", "/")).name
    shown = Path(named.replace("\\", "/")).suffix
    if Path(named.replace("\\", "/")).stem != path.stem:
        raise ReadError(
            f"{name}: points to a {what} file of another name, so it may be another recording (a renamed "
            "copy?). "
            f"Give all three files one name, and correct the {what.capitalize()}File line in the header."
        )
    if not found.exists():
        raise ReadError(f"{name}: its {what} file ({shown}) is not there. Copy it beside the header.")
    if what == "data" and found.stat().st_size == 0:
        raise ReadError(f"{name}: its data file ({shown}) is empty (0 bytes). Copy it again.")
    return found


#: What MNE would read as little-endian samples over time, whatever the header says: key, value, and what it is.
_UNREAD = (
    ("UseBigEndianOrder", "YES", "big-endian numbers (UseBigEndianOrder=YES)"),
    ("DataType", "FREQUENCYDOMAIN", "spectra (DataType=FREQUENCYDOMAIN)"),
    ("DataType", "TIMEFREQUENCYDOMAIN", "spectra over time (DataType=TIMEFREQUENCYDOMAIN)"),
    ("Averaged", "YES", "an average over segments (Averaged=YES), in which single moments are lost"),
)


def check_brainvision(header: BrainVisionHeader, name: str) -> tuple[str, ...]:
    """Compare the length of the data with what header and markers announce."""
    keys, size = header.keys, header.data.stat().st_size
    for key, value, what in _UNREAD:
        if keys.get(key, "").upper() == value:
            raise ReadError(f"{name}: {NOT_SUPPORTED}{what}. Export the continuous recording in its usual form.")
    interval = keys.get("SamplingInterval", "")
    if re.fullmatch(r"[-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?", interval) and not 0 < float(interval) < math.inf:
        raise ReadError(
            f"{name}: its header gives a SamplingInterval of {interval} microseconds, so the sampling rate is unknown. "
            "Correct the header, or export the recording anew."
        )
    try:
        # a V-Amp recording has one channel more than its header says
        n_channels = int(keys["NumberOfChannels"]) + header.is_v_amp
        interval_us = float(keys["SamplingInterval"])
        announced = int(keys["DataPoints"]) if keys.get("DataPoints") else None
        n_skipped = int(keys.get("SkipLines") or 0)
    except (KeyError, ValueError) as error:
        raise ReadError(
            f"{name}: lacks a readable NumberOfChannels or SamplingInterval. The header is damaged: export "
            "the recording anew."
        ) from error
    # a value takes two bytes or more, as text with what separates it, and a line one
    if not 1 <= n_channels <= max(size // 2, 1) or n_skipped > size:
        raise ReadError(
            f"{name}: its header announces {n_channels} channels and {n_skipped} lines to skip, but its data file "
            f"holds {size} bytes. The header is damaged: export the recording anew."
        )
    width = _WIDTHS.get(keys.get("BinaryFormat", "").upper())
    if keys.get("DataFormat", "BINARY").upper() != "BINARY" or width is None:
        return ()
    frame = n_channels * width
    held, rest = divmod(size, frame)
    if rest or not held:
        raise ReadError(
            f"{name}: its data file holds {size} bytes, which is no whole number of frames of "
            f"{frame} bytes "
            f"({n_channels} channels): it was cut off. Copy the .eeg file again."
        )
    needed = max(announced or 0, max(map(int, _MARKER.findall(header.markers)), default=0))
    if held < needed * (1 - MAX_CUT):
        raise cut_off(name, held * interval_us * 1e-6, needed * interval_us * 1e-6)
    check_memory(needed * n_channels, name)
    if announced is not None and held < announced:
        return (f"{name}: {announced - held} samples announced by its header are missing at the end",)
    return () if announced else (f"{name}: {NO_LENGTH}",)


def read_brainvision(path: Path, name: str) -> PersonRecording:
    """Read the three files of a BrainVision recording."""
    header = read_brainvision_header(path, name)
    notes = check_brainvision(header, name)
    raw = mne.io.read_raw_brainvision(path, preload=False, verbose="WARNING")
    factors = find_factors(raw, header.units, _BRAINVISION_UNITS)
    # MNE takes what has no unit that it knows for no EEG
    known = {channel: "eeg" for channel, factor in factors.items() if not math.isnan(factor)}
    raw.set_channel_types(known, on_unit_change="ignore", verbose="WARNING")
    pauses = find_new_segments(header.markers, raw.info["sfreq"])
    return PersonRecording(raw, notes=notes, pauses=pauses, factors=factors)


#: Units that MNE reads in BrainVision files, of the two signs for micro only one.
_BRAINVISION_UNITS = ("uV", "\u00b5V", "mV", "V", "nV")
