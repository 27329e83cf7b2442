"""One table of verdicts, one of guards: nothing that a study can be told lacks its words."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from hyperscan import fit_growth
from hyperscan.growth import guards as rooms_guards
from hyperscan.schema import COLUMNS, MODALITIES, TABLES
from hyperscan.words import GUARDS, NO_VERDICT, VERDICTS


@pytest.mark.parametrize("verdict", sorted(VERDICTS))
def test_words_never_claim_a_cause(verdict: str) -> None:
    words = VERDICTS[verdict].meaning + VERDICTS[verdict].limits
    assert not re.search(r"\bcaused?\b|brains synchroni[sz]ed|proves?\b", words)


def test_each_verdict_has_words_of_its_own() -> None:
    assert len({verdict.meaning for verdict in VERDICTS.values()}) == len(VERDICTS)
    for name, verdict in VERDICTS.items():
        assert ("could not be assessed" in verdict.meaning) == name.endswith("unchecked")
        assert ("zero lag" in verdict.meaning) == name.endswith("lag_unresolved")
        assert (verdict.mood == "yes") == (name in ("grows", "declines"))
        assert verdict.label.lower().replace(", ", "_").replace(" ", "_") == name
    assert "not evidence that synchrony stays the same" in VERDICTS["no_clear_change"].limits


def test_a_fall_is_told_as_a_fall() -> None:
    for name, verdict in VERDICTS.items():
        if name.startswith("declines"):
            assert "increase" not in verdict.meaning
            assert "decrease" in verdict.meaning
    assert "an increase in partner-specific statistical dependence" in VERDICTS["grows"].meaning


def test_verdicts_are_found_by_their_word() -> None:
    assert {word: verdict.word for word, verdict in VERDICTS.items()} == {word: word for word in VERDICTS}
    assert NO_VERDICT.word not in VERDICTS


@pytest.mark.parametrize("word", sorted(VERDICTS))
def test_the_first_line_of_every_verdict_names_what_changed(word: str) -> None:
    said = VERDICTS[word].opening.format(direction="Increase", what="coupling", bound="0.01 per session")
    assert "coupling" in said
    assert said.endswith((".", "evidence of no change."))
    assert ("Increase" in said) == (word.startswith(("grows", "declines")) or word == "confounded")
    assert ("0.01 per session" in said) == (word == "no_change")


def decided() -> set[str]:
    """Every word that the rule of the verdict gives, over all that it looks at."""
    from itertools import product

    from hyperscan.growth.verdict import decide

    answers = [
        [],
        *([rooms_guards.Guard(name, passed, 0.0, "")] for name in ("lag", "space") for passed in (True, False, None)),
    ]
    cases = product((5, 8), (-1, 0, 1), (None, False, True), answers)
    return {decide(n_dyads=n, claimed=sign, equivalent=same, guards=guards) for n, sign, same, guards in cases}


def test_the_rule_gives_exactly_the_verdicts_of_the_table() -> None:
    assert decided() == set(VERDICTS)


@pytest.mark.parametrize("modality", MODALITIES)
def test_every_guard_that_a_result_lists_has_its_words(modality: str) -> None:
    rng = np.random.default_rng(0)
    rows = [(f"D{d}", s, 0.1 * s + rng.normal(0, 0.1)) for d in range(8) for s in (1, 2, 3)]
    table = pd.DataFrame(rows, columns=["dyad", "session", "excess_z"])
    # beside one band there has to be another that may leak into it
    table = pd.concat([table.assign(band=band) for band in ("theta", "alpha")])
    primary = {"band": "alpha"}
    listed = [guard.name for guard in fit_growth(table, primary=primary, modality=modality, n_flips=99).guards]
    assert listed == [name for name, words in GUARDS.items() if modality in words.modalities]


@pytest.mark.parametrize("name", sorted(GUARDS))
def test_a_guard_tells_its_question_its_columns_and_what_fails_it(name: str) -> None:
    words = GUARDS[name]
    assert words.name == name
    assert re.fullmatch(r"(Did|Does|Is|Do) [^?]+\?", words.question)
    assert len(words.fails) > 20
    assert set(words.modalities) <= set(MODALITIES)
    held = {*TABLES["guards"], *TABLES["quality"], *TABLES["synchrony"]}
    assert words.columns
    assert set(words.columns) <= held & set(COLUMNS)
