"""Pricing on a graph: tuples of least reduced cost from minima over the cliques of a junction tree.

The messages are those of `_junction_tree.py`, with minima in the place of soft ones (Koller and Friedman
2009, section 13.3): with both of its messages, a clique knows the least cost of all tuples through each of
its own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from otfast.multimarginal._elimination import Table
from otfast.multimarginal._graph import components
from otfast.multimarginal._junction_tree import Bucket, clique_sizes, edge_table, make_buckets
from otfast.multimarginal._memory import check_memory
from otfast.multimarginal.pairwise import PairwiseCost

_Array = NDArray[np.float64]
_Indices = NDArray[np.int64]


def price_graph(cost: PairwiseCost, potentials: Sequence[_Array]) -> tuple[_Indices, float]:
    """Return the best tuple through every point of every node, and the least reduced cost of all."""
    parts = components(cost)
    priced = [_Part(cost, nodes, potentials) for nodes in parts]
    best = np.zeros(cost.ndim, np.int64)
    for nodes, part in zip(parts, priced, strict=True):
        best[nodes] = part.best
    found = []
    for nodes, part in zip(parts, priced, strict=True):
        tuples = np.tile(best, (len(part.tuples), 1))
        tuples[:, nodes] = part.tuples
        found.append(tuples)
    return np.unique(np.vstack(found), axis=0), sum(part.least for part in priced)


class _Part:
    """A connected part: its best tuples, with a column for each of its nodes, and the least reduced cost."""

    def __init__(self, cost: PairwiseCost, nodes: Sequence[int], potentials: Sequence[_Array]) -> None:
        self._potentials = potentials
        self._sizes = [f.size for f in potentials]
        inside = set(nodes)
        tables = {edge: edge_table(edge, C) for edge, C in cost.edges.items() if edge[0] in inside}
        self._order = make_buckets(nodes, tables)
        self._parent = {child.node: bucket for bucket in self._order for child in bucket.children}
        check_memory("the tables of the cliques", (sum(clique_sizes(self._order, self._sizes)),), 8)
        self._least: dict[int, Table] = {}
        """Of every clique, by its node: the least cost of all tuples through each of its own."""
        self._send_up()
        self._send_down()
        self.least = float(self._least[self._order[-1].node].values.min())
        through = [self._best_through(bucket) for bucket in self._order]
        every = np.vstack([tuples for tuples, _ in through])[:, list(nodes)]
        costs = np.concatenate([of_tuples for _, of_tuples in through])
        self.tuples = np.unique(every[np.isfinite(costs)], axis=0)
        self.best = every[int(np.argmin(costs))]

    def _send_up(self) -> None:
        for bucket in self._order:
            k = bucket.node
            scope = tuple(sorted((k, *bucket.separator)))
            total = np.zeros([self._sizes[j] for j in scope])
            tables = [*bucket.edges, Table((k,), -self._potentials[k])]
            tables += [child.up for child in bucket.children if child.up is not None]
            for table in tables:
                total += _broadcast(table, scope)
            self._least[k] = Table(scope, total)
            bucket.up = Table(bucket.separator, total.min(axis=scope.index(k)))

    def _send_down(self) -> None:
        for bucket in self._order[-2::-1]:
            parent = self._least[self._parent[bucket.node].node]
            gone = tuple(axis for axis, k in enumerate(parent.scope) if k not in bucket.separator)
            least = parent.values.min(axis=gone)
            assert bucket.up is not None
            up = bucket.up.values
            rest = np.full_like(up, np.inf)
            np.subtract(least, up, out=rest, where=np.isfinite(up))
            own = self._least[bucket.node]
            own.values[...] += _broadcast(Table(bucket.separator, rest), own.scope)

    def _best_through(self, bucket: Bucket) -> tuple[_Indices, _Array]:
        """Return the best tuple through every point of a node, in the columns of all nodes, and its cost."""
        k = bucket.node
        tuples = np.full((self._sizes[k], len(self._sizes)), -1, np.int64)
        tuples[:, k] = np.arange(self._sizes[k])
        costs = self._complete(tuples, self._least[k])
        seen, stack = {k}, [bucket]
        while stack:
            bucket = stack.pop()
            around = [*bucket.children, *([self._parent[bucket.node]] if bucket.node in self._parent else [])]
            for other in around:
                if other.node not in seen:
                    seen.add(other.node)
                    self._complete(tuples, self._least[other.node])
                    stack.append(other)
        return tuples, costs

    def _complete(self, tuples: _Indices, table: Table) -> _Array:
        """Give tuples, some points of which are in a clique, the best of the other points there."""
        known = [k for k in table.scope if tuples[0, k] >= 0]
        new = [k for k in table.scope if k not in known]
        values = table.values.transpose([table.scope.index(k) for k in (*known, *new)])
        choices = values[tuple(tuples[:, k] for k in known)].reshape(len(tuples), -1)
        place = choices.argmin(axis=1)
        least: _Array = choices[np.arange(len(tuples)), place]
        for k in reversed(new):
            place, tuples[:, k] = np.divmod(place, self._sizes[k])
        return least


def _broadcast(table: Table, scope: Sequence[int]) -> _Array:
    shape = iter(table.values.shape)
    return table.values.reshape([next(shape) if k in table.scope else 1 for k in scope])


def number_of_clique_tuples(cost: PairwiseCost) -> int:
    """Return how many entries the tables of all cliques have."""
    total = 0
    for nodes in components(cost):
        inside = set(nodes)
        edges = {edge: Table(edge, np.zeros((0, 0))) for edge in cost.edges if edge[0] in inside}
        total += sum(clique_sizes(make_buckets(nodes, edges), cost.shape))
    return total
