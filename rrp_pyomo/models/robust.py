"""Problem (12): robust risk parity."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rrp_pyomo.data import WeightSet
from rrp_pyomo.data.validation import index_of
from rrp_pyomo.errors import SolverError, UnknownLabelError
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling import Affine, Variable, square
from rrp_pyomo.modeling.constraints import Constraint
from rrp_pyomo.models.penalised import PenalisedRiskParity
from rrp_pyomo.models.penalised import RobustCertificate as RobustCertificate
from rrp_pyomo.models.penalised import RobustDetails as RobustDetails
from rrp_pyomo.models.penalised_newton import PenalisedNewton, Proven
from rrp_pyomo.models.risk_parity import shares
from rrp_pyomo.models.weights import signed
from rrp_pyomo.portfolio import Portfolio
from rrp_pyomo.program import Program
from rrp_pyomo.solve.program import solve_program
from rrp_pyomo.solve.solution import ProgramSolution
from rrp_pyomo.solve.table import is_own

# What portfolios say that multipliers prove.
_PROVEN = "converged"


class RobustRiskParity(PenalisedRiskParity):
    """Robust risk parity, problem (12) of Costa & Kwon (2020), a second-order cone program.

        minimise    p − t                                                        (12a)
        subject to  ‖Σ^Δ x‖₂ ≤ √n y                                              (12b)
                    Ω y ≤ (Σ⁰x)_i − z_i,    i = 1, …, n                          (12c)
                    x_i z_i ≥ n b_i t²,     i = 1, …, n                          (12d)
                    ‖(Σ⁰ + Σ^Δ)^{1/2} x‖₂ ≤ √n p                                 (12e)
                    z, p, t, y ≥ 0                                               (12f)
                    x ∈ X                                                        (12g)

    with Ω = ω ‖Σ^Δ‖_F / ‖Σ⁰‖_F, and b_i = 1/n for equal budgets, which makes (12d) x_i z_i ≥ t².
    For weights of given signs s_i = ±1, s_i x_i ≥ 0 and s_i (Σ⁰x)_i take the places of x_i and
    (Σ⁰x)_i in (12c) and (12d).

    Blocks carry, per period and in units of the data, ``worst_case_volatility`` for p, of the
    covariance Σ⁰ + Σ^Δ, and ``slack`` for p − t.

    Guarantee: convex; the portfolio equalises, as far as (12a) trades it off against the
    worst-case risk, the contributions x_i z_i of marginal risks that are penalised for their
    estimation error. It is risk parity under Σ⁰ where Σ^Δ = 0; with ω = 0 it still is where Σ^Δ is
    small, but not where it is large, because (12e) uses Σ⁰ + Σ^Δ. Feasible for
    ω ≤ ω_max = :func:`~rrp_pyomo.largest_omega`.

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

    References
    ----------
    Costa & Kwon (2020), equation (12).

    Examples
    --------
    >>> from rrp_pyomo import RobustRiskParity
    >>> from rrp_pyomo.data import CovarianceUncertainty
    >>> nominal = [[0.04, 0.01, 0.0], [0.01, 0.02, 0.0], [0.0, 0.0, 0.01]]
    >>> upper = [[0.06, 0.01, 0.0], [0.01, 0.02, 0.0], [0.0, 0.0, 0.01]]
    >>> uncertainty = CovarianceUncertainty.from_bounds(nominal, upper)

    Only the first variance is uncertain; the more one minds, the less of that asset is held:

    >>> for omega in (0.0, 1.0, 2.0):
    ...     print(omega, RobustRiskParity(uncertainty, omega).solve().weights.round(3).tolist())
    0.0 [0.211, 0.298, 0.491]
    1.0 [0.203, 0.294, 0.503]
    2.0 [0.194, 0.29, 0.516]
    """

    _newton: PenalisedNewton | None = None

    def equalised(self, start: FloatArray | None = None) -> FloatArray | None:
        """The solution where all contributions x_i z_i are in the ratio of the budgets.

        So they are unless ω is near its limit. Newton's method finds these weights to the last
        digits, many times faster than a conic solver finds any; that (12) has no better ones is
        proven by their multipliers.

        Parameters
        ----------
        start : (n,) array, optional
            The risk parity portfolio under Σ⁰, where it is known.

        Returns
        -------
        (n,) array or None
            None where contributions differ at the solution, where there is none, and where X is
            more than long-only and fully invested weights: :meth:`solve` has the answer.

        Examples
        --------
        >>> from rrp_pyomo import RobustRiskParity
        >>> from rrp_pyomo.data import CovarianceUncertainty
        >>> uncertainty = CovarianceUncertainty.from_bounds(
        ...     [[0.04, 0.01], [0.01, 0.02]], [[0.06, 0.01], [0.01, 0.02]]
        ... )
        >>> RobustRiskParity(uncertainty, 1.0).equalised().round(3).tolist()
        [0.4, 0.6]
        """
        proven = self._proven(start)
        return None if proven is None else proven.weights

    def _proven(self, start: FloatArray | None = None) -> Proven | None:
        if not self.weight_set.is_simplex:
            return None
        if self._newton is None:
            self._newton = PenalisedNewton(self.uncertainty, self.budgets, start)
        return self._newton.proven(self.Omega)

    def solve(self, solver: str | None = None, **options: Any) -> Portfolio:
        """Solve the problem; see :meth:`PortfolioProblem.solve`.

        Without a solver's name or options, Newton's method does it where it can prove its answer,
        see :meth:`equalised`, and Clarabel elsewhere; ``Portfolio.solver`` says which of them.

        Parameters
        ----------
        solver : str, optional
            Such as ``"clarabel"``, or ``"newton"`` for nothing but Newton's method.
        **options
            As there; Newton's method has none.

        Raises
        ------
        InfeasibleError
            ω is beyond ω_max; the message has both.
        SolverError
            The solver failed; or contributions are not equal at the solution, and so it is not
            one of Newton's method.
        """
        by_newton = is_own(solver)
        if by_newton or (solver is None and not options):
            for option in options:
                raise UnknownLabelError("Newton option", option, ())
            proven = self._proven()
            if proven is not None:
                return self._of_newton(proven)
        if by_newton:
            raise SolverError(
                "solver 'newton' finds portfolios of (12) whose contributions are all in the ratio "
                "of their budgets, for long-only and fully invested weights, and this is none, or "
                f"omega = {self.omega:.9g} is beyond omega_max; use 'clarabel'"
            )
        return super().solve(solver, **options)

    def _of_newton(self, proven: Proven) -> Portfolio:
        x, as_it_is = proven.weights, copy(self)
        vars(as_it_is).pop("_program", None)  # whose parameters change
        values = self._values_at(x)
        return Portfolio(
            weights=pd.Series(x, index=index_of(self.labels), name="weights"),
            covariance=self.covariance,
            budgets=self.budgets,
            model=type(self).__name__,
            objective=float(values["p"] - values["t"]) * self.objective_unit,
            status=_PROVEN,
            solver="newton",
            details=self._details(),
            certify=partial(as_it_is._certified, proven),
        )

    def _certified(self, proven: Proven) -> RobustCertificate:
        solution = self._solution_at(proven.weights, _PROVEN, "newton")
        return self._certificate(replace(solution, duality_gap=proven.gap / self.objective_unit))

    def _state_contributions(
        self, program: Program, x: Variable, z: Variable
    ) -> tuple[Affine, Constraint]:
        t = program.variable("t", lower=0)
        u = signed(self.weight_set, x)
        return t, u * z >= square(t * np.sqrt(x.size * self.budgets))  # (12d)

    @property
    def _has_to_contribute(self) -> NDArray[np.bool_]:
        return np.ones(len(self.labels), bool)

    def _values_at(self, x: FloatArray) -> dict[str, Any]:
        values = super()._values_at(x)
        R = signed(self.weight_set, x) * values["z"] / (x.size * self.budgets)
        return values | {"t": np.sqrt(R.min())}

    def _portfolio(self, solution: ProgramSolution) -> Portfolio:
        portfolio = super()._portfolio(solution)
        self._warn_off_parity(
            solution.arrays["x"],
            self.penalised_contributions(solution.arrays["x"]),
            "(12)",
            "RobustRiskBudgeting takes all of them into account, RiskBudgeting keeps those that no "
            "constraint touches in the ratio of their budgets",
            self._unconstrained_shares,
        )
        return portfolio

    def _unconstrained_shares(self) -> tuple[float, float]:
        """The smallest and largest x_i z_i, over budgets, of (12) without constraints on x."""
        free = copy(self)
        vars(free).pop("_program", None)
        X = WeightSet(signs=self.weight_set.signs, gross=1.0)
        free.weight_set = X.resolve(self.labels)
        try:
            x = solve_program(free.program()).arrays["x"]
        except SolverError:
            return 1.0, 1.0
        return shares(self.penalised_contributions(x), self.budgets)
