"""What solvers take together, integers among it: every combination of the table is solved."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

from rrp_pyomo.errors import ModelError
from rrp_pyomo.modeling import InCone, exp, norm, sum_squares
from rrp_pyomo.modeling.cones import SEMIDEFINITE, Power
from rrp_pyomo.program import Program
from rrp_pyomo.solve.program import needs, solve_program
from rrp_pyomo.solve.table import SOLVERS, Takes

# --- combinations -------------------------------------------------------------------------------

# Parts of a program that share no variable, so that optimal values add up.


def _linear(p: Program) -> tuple[Any, float]:
    x = p.variable("x", lower=-9)
    p.subject_to(linear=2 * x >= 2)
    return x, 1.0


def _quadratic(p: Program) -> tuple[Any, float]:
    q = p.variable("q", ["a", "b"], upper=1)
    return sum_squares(q - [2.0, 0.5]), 1.0


def _second_order(p: Program) -> tuple[Any, float]:
    s, v = p.variable("s", lower=0), p.variable("v", ["a", "b"])
    p.subject_to(cone=norm(v) <= s, far=v.sum() >= 2)
    return s, math.sqrt(2)


def _exponential(p: Program) -> tuple[Any, float]:
    e, u = p.variable("e"), p.variable("u", upper=3)
    p.subject_to(exponential=exp(u) <= e, late=u >= 1)
    return e, math.e


def _power(p: Program) -> tuple[Any, float]:
    a, b, c = (p.variable(name, lower=0.1, upper=99) for name in "abc")
    p.subject_to(power=InCone((a, b, c), Power(0.25)), given=a == 1, least=c >= 8)
    return b, 16.0


def _semidefinite(p: Program) -> tuple[Any, float]:
    """[[m₁, 1], [1, m₂]] is semidefinite where m₁ m₂ ≥ 1."""
    m = p.variable("m", ["1", "2"])
    corners = np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 1.0]])
    p.subject_to(matrix=InCone((corners @ m + [0.0, 1.0, 1.0, 0.0],), SEMIDEFINITE))
    return m.sum(), 2.0


def _integer(p: Program) -> tuple[Any, float]:
    i, b = p.variable("i", upper=9, domain="integer"), p.variable("on", domain="binary")
    p.subject_to(whole=i >= 1.5, either=b + 0.25 * i >= 0.6)
    return i + 3 * b, 3.0


def _nonconvex(p: Program) -> tuple[Any, float]:
    g, h = p.variable("g", lower=1, upper=4), p.variable("h", lower=1, upper=4)
    p.subject_to(product=g * h == 4)
    return g + 4 * h, 8.0


PARTS = {
    Takes.LINEAR: _linear,
    Takes.QUADRATIC: _quadratic,
    Takes.SECOND_ORDER: _second_order,
    Takes.EXPONENTIAL: _exponential,
    Takes.POWER: _power,
    Takes.SEMIDEFINITE: _semidefinite,
    Takes.INTEGER: _integer,
    Takes.NONCONVEX: _nonconvex,
}
START = {"e": 3.0, "a": 1.0, "b": 15.0, "c": 7.0, "g": 3.5, "h": 1.2, "s": 1.0, "v": 0.7}
COMBINATIONS = [
    pytest.param(name, together, id=f"{name}-{'+'.join(sorted(together))}")
    for name, solver in SOLVERS.items()
    for together in solver.combinations
]


def combined(together: frozenset[Takes]) -> tuple[Program, float]:
    program = Program("combined")
    parts = [PARTS[problems](program) for problems in PARTS if problems in together]
    program.minimize(sum(cost for cost, _ in parts))
    return program, sum(best for _, best in parts)


@pytest.mark.parametrize(("name", "together"), COMBINATIONS)
def test_solvers_take_together_what_the_table_says(name, together, runs):
    program, best = combined(together)
    # Nothing that is stated in arrays needs any other smooth function.
    assert needs(program) == together - {Takes.NONLINEAR}
    start = {k: v for k, v in START.items() if k in program.variables}
    solution = solve_program(program, runs(name), start=start)
    assert solution.objective == pytest.approx(best, rel=10 * SOLVERS[name].accuracy)


INTEGER_SOLVERS = [name for name, solver in SOLVERS.items() if Takes.INTEGER in solver.takes]


@pytest.mark.parametrize("name", INTEGER_SOLVERS)
def test_integers_are_whole_by_name(name, runs):
    program, _ = combined(frozenset({Takes.LINEAR, Takes.INTEGER}))
    values = solve_program(program, runs(name)).values
    assert values["i"] == pytest.approx(3.0 if values["on"] < 0.5 else 2.0, abs=1e-6)
    assert min(abs(values["on"]), abs(values["on"] - 1)) <= 1e-6


# --- few assets ---------------------------------------------------------------------------------

N, MOST = 5, 2
RNG = np.random.default_rng(11)
ROOT, MU = np.tril(RNG.normal(size=(N, N))) * 0.2, RNG.uniform(0.02, 0.2, N)


def few_assets(quadratic: bool, held: tuple[int, ...] | None = None) -> Program:
    """Mean–variance of at most two assets; of these, where the choice is made."""
    program = Program("few_assets")
    w = program.variable("w", range(N), lower=0)
    risk = sum_squares(ROOT @ w) if quadratic else 0.0
    program.maximize(MU @ w - (2.0 * risk if quadratic else 0.0))
    program.subject_to(invested=w.sum() == 1, each=w <= 0.6)
    if held is None:
        on = program.variable("on", range(N), domain="binary")
        program.subject_to(only=w <= on, few=on.sum() <= MOST)
    else:
        program.subject_to(only=w <= np.isin(range(N), held).astype(float))
    return program


def best_of_all(quadratic: bool) -> float:
    subsets = itertools.combinations(range(N), MOST)
    return max(solve_program(few_assets(quadratic, held)).objective for held in subsets)


@pytest.mark.parametrize("solver", ["highs", "scip", "gurobi"])
def test_linear_programs_with_binaries(solver, runs):
    solution = solve_program(few_assets(quadratic=False), runs(solver))
    assert solution.objective == pytest.approx(best_of_all(quadratic=False), rel=1e-5)
    assert set(solution.values["on"].round(6)) == {0.0, 1.0}


@pytest.mark.parametrize("solver", ["scip", "gurobi"])
def test_quadratic_programs_with_binaries(solver, runs):
    solution = solve_program(few_assets(quadratic=True), runs(solver))
    assert solution.objective == pytest.approx(best_of_all(quadratic=True), rel=1e-4)


def test_what_does_not_combine_is_refused_by_names_of_those_that_do():
    program = few_assets(quadratic=True)
    said = (
        r"'highs' does not take integer, linear, quadratic together .*: gurobi, scip, "
        "outer_approximation, mosek, xpress"
    )
    with pytest.raises(ModelError, match=said):
        solve_program(program, "highs")


@pytest.mark.parametrize("solver", ["clarabel", "scs", "casadi_ipopt", "ipopt"])
def test_integers_are_refused_by_those_who_take_none(solver):
    with pytest.raises(ModelError, match=rf"'{solver}' does not take integer problems .*: gurobi"):
        solve_program(few_assets(quadratic=False), solver)


@pytest.mark.parametrize("domain", ["binary", "integer"])
def test_forms_without_integers_say_who_takes_them(domain):
    program = Program()
    i = program.variable("i", lower=0, upper=1, domain=domain)
    program.minimize(i)
    with pytest.raises(ModelError, match=rf"'i' is {domain}, and a conic form .*'scip' or"):
        program.conic()
    with pytest.raises(ModelError, match=rf"'i' is {domain}, and nonlinear .*'scip' or 'gurobi'"):
        program.quadratic()


def test_domains_of_blocks():
    program = few_assets(quadratic=False)
    i = program.variable("i", lower=-2, upper=5, domain="integer")
    program.subject_to(idle=i >= -1)
    block, kernel = program.block(), program.kernel()
    assert all(v.is_binary() for v in block.on.values())
    assert block.i.is_integer()
    assert not block.i.is_binary()
    assert block.i.bounds == kernel.i.bounds == (-2, 5)
    assert all(v.is_integer() and v.bounds == (0, 1) for v in kernel.on.values())
    assert all(v.is_continuous() for v in (*block.w.values(), *kernel.w.values()))


@pytest.mark.parametrize("solver", ["scip", "gurobi", "outer_approximation"])
def test_an_objective_is_that_of_the_point(solver, runs):
    """Absolute tolerances of 1e-6 let a bound of a norm of 4e-4 be a good deal smaller."""
    root = 1e-3 * np.random.default_rng(0).normal(size=(6, 6))
    program = Program("small_numbers")
    w, z = program.variable("w", 6, lower=0), program.variable("z", 6, domain="binary")
    program.minimize(norm(root @ w))
    program.subject_to(invested=w.sum() == 1, few=z.sum() <= 3, held=w <= z)
    solution = solve_program(program, runs(solver))
    size = np.linalg.norm(root @ solution.arrays["w"])
    assert solution.objective == pytest.approx(size, rel=1e-9)
