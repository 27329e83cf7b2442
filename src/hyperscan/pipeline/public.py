"""What may leave a study: ids, numbers and our own words; no name of a file, person or odd channel.

File names, annotations and free channel names may hold what a clinic types there. Records, logs and the
report get stand-ins; the person at the terminal sees the real file names.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hyperscan.study import Rejected, Session

#: ``Fz``, ``E101``, ``S1_D12``, ``AF7h``, ``EEG Cz-Ref``: a place. No name of a person has this form.
_CODE = re.compile(
    r"(EEG )?((A?Fp|AFF?|F|FFC|FCC?|CC?P|CPP?|C|P|PPO|POO?|OI?|I|N|T)z|[A-Za-z]{0,4}[ _-]?\d{1,3}[A-Za-z']{0,2})"
    r"(-(Ref|LE|A1|A2|M1|M2))?|S\d{1,3}_D\d{1,3}( (hbo|hbr|\d{3,4}))?",
    re.IGNORECASE,
)

#: Anything in quotation marks is text of the user's, and so are paths.
_QUOTED = re.compile(
    r"\([^()\n]*[./][^()\n]*\)|[^\s:;,'\"]*[/\\][^\s:;,'\"]*|"
    r"'[^'\n]*'|\"[^\"\n]*\"|‘[^’\n]*’|“[^”\n]*”"
)

_FILE_ROLES = ("therapist_file", "client_file")

#: A name as Python quotes it; the apostrophe of a genitive opens none.
_QUOTED_NAME = re.compile(r"(?<!\w)'[^'\n]*'(?!\w)|\"[^\"\n]*\"")


def public_channel(name: str, allowed: Iterable[str] = ()) -> str:
    """Return a channel name if it is a code, else a stand-in that is the same in every session.

    Parameters
    ----------
    name : str
        As the file has it.
    allowed : iterable of str
        Names that the configuration uses, and so has made public.

    Returns
    -------
    str

    Examples
    --------
    >>> public_channel("POz"), public_channel("E12"), public_channel("Jane Doe")
    ('POz', 'E12', 'ch-01332c')
    """
    if name in allowed or _CODE.fullmatch(name):
        return name
    return f"ch-{hashlib.sha256(name.encode('utf-8', 'replace')).hexdigest()[:6]}"


def scrubbed(content: Any, row: Session, channels: Mapping[str, str]) -> Any:
    """Replace file and channel names in every text of a summary.

    Parameters
    ----------
    content : mapping, sequence, str or anything else
        Of a row.
    row : Session
        Whose files these are.
    channels : mapping of str to str
        Channel names and their stand-ins.

    Returns
    -------
    Same as content
    """
    if isinstance(content, Mapping):
        return {scrubbed(key, row, channels): scrubbed(value, row, channels) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [scrubbed(item, row, channels) for item in content]
    if not isinstance(content, str):
        return content
    for name, stand_in in sorted(channels.items(), key=lambda item: -len(item[0])):
        content = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", stand_in, content)
    for role in _FILE_ROLES:
        content = _without_file(content, row, getattr(row, role), f"[{role}]")
    return content


def public_reason(reason: str) -> str:
    """Leave the quoted cells of a table out of a reason.

    Parameters
    ----------
    reason : str
        Of a rejected row, or a finding.

    Returns
    -------
    str

    Examples
    --------
    >>> public_reason("dyad = 'Jane Doe': only letters and digits.")
    "dyad = '…': only letters and digits."
    """
    return _QUOTED.sub("'…'", reason)


def public_note(note: str) -> str:
    """Leave quoted text, such as the names of annotations, out of a note of the history.

    Parameters
    ----------
    note : str

    Returns
    -------
    str

    Examples
    --------
    >>> public_note("responses to annotated events regressed out: 'Jane talks' (7)")
    "responses to annotated events regressed out: '…' (7)"
    >>> public_note("2 s of the therapist's and 3 s of the client's recording")
    "2 s of the therapist's and 3 s of the client's recording"
    """
    return _QUOTED_NAME.sub("'…'", note)


def public_rejected(entry: Rejected) -> dict[str, Any]:
    """Return the record of a row that the table lost."""
    return {
        "dyad": entry.dyad,
        "session": entry.session,
        "modality": entry.modality,
        "task": entry.task,
        "run": entry.run,
        "reason": f"line {entry.line}: {public_reason(entry.reason)}",
    }


def revealed(reason: str, row: Session) -> str:
    """Put file names back, for the person at the terminal."""
    for role in _FILE_ROLES:
        reason = reason.replace(f"[{role}]", row.relative(getattr(row, role)))
    return reason


def _without_file(text: str, row: Session, path: Path, stand_in: str) -> str:
    text = text.replace(row.relative(path), stand_in).replace(str(path), stand_in)
    # sidecars share the stem; a stem alone may be a word of ours
    return re.sub(rf"(?<![\w-])(?:[^\s:;,]*/)?{re.escape(path.stem)}\.\w+", stand_in, text)
