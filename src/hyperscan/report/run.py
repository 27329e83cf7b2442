"""What a report is made from: a run's folder, its growth as a record, and the rows of its primary outcome."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from pathlib import Path

import pandas as pd

from hyperscan.errors import InputError, count
from hyperscan.growth import GrowthResult
from hyperscan.growth.records import LeftOut
from hyperscan.metrics.table import growth_scale
from hyperscan.results import RunFolder
from hyperscan.results.folder import WITHIN
from hyperscan.results.plan import Remark
from hyperscan.schema import MODALITIES, NAMED, SIGNALS, Outcome, other_chance


class ReportedRun(RunFolder):
    """A run's folder as the report reads it; what is absent is absent, never invented."""

    @classmethod
    def of(cls, out: Path) -> ReportedRun:
        """Open a folder; one that no run left is refused."""
        if not any((out / name).is_file() for name in ("synchrony.tsv", "growth.json")):
            raise InputError(
                f"{out.name}: holds neither synchrony.tsv nor growth.json, so it is no output of a run.\n"
                "Give the folder that was named with -o to 'hyperscan run'; of an analysis of a multiverse make a run: "
                "hyperscan run STUDY -o NEW --config universes/u001.toml."
            )
        return cls(out)

    @cached_property
    def _growth(self) -> GrowthResult | Remark | None:
        return self._result("growth.json")

    def _result(self, name: str) -> GrowthResult | Remark | None:
        content = self._json(name)
        try:
            return GrowthResult.from_dict(content) if content else None
        except InputError as error:
            return Remark("unreadable", "warning", str(error).replace("growth.json", name))

    @cached_property
    def alone(self) -> GrowthResult | None:
        """Answer on an index of each person alone; None where there is none, or none of this version."""
        found = self._result(WITHIN)
        return found if isinstance(found, GrowthResult) else None

    @cached_property
    def primary_within(self) -> pd.DataFrame:
        """Indices of each person in the modality and task of the primary outcome."""
        wanted = {"modality": self.outcome.modality, "task": self.outcome.task}
        keep = pd.Series(True, index=self.within.index)
        for name, label in wanted.items():
            if name in self.within and label:
                keep &= self.within[name].astype(str) == label
        return self.within[keep]

    @property
    def growth(self) -> GrowthResult | None:
        """Answer on growth; None where there is none, or none of this version."""
        return self._growth if isinstance(self._growth, GrowthResult) else None

    @property
    def remarks(self) -> tuple[Remark, ...]:
        """What a reader should know of the study, the gravest first."""
        own = (self._growth,) if isinstance(self._growth, Remark) else ()
        found = (*own, *self.plan.findings)
        grave = [[remark for remark in found if remark.severity == severity] for severity in ("error", "warning")]
        return (*grave[0], *grave[1], *(remark for remark in found if remark not in (*grave[0], *grave[1])))

    @cached_property
    def outcome(self) -> Outcome:
        """The primary outcome: as it was fitted, else as planned, else as the settings name it."""
        fitted, planned = Outcome(), self.plan.primary
        if self.growth is not None:
            design = self.growth.design
            fitted = replace(self.growth.primary.outcome, modality=design.modality, signal=design.signal)
        found = str(self.table["modality"].iloc[0]) if "modality" in self.table and len(self.table) else "eeg"
        modality = fitted.modality or planned.modality or found
        named = self.config.primary_of(modality) if modality in MODALITIES else Outcome()
        labels = {name: getattr(fitted, name) or getattr(planned, name) or getattr(named, name) for name in NAMED}
        signal = fitted.signal or planned.signal or next(iter(SIGNALS.get(modality, ("",))))
        return Outcome(modality=modality, signal=signal, **labels)

    @cached_property
    def primary(self) -> pd.DataFrame:
        """Rows of the primary outcome."""
        return self.outcome.select(self.table)

    @cached_property
    def compared(self) -> pd.DataFrame:
        """Rows whose excess is over one chance level: what means, pictures and growth are made of."""
        return self.table[~other_chance(self.table)]

    @cached_property
    def entered(self) -> pd.DataFrame:
        """Rows of the primary outcome that entered growth: those with a value and a time, over one chance level."""
        rows = self.outcome.select(self.compared)
        value = "excess_z" if self.growth is None else self.growth.design.value
        needed = [value, *(["days"] if self.config.time == "weeks" else [])]
        return rows.dropna(subset=[name for name in needed if name in rows])

    @property
    def n_skipped(self) -> str:
        """How many were not analysed: dyad-sessions, or recordings of them where others of the same were."""
        lost = [(one.dyad, one.session) for one in self.plan.skipped]
        known = set(zip(self.table["dyad"], self.table["session"], strict=True)) if "session" in self.table else set()
        return count(len(lost), "recording" if len(set(lost)) < len(lost) or set(lost) & known else "dyad-session")

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """Rows of the primary outcome that growth left out."""
        return () if self.growth is None else self.growth.design.left_out

    @cached_property
    def primary_pseudo(self) -> pd.DataFrame:
        """Its re-paired dyads."""
        return self.pseudo_of(self.outcome)

    @cached_property
    def lag_outcome(self) -> Outcome:
        """Whose lag profiles are told: the primary outcome, or the first metric beside it where its own has none."""
        if self.lags.empty or len(self.outcome.select(self.lags)):
            return self.outcome
        beside = replace(self.outcome, metric="").select(self.lags)
        return replace(self.outcome, metric=str(beside["metric"].iloc[0])) if len(beside) else self.outcome

    @cached_property
    def primary_lags(self) -> pd.DataFrame:
        """Lag profiles of it that have pseudo pairs; empty where there are none."""
        rows = self.lag_outcome.select(self.lags) if len(self.lags) else self.lags
        return rows.dropna(subset="profile_excess_z") if len(rows) else rows

    @property
    def scale(self) -> str:
        """Growth scale of the primary outcome's metric."""
        return growth_scale(self.outcome.metric)

    @property
    def unit(self) -> str:
        """Unit of time of a slope: ``session`` or ``week``."""
        return self.config.time.removesuffix("s")
