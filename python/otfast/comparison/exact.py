"""Exact transport beside POT and SciPy."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

import otfast as otf
from otfast import datasets
from otfast._certificate import violation
from otfast.comparison.table import Table, clock, pot_is_installed
from otfast.datasets import TransportProblem

__all__ = ["TOLERANCE", "compare", "pot_emd", "scipy_assignment"]

#: Values of the same problem, and the certificate of a right answer, agree to this relative accuracy.
TOLERANCE = 1e-9

_Array = NDArray[np.floating[Any]]


def pot_emd(problem: TransportProblem, C: _Array) -> float:
    """Solve a problem with POT, without its cap on iterations, and return the value."""
    with warnings.catch_warnings():
        # POT warns of backends it does not find, and where its simplex stops early; the value tells.
        warnings.simplefilter("ignore")
        import ot

        return float(ot.emd2(problem.a, problem.b, C, numItermax=10**9))


def scipy_assignment(problem: TransportProblem, C: _Array) -> float:
    """Solve an assignment with SciPy and return the value of the transport problem."""
    rows, cols = linear_sum_assignment(C)
    return float(C[rows, cols].mean())


def compare(quick: bool) -> bool:
    """Print the table of exact transport, and return whether every answer is certified and agreed upon."""
    n = 500 if quick else 2000
    problems = {
        f"uniform points, n = {n}": datasets.uniform_points(n),
        f"weighted points, n = {n}": datasets.uniform_points(n, weighted=True),
        f"Gaussian points in 64D, n = {n}": datasets.gaussian_points(n),
        f"images {16 if quick else 32} x {16 if quick else 32}": datasets.smooth_images(16 if quick else 32),
        f"random costs, n = {n}": datasets.random_costs(n),
        f"integer weights, n = {n}": datasets.integer_weights(n),
    }
    print("\nExact transport")
    print("certificate: the largest violation of the conditions that prove the answer optimal\n")
    table = Table(("otfast", "POT", "SciPy"), ("certificate",))
    table.print_header()
    all_right = True
    for name, problem in problems.items():
        C = problem.C.dense()
        solvers: dict[str, Callable[[], Any]] = {"otfast": partial(otf.emd, problem.a, problem.b, C)}
        if pot_is_installed():
            solvers["POT"] = partial(pot_emd, problem, C)
        if problem.is_assignment:
            solvers["SciPy"] = partial(scipy_assignment, problem, C)
        seconds, answers = clock(solvers)
        result = answers.pop("otfast")
        certificate = violation(result, problem.a, problem.b, otf.DenseCost(C))
        right = certificate <= TOLERANCE and all(
            abs(value - result.value) <= TOLERANCE * abs(result.value) for value in answers.values()
        )
        table.print_line(name, seconds, [certificate], right)
        all_right &= right
    return all_right
