"""Columns of variables, in the order in which a model mentions them."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count
from operator import attrgetter
from typing import Any

import numpy as np

from rrp_pyomo.forms.rows import IntArray


class Columns:
    """Numbers variables; serves Pyomo's expression walker as its variable recorder.

    Unfixed ones are 0, 1, …, fixed ones −1, −2, ….
    """

    def __init__(self) -> None:
        self.index: dict[int, int] = {}
        self.var_order = self.index  # the walker's name for it, in products of sums
        self.var_map: dict[int, Any] = {}
        self.fixed: list[Any] = []

    def add(self, variable: Any) -> int:
        """The column of a variable that has none yet."""
        if variable.fixed:
            self.fixed.append(variable)
            column = -len(self.fixed)
        else:
            column = len(self.var_map)
            self.var_map[id(variable)] = variable
        self.index[id(variable)] = column
        return column

    def of(self, variables: Iterable[Any]) -> IntArray:
        """The columns of some variables, new ones where they are not known yet.

        By whole lists, which is several times faster than variable by variable.
        """
        variables = list(variables)
        numbers = list(map(id, variables))
        known = self.index.__getitem__
        try:
            return np.fromiter(map(known, numbers), np.intp, len(numbers))
        except KeyError:
            self._add_new(dict(zip(numbers, variables, strict=True)))
            return np.fromiter(map(known, numbers), np.intp, len(numbers))

    def _add_new(self, variables: dict[int, Any]) -> None:
        if self.index:
            variables = {number: v for number, v in variables.items() if number not in self.index}
        if any(map(attrgetter("fixed"), variables.values())):
            for variable in variables.values():
                self.add(variable)
        else:
            self.index.update(zip(variables, count(len(self.var_map)), strict=False))
            self.var_map.update(variables)
