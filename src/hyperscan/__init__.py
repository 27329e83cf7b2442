"""Measure whether inter-brain synchrony grows over the sessions of a therapy.

>>> import hyperscan as hs
>>> hs.StudyConfig().window_s
20.0
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"


def _refuse_pathspec() -> None:
    """Refuse to be the regex engine of this name that ``pathspec`` (black, mypy, mkdocs) tries for its backend."""
    frame = sys._getframe()
    while frame := frame.f_back:  # type: ignore[assignment]
        if str(frame.f_globals.get("__name__")).startswith("pathspec._backends."):
            raise ModuleNotFoundError("hyperscan-mne is no regex engine", name="hyperscan")


_refuse_pathspec()

#: Public name -> module that holds it. Imported when first used, so that ``import hyperscan`` is quick and
#: ``hyperscan.metrics`` needs no mne.
_PUBLIC = {
    "GrowthResult": "hyperscan.growth",
    "MultiverseResult": "hyperscan.growth",
    "PairedRecording": "hyperscan.recording",
    "Session": "hyperscan.study",
    "StudyConfig": "hyperscan.config",
    "StudyResult": "hyperscan.results",
    "SynchronyResult": "hyperscan.results",
    "align_pair": "hyperscan.recording",
    "compute_synchrony": "hyperscan.synchrony",
    "fit_growth": "hyperscan.growth",
    "fit_multiverse": "hyperscan.growth",
    "load_session": "hyperscan.recording",
    "plan_power": "hyperscan.growth",
    "preprocess_pair": "hyperscan.recording",
    "read_sessions": "hyperscan.study",
    "read_synchrony": "hyperscan.results",
    "run_multiverse": "hyperscan.pipeline",
    "run_study": "hyperscan.pipeline",
    "simulate_study": "hyperscan.simulate",
}

__all__ = [
    "GrowthResult",
    "MultiverseResult",
    "PairedRecording",
    "Session",
    "StudyConfig",
    "StudyResult",
    "SynchronyResult",
    "__version__",
    "align_pair",
    "compute_synchrony",
    "fit_growth",
    "fit_multiverse",
    "load_session",
    "metrics",
    "nulls",
    "plan_power",
    "preprocess_pair",
    "read_sessions",
    "read_synchrony",
    "run_multiverse",
    "run_study",
    "simulate_study",
]

if TYPE_CHECKING:
    from hyperscan import metrics, nulls
    from hyperscan.config import StudyConfig
    from hyperscan.growth import GrowthResult, MultiverseResult, fit_growth, fit_multiverse, plan_power
    from hyperscan.pipeline import run_multiverse, run_study
    from hyperscan.recording import PairedRecording, align_pair, load_session, preprocess_pair
    from hyperscan.results import StudyResult, SynchronyResult, read_synchrony
    from hyperscan.simulate import simulate_study
    from hyperscan.study import Session, read_sessions
    from hyperscan.synchrony import compute_synchrony


def __getattr__(name: str) -> Any:
    if name in ("metrics", "nulls"):
        return importlib.import_module(f"hyperscan.{name}")
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'hyperscan' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
