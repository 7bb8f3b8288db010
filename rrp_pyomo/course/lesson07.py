"""The exercises of lesson 7."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from rrp_pyomo.course.answers import (
    matrix,
    number,
    require_all_close,
    require_budget,
    require_close,
    require_long_only,
    vector,
)
from rrp_pyomo.course.exercises import Data, Lesson, WrongAnswer
from rrp_pyomo.course.programs import stated, weights_of
from rrp_pyomo.data import CovarianceUncertainty, FactorModel, datasets, excess_returns
from rrp_pyomo.errors import SolverError
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling import norm, square
from rrp_pyomo.models import RiskParitySOCP, RobustRiskParity
from rrp_pyomo.program import Program
from rrp_pyomo.solve.program import solve_program

LESSON = Lesson(7, "The paper")

ASSETS, FACTORS = ["A", "B", "C"], ["market", "value"]


def _loadings() -> Data:
    return {
        "loadings": pd.DataFrame([[1.0, 0.9, 1.2], [-0.5, 0.9, -0.2]], FACTORS, ASSETS),
        "standard_errors": pd.DataFrame([[0.1, 0.05, 0.15], [0.2, 0.1, 0.3]], FACTORS, ASSETS),
        "factor_covariance": pd.DataFrame([[16.0, -6.0], [-6.0, 9.0]], FACTORS, FACTORS),
    }


@LESSON.exercise(
    "The worst loadings",
    """
    The `loadings` V⁰ of three assets on two factors are known to within one standard error each;
    `factor_covariance` is F. Find V* of (10): of all loadings that differ from V⁰ by at most their
    `standard_errors`, those for which all entries of V'FV sum to the most. The answer is a table
    like `loadings`.
    """,
    _loadings,
)
def worst_loadings(answer: Any, data: Data) -> str:
    V, SE, F = data["loadings"], data["standard_errors"], data["factor_covariance"]
    given = matrix(answer, V.index, "V*", V.columns)

    def total(loadings: pd.DataFrame) -> float:
        u = loadings.sum(axis=1)
        return float(u @ F @ u)

    every = [V + SE.mul(list(signs), axis=0) for signs in product((1.0, -1.0), repeat=len(V))]
    best = max(every, key=total)
    require_all_close(
        given,
        best,
        "V*",
        _where_to_look(given - V, SE)
        + f"; the entries of V'FV sum to {total(given):.4g} here, and to {total(best):.4g} at most",
        mistakes=[
            (V, "that is V⁰, without any error"),
            (best - V, "that is V* − V⁰, the errors alone"),
            (
                V + SE,
                f"all errors upwards give {total(V + SE):.4g}, which is not the most: the factors "
                "are negatively correlated",
            ),
            (
                V + SE * np.sign(V),
                "each loading is moved away from zero; what counts is the sum of a row, whose "
                "errors should all have the same sign",
            ),
            (min(every, key=total), "that is the smallest sum of the corners, not the largest"),
        ],
    )
    u = given.sum(axis=1)
    return (
        f"the entries of V'FV sum to {total(given):.4f}, the most of {len(every)} corners, "
        f"at u = ({', '.join(f'{v:.2f}' for v in u)}); they sum to {total(V):.4f} at V⁰"
    )


def _where_to_look(moved: pd.DataFrame, SE: pd.DataFrame) -> str:
    """What V − V⁰ has that the worst loadings have not."""
    share = moved / SE
    if share.abs().to_numpy().max() > 1 + 1e-6:
        asset = share.abs().max().idxmax()
        factor = share[asset].abs().idxmax()
        far = share.abs().to_numpy().max()
        return (
            f"the loading of {asset!r} on {factor!r} is {far:.3g} standard errors away from V⁰; "
            "one is allowed"
        )
    if ((share > 0).any(axis=1) & (share < 0).any(axis=1)).any():
        return "the errors of a row should all have the same sign: they move its sum together"
    if share.abs().to_numpy().min() < 1 - 1e-6:
        return "u'Fu is convex in u, the sums of the rows: it is largest at a corner, ± all of SE"
    return "u'Fu, u being the sums of the rows: try all signs of their errors"


def _row() -> Data:
    return {
        "nominal": pd.DataFrame([[9.0, 3, 2], [3, 16, 4], [2, 4, 25]], ASSETS, ASSETS),
        "perturbation": pd.DataFrame([[1.0, 0.5, 0.3], [0.5, 2, 1], [0.3, 1, 4]], ASSETS, ASSETS),
        "weights": pd.Series([0.5, 0.3, 0.2], ASSETS),
        "Omega": 1.5,
        "asset": "B",
    }


@LESSON.exercise(
    "The worst row",
    """
    In (12) each row of the covariance may be anywhere in an ellipsoid: that of `asset` in
    {σ⁰ + (Ω/√n) Σ^Δ u : ‖u‖₂ ≤ 1}, where σ⁰ is its row of `nominal`, Σ^Δ is `perturbation` and Ω is
    `Omega`. Which of these rows gives the asset the smallest marginal risk at `weights`? The answer
    is the row, a number for each asset.
    """,
    _row,
)
def worst_row(answer: Any, data: Data) -> str:
    row, x, Delta = data["nominal"].loc[data["asset"]], data["weights"], data["perturbation"]
    given = vector(answer, row.index, "the row")
    radius = data["Omega"] / np.sqrt(len(x))
    change = Delta @ x
    size = float(np.linalg.norm(change))
    least = float(row @ x - radius * size)
    best = row - radius * Delta @ change / size
    x_long = x / np.linalg.norm(x)
    mistakes = [
        (row, "that is the nominal row, u = 0"),
        (-radius * Delta @ change / size, "that is how the row moves: add σ⁰"),
        (row - Delta @ change / size, "the radius Ω/√n is missing"),
        (row - change * radius / size, "u should be multiplied by Σ^Δ: the row moves by Σ^Δ u"),
        (row + radius * Delta @ change / size, "that is the row of the largest marginal risk"),
        (row - radius * Delta @ change, "u = −Σ^Δ x is no unit vector: divide it by its length"),
        (
            row - data["Omega"] * Delta @ change / size,
            "that is √n times too far from σ⁰: the radius is Ω/√n",
        ),
        (
            row - radius * Delta @ x_long,
            "u is against x here; minimise x'Σ^Δ u over u: it should be against Σ^Δ x",
        ),
        (
            row - Delta.loc[data["asset"]],
            "that is a corner of the box (7); this set is an ellipsoid",
        ),
    ]
    mistakes += [
        (other - radius * Delta @ change / size, f"σ⁰ is the row of {name!r}: take the asset's own")
        for name, other in data["nominal"].drop(index=data["asset"]).iterrows()
    ]
    length = float(np.linalg.norm(np.linalg.solve(Delta, given - row))) / radius
    hint = f"this row is σ⁰ + (Ω/√n) Σ^Δ u with ‖u‖ = {length:.4g}, " + (
        "which is more than 1"
        if length > 1 + 1e-4
        else f"and its marginal risk {given @ x:.6g}, where {least:.6g} can be had"
    )
    require_all_close(given, best, "the row", hint, mistakes=mistakes)
    return (
        f"the marginal risk is {given @ x:.4f} = (Σ⁰x)_i − Ω‖Σ^Δ x‖/√n, against {row @ x:.4f} "
        f"nominally; u has length {length:.4f}"
    )


def _limit() -> Data:
    return {
        "nominal": pd.DataFrame(np.diag([0.04, 0.16]), ["A", "B"], ["A", "B"]),
        "perturbation": pd.DataFrame(np.diag([0.01, 0.08]), ["A", "B"], ["A", "B"]),
    }


@LESSON.exercise(
    "The largest ω of two assets",
    """
    Two uncorrelated assets have the variances 0.04 and 0.16 (`nominal`), and worst cases that are
    larger by 0.01 and 0.08 (`perturbation`). What is ω_max, the largest ω for which (12) has a
    long-only solution? The answer is a number; find it by hand.
    """,
    _limit,
)
def largest_omega_of_two(answer: Any, data: Data) -> str:
    given = number(answer, "ω_max")
    variances, errors = np.diag(data["nominal"]), np.diag(data["perturbation"])
    size = np.linalg.norm(errors) / np.linalg.norm(variances)

    def ratio(x: Any) -> float:
        x = np.asarray(x, dtype=float)
        return float((variances * x).min() / np.linalg.norm(errors * x))

    equal_risks = 1 / variances
    Omega = np.sqrt(2) * ratio(equal_risks)
    right = Omega / size
    require_close(
        given,
        right,
        "ω_max",
        "maximise √2 min_i (Σ⁰x)_i / ‖Σ^Δ x‖ over x: on one side of some x it rises, on the other "
        "it falls",
        mistakes=[
            (Omega, "that is Ω_max; ω is Ω ‖Σ⁰‖_F / ‖Σ^Δ‖_F"),
            (right / np.sqrt(2), "√n is missing: (12b) has ‖Σ^Δ x‖ ≤ √n y"),
            (Omega / np.sqrt(2), "√n is missing, and so is ‖Σ⁰‖_F / ‖Σ^Δ‖_F"),
            (Omega * size, "Ω = ω ‖Σ^Δ‖_F / ‖Σ⁰‖_F: divide by that quotient, do not multiply"),
            (
                np.sqrt(2) * ratio([1, 1]) / size,
                "that is the limit of equal weights; others have a larger one",
            ),
            (
                np.sqrt(2) * ratio(variances**-0.5) / size,
                "that is the limit of the risk parity portfolio; others have a larger one",
            ),
            (
                (1 / np.sqrt((errors / variances) ** 2).sum()) * np.sqrt(2) / size,
                "the relative errors are added; their squares should be, and then the root taken",
            ),
        ],
    )
    x = equal_risks / equal_risks.sum()
    return (
        f"at x = ({x[0]:.2f}, {x[1]:.2f}) both marginal risks are {variances[0] * x[0]:.4f}, "
        f"Ω_max = {Omega:.4f}, ω_max = {right:.4f}"
    )


@LESSON.exercise(
    "Where ω = 0 is no longer nominal",
    """
    Two uncorrelated assets have nominal variances of 1. In the worst case the first has 1 + k, the
    second still 1. With ω = 0 and small k, (12) has the nominal solution x = (½, ½). What is the
    largest k for which that is so? The answer is a number.
    """,
)
def leaving_parity(answer: Any, data: Data) -> str:
    k = number(answer, "k")

    def slope(k: float) -> float:
        """The derivative of √(x'Σ̄x/2) at x₁ = ½; that of √(min R_i) is 1 on the left."""
        return float(k / (4 * np.sqrt((2 + k) / 8)))

    right = 1 + np.sqrt(5)
    if k <= -1:
        raise WrongAnswer(f"a variance of 1 + k is not positive for k = {k:.4g}")
    require_close(
        k,
        right,
        "k",
        f"to the left of x₁ = ½ the derivative of √(x'Σ̄x/2) is {slope(k):.4f} for this k, and that "
        "of √(min R_i) is 1: the solution begins to move where they agree",
        mistakes=[
            (0.0, "for small k > 0 the solution does not move: √(min R_i) has a kink at parity"),
            (2 + np.sqrt(5), "that is the worst-case variance 1 + k; k is asked for"),
            (2.0, "p̄ is √(x'Σ̄x/n): the 1/n is missing"),
            (np.sqrt(3), "as x₁ falls, x₂ = 1 − x₁ rises: its part of the derivative is missing"),
            ((1 + np.sqrt(17)) / 4, "a factor ½ is missing: the derivative of √q is q'/(2√q)"),
        ],
    )
    return (
        f"at k = {k:.4f} the derivatives to the left of x₁ = ½ are {slope(k):.4f} and 1: for any "
        "larger k it pays to hold less of the first asset"
    )


def _robust() -> Data:
    data = datasets.french()
    assets = ["NoDur", "Enrgy", "BusEq", "Utils", "Money"]
    returns = excess_returns(data.returns, data.risk_free)[assets].tail(60)
    model = FactorModel.fit(100 * returns, 100 * data.factors.tail(60))
    return {"uncertainty": model.covariance_uncertainty(), "omega": 1.5}


@LESSON.exercise(
    "The robust problem, stated by you",
    """
    Write a function of `(uncertainty, omega)` that states (12). `uncertainty.nominal`,
    `uncertainty.worst_case` and `uncertainty.perturbation` are Σ⁰, Σ⁰ + Σ^Δ and Σ^Δ, each with a
    `.matrix()`, and `uncertainty.relative_size` is ‖Σ^Δ‖_F/‖Σ⁰‖_F. The function returns a
    `Program` or a `pyo.ConcreteModel` with one variable `x` for each of `uncertainty.labels`,
    x ≥ 0 and 1'x = 1. The answer is the function. It is tried on other data, too.
    """,
    _robust,
    modelling=True,
)
def robust_parity(answer: Any, data: Data) -> str:
    # One variance that may be ten times as large: only here (12e) has a say in the weights.
    nominal = pd.DataFrame([[1.0, 0.2], [0.2, 1.0]], ["x", "y"], ["x", "y"])
    worst = nominal + np.diag([9.0, 0.0])
    other = CovarianceUncertainty.from_bounds(nominal, worst), 0.02
    values = [
        _require_robust(answer, *case) for case in ((data["uncertainty"], data["omega"]), other)
    ]
    return (
        f"solved for two sets: p − t is {values[0]:.5f} and {values[1]:.5f}, and no "
        "weights have less"
    )


def _require_robust(answer: Any, uncertainty: CovarianceUncertainty, omega: float) -> float:
    """p − t at the model's weights; they are the best ones."""
    hint = "is (12c) charged more than Ωy, Ω = ω ‖Σ^Δ‖_F/‖Σ⁰‖_F?"
    weights = weights_of(stated(answer, uncertainty, omega), uncertainty.labels, "x", hint)
    require_budget(weights)
    require_long_only(weights)
    problem = RobustRiskParity(uncertainty, omega)

    def objective(x: Any) -> float:
        x = np.asarray(x)
        p = np.sqrt(uncertainty.worst_case.variance(x) / len(x))
        return float(p - np.sqrt(max(0.0, problem.penalised_contributions(x).min())))

    best = objective(problem.solve().weights)
    if objective(weights) - best <= 1e-5 * best:
        return objective(weights)

    n, Omega, scale = len(weights), omega * uncertainty.relative_size, np.sqrt(len(weights))
    nominal, worst, perturbation = (
        C.matrix().to_numpy()
        for C in (uncertainty.nominal, uncertainty.worst_case, uncertainty.perturbation)
    )
    root, nominal_root = np.linalg.cholesky(worst).T, np.linalg.cholesky(nominal).T
    cases: list[tuple[float, FloatArray, str]] = [
        (0.0, root, "the charge Ωy is missing in z: these are right for ω = 0"),
        (omega, root, "Ω is ω ‖Σ^Δ‖_F/‖Σ⁰‖_F, not ω itself"),
        (Omega * scale, root, "√n is missing in (12b): ‖Σ^Δ x‖₂ ≤ √n y"),
        (Omega / scale, root, "√n is there once too often in (12b)"),
        (Omega, nominal_root, "p is the volatility under Σ⁰: (12e) has Σ̄ = Σ⁰ + Σ^Δ"),
        (Omega, root.T, "‖Lx‖₂ with Σ̄ = LL' is no volatility: that is ‖L'x‖₂"),
        (Omega, scale * root, "√n is missing in (12e): ‖Σ̄^½ x‖₂ ≤ √n p"),
        (Omega, root.T @ root, "‖Σ̄x‖₂ is no volatility: (12e) has a root R of Σ̄, R'R = Σ̄"),
    ]
    matrices = [
        (worst, perturbation, "Σ̄ is in the place of Σ⁰ in (12c)"),
        (nominal, worst, "Σ̄ is in the place of Σ^Δ in (12b)"),
        (nominal, nominal, "Σ⁰ is in the place of Σ^Δ in (12b)"),
    ]
    known = [
        *((_restated(nominal, perturbation, charge, R), text) for charge, R, text in cases),
        *((_restated(z, D, Omega, root), text) for z, D, text in matrices),
        (
            RiskParitySOCP(uncertainty.worst_case).solve().weights,
            "that is risk parity under Σ̄; (12c) has Σ⁰ and the charge Ωy",
        ),
        (np.full(n, 1 / n), "these are equal weights: does anything bind t?"),
    ]
    # What is right for these data, too, is not what is wrong.
    told = next(
        (
            text
            for x, text in known
            if x is not None
            and np.abs(x - weights).max() < 2e-4
            and objective(x) - best > 1e-5 * best
        ),
        "compare your rows with (12a) to (12e), one by one",
    )
    raise WrongAnswer(
        f"with {n} assets and ω = {omega:g} the model's weights have p − t = "
        f"{objective(weights):.5f}, and {best:.5f} can be had: {told}"
    )


def _restated(
    nominal: FloatArray, perturbation: FloatArray, charge: float, root: FloatArray
) -> FloatArray | None:
    """The weights of (12) with other matrices and numbers; None where there are none."""
    n = len(nominal)
    program = Program("restated")
    x, z = (program.variable(name, range(n), lower=0) for name in "xz")
    p, t, y = (program.variable(name, lower=0) for name in "pty")
    program.minimize(p - t)
    program.subject_to(
        perturbation=norm(perturbation @ x) <= np.sqrt(n) * y,
        marginal_risk=charge * y <= nominal @ x - z,
        hyperbolic=x * z >= square(t),
        portfolio_risk=norm(root @ x) <= np.sqrt(n) * p,
        fully_invested=x.sum() == 1,
    )
    try:
        return np.asarray(solve_program(program).values["x"])
    except SolverError:
        return None
