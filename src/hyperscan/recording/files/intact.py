"""Whether a file is as long as its header says, before a reader sees it."""

from __future__ import annotations

import os
import re
import struct
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hyperscan.errors import ReadError, count
from hyperscan.recording.guard import check_memory

#: Share of a recording that may be missing at its end before it is refused (BAD_INPUT practice; our choice).
MAX_LOST = 0.01
#: Kind of the FIF tag that opens a block.
_BLOCK_START = 104


@dataclass(frozen=True)
class EdfHeader:
    """What the fixed part of an EDF or BDF header says."""

    #: Size of the header and of one data record, in bytes
    header_bytes: int
    record_bytes: int
    #: Announced data records; -1 = not known when writing began
    n_records: int
    #: Length of a record, in s
    record_s: float
    #: EDF+D: records need not follow each other in time
    discontinuous: bool
    #: First byte and number of bytes of every annotation signal within a record
    annotations: tuple[tuple[int, int], ...]
    #: Samples of all signals in a record
    n_values: int = 0


def read_edf_header(path: Path, name: str) -> EdfHeader:
    """Read sizes from an EDF or BDF header."""
    with path.open("rb") as file:
        fixed = file.read(256)
        try:
            n_signals = int(fixed[252:256])
            signals = file.read(256 * n_signals)
            samples = [int(signals[216 * n_signals + 8 * k :][:8]) for k in range(n_signals)]
            n_records, record_s = int(fixed[236:244]), float(fixed[244:252])
        except ValueError as error:
            raise ReadError(
                f"{name}: its header is cut off or damaged (a size is no number). Copy it again, or export it anew."
            ) from error
    if n_signals < 1 or len(signals) < 256 * n_signals or min(samples) < 0 or sum(samples) == 0:
        raise ReadError(f"{name}: its header is cut off or announces no samples. Copy it again, or export it anew.")
    width = 3 if fixed[0] == 0xFF else 2
    starts = np.concatenate([[0], np.cumsum(samples)]) * width
    annotations = tuple(
        (int(starts[k]), samples[k] * width)
        for k in range(n_signals)
        if signals[16 * k : 16 * k + 16].strip() in (b"EDF Annotations", b"BDF Annotations")
    )
    return EdfHeader(
        256 * (n_signals + 1),
        width * sum(samples),
        n_records,
        record_s,
        fixed[192:197] in (b"EDF+D", b"BDF+D"),
        annotations,
        sum(samples),
    )


def check_edf(path: Path, name: str) -> tuple[str, ...]:
    """Compare an EDF or BDF file with its header."""
    header = read_edf_header(path, name)
    held = (path.stat().st_size - header.header_bytes) // header.record_bytes
    if header.n_records == -1:
        return (f"{name}: its header does not say how long it is; all {held} records were used",)
    check_memory(header.n_records * header.n_values, name)
    if header.n_records < 1 or held < 1:
        raise ReadError(f"{name}: holds no data record. Copy it again, or export it anew.")
    lost = 1 - held / header.n_records
    if lost > MAX_LOST:
        raise ReadError(_cut(name, held * header.record_s, header.n_records * header.record_s))
    if lost <= 0:
        return ()
    return (
        f"{name}: the last {(header.n_records - held) * header.record_s:.1f} s announced by its header are missing",
    )


def _cut(name: str, held_s: float, announced_s: float) -> str:
    lost = 100 * (1 - held_s / announced_s)
    return (
        f"{name}: is cut off: it holds {held_s:.1f} of {announced_s:.1f} s that its header announces "
        f"({lost:.0f} % missing, "
        f"at most {100 * MAX_LOST:.0f} % is allowed). Copy it again, or export the part that is left."
    )


def record_onsets(path: Path, name: str) -> np.ndarray | None:
    """Read the times of the data records of a discontinuous EDF+ or BDF+ file.

    Shapes: returns (n_records,).
    """
    header = read_edf_header(path, name)
    if not header.discontinuous:
        return None
    if not header.annotations:
        raise ReadError(
            f"{name}: is discontinuous (EDF+D), but no annotation signal says when its records began. Export it anew."
        )
    held = (path.stat().st_size - header.header_bytes) // header.record_bytes
    records = np.memmap(path, np.uint8, "r", header.header_bytes, (held, header.record_bytes))
    first, n = header.annotations[0]
    onsets = []
    for record in records[:, first : first + n]:
        found = re.match(rb"([+-][0-9]+(?:\.[0-9]+)?)\x14", record.tobytes())
        if found is None:
            raise ReadError(f"{name}: a record of this discontinuous file does not say when it began. Export it anew.")
        onsets.append(float(found[1]))
    return np.array(onsets)


_KEYS = re.compile(r"^\s*([A-Za-z]+)\s*=\s*(.*?)\s*$", re.MULTILINE)
_WIDTHS = {"INT_16": 2, "UINT_16": 2, "INT_32": 4, "IEEE_FLOAT_32": 4, "IEEE_FLOAT_64": 8}


_CHANNEL = re.compile(r"^Ch[0-9]+=([^,\n]*),", re.MULTILINE)


def _check_channel_names(header: str, name: str) -> None:
    """Refuse doubled names, for which MNE's reader finds no unit."""
    section = re.split(r"^\[", header.partition("[Channel Infos]")[2], maxsplit=1, flags=re.MULTILINE)[0]
    counts = Counter(_CHANNEL.findall(section))
    twice = [channel for channel, times in counts.items() if channel and times > 1]
    if twice:
        shown = ", ".join(map(repr, twice[:4]))
        raise ReadError(
            f"{name}: {count(len(twice), 'channel name stands', 'channel names stand')} there twice ({shown}), as when "
            "two people's montages are in one file. Give each its own name in the header's [Channel Infos], as Fz_1 "
            "and Fz_2."
        )


def check_brainvision(path: Path, name: str) -> tuple[str, ...]:
    """Compare the three files of a BrainVision recording."""
    text = _text(path)
    _check_channel_names(text, name)
    keys = dict(_KEYS.findall(text))
    data = _partner(path, keys.get("DataFile"), "data", name)
    markers = _partner(path, keys["MarkerFile"], "marker", name) if keys.get("MarkerFile") else None
    width = _WIDTHS.get(keys.get("BinaryFormat", "").upper())
    if keys.get("DataFormat", "BINARY").upper() != "BINARY" or width is None:
        return ()
    try:
        n_channels, interval_us = int(keys["NumberOfChannels"]), float(keys["SamplingInterval"])
        announced = int(keys["DataPoints"]) if keys.get("DataPoints") else None
    except (KeyError, ValueError) as error:
        raise ReadError(
            f"{name}: lacks a readable NumberOfChannels or SamplingInterval. The header is damaged: export "
            "the recording anew."
        ) from error
    frame = n_channels * width
    held, rest = divmod(data.stat().st_size, frame)
    if rest or not held:
        raise ReadError(
            f"{name}: its data file holds {data.stat().st_size} bytes, which is no whole number of frames of "
            f"{frame} bytes "
            f"({n_channels} channels): it was cut off. Copy the .eeg file again."
        )
    needed = max(announced or 0, _last_marker(markers))
    check_memory(needed * n_channels, name)
    if held < needed * (1 - MAX_LOST):
        raise ReadError(_cut(name, held * interval_us * 1e-6, needed * interval_us * 1e-6))
    if announced is not None and held < announced:
        return (f"{name}: {announced - held} samples announced by its header are missing at the end",)
    return ()


def marker_text(path: Path) -> str:
    """Read the marker file of a BrainVision recording that was checked."""
    named = dict(_KEYS.findall(_text(path))).get("MarkerFile")
    return _text(_partner(path, named, "marker", path.name)) if named else ""


def _text(path: Path) -> str:
    data = path.read_bytes()
    # text after [Comment] is free and may hold anything
    return data.decode("utf-8-sig", errors="replace").split("[Comment]")[0]


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


def _last_marker(markers: Path | None) -> int:
    if markers is None:
        return 0
    positions = re.findall(r"^Mk[0-9]+=[^,\r\n]*,[^,\r\n]*,([0-9]+)", _text(markers), re.MULTILINE)
    return max((int(each) for each in positions), default=0)


def check_fdt(data: Path, n_values: int, name: str) -> None:
    """Check that the data part (``.fdt``) of an EEGLAB file is whole."""
    held = data.stat().st_size // 4
    if held < n_values:
        raise ReadError(
            f"{name}: its data part (.fdt) holds {held} of {n_values} values: it was cut off. Copy it again."
        )


def fif_blocks(path: Path) -> set[int]:
    """List what a FIF file holds, from the tags alone."""
    found: set[int] = set()
    size = path.stat().st_size
    with path.open("rb") as file:
        at = 0
        while 0 <= at <= size - 16:
            file.seek(at, os.SEEK_SET)
            kind, _, n_bytes, following = struct.unpack(">iiii", file.read(16))
            if kind == _BLOCK_START and n_bytes == 4 and at + 20 <= size:
                found.add(struct.unpack(">i", file.read(4))[0])
            step = at + 16 + n_bytes if following == 0 else following
            if step <= at:
                break
            at = step
    return found
