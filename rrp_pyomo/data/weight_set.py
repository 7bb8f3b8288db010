"""The set X of admissible weights."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse as sp

from rrp_pyomo.data.resolved_weight_set import ResolvedWeightSet, require_nonempty
from rrp_pyomo.data.validation import (
    Labels,
    Vector,
    as_floats,
    as_number,
    by_label,
    placed,
    require_finite,
    unique_labels,
)
from rrp_pyomo.errors import InputError, brief, require_kind
from rrp_pyomo.linalg import FloatArray

Bounds = float | Mapping[Any, float] | pd.Series | None
Signs = Mapping[Any, float] | Vector | None


class Group(NamedTuple):
    """``lower ≤ Σ_{i in members} x_i ≤ upper``: bounds on the total weight of some assets.

    Parameters
    ----------
    members : iterable of labels
    lower, upper : float, optional

    Examples
    --------
    >>> from rrp_pyomo import WeightSet
    >>> from rrp_pyomo.data import Group
    >>> X = WeightSet(groups={"energy": Group(["XOM", "CVX"], upper=0.3)})
    >>> X.resolve(["XOM", "CVX", "IBM"]).matrix.toarray().tolist()
    [[1.0, 1.0, 0.0]]
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
        a_i by asset label, zero for the others.
    lower, upper : float, optional

    Examples
    --------
    At most 0.02 of carbon per unit of wealth:

    >>> from rrp_pyomo import DenseCovariance, RiskBudgeting, WeightSet
    >>> from rrp_pyomo.data import LinearRow
    >>> carbon = LinearRow("carbon", {"XOM": 0.06, "IBM": 0.01}, upper=0.02)
    >>> covariance = DenseCovariance([[0.04, 0.0], [0.0, 0.02]], ["XOM", "IBM"])
    >>> problem = RiskBudgeting(covariance, weight_set=WeightSet(rows=[carbon]))
    >>> problem.solve().weights.round(3).to_dict()
    {'XOM': 0.2, 'IBM': 0.8}
    """

    name: str
    coefficients: Mapping[Any, float] | pd.Series
    lower: float | None = None
    upper: float | None = None


@dataclass(frozen=True, eq=False)
class WeightSet:
    """Which weights are admissible; independent of the assets until :meth:`resolve` names them.

    Parameters
    ----------
    fully_invested : bool, optional
        1'x = 1; so by default where no ``gross`` is given.
    long_only : bool, optional
        x ≥ 0; so by default where no ``signs`` are given.
    lower, upper : float, mapping or Series, optional
        Bounds on the weights: one number for all, or by asset label (the others stay free).
    groups : mapping of str to Group, optional
        Bounds on the total weight of some assets; a tuple ``(members, lower, upper)`` will do.
    rows : sequence of LinearRow, optional
        Further linear rows.
    signs : mapping, Series or array, optional
        s_i = 1 for each asset that is held long, x_i ≥ 0, and −1 for each that is held short,
        x_i ≤ 0; one for every asset, in the assets' order where it is an array. In such an orthant
        risk parity is a convex problem with one solution, as it is for x ≥ 0.
    gross : float, optional
        Σ_i |x_i| = s'x = gross, for weights of given signs: how much is held, long and short.
        Without it 1'x = 1, which a long–short risk parity portfolio may need much of, or cannot
        have; with ``fully_invested=True`` both hold.

    Examples
    --------
    >>> from rrp_pyomo import WeightSet
    >>> from rrp_pyomo.data import Group
    >>> energy = Group(["XOM", "CVX"], upper=0.3)
    >>> X = WeightSet(upper=0.5, groups={"energy": energy}).resolve(["XOM", "CVX", "IBM", "KO"])
    >>> X.row_names, X.upper.tolist()
    (('energy',), [0.5, 0.5, 0.5, 0.5])

    Two assets long and two short, as much of them as one's wealth:

    >>> X = WeightSet(signs={"XOM": 1, "CVX": -1, "IBM": 1, "KO": -1}, gross=1.0)
    >>> X.resolve(["XOM", "CVX", "IBM", "KO"]).signs.tolist()
    [1.0, -1.0, 1.0, -1.0]
    """

    fully_invested: bool | None = None
    long_only: bool | None = None
    lower: Bounds = None
    upper: Bounds = None
    groups: Mapping[str, Group | tuple[Any, ...]] | None = None
    rows: Sequence[LinearRow] | None = None
    signs: Signs = None
    gross: float | None = None

    def resolve(self, labels: Iterable[Hashable]) -> ResolvedWeightSet:
        """The set in numbers for these assets.

        Raises
        ------
        UnknownLabelError
            A bound, sign, group or row names an asset that is not among ``labels``.
        InputError
            Bounds, signs, groups or rows that are not numbers, bound nothing or contradict each
            other: a set that is returned is not empty.
        """
        labels = unique_labels(labels, "asset")
        if all(getattr(self, part.name) is None for part in fields(self)):
            return _simplex(labels)
        gross = None if self.gross is None else _gross(self.gross)
        fully_invested = gross is None if self.fully_invested is None else self.fully_invested
        lower, upper, signs = self._bounds(labels)
        if gross is not None and signs is None:
            raise InputError(
                f"gross={gross:g} needs to know which assets are held short; give signs={{asset: "
                "1 or -1}, or bounds that leave each asset one sign"
            )
        long_only = signs is not None and bool((signs > 0).all())
        most = gross or (1.0 if long_only and fully_invested else np.inf)
        lower[lower <= -most], upper[upper >= most] = -np.inf, np.inf
        rows = _rows(self.groups, self.rows)
        names = unique_labels([row.name for row in rows], "group or row")
        row_lower = _row_bounds(rows, "lower", -np.inf)
        row_upper = _row_bounds(rows, "upper", np.inf)
        _require_order(row_lower, row_upper, names, "row")
        bounded = (np.isfinite(lower) & (lower != 0)) | (np.isfinite(upper) & (upper != 0))
        resolved = ResolvedWeightSet(
            labels=labels,
            lower=lower,
            upper=upper,
            matrix=_matrix(rows, labels) if rows else None,
            row_lower=row_lower,
            row_upper=row_upper,
            row_names=tuple(map(str, names)),
            fully_invested=fully_invested,
            signs=signs,
            gross=gross,
            is_orthant=signs is not None
            and fully_invested == (gross is None)
            and not rows
            and not (bounded | (lower == upper)).any(),
        )
        if not resolved.is_simplex:
            require_nonempty(resolved)
        return resolved

    def _bounds(self, labels: Labels) -> tuple[FloatArray, FloatArray, FloatArray | None]:
        """Lower and upper bounds, the zeros of x ≥ 0 and of the signs among them; the signs."""
        lower = _bounds(self.lower, labels, -np.inf, "lower")
        upper = _bounds(self.upper, labels, np.inf, "upper")
        _require_order(lower, upper, labels, "asset")
        if self.signs is None:
            if self.long_only is None or self.long_only:
                _refuse_negative(lower, labels)
                lower = np.maximum(lower, 0.0)
                _require_order(lower, upper, labels, "asset")
            return lower, upper, _signs_of(lower, upper)
        signs = resolve_signs(self.signs, labels)
        if self.long_only and (signs < 0).any():
            i = int(signs.argmin())
            raise InputError(
                f"the sign of {str(labels[i])!r} is -1 in a long-only set; leave long_only out, "
                "signs say which assets are held long"
            )
        opposed = np.where(signs > 0, upper, -lower) < 0
        if opposed.any():
            i = int(opposed.argmax())
            raise InputError(
                f"the sign of {str(labels[i])!r} is {signs[i]:+g}, but its bounds are "
                f"{lower[i]:.6g} and {upper[i]:.6g}; expected bounds that leave that sign"
            )
        lower = np.where(signs > 0, np.maximum(lower, 0.0), lower)
        return lower, np.where(signs < 0, np.minimum(upper, 0.0), upper), signs


def resolved_weight_set(
    weight_set: WeightSet | None, labels: Iterable[Hashable]
) -> ResolvedWeightSet:
    """A problem's weight set in numbers for its assets; without one, weights x ≥ 0 with 1'x = 1."""
    if weight_set is None:
        return WeightSet().resolve(labels)
    require_kind(weight_set, WeightSet, "weight_set", "such as WeightSet(upper=0.1)")
    return weight_set.resolve(labels)


def _simplex(labels: Labels) -> ResolvedWeightSet:
    """The set without bounds, groups and rows: the common case, without the checks."""
    n = len(labels)
    lower, upper, none = np.zeros(n), np.full(n, np.inf), np.zeros(0)
    return ResolvedWeightSet(
        labels, lower, upper, None, none, none, (), True, np.ones(n), None, True
    )


def resolve_signs(given: Mapping[Any, float] | Vector, labels: Labels) -> FloatArray:
    """1 or −1 for each asset, (n,).

    Raises
    ------
    InputError
        Signs that are neither, that are missing or of unknown assets.
    """
    signs = by_label(given, labels, "signs")
    other = abs(signs) != 1.0
    if other.any():
        i = int(other.argmax())
        raise InputError(
            f"the sign of {str(labels[i])!r} is {signs[i]:.6g}; expected 1 for an asset held long "
            "or -1 for one held short: np.sign(weights) has them where no weight is 0"
        )
    return signs


def _signs_of(lower: FloatArray, upper: FloatArray) -> FloatArray | None:
    """The signs that bounds leave, where they leave one for each asset."""
    if not ((lower >= 0) | (upper <= 0)).all():
        return None
    return np.where(lower >= 0, 1.0, -1.0)


def _gross(given: float) -> float:
    gross = as_number(given, "gross")
    if gross <= 0:
        raise InputError(f"gross is {gross:.6g}; expected a positive number, such as 1.0")
    return gross


def _bounds(given: Bounds, labels: Labels, default: float, name: str) -> FloatArray:
    """A bound for each asset; those that are not named have the default."""
    if given is None:
        return np.full(len(labels), default)
    if not isinstance(given, Mapping | pd.Series):
        what = f"{name} (one number, or a mapping or Series by asset)"
        return np.full(len(labels), as_floats(given, what, 0))
    bounds = np.full(len(labels), default)
    place, values = placed(given, labels, f"{name} bounds")
    bounds[place] = values
    return bounds


def _rows(
    groups: Mapping[str, Group | tuple[Any, ...]] | None, rows: Sequence[LinearRow] | None
) -> list[LinearRow]:
    """Groups as rows of ones, then the rows."""
    if groups is not None:
        require_kind(groups, Mapping, "groups", "such as {'energy': Group(['XOM'], upper=0.3)}")
    if isinstance(rows, LinearRow | Iterator) or not np.iterable(() if rows is None else rows):
        raise InputError(f"rows are {brief(rows)}; expected a list of them: [LinearRow(...)]")
    totals = []
    for name, group in (groups or {}).items():
        if not (isinstance(group, tuple) and len(group) in (2, 3)):
            raise InputError(
                f"group {name!r} is {brief(group)}; expected Group(members, lower, upper)"
            )
        members, *bounds = group
        if isinstance(members, str | bytes | Iterator):  # letter by letter, or only once
            raise InputError(
                f"members of group {name!r} are {brief(members)}; expected a list of assets, "
                "such as ['XOM', 'CVX']"
            )
        members = unique_labels(members, f"group {name!r}: asset")
        totals.append(LinearRow(name, dict.fromkeys(members, 1.0), *bounds))
    for row in () if rows is None else rows:
        if not (isinstance(row, tuple | list) and 2 <= len(row) <= 4):
            raise InputError(
                f"row {brief(row)} is no row; expected LinearRow(name, coefficients, lower, upper)"
            )
        totals.append(LinearRow(*row))
    return totals


def _row_bounds(rows: list[LinearRow], side: str, default: float) -> FloatArray:
    given = [(row.name, getattr(row, side)) for row in rows]
    return np.array(
        [
            default if bound is None else as_number(bound, f"{side} of {name!r}", finite=False)
            for name, bound in given
        ]
    )


def _matrix(rows: list[LinearRow], labels: Labels) -> sp.csr_matrix:
    parts = []
    for row in rows:
        coefficients = row.coefficients
        if isinstance(coefficients, pd.Series) and coefficients.dtype == bool:  # a mask by asset
            coefficients = coefficients.astype(float)
        place, values = placed(coefficients, labels, f"coefficients of {row.name!r}")
        require_finite(values, f"coefficient in {row.name!r}", coefficients.keys())
        if not values.any() or (row.lower is None and row.upper is None):
            raise InputError(
                f"row {row.name!r} bounds nothing; give it assets and a lower or an upper bound"
            )
        parts.append((place, values))
    starts = np.cumsum([0, *(len(place) for place, _ in parts)])
    columns, entries = (np.concatenate(part) for part in zip(*parts, strict=True))
    return sp.csr_matrix((entries, columns, starts), shape=(len(rows), len(labels)))


def _refuse_negative(lower: FloatArray, labels: Labels) -> None:
    negative = (lower < 0) & (lower > -np.inf)
    if negative.any():
        i = int(negative.argmax())
        raise InputError(
            f"lower bound of {str(labels[i])!r} is {lower[i]:.6g} in a long-only set; use "
            "WeightSet(signs={asset: 1 or -1}) or long_only=False for short positions, or leave "
            "the bound out"
        )


def _require_order(lower: FloatArray, upper: FloatArray, labels: Labels, kind: str) -> None:
    """Lower bounds must not exceed upper bounds; NaN and bounds that nothing can meet do not."""
    ordered = (lower <= upper) & (lower < np.inf) & (upper > -np.inf)
    if not ordered.all():
        i = int(ordered.argmin())
        raise InputError(
            f"bounds of {kind} {str(labels[i])!r} contradict: lower {lower[i]:.6g}, upper "
            f"{upper[i]:.6g}; expected numbers with lower ≤ upper"
        )
