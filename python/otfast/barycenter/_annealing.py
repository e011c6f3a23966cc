"""Potentials of a barycenter from iterative Bregman projections at falling temperatures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from otfast import _core
from otfast.cost import Cost, Grid
from otfast.errors import InfeasibleError
from otfast.progress import Monitor

__all__ = ["Annealed", "anneal"]

_Array = NDArray[np.float64]

#: Soft minima for all measures, of their rows or, if the last argument is true, of their columns.
_Kernel = Callable[[Sequence[_Array], float, bool], Sequence[_Array]]

#: Temperatures in units of the spread of the costs: the first, what divides the last one, and the least. At the
#: least, a pixel among a thousand is some thousand times colder than what a step to its neighbour costs.
_FIRST = 5e-3
_FACTOR = 10.0**0.5
_LEAST = 1e-6

#: Iterations at the first temperature, the growth of their number, and the most.
_ITERATIONS = 10
_GROWTH = 1.6
_MOST_ITERATIONS = 300

#: How far an iteration goes, in units of what the projections ask for: in logarithms, that is successive
#: over-relaxation.
_RELAXATION = 1.6


class Annealed(NamedTuple):
    """What one temperature leaves."""

    weights: _Array
    """The barycenter, `(n,)`, of total 1 and positive up to underflow."""
    potentials: _Array
    """Potentials f_k of the barycenter's side, `(K, n)`, with Σ_k λ_k f_k = 0."""
    n_iter: int
    """Iterations so far."""


def anneal(
    measures: Sequence[_Array],
    costs: Sequence[Cost],
    weights: _Array,
    max_iter: int,
    monitor: Monitor | None,
) -> Iterator[Annealed]:
    r"""Solve the entropic barycenter problem at falling temperatures, each from the potentials of the last.

    .. math:: \max_{\sum_k \lambda_k f_k = 0} \sum_k \lambda_k \langle g_k, b_k \rangle, \qquad
        g_k(j) = -\varepsilon \log \sum_i \exp\frac{f_k(i) - C_k(i, j)}{\varepsilon}.

    With r_k the other half of Sinkhorn's iteration, r_k(i) = −ε log Σ_j b_k(j) exp((g_k(j) − C_k(i, j)) / ε), the
    projections set f_k = r_k − Σ_l λ_l r_l, and log w = −Σ_l λ_l r_l / ε.

    Parameters
    ----------
    measures : sequence of ndarray, shapes (m_k,)
        The histograms b_k, of total 1.
    costs : sequence of Cost, shapes (n, m_k)
        The costs.
    weights : ndarray, shape (K,)
        The λ_k, of sum 1.
    max_iter : int
        Largest number of iterations in all.
    monitor : callable or None
        Called by the core while it works.

    Yields
    ------
    Annealed
        After each temperature.

    Notes
    -----
    An iteration takes two passes over all pairs; where all costs are one `Grid`, they act axis by axis. Few
    iterations per temperature are enough: the exact bounds are taken from the potentials afterwards.

    References
    ----------
    .. [1] Benamou, Carlier, Cuturi, Nenna and Peyré, "Iterative Bregman projections for regularized
       transportation problems", 2015: proposition 2, here on logarithms.
    """
    spread = max(high - low for low, high in (cost.bounds() for cost in costs))
    kernel = _grid_kernel(costs, monitor) or _kernel(costs, monitor)
    with np.errstate(divide="ignore"):
        logs = [np.log(b) for b in measures]
    f = np.zeros((len(measures), costs[0].shape[0]))
    epsilon, planned, n_iter = _FIRST * spread, float(_ITERATIONS), 0
    while epsilon >= _LEAST * spread > 0.0 and n_iter < max_iter:
        for _ in range(min(int(planned), max_iter - n_iter)):
            g = kernel(list(f), epsilon, True)
            if any(np.isinf(own[b > 0.0]).any() for own, b in zip(g, measures, strict=True)):
                raise InfeasibleError("a point of a measure has only forbidden pairs, those of cost +inf")
            exponents = [
                np.where(b > 0.0, own, 0.0) + epsilon * log
                for own, b, log in zip(g, measures, logs, strict=True)
            ]
            r = np.array(kernel(exponents, epsilon, False))
            mean = weights @ r
            n_iter += 1
            # Where some measure sends no mass, there is none, and nothing to send for the others.
            reached = np.isfinite(mean)
            f[:, reached] += _RELAXATION * (r[:, reached] - mean[reached] - f[:, reached])
            f[:, ~reached] = -np.inf
        w = np.exp((mean.min() - mean) / epsilon)
        yield Annealed(w / w.sum(), f, n_iter)
        epsilon /= _FACTOR
        planned = min(planned * _GROWTH, _MOST_ITERATIONS)


def _kernel(costs: Sequence[Cost], monitor: Monitor | None) -> _Kernel:
    """Return the soft minima of each cost, a row after another."""

    def softmin(h: Sequence[_Array], epsilon: float, transpose: bool) -> Sequence[_Array]:
        return [
            _core.softmin(cost.core, own, epsilon, True, transpose, monitor)
            for cost, own in zip(costs, h, strict=True)
        ]

    return softmin


def _grid_kernel(costs: Sequence[Cost], monitor: Monitor | None) -> _Kernel | None:
    """Return the same for measures that share a grid, which is symmetric; None if they do not."""
    grid = costs[0]
    if not isinstance(grid, Grid) or any(cost is not grid for cost in costs):
        return None
    axes = grid.axis_costs()

    def softmin(h: Sequence[_Array], epsilon: float, _: bool) -> Sequence[_Array]:
        return _core.softmin_grid(axes, np.array(h), epsilon, monitor)

    return softmin
