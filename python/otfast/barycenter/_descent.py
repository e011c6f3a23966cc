"""Barycenters by descent on their weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import optimize
from scipy.special import logsumexp

from otfast import _entropic_solve
from otfast.barycenter import _bregman
from otfast.barycenter._bregman import Ascent, Problem, Solution
from otfast.cost import Cost
from otfast.errors import InfeasibleError
from otfast.progress import Monitor

_Array = NDArray[np.float64]

_LN2 = math.log(2.0)

#: Iterations of one transport problem at most; those of later steps start near the end.
_MOST_INNER = 10_000


def solve(
    problem: Problem,
    costs: Sequence[Cost],
    measures: Sequence[_Array],
    tol: float,
    max_iter: int,
    report: Monitor | None,
) -> Solution:
    """Minimise F(w) = Σ_k λ_k OT(w, b_k), for each row of weights, by L-BFGS in log w.

    The gradient is Σ_k λ_k (f_k + ε log w) with the potentials f_k of the transport between w and b_k (Cuturi
    and Doucet 2014, proposition 2); every problem starts from its potentials of the last step.
    """
    if len(costs) == 1:
        costs = [costs[0]] * len(measures)
    solutions = []
    with np.errstate(divide="ignore", invalid="ignore"):
        for weights in problem.weights:
            descent = _Descent(replace(problem, weights=weights[None]), costs, measures, tol, report)
            solutions.append(descent.run(max_iter))
    return _bregman.join(solutions)


class _Descent:
    """The descent for one vector of weights."""

    def __init__(
        self,
        problem: Problem,
        costs: Sequence[Cost],
        measures: Sequence[_Array],
        tol: float,
        report: Monitor | None,
    ) -> None:
        self._problem = problem
        self._costs = costs
        self._measures = [b / problem.mass for b in measures]
        self._weights = problem.weights[0]
        self._account = Ascent(tol, report)
        self._inner_tol = min(1e-6, max(0.1 * tol, 1e-10))
        self._f = np.zeros((len(measures), problem.size))
        self._g: list[_Array | None] = [None] * len(measures)

    def run(self, max_iter: int) -> Solution:
        """Descend, and end with projections."""
        z = np.where(_bregman.reached(self._problem), 0.0, -1e3)
        if max_iter > 1:
            options = {"maxiter": max_iter - 1, "maxfun": 20 * max_iter, "ftol": 0.0, "gtol": 0.0}
            z = optimize.minimize(
                self._objective,
                z,
                jac=True,
                method="L-BFGS-B",
                callback=self._account.listen,
                options=options,
            ).x
        self._objective(z)
        alpha = (self._f / self._problem.epsilon + z - logsumexp(z)) / _LN2
        return _bregman.complete(self._problem, alpha, self._account, self._account.tol, max_iter)

    def _objective(self, z: _Array) -> tuple[float, _Array]:
        """Return F/ε for measures of mass 1, and its gradient in the logarithms z of the weights."""
        epsilon, mass = self._problem.epsilon, self._problem.mass
        log_w = z - logsumexp(z)
        w = np.exp(log_w)
        value = epsilon * float(w @ log_w)
        gradient = epsilon * log_w
        balanced = math.inf, math.inf
        for k, (cost, b) in enumerate(zip(self._costs, self._measures, strict=True)):
            if self._weights[k] == 0.0:
                continue
            start, tol = self._g[k], self._inner_tol
            args = epsilon, balanced, "auto", tol, _MOST_INNER, start, None, None
            raw, _ = _entropic_solve.solve(cost, w, b, *args)
            if raw["status"] == "infeasible":
                raise InfeasibleError("mass of the measures has no way to the barycenter (costs +inf in C)")
            self._f[k], self._g[k] = raw["potential_a"], raw["potential_b"]
            has_mass = b > 0.0
            entropy = epsilon * float(b[has_mass] @ np.log(b[has_mass]))
            value += self._weights[k] * (raw["value"] + entropy)
            gradient += self._weights[k] * raw["potential_a"]
        # By how far a Bregman projection would move the weights.
        moved = log_w - gradient / epsilon
        self._account.error = float(np.abs(np.exp(moved - logsumexp(moved)) - w).sum())
        self._account.value = mass * (value + epsilon * math.log(mass))
        return value / epsilon, w * (gradient - w @ gradient) / epsilon
