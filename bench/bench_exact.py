"""Exact transport: every library on the same instance, with the answer checked.

python -m pytest bench/bench_exact.py
"""

import numpy as np
import pytest

import otfast as otf
from cases import BATCHES, CASES, CLOUDS
from otfast import datasets
from otfast._certificate import violation
from otfast.comparison.exact import TOLERANCE, pot_emd, scipy_assignment
from otfast.comparison.table import pot_is_installed

needs_pot = pytest.mark.skipif(
    not pot_is_installed(), reason="POT is not installed: it comes with otfast[bench]"
)


@pytest.fixture(scope="module", params=CASES)
def instance(request):
    """A problem, its cost as an array, and its certified value."""
    problem = CASES[request.param]()
    C = problem.C.dense()
    result = otf.emd(problem.a, problem.b, C)
    assert violation(result, problem.a, problem.b, otf.DenseCost(C)) <= TOLERANCE
    return request.param, problem, C, result.value


def run(benchmark, group, solve):
    """Time with few rounds, since the slow ones take seconds, after one that warms the caches."""
    benchmark.group = group
    return benchmark.pedantic(solve, rounds=3, warmup_rounds=1)


def test_otfast(benchmark, instance):
    name, problem, C, value = instance
    result = run(benchmark, name, lambda: otf.emd(problem.a, problem.b, C))
    benchmark.extra_info["gap"] = result.error
    assert violation(result, problem.a, problem.b, otf.DenseCost(C)) <= TOLERANCE
    assert result.value == value


@needs_pot
def test_pot(benchmark, instance):
    name, problem, C, value = instance
    assert run(benchmark, name, lambda: pot_emd(problem, C)) == pytest.approx(value, rel=TOLERANCE)


def test_scipy(benchmark, instance):
    name, problem, C, value = instance
    if not problem.is_assignment:
        pytest.skip("SciPy solves assignments only")
    assert run(benchmark, name, lambda: scipy_assignment(problem, C)) == pytest.approx(value, rel=TOLERANCE)


@pytest.mark.parametrize("n", BATCHES)
def test_batch_otfast(benchmark, n):
    A, B, C = datasets.small_problems(n)
    batch = run(benchmark, f"batch-300x{n}", lambda: otf.emd_batch(A, B, C))
    assert batch.error.max() <= TOLERANCE


@needs_pot
@pytest.mark.parametrize("n", BATCHES)
def test_batch_pot(benchmark, n):
    A, B, C = datasets.small_problems(n)
    problems = [datasets.TransportProblem(a, b, otf.DenseCost(c)) for a, b, c in zip(A, B, C, strict=True)]
    values = run(
        benchmark, f"batch-300x{n}", lambda: [pot_emd(p, c) for p, c in zip(problems, C, strict=True)]
    )
    np.testing.assert_allclose(values, otf.emd_batch(A, B, C).value, rtol=TOLERANCE)


@pytest.mark.parametrize("n", CLOUDS)
def test_cloud_without_matrix(benchmark, n):
    problem = datasets.uniform_points(n, weighted=True)
    result = run(benchmark, f"cloud-{n}", lambda: otf.emd(problem.a, problem.b, problem.C))
    assert violation(result, problem.a, problem.b, problem.C) <= TOLERANCE
