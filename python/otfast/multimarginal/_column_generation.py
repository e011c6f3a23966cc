"""The linear program on the tuples that matter: others are looked for, and added, until none is missing.

The program has Σ n_k constraints and a column for each tuple of a growing set. Its duals are potentials f,
and a tuple with C − ⊕f < 0 is one that is missing. With δ the least of these over all tuples, ⟨f, a⟩ + δ mass
is below the optimum (Lübbecke and Desrosiers 2005, section 2.1), so that the gap is known in every round.

Duals of a program that lacks many tuples are far from any that are optimal. So tuples are looked for on the
way from the best potentials so far to the duals, too (Wentges 1997: "Weighted Dantzig–Wolfe decomposition for
linear mixed-integer programming").
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import linprog

from otfast.errors import InfeasibleError
from otfast.multimarginal._comonotone import comonotone_plan
from otfast.multimarginal._multi_cost import MultiCost
from otfast.multimarginal.pairwise import PairwiseCost

_Array = NDArray[np.float64]
_Indices = NDArray[np.int64]

_INFEASIBLE = "every plan with these marginals uses a forbidden tuple, one of cost +inf"

#: Pricing that finds the best tuple through every point.
_BEST_THROUGH_EVERY_POINT = (MultiCost.price, PairwiseCost.price)

#: How far on the way from the best potentials to the duals tuples are looked for.
_STEPS = (0.1, 0.3, 0.5, 0.7, 1.0)

#: Tuples of the program for each of its constraints above which those that the plan does not use leave it.
_MOST_KEPT = 6

#: HiGHS's, on masses and costs of about 1.
_PRECISE = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}


class Vertex(NamedTuple):
    """An optimal vertex of a program, and its duals."""

    mass: _Array
    potentials: list[_Array]
    n_iter: int


class Found(NamedTuple):
    """An exact plan with its certificate."""

    tuples: _Indices
    mass: _Array
    potentials: list[_Array]
    n_iter: int
    lower_bound: float
    stopped: bool


def solve_all(cost: MultiCost, marginals: Sequence[_Array]) -> Found:
    """Solve the program on all tuples."""
    tensor = cost.dense().astype(np.float64, copy=False)
    tuples = np.argwhere(np.isfinite(tensor))
    if not len(tuples):
        raise InfeasibleError(_INFEASIBLE)
    vertex = _solve(tuples, tensor[tuple(tuples.T)], marginals)
    least = min(0.0, cost.price(vertex.potentials)[1])
    return _found(tuples, vertex, marginals, least, vertex.n_iter, False)


def generate_columns(
    cost: MultiCost,
    marginals: Sequence[_Array],
    start: Sequence[_Array],
    tol: float,
    max_iter: int,
    report: Callable[[int, float, float], bool],
) -> Found:
    """Add tuples until the gap is below `tol`. `start` are potentials, the better the fewer rounds."""
    low, high = cost.bounds()
    # Forbidden tuples make the first program feasible; their price is beyond what potentials can make up for.
    forbidden = max(abs(low), abs(high)) + (high - low + 1.0) * sum(cost.shape)
    centre = _Centre(cost, marginals)
    tuples = np.unique(np.vstack([comonotone_plan(marginals)[0], centre.price(start)]), axis=0)
    for n_iter in range(1, max_iter + 1):
        costs = cost.entries(tuples).astype(np.float64)
        vertex = _solve(tuples, np.where(np.isfinite(costs), costs, forbidden), marginals)
        value = float(vertex.mass @ np.where(vertex.mass > 0.0, np.minimum(costs, forbidden), 0.0))
        scale = max(abs(value), rounding_scale(vertex.potentials, marginals))
        priced = [centre.price(potentials) for potentials in centre.on_the_way_to(vertex.potentials)]
        missing = _missing(tuples, np.vstack(priced))
        gap = (value - centre.bound) / scale
        stopped = report(n_iter, gap, value)
        if gap <= tol or stopped or not len(missing):
            break
        tuples = np.vstack([_without_idle(tuples, vertex.mass, costs, centre.potentials), missing])
    else:
        costs = cost.entries(tuples).astype(np.float64)
        vertex = _solve(tuples, np.where(np.isfinite(costs), costs, forbidden), marginals)
    kept = vertex.mass > 0.0
    found = Found(tuples[kept], vertex.mass[kept], centre.potentials, n_iter, centre.bound, stopped)
    if not np.isfinite(cost.entries(found.tuples)).all():
        raise InfeasibleError(_INFEASIBLE)
    return found


class _Centre:
    """The best potentials so far: feasible ones, with the largest dual value."""

    def __init__(self, cost: MultiCost, marginals: Sequence[_Array]) -> None:
        self._cost = cost
        self._marginals = marginals
        self.bound = -math.inf
        self.potentials: list[_Array] = []

    def price(self, potentials: Sequence[_Array]) -> _Indices:
        """Return tuples of small reduced cost, and keep the potentials if they are better, made feasible."""
        tuples, least = self._cost.price(potentials)
        # What the reduced costs through every point of the first node allow it, if the tuples tell that.
        allowed = np.full(potentials[0].size, least)
        if type(self._cost).price in _BEST_THROUGH_EVERY_POINT:
            reduced = self._cost.entries(tuples) - _sums(potentials, tuples)
            allowed = np.full(potentials[0].size, np.inf)
            np.minimum.at(allowed, tuples[:, 0], reduced)
            allowed = np.where(np.isfinite(allowed), allowed, least)
        raised = [potentials[0] + allowed, *potentials[1:]]
        bound = sum(float(f @ a) for f, a in zip(raised, self._marginals, strict=True))
        if bound > self.bound or not self.potentials:
            self.bound = bound
            self.potentials = raised
        return tuples

    def on_the_way_to(self, potentials: Sequence[_Array]) -> list[list[_Array]]:
        """Return potentials on the way to others, which come last."""
        start = self.potentials
        return [
            [(1.0 - step) * f + step * g for f, g in zip(start, potentials, strict=True)] for step in _STEPS
        ]


def _sums(potentials: Sequence[_Array], tuples: _Indices) -> _Array:
    total = np.zeros(len(tuples))
    for f, points in zip(potentials, tuples.T, strict=True):
        total += f[points]
    return total


def _without_idle(tuples: _Indices, mass: _Array, costs: _Array, potentials: Sequence[_Array]) -> _Indices:
    """Drop the tuples of the largest reduced costs that the plan does not use, where there are many."""
    most = _MOST_KEPT * sum(f.size for f in potentials)
    if len(tuples) <= most:
        return tuples
    reduced = np.where(mass > 0.0, -np.inf, costs - _sums(potentials, tuples))
    return tuples[np.sort(np.argpartition(reduced, most)[:most])]


def _missing(known: _Indices, tuples: _Indices) -> _Indices:
    """Return the tuples that are not known, each once."""
    both, first = np.unique(np.vstack([known, tuples]), axis=0, return_index=True)
    return both[first >= len(known)]


def rounding_scale(potentials: Sequence[_Array], marginals: Sequence[_Array]) -> float:
    """Return a little of the size of what cancels in the dual value: a value below it counts as this."""
    terms = sum(float(np.abs(f) @ a) for f, a in zip(potentials, marginals, strict=True))
    return max(1e-4 * terms, math.ulp(0.0))


def _found(
    tuples: _Indices, vertex: Vertex, marginals: Sequence[_Array], least: float, n_iter: int, stopped: bool
) -> Found:
    dual = sum(float(f @ a) for f, a in zip(vertex.potentials, marginals, strict=True))
    bound = dual + least * float(marginals[0].sum())
    # So the potentials are feasible, too.
    potentials = [vertex.potentials[0] + least, *vertex.potentials[1:]]
    kept = vertex.mass > 0.0
    return Found(tuples[kept], vertex.mass[kept], potentials, n_iter, bound, stopped)


def _solve(tuples: _Indices, costs: _Array, marginals: Sequence[_Array]) -> Vertex:
    """Solve the program on these tuples, of finite costs, by the dual simplex method."""
    sizes = [a.size for a in marginals]
    offsets = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    count, K = tuples.shape
    rows = (tuples + offsets).ravel()
    columns = np.repeat(np.arange(count), K)
    constraints = sparse.csc_array((np.ones(rows.size), (rows, columns)), shape=(sum(sizes), count))
    mass = float(marginals[0].sum())
    scale = float(np.abs(costs).max()) or 1.0
    right = np.concatenate([a / a.sum() for a in marginals])
    # One constraint of every marginal but the first follows from the others.
    redundant = offsets[1:] + np.array([int(np.argmax(a)) for a in marginals[1:]])
    kept = np.setdiff1d(np.arange(sum(sizes)), redundant)
    found = linprog(
        costs / scale, A_eq=constraints[kept], b_eq=right[kept], method="highs-ds", options=_PRECISE
    )
    if found.status == 2:
        raise InfeasibleError(_INFEASIBLE)
    if found.status != 0:
        raise RuntimeError(f"HiGHS did not solve the linear program: {found.message}")
    duals = np.zeros(sum(sizes))
    duals[kept] = found.eqlin.marginals * scale
    return Vertex(np.maximum(found.x, 0.0) * mass, np.split(duals, offsets[1:]), int(found.nit))
