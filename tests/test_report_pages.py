"""The report: says what growth.json says, shows nothing it should not, and is the same every time."""

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
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from hyperscan.errors import ConfigError, InputError
from hyperscan.report import build_report
from hyperscan.report.build import dyad_page, study_page
from hyperscan.report.methods import methods_of
from hyperscan.report.read import read_folder
from hyperscan.report.references import METRIC_REFERENCES, REFERENCES, bibtex
from hyperscan.report.wording import without_paths
from hyperscan.words import VERDICTS
from report_fixtures import Fake, contrast, write_fake

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


class Page(HTMLParser):
    """Tags with their attributes, and the text, of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {key: value or "" for key, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_fake(tmp_path_factory.mktemp("report") / "out", Fake(matrices=6))
    build_report(folder)
    return folder


@pytest.fixture(scope="module")
def html(out: Path) -> str:
    return (out / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def evil(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_fake(tmp_path_factory.mktemp("evil") / "out", replace(SMALL, evil="".join(PAYLOADS), matrices=3))
    growth = json.loads((folder / "growth.json").read_text())
    growth["verdict"] = growth["sentence"] = "".join(PAYLOADS)
    for guard, payload in zip(growth["guards"], PAYLOADS, strict=False):
        guard["name"] = guard["detail"] = guard["figure"] = payload
    growth["outcomes"] = [{payload: payload for payload in PAYLOADS}]
    growth["primary"]["metric"] = growth["primary"]["metric"]
    (folder / "growth.json").write_text(json.dumps(growth))
    (folder / "config.toml").write_text("# " + "".join(PAYLOADS) + "\n")
    name = {"Name": PAYLOADS[0], "Version": PAYLOADS[1]}
    (folder / "dataset_description.json").write_text(json.dumps({"GeneratedBy": [name]}))
    build_report(folder, {"versions": {PAYLOADS[2]: PAYLOADS[3]}, "command": ["hyperscan", *PAYLOADS]})
    return folder


def _numbers(html: str) -> set[str]:
    return set(re.findall(r'<data value="([^"]+)">', html))


# ---- what it says ----


def test_verdict_sentence_and_numbers_are_those_of_growth_json(out: Path, html: str) -> None:
    growth = json.loads((out / "growth.json").read_text())
    page = Page(html)
    assert growth["sentence"] in page.text
    assert VERDICTS["grows"].meaning in page.text
    shown = _numbers(html)
    for part in ("primary", "two_stage", "real_slope", "pseudo_slope"):
        for key in ("slope", "se", "ci_low", "ci_high", "p", "t"):
            if growth[part].get(key) is not None:
                assert repr(growth[part][key]) in shown, (part, key)
    for guard in growth["guards"]:
        assert guard["detail"] in page.text
        assert repr(guard["figure"]) in shown


@pytest.mark.parametrize("verdict", sorted(VERDICTS))
def test_every_verdict_is_told_with_its_limits(tmp_path: Path, verdict: str) -> None:
    known = verdict if verdict in ("declines",) else verdict.replace("declines_", "grows_")
    write_fake(tmp_path, replace(SMALL, verdict=known))
    growth = json.loads((tmp_path / "growth.json").read_text())
    (tmp_path / "growth.json").write_text(json.dumps({**growth, "verdict": verdict}))
    context = study_page_text(tmp_path)
    assert VERDICTS[verdict].label in context
    assert VERDICTS[verdict].limits in context


def study_page_text(folder: Path) -> str:
    from hyperscan.report import build

    run = read_folder(folder)
    context = {key: None if key.endswith("_picture") else value for key, value in _light(run).items()}
    return Page(build._render("report.html.j2", context)).text


def _light(run: Any) -> dict[str, Any]:
    from hyperscan.report import figures

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "STUDY_PICTURES", dict.fromkeys(figures.STUDY_PICTURES, lambda run: None))
        return study_page(run)


def test_sections_stand_in_the_promised_order(html: str) -> None:
    ids = [attrs["id"] for attrs in Page(html).all("h2")]
    assert ids == [
        "verdict",
        "guards",
        "growth",
        "dyads",
        "skipped",
        "clocks",
        "quality",
        "outcomes",
        "nulls",
        "methods",
        "settings",
    ]


def test_skipped_sessions_stand_with_their_reason(out: Path, html: str) -> None:
    skipped = json.loads((out / "plan.json").read_text())["skipped"]
    assert skipped
    text = Page(html).text
    assert f"{len(skipped)} dyad-sessions that were not analysed" in text
    assert text.count(skipped[0]["reason"]) == len(skipped)


def test_failed_and_open_guards_are_told_apart_without_colour(tmp_path: Path) -> None:
    write_fake(tmp_path, replace(SMALL, verdict="confounded"))
    text = study_page_text(tmp_path)
    assert "✗ Failed" in text
    assert "✓ Passed" in text
    write_fake(tmp_path, replace(SMALL, verdict="grows_unchecked"))
    assert "– Not assessable" in study_page_text(tmp_path)


@pytest.mark.parametrize("modality", ["eeg", "fnirs"])
def test_methods_tell_the_settings_that_were_in_force(tmp_path: Path, modality: str) -> None:
    write_fake(tmp_path, replace(SMALL, modality=modality))
    (tmp_path / "config.toml").write_text("window_s = 7.5\nfnirs_min_sci = 0.66\nn_null = 333\nseed = 42\n")
    methods = methods_of(read_folder(tmp_path))
    text = methods.to_markdown()
    assert "333 circular shifts" in text
    assert "seed 42" in text
    assert ("windows of 7.5 s" in text) == (modality == "eeg")
    assert ("below 0.66" in text) == (modality == "fnirs")
    assert ("lachaux1999" in methods.references) == (modality == "eeg")
    assert ("grinsted2004" in methods.references) == (modality == "fnirs")
    assert "partner-specific statistical dependence" in text


def test_a_primary_named_in_the_config_is_said_to_be_named(tmp_path: Path) -> None:
    write_fake(tmp_path, SMALL)
    assert "is the default of the package" in methods_of(read_folder(tmp_path)).to_markdown()
    (tmp_path / "config.toml").write_text('primary = {metric = "plv", band = "alpha", roi = "posterior-posterior"}\n')
    assert "was named in the configuration" in methods_of(read_folder(tmp_path)).to_markdown()


@pytest.mark.parametrize(
    ("second", "words"), [(720.0, "the same first stretch (720 s)"), (300.0, "(720 s in no task, 300 s in talk)")]
)
def test_methods_tell_how_much_of_every_task_entered(tmp_path: Path, second: float, words: str) -> None:
    write_fake(tmp_path, Fake(modality="fnirs", n_dyads=3, n_sessions=2))
    plan = json.loads((tmp_path / "plan.json").read_text())
    plan["groups"].append({**plan["groups"][0], "task": "talk", "seconds": second})
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    assert words in methods_of(read_folder(tmp_path)).to_markdown()


def test_references_are_whole_and_used(out: Path) -> None:
    bib = (out / "references.bib").read_text(encoding="utf-8")
    assert bib.count("@article{") == bib.count("doi = {10.") == len(set(re.findall(r"@article{(\w+)", bib)))
    assert {key for keys in METRIC_REFERENCES.values() for key in keys} <= set(REFERENCES)
    assert all(re.fullmatch(r"10\.\d{4,5}/\S+", entry.doi) for entry in REFERENCES.values())
    assert len({entry.doi for entry in REFERENCES.values()}) == len(REFERENCES)
    assert bibtex(REFERENCES).count("{") == bibtex(REFERENCES).count("}")


@pytest.mark.parametrize("modality", ["eeg", "fnirs"])
def test_the_growth_of_this_package_is_told(tmp_path: Path, modality: str) -> None:
    from hyperscan.growth import fit_growth

    write_fake(tmp_path, Fake(modality=modality, full_pseudo=False))
    tables = [pd.read_csv(tmp_path / f"{name}.tsv", sep="\t") for name in ("synchrony", "guards", "quality")]
    growth = fit_growth(tables[0], guards=tables[1], quality=tables[2]).to_dict()
    (tmp_path / "growth.json").write_text(json.dumps(growth))
    text = study_page_text(tmp_path)
    assert VERDICTS[growth["verdict"]].label in text
    assert growth["sentence"] in text
    assert [guard["detail"] in text for guard in growth["guards"]] == [True] * len(growth["guards"])
    assert "Leaving out one dyad at a time" in text


def test_a_dyad_page_shows_channels_links_and_windows_of_every_session(out: Path) -> None:
    page = Page((out / "dyad-D02" / "report.html").read_text(encoding="utf-8"))
    told = " ".join(img["alt"] for img in page.all("img"))
    n = len(list(out.glob("dyad-D02/ses-*/*.nc")))
    assert f"Heat maps, one for each of {n} sessions" in told
    assert f"Two heads for each of {n} sessions" in told
    # 5 % of n x 36 channel pairs are drawn; the quantile may fall between two values
    drawn = sum(map(int, re.findall(r"Session \d+ (\d+)", told)))
    assert drawn == pytest.approx(0.05 * 36 * n, abs=1)
    assert f"of {6 * n} windows lie above the chance level" in told
    assert "TherapistT01ClientC02" in page.text


def test_an_fnirs_page_shows_coherence_maps_with_the_share_that_is_outlined(tmp_path: Path) -> None:
    run = read_folder(write_fake(tmp_path, replace(SMALL, modality="fnirs", matrices=2)))
    shown = dyad_page(run, "D01")
    assert shown["course_picture"] is None  # one window: there is no course
    n = len(list(tmp_path.glob("dyad-D01/ses-*/*.nc")))
    shares = [int(text) for text in re.findall(r"Session \d+ (\d+)%", shown["map_picture"].alt)]
    assert len(shares) == n
    assert all(3 <= share <= 7 for share in shares)  # uniform noise against 0.95


# ---- what it must not show or do ----


def test_policy_no_script_no_load_from_elsewhere(out: Path) -> None:
    pages = [out / "report.html", *out.glob("dyad-*/report.html")]
    assert len(pages) == 9
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
    assert len(page.all("img")) == 9
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


def test_a_dyad_with_an_unsafe_name_gets_no_page_and_no_file_elsewhere(evil: Path) -> None:
    pages = sorted(path.relative_to(evil).as_posix() for path in evil.rglob("*.html"))
    assert pages == ["dyad-D02/report.html", "dyad-D03/report.html", "report.html"]
    assert [path.name for path in evil.parent.iterdir()] == ["out"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cannot read /home/jane/clinic/s1.edf", "cannot read …/s1.edf"),
        (r"C:\Users\Jane Doe\s1.edf: damaged", "…/"),
        ("file:///srv/data/jane/a.fif", "…/a.fif"),
        ("channels and/or windows 3/4, ratio 1/2", "channels and/or windows 3/4, ratio 1/2"),
        ("sub-01/eeg/a.edf: damaged", "sub-01/eeg/a.edf: damaged"),
    ],
)
def test_absolute_paths_do_not_reach_a_page(text: str, shown: str) -> None:
    result = without_paths(text)
    assert shown in result
    for hidden in ("/home", "jane", "Users", "/srv"):
        assert hidden not in result


def test_command_repeats_the_run_and_a_given_one_is_printed_without_paths(tmp_path: Path) -> None:
    write_fake(tmp_path, SMALL)
    assert "hyperscan run STUDY -o OUT --config config.toml" in study_page_text(tmp_path)
    command = "hyperscan run /home/jane/study -o /data/jane/out --jobs 2"
    assert _light(read_folder(tmp_path, {"command": command}))["command"] == "hyperscan run …/study -o …/out --jobs 2"


# ---- the same every time, whatever is missing ----


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


FILES = [
    "synchrony.tsv",
    "pseudo.tsv",
    "guards.tsv",
    "quality.tsv",
    "growth.json",
    "growth.tsv",
    "plan.json",
    "config.toml",
    "dataset_description.json",
]


@pytest.mark.parametrize("name", FILES)
def test_any_one_file_may_be_absent(tmp_path: Path, name: str) -> None:
    write_fake(tmp_path, SMALL)
    (tmp_path / name).unlink()
    run = read_folder(tmp_path)
    context = study_page(run)
    assert (context["verdict"].label == "No verdict") == (name == "growth.json")
    assert (context["growth_picture"] is None) == (name == "synchrony.tsv")
    assert (context["guards_picture"] is None) == (name == "guards.tsv")
    assert (context["quality"] is None) == (context["clocks"] is None) == (name == "quality.tsv")
    dyad_page(run, "D02")


def test_one_dyad_is_described_and_not_tested(tmp_path: Path) -> None:
    text = study_page_text(write_fake(tmp_path, Fake("cannot_tell", n_dyads=1)))
    assert "Cannot tell" in text
    assert "This dyad alone" in text
    assert "fewer than 8 sessions: described, not tested" in text
    assert "no pseudo pairs were possible" in text
    methods = methods_of(read_folder(tmp_path)).to_markdown()
    assert "No model of growth was fitted" in methods
    assert "single dyad was described by the Theil-Sen slope." in methods
    assert "Satterthwaite" not in methods


@pytest.mark.parametrize("needed", [True, False])
def test_methods_tell_whether_therapists_had_to_agree(tmp_path: Path, needed: bool) -> None:
    write_fake(tmp_path, SMALL)
    growth = json.loads((tmp_path / "growth.json").read_text())
    growth["therapist_level"]["needed"] = needed
    (tmp_path / "growth.json").write_text(json.dumps(growth))
    text = methods_of(read_folder(tmp_path)).to_markdown()
    assert ("a test over the therapists' mean slopes had to agree" in text) == needed


@pytest.mark.parametrize("value", [None, [], {}, "text", 3, True, [1, "a", None], float("nan")])
def test_odd_values_in_growth_and_plan_break_nothing(tmp_path: Path, value: Any) -> None:
    write_fake(tmp_path, SMALL)
    for name in ("growth.json", "plan.json"):
        content = json.loads((tmp_path / name).read_text())
        (tmp_path / name).write_text(json.dumps(dict.fromkeys(content, value)))
    assert "No verdict" in study_page_text(tmp_path)


@pytest.mark.parametrize("column", ["days", "z", "excess_z", "pseudo_mean_z", "lag_p", "signal", "modality"])
def test_a_column_may_be_absent(tmp_path: Path, column: str) -> None:
    run = read_folder(_without(tmp_path, column))
    context = study_page(run)
    assert (context["growth_picture"] is None) == (column == "excess_z")
    assert (context["dyads_picture"] is None) == (column in ("z", "pseudo_mean_z"))
    dyad_page(run, "D01")


@pytest.mark.parametrize("column", ["dyad", "session", "metric", "band"])
def test_a_table_without_its_keys_is_refused(tmp_path: Path, column: str) -> None:
    with pytest.raises(InputError, match=rf"synchrony\.tsv: lacks the columns {column}"):
        read_folder(_without(tmp_path, column))


def _without(folder: Path, column: str) -> Path:
    write_fake(folder, SMALL)
    for name in ("synchrony.tsv", "pseudo.tsv", "quality.tsv", "guards.tsv"):
        table = pd.read_csv(folder / name, sep="\t", dtype=str, keep_default_na=False)
        table.drop(columns=column, errors="ignore").to_csv(folder / name, sep="\t", index=False)
    return folder


def test_labels_that_look_like_numbers_or_nothing_stay_labels(tmp_path: Path) -> None:
    write_fake(tmp_path, SMALL)
    for name in ("synchrony.tsv", "quality.tsv", "guards.tsv", "pseudo.tsv", "plan.json"):
        text = (tmp_path / name).read_text()
        (tmp_path / name).write_text(text.replace("D01", "001").replace("D02", "NA"))
    assert read_folder(tmp_path).dyads == ["001", "D03", "NA"]


def test_what_is_no_output_of_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds neither synchrony\.tsv nor growth\.json"):
        build_report(tmp_path)
    (tmp_path / "growth.json").write_text("{")
    with pytest.raises(InputError, match=r"growth\.json: not valid JSON"):
        build_report(tmp_path)
    (tmp_path / "growth.json").write_text("{}")
    (tmp_path / "config.toml").write_text("window = 3\n")
    with pytest.raises(ConfigError, match="Did you mean 'window_s'"):
        build_report(tmp_path)
    assert not list(tmp_path.glob("*.html"))


# ---- size, and a browser ----


@pytest.mark.slow
def test_500_dyad_sessions_stay_small(tmp_path: Path) -> None:
    run = read_folder(
        write_fake(tmp_path, Fake(n_dyads=50, n_sessions=10, full_pseudo=False, matrices=32, matrix_dyads=2))
    )
    from hyperscan.report import build

    first = len(build._render("report.html.j2", study_page(run)).encode())
    pages = [len(build._render("dyad.html.j2", dyad_page(run, dyad)).encode()) for dyad in run.dyads[:2]]
    assert first < 4e6
    assert max(pages) < 0.7e6  # each page is opened by itself


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
