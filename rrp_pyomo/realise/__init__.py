"""The ways from a statement to what solvers read: blocks of Pyomo, conic and quadratic forms."""
