"""Checks that several data objects share; every message names the thing, the value, the remedy.

An argument is checked once, where it enters: a number by :func:`as_number`, an array or anything
that holds numbers by :func:`as_floats`, a table by :func:`require_dates`, labels by
:func:`unique_labels`, an object of a class by :func:`rrp_pyomo.errors.require_kind`.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from decimal import Decimal
from functools import lru_cache
from numbers import Real
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from rrp_pyomo.errors import InputError, UnknownLabelError, brief, require_kind
from rrp_pyomo.linalg import FloatArray

_LONG = 10**18

Labels = tuple[Hashable, ...]
Vector = pd.Series | ArrayLike
Matrix = pd.DataFrame | ArrayLike


def unique_labels(labels: Iterable[Hashable], kind: str) -> Labels:
    """The labels as a tuple: hashable, none missing, none repeated, no two that read the same.

    Tables, files and figures know an asset by the text of its label: 1 and "1" would be one.
    """
    labels = _listed(labels, kind)
    try:
        distinct = len(set(labels))
    except TypeError:
        label = next(label for label in labels if not _is_hashable(label))
        raise InputError(
            f"{kind} label {brief(label)} is a {type(label).__name__}, which cannot be a label; "
            "expected text, numbers, dates or tuples of them"
        ) from None
    if distinct < len(labels):
        label, count = Counter(labels).most_common(1)[0]
        raise InputError(
            f"{kind} label {str(label)!r} occurs {count} times; labels must be unique: "
            "rename or drop the repetitions"
        )
    # The common cases; numbers that are larger may be too long to be written.
    kinds, numbers = set(map(type, labels)), cast("tuple[int, ...]", labels)
    if kinds <= {str} or (kinds == {int} and -_LONG < min(numbers) and max(numbers) < _LONG):
        return labels
    if any(map(_is_missing, labels)):
        k = next(k for k, label in enumerate(labels) if _is_missing(label))
        raise InputError(f"{kind} label {k + 1} is missing ({labels[k]}); name it or leave it out")
    try:
        text, count = Counter(map(str, labels)).most_common(1)[0]
    except ValueError as error:
        raise InputError(f"a {kind} label cannot be written: {error}; use shorter ones") from None
    if count > 1:
        alike = ", ".join(repr(label) for label in labels if str(label) == text)
        raise InputError(
            f"{kind} labels {alike} read the same in tables and files; rename all but one"
        )
    return labels


def agreed_labels(kind: str, size: int, **sources: Iterable[Hashable] | None) -> Labels:
    """The labels on which all sources agree; 0 … size − 1 where no source has any."""
    if size == 0:
        raise InputError(f"there are no {kind}s; at least one is needed")
    for name, labels in sources.items():
        if isinstance(labels, set | frozenset):
            raise InputError(f"{name} is a set, which has no order; give a list of the {kind}s")
    given = [
        (name, _listed(labels, kind)) for name, labels in sources.items() if labels is not None
    ]
    if not given:
        return tuple(range(size))
    first, labels = given[0][0], unique_labels(given[0][1], kind)
    if len(labels) != size:
        raise InputError(
            f"{first} holds {len(labels)} {kind}s where {size} are expected; give one for each"
        )
    for name, others in given[1:]:
        if others == labels:
            continue
        if len(others) != size:
            raise InputError(
                f"{name} holds {len(others)} {kind}s where {first} holds {size}; give both the "
                f"same {kind}s, such as with reindex or .loc"
            )
        k = next(k for k in range(size) if others[k] != labels[k])
        raise InputError(
            f"{kind} {k + 1} is {str(labels[k])!r} in {first} but {str(others[k])!r} in {name}; "
            f"reindex one of them so that the {kind}s are the same, in the same order"
        )
    return labels


def labels_of(values: object, axis: int = 0) -> Iterable[Hashable] | None:
    """The labels that a pandas object has along an axis; None for anything else."""
    return values.axes[axis] if isinstance(values, pd.DataFrame | pd.Series) else None


def as_floats(
    values: Vector | Matrix, name: str, ndim: int, labels: Labels | None = None
) -> FloatArray:
    """The values as a float array of ``ndim`` dimensions, not copied where that can be avoided.

    Messages name entries by their labels, which pandas' objects bring along.

    Real numbers of any kind will do (numpy's, Fraction, Decimal); None and pandas' NA are NaN.

    Raises
    ------
    InputError
        Text, booleans, dates, complex numbers and objects, which numpy would take or let pass;
        integers that no float can hold; another number of dimensions.
    """
    array = _as_array(values, name)
    if array.dtype.kind not in "fiu":
        array = _numbers(array, values, name, labels)
    array = np.asarray(array, dtype=np.float64)
    if array.ndim != ndim:
        raise InputError(f"{name} has shape {array.shape}; {ndim} dimension(s) are expected")
    return array


def as_number(
    value: object,
    name: str,
    least: float = -np.inf,
    finite: bool = True,
    most: float = np.inf,
) -> float:
    """A real number of any kind as a float.

    Raises
    ------
    InputError
        Something else than a number, NaN, a number below ``least`` or above ``most``, or an
        infinite one where a finite one is expected.
    """
    number = np.nan
    with contextlib.suppress(InputError):
        number = float(as_floats(value, name, 0))  # type: ignore[arg-type]
    if least <= number <= most and (not finite or abs(number) < np.inf):
        return number
    expected = "a finite number" if finite else "a number"
    expected += f" of at least {least:g}" if least > -np.inf else ""
    expected += f" and at most {most:g}" if most < np.inf else ""
    raise InputError(f"{name} is {brief(value)}; expected {expected}")


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


def positions(given: Iterable[Hashable], labels: Labels) -> list[int]:
    """Where assets stand among the labels; an unknown or repeated one is an error."""
    place = {label: i for i, label in enumerate(labels)}
    try:
        return [place[label] for label in unique_labels(given, "asset")]
    except KeyError as error:
        raise UnknownLabelError("asset", error.args[0], labels) from None


def selection(given: Iterable[Hashable], labels: Labels) -> tuple[list[int], Labels]:
    """Some of the assets in the order in which they are given: their positions and labels.

    Raises
    ------
    UnknownLabelError
        One is not among the labels; the message suggests the nearest.
    InputError
        None is given, one is repeated, or it is a text instead of a list.
    """
    if isinstance(given, str):
        raise InputError(f"the selection is {brief(given)}; expected a list of assets")
    at = positions(given, labels)
    if not at:
        raise InputError(f"the selection is {brief(given)}; expected a list of at least one asset")
    return at, tuple(labels[i] for i in at)


def placed(
    values: Mapping[Any, float] | pd.Series, labels: Labels, name: str
) -> tuple[list[int], FloatArray]:
    """What a Series or mapping holds: the positions among the labels, and the numbers there."""
    if isinstance(values, Mapping):
        return positions(values, labels), as_floats(list(values.values()), name, 1, tuple(values))
    if not isinstance(values, pd.Series):
        raise InputError(
            f"{name} are a {type(values).__name__}; expected a mapping or Series by asset"
        )
    return positions(values.index, labels), as_floats(values, name, 1)


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


def nonnegative(given: Any, labels: Labels, name: str) -> FloatArray:
    """A number of at least 0 for each asset; one number stands for all."""
    if isinstance(given, Mapping | pd.Series) or np.ndim(given) > 0:
        array = by_label(given, labels, name)
    else:
        array = np.full(len(labels), as_number(given, name))
    if array.min() < 0.0:
        i = int(array.argmin())
        raise InputError(f"{name} of {str(labels[i])!r} is {array[i]:.6g}; expected at least 0")
    return frozen(array)


def require_dates(frame: pd.DataFrame, name: str) -> None:
    """Raise unless this is a table with columns that are labels, and dates in increasing order."""
    require_kind(
        frame,
        pd.DataFrame,
        name,
        "by date and column, such as read_returns(path) or pd.DataFrame(values, dates, columns)",
    )
    unique_labels(frame.columns, f"{name}: column")
    index = frame.index
    if not isinstance(index, pd.MultiIndex) and index.hasnans:
        raise InputError(
            f"{name} have no date in row {int(index.isna().argmax()) + 1}; give it one, or drop "
            "the row"
        )
    if not index.is_unique:
        raise InputError(
            f"{name} have several rows for {shown(index[index.duplicated()][0])}; keep one row "
            "per date"
        )
    if not index.is_monotonic_increasing:
        try:
            k = next(k for k in range(1, len(index)) if not index[k - 1] < index[k])
        except TypeError:
            kinds = ", ".join(sorted({type(date).__name__ for date in index}))
            raise InputError(
                f"{name} have dates of several kinds ({kinds}, or with and without time zones); "
                "make them of one kind, such as with pd.to_datetime(index, utc=True)"
            ) from None
        raise InputError(
            f"{name} are not sorted by date: {shown(index[k])} comes after {shown(index[k - 1])}; "
            "use sort_index()"
        )


def require_same_dates(left: pd.Index, right: pd.Index, left_name: str, right_name: str) -> None:
    """Raise where two sorted indices differ, naming the first date that only one of them has."""
    if left is right or left.equals(right):
        return
    kinds = [(f"{i.inferred_type} {getattr(i, 'tz', None) or ''}").strip() for i in (left, right)]
    if kinds[0] != kinds[1]:
        raise InputError(
            f"{left_name} have dates of kind {kinds[0]} and {right_name} of kind {kinds[1]}; make "
            "them of one kind, such as with pd.to_datetime(index)"
        )
    differing = left.symmetric_difference(right)
    if differing.empty:  # both sorted and without repetitions: the same dates
        return
    first, count = differing[0], len(differing)
    has, lacks = (left_name, right_name) if first in left else (right_name, left_name)
    raise InputError(
        f"{left_name} and {right_name} differ in {count} date(s): {has} have {shown(first)}, "
        f"{lacks} have not; select what both have: index.intersection(other.index)"
    )


@lru_cache(maxsize=64)
def index_of(labels: Labels, name: str | None = None) -> pd.Index:
    """Labels as pandas has them; finding out their type takes longer than anything done with it.

    Tuples of one length are a MultiIndex, as pandas has it, unless the index has a name; others,
    which pandas would fill up with NaN, and tuples beside other labels are labels as they are.
    """
    sizes = {len(label) if isinstance(label, tuple) else 0 for label in labels}
    levels = name is None and len(sizes) == 1 and sizes.isdisjoint({0, 1})
    return pd.Index(list(labels), tupleize_cols=levels, name=name)


def _listed(labels: Iterable[Hashable], kind: str) -> Labels:
    if isinstance(labels, pd.Index):
        return tuple(labels.tolist())
    try:
        return tuple(labels)
    except TypeError:
        raise InputError(
            f"{kind} labels are {brief(labels)}; expected a list of labels, such as ['A', 'B']"
        ) from None


def _is_hashable(label: object) -> bool:
    try:
        hash(label)
    except TypeError:
        return False
    return True


def _is_missing(label: Any) -> bool:
    if isinstance(label, str):
        return False
    if isinstance(label, tuple):
        return any(map(_is_missing, label))
    return bool(pd.api.types.is_scalar(label) and pd.isna(label))


def _as_array(values: Any, name: str) -> NDArray[Any]:
    """The values as numpy has them, each kept as it is where their kinds differ."""
    if isinstance(values, pd.DataFrame | pd.Series):
        return values.to_numpy()  # np.asarray takes ten times as long
    if np.ma.isMaskedArray(values):
        values = np.ma.filled(values.astype(object), None)
    try:
        # Of a list numpy would make booleans numbers, and numbers text.
        return np.asarray(values, dtype=object if isinstance(values, list | tuple) else None)
    except Exception:  # of __array__, or of rows that do not fit together
        raise InputError(
            f"{name} must hold numbers only: {brief(values)} is no array of them"
        ) from None


def _numbers(array: NDArray[Any], values: object, name: str, labels: Labels | None) -> FloatArray:
    """An array of objects as floats, or an error that says where there is no number."""
    if array.dtype.kind == "O":
        kinds = {*map(type, array.flat)}
        if all(map(_is_numeric, kinds)):
            with contextlib.suppress(ArithmeticError, TypeError, ValueError):
                if type(pd.NA) in kinds:
                    array = np.where(pd.isna(array), np.nan, array)
                return array.astype(np.float64)
        where = _first_other(array, values, labels)
    else:
        where = f"found {array.dtype}"
    raise InputError(f"{name} must hold numbers only: {where}")


def _is_numeric(kind: type) -> bool:
    """Whether values of this type are real numbers, or missing ones."""
    if issubclass(kind, bool | np.timedelta64):  # which count as integers
        return False
    return issubclass(kind, Real | Decimal) or kind in (type(None), type(pd.NA), np.ndarray)


def _first_other(array: NDArray[Any], values: object, labels: Labels | None) -> str:
    """Where there is something that is not a number."""
    at, value = next((at, v) for at, v in np.ndenumerate(array) if not _is_float(v))
    if isinstance(values, pd.DataFrame):
        row, column = at
        dtype = values.dtypes.iloc[column]
        if dtype.kind in "mMcb":
            return f"{shown(values.columns[column])} holds {dtype}"
        where = f"{shown(values.columns[column])} at {shown(values.index[row])}"
    elif isinstance(values, pd.Series):
        where = shown(values.index[at[0]])
    elif labels is not None:
        where = shown(labels[at[0]])
    else:
        where = f"entry {', '.join(map(str, at))}" if at else "it"
    return f"{where} is {brief(value)}"


def _is_float(value: Any) -> bool:
    if not _is_numeric(type(value)):
        return False
    try:
        return value is None or value is pd.NA or float(value) is not None
    except (ArithmeticError, TypeError, ValueError):
        return False
