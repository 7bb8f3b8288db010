"""A problem stated once, in arrays, and realised in several ways."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rrp_pyomo.forms.conic import ConicForm
from rrp_pyomo.forms.quadratic import QuadraticForm
from rrp_pyomo.modeling.counterpart import counterpart, is_uncertain
from rrp_pyomo.modeling.statement import Statement
from rrp_pyomo.realise.binding import Start
from rrp_pyomo.realise.conic import CompiledStatement
from rrp_pyomo.realise.lifting import over_variables
from rrp_pyomo.realise.lowering import Lowered, lowered
from rrp_pyomo.realise.points import initialise
from rrp_pyomo.realise.reduction import reduced

if TYPE_CHECKING:
    import pyomo.environ as pyo
    import pyomo.kernel as pmo


class Program(Statement):
    """Named variables, parameters, an objective and named constraints, stated in arrays.

    The statement is written once and realised as a Pyomo kernel block (:meth:`kernel`), a Pyomo
    block for ConcreteModels (:meth:`block`), sparse matrices with cones (:meth:`conic`), or
    matrices with quadratic functions for nonlinear solvers (:meth:`quadratic`).

    Parameters
    ----------
    name : str

    Examples
    --------
    The smallest variance of a long-only portfolio, ``root.T @ root`` being the covariance matrix:

    >>> import numpy as np
    >>> from rrp_pyomo import Program, solve_program, sum_squares
    >>> program = Program("minimum_variance")
    >>> x = program.variable("x", ["bonds", "stocks"], lower=0)
    >>> root = np.array([[0.1, 0.0], [0.0, 0.2]])
    >>> program.minimize(sum_squares(root @ x))
    >>> program.subject_to(fully_invested=x.sum() == 1)
    >>> print(program)
    minimise        sum_squares([2×2] @ x)
    fully_invested  x.sum() == 1
    variables       x[2] >= 0
    >>> solve_program(program).values["x"].round(4).to_dict()
    {'bonds': 0.8, 'stocks': 0.2}
    """

    def __init__(self, name: str = "program") -> None:
        super().__init__(name)
        self._compiled: CompiledStatement | None = None
        self._reduced: CompiledStatement | None = None
        self._compiled_at = -1
        self._counterpart: Program | None = None

    def __getstate__(self) -> dict[str, Any]:
        # What was compiled can be compiled again.
        nothing = dict.fromkeys(("_compiled", "_reduced", "_counterpart"))
        return vars(self) | nothing | {"_compiled_at": -1}

    def counterpart(self) -> Program:
        """The robust counterpart: the same program with its worst cases in ordinary terms.

        It is a program of its own, with the numbers that parameters have now; its constraints keep
        their names, and so its duals. Every realisation of a program with uncertain data is one of
        its counterpart.
        """
        return counterpart(self)

    def compiled(self) -> CompiledStatement:
        """The statement over cones, with its conic form and the way back to the constraints.

        Compiled anew for new values of parameters, lowered anew after a change of the statement.

        Raises
        ------
        ModelError
            A constraint or the objective is not convex, by the form in which it is stated.
        """
        statement = self._statement_over_cones()
        statement.compile()
        return statement

    def reduced(self) -> CompiledStatement:
        """The same with a conic form without what its solver need not see.

        These are variables that one row determines; :meth:`CompiledStatement.point` is the way
        back.

        Raises
        ------
        ModelError
            As for :meth:`compiled`.
        """
        source = self._statement_over_cones().source
        if self._reduced is None:
            self._reduced = CompiledStatement(reduced(source))
        self._reduced.compile()
        return self._reduced

    def conic(self) -> ConicForm:
        """Sparse matrices and cones: ½x'Px + q'x over b − Ax ∈ K.

        Raises
        ------
        ModelError
            A constraint or the objective is not convex, by the form in which it is stated.
        """
        return self.compiled().form

    def quadratic(self) -> QuadraticForm:
        """Matrices with linear and quadratic functions, for nonlinear solvers.

        Raises
        ------
        ModelError
            A cone that no quadratic function states.
        """
        from rrp_pyomo.realise.quadratic import quadratic_form

        return quadratic_form(self.over_variables())

    def kernel(
        self,
        bind: Mapping[str, Any] | None = None,
        objective: bool = True,
        start: Start = None,
        scaling: bool = True,
    ) -> pmo.block:
        """A ``pyomo.kernel`` block: ``matrix_constraint`` rows and ``conic`` objects.

        Parameters
        ----------
        bind : mapping, optional
            From the name of a variable to existing Pyomo variables that take its place: a
            container with the variable's labels as keys, or a sequence in their order. Where there
            are expressions, parameters or numbers among them, the block has variables of its own
            that equal them, by the constraint ``<name>_link``.
        objective : bool
            Whether the block has an active objective. The expression ``objective_expression`` is
            there in any case.
        start : mapping or function, optional
            Values by variable name, from which the block's own variables start; those that are
            defined by others follow, and so do the auxiliary ones of cones. A function is given
            the values of the variables in ``bind`` that have some, by name, and returns them.
            Without it the block's variables have no values.
        scaling : bool
            Whether the block has a suffix ``scaling_factor`` with the units of its variables.
            ``gdp.mbigm`` takes no Disjunct with a suffix.

        Raises
        ------
        ModelError
            A semidefinite cone, which blocks do not state.
        """
        from rrp_pyomo.realise.kernel import kernel_block

        return kernel_block(self.lowered(), bind or {}, objective, start, scaling)

    def block(
        self,
        bind: Mapping[str, Any] | None = None,
        objective: bool = True,
        start: Start = None,
        scaling: bool = True,
        bounds: bool = False,
    ) -> pyo.Block:
        """A ``pyomo.environ`` block for ConcreteModels; cones as quadratics and smooth functions.

        Parameters
        ----------
        bind, objective, start, scaling
            As for :meth:`kernel`.
        bounds : bool
            Whether variables without bounds get twice those that the rows imply and, where they
            are only kept from being small, such as t in ``norm(e) <= t``, twice the largest value
            that is ever asked of them: for disjunctions, and for global solvers.
        """
        from pyomo.common.gc_manager import PauseGC

        from rrp_pyomo.realise.environ import environ_block

        with PauseGC():  # thousands of objects, none of which is garbage
            return environ_block(self.lowered(), bind or {}, objective, start, scaling, bounds)

    def initialise(self, block: Any, values: Mapping[str, Any]) -> None:
        """Set the variables of a block of this program to a point.

        Parameters
        ----------
        block : block of :meth:`block` or :meth:`kernel`
            Existing variables that it was given are set, too; fixed ones keep their values.
        values : mapping
            By variable name; the others follow as in :meth:`point`.
        """
        initialise(block, self.lowered(), values)

    def lowered(self) -> Lowered:
        """The statement with its terms replaced by the cones that bound them."""
        return self._statement_over_cones().source

    def over_variables(self) -> Lowered:
        """The lowered statement, its cones over auxiliary variables."""
        return over_variables(self.lowered())

    def _statement_over_cones(self) -> CompiledStatement:
        if self._compiled is None or self._compiled_at != self._changes:
            self._counterpart = self.counterpart() if is_uncertain(self) else None
            self._compiled = CompiledStatement(lowered(self._counterpart or self))
            self._reduced = None
            self._compiled_at = self._changes
        if self._counterpart is not None:
            self._counterpart._assign(self.numbers)
        return self._compiled
