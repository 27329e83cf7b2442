"""The table of file formats: how each is told by its content, what belongs to it, how a draft finds it, what reads it.

A format costs one entry here and its reader, which is named and not imported: this floor knows no reader.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from hyperscan.errors import MachineError, ReadError, fault_of_machine
from hyperscan.storage import odd_kind

#: Bytes that are looked at; BrainVision headers with a comment above the title still fit.
_HEAD = 4096


@dataclass(frozen=True)
class Part:
    """A file that belongs to a recording and cannot be read alone."""

    #: Lower-case ending of its name; None if its content tells it
    suffix: str | None
    #: What it is, and what to name instead, for messages
    what: str
    instead: str
    #: Ending that the recording next to it must have; None if none is looked for
    header: str | None = None
    #: Whether the first bytes of a file are such a part
    matches: Callable[[bytes], bool] = lambda _: False


@dataclass(frozen=True)
class Format:
    """A file format: its entry is all that the package knows of it besides its reader."""

    #: As messages call it
    name: str
    #: ``module:function``; it takes path and name for messages, and ``part`` where ``selects`` says so
    reader: str
    #: Lower-case endings that the name may have; a draft looks for them
    suffixes: tuple[str, ...]
    #: Whether the first bytes of a file are of this format; None if nothing in them tells it
    matches: Callable[[bytes], bool] | None = None
    #: Whether other texts may fit too, so that the name has to be right and no other format may fit
    loose: bool = False
    #: What its first bytes are called where several formats share them
    content: str = ""
    #: Whether a folder is such a recording; None if a file is
    folder: Callable[[Path], bool] | None = None
    #: one of {'eeg', 'fnirs', ''}: Empty where name and format do not tell
    modality: str = "eeg"
    #: Whether a draft takes it for a recording only where a folder holds no other ones
    plain: bool = False
    #: one of {'stream', 'group', ''}: Kind of channel rule that is resolved while reading
    selects: str = ""
    #: Endings of files of the same stem that belong to the recording
    companions: tuple[str, ...] = ()
    #: Further files that belong to it
    further: Callable[[Path], list[Path]] = lambda _: []
    #: Files next to it that hold its samples; none where it holds them itself
    samples: Callable[[Path], list[Path]] = lambda _: []
    #: Files that users name instead of the recording
    parts: tuple[Part, ...] = ()
    #: Whether a file says how long its recording is, so that one that was cut short is told
    tells_length: bool = True
    #: What to do with a file of this content that has another ending; empty if renaming it is enough
    elsewhere: str = ""
    #: What is read of it, and what is refused and why, for the documentation
    reads: str = ""
    refuses: str = ""
    #: Bytes of one stored value, to guess the work before a file is read
    value_bytes: int = 2

    @property
    def content_name(self) -> str:
        """What messages call the first bytes of such a file."""
        return self.content or self.name


def _starts(*magic: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(magic)


def _text(head: bytes) -> str:
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return head.decode("utf-16", errors="replace").lstrip()
    return head.removeprefix(b"\xef\xbb\xbf").decode("latin-1").lstrip()


def _is_brainvision(kind: str) -> Callable[[bytes], bool]:
    """Tell a header or markers by the title; older and V-Amp recordings have titles of their own."""
    title = re.compile(rf"Brain ?Vision( Core| V-Amp)? Data( Exchange)? {kind} File", re.IGNORECASE)
    return lambda head: title.match(_text(head)) is not None


def _is_hitachi(head: bytes) -> bool:
    return _text(head).startswith("Header") and "File Version" in _text(head)[:200]


def _is_numbers(head: bytes) -> bool:
    text = _text(head)
    return bool(text) and all(char.isprintable() or char in "\r\n\t" for char in text)


def _fif_parts(path: Path) -> list[Path]:
    """List the parts of a split recording; BIDS puts ``split-01`` into the name of every part."""
    head, found, tail = path.stem.partition("_split-")
    rest = tail.partition("_")[2]
    bids = f"{glob.escape(head)}_split-*_{glob.escape(rest)}.fif" if found and rest else glob.escape(path.name)
    return sorted([*path.parent.glob(f"{glob.escape(path.stem)}-[0-9]*.fif"), *path.parent.glob(bids)])


def _named_in_header(path: Path, kinds: str = "Data|Marker") -> list[Path]:
    """List the files that a text header names, as far as they lie next to it."""
    try:
        text = path.read_bytes()[:100_000].decode("latin-1")
    except OSError:
        return []
    named = re.findall(rf"^\s*(?:{kinds})?File\s*=\s*(.+?)\s*$", text, re.MULTILINE)
    bare = [name.replace("$b", path.stem).replace("\\", "/").rpartition("/")[2] for name in named]
    return [path.with_name(name) for name in bare if name and "\0" not in name]


def _unclaimed(ending: str, header: str) -> Callable[[Path], list[Path]]:
    """List the files of an ending that no header next to them has the name of: a renamed header names one of them."""

    def list_them(path: Path) -> list[Path]:
        near = sorted(path.parent.iterdir())
        claimed = {file.stem for file in near if file.suffix.lower() == header}
        return [file for file in near if file.suffix.lower() == ending and file.stem not in claimed]

    return list_them


_OWN = "hyperscan.recording.files"
_EGI_VERSIONS = (b"\2", b"\3", b"\4", b"\5", b"\6", b"\7")
_MATLAB = _starts(b"MATLAB 7.3", b"MATLAB 5.0")

#: Sources of the first bytes: EDF+ (edfplus.info), BioSemi BDF, GDF 2.0, the FIF tag layout, BrainVision Core Data
#: Format 1.0, the XDF wiki, HDF5 file format, MATLAB level 5 MAT-file layout. EGI simple binary begins with a
#: big-endian version number from 2 to 7, then a year.
FORMATS: tuple[Format, ...] = (
    Format(
        "FIF",
        f"{_OWN}.fif:read_fif",
        (".fif",),
        _starts(b"\0\0\0\x64\0\0\0\x1f"),
        further=_fif_parts,
        value_bytes=4,
        reads="continuous recordings, also split ones, and epochs",
        refuses="averages (evoked): single moments are lost; a split recording without its next part",
    ),
    Format(
        "EDF",
        f"{_OWN}.eeg:read_edf",
        (".edf", ".rec"),
        _starts(b"0       "),
        reads="EDF, EDF+C and EDF+D (gaps opened), both signs for micro, trigger lines of any rate, cut by up to 1 %",
        refuses="a data record of 0 s (the sampling rate is unknown); files of annotations only; cut off by more than "
        "1 %; records that overlap",
    ),
    Format(
        "BDF",
        f"{_OWN}.eeg:read_edf",
        (".bdf",),
        _starts(b"\xffBIOSEMI"),
        value_bytes=3,
        reads="24 bits, status channel as triggers; as EDF",
        refuses="as EDF",
    ),
    Format(
        "BrainVision",
        f"{_OWN}.brainvision:read_brainvision",
        (".vhdr", ".ahdr"),
        _is_brainvision("Header"),
        companions=(".eeg", ".vmrk", ".amrk", ".dat"),
        further=_named_in_header,
        samples=partial(_named_in_header, kinds="Data"),
        parts=(
            Part(
                None,
                "a BrainVision marker file",
                "its header (.vhdr or .ahdr)",
                matches=_is_brainvision("Marker"),
            ),
            Part(".eeg", "the data part of a BrainVision recording", "its header (.vhdr)", header=".vhdr"),
            Part(".eeg", "the data part of a BrainVision V-Amp recording", "its header (.ahdr)", header=".ahdr"),
        ),
        reads="`.vhdr` and V-Amp `.ahdr`; binary, and text with one line per sample; both signs for micro; pauses "
        "by dated `New Segment` markers",
        refuses="text with one line per channel, big-endian numbers, spectra and averages (not supported); doubled "
        "channel names; data or markers of another name, missing or cut off",
    ),
    Format(
        "EEGLAB",
        f"{_OWN}.eeg:read_eeglab",
        (".set",),
        _MATLAB,
        content="MATLAB",
        companions=(".fdt",),
        further=_unclaimed(".fdt", ".set"),
        samples=lambda path: [path.with_suffix(".fdt")],
        parts=(Part(".fdt", "the data part of an EEGLAB recording", "its .set file"),),
        value_bytes=4,
        reads="continuous data and epochs, in the `.set` or an `.fdt`; boundaries as pauses",
        refuses="a missing or cut `.fdt`; epochs without a key that survives rejection",
    ),
    Format(
        "EGI",
        f"{_OWN}.eeg:read_egi",
        (".raw", ".egi"),
        lambda head: head[:3] == b"\0\0\0" and head[3:4] in _EGI_VERSIONS and head[4:5] in (b"\7", b"\x08"),
        reads="simple binary, versions 2, 4 and 6",
        refuses="segmented versions 3, 5 and 7: the time between segments is not told",
    ),
    Format(
        "EGI MFF",
        f"{_OWN}.eeg:read_mff",
        (".mff",),
        folder=lambda path: (path / "signal1.bin").exists(),
        reads="folders with one signal, by `mffpy`",
        refuses="folders without `signal1.bin`",
    ),
    Format(
        "GDF",
        f"{_OWN}.gdf:read_gdf",
        (".gdf",),
        _starts(b"GDF "),
        reads="GDF 1 and 2; any unit of volts; events by the rate of their table",
        refuses="what MNE does not read; records or events that were cut off; a channel without a known unit is warned "
        "of",
    ),
    Format(
        "CNT",
        f"{_OWN}.breaks:read_cnt",
        (".cnt",),
        _starts(b"Version 3.0"),
        reads="Neuroscan CNT 3.0, 16 and 32 bits, all three tables of events; bad channels and rejected stretches",
        refuses="files whose table of events is lost or cut off; files above 2 GB, whose width of samples is unknown",
    ),
    Format(
        "ANT CNT",
        "mne.io:read_raw_ant",
        (".cnt",),
        _starts(b"RIFF", b"RF64"),
        reads="RIFF and RF64 headers (eego), by `antio`",
        refuses="files that `antio` does not read",
    ),
    Format(
        "Persyst",
        f"{_OWN}.frames:read_persyst",
        (".lay",),
        companions=(".dat",),
        further=_named_in_header,
        samples=_named_in_header,
        tells_length=False,
        reads="a `.lay` with its `.dat`, channels in the order of their numbers; nothing of the person",
        refuses="a missing `.dat`; channels without a number each",
    ),
    Format(
        "eximia",
        f"{_OWN}.eeg:read_eximia",
        (".nxe",),
        tells_length=False,
        reads="64 channels of 16 bits at 1450 Hz",
        refuses="a size that is no whole number of frames",
    ),
    Format(
        "Curry",
        f"{_OWN}.eeg:read_curry",
        (".cdt", ".dap"),
        samples=lambda path: [path.with_suffix(".dat")] if path.suffix.lower() == ".dap" else [],
        companions=(".dat", ".dap", ".rs3", ".cef", ".ceo", *(f".cdt.{tail}" for tail in ("dpa", "dpo", "cef", "ceo"))),
        reads="by `curryreader`; any unit of volts",
        refuses="without that package; a missing part; one channel after the other",
    ),
    Format(
        "Nicolet",
        f"{_OWN}.frames:read_nicolet",
        (".data",),
        companions=(".head",),
        reads="a `.data` with its `.head`",
        refuses="a missing `.head`",
    ),
    Format(
        "XDF",
        f"{_OWN}.xdf:read_xdf",
        (".xdf",),
        _starts(b"XDF:"),
        modality="",
        selects="stream",
        value_bytes=4,
        reads="one signal stream per person, named by `stream:` and name, source id, `NAME@HOST` or uid; markers, and "
        "channels of triggers; "
        "ExG inputs called after electrodes",
        refuses="an irregular rate (`nominal_srate` 0); a unit that is not known; streams that nothing tells apart; "
        "streams without EEG",
    ),
    Format(
        "SNIRF",
        f"{_OWN}.snirf:read_snirf",
        (".snirf",),
        _starts(b"\x89HDF\r\n\x1a\n"),
        content="HDF5",
        elsewhere="Many programs write HDF5: only SNIRF is read of it. Rename it if it is SNIRF; else export the "
        "recording as EDF, BrainVision or FIF (EEG) or as SNIRF (fNIRS).",
        modality="fnirs",
        selects="group",
        value_bytes=8,
        reads="1.0 and 1.1 (`measurementLists`, `dataOffset`); raw intensity, optical density, HbO and HbR (HbT is "
        "left out: their sum); any unit of time, stimuli in s; two wavelengths per source; positions in 3D, "
        "2D or none",
        refuses="mixed data types, averages (HRF), frequency- and time-domain, fluorescence and correlation data (not "
        "supported); several data blocks; indices that the probe does not have; optodes counted within "
        "modules",
    ),
    Format(
        "NIRx",
        f"{_OWN}.nirs:read_nirx",
        (),
        folder=lambda path: any(path.glob("*.hdr")) and any(path.glob("*wl1")),
        modality="fnirs",
        reads="NIRScout and NIRSport folders of NIRStar 15, Aurora folders, by MNE",
        refuses="other versions of NIRStar; a missing or shorter wavelength file",
    ),
    Format(
        "Homer",
        f"{_OWN}.nirs:read_homer",
        (".nirs",),
        _MATLAB,
        content="MATLAB",
        modality="fnirs",
        reads="`d`, `t`, `SD`, `s`; `SD.MeasListAct` as bad channels, `tIncMan` as bad time; MATLAB 5",
        refuses="MATLAB 7.3 (save with `-v7`); a probe without a known unit whose distances do not tell it; variables "
        "that do not fit the samples",
    ),
    Format(
        "Hitachi",
        f"{_OWN}.breaks:read_hitachi",
        (".csv",),
        _is_hitachi,
        modality="",
        plain=True,
        tells_length=False,
        reads="ETG `.csv`, by MNE; the start and pauses by the times of its rows",
        refuses="what MNE does not read",
    ),
    Format(
        "BOXY",
        "mne.io:read_raw_boxy",
        (".txt",),
        lambda head: _text(head).startswith("BOXY"),
        modality="",
        plain=True,
        tells_length=False,
        reads="ISS BOXY text, by MNE",
        refuses="haemoglobin cannot be computed: the file names no wavelength",
    ),
    Format(
        "MATLAB",
        f"{_OWN}.tables:read_matlab",
        (".mat",),
        _MATLAB,
        modality="",
        plain=True,
        further=lambda path: [path.with_name(f"{path.stem}_sidecar.json")],
        reads="one matrix of MATLAB 5, with a JSON sidecar",
        refuses="MATLAB 7.3 (save with `-v7`); several matrices without `Variable`; no sidecar",
    ),
    Format(
        "table",
        f"{_OWN}.tables:read_numbers",
        (".csv", ".tsv", ".txt"),
        _is_numbers,
        loose=True,
        modality="",
        plain=True,
        tells_length=False,
        further=lambda path: [path.with_name(f"{path.stem}_sidecar.json")],
        reads="numbers, one row per sample, with a JSON sidecar",
        refuses="rows of unequal length; no sidecar",
    ),
)

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
        lambda head: _text(head).lower().startswith(("<!doctype html", "<html")),
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


def formats_named(path: Path) -> list[Format]:
    """List the formats whose name may end as a path does.

    Examples
    --------
    >>> [form.name for form in formats_named(Path("a.CNT"))]
    ['CNT', 'ANT CNT']
    """
    return [form for form in FORMATS if path.suffix.lower() in form.suffixes]


def sample_files(path: Path) -> list[Path]:
    """List the files that hold the samples of a recording: its data, not a header that other recordings may share.

    Examples
    --------
    >>> sample_files(Path("a.edf"))
    [PosixPath('a.edf')]
    """
    if path.is_dir():
        return sorted(entry for entry in path.rglob("*") if entry.is_file() and not entry.is_symlink())
    beside = [file for form in formats_named(path) for file in form.samples(path)]
    return [file for file in beside if file.is_file()] or [path]


def value_bytes(path: Path) -> int:
    """Guess the bytes of one stored value from the name of a file or of its part.

    Examples
    --------
    >>> value_bytes(Path("a.bdf")), value_bytes(Path("a.fdt")), value_bytes(Path("a.json"))
    (3, 4, 2)
    """
    suffix = path.suffix.lower()
    return next((form.value_bytes for form in FORMATS if suffix in (*form.suffixes, *form.companions)), 2)


def recognise(path: Path, name: str) -> Format:
    """Find the format of a recording by its content."""
    if path.is_symlink() and not path.exists():
        raise ReadError(f"{name}: is a link to data that were not downloaded. Fetch them (datalad get) and try again.")
    if not path.exists():
        raise ReadError(f"{name}: is not there. Correct the path in dyads.tsv or add the file.")
    if odd_kind(path):
        raise ReadError(f"{name}: is {odd_kind(path)}, no file. Name the recording itself.")
    if path.is_dir():
        found = next((form for form in FORMATS if form.folder is not None and form.folder(path)), None)
        if found is None:
            raise ReadError(
                f"{name}: is a folder without a recording. Allowed: a NIRx folder (.hdr, .wl1, .wl2) or an EGI .mff "
                "folder. Name the recording itself."
            )
        return found
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        if fault_of_machine(error):
            raise MachineError(f"{name}: could not be read, because {fault_of_machine(error)}") from error
        raise ReadError(f"{name}: cannot be opened ({error.strerror}). Check its permissions.") from error
    if not head:
        raise ReadError(f"{name}: is empty (0 bytes). Copy or download it again.")
    for is_impostor, fault, remedy in _IMPOSTORS:
        if is_impostor(head):
            raise ReadError(f"{name}: {fault}. {remedy}")
    return _by_content(path, head, name)


def _by_content(path: Path, head: bytes, name: str) -> Format:
    suffix = path.suffix.lower()
    for part in (part for form in FORMATS for part in form.parts if part.matches(head)):
        raise ReadError(f"{name}: is {part.what}. Name {part.instead} in dyads.tsv instead.")
    told = [form for form in FORMATS if form.matches is not None and not form.loose and form.matches(head)]
    fitting = [form for form in told if suffix in form.suffixes]
    if fitting:
        return fitting[0]
    if told:
        allowed = " or ".join(ending for form in told for ending in form.suffixes)
        raise ReadError(
            f"{name}: its name ends in {suffix or 'nothing'!r}, but its content is {told[0].content_name}. "
            f"{told[0].elsewhere or f'Rename it to end in {allowed}, or copy the right file.'}"
        )
    return _by_name(path, head, name)


def _by_name(path: Path, head: bytes, name: str) -> Format:
    suffix = path.suffix.lower()
    for part in (part for form in FORMATS for part in form.parts if part.suffix == suffix):
        if part.header is None or path.with_suffix(part.header).exists():
            raise ReadError(f"{name}: is {part.what}. Name {part.instead} in dyads.tsv instead.")
    named = formats_named(path)
    by_name = [form for form in named if form.matches is None or form.loose]
    for form in by_name:
        if form.matches is None or form.matches(head):
            return form
    if named and not by_name:
        told = " or ".join(dict.fromkeys(form.content_name for form in named))
        raise ReadError(
            f"{name}: its name ends in {suffix}, but its first bytes are not those of {told}. "
            "It is of another format, or its beginning is lost: copy it again, or export it anew."
        )
    raise ReadError(
        f"{name}: is of no known format. Known: {', '.join(form.name for form in FORMATS)} (the last two with a JSON "
        "sidecar). Export it as one of these."
    )
