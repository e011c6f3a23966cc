"""Barycenters on the line: averages of quantile functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otfast._validation import (
    FloatArray,
    as_array,
    balance_weight_rows,
    check_finite,
    check_real,
    check_weights,
)
from otfast.barycenter._result import Measure
from otfast.barycenter._validation import check_barycentric_weights
from otfast.result import to_scalar

__all__ = ["quantile"]

_Array = NDArray[np.float64]

_FLOAT32 = np.dtype(np.float32)
_FLOAT64 = np.dtype(np.float64)
_EPS = float(np.finfo(np.float64).eps)

#: Shares of the mass that are closer than this are the same share, but for rounding.
_SAME_LEVEL = 16.0 * _EPS

#: Newton's steps on the power of a distance: each halves the step before it or the bracket.
_MOST_STEPS = 200


def quantile(
    xs: Sequence[ArrayLike],
    ws: Sequence[ArrayLike | None] | None = None,
    weights: ArrayLike | None = None,
    p: float = 2,
) -> Measure | list[Measure]:
    r"""Compute the exact barycenter of measures on the line.

    .. math:: \min_\mu \sum_k \lambda_k W_p^p(\mu, \nu_k)
        = \int \min_y \sum_k \lambda_k |Q_k(t) - y|^p \, dt

    with the quantile functions Q_k of the measures: the quantile function of the barycenter is, at each
    level, the minimiser on the right [1]_. That is the mean for p = 2 and a weighted median for p = 1.

    Parameters
    ----------
    xs : sequence of K array_like, shapes (n_k,)
        Points of the measures, in any order.
    ws : sequence of K array_like, shapes (n_k,), optional
        Their weights, not negative; None, for all or for one, means 1/n_k each. Totals must agree to a
        relative 1e-6 (1e-4 if something is `float32`); the rest of the difference is removed.
    weights : array_like, shape (K,) or (L, K), optional
        λ_k, not negative, divided by their sum; 1/K each by default. A matrix asks for a barycenter for each
        row.
    p : float, default 2
        Exponent, at least 1 and finite.

    Returns
    -------
    Measure or list of L Measure
        Points in increasing order, weights of the total mass of the inputs, and the value. Of one barycenter,
        points that coincide are merged; those of many share their array of weights.

    Raises
    ------
    ValueError
        If an argument is malformed or totals differ; the message names it.

    Notes
    -----
    With N = Σ n_k, the barycenter has at most N − K + 1 points. Time is O(N log N + K N) for each row of
    `weights`, times the steps of Newton's method where p is not 1 or 2; memory O(K N). Between two medians
    the one in the middle is taken.

    References
    ----------
    .. [1] Peyré and Cuturi, "Computational Optimal Transport", 2019, remark 9.6.

    Examples
    --------
    >>> from otfast import barycenter
    >>> result = barycenter.quantile([[0.0, 2.0], [10.0, 20.0]], weights=[0.5, 0.5])
    >>> result.points, result.weights
    (array([ 5., 11.]), array([0.5, 0.5]))
    >>> result.value
    53.0
    """
    p = check_real("p", p, 1.0)
    points, levels, total, dtype = _merge_levels(xs, ws)
    lambdas, is_batch = check_barycentric_weights(weights, len(points))
    if not is_batch:
        quantiles, value = _average(points, lambdas[0], p, levels)
        return _merged(quantiles, np.diff(levels) * total, total * value, dtype)
    mass = (np.diff(levels) * total).astype(dtype, copy=False)
    measures = []
    for row in lambdas:
        quantiles, value = _average(points, row, p, levels)
        measures.append(Measure(quantiles.astype(dtype, copy=False), mass, to_scalar(total * value, dtype)))
    return measures


def _merge_levels(
    xs: Sequence[ArrayLike], ws: Sequence[ArrayLike | None] | None
) -> tuple[_Array, _Array, float, np.dtype[np.floating[Any]]]:
    """Cut [0, 1] where a quantile function jumps.

    Returns
    -------
    quantiles, levels, total, dtype
        The quantile functions on each of J pieces, `(K, J)`; the J + 1 ends of pieces; the total mass of the
        measures; and the precision of the result.
    """
    if len(xs) == 0:
        raise ValueError("xs is empty: there must be at least one measure")
    if ws is not None and len(ws) != len(xs):
        raise ValueError(f"ws must have weights for {len(xs)} measures, but there are {len(ws)}")
    clouds = [_as_line(f"xs[{k}]", x) for k, x in enumerate(xs)]
    masses: list[_Array] = []
    total = 1.0
    for k, cloud in enumerate(clouds):
        given = None if ws is None else ws[k]
        mass, own_total, is_single = check_weights(f"ws[{k}]", given, cloud.size)
        if k == 0:
            total = own_total
        else:
            is_single |= cloud.dtype == _FLOAT32
            totals = np.array([total]), np.array([own_total])
            mass = balance_weight_rows(mass[None], *totals, is_single, ("ws[0]", f"ws[{k}]"))[0]
        masses.append(mass)
    sorted_points, shares = [], []
    for cloud, mass in zip(clouds, masses, strict=True):
        kept = np.flatnonzero(mass)
        order = kept[np.argsort(cloud[kept], kind="stable")]
        share = np.cumsum(mass[order])
        share /= share[-1]
        sorted_points.append(cloud[order].astype(_FLOAT64, copy=False))
        shares.append(share)
    levels = _distinct(np.concatenate(([0.0], *shares)))
    middle = levels[:-1] + 0.5 * np.diff(levels)
    quantiles = np.stack(
        [x[np.searchsorted(share, middle)] for x, share in zip(sorted_points, shares, strict=True)]
    )
    dtype = _FLOAT32 if all(cloud.dtype == _FLOAT32 for cloud in clouds) else _FLOAT64
    return quantiles, levels, total, dtype


def _as_line(name: str, value: ArrayLike) -> FloatArray:
    array = as_array(name, value)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"{name} must be points of shape (n,), but its shape is {array.shape}")
    check_finite(name, array)
    return array


def _distinct(levels: _Array) -> _Array:
    """Sort levels, and keep one of those that differ by rounding alone: the first, but 1 at the end."""
    levels = np.unique(levels)
    keep = np.ones(levels.size, bool)
    # Each is compared with the last that is kept: a chain of tiny steps does not vanish.
    last = 0.0
    for i in np.flatnonzero(np.diff(levels) <= _SAME_LEVEL) + 1:
        if keep[i - 1]:
            last = levels[i - 1]
        keep[i] = levels[i] - last > _SAME_LEVEL
    distinct: _Array = levels[keep]
    distinct[-1] = 1.0
    return distinct


def _average(quantiles: _Array, lambdas: _Array, p: float, levels: _Array) -> tuple[_Array, float]:
    """Minimise Σ λ_k |Q_k − y|^p on every piece, and return the minimisers and the value at total mass 1."""
    used = lambdas > 0.0
    q, w = quantiles[used], lambdas[used]
    if p == 2.0:
        y = w @ q
    elif p == 1.0:
        y = _medians(q, w)
    else:
        y = _power_means(q, w, p)
    # Minimisers do not decrease with the level; rounding may.
    y = np.maximum.accumulate(np.clip(y, q.min(axis=0), q.max(axis=0)))
    value = float(np.diff(levels) @ (w @ np.abs(q - y) ** p))
    return y, value


def _medians(q: _Array, w: _Array) -> _Array:
    """Return the weighted median of each column, the middle where all between two are medians."""
    order = np.argsort(q, axis=0)
    ranked = np.take_along_axis(q, order, axis=0)
    shares = np.cumsum(w[order], axis=0)
    lower = np.argmax(shares >= 0.5 - _SAME_LEVEL, axis=0)
    upper = np.argmax(shares > 0.5 + _SAME_LEVEL, axis=0)
    columns = np.arange(q.shape[1])
    low, high = ranked[lower, columns], ranked[upper, columns]
    middle: _Array = low + 0.5 * (high - low)
    return middle


def _power_means(q: _Array, w: _Array, p: float) -> _Array:
    """Solve Σ λ_k sign(y − Q_k) |y − Q_k|^(p−1) = 0 in each column, by Newton's method within a bracket."""
    low, high = q.min(axis=0), q.max(axis=0)
    y = np.clip(w @ q, low, high)
    last = high - low
    resolution = 2.0 * _EPS * np.maximum(np.abs(low), np.abs(high))
    active = np.flatnonzero(last > resolution)
    for _ in range(_MOST_STEPS):
        if active.size == 0:
            break
        here = y[active]
        distance = here - q[:, active]
        scale = np.abs(distance).max(axis=0)
        distance /= scale
        # In units of the largest distance no power that matters underflows. At a point itself the slope is
        # infinite for p < 2: the step is none, and bisection takes over.
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            slopes = np.abs(distance) ** (p - 2.0)
            balance = w @ (np.sign(distance) * np.abs(distance) ** (p - 1.0))
            step = -scale * balance / ((p - 1.0) * (w @ slopes))
        low[active] = np.where(balance <= 0.0, here, low[active])
        high[active] = np.where(balance >= 0.0, here, high[active])
        target = here + step
        bad = ~(np.abs(step) <= 0.5 * last[active]) | (target < low[active]) | (target > high[active])
        bad |= (step == 0.0) & (balance != 0.0)
        target = np.where(bad, low[active] + 0.5 * (high[active] - low[active]), target)
        last[active] = np.abs(target - here)
        y[active] = target
        active = active[(last[active] > resolution[active]) & (balance != 0.0)]
    return y


def _merged(points: _Array, mass: _Array, value: float, dtype: np.dtype[np.floating[Any]]) -> Measure:
    """Make a measure of points that increase, those that coincide merged."""
    points = points.astype(dtype, copy=False)
    starts = np.flatnonzero(np.r_[True, np.diff(points) > 0.0])
    merged = np.add.reduceat(mass, starts).astype(dtype, copy=False)
    return Measure(points[starts], merged, to_scalar(value, dtype))
