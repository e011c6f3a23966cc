"""Potentials of a barycenter from its entropic dual problem at falling temperatures."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from otfast import _core
from otfast.cost import Cost, Grid
from otfast.errors import InfeasibleError
from otfast.progress import Monitor

__all__ = ["Smoothed", "smoothed_duals"]

_Array = NDArray[np.float64]

#: Soft minima for all measures, of their rows or, if the last argument is true, of their columns.
_Kernel = Callable[[Sequence[_Array], float, bool], Sequence[_Array]]

#: Temperatures in units of the spread of the costs: the first, what divides the last one, and the least.
_FIRST = 5e-3
_FACTOR = 10.0**0.5
_LEAST = 1e-6

#: Evaluations at the first temperature, the growth of their number, and the most.
_EVALUATIONS = 10
_GROWTH = 1.6
_MOST_EVALUATIONS = 300

#: The mass of a point, in units of the mean, below which a step does not grow any more.
_LEAST_MASS = 1e-3

#: Pairs of differences from which L-BFGS takes curvature.
_MEMORY = 20


class Smoothed(NamedTuple):
    """What one temperature leaves."""

    weights: _Array
    """The mean of the plans' marginals, `(n,)`, of total 1."""
    potentials: _Array
    """Potentials f_k of the barycenter's side, `(K, n)`, with Σ_k λ_k f_k = 0; −inf where no mass may be."""
    n_iter: int
    """Evaluations so far."""


def smoothed_duals(
    measures: Sequence[_Array],
    costs: Sequence[Cost],
    weights: _Array,
    max_iter: int,
    monitor: Monitor | None,
) -> Iterator[Smoothed]:
    r"""Solve the entropic dual problem of a barycenter at falling temperatures, each from the last.

    .. math:: \max_{\sum_k \lambda_k f_k = 0} \sum_k \lambda_k \langle g_k, b_k \rangle, \qquad
        g_k(j) = -\varepsilon \log \sum_i \exp\frac{f_k(i) - C_k(i, j)}{\varepsilon}.

    The derivative in f_k is −λ_k times the marginal of the plan that has b_k as its other marginal.

    Parameters
    ----------
    measures : sequence of ndarray, shapes (m_k,)
        The histograms b_k, of total 1.
    costs : sequence of Cost, shapes (n, m_k)
        The costs; ``+inf`` forbids a pair.
    weights : ndarray, shape (K,)
        The λ_k, all positive, of sum 1.
    max_iter : int
        Largest number of evaluations in all.
    monitor : callable or None
        Called with the number of evaluations; returning True ends the work.

    Yields
    ------
    Smoothed
        After each temperature.

    Raises
    ------
    InfeasibleError
        If a point of a measure has only forbidden pairs.

    Notes
    -----
    An evaluation takes two passes over all pairs; where all costs are one `Grid`, they act axis by axis.
    Memory is O(Σ_k m_k + K n) beyond the costs. Few evaluations for each temperature are enough: exact bounds
    are taken from the potentials afterwards.

    References
    ----------
    .. [1] Cuturi and Peyré, "A smoothed dual approach for variational Wasserstein problems", 2016: the dual,
       section 3.
    .. [2] Liu and Nocedal, "On the limited memory BFGS method for large scale optimization", 1989.
    """
    dual = _Dual(measures, costs, weights, max_iter, monitor)
    spread = max(high - low for low, high in (cost.bounds() for cost in costs))
    epsilon, planned = _FIRST * spread, float(_EVALUATIONS)
    while epsilon >= _LEAST * spread > 0.0 and not dual.is_over:
        dual.maximise(epsilon, min(int(planned), _MOST_EVALUATIONS))
        yield Smoothed(dual.weights, dual.potentials(), dual.n_iter)
        epsilon /= _FACTOR
        planned *= _GROWTH


class _Dual:
    """The dual problem, and where its maximisation stands."""

    def __init__(
        self,
        measures: Sequence[_Array],
        costs: Sequence[Cost],
        weights: _Array,
        max_iter: int,
        monitor: Monitor | None,
    ) -> None:
        self._measures = measures
        self._lam = weights[:, None]
        self._max_iter = max_iter
        self._monitor = monitor
        self._kernel = _grid_kernel(costs) or _rows_kernel(costs)
        with np.errstate(divide="ignore"):
            self._logs = [np.log(b) for b in measures]
        # Where some measure cannot send mass, there is none, and nothing to send for the others.
        zero = [np.where(b > 0.0, 0.0, -np.inf) for b in measures]
        self._reached = np.isfinite(np.array(self._kernel(zero, 1.0, False))).all(axis=0)
        self._f = np.zeros((len(measures), int(self._reached.sum())))
        self.weights = np.full(self._reached.size, 1.0 / self._reached.size)
        self._tried = self.weights
        self.n_iter = 0
        self._stopped = False

    @property
    def is_over(self) -> bool:
        return self._stopped or self.n_iter >= self._max_iter

    def potentials(self) -> _Array:
        """Return the f_k of all points."""
        potentials = np.full((len(self._measures), self._reached.size), -np.inf)
        potentials[:, self._reached] = self._centred(self._f)
        return potentials

    def maximise(self, epsilon: float, evaluations: int) -> None:
        """Go on from the potentials so far, in units of the temperature."""
        last = min(self.n_iter + evaluations, self._max_iter)

        # The second derivative in f_k(i) / ε is about λ_k w(i): in units of its root, all are alike.
        mass = np.maximum(self.weights[self._reached], _LEAST_MASS / self._f.shape[1])
        unit = epsilon / np.sqrt(self._lam * mass)

        def negative(x: _Array) -> tuple[float, _Array]:
            value, gradient = self._evaluate(x.reshape(self._f.shape) * unit, epsilon)
            return -value / epsilon, -(gradient * (unit / epsilon)).ravel()

        def listen(_: _Array) -> None:
            self.weights = self._tried
            if self._monitor is not None and self._monitor(self.n_iter, np.nan, np.nan):
                self._stopped = True
            if self._stopped or self.n_iter >= last:
                raise StopIteration

        found = minimize(
            negative,
            (self._f / unit).ravel(),
            jac=True,
            method="L-BFGS-B",
            callback=listen,
            options={"maxcor": _MEMORY, "maxfun": last - self.n_iter, "ftol": 0.0, "gtol": 0.0},
        )
        self._f = found.x.reshape(self._f.shape) * unit

    def _evaluate(self, f: _Array, epsilon: float) -> tuple[float, _Array]:
        self.n_iter += 1
        centred = np.full((len(self._measures), self._reached.size), -np.inf)
        centred[:, self._reached] = self._centred(f)
        g = self._kernel(list(centred), epsilon, True)
        g = [np.where(b > 0.0, own, 0.0) for own, b in zip(g, self._measures, strict=True)]
        if not all(np.isfinite(own).all() for own in g):
            raise InfeasibleError("some point of a measure has only forbidden pairs, those of cost +inf")
        r = self._kernel(
            [own + epsilon * log for own, log in zip(g, self._logs, strict=True)], epsilon, False
        )
        marginals = np.exp((centred - np.array(r)) / epsilon, where=self._reached, out=np.zeros_like(centred))
        mean = self._lam[:, 0] @ marginals
        self._tried = mean / mean.sum()
        value = sum(
            weight * (own @ b) for weight, own, b in zip(self._lam[:, 0], g, self._measures, strict=True)
        )
        gradient: _Array = self._lam * (mean - marginals)[:, self._reached]
        return float(value), gradient

    def _centred(self, f: _Array) -> _Array:
        return f - self._lam[:, 0] @ f


def _rows_kernel(costs: Sequence[Cost]) -> _Kernel:
    """Return the soft minima of each cost, a row after another."""

    def softmin(h: Sequence[_Array], epsilon: float, transpose: bool) -> Sequence[_Array]:
        return [
            _core.softmin(cost.core, own, epsilon, True, transpose, None)
            for cost, own in zip(costs, h, strict=True)
        ]

    return softmin


def _grid_kernel(costs: Sequence[Cost]) -> _Kernel | None:
    """Return the same for measures that share a grid, which is symmetric; None if they do not."""
    grid = costs[0]
    if not isinstance(grid, Grid) or any(cost is not grid for cost in costs):
        return None
    axes = grid.axis_costs()

    def softmin(h: Sequence[_Array], epsilon: float, _: bool) -> Sequence[_Array]:
        unit = epsilon * math.log(2.0)
        return list(-unit * _core.GridKernel(axes, epsilon, None).log_sums(np.array(h) / unit))

    return softmin
