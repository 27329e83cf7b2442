"""Each dyad beside its chance band: the mean of its pseudo pairs, plus and minus one SD."""

from example import alpha

from hyperscan import plots

axes = plots.dyad_panels(alpha)
