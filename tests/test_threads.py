"""Several Python threads at once, several threads inside, and processes that fork."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import otfast as otf
from certificates import assert_certified, random_weights, sqeuclidean
from processes import run_python


def test_setting_the_number_of_threads():
    for count in (1, 3, 2):
        otf.set_num_threads(count)
        assert otf.get_num_threads() == count
    for bad in (0, -1):
        with pytest.raises(ValueError, match="number of threads must be at least 1"):
            otf.set_num_threads(bad)
    assert otf.get_num_threads() == 2


def test_the_environment_sets_the_number_of_threads():
    code = "import otfast; print(otfast.get_num_threads())"
    assert run_python(code, OTFAST_NUM_THREADS="3") == "3\n"
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert run_python(code, OTFAST_NUM_THREADS=None) == f"{processors}\n"


@pytest.mark.parametrize("method", ["network-simplex", "column-generation"])
def test_more_threads_give_the_same_answer(rng, method):
    a, b = random_weights(rng, 700), random_weights(rng, 600)
    cost = sqeuclidean(rng.random((700, 2)), rng.random((600, 2)))
    alone = otf.emd(a, b, cost, method=method)
    otf.set_num_threads(4)
    together = otf.emd(a, b, cost, method=method)
    assert_certified(together, a, b, cost)
    assert together.value == pytest.approx(alone.value, rel=1e-13)
    np.testing.assert_allclose(together.plan, alone.plan, atol=1e-15)


def test_more_threads_give_the_same_batch(rng):
    A, B = rng.dirichlet(np.ones(30), 50), rng.dirichlet(np.ones(20), 50)
    costs = rng.random((50, 30, 20))
    alone = otf.emd_batch(A, B, costs)
    otf.set_num_threads(4)
    together = otf.emd_batch(A, B, costs)
    np.testing.assert_array_equal(together.value, alone.value)
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_array_equal(one.plan, other.plan)


@pytest.mark.parametrize("inner", [1, 2])
def test_calls_from_eight_threads(rng, inner):
    otf.set_num_threads(inner)
    problems = []
    for k in range(24):
        n, m = 80 + k, 60 + k
        x, y = rng.random((n, 2)), rng.random((m, 2))
        cost = [otf.PointCloud(x, y), sqeuclidean(x, y)][k % 2]
        problems.append((random_weights(rng, n), random_weights(rng, m), cost))

    def solve(problem):
        return otf.emd(*problem)

    serial = [solve(problem) for problem in problems]
    with ThreadPoolExecutor(8) as pool:
        parallel = list(pool.map(solve, problems))
    for one, other in zip(parallel, serial, strict=True):
        assert one.value == other.value
        np.testing.assert_array_equal(one.plan, other.plan)
        np.testing.assert_array_equal(one.potential_a, other.potential_a)


def test_one_cost_in_eight_threads(rng):
    cloud = otf.PointCloud(rng.random((300, 3)))
    weights = [random_weights(rng, 300) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        parallel = list(pool.map(lambda a: otf.emd(a, None, cloud).value, weights))
        largest = set(pool.map(lambda _: cloud.max(), range(8)))
    assert parallel == [otf.emd(a, None, cloud).value for a in weights]
    assert largest == {cloud.dense().max()}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forking_after_use():
    output = run_python(
        """
        import os
        import numpy as np
        import otfast as otf

        otf.set_num_threads(2)
        x, y = np.random.default_rng(0).random((2, 500, 2))
        before = otf.emd(None, None, otf.PointCloud(x, y)).value
        child = os.fork()
        after = otf.emd(None, None, otf.PointCloud(x, y)).value
        if child == 0:
            os._exit(0 if after == before else 1)
        print(after == before, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        """
    )
    assert output == "True 0\n"


def test_a_callback_may_solve_another_problem(rng):
    """On the same thread, in the middle of a solve."""
    A, B = rng.dirichlet(np.ones(200), (2, 400))
    C, other = rng.random((200, 200)), rng.random((90, 110))
    inner = otf.emd(None, None, other).value
    seen = []
    batch = otf.emd_batch(A, B, C, callback=lambda report: seen.append(otf.emd(None, None, other).value))
    assert len(seen) > 1
    assert set(seen) == {inner}
    np.testing.assert_array_equal(batch.value, otf.emd_batch(A, B, C).value)
