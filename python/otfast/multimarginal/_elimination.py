"""Sums of costs on overlapping sets of points: one point after another is summed out.

A table is a cost Ψ of some of the points, its scope, as an array of `float64` with an axis for each, in
rising order. Soft minima −ε log Σ exp(−Ψ/ε) over a point of a sum of tables are again a table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from otfast import _core
from otfast.multimarginal._memory import check_memory
from otfast.progress import Monitor

_Array = NDArray[np.float64]


class Table(NamedTuple):
    """A cost of some of the points."""

    scope: tuple[int, ...]
    values: _Array


def sum_out(
    tables: Iterable[Table],
    kept: Sequence[int],
    sizes: Sequence[int],
    epsilon: float,
    monitor: Monitor | None,
) -> _Array:
    """Return the soft minimum of a sum of tables over all points but those kept, in rising order."""
    rest = list(tables)
    while True:
        scopes = {x: set[int]() for table in rest for x in table.scope if x not in kept}
        if not scopes:
            break
        for table in rest:
            for x in table.scope:
                if x in scopes:
                    scopes[x].update(table.scope)
        x = min(scopes, key=lambda point: (np.prod([float(sizes[k]) for k in scopes[point]]), point))
        involved = [table for table in rest if x in table.scope]
        rest = [table for table in rest if x not in table.scope]
        rest.append(_sum_out_one(involved, x, sizes, epsilon, monitor))
    total = np.zeros([sizes[k] for k in kept])
    for table in rest:
        total += table.values.reshape([sizes[k] if k in table.scope else 1 for k in kept])
    return total


def _sum_out_one(
    tables: Sequence[Table], x: int, sizes: Sequence[int], epsilon: float, monitor: Monitor | None
) -> Table:
    scope = sorted({k for table in tables for k in table.scope} - {x})
    check_memory(
        "a table of the elimination, whose size grows with the treewidth", [sizes[k] for k in scope], 8
    )
    axes = _order(scope, tables)
    aligned = []
    for table in tables:
        own = [k for k in axes if k in table.scope]
        values = table.values.transpose([table.scope.index(k) for k in (*own, x)])
        aligned.append(
            np.ascontiguousarray(values).reshape([sizes[k] if k in own else 1 for k in axes] + [sizes[x]])
        )
    values = _core.sum_out(aligned, epsilon, monitor)
    return Table(tuple(scope), values.transpose([axes.index(k) for k in scope]))


def _order(scope: Sequence[int], tables: Sequence[Table]) -> list[int]:
    """Put two points last that no table has both of, if there are such: that is a product of matrices."""
    for position, k in enumerate(scope):
        for j in scope[position + 1 :]:
            if not any(k in table.scope and j in table.scope for table in tables):
                return [i for i in scope if i not in (k, j)] + [k, j]
    return list(scope)


def elimination_order(neighbours: Mapping[int, Iterable[int]]) -> list[tuple[int, tuple[int, ...]]]:
    """Return an order of the nodes of a graph, each with those that it is joined to when its turn comes.

    The next node is always one whose neighbours lack the fewest edges among themselves: on a cycle that
    finds treewidth 2, and in general little more than the least (Koller and Friedman 2009, section 9.4.3.2).
    """
    graph = {k: set(adjacent) for k, adjacent in neighbours.items()}
    order = []
    while graph:
        x = min(graph, key=lambda k: (_missing_edges(graph, k), len(graph[k]), -k))
        adjacent = graph.pop(x)
        for k in adjacent:
            graph[k].discard(x)
            graph[k].update(adjacent - {k})
        order.append((x, tuple(sorted(adjacent))))
    return order


def _missing_edges(graph: Mapping[int, set[int]], k: int) -> int:
    adjacent = graph[k]
    return sum(len(adjacent - graph[j]) - 1 for j in adjacent)
