"""What (12) and its variant share: penalised marginal risks, ω and its limit, the certificate."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from rrp_pyomo.data import CovarianceUncertainty, WeightSet
from rrp_pyomo.errors import InfeasibleError, SolverError, require_kind, warn
from rrp_pyomo.linalg import FloatArray, Named
from rrp_pyomo.modeling import Affine, Variable, norm
from rrp_pyomo.modeling.constraints import Constraint
from rrp_pyomo.models.omega_max import largest_omega_of
from rrp_pyomo.models.risk_parity import Budgets, RiskParityProblem, shares
from rrp_pyomo.models.weights import binding, signed, violation
from rrp_pyomo.portfolio import Portfolio
from rrp_pyomo.program import Program
from rrp_pyomo.solve.solution import ProgramSolution
from rrp_pyomo.solve.table import find_solver

# What (12b)–(12g) may be violated by without a word, relative to their terms; more where the
# solver is less accurate.
_FEASIBLE = 1e-6
# The same where it is not known which solver it was.
_FEASIBLE_IN_MODELS = 1e-5


@dataclass(frozen=True)
class RobustDetails:
    """What a portfolio of (12) says beyond its weights and risk.

    Attributes
    ----------
    omega : float
        ω.
    omega_max : float
        The largest ω for which (12) has a solution, computed when it is first asked for; NaN, with
        a warning that says why, where it cannot be computed.
    """

    omega: float
    find_omega_max: Callable[[], float] = field(repr=False, compare=False)

    @cached_property
    def omega_max(self) -> float:
        try:
            return self.find_omega_max()
        except SolverError as error:
            warn(f"omega_max is not known: {error}")
            return float("nan")

    def to_dict(self) -> dict[str, Any]:
        """Both, as numbers."""
        return {"omega": self.omega, "omega_max": self.omega_max}


@dataclass(frozen=True)
class RobustCertificate:
    """How well a point satisfies (12b)–(12g), recomputed from the data, and how optimal it is.

    Attributes
    ----------
    status : str
        The solver's status, in its own words.
    residuals : dict of str to float
        By how much each of ``"12b"`` … ``"12g"`` is violated, relative to the size of its terms at
        the equally weighted portfolio; 0 where it holds.
    duality_gap : float or None
        Primal minus dual objective, per-period volatility; None where the solver has no dual.
    relative_duality_gap : float or None
        The same relative to p at the equally weighted portfolio.
    smallest_share, largest_share : float
        Of x_i (Σ⁰x)_i / (b_i x'Σ⁰x): 1 for all assets at risk parity under Σ⁰, which robust
        portfolios are not meant to be.
    binding : tuple of str
        The active constraints of X other than x ≥ 0 and 1'x = 1, such as ``"upper bound of
        'Utils'"``.
    """

    status: str
    residuals: dict[str, float]
    duality_gap: float | None
    relative_duality_gap: float | None
    smallest_share: float = float("nan")
    largest_share: float = float("nan")
    binding: tuple[str, ...] = ()

    @property
    def largest_residual(self) -> float:
        """The worst of the residuals."""
        return max(self.residuals.values())

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings."""
        return {
            "status": self.status,
            "residuals": dict(self.residuals),
            "duality_gap": self.duality_gap,
            "relative_duality_gap": self.relative_duality_gap,
            "smallest_share": self.smallest_share,
            "largest_share": self.largest_share,
            "binding": list(self.binding),
        }

    def summary(self) -> str:
        """One line for a terminal."""
        gap = self.relative_duality_gap
        return f"constraints (12b)–(12g) hold to {self.largest_residual:.2g}" + (
            ("" if gap is None else f"; relative duality gap {gap:.2g}")
            + (f"; binding: {', '.join(self.binding[:3])}" if self.binding else "")
        )


class PenalisedRiskParity(RiskParityProblem):
    """A risk parity problem whose marginal risks are penalised for their estimation error.

    With Ω = ω ‖Σ^Δ‖_F / ‖Σ⁰‖_F it has from (12) of Costa & Kwon (2020)

        minimise  p − t                                              (12a)
        ‖Σ^Δ x‖₂ ≤ √n y                                              (12b)
        Ω y ≤ (Σ⁰x)_i − z_i,    i = 1, …, n                          (12c)
        ‖(Σ⁰ + Σ^Δ)^{1/2} x‖₂ ≤ √n p                                 (12e)
        z, p, y ≥ 0                                                  (12f)

    and a subclass says what t is, and (12d).

    Parameters
    ----------
    uncertainty : CovarianceUncertainty
        Σ⁰ and Σ^Δ.
    omega : float
        ω ≥ 0, the aversion to estimation error.
    budgets : Series, mapping or (n,) array, optional
        Target relative risk contributions, positive, summing to 1; equal by default.
    weight_set : WeightSet, optional
        X ⊆ {x ≥ 0}, or of given signs; long-only and fully invested by default.

    Raises
    ------
    InputError
        A negative ω, budgets or a weight set that do not fit the assets, or positions of any sign.
    """

    # The name of (12a) in units of the data.
    _gap: ClassVar[str] = "slack"
    _infeasibility_notes: ClassVar[Mapping[str, str]] = {
        "perturbation": "(12) has no solution for an omega beyond omega_max, which is "
        "largest_omega(uncertainty, weight_set)"
    }

    def __init__(
        self,
        uncertainty: CovarianceUncertainty,
        omega: float = 1.0,
        budgets: Budgets = None,
        weight_set: WeightSet | None = None,
    ) -> None:
        require_kind(
            uncertainty,
            CovarianceUncertainty,
            "uncertainty",
            "such as FactorModel.fit(returns, factors).covariance_uncertainty()",
        )
        super().__init__(uncertainty.nominal, budgets, weight_set)
        self.uncertainty = uncertainty
        uncertainty.penalty(omega)
        self._omega = float(omega)
        self._require_signs()

    @property
    def omega(self) -> float:
        """ω, a parameter of the statement: another value keeps everything that was compiled.

        Raises
        ------
        InputError
            Set to a negative number, or one that is not finite.
        """
        return self._omega

    @omega.setter
    def omega(self, omega: float) -> None:
        self.uncertainty.penalty(omega)
        self._omega = float(omega)
        if "_program" in vars(self):
            self._program.set(omega=self._omega)

    def _numbers(self) -> Mapping[str, float]:
        return {"omega": self.omega}

    def penalised_contributions(self, x: FloatArray) -> FloatArray:
        """x_i z_i with z_i = (Σ⁰x)_i − Ω y as large as (12b) and (12c) let it, at least 0."""
        y = np.linalg.norm(self.uncertainty.perturbation.norm_map @ x) / np.sqrt(x.size)
        z = signed(self.weight_set, self.covariance.operator @ x) - self.Omega * y
        contributions: FloatArray = signed(self.weight_set, x) * np.maximum(z, 0.0)
        return contributions

    @property
    def _row_budgets(self) -> FloatArray:
        """b of (12d)."""
        return self.budgets

    @abstractmethod
    def _state_contributions(
        self, program: Program, x: Variable, z: Variable
    ) -> tuple[Affine, Constraint]:
        """What p is compared with, in the place of t in (12a), and the place of (12d)."""

    def _state(self, program: Program, x: Variable) -> None:
        n, unit, X = x.size, self.risk_unit, self.weight_set
        Sigma = Named("Sigma", self.uncertainty.nominal.operator / unit)
        Delta = Named("Delta", self.uncertainty.perturbation.norm_map / unit)
        root = Named("root", self.uncertainty.worst_root / np.sqrt(unit))
        omega = program.parameter("omega", self.omega)
        Omega = (self.uncertainty.relative_size * omega).named("Omega")
        z = program.variable("z", x.labels, lower=0, unit=n)  # (12f)
        p = program.variable("p", lower=0)
        t, hyperbolic = self._state_contributions(program, x, z)
        y = program.variable("y", lower=0, unit=n * (self.uncertainty.relative_size or 1.0))

        program.minimize(p - t)  # (12a)
        program.subject_to(
            perturbation=norm(Delta @ x) <= np.sqrt(n) * y,  # (12b)
            marginal_risk=Omega * y <= signed(X, Sigma @ x) - z,  # (12c)
            hyperbolic=hyperbolic,  # (12d)
            portfolio_risk=norm(root @ x) <= np.sqrt(n) * p,  # (12e)
        )
        program.expression("worst_case_volatility", np.sqrt(n * unit) * p)
        program.expression(self._gap, np.sqrt(n * unit) * (p - t))

    def _values_at(self, x: FloatArray) -> dict[str, Any]:
        n, unit = x.size, self.risk_unit
        y = np.linalg.norm(self.uncertainty.perturbation.norm_map @ x) / unit / np.sqrt(n)
        z = signed(self.weight_set, self.covariance.operator @ x) / unit - self.Omega * y
        p = np.sqrt(x @ (self.uncertainty.worst_case.operator @ x) / unit / n)
        return {"x": x, "z": np.maximum(z, 0.0), "p": p, "y": y}

    def solve(self, solver: str | None = None, **options: Any) -> Portfolio:
        """Solve the problem; see :meth:`PortfolioProblem.solve`.

        Raises
        ------
        InfeasibleError
            ω is beyond ω_max; the message has both.
        """
        try:
            portfolio = super().solve(solver, **options)
        except SolverError as error:
            omega_max = self._details().omega_max
            if not self.omega > omega_max:
                raise
            raise InfeasibleError(
                f"no weights satisfy (12) for omega = {self.omega:.9g}: it is beyond "
                f"omega_max = {omega_max:.9g}; use a smaller omega"
            ) from error
        if portfolio.status == "Solved" and not options:  # Clarabel's, and judged already
            return portfolio
        accuracy = find_solver(self._solver(solver)).accuracy
        return self._checked(portfolio, max(accuracy, _FEASIBLE))

    def portfolio(self, block: Any) -> Portfolio:
        """As :meth:`PortfolioProblem.portfolio`; ω_max is about X with the variables' bounds."""
        return self._checked(super().portfolio(block), _FEASIBLE_IN_MODELS)

    def _checked(self, portfolio: Portfolio, tolerance: float) -> Portfolio:
        certificate = portfolio.certificate
        assert isinstance(certificate, RobustCertificate)
        if not certificate.largest_residual <= tolerance:
            warn(
                f"{portfolio.solver} ended with status {portfolio.status!r} at a point where "
                f"{certificate.summary()}; use tighter tolerances, another solver, or an omega "
                "further below omega_max"
            )
        return portfolio

    @property
    def Omega(self) -> float:
        """Ω = ω ‖Σ^Δ‖_F / ‖Σ⁰‖_F."""
        return self.uncertainty.penalty(self.omega)

    def _omega_max(self) -> float:
        return largest_omega_of(self.uncertainty, self.weight_set)

    def _details(self) -> RobustDetails:
        return RobustDetails(self.omega, self._omega_max)

    @property
    def objective_unit(self) -> float:
        """p and t are volatilities."""
        return float(np.sqrt(self.risk_unit))

    def _certificate(self, solution: ProgramSolution) -> RobustCertificate:
        """Residuals of (12b)–(12g) from the data, relative to the equally weighted portfolio."""
        Omega = self.uncertainty.penalty(float(solution.numbers["omega"][0]))
        values, unit, n = solution.arrays, self.risk_unit, self.covariance.size
        x, z, p, t, y = (values[name] for name in "xzpty")
        t_i, u = np.sqrt(n * self._row_budgets) * t, signed(self.weight_set, x)
        Delta_x = self.uncertainty.perturbation.operator @ x / unit
        marginal = self.covariance.operator @ x
        Sigma_x = signed(self.weight_set, marginal) / unit
        worst_variance = x @ (self.uncertainty.worst_case.operator @ x) / unit
        size = n * (self.uncertainty.relative_size or 1.0)  # of y and of Σ^Δ x
        gap = solution.duality_gap
        return RobustCertificate(
            solution.status,
            {
                "12b": _excess(np.linalg.norm(Delta_x) / np.sqrt(n) - y) / size,
                "12c": _excess(Omega * y - (Sigma_x - z)) / n,
                "12d": _excess(np.hypot(2 * t_i, n * u - z / n) - (n * u + z / n)),
                "12e": _excess(np.sqrt(worst_variance) - np.sqrt(n) * p) / float(np.sqrt(n)),
                "12f": max(_excess(-z) / n, _excess(-p), _excess(-t), _excess(-y) / size),
                "12g": violation(self.weight_set, x),
            },
            None if gap is None else float(gap * self.objective_unit),
            gap,
            *shares(x * marginal, self.budgets),
            binding(self.weight_set, x),
        )


def _excess(values: FloatArray | np.floating) -> float:
    return max(0.0, float(np.max(values)))
