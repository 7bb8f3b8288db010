"""Problem (11): risk parity as a second-order cone program."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rrp_pyomo.data import WeightSet
from rrp_pyomo.data.covariance import CovarianceLike
from rrp_pyomo.data.validation import as_number
from rrp_pyomo.errors import InfeasibleError, InputError
from rrp_pyomo.linalg import FloatArray, Named
from rrp_pyomo.modeling import Variable, norm, square
from rrp_pyomo.models.cardinality import Selection, selected_values, state_parity_of_selected
from rrp_pyomo.models.nominal import NominalRiskParity
from rrp_pyomo.models.risk_parity import Budgets
from rrp_pyomo.models.selecting import SelectingRiskParity
from rrp_pyomo.models.weights import signed
from rrp_pyomo.portfolio import Portfolio
from rrp_pyomo.program import Program
from rrp_pyomo.solve.solution import ProgramSolution


class RiskParitySOCP(SelectingRiskParity, NominalRiskParity):
    """Nominal risk parity as a second-order cone program, problem (11) of Costa & Kwon (2020).

        minimise    p − t                                                        (11a)
        subject to  z_i = (Σx)_i,           i = 1, …, n                          (11b)
                    x_i z_i ≥ n b_i t²,     i = 1, …, n                          (11c)
                    ‖Σ^{1/2} x‖₂ ≤ √n p                                          (11d)
                    z, p, t ≥ 0                                                  (11e)
                    x ∈ X                                                        (11f)

    with b_i = 1/n for equal budgets, which makes (11c) x_i z_i ≥ t². For weights of given signs
    s_i = ±1 the same is stated in s_i x_i ≥ 0 and z_i = s_i (Σx)_i.

    Blocks carry, per period and in units of the data, ``volatility`` for p and ``slack`` for p − t:
    where (11d) is tight, the smallest contribution is at least (1 − slack/volatility)² of its
    budget.

    Guarantee: convex; the optimal value is 0 exactly where the portfolio is risk parity, and then
    no other portfolio of these signs is. Where X rules risk parity out, (11a) brings the smallest
    contribution as close to the average one as it can.

    With ``cardinality=k`` exactly k assets share the risk and the others hold nothing, which binary
    variables ``selected`` choose; the objective is √(n/k) p − t, again 0 exactly at risk parity of
    the k assets. :meth:`solve` gives the portfolio of least volatility among these.

    Parameters
    ----------
    covariance : Covariance, (n, n) DataFrame or array
    budgets : Series, mapping or (n,) array, optional
        Target relative risk contributions, positive, summing to 1; equal by default.
    weight_set : WeightSet, optional
        X ⊆ {x ≥ 0}, or of given signs; long-only and fully invested by default.
    minimum_share : float, optional
        α between 0 and 1: every risk contribution is at least α of its budget, by the row
        t ≥ √α p, as x_i z_i ≥ n b_i t² and x'Σx ≤ n p².
    cardinality : int, optional
        k, how many assets share the risk, with budgets 1/k; all of them by default.
    minimum_weight : float, optional
        What a selected asset holds at least, with ``cardinality``.

    Raises
    ------
    InputError
        Budgets or a weight set that do not fit the covariance's assets, or positions of any sign; a
        minimum share that is not between 0 and 1, or beside a cardinality; a cardinality beside
        budgets or without largest weights, a minimum weight without it.

    References
    ----------
    Costa & Kwon (2020), equation (11), after Mausser & Romanko (2014).

    Examples
    --------
    Uncorrelated assets weigh in the inverse of their volatilities, 0.2 and 0.1:

    >>> from rrp_pyomo import DenseCovariance, RiskParitySOCP
    >>> covariance = DenseCovariance([[0.04, 0.0], [0.0, 0.01]], ["stocks", "bonds"])
    >>> portfolio = RiskParitySOCP(covariance).solve()
    >>> portfolio.weights.round(4).to_dict()
    {'stocks': 0.3333, 'bonds': 0.6667}
    >>> portfolio.relative_risk_contributions.round(4).to_dict()
    {'stocks': 0.5, 'bonds': 0.5}
    """

    _objective_power: ClassVar[float] = 0.5

    def __init__(
        self,
        covariance: CovarianceLike,
        budgets: Budgets = None,
        weight_set: WeightSet | None = None,
        minimum_share: float | None = None,
        cardinality: int | None = None,
        minimum_weight: float | None = None,
    ) -> None:
        super().__init__(covariance, budgets, weight_set)
        self._require_signs()
        self.minimum_share = (
            None
            if minimum_share is None
            else as_number(minimum_share, "minimum_share", least=0.0, most=1.0)
        )
        if minimum_share is not None and cardinality is not None:
            raise InputError(
                f"minimum_share={minimum_share:g} is given beside cardinality={cardinality}; leave "
                "one of them out, or limit the slack of block() in place of the share"
            )
        self.selection = Selection.of(cardinality, minimum_weight, budgets, self.weight_set)

    def _state(self, program: Program, x: Variable) -> None:
        n, unit, X = x.size, self.risk_unit, self.weight_set
        if self.selection is not None:
            state_parity_of_selected(program, x, X, self.covariance, unit, self.selection)
            return
        Sigma = Named("Sigma", self.covariance.operator / unit)
        root = Named("root", self.covariance.root / np.sqrt(unit))
        z = program.variable("z", x.labels, lower=0, unit=n)  # (11e)
        p = program.variable("p", lower=0)
        t = program.variable("t", lower=0)

        program.minimize(p - t)  # (11a)
        program.subject_to(
            marginal_risk=z == signed(X, Sigma @ x),  # (11b)
            hyperbolic=signed(X, x) * z >= square(t * np.sqrt(n * self.budgets)),  # (11c)
            portfolio_risk=norm(root @ x) <= np.sqrt(n) * p,  # (11d)
        )
        if self.minimum_share is not None:
            program.subject_to(minimum_share=t >= np.sqrt(self.minimum_share) * p)
        program.expression("volatility", np.sqrt(n * unit) * p)
        program.expression("slack", np.sqrt(n * unit) * (p - t))

    @property
    def _has_to_contribute(self) -> NDArray[np.bool_]:
        return np.full(len(self.labels), self.selection is None)

    def _values_at(self, x: FloatArray) -> dict[str, Any]:
        if self.selection is not None:
            k, X = self.selection.cardinality, self.weight_set
            values = selected_values(x, X, self.covariance, self.risk_unit, k)
            t = values["t_selected"][values["selected"] > 0].min()
            return values | {"t": t, "t_selected": t * values["selected"]}
        return {"x": x, **self._values_with(x, self.covariance.operator @ x)}

    def _values_with(self, x: FloatArray, marginal_risk: FloatArray) -> dict[str, Any]:
        n, X = x.size, self.weight_set
        z = np.maximum(signed(X, marginal_risk) / self.risk_unit, 0.0)
        t = np.sqrt((signed(X, x) * z / (n * self.budgets)).min())
        return {"z": z, "p": np.sqrt(signed(X, x) @ z / n), "t": t}

    def _objective_at(self, x: FloatArray, marginal_risk: FloatArray) -> float:
        values = self._values_with(x, marginal_risk)
        return float(values["p"] - values["t"])

    def solve(self, solver: str | None = None, **options: Any) -> Portfolio:
        """Solve the problem; see :meth:`NominalRiskParity.solve`.

        With ``cardinality`` it takes a solver for binary variables, by default the first that is
        installed. Among the risk parity portfolios of k assets in X it is the one of least
        volatility; where X has none, the one of least slack. The weights are then made exact for
        the assets that were selected.

        Raises
        ------
        InfeasibleError
            No weights in X give every asset its minimum share, or marginal risks that (11e) admits.

        Warns
        -----
        RiskParityWarning
            A constraint of X is active and contributions are more than 5 % off their budgets,
            without a ``minimum_share`` that says what may be missing.
        """
        if self.selection is not None:
            return self._select(solver, options)
        try:
            return super().solve(solver, **options)
        except InfeasibleError as error:
            if self.minimum_share:
                raise InfeasibleError(
                    "no weights in X give every asset a risk contribution of at least "
                    f"minimum_share={self.minimum_share:g} of its budget; use a smaller share, or "
                    "relax the constraints of the weight set"
                ) from error
            s_i = "" if self.weight_set.long_only else "s_i "
            raise InfeasibleError(
                f"(11) has no solution: no weights in X have z_i = {s_i}(Σx)_i ≥ 0 for all assets, "
                "as X makes one of them a hedge of the others; relax X or use RiskParityQCLP"
            ) from error

    @staticmethod
    def _has_binding(portfolio: Portfolio) -> bool:
        return bool(getattr(portfolio.certificate, "binding", ()))

    def _portfolio(self, solution: ProgramSolution) -> Portfolio:
        portfolio = super()._portfolio(solution)
        if self.minimum_share is None and self.selection is None and self._has_binding(portfolio):
            x = solution.arrays["x"]
            self._warn_off_parity(
                x,
                x * (self.covariance.operator @ x),
                "(11)",
                "RiskBudgeting keeps the others in the ratio of their budgets",
            )
        return portfolio
