"""Two recordings on one clock."""
