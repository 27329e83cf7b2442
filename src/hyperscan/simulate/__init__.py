"""Recordings with known truth: sample studies and test fixtures.

One therapist and one client per dyad; rhythms share a known fraction of their power, which stays constant
in total; everything that is not coupling but looks like it can be turned on instead.
"""

from hyperscan.simulate.eeg import EegTruth, simulate_eeg
from hyperscan.simulate.fnirs import FnirsTruth, Optodes, simulate_fnirs
from hyperscan.simulate.study import EEG_SCENARIOS, FNIRS_SCENARIOS, StudyDesign, simulate_study

__all__ = [
    "EEG_SCENARIOS",
    "FNIRS_SCENARIOS",
    "EegTruth",
    "FnirsTruth",
    "Optodes",
    "StudyDesign",
    "simulate_eeg",
    "simulate_fnirs",
    "simulate_study",
]
