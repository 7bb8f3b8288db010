"""The classes of problems that solvers take, and that statements need."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Takes"]


class Takes(StrEnum):
    """Classes of problems that a solver takes.

    Examples
    --------
    >>> from rrp_pyomo.forms.problem_classes import Takes
    >>> [str(takes) for takes in Takes][:3]
    ['linear', 'quadratic', 'second-order']
    """

    LINEAR = "linear"
    QUADRATIC = "quadratic"  # convex objectives
    SECOND_ORDER = "second-order"  # cones, and whatever convex quadratic constraints come to
    EXPONENTIAL = "exponential"
    POWER = "power"
    SEMIDEFINITE = "semidefinite"
    INTEGER = "integer"
    NONCONVEX = "nonconvex"  # quadratics
    NONLINEAR = "nonlinear"  # any other smooth expression
