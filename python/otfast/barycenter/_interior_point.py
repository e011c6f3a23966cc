"""The linear program of a barycenter, solved by an interior-point method on its structure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import blas, lapack

from otfast import _core
from otfast.cost import Cost
from otfast.errors import InfeasibleError
from otfast.progress import Monitor

__all__ = ["InteriorPoint", "interior_point", "work_estimate"]

_Array = NDArray[np.float64]

#: The slack of a forbidden pair: its products and quotients with plans stay far from the ends of the range.
_FORBIDDEN = 1e100

#: Slacks at the start, in units of the largest cost.
_START = 0.1

#: What is added to the diagonal of normal equations, relative to it, before rounding makes them indefinite; and the
#: largest such share with which their solution is still a direction.
_LEAST_SHIFT = 1e-15
_MOST_SHIFT = 1e-6

#: When to give up: after so many steps that leave more than this share of the gap, rounding has taken over.
_PROGRESS = 0.9
_PATIENCE = 5

#: The gap that rounding leaves, in units of the spread of the costs: for values near zero.
_LEAST_GAP = 1e-17

#: Rows of the cost that are read together, in entries.
_BLOCK_SIZE = 1 << 22


@dataclass(frozen=True)
class InteriorPoint:
    """Where the method ended: nearly optimal, nearly feasible."""

    weights: _Array
    """The barycenter, `(n,)`."""
    potentials: _Array
    """The potentials f_k of the barycenter's side, `(K, n)`, in the units of the costs; −inf at such points."""
    slack: _Array
    """By how much Σ_k λ_k f_k exceeds its least value, `(n,)`, in units of the spread of the costs; inf where some
    measure does not reach a point."""
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
        Called with the iteration, the gap and the value after each iteration.

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
    Eliminating the plans and the potentials of the larger side leaves K symmetric systems of the sizes
    min(n, m_k) and one of the size n: an iteration takes O(Σ_k n m_k min(n, m_k) + n² m_k) operations, nearly all
    of them in BLAS and LAPACK, with their own threads, and there are 15 to 40. Memory is that of three dense
    plans for every measure.

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
        if gap <= max(tol * abs(value), _LEAST_GAP * program.scale) or stalled == _PATIENCE or not program.advance():
            return program.end(iteration, stopped=False)
    return program.end(max_iter, stopped=False)


class _Residual(NamedTuple):
    """What the plans' marginals lack, less what the step asks of the complementarity products."""

    rows: list[_Array]
    cols: list[_Array]
    weights: _Array
    """The right side of the weights' own products, divided by them."""


class _Program:
    """The iterate: plans X_k, slacks S_k, weights w with slack s, potentials; costs are in units of the largest."""

    def __init__(self, measures: Sequence[_Array], costs: Sequence[Cost], weights: _Array) -> None:
        support = [np.flatnonzero(b > 0.0) for b in measures]
        self.b = [b[cols] for b, cols in zip(measures, support, strict=True)]
        bounds = [cost.bounds() for cost in costs]
        self.scale = max(high - low for low, high in bounds) or 1.0
        self.offset = sum(weight * low for weight, (low, _) in zip(weights, bounds, strict=True))
        self.lam = weights
        self.slack = [
            _scaled_cost(cost, cols, low, weight / self.scale)
            for cost, cols, weight, (low, _) in zip(costs, support, weights, bounds, strict=True)
        ]
        # A point that some measure cannot reach gets no mass: it would take infinite potentials to tell.
        self.reached = np.all([(slack < _FORBIDDEN).any(axis=1) for slack in self.slack], axis=0)
        self.n = n = int(self.reached.sum())
        if n == 0 or any((slack[self.reached] >= _FORBIDDEN).all(axis=0).any() for slack in self.slack):
            raise InfeasibleError("some point of a measure has only forbidden pairs, those of cost +inf")
        if n < self.reached.size:
            self.slack = [slack[self.reached] for slack in self.slack]
        self.f = np.zeros((len(self.b), n))
        self.g: list[_Array] = []
        self.w = np.full(n, 1.0 / n)
        self.s = np.full(n, _START)
        self.tau = -_START
        self.plan = []
        for b, slack, weight in zip(self.b, self.slack, weights, strict=True):
            g = slack.min(axis=0) - _START * weight
            forbidden = slack >= _FORBIDDEN
            slack -= g
            slack[forbidden] = _FORBIDDEN
            plan = np.outer(self.w, b)
            plan[forbidden] /= _FORBIDDEN
            self.g.append(g)
            self.plan.append(plan)
        self.scaled = [np.empty_like(plan) for plan in self.plan]
        self.n_products = n + sum(plan.size for plan in self.plan)

    def prepare(self) -> tuple[float, float]:
        """Compute the weights of the normal equations; return the dual value and the complementarity gap."""
        sums = [
            _core.barrier_scale(plan, slack, scaled)
            for plan, slack, scaled in zip(self.plan, self.slack, self.scaled, strict=True)
        ]
        self.rows = [part[0] for part in sums]
        self.cols = [part[1] for part in sums]
        self.plan_rows = [part[2] for part in sums]
        self.plan_cols = [part[3] for part in sums]
        self.product = sum(part[4] for part in sums) + float(self.w @ self.s)
        dual = self.tau + math.fsum(float(g @ b) for g, b in zip(self.g, self.b, strict=True))
        return self.offset + self.scale * dual, self.scale * self.product

    def advance(self) -> bool:
        """Go one step; return whether there was one to go."""
        if not self._factorise():
            return False
        mu = self.product / self.n_products
        missing = [self.w - rows for rows in self.plan_rows]
        lacking = [b - cols for b, cols in zip(self.b, self.plan_cols, strict=True)]

        # The affine step aims at products of zero: dX = X (t − 1), dw = w (t − 1).
        towards_zero = _Residual([self.w] * len(self.b), self.b, -self.s)
        f, g, tau, dw = self._direction(towards_zero)
        ds = f.sum(axis=0) - tau
        found = [_core.barrier_predict(*pair, *change) for pair, change in zip(self._pairs(), zip(f, g), strict=True)]
        primal = _step(min(float((dw / self.w).min()), *(part[0] - 1.0 for part in found)))
        dual = _step(min(float((ds / self.s).min()), *(-part[1] for part in found)))
        # Σ (X + α dX)(S + β dS) with dX = X (t − 1), dS = −S t, from the sums of X S t and X S t².
        linear = sum(part[2] for part in found)
        quadratic = sum(part[3] for part in found)
        pairs_product = self.product - float(self.w @ self.s)
        after = (1.0 - primal) * (pairs_product - dual * linear) + primal * (linear - dual * quadratic)
        after += float((self.w + primal * dw) @ (self.s + dual * ds))
        target = mu * min(1.0, after / self.product) ** 3

        corrected = _Residual(
            [
                lack + rows - target * part[4] - part[6]
                for lack, rows, part in zip(missing, self.plan_rows, found, strict=True)
            ],
            [
                lack + cols - target * part[5] - part[7]
                for lack, cols, part in zip(lacking, self.plan_cols, found, strict=True)
            ],
            (target - dw * ds) / self.w - self.s,
        )
        f1, g1, tau, dw = self._direction(corrected)
        ds = f1.sum(axis=0) - tau
        steps = [(*change, *full, target) for change, full in zip(zip(f, g), zip(f1, g1), strict=True)]
        extremes = [_core.barrier_extremes(*pair, *step) for pair, step in zip(self._pairs(), steps, strict=True)]
        within = 1.0 - min(0.01, max(1e-6, mu * self.n_products))
        primal = within * _step(min(float((dw / self.w).min()), *(part[0] for part in extremes)), within)
        dual = within * _step(min(float((ds / self.s).min()), *(-part[1] for part in extremes)), within)
        if not (math.isfinite(primal) and math.isfinite(dual)) or max(primal, dual) < 1e-6:
            return False
        for pair, step in zip(self._pairs(), steps, strict=True):
            _core.barrier_step(*pair, *step, primal, dual)
        self.w += primal * dw
        self.s += dual * ds
        self.tau += dual * tau
        self.f += dual * f1
        for own, change in zip(self.g, g1, strict=True):
            own += dual * change
        return True

    def end(self, n_iter: int, *, stopped: bool) -> InteriorPoint:
        """Return the iterate in the units of the problem."""
        weights = np.zeros(self.reached.size)
        slack = np.full(self.reached.size, np.inf)
        potentials = np.full((len(self.b), self.reached.size), -np.inf)
        weights[self.reached] = self.w / self.w.sum()
        slack[self.reached] = self.s
        potentials[:, self.reached] = self.f * (self.scale / self.lam[:, None])
        return InteriorPoint(weights, potentials, slack, n_iter, stopped)

    def _pairs(self) -> list[tuple[_Array, _Array]]:
        return list(zip(self.plan, self.slack, strict=True))

    def _factorise(self) -> bool:
        """Factorise the normal equations, with the smallest shift of their diagonals that makes them definite."""
        shift = _LEAST_SHIFT
        while shift <= _MOST_SHIFT:
            if self._try_factorise(shift):
                return True
            shift *= 100.0
        return False

    def _try_factorise(self, shift: float) -> bool:
        n = self.n
        total = np.zeros((n, n), order="F")
        total[np.diag_indices_from(total)] = self.s / self.w
        self.inner = []
        for k in range(len(self.b)):
            if self.b[k].size < n:
                inner, total = self._eliminate_rows(k, shift, total)
            else:
                inner, total = self._eliminate_cols(k, shift, total)
            if inner is None:
                return False
            self.inner.append(inner)
        total[np.diag_indices_from(total)] *= 1.0 + shift
        self.outer, info = lapack.dpotrf(total, lower=1, clean=0, overwrite_a=1)
        return bool(info == 0)

    def _eliminate_rows(self, k: int, shift: float, total: _Array) -> tuple[_Array | None, _Array]:
        """Factorise T = Q − Dᵀ R⁻¹ D; add R⁻¹ + R⁻¹ D T⁻¹ Dᵀ R⁻¹ to `total`.

        T is singular only in 1, which Q Qᵀ / ΣQ lifts; solutions have ⟨Q, dg⟩ = 0 then.
        """
        y, r, q = self.scaled[k], self.rows[k], self.cols[k]
        inner = _factor(blas.dsyrk(-1.0, y.T, lower=1), q, shift)
        if inner is None:
            return None, total
        half = np.multiply(y.T, 1.0 / np.sqrt(r), order="F")
        half = blas.dtrsm(1.0, inner, half, lower=1, overwrite_b=1)
        total = blas.dsyrk(1.0, half, beta=1.0, c=total, trans=1, lower=1, overwrite_c=1)
        total[np.diag_indices_from(total)] += 1.0 / r
        return inner, total

    def _eliminate_cols(self, k: int, shift: float, total: _Array) -> tuple[_Array | None, _Array]:
        """Factorise M = R − D Q⁻¹ Dᵀ; add M⁻¹ to `total`. Likewise M + R Rᵀ / ΣR is taken, and ⟨R, df⟩ = 0."""
        r, q = self.rows[k], self.cols[k]
        z = self.scaled[k] * np.sqrt(r)[:, None]
        z /= np.sqrt(q)
        inner = _factor(blas.dsyrk(-1.0, z.T, trans=1, lower=1), r, shift)
        if inner is not None:
            total += lapack.dpotri(inner, lower=1)[0]
        return inner, total

    def _direction(self, residual: _Residual) -> tuple[_Array, list[_Array], float, _Array]:
        """Return df, dg, dτ and dw with the given right sides."""
        free = [
            self._solve_plan(k, rows, cols)[0]
            for k, (rows, cols) in enumerate(zip(residual.rows, residual.cols, strict=True))
        ]
        right = residual.weights - sum(free)
        of_right, of_one = lapack.dpotrs(self.outer, np.stack((right, np.ones(self.n)), axis=1), lower=1)[0].T
        tau = float((1.0 - self.w.sum() - of_right.sum()) / of_one.sum())
        dw = of_right + tau * of_one
        f = np.empty_like(self.f)
        g = []
        for k, (rows, cols) in enumerate(zip(residual.rows, residual.cols, strict=True)):
            f[k], change = self._solve_plan(k, rows + dw, cols)
            g.append(change)
        return f, g, tau, dw

    def _solve_plan(self, k: int, rows: _Array, cols: _Array) -> tuple[_Array, _Array]:
        """Solve R df + D dg = rows, Dᵀdf + Q dg = cols for one measure."""
        y, root, q = self.scaled[k], np.sqrt(self.rows[k]), self.cols[k]
        if q.size < self.n:
            g = lapack.dpotrs(self.inner[k], cols - y.T @ (rows / root), lower=1)[0]
            return (rows / root - y @ g) / root, g
        f = lapack.dpotrs(self.inner[k], rows - root * (y @ (cols / q)), lower=1)[0]
        return f, (cols - y.T @ (root * f)) / q


def _factor(matrix: _Array, diagonal: _Array, shift: float) -> _Array | None:
    """Factorise `matrix` + diag(`diagonal`) + its square over its sum; None if rounding made it indefinite."""
    matrix = blas.dsyr(1.0 / diagonal.sum(), diagonal, a=matrix, lower=1, overwrite_a=1)
    matrix[np.diag_indices_from(matrix)] += diagonal * (1.0 + shift)
    factor, info = lapack.dpotrf(matrix, lower=1, clean=0, overwrite_a=1)
    return factor if info == 0 else None


def _scaled_cost(cost: Cost, cols: NDArray[np.intp], low: float, factor: float) -> _Array:
    """Return factor (C − low) in the columns `cols`, `(n, len(cols))`, forbidden pairs marked."""
    n, m = cost.shape
    scaled = np.empty((n, cols.size))
    step = max(1, _BLOCK_SIZE // m)
    for i in range(0, n, step):
        rows = cost.rows(i, min(i + step, n))
        block = scaled[i : i + step]
        np.subtract(rows if cols.size == m else rows[:, cols], low, out=block)
        block *= factor
        block[np.isposinf(block)] = _FORBIDDEN
    return scaled


def _step(least: float, within: float = 1.0) -> float:
    """Return how far to go where the relative change is at least `least`; at most 1 in the end."""
    return 1.0 / within if least >= -within else -1.0 / least
