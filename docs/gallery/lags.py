"""Synchrony over lags, beside what re-paired people reach: whose lead it is."""

from example import study

ax = study.plot("lags")
