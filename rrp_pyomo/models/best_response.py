"""How much better other weights could be: bounds on a convex loss from its subgradients.

For a convex loss f with a subgradient g at x, f(v) ≥ f(x) + g'(v − x). With costs c kept as they
are, no admissible weights have a loss below f(x) + c(x) by more than

    gap = g'x + c(x) − min over v ∈ X of g'v + c(v),

a linear program, whatever found x.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from scipy.optimize import linprog

from rrp_pyomo.data import ResolvedWeightSet
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling import Affine, norm, sum_squares
from rrp_pyomo.models.trading import Trading
from rrp_pyomo.models.weights import inequalities, state_weights, totals
from rrp_pyomo.program import Program
from rrp_pyomo.solve.program import solve_program


def least_over(
    X: ResolvedWeightSet, trading: Trading, g: FloatArray, gross: float | None = None
) -> float:
    """min g'v + c(v) over v ∈ X, with Σ|v_i| ≤ ``gross`` if that is given; −inf if unbounded."""
    if X.is_simplex and trading.is_free:
        return float(g.min())
    n = g.size
    sized = bool(trading.costs.any()) or trading.turnover is not None
    # Columns: v, |v − previous|, max|v|, |v|.
    blocks: list[tuple[sp.csr_matrix, FloatArray]] = []
    eye, none = sp.identity(n, format="csr"), sp.csr_matrix((n, n))
    one, zero = sp.csr_matrix(np.ones((n, 1))), sp.csr_matrix((n, 1))

    def rows(v: Any, t: Any, s: Any, a: Any, bound: FloatArray) -> None:
        blocks.append((sp.hstack([v, t, s, a], format="csr"), bound))

    single = sp.csr_matrix((1, n))
    for sign in (1.0, -1.0):
        if sized:
            rows(sign * eye, -eye, zero, none, sign * trading.previous)
        if trading.largest:
            rows(sign * eye, none, -one, none, np.zeros(n))
        if gross is not None:
            rows(sign * eye, none, zero, -eye, np.zeros(n))
    if trading.turnover is not None:
        limit = sp.csr_matrix(np.ones((1, n)))
        rows(single, limit, sp.csr_matrix((1, 1)), single, np.array([trading.turnover]))
    if gross is not None:
        limit = sp.csr_matrix(np.ones((1, n)))
        rows(single, single, sp.csr_matrix((1, 1)), limit, np.array([gross]))
    for _, matrix, bound in inequalities(X):
        wide = sp.csr_matrix((bound.size, n))
        rows(-matrix, wide, sp.csr_matrix((bound.size, 1)), wide, -bound)
    equal = totals(X)
    padded = np.zeros((len(equal), 3 * n + 1))
    padded[:, :n] = np.array([row for _, row, _ in equal]).reshape(len(equal), n)
    objective = np.concatenate([g, trading.costs, [trading.largest], np.zeros(n)])
    size = float(np.abs(objective).max()) or 1.0  # HiGHS takes what is tiny for 0
    result = linprog(
        objective / size,
        A_ub=sp.vstack([block for block, _ in blocks]) if blocks else None,
        b_ub=np.concatenate([bound for _, bound in blocks]) if blocks else None,
        A_eq=padded if equal else None,
        b_eq=np.array([total for *_, total in equal]) if equal else None,
        bounds=np.concatenate(
            [
                np.column_stack([X.lower, X.upper]),
                np.tile([0.0, np.inf if sized else 0.0], (n, 1)),
                [[0.0, np.inf if trading.largest else 0.0]],
                np.tile([0.0, np.inf if gross is not None else 0.0], (n, 1)),
            ]
        ),
        method="highs",
    )
    return size * float(result.fun) if result.status == 0 else -np.inf


class Curvature(NamedTuple):
    """A loss that grows by at least weight · ‖root (v − x)‖² beside its tangent."""

    root: Any
    weight: float


def least_with_curvature(
    X: ResolvedWeightSet, trading: Trading, g: FloatArray, x: FloatArray, curvature: Curvature
) -> float:
    """min g'v + c(v) + weight ‖root (v − x)‖² over v ∈ X, less what the solver leaves open."""
    size = float(np.abs(g).max()) or 1.0
    program = Program("best_response")
    v = state_weights(program, X)
    growth = (curvature.weight / size) * sum_squares(curvature.root @ (v - x))
    program.minimize((g / size) @ v + trading.state(program, v) * (1.0 / size) + growth)
    solution = solve_program(program)
    return size * (solution.objective - abs(solution.duality_gap or 0.0))


def state_least_over(
    program: Program,
    X: ResolvedWeightSet,
    trading: Trading,
    g: Affine,
    x: FloatArray,
    curvature: Curvature | None = None,
) -> Any:
    """The dual of :func:`least_over` for a g that is chosen: a concave lower bound of its value.

    With multipliers of every constraint of X, and s, r of the costs, g + s + r is their sum; so it
    is with y'root of a curvature, as in :func:`least_with_curvature`.
    """
    n = g.size
    total: Any = g
    value: Any = 0.0

    def multiplier(name: str, rows: Any, bound: FloatArray, sign: float) -> None:
        nonlocal total, value
        at = np.flatnonzero(np.isfinite(bound))
        if not at.size:
            return
        y = program.variable(program.free_name(name), int(at.size), lower=0.0)
        total = total - (sign * rows[at].T) @ y
        value = value + sign * (bound[at] @ y)

    eye = sp.identity(n, format="csr")
    multiplier("lower", eye, X.lower, 1.0)
    multiplier("upper", eye, X.upper, -1.0)
    for name, matrix, bound in inequalities(X):
        multiplier(name, matrix, bound, 1.0)
    for name, row, sum_of_row in totals(X):
        level = program.variable(program.free_name(name))
        total, value = total - row[:, None] @ level, value + sum_of_row * level
    if trading.costs.any() or trading.turnover is not None:
        s = program.variable(program.free_name("trade"), n)
        most: Any = trading.costs
        if trading.turnover is not None:
            theta = program.variable(program.free_name("turnover"), lower=0.0)
            most = np.ones((n, 1)) @ theta + trading.costs
            value = value - trading.turnover * theta
        program.subject_to(**{program.free_name("trade_above"): s <= most})
        program.subject_to(**{program.free_name("trade_below"): -s <= most})
        total, value = total + s, value - trading.previous @ s
    if trading.largest:
        r = program.variable(program.free_name("largest"), n)
        program.subject_to(**{program.free_name("largest_size"): norm(r, 1) <= trading.largest})
        total = total + r
    if curvature is not None:
        R = curvature.root.toarray() if hasattr(curvature.root, "toarray") else curvature.root
        y = program.variable(program.free_name("growth"), len(R))
        total, value = total + R.T @ y, value - (R @ x) @ y
        value = value - sum_squares(y) * (0.25 / curvature.weight)
    program.subject_to(**{program.free_name("stationary"): total == np.zeros(n)})
    return value
