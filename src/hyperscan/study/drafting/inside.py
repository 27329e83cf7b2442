"""Two people in one file: by XDF stream, SNIRF group, or a sign in the channel names; otherwise asked for."""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from xml.etree import ElementTree

from hyperscan.errors import HyperscanError
from hyperscan.study.drafting.recordings import Person, pair_roles

Peek = Callable[[Path], Sequence[str]]

_SIGNAL_TYPES = {"eeg": "eeg", "nirs": "fnirs", "fnirs": "fnirs"}
#: A stream header is some kilobytes of XML; a longer one is damage (our choice).
_MAX_HEADER = 16_000_000
_FNIRS_NAME = re.compile(r"S[0-9]+[_-]D[0-9]+")
_ELECTRODE = re.compile(r"(?:N|FP|AF|F|FC|FT|C|CP|T|TP|P|PO|O|I|M)(?:Z|[0-9]{1,2})", re.IGNORECASE)
_MARK = re.compile(r"[_\-:. ]")
#: What signals and their quality are called: one person's, where channels have both (EmotivPRO: EEG, CQ, EQ, POW).
_SIGNALS = frozenset(("eeg", "cq", "eq", "pow", "raw", "filt", "filtered", "clean", "imp", "impedance", "a1", "a2"))
#: Two people need at least so many like-named channels before a sign counts (our choice).
_MIN_CHANNELS = 2


@dataclass(frozen=True)
class Inside:
    """What a file says about the people in it."""

    #: How two people were told apart; empty if they were not
    rule: str = ""
    #: Two selectors; empty if they were not told apart
    channels: tuple[str, ...] = ()
    #: What may name the roles
    words: tuple[str, ...] = ()
    #: What to fill in; empty if nothing
    question: str = ""
    #: Where only the content tells it
    modality: str = ""
    #: What is wrong with the file, as its reader says it
    fault: str = ""

    def people(self, file: str) -> tuple[Person, ...]:
        """Give the people of a file their selectors and, where the words tell, their roles."""
        if not self.channels:
            return (Person(file),)
        roles = pair_roles(self.words)
        return tuple(
            Person(file, role=role, channels=channels, words=_words_of(word, channels))
            for role, channels, word in zip(roles, self.channels, self.words, strict=True)
        )


def _words_of(word: str, selector: str) -> tuple[str, ...]:
    sign = re.sub(r"^(prefix:|suffix:|stream:|/)", "", selector)
    return tuple(dict.fromkeys(part for part in (word, sign, selector) if part))


def look_inside(path: Path, peek: Peek | None = None) -> Inside:
    """Tell two people in one file apart, reading headers only."""
    if not path.exists():
        return Inside(question="it is not there or not downloaded, so nobody looked inside")
    if path.suffix.lower() == ".xdf":
        return _xdf(path)
    if path.suffix.lower() == ".snirf":
        return _snirf(path)
    if peek is None:
        return Inside(question="its channel names were not read")
    try:
        names = list(peek(path))
    except HyperscanError as error:
        return Inside(question="it cannot be read", fault=str(error))
    except (OSError, ValueError, RuntimeError):
        return Inside(question="it cannot be read")
    return split_names(names)


def split_names(names: Sequence[str]) -> Inside:
    """Tell two people apart by a prefix or suffix that splits the channels into two like-named sets.

    Examples
    --------
    >>> split_names(["T_Fz", "T_Cz", "P_Fz", "P_Cz", "Status"]).channels
    ('prefix:T_', 'prefix:P_')
    """
    found = {kind: _two_signs(names, kind) for kind in ("prefix", "suffix")}
    told = [kind for kind, signs in found.items() if signs]
    # two channels of two people read both ways: T_Fz, T_Cz, P_Fz, P_Cz; only roles decide
    if len(told) == 2:
        told = [kind for kind in told if any(pair_roles([_role_word(sign) for sign in found[kind]]))]
    if len(told) == 1:
        kind, signs = told[0], found[told[0]]
        rule = f"the channel names' {kind} tells two people apart (layouts L5, L10)"
        words = tuple(_role_word(sign) for sign in signs)
        return Inside(rule, tuple(f"{kind}:{sign}" for sign in signs), words)
    half = len(names) // 2
    proposal = f" (if the second half is the other person: 1-{half} and {half + 1}-{2 * half})" if half else ""
    return Inside(question=f"its {len(names)} channel names do not tell two people apart{proposal}")


def _two_signs(names: Sequence[str], kind: str) -> tuple[str, ...]:
    """Two signs whose channels are called the same; () unless there is exactly one such pair."""
    rests: dict[str, set[str]] = defaultdict(set)
    for name in names:
        # an fNIRS channel has two wavelengths or chromophores, which are no people
        marks = () if _FNIRS_NAME.match(name) else _MARK.finditer(name)
        for match in marks:
            if kind == "prefix":
                rests[name[: match.end()]].add(name[match.end() :])
            else:
                rests[name[match.start() :]].add(name[: match.start()])
    twins = [
        (a, b)
        for a, b in itertools.combinations(rests, 2)
        if rests[a] == rests[b] and len(rests[a]) >= _MIN_CHANNELS and 4 * len(rests[a]) > len(names)
    ]
    # two signs that are places on the head are no people, T1 and P1 may be; neither are two kinds of signal
    words = {pair: [_role_word(sign) for sign in pair] for pair in twins}
    twins = [pair for pair in twins if not _SIGNALS.issuperset(word.casefold() for word in words[pair])]
    twins = [pair for pair in twins if any(pair_roles(words[pair])) or not all(map(_ELECTRODE.fullmatch, words[pair]))]
    most = max((len(rests[a]) for a, _ in twins), default=0)
    best = [pair for pair in twins if len(rests[pair[0]]) == most]
    return best[0] if len(best) == 1 else ()


def _role_word(sign: str) -> str:
    words = [word for word in _MARK.split(sign) if word]
    return words[-1] if words else ""


def _xdf(path: Path) -> Inside:
    try:
        with path.open("rb") as file:
            streams = list(_xdf_streams(file, path.stat().st_size))
    except (OSError, ValueError, ElementTree.ParseError):
        return Inside(question="its stream headers cannot be read")
    signals = [(name, host, _SIGNAL_TYPES[kind]) for name, host, kind in streams if kind in _SIGNAL_TYPES]
    modalities = {modality for _, _, modality in signals}
    modality = modalities.pop() if len(modalities) == 1 else ""
    names = [name for name, _, _ in signals]
    if len(set(names)) == 1:
        # two computers may send streams of one name
        names = [f"{name}@{host}" if host else name for name, host, _ in signals]
    if len(names) == 2 and names[0] != names[1] and all(name and name.isprintable() for name in names):
        rule = "two signal streams of the XDF file are the two people (layout L8)"
        words = tuple(_role_word(name) for name in names)
        return Inside(rule, tuple(f"stream:{name}" for name in names), words, modality=modality)
    told = "of one name" if len(names) == 2 else "where two are needed"
    return Inside(question=f"it has {len(names)} EEG or NIRS streams {told}", modality=modality)


def _xdf_streams(file: BinaryIO, size: int) -> Iterator[tuple[str, str, str]]:
    """Yield name, host and type of every stream, chunk by chunk: readers of whole files may loop on damage."""
    if file.read(4) != b"XDF:":
        raise ValueError("not an XDF file")
    while width := file.read(1):
        if width[0] not in (1, 4, 8):
            raise ValueError("damaged chunk")
        length = int.from_bytes(file.read(width[0]), "little")
        tag = file.read(2)
        if length < 2 or file.tell() + length - 2 > size:
            return
        if tag != b"\x02\x00":
            file.seek(length - 2, 1)
        elif length > _MAX_HEADER:
            raise ValueError("damaged stream header")
        else:
            # four bytes of stream number come before the XML
            header = ElementTree.fromstring(file.read(length - 2)[4:].decode("utf-8", "replace"))
            name, host, kind = (header.findtext(key, "").strip() for key in ("name", "hostname", "type"))
            yield name, host, kind.casefold()


def _snirf(path: Path) -> Inside:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            groups = sorted(
                name
                for name in file
                if re.fullmatch(r"nirs[0-9]{0,4}", name) and isinstance(file.get(name, getlink=True), h5py.HardLink)
            )
            sources = _count_sources(file[groups[0]]) if len(groups) == 1 else 0
    except (OSError, KeyError, ValueError, RuntimeError):
        return Inside(question="it is no readable SNIRF file")
    if len(groups) == 2:
        rule = "two groups of the SNIRF file are the two people (layout L9)"
        return Inside(rule, tuple(f"/{name}" for name in groups), ("", ""))
    half = sources // 2
    told = f"one group with {sources} sources" if len(groups) == 1 else f"{len(groups)} groups"
    proposal = f" (if the second half is the other person: sources:1-{half} and sources:{half + 1}-{2 * half})"
    return Inside(question=f"it has {told}, which does not tell two people apart{proposal if half else ''}")


def _count_sources(group: object) -> int:
    """Largest source number of a SNIRF group; 0 if it has no probe that we can count."""
    import h5py

    probe = group.get("probe") if isinstance(group, h5py.Group) else None
    for name in ("sourcePos3D", "sourcePos2D"):
        if isinstance(probe, h5py.Group) and isinstance(probe.get(name), h5py.Dataset):
            return int(probe[name].shape[0])
    return 0
