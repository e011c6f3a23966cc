"""How a transport cost changes with the points: Σ_j P_ij ∂c(x_i, y_j)/∂x_i for every metric."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from otfast._metric import Metric, normalize, power_of
from otfast._validation import FloatArray
from otfast.cost import PointCloud
from otfast.result import Coupling, SparseCoupling

if TYPE_CHECKING:
    from typing import Any

_Array = NDArray[np.float64]

#: Coordinates of differences x_i − y_j that are looked at together.
_BLOCK_SIZE = 1 << 20


class RowCoupling(Coupling, Protocol):
    """A plan whose rows are made on demand."""

    def rows(self, i0: int, i1: int) -> FloatArray:
        """Return the rows ``P[i0:i1]``."""
        ...


def position_gradient(coupling: Coupling, x: FloatArray, y: FloatArray, metric: Metric) -> _Array:
    """Return Σ_j P_ij ∂c(x_i, y_j)/∂x_i, `(n, d)`, for points and a metric that fit each other and the plan.

    Metrics that are polynomials in y need products with the plan only; the others go through its atoms, or
    through blocks of its rows, in O((n + m) d) memory.
    """
    x, y = (points.astype(np.float64, copy=False) for points in (x, y))
    name, *parameters = (metric,) if isinstance(metric, str) else metric
    if name == "bilinear":
        matrix: _Array = parameters[0]
        return -_apply(coupling, y) @ matrix.T
    if name == "cosine":
        return _cosine(coupling, x, y)
    if name == "mahalanobis":
        matrix = parameters[0]
        return _sum_of_differences(coupling, x, y) @ (matrix + matrix.T)
    p, q = power_of(metric)
    if p == q == 2.0:
        return 2.0 * _sum_of_differences(coupling, x, y)
    if isinstance(coupling, SparseCoupling):
        return _sum_over_atoms(coupling, x, y, p, q)
    of_rows = _euclidean_sum if p == 2.0 else _sum_over_rows
    return of_rows(cast(RowCoupling, coupling), x, y, p, q)


def _apply(coupling: Coupling, v: FloatArray) -> _Array:
    return coupling.apply(v).astype(np.float64, copy=False)


def _sum_of_differences(coupling: Coupling, x: _Array, y: _Array) -> _Array:
    """Return Σ_j P_ij (x_i − y_j)."""
    # Points far from the origin would lose digits in the difference of the two sums.
    centre: _Array = y.mean(axis=0)
    sums = _apply(coupling, np.column_stack([y - centre, np.ones(len(y))]))
    return sums[:, -1:] * (x - centre) - sums[:, :-1]


def _cosine(coupling: Coupling, x: _Array, y: _Array) -> _Array:
    """Return the derivative of Σ_j P_ij (1 − ⟨x_i, y_j⟩/(‖x_i‖ ‖y_j‖)): it is orthogonal to x_i."""
    unit = normalize("x", x)
    length = (x * unit).sum(axis=1, keepdims=True)
    means = _apply(coupling, normalize("y", y))
    return ((means * unit).sum(axis=1, keepdims=True) * unit - means) / length  # type: ignore[no-any-return]


def _sum_over_atoms(coupling: SparseCoupling, x: _Array, y: _Array, p: float, q: float) -> _Array:
    slopes = _slopes(x[coupling.rows] - y[coupling.cols], p, q) * coupling.mass[:, None]
    columns = [np.bincount(coupling.rows, slope, len(x)) for slope in slopes.T]
    return np.stack(columns, axis=1)


def _sum_over_rows(coupling: RowCoupling, x: _Array, y: _Array, p: float, q: float) -> _Array:
    gradient = np.empty_like(x)
    step = max(1, _BLOCK_SIZE // y.size)
    for i0 in range(0, len(x), step):
        i1 = min(i0 + step, len(x))
        slopes = _slopes(x[i0:i1, None] - y, p, q)
        gradient[i0:i1] = np.einsum("ij,ijk->ik", coupling.rows(i0, i1), slopes)
    return gradient


def _euclidean_sum(coupling: RowCoupling, x: _Array, y: _Array, p: float, q: float) -> _Array:
    """Do the same for p = 2, where the slope is q ‖δ‖^(q − 2) δ: sums over j are products of matrices."""
    centre: _Array = y.mean(axis=0)
    gradient = np.empty_like(x)
    squares = PointCloud(x, y)
    step = max(1, _BLOCK_SIZE // len(y))
    for i0 in range(0, len(x), step):
        i1 = min(i0 + step, len(x))
        weights = squares.rows(i0, i1)
        np.power(weights, 0.5 * q - 1.0, out=weights, where=weights > 0.0)
        weights *= q * coupling.rows(i0, i1)
        gradient[i0:i1] = weights.sum(axis=1)[:, None] * (x[i0:i1] - centre) - weights @ (y - centre)
    return gradient


def _slopes(delta: _Array, p: float, q: float) -> _Array:
    """Return the derivative of ‖δ‖_p^q in δ, over the last axis; see `Transport.gradient_x` for its kinks."""
    size = np.abs(delta)
    norm = size.max(axis=-1, keepdims=True)
    apart = norm > 0.0
    ratio = size / np.where(apart, norm, 1.0)  # no power of it overflows
    direction: NDArray[Any]
    if math.isinf(p):
        first = np.argmax(size, axis=-1)[..., None]
        direction = np.arange(delta.shape[-1]) == first
    else:
        total = (ratio**p).sum(axis=-1, keepdims=True) ** (1.0 / p)
        direction = (ratio / np.where(apart, total, 1.0)) ** (p - 1.0)
        norm = norm * total
    slope = q * np.where(apart, norm, 1.0) ** (q - 1.0)
    return np.where(apart, slope * direction * np.sign(delta), 0.0)
