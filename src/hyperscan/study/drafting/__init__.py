"""A first ``dyads.tsv`` from what a folder holds: drafted, never decided."""
