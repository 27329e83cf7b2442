"""Which sessions were used, left out, or never there."""

from example import study

figure = study.plot("sessions")
