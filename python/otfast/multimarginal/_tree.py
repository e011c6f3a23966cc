"""Contractions of a tree: a message along every edge, in either direction.

The message from k to l is what all points on k's side of the edge cost a point of l,

    m_{k→l}(i_l) = −ε log Σ_{i_k} a_k exp((f_k − Σ_{j ≠ l} m_{j→k} − C^{kl})/ε),

and the soft minimum of a node is the sum of the messages to it. A walk around the tree passes every edge
once in each direction, so that every message is up to date when its node is visited (Haasler, Singh, Zhang,
Karlsson and Chen 2021, section 3: "Multi-marginal optimal transport and probabilistic graphical models").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from otfast import _core
from otfast._entropic_result import EntropicCoupling, needs_double
from otfast.cost import Cost
from otfast.multimarginal._connected import Connected
from otfast.multimarginal._potentials import Potentials
from otfast.progress import Monitor

_Array = NDArray[np.float64]


class Tree(Connected):
    """The contraction of one connected tree, or of a node alone."""

    def __init__(
        self,
        nodes: Sequence[int],
        edges: Mapping[tuple[int, int], Cost],
        potentials: Potentials,
        monitor: Monitor | None,
    ) -> None:
        super().__init__(nodes, edges, potentials, monitor)
        self._neighbours: dict[int, list[int]] = {k: [] for k in nodes}
        for k, j in edges:
            self._neighbours[k].append(j)
            self._neighbours[j].append(k)
        self._wide = {edge: self._needs_double(cost) for edge, cost in edges.items()}
        self._walk = walk_of(self._neighbours, self.nodes[0])
        self._messages: dict[tuple[int, int], _Array] = {}
        self._guesses: dict[tuple[int, int], _Array] = {}

    def refresh(self) -> None:
        """Forget what was computed from other potentials."""
        self._messages.clear()

    def expect(self, messages: Mapping[tuple[int, int], _Array]) -> None:
        """Take these for what messages will be about, which makes them cheaper."""
        self._guesses.update((edge, messages[edge]) for edge in messages if edge[0] in self._neighbours)

    def tour(self, update: bool) -> tuple[float, float]:
        """Measure every marginal, and update its potential if `update`; see `Unfolded.tour`."""
        if not self._messages:
            for k, j, goes_down in self._walk:
                if not goes_down:
                    self._send(k, j)
        root = self.nodes[0]
        error = self._potentials.visit(root, self._softmin(root), update)[0]
        for k, j, goes_down in self._walk:
            if goes_down:
                self._send(k, j)
                error = max(error, self._potentials.visit(j, self._softmin(j), update)[0])
            elif update:
                self._send(k, j)
        return error, float(self._potentials.marginal(root, self._softmin(root)).sum())

    def marginal(self, nodes: tuple[int, ...]) -> _Array:
        """Return the sums of the plan over all points but those of the nodes, one or two in rising order.

        Between nodes that are far apart the plan is a Markov chain along the path.
        """
        if len(nodes) == 1:
            return self._potentials.marginal(nodes[0], self._softmin(nodes[0]))
        start, end = nodes
        path = self._path(start, end)
        plan = self._edge_plan(path[0], path[1]).dense().astype(np.float64, copy=False)
        if (path[0], path[1]) not in self._edges:
            plan = plan.T
        for k, j in pairwise(path[1:]):
            weights = self.marginal((k,))
            conditional = np.divide(plan, weights, out=np.zeros_like(plan), where=weights > 0.0)
            edge = self._edge_plan(k, j)
            step = edge.apply_transpose if (k, j) in self._edges else edge.apply
            plan = step(np.ascontiguousarray(conditional.T)).T.astype(np.float64, copy=False)
        return plan

    @property
    def linear_value(self) -> float:
        """⟨P, C⟩, from the pair marginals of the edges."""
        return sum(self._edge_plan(k, j).linear_value for k, j in self._edges)

    def _edge_plan(self, k: int, j: int) -> EntropicCoupling:
        """Return the pair marginal of an edge, in the order in which its cost was given."""
        pots = self._potentials
        k, j = (k, j) if (k, j) in self._edges else (j, k)
        f, g = pots.f[k] - self._incoming(k, j) - pots.offset, pots.f[j] - self._incoming(j, k)
        # Points without a way have no mass either; their potentials need only be numbers.
        a, b = (np.where(np.isfinite(h), w, 0.0) for h, w in ((f, pots.weights[k]), (g, pots.weights[j])))
        f, g = (np.where(np.isfinite(h), h, 0.0) for h in (f, g))
        return EntropicCoupling(self._edges[k, j], a, b, f, g, pots.epsilon, self._wide[k, j])

    def _path(self, start: int, end: int) -> list[int]:
        parent = {j: k for k, j, goes_down in walk_of(self._neighbours, start) if goes_down}
        path = [end]
        while path[-1] != start:
            path.append(parent[path[-1]])
        return path[::-1]

    def _softmin(self, k: int) -> _Array:
        return self._incoming(k, None)

    def _incoming(self, k: int, but: int | None) -> _Array:
        total = np.zeros(self._potentials.weights[k].size)
        for j in self._neighbours[k]:
            if j != but:
                total += self._messages[j, k]
        return total

    def _send(self, k: int, to: int) -> None:
        h = self._potentials.exponent(k) - self._incoming(k, to)
        # softmin takes sums over columns unless it is told to take those over rows.
        edge, transpose = ((k, to), True) if (k, to) in self._edges else ((to, k), False)
        cost, epsilon, guess = self._edges[edge].core, self._potentials.epsilon, self._guesses.get((k, to))
        message = _core.softmin(cost, h, epsilon, self._wide[edge], transpose, self._monitor, guess)
        self._messages[k, to] = self._guesses[k, to] = message

    def _needs_double(self, cost: Cost) -> bool:
        low, high = cost.bounds()
        return needs_double(cost.dtype, high - low, self._potentials.epsilon)


def walk_of(neighbours: Mapping[int, Sequence[int]], root: int) -> list[tuple[int, int, bool]]:
    """Return the steps (from, to, whether it goes away from the root) of a walk around a tree."""
    walk: list[tuple[int, int, bool]] = []
    stack = [(root, iter(neighbours[root]))]
    while stack:
        k, rest = stack[-1]
        parent = stack[-2][0] if len(stack) > 1 else None
        for j in rest:
            if j != parent:
                walk.append((k, j, True))
                stack.append((j, iter(neighbours[j])))
                break
        else:
            stack.pop()
            if parent is not None:
                walk.append((k, parent, False))
    return walk
