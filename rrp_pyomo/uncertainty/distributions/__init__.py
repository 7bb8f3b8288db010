"""Sets of distributions, a file for each kind."""
