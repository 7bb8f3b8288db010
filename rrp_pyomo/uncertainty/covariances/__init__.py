"""Sets of covariances, a file for each kind."""
