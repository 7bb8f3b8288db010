"""Checks that several data objects share; every message names the thing, the value, the remedy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from functools import lru_cache
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from rrp_pyomo.errors import InputError, UnknownLabelError
from rrp_pyomo.linalg import FloatArray

Labels = tuple[Hashable, ...]
Vector = pd.Series | ArrayLike
Matrix = pd.DataFrame | ArrayLike


def unique_labels(labels: Iterable[Hashable], kind: str) -> Labels:
    """The labels as a tuple; a repeated one is an error."""
    labels = _listed(labels)
    if len(set(labels)) < len(labels):
        label, count = Counter(labels).most_common(1)[0]
        raise InputError(
            f"{kind} label {str(label)!r} occurs {count} times; labels must be unique: "
            "rename or drop the repetitions"
        )
    return labels


def agreed_labels(kind: str, size: int, **sources: Iterable[Hashable] | None) -> Labels:
    """The labels on which all sources agree; 0 … size − 1 where no source has any."""
    if size == 0:
        raise InputError(f"there are no {kind}s; at least one is needed")
    given = [(name, _listed(labels)) for name, labels in sources.items() if labels is not None]
    if not given:
        return tuple(range(size))
    first, labels = given[0][0], unique_labels(given[0][1], kind)
    if len(labels) != size:
        raise InputError(f"{first} holds {len(labels)} {kind}s where {size} are expected")
    for name, others in given[1:]:
        if others == labels:
            continue
        if len(others) != size:
            raise InputError(f"{name} holds {len(others)} {kind}s where {first} holds {size}")
        k = next(k for k in range(size) if others[k] != labels[k])
        raise InputError(
            f"{kind} {k + 1} is {str(labels[k])!r} in {first} but {str(others[k])!r} in {name}; "
            f"reindex one of them so that the {kind}s are the same, in the same order"
        )
    return labels


def labels_of(values: object, axis: int = 0) -> Iterable[Hashable] | None:
    """The labels that a pandas object has along an axis; None for anything else."""
    return values.axes[axis] if isinstance(values, pd.DataFrame | pd.Series) else None


def as_floats(values: Vector | Matrix, name: str, ndim: int) -> FloatArray:
    """The values as a float array of ``ndim`` dimensions, not copied where that can be avoided."""
    try:
        if isinstance(values, pd.DataFrame | pd.Series):
            array = values.to_numpy()  # np.asarray takes ten times as long
        else:
            array = np.asarray(values)
        if array.dtype.kind not in "fiubO":  # numpy would take dates for numbers
            raise TypeError(f"found {array.dtype}")
        array = np.asarray(array, dtype=np.float64)
    except (TypeError, ValueError) as error:
        where = _first_other(values) if isinstance(values, pd.DataFrame) else str(error)
        raise InputError(f"{name} must hold numbers only: {where}") from None
    if array.ndim != ndim:
        raise InputError(f"{name} has shape {array.shape}; {ndim} dimension(s) are expected")
    return array


def frozen(array: FloatArray) -> FloatArray:
    """A read-only array that nobody else can write to; copied unless it is one already."""
    if array.flags.writeable or array.base is not None:
        array = array.copy()
        array.flags.writeable = False
    return array


def shown(label: object) -> str:
    """A label as messages show it; dates without their midnight."""
    return repr(str(label).removesuffix(" 00:00:00"))


def require_finite(
    array: FloatArray, name: str, rows: Iterable[Any], columns: Iterable[Any] | None = None
) -> None:
    """Raise where an entry is NaN or infinite, naming its row (and column)."""
    if np.isfinite(array).all():
        return
    place = tuple(np.argwhere(~np.isfinite(array))[0])
    where = shown(tuple(rows)[place[0]])
    if columns is not None:
        where = f"{shown(tuple(columns)[place[1]])} at {where}"
    raise InputError(
        f"{name} of {where} is {array[place]}; finite numbers are expected: fill it in, or drop "
        "its row or column"
    )


def require_shape(array: FloatArray, shape: tuple[int, ...], name: str, reason: str) -> None:
    """Raise where the array has another shape."""
    if array.shape != shape:
        raise InputError(f"{name} has shape {array.shape}; {reason} need {shape}")


def require_nonnegative(value: float, name: str) -> float:
    """The value as a float; negative, infinite and NaN are errors."""
    if not (isinstance(value, Real) and np.isfinite(value) and value >= 0):
        raise InputError(f"{name} is {value!r}; expected a finite number of at least 0")
    return float(value)


def positions(given: Iterable[Hashable], labels: Labels) -> list[int]:
    """Where assets stand among the labels; an unknown or repeated one is an error."""
    place = {label: i for i, label in enumerate(labels)}
    try:
        return [place[label] for label in unique_labels(given, "asset")]
    except KeyError as error:
        raise UnknownLabelError("asset", error.args[0], labels) from None


def placed(
    values: Mapping[Any, float] | pd.Series, labels: Labels, name: str
) -> tuple[list[int], FloatArray]:
    """What a Series or mapping holds: the positions among the labels, and the numbers there."""
    if isinstance(values, Mapping):
        return positions(values, labels), as_floats(list(values.values()), name, 1)
    if isinstance(values, pd.Series):
        return positions(values.index, labels), as_floats(values, name, 1)
    raise InputError(f"{name} are a {type(values).__name__}; expected a mapping or Series by asset")


def by_label(values: Mapping[Any, float] | Vector, labels: Labels, name: str) -> FloatArray:
    """One finite number per asset: a Series or mapping by label, an array in label order."""
    if isinstance(values, Mapping | pd.Series):
        place, numbers = placed(values, labels, name)
        if missing := len(labels) - len(place):
            absent = next(i for i in range(len(labels)) if i not in set(place))
            raise InputError(
                f"{name} lack {missing} of {len(labels)} assets, such as {str(labels[absent])!r}; "
                "give one number for each asset"
            )
        array = np.empty(len(labels))
        array[place] = numbers
    else:
        array = as_floats(values, name, 1)
    require_shape(array, (len(labels),), name, f"{len(labels)} assets")
    require_finite(array, name, labels)
    return array


def require_dates(frame: pd.DataFrame, name: str) -> None:
    """Raise where columns are repeated, or dates repeated or unsorted."""
    if not frame.columns.is_unique:
        unique_labels(frame.columns, f"{name}: column")
    index = frame.index
    if not index.is_unique:
        raise InputError(
            f"{name} have several rows for {shown(index[index.duplicated()][0])}; keep one row "
            "per date"
        )
    if not index.is_monotonic_increasing:
        k = next(k for k in range(1, len(index)) if not index[k - 1] < index[k])
        raise InputError(
            f"{name} are not sorted by date: {shown(index[k])} comes after {shown(index[k - 1])}; "
            "use sort_index()"
        )


def require_same_dates(left: pd.Index, right: pd.Index, left_name: str, right_name: str) -> None:
    """Raise where two sorted indices differ, naming the first date that only one of them has."""
    if left is right or left.equals(right):
        return
    differing = left.symmetric_difference(right)
    first, count = differing[0], len(differing)
    has, lacks = (left_name, right_name) if first in left else (right_name, left_name)
    raise InputError(
        f"{left_name} and {right_name} differ in {count} date(s): {has} have {shown(first)}, "
        f"{lacks} have not; select what both have: index.intersection(other.index)"
    )


def _listed(labels: Iterable[Hashable]) -> Labels:
    return tuple(labels.tolist() if isinstance(labels, pd.Index) else labels)


def _first_other(frame: pd.DataFrame) -> str:
    """Where a frame holds something that is not a number."""
    for label, column in frame.items():
        if column.dtype.kind in "mMc":
            return f"{shown(label)} holds {column.dtype}"
        bad = pd.to_numeric(column, errors="coerce").isna()
        if bad.any():
            return f"{shown(label)} at {shown(bad.idxmax())} is {column[bad].iloc[0]!r}"
    return f"found {frame.to_numpy().dtype}"


@lru_cache(maxsize=64)
def index_of(labels: Labels) -> pd.Index:
    """Labels as pandas has them; finding out their type takes longer than anything done with it."""
    return pd.Index(list(labels))
