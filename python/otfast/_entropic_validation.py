"""Checks of the arguments that the functions of entropic transport have in common."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from otfast._validation import check_real

_FLOAT32 = np.dtype(np.float32)

#: The largest value and the largest exponent: some room is left for sums.
LARGEST_RATIO = 1e-3 * float(np.finfo(np.float64).max)


def check_epsilon(epsilon: Any, bounds: tuple[float, float], dtype: np.dtype[np.floating[Any]]) -> float:
    """Check a temperature: positive, and not out of all proportion to costs between these bounds."""
    number = check_real("epsilon", epsilon, 0.0, strictly=True)
    if not 1.0 / LARGEST_RATIO <= number <= LARGEST_RATIO:
        raise ValueError(
            f"epsilon must be between {1.0 / LARGEST_RATIO:.0e} and {LARGEST_RATIO:.0e}, not {number:g}: "
            "multiply it and the costs by a constant"
        )
    largest = max(abs(bound) for bound in bounds)
    if not largest < 1e-3 * float(np.finfo(dtype).max) * number:
        raise ValueError(
            f"epsilon = {number:g} is too small for costs up to {largest:g}: their ratio exceeds the "
            f"range of {dtype}"
        )
    return number


def check_masses(
    names: str,
    totals: Iterable[float],
    bounds: tuple[float, float],
    epsilon: float,
    dtype: np.dtype[np.floating[Any]],
) -> None:
    """Check that the value can be told: costs times the mass, and ε times that of the reference measure."""
    masses = list(totals)
    largest = max(abs(bound) for bound in bounds) * max(masses)
    gap = abs(math.prod(masses) - 1.0)
    if epsilon > 0.0 and gap > 1e-9:  # KL is about that of the totals, which is none where they are 1
        largest += epsilon * gap
    if not largest < 1e-3 * float(np.finfo(dtype).max):
        listed = ", ".join(f"{mass:g}" for mass in masses)
        raise ValueError(
            f"the totals of {names}, {listed}, are so large that the value can exceed the range of {dtype}; "
            "divide all weights by a constant"
        )


def check_tol(tol: Any, dtype: np.dtype[np.floating[Any]], default: float = 1e-6) -> float:
    """Check an error to stop at; None means `default`, or 1e-5 in single precision."""
    if tol is None:
        return 1e-5 if dtype == _FLOAT32 else default
    return check_real("tol", tol, 0.0)


def check_unbalanced(unbalanced: Any) -> tuple[float, float]:
    """Return the prices of a deviation from either marginal, infinite where none is allowed."""
    if unbalanced is None:
        return math.inf, math.inf
    pair = unbalanced if isinstance(unbalanced, tuple | list) else (unbalanced, unbalanced)
    if len(pair) != 2:
        raise ValueError(f"unbalanced must be a number or a pair of numbers, not {unbalanced!r}")
    rho_a, rho_b = (check_rho(rho) for rho in pair)
    return rho_a, rho_b


def check_rho(rho: Any) -> float:
    """Check one such price."""
    if isinstance(rho, float | np.floating) and rho == math.inf:
        return math.inf
    return check_real("unbalanced", rho, 0.0, strictly=True)


def is_balanced(rho: tuple[float, float]) -> bool:
    """Whether both marginals are exact."""
    return math.isinf(rho[0]) and math.isinf(rho[1])
