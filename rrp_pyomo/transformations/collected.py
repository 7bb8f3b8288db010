"""Which rows of a model have uncertain Params, as a(x) + Σ_j p_j b_j(x), and what is refused."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

import numpy as np
import pyomo.environ as pyo
from pyomo.gdp import Disjunct

from rrp_pyomo.errors import ModelError
from rrp_pyomo.transformations.parameter_terms import (
    NotAffineError,
    ParameterTerms,
    mentions,
    parameter_terms,
)
from rrp_pyomo.transformations.uncertain_params import UncertainParams


class Collected(NamedTuple):
    """A constraint or objective with uncertain Params in it.

    Attributes
    ----------
    name : str
        In the model that is transformed.
    component : ConstraintData or ObjectiveData
    body : ParameterTerms
    lower, upper : ParameterTerms or None
        None where there is no such bound, and for objectives.
    """

    name: str
    component: Any
    body: ParameterTerms
    lower: ParameterTerms | None = None
    upper: ParameterTerms | None = None


def collected(model: Any, uncertain: list[UncertainParams]) -> list[Collected]:
    """Every active constraint and objective that has uncertain Params.

    Raises
    ------
    ModelError
        One is not affine in them or an equality, or they are in the bound of a variable or in a
        logical constraint.
    """
    params = {id(p) for u in uncertain for p in u.params}
    _refuse_elsewhere(model, params)
    return [*_constraints(model, params, uncertain), *_objectives(model, params)]


def _constraints(
    model: Any, params: set[int], uncertain: list[UncertainParams]
) -> Iterator[Collected]:
    for constraint in _data(model, pyo.Constraint):
        sides = constraint.to_bounded_expression()
        if not any(mentions(side, params) for side in sides):
            continue
        name = constraint.getname(fully_qualified=True, relative_to=model)
        lower, body, upper = (
            None if side is None else _terms(f"constraint {name!r}", side, params) for side in sides
        )
        assert body is not None
        if constraint.equality:
            assert upper is not None
            certain = _certain(uncertain)
            _require_certain(name, {**body.coefficients, **upper.coefficients}, certain)
            lower = upper = upper.at(certain)
            body = body.at(certain)
        yield Collected(name, constraint, body, lower, upper)


def _objectives(model: Any, params: set[int]) -> Iterator[Collected]:
    for objective in _data(model, pyo.Objective):
        if mentions(objective.expr, params):
            name = objective.getname(fully_qualified=True, relative_to=model)
            yield Collected(name, objective, _terms(f"objective {name!r}", objective.expr, params))


def _data(model: Any, kind: type) -> Iterator[Any]:
    yield from model.component_data_objects(kind, active=True, descend_into=(pyo.Block, Disjunct))


def _terms(what: str, expression: Any, params: Collection[int]) -> ParameterTerms:
    try:
        return parameter_terms(expression, params)
    except NotAffineError as error:
        raise ModelError(
            f"{what} is not affine in the uncertain Params: it {error}; an exact counterpart needs "
            "that it is: declare a Param for the whole coefficient, with a set of its own"
        ) from None


def _certain(uncertain: list[UncertainParams]) -> dict[int, float]:
    """The values of Params whose sets leave them a single one."""
    found = {}
    for u in uncertain:
        for unit, param in zip(np.eye(len(u.params)), u.params, strict=True):
            most, least = u.set.support(unit), -u.set.support(-unit)
            if most == least:
                found[id(param)] = most
    return found


def _require_certain(name: str, coefficients: Any, certain: dict[int, float]) -> None:
    if not all(j in certain for j in coefficients):
        raise ModelError(
            f"constraint {name!r} is an equality with uncertain Params: variables that are chosen "
            "before the Params are known cannot meet it for more than one of their values; state "
            "an inequality, or put what the equality defines in its place, as an Expression"
        )


def _refuse_elsewhere(model: Any, params: set[int]) -> None:
    for variable in model.component_data_objects(pyo.Var, descend_into=(pyo.Block, Disjunct)):
        if mentions(variable.lower, params) or mentions(variable.upper, params):
            raise ModelError(
                f"a bound of variable {variable.name} has uncertain Params; state it as a "
                "Constraint, which has a robust counterpart"
            )
    for logical in _data(model, pyo.LogicalConstraint):
        if mentions(logical.expr, params):
            raise ModelError(
                f"logical constraint {logical.name} has uncertain Params; state what it says about "
                "numbers as a Constraint of a Disjunct, which has a robust counterpart"
            )
    for component in model.component_objects(active=True, descend_into=(pyo.Block, Disjunct)):
        if component.ctype.__name__ == "Complementarity":
            for data in component.values():
                if any(mentions(side, params) for side in data._args):
                    raise ModelError(
                        f"complementarity condition {data.name} has uncertain Params, for which it "
                        "cannot hold but at one value; state its inequalities as Constraints"
                    )
