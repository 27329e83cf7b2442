"""The pictures of the pages: what they say of themselves, and what they do without."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from hyperscan.growth import fit_growth
from hyperscan.report.figures import STUDY_PICTURES, dyad_pictures, growth_picture, results_of
from hyperscan.report.methods import methods_of
from hyperscan.report.run import ReportedRun
from hyperscan.schema import GUARD_COLUMNS
from hyperscan.storage import write_table, write_text
from report_fixtures import Fake, growth_of_fake, write_fake

SMALL = Fake(n_dyads=3, n_sessions=3)


def test_a_dyad_page_shows_channels_links_and_windows_of_every_session(tmp_path: Path) -> None:
    run = ReportedRun.of(write_fake(tmp_path, Fake(n_dyads=2, matrices=6, full_pseudo=False)))
    told = " ".join(shown.alt for shown in dyad_pictures(run, "D02").values() if shown is not None)
    n = len(list(tmp_path.glob("dyad-D02/ses-*/*.nc")))
    assert len(results_of(run, "D02")) == n > 1
    assert f"Heat maps, one for each of {n} sessions" in told
    assert f"Two heads for each of {n} sessions" in told
    # 5 % of n x 36 channel pairs are drawn; the quantile may fall between two values
    drawn = sum(map(int, re.findall(r"Session \d+ (\d+)", told)))
    assert drawn == pytest.approx(0.05 * 36 * n, abs=1)
    assert f"of {6 * n} windows lie above their chance level" in told


def test_an_fnirs_page_shows_coherence_maps_with_the_share_that_is_outlined(tmp_path: Path) -> None:
    run = ReportedRun.of(write_fake(tmp_path, replace(SMALL, modality="fnirs", matrices=2)))
    shown = dyad_pictures(run, "D01")
    assert shown["course_picture"] is None  # one window: there is no course
    assert shown["map_picture"] is not None
    n = len(list(tmp_path.glob("dyad-D01/ses-*/*.nc")))
    shares = [int(text) for text in re.findall(r"Session \d+ (\d+)%", shown["map_picture"].alt)]
    assert len(shares) == n
    assert all(3 <= share <= 7 for share in shares)  # uniform noise against 0.95


def test_the_growth_picture_says_the_slope(tmp_path: Path) -> None:
    run = ReportedRun.of(write_fake(tmp_path, Fake(full_pseudo=False)))
    shown, fit = growth_picture(run), growth_of_fake(tmp_path).group_slope
    assert shown is not None
    assert fit is not None
    assert f"Group slope {fit.slope:.2g} Fisher z per session" in shown.alt.replace("−", "-")
    assert shown.src.startswith("data:image/svg+xml;base64,")


@pytest.mark.parametrize(
    "name", ["synchrony.tsv", "guards.tsv", "quality.tsv", "pseudo.tsv", "lags.tsv", "growth.json"]
)
def test_a_picture_is_absent_where_its_table_is(tmp_path: Path, name: str) -> None:
    write_fake(tmp_path, SMALL)
    (tmp_path / name).unlink()
    run = ReportedRun.of(tmp_path)
    shown = {picture: draw(run) for picture, draw in STUDY_PICTURES.items()}
    assert (shown["growth_picture"] is None) == (name == "synchrony.tsv")
    assert (shown["guards_picture"] is None) == (name == "guards.tsv")
    assert (shown["quality_picture"] is None) == (shown["clock_picture"] is None) == (name == "quality.tsv")
    assert (shown["lag_picture"] is None) == (shown["lead_picture"] is None) == (name == "lags.tsv")
    assert (shown["null_picture"] is None) == (name in ("synchrony.tsv", "pseudo.tsv"))


@pytest.mark.parametrize("column", ["days", "z", "excess_z", "pseudo_mean_z", "lag_p"])
def test_a_column_may_be_absent(tmp_path: Path, column: str) -> None:
    write_fake(tmp_path, SMALL)
    for name in ("synchrony.tsv", "pseudo.tsv", "quality.tsv", "guards.tsv"):
        table = pd.read_csv(tmp_path / name, sep="\t", dtype=str, keep_default_na=False)
        table.drop(columns=column, errors="ignore").to_csv(tmp_path / name, sep="\t", index=False)
    run = ReportedRun.of(tmp_path)
    shown = {picture: draw(run) for picture, draw in STUDY_PICTURES.items()}
    assert ("No chance level" in shown["growth_picture"].caption) == (column == "excess_z")
    assert (shown["dyads_picture"] is None) == (column in ("z", "pseudo_mean_z"))
    dyad_pictures(run, "D01")


def texts(run: ReportedRun, *names: str) -> dict[str, tuple[str, str]]:
    """What the pictures say of themselves, by name: text for those who do not see them, and caption."""
    told = {}
    for name in names or STUDY_PICTURES:
        shown = STUDY_PICTURES[name](run)
        plt.close("all")
        told[name] = (shown.alt, shown.caption) if shown else ("", "")
    return told


def captions(run: ReportedRun, *names: str) -> str:
    return " ".join(caption for _, caption in texts(run, *names).values())


def test_one_session_is_told_without_lines_slopes_and_changes(tmp_path: Path) -> None:
    run = ReportedRun.of(write_fake(tmp_path, Fake(verdict="cannot_tell", n_sessions=1, full_pseudo=False)))
    told = captions(run)
    assert "Points: dyads." in told
    for unseen in ("Thin", "Diamonds", "dotted across", "Thick line", "In a true change"):
        assert unseen not in told


def test_weeks_are_told_as_weeks(tmp_path: Path) -> None:
    write_fake(tmp_path, Fake(full_pseudo=False))
    write_text(tmp_path / "config.toml", 'time = "weeks"\n')
    told = captions(ReportedRun.of(tmp_path), "growth_picture", "means_picture")
    assert "mean of the dyads that have the week" in told
    assert "dotted across" not in told


def test_missing_sessions_are_told_where_there_are_some(tmp_path: Path) -> None:
    write_fake(tmp_path, SMALL)
    assert "dotted across missing sessions" in captions(ReportedRun.of(tmp_path), "growth_picture")
    table = pd.read_csv(tmp_path / "synchrony.tsv", sep="\t", keep_default_na=False, dtype=str)
    whole = table.groupby("dyad")["session"].transform("nunique") == table["session"].nunique()
    write_table(tmp_path / "synchrony.tsv", table[whole])
    assert "dotted across missing sessions" not in captions(ReportedRun.of(tmp_path), "growth_picture")


@pytest.fixture
def of_runs(tmp_path: Path) -> Path:
    """A run in which a dyad has two recordings of its second session: its share in every mean stays that of one."""
    write_fake(tmp_path, Fake(n_dyads=6, n_sessions=3, full_pseudo=False))
    for name in ("synchrony", "pseudo", "lags", "quality"):
        path = tmp_path / f"{name}.tsv"
        table = pd.read_csv(path, sep="\t", keep_default_na=False, dtype=str)
        mine = (table["dyad"] == "D01") & (table["session"] == "2")
        parts = [table[~mine], *(table[mine].assign(run=run) for run in ("1", "2"))]
        write_table(path, pd.concat(parts))
    return tmp_path


def test_runs_are_counted_as_sessions_in_no_text(of_runs: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    whole = write_fake(tmp_path_factory.mktemp("whole"), Fake(n_dyads=6, n_sessions=3, full_pseudo=False))
    divided, plain = (ReportedRun.of(folder) for folder in (of_runs, whole))
    ours, theirs = texts(divided), texts(plain)
    assert {name: alt for name, (alt, _) in ours.items()} == {name: alt for name, (alt, _) in theirs.items()}
    alt, caption = ours["null_picture"]
    n = len(plain.entered)
    assert f"of {n} real dyad-sessions" in alt
    assert "each real dyad-session as a tick, mean over its runs" in caption
    told = methods_of(divided).to_markdown()
    assert f"{n + 1} recordings of {n} dyad-sessions" in told
    assert f"({n} sessions)" in told
    growth = fit_growth(divided.table, guards=divided.guards, quality=divided.quality, n_flips=200)
    assert f"({n} sessions)" in growth.sentence


def test_a_difference_without_numbers_is_not_drawn(tmp_path: Path) -> None:
    write_fake(tmp_path, Fake(verdict="cannot_tell", n_sessions=1, full_pseudo=False))
    table = pd.read_csv(tmp_path / "synchrony.tsv", sep="\t", na_values="n/a")
    arms = table["dyad"].map(lambda dyad: "cbt" if int(dyad[1:]) % 2 else "tau")
    growth = fit_growth(table.assign(arm=arms), group="arm", reference="tau", n_flips=200)
    assert growth.differences
    growth.save(tmp_path)
    assert STUDY_PICTURES["differences_picture"](ReportedRun.of(tmp_path)) is None


def test_a_single_dyad_is_told_without_what_others_would_show(tmp_path: Path) -> None:
    write_fake(tmp_path, SMALL)
    for name in ("synchrony", "guards"):
        table = pd.read_csv(tmp_path / f"{name}.tsv", sep="\t", keep_default_na=False, dtype=str)
        write_table(tmp_path / f"{name}.tsv", table[table["dyad"] == "D01"])
    (tmp_path / "growth.json").unlink()
    assert "dyads" not in captions(ReportedRun.of(tmp_path), "growth_picture").lower()
    guards = pd.read_csv(tmp_path / "guards.tsv", sep="\t", keep_default_na=False)
    keys = [name for name in guards if name not in GUARD_COLUMNS]
    write_table(tmp_path / "guards.tsv", guards[[*keys, "steadiness", "phase_kept"]])
    assert "share one scale" not in captions(ReportedRun.of(tmp_path), "guards_picture")
