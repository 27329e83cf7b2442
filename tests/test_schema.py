"""The vocabulary: every column of a run's tables is told, and outcomes are written and read in one way."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from hyperscan.schema import COLUMNS, QUALITY_FACTS, TABLES, Outcome, RoiPair, SessionKey, column_of


@pytest.mark.parametrize("table", TABLES)
def test_every_column_of_a_table_has_a_head_and_a_meaning(table: str) -> None:
    told = [column_of(name) for name in TABLES[table]]
    assert [column.name for column in told if not (column.head and column.meaning)] == []
    assert len({column.head for column in told}) == len(told)


@pytest.mark.parametrize("modality", QUALITY_FACTS)
def test_every_fact_of_quality_is_told(modality: str) -> None:
    told = [column_of(name) for name in QUALITY_FACTS[modality] if name != "bands"]
    assert [column.name for column in told if not column.meaning] == []


@pytest.mark.parametrize("table", TABLES)
def test_a_run_writes_no_column_that_is_not_told(small_run: Path, table: str) -> None:
    header = (small_run / f"{table}.tsv").read_text(encoding="utf-8").partition("\n")[0].split("\t")
    assert header[: len(TABLES[table])] == list(TABLES[table]) or table in ("quality", "synchrony")
    assert [name for name in header if not column_of(name).meaning] == []


def test_the_sidecar_describes_every_column(small_run: Path) -> None:
    header = (small_run / "synchrony.tsv").read_text(encoding="utf-8").partition("\n")[0].split("\t")
    described = json.loads((small_run / "synchrony.json").read_text(encoding="utf-8"))
    assert set(header) <= set(described)
    assert all(facts["Description"] for facts in described.values())


def test_columns_of_bands_and_covariates_are_called_by_their_names() -> None:
    assert column_of("peak_hz_beta").label == "Peak frequency, beta (Hz)"
    assert column_of("matched_excess_z", "Fisher z").label == "Excess, noise-matched (Fisher z)"
    assert column_of("wai_total").head == "wai total"
    assert [name for name, column in COLUMNS.items() if column.p_value and column.text] == []


def test_an_outcome_selects_its_rows_and_an_empty_label_matches_all() -> None:
    table = pd.DataFrame(
        {
            "metric": ["plv", "plv", "wpli"],
            "band": ["alpha", "beta", "alpha"],
            "roi_therapist": "all",
            "roi_client": ["all", "all", "frontal"],
        }
    )
    assert Outcome("plv", "alpha", "all-all").select(table).index.tolist() == [0]
    assert Outcome("plv").select(table).index.tolist() == [0, 1]
    assert Outcome(band="alpha", roi="all-all").select(table, any_roi=True).index.tolist() == [0, 2]
    assert str(Outcome("plv", "alpha", "all-all", "rest", "eeg", "eeg")) == "plv, alpha, all-all, rest"


def test_keys_and_pairs_are_read_as_they_are_written() -> None:
    assert str(SessionKey("D01", 3, "eeg", "rest", "")) == "D01 ses-03 eeg task-rest"
    assert RoiPair.parse(str(RoiPair("frontal", "occipital"))) == ("frontal", "occipital")


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_tells_the_scale_of_its_own_metric(name: str) -> None:
    """Blind to zero lag is ciplv, whatever the primary metric is; no other column knows which scale it is on."""
    column = column_of(name, "ppc")
    said = column.head + column.axis + column_of(name).head + column_of(name).axis
    assert ("Fisher" in said) == (name == "lag_robust_excess_z")
    assert "{" not in said
    on_scale = name.endswith("_z") and name != "lag_robust_excess_z"
    assert ("(ppc)" in column.label) == (on_scale or name in ("z", "lead_asymmetry_excess"))
