"""A study in, results out: discovery, check, the plan, units of work, resume."""

from hyperscan.pipeline.doors import CheckReport, check_study, load_study
from hyperscan.pipeline.run import growth_of, prepare_study, run_study

__all__ = ["CheckReport", "check_study", "growth_of", "load_study", "prepare_study", "run_study"]
