"""Histograms on the vertices of a graph, from those that are known."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from otfast._entropic_result import check_status
from otfast._entropic_validation import check_epsilon, check_tol
from otfast._validation import FloatArray, as_array, check_count
from otfast.barycenter._kernels import LogSums, log_sums_of
from otfast.barycenter._validation import check_measures, check_symmetric
from otfast.cost import Cost, as_cost
from otfast.errors import InfeasibleError
from otfast.progress import Progress, Reporter
from otfast.result import to_scalar

__all__ = ["Propagation", "propagate"]

_Array = NDArray[np.float64]
_Places = NDArray[np.intp]

_LN2 = math.log(2.0)


@dataclass(frozen=True, eq=False, repr=False)
class Propagation:
    """Histograms on all vertices of a graph.

    Attributes
    ----------
    histograms : ndarray, shape (n_vertices, n)
        All of one mass; those that were given are returned as they are.
    value : float
        The objective.
    converged : bool
        Whether the solver reached its tolerance.
    n_iter : int
        The number of iterations.
    error : float
        The largest L1 difference between a histogram and the marginal of a plan of one of its edges, relative
        to the mass, as the last iteration found them.
    history : ndarray
        That error after every iteration.
    """

    histograms: FloatArray
    value: float
    converged: bool
    n_iter: int
    error: float
    history: _Array

    def __repr__(self) -> str:
        vertices, n = self.histograms.shape
        state = "converged" if self.converged else "not converged"
        return (
            f"Propagation({vertices} vertices, n={n}, value={self.value:.6g}, {state} after {self.n_iter} "
            f"iterations, error={self.error:.2e})"
        )


def propagate(
    edges: Sequence[Sequence[float]] | sparse.sparray | sparse.spmatrix,
    fixed: Mapping[int, ArrayLike],
    C: ArrayLike | Cost,
    *,
    epsilon: float,
    tol: float | None = None,
    max_iter: int = 10_000,
    callback: Callable[[Progress], Any] | None = None,
    progress: bool = False,
) -> Propagation:
    r"""Fill in histograms on the vertices of a graph, so that those of neighbours are near.

    .. math:: \min_{p} \sum_{(i, j) \in E} \omega_{ij} \min_{P_{ij} \in \Pi(p_i, p_j)}
        \langle P_{ij}, C \rangle + \varepsilon \sum P_{ij} \log P_{ij}

    with p given on some vertices. A star whose leaves are given is a barycenter; on a path the histograms
    are those of a displacement interpolation, at times that follow the resistances 1/ω.

    Parameters
    ----------
    edges : sequence of (i, j) or (i, j, ω), or sparse array
        The edges of an undirected graph, with weights ω > 0 (default 1), or its adjacency matrix; of an
        adjacency both triangles are read, and must agree where both are there. Vertices are numbered from 0.
    fixed : dict of int to array_like, shape (n,)
        The histograms that are given, of one mass.
    C : array_like, shape (n, n), or Cost
        The cost between the points of the support, symmetric. A `Grid` acts axis by axis.
    epsilon : float
        The temperature ε > 0.
    tol : float, optional
        The error at which to stop; 1e-6 by default, 1e-5 in single precision. With 0, exactly `max_iter`
        iterations are made.
    max_iter : int, default 10_000
        Largest number of iterations: sweeps over all vertices. Information moves by an edge in each of them.
    callback : callable, optional
        Called with a `Progress` after every iteration; returning True stops the solver.
    progress : bool, default False
        Whether to show a progress bar.

    Returns
    -------
    Propagation

    Raises
    ------
    ValueError
        If an argument is malformed, or if a part of the graph has no given histogram.
    InfeasibleError
        If forbidden pairs leave no solution.

    Warns
    -----
    ConvergenceWarning
        If `max_iter` or the callback ends the work early.

    Notes
    -----
    Bregman projections, a vertex after another: the marginals at its edges are replaced by their geometric
    mean, weighted with ω, or by what is given. Vertices without common edges are projected at once, in one
    product of the kernel with all of their edges; two such products for each edge and iteration.

    References
    ----------
    .. [1] Solomon, Rustamov, Guibas and Butscher, "Wasserstein propagation for semi-supervised learning",
       2014.
    .. [2] Solomon et al., "Convolutional Wasserstein distances", 2015: algorithm 4.

    Examples
    --------
    >>> import numpy as np, otfast as otf
    >>> x = np.linspace(0.0, 1.0, 9)
    >>> result = otf.barycenter.propagate(
    ...     [(0, 1), (1, 2)], {0: np.eye(9)[1], 2: np.eye(9)[7]}, otf.Grid(x), epsilon=1e-3
    ... )
    >>> result.histograms[1].round(3)
    array([0., 0., 0., 0., 1., 0., 0., 0., 0.])
    """
    cost = as_cost(C)
    check_symmetric(cost, "propagate")
    n = cost.shape[0]
    ends, weights, vertices = _read_edges(edges)
    known, mass, dtype = _read_fixed(fixed, n)
    vertices = max(vertices, max(known) + 1)
    _check_reach(ends, vertices, known)
    epsilon = check_epsilon(epsilon, cost.bounds(), cost.dtype)
    dtype = np.result_type(dtype, cost.dtype)
    tol = check_tol(tol, dtype)
    max_iter = check_count("max_iter", max_iter)
    with (
        Reporter(callback, progress, "propagate") as reporter,
        np.errstate(divide="ignore", invalid="ignore"),
    ):
        sweeps = _Sweeps(
            log_sums_of(cost, epsilon, reporter.repeater), ends, weights, known, mass, vertices, n
        )
        history: list[float] = []
        status = "iteration_limit"
        for iteration in range(1, max_iter + 1):
            history.append(sweeps.run())
            if tol > 0.0 and history[-1] <= tol:
                status = "optimal"
            value = epsilon * _LN2 * sweeps.value() if reporter.monitor is not None else math.nan
            if reporter.monitor is not None and reporter.monitor(iteration, history[-1], value):
                status = "stopped"
            if status != "iteration_limit":
                break
        value = epsilon * _LN2 * sweeps.value()
    check_status(status, tol, history[-1])
    return Propagation(
        histograms=sweeps.histograms().astype(dtype),
        value=to_scalar(value, dtype),
        converged=status == "optimal",
        n_iter=len(history),
        error=history[-1],
        history=np.array(history),
    )


class _Sweeps:
    """The scalings of both ends of all edges: P_e = diag(2^s_0e) exp(−C/ε) diag(2^s_1e).

    Logarithms have base 2. Half-edges are numbered 2 e and 2 e + 1; the other half of h is h ^ 1.
    """

    def __init__(
        self,
        log_sums: LogSums,
        ends: _Places,
        weights: _Array,
        known: Mapping[int, _Array],
        mass: float,
        vertices: int,
        n: int,
    ) -> None:
        self._log_sums = log_sums
        self._mass = mass
        self._vertex = ends.ravel()
        self._weight = np.repeat(weights, 2)
        self._known = known
        self._scaling = np.zeros((self._vertex.size, n))
        self._log_p = np.full((vertices, n), math.log2(mass / n))
        for vertex, histogram in known.items():
            self._log_p[vertex] = np.log2(histogram)
        self._groups = [self._group(colour) for colour in _colours(ends, vertices)]

    def run(self) -> float:
        """Project on all vertices; returns by how much marginals differed from the histograms they got."""
        return max((self._project(*group) for group in self._groups), default=0.0) / self._mass

    def histograms(self) -> _Array:
        """Return the histograms, those that are known as they were given."""
        histograms: _Array = np.exp2(self._log_p)
        for vertex, histogram in self._known.items():
            histograms[vertex] = histogram
        return histograms

    def value(self) -> float:
        """Return Σ ω (⟨P, C⟩/ε + Σ P log P) / log 2, where the logarithms of P cancel the cost."""
        total = 0.0
        for half in range(2):
            halves = np.arange(half, self._vertex.size, 2)
            scaling = self._scaling[halves]
            marginal = np.exp2(scaling + self._log_sums(self._scaling[halves ^ 1], half == 1))
            total += float(self._weight[halves] @ np.where(marginal > 0.0, marginal * scaling, 0.0).sum(1))
        return total

    def _group(self, colour: _Places) -> tuple[_Places, _Places, sparse.csr_array]:
        """Return the half-edges at vertices of one colour, those vertices, and the mean over each of them."""
        halves = np.flatnonzero(np.isin(self._vertex, colour))
        free = np.array([v for v in colour if v not in self._known], np.intp)
        place = {int(vertex): at for at, vertex in enumerate(free)}
        own = np.array([h for h in range(halves.size) if int(self._vertex[halves[h]]) in place], np.intp)
        rows = np.array([place[int(self._vertex[halves[h]])] for h in own], np.intp)
        weights = self._weight[halves[own]]
        totals = np.bincount(rows, weights, minlength=free.size)
        mean = sparse.csr_array((weights / totals[rows], (rows, own)), shape=(free.size, halves.size))
        return halves, free, mean

    def _project(self, halves: _Places, free: _Places, mean: sparse.csr_array) -> float:
        if halves.size == 0:
            return 0.0
        product = self._log_sums(np.ascontiguousarray(self._scaling[halves ^ 1]), False)
        marginal = self._scaling[halves] + product
        if free.size > 0:
            # 0 · (−∞) must not be: a mean with a zero in it is zero.
            is_zero = marginal == -math.inf
            log_p = mean @ np.where(is_zero, 0.0, marginal)
            log_p[(mean @ is_zero.astype(np.float64)) > 0.0] = -math.inf
            top = log_p.max(-1, keepdims=True)
            self._log_p[free] = (
                log_p - top + np.log2(self._mass / np.exp2(log_p - top).sum(-1, keepdims=True))
            )
        target = self._log_p[self._vertex[halves]]
        if not np.isfinite(target.max(-1)).all() or (product[target > -math.inf] == -math.inf).any():
            raise InfeasibleError("a histogram has mass without a way to a neighbour: costs in C are +inf")
        self._scaling[halves] = np.where(target > -math.inf, target - product, -math.inf)
        return float(np.abs(np.exp2(marginal) - np.exp2(target)).sum(-1).max())


def _colours(ends: _Places, vertices: int) -> list[_Places]:
    """Return groups of vertices without edges between them, so few as a greedy choice makes them."""
    neighbours: list[list[int]] = [[] for _ in range(vertices)]
    for i, j in ends:
        neighbours[i].append(int(j))
        neighbours[j].append(int(i))
    colour = np.full(vertices, -1)
    for vertex in sorted(range(vertices), key=lambda v: -len(neighbours[v])):
        taken = {int(colour[other]) for other in neighbours[vertex]}
        colour[vertex] = next(c for c in range(vertices + 1) if c not in taken)
    return [np.flatnonzero(colour == c) for c in range(int(colour.max(initial=-1)) + 1)]


def _read_edges(edges: Any) -> tuple[_Places, _Array, int]:
    """Return the ends and weights of the edges, and how many vertices they speak of."""
    if sparse.issparse(edges):
        return *_read_adjacency(edges), edges.shape[0]
    rows = [tuple(edge) for edge in edges]
    if not rows or any(len(row) not in (2, 3) for row in rows):
        raise ValueError("edges must be a non-empty list of (i, j) or (i, j, weight), or a sparse adjacency")
    ends = np.array([row[:2] for row in rows])
    if not np.issubdtype(ends.dtype, np.integer):
        raise ValueError("edges must join integers, the numbers of vertices")
    weights = as_array("edges", [row[2] if len(row) == 3 else 1.0 for row in rows]).astype(np.float64)
    checked = _check_edges(ends.astype(np.intp), weights)
    return *checked, int(ends.max()) + 1


def _read_adjacency(adjacency: Any) -> tuple[_Places, _Array]:
    if adjacency.shape[0] != adjacency.shape[1]:
        raise ValueError(f"edges must be a square adjacency, not one of shape {adjacency.shape}")
    entries = sparse.coo_array(adjacency)
    lower, upper = sparse.csr_array(sparse.tril(entries)), sparse.csr_array(sparse.triu(entries))
    if lower.nnz and upper.nnz and abs(upper - lower.T).max() > 1e-12 * abs(entries).max():
        raise ValueError("edges must be a symmetric adjacency, or one triangle of it")
    half = sparse.coo_array(upper if upper.nnz else lower)
    half.eliminate_zeros()
    weights = as_array("edges", half.data).astype(np.float64)
    return _check_edges(np.stack([half.row, half.col], axis=1).astype(np.intp), weights)


def _check_edges(ends: _Places, weights: _Array) -> tuple[_Places, _Array]:
    if ends.size == 0:
        raise ValueError("edges must not be empty")
    if (ends < 0).any():
        raise ValueError("edges must join vertices that are numbered from 0")
    if (ends[:, 0] == ends[:, 1]).any():
        loop = int(ends[np.argmax(ends[:, 0] == ends[:, 1]), 0])
        raise ValueError(f"edges must join different vertices, but there is one from {loop} to {loop}")
    if not (np.isfinite(weights) & (weights > 0.0)).all():
        raise ValueError("edges must have finite weights greater than 0")
    return ends, weights


def _read_fixed(fixed: Mapping[int, ArrayLike], n: int) -> tuple[dict[int, _Array], float, np.dtype[Any]]:
    if not isinstance(fixed, Mapping) or not fixed:
        raise ValueError("fixed must be a non-empty dict of vertices to histograms")
    if any(not isinstance(vertex, int | np.integer) or vertex < 0 for vertex in fixed):
        raise ValueError("fixed must have the numbers of vertices as its keys")
    histograms = [as_array(f"fixed[{vertex}]", histogram) for vertex, histogram in fixed.items()]
    for vertex, histogram in zip(fixed, histograms, strict=True):
        if histogram.shape != (n,):
            raise ValueError(
                f"fixed[{vertex}] must have the shape ({n},), but its shape is {histogram.shape}"
            )
    balanced, mass = check_measures("fixed", histograms, [int(vertex) for vertex in fixed])
    known = {int(vertex): histogram for vertex, histogram in zip(fixed, balanced, strict=True)}
    return known, mass, np.result_type(*(histogram.dtype for histogram in histograms))


def _check_reach(ends: _Places, vertices: int, known: Mapping[int, _Array]) -> None:
    """Raise unless every vertex is joined to one that is given."""
    ones = np.ones(len(ends))
    graph = sparse.coo_array((ones, (ends[:, 0], ends[:, 1])), shape=(vertices, vertices))
    _, part = sparse.csgraph.connected_components(graph, directed=False)
    lost = ~np.isin(part, part[list(known)])
    if lost.any():
        raise ValueError(
            "fixed must give a histogram to every part of the graph, but none is joined to vertex "
            f"{int(np.argmax(lost))}"
        )
