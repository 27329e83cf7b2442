"""What would change an index of one person by itself, asked of the client's own recordings and of the therapist."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hyperscan.errors import count
from hyperscan.growth.evidence import Slopes
from hyperscan.growth.guards import figure_text, moves, not_assessable, way
from hyperscan.growth.records import Guard, SlopeTest
from hyperscan.schema import INDICES, Index, index_facts
from hyperscan.words import BAND_SHARE, ON_REQUEST, PERSON_GUARDS, GuardWords

Array = NDArray[np.float64]

#: A change of power over the whole course that is taken for one of the recording beside an index that is not in dB
#: (our choice: a quarter more, or less).
MATERIAL_DB = 1.0


def index_rows(within: pd.DataFrame, *names: str) -> pd.DataFrame:
    """Rows of some indices, with text where a band is left open."""
    rows = within[within["index"].isin(names)]
    return rows.assign(band=rows["band"].fillna("").astype(str))


@dataclass(frozen=True)
class PersonEvidence:
    """What the guards of an index look at: one row per dyad and session."""

    index: Index
    modality: str
    #: ``client_value``, ``therapist_value``, ``difference``, ``twin``, and the measures of guards
    slopes: Slopes

    @classmethod
    def of(
        cls,
        within: pd.DataFrame,
        index: Index,
        sessions: pd.DataFrame,
        quality: pd.DataFrame | None,
        synchrony: pd.DataFrame | None,
    ) -> PersonEvidence:
        """Gather what is known of the sessions of an index."""
        modality = str(within["modality"].iloc[0])
        own = _course(within, index, "client")
        # a pair of regions, or a network, has no power of its own; theta is taken where the flank of alpha is lowest
        places = {
            "high_frequency": ("", index.region),
            "drift": ("", index.region),
            "evenness": (index.band, index.region),
            "theta": ("theta", "frontal"),
            "alpha": ("alpha", index.region),
            "beta": ("beta", index.region),
            "task_events": (index.band, "all"),
            "task_seconds": (index.band, "all"),
        }
        measured = {
            "client_value": own,
            "therapist_value": _course(within, index, "therapist"),
            "twin": _course(within, index._replace(name=index_facts(index.name).twin), "client"),
        }
        for measure, (band, region) in places.items():
            name = measure if measure in INDICES else "band_power"
            courses = (_course(within, Index(name, band, place), "client") for place in (region, "all"))
            measured[measure] = next((course for course in courses if not course.empty), own[:0])
        known = {name: course for name, course in measured.items() if not course.empty}
        # where nothing could be measured there is still a table, of no sessions
        frame = pd.DataFrame(known) if known else pd.DataFrame(index=own.index)
        frame["difference"] = own - measured["therapist_value"]
        keys = ["dyad", "session"]
        columns = {measure.column for words in PERSON_GUARDS.values() for measure in words.measures}
        for beside in (None if quality is None else quality[quality["person"] == "client"], synchrony):
            further = [name for name in columns if beside is not None and name in beside and name not in frame]
            if beside is not None and further:
                rows = beside[(beside["modality"] == modality) & beside["task"].isin(within["task"].unique())]
                numbers = rows[further].apply(pd.to_numeric, errors="coerce")
                frame = frame.join(numbers.groupby([rows[key] for key in keys]).mean())
        rows = frame.reset_index()
        return cls(index, modality, Slopes.of(rows, sessions, {"": 1.0}))

    @cached_property
    def in_decibel(self) -> bool:
        """Whether measures of power and the index have one scale."""
        return index_facts(self.index.name).scale == "dB"

    def limit(self, sign: float) -> Array:
        """Change of a power in dB that does not matter yet: a share of the index's, or :data:`MATERIAL_DB` in all.

        Shapes: returns (n_rows,).
        """
        if self.in_decibel:
            return np.asarray(BAND_SHARE * sign * self.slopes.column("client_value"))
        t = self.slopes.frame["t"].to_numpy(float)
        return np.asarray(MATERIAL_DB * t / max(float(np.ptp(t)), np.finfo(float).tiny))

    def part_without(self, column: str) -> str:
        """Say in how many sessions of the index the client has no value of a measure; empty where all have one."""
        there = np.isfinite(self.slopes.column("client_value"))
        gone = there & ~np.isfinite(self.slopes.column(column))
        return f"{int(gone.sum())} of {count(int(there.sum()), 'session')}" if gone.any() else ""

    def ask(self, sign: float) -> tuple[Guard, ...]:
        """Answer of every guard that is asked of such an index."""
        out = []
        for name, words in PERSON_GUARDS.items():
            lacking = not any(column in self.slopes.frame for column in words.columns)
            coupling = index_facts(self.index.name).scale == "Fisher z"
            if self.modality not in words.modalities or (lacking and name in ON_REQUEST):
                continue
            if words.metrics and self.index.name not in words.metrics:
                continue
            if (name == "even_rhythm" and not coupling) or (name == "twin" and not index_facts(self.index.name).twin):
                continue
            out.append(_OWN.get(name, ask_measures)(words, self, sign))
        return tuple(out)


def _course(within: pd.DataFrame, index: Index, person: str) -> pd.Series:
    """Values of an index by dyad and session, runs averaged; empty where the table has none."""
    rows = index_rows(within, index.name)
    rows = rows[(rows["person"] == person) & (rows["band"] == index.band) & (rows["region"] == index.region)]
    return rows.groupby(["dyad", "session"])["value"].mean().dropna()


def ask_therapist(words: GuardWords, evidence: PersonEvidence, sign: float) -> Guard:
    """Ask whether the client changes by more than the therapist."""
    slopes = evidence.slopes
    test, control = (slopes.test(slopes.column(name)) for name in ("difference", "therapist_value"))
    lack = slopes.lacks("the index in both people", test)
    if lack:
        return not_assessable(words.name, lack)
    passed = test.in_direction(sign, 0.05)
    detail = f"Client minus therapist {moves(sign, passed)} ({figure_text(test)}; therapist: {figure_text(control)})."
    return Guard(words.name, passed, test.slope, detail)


def ask_twin(words: GuardWords, evidence: PersonEvidence, sign: float) -> Guard:
    """Ask whether the other version of the index changes the same way."""
    slopes, facts = evidence.slopes, index_facts(evidence.index.name)
    test = slopes.test(slopes.column("twin"))
    lack = slopes.lacks(facts.twin, test)
    if lack:
        return not_assessable(words.name, lack)
    changes = test.in_direction(sign, 0.05)
    beyond = slopes.column("twin") - facts.twin_share * slopes.column("client_value")
    passed = changes and (not facts.twin_share or slopes.test(beyond).in_direction(sign, 0.05))
    weak = ", but not clearly by more than half as much" if changes and not passed else ""
    label = index_facts(facts.twin).label
    detail = f"{label[0].upper()}{label[1:]} {moves(sign, changes)}{weak} ({figure_text(test)})."
    return Guard(words.name, passed, test.slope, detail)


def ask_measures(words: GuardWords, evidence: PersonEvidence, sign: float) -> Guard:
    """Ask whether a measure of the client's recordings changes, beyond a share of the index where they compare."""
    slopes, known, failed, lacks = evidence.slopes, [], [], []
    for measure in words.measures:
        column = slopes.column(measure.column)
        # power matters by how much it changes, other measures by whether they do
        limit = evidence.limit(sign) if words.name.endswith("_frequencies") else None
        test, moved = material(slopes, column, 0, limit)
        name = f"{measure.label} ({measure.column})"
        # recordings without it were prepared in another way than those with it; of a column of the study half is enough
        part = "" if words.name in ON_REQUEST else evidence.part_without(measure.column)
        lack = slopes.lacks(name, test) or (part and f"{part} have no {name}")
        lacks += [lack] if lack else []
        known += [] if lack else [(measure, test)]
        failed += [(measure, test)] if moved and not lack else []
    if lacks and not failed:
        return not_assessable(words.name, lacks[0])
    measure, test = (failed or known)[0]
    small = words.name.endswith("_frequencies")
    verb = "does not clearly change by enough to matter" if small else "shows no clear change"
    verb = f"{moves(test.slope, True)}, too" if failed else verb
    label = measure.label[0].upper() + measure.label[1:]
    return Guard(words.name, not failed, test.slope, f"{label} {verb} ({figure_text(test)}).")


def material(slopes: Slopes, measure: Array, direction: float, limit: Array | None) -> tuple[SlopeTest, bool]:
    """Test a measure's slope, and say whether it is large enough to matter; direction 0 = either.

    With a limit the measure has to change by more than that does; without one any clear change counts.

    Shapes: ``measure, limit`` (n_rows,).
    """
    test = slopes.test(measure)
    towards = direction or (1.0 if test.slope >= 0 else -1.0)
    if limit is None:
        return test, test.in_direction(towards, 0.05)
    beyond = slopes.test(towards * measure - limit)
    return test, test.slope * towards > 0 and beyond.in_direction(1, 0.10)


def ask_drowsiness(words: GuardWords, evidence: PersonEvidence, sign: float) -> Guard:
    """Ask whether theta and alpha move against each other."""
    slopes, band = evidence.slopes, evidence.index.band
    theta, alpha = slopes.column("theta"), slopes.column("alpha")
    others = {"alpha": theta, "theta": alpha}
    if evidence.in_decibel and band in others:
        name = "theta" if band == "alpha" else "alpha"
        test, moved = material(slopes, others[band], -sign, evidence.limit(sign))
        asked = [test]
    else:
        name, test, beside = "theta", slopes.test(theta), slopes.test(alpha)
        # both have to move, against each other
        moved = test.in_direction(-beside.slope, 0.05) and beside.in_direction(beside.slope, 0.05)
        asked = [test, beside]
    lack = slopes.lacks("power of theta and of alpha", *asked)
    if lack:
        return not_assessable(words.name, lack)
    verb = "moves as it does in drowsiness, or in waking from it" if moved else "does not move as it does in drowsiness"
    detail = f"Power of {name} {verb} ({figure_text(test)})."
    return Guard(words.name, not moved, test.slope, detail)


def ask_beta(words: GuardWords, evidence: PersonEvidence, sign: float) -> Guard:
    """Ask whether beta moves against the index: the background below a rhythm is fitted through it."""
    slopes = evidence.slopes
    test, moved = material(slopes, slopes.column("beta"), -sign, evidence.limit(sign))
    lack = slopes.lacks("power of beta", test)
    if lack:
        return not_assessable(words.name, lack)
    verb = "moves against it, which bends the background" if moved else "does not move against it"
    return Guard(words.name, not moved, test.slope, f"Power of beta {verb} ({figure_text(test)}).")


def ask_evenness(words: GuardWords, evidence: PersonEvidence, sign: float) -> Guard:
    """Ask whether the rhythm becomes steadier where coupling rises."""
    slopes = evidence.slopes
    test, moved = material(slopes, slopes.column("evenness"), sign, None)
    lack = slopes.lacks("evenness of the rhythm", test)
    if lack:
        return not_assessable(words.name, lack)
    verb = moves(sign, moved) + f", which by itself may make coupling {way(sign)}" * moved
    return Guard(words.name, not moved, test.slope, f"Evenness of the rhythm {verb} ({figure_text(test)}).")


#: Guards that look at more than whether measures change.
_OWN: Mapping[str, Callable[[GuardWords, PersonEvidence, float], Guard]] = MappingProxyType(
    {
        "therapist": ask_therapist,
        "twin": ask_twin,
        "haemoglobins": ask_twin,
        "drowsiness": ask_drowsiness,
        "beta": ask_beta,
        "even_rhythm": ask_evenness,
    }
)
