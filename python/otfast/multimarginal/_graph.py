"""Contractions of a sum over the edges of a graph: its connected parts, one by one."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from otfast._validation import FloatArray
from otfast.multimarginal._connected import Connected
from otfast.multimarginal._junction_tree import JunctionTree
from otfast.multimarginal._memory import check_memory
from otfast.multimarginal._multi_cost import outer_sum
from otfast.multimarginal._potentials import LARGEST_EXPONENT, Potentials
from otfast.multimarginal._tree import Tree
from otfast.multimarginal.pairwise import PairwiseCost
from otfast.progress import Monitor

_Array = NDArray[np.float64]


class Graph:
    """The contraction of a `PairwiseCost` that is not complete."""

    def __init__(
        self,
        cost: PairwiseCost,
        potentials: Potentials,
        monitor: Monitor | None,
        messages: Mapping[tuple[int, int], _Array] | None = None,
    ) -> None:
        """`messages` are what those of trees will be about, if that is known."""
        self._potentials = potentials
        self._cost = cost
        self.parts: list[Connected] = []
        for nodes in components(cost):
            edges = {edge: C for edge, C in cost.edges.items() if edge[0] in nodes}
            if len(edges) < len(nodes):
                tree = Tree(nodes, edges, potentials, monitor)
                tree.expect(messages or {})
                self.parts.append(tree)
            else:
                self.parts.append(JunctionTree(nodes, edges, potentials, monitor))
        self._log_mass = [0.0] * len(self.parts)
        self.refresh()

    def refresh(self) -> None:
        """Forget what was computed from other potentials."""
        self._potentials.offset = 0.0
        for number, part in enumerate(self.parts):
            part.refresh()
            if len(self.parts) > 1:
                self._log_mass[number] = _log(part.tour(False)[1])

    def tour(self, update: bool) -> tuple[float, float]:
        """Measure every marginal, and update its potential if `update`; see `Unfolded.tour`."""
        error = mass = 0.0
        for number, part in enumerate(self.parts):
            others = self._weigh_others(number)
            of_part, mass = part.tour(update)
            error = max(error, of_part)
            self._log_mass[number] = _log(mass) - others
        return error, mass

    def settle(self) -> None:
        """Nothing is left to do for points of no weight: tours update them, too."""

    def marginal(self, nodes: tuple[int, ...]) -> _Array:
        """Return the sums of the plan over all points but those of the nodes, one or two in rising order."""
        homes = [next(n for n, part in enumerate(self.parts) if k in part.nodes) for k in nodes]
        if len(set(homes)) == 1:
            self._weigh_others(homes[0])
            return self.parts[homes[0]].marginal(nodes)
        marginals = [self.marginal((k,)) for k in nodes]
        mass = math.exp(sum(self._log_mass))
        pair: _Array = np.multiply.outer(*marginals)
        return pair / mass if mass > 0.0 else pair

    @property
    def linear_value(self) -> float:
        """⟨P, C⟩."""
        value = 0.0
        for number, part in enumerate(self.parts):
            self._weigh_others(number)
            value += part.linear_value
        return value

    def coupling(self) -> GraphCoupling:
        """Return the plan of the potentials."""
        return GraphCoupling(self._cost, self._potentials)

    def _weigh_others(self, number: int) -> float:
        """Let a part see the mass of all others as a constant factor; return its logarithm."""
        others = sum(self._log_mass[:number]) + sum(self._log_mass[number + 1 :])
        self._potentials.offset = -self._potentials.epsilon * others
        return others


class GraphCoupling:
    """The plan of a `PairwiseCost`: potentials and the costs of the edges."""

    def __init__(self, cost: PairwiseCost, potentials: Potentials) -> None:
        self.shape = cost.shape
        self._cost = cost
        self._potentials = potentials
        self._graph: Graph | None = None

    @property
    def linear_value(self) -> float:
        """⟨P, C⟩, from the pair marginals of the edges."""
        return self._contracted().linear_value

    def dense(self) -> FloatArray:
        """Return P as an array."""
        check_memory("the plan", self.shape, 8)
        pots = self._potentials
        exponent = outer_sum([pots.exponent(k) for k in range(len(self.shape))])
        exponent = np.minimum((exponent - self._cost.dense()) / pots.epsilon, LARGEST_EXPONENT)
        plan: FloatArray = np.exp(exponent)
        return plan.astype(self._cost.dtype, copy=False)

    def marginal(self, nodes: tuple[int, ...]) -> FloatArray:
        """Return the sums over all points but those of the nodes, which are in rising order."""
        return self._contracted().marginal(nodes).astype(self._cost.dtype, copy=False)

    def _contracted(self) -> Graph:
        if self._graph is None:
            self._graph = Graph(self._cost, self._potentials, None)
            self._graph.tour(False)
        return self._graph

    def __getstate__(self) -> dict[str, object]:
        return vars(self) | {"_graph": None}


def components(cost: PairwiseCost) -> list[list[int]]:
    """Return the connected parts of the graph of a cost, each with its nodes in rising order."""
    neighbours: dict[int, list[int]] = {k: [] for k in range(cost.ndim)}
    for k, j in cost.edges:
        neighbours[k].append(j)
        neighbours[j].append(k)
    parts = []
    seen: set[int] = set()
    for start in neighbours:
        if start in seen:
            continue
        part, stack = {start}, [start]
        while stack:
            new = set(neighbours[stack.pop()]) - part
            part |= new
            stack.extend(new)
        seen |= part
        parts.append(sorted(part))
    return parts


def _log(mass: float) -> float:
    return math.log(mass) if mass > 0.0 else -1e300


def is_complete(cost: PairwiseCost) -> bool:
    """Whether there is an edge between any two of at least four nodes: nothing is gained by elimination.

    On a triangle products of matrices are faster than passes over the tensor.
    """
    K = cost.ndim
    return K > 3 and 2 * len(cost.edges) == K * (K - 1)
