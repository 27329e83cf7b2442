"""A tidy table of synchrony in, a verdict on growth out."""

from hyperscan.growth.fit import fit_growth
from hyperscan.growth.lead import Lead, find_lead
from hyperscan.growth.multiverse import MultiverseResult, Universe, fit_multiverse
from hyperscan.growth.power import PowerResult, Scatter, plan_power
from hyperscan.growth.records import Guard
from hyperscan.growth.result import GrowthResult
from hyperscan.growth.within import PersonSlopes, choose_index, fit_within, slopes_of_people

__all__ = [
    "GrowthResult",
    "Guard",
    "Lead",
    "MultiverseResult",
    "PersonSlopes",
    "PowerResult",
    "Scatter",
    "Universe",
    "choose_index",
    "find_lead",
    "fit_growth",
    "fit_multiverse",
    "fit_within",
    "plan_power",
    "slopes_of_people",
]
