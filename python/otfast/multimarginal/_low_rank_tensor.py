"""A cost of K points that is a sum of products, with a factor for each point."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otfast._validation import FloatArray, as_matrix, check_finite
from otfast.cost import Cost, LowRankCost
from otfast.multimarginal._multi_cost import CostOfArrays, as_list


class LowRankTensor(CostOfArrays):
    """The cost Σ_r Π_k F_k[i_k, r], which is never stored as a tensor.

    Parameters
    ----------
    factors : sequence of array_like, shapes (n_k, r)
        The matrices F_k, finite numbers. The precision is `float32` if all of them are.

    Raises
    ------
    ValueError
        If there are fewer than two factors, or they are no matrices of finite numbers of one rank, or their
        products exceed the range of the precision.

    Notes
    -----
    A contraction takes O(r Π n_k) time: the exponential of a sum does not factorise. Memory is that of the
    tuples of half of the points.

    Examples
    --------
    >>> import numpy as np
    >>> from otfast.multimarginal import LowRankTensor
    >>> cost = LowRankTensor([[[1.0], [2.0]], [[3.0], [4.0]], [[1.0], [-1.0]]])
    >>> float(cost.entries(np.array([[1, 0, 1]]))[0])
    -6.0
    """

    def __init__(self, factors: Sequence[ArrayLike]) -> None:
        given = as_list("factors", factors)
        matrices = [as_matrix(f"factors[{k}]", factor) for k, factor in enumerate(given)]
        if len(matrices) < 2:
            raise ValueError(f"factors must hold at least two matrices, not {len(matrices)}")
        for k, factor in enumerate(matrices):
            check_finite(f"factors[{k}]", factor)
        ranks = [factor.shape[1] for factor in matrices]
        if len(set(ranks)) > 1:
            raise ValueError(f"factors must have one rank, but their numbers of columns are {ranks}")
        super().__init__(matrices)
        # Products over some of the points are computed, too.
        with np.errstate(over="ignore"):
            columns = [np.maximum(np.abs(factor).max(axis=0), 1.0) for factor in matrices]
            self._check_range("factors", float(reduce(np.multiply, columns).sum()))

    @property
    def factors(self) -> tuple[FloatArray, ...]:
        """The matrices F_k."""
        return self._arrays

    def unfold(self, leading: int) -> Cost:
        """Return the tensor as a matrix: its rows are tuples of the first `leading` points, in C order."""
        self._check_tuples(leading, 2 * self._arrays[0].shape[1])
        rows, cols = (
            reduce(_row_products, factors) for factors in (self._arrays[:leading], self._arrays[leading:])
        )
        return LowRankCost(rows.astype(self._dtype, copy=False), cols.astype(self._dtype, copy=False))

    def entries(self, indices: NDArray[np.integer[Any]]) -> FloatArray:
        """Return the entries at the rows of `indices` `(m, K)`, shape `(m,)`."""
        picked = (factor[i] for factor, i in zip(self._arrays, np.asarray(indices).T, strict=True))
        return reduce(np.multiply, picked).sum(axis=1).astype(self._dtype, copy=False)  # type: ignore[no-any-return]


def _row_products(left: FloatArray, right: FloatArray) -> FloatArray:
    """Return the products of all rows of one matrix with all rows of the other, entry by entry."""
    return (left[:, None] * right).reshape(-1, left.shape[1])
