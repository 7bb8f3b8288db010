"""Convex models of every kind, stated in Pyomo and in cvxpy: same objective, same multipliers."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable
from typing import Any

import cvxpy as cp
import numpy as np
import pyomo.environ as pyo
import pyomo.kernel as pmo
import pytest
from pyomo.common.collections import ComponentMap
from pyomo.contrib.solver.common.results import SolutionStatus

from rrp_pyomo.solvers.conic import Clarabel

#: On a curved boundary a duality gap of ε determines a multiplier to √ε, relative to the largest
#: one. Both solve as accurately as they can, from the first of these tolerances on.
TOLERANCES = 1e-12, 1e-11, 1e-10, 1e-9, 1e-8

#: At the apex of a cone cvxpy's multiplier, divided by the head, is as large as this or larger; as
#: a quadratic constraint the cone has none there.
APEX = 1e6

N = 6


class Pair:
    """One problem in both languages, with a point at which all its constraints are slack."""

    def __init__(self, kind: str, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.kernel = kind == "kernel"
        self.model = pmo.block() if self.kernel else pyo.ConcreteModel()
        self.x = self.variables("x", N)
        self.y = cp.Variable(N)
        self.slack_point = self.rng.normal(size=N)
        self.constraints: list[Any] = []
        self.multipliers: list[tuple[Any, Callable[[], Any]]] = []

    def variables(self, name: str, size: int, lower: float | None = None) -> list[Any]:
        if self.kernel:
            made = pmo.variable_list([pmo.variable(lb=lower) for _ in range(size)])
            setattr(self.model, name, made)
            return list(made)
        made = pyo.Var(range(size), bounds=(lower, None))
        setattr(self.model, name, made)
        return list(made.values())

    def dot(self, a: Any, x: list[Any] | None = None) -> Any:
        return sum(float(v) * w for v, w in zip(a, x or self.x, strict=True))

    def constraint(self, **stated: Any) -> Any:
        if self.kernel:
            made = pmo.constraint(**stated)
        else:
            made = pyo.Constraint(expr=(stated.get("lb"), stated["body"], stated.get("ub")))
        setattr(self.model, f"c{len(list(vars(self.model)))}", made)
        return made

    def add(self, constraint: Any) -> Any:
        self.constraints.append(constraint)
        return constraint

    # --- constraints that hold strictly at the point --------------------------------------------

    def rows(self, count: int, sides: str) -> None:
        """Random rows with a ``lower``, an ``upper`` bound, ``both``, or ``equal``."""
        A = self.rng.normal(size=(count, N))
        at = A @ self.slack_point
        lower, upper = (
            at - self.rng.uniform(0.1, 0.3, count),
            at + self.rng.uniform(0.1, 0.3, count),
        )
        if sides == "equal":
            lower = upper = at
        low = np.full(count, -np.inf) if sides == "upper" else lower
        high = np.full(count, np.inf) if sides == "lower" else upper
        if self.kernel:
            block = pmo.matrix_constraint(A, lb=low, ub=high, x=self.x)
            setattr(self.model, f"rows{len(self.constraints)}", block)
            ours = list(block)
        else:
            ours = [
                self.constraint(
                    body=self.dot(a),
                    lb=None if lo == -np.inf else lo,
                    ub=None if hi == np.inf else hi,
                )
                for a, lo, hi in zip(A, low, high, strict=True)
            ]
        if sides == "equal":
            theirs = self.add(A @ self.y == at)
            read = lambda: -theirs.dual_value  # noqa: E731
        else:
            floor, cap = self.add(A @ self.y >= lower), self.add(A @ self.y <= upper)
            if sides != "both":
                self.constraints.remove(cap if sides == "lower" else floor)
            read = {
                "lower": lambda: floor.dual_value,
                "upper": lambda: -cap.dual_value,
                "both": lambda: floor.dual_value - cap.dual_value,
            }[sides]
        for k, constraint in enumerate(ours):
            self.multipliers.append((constraint, lambda k=k: read()[k]))  # type: ignore[misc]

    def bounds(self, width: float = 1.0) -> None:
        low, high = self.slack_point - width, self.slack_point + width
        for variable, lo, hi in zip(self.x, low.tolist(), high.tolist(), strict=True):
            variable.bounds = (lo, hi)
            if self.kernel:
                variable.lb, variable.ub = lo, hi
        floor, cap = self.add(self.y >= low), self.add(self.y <= high)
        for k, variable in enumerate(self.x):
            self.multipliers.append(
                (variable, lambda k=k: floor.dual_value[k] - cap.dual_value[k])  # type: ignore[misc]
            )

    def ball(self, rank: int = N) -> None:
        """‖Fx‖² + a'x ≤ c."""
        F, a = self.rng.normal(size=(rank, N)), self.rng.normal(size=N)
        c = np.sum((F @ self.slack_point) ** 2) + a @ self.slack_point + 0.1
        ours = self.constraint(body=sum(self.dot(f) ** 2 for f in F) + self.dot(a), ub=float(c))
        theirs = self.add(cp.sum_squares(F @ self.y) + a @ self.y <= c)
        self.multipliers.append((ours, lambda: -theirs.dual_value))

    def cone(self, name: str, heads: int, tail: int, alpha: float = 0.3) -> None:
        """Members y = Gx + g, just inside the cone at the point."""
        G = self.rng.normal(size=(heads + tail, N))
        inside = np.concatenate([np.ones(heads), self.rng.uniform(-0.3, 0.3, tail)])
        inside[0] = (
            0.1
            + {
                "quadratic": np.linalg.norm(inside[heads:]),
                "primal_exponential": np.exp(inside[-1]),
                "primal_power": np.abs(inside[-1]) ** (1 / alpha),
            }[name]
        )
        g = inside - G @ self.slack_point
        y = self.variables(f"y{len(self.constraints)}", heads, 0.0)
        y += self.variables(f"z{len(self.constraints)}", tail)
        for k, member in enumerate(y):
            self.constraint(body=member - self.dot(G[k]), lb=float(g[k]), ub=float(g[k]))
        theirs = G @ self.y + g
        pairs = {
            "quadratic": (
                lambda: pmo.conic.quadratic(y[0], y[1:]),
                lambda: cp.SOC(theirs[0], theirs[1:]),
                lambda d: [*d[0].ravel(), *d[1].ravel()],
            ),
            "primal_exponential": (
                lambda: pmo.conic.primal_exponential(*y),
                lambda: cp.ExpCone(theirs[2], theirs[1], theirs[0]),
                lambda d: [d[2], d[1], d[0]],
            ),
            "primal_power": (
                lambda: pmo.conic.primal_power(y[0], y[1], y[2:], alpha),
                lambda: cp.PowCone3D(theirs[0], theirs[1], theirs[2], alpha),
                lambda d: d,
            ),
        }
        if self.kernel:
            ours, other, read = (part for part in pairs[name])
            cone, constraint = ours(), self.add(other())
            setattr(self.model, f"cone{len(self.constraints)}", cone)
            self.multipliers.append((cone, lambda: read(constraint.dual_value)))
        else:
            ours = self.constraint(body=sum(v**2 for v in y[1:]) - y[0] ** 2, ub=0.0)
            constraint = self.add(cp.SOC(theirs[0], theirs[1:]))
            head = lambda: constraint.dual_value[0].item()  # noqa: E731
            self.multipliers.append((ours, lambda: -head() / (2 * y[0].value)))

    def rotated(self, tail: int) -> None:
        """2 r₁ r₂ ≥ ‖x‖², in cvxpy as quad_over_lin."""
        G = self.rng.normal(size=(2 + tail, N))
        inside = np.concatenate([[0.2, 0.2], self.rng.uniform(-0.1, 0.1, tail)])
        g = inside - G @ self.slack_point
        y = self.variables(f"y{len(self.constraints)}", 2, 0.0)
        y += self.variables(f"z{len(self.constraints)}", tail)
        links = [
            self.constraint(body=member - self.dot(G[k]), lb=float(g[k]), ub=float(g[k]))
            for k, member in enumerate(y)
        ]
        lifted = cp.Variable(2 + tail)
        theirs = self.add(lifted == G @ self.y + g)
        self.add(cp.quad_over_lin(lifted[2:], 2 * lifted[0]) <= lifted[1])
        if self.kernel:
            setattr(
                self.model,
                f"cone{len(self.constraints)}",
                pmo.conic.rotated_quadratic(y[0], y[1], y[2:]),
            )
        else:
            self.constraint(body=sum(v**2 for v in y[2:]) - 2 * y[0] * y[1], ub=0.0)
        for k, link in enumerate(links):
            self.multipliers.append((link, lambda k=k: -theirs.dual_value[k]))  # type: ignore[misc]

    # --- solving --------------------------------------------------------------------------------

    def solve(self, rank: int = 0, maximise: bool = False) -> None:
        """Optimise ½‖Fx‖² + q'x (or its negative), and compare."""
        sign = -1 if maximise else 1
        F, q = self.rng.normal(size=(rank, N)), self.rng.normal(size=N)
        body = sign * (0.5 * sum(self.dot(f) ** 2 for f in F) + self.dot(q)) + 0.75
        sense = pyo.maximize if maximise else pyo.minimize
        make = pmo.objective if self.kernel else pyo.Objective
        self.model.cost = make(expr=body, sense=sense)
        stated = sign * (0.5 * cp.sum_squares(F @ self.y) + q @ self.y) + 0.75
        goal = cp.Maximize(stated) if maximise else cp.Minimize(stated)
        problem = cp.Problem(goal, self.constraints)
        theirs = _solve_with_cvxpy(problem)
        results, ours = _solved(self.model)
        assert results.incumbent_objective == pytest.approx(problem.value, rel=1e-6, abs=1e-6)
        found = ComponentMap(results.solution_loader.get_duals().items())
        found.update(results.solution_loader.get_reduced_costs())
        # cvxpy's multipliers are those of the minimisation.
        pairs = [
            (sign * np.array(found[component]), np.array(read(), float))
            for component, read in self.multipliers
        ]
        exists = [(mine, other) for mine, other in pairs if np.abs(other).max() < APEX]
        assert all(np.isnan(mine) for mine, other in pairs if np.abs(other).max() >= APEX)
        largest = max(np.abs(other).max() for _, other in exists)
        for mine, other in exists:
            assert mine == pytest.approx(other, abs=(max(ours, theirs) ** 0.5) * (1 + largest))


def _options(tolerance: float) -> dict[str, float]:
    return dict.fromkeys(("tol_gap_abs", "tol_gap_rel", "tol_feas"), tolerance)


def _solve_with_cvxpy(problem: Any) -> float:
    for tolerance in TOLERANCES:
        with contextlib.suppress(cp.SolverError), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # says that it is inaccurate
            problem.solve(solver="CLARABEL", **_options(tolerance))
            if problem.status == "optimal":
                return tolerance
    raise AssertionError(problem.status)


def _solved(model: Any) -> tuple[Any, float]:
    for tolerance in TOLERANCES:
        results = Clarabel(solver_options=_options(tolerance)).solve(
            model, raise_exception_on_nonoptimal_result=False, load_solutions=False
        )
        if results.solution_status is SolutionStatus.optimal:
            results.solution_loader.load_vars()
            return results, tolerance
    raise AssertionError(results.extra_info.status)


def lp_inequalities(pair: Pair) -> None:
    pair.rows(20, "lower")
    pair.bounds()
    pair.solve()


def lp_equalities(pair: Pair) -> None:
    pair.rows(3, "equal")
    pair.bounds()
    pair.solve()


def lp_ranges_maximised(pair: Pair) -> None:
    pair.rows(12, "both")
    pair.solve(maximise=True)


def qp_free(pair: Pair) -> None:
    pair.rows(8, "upper")
    pair.solve(rank=N)


def qp_low_rank(pair: Pair) -> None:
    pair.rows(2, "equal")
    pair.bounds()
    pair.solve(rank=3)


def qp_concave_maximised(pair: Pair) -> None:
    pair.rows(6, "both")
    pair.solve(rank=N, maximise=True)


def qcp_ball(pair: Pair) -> None:
    pair.ball()
    pair.bounds()
    pair.solve()


def qcp_several(pair: Pair) -> None:
    pair.ball()
    pair.ball(rank=2)
    pair.rows(3, "lower")
    pair.bounds()
    pair.solve(rank=2)


def qcp_maximised(pair: Pair) -> None:
    pair.ball()
    pair.rows(2, "equal")
    pair.bounds()
    pair.solve(maximise=True)


def socp_one(pair: Pair) -> None:
    pair.cone("quadratic", 1, 3)
    pair.bounds()
    pair.solve()


def socp_rotated(pair: Pair) -> None:
    pair.rotated(2)
    pair.bounds()
    pair.solve(rank=1)


def socp_several(pair: Pair) -> None:
    pair.cone("quadratic", 1, 2)
    pair.cone("quadratic", 1, 4)
    pair.rotated(1)
    pair.rows(4, "upper")
    pair.ball()
    pair.bounds()
    pair.solve(maximise=True)


def exponential(pair: Pair) -> None:
    pair.cone("primal_exponential", 2, 1)
    pair.bounds()
    pair.solve()


def exponential_several(pair: Pair) -> None:
    pair.cone("primal_exponential", 2, 1)
    pair.cone("primal_exponential", 2, 1)
    pair.ball()
    pair.bounds()
    pair.solve(rank=2, maximise=True)


def power(pair: Pair) -> None:
    pair.cone("primal_power", 2, 1)
    pair.bounds()
    pair.solve()


def power_several(pair: Pair) -> None:
    pair.cone("primal_power", 2, 1, alpha=0.5)
    pair.cone("primal_power", 2, 1, alpha=0.8)
    pair.ball()
    pair.rows(2, "lower")
    pair.bounds()
    pair.solve(rank=2)


def mixed(pair: Pair) -> None:
    pair.cone("primal_exponential", 2, 1)
    pair.cone("primal_power", 2, 1)
    pair.cone("quadratic", 1, 3)
    pair.rotated(1)
    pair.rows(2, "both")
    pair.bounds()
    pair.solve(rank=2)


def mixed_maximised(pair: Pair) -> None:
    pair.cone("primal_power", 2, 1, alpha=0.7)
    pair.cone("primal_exponential", 2, 1)
    pair.rows(2, "equal")
    pair.ball(rank=3)
    pair.bounds()
    pair.solve(maximise=True)


BOTH = [
    lp_inequalities, lp_equalities, lp_ranges_maximised, qp_free, qp_low_rank,
    qp_concave_maximised, qcp_ball, qcp_several, qcp_maximised, socp_one, socp_rotated,
    socp_several,
]  # fmt: skip
KERNEL = [exponential, exponential_several, power, power_several, mixed, mixed_maximised]
MODELS = [("kernel", state) for state in BOTH + KERNEL] + [("environ", state) for state in BOTH]


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize(("kind", "state"), MODELS)
def test_agrees_with_cvxpy(kind: str, state: Callable[[Pair], None], seed: int) -> None:
    state(Pair(kind, seed))
