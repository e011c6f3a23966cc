"""Barycenters from the semi-dual: L-BFGS on the potentials of their points."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize

from otfast.barycenter import _bregman
from otfast.barycenter._bregman import Ascent, Problem, Solution
from otfast.progress import Monitor

_Array = NDArray[np.float64]

_LN2 = math.log(2.0)

Conjugate = Callable[[_Array], tuple[float, ArrayLike]]


def solve(
    problem: Problem, conjugate: Conjugate | None, tol: float, max_iter: int, report: Monitor | None
) -> Solution:
    """Minimise Σ_k λ_k H*_k(α_k) + J*(−Σ_k λ_k α_k), the negative dual, for each row of weights.

    H*_k(α) = ε Σ_j b_kj (log (K_kᵀ e^{α/ε})_j − log b_kj) is the conjugate of w ↦ OT(w, b_k), and its
    gradient the row marginal of a plan whose columns are right (Cuturi and Peyré 2016, section 4). Without J
    the constraint is Σ_k λ_k α_k = 0, which makes the last potential depend on the others.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        rows = [replace(problem, weights=weights[None]) for weights in problem.weights]
        return _bregman.join([_SemiDual(row, conjugate, tol, report).run(max_iter) for row in rows])


class _SemiDual:
    """The ascent for one vector of weights. Potentials are in units of ε log 2, logarithms have base 2."""

    def __init__(
        self, problem: Problem, conjugate: Conjugate | None, tol: float, report: Monitor | None
    ) -> None:
        self._problem = problem
        self._conjugate = conjugate
        self._account = Ascent(tol, report)
        self._weights = problem.weights[0]
        # The last measure of positive weight is the one whose potential follows from the others.
        self._last = int(np.flatnonzero(self._weights > 0.0)[-1])
        self._free = np.flatnonzero(self._weights > 0.0)
        if conjugate is None:
            self._free = self._free[:-1]
        self._lost = ~_bregman.reached(problem)
        self._unit = problem.epsilon * _LN2

    def run(self, max_iter: int) -> Solution:
        """Ascend, and end with plans that have one marginal."""
        most = max_iter if self._conjugate is not None else max_iter - 1
        alpha = np.zeros((len(self._weights), self._problem.size))
        if self._free.size > 0 and most > 0:
            found = optimize.minimize(
                self._objective,
                np.zeros(self._free.size * self._problem.size),
                jac=True,
                method="L-BFGS-B",
                callback=self._account.listen,
                options={"maxiter": most, "maxfun": 20 * most, "ftol": 0.0, "gtol": 0.0, "maxcor": 20},
            )
            alpha = self._potentials(found.x)
        account = self._account
        if self._conjugate is None:
            return _bregman.complete(self._problem, alpha, account, account.tol, max_iter)
        u = self._slope(alpha)
        dual, w = self._term(u)
        solution = _bregman.finish(self._problem, alpha[None], np.log2(w)[None], account.iteration)
        # J(w) = ⟨u, w⟩ − J*(u) at the u whose gradient is w.
        value = solution.history[-1] + float(u @ w) - dual
        status = "optimal" if solution.error.max() <= account.tol and account.tol > 0.0 else account.status
        return replace(solution, history=np.append(account.history, value)[:, None], status=status)

    def _objective(self, x: _Array) -> tuple[float, _Array]:
        problem, weights = self._problem, self._weights
        alpha = self._potentials(x)
        psi = problem.kernel.to_measures(alpha[None])
        beta = problem.log_b - psi
        if not problem.is_positive:
            beta[:, problem.log_b == -math.inf] = -math.inf
        phi = problem.kernel.to_support(beta)[0]
        marginals = np.exp2(alpha + phi)
        b = problem.b
        values = problem.kernel.per_measure(np.where(b > 0.0, b * -beta, 0.0))[0]
        value = self._unit * float(weights @ values)
        if self._conjugate is None:
            target = marginals[self._last]
        else:
            dual, target = self._term(self._slope(alpha))
            value += dual
        gradient = weights[self._free, None] * np.where(self._lost, 0.0, marginals[self._free] - target)
        used = weights > 0.0
        self._account.error = float(np.abs(marginals[used] - target).sum(-1).max()) / problem.mass
        self._account.value = -value
        # In these units gradients are of the order of the mass, which suits L-BFGS.
        return value / self._unit, gradient.ravel()

    def _potentials(self, x: _Array) -> _Array:
        alpha = np.zeros((len(self._weights), self._problem.size))
        alpha[self._free] = x.reshape(self._free.size, -1)
        if self._conjugate is None:
            alpha[self._last] = -(self._weights @ alpha) / self._weights[self._last]
        alpha[:, self._lost] = -math.inf  # no mass can be there
        return alpha

    def _slope(self, alpha: _Array) -> _Array:
        mean: _Array = self._weights @ np.where(self._lost, 0.0, alpha)
        return -self._unit * mean

    def _term(self, u: _Array) -> tuple[float, _Array]:
        assert self._conjugate is not None
        value, gradient = self._conjugate(u)
        w = np.asarray(gradient, np.float64)
        if w.shape != u.shape or not (np.isfinite(w).all() and np.isfinite(value)):
            raise ValueError(
                f"conjugate must return a finite number and a finite gradient of shape {u.shape}"
            )
        return float(value), w
