"""Points on blocks: the values that a block's variables and parameters have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyomo.environ as pyo
from pyomo.core.kernel.block import IBlock

from rrp_pyomo.data.validation import Labels
from rrp_pyomo.errors import InputError
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.realise.lifting import over_variables
from rrp_pyomo.realise.lowering import Lowered


def named(block: Any) -> str:
    """A block as messages call it."""
    name = getattr(block, "name", None)
    return f"block {name!r}" if name else "the block"


def entries_on(block: Any, name: str, labels: Labels | None) -> list[Any]:
    """The entries of a part of a block, in the order of the labels; one where there are none.

    Raises
    ------
    InputError
        The block has no such part, or a label is missing.
    """
    part = getattr(block, name, None)
    if part is None or (labels is not None and any(label not in part for label in labels)):
        raise InputError(
            f"{named(block)} has no {name!r} with the assets of this problem; expected what its "
            "own block() or kernel() made"
        )
    return [part] if labels is None else [part[label] for label in labels]


def values_on(block: Any, name: str, labels: Labels | None) -> FloatArray:
    """The values of :func:`entries_on`.

    Raises
    ------
    InputError
        The block has no such part, a label is missing, or a value is.
    """
    entries = entries_on(block, name, labels)
    values = [pyo.value(entry, exception=False) for entry in entries]
    if None in values:
        raise InputError(
            f"{str(entries[values.index(None)])!r} has no value; solve the model first, and load "
            "its solution"
        )
    return np.array(values, float)


def bounds_on(block: Any, name: str, labels: Labels | None) -> tuple[FloatArray, FloatArray]:
    """The bounds of the variables of :func:`entries_on`, their values where they are fixed."""
    entries = entries_on(block, name, labels)
    pairs = [(e.value, e.value) if e.fixed else (e.lb, e.ub) for e in entries]
    lower = [-np.inf if low is None else low for low, _ in pairs]
    upper = [np.inf if high is None else high for _, high in pairs]
    return np.array(lower, float), np.array(upper, float)


def initialise(block: Any, source: Lowered, values: Mapping[str, Any]) -> None:
    """Set a block's variables to a point; see :meth:`rrp_pyomo.Program.initialise`."""
    # Auxiliary variables that this block does without are passed over.
    lifted = over_variables(source, isinstance(block, IBlock), loose=source.variables)
    for name, numbers in lifted.values(lifted.point(values)).items():
        part = getattr(block, name, None)
        if part is None:
            continue
        index = lifted.variables[name].index
        entries = [part] if index is None else [part[label] for label in index]
        for entry, number in zip(entries, numbers.tolist(), strict=True):
            if not entry.fixed:
                entry.value = number
