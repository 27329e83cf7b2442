"""Quality of both people over the sessions, mean over dyads with its confidence interval."""

from example import quality

from hyperscan import plots

axes = plots.quality_panel(quality)
