"""Checks that several data objects share; every message names the thing, the value, the remedy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from rrp_pyomo.errors import InputError, UnknownLabelError
from rrp_pyomo.linalg import FloatArray

Labels = tuple[Hashable, ...]


def unique_labels(labels: Iterable[Hashable], kind: str) -> Labels:
    """The labels as a tuple; a repeated one is an error."""
    labels = tuple(labels)
    if len(set(labels)) < len(labels):
        label, count = Counter(labels).most_common(1)[0]
        raise InputError(
            f"{kind} label {str(label)!r} occurs {count} times; labels must be unique: "
            "rename or drop the repetitions"
        )
    return labels


def resolve_labels(
    given: Iterable[Hashable] | None, found: Iterable[Hashable] | None, size: int, kind: str
) -> Labels:
    """Labels from pandas (``found``) or from the caller (``given``), else 0 … size − 1."""
    if given is None:
        return unique_labels(range(size) if found is None else found, kind)
    labels = unique_labels(given, kind)
    if found is not None and labels != tuple(found):
        raise InputError(f"the {kind} labels given differ from those of the data; leave them out")
    if len(labels) != size:
        raise InputError(f"{len(labels)} {kind} labels given for {size} {kind}s")
    return labels


def as_floats(values: ArrayLike | pd.Series | pd.DataFrame, name: str, ndim: int) -> FloatArray:
    """A read-only float array of ``ndim`` dimensions; data that are frozen already are shared."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} must be numbers: {error}") from None
    if array.ndim != ndim:
        raise InputError(f"{name} must have {ndim} dimension(s), not shape {array.shape}")
    if array.flags.writeable or isinstance(values, pd.Series | pd.DataFrame):
        array = array.copy()
        array.flags.writeable = False
    return array


def require_finite(
    array: FloatArray, name: str, *, rows: Iterable[Any], columns: Iterable[Any] | None = None
) -> None:
    """Raise where an entry is NaN or infinite, naming its place."""
    if np.isfinite(array).all():
        return
    place = np.argwhere(~np.isfinite(array))[0]
    where = repr(str(tuple(rows)[place[0]]))
    if columns is not None:
        where = f"{str(tuple(columns)[place[1]])!r} at {where}"
    raise InputError(
        f"{name} of {where} is {array[tuple(place)]}; finite numbers are expected: "
        "fill it or drop its row or column"
    )


def by_label(
    values: Mapping[Any, float] | pd.Series | ArrayLike, labels: Labels, name: str
) -> FloatArray:
    """One finite number per asset: a Series or mapping by label, an array in label order."""
    if isinstance(values, Mapping):
        values = pd.Series(dict(values), dtype=object)
    if isinstance(values, pd.Series) and tuple(values.index) != labels:
        unique_labels(values.index, "asset")
        known = set(labels)
        for label in values.index:
            if label not in known:
                raise UnknownLabelError("asset", label, labels)
        missing = [label for label in labels if label not in values.index]
        if missing:
            raise InputError(
                f"{name} lack {len(missing)} of {len(labels)} assets, first {str(missing[0])!r}; "
                "give one number for each asset"
            )
        values = values.loc[list(labels)]
    array = as_floats(values, name, 1)
    if array.size != len(labels):
        raise InputError(f"{name} have {array.size} entries for {len(labels)} assets")
    require_finite(array, name, rows=labels)
    return array
