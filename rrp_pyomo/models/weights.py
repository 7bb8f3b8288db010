"""The weights x ∈ X as a part of a statement."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple, overload

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from rrp_pyomo.data import ResolvedWeightSet
from rrp_pyomo.errors import InputError
from rrp_pyomo.linalg import FloatArray, LinearMap, Named
from rrp_pyomo.modeling import Affine, Variable
from rrp_pyomo.program import Program

# The least Σ_i x_i of a long–short portfolio with Σ|x_i| = 1 that is called fully invested.
_LEAST_NET = 1e-6


@overload
def signed(X: ResolvedWeightSet, rows: Affine) -> Affine: ...
@overload
def signed(X: ResolvedWeightSet, rows: FloatArray) -> FloatArray: ...
def signed(X: ResolvedWeightSet, rows: Any) -> Any:
    """S e for rows e, with S = diag(s) of the signs of X: e itself for long-only weights.

    In an orthant with signs s, u = Sx ≥ 0 has the covariance SΣS and the marginal risks SΣx.
    """
    if X.signs is None or X.long_only:
        return rows
    return Named("S", LinearMap(diagonal=X.signs)) @ rows


def normalised(X: ResolvedWeightSet, ray: FloatArray) -> FloatArray:
    """The multiple of some weights that 1'x = 1 or s'x = gross asks for.

    Raises
    ------
    InputError
        No positive multiple is fully invested: what is short outweighs what is long.
    """
    size = float(np.abs(ray).sum())
    if X.gross is not None:
        return ray * (X.gross / size)
    net = float(ray.sum()) / size
    if not net >= _LEAST_NET:
        raise InputError(
            f"the risk parity portfolio of these signs has weights that sum to {net:.6g} where "
            "Σ|x_i| = 1, and no multiple of it is fully invested; use "
            "WeightSet(signs=..., gross=1)"
        )
    return ray / (net * size)


def state_weights(
    program: Program, X: ResolvedWeightSet, suffix: str = "", unit: float | None = None
) -> Variable:
    """The variable x with its bounds, and the rows of X; a suffix goes with all of their names.

    Its unit is 1/n, the magnitude of weights of many assets that all hold something, or as given.
    """
    x = program.variable(f"x{suffix}", X.labels, X.lower, X.upper, unit=unit or 1.0 / len(X.labels))
    rows = {}
    if X.fully_invested:
        rows["fully_invested"] = x.sum() == 1.0
    if X.gross is not None:
        rows["gross"] = signed(X, x).sum() == X.gross
    for name, matrix, bound in inequalities(X):
        rows[name] = matrix @ x >= bound
    program.subject_to(**{f"{name}{suffix}": row for name, row in rows.items()})
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
    if X.gross is not None:
        program.subject_to(gross=signed(X, x).sum() == X.gross * scale)
    for name, bound, sign in (("lower_bound", X.lower, 1.0), ("upper_bound", X.upper, -1.0)):
        at = np.flatnonzero(np.isfinite(bound) & (bound != 0.0))
        if at.size:
            pick = sp.csr_matrix(
                (np.full(at.size, sign), (np.arange(at.size), at)), (at.size, x.size)
            )
            program.subject_to(**{name: pick @ x >= sign * bound[at] * scale})
    for name, rows, bound in inequalities(X):
        program.subject_to(**{name: rows @ x >= bound * scale})
    return x


def violation(X: ResolvedWeightSet, x: FloatArray) -> float:
    """By how much weights violate X, the worst of its bounds and rows."""
    gaps = [X.lower - x, x - X.upper]
    gaps += [bound - rows @ x for _, rows, bound in inequalities(X)]
    gaps += [np.array([abs(row @ x - total)]) for _, row, total in totals(X)]
    return max(0.0, *(float(gap.max()) for gap in gaps))


class Active(NamedTuple):
    """Where weights are on the border of X: −1 at a lower, 1 at an upper bound, 0 at neither.

    Attributes
    ----------
    bounds : (n,) array
        By asset, x ≥ 0 among them.
    rows : (k,) array
        By row of X.
    """

    bounds: FloatArray
    rows: FloatArray


def active(X: ResolvedWeightSet, x: FloatArray, tolerance: float = 1e-5) -> Active:
    """The active constraints of X, all but 1'x = 1 and s'x = gross.

    A slack is measured by its own terms: weights of volatile assets are far below 1.
    """
    size = np.abs(x)
    small = np.where(is_excluded(X), 1.0, size.max())
    low = x - X.lower <= tolerance * np.where(X.lower == 0.0, small, size)
    high = X.upper - x <= tolerance * np.where(X.upper == 0.0, small, size)
    bounds = np.where(high, 1.0, np.where(low, -1.0, 0.0))
    if X.matrix is None:
        return Active(bounds, np.zeros(0))
    total, size = X.matrix @ x, abs(X.matrix) @ np.abs(x)
    low, high = total - X.row_lower <= tolerance * size, X.row_upper - total <= tolerance * size
    return Active(bounds, np.where(high, 1.0, np.where(low, -1.0, 0.0)))


def binding(X: ResolvedWeightSet, x: FloatArray) -> tuple[str, ...]:
    """The names of the active constraints of X other than signs and one normalisation.

    A bound of zero that leaves an asset one sign keeps no portfolio from parity; two, which leave
    it out, do.
    """
    bounds, rows = active(X, x)
    sign = np.where(bounds > 0, X.upper, X.lower) == 0.0
    bounds = np.where(sign & ~is_excluded(X), 0.0, bounds)
    names = [
        f"{'lower' if sides[i] < 0 else 'upper'} bound of {str(labels[i])!r}"
        for labels, sides in ((X.labels, bounds), (X.row_names, rows))
        for i in np.flatnonzero(sides)
    ]
    if X.fully_invested and X.gross is not None:
        names.append(f"gross {X.gross:g} beside 1'x = 1")
    return tuple(names)


def is_excluded(X: ResolvedWeightSet) -> NDArray[np.bool_]:
    """Which assets X leaves out: both of their bounds are 0."""
    excluded: NDArray[np.bool_] = (X.lower == 0.0) & (X.upper == 0.0)
    return excluded


def restricted(
    X: ResolvedWeightSet, held: NDArray[np.bool_], minimum_weight: float
) -> ResolvedWeightSet:
    """X for the assets that are held alone, each with at least a minimum weight."""
    signs = np.ones(len(X.labels)) if X.signs is None else X.signs
    lower = np.where(signs > 0, np.maximum(X.lower, minimum_weight), X.lower)
    upper = np.where(signs < 0, np.minimum(X.upper, -minimum_weight), X.upper)
    return replace(
        X,
        labels=tuple(X.labels[i] for i in np.flatnonzero(held)),
        lower=lower[held],
        upper=upper[held],
        matrix=None if X.matrix is None else X.matrix[:, np.flatnonzero(held)],
        signs=None if X.signs is None else X.signs[held],
        is_orthant=X.is_orthant and minimum_weight == 0.0,
    )


def described(X: ResolvedWeightSet) -> str:
    """X in a few words, such as ``long-only, fully invested, upper bounds``."""
    words = ["long-only" if X.long_only else "long and short"]
    if X.signs is not None and not X.long_only:
        words[0] = f"{int((X.signs > 0).sum())} long, {int((X.signs < 0).sum())} short"
    if X.fully_invested or X.gross is None:
        words.append("fully invested" if X.fully_invested else "not fully invested")
    if X.gross is not None:
        words.append(f"gross {X.gross:g}")
    if (np.isfinite(X.lower) & (X.lower != 0.0)).any():
        words.append("lower bounds")
    if (np.isfinite(X.upper) & ((X.upper != 0.0) | (X.lower == 0.0))).any():
        words.append("upper bounds")
    if rows := len(X.row_names):
        words.append(f"{rows} row{'s' if rows > 1 else ''}")
    return ", ".join(words)


def totals(X: ResolvedWeightSet) -> list[tuple[str, FloatArray, float]]:
    """What X says of sums, 1'x = 1 and s'x = gross, as ``row @ x == total``, by name."""
    ones = np.ones(len(X.labels))
    found = [("fully_invested", ones, 1.0)] if X.fully_invested else []
    if X.gross is not None:
        found.append(("gross", ones if X.signs is None else X.signs, X.gross))
    return found


def inequalities(X: ResolvedWeightSet) -> Iterator[tuple[str, sp.csr_matrix, FloatArray]]:
    """The rows of X as ``rows @ x ≥ bound``, by name."""
    if X.matrix is None:
        return
    for name, bound, sign in (("row_lower", X.row_lower, 1.0), ("row_upper", X.row_upper, -1.0)):
        finite = np.isfinite(bound)
        if finite.any():
            yield name, sign * X.matrix[finite], sign * bound[finite]
