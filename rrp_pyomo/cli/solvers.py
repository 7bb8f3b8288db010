"""``rrp solvers``: the table of solvers as it is here."""

from __future__ import annotations


def solvers() -> None:
    """Which solvers there are, what each of them takes, and how to get what is missing."""
    from rrp_pyomo.cli.tables import console, solver_tables

    for table in solver_tables():
        console().print(table)
