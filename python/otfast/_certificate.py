"""A second opinion on answers: the optimality conditions, checked outside the solvers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from otfast.cost import Cost
from otfast.result import Transport

__all__ = ["marginal_error", "violation"]

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


def marginal_error(f: _Array, g: _Array, a: _Array, b: _Array, C: Cost, epsilon: float) -> float:
    """Return the larger L1 error of the marginals of P_ij = a_i b_j exp((f_i + g_j − C_ij)/ε), over the mass.

    A plan of this form with the right marginals is the solution of the entropic problem. Points of no mass
    may have any potentials.
    """
    n, m = C.shape
    rows, columns = np.empty(n), np.zeros(m)
    g_where = np.where(b > 0.0, g, 0.0).astype(np.float64)
    f_where = np.where(a > 0.0, f, 0.0).astype(np.float64)
    step = max(1, _BLOCK_SIZE // m)
    for i in range(0, n, step):
        here = slice(i, min(i + step, n))
        exponents = (f_where[here, None] + g_where - C.rows(here.start, here.stop)) / epsilon
        density = np.exp(exponents, where=(a[here, None] > 0.0) & (b > 0.0), out=np.zeros_like(exponents))
        rows[here] = a[here] * (density @ b)
        columns += b * (a[here] @ density)
    return max(float(np.abs(rows - a).sum()), float(np.abs(columns - b).sum())) / float(a.sum())
