"""The result of transport between a measure one can sample from and points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otfast import _core
from otfast._entropic_result import Factors, needs_double
from otfast._entropic_solve import full_pass
from otfast._metric import Metric
from otfast._validation import FloatArray, as_array, as_points
from otfast.cost import PointCloud


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class SemiDiscrete:
    """Entropic transport from a measure α that is known by its samples to points y_j of weights b_j.

    The plan is dP(x, y_j) = dα(x) b_j exp((f(x) + g_j − c(x, y_j))/ε). It is given by g alone: f follows from
    g at any x.

    Attributes
    ----------
    value : float
        The value of the semi-dual at g, estimated from fresh samples of α.
    potential_b : ndarray, shape (m,)
        The potential g of the points y.
    converged : bool
        Whether `error` is at most the tolerance.
    n_iter : int
        The number of steps.
    error : float
        The L1 violation of the marginal b relative to its mass, estimated from the same samples: the estimate
        is larger than the violation by the noise of the samples, about 0.8 √(m/k) for k of them.
    b : ndarray, shape (m,)
        The weights of the points y.
    y : ndarray, shape (m, d)
        The points.
    metric : str or tuple
        The metric c.
    epsilon : float
        The temperature ε.

    Notes
    -----
    α has the total mass of b, and its samples are those of a probability measure. Results can be pickled and
    copied.
    """

    value: float
    potential_b: FloatArray
    converged: bool
    n_iter: int
    error: float
    b: NDArray[np.float64]
    y: FloatArray
    metric: Metric
    epsilon: float

    def potential_a(self, x: ArrayLike) -> FloatArray:
        """Return f(x) = −ε log Σ_j b_j exp((g_j − c(x, y_j))/ε): a potential that extends to any point.

        Parameters
        ----------
        x : array_like, shape (k, d)

        Returns
        -------
        ndarray, shape (k,)
        """
        cost = self._cost(x)
        return self._potential(cost).astype(cost.dtype)

    def probabilities(self, x: ArrayLike) -> FloatArray:
        """Return where mass at x goes: b_j exp((f(x) + g_j − c(x, y_j))/ε), the law of y given x.

        Parameters
        ----------
        x : array_like, shape (k, d)

        Returns
        -------
        ndarray, shape (k, m)
            Rows of total 1.
        """
        cost = self._cost(x)
        return _core.plan_rows(*self._factors(cost), 0, cost.shape[0])

    def apply(self, v: ArrayLike, x: ArrayLike) -> FloatArray:
        """Return the mean of a function of y given x, Σ_j p_j(x) v_j, without storing the probabilities.

        Parameters
        ----------
        v : array_like, shape (m,) or (m, r)
            The values of the function at the points y.
        x : array_like, shape (k, d)

        Returns
        -------
        ndarray, shape (k,) or (k, r)
        """
        values = as_array("v", v)
        if values.ndim not in (1, 2) or len(values) != self.b.size:
            raise ValueError(
                f"v must have shape ({self.b.size},) or ({self.b.size}, r), but its shape is {values.shape}"
            )
        columns = values.reshape(len(values), -1).astype(np.float64)
        product = _core.plan_apply(*self._factors(self._cost(x)), columns, False)
        return product if values.ndim == 2 else product[:, 0]

    def barycentric_projection(self, x: ArrayLike) -> FloatArray:
        """Return the mean of y given x: the map that transport along the plan makes of points.

        Parameters
        ----------
        x : array_like, shape (k, d)

        Returns
        -------
        ndarray, shape (k, d)
        """
        return self.apply(self.y, x)

    def _cost(self, x: ArrayLike) -> PointCloud:
        return PointCloud(as_points("x", x).astype(self.y.dtype, copy=False), self.y, self.metric)

    def _potential(self, cost: PointCloud) -> NDArray[np.float64]:
        weights = np.full(cost.shape[0], self.b.sum() / cost.shape[0])
        return full_pass(cost, weights, self.b, self.epsilon, self._g)["potential_a"]

    def _factors(self, cost: PointCloud) -> Factors:
        low, high = cost.bounds()
        wide = needs_double(cost.dtype, high - low, self.epsilon)
        ones = np.ones(cost.shape[0])
        return cost.core, ones, self.b, self._potential(cost), self._g, self.epsilon, wide

    @property
    def _g(self) -> NDArray[np.float64]:
        return self.potential_b.astype(np.float64, copy=False)

    def __repr__(self) -> str:
        return (
            f"SemiDiscrete(value={self.value:.6g}, error={self.error:.1e}, m={self.b.size}, "
            f"converged={self.converged}, n_iter={self.n_iter})"
        )
