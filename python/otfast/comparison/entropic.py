"""Entropic transport beside POT."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import otfast as otf
from otfast import datasets
from otfast._certificate import marginal_error
from otfast.comparison.table import Table, clock, pot_is_installed
from otfast.datasets import TransportProblem

__all__ = [
    "EPSILONS",
    "MOST_ITERATIONS",
    "TOLERANCE",
    "Potentials",
    "compare",
    "otfast_sinkhorn",
    "pot_sinkhorn",
    "scaled",
]

#: The L1 error of both marginals at which to stop.
TOLERANCE = 1e-6

#: Temperatures, as shares of the largest cost.
EPSILONS = (1e-1, 1e-2, 1e-3)

#: POT stops at an L2 error of one marginal, which is about this much below its L1 error.
_POT_TOLERANCE = 0.1 * TOLERANCE

#: The others may take so many iterations.
MOST_ITERATIONS = 5_000

#: How far an error may be above `TOLERANCE` that is computed from potentials with other rounding.
_SLACK = 1.05

#: Times of solvers are compared where none has an error so many times above `TOLERANCE`.
_COMPARABLE = 10.0

_Array = NDArray[np.floating[Any]]


class Potentials(NamedTuple):
    """What every library returns in some form: the plan is P_ij = a_i b_j exp((f_i + g_j − C_ij)/ε)."""

    f: _Array
    g: _Array
    n_iter: int


def scaled(problem: TransportProblem) -> TransportProblem:
    """Return a problem with its costs as an array, divided by the largest."""
    C = problem.C.dense()
    return TransportProblem(problem.a, problem.b, otf.DenseCost(C / C.max()))


def otfast_sinkhorn(problem: TransportProblem, epsilon: float) -> Potentials:
    """Solve a problem with otfast."""
    result = otf.sinkhorn(problem.a, problem.b, problem.C, epsilon, tol=TOLERANCE)
    return Potentials(result.potential_a, result.potential_b, result.n_iter)


def pot_sinkhorn(problem: TransportProblem, epsilon: float) -> Potentials:
    """Solve a problem with POT's iterations on a kernel in memory, which stop early for small ε."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        # Of backends it does not find, iterations that do not suffice, and scalings that overflow.
        warnings.simplefilter("ignore")
        import ot

        _, log = ot.sinkhorn(
            *(problem.a, problem.b, problem.C.dense(), epsilon),
            **{"stopThr": _POT_TOLERANCE, "numItermax": MOST_ITERATIONS, "log": True},
        )
        f = epsilon * np.log(log["u"] / problem.a)
        g = epsilon * np.log(log["v"] / problem.b)
    return Potentials(f, g, log["niter"] + 1)


def compare(quick: bool) -> bool:
    """Print the table of entropic transport, and return whether every answer of otfast is right.

    Its error has to be below the tolerance, and its value has to be that of POT as far as the errors of the
    two let values differ.
    """
    n = 300 if quick else 1000
    families = {
        "uniform points in 2D": scaled(datasets.uniform_points(n)),
        "Gaussian in 64D": scaled(datasets.gaussian_points(n)),
    }
    print(f"\nEntropic transport, n = {n}, until both marginals have an L1 error of {TOLERANCE:g}")
    print("eps: in units of the largest cost; error: the larger L1 error of a marginal that was reached;")
    print("no ratio where another stopped far from the tolerance\n")
    table = Table(("otfast", "POT"), ("error", "POT's error"))
    table.print_header()
    all_right = True
    for family, problem in families.items():
        for epsilon in EPSILONS:
            right = _compare_one(table, f"{family}, eps = {epsilon:g}", problem, epsilon)
            all_right &= right
    return all_right


def _compare_one(table: Table, name: str, problem: TransportProblem, epsilon: float) -> bool:
    solvers: dict[str, Callable[[], Potentials]] = {"otfast": partial(otfast_sinkhorn, problem, epsilon)}
    if pot_is_installed():
        solvers["POT"] = partial(pot_sinkhorn, problem, epsilon)
    seconds, answers = clock(solvers)
    errors, values = {}, {}
    for solver, (f, g, _) in answers.items():
        errors[solver] = marginal_error(f, g, problem.a, problem.b, problem.C, epsilon)
        values[solver] = float(f @ problem.a + g @ problem.b)
    right = errors["otfast"] <= _SLACK * TOLERANCE
    failed = [solver for solver, error in errors.items() if not error <= _COMPARABLE * TOLERANCE]
    if "POT" in errors and not failed:
        # Potentials of costs in [0, 1] range over little more than 1.
        right &= abs(values["otfast"] - values["POT"]) <= 2.0 * sum(errors.values())
    table.print_line(name, seconds, [errors["otfast"], errors.get("POT")], right, failed)
    return right
