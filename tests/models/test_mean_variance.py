"""Mean-variance with a point or a set in each place: values, worst elements, bounds, blocks."""

from __future__ import annotations

import pickle

import cvxpy as cp
import numpy as np
import pandas as pd
import pyomo.environ as pyo
import pytest

from rrp_pyomo import DenseCovariance, FactorCovariance, MeanVariance, WeightSet
from rrp_pyomo.data import Group
from rrp_pyomo.errors import InputError
from rrp_pyomo.models.judging import WorstCaseCertificate
from rrp_pyomo.uncertainty import Ball, Box, Ellipsoid, FrobeniusBall, SamplingError

N = 6
ASSETS = [f"a{i}" for i in range(N)]
FREE = WeightSet(long_only=False, fully_invested=False)
BUDGET = WeightSet(long_only=False)


def market(seed, n=N):
    """Means, and a covariance of weekly returns."""
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(n + 2, n)) * 0.02
    labels = [f"a{i}" for i in range(n)]
    mean = pd.Series(rng.normal(0.002, 0.003, n), labels)
    return mean, DenseCovariance(root.T @ root / 2, labels)


WEIGHT_SETS = {
    "long": WeightSet(),
    "budget": BUDGET,
    "free": FREE,
    "cone": WeightSet(fully_invested=False),
    "bounds": WeightSet(long_only=False, lower=-0.2, upper=0.4),
    "groups": WeightSet(groups={"some": Group(ASSETS[:3], 0.2, 0.5)}, upper=0.45),
    "signs": WeightSet(signs={a: (-1) ** (k > 3) for k, a in enumerate(ASSETS)}, gross=1.2),
}
MEAN_SETS = {
    "point": lambda mean, S: (mean, lambda w: 0.0),
    "box": lambda mean, S: (
        Box(mean, np.linspace(0.0, 0.004, N)),
        lambda w: np.linspace(0.0, 0.004, N) @ cp.abs(w),
    ),
    "ball": lambda mean, S: (Ball(mean, 0.004), lambda w: 0.004 * cp.norm(w)),
    "ball 1": lambda mean, S: (Ball(mean, 0.004, 1), lambda w: 0.004 * cp.norm(w, "inf")),
    "ball inf": lambda mean, S: (Ball(mean, 0.002, np.inf), lambda w: 0.002 * cp.norm(w, 1)),
    "ellipsoid": lambda mean, S: (
        Ellipsoid(mean, DenseCovariance(S / 100, ASSETS), 1.5),
        lambda w: 0.15 * cp.norm(np.linalg.cholesky(S).T @ w),
    ),
}


def admissible(X, w):
    """X for cvxpy."""
    R = X.resolve(ASSETS)
    rows = [w[i] >= R.lower[i] for i in range(N) if np.isfinite(R.lower[i])]
    rows += [w[i] <= R.upper[i] for i in range(N) if np.isfinite(R.upper[i])]
    if R.matrix is not None:
        total = R.matrix.toarray() @ w
        rows += [total >= R.row_lower, total <= R.row_upper]
    if R.fully_invested:
        rows.append(cp.sum(w) == 1)
    if R.gross is not None:
        rows.append(R.signs @ w == R.gross)
    return rows


def by_cvxpy(mean, S, penalty, X, aversion, l1=0, previous=None, l2=0, l2_squared=0, linf=0):
    w = cp.Variable(N)
    before = np.zeros(N) if previous is None else previous
    loss = aversion / 2 * cp.quad_form(w, cp.psd_wrap(S)) - mean.to_numpy() @ w + penalty(w)
    loss += l1 * cp.norm(w - before, 1) + l2 * cp.norm(w) + l2_squared * cp.sum_squares(w)
    loss += linf * cp.norm(w, "inf")
    scaled = cp.Problem(cp.Minimize(1e3 * loss), admissible(X, w))
    scaled.solve(cp.CLARABEL, tol_gap_abs=1e-10, tol_gap_rel=1e-10)
    return -scaled.value / 1e3


class TestAgainstCvxpy:
    @pytest.mark.parametrize("weight_set", WEIGHT_SETS)
    @pytest.mark.parametrize("mean_set", MEAN_SETS)
    def test_values_and_gaps(self, mean_set, weight_set):
        mean, covariance = market(len(mean_set + weight_set))
        S, X = covariance.operator, WEIGHT_SETS[weight_set]
        U, penalty = MEAN_SETS[mean_set](mean, S)
        portfolio = MeanVariance(U, covariance, 8.0, weight_set=X).solve()
        best = by_cvxpy(mean, S, penalty, X, 8.0)
        assert portfolio.worst_value == pytest.approx(best, rel=1e-6, abs=1e-9)
        certificate = portfolio.certificate
        assert certificate.relative_gap < 1e-6
        assert certificate.infeasibility < 1e-8
        worst = portfolio.worst_case.mean
        x = portfolio.weights
        attained = worst @ x - 4.0 * covariance.variance(x)
        assert attained == pytest.approx(portfolio.worst_value, rel=1e-6, abs=1e-9)
        assert portfolio.nominal_value >= portfolio.worst_value - 1e-12
        assert portfolio.price_of_robustness >= 0.0

    @pytest.mark.parametrize(
        "charges",
        [
            {"l1": 0.001},
            {"l1": 0.001, "previous": np.full(N, 1 / N)},
            {"l2": 0.003},
            {"l2_squared": 0.004},
            {"linf": 0.004},
            {"l1": 0.0005, "l2": 0.001, "l2_squared": 0.002, "linf": 0.001},
        ],
        ids=str,
    )
    @pytest.mark.parametrize("weight_set", ["long", "free", "bounds"])
    def test_charges(self, charges, weight_set):
        mean, covariance = market(3)
        S, X = covariance.operator, WEIGHT_SETS[weight_set]
        U, penalty = MEAN_SETS["box"](mean, S)
        problem = MeanVariance(U, covariance, 5.0, weight_set=X, **charges)
        portfolio = problem.solve()
        best = by_cvxpy(mean, S, penalty, X, 5.0, **charges)
        assert portfolio.worst_value == pytest.approx(best, rel=1e-6, abs=1e-9)
        assert portfolio.certificate.relative_gap < 1e-6

    def test_turnover_is_kept_to(self):
        mean, covariance = market(4)
        held = np.full(N, 1 / N)
        portfolio = MeanVariance(mean, covariance, 1.0, previous=held, turnover=0.3).solve()
        assert np.abs(portfolio.weights - held).sum() == pytest.approx(0.3, abs=1e-7)
        assert portfolio.certificate.relative_gap < 1e-6
        w = cp.Variable(N)
        loss = 0.5 * cp.quad_form(w, cp.psd_wrap(covariance.operator)) - mean.to_numpy() @ w
        rows = [cp.sum(w) == 1, w >= 0, cp.norm(w - held, 1) <= 0.3]
        best = cp.Problem(cp.Minimize(1e3 * loss), rows).solve(cp.CLARABEL) / 1e3
        assert portfolio.worst_value == pytest.approx(-best, rel=1e-6)


class TestCertificate:
    @pytest.mark.parametrize("mean_set", MEAN_SETS)
    def test_no_weights_are_better_by_more_than_the_gap(self, mean_set):
        mean, covariance = market(5)
        U, _ = MEAN_SETS[mean_set](mean, covariance.operator)
        problem = MeanVariance(U, covariance, 8.0)
        best = problem.solve().worst_value
        rng = np.random.default_rng(0)
        for x in rng.dirichlet(np.ones(N), 10):
            judged = problem._portfolio(problem._solution_at(x, "", ""))
            assert judged.worst_value + judged.certificate.gap >= best - 1e-9
            assert judged.worst_value == pytest.approx(problem.worst_value(x))

    def test_an_unbounded_set_has_one_by_the_curvature(self):
        mean, covariance = market(6)
        problem = MeanVariance(Ball(mean, 0.001), covariance, 8.0, weight_set=FREE)
        best = problem.solve()
        assert isinstance(best.certificate, WorstCaseCertificate)
        assert best.certificate.within is None
        other = problem._portfolio(problem._solution_at(1.1 * best.weights.to_numpy(), "", ""))
        gap = other.certificate.gap
        assert best.worst_value - other.worst_value <= gap < 10 * abs(best.worst_value)


class TestRealisations:
    def test_block_and_kernel(self):
        mean, covariance = market(7)
        problem = MeanVariance(Ellipsoid(mean, covariance.matrix() / 60, 1.0), covariance, 6.0)
        portfolio = problem.solve()
        model = pyo.ConcreteModel()
        model.w = pyo.Var(ASSETS, bounds=(0, 1))
        model.robust = problem.block(model.w)
        model.goal = pyo.Objective(expr=-model.robust.objective_expression)
        pyo.SolverFactory("clarabel").solve(model)
        again = problem.portfolio(model.robust)
        assert again.worst_value == pytest.approx(portfolio.worst_value, rel=1e-6)
        assert again.certificate.relative_gap < 1e-6
        block = problem.kernel()
        pyo.SolverFactory("casadi_ipopt").solve(block)
        assert problem.portfolio(block).worst_value == pytest.approx(
            portfolio.worst_value, rel=1e-6
        )

    def test_risk_aversion_is_a_parameter(self):
        mean, covariance = market(8)
        problem = MeanVariance(Box(mean, 0.001), covariance, 6.0, weight_set=BUDGET)
        problem.solve()
        problem.risk_aversion = 2.0
        fresh = MeanVariance(Box(mean, 0.001), covariance, 2.0, weight_set=BUDGET)
        np.testing.assert_allclose(problem.solve().weights, fresh.solve().weights, atol=1e-6)
        problem.risk_aversion = 0.0
        problem.weight_set = WeightSet().resolve(ASSETS)
        assert problem.solve().weights.idxmax() == mean.idxmax()

    def test_pickles_with_what_it_finds(self):
        mean, covariance = market(9)
        portfolio = MeanVariance(Ball(mean, 0.002), covariance, 6.0).solve()
        again = pickle.loads(pickle.dumps(portfolio))
        assert again.price_of_robustness == portfolio.price_of_robustness
        assert again.to_dict() == portfolio.to_dict()


class TestFactors:
    def test_stays_factored_and_shares_exposures(self):
        rng = np.random.default_rng(0)
        n, m = 150, 4
        V, D = rng.normal(1.0, 0.4, (m, n)), rng.uniform(1e-4, 4e-4, n)
        covariance = FactorCovariance(V, 4e-4 * np.eye(m), D)
        error = FactorCovariance(V, 4e-6 * np.eye(m), D / 100)
        mean = rng.normal(0.002, 0.002, n)
        problem = MeanVariance(Ellipsoid(mean, error, 1.0), covariance, 5.0)
        assert problem.statement.conic().A.nnz < 20 * n * m
        portfolio = problem.solve()
        dense = MeanVariance(
            Ellipsoid(mean, DenseCovariance(error.operator.toarray()), 1.0),
            DenseCovariance(covariance.operator.toarray()),
            5.0,
        ).solve()
        assert portfolio.worst_value == pytest.approx(dense.worst_value, rel=1e-7)
        assert portfolio.certificate.relative_gap < 1e-6


class TestEquivalent:
    @pytest.mark.parametrize("weight_set", ["long", "budget", "free", "bounds"])
    @pytest.mark.parametrize(
        ("kind", "charges", "names"),
        [
            ("point", {"l2_squared": 0.004}, {"ridge as a ball of covariances"}),
            (
                "point",
                {"l1": 0.002, "l2_squared": 0.004},
                {
                    "ridge as a ball of covariances",
                    "lasso as a box of means",
                    "elastic net as box and ball",
                },
            ),
            ("point", {"l2": 0.002}, {"unsquared norm as a ball of means"}),
            ("point", {"linf": 0.002}, {"largest weight as a ball of means"}),
            ("box", {}, {"lasso"}),
            ("ball", {}, {"unsquared norm"}),
            ("ellipsoid", {}, {"larger risk aversion"}),
        ],
    )
    def test_have_the_same_weights(self, kind, charges, names, weight_set):
        mean, covariance = market(11)
        U, _ = MEAN_SETS[kind](mean, covariance.operator)
        problem = MeanVariance(U, covariance, 5.0, weight_set=WEIGHT_SETS[weight_set], **charges)
        portfolio = problem.solve()
        found = problem.equivalent(portfolio)
        expected = names | {"Markowitz at the worst case"}
        if kind == "box" and weight_set == "long":
            expected.add("Markowitz at the lower means")
        assert {other.name for other in found} == expected
        for other in found:
            weights = other.problem.solve().weights
            np.testing.assert_allclose(weights, portfolio.weights, atol=3e-6, err_msg=other.name)

    @pytest.mark.parametrize(
        "covariance_set", [lambda c: FrobeniusBall(c, 1e-3), lambda c: SamplingError(c, 60, 2.0)]
    )
    def test_of_sets_of_covariances(self, covariance_set):
        mean, covariance = market(12)
        problem = MeanVariance(mean, covariance_set(covariance), 5.0, weight_set=BUDGET)
        portfolio = problem.solve()
        found = problem.equivalent(portfolio)
        assert len(found) >= 2
        for other in found:
            weights = other.problem.solve().weights
            np.testing.assert_allclose(weights, portfolio.weights, atol=3e-6, err_msg=other.name)

    def test_a_uniform_box_is_the_nominal_problem(self):
        mean, covariance = market(13)
        problem = MeanVariance(Box(mean, 0.002), covariance, 5.0)
        names = {other.name for other in problem.equivalent()}
        assert "the nominal problem" in names


class TestInput:
    def test_nothing_to_optimise(self):
        _, covariance = market(0)
        with pytest.raises(InputError, match="has nothing to optimise"):
            MeanVariance(None, covariance, 0.0)

    def test_labels_must_agree(self):
        mean, covariance = market(0)
        with pytest.raises(InputError, match="asset 1 is 'a0' in covariance but 'a5' in mean"):
            MeanVariance(mean[::-1], covariance)

    def test_turnover_needs_a_start(self):
        mean, covariance = market(0)
        with pytest.raises(InputError, match="limits what is traded"):
            MeanVariance(mean, covariance, turnover=0.2)

    def test_negative_numbers(self):
        mean, covariance = market(0)
        with pytest.raises(InputError, match="l2 is -1; expected a finite number of at least 0"):
            MeanVariance(mean, covariance, l2=-1)
        with pytest.raises(InputError, match="risk_aversion is -2"):
            MeanVariance(mean, covariance, -2)
