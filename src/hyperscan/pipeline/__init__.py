"""A study in, results out: discovery, check, the plan, units of work, resume."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hyperscan.pipeline.fits import growth_of, within_of
    from hyperscan.pipeline.lock import among_writers
    from hyperscan.pipeline.multiverse import run_multiverse
    from hyperscan.pipeline.privacy import public_rejected, revealed
    from hyperscan.pipeline.run import prepare_study, report_of, run_study
    from hyperscan.pipeline.study import CheckReport, check_study, load_study

__all__ = [
    "CheckReport",
    "among_writers",
    "check_study",
    "growth_of",
    "load_study",
    "prepare_study",
    "public_rejected",
    "report_of",
    "revealed",
    "run_multiverse",
    "run_study",
    "within_of",
]

_HOMES = {
    "lock": ("among_writers",),
    "multiverse": ("run_multiverse",),
    "study": ("CheckReport", "check_study", "load_study"),
    "privacy": ("public_rejected", "revealed"),
    "run": ("prepare_study", "report_of", "run_study"),
    "fits": ("growth_of", "within_of"),
}


def __getattr__(name: str) -> Any:
    # a worker needs what its unit needs, and no more
    for module, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"hyperscan.pipeline.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
