"""Labels that keep less than what they were made of: two different things never silently become one."""

from __future__ import annotations

import ast
import itertools
import string
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hyperscan
from hyperscan.config import StudyConfig
from hyperscan.errors import ConfigError, HyperscanError, InputError
from hyperscan.growth.table import label_column
from hyperscan.metrics import get_metrics
from hyperscan.pipeline.chance import Batch
from hyperscan.pipeline.plan import check_settings
from hyperscan.pipeline.privacy import public_channel, scrub
from hyperscan.pipeline.unit import input_hashes, row_label, signals_path, unit_name
from hyperscan.report.references import REFERENCES
from hyperscan.schema import BANDWISE, ROLES, RoiPair, SessionKey, column_of
from hyperscan.study import Session, draft_dyads, read_sessions, read_table
from hyperscan.study.labels import changed_letters, clashes, is_label, plain_label, without_accents
from study_fixtures import a_row, bids, touch, write_table

PACKAGE = Path(hyperscan.__file__).parent

#: Pairs of names that differ in what an id cannot hold, or in what a reader may overlook.
TWINS = [
    ("Mü1", "Mö1"),
    ("Müller1", "Mueller1"),
    ("Núñez1", "Nunez1"),
    ("A-1", "A_1"),
    ("ab 1", "a b1"),
    ("Åse1", "Aase1"),
    ("D1-a", "D1-b"),
    ("山1", "川1"),
    (unicodedata.normalize("NFC", "é1"), unicodedata.normalize("NFD", "é1")),
    ("kim1", "KIM1"),
]

#: How a dyad's folder may be made of such a name.
FOLDERS = ("{}", "dyad-{}", "group/{}", "{}/ses-1", "Paar {}", "D1{}")


def table_of(root: Path, **options: object) -> list[dict[str, str]]:
    return draft_dyads(root, **options).rows.to_dict("records")


@pytest.mark.parametrize("form", FOLDERS)
@pytest.mark.parametrize("twins", TWINS, ids=repr)
@pytest.mark.parametrize("people", [("therapist", "client"), ("x",)], ids=len)
def test_two_folders_are_never_one_dyad_and_nobody_of_two_is_paired(
    tmp_path: Path, form: str, twins: tuple[str, str], people: tuple[str, ...]
) -> None:
    # with one file per folder, the two would look like two people of one dyad
    for name in twins:
        touch(tmp_path, *(f"{form.format(name)}/{who}.edf" for who in people))
    if len(list(tmp_path.rglob("*.edf"))) < 2 * len(people):
        pytest.skip("this disk takes the two for one name")
    rows = table_of(tmp_path)
    for row in rows:
        named = [Path(row[f"{role}_file"]).parent for role in ROLES if row[f"{role}_file"]]
        assert len(set(named)) == 1
    labels = [row["dyad"].casefold() for row in rows if row["dyad"]]
    assert len(labels) == len(set(labels))
    assert all(is_label(label) for label in labels)


@pytest.mark.parametrize("twins", TWINS, ids=repr)
def test_dyads_of_participants_are_never_mixed(tmp_path: Path, twins: tuple[str, str]) -> None:
    bids(tmp_path, *(f"sub-{i:02d}_ses-1_eeg.edf" for i in (1, 2, 3, 4)))
    lines = [f"sub-{i:02d}\t{twins[i % 2]}" for i in (1, 2, 3, 4)]
    (tmp_path / "participants.tsv").write_text("participant_id\tdyad\n" + "\n".join(lines) + "\n", encoding="utf-8")
    rows = table_of(tmp_path)
    assert {frozenset(row[f"{role}_file"][4:6] for role in ROLES) for row in rows} == {
        frozenset({"01", "03"}),
        frozenset({"02", "04"}),
    }
    labels = [row["dyad"].casefold() for row in rows if row["dyad"]]
    assert len(labels) == len(set(labels))


@pytest.mark.parametrize(
    ("sessions", "asked"),
    [
        (("1", "01"), "two names would become one label"),
        *(
            (labels, "numbers count several things")
            for labels in (("pre1", "post1"), ("A2", "B2"), ("week1", "visit1"))
        ),
    ],
)
def test_two_bids_sessions_never_get_one_number(tmp_path: Path, sessions: tuple[str, str], asked: str) -> None:
    bids(tmp_path, *(f"sub-{who}01_ses-{label}_eeg.edf" for who in "TC" for label in sessions))
    draft = draft_dyads(tmp_path)
    assert [row["session"] for row in draft.rows.to_dict("records")] == ["", ""]
    assert any(question.startswith(f"session: {asked}") for question in draft.questions)


def test_bids_sessions_that_are_dates_get_their_order(tmp_path: Path) -> None:
    bids(tmp_path, *(f"sub-{who}01_ses-{label}_eeg.edf" for who in "TC" for label in ("20250101", "20240101")))
    rows = draft_dyads(tmp_path).rows.to_dict("records")
    assert {row["session"]: row["date"] for row in rows} == {"1": "2024-01-01", "2": "2025-01-01"}


@pytest.mark.parametrize(
    "folders",
    [("week-1", "session-1"), ("week-1/ses-1", "week-1/ses-2"), ("Woche 1", "visite 1"), ("ses-1", "cita 01")],
)
def test_two_folders_of_sessions_never_get_one_number(tmp_path: Path, folders: tuple[str, str]) -> None:
    touch(tmp_path, *(f"dyad-01/{folder}/{who}.edf" for folder in folders for who in ROLES))
    rows = table_of(tmp_path)
    assert [row["session"] for row in rows] == ["", ""]
    assert all(Path(row["therapist_file"]).parent == Path(row["client_file"]).parent for row in rows)


def test_two_tasks_or_conditions_never_get_one_label(tmp_path: Path) -> None:
    touch(tmp_path / "a", *(f"dyad-1/{who}_{task}.edf" for who in "TC" for task in ("rést", "rest", "re_st")))
    draft = draft_dyads(tmp_path / "a")
    assert set(draft.rows["task"]) == {"n/a"}
    assert any(question.startswith("task: ") for question in draft.questions)
    touch(tmp_path / "b", *(f"{arm}/dyad_{i}/{who}.edf" for i, arm in enumerate(("Ärm", "Aerm")) for who in "TC"))
    draft = draft_dyads(tmp_path / "b")
    assert set(draft.rows["condition"]) == {"n/a"}
    assert any(question.startswith("condition: ") for question in draft.questions)


# ---- names of what a run writes

LABELS = st.text(string.ascii_letters + string.digits, min_size=1, max_size=3)
KEYS = st.builds(
    SessionKey,
    LABELS,
    st.integers(1, 120),
    st.sampled_from(["eeg", "fnirs"]),
    LABELS | st.just(""),
    LABELS | st.just(""),
)

#: Every name of a folder, file, group or column that a run makes of keys: function of a key.
NAMES: dict[str, Callable[[SessionKey], object]] = {
    "key": str,
    "unit and row": lambda key: (unit_name(key.dyad, key.session), row_label(key)),
    "signals": lambda key: signals_path(Path(), key, "therapist"),
    "batch": lambda key: (key.dyad, Batch(key, 0, ()).name),
}


@pytest.mark.parametrize("name", NAMES)
def test_two_keys_never_get_one_name(name: str) -> None:
    @given(KEYS, KEYS)
    def differ(one: SessionKey, two: SessionKey) -> None:
        assert (one == two) is (NAMES[name](one) == NAMES[name](two))

    differ()
    values = ("", "1", "2", "run", "task1", "000")
    keys = [SessionKey("D1", s, "eeg", task, run) for s in (1, 10) for task in values for run in values]
    assert len({str(NAMES[name](key)) for key in keys}) == len(keys)


def test_every_input_is_recorded_under_a_name_of_its_own(tmp_path: Path) -> None:
    rows = [a_row(1, 1, task=task, run=run, therapist_file=f"t{i}.edf", client_file=f"c{i}.edf")
            for i, (task, run) in enumerate([("1", "n/a"), ("n/a", "1"), ("1", "1")])]  # fmt: skip
    sessions = read_sessions(write_table(tmp_path, rows))
    assert len(input_hashes(sessions)) == 2 * len(rows)


@pytest.mark.parametrize("name", ["dyad", "therapist", "client", "task", "run"])
@pytest.mark.parametrize("label", ["a_b", "a-b", "a/b", "é", "..", "a run-1", "x" * 65])
def test_a_session_made_by_hand_has_plain_labels(name: str, label: str) -> None:
    labels = {"dyad": "D1", "therapist": "T1", "client": "C1"} | {name: label}
    with pytest.raises(InputError, match=f"{name} = "):
        Session(**labels, session=1, modality="eeg", therapist_file=Path("t"), client_file=Path("c"), root=Path())


@pytest.mark.parametrize(("one", "two"), [("D1", "D1"), ("D1", "d1")])
def test_sessions_made_by_hand_have_names_of_their_own(one: str, two: str) -> None:
    rows = [Session(d, "T1", "C1", 1, "eeg", Path("t"), Path("c"), Path()) for d in (one, two)]
    with pytest.raises(InputError, match="is there twice"):
        check_settings(rows, StudyConfig())


# ---- names of channels, regions, bands, metrics, people, papers


def test_stand_ins_of_channels_are_told_apart() -> None:
    names = [f"Person {i}" for i in range(20_000)]
    # of six digits, as they once were, some of these are equal
    assert len({public_channel(name)[:9] for name in names}) < len(names)
    assert len({public_channel(name) for name in names}) == len(names)


def test_names_left_out_of_a_record_stay_two_and_stand_ins_stay_whole(tmp_path: Path) -> None:
    (row,) = read_sessions(write_table(tmp_path, [a_row()]))
    content = {"dyad-01/ses-01/therapist.edf": 1, "therapist.edf": 2}
    assert sorted(scrub(content, row, {}).values()) == [1, 2]
    channels = {name: public_channel(name) for name in ("Jane", "ch", "Jane Doe")}
    assert scrub("Jane Doe, Jane, ch", row, channels) == ", ".join(channels[n] for n in ("Jane Doe", "Jane", "ch"))


def test_regions_and_bands_are_read_back_from_their_names() -> None:
    with pytest.raises(ConfigError):
        StudyConfig(rois={"left-front": ("Fz",)})
    with pytest.raises(ConfigError):
        StudyConfig(bands={"al-pha": (8, 12)})
    pairs = [RoiPair(a, b) for a, b in itertools.product(("all", "a_b", "b"), repeat=2)]
    assert [RoiPair.parse(str(pair)) for pair in pairs] == pairs
    bands = ("alpha", "hz", "hz_alpha", "width_x", "db")
    names = [f"{prefix}{band}" for prefix in BANDWISE for band in bands]
    assert len({(column_of(name).name, column_of(name).head) for name in names}) == len(names) == len(set(names))


def test_metrics_whose_names_would_become_one_are_refused() -> None:
    def one(a: object, b: object) -> object: ...
    def two(a: object, b: object) -> object: ...

    one.__name__, two.__name__ = "f-g", "f g"
    with pytest.raises(InputError, match="two metrics are called 'f_g'"):
        get_metrics([one, two])


def test_labels_of_a_table_that_read_alike_are_refused() -> None:
    with pytest.raises(HyperscanError, match="read alike"):
        label_column(pd.DataFrame({"dyad": [1, "1", "2"]}), "dyad")
    assert list(label_column(pd.DataFrame({"dyad": [1.0, 2.0]}), "dyad")) == ["1", "2"]


def test_covariates_that_read_alike_are_refused(tmp_path: Path) -> None:
    rows = [a_row(1, 1, arm="a  b"), a_row(1, 2, arm="a b")]
    with pytest.raises(HyperscanError, match="would read like"):
        read_table(write_table(tmp_path, rows))


def test_every_paper_has_a_key_of_its_own() -> None:
    keys = [entry.key.casefold() for entry in REFERENCES.values()]
    assert len(keys) == len(set(keys))


# ---- the labels themselves


@pytest.mark.parametrize("twins", TWINS, ids=repr)
def test_labels_are_plain_and_clashes_are_found(twins: tuple[str, str]) -> None:
    labels = [plain_label(name) for name in twins]
    assert all(is_label(label) for label in labels)
    same = labels[0].casefold() == labels[1].casefold()
    assert bool(clashes(zip(twins, labels, strict=True))) is same


@given(st.text())
def test_any_text_gives_a_plain_label_or_none(text: str) -> None:
    label = plain_label(text)
    assert label == "" or (label.isascii() and label.isalnum())
    assert plain_label(label) == label
    assert not changed_letters(label)


def test_words_are_compared_without_case_and_accents() -> None:
    assert without_accents("THÉRAPEUTE") == without_accents("the\u0301rapeute") == "therapeute"
    assert changed_letters("Müller")
    assert not changed_letters("dyad-01 (b)")


# ---- the next one cannot be forgotten

#: Every place that makes a name shorter, or glues names together: the test above that holds it, or why it is no label.
KNOWN = {
    "growth/differences.py": {"_tell_estimate": "a sentence"},
    "growth/within.py": {"_sentence": "a sentence"},
    "metrics/table.py": {"_of_function": "test_metrics_whose_names_would_become_one_are_refused"},
    "pipeline/compute.py": {"guard_columns": "test_regions_and_bands_are_read_back_from_their_names"},
    "pipeline/output.py": {"__init__": "text of a log", "write_tables": "text of a table"},
    "pipeline/privacy.py": {
        "public_channel": "test_stand_ins_of_channels_are_told_apart",
        "_without_file": "test_names_left_out_of_a_record_stay_two_and_stand_ins_stay_whole",
    },
    "pipeline/unit.py": {"row_label": "test_two_keys_never_get_one_name"},
    "plots/style.py": {"plain": "text of a picture"},
    "report/figures.py": {
        "roi_picture": "test_regions_and_bands_are_read_back_from_their_names",
        "matrix_picture": "text of a picture",
    },
    "report/methods.py": {
        "eeg_prepared": "sentences",
        "_growth": "sentences",
        "_synchrony": "sentences",
        "_alone": "sentences",
        "_index": "sentences",
    },
    "report/sections.py": {"_without_numbers": "text of a page"},
    "report/tables.py": {"one_line": "text of a page"},
    "recording/memory.py": {"save_pairs": "files by dyad and session number, the keys of a mapping"},
    "recording/files/units.py": {"plain_unit": "a unit, compared with those that are known"},
    "recording/guard.py": {"public_text": "text of a message"},
    "study/drafting/folders.py": {
        "_place": "test_two_folders_are_never_one_dyad_and_nobody_of_two_is_paired",
        "_spelled": "test_two_folders_are_never_one_dyad_and_nobody_of_two_is_paired",
        "_said_dyad": "test_two_folders_are_never_one_dyad_and_nobody_of_two_is_paired",
        "_meeting": "test_two_tasks_or_conditions_never_get_one_label",
    },
    "study/labels.py": {
        "plain_label": "test_labels_are_plain_and_clashes_are_found",
        "without_accents": "test_words_are_compared_without_case_and_accents",
    },
    "study/rows.py": {"read_session": "a hint"},
    "study/table.py": {"_tame_text": "test_covariates_that_read_alike_are_refused", "bare": "a hint"},
}


def shortening(node: ast.AST) -> bool:
    """Whether an expression leaves signs out (re.sub of [^...] or \\W), cuts a digest, or joins with '', '_' or '-'."""
    if isinstance(node, ast.Subscript):
        return "digest()" in ast.unparse(node.value)
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return False
    called, on = node.func.attr, node.func.value
    if called == "sub" and isinstance(on, ast.Name) and on.id == "re":
        return any(sign in ast.unparse(node.args[0]) for sign in ("[^", "\\W"))
    return called == "join" and isinstance(on, ast.Constant) and on.value in ("", "_", "-")


def places(path: Path) -> Iterable[str]:
    """Functions of a module that make names shorter."""

    def walk(node: ast.AST, name: str) -> Iterable[str]:
        for child in ast.iter_child_nodes(node):
            if shortening(child):
                yield name
            yield from walk(child, child.name if isinstance(child, ast.FunctionDef) else name)

    return walk(ast.parse(path.read_text(encoding="utf-8")), "")


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_every_place_that_makes_names_shorter_is_held_by_a_test(path: Path) -> None:
    held = KNOWN.get(path.relative_to(PACKAGE).as_posix(), {})
    new = sorted(set(places(path)) - set(held))
    assert new == [], f"{new} make names shorter or glue them: test that two never become one, and list it in KNOWN"
    tests = [test for test in held.values() if test.startswith("test_")]
    assert [test for test in tests if test not in globals()] == []
