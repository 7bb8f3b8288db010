"""The risk contributions of weights that another model chooses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from rrp_pyomo.data.covariance import CovarianceLike, as_covariance
from rrp_pyomo.data.validation import Labels, by_label, positions, unique_labels
from rrp_pyomo.errors import InputError, brief, require_kind
from rrp_pyomo.linalg import FloatArray, Named
from rrp_pyomo.modeling import Variable, square, sum_squares
from rrp_pyomo.models.problem import Weights
from rrp_pyomo.models.risk_parity import unit_of_risk
from rrp_pyomo.program import Program
from rrp_pyomo.realise.points import entries_on
from rrp_pyomo.solve.objective_bound import ObjectiveBound, objective_bound
from rrp_pyomo.solve.solution import Values

if TYPE_CHECKING:
    import pyomo.environ as pyo
    import pyomo.kernel as pmo

Groups = Mapping[str, Iterable[Hashable]] | None


class RiskDecomposition(ABC):
    """What risk is made of, for weights of any sign that another model chooses.

    Everything in it is determined by the weights; it bounds and minimises nothing. A subclass
    states the parts (:meth:`_state`) and knows their values (:meth:`_values_at`).

    Parameters
    ----------
    covariance : Covariance, (n, n) DataFrame or array
    """

    def __init__(self, covariance: CovarianceLike) -> None:
        self.covariance = as_covariance(covariance)

    def __repr__(self) -> str:
        n = len(self.labels)
        return f"{type(self).__name__}({n} asset{'s' if n > 1 else ''}{self._described()})"

    def _described(self) -> str:
        return ""

    @property
    def labels(self) -> Labels:
        """The assets, in order."""
        return self.covariance.labels

    @property
    @abstractmethod
    def count(self) -> int:
        """How many contributions there are."""

    @cached_property
    def risk_unit(self) -> float:
        """Variance per unit of the statement's: σ² at equal weights, divided by the contributions.

        It is σ² of the variances alone at least.
        """
        return unit_of_risk(self.covariance) * len(self.labels) / self.count

    # --- the statement --------------------------------------------------------------------------

    def program(self) -> Program:
        """The statement as a new :class:`~rrp_pyomo.Program`, without an objective."""
        program = Program(type(self).__name__)
        x = program.variable("x", self.labels, unit=1.0 / len(self.labels))
        self._state(program, x)
        return program

    @abstractmethod
    def _state(self, program: Program, x: Variable) -> None:
        """State the parts of risk."""

    @abstractmethod
    def _values_at(self, x: FloatArray) -> dict[str, Any]:
        """The values of the statement's variables for given weights, by name."""

    def _state_total(self, program: Program, x: Variable) -> Variable:
        """``variance`` and ``volatility``, from v = ‖Σ^½ x‖² and k p² = v in units of risk.

        One half of the first equation is convex: global solvers bound v by that.
        """
        k, unit = self.count, self.risk_unit
        root = Named("root", self.covariance.root / np.sqrt(unit))
        v = program.variable("v", lower=0, unit=k)
        p = program.variable("p", lower=0)
        program.subject_to(
            total_risk=v == sum_squares(root @ x),
            deviation=k * square(p) == v,
        )
        program.expression("variance", unit * v)
        program.expression("volatility", np.sqrt(k * unit) * p)
        return v

    def _total_at(self, x: FloatArray) -> dict[str, float]:
        v = float(x @ (self.covariance.operator @ x)) / self.risk_unit
        return {"v": v, "p": np.sqrt(v / self.count)}

    # --- blocks ---------------------------------------------------------------------------------

    @cached_property
    def _program(self) -> Program:
        return self.program()

    def block(self, weights: Any = None, scaling: bool = True) -> pyo.Block:
        """The parts of risk as a ``pyomo.environ`` block.

        Parameters
        ----------
        weights : container of Pyomo variables or expressions, optional
            Existing weights, by asset label or in label order, whose risk it is; neither bounds nor
            a sum are asked of them. Without them the block has its own, ``x``.
        scaling : bool, optional
            Whether the block has a suffix ``scaling_factor`` with the units of its variables.

        Returns
        -------
        pyomo.environ.Block
            With the parts in units of the data, as named expressions, and ``unit``, the variance
            of 1 in its own variables. These begin at what belongs to the weights' values, or to
            equal weights.

        Raises
        ------
        InputError
            Weights that lack an asset, or that are not of Pyomo's environ.
        """
        return self._as_part(self._program.block(_bound(weights), False, self._start, scaling))

    def kernel(self, weights: Any = None, scaling: bool = True) -> pmo.block:
        """The same as a ``pyomo.kernel`` block, for kernel variables; see :meth:`block`."""
        return self._as_part(self._program.kernel(_bound(weights), False, self._start, scaling))

    def initialise(self, block: Any, weights: Weights) -> None:
        """Give the variables of a block the values that belong to weights.

        Parameters
        ----------
        block : block of :meth:`block` or :meth:`kernel`
            Existing weights that it was given are set, too; fixed variables keep their values.
        weights : Series, mapping or (n,) array

        Raises
        ------
        UnknownLabelError, InputError
            Weights that do not fit the assets or are not finite; no block of this kind.
        """
        x = by_label(weights, self.labels, "weights")
        entries_on(block, "x", self.labels)
        self._program.initialise(block, self._values_at(x))

    def at(self, weights: Weights) -> dict[str, Any]:
        """The parts of risk of given weights by name, in units of the data and labelled.

        Parameters
        ----------
        weights : Series, mapping or (n,) array
            Of any sign; a Series is aligned by label, an array is in the order of ``labels``.

        Raises
        ------
        UnknownLabelError, InputError
            Weights that do not fit the assets or are not finite.
        """
        program, x = self._program, by_label(weights, self.labels, "weights")
        point = program.point(self._values_at(x))
        values = Values(program, program.named_values(point))
        return {name: values[name] for name in program.expressions}

    def bound(self, model: Any) -> ObjectiveBound:
        """A proved bound on the objective of the model that the block is a part of, and the gap.

        The same as :func:`~rrp_pyomo.objective_bound`, which says what it takes and raises.
        """
        return objective_bound(model)

    def _start(self, known: Mapping[str, FloatArray]) -> Mapping[str, Any]:
        n = len(self.labels)
        return self._values_at(known.get("x", np.full(n, 1.0 / n)))

    def _as_part(self, block: Any) -> Any:
        block.unit = self.risk_unit
        return block


def _bound(weights: Any) -> dict[str, Any]:
    return {} if weights is None else {"x": weights}


class RiskContributions(RiskDecomposition):
    """Risk contributions of given weights, as a part of a Pyomo model.

        contribution_i = x_i (Σx)_i,    Σ_i contribution_i = variance = x'Σx = volatility²

    for weights x of any sign and any sum, in units of the data: variances per period, and a
    standard deviation. A *share* of risk is a contribution over the variance, and a bound on it is
    stated without the fraction::

        m.risk = RiskContributions(covariance, {"tech": ["AAPL", "MSFT"]}).block(m.w)
        m.cap = pyo.Constraint(expr=m.risk.group["tech"] <= 0.4 * m.risk.variance)
        m.ratio = pyo.Constraint(expr=m.risk.contribution["XOM"] <= 2 * m.risk.contribution["KO"])

    Contributions are products of variables: what bounds them is not convex, and takes ``"ipopt"``
    (a local optimum) or ``"scip"`` or ``"gurobi"`` (the global one). Where only the volatility is
    bounded nothing need be nonconvex: ``norm(covariance.root @ x) <= limit`` in a
    :class:`~rrp_pyomo.Program`, or the part ``volatility`` of a ``RiskParitySOCP`` block, goes to
    conic solvers as well.

    Parameters
    ----------
    covariance : Covariance, (n, n) DataFrame or array
        Σ. With V'FV + D the statement has O(n m) coefficients.
    groups : mapping from str to list of labels, optional
        Groups of assets, which may overlap: ``group[name]`` is the sum of their contributions.

    Raises
    ------
    UnknownLabelError
        A group names an unknown asset.
    InputError
        No covariance; groups that are no mapping, or a group without assets.

    References
    ----------
    Litterman (1996), Hot spots and hedges; Costa & Kwon (2020), equation (2).

    Examples
    --------
    >>> import pyomo.environ as pyo
    >>> from rrp_pyomo import DenseCovariance, RiskContributions
    >>> covariance = DenseCovariance([[0.04, 0.0], [0.0, 0.01]], ["stocks", "bonds"])
    >>> risk = RiskContributions(covariance)
    >>> risk.at({"stocks": 0.5, "bonds": 0.5})["contribution"].round(4).to_dict()
    {'stocks': 0.01, 'bonds': 0.0025}

    As a part of a model that is about something else, where stocks may bring half of the risk:

    >>> m = pyo.ConcreteModel()
    >>> m.w = pyo.Var(["stocks", "bonds"], bounds=(0, 1), initialize=0.5)
    >>> m.invested = pyo.Constraint(expr=m.w["stocks"] + m.w["bonds"] == 1)
    >>> m.risk = risk.block(m.w)
    >>> m.cap = pyo.Constraint(expr=m.risk.contribution["stocks"] <= 0.5 * m.risk.variance)
    >>> m.most = pyo.Objective(expr=m.w["stocks"], sense=pyo.maximize)
    >>> results = pyo.SolverFactory("casadi_ipopt").solve(m)
    >>> round(m.w["stocks"].value, 4)
    0.3333
    """

    def __init__(self, covariance: CovarianceLike, groups: Groups = None) -> None:
        super().__init__(covariance)
        self.groups = _resolved(groups, self.labels)

    def _described(self) -> str:
        k = len(self.groups)
        return f", {k} group{'s' if k > 1 else ''}" if k else ""

    @property
    def count(self) -> int:
        """The number of assets."""
        return len(self.labels)

    @cached_property
    def membership(self) -> pd.DataFrame:
        """1 where an asset is in a group, by group and asset."""
        matrix = np.zeros((len(self.groups), len(self.labels)))
        for row, members in zip(matrix, self.groups.values(), strict=True):
            row[positions(members, self.labels)] = 1.0
        return pd.DataFrame(matrix, list(self.groups), list(self.labels))

    def _state(self, program: Program, x: Variable) -> None:
        n, unit = x.size, self.risk_unit
        Sigma = Named("Sigma", self.covariance.operator / unit)
        z = program.variable("z", x.labels, unit=n)
        R = program.variable("R", x.labels)
        program.subject_to(
            marginal_risk=z == Sigma @ x,
            risk_contribution=R == x * z,
        )
        self._state_total(program, x)
        program.expression("contribution", unit * R)
        if self.groups:
            program.expression("group", unit * (self.membership @ R))

    def _values_at(self, x: FloatArray) -> dict[str, Any]:
        z = self.covariance.operator @ x / self.risk_unit
        return {"x": x, "z": z, "R": x * z, **self._total_at(x)}


def _resolved(groups: Groups, labels: Labels) -> dict[str, Labels]:
    """The members of each group, known and in a tuple."""
    if groups is None:
        return {}
    require_kind(groups, Mapping, "groups", "such as {'energy': ['XOM', 'CVX']}")
    return {name: _members(name, given, labels) for name, given in groups.items()}


def _members(name: str, given: Any, labels: Labels) -> Labels:
    if isinstance(given, str | bytes | Iterator) or not np.size(given):
        raise InputError(
            f"members of group {name!r} are {brief(given)}; expected a list of assets, such as "
            "['XOM', 'CVX']"
        )
    members = unique_labels(given, f"group {name!r}: asset")
    positions(members, labels)
    return members
