"""What a file is, told by its content, and what may stand in its place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hyperscan.errors import ReadError

#: Bytes that are looked at; BrainVision headers with a comment above the title still fit.
_HEAD = 4096


@dataclass(frozen=True)
class Format:
    """A file format."""

    #: As messages call it
    name: str
    #: Lower-case name endings that such a file may have; empty for folders
    suffixes: tuple[str, ...]
    #: Whether the first bytes of a file are of this format
    matches: Callable[[bytes], bool]


def _starts(*magic: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(magic)


def _text(head: bytes) -> str:
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return head.decode("utf-16", errors="replace")
    return head.removeprefix(b"\xef\xbb\xbf").decode("latin-1")


def _is_brainvision(head: bytes) -> bool:
    first = _text(head).lstrip().replace(" ", "").lower()
    return first.startswith(("brainvisiondataexchangeheader", "brainvisiondataexchangeheaderfile"))


def _is_marker_file(head: bytes) -> bool:
    return _text(head).lstrip().replace(" ", "").lower().startswith("brainvisiondataexchangemarker")


def _is_hitachi(head: bytes) -> bool:
    return _text(head).lstrip().startswith("Header") and "File Version" in _text(head)[:200]


def _is_boxy(head: bytes) -> bool:
    return _text(head).lstrip().startswith("BOXY")


def _is_egi(head: bytes) -> bool:
    # simple binary: a big-endian version number from 2 to 7, then a year
    return (
        head[:3] == b"\0\0\0"
        and head[3:4] in (b"\2", b"\3", b"\4", b"\5", b"\6", b"\7")
        and head[4:5] in (b"\7", b"\x08")
    )


def _is_numbers(head: bytes) -> bool:
    text = _text(head)
    return bool(text.strip()) and all(char.isprintable() or char in "\r\n\t" for char in text)


#: Formats by magic bytes, most telling first. Sources: EDF+ (edfplus.info), BioSemi BDF, GDF 2.0, the FIF tag
#: layout,
#: BrainVision Core Data Format 1.0, the XDF wiki, HDF5 file format, MATLAB level 5 MAT-file layout.
FORMATS: tuple[Format, ...] = (
    Format("BDF", (".bdf",), _starts(b"\xffBIOSEMI")),
    Format("EDF", (".edf", ".rec"), _starts(b"0       ")),
    Format("GDF", (".gdf",), _starts(b"GDF ")),
    Format("FIF", (".fif",), _starts(b"\0\0\0\x64\0\0\0\x1f")),
    Format("XDF", (".xdf",), _starts(b"XDF:")),
    Format("HDF5", (".snirf",), _starts(b"\x89HDF\r\n\x1a\n")),
    Format("MATLAB 7.3", (".set", ".mat", ".nirs"), _starts(b"MATLAB 7.3")),
    Format("MATLAB", (".set", ".mat", ".nirs"), _starts(b"MATLAB 5.0")),
    Format("BrainVision", (".vhdr", ".ahdr"), _is_brainvision),
    Format("BrainVision markers", (), _is_marker_file),
    Format("CNT", (".cnt",), _starts(b"Version 3.0")),
    Format("ANT CNT", (".cnt",), _starts(b"RIFF")),
    Format("EGI", (".raw",), _is_egi),
    Format("Hitachi", (".csv",), _is_hitachi),
    Format("BOXY", (".txt",), _is_boxy),
)

_BY_NAME = {known.name: known for known in FORMATS}
_PLAIN = Format("table", (".csv", ".tsv", ".txt"), _is_numbers)
#: Named only: no fixed first bytes.
_BY_SUFFIX = {".lay": "Persyst", ".nxe": "eximia", ".cdt": "Curry", ".dap": "Curry", ".data": "Nicolet"}

#: Content that is no recording at all: first bytes, what it is, what to do.
_IMPOSTORS: tuple[tuple[Callable[[bytes], bool], str, str], ...] = (
    (
        lambda head: (
            b"git-lfs.github.com" in head[:200] or b".git/annex/" in head[:300] or head.startswith(b"/annex/objects")
        ),
        "is a pointer: its data were not downloaded",
        "Fetch them (git lfs pull, git annex get or datalad get) and try again.",
    ),
    (
        lambda head: _text(head).lstrip().lower().startswith(("<!doctype html", "<html")),
        "is a web page, so its data were not downloaded",
        "Download the recording itself.",
    ),
    (
        _starts(b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"),
        "is a Python pickle, which can run code when it is opened",
        "Export the recording as FIF, EDF or SNIRF.",
    ),
    (
        _starts(b"\x1f\x8b", b"PK\3\4", b"BZh", b"\xfd7zXZ", b"7z\xbc\xaf"),
        "is a compressed archive, which is never unpacked here",
        "Unpack it and name the recording inside.",
    ),
    (
        _starts(b"\x93NUMPY"),
        "is a NumPy array without sampling rate or channel names (and may hold pickled objects)",
        "Export the recording as FIF, EDF or SNIRF.",
    ),
)


def recognise(path: Path, name: str) -> str:
    """Name the format of a recording by its content."""
    if path.is_symlink() and not path.exists():
        raise ReadError(f"{name}: is a link to data that were not downloaded. Fetch them (datalad get) and try again.")
    if not path.exists():
        raise ReadError(f"{name}: is not there. Correct the path in dyads.tsv or add the file.")
    if path.is_dir():
        return _folder(path, name)
    head = first_bytes(path, name)
    if not head:
        raise ReadError(f"{name}: is empty (0 bytes). Copy or download it again.")
    for is_impostor, fault, remedy in _IMPOSTORS:
        if is_impostor(head):
            raise ReadError(f"{name}: {fault}. {remedy}")
    return _by_content(path, head, name)


def first_bytes(path: Path, name: str, n: int = _HEAD) -> bytes:
    """Read the start of a file."""
    try:
        with path.open("rb") as file:
            return file.read(n)
    except OSError as error:
        raise ReadError(f"{name}: cannot be opened ({error.strerror}). Check its permissions.") from error


def _by_content(path: Path, head: bytes, name: str) -> str:
    suffix = path.suffix.lower()
    found = next((known for known in FORMATS if known.matches(head)), None)
    if found is None:
        return _by_name(path, head, name)
    if found.name == "BrainVision markers":
        raise ReadError(f"{name}: is a BrainVision marker file. Name its header (.vhdr) in dyads.tsv instead.")
    if suffix not in found.suffixes:
        allowed = " or ".join(found.suffixes)
        raise ReadError(
            f"{name}: its name ends in {suffix or 'nothing'!r}, but its content is {found.name}. "
            f"Rename it to end in {allowed}, or copy the right file."
        )
    if found.name.startswith("MATLAB"):
        return {".set": "EEGLAB", ".nirs": "Homer", ".mat": "MATLAB"}[suffix]
    return "SNIRF" if found.name == "HDF5" else found.name


def _by_name(path: Path, head: bytes, name: str) -> str:
    suffix = path.suffix.lower()
    if suffix == ".eeg" and path.with_suffix(".vhdr").exists():
        raise ReadError(
            f"{name}: is the data part of a BrainVision recording. Name its header (.vhdr) in dyads.tsv instead."
        )
    if suffix == ".fdt":
        raise ReadError(f"{name}: is the data part of an EEGLAB recording. Name its .set file in dyads.tsv instead.")
    if suffix in _BY_SUFFIX:
        return _BY_SUFFIX[suffix]
    claimed = next((known for known in FORMATS if suffix in known.suffixes and suffix not in _PLAIN.suffixes), None)
    if claimed is not None:
        raise ReadError(
            f"{name}: its name ends in {suffix}, but its first bytes are not those of {claimed.name}. "
            "It is damaged or of another format: copy it again, or export it anew."
        )
    if suffix in _PLAIN.suffixes and _PLAIN.matches(head):
        return _PLAIN.name
    raise ReadError(
        f"{name}: is of no known format. Known: FIF, EDF, BDF, BrainVision, EEGLAB, EGI, GDF, CNT, XDF, "
        "SNIRF, NIRx, "
        "Hitachi, BOXY, Homer .nirs, and .mat or .csv with a JSON sidecar. Export it as one of these."
    )


def _folder(path: Path, name: str) -> str:
    if list(path.glob("*.hdr")) and list(path.glob("*.wl1")) + list(path.glob("*.nosatflags_wl1")):
        return "NIRx"
    if list(path.glob("*_config.hdr")) and list(path.glob("*.snirf")):
        return "NIRx"
    if (path / "signal1.bin").exists():
        return "EGI MFF"
    raise ReadError(
        f"{name}: is a folder without a recording. Allowed: a NIRx folder (.hdr, .wl1, .wl2) or an EGI .mff "
        "folder. "
        "Name the recording itself."
    )
