"""A weight set in numbers, and whether there is anything in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.optimize import LinearConstraint, milp

from rrp_pyomo.data.validation import Labels
from rrp_pyomo.errors import InputError
from rrp_pyomo.linalg import FloatArray

# Bounds that miss each other by less than this meet.
_TOLERANCE = 1e-9

# SciPy's word for a problem without a point.
_INFEASIBLE = 2


@dataclass(frozen=True, eq=False)
class ResolvedWeightSet:
    """X in numbers, in the order of ``labels``.

        lower ≤ x ≤ upper,   row_lower ≤ matrix x ≤ row_upper,
        1'x = 1 if fully invested,   s'x = gross if there is one

    Attributes
    ----------
    labels : tuple
    lower, upper : (n,) arrays
        Infinite where there is no bound. The zero of a long-only set is in ``lower``, that of a
        sign −1 in ``upper``; bounds beyond the 1 of a long-only and fully invested set, or beyond
        ``gross``, cannot bind and are infinite.
    matrix : (k, n) csr_matrix or None
    row_lower, row_upper : (k,) arrays
        Infinite where there is no bound.
    row_names : tuple of str
        The groups, then the rows.
    fully_invested : bool
    signs : (n,) array or None
        s_i = 1 where x_i ≥ 0 and −1 where x_i ≤ 0, as given or as the bounds say; None where they
        leave one open.
    gross : float or None
        s'x = Σ|x_i|, where it is given.
    is_orthant : bool
        Weights of given signs, normalised once (1'x = 1 or s'x = gross), and nothing else.

    Examples
    --------
    >>> from rrp_pyomo import WeightSet
    >>> X = WeightSet(upper={"stocks": 0.6}).resolve(["stocks", "bonds"])
    >>> X.lower.tolist(), X.upper.tolist(), X.fully_invested
    ([0.0, 0.0], [0.6, inf], True)
    """

    labels: Labels
    lower: FloatArray
    upper: FloatArray
    matrix: sp.csr_matrix | None
    row_lower: FloatArray
    row_upper: FloatArray
    row_names: tuple[str, ...]
    fully_invested: bool
    signs: FloatArray | None
    gross: float | None
    is_orthant: bool

    @property
    def long_only(self) -> bool:
        """x ≥ 0."""
        return self.signs is not None and bool((self.signs > 0).all())

    @property
    def is_simplex(self) -> bool:
        """Long-only and fully invested, and nothing else."""
        return self.is_orthant and self.fully_invested and self.long_only


def require_nonempty(X: ResolvedWeightSet) -> None:
    """Raise where no weights are in X: by sums, by row, and last by a linear program."""
    lower, upper = X.lower, X.upper
    if X.fully_invested:
        if lower.sum() > 1.0 + _TOLERANCE:
            raise InputError(
                f"lower bounds sum to {lower.sum():.6g}, above the 1 of a fully invested set; "
                "reduce them"
            )
        if upper.sum() < 1.0 - _TOLERANCE:
            raise InputError(
                f"upper bounds sum to {upper.sum():.6g}, below the 1 of a fully invested set; "
                + _at_least_mean(X)
            )
        # What the bounds of the others leave for each asset.
        if np.isfinite(lower).all():
            upper = np.minimum(upper, 1.0 - lower.sum() + lower)
        if np.isfinite(X.upper).all():
            lower = np.maximum(lower, 1.0 - X.upper.sum() + X.upper)
    if X.gross is not None and X.signs is not None:
        least = np.where(X.signs > 0, X.lower, -X.upper).sum()
        most = np.where(X.signs > 0, X.upper, -X.lower).sum()
        if not least - _TOLERANCE <= X.gross <= most + _TOLERANCE:
            raise InputError(
                f"gross={X.gross:.6g}, but the bounds of the assets allow only {least:.6g} to "
                f"{most:.6g} for Σ|x_i|; relax them or change gross"
            )
    if X.matrix is not None:
        _require_rows_in_reach(X, X.matrix, lower, upper)
    if X.matrix is not None or (X.fully_invested and X.gross is not None):
        _require_feasible(X)


def _at_least_mean(X: ResolvedWeightSet) -> str:
    if X.signs is None or X.long_only:
        return f"raise them (with one for all: at least 1/n = {1.0 / len(X.labels):.6g})"
    return "raise them, or give a gross in place of it"


def _require_rows_in_reach(
    X: ResolvedWeightSet, matrix: sp.csr_matrix, lower: FloatArray, upper: FloatArray
) -> None:
    """Raise where the bounds of its assets keep a row from its own."""
    positive, negative = matrix.maximum(0), matrix.minimum(0)
    least = positive @ lower + negative @ upper
    most = positive @ upper + negative @ lower
    missed = (least > X.row_upper + _TOLERANCE) | (most < X.row_lower - _TOLERANCE)
    if missed.any():
        k = int(missed.argmax())
        raise InputError(
            f"{X.row_names[k]!r} must lie between {X.row_lower[k]:.6g} and {X.row_upper[k]:.6g}, "
            f"but the bounds of its assets allow only {least[k]:.6g} to {most[k]:.6g}; relax one "
            "of them"
        )


def _require_feasible(X: ResolvedWeightSet) -> None:
    n, constraints, names = len(X.labels), [], list(map(repr, X.row_names))
    if X.matrix is not None:
        constraints.append(LinearConstraint(X.matrix, X.row_lower, X.row_upper))
    if X.fully_invested:
        constraints.append(LinearConstraint(np.ones((1, n)), 1.0, 1.0))
    if X.gross is not None and X.signs is not None:
        constraints.append(LinearConstraint(X.signs[None, :], X.gross, X.gross))
        names += ["fully_invested"] * X.fully_invested + [f"gross={X.gross:.6g}"]
    result = milp(np.zeros(n), constraints=constraints, bounds=(X.lower, X.upper))
    if not result.success:
        why = "" if result.status == _INFEASIBLE else f" ({result.message})"
        raise InputError(
            f"no weights satisfy all of {', '.join(names)} within the bounds{why}; relax some of "
            "them"
        )
