"""Small multiples by pair of regions: which parts of the two heads become more alike."""

from example import table

from hyperscan import plots

axes = plots.roi_panels(table[table["band"] == "alpha"], columns=3)
