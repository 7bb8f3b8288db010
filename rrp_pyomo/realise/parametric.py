"""Rows that are affine in parameters, split so that new values cost one sparse product."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from rrp_pyomo.forms.rows import IntArray, Rows
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.modeling.coefficients import triplets
from rrp_pyomo.modeling.expressions import Affine, Scaled
from rrp_pyomo.modeling.symbols import Parameter


class ParametricRows:
    """Affine rows whose coefficients and constants are base + T θ, θ all parameters' values.

    Parameters
    ----------
    parameters : iterable of Parameter
    expressions : sequence of Affine
        Over variables and these parameters.
    """

    def __init__(self, parameters: Iterable[Parameter], expressions: Iterable[Affine]) -> None:
        self._offset: dict[Any, int] = {}
        self._size = 0
        for p in parameters:
            self._offset[p] = self._size
            self._size += p.size
        self._names = [p.name for p in self._offset]
        split = [self._split(e) for e in expressions]
        self._patterns = [(row, col) for row, col, _, _ in split]
        parts = [part for _, _, *both in split for part in both]
        self._ends = np.cumsum([part.base.size for part in parts])[:-1]
        if parts:
            self._base = np.concatenate([part.base for part in parts])
            self._T = sp.vstack([part.T for part in parts], format="csr")

    def rows(self, numbers: Mapping[str, FloatArray]) -> list[Rows]:
        """The rows of each expression for the parameters' values."""
        if not self._patterns:
            return []
        theta = np.concatenate([numbers[name] for name in self._names])
        values = np.split(self._base + self._T @ theta, self._ends)
        pairs = zip(values[::2], values[1::2], strict=True)
        return [
            Rows(row, col, *both) for (row, col), both in zip(self._patterns, pairs, strict=True)
        ]

    def _split(self, e: Affine) -> tuple[IntArray, IntArray, _Numbers, _Numbers]:
        """Places and values of the coefficients, and the constants."""
        none = np.zeros(0, np.intp)
        places, values = [(none, none)], [self._certain(np.zeros(0))]
        constant = self._certain(np.broadcast_to(np.asarray(e.constant, float), (e.size,)))
        for symbol, block in e.terms.items():
            if isinstance(symbol, Scaled):
                row, col, val, shift = self._scaled(symbol, block, e.size)
                constant = _Numbers(constant.base + shift.base, constant.T + shift.T)
            elif symbol.is_variable:
                row, col, numbers = triplets(block, e.size, symbol.size, symbol.offset)
                val = self._certain(numbers)
            else:
                shift = self._applied(block, symbol, e.size)
                constant = _Numbers(constant.base, constant.T + shift)
                continue
            places.append((row, col))
            values.append(val)
        row, col = (np.concatenate(both) for both in zip(*places, strict=True))
        base = np.concatenate([v.base for v in values])
        return row, col, _Numbers(base, sp.vstack([v.T for v in values], format="csr")), constant

    def _scaled(
        self, symbol: Scaled, block: Any, size: int
    ) -> tuple[IntArray, IntArray, _Numbers, _Numbers]:
        """Those of ``block @ (factor ∘ inner)``."""
        inner, factor = symbol.inner, symbol.factor
        outer_row, outer_col, outer = triplets(block, size, inner.size, 0)
        matrix = sp.csr_array((outer, (outer_row, outer_col)), shape=(size, inner.size))
        constant = np.broadcast_to(np.asarray(factor.constant, float), (factor.size,))
        T = self._nothing(factor.size)
        for parameter, own in factor.terms.items():
            T = T + self._applied(own, parameter, factor.size)
        if factor.size != inner.size:
            constant = np.repeat(constant, inner.size)
            T = sp.csr_array(np.ones((inner.size, 1))) @ T
        row, col, val, shift = inner.rows()
        # Each coefficient of a row of inner stands wherever that row does.
        count = np.diff(matrix.tocsc().indptr)[row]
        at = np.repeat(np.arange(row.size), count)
        columns = matrix.tocsc()
        ends = np.cumsum(count)
        place = np.arange(at.size) - np.repeat(ends - count, count) + columns.indptr[row[at]]
        by = val[at] * columns.data[place]
        weight = sp.csr_array((by, (np.arange(at.size), row[at])), shape=(at.size, inner.size))
        scaled = matrix @ sp.diags_array(shift)
        return (
            columns.indices[place].astype(np.intp),
            col[at],
            _Numbers(by * constant[row[at]], sp.csr_array(weight @ T)),
            _Numbers(scaled @ constant, sp.csr_array(scaled @ T)),
        )

    def _applied(self, block: Any, parameter: Parameter, size: int) -> sp.csr_array:
        """What a parameter adds to rows, as a matrix over θ."""
        row, col, val = triplets(block, size, parameter.size, self._offset[parameter])
        return sp.csr_array((val, (row, col)), shape=(size, self._size))

    def _certain(self, numbers: FloatArray) -> _Numbers:
        return _Numbers(numbers, self._nothing(numbers.size))

    def _nothing(self, size: int) -> sp.csr_array:
        return sp.csr_array((size, self._size))


class _Numbers(NamedTuple):
    """base + T θ."""

    base: FloatArray
    T: sp.csr_array
