"""Clocks: the drift that was removed and what was left after it."""

from example import study

figure = study.plot("clocks")
