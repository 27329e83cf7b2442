"""Session by band: the mean excess over all dyads."""

from example import study

figure = study.plot("bands")
