"""The documentation: links lead somewhere, commands exist, generated pages agree with the program, the site builds."""

from __future__ import annotations

import argparse
import importlib.util
import inspect
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import hyperscan
from hyperscan import cli
from hyperscan.cli.parsers import parser_of_all, parser_of_bids
from hyperscan.config import StudyConfig
from hyperscan.growth import GrowthResult, PowerResult
from hyperscan.metrics import METRICS
from hyperscan.results import StudyResult, SynchronyResult
from hyperscan.study import read_table

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
BY_HAND = [page for page in PAGES if page.parent == DOCS]
READ = [*BY_HAND, ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
_LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)<>\s]+)\)")


@pytest.fixture(scope="module")
def hooks() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_hooks", DOCS / "hooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the site, built without a warning."""
    if importlib.util.find_spec("mkdocs") is None or importlib.util.find_spec("mkdocstrings") is None:
        pytest.skip("mkdocs and mkdocstrings are not installed (the docs extra)")
    folder = tmp_path_factory.mktemp("docs") / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def ident(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in headings}


def commands(text: str) -> list[str]:
    """Lines of blocks without a language, which hold what is typed."""
    found, language = [], None
    for line in text.splitlines():
        if line.startswith("```"):
            language = line[3:] if language is None else None
        elif language == "" and line.split("#")[0].strip():
            found.append(line.split("#")[0].strip())
    return found


@pytest.mark.parametrize("page", [*READ, *(page for page in PAGES if page not in BY_HAND)], ids=ident)
def test_links_lead_somewhere(page: Path) -> None:
    for link in _LINK.findall(page.read_text(encoding="utf-8")):
        if link.startswith(("https://", "http://", "#")):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name
        assert target.is_file(), link
        assert not anchor or anchor.startswith("hyperscan.") or anchor in anchors(target), link


def test_every_page_is_in_the_navigation() -> None:
    listed = set(re.findall(r": (\w+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE))
    assert listed == {page.name for page in BY_HAND}


@pytest.mark.parametrize("page", READ, ids=ident)
def test_commands_parse(page: Path) -> None:
    for line in commands(page.read_text(encoding="utf-8")):
        program, *arguments = line.split("|")[0].split()
        if program in ("hyperscan", "hyperscan-bids"):
            parser = parser_of_all() if program == "hyperscan" else parser_of_bids()
            # '> study.toml' is the shell's
            parser.parse_args(arguments[: arguments.index(">")] if ">" in arguments else arguments)
        elif program in ("bash", "python"):
            assert (ROOT / arguments[0]).is_file(), line


def test_scripts_page_names_every_example_and_its_usage() -> None:
    for line in re.findall(r"^\| `(scripts/[^`]+)`", (DOCS / "scripts.md").read_text(), re.MULTILINE):
        assert (ROOT / line.split()[0]).is_file(), line


def test_layout_tables_are_read(tmp_path: Path) -> None:
    text = (DOCS / "layouts.md").read_text(encoding="utf-8")
    sections = re.findall(r"^## (L\d+): .*?\n(.*?)(?=^## )", text, re.DOTALL | re.MULTILINE)
    assert [name for name, _ in sections] == [f"L{n}" for n in range(1, 12)]
    for name, body in sections:
        rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in body.splitlines() if line[:1] == "|"]
        head, values = rows[0], rows[2:]
        folder = tmp_path / name
        for row in values:
            for column in ("therapist_file", "client_file"):
                path = folder / row[head.index(column)]
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(f"{name} {path.name} {row}")
        (folder / "dyads.tsv").write_text("\n".join("\t".join(row) for row in [head, *values]) + "\n")
        table = read_table(folder)
        assert len(table.sessions) == len(values), name
        assert not table.rejected, name


def test_settings_page_is_what_the_command_prints(hooks: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    page = hooks.on_page_markdown((DOCS / "settings.md").read_text(encoding="utf-8"))
    assert cli.main(["config", "--defaults"]) == 0
    assert f"```text\n{capsys.readouterr().out.rstrip()}\n```" in page


def test_metrics_page_lists_every_metric_with_its_paper(hooks: ModuleType) -> None:
    page = hooks.on_page_markdown((DOCS / "metrics.md").read_text(encoding="utf-8"))
    for name, spec in METRICS.items():
        (row,) = [line for line in page.splitlines() if line.startswith(f"| `{name}` |")]
        assert spec.summary in row
        assert "https://doi.org/10." in row


def test_a_metrics_formula_comes_with_the_functions_it_calls(hooks: ModuleType) -> None:
    assert hooks.plain_definition("lagcoh").startswith("def coherency(x, y):\n    return np.mean(")
    assert hooks.plain_definition("lagcoh").endswith("np.sqrt(c.imag**2 / (1 - c.real**2))")


def test_a_metrics_function_comes_with_a_picture_and_its_plain_code(site: Path) -> None:
    _, *parts = re.split(r'id="hyperscan\.metrics\.(\w+)"', (site / "api_metrics.html").read_text(encoding="utf-8"))
    told = dict(zip(parts[::2], parts[1::2], strict=True))
    for name in METRICS:
        before, code = told[name].split(f"<code>{name}</code> as plain code:")
        assert "<p>Blind to" in before
        assert "data:image/svg+xml" in before.partition("<p>Blind to")[2]
        assert f"def {name}(x, y" in code


def test_command_page_has_the_help_of_every_command(hooks: ModuleType) -> None:
    text = (DOCS / "command_line.md").read_text(encoding="utf-8")
    page = hooks.on_page_markdown(text)
    (commands,) = [a for a in parser_of_all()._actions if isinstance(a, argparse._SubParsersAction)]
    for name in commands.choices:
        assert f"usage: hyperscan {name} " in page, f"docs/command_line.md lacks hyperscan {name}"


def test_outputs_page_names_every_column(hooks: ModuleType, small_run: Path) -> None:
    page = hooks.on_page_markdown((DOCS / "outputs.md").read_text(encoding="utf-8"))
    bands = [*StudyConfig().bands]
    for table in ("synchrony", "pseudo", "lags", "guards", "within", "quality"):
        columns = (small_run / f"{table}.tsv").read_text().splitlines()[0].split("\t")
        named = [re.sub(rf"_({'|'.join(bands)})$", "_<band>", name) for name in columns]
        assert [name for name in named if f"| `{name}` |" not in page] == [], table


def test_both_ways_to_read_a_table_keep_the_same_labels_as_text() -> None:
    page = (DOCS / "outputs.md").read_text(encoding="utf-8")
    python = re.findall(r'"(\w+)"', page.partition("dict.fromkeys((")[2].partition(")")[0])
    r = re.findall(r'(\w+) = "character"', page)
    # labels of one's own, which may be numbers such as 01
    assert set(python) == {"dyad", "therapist", "client", "partner_dyad", "task", "run"}
    assert set(r) == set(python) - {"partner_dyad"}, "which synchrony.tsv has not"


def test_every_public_name_has_its_place_in_the_reference() -> None:
    told = (DOCS / "api.md").read_text()
    for name in set(hyperscan.__all__) - {"metrics", "nulls", "__version__"}:
        assert re.search(rf"^::: hyperscan\.(\w+\.)*{name}$", told, re.MULTILINE), name


@pytest.mark.parametrize("room", ["metrics", "nulls"])
def test_every_public_name_of_a_room_has_its_place_in_the_reference(room: str, site: Path) -> None:
    told = set(re.findall(r'id="hyperscan\.(?:\w+\.)*(\w+)"', (site / f"api_{room}.html").read_text(encoding="utf-8")))
    assert set(getattr(hyperscan, room).__all__) - told == set()


def test_gallery_shows_every_script_once() -> None:
    shown = re.findall(r"^<!-- (?:figure|code): (\w+) -->$", (DOCS / "gallery.md").read_text(), re.MULTILINE)
    assert sorted(shown) == sorted(script.stem for script in (DOCS / "gallery").glob("*.py"))


def test_a_script_of_the_gallery_becomes_its_figure_its_words_and_its_lines(hooks: ModuleType) -> None:
    page = hooks.on_page_markdown("<!-- figure: kept -->")
    assert 'src="data:image/svg+xml;base64,' in page
    assert 'alt="Which stretches of a session were kept, for each person and for both."' in page
    assert "ax = plots.data_kept_timeline(kept, 600)" in page


def test_a_page_that_shows_a_picture_alone_says_what_it_is_once(hooks: ModuleType) -> None:
    page = hooks.on_page_markdown("<!-- picture: kept -->")
    said = "Which stretches of a session were kept, for each person and for both."
    assert page.count(said) == page.count(f'alt="{said}"') == 1
    assert "```" not in page


def test_what_the_gallery_says_of_a_call_can_be_called() -> None:
    calls = (StudyResult.plot, GrowthResult.plot, SynchronyResult.plot, PowerResult.plot, hyperscan.compute_synchrony)
    known = {name for call in calls for name in inspect.signature(call).parameters}
    told = re.findall(r"\b(\w+)=", re.sub(r"(?s)```.*?```", "", (DOCS / "gallery.md").read_text()))
    assert set(told) <= known
    assert {"axes", "by"} <= set(told)


def test_what_is_wide_scrolls_by_itself_and_by_keyboard(hooks: ModuleType) -> None:
    page = hooks.on_page_content("<pre>x</pre><table><tr></tr></table>")
    assert page == '<pre tabindex="0">x</pre><div class="wide" tabindex="0"><table><tr></tr></table></div>'
    assert hooks.on_page_content("as :func:<code>~hyperscan.plv</code>, <code>a</code>") == (
        "as <code>hyperscan.plv</code>, <code>a</code>"
    )
    assert '<div role="navigation" aria-label="Pages" class="navbar x">' in hooks.on_post_page('<div class="navbar x">')


def test_every_plot_function_has_its_place_in_the_reference() -> None:
    from hyperscan import plots

    told = re.findall(r"heading: hyperscan\.plots\.(\w+)$", (DOCS / "api_plots.md").read_text(), re.MULTILINE)
    assert sorted(told) == sorted(plots.__all__)


class _Loads(HTMLParser):
    """What a page makes a browser fetch: not what it links to."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "src" or (tag == "link" and name == "href"):
                self.found.append(value or "")


def test_site_builds_without_warnings_and_loads_nothing_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) >= len(PAGES)
    for page in pages:
        loads = _Loads()
        loads.feed(page.read_text(encoding="utf-8"))
        assert not [url for url in loads.found if re.match(r"(https?:)?//", url)], page.name
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(@import|url\()\s*['\"]?(https?:)?//", sheet.read_text(encoding="utf-8")), sheet.name


@pytest.mark.parametrize("told", ["docs/faq.md", "src/hyperscan/recording/clocks/align.py"])
def test_what_an_uncorrected_drift_leaves_is_what_its_formula_gives(told: str) -> None:
    drift_s = 12e-6 * 50 * 60
    kept = [f"{100 * abs(np.sinc(hz * drift_s)):.1f} %" for hz in (10, 20)]
    said = re.sub(r"\s+", " ", (ROOT / told).read_text(encoding="utf-8"))
    assert re.search(rf"{kept[0]} (of a phase-locked value )?at 10 Hz and {kept[1]} at 20 Hz", said)
