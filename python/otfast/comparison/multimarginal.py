"""Entropic transport between many measures beside OTT-JAX."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otfast import multimarginal
from otfast.comparison.table import Table, clock

__all__ = [
    "EPSILON",
    "SIZES",
    "TOLERANCE",
    "compare",
    "measures",
    "otfast_solver",
    "ott_is_installed",
    "ott_solver",
    "violation",
]

#: How far a marginal of the plan may be from where it should be, in L1; everything is `float32`.
TOLERANCE = 1e-4

#: The temperature: of costs that are sums of squared distances in the unit cube.
EPSILON = 0.5

#: Numbers of measures and of points of each; for the first ones only where it has to be quick.
SIZES = ((3, 32), (3, 64), (4, 32))

_Array = NDArray[np.float64]
_Singles = list[NDArray[np.float32]]


def measures(count: int, size: int, seed: int = 0) -> tuple[_Singles, _Singles]:
    """Draw clouds of points in the unit cube, and weights."""
    rng = np.random.default_rng(seed)
    points = [rng.random((size, 3)).astype(np.float32) for _ in range(count)]
    weights = [rng.dirichlet(np.ones(size)) for _ in range(count)]
    return points, [a.astype(np.float32) for a in weights]


def cost_tensor(points: _Singles) -> NDArray[np.float32]:
    """Return Σ_{k<l} ‖x_k − x_l‖² for all tuples, K² times the scatter around the mean."""
    total = float(len(points) ** 2)
    cost = multimarginal.BarycenterCost(points, np.full(len(points), total / len(points)))
    return cost.dense().astype(np.float32, copy=False)


def otfast_solver(points: _Singles, weights: _Singles) -> Callable[[], list[_Array]]:
    """Return what makes the tensor and solves the problem, and gives the potentials."""

    def solve() -> list[_Array]:
        result = multimarginal.sinkhorn(weights, cost_tensor(points), EPSILON, tol=TOLERANCE / 2)
        # As OTT-JAX has them: with the logarithms of the weights.
        pairs = zip(result.potentials, weights, strict=True)
        return [f + EPSILON * np.log(a.astype(np.float64)) for f, a in pairs]

    return solve


def ott_solver(points: _Singles, weights: _Singles) -> Callable[[], list[_Array]]:
    """Return the same for OTT-JAX, compiled."""
    with warnings.catch_warnings():
        # Of its dependencies.
        warnings.simplefilter("ignore")
        import jax
        from ott.experimental import mmsinkhorn

        solver = mmsinkhorn.MMSinkhorn(threshold=TOLERANCE / 2)
        run: Any = jax.jit(lambda x, a: solver(x, a, epsilon=EPSILON).potentials)

        def solve() -> list[_Array]:
            potentials = run(tuple(points), tuple(weights))
            return [np.asarray(f, np.float64) for f in potentials]

        solve()
    return solve


def violation(potentials: list[_Array], points: _Singles, weights: _Singles) -> float:
    """Return the largest L1 distance between a marginal of exp((⊕f − C)/ε) and its weights."""
    exponent = reduce(np.add.outer, potentials) - cost_tensor(points).astype(np.float64)
    plan = np.exp(exponent / EPSILON)
    axes = range(plan.ndim)
    marginals = [plan.sum(axis=tuple(j for j in axes if j != k)) for k in axes]
    return max(float(np.abs(p - a).sum()) for p, a in zip(marginals, weights, strict=True))


def ott_is_installed() -> bool:
    """Whether OTT-JAX can be compared with."""
    return importlib.util.find_spec("ott") is not None


def compare(quick: bool) -> bool:
    """Print the table of entropic plans between many measures, and return whether all of otfast are right."""
    print(f"\nEntropic plans between many measures, float32, marginals to {TOLERANCE:g}\n")
    table = Table(("otfast", "OTT-JAX"), ("error", "OTT's error"))
    table.print_header()
    all_right = True
    for count, size in SIZES[:1] if quick else SIZES:
        points, weights = measures(count, size)
        solvers = {"otfast": otfast_solver(points, weights)}
        if ott_is_installed():
            solvers["OTT-JAX"] = ott_solver(points, weights)
        seconds, answers = clock(solvers)
        errors = {name: violation(answer, points, weights) for name, answer in answers.items()}
        right = errors["otfast"] <= TOLERANCE
        failed = [name for name, error in errors.items() if error > 2 * TOLERANCE]
        checks = [errors["otfast"], errors.get("OTT-JAX")]
        table.print_line(f"{count} measures of {size} points", seconds, checks, right, failed)
        all_right &= right
    return all_right
