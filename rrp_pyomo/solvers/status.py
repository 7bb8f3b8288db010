"""Statuses: the words with which solvers end."""

from __future__ import annotations

from collections.abc import Iterable

from rrp_pyomo.errors import SolverError


def unknown_status(
    solver: str, version: str, status: object, known: Iterable[object]
) -> SolverError:
    """The error for a word that a solver did not use when this package was written."""
    return SolverError(
        f"{solver} {version} ended with the status {status!r}, whose meaning is not known here; "
        f"expected one of {', '.join(map(str, known))}. Use an earlier version of {solver}, or a "
        "later one of rrp-pyomo"
    )
