"""What may leave a study, and what its inputs hold about people: never what a field says."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hyperscan.errors import OutputWriteError, ReadError, count
from hyperscan.recording.files.bids import files_of
from hyperscan.recording.files.shared import check_sound
from hyperscan.results.plan import Skip
from hyperscan.study import Rejected, Session, StudyTable
from hyperscan.study.grid import read_grid
from hyperscan.study.personal import find_personal, is_word
from hyperscan.study.rows import OPTIONAL, REQUIRED, is_missing

#: ``Fz``, ``E101``, ``S1_D12``, ``AF7h``, ``EEG Cz-Ref``: a place. No name of a person has this form.
_CHANNEL_CODE = re.compile(
    r"(EEG )?((A?Fp|AFF?|F|FFC|FCC?|CC?P|CPP?|C|P|PPO|POO?|OI?|I|N|T)z|[A-Za-z]{0,4}[ _-]?\d{1,3}[A-Za-z']{0,2})"
    r"(-(Ref|LE|A1|A2|M1|M2))?|S\d{1,3}_D\d{1,3}( (hbo|hbr|\d{3,4}))?",
    re.IGNORECASE,
)

#: Anything in quotation marks is text of the user's, and so are paths.
_QUOTED = re.compile(
    # what stands in brackets is a name with a dot or a slash; a decimal number is none
    r"\([^()\n]*(?:/|(?<!\d)\.|\.(?!\d))[^()\n]*\)|[^\s:;,'\"]*[/\\][^\s:;,'\"]*|"
    r"'[^'\n]*'|\"[^\"\n]*\"|‘[^’\n]*’|“[^”\n]*”"
)

#: Words of a command line that name nothing of the user's.
_PROGRAMS = ("hyperscan", "hyperscan-bids")
_PLAIN = re.compile(r"[\d.]+|run|participant|group")

#: A name as Python quotes it; the apostrophe of a genitive opens none.
_QUOTED_NAME = re.compile(r"(?<!\w)'[^'\n]*'(?!\w)|\"[^\"\n]*\"")


@contextlib.contextmanager
def owners_only(out: Path, private: bool) -> Iterator[None]:
    """Make an output folder readable by its owner only, before a run and after it; ``private`` false: do nothing.

    A closed folder keeps all it holds closed, whatever mask the workers of a cluster write with.
    """
    if not private:
        yield
        return
    _close(out)
    try:
        yield
    finally:
        _close(out)


def _close(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True, mode=0o700)
    for path in (out, *out.rglob("*")):
        try:
            if not path.is_symlink():
                path.chmod(0o700 if path.is_dir() else 0o600)
        except FileNotFoundError:  # a worker has just given it its name
            continue
        except OSError as error:
            raise OutputWriteError(
                f"{out.name}: {path.name} in it cannot be made private ({error.strerror}). "
                "Let its owner do so, or choose a new folder."
            ) from error


def public_channel(name: str, allowed: Iterable[str] = ()) -> str:
    """Return a channel name if it is a code, else a stand-in that is the same in every session.

    Examples
    --------
    >>> public_channel("POz"), public_channel("E12"), public_channel("Jane Doe")
    ('POz', 'E12', 'ch-01332c876518')
    """
    if name in allowed or _CHANNEL_CODE.fullmatch(name):
        return name
    return f"ch-{hashlib.sha256(name.encode('utf-8', 'replace')).hexdigest()[:12]}"


def scrub(content: Any, row: Session, channels: Mapping[str, str]) -> Any:
    """Replace file and channel names in every text of a summary."""
    if isinstance(content, Mapping):
        scrubbed: dict[Any, Any] = {}
        for key, value in content.items():
            name = scrub(key, row, channels)
            while name in scrubbed:  # two names that a record leaves out stay two
                name = f"{name} (another)"
            scrubbed[name] = scrub(value, row, channels)
        return scrubbed
    if isinstance(content, list | tuple):
        return [scrub(item, row, channels) for item in content]
    if not isinstance(content, str):
        return content
    if channels:  # all at once: a name may be a part of another's stand-in
        names = "|".join(map(re.escape, sorted(channels, key=len, reverse=True)))
        content = re.sub(rf"(?<!\w)(?:{names})(?!\w)", lambda match: channels[match[0]], content)
    for name, path in row.files.items():
        content = _without_file(content, row, path, f"[{name}_file]")
    return content


def public_reason(reason: str) -> str:
    """Leave the quoted cells of a table out of a reason.

    Examples
    --------
    >>> public_reason("dyad = 'Jane Doe': only letters and digits.")
    "dyad = '…': only letters and digits."
    """
    return _QUOTED.sub("'…'", reason)


def public_command(words: Sequence[str]) -> str:
    """Return a command without its paths, which may name people: what is no option, number or word of ours is left out.

    Examples
    --------
    >>> public_command(["/bin/hyperscan", "run", "Jane", "--output=Doe", "-oDoe", "--jobs", "4", "--seed=3", "-q"])
    'hyperscan run … --output=… -o… --jobs 4 --seed=3 -q'
    """
    shown = [Path(words[0]).name if words and Path(words[0]).name in _PROGRAMS else "…"]
    for word in words[1:]:
        name, equals, value = word.partition("=")
        if re.fullmatch(r"--[a-z-]+", name):
            shown.append(f"{name}={value if _PLAIN.fullmatch(value) else '…'}" if equals else name)
        elif re.fullmatch(r"-[a-z]\d*", word) or _PLAIN.fullmatch(word):
            shown.append(word)
        else:
            shown.append(f"{word[:2]}…" if re.match(r"-[a-z]", word) else "…")
    return " ".join(shown)


def public_note(note: str) -> str:
    """Leave quoted text, such as the names of annotations, out of a note of the history.

    Examples
    --------
    >>> public_note("responses to annotated events regressed out: 'Jane talks' (7)")
    "responses to annotated events regressed out: '…' (7)"
    >>> public_note("2 s of the therapist's and 3 s of the client's recording")
    "2 s of the therapist's and 3 s of the client's recording"
    """
    return _QUOTED_NAME.sub("'…'", note)


def public_rejected(entry: Rejected) -> Skip:
    """Return the record of a row that the table lost, without its cells."""
    reason = f"line {entry.line}: {public_reason(entry.reason)}"
    return Skip(entry.dyad, entry.session, entry.modality, entry.task, entry.run, reason)


def revealed(reason: str, row: Session) -> str:
    """Put file names back, for the person at the terminal."""
    for name, path in row.files.items():
        reason = reason.replace(f"[{name}_file]", row.relative(path))
    return reason


def _without_file(text: str, row: Session, path: Path, stand_in: str) -> str:
    text = text.replace(row.relative(path), stand_in).replace(str(path), stand_in)
    # sidecars share the stem; a stem alone may be a word of ours
    return re.sub(rf"(?<![\w-])(?:[^\s:;,]*/)?{re.escape(path.stem)}\.\w+", stand_in, text)


#: Fields of MNE's Info that say who, when or where.
_INFO = ("subject_info", "experimenter", "description", "proj_name", "meas_date", "device_info", "helium_info")

#: Parts of keys and columns that hold personal data in sidecars and tables.
_PERSONAL = re.compile(
    r"name|birth|dob|phone|mail|address|patient|subject_?id|operator|physician|institution|serial|date|time$|comment",
    re.IGNORECASE,
)

#: EDF and BDF: patient, recording and date fields, by their bytes.
_EDF_FIELDS = {"patient": (8, 88), "recording": (88, 168), "start date": (168, 184)}

#: Formats whose header is read here; what MNE makes of an empty field says less.
_BY_BYTES = (".edf", ".bdf", ".snirf")

#: A field that was made empty on purpose.
_BLANK = re.compile(r"[X\s.0:_-]*(Startdate)?[X\s.0:_-]*|01\.01\.(85|70|00)[\d.]*")

#: Markers that are codes: ``S  1``, ``Stimulus/S 11``, ``BAD_``, ``5``.
_CODE = re.compile(
    r"((Stimulus|Response|Comment|New Segment|Trigger)/?)*\s*[A-Z]{0,2}\s*\d*|BAD.*|EDGE.*|boundary", re.IGNORECASE
)

#: Parts of a sound's file that say nothing about people.
_NO_TAGS = {"fact", "JUNK", "PEAK", "PAD", "FLLR", "cue"}

#: Words that file names are made of apart from the ids of the table.
_WORDS = re.compile(
    r"sub|ses|task|run|acq|dyad|eeg|ieeg|meg|nirs|fnirs|raw|epo|rec|split|session|visit|therapist|client|patient|baseline|"
    r"rest|talk|data|derivatives|sourcedata|pair|part|room|left|right|[a-z]{0,3}\d*",
    re.IGNORECASE,
)
_DATE = re.compile(r"(19|20)\d\d[-_.]?[01]\d[-_.]?[0-3]\d")


def leaks_of(table: StudyTable) -> Iterator[str]:
    """List what must be removed before the inputs are shared."""
    yield from (f"{table.path.name}: {leak}" for leak in _of_table(table))
    seen: set[Path] = set()
    for row in table.sessions:
        for name, path in row.files.items():
            if path not in seen:
                seen.add(path)
                look = _of_shared if name == "shared" else _of_recording
                yield from (f"{row.relative(path)}: {leak}" for leak in look(path, row))
                for file in files_of(path)[1:]:
                    yield from (f"{row.relative(file)}: {leak}" for leak in _of_sidecar(file))
    for file in sorted(
        p for p in table.root.rglob("*") if p.is_file() and p.suffix in (".json", ".tsv") and p != table.path
    ):
        if not any(file in files_of(path) for path in seen if path.is_file()):
            yield from (f"{file.relative_to(table.root).as_posix()}: {leak}" for leak in _of_sidecar(file))


def _of_table(table: StudyTable) -> Iterator[str]:
    """Look at every column of the study's table: labels that are words, dates, and what no covariate may be."""
    grid = read_grid(table.path)
    dyads = {row.line: row.cells.get("dyad", "") for row in grid.rows}
    for name in grid.columns:
        cells = {row.line: row.cells[name] for row in grid.rows if not is_missing(row.cells.get(name, ""))}
        people = name in ("dyad", "therapist", "client")
        if people or name in ("task", "run"):
            words = {text for text in cells.values() if is_word(text)} if people else set()
            if words:
                yield f"{count(len(words), 'label')} in column {name} may be names: words, and no codes"
            numbers = {line: re.sub(r"^[A-Za-z]+(?=\d{6,}$)", "", text) for line, text in cells.items()}
            # every person has a code of their own; a task of each dyad alone may be a name
            found = find_personal(name, numbers, {} if people else dyads)
            if found is not None:
                yield f"labels in column {name} may be {found[1]} (line {found[0]}); results are called by them"
        elif name == "date" and cells:
            yield "column date holds dates; results have days only, but the table itself says when people met"
        elif name not in REQUIRED and name not in OPTIONAL:
            found = find_personal(name, cells, dyads)
            if found is not None:
                shown = name if name.isidentifier() else f"number {grid.columns.index(name) + 1}"
                yield f"column {shown} holds {found[1]} (line {found[0]}); results leave it out"


def _of_recording(path: Path, row: Session) -> Iterator[str]:
    yield from _of_name(row.relative(path), row)
    special: dict[str, Callable[[Path], Iterator[str]]] = {".edf": _edf, ".bdf": _edf, ".snirf": _snirf, ".vhdr": _vhdr}
    if path.suffix.lower() in special:
        yield from special[path.suffix.lower()](path)
    yield from _of_reader(path)


def _of_shared(path: Path, row: Session) -> Iterator[str]:
    yield from _of_name(row.relative(path), row)
    if path.suffix.lower() == ".wav":
        yield "sound: a voice identifies a person, and what is said may be heard; results hold nothing of it"
        with contextlib.suppress(ReadError):  # one that is refused is told so
            tags = sorted(check_sound(path, path.name) - _NO_TAGS)
            if tags:
                yield f"parts {', '.join(map(_known_tag, tags))} beside the sound, which may say who spoke, and when"


def _of_name(name: str, row: Session) -> Iterator[str]:
    if _DATE.search(name):
        yield "its name or folder holds a date"
    ids = {label.casefold() for label in (row.dyad, row.therapist, row.client, row.task, row.run)}
    words = [word for word in re.split(r"[^A-Za-z0-9]+", Path(name).with_suffix("").as_posix()) if word]
    odd = [word for word in words if word.casefold() not in ids and not _WORDS.fullmatch(word)]
    if odd:
        yield f"its name or folder holds {count(len(odd), 'word that is no id', 'words that are no ids')} of the table"


def _of_reader(path: Path) -> Iterator[str]:
    """Look at what the reader sees, whatever the format: subject fields, annotations, channel names."""
    import mne

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            raw = mne.io.read_raw(path, preload=False, verbose="error")
    except Exception:  # any reader may fail in its own way; then the fields above are all that can be said
        yield "could not be opened by a reader, so annotations and channel names were not looked at"
        return
    for field in () if path.suffix.lower() in _BY_BYTES else _INFO:
        value = raw.info.get(field)
        filled = [key for key, item in value.items() if item not in (None, "", 0)] if isinstance(value, dict) else []
        if filled:
            yield f"header field {field} is filled ({', '.join(sorted(filled))})"
        elif value is not None and not isinstance(value, dict):
            yield f"header field {field} is filled"
    free = [text for text in set(raw.annotations.description) if not _CODE.fullmatch(str(text))]
    if free:
        yield count(len(free), "annotation text is no code", "annotation texts are no codes")
    odd = [name for name in raw.ch_names if public_channel(name) != name]
    if odd:
        where = [str(raw.ch_names.index(name) + 1) for name in odd[:8]]
        told = count(len(odd), "channel name is no code", "channel names are no codes")
        yield f"{told} (channels {', '.join(where)})"


def _edf(path: Path) -> Iterator[str]:
    with path.open("rb") as stream:
        header = stream.read(184).decode("latin-1")
    for field, (start, stop) in _EDF_FIELDS.items():
        if not _BLANK.fullmatch(header[start:stop].strip()):
            yield f"header field {field} is filled"


def _vhdr(path: Path) -> Iterator[str]:
    text = path.read_bytes()[:200_000].decode("latin-1")
    comment = text.partition("[Comment]")[2].strip()
    if comment:
        yield f"header section [Comment] holds {len(comment.splitlines())} lines"


def _snirf(path: Path) -> Iterator[str]:
    import h5py

    try:
        with h5py.File(path, "r") as stored:
            for group in sorted(name for name in stored if name.startswith("nirs")):
                tags = stored[group].get("metaDataTags", {})
                filled = sorted(tag for tag in tags if not tag.endswith("Unit"))
                if filled:
                    yield f"{group}/metaDataTags holds {', '.join(map(_known_tag, filled))}"
    except OSError:
        yield "cannot be opened as HDF5"


def _known_tag(tag: str) -> str:
    return tag if re.fullmatch(r"[A-Za-z_]{1,40}", tag) else "a tag with an odd name"


def _of_sidecar(path: Path) -> Iterator[str]:
    readers: dict[str, Callable[[Path], list[str]]] = {".json": _json_keys, ".tsv": _tsv_columns}
    if path.suffix not in readers:
        return
    try:
        names = readers[path.suffix](path)
    except (OSError, ValueError, csv.Error):
        yield "cannot be read"
        return
    personal = [name for name in names if _PERSONAL.search(name) and name.isidentifier()]
    if personal:
        yield f"{'keys' if path.suffix == '.json' else 'columns'} that may be personal: {', '.join(personal[:8])}"


def _json_keys(path: Path) -> list[str]:
    return list(_filled(json.loads(path.read_text(encoding="utf-8"))))


def _filled(content: Any) -> Iterator[str]:
    if isinstance(content, dict):
        for key, value in content.items():
            if isinstance(value, dict | list):
                yield from _filled(value)
            # s since another recording began, no time of a day
            elif value not in (None, "", "n/a") and not (key == "StartTime" and isinstance(value, int | float)):
                yield str(key)
    elif isinstance(content, list):
        for item in content:
            yield from _filled(item)


def _tsv_columns(path: Path) -> list[str]:
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream, delimiter="\t"))
    if not rows:
        return []
    return [
        name for i, name in enumerate(rows[0]) if any(i < len(row) and row[i] not in ("", "n/a") for row in rows[1:])
    ]
