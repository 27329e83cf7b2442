"""Each dyad beside its chance band: the mean of its pseudo pairs, plus and minus one SD."""

from example import study

figure = study.plot("dyads")
