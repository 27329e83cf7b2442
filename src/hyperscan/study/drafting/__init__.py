"""A first ``dyads.tsv`` from what a folder holds: drafted, never decided."""

from __future__ import annotations

from hyperscan.study.drafting.draft import Draft, Told, draft_dyads, write_draft

__all__ = ["Draft", "Told", "draft_dyads", "write_draft"]
