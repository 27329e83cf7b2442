"""Below the number of dyads that a verdict needs, no p of a test of the group is told: in no text, table or file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from growth_fixtures import designs_table
from hyperscan.growth import GrowthResult, fit_growth
from hyperscan.growth.few import TESTED
from hyperscan.report import sections
from hyperscan.report.methods import methods_of
from hyperscan.report.run import ReportedRun
from hyperscan.report.tables import Table
from hyperscan.schema import MIN_DYADS
from report_fixtures import Fake, write_fake

#: A p, or a statistic, with its number.
TOLD = re.compile(r"\bp [<=>] ?\.?\d|\bt\(|BF01|Bayes")
#: One dyad's own course is tested over its sessions, which says nothing of a group.
OWN = re.compile(r"Mann-Kendall p [<=>] \.\d+")
#: Tables of the first page whose p are not of a group
OF_SESSIONS = {"nulls"}


def told_in(content: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Where a file holds a number that only a test gives; a test of one dyad's sessions is none of a group."""
    if isinstance(content, dict):
        for name, value in content.items():
            if name in (*TESTED, "bf01", "chisq") and value is not None:
                yield (*path, name)
            if name != "one_dyad":
                yield from told_in(value, (*path, name))
    elif isinstance(content, list):
        for value in content:
            yield from told_in(value, path)


def texts(found: object) -> Iterator[str]:
    """All texts of a section, however it is made."""
    if isinstance(found, Table):
        for row in found.rows:
            yield from (cell.text for cell in row)
    elif isinstance(found, str):
        yield found
    elif isinstance(found, dict | list | tuple):
        for one in found.values() if isinstance(found, dict) else found:
            yield from texts(one)
    elif hasattr(found, "__dataclass_fields__"):
        yield from texts(vars(found))


def unsaid(growth: GrowthResult) -> None:
    for text in (growth.sentence, growth.summary(), repr(growth)):
        assert not TOLD.search(OWN.sub("", text)), text
    assert not list(told_in(json.loads(json.dumps(growth.to_dict()))))


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_a_table_of_few_dyads_is_described(n: int) -> None:
    rows = designs_table().query(f"dyad < 'D{n:02d}'").assign(bdi=lambda rows: rows["session"] % 3 + rows["age"] / 9)
    rows["therapist"] = [f"T{int(dyad[1:]) // 2}" for dyad in rows["dyad"]]
    arms = {"group": "arm", "reference": "control"} if n > 1 else {}
    contrasts = {"talk_minus_rest": {"talk": 1.0, "rest": -1.0}}
    growth = fit_growth(
        rows, primary={"task": "talk"}, contrasts=contrasts, outcomes=["bdi"], moderators=["age"], n_flips=99, **arms
    )
    assert growth.verdict == "cannot_tell"
    assert {one.word for one in (*growth.differences, *growth.outcomes)} == {"cannot_tell"}
    unsaid(growth)
    if n == 3:
        assert growth.weighted.ci_low < growth.weighted.slope < growth.weighted.ci_high


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_the_report_of_few_dyads_describes(tmp_path: Path, n: int) -> None:
    run = ReportedRun.of(write_fake(tmp_path, Fake("cannot_tell", n_dyads=n, full_pseudo=False)))
    assert run.growth is not None
    assert run.alone is not None
    unsaid(run.growth)
    unsaid(run.alone)
    for name, section in sections.STUDY_SECTIONS.items():
        found = section(run)
        for text in () if name in OF_SESSIONS else texts(found):
            assert not TOLD.search(OWN.sub("", text)), (name, text)
            assert "(decides)" not in text
        heads = found.columns if isinstance(found, Table) and name not in OF_SESSIONS else ()
        shown = {head for i, head in enumerate(heads) if any(row[i].value for row in found.rows)}
        assert not {head for head in shown if head in ("t", "p") or head.startswith("p,")}, name
    methods = methods_of(run).to_markdown()
    assert "growth had to show over both" not in methods
    assert "had to reach p" not in methods
    assert "was tested in the clients" not in methods
    assert f"tested from {MIN_DYADS} on" in methods
