"""Tables of a whole study, and the way to each of its figures."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from hyperscan.errors import InputError, count, did_you_mean
from hyperscan.metrics.table import growth_scale
from hyperscan.results.folder import RunFolder
from hyperscan.results.plan import Plan, Skip
from hyperscan.results.session import SynchronyResult
from hyperscan.schema import CONTRAST, KEYS, OUTCOME_LABELS, ROLES, STUDY, STUDY_BANDS, TABLES, Outcome, column_of
from hyperscan.words import GUARDS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class StudyView:
    """What of a study is shown."""

    #: The tables
    study: StudyResult
    #: Which rows of the tables
    outcome: Outcome
    #: One dyad alone
    dyad: str | None
    #: ``session`` or ``weeks``
    time: str
    #: Column by which dyads or tasks are told apart
    by: str | None = None

    @classmethod
    def of(
        cls, study: StudyResult, named: Mapping[str, str | None], dyad: str | None, time: str, by: str | None = None
    ) -> StudyView:
        """Complete what was named by the primary outcome; refuse a name that the tables do not have."""
        names = asdict(study.plan.primary) | {key: value for key, value in named.items() if value is not None}
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
        outcome = Outcome(**{item.name: names[item.name] for item in fields(Outcome)})
        if by is not None and by not in table:
            raise InputError(f"by = {by!r} is no column of this study's table.{did_you_mean(by, list(table.columns))}")
        return cls(study, outcome, dyad, time, by)

    def rows(self, table: pd.DataFrame | None = None, *free: str) -> pd.DataFrame:
        """Rows of the outcome, of any value in the ``free`` columns; of the synchrony table if none is given."""
        found = self.study.table if table is None else table
        labels = {name: getattr(self.outcome, name) for name in ("modality", "task", "signal", "metric", "band")}
        labels |= {f"roi_{role}": getattr(self.outcome.rois, role) for role in ROLES}
        for name, value in {**labels, **({"dyad": self.dyad} if self.dyad else {})}.items():
            if name in found and name not in free:
                found = found[found[name].fillna("").astype(str) == value]
        if self.time == "weeks" and "days" not in found and len(found):
            days = self.study.table[[*KEYS, "days"]].drop_duplicates(list(KEYS))
            found = found.merge(days, on=list(KEYS), how="left")
        return found


def _growth(view: StudyView, axes: Any) -> Any:
    from hyperscan.plots import growth_curves
    from hyperscan.plots.style import one_axes

    rows = view.rows()
    value = "excess_z" if rows["excess_z"].notna().any() else "z"  # without a chance level, as it is
    return growth_curves(rows, None, one_axes(axes), value=value, time=view.time, by=view.by)


def _means(view: StudyView, axes: Any) -> Any:
    from hyperscan.plots import session_means
    from hyperscan.plots.style import one_axes

    rows = view.rows(None, *filter(None, [view.by]))
    if view.by == "task" and "flags" in rows:  # a difference of tasks is no task
        rows = rows[rows["flags"] != CONTRAST]
    return session_means(rows, one_axes(axes), time=view.time, by=view.by)


def _dyads(view: StudyView, axes: Any) -> Any:
    from hyperscan.plots import dyad_panels

    return dyad_panels(view.rows(), axes, time=view.time)


def _rois(view: StudyView, axes: Any) -> Any:
    from hyperscan.plots import roi_panels

    return roi_panels(view.rows(None, "roi_therapist", "roi_client"), axes, time=view.time)


def _bands(view: StudyView, axes: Any) -> Any:
    from hyperscan.plots import session_band_heatmap
    from hyperscan.plots.style import one_axes

    return session_band_heatmap(view.rows(None, "band"), one_axes(axes))


def _lags(view: StudyView, axes: Any) -> Any:
    from hyperscan.plots import lag_chart
    from hyperscan.plots.style import one_axes

    return lag_chart(_profiles(view, "lags"), one_axes(axes))


def _leads(view: StudyView, axes: Any) -> Any:
    from hyperscan.plots import lag_heatmap
    from hyperscan.plots.style import one_axes

    return lag_heatmap(_excesses(view, "leads"), one_axes(axes))


def _profiles(view: StudyView, kind: str) -> pd.DataFrame:
    """Lag profiles of the outcome; there are such of the primary ROI pair in the primary band."""
    rows = view.rows(view.study.lags) if len(view.study.lags) else view.study.lags
    if rows.empty:
        there = sorted(map(str, view.study.lags["metric"].unique())) if len(view.study.lags) else []
        other = f" Choose one: metric={there[0]!r}." if there else ""
        raise InputError(
            f"kind = {kind!r}: this study has no lag profile of {view.outcome}. There are such of metrics that are "
            f"means of products (plv, coh, aec ...), in the primary band, of the primary ROI pair.{other}"
        )
    return rows


def _excesses(view: StudyView, kind: str) -> pd.DataFrame:
    """Lag profiles with a chance level; such need people who never met."""
    rows = _profiles(view, kind)
    if rows["profile_excess_z"].isna().all():
        raise InputError(f"kind = {kind!r}: no lag profile has pseudo pairs to compare with. It needs more dyads.")
    return rows


def _surrogates(view: StudyView, axes: Any) -> Any:
    from hyperscan.plots import surrogate_histogram
    from hyperscan.plots.frames import beside_chance
    from hyperscan.plots.style import one_axes

    real = view.rows()
    observed, around = beside_chance(real, view.rows(view.study.pseudo), list(KEYS))
    if len(around) < 2:
        raise InputError("kind = 'surrogates': this study has no pseudo pairs of that outcome. It needs more dyads.")
    label = column_of("excess_z", growth_scale(view.outcome.metric)).label
    return surrogate_histogram(observed, around, one_axes(axes), label=label, what="pseudo pairs")


def _guards(view: StudyView, axes: Any) -> Any:
    from hyperscan.plots import guards_panel, quality_panel
    from hyperscan.plots.panels import GUARDS_SHOWN, filled

    table = view.rows(view.study.guards, "metric", "band")
    if filled(table, GUARDS_SHOWN):
        return guards_panel(table, None, axes, time=view.time)
    # fNIRS: its guards are trends of the recordings
    table = view.rows(view.study.quality)
    mine = [guard for guard in GUARDS.values() if view.outcome.modality in guard.modalities]
    columns = filled(table, [name for guard in mine for name in guard.columns if name in TABLES["quality"]])
    if not columns:
        raise InputError("kind = 'guards': no guard of this study was measured. See growth.guards for why.")
    return quality_panel(table, columns, axes, time=view.time)


def _clocks(view: StudyView, axes: Any) -> Any:
    from hyperscan.plots import clock_panel
    from hyperscan.plots.panels import filled

    if not filled(view.rows(view.study.quality), ("clock_ppm", "clock_residual_ms")):
        raise InputError("kind = 'clocks': clocks were assumed or given, so drift and residual are unknown.")
    return clock_panel(view.rows(view.study.quality), axes, time=view.time)


def _quality(view: StudyView, axes: Any) -> Any:
    from hyperscan.plots import quality_panel

    return quality_panel(view.rows(view.study.quality), None, axes, time=view.time)


def _sessions(view: StudyView, axes: Any) -> Any:
    from hyperscan.plots import missing_session_grid
    from hyperscan.plots.style import one_axes

    used = view.rows()[["dyad", "session"]].drop_duplicates().assign(state="used")
    skipped = pd.DataFrame([asdict(skip) for skip in view.study.skipped], columns=list(KEYS))
    placed = skipped["session"].notna() & (skipped["dyad"] != "")  # a row of the table may be past reading
    skipped = view.rows(skipped[placed])[["dyad", "session"]].assign(state="skipped")
    states = pd.concat([used, skipped], ignore_index=True).drop_duplicates(["dyad", "session"])
    return missing_session_grid(states.astype({"session": int}), one_axes(axes))


#: Kind to what draws it.
STUDY_FIGURES: Mapping[str, Callable[[StudyView, Any], Any]] = MappingProxyType(
    {
        "growth": _growth,
        "means": _means,
        "dyads": _dyads,
        "rois": _rois,
        "bands": _bands,
        "lags": _lags,
        "leads": _leads,
        "surrogates": _surrogates,
        "guards": _guards,
        "clocks": _clocks,
        "quality": _quality,
        "sessions": _sessions,
    }
)


@dataclass(frozen=True)
class StudyResult:
    """Tables of a whole study.

    Parameters
    ----------
    table : DataFrame, shape (n_rows, n_columns)
        Synchrony, the columns of ``synchrony.tsv``.
    pseudo : DataFrame, shape (n_rows, n_columns)
        Re-paired dyads.
    guards : DataFrame, shape (n_sessions, n_columns)
        What the guards' slopes are taken of.
    quality : DataFrame, shape (2 * n_sessions, n_columns)
        One row per dyad-session and person.
    plan : Plan
        What a session alone cannot know: ``plan.json`` as a record.
    path : Path or None
        Folder the tables came from; None if it was temporary.
    within : DataFrame, shape (n_rows, n_columns)
        Indices of each person alone: one row per dyad-session, person, index, band and region.
    lags : DataFrame, shape (n_rows, n_columns)
        Lag profiles of the primary ROI pair in the primary band, one row per dyad-session, metric and lag.

    Examples
    --------
    >>> import pandas as pd
    >>> from hyperscan.results import Plan
    >>> from hyperscan.schema import Outcome
    >>> labels = {"modality": "eeg", "signal": "eeg", "metric": "plv", "band": "alpha", "task": ""}
    >>> rois = {"run": "", "roi_therapist": "all", "roi_client": "all"}
    >>> table = pd.DataFrame([{"dyad": "D1", "session": s, "excess_z": 0.1 * s, **labels, **rois} for s in (1, 2)])
    >>> plan = Plan("0.1.0", Outcome(roi="all-all", **labels))
    >>> study = StudyResult(table, pd.DataFrame(), pd.DataFrame(), pd.DataFrame(), plan)
    >>> study
    <StudyResult | 1 dyad, 2 sessions, 0 skipped>
    >>> study.plot("growth").axes[0].get_ylabel()
    'Excess over chance (Fisher z)'
    """

    table: pd.DataFrame
    pseudo: pd.DataFrame
    guards: pd.DataFrame
    quality: pd.DataFrame
    plan: Plan
    path: Path | None = None
    within: pd.DataFrame = field(default_factory=pd.DataFrame)
    lags: pd.DataFrame = field(default_factory=pd.DataFrame)

    def __repr__(self) -> str:
        own = self.table[self.table["flags"] != CONTRAST] if "flags" in self.table else self.table
        n_sessions = len(own[["dyad", "session"]].drop_duplicates())
        n_dyads = self.table["dyad"].nunique()
        return f"<StudyResult | {count(n_dyads, 'dyad')}, {count(n_sessions, 'session')}, {len(self.skipped)} skipped>"

    @property
    def skipped(self) -> list[Skip]:
        """Dyad-sessions that were left out, each with its labels and its ``reason``."""
        return list(self.plan.skipped)

    @classmethod
    def load(cls, path: str | Path) -> StudyResult:
        """Read the tables of a run's folder.

        Parameters
        ----------
        path : path-like
            Folder that ``hyperscan run`` wrote.

        Returns
        -------
        StudyResult
            Every table of shape (n_rows, n_columns), as its file.

        Raises
        ------
        InputError
            If the folder holds no finished run.

        Warns
        -----
        DataQualityWarning
            If tables or settings are not as the run wrote them.
        """
        study = cls.read(Path(path))
        RunFolder(Path(path)).check_whole()
        return study

    @classmethod
    def read(cls, path: Path) -> StudyResult:
        """Read the tables of a folder whose run need not be finished."""
        folder = RunFolder(path)
        folder.check_there()
        plan = Plan.load(folder.path / "plan.json")
        folder.table.attrs[STUDY] = {name: getattr(plan.primary, name) for name in OUTCOME_LABELS}
        folder.table.attrs[STUDY_BANDS] = dict(folder.config.bands)
        tables = (folder.table, folder.pseudo, folder.guards, folder.quality)
        return cls(*tables, plan, folder.path, folder.within, folder.lags)

    def session(
        self, dyad: str, session: int, *, modality: str | None = None, task: str | None = None, run: str | None = None
    ) -> SynchronyResult:
        """Read the full matrices of one dyad-session, which draw the figures of a single session.

        Parameters
        ----------
        dyad : str
            Label.
        session : int
            Number.
        modality, task, run : str or None
            Needed only where the dyad has several recordings in that session.

        Returns
        -------
        SynchronyResult
            Without the window axis of the channel matrices, shape (n_therapist_channels, n_client_channels), as a run
            stores it.

        Raises
        ------
        InputError
            If the run kept no folder, or not exactly one recording is meant.
        """
        if self.path is None:
            raise InputError(
                "this study kept its tables alone: run_study had no out.\n"
                "Give it a folder, run_study(..., out=FOLDER), or StudyResult.load(FOLDER) of an earlier run."
            )
        found = RunFolder(self.path).sessions_of(dyad, session)
        wanted = {"modality": modality, "task": task, "run": run}
        given = {name: value for name, value in wanted.items() if value is not None}
        fitting = [one for one in found if all(str(one.dataset.attrs[name]) == given[name] for name in given)]
        if len(fitting) == 1:
            return self._with_chance(fitting[0])
        told = ["/".join(str(one.dataset.attrs[name]) or "-" for name in wanted) for one in fitting or found]
        dyads = sorted(map(str, self.table["dyad"].unique()))
        hint = f"modality/task/run there: {', '.join(told)}. Name one." if told else f"Dyads: {', '.join(dyads)}."
        raise InputError(f"dyad = {dyad!r}, session = {session}: {len(fitting)} recordings fit; expected one. {hint}")

    def _with_chance(self, result: SynchronyResult) -> SynchronyResult:
        """Add what pseudo pairs reach, by ROI pair, and which ROI pair is the primary one."""
        data, rows = result.dataset, self.table
        for name in KEYS:
            rows = rows[rows[name].fillna("").astype(str) == str(data.attrs[name])]
        chance = data["roi_z"].isel(window=0, drop=True) * np.nan
        for row in rows.to_dict("records"):
            at = {name: row[name] for name in ("signal", "metric", "band")}
            chance.loc[at | {"roi_pair": f"{row['roi_therapist']}-{row['roi_client']}"}] = row["pseudo_mean_z"]
        found = data.assign(pseudo_mean_z=chance).assign_attrs(primary_roi=self.plan.primary.roi)
        return dataclasses.replace(result, dataset=found)

    def plot(
        self,
        kind: str = "growth",
        *,
        metric: str | None = None,
        band: str | None = None,
        roi: str | None = None,
        signal: str | None = None,
        dyad: str | None = None,
        time: str = "session",
        by: str | None = None,
        axes: Axes | Sequence[Axes] | None = None,
        show: bool = True,
    ) -> Figure:
        """Draw one figure of the study.

        Parameters
        ----------
        kind : str
            ``growth``: every dyad's excess over time beside the chance band (:meth:`GrowthResult.plot` adds the
            group's slope). ``means``: mean over dyads at each session with its confidence interval.
            ``dyads``: each dyad beside its own chance band. ``rois``: small multiples by ROI pair. ``bands``: session
            by band. ``lags``: synchrony over lags beside chance. ``leads``: excess by lag and session. ``surrogates``:
            real dyad-sessions among the pseudo pairs.
            ``guards``, ``clocks``, ``quality``: what surrounds the result, over time. ``sessions``: which were
            used, left out or never there. Figures of one session: ``study.session("D01", 1).plot(...)``.
        metric, band, roi, signal : str or None
            Which outcome; None = as in the primary one. ``roi`` is a pair, therapist's first.
        dyad : str or None
            One dyad alone.
        time : {'session', 'weeks'}
            Time axis.
        by : str or None
            Column of the table that tells curves apart: ``arm`` (``growth``, ``means``), ``task`` (``means``).
        axes : matplotlib Axes, sequence of them, or None
            Where to draw: one, or one per panel for small multiples (``dyads``, ``rois``, ``guards``, ``clocks``,
            ``quality``); None = a new figure.
        show : bool
            Show the figure, where matplotlib has a window or a notebook for it.

        Returns
        -------
        matplotlib.figure.Figure
            Its ``axes`` hold the panels.

        Raises
        ------
        InputError
            If a name or the kind is unknown, there is nothing to draw, or ``axes`` are too few or too many.
        TableError
            If the tables lack what the figure shows.
        """
        from hyperscan.plots.style import finish

        if kind not in STUDY_FIGURES:
            raise InputError(
                f"kind = {kind!r}: expected one of {', '.join(STUDY_FIGURES)}.{did_you_mean(kind, STUDY_FIGURES)}"
            )
        named = {"metric": metric, "band": band, "roi": roi, "signal": signal}
        return finish(STUDY_FIGURES[kind](StudyView.of(self, named, dyad, time, by), axes), show)
