"""Faults of runs."""


def tests(folder, small):
    return []
