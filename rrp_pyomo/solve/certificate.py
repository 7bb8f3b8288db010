"""What can be said of a point from the statement, whatever the solver says of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling.cones.base import or_one
from rrp_pyomo.modeling.constraints import InCone, membership
from rrp_pyomo.modeling.expressions import Affine
from rrp_pyomo.modeling.statement import Statement


@dataclass(frozen=True)
class ProgramCertificate:
    """How well a point satisfies a statement, and how optimal it is.

    Attributes
    ----------
    primal_residual : float
        The largest violation of a row, a cone or a bound, each relative to its own size: the
        largest of its terms at the point, variables counting for their unit at least. The rows of
        one constraint may differ in size by any factor.
    worst : str
        The constraint or variable that it is of.
    dual_residual : float or None
        ‖∇f − Σ G'w‖_∞ in multiples of the variables' units, relative to the largest term; None
        where the solver has no duals.
    gap : float or None
        Primal minus dual objective, relative to the larger of the objective's terms and 1 unit.
    tolerance : float
        What an answer may violate a constraint by, relative to its size.
    """

    primal_residual: float
    worst: str
    dual_residual: float | None
    gap: float | None
    tolerance: float

    @property
    def is_feasible(self) -> bool:
        """Whether every constraint holds to the tolerance."""
        return self.primal_residual <= self.tolerance

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings."""
        return dict(vars(self))


def relative_residuals(statement: Statement, x: FloatArray) -> dict[str, float]:
    """The largest violation among a constraint's rows, and a variable's bounds, by their sizes."""
    units = statement.units
    lower, upper = statement.bounds()
    residuals = {}
    for v in statement.variables.values():
        own = slice(v.offset, v.offset + v.size)
        gap = np.maximum(np.maximum(lower[own] - x[own], x[own] - upper[own]), 0.0)
        residuals[v.name] = float((gap / np.maximum(v.unit, np.abs(x[own]))).max())
        if v.domain != "continuous":
            fraction = float(np.abs(x[own] - np.round(x[own])).max())
            residuals[v.name] = max(residuals[v.name], fraction)
    for name, constraint in statement.constraints.items():
        residuals[name] = max(0.0, _relative_violation(constraint, x, units))
    return residuals


def _relative_violation(constraint: Any, x: FloatArray, units: FloatArray) -> float:
    cone = constraint if isinstance(constraint, InCone) else membership(constraint)
    if cone is not None:
        sizes = [_affine_sizes(part, x, units) for part in cone.parts]
        return cone.cone.relative_violation([part.value(x) for part in cone.parts], sizes)
    body, gap = constraint.body, constraint.body.value(x)
    missed = np.abs(gap) if constraint.sense == "==" else gap * constraint.sign
    size = _affine_sizes(body.affine, x, units)
    for weighted in body.terms:
        values = np.abs(weighted.numbers * weighted.term.value(x))
        size = np.maximum(size, np.sum(values) if weighted.summed else values)
    return float(np.max(missed / or_one(size)))


def _affine_sizes(expression: Affine, x: FloatArray, units: FloatArray) -> FloatArray:
    """The largest term of each row."""
    rows = expression.rows()
    sizes = np.abs(rows.constant)
    terms = np.abs(rows.val) * np.maximum(np.abs(x[rows.col]), units[rows.col])
    np.maximum.at(sizes, rows.row, terms)
    return sizes


def certificate_of_point(
    statement: Statement, x: FloatArray, numbers: dict[str, FloatArray], tolerance: float
) -> ProgramCertificate:
    """The certificate of a point without multipliers, for these values of the parameters."""
    with statement.with_numbers(numbers):
        residuals = relative_residuals(statement, x)
    worst = max(residuals, key=residuals.__getitem__)
    return ProgramCertificate(residuals[worst], worst, None, None, tolerance)
