"""Contractions of a connected graph with cycles: messages along a tree of its cliques.

Nodes are eliminated one after another. The bucket of a node k has the edges to nodes that go later, and its
scope is k and all that k is joined to by then; its parent is the bucket of the first of those to go. Upward
messages sum k out of all that is below; downward ones sum out what the child does not know. As on a tree
(`_tree.py`), a walk keeps all of them up to date, so that each marginal that is visited is that of the
current potentials (Koller and Friedman 2009, sections 9.3 and 10.2; Fan, Haasler, Karlsson and Chen 2022).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from otfast.cost import Cost
from otfast.multimarginal._connected import Connected
from otfast.multimarginal._elimination import Table, elimination_order, sum_out
from otfast.multimarginal._memory import check_work
from otfast.multimarginal._potentials import LARGEST_EXPONENT, Potentials
from otfast.progress import Monitor

_Array = NDArray[np.float64]


@dataclass
class Bucket:
    """A clique of the graph: a node and those it is joined to when it is eliminated."""

    node: int
    separator: tuple[int, ...]
    edges: list[Table] = field(default_factory=list)
    children: list[Bucket] = field(default_factory=list)
    up: Table | None = None
    down: Table | None = None


class JunctionTree(Connected):
    """The contraction of a connected graph."""

    def __init__(
        self,
        nodes: Sequence[int],
        edges: Mapping[tuple[int, int], Cost],
        potentials: Potentials,
        monitor: Monitor | None,
    ) -> None:
        super().__init__(nodes, edges, potentials, monitor)
        self._sizes = [a.size for a in potentials.weights]
        # Before anything is made that takes memory.
        check_elimination(make_buckets(nodes, {edge: _no_table(edge) for edge in edges}), self._sizes)
        self._tables = {edge: edge_table(edge, cost) for edge, cost in edges.items()}
        self._order = make_buckets(nodes, self._tables)

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
        exponent = (-self._sum(tables, nodes) - pots.offset) / pots.epsilon
        return np.exp(np.minimum(exponent, LARGEST_EXPONENT))

    @property
    def linear_value(self) -> float:
        """⟨P, C⟩."""
        value = 0.0
        for (k, j), table in self._tables.items():
            plan = self.marginal((min(k, j), max(k, j)))
            value += float((plan * np.where(plan > 0.0, table.values, 0.0)).sum())
        return value

    def _visit(self, bucket: Bucket, update: bool) -> float:
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

    def _send_up(self, bucket: Bucket) -> None:
        tables = [*bucket.edges, self._node_table(bucket.node), *self._ups(bucket)]
        bucket.up = Table(bucket.separator, self._sum(tables, bucket.separator))

    def _ups(self, bucket: Bucket, but: Bucket | None = None) -> list[Table]:
        return [child.up for child in bucket.children if child is not but and child.up is not None]

    def _node_table(self, k: int) -> Table:
        return Table((k,), -self._potentials.exponent(k))

    def _sum(self, tables: Sequence[Table], kept: tuple[int, ...]) -> _Array:
        return sum_out(tables, kept, self._sizes, self._potentials.epsilon, self._monitor)


def make_buckets(nodes: Sequence[int], tables: Mapping[tuple[int, int], Table]) -> list[Bucket]:
    """Return the buckets of a connected graph with its edges in them, children first, the root last."""
    neighbours: dict[int, set[int]] = {k: set() for k in nodes}
    for k, j in tables:
        neighbours[k].add(j)
        neighbours[j].add(k)
    buckets = {k: Bucket(k, separator) for k, separator in elimination_order(neighbours)}
    order = list(buckets.values())
    position = {bucket.node: number for number, bucket in enumerate(order)}
    for bucket in order:
        if bucket.separator:
            parent = min(bucket.separator, key=position.__getitem__)
            buckets[parent].children.append(bucket)
    for (k, j), table in tables.items():
        buckets[min(k, j, key=position.__getitem__)].edges.append(table)
    return order


def clique_sizes(order: Sequence[Bucket], sizes: Sequence[int]) -> list[int]:
    """Return the number of tuples of every clique."""
    return [math.prod(sizes[k] for k in (bucket.node, *bucket.separator)) for bucket in order]


def check_elimination(order: Sequence[Bucket], sizes: Sequence[int]) -> None:
    """Raise `ValueError` with an estimate if contractions take more memory or time than there is."""
    width = max(len(bucket.separator) for bucket in order)
    # Two messages for every clique, and one that is being put into order.
    separators = [math.prod(sizes[k] for k in bucket.separator) for bucket in order]
    check_work(
        f"contractions of this graph, whose treewidth is about {width},",
        8 * (2 * sum(separators) + max(separators)),
        2 * sum(clique_sizes(order, sizes)),
    )


def _no_table(edge: tuple[int, int]) -> Table:
    return Table(edge, np.zeros((0, 0)))


def edge_table(edge: tuple[int, int], cost: Cost) -> Table:
    k, j = edge
    values = np.asarray(cost.dense(), np.float64)
    return Table((min(k, j), max(k, j)), values if k < j else np.ascontiguousarray(values.T))
