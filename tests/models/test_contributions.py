"""Risk contributions as parts of larger models: meaning, units, and global optima."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyomo.environ as pyo
import pyomo.kernel as pmo
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyomo.contrib.solver.common.factory import SolverFactory
from scipy.optimize import minimize

from rrp_pyomo import DenseCovariance, FactorCovariance, RiskContributions
from rrp_pyomo.errors import InputError, UnknownLabelError
from rrp_pyomo.solve.program import solve_program

GROUPS = {"first": ["A0", "A1"], "second": ["A3", "A1"], "all": [f"A{i}" for i in range(6)]}
GLOBAL = {
    "scip_direct": {},  # tighter tolerances than its own keep it busy for minutes
    "gurobi_persistent": {"FeasibilityTol": 1e-9, "MIPGap": 1e-7, "MIPGapAbs": 1e-9},
    "casadi_ipopt": {},
}


def parts_by_hand(matrix, x, groups):
    contribution = pd.Series(x, matrix.index) * (matrix @ x)
    variance = float(x @ matrix.to_numpy() @ x)
    return {
        "contribution": contribution,
        "group": pd.Series({g: contribution[members].sum() for g, members in groups.items()}),
        "variance": variance,
        "volatility": variance**0.5,
    }


def parts_of(block):
    return {
        "contribution": pd.Series({a: pyo.value(e) for a, e in block.contribution.items()}),
        "group": pd.Series({g: pyo.value(e) for g, e in block.group.items()}),
        "variance": pyo.value(block.variance),
        "volatility": pyo.value(block.volatility),
    }


def close(parts, expected, rel):
    for name, value in expected.items():
        size = np.abs(np.asarray(value)).max()
        np.testing.assert_allclose(parts[name], value, rtol=rel, atol=rel * size, err_msg=name)


def modelled(covariance, x, environ=True, groups=GROUPS):
    labels = list(covariance.labels)
    if environ:
        model = pyo.ConcreteModel()
        model.w = pyo.Var(labels, initialize=dict(zip(labels, x, strict=True)))
        model.rc = RiskContributions(covariance, groups).block(model.w)
    else:
        model = pmo.block()
        model.w = pmo.variable_dict(
            (a, pmo.variable(value=v)) for a, v in zip(labels, x, strict=True)
        )
        model.rc = RiskContributions(covariance, groups).kernel(model.w)
    return model


# --- what the parts are -----------------------------------------------------------------------


@pytest.mark.parametrize("environ", [True, False])
@pytest.mark.parametrize("dense", [True, False])
def test_parts_at_the_values_of_the_weights(factor_covariance, dense, environ):
    """Weights of any sign and sum, groups that overlap: from the initial values on."""
    Sigma = factor_covariance(6)
    matrix = Sigma.matrix()
    if dense:
        Sigma = DenseCovariance(matrix)
    x = np.array([0.7, -0.4, 0.0, 1.1, -0.2, 0.3])
    expected = parts_by_hand(matrix, x, GROUPS)
    model = modelled(Sigma, x, environ)
    close(parts_of(model.rc), expected, 1e-12)
    close(RiskContributions(Sigma, GROUPS).at(x), expected, 1e-12)
    assert [v.value for v in model.w.values()] == list(x)
    assert model.rc.unit == pytest.approx(matrix.to_numpy().sum() / 6**3)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(1, 7),
    scale=st.floats(-10.0, 6.0),
    m=st.integers(1, 3),
)
def test_the_identity_the_units_and_the_two_kinds_of_covariance(seed, n, scale, m):
    """Σ_i contribution_i = variance = volatility², c Σ contributes c times as much."""
    rng = np.random.default_rng(seed)
    V, half = rng.normal(size=(m, n)), rng.normal(size=(m, m))
    factored = FactorCovariance(V, half @ half.T, rng.uniform(0.1, 1.0, n))
    dense = DenseCovariance(factored.matrix() * 10.0**scale)
    x = rng.normal(size=n)
    one, other = (RiskContributions(c).at(x) for c in (factored, dense))
    size = np.abs(x) @ np.abs(factored.matrix().to_numpy()) @ np.abs(x)
    assert one["contribution"].sum() == pytest.approx(one["variance"], abs=1e-12 * size)
    assert one["variance"] == pytest.approx(one["volatility"] ** 2, rel=1e-12)
    np.testing.assert_allclose(
        other["contribution"] / 10.0**scale, one["contribution"], rtol=1e-9, atol=1e-11 * size
    )
    assert other["volatility"] == pytest.approx(one["volatility"] * 10 ** (scale / 2), rel=1e-9)
    block = modelled(factored, x, groups={"one": [0]}).rc
    for constraint in block.component_data_objects(pyo.Constraint):
        assert abs(pyo.value(constraint.body) - pyo.value(constraint.lower)) < 1e-9 * n**2


def test_nothing_is_bounded_and_nothing_is_free(factor_covariance):
    """Given weights, as many equations as variables, regular ones: each part is determined."""
    model = modelled(factor_covariance(5), np.array([0.4, -0.3, 0.2, 0.5, -0.1]), groups=None)
    assert not hasattr(model.rc, "group")
    assert not hasattr(model.rc, "objective")
    constraints = list(model.component_data_objects(pyo.Constraint))
    assert all(c.equality for c in constraints)
    parts = model.rc.component_data_objects(pyo.Var)
    own = {id(v): v for v in parts if v.parent_block() is model.rc}
    assert len(own) == len(constraints)
    assert {v.name for v in own.values() if v.lb is not None} == {"rc.v", "rc.p"}
    assert all(v.bounds == (None, None) for v in model.w.values())


def test_a_factored_covariance_stays_factored(factor_covariance):
    def coefficients(covariance):
        program = RiskContributions(covariance).program()
        return program.quadratic().A.nnz + program.quadratic().value.size

    assert coefficients(factor_covariance(200)) < 20 * 200
    assert coefficients(DenseCovariance(factor_covariance(200).matrix())) > 200**2


def test_own_weights_and_the_program(factor_covariance):
    """A program of its own, with an objective of its user's: the least variance, unbounded."""
    Sigma = factor_covariance(5)
    decomposition = RiskContributions(Sigma, {"pair": ["A0", "A1"]})
    program = decomposition.program()
    x, v = program.variables["x"], program.variables["v"]
    program.minimize(v)
    program.subject_to(invested=x.sum() == 1)
    solution = solve_program(program, "ipopt", start={"x": 0.2})
    inverse = np.linalg.solve(Sigma.matrix().to_numpy(), np.ones(5))
    np.testing.assert_allclose(solution.values["x"], inverse / inverse.sum(), atol=1e-6)
    assert solution.values["variance"] == pytest.approx(1.0 / inverse.sum(), rel=1e-6)
    np.testing.assert_allclose(
        solution.values["contribution"], solution.values["x"] / inverse.sum(), rtol=1e-4
    )
    assert solution.values["group"]["pair"] == pytest.approx(
        solution.values["contribution"][["A0", "A1"]].sum()
    )
    block = decomposition.block()
    assert pyo.value(block.variance) == pytest.approx(Sigma.variance(np.full(5, 0.2)))
    assert repr(decomposition) == "RiskContributions(5 assets, 1 group)"


def test_initialise(factor_covariance):
    Sigma = factor_covariance(6)
    decomposition = RiskContributions(Sigma, GROUPS)
    model = modelled(Sigma, np.full(6, 1 / 6))
    x = np.array([0.7, -0.4, 0.0, 1.1, -0.2, 0.3])
    decomposition.initialise(model.rc, pd.Series(x, Sigma.labels)[::-1])
    close(parts_of(model.rc), parts_by_hand(Sigma.matrix(), x, GROUPS), 1e-12)
    assert [v.value for v in model.w.values()] == list(x)
    with pytest.raises(InputError, match="has no 'x' with the assets of this problem; expected"):
        decomposition.initialise(model, x)
    with pytest.raises(UnknownLabelError, match="unknown asset 'a0'; did you mean 'A0'"):
        decomposition.at({"a0": 1.0})


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (["A0"], "groups is a list; expected a Mapping, such as {'energy'"),
        ({"energy": "A0"}, "members of group 'energy' are 'A0'; expected a list of assets"),
        ({"energy": []}, r"members of group 'energy' are \[\]; expected a list of assets"),
        ({"energy": ["A0", "A0"]}, "group 'energy': asset label 'A0' occurs 2 times"),
        ({"energy": ["A0", "A9"]}, "unknown asset 'A9'; did you mean 'A"),
    ],
)
def test_groups_that_are_refused(factor_covariance, groups, message):
    with pytest.raises(InputError, match=message):
        RiskContributions(factor_covariance(4), groups)


def test_a_word_is_no_covariance():
    with pytest.raises(InputError, match=r"covariance is a str; expected a Covariance, such"):
        RiskContributions("Sigma")


# --- models with them -------------------------------------------------------------------------


def capped(covariance, mean, environ=True):
    """Return against variance; the first two carry at most 30 % of it, no asset thrice another."""
    n = covariance.size
    model = modelled(covariance, np.full(n, 1 / n), environ)
    own = pyo if environ else pmo
    rc, w = model.rc, model.w
    for variable in w.values():
        variable.lb, variable.ub = 0.02, 1.0
    make = pyo.Constraint if environ else pmo.constraint
    model.invested = make(expr=sum(w.values()) == 1)
    model.cap = make(expr=(rc.group["first"] - 0.3 * rc.variance) / rc.unit <= 0)
    model.ratio = make(expr=(rc.contribution["A3"] - 3 * rc.contribution["A2"]) / rc.unit <= 0)
    gain = sum(m * v for m, v in zip(mean, w.values(), strict=True))
    model.goal = (
        own.Objective(expr=rc.variance / rc.unit - gain)
        if environ
        else own.objective(rc.variance / rc.unit - gain)
    )
    return model


def by_slsqp(covariance, mean, unit):
    """The same from 12 starts, without any of this package's statement."""
    n, S = covariance.size, covariance.matrix().to_numpy() / unit
    contribution = lambda x: x * (S @ x)  # noqa: E731
    rows = [
        {"type": "eq", "fun": lambda x: x.sum() - 1},
        {"type": "ineq", "fun": lambda x: 0.3 * (x @ S @ x) - contribution(x)[:2].sum()},
        {"type": "ineq", "fun": lambda x: 3 * contribution(x)[2] - contribution(x)[3]},
    ]
    starts = np.random.default_rng(0).dirichlet(np.ones(n), 12)
    ends = [
        minimize(
            lambda x: x @ S @ x - mean @ x,
            start,
            bounds=[(0.02, 1.0)] * n,
            constraints=rows,
            options={"ftol": 1e-13, "maxiter": 500},
        )
        for start in starts
    ]
    return min(end.fun for end in ends if end.success)


@pytest.mark.parametrize("environ", [True, False])
@pytest.mark.parametrize("solver", ["casadi_ipopt", "scip_direct", "gurobi_persistent"])
def test_sector_caps_and_ratios(factor_covariance, need, solver, environ):
    """A local, two global solvers and twelve runs of SLSQP agree."""
    need({"casadi_ipopt": "ipopt"}.get(solver, solver.partition("_")[0]))
    if not environ and solver != "casadi_ipopt":
        pytest.skip("Pyomo's newer interfaces read no kernel models")
    Sigma = factor_covariance(6)
    mean = np.array([3.0, 1.0, 4.0, 1.0, 5.0, 9.0]) * 2
    model = capped(Sigma, mean, environ)
    SolverFactory(solver).solve(model, solver_options=GLOBAL[solver], time_limit=60)
    expected = by_slsqp(Sigma, mean, model.rc.unit)
    assert pyo.value(model.goal.expr) == pytest.approx(expected, rel=2e-6)
    x = np.array([v.value for v in model.w.values()])
    parts = RiskContributions(Sigma, GROUPS).at(x)
    assert parts["group"]["first"] <= 0.3 * parts["variance"] * (1 + 1e-5)
    assert parts["contribution"]["A3"] <= 3 * parts["contribution"]["A2"] * (1 + 1e-5)


@pytest.mark.parametrize("solver", ["casadi_ipopt", "scip_direct", "gurobi_persistent"])
def test_budgets_of_groups(factor_covariance, need, solver):
    """Two pairs and an asset carry 50, 30 and 20 % of the variance, at the largest return."""
    need({"casadi_ipopt": "ipopt"}.get(solver, solver.partition("_")[0]))
    Sigma = factor_covariance(5)
    pairs = {"a": ["A0", "A1"], "b": ["A2", "A3"], "c": ["A4"]}
    decomposition = RiskContributions(Sigma, pairs)
    model = pyo.ConcreteModel()
    model.w = pyo.Var(list(Sigma.labels), bounds=(0, 1), initialize=1 / 5)
    model.rc = decomposition.block(model.w)
    model.invested = pyo.Constraint(expr=sum(model.w.values()) == 1)
    model.budget = pyo.Constraint(
        list("ab"),
        rule=lambda m, g: (
            (m.rc.group[g] - {"a": 0.5, "b": 0.3}[g] * m.rc.variance) / m.rc.unit == 0
        ),
    )
    model.goal = pyo.Objective(
        expr=model.rc.variance / model.rc.unit - sum(k * model.w[f"A{k}"] for k in range(5))
    )
    SolverFactory(solver).solve(model, solver_options=GLOBAL[solver], time_limit=60)
    x = np.array([v.value for v in model.w.values()])
    parts = decomposition.at(x)
    shares = parts["group"] / parts["variance"]
    np.testing.assert_allclose(shares, [0.5, 0.3, 0.2], atol=2e-6)
    assert x.sum() == pytest.approx(1.0, abs=1e-7)
