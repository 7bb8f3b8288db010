"""What the formulations share: weights, budgets, the set X, and the way to a portfolio."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from rrp_pyomo.data import Covariance, ResolvedWeightSet, WeightSet, resolve_budgets
from rrp_pyomo.errors import InputError, require_kind
from rrp_pyomo.modeling import Program, Variable
from rrp_pyomo.models.weights import state_weights, violation
from rrp_pyomo.portfolio import Portfolio
from rrp_pyomo.solve.program import solve_program
from rrp_pyomo.solve.solution import ProgramSolution

if TYPE_CHECKING:
    import pyomo.environ as pyo
    import pyomo.kernel as pmo

FloatArray = NDArray[np.float64]
Budgets = pd.Series | Mapping[Any, float] | ArrayLike | None


class Formulation(ABC):
    """A problem of the paper as a reusable statement; subclasses say which.

    Every statement measures covariances in multiples of :attr:`risk_unit`, so that the equally
    weighted portfolio has p = 1 and its risk contributions are about 1: solvers with absolute
    tolerances then work the same for daily decimals and for yearly percentages. Weights are not
    affected; ``Portfolio.objective`` is in the units of the data.
    """

    default_solver: ClassVar[str]

    def __init__(
        self, covariance: Covariance, budgets: Budgets, weight_set: WeightSet | None
    ) -> None:
        require_kind(covariance, Covariance, "covariance", "such as DenseCovariance(matrix)")
        if weight_set is not None:
            require_kind(weight_set, WeightSet, "weight_set", "such as WeightSet(upper=0.1)")
        self.covariance = covariance
        self.budgets = resolve_budgets(budgets, covariance.labels)
        self.weight_set: ResolvedWeightSet = (weight_set or WeightSet()).resolve(covariance.labels)

    # --- the statement --------------------------------------------------------------------------

    @abstractmethod
    def _state(self, program: Program, x: Variable) -> None:
        """State objective and constraints, all but x ∈ X."""

    @cached_property
    def risk_unit(self) -> float:
        """Variance per unit of the statement's: σ²/n at equal weights (at least from D alone)."""
        n = self.covariance.size
        diversified = float(self.covariance.variances.sum()) / n**2
        return max(self.covariance.mean_row_sum / n, diversified) / n

    def program(self) -> Program:
        """The statement as a new :class:`~rrp_pyomo.modeling.Program`, to which more may be added.

        Solve it with :func:`~rrp_pyomo.solve_program`; :meth:`solve` keeps to the problem itself.
        """
        program = Program(type(self).__name__)
        x = state_weights(program, self.weight_set)
        self._state(program, x)
        return program

    @property
    def statement(self) -> Program:
        """The program that :meth:`solve` solves, always the same one: add to :meth:`program`'s."""
        return self._program

    @cached_property
    def _program(self) -> Program:
        return self.program()

    def kernel(self, weights: Any = None, objective: bool | None = None) -> pmo.block:
        """The problem as a ``pyomo.kernel`` block.

        Parameters
        ----------
        weights : container of pyomo.kernel variables, optional
            Existing variables, by asset label or in label order, that become the weights ``x``.
        objective : bool, optional
            Whether the block brings its objective: by default only without ``weights``. The
            expression ``block.objective_expression`` is there in any case.

        Returns
        -------
        pyomo.kernel.block
            With a part for each variable and constraint of the statement, by the same name.

        Raises
        ------
        InputError
            Weights that lack an asset, or that are not kernel variables.
        """
        bind = {} if weights is None else {"x": weights}
        return self._program.kernel(bind, weights is None if objective is None else objective)

    def block(self, weights: Any = None, objective: bool | None = None) -> pyo.Block:
        """The problem as a ``pyomo.environ`` block; parameters as for :meth:`kernel`."""
        bind = {} if weights is None else {"x": weights}
        return self._program.block(bind, weights is None if objective is None else objective)

    # --- solving --------------------------------------------------------------------------------

    def solve(self, solver: str | None = None, **options: Any) -> Portfolio:
        """Solve the problem.

        Parameters
        ----------
        solver : str, optional
            Name of a solver, see ``rrp solvers``; by default the formulation's own.
        **options
            ``time_limit`` in seconds, ``tee``, and the solver's own options by name.

        Returns
        -------
        Portfolio

        Raises
        ------
        UnknownLabelError
            An unknown solver or option.
        SolverUnavailableError
            The solver is not installed.
        InfeasibleError
            No weights satisfy the constraints.
        SolverError
            The solver failed.
        """
        return self._solve(solver, self._equal_weights, options)

    def _solve(
        self,
        solver: str | None,
        start: Callable[[], FloatArray],
        options: dict[str, Any],
        near: bool = False,
    ) -> Portfolio:
        """Solve with weights from which a nonlinear solver starts."""
        if "start" in options:
            raise InputError(f"{type(self).__name__} is convex: it takes no start; leave it out")
        if "near" in options:
            raise InputError("solve() finds its starts itself: it takes no 'near'; leave it out")
        if violation(self.weight_set, np.zeros(self.covariance.size)) == 0.0:
            raise InputError(
                "the weight set has x = 0 in it, which is then the answer; use one that is fully "
                "invested, or block() as a part of a model that says how much to invest"
            )
        solution = solve_program(
            self._program,
            solver or self.default_solver,
            start=lambda: self._values_at(start()),
            near=near,
            **options,
        )
        return self._portfolio(solution)

    @abstractmethod
    def _values_at(self, x: FloatArray) -> dict[str, Any]:
        """The best values of the statement's variables for given weights, by name."""

    def _equal_weights(self) -> FloatArray:
        return np.full(self.covariance.size, 1.0 / self.covariance.size)

    @abstractmethod
    def _portfolio(self, solution: ProgramSolution) -> Portfolio:
        """The portfolio of a solution, with the certificate that goes with the problem."""

    def _require_long_only(self) -> None:
        lower = self.weight_set.lower
        if not (lower >= 0).all():
            i = int(lower.argmin())
            raise InputError(
                f"{type(self).__name__} needs weights x ≥ 0, but {self._label(i)!r} may go down "
                f"to {lower[i]:.4g}; use long_only=True, or RiskParityQCLP for short positions"
            )

    def _label(self, i: int) -> Hashable:
        return self.covariance.labels[i]
