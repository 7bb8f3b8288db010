"""Parity of factor contributions: every factor brings the same risk, or as budgeted."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from rrp_pyomo.data import (
    DenseCovariance,
    FactorCovariance,
    FactorModel,
    WeightSet,
    resolve_budgets,
)
from rrp_pyomo.data.validation import by_label
from rrp_pyomo.errors import InputError, SolverError, warn
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling import Variable
from rrp_pyomo.models.factor_contributions import FactorRiskContributions, factored
from rrp_pyomo.models.newton import newton
from rrp_pyomo.models.nominal import RISK_PARITY_TOLERANCE
from rrp_pyomo.models.problem import PortfolioProblem, Weights
from rrp_pyomo.models.risk_parity import Budgets
from rrp_pyomo.models.weights import violation
from rrp_pyomo.portfolio import Portfolio
from rrp_pyomo.program import Program
from rrp_pyomo.solve.program import solve_program
from rrp_pyomo.solve.solution import ProgramSolution
from rrp_pyomo.solve.table import find_solver

# What a largest relative deviation of 1 costs, in variances of equal weights.
PRICE_OF_DEVIATION = 100.0
# As many signs of the exposures are tried at most.
_ORTHANTS = 8


@dataclass(frozen=True)
class FactorParityCertificate:
    """How far factor contributions are from their budgets, computed from weights and covariance.

    Attributes
    ----------
    status : str
        The solver's status, in its own words.
    largest_deviation : float
        max_k |y_k (Fy)_k / y'Fy − b_k|.
    systematic_share : float
        y'Fy / x'Σx, the part of the variance that the factors explain.
    is_risk_parity : bool
        Whether the deviation is below 1e-6.
    """

    status: str
    largest_deviation: float
    systematic_share: float

    @property
    def is_risk_parity(self) -> bool:
        return self.largest_deviation < RISK_PARITY_TOLERANCE

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings."""
        return {**vars(self), "is_risk_parity": self.is_risk_parity}

    def summary(self) -> str:
        """One line for a terminal."""
        verdict = "parity" if self.is_risk_parity else "no parity"
        return (
            f"factor contributions within {self.largest_deviation:.2g} of their budgets: {verdict} "
            f"of factors, which make {100 * self.systematic_share:.3g} % of the variance"
        )


class FactorRiskParity(PortfolioProblem):
    """The least risky portfolio whose factors contribute risk in the ratio of budgets.

    With Σ = V'FV + D, exposures y = Vx and the contributions c_k = y_k (F y)_k to the systematic
    variance y'Fy,

        minimise    x'Σx / σ² + 100 ζ
        subject to  −ζ θ ≤ c_k / (m b_k) − θ ≤ ζ θ,   k = 1, …, m,   θ = y'Fy / m
                    x ∈ X

    σ² being the variance of equal weights. Where X allows parity there are many such portfolios,
    because assets outnumber factors: this is the one of smallest variance, the price of the largest
    relative deviation ζ being exact for usual multipliers. Where X, such as x ≥ 0, rules parity
    out, the portfolio comes as near to it as that price asks for.

    Guarantee: none in general. The problem is not convex; :meth:`solve` takes the best of several
    local optima of Ipopt's, and the certificate says what it is. With parity as equations about a
    :class:`FactorRiskContributions` block, :func:`~rrp_pyomo.objective_bound` proves how far from
    the smallest variance it is at most.

    Parameters
    ----------
    covariance : FactorCovariance or FactorModel
        Σ; of a factor model, its covariance.
    budgets : Series, mapping or (m,) array, optional
        b: shares of the systematic variance by factor, positive, summing to 1; equal by default.
    weight_set : WeightSet, optional
        X; long-only and fully invested by default.

    Raises
    ------
    InputError
        A covariance without factors, budgets that do not fit them, a weight set that does not fit
        the assets.

    References
    ----------
    Roncalli & Weisang (2016), Risk parity portfolios with risk factors; Deguest, Martellini &
    Meucci (2013), Risk parity and beyond.

    Examples
    --------
    >>> from rrp_pyomo import FactorCovariance, FactorRiskContributions, FactorRiskParity
    >>> loadings, factors = [[1.0, 0.8, 0.2], [0.1, 0.4, 1.0]], [[0.04, 0.0], [0.0, 0.01]]
    >>> covariance = FactorCovariance(loadings, factors, residual_variance=[0.001, 0.002, 0.001])
    >>> portfolio = FactorRiskParity(covariance).solve()
    >>> FactorRiskContributions(covariance).at(portfolio.weights)["contribution"].round(5).tolist()
    [0.00615, 0.00615]
    """

    default_solver: ClassVar[str] = "ipopt"
    covariance: FactorCovariance

    def __init__(
        self,
        covariance: FactorCovariance | FactorModel,
        budgets: Budgets = None,
        weight_set: WeightSet | None = None,
    ) -> None:
        self.covariance = factored(covariance)
        super().__init__(self.covariance.labels, weight_set)
        self.factor_budgets = resolve_budgets(budgets, self.covariance.factor_labels)
        self.contributions = FactorRiskContributions(self.covariance)

    @property
    def _relative(self) -> FloatArray:
        """m b, by which contributions are divided."""
        result: FloatArray = self.factor_budgets.size * self.factor_budgets
        return result

    def _state(self, program: Program, x: Variable) -> None:
        self.contributions._state(program, x)
        R, v = program.variables["R"], program.variables["v"]
        theta = program.variable("theta")
        zeta = program.variable("zeta", lower=0)

        program.minimize(v / R.size + PRICE_OF_DEVIATION * zeta)
        program.subject_to(
            mean_contribution=theta == R.sum() / R.size,
            not_below=zeta * theta >= theta - R / self._relative,
            not_above=zeta * theta >= R / self._relative - theta,
        )

    def _values_at(self, x: FloatArray) -> dict[str, Any]:
        values = self.contributions._values_at(x)
        theta = values["R"].mean()
        zeta = np.abs(values["R"] / self._relative / theta - 1.0).max()
        return {**values, "theta": theta, "zeta": zeta}

    @property
    def objective_unit(self) -> float:
        """σ², so that the objective is x'Σx where there is parity."""
        return self.contributions.count * self.contributions.risk_unit

    # --- solving --------------------------------------------------------------------------------

    def solve(
        self, solver: str | None = None, start: Weights | None = None, **options: Any
    ) -> Portfolio:
        """Solve the problem; see :meth:`PortfolioProblem.solve` for what is not said here.

        Parameters
        ----------
        start : Series, mapping or (n,) array, optional
            Where a nonlinear solver starts. Without one it starts at equal weights and near parity
            portfolios without bounds, of up to eight combinations of signs of the exposures; the
            best of its answers is taken.

        Raises
        ------
        UnknownLabelError, InputError
            A start that does not fit the assets, or a weight set that has x = 0 in it.
        """
        if violation(self.weight_set, np.zeros(len(self.labels))) == 0.0:
            raise InputError(
                "the weight set has x = 0 in it, which is then the answer; use one that is fully "
                "invested, or block() as a part of a model that says how much to invest"
            )
        name = self._solver(solver)
        if start is not None:
            starts = [by_label(start, self.labels, "start weights")]
        else:
            starts = list(self._starts())
        if not find_solver(name).near:  # it needs no start
            del starts[1:]
        return self._portfolio(self._best(name, starts, options))

    def _best(
        self, solver: str, starts: list[FloatArray], options: dict[str, Any]
    ) -> ProgramSolution:
        found: list[ProgramSolution] = []
        for x in starts:
            try:
                found.append(
                    solve_program(self._program, solver, start=self._values_at(x), **options)
                )
            except SolverError as error:
                failure = error
        if not found:
            raise failure
        return min(found, key=lambda solution: solution.objective)

    def _starts(self) -> Iterator[FloatArray]:
        """Equal weights, and what comes near y = s ∘ parity of F, for signs s of the exposures."""
        yield self._equal_weights()
        Sigma, m = self.covariance, self.factor_budgets.size
        D = Sigma.D + 1e-6 * Sigma.variances.mean()
        least = np.linalg.pinv(Sigma.V / np.sqrt(D)) / np.sqrt(D)[:, None]
        F = DenseCovariance(Sigma.F + 1e-12 * np.trace(Sigma.F) * np.eye(m))
        signs = sorted(itertools.product((1.0, -1.0), repeat=min(m - 1, 12)), key=sum)[::-1]
        for s in signs[:_ORTHANTS]:
            s = np.r_[1.0, s, np.ones(m - 1 - len(s))]
            try:
                x = least @ newton(F, self.factor_budgets, signs=s).weights
            except SolverError:
                continue
            yield self._near(x)

    def _near(self, x: FloatArray) -> FloatArray:
        """Weights in the bounds of X, or almost, that are near a multiple of these."""
        X = self.weight_set
        x = x * (1.0 if x.sum() >= 0.0 else -1.0)
        x = np.maximum(x, 0.0) if X.long_only else x
        size = abs(x.sum()) if X.gross is None else np.abs(x).sum() / X.gross
        x = x / size if size > 1e-6 * np.abs(x).sum() else self._equal_weights()
        result: FloatArray = np.clip(x, X.lower, X.upper)
        return result

    # --- what comes out -------------------------------------------------------------------------

    def _portfolio(self, solution: ProgramSolution) -> Portfolio:
        certificate = self._certificate(solution)
        if not certificate.is_risk_parity:
            warn(
                f"FactorRiskParity by {solution.solver} ended with status {solution.status!r} at a "
                "portfolio whose relative factor contributions are up to "
                f"{certificate.largest_deviation:.3g} away from their budgets; no other was found "
                "in this weight set: widen it, such as by WeightSet(long_only=False)"
            )
        return replace(super()._portfolio(solution), certify=certificate)

    def _certificate(self, solution: ProgramSolution) -> FactorParityCertificate:
        x = solution.arrays["x"]
        y = self.covariance.V @ x
        c = y * (self.covariance.F @ y)
        return FactorParityCertificate(
            status=solution.status,
            largest_deviation=float(np.abs(c / c.sum() - self.factor_budgets).max()),
            systematic_share=float(c.sum() / self.covariance.variance(x)),
        )
