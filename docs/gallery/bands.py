"""Session by band: the mean excess over all dyads."""

from example import table

from hyperscan import plots

ax = plots.session_band_heatmap(table[table["roi_therapist"] == "posterior"])
