"""From a program to its solution: the table of solvers, the routes to them, the session."""
