"""New values of parameters, in every place where statements take them."""

import numpy as np
import pytest

from rrp_pyomo import Program, norm, solve_program, square, stack


def stated(scalar, vector, columns):
    program = Program()
    k = program.parameter("k", scalar)
    v = program.parameter("v", vector, ["a", "b", "c"])
    w = program.parameter("w", columns, range(4))
    x = program.variable("x", ["a", "b", "c"], lower=0)
    y = program.variable("y", unit=3.0)
    M = np.arange(12.0).reshape(4, 3) - 5.0
    program.minimize(v @ x + y)
    program.subject_to(
        product=v @ x + k * y >= 1.0 + k,
        multiple=k * (M @ x + 1.0) + w <= 20.0,
        rows=M @ (v * x) + w * y <= w + 30.0,
        length=norm(stack(v * (2.0 * x - 1.0), k * y, w)) <= 40.0 + 2.0 * k + y,
        cone=(x + v) * (k * y + 9.0) >= square(0.1 * v * y),
    )
    return program


NUMBERS = [
    (1.5, np.array([1.0, 2.0, 0.5]), np.array([1.0, -1.0, 2.0, 0.5])),
    (2.5, np.array([0.25, 1.0, 3.0]), np.array([0.5, 1.0, -2.0, 1.5])),
    (1.0, np.array([2.0, 0.1, 1.0]), np.array([3.0, 1.0, 1.0, -0.5])),
]


def test_new_numbers_make_the_form_of_a_new_statement():
    program = stated(*NUMBERS[0])
    program.conic(), solve_program(program)
    compiled = program.compiled()
    for k, v, w in (*NUMBERS[1:], NUMBERS[0]):
        program.set(k=k, v=v, w=w)
        new, fresh = program.conic(), stated(k, v, w).conic()
        assert program.compiled() is compiled
        assert np.abs(new.A - fresh.A).max() <= 1e-13
        assert new.b == pytest.approx(fresh.b, abs=1e-13)
        assert new.row_scale == pytest.approx(fresh.row_scale, rel=1e-13)
        assert solve_program(program).objective == pytest.approx(
            solve_program(stated(k, v, w)).objective, abs=1e-6
        )


def test_numbers_that_vanish_come_back():
    program = stated(*NUMBERS[0])
    first = program.conic()
    program.set(k=0.0, v=np.zeros(3), w=np.zeros(4))
    zero = program.conic()
    assert (zero.A.indices == first.A.indices).all()
    program.set(**dict(zip("kvw", NUMBERS[0], strict=True)))
    assert np.abs(program.conic().A - first.A).max() <= 1e-13
