"""What numpy and pandas do with expressions: operators work, functions name the one to use."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pandas as pd

from rrp_pyomo.errors import InputError

# numpy's functions by what stands for them here. Operators (None) go to the expression's own.
_OPERATORS = {
    "add": ("__add__", "__radd__"),
    "subtract": ("__sub__", "__rsub__"),
    "multiply": ("__mul__", "__rmul__"),
    "true_divide": ("__truediv__", None),
    "divide": ("__truediv__", None),
    "matmul": ("__matmul__", "__rmatmul__"),
    "power": ("__pow__", None),
    "negative": ("__neg__", None),
    "less_equal": ("__le__", "__ge__"),
    "greater_equal": ("__ge__", "__le__"),
    "equal": ("__eq__", "__eq__"),
}
_INSTEAD = {
    "abs": "abs(e)", "absolute": "abs(e)", "fabs": "abs(e)", "exp": "exp(e)", "log": "log(e)",
    "square": "square(e)", "maximum": "maximum(a, b)", "fmax": "maximum(a, b)",
    "max": "maximum(e)", "amax": "maximum(e)", "norm": "norm(e)", "sum": "e.sum()",
    "dot": "A @ e", "inner": "a @ e", "vdot": "a @ e", "hstack": "stack(a, b)",
    "vstack": "stack(a, b)", "concatenate": "stack(a, b)", "append": "stack(a, b)",
    "mean": "e.sum() / len(e)", "logaddexp": "log_sum_exp(e)", "clip": "positive(e)",
    "minimum": "-maximum(-a, -b)", "min": "-maximum(-e)", "amin": "-maximum(-e)",
    "var": "sum_squares(e - mean)", "prod": "geometric_mean(e, weights)",
}  # fmt: skip


class NumpyProtocol:
    """Hands numpy's and pandas' operators to the expression, and refuses their functions."""

    # pandas must hand `series * expression` to the expression instead of looping over its entries.
    __pandas_priority__ = 5000

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        # For whoever asks, a single object: scipy then leaves `sparse @ expression` to it.
        single = np.empty((), dtype=object)
        single[()] = self
        return single

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        operators = _OPERATORS.get(ufunc.__name__)
        if operators is None or method != "__call__" or kwargs:
            raise _not_applicable(ufunc.__name__)
        own, reflected = operators
        left, *others = inputs
        if isinstance(left, NumpyProtocol):
            return getattr(left, own)(*others)
        if reflected is None:
            raise _not_applicable(ufunc.__name__)
        return getattr(others[0], reflected)(left)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        raise _not_applicable(function.__name__)


def _not_applicable(name: str) -> InputError:
    remedy = (
        f"use {_INSTEAD[name]} of rrp_pyomo"
        if name in _INSTEAD
        else "see rrp_pyomo.modeling for the functions that do, or pass numbers"
    )
    return InputError(f"numpy's {name} does not take expressions of variables; {remedy}")


def _deferring(operator: Any) -> Any:
    """pandas' product, which looks at ``__pandas_priority__`` as its other operators do."""

    @functools.wraps(operator)
    def product(self: Any, other: Any) -> Any:
        if getattr(other, "__pandas_priority__", 0) > self.__pandas_priority__:
            return NotImplemented
        return operator(self, other)

    product.__defers__ = True  # type: ignore[attr-defined]
    return product


# `R @ w` with a DataFrame would become a Series of objects, in the order of R's columns whatever
# the labels of w. pandas' `+` and `*` leave such a decision to whoever has the higher priority;
# its `@` does not ask, until here. For everything else it stays what it is.
for _kind in (pd.DataFrame, pd.Series):
    if not hasattr(_kind.__matmul__, "__defers__"):
        _kind.__matmul__ = _deferring(_kind.__matmul__)  # type: ignore[method-assign]
