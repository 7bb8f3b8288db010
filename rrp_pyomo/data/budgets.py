"""Risk budgets: the target relative risk contribution of each asset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rrp_pyomo.data.validation import Labels, Vector, by_label
from rrp_pyomo.errors import InputError
from rrp_pyomo.linalg import FloatArray


def resolve_budgets(
    budgets: Mapping[Any, float] | Vector | None, labels: Labels, zeros: bool = False
) -> FloatArray:
    """Budgets b in the order of ``labels``: shape (n,), positive, summing to 1.

    Parameters
    ----------
    budgets : Series, mapping, (n,) array or None
        By asset label, or an array in the order of ``labels``; None is b_i = 1/n.
    labels : tuple
        The assets.
    zeros : bool
        Whether some of them may be 0.

    Raises
    ------
    UnknownLabelError
        A budget for an asset that is not among the labels.
    InputError
        A missing asset, a budget that is not positive and finite, a sum other than 1 (to 1e-9).

    Examples
    --------
    >>> from rrp_pyomo.data import resolve_budgets
    >>> resolve_budgets({"bonds": 0.4, "stocks": 0.6}, ("stocks", "bonds")).tolist()
    [0.6, 0.4]
    """
    if budgets is None:
        return np.full(len(labels), 1.0 / len(labels))
    b = by_label(budgets, labels, "budgets")
    if not ((b > 0) | (zeros & (b == 0))).all():
        i = int(b.argmin())
        raise InputError(
            f"budget of {str(labels[i])!r} is {b[i]:.6g}; "
            + (
                "budgets must not be negative"
                if zeros
                else "budgets must be positive: give the asset a share of the risk, leave it out "
                "of the portfolio, or use RiskBudgeting, which takes budgets of 0"
            )
        )
    if abs(b.sum() - 1.0) > 1e-9:
        raise InputError(
            f"budgets sum to {b.sum():.12g}, expected 1; normalise them: budgets / budgets.sum()"
        )
    return b
