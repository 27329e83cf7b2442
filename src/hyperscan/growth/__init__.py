"""A tidy table of synchrony in, a verdict on growth out."""

from hyperscan.growth.fit import fit_growth
from hyperscan.growth.power import PowerResult, Scatter, plan_power
from hyperscan.growth.records import Guard
from hyperscan.growth.result import GrowthResult

__all__ = [
    "GrowthResult",
    "Guard",
    "PowerResult",
    "Scatter",
    "fit_growth",
    "plan_power",
]
