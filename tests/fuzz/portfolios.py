"""Portfolios through the public interface, against NumPy, SciPy and cvxpy."""

from __future__ import annotations

import itertools
import math
import warnings
from typing import Any

import cvxpy as cp
import numpy as np
import pandas as pd
from hostile_arguments import hostile
from judging import Outcome
from market import Market, draw_budgets, draw_weight_set
from portfolio_references import has_risks, optimum, parity, perturbation

from rrp_pyomo import (
    CovarianceUncertainty,
    DenseCovariance,
    FactorModel,
    Portfolio,
    RiskParityNLP,
    RiskParityQCLP,
    RiskParitySOCP,
    RobustRiskParity,
    largest_omega,
)
from rrp_pyomo.errors import InfeasibleError, InputError, RiskParityWarning, SolverError

#: Of optimal values in units of the equally weighted portfolio's risk, as in docs/solvers.md.
ACCURACY = {"clarabel": 1e-6, "casadi_ipopt": 2e-6, "scs": 1e-3}


def case(seed: int) -> Outcome:
    """Data and problems of some kind, or arguments of the wrong one."""
    rng = np.random.default_rng(seed)
    outcome = Outcome()
    kinds = {
        "model": 0.15,
        "nominal": 0.2,
        "robust": 0.2,
        "limit": 0.1,
        "same": 0.1,
        "hostile": 0.25,
    }
    kind = str(rng.choice(list(kinds), p=list(kinds.values())))
    outcome.counts[kind] += 1
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        market = Market(rng)
        if kind == "hostile":
            hostile(market, rng, outcome)
        else:
            try:
                CHECKS[kind](market, rng, outcome, caught)
            except Exception as error:
                outcome.found("crash", f"{kind}: {type(error).__name__}", f"{market}: {error}")
    return outcome


def _close(a: Any, b: Any, rel: float, floor: float = 0.0) -> bool:
    a, b = np.asarray(a, float), np.asarray(b, float)
    size = max(float(np.abs(b).max(initial=0.0)), floor)
    return a.shape == b.shape and bool((np.abs(a - b) <= rel * size).all())


# --- the factor model and its uncertainty set, from their definitions ----------------------------


def _model(market: Market, rng: np.random.Generator, outcome: Outcome, caught: Any) -> None:
    model = market.model()
    Y, X = market.R.to_numpy(), market.F.to_numpy()
    A = np.column_stack([np.ones(market.p), X])
    B, *_ = np.linalg.lstsq(A, Y, rcond=None)
    residuals = Y - A @ B
    s2 = (residuals**2).sum(axis=0) / (market.p - market.m - 1)
    condition = np.linalg.cond(A / np.linalg.norm(A, axis=0))
    rel = 1e-12 * condition**2 + 1e-10
    SE = np.sqrt(np.outer(np.linalg.inv(A.T @ A).diagonal()[1:], s2))
    F = np.cov(X.T, ddof=1).reshape(market.m, market.m)
    Sigma = B[1:].T @ F @ B[1:] + np.diag(s2)
    truth = {
        "alpha": (model.alpha, B[0]),
        "loadings": (model.loadings, B[1:]),
        "standard errors": (model.loading_standard_errors, SE),
        "residual variance": (model.residual_variance, s2),
        "factor covariance": (model.factor_covariance, F),
        "expected returns": (model.expected_returns, Y.mean(axis=0)),
        "covariance": (model.covariance.matrix(), Sigma),
    }
    for name, (ours, theirs) in truth.items():
        if not _close(ours, theirs, rel, floor=np.abs(Y).max() if name == "alpha" else 0.0):
            outcome.found("wrong", f"model: {name}", f"{market}; condition {condition:.2g}")
    U = model.covariance_uncertainty(market.scale)
    V, W = B[1:], market.scale * SE
    corners = [np.array(s) for s in itertools.product([1, -1], repeat=market.m)]
    sums = [
        float(np.ones(market.n) @ (v := V + s[:, None] * W).T @ F @ v @ np.ones(market.n))
        for s in corners
    ]
    best = max(sums)
    found = U.worst_case.loadings.to_numpy()
    total = float(found.sum(axis=1) @ F @ found.sum(axis=1))
    if not total >= best * (1 - 1e-9):
        outcome.found("wrong", "model: worst case", f"{market}: {total} for {best}")
    if not _close(np.abs(found - V), W, 1e-7, floor=float(np.abs(V).max())):
        outcome.found("wrong", "model: worst loadings are no corner", market)
    Delta = perturbation(V, found - V, F)
    size = float(np.linalg.norm(Delta) / np.linalg.norm(Sigma))
    if not math.isclose(U.relative_size, size, rel_tol=1e-6):
        outcome.found("wrong", "model: relative_size", f"{market}: {U.relative_size} for {size}")
    if not _close(U.perturbation.matrix(), Delta, 1e-6):
        outcome.found("wrong", "model: perturbation", market)


# --- problems ------------------------------------------------------------------------------------


def _nominal(market: Market, rng: np.random.Generator, outcome: Outcome, caught: Any) -> None:
    covariance: Any = market.model().covariance
    if rng.random() < 0.4:
        covariance = DenseCovariance(covariance.matrix())
    Sigma = covariance.matrix().to_numpy()
    given, b = draw_budgets(market, rng)
    X, rows = draw_weight_set(market, rng)
    problem, solvers = [
        (RiskParitySOCP, ["clarabel", "scs", "casadi_ipopt"]),
        (RiskParityQCLP, ["casadi_ipopt"]),
        (RiskParityNLP, ["casadi_ipopt"]),
    ][int(rng.choice(3, p=[0.6, 0.2, 0.2]))]
    solver = str(rng.choice(solvers))
    if X is None and rng.random() < 0.2:
        solver = "newton"
    what = f"{problem.__name__} by {solver}"
    try:
        portfolio = problem(covariance, given, X).solve(solver)
    except InputError as error:
        if X is None:
            raise
        outcome.counts["empty weight set"] += "satisf" in str(error) or "between" in str(error)
        return
    except SolverError as error:
        if not isinstance(error, InfeasibleError) or has_risks(Sigma, rows):
            outcome.counts[f"{what}: undecided"] += 1
            if solver == "clarabel":
                outcome.found("wrong", f"{what}: no answer", f"{market}: {error}")
        return
    _check_measures(what, portfolio, Sigma, b, outcome)
    _check_weights(what, portfolio, rows, 1e-3 if solver == "scs" else 1e-6, outcome)
    x = portfolio.weights.to_numpy()
    warned = any(issubclass(w.category, RiskParityWarning) for w in caught)
    if not rows:
        truth = parity(Sigma, b)
        tolerance = {"scs": 3e-2, "newton": 1e-8}.get(solver, 1e-4)
        off = float(np.abs(x - truth).max() * market.n)
        if off > tolerance and not warned:
            outcome.found(
                "wrong", f"{what}: weights", f"off by {off:.2g}; {market}; {portfolio.status}"
            )
    elif problem is RiskParitySOCP:
        _check_objective(
            what,
            portfolio,
            Sigma,
            Sigma,
            np.zeros_like(Sigma),
            0.0,
            b,
            rows,
            solver,
            market,
            outcome,
        )


def _robust(market: Market, rng: np.random.Generator, outcome: Outcome, caught: Any) -> None:
    U, Sigma, worst, Delta = _uncertainty(market, rng)
    given, b = draw_budgets(market, rng)
    X, rows = draw_weight_set(market, rng)
    solver = str(rng.choice(["clarabel", "scs", "casadi_ipopt"], p=[0.6, 0.2, 0.2]))
    what = f"RobustRiskParity by {solver}"
    size = float(np.linalg.norm(Delta) / np.linalg.norm(Sigma))
    try:
        limit = largest_omega(U, X)
    except InputError:
        if X is None:
            raise
        outcome.counts["empty weight set"] += 1
        return
    share = float(rng.choice([0.0, 0.1, 0.5, 0.9, 0.99, 1.01, 1.5]))
    omega = share * limit if math.isfinite(limit) else share
    try:
        portfolio = RobustRiskParity(U, omega, given, X).solve(solver)
    except InfeasibleError as error:
        if omega < 0.995 * limit and solver == "casadi_ipopt":  # says that it proves nothing
            outcome.counts[f"{what}: undecided"] += 1
        elif omega < 0.995 * limit:
            outcome.found(
                "wrong", f"{what}: infeasible", f"{market}; {share} of the limit: {error}"
            )
        elif omega > limit and f"{limit:.9g}"[:5] not in str(error):
            outcome.found("crash", f"{what}: the message has no limit", error)
        return
    except SolverError as error:
        outcome.counts[f"{what}: undecided"] += 1
        if solver == "clarabel" and share < 0.95:
            outcome.found("wrong", f"{what}: no answer", f"{market}; {share}: {error}")
        return
    if share > 1.005 and math.isfinite(limit) and solver != "scs":
        outcome.found(
            "wrong", f"{what}: solved beyond the limit", f"{share}; {market}; {portfolio.status}"
        )
        return
    _check_measures(what, portfolio, Sigma, b, outcome)
    _check_weights(what, portfolio, rows, 1e-3 if solver == "scs" else 1e-6, outcome)
    residual = portfolio.certificate.largest_residual
    warned = any(issubclass(w.category, RiskParityWarning) for w in caught)
    allowed = {"scs": 1e-3}.get(solver, 1e-6)
    if residual > allowed and not warned:
        outcome.found("wrong", f"{what}: silent residual", f"{residual:.2g}; {share}; {market}")
    if share <= 0.9 and not warned:
        _check_objective(
            what, portfolio, Sigma, worst, Delta, omega * size, b, rows, solver, market, outcome
        )


def _uncertainty(market: Market, rng: np.random.Generator) -> tuple[Any, Any, Any, Any]:
    model = market.model()
    if rng.random() < 0.75:
        U = model.covariance_uncertainty(market.scale)
        V, F = model.loadings.to_numpy(), model.factor_covariance.to_numpy()
        Delta = perturbation(V, U.worst_case.loadings.to_numpy() - V, F)
    else:
        Sigma = model.covariance.matrix()
        A = rng.normal(size=(market.n, 2)) * float(np.sqrt(np.trace(Sigma)))
        upper = Sigma + market.scale * A @ A.T / market.n
        U = CovarianceUncertainty.from_bounds(Sigma, upper)
        Delta = (upper - Sigma).to_numpy()
    Sigma = U.nominal.matrix().to_numpy()
    return U, Sigma, Sigma + Delta, Delta


def _check_objective(
    what: str, portfolio: Portfolio, Sigma: Any, worst: Any, Delta: Any, Omega: float, b: Any,
    rows: list[Any], solver: str, market: Market, outcome: Outcome,
) -> None:  # fmt: skip
    """p − t of (11) or (12) by cvxpy, in the unit of the equally weighted portfolio."""
    found = optimum(Sigma, worst, Delta, Omega, b, rows)
    if found is None:
        outcome.counts["skipped: cvxpy is not sure"] += 1
        return
    value, p, unit = found
    ours = portfolio.objective / unit
    if abs(ours - value) > ACCURACY[solver] * max(1.0, p):
        outcome.found("wrong", f"{what}: objective", f"{ours:.9g} for {value:.9g}; {market}")


def _check_measures(what: str, portfolio: Portfolio, Sigma: Any, b: Any, outcome: Outcome) -> None:
    x = portfolio.weights.to_numpy()
    R = x * (Sigma @ x)
    variance = float(R.sum())
    shares = R / variance
    relative = shares / b
    truth = {
        "volatility": math.sqrt(variance),
        "cv": float(relative.std(ddof=1) / relative.mean()),
        "highest_risk_contribution": float(shares.max()),
        "herfindahl": float((shares**2).sum()),
        "largest_deviation": float(np.abs(shares - b).max()),
    }
    plain = portfolio.to_dict()
    for name, value in truth.items():
        if not math.isclose(getattr(portfolio, name), value, rel_tol=1e-7, abs_tol=1e-9):
            outcome.found("wrong", f"{what}: {name}", f"{getattr(portfolio, name)} for {value}")
    if len(plain["weights"]) != len(x):
        outcome.found("wrong", "to_dict loses an asset", list(portfolio.weights.index))


def _check_weights(
    what: str, portfolio: Portfolio, rows: list[Any], tolerance: float, outcome: Outcome
) -> None:
    x = portfolio.weights.to_numpy()
    outside = [float(-x.min()), abs(float(x.sum()) - 1)]
    outside += [float(low - a @ x) for a, low, _ in rows]
    outside += [float(a @ x - high) for a, _, high in rows]
    if not max(outside) <= tolerance:
        outcome.found("wrong", f"{what}: weights outside of the set", f"by {max(outside):.2g}")


# --- the limit -----------------------------------------------------------------------------------


def _limit(market: Market, rng: np.random.Generator, outcome: Outcome, caught: Any) -> None:
    if rng.random() < 0.5:
        market.scale = float(10.0 ** rng.uniform(-8, 0))
    U, Sigma, _, Delta = _uncertainty(market, rng)
    if np.linalg.norm(Delta) < 1e-5 * np.linalg.norm(Sigma) and U.worst_case_loadings is None:
        return
    ours = largest_omega(U)
    n = market.n
    S, D = Sigma / np.linalg.norm(Sigma), Delta / np.linalg.norm(Delta)
    x, tau = cp.Variable(n), cp.Variable()
    reference = cp.Problem(cp.Maximize(tau), [S @ x >= tau, cp.norm(D @ x) <= 1, x >= 0])
    try:
        reference.solve(solver="CLARABEL", tol_gap_rel=1e-9, tol_gap_abs=1e-9, tol_feas=1e-9)
    except cp.SolverError:
        return
    if reference.status != "optimal":
        outcome.counts["skipped: cvxpy is not sure"] += 1
        return
    # omega_max = Omega_max / relative size, and both norms are in Omega_max: they cancel.
    ratio = (np.linalg.norm(Sigma) / np.linalg.norm(Delta)) ** 2
    theirs = max(0.0, float(np.sqrt(n) * tau.value)) * ratio
    if not math.isclose(ours, theirs, rel_tol=1e-4, abs_tol=1e-6 * ratio):
        outcome.found("wrong", "largest_omega", f"{ours:.9g} for {theirs:.9g}; {market}")


# --- the same problem, said otherwise ------------------------------------------------------------


def _same(market: Market, rng: np.random.Generator, outcome: Outcome, caught: Any) -> None:
    """Other units, another order and other names change nothing."""
    robust = rng.random() < 0.6
    share = float(rng.choice([0.1, 0.5, 0.8]))
    omega = None

    def weights(R: pd.DataFrame, F: pd.DataFrame) -> tuple[np.ndarray, float]:
        nonlocal omega
        model = FactorModel.fit(R, F)
        if not robust:
            portfolio = RiskParitySOCP(model.covariance).solve()
        else:
            U = model.covariance_uncertainty()
            if omega is None:
                limit = largest_omega(U)
                omega = share * limit if math.isfinite(limit) else share
            portfolio = RobustRiskParity(U, omega).solve()
        return portfolio.weights.to_numpy(), portfolio.objective

    x, value = weights(market.R, market.F)
    factor = float(10.0 ** rng.uniform(-5, 0)) / max(1.0, float(np.abs(market.R).to_numpy().max()))
    scaled, other = weights(factor * market.R, factor * market.F)
    order = rng.permutation(market.n)
    permuted, third = weights(market.R.iloc[:, order], market.F)
    renamed, fourth = weights(
        market.R.set_axis([f"name {i}" for i in range(market.n)], axis=1), market.F
    )
    base = math.sqrt(float(market.R.to_numpy().var()))
    for name, found, same in (
        ("scale", scaled, other / factor), ("order", permuted[np.argsort(order)], third),
        ("names", renamed, fourth),
    ):  # fmt: skip
        if abs(same - value) > 1e-6 * base or np.abs(found - x).max() > 3e-3:
            detail = f"{same} for {value}; weights {np.abs(found - x).max():.2g}; {market}"
            outcome.found("wrong", f"same problem, another {name}", detail)


CHECKS = {"model": _model, "nominal": _nominal, "robust": _robust, "limit": _limit, "same": _same}
