"""Index sets: the labels that rows carry, how two of them agree, how data are aligned to one."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rrp_pyomo.errors import InputError, UnknownLabelError

#: Labels in the order of the rows; None for rows that have just a place.
Labels: TypeAlias = tuple[Hashable, ...] | None


def common_rows(
    size: int, labels: Labels, other_size: int, other_labels: Labels
) -> tuple[int, Labels]:
    """The rows of two expressions together: the same labels, or one row that stands for all.

    Rows without labels, such as those of an array, are taken in order.

    Raises
    ------
    InputError
        Numbers of rows or labels that do not go together.
    """
    if size != other_size:
        if size != 1 and other_size != 1:
            raise InputError(
                f"expressions of {size} and {other_size} rows do not go together; expected the "
                "same number, or one"
            )
        return (size, labels) if other_size == 1 else (other_size, other_labels)
    if labels is None:
        return size, other_labels
    if other_labels is None or labels is other_labels or labels == other_labels:
        return size, labels
    raise InputError(
        f"rows of two index sets do not go together, though both have {size}: "
        f"{_few(labels)} and {_few(other_labels)}; "
        + (
            "bring one into the other's order, such as x[list(labels)]"
            if set(labels) == set(other_labels)
            else "pick rows by label, or multiply by a matrix that maps one set to the other"
        )
    )


def rows_together(expressions: Iterable[Any]) -> tuple[int, Labels]:
    """The rows of several expressions together, as :func:`common_rows` has those of two."""
    size, labels = 1, None
    for e in expressions:
        size, labels = common_rows(size, labels, e.size, e.labels)
    return size, labels


def aligned(values: Any, labels: Sequence[Hashable], what: str, axis: int = 0) -> Any:
    """A Series' values, or a DataFrame's with its columns (axis 1), in the order of ``labels``.

    Raises
    ------
    UnknownLabelError
        A label on one side only; the message suggests the nearest of the other side.
    InputError
        A label that is there more than once.
    """
    index = values.axes[axis]
    if len(index) == len(labels) and tuple(index) == tuple(labels):
        return values.to_numpy(dtype=float)
    if not index.is_unique:
        raise InputError(
            f"{what} has the label {index[index.duplicated()][0]!r} more than once; keep one of "
            "its rows or rename the others"
        )
    known = set(labels)
    for label in labels:
        if label not in index:
            raise UnknownLabelError(f"label of {what}; the variables have", label, index)
    for label in index:
        if label not in known:
            raise UnknownLabelError(f"label of the variables; {what} has", label, labels)
    at = index.get_indexer_for(list(labels))
    return np.take(values.to_numpy(dtype=float), at, axis=axis)


def positions(key: Any, size: int, labels: Labels, what: str) -> tuple[NDArray[np.intp], bool]:
    """The places that ``expression[key]`` means, and whether it is a single row.

    A label, a list of labels, a boolean mask, or a slice of places. Rows without labels have their
    places as labels, negative ones from the end.

    Raises
    ------
    UnknownLabelError
        No row has that label.
    InputError
        A mask of another length, or a slice of something else than places.
    """
    if isinstance(key, slice):
        if any(not isinstance(part, (int, np.integer, type(None))) for part in _ends(key)):
            raise InputError(
                f"{what}[{key.start!r}:{key.stop!r}] slices labels; slices count places, such as "
                "x[1:], and labels are given as a list, such as x[['a', 'b']]"
            )
        return np.arange(size)[key], False
    if (isinstance(key, np.ndarray) and key.dtype == bool) or _is_list_of(key, bool):
        mask = np.asarray(key)
        if mask.shape != (size,):
            raise InputError(
                f"{what} has {size} rows, but the mask has shape {mask.shape}; expected one "
                "True or False for each row"
            )
        return np.flatnonzero(mask), False
    place: dict[Hashable, int] = {i: i % size for i in range(-size, size)}
    if labels is not None:
        place = {label: i for i, label in enumerate(labels)}
    if isinstance(key, (list, np.ndarray)) or hasattr(key, "to_list"):
        return np.array([_place(place, k, what) for k in _plain(key)], np.intp), False
    return np.array([_place(place, key, what)], np.intp), True


def _place(place: dict[Hashable, int], label: Any, what: str) -> int:
    try:
        return place[label]
    except (KeyError, TypeError):
        raise UnknownLabelError(f"label of {what}", label, place) from None


def _plain(labels: Any) -> Iterable[Any]:
    return labels.to_list() if hasattr(labels, "to_list") else list(labels)


def _is_list_of(key: Any, kind: type) -> bool:
    return isinstance(key, list) and bool(key) and all(isinstance(k, kind) for k in key)


def _ends(key: slice) -> tuple[Any, Any, Any]:
    return key.start, key.stop, key.step


def _few(labels: tuple[Hashable, ...]) -> str:
    return ", ".join(map(repr, labels[:3])) + (", …" if len(labels) > 3 else "")
