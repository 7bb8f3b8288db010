"""The weights x ∈ X as a part of a statement."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy.sparse as sp

from rrp_pyomo.data import ResolvedWeightSet
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling import Variable
from rrp_pyomo.program import Program


def state_weights(program: Program, X: ResolvedWeightSet) -> Variable:
    """The variable x with its bounds, and the rows of X."""
    x = program.variable("x", X.labels, X.lower, X.upper, unit=1.0 / len(X.labels))
    if X.fully_invested:
        program.subject_to(fully_invested=x.sum() == 1.0)
    for name, rows, bound in _inequalities(X):
        program.subject_to(**{name: rows @ x >= bound})
    return x


def state_cone_of_weights(program: Program, X: ResolvedWeightSet) -> Variable:
    """The variable x in the cone over X: every bound is multiplied by one scale s ≥ 0."""
    x = program.variable(
        "x",
        X.labels,
        np.where(X.lower == 0.0, 0.0, -np.inf),
        np.where(X.upper == 0.0, 0.0, np.inf),
        unit=1.0 / len(X.labels),
    )
    scale = program.variable("scale", lower=0)
    if X.fully_invested:
        program.subject_to(fully_invested=x.sum() == scale)
    for name, bound, sign in (("lower_bound", X.lower, 1.0), ("upper_bound", X.upper, -1.0)):
        at = np.flatnonzero(np.isfinite(bound) & (bound != 0.0))
        if at.size:
            pick = sp.csr_matrix(
                (np.full(at.size, sign), (np.arange(at.size), at)), (at.size, x.size)
            )
            program.subject_to(**{name: pick @ x >= sign * bound[at] * scale})
    for name, rows, bound in _inequalities(X):
        program.subject_to(**{name: rows @ x >= bound * scale})
    return x


def violation(X: ResolvedWeightSet, x: FloatArray) -> float:
    """By how much weights violate X, the worst of its bounds and rows."""
    gaps = [X.lower - x, x - X.upper]
    gaps += [bound - rows @ x for _, rows, bound in _inequalities(X)]
    if X.fully_invested:
        gaps.append(np.array([abs(x.sum() - 1.0)]))
    return max(0.0, *(float(gap.max()) for gap in gaps))


def binds(X: ResolvedWeightSet, x: FloatArray, tolerance: float = 1e-5) -> bool:
    """Whether a constraint of X other than x ≥ 0 and 1'x = 1 is active.

    Its slack is measured by its own terms: weights of volatile assets are far below 1.
    """
    lower, size = X.lower != 0.0, np.abs(x)
    slacks = [(X.upper - x, np.where(X.upper == 0.0, 1.0, size))]
    slacks.append(((x - X.lower)[lower], size[lower]))
    for _, rows, bound in _inequalities(X):
        slacks.append((rows @ x - bound, abs(rows) @ np.abs(x)))
    return any(bool((slack <= tolerance * size).any()) for slack, size in slacks)


def described(X: ResolvedWeightSet) -> str:
    """X in a few words, such as ``long-only, fully invested, upper bounds``."""
    words = [
        "long-only" if X.long_only else "long and short",
        "fully invested" if X.fully_invested else "not fully invested",
    ]
    if (np.isfinite(X.lower) & (X.lower != 0.0)).any():
        words.append("lower bounds")
    if np.isfinite(X.upper).any():
        words.append("upper bounds")
    if rows := len(X.row_names):
        words.append(f"{rows} row{'s' if rows > 1 else ''}")
    return ", ".join(words)


def _inequalities(X: ResolvedWeightSet) -> Iterator[tuple[str, sp.csr_matrix, FloatArray]]:
    """The rows of X as ``rows @ x ≥ bound``, by name."""
    if X.matrix is None:
        return
    for name, bound, sign in (("row_lower", X.row_lower, 1.0), ("row_upper", X.row_upper, -1.0)):
        finite = np.isfinite(bound)
        if finite.any():
            yield name, sign * X.matrix[finite], sign * bound[finite]
