"""Speed and answers side by side with other libraries, on the same problems, in one process."""

from __future__ import annotations

import importlib.util
import statistics
import time
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
from otfast.datasets import TransportProblem

__all__ = ["TOLERANCE", "pot_emd", "pot_is_installed", "run", "scipy_assignment"]

#: Values of the same problem, and the certificate of a right answer, agree to this relative accuracy.
TOLERANCE = 1e-9

_Array = NDArray[np.floating[Any]]


def pot_is_installed() -> bool:
    """Whether POT can be compared with."""
    return importlib.util.find_spec("ot") is not None


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


def run(quick: bool = False) -> bool:
    """Compare on a few problems of each kind, on one thread, and print a table.

    Parameters
    ----------
    quick : bool, default False
        Whether to take small problems only.

    Returns
    -------
    bool
        Whether every answer is certified and equal to those of the others.
    """
    n = 500 if quick else 2000
    problems = {
        f"uniform points, n = {n}": datasets.uniform_points(n),
        f"weighted points, n = {n}": datasets.uniform_points(n, weighted=True),
        f"Gaussian points in 64D, n = {n}": datasets.gaussian_points(n),
        f"images {16 if quick else 32} x {16 if quick else 32}": datasets.smooth_images(16 if quick else 32),
        f"random costs, n = {n}": datasets.random_costs(n),
        f"integer weights, n = {n}": datasets.integer_weights(n),
    }
    threads = otf.get_num_threads()
    otf.set_num_threads(1)
    try:
        return _compare(problems)
    finally:
        otf.set_num_threads(threads)


def _compare(problems: dict[str, TransportProblem]) -> bool:
    print("CPU seconds on one thread; ratio: the best of the others over otfast;")
    print("certificate: the largest violation of the conditions that prove the answer optimal\n")
    print(f"{'problem':32} {'otfast':>8} {'POT':>8} {'SciPy':>8} {'ratio':>7} {'certificate':>12}")
    all_right = True
    for name, problem in problems.items():
        C = problem.C.dense()
        solvers: dict[str, Callable[[], Any]] = {"otfast": partial(otf.emd, problem.a, problem.b, C)}
        if pot_is_installed():
            solvers["POT"] = partial(pot_emd, problem, C)
        if problem.is_assignment:
            solvers["SciPy"] = partial(scipy_assignment, problem, C)
        seconds, answers = _clock(solvers)
        result = answers.pop("otfast")
        certificate = violation(result, problem.a, problem.b, otf.DenseCost(C))
        right = certificate <= TOLERANCE and all(
            abs(value - result.value) <= TOLERANCE * abs(result.value) for value in answers.values()
        )
        others = [seconds[other] for other in answers]
        ratio = f"{min(others) / seconds['otfast']:.1f}" if others else "-"
        columns = " ".join(
            f"{seconds[solver]:8.4f}" if solver in seconds else f"{'-':>8}"
            for solver in ("otfast", "POT", "SciPy")
        )
        print(f"{name:32} {columns} {ratio:>7} {certificate:12.1e}{'' if right else '  WRONG'}", flush=True)
        all_right &= right
    if not pot_is_installed():
        print("\nPOT is not installed: python -m pip install 'otfast[bench]'")
    return all_right


def _clock(solvers: dict[str, Callable[[], Any]], rounds: int = 3) -> tuple[dict[str, float], dict[str, Any]]:
    """Run all solvers in turn, several rounds, and return median CPU seconds and answers."""
    seconds: dict[str, list[float]] = {name: [] for name in solvers}
    answers = {}
    for _ in range(rounds):
        for name, solve in solvers.items():
            start = time.process_time()
            answers[name] = solve()
            seconds[name].append(time.process_time() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}, answers
