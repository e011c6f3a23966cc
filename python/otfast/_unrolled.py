"""Sinkhorn's algorithm stopped after L iterations, and its exact derivatives by reverse mode."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otfast import _core
from otfast._entropic_result import EntropicCoupling, needs_double
from otfast._entropic_validation import check_epsilon
from otfast._validation import FloatArray, balance_weights, check_count, check_weights
from otfast.cost import Cost, as_cost
from otfast.errors import InfeasibleError
from otfast.result import to_scalar

__all__ = ["Unrolled", "sinkhorn_unrolled"]

_Array = NDArray[np.float64]
_FLOAT32 = np.dtype(np.float32)

#: Entries of the cost that are looked at together.
_BLOCK_SIZE = 1 << 20

#: How far a potential may move from that of a kernel, in units of ε: twice e to this power, for rows and for
#: columns, times the smallest number is still negligible. For double and for single precision.
_ROOM = (150.0, 15.0)


def sinkhorn_unrolled(
    a: ArrayLike | None, b: ArrayLike | None, C: ArrayLike | Cost, epsilon: float, n_iter: int
) -> Unrolled:
    r"""Run L iterations of Sinkhorn's algorithm and differentiate what they give.

    .. math:: W_L = \langle P_L, C \rangle, \quad P_L = \mathrm{diag}(u_L) \, K \, \mathrm{diag}(v_L), \quad
        K = e^{-C/\varepsilon}, \quad v_0 = 1, \; u_l = a / K v_l, \; v_{l+1} = b / K^\top u_l.

    With L = `n_iter`, there are L + 1 updates of the rows, u_0 … u_L, and L of the columns, v_1 … v_L; the
    last one is that of the rows, so that P_L has the marginal `a`, and `b` up to the error of the algorithm.

    Parameters
    ----------
    a : array_like, shape (n,), or None
        Weights of the rows, not negative; None means 1/n each.
    b : array_like, shape (m,), or None
        Weights of the columns, not negative; None means 1/m each. Totals must agree as in `sinkhorn`.
    C : array_like, shape (n, m), or Cost
        Costs; ``+inf`` forbids a pair.
    epsilon : float
        The temperature ε > 0, in units of the cost.
    n_iter : int
        The number L of iterations, at least 1.

    Returns
    -------
    Unrolled
        W_L and its derivatives, those of the algorithm and not of the problem it approximates.

    Raises
    ------
    ValueError
        If an argument is malformed; the message names it.
    InfeasibleError
        If a row or a column of positive mass has only forbidden pairs.

    Notes
    -----
    The derivative of W_L is *not* the potential ε log u_L, however large L: that is the derivative of the
    value with its regularisation, `Transport.gradient_a`. As L grows, W_L tends to `Transport.value_linear`.

    `a` and `b` are free here: no total is kept, and a point of zero weight has the derivative from the right.
    For ε so small that its new mass would move all others, that may be infinite in floating point.

    All computations are in the log domain, so that no ε is too small. Time is about 4 L passes over all
    pairs. `gradient_cost` is a sum of 2 L + 2 products of vectors with kernels, made at first access as one
    product of matrices, or a few where potentials move farther than a kernel has range. Memory is
    O(L (n + m)), and n m for `gradient_cost`.

    References
    ----------
    .. [1] Peyré and Cuturi, "Computational Optimal Transport", 2019: iterations (4.15), (4.43); derivatives
       of the algorithm in section 9.1.3.
    .. [2] Bonneel, Peyré and Cuturi, "Wasserstein barycentric coordinates: histogram regression using optimal
       transport", 2016: reverse mode through Sinkhorn's iterations.

    Examples
    --------
    >>> import otfast as otf
    >>> C = [[0.0, 1.0], [2.0, 0.0]]
    >>> result = otf.sinkhorn_unrolled([0.5, 0.5], [0.25, 0.75], C, epsilon=0.5, n_iter=2)
    >>> result
    Unrolled(value=0.193002, shape=2 x 2, n_iter=2)
    >>> result.gradient_cost.round(3)
    array([[ 0.428,  0.072],
           [-0.014,  0.514]])
    """
    cost = as_cost(C)
    n, m = cost.shape
    weights_a, total_a, single_a = check_weights("a", a, n)
    weights_b, total_b, single_b = check_weights("b", b, m)
    is_single = single_a or single_b or cost.dtype == _FLOAT32
    weights_b = balance_weights(weights_b, total_a, total_b, is_single)
    epsilon = check_epsilon(epsilon, cost.bounds(), cost.dtype)
    n_iter = check_count("n_iter", n_iter)
    tape = _run(_Problem(cost, weights_a, weights_b, epsilon), n_iter)
    return _differentiate(tape)


@dataclass(frozen=True, eq=False, repr=False)
class Unrolled:
    """The transport cost after L iterations of Sinkhorn's algorithm, with its derivatives.

    Attributes
    ----------
    value : float
        W_L = ⟨P_L, C⟩.
    gradient_a, gradient_b : ndarray, shapes (n,) and (m,)
        Derivatives of W_L in the weights.
    n_iter : int
        The number L of iterations.
    """

    value: float
    gradient_a: FloatArray
    gradient_b: FloatArray
    n_iter: int
    _adjoint: _Adjoint = field(compare=False)

    @cached_property
    def gradient_cost(self) -> FloatArray:
        """The derivative of W_L in the costs, `(n, m)`; made at first access. Forbidden pairs have 0."""
        return _cost_gradient(self._adjoint)

    def __repr__(self) -> str:
        n, m = self.gradient_a.size, self.gradient_b.size
        return f"Unrolled(value={self.value:.6g}, shape={n} x {m}, n_iter={self.n_iter})"


@dataclass(frozen=True, eq=False)
class _Problem:
    cost: Cost
    a: _Array
    b: _Array
    epsilon: float

    @cached_property
    def is_wide(self) -> bool:
        low, high = self.cost.bounds()
        return needs_double(self.cost.dtype, high - low, self.epsilon)

    def softmin(self, h: _Array, *, transpose: bool) -> _Array:
        """Return −ε log Σ exp((h − C)/ε) over columns, or over rows if `transpose`."""
        return _core.softmin(self.cost.core, h, self.epsilon, self.is_wide, transpose, None)

    def kernel(self, a: _Array, b: _Array, f: _Array, g: _Array) -> EntropicCoupling:
        """Return the matrix a_i b_j exp((f_i + g_j − C_ij)/ε)."""
        return EntropicCoupling(self.cost, a, b, f, g, self.epsilon, self.is_wide)

    def blocks(self) -> Iterator[tuple[int, int]]:
        n, m = self.cost.shape
        step = max(1, _BLOCK_SIZE // m)
        return ((i, min(i + step, n)) for i in range(0, n, step))


class _Tape(NamedTuple):
    """All iterates: u_l = a exp(f[l]/ε), v_l = b exp(g[l]/ε), but v_0 = 1.

    Without the weights, they are finite for points of zero weight, and so are derivatives.
    """

    problem: _Problem
    f: _Array
    g: _Array


class _Adjoint(NamedTuple):
    """Derivatives of W_L in ε log u_l and ε log v_l as of after step l, for a unit of weight."""

    tape: _Tape
    phi: _Array
    gamma: _Array


def _run(problem: _Problem, n_iter: int) -> _Tape:
    n, m = problem.cost.shape
    f, g = np.zeros((n_iter + 1, n)), np.zeros((n_iter + 1, m))
    with np.errstate(divide="ignore"):
        log_a, log_b = (problem.epsilon * np.log(weights) for weights in (problem.a, problem.b))
    f[0] = _finite(problem.softmin(g[0], transpose=False), problem.a)
    for step in range(1, n_iter + 1):
        g[step] = _finite(problem.softmin(f[step - 1] + log_a, transpose=True), problem.b)
        f[step] = _finite(problem.softmin(g[step] + log_b, transpose=False), problem.a)
    return _Tape(problem, f, g)


def _finite(potential: _Array, weights: _Array) -> _Array:
    """Give points without a way any potential, if they have no weight."""
    lost = np.isinf(potential)
    if (lost & (weights > 0.0)).any():
        raise InfeasibleError(
            "a row or column of positive mass has only forbidden pairs, those of cost +inf in C, or pairs "
            "with points of no mass"
        )
    potential[lost] = 0.0
    return potential


def _differentiate(tape: _Tape) -> Unrolled:
    problem, f, g = tape
    a, b, epsilon = problem.a, problem.b, problem.epsilon
    n_iter = len(f) - 1
    phi, gamma = np.zeros_like(f), np.zeros_like(g)
    phi[n_iter], gamma[n_iter] = _seeds(tape)
    value = epsilon * float(a @ phi[n_iter])
    for step in range(n_iter, 0, -1):
        down = problem.kernel(a, np.ones_like(b), f[step], g[step])
        gamma[step] -= down.apply_transpose(_weighted(phi[step], a))
        across = problem.kernel(np.ones_like(a), b, f[step - 1], g[step])
        phi[step - 1] = -across.apply(_weighted(gamma[step], b))
    dtype = problem.cost.dtype
    return Unrolled(
        value=to_scalar(value, dtype),
        gradient_a=(epsilon * phi.sum(axis=0)).astype(dtype, copy=False),
        gradient_b=(epsilon * gamma.sum(axis=0)).astype(dtype, copy=False),
        n_iter=n_iter,
        _adjoint=_Adjoint(tape, phi, gamma),
    )


def _weighted(adjoint: _Array, weights: _Array) -> _Array:
    """Leave points without weight out: nothing depends on them, and their numbers may be infinite."""
    return np.where(weights > 0.0, adjoint, 0.0)


def _seeds(tape: _Tape) -> tuple[_Array, _Array]:
    """Return the sums of P_L ∘ C over rows and columns, for a unit of weight and in units of ε."""
    problem, f, g = tape
    a, b = problem.a, problem.b
    kernel = problem.kernel(np.ones_like(a), np.ones_like(b), f[-1], g[-1])
    phi, gamma = np.zeros_like(a), np.zeros_like(b)
    has_weight = b > 0.0
    for i0, i1 in problem.blocks():
        entries = kernel.rows(i0, i1).astype(np.float64, copy=False)
        costs = np.where(entries > 0.0, problem.cost.rows(i0, i1), 0.0)
        entries *= costs
        phi[i0:i1] = entries[:, has_weight] @ b[has_weight]
        gamma += a[i0:i1] @ entries
    return phi / problem.epsilon, gamma / problem.epsilon


class _Term(NamedTuple):
    """A part of the derivative in C: left_i right_j exp((f[at_f]_i + g[at_g]_j − C_ij)/ε)."""

    at_f: int
    at_g: int
    left: _Array
    right: _Array


def _cost_gradient(adjoint: _Adjoint) -> FloatArray:
    (problem, f, g), phi, gamma = adjoint
    a, b, epsilon = problem.a, problem.b, problem.epsilon
    n_iter = len(f) - 1
    phi, gamma = _weighted(phi, a), _weighted(gamma, b)
    gradient = np.empty(problem.cost.shape, problem.cost.dtype)
    last = problem.kernel(a, b, f[-1], g[-1])
    first = problem.kernel(a, np.ones_like(b), f[0], g[0])
    for i0, i1 in problem.blocks():
        plan = last.rows(i0, i1)
        costs = np.where(plan > 0.0, problem.cost.rows(i0, i1), 0.0)
        gradient[i0:i1] = plan * (1.0 - costs / epsilon) + phi[0, i0:i1, None] * first.rows(i0, i1)
    terms = []
    for step in range(n_iter, 0, -1):
        terms.append(_Term(step, step, a * phi[step], b))
        terms.append(_Term(step - 1, step, a, b * gamma[step]))
    has_mass = (a > 0.0).astype(np.float64), (b > 0.0).astype(np.float64)
    for group in _groups(terms, adjoint):
        at_f, at_g = group[0].at_f, group[0].at_g
        kernel = problem.kernel(*has_mass, f[at_f], g[at_g])
        left = np.stack([t.left * _exp(f[t.at_f] - f[at_f], a, epsilon) for t in group])
        right = np.stack([t.right * _exp(g[t.at_g] - g[at_g], b, epsilon) for t in group])
        for i0, i1 in problem.blocks():
            gradient[i0:i1] += kernel.rows(i0, i1) * (left[:, i0:i1].T @ right)
    return gradient


def _exp(exponent: _Array, weights: _Array, epsilon: float) -> _Array:
    return np.exp(np.where(weights > 0.0, exponent, 0.0) / epsilon)


def _groups(terms: list[_Term], adjoint: _Adjoint) -> Iterator[list[_Term]]:
    """Cut the terms where potentials have moved so far that scalings of one kernel would leave its range."""
    (problem, f, g), _, _ = adjoint
    room = problem.epsilon * _ROOM[problem.cost.dtype == _FLOAT32]
    has_mass_a, has_mass_b = problem.a > 0.0, problem.b > 0.0

    def is_near(term: _Term, reference: _Term) -> bool:
        moved_a = np.abs(f[term.at_f] - f[reference.at_f])[has_mass_a].max()
        moved_b = np.abs(g[term.at_g] - g[reference.at_g])[has_mass_b].max()
        return bool(max(moved_a, moved_b) <= room)

    group: list[_Term] = []
    for term in terms:
        if group and not is_near(term, group[0]):
            yield group
            group = []
        group.append(term)
    yield group
