"""Policies on a finite tree: one conic program for any concave utility, costs and bounds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse as sp

from rrp_pyomo.data import WeightSet
from rrp_pyomo.data.validation import as_number, by_label
from rrp_pyomo.data.weight_set import resolved_weight_set
from rrp_pyomo.errors import SolverError, require_kind
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling import Affine, stack
from rrp_pyomo.models.expected_utility import require_bounded
from rrp_pyomo.models.scenario_tree import Nodes, ScenarioTree
from rrp_pyomo.models.trading import Trading
from rrp_pyomo.models.utility import KinkedUtility, as_utility
from rrp_pyomo.models.weights import described, inequalities, totals
from rrp_pyomo.program import Program
from rrp_pyomo.solve.program import solve_program

if TYPE_CHECKING:
    import pyomo.environ as pyo
    import pyomo.kernel as pmo


class Prices(NamedTuple):
    """Probabilities and slopes that bound what any policy is worth.

    Attributes
    ----------
    shares : list of array
        By deciding node, the probabilities of its branches.
    slopes : (L,) array
        Of the utility, by leaf.
    """

    shares: list[FloatArray]
    slopes: FloatArray


class TreeProgram:
    """The best policy on a tree under the worst probabilities at every node.

        maximise    V_root
        subject to  V_h ≤ Σ_j p_j V_hj               for every vertex p of node h's probabilities
                    W_hj = (1 + r_f)(W_h − k_h) + a_h'(R_j − r_f),    W_root = 1
                    k_h ≥ Σ_i c_i |a_hi − held_hi|
                    a_h ∈ (W_h − k_h) X
                    V_leaf ≤ u(W_leaf)

    over amounts a_h, wealth W_h and values V_h of all nodes, in multiples of the wealth at the
    root; what a node holds when it is reached is the amounts before times 1 + R. Amounts depend on
    the node, so that the policy adapts to what has happened. One conic program: linear rows and the
    cones of the utility at the leaves, N^T of them on a tree of N branches and T periods.

    As the worst probabilities are chosen at every node by itself, the policy is time-consistent:
    what it does after a branch is the best policy of that subtree. A parameter that is unknown but
    constant is a smaller set, and its worst case no worse.

    Guarantee: convex. For all probabilities within the polytopes the policy's expected utility is
    at least ``worst_value``, and no policy has a better worst case.

    Parameters
    ----------
    tree : ScenarioTree
    utility : "log", PowerUtility or KinkedUtility
        u of final wealth over that at the root.
    weight_set : WeightSet, optional
        X at every node, of the wealth that is left after costs; long-only and fully invested by
        default.
    risk_free : float
        r_f per period, on what is not invested.
    l1 : float, Series, mapping or (n,) array
        c ≥ 0, the cost of a unit traded.
    previous : Series, mapping or (n,) array, optional
        What is held before the root, in multiples of wealth; without it the first trade costs
        nothing.

    Raises
    ------
    InputError
        No tree, another utility, weights or costs that do not fit the assets.

    References
    ----------
    Epstein & Schneider (2003), Recursive multiple-priors; Iyengar (2005), Robust dynamic
    programming; Nilim & El Ghaoui (2005).

    Examples
    --------
    A bet that is won with 60 % or 70 %, twice: at the worst probabilities Kelly's 2p − 1 is 0.2.

    >>> from rrp_pyomo import ScenarioTree, TreeProgram, WeightSet
    >>> tree = ScenarioTree.stagewise([([[1.0], [-1.0]], [[0.6, 0.4], [0.7, 0.3]])] * 2)
    >>> policy = TreeProgram(tree, "log", WeightSet(fully_invested=False)).solve()
    >>> policy.first.round(3).tolist(), round(policy.worst_value, 4)
    ([0.2], 0.0403)
    """

    def __init__(
        self,
        tree: ScenarioTree,
        utility: Any = "log",
        weight_set: WeightSet | None = None,
        risk_free: float = 0.0,
        *,
        l1: Any = 0.0,
        previous: Any = None,
    ) -> None:
        require_kind(tree, ScenarioTree, "tree", "such as ScenarioTree(returns, probabilities)")
        self.tree = tree
        self.utility = as_utility(utility)
        self.labels = tree.labels
        self.weight_set = resolved_weight_set(weight_set, self.labels)
        self.risk_free = as_number(risk_free, "risk_free")
        self.trading = Trading.of(self.labels, l1, previous, None)
        self.has_start = previous is not None

    def __repr__(self) -> str:
        return f"TreeProgram({self.tree!r}, {self.utility!r}, X: {described(self.weight_set)})"

    def _repr_latex_(self) -> str:
        return self.statement._repr_latex_()

    @property
    def _nodes(self) -> Nodes:
        return self.tree.nodes

    # --- the statement --------------------------------------------------------------------------

    def program(self) -> Program:
        """The statement as a new program in ``amount``, ``wealth_after`` and ``value``."""
        nodes, program = self._nodes, Program("TreeProgram")
        wealth = self._state_wealth(program)
        value = program.variable("value", nodes.count)
        of, expected = nodes.expectations
        leaves = _rows(nodes.leaves, nodes.count)
        program.maximize(value[0])
        program.subject_to(
            worst_probabilities=of @ value <= expected @ value,
            utility=leaves @ value <= self.utility.of(leaves @ wealth),
        )
        return program

    def _state_wealth(self, program: Program) -> Affine:
        """Amounts, their costs and the wealth W of all nodes, the root's being 1."""
        nodes, n = self._nodes, len(self.labels)
        places = [(nodes.paths[i], asset) for i in nodes.decisions for asset in self.labels]
        low = np.where(self.weight_set.lower == 0.0, 0.0, -np.inf)
        high = np.where(self.weight_set.upper == 0.0, 0.0, np.inf)
        M = len(nodes.branching)
        a = program.variable("amount", places, np.tile(low, M), np.tile(high, M), unit=1.0 / n)
        after = program.variable("wealth_after", nodes.paths[1:], lower=0.0)
        wealth = stack(Affine(1, {}, 1.0), after)
        left: Any = _rows(nodes.decisions, nodes.count) @ wealth
        if self.trading.costs.any():
            left = left - self._state_costs(program, a)
        parent = _rows(nodes.parent, M)
        excess = _beside(nodes.R - self.risk_free, nodes.parent, M)
        program.subject_to(
            wealth=after == (1.0 + self.risk_free) * (parent @ left) + excess @ a,
        )
        self._state_weight_set(program, a, left)
        return wealth

    def _state_costs(self, program: Program, a: Affine) -> Affine:
        """k by node, above what is paid for the trades at it."""
        nodes, M = self._nodes, len(self._nodes.branching)
        held, start = self._held
        first = 0 if self.has_start else 1
        paid = program.variable("cost", [nodes.paths[i] for i in nodes.decisions], lower=0.0)
        if first < M:
            size = program.variable("trade", a.labels, lower=0.0, unit=1.0 / len(self.labels))
            change = a - held @ a - start
            at = list(range(first * len(self.labels), a.size))
            sums = sp.kron(sp.identity(M), self.trading.costs[None, :], format="csr")
            pick = _rows(np.array(at), a.size)
            program.subject_to(
                bought=pick @ change <= pick @ size,
                sold=-(pick @ change) <= pick @ size,
                paid=paid == sp.csr_array(sums) @ size,
            )
        return paid

    @cached_property
    def _held(self) -> tuple[sp.csr_array, FloatArray]:
        """What nodes hold when they are reached: a matrix of the amounts, and numbers."""
        nodes, n = self._nodes, len(self.labels)
        at, R = nodes.decisions[1:] - 1, nodes.R
        M = len(nodes.branching)
        row = np.arange(n, n * M)
        column = (n * nodes.parent[at][:, None] + np.arange(n)).ravel()
        held = sp.csr_array(((1.0 + R[at]).ravel(), (row, column)), shape=(n * M, n * M))
        start = np.zeros(n * M)
        start[:n] = self.trading.previous
        return held, start

    def _state_weight_set(self, program: Program, a: Affine, left: Affine) -> None:
        """a_h ∈ (W_h − k_h) X: every bound is a multiple of the wealth that is left."""
        X, M = self.weight_set, left.size

        def rows(name: str, matrix: Any, bound: FloatArray, sign: float) -> None:
            at = np.flatnonzero(np.isfinite(bound))
            if not at.size:
                return
            part = sp.kron(sp.identity(M), sp.csr_array(matrix)[at], format="csr")
            scale = sp.kron(sp.identity(M), bound[at][:, None], format="csr")
            gap = sp.csr_array(part) @ a - sp.csr_array(scale) @ left
            program.subject_to(**{name: sign * gap >= 0.0})

        n = len(self.labels)
        own = sp.identity(n, format="csr")
        rows("lower_bound", own, np.where(X.lower == 0.0, -np.inf, X.lower), 1.0)
        rows("upper_bound", own, np.where(X.upper == 0.0, np.inf, X.upper), -1.0)
        for name, matrix, bound in inequalities(X):
            rows(name, matrix, bound, 1.0)
        for name, row, total in totals(X):
            sums = sp.kron(sp.identity(M), row[None, :], format="csr")
            program.subject_to(**{name: sp.csr_array(sums) @ a == total * left})

    @cached_property
    def statement(self) -> Program:
        """The program that :meth:`solve` solves, always the same one: add to :meth:`program`'s."""
        return self.program()

    def block(self) -> pyo.Block:
        """The program as a ``pyomo.environ`` block."""
        return self.statement.block()

    def kernel(self) -> pmo.block:
        """The program as a ``pyomo.kernel`` block."""
        return self.statement.kernel()

    # --- solving --------------------------------------------------------------------------------

    def solve(self, solver: str = "clarabel", **options: Any) -> TreePolicy:
        """Solve for the policy; see :func:`~rrp_pyomo.solve_program` for options and errors."""
        solution = solve_program(self.statement, solver, **options)
        rows = solution.arrays["amount"].reshape(-1, len(self.labels))
        require_bounded(rows)
        amounts = self._nodes.table(rows, self.labels)
        prices = None if solution.duals is None else self._prices(solution.duals)
        return TreePolicy(self, amounts, prices, solution.status, solution.solver)

    def _prices(self, duals: Any) -> Prices:
        """What the multipliers say: probabilities of branches, and slopes of u at the leaves."""
        nodes = self._nodes
        y, utility, wealth = (
            np.abs(np.atleast_1d(np.asarray(duals[name], dtype=float)))
            for name in ("worst_probabilities", "utility", "wealth")
        )
        shares, first = [], 0
        for b in nodes.branching:
            part = y[first : first + len(b.tree.vertices)]
            first += part.size
            total = part.sum()
            weights = part / total if total > 0.0 else np.full(part.size, 1.0 / part.size)
            shares.append(weights @ b.tree.vertices)
        slopes = wealth[nodes.leaves - 1] / np.maximum(utility, np.finfo(float).tiny)
        if isinstance(self.utility, KinkedUtility):
            slopes = slopes.clip(1.0, 1.0 + self.utility.b)
        return Prices(shares, slopes)

    # --- what a policy is worth -----------------------------------------------------------------

    def wealth(self, amounts: pd.DataFrame) -> pd.Series:
        """W of every node for amounts by deciding node, costs paid."""
        nodes, a = self._nodes, self._numbers(amounts)
        held, start = self._held
        change = np.abs(a.ravel() - held @ a.ravel() - start).reshape(a.shape)
        if not self.has_start:
            change[0] = 0.0
        paid = change @ self.trading.costs
        W = np.ones(nodes.count)
        for k, b in enumerate(nodes.branching):
            W[b.children] = (1.0 + self.risk_free) * (W[b.node] - paid[k])
            W[b.children] += (b.tree.R - self.risk_free) @ a[k]
        return pd.Series(W, index=nodes.index(range(nodes.count)), name="wealth")

    def _numbers(self, amounts: pd.DataFrame) -> FloatArray:
        rows = [by_label(row, self.labels, "amounts") for _, row in amounts.iterrows()]
        return np.array(rows)

    def worst_value(self, amounts: pd.DataFrame) -> float:
        """The expected utility of a policy under its worst probabilities, from the data."""
        W = self.wealth(amounts).to_numpy()[self._nodes.leaves]
        value, _ = self._nodes.backward(self.utility.value(W))
        return float(value[0])

    def gap(self, amounts: pd.DataFrame, prices: Prices | None = None) -> float:
        """By how much any other policy could be better, at most, from the data.

        Under the measure p of any probabilities within the polytopes, and with any slopes s of the
        utility at the leaves, no policy is worth more than Σ p u*(s) + max Σ p s W: a linear
        program. u*(s) is the largest u(W) − s W.

        Parameters
        ----------
        amounts : DataFrame
            As :attr:`TreePolicy.amounts` has them.
        prices : Prices, optional
            The worst vertices and the slopes at the leaves' wealth by default.
        """
        nodes = self._nodes
        W = self.wealth(amounts).to_numpy()[nodes.leaves]
        if prices is None:
            worst = nodes.backward(self.utility.value(W))[1]
            prices = Prices(worst, self.utility.slope(W))
        p, s = nodes.measure(prices.shares)[nodes.leaves], prices.slopes
        program = Program("best_response")
        leaves = _rows(nodes.leaves, nodes.count)
        program.maximize((p * s) @ (leaves @ self._state_wealth(program)))
        try:
            solution = solve_program(program)
        except SolverError:  # X is unbounded, and so is a linear utility
            return np.inf
        most = solution.objective + np.abs(solution.duality_gap or 0.0)
        return max(0.0, float(p @ self.utility.conjugate(s) + most) - self.worst_value(amounts))


@dataclass(frozen=True, eq=False, repr=False)
class TreePolicy:
    """Amounts at every node of a tree where something is decided, and what they are worth.

    Attributes
    ----------
    problem : TreeProgram
    amounts : DataFrame
        By path of branches (``()`` is the root) and asset, in multiples of the wealth at the root.
    status, solver : str
        The solver's own words, and which one it was.
    """

    problem: TreeProgram
    amounts: pd.DataFrame
    prices: Prices | None = None
    status: str = ""
    solver: str = ""

    def __repr__(self) -> str:
        worth = f"expected utility at least {self.worst_value:.6g}"
        return f"TreePolicy({self.problem.tree!r}, {worth})"

    @cached_property
    def wealth(self) -> pd.Series:
        """What has become of a unit of wealth, by path."""
        return self.problem.wealth(self.amounts)

    @property
    def weights(self) -> pd.DataFrame:
        """Amounts as parts of the wealth at each node, before costs."""
        return self.amounts.div(self.wealth.loc[self.amounts.index], axis=0)

    @property
    def first(self) -> pd.Series:
        """The weights at the root."""
        return self.amounts.iloc[0].rename("weights")

    @cached_property
    def worst_value(self) -> float:
        """The expected utility under the worst probabilities, from the data."""
        return self.problem.worst_value(self.amounts)

    @property
    def certainty_equivalent(self) -> float:
        """The return over all periods that is as good for certain."""
        return self.problem.utility.inverse(self.worst_value) - 1.0

    @cached_property
    def worst_probabilities(self) -> pd.Series:
        """Of each node given the one before it, worst for the policy; 1 at the root."""
        nodes = self.problem.tree.nodes
        final = self.problem.utility.value(self.wealth.to_numpy()[nodes.leaves])
        p = np.ones(nodes.count)
        for b, shares in zip(nodes.branching, nodes.backward(final)[1], strict=True):
            p[b.children] = shares
        return pd.Series(p, index=nodes.index(range(nodes.count)), name="probability")

    @cached_property
    def gap(self) -> float:
        """By how much any other policy's worst case could be better, from the data."""
        gap = self.problem.gap(self.amounts)
        if self.prices is None:
            return gap
        return min(gap, self.problem.gap(self.amounts, self.prices))


def _rows(at: FloatArray, size: int) -> sp.csr_array:
    """The matrix that picks rows."""
    return sp.csr_array((np.ones(at.size), (np.arange(at.size), at)), shape=(at.size, size))


def _beside(rows: FloatArray, block: FloatArray, blocks: int) -> sp.csr_array:
    """Rows of n numbers, each in the columns of its block of n."""
    count, n = rows.shape
    column = (n * block[:, None] + np.arange(n)).ravel()
    row = np.repeat(np.arange(count), n)
    return sp.csr_array((rows.ravel(), (row, column)), shape=(count, n * blocks))
