"""Who seems to have met whom: the record between the layouts and the drafted table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

#: Words that name a role beyond doubt. Parent, child, F, M, A and B do not: these are asked about.
THERAPIST_WORDS = frozenset(
    ["therapist", "ther", "thera", "th", "t", "clinician", "counselor", "counsellor", "psychologist"]
)
CLIENT_WORDS = frozenset(["client", "cl", "c", "patient", "pat", "pt", "p"])


@dataclass(frozen=True)
class Person:
    """One person's part in a meeting.

    Parameters
    ----------
    file : str
        Recording, relative to the study folder.
    label : str
        Id; empty where it is not known.
    role : {'therapist', 'client', ''}
        Empty where it is not known.
    channels : str
        Selector, where a file holds two people.
    """

    file: str
    label: str = ""
    role: str = ""
    channels: str = ""


@dataclass(frozen=True)
class Meeting:
    """One dyad-session as far as the layout tells.

    Parameters
    ----------
    dyad : str
        Label; empty if it has to be filled in.
    session : int or None
        Number; None if it has to be filled in.
    modality : str
        ``eeg``, ``fnirs`` or empty.
    people : tuple of Person
        Two if all is well.
    task, run, condition : str
        Further labels.
    """

    dyad: str
    session: int | None
    modality: str
    people: tuple[Person, ...]
    task: str = ""
    run: str = ""
    condition: str = ""


@dataclass(frozen=True)
class Layout:
    """What a rule made of a folder.

    Parameters
    ----------
    rule : str
        Sentence that says which rule was used.
    meetings : tuple of Meeting
        One per row.
    questions, notes : tuple of str
        What the reader has to fill in; what was assumed or passed over.
    """

    rule: str
    meetings: tuple[Meeting, ...]
    questions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def plain_label(text: str) -> str:
    """Reduce text to the letters and digits that an id may have."""
    return re.sub(r"[^A-Za-z0-9]", "", text)


def role_of(word: str) -> str:
    """Role that a word names, digits apart: ``T01`` and ``therapist`` are the therapist.

    Examples
    --------
    >>> role_of("Patient2"), role_of("mother")
    ('client', '')
    """
    bare = re.sub(r"[0-9]+$", "", word.casefold().strip("-_ "))
    if bare in THERAPIST_WORDS:
        return "therapist"
    return "client" if bare in CLIENT_WORDS else ""


def pair_roles(words: Sequence[str]) -> tuple[str, ...]:
    """Roles of two people; empty ones unless the two words name both roles.

    Examples
    --------
    >>> pair_roles(["P", "T"]), pair_roles(["T", "x"])
    (('client', 'therapist'), ('', ''))
    """
    roles = tuple(role_of(word) for word in words)
    return roles if sorted(roles) == ["client", "therapist"] else ("",) * len(roles)


def last_number(text: str) -> int | None:
    """Read the number at the end of a label such as ``ses-02`` or ``pre1``; None if there is none."""
    match = re.search(r"0*([0-9]{1,4})$", text)
    return int(match[1]) if match and int(match[1]) > 0 else None


def listed(items: Sequence[str], limit: int = 5) -> str:
    """Join names for a sentence, the first few only."""
    return ", ".join(items[:limit]) + (f" and {len(items) - limit} more" if len(items) > limit else "")
