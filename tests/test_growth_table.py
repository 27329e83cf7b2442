"""From a table to the sessions of one outcome: columns, labels, choices, what is left out, and errors."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from growth_fixtures import many, table
from hyperscan.config import Primary
from hyperscan.errors import InputError, TableError
from hyperscan.growth import fit_growth
from hyperscan.growth.table import PREFERRED
from hyperscan.schema import SIGNALS

RNG = np.random.default_rng


def test_runs_of_a_session_are_averaged_first() -> None:
    data = table()
    apart = np.random.default_rng(1).normal(0, 0.1, len(data))
    runs = [data.assign(run=run, excess_z=data["excess_z"] + sign * apart) for run, sign in (("1", 1), ("2", -1))]
    halves = pd.concat(runs)
    result, plain = fit_growth(halves), fit_growth(data)
    assert result.primary["slope"] == pytest.approx(plain.primary["slope"])
    assert result.primary["n_sessions"] == 48
    assert result.design["n_averaged"] == 48
    assert result.exploratory[0]["p"] == pytest.approx(plain.exploratory[0]["p"])


def test_rows_without_a_value_are_counted() -> None:
    data = table()
    data.loc[[3, 20], "excess_z"] = np.nan
    result = fit_growth(data)
    assert ([row.name for row in result.design.left_out], result.primary["n_sessions"]) == (
        ["D00 session 4", "D03 session 3"],
        46,
    )
    assert "Left out of the fit: 2 rows, D00 session 4, D03 session 3 (no value, or no time)." in result.sentence
    # of two runs one may be empty, and its session is still there
    runs = fit_growth(pd.concat([table(run="1"), table(run="2", excess_z=np.nan)]))
    assert runs.primary["n_sessions"] == 48
    assert (
        "Left out of the fit: 48 rows, D00 session 1 run 2, D00 session 2 run 2, D00 session 3 run 2 and"
        in runs.sentence
    )


def test_columns_are_named_by_argument() -> None:
    data = table().rename(columns={"dyad": "pair", "session": "visit", "excess_z": "sync"})
    result = fit_growth(data, value="sync", time="visit", dyad="pair")
    assert result.primary["slope"] == pytest.approx(fit_growth(table()).primary["slope"])
    assert result.design["unit"] == "visit"
    assert "not compared with chance" in result.sentence


def test_numbers_as_text_and_float_labels_are_read() -> None:
    data = table().assign(dyad=lambda d: d["dyad"].str[1:].astype(float), excess_z=lambda d: d["excess_z"].map(repr))
    data.loc[0, "excess_z"] = "n/a"
    assert [row.session for row in fit_growth(data).design.left_out] == [1.0]


def test_primary_by_default_by_name_and_the_only_one() -> None:
    data = many()
    assert fit_growth(data).primary["roi"] == "posterior-posterior"
    named = {"metric": "ciplv", "band": "theta", "roi": "all-all"}
    by_name = fit_growth(data, primary=named)
    assert {k: by_name.primary[k] for k in named} == named
    assert fit_growth(data, primary=Primary(**named)).primary == by_name.primary
    only = data[(data["metric"] == "ciplv") & (data["band"] == "theta") & (data["roi_client"] == "all")]
    assert fit_growth(only).primary == by_name.primary


def test_fnirs_default_and_signal() -> None:
    data = table().assign(modality="fnirs", metric="wtc", band="slow", roi_therapist="all", roi_client="all")
    both = pd.concat([data.assign(signal="hbo"), data.assign(signal="hbr", excess_z=-data["excess_z"])])
    result = fit_growth(both)
    assert (result.design["signal"], result.design["modality"]) == ("hbo", "fnirs")
    assert fit_growth(both, signal="hbr").primary["slope"] == pytest.approx(-result.primary["slope"])


def test_a_named_signal_decides_the_guards_of_a_bare_table() -> None:
    assert fit_growth(table(), signal="hbo").design["modality"] == "fnirs"
    assert fit_growth(table()).design["modality"] == "eeg"


def test_sessions_without_partners_do_not_make_a_study_grow() -> None:
    flat = table(slope=0.0)
    late = flat["session"] > 4
    lags = flat.assign(n_pseudo=np.where(late, 0, 5), excess_z=flat["excess_z"] + np.where(late, 0.5, 0.0))
    found, wanted = fit_growth(lags), fit_growth(flat[~late].assign(n_pseudo=5))
    assert found.primary == wanted.primary
    assert [row["p_max_t"] for row in found.exploratory] == [row["p_max_t"] for row in wanted.exploratory]
    assert [row.why for row in found.design.left_out] == ["other_chance"] * int(late.sum())
    assert f"Left out of the fit: {late.sum()} rows, D00 session 5, D00 session 6, D01 session 5 and" in found.sentence
    # a value that is no excess has no chance level of another kind
    raw = lags.rename(columns={"excess_z": "sync"})
    assert fit_growth(raw, value="sync").primary["n_sessions"] == len(flat)


def test_dates_alone_do_not_say_which_session_is_missing() -> None:
    dates = table().assign(days=lambda d: 7.0 * d["session"] + np.arange(48) % 3).drop(columns="session")
    missing = fit_growth(dates, time="weeks").figures["missing"]
    assert (missing["n_observed"], missing["n_planned"], missing["n_stopped_early"]) == (48, None, None)


@pytest.mark.parametrize(
    ("change", "given", "text"),
    [
        (lambda d: d.rename(columns={"excess_z": "exces_z"}), {}, "Did you mean 'exces_z'"),
        (lambda d: d.drop(columns="dyad"), {}, "no column 'dyad'"),
        (lambda d: d.drop(columns="session"), {}, "no column 'session'"),
        (lambda d: d, {"time": "weeks"}, "no column 'days'"),
        (lambda d: d, {"time": "visit"}, "no column 'visit'"),
        (lambda d: pd.concat([d, d]), {}, "48 rows repeat"),
        (lambda d: d.assign(excess_z="high"), {}, "row 1 holds 'high'"),
        (lambda d: d.assign(session=np.inf), {}, "row 1 is infinite"),
        (lambda d: d.assign(excess_z=np.inf), {}, "row 1 is infinite"),
        (lambda d: d.assign(dyad=None), {}, "row 1 is empty"),
        (lambda d: d.assign(dyad=""), {}, "dyad: row 1 is empty"),
        (lambda d: d.assign(therapist=["T1"] * 47 + [" "]), {}, "therapist: row 48 is empty"),
        (lambda d: pd.concat([d, d[["excess_z"]]], axis=1), {}, "several columns 'excess_z'"),
        (lambda d: d.assign(days=pd.to_timedelta(d["session"], unit="D")), {"time": "weeks"}, "days: row 1 holds"),
        (lambda d: pd.concat([d.assign(days=d["session"]), d.assign(days=50)]), {"time": "weeks"}, "48 rows repeat"),
        (lambda d: d.assign(days=d["session"], session=np.nan), {"time": "weeks"}, "session: row 1 is empty"),
        (lambda d: pd.concat([d.assign(run=r, therapist=f"T{r}") for r in "12"]), {}, "has several"),
        (lambda d: d.iloc[:0], {}, "no rows"),
        (lambda d: d.assign(therapist=np.arange(48) % 2), {}, "has several"),
        (lambda d: pd.concat([d.assign(task="a"), d.assign(task="b")]), {}, "several values of task"),
        (lambda d: pd.concat([d.assign(metric="a"), d.assign(metric="b")]), {}, "several values of metric"),
        (lambda d: d.assign(metric="plv"), {"primary": {"metric": "plw"}}, "Did you mean 'plv'"),
    ],
)
def test_table_errors_name_the_fault(change, given: dict, text: str) -> None:
    with pytest.raises(TableError, match=text) as caught:
        fit_growth(change(table()), **given)
    assert str(caught.value).count("\n") <= 2


def test_a_table_that_is_none() -> None:
    with pytest.raises(InputError, match="expected a pandas DataFrame"):
        fit_growth([1, 2])


@pytest.mark.parametrize("column", ["session", "excess_z"])
def test_dates_are_no_numbers(column: str) -> None:
    dates = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(48), unit="D")
    with pytest.raises(TableError, match=f"{column}: row 1 holds .*expected a number"):
        fit_growth(table().assign(**{column: dates}))


def test_one_dyad_without_others_is_described_by_its_raw_synchrony() -> None:
    data = table(n=1, sessions=8).rename(columns={"excess_z": "z"}).assign(excess_z=np.nan)
    result = fit_growth(data)
    assert result.one_dyad["slope"] > 0
    assert "lag null" in result.sentence


def test_an_outcome_was_named_only_where_someone_named_it() -> None:
    only = table(metric="plv", band="alpha")
    assert fit_growth(only).design.named is False
    assert fit_growth(only, primary={"metric": "plv"}).design.named is True
    assert fit_growth(many()).design.named is True


def test_every_signal_has_its_place_when_none_was_named() -> None:
    assert sorted(PREFERRED) == sorted(name for names in SIGNALS.values() for name in names)
    for names in SIGNALS.values():
        assert next(name for name in PREFERRED if name in names) == names[0]


def test_events_of_yes_and_no_grow_as_a_share_and_it_is_said() -> None:
    rng, rows = np.random.default_rng(0), []
    for dyad in range(12):
        rows += [(f"D{dyad}", s, "yes" if rng.random() < 0.1 + 0.1 * s else "no") for s in range(1, 9)]
    table = pd.DataFrame(rows, columns=["dyad", "session", "repair"])
    result = fit_growth(table, "repair", modality="eeg")
    assert result.verdict == "grows_unchecked"
    assert result.weighted.slope == pytest.approx(0.1, abs=0.04)
    assert "repair is yes (1) or no (0), taken as a number. Slopes are changes of the share of yes." in result.sentence
    numbers = fit_growth(table.assign(repair=(table["repair"] == "yes").astype(int)), "repair", modality="eeg")
    assert numbers.sentence == result.sentence
    assert "share of yes" not in fit_growth(table.assign(repair=rng.random(len(table))), "repair").sentence
