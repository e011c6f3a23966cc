"""Products with the kernels exp(−C_k/ε) in the log domain: what Bregman projections are made of.

Functions on the support of the barycenter have the shape `(L, K, n)`: one for each of L problems and K
measures. Those on the supports of the measures are `(L, K, m)` where all have one support, else `(L, Σ m_k)`.
All are logarithms to base 2.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otfast import _core
from otfast._entropic_result import needs_double
from otfast.cost import Cost, DenseCost, Grid
from otfast.progress import Monitor

_Array = NDArray[np.float64]

#: x, transpose ↦ log2 Σ exp(−C_ij/ε) 2^(x_j) for the rows of x: over the columns j or, transposed, the rows.
LogSums = Callable[[_Array, bool], _Array]

#: Many projections in one go, see `Kernel64.project` of the core: of the measures, the weights `(L, K)`, the
#: products ψ `(L K, m)` and a number of projections.
Projector = Callable[[_Array, _Array, _Array, int], dict[str, _Array] | None]


class LogKernel(ABC):
    """Sums Σ_j exp(−C_ij/ε) 2^(x_j), and their logarithms to base 2."""

    projector: Projector | None = None
    """Does many projections in one go, for problems whose numbers the precision of the kernel spans."""

    @abstractmethod
    def to_support(self, x: _Array) -> _Array:
        """Sum functions on the measures' supports for all points of the barycenter's, `(L, K, n)`."""

    @abstractmethod
    def to_measures(self, x: _Array) -> _Array:
        """Sum functions `(L, K, n)` on the barycenter's support for all points of the measures'."""

    @abstractmethod
    def of_ones(self, size: int, problems: int) -> _Array:
        """Sum the constant 1 on a support of this size for all points of the measures'."""

    @abstractmethod
    def per_measure(self, x: _Array) -> _Array:
        """Add up what belongs to the same measure: `(L, K)`."""

    @abstractmethod
    def split(self, x: _Array) -> list[_Array]:
        """Return the parts of one function on the measures' supports."""


class SharedKernel(LogKernel):
    """One kernel for all measures."""

    def __init__(self, log_sums: LogSums, count: int) -> None:
        self._log_sums = log_sums
        self._count = count
        self.projector = log_sums.project if isinstance(log_sums, _GridKernel | _DenseKernel) else None

    def to_support(self, x: _Array) -> _Array:
        """Sum over the columns."""
        return self._apply(x, transpose=False)

    def to_measures(self, x: _Array) -> _Array:
        """Sum over the rows."""
        return self._apply(x, transpose=True)

    def of_ones(self, size: int, problems: int) -> _Array:
        """Sum over the rows."""
        ones = self.to_measures(np.zeros((1, 1, size)))
        return np.tile(ones, (problems, self._count, 1))

    def per_measure(self, x: _Array) -> _Array:
        """Add up functions `(L, K, m)`."""
        return x.sum(-1)  # type: ignore[no-any-return]

    def split(self, x: _Array) -> list[_Array]:
        """Return the rows of `(K, m)`."""
        return list(x)

    def _apply(self, x: _Array, *, transpose: bool) -> _Array:
        flat = np.ascontiguousarray(x).reshape(-1, x.shape[-1])
        return self._log_sums(flat, transpose).reshape(*x.shape[:-1], -1)


class SeparateKernels(LogKernel):
    """A kernel for each measure."""

    def __init__(self, log_sums: Sequence[LogSums], sizes: Sequence[int]) -> None:
        self._log_sums = log_sums
        self._starts = np.concatenate([[0], np.cumsum(sizes)])

    def to_support(self, x: _Array) -> _Array:
        """Sum over the columns of each."""
        parts = zip(self._log_sums, self.split(x), strict=True)
        return np.stack([sums(np.ascontiguousarray(part), False) for sums, part in parts], axis=1)

    def to_measures(self, x: _Array) -> _Array:
        """Sum over the rows of each."""
        parts = enumerate(self._log_sums)
        return np.concatenate([sums(np.ascontiguousarray(x[:, k]), True) for k, sums in parts], axis=1)

    def of_ones(self, size: int, problems: int) -> _Array:
        """Sum over the rows of each."""
        ones = self.to_measures(np.zeros((1, len(self._log_sums), size)))
        return np.tile(ones, (problems, *[1] * (ones.ndim - 1)))

    def per_measure(self, x: _Array) -> _Array:
        """Add up the parts."""
        return np.add.reduceat(x, self._starts[:-1], axis=-1)

    def split(self, x: _Array) -> list[_Array]:
        """Return the parts along the last axis."""
        return np.split(x, self._starts[1:-1], axis=-1)


def log_sums_of(cost: Cost, epsilon: float, monitor: Monitor | None) -> LogSums:
    """Return the products with exp(−C/ε).

    A grid acts axis by axis; a cost in memory becomes a kernel in memory; others are computed in every pass.
    """
    if isinstance(cost, Grid):
        return _GridKernel(cost, epsilon, monitor)
    low, high = cost.bounds()
    wide = needs_double(cost.dtype, high - low, epsilon)
    if isinstance(cost, DenseCost):
        return _DenseKernel(cost, epsilon, wide, monitor)
    unit = epsilon * math.log(2.0)

    def log_sums(x: _Array, transpose: bool) -> _Array:
        rows = [_core.softmin(cost.core, row * unit, epsilon, wide, transpose, monitor) for row in x]
        return np.stack(rows) / -unit

    return log_sums


class _GridKernel:
    """The kernel along the axes."""

    def __init__(self, grid: Grid, epsilon: float, monitor: Monitor | None) -> None:
        self._kernel = _core.GridKernel(grid.axis_costs(), epsilon, monitor)

    def __call__(self, x: _Array, transpose: bool) -> _Array:
        return self._kernel.log_sums(x)

    def project(self, b: _Array, weights: _Array, psi: _Array, count: int) -> dict[str, _Array] | None:
        """Project for one problem after the other: batches of lines fill the vectors anyway."""
        parts = []
        for row, of_row in zip(weights, np.split(psi, len(weights)), strict=True):
            part = self._kernel.project(b, row[None], np.ascontiguousarray(of_row), count)
            if part is None:
                return None
            parts.append(part)
        if len(parts) == 1:
            return parts[0]
        return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


class _DenseKernel:
    """The kernel in memory."""

    def __init__(self, cost: DenseCost, epsilon: float, wide: bool, monitor: Monitor | None) -> None:
        single = cost.dtype == np.float32 and not wide
        kernel: type[_core.Kernel32 | _core.Kernel64] = _core.Kernel32 if single else _core.Kernel64
        self._kernel = kernel(cost.core, epsilon, monitor)  # type: ignore[arg-type]
        self.project = self._kernel.project

    def __call__(self, x: _Array, transpose: bool) -> _Array:
        return self._kernel.log_sums(x, transpose)


def log_sums_of_operator(operator: Callable[[_Array], ArrayLike]) -> LogSums:
    """Return the same for a symmetric kernel that is given by its products with the columns of a matrix."""

    def log_sums(x: _Array, transpose: bool) -> _Array:
        top = x.max(-1, keepdims=True)
        top[~np.isfinite(top)] = 0.0
        given = np.exp2(x - top).T
        product = np.asarray(operator(given), np.float64)
        if product.shape != given.shape:
            raise ValueError(
                f"operator must keep the shape {given.shape} of what it is given, not {product.shape}"
            )
        if not np.isfinite(product).all():
            raise ValueError("operator must return finite numbers")
        with np.errstate(divide="ignore"):
            # A heat kernel is not negative; what a solver leaves below zero is its error.
            return np.log2(np.maximum(product.T, 0.0)) + top  # type: ignore[no-any-return]

    return log_sums
