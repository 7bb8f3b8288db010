"""Weights of given signs: the parity portfolio of an orthant, in every formulation."""

from itertools import combinations

import numpy as np
import pandas as pd
import pyomo.environ as pyo
import pyomo.kernel as pmo
import pytest

from rrp_pyomo import (
    CovarianceUncertainty,
    DenseCovariance,
    FactorCovariance,
    FactorModel,
    RiskBudgeting,
    RiskParityNLP,
    RiskParityQCLP,
    RiskParitySOCP,
    RobustRiskBudgeting,
    RobustRiskParity,
    WeightSet,
    largest_omega,
)
from rrp_pyomo.backtest import Backtest, RiskParity, Robust
from rrp_pyomo.data import Group, datasets, excess_returns
from rrp_pyomo.errors import InfeasibleError, InputError, ModelError, RiskParityWarning, SolverError
from rrp_pyomo.models.newton import newton
from rrp_pyomo.models.weights import binding, violation

NOMINAL = [RiskParitySOCP, RiskParityQCLP, RiskParityNLP]
SIX = np.array([1.0, 1, 1, 1, -1, -1])


@pytest.fixture(scope="module")
def six():
    """Six American industries, five years of months."""
    data = datasets.french()
    returns = excess_returns(data.returns, data.risk_free).tail(60)
    covariance = FactorModel.fit(returns, data.factors.tail(60)).covariance
    return DenseCovariance(covariance.matrix().iloc[:6, :6])


@pytest.fixture(scope="module")
def uncertain(six):
    worst = DenseCovariance(six.matrix() + np.diag(0.3 * six.variances))
    return CovarianceUncertainty.from_bounds(six, worst)


def flipped(covariance, signs=SIX):
    """The covariance of the returns of positions, whose sign is changed for shorts."""
    return DenseCovariance(covariance.matrix() * np.outer(signs, signs))


def parity(covariance, signs=SIX, budgets=None):
    """The portfolio of an orthant, Σ|x_i| = 1, from that of flipped returns."""
    n = covariance.size
    b = np.full(n, 1 / n) if budgets is None else budgets
    return signs * newton(flipped(covariance, signs), b).weights


def by_bounds(covariance, signs=SIX, most=10.0):
    """The signs as bounds on the weights."""
    sides = list(zip(covariance.labels, signs, strict=True))
    return WeightSet(
        long_only=False,
        lower={a: 0.0 if s > 0 else -most for a, s in sides},
        upper={a: most if s > 0 else 0.0 for a, s in sides},
    )


# --- the portfolio of an orthant -----------------------------------------------------------------


@pytest.mark.parametrize("formulation", NOMINAL)
@pytest.mark.parametrize("how", ["signs", "bounds"])
def test_fully_invested_long_short_parity(formulation, how, six):
    X = WeightSet(signs=SIX) if how == "signs" else by_bounds(six)
    found = formulation(six, weight_set=X).solve()
    known = [3.5438268, 1.2840670, 2.3687781, 1.0430307, -4.2664165, -2.9732860]
    np.testing.assert_allclose(found.weights, known, atol=1e-6)
    expected = parity(six)
    np.testing.assert_allclose(found.weights, expected / expected.sum(), atol=1e-9)
    assert found.certificate.is_risk_parity
    assert "gross 1.55e+03 %, net 100 %, largest weight -427 % in" in repr(found)


@pytest.mark.parametrize("formulation", NOMINAL)
@pytest.mark.parametrize("gross", [1.0, 2.5])
def test_parity_of_a_given_gross(formulation, gross, six):
    problem = formulation(six, weight_set=WeightSet(signs=SIX, gross=gross))
    np.testing.assert_allclose(problem.solve().weights, gross * parity(six), atol=1e-9)
    by_newton = problem.solve("newton")
    np.testing.assert_allclose(by_newton.weights, gross * parity(six), atol=1e-13)
    assert by_newton.gross == pytest.approx(gross)


@pytest.mark.parametrize("solver", ["gurobi", "scip"])
@pytest.mark.parametrize("formulation", [RiskParitySOCP, RiskParityQCLP])
def test_other_solvers_agree(formulation, solver, six):
    few = six.labels[:4]
    covariance, signs = DenseCovariance(six.matrix().loc[few, few]), np.array([1.0, -1, 1, -1])
    found = formulation(covariance, weight_set=WeightSet(signs=signs, gross=1.0)).solve(solver)
    np.testing.assert_allclose(found.weights, parity(covariance, signs), atol=1e-5)


def test_one_orthant_has_weights_in_closed_form():
    sigma, signs = np.array([0.1, 0.2, 0.4]), np.array([1.0, -1, -1])
    X = WeightSet(signs=signs, gross=1.0)
    found = RiskParitySOCP(DenseCovariance(np.diag(sigma**2)), weight_set=X).solve()
    np.testing.assert_allclose(found.weights, signs / sigma / (1 / sigma).sum(), atol=1e-8)
    # Of two assets both have σ_i |x_i| alike, whatever their correlation.
    for rho in (-0.9, 0.9):
        pair = DenseCovariance([[0.01, rho * 0.02], [rho * 0.02, 0.04]])
        X = WeightSet(signs=[1, -1])
        found = RiskParitySOCP(pair, weight_set=X).solve()
        np.testing.assert_allclose(found.weights, [2.0, -1.0], atol=1e-8)


def test_signs_of_all_weights_change_the_portfolio_to_its_opposite(six):
    one, other = (
        RiskParitySOCP(six, weight_set=WeightSet(signs=s, gross=1.0)).solve() for s in (SIX, -SIX)
    )
    np.testing.assert_allclose(one.weights, -other.weights, atol=1e-9)
    assert one.volatility == pytest.approx(other.volatility)


def test_signs_of_one_are_long_only(six):
    ones = RiskParitySOCP(six, weight_set=WeightSet(signs=pd.Series(1, index=six.labels)))
    assert ones.weight_set.is_simplex
    assert str(ones.statement) == str(RiskParitySOCP(six).statement)


def test_statement_reads_like_the_page(six):
    problem = RiskParitySOCP(six, weight_set=WeightSet(signs=SIX, gross=1.0))
    text = str(problem.statement)
    for row in ("z              == S @ (Sigma @ x)", "S @ x * z      >=", "(S @ x).sum()  == 1"):
        assert row in text
    assert "X: 4 long, 2 short, gross 1)" in repr(problem)


@pytest.mark.parametrize("formulation", NOMINAL)
def test_budgets_and_factors(formulation, hedging_covariance):
    covariance, signs = hedging_covariance(12, 3), np.resize([1.0, -1, 1], 12)
    budgets = np.linspace(1, 3, 12) / 24
    X = WeightSet(signs=dict(zip(covariance.labels, signs, strict=True)), gross=1.0)
    found = formulation(covariance, budgets, X).solve()
    np.testing.assert_allclose(found.weights, parity(covariance, signs, budgets), atol=1e-9)
    np.testing.assert_allclose(found.relative_risk_contributions, budgets, atol=1e-8)


@pytest.mark.parametrize("formulation", [RiskParityQCLP, RiskParityNLP])
def test_free_weights_end_near_where_they_start(formulation, six):
    problem = formulation(six, weight_set=WeightSet(long_only=False))
    found = problem.solve(start=[3, 1, 2, 1, -4, -2])
    np.testing.assert_allclose(found.weights, parity(six) / parity(six).sum(), atol=1e-9)
    assert problem.solve().weights.min() > 0


def test_some_of_a_book_by_cardinality(six):
    """Of all books of four, long and short as the signs say, the one of the least volatility."""
    X = WeightSet(signs=SIX, gross=1.0)
    found = RiskParitySOCP(six, weight_set=X, cardinality=4).solve("scip")
    books = []
    for few in combinations(range(6), 4):
        chosen = six.select([six.labels[i] for i in few])
        weights = pd.Series(parity(chosen, SIX[list(few)]), index=chosen.labels)
        books.append((chosen.variance(weights), weights))
    least, weights = min(books, key=lambda book: book[0])
    assert found.volatility == pytest.approx(np.sqrt(least))
    np.testing.assert_allclose(found.weights.loc[weights.index], weights, atol=1e-7)


# --- with more constraints, and the robust problem -----------------------------------------------


@pytest.mark.filterwarnings("ignore:.*beside:rrp_pyomo.errors.RiskParityWarning")
def test_bounds_on_both_sides_are_those_of_flipped_returns(six):
    shorts = six.labels[4:]
    X = WeightSet(signs=SIX, gross=1.0, lower=-0.27, upper={"NoDur": 0.225, "Durbl": 0.5})
    found = RiskParitySOCP(six, weight_set=X).solve()
    same = WeightSet(upper={"NoDur": 0.225, "Durbl": 0.5} | dict.fromkeys(shorts, 0.27))
    expected = RiskParitySOCP(flipped(six), weight_set=same).solve()
    np.testing.assert_allclose(SIX * found.weights, expected.weights, atol=1e-6)
    assert found.weights["NoDur"] == pytest.approx(0.225, abs=1e-6)
    assert found.weights.min() >= -0.27 - 1e-9


@pytest.mark.parametrize("bounds", [{}, {"lower": -0.25, "upper": {"NoDur": 0.2}}])
@pytest.mark.parametrize("budgets", [np.full(6, 1 / 6), np.array([0.3, 0.3, 0, 0.2, 0.2, 0])])
def test_risk_budgeting_is_that_of_flipped_returns(budgets, bounds, six):
    X = WeightSet(signs=SIX, gross=1.0, **bounds)
    found = RiskBudgeting(six, budgets, X).solve()
    most = dict.fromkeys(six.labels[4:], 0.25) | {"NoDur": 0.2} if bounds else None
    expected = RiskBudgeting(flipped(six), budgets, WeightSet(upper=most)).solve()
    np.testing.assert_allclose(SIX * found.weights, expected.weights, atol=1e-9)
    assert found.certificate.largest_deviation < 1e-9
    assert found.certificate.stationarity < 1e-9
    assert len(found.certificate.binding) == 2 * bool(bounds)
    if not bounds:
        invested = RiskBudgeting(six, budgets, WeightSet(signs=SIX)).solve()
        np.testing.assert_allclose(invested.weights, found.weights / found.net, atol=1e-9)


def test_convex_start_is_in_the_set(six):
    X = WeightSet(signs=SIX, gross=1.0, lower=-0.27)
    problem = RiskParityQCLP(six, weight_set=X)
    start = problem._start("convex")
    assert violation(problem.weight_set, start) < 1e-6
    assert binding(problem.weight_set, start) == ("lower bound of 'Chems'",)


def test_positions_that_hedge_have_no_parity_by_cones(six):
    """Small shorts against large longs take risk away: (11e) rules them out, (3) and (4) do not."""
    X = WeightSet(signs=SIX, gross=1.6, fully_invested=True)
    with pytest.raises(InfeasibleError, match=r"s_i \(Σx\)_i ≥ 0.*RiskParityQCLP"):
        RiskParitySOCP(six, weight_set=X).solve()
    found = RiskParityQCLP(six, weight_set=X).solve()
    assert (found.net, found.gross) == pytest.approx((1.0, 1.6), abs=1e-6)
    assert found.relative_risk_contributions.min() < 0


@pytest.mark.filterwarnings("ignore:.*beside:rrp_pyomo.errors.RiskParityWarning")
def test_gross_and_net_together(six):
    weak = DenseCovariance(0.1 * six.matrix() + np.diag(six.variances))
    X = WeightSet(signs=SIX, gross=1.6, fully_invested=True)
    for formulation in NOMINAL:
        found = formulation(weak, weight_set=X).solve()
        assert (found.net, found.gross) == pytest.approx((1.0, 1.6), abs=1e-6)
    # Parity has another ratio of the two: (11) comes as close as p − t says, of all that have it.
    problem = RiskParitySOCP(weak, weight_set=X)
    best = problem.solve().objective
    rng = np.random.default_rng(0)
    for x in 1.3 * rng.dirichlet(np.ones(4), 200):
        y = np.append(x, -0.3 * rng.dirichlet(np.ones(2)))
        values = problem._values_at(y)
        assert (values["p"] - values["t"]) * problem.objective_unit >= best - 1e-9


def test_rows_are_about_the_weights(six):
    shorts = Group(six.labels[4:], lower=-0.3)
    X = WeightSet(signs=SIX, gross=1.0, groups={"shorts": shorts})
    found = RiskParityQCLP(six, weight_set=X).solve()
    assert found.weights.iloc[4:].sum() == pytest.approx(-0.3, abs=1e-6)


@pytest.mark.parametrize("formulation", [RobustRiskParity, RobustRiskBudgeting])
def test_robust_problem_is_that_of_flipped_returns(formulation, six, uncertain):
    other = CovarianceUncertainty.from_bounds(flipped(six), flipped(uncertain.worst_case))
    X = WeightSet(signs=SIX, gross=1.0)
    assert largest_omega(uncertain, X) == pytest.approx(largest_omega(other), rel=1e-6)
    assert largest_omega(uncertain, by_bounds(six)) >= largest_omega(uncertain, X) * (1 - 1e-6)
    found = formulation(uncertain, 0.5, weight_set=X).solve()
    expected = formulation(other, 0.5).solve()
    np.testing.assert_allclose(SIX * found.weights, expected.weights, atol=1e-7)
    assert found.certificate.largest_residual < 1e-7
    assert found.omega_max == pytest.approx(expected.omega_max, rel=1e-6)


def test_worst_case_of_a_book(factor_covariance):
    """That of flipped returns; no loadings within their errors make the book more volatile."""
    nominal, signs = factor_covariance(6), np.resize([1.0, -1, -1], 6)
    errors = np.random.default_rng(0).uniform(0.03, 0.12, (3, 6))
    found = CovarianceUncertainty.from_loading_errors(nominal, errors, 1.0, signs)
    other = CovarianceUncertainty.from_loading_errors(
        FactorCovariance(nominal.V * signs, nominal.F, nominal.D, nominal.labels), errors
    )
    for part in ("worst_case", "perturbation"):
        mine, flipped_one = (getattr(u, part).operator.toarray() for u in (found, other))
        np.testing.assert_allclose(mine, flipped_one * np.outer(signs, signs), atol=1e-15)
    most = found.worst_case.variance(signs)
    assert most > CovarianceUncertainty.from_loading_errors(nominal, errors).worst_case.variance(
        signs
    )
    for corner in np.random.default_rng(1).choice([-1.0, 1.0], (500, 3, 6)):
        u = (nominal.V + corner * errors) @ signs
        assert u @ nominal.F @ u + nominal.D.sum() <= most * (1 + 1e-12)
    X = WeightSet(signs=signs, gross=1.0)
    assert largest_omega(found, X) == pytest.approx(largest_omega(other), rel=1e-6)
    robust = RobustRiskParity(found, 0.3, weight_set=X).solve()
    expected = RobustRiskParity(other, 0.3).solve()
    np.testing.assert_allclose(signs * robust.weights, expected.weights, atol=1e-6)


def test_gross_scales_the_cone_of_weights(six, uncertain):
    """Bounds beside a gross of 2 are those of half the size beside 1."""
    sets = [WeightSet(signs=SIX, gross=k, lower=-0.15 * k, upper=0.3 * k) for k in (1.0, 2.0)]
    limits = [largest_omega(uncertain, X) for X in sets]
    assert limits[0] == pytest.approx(limits[1], rel=1e-6)
    assert limits[0] < largest_omega(uncertain, WeightSet(signs=SIX, gross=1.0)) * (1 - 1e-6)


# --- blocks --------------------------------------------------------------------------------------


@pytest.mark.parametrize("robust", [False, True])
def test_blocks_hold_free_variables_to_their_signs(robust, six, uncertain):
    X = WeightSet(signs=SIX, gross=1.0)
    problem = (
        RobustRiskParity(uncertain, 0.5, weight_set=X)
        if robust
        else RiskParitySOCP(six, weight_set=X)
    )
    expected = problem.solve().weights
    for solver in ("clarabel", "casadi_ipopt", "scip_direct"):
        m = pyo.ConcreteModel()
        m.w = pyo.Var(list(six.labels))
        m.parity = problem.block(weights=m.w, objective=True)
        pyo.SolverFactory(solver).solve(m)
        np.testing.assert_allclose([m.w[a].value for a in six.labels], expected, atol=2e-6)
    k = pmo.block()
    k.w = pmo.variable_dict({a: pmo.variable() for a in six.labels})
    k.parity = problem.kernel(weights=k.w, objective=True)
    pyo.SolverFactory("clarabel").solve(k)
    np.testing.assert_allclose([k.w[a].value for a in six.labels], expected, atol=1e-7)


@pytest.mark.parametrize("formulation", [RiskParityQCLP, RiskParityNLP])
def test_blocks_of_nonconvex_problems_start_in_the_orthant(formulation, six):
    problem = formulation(six, weight_set=WeightSet(signs=SIX))
    block = problem.block()
    pyo.SolverFactory("casadi_ipopt").solve(block)
    found = problem.portfolio(block)
    np.testing.assert_allclose(found.weights, parity(six) / parity(six).sum(), atol=1e-6)
    # Where no multiple is fully invested, a larger model may still have the block.
    block = formulation(six, weight_set=WeightSet(signs=-SIX)).block()
    assert [np.sign(x.value) for x in block.x.values()] == list(-SIX)


def test_one_block_for_the_longs_one_for_the_shorts(six):
    """Two books in one model: 70 % long in parity, 30 % short in parity, each by itself."""
    m = pyo.ConcreteModel()
    m.w = pyo.Var(list(six.labels))
    books = {"long": (six.labels[:4], 1.0, 0.7), "short": (six.labels[4:], -1.0, 0.3)}
    for name, (assets, sign, gross) in books.items():
        X = WeightSet(signs=dict.fromkeys(assets, sign), gross=gross)
        problem = RiskParitySOCP(six.select(assets), weight_set=X)
        m.add_component(name, problem.block(weights={a: m.w[a] for a in assets}))
    m.gap = pyo.Objective(expr=m.long.objective_expression + m.short.objective_expression)
    pyo.SolverFactory("clarabel").solve(m)
    for assets, sign, gross in books.values():
        found = RiskParitySOCP(six.select(assets)).solve("newton").weights
        np.testing.assert_allclose([m.w[a].value for a in assets], sign * gross * found, atol=1e-7)


# --- where it ends elsewhere, it says so ---------------------------------------------------------


@pytest.mark.parametrize("start", ["equal", "inverse_volatility"])
def test_starts_have_the_signs_of_the_set(start, six):
    for X in (by_bounds(six), WeightSet(signs=SIX, gross=2.0)):
        weights = RiskParityQCLP(six, weight_set=X)._start(start)
        assert (np.sign(weights) == SIX).all()
        assert np.abs(weights).sum() == pytest.approx(X.gross or 1.0)


def test_bounds_of_signs_explain_no_trap(six):
    """x_5 = x_6 = 0 is on the bounds of A3's set, and not risk parity."""
    long = np.append(newton(six.select(six.labels[:4]), np.full(4, 0.25)).weights, [-0.0, -0.0])
    for X in (by_bounds(six), WeightSet(signs=SIX)):
        problem = RiskParityQCLP(six, weight_set=X)
        assert violation(problem.weight_set, long) == pytest.approx(0.0, abs=1e-12)
        assert not binding(problem.weight_set, long)
        with pytest.warns(RiskParityWarning, match="no constraint explains it"):
            problem._portfolio(problem._solution_at(long, "trapped", "somebody"))
    # An asset that is left out is another matter.
    excluded = WeightSet(signs=SIX, upper={six.labels[0]: 0.0}).resolve(six.labels)
    assert binding(excluded, parity(six) * np.array([0, 1, 1, 1, 1, 1]))


def test_no_multiple_is_fully_invested(six, uncertain):
    for problem in (
        *(formulation(six, weight_set=WeightSet(signs=-SIX)) for formulation in NOMINAL),
        RobustRiskParity(uncertain, 0.5, weight_set=WeightSet(signs=-SIX)),
    ):
        with pytest.raises(InputError, match=r"sum to -0\.0646.*use WeightSet\(signs=\.\.\., gros"):
            problem.solve()
    with pytest.raises(InputError, match="no multiple of it is fully invested"):
        RiskParitySOCP(six, weight_set=WeightSet(signs=-SIX)).solve("newton")
    # Equal volatilities: one long, one short, nothing left over.
    neutral = DenseCovariance([[0.04, 0.01], [0.01, 0.04]])
    with pytest.raises(InputError, match=r"sum to -?[0-9.e-]+ where"):
        RiskParitySOCP(neutral, weight_set=WeightSet(signs=[1, -1])).solve()


def test_nothing_says_how_much(six):
    X = WeightSet(signs=SIX, fully_invested=False)
    with pytest.raises(InputError, match=r"x = 0 in it.*a gross or fully invested"):
        RiskParitySOCP(six, weight_set=X).solve()
    assert "not fully invested" in repr(RiskParitySOCP(six, weight_set=X))


@pytest.mark.parametrize("formulation", [RiskParitySOCP, RobustRiskParity])
def test_short_positions_without_signs_are_offered_signs(formulation, six, uncertain):
    data = uncertain if formulation is RobustRiskParity else six
    some = WeightSet(long_only=False, lower={six.labels[0]: 0.0})
    with pytest.raises(InputError, match=rf"needs weights x ≥ 0.*'{six.labels[1]}'.*signs="):
        formulation(data, weight_set=some)


def test_newton_takes_one_normalisation(six):
    for X in (
        WeightSet(signs=SIX, gross=1.6, fully_invested=True),
        WeightSet(signs=SIX, gross=1.0, upper=0.3),
        WeightSet(signs=SIX, fully_invested=False),
        WeightSet(long_only=False),
    ):
        with pytest.raises(ModelError, match="or of given signs"):
            RiskParityQCLP(six, weight_set=X).solve("newton")


def test_a_book_without_risk_has_no_parity():
    flat = DenseCovariance(np.full((2, 2), 0.04))
    X = WeightSet(signs=[1, -1], gross=1.0)
    with pytest.raises(SolverError, match="long–short portfolio with almost no risk"):
        RiskParitySOCP(flat, weight_set=X).solve("newton")


# --- backtests -----------------------------------------------------------------------------------


def test_backtests_hold_short_positions():
    data = datasets.french()
    assets = list(data.returns.columns[:6])
    X = WeightSet(signs=dict(zip(assets, SIX, strict=True)), gross=1.0)
    result = Backtest(
        data.returns[assets],
        data.factors,
        [RiskParity(weight_set=X), Robust(0.1, weight_set=X)],
        estimation="5Y",
        rebalance="1Y",
        start="2015-01-01",
        risk_free=data.risk_free,
    ).run()
    weights = result.weights.to_numpy()
    np.testing.assert_allclose(np.abs(weights).sum(axis=1), 1.0, atol=1e-6)
    assert (np.sign(np.round(weights, 9)) * SIX >= 0).all()
