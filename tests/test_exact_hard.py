"""Exact transport where solvers break: scales, sentinels, forbidden pairs, ties, tiny weights, odd shapes."""

import warnings

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

import otfast as otf
from certificates import assert_certified, linprog_value, random_weights, sqeuclidean

METHODS = ["auto", "network-simplex", "column-generation"]
pytestmark = pytest.mark.parametrize("method", METHODS)

inf = np.inf


@pytest.mark.parametrize("scale", [1e-12, 1e-9, 1e-6, 1e6, 1e9, 1e12, 1e-200, 1e200])
def test_costs_of_any_scale(rng, method, scale):
    a, b = random_weights(rng, 80), random_weights(rng, 70)
    cost = scale * sqeuclidean(rng.random((80, 2)), rng.random((70, 2)))
    assert_certified(otf.emd(a, b, cost, method=method), a, b, cost)


@pytest.mark.parametrize("offset", [-1.0, -1e6, 1e6])
def test_negative_and_offset_costs(rng, method, offset):
    a, b = random_weights(rng, 60), random_weights(rng, 60)
    cost = sqeuclidean(rng.random((60, 2)), rng.random((60, 2)))
    result = otf.emd(a, b, cost + offset, method=method)
    assert_certified(result, a, b, cost + offset)
    assert result.value == pytest.approx(offset + linprog_value(a, b, cost), rel=1e-12 * (1 + abs(offset)))


def test_costs_over_many_orders_of_magnitude(rng, method):
    a, b = random_weights(rng, 100), random_weights(rng, 90)
    cost = np.exp(rng.uniform(-20, 20, (100, 90)))
    assert_certified(otf.emd(a, b, cost, method=method), a, b, cost)
    cost *= rng.choice([-1, 1], cost.shape)
    assert_certified(otf.emd(a, b, cost, method=method), a, b, cost)


@pytest.mark.parametrize("sentinel", [1e9, 1e12])
def test_sentinels_that_can_be_avoided(rng, method, sentinel):
    # Two blocks of equal mass: the optimum uses no sentinel, and to leave one in by accident would show.
    n = 60
    x, y = rng.random((n, 2)), rng.random((n, 2))
    cost = sqeuclidean(x, y)
    cost[: n // 2, n // 2 :] = sentinel
    cost[n // 2 :, : n // 2] = sentinel
    result = otf.emd(None, None, cost, method=method)
    halves = [cost[: n // 2, : n // 2], cost[n // 2 :, n // 2 :]]
    expected = sum(half[linear_sum_assignment(half)].sum() for half in halves) / n
    assert result.value == pytest.approx(expected, rel=1e-9)
    assert_certified(result, None, None, cost)


def test_sentinels_that_cannot_be_avoided(rng, method):
    # One block has 10 more columns than rows, so 10 of 40 units of mass must pay the sentinel and no more do.
    n, sentinel = 40, 1e9
    cost = rng.random((n, n))
    cost[:15, 25:] = sentinel
    cost[15:, :25] = sentinel
    result = otf.emd(None, None, cost, method=method)
    paid = result.plan[cost == sentinel].sum()
    assert paid == pytest.approx(10 / n, rel=1e-12)
    assert_certified(result, None, None, cost)


@pytest.mark.parametrize("density", [0.1, 0.3, 0.8])
def test_sparse_patterns_of_allowed_pairs(rng, method, density):
    n = 60
    cost = np.where(rng.random((n, n)) < density, rng.random((n, n)), inf)
    cost[np.arange(n), rng.permutation(n)] = rng.random(n)
    result = otf.emd(None, None, cost, method=method)
    assert_certified(result, None, None, cost)
    assert result.value == pytest.approx(linprog_value(None, None, cost), rel=1e-7)


def test_forbidden_pairs_with_weights(rng, method):
    n, m = 40, 30
    a, b = random_weights(rng, n), random_weights(rng, m)
    feasible = otf.emd(a, b, rng.random((n, m))).plan > 0
    cost = np.where(feasible | (rng.random((n, m)) < 0.1), rng.normal(size=(n, m)), inf)
    assert_certified(otf.emd(a, b, cost, method=method), a, b, cost)


@pytest.mark.parametrize(
    "cost",
    [
        [[inf]],
        [[inf, inf], [0.0, 1.0]],
        [[inf, 1.0], [inf, 1.0]],
        [[1.0, inf, inf], [2.0, inf, inf], [3.0, 0.0, 1.0]],
        np.full((4, 5), inf),
    ],
    ids=["1x1", "row", "column", "hall", "all"],
)
def test_no_plan_without_forbidden_pairs(method, cost):
    with pytest.raises(otf.InfeasibleError, match="forbidden"):
        otf.emd(None, None, cost, method=method)


def test_violating_halls_condition_by_weights(rng, method):
    # Rows 0..9 reach columns 0..9 only, which have too little room. Only the masses show it, not the pattern.
    n = 40
    cost = rng.random((n, n))
    cost[:10, 10:] = inf
    b = np.full(n, 1.0 / n)
    assert_certified(otf.emd(None, b, cost, method=method), None, b, cost)
    b[:10] *= 0.999
    b[10:] *= (1 - b[:10].sum()) / b[10:].sum()
    with pytest.raises(otf.InfeasibleError):
        otf.emd(None, b, cost, method=method)


def test_forbidden_rows_and_columns_without_mass(method):
    cost = np.array([[0.0, 1.0, inf], [inf, inf, inf], [2.0, 0.0, inf]])
    result = otf.emd([0.5, 0.0, 0.5], [0.5, 0.5, 0.0], cost, method=method)
    assert_certified(result, [0.5, 0.0, 0.5], [0.5, 0.5, 0.0], cost)
    assert result.value == 0.0


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_zero_weights(rng, method, share):
    n, m = 80, 60
    a, b = random_weights(rng, n), random_weights(rng, m)
    a[rng.random(n) < share] = 0
    b[rng.random(m) < share] = 0
    a, b = a / a.sum(), b / b.sum()
    cost = sqeuclidean(rng.random((n, 2)), rng.random((m, 2)))
    result = otf.emd(a, b, cost, method=method)
    assert_certified(result, a, b, cost)
    rows, cols = a > 0, b > 0
    assert result.value == pytest.approx(otf.emd(a[rows], b[cols], cost[rows][:, cols]).value, rel=1e-12)


def test_all_mass_on_one_pair(rng, method):
    a, b = np.zeros(20), np.zeros(30)
    a[7] = b[11] = 3.0
    cost = rng.normal(size=(20, 30))
    result = otf.emd(a, b, cost, method=method)
    assert_certified(result, a, b, cost)
    assert result.value == 3.0 * cost[7, 11]


def test_weights_over_many_orders_of_magnitude(rng, method):
    a, b = (10.0 ** rng.uniform(-300, 0, size) for size in (40, 50))
    a[0] = b[0] = 1.0
    a, b = a / a.sum(), b / b.sum()
    cost = sqeuclidean(rng.random((40, 2)), rng.random((50, 2)))
    result = otf.emd(a, b, cost, method=method)
    assert_certified(result, a, b, cost)
    assert result.value == pytest.approx(linprog_value(a, b, cost), rel=1e-7)


def test_totals_that_differ_by_rounding(rng, method):
    for _ in range(20):
        a, b = rng.random(33), rng.random(47)
        a, b = a / a.sum() * (1 + 1e-15), b / b.sum() * (1 - 1e-15)
        cost = rng.random((33, 47))
        assert_certified(otf.emd(a, b, cost, method=method), a, b, cost)


def test_repeated_points(rng, method):
    x, y = rng.integers(0, 3, (90, 2)).astype(float), rng.integers(0, 3, (70, 2)).astype(float)
    a, b = random_weights(rng, 90), random_weights(rng, 70)
    for p in (1, 2):
        cost = (np.abs(x[:, None] - y) ** p).sum(-1)
        assert_certified(otf.emd(a, b, cost, method=method), a, b, cost)
        assert_certified(otf.emd(None, None, cost, method=method), None, None, cost)


@pytest.mark.parametrize("constant", [0.0, 1.0, -3.7, 1e300])
def test_constant_costs(rng, method, constant):
    a, b = random_weights(rng, 50), random_weights(rng, 40)
    cost = np.full((50, 40), constant)
    result = otf.emd(a, b, cost, method=method)
    assert_certified(result, a, b, cost)
    assert result.value == pytest.approx(constant, rel=1e-12)


def test_identical_measures(rng, method):
    x, a = rng.random((100, 2)), random_weights(rng, 100)
    order = rng.permutation(100)
    for metric in ("sqeuclidean", "euclidean", "cityblock"):
        cloud = otf.PointCloud(x, x[order], metric)
        result = otf.emd(a, a[order], cloud, method=method)
        assert_certified(result, a, a[order], cloud.dense())
        assert result.value == 0.0


def test_integer_weights_with_many_ties(rng, method):
    for _ in range(3):
        p, q = rng.integers(0, 8, (150, 2)), rng.integers(0, 8, (150, 2))
        a, b = rng.integers(0, 5, 150), rng.integers(0, 5, 150)
        while a.sum() != b.sum():
            larger = a if a.sum() > b.sum() else b
            larger[rng.choice(np.flatnonzero(larger))] -= 1
        cost = np.abs(p[:, None] - q).sum(-1)
        result = otf.emd(a, b, cost, method=method)
        assert_certified(result, a, b, cost)
        assert result.value == round(result.value)
        np.testing.assert_array_equal(result.sparse_plan.data, np.round(result.sparse_plan.data))


@pytest.mark.parametrize("shape", [(1, 1), (1, 1000), (1000, 1), (2, 1000), (3, 10000), (10000, 3)])
def test_narrow_shapes(rng, method, shape):
    n, m = shape
    a, b = random_weights(rng, n), random_weights(rng, m)
    cost = rng.random(shape)
    assert_certified(otf.emd(a, b, cost, method=method), a, b, cost)
    assert_certified(otf.emd(None, None, cost, method=method), None, None, cost)


def test_single_precision(rng, method):
    a, b = random_weights(rng, 120), random_weights(rng, 100)
    cost = sqeuclidean(rng.random((120, 2)), rng.random((100, 2))).astype(np.float32)
    result = otf.emd(a, b, cost, method=method)
    assert_certified(result, a, b, cost, tol=1e-6)
    assert result.value == pytest.approx(otf.emd(a, b, cost.astype(np.float64)).value, rel=1e-6)
    cloud = otf.PointCloud(*(rng.random((n, 5)).astype(np.float32) for n in (120, 100)))
    assert_certified(otf.emd(a, b, cloud, method=method), a, b, cloud.dense(), tol=1e-6)


def test_layouts_of_memory(rng, method):
    base = rng.random((60, 80))
    a, b = random_weights(rng, 60), random_weights(rng, 80)
    columns = np.stack([a, 1 - a], axis=1)
    expected = otf.emd(a, b, base, method=method).value
    read_only = base.copy()
    read_only.flags.writeable = False
    strided = np.empty((120, 160))[::2, ::2]
    strided[:] = base
    for cost in (np.asfortranarray(base), read_only, strided, base.T.copy().T):
        assert otf.emd(columns[:, 0], b[::-1][::-1], cost, method=method).value == expected


def test_degenerate_transport_of_images(rng, method):
    size = 12
    grid = otf.Grid(np.arange(size), np.arange(size), metric="cityblock")
    a, b = (rng.integers(0, 3, (size, size)).ravel() for _ in range(2))
    while a.sum() != b.sum():
        larger = a if a.sum() > b.sum() else b
        larger[rng.choice(np.flatnonzero(larger))] -= 1
    result = otf.emd(a, b, grid, method=method)
    assert_certified(result, a, b, grid.dense())
    # Mass that both have stays where it is, for a metric: removing it changes nothing.
    common = np.minimum(a, b)
    assert result.value == otf.emd(a - common, b - common, grid, method=method).value


def test_what_rounding_leaves_open_is_said(method):
    rng = np.random.default_rng(87)
    n, m = int(rng.integers(2, 12)), int(rng.integers(2, 24))
    cost = np.ldexp(rng.integers(0, 256, (n, m)).astype(float), rng.integers(-40, 40, (n, m)))
    a, b = (
        np.ldexp(1 + rng.random(n), -rng.integers(0, 40, n)),
        np.ldexp(1 + rng.random(m), -rng.integers(0, 40, m)),
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = otf.emd(a / a.sum(), b / b.sum(), cost, method=method)
        batch = otf.emd_batch([a / a.sum()], [b / b.sum()], cost, method=method)
    silent = not any(issubclass(w.category, otf.ConvergenceWarning) for w in caught)
    assert result.converged == (result.error <= 1e-9) == silent
    assert batch.converged[0] == batch[0].converged == result.converged
    assert batch.error[0] == result.error


def test_ties_do_not_cycle(method):
    # Grey values 0..16 on a grid of pixels: thousands of problems in which most pivots are degenerate.
    digits = pytest.importorskip("sklearn.datasets").load_digits().data[:120]
    weights = digits / digits.sum(1, keepdims=True)
    grid = otf.Grid(np.arange(8.0), np.arange(8.0))
    pairs = [(i, j) for i in range(120) for j in range(i)]
    batch = otf.emd_batch(weights[[i for i, _ in pairs]], weights[[j for _, j in pairs]], grid, method=method)
    assert batch.converged.all()
    assert batch.error.max() < 1e-12
    assert batch.n_iter.max() < 32 * 128 * 12


def sentinels(rng, n, m):
    C = rng.random((n, m))
    C[rng.random((n, m)) < 0.4] = 1e9
    return C


@pytest.mark.parametrize("size", [(9, 14), (40, 30), (530, 500)])
@pytest.mark.parametrize("orders", [15, 300])
@pytest.mark.parametrize(
    "costs", [sentinels, lambda rng, n, m: np.exp(rng.uniform(-20.0, 20.0, (n, m)))], ids=["sentinels", "e20"]
)
def test_costs_and_weights_of_all_sizes_at_once(rng, costs, orders, size, method):
    """Points of next to no mass have potentials of any size, and must not spoil those of the others."""
    for _ in range(20 if size[0] < 100 else 2):
        C = costs(rng, *size)
        a, b = (10.0 ** -rng.uniform(0.0, orders, k) for k in size)
        a, b = a / a.sum(), b / b.sum()
        result = otf.emd(a, b, C, method=method)
        assert result.converged
        assert result.error <= 1e-9
        f, g = result.potential_a, result.potential_b
        rounding = 4.0 * np.finfo(float).eps * (np.abs(f)[:, None] + np.abs(g) + C)
        assert (f[:, None] + g - C <= rounding).all()
        primal, dual = float((result.plan * C).sum()), float(f @ a + g @ b)
        grains = 2.0**-60 * float(np.abs(f).sum() + np.abs(g).sum())  # masses are whole numbers of these
        assert abs(primal - dual) <= 1e-9 * primal + grains
        for seen, given in ((result.plan.sum(axis=1), a), (result.plan.sum(axis=0), b)):
            np.testing.assert_allclose(seen, given, rtol=0.0, atol=1e-12)


@pytest.mark.parametrize("shape", [(87, 13), (14, 83), (2, 60)])
def test_costs_of_all_sizes_between_few_and_many_points(rng, shape, method):
    """The largest cost of a short row is not typical: a tree linked along it loses the small ones."""
    for _ in range(20):
        C = np.exp(rng.uniform(-20.0, 20.0, shape))
        a, b = (rng.dirichlet(np.ones(k)) for k in shape)
        assert_certified(otf.emd(a, b, C, method=method), a, b, C)


@pytest.mark.parametrize("p", [5, 10, 20])
def test_high_powers_of_distances(rng, method, p):
    """What large costs leave behind where they cancel exceeds the small ones: no reason to pivot for ever."""
    for _ in range(60):
        x, y = (rng.normal(size=rng.integers(1, 30)) for _ in range(2))
        a, b = random_weights(rng, x.size), random_weights(rng, y.size)
        result = otf.emd(a, b, np.abs(x[:, None] - y) ** p, method=method)
        assert result.converged
        assert result.value == pytest.approx(otf.emd_1d(x, y, a, b, p=p).value, rel=1e-9)


@pytest.mark.parametrize("total", [1e-295, 1e-305, 1e-310])
def test_totals_near_the_smallest_number(rng, method, total):
    a, b, C = rng.dirichlet(np.ones(9)), rng.dirichlet(np.ones(14)), rng.random((9, 14))
    result = otf.emd(a * total, b * total, C, method=method)
    assert result.value / total == pytest.approx(otf.emd(a, b, C).value, rel=1e-9)
    np.testing.assert_allclose(result.plan.sum(axis=1) / total, a, rtol=1e-9)
