"""Newton's method for many assets: by products with Σ, and to what rounding leaves."""

from __future__ import annotations

import numpy as np
import pytest

from rrp_pyomo import DenseCovariance, FactorCovariance, RiskParityQCLP, RiskParitySOCP, WeightSet
from rrp_pyomo.errors import InputError, SolverError
from rrp_pyomo.models.newton import newton
from rrp_pyomo.models.newton_systems import Systems
from rrp_pyomo.models.nominal import NominalCertificate


def off(Sigma, x: np.ndarray, b: np.ndarray) -> float:
    R = x * (Sigma @ x)
    return float(np.abs(R / R.sum() / b - 1.0).max())


@pytest.mark.parametrize("n", [101, 300, 700])
@pytest.mark.parametrize("family", ["factor_covariance", "hedging_covariance", "dense_covariance"])
def test_products_give_what_a_factorisation_gives(request, n, family, monkeypatch):
    Sigma = DenseCovariance(request.getfixturevalue(family)(n, seed=1).matrix())
    b = np.random.default_rng(n).dirichlet(np.full(n, 3.0))
    by_products = newton(Sigma, b).weights
    monkeypatch.setattr("rrp_pyomo.models.newton_systems._FEW", n)
    np.testing.assert_allclose(by_products, newton(Sigma, b).weights, rtol=1e-10)
    assert off(Sigma.operator, by_products, b) <= 1e-12


def test_products_take_given_signs(factor_covariance):
    n = 300
    Sigma = DenseCovariance(factor_covariance(n).matrix())
    signs = dict(zip(Sigma.labels, np.where(np.arange(n) % 3, 1.0, -1.0), strict=True))
    portfolio = RiskParitySOCP(Sigma, weight_set=WeightSet(signs=signs, gross=1.0)).solve("newton")
    assert (np.sign(portfolio.weights) == list(signs.values())).all()
    assert portfolio.cv <= 1e-11


def test_few_factors_need_few_products(factor_covariance, monkeypatch):
    """And no factorisation at all."""
    Sigma = DenseCovariance(factor_covariance(400).matrix())
    systems = []
    monkeypatch.setattr(
        "rrp_pyomo.models.newton.Systems", lambda c: systems.append(Counted(c)) or systems[-1]
    )
    newton(Sigma, np.full(400, 1 / 400))
    assert systems[0].count <= 25
    assert not systems[0].direct


class Counted(Systems):
    def __init__(self, covariance):
        super().__init__(covariance)
        self.count, times = 0, self.times

        def counted(x):
            self.count += 1
            return times(x)

        self.times = counted


def test_hedges_that_make_products_many_are_factorised(monkeypatch):
    """Many factors, and little of its own in any asset."""
    rng, n, systems = np.random.default_rng(0), 150, []
    V = rng.normal(size=(40, n))
    Sigma = DenseCovariance(1e-4 * (V.T @ V) + np.diag(rng.uniform(1e-6, 2e-6, n)))
    monkeypatch.setattr(
        "rrp_pyomo.models.newton.Systems", lambda c: systems.append(Counted(c)) or systems[-1]
    )
    assert newton(Sigma, np.full(n, 1 / n)).deviation <= 1e-10
    assert systems[0].direct


# --- what rounding leaves ------------------------------------------------------------------------


def many(n: int) -> FactorCovariance:
    rng = np.random.default_rng(2)
    V = np.vstack([rng.normal(1.0, 0.25, n), rng.normal(0.0, 0.4, (9, n))])
    F = np.diag(np.append(5e-4, np.full(9, 1e-4)))
    return FactorCovariance(V, F, rng.uniform(2e-4, 2e-3, n))


def test_rounding_is_no_failure():
    """A tolerance below what sums of 300,000 terms can hold ends with what they do."""
    n = 300_000
    Sigma = many(n)
    portfolio = RiskParitySOCP(Sigma).solve("newton", tol=1e-300)
    assert portfolio.status == "converged"
    assert portfolio.certificate.is_risk_parity
    x = portfolio.weights.to_numpy().astype(np.longdouble)
    V, F, D = (a.astype(np.longdouble) for a in (Sigma.V, Sigma.F, Sigma.D))
    R = x * (V.T @ (F @ (V @ x)) + D * x)
    assert np.abs(n * R / R.sum() - 1.0).max() <= 1e-11


def test_a_miss_is_no_rounding():
    """The bound that grows with n is far below a step that is missing, and the message says so."""
    with pytest.raises(SolverError, match=r"deviation .*, of 1e-12\); raise max_iter") as error:
        newton(many(100_000), np.full(100_000, 1e-5), max_iter=3)
    assert "almost no risk" not in str(error.value)


@pytest.mark.parametrize(("share", "parity"), [(1.5, False), (0.5, False), (1.0 + 1e-6, True)])
def test_contributions_of_a_million_assets_are_judged_by_their_budgets(share, parity):
    """Half of 1e-6 is 5e-7, which is below 1e-6."""
    low, high = min(share, 1.0), max(share, 1.0)
    certificate = NominalCertificate("optimal", 1e-6 * abs(share - 1.0), low, high)
    assert certificate.is_risk_parity is parity


# --- Σ that is no covariance ---------------------------------------------------------------------


def indefinite(n: int) -> np.ndarray:
    """Of the same variances, with three correlations that contradict each other."""
    matrix = 0.0004 * (0.7 * np.eye(n) + 0.3)
    matrix[0, 1] = matrix[1, 0] = -0.00036
    matrix[0, 2] = matrix[2, 0] = matrix[1, 2] = matrix[2, 1] = 0.00036
    return matrix


NOT_SEMIDEFINITE = "covariance is not positive semidefinite: as correlations, its smallest eigen"


@pytest.mark.parametrize(
    "use",
    [
        lambda c: c.root,
        lambda c: c.operator,
        lambda c: c.matrix(),
        lambda c: c.variance(np.full(c.size, 1 / c.size)),
        lambda c: RiskParitySOCP(c).solve(),
        lambda c: RiskParitySOCP(c).block(),
        lambda c: RiskParityQCLP(c).solve(),
        lambda c: RiskParityQCLP(c).program(),
    ],
)
def test_all_uses_refuse_an_indefinite_matrix(use):
    """That of up to 100 assets is refused at once."""
    with pytest.raises(InputError, match=NOT_SEMIDEFINITE):
        DenseCovariance(indefinite(100))
    Sigma = DenseCovariance(indefinite(150))
    with pytest.raises(InputError, match=NOT_SEMIDEFINITE):
        use(Sigma)


def test_newton_refuses_an_indefinite_matrix_that_its_steps_meet():
    rng, n = np.random.default_rng(0), 150
    market = rng.normal(1.0, 0.3, n) * rng.normal(0.0, 0.02, (2 * n, 1))
    returns = market + rng.normal(0.0, 0.03, (2 * n, n))
    seen = rng.random(returns.shape) < 0.6  # covariances of the weeks that both assets have
    known = np.where(seen, returns, 0.0)
    Sigma = DenseCovariance(known.T @ known / (seen.T.astype(float) @ seen))
    with pytest.raises(InputError, match=NOT_SEMIDEFINITE):
        newton(Sigma, np.full(n, 1 / n))


def test_risk_of_newtons_weights_needs_a_covariance():
    """Where no step meets what is negative, measures of risk do."""
    vertex = np.full((150, 150), 0.00016)
    np.fill_diagonal(vertex, 0.0004)
    vertex[0, 1] = vertex[1, 0] = 0.00041
    portfolio = RiskParitySOCP(DenseCovariance(vertex)).solve("newton")
    with pytest.raises(InputError, match=NOT_SEMIDEFINITE):
        _ = portfolio.volatility


# --- what is checked at once ---------------------------------------------------------------------


@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_in_either_order_are_the_same_covariance(order, dense_covariance):
    matrix = dense_covariance(150).matrix().to_numpy().copy()
    Sigma = DenseCovariance(np.array(matrix, order=order))
    np.testing.assert_array_equal(Sigma.operator, matrix)
    assert not Sigma.operator.flags.writeable
    assert Sigma.operator.flags.c_contiguous
    matrix[3, 7] += 1e-5
    with pytest.raises(InputError, match=r"not symmetric: \(3, 7\) is"):
        DenseCovariance(np.array(matrix, order=order))
    for bad in (np.nan, np.inf):
        matrix[3, 7] = matrix[7, 3] = bad
        with pytest.raises(InputError, match=rf"covariance of '7' at '3' is {bad}"):
            DenseCovariance(np.array(matrix, order=order))
