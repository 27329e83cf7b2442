"""The page to look around in: its values, what hostile labels do to it, and that a browser draws it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hyperscan.report import build_view
from hyperscan.report.run import ReportedRun
from hyperscan.report.view import MATRIX_BYTES, STEPS, view_data
from hyperscan.storage import write_json
from report_fixtures import Fake, Page, write_fake

EVIL = "</script><img src=x onerror=alert(1)>"


def made(folder: Path, fake: Fake) -> str:
    write_fake(folder, fake)
    write_json(folder / "run.json", {"outputs": {}})
    return build_view(folder).read_text("utf-8")


def data_of(page: str) -> dict[str, Any]:
    text = page.split('<script type="application/json" id="data">')[1].split("</script>")[0]
    return json.loads(text)  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("view")
    made(path, Fake(n_dyads=3, n_sessions=3, matrices=6, full_pseudo=False))
    return path


@pytest.fixture(scope="module")
def page(folder: Path) -> str:
    return (folder / "view.html").read_text("utf-8")


def test_values_are_those_of_synchrony_tsv(folder: Path, page: str) -> None:
    data, table = data_of(page), ReportedRun.of(folder).table
    for name in ("estimate", "z", "pseudo_mean_z", "excess_z"):
        np.testing.assert_array_equal(np.array(data["values"][name], float), table[name].to_numpy(float))
    for name in ("dyad", "metric", "band", "roi_therapist"):
        assert [data["levels"][name][code] for code in data["rows"][name]] == table[name].astype(str).tolist()


def test_matrices_are_those_of_the_folder_to_three_digits(folder: Path, page: str) -> None:
    run, data = ReportedRun.of(folder), data_of(page)
    first = data["recordings"][0]
    (low, high, text), outcome = first["matrices"]["eeg|plv|alpha"], run.outcome
    steps = np.frombuffer(base64.b64decode(text), "<u2").astype(float)
    wanted = run.sessions_of(first["key"][0], first["key"][1])[0].to_matrix(outcome.metric, outcome.band).to_numpy()
    np.testing.assert_allclose(low + (high - low) * steps / STEPS, wanted.ravel(), atol=1e-4 * (high - low) + 1e-5)


def test_the_page_asks_nobody_and_runs_its_own_script_alone(page: str) -> None:
    told = Page(page)
    (policy,) = [meta["content"] for meta in told.all("meta") if "content" in meta and "default-src" in meta["content"]]
    script = page.split("<script>")[1].split("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy.startswith(f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", page)
    assert not [attrs for _, attrs in told.tags if any(name.startswith("on") or name == "style" for name in attrs)]


def test_hostile_labels_are_text(tmp_path: Path) -> None:
    page = made(tmp_path, Fake(n_dyads=4, n_sessions=3, evil=EVIL, full_pseudo=False))
    assert EVIL not in page
    assert not Page(page).all("img")
    assert any(EVIL in label for label in data_of(page)["levels"]["dyad"])


def test_a_large_study_keeps_the_primary_matrices_and_drops_others(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hyperscan.report.view.MATRIX_BYTES", 0)
    assert {tuple(each["matrices"]) for each in view_data(ReportedRun.of(folder))["recordings"]} == {("eeg|plv|alpha",)}
    # 50 x 10 sessions of 64 channels: the primary matrices alone
    assert MATRIX_BYTES > 500 * 8 * 64 * 64 // 3


@pytest.mark.parametrize("evil", [False, True])
def test_a_browser_draws_what_is_chosen(folder: Path, tmp_path: Path, evil: bool) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium here")
    if evil:
        folder = tmp_path / "evil"
        folder.mkdir()
        made(folder, Fake(n_dyads=4, n_sessions=3, evil=EVIL, full_pseudo=False))
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
               "--disable-background-networking", "--disable-component-update", "--enable-logging=stderr")  # fmt: skip
    row = ReportedRun.of(folder).primary.query("dyad == 'D02'").iloc[-1]
    address = f"{(folder / 'view.html').as_uri()}#dyad=D02&session={row['session']}&metric=plv&band=alpha"
    done = subprocess.run(
        [browser, *options, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", address],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    drawn = Page(done.stdout)
    assert "CONSOLE" not in done.stderr  # no complaint of the script or of the policy
    assert f"Dyad D02, session {row['session']}: plv, alpha, posterior – posterior: " in drawn.text
    assert f"{row['excess_z']:.10g}" in drawn.text
    assert len(drawn.all("svg")) >= (1 if evil else 3)
    assert not drawn.all("img")
    labelled = [attrs for attrs in drawn.all("svg") + drawn.all("canvas") if not attrs.get("aria-label")]
    assert labelled == []


def test_what_was_left_out_is_told_by_recording(tmp_path: Path) -> None:
    write_fake(tmp_path, Fake(n_dyads=3, n_sessions=3))
    plan = json.loads((tmp_path / "plan.json").read_text())
    plan["skipped"] = [
        {"dyad": "D01", "session": 2, "modality": "eeg", "task": "talk", "run": "2", "reason": "too short"},
        {"dyad": "D01", "session": None, "modality": "", "task": "", "run": "", "reason": "broken row"},
    ]
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    lost = view_data(ReportedRun.of(tmp_path))["lost"]
    assert lost[:2] == [["D01", "2, talk, run 2", "too short"], ["D01", "?", "broken row"]]
