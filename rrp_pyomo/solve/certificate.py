"""What can be said of a point from the statement, whatever the solver says of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling.constraints import InCone, membership
from rrp_pyomo.modeling.expressions import Affine
from rrp_pyomo.modeling.statement import Statement, violation


@dataclass(frozen=True)
class ProgramCertificate:
    """How well a point satisfies a statement, and how optimal it is.

    Attributes
    ----------
    primal_residual : float
        The largest violation of a constraint or bound, each relative to its own size: the largest
        of its terms at the point, variables counting for their unit at least.
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
    """The violation of each constraint, and of each variable's bounds, relative to its own size."""
    units = statement.units
    lower, upper = statement.bounds()
    residuals = {}
    for v in statement.variables.values():
        own = slice(v.offset, v.offset + v.size)
        gap = np.maximum(np.maximum(lower[own] - x[own], x[own] - upper[own]), 0.0)
        residuals[v.name] = float(gap.max() / max(v.unit, np.abs(x[own]).max()))
        if v.domain != "continuous":
            fraction = float(np.abs(x[own] - np.round(x[own])).max())
            residuals[v.name] = max(residuals[v.name], fraction)
    for name, constraint in statement.constraints.items():
        residuals[name] = max(0.0, _relative_violation(constraint, x, units))
    return residuals


def _relative_violation(constraint: Any, x: FloatArray, units: FloatArray) -> float:
    cone = constraint if isinstance(constraint, InCone) else membership(constraint)
    if cone is not None:
        sizes = [_affine_size(part, x, units) for part in cone.parts]
        return cone.cone.relative_violation([part.value(x) for part in cone.parts], sizes)
    missed, body = violation(constraint, x), constraint.body
    sizes = [_affine_size(body.affine, x, units)]
    for weighted in body.terms:
        values = np.abs(weighted.numbers * weighted.term.value(x))
        sizes.append(float(np.sum(values) if weighted.summed else np.max(values)))
    return missed / (max(sizes) or 1.0)


def _affine_size(expression: Affine, x: FloatArray, units: FloatArray) -> float:
    rows = expression.rows()
    terms = np.abs(rows.val) * np.maximum(np.abs(x[rows.col]), units[rows.col])
    return max(float(terms.max(initial=0.0)), float(np.abs(rows.constant).max(initial=0.0)))


def certificate_of_point(
    statement: Statement, x: FloatArray, numbers: dict[str, FloatArray], tolerance: float
) -> ProgramCertificate:
    """The certificate of a point without multipliers, for these values of the parameters."""
    with statement.with_numbers(numbers):
        residuals = relative_residuals(statement, x)
    worst = max(residuals, key=residuals.__getitem__)
    return ProgramCertificate(residuals[worst], worst, None, None, tolerance)
