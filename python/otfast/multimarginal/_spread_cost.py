"""The spread of K points on the line."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otfast._validation import FloatArray, as_array, check_finite
from otfast.cost import Cost, PointCloud
from otfast.multimarginal._multi_cost import CostOfArrays, as_list


class SpreadCost(CostOfArrays):
    """The spread max_k x^k − min_k x^k of K points on the line.

    It is submodular, so that the comonotone plan is optimal [1]_, and `solve` needs no program.

    Parameters
    ----------
    points : sequence of array_like, shapes (n_k,)
        The points x^k. The precision is `float32` if all of them are.

    Raises
    ------
    ValueError
        If there are fewer than two vectors, they are not finite, or costs exceed the range of the precision.

    References
    ----------
    .. [1] Bein, Brucker, Park and Pathak, "A Monge property for the d-dimensional transportation problem",
       1995.

    Examples
    --------
    >>> from otfast.multimarginal import SpreadCost
    >>> SpreadCost([[0.0, 1.0], [0.0, 5.0]]).dense()
    array([[0., 5.],
           [1., 4.]])
    """

    def __init__(self, points: Sequence[ArrayLike]) -> None:
        vectors = []
        for k, x in enumerate(as_list("points", points)):
            vector = as_array(f"points[{k}]", x)
            if vector.ndim != 1 or vector.size == 0:
                raise ValueError(f"points[{k}] must have shape (n,), but its shape is {vector.shape}")
            check_finite(f"points[{k}]", vector)
            vectors.append(vector)
        if len(vectors) < 2:
            raise ValueError(f"points must hold at least two vectors, not {len(vectors)}")
        super().__init__(vectors)
        self._check_range("points", 8.0 * max(float(np.abs(x).max()) for x in vectors))

    @property
    def points(self) -> tuple[FloatArray, ...]:
        """The points x^k, `(n_k,)`."""
        return self._arrays

    def unfold(self, leading: int) -> Cost:
        """Return the tensor as a matrix: its rows are tuples of the first `leading` points, in C order."""
        self._check_tuples(leading, 8)
        # From max(h, h') = (h + h' + |h − h'|)/2 and likewise for the least l of either part: the spread is
        # (|h − h'| + |l − l'| + (h − l) + (h' − l'))/2, a distance in the plane and two numbers ≥ 0, which
        # are a distance along a third axis if one of them is put below zero.
        (h, low), (h_trailing, low_trailing) = (
            self._extremes(slice(leading)),
            self._extremes(slice(leading, None)),
        )
        rows = np.stack([h, low, h - low], axis=1) / 2
        cols = np.stack([h_trailing, low_trailing, low_trailing - h_trailing], axis=1) / 2
        return PointCloud(rows.astype(self._dtype), cols.astype(self._dtype), "cityblock")

    def entries(self, indices: NDArray[np.integer[Any]]) -> FloatArray:
        """Return the entries at the rows of `indices` `(m, K)`, shape `(m,)`."""
        picked = np.stack([x[i] for x, i in zip(self._arrays, np.asarray(indices).T, strict=True)])
        return np.ptp(picked, axis=0).astype(self._dtype, copy=False)  # type: ignore[no-any-return]

    def _extremes(self, nodes: slice) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        vectors = [x.astype(np.float64) for x in self._arrays[nodes]]
        return (
            reduce(np.maximum.outer, vectors).ravel(),
            reduce(np.minimum.outer, vectors).ravel(),
        )
