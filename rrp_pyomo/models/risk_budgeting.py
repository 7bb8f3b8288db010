"""Risk budgeting beside constraints: the portfolio, and the gap for larger models."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import scipy.optimize
from numpy.typing import NDArray

from rrp_pyomo.data import ResolvedWeightSet, WeightSet
from rrp_pyomo.data.covariance import CovarianceLike
from rrp_pyomo.errors import InputError, ModelError
from rrp_pyomo.linalg import FloatArray, Named
from rrp_pyomo.modeling import Variable, geometric_mean, norm
from rrp_pyomo.modeling.terms.means import Cones, whole_multiples
from rrp_pyomo.models.cardinality import Selection, selected_values, state_gap_of_selected
from rrp_pyomo.models.constrained_budgeting import constrained_risk_budgeting
from rrp_pyomo.models.newton import newton
from rrp_pyomo.models.risk_parity import Budgets, shares
from rrp_pyomo.models.selecting import SelectingRiskParity
from rrp_pyomo.models.weights import active, binding, is_excluded, signed, violation
from rrp_pyomo.portfolio import Portfolio
from rrp_pyomo.program import Program
from rrp_pyomo.solve.solution import ProgramSolution
from rrp_pyomo.solve.table import is_own

# Contributions of untouched assets this close to the ratio of their budgets count as in it.
_EXACT = 1e-6


@dataclass(frozen=True)
class RiskBudgetingCertificate:
    """What the constraints leave of the budgets, computed from weights and covariance.

    Attributes
    ----------
    status : str
        The solver's status, in its own words.
    largest_deviation : float
        Over the assets that no active constraint touches, the largest relative deviation of
        R_i / b_i from their common ratio ΣR_i / Σb_i; of R_i itself, relative to that ratio, where
        b_i = 0.
    stationarity : float
        What is missing from Σx − λ b/x = A'μ for the best λ and multipliers μ of the active
        constraints, in their right sign, as a part of the largest marginal risk.
    infeasibility : float
        By how much the weights violate X.
    smallest_share, largest_share : float
        Of R_i / (b_i x'Σx) over the assets with a budget: 1 for all of them where every budget is
        met.
    binding : tuple of str
        The active constraints of X, other than x ≥ 0 and 1'x = 1.
    excluded : tuple of str
        Assets with a budget whose upper bound is 0: they hold nothing and are left out of the
        product Π x_i^{b_i}.
    """

    status: str
    largest_deviation: float
    stationarity: float
    infeasibility: float
    smallest_share: float
    largest_share: float
    binding: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()

    @property
    def is_risk_budgeting(self) -> bool:
        """Whether untouched assets have contributions in the ratio of their budgets, to 1e-6."""
        return self.largest_deviation < _EXACT

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings."""
        lists = {name: list(getattr(self, name)) for name in ("binding", "excluded")}
        return asdict(self) | lists | {"is_risk_budgeting": self.is_risk_budgeting}

    def summary(self) -> str:
        """One line for a terminal."""
        bound = len(self.binding)
        return (
            f"contributions that no constraint touches in the ratio of their budgets to "
            f"{self.largest_deviation:.2g}; all of them {self.smallest_share:.3g} to "
            f"{self.largest_share:.3g} of their budgets, {bound} binding "
            f"constraint{'' if bound == 1 else 's'}"
        )


class RiskBudgeting(SelectingRiskParity):
    """Risk budgeting under constraints: exact where they leave room, near it where they do not.

    :meth:`solve` is the constrained risk budgeting of Richard & Roncalli (2019),

        minimise    √(x'Σx) − λ Σ_i b_i log x_i   over the bounds and rows of X,

    with the λ for which 1'x = 1, found by a root; Newton's method on the conditions of optimality
    makes it exact. Assets that no active constraint touches have risk contributions x_i (Σx)_i
    exactly in the ratio of their budgets. Without further constraints it is risk parity.

    As λ is not part of a larger model, :meth:`block`, :meth:`kernel` and :meth:`program` state
    what can be priced and bounded there, the gap between volatility and geometric mean,

        minimise    p − c g
        subject to  ‖Σ^{1/2} x‖₂ ≤ p,   g ≤ Π_i (n x_i)^{b_i},   p, g ≥ 0,   x ∈ X,

    with c = min_{x ≥ 0} √(x'Σx) / Π (n x_i)^{b_i}, its value at the unconstrained portfolio. The
    gap is convex, homogeneous of degree 1, never negative, and 0 exactly at multiples of that
    portfolio. Blocks have it as ``parity_gap`` and √(x'Σx) as ``volatility``, both per period in
    units of the data: a limit on one of them holds for the true value too, as p and g can only be
    worse than their values at x. Budgets in the ratio of whole numbers, such as equal ones or
    percentages, need second-order cones only; others exponential ones, for conic solvers by
    :meth:`kernel`, for Ipopt and SCIP by :meth:`block`.

    An asset of budget 0 is left out of the product, not of the portfolio: it is held as far as it
    reduces the variance, and contributes 0. An asset whose upper bound is 0 holds nothing and is
    left out of the product, too. For weights of given signs |x_i| takes the place of x_i.

    With ``cardinality=k`` exactly k assets share the risk and the others hold nothing, which binary
    variables ``selected`` choose. :meth:`solve` gives the portfolio of least volatility among those
    of k assets at risk parity; where X rules that out, this portfolio of the k assets of the least
    gap. Blocks have the gap √(x'Σx) − √k (Π t_i)^{1/k} over the selected assets, with
    t_i² ≤ x_i (Σx)_i.

    Guarantee: convex. With nonnegative covariances, relative contributions r satisfy
    Σ_i b_i log(b_i / r_i) ≤ −2 log(1 − gap / volatility).

    Parameters
    ----------
    covariance : Covariance, (n, n) DataFrame or array
    budgets : Series, mapping or (n,) array, optional
        Target relative risk contributions, not negative, summing to 1; equal by default.
    weight_set : WeightSet, optional
        X ⊆ {x ≥ 0}, or of given signs; long-only and fully invested by default.
    cardinality : int, optional
        k, how many assets share the risk, with budgets 1/k; all of them by default.
    minimum_weight : float, optional
        What a selected asset holds at least, with ``cardinality``.

    Raises
    ------
    InputError
        Budgets or a weight set that do not fit the covariance's assets, or positions of any sign;
        a cardinality beside budgets or without largest weights, a minimum weight without it.

    References
    ----------
    Richard & Roncalli (2019), Constrained risk budgeting portfolios. The gap is this package's.

    Examples
    --------
    Risk parity would hold a third of stocks; where at most a fifth is allowed, the bound binds:

    >>> from rrp_pyomo import DenseCovariance, RiskBudgeting, WeightSet
    >>> covariance = DenseCovariance([[0.04, 0.0], [0.0, 0.01]], ["stocks", "bonds"])
    >>> portfolio = RiskBudgeting(covariance, weight_set=WeightSet(upper={"stocks": 0.2})).solve()
    >>> portfolio.weights.round(4).to_dict()
    {'stocks': 0.2, 'bonds': 0.8}
    >>> portfolio.relative_risk_contributions.round(4).to_dict()
    {'stocks': 0.2, 'bonds': 0.8}
    """

    _zero_budgets: ClassVar[bool] = True

    def __init__(
        self,
        covariance: CovarianceLike,
        budgets: Budgets = None,
        weight_set: WeightSet | None = None,
        cardinality: int | None = None,
        minimum_weight: float | None = None,
    ) -> None:
        super().__init__(covariance, budgets, weight_set)
        self._require_signs()
        # The budgets of assets that may be held, as parts of their sum.
        self._shared: FloatArray = shared_budgets(self.budgets, self.weight_set)
        self.selection = Selection.of(cardinality, minimum_weight, budgets, self.weight_set)

    # --- budgets --------------------------------------------------------------------------------

    @cached_property
    def parity_ratio(self) -> float:
        """c, volatility over geometric mean where no constraint but x ≥ 0 binds; at least, always.

        Raises
        ------
        SolverError
            A long-only portfolio with almost no risk seems to exist.
        """
        x = self._unconstrained()
        return float(np.sqrt(x @ (self.covariance.operator @ x)) / self.geometric_mean(x))

    def geometric_mean(self, x: FloatArray) -> float:
        """Π (n|x_i|)^{b_i} over the assets that have a budget and may be held."""
        held = self._shared > 0
        with np.errstate(divide="ignore"):
            u = np.maximum(x.size * signed(self.weight_set, x)[held], 0.0)
            return float(np.exp(self._shared[held] @ np.log(u)))

    def _unconstrained(self) -> FloatArray:
        """The portfolio without constraints, those apart that exclude assets."""
        b, excluded = self._shared, is_excluded(self.weight_set)
        signs = self.weight_set.signs
        assert signs is not None
        if (b[~excluded] > 0).all():
            held = [a for a, out in zip(self.labels, excluded, strict=True) if not out]
            part = self.covariance.select(held) if excluded.any() else self.covariance
            x = np.zeros(self.covariance.size)
            x[~excluded] = newton(part, b[~excluded], signs=signs[~excluded]).weights
            return x
        orthant = WeightSet(signs=signs, gross=1.0).resolve(self.labels)
        X = replace(
            orthant,
            lower=np.where(excluded, 0.0, orthant.lower),
            upper=np.where(excluded, 0.0, orthant.upper),
        )
        return constrained_risk_budgeting(self.covariance, b, X).weights

    # --- the statement --------------------------------------------------------------------------

    def _state(self, program: Program, x: Variable) -> None:
        n, unit, b = x.size, self.risk_unit, self._shared
        if self.selection is not None:
            X = self.weight_set
            state_gap_of_selected(program, x, X, self.covariance, unit, self.selection)
            return
        size = np.sqrt(n * unit)
        root = Named("root", self.covariance.root / np.sqrt(unit))
        held = b > 0
        p = program.variable("p", lower=0)
        g = program.variable("g", lower=0)
        c = self.parity_ratio / size

        program.minimize(p - c * g)
        program.subject_to(
            portfolio_risk=norm(root @ x) <= np.sqrt(n) * p,
            spread=geometric_mean(n * signed(self.weight_set, x)[held], b[held], cones_for(b[held]))
            >= g,
        )
        program.expression("volatility", size * p)
        program.expression("parity_gap", size * (p - c * g))

    @property
    def _has_to_contribute(self) -> NDArray[np.bool_]:
        return (self._shared > 0) & (self.selection is None)

    def _values_at(self, x: FloatArray) -> dict[str, Any]:
        if self.selection is not None:
            k, X = self.selection.cardinality, self.weight_set
            values = selected_values(x, X, self.covariance, self.risk_unit, k)
            selected, t = values["selected"], values["t_selected"]
            with np.errstate(divide="ignore"):
                g = np.exp(np.log(t[selected > 0]).mean())
            return values | {"g": g, "r": np.where(selected > 0, t, g)}
        p = np.sqrt(x @ (self.covariance.operator @ x) / self.risk_unit / x.size)
        return {"x": x, "p": p, "g": self.geometric_mean(x)}

    @property
    def objective_unit(self) -> float:
        """p is a volatility over √n, and the gap of a selection one over √k."""
        size = self.selection.cardinality if self.selection else self.covariance.size
        return float(np.sqrt(size * self.risk_unit))

    # --- solving --------------------------------------------------------------------------------

    def solve(self, solver: str | None = None, **options: Any) -> Portfolio:
        """The portfolio of Richard & Roncalli (2019); see :meth:`PortfolioProblem.solve`.

        A solver that is named solves the problem for each λ that is tried. By default that is
        Clarabel, and Newton's method alone (``solver="newton"``, with the options ``max_iter`` and
        ``tol``) where weights are just long-only and fully invested and all have a budget.

        Returns
        -------
        Portfolio
            Its ``objective`` is the gap p − c g, per-period volatility, which
            ``solve_program(problem.program())`` may make a little smaller yet under constraints.

        Raises
        ------
        InputError
            A weight set that is not fully invested: what determines λ is missing.
        InfeasibleError
            X leaves no room for an asset that has a budget, or there is no λ for which weights
            sum to 1 under the other constraints.
        ModelError
            Newton's method for another weight set, or with budgets of 0.
        """
        if self.selection is not None:
            return self._select(solver, options)
        plain = self.weight_set.is_orthant and bool((self.budgets > 0).all())
        if is_own(solver) or (plain and solver is None and not options):
            without = int((self.budgets == 0).sum())
            if without:
                raise ModelError(
                    f"solver 'newton' takes positive budgets, and {without} are 0; leave the "
                    "solver out"
                )
            return self._by_newton(options)
        self._require_normalised()
        self._require_reachable()
        found = constrained_risk_budgeting(
            self.covariance,
            self._shared,
            self.weight_set,
            self._solver(solver),
            **options,
        )
        return self._portfolio(
            self._solution_at(found.weights, found.solution.status, found.solution.solver)
        )

    def _require_normalised(self) -> None:
        X = self.weight_set
        if not X.fully_invested and X.gross is None:
            self._require_risk()
        if X.fully_invested == (X.gross is not None):
            raise InputError(
                f"RiskBudgeting finds λ from 1'x = 1 or from a gross, and this weight set asks for "
                f"{'both' if X.fully_invested else 'neither'}; use one of them, or block() as a "
                "part of a model that says how much to invest"
            )

    def _weights_near_parity(self) -> FloatArray:
        return self.solve().weights.to_numpy()

    def _certificate(self, solution: ProgramSolution) -> RiskBudgetingCertificate:
        if self.selection is not None:
            of_selected: RiskBudgetingCertificate = super()._certificate(solution)
            return of_selected
        X, b, x = self.weight_set, self._shared, solution.arrays["x"]
        marginal = self.covariance.operator @ x
        R = x * marginal
        bounds, rows = active(X, x)
        at = np.abs(rows) @ abs(X.matrix) if X.matrix is not None else np.zeros(x.size)
        untouched = (bounds == 0) & (at == 0)
        among = untouched if b[untouched].any() else b > 0
        ratio = float(R[among].sum() / b[among].sum())
        deviation = np.abs(R - ratio * b) / (ratio * np.where(b > 0, b, 1.0))
        budgeted = self.budgets > 0
        smallest, largest = shares(R, self.budgets)
        excluded = np.flatnonzero(budgeted & (b == 0))
        return RiskBudgetingCertificate(
            status=solution.status,
            largest_deviation=float(deviation[untouched].max(initial=0.0)),
            stationarity=_stationarity(X, b, x, marginal),
            infeasibility=violation(X, x),
            smallest_share=smallest,
            largest_share=largest,
            binding=binding(X, x),
            excluded=tuple(str(self.labels[i]) for i in excluded),
        )


def shared_budgets(budgets: FloatArray, X: ResolvedWeightSet) -> FloatArray:
    """The budgets of assets that X does not leave out, as parts of their sum.

    Raises
    ------
    InputError
        There are none.
    """
    b: FloatArray = np.where(is_excluded(X), 0.0, budgets)
    if not b.any():
        raise InputError(
            f"all {int((budgets > 0).sum())} assets with a budget have upper bounds of 0; "
            "leave room for one of them at least"
        )
    shared: FloatArray = b / b.sum()
    return shared


def cones_for(weights: FloatArray) -> Cones:
    """Second-order cones for a geometric mean where they can state it."""
    return "exponential" if whole_multiples(weights) is None else "second_order"


def _stationarity(
    X: ResolvedWeightSet, b: FloatArray, x: FloatArray, marginal: FloatArray
) -> float:
    """The least ‖Σx − λ b/x − A'μ‖ over λ, and over multipliers of active constraints in sign."""
    bounds, rows = active(X, x)
    A = np.vstack([np.eye(x.size), *([] if X.matrix is None else [X.matrix.toarray()])])
    side = np.concatenate([bounds, rows])
    either = np.concatenate([X.lower == X.upper, X.row_lower == X.row_upper])
    normals = np.vstack([-side[:, None] * A, A[either]])[np.append(side != 0, either[either])]
    ratio = np.divide(b, x, out=np.zeros_like(x), where=(b > 0) & (x != 0))
    columns = np.vstack([ratio, normals]).T
    missing = marginal - columns @ scipy.optimize.nnls(columns, marginal)[0]
    return float(np.abs(missing).max() / np.abs(marginal).max())
