"""The cost of K points whose transport problem is that of a barycenter."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otfast._validation import FloatArray, as_cloud, check_weights
from otfast.cost import Cost, LowRankCost, PointCloud
from otfast.multimarginal._multi_cost import CostOfArrays, as_list


class BarycenterCost(CostOfArrays):
    r"""The scatter of K points around their mean: the cost of a barycenter.

    .. math:: C(i_0, \dots, i_{K-1}) = \sum_k \lambda_k \lVert x^k_{i_k} - \bar x \rVert^2,
        \quad \bar x = \sum_k \lambda_k x^k_{i_k} / \sum_k \lambda_k.

    The least value of the transport problem is that of the barycenter of the measures, and the means of the
    tuples of an optimal plan are its support [1]_.

    Parameters
    ----------
    points : sequence of array_like, shapes (n_k, d), or (n_k,) on the line
        The points x^k. The precision is `float32` if all of them are.
    weights : array_like, shape (K,), optional
        The weights λ_k, not negative; 1/K each by default.

    Raises
    ------
    ValueError
        If there are fewer than two clouds, or points or weights are malformed or do not fit each other, or
        costs exceed the range of the precision.

    Notes
    -----
    A contraction takes O(d Π n_k) time and the memory of the tuples of half of the points. `pairwise` is the
    same cost as a sum over pairs, `latent` one that takes no more than O(m Σ n_k) on a given support.

    References
    ----------
    .. [1] Agueh and Carlier, "Barycenters in the Wasserstein space", 2011: section 4.

    Examples
    --------
    >>> from otfast.multimarginal import BarycenterCost
    >>> BarycenterCost([[0.0, 2.0], [0.0, 4.0]]).dense()
    array([[0., 4.],
           [1., 1.]])
    """

    def __init__(self, points: Sequence[ArrayLike], weights: ArrayLike | None = None) -> None:
        clouds = [as_cloud(f"points[{k}]", x) for k, x in enumerate(as_list("points", points))]
        if len(clouds) < 2:
            raise ValueError(f"points must hold at least two clouds, not {len(clouds)}")
        dims = [x.shape[1] for x in clouds]
        if len(set(dims)) > 1:
            raise ValueError(f"points must have one dimension, but they have {dims}")
        super().__init__(clouds)
        self._weights, self._total, _ = check_weights("weights", weights, len(clouds))
        # Costs do not see a translation, and near zero nothing cancels.
        with np.errstate(over="ignore", invalid="ignore"):
            shares = self._weights / self._total
            self._centre = sum(
                float(w) * x.astype(np.float64).mean(0) for w, x in zip(shares, clouds, strict=True)
            )
            farthest = max(float(((x - self._centre) ** 2).sum(axis=1).max()) for x in clouds)
            self._check_range("points", 4.0 * self._total * farthest)

    @property
    def points(self) -> tuple[FloatArray, ...]:
        """The clouds x^k, `(n_k, d)`."""
        return self._arrays

    @property
    def weights(self) -> NDArray[np.float64]:
        """The weights λ_k, `(K,)`."""
        return self._weights

    def unfold(self, leading: int) -> Cost:
        """Return the tensor as a matrix: its rows are tuples of the first `leading` points, in C order."""
        self._check_tuples(leading, 3 * (self._arrays[0].shape[1] + 2))
        # With p = Σ λ x and s = Σ λ‖x‖² over either part, C = s + s' − ‖p + p'‖²/Σλ.
        p, s = self._moments(range(leading))
        p_trailing, s_trailing = self._moments(range(leading, self.ndim))
        alone = (s - (p**2).sum(axis=1) / self._total)[:, None]
        alone_trailing = (s_trailing - (p_trailing**2).sum(axis=1) / self._total)[:, None]
        rows = np.hstack([p * (-2.0 / self._total), alone, np.ones_like(alone)])
        cols = np.hstack([p_trailing, np.ones_like(alone_trailing), alone_trailing])
        return LowRankCost(rows.astype(self._dtype), cols.astype(self._dtype))

    def entries(self, indices: NDArray[np.integer[Any]]) -> FloatArray:
        """Return the entries at the rows of `indices` `(m, K)`, shape `(m,)`."""
        picked = np.stack(
            [x[i].astype(np.float64) for x, i in zip(self._arrays, np.asarray(indices).T, strict=True)]
        )
        mean = np.tensordot(self._weights / self._total, picked, 1)
        return np.tensordot(self._weights, ((picked - mean) ** 2).sum(-1), 1).astype(self._dtype, copy=False)

    def means(self, indices: NDArray[np.integer[Any]]) -> FloatArray:
        """Return the means x̄ of the tuples at the rows of `indices` `(m, K)`, shape `(m, d)`."""
        columns = zip(self._weights / self._total, self._arrays, np.asarray(indices).T, strict=True)
        return sum(float(w) * x[i] for w, x, i in columns).astype(self._dtype, copy=False)  # type: ignore[no-any-return]

    def pairwise(self) -> Any:
        """Return the same cost as a sum over pairs, Σ_{k<l} λ_k λ_l ‖x^k − x^l‖² / Σ λ.

        Returns
        -------
        PairwiseCost
            On the complete graph.
        """
        from otfast.multimarginal.pairwise import PairwiseCost  # which is made of costs itself

        edges = {}
        for k, x in enumerate(self._arrays):
            for j in range(k):
                scale = math.sqrt(self._weights[j] * self._weights[k] / self._total)
                y = self._arrays[j]
                edges[j, k] = PointCloud((scale * y).astype(self._dtype), (scale * x).astype(self._dtype))
        return PairwiseCost(self.ndim, edges)

    def latent(self, support: ArrayLike) -> Any:
        """Return the star with a node more, which stands for the mean: Σ_k λ_k ‖x^k − z‖².

        Parameters
        ----------
        support : array_like, shape (m, d)
            Where z may be. The least of the costs over all z is this cost, if the mean is among them.

        Returns
        -------
        PairwiseCost
            On K + 1 nodes; with the last marginal free, what `sinkhorn` finds is a barycenter on the support.
        """
        from otfast.multimarginal.pairwise import PairwiseCost  # which is made of costs itself

        z = as_cloud("support", support).astype(self._dtype, copy=False)
        edges = {}
        for k, x in enumerate(self._arrays):
            scale = math.sqrt(self._weights[k])
            edges[k, self.ndim] = PointCloud((scale * x).astype(self._dtype), (scale * z).astype(self._dtype))
        return PairwiseCost(self.ndim + 1, edges)

    def _moments(self, nodes: range) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return Σ λ x and Σ λ ‖x‖² for all tuples of points of these nodes."""
        p, s = np.zeros((1, self._arrays[0].shape[1])), np.zeros(1)
        for k in nodes:
            x = self._arrays[k].astype(np.float64) - self._centre
            p = (p[:, None] + self._weights[k] * x).reshape(-1, x.shape[1])
            s = (s[:, None] + self._weights[k] * (x**2).sum(1)).ravel()
        return p, s
