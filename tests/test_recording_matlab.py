"""MATLAB containers: damage and bombs are met before a reader sees them."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path

import numpy as np
import scipy.io

import recording_fixtures as make


def test_a_wrong_size_within_a_matlab_variable_is_damage(good: Path) -> None:
    """It ends the process when scipy's reader meets it."""
    make.write_set(good / "t.set", 1)
    content = bytearray((good / "t.set").read_bytes())
    at = content.index(struct.pack("<6I", 5, 8, 1, 1, 1, 0)) + 20  # the name of a number in a struct has no letters
    content[at] ^= 16
    (good / "t.set").write_bytes(content)
    make.refused(good, "t.set", "c-raw.fif", "a variable is damaged")


def _matlab_element(kind: int, content: bytes) -> bytes:
    return struct.pack("<II", kind, len(content)) + content


def test_matlab_that_unpacks_to_more_than_memory(good: Path) -> None:
    scipy.io.savemat(good / "t.mat", {"x": np.zeros((3000, 4))}, do_compression=True)
    (good / "t_sidecar.json").write_text(
        json.dumps({"SamplingFrequency": 100, "ChannelNames": ["Fz", "Cz", "Pz", "Oz"], "Unit": "uV"})
    )
    head = (good / "t.mat").read_bytes()[:128]
    bomb = zlib.compress(struct.pack("<II", 14, 2**32 - 16) + bytes(1000))
    (good / "t.mat").write_bytes(head + _matlab_element(15, bomb))
    make.refused(good, "t.mat", "c-raw.fif", "t.mat", "claims to unpack to 4.3 GB", "export it anew")
    (good / "t.mat").write_bytes(head + _matlab_element(15, b"no zlib"))
    make.refused(good, "t.mat", "c-raw.fif", "t.mat", "cannot be unpacked")
    scipy.io.savemat(good / "t.mat", {"x": 1e6 * make.noise(1).T}, do_compression=True)
    assert make.load(good, "t.mat", "c-raw.fif").therapist.n_times == 2000
