"""The pages: safe, readable by everyone, small, and the same every time."""

from __future__ import annotations

import base64
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hyperscan.errors import ConfigError, InputError
from hyperscan.growth.multiverse import Influence, MultiverseResult, Universe
from hyperscan.growth.records import OutcomeRelation
from hyperscan.report import build_multiverse_page, build_report
from hyperscan.report.build import dyad_page, study_page
from hyperscan.report.run import ReportedRun
from hyperscan.results.plan import Remark
from hyperscan.words import VERDICTS
from report_fixtures import Fake, Page, contrast, growth_of_fake, write_fake

CSP = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
SMALL = Fake(n_dyads=3, n_sessions=3)

#: Each would run, load or break out if it were not escaped.
PAYLOADS = (
    "<script>document.documentElement.setAttribute('pwned','1')</script>",
    "\"><img src=x onerror=\"document.documentElement.setAttribute('pwned','1')\">",
    "' onmouseover='document.documentElement.setAttribute(`pwned`,`1`)",
    "</style><script>document.documentElement.setAttribute('pwned','1')</script>",
    "</title><svg onload=document.documentElement.setAttribute('pwned','1')>",
    "{{ 7*191 }}{% raw %}",
    "$\\frac{",
    "javascript:alert(1)",
    "../../escape",
    "<iframe src=//evil.example></iframe>",
    "<link rel=stylesheet href=//evil.example/x.css>",
    "<meta http-equiv=refresh content=0;url=//evil.example>",
)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_fake(tmp_path_factory.mktemp("report") / "out", Fake(n_dyads=4, matrices=6, matrix_dyads=2))
    build_report(folder)
    return folder


@pytest.fixture(scope="module")
def html(out: Path) -> str:
    return (out / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def evil(tmp_path_factory: pytest.TempPathFactory) -> Path:
    text = "".join(PAYLOADS)
    findings = (Remark(text, text, text),)
    folder = write_fake(
        tmp_path_factory.mktemp("evil") / "out", replace(SMALL, evil=text, matrices=3, findings=findings)
    )
    found = growth_of_fake(folder)
    guards = [
        replace(guard, name=payload, detail=payload, figure=payload)  # type: ignore[arg-type]
        for guard, payload in zip(found.guards, PAYLOADS, strict=False)
    ]
    outcomes = [OutcomeRelation(payload, payload, payload, payload) for payload in PAYLOADS]
    replace(found, verdict=text, sentence=text, guards=tuple(guards), outcomes=outcomes).save(folder)
    (folder / "config.toml").write_text("# " + text + "\n")
    name = {"Name": PAYLOADS[0], "Version": PAYLOADS[1]}
    (folder / "dataset_description.json").write_text(json.dumps({"GeneratedBy": [name]}))
    build_report(folder)
    return folder


def _numbers(html: str) -> set[str]:
    return set(re.findall(r'<data value="([^"]+)">', html))


def test_verdict_sentence_and_numbers_are_those_of_growth_json(out: Path, html: str) -> None:
    growth = json.loads((out / "growth.json").read_text())
    page = Page(html)
    for said in re.split(r"(?<=[.)])\s+(?=[A-Z]|b = )", growth["sentence"]):  # told apart by who reads it, none lost
        assert said in page.text
    assert VERDICTS["grows"].meaning in page.text
    shown = _numbers(html)
    for part in ("primary", "two_stage", "real_slope", "pseudo_slope"):
        for key in ("slope", "se", "ci_low", "ci_high", "p", "t"):
            if growth[part].get(key) is not None:
                assert repr(growth[part][key]) in shown, (part, key)
    for guard in growth["guards"]:
        assert guard["detail"] in page.text
        assert repr(guard["figure"]) in shown


def test_sections_come_in_the_promised_order(html: str) -> None:
    ids = [attrs["id"] for attrs in Page(html).all("h2")]
    promised = [
        "verdict",
        "growth",
        "guards",
        "remarks",
        "dyads",
        "skipped",
        "clocks",
        "quality",
        "outcomes",
        "nulls",
        "methods",
        "settings",
    ]
    # further sections may come between them
    assert [name for name in ids if name in promised] == promised
    assert (ids[0], ids[-1]) == (promised[0], promised[-1])
    assert len(ids) == len(set(ids))


def test_skipped_sessions_come_with_their_reason(out: Path, html: str) -> None:
    skipped = json.loads((out / "plan.json").read_text())["skipped"]
    assert skipped
    text = Page(html).text
    assert f"{len(skipped)} dyad-sessions not analysed" in text
    assert text.count(skipped[0]["reason"]) == len(skipped)


def test_policy_no_script_no_load_from_elsewhere(out: Path) -> None:
    pages = [out / "report.html", *out.glob("dyad-*/report.html")]
    assert len(pages) == 5
    for path in pages:
        page = Page(path.read_text(encoding="utf-8"))
        names = {tag for tag, _ in page.tags}
        assert not names & {"script", "link", "iframe", "object", "embed", "form", "base", "video", "audio"}
        policies = [meta["content"] for meta in page.all("meta") if "http-equiv" in meta]
        assert policies == [CSP]
        assert all(img["src"].startswith("data:image/svg+xml;base64,") for img in page.all("img"))
        for tag, attrs in page.tags:
            assert not [name for name in attrs if name.startswith("on")], tag
            address = attrs.get("href", "#")
            assert not re.match(r"[a-z]+:|//|/", address), address
            if not address.startswith("#"):
                assert (path.parent / address).is_file(), address


def test_figures_hold_neither_scripts_nor_dates_nor_loads(html: str) -> None:
    for img in Page(html).all("img"):
        svg = base64.b64decode(img["src"].partition(",")[2]).decode()
        assert "<script" not in svg
        assert not re.search(r"href=\"(?!#|data:image/png)", svg)
        assert "metadata" not in svg
        assert not re.search(r"20\d\d-\d\d-\d\d", svg)


def test_every_figure_has_a_text_and_every_table_a_caption_and_scopes(html: str) -> None:
    page = Page(html)
    assert len(page.all("img")) == 13
    assert all(len(img["alt"]) > 40 for img in page.all("img"))
    assert html.count("<table") == html.count("<caption>") > 5
    assert all("scope" in th for th in page.all("th"))
    assert page.all("html")[0]["lang"] == "en"
    assert page.all("a")[0] == {"class": "skip", "href": "#content"}
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_paper(html: str, scheme: str) -> None:
    blocks = re.findall(r":root \{(.*?)\}", html, re.S)
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", blocks[scheme == "dark"]))
    pairs = [(mood, f"{mood}-paper") for mood in ("yes", "caution", "no", "unknown")]
    pairs += [("ink", f"{mood}-paper") for mood in ("yes", "caution", "no", "unknown")]
    pairs += [(text, paper) for text in ("ink", "muted", "link", "yes", "no", "caution") for paper in ("paper",)]
    for text, paper in [*pairs, ("ink", "raised")]:
        assert contrast(colours[text], colours[paper]) >= 4.5, (text, paper)  # WCAG 2.2 AA


def test_payloads_are_inert(evil: Path) -> None:
    for path in [evil / "report.html", *evil.glob("dyad-*/report.html")]:
        page = Page(path.read_text(encoding="utf-8"))
        names = [tag for tag, _ in page.tags]
        assert not {"script", "iframe", "link", "svg"} & set(names)
        assert all(img["src"].startswith("data:image/svg+xml;base64,") for img in page.all("img"))
        assert not [attrs for _, attrs in page.tags if any(name.startswith("on") for name in attrs)]
        assert len([m for m in page.all("meta") if "http-equiv" in m]) == 1
    text = (evil / "report.html").read_text(encoding="utf-8")
    assert "1337" not in Page(text).text  # 7 * 191: no template inside the template
    assert "&lt;script&gt;" in text


def test_payloads_on_the_page_of_a_multiverse_are_inert(tmp_path: Path) -> None:
    settings = dict(zip(PAYLOADS, PAYLOADS, strict=True))
    universes = tuple(Universe(text, settings, k == 0, None, text) for k, text in enumerate(PAYLOADS))
    texts = dict.fromkeys(("universe", "verdict", "failed", "not_assessable", "reason", *PAYLOADS), PAYLOADS)
    numbers = dict.fromkeys(("slope", "ci_low", "ci_high", "p", "n", "standardised"), np.nan)
    table = pd.DataFrame({**texts, **numbers, "primary": [one.primary for one in universes]})
    influence = tuple(Influence(text, 0.5, 2) for text in PAYLOADS)
    path = build_multiverse_page(tmp_path, MultiverseResult(universes, None, influence, "".join(PAYLOADS), table))
    page = Page(path.read_text(encoding="utf-8"))
    assert not {"script", "iframe", "link", "svg", "img"} & {tag for tag, _ in page.tags}
    assert not [attrs for _, attrs in page.tags if any(name.startswith("on") for name in attrs)]
    assert "1337" not in page.text
    assert CSP in path.read_text(encoding="utf-8")


def test_a_dyad_with_an_unsafe_name_gets_no_page_and_no_file_elsewhere(evil: Path) -> None:
    pages = sorted(path.relative_to(evil).as_posix() for path in evil.rglob("*.html"))
    assert pages == ["dyad-D02/report.html", "dyad-D03/report.html", "report.html"]
    assert [path.name for path in evil.parent.iterdir()] == ["out"]


@pytest.mark.slow
def test_same_files_same_bytes(tmp_path: Path) -> None:
    first, second = (write_fake(tmp_path / name, SMALL) for name in ("a", "other-name"))
    build_report(first)
    code = f"from hyperscan.report import build_report; build_report({str(second)!r})"
    environment = {**os.environ, "PYTHONHASHSEED": "123", "TZ": "Asia/Tokyo", "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
    once = {path.relative_to(first): path.read_bytes() for path in first.rglob("*") if path.is_file()}
    assert once == {path.relative_to(second): path.read_bytes() for path in second.rglob("*") if path.is_file()}
    (first / "run.json").write_text(json.dumps({"versions": {"numpy": "9.9"}, "command": "hyperscan run x"}))
    build_report(first)
    assert (first / "report.html").read_bytes() == once[Path("report.html")]


def test_what_is_no_output_of_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds neither synchrony\.tsv nor growth\.json"):
        build_report(tmp_path)
    (tmp_path / "growth.json").write_text("{")
    with pytest.raises(InputError, match=r"growth\.json: cannot be read as JSON"):
        build_report(tmp_path)
    (tmp_path / "growth.json").write_text("{}")
    (tmp_path / "config.toml").write_text("window = 3\n")
    with pytest.raises(ConfigError, match="Did you mean 'window_s'"):
        build_report(tmp_path)
    assert not list(tmp_path.glob("*.html"))


@pytest.mark.slow
def test_500_dyad_sessions_stay_small(tmp_path: Path) -> None:
    run = ReportedRun.of(
        write_fake(tmp_path, Fake(n_dyads=50, n_sessions=10, full_pseudo=False, matrices=32, matrix_dyads=2))
    )
    first = len(study_page(run).encode())
    pages = [len(dyad_page(run, dyad).encode()) for dyad in run.dyads[:2]]
    assert first < 4e6
    assert max(pages) < 0.7e6  # each page is opened by itself


def test_tables_of_few_rows_say_the_head_of_every_cell_and_stay_tables(html: str) -> None:
    page = Page(html)
    tables = [table for table in page.all("table") if "named" in table.get("class", "")]
    cells = [cell for cell in page.all("td") if cell.get("data-head")]
    assert {table["role"] for table in tables} == {"table"}
    assert {cell["role"] for cell in cells} == {"cell"}


def test_a_figure_says_that_it_is_swiped_only_where_it_is_too_wide(html: str) -> None:
    page = Page(html)
    n_wide = sum(int(img["width"]) * 0.64 > 362 for img in page.all("img")) - len(page.all("source"))
    assert page.text.count("swipe the figure") == n_wide
    assert len(page.all("source")) == 1  # growth has a drawing of its own for narrow screens
    assert n_wide <= len(page.all("img")) - 3


@pytest.mark.parametrize("folder", ["out", "evil"])
def test_chromium_opens_the_pages_without_a_complaint(
    folder: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium on this machine")
    where: Path = request.getfixturevalue(folder)
    for page in (where / "report.html", where / "dyad-D02" / "report.html"):
        flags = "--headless --no-sandbox --disable-gpu --disable-background-networking --dump-dom"
        command = [
            browser,
            *flags.split(),
            "--enable-logging=stderr",
            f"--user-data-dir={tmp_path}",
            page.as_uri(),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        assert "</html>" in done.stdout
        assert 'pwned="1"' not in done.stdout.partition(">")[0] + done.stdout[:2000]
        assert not [line for line in done.stderr.splitlines() if "CONSOLE" in line]
