"""A second opinion on exact answers: the optimality conditions, checked outside the solver."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from otfast.cost import Cost
from otfast.result import Transport

__all__ = ["violation"]

_Array = NDArray[np.floating[Any]]

#: Entries of the cost that are looked at together.
_BLOCK_SIZE = 1 << 22


def violation(result: Transport, a: _Array, b: _Array, C: Cost) -> float:
    """Return by how much a plan and its potentials fail to prove each other optimal.

    The largest of: the error of a marginal relative to the mass, the violation of a dual constraint
    f_i + g_j ≤ C_ij and the distances between ⟨P, C⟩, ⟨f, a⟩ + ⟨g, b⟩ and the reported value, relative to
    the largest of these. Rounding leaves about 1e-15.
    """
    n, m = result.shape
    plan = result.sparse_plan
    rows, cols = plan.coords
    f, g = result.potential_a, result.potential_b
    mass = float(a.sum())
    marginal_error = max(
        float(np.abs(np.bincount(rows, plan.data, n) - a).sum()),
        float(np.abs(np.bincount(cols, plan.data, m) - b).sum()),
    )
    entries = np.empty(plan.data.size)
    excess = 0.0
    step = max(1, _BLOCK_SIZE // m)
    for i in range(0, n, step):
        block = C.rows(i, min(i + step, n))
        here = (rows >= i) & (rows < i + step)
        entries[here] = block[rows[here] - i, cols[here]]
        excess = max(excess, float((f[i : i + step, None] + g - block).max()))
    values = np.array([plan.data @ entries, f @ a + g @ b, result.value])
    scale = float(np.abs(values).max())
    # Near a value of zero, what remains are the last digits of the terms that cancel.
    rounding = 4.0 * float(np.finfo(np.float64).eps * (np.abs(f) @ a + np.abs(g) @ b))
    gap = max(float(np.ptp(values)), excess * mass)
    return max(marginal_error / mass, gap / scale if gap > rounding else 0.0)
