"""A sound is read whole or not at all: every form of WAV, every length that its header may claim, every flipped bit."""

from __future__ import annotations

import resource
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import recording_fixtures as make
from hyperscan.errors import ReadError
from hyperscan.recording.files.shared import ENVELOPE_HZ, read_shared_file

RATE, N = 8000, 4000
#: Two channels, from -1 to 1.
SOUND = np.ascontiguousarray(np.clip(make.noise(1, 2, N, 0.25).T * np.linspace(0.2, 1, N)[:, None], -1, 1))

PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE


def samples(bits: int, code: int, big: bool) -> bytes:
    """Samples of the sound as a file has them, interleaved."""
    order = ">" if big else "<"
    if code == FLOAT:
        return SOUND.astype(f"{order}f{bits // 8}").tobytes()
    whole = np.round(SOUND * (2 ** (bits - 1) - 1)).astype(np.int64)
    if bits == 8:
        return (whole + 128).astype(np.uint8).tobytes()
    wide = (whole << (64 - bits)).astype(f"{order}i8").view(np.uint8).reshape(N, 2, 8)
    return (wide[..., : bits // 8] if big else wide[..., 8 - bits // 8 :]).tobytes()


def wav(kind: bytes = b"RIFF", bits: int = 16, code: int = PCM, *, extended: bool = False, tail: bytes = b"") -> bytes:
    """A file of the sound; ``tail``: further parts."""
    big = kind == b"RIFX"
    order = ">" if big else "<"
    frame = 2 * bits // 8
    form = struct.pack(f"{order}HHIIHH", EXTENSIBLE if extended else code, 2, RATE, RATE * frame, frame, bits)
    if extended:
        form += struct.pack(f"{order}HHIIHH", 22, bits, 3, code, 0, 16) + bytes.fromhex("800000aa00389b71")
    data = samples(bits, code, big)
    length = 0xFFFFFFFF if kind == b"RF64" else len(data)
    parts = b"fmt " + struct.pack(f"{order}I", len(form)) + form + b"data" + struct.pack(f"{order}I", length) + data
    parts += tail
    if kind == b"RF64":
        rest = 4 + 36 + len(parts)
        long = b"ds64" + struct.pack("<IQQQI", 28, rest, len(data), N, 0)
        return kind + struct.pack("<I", 0xFFFFFFFF) + b"WAVE" + long + parts
    return kind + struct.pack(f"{order}I", 4 + len(parts)) + b"WAVE" + parts


def envelope(folder: Path, content: bytes) -> np.ndarray:
    path = folder / "x.wav"
    path.write_bytes(content)
    path.with_suffix(".json").write_text('{"StartTime": 0}')
    found = read_shared_file(path, make.session(folder, "t.fif", "c.fif", shared_file=path))
    return np.asarray(found.raw.get_data())


def refused(folder: Path, content: bytes) -> str:
    with pytest.raises(ReadError) as caught:
        envelope(folder, content)
    make.check_message(caught.value, folder, "x.wav")
    return str(caught.value)


@pytest.mark.parametrize("kind", [b"RIFF", b"RIFX", b"RF64"])
@pytest.mark.parametrize(
    ("bits", "code"), [(8, PCM), (16, PCM), (24, PCM), (32, PCM), (32, FLOAT), (64, FLOAT)], ids=str
)
@pytest.mark.parametrize("extended", [False, True])
def test_every_form_gives_the_same_envelope(tmp_path: Path, kind: bytes, bits: int, code: int, extended: bool) -> None:
    n_frame = round(RATE / ENVELOPE_HZ)
    wanted = np.sqrt(np.square(SOUND.reshape(-1, n_frame, 2)).mean(axis=1)).T
    found = envelope(tmp_path, wav(kind, bits, code, extended=extended))
    assert found.shape == wanted.shape == (2, N / n_frame)
    # 8 bits: rounding to 1 of 127
    np.testing.assert_allclose(found / found.max(), wanted / wanted.max(), atol=2.0 ** (1 - min(bits, 20)))


def with_number(content: bytes, at: int, change: int) -> bytes:
    (value,) = struct.unpack_from("<I", content, at)
    return content[:at] + struct.pack("<I", (value + change) % 2**32) + content[at + 4 :]


WHOLE = wav()
LIST = b"LIST" + struct.pack("<I", 12) + b"INFOIART" + struct.pack("<I", 0)

#: What is wrong, and how the file then is; whole frames are lost, so no reader stumbles over half of one.
LENGTHS: dict[str, Callable[[], bytes]] = {
    "cut off": lambda: WHOLE[:-400],
    "cut off, and its head corrected": lambda: with_number(WHOLE[:-400], 4, -400),
    "data announced longer": lambda: with_number(WHOLE, 40, 400),
    "data announced shorter": lambda: with_number(WHOLE, 40, -400),
    "data announced as unknown (a pipe's)": lambda: with_number(with_number(WHOLE, 40, -4 * N - 1), 4, -4 * N - 37),
    "data announced as none": lambda: with_number(WHOLE, 40, -4 * N),
    "head announces more": lambda: with_number(WHOLE, 4, 400),
    "head announces less": lambda: with_number(WHOLE, 4, -400),
    "more behind the end": lambda: WHOLE + bytes(400),
    "a second sound": lambda: with_number(WHOLE + WHOLE[36:], 4, len(WHOLE) - 36),
    "a second form": lambda: with_number(WHOLE + WHOLE[12:36], 4, 24),
    "no sound": lambda: with_number(WHOLE[:36], 4, -len(WHOLE) + 36),
    "RF64, cut off": lambda: wav(b"RF64")[:-400],
    "RF64, data announced longer": lambda: with_number(wav(b"RF64"), 28, 400),
    "RF64, data announced shorter": lambda: with_number(wav(b"RF64"), 28, -400),
    "RF64, more than memory holds": lambda: with_number(wav(b"RF64"), 32, 2**16),
    "many parts": lambda: with_number(WHOLE + 20_000 * (b"x   " + bytes(4)), 4, 160_000),
}


@pytest.mark.parametrize("case", LENGTHS)
def test_another_length_than_announced_is_refused_before_memory_is_used(tmp_path: Path, case: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(tmp_path, LENGTHS[case]())
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


def test_what_is_said_about_a_sound_changes_nothing_in_it(tmp_path: Path) -> None:
    plain = envelope(tmp_path, WHOLE)
    np.testing.assert_array_equal(envelope(tmp_path, wav(tail=LIST)), plain)
    # a text of an odd number of bytes, with and without the byte that fills up
    odd = b"note" + struct.pack("<I", 3) + b"abc"
    np.testing.assert_array_equal(envelope(tmp_path, wav(tail=odd + b"\0")), plain)
    np.testing.assert_array_equal(envelope(tmp_path, wav(tail=odd)), plain)


@pytest.mark.parametrize("bits", [16, 24])
def test_no_flipped_bit_of_the_header_changes_the_sound_in_silence(tmp_path: Path, bits: int) -> None:
    content = wav(bits=bits)
    plain = envelope(tmp_path, content)
    read = 0
    for at in range(8 * 44):
        changed = bytearray(content)
        changed[at // 8] ^= 1 << at % 8
        try:
            found = envelope(tmp_path, bytes(changed))
        except ReadError as error:
            make.check_message(error, tmp_path, "x.wav")
            continue
        read += 1
        np.testing.assert_array_equal(found, plain, err_msg=f"bit {at}")
    assert read <= 4


def test_a_long_sound_is_squared_in_parts(tmp_path: Path) -> None:
    """Of an hour at 44.1 kHz as of these 25 MB of 8 bits, which as numbers of 64 bits would be 200 MB, twice."""
    n = 25_000_000
    form = struct.pack("<HHIIHH", PCM, 1, RATE, RATE, 1, 8)
    data = np.random.default_rng(0).integers(0, 256, n, dtype=np.uint8).tobytes()
    head = b"RIFF" + struct.pack("<I", 36 + n) + b"WAVEfmt " + struct.pack("<I", 16) + form
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = envelope(tmp_path, head + b"data" + struct.pack("<I", n) + data)
    assert 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) < 5 * n
    assert found.shape == (1, n // 16)
