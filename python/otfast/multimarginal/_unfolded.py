"""Contractions of a tensor as a matrix: rows are tuples of the leading points, columns of the trailing ones.

One pass over the matrix takes the sums of its rows, an effective cost of the leading points alone, on which
all their potentials are updated; a second one does the same for the trailing points. So K potentials take two
passes, whatever K is, and nothing of the size of the tensor is stored beside the cost. Effective costs are
tensors again, and are treated alike.

Over a tensor in memory one pass is enough, as long as the potentials are good enough a guess that its
exponentials stay in range (`_core.tour64`): slices along the first axis are updated one after another, and
the plan, added up over them, is a smaller tensor, in which the other potentials are factors.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property, reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otfast import _core
from otfast._entropic_result import EntropicCoupling, needs_double
from otfast._validation import FloatArray
from otfast.cost import DenseCost
from otfast.multimarginal._memory import check_memory
from otfast.multimarginal._multi_cost import MultiCost, balanced_split, outer_sum
from otfast.multimarginal._potentials import Potentials
from otfast.progress import Monitor

_Array = NDArray[np.float64]

#: What is done with a node and its soft minimum; the error and the mass come out.
_Step = Callable[[int, _Array], tuple[float, float]]

#: Tuples from which on a second update of a block of potentials costs next to nothing; it saves passes.
_LARGE = 1 << 21

#: How often the marginal on all axes but the first is gone through for one pass over a tensor.
_ROUNDS = 3

#: The least weight, as a share of all, that single precision tells from nothing there.
_LEAST_SHARE = 2.0**-60

#: Bytes up to which a plan is kept, so that passes need no exponentials as long as potentials stay near.
_LARGEST_KEPT = 1 << 23

#: After a failure, that many other passes come first at most.
_LONGEST_WAIT = 8

#: Entries of the plan that are in memory at a time while it is reduced.
_BLOCK_SIZE = 1 << 17


class Unfolded:
    """The contraction of a cost that is read as a matrix."""

    def __init__(self, cost: MultiCost, potentials: Potentials, monitor: Monitor | None) -> None:
        shape = cost.shape
        self._split = balanced_split(shape)
        rows, cols = math.prod(shape[: self._split]), math.prod(shape[self._split :])
        check_memory("the tuples of half of the points", (rows + cols,), 8)
        self._potentials = potentials
        self._monitor = monitor
        self._matrix = cost.unfold(self._split)
        low, high = self._matrix.bounds()
        self._wide = needs_double(cost.dtype, high - low, potentials.epsilon)
        self._is_large = rows * cols >= _LARGE
        self._nodes = tuple(range(len(shape)))
        self._guesses: dict[tuple[tuple[int, ...], bool], _Array] = {}
        self._tensor = self._tensor_in_memory(shape)
        self._failures = self._tours_to_wait = 0
        self._is_settled = True
        self._kept: FloatArray | None = None
        self._kept_epsilon = 0.0
        self._reference: list[_Array] = []
        """The potentials whose plan is kept; none if there is no plan yet."""
        if self._tensor is not None:
            real = np.float32 if self._computes_in_single else np.float64
            if self._tensor.size * np.dtype(real).itemsize <= _LARGEST_KEPT:
                self._kept = np.empty(self._tensor.shape, real)

    def refresh(self) -> None:
        """Forget what was computed from other potentials: what is kept here are mere guesses."""

    def tour(self, update: bool) -> tuple[float, float]:
        """Measure every marginal, and update its potential if `update`.

        Returns
        -------
        error, mass
            The largest violation of a marginal, each as it was when its turn came, and the mass of the plan.
        """
        if self._tensor is not None:
            found = self._tour_in_one_pass(self._tensor, update)
            if found is not None:
                return found
        pots = self._potentials
        self._is_settled = self._is_settled or update

        def step(k: int, softmin: _Array) -> tuple[float, float]:
            return pots.visit(k, softmin, update)

        return self._visit(self._matrix.core, self._wide, self._nodes, self._split, step, update)

    def settle(self) -> None:
        """Give points of no weight, which nothing depends on, the potentials that maximise the dual."""
        pots = self._potentials
        if self._is_settled or all(a.all() for a in pots.weights):
            return

        def step(k: int, softmin: _Array) -> tuple[float, float]:
            pots.settle(k, softmin)
            return 0.0, 0.0

        self._visit(self._matrix.core, self._wide, self._nodes, self._split, step, False)
        self._is_settled = True

    def coupling(self) -> UnfoldedCoupling:
        """Return the plan of the potentials."""
        pots = self._potentials
        shape = tuple(a.size for a in pots.weights)
        parts = slice(self._split), slice(self._split, None)
        a, b = (reduce(np.multiply.outer, pots.weights[part]).ravel() for part in parts)
        f, g = (outer_sum(pots.f[part]).ravel() for part in parts)
        # The offset is a constant factor of the plan.
        plan = EntropicCoupling(self._matrix, a, b, f - pots.offset, g, pots.epsilon, self._wide)
        return UnfoldedCoupling(shape, self._split, plan)

    def _tensor_in_memory(self, shape: tuple[int, ...]) -> FloatArray | None:
        if not isinstance(self._matrix, DenseCost):
            return None
        # A weight may be too small for what is left of it after two exponentials.
        least = min(float(a[a > 0.0].min() / a.sum()) for a in self._potentials.weights)
        if least < (_LEAST_SHARE if self._computes_in_single else np.finfo(np.float64).tiny):
            return None
        if not _core.has_tour(shape, 4 if self._computes_in_single else 8):
            return None
        return self._matrix.dense().reshape(shape)

    @property
    def _computes_in_single(self) -> bool:
        return self._matrix.dtype == np.float32 and not self._wide

    def _tour_in_one_pass(self, tensor: FloatArray, update: bool) -> tuple[float, float] | None:
        """Return what `tour` does; None if the potentials are too far off, or were the last few times."""
        if self._tours_to_wait:
            self._tours_to_wait -= 1
            return None
        pots = self._potentials
        run: Any = _core.tour64
        if tensor.dtype == np.float32:
            run = _core.tour32_wide if self._wide else _core.tour32
        if self._kept_epsilon != pots.epsilon:
            self._reference = []
        given = pots.f
        found = run(
            tensor,
            pots.weights,
            given,
            pots.rho,
            pots.epsilon,
            update,
            _ROUNDS,
            self._kept,
            self._reference,
            self._monitor,
        )
        if found is None:
            self._reference = []
            self._failures += 1
            self._tours_to_wait = min(self._failures, _LONGEST_WAIT)
            return None
        self._failures = 0
        if found[3]:
            self._reference, self._kept_epsilon = [f.copy() for f in given], pots.epsilon
        if update:
            pots.f = found[0]
            self._is_settled = False
        return found[1], found[2]

    def _visit(
        self,
        matrix: _core.Cost32 | _core.Cost64,
        wide: bool,
        nodes: tuple[int, ...],
        split: int,
        step: _Step,
        update: bool,
    ) -> tuple[float, float]:
        error = mass = 0.0
        for part, other, transpose in (
            (nodes[:split], nodes[split:], False),
            (nodes[split:], nodes[:split], True),
        ):
            h = outer_sum([self._potentials.exponent(k) for k in other]).ravel()
            guess = self._guesses.get((nodes, transpose))
            s = _core.softmin(matrix, h, self._potentials.epsilon, wide, transpose, self._monitor, guess)
            self._guesses[nodes, transpose] = s
            of_part, mass = self._visit_block(s, part, step, update)
            error = max(error, of_part)
        return error, mass

    def _visit_block(
        self, s: _Array, nodes: tuple[int, ...], step: _Step, update: bool
    ) -> tuple[float, float]:
        """Do the same for some of the points, whose effective cost is `s`."""
        if len(nodes) == 1:
            return step(nodes[0], s)
        shape = tuple(self._potentials.weights[k].size for k in nodes)
        split = balanced_split(shape)
        block = _core.DenseCost64(s.reshape(math.prod(shape[:split]), -1))
        first, mass = self._visit(block, True, nodes, split, step, update)
        if update and self._is_large:
            _, mass = self._visit(block, True, nodes, split, step, update)
        return first, mass


class UnfoldedCoupling:
    """The plan as a matrix: potentials and a cost, and the memory of the tuples of half of the points."""

    def __init__(self, shape: tuple[int, ...], split: int, plan: EntropicCoupling) -> None:
        self.shape = shape
        self._split = split
        self._plan = plan

    @cached_property
    def linear_value(self) -> float:
        """⟨P, C⟩; the first access passes over all tuples."""
        return self._plan.linear_value

    def dense(self) -> FloatArray:
        """Return P as an array."""
        check_memory("the plan", self.shape, self._plan.cost.dtype.itemsize)
        return self._plan.dense().reshape(self.shape)

    def marginal(self, nodes: tuple[int, ...]) -> FloatArray:
        """Return the sums over all points but those of the nodes, which are in rising order."""
        rows, cols = self._plan.shape
        step = max(1, _BLOCK_SIZE // cols)
        # Leading points are summed last: a block of rows may begin anywhere.
        summed = tuple(1 + k - self._split for k in range(self._split, len(self.shape)) if k not in nodes)
        reduced = np.empty((rows, *(self.shape[k] for k in nodes if k >= self._split)))
        for i in range(0, rows, step):
            block = self._plan.rows(i, min(i + step, rows))
            reduced[i : i + step] = block.reshape(-1, *self.shape[self._split :]).sum(
                axis=summed, dtype=np.float64
            )
        leading = reduced.reshape(*self.shape[: self._split], *reduced.shape[1:])
        gone = tuple(k for k in range(self._split) if k not in nodes)
        return leading.sum(axis=gone).astype(self._plan.cost.dtype)  # type: ignore[no-any-return]
