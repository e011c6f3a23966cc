"""Trees whose marginals are all exact: every edge is a problem of two marginals of its own.

The plan is Π_{kl} π^{kl} / Π_k a_k^{deg k − 1} over the edges and nodes (Haasler et al. 2021, section 3), so
that with the potentials of all edges at a node added up, the density exp((⊕f − C)/ε) is that of the product.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from otfast._entropic_result import check_status
from otfast._entropic_solve import solve
from otfast.multimarginal._graph import components
from otfast.multimarginal._potentials import Potentials
from otfast.multimarginal.pairwise import PairwiseCost
from otfast.progress import Monitor

_Array = NDArray[np.float64]


def is_forest(cost: PairwiseCost) -> bool:
    """Whether the graph of a cost has no cycle."""
    return len(cost.edges) == cost.ndim - len(components(cost))


def solve_edges(
    cost: PairwiseCost,
    potentials: Potentials,
    method: str,
    tol: float,
    max_iter: int,
    listener: Callable[[int], Monitor | None],
) -> tuple[int, dict[tuple[int, int], _Array]]:
    """Set the potentials to those of the edges, added up.

    `listener` makes the monitor of an edge from the iterations that were made before.

    Returns
    -------
    n_iter, messages
        The largest number of iterations, and the messages (`_tree.py`) from k to l, by (k, l), up to the
        error: they are the potentials of l on the edge.
    """
    exact = math.inf, math.inf
    n_iter = 0
    messages: dict[tuple[int, int], _Array] = {}
    for (k, j), C in cost.edges.items():
        a, b = potentials.weights[k], potentials.weights[j]
        monitor = listener(n_iter)
        raw, _ = solve(C, a, b, potentials.epsilon, exact, method, tol, max_iter, None, monitor, monitor)
        if raw["status"] == "infeasible":
            check_status("infeasible", tol, raw["error"])
        messages[j, k], messages[k, j] = (_finite(raw[side]) for side in ("potential_a", "potential_b"))
        potentials.f[k] = potentials.f[k] + messages[j, k]
        potentials.f[j] = potentials.f[j] + messages[k, j]
        n_iter = max(n_iter, raw["n_iter"])
    # Every part of a forest has the mass of the marginals; their product must have it, too.
    parts = components(cost)
    mass = float(potentials.weights[0].sum())
    for nodes in parts[1:]:
        potentials.f[nodes[0]] = potentials.f[nodes[0]] - potentials.epsilon * math.log(mass)
    return n_iter, messages


def _finite(potential: _Array) -> _Array:
    return np.where(np.isfinite(potential), potential, 0.0)
