"""Who met whom, when, in which files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hyperscan.study.findings import Finding, find_duplicates, find_swaps, study_findings
from hyperscan.study.pairing import PseudoSession, pseudo_pairs
from hyperscan.study.selectors import Selector, disjoint, parse_selector
from hyperscan.study.session import Session
from hyperscan.study.table import Rejected, StudyTable, read_sessions, read_table, said_once

if TYPE_CHECKING:
    from hyperscan.study.drafting.draft import Draft, Told, draft_dyads, write_draft

__all__ = [
    "Draft",
    "Finding",
    "PseudoSession",
    "Rejected",
    "Selector",
    "Session",
    "StudyTable",
    "Told",
    "disjoint",
    "draft_dyads",
    "find_duplicates",
    "find_swaps",
    "parse_selector",
    "pseudo_pairs",
    "read_sessions",
    "read_table",
    "said_once",
    "study_findings",
    "write_draft",
]


def __getattr__(name: str) -> Any:
    # a table is drafted once, and read in every process
    if name in ("Draft", "Told", "draft_dyads", "write_draft"):
        from hyperscan.study.drafting import draft

        return getattr(draft, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
