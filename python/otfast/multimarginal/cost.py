"""Costs of K points: what a solver knows about the tensor C, which is seldom stored.

A tensor of shape (n_0, …, n_{K−1}), with its axes split into leading and trailing ones, is a matrix. All the
costs here give that matrix as a cost of two points (`otfast.cost`), so that everything which streams over
the rows of a matrix streams over a tensor. `PairwiseCost`, in a module of its own, does better still.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otfast._validation import FloatArray, as_array, as_cloud, as_matrix, check_finite, check_weights
from otfast.cost import Cost, DenseCost, LowRankCost, PointCloud
from otfast.multimarginal._memory import check_memory
from otfast.multimarginal._pricing import price_unfolded

__all__ = [
    "BarycenterCost",
    "LowRankTensor",
    "MultiCost",
    "SpreadCost",
    "TensorCost",
    "as_multi_cost",
    "outer_sum",
]

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


class LowRankTensor(MultiCost):
    """The cost Σ_r Π_k F_k[i_k, r], which is never stored as a tensor.

    Parameters
    ----------
    factors : sequence of array_like, shapes (n_k, r)
        The matrices F_k, finite numbers. The precision is `float32` if all of them are.

    Raises
    ------
    ValueError
        If there are fewer than two factors, or they are no matrices of finite numbers of one rank.

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
        self._factors = [as_matrix(f"factors[{k}]", factor) for k, factor in enumerate(given)]
        if len(self._factors) < 2:
            raise ValueError(f"factors must hold at least two matrices, not {len(self._factors)}")
        for k, factor in enumerate(self._factors):
            check_finite(f"factors[{k}]", factor)
        ranks = [factor.shape[1] for factor in self._factors]
        if len(set(ranks)) > 1:
            raise ValueError(f"factors must have one rank, but their numbers of columns are {ranks}")
        self._dtype = common_dtype(self._factors)

    @property
    def factors(self) -> tuple[FloatArray, ...]:
        """The matrices F_k."""
        return tuple(self._factors)

    @property
    def shape(self) -> tuple[int, ...]:
        """The numbers of points, (n_0, …, n_{K−1})."""
        return tuple(len(factor) for factor in self._factors)

    @property
    def dtype(self) -> np.dtype[np.floating[Any]]:
        """The precision of the entries, and of results: `float32` or `float64`."""
        return self._dtype

    def unfold(self, leading: int) -> Cost:
        """Return the tensor as a matrix: its rows are tuples of the first `leading` points, in C order."""
        rows, cols = (
            reduce(_row_products, factors) for factors in (self._factors[:leading], self._factors[leading:])
        )
        return LowRankCost(rows.astype(self._dtype, copy=False), cols.astype(self._dtype, copy=False))

    def entries(self, indices: NDArray[np.integer[Any]]) -> FloatArray:
        """Return the entries at the rows of `indices` `(m, K)`, shape `(m,)`."""
        picked = (factor[i] for factor, i in zip(self._factors, np.asarray(indices).T, strict=True))
        return reduce(np.multiply, picked).sum(axis=1).astype(self._dtype, copy=False)  # type: ignore[no-any-return]


class BarycenterCost(MultiCost):
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
        If there are fewer than two clouds, or points or weights are malformed or do not fit each other.

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
        self._points = clouds
        self._dtype = common_dtype(clouds)
        self._weights, self._total, _ = check_weights("weights", weights, len(clouds))
        # Costs do not see a translation, and near zero nothing cancels.
        self._centre = sum(
            float(w) * x.astype(np.float64).mean(0) for w, x in zip(self._weights, clouds, strict=True)
        )
        self._centre = self._centre / self._total

    @property
    def points(self) -> tuple[FloatArray, ...]:
        """The clouds x^k, `(n_k, d)`."""
        return tuple(self._points)

    @property
    def weights(self) -> NDArray[np.float64]:
        """The weights λ_k, `(K,)`."""
        return self._weights

    @property
    def shape(self) -> tuple[int, ...]:
        """The numbers of points, (n_0, …, n_{K−1})."""
        return tuple(len(x) for x in self._points)

    @property
    def dtype(self) -> np.dtype[np.floating[Any]]:
        """The precision of the entries, and of results: `float32` or `float64`."""
        return self._dtype

    def unfold(self, leading: int) -> Cost:
        """Return the tensor as a matrix: its rows are tuples of the first `leading` points, in C order."""
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
            [x[i].astype(np.float64) for x, i in zip(self._points, np.asarray(indices).T, strict=True)]
        )
        mean = np.tensordot(self._weights / self._total, picked, 1)
        return np.tensordot(self._weights, ((picked - mean) ** 2).sum(-1), 1).astype(self._dtype, copy=False)

    def means(self, indices: NDArray[np.integer[Any]]) -> FloatArray:
        """Return the means x̄ of the tuples at the rows of `indices` `(m, K)`, shape `(m, d)`."""
        columns = zip(self._weights / self._total, self._points, np.asarray(indices).T, strict=True)
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
        for k, x in enumerate(self._points):
            for j in range(k):
                scale = math.sqrt(self._weights[j] * self._weights[k] / self._total)
                y = self._points[j]
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
        for k, x in enumerate(self._points):
            scale = math.sqrt(self._weights[k])
            edges[k, self.ndim] = PointCloud((scale * x).astype(self._dtype), (scale * z).astype(self._dtype))
        return PairwiseCost(self.ndim + 1, edges)

    def _moments(self, nodes: range) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return Σ λ x and Σ λ ‖x‖² for all tuples of points of these nodes."""
        p, s = np.zeros((1, self._points[0].shape[1])), np.zeros(1)
        for k in nodes:
            x = self._points[k].astype(np.float64) - self._centre
            p = (p[:, None] + self._weights[k] * x).reshape(-1, x.shape[1])
            s = (s[:, None] + self._weights[k] * (x**2).sum(1)).ravel()
        return p, s


class SpreadCost(MultiCost):
    """The spread max_k x^k − min_k x^k of K points on the line.

    It is submodular, so that the comonotone plan is optimal [1]_, and `solve` needs no program.

    Parameters
    ----------
    points : sequence of array_like, shapes (n_k,)
        The points x^k. The precision is `float32` if all of them are.

    Raises
    ------
    ValueError
        If there are fewer than two vectors, or they are not finite.

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
        self._points = []
        for k, x in enumerate(as_list("points", points)):
            vector = as_array(f"points[{k}]", x)
            if vector.ndim != 1 or vector.size == 0:
                raise ValueError(f"points[{k}] must have shape (n,), but its shape is {vector.shape}")
            check_finite(f"points[{k}]", vector)
            self._points.append(vector)
        if len(self._points) < 2:
            raise ValueError(f"points must hold at least two vectors, not {len(self._points)}")
        self._dtype = common_dtype(self._points)

    @property
    def points(self) -> tuple[FloatArray, ...]:
        """The points x^k, `(n_k,)`."""
        return tuple(self._points)

    @property
    def shape(self) -> tuple[int, ...]:
        """The numbers of points, (n_0, …, n_{K−1})."""
        return tuple(len(x) for x in self._points)

    @property
    def dtype(self) -> np.dtype[np.floating[Any]]:
        """The precision of the entries, and of results: `float32` or `float64`."""
        return self._dtype

    def unfold(self, leading: int) -> Cost:
        """Return the tensor as a matrix: its rows are tuples of the first `leading` points, in C order."""
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
        picked = np.stack([x[i] for x, i in zip(self._points, np.asarray(indices).T, strict=True)])
        return np.ptp(picked, axis=0).astype(self._dtype, copy=False)  # type: ignore[no-any-return]

    def _extremes(self, nodes: slice) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        vectors = [x.astype(np.float64) for x in self._points[nodes]]
        return (
            reduce(np.maximum.outer, vectors).ravel(),
            reduce(np.minimum.outer, vectors).ravel(),
        )


def as_multi_cost(cost: ArrayLike | MultiCost) -> MultiCost:
    """Return the cost object that a solver was given, or make one of an array."""
    return cost if isinstance(cost, MultiCost) else TensorCost(cost)


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


def common_dtype(arrays: Sequence[FloatArray]) -> np.dtype[np.floating[Any]]:
    """Return `float32` if all arrays have it, else `float64`."""
    return _FLOAT32 if all(array.dtype == _FLOAT32 for array in arrays) else np.dtype(np.float64)


def _row_products(left: FloatArray, right: FloatArray) -> FloatArray:
    """Return the products of all rows of one matrix with all rows of the other, entry by entry."""
    return (left[:, None] * right).reshape(-1, left.shape[1])
