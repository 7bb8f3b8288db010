"""The exact limit of feasibility of (12)."""

from __future__ import annotations

import numpy as np

from rrp_pyomo.data import CovarianceUncertainty, ResolvedWeightSet, WeightSet
from rrp_pyomo.data.weight_set import resolved_weight_set
from rrp_pyomo.errors import SolverError, require_kind
from rrp_pyomo.linalg import Named
from rrp_pyomo.modeling import norm
from rrp_pyomo.models.weights import signed, state_cone_of_weights
from rrp_pyomo.program import Program
from rrp_pyomo.solve.table import find_solver
from rrp_pyomo.solvers.conic.session import Session
from rrp_pyomo.solvers.conic.solution import Termination


def largest_omega(uncertainty: CovarianceUncertainty, weight_set: WeightSet | None = None) -> float:
    """The largest ω for which the robust problem (12) has a solution.

    (12b) and (12c) need Ω ‖Σ^Δ x‖₂ / √n ≤ min_i (Σ⁰x)_i for some x ∈ X. Both sides are homogeneous
    in x, so that the best ratio is the value of one second-order cone program,

        maximise τ   subject to   (Σ⁰x)_i ≥ τ,   ‖Σ^Δ x‖₂ ≤ 1,   x ∈ cone(X),

    and Ω_max = √n τ. For weights of given signs, s_i (Σ⁰x)_i stands in the place of (Σ⁰x)_i.

    Parameters
    ----------
    uncertainty : CovarianceUncertainty
    weight_set : WeightSet, optional
        X; long-only and fully invested by default.

    Returns
    -------
    float
        ω_max = Ω_max ‖Σ⁰‖_F / ‖Σ^Δ‖_F; infinite where Σ^Δ = 0 or Σ^Δ x = 0 for some x that has
        positive marginal risks, and 0 where no weights have positive marginal risks.

    Raises
    ------
    InputError
        No uncertainty set, or a weight set that does not fit the assets.
    SolverError
        The solver failed.

    References
    ----------
    Costa & Kwon (2020), the bound on ω at the end of section 4, made exact.

    Examples
    --------
    >>> from rrp_pyomo import largest_omega
    >>> from rrp_pyomo.data import CovarianceUncertainty

    Where Σ^Δ = Σ⁰/2 is diagonal, Ω may be 2 at the weights of equal marginal risks:

    >>> nominal = [[0.04, 0.0], [0.0, 0.01]]
    >>> uncertainty = CovarianceUncertainty.from_bounds(nominal, [[0.06, 0.0], [0.0, 0.015]])
    >>> round(largest_omega(uncertainty), 3)
    4.0
    """
    require_kind(
        uncertainty,
        CovarianceUncertainty,
        "uncertainty",
        "such as FactorModel.fit(returns, factors).covariance_uncertainty()",
    )
    return largest_omega_of(uncertainty, resolved_weight_set(weight_set, uncertainty.labels))


def largest_omega_of(uncertainty: CovarianceUncertainty, weight_set: ResolvedWeightSet) -> float:
    """:func:`largest_omega` for a weight set whose labels are resolved."""
    if uncertainty.relative_size == 0.0:
        return np.inf
    n = uncertainty.size
    Sigma_unit, Delta_unit = (
        matrix.frobenius_norm / n for matrix in (uncertainty.nominal, uncertainty.perturbation)
    )
    program = Program("largest_omega")
    x = state_cone_of_weights(program, weight_set)
    Sigma = Named("Sigma", uncertainty.nominal.operator / Sigma_unit)
    tau = program.variable("tau")
    program.maximize(tau)
    program.subject_to(
        marginal_risk=signed(weight_set, Sigma @ x) >= tau,
        perturbation=norm(Named("Delta", uncertainty.perturbation.norm_map / Delta_unit) @ x)
        <= 1.0,
    )
    backend = find_solver("clarabel").backend()
    solution = Session(backend, **backend.for_programs).solve(program.conic())
    if solution.termination is Termination.UNBOUNDED:
        return np.inf
    if solution.termination not in (Termination.SOLVED, Termination.ALMOST_SOLVED):
        raise SolverError(
            f"the largest omega could not be computed: Clarabel ended with {solution.status!r}; "
            "use a larger scale of the uncertainty set, or other units"
        )
    (best,) = program.values(solution.x)["tau"]
    Omega_max = np.sqrt(n) * best * Sigma_unit / Delta_unit
    return max(0.0, float(Omega_max / uncertainty.relative_size))
