"""The order of a run: prepare every session, plan, compute, tables, growth, report, record."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hyperscan.config import StudyConfig
from hyperscan.errors import InputError, NothingToAnalyseError
from hyperscan.pipeline.fits import growth_of, within_of
from hyperscan.pipeline.lock import TEMPORARY, among_writers, output_lock, sweep_locks, sweep_temporary
from hyperscan.pipeline.output import (
    DESCRIPTION,
    RunLog,
    append_contrasts,
    check_output,
    describe_output,
    remove_work,
    status_rows,
    write_tables,
)
from hyperscan.pipeline.plan import check_settings, explain_nothing, make_plan, skips_of
from hyperscan.pipeline.privacy import owners_only, public_command, public_rejected
from hyperscan.pipeline.process import one_thread
from hyperscan.pipeline.stages import Stages, limit_place
from hyperscan.pipeline.summary import Summary
from hyperscan.pipeline.together import Steps, carry_out
from hyperscan.pipeline.unit import Basis, own_files
from hyperscan.pipeline.workers import Place, Task, run_tasks, under_way
from hyperscan.recording.memory import PairsInMemory, pairs_of, save_pairs
from hyperscan.report import PAGE, build_report, pages_of, remove_report
from hyperscan.results import StudyResult
from hyperscan.results.folder import RECORD, VIEW, WITHIN
from hyperscan.results.plan import Remark, Skip
from hyperscan.schema import SessionKey
from hyperscan.storage import (
    odd_kind,
    remove,
    sha256,
    sweep,
    to_json,
    write_json,
    write_table,
    write_text,
    written_files,
)
from hyperscan.study import Rejected, Session

if TYPE_CHECKING:
    from hyperscan.growth import GrowthResult

logger = logging.getLogger(__name__)


def run_study(
    sessions: Sequence[Session] | PairsInMemory,
    config: StudyConfig | None = None,
    *,
    out: str | Path | None = None,
    n_jobs: int = 1,
    cluster: str | None = None,
    rejected: Sequence[Rejected] = (),
    progress: bool = False,
    private: bool = False,
    report: bool = True,
) -> StudyResult:
    """Analyse a study: every session, the chance level from re-paired dyads, growth, and the report.

    Parameters
    ----------
    sessions : sequence of Session, shape (n_sessions,), or mapping
        From :func:`hyperscan.read_sessions`; or recordings in memory: ``{("D1", 1): (raw_therapist, raw_client)}``,
        or a list per dyad, ``{"D1": [(raw_therapist, raw_client), ...]}``, whose sessions count from 1. In place of two
        Raw: two Epochs, or a :class:`PairedRecording` of ``from_raws`` or ``from_epochs``, which can name the
        therapist, the clock and days. They are written to a temporary folder while the run lasts (8 bytes per sample).
    config : StudyConfig or None
        None = the defaults.
    out : path-like or None
        Output folder; what is there and still valid is used again. None = nothing is kept but the tables.
    n_jobs : int
        Worker processes; fewer are used if their memory would not fit. Results do not depend on it.
    cluster : str or None
        Address of a Dask scheduler that does the units instead; it must see the study and the output under the
        same paths.
    rejected : sequence of Rejected, shape (n_rejected,)
        Rows that the table lost, to be reported.
    progress : bool
        Show progress bars on standard error.
    private : bool
        Make the whole output folder readable by its owner only, also what earlier runs left and a cluster writes.

    report : bool
        Whether to build the report, which takes seconds per dyad; ``hyperscan report`` does it later.

    Returns
    -------
    StudyResult
        Its ``table`` has shape (n_rows, n_columns): a row per dyad-session, signal, metric, band and ROI pair.

    Raises
    ------
    NothingToAnalyseError
        If not one dyad-session can be used.
    InputError
        If the settings name an unknown metric, or a primary outcome that is not computed.
    OutputError
        If the output folder is not one of ours, is locked, or cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> import hyperscan as hs
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     study = hs.simulate_study(folder + "/study", "growth", n_dyads=2, n_sessions=1)
    ...     config = hs.StudyConfig(metrics={"eeg": ("plv",)}, bands={"alpha": (8, 12)}, roi_pairs=("all-all",))
    ...     result = run_study(hs.read_sessions(study), config, out=folder + "/out")
    ...     result.session("D01", 1).metrics
    ('plv',)
    >>> result
    <StudyResult | 2 dyads, 2 sessions, 0 skipped>
    """
    # what other analyses there may be is no part of this one
    config = replace(config or StudyConfig(), multiverse={})
    if isinstance(sessions, Mapping):
        sweep_temporary(Path(tempfile.gettempdir()))
        with tempfile.TemporaryDirectory(prefix=TEMPORARY) as folder, output_lock(Path(folder) / "study"):
            rows = save_pairs(pairs_of(sessions), Path(folder) / "study")
            return run_study(
                rows,
                config,
                out=out,
                n_jobs=n_jobs,
                cluster=cluster,
                progress=progress,
                private=private,
                report=report,
            )
    if not sessions:
        raise NothingToAnalyseError(explain_nothing(list(map(public_rejected, rejected))))
    check_settings(sessions, config)
    if out is None:
        sweep_temporary(Path(tempfile.gettempdir()))
        with tempfile.TemporaryDirectory(prefix=TEMPORARY) as folder:
            result = run_study(
                sessions,
                config,
                out=Path(folder) / "out",
                n_jobs=n_jobs,
                cluster=cluster,
                rejected=rejected,
                progress=progress,
                report=False,
            )
        return replace(result, path=None)
    out = Path(out).resolve()  # workers of a cluster have another current folder
    with output_of(sessions, out, private=private):
        place = limit_place(
            Place(n_jobs=n_jobs, cluster=cluster, output=out, inputs=tuple({row.root for row in sessions})), sessions
        )
        stages = stages_of(sessions, config, out, place)
        carry_out(
            [go_through(stages, rejected, report=report, n_jobs=place.n_jobs, progress=progress)],
            place,
            progress=progress,
        )
    return StudyResult.load(out)


@contextlib.contextmanager
def output_of(sessions: Sequence[Session], out: Path, *, private: bool) -> Iterator[None]:
    """Hold the folder of a run, and free it of what one that died has left."""
    check_output(out, sessions)
    with output_lock(out), owners_only(out, private):
        sweep(out)
        sweep_locks(out)
        if not (out / DESCRIPTION).exists():
            describe_output(out)
        yield


def prepare_study(
    sessions: Sequence[Session],
    config: StudyConfig,
    *,
    out: str | Path,
    only: Collection[SessionKey],
    n_jobs: int = 1,
    progress: bool = False,
    private: bool = False,
) -> list[Skip]:
    """Prepare some sessions and stop, so that cluster jobs stay independent; ``run_study`` finishes.

    Examples
    --------
    >>> import tempfile
    >>> import hyperscan as hs
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     sessions = hs.read_sessions(hs.simulate_study(folder + "/study", "growth", n_dyads=2, n_sessions=1))
    ...     prepare_study(sessions, hs.StudyConfig(), out=folder + "/out", only=[sessions[0].key])
    []
    """
    check_settings(sessions, config)
    out = Path(out).resolve()
    check_output(out, sessions)
    wanted = {(key.dyad, key.session) for key in only}
    chosen = [row for row in sessions if (row.dyad, row.session) in wanted]
    if not chosen:
        raise NothingToAnalyseError(
            "None of the sessions asked for can be used. Check the labels; `hyperscan check` names broken rows."
        )
    prepared = summaries_of(chosen, config, out=out, n_jobs=n_jobs, progress=progress, private=private)
    return skips_of(chosen, prepared)


def summaries_of(
    sessions: Sequence[Session],
    config: StudyConfig,
    *,
    out: Path,
    n_jobs: int,
    progress: bool = False,
    private: bool = False,
) -> dict[SessionKey, Summary]:
    """Prepare what is not prepared yet, keep it for ``run_study``, and say of every row how it went."""
    check_output(out, sessions)
    out.mkdir(parents=True, exist_ok=True)
    with among_writers(out), owners_only(out, private):
        if not (out / DESCRIPTION).exists():
            describe_output(out)
        place = limit_place(Place(n_jobs=n_jobs, output=out), sessions)
        (summaries,) = carry_out([stages_of(sessions, config, out, place).prepare()], place, progress=progress)
    return summaries


def stages_of(
    sessions: Sequence[Session], config: StudyConfig, out: Path, place: Place, prepared: Path | None = None
) -> Stages:
    """Begin a run, and its log; ``prepared``: a folder of prepared signals that it shares."""
    log = RunLog(out, command=public_command(sys.argv), workers=place.n_jobs, cluster=place.cluster, seed=config.seed)
    return Stages(sessions, config, out, log, prepared=prepared)


def go_through(
    stages: Stages, rejected: Sequence[Rejected], *, report: bool, n_jobs: int = 1, progress: bool = False
) -> Steps[GrowthResult | None]:
    """Do all stages: results stay as they are until new ones are complete, and the record is written last.

    Returns the answer, or None where nothing has changed.
    """
    out, config, sessions, log = stages.out, stages.config, stages.sessions, stages.log
    summaries = yield from stages.prepare()
    plan = make_plan(sessions, rejected, summaries, config, stages.digests)
    stages.tell(plan.findings)
    basis = stages.basis(plan)
    facts = _facts(basis, stages.hashes)
    if not stages.stale(basis) and _is_recorded(out, facts) and (not report or (out / PAGE).is_file()):
        logger.info("nothing has changed: the results are those of the run before")
        remove_work(out)
        return None
    log.open()
    yield from stages.compute(basis)
    # from here on the folder is incomplete until its record is there again
    remove(out / RECORD)
    remove(out / VIEW)  # it shows what was there before
    with written_files() as written:
        describe_output(out)
        write_text(out / "config.toml", config.to_toml())
        analysed = stages.publish(basis)
        late = (*stages.tell_computed(analysed), *stages.lost_rows(plan))
        plan = replace(plan, skipped=(*plan.skipped, *late))
        write_json(out / "plan.json", plan.to_dict())
        write_table(out / "status.tsv", status_rows(summaries, plan.skipped))
        write_tables(out, analysed, summaries)
        append_contrasts(out, config.contrasts)
        log.say("growth")
        with under_way("growth", progress=progress):
            growth = growth_of(out, config)
        growth.save(out)
        remove(out / WITHIN)
        try:
            alone = within_of(out, config)
        except InputError as error:  # which regions and indices the recordings allow is known only now
            missing = Remark("within", "warning", f"{error} There is no answer on each person alone.")
            stages.tell([missing])
            write_json(out / "plan.json", replace(plan, findings=(*plan.findings, missing)).to_dict())
        else:
            if alone is not None:
                write_json(out / WITHIN, alone.to_dict())
        if report:
            log.say("report")
            with under_way("report", progress=progress):
                report_of(out, n_jobs=n_jobs)
            written.update(page for page in pages_of(out) if page.is_file())  # workers note nothing here
        else:
            remove_report(out)
    remove_work(out)
    written |= {out / unit.name / name for unit in analysed for name in own_files(out / unit.name)}
    write_json(out / RECORD, {**facts, "outputs": _hashes(out, written)})
    log.say("complete")
    return growth


#: Pages of dyads that are worth another worker, which takes seconds to start (our choice).
PAGES_EACH = 8


def report_of(out: Path, *, n_jobs: int = 1) -> Path:
    """Build the report of a run's folder, the pages of many dyads side by side; return its first page."""

    def share(write: Callable[[Sequence[str]], None], dyads: Sequence[str]) -> None:
        n = min(n_jobs, len(dyads) // PAGES_EACH)
        if n < 2:
            write(dyads)
            return
        tasks = [Task(f"pages {k + 1}", partial(write, dyads[k::n])) for k in range(n)]
        lost = run_tasks(tasks, Place(n_jobs=n, output=out), "report", progress=False)
        for task in tasks:
            if task.name in lost:  # its worker died twice
                task.work()

    with one_thread():
        return build_report(out, share)


def _facts(basis: Basis, inputs: Mapping[str, str]) -> dict[str, Any]:
    """Say what goes into a run, and with what it is done."""
    versions = {name: version for name, version in basis.versions.items() if name not in ("hyperscan", "code")}
    return {
        "version": basis.versions["hyperscan"],
        "code": basis.versions["code"],
        "digest": basis.digest,
        "config": basis.config.to_dict(),
        "seed": basis.config.seed,
        "versions": versions,
        "inputs": dict(sorted(inputs.items())),
    }


def _hashes(out: Path, files: Iterable[Path]) -> dict[str, str]:
    """SHA-256 of what a run wrote: a user's own files are no outputs."""
    return {path.relative_to(out).as_posix(): sha256(path) for path in sorted(files)}


def _is_recorded(out: Path, facts: Mapping[str, Any]) -> bool:
    """Whether the record says that the same went in, and all that came out is there as it was written."""
    if odd_kind(out / RECORD):
        return False
    try:
        text = (out / RECORD).read_text(encoding="utf-8")
        outputs = json.loads(text)["outputs"]
        return text == to_json({**facts, "outputs": outputs}) and _hashes(out, map(out.joinpath, outputs)) == outputs
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return False
