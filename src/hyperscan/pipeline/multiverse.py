"""Many defensible analyses of one study: declare them, run each, and say what they say together."""

from __future__ import annotations

import contextlib
import itertools
import logging
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from hyperscan.config import CLEANING, PREPARATION, Primary, StudyConfig
from hyperscan.errors import ConfigError, InputError, NothingToAnalyseError, count
from hyperscan.growth import GrowthResult
from hyperscan.growth.multiverse import MultiverseResult, Universe, fit_multiverse
from hyperscan.pipeline.fits import fit_run
from hyperscan.pipeline.lock import output_lock, sweep_locks
from hyperscan.pipeline.output import (
    UNIVERSES,
    WORK,
    RunLog,
    check_output,
    describe_output,
    quality_rows,
    refuse_links,
    remove_work,
)
from hyperscan.pipeline.plan import check_settings, explain_nothing, make_plan, primary_group
from hyperscan.pipeline.privacy import owners_only, public_command
from hyperscan.pipeline.process import one_thread
from hyperscan.pipeline.stages import limit_place
from hyperscan.pipeline.summary import Summary
from hyperscan.pipeline.together import PAIRS, Steps, carry_out
from hyperscan.pipeline.unit import Basis, digest, remove_unit, units_of
from hyperscan.pipeline.universes import LEFT_OUT, Analyses, Found
from hyperscan.pipeline.workers import Place
from hyperscan.recall import remembering
from hyperscan.report import build_multiverse_page
from hyperscan.results.folder import MULTIVERSE_PAGE, check_table
from hyperscan.results.plan import Plan, Skip
from hyperscan.schema import COLUMNS, NO_CONTROL, TABLES, Scalar, SessionKey
from hyperscan.storage import load_table, remove, remove_files, sweep, write_json, write_table, write_text
from hyperscan.study import Rejected, Session

logger = logging.getLogger(__name__)

#: Most analyses (our choice: more are no longer read).
MAX_UNIVERSES = 200

#: What all analyses together leave; it is there only while it tells of the analyses that are there.
ANSWERS = (MULTIVERSE_PAGE, "multiverse.json", "multiverse.tsv")

#: How the files of an analysis are called, and the folders of analyses that share their preparation.
_FILE, _FOLDER = re.compile(r"u\d{3}\.(json|toml)"), re.compile(r"[0-9a-f]{12}")

#: Tables that hold rows of every analysis, and the column that says of which.
_ROWS, UNIVERSE = ("synchrony", "guards"), "universe"

MULTIVERSE_README = """Many analyses of one study of inter-brain synchrony: does growth survive the choice among them?

A derivative made by hyperscan-mne. Start with multiverse.html. multiverse.tsv holds one row per analysis,
multiverse.json what they say together. universes/ holds for each analysis its settings (u001.toml, which
`hyperscan run` takes) and its verdict with guards (u001.json); the folders there hold the tables that these are taken
of. Without multiverse.json the analyses are not finished. BIDS has no names for results of two people, so .bidsignore
lists them.
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


@dataclass(frozen=True)
class Fitted:
    """One analysis after it was run, with the tables of its own that it was taken of; none where it could not be."""

    universe: Universe
    declared: Declared
    plan: Plan | None = None
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)

    def differs_in_band_alone(self, other: Fitted) -> bool:
        """Whether two analyses have the same level of every choice but the band."""
        mine, theirs = self.declared.settings, other.declared.settings
        return {key for key, level in mine.items() if theirs[key] != level} == {"bands"}


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
        Output folder: ``multiverse.tsv``, ``multiverse.json``, ``multiverse.html``, and ``universes/`` with settings,
        verdict and tables of every analysis. What is there and still valid is used again, and that of choices that
        are no longer declared is removed.
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
    folders = {out / UNIVERSES / one.prepared for one in declared}
    for folder in folders:
        refuse_links(folder, units_of(rows))
    inputs = tuple({row.root for row in rows})
    place = limit_place(Place(n_jobs=n_jobs, cluster=cluster, output=out, inputs=inputs), rows)
    with contextlib.ExitStack() as held:
        held.enter_context(one_thread())  # for what all analyses say together, too
        held.enter_context(remembering())  # inputs and what is prepared of them are hashed once
        held.enter_context(output_lock(out))
        held.enter_context(owners_only(out, private))
        sweep(out)
        sweep_locks(out)
        describe_output(out, MULTIVERSE_README)
        for name in ANSWERS:  # what they say together is not known before all are there
            remove(out / name)
        _remove_others(out, declared)
        universes = _run_all(declared, rows, out, place, rejected, progress=progress)
        if all(one.growth is None for one in universes):
            raise NothingToAnalyseError("In not one of the analyses a dyad-session can be used. See `hyperscan check`.")
        found = fit_multiverse(universes, seed=config.seed)
        write_table(out / "multiverse.tsv", found.table)
        build_multiverse_page(out, found)
        write_json(out / "multiverse.json", found.to_dict())
        _remove_prepared(out)
        remove_work(out)  # what check --prepare left there for a run
    return found


def _run_all(
    declared: Sequence[Declared],
    rows: Sequence[Session],
    out: Path,
    place: Place,
    rejected: Sequence[Rejected],
    *,
    progress: bool,
) -> list[Universe]:
    """Run the analyses, those of one preparation together, and give them in the order of their declaration."""
    groups: dict[str, list[Declared]] = defaultdict(list)
    for one in sorted(declared, key=lambda one: one.shares):
        groups[one.prepared].append(one)
    logger.info("%s, %s", count(len(declared), "analysis", "analyses"), count(len(groups), "preparation"))
    log = RunLog(out, command=public_command(sys.argv), workers=place.n_jobs, cluster=place.cluster)
    runs = []
    for name, group in groups.items():
        folder = out / UNIVERSES / name
        stages = Analyses(rows, group[0].config, folder, log, prepared=out / WORK / name)
        runs.append(_go_through(group, stages, rejected))
    found_of = {one.declared.name: one for found in carry_out(runs, place, progress=progress) for one in found}
    universes = [
        _beside_other_bands(found_of[one.name], found_of.values(), out / UNIVERSES / one.prepared) for one in declared
    ]
    log.say("complete")
    return universes


def _go_through(group: Sequence[Declared], stages: Analyses, rejected: Sequence[Rejected]) -> Steps[list[Fitted]]:
    """Go through the analyses of one preparation."""
    summaries = yield from stages.prepare()
    bases: dict[str, Basis] = {}
    reasons: dict[str, str] = {}
    for one in group:
        try:
            plan = make_plan(stages.sessions, rejected, summaries, one.config, stages.digests)
        except ConfigError as error:
            raise ConfigError(f"multiverse ({one}): {error}") from None
        except NothingToAnalyseError as error:
            reasons[one.name] = str(error).splitlines()[0]
            continue
        if one.primary:
            stages.tell(plan.findings)
        bases[one.name] = Basis.of(plan, one.config, stages.versions)
    found = yield from stages.find(bases)
    tables = _write_tables(stages.out, found, summaries)
    fitted = []
    for one in group:
        if one.name in reasons:
            n_rows = len(stages.sessions) + len(rejected)
            remove(_beside(stages.out, one, "json"))  # of other settings
            write_text(_beside(stages.out, one, "toml"), one.config.to_toml())
            left = Universe(one.name, one.settings, one.primary, None, reasons[one.name], n_rows)
            fitted.append(Fitted(left, one))
        else:
            plan = bases[one.name].plan
            late = [Skip.of(row.key, row.reason) for row in found[one.name] if not row.ok]
            plan = replace(plan, skipped=(*plan.skipped, *late, *stages.lost_rows(plan)))
            fitted.append(_conclude(one, plan, tables, stages.out))
    return fitted


def _write_tables(
    folder: Path, found: Mapping[str, Sequence[Found]], summaries: Mapping[SessionKey, Summary]
) -> dict[str, pd.DataFrame]:
    """Write the rows of all analyses of one preparation, and read them as growth reads those of a run."""
    rows: dict[str, list[dict[str, Scalar]]] = {name: [] for name in _ROWS}
    for name, parts in found.items():
        for one in (one for one in parts if one.ok):
            rows["synchrony"] += [{UNIVERSE: name, **row} for row in one.content["synchrony"]]
            rows["guards"].append({UNIVERSE: name, **one.content["guards"]})
    tables = {"quality": quality_rows(summaries)}
    for name, part in rows.items():
        columns = [UNIVERSE, *(column for column in TABLES[name] if column not in LEFT_OUT)]
        further = dict.fromkeys(column for row in part for column in row if column not in columns)
        tables[name] = pd.DataFrame(part, columns=[*columns, *further])
    for name, table in tables.items():
        texts = (column for column in TABLES[name] if COLUMNS[column].text)
        tables[name] = load_table(write_table(folder / f"{name}.tsv", table), UNIVERSE, *texts)
        check_table(name, tables[name])
    return tables


def _conclude(one: Declared, plan: Plan, tables: Mapping[str, pd.DataFrame], folder: Path) -> Fitted:
    """Fit growth of one analysis, and leave what it is and what it found beside the tables."""
    write_text(_beside(folder, one, "toml"), one.config.to_toml())
    mine = {name: tables[name][tables[name][UNIVERSE] == one.name].drop(columns=UNIVERSE) for name in _ROWS}
    mine["guards"].attrs[NO_CONTROL] = plan.no_control
    growth, reason = None, ""
    if mine["synchrony"].empty:
        reason = explain_nothing(plan.skipped)
    else:
        try:
            growth = fit_run(mine["synchrony"], mine["guards"], tables["quality"], plan.primary, one.config)
        except ConfigError as error:
            raise ConfigError(f"multiverse ({one}): {error}") from None
    _write_answer(one, plan, growth, folder)
    universe = Universe(one.name, one.settings, one.primary, growth, reason, len(plan.skipped))
    return Fitted(universe, one, plan, {**mine, "quality": tables["quality"]})


def _write_answer(one: Declared, plan: Plan, growth: GrowthResult | None, folder: Path) -> None:
    """Write what an analysis is and what it found beside its tables."""
    facts = {"settings": one.settings, "primary": one.primary, "tables": folder.name}
    facts |= {"skipped": [asdict(skip) for skip in plan.skipped], "findings": [asdict(it) for it in plan.findings]}
    facts |= {} if growth is None else {"growth": growth.to_dict()}
    write_json(_beside(folder, one, "json"), facts)


def _beside_other_bands(mine: Fitted, others: Collection[Fitted], folder: Path) -> Universe:
    """Ask whether an analysis shows the skirt of another band, where bands are a choice: its own tables hold one."""
    growth, config, plan = mine.universe.growth, mine.declared.config, mine.plan
    beside = [other for other in others if mine.differs_in_band_alone(other) and other.universe.growth]
    if growth is None or plan is None or not beside:
        return mine.universe
    rows = pd.concat([one.tables["synchrony"] for one in (mine, *beside)], ignore_index=True)
    bands = {name: edges for one in (*beside, mine) for name, edges in one.declared.config.bands.items()}
    again = fit_run(rows, mine.tables["guards"], mine.tables["quality"], plan.primary, config, bands=bands)
    if not any(guard.name == "leak" and guard.passed is False for guard in again.guards):
        return mine.universe
    told = {name: getattr(again, name) for name in ("verdict", "sentence", "guards")}
    growth = replace(growth, **told)
    _write_answer(mine.declared, plan, growth, folder)
    return replace(mine.universe, growth=growth)


def _beside(folder: Path, one: Declared, ending: str) -> Path:
    """File of one analysis, beside the folder of those that share its preparation."""
    return folder.parent / f"{one.name}.{ending}"


def _remove_others(out: Path, declared: Sequence[Declared]) -> None:
    """Remove what an earlier multiverse left of analyses that are none of this one; what is not ours stays."""
    names, prepared = {one.name for one in declared}, {one.prepared for one in declared}
    for path in (out / UNIVERSES).glob("u*"):
        if _FILE.fullmatch(path.name) and path.stem not in names:
            remove_files(path.parent, [path.name], out)
    for folder in (out / UNIVERSES).glob("*/"):
        if _FOLDER.fullmatch(folder.name) and folder.name not in prepared and not folder.is_symlink():
            for unit in folder.glob("dyad-*/ses-*"):
                remove_unit(unit, out)
            remove_files(folder, [f"{name}.tsv" for name in (*_ROWS, "quality")], out)
    _remove_prepared(out, prepared)


def _remove_prepared(out: Path, kept: Collection[str] = ()) -> None:
    """Remove prepared signals and pairs that analyses shared."""
    for folder in [each for made in ("dyad-*/ses-*", f"{PAIRS}/*") for each in (out / WORK).glob(f"*/{made}")]:
        if folder.relative_to(out / WORK).parts[0] not in kept:
            remove_unit(folder, out)
