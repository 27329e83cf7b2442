"""Recordings in rarer EEG formats, each in the smallest form that its specification allows."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import recording_fixtures as make

NAMES = make.CHANNELS
#: Where pulses stand, in samples from 0 on.
PULSES = (500, 1200)


def microvolts(seed: int, n_times: int = 2000) -> np.ndarray:
    """White noise of the size of EEG, shape (n_channels, n_times)."""
    return 1e6 * make.noise(seed, len(NAMES), n_times)


def write_egi(path: Path, seed: int = 0, *, sfreq: int = 100, pulses: Sequence[int] = PULSES) -> Path:
    """Write an EGI simple binary file (NetStation, version 4: 32-bit floats, not segmented), with one event code."""
    data = microvolts(seed)
    events = np.zeros((1, data.shape[1]))
    events[0, list(pulses)] = 1
    head = struct.pack(">i6hi5h", 4, 2024, 3, 1, 10, 0, 0, 0, sfreq, len(data), 1, 0, 0)
    head += struct.pack(">ih", data.shape[1], 1) + b"DIN1"
    path.write_bytes(head + np.vstack([data, events]).T.astype(">f4").tobytes())
    return path


def write_gdf(
    path: Path, seed: int = 0, *, sfreq: int = 100, pulses: Sequence[int] = PULSES, n_times: int = 2000, code: int = 769
) -> Path:
    """Write a GDF 2.10 file (Schloegl 2006): 32-bit floats in microvolts, one record per s, an event table."""
    data = microvolts(seed, n_times).astype("<f4")
    n, n_records = len(data), data.shape[1] // sfreq
    fixed = b"GDF 2.10" + f"X {make.CANARY}".encode().ljust(66) + bytes(10 + 4) + b"rec".ljust(64) + bytes(16)
    fixed += struct.pack("<QQ", 0, 0) + struct.pack("<H", n + 1) + bytes(6 + 8 + 6 + 6 + 12 + 12)
    fixed += struct.pack("<qIIHH", n_records, 1, 1, n, 0)
    assert len(fixed) == 256
    per_channel = (
        b"".join(name.encode().ljust(16) for name in NAMES),
        bytes(80 * n + 6 * n),
        struct.pack(f"<{n}H", *[4275] * n),
        struct.pack(f"<{4 * n}d", *[-1e3] * n, *[1e3] * n, *[-1e3] * n, *[1e3] * n),
        bytes(68 * n),
        struct.pack(f"<{3 * n}f", *[40.0] * n, *[0.1] * n, *[0.0] * n),
        struct.pack(f"<{n}i", *[sfreq] * n),
        struct.pack(f"<{n}i", *[16] * n),
        bytes(12 * n + n + 19 * n),
    )
    variable = b"".join(per_channel)
    assert len(variable) == 256 * n
    records = data.reshape(n, n_records, sfreq).transpose(1, 0, 2)
    events = b"\x01" + len(pulses).to_bytes(3, "little") + struct.pack("<f", sfreq)
    events += struct.pack(f"<{len(pulses)}I", *[each + 1 for each in pulses])
    events += struct.pack(f"<{len(pulses)}H", *[code] * len(pulses))
    path.write_bytes(fixed + variable + records.tobytes() + events)
    return path


def write_cnt(
    path: Path, seed: int = 0, *, sfreq: int = 100, pulses: Sequence[int] = PULSES, n_times: int = 2000
) -> Path:
    """Write a Neuroscan CNT file (version 3.0): 32-bit integers of 0.01 microvolt, an event table of type 1."""
    data = np.rint(100 * microvolts(seed, n_times)).astype("<i4")
    n = len(data)
    head = bytearray(900 + 75 * n)
    head[:11] = b"Version 3.0"
    head[121 : 121 + len(make.CANARY)] = make.CANARY.encode()
    head[225:235], head[235:247] = b"03/01/24".ljust(10, b"\0"), b"10:00:00".ljust(12, b"\0")
    struct.pack_into("<H", head, 370, n)
    struct.pack_into("<H", head, 376, sfreq)
    struct.pack_into("<i", head, 864, data.shape[1])
    struct.pack_into("<i", head, 886, len(head) + data.nbytes)
    angles = np.linspace(0.3, 5.0, n)
    for k, name in enumerate(NAMES):
        at = 900 + 75 * k
        head[at : at + 10] = name.encode().ljust(10, b"\0")
        struct.pack_into("<ff", head, at + 19, 300 + 90 * np.cos(angles[k]), 300 + 90 * np.sin(angles[k]))
        # microvolts per step: sensitivity * calibration / 204.8
        struct.pack_into("<f", head, at + 59, 0.01 * 204.8)
        struct.pack_into("<f", head, at + 71, 1.0)
    # MNE takes a pulse one sample early
    offsets = [len(head) + 4 * n * (each + 1) for each in pulses]
    events = b"".join(struct.pack("<HBbi", 7, 0, 0, offset) for offset in offsets)
    table = struct.pack("<Bii", 1, len(events), 0) + events
    path.write_bytes(bytes(head) + data.T.tobytes() + table)
    return path


_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'


def write_mff(path: Path, seed: int = 0, *, sfreq: int = 100, gap_s: float = 0.0) -> Path:
    """Write an EGI MFF folder of two epochs with a pause between them."""
    path.mkdir()
    data = microvolts(seed).astype("<f4")
    n, half = len(data), data.shape[1] // 2
    blocks = b""
    for part in (data[:, :half], data[:, half:]):
        offsets = [4 * half * k for k in range(n)]
        formats = [(sfreq << 8) | 32] * n
        head = struct.pack(f"<{4 + 2 * n + 1}i", 1, 4 * (5 + 2 * n), part.nbytes, n, *offsets, *formats, 0)
        blocks += head + np.ascontiguousarray(part).tobytes()
    (path / "signal1.bin").write_bytes(blocks)
    ends = [half / sfreq, half / sfreq + gap_s, 2 * half / sfreq + gap_s]
    micro = [round(1e6 * each) for each in ends]
    epochs = "".join(
        f"<epoch><beginTime>{a}</beginTime><endTime>{b}</endTime>"
        f"<firstBlock>{k}</firstBlock><lastBlock>{k}</lastBlock></epoch>"
        for k, (a, b) in enumerate(((0, micro[0]), (micro[1], micro[2])), start=1)
    )
    sensors = "".join(
        f"<sensor><name>{name}</name><number>{k}</number><type>0</type><x>{k}</x><y>{k % 2}</y><z>5.0</z></sensor>"
        for k, name in enumerate(NAMES, start=1)
    )
    texts = {
        "info": '<fileInfo xmlns="http://www.egi.com/info_mff"><mffVersion>3</mffVersion>'
        "<recordTime>2024-03-01T10:00:00.000000+00:00</recordTime></fileInfo>",
        "info1": '<dataInfo xmlns="http://www.egi.com/info_n_mff"><generalInformation><fileDataType>'
        "<EEG><sensorLayoutName>four</sensorLayoutName></EEG></fileDataType></generalInformation></dataInfo>",
        "epochs": f'<epochs xmlns="http://www.egi.com/epochs_mff">{epochs}</epochs>',
        "sensorLayout": '<sensorLayout xmlns="http://www.egi.com/sensorLayout_mff">'
        f"<name>four</name><sensors>{sensors}</sensors></sensorLayout>",
        "coordinates": '<coordinates xmlns="http://www.egi.com/coordinates_mff"><sensorLayout>'
        f"<name>four</name><sensors>{sensors}</sensors></sensorLayout></coordinates>",
    }
    for name, text in texts.items():
        (path / f"{name}.xml").write_text(_XML + text, encoding="utf-8")
    return path
