"""Study-wide decisions: the channels of regions, copies, what was found and who is told."""

from __future__ import annotations

import ast
import inspect
import itertools
import json
import logging
import shutil
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import mne
import numpy as np
import pytest

from hyperscan import cli
from hyperscan.config import StudyConfig
from hyperscan.errors import (
    ConfigError,
    InputError,
    NothingToAnalyseError,
)
from hyperscan.pipeline import check_study, decisions, load_study, run_study
from hyperscan.pipeline import plan as plan_module
from hyperscan.pipeline.decisions import roi_findings
from hyperscan.pipeline.output import RunLog
from hyperscan.pipeline.plan import (
    comparable_rois,
    duplicates_of,
    explain_nothing,
    make_plan,
    planned_signals,
    used_rois,
)
from hyperscan.pipeline.privacy import revealed
from hyperscan.pipeline.stages import MAX_NOTES, Stages
from hyperscan.pipeline.summary import PersonSummary, Summary
from hyperscan.pipeline.unit import signals_path
from hyperscan.recording.records import BandQuality, PersonQuality
from hyperscan.results.plan import OF_SESSIONS, Plan, RegionChannels, Remark, Skip
from hyperscan.schema import ROLES, Outcome, SessionKey
from hyperscan.storage import to_json
from hyperscan.study import Session, findings, read_sessions
from hyperscan.synchrony import Signals
from pipeline_fixtures import (
    CAP,
    check_prepared,
    edit_table,
    run,
    summaries_without,
)
from study_fixtures import a_row, rows_of, write_table


def decided(*lost: set[str]) -> dict[str, RegionChannels]:
    """Decide on the client's regions, by their names."""
    entries = comparable_rois(summaries_without(*lost))
    assert {entry.person for entry in entries} <= {"C1"}
    return {entry.roi: entry for entry in entries}


def test_equal_sessions_need_no_entry():
    assert decided(set(), set()) == {}
    assert decided({"O1"}, {"O1"}) == {}


def test_a_channel_that_one_session_lacks_is_used_in_none():
    regions = decided(set(), {"O1"}, {"Fz"})
    assert regions["all"].used == ("Pz", "O2", "Oz", "P3")
    assert regions["posterior"].used == ("Pz", "O2", "Oz", "P3")
    assert regions["posterior"].lost == {"O1": ("D1 ses-02 eeg",)}
    (finding,) = roi_findings(list(regions.values()))
    assert str(finding) == (
        "C1 (D1, eeg): to keep regions comparable, channels that some session lacks are used in none: "
        "Fz (not in D1 ses-03 eeg); O1 (not in D1 ses-02 eeg). Where that costs too much, leave the session out "
        "(include = no)."
    )
    rois = {"all": (0, 1, 2), "posterior": (1, 2), "mine": (2,)}
    names = ["Fz", "Pz", "O1"]
    assert used_rois(rois, names, list(regions.values())) == {"all": (1,), "posterior": (1,), "mine": (2,)}
    assert used_rois(rois, names, []) == rois


def test_one_ruined_session_does_not_decide_for_all():
    regions = decided(set(), {"O1"}, set(CAP) - {"Pz"})
    assert regions["all"].used == ("Fz", "Pz", "O2", "Oz", "P3")
    assert regions["all"].lost["O2"] == ("D1 ses-03 eeg",)


def test_too_little_in_common_is_said_and_left():
    regions = decided({"O1", "O2"}, {"Oz", "P3"})
    assert regions["all"].used is None
    (finding,) = roi_findings(list(regions.values()))
    assert finding.severity == "warning"
    assert "regions hold different channels from session to session" in str(finding)
    assert used_rois({"all": (0,)}, ["Fz"], list(regions.values())) == {"all": (0,)}


def test_a_region_that_one_session_lost_is_another_place_there_and_that_is_said():
    """The region of the outcome may be so, while all channels together have enough in common."""
    regions = decided({"O1", "Pz", "O2"}, set(), set())
    assert regions["all"].used == ("Fz", "Oz", "P3")
    assert set(regions["posterior"].used or ()) == set(CAP) - {"Fz"}
    lost, uneven = roi_findings(list(regions.values()))
    assert "used in none: Pz (not in D1 ses-01 eeg); O1" in str(lost)
    assert uneven.severity == "warning"
    assert "another place there" in str(uneven)
    assert "posterior (D1 ses-01 eeg lacks Pz, O1, O2)" in str(uneven)
    (ruined,) = roi_findings(list(decided(set(CAP[:-1]), set(), set()).values()))  # its channels are used elsewhere
    assert "all (D1 ses-01 eeg lacks Fz, Pz, O1 and 2 more), posterior (" in str(ruined)


def _places(decided: Sequence[RegionChannels], summaries: Sequence[Summary]) -> bool:
    """Whether every region holds the same channels in every session, once it is reduced."""
    places = defaultdict(set)
    for summary in summaries:
        for person in summary.people.values():
            mine = [one for one in decided if (one.task, one.person) == (summary.key.task, person.person)]
            at = {roi: [person.channels.index(name) for name in names] for roi, names in person.rois.items()}
            used = used_rois(at, person.channels, mine)
            for roi in at:
                places[person.person, roi].add(frozenset(person.channels[i] for i in used.get(roi, ())))
    return all(len(found) == 1 for found in places.values())


@pytest.mark.parametrize("pooled", [False, True])
def test_no_region_changes_its_place_without_a_warning(pooled: bool) -> None:
    """Whatever is lost in two of three sessions, also where tasks are compared."""
    contrasts = {"talk_minus_rest": {"talk": 1, "rest": -1}} if pooled else {}
    config, warned = StudyConfig(contrasts=contrasts), 0
    for first in itertools.chain.from_iterable(itertools.combinations(CAP, n) for n in range(len(CAP))):
        for second in (set(), {"O1"}, {"Fz", "P3"}, {"O1", "O2", "Oz"}):
            summaries = summaries_without(set(first), second, set())
            if pooled:
                keys = [
                    one.key._replace(task=task) for one, task in zip(summaries, ("talk", "rest", "rest"), strict=True)
                ]
                summaries = [replace(one, key=key) for one, key in zip(summaries, keys, strict=True)]
            rows = [meeting("D1", one.key.session) for one in summaries]
            rows = [replace(row, task=one.key.task) for row, one in zip(rows, summaries, strict=True)]
            quiet = [replace(one, quality=summary_of(row).quality) for one, row in zip(summaries, rows, strict=True)]
            found = plan_module.findings_of(rows, {one.key: one for one in quiet}, config)
            warns = any(one.kind == "roi_channels" and one.severity == "warning" for one in found)
            assert warns != _places(comparable_rois(summaries, pools=config.pools), summaries)
            warned += warns
    assert warned


def test_a_run_leaves_the_lost_channel_out_of_every_session(my_study: Path, tmp_path: Path) -> None:
    row = load_study(my_study)[0].sessions[0]
    raw = mne.io.read_raw(row.client_file, preload=True, verbose="error")
    raw._data[raw.ch_names.index("O2")] = 0
    mne.export.export_raw(row.client_file, raw, overwrite=True, verbose="error")
    plan = run(my_study, tmp_path / "out").plan
    entries = {entry.roi: entry for entry in plan.roi_channels}
    assert {entry.person for entry in entries.values()} == {row.client}
    assert list(entries["posterior"].lost) == ["O2"]
    assert "O2" not in entries["posterior"].used
    assert any(finding.kind == "roi_channels" for finding in plan.findings)
    said = f"{row.client} ({row.dyad}, eeg): to keep regions comparable"
    assert any(said in note for note in check_prepared(my_study).notes)


def test_one_recording_under_two_names_is_left_out(my_study: Path, tmp_path: Path) -> None:
    first, second = (next(my_study.glob(f"dyad-0{i}/ses-01/*therapist*.edf")) for i in (1, 2))
    shutil.copy(first, second)
    result = run(my_study, tmp_path / "out")
    assert [(entry.dyad, entry.session) for entry in result.skipped] == [("D01", 1), ("D02", 1)]
    assert "one recording is there under two names" in result.skipped[0].reason
    assert "edf" not in result.skipped[0].reason
    report = check_study(my_study)
    assert (report.usable, report.skipped) == (2, 2)
    assert {finding.kind for finding in result.plan.findings} >= {"few_dyads", "two_sessions"}


FIRST, SECOND, THIRD = (
    "client_file of D01 ses-01 eeg",
    "client_file of D02 ses-01 eeg",
    "therapist_file of D02 ses-02 eeg",
)
COPIES = [
    # both people of a row: one file of two people, or a wrong copy
    (["dyad-01/ses-01/therapist", "dyad-01/ses-01/client"],
     {("D01", 1): "[therapist_file] and [client_file] hold the same bytes: one recording is there under two names."}),
    # three names
    (["dyad-01/ses-01/client", "dyad-02/ses-02/therapist", "dyad-02/ses-01/client"],
     {("D01", 1): f"[client_file] holds the same bytes as the {SECOND}, the {THIRD}: one recording",
      ("D02", 1): f"[client_file] holds the same bytes as the {FIRST}, the {THIRD}: one recording",
      ("D02", 2): f"[therapist_file] holds the same bytes as the {FIRST}, the {SECOND}: one recording"}),
]  # fmt: skip


@pytest.mark.parametrize(("alike", "said"), COPIES, ids=["both people", "three rows"])
def test_copies_are_told_by_their_files(tmp_path: Path, alike: list[str], said: dict[tuple[str, int], str]) -> None:
    write_table(tmp_path, rows_of(2, 2))
    for name in alike:
        (tmp_path / f"{name}.edf").write_bytes(b"the same")
    rows = read_sessions(tmp_path)
    reasons = duplicates_of(rows)
    assert {(key.dyad, key.session) for key in reasons} == set(said)
    for row in (row for row in rows if row.key in reasons):
        reason = reasons[row.key]
        assert reason.startswith(f"{row.key}: ")
        assert said[row.dyad, row.session] in reason
        # results hold no names of files; the terminal does
        assert "edf" not in reason
        roles = [role for role in ROLES if f"[{role}_file]" in reason]
        assert all(f"{row.relative(row.files[role])}" in revealed(reason, row) for role in roles)
        assert len(roles) == sum(name.startswith(f"dyad-{row.dyad[1:]}/ses-{row.session:02d}") for name in alike)


def test_one_file_in_both_cells_is_named_once(tmp_path: Path) -> None:
    both = {"therapist_channels": "1-2", "client_channels": "3-4"}
    rows = [a_row(d, 1, therapist_file=f"{d}.edf", client_file=f"{d}.edf", **both) for d in (1, 2)]
    write_table(tmp_path, rows)
    for d in (1, 2):
        (tmp_path / f"{d}.edf").write_bytes(b"the same")
    first, second = duplicates_of(read_sessions(tmp_path)).values()
    assert "D01 ses-01 eeg: [therapist_file] holds the same bytes as the therapist_file of D02 ses-01 eeg" in first
    assert second.count("_file]") == 1


def test_no_usable_row_is_nothing_to_analyse(my_study: Path, tmp_path: Path) -> None:
    edit_table(my_study, "eeg", "meg")
    table, config = load_study(my_study)
    with pytest.raises(NothingToAnalyseError, match="Not one of 4"):
        run_study(table.sessions, config, out=tmp_path / "out", rejected=table.rejected)
    assert not (tmp_path / "out").exists()


# ---- what is found about the study is told


def person(label: str, gone: str = "") -> PersonSummary:
    kept = tuple(name for name in CAP if name != gone)
    return PersonSummary(label, kept, {"all": kept, "posterior": kept}, s2=(0.5,) * len(kept), s2_roi=0.5)


def quality(peak_hz: float) -> PersonQuality:
    return PersonQuality(6, 6, 60.0, 6, bands={"alpha": BandQuality(0.9, peak_hz, 2.0, 10.0)})


def meeting(
    dyad: str, number: int, therapist: str = "", client: str = "", days: float | None = None, modality: str = "eeg"
) -> Session:
    here = Path("study")
    therapist, client = therapist or f"T{dyad}", client or f"C{dyad}"
    return Session(dyad, therapist, client, number, modality, here / "t", here / "c", here, days=days)


def summary_of(row: Session, *, exchanged: bool = False, gone: str = "") -> Summary:
    peaks = (11.2, 9.1) if exchanged else (9.1 + 0.01 * row.session, 11.2 - 0.01 * row.session)
    return Summary(
        row.key,
        sfreq=250.0,
        n_windows=6,
        seconds=60.0,
        quality=dict(zip(ROLES, map(quality, peaks), strict=True)),
        people={"therapist": person(row.therapist), "client": person(row.client, gone)},
    )


def a_study_with_everything() -> tuple[list[Session], dict[SessionKey, Summary]]:
    """Make sessions in which there is one of everything that can be found."""
    rows = [
        *(meeting("A", k) for k in (1, 3)),  # missing_session, two_sessions
        meeting("B", 1, therapist="TA"),  # one_session, shared_therapist
        meeting("C", 1, therapist="TA", client="CA"),  # pair_twice, shared_client
        meeting("D", 1, therapist="CB"),  # two_roles
        *(meeting("E", k, days=days) for k, days in ((1, 0.0), (2, 7.0), (3, 35.0))),  # unequal_spacing
        *(meeting("F", k, days=days) for k, days in ((1, 0.0), (2, None))),  # days_missing
        *(meeting("G", k) for k in (1, 2, 3, 4)),  # swapped in the third, roi_channels in the second
        meeting("G", 1, modality="fnirs"),  # short
    ]
    found = {
        row.key: summary_of(
            row, exchanged=(row.dyad, row.session) == ("G", 3), gone="O2" if (row.dyad, row.session) == ("G", 2) else ""
        )
        for row in rows
    }
    # partners and decisions: one session at another rate than the others
    rates = {row.key: 200.0 if (row.dyad, row.session) == ("G", 2) else 250.0 for row in rows}
    told = {key: {"therapist": {"sfreq": f"{rate:g} Hz"}} for key, rate in rates.items()}
    return rows, {key: replace(one, sfreq=rates[key], decisions=told[key]) for key, one in found.items()}


def kinds_that_are_made() -> set[str]:
    """Read from the source which kinds of findings there are; copies are refused, and are no remarks."""
    made = set()
    for module in (findings, plan_module, decisions):
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Finding":
                assert isinstance(node.args[0], ast.Constant)
                made.add(node.args[0].value)
    return made - {"same_content"}


def test_every_kind_of_finding_is_in_the_plan() -> None:
    rows, summaries = a_study_with_everything()
    # comparison: no session has a task
    config = StudyConfig(contrasts={"talk_minus_rest": {"talk": 1, "rest": -1}}, outcomes=["bdi"])
    plan = make_plan(rows, [], summaries, config, {})
    assert {finding.kind for finding in plan.findings} == kinds_that_are_made()
    assert Plan.from_dict(json.loads(to_json(plan.to_dict()))).findings == plan.findings


@pytest.mark.filterwarnings("ignore::hyperscan.errors.DataQualityWarning")
def test_a_run_tells_every_kind_of_finding(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    rows, summaries = a_study_with_everything()
    found = plan_module.findings_of(rows, summaries, StudyConfig())
    monkeypatch.setattr(plan_module, "findings_of", lambda *_: found)
    with caplog.at_level(logging.INFO, logger="hyperscan"):
        run(tiny, tmp_path / "out")
    log = next((tmp_path / "out" / "logs").iterdir()).read_text(encoding="utf-8")
    said = [(record.levelname, record.getMessage()) for record in caplog.records]
    for finding in found:
        word, level = ("note", "INFO") if finding.severity == "info" else ("warning", "WARNING")
        assert (level, f"{word}: {finding}") in said
        assert f" {word}: {finding}\n" in log
    told = Plan.load(tmp_path / "out" / "plan.json").findings
    assert [one.message for one in told if one.kind != OF_SESSIONS] == [str(finding) for finding in found]


def test_what_weakens_a_session_is_in_the_plan_and_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = [meeting("A", 1), meeting("A", 2), meeting("B", 1)]
    found = {row.key: replace(summary_of(row), notes=(f"{row.key}: triggers stop early",)) for row in rows}
    plan = make_plan(rows, [], found, StudyConfig(), {})
    told = [one.message for one in plan.findings if one.kind == OF_SESSIONS]
    assert told == [f"{rows[0].key} and 2 more: triggers stop early"]
    with caplog.at_level(logging.INFO, logger="hyperscan"):
        Stages([], StudyConfig(), tmp_path, RunLog(tmp_path)).tell(plan.findings)
    assert "triggers stop early" not in caplog.text  # said when the sessions were prepared


def test_many_findings_of_one_kind_do_not_hide_the_others(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    stages = Stages([], StudyConfig(), tmp_path, RunLog(tmp_path))
    many = [Remark("missing_session", "warning", f"D{k}: session 2 is missing") for k in range(MAX_NOTES + 3)]
    with caplog.at_level(logging.INFO, logger="hyperscan"):
        stages.tell([*many, Remark("swapped", "warning", "the last of all")])
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        *(f"warning: {one.message}" for one in many[:MAX_NOTES]),
        "warning: the last of all",
        "warning: 3 more of this kind (missing_session) are in logs/",
    ]
    stages.log.open()
    assert stages.log.path.read_text().count("is missing") == MAX_NOTES + 3


# ---- the primary outcome


@pytest.mark.parametrize(
    ("metric", "band", "roi", "task", "words"),
    [
        ("plv", "slow", "all", "", r"no session that can be used has it; there are: eeg ''"),
        ("plv", "alpha", "all", "rest", r"task 'rest': no session that can be used has it"),
        ("no_such", "alpha", "all", "", "no_such"),
        ("wtc", "alpha", "nowhere", "", "nowhere"),
    ],
)
def test_a_primary_that_the_table_cannot_give_is_refused_before_work(
    my_study: Path, tmp_path: Path, metric: str, band: str, roi: str, task: str, words: str
) -> None:
    settings = my_study / "study.toml"
    bands = "alpha = [8.0, 12.0]\nslow = [0.05, 0.1]\n"
    primary = f'primary = {{metric = "{metric}", band = "{band}", roi = "{roi}", task = "{task}"}}\n'
    settings.write_text(primary + settings.read_text().replace("alpha = [8.0, 12.0]\n", bands))
    for work in (check_study, load_study):
        with pytest.raises((ConfigError, InputError), match=words):
            work(my_study)


def test_a_primary_region_without_channels_stops_check_and_run(my_study: Path, tmp_path: Path) -> None:
    """Headers name the channels, so check says it without samples, and a run stops before it computes."""
    settings = my_study / "study.toml"
    named = 'primary = {metric = "plv", band = "alpha", roi = "mine-mine"}\n'
    settings.write_text(named + settings.read_text() + '[rois]\nmine = ["Cz"]\n')
    for report in (check_study(my_study), check_prepared(my_study)):
        assert "primary.roi = 'mine-mine': no session has channels of 'mine'" in report.refusal
        assert f"stop  {report.refusal}" in str(report)
    for words in ([], ["--quick"], ["--prepare"], ["--prepare", str(tmp_path / "kept")]):
        assert cli.main(["check", "-q", str(my_study), *words]) == ConfigError.exit_code
    assert (tmp_path / "kept").is_dir()
    with pytest.raises(ConfigError, match="no session has channels of 'mine'"):
        run(my_study, tmp_path / "out")
    assert not list((tmp_path / "out").glob("dyad-*"))


@pytest.mark.parametrize(
    "reason",
    [
        "{key}: the recording changed while it was read.",
        "line {line}: therapist_file = '{dyad}.edf': is not there.",
        "only {line}.5 s are left of [therapist_file]; at least 60 s are needed.",
        "dyad {dyad} has no clean window.",
    ],
)
def test_equal_reasons_are_counted_once(reason: str) -> None:
    keys = [SessionKey(f"D{i:02d}", i, "eeg", "talk", "") for i in range(1, 31)]
    skips = [Skip.of(key, reason.format(key=key, dyad=key.dyad, line=key.session + 1)) for key in keys]
    said = explain_nothing(skips)
    assert said == f"Not one of 30 dyad-sessions can be analysed. The reason of all 30: {skips[0].reason}"
    assert "First reason: " in explain_nothing(skips[:1])
    other = Skip.of(keys[0], "the file is empty.")
    assert "First reason (and 1 other reason): " in explain_nothing([*skips, other, other])


def test_a_study_without_rows_is_told() -> None:
    assert explain_nothing([]).endswith("First reason: the table has no rows")


@pytest.mark.parametrize(
    ("setting", "averaged"), [("auto", True), ("average", True), ("recorded", False), ("Cz", False)]
)
def test_an_average_reference_rests_on_the_same_channels_in_every_session(
    setting: str, averaged: bool, tmp_path: Path
) -> None:
    def total(n: int, summary: Summary) -> Summary:
        return replace(summary, quality=dict.fromkeys(ROLES, PersonQuality(n, n, 60.0, 6)))

    good = [total(16, summary) for summary in summaries_without(set(), {"O1"})]
    entries = {entry.roi: entry for entry in comparable_rois(good, setting)}
    assert entries["all"].rereferenced == averaged
    assert not entries["posterior"].rereferenced
    few = comparable_rois([total(15, summary) for summary in good], "auto")
    assert not any(entry.rereferenced for entry in few)


def test_two_averages_become_one(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    recorded = rng.normal(size=(4, 100))
    names, common = ("Fz", "Pz", "O1", "O2"), ("Fz", "Pz", "O2")
    entry = RegionChannels("eeg", "", "D1", "T1", "all", common, {"O1": ("D1 ses-02 eeg",)}, rereferenced=True)
    plan = replace(Plan("0", Outcome()), roi_channels=(entry,))
    found = []
    for session, kept in ((1, [0, 1, 2, 3]), (2, [0, 1, 3])):
        key = SessionKey("D1", session, "eeg", "", "")
        data = recorded[kept] - recorded[kept].mean(axis=0)
        signals = signals_like(key, "T1", tuple(names[k] for k in kept), data)
        path = signals_path(tmp_path, key, "therapist")
        path.parent.mkdir(parents=True)
        signals.save(path)
        used = planned_signals(tmp_path, key, "therapist", plan)
        found.append(used.data["eeg"][used.indices(common)])
    np.testing.assert_allclose(found[0], found[1], atol=1e-12)
    np.testing.assert_allclose(found[0], recorded[[0, 1, 3]] - recorded[[0, 1, 3]].mean(axis=0), atol=1e-12)


def signals_like(key: SessionKey, person: str, names: tuple[str, ...], data: np.ndarray) -> Signals:
    n = len(names)
    flat = np.full(n, 0.5)
    grid = np.zeros((1, 2), dtype=int)
    return Signals(
        person=person, key=key, sfreq=100.0, ch_names=names, rois={"all": tuple(range(n))}, data={"eeg": data},
        spans=np.array([[0, data.shape[1]]]), windows=grid, clean=np.ones(1, bool), s2_line=flat, s2_quad=flat,
        xyz=np.zeros((n, 3)),
    )  # fmt: skip
