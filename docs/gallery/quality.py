"""Quality of both people over the sessions, mean over dyads with its confidence interval."""

from example import study

figure = study.plot("quality")
