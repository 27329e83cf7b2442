"""Compiled and stacked arithmetic that the metrics share."""
