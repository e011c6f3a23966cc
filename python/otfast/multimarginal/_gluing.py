"""Exact plans on trees: sparse plans of two marginals, glued along the nodes that they share.

If two plans have a marginal in common, matching the mass that they put on each of its points, in any order,
gives a plan of all points that has both as marginals (the gluing lemma: Villani 2003, lemma 7.6). Matched
like two measures on the line, N and M atoms on n points become at most N + M − n: over a whole tree
Σ n_k − K + 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from otfast import _core
from otfast._exact_result import DEFAULT_TOL, check_status
from otfast.multimarginal._graph import components
from otfast.multimarginal._tree import walk_of
from otfast.multimarginal.pairwise import PairwiseCost
from otfast.progress import Monitor

_Array = NDArray[np.float64]
_Indices = NDArray[np.int64]


def solve_forest(
    cost: PairwiseCost, marginals: Sequence[_Array], monitor: Monitor | None
) -> tuple[_Indices, _Array, list[_Array], int]:
    """Solve every edge, and glue the plans; return tuples, masses, potentials and the number of pivots."""
    potentials = [np.zeros(a.size) for a in marginals]
    plans: dict[tuple[int, int], tuple[_Indices, _Indices, _Array]] = {}
    neighbours: dict[int, list[int]] = {k: [] for k in range(cost.ndim)}
    n_iter = 0
    for (k, j), C in cost.edges.items():
        raw = _core.emd(C.core, marginals[k], marginals[j], "automatic", None, DEFAULT_TOL, -1, monitor)
        check_status(raw["status"])
        potentials[k] += raw["potential_a"]
        potentials[j] += raw["potential_b"]
        rows, cols = raw["rows"].astype(np.int64), raw["cols"].astype(np.int64)
        plans[k, j], plans[j, k] = (rows, cols, raw["mass"]), (cols, rows, raw["mass"])
        neighbours[k].append(j)
        neighbours[j].append(k)
        n_iter += raw["n_iter"]

    everything = np.array([marginals[0].sum()])
    tuples, mass = np.zeros((1, cost.ndim), np.int64), everything
    for nodes in components(cost):
        root = nodes[0]
        (points,) = np.nonzero(marginals[root])
        nowhere = np.zeros(points.size, np.int64), points, marginals[root][points]
        tuples, mass = _glue(tuples, mass, tuples[:, 0] * 0, root, nowhere, everything)
        for k, j, goes_down in walk_of(neighbours, root):
            if goes_down:
                tuples, mass = _glue(tuples, mass, tuples[:, k], j, plans[k, j], marginals[k])
    return tuples, mass, potentials, n_iter


def _glue(
    tuples: _Indices,
    mass: _Array,
    shared: _Indices,
    new: int,
    plan: tuple[_Indices, _Indices, _Array],
    weights: _Array,
) -> tuple[_Indices, _Array]:
    """Give the tuples, which lie on the points `shared`, a point of the node `new` from a plan of both."""
    points, images, plan_mass = plan
    first, second = np.argsort(shared, kind="stable"), np.argsort(points, kind="stable")
    ends, plan_ends = _ends(shared[first], mass[first]), _ends(points[second], plan_mass[second])
    # Both lists end every point at a share of exactly 1, so that no atom reaches into the next point.
    place = np.concatenate([shared[first], points[second]])
    share = np.concatenate([ends, plan_ends])
    from_plan = np.repeat([False, True], [ends.size, plan_ends.size])
    order = np.lexsort((share, place))
    place, share, from_plan = place[order], share[order], from_plan[order]
    # Which atom of either list goes on before each of the merged ends.
    atom = np.minimum(np.cumsum(~from_plan) - ~from_plan, ends.size - 1)
    plan_atom = np.minimum(np.cumsum(from_plan) - from_plan, plan_ends.size - 1)
    starts = np.concatenate([[True], place[1:] != place[:-1]])
    width = share - np.where(starts, 0.0, np.concatenate([[0.0], share[:-1]]))
    kept = width > 0.0
    glued = tuples[first[atom[kept]]]
    glued[:, new] = images[second[plan_atom[kept]]]
    return glued, width[kept] * weights[place[kept]]


def _ends(points: _Indices, mass: _Array) -> _Array:
    """Return where the mass of every atom ends, as a share of all on its point; points are in order."""
    total = np.cumsum(mass)
    is_last = np.concatenate([points[1:] != points[:-1], [True]])
    before = np.concatenate([[0.0], total[is_last][:-1]])
    group = np.cumsum(np.concatenate([[0], is_last[:-1]]))
    ends = (total - before[group]) / (total[is_last] - before)[group]
    ends[is_last] = 1.0
    return np.clip(ends, 0.0, 1.0)  # type: ignore[no-any-return]
