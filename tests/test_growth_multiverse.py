"""The joint answer of many analyses: its test by joint sign flips, weights, influence, and words."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from growth_fixtures import table
from hyperscan import fit_growth
from hyperscan.errors import InputError
from hyperscan.growth.multiverse import (
    DyadSlopes,
    MultiverseResult,
    Universe,
    fit_multiverse,
    joint_test,
    weighted_median,
)
from hyperscan.growth.result import GrowthResult
from hyperscan.words import VERDICT_GROUPS, VERDICTS


def growth(slopes: Sequence[float], noise: float = 0.02, seed: int = 0, therapists: int = 0) -> GrowthResult:
    rng = np.random.default_rng(seed)
    rows = [
        (f"D{d:02d}", f"T{d % therapists}" if therapists else f"T{d}", s, b * s + noise * rng.standard_normal())
        for d, b in enumerate(slopes)
        for s in range(1, 5)
    ]
    return fit_growth(pd.DataFrame(rows, columns=["dyad", "therapist", "session", "excess_z"]), n_flips=19)


def universes(slopes: Sequence[Sequence[float]], names: Sequence[str] | None = None, **options: int) -> list[Universe]:
    names = names or [str(i) for i in range(len(slopes))]
    return [
        Universe(f"u{i}", {"window_s": name}, i == 0, growth(each, seed=i, **options))
        for i, (each, name) in enumerate(zip(slopes, names, strict=True))
    ]


SLOPES = np.random.default_rng(3).normal(0.03, 0.05, 8)


def plain_joint_p(slopes: np.ndarray, weights: np.ndarray, votes: np.ndarray) -> float:
    """Two-sided p of the weighted median of Cohen's d, dyad by dyad and flip by flip."""

    def median(signs: Sequence[float]) -> float:
        found = []
        for k in range(slopes.shape[1]):
            x, w = np.array(signs) * slopes[:, k], weights[:, k]
            mean = (w * x).sum() / w.sum()
            variance = (w * (x - mean) ** 2).sum() / w.sum() * len(x) / (len(x) - 1)
            found.append(mean / np.sqrt(variance))
        order = np.argsort(found)
        below = np.cumsum(votes[order]) / votes.sum()
        at = int((below < 0.5 - 1e-12).sum())
        after = int((below < 0.5 + 1e-12).sum())
        return (found[order[at]] + found[order[min(after, len(found) - 1)]]) / 2

    observed = abs(median([1.0] * len(slopes)))
    every = [abs(median(signs)) for signs in itertools.product([1.0, -1.0], repeat=len(slopes))]
    return float(np.mean([value >= observed * (1 - 1e-10) for value in every]))


def test_a_share_of_weight_is_not_told_as_one_of_analyses() -> None:
    rng = np.random.default_rng(3)
    rows = [(f"D{d}", s, 0.05 * s + rng.normal(0, 0.02)) for d in range(9) for s in range(1, 5)]
    table = pd.DataFrame(rows, columns=["dyad", "session", "excess_z"])
    alike = [table.assign(excess_z=table["excess_z"] + rng.normal(0, 0.001, len(table))) for _ in range(4)]
    grown = [fit_growth(one) for one in (*alike, table.assign(excess_z=rng.normal(0, 0.1, len(table))))]
    found = fit_multiverse([Universe(f"u{k}", {"c": str(k)}, k == 0, one) for k, one in enumerate(grown)])
    assert (found.table["p"] < 0.05).mean() == 0.8
    assert found.joint is not None
    assert found.joint.share == pytest.approx(0.5, abs=0.02)
    assert f"{found.joint.share:.0%} of their weight has p < .05" in found.sentence


def test_the_joint_p_is_that_of_the_plain_definition() -> None:
    rng = np.random.default_rng(1)
    slopes = SLOPES[:6, None] + rng.normal(0, 0.03, (6, 5))
    weights = rng.uniform(0.5, 1.5, (6, 5))
    lined_up = DyadSlopes.from_arrays(slopes, weights)
    found = joint_test(lined_up, 100, rng)
    assert found.p == pytest.approx(plain_joint_p(slopes, weights / weights.sum(0), lined_up.weights))
    assert (found.exact, found.n_flips, found.smallest_p) == (True, 64, 2.0**-5)


def test_one_analysis_alone_gives_the_sign_flip_test_of_growth() -> None:
    only = growth(SLOPES)
    lined_up = DyadSlopes.from_arrays(
        only.per_dyad["slope"].to_numpy(float)[:, None], np.ones((len(only.per_dyad), 1)) / len(only.per_dyad)
    )
    assert joint_test(lined_up, 100, np.random.default_rng(0)).p == pytest.approx(only.sign_flip.p)
    # Cohen's d of equal weights
    slopes = only.per_dyad["slope"]
    assert lined_up.observed[0] == pytest.approx(slopes.mean() / slopes.std())


def test_copies_of_an_analysis_have_one_vote_together() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(10, 1)), rng.normal(size=(10, 1))
    lined_up = DyadSlopes.from_arrays(np.hstack([one, one, one, one, other]), np.ones((10, 5)))
    votes = lined_up.weights / lined_up.weights.sum()
    assert votes[:4] == pytest.approx(np.full(4, votes[0]))
    assert 4 * votes[0] == pytest.approx(votes[4], rel=0.1)
    # and flips do not change them
    flipped = DyadSlopes.from_arrays(
        rng.choice([-1.0, 1.0], (10, 1)) * np.hstack([one] * 4 + [other]), np.ones((10, 5))
    )
    assert flipped.weights == pytest.approx(lined_up.weights)


def test_dyads_of_one_therapist_are_flipped_together() -> None:
    found = fit_multiverse(universes([SLOPES, SLOPES], therapists=4))
    assert found.joint is not None
    assert (found.joint.flipped, found.joint.n_flipped, found.joint.n_flips) == ("therapists", 4, 16)
    assert found.joint.p >= found.joint.smallest_p == 0.125
    assert "no such p can fall below 0.125" in found.sentence


def test_p_is_uniform_when_nothing_grows() -> None:
    rng = np.random.default_rng(5)
    found = []
    for _ in range(300):
        slopes = rng.normal(0, 1, (16, 1)) + rng.normal(0, 0.7, (16, 12))
        found.append(joint_test(DyadSlopes.from_arrays(slopes, np.ones((16, 12))), 199, rng).p)
    assert stats.kstest(found, "uniform").pvalue > 0.01


def test_a_dyad_that_one_analysis_lacks_counts_in_the_others() -> None:
    slopes = np.column_stack([SLOPES, SLOPES])
    slopes[3, 1] = np.nan
    lined_up = DyadSlopes.from_arrays(slopes, np.ones((8, 2)))
    rest = np.delete(SLOPES, 3)
    assert lined_up.observed == pytest.approx([SLOPES.mean() / SLOPES.std(ddof=1), rest.mean() / rest.std(ddof=1)])


@pytest.mark.parametrize("levels", [("10", "20", "40", "80")])
def test_the_choice_that_matters_is_found(levels: Sequence[str]) -> None:
    made = [
        Universe(
            f"u{i}{j}",
            {"window_s": level, "eeg_reference": reference},
            (i, j) == (0, 0),
            growth(SLOPES + (0.06 if reference == "average" else 0.0), seed=i),
        )
        for i, level in enumerate(levels)
        for j, reference in enumerate(("average", "recorded"))
    ]
    found = fit_multiverse(made)
    first, second = found.influence
    assert first.choice == "eeg_reference"
    assert first.share > 0.8 > 0.2 > second.share
    assert "The choice that matters most is eeg_reference" in found.sentence
    assert found.table.loc[found.table["eeg_reference"] == "average", "slope"].min() > found.table["slope"].min()


def told(verdicts: Sequence[str]) -> MultiverseResult:
    """Analyses with given verdicts, the first of them primary."""
    base = growth(SLOPES)
    made = [
        Universe(
            f"u{i}",
            {"window_s": str(i)},
            i == 0,
            GrowthResult(**{**vars(base), "verdict": verdict}) if verdict else None,
        )
        for i, verdict in enumerate(verdicts)
    ]
    return fit_multiverse(made)


def test_every_verdict_is_counted_once_and_the_primary_one_is_placed() -> None:
    grouped = [verdict for group in VERDICT_GROUPS for verdict in group.verdicts]
    assert sorted(grouped) == sorted([*VERDICTS, ""])
    for group in VERDICT_GROUPS:
        for verdict in group.verdicts:
            found = told([verdict, "grows", "grows"])
            n = 3 if verdict in VERDICT_GROUPS[0].verdicts else 1
            assert f"{n} {group.one if n == 1 else group.many}" in found.sentence
            assert f"The primary one {group.one}." in found.sentence
            assert (
                f"{sum(v in ('grows', 'declines') for v in found.table['verdict'])} passed every guard"
                in found.sentence
            )
            assert "no evidence beyond these recordings" in found.sentence


def test_the_table_holds_what_is_drawn_and_told() -> None:
    found = fit_multiverse(universes([SLOPES, SLOPES * 2, -SLOPES]))
    assert found.table["weight"].sum() == pytest.approx(1)
    assert found.table["primary"].tolist() == [True, False, False]
    assert found.table["slope"].to_numpy() == pytest.approx(
        [one.growth.weighted.slope for one in found.universes if one.growth]
    )
    (line,) = [text for text in found.plot(show=False).axes[0].texts if text.get_text() == "primary"]
    order = found.table["standardised"].argsort().to_numpy()
    assert line.xy[0] == int(np.flatnonzero(order == 0)[0])
    assert str(found.joint and found.joint.p)[:5] in str(found.to_dict()["joint"]["p"])
    assert "window_s" in found.summary()


def test_fewer_than_six_dyads_have_no_joint_test() -> None:
    found = fit_multiverse(universes([SLOPES[:4], SLOPES[:4]]))
    assert found.joint is None
    assert "there is no joint test" in found.sentence


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda made: made[:1], "two or more"),
        (lambda made: [Universe("a", {"x": "1"}, True, None), Universe("b", {"x": "2"}, True, None)], "exactly one"),
        (lambda made: [made[0], Universe("b", {"x": "2"}, False, None)], "same choices"),
        (lambda made: [made[0], Universe("b", made[0].settings, False, None)], "same choices"),
    ],
)
def test_what_is_no_multiverse_is_refused(change: object, words: str) -> None:
    made = universes([SLOPES, SLOPES])
    with pytest.raises(InputError, match=words):
        fit_multiverse(change(made))  # type: ignore[operator]


def test_a_median_counts_by_weight() -> None:
    values = np.array([[3.0, 1.0, 2.0]])
    assert weighted_median(values, np.array([0.2, 0.2, 0.6])) == pytest.approx([2.0])
    assert weighted_median(values, np.array([0.6, 0.2, 0.2])) == pytest.approx([3.0])
    assert weighted_median(values, np.ones(3) / 3) == pytest.approx([2.0])


def test_an_artefact_that_fools_one_metric_is_told_as_confounded() -> None:
    fooled, blind = table(slope=0.05, seed=1, slope_sd=0.002), table(slope=0.0, seed=2)
    # what grows is as large in control channels and outside the band
    guards = fooled[["dyad", "session"]].assign(
        control_excess_z=fooled["excess_z"] + 0.01, outband_excess_z=fooled["excess_z"] - 0.01, modality="eeg"
    )
    found = fit_multiverse(
        [
            Universe("u001", {"metrics": "plv"}, True, fit_growth(fooled, guards=guards, modality="eeg", n_flips=19)),
            Universe("u002", {"metrics": "ciplv"}, False, fit_growth(blind, modality="eeg", n_flips=19)),
        ]
    )
    assert found.table["verdict"].tolist() == ["confounded", "no_clear_change"]
    assert "1 is confounded, 1 shows no clear change" in found.sentence
    assert "The primary one is confounded" in found.sentence
    assert "Guards that failed in confounded ones: band, space" in found.sentence
