"""Which sessions were used, left out, or never there."""

from example import states

from hyperscan import plots

ax = plots.missing_session_grid(states)
