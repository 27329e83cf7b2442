"""A tidy table of synchrony in, a verdict on growth out."""

from hyperscan.growth.fit import fit_growth
from hyperscan.growth.power import PowerResult, Scatter, plan_power
from hyperscan.growth.records import Guard
from hyperscan.growth.result import GrowthResult
from hyperscan.growth.within import PersonSlopes, choose_index, fit_within, slopes_of_people

__all__ = [
    "GrowthResult",
    "Guard",
    "PersonSlopes",
    "PowerResult",
    "Scatter",
    "choose_index",
    "fit_growth",
    "fit_within",
    "plan_power",
    "slopes_of_people",
]
