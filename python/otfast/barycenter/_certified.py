"""Exact barycenters on a fixed support: from a good start to bounds of the optimum on both sides."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from otfast import _core
from otfast.barycenter._forbidden import find_plan
from otfast.barycenter._interior_point import interior_point, work_estimate
from otfast.barycenter._linear_program import Pairs, ProgramSolution, all_pairs, linear_program
from otfast.barycenter._smoothed_dual import smoothed_duals
from otfast.cost import Cost
from otfast.errors import InfeasibleError
from otfast.exact import emd
from otfast.progress import Monitor
from otfast.result import Transport

__all__ = ["Certified", "solve"]

_Array = NDArray[np.float64]

#: Pairs in all up to which HiGHS solves the whole program at once.
_FEW_PAIRS = 4000

#: Operations of one interior-point iteration up to which it is the way: a fraction of a second, or, where the
#: tolerance is out of reach of smoothing, some seconds. And bytes.
_MOST_OPERATIONS = 3e9
_MOST_OPERATIONS_FINE = 1e11
_FINE = 1e-4
_MOST_MEMORY = 2e9

#: Iterations where none are given: an interior point takes less than half of the first number, temperatures
#: end before the second.
_INTERIOR_ITERATIONS = 100
_SMOOTHED_ITERATIONS = 10_000

#: What the interior point aims at, relative to the tolerance: the rest is for its rounding.
_INTERIOR_SHARE = 0.1

#: Reduced costs, in units of the value per mass or of the spread of the costs, of the pairs that a restricted
#: program starts from; how many pairs it may have, and how often it may be extended.
_NEARLY_ACTIVE = 1e-6
_MOST_PAIRS = 50_000
_ROUNDS = 10

#: Entries of all costs that are searched for pairs that are not forbidden.
_MOST_ENTRIES = 1 << 24

#: Rows of a cost that are read together, in entries.
_BLOCK_SIZE = 1 << 22

_EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, eq=False)
class Certified:
    """A barycenter with bounds of the optimal value on both sides."""

    weights: _Array
    """The barycenter w, `(n,)`, of the mass of the inputs."""
    value: float
    """Σ_k λ_k ⟨P_k, C_k⟩ for the plans `couplings`: an upper bound of the optimum."""
    lower_bound: float
    """Σ_k λ_k ⟨g_k, b_k⟩ for `potentials`, which are feasible for all pairs."""
    couplings: list[Transport]
    """Optimal plans between w and each input, those of weight λ_k = 0 among them, `(n, m_k)`."""
    potentials: _Array
    """f_k with Σ_k λ_k f_k = 0, `(K, n)`, for the inputs of positive λ_k; −inf where no mass may be."""
    error: float
    """The gap between the bounds relative to them, 0 if rounding explains it."""
    n_iter: int
    history: _Array
    """Values on the way, of iterates that are nearly feasible, and `value`."""
    stopped: bool
    """Whether the monitor asked to stop."""


def solve(
    measures: Sequence[_Array],
    costs: Sequence[Cost],
    weights: _Array,
    *,
    tol: float,
    max_iter: int | None = None,
    monitor: Monitor | None = None,
) -> Certified:
    r"""Find a barycenter on a fixed support, and prove how good it is.

    .. math:: \min_{w \ge 0} \sum_k \lambda_k \min_{P_k \ge 0} \{ \langle P_k, C_k \rangle :
        P_k 1 = w, \; P_k^\top 1 = b_k \}.

    For any potentials with Σ_k λ_k f_k = 0, the c-transforms g_k(j) = min_i C_k(i, j) − f_k(i) give the lower
    bound Σ_k λ_k ⟨g_k, b_k⟩; for any w, exact plans give an upper bound. Both are computed for what one of
    three methods proposes: HiGHS on the whole program if it is small; an interior-point method on its
    structure; the entropic dual at falling temperatures where that takes too much time or memory. A gap that
    the last two leave goes to HiGHS, if it is small enough, with the pairs of small reduced cost, to which
    those that its potentials violate are added.

    Parameters
    ----------
    measures : sequence of ndarray, shapes (m_k,)
        The histograms b_k: not negative, of one positive total mass.
    costs : sequence of Cost, shapes (n, m_k)
        The costs; ``+inf`` forbids a pair. One object may stand for several measures.
    weights : ndarray, shape (K,)
        The λ_k: not negative, of sum 1. An input of λ_k = 0 has no influence.
    tol : float
        Relative gap at which to stop.
    max_iter : int, optional
        Largest number of iterations of the interior-point method, or of evaluations of the entropic dual.
    monitor : callable, optional
        Called with the iteration, the relative gap and the value where they are known (NaN otherwise);
        returning True stops at the next iteration.

    Returns
    -------
    Certified
        Its `error` says whether `tol` was reached.

    Raises
    ------
    InfeasibleError
        If every plan uses a forbidden pair.

    Notes
    -----
    Points without mass do not count in m_k. The interior-point method takes O(Σ_k n m_k (n + m_k)) operations
    for each of 15 to 40 iterations, in BLAS and LAPACK, and 24 Σ_k n m_k bytes. The entropic dual takes two
    passes over all pairs for an evaluation, or along the axes of a shared `Grid`; memory is then O(K n)
    beyond the costs. Each upper bound takes K exact plans. Nothing that is reported as a bound depends on the
    method.

    References
    ----------
    .. [1] Agueh and Carlier, "Barycenters in the Wasserstein space", 2011: the dual, proposition 2.2.
    .. [2] Ge, Wang, Xiong and Ye, "Interior-point methods strike back: solving the Wasserstein barycenter
       problem", 2019.
    """
    active = np.flatnonzero(weights > 0.0)
    used = active.tolist()
    search = _Search([measures[k] for k in used], [costs[k] for k in used], weights[active], tol, monitor)
    n, sizes = costs[0].shape[0], [int(np.count_nonzero(b)) for b in search.measures]
    operations, memory = work_estimate(n, sizes)
    if n * sum(sizes) <= _FEW_PAIRS:
        search.solve_whole_program()
    elif (
        operations <= (_MOST_OPERATIONS_FINE if tol < _FINE else _MOST_OPERATIONS) and memory <= _MOST_MEMORY
    ):
        search.follow_central_path(_INTERIOR_ITERATIONS if max_iter is None else max_iter)
    else:
        search.lower_temperature(_SMOOTHED_ITERATIONS if max_iter is None else max_iter)
    if not search.is_over and (max_iter is None or search.n_iter < max_iter):
        search.generate_columns()
    return search.result(measures, costs, active)


@dataclass
class _Search:
    """The best bounds so far."""

    measures: list[_Array]
    costs: list[Cost]
    lam: _Array
    tol: float
    monitor: Monitor | None
    n_iter: int = 0
    stopped: bool = False
    lower_bound: float = -math.inf
    value: float = math.inf
    potentials: _Array = field(default_factory=lambda: np.empty(0))
    transforms: list[_Array] = field(default_factory=list)
    weights: _Array = field(default_factory=lambda: np.empty(0))
    plans: list[Transport] = field(default_factory=list)
    history: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.mass = float(self.measures[0].sum())

    @property
    def error(self) -> float:
        """The relative gap."""
        if not self.plans:
            return math.inf
        gap = self.value - self.lower_bound
        scale = max(abs(self.value), abs(self.lower_bound))
        rounding = 0.0
        for weight, g, plan, b in zip(self.lam, self.transforms, self.plans, self.measures, strict=True):
            sizes = np.abs(plan.potential_a) @ self.weights + np.abs(plan.potential_b) @ b
            rounding += 4.0 * _EPS * weight * float(sizes + np.abs(g[b > 0.0]) @ b[b > 0.0])
        return 0.0 if gap <= rounding else gap / scale

    @property
    def is_over(self) -> bool:
        """Whether there is nothing left to do."""
        return self.stopped or self.error <= self.tol

    def solve_whole_program(self) -> None:
        """Take both bounds from HiGHS."""
        self.n_iter = 1
        self.try_program([all_pairs(*one) for one in zip(self.costs, self.measures, strict=True)])

    def follow_central_path(self, max_iter: int) -> None:
        """Take both bounds from an interior point."""
        measures = [b / self.mass for b in self.measures]

        def listen(iteration: int, gap: float, value: float) -> bool:
            self.history.append(value * self.mass)
            return self.monitor is not None and self.monitor(iteration, gap, value * self.mass)

        tol = _INTERIOR_SHARE * self.tol
        found = interior_point(measures, self.costs, self.lam, tol=tol, max_iter=max_iter, monitor=listen)
        self.n_iter, self.stopped = found.n_iter, found.stopped
        self.bound_below(found.potentials)
        # Complementarity: where the slack outweighs the mass, the mass is what the method leaves of zero.
        likely = np.where(found.weights > found.slack, found.weights, 0.0)
        self.bound_above(likely if likely.any() else found.weights)

    def lower_temperature(self, max_iter: int) -> None:
        """Take both bounds from each temperature, until they meet."""
        measures = [b / self.mass for b in self.measures]
        for found in smoothed_duals(measures, self.costs, self.lam, max_iter, self._listener()):
            self.n_iter = found.n_iter
            self.bound_below(found.potentials)
            self.bound_above(found.weights)
            self.report()
            if self.is_over:
                break

    def generate_columns(self) -> None:
        """Solve the program on pairs of small reduced cost, and add those that its potentials violate."""
        scale = max(high - low for low, high in (cost.bounds() for cost in self.costs))
        atoms = sum(plan.sparse_plan.nnz for plan in self.plans)
        if atoms > _MOST_PAIRS or (
            atoms == 0 and sum(math.prod(cost.shape) for cost in self.costs) > _MOST_ENTRIES
        ):
            return
        # Costs may range so widely that the optimum is far below most of them.
        unit = min(scale, self.value / self.mass) if self.plans else scale
        pairs = self._likely_pairs(max(_NEARLY_ACTIVE * unit, _EPS * scale))
        for _ in range(_ROUNDS):
            solution = (
                None if sum(part.rows.size for part in pairs) > _MOST_PAIRS else self.try_program(pairs)
            )
            if solution is None:
                return
            self.n_iter += 1
            self.report()
            if self.is_over:
                return
            violated = [
                _pairs_below(*one, -_EPS * scale)
                for one in zip(self.costs, self.measures, solution.f, solution.g, strict=True)
            ]
            if not any(part.rows.size for part in violated):
                return
            pairs = [_union(*two) for two in zip(pairs, violated, strict=True)]

    def _likely_pairs(self, threshold: float) -> list[Pairs]:
        """Return pairs of small reduced cost with those of the plans so far, without plans all."""
        both = list(zip(self.costs, self.measures, strict=True))
        if not self.plans:
            return [all_pairs(*one) for one in both]
        return [
            _with_atoms(_pairs_below(*one, f, g, threshold), one[0], plan)
            for one, f, g, plan in zip(both, self.potentials, self.transforms, self.plans, strict=True)
        ]

    def try_program(self, pairs: list[Pairs]) -> ProgramSolution | None:
        """Take both bounds from HiGHS, if it solves the program on these pairs."""
        solution = linear_program(self.measures, pairs, self.costs[0].shape[0], self.lam)
        if solution is not None:
            self.bound_below(solution.f)
            self.bound_above(solution.weights)
        return solution

    def bound_below(self, f: _Array) -> None:
        """Make potentials feasible, and keep them if they prove more than those so far."""
        cores = [cost.core for cost in self.costs]
        g = [_core.c_transform(core, own, True) for core, own in zip(cores, f, strict=True)]
        f = np.array([_core.c_transform(core, own, False) for core, own in zip(cores, g, strict=True)])
        excess = self.lam @ f
        # A point that some measure cannot reach constrains nothing.
        f = np.where(np.isfinite(excess), f - np.where(np.isfinite(excess), excess, 0.0), -np.inf)
        g = [_core.c_transform(core, own, True) for core, own in zip(cores, f, strict=True)]
        bound = math.fsum(
            weight * math.fsum(own[b > 0.0] * b[b > 0.0])
            for weight, own, b in zip(self.lam, g, self.measures, strict=True)
        )
        if bound > self.lower_bound:
            self.lower_bound, self.potentials, self.transforms = bound, f, g

    def bound_above(self, weights: _Array) -> None:
        """Find plans for a barycenter, and keep it if it is better than that so far."""
        weights = weights * (self.mass / weights.sum())
        plans = []
        for b, cost in zip(self.measures, self.costs, strict=True):
            plan = find_plan(weights, b, cost)
            if plan is None:
                return
            plans.append(plan)
        value = math.fsum(weight * plan.value for weight, plan in zip(self.lam, plans, strict=True))
        if value < self.value:
            self.value, self.weights, self.plans = value, weights, plans
        self.history.append(self.value)

    def report(self) -> None:
        """Tell the monitor both bounds."""
        if self.monitor is not None and self.monitor(self.n_iter, self.error, self.value):
            self.stopped = True

    def result(
        self, measures: Sequence[_Array], costs: Sequence[Cost], active: NDArray[np.intp]
    ) -> Certified:
        """Return what was found, with plans also for the measures that had no influence."""
        if not self.plans:
            raise InfeasibleError("no plans were found that avoid the forbidden pairs, those of cost +inf")
        plans = dict(zip(active.tolist(), self.plans, strict=True))
        couplings = [
            plans[k] if k in plans else emd(self.weights, b, cost)
            for k, (b, cost) in enumerate(zip(measures, costs, strict=True))
        ]
        return Certified(
            weights=self.weights,
            value=self.value,
            lower_bound=self.lower_bound,
            couplings=couplings,
            potentials=self.potentials,
            error=self.error,
            n_iter=self.n_iter,
            history=np.array(self.history),
            stopped=self.stopped,
        )

    def _listener(self) -> Monitor | None:
        """Return what hears of the work between two bounds."""
        monitor = self.monitor
        if monitor is None:
            return None

        def listen(iteration: int, error: float, value: float) -> bool:
            self.stopped = self.stopped or monitor(iteration, error, value)
            return self.stopped

        return listen


def _pairs_below(cost: Cost, b: _Array, f: _Array, g: _Array, threshold: float) -> Pairs:
    """Return the pairs with C_ij − f_i − g_j < threshold in columns of mass."""
    n, m = cost.shape
    columns = np.flatnonzero(b > 0.0)
    step = max(1, _BLOCK_SIZE // m)
    rows, cols, entries = [], [], []
    for i in range(0, n, step):
        block = cost.rows(i, min(i + step, n))[:, columns].astype(np.float64, copy=False)
        found, places = np.nonzero(block - g[columns] < threshold + f[i : i + step, None])
        rows.append(found + i)
        cols.append(columns[places])
        entries.append(block[found, places])
    return Pairs(np.concatenate(rows), np.concatenate(cols), np.concatenate(entries))


def _with_atoms(pairs: Pairs, cost: Cost, plan: Transport) -> Pairs:
    """Add the pairs on which a plan puts mass."""
    rows, cols = (index.astype(np.int64) for index in plan.sparse_plan.coords)
    return _union(pairs, Pairs(rows, cols, cost.core.entries(rows, cols).astype(np.float64)))


def _union(pairs: Pairs, others: Pairs) -> Pairs:
    """Return pairs of both lists, each once."""
    both = [np.concatenate(two) for two in zip(pairs, others, strict=True)]
    _, first = np.unique(np.stack(both[:2]), axis=1, return_index=True)
    return Pairs(*(part[first] for part in both))
