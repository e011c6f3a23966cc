"""The linear program of a barycenter, solved by an interior-point method on its structure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

from otfast import _core
from otfast.barycenter._interior_block import Block, reached_points
from otfast.cost import Cost
from otfast.errors import InfeasibleError
from otfast.progress import Monitor

__all__ = ["InteriorPoint", "interior_point", "work_estimate"]

_Array = NDArray[np.float64]

#: Slacks at the start, in units of the spread of the costs.
_START = 0.1

#: What is added to the diagonals of the normal equations, relative to them, before rounding makes them
#: indefinite; and the largest such share with which their solution is still a direction.
_LEAST_SHIFT = 1e-15
_MOST_SHIFT = 1e-6

#: The least and the largest share of the way to the boundary that a step takes, and the least step worth
#: taking.
_LEAST_SHARE = 0.99
_MOST_SHARE = 1.0 - 1e-6
_LEAST_STEP = 1e-6

#: When to give up: after so many steps that leave more than this share of the gap, rounding has taken over.
_PROGRESS = 0.9
_PATIENCE = 5

#: The gap that rounding leaves, in units of the spread of the costs: for values near zero.
_LEAST_GAP = 1e-17


@dataclass(frozen=True)
class InteriorPoint:
    """Where the method ended: nearly optimal, nearly feasible."""

    weights: _Array
    """The barycenter, `(n,)`, of total 1."""
    potentials: _Array
    """The potentials f_k of the barycenter's side, `(K, n)`, in units of the costs; −inf at points that some
    measure does not reach."""
    slack: _Array
    """By how much Σ_k λ_k f_k exceeds its least value, `(n,)`, in units of the spread of the costs; inf at
    such points."""
    n_iter: int
    stopped: bool
    """Whether the monitor asked to stop."""


def work_estimate(n: int, sizes: Sequence[int]) -> tuple[float, float]:
    """Return the operations of one iteration, and the memory of all in bytes."""
    sides = [(min(n, m), max(n, m)) for m in sizes]
    operations = sum(few * many * (few + many) for few, many in sides) + n**3 / 3.0
    numbers = sum(3.0 * few * many + few * few for few, many in sides) + n * n + 2.0 * n * max(sizes)
    return operations, 8.0 * numbers


def interior_point(
    measures: Sequence[_Array],
    costs: Sequence[Cost],
    weights: _Array,
    *,
    tol: float,
    max_iter: int,
    monitor: Monitor | None = None,
) -> InteriorPoint:
    r"""Follow the central path of a barycenter's linear program with Mehrotra's predictor and corrector.

    .. math:: \min_{w, P_k \ge 0} \sum_k \lambda_k \langle P_k, C_k \rangle \quad \text{subject to} \quad
        P_k 1 = w, \; P_k^\top 1 = b_k, \; 1^\top w = 1,

    whose dual is max τ + Σ_k ⟨g_k, b_k⟩ subject to f_k ⊕ g_k ≤ λ_k C_k and Σ_k f_k ≥ τ.

    Parameters
    ----------
    measures : sequence of ndarray, shapes (m_k,)
        The histograms b_k, of total 1. Zeros drop out.
    costs : sequence of Cost, shapes (n, m_k)
        The costs; ``+inf`` forbids a pair.
    weights : ndarray, shape (K,)
        The λ_k, all positive, of sum 1.
    tol : float
        Relative complementarity gap at which to stop.
    max_iter : int
        Largest number of iterations.
    monitor : callable, optional
        Called with the iteration, the gap and the value before each iteration; returning True stops.

    Returns
    -------
    InteriorPoint
        Neither side is a certificate yet: the plans' marginals hold to about 1e-10.

    Raises
    ------
    InfeasibleError
        If a point has only forbidden pairs. Other causes show as plans that cannot be made for the result.

    Notes
    -----
    Eliminating the plans and the potentials of the larger side leaves K symmetric systems of the sizes min(n,
    m_k) and one of the size n: an iteration takes O(Σ_k n m_k min(n, m_k) + Σ_k n² m_k) operations, nearly
    all of them in BLAS and LAPACK, with their own threads, and there are 15 to 40. Memory is that of three
    dense plans for every measure.

    References
    ----------
    .. [1] Ge, Wang, Xiong and Ye, "Interior-point methods strike back: solving the Wasserstein barycenter
       problem", 2019: the elimination, section 4, here in an order in which the last system cancels nothing.
    .. [2] Mehrotra, "On the implementation of a primal-dual interior point method", 1992.
    """
    program = _Program(measures, costs, weights)
    best, stalled = math.inf, 0
    for iteration in range(max_iter):
        value, gap = program.prepare()
        if monitor is not None and monitor(iteration, gap / abs(value) if value else gap, value + gap):
            return program.end(iteration, stopped=True)
        stalled = 0 if gap < _PROGRESS * best else stalled + 1
        best = min(best, gap)
        small = gap <= max(tol * abs(value), _LEAST_GAP * program.scale)
        if small or stalled == _PATIENCE or not program.advance():
            return program.end(iteration, stopped=False)
    return program.end(max_iter, stopped=False)


class _Right(NamedTuple):
    """Right sides of the Newton equations."""

    rows: list[_Array]
    cols: list[_Array]
    weights: _Array
    """Of the products w s, divided by w."""


class _Direction(NamedTuple):
    """A change of everything but the plans and their slacks, which follow from it."""

    f: list[_Array]
    g: list[_Array]
    tau: float
    w: _Array
    s: _Array


class _Program:
    """The iterate: a block for every measure, the weights w, their dual slacks s = Σ_k f_k − τ, and τ.

    Costs are in units of their spread.
    """

    def __init__(self, measures: Sequence[_Array], costs: Sequence[Cost], weights: _Array) -> None:
        # A point that some measure does not reach gets no mass: it would take infinite potentials to tell.
        self._reached = np.all([reached_points(*one) for one in zip(costs, measures, strict=True)], axis=0)
        points = np.flatnonzero(self._reached)
        if points.size == 0:
            raise InfeasibleError("no point is reached by all measures without forbidden pairs, of cost +inf")
        self._n = n = points.size
        bounds = [cost.bounds() for cost in costs]
        self.scale = max(high - low for low, high in bounds) or 1.0
        self._offset = math.fsum(weight * low for weight, (low, _) in zip(weights, bounds, strict=True))
        self._lam = weights
        self._blocks = [
            Block(cost, points, b, low, weight / self.scale, _START * weight)
            for cost, b, weight, (low, _) in zip(costs, measures, weights, bounds, strict=True)
        ]
        self._w = np.full(n, 1.0 / n)
        self._s = np.full(n, _START)
        self._tau = -_START
        self._n_products = n + sum(block.plan.size for block in self._blocks)

    def prepare(self) -> tuple[float, float]:
        """Compute the weights of the normal equations; return the dual value and the complementarity gap."""
        self._pairs_product = math.fsum(block.prepare() for block in self._blocks)
        self._product = self._pairs_product + float(self._w @ self._s)
        dual = self._tau + math.fsum(float(block.g @ block.b) for block in self._blocks)
        return self._offset + self.scale * dual, self.scale * self._product

    def advance(self) -> bool:
        """Go one step; return whether there was one to go."""
        if not self._factorise():
            return False
        mu = self._product / self._n_products
        # The affine step aims at products of zero, and at the marginals: rows of X + dX of the sums w + dw.
        affine = self._direct(
            _Right([self._w] * len(self._blocks), [block.b for block in self._blocks], -self._s)
        )
        found = [
            _core.barrier_predict(block.plan, block.slack, f, g)
            for block, f, g in zip(self._blocks, affine.f, affine.g, strict=True)
        ]
        primal = self._longest(affine.w / self._w, [part[0] - 1.0 for part in found])
        dual = self._longest(affine.s / self._s, [-part[1] for part in found])
        # Σ (X + α dX)(S + β dS) for dX = X (t − 1), dS = −S t, from the sums of X S t and of X S t².
        linear, quadratic = (math.fsum(part[i] for part in found) for i in (2, 3))
        after = (1.0 - primal) * (self._pairs_product - dual * linear) + primal * (linear - dual * quadratic)
        after += float((self._w + primal * affine.w) @ (self._s + dual * affine.s))
        target = mu * min(1.0, after / self._product) ** 3

        full = self._direct(
            _Right(
                [self._w - target * part[4] - part[6] for part in found],
                [
                    block.b - target * part[5] - part[7]
                    for block, part in zip(self._blocks, found, strict=True)
                ],
                (target - affine.w * affine.s) / self._w - self._s,
            )
        )
        changes = list(zip(self._blocks, affine.f, affine.g, full.f, full.g, strict=True))
        extremes = [
            _core.barrier_extremes(block.plan, block.slack, f0, g0, f, g, target)
            for block, f0, g0, f, g in changes
        ]
        share = min(max(_LEAST_SHARE, 1.0 - self._product), _MOST_SHARE)
        primal = min(1.0, share * self._longest(full.w / self._w, [part[0] for part in extremes], share))
        dual = min(1.0, share * self._longest(full.s / self._s, [-part[1] for part in extremes], share))
        if not max(primal, dual) >= _LEAST_STEP:
            return False
        for block, f0, g0, f, g in changes:
            _core.barrier_step(block.plan, block.slack, f0, g0, f, g, target, primal, dual)
            block.f += dual * f
            block.g += dual * g
        self._w += primal * full.w
        self._s += dual * full.s
        self._tau += dual * full.tau
        return True

    def end(self, n_iter: int, *, stopped: bool) -> InteriorPoint:
        """Return the iterate in the units of the problem."""
        weights = np.zeros(self._reached.size)
        slack = np.full(self._reached.size, np.inf)
        potentials = np.full((len(self._blocks), self._reached.size), -np.inf)
        weights[self._reached] = self._w / self._w.sum()
        slack[self._reached] = self._s
        for own, block, weight in zip(potentials, self._blocks, self._lam, strict=True):
            own[self._reached] = block.f * (self.scale / weight)
        return InteriorPoint(weights, potentials, slack, n_iter, stopped)

    def _longest(self, of_weights: _Array, of_pairs: list[float], share: float = 1.0) -> float:
        """Return the step to the boundary, at most that of which `share` is a whole one."""
        least = min(float(of_weights.min()), *of_pairs)
        return -1.0 / least if least < -share else 1.0 / share

    def _factorise(self) -> bool:
        """Factorise the normal equations, their diagonals shifted no more than it takes."""
        shift = _LEAST_SHIFT
        while shift <= _MOST_SHIFT:
            if self._try_factorise(shift):
                return True
            shift *= 100.0
        return False

    def _try_factorise(self, shift: float) -> bool:
        total = np.zeros((self._n, self._n), order="F")
        total[np.diag_indices_from(total)] = self._s / self._w
        for block in self._blocks:
            added = block.factorise(shift, total)
            if added is None:
                return False
            total = added
        total[np.diag_indices_from(total)] *= 1.0 + shift
        self._outer, info = lapack.dpotrf(total, lower=1, clean=0, overwrite_a=1)
        return bool(info == 0)

    def _direct(self, right: _Right) -> _Direction:
        """Solve the Newton equations."""
        blocks = list(zip(self._blocks, right.rows, right.cols, strict=True))
        free = [block.solve(rows, cols)[0] for block, rows, cols in blocks]
        sides = np.stack((right.weights - np.sum(free, axis=0), np.ones(self._n)), axis=1)
        of_right, of_one = lapack.dpotrs(self._outer, sides, lower=1)[0].T
        tau = float((1.0 - self._w.sum() - of_right.sum()) / of_one.sum())
        w: _Array = of_right + tau * of_one
        changes = [block.solve(rows + w, cols) for block, rows, cols in blocks]
        f, g = [change[0] for change in changes], [change[1] for change in changes]
        return _Direction(f, g, tau, w, np.sum(f, axis=0) - tau)
