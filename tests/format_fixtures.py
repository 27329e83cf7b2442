"""Recordings in rarer EEG formats, each in the smallest form that its specification allows."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.io

import recording_fixtures as make

NAMES = make.CHANNELS
#: Where pulses stand, in samples from 0 on.
PULSES = (500, 1200)


def microvolts(seed: int, n_times: int = 2000) -> np.ndarray:
    """White noise of the size of EEG, shape (n_channels, n_times)."""
    return 1e6 * make.noise(seed, len(NAMES), n_times)


def write_egi(
    path: Path, seed: int = 0, *, sfreq: int = 100, pulses: Sequence[int] = PULSES, n_times: int = 2000
) -> Path:
    """Write an EGI simple binary file (NetStation, version 4: 32-bit floats, not segmented), with one event code."""
    data = microvolts(seed, n_times)
    events = np.zeros((1, data.shape[1]))
    events[0, list(pulses)] = 1
    head = struct.pack(">i6hi5h", 4, 2024, 3, 1, 10, 0, 0, 0, sfreq, len(data), 1, 0, 0)
    head += struct.pack(">ih", data.shape[1], 1) + b"DIN1"
    path.write_bytes(head + np.vstack([data, events]).T.astype(">f4").tobytes())
    return path


def write_gdf(
    path: Path,
    seed: int = 0,
    *,
    sfreq: int = 100,
    pulses: Sequence[int] = PULSES,
    n_times: int = 2000,
    code: int = 769,
    event_rate: float | None = None,
    unit: tuple[int, float] = (4275, 1.0),
) -> Path:
    """Write a GDF 2.10 file (Schloegl 2006): 32-bit floats, one record per s, an event table.

    ``unit`` is the code of the unit and how many of it a microvolt is.
    """
    data = (unit[1] * microvolts(seed, n_times)).astype("<f4")
    n, n_records = len(data), data.shape[1] // sfreq
    fixed = b"GDF 2.10" + f"X {make.CANARY}".encode().ljust(66) + bytes(10 + 4) + b"rec".ljust(64) + bytes(16)
    fixed += struct.pack("<QQ", 0, 0) + struct.pack("<H", n + 1) + bytes(6 + 8 + 6 + 6 + 12 + 12)
    fixed += struct.pack("<qIIHH", n_records, 1, 1, n, 0)
    assert len(fixed) == 256
    per_channel = (
        b"".join(name.encode().ljust(16) for name in NAMES),
        bytes(80 * n + 6 * n),
        struct.pack(f"<{n}H", *[unit[0]] * n),
        struct.pack(f"<{4 * n}d", *([-1e3 * unit[1]] * n + [1e3 * unit[1]] * n) * 2),
        bytes(68 * n),
        struct.pack(f"<{3 * n}f", *[40.0] * n, *[0.1] * n, *[0.0] * n),
        struct.pack(f"<{n}i", *[sfreq] * n),
        struct.pack(f"<{n}i", *[16] * n),
        bytes(12 * n + n + 19 * n),
    )
    variable = b"".join(per_channel)
    assert len(variable) == 256 * n
    records = data.reshape(n, n_records, sfreq).transpose(1, 0, 2)
    events = b"\x01" + len(pulses).to_bytes(3, "little") + struct.pack("<f", event_rate or sfreq)
    events += struct.pack(f"<{len(pulses)}I", *[each + 1 for each in pulses])
    events += struct.pack(f"<{len(pulses)}H", *[code] * len(pulses))
    path.write_bytes(fixed + variable + records.tobytes() + events)
    return path


def write_cnt(
    path: Path,
    seed: int = 0,
    *,
    sfreq: int = 100,
    pulses: Sequence[int] = PULSES,
    n_times: int = 2000,
    kind: int = 1,
    names: Sequence[str] = NAMES,
    marks: Sequence[tuple[int, int]] = (),
    bad: Sequence[int] = (),
) -> Path:
    """Write a Neuroscan CNT file (version 3.0): 32-bit integers of 0.01 microvolt, a table of events.

    ``kind`` is that of the table; ``marks`` are samples and states (0xC to 0xE) of marks, ``bad`` numbers of channels.
    """
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
    for k, name in enumerate(names):
        at = 900 + 75 * k
        head[at : at + 10] = name.encode().ljust(10, b"\0")
        head[at + 14] = k in bad
        struct.pack_into("<ff", head, at + 19, 300 + 90 * np.cos(angles[k]), 300 + 90 * np.sin(angles[k]))
        # microvolts per step: sensitivity * calibration / 204.8
        struct.pack_into("<f", head, at + 59, 0.01 * 204.8)
        struct.pack_into("<f", head, at + 71, 1.0)
    rows = sorted([*((each, 7, 0) for each in pulses), *((at, 0, state) for at, state in marks)])
    # the third type counts samples, the others bytes of the file
    offsets = [at if kind == 3 else len(head) + 4 * n * at for at, _, _ in rows]
    tail = b"" if kind == 1 else bytes(11)
    events = b"".join(
        struct.pack("<HBBi", code, 0, state << 4, offset) + tail
        for (_, code, state), offset in zip(rows, offsets, strict=True)
    )
    table = struct.pack("<Bii", kind, len(events), 0) + events
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


def write_persyst(path: Path, seed: int = 0, *, sfreq: int = 100) -> Path:
    """Write a Persyst layout (``.lay``) and its 16-bit values of 0.01 microvolt (``.dat``)."""
    names = "\n".join(f"{name}-Ref={k}" for k, name in enumerate(NAMES, start=1))
    path.write_text(
        f"[FileInfo]\nFile={path.stem}.dat\nFileType=Interleaved\nSamplingRate={sfreq}\nHeaderLength=0\n"
        f"Calibration=0.01\nWaveformCount={len(NAMES)}\nDataType=0\n[ChannelMap]\n{names}\n"
        f"[Patient]\nFirst={make.CANARY}\nSex=F\nHand=R\nBirthDate=01-01-90\nTestDate=01-03-2024\nTestTime=10:00:00\n[Comments]\n",
        encoding="utf-8",
    )
    path.with_suffix(".dat").write_bytes(np.rint(100 * microvolts(seed)).T.astype("<i2").tobytes())
    return path


def write_hitachi(path: Path, *, end: str = "\n", pause_s: float = 0.0, timed: bool = True) -> Path:
    """Write 60 s of a Hitachi ETG file: one mark at 5 s, movement at 10-14 s, a removal at 20-26 s, a pause at 30 s."""
    n, kinds = 22, ("695.0", "830.0")
    columns = [f"CH{k}({kind})" for k in range(1, n + 1) for kind in kinds]
    head = ["Header", "File Version,1.08", "Patient Information", f"Name,{make.CANARY}", "Age, 30y", "Sex,Male"]
    head += ["AnalyzeMode,Continuous", "Date,2024/05/17 05:14", "Mode,3x5", "Wave[nm],695,830"]
    head += [f"Wave Length,{','.join(columns)}", "Sampling Period[s],0.1", "Data"]
    marks = ["Mark", *["Time"] * timed, "BodyMovement", "RemovalMark", "PreScan"]
    light = 1 + 0.01 * np.random.default_rng(0).standard_normal((600, 2 * n))
    rows = []
    for k, values in enumerate(light):
        second = 7.3 + 0.1 * k + (pause_s if k >= 300 else 0.0)
        told = [str(int(k == 50)), *[f"05:{14 + int(second) // 60:02d}:{second % 60:05.2f}"] * timed]
        told += [str(int(low <= k < high)) for low, high in ((100, 140), (200, 260), (0, 20))]
        rows.append(",".join([str(k + 1), *(f"{value:.6f}" for value in values), *told]))
    path.write_bytes(end.join([*head, ",".join(["Probe1", *columns, *marks]), *rows, ""]).encode("latin-1"))
    return path


def write_eximia(path: Path, seed: int = 0, *, n_times: int = 3000) -> Path:
    """Write an eXimia file: three triggers, one EOG and 60 EEG channels at 1450 Hz, without a header."""
    data = np.random.default_rng(seed).standard_normal((64, n_times)) * 1e2
    data[:3] = 0
    path.write_bytes(np.rint(data).T.astype("<i2").tobytes())
    return path


def write_nicolet(path: Path, seed: int = 0, *, sfreq: int = 100) -> Path:
    """Write a Nicolet header (``.head``) and its 16-bit values of 0.01 microvolt (``.data``)."""
    data = np.rint(100 * microvolts(seed)).T.astype("<i2")
    facts = {
        "start_ts": "2024-03-01 10:00:00.000",
        "num_samples": len(data),
        "sample_freq": sfreq,
        "conversion_factor": 0.01,
        "num_channels": len(NAMES),
        "elec_names": f"[{','.join(NAMES)}]",
        "pat_id": 1,
        "adm_id": 1,
        "rec_id": 1,
    }
    path.with_suffix(".head").write_text("".join(f"{key}={value}\n" for key, value in facts.items()))
    path.write_bytes(data.tobytes())
    return path


def write_curry(path: Path, seed: int = 0) -> Path:
    """Write the two files of a Curry 8 recording; its reader needs a package that the tests do not install."""
    path.write_bytes(microvolts(seed).T.astype("<f4").tobytes())
    path.with_name(f"{path.name}.dpa").write_text("FileVersion = 804\nSampleFreqHz = 100\nSampleTimeUsec = 10000\n")
    return path


def declare(path: Path, names: Sequence[str] = NAMES, unit: str = "uV") -> None:
    """Write the sidecar of a table of numbers."""
    facts = {"SamplingFrequency": 100, "ChannelNames": list(names), "Unit": unit}
    path.with_name(f"{path.stem}_sidecar.json").write_text(json.dumps(facts), encoding="utf-8")


def write_numbers(path: Path, seed: int = 0) -> Path:
    """Write a table of numbers as text or, for ``.mat``, as a matrix, and its sidecar."""
    declare(path)
    if path.suffix == ".mat":
        scipy.io.savemat(path, {"eeg": microvolts(seed).T})
    else:
        np.savetxt(path, microvolts(seed).T, delimiter=",")
    return path


def _xdf(path: Path, seed: int) -> Path:
    return make.write_xdf(path, [make.xdf_person(seed, "A", 100.0 + np.arange(2000) / 100.0)])


def _split_fif(path: Path, seed: int) -> Path:
    raw = make.eeg_raw(seed, sfreq=1000.0, seconds=200.0)
    raw.save(path, split_size="3MB", overwrite=True, verbose="ERROR")
    return path


def _copy(source: str) -> Callable[[Path, int], Path]:
    """Copy a real recording of ``../shared/data/readers``."""

    def write(path: Path, seed: int) -> Path:
        del seed
        found = Path(__file__).parents[2] / "shared" / "data" / "readers" / source
        return Path(shutil.copytree(found, path) if found.is_dir() else shutil.copy(found, path))

    return write


def _cut(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 3 + 1])


def _remove(ending: str) -> Callable[[Path], None]:
    return lambda path: path.with_name(path.stem + ending).unlink()


@dataclass(frozen=True)
class Example:
    """A recording of a format: how it is written, and how it is damaged."""

    #: Name of the file or folder
    name: str
    write: Callable[[Path, int], Path]
    damage: Callable[[Path], None] = _cut
    modality: str = "eeg"
    #: Words of the message where the installed packages cannot read it
    lacks: str = ""
    #: Whether it is a copy of a real recording, which is no part of the project
    is_real: bool = False


def _write_riff(path: Path, seed: int) -> Path:
    path.write_bytes(b"RIFF" + np.random.default_rng(seed).bytes(2000))
    return path


#: An example of each format by its name; the formats of ``hyperscan.study.formats`` are walked through it.
EXAMPLES: dict[str, Example] = {
    "FIF": Example("t-raw.fif", _split_fif),
    "EDF": Example("t.edf", make.write_edf),
    "BDF": Example("t.bdf", make.write_edf),
    "BrainVision": Example("t.vhdr", make.write_brainvision, _remove(".vmrk")),
    "EEGLAB": Example("t.set", lambda path, seed: make.write_set(path, seed, fdt=True), _remove(".fdt")),
    "EGI": Example("t.raw", write_egi),
    "EGI MFF": Example("t.mff", write_mff, lambda path: (path / "info1.xml").unlink()),
    "GDF": Example("t.gdf", write_gdf),
    "CNT": Example("t.cnt", write_cnt),
    # the installed reader ends the process on files that its own writer made: only what it refuses is tried
    "ANT CNT": Example("t.cnt", _write_riff, lacks="cannot be read as ANT CNT"),
    "Persyst": Example("t.lay", write_persyst, _remove(".dat")),
    "eximia": Example("t.nxe", write_eximia),
    "Curry": Example("t.cdt", write_curry, _remove(".cdt.dpa"), lacks="needs the Python package 'curryreader'"),
    "Nicolet": Example("t.data", write_nicolet),
    "XDF": Example("t.xdf", _xdf, lambda path: path.write_bytes(path.read_bytes()[:300])),
    "SNIRF": Example("t.snirf", make.write_snirf, modality="fnirs"),
    "NIRx": Example(
        "t", _copy("nirx_15_2_short"), lambda path: next(path.glob("*.wl2")).unlink(), modality="fnirs", is_real=True
    ),
    "Homer": Example("t.nirs", make.write_nirs, modality="fnirs"),
    "Hitachi": Example("t.csv", _copy("hitachi/sample_MES_Probe1.csv"), modality="fnirs", is_real=True),
    "BOXY": Example("t.txt", _copy("boxy/boxy_0_40_notriggers_unparsed.txt"), modality="fnirs", is_real=True),
    "MATLAB": Example("t.mat", write_numbers),
    "table": Example("t.csv", write_numbers, _remove("_sidecar.json")),
}
