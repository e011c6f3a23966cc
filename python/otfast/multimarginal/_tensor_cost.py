"""A cost of K points that is an array."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otfast._validation import FloatArray, as_array
from otfast.cost import Cost, DenseCost
from otfast.multimarginal._multi_cost import MultiCost, balanced_split


class TensorCost(MultiCost):
    """A cost that is an array.

    Parameters
    ----------
    C : array_like, shape (n_0, …, n_{K−1})
        The entries: any real numbers, ``+inf`` for forbidden tuples. A C-contiguous array of `float32` or
        `float64` is used without a copy, so do not change it while the cost is in use.

    Raises
    ------
    ValueError
        If `C` has fewer than two axes or no entries, or holds NaN or ``-inf``.

    Examples
    --------
    >>> import numpy as np
    >>> from otfast.multimarginal import TensorCost
    >>> TensorCost(np.ones((2, 3, 4)))
    <TensorCost 2 x 3 x 4, float64>
    """

    def __init__(self, C: ArrayLike) -> None:
        array = as_array("cost", C)
        if array.ndim < 2 or array.size == 0:
            raise ValueError(
                f"cost must be a tensor with an axis for each of at least two marginals, but its shape is "
                f"{array.shape}"
            )
        self._array = array
        self._split = balanced_split(array.shape)
        try:
            self._matrix = DenseCost(array.reshape(math.prod(array.shape[: self._split]), -1))
        except ValueError:
            bad = np.isnan(array) | (array == -np.inf)
            place = ", ".join(str(i) for i in np.unravel_index(int(np.argmax(bad)), array.shape))
            raise ValueError(
                f"cost must not hold NaN or -inf, but cost[{place}] is {array[bad][0]}"
            ) from None

    @property
    def shape(self) -> tuple[int, ...]:
        """The numbers of points, (n_0, …, n_{K−1})."""
        return self._array.shape

    @property
    def dtype(self) -> np.dtype[np.floating[Any]]:
        """The precision of the entries, and of results: `float32` or `float64`."""
        return self._array.dtype

    def dense(self) -> FloatArray:
        """Return the tensor: a read-only view of the array."""
        view = self._array.view()
        view.flags.writeable = False
        return view

    def unfold(self, leading: int) -> Cost:
        """Return the tensor as a matrix: its rows are tuples of the first `leading` points, in C order."""
        if leading == self._split:
            return self._matrix
        return DenseCost(self._array.reshape(math.prod(self.shape[:leading]), -1))

    def entries(self, indices: NDArray[np.integer[Any]]) -> FloatArray:
        """Return the entries at the rows of `indices` `(m, K)`, shape `(m,)`."""
        return self._array[tuple(np.asarray(indices).T)]  # type: ignore[no-any-return]


def as_multi_cost(cost: ArrayLike | MultiCost) -> MultiCost:
    """Return the cost object that a solver was given, or make one of an array."""
    if isinstance(cost, Cost):
        raise ValueError("cost is one of two points: make it an edge, as in PairwiseCost(2, {(0, 1): cost})")
    return cost if isinstance(cost, MultiCost) else TensorCost(cost)
