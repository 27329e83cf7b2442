"""The table of CONTRIBUTING.md: for everything that is there, the source files that name it are counted."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import pytest

import hyperscan
from hyperscan import nulls
from hyperscan.cli.parsers import COMMANDS
from hyperscan.growth.guards import OWN_GUARDS
from hyperscan.metrics import METRICS
from hyperscan.report.figures import STUDY_PICTURES
from hyperscan.report.sections import DYAD_SECTIONS, STUDY_SECTIONS
from hyperscan.schema import GUARD_COLUMNS
from hyperscan.study.formats import FORMATS
from hyperscan.words import GUARDS

ROOT = Path(__file__).parents[1]
PACKAGE = Path(hyperscan.__file__).parent
GUIDE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


class Row(NamedTuple):
    """A row of the table."""

    touch: tuple[str, ...]
    files: int
    further: tuple[str, ...]


def table() -> dict[str, Row]:
    """Read the rows by what they add."""
    part = GUIDE.partition("| to add | touch | files |")[2].partition("\n\n")[0]
    rows = {}
    for line in part.splitlines()[2:]:
        what, touch, files, further = (cell.strip() for cell in line.strip("|").split("|"))
        rows[what] = Row(
            tuple(re.findall(r"`([^`]+)`", touch)), int(files), tuple(re.findall(r"`([^`]+/[^`]+)`", further))
        )
    return rows


TABLE = table()


@cache
def texts_in(path: Path) -> frozenset[str]:
    """Whole texts of a source file, without docstrings; words of a template's marks."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        return frozenset(re.findall(r"\w+", " ".join(re.findall(r"{[{%].*?[%}]}", text))))
    tree = ast.parse(text)
    told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    texts = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in told)
    return frozenset(node.value for node in texts if isinstance(node.value, str))


@cache
def names_in(path: Path) -> frozenset[str]:
    """Names of a source file: definitions, fields, attributes, imports, bare names."""
    if path.suffix != ".py":
        return frozenset()
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.alias):
            found.add(node.name)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.Name):
            found.add(node.id)
    return frozenset(found)


def files_saying(word: str, room: str = "") -> set[str]:
    """Source files of a room, or of all, that hold a word as a whole text."""
    return {path.relative_to(PACKAGE).as_posix() for path in sources(room) if word in texts_in(path)}


def files_naming(word: str, room: str = "") -> set[str]:
    """Source files of a room, or of all, that hold a word as a whole text or as a name."""
    inside = {path.relative_to(PACKAGE).as_posix() for path in sources(room) if word in names_in(path)}
    return inside | files_saying(word, room)


def sources(room: str) -> list[Path]:
    return [path for ending in ("py", "j2") for path in (PACKAGE / room).rglob(f"*.{ending}")]


class Kind(NamedTuple):
    """How the instances of a row are found, and where they are named."""

    instances: Callable[[], Iterable[str]]
    files: Callable[[str], set[str]]
    #: Files that name an instance because they chose it, or because the word means something else there: name -> files
    by_choice: Mapping[str, set[str]] = {}


READERS = {form.name: form.reader.rpartition(":")[2] for form in FORMATS}
OURS = [form.name for form in FORMATS if form.reader.startswith("hyperscan.")]
COLUMNS = set(GUARD_COLUMNS)

#: Settings that name metrics, MNE's methods, which share names with ours, measures of guards, metrics whose chance
#: inside a person is quick, and guards that speak for some metrics only.
CHOSEN = {"config.py", "metrics/mne_methods.py", "synchrony/guard_measures.py", "synchrony/within.py", "words.py"}

PAGES = {"report": STUDY_SECTIONS, "dyad": DYAD_SECTIONS}


def files_of_section(name: str) -> set[str]:
    """Files that say the name of a section, on its page."""
    page, _, section = name.partition(": ")
    return {
        file
        for file in files_saying(section, "report")
        if not file.endswith(".j2") or Path(file).stem == f"{page}.html"
    }


KINDS: dict[str, Kind] = {
    "a metric": Kind(
        lambda: METRICS,
        files_naming,
        # wavelet coherence is loaded at its first call
        dict.fromkeys(METRICS, CHOSEN)
        | {name: CHOSEN | {"metrics/__init__.py"} for name in METRICS if name.startswith("wtc")},
    ),
    "a guard of a column that is there": Kind(
        lambda: [name for name, words in GUARDS.items() if words.measures and not COLUMNS & set(words.columns)],
        lambda name: {file for file in files_saying(name) if file.endswith(".py")},
        # there the word is that of a column, or of a finding
        {"mayer": {"study/findings.py"}, "motion": {"schema.py", "growth/evidence.py", "plots/panels.py"}},
    ),
    "a guard with a question of its own": Kind(
        lambda: OWN_GUARDS,
        lambda name: files_saying(name, "growth") | files_saying(name, "report") | files_saying(name) & {"words.py"},
        {
            # verdicts that rest on one guard
            "lag": {"growth/verdict.py", "growth/outcomes.py", "growth/differences.py"},
            "signal_to_noise": {"growth/verdict.py"},
            # there the word is that of a column
            "band": {
                "growth/fit.py",
                "growth/records.py",
                "growth/within.py",
                "report/figures.py",
                "report/sections.py",
            },
        },
    ),
    "a guard with a new column": Kind(
        lambda: GUARD_COLUMNS,
        files_naming,
        # asked for by a guard with a question of its own, or told of without a guard
        {
            **{f"{name}_excess_z": {"growth/guards.py"} for name in ("control", "outband", "lag_robust")},
            **{name: {"growth/guards.py"} for name in ("lag_beyond", "steadiness", "phase_kept")},
            "matched_excess_z": {"growth/evidence.py", "growth/result.py"},
        },
    ),
    "a reader": Kind(
        lambda: OURS,
        # a reader is named in one text with its module
        lambda name: files_naming(READERS[name]) | files_saying(name) & {"study/formats.py"},
    ),
    # short lags are no null, and take the same statistics
    "a null": Kind(
        lambda: nulls.__all__, lambda name: files_naming(name, "nulls"), {"Foldable": {"nulls/near_lags.py"}}
    ),
    "a section of the report": Kind(
        lambda: [f"{page}: {name}" for page, sections in PAGES.items() for name in sections],
        files_of_section,
        # the state of a dyad-session in a picture, a column of a multiverse
        {"report: skipped": {"report/figures.py"}, "report: verdict": {"report/build.py"}},
    ),
    "a picture of the report": Kind(lambda: [f"report: {name}" for name in STUDY_PICTURES], files_of_section),
    "a command": Kind(lambda: COMMANDS, lambda name: files_naming(name, "cli")),
}


def test_every_row_of_the_table_is_counted() -> None:
    assert list(TABLE) == list(KINDS)


@pytest.mark.parametrize("what", TABLE)
def test_a_row_tells_as_many_files_as_it_lists_and_they_are_there(what: str) -> None:
    row = TABLE[what]
    assert len(row.touch) == row.files
    for pattern in row.touch:
        assert list(PACKAGE.glob(pattern)), pattern
    for name in row.further:
        assert (ROOT / name).is_file(), name


@pytest.mark.parametrize(("what", "name"), [(what, name) for what, kind in KINDS.items() for name in kind.instances()])
def test_what_is_there_is_named_in_no_more_files_than_the_table_tells(what: str, name: str) -> None:
    kind, row = KINDS[what], TABLE[what]
    named = kind.files(name)
    own = {file for file in named if any(PurePosixPath(file).match(pattern) for pattern in row.touch)}
    assert named - own - kind.by_choice.get(name, set()) == set(), (
        f"{name} is named in more files than CONTRIBUTING tells"
    )
    told = [file for file in own if file not in kind.by_choice.get(name, set())]
    assert 1 <= len(told) <= max(row.files, 1)


@pytest.mark.parametrize("kind", KINDS)
def test_no_choice_is_listed_that_nobody_made(kind: str) -> None:
    """A list of exceptions that outlives them would hide the next file."""
    instances, files = list(KINDS[kind].instances()), KINDS[kind].files
    used = set().union(*(files(name) for name in instances))
    assert [name for name in KINDS[kind].by_choice if name not in instances] == []
    assert set().union(*KINDS[kind].by_choice.values()) <= used


def test_a_further_file_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    everywhere = lambda name: {"words.py", "growth/guards.py", "report/build.py"}  # noqa: E731
    monkeypatch.setitem(KINDS, "a guard of a column that is there", Kind(lambda: ["new"], everywhere))
    with pytest.raises(AssertionError, match="more files than CONTRIBUTING tells"):
        test_what_is_there_is_named_in_no_more_files_than_the_table_tells("a guard of a column that is there", "new")
