"""The one bibliography: whole, and behind every metric."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from hyperscan.config import StudyConfig
from hyperscan.metrics import METRICS, get_metric
from hyperscan.metrics.mne_methods import MNE_METHODS
from hyperscan.report.references import REFERENCES, Citations, bibtex


@pytest.mark.parametrize("name", [*METRICS, *(f"mne:{method}" for method in MNE_METHODS)])
def test_every_metric_has_its_paper_and_its_software(name: str) -> None:
    spec, cite = get_metric(name), Citations()
    named = [doi for doi in (spec.citation, spec.software) if doi]
    assert len(named) == 1 + name.startswith("mne:")
    assert cite.metric(name) == "; ".join(REFERENCES[doi].short for doi in named)
    assert [entry.doi for entry in cite.references] == named


def test_a_metric_of_another_version_cites_nothing() -> None:
    cite = Citations()
    assert cite.metric("no_such_metric") == ""
    assert cite.references == ()


def test_entries_are_whole_and_distinct() -> None:
    entries = list(REFERENCES.values())
    assert all(re.fullmatch(r"10\.\d{4,5}/\S+", entry.doi) for entry in entries)
    assert all(entry.authors and entry.title and entry.journal and entry.year.isdigit() for entry in entries)
    assert len({entry.key for entry in entries}) == len({entry.short for entry in entries}) == len(entries)
    bib = bibtex(entries)
    assert bib.count("{") == bib.count("}")
    assert re.findall(r"^@\w+{(\w+),$", bib, re.M) == sorted(entry.key for entry in entries)
    assert bib.count("doi = {10.") == len(entries)
    assert "&" not in bib  # LaTeX would stop at it


def test_no_second_list_of_papers_is_in_the_package() -> None:
    root = Path(__file__).parents[1] / "src" / "hyperscan"
    texts = {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in root.rglob("*.py")}
    entry = re.compile(r"""^\s+"[^"]*\(\d{4}\)\. [^"]*doi:10\.|^\s+"10\.\d{4,5}/[^"]*",$""", re.M)
    assert [name for name, text in texts.items() if entry.search(text) and name != "report/references.py"] == []


def test_every_paper_that_a_setting_names_is_in_the_bibliography() -> None:
    docs = [item.metadata["doc"] for item in fields(StudyConfig)]
    named = {doi for doc in docs for doi in re.findall(r"doi:(10\.\d{4,5}/.+?)\)(?=[,;. ]|$)", doc)}
    assert len(named) == sum(doc.count("doi:") for doc in docs) > 4
    assert named <= set(REFERENCES)
