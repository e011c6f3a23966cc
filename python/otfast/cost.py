"""Ground costs: what a solver knows about the matrix C, stored or computed on the fly.

Every solver takes an array or one of these objects. They are immutable and checked once, when made; solvers
then read rows of C from them and never ask how they are stored.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otfast import _core
from otfast._metric import (
    Metric,
    check_range,
    cost_bounds,
    distance_bound,
    extents,
    parse_metric,
    point_kernel,
    product_bound,
    separable_power,
)
from otfast._validation import FloatArray, as_array, as_matrix, as_points, check_finite

__all__ = ["Cost", "DenseCost", "Grid", "LowRankCost", "PointCloud", "as_cost"]

_FLOAT32: np.dtype[np.floating[Any]] = np.dtype(np.float32)
_FLOAT64: np.dtype[np.floating[Any]] = np.dtype(np.float64)

#: Minimum, maximum, mean of the finite entries; number of +inf; flat index of the first NaN or -inf, else -1.
_Summary = tuple[float, float, float, int, int]


class Cost(ABC):
    """A cost matrix C of shape `(n, m)`, stored or not.

    The base of `DenseCost`, `PointCloud`, `Grid` and `LowRankCost`; it cannot be made itself. Costs are
    compared by identity, and can be pickled and copied.
    """

    __slots__ = ("__weakref__", "_handle", "_summary")

    _handle: _core.Cost32 | _core.Cost64 | None
    _summary: _Summary | None

    def __init__(self) -> None:
        self._handle = None
        self._summary = None

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int]:
        """The numbers of rows and columns, `(n, m)`."""

    @property
    @abstractmethod
    def dtype(self) -> np.dtype[np.floating[Any]]:
        """The precision of the entries, and of results: `float32` or `float64`."""

    @property
    def metric(self) -> Metric | None:
        """The metric, as it was given; None for a cost that is not made from points."""
        return None

    @abstractmethod
    def _make_handle(self) -> _core.Cost32 | _core.Cost64: ...

    @property
    def core(self) -> _core.Cost32 | _core.Cost64:
        """What the C++ solvers read; made at first use."""
        if self._handle is None:
            self._handle = self._make_handle()
        return self._handle

    def dense(self) -> FloatArray:
        """Return the whole matrix, `(n, m)`."""
        return self.rows(0, self.shape[0])

    def rows(self, i0: int, i1: int) -> FloatArray:
        """Return the rows ``C[i0:i1]``, with ``0 <= i0 <= i1 <= n``."""
        self._check_rows(i0, i1)
        return self.core.rows(i0, i1)

    def max(self) -> float:
        """Return the largest finite entry: forbidden pairs do not count, and without others it is ``-inf``.

        The first call passes over all pairs, in O(n + m) memory; its result is kept.
        """
        return self._summarize()[1]

    def mean(self) -> float:
        """Return the mean of the finite entries, NaN if there is none.

        The first call passes over all pairs, in O(n + m) memory; its result is kept.
        """
        return self._summarize()[2]

    def bounds(self) -> tuple[float, float]:
        """Return numbers between which all finite entries lie: here their extremes, in one pass."""
        low, high = self._summarize()[:2]
        return (low, high) if low <= high else (0.0, 0.0)

    def has_forbidden(self) -> bool:
        """Return whether some pair is forbidden, from one pass over all pairs."""
        return self._summarize()[3] > 0

    def _summarize(self) -> _Summary:
        if self._summary is None:
            self._summary = self.core.summary()
        return self._summary

    def _check_rows(self, i0: int, i1: int) -> None:
        n = self.shape[0]
        if not 0 <= i0 <= i1 <= n:
            raise ValueError(f"rows i0:i1 must satisfy 0 <= i0 <= i1 <= {n}, not {i0}:{i1}")

    @abstractmethod
    def _details(self) -> str: ...

    def __repr__(self) -> str:
        n, m = self.shape
        return f"<{type(self).__name__} {n} x {m}, {self._details()}{self.dtype}>"


class DenseCost(Cost):
    """A cost that is an array.

    Parameters
    ----------
    C : array_like, shape (n, m)
        The entries: any real numbers, ``+inf`` for forbidden pairs. `float32` stays, anything else becomes
        `float64`. A C-contiguous array of such a type is used without a copy, so do not change it while the
        cost is in use.

    Raises
    ------
    ValueError
        If `C` is not a non-empty matrix of real numbers, or holds NaN or ``-inf``.

    Examples
    --------
    >>> import otfast as otf
    >>> otf.DenseCost([[0, 1], [2, 0]])
    <DenseCost 2 x 2, float64>
    """

    __slots__ = ("_array",)

    def __init__(self, C: ArrayLike) -> None:
        super().__init__()
        self._array = as_matrix("C", C)
        self._handle, self._summary = check_entries(self._array)

    @property
    def shape(self) -> tuple[int, int]:
        """The numbers of rows and columns, `(n, m)`."""
        return self._array.shape

    @property
    def dtype(self) -> np.dtype[np.floating[Any]]:
        """The precision of the entries, and of results: `float32` or `float64`."""
        return self._array.dtype

    def rows(self, i0: int, i1: int) -> FloatArray:
        """Return the rows ``C[i0:i1]`` as a read-only view of the array, with ``0 <= i0 <= i1 <= n``."""
        self._check_rows(i0, i1)
        return _read_only(self._array[i0:i1])

    def _make_handle(self) -> _core.Cost32 | _core.Cost64:
        raise AssertionError("made in __init__")

    def _details(self) -> str:
        return ""

    def __reduce__(self) -> tuple[Any, ...]:
        return DenseCost, (self._array,)


class PointCloud(Cost):
    """A cost between points, computed whenever it is needed and never stored.

    ========================  =============================================================
    `metric`                  C_ij
    ========================  =============================================================
    ``"sqeuclidean"``         ‖x_i − y_j‖₂²
    ``"euclidean"``           ‖x_i − y_j‖₂
    ``"cityblock"``           ‖x_i − y_j‖₁
    ``"chebyshev"``           ‖x_i − y_j‖_∞
    ``"cosine"``              1 − ⟨x_i, y_j⟩ / (‖x_i‖₂ ‖y_j‖₂)
    ``("minkowski", p)``      ‖x_i − y_j‖_p, p ≥ 1
    ``("power", p, q)``       ‖x_i − y_j‖_p^q, p ≥ 1, q > 0
    ``("mahalanobis", M)``    (x_i − y_j)ᵀ M (x_i − y_j), `M` `(d, d)`
    ``("bilinear", A)``       −x_iᵀ A y_j, `A` `(d_x, d_y)`
    ========================  =============================================================

    Parameters
    ----------
    x : array_like, shape (n, d)
        Points of the rows.
    y : array_like, shape (m, d), optional
        Points of the columns; `x` by default. Only ``"bilinear"`` lets the dimensions differ.
    metric : str or tuple, default "sqeuclidean"
        One of the table.

    Raises
    ------
    ValueError
        If points are not finite, shapes do not match, `metric` is unknown, a vector of a cosine is zero, or
        distances exceed the range of the data type.

    Notes
    -----
    Memory is O((n + m) d). The precision is `float32` if both `x` and `y` are, else `float64`.
    Only the symmetric part of `M` matters, and it may be indefinite.

    Examples
    --------
    >>> import otfast as otf
    >>> cost = otf.PointCloud([[0.0, 0.0], [3.0, 4.0]], metric="euclidean")
    >>> cost
    <PointCloud 2 x 2, d=2, metric='euclidean', float64>
    >>> cost.dense()
    array([[0., 5.],
           [5., 0.]])
    """

    __slots__ = ("_dtype", "_kernel", "_metric", "_x", "_y")

    def __init__(self, x: ArrayLike, y: ArrayLike | None = None, metric: Metric = "sqeuclidean") -> None:
        super().__init__()
        self._x = as_points("x", x)
        self._y = self._x if y is None else as_points("y", y)
        both_single = self._x.dtype == _FLOAT32 and self._y.dtype == _FLOAT32
        self._dtype = _FLOAT32 if both_single else _FLOAT64
        self._metric = parse_metric(metric)
        kernel_x, kernel_y = (points.astype(self._dtype, copy=False) for points in (self._x, self._y))
        self._kernel = point_kernel(kernel_x, kernel_y, self._metric)

    @property
    def shape(self) -> tuple[int, int]:
        """The numbers of rows and columns, `(n, m)`."""
        return len(self._x), len(self._y)

    @property
    def dtype(self) -> np.dtype[np.floating[Any]]:
        """The precision of the entries, and of results: `float32` or `float64`."""
        return self._dtype

    @property
    def x(self) -> FloatArray:
        """The points of the rows, `(n, d)`, read-only."""
        return _read_only(self._x)

    @property
    def y(self) -> FloatArray:
        """The points of the columns, `(m, d)`, read-only."""
        return _read_only(self._y)

    @property
    def metric(self) -> Metric:
        """The metric, as it was given."""
        return self._metric

    def bounds(self) -> tuple[float, float]:
        """Return numbers between which all entries lie, in O((n + m) d)."""
        return cost_bounds(self._kernel)

    def _make_handle(self) -> _core.Cost32 | _core.Cost64:
        make = _core.PointCost64 if self._dtype == _FLOAT64 else _core.PointCost32
        return make(*self._kernel)

    def _details(self) -> str:
        name = self._metric
        if isinstance(name, tuple):
            shown = ", ".join("..." if isinstance(part, np.ndarray) else repr(part) for part in name)
            return f"d={self._x.shape[1]}, metric=({shown}), "
        return f"d={self._x.shape[1]}, metric={name!r}, "

    def __reduce__(self) -> tuple[Any, ...]:
        return PointCloud, (self._x, None if self._y is self._x else self._y, self._metric)


class Grid(Cost):
    """The cost between the points of a grid, a sum over its axes.

    With the points x_i numbered in C order (the last axis fastest), C_ij = Σ_k |x_ik − x_jk|^p.

    Parameters
    ----------
    *axes : array_like, each of shape (n_k,)
        Coordinates along each axis. The grid has n = Π n_k points.
    metric : {"sqeuclidean", "cityblock"} or ("power", p, p), default "sqeuclidean"
        The exponent: 2, 1, or any p ≥ 1.

    Raises
    ------
    ValueError
        If an axis is not a non-empty vector of finite numbers or `metric` is not a sum over axes.

    Notes
    -----
    Memory is O(n d). `max` and `mean` need no pass over pairs of grid points.

    Examples
    --------
    >>> import otfast as otf
    >>> cost = otf.Grid([0, 1], [0, 1, 2], metric="cityblock")
    >>> cost
    <Grid 6 x 6, axes 2 x 3, metric='cityblock', float64>
    >>> cost.rows(0, 1)
    array([[0., 1., 2., 1., 2., 3.]])
    """

    __slots__ = ("_axes", "_dtype", "_metric", "_power")

    def __init__(self, *axes: ArrayLike, metric: Metric = "sqeuclidean") -> None:
        super().__init__()
        if not axes:
            raise ValueError("axes must hold at least one vector of coordinates")
        checked = [_axis(f"axes[{k}]", axis) for k, axis in enumerate(axes)]
        all_single = all(axis.dtype == _FLOAT32 for axis in checked)
        self._dtype = _FLOAT32 if all_single else _FLOAT64
        self._axes = tuple(_read_only(axis.astype(self._dtype, copy=False)) for axis in checked)
        self._metric = parse_metric(metric)
        self._power = separable_power(self._metric)
        sides = np.concatenate([extents(axis[:, None], axis[:, None]) for axis in checked])
        check_range(distance_bound(sides, self._power, self._power), self._dtype, "axes")

    @property
    def shape(self) -> tuple[int, int]:
        """The numbers of rows and columns: the number of grid points, twice."""
        n = math.prod(self.grid_shape)
        return n, n

    @property
    def grid_shape(self) -> tuple[int, ...]:
        """The numbers of coordinates along the axes."""
        return tuple(axis.size for axis in self._axes)

    @property
    def dtype(self) -> np.dtype[np.floating[Any]]:
        """The precision of the entries, and of results: `float32` or `float64`."""
        return self._dtype

    @property
    def axes(self) -> tuple[FloatArray, ...]:
        """The coordinates along each axis, read-only."""
        return self._axes

    @property
    def metric(self) -> Metric:
        """The metric, as it was given."""
        return self._metric

    @property
    def power(self) -> float:
        """The exponent p of Σ_k |x_ik − x_jk|^p."""
        return self._power

    def axis_costs(self) -> list[NDArray[np.float64]]:
        """Return the costs |x_i − x_j|^p between the coordinates of each axis, `(n_k, n_k)`."""
        return [np.abs(np.subtract.outer(axis, axis, dtype=np.float64)) ** self._power for axis in self._axes]

    def points(self) -> FloatArray:
        """Return the coordinates of the grid points in C order, `(n, d)`."""
        points = np.empty((*self.grid_shape, len(self._axes)), self._dtype)
        for k, coordinates in enumerate(np.meshgrid(*self._axes, indexing="ij", copy=False)):
            points[..., k] = coordinates
        return points.reshape(-1, len(self._axes))

    def max(self) -> float:
        """Return the largest entry, in O(Σ n_k)."""
        return math.fsum(float(np.ptp(axis.astype(np.float64))) ** self._power for axis in self._axes)

    def bounds(self) -> tuple[float, float]:
        """Return the least and the largest entry, in O(Σ n_k)."""
        return 0.0, self.max()

    def mean(self) -> float:
        """Return the mean of the entries: O(Σ n_k log n_k) for exponents 1 and 2, O(Σ n_k²) for others."""
        return math.fsum(_mean_power(axis.astype(np.float64), self._power) for axis in self._axes)

    def _make_handle(self) -> _core.Cost32 | _core.Cost64:
        return PointCloud(self.points(), metric=("power", self._power, self._power)).core

    def _details(self) -> str:
        return f"axes {' x '.join(str(size) for size in self.grid_shape)}, metric={self._metric!r}, "

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore_grid, (self._axes, self._metric)


class LowRankCost(Cost):
    """The cost C = A Bᵀ, never multiplied out.

    Parameters
    ----------
    A : array_like, shape (n, r)
        Factor of the rows.
    B : array_like, shape (m, r)
        Factor of the columns.

    Raises
    ------
    ValueError
        If a factor is not a finite non-empty matrix, the ranks differ, or entries of C exceed the range of
        the data type.

    Notes
    -----
    Memory is O((n + m) r). The precision is `float32` if both factors are, else `float64`. `sinkhorn` uses
    the factors where ε is not small beside the centred cost, and says so in its log; all other work computes
    the rows of C in every pass.

    Examples
    --------
    >>> import otfast as otf
    >>> otf.LowRankCost([[1.0], [2.0]], [[3.0], [4.0]]).dense()
    array([[3., 4.],
           [6., 8.]])
    """

    __slots__ = ("_a", "_b", "_dtype")

    def __init__(self, A: ArrayLike, B: ArrayLike) -> None:
        super().__init__()
        a, b = as_matrix("A", A), as_matrix("B", B)
        check_finite("A", a)
        check_finite("B", b)
        if a.shape[1] != b.shape[1]:
            raise ValueError(
                f"A and B must have the same number of columns, but their shapes are {a.shape} and {b.shape}"
            )
        both_single = a.dtype == _FLOAT32 and b.dtype == _FLOAT32
        self._dtype = _FLOAT32 if both_single else _FLOAT64
        self._a, self._b = (factor.astype(self._dtype, copy=False) for factor in (a, b))
        check_range(product_bound(self._a, self._b), self._dtype, "A and B")

    @property
    def shape(self) -> tuple[int, int]:
        """The numbers of rows and columns, `(n, m)`."""
        return len(self._a), len(self._b)

    @property
    def dtype(self) -> np.dtype[np.floating[Any]]:
        """The precision of the entries, and of results: `float32` or `float64`."""
        return self._dtype

    @property
    def factors(self) -> tuple[FloatArray, FloatArray]:
        """The factors `A` and `B`, read-only."""
        return _read_only(self._a), _read_only(self._b)

    def bounds(self) -> tuple[float, float]:
        """Return numbers between which all entries lie, in O((n + m) r)."""
        bound = product_bound(self._a, self._b)
        return -bound, bound

    def mean(self) -> float:
        """Return the mean of the entries, in O((n + m) r)."""
        return float(self._a.mean(axis=0, dtype=np.float64) @ self._b.mean(axis=0, dtype=np.float64))

    def _make_handle(self) -> _core.Cost32 | _core.Cost64:
        make = _core.PointCost64 if self._dtype == _FLOAT64 else _core.PointCost32
        return make(-self._a, self._b, "dot", 0.0, 0.0)

    def _details(self) -> str:
        return f"rank {self._a.shape[1]}, "

    def __reduce__(self) -> tuple[Any, ...]:
        return LowRankCost, (self._a, self._b)


def check_entries(array: FloatArray) -> tuple[_core.Cost32 | _core.Cost64, _Summary]:
    """Check an array of costs, `(n, m)` or a stack `(k, n, m)`, in one pass.

    Returns
    -------
    handle, summary
        What the core knows about the array as one matrix of rows of length m.
    """
    make = _core.DenseCost64 if array.dtype == _FLOAT64 else _core.DenseCost32
    handle = make(array if array.ndim == 2 else array.reshape(-1, array.shape[-1]))
    summary = handle.summary()
    first_bad = summary[4]
    if first_bad >= 0:
        index = np.unravel_index(first_bad, array.shape)
        shown = ", ".join(str(i) for i in index)
        raise ValueError(
            f"C must hold numbers or +inf, but C[{shown}] is {float(array[index])}; forbid a pair with +inf"
        )
    return handle, summary


def as_cost(C: ArrayLike | Cost) -> Cost:
    """Return cost objects as they are, and an array as a `DenseCost`."""
    return C if isinstance(C, Cost) else DenseCost(C)


def _axis(name: str, value: ArrayLike) -> FloatArray:
    axis = as_array(name, value)
    if axis.ndim != 1 or axis.size == 0:
        raise ValueError(f"{name} must be a non-empty vector of coordinates, but its shape is {axis.shape}")
    check_finite(name, axis)
    return axis


def _mean_power(axis: NDArray[np.float64], p: float) -> float:
    """Return the mean of |x_i − x_j|^p over all pairs."""
    if p == 2.0:
        return 2.0 * float(axis.var())
    if p == 1.0:
        # Σ_ij |x_i − x_j| = 2 Σ_i (2i − n + 1) x_i for sorted coordinates, i = 0 … n − 1.
        n = axis.size
        return 2.0 * float(np.arange(1 - n, n, 2) @ np.sort(axis)) / n**2
    return PointCloud(axis[:, None], metric=("power", p, p)).mean()


def _restore_grid(axes: tuple[FloatArray, ...], metric: Metric) -> Grid:
    return Grid(*axes, metric=metric)


def _read_only(array: FloatArray) -> FloatArray:
    view = array.view()
    view.flags.writeable = False
    return view
