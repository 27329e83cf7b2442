"""Many defensible analyses of one study: declare them, run each, and say what they say together."""

from __future__ import annotations

import contextlib
import itertools
import logging
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hyperscan.config import CLEANING, PREPARATION, Primary, StudyConfig
from hyperscan.errors import ConfigError, InputError, NothingToAnalyseError, count
from hyperscan.growth.multiverse import MultiverseResult, Universe, fit_multiverse
from hyperscan.pipeline.lock import output_lock
from hyperscan.pipeline.output import UNIVERSES, WORK, check_output, describe_output, remove_results, remove_work
from hyperscan.pipeline.plan import check_settings, primary_group
from hyperscan.pipeline.privacy import owners_only
from hyperscan.pipeline.run import go_through, growth_of, output_of, stages_of
from hyperscan.pipeline.stages import Stages, limit_place
from hyperscan.pipeline.together import Steps, carry_out
from hyperscan.pipeline.unit import digest, remove_unit
from hyperscan.pipeline.workers import Place
from hyperscan.recall import remembering
from hyperscan.report import build_multiverse_page
from hyperscan.results import Plan
from hyperscan.results.folder import MULTIVERSE_PAGE
from hyperscan.storage import remove, write_json, write_table
from hyperscan.study import Rejected, Session

logger = logging.getLogger(__name__)

#: Most analyses (our choice: more are no longer read).
MAX_UNIVERSES = 200

#: What all analyses together leave; it is there only while it tells of the analyses that are there.
ANSWERS = (MULTIVERSE_PAGE, "multiverse.json", "multiverse.tsv")

#: How the folders of analyses are called.
_NAME = re.compile(r"u\d{3}")

MULTIVERSE_README = """Many analyses of one study of inter-brain synchrony: does growth survive the choice among them?

A derivative made by hyperscan-mne. Start with multiverse.html. multiverse.tsv holds one row per analysis,
multiverse.json what they say together; universes/ holds a run's folder for each. Without multiverse.json the analyses
are not finished. BIDS has no names for results of two people, so .bidsignore lists them.
"""

#: Choices that name a part of the primary outcome, by their key in the settings.
_OF_PRIMARY: Mapping[str, str] = {"metrics": "metric", "bands": "band", "rois": "roi"}


@dataclass(frozen=True)
class Declared:
    """One analysis before it is run."""

    name: str
    #: Level of every choice, as text
    settings: Mapping[str, str]
    primary: bool
    config: StudyConfig

    @property
    def prepared(self) -> str:
        """Folder of signals, among all prepared ones, that every analysis shares whose settings are equal so far."""
        return digest(config=self.config.entering(PREPARATION))[:12]

    @property
    def shares(self) -> tuple[str, ...]:
        """Where it stands, so that analyses which share most follow each other."""
        primary = self.config.primary
        assert primary is not None  # every analysis names its own
        cleaned = digest(config=self.config.entering(CLEANING))
        return (cleaned, primary.band, repr(self.config.window_s), self.prepared, primary.metric, self.name)

    def __str__(self) -> str:
        return ", ".join(f"{key} = {level}" for key, level in self.settings.items())


def declare_universes(config: StudyConfig, modality: str, task: str = "") -> list[Declared]:
    """Combine every level of every choice, each analysis cut down to its one outcome.

    Examples
    --------
    >>> config = StudyConfig(multiverse={"window_s": (10.0, 20.0), "metrics": ("plv", "ciplv")})
    >>> [(one.name, one.settings["metrics"], one.primary) for one in declare_universes(config, "eeg")]
    [('u001', 'plv', False), ('u002', 'ciplv', False), ('u003', 'plv', True), ('u004', 'ciplv', False)]
    """
    choices, base = config.multiverse, replace(config.primary_of(modality), task=task)
    if not choices:
        raise ConfigError(
            "multiverse: no choices are named. Add a table [multiverse] to study.toml, such as window_s = [10, 20]."
        )
    own = {key: getattr(base, _OF_PRIMARY[key]) if key in _OF_PRIMARY else getattr(config, key) for key in choices}
    for key, levels in choices.items():
        if own[key] not in levels:
            raise ConfigError(
                f"multiverse.{key} = {list(levels)!r}: the primary analysis has {own[key]!r}, which is not among them. "
                "Add it, or change the setting itself."
            )
    combinations = list(itertools.product(*choices.values()))
    if len(combinations) > MAX_UNIVERSES:
        raise ConfigError(
            f"multiverse: {len(combinations)} analyses; {MAX_UNIVERSES} are the most. Leave out levels or choices."
        )
    found = []
    for number, levels in enumerate(combinations, start=1):
        chosen = dict(zip(choices, levels, strict=True))
        named = {key: level if isinstance(level, str) else repr(level) for key, level in chosen.items()}
        try:
            cut = universe_config(config, base, modality, chosen)
        except ConfigError as error:
            told = ", ".join(f"{key} = {level}" for key, level in named.items())
            raise ConfigError(f"multiverse ({told}): {error}") from None
        found.append(Declared(f"u{number:03d}", named, chosen == own, cut))
    return found


def universe_config(config: StudyConfig, base: Primary, modality: str, chosen: Mapping[str, Any]) -> StudyConfig:
    """Change the settings to the levels of one analysis, and cut them down to its own outcome."""
    primary = replace(base, **{_OF_PRIMARY[key]: level for key, level in chosen.items() if key in _OF_PRIMARY})
    if primary.band not in config.bands_of(modality):
        raise ConfigError(f"{primary.band!r} is no band of {modality} there.")
    # first, because bands and regions of other outcomes need not fit the levels
    cut = replace(
        config,
        primary=primary,
        metrics={**config.metrics, modality: (primary.metric,)},
        bands={primary.band: config.bands[primary.band]},
        bands_therapist={k: edges for k, edges in config.bands_therapist.items() if k == primary.band},
        bands_client={k: edges for k, edges in config.bands_client.items() if k == primary.band},
        roi_pairs=(primary.roi,),
        within="",
        networks={},
        fnirs_tasks=(),
        outcomes=(),
        moderators=(),
        contrasts={},
        multiverse={},
    )
    return replace(cut, **{key: level for key, level in chosen.items() if key not in _OF_PRIMARY})


def run_multiverse(
    sessions: Sequence[Session],
    config: StudyConfig,
    *,
    out: str | Path,
    n_jobs: int = 1,
    cluster: str | None = None,
    rejected: Sequence[Rejected] = (),
    progress: bool = False,
    private: bool = False,
) -> MultiverseResult:
    """Run every defensible analysis that the settings declare, and ask whether growth survives the choice.

    Parameters
    ----------
    sessions : sequence of Session, shape (n_sessions,)
        From :func:`hyperscan.read_sessions`.
    config : StudyConfig
        Settings of the primary analysis; its ``multiverse`` holds the levels of every choice.
    out : path-like
        Output folder: ``multiverse.tsv``, ``multiverse.json``, ``multiverse.html``, and ``universes/`` with a run's
        folder for every analysis. Those that are there and still valid are used again, and those of choices that
        are no longer declared are removed.
    n_jobs : int
        Worker processes.
    cluster : str or None
        Address of a Dask scheduler that does the units instead.
    rejected : sequence of Rejected, shape (n_rejected,)
        Rows that the table lost.
    progress : bool
        Show progress bars on standard error.
    private : bool
        Make the whole output folder readable by its owner only.

    Returns
    -------
    MultiverseResult

    Raises
    ------
    ConfigError
        If no choices are named, the primary's own level is missing in one, more than 200 analyses come out, or one of
        them cannot be.
    NothingToAnalyseError
        If not one analysis has a session that can be used.
    OutputError
        If the output folder is not one of a multiverse, is locked, or cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> import hyperscan as hs
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     study = hs.simulate_study(folder + "/study", "growth", n_dyads=2, n_sessions=1, duration_s=100)
    ...     config = hs.StudyConfig(multiverse={"eeg_reference": ("auto", "recorded")}, n_null=19)
    ...     found = hs.run_multiverse(hs.read_sessions(study), config, out=folder + "/out")
    >>> found.table["verdict"].tolist()
    ['cannot_tell', 'cannot_tell']
    """
    if not sessions:
        raise NothingToAnalyseError("No dyad-session to analyse. `hyperscan check` names broken rows.")
    modality, task = primary_group(Counter((row.modality, row.task) for row in sessions), config)
    rows = [row for row in sessions if (row.modality, row.task) == (modality, task)]
    declared = declare_universes(config, modality, task)
    for one in declared:
        try:
            check_settings(rows, one.config)
        except (ConfigError, InputError) as error:
            raise ConfigError(f"multiverse ({one}): {error}") from None
    out = Path(out).resolve()
    check_output(out, rows, multiverse=True)
    inputs = tuple({row.root for row in rows})
    place = limit_place(Place(n_jobs=n_jobs, cluster=cluster, output=out, inputs=inputs), rows)
    with contextlib.ExitStack() as held:
        held.enter_context(remembering())  # inputs and what is prepared of them are hashed once
        held.enter_context(output_lock(out))
        held.enter_context(owners_only(out, private))
        describe_output(out, MULTIVERSE_README)
        for name in ANSWERS:  # what they say together is not known before all are there
            remove(out / name)
        _remove_others(out, declared)
        for one in declared:
            held.enter_context(output_of(rows, out / UNIVERSES / one.name, private=private))
        told = count(len(declared), "analysis", "analyses")
        logger.info("%s, %s", told, count(len({one.prepared for one in declared}), "preparation"))
        ordered = sorted(declared, key=lambda one: one.shares)
        stages = [
            stages_of(rows, one.config, out / UNIVERSES / one.name, place, out / WORK / one.prepared) for one in ordered
        ]
        runs = [_steps(one, each, rejected) for one, each in zip(ordered, stages, strict=True)]
        found_of = {one.name: one for one in carry_out(runs, place, progress=progress)}
        universes = [found_of[one.name] for one in declared]
        if all(one.growth is None for one in universes):
            raise NothingToAnalyseError("In not one of the analyses a dyad-session can be used. See `hyperscan check`.")
        found = fit_multiverse(universes, seed=config.seed)
        write_table(out / "multiverse.tsv", found.table)
        build_multiverse_page(out, found)
        write_json(out / "multiverse.json", found.to_dict())
        _remove_prepared(out)
    return found


def _steps(one: Declared, stages: Stages, rejected: Sequence[Rejected]) -> Steps[Universe]:
    """Go through the run of one analysis."""
    n_rows = len(stages.sessions) + len(rejected)
    try:
        growth = (yield from go_through(stages, rejected, report=False)) or growth_of(stages.out)
    except ConfigError as error:
        raise ConfigError(f"multiverse ({one}): {error}") from None
    except NothingToAnalyseError as error:
        remove_results(stages.out)  # they are of other settings
        return Universe(one.name, one.settings, one.primary, None, str(error).splitlines()[0], n_rows)
    skipped = Plan.load(stages.out / "plan.json").skipped
    return Universe(one.name, one.settings, one.primary, growth, n_skipped=len(skipped))


def _remove_others(out: Path, declared: Sequence[Declared]) -> None:
    """Remove the analyses of an earlier multiverse that are none of this one, and what was prepared for them alone.

    What is not ours stays.
    """
    names = {one.name for one in declared}
    for folder in (out / UNIVERSES).glob("u*"):
        if _NAME.fullmatch(folder.name) and folder.name not in names and not folder.is_symlink():
            remove_work(folder)
            remove_results(folder)
    _remove_prepared(out, {one.prepared for one in declared})


def _remove_prepared(out: Path, kept: Collection[str] = ()) -> None:
    """Remove prepared signals that analyses shared."""
    for folder in (out / WORK).glob("*/dyad-*/ses-*"):
        if folder.parents[1].name not in kept:
            remove_unit(folder, out)
