"""Labels of letters and digits: made of any text, and compared with what they were made of.

A label keeps less than the text: umlauts are spelled out, accents, signs and letters of other scripts go. So whoever
makes labels asks whether two texts gave one label.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable

#: Letters that are not a plain letter with an accent, as German, Scandinavian, French, Polish and Icelandic spell them.
_SPELLED = {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "æ": "ae", "ø": "oe", "å": "aa", "œ": "oe"}
_SPELLED |= {"ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i", "ŋ": "ng", "ħ": "h", "ŧ": "t"}

#: Longer ones make file names that some disks refuse (our choice).
MAX_LABEL = 64


def is_label(text: str) -> bool:
    """Whether text may be an id: 1-64 letters A-Z a-z and digits."""
    return text.isascii() and text.isalnum() and len(text) <= MAX_LABEL


def plain_label(text: str) -> str:
    """Spell text in the letters and digits that an id may have.

    Examples
    --------
    >>> plain_label("Müller_01"), plain_label("Möller_01"), plain_label("Núñez 2")
    ('Mueller01', 'Moeller01', 'Nunez2')
    """
    return re.sub(r"[^A-Za-z0-9]", "", "".join(map(_spell, unicodedata.normalize("NFC", text))))


def _spell(sign: str) -> str:
    if sign.isascii():
        return sign
    digit, small = unicodedata.decimal(sign, None), sign.lower()
    if digit is not None:
        return str(digit)
    if small in _SPELLED:
        return _SPELLED[small] if sign == small else _SPELLED[small].capitalize()
    return unicodedata.normalize("NFKD", sign)


def without_accents(text: str) -> str:
    """Fold case and leave accents out, to compare words."""
    parts = unicodedata.normalize("NFKD", text.casefold())
    return "".join(sign for sign in parts if not unicodedata.combining(sign))


def changed_letters(text: str) -> bool:
    """Whether a label spells a letter of the text otherwise, or leaves it out."""
    return any(sign.isalnum() and plain_label(sign) != sign for sign in unicodedata.normalize("NFC", text))


def clashes(labelled: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Find labels that two different texts gave, case apart: label, in lower case, to the texts.

    Examples
    --------
    >>> clashes([("Mueller", "Mueller"), ("Müller", "Mueller"), ("Kim", "Kim")])
    {'mueller': ['Mueller', 'Müller']}
    """
    texts: dict[str, set[str]] = defaultdict(set)
    for text, label in labelled:
        if label:
            texts[label.casefold()].add(text)
    return {label: sorted(found) for label, found in texts.items() if len(found) > 1}
