"""Ask whether growth survives the choice among many defensible analyses of the same sessions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from hyperscan.errors import InputError, count, p_text
from hyperscan.growth.flips import MAX_EXACT, sign_patterns
from hyperscan.growth.records import Record, json_values
from hyperscan.growth.result import GrowthResult
from hyperscan.growth.verdict import ALPHA
from hyperscan.schema import MIN_DYADS, Scalar
from hyperscan.words import VERDICT_GROUPS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

#: Two analyses are as alike as this power of the cosine between their slopes: .8 counts for little, .98 for one (our
#: choice).
LIKENESS = 8

#: Joint sign flips where not all of them are looked at (our choice: p is known to .002 at .05).
N_FLIPS = 10_000


@dataclass(frozen=True)
class Universe:
    """One defensible analysis: its choices, and what it found."""

    name: str
    #: Level of every choice, as text
    settings: Mapping[str, str]
    #: Whether it is the analysis that was named in advance
    primary: bool
    #: None where it could not be computed
    growth: GrowthResult | None
    #: Why it could not
    reason: str = ""
    #: Dyad-sessions that it could not use
    n_skipped: int = 0

    @property
    def verdict(self) -> str:
        """The verdict of this analysis; empty where it could not be computed."""
        return "" if self.growth is None else self.growth.verdict


@dataclass(frozen=True)
class JointTest(Record):
    """Sign flips of whole dyads, in all analyses at once."""

    #: Weighted median over analyses of the standardised slope, and its two-sided p
    median: float
    p: float
    #: Share of the analyses' weight with p < .05 (t of the standardised slope) in the direction that has more of it (1
    #: up, -1 down), and its two-sided p
    share: float
    direction: int
    p_share: float
    n_flips: int
    exact: bool
    #: Smallest p that these flips can give
    smallest_p: float
    #: Analyses that entered, what was flipped ('dyads' or 'therapists'), and how many of them
    n_universes: int
    flipped: str
    n_flipped: int


@dataclass(frozen=True)
class Influence(Record):
    """How much of the variance of standardised slopes one choice accounts for, taken alone."""

    choice: str
    share: float
    n_levels: int


@dataclass(frozen=True, eq=False)
class MultiverseResult:
    """What every defensible analysis of a study says, and what they say together.

    Parameters
    ----------
    universes : tuple of Universe
        Every analysis, the one named in advance among them.
    joint : JointTest or None
        One test for all: signs of whole dyads are flipped in every analysis at the same time. None with fewer dyads
        than a verdict needs.
    influence : tuple of Influence
        Choices by the share of the variance of standardised slopes that goes with them, largest first.
    sentence : str
        What to report, in words.

    Examples
    --------
    >>> import hyperscan as hs
    >>> rows = [(d, s, 0.1 * s + 0.01 * d * s) for d in range(6) for s in (1, 2, 3)]
    >>> growth = hs.fit_growth(pd.DataFrame(rows, columns=["dyad", "session", "excess_z"]))
    >>> found = hs.fit_multiverse([Universe(w, {"window_s": w}, w == "20", growth) for w in ("10", "20")])
    >>> found.sentence.partition(";")[0]
    'Of 2 defensible analyses 2 rise'
    """

    universes: tuple[Universe, ...]
    joint: JointTest | None
    influence: tuple[Influence, ...]
    sentence: str
    table: pd.DataFrame = field(repr=False)

    def __repr__(self) -> str:
        p = "no joint test" if self.joint is None else f"joint {p_text(self.joint.p)}"
        return f"<MultiverseResult | {count(len(self.universes), 'analysis', 'analyses')} | {p}>"

    def summary(self) -> str:
        """Sentence, verdicts and influence of the choices as text.

        Returns
        -------
        str
        """
        lines = [self.sentence, "", "verdicts:"]
        counts = self.table["verdict"].replace("", "not computed").value_counts()
        lines += [f"  {verdict:<24} {n}" for verdict, n in counts.items()]
        if self.influence:
            lines += ["", "share of the variance of standardised slopes that goes with each choice:"]
            lines += [f"  {row.choice:<24} {row.share:.0%} ({row.n_levels} levels)" for row in self.influence]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the table as plain values: the content of multiverse.json."""
        parts: dict[str, Any] = json_values(
            {"sentence": self.sentence, "joint": self.joint, "influence": list(self.influence)}
        )
        return parts

    def plot(self, *, show: bool = True) -> Figure:
        """Draw the specification curve: slopes in order, and below each the choices that led to it.

        Parameters
        ----------
        show : bool
            Show the figure, where matplotlib has a window or a notebook for it.

        Returns
        -------
        matplotlib.figure.Figure
        """
        from hyperscan.plots import specification_curve
        from hyperscan.plots.style import finish

        return finish(specification_curve(self.table, {row.choice: row.share for row in self.influence}), show)


def fit_multiverse(
    universes: Sequence[Universe], *, n_flips: int = N_FLIPS, seed: int | np.random.Generator = 0
) -> MultiverseResult:
    """Ask of many analyses of the same sessions whether growth survives the choice among them.

    Parameters
    ----------
    universes : sequence of Universe, shape (n_universes,)
        All analyses that were declared before the data were seen, one of them primary.
    n_flips : int
        Random sign flips above 14 dyads, 19 or more; up to 14 all are enumerated.
    seed : int or numpy.random.Generator
        Source of the flips.

    Returns
    -------
    MultiverseResult
        Counts of verdicts, the joint test, and the influence of each choice.

    Raises
    ------
    InputError
        If there are fewer than two analyses, not exactly one is primary, two have the same choices, or they differ in
        what choices they have.

    Notes
    -----
    The standardised slope of an analysis is its precision-weighted mean slope over the standard deviation of slopes
    between dyads, so that metrics of any scale can stand next to each other. Under no growth a dyad's slopes are as
    likely to point up as down, in all analyses together: flipping them keeps how analyses hang together (Simonsohn,
    Simmons & Nelson 2020, doi:10.1038/s41562-020-0912-z, shuffle instead). Analyses count by one over the number of
    analyses like them, which is the sum of eighth powers of cosines between their slopes, so that a choice with many
    levels that change little has no more votes. Where therapists see several dyads, all dyads of a therapist are
    flipped at once.

    Examples
    --------
    >>> import hyperscan as hs
    >>> rng = np.random.default_rng(0)
    >>> rows = [(d, s, 0.1 * s + rng.normal(0, 0.1)) for d in range(8) for s in (1, 2, 3, 4)]
    >>> table = pd.DataFrame(rows, columns=["dyad", "session", "excess_z"])
    >>> universes = [
    ...     Universe(str(power), {"power": str(power)}, power == 1, hs.fit_growth(table.assign(excess_z=column)))
    ...     for power in (1, 2) for column in [table["excess_z"] ** power]
    ... ]
    >>> fit_multiverse(universes).joint.p
    0.0078125
    """
    _check(universes, n_flips)
    known = [one for one in universes if one.growth is not None and one.growth.weighted.n > 1]
    joint, weights = None, np.ones(len(known))
    influence: tuple[Influence, ...] = ()
    slopes = DyadSlopes.of(known) if known else None
    if slopes is not None:
        weights = slopes.weights
        influence = influences(known, slopes.observed, weights)
        if slopes.n_dyads >= MIN_DYADS:
            joint = joint_test(slopes, n_flips, np.random.default_rng(seed))
    standardised = {} if slopes is None else dict(zip((one.name for one in known), slopes.observed, strict=True))
    shares = {one.name: weight for one, weight in zip(known, weights / weights.sum(), strict=True)} if known else {}
    table = pd.DataFrame([_row(one, standardised.get(one.name), shares.get(one.name)) for one in universes])
    told = tell_multiverse(universes, joint, influence)
    return MultiverseResult(tuple(universes), joint, influence, told, table)


def _check(universes: Sequence[Universe], n_flips: int) -> None:
    if len(universes) < 2:
        raise InputError(f"{count(len(universes), 'analysis', 'analyses')}: a multiverse needs two or more.")
    if sum(one.primary for one in universes) != 1:
        raise InputError("exactly one analysis must be the primary one, named before the data were seen.")
    if any(set(one.settings) != set(universes[0].settings) for one in universes):
        raise InputError("every analysis must say its level of the same choices.")
    seen = {tuple(sorted(one.settings.items())) for one in universes}
    if len(seen) < len(universes) or len({one.name for one in universes}) < len(universes):
        raise InputError("two analyses have the same choices, or the same name; each must be there once.")
    if n_flips < 19:
        raise InputError(f"n_flips = {n_flips}: expected 19 or more; fewer reach no p = .05.")


@dataclass(frozen=True)
class DyadSlopes:
    """Slopes of every dyad in every analysis."""

    #: shape (n_dyads, n_universes): Share of a dyad in the weighted mean times its slope; 0 where it has none
    parts: Array
    #: shape (n_universes,): Weighted mean of squared slopes, number of slopes, how many equal weights they are worth
    squares: Array
    sizes: Array
    effective: Array
    #: shape (n_dyads,): What is flipped together
    clusters: NDArray[np.intp]
    flipped: str

    @classmethod
    def of(cls, universes: Sequence[Universe]) -> DyadSlopes:
        """Line up the dyads of all analyses."""
        grown = [one.growth for one in universes if one.growth is not None]
        frames = [growth.per_dyad.dropna(subset="slope").set_index("dyad").rename(index=str) for growth in grown]
        labels = sorted({str(label) for frame in frames for label in frame.index})
        slopes, weights = (
            np.column_stack([frame[name].reindex(labels).to_numpy(float) for frame in frames])
            for name in ("slope", "weight")
        )
        if not any(growth.therapist_level.needed for growth in grown):
            return cls.from_arrays(slopes, weights)
        whose = {dyad: str(who) for frame in frames for dyad, who in frame["therapist"].items()}
        return cls.from_arrays(slopes, weights, np.array([whose[label] for label in labels]))

    @classmethod
    def from_arrays(cls, slopes: Array, weights: Array, therapists: NDArray[Any] | None = None) -> DyadSlopes:
        """Take slopes, their weights, and who sees each dyad where therapists are to be flipped.

        Shapes: ``slopes, weights`` (n_dyads, n_universes), ``therapists`` (n_dyads,).
        """
        there = np.isfinite(slopes)
        slope, weight = np.where(there, slopes, 0.0), np.where(there, weights, 0.0)
        weight = weight / weight.sum(0)
        return cls(
            parts=weight * slope,
            squares=(weight * slope**2).sum(0),
            sizes=there.sum(0),
            effective=1 / (weight**2).sum(0),
            clusters=np.arange(len(slope)) if therapists is None else np.unique(therapists, return_inverse=True)[1],
            flipped="dyads" if therapists is None else "therapists",
        )

    @property
    def n_dyads(self) -> int:
        """Dyads with a slope in one analysis or more."""
        return len(self.parts)

    @property
    def n_flipped(self) -> int:
        """Dyads or therapists."""
        return int(self.clusters.max()) + 1

    @property
    def observed(self) -> Array:
        """Standardised slope of every analysis, shape (n_universes,)."""
        return np.asarray(self.standardised(np.ones((1, self.n_flipped)))[0])

    def standardised(self, signs: Array) -> Array:
        """Mean slope over the standard deviation between dyads, under every pattern of signs.

        Shapes: ``signs`` (n_patterns, n_flipped), returns (n_patterns, n_universes).
        """
        mean = signs[:, self.clusters] @ self.parts
        # flips leave squares alone
        variance = np.maximum(self.squares - mean**2, 0) * self.sizes / np.maximum(self.sizes - 1, 1)
        # slopes that are all of one size and sign have no variance: as large as can be
        return np.asarray(mean / np.sqrt(np.maximum(variance, 1e-24 * self.squares + np.finfo(float).tiny)))

    @property
    def weights(self) -> Array:
        """One over the number of analyses like each, which flips leave alone.

        Shapes: returns (n_universes,).
        """
        length = np.sqrt((self.parts**2).sum(0))
        unit = self.parts / np.where(length > 0, length, 1.0)
        likeness = (unit.T @ unit) ** LIKENESS
        np.fill_diagonal(likeness, 1.0)
        return np.asarray(1 / likeness.sum(1))

    @property
    def critical(self) -> Array:
        """Standardised slope beyond which an analysis has p < .05, shape (n_universes,)."""
        return np.asarray(special.stdtrit(np.maximum(self.sizes - 1, 1), 1 - ALPHA / 2) / np.sqrt(self.effective))


def joint_test(slopes: DyadSlopes, n_flips: int, rng: np.random.Generator) -> JointTest:
    """Flip the signs of dyads (or of therapists' dyads), once for all analyses at a time."""
    weights, critical = slopes.weights / slopes.weights.sum(), slopes.critical

    def figures(signs: Array) -> tuple[Array, Array, Array]:
        found = slopes.standardised(signs)
        up, down = (found > critical) @ weights, (found < -critical) @ weights
        return weighted_median(found, weights), up, down

    (median,), (up,), (down,) = figures(np.ones((1, slopes.n_flipped)))
    share, total = max(up, down), 0
    hits = np.zeros(2, np.intp)
    for signs in sign_patterns(slopes.n_flipped, n_flips, rng):
        medians, ups, downs = figures(signs)
        total += len(signs)
        hits += [
            int((np.abs(medians) >= abs(median) * (1 - 1e-10)).sum()),
            int((np.maximum(ups, downs) >= share - 1e-10).sum()),
        ]
    exact = slopes.n_flipped <= MAX_EXACT
    p, p_share = hits / total if exact else (hits + 1) / (total + 1)
    return JointTest(
        median=float(median),
        p=float(p),
        share=float(share),
        direction=int(np.sign(up - down)),
        p_share=float(p_share),
        n_flips=total,
        exact=exact,
        smallest_p=2.0 ** (1 - slopes.n_flipped) if exact else 1 / (total + 1),
        n_universes=slopes.parts.shape[1],
        flipped=slopes.flipped,
        n_flipped=slopes.n_flipped,
    )


def weighted_median(values: Array, weights: Array) -> Array:
    """Middle of every row when each value counts by its weight; halfway where two share the middle.

    Shapes: ``values`` (n_rows, n), ``weights`` (n,) with sum 1, returns (n_rows,).

    Examples
    --------
    >>> weighted_median(np.array([[1.0, 2.0, 10.0]]), np.array([0.25, 0.25, 0.5]))
    array([6.])
    """
    order = np.argsort(values, axis=1)
    ranked = np.take_along_axis(values, order, axis=1)
    below = np.cumsum(weights[order], axis=1)
    rows = np.arange(len(values))
    low = (below < 0.5 - 1e-12).sum(1)
    high = (below < 0.5 + 1e-12).sum(1)
    last = values.shape[1] - 1
    return np.asarray((ranked[rows, np.minimum(low, last)] + ranked[rows, np.minimum(high, last)]) / 2)


def influences(universes: Sequence[Universe], standardised: Array, weights: Array) -> tuple[Influence, ...]:
    """Share of the variance between analyses that goes with the levels of each choice.

    Shapes: ``standardised, weights`` (n_universes,).
    """
    share = weights / weights.sum()
    total = float(share @ (standardised - share @ standardised) ** 2)
    found = []
    for choice in universes[0].settings:
        levels, at = np.unique([one.settings[choice] for one in universes], return_inverse=True)
        mass = np.bincount(at, share)
        means = np.bincount(at, share * standardised) / mass
        between = float(mass @ (means - share @ standardised) ** 2)
        found.append(Influence(choice, between / total if total > 0 else 0.0, len(levels)))
    return tuple(sorted(found, key=lambda row: -row.share))


def _row(one: Universe, standardised: float | None, share: float | None) -> dict[str, Scalar]:
    """Row of multiverse.tsv."""
    row: dict[str, Scalar] = {"universe": one.name, **one.settings, "primary": one.primary, "verdict": one.verdict}
    numbers = ("slope", "ci_low", "ci_high", "t", "df", "p", "n")
    fit = None if one.growth is None else one.growth.group_slope
    row |= {name: np.nan if fit is None else getattr(fit, name) for name in numbers}
    row["n_sessions"] = np.nan if one.growth is None else one.growth.primary.n_sessions
    row |= {"standardised": np.nan if standardised is None else standardised, "weight": share}
    guards = () if one.growth is None else one.growth.guards
    row["failed"] = " ".join(guard.name for guard in guards if guard.passed is False)
    row["not_assessable"] = " ".join(guard.name for guard in guards if guard.passed is None and guard.asked)
    return {**row, "reason": one.reason}


def tell_multiverse(universes: Sequence[Universe], joint: JointTest | None, influence: Sequence[Influence]) -> str:
    """Count what the analyses say, where the primary one stands, what matters most, and what all say together."""
    groups = [(group, [one for one in universes if one.verdict in group.verdicts]) for group in VERDICT_GROUPS]
    counted = ", ".join(
        f"{len(found)} {group.one if len(found) == 1 else group.many}" for group, found in groups if found
    )
    checked = sum(one.verdict in ("grows", "declines") for one in universes)
    parts = [f"Of {len(universes)} defensible analyses {counted}; {checked} passed every guard."]
    ((place, _),) = ((group, found) for group, found in groups if any(one.primary for one in found))
    parts.append(f"The primary one {place.one}.")
    confounded = [one.growth for one in universes if one.verdict == "confounded" and one.growth]
    failed = sorted({guard.name for growth in confounded for guard in growth.guards if guard.passed is False})
    if failed:
        parts.append(f"Guards that failed in confounded ones: {', '.join(failed)}.")
    if joint is not None:
        how = "all" if joint.exact else f"{joint.n_flips} random"
        parts.append(
            f"All together: median standardised slope {joint.median:+.2f}, {p_text(joint.p)} ({how} joint sign flips "
            f"of {joint.n_flipped} {joint.flipped}; {joint.n_universes} analyses); {joint.share:.0%} of their "
            f"weight has p < .05 in one direction, {p_text(joint.p_share)}."
        )
        if joint.smallest_p > ALPHA:
            parts.append(f"With {joint.n_flipped} {joint.flipped} no such p can fall below {joint.smallest_p:.3g}.")
    else:
        parts.append(f"Fewer than {MIN_DYADS} dyads have slopes, so there is no joint test.")
    if influence and influence[0].share > 0:
        parts.append(
            f"The choice that matters most is {influence[0].choice} ({influence[0].share:.0%} of the variance of "
            "standardised slopes)."
        )
    parts.append("That analyses of the same recordings agree is no evidence beyond these recordings.")
    return " ".join(parts)
