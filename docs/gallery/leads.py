"""Excess over chance by lag and session."""

from example import study

ax = study.plot("leads")
