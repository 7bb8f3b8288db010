"""Coefficient blocks: what multiplies one variable in an affine expression.

A block is what it needs to be and no more:

=====================  ==========================================================
block                  meaning, for an expression of k rows
=====================  ==========================================================
``float``              c·I for a variable of size k, a constant column for a scalar one
``(k,)`` array         a diagonal for a variable of size k, a column for a scalar one
``(k, size)`` array    a dense matrix
sparse ``(k, size)``   a sparse matrix
=====================  ==========================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from rrp_pyomo.linalg import FloatArray

Block: TypeAlias = Any

# Blocks of so many entries have their places remembered.
_SMALL = 2000


def repeated(block: Block, columns: int, size: int) -> Block:
    """A block of one row, ``size`` times."""
    if isinstance(block, float):
        return np.full(size, block)
    dense = np.repeat(_dense(block, 1, columns), size, axis=0)
    return dense[:, 0] if columns == 1 else dense


def added(a: Block, b: Block, size: int, columns: int) -> Block:
    """The sum of two blocks."""
    if _is_flat(a) and _is_flat(b):
        return a + b
    return _matrix(a, size, columns) + _matrix(b, size, columns)


def _is_flat(block: Block) -> bool:
    """Whether a block is a number, a diagonal or a column."""
    return isinstance(block, float) or (not sp.issparse(block) and np.ndim(block) < 2)


def _matrix(block: Block, size: int, columns: int) -> Block:
    if sp.issparse(block) or np.ndim(block) == 2:
        return block
    if columns == 1:
        return np.full(size, block)[:, None] if np.ndim(block) == 0 else block[:, None]
    return sp.diags_array(np.broadcast_to(block, (size,)), format="csr")


def _dense(block: Block, size: int, columns: int) -> FloatArray:
    matrix = _matrix(block, size, columns)
    dense: FloatArray = matrix.toarray() if sp.issparse(matrix) else np.asarray(matrix)
    return dense


def row_scaled(block: Block, factor: Any) -> Block:
    """A block with its rows multiplied by a number, or each by its own."""
    if isinstance(factor, float) or np.ndim(factor) == 0 or _is_flat(block):
        return block * factor
    if sp.issparse(block):
        return sp.diags_array(factor) @ block
    return factor[:, None] * block


def times(matrix: Any, block: Block, columns: int, inner: int) -> Block:
    """``matrix @ block`` where the block has ``inner`` rows and ``columns`` columns."""
    if not _is_flat(block):
        return matrix @ block
    if columns == 1:
        return matrix @ np.broadcast_to(block, (inner,))
    if isinstance(block, float) or np.ndim(block) == 0:
        return matrix if block == 1.0 else matrix * block
    return matrix @ sp.diags_array(block) if sp.issparse(matrix) else matrix * block


def applied(block: Block, vector: FloatArray, size: int) -> FloatArray:
    """``block @ vector`` for numbers in the place of the symbol, ``size`` rows."""
    if np.ndim(block) < 2 and not sp.issparse(block):
        return np.broadcast_to(block * vector, (size,))
    product: FloatArray = block @ vector
    return product


def stacked_blocks(blocks: Sequence[Block | None], sizes: Sequence[int], columns: int) -> Block:
    """Blocks of one symbol on top of each other, None being nothing."""
    parts = [
        sp.csr_array((size, columns)) if block is None else _matrix(block, size, columns)
        for block, size in zip(blocks, sizes, strict=True)
    ]
    if any(sp.issparse(part) for part in parts):
        return sp.vstack([sp.csr_array(part) for part in parts], format="csr")
    return np.vstack(parts)


def entry_count(block: Block, size: int, columns: int) -> int:
    """How many numbers a block of ``size`` rows has."""
    if sp.issparse(block):
        return int(block.nnz)
    return size * columns if np.ndim(block) == 2 else size


def triplets(block: Block, size: int, columns: int, offset: int) -> tuple[Any, Any, Any]:
    """Rows, columns (the first one being ``offset``) and values."""
    if not isinstance(block, (float, np.ndarray)):
        coo = block.tocoo()
        return coo.row, coo.col + offset, coo.data
    if isinstance(block, float):
        block = np.full(size, block)
    row, col = _places(size, columns, offset, block.ndim == 2)
    return row, col, block.ravel()


def _places(
    size: int, columns: int, offset: int, is_matrix: bool
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of a block, which are known where it is small."""
    if size * (columns if is_matrix else 1) <= _SMALL:
        return _places_of_small(size, columns, offset, is_matrix)
    return _new_places(size, columns, offset, is_matrix)


def _new_places(
    size: int, columns: int, offset: int, is_matrix: bool
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    if is_matrix:
        row, col = np.divmod(np.arange(size * columns), columns)
        col += offset
    else:
        row = np.arange(size)
        col = row + offset if columns > 1 else np.full(size, offset)
    row.flags.writeable = col.flags.writeable = False
    return row, col


_places_of_small = lru_cache(maxsize=512)(_new_places)
