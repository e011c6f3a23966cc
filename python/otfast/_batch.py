"""Many problems of one size: their arguments checked once, their results as a sequence."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otfast._validation import (
    FloatArray,
    as_array,
    as_matrix,
    balance_weight_rows,
    check_weight_rows,
)
from otfast.cost import Cost, check_entries
from otfast.result import Transport

_FLOAT32 = np.dtype(np.float32)


class Problems(NamedTuple):
    """Checked costs and weights of many problems."""

    costs: FloatArray
    """`(k, n, m)`, or `(1, n, m)` for all problems."""
    bounds: tuple[float, float]
    """Numbers between which all finite costs lie."""
    a: NDArray[np.float64]
    """`(k, n)`."""
    b: NDArray[np.float64]
    """`(k, m)`, of the totals of `a` if they were to be balanced."""

    @property
    def dtype(self) -> np.dtype[np.floating[Any]]:
        """The precision of the costs."""
        return self.costs.dtype

    def cost(self, k: int) -> FloatArray:
        """Return the costs of problem k, `(n, m)`."""
        costs: FloatArray = self.costs[k if len(self.costs) > 1 else 0]
        return costs


def check_problems(
    A: ArrayLike | None, B: ArrayLike | None, C: ArrayLike | Cost, *, balanced: bool = True
) -> Problems:
    """Check the arguments of a batch; totals must agree where problems are balanced."""
    costs, bounds = _check_cost_stack(C)
    _, n, m = costs.shape
    given_a = None if A is None else as_matrix("A", A)
    given_b = None if B is None else as_matrix("B", B)
    k = _batch_size(given_a, given_b, costs)
    a, totals_a, single_a = _check_batch_weights("A", given_a, k, n)
    b, totals_b, single_b = _check_batch_weights("B", given_b, k, m)
    if balanced:
        is_single = single_a or single_b or costs.dtype == _FLOAT32
        b = balance_weight_rows(b, totals_a, totals_b, is_single, ("A[{}]", "B[{}]"))
    return Problems(costs, bounds, a, b)


def _check_cost_stack(C: ArrayLike | Cost) -> tuple[FloatArray, tuple[float, float]]:
    if isinstance(C, Cost):
        return C.dense()[None], C.bounds()
    array = as_array("C", C)
    if array.ndim not in (2, 3) or array.size == 0:
        raise ValueError(f"C must have shape (n, m) or (k, n, m), not empty, but its shape is {array.shape}")
    _, (low, high, *_) = check_entries(array)
    return array if array.ndim == 3 else array[None], ((low, high) if low <= high else (0.0, 0.0))


def _batch_size(A: FloatArray | None, B: FloatArray | None, costs: FloatArray) -> int:
    sizes = {name: len(given) for name, given in (("A", A), ("B", B)) if given is not None}
    if len(costs) > 1:
        sizes["C"] = len(costs)
    if len(set(sizes.values())) > 1:
        listed = ", ".join(f"{size} in {name}" for name, size in sizes.items())
        raise ValueError(f"A, B and C must hold the same number of problems, but there are {listed}")
    return next(iter(sizes.values()), 1)


def _check_batch_weights(
    name: str, given: FloatArray | None, k: int, size: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], bool]:
    if given is None:
        return np.full((k, size), 1.0 / size), np.ones(k), False
    return check_weight_rows(name, given, (k, size))


class TransportBatch(Sequence[Transport]):
    """What solvers of many problems return: a sequence of `Transport`, each made when it is asked for."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems

    @abstractmethod
    def _make(self, k: int) -> Transport:
        """Make the result of problem k."""

    @property
    @abstractmethod
    def value(self) -> FloatArray:
        """The optimal values, `(k,)`."""

    @property
    @abstractmethod
    def converged(self) -> NDArray[np.bool_]:
        """Which problems reached their tolerance, `(k,)`."""

    @property
    @abstractmethod
    def n_iter(self) -> NDArray[np.int64]:
        """The numbers of iterations, `(k,)`."""

    @property
    @abstractmethod
    def error(self) -> NDArray[np.float64]:
        """What each `Transport` has as its `error`, `(k,)`."""

    @overload
    def __getitem__(self, index: int) -> Transport: ...
    @overload
    def __getitem__(self, index: slice) -> list[Transport]: ...
    def __getitem__(self, index: int | slice) -> Transport | list[Transport]:
        if isinstance(index, slice):
            return [self._make(k) for k in range(*index.indices(len(self)))]
        return self._make(range(len(self))[index])

    def __len__(self) -> int:
        return len(self._problems.a)

    def __iter__(self) -> Iterator[Transport]:
        return (self._make(k) for k in range(len(self)))

    def __repr__(self) -> str:
        n, m = self._problems.a.shape[1], self._problems.b.shape[1]
        n_converged = int(self.converged.sum())
        return f"TransportBatch({len(self)} problems of {n} x {m}, {n_converged} converged)"
