"""Pairs of people who did not meet: in batches, each person filtered once."""

from __future__ import annotations

from pathlib import Path

import pytest

from hyperscan.errors import (
    NothingToAnalyseError,
)
from hyperscan.pipeline import chance as chance_units
from hyperscan.pipeline import stages
from hyperscan.pipeline.chance import compute_batch
from hyperscan.storage import load_table
from hyperscan.synchrony import BYTES_PER_SAMPLE, chance, pair
from pipeline_fixtures import (
    run,
    tree,
)


def test_pairs_do_not_depend_on_their_batches(
    four_dyads: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(four_dyads, tmp_path / "one")
    seen = []
    monkeypatch.setattr(
        stages, "compute_batch", lambda batch, **rest: (seen.append(batch), compute_batch(batch, **rest))
    )
    monkeypatch.setattr(chance_units, "MAX_SIDE", 2)
    run(four_dyads, tmp_path / "many")
    assert [len(batch.pairs) for batch in seen] == [2, 4, 4, 2]
    assert tree(tmp_path / "many") == tree(tmp_path / "one")


def test_a_person_is_filtered_once_for_all_partners(
    four_dyads: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, filtered = pair.person_bands, []
    for module in (pair, chance):
        monkeypatch.setattr(
            module, "person_bands", lambda person, *rest: (filtered.append(person.person), real(person, *rest))[1]
        )
    run(four_dyads, tmp_path / "out")
    # and once for the partner of its own, with whom it has metrics, lag null, own chance and guards from one filtering
    assert sorted(filtered) == sorted(2 * [f"{role}{n}" for role in "TC" for n in ("01", "02", "03", "04")])
    pseudo = load_table(tmp_path / "out/pseudo.tsv")
    assert len(pseudo) == 4 * 6 * len(pseudo[["roi_therapist", "roi_client"]].drop_duplicates())


def test_each_side_of_a_batch_fits_into_memory() -> None:
    assert chance_units.sides_for(10**6) == (chance_units.MAX_SIDE, chance_units.MAX_SIDE)
    people = sum(chance_units.sides_for(4 * 128 * 675_000))  # 128 channels, 45 min at 250 Hz
    assert people == 4
    assert people * BYTES_PER_SAMPLE * 128 * 675_000 < 5e9
    assert chance_units.sides_for(10**10) == (1, 1)


def test_a_failed_batch_costs_its_dyads_and_is_tried_again(
    four_dyads: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chance_units, "MAX_SIDE", 2)
    real = chance_units.chance_values

    def fail(therapists, *rest):
        if set(therapists) == {"D03", "D04"}:
            raise KeyError("a fault of ours")
        return real(therapists, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(chance_units, "chance_values", fail)
        with pytest.raises(NothingToAnalyseError, match="has no rows"):
            run(four_dyads, tmp_path / "out")
    monkeypatch.setattr(chance_units, "chance_values", real)
    result = run(four_dyads, tmp_path / "out")
    assert not result.skipped
    assert set(result.table["n_pseudo"]) == {6}
