"""A distribution on finitely many scenarios: what worst cases are reported as."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from rrp_pyomo.data import DenseCovariance
from rrp_pyomo.data.validation import (
    Labels,
    Matrix,
    agreed_labels,
    as_floats,
    as_number,
    by_label,
    frozen,
    index_of,
    labels_of,
    require_finite,
)
from rrp_pyomo.errors import InputError
from rrp_pyomo.linalg import FloatArray

# Probabilities that sum to 1 as closely as this are made to do so.
_ROUNDING = 1e-9


@dataclass(frozen=True, init=False, eq=False, repr=False)
class Distribution:
    """A distribution of returns on N scenarios.

    Parameters
    ----------
    scenarios : (N, n) DataFrame or array
        Returns by scenario and asset, per-period decimals.
    probabilities : Series, mapping or (N,) array, optional
        By scenario, nonnegative, summing to 1; equal by default.

    Attributes
    ----------
    labels : tuple
        The assets.
    R, p : (N, n) and (N,) arrays
        The numbers, read-only; ``scenarios`` and ``probabilities`` are the same with labels.

    Raises
    ------
    InputError
        Returns that are missing or not finite, probabilities that are none.

    Examples
    --------
    >>> from rrp_pyomo.uncertainty import Distribution
    >>> returns = [[0.04, 0.01], [-0.06, 0.02], [0.03, 0.0], [0.05, -0.01]]
    >>> distribution = Distribution(returns, [0.3, 0.1, 0.3, 0.3])
    >>> distribution.mean().round(4).tolist()
    [0.03, 0.002]
    >>> round(distribution.cvar([0.5, 0.5], 0.2), 4)
    0.0025
    """

    R: FloatArray
    p: FloatArray
    labels: Labels
    index: pd.Index

    def __init__(self, scenarios: Matrix, probabilities: Any = None) -> None:
        R = as_floats(scenarios, "scenarios", 2)
        rows = labels_of(scenarios)
        index = pd.RangeIndex(len(R), name="scenario") if rows is None else pd.Index(list(rows))
        if len(R) == 0:
            raise InputError(f"scenarios have shape {R.shape}; expected at least one row")
        labels = agreed_labels("asset", R.shape[1], scenarios=labels_of(scenarios, 1))
        require_finite(R, "the return", index, labels)
        p = checked_probabilities(probabilities, index)
        vars(self).update(R=frozen(R), p=frozen(p), labels=labels, index=index)

    @cached_property
    def scenarios(self) -> pd.DataFrame:
        """Returns by scenario and asset."""
        return pd.DataFrame(self.R, index=self.index, columns=index_of(self.labels))

    @cached_property
    def probabilities(self) -> pd.Series:
        """By scenario."""
        return pd.Series(self.p, index=self.index, name="probability")

    def __repr__(self) -> str:
        return f"Distribution({len(self.R)} scenarios of {len(self.labels)} assets)"

    def mean(self) -> pd.Series:
        """E[R]."""
        return pd.Series(self.p @ self.R, index=index_of(self.labels), name="mean")

    def covariance(self) -> DenseCovariance:
        """E[(R − ER)(R − ER)'].

        Raises
        ------
        InputError
            A return that is the same in all scenarios: it has no variance.
        """
        return DenseCovariance(covariance_of(self.R, self.p), self.labels)

    def losses(self, w: Any) -> pd.Series:
        """−w'R by scenario."""
        x = by_label(w, self.labels, "weights")
        return pd.Series(-(self.R @ x), index=self.index, name="loss")

    def expectation(self, function: Callable[[pd.DataFrame], Any]) -> Any:
        """E[f(R)] for a function of the table of scenarios, a value for each row."""
        return self.p @ np.asarray(function(self.scenarios))

    def expected_loss(self, w: Any) -> float:
        """E[−w'R]."""
        return float(self.p @ self.losses(w).to_numpy())

    def cvar(self, w: Any, alpha: float) -> float:
        """CVaR_α(−w'R), the mean of the worst α of the losses.

        Raises
        ------
        InputError
            α that is no tail probability.
        """
        losses = self.losses(w).to_numpy()
        return float(tail(losses, self.p, checked_alpha(alpha)) @ losses)

    def quantile(self, w: Any, alpha: float) -> float:
        """VaR_α: the loss that is exceeded with a probability of at most α."""
        losses = self.losses(w).to_numpy()
        return float(losses[tail(losses, self.p, checked_alpha(alpha)) > 0.0].min())

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers: the probability and the returns by asset of each scenario."""
        columns = [str(label) for label in self.labels]
        return {
            "probabilities": self.p.tolist(),
            "returns": dict(zip(columns, self.R.T.tolist(), strict=True)),
        }


def checked_probabilities(given: Any, index: pd.Index) -> FloatArray:
    """Probabilities by scenario as an array; equal ones where none are given."""
    N = len(index)
    if given is None:
        return np.full(N, 1.0 / N)
    if isinstance(given, pd.Series) and not given.index.equals(index):
        given = by_label(given, tuple(index), "probabilities")
    p = as_floats(given, "probabilities", 1)
    if p.shape != (N,) or not np.isfinite(p).all() or p.min() < 0.0:
        raise InputError(
            f"the probabilities of {N} scenarios have shape {p.shape} and the smallest is "
            f"{p.min(initial=np.inf):.6g}; expected {N} numbers of at least 0"
        )
    if abs(p.sum() - 1.0) > _ROUNDING:
        raise InputError(
            f"the probabilities sum to {p.sum():.9g}; expected 1: divide them by their sum"
        )
    return np.asarray(p / p.sum())


def checked_alpha(alpha: object) -> float:
    """A tail probability, 0 < α ≤ 1."""
    number = as_number(alpha, "alpha", least=0.0, most=1.0)
    if number == 0.0:
        raise InputError(
            f"alpha is {alpha!r}; expected the tail probability, 0 < alpha <= 1: 0.05 is the worst "
            "5 %"
        )
    return number


def tail(losses: FloatArray, p: FloatArray, alpha: float) -> FloatArray:
    """q ≤ p/α of sum 1 on the largest losses: CVaR_α = q'ℓ; the atom at the quantile is split."""
    order = np.argsort(-losses, kind="stable")
    held = np.minimum(np.cumsum(p[order]), alpha)
    q = np.empty_like(p)
    q[order] = np.diff(held, prepend=0.0) / alpha
    return np.asarray(q / q.sum())


def covariance_of(R: FloatArray, p: FloatArray) -> FloatArray:
    """E[(R − ER)(R − ER)'], shape (n, n)."""
    root = np.sqrt(p)[:, None] * (R - p @ R)
    return np.asarray(root.T @ root)
