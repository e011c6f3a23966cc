"""Checks of the arguments that barycenters have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otfast._validation import (
    FloatArray,
    as_array,
    balance_tolerance,
    check_weight_rows,
    check_weights,
)
from otfast.cost import Cost, Grid

_Array = NDArray[np.float64]


def check_barycentric_weights(weights: ArrayLike | None, count: int) -> tuple[_Array, bool]:
    """Check the weights λ of `count` measures, `(K,)` or `(L, K)`; None means 1/K each.

    Returns
    -------
    weights : ndarray, shape (L, K)
        Scaled to a sum of 1.
    is_batch : bool
        Whether there were L rows.
    """
    if weights is None or np.ndim(weights) == 1:
        single, total, _ = check_weights("weights", weights, count)
        return (single / total)[None], False
    grid = as_array("weights", weights)
    if grid.ndim != 2 or len(grid) == 0:
        raise ValueError(
            f"weights must have shape ({count},), one for each measure, or (L, {count}) for L barycenters, "
            f"but their shape is {grid.shape}"
        )
    rows, totals, _ = check_weight_rows("weights", grid, (len(grid), count))
    return rows / totals[:, None], True


def check_measures(
    name: str, measures: Sequence[FloatArray], labels: Sequence[int] | None = None
) -> tuple[list[_Array], float]:
    """Check histograms of one mass, which are called by their places unless there are `labels`.

    Returns
    -------
    measures : list of ndarray
        In double precision, scaled to the mass of the first.
    mass : float
    """
    labels = range(len(measures)) if labels is None else labels
    named = zip(labels, measures, strict=True)
    checked = [check_weights(f"{name}[{label}]", measure, measure.size) for label, measure in named]
    first, mass, is_single = checked[0]
    balanced = [first]
    for label, (b, total, is_also_single) in zip(labels[1:], checked[1:], strict=True):
        tolerance = balance_tolerance(is_single or is_also_single)
        if abs(total - mass) > tolerance * max(total, mass):
            raise ValueError(
                f"{name} must have the same mass, but that of {name}[{labels[0]}] is {mass:.9g} and that of "
                f"{name}[{label}] is {total:.9g}"
            )
        balanced.append(b * (mass / total))
    return balanced, mass


def check_histograms(name: str, value: ArrayLike, size: int) -> tuple[_Array, float, np.dtype[Any]]:
    """Check a matrix of histograms `(K, size)` of one mass; returns also that mass, and the precision."""
    array = as_array(name, value)
    if array.ndim != 2 or array.shape[1] != size or array.size == 0:
        raise ValueError(f"{name} must have shape (K, {size}), but its shape is {array.shape}")
    balanced, mass = check_measures(name, list(array))
    return np.stack(balanced), mass, array.dtype


def check_symmetric(cost: Cost, what: str) -> None:
    """Check that a cost is one between the points of one support; of a large one, by a sample of rows."""
    n, m = cost.shape
    if n != m:
        raise ValueError(f"{what} needs a cost C between the points of one support, (n, n), not {n} by {m}")
    if isinstance(cost, Grid):
        return
    some = min(n, 256)
    block = cost.rows(0, some)[:, :some]
    if not np.array_equal(block, block.T) and not np.allclose(block, block.T, rtol=1e-6, atol=0.0):
        raise ValueError(f"{what} needs a symmetric cost C")
