"""Derivatives of transport values: in weights, costs and positions, against finite differences."""

import copy
import pickle

import numpy as np
import pytest

import otfast as otf
from certificates import random_weights

INF = np.inf


def central(value, step):
    """Return the derivative of `value(t)` at 0, of fourth order in the step."""
    return (8 * (value(step) - value(-step)) - (value(2 * step) - value(-2 * step))) / (12 * step)


def unit(shape, index):
    direction = np.zeros(shape)
    direction[index] = 1
    return direction


def differences(value, shape, step, where=None):
    """Return the derivatives of `value(direction)` along the coordinates of an array, NaN outside `where`."""
    gradient = np.full(shape, np.nan)
    for index in np.ndindex(*shape):
        if where is None or where[index]:
            direction = unit(shape, index)
            gradient[index] = central(lambda t, along=direction: value(t * along), step)
    return gradient


@pytest.fixture
def problem(rng):
    """Return weights with zeros, and points."""
    a, b = random_weights(rng, 7), random_weights(rng, 5)
    a[2] = b[3] = 0
    return a / a.sum(), b / b.sum(), rng.normal(size=(7, 3)), rng.normal(size=(5, 3)) + 0.5


def entropic_value(a, b, C, epsilon, unbalanced=None):
    return otf.sinkhorn(a, b, C, epsilon, tol=1e-13, unbalanced=unbalanced).value


# --- in the weights


@pytest.mark.parametrize("mass", [1.0, 2.5])
@pytest.mark.parametrize("epsilon", [0.3, 3.0])
def test_balanced_weights_with_totals_kept(problem, epsilon, mass):
    a, b, x, y = problem
    a, b = mass * a, mass * b
    C = otf.PointCloud(x, y)
    result = otf.sinkhorn(a, b, C, epsilon, tol=1e-13)
    assert result.gradient_a @ a == pytest.approx(0, abs=1e-12)
    for gradient, size, value in (
        (result.gradient_a, 7, lambda change: entropic_value(a + change, b, C, epsilon)),
        (result.gradient_b, 5, lambda change: entropic_value(a, b + change, C, epsilon)),
    ):
        for i in range(1, size):
            if (a if size == 7 else b)[i] == 0:
                continue  # weights cannot go below zero: see the next test
            direction = unit(size, i) - unit(size, 0)
            expected = central(lambda t, along=direction, of=value: of(t * along), 1e-3 * mass)
            assert gradient @ direction == pytest.approx(expected, abs=2e-6)


def test_weight_of_a_point_that_has_none_yet(problem):
    a, b, x, y = problem
    result = otf.sinkhorn(a, b, otf.PointCloud(x, y), 0.5, tol=1e-13)
    direction = unit(7, 2) - unit(7, 0)

    def slope(t):
        return (entropic_value(a + t * direction, b, otf.PointCloud(x, y), 0.5) - result.value) / t

    assert result.gradient_a @ direction == pytest.approx(2 * slope(5e-7) - slope(1e-6), abs=1e-5)


def test_both_totals_at_once(problem):
    a, b, x, y = problem
    result = otf.sinkhorn(a, b, otf.PointCloud(x, y), 0.5, tol=1e-13)
    expected = central(lambda t: entropic_value((1 + t) * a, (1 + t) * b, otf.PointCloud(x, y), 0.5), 1e-3)
    assert result.gradient_a @ a + result.gradient_b @ b == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("rho", [(0.7, 0.7), (0.4, 3.0), (INF, 0.5), (0.5, INF)], ids=str)
def test_unbalanced_weights(problem, rho):
    a, b, x, y = problem
    a, b = 1.7 * a, 0.6 * b
    C = otf.PointCloud(x, y)
    result = otf.sinkhorn(a, b, C, 0.5, unbalanced=rho, tol=1e-13)
    of_a = differences(lambda change: entropic_value(a + change, b, C, 0.5, rho), (7,), 1e-4, a > 1e-3)
    of_b = differences(lambda change: entropic_value(a, b + change, C, 0.5, rho), (5,), 1e-4, b > 1e-3)
    for gradient, expected in ((result.gradient_a, of_a), (result.gradient_b, of_b)):
        known = ~np.isnan(expected)
        assert known.sum() >= 3
        np.testing.assert_allclose(gradient[known], expected[known], atol=1e-6)

    t = 1e-7
    expected = (entropic_value(a + t * unit(7, 2), b, C, 0.5, rho) - result.value) / t
    assert result.gradient_a[2] == pytest.approx(expected, abs=1e-4)


def test_unbalanced_result_is_a_transport(problem):
    a, b, x, y = problem
    result = otf.sinkhorn(a, b, otf.PointCloud(x, y), 0.5, unbalanced=1.0)
    assert isinstance(result, otf.Transport)
    assert repr(result).startswith("UnbalancedTransport(value=")
    assert (result.epsilon, result.rho_a, result.rho_b) == (0.5, 1.0, 1.0)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(result)).gradient_a, result.gradient_a)


# --- in the cost


@pytest.mark.parametrize("unbalanced", [None, 0.8])
def test_cost(problem, unbalanced):
    a, b, x, y = problem
    C = otf.PointCloud(x, y).dense()
    C[0, 1] = INF
    result = otf.sinkhorn(a, b, C, 0.5, tol=1e-13, unbalanced=unbalanced)
    expected = differences(
        lambda change: entropic_value(a, b, C + change, 0.5, unbalanced), (7, 5), 1e-3, np.isfinite(C)
    )
    expected[0, 1] = 0
    np.testing.assert_allclose(result.gradient_cost, expected, atol=1e-8)


# --- in the positions

METRICS = [
    "sqeuclidean",
    "euclidean",
    "cityblock",
    "chebyshev",
    "cosine",
    ("minkowski", 3),
    ("minkowski", INF),
    ("power", 2, 1.5),
    ("power", 1, 2),
    ("power", 3, 3),
    ("power", INF, 2),
    ("mahalanobis", [[2.0, 1.0, 0.0], [0.0, 1.0, 0.5], [0.0, 0.0, 3.0]]),
    ("bilinear", [[2.0, 1.0, 0.0], [0.0, 1.0, 0.5], [0.3, 0.0, 3.0]]),
]


@pytest.mark.parametrize("metric", METRICS, ids=str)
def test_positions_of_an_entropic_problem(problem, metric):
    a, b, x, y = problem
    result = otf.sinkhorn(a, b, otf.PointCloud(x, y, metric), 0.7, tol=1e-13)
    gradient = result.gradient_x(x, y)
    expected = differences(
        lambda change: entropic_value(a, b, otf.PointCloud(x + change, y, metric), 0.7), x.shape, 1e-4
    )
    np.testing.assert_allclose(gradient, expected, atol=2e-7)
    assert (gradient[2] == 0).all()  # a point without weight
    same = otf.sinkhorn(a, b, otf.PointCloud(x, y, metric).dense(), 0.7, tol=1e-13)
    np.testing.assert_allclose(same.gradient_x(x, y, metric=metric), gradient, atol=1e-10)


@pytest.mark.parametrize("metric", METRICS, ids=str)
def test_positions_of_an_exact_problem(problem, metric):
    a, b, x, y = problem
    result = otf.emd(a, b, otf.PointCloud(x, y, metric))
    expected = differences(
        lambda change: otf.emd(a, b, otf.PointCloud(x + change, y, metric)).value, x.shape, 1e-5
    )
    np.testing.assert_allclose(result.gradient_x(x, y), expected, atol=1e-7)


@pytest.mark.parametrize("metric", ["euclidean", "cosine", ("power", 2, 1.5)], ids=str)
def test_positions_of_an_unbalanced_problem(problem, metric):
    a, b, x, y = problem
    C = otf.PointCloud(x, y, metric)
    expected = differences(
        lambda change: entropic_value(2 * a, b, otf.PointCloud(x + change, y, metric), 0.7, 1.5),
        x.shape,
        1e-4,
    )
    result = otf.sinkhorn(2 * a, b, C, 0.7, unbalanced=1.5, tol=1e-13)
    np.testing.assert_allclose(result.gradient_x(x, y), expected, atol=2e-7)


def test_squared_distances_in_closed_form(problem):
    a, b, x, y = problem
    result = otf.sinkhorn(a, b, otf.PointCloud(x, y), 0.5)
    plan = result.plan
    expected = 2 * (plan.sum(axis=1)[:, None] * x - plan @ y)
    np.testing.assert_allclose(result.gradient_x(x, y), expected, atol=1e-12)
    far = 1e7  # digits are not lost where the points are far from the origin
    np.testing.assert_allclose(result.gradient_x(x + far, y + far), expected, atol=1e-7)


@pytest.mark.parametrize("metric", ["euclidean", "chebyshev", ("power", 2, 0.5), ("minkowski", 1.5)], ids=str)
def test_coinciding_points_count_nothing(metric):
    x, y = np.array([[0.0, 0.0], [5.0, 1.0]]), np.array([[0.0, 0.0], [9.0, 4.0]])
    exact = otf.emd(None, None, otf.PointCloud(x, y, metric)).gradient_x(x, y)
    assert (exact[0] == 0).all()
    assert np.isfinite(exact).all()
    assert np.isfinite(otf.sinkhorn(None, None, otf.PointCloud(x, y, metric), 1.0).gradient_x(x, y)).all()


def test_kinks():
    x, y = np.array([[1.0, 2.0]]), np.array([[1.0, 5.0]])
    gradient = otf.emd(None, None, otf.PointCloud(x, y, "cityblock")).gradient_x(x, y)
    np.testing.assert_array_equal(gradient, [[0.0, -1.0]])
    x, y = np.array([[1.0, 2.0]]), np.array([[4.0, 5.0]])
    gradient = otf.emd(None, None, otf.PointCloud(x, y, "chebyshev")).gradient_x(x, y)
    np.testing.assert_array_equal(gradient, [[-1.0, 0.0]])


def test_rows_come_in_blocks(rng, monkeypatch):
    x, y = rng.normal(size=(40, 2)), rng.normal(size=(30, 2))
    result = otf.sinkhorn(None, None, otf.PointCloud(x, y, "euclidean"), 0.5)
    expected = result.gradient_x(x, y)
    monkeypatch.setattr("otfast._metric_gradient._BLOCK_SIZE", 7 * 30 * 2)
    np.testing.assert_allclose(result.gradient_x(x, y), expected, rtol=1e-12, atol=1e-15)


def test_points_on_the_line_and_grids(rng):
    x, y = rng.normal(size=6), rng.normal(size=4)
    line = otf.emd_1d(x, y, p=1.5)
    assert line.gradient_x(x, y).shape == (6,)
    expected = differences(lambda change: otf.emd_1d(x + change, y, p=1.5).value, (6,), 1e-6)
    np.testing.assert_allclose(line.gradient_x(x, y), expected, atol=1e-8)

    grid = otf.Grid([0.0, 1.0, 3.0], [0.0, 2.0], metric="cityblock")
    a, b = random_weights(rng, 6), random_weights(rng, 6)
    points = grid.points()
    same = otf.sinkhorn(a, b, otf.PointCloud(points, metric="cityblock"), 0.5)
    gradient = otf.sinkhorn(a, b, grid, 0.5).gradient_x(points, points)
    np.testing.assert_allclose(gradient, same.gradient_x(points, points), atol=1e-6)


def test_dimensions_differ_under_a_bilinear_metric(rng):
    x, y, A = rng.normal(size=(4, 3)), rng.normal(size=(5, 2)), rng.normal(size=(3, 2))
    result = otf.sinkhorn(None, None, otf.PointCloud(x, y, ("bilinear", A)), 1.0)
    np.testing.assert_allclose(result.gradient_x(x, y), -result.plan @ y @ A.T, atol=1e-12)


@pytest.mark.parametrize("metric", ["sqeuclidean", "euclidean", "cosine"])
def test_single_precision_stays(problem, metric):
    a, b, x, y = problem
    x32, y32 = x.astype(np.float32), y.astype(np.float32)
    double = otf.sinkhorn(a, b, otf.PointCloud(x, y, metric), 0.7)
    for solve in (otf.emd, lambda a, b, C: otf.sinkhorn(a, b, C, 0.7)):
        result = solve(a, b, otf.PointCloud(x32, y32, metric))
        assert result.gradient_x(x32, y32).dtype == np.float32
        assert result.gradient_a.dtype == result.gradient_b.dtype == np.float32
    np.testing.assert_allclose(result.gradient_x(x32, y32), double.gradient_x(x, y), atol=1e-4)


def test_bad_input_is_named(problem):
    a, b, x, y = problem
    result = otf.sinkhorn(a, b, otf.PointCloud(x, y), 0.5)
    for bad_x, bad_y, metric, message in (
        (x[:-1], y, None, "x must hold 7 points"),
        (x, y[:-1], None, "y must hold 5 points"),
        (x, y[:, :2], None, "x and y must have the same dimension"),
        (np.full_like(x, np.nan), y, None, "x must be finite"),
        (x, y, "manhattan", "metric must be one of"),
        (x, y, ("mahalanobis", np.eye(2)), "M of the metric 'mahalanobis'"),
        (np.zeros_like(x), y, "cosine", "x must not hold zero vectors"),
    ):
        with pytest.raises(ValueError, match=message):
            result.gradient_x(bad_x, bad_y, metric=metric)


def test_copies_know_their_metric(problem):
    a, b, x, y = problem
    for result in (
        otf.emd(a, b, otf.PointCloud(x, y, "cityblock")),
        otf.sinkhorn(a, b, otf.PointCloud(x, y, "cityblock"), 1.0),
    ):
        for clone in (copy.deepcopy(result), pickle.loads(pickle.dumps(result))):
            np.testing.assert_array_equal(clone.gradient_x(x, y), result.gradient_x(x, y))
