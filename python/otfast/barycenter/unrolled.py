"""The barycenter after a given number of Bregman projections, and its exact derivatives."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otfast._entropic_validation import check_epsilon
from otfast._validation import FloatArray, as_array, check_count, check_finite
from otfast.barycenter._kernels import LogSums, log_sums_of
from otfast.barycenter._validation import check_barycentric_weights, check_histograms
from otfast.cost import Cost, as_cost

__all__ = ["UnrolledBarycenter", "barycenter_unrolled"]

_Array = NDArray[np.float64]

_LN2 = math.log(2.0)


@dataclass(frozen=True, eq=False)
class _Algorithm:
    """What the projections are made of. Logarithms have base 2."""

    cost: Cost
    epsilon: float
    B: _Array
    weights: _Array
    n_iter: int

    @cached_property
    def log_sums(self) -> LogSums:
        """The products with exp(−C/ε)."""
        return log_sums_of(self.cost, self.epsilon, None)

    def __reduce__(self) -> tuple[Any, ...]:
        # A kernel in memory is made again rather than stored.
        return _Algorithm, (self.cost, self.epsilon, self.B, self.weights, self.n_iter)

    def step(self, alpha: _Array) -> _Step:
        """Do one iteration from scalings u = 2^alpha, `(K, n)`."""
        psi = self.log_sums(alpha, True)
        with np.errstate(divide="ignore"):
            beta = np.log2(self.B) - psi
        phi = self.log_sums(beta, False)
        log_w = self.weights @ phi
        return _Step(alpha, psi, phi, log_w, log_w - phi)

    def steps(self, alpha: _Array, count: int) -> Iterator[_Step]:
        """Do some iterations."""
        for _ in range(count):
            step = self.step(alpha)
            yield step
            alpha = step.following

    def product(self, x: _Array, at: _Array, by: _Array, *, transpose: bool) -> _Array:
        """Return 2^by times the products of the kernel with x 2^(−at), for x of any sign.

        There is one exponential for all, so that nothing overflows on the way.
        """
        parts = []
        for part in (np.maximum(x, 0.0), np.maximum(-x, 0.0)):
            with np.errstate(divide="ignore"):
                parts.append(self.log_sums(np.log2(part) - at, transpose) + by)
        return np.exp2(parts[0]) - np.exp2(parts[1])


@dataclass(frozen=True, eq=False)
class _Step:
    """One iteration: psi = log Kᵀ2^alpha, phi = log K(b 2^−psi), log w = Σ λ_k phi_k."""

    alpha: _Array
    psi: _Array
    phi: _Array
    log_w: _Array
    following: _Array
    """The next alpha, log w − phi."""


@dataclass(frozen=True, eq=False, repr=False)
class UnrolledBarycenter:
    """The barycenter after `n_iter` iterations.

    Attributes
    ----------
    weights : ndarray, shape (n,)
        The barycenter, of the mass of the inputs.
    n_iter : int
        The number of iterations.
    """

    weights: FloatArray
    n_iter: int
    _algorithm: _Algorithm
    _checkpoints: list[_Array]
    _scale: float
    """The sum of the weights λ before they were scaled to 1."""

    def __repr__(self) -> str:
        return f"UnrolledBarycenter(n={self.weights.size}, n_iter={self.n_iter})"

    def vjp(self, u: ArrayLike) -> tuple[_Array, _Array]:
        """Multiply the derivatives of the barycenter by a vector: the gradient of ⟨u, weights⟩.

        Parameters
        ----------
        u : array_like, shape (n,)

        Returns
        -------
        gradient_weights : ndarray, shape (K,)
            The gradient in the λ_k, as they were given.
        gradient_B : ndarray, shape (K, m)
            The gradient in the measures, for changes that keep their masses; also where b_kj = 0.

        Notes
        -----
        Exact for the algorithm as it is, in reverse, with eight products of the kernel for each iteration.
        """
        direction = as_array("u", u).astype(np.float64, copy=False)
        if direction.shape != self.weights.shape:
            raise ValueError(f"u must have the shape {self.weights.shape}, not {direction.shape}")
        check_finite("u", direction)
        algorithm = self._algorithm
        w = self.weights.astype(np.float64)
        # The last step normalises: its alpha has no influence, its log w (in base 2) has.
        of_log_w = _LN2 * w * (direction - direction @ w / w.sum())
        of_alpha = np.zeros((len(algorithm.weights), w.size))
        of_weights = np.zeros(len(algorithm.weights))
        of_B = np.zeros_like(algorithm.B)
        span = _span(self.n_iter)
        for at in reversed(range(len(self._checkpoints))):
            count = min(span, self.n_iter - at * span)
            for step in reversed(list(algorithm.steps(self._checkpoints[at], count))):
                of_log_w = of_log_w + of_alpha.sum(0)
                of_phi = np.outer(algorithm.weights, of_log_w) - of_alpha
                # A point without a way to a measure has no weight and no influence.
                of_weights += np.where(np.isfinite(step.phi), step.phi, 0.0) @ of_log_w
                of_b = algorithm.product(of_phi, step.phi, -step.psi, transpose=True)
                of_psi = -algorithm.B * of_b
                of_B += of_b / _LN2
                of_alpha = algorithm.product(of_psi, step.psi, step.alpha, transpose=False)
                of_log_w = np.zeros_like(w)
        of_weights = (of_weights - of_weights @ algorithm.weights) / self._scale
        return of_weights, of_B


def barycenter_unrolled(
    B: ArrayLike, C: ArrayLike | Cost, weights: ArrayLike | None = None, *, epsilon: float, n_iter: int
) -> UnrolledBarycenter:
    r"""Do a fixed number of Bregman projections, to differentiate through them.

    From u = 1 every iteration sets, for all measures k,

    .. math:: v_k = b_k / K^\top u_k, \quad w = \prod_k (K v_k)^{\lambda_k}, \quad u_k = w / K v_k,
        \quad K = e^{-C / \varepsilon}.

    Parameters
    ----------
    B : array_like, shape (K, m)
        Histograms b_k of one mass.
    C : array_like, shape (n, m), or Cost
        The cost between the points of the barycenter and those of the measures.
    weights : array_like, shape (K,), optional
        The λ_k; their sum is scaled to 1. None means 1/K each.
    epsilon : float
        The temperature ε > 0.
    n_iter : int
        The number L of iterations.

    Returns
    -------
    UnrolledBarycenter
        The last w, scaled to the mass of the inputs, and `vjp` for the derivatives.

    Raises
    ------
    ValueError
        If an argument is malformed; the message names it.

    Notes
    -----
    2 L products of K with K vectors; `vjp` repeats them and takes six more for each iteration. Every √L-th
    state is kept: O(√L K n) memory.

    References
    ----------
    .. [1] Bonneel, Peyré and Cuturi, "Wasserstein barycentric coordinates: histogram regression using optimal
       transport", 2016: algorithm 1.

    Examples
    --------
    >>> import numpy as np, otfast as otf
    >>> B = [[0.9, 0.1, 0.0], [0.0, 0.1, 0.9]]
    >>> result = otf.barycenter.barycenter_unrolled(B, otf.Grid(np.arange(3.0)), epsilon=0.5, n_iter=20)
    >>> result.weights.round(3)
    array([0.144, 0.712, 0.144])
    >>> gradient, _ = result.vjp([0.0, 0.0, 1.0])
    >>> gradient.round(3)
    array([-0.354,  0.354])
    """
    cost = as_cost(C)
    histograms, mass, dtype = check_histograms("B", B, cost.shape[1])
    lambdas, is_batch = check_barycentric_weights(weights, len(histograms))
    if is_batch:
        raise ValueError(f"weights must have the shape ({len(histograms)},)")
    epsilon = check_epsilon(epsilon, cost.bounds(), cost.dtype)
    n_iter = check_count("n_iter", n_iter)
    scale = 1.0 if weights is None else float(np.sum(np.asarray(weights, np.float64)))
    algorithm = _Algorithm(cost, epsilon, histograms, lambdas[0], n_iter)
    return _unroll(algorithm, mass, np.result_type(dtype, cost.dtype), scale)


def _unroll(algorithm: _Algorithm, mass: float, dtype: np.dtype[Any], scale: float) -> UnrolledBarycenter:
    """Run the algorithm, and keep what its reverse starts from."""
    alpha = np.zeros((len(algorithm.weights), algorithm.cost.shape[0]))
    checkpoints = []
    span = _span(algorithm.n_iter)
    for at, step in enumerate(algorithm.steps(alpha, algorithm.n_iter)):
        if at % span == 0:
            checkpoints.append(step.alpha)
    relative = np.exp2(step.log_w - step.log_w.max())
    w = relative * (mass / relative.sum())
    return UnrolledBarycenter(w.astype(dtype), algorithm.n_iter, algorithm, checkpoints, scale)


def _span(n_iter: int) -> int:
    return math.isqrt(n_iter - 1) + 1
