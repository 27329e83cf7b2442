"""NIRx folders, and why some NIRStar versions are refused."""

from __future__ import annotations

import re
from pathlib import Path

import mne
from mne.io import BaseRaw

from hyperscan.errors import ReadError


def read_nirx(path: Path, name: str) -> BaseRaw:
    """Read a NIRx folder.

    Parameters
    ----------
    path : Path
        Folder with ``.hdr``, ``.wl1``, ``.wl2`` and the probe.
    name : str
        The path as messages show it.

    Returns
    -------
    BaseRaw

    Raises
    ------
    ReadError
        If the software version is one that MNE does not read, or the two wavelengths differ in length.
    """
    _check_lengths(path, name)
    try:
        return mne.io.read_raw_nirx(path, preload=False, verbose="WARNING")
    except RuntimeError as error:
        if "NIRStar version" not in str(error):
            raise
        raise ReadError(
            f"{name}: was recorded with NIRStar {_version(path)}, whose files MNE does not read: other "
            "versions arrange the "
            "header differently. Export it as SNIRF (NIRx's nirsLAB or Homer3 do), or with NIRStar 15."
        ) from error


def _version(path: Path) -> str:
    for header in sorted(path.glob("*.hdr")):
        found = re.search(r'NIRStar\s*=\s*"?([0-9.]+)', header.read_text(encoding="latin-1"))
        if found:
            return found[1]
    return "of an unknown version"


def _check_lengths(path: Path, name: str) -> None:
    lengths = {}
    for suffix in ("wl1", "wl2"):
        files = sorted(path.glob(f"*.{suffix}"))
        if not files:
            continue
        with files[0].open("rb") as file:
            lengths[suffix] = sum(1 for line in file if line.strip())
    if lengths and (len(lengths) < 2 or min(lengths.values()) == 0):
        raise ReadError(
            f"{name}: one of its two wavelengths (.wl1, .wl2) is missing or empty. Copy the whole folder again."
        )
    if len(set(lengths.values())) > 1:
        raise ReadError(
            f"{name}: its wavelengths have {lengths['wl1']} and {lengths['wl2']} samples, so one file was "
            "cut off. "
            "Copy the whole folder again."
        )
