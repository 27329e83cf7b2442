"""How many dyads a study needs: simulated studies, analysed as the real one would be."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy
from numpy.typing import NDArray

from hyperscan.config import FurtherOutcome
from hyperscan.errors import InputError, count, did_you_mean
from hyperscan.growth.evidence import Evidence
from hyperscan.growth.groups import therapists_of
from hyperscan.growth.model import Design
from hyperscan.growth.outcomes import Series
from hyperscan.growth.outcomes_slopes import LAGS
from hyperscan.growth.records import TherapistLevel
from hyperscan.growth.slopes import estimates_of, plain_test, pooled_test, therapist_test
from hyperscan.growth.verdict import ALPHA, ALPHA_COMPARED, ALPHA_PLAIN, claimed_sign
from hyperscan.schema import MIN_DYADS, MIN_GROUP, RELATIONS, Outcome
from hyperscan.storage import write_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[np.float64]


#: Dots per inch of a bitmap, as journals ask for.
PRINT_DPI = 300

#: Formats of the figure.
FORMATS = (".png", ".svg", ".pdf")


@dataclass(frozen=True)
class Scatter:
    """How much excess synchrony varies, in Fisher z."""

    #: Between dyads, at the first session
    intercept_sd: float = 0.10
    #: Between dyads' slopes, per session
    slope_sd: float = 0.03
    #: Within a dyad, from session to session
    residual_sd: float = 0.08
    #: Between therapists' slopes, per session
    therapist_slope_sd: float = 0.0


@dataclass(frozen=True, eq=False)
class PowerResult:
    """Power of the planned analyses."""

    #: One row per number of dyads and sessions: ``dyads sessions slope power se ci_low ci_high two_stage n_sim``.
    #: ``power`` is the share of simulated studies that would claim growth (weighted and two-stage test, and
    #: therapists where several dyads share one), or the relation; ``two_stage`` that of the two-stage test (of the
    #: relation's own test) alone; se and the 95 % interval (Wilson) are Monte Carlo errors
    table: pd.DataFrame = field(repr=False)
    #: Power asked for
    target: float
    #: Everything else that was assumed
    settings: dict[str, float]
    #: Relation of an outcome that was asked for; empty: growth
    relation: str = ""

    @property
    def needed(self) -> dict[int, int | None]:
        """Smallest number of dyads tried that reaches the target, by number of sessions (None: none did)."""
        out: dict[int, int | None] = {}
        for sessions, rows in self.table.groupby("sessions"):
            enough = rows[rows["power"] >= self.target]["dyads"]
            out[int(str(sessions))] = int(enough.min()) if len(enough) else None
        return out

    def summary(self) -> str:
        """Power by number of dyads, and the answer.

        Returns
        -------
        str
        """
        shown = ", ".join(f"{name} {value:g}" for name, value in self.settings.items() if name != "seed")
        shown = f"relation {self.relation}, {shown}" if self.relation else shown
        alone = "its test" if self.relation else "two-stage test"
        lines = [
            f"assumed: {shown}",
            f"dyads  sessions  power (95 % Monte Carlo interval)  {alone} alone",
        ]
        for row in self.table.to_dict("records"):
            interval = f"({row['ci_low']:.2f}-{row['ci_high']:.2f})"
            lines.append(
                f"{row['dyads']:5d}  {row['sessions']:8d}  {row['power']:.3f} {interval:<25}  {row['two_stage']:.3f}"
            )
        for sessions, dyads in self.needed.items():
            answer = f"{count(dyads, 'dyad')} of those tried" if dyads else "more dyads than tried"
            lines.append(f"{self.target:.0%} power with {count(sessions, 'session')}: {answer}.")
        if self.settings["groups"] > 1 and (self.table["dyads"] < 2 * MIN_GROUP).any():
            lines.append(f"Groups of fewer than {MIN_GROUP} dyads are not compared, so they have no power.")
        elif (self.table["dyads"] < MIN_DYADS).any():
            lines.append(f"Fewer than {MIN_DYADS} dyads give no verdict, so they have no power.")
        asked = "a relation that is named alone" if self.relation else "an increase"
        asked = "a difference of growth between two groups" if self.settings["groups"] == 2 else asked
        lines.append(f"This is power to show {asked}; the guards can only lower it.")
        return "\n".join(lines)

    def to_data_frame(self) -> pd.DataFrame:
        """Copy of the table.

        Returns
        -------
        DataFrame
        """
        return self.table.copy()

    def plot(self, *, axes: Axes | None = None, show: bool = True) -> Figure:
        """Draw power over the number of dyads, a line per number of sessions.

        Parameters
        ----------
        axes : matplotlib.axes.Axes or None
            Where to draw; None = a new figure.
        show : bool
            Show the figure, where matplotlib has a window or a notebook for it.

        Returns
        -------
        matplotlib.figure.Figure
        """
        from hyperscan.plots import power_curves
        from hyperscan.plots.style import finish, one_axes

        drawn = power_curves(self.table, one_axes(axes), x="dyads", by="sessions", target=self.target)
        return finish(drawn, show)

    def save(self, path: str | Path) -> Path:
        """Write the figure.

        Parameters
        ----------
        path : path-like
            File; its suffix is the format: ``.png``, ``.svg`` or ``.pdf``.

        Returns
        -------
        Path

        Raises
        ------
        InputError
            For another suffix.
        OutputWriteError
            If the disk is full or writing is not permitted.
        """
        path = figure_path(path)
        figure, data = self.plot(show=False), BytesIO()
        assert figure is not None
        figure.savefig(data, format=path.suffix[1:].lower(), bbox_inches="tight", dpi=PRINT_DPI)
        return write_bytes(path, data.getvalue())


def figure_path(path: str | Path) -> Path:
    """Return the path of a figure, or refuse a suffix that is no format of one."""
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise InputError(f"{path.name}: the suffix of a figure is {', '.join(FORMATS)}.")
    return path


def plan_power(
    dyads: int | Iterable[int],
    sessions: int | Iterable[int],
    slope: float,
    *,
    groups: int = 1,
    missing: float = 0.0,
    dyads_per_therapist: int = 1,
    relation: str = "",
    scatter: Scatter | None = None,
    target: float = 0.8,
    n_sim: int = 500,
    seed: int | np.random.Generator = 0,
) -> PowerResult:
    """Simulate studies and count how many would claim growth, or a relation of an outcome to synchrony.

    Parameters
    ----------
    dyads, sessions : int or iterable of int, shape (n_sizes,)
        Numbers to try; every combination is simulated.
    slope : float
        True growth of the excess per session, in Fisher z, 0 or more; power for a fall is that for growth of its size.
        With ``relation`` instead the slope of the outcome in standard deviations of both, 0 to below 1.
        With two groups, the true difference of growth between them.
    groups : int
        2: power to show that growth differs between two groups, each with half of the dyads (and therapists).
    missing : float
        Share of sessions missing at random, 0 to below 1.
    dyads_per_therapist : int
        Above 1, growth has to hold over therapists as well (a relation from five therapists on).
    relation : {'', 'same_session', 'next_session', 'reverse', 'between', 'change'}
        What is asked of an outcome that is named alone; empty: growth. Inside dyads the slope is that of sessions,
        without lines; ``between`` and ``change`` are about an outcome of one number per dyad and the dyads' true means
        or slopes.
    scatter : Scatter, optional
        How much synchrony varies; better taken from a pilot than from our defaults.
    target : float
        Power wanted, 0 to 1.
    n_sim : int
        Simulated studies per combination; 500 give a Monte Carlo error of about .02.
    seed : int or numpy.random.Generator
        Source of the simulations.

    Returns
    -------
    PowerResult

    Raises
    ------
    InputError
        If a number is outside what is allowed.

    Examples
    --------
    >>> plan_power([8, 20], 8, 0.03, n_sim=20).needed
    {8: 20}
    """
    grid = [(n, s) for s in _whole("sessions", sessions, 2) for n in _whole("dyads", dyads, 2)]
    scatter = Scatter() if scatter is None else scatter
    _check(slope, missing, dyads_per_therapist, target, n_sim, scatter)
    _check_relation(relation, slope)
    if groups not in (1, 2):
        raise InputError(f"groups = {groups!r}: expected 1 (growth) or 2 (its difference); of more, two at a time.")
    if groups > 1 and relation:
        raise InputError(f"groups = {groups}: is power for growth; leave relation = {relation!r} out.")
    rng = np.random.default_rng(seed)
    spread = {name: value for name, value in vars(scatter).items() if name != "therapist_slope_sd"}
    planned = Planned(relation, slope, **spread, missing=missing, dyads_per_therapist=dyads_per_therapist)
    rows = []
    for n_dyads, n_sessions in grid:
        therapists = np.arange(n_dyads) // dyads_per_therapist
        # therapists see dyads of one group each
        side = (therapists % 2).astype(float) if groups == 2 else None
        claims = [
            planned.claims(n_dyads, n_sessions, rng)
            if relation
            else _claims(*simulate_sessions(therapists, n_sessions, slope, scatter, missing, rng, side), side)
            for _ in range(n_sim)
        ]
        rows.append(
            {
                "dyads": n_dyads,
                "sessions": n_sessions,
                "slope": float(slope),
                **_share(np.array(claims), n_sim),
            }
        )
    settings = {
        "slope": slope,
        "groups": groups,
        "missing": missing,
        "dyads_per_therapist": dyads_per_therapist,
        **vars(scatter),
    }
    return PowerResult(pd.DataFrame(rows), target, settings, relation)


def _check_relation(relation: str, slope: float) -> None:
    """Refuse a relation that is not known, or a slope that no relation can have."""
    if relation not in ("", *RELATIONS):
        raise InputError(
            f"relation = {relation!r}: expected {', '.join(map(repr, RELATIONS))}, or nothing (growth)."
            f"{did_you_mean(relation, RELATIONS)}"
        )
    if relation and slope >= 1:
        raise InputError(f"slope = {slope!r}: of a relation expected in standard deviations of both, below 1.")


def _whole(name: str, value: int | Iterable[int], low: int) -> list[int]:
    values = [value] if isinstance(value, int | np.integer) else list(value)
    for item in values:
        if isinstance(item, bool) or not isinstance(item, int | np.integer) or not low <= item <= 10_000:
            raise InputError(f"{name} = {item!r}: expected whole numbers from {low} to 10000.")
    if not values:
        raise InputError(f"{name} is empty; expected at least one whole number.")
    return sorted({int(item) for item in values})


def _check(slope: float, missing: float, per_therapist: int, target: float, n_sim: int, scatter: Scatter) -> None:
    ranges = {
        "slope": (slope, 0, 10),
        "missing": (missing, 0, 0.95),
        "dyads_per_therapist": (per_therapist, 1, 10_000),
        "target": (target, 0, 1),
        "n_sim": (n_sim, 1, 1_000_000),
        **{f"scatter.{name}": (value, 0, 100) for name, value in vars(scatter).items()},
    }
    for name, (value, low, high) in ranges.items():
        if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
            raise InputError(f"{name} = {value!r}: expected a number from {low:g} to {high:g}.")
    if scatter.residual_sd == 0:
        raise InputError("scatter.residual_sd = 0: sessions of one dyad always differ; give a positive number.")


def simulate_sessions(
    therapists: NDArray[Any],
    n_sessions: int,
    slope: float,
    scatter: Scatter,
    missing: float,
    rng: np.random.Generator,
    side: Array | None = None,
) -> tuple[Design, Array]:
    """Draw one study from the mixed model; of two groups, those of ``side`` 1 grow and the others do not.

    Shapes: ``therapists, side`` (n_dyads,), returns (n,).
    """
    n = len(therapists)
    steps = rng.normal(slope if side is None else slope * side, scatter.slope_sd, n)
    steps += rng.normal(0, scatter.therapist_slope_sd, int(therapists.max()) + 1)[therapists]
    t = np.arange(n_sessions, dtype=float)
    y = rng.normal(0, scatter.intercept_sd, n)[:, None] + steps[:, None] * t
    y += rng.normal(0, scatter.residual_sd, y.shape)
    codes = np.repeat(np.arange(n), n_sessions)
    kept = rng.random(y.size) >= missing
    return Design(np.tile(t, n)[kept], codes[kept], np.arange(n), therapists), y.ravel()[kept]


def _claims(design: Design, y: Array, side: Array | None = None) -> tuple[bool, bool]:
    """Whether the verdict, and whether the two-stage (or Welch's) test alone, claims growth, or that it differs.

    Shapes: ``y`` (n,), ``side`` (n_dyads,).
    """
    slopes = design.slopes(y)
    two_stage = plain_test(slopes, side)
    alone = two_stage.in_direction(1, ALPHA)
    if side is not None:
        sizes = np.bincount(side[np.isfinite(slopes)].astype(int), minlength=2)
        found = estimates_of(y, design.t, design.codes, len(design.labels))
        level, lack = therapists_of(found, side, design.therapists)
        if sizes.min() < MIN_GROUP or lack:
            return False, alone
        return claimed_sign(pooled_test(found, side), two_stage, level, ALPHA_COMPARED) == 1, alone
    if two_stage.n < MIN_DYADS:
        return False, alone
    level = TherapistLevel() if design.therapists is None else therapist_test(slopes, design.therapists)
    return claimed_sign(design.weighted(y), two_stage, level) == 1, alone


def _share(claims: NDArray[np.bool_], n: int) -> dict[str, float]:
    """Share of claims by the verdict with its Monte Carlo error, and that of the two-stage test.

    Shapes: ``claims`` (n, 2).
    """
    share = claims.mean(0)
    interval = scipy.stats.binomtest(int(claims[:, 0].sum()), n).proportion_ci(method="wilson")
    return {
        "power": float(share[0]),
        "se": float(np.sqrt(share[0] * (1 - share[0]) / n)),
        "ci_low": float(interval.low),
        "ci_high": float(interval.high),
        "two_stage": float(share[1]),
        "n_sim": n,
    }


@dataclass(frozen=True)
class Planned:
    """What is assumed of a study and of one relation in it."""

    relation: str
    #: Slope in standard deviations of both series, -1 to 1: of sessions inside dyads, else of dyads' true means or
    #: slopes, of which the outcome is one number per dyad
    size: float
    #: Of synchrony: between dyads, between their slopes, within a dyad from session to session
    intercept_sd: float
    slope_sd: float
    residual_sd: float
    missing: float
    dyads_per_therapist: int

    def simulate(self, n_dyads: int, n_sessions: int, rng: np.random.Generator) -> Series:
        """Draw one study."""
        rest, level, trend = rng.normal(size=(n_dyads, n_sessions)), *rng.normal(size=(2, n_dyads))
        own, t = np.sqrt(1 - self.size**2), np.arange(float(n_sessions))
        if self.relation in LAGS:
            outcome = own * rng.normal(size=rest.shape)
            if self.relation == "same_session":
                outcome += self.size * rest
            elif self.relation == "next_session":
                outcome[:, 1:] += self.size * rest[:, :-1]
            else:
                rest[:, 1:] = self.size * outcome[:, :-1] / own + own * rest[:, 1:]
        else:
            parts = (self.intercept_sd, self.slope_sd * t.mean()) if self.relation == "between" else (0.0, 1.0)
            about = (parts[0] * level + parts[1] * trend) / (np.hypot(*parts) or 1.0)
            outcome = np.repeat((self.size * about + own * rng.normal(size=n_dyads))[:, None], n_sessions, axis=1)
        value = self.intercept_sd * level[:, None] + self.slope_sd * trend[:, None] * t + self.residual_sd * rest
        kept = rng.random(value.size) >= self.missing
        labels = np.array([f"{dyad:05d}" for dyad in range(n_dyads)])
        rows = pd.DataFrame({"dyad": np.repeat(labels, n_sessions), "t": np.tile(t, n_dyads)})
        rows = rows.assign(session=rows["t"] + 1, value=value.ravel(), outcome=outcome.ravel())[kept]
        therapists = pd.Series([f"{dyad // self.dyads_per_therapist}" for dyad in range(n_dyads)], labels)
        evidence = Evidence(rows.assign(therapist=rows["dyad"].map(therapists)), Outcome())
        told = rows[["dyad", "session", "t", "outcome"]]
        return Series.of(FurtherOutcome("outcome", relations=(self.relation,)), told, evidence, "eeg")

    def claims(self, n_dyads: int, n_sessions: int, rng: np.random.Generator) -> tuple[bool, bool]:
        """Whether the relation would be claimed, if the recordings are in order; whether its plain test shows it."""
        series = self.simulate(n_dyads, n_sessions, rng)
        if self.relation not in LAGS:
            found = series.compare_dyads(self.relation)[0]
            if found.estimate is None or found.second is None or found.n_dyads < MIN_DYADS:
                return False, False
            tests = [(found.estimate, ALPHA), (found.second, ALPHA_PLAIN)]
            tests += [(found.therapist_level.test, ALPHA)] if found.therapist_level.test else []
            return all(test.in_direction(1, alpha) for test, alpha in tests), found.estimate.in_direction(1, ALPHA)
        lag = LAGS[self.relation]
        _, within = lag.within(series.courses, lag.kept)
        if not within.testable or len(within.labels) < MIN_DYADS:
            return False, False
        estimate, level = within.test(), series.over_therapists(within.labels, within.test).test
        alone = estimate.in_direction(1, ALPHA)
        if not alone or (level is not None and not level.in_direction(1, ALPHA)):
            return False, alone
        return series.ask_other_sessions(lag, estimate).passed is not False, alone
