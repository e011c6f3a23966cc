"""One measure of a barycenter on the way of an interior-point method: its plan, slacks and linear system."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import blas, lapack

from otfast import _core
from otfast.cost import Cost

__all__ = ["Block", "reached_points"]

_Array = NDArray[np.float64]

#: The slack of a forbidden pair: products and quotients with plans stay far from the ends of the range.
_FORBIDDEN = 1e100

#: Rows of the cost that are read together, in entries.
_BLOCK_SIZE = 1 << 22


def reached_points(cost: Cost, b: _Array) -> NDArray[np.bool_]:
    """Return from which points, `(n,)`, a pair that is not forbidden leads to some mass of the measure."""
    if not cost.has_forbidden():
        return np.ones(cost.shape[0], np.bool_)
    nearest = _core.c_transform(cost.core, np.where(b > 0.0, 0.0, -np.inf), False)
    return np.isfinite(nearest)


class Block:
    """The plan X and the slacks S = c − f ⊕ g of one measure, and the weights D = X / S of its equations.

    The normal equations are R df + D dg = …, Dᵀ df + Q dg = …, with R = D 1 and Q = Dᵀ 1. Of two potentials
    only the sum matters, so that their matrix is singular, and one condition is free.
    """

    def __init__(
        self, cost: Cost, points: NDArray[np.intp], b: _Array, shift: float, factor: float, slack: float
    ) -> None:
        """Start from f = 0 and a product plan.

        Parameters
        ----------
        cost : Cost, shape (n, m)
            The cost C.
        points : ndarray
            The rows that take part.
        b : ndarray, shape (m,)
            The measure, of total 1; zeros drop out.
        shift, factor : float
            c = factor (C − shift).
        slack : float
            The least slack of a column.
        """
        columns = np.flatnonzero(b > 0.0)
        self.b = b[columns]
        self.slack = _scaled_cost(cost, points, columns, shift, factor)
        forbidden = self.slack >= _FORBIDDEN
        self.f = np.zeros(points.size)
        self.g: _Array = self.slack.min(axis=0) - slack
        self.slack -= self.g
        self.slack[forbidden] = _FORBIDDEN
        self.plan = np.tile(self.b / points.size, (points.size, 1))
        self.plan[forbidden] /= _FORBIDDEN
        self._scaled = np.empty_like(self.plan)  # R^(−½) D
        self._eliminates_rows = columns.size < points.size

    def prepare(self) -> float:
        """Compute D and its sums; return ⟨X, S⟩."""
        sums = _core.barrier_scale(self.plan, self.slack, self._scaled)
        self._rows, self._cols, self.plan_rows, self.plan_cols, product = sums
        self._root = np.sqrt(self._rows)
        return product

    def factorise(self, shift: float, total: _Array) -> _Array | None:
        """Factorise the normal equations, and add to `total` the matrix from the right side of rows to df.

        Diagonals grow by the share `shift`. Returns the sum, of which the lower triangle counts, or None if
        rounding made the matrix indefinite.
        """
        if self._eliminates_rows:
            # T = Q − Dᵀ R⁻¹ D vanishes on constants; with Q Qᵀ / ΣQ in addition, solutions have ⟨Q, dg⟩ = 0.
            # The matrix is R⁻¹ + R⁻¹ D T⁻¹ Dᵀ R⁻¹.
            factor = _factorise(blas.dsyrk(-1.0, self._scaled.T, lower=1), self._cols, shift)
            if factor is None:
                return None
            half = np.multiply(self._scaled.T, 1.0 / self._root, order="F")
            half = blas.dtrsm(1.0, factor, half, lower=1, overwrite_b=1)
            total = blas.dsyrk(1.0, half, beta=1.0, c=total, trans=1, lower=1, overwrite_c=1)
            total[np.diag_indices_from(total)] += 1.0 / self._rows
        else:
            # Likewise M = R − D Q⁻¹ Dᵀ with R Rᵀ / ΣR in addition: ⟨R, df⟩ = 0. The matrix is M⁻¹.
            scaled = self._scaled * self._root[:, None]
            scaled /= np.sqrt(self._cols)
            factor = _factorise(blas.dsyrk(-1.0, scaled.T, trans=1, lower=1), self._rows, shift)
            if factor is None:
                return None
            total += lapack.dpotri(factor, lower=1)[0]
        self._factor = factor
        return total

    def solve(self, rows: _Array, cols: _Array) -> tuple[_Array, _Array]:
        """Return df, dg for right sides of the normal equations."""
        if self._eliminates_rows:
            right = cols - self._scaled.T @ (rows / self._root)
            g = lapack.dpotrs(self._factor, right, lower=1)[0]
            return (rows / self._root - self._scaled @ g) / self._root, g
        right = rows - self._root * (self._scaled @ (cols / self._cols))
        f = lapack.dpotrs(self._factor, right, lower=1)[0]
        return f, (cols - self._scaled.T @ (self._root * f)) / self._cols


def _factorise(matrix: _Array, diagonal: _Array, shift: float) -> _Array | None:
    """Factorise `matrix` + diag(d) + d dᵀ / Σd for d = `diagonal`."""
    matrix = blas.dsyr(1.0 / diagonal.sum(), diagonal, a=matrix, lower=1, overwrite_a=1)
    matrix[np.diag_indices_from(matrix)] += diagonal * (1.0 + shift)
    factor, info = lapack.dpotrf(matrix, lower=1, clean=0, overwrite_a=1)
    return factor if info == 0 else None


def _scaled_cost(
    cost: Cost, points: NDArray[np.intp], columns: NDArray[np.intp], shift: float, factor: float
) -> _Array:
    """Return factor (C − shift) in some rows and columns, forbidden pairs marked."""
    n, m = cost.shape
    scaled = np.empty((points.size, columns.size))
    step = max(1, _BLOCK_SIZE // m)
    done = 0
    for i in range(0, n, step):
        rows = points[np.searchsorted(points, i) : np.searchsorted(points, i + step)] - i
        block = scaled[done : done + rows.size]
        np.subtract(cost.rows(i, min(i + step, n))[np.ix_(rows, columns)], shift, out=block)
        block *= factor
        block[np.isposinf(block)] = _FORBIDDEN
        done += rows.size
    return scaled
