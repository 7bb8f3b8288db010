"""A proved bound on the objective of a nonconvex quadratic model, by its relaxation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rrp_pyomo.errors import ModelError
from rrp_pyomo.solve.elimination import Reduced
from rrp_pyomo.solve.relaxation import Relaxation
from rrp_pyomo.solvers.reading.errors import NonlinearModelError
from rrp_pyomo.solvers.reading.standard_form import StandardForm, read_model


@dataclass(frozen=True)
class ObjectiveBound:
    """How good a model's objective can be at best, and how good it is now.

    Attributes
    ----------
    bound : float
        No feasible point has a smaller objective (a larger one, where it is maximised). Computed
        from the multipliers of a relaxation and the bounds of the variables, whatever the solver's
        errors; infinite where the relaxation is unbounded.
    objective : float or None
        The objective at the values that the variables have; None where some have none.
    violation : float or None
        By how much these values miss a constraint or bound at most; the gap is worth that much
        less.
    unbounded : tuple of str
        Variables to which the model gives no bounds. The bound is proved for values up to a
        thousand times those of the relaxation's solution.
    status : str
        Of the relaxation, in its solver's words.
    """

    bound: float
    objective: float | None
    violation: float | None
    unbounded: tuple[str, ...]
    status: str

    @property
    def gap(self) -> float | None:
        """By how much the objective is off the optimum at most, in its own unit."""
        return None if self.objective is None else abs(self.objective - self.bound)

    @property
    def relative_gap(self) -> float | None:
        """The gap over the size of the objective."""
        if self.objective is None or self.gap is None:
            return None
        return self.gap / abs(self.objective) if self.objective else np.inf


def objective_bound(model: Any) -> ObjectiveBound:
    """A proved bound on the objective of a model with products of variables.

    For a minimisation no feasible point has an objective below it, for a maximisation none above;
    with a local optimum of Ipopt's it says how far that is from the global one at most. It is the
    optimal value of a semidefinite relaxation, solved by Clarabel: exact for convex models, often
    almost exact for a few nonconvex rows such as caps on risk contributions. 20 variables that are
    multiplied take a second, 40 ten, 60 a minute.

    Parameters
    ----------
    model : pyomo.environ block or pyomo.kernel block
        With linear and quadratic functions. Finite bounds make the relaxation tight.

    Returns
    -------
    ObjectiveBound

    Raises
    ------
    ModelError
        Functions that are more than quadratic, or integers; the message names one. Without a
        constraint that cannot be read, deactivated for the time being, the bound is weaker and
        still one.
    InfeasibleError
        The relaxation has no solution, and so the model has none.
    SolverError
        Clarabel failed.

    References
    ----------
    Shor (1987), Quadratic optimization problems; Sherali & Adams (1990), A hierarchy of relaxations
    between the continuous and convex hull representations.

    Examples
    --------
    Ipopt finds a local minimum of −xy − x; no point is better than the bound, by so much at most:

    >>> import pyomo.environ as pyo
    >>> from rrp_pyomo import objective_bound
    >>> m = pyo.ConcreteModel()
    >>> m.x, m.y = pyo.Var(bounds=(-1, 2), initialize=1), pyo.Var(bounds=(-1, 1), initialize=1)
    >>> m.cost = pyo.Objective(expr=-m.x * m.y - m.x)
    >>> results = pyo.SolverFactory("casadi_ipopt").solve(m)
    >>> proved = objective_bound(m)
    >>> round(proved.objective, 4), round(proved.bound, 4)
    (-4.0, -4.0)
    """
    try:
        stated = read_model(model, cones=False)
    except NonlinearModelError as error:
        raise ModelError(
            f"a bound is known for quadratic models only: {str(error).split(';')[0]}; deactivate "
            "it while the bound is computed, which is then weaker and still one"
        ) from error
    relaxation = Relaxation(stated, Reduced.of(stated))
    bound, status = relaxation.bound()
    objective, violation = _now(stated)
    return ObjectiveBound(
        bound=stated.sense * bound,
        objective=objective,
        violation=violation,
        unbounded=relaxation.unbounded(),
        status=status,
    )


def _now(stated: StandardForm) -> tuple[float | None, float | None]:
    """The objective at the variables' values, and by how much these miss a constraint."""
    values = [v.value for v in stated.variables]
    if None in values:
        return None, None
    x = np.array(values, float)
    rows = stated.substituted(stated.linear.rows)
    body = rows.constant + np.bincount(rows.row, rows.val * x[rows.col], rows.size)
    missed = [stated.lower - x, x - stated.upper]
    missed += [stated.linear.lower - body, body - stated.linear.upper]
    for q in stated.quadratics:
        value = q.body.value(values)
        missed.append(np.array([q.lower - value, value - q.upper]))
    worst = max(0.0, *(float(m.max(initial=0.0)) for m in missed))
    return float(stated.objective.value(values)), worst
