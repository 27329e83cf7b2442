"""Clocks: the drift that was removed and what was left after it."""

from example import quality

from hyperscan import plots

axes = plots.clock_panel(quality)
