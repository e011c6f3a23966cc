"""Costs equal their formulas, are immutable, and never store what they need not."""

import copy
import pickle

import numpy as np
import pytest
from scipy.spatial.distance import cdist

import otfast as otf
from otfast.cost import Cost, as_cost

FORMULAS = {
    "sqeuclidean": lambda x, y: cdist(x, y, "sqeuclidean"),
    "euclidean": lambda x, y: cdist(x, y),
    "cityblock": lambda x, y: cdist(x, y, "cityblock"),
    "chebyshev": lambda x, y: cdist(x, y, "chebyshev"),
    "cosine": lambda x, y: cdist(x, y, "cosine"),
    ("minkowski", 1): lambda x, y: cdist(x, y, "cityblock"),
    ("minkowski", 2): lambda x, y: cdist(x, y),
    ("minkowski", 3.5): lambda x, y: cdist(x, y, "minkowski", p=3.5),
    ("minkowski", np.inf): lambda x, y: cdist(x, y, "chebyshev"),
    ("power", 2, 2): lambda x, y: cdist(x, y, "sqeuclidean"),
    ("power", 2, 3): lambda x, y: cdist(x, y) ** 3,
    ("power", 2, 0.5): lambda x, y: cdist(x, y) ** 0.5,
    ("power", 1, 2): lambda x, y: cdist(x, y, "cityblock") ** 2,
    ("power", 3, 3): lambda x, y: (np.abs(x[:, None] - y) ** 3).sum(-1),
    ("power", 1.5, 0.7): lambda x, y: cdist(x, y, "minkowski", p=1.5) ** 0.7,
    ("power", np.inf, 2): lambda x, y: cdist(x, y, "chebyshev") ** 2,
}
DTYPES = [(np.float64, 1e-13), (np.float32, 2e-5)]


@pytest.mark.parametrize("metric", FORMULAS, ids=str)
@pytest.mark.parametrize(("dtype", "tol"), DTYPES)
@pytest.mark.parametrize("d", [1, 2, 3, 17])
def test_metrics_equal_their_formulas(rng, metric, dtype, tol, d):
    x, y = rng.normal(size=(37, d)).astype(dtype), rng.normal(size=(23, d)).astype(dtype)
    expected = FORMULAS[metric](x.astype(np.float64), y.astype(np.float64))
    cost = otf.PointCloud(x, y, metric)
    dense = cost.dense()
    assert cost.shape == dense.shape == (37, 23)
    assert cost.dtype == dense.dtype == dtype
    np.testing.assert_allclose(dense, expected, rtol=tol, atol=tol * expected.max())
    np.testing.assert_array_equal(cost.rows(5, 11), dense[5:11])
    assert cost.max() == dense.max()
    assert cost.mean() == pytest.approx(dense.mean(dtype=np.float64), rel=1e-12)


@pytest.mark.parametrize(("dtype", "tol"), DTYPES)
def test_mahalanobis(rng, dtype, tol):
    x, y = rng.normal(size=(20, 4)).astype(dtype), rng.normal(size=(30, 4)).astype(dtype)
    root = rng.normal(size=(4, 4))
    differences = (x[:, None] - y).astype(np.float64)
    indefinite = np.diag([1.0, -2.0, 3.0, -0.5])
    for matrix in (
        root @ root.T,
        root,
        indefinite,
        -root @ root.T,
        np.outer(root[0], root[0]),
        np.zeros((4, 4)),
    ):
        expected = np.einsum("ijk,kl,ijl->ij", differences, matrix, differences)
        dense = otf.PointCloud(x, y, ("mahalanobis", matrix)).dense()
        assert dense.dtype == dtype
        np.testing.assert_allclose(dense, expected, rtol=0, atol=tol * 100)


def test_mahalanobis_keeps_its_digits_far_from_the_origin(rng):
    x, y = rng.normal(size=(20, 2)), rng.normal(size=(30, 2))
    root = np.array([[1.0, 2.0], [0.0, 1.0]])
    near = otf.PointCloud(x, y, ("mahalanobis", root @ root.T)).dense()
    offset = np.array([2.0**30, 0.0])
    x, y = x + offset, y + offset
    far = otf.PointCloud(x, y, ("mahalanobis", root @ root.T)).dense()
    np.testing.assert_allclose(far, near, atol=1e-5)


@pytest.mark.parametrize("shape", [(3, 3), (2, 5), (5, 2), (1, 4)])
def test_bilinear(rng, shape):
    matrix = rng.normal(size=shape)
    x, y = rng.normal(size=(11, shape[0])), rng.normal(size=(13, shape[1]))
    cost = otf.PointCloud(x, y, ("bilinear", matrix))
    np.testing.assert_allclose(cost.dense(), -x @ matrix @ y.T, atol=1e-13)


def test_equal_points_cost_exactly_nothing(rng):
    x = rng.normal(size=(50, 3)) + 1e6
    for metric in FORMULAS:
        if metric != "cosine":
            assert (np.diag(otf.PointCloud(x, metric=metric).dense()) == 0).all(), metric


@pytest.mark.parametrize("metric", ["euclidean", ("minkowski", 3), ("power", 2.5, 1)])
def test_distances_of_any_magnitude(rng, metric):
    x, y = rng.normal(size=(5, 3)), rng.normal(size=(6, 3))
    expected = otf.PointCloud(x, y, metric).dense()
    for scale in (2.0**-700, 2.0**700):
        scaled = otf.PointCloud(x * scale, y * scale, metric).dense()
        np.testing.assert_allclose(scaled, expected * scale, rtol=1e-13)


def test_one_cloud_is_used_twice(rng):
    x = rng.normal(size=(6, 2))
    np.testing.assert_array_equal(otf.PointCloud(x).dense(), otf.PointCloud(x, x).dense())


def test_mixed_precision_is_double(rng):
    x, y = rng.normal(size=(6, 2)).astype(np.float32), rng.normal(size=(5, 2))
    assert otf.PointCloud(x, y).dtype == np.float64
    assert otf.LowRankCost(x, y).dtype == np.float64
    assert otf.Grid(x[:, 0], y[:, 0]).dtype == np.float64


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (([1.0, 2.0],), r"x must be points of shape \(n, d\).*use x\[:, None\]"),
        ((np.zeros((3, 2)), np.zeros((3, 3))), "x and y must have the same dimension"),
        ((np.zeros((3, 0)),), "x is empty"),
        ((np.zeros((0, 3)),), "x is empty"),
        (([[0.0, np.nan]],), r"x must be finite, but x\[0, 1\] is nan"),
        (([[0.0]], [[np.inf]]), r"y must be finite, but y\[0, 0\] is inf"),
        ((np.zeros((3, 2)), None, "l2"), "metric must be one of 'sqeuclidean', .*'bilinear', A.*, not 'l2'"),
        ((np.zeros((3, 2)), None, ("minkowski",)), "metric must be one of"),
        ((np.zeros((3, 2)), None, 2), "metric must be one of"),
        (
            (np.zeros((3, 2)), None, ("minkowski", 0.5)),
            "p of the metric 'minkowski' must be finite and at least 1",
        ),
        (
            (np.zeros((3, 2)), None, ("power", 2, 0)),
            "q of the metric 'power' must be finite and greater than 0",
        ),
        ((np.zeros((3, 2)), None, ("power", 2, np.inf)), "q of the metric 'power' must be finite"),
        ((np.zeros((3, 2)), None, ("mahalanobis", np.eye(3))), r"must have shape \(2, 2\)"),
        (
            (np.zeros((3, 2)), None, ("mahalanobis", [[1, np.nan], [0, 1]])),
            "M of the metric .* must be finite",
        ),
        ((np.zeros((3, 2)), None, ("bilinear", np.eye(3))), r"must have shape \(2, 2\)"),
        (([[1.0, 0.0], [0.0, 0.0]], None, "cosine"), r"x\[1\] is one"),
        (([[1e200], [-1e200]],), "exceed the range of float64"),
        ((np.array([[1e20], [0.0]], np.float32),), "exceed the range of float32"),
        (([[1e308], [-1e308]], None, "euclidean"), "exceed the range of float64"),
        (([[1e200]], [[1e200]], ("bilinear", np.eye(1))), "exceed the range of float64"),
        (([[1e200], [0.0]], None, ("mahalanobis", np.eye(1))), "exceed the range of float64"),
    ],
)
def test_bad_point_clouds(args, message):
    with pytest.raises(ValueError, match=message):
        otf.PointCloud(*args)


def test_cosine_of_any_magnitude(rng):
    x, y = rng.normal(size=(5, 3)), rng.normal(size=(6, 3))
    expected = otf.PointCloud(x, y, "cosine").dense()
    np.testing.assert_allclose(otf.PointCloud(1e200 * x, 1e-200 * y, "cosine").dense(), expected, atol=1e-15)


@pytest.mark.parametrize(
    ("metric", "p"), [("sqeuclidean", 2), ("cityblock", 1), (("power", 3, 3), 3), (("power", 1.5, 1.5), 1.5)]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_grid_is_a_sum_over_axes(rng, metric, p, dtype):
    axes = [np.sort(rng.normal(size=size)).astype(dtype) for size in (3, 1, 4, 2)]
    cost = otf.Grid(*axes, metric=metric)
    points = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 4)
    np.testing.assert_array_equal(cost.points(), points)
    assert cost.grid_shape == (3, 1, 4, 2)
    assert cost.shape == (24, 24)
    assert cost.dtype == cost.points().dtype == dtype
    expected = (np.abs(points[:, None] - points).astype(np.float64) ** p).sum(-1)
    tol = 1e-13 if dtype == np.float64 else 1e-5
    np.testing.assert_allclose(cost.dense(), expected, rtol=tol, atol=tol)
    assert cost.max() == pytest.approx(expected.max(), rel=tol)
    assert cost.mean() == pytest.approx(expected.mean(), rel=tol)


def test_grid_summaries_need_no_pass_over_pairs():
    axis = np.linspace(0.0, 1.0, 500)
    cost = otf.Grid(axis, axis, axis)
    assert cost.shape == (125_000_000, 125_000_000)
    assert cost.max() == pytest.approx(3.0)
    assert cost.mean() == pytest.approx(3 * 2 * axis.var())


@pytest.mark.parametrize(
    ("axes", "metric", "message"),
    [
        ((), "sqeuclidean", "axes must hold at least one vector"),
        (([0.0], []), "sqeuclidean", r"axes\[1\] must be a non-empty vector"),
        (([[0.0]],), "sqeuclidean", r"axes\[0\] must be a non-empty vector"),
        (([0.0, np.inf],), "sqeuclidean", r"axes\[0\] must be finite, but axes\[0\]\[1\] is inf"),
        (([0.0],), "euclidean", "metric of a Grid must be a sum over its axes"),
        (([0.0],), ("power", 2, 1), "metric of a Grid must be a sum over its axes"),
        (([0.0],), "manhattan", "metric must be one of"),
        (([0.0, 1e200],), "sqeuclidean", "exceed the range"),
    ],
)
def test_bad_grids(axes, metric, message):
    with pytest.raises(ValueError, match=message):
        otf.Grid(*axes, metric=metric)


@pytest.mark.parametrize(("dtype", "tol"), DTYPES)
def test_low_rank(rng, dtype, tol):
    a, b = rng.normal(size=(20, 3)).astype(dtype), rng.normal(size=(15, 3)).astype(dtype)
    cost = otf.LowRankCost(a, b)
    expected = a.astype(np.float64) @ b.T.astype(np.float64)
    assert cost.shape == (20, 15)
    assert cost.dense().dtype == dtype
    np.testing.assert_allclose(cost.dense(), expected, atol=10 * tol)
    assert cost.max() == cost.dense().max()
    assert cost.mean() == pytest.approx(expected.mean(), abs=1e-7 if dtype == np.float32 else 1e-15)
    with pytest.raises(ValueError, match="same number of columns"):
        otf.LowRankCost(a, b[:, :2])
    with pytest.raises(ValueError, match=r"B must be finite, but B\[0, 0\] is nan"):
        otf.LowRankCost(a, np.full((2, 3), np.nan))


def test_dense(rng):
    array = rng.normal(size=(7, 5))
    cost = otf.DenseCost(array)
    assert cost.shape == (7, 5)
    np.testing.assert_array_equal(cost.dense(), array)
    np.testing.assert_array_equal(cost.rows(2, 4), array[2:4])
    assert cost.rows(3, 3).shape == (0, 5)
    assert cost.max() == array.max()
    assert cost.mean() == pytest.approx(array.mean(), rel=1e-14)


def test_forbidden_pairs_do_not_count_in_summaries():
    cost = otf.DenseCost([[0.0, np.inf], [2.0, 4.0]])
    assert cost.max() == 4.0
    assert cost.mean() == 2.0


def make_all(rng):
    x = rng.random((6, 2))
    yield otf.DenseCost(rng.random((3, 4)))
    yield otf.PointCloud(x, x[:4], ("mahalanobis", np.eye(2)))
    yield otf.PointCloud(x)
    yield otf.Grid(x[:, 0], x[:, 1], metric=("power", 3, 3))
    yield otf.LowRankCost(x, x[:4])


def test_what_all_costs_have_in_common(rng):
    for cost in make_all(rng):
        assert isinstance(cost, Cost)
        assert as_cost(cost) is cost
        assert type(cost).__name__ in repr(cost)
        assert f"{cost.shape[0]} x {cost.shape[1]}" in repr(cost)
        dense = cost.dense()
        for twin in (pickle.loads(pickle.dumps(cost)), copy.copy(cost), copy.deepcopy(cost)):
            assert type(twin) is type(cost)
            assert repr(twin) == repr(cost)
            assert twin != cost
            np.testing.assert_array_equal(twin.dense(), dense)
        for name in ("shape", "dtype", "metric", "anything"):
            with pytest.raises(AttributeError):
                setattr(cost, name, None)
        for i0, i1 in ((-1, 2), (2, 1), (0, cost.shape[0] + 1)):
            with pytest.raises(ValueError, match="rows i0:i1 must satisfy"):
                cost.rows(i0, i1)


def test_views_are_read_only(rng):
    x = rng.random((6, 2))
    cloud = otf.PointCloud(x)
    grid = otf.Grid(x[:, 0])
    for view in (otf.DenseCost(x).dense(), cloud.x, cloud.y, grid.axes[0], otf.LowRankCost(x, x).factors[0]):
        with pytest.raises(ValueError, match="read-only"):
            view[...] = 0
    x[0, 0] = 0.5


def test_parameters_of_a_metric_are_its_own(rng):
    matrix = np.eye(2)
    cost = otf.PointCloud(rng.random((6, 2)), metric=("mahalanobis", matrix))
    before = cost.dense()
    matrix[0, 0] = 7.0
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(cost)).dense(), before)


def test_as_cost_wraps_arrays():
    assert isinstance(as_cost([[1, 2]]), otf.DenseCost)


@pytest.mark.parametrize(
    ("dtype", "far", "apart", "q"),
    [
        (np.float32, 1e15, 1e-3, 3),
        (np.float64, 1e110, 1e-14, 3),
        (np.float32, 5e12, 1.0, 3),
        (np.float64, 1e145, 1e-10, 2.2),
    ],
)
def test_far_points_that_are_near_each_other(dtype, far, apart, q):
    x, y = np.array([[far, 0.0]], dtype), np.array([[far * (1.0 + apart), 0.0]], dtype)
    expected = np.longdouble(abs(x[0, 0] - y[0, 0])) ** q
    for points_y, cost in ((y, expected), (x, 0.0)):
        entry = otf.PointCloud(x, points_y, ("power", 2, q)).dense()[0, 0]
        assert entry == pytest.approx(float(cost), rel=1e3 * float(np.finfo(dtype).eps), abs=0.0)
