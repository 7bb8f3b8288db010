"""(12) for one ω after the other: stated once, restated where ω is."""

from __future__ import annotations

import numpy as np
import pytest

from rrp_pyomo import FactorModel, RobustRiskParity, WeightSet, norm
from rrp_pyomo.errors import InputError, UnknownLabelError
from rrp_pyomo.modeling import Program


@pytest.fixture
def problem() -> RobustRiskParity:
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(120, 3)) * 0.02
    returns = factors @ rng.normal(1.0, 0.4, (3, 8)) + rng.normal(size=(120, 8)) * 0.03
    uncertainty = FactorModel.from_arrays(returns, factors).covariance_uncertainty()
    return RobustRiskParity(uncertainty, 0.5, weight_set=WeightSet(upper=0.3))


def require_same(one: Program, two: Program) -> None:
    a, b = one.conic(), two.conic()
    for name in ("q", "b", "column_scale", "row_scale"):
        assert np.array_equal(getattr(a, name), getattr(b, name)), name
    assert (a.A != b.A).nnz == 0
    assert (a.cones, a.groups) == (b.cones, b.groups)


@pytest.mark.parametrize("omega", [0.0, 1.0, 3.0])
def test_restated_is_as_stated_anew(problem, omega) -> None:
    before = problem.program()
    other = problem.with_omega(omega)
    anew = RobustRiskParity(problem.uncertainty, omega, weight_set=WeightSet(upper=0.3))
    for _ in range(2):  # compiled, then from what was compiled
        require_same(other.statement, anew.program())
    assert (other.omega, other.Omega) == (anew.omega, anew.Omega)
    require_same(problem.statement, before)
    require_same(other.program(), anew.program())


def test_solved_for_several_omegas(problem) -> None:
    for omega in (1.0, 2.0):
        ours = problem.with_omega(omega).solve()
        anew = RobustRiskParity(problem.uncertainty, omega, weight_set=WeightSet(upper=0.3))
        np.testing.assert_allclose(ours.weights, anew.solve().weights, atol=1e-9)
        assert ours.certificate.largest_residual < 1e-7


def test_negative_omega(problem) -> None:
    with pytest.raises(InputError, match="omega"):
        problem.with_omega(-1.0)


def test_restating_what_was_not_stated() -> None:
    program = Program("ball")
    x = program.variable("x", ["a", "b"])
    program.subject_to(ball=norm(x) <= 1.0)
    with pytest.raises(UnknownLabelError, match="did you mean 'ball'"):
        program.restated(bal=norm(x) <= 2.0)
    with pytest.raises(InputError, match="expected a comparison"):
        program.restated(ball=norm(x))  # type: ignore[arg-type]
    larger = program.restated(ball=norm(x) <= 2.0)
    assert program.residuals(np.array([0.0, 2.0]))["ball"] == 1.0
    assert larger.residuals(np.array([0.0, 2.0]))["ball"] == 0.0
