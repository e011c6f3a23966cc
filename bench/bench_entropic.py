"""Entropic transport: every library on the same instance, with the error reached next to the time.

python -m pytest bench/bench_entropic.py
"""

import numpy as np
import pytest

import otfast as otf
from cases import ENTROPIC, ENTROPIC_BATCH, LOG_ITERATIONS, POINTS
from otfast._certificate import marginal_error
from otfast.comparison.entropic import TOLERANCE, scaled
from peers import run

#: The others warn of their own dependencies, and where they do not converge; the errors tell.
pytestmark = pytest.mark.filterwarnings("ignore")


def record(benchmark, answers, problems, epsilon):
    """Keep the largest error of a marginal and the largest number of iterations, and return the error."""
    errors = [
        marginal_error(answer.f, answer.g, a, b, C, epsilon)
        for answer, (a, b, C) in zip(answers, problems, strict=True)
    ]
    benchmark.extra_info["error"] = max(errors)
    benchmark.extra_info["iterations"] = max(answer.n_iter for answer in answers)
    return max(errors)


@pytest.mark.parametrize("case", ENTROPIC)
def test_to_tolerance(benchmark, peer, case):
    make, epsilon = ENTROPIC[case]
    problem = scaled(make())
    answer = run(benchmark, case, peer, "to_tolerance", problem, epsilon)
    error = record(benchmark, [answer], [(problem.a, problem.b, problem.C)], epsilon)
    assert peer.package != "otfast" or error <= 1.05 * TOLERANCE


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_log_iterations(benchmark, peer, dtype):
    make, epsilon, n_iter = LOG_ITERATIONS
    problem = scaled(make())
    single = otf.datasets.TransportProblem(
        problem.a, problem.b, otf.DenseCost(problem.C.dense().astype(dtype))
    )
    answer = run(benchmark, f"log-{dtype}-x{n_iter}", peer, "iterate_log", single, epsilon, n_iter)
    record(benchmark, [answer], [(problem.a, problem.b, problem.C)], epsilon)
    assert answer.f.dtype == dtype


@pytest.mark.parametrize("case", POINTS)
def test_points_without_matrix(benchmark, peer, case):
    make, epsilon, n_iter = POINTS[case]
    problem = make()
    # POT computes distances of points in double precision only.
    dtype = np.float64 if peer.package == "ot" else np.float32
    x, y = problem.C.x.astype(dtype), problem.C.y.astype(dtype)
    answer = run(benchmark, f"{case}-x{n_iter}", peer, "iterate_points", x, y, epsilon, n_iter)
    record(benchmark, [answer], [(problem.a, problem.b, problem.C)], epsilon)


@pytest.mark.parametrize("epsilon", [0.1, 0.01])
def test_batch(benchmark, peer, epsilon):
    count, n = ENTROPIC_BATCH
    A, B, C = otf.datasets.small_problems(n, count=count)
    C /= C.max((1, 2), keepdims=True)
    answers = run(benchmark, f"batch-{count}x{n}-eps-{epsilon:g}", peer, "batch", A, B, C, epsilon)
    problems = zip(A, B, map(otf.DenseCost, C), strict=True)
    error = record(benchmark, answers, list(problems), epsilon)
    assert peer.package != "otfast" or error <= 1.05 * TOLERANCE
