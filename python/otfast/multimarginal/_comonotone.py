"""Submodular costs on the line: the comonotone plan is optimal, and its potentials are sums along it.

For C(x ∨ y) + C(x ∧ y) ≤ C(x) + C(y), taking the least remaining point of every measure again and again is
optimal (Bein, Brucker, Park and Pathak 1995, theorem 2.1), and so are potentials that grow by the change of C
wherever the plan moves along one axis (theorem 4.1).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

_Array = NDArray[np.float64]


def comonotone_plan(marginals: Sequence[_Array]) -> tuple[NDArray[np.int64], _Array]:
    """Match the mass of points that are in rising order: return tuples along a staircase, and masses.

    There are Σ n_k − K + 1 tuples, and some masses may be 0. Every step to the next tuple moves along
    a single axis.
    """
    total = float(marginals[0].sum())
    # Where the last mass of a point ends, in order; the last point of a measure ends behind everything.
    ends = [np.minimum(np.cumsum(a), total)[:-1] for a in marginals]
    levels = np.concatenate(ends)
    axes = np.repeat(np.arange(len(marginals)), [len(e) for e in ends])
    order = np.argsort(levels, kind="stable")
    steps = np.zeros((levels.size + 1, len(marginals)), np.int64)
    steps[np.arange(1, levels.size + 1), axes[order]] = 1
    borders = np.concatenate([[0.0], levels[order], [total]])
    return steps.cumsum(axis=0), np.diff(borders)


def staircase_potentials(
    tuples: NDArray[np.int64], entries: Callable[[NDArray[np.int64]], NDArray[np.floating]]
) -> list[_Array]:
    """Return the potentials of a staircase, which are tight along all of it."""
    costs = entries(tuples).astype(np.float64, copy=False)
    moves = np.diff(tuples, axis=0).astype(bool)
    potentials = [np.concatenate([[0.0], np.cumsum(np.diff(costs)[moved])]) for moved in moves.T]
    potentials[0] += costs[0]
    return potentials
