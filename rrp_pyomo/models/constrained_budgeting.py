"""Constrained risk budgeting: the multiple of the budgets by a root, the weights by Newton.

Richard & Roncalli (2019) minimise

    σ(x) − λ Σ_i b_i log x_i   over the bounds and rows of X, without 1'x = 1,

with the λ for which 1'x = 1. The multiplier of 1'x = 1 is thereby 0, and what is left of the
conditions of optimality for an asset that no active constraint touches is x_i (Σx)_i ∝ b_i. For
weights of given signs it is log|x_i|, and Σ|x_i| may take the place of 1'x. With
½x'Σx in place of σ(x) the same weights belong to another λ, which is then the variance that one
unit of budget stands for; so it is stated here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.optimize
import scipy.sparse as sp

from rrp_pyomo.data import Covariance, ResolvedWeightSet
from rrp_pyomo.errors import InfeasibleError, SolverError, warn
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling import log, sum_squares
from rrp_pyomo.models.newton_systems import shifted_inverse
from rrp_pyomo.models.weights import Active, active, signed, state_weights
from rrp_pyomo.program import Program
from rrp_pyomo.solve.program import solve_program
from rrp_pyomo.solve.solution import ProgramSolution

# To what accuracy the logarithm of λ is found before Newton's method, and the part of its terms
# below which a slack makes a constraint a candidate for the active ones; which of them are active
# is then found out by their multipliers.
_ATTEMPTS = ((1e-3, 1e-5), (1e-9, 1e-7), (1e-9, 1e-3))
# Where 1'x = 1 for several λ, the one nearest to the variance is wanted: by this weight beside the
# logarithm of 1'x.
_TIE = 1e-4
_ROUNDS = 50
# How far λ may be from the variance, as a logarithm: solvers end about there.
_FURTHEST = 15.0
# By how much weights may miss their sum where they cannot be made exact.
_SUM = 1e-4


@dataclass(frozen=True, eq=False)
class Budgeted:
    """Weights that satisfy the conditions of optimality, and what shows it.

    Attributes
    ----------
    weights : (n,) array
    reward : float
        λ: the contribution to the variance that one unit of budget stands for.
    solution : ProgramSolution
        Of the last problem for a given λ.
    """

    weights: FloatArray
    reward: float
    solution: ProgramSolution


def constrained_risk_budgeting(
    covariance: Covariance,
    budgets: FloatArray,
    X: ResolvedWeightSet,
    solver: str = "clarabel",
    **options: Any,
) -> Budgeted:
    """The portfolio of Richard & Roncalli (2019) in a fully invested set.

    Parameters
    ----------
    covariance : Covariance
    budgets : (n,) array
        Not negative; an asset of budget 0 is left out of the product Π x_i^{b_i}, not of the
        portfolio.
    X : ResolvedWeightSet
    solver, **options
        For the problem with a given λ, as in :func:`~rrp_pyomo.solve_program`.

    Raises
    ------
    InfeasibleError
        X leaves no room for an asset that has a budget, or there is no such λ.
    SolverError
        The solver failed.

    References
    ----------
    Richard & Roncalli (2019), Constrained risk budgeting portfolios.
    """
    n, e = covariance.size, _normal(X)
    signs = np.ones(n) if X.signs is None else X.signs
    unit = max(float(signs @ (covariance.operator @ signs)), covariance.variances.sum())
    unit /= n**2  # the variance of equal weights, at least that of uncorrelated assets
    program = _penalised(covariance, budgets, X, unit)
    found: dict[float, ProgramSolution] = {}

    def excess(logarithm: float) -> float:
        """log e'x for a λ, increasing; and a little of log λ/x'Σx, should 1'x be the same."""
        program.set(reward=float(np.exp(logarithm)))
        solution = found[logarithm] = solve_program(program, solver, **options)
        x = solution.arrays["x"]
        variance = x @ (covariance.operator @ x) / unit
        total = max(float(e @ x), 1e-9)
        return float(np.log(total) + _TIE * (logarithm - np.log(variance)))

    try:
        bracket = _bracket(excess)
    except SolverError as error:
        if not (names := _without_room(budgets, X, signs)):
            raise
        raise InfeasibleError(
            f"the weight set leaves no room for {', '.join(names)}; give them budgets of 0, or "
            "exclude them by upper bounds of 0"
        ) from error
    for accuracy, near in _ATTEMPTS:
        root = scipy.optimize.brentq(excess, *bracket, xtol=accuracy, rtol=accuracy)
        if root not in found:
            excess(root)
        solution = found[root]
        x, reward = solution.arrays["x"], float(np.exp(root)) * unit
        exact = _polished(covariance, budgets, X, x, reward, near)
        if exact is not None:
            return Budgeted(*exact, solution)
    if abs(e @ x - 1.0) > _SUM:
        raise _without_reward(more=bool(e @ x < 1.0))
    warn(
        f"constrained risk budgeting by {solution.solver}: the active constraints could not be "
        "told apart, and weights have the solver's accuracy only; see the certificate"
    )
    return Budgeted(x, reward, solution)


def _penalised(covariance: Covariance, b: FloatArray, X: ResolvedWeightSet, unit: float) -> Program:
    """½x'Σx − λ Σ b_i log x_i over X without 1'x = 1, in units of an equally weighted portfolio."""
    program = Program("risk_budgeting_for_a_reward")
    x = state_weights(program, replace(X, fully_invested=False, gross=None))
    reward = program.parameter("reward", 1.0)
    rewarded = b > 0
    spread = b[rewarded] @ log(x.size * signed(X, x)[rewarded])
    program.minimize(0.5 * sum_squares((covariance.root / np.sqrt(unit)) @ x) - reward * spread)
    return program


def _bracket(excess: Callable[[float], float]) -> tuple[float, float]:
    """Two λ, as logarithms, between which 1'x passes 1.

    Without active constraints x grows like √λ, which tells where to look.
    """
    at, value = 0.0, excess(0.0)
    for _ in range(40):
        step = -2.0 * value
        step += np.copysign(0.1, step)
        if abs(at + step) > _FURTHEST:
            break
        beyond = excess(at + step)
        if (beyond > 0.0) != (value > 0.0):
            return at, at + step
        # Where constraints hold x back, steps grow.
        at, value = at + step, beyond * 2.0
    raise _without_reward(more=value < 0.0)


def _without_reward(more: bool) -> InfeasibleError:
    return InfeasibleError(
        "there is no constrained risk budgeting portfolio: whatever spreading the risk is "
        f"rewarded with, weights sum to {'less' if more else 'more'} than 1 under the other "
        f"constraints; {'raise upper' if more else 'lower lower'} bounds, or put a limit on the "
        "parity_gap of block()"
    )


def _without_room(b: FloatArray, X: ResolvedWeightSet, signs: FloatArray) -> list[str]:
    """Which assets with a budget X keeps at 0, where it keeps some: maximise Σ min(|x_i|, τ)."""
    n, few = len(X.labels), 1e-6
    rows = [sp.hstack([-sp.diags(signs), sp.identity(n)])]
    low, high = [np.full(n, -np.inf)], [np.zeros(n)]
    if X.matrix is not None:
        rows.append(sp.hstack([X.matrix, sp.csr_matrix(X.matrix.shape)]))
        low.append(X.row_lower)
        high.append(X.row_upper)
    held = scipy.optimize.milp(
        np.concatenate([np.zeros(n), -np.ones(n)]),
        constraints=scipy.optimize.LinearConstraint(
            sp.vstack(rows), np.concatenate(low), np.concatenate(high)
        ),
        bounds=scipy.optimize.Bounds(
            np.concatenate([X.lower, np.full(n, -np.inf)]),
            np.concatenate([X.upper, np.full(n, few)]),
        ),
    )
    if held.x is None:
        return []
    return [repr(str(X.labels[i])) for i in np.flatnonzero((b > 0) & (held.x[n:] < 0.5 * few))]


def _normal(X: ResolvedWeightSet) -> FloatArray:
    """e of the normalisation e'x = 1: of ones, or s / gross."""
    if X.gross is None or X.signs is None:
        return np.ones(len(X.labels))
    return X.signs / X.gross


# --- exact ----------------------------------------------------------------------------------------


def _missed(value: FloatArray, lower: FloatArray, upper: FloatArray) -> FloatArray:
    """−1 where a value is below its lower bound, 1 where above its upper one, beyond rounding."""
    rounding = 1e-14 * (1.0 + np.abs(value))
    return np.where(value < lower - rounding, -1.0, np.where(value > upper + rounding, 1.0, 0.0))


def _polished(
    covariance: Covariance,
    b: FloatArray,
    X: ResolvedWeightSet,
    x: FloatArray,
    reward: float,
    near: float,
) -> tuple[FloatArray, float] | None:
    """Weights and λ by Newton on the right face; None if none is found.

    Constraints that are violated are added to the active ones, those with a multiplier of the wrong
    sign are dropped, until neither is there.
    """
    matrix = sp.csr_matrix((0, x.size)) if X.matrix is None else X.matrix
    face = active(X, x, near)
    side = np.where(face.bounds < 0, X.lower, X.upper)
    face.bounds[(b > 0) & (side == 0.0)] = 0.0
    for _ in range(_ROUNDS):
        found = _on_face(covariance, b, X, matrix, face, x, reward)
        if found is None:
            return None
        point, price, multipliers = found
        missed = _missed(point, X.lower, X.upper) * (face.bounds == 0.0)
        missed_rows = _missed(matrix @ point, X.row_lower, X.row_upper) * (face.rows == 0.0)
        if missed.any() or missed_rows.any():
            face = Active(face.bounds + missed, face.rows + missed_rows)
            continue
        gradient = covariance.operator @ point - price * _ratio(b, point) - matrix.T @ multipliers
        tolerance = 1e-9 * float(np.abs(covariance.operator @ point).max())
        fixed = X.lower == X.upper
        wrong = (gradient * face.bounds > tolerance) & ~fixed
        wrong_rows = (multipliers * face.rows > tolerance) & (X.row_lower != X.row_upper)
        if not wrong.any() and not wrong_rows.any():
            return point, price
        face = Active(np.where(wrong, 0.0, face.bounds), np.where(wrong_rows, 0.0, face.rows))
        x, reward = point, price
    return None


def _on_face(
    covariance: Covariance,
    b: FloatArray,
    X: ResolvedWeightSet,
    matrix: sp.csr_matrix,
    face: Active,
    x: FloatArray,
    reward: float,
) -> tuple[FloatArray, float, FloatArray] | None:
    """Newton's method on Σx − λ b/x = A'μ, A x = a, e'x = 1 in (x, λ, μ), from nearby.

    With H = Σ + λ diag(b/x²) over the free assets and B = [b/x, A'], a step is
    dx = H⁻¹(B (dλ, μ) − g), where [e'; A] dx makes up for what is missing from 1 and a. Where the
    active rows fix e'x, λ is free, and x'Σx is taken.
    """
    free = face.bounds == 0.0
    x = np.where(free, x, np.where(face.bounds < 0, X.lower, X.upper))
    active = np.flatnonzero(face.rows)
    A = matrix[active].toarray()
    a = np.where(face.rows < 0, X.row_lower, X.row_upper)[active]
    multipliers = np.zeros(matrix.shape[0])
    if not free.any():
        return x, reward, multipliers
    e = _normal(X)
    C = np.vstack([e, A])[:, free]
    redundant = len(active) > 0 and np.linalg.matrix_rank(C) == np.linalg.matrix_rank(C[1:])
    inverse = shifted_inverse(covariance, free)
    last = np.inf
    for _ in range(100):
        marginal = covariance.operator @ x
        ratio = _ratio(b, x)
        g = (marginal - reward * ratio)[free]
        missing = np.concatenate([[1.0 - e @ x], a - A @ x])
        if redundant:
            C[0], missing[0] = -2.0 * marginal[free], x @ marginal - reward
        off = max(
            float(np.abs((g - A[:, free].T @ multipliers[active]) * x[free]).max()) / reward,
            float(np.abs(missing[1:]).max(initial=0.0)),
            abs(missing[0]) / (reward if redundant else 1.0),
        )
        if off < 1e-9 and off >= last:
            return x, reward, multipliers
        last = off
        curvature = reward * _ratio(ratio, x)[free]
        try:
            HB = inverse(curvature, np.column_stack([ratio[free], A[:, free].T]))
            Hg = inverse(curvature, g)
        except np.linalg.LinAlgError:
            return None
        small = C @ HB
        if redundant:
            small[0, 0] += 1.0
        step = np.linalg.lstsq(small, missing + C @ Hg, rcond=1e-13)[0]
        dx = HB @ step - Hg
        # Where there is a logarithm, nine tenths of the way to 0 at the most.
        rewarded = b[free] > 0
        towards = float((-dx[rewarded] / x[free][rewarded]).max(initial=0.0))
        length = min(1.0, 0.9 / towards) if towards > 0 else 1.0
        length = min(length, 0.9 * reward / -step[0]) if step[0] < 0 else length
        x = x.copy()
        x[free] += length * dx
        reward += length * float(step[0])
        multipliers[active] += length * (step[1:] - multipliers[active])
        if not np.isfinite(x).all():
            return None
    return None


def _ratio(b: FloatArray, x: FloatArray) -> FloatArray:
    """b/x, 0 where there is no budget."""
    return np.divide(b, x, out=np.zeros_like(x), where=b != 0)
