"""One call of the entropic core, with the start that suits the temperature."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from otfast import _core
from otfast._entropic_result import needs_double
from otfast._entropic_validation import is_balanced
from otfast._low_rank import iterate_on_factors
from otfast.cost import Cost, DenseCost, Grid, LowRankCost
from otfast.progress import Monitor

if TYPE_CHECKING:
    from otfast._core import _SinkhornResult

_Array = NDArray[np.float64]

#: The temperature, as a share of the spread of the costs, below which potentials of the exact problem are
#: the better start of Newton's method.
_COLD = 1.0 / 150.0

#: The same on a grid, where products along the axes are cheap until their exponents leave the range of
#: doubles.
_COLD_GRID = 1.0 / 550.0

#: Pairs up to which the exact problem is solved for a start, and up to which a grid is taken for a cloud of
#: points at such temperatures.
_MOST_EXACT = 1 << 32
_FEW_PAIRS = 1 << 26

#: The largest mass, and one over the least, with which kernels are made.
_MOST_MASS = 1e6

#: A mass that is 1 up to the rounding of sums.
_ROUNDING = 1e-9

#: The highest temperature, in units of the largest cost.
_HEAT = 1e6


def solve(
    cost: Cost,
    a: _Array,
    b: _Array,
    epsilon: float,
    rho: tuple[float, float],
    method: str,
    tol: float,
    max_iter: int,
    start: _Array | None,
    monitor: Monitor | None,
    listener: Monitor | None,
) -> tuple[_SinkhornResult, bool]:
    """Solve an entropic problem whose arguments are checked.

    `start` are potentials of the columns; `listener` is for the preliminary work of finding some.

    Returns
    -------
    raw, wide
        What the core returned, and whether it computed in double precision for a cost in single precision.
    """
    kept = temper(epsilon, cost.bounds(), rho)
    unit = float(unit_of_mass(a.sum(), rho, kept < epsilon))
    if unit != 1.0 or kept < epsilon:
        raw, wide = solve(
            cost, a / unit, b / unit, kept, rho, method, tol, max_iter, start, monitor, listener
        )
        raw["potential_a"] = raw["potential_a"] - epsilon * math.log(unit)
        raw["value"] = float(value_of_mass(raw["value"], unit, epsilon))
        return raw, wide
    low, high = cost.bounds()
    spread = high - low
    n, m = cost.shape
    wide = needs_double(cost.dtype, spread, epsilon)

    def on_rows(method: str, max_iter: int, start: _Array | None, done: int = 0) -> _SinkhornResult:
        in_memory = isinstance(cost, DenseCost)
        largest = max(abs(low), abs(high))
        raw = _core.sinkhorn(
            *(cost.core, a, b, epsilon, method, tol, max_iter, *rho, start),
            *(in_memory, spread, largest, wide, _count_from(done, monitor)),
        )
        raw["n_iter"] += done
        return raw

    if isinstance(cost, LowRankCost) and method == "auto":
        checks = 1 if is_balanced(rho) else 2  # passes that tell the error
        head = iterate_on_factors(cost, a, b, epsilon, rho, tol, max_iter - checks, start, monitor)
        if head is not None:
            raw = on_rows("log", checks, head.g, head.n_iter)
            if head.stopped and raw["status"] == "iteration_limit":
                raw["status"] = "stopped"
            if raw["status"] == "iteration_limit" and raw["n_iter"] < max_iter:
                raw = on_rows(method, max_iter - raw["n_iter"], raw["potential_b"], raw["n_iter"])
            return raw, wide
    cold = is_cold(method, epsilon, spread, min(rho), _COLD_GRID if isinstance(cost, Grid) else _COLD)
    if cold and start is None and n * m <= _MOST_EXACT:
        balanced_b = b * (a.sum() / b.sum())
        exact = _core.emd(cost.core, a, balanced_b, "automatic", None, 1e-12, -1, listener)
        start = exact["potential_b"] if exact["status"] != "infeasible" else None
    # In the cold few pairs of points matter; where all can be visited, those are found faster in rows.
    if isinstance(cost, Grid) and not (cold and n * m <= _FEW_PAIRS):
        axes = cost.axis_costs()
        raw = _core.sinkhorn_grid(axes, a, b, epsilon, method, tol, max_iter, *rho, start, spread, monitor)
    else:
        raw = on_rows(method, max_iter, start)
    return raw, wide


def temper(epsilon: float, bounds: tuple[float, float], rho: tuple[float, float]) -> float:
    """Return a temperature at which a balanced problem of mass 1 has the same solution, up to rounding.

    That is a lower one if 1 + C/ε loses the digits of the costs. The plan is a ⊗ b either way, and potentials
    and values at two temperatures differ by terms of the order C²/ε of the lower one.
    """
    largest = max(abs(bound) for bound in bounds)
    return min(epsilon, _HEAT * largest) if is_balanced(rho) and largest > 0.0 else epsilon


def unit_of_mass(mass: _Array, rho: tuple[float, float], is_hot: bool) -> _Array:
    """Return what a balanced problem is to be divided by: 1 or its mass.

    Some kernels are in single precision, which does not hold every mass, and `temper` is about a mass of 1.
    """
    if not is_balanced(rho):
        return np.ones_like(mass)
    most = 1.0 + _ROUNDING if is_hot else _MOST_MASS
    return np.where((mass >= 1.0 / most) & (mass <= most), 1.0, mass)


def value_of_mass(value: _Array | float, unit: _Array | float, epsilon: float) -> _Array:
    """Return the value of a balanced problem of mass s = `unit`, or 1, from that of the problem divided by s.

    With the plan, ΣP log(P/Q) grows by the factor s and −s log s more: the reference measure Q = a ⊗ b grows
    by s².
    """
    return np.asarray(unit * (value + epsilon * (unit - 1.0 - np.log(unit))))


def full_pass(
    cost: Cost,
    a: _Array,
    b: _Array,
    epsilon: float,
    g: _Array | None,
    *,
    max_iter: int = 1,
    monitor: Monitor | None = None,
) -> _SinkhornResult:
    """Return what belongs to the potentials g of the columns: f, the dual value and the error.

    That is Sinkhorn's first iteration; another one improves g, and finds columns without a way.
    """
    balanced = math.inf, math.inf
    return solve(cost, a, b, epsilon, balanced, "log", 0.0, max_iter, g, monitor, None)[0]


def is_cold(method: str, epsilon: float, spread: float, rho: float, threshold: float = _COLD) -> bool:
    """Whether potentials of the exact problem are the best start that is to be had.

    Where deviations from the marginals are cheap, mass does not travel as far as in that problem.
    """
    return method in ("auto", "newton") and epsilon < threshold * spread and rho > 0.1 * spread


def _count_from(done: int, monitor: Monitor | None) -> Monitor | None:
    """Return the monitor for iterations that come after `done` others."""
    if monitor is None or done == 0:
        return monitor
    return lambda iteration, error, value: monitor(done + iteration, error, value)
