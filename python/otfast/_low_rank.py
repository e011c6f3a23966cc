"""Entropic transport on C = A Bᵀ: iterations on factors of the kernel in place of all pairs.

Centred, the cost is C_ij = p_i + q_j + Σ_k x_ik y_jk. Potentials absorb p and q, and what is left of the
kernel, Π_k exp(−x_ik y_jk / ε), is a short sum of products of functions of i and of j. Such a sum replaces
the kernel where it is provably positive and near enough (Altschuler, Bach, Rudi and Niles-Weed 2019 do the
same with samples of a kernel; Scetbon and Cuturi 2020 with random features).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from time import perf_counter
from typing import NamedTuple

import numpy as np
from numpy.polynomial.chebyshev import chebvander
from numpy.typing import NDArray

from otfast._entropic_validation import is_balanced
from otfast.cost import LowRankCost
from otfast.progress import Monitor

_Array = NDArray[np.float64]

_LOGGER = logging.getLogger("otfast")

#: Pairs of which a pass takes as long as making the shortest of sums: a few milliseconds.
_FEW_PAIRS = 1 << 22

#: Pairs for each number in the factors, which are made in half a pass then; an iteration takes a twentieth.
_PAIRS_PER_NUMBER = 16

#: Numbers in all factors together: 128 MiB of them.
_MOST_NUMBERS = 1 << 24

#: Exponents at which both may be twice as many: there it takes many passes over pairs, or Newton's method.
_WIDE = 4.0

#: What iterations on factors may take, in passes over all pairs, before Newton's method on rows is faster.
_MOST_PASSES = 16

#: Relative errors of the kernel: the one that is never undercut, and the one above which factors are no use.
_FINEST, _COARSEST = 1e-10, 1e-3

#: Numbers that are made at a time: a few milliseconds of work between two reports.
_BLOCK = 1 << 20

_EPS = float(np.finfo(np.float64).eps)


class Head(NamedTuple):
    """What the iterations on factors leave to the passes over all pairs."""

    g: _Array
    """Potentials of the columns; 0 where a column has no weight."""
    n_iter: int
    """The number of iterations."""
    stopped: bool
    """Whether the callback wants no more of them."""


class UnsuitableError(Exception):
    """The kernel has no factors that are near enough and cheaper than its rows; the message says why."""


@dataclass(frozen=True)
class KernelFactors:
    """The kernel exp(−C_ij/ε) = exp(−p_i − q_j) Σ_l u_li v_lj (1 + δ_ij), with |δ_ij| ≤ `error` < 1."""

    u: _Array
    """Factors of the rows, `(t, n)`."""
    v: _Array
    """Factors of the columns, `(t, m)`."""
    p: _Array
    """What rows alone cost, in units of ε, `(n,)`."""
    q: _Array
    """What columns alone cost, in units of ε, `(m,)`."""
    error: float
    """The bound of the relative error, rounding included."""

    def row_softmin(self, log_weights: _Array) -> _Array:
        """Return −log Σ_j exp(`log_weights`_j − C_ij/ε) for all i."""
        return self.p + _softmin(self.v, self.u, log_weights - self.q)

    def column_softmin(self, log_weights: _Array) -> _Array:
        """Return −log Σ_i exp(`log_weights`_i − C_ij/ε) for all j."""
        return self.q + _softmin(self.u, self.v, log_weights - self.p)


def iterate_on_factors(
    cost: LowRankCost,
    a: _Array,
    b: _Array,
    epsilon: float,
    rho: tuple[float, float],
    tol: float,
    max_iter: int,
    start: _Array | None,
    monitor: Monitor | None,
) -> Head | None:
    """Bring potentials near the solution, or say in the log why that is left to the rows.

    The caller has to go on from there: what the factors say about the error is true up to theirs.
    """
    pulse = _Pulse(monitor)
    rows, cols = a > 0.0, b > 0.0
    try:
        if max_iter < 1:
            raise UnsuitableError("max_iter allows no iteration besides those that check the solution")
        n, m = cost.shape
        if n * m < _FEW_PAIRS:
            raise UnsuitableError(f"{n} x {m} pairs are few")
        A, B = (factor.astype(np.float64, copy=False) for factor in cost.factors)
        numbers = min(n * m // _PAIRS_PER_NUMBER, _MOST_NUMBERS)
        kernel = factorise(A[rows], B[cols], epsilon, 0.05 * tol, numbers // (n + m), pulse.beat)
    except UnsuitableError as why:
        _LOGGER.info("entropic transport on %r takes passes over all pairs: %s", cost, why)
        return None
    terms = len(kernel.u)
    limit = min(max_iter, _MOST_PASSES * n * m // (2 * (n + m) * terms))
    first = None if start is None else start[cols] / epsilon
    damping = 1.0 / (1.0 + epsilon / rho[0]), 1.0 / (1.0 + epsilon / rho[1])
    # Scalings of factors converge to rounding, which is far below its bound.
    target = max(0.5 * tol, 1e-3 * kernel.error, 1e-12)
    gamma, n_iter = _iterate(kernel, a[rows], b[cols], damping, is_balanced(rho), target, limit, first, pulse)
    _LOGGER.info(
        "entropic transport on %r made %d iterations on %d terms of its kernel, right to a relative %.0e",
        *(cost, n_iter, terms, kernel.error),
    )
    g = np.zeros(m)
    g[cols] = epsilon * gamma
    return Head(g, n_iter, pulse.stopped)


def factorise(
    A: _Array,
    B: _Array,
    epsilon: float,
    accuracy: float,
    most_terms: int,
    beat: Callable[[], object] = lambda: None,
) -> KernelFactors:
    """Write exp(−A Bᵀ/ε), up to factors of its rows and columns, as a short sum of products.

    Parameters
    ----------
    A, B : ndarray, shapes (n, r) and (m, r)
    epsilon : float
    accuracy : float
        The relative error to aim at, for each entry; more where rounding wants it.
    most_terms : int
        The number of products that pay where exponents are near 0. More do where they range further, since
        there passes over pairs are many.
    beat : callable
        Called again and again.

    Raises
    ------
    UnsuitableError
        If rounding hides the least entries, or it takes more products than pay.

    Notes
    -----
    In each direction x y/ε is ζ s t with s and t in [−1, 1]. The positive definite kernel exp(ζ s t) is
    Σ_l λ_l φ_l(s) φ_l(t) with eigenvalues λ_l that fall like (ζ/4)^l / l!. Products of such terms over the
    directions are left out, least bound first, while the bounds of all that are left out add up to a share of
    the least entry of the kernel. So every entry keeps its sign, and nearly its value.
    """
    root = math.sqrt(epsilon)
    with np.errstate(all="ignore"):  # numbers out of range are found unsuitable
        box = _box(A / root, B / root, np.zeros(len(A)), np.zeros(len(B)))
        beat()
        boxes = [box, _turn(box)] if box.zeta.size > 1 and np.isfinite(box.zeta).all() else [box]
    best = None
    for box in boxes:
        beat()
        try:
            found = box, _choose_terms(box, accuracy, most_terms)
        except UnsuitableError as why:
            reason = why
        else:
            if best is None or len(found[1].index) < len(best[1].index):
                best = found
    if best is None:
        raise reason
    box, terms = best
    u, v = (_evaluate(points, terms, beat) for points in (box.s, box.t))
    return KernelFactors(u, v, box.p, box.q, terms.error)


@dataclass(frozen=True)
class _Box:
    """The cost over ε as p_i + q_j − Σ_k ζ_k s_ik t_jk, with s and t in [−1, 1]."""

    s: _Array
    t: _Array
    zeta: _Array
    p: _Array
    q: _Array

    @cached_property
    def reach(self) -> float:
        """A bound of |Σ_k ζ_k s_ik t_jk| over the pairs: the box of one side, or balls around both."""
        s, t = np.abs(self.s), np.abs(self.t)
        balls = math.sqrt((s**2 @ self.zeta).max() * (t**2 @ self.zeta).max())
        return min(float((s @ self.zeta).max()), float((t @ self.zeta).max()), balls)

    @property
    def rounding(self) -> float:
        """The relative error of the least entry from rounding: terms may be as large as the box allows."""
        # Each series has up to 18 units of rounding at its largest value.
        units = 32.0 * max(1, self.zeta.size)
        return units * _EPS * math.exp(min(float(self.zeta.sum()) + self.reach, 700.0))


@dataclass(frozen=True)
class _Terms:
    """Products over the directions: term l has function `index[l, k]` of `series[k]` in direction k."""

    series: list[_Array]
    index: NDArray[np.intp]
    error: float


def _box(x: _Array, y: _Array, p: _Array, q: _Array) -> _Box:
    """Put the cost p_i + q_j + Σ_k x_ik y_jk into the smallest box along its axes."""
    x_mid, y_mid = (0.5 * points.max(axis=0) + 0.5 * points.min(axis=0) for points in (x, y))
    p = p + (x - x_mid) @ y_mid
    q = q + y @ x_mid
    x, y = x - x_mid, y - y_mid
    x_half, y_half = np.abs(x).max(axis=0), np.abs(y).max(axis=0)
    zeta = x_half * y_half
    live = ~(zeta <= _EPS)
    return _Box(x[:, live] / x_half[live], -y[:, live] / y_half[live], zeta[live], p, q)


def _turn(box: _Box) -> _Box:
    """Turn the axes to the singular vectors of the centred cost: directions without cost vanish."""
    root = np.sqrt(box.zeta)
    q_x, r_x = np.linalg.qr(box.s * root)
    q_y, r_y = np.linalg.qr(box.t * -root)
    left, sizes, right = np.linalg.svd(r_x @ r_y.T)
    root = np.sqrt(sizes)
    count = root.size
    return _box(q_x @ (left[:, :count] * root), q_y @ (right[:count].T * root), box.p, box.q)


def _choose_terms(box: _Box, accuracy: float, most_terms: int) -> _Terms:
    """Take the largest terms: the others come to `accuracy` times the least entry of the kernel."""
    if not box.rounding <= _COARSEST:
        raise UnsuitableError(f"beside what rows and columns cost alone, costs range over ±{box.reach:.3g} ε")
    most_terms = int(most_terms * (1.0 + box.reach / _WIDE))
    least = math.exp(-box.reach)
    budget = max(min(accuracy, _COARSEST), _FINEST, box.rounding) * least
    bounds = np.ones(1)
    index = np.empty((1, box.zeta.size), np.intp)
    series = []
    left_out = 0.0
    others = math.exp(box.zeta.sum())
    for k, zeta in enumerate(box.zeta.tolist()):
        functions, sizes = _series(zeta)
        series.append(functions)
        others /= math.exp(zeta)  # what a term can come to in the directions that follow
        products = np.outer(bounds, sizes)
        kept = products * others > 1e-4 * budget
        left_out += float(products[~kept].sum()) * others
        before, here = np.nonzero(kept)
        bounds, index = products[kept], index[before]
        index[:, k] = here
        if bounds.size > 4 * most_terms + 100:  # the budget does not cover so many
            raise UnsuitableError(f"its kernel takes more than the {most_terms} terms that would pay")
    order = np.argsort(bounds)
    sums = left_out + np.cumsum(bounds[order])
    count = int(np.searchsorted(sums, budget))
    if bounds.size - count > most_terms:
        raise UnsuitableError(f"its kernel takes {bounds.size - count} terms, and {most_terms} would pay")
    left_out = float(sums[count - 1]) if count else left_out
    return _Terms(series, index[order[count:]], left_out / least + box.rounding)


def _chebyshev(degree: int, count: int) -> _Array:
    """Return T_k(x_i) = cos(k θ_i), k < `degree`, at the `count` Chebyshev nodes x_i = cos θ_i."""
    steps = np.outer(2 * np.arange(count) + 1, np.arange(degree)) % (4 * count)  # small angles are exact
    values: _Array = np.cos(steps * (math.pi / (2 * count)))
    return values


#: How much a polynomial can exceed its largest value on such a grid (Ehlich and Zeller 1964).
_EXCESS = 1.0 / math.cos(math.pi / 16.0)


def _series(zeta: float) -> tuple[_Array, _Array]:
    """Return Chebyshev coefficients of the functions √λ_l φ_l, and bounds of |λ_l φ_l(s) φ_l(t)|."""
    # Interpolation at so many nodes has no error but rounding, and of that less than at more.
    size = 16 + math.ceil(3.0 * zeta)
    at_nodes, on_grid = _chebyshev(size, size), _chebyshev(size, 8 * size)
    nodes = at_nodes[:, 1]
    values, vectors = np.linalg.eigh(np.exp(zeta * np.outer(nodes, nodes)) / size)
    values, vectors = values[::-1], vectors[:, ::-1]  # from the largest to the least
    count = int(np.count_nonzero(values > 4.0 * _EPS * values[0]))  # the others are rounding
    functions = at_nodes.T @ (vectors[:, :count] * np.sqrt(values[:count] / size))
    functions[1:] *= 2.0
    bounds: _Array = (_EXCESS * np.abs(on_grid @ functions).max(axis=0)) ** 2
    return functions, bounds


def _evaluate(points: _Array, terms: _Terms, beat: Callable[[], object]) -> _Array:
    """Return the functions of all terms at points in [−1, 1]^r, `(t, n)`."""
    size, n = len(terms.index), len(points)
    factors = np.ones((size, n))
    step = max(1, _BLOCK // max(size, 64))
    for i in range(0, n, step):
        block = factors[:, i : i + step]
        for k, functions in enumerate(terms.series):
            used = functions[:, : terms.index[:, k].max() + 1]
            values: _Array = used.T @ chebvander(points[i : i + step, k], len(functions) - 1).T
            block *= values[terms.index[:, k]]
        beat()
    return factors


def _softmin(from_: _Array, to: _Array, log_weights: _Array) -> _Array:
    top = log_weights.max()
    sums = (from_ @ np.exp(log_weights - top)) @ to
    softmin: _Array = -np.log(sums) - top
    return softmin


def _iterate(
    kernel: KernelFactors,
    a: _Array,
    b: _Array,
    damping: tuple[float, float],
    balanced: bool,
    target: float,
    limit: int,
    gamma: _Array | None,
    pulse: _Pulse,
) -> tuple[_Array, int]:
    """Make Sinkhorn's iterations on the potentials of the columns, in units of ε, and count them.

    Weights are positive here, and the error is that of `sinkhorn`.
    """
    log_a, log_b, mass = np.log(a), np.log(b), a.sum()
    damping_a, damping_b = damping
    if gamma is None:
        gamma = damping_b * kernel.q
    for n_iter in range(1, limit + 1):
        phi = damping_a * kernel.row_softmin(log_b + gamma)
        before, gamma = gamma, damping_b * kernel.column_softmin(log_a + phi)
        if balanced:
            with np.errstate(over="ignore"):  # far from the solution
                error = float(b @ np.abs(np.expm1(before - gamma))) / mass
        else:
            error = float(np.abs(before - gamma).max())
        if error <= target or pulse.beat(n_iter, error):
            break
    return gamma, n_iter


class _Pulse:
    """Tells a monitor where the work stands, often enough for what `sinkhorn` promises."""

    _PERIOD = 0.05

    def __init__(self, monitor: Monitor | None) -> None:
        self._monitor = monitor
        self._next = perf_counter() + self._PERIOD
        self.stopped = False

    def beat(self, iteration: int = 0, error: float = math.nan) -> bool:
        """Report if it is time to, and return whether the monitor wants the work to stop."""
        if self._monitor is not None and perf_counter() >= self._next:
            self.stopped = self._monitor(iteration, error, math.nan)
            self._next = perf_counter() + self._PERIOD
        return self.stopped
