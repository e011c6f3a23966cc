"""Costs that are sums over pairs of points: the edges of a graph."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otfast._validation import FloatArray, check_count
from otfast.cost import Cost, DenseCost, as_cost
from otfast.multimarginal._memory import check_memory
from otfast.multimarginal._multi_cost import MultiCost, as_list

__all__ = ["PairwiseCost"]

_FLOAT32 = np.dtype(np.float32)


class PairwiseCost(MultiCost):
    r"""A sum of costs of two points over the edges of a graph.

    .. math:: C(i_0, \dots, i_{K-1}) = \sum_{(k, l)} C^{kl}(i_k, i_l)

    Parameters
    ----------
    n_nodes : int
        The number K of points.
    edges : mapping from (k, l) to array_like, shape (n_k, n_l), or Cost
        The costs C^{kl}, in either order of the nodes. Those of a `PointCloud` are never stored as long as
        the graph is a forest.
    sizes : sequence of int or None, optional
        The numbers n_k of points; only needed for nodes without an edge whose marginal is None.

    Raises
    ------
    ValueError
        If an edge is malformed, occurs in both orders, or does not fit the size of a node.

    Notes
    -----
    The precision is `float32` if all costs have it. Contractions take two passes over every edge of a forest,
    O(K n³) time on a cycle, and O(K n^{w+1}) time and O(n^w) memory on a graph of treewidth w; on a complete
    graph the tensor is formed. What that comes to is known before anything is computed: a graph whose
    treewidth is too large for this machine raises `ValueError`, with an estimate. The graph need not be
    connected: its parts are independent of each other, and so are nodes without an edge.

    Examples
    --------
    >>> import numpy as np
    >>> from otfast.multimarginal import PairwiseCost
    >>> PairwiseCost(3, {(0, 1): np.ones((4, 5)), (2, 1): np.ones((6, 5))})
    <PairwiseCost 4 x 5 x 6, 2 edges, float64>
    """

    def __init__(
        self,
        n_nodes: int,
        edges: Mapping[tuple[int, int], ArrayLike | Cost],
        sizes: Sequence[int | None] | None = None,
    ) -> None:
        n_nodes = check_count("n_nodes", n_nodes)
        known: list[int | None] = [None] * n_nodes
        if sizes is not None:
            given = as_list("sizes", sizes)
            known = [None if n is None else check_count(f"sizes[{k}]", n) for k, n in enumerate(given)]
        if len(known) != n_nodes:
            raise ValueError(f"sizes must be {n_nodes} numbers, one for each node, not {len(known)}")
        self._edges: dict[tuple[int, int], Cost] = {}
        if not isinstance(edges, Mapping):
            raise ValueError(
                f"edges must map pairs of nodes to costs, like a dict, not {type(edges).__name__}"
            )
        for edge, C in edges.items():
            k, j = _check_edge(edge, n_nodes)
            if (j, k) in self._edges:
                raise ValueError(f"edge {edge!r} is given twice, in both orders; add the costs up")
            try:
                cost = as_cost(C)
            except ValueError as error:
                raise ValueError(f"the cost of edge {edge!r} is malformed: {error}") from None
            for node, size in zip((k, j), cost.shape, strict=True):
                if known[node] not in (None, size):
                    raise ValueError(
                        f"node {node} has {known[node]} points, but the cost of edge {edge!r} has {size} "
                        "for it"
                    )
                known[node] = size
            self._edges[k, j] = cost
        self._sizes = known
        dtypes = {cost.dtype for cost in self._edges.values()}
        self._dtype: np.dtype[np.floating[Any]] = _FLOAT32 if dtypes == {_FLOAT32} else np.dtype(np.float64)

    @property
    def edges(self) -> dict[tuple[int, int], Cost]:
        """The costs of the edges, in the order of their nodes that was given."""
        return dict(self._edges)

    @property
    def ndim(self) -> int:
        """The number K of points."""
        return len(self._sizes)

    @property
    def shape(self) -> tuple[int, ...]:
        """The numbers of points, (n_0, …, n_{K−1}); raises `ValueError` where one is unknown."""
        for node, size in enumerate(self._sizes):
            if size is None:
                raise ValueError(
                    f"node {node} has no edge, and so the number of its points is unknown: give its marginal "
                    "as an array, or sizes="
                )
        return tuple(size for size in self._sizes if size is not None)

    def with_sizes(self, sizes: Sequence[int | None]) -> PairwiseCost:
        """Return the same cost, where nodes without an edge have the sizes that are given."""
        known = (own if own is not None else size for own, size in zip(self._sizes, sizes, strict=True))
        return PairwiseCost(self.ndim, self._edges, list(known))

    @property
    def dtype(self) -> np.dtype[np.floating[Any]]:
        """The precision of the entries, and of results: `float32` or `float64`."""
        return self._dtype

    def unfold(self, leading: int) -> Cost:
        """Return the tensor as a matrix, which is formed here: rows are tuples of the first points."""
        rows = int(np.prod(self.shape[:leading]))
        return DenseCost(self.dense().reshape(rows, -1))

    def dense(self) -> FloatArray:
        """Return the whole tensor; raises `ValueError` if it does not fit into memory."""
        check_memory("the tensor of costs", self.shape, self._dtype.itemsize)
        tensor = np.zeros(self.shape, self._dtype)
        for (k, j), cost in self._edges.items():
            matrix = cost.dense() if k < j else cost.dense().T
            axes = [1] * self.ndim
            axes[k], axes[j] = self.shape[k], self.shape[j]
            tensor += matrix.reshape(axes)
        return tensor

    def entries(self, indices: NDArray[np.integer[Any]]) -> FloatArray:
        """Return the entries at the rows of `indices` `(m, K)`, shape `(m,)`."""
        columns = np.ascontiguousarray(np.asarray(indices, np.int64).T)
        total = np.zeros(columns.shape[1], self._dtype)
        for (k, j), cost in self._edges.items():
            total += cost.core.entries(columns[k], columns[j])
        return total

    def bounds(self) -> tuple[float, float]:
        """Return numbers between which all finite entries lie: the sums of those of the edges."""
        each = [cost.bounds() for cost in self._edges.values()]
        return sum(low for low, _ in each), sum(high for _, high in each)

    def price(self, potentials: Sequence[NDArray[np.float64]]) -> tuple[NDArray[np.int64], float]:
        """Find the tuples of least reduced cost through every point, see `MultiCost.price`.

        Minima are taken along a junction tree, in time and memory n^{w+1} on a graph of treewidth w.
        """
        from otfast.multimarginal import _graph_pricing  # which knows this class

        if _graph_pricing.number_of_clique_tuples(self) < math.prod(self.shape):
            return _graph_pricing.price_graph(self, potentials)
        return super().price(potentials)

    def __repr__(self) -> str:
        shape = " x ".join("?" if size is None else str(size) for size in self._sizes)
        return f"<PairwiseCost {shape}, {len(self._edges)} edges, {self.dtype}>"


def _check_edge(edge: Any, n_nodes: int) -> tuple[int, int]:
    try:
        k, j = (operator.index(node) for node in edge)
    except (TypeError, ValueError):
        raise ValueError(f"an edge must be a pair of nodes, not {edge!r}") from None
    if not (0 <= k < n_nodes and 0 <= j < n_nodes) or k == j:
        raise ValueError(f"an edge must join two of the nodes 0 … {n_nodes - 1}, not {edge!r}")
    return k, j
