"""The potentials of K marginals: one coordinate of the dual after another.

P = ⊗a_k exp((⊕f_k − C)/ε). A contraction hands over, for one k, the soft minimum over all other points,

    s(i_k) = −ε log Σ_{i_j, j ≠ k} Π_{j ≠ k} a_j exp((Σ_{j ≠ k} f_j − C)/ε),

so that P_k = a_k exp((f_k − s)/ε), and maximising the dual in f_k sets f_k = s, or ρ/(ρ + ε) s where the
marginal has a price ρ (Chizat et al. 2018, table 1), which is 0 where it is free.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from otfast.errors import InfeasibleError

_Array = NDArray[np.float64]

#: The largest exponent e^x that is sure to stay finite when a few numbers are multiplied by it.
LARGEST_EXPONENT = 600.0


class Potentials:
    """The potentials f_k and what belongs to each: weights a_k and the price ρ_k of a deviation."""

    def __init__(self, weights: Sequence[_Array], rho: Sequence[float], epsilon: float) -> None:
        self.weights = list(weights)
        self.rho = list(rho)
        self.f: list[_Array] = [np.zeros(a.size) for a in weights]
        self.offset = 0.0
        """Added to every soft minimum: what parts of the problem that are not in a contraction are worth."""
        self._totals = [float(a.sum()) for a in weights]
        self.set_temperature(epsilon)

    def set_temperature(self, epsilon: float) -> None:
        """Go over to another temperature, with the same potentials."""
        self.epsilon = epsilon
        self._damping = [1.0 if math.isinf(r) else r / (r + epsilon) for r in self.rho]
        with np.errstate(divide="ignore"):
            self._log_weights = [epsilon * np.log(a) for a in self.weights]

    def exponent(self, k: int) -> _Array:
        """Return f_k + ε log a_k, −∞ at points of no weight."""
        return self.f[k] + self._log_weights[k]

    def marginal(self, k: int, softmin: _Array) -> _Array:
        """Return P_k = a_k exp((f_k − s)/ε)."""
        exponent = np.minimum((self.f[k] - softmin - self.offset) / self.epsilon, LARGEST_EXPONENT)
        return self.weights[k] * np.exp(exponent)

    def visit(self, k: int, softmin: _Array, update: bool) -> tuple[float, float]:
        """Measure a marginal, and update its potential if `update`.

        Returns
        -------
        error, mass
            How far the marginal was from where it should be, and the mass of the plan afterwards. Exact
            marginals are measured in L1, relative to the mass; for those with a price it is the change of the
            potential that is due, in units of ε.
        """
        error = self._violation(k, softmin)
        if update:
            self.update(k, softmin)
            if math.isinf(self.rho[k]):
                return error, self._totals[k]
        return error, float(self.marginal(k, softmin).sum())

    def _violation(self, k: int, softmin: _Array) -> float:
        if self.rho[k] == 0.0:
            return 0.0
        if math.isinf(self.rho[k]):
            return float(np.abs(self.marginal(k, softmin) - self.weights[k]).sum()) / self._totals[k]
        due = self._damping[k] * (softmin + self.offset) - self.f[k]
        return float(np.abs(due[self.weights[k] > 0.0]).max()) / self.epsilon

    def update(self, k: int, softmin: _Array) -> None:
        """Maximise the dual in f_k. Raises `InfeasibleError` where a point of positive mass has no way."""
        lost = np.isinf(softmin)
        if lost.any():
            if (lost & (self.weights[k] > 0.0)).any():
                raise InfeasibleError(
                    f"a point of positive mass of marginals[{k}] has only forbidden tuples, those of cost "
                    "+inf, or tuples with points of no mass"
                )
            softmin = np.where(lost, 0.0, softmin)
        self.f[k] = self._damping[k] * (softmin + self.offset)

    def settle(self, k: int, softmin: _Array) -> None:
        """Do the same at points of no weight alone."""
        due = self._damping[k] * (np.where(np.isinf(softmin), 0.0, softmin) + self.offset)
        self.f[k] = np.where(self.weights[k] > 0.0, self.f[k], due)

    def dual(self, mass: float) -> float:
        """Return the value of the dual, where the plan has this mass."""
        value = self.epsilon * (math.prod(self._totals) - mass)
        for f, a, rho in zip(self.f, self.weights, self.rho, strict=True):
            if math.isinf(rho):
                value += float(f @ a)
            elif rho > 0.0:
                value -= rho * float(a @ np.expm1(np.minimum(-f / rho, LARGEST_EXPONENT)))
        return value
