"""What comes back: labelled values and duals, certificates, and answers that are not accepted."""

from __future__ import annotations

import pickle
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pyomo.contrib.solver.common.results import SolutionStatus, TerminationCondition

from rrp_pyomo.errors import (
    InfeasibleError,
    RiskParityWarning,
    SolverError,
    UnknownLabelError,
)
from rrp_pyomo.modeling import InCone, exp, log, norm, square, sum_squares
from rrp_pyomo.modeling import abs as absolute
from rrp_pyomo.modeling.cones import ROTATED, SECOND_ORDER, Power
from rrp_pyomo.program import Program
from rrp_pyomo.solve.certificate import certificate_of_point, relative_residuals
from rrp_pyomo.solve.program import solve_program
from rrp_pyomo.solve.table import SOLVERS, Found, Solver, Takes

ASSETS = ["A", "B", "C"]


def mean_variance(maximizing: bool = True) -> Program:
    """max c'w − ‖w‖² over w ≥ 0, Σw = 1, w_A ≤ 0.2: w = (0.2, 0.3, 0.5), Σw's dual is 1."""
    program = Program("mean_variance")
    w = program.variable("w", ASSETS, lower=0)
    total = program.variable("total")
    gain = np.array([1.9, 1.6, 2.0]) @ w - sum_squares(w)
    (program.maximize if maximizing else program.minimize)(gain if maximizing else -gain)
    program.subject_to(
        invested=w.sum() == 1, most=w[["A"]] <= 0.2, total_is=total == w.sum(), idle=w <= 5
    )
    return program


SMOOTH_AND_CONIC = ["clarabel", "casadi_ipopt", "scs"]


@pytest.mark.parametrize("solver", [*SMOOTH_AND_CONIC, "gurobi", "scip", "highs"])
def test_values_are_labelled(solver, need):
    solution = solve_program(mean_variance(), need(solver))
    accuracy = max(1e-5, np.sqrt(SOLVERS[solver].accuracy))
    assert list(solution.values) == ["w", "total"]
    assert isinstance(solution.values["w"], pd.Series)
    assert list(solution.values["w"].index) == ASSETS
    expected = {"A": 0.2, "B": 0.3, "C": 0.5}
    assert solution.values["w"].to_dict() == pytest.approx(expected, abs=accuracy)
    assert isinstance(solution.values["total"], float)
    assert solution.arrays["total"].shape == (1,)
    assert solution.objective == pytest.approx(1.86 - 0.38, abs=1e-3 if solver == "scs" else 1e-5)
    assert solution.solver.startswith(f"{solver} ")


@pytest.mark.parametrize("solver", SMOOTH_AND_CONIC)
@pytest.mark.parametrize("maximizing", [True, False])
def test_duals_are_those_of_the_statement(solver, maximizing, need):
    """∇f = Σ dual · ∇(left − right): for B, 1.6 − 2 · 0.3 = 1; for A, 1.9 − 0.4 = 1 + 0.5."""
    solution = solve_program(mean_variance(maximizing), need(solver))
    sign, close = (1.0 if maximizing else -1.0), 2e-2 if solver == "scs" else 1e-5
    duals = solution.duals
    assert duals["invested"] == pytest.approx(sign * 1.0, abs=close)
    assert duals["most"].to_dict() == pytest.approx({"A": sign * 0.5}, abs=close)
    assert duals["idle"].to_dict() == pytest.approx(dict.fromkeys(ASSETS, 0.0), abs=close)
    assert duals["total_is"] == pytest.approx(0.0, abs=close)


def test_duals_of_products_and_squares():
    """min x + z with x z ≥ c² at c = 2: x = z = 2, ∇(x + z) = μ (z, x), so that μ = ½."""
    program = Program()
    x, z, c = program.variable("x", lower=0), program.variable("z", lower=0), program.variable("c")
    program.minimize(x + z)
    program.subject_to(product=x * z >= square(c), fixed=c == 2)
    duals = solve_program(program).duals
    assert duals["product"] == pytest.approx(0.5, abs=1e-5)
    assert duals["fixed"] == pytest.approx(2.0, abs=1e-5)
    program.subject_to(disc=sum_squares(x, z) <= 8 * c)
    assert solve_program(program).duals["disc"] == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize("maximizing", [True, False])
def test_duals_of_terms_have_the_sign_of_the_objective(maximizing):
    """x ≤ log 3 by exp(x) ≤ 3: the optimum x changes by 1/3."""
    program = Program()
    x = program.variable("x", ["only"])
    (program.maximize if maximizing else program.minimize)(x if maximizing else -x)
    program.subject_to(limit=exp(x) <= 3)
    dual = solve_program(program).duals["limit"]
    assert dual.to_dict() == pytest.approx({"only": (1 if maximizing else -1) / 3}, abs=1e-6)


def test_solutions_travel():
    solution = solve_program(mean_variance())
    twin = pickle.loads(pickle.dumps(solution))
    pd.testing.assert_series_equal(twin.values["w"], solution.values["w"])
    assert twin.duals["invested"] == solution.duals["invested"]
    assert twin.certificate == solution.certificate
    assert twin.objective == solution.objective


# --- certificates -------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["clarabel", "casadi_ipopt", "gurobi", "highs"])
def test_certificates_of_every_route(solver, need):
    certificate = solve_program(mean_variance(), need(solver)).certificate
    assert certificate.is_feasible
    assert 0 <= certificate.primal_residual <= 1e-6
    assert certificate.worst in ("w", "total", "invested", "most", "total_is", "idle")
    if solver == "clarabel":
        assert certificate.dual_residual <= 1e-7
        assert certificate.gap <= 1e-7
    else:
        assert certificate.dual_residual is None
        assert certificate.gap is None
    assert certificate.to_dict()["worst"] == certificate.worst


def test_residuals_are_relative_to_each_constraints_own_size():
    program = Program()
    x = program.variable("x", ["a", "b"], lower=0, unit=0.01)
    big = program.variable("big", lower=0, upper=5000, unit=1000.0)
    program.subject_to(
        sums=x.sum() == 0.03,
        large=big == 2000,
        cone=norm(x) <= 0.02,
        logs=log(big) >= 7,
        both=big + x["a"] <= 1000,
        squares=sum_squares(x) <= 1e-4,
    )
    point = program.point({"x": [0.02, -0.01], "big": 1100.0})
    found = relative_residuals(program, point)
    assert found == pytest.approx(
        {
            "x": 1.0,
            "big": 0.0,
            "sums": 0.02 / 0.03,
            "large": 900 / 2000,
            "cone": 1 - 0.02 / np.sqrt(5e-4),
            "logs": 0.0,
            "both": 100.02 / 1100,
            "squares": 4e-4 / 5e-4,
        },
        rel=1e-9,
    )
    certificate = certificate_of_point(program, point, {}, 1e-6)
    assert (certificate.worst, certificate.is_feasible) == ("x", False)
    assert certificate.primal_residual == pytest.approx(1.0)


FACTORS = 10.0 ** np.linspace(-4, 4, 5)
"""Each row of these constraints bounds an entry of x by 1, multiplied by a factor of its own."""

OF_ALL_SIZES = {
    "rows": lambda x: np.diag(FACTORS) @ x <= FACTORS,
    "equations": lambda x: np.diag(FACTORS) @ x == FACTORS,
    "squares": lambda x: square(np.diag(np.sqrt(FACTORS)) @ x) <= FACTORS,
    "cones": lambda x: InCone((FACTORS + 0 * x, np.diag(FACTORS) @ x), SECOND_ORDER),
    "products": lambda x: InCone((FACTORS + 0 * x, *2 * [np.diag(FACTORS) @ x]), ROTATED),
    "powers": lambda x: InCone((FACTORS + 0 * x, *2 * [np.diag(FACTORS) @ x]), Power(0.3)),
    "sums": lambda x: absolute(np.diag(FACTORS) @ x) + FACTORS * absolute(x) <= 2 * FACTORS,
}


@pytest.mark.parametrize("kind", OF_ALL_SIZES)
def test_a_row_is_measured_by_itself_whatever_is_beside_it(kind):
    program = Program()
    x = program.variable("x", 5)
    program.subject_to(rows=OF_ALL_SIZES[kind](x))
    assert relative_residuals(program, np.ones(5))["rows"] <= 1e-15
    missed = [relative_residuals(program, np.ones(5) + 0.09 * row)["rows"] for row in np.eye(5)]
    assert missed[0] >= 0.02
    assert missed == pytest.approx(5 * missed[:1], rel=1e-9)


def test_a_bound_is_measured_by_itself_whatever_is_beside_it():
    program = Program()
    program.variable("x", 2, lower=0)
    assert relative_residuals(program, np.array([1e6, -0.25]))["x"] == 0.25


def test_solvers_reach_rows_of_all_sizes(need):
    """Small rows are no reason to refuse an answer that is as good as solvers are."""
    rng = np.random.default_rng(3)
    A = rng.normal(size=(6, 9)) * 10.0 ** rng.uniform(-4, 4, size=(6, 1))
    program = Program()
    x = program.variable("x", 9, lower=0, upper=10)
    program.minimize(rng.normal(size=9) @ x)
    program.subject_to(rows=A @ x <= A @ rng.uniform(size=9))
    found = {
        name: solve_program(program, need(name)) for name in ("clarabel", "highs", "casadi_ipopt")
    }
    for solution in found.values():
        assert solution.certificate.is_feasible
        assert solution.objective == pytest.approx(found["highs"].objective, abs=1e-5)


# --- answers that are not accepted --------------------------------------------------------------


class Loader:
    def __init__(self, block: Any, values: dict[str, Any]) -> None:
        self.block, self.given = block, values

    def load_vars(self) -> None:
        for name, numbers in self.given.items():
            component = getattr(self.block, name)
            entries = component.values() if hasattr(component, "values") else [component]
            for entry, number in zip(entries, np.atleast_1d(numbers), strict=True):
                entry.set_value(float(number), skip_validation=True)


class Oracle:
    """An interface like Pyomo's that says what it is told to say."""

    def __init__(self, values: dict[str, Any], ended: TerminationCondition) -> None:
        self.given, self.ended = values, ended

    def solve(self, block: Any, **_: Any) -> Any:
        optimal = self.ended is TerminationCondition.convergenceCriteriaSatisfied
        return SimpleNamespace(
            solution_status=SolutionStatus.optimal if optimal else SolutionStatus.noSolution,
            termination_condition=self.ended,
            solution_loader=Loader(block, self.given),
            objective_bound=None,
        )


@pytest.fixture
def oracle():
    """Adds a solver that gives this answer to the table, for the time of the test."""

    def add(values, ended=TerminationCondition.convergenceCriteriaSatisfied) -> str:
        everything = (frozenset(Takes),)
        SOLVERS["oracle"] = Solver(
            "oracle", (), everything, 1e-6, False, "", "", lambda: Found("1.0", "the test"),
            new_interface=lambda: (Oracle(values, ended), {}),
        )  # fmt: skip
        return "oracle"

    yield add
    SOLVERS.pop("oracle", None)


def with_units() -> Program:
    """The smallest y ≥ 0 beside Σx = 1, where y is in the thousands by its unit."""
    program = Program("with_units")
    x = program.variable("x", ASSETS, lower=0)
    y = program.variable("y", lower=0, unit=25_000.0)
    program.minimize(y)
    program.subject_to(large=y >= 10_000 * x.sum(), invested=x.sum() == 1)
    return program


def test_a_right_answer_is_accepted(oracle):
    solution = solve_program(with_units(), oracle({"x": [0.5, 0.25, 0.25], "y": 10_000.0}))
    assert solution.objective == 10_000.0
    assert solution.duals is None
    assert solution.solver == "oracle 1.0 (the test)"


def test_a_wrong_answer_is_refused_by_the_constraint_that_it_misses(oracle):
    """Whatever the units of other constraints."""
    name = oracle({"x": [0.5, 0.25, 0.2501], "y": 10_001.0})
    with pytest.raises(
        SolverError, match=r"'invested' is violated by 0\.0001 of its size"
    ) as caught:
        solve_program(with_units(), name)
    assert not isinstance(caught.value, InfeasibleError)
    assert "more than the tolerance of 1e-06" in str(caught.value)
    solution = solve_program(with_units(), name, tolerance=1e-3)
    assert solution.certificate.worst == "invested"
    assert solution.certificate.primal_residual == pytest.approx(1e-4, rel=1e-3)


WRONG = {
    "below a bound": ({"x": [1.1, -0.1, 0.0], "y": 10_000.0}, "'x' is violated by 0.1 "),
    "a row": ({"x": [1.0, 0.0, 0.0], "y": 9_000.0}, "'large' is violated by 0.04"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_answers_name_what_they_violate(case, oracle):
    values, said = WRONG[case]
    with pytest.raises(SolverError, match=said):
        solve_program(with_units(), oracle(values))


def test_integers_that_are_not_whole_are_wrong_answers(oracle):
    program = Program()
    i = program.variable("i", upper=9, domain="integer")
    program.maximize(i)
    with pytest.raises(SolverError, match=r"'i' is violated by 0\.5"):
        solve_program(program, oracle({"i": 8.5}))


@pytest.mark.parametrize("ended", ["provenInfeasible", "locallyInfeasible"])
def test_infeasibility_is_an_exception_of_its_own(ended, oracle):
    name = oracle({}, TerminationCondition[ended])
    with pytest.raises(InfeasibleError, match=f"status '{ended}' on with_units: it has no sol"):
        solve_program(with_units(), name)


@pytest.mark.parametrize("ended", ["unbounded", "maxTimeLimit", "iterationLimit", "error"])
def test_other_ends_are_no_infeasibility(ended, oracle):
    with pytest.raises(SolverError, match=f"status '{ended}' on with_units: no sol") as caught:
        solve_program(with_units(), oracle({}, TerminationCondition[ended]))
    assert not isinstance(caught.value, InfeasibleError)


def test_local_infeasibility_of_ipopt_is_infeasibility():
    program = Program("apart")
    x = program.variable("x", ["a", "b"])
    program.minimize(x.sum())
    program.subject_to(inside=sum_squares(x) <= 1, outside=sum_squares(x) >= 4)
    with pytest.raises(InfeasibleError, match="no feasible point was found near the start"):
        solve_program(program, "casadi_ipopt", start={"x": 0.5})


# --- almost solved ------------------------------------------------------------------------------

STRICT = {"tol_gap_abs": 1e-16, "tol_gap_rel": 1e-16, "tol_feas": 1e-16}


def hilbert() -> Program:
    n = 6
    H = 1.0 / (np.arange(n)[:, None] + np.arange(n) + 1.0)
    program = Program("hilbert")
    x, t = program.variable("x", n, lower=0), program.variable("t")
    program.minimize(t)
    program.subject_to(risk=norm(H @ x - 0.1) <= t, sums=x.sum() == 1)
    return program


def test_what_is_almost_a_solution_is_measured_and_accepted():
    """Nobody reaches a gap of 1e-16, and what comes out is as good as any."""
    best = solve_program(hilbert()).objective
    solution = solve_program(hilbert(), **STRICT)
    assert solution.status == "AlmostSolved"
    assert solution.objective == pytest.approx(best, rel=1e-6)
    assert max(solution.certificate.primal_residual, solution.certificate.gap) <= 1e-6


def test_what_is_almost_a_solution_and_far_from_one_is_warned_of():
    loose = {f"reduced_{name}": 0.5 for name in STRICT}
    with pytest.warns(RiskParityWarning, match="AlmostSolved' on hilbert: .* is violated by .*gap"):
        solution = solve_program(hilbert(), max_iter=4, **STRICT, **loose)
    assert max(solution.certificate.primal_residual, solution.certificate.gap) > 1e-6
    best = solve_program(hilbert()).objective
    assert abs(solution.objective / best - 1) > 1e-7


@pytest.mark.parametrize("solver", ["highs", "scip", "gurobi"])
def test_a_variable_that_nothing_is_about_has_a_value_within_its_bounds(solver, need):
    program = Program("idle")
    x = program.variable("x", lower=1)
    program.variable("idle", ["a", "b"], lower=2)
    program.variable("below", upper=-3)
    program.minimize(x)
    values = solve_program(program, need(solver)).values
    assert values["idle"].tolist() == [2.0, 2.0]
    assert values["below"] == -3.0
    with pytest.raises(UnknownLabelError, match="'idel'; did you mean 'idle'"):
        values["idel"]
    assert "idel" not in values
