"""Variables that one row determines: solvers do not see them, answers have them."""

import numpy as np
import pytest

from rrp_pyomo import Program, RobustRiskParity, norm, solve_program, square
from rrp_pyomo.solvers.conic.clarabel import ClarabelBackend
from rrp_pyomo.solvers.conic.session import Session


def determined(program):
    return {v.name for v in program.reduced().source.determined}


def product(
    upper=np.inf,
    lower=0.0,
    charge=0.0,
    again=False,
    dense=False,
    factor=1.0,
    parameter=False,
):
    """The largest t with x z >= t², z <= E(x)."""
    program = Program()
    n = 30 if dense else 3
    x = program.variable("x", n, lower=0, upper=2.0)
    z = program.variable("z", n, lower=lower, upper=upper)
    t = program.variable("t")
    largest = program.parameter("largest", 5.0)
    A = np.eye(n) + (1.0 / n if dense else 0.0)
    program.maximize(t - charge * z.sum() if charge else t)
    program.subject_to(
        row=2.0 * z <= largest * np.arange(1.0, n + 1) - A @ x, cone=x * (factor * z) >= square(t)
    )
    if again:
        program.subject_to(again=z.sum() <= 100.0)
    if parameter:
        k = program.parameter("k", 1.0)
        program.subject_to(bounded=k * z <= 100.0)
    return program


def test_a_row_takes_the_place_of_its_variable():
    program, other = product(), product(upper=1e6)
    assert determined(program) == {"z"}
    assert not determined(other)
    ours, theirs = solve_program(program), solve_program(other)
    assert program.reduced().form.q.size == program.columns - 3
    assert program.conic().q.size == program.columns
    assert ours.objective == pytest.approx(theirs.objective, abs=1e-7)
    x, z = ours.arrays["x"], ours.arrays["z"]
    assert z == pytest.approx((5.0 * np.arange(1, 4) - x) / 2, abs=1e-12)
    for name in ("row", "cone"):
        assert ours.duals[name].to_numpy() == pytest.approx(
            theirs.duals[name].to_numpy(), abs=1e-5
        ), name
    assert ours.certificate.primal_residual <= 1e-7


@pytest.mark.parametrize(
    "otherwise",
    [
        {"upper": 1e6},
        {"lower": 0.1},
        {"charge": 0.01},
        {"again": True},
        {"dense": True},
        {"parameter": True},
    ],
    ids=lambda case: next(iter(case)),
)
def test_it_stays_where_something_else_is_said_of_it(otherwise):
    program = product(**otherwise)
    assert not determined(program)
    assert solve_program(program).certificate.primal_residual <= 1e-6


def test_multiples_and_new_parameters():
    program = product(factor=3.0)
    assert determined(program) == {"z"}
    solve_program(program)
    program.set(largest=7.0)
    again = solve_program(program)
    expected = solve_program(product(factor=3.0, upper=1e6))
    assert again.objective > expected.objective + 0.1
    x = again.arrays["x"]
    assert again.arrays["z"] == pytest.approx((7.0 * np.arange(1, 4) - x) / 2, abs=1e-12)
    assert again.objective == pytest.approx(np.sqrt((3.0 * x * again.arrays["z"]).min()), abs=1e-6)


def test_a_row_determines_one_variable_only():
    program = Program()
    v, w = program.variable("v"), program.variable("w")
    x = program.variable("x", 2)
    program.subject_to(
        total=v + w <= 6.0, first=norm(x - [3.0, 0.0]) <= v, second=norm(x - [0.0, 4.0]) <= w
    )
    program.maximize(x @ np.array([1.0, 0.0]))
    assert len(determined(program)) == 1
    solution = solve_program(program)
    lengths = [np.linalg.norm(solution.arrays["x"] - p) for p in ([3.0, 0.0], [0.0, 4.0])]
    assert sum(lengths) == pytest.approx(6.0, abs=1e-6)  # on the ellipse with these foci
    assert solution.certificate.primal_residual <= 1e-7


def test_robust_risk_parity_has_the_answer_of_the_whole_form(make_uncertainty):
    program = RobustRiskParity(make_uncertainty(25), 1.0).program()
    assert determined(program) == {"z"}
    solution = solve_program(program)
    whole = Session(ClarabelBackend, **ClarabelBackend.for_programs).solve(program.conic())
    assert solution.objective == pytest.approx(whole.objective, abs=1e-9)
    assert 25 * np.abs(solution.x - whole.x)[:25].max() <= 1e-6
    assert solution.certificate.primal_residual <= 1e-8
