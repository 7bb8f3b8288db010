"""``TransformationFactory("rrp_pyomo.robust_counterpart")``: against every element of a set.

A constraint a(x) + Σ_j p_j b_j(x) ≤ c that holds for every p of a convex compact set U says
a(x) + σ_U(b(x)) ≤ c, where σ_U(d) = max of d'p over U is the support function: exactly, whatever
a and b are, since it is about one x at a time (Ben-Tal, El Ghaoui & Nemirovski 2009, chapter 1).
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import pyomo.environ as pyo
from pyomo.core.base.block import ScalarBlock
from pyomo.core.base.transformation import Transformation
from pyomo.core.expr.numeric_expr import SumExpression
from pyomo.gdp import Disjunct

from rrp_pyomo.errors import ModelError, UnknownLabelError, warn
from rrp_pyomo.transformations.collected import Collected, collected
from rrp_pyomo.transformations.parameter_terms import ParameterTerms
from rrp_pyomo.transformations.robust_rows import (
    Direction,
    RobustRow,
    bound_adversary,
    state_adversary,
)
from rrp_pyomo.transformations.uncertain_params import UncertainParams, uncertain_params

NAME = "robust_counterpart"


class RobustCounterpartBlock(ScalarBlock):  # type: ignore[misc]
    """What the transformation adds to a model, as ``model.robust_counterpart``.

    Attributes
    ----------
    rows : Block
        By the name of a constraint or objective: the adversary's variables and cones. A constraint
        with two uncertain sides has ``<name>.upper`` and ``<name>.lower``.
    lower : Constraint
        The lower sides of constraints that had two; their upper ones are where they were.

    Examples
    --------
    >>> import pyomo.environ as pyo
    >>> import rrp_pyomo
    >>> from rrp_pyomo.uncertainty import Box
    >>> m = pyo.ConcreteModel()
    >>> m.x = pyo.Var(bounds=(0, None))
    >>> m.demand = pyo.Param(initialize=2.0, mutable=True)
    >>> m.served = pyo.Constraint(expr=m.x >= m.demand)
    >>> m.cost = pyo.Objective(expr=m.x)
    >>> transformation = pyo.TransformationFactory("rrp_pyomo.robust_counterpart")
    >>> robust = transformation.create_using(m, sets={"demand": Box([2.0], 0.5)})
    >>> results = pyo.SolverFactory("clarabel").solve(robust)
    >>> robust.robust_counterpart.worst_case()
    {'served': {'demand': 2.5}}
    """

    def __init__(self) -> None:
        super().__init__(concrete=True)
        self._robust_rows: dict[str, RobustRow] = {}
        self.rows = pyo.Block(pyo.Any)
        self.lower = pyo.Constraint(pyo.Any)

    def worst_case(self) -> dict[str, dict[str, pd.Series | float]]:
        """Against what each row is robust, at the values that the variables have now.

        Returns
        -------
        dict
            By the name of each constraint or objective (of those with two uncertain sides
            ``<name>.upper`` and ``<name>.lower``): by the name of each of its uncertain Params the
            element of its set that makes the row worst, a Series by index, or a float for a Param
            without indices. Where several elements do, one of them. Params that the row does not
            have are left out.

        Raises
        ------
        ModelError
            A variable has no value yet.
        """
        self._require_values()
        return {name: row.worst_case() for name, row in self._robust_rows.items()}

    def worst_values(self) -> pd.Series:
        """The worst value over the sets of each constraint's body and of the objective.

        They are computed from the sets and the values that the variables have now, not from what a
        solver said. Where a bound is uncertain, too, it counts as a part of the body.

        Raises
        ------
        ModelError
            A variable has no value yet.
        """
        self._require_values()
        values = {name: row.worst_value() for name, row in self._robust_rows.items()}
        return pd.Series(values, name="worst value", dtype=float)

    def _require_values(self) -> None:
        for row in self._robust_rows.values():
            for entry in (row.rest, *(b for d in row.directions for b in d.entries.values())):
                if pyo.value(entry, exception=False) is None:
                    raise ModelError(
                        f"variables in {row.name!r} have no value; solve the model first, and load "
                        "its solution"
                    )


class RobustCounterpart(Transformation):  # type: ignore[misc]
    """Replace constraints and objectives that are affine in uncertain Params by their worst case.

    ``pyo.TransformationFactory("rrp_pyomo.robust_counterpart")`` has it; ``create_using`` gives a
    new model, ``apply_to`` changes the one it is given. Their argument ``sets`` maps mutable Params
    of the model (their names, or tuples of several) to convex sets of vectors: those of
    :mod:`rrp_pyomo.uncertainty`, a Series or array for a known value, or those of
    :mod:`pyomo.contrib.pyros`. Labels of a set are the indices of its Param, those of a set over
    several Params their names, such as ``mu[A]``; a set without labels goes by the Param's order.

    Examples
    --------
    The right side is uncertain, 2 ± 0.5: what must reach it for sure is 2.5.

    >>> import pyomo.environ as pyo
    >>> import rrp_pyomo
    >>> from rrp_pyomo.uncertainty import Box
    >>> m = pyo.ConcreteModel()
    >>> m.x = pyo.Var(bounds=(0, None))
    >>> m.demand = pyo.Param(initialize=2.0, mutable=True)
    >>> m.served = pyo.Constraint(expr=m.x >= m.demand)
    >>> m.cost = pyo.Objective(expr=m.x)
    >>> transformation = pyo.TransformationFactory("rrp_pyomo.robust_counterpart")
    >>> robust = transformation.create_using(m, sets={"demand": Box([2.0], 0.5)})
    >>> results = pyo.SolverFactory("clarabel").solve(robust)
    >>> round(robust.x.value, 4)
    2.5
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(name="rrp_pyomo.robust_counterpart")
        _refuse(options)

    def _apply_to(self, model: Any, sets: Any = None, **options: Any) -> None:
        _refuse(options)
        if getattr(model, NAME, None) is not None:
            raise ModelError(
                f"{model.name!r} has a {NAME!r} already; transform the model that it was made of, "
                "with the sets of all Params at once, or rename a component of that name"
            )
        uncertain = uncertain_params(model, {} if sets is None else sets)
        rows = collected(model, uncertain)  # raises before anything is changed
        _warn_of_idle(uncertain, rows)
        block = RobustCounterpartBlock()
        model.add_component(NAME, block)
        _Statement(block, uncertain).replace(rows)


def _refuse(options: dict[str, Any]) -> None:
    for option in options:
        raise UnknownLabelError("option of rrp_pyomo.robust_counterpart", option, ["sets"])


def _warn_of_idle(uncertain: list[UncertainParams], rows: list[Collected]) -> None:
    used = {j for row in rows for part in row[2:] if part is not None for j in part.coefficients}
    for u in uncertain:
        if not any(id(p) in used for p in u.params):
            warn(
                f"{u.name} is in no active constraint or objective, so that its set changes "
                "nothing: expressions hold a Param itself only where it is mutable"
            )


class _Statement:
    """Puts worst cases in the place of rows."""

    def __init__(self, block: Any, uncertain: list[UncertainParams]) -> None:
        self._block = block
        self._uncertain = [(u, {id(p): k for k, p in enumerate(u.params)}) for u in uncertain]
        self._rows: dict[str, RobustRow] = block._robust_rows

    def replace(self, rows: list[Collected]) -> None:
        for row in rows:
            if row.component.ctype is pyo.Objective:
                self._replace_objective(row)
            else:
                self._replace_constraint(row)

    def _replace_objective(self, row: Collected) -> None:
        sign = 1.0 if row.component.is_minimizing() else -1.0
        worst = self._worst(row.name, row.body.multiplied(sign), sign, row.component)
        row.component.set_value(row.body.rest + sign * worst)

    def _replace_constraint(self, row: Collected) -> None:
        name, constraint, body, lower, upper = row
        if constraint.equality and upper is not None:
            constraint.set_value(body.rest == upper.rest)
            return
        both = lower is not None and upper is not None
        if upper is not None:
            full = f"{name}.upper" if both else name
            terms = body - upper if upper.coefficients else body
            worst = self._worst(full, terms, 1.0, constraint)
            constraint.set_value((None, _sum(body.rest, worst), upper.rest))
        if lower is not None:
            full = f"{name}.lower" if both else name
            terms = lower - body if lower.coefficients else body.negated()
            worst = self._worst(full, terms, -1.0, constraint)
            side = lower.rest, _sum(body.rest, -worst), None
            if both:
                self._block.lower[name] = side
            else:
                constraint.set_value(side)

    def _worst(self, name: str, terms: ParameterTerms, sign: float, component: Any) -> Any:
        """max over the sets of Σ_j p_j b_j(x): a number, or a variable that is at least that."""
        directions = [Direction.of(*u, terms.coefficients) for u in self._uncertain]
        directions = [d for d in directions if d.entries]
        if not directions:
            return 0.0
        row = RobustRow(name, terms.rest, directions, sign)
        self._rows[name] = row
        worst = state_adversary(self._block.rows[name], row)
        if _is_in_disjunct(component):
            bound_adversary(worst, row)
        return worst


def _is_in_disjunct(component: Any) -> bool:
    block = component.parent_block()
    while block is not None and block.ctype is not Disjunct:
        block = block.parent_block()
    return block is not None


def _sum(rest: Any, worst: Any) -> Any:
    """The sum as an expression, also of numbers, which make no constraint."""
    return SumExpression([rest, worst])
