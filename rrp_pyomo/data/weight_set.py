"""The set of admissible weights X."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse as sp

from rrp_pyomo.data._validation import Labels, unique_labels
from rrp_pyomo.errors import UnknownLabelError
from rrp_pyomo.linalg import FloatArray

Bounds = float | Mapping[Any, float] | pd.Series | None

# Sums of weights within this of each other are taken as equal.
_TOLERANCE = 1e-9


class Group(NamedTuple):
    """Bounds on the total weight of some assets.

    Parameters
    ----------
    members : iterable of labels
    lower, upper : float, optional
    """

    members: Iterable[Hashable]
    lower: float | None = None
    upper: float | None = None


class LinearRow(NamedTuple):
    """``lower ≤ Σ_i a_i x_i ≤ upper``.

    Parameters
    ----------
    name : str
    coefficients : mapping or Series
        a_i by asset label; zero where left out.
    lower, upper : float, optional
    """

    name: str
    coefficients: Mapping[Any, float] | pd.Series
    lower: float | None = None
    upper: float | None = None


@dataclass(frozen=True, eq=False)
class ResolvedWeightSet:
    """X in numbers, in the order of ``labels``.

        lower ≤ x ≤ upper,   row_lower ≤ matrix x ≤ row_upper,   1'x = 1 when fully invested

    Attributes
    ----------
    labels : tuple
    lower, upper : (n,) arrays
        Infinite where there is no bound; zero of a long-only set is in ``lower``, and an upper
        bound that cannot bind (of 1 or more in a long-only, fully invested set) is infinite.
    matrix : (k, n) csr_matrix or None
    row_lower, row_upper : (k,) arrays
    row_names : tuple of str
        Groups first, then rows.
    fully_invested, long_only : bool
    is_simplex : bool
        Nothing but long-only and fully invested.
    """

    labels: Labels
    lower: FloatArray
    upper: FloatArray
    matrix: sp.csr_matrix | None
    row_lower: FloatArray
    row_upper: FloatArray
    row_names: tuple[str, ...]
    fully_invested: bool
    long_only: bool
    is_simplex: bool


@dataclass(frozen=True, eq=False)
class WeightSet:
    """Which weights are admissible; for any assets until :meth:`resolve` names them.

    Parameters
    ----------
    fully_invested : bool
        1'x = 1.
    long_only : bool
        x ≥ 0.
    lower, upper : float, mapping or Series, optional
        Bounds on each weight: one for all, or by asset label (others stay free).
    groups : mapping of str to Group, optional
        Bounds on the total weight of some assets; a tuple ``(members, lower, upper)`` will do.
    rows : sequence of LinearRow, optional
        Further linear rows.
    """

    fully_invested: bool = True
    long_only: bool = True
    lower: Bounds = None
    upper: Bounds = None
    groups: Mapping[str, Group | tuple[Any, ...]] | None = None
    rows: Sequence[LinearRow] | None = None

    def resolve(self, labels: Iterable[Hashable]) -> ResolvedWeightSet:
        """The set in numbers for these assets.

        Raises
        ------
        UnknownLabelError
            A bound, group or row names an asset that is not among ``labels``.
        InputError
            Bounds, groups or rows that contradict each other.
        """
        labels = unique_labels(labels, "asset")
        lower = _bounds(self.lower, labels, -np.inf, "lower")
        upper = _bounds(self.upper, labels, np.inf, "upper")
        if self.long_only:
            lower = np.maximum(lower, 0.0)
        if self.long_only and self.fully_invested:
            upper = np.where(upper >= 1.0, np.inf, upper)
        rows = _rows(self.groups, self.rows)
        matrix = _matrix(rows, labels) if rows else None
        simplex = (
            self.fully_invested
            and self.long_only
            and not rows
            and not lower.any()
            and bool((upper == np.inf).all())
        )
        return ResolvedWeightSet(
            labels=labels,
            lower=lower,
            upper=upper,
            matrix=matrix,
            row_lower=np.array([-np.inf if r.lower is None else r.lower for r in rows]),
            row_upper=np.array([np.inf if r.upper is None else r.upper for r in rows]),
            row_names=tuple(r.name for r in rows),
            fully_invested=self.fully_invested,
            long_only=self.long_only,
            is_simplex=simplex,
        )


def _bounds(given: Bounds, labels: Labels, default: float, name: str) -> FloatArray:
    if given is None:
        return np.full(len(labels), default)
    if not isinstance(given, Mapping | pd.Series):
        return np.full(len(labels), float(given))
    place = {label: i for i, label in enumerate(labels)}
    bounds = np.full(len(labels), default)
    for label, value in given.items():
        if label not in place:
            raise UnknownLabelError("asset", label, labels)
        bounds[place[label]] = value
    return bounds


def _rows(
    groups: Mapping[str, Group | tuple[Any, ...]] | None, rows: Sequence[LinearRow] | None
) -> list[LinearRow]:
    """Groups as rows of ones, then the rows."""
    totals = [
        LinearRow(name, dict.fromkeys(Group(*group).members, 1.0), *Group(*group)[1:])
        for name, group in (groups or {}).items()
    ]
    return totals + [LinearRow(*row) for row in rows or ()]


def _matrix(rows: list[LinearRow], labels: Labels) -> sp.csr_matrix:
    place = {label: i for i, label in enumerate(labels)}
    i, j, a = [], [], []
    for k, row in enumerate(rows):
        for label, value in row.coefficients.items():
            if label not in place:
                raise UnknownLabelError("asset", label, labels)
            i.append(k)
            j.append(place[label])
            a.append(value)
    return sp.csr_matrix((a, (i, j)), shape=(len(rows), len(labels)))
