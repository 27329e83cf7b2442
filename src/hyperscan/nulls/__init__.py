"""What chance looks like: each null says what it tests, what it destroys and when it is invalid."""

from hyperscan.nulls.inference import ClusterTest, cluster, max_statistic, p_value, pair_adjacency
from hyperscan.nulls.lags import Foldable, LagNull, Stacked, autocorrelation_time, lags
from hyperscan.nulls.partners import PseudoPair, partners, sessions
from hyperscan.nulls.surrogates import WindowNull, phases, windows

__all__ = [
    "ClusterTest",
    "Foldable",
    "LagNull",
    "PseudoPair",
    "Stacked",
    "WindowNull",
    "autocorrelation_time",
    "cluster",
    "lags",
    "max_statistic",
    "p_value",
    "pair_adjacency",
    "partners",
    "phases",
    "sessions",
    "windows",
]
