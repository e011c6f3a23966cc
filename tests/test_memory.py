"""Nothing of size n x m is made that was not given."""

import pytest

from processes import run_python

pytest.importorskip("resource")


def growth(setup, work):
    """Return by how many bytes `work` raises the peak memory of a process that has done small work before."""
    code = f"""
        import resource, sys
        import numpy as np
        import otfast as otf

        otf.set_num_threads(2)
        rng = np.random.default_rng(0)

        def peak():
            unit = 1 if sys.platform == "darwin" else 1024
            return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

        def work(n):
            {setup}
            before = peak()
            {work}
            return peak() - before

        work(50)
        print(work(4000))
    """
    return int(run_python(code))


WEIGHTS = "a, b = rng.dirichlet(np.ones(n), 2)"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_dense_cost_is_not_copied(dtype):
    # The cost has 64 or 128 MB.
    setup = f"{WEIGHTS}; C = rng.random((n, n), dtype='{dtype}')"
    assert growth(setup, "otf.emd(a, b, C)") < 25e6
    assert growth(setup, "otf.DenseCost(C).max()") < 2e6


@pytest.mark.parametrize("weights", [WEIGHTS, "a = b = None"])
def test_point_clouds_are_never_stored(weights):
    # Stored, the cost would have 128 MB.
    setup = f"{weights}; cost = otf.PointCloud(*rng.random((2, n, 2)))"
    assert growth(setup, "otf.emd(a, b, cost)") < 25e6
    assert growth(setup, "cost.max(); cost.mean()") < 2e6


@pytest.mark.parametrize("epsilon", [0.5, 0.02, 0.005, 1e-4])
def test_entropic_plans_of_point_clouds_are_never_stored(epsilon):
    # Stored, the plan would have 128 MB. At low temperature the few entries that matter are kept.
    setup = f"{WEIGHTS}; cost = otf.PointCloud(*rng.random((2, n, 2)))"
    assert growth(setup, f"otf.sinkhorn(a, b, cost, {epsilon}).value_linear") < 40e6


def test_grids_are_taken_axis_by_axis():
    # There are 16 000 points, and 256 million pairs of them.
    setup = "axis = np.linspace(0, 1, int(n**0.585)); grid = otf.Grid(axis, axis)"
    assert growth(setup, "otf.sinkhorn(None, None, grid, 0.01).value_linear") < 10e6


def test_batches_are_not_copied():
    setup = "k = n // 40; C = rng.random((k, 400, 400)); A, B = rng.dirichlet(np.ones(400), (2, k))"
    assert growth(setup, "otf.emd_batch(A, B, C)") < 25e6


def test_columns_on_the_line_are_sorted_in_blocks():
    # Sorted copies of all columns would have 256 MB.
    setup = "x, y = rng.random((2, 4000, n))"
    assert growth(setup, "otf.wasserstein_1d(x, y)") < 60e6


def test_tensors_take_a_tenth_of_themselves_at_most():
    setup = "m = 8 if n == 50 else 64; C = rng.random((m, m, m, m), dtype=np.float32)"
    work = "otf.multimarginal.sinkhorn([None] * 4, C, 0.1, tol=0.0, max_iter=3)"
    tenth = 0.1 * 4 * 64**4
    assert growth(setup, work) < tenth
    assert growth(setup, f"{work}.pair_marginal(0, 2)") < tenth
