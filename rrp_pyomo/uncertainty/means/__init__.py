"""Sets of means, a file for each kind."""
