"""Recordings of every format, written by the tests themselves; and what a good message looks like."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import edfio
import h5py
import mne
import numpy as np
import pytest
import scipy.io

from hyperscan.errors import ReadError
from hyperscan.recording import PairedRecording, load_session
from hyperscan.study.session import Session

CHANNELS = ("Fz", "Cz", "Pz", "Oz")
#: Stands in every header that can hold a name; must never come out again.
CANARY = "JaneDoe"
#: What a remedy asks for: the imperative at the start of a sentence or after a comma, "or" or a semicolon.
_REMEDY = re.compile(
    r"(?:^|[.:;,?\n] |\n|\bor )(?:copy|export|rename|correct|name|write|fetch|download|unpack|check|declare|say|make|"
    r"install|use|leave|record|save|cut|choose|give|put|compare|mend|lower|set|move|widen|look|keep|fill|add|call)\b",
    re.IGNORECASE,
)
#: What a note about a correction says was done.
_DONE = re.compile(
    r"\b(?:left out|marked|put|fitted|placed|resampled|cropped|taken|renamed|kept|used|skipped|read|opened|paired|"
    r"recorded|have no partner|not computed|reference|regions are)\b"
)
_NEVER = re.compile(r"Traceback|File \"|line \d+, in |\bself\.|<class|0x[0-9a-f]{6,}|/tmp/|/home/|/root/")


def check_message(said: str | BaseException, root: Path, *words: str) -> None:
    """Assert that a message names file or row, fault and remedy, briefly, and nothing it should not."""
    text = str(said)
    assert len(text.splitlines()) <= 3, text
    assert str(root) not in text, "an absolute path"
    assert CANARY not in text, "a person's name"
    for word in words:
        assert word in text, f"{word!r} is missing in: {text}"
    assert _REMEDY.search(text), f"no remedy in: {text}"
    assert not _NEVER.search(text), text
    assert len(text) < 700, text


def check_note(notes: Sequence[str], root: Path, *words: str) -> None:
    """Assert that exactly one note holds the words, says what was done, and shows nothing it should not."""
    (note,) = [each for each in notes if all(word in each for word in words)]
    assert _DONE.search(note), f"nothing done: {note}"
    assert str(root) not in note
    assert CANARY not in note
    assert not _NEVER.search(note), note
    assert len(note.splitlines()) == 1


def check_quality(pair: PairedRecording, role: str, *words: str) -> None:
    """Assert that the reason of a person's grade, as ``quality.tsv`` has it, says what was found."""
    assert pair.quality is not None
    reason = str(pair.quality.of(role)["reason"])
    for word in words:
        assert word in reason, reason
    assert not _NEVER.search(reason), reason


def session(root: Path, therapist: str, client: str, modality: str = "eeg", **changes: Any) -> Session:
    """Return a row of the table for two files below root."""
    return Session("D1", "T1", "C1", 1, modality, root / therapist, root / client, root, **changes)


def load(root: Path, therapist: str, client: str, modality: str = "eeg", **changes: Any) -> PairedRecording:
    """Read two files below root."""
    return load_session(session(root, therapist, client, modality, **changes))


def load_parts(
    root: Path, file: str, therapist: str | None, client: str | None, modality: str = "eeg"
) -> PairedRecording:
    """Read one file of two people."""
    return load(root, file, file, modality, therapist_channels=therapist, client_channels=client)


def refused(root: Path, bad: str, good: str, *words: str, modality: str = "eeg", **changes: Any) -> None:
    """Assert that a pair is refused at reading, with a good message that names the therapist's file."""
    with pytest.raises(ReadError) as caught:
        load(root, bad, good, modality, **changes)
    check_message(caught.value, root, bad, *words)


def row_of(dyad: int, session: int, therapist: str, client: str, /, **changes: str) -> dict[str, str]:
    """Return a line of ``dyads.tsv`` for two EEG files started together."""
    base = {"dyad": f"D{dyad}", "therapist": f"T{dyad}", "client": f"C{dyad}", "session": str(session)}
    files = {"modality": "eeg", "therapist_file": therapist, "client_file": client, "clock": "assumed"}
    return base | files | changes


def write_rows(root: Path, rows: Sequence[dict[str, str]]) -> Path:
    """Write ``dyads.tsv`` from its lines."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    lines = ["\t".join(columns)] + ["\t".join(row.get(name, "n/a") for name in columns) for row in rows]
    (root / "dyads.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root


def noise(seed: int, n_channels: int = 4, n_times: int = 2000, scale: float = 1e-5) -> np.ndarray:
    """White noise in V."""
    return scale * np.random.default_rng(seed).standard_normal((n_channels, n_times))


def eeg_raw(seed: int = 0, *, sfreq: float = 100.0, seconds: float = 20.0, names: Sequence[str] = CHANNELS) -> Any:
    """EEG of one person, with a name in its header."""
    data = noise(seed, len(names), round(seconds * sfreq))
    raw = mne.io.RawArray(data, mne.create_info(list(names), sfreq, "eeg"), verbose="ERROR")
    raw.info["subject_info"] = {"his_id": CANARY, "last_name": CANARY}
    raw.info["description"] = CANARY
    return raw


def write_fif(path: Path, seed: int = 0, **options: Any) -> Path:
    """Write a FIF file."""
    eeg_raw(seed, **options).save(path, overwrite=True, verbose="ERROR")
    return path


def write_edf(
    path: Path,
    seed: int = 0,
    *,
    sfreq: float = 100.0,
    seconds: float = 20.0,
    names: Sequence[str] = CHANNELS,
    annotations: Iterable[tuple[float, str]] = (),
    scale: float = 1e-5,
    data: np.ndarray | None = None,
    record_s: float | None = None,
) -> Path:
    """Write an EDF (16 bit) or, for ``.bdf``, a BDF (24 bit) file in microvolts."""
    data = 1e6 * noise(seed, len(names), round(seconds * sfreq), scale) if data is None else data
    kind = edfio.BdfSignal if path.suffix == ".bdf" else edfio.EdfSignal
    signals = [kind(row, sfreq, label=name, physical_dimension="uV") for row, name in zip(data, names, strict=True)]
    marks = [edfio.EdfAnnotation(onset, None, text) for onset, text in annotations]
    if path.suffix == ".bdf":
        edfio.Bdf(signals, annotations=marks or None).write(path)
    else:
        patient = edfio.Patient(name=CANARY)
        edfio.Edf(signals, patient=patient, annotations=marks or None, data_record_duration=record_s).write(path)
    return path


def write_brainvision(
    path: Path,
    seed: int = 0,
    *,
    sfreq: float = 100.0,
    seconds: float = 20.0,
    names: Sequence[str] = CHANNELS,
    markers: Sequence[tuple[str, str, int]] = (("Stimulus", "S  1", 500),),
    data: np.ndarray | None = None,
) -> Path:
    """Write the three files of a BrainVision recording; markers are (type, description, sample from 1 on)."""
    data = 1e6 * noise(seed, len(names), round(seconds * sfreq)) if data is None else data
    path.with_suffix(".eeg").write_bytes(data.T.astype("<f4").tobytes())
    lines = [
        "Brain Vision Data Exchange Header File Version 1.0",
        f"; written by {CANARY}",
        "",
        "[Common Infos]",
        "Codepage=UTF-8",
        f"DataFile={path.stem}.eeg",
        f"MarkerFile={path.stem}.vmrk",
        "DataFormat=BINARY",
        "DataOrientation=MULTIPLEXED",
        f"NumberOfChannels={len(names)}",
        f"SamplingInterval={1e6 / sfreq:g}",
        "",
        "[Binary Infos]",
        "BinaryFormat=IEEE_FLOAT_32",
        "",
        "[Channel Infos]",
    ]
    lines += [f"Ch{k + 1}={name},,1,µV" for k, name in enumerate(names)]
    path.write_text("\r\n".join(lines) + "\r\n", encoding="utf-8")
    rows = [
        "Brain Vision Data Exchange Marker File, Version 1.0",
        "",
        "[Common Infos]",
        "Codepage=UTF-8",
        f"DataFile={path.stem}.eeg",
        "",
        "[Marker Infos]",
        "Mk1=New Segment,,1,1,0,20240301100000000000",
    ]
    rows += [f"Mk{k + 2}={kind},{text},{sample},1,0" for k, (kind, text, sample) in enumerate(markers)]
    path.with_suffix(".vmrk").write_text("\r\n".join(rows) + "\r\n", encoding="utf-8")
    return path


def write_set(
    path: Path,
    seed: int = 0,
    *,
    sfreq: float = 100.0,
    seconds: float = 20.0,
    names: Sequence[str] = CHANNELS,
    fdt: bool = False,
    trials: int = 1,
    data: np.ndarray | None = None,
    events: Sequence[tuple[str, float, float]] = (),
) -> Path:
    """Write an EEGLAB file, its data inside or in an ``.fdt`` file; events are (type, latency, duration in samples)."""
    data = 1e6 * noise(seed, len(names), round(seconds * sfreq)) if data is None else data
    data = data.astype(np.float32)
    n = data.shape[1] // trials
    shaped = data if trials == 1 else data[:, : n * trials].reshape(len(names), trials, n).transpose(0, 2, 1)
    if fdt:
        path.with_suffix(".fdt").write_bytes(data.T.tobytes())
    locations = np.array([(name,) for name in names], dtype=[("labels", object)])
    latency = np.arange(trials) * n + 1.0
    listed = np.array(
        [("1", at, k + 1.0, k + 1.0) for k, at in enumerate(latency)],
        dtype=[("type", object), ("latency", float), ("epoch", float), ("urevent", float)],
    )
    if events:
        listed = np.array(list(events), dtype=[("type", object), ("latency", float), ("duration", float)])
    epochs = np.array(
        [(k + 1.0, "1", 0.0) for k in range(trials)],
        dtype=[("event", object), ("eventtype", object), ("eventlatency", object)],
    )
    content = {
        "setname": CANARY,
        "nbchan": float(len(names)),
        "trials": float(trials),
        "pnts": float(n),
        "srate": float(sfreq),
        "xmin": 0.0,
        "xmax": (n - 1) / sfreq,
        "times": np.arange(n) / sfreq * 1e3,
        "data": f"{path.stem}.fdt" if fdt else shaped,
        "chanlocs": locations,
        "event": listed,
        "urevent": np.array([("1", at) for at in latency], dtype=[("type", object), ("latency", float)]),
        "epoch": epochs if trials > 1 else np.array([]),
        "icawinv": np.array([]),
        "icasphere": np.array([]),
        "icaweights": np.array([]),
        "icachansind": np.array([]),
        "ref": "common",
    }
    scipy.io.savemat(path, {"EEG": content}, appendmat=False)
    return path


def snirf_group(
    group: h5py.Group,
    seed: int = 0,
    *,
    n_sources: int = 3,
    seconds: float = 60.0,
    sfreq: float = 10.0,
    times: np.ndarray | None = None,
    blood: bool = False,
    only: int | None = None,
    stimuli: Sequence[float] = (),
    unit: str = "m",
    heart: float = 0.0,
) -> None:
    """Fill a ``/nirs`` group: one detector 3 cm from each source, two wavelengths."""
    rng = np.random.default_rng(seed)
    times = np.arange(round(seconds * sfreq)) / sfreq if times is None else times
    listed = [(s, w) for s in range(1, n_sources + 1) for w in (1, 2) if only is None or s != only or w == 1]
    level = 1e-6 if blood else 1.0
    data = level * (0.02 * rng.standard_normal((len(times), len(listed))) + (0.0 if blood else 1.0))
    data += heart * np.sin(2 * np.pi * (1.1 + 0.01 * seed) * times)[:, None]
    group["metaDataTags/SubjectID"] = CANARY
    for key, value in (
        ("MeasurementDate", "2024-03-01"),
        ("MeasurementTime", "10:11:12Z"),
        ("LengthUnit", unit),
        ("TimeUnit", "s"),
        ("FrequencyUnit", "Hz"),
    ):
        group[f"metaDataTags/{key}"] = value
    group["data1/dataTimeSeries"] = data
    group["data1/time"] = times
    for k, (source, wave) in enumerate(listed, start=1):
        rows = {
            "sourceIndex": source,
            "detectorIndex": source,
            "wavelengthIndex": wave,
            "dataTypeIndex": 1,
            "dataType": 99999 if blood else 1,
        }
        for key, value in rows.items():
            group[f"data1/measurementList{k}/{key}"] = np.int32(value)
        if blood:
            group[f"data1/measurementList{k}/dataTypeLabel"] = ("HbO", "HbR")[wave - 1]
    x = np.arange(n_sources)[:, None] * np.array([[0.04, 0.0, 0.0]])
    group["probe/sourcePos3D"] = x
    group["probe/detectorPos3D"] = x + np.array([[0.0, 0.03, 0.0]])
    group["probe/wavelengths"] = np.array([760.0, 850.0])
    group["probe/sourceLabels"] = np.array([f"S{k + 1}".encode() for k in range(n_sources)])
    group["probe/detectorLabels"] = np.array([f"D{k + 1}".encode() for k in range(n_sources)])
    if len(stimuli):
        group["stim1/name"] = "talk"
        group["stim1/data"] = np.array([[at, 5.0, 1.0] for at in stimuli])


def write_snirf(path: Path, seed: int = 0, *, groups: Sequence[str] = ("nirs",), **options: Any) -> Path:
    """Write a SNIRF file with one person per group."""
    with h5py.File(path, "w") as file:
        file["formatVersion"] = "1.1"
        for k, each in enumerate(groups):
            snirf_group(file.create_group(each), seed + k, **options)
    return path


def write_nirs(
    path: Path, seed: int = 0, *, n: int = 600, sfreq: float = 10.0, times: np.ndarray | None = None
) -> Path:
    """Write a Homer file with three sources and detectors."""
    rng = np.random.default_rng(seed)
    listed = np.array([[s, s, 1, w] for w in (1, 2) for s in (1, 2, 3)])
    positions = np.arange(3)[:, None] * np.array([[40.0, 0.0, 0.0]])
    probe = {
        "Lambda": np.array([[760.0, 850.0]]),
        "MeasList": listed,
        "SrcPos": positions,
        "DetPos": positions + np.array([[0.0, 30.0, 0.0]]),
        "SpatialUnit": "mm",
        "nSrcs": 3,
        "nDets": 3,
    }
    stimuli = np.zeros((n, 1))
    stimuli[100:110] = 1
    scipy.io.savemat(
        path,
        {
            "d": 1 + 0.02 * rng.standard_normal((n, 6)),
            "t": (np.arange(n) / sfreq if times is None else times)[:, None],
            "SD": probe,
            "s": stimuli,
            "aux": np.zeros((n, 1)),
        },
        appendmat=False,
    )
    return path


def _chunk(tag: int, content: bytes) -> bytes:
    return b"\x04" + struct.pack("<I", len(content) + 2) + struct.pack("<H", tag) + content


def _xdf_stream(number: int, stream: dict[str, Any], footer: bool) -> bytes:
    data, stamps = stream["data"], np.asarray(stream["stamps"], float)
    text = stream.get("format", "float32") == "string"
    names = stream.get("labels", ())
    types = stream.get("types", [stream.get("channel_type", "EEG")] * len(names))
    labels = "".join(
        f"<channel><label>{each}</label><unit>{stream.get('unit', 'microvolts')}</unit><type>{kind}</type></channel>"
        for each, kind in zip(names, types, strict=True)
    )
    header = (
        f'<?xml version="1.0"?><info><name>{stream["name"]}</name><type>{stream["type"]}</type>'
        f"<channel_count>{1 if text else len(data)}</channel_count>"
        f"<nominal_srate>{stream.get('rate', 0)}</nominal_srate>"
        f"<channel_format>{stream.get('format', 'float32')}</channel_format>"
        f"<source_id>{stream.get('id', '')}</source_id>"
        + "".join(f"<{tag}>{text}</{tag}>" for tag, text in stream.get("tags", {}).items())
        + f"<desc><channels>{labels}</channels></desc></info>"
    )
    ident = struct.pack("<I", number)
    made = _chunk(2, ident + header.encode())
    offset = stream.get("clock_offset", 0.0)
    for at in np.linspace(stamps[0], stamps[-1], 12) if len(stamps) else ():
        made += _chunk(4, ident + struct.pack("<dd", at, offset))
    samples = b""
    for k, stamp in enumerate(stamps):
        samples += b"\x08" + struct.pack("<d", stamp)
        if text:
            raw = str(data[k]).encode()
            samples += b"\x01" + struct.pack("<B", len(raw)) + raw
        else:
            samples += np.asarray(data[:, k], "<f4").tobytes()
    if len(stamps):
        made += _chunk(3, ident + b"\x04" + struct.pack("<I", len(stamps)) + samples)
    end = (
        f'<?xml version="1.0"?><info><first_timestamp>{stamps[0] if len(stamps) else 0}</first_timestamp>'
        f"<last_timestamp>{stamps[-1] if len(stamps) else 0}</last_timestamp>"
        f"<sample_count>{len(stamps)}</sample_count></info>"
    )
    return made + (_chunk(6, ident + end.encode()) if footer else b"")


def write_xdf(path: Path, streams: Sequence[dict[str, Any]], *, footer: bool = True) -> Path:
    """Write an XDF file; a stream has name, type, rate, data (channels, times) or texts, stamps, labels."""
    head = b'<?xml version="1.0"?><info><version>1.0</version></info>'
    path.write_bytes(b"XDF:" + _chunk(1, head) + b"".join(_xdf_stream(k + 1, s, footer) for k, s in enumerate(streams)))
    return path


def xdf_person(seed: int, called: str, stamps: np.ndarray, *, rate: float = 100.0, **more: Any) -> dict[str, Any]:
    """Return an EEG stream in microvolts."""
    return {
        "name": called,
        "type": "EEG",
        "rate": rate,
        "data": 1e6 * noise(seed, 4, len(stamps)),
        "stamps": stamps,
        "labels": CHANNELS,
        "id": f"id-{called}",
    } | more


def save_epochs(
    path: Path, seed: int, kept: Sequence[int], *, n_all: int = 20, first: int = 1000, seconds: float = 1.0
) -> Path:
    """Write epochs of which only some are kept; sample 10 of epoch k holds k microvolts."""
    sfreq = 100.0
    data = noise(seed, 4, n_all * round(seconds * sfreq)).reshape(4, n_all, -1).transpose(1, 0, 2)
    data[:, :, 10] = 1e-6 * np.arange(n_all)[:, None]
    events = np.column_stack([first + 250 * np.arange(n_all), np.zeros(n_all, int), np.ones(n_all, int)])
    epochs = mne.EpochsArray(data, mne.create_info(list(CHANNELS), sfreq, "eeg"), events, verbose="ERROR")
    epochs.drop([k for k in range(n_all) if k not in set(kept)], verbose="ERROR")
    epochs.save(path, overwrite=True, verbose="ERROR")
    return path


#: Rules for the file of :func:`two_streams`.
XDF_RULES = {"therapist_channels": "stream:A", "client_channels": "stream:B"}


def two_streams(path: Path) -> bytes:
    """Write an XDF file of two people on one clock, and return its content."""
    stamps = 100.0 + np.arange(2000) / 100.0
    return write_xdf(path, [xdf_person(1, "A", stamps), xdf_person(2, "B", stamps)]).read_bytes()
