"""Files of every format to recordings of two people."""
