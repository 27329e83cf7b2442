from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from hyperscan.study import Session, pseudo_pairs


def a_session(dyad: int, session: int = 1, **changes: object) -> Session:
    file = Path("x.edf")
    made = Session(f"D{dyad:02d}", f"T{dyad:02d}", f"C{dyad:02d}", session, "eeg", file, file, Path())
    return dataclasses.replace(made, **changes)


def a_study(dyads: int, sessions: int) -> list[Session]:
    return [a_session(i, s) for i in range(1, dyads + 1) for s in range(1, sessions + 1)]


def test_all_others_of_the_same_session_are_partners():
    study = a_study(4, 3)
    pairs = pseudo_pairs(study, max_partners=20)
    assert len(pairs) == 3 * 4 * 3 * 2
    by_key = Counter(pair.key for pair in pairs)
    assert set(by_key) == {session.key for session in study}
    assert set(by_key.values()) == {6}
    for pair in pairs:
        assert pair.key[1:] == pair.partner[1:]
        assert pair.key.dyad != pair.partner.dyad
        assert not pair.shared_therapist


def test_only_equal_session_modality_task_and_run_are_paired():
    study = [
        a_session(1, 1, task="talk"), a_session(2, 1, task="rest"), a_session(3, 1, task="talk", run="2"),
        a_session(4, 2, task="talk"), a_session(5, 1, task="talk", modality="fnirs"),
        a_session(6, 1, task="talk"),
    ]  # fmt: skip
    assert {(p.key.dyad, p.partner.dyad) for p in pseudo_pairs(study)} == {("D01", "D06"), ("D06", "D01")}


def test_comparability_labels_part_the_groups():
    study = a_study(4, 1)
    labels = dict(
        zip((s.key for s in study), [(250.0, "cap64"), (500.0, "cap64"), (250.0, "cap64"), None], strict=True)
    )
    found = {(p.key.dyad, p.partner.dyad) for p in pseudo_pairs(study, compatible=labels)}
    assert found == {("D01", "D03"), ("D03", "D01")}
    del labels[study[2].key]
    assert pseudo_pairs(study, compatible=labels) == []


def test_the_order_of_rows_does_not_matter():
    study = a_study(12, 3)
    expected = pseudo_pairs(study, max_partners=3, seed=7)
    for seed in range(5):
        shuffled = [study[i] for i in np.random.default_rng(seed).permutation(len(study))]
        assert pseudo_pairs(shuffled, max_partners=3, seed=7) == expected
    assert pseudo_pairs(study, max_partners=3, seed=8) != expected


def test_one_group_does_not_change_another():
    study = a_study(12, 3)
    first = [p for p in pseudo_pairs(study, max_partners=3) if p.key.session == 1]
    assert first == pseudo_pairs([s for s in study if s.session == 1], max_partners=3)
    # the sessions of one dyad do not all draw the same partners
    drawn = {number: {p.partner.dyad for p in pseudo_pairs(study, max_partners=3)
                      if p.key[:2] == ("D01", number)} for number in (1, 2, 3)}  # fmt: skip
    assert len(set(map(frozenset, drawn.values()))) > 1


def test_partners_are_limited_and_balanced():
    pairs = pseudo_pairs(a_study(30, 1), max_partners=5)
    of_dyad = Counter(pair.key.dyad for pair in pairs)
    lent = Counter(pair.partner.dyad for pair in pairs)
    assert set(of_dyad.values()) == {10}
    assert max(lent.values()) - min(lent.values()) <= 4


def test_dyads_that_share_a_therapist_step_in_only_where_others_are_few():
    shared = [a_session(i, therapist="T01") for i in (1, 2, 3)] + [a_session(4)]
    flags = {(p.key.dyad, p.partner.dyad): p.shared_therapist for p in pseudo_pairs(shared)}
    assert flags["D01", "D04"] is False
    assert flags["D01", "D02"] is True
    many = [a_session(i, therapist="T01") for i in (1, 2)] + [a_session(i) for i in range(3, 8)]
    assert not any(p.shared_therapist for p in pseudo_pairs(many))


@pytest.mark.parametrize("study", [[], a_study(1, 5)])
def test_no_partner_no_pair(study):
    assert pseudo_pairs(study) == []


def test_two_dyads_of_one_pair_are_never_their_own_chance_level():
    same = [a_session(1), a_session(2, therapist="T01", client="C01")]
    assert pseudo_pairs(same) == []
