"""Every figure of the results: reached from a result, and holding the result's values."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import hyperscan as hs
from hyperscan.errors import InputError, TableError
from hyperscan.results.plan import Skip
from hyperscan.results.session import SESSION_FIGURES
from hyperscan.results.study import STUDY_FIGURES
from hyperscan.schema import STUDY_BANDS
from hyperscan.storage import write_json
from report_fixtures import Fake, write_fake


@pytest.fixture(scope="module")
def study(small_run: Path) -> hs.StudyResult:
    return hs.StudyResult.load(small_run)


@pytest.fixture(scope="module")
def primary(study: hs.StudyResult) -> pd.DataFrame:
    """Rows of the primary outcome, chosen here by hand."""
    table = study.table
    return table[
        (table["metric"] == "plv") & (table["band"] == "alpha")
        & (table["roi_therapist"] == "posterior") & (table["roi_client"] == "posterior")
    ]  # fmt: skip


def lines(ax: object) -> list[np.ndarray]:
    return [np.asarray(line.get_ydata(), dtype=float) for line in ax.lines]  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", sorted(STUDY_FIGURES))
@pytest.mark.parametrize("time", ["session", "weeks"])
def test_every_kind_of_study_figure_is_drawn_with_units(study: hs.StudyResult, kind: str, time: str) -> None:
    figure = study.plot(kind, time=time)
    assert figure is plt.gcf()
    axes = figure.axes
    words = [text.get_text() for ax in axes for text in (ax.xaxis.label, ax.yaxis.label, ax.title)]
    words += [text.get_text() for ax in axes for text in [ax.get_xaxis().label, *ax.texts]]
    words += [figure.get_supxlabel(), figure.get_supylabel()]
    assert any("(" in word for word in words)


def drawn(figure: plt.Figure) -> list[np.ndarray]:
    """Every number that a figure draws."""
    found = []
    for ax in figure.axes:
        found += [np.asarray(line.get_xydata(), float) for line in ax.lines]
        found += [np.asarray(image.get_array(), float) for image in ax.images]
        found += [path.vertices for each in ax.collections for path in each.get_paths()]
        found += [np.array([patch.get_height() for patch in ax.patches])]
    return found


def in_runs(table: pd.DataFrame) -> pd.DataFrame:
    """Replace a dyad's sessions by two runs each, whose means are the sessions."""
    mine = (table["dyad"] == "D01") & (table["session"] > 1)
    values = [name for name in table if table[name].dtype == float and name not in ("days", "lag_s", "time")]
    runs = []
    for run, sign in (("1", 1.0), ("2", -1.0)):
        part = table[mine].assign(run=run)
        part[values] = part[values] * (1 + 0.4 * sign)
        runs.append(part)
    return in_order(pd.concat([table[~mine], *runs]))


def in_order(table: pd.DataFrame) -> pd.DataFrame:
    return table.sort_values(["dyad", "session"], kind="stable")


@pytest.mark.parametrize("kind", sorted(STUDY_FIGURES))
def test_a_session_in_runs_is_one_session_in_every_figure(study: hs.StudyResult, kind: str) -> None:
    tables = ("table", "pseudo", "guards", "quality", "lags")
    whole, divided = (
        dataclasses.replace(study, **{name: change(getattr(study, name)) for name in tables})
        for change in (in_order, in_runs)
    )
    for theirs, ours in zip(drawn(divided.plot(kind)), drawn(whole.plot(kind)), strict=True):
        np.testing.assert_allclose(theirs, ours, rtol=0, atol=1e-9)


def test_a_difference_of_tasks_is_no_task_in_a_figure(study: hs.StudyResult) -> None:
    task = study.table["task"].iloc[0]
    rest = study.table.assign(task="rest")
    difference = study.table.assign(task=f"{task}_minus_rest", flags="contrast")
    both = dataclasses.replace(study, table=pd.concat([study.table, rest, difference], ignore_index=True))
    told = both.plot("means", by="task").axes[0].get_legend_handles_labels()[1]
    assert not any("minus" in label for label in told)
    assert sum("dyads" in label for label in told) == 2
    assert "minus" not in repr(both)
    assert repr(both) == repr(study)


def test_growth_of_a_study_draws_each_dyad_and_the_chance_band(study: hs.StudyResult, primary: pd.DataFrame) -> None:
    ax = study.plot("growth").axes[0]
    named = {str(line.get_label())[1:]: line.get_ydata() for line in ax.lines if str(line.get_label())[:2] == "_D"}
    assert sorted(named) == sorted(primary["dyad"].unique())
    for dyad, values in named.items():
        assert values == pytest.approx(primary.loc[primary["dyad"] == dyad, "excess_z"].to_numpy())
    (band,) = [each for each in ax.collections if str(each.get_label()).startswith("chance ± 1 SD")]
    top = band.get_paths()[0].vertices[:, 1].max()
    assert top == pytest.approx(primary.groupby("session")["pseudo_sd_z"].mean().max())


def test_growth_result_draws_the_same_dyads_and_the_slope(study: hs.StudyResult, primary: pd.DataFrame) -> None:
    growth = hs.fit_growth(study.table, guards=study.guards, quality=study.quality)
    ax = growth.plot().axes[0]
    slope = next(line for line in ax.lines if str(line.get_label()).startswith("group slope"))
    rise = np.ptp(slope.get_ydata()) / np.ptp(slope.get_xdata())
    assert rise == pytest.approx(growth.primary["slope"])
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert "chance ± 1 SD of pseudo pairs" in labels
    assert "95 % CI of the slope" in labels


def test_dyads_are_drawn_beside_their_own_chance(study: hs.StudyResult, primary: pd.DataFrame) -> None:
    axes = study.plot("dyads").axes
    assert [ax.get_title(loc="left") for ax in axes] == sorted(primary["dyad"].unique())
    first = primary[primary["dyad"] == "D01"]
    chance, own, real = lines(axes[0])
    assert chance == pytest.approx(first["pseudo_mean_z"].to_numpy())
    assert own == pytest.approx(first["own_mean_z"].to_numpy())
    assert real == pytest.approx(first["z"].to_numpy())
    assert len(study.plot("dyads", dyad="D03").axes) == 1


def test_rois_and_bands_show_the_means_over_dyads(study: hs.StudyResult) -> None:
    table = study.table[(study.table["metric"] == "plv") & (study.table["band"] == "alpha")]
    axes = study.plot("rois").axes
    assert len(axes) == len(table[["roi_therapist", "roi_client"]].drop_duplicates())
    titles = [ax.get_title(loc="left") for ax in axes]
    rows = table[(table["roi_therapist"] == "frontal") & (table["roi_client"] == "frontal")]
    mean = next(line for line in axes[titles.index("frontal")].lines if "mean" in str(line.get_label()))
    assert mean.get_ydata() == pytest.approx(rows.groupby("session")["excess_z"].mean().to_numpy())
    image = np.asarray(study.plot("bands", roi="frontal-frontal").axes[0].images[0].get_array())
    bands = [label.get_text() for label in study.plot("bands").axes[0].get_yticklabels()]
    assert image[bands.index("alpha")] == pytest.approx(rows.groupby("session")["excess_z"].mean().to_numpy())


def test_surrogates_of_a_study_are_its_pseudo_pairs(study: hs.StudyResult, primary: pd.DataFrame) -> None:
    ax = study.plot("surrogates").axes[0]
    pseudo = study.pseudo
    mine = pseudo[
        (pseudo["metric"] == "plv") & (pseudo["band"] == "alpha")
        & (pseudo["roi_therapist"] == "posterior") & (pseudo["roi_client"] == "posterior")
    ]  # fmt: skip
    assert sum(patch.get_height() for patch in ax.patches) == len(mine) > 0

    def observed(drawn) -> float:
        return next(line for line in drawn.axes[0].lines if "observed" in str(line.get_label())).get_xdata()[0]

    assert observed(study.plot("surrogates")) == pytest.approx(primary["excess_z"].mean())
    # an excess over another chance level is in no mean
    other = study.table.assign(n_pseudo=study.table["n_pseudo"].where(study.table["session"] != 1, 0))
    mean = primary[primary["session"] != 1]["excess_z"].mean()
    assert observed(dataclasses.replace(study, table=other).plot("surrogates")) == pytest.approx(mean)


def test_recordings_of_a_study_are_drawn(study: hs.StudyResult) -> None:
    quality = {ax.get_title(loc="left"): ax for ax in study.plot("quality").axes}
    means = study.quality[study.quality["person"] == "client"].groupby("session")["channels_kept"].mean()
    drawn = quality["Channels kept (n)"].containers[0].lines[0].get_ydata()
    assert drawn == pytest.approx(means.to_numpy())
    assert "Excess, control channels\n(Fisher z)" in [ax.get_title(loc="left") for ax in study.plot("guards").axes]
    drift = study.plot("clocks").axes[0]
    assert drift.get_title(loc="left") == "6 dyads, 0 in all sessions"


def test_sessions_show_what_was_skipped(study: hs.StudyResult) -> None:
    lost = Skip("D02", 9, "eeg", "", "", "too short")
    table_fault = Skip("D99", None, "eeg", "", "", "line 3")
    nameless = dataclasses.replace(table_fault, dyad="", session=4)
    plan = dataclasses.replace(study.plan, skipped=(lost, table_fault, nameless))
    ax = dataclasses.replace(study, plan=plan).plot("sessions").axes[0]
    assert ax.get_title(loc="left") == "18 of 19 dyad-sessions used"
    skipped = next(line for line in ax.lines if "skipped" in str(line.get_label()))
    assert (list(skipped.get_xdata()), list(skipped.get_ydata())) == ([9], [1])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"kind": "growht"}, "Did you mean 'growth'"),
        ({"band": "alhpa"}, "Did you mean 'alpha'"),
        ({"metric": "plvv"}, "Did you mean 'plv'"),
        ({"roi": "frontal"}, "Did you mean 'frontal-frontal'"),
        ({"dyad": "D1"}, "dyad = 'D1' is not in this study"),
        ({"kind": "quality", "axes": [object()]}, "Give one for each"),
        ({"kind": "bands", "axes": [object()] * 2}, "2 were given"),
        ({"time": "months"}, "expected 'session' or 'weeks'"),
    ],
)
def test_wrong_names_of_a_study_figure_are_told(
    study: hs.StudyResult, arguments: dict[str, object], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        study.plot(**arguments)


def test_a_figure_goes_into_the_axes_given(study: hs.StudyResult) -> None:
    from matplotlib.figure import Figure

    ax = Figure().add_subplot()
    figure = study.plot("bands", axes=ax)
    assert figure is ax.figure
    assert len(ax.images) == 1


def test_panels_go_into_the_axes_given(study: hs.StudyResult) -> None:
    from matplotlib.figure import Figure

    axes = list(Figure().subplots(2, 3).flat)
    study.plot("dyads", axes=axes)
    assert all(len(ax.lines) == 3 for ax in axes)


def test_the_table_of_a_study_says_which_bands_it_has(study: hs.StudyResult) -> None:
    assert study.table.attrs[STUDY_BANDS] == dict(hs.StudyConfig.from_toml(study.path / "config.toml").bands)
    assert set(study.table["band"]) <= set(study.table.attrs[STUDY_BANDS])


def test_sessions_of_a_study_are_read_by_name(study: hs.StudyResult) -> None:
    session = study.session("D02", 3)
    assert (session.dataset.attrs["dyad"], session.dataset.attrs["session"]) == ("D02", 3)
    with pytest.raises(InputError, match="0 recordings fit"):
        study.session("D02", 77)
    with pytest.raises(InputError, match="modality/task/run there: eeg/-/-"):
        study.session("D02", 3, modality="fnirs")
    with pytest.raises(InputError, match="run_study had no out"):
        dataclasses.replace(study, path=None).session("D02", 3)


def test_every_kind_is_in_the_docstring() -> None:
    for kinds, method in ((SESSION_FIGURES, hs.SynchronyResult.plot), (STUDY_FIGURES, hs.StudyResult.plot)):
        assert all(f"``{kind}``" in (method.__doc__ or "") for kind in kinds)


def test_numbers_of_a_growth_result_are_plain(study: hs.StudyResult) -> None:
    growth = hs.fit_growth(study.table, guards=study.guards, quality=study.quality)
    seen = []

    def walk(value: object) -> None:
        if isinstance(value, Mapping):
            list(map(walk, value.values()))
        elif isinstance(value, list | tuple):
            list(map(walk, value))
        else:
            seen.append(type(value).__module__)

    for value in vars(growth).values():
        if not isinstance(value, pd.DataFrame):
            walk(value)
    assert set(seen) == {"builtins"}


def test_an_optional_column_that_was_named_has_to_be_there(study: hs.StudyResult) -> None:
    for name in ("therapist", "session", "days"):
        with pytest.raises(TableError, match="no column 'x'"):
            hs.fit_growth(study.table, **{name: "x"})


@pytest.mark.parametrize("n_dyads", [1, 3])
@pytest.mark.parametrize("modality", ["eeg", "fnirs"])
def test_every_kind_is_drawn_or_refused_in_a_sentence_however_few_the_dyads(
    tmp_path: Path, modality: str, n_dyads: int
) -> None:
    write_fake(tmp_path, Fake("cannot_tell", modality, n_dyads, n_sessions=3, full_pseudo=False))
    if n_dyads == 1:  # nobody to be re-paired with
        for name, columns in (("synchrony", ["pseudo_mean_z", "pseudo_sd_z"]), ("lags", ["profile_excess_z"])):
            table = pd.read_csv(tmp_path / f"{name}.tsv", sep="\t", keep_default_na=False)
            table.assign(**dict.fromkeys(columns, "n/a")).to_csv(tmp_path / f"{name}.tsv", sep="\t", index=False)
    write_json(tmp_path / "run.json", {"outputs": {}})
    study = hs.StudyResult.load(tmp_path)
    refused = {}
    for kind in STUDY_FIGURES:
        try:
            study.plot(kind, show=False).canvas.draw()
        except (InputError, TableError) as error:
            refused[kind] = str(error)
        plt.close("all")
    assert set(refused) <= {"surrogates", "leads", "lags", "clocks"}
    assert all(text.endswith(".") for text in refused.values())
    if n_dyads == 1:
        assert "leads" in refused
