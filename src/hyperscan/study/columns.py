"""The columns of ``dyads.tsv``: which there must be, which there may be, and what a covariate may hold."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hyperscan.errors import did_you_mean
from hyperscan.study import cells
from hyperscan.study.selectors import parse_selector

REQUIRED = ("dyad", "therapist", "client", "session", "modality", "therapist_file", "client_file")

#: How each optional column is read. Files are read apart, because they need the study folder.
OPTIONAL: Mapping[str, Callable[[str], Any]] = {
    "days": cells.days,
    "date": cells.iso_date,
    "task": cells.label,
    "run": cells.label,
    "start_s": cells.seconds,
    "stop_s": cells.seconds,
    "segment_event": cells.event_name,
    "therapist_channels": parse_selector,
    "client_channels": parse_selector,
    "clock": cells.clock,
    "therapist_offset_s": cells.number,
    "client_offset_s": cells.number,
    "sync_event": cells.event_name,
    "include": cells.yes_no,
}

#: Columns of synchrony.tsv and pseudo.tsv, which a covariate must not hide.
OUTPUT_COLUMNS = frozenset(
    """
    signal metric band roi_therapist roi_client estimate z pseudo_mean_z pseudo_sd_z n_pseudo excess_z
    lag_estimate lag_p n_windows window_s seconds flags partner_dyad which
    """.split()  # noqa: SIM905 - one name per line would take a page
)

_COVARIATE_NAME = re.compile(r"[^\W\d_][\w .()/%+-]{0,63}")


def check_columns(columns: Sequence[str]) -> list[str]:
    """List what is wrong with a header.

    Parameters
    ----------
    columns : sequence of str
        Names as they stand in the table.

    Returns
    -------
    list of str
        One sentence per fault; empty if there is none.

    Examples
    --------
    >>> check_columns([*REQUIRED, "day"])
    ["column 'day' is not known. Did you mean 'days'? If it is a covariate, give it another name."]
    """
    problems = [
        f"column {name!r} is missing.{_candidate(name, columns)}; required: {', '.join(REQUIRED)}."
        for name in REQUIRED
        if name not in columns
    ]
    counts = Counter(name.casefold() for name in columns)
    twice = sorted({name for name in columns if counts[name.casefold()] > 1})
    if twice:
        listed = ", ".join(cells.shown(name) for name in twice)
        problems.append(f"these columns stand there twice or differ only in case: {listed}. Keep one of each.")
    missing = [name for name in REQUIRED if name not in columns]
    for position, name in enumerate(columns, 1):
        if name not in REQUIRED and name not in OPTIONAL:
            problems += _check_covariate_name(position, name, columns, missing)
    return problems


def _candidate(name: str, columns: Sequence[str]) -> str:
    close = did_you_mean(name, [column for column in columns if column not in REQUIRED])
    return f"{close.replace('Did you mean', 'Is it the one named')} Rename it" if close else " Add it"


def _check_covariate_name(position: int, name: str, columns: Sequence[str], missing: Sequence[str]) -> list[str]:
    if not name:
        return [f"column {position} has no name. Name it, or delete it."]
    if not _COVARIATE_NAME.fullmatch(name):
        return [
            f"column {position} is named {cells.shown(name)}. Begin with a letter; allowed: letters, "
            "digits, blanks and _ . ( ) / % + -, at most 64."
        ]
    if name.casefold() in OUTPUT_COLUMNS:
        return [f"column {name!r} is the name of a result. Rename the covariate, for example to '{name}_before'."]
    known = _near(name, [option for option in OPTIONAL if option not in columns])
    if known:
        return [f"column {name!r} is not known. Did you mean {known!r}? If it is a covariate, give it another name."]
    return []


def _near(name: str, known: Sequence[str]) -> str:
    """Known column that ``name`` is a misspelling of; empty if none is close enough to be one."""

    def bare(word: str) -> str:
        return re.sub(r"[^a-z]", "", word.casefold())

    letters = sorted(bare(name))
    same = [word for word in known if sorted(bare(word)) == letters or bare(word) == bare(name) + "s"]
    close = difflib.get_close_matches(name.casefold(), known, n=1, cutoff=0.85)
    return (same + close + [""])[0]
