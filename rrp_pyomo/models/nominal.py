"""What the nominal problems (3), (4) and (11) share: Newton's method and the certificate."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from rrp_pyomo.data import WeightSet
from rrp_pyomo.data.covariance import CovarianceLike
from rrp_pyomo.errors import SolverError, warn
from rrp_pyomo.models.risk_parity import Budgets, RiskParityProblem, shares
from rrp_pyomo.models.weights import binding, normalised, violation
from rrp_pyomo.portfolio import Portfolio
from rrp_pyomo.solve.solution import ProgramSolution
from rrp_pyomo.solve.table import is_own

# A relative risk contribution this close to its budget counts as equal to it.
RISK_PARITY_TOLERANCE = 1e-6
# Where all shares of risk are this close to their budgets, it is risk parity that is meant.
_LAST_DIGITS = 1e-2
# By what exact weights may miss X.
_INSIDE = 1e-9


@dataclass(frozen=True)
class NominalCertificate:
    """How far a portfolio is from risk parity, computed from weights and covariance.

    Attributes
    ----------
    status : str
        The solver's status, in its own words.
    largest_deviation : float
        max_i |x_i (Σx)_i / x'Σx − b_i|.
    is_risk_parity : bool
        Whether that is below 1e-6, and every share within 1e-2 of 1: of a million budgets, 1e-6 is
        all that there is of each.
    smallest_share, largest_share : float
        Of x_i (Σx)_i / (b_i x'Σx): 1 for all assets at risk parity.
    binding : tuple of str
        The active constraints of X other than x ≥ 0 and 1'x = 1, such as ``"upper bound of
        'Utils'"``.
    """

    status: str
    largest_deviation: float
    smallest_share: float = float("nan")
    largest_share: float = float("nan")
    binding: tuple[str, ...] = ()

    @property
    def is_risk_parity(self) -> bool:
        missed = max(1.0 - self.smallest_share, self.largest_share - 1.0) > _LAST_DIGITS
        return self.largest_deviation < RISK_PARITY_TOLERANCE and not missed

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings."""
        return {
            "status": self.status,
            "largest_deviation": self.largest_deviation,
            "is_risk_parity": self.is_risk_parity,
            "smallest_share": self.smallest_share,
            "largest_share": self.largest_share,
            "binding": list(self.binding),
        }

    def summary(self) -> str:
        """One line for a terminal."""
        verdict = "risk parity" if self.is_risk_parity else "not risk parity"
        beside = f", beside {', '.join(self.binding[:3])}" if self.binding else ""
        return (
            f"contributions within {self.largest_deviation:.2g} of their budgets: {verdict}{beside}"
        )


class NominalRiskParity(RiskParityProblem):
    """A risk parity problem for one covariance matrix.

    Parameters
    ----------
    covariance : Covariance, (n, n) DataFrame or array
        Σ; the worst case Σ̄ of an uncertainty set makes it the paper's worst-case problem.
    budgets : Series, mapping or (n,) array, optional
        Target relative risk contributions, positive, summing to 1; equal by default.
    weight_set : WeightSet, optional
        X; long-only and fully invested by default.

    Raises
    ------
    InputError
        Budgets or a weight set that do not fit the covariance's assets.
    """

    # The objective is a variance (R, ζ) to this power.
    _objective_power: ClassVar[float] = 1.0
    _remedy: ClassVar[str] = "use solver='newton', or tighter tolerances"

    def __init__(
        self,
        covariance: CovarianceLike,
        budgets: Budgets = None,
        weight_set: WeightSet | None = None,
    ) -> None:
        super().__init__(covariance, budgets, weight_set)

    def solve(self, solver: str | None = None, **options: Any) -> Portfolio:
        """Solve the problem; see :meth:`PortfolioProblem.solve`.

        ``solver="newton"`` is Newton's method on the convex log form, for weights that are just
        long-only, or of given signs, and fully invested or of a given gross; its options are
        ``max_iter`` and ``tol``.
        """
        if solver is None or not is_own(solver):
            return super().solve(solver, **options)
        return self._by_newton(options)

    @property
    def objective_unit(self) -> float:
        """The unit of risk to the power of the objective."""
        return float(self.risk_unit**self._objective_power)

    def _portfolio(self, solution: ProgramSolution) -> Portfolio:
        certificate = self._certificate(solution)
        if not (certificate.is_risk_parity or certificate.binding or self._in_model):
            solution = self._polished(solution, certificate)
            certificate = self._certificate(solution)
        if not certificate.is_risk_parity and not certificate.binding:
            why = f"no constraint explains it; {self._remedy}"
            if self._in_model:
                why = (
                    "no bound of a weight explains it: look at the other constraints of the model; "
                    "RiskBudgeting keeps what they leave alone in the ratio of the budgets"
                )
            warn(
                f"{type(self).__name__} by {solution.solver} ended with status "
                f"{solution.status!r} at a portfolio that is not risk parity: a relative risk "
                f"contribution is {certificate.largest_deviation:.3g} away from its budget (they "
                f"are {certificate.smallest_share:.3g} to {certificate.largest_share:.3g} of "
                f"theirs), and {why}"
            )
        return replace(super()._portfolio(solution), certify=certificate)

    def _polished(
        self, solution: ProgramSolution, certificate: NominalCertificate
    ) -> ProgramSolution:
        """The solution with its last digits by Newton's method, where only these are missing.

        Assets that hedge leave the objective flat: contributions are then off by much more than it.
        """
        if max(1.0 - certificate.smallest_share, certificate.largest_share - 1.0) > _LAST_DIGITS:
            return solution
        with contextlib.suppress(SolverError):  # rounding is most of such a portfolio's risk
            x = normalised(self.weight_set, self._unconstrained())
            if violation(self.weight_set, x) <= _INSIDE:
                exact = self._solution_at(x, solution.status, solution.solver)
                return replace(solution, x=exact.x, objective=exact.objective)
        return solution

    def _certificate(self, solution: ProgramSolution) -> NominalCertificate:
        x = solution.arrays["x"]
        known = solution.arrays.get("marginal_risk")
        R = x * (self.covariance.operator @ x if known is None else known)
        deviation = float(np.abs(R / R.sum() - self.budgets).max())
        return NominalCertificate(
            solution.status, deviation, *shares(R, self.budgets), binding(self.weight_set, x)
        )
