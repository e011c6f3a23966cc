"""Which tuples have the least reduced costs C − ⊕f: the pricing of column generation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from otfast import _core
from otfast.cost import Cost

_Array = NDArray[np.float64]


def price_unfolded(
    matrix: Cost, shape: Sequence[int], split: int, potentials: Sequence[_Array]
) -> tuple[NDArray[np.int64], float]:
    """Return the best tuple through every point of every node, and the least reduced cost of all.

    `matrix` has the tuples of the first `split` points as rows. Two passes over it, one over its rows and one
    over its columns.
    """
    f, g = (reduce(np.add.outer, part) for part in (potentials[:split], potentials[split:]))
    of_rows = _core.c_transform(matrix.core, g.ravel(), False) - f.ravel()
    of_cols = _core.c_transform(matrix.core, f.ravel(), True) - g.ravel()
    rows = _best_through_each_point(of_rows, shape[:split])
    cols = _best_through_each_point(of_cols, shape[split:])
    every_row, every_col = np.arange(f.size), np.arange(g.size)
    pairs = [(row, int(np.argmin(matrix.rows(row, row + 1)[0] - g.ravel()))) for row in rows]
    for col in cols:
        column = matrix.core.entries(every_row, np.full(f.size, every_col[col]))
        pairs.append((int(np.argmin(column - f.ravel())), col))
    flat = np.array([row * g.size + col for row, col in pairs], np.int64)
    tuples = np.stack(np.unravel_index(np.unique(flat), tuple(shape)), axis=1).astype(np.int64)
    return tuples, float(of_rows.min())


def _best_through_each_point(reduced: _Array, shape: Sequence[int]) -> list[int]:
    """Return the flat indices of the least entries over all slices of a tensor."""
    tensor = reduced.reshape(shape)
    flat = np.arange(math.prod(shape)).reshape(shape)
    best: set[int] = set()
    for axis in range(tensor.ndim):
        slices = np.moveaxis(tensor, axis, 0).reshape(shape[axis], -1)
        places = np.moveaxis(flat, axis, 0).reshape(shape[axis], -1)
        best.update(places[np.arange(shape[axis]), slices.argmin(axis=1)].tolist())
    return sorted(best)
