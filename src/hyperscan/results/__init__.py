"""Labelled results: of one dyad-session, and of a whole study."""

from __future__ import annotations

from hyperscan.results.folder import RunFolder
from hyperscan.results.plan import Plan
from hyperscan.results.session import SynchronyResult, read_synchrony
from hyperscan.results.study import StudyResult

__all__ = ["Plan", "RunFolder", "StudyResult", "SynchronyResult", "read_synchrony"]
