"""What every portfolio problem shares: weights x ∈ X, a statement, and the way to a portfolio."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Mapping
from copy import copy
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from rrp_pyomo.data import Covariance, ResolvedWeightSet, WeightSet
from rrp_pyomo.data.validation import Labels, by_label, index_of
from rrp_pyomo.data.weight_set import resolved_weight_set
from rrp_pyomo.errors import InputError
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling import Variable
from rrp_pyomo.models.weights import described, state_weights
from rrp_pyomo.portfolio import Certificate, Details, Portfolio
from rrp_pyomo.program import Program
from rrp_pyomo.realise.points import bounds_on, entries_on, named, values_on
from rrp_pyomo.solve.program import solve_program
from rrp_pyomo.solve.solution import ProgramSolution
from rrp_pyomo.solve.table import default_for
from rrp_pyomo.solvers.endings import NOTES

if TYPE_CHECKING:
    import pyomo.environ as pyo
    import pyomo.kernel as pmo


Weights: TypeAlias = pd.Series | Mapping[Any, float] | ArrayLike


class PortfolioProblem(ABC):
    """A problem whose answer is a portfolio, as a reusable statement; subclasses say which.

    A subclass states its objective and constraints (:meth:`_state`) and certifies a solution
    (:meth:`_certificate`). A line in :mod:`rrp_pyomo.models.registry` makes it known to the command
    line, to backtests and to the documentation.

    Parameters
    ----------
    labels : iterable of labels
        The assets.
    weight_set : WeightSet, optional
        X; long-only and fully invested by default.

    Raises
    ------
    InputError
        A weight set that does not fit the assets.
    """

    default_solver: ClassVar[str] = "clarabel"

    # What to say where no point satisfies a constraint of a block, by how its name begins.
    _infeasibility_notes: ClassVar[Mapping[str, str]] = {}

    # Whether it is looked at as a part of a model, which may have constraints of its own.
    _in_model: bool = False

    # Under which covariance the portfolio's risk is measured, and the budgets of its risk
    # contributions, (n,); a problem may have neither.
    covariance: Covariance | None = None
    budgets: FloatArray | None = None

    def __init__(self, labels: Iterable[Hashable], weight_set: WeightSet | None = None) -> None:
        self.weight_set: ResolvedWeightSet = resolved_weight_set(weight_set, labels)

    @property
    def labels(self) -> Labels:
        """The assets, in order."""
        return self.weight_set.labels

    def __repr__(self) -> str:
        n = len(self.labels)
        parts = [f"{n} asset{'s' if n > 1 else ''}"]
        parts += [f"{name}={value:g}" for name, value in self._numbers().items()]
        return f"{type(self).__name__}({', '.join(parts)}, X: {described(self.weight_set)})"

    def _repr_latex_(self) -> str:
        """What a notebook shows: the statement."""
        return self._program._repr_latex_()

    def _numbers(self) -> Mapping[str, float]:
        """What the problem's numbers are, for its ``repr``."""
        return {}

    # --- the statement --------------------------------------------------------------------------

    @abstractmethod
    def _state(self, program: Program, x: Variable) -> None:
        """State objective and constraints, all but x ∈ X."""

    def program(self) -> Program:
        """The statement as a new :class:`~rrp_pyomo.modeling.Program`, to which more may be added.

        Solve it with :func:`~rrp_pyomo.solve_program`; :meth:`solve` keeps to the problem itself.
        """
        program = Program(type(self).__name__)
        x = state_weights(program, self.weight_set, unit=self._weight_unit)
        self._state(program, x)
        return program

    @property
    def _weight_unit(self) -> float:
        """The typical magnitude of a weight: that of many, all of which hold something."""
        return 1.0 / len(self.labels)

    @property
    def statement(self) -> Program:
        """The program that :meth:`solve` solves, always the same one: add to :meth:`program`'s."""
        return self._program

    @cached_property
    def _program(self) -> Program:
        return self.program()

    def kernel(
        self, weights: Any = None, objective: bool | None = None, scaling: bool = True
    ) -> pmo.block:
        """The problem as a ``pyomo.kernel`` block.

        Parameters
        ----------
        weights : container of pyomo.kernel variables or expressions, optional
            Existing variables, by asset label or in label order, that become the weights ``x``.
            Where there are expressions, parameters or numbers among them, such as a core plus a
            satellite, the block has weights of its own that equal them by ``x_link``.
        objective : bool, optional
            Whether the block brings its objective: by default only without ``weights``. The
            expression ``block.objective_expression`` is there in any case.
        scaling : bool, optional
            Whether the block has a suffix ``scaling_factor`` with the units of its variables, by
            which ``casadi_ipopt`` scales. ``gdp.mbigm`` takes no Disjunct with a suffix.

        Returns
        -------
        pyomo.kernel.block
            With a part for each variable, constraint and named expression of the statement, by the
            same name. Its variables have values: the best ones for the weights' own values, where
            all of these have one, else for equal weights; (3) and (4) begin at the solution of the
            convex problem. See :meth:`initialise` and :data:`~rrp_pyomo.NEAR_START`.

        Raises
        ------
        InputError
            Weights that lack an asset, or that are not of pyomo.kernel.
        """
        bind = {} if weights is None else {"x": weights}
        brings = weights is None if objective is None else objective
        return self._noted(self._program.kernel(bind, brings, self._initial_values, scaling))

    def block(
        self,
        weights: Any = None,
        objective: bool | None = None,
        scaling: bool = True,
        bounds: bool = False,
    ) -> pyo.Block:
        """The problem as a ``pyomo.environ`` block.

        Existing weights are a ``pyo.Reference`` on it.

        Parameters
        ----------
        weights, objective, scaling
            As for :meth:`kernel`.
        bounds : bool, optional
            Whether the block's own variables have finite bounds where its rows imply some, twice as
            wide, so that they never bind: for blocks inside a Disjunct, and global solvers. A model
            in which something is missing is not unbounded then, but has a meaningless optimum.
        """
        bind = {} if weights is None else {"x": weights}
        brings = weights is None if objective is None else objective
        return self._noted(self._program.block(bind, brings, self._initial_values, scaling, bounds))

    def _initial_values(self, known: Mapping[str, FloatArray]) -> Mapping[str, Any]:
        """The best point for existing weights where they have values, else for equal ones."""
        x = known.get("x")
        if x is not None and x.any():
            with np.errstate(invalid="ignore"):
                values = self._values_at(x)
            if all(np.isfinite(value).all() for value in values.values()):
                return values
        return self._values_at(self._initial_weights())

    def _initial_weights(self) -> FloatArray:
        """Where the weights of a block begin whose values nobody says."""
        return self._equal_weights()

    def _noted(self, block: Any) -> Any:
        """The block with what this package's solvers say beside its constraints' names."""
        if self._infeasibility_notes:
            setattr(block, NOTES, dict(self._infeasibility_notes))
        return block

    def initialise(self, block: Any, weights: Weights) -> None:
        """Set the variables of a block of this problem to the best point for given weights.

        So Ipopt starts there. It leaves a start by its own default options; with
        ``options=NEAR_START`` it stays close, which (3) and (4) need at a portfolio of assets that
        hedge.

        Parameters
        ----------
        block : pyomo.environ block or pyomo.kernel block
            By :meth:`block` or :meth:`kernel`. Existing weights that it was given are set, too;
            fixed variables keep their values.
        weights : Series, mapping or (n,) array

        Raises
        ------
        UnknownLabelError, InputError
            Weights that do not fit the assets or are not finite; no block of this problem.
        """
        x = by_label(weights, self.labels, "weights")
        entries_on(block, "x", self.labels)
        problem = self._with_parameters_of(block)
        problem._program.initialise(block, problem._values_at(x))

    def portfolio(self, block: Any) -> Portfolio:
        """The certified portfolio of the weights that a block of this problem has now.

        Parameters
        ----------
        block : pyomo.environ block or pyomo.kernel block
            By :meth:`block` or :meth:`kernel`, alone or as a part of a larger model that has been
            solved, a member of an indexed block or of a clone. Its parameters count, such as ω.

        Returns
        -------
        Portfolio
            Its certificate and its objective are of the weights and the data: the block's other
            variables may be looser, where nothing in the model pulls them. Weights that a model
            makes sum to less than 1 stay what they are. Bounds of its own variables, and fixed
            ones, count as constraints of X; its other constraints are not looked at.

        Warns
        -----
        RiskParityWarning
            Where :meth:`solve` would.

        Raises
        ------
        InputError
            It is no block of this problem, a weight has no value because nobody has solved the
            model, or all of them are 0.
        """
        x = values_on(block, "x", self.labels)
        if not x.any():
            raise InputError(
                f"all weights on {named(block)} are 0, and such a portfolio has no risk to look "
                "at; look at the model's own constraints on them"
            )
        problem = self._with_parameters_of(block)._within_bounds_of(block)
        return problem._portfolio(problem._solution_at(x, "values of a model", named(block)))

    def _with_parameters_of(self, block: Any) -> Self:
        """The problem with the values that a block's parameters have, such as ω."""
        values = {
            name: values_on(block, name, parameter.labels)
            for name, parameter in self._program.parameters.items()
        }
        if all(np.array_equal(values[name], p) for name, p in self._program.numbers.items()):
            return self
        problem = copy(self)
        vars(problem).pop("_program")
        for name, (value,) in values.items():
            setattr(problem, name, float(value))
        return problem

    def _within_bounds_of(self, block: Any) -> Self:
        """The problem with the bounds that a model's own variables have, as a part of X."""
        X, (lower, upper) = self.weight_set, bounds_on(block, "x", self.labels)
        lower, upper = np.maximum(X.lower, lower), np.minimum(X.upper, upper)
        if (lower > upper).any():
            lower, upper = X.lower, X.upper
        problem = copy(self)
        problem._in_model = True
        problem.weight_set = replace(X, lower=lower, upper=upper, is_orthant=False)
        return problem

    # --- solving --------------------------------------------------------------------------------

    def solve(self, solver: str | None = None, **options: Any) -> Portfolio:
        """Solve the problem.

        Parameters
        ----------
        solver : str, optional
            Name of a solver, see ``rrp solvers``; by default the problem's own.
        **options
            ``time_limit`` in seconds, ``tee``, ``threads``, and the solver's own options by name.

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
        """Solve with weights from which a nonlinear solver starts, the solution ``near`` them."""
        if "start" in options:
            raise InputError(f"{type(self).__name__} is convex: it takes no start; leave it out")
        if "near" in options:
            raise InputError("solve() finds its starts itself: it takes no 'near'; leave it out")
        solution = solve_program(
            self._program,
            self._solver(solver),
            start=lambda: self._values_at(start()),
            near=near,
            **options,
        )
        return self._portfolio(solution)

    def _solver(self, wanted: str | None) -> str:
        """The name of what was asked for, or of the default."""
        return wanted or default_for(self.default_solver)

    def _values_at(self, x: FloatArray) -> dict[str, Any]:
        """The best values of the statement's variables for given weights, by name."""
        return {"x": x}

    def _solution_at(self, weights: FloatArray, status: str, solver: str) -> ProgramSolution:
        """The statement's solution that weights from elsewhere are."""
        point = self._program.point(self._values_at(weights))
        (objective,) = self._program.objective.value(point)
        return ProgramSolution(
            x=point,
            statement=self._program,
            objective=float(objective),
            duality_gap=None,
            status=status,
            solver=solver,
            numbers=self._program.numbers,
        )

    def _equal_weights(self) -> FloatArray:
        """The weights of one size, with the signs of X where it has them."""
        X, n = self.weight_set, len(self.labels)
        return (np.ones(n) if X.signs is None else X.signs) * ((X.gross or 1.0) / n)

    # --- what comes out -------------------------------------------------------------------------

    @abstractmethod
    def _certificate(self, solution: ProgramSolution) -> Certificate:
        """What can be said of a solution from the data, whatever the solver says."""

    def _details(self) -> Details | None:
        """What the portfolio says beyond weights and risk."""
        return None

    @property
    def objective_unit(self) -> float:
        """What 1 of the statement's objective is in the units of the data."""
        return 1.0

    def _portfolio(self, solution: ProgramSolution) -> Portfolio:
        n = len(self.labels)
        return Portfolio(
            weights=pd.Series(solution.arrays["x"], index=index_of(self.labels), name="weights"),
            covariance=self.covariance,
            budgets=np.full(n, 1.0 / n) if self.budgets is None else self.budgets,
            model=type(self).__name__,
            objective=float(solution.objective * self.objective_unit),
            status=solution.status,
            solver=solution.solver,
            details=self._details(),
            certify=partial(self._certificate, solution),
        )
