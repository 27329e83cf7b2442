"""The figures of a study, by the kind that ``StudyResult.plot`` is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

import pandas as pd

from hyperscan.errors import InputError, did_you_mean
from hyperscan.results.columns import KEYS

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Study(Protocol):
    """What figures need of a study's result."""

    @property
    def table(self) -> pd.DataFrame:
        """Synchrony."""

    @property
    def pseudo(self) -> pd.DataFrame:
        """Re-paired dyads."""

    @property
    def guards(self) -> pd.DataFrame:
        """What the guards' slopes are taken of."""

    @property
    def quality(self) -> pd.DataFrame:
        """One row per dyad-session and person."""

    @property
    def plan(self) -> Mapping[str, Any]:
        """What a session alone cannot know."""

    @property
    def skipped(self) -> list[dict[str, Any]]:
        """Dyad-sessions that were left out."""


@dataclass(frozen=True)
class StudyView:
    """What of a study is shown.

    Parameters
    ----------
    study : StudyResult
        The tables.
    outcome : mapping of str to str
        ``modality task signal metric band roi_therapist roi_client``.
    dyad : str or None
        One dyad alone.
    time : str
        ``session`` or ``weeks``.
    """

    study: Study
    outcome: Mapping[str, str]
    dyad: str | None
    time: str

    @classmethod
    def of(cls, study: Study, named: Mapping[str, str | None], dyad: str | None, time: str) -> StudyView:
        """Complete what was named by the primary outcome; refuse a name that the tables do not have."""
        names = {key: str(value) for key, value in study.plan["primary"].items()}
        names |= {key: value for key, value in named.items() if value is not None}
        table, mine = study.table, study.table["modality"] == names["modality"]
        pairs = (table["roi_therapist"] + "-" + table["roi_client"])[mine]
        known = {name: list(table[name][mine].unique()) for name in ("signal", "metric", "band")}
        known |= {"roi": list(pairs.unique())}
        if dyad is not None:
            known, names = {**known, "dyad": list(table["dyad"].unique())}, {**names, "dyad": dyad}
        for name, values in known.items():
            if names[name] not in values:
                raise InputError(
                    f"{name} = {names[name]!r} is not in this study; there are: {', '.join(map(str, values[:12]))}."
                    f"{did_you_mean(names[name], values)}"
                )
        roi_therapist, roi_client = names["roi"].split("-", 1)
        outcome = {name: names[name] for name in ("modality", "task", "signal", "metric", "band")}
        return cls(study, {**outcome, "roi_therapist": roi_therapist, "roi_client": roi_client}, dyad, time)

    def rows(self, table: pd.DataFrame | None = None, *free: str) -> pd.DataFrame:
        """Rows of the outcome, of any value in the ``free`` columns; of the synchrony table if none is given."""
        found = self.study.table if table is None else table
        for name, value in {**self.outcome, **({"dyad": self.dyad} if self.dyad else {})}.items():
            if name in found and name not in free:
                found = found[found[name].fillna("").astype(str) == value]
        if self.time == "weeks" and "days" not in found and len(found):
            days = self.study.table[[*KEYS, "days"]].drop_duplicates(list(KEYS))
            found = found.merge(days, on=list(KEYS), how="left")
        return found


def _growth(view: StudyView, ax: Axes | None) -> Any:
    from hyperscan.plots import growth_curves

    return growth_curves(view.rows(), None, ax, time=view.time)


def _dyads(view: StudyView, _: Axes | None) -> Any:
    from hyperscan.plots import dyad_panels

    return dyad_panels(view.rows(), time=view.time)


def _rois(view: StudyView, _: Axes | None) -> Any:
    from hyperscan.plots import roi_panels

    return roi_panels(view.rows(None, "roi_therapist", "roi_client"), time=view.time)


def _bands(view: StudyView, ax: Axes | None) -> Any:
    from hyperscan.plots import session_band_heatmap

    return session_band_heatmap(view.rows(None, "band"), ax)


def _surrogates(view: StudyView, ax: Axes | None) -> Any:
    from hyperscan.plots import surrogate_histogram

    real = view.rows()
    levels = real[[*KEYS, "pseudo_mean_z"]].drop_duplicates(list(KEYS))
    joined = view.rows(view.study.pseudo).merge(levels, on=list(KEYS), how="inner")
    around = (joined["z"] - joined["pseudo_mean_z"]).dropna().to_numpy()
    if len(around) < 2:
        raise InputError("kind = 'surrogates': this study has no pseudo pairs of that outcome. It needs more dyads.")
    observed = real["excess_z"].dropna().to_numpy()
    return surrogate_histogram(observed, around, ax, label="Excess over chance (Fisher z)", what="pseudo pairs")


def _guards(view: StudyView, _: Axes | None) -> Any:
    from hyperscan.plots import guards_panel

    return guards_panel(view.rows(view.study.guards, "metric", "band"), time=view.time)


def _clocks(view: StudyView, _: Axes | None) -> Any:
    from hyperscan.plots import clock_panel

    return clock_panel(view.rows(view.study.quality), time=view.time)


def _quality(view: StudyView, _: Axes | None) -> Any:
    from hyperscan.plots import quality_panel

    return quality_panel(view.rows(view.study.quality), time=view.time)


def _sessions(view: StudyView, ax: Axes | None) -> Any:
    from hyperscan.plots import missing_session_grid

    used = view.rows()[["dyad", "session"]].drop_duplicates().assign(state="used")
    skipped = pd.DataFrame(view.study.skipped, columns=list(KEYS))
    placed = skipped["session"].notna() & (skipped["dyad"] != "")  # a row of the table may be past reading
    skipped = view.rows(skipped[placed])[["dyad", "session"]].assign(state="skipped")
    states = pd.concat([used, skipped], ignore_index=True).drop_duplicates(["dyad", "session"])
    return missing_session_grid(states.astype({"session": int}), ax)


#: Kinds that make several Axes.
MANY_AXES = ("dyads", "rois", "guards", "clocks", "quality")

#: Kind to what draws it.
STUDY_FIGURES: Mapping[str, Callable[[StudyView, Any], Any]] = MappingProxyType(
    {
        "growth": _growth,
        "dyads": _dyads,
        "rois": _rois,
        "bands": _bands,
        "surrogates": _surrogates,
        "guards": _guards,
        "clocks": _clocks,
        "quality": _quality,
        "sessions": _sessions,
    }
)
