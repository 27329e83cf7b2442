"""FIF files: the chain of their tags is walked before MNE reads them, because one flipped bit hides samples unseen."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import mne
from mne.io import BaseRaw
from mne.io.constants import FIFF

from hyperscan.errors import ReadError
from hyperscan.recording.guard import check_memory
from hyperscan.recording.records import PersonRecording

_HEADER = struct.Struct(">iiii")

#: Of ``next`` in a tag: the tag that follows, and the end of the file.
_SEQUENTIAL, _END = 0, -1

#: Kind of the tag that lists all others.
_DIRECTORY = 102

#: Of FIFF_REF_ROLE: the part before, and the part after this one.
_PREVIOUS, _NEXT = 1, 2

_RAW = {int(FIFF.FIFFB_RAW_DATA), int(FIFF.FIFFB_CONTINUOUS_DATA), int(FIFF.FIFFB_IAS_RAW_DATA)}

#: Tags that a block of samples, epochs, events, annotations or further parts holds, with the size of numbers in bytes
#: (None = any). Another one there was one of these before a bit of it was lost. 304 and 305: baselines of old epochs.
_IDS = {"BLOCK_ID": 20, "PARENT_BLOCK_ID": 20}
_RAW_TAGS = {**_IDS, "FIRST_SAMPLE": 4, "DATA_SKIP": 4, "DATA_BUFFER": None}
_TAGS: dict[str, dict[str, int | None]] = {
    "RAW_DATA": _RAW_TAGS,
    "CONTINUOUS_DATA": _RAW_TAGS,
    "IAS_RAW_DATA": _RAW_TAGS,
    "MNE_EPOCHS": {
        **_IDS,
        **dict.fromkeys(("FIRST_SAMPLE", "LAST_SAMPLE", "MNE_BASELINE_MIN", "MNE_BASELINE_MAX"), 4),
        **dict.fromkeys(("EPOCH", "MNE_EPOCHS_SELECTION", "MNE_EPOCHS_DROP_LOG", "MNE_EPOCHS_REJECT_FLAT"), None),
        "MNE_EPOCHS_RAW_SFREQ": None,
        "304": 4,
        "305": 4,
    },
    "MNE_EVENTS": dict.fromkeys(("MNE_EVENT_LIST", "DESCRIPTION", "MNE_EVENT_COMMENTS"), None),
    "MNE_ANNOTATIONS": dict.fromkeys(
        ("MNE_BASELINE_MIN", "MNE_BASELINE_MAX", "COMMENT", "MEAS_DATE", "MNE_EPOCHS_DROP_LOG", "FREE_LIST"), None
    ),
    "REF": {"REF_ROLE": 4, "REF_FILE_ID": 20, "REF_FILE_NUM": 4, "REF_FILE_NAME": None},
}
_KNOWN = {
    int(FIFF[f"FIFFB_{block}"]): {
        int(kind) if kind.isdigit() else int(FIFF[f"FIFF_{kind}"]): size for kind, size in kinds.items()
    }
    for block, kinds in _TAGS.items()
}
_MARKS = {int(FIFF.FIFF_BLOCK_START), int(FIFF.FIFF_BLOCK_END), int(FIFF.FIFF_NOP)}

#: Beginnings and ends of annotations.
_SPAN = {int(FIFF.FIFF_MNE_BASELINE_MIN), int(FIFF.FIFF_MNE_BASELINE_MAX)}

#: Bytes of a stored value by the type of a buffer.
_BYTES = {
    int(FIFF.FIFFT_DAU_PACK16): 2,
    int(FIFF.FIFFT_SHORT): 2,
    int(FIFF.FIFFT_FLOAT): 4,
    int(FIFF.FIFFT_DOUBLE): 8,
    int(FIFF.FIFFT_INT): 4,
    int(FIFF.FIFFT_COMPLEX_FLOAT): 8,
    int(FIFF.FIFFT_COMPLEX_DOUBLE): 16,
}


#: Numbers whose memory MNE takes to remember a buffer that was left out.
_LEFT_OUT = 100


class Tag(NamedTuple):
    """One tag of a FIF file."""

    at: int
    kind: int
    type: int
    size: int
    #: Kind of the block around it; 0 outside of all
    block: int
    #: Its number, where it holds one; else 0
    number: int


def read_tags(path: Path, name: str) -> list[Tag]:
    """Walk the chain of a file's tags; refuse one that breaks, skips bytes, or opens and closes blocks unevenly."""
    found: list[Tag] = []
    blocks: list[int] = []
    size, at = path.stat().st_size, 0
    with path.open("rb") as file:
        while at < size:
            file.seek(at)
            header = file.read(_HEADER.size)
            kind, kind_of_value, n_bytes, following = (
                _HEADER.unpack(header) if len(header) == _HEADER.size else (0, 0, -1, 0)
            )
            end = at + _HEADER.size + n_bytes
            if n_bytes < 0 or end > size:
                raise _damaged(name, f"is cut off or damaged at byte {at} of {size}")
            number = struct.unpack(">i", file.read(4))[0] if n_bytes == 4 else 0
            if kind == FIFF.FIFF_BLOCK_END and (not blocks or blocks.pop() != number):
                raise _damaged(name, f"is damaged at byte {at}: a block ends there that did not begin")
            if kind == FIFF.FIFF_BLOCK_START:
                blocks.append(number)
            found.append(Tag(at, kind, kind_of_value, n_bytes, blocks[-1] if blocks else 0, number))
            if following not in (_SEQUENTIAL, _END, end):
                raise _damaged(name, f"is damaged at byte {at}: its next tag is not where the chain leads")
            at = size if following == _END else end
    if blocks:
        raise _damaged(name, f"is cut off or damaged: {len(blocks)} of its blocks do not end")
    return found


def _damaged(name: str, fault: str) -> ReadError:
    return ReadError(
        f"{name}: {fault}, so samples could be lost unseen. Copy it again, or save it anew from the original."
    )


def check_tags(tags: Sequence[Tag], name: str) -> None:
    """Refuse a tag that is not of its block, buffers of two types, and a list of the tags that says something else."""
    for tag in tags:
        known = _KNOWN.get(tag.block)
        if known is None or tag.kind in _MARKS:
            continue
        if known.get(tag.kind, -1) not in (None, tag.size):
            raise _damaged(name, f"is damaged at byte {tag.at}: a tag of kind {tag.kind} does not belong there")
        if tag.kind == FIFF.FIFF_REF_ROLE and tag.number not in (_PREVIOUS, _NEXT):
            raise _damaged(name, f"is damaged at byte {tag.at}: it does not say which part of a recording it is")
    kinds = [tag.kind for tag in tags if tag.block == FIFF.FIFFB_MNE_EPOCHS and tag.kind not in _MARKS]
    if len(set(kinds)) < len(kinds):
        raise _damaged(name, "is damaged: its epochs say the same thing twice")
    spans = [tag for tag in tags if tag.block == FIFF.FIFFB_MNE_ANNOTATIONS and tag.kind in _SPAN]
    if len({(tag.type, tag.size) for tag in spans}) > 1:
        raise _damaged(name, "is damaged: its annotations have another number of beginnings than of ends")
    types = {tag.type for tag in tags if tag.kind == FIFF.FIFF_DATA_BUFFER}
    if len(types) > 1 or not types <= set(_BYTES):
        raise _damaged(name, "is damaged: its buffers are of several types, or of an unknown one")


def check_directory(path: Path, tags: Sequence[Tag], name: str) -> None:
    """Compare the list of tags that some programs write at the end with the tags that are there."""
    pointer = next((tag for tag in tags if tag.kind == FIFF.FIFF_DIR_POINTER), None)
    if pointer is None or pointer.number <= 0:
        return
    listing = next((tag for tag in tags if tag.at == pointer.number and tag.kind == _DIRECTORY), None)
    if listing is None:
        raise _damaged(name, "is damaged: the list of its tags is not where its header says")
    with path.open("rb") as file:
        file.seek(listing.at + _HEADER.size)
        listed = set(struct.iter_unpack(">iiii", file.read(listing.size // 16 * 16)))
    there = {(tag.kind, tag.type, tag.size, tag.at) for tag in tags if tag.at < listing.at}
    if not there <= listed:
        raise _damaged(name, f"is damaged: {len(there - listed)} of its tags are not in its own list of them")


def buffers_of(tags: Sequence[Tag]) -> Iterator[tuple[Tag, int]]:
    """List the buffers of samples, each with the number of buffers that were left out before it."""
    skipped = begun = 0
    for tag in (tag for tag in tags if tag.block in _RAW):
        if tag.kind == FIFF.FIFF_DATA_SKIP:
            skipped = tag.number * begun
        elif tag.kind == FIFF.FIFF_DATA_BUFFER:
            yield tag, skipped
            skipped, begun = 0, 1


def compare_samples(raw: BaseRaw, name: str) -> None:
    """Refuse a recording of which MNE read another number of samples than its files hold, part by part."""
    held, parts = 0, [Path(part) for part in raw.filenames if part is not None]
    for number, part in enumerate(parts, start=1):
        tags = read_tags(part, name)
        check_tags(tags, name)
        check_directory(part, tags, name)
        roles = [tag.number for tag in tags if tag.kind == FIFF.FIFF_REF_ROLE and tag.block == FIFF.FIFFB_REF]
        n_refs = len([tag for tag in tags if tag.kind == FIFF.FIFF_BLOCK_START and tag.number == FIFF.FIFFB_REF])
        if len(roles) != n_refs or (_NEXT in roles) != (number < len(parts)):
            raise _damaged(name, f"is damaged: its part {number} does not name the next one rightly")
        for tag, skipped in buffers_of(tags):
            n, rest = divmod(tag.size, _BYTES[tag.type] * len(raw.ch_names))
            if rest:
                raise _damaged(name, f"is damaged at byte {tag.at}: a buffer holds no whole number of samples")
            held += n * (1 + skipped)
    if held != raw.n_times:
        raise _damaged(name, f"is damaged: {raw.n_times} samples could be read of {held} that it holds")


def read_fif(path: Path, name: str) -> PersonRecording:
    """Read a continuous recording or epochs."""
    tags = read_tags(path, name)
    blocks = {tag.number for tag in tags if tag.kind == FIFF.FIFF_BLOCK_START}
    continuous = blocks & _RAW
    if FIFF.FIFFB_EVOKED in blocks and not continuous and FIFF.FIFFB_MNE_EPOCHS not in blocks:
        raise ReadError(
            f"{name}: holds an average (evoked), in which single moments are lost. "
            "Name the continuous recording or its epochs instead."
        )
    if not continuous and FIFF.FIFFB_MNE_EPOCHS not in blocks:
        raise ReadError(f"{name}: is a FIF file without a recording. Name the -raw.fif or -epo.fif file instead.")
    check_tags(tags, name)
    check_directory(path, tags, name)
    claimed = sum(
        tag.size // _BYTES[tag.type] * (1 + skipped) + _LEFT_OUT * skipped for tag, skipped in buffers_of(tags)
    )
    check_memory(claimed, name, path.stat().st_size)
    try:
        if FIFF.FIFFB_MNE_EPOCHS in blocks:
            return PersonRecording(mne.read_epochs(path, preload=False, proj=False, verbose="WARNING"))
        raw = mne.io.read_raw_fif(path, preload=False, on_split_missing="raise", verbose="WARNING")
    except ValueError as error:
        lacking = re.search(r"next file (.+) does not exist", str(error))
        if lacking is None:
            raise
        raise ReadError(
            f"{name}: is one of several parts, and the next one ({Path(lacking[1]).name}) is not there. "
            "Copy all parts into one folder, under the names they were saved with."
        ) from error
    compare_samples(raw, name)
    return PersonRecording(raw)


#: Tags that name a file or block by when and where it was written.
_WRITTEN = {
    int(FIFF[f"FIFF_{kind}"]) for kind in ("FILE_ID", "BLOCK_ID", "PARENT_FILE_ID", "PARENT_BLOCK_ID", "REF_FILE_ID")
}


def without_ids(path: Path) -> None:
    """Blank what a file says of when and on which machine it was written, so that equal content gives equal bytes."""
    parts = sorted(path.parent.glob(f"{path.stem}*.fif"))
    for part in parts:
        tags = [tag for tag in read_tags(part, part.name) if tag.kind in _WRITTEN]
        with part.open("r+b") as file:
            for tag in tags:
                file.seek(tag.at + _HEADER.size)
                file.write(bytes(tag.size))
