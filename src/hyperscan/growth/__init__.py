"""A tidy table of synchrony in, a verdict on growth out."""

from hyperscan.growth.fit import fit_growth
from hyperscan.growth.flips import Cluster, flip_clusters
from hyperscan.growth.guards import Guard
from hyperscan.growth.methods import describe_methods
from hyperscan.growth.power import PowerResult, Scatter, plan_power
from hyperscan.growth.result import GrowthResult

__all__ = [
    "Cluster",
    "GrowthResult",
    "Guard",
    "PowerResult",
    "Scatter",
    "describe_methods",
    "fit_growth",
    "flip_clusters",
    "plan_power",
]
