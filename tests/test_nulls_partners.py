"""Pseudo-dyads: who may be paired with whom, balance, and the refusal of session shuffling for growth."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from hyperscan.errors import InputError
from hyperscan.nulls import partners, sessions


def study(n_dyads: int, n_therapists: int) -> tuple[list[str], list[str], list[str]]:
    index = range(n_dyads)
    return [f"D{i}" for i in index], [f"T{i % n_therapists}" for i in index], [f"C{i}" for i in index]


def draw(labels, seed=0, **options):
    return partners(*labels, rng=np.random.default_rng(seed), **options)


@pytest.mark.parametrize(("n_dyads", "n_therapists"), [(6, 6), (12, 4), (50, 7), (50, 50)])
def test_pairs_are_admissible_and_come_in_both_directions(n_dyads, n_therapists):
    labels = study(n_dyads, n_therapists)
    pairs = draw(labels)
    for pair in pairs:
        assert labels[1][pair.dyad] != labels[1][pair.partner]
        assert labels[2][pair.dyad] != labels[2][pair.partner]
        assert not pair.shared_therapist
    sides = Counter((pair.dyad, pair.partner) for pair in pairs)
    assert set(sides.values()) == {2}
    assert {pair.which for pair in pairs} == {"client", "therapist"}
    assert [pair.dyad for pair in pairs] == sorted(pair.dyad for pair in pairs)


def test_few_dyads_use_everyone():
    pairs = draw(study(8, 8))
    assert Counter(pair.dyad for pair in pairs) == dict.fromkeys(range(8), 14)


def test_many_dyads_use_twenty_partners_evenly():
    pairs = draw(study(50, 50))
    assert set(Counter(pair.dyad for pair in pairs).values()) == {40}
    lent = Counter(pair.partner for pair in pairs)
    assert set(lent.values()) == {40}
    assert len(pairs) == 2000
    people = {(p.dyad, p.partner) if p.which == "client" else (p.partner, p.dyad) for p in pairs}
    assert len(people) == 1000, "each pair of people serves both dyads"


def test_partners_are_drawn_from_everyone():
    drawn = Counter(pair.partner for seed in range(60) for pair in draw(study(40, 40), seed) if pair.dyad == 0)
    assert set(drawn) == set(range(1, 40))
    # 60 draws of 20 of 39: 61.5 counts of two pairs each, SD 7.7
    assert min(drawn.values()) > 30
    assert max(drawn.values()) < 95


def test_dyads_that_mutual_partners_leave_short_are_filled_up():
    # twenty dyads of one therapist have the same three strangers, who have six partners each before all are served
    labels = ([f"D{i}" for i in range(23)], ["T0"] * 20 + ["T1", "T2", "T3"], [f"C{i}" for i in range(23)])
    pairs = draw(labels, max_partners=6)
    counts = Counter(pair.dyad for pair in pairs)
    assert {counts[dyad] for dyad in range(20)} == {2 * 3}, "the three strangers, though they are full themselves"
    assert {counts[dyad] for dyad in (20, 21, 22)} == {2 * 6}
    assert not any(pair.shared_therapist for pair in pairs)


def test_the_seed_decides():
    labels = study(40, 40)
    assert draw(labels, 3) == draw(labels, 3)
    assert draw(labels, 3) != draw(labels, 4)


def test_one_therapist_shares_and_is_flagged():
    pairs = draw(study(5, 1))
    assert len(pairs) == 5 * 4 * 2
    assert all(pair.shared_therapist for pair in pairs)


def test_therapists_are_shared_only_where_needed():
    # dyad 4 is the only one of its therapist; it has four strangers, the others have one (two pairs)
    labels = (list("abcde"), ["T1"] * 4 + ["T2"], list("vwxyz"))
    pairs = draw(labels)
    assert not any(pair.shared_therapist for pair in pairs if pair.dyad == 4)
    assert Counter(pair.shared_therapist for pair in pairs if pair.dyad == 0) == {True: 6, False: 2}
    lenient = draw(labels, min_pairs=2)
    assert not any(pair.shared_therapist for pair in lenient)


def test_a_client_never_meets_herself():
    # two therapists share the client: their dyads never lend to each other, however short of partners
    pairs = draw((["a", "b", "c"], ["T1", "T2", "T3"], ["C1", "C1", "C2"]))
    assert {(pair.dyad, pair.partner) for pair in pairs} == {(0, 2), (1, 2), (2, 0), (2, 1)}


def test_a_dyad_without_partner_has_no_pairs():
    assert draw((["a"], ["T"], ["C"])) == []
    assert draw((["a", "b"], ["T1", "T2"], ["C", "C"])) == []


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        ((["a", "b"], ["T"], ["C", "D"]), {}, "have 2, 1 and 2 labels"),
        ((["a", "a"], ["T", "U"], ["C", "D"]), {}, "lists 'a' more than once"),
        ((["a", "b"], ["T", "U"], ["C", "D"]), {"max_partners": 0}, "max_partners=0"),
    ],
)
def test_errors_say_what_was_given(labels, options, message):
    with pytest.raises(InputError, match=message):
        draw(labels, **options)


def test_sessions_are_refused_for_growth():
    assert len(sessions([1, 3, 5])) == 6
    assert all(first != second for first, second in sessions([1, 3, 5]))
    with pytest.raises(InputError, match="removes the very trend"):
        sessions([1, 2, 3], for_growth=True)
    with pytest.raises(InputError, match="two different sessions"):
        sessions([4, 4])
