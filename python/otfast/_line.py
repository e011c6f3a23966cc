"""Exact transport on the line: sorting, then one walk along both measures."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otfast import _core
from otfast._exact_result import make_transport
from otfast._metric import check_range, distance_bound, extents
from otfast._validation import (
    FloatArray,
    as_array,
    balance_weight_rows,
    balance_weights,
    check_finite,
    check_real,
    check_weight_rows,
    check_weights,
)
from otfast.result import Transport, to_scalar

_FLOAT32 = np.dtype(np.float32)
_FLOAT64 = np.dtype(np.float64)

#: Entries of the blocks of columns that are sorted at a time: few for the memory, many for the call overhead.
_BLOCK_SIZE = 1 << 20


def wasserstein_1d(
    x: ArrayLike, y: ArrayLike, a: ArrayLike | None = None, b: ArrayLike | None = None, p: float = 1
) -> float | FloatArray:
    """Compute the Wasserstein distance between measures on the line, for one pair or many.

    W_p^p = ∫ |F⁻¹(t) − G⁻¹(t)|^p dt over the total mass, with F⁻¹ and G⁻¹ the quantile functions of the two
    measures [1]_.

    Parameters
    ----------
    x : array_like, shape (n,) or (n, k)
        Points of the first measure, in any order; each of k columns is a problem of its own.
    y : array_like, shape (m,) or (m, k)
        Points of the second measure.
    a : array_like, shape (n,) or (n, k), optional
        Weights of `x`; 1/n each by default.
    b : array_like, shape (m,) or (m, k), optional
        Weights of `y`; 1/m each by default. Totals must agree as in `emd`.
    p : float, default 1
        Exponent, at least 1 and finite.

    Returns
    -------
    float or ndarray, shape (k,)
        W_p, the p-th root taken, in `float32` if both `x` and `y` are.

    Raises
    ------
    ValueError
        If an argument is malformed; the message names it.

    Notes
    -----
    Time is O((n + m) log(n + m)) for each problem: sorting, then one pass, in parallel over problems. Memory
    is O(n + m) and a block of columns. Points of any magnitude are fine: powers are taken of scaled
    distances.

    References
    ----------
    .. [1] Peyré and Cuturi, "Computational Optimal Transport", 2019, equation (2.36).

    Examples
    --------
    >>> import otfast as otf
    >>> otf.wasserstein_1d([0.0, 1.0, 3.0], [5.0, 6.0, 8.0])
    5.0
    """
    p = check_real("p", p, 1.0)
    points_x, points_y = _as_line("x", x), _as_line("y", y)
    if points_x.shape[1:] != points_y.shape[1:]:
        raise ValueError(
            "x and y must have the same number of columns, one for each problem, "
            f"but their shapes are {points_x.shape} and {points_y.shape}"
        )
    columns_x, columns_y = (points.reshape(len(points), -1) for points in (points_x, points_y))
    n_problems = columns_x.shape[1]
    weights_a, totals_a, single_a = _check_line_weights("a", a, len(columns_x), n_problems)
    weights_b, totals_b, single_b = _check_line_weights("b", b, len(columns_y), n_problems)
    dtype = _FLOAT32 if columns_x.dtype == columns_y.dtype == _FLOAT32 else _FLOAT64
    is_single = single_a or single_b or dtype == _FLOAT32
    weights_b = balance_weight_rows(weights_b, totals_a, totals_b, is_single, ("a[:, {}]", "b[:, {}]"))
    solve = _core.line_distance32 if dtype == _FLOAT32 else _core.line_distance64
    distances = np.empty(n_problems, _FLOAT64)
    block = max(1, _BLOCK_SIZE // max(len(columns_x), len(columns_y)))
    for start in range(0, n_problems, block):
        part = slice(start, min(start + block, n_problems))
        sorted_x, sorted_a = _sort_columns(columns_x[:, part], weights_a, part, dtype)
        sorted_y, sorted_b = _sort_columns(columns_y[:, part], weights_b, part, dtype)
        distances[part] = solve(sorted_x, sorted_a, sorted_y, sorted_b, p)
    return distances.astype(dtype, copy=False) if points_x.ndim == 2 else to_scalar(distances[0], dtype)


def emd_1d(
    x: ArrayLike, y: ArrayLike, a: ArrayLike | None = None, b: ArrayLike | None = None, p: float = 2
) -> Transport:
    """Solve a transport problem on the line exactly, for the cost |x_i − y_j|^p.

    The plan that moves mass in order is optimal for every convex function of the distance [1]_.

    Parameters
    ----------
    x : array_like, shape (n,)
        Points of the first measure, in any order.
    y : array_like, shape (m,)
        Points of the second measure.
    a : array_like, shape (n,), optional
        Weights of `x`; 1/n each by default.
    b : array_like, shape (m,), optional
        Weights of `y`; 1/m each by default. Totals must agree as in `emd`.
    p : float, default 2
        Exponent, at least 1 and finite.

    Returns
    -------
    Transport
        The plan with at most n + m − 1 atoms and potentials that are feasible for all pairs. Its value is
        W_p^p.

    Raises
    ------
    ValueError
        If an argument is malformed or the costs overflow; the message names the argument.

    Notes
    -----
    Time is O((n + m) log(n + m)), memory O(n + m).

    References
    ----------
    .. [1] Peyré and Cuturi, "Computational Optimal Transport", 2019, section 2.6.

    Examples
    --------
    >>> import otfast as otf
    >>> result = otf.emd_1d([3.0, 0.0], [1.0, 4.0])
    >>> result.value
    1.0
    >>> result.plan
    array([[0. , 0.5],
           [0.5, 0. ]])
    """
    p = check_real("p", p, 1.0)
    points_x, points_y = _as_line("x", x), _as_line("y", y)
    for name, points in (("x", points_x), ("y", points_y)):
        if points.ndim != 1:
            raise ValueError(f"{name} must be one-dimensional, but its shape is {points.shape}")
    dtype = _FLOAT32 if points_x.dtype == points_y.dtype == _FLOAT32 else _FLOAT64
    check_range(distance_bound(extents(points_x[:, None], points_y[:, None]), p, p), dtype, "x and y")
    weights_a, total_a, single_a = check_weights("a", a, points_x.size)
    weights_b, total_b, single_b = check_weights("b", b, points_y.size)
    weights_b = balance_weights(weights_b, total_a, total_b, single_a or single_b or dtype == _FLOAT32)
    order_x, order_y = (np.argsort(points, kind="stable") for points in (points_x, points_y))
    raw = _core.line_plan(
        points_x[order_x].astype(_FLOAT64, copy=False),
        weights_a[order_x],
        points_y[order_y].astype(_FLOAT64, copy=False),
        weights_b[order_y],
        p,
    )
    potential_a, potential_b = np.empty_like(weights_a), np.empty_like(weights_b)
    potential_a[order_x], potential_b[order_y] = raw["potential_a"], raw["potential_b"]
    raw["potential_a"], raw["potential_b"] = potential_a, potential_b
    raw["rows"], raw["cols"] = order_x[raw["rows"]].astype(np.int32), order_y[raw["cols"]].astype(np.int32)
    return make_transport(raw, weights_a, weights_b, dtype, metric=("power", 2.0, p))


def _as_line(name: str, value: ArrayLike) -> FloatArray:
    array = as_array(name, value)
    if array.ndim not in (1, 2) or len(array) == 0:
        raise ValueError(
            f"{name} must hold points on the line, of shape (n,) or (n, k), but its shape is {array.shape}"
        )
    check_finite(name, array)
    return array


def _check_line_weights(
    name: str, value: ArrayLike | None, size: int, n_problems: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], bool]:
    """Weights as rows: one for all problems, or one for each."""
    array = None if value is None else as_array(name, value)
    if array is None or array.ndim != 2:
        weights, total, is_single = check_weights(name, array, size)
        return weights[None], np.array([total]), is_single
    if array.shape != (size, n_problems):
        raise ValueError(
            f"{name} must have shape ({size},) or ({size}, {n_problems}), but its shape is {array.shape}"
        )
    return check_weight_rows(name, array.T, (n_problems, size), "{}[:, {}]")


def _sort_columns(
    columns: FloatArray, weights: NDArray[np.float64], part: slice, dtype: np.dtype[np.floating[Any]]
) -> tuple[FloatArray, NDArray[np.float64]]:
    """Sort the points of each column, and its weights along: columns become rows."""
    points = np.array(columns.T, dtype, order="C", copy=True)
    if len(weights) == 1 and (weights == weights[0, 0]).all():
        points.sort(axis=1)
        return points, weights
    order = np.argsort(points, axis=1)
    rows = weights if len(weights) == 1 else weights[part]
    return np.take_along_axis(points, order, axis=1), np.take_along_axis(rows, order, axis=1)
