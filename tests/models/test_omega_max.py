"""The largest omega of small and large sets, against exact arithmetic; what a portfolio says of it.

The oracles know nothing of the package but the data: decimal numbers of 60 digits, the worst corner
of the loadings by trying all, and Σ^Δ entry by entry.
"""

from __future__ import annotations

import itertools
import math
import warnings
from decimal import Decimal, localcontext
from typing import Any

import numpy as np
import pytest

from rrp_pyomo import (
    CovarianceUncertainty,
    DenseCovariance,
    FactorCovariance,
    RobustRiskParity,
    largest_omega,
)
from rrp_pyomo.errors import InfeasibleError, RiskParityWarning, SolverError
from rrp_pyomo.models import penalised

SCALES = [1e-12, 1e-10, 1e-8, 1e-6, 1e-5, 1e-4, 1e-2, 1.0, 30.0, 1e3]
Exact = list[list[Decimal]]


def exact(matrix: np.ndarray) -> Exact:
    return [[Decimal(float(entry)) for entry in row] for row in matrix]


def transposed(A: Exact) -> Exact:
    return [list(column) for column in zip(*A, strict=True)]


def product(A: Exact, B: Exact) -> Exact:
    columns = transposed(B)
    return [
        [sum(a * b for a, b in zip(row, column, strict=True)) for column in columns] for row in A
    ]


def added(*matrices: Exact) -> Exact:
    return [
        [sum(entries) for entries in zip(*rows, strict=True)]
        for rows in zip(*matrices, strict=True)
    ]


def size(A: Exact) -> Decimal:
    """‖A‖_F."""
    return sum((entry * entry for row in A for entry in row), Decimal(0)).sqrt()


def diagonal(d: np.ndarray) -> Exact:
    return exact(np.diag(d))


def market(rng: np.random.Generator, n: int, m: int) -> dict[str, np.ndarray]:
    A = rng.normal(size=(m, m))
    F = 1e-3 * (A @ A.T + np.eye(m))
    return {
        "V": rng.normal(0.7, 0.6, (m, n)),
        "F": (F + F.T) / 2,
        "D": rng.uniform(1e-4, 1e-2, n),
        "errors": rng.uniform(0.02, 0.3, (m, n)),
    }


def factored(data: dict[str, np.ndarray], scale: float) -> CovarianceUncertainty:
    nominal = FactorCovariance(data["V"], data["F"], data["D"])
    return CovarianceUncertainty.from_loading_errors(nominal, data["errors"], scale)


def matrices(data: dict[str, np.ndarray], scale: float) -> tuple[Exact, Exact]:
    """Σ⁰ and Σ^Δ of the corner where the sum of all covariances is largest."""
    V, F, errors = exact(data["V"]), exact(data["F"]), exact(data["errors"])
    changes = [
        [[sign * Decimal(scale) * e for e in row] for sign, row in zip(signs, errors, strict=True)]
        for signs in itertools.product((1, -1), repeat=len(V))
    ]

    def total(E: Exact) -> Decimal:
        u = [[sum(row)] for row in added(V, E)]
        return product(transposed(u), product(F, u))[0][0]

    E = max(changes, key=total)
    cross = product(transposed(V), product(F, E))
    Delta = added(cross, transposed(cross), product(transposed(E), product(F, E)))
    return added(product(transposed(V), product(F, V)), diagonal(data["D"])), Delta


def of_two_assets(Sigma: Exact, Delta: Exact) -> float:
    """The best min_i (Σ⁰x)_i / ‖Σ^Δ x‖ along x = (1 − a, a), which has one peak; as ω."""

    def ratio(a: Decimal) -> Decimal:
        x = [[1 - a], [a]]
        return min(row[0] for row in product(Sigma, x)) / size(product(Delta, x))

    low, high = Decimal(0), Decimal(1)
    for _ in range(120):
        left, right = low + (high - low) / 3, high - (high - low) / 3
        low, high = (left, high) if ratio(left) < ratio(right) else (low, right)
    best = max(ratio(low), ratio(Decimal(0)), ratio(Decimal(1)))
    return float(Decimal(2).sqrt() * best * size(Sigma) / size(Delta))


@pytest.mark.parametrize("scale", SCALES)
def test_two_assets(scale: float) -> None:
    rng = np.random.default_rng(0)
    for m in (1, 2, 3):
        data = market(rng, 2, m)
        with localcontext() as context:
            context.prec = 60
            expected = of_two_assets(*matrices(data, scale))
        assert expected > 0
        assert largest_omega(factored(data, scale)) == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("n", [1, 5, 40])
def test_errors_in_proportion_to_one_loading(n: int, scale: float) -> None:
    """Then Σ^Δ is a multiple of vv', and x fills up the smallest marginal risks f v_i + D_i x_i.

    With 1 = v'x, their level τ solves Σ v_i (τ − f v_i)₊ / D_i = 1.
    """
    rng = np.random.default_rng(n)
    v, f, D = rng.uniform(0.3, 1.8, n), rng.uniform(1e-4, 1e-2), rng.uniform(1e-4, 1e-2, n)
    data = {"V": v[None, :], "F": np.array([[f]]), "D": D, "errors": v[None, :] / 4}
    with localcontext() as context:
        context.prec = 60
        v_, f_, D_ = ([Decimal(float(a)) for a in values] for values in (v, [f], D))
        filled, by = Decimal(1), Decimal(0)
        tau = None
        for i in sorted(range(n), key=lambda i: v_[i]):
            if tau is not None and tau <= f_[0] * v_[i]:
                break
            filled, by = filled + f_[0] * v_[i] ** 2 / D_[i], by + v_[i] / D_[i]
            tau = filled / by
        Sigma, Delta = matrices(data, scale)
        v_size = size([v_])
        ratio = tau / (size(Delta) / v_size)
        expected = float(Decimal(n).sqrt() * ratio * size(Sigma) / size(Delta))
    assert largest_omega(factored(data, scale)) == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("scale", [1e-10, 1e-6, 1e-2, 1.0, 1e3])
def test_two_assets_between_bounds(scale: float) -> None:
    """What the rounded bounds say, not what was meant by them."""
    rng = np.random.default_rng(1)
    for _ in range(3):
        A, B = rng.normal(size=(2, 3, 2))
        nominal = DenseCovariance(1e-3 * (A.T @ A + np.eye(2)))
        upper = DenseCovariance(nominal.operator + scale * 1e-3 * (B.T @ B))
        with localcontext() as context:
            context.prec = 60
            Sigma = exact(nominal.operator)
            Delta = added(exact(upper.operator), exact(-nominal.operator))
            expected = of_two_assets(Sigma, Delta)
        found = largest_omega(CovarianceUncertainty.from_bounds(nominal, upper))
        assert found == pytest.approx(max(expected, 0.0), rel=1e-7, abs=1e-9)


@pytest.mark.parametrize("scale", [1e-12, 1e-8, 1e-4, 1.0, 1e2])
def test_near_the_limit_a_portfolio_is_right_or_comes_with_a_warning(scale: float) -> None:
    solved = 0
    for seed in range(3):
        uncertainty = factored(market(np.random.default_rng(seed), 6, 2), scale)
        limit = largest_omega(uncertainty)
        for share in (0.5, 1.0, 1.0 + 1e-9):
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                try:
                    portfolio = RobustRiskParity(uncertainty, share * limit).solve()
                except (InfeasibleError, SolverError):
                    assert share > 0.9
                    continue
            solved += 1
            assert portfolio.certificate.largest_residual <= 1e-6 or said
        with pytest.raises(InfeasibleError, match="beyond omega_max"):
            RobustRiskParity(uncertainty, 1.001 * limit).solve()
    assert solved >= 3


def test_an_answer_that_violates_12_comes_with_a_warning() -> None:
    uncertainty = factored(market(np.random.default_rng(0), 6, 2), 0.1)
    loose: dict[str, Any] = {"tol_feas": 1e-2, "tol_gap_abs": 1e-2, "tol_gap_rel": 1e-2}
    with pytest.warns(RiskParityWarning, match=r"\(12b\)–\(12g\) hold to .*omega"):
        RobustRiskParity(uncertainty, 0.5 * largest_omega(uncertainty)).solve(**loose)


def test_a_limit_that_cannot_be_computed_leaves_the_portfolio_readable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def failing(*_: object) -> float:
        raise SolverError("the largest omega could not be computed")

    portfolio = RobustRiskParity(factored(market(np.random.default_rng(0), 4, 2), 0.1)).solve()
    monkeypatch.setattr(penalised, "largest_omega_of", failing)
    with pytest.warns(RiskParityWarning, match="omega_max is not known: .* could not be computed"):
        assert portfolio.to_dict()["omega_max"] is None
    assert math.isnan(portfolio.omega_max)
    assert portfolio.omega == 1.0
