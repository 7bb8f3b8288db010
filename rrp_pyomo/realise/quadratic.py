"""Realisation with linear and quadratic functions, for nonlinear solvers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rrp_pyomo.forms.conic import Rows
from rrp_pyomo.forms.quadratic import QuadraticForm
from rrp_pyomo.modeling.constraints import (
    Constraint,
    Linear,
    NormBound,
    ProductBound,
    QuadraticBound,
)
from rrp_pyomo.modeling.expressions import Affine, Product, Quadratic
from rrp_pyomo.modeling.program import Program
from rrp_pyomo.realise.conic import sparse, stacked
from rrp_pyomo.realise.lifting import lifted

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]


def quadratic_form(program: Program) -> QuadraticForm:
    """Compile a program to matrices with quadratic functions; see :meth:`Program.quadratic`.

    Auxiliary variables of cones come after the program's own columns. A maximisation is stated as
    the minimisation of the negative.
    """
    program = lifted(program)
    bounds = [as_quadratic_bound(c) for c in program.constraints.values()]
    sign = -1.0 if program.maximizing else 1.0
    objective = _expanded(_as_quadratic(program.objective) * sign)
    bodies = [_expanded(bound.body) for bound in bounds]
    starts = np.cumsum([0] + [body.affine.size for body in bodies])
    rows = stacked([body.affine for body in bodies])
    A, constant = sparse(rows, program.columns)
    sizes = [body.affine.size for body in bodies]
    lower, upper = program.bounds()
    cost = objective.affine
    return QuadraticForm(
        c=np.bincount(cost.col, cost.val, program.columns).astype(float),
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
        units=program.units,
    )


def as_quadratic_bound(constraint: Constraint) -> QuadraticBound:
    """A lifted constraint as a bound on a quadratic: v'v ≤ r² and ab ≥ c² for the cones."""
    match constraint:
        case Linear(body, lower, upper):
            return QuadraticBound(_as_quadratic(body), lower, upper)
        case NormBound(parts, bound):
            squares = tuple(Product(e, e, summed=True) for e in parts)
            return QuadraticBound(
                Quadratic(1, Affine(1, {}), (*squares, Product(bound, bound, -1.0))), -np.inf, 0.0
            )
        case ProductBound(a, b, c):
            return QuadraticBound(Quadratic.product(a, b) - Quadratic.product(c, c), 0.0, np.inf)
    return constraint


def _as_quadratic(body: Affine | Quadratic) -> Quadratic:
    return body if isinstance(body, Quadratic) else Quadratic(body.size, body, ())


class _Expanded(NamedTuple):
    """Affine rows and the triplets of the quadratic terms, for one body."""

    affine: Rows
    row: IntArray
    i: IntArray
    j: IntArray
    value: FloatArray


def _expanded(body: Quadratic) -> _Expanded:
    affine = [body.affine.rows()]
    terms = []
    for product in body.products:
        linear, quadratic = _multiplied(product, body.size)
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
    product: Product, size: int
) -> tuple[Rows, tuple[IntArray, IntArray, IntArray, FloatArray]]:
    """w (Gₐx + hₐ)(G_b x + h_b), row by row: the affine part, and the pairs of entries."""
    a, b = product.a.rows(), product.b.rows()
    weight = np.broadcast_to(product.weight, (a.size,))
    order = np.argsort(b.row, kind="stable")
    count = np.bincount(b.row, minlength=b.size)
    start = np.cumsum(count) - count
    # Each entry of a meets every entry of b in the same row.
    pairs = count[a.row]
    left = np.repeat(np.arange(a.row.size), pairs)
    nth = np.arange(left.size) - np.repeat(np.cumsum(pairs) - pairs, pairs)
    right = order[start[a.row[left]] + nth]
    target = np.zeros(a.size, np.intp) if product.summed else np.arange(a.size)
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
