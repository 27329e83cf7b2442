"""Which sessions were used, left out, or never there."""

from example import study

ax = study.plot("sessions")
