"""Contractions of a connected graph with cycles: messages along a tree of its cliques.

Nodes are eliminated one after another. The bucket of a node k has the edges to nodes that go later, and its
scope is k and all that k is joined to by then; its parent is the bucket of the first of those to go. Upward
messages sum k out of all that is below; downward ones sum out what the child does not know. As on a tree
(`_tree.py`), a walk keeps all of them up to date, so that each marginal that is visited is that of the
current potentials (Koller and Friedman 2009, sections 9.3 and 10.2; Fan, Haasler, Karlsson and Chen 2022).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from otfast.cost import Cost
from otfast.multimarginal._elimination import Table, elimination_order, sum_out
from otfast.multimarginal._potentials import Potentials
from otfast.progress import Monitor

_Array = NDArray[np.float64]


@dataclass
class _Bucket:
    node: int
    separator: tuple[int, ...]
    edges: list[Table] = field(default_factory=list)
    children: list[_Bucket] = field(default_factory=list)
    up: Table | None = None
    down: Table | None = None


class JunctionTree:
    """The contraction of a connected graph."""

    def __init__(
        self,
        nodes: Sequence[int],
        edges: Mapping[tuple[int, int], Cost],
        potentials: Potentials,
        monitor: Monitor | None,
    ) -> None:
        self.nodes = tuple(nodes)
        self._edges = edges
        self._potentials = potentials
        self._monitor = monitor
        self._sizes = [a.size for a in potentials.weights]
        neighbours: dict[int, set[int]] = {k: set() for k in nodes}
        for k, j in edges:
            neighbours[k].add(j)
            neighbours[j].add(k)
        buckets = {k: _Bucket(k, separator) for k, separator in elimination_order(neighbours)}
        self._order = list(buckets.values())
        position = {bucket.node: number for number, bucket in enumerate(self._order)}
        for bucket in self._order:
            if bucket.separator:
                parent = min(bucket.separator, key=position.__getitem__)
                buckets[parent].children.append(bucket)
        self._tables = {edge: _edge_table(edge, cost) for edge, cost in edges.items()}
        for (k, j), table in self._tables.items():
            buckets[min(k, j, key=position.__getitem__)].edges.append(table)

    def refresh(self) -> None:
        """Forget what was computed from other potentials."""
        for bucket in self._order:
            bucket.up = bucket.down = None

    def tour(self, update: bool) -> tuple[float, float]:
        """Measure every marginal, and update its potential if `update`; see `Unfolded.tour`."""
        root = self._order[-1]
        if any(bucket.up is None for bucket in self._order[:-1]):
            for bucket in self._order[:-1]:
                self._send_up(bucket)
        error = self._visit(root, update)
        softmin = self._sum(self._ups(root), (root.node,))
        return error, float(self._potentials.marginal(root.node, softmin).sum())

    def marginal(self, nodes: tuple[int, ...]) -> _Array:
        """Return the sums of the plan over all points but those of the nodes, one or two in rising order."""
        pots = self._potentials
        tables = [*self._tables.values(), *(self._node_table(k) for k in self.nodes)]
        return np.exp((-self._sum(tables, nodes) - pots.offset) / pots.epsilon)

    @property
    def linear_value(self) -> float:
        """⟨P, C⟩."""
        value = 0.0
        for (k, j), table in self._tables.items():
            plan = self.marginal((min(k, j), max(k, j)))
            value += float((plan * np.where(plan > 0.0, table.values, 0.0)).sum())
        return value

    def _visit(self, bucket: _Bucket, update: bool) -> float:
        k = bucket.node
        local = [*bucket.edges] + ([bucket.down] if bucket.down is not None else [])
        if bucket.children:
            # What the first child will be told says what the marginal of this node is.
            first = bucket.children[0]
            told = Table(first.separator, self._sum([*local, *self._ups(bucket, first)], first.separator))
            softmin = self._sum([told, *self._ups(bucket)[:1]], (k,))
        else:
            softmin = self._sum(local, (k,))
        error, _ = self._potentials.visit(k, softmin, update)
        for number, child in enumerate(bucket.children):
            own = self._node_table(k)
            below = [told, own] if number == 0 else [*local, own, *self._ups(bucket, child)]
            child.down = Table(child.separator, self._sum(below, child.separator))
            error = max(error, self._visit(child, update))
            if update:
                self._send_up(child)
        return error

    def _send_up(self, bucket: _Bucket) -> None:
        tables = [*bucket.edges, self._node_table(bucket.node), *self._ups(bucket)]
        bucket.up = Table(bucket.separator, self._sum(tables, bucket.separator))

    def _ups(self, bucket: _Bucket, but: _Bucket | None = None) -> list[Table]:
        return [child.up for child in bucket.children if child is not but and child.up is not None]

    def _node_table(self, k: int) -> Table:
        return Table((k,), -self._potentials.exponent(k))

    def _sum(self, tables: Sequence[Table], kept: tuple[int, ...]) -> _Array:
        return sum_out(tables, kept, self._sizes, self._potentials.epsilon, self._monitor)


def _edge_table(edge: tuple[int, int], cost: Cost) -> Table:
    k, j = edge
    values = np.asarray(cost.dense(), np.float64)
    return Table((min(k, j), max(k, j)), values if k < j else np.ascontiguousarray(values.T))
