"""A signal that both people were exposed to, or made, from a file: sound as its envelope, a table as it is."""

from __future__ import annotations

import struct
import warnings
from pathlib import Path
from typing import Literal

import mne
import numpy as np
from numpy.typing import NDArray
from scipy.io import wavfile

from hyperscan.errors import ReadError
from hyperscan.recording.files.bids import Sidecar
from hyperscan.recording.files.tables import table_of_numbers
from hyperscan.recording.guard import check_memory, guarded
from hyperscan.recording.records import SharedSignal
from hyperscan.recording.timeline import MAX_PPM
from hyperscan.storage import odd_kind
from hyperscan.study.session import Session

#: Rate of the envelope of a sound, in Hz: it holds every band that EEG is looked at in (our choice).
ENVELOPE_HZ = 500.0

#: Most signals of a file: more are no stereo sound and no few masks, but a recording (our choice).
MAX_SIGNALS = 8

#: Samples of a sound that are squared at a time, and most parts of its file (our choice).
_BLOCK, _MAX_PARTS = 1_000_000, 10_000

_FORM = '{"SamplingFrequency": 100, "StartTime": 0}'

Array = NDArray[np.float64]


def read_shared_file(path: Path, session: Session) -> SharedSignal:
    """Read a ``.wav``, ``.csv`` or ``.tsv`` file whose sidecar says when, on the therapist's recording, it begins."""
    name = session.relative(path)
    if not path.is_file():
        raise ReadError(f"{name}: shared_file is {odd_kind(path) or 'a folder'}, no file. Name the file itself.")
    sidecar = _sidecar(path, name)
    assert sidecar.start_s is not None
    is_sound = path.suffix.lower() == ".wav"
    data, sfreq, centre_s = _read_sound(path, name, sidecar.sfreq) if is_sound else _read_table(path, name, sidecar)
    _check_values(data, sfreq, name)
    info = mne.create_info([f"shared {number}" for number in range(1, len(data) + 1)], sfreq, "misc")
    raw = mne.io.RawArray(data, info, verbose="WARNING")
    return SharedSignal(raw, sfreq, start_s=sidecar.start_s + centre_s)


def _sidecar(path: Path, name: str) -> Sidecar:
    """Read ``NAME.json``, with ``StartTime`` in s from the first sample of the therapist's recording on."""
    beside = path.with_suffix(".json")
    if not beside.is_file():
        raise ReadError(
            f"{name}: needs {beside.name[-60:]} beside it, which says when it begins on the therapist's recording (s)\n"
            f"and, for a table, its rate (Hz): {_FORM}. Write it."
        )
    try:
        found = Sidecar.read(beside)
    except (ValueError, RecursionError, OverflowError) as error:
        raise ReadError(
            f"{name}: its sidecar is not valid JSON ({type(error).__name__}). Write it as {_FORM}."
        ) from error
    if found.start_s is None or not abs(found.start_s) < 1e7:
        raise ReadError(
            f"{name}: its sidecar gives no StartTime: the s from the first sample of the therapist's recording to its "
            f"own, below 0 if it began before. Write it as {_FORM}."
        )
    return found


def _read_sound(path: Path, name: str, stated: float | None) -> tuple[Array, float, float]:
    """Take the root mean square of every channel in short frames; give it, its rate, and the middle of the first frame.

    Shapes: returns (n_channels, n_frames), rate in Hz, time in s.
    """
    check_sound(path, name)
    # samples of 3 bytes become 4, and are held twice for a moment
    check_memory(3 * path.stat().st_size // 8, name)
    with guarded(name, "WAV"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Chunk", wavfile.WavFileWarning)  # tags and the like
        held, sound = wavfile.read(path)
    rate = held if stated is None else stated
    if not abs(rate / held - 1) <= 1e-6 * MAX_PPM:
        raise ReadError(
            f"{name}: its header says {held:g} Hz, its sidecar {rate:g} Hz; at most {MAX_PPM:g} ppm can be drift. "
            "Correct SamplingFrequency, or leave it out."
        )
    n_frame = max(1, round(rate / ENVELOPE_HZ))
    n_frames = len(sound) // n_frame
    frames = sound[: n_frames * n_frame].reshape(n_frames, n_frame, -1)
    if len(frames) and frames.shape[-1] > MAX_SIGNALS:
        raise _too_many(name, frames.shape[-1])
    middle = 128.0 if sound.dtype == np.uint8 else 0.0
    envelope = np.empty((frames.shape[-1], n_frames))
    step = max(1, _BLOCK // n_frame)
    for first in range(0, n_frames, step):
        block = slice(first, first + step)
        envelope[:, block] = np.sqrt(np.square(frames[block].astype(np.float64) - middle).mean(axis=1)).T
    return envelope, rate / n_frame, 0.5 * (n_frame - 1) / rate


def check_sound(path: Path, name: str) -> set[str]:
    """Refuse a sound whose header contradicts itself or what the file holds; give the names of its further parts.

    SciPy would read some of them short.
    """
    size, at, n_parts = path.stat().st_size, 12, 0
    parts: dict[bytes, tuple[int, ...]] = {}
    further: set[str] = set()
    with guarded(name, "WAV"), path.open("rb") as stream:
        kind, announced = struct.unpack("4s4s4x", stream.read(12))
        order: Literal["big", "little"] = "big" if kind == b"RIFX" else "little"
        sign = ">" if order == "big" else "<"
        end = 8 + int.from_bytes(announced, order)
        while at + 8 <= size and (n_parts := n_parts + 1) <= _MAX_PARTS:
            stream.seek(at)
            part, length = struct.unpack(f"{sign}4sI", stream.read(8))
            if part in parts:
                raise ReadError(f"{name}: holds two parts of one kind, and which counts is not told. Export it anew.")
            if part == b"ds64":  # of files beyond 4 GB
                parts[part] = struct.unpack("<QQ", stream.read(16))
                end = 8 + parts[part][0]
            elif part == b"fmt ":
                parts[part] = struct.unpack(f"{sign}HHIIHH", stream.read(16))
            elif part == b"data":
                length = parts[b"ds64"][1] if b"ds64" in parts else length
                parts[part] = (length,)
            else:
                further.add(part.decode("latin-1").strip())
            at += 8 + length + length % 2
    if not {b"fmt ", b"data"} <= set(parts) or n_parts > _MAX_PARTS:
        raise ReadError(f"{name}: is no WAV file with one sound. Export it as WAV (PCM).")
    # a byte that fills up may be missing at the end
    if max(at, end, size) - min(at, end, size) > 1:
        told = "is cut off" if size < max(at, end) else "holds more than that"
        announces = max(at, end) if size < max(at, end) else min(at, end)
        raise ReadError(
            f"{name}: {told}: its header announces {announces} bytes, there are {size}. Copy it again, or export it "
            "anew."
        )
    _, n_channels, rate, per_second, frame, bits = parts[b"fmt "]
    if not (n_channels and rate and bits and frame == n_channels * -(-bits // 8) and per_second == rate * frame):
        raise ReadError(
            f"{name}: its header contradicts itself ({n_channels} channels of {bits} bits in {frame} bytes, {rate} "
            f"times and {per_second} bytes per s). Export it as WAV (PCM)."
        )
    return further


def _read_table(path: Path, name: str, sidecar: Sidecar) -> tuple[Array, float, float]:
    """Read one signal per column; give them, their rate, and that the first value is of its own time.

    Shapes: returns (n_columns, n_rows), rate in Hz, time in s.
    """
    rate = sidecar.sfreq or 0.0
    if not 0 < rate < 1e6:
        raise ReadError(f"{name}: its sidecar gives no SamplingFrequency above 0 Hz. Write it as {_FORM}.")
    data = table_of_numbers(path, name).T
    if len(data) > MAX_SIGNALS:
        raise _too_many(name, len(data))
    return np.ascontiguousarray(data), rate, 0.0


def _too_many(name: str, n: int) -> ReadError:
    return ReadError(
        f"{name}: holds {n} signals, and at most {MAX_SIGNALS} can be taken out of a recording together. Keep those "
        "that matter, such as one envelope for each person."
    )


def _check_values(data: Array, sfreq: float, name: str) -> None:
    """Refuse values that are not there or never change, by the column and the time."""
    if data.size == 0 or data.shape[1] < 2:
        raise ReadError(f"{name}: holds fewer than two values of the shared signal. Export it again.")
    for number, row in enumerate(data, start=1):
        lost = np.flatnonzero(~np.isfinite(row))
        if lost.size:
            raise ReadError(
                f"{name}: signal {number} has no value at {lost.size} of {row.size} times, first at "
                f"{lost[0] / sfreq:.2f} s. Fill them in, or cut the file to what is there."
            )
        if np.ptp(row) == 0:
            raise ReadError(f"{name}: signal {number} never changes, so nothing can follow it. Leave it out.")
