"""GDF files, versions 1 and 2: units and the table of events, of which MNE takes a part."""

from __future__ import annotations

import struct
import warnings
from dataclasses import dataclass
from pathlib import Path

import mne
import numpy as np

from hyperscan.errors import ReadError
from hyperscan.recording.files.eeg import cut_off, find_factors
from hyperscan.recording.records import PersonRecording

#: Version from which on the header is that of GDF 2, and the table of events that of GDF 2.0.
_SECOND, _TABLE_OF_SECOND = 1.9, 1.94
#: Bytes of a value by the number of its type (GDF 2.20, table 3).
_BYTES = {0: 1, 1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 8, 16: 4, 17: 8, 18: 16, 279: 3, 511: 3}
#: Code of volts, whose last five bits are a decimal factor (ISO/IEEE 11073-10101, as GDF 2 has them).
_VOLT, _DECIMAL = 4256, 31
_PREFIXES = {0: "", 3: "k", 18: "m", 19: "u", 20: "n", 21: "p"}
#: Units that MNE scales, by the version of the header.
_READ = {1: ("uV",), 2: ("uV", "mV")}
#: Events of the table that are none: a new segment, of which the table does not say when it began.
_NAMES = {0x7FFE: "New Segment"}


@dataclass(frozen=True)
class GdfHeader:
    """What the fixed part of a header says."""

    #: Of the header as a whole, 1 or 2, and the exact one
    kind: int
    version: float
    header_bytes: int
    #: Data records (-1 = not known when writing began), their bytes and their length in s
    n_records: int
    record_bytes: int
    record_s: float
    #: Highest rate of a channel, in Hz
    sfreq: float
    units: tuple[str, ...]

    @property
    def table(self) -> int:
        """First byte of the table of events."""
        return self.header_bytes + self.n_records * self.record_bytes


def read_gdf_header(path: Path, name: str) -> GdfHeader:
    """Read sizes and units."""
    try:
        with path.open("rb") as file:
            fixed = file.read(256)
            version = float(fixed[4:8])
            kind = 1 if version < _SECOND else 2
            if kind == 1:
                header_bytes = struct.unpack_from("<q", fixed, 184)[0]
                n_records, num, den, n = struct.unpack_from("<qIII", fixed, 236)
            else:
                header_bytes = 256 * struct.unpack_from("<H", fixed, 184)[0]
                n_records, num, den, n = struct.unpack_from("<qIIH", fixed, 236)
            signals = file.read(256 * n)
        if kind == 1:
            units = tuple(signals[96 * n + 8 * k :][:8].decode("latin-1").strip(" \0") for k in range(n))
        else:
            codes = struct.unpack_from(f"<{n}H", signals, 102 * n)
            units = tuple(_unit(code) for code in codes)
        per_record = struct.unpack_from(f"<{n}I", signals, 216 * n)
        widths = [_BYTES[each] for each in struct.unpack_from(f"<{n}I", signals, 220 * n)]
    except (ValueError, struct.error, KeyError) as error:
        raise ReadError(f"{name}: its header is cut off or damaged. Copy it again, or export it anew.") from error
    n_bytes = sum(count * width for count, width in zip(per_record, widths, strict=True))
    record_s = (num or 1) / (den or 1)
    return GdfHeader(
        kind, version, header_bytes, n_records, n_bytes, record_s, max(per_record, default=0) / record_s, units
    )


def _unit(code: int) -> str:
    """Say what a code of GDF 2 means; empty where it is none of volts."""
    prefix = _PREFIXES.get(code & _DECIMAL)
    return f"{prefix}V" if code & ~_DECIMAL == _VOLT and prefix is not None else ""


def read_gdf_events(path: Path, header: GdfHeader, name: str) -> mne.Annotations:
    """Read the table of events, whose positions count in samples at a rate of its own, from 1 on."""
    with path.open("rb") as file:
        file.seek(header.table)
        head, rest = file.read(8), file.read()
    if not head:
        return mne.Annotations([], [], [])
    mode = head[0]
    if header.version < _TABLE_OF_SECOND:
        rate, n = float(int.from_bytes(head[1:4], "little")), int.from_bytes(head[4:8], "little")
    else:
        n, rate = int.from_bytes(head[1:4], "little"), float(np.frombuffer(head[4:8].ljust(4, b"\0"), "<f4")[0])
    needed = n * (12 if mode == 3 else 6)
    if len(head) < 8 or len(rest) < needed:
        raise ReadError(
            f"{name}: its table of events holds {len(rest)} of {needed} bytes: it was cut off. Copy it again."
        )
    rate = rate if rate > 0 else header.sfreq
    onsets = (np.frombuffer(rest, "<u4", n).astype(float) - 1) / rate
    codes = np.frombuffer(rest, "<u2", n, 4 * n)
    lengths = np.frombuffer(rest, "<u4", n, 8 * n) / rate if mode == 3 else np.zeros(n)
    return mne.Annotations(onsets, lengths, [_NAMES.get(int(code), str(code)) for code in codes])


def read_gdf(path: Path, name: str) -> PersonRecording:
    """Read a GDF file."""
    header = read_gdf_header(path, name)
    held = (path.stat().st_size - header.header_bytes) // max(header.record_bytes, 1)
    if 0 <= held < header.n_records:
        raise cut_off(name, held * header.record_s, header.n_records * header.record_s)
    events = read_gdf_events(path, header, name)
    with warnings.catch_warnings():
        # units and events are looked at here
        warnings.filterwarnings("ignore", ".*(physical dimension|annotation)")
        raw = mne.io.read_raw_gdf(path, preload=False, verbose="WARNING")
    raw.set_annotations(events, verbose="WARNING")
    return PersonRecording(raw, factors=find_factors(raw, header.units, _READ[header.kind]))
