"""What stands beside an expression: numbers, arrays and Series, checked and aligned."""

from __future__ import annotations

from typing import Any

import numpy as np

from rrp_pyomo.errors import InputError
from rrp_pyomo.modeling.labels import Labels, aligned
from rrp_pyomo.modeling.notation import Notation, of_numbers
from rrp_pyomo.modeling.numpy_protocol import NumpyProtocol


def numbers(value: Any, beside: Any) -> tuple[Any, Labels]:
    """A float for one number or an array for several, and the labels of a Series, aligned."""
    if isinstance(value, (float, int)):  # numpy's float64 is one
        return float(value), None
    if hasattr(value, "index") and hasattr(value, "to_numpy"):
        if value.ndim == 1 and beside.labels is not None:
            return aligned(value, beside.labels, "the Series"), beside.labels
        if value.ndim == 1 and beside.size == 1:
            return value.to_numpy(dtype=float), tuple(value.index)
        if value.ndim == 1:
            raise InputError(
                "a Series stands beside an expression whose rows have no labels, so that its own "
                "would not be looked at: pass .to_numpy(), in their order"
            )
    return as_numbers(value), None


def as_numbers(value: Any) -> Any:
    """A float for a single number, a 1-d array for several."""
    if isinstance(value, NumpyProtocol):
        raise InputError(
            f"{value!r} stands where numbers are expected; products have two factors at most, and "
            "terms, products and divisors are multiplied by numbers and parameters only"
        )
    try:
        if hasattr(value, "index") and hasattr(value, "to_numpy"):
            raise TypeError("its labels would not be looked at: pass .to_numpy(), in their order")
        array = np.asarray(value, dtype=float)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"a {type(value).__name__} cannot be combined with an expression ({error}); expected "
            "numbers, an array, or a Series by label"
        ) from None
    if sum(length > 1 for length in array.shape) > 1:
        raise InputError(
            f"an array of shape {array.shape} cannot be combined row by row with an expression; "
            "expected a number or a vector, or `@` for a product with a matrix"
        )
    return array.item() if array.size == 1 else array.ravel()


_NONE = object()


def notation_of(value: Any) -> Notation:
    """How an operand is written."""
    written: Notation = getattr(value, "notation", _NONE)
    return of_numbers(value) if written is _NONE else written


def written_key(key: Any) -> str:
    """How the key of some rows is written."""
    if isinstance(key, slice):
        return ":".join("" if part is None else str(part) for part in (key.start, key.stop))
    if isinstance(key, (str, int)):
        return str(key)
    keys = [str(k) for k in key] if isinstance(key, list) else [str(key)]
    return ", ".join(keys[:3]) + (", …" if len(keys) > 3 else "")
