"""Session by band: the mean excess over all dyads."""

from example import study

ax = study.plot("bands")
