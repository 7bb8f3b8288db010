"""Finite trees of returns, with probabilities in a polytope at every node."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse as sp

from rrp_pyomo.data.validation import (
    Labels,
    agreed_labels,
    as_floats,
    frozen,
    index_of,
    labels_of,
    require_finite,
    unique_labels,
)
from rrp_pyomo.errors import InputError, require_kind
from rrp_pyomo.linalg import FloatArray

# How far the probabilities of a vertex may sum from 1; they are divided by their sum.
_ROUNDING = 1e-9


@dataclass(frozen=True, init=False, eq=False, repr=False)
class ScenarioTree:
    """A node of a tree: returns of its branches, their probabilities, and what follows each.

    The probabilities p of the branches are any convex combination of the vertices; those of
    different nodes are chosen independently of each other, which makes the set of measures on the
    whole tree *rectangular* (Epstein & Schneider 2003; Iyengar 2005).

    Parameters
    ----------
    returns : (N, n) DataFrame or array
        Simple returns over a period by branch and asset, decimals.
    probabilities : (N,) or (K, N) array, optional
        One vertex or several, each nonnegative and summing to 1; equal by default.
    following : ScenarioTree or sequence of N, optional
        What follows every branch, or each of them; None where a branch ends.

    Raises
    ------
    InputError
        Returns or probabilities that are none, other assets in what follows.

    Examples
    --------
    Two periods of an asset that gains or loses 20 %, with p between 0.4 and 0.6 in each:

    >>> from rrp_pyomo import ScenarioTree
    >>> vertices = [[0.4, 0.6], [0.6, 0.4]]
    >>> ScenarioTree.stagewise([([[0.2], [-0.2]], vertices)] * 2)
    ScenarioTree(1 asset, 2 periods, 4 leaves)
    """

    labels: Labels
    branches: Labels
    R: FloatArray
    vertices: FloatArray
    following: tuple[ScenarioTree | None, ...]

    def __init__(self, returns: Any, probabilities: Any = None, following: Any = None) -> None:
        R = as_floats(returns, "returns", 2)
        if R.size == 0:
            raise InputError(f"returns have shape {R.shape}; expected at least one branch")
        labels = agreed_labels("asset", R.shape[1], returns=labels_of(returns, 1))
        branches = agreed_labels("branch", len(R), returns=labels_of(returns))
        require_finite(R, "the return", branches, labels)
        vars(self).update(
            labels=labels,
            branches=unique_labels(branches, "branch"),
            R=frozen(R),
            vertices=frozen(_vertices(probabilities, len(R))),
            following=_following(following, len(R), labels),
        )

    @classmethod
    def stagewise(cls, stages: Iterable[Any]) -> ScenarioTree:
        """The tree of stages that are independent of each other.

        Parameters
        ----------
        stages : sequence of (returns, probabilities)
            As :class:`ScenarioTree` takes them, the first stage first.

        Raises
        ------
        InputError
            There are none, and what :class:`ScenarioTree` refuses.
        """
        tree: ScenarioTree | None = None
        for returns, probabilities in reversed(list(stages)):
            tree = cls(returns, probabilities, tree)
        if tree is None:
            raise InputError("there are no stages; give a list of (returns, probabilities)")
        return tree

    @property
    def periods(self) -> int:
        """The number of periods to the farthest leaf."""
        return 1 + max(0 if tree is None else tree.periods for tree in self.following)

    def __repr__(self) -> str:
        n, T, leaves = len(self.labels), self.periods, self.nodes.leaves.size
        return (
            f"ScenarioTree({n} asset{'s' if n > 1 else ''}, {T} period{'s' if T > 1 else ''}, "
            f"{leaves} lea{'ves' if leaves > 1 else 'f'})"
        )

    @cached_property
    def nodes(self) -> Nodes:
        """All nodes in numbers, parents before children."""
        return Nodes(self)


class Branching(NamedTuple):
    """Where a node branches."""

    node: int
    tree: ScenarioTree
    children: slice


class Nodes:
    """The nodes of a tree in numbers: 0 is the root, children come after their parents.

    Attributes
    ----------
    paths : list of tuple
        The branches that lead to each node.
    branching : list of Branching
        The nodes that are no leaves, in order: where something is decided.
    parent : (C,) array
        By node but the root, the place of its parent among the branching ones.
    R : (C, n) array
        The returns on the way to each node but the root.
    leaves : (L,) array
    """

    def __init__(self, tree: ScenarioTree) -> None:
        self.paths: list[tuple[Any, ...]] = [()]
        self.branching: list[Branching] = []
        waiting: list[tuple[int, ScenarioTree]] = [(0, tree)]
        parents, returns, leaves = [], [], []
        while waiting:
            later = []
            for node, t in waiting:
                first, N = len(self.paths), len(t.R)
                parents += [len(self.branching)] * N
                returns.append(t.R)
                self.branching.append(Branching(node, t, slice(first, first + N)))
                for j, (branch, following) in enumerate(zip(t.branches, t.following, strict=True)):
                    self.paths.append((*self.paths[node], branch))
                    if following is None:
                        leaves.append(first + j)
                    else:
                        later.append((first + j, following))
            waiting = later
        self.parent = np.array(parents)
        self.R = np.concatenate(returns)
        self.leaves = np.array(leaves)

    @property
    def count(self) -> int:
        """How many nodes there are."""
        return len(self.paths)

    @cached_property
    def decisions(self) -> FloatArray:
        """The nodes where something is decided."""
        return np.array([b.node for b in self.branching])

    @cached_property
    def expectations(self) -> tuple[sp.csr_array, sp.csr_array]:
        """By vertex of each branching node: which node it is, and its probabilities."""
        rows, which, where, values = 0, [], [], []
        for b in self.branching:
            for p in b.tree.vertices:
                which.append(b.node)
                children = np.arange(b.children.start, b.children.stop)
                where += [(rows, child) for child in children]
                values.append(p)
                rows += 1
        of = _csr(np.arange(rows), np.array(which), np.ones(rows), (rows, self.count))
        row, column = np.array(where).T
        return of, _csr(row, column, np.concatenate(values), (rows, self.count))

    def backward(self, final: FloatArray) -> tuple[FloatArray, list[FloatArray]]:
        """Values of all nodes from those of the leaves, and the vertex that is worst at each."""
        value = np.full(self.count, np.nan)
        value[self.leaves] = final
        worst = []
        for b in reversed(self.branching):
            expected = b.tree.vertices @ value[b.children]
            worst.append(b.tree.vertices[int(expected.argmin())])
            value[b.node] = expected.min()
        return value, worst[::-1]

    def measure(self, conditional: Iterable[FloatArray]) -> FloatArray:
        """The probability of every node, from those of the branches at each."""
        p = np.ones(self.count)
        for b, shares in zip(self.branching, conditional, strict=True):
            p[b.children] = p[b.node] * shares
        return p

    def table(self, rows: FloatArray, labels: Labels) -> pd.DataFrame:
        """Rows of the branching nodes, labelled by path and asset."""
        return pd.DataFrame(rows, index=self.index(self.decisions), columns=index_of(labels))

    def index(self, nodes: Iterable[int]) -> pd.Index:
        """The paths of some nodes as an index."""
        return pd.Index([self.paths[i] for i in nodes], tupleize_cols=False, name="path")


def _csr(row: Any, column: Any, value: Any, shape: tuple[int, int]) -> sp.csr_array:
    return sp.csr_array((value, (row, column)), shape=shape)


def _vertices(given: Any, N: int) -> FloatArray:
    if given is None:
        return np.full((1, N), 1.0 / N)
    rows = as_floats(given, "probabilities", 1 if np.ndim(given) == 1 else 2)
    rows = np.atleast_2d(rows)
    if len(rows) == 0 or rows.shape[1] != N or not np.isfinite(rows).all() or rows.min() < 0.0:
        raise InputError(
            f"probabilities have shape {np.shape(given)}, the smallest being "
            f"{rows.min(initial=np.inf):.6g}; expected {N} numbers of at least 0 for each vertex"
        )
    sums = rows.sum(axis=1)
    if np.abs(sums - 1.0).max() > _ROUNDING:
        k = int(np.abs(sums - 1.0).argmax())
        raise InputError(
            f"the probabilities of vertex {k + 1} sum to {sums[k]:.9g}; expected 1: divide them by "
            "their sum"
        )
    return np.asarray(rows / sums[:, None])


def _following(given: Any, N: int, labels: Labels) -> tuple[ScenarioTree | None, ...]:
    trees = tuple(given) if isinstance(given, list | tuple) else (given,) * N
    if len(trees) != N:
        raise InputError(
            f"{len(trees)} trees follow {N} branches; give one for each, None where one ends"
        )
    for tree in _some(trees):
        require_kind(tree, ScenarioTree, "what follows a branch", "or None where it ends")
        agreed_labels("asset", len(labels), returns=labels, following=tree.labels)
    return trees


def _some(trees: tuple[Any, ...]) -> Iterator[Any]:
    return (tree for tree in trees if tree is not None)
