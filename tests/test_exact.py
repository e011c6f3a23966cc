"""Exact transport: certificates, oracles and the invariances of the problem, for every method."""

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

import otfast as otf
from certificates import assert_certified, linprog_value, random_weights, sqeuclidean

METHODS = ["auto", "network-simplex", "column-generation"]
SHAPES = [(1, 1), (1, 7), (7, 1), (2, 2), (5, 8), (8, 5), (20, 20), (31, 33)]


def make_problem(rng, n, m, kind):
    a, b = random_weights(rng, n), random_weights(rng, m)
    if kind == "points":
        return a, b, sqeuclidean(rng.random((n, 2)), rng.random((m, 2)))
    if kind == "random":
        return a, b, rng.normal(size=(n, m))
    if kind == "integers":
        return a, b, rng.integers(0, 4, (n, m)).astype(float)
    return None, None, rng.random((n, m))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", ["points", "random", "integers", "uniform"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_value_and_certificate(rng, shape, kind, method):
    a, b, cost = make_problem(rng, *shape, kind)
    result = otf.emd(a, b, cost, method=method)
    assert_certified(result, a, b, cost)
    assert result.value == pytest.approx(linprog_value(a, b, cost), rel=1e-7, abs=1e-8)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", ["points", "random", "integers", "uniform"])
def test_certificate_of_a_larger_problem(rng, kind, method):
    a, b, cost = make_problem(rng, 300, 257, kind)
    assert_certified(otf.emd(a, b, cost, method=method), a, b, cost)


@pytest.mark.parametrize("metric", ["sqeuclidean", "euclidean", "cityblock", "cosine", ("power", 2, 3)])
@pytest.mark.parametrize("method", METHODS)
def test_point_clouds_equal_their_dense_cost(rng, metric, method):
    x, y = rng.normal(size=(120, 3)), rng.normal(size=(90, 3))
    a, b = random_weights(rng, 120), random_weights(rng, 90)
    cloud = otf.PointCloud(x, y, metric)
    result = otf.emd(a, b, cloud, method=method)
    assert_certified(result, a, b, cloud.dense())
    assert result.value == pytest.approx(otf.emd(a, b, cloud.dense()).value, rel=1e-12)


def test_every_cost_object(rng):
    x, y = rng.normal(size=(24, 4)), rng.normal(size=(24, 4))
    axes = np.arange(4.0), np.linspace(0, 1, 6)
    costs = [
        otf.DenseCost(sqeuclidean(x, y)),
        otf.PointCloud(x, y, ("mahalanobis", np.diag([1.0, 2.0, -1.0, 0.5]))),
        otf.PointCloud(x, y, ("bilinear", rng.normal(size=(4, 4)))),
        otf.Grid(*axes),
        otf.Grid(*axes, metric="cityblock"),
        otf.LowRankCost(x, y),
    ]
    a, b = random_weights(rng, 24), random_weights(rng, 24)
    for cost in costs:
        assert_certified(otf.emd(a, b, cost), a, b, cost.dense())
        assert_certified(otf.emd(None, None, cost), None, None, cost.dense())


@pytest.mark.parametrize("method", [*METHODS, "assignment"])
@pytest.mark.parametrize("n", [1, 2, 3, 10, 64, 200])
def test_uniform_square_problems_are_assignments(rng, n, method):
    for cost in (rng.random((n, n)), sqeuclidean(rng.random((n, 2)), rng.random((n, 2)))):
        result = otf.emd(None, None, cost, method=method)
        assert_certified(result, None, None, cost)
        assert result.sparse_plan.nnz == n
        expected = cost[linear_sum_assignment(cost)].sum()
        assert result.value == pytest.approx(expected / n, rel=1e-12)
        col_of_row, total = otf.assignment(cost)
        assert sorted(col_of_row) == list(range(n))
        assert total == pytest.approx(cost[np.arange(n), col_of_row].sum(), rel=1e-14)
        assert total == pytest.approx(expected, rel=1e-12)


def test_assignment_of_any_cost(rng):
    for cost in (
        np.zeros((5, 5)),
        -rng.random((6, 6)),
        rng.integers(0, 3, (30, 30)),
        1e200 * rng.random((4, 4)),
    ):
        col_of_row, total = otf.assignment(cost)
        assert total == pytest.approx(cost[linear_sum_assignment(cost)].sum(), rel=1e-12)
        assert col_of_row.dtype == np.intp
    x, y = rng.random((40, 3)), rng.random((40, 3))
    cloud = otf.PointCloud(x, y, "euclidean")
    assert otf.assignment(cloud)[1] == pytest.approx(otf.assignment(cloud.dense())[1], rel=1e-12)
    total = otf.assignment(cloud.dense().astype(np.float32))[1]
    assert total.dtype == np.float32


def test_assignment_with_forbidden_pairs():
    inf = np.inf
    col_of_row, total = otf.assignment([[inf, 1.0, inf], [2.0, inf, 3.0], [inf, 0.0, 5.0]])
    assert col_of_row.tolist() == [1, 0, 2]
    assert total == 8.0
    with pytest.raises(otf.InfeasibleError, match="forbidden"):
        otf.assignment([[1.0, inf], [2.0, inf]])


@pytest.mark.parametrize("method", METHODS)
def test_permuting_the_problem_permutes_the_answer(rng, method):
    a, b, cost = make_problem(rng, 40, 30, "points")
    rows, cols = rng.permutation(40), rng.permutation(30)
    result = otf.emd(a, b, cost, method=method)
    permuted = otf.emd(a[rows], b[cols], cost[rows][:, cols], method=method)
    assert permuted.value == pytest.approx(result.value, rel=1e-13)
    # A generic problem has one solution.
    np.testing.assert_allclose(permuted.plan, result.plan[rows][:, cols], atol=1e-15)


@pytest.mark.parametrize("method", METHODS)
def test_transposing_the_problem_transposes_the_answer(rng, method):
    a, b, cost = make_problem(rng, 40, 30, "points")
    result, transposed = otf.emd(a, b, cost, method=method), otf.emd(b, a, cost.T, method=method)
    np.testing.assert_allclose(transposed.plan, result.plan.T, atol=1e-15)


@pytest.mark.parametrize("method", METHODS)
def test_shifting_rows_and_columns_shifts_the_value(rng, method):
    a, b, cost = make_problem(rng, 40, 30, "random")
    u, v = 10 * rng.normal(size=40), 10 * rng.normal(size=30)
    result = otf.emd(a, b, cost, method=method)
    shifted = otf.emd(a, b, cost + u[:, None] + v, method=method)
    assert_certified(shifted, a, b, cost + u[:, None] + v)
    np.testing.assert_allclose(shifted.plan, result.plan, atol=1e-15)
    assert shifted.value == pytest.approx(result.value + u @ a + v @ b, rel=1e-12, abs=1e-13)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("scale", [2.0**-40, 2.0**-20, 2.0**20, 2.0**40])
def test_scaling_the_cost_scales_the_answer(rng, method, scale):
    a, b, cost = make_problem(rng, 60, 50, "points")
    result, scaled = otf.emd(a, b, cost, method=method), otf.emd(a, b, scale * cost, method=method)
    assert scaled.value == pytest.approx(scale * result.value, rel=1e-13)
    np.testing.assert_allclose(scaled.plan, result.plan, atol=1e-15)


def test_equal_calls_give_equal_results(rng):
    a, b, cost = make_problem(rng, 200, 150, "points")
    first, second = otf.emd(a, b, cost), otf.emd(a, b, cost)
    for name in ("plan", "potential_a", "potential_b", "value", "n_iter"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


@pytest.mark.parametrize("method", METHODS)
def test_starting_from_potentials(rng, method):
    a, b, cost = make_problem(rng, 150, 120, "points")
    cold = otf.emd(a, b, cost, method=method)
    starts = [
        (cold.potential_a, cold.potential_b),
        (np.zeros(150), np.zeros(120)),
        (np.full(150, 1e6), rng.normal(size=120)),
        (cold.potential_a.astype(np.float32), list(cold.potential_b)),
        (1e12 * rng.normal(size=150), np.zeros(120)),
        (rng.choice([-1e308, 1e308], 150), np.zeros(120)),
    ]
    for init in starts:
        warm = otf.emd(a, b, cost, method=method, init=init)
        assert_certified(warm, a, b, cost)
        assert warm.value == pytest.approx(cold.value, rel=1e-12)


def test_the_solution_is_a_good_start(rng):
    a, b, cost = make_problem(rng, 400, 400, "points")
    cold = otf.emd(a, b, cost, method="column-generation")
    warm = otf.emd(a, b, cost, method="column-generation", init=(cold.potential_a, cold.potential_b))
    assert warm.n_iter < cold.n_iter


@pytest.mark.parametrize("method", METHODS)
def test_too_few_iterations_are_not_silent(rng, method):
    a, b, cost = make_problem(rng, 150, 150, "random")
    with pytest.warns(otf.ConvergenceWarning, match="max_iter") as caught:
        result = otf.emd(a, b, cost, method=method, max_iter=2)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert not result.converged
    assert result.error > 1e-9
    assert result.value >= otf.emd(a, b, cost).value
    np.testing.assert_allclose(result.plan.sum(1), a, atol=1e-12)
    np.testing.assert_allclose(result.plan.sum(0), b, atol=1e-12)
    assert (result.potential_a[:, None] + result.potential_b <= cost + 1e-12).all()


def test_batches_equal_single_problems(rng):
    k, n, m = 7, 12, 9
    A, B = rng.dirichlet(np.ones(n), k), rng.dirichlet(np.ones(m), k)
    costs = rng.random((k, n, m))
    batch = otf.emd_batch(A, B, costs)
    assert len(batch) == k
    assert batch.value.shape == batch.converged.shape == batch.n_iter.shape == batch.error.shape == (k,)
    assert batch.converged.all()
    for i, result in enumerate(batch):
        assert_certified(result, A[i], B[i], costs[i])
        assert batch.value[i] == result.value
        assert result.value == pytest.approx(otf.emd(A[i], B[i], costs[i]).value, rel=1e-13)
    assert batch[-1].value == batch[k - 1].value
    assert [result.value for result in batch[2:5]] == batch.value[2:5].tolist()
    with pytest.raises(IndexError):
        batch[k]
    assert repr(batch) == "TransportBatch(7 problems of 12 x 9, 7 converged)"


def test_batches_with_one_cost_and_uniform_weights(rng):
    A, cost = rng.dirichlet(np.ones(6), 4), rng.random((6, 5))
    for C in (cost, otf.DenseCost(cost), cost[None]):
        for i, result in enumerate(otf.emd_batch(A, None, C)):
            assert_certified(result, A[i], None, cost)
    assert otf.emd_batch(None, None, cost).value == pytest.approx(otf.emd(None, None, cost).value, rel=1e-14)
    costs = rng.random((3, 6, 6))
    for i, result in enumerate(otf.emd_batch(None, None, costs)):
        assert_certified(result, None, None, costs[i])
        assert result.sparse_plan.nnz == 6


def test_batches_in_single_precision(rng):
    A, costs = rng.dirichlet(np.ones(6), 4), rng.random((4, 6, 5)).astype(np.float32)
    batch = otf.emd_batch(A, None, costs)
    assert batch.value.dtype == batch[0].plan.dtype == np.float32
    for i, result in enumerate(batch):
        assert_certified(result, A[i], None, costs[i], tol=1e-6)


def test_infeasible_problems_of_a_batch_are_named():
    costs = np.zeros((3, 2, 2))
    costs[1, 0] = np.inf
    with pytest.raises(otf.InfeasibleError, match=r"A\[1\] and B\[1\]"):
        otf.emd_batch(None, None, costs)


def test_wasserstein_is_the_root_of_the_value(rng):
    x, y = rng.normal(size=(30, 3)), rng.normal(size=(40, 3))
    a, b = random_weights(rng, 30), random_weights(rng, 40)
    for p in (1, 1.5, 2, 3):
        value = linprog_value(a, b, np.sqrt(sqeuclidean(x, y)) ** p)
        assert otf.wasserstein(x, y, a, b, p) == pytest.approx(value ** (1 / p), rel=1e-7)


def test_wasserstein_is_a_distance(rng):
    x, y, z = (rng.normal(size=(n, 2)) for n in (20, 25, 30))
    for p in (1, 2, 4):
        xy, yz, xz = (otf.wasserstein(u, v, p=p) for u, v in ((x, y), (y, z), (x, z)))
        assert xz <= xy + yz
        assert otf.wasserstein(y, x, p=p) == pytest.approx(xy, rel=1e-12)
        assert otf.wasserstein(x, x[::-1], p=p) == 0.0
        assert otf.wasserstein(x, x + np.array([3.0, 4.0]), p=p) == pytest.approx(5.0, rel=1e-12)


def test_wasserstein_of_any_magnitude(rng):
    x, y = rng.normal(size=(10, 2)), rng.normal(size=(10, 2))
    for p in (1, 2, 5):
        expected = otf.wasserstein(x, y, p=p)
        for scale in (1e-200, 1e200):
            assert otf.wasserstein(scale * x, scale * y, p=p) == pytest.approx(scale * expected, rel=1e-12)
    assert otf.wasserstein(np.zeros((3, 2)), np.zeros((4, 2))) == 0.0


def test_wasserstein_on_the_line_and_in_single_precision(rng):
    x, y = rng.normal(size=30), rng.normal(size=40)
    in_plane = otf.wasserstein(np.c_[x, np.zeros(30)], np.c_[y, np.zeros(40)])
    assert otf.wasserstein(x, y) == pytest.approx(in_plane, rel=1e-12)
    assert otf.wasserstein(x[:, None], y[:, None]) == otf.wasserstein(x, y)
    assert type(otf.wasserstein(x, y)) is float
    x, y = x.reshape(-1, 2).astype(np.float32), y.reshape(-1, 2).astype(np.float32)
    assert otf.wasserstein(x, y).dtype == np.float32
    assert otf.wasserstein(x, x + np.float32(0.25), p=30) == pytest.approx(0.25 * 2**0.5, rel=1e-6)
    with pytest.raises(ValueError, match="same dimension"):
        otf.wasserstein(x, y[:, :1])


def test_no_tolerance_asks_for_so_many_iterations(rng):
    """No warning, which would be an error here."""
    a, b, cost = make_problem(rng, 30, 30, "points")
    result = otf.emd(a, b, cost, tol=0, max_iter=5)
    assert result.n_iter == 5
    assert not result.converged
    batch = otf.emd_batch(a[None], b[None], cost, tol=0, max_iter=5)
    assert not batch.converged.any()
