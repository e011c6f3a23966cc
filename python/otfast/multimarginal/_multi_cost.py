"""What all costs of K points have in common, and those that are made of an array for each point."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otfast._validation import FloatArray
from otfast.cost import Cost
from otfast.multimarginal._memory import check_memory
from otfast.multimarginal._pricing import price_unfolded

_FLOAT32 = np.dtype(np.float32)


class MultiCost(ABC):
    """A cost C(i_0, …, i_{K−1}) of K points, stored or not.

    The base of `TensorCost`, `PairwiseCost`, `BarycenterCost`, `LowRankTensor` and `SpreadCost`; it cannot be
    made itself. Costs are immutable, and can be pickled. A subclass with `shape`, `dtype`, `entries`,
    `bounds` and `price` is a cost for `solve` of which nobody enumerates the tuples.
    """

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """The numbers of points, (n_0, …, n_{K−1})."""

    @property
    @abstractmethod
    def dtype(self) -> np.dtype[np.floating[Any]]:
        """The precision of the entries, and of results: `float32` or `float64`."""

    def unfold(self, leading: int) -> Cost:
        """Return the tensor as a matrix: its rows are tuples of the first `leading` points, in C order.

        Not needed by `solve` where a subclass has `price` and `bounds` of its own.
        """
        raise ValueError(f"a {type(self).__name__} cannot be read as a matrix: it has no method unfold")

    @property
    def ndim(self) -> int:
        """The number K of points."""
        return len(self.shape)

    def dense(self) -> FloatArray:
        """Return the whole tensor.

        Raises
        ------
        ValueError
            If it does not fit into memory; the message gives its size.
        """
        check_memory("the tensor of costs", self.shape, self.dtype.itemsize)
        return self.unfold(balanced_split(self.shape)).dense().reshape(self.shape)

    @abstractmethod
    def entries(self, indices: NDArray[np.integer[Any]]) -> FloatArray:
        """Return the entries at the rows of `indices` `(m, K)`, shape `(m,)`."""

    def bounds(self) -> tuple[float, float]:
        """Return numbers between which all finite entries lie."""
        return self.unfold(balanced_split(self.shape)).bounds()

    def price(self, potentials: Sequence[NDArray[np.float64]]) -> tuple[NDArray[np.int64], float]:
        """Find tuples of small reduced cost C − ⊕f, which column generation adds to its program.

        A subclass that knows better than to look at all tuples overrides this.

        Parameters
        ----------
        potentials : sequence of ndarray, shapes (n_k,)
            The potentials f_k.

        Returns
        -------
        tuples : ndarray of int64, shape (m, K)
            Here those of least reduced cost through every point of every node.
        least : float
            The least reduced cost of all tuples, which is that of one of them.
        """
        split = balanced_split(self.shape)
        return price_unfolded(self.unfold(split), self.shape, split, potentials)

    def __repr__(self) -> str:
        shape = " x ".join(str(size) for size in self.shape)
        return f"<{type(self).__name__} {shape}, {self.dtype}>"


class CostOfArrays(MultiCost):
    """A cost that is made of K arrays: the rows of the k-th belong to the points of the k-th measure."""

    def __init__(self, arrays: Sequence[FloatArray]) -> None:
        self._arrays = tuple(arrays)
        is_single = all(array.dtype == _FLOAT32 for array in arrays)
        self._dtype: np.dtype[np.floating[Any]] = _FLOAT32 if is_single else np.dtype(np.float64)

    @property
    def shape(self) -> tuple[int, ...]:
        """The numbers of points, (n_0, …, n_{K−1})."""
        return tuple(len(array) for array in self._arrays)

    @property
    def dtype(self) -> np.dtype[np.floating[Any]]:
        """The precision of the entries, and of results: `float32` or `float64`."""
        return self._dtype

    def _check_range(self, name: str, largest: float) -> None:
        """Raise unless entries, and what they are computed from, are in the range of the precision."""
        if not largest < float(np.finfo(self._dtype).max):
            raise ValueError(f"costs of these {name} can exceed the range of {self._dtype}; rescale them")

    def _check_tuples(self, leading: int, width: int) -> None:
        """Raise unless `width` numbers for every tuple of the leading points, and of the others, fit in."""
        rows, cols = math.prod(self.shape[:leading]), math.prod(self.shape[leading:])
        check_memory("what belongs to the tuples of half of the points", (rows + cols, width), 8)


def as_list(name: str, values: Any) -> list[Any]:
    """Return what an argument that must be a sequence holds."""
    try:
        return list(values)
    except TypeError:
        raise ValueError(f"{name} must be a sequence, not {values!r}") from None


def balanced_split(shape: Sequence[int]) -> int:
    """Return how many leading axes make the rows of the matrix with the fewest rows and columns."""
    sizes = [math.prod(shape[:k]) + math.prod(shape[k:]) for k in range(1, len(shape))]
    return 1 + int(np.argmin(sizes))


def outer_sum(vectors: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Return v_0[i_0] + … + v_{K−1}[i_{K−1}] for all tuples, with an axis for each vector."""
    return reduce(np.add.outer, vectors)
