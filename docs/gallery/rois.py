"""Small multiples by pair of regions: which parts of the two heads become more alike."""

from example import study

figure = study.plot("rois")
