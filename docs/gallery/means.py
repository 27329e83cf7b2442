"""Mean of the dyads at each session with its confidence interval, all together or by a column."""

from example import study

figure = study.plot("means", metric="plv", band="alpha")
