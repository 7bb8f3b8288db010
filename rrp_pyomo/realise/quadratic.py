"""Realisation with linear and quadratic functions, for nonlinear solvers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rrp_pyomo.errors import ModelError
from rrp_pyomo.forms.quadratic import QuadraticForm
from rrp_pyomo.forms.rows import IntArray, Rows, stacked
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling.composite import Composite, Weighted, as_composite
from rrp_pyomo.modeling.constraints import QuadraticBound, Stated
from rrp_pyomo.realise.conic import sparse
from rrp_pyomo.realise.lowering import Lowered


def quadratic_form(source: Lowered) -> QuadraticForm:
    """Compile a statement over variables to matrices with quadratic functions.

    Auxiliary variables of cones come after the program's own columns. A maximisation is stated as
    the minimisation of the negative.

    Raises
    ------
    ModelError
        A cone that is not quadratic, such as the exponential one, or integers.
    """
    for variable in source.variables.values():
        if variable.domain != "continuous":
            raise ModelError(
                f"variable {variable.name!r} is {variable.domain}, and nonlinear solvers take "
                "continuous variables only; use 'outer_approximation', 'scip' or 'gurobi'"
            )
    bounds = [as_quadratic_bound(name, c) for name, c in source.stated.items()]
    sign = -1.0 if source.maximizing else 1.0
    objective = _expanded(as_composite(source.objective * sign))
    bodies = [_expanded(bound.body) for bound in bounds]
    starts = np.cumsum([0] + [body.affine.size for body in bodies])
    A, constant = sparse(stacked([body.affine for body in bodies]), source.columns)
    sizes = [body.affine.size for body in bodies]
    lower, upper = source.bounds()
    cost = objective.affine
    return QuadraticForm(
        c=np.bincount(cost.col, cost.val, source.columns).astype(float),
        constant=float(cost.constant[0]),
        A=A,
        row_lower=np.repeat([bound.lower for bound in bounds], sizes) - constant,
        row_upper=np.repeat([bound.upper for bound in bounds], sizes) - constant,
        lower=lower,
        upper=upper,
        row=np.concatenate(
            [body.row + start for body, start in zip(bodies, starts, strict=False)]
            + [objective.row - 1]
        ),
        i=np.concatenate([body.i for body in bodies] + [objective.i]),
        j=np.concatenate([body.j for body in bodies] + [objective.j]),
        value=np.concatenate([body.value for body in bodies] + [objective.value]),
        units=source.units,
    )


def as_quadratic_bound(name: str, constraint: Stated) -> QuadraticBound:
    """A membership over variables as a bound on a quadratic, such as r² − v'v ≥ 0.

    Raises
    ------
    ModelError
        The cone is not quadratic.
    """
    if isinstance(constraint, QuadraticBound):
        return constraint
    if constraint.cone.is_linear:
        affine, lower, upper = constraint.bounded_body
        return QuadraticBound(as_composite(affine), lower, upper)
    bound = constraint.cone.quadratic(*constraint.parts)
    if bound is None:
        raise ModelError(
            f"constraint {name!r} is a matter of the {constraint.cone.name} cone, which no "
            "quadratic function states; use block() or kernel(), or a conic solver"
        )
    body, lower, upper = bound
    if constraint.sign < 0:
        return QuadraticBound(-body, -upper, -lower)
    return QuadraticBound(body, lower, upper)


class _Expanded(NamedTuple):
    """Affine rows and the triplets of the quadratic terms, for one body."""

    affine: Rows
    row: IntArray
    i: IntArray
    j: IntArray
    value: FloatArray


def _expanded(body: Composite) -> _Expanded:
    affine = [body.affine.rows()]
    terms = []
    for weighted in body.terms:
        linear, quadratic = _multiplied(weighted, body.size)
        affine.append(linear)
        terms.append(quadratic)
    rows = Rows(
        np.concatenate([r.row for r in affine]),
        np.concatenate([r.col for r in affine]),
        np.concatenate([r.val for r in affine]),
        np.sum([r.constant for r in affine], axis=0),
    )
    none = np.zeros(0, np.intp)
    row, i, j = (np.concatenate([none] + [t[k] for t in terms]) for k in range(3))
    return _Expanded(rows, row, i, j, np.concatenate([np.zeros(0)] + [t[3] for t in terms]))


def _multiplied(
    weighted: Weighted, size: int
) -> tuple[Rows, tuple[IntArray, IntArray, IntArray, FloatArray]]:
    """w (Gₐx + hₐ)(G_b x + h_b), row by row: the affine part, and the pairs of entries."""
    a, b = weighted.term.a.rows(), weighted.term.b.rows()
    weight = np.broadcast_to(weighted.numbers, (a.size,))
    order = np.argsort(b.row, kind="stable")
    count = np.bincount(b.row, minlength=b.size)
    start = np.cumsum(count) - count
    # Each entry of a meets every entry of b in the same row.
    pairs = count[a.row]
    left = np.repeat(np.arange(a.row.size), pairs)
    nth = np.arange(left.size) - np.repeat(np.cumsum(pairs) - pairs, pairs)
    right = order[start[a.row[left]] + nth]
    target = np.zeros(a.size, np.intp) if weighted.summed else np.arange(a.size)
    value = weight[a.row[left]] * a.val[left] * b.val[right]
    constant = weight * a.constant * b.constant
    affine = Rows(
        np.concatenate([target[a.row], target[b.row]]),
        np.concatenate([a.col, b.col]),
        np.concatenate(
            [(weight * b.constant)[a.row] * a.val, (weight * a.constant)[b.row] * b.val]
        ),
        np.bincount(target, constant, size).astype(float),
    )
    return affine, (target[a.row[left]], a.col[left], b.col[right], value)
