"""The Sinkhorn divergence: a loss between measures, zero at equality, with exact derivatives."""

import math
import pickle

import numpy as np
import pytest

import otfast as otf
from certificates import random_weights

INF = np.inf
METRICS = [
    "sqeuclidean",
    "euclidean",
    "cityblock",
    "cosine",
    ("power", 2, 1.5),
    ("mahalanobis", [[2, 1], [1, 1]]),
]


@pytest.fixture
def measures(rng):
    """Return two measures with points of no weight."""
    a, b = random_weights(rng, 12) + 0.01, random_weights(rng, 9) + 0.01
    a[2] = b[3] = 0
    return a / a.sum(), b / b.sum(), rng.normal(size=(12, 2)), rng.normal(size=(9, 2)) + 0.3


def three_values(a, b, x, y, epsilon, metric="sqeuclidean", unbalanced=None):
    """Return the divergence by its definition."""

    def value(a, b, x, y):  # of second order in the error
        C = otf.PointCloud(x, y, metric)
        return otf.sinkhorn(a, b, C, epsilon, tol=1e-9, unbalanced=unbalanced).value

    terms = value(a, b, x, y) - value(a, a, x, x) / 2 - value(b, b, y, y) / 2
    return terms + epsilon / 2 * (a.sum() - b.sum()) ** 2


def central(value, step):
    return (8 * (value(step) - value(-step)) - (value(2 * step) - value(-2 * step))) / (12 * step)


@pytest.mark.parametrize("metric", METRICS, ids=str)
@pytest.mark.parametrize("epsilon", [0.05, 1.0])
def test_definition_and_sign(measures, metric, epsilon):
    a, b, x, y = measures
    result = otf.sinkhorn_divergence(a, b, x, y, epsilon, metric)
    assert result.converged
    assert result.error <= 1e-8
    assert result.value == pytest.approx(three_values(a, b, x, y, epsilon, metric), abs=1e-9)
    assert result.value > 0
    other_way = otf.sinkhorn_divergence(b, a, y, x, epsilon, metric)
    assert other_way.value == pytest.approx(result.value, abs=1e-12)


@pytest.mark.parametrize("unbalanced", [None, 0.5])
@pytest.mark.parametrize("metric", METRICS, ids=str)
@pytest.mark.parametrize("epsilon", [1e-3, 0.1, 5.0])
def test_zero_at_equal_measures(measures, metric, epsilon, unbalanced):
    a, _, x, _ = measures
    order = np.random.default_rng(1).permutation(a.size)
    result = otf.sinkhorn_divergence(a, a[order], x, x[order], epsilon, metric, unbalanced=unbalanced)
    assert result.converged
    assert abs(result.value) < 1e-12
    assert np.abs(result.gradient_x).max() < 1e-7
    assert np.abs(result.gradient_a).max() < 1e-7 * max(1, epsilon)  # errors are in units of ε


def test_a_measure_of_split_points_is_the_same(measures):
    a, _, x, _ = measures
    twice = np.concatenate([0.3 * a, 0.7 * a]), np.concatenate([x, x])
    result = otf.sinkhorn_divergence(twice[0], a, twice[1], x, 0.3)
    assert abs(result.value) < 1e-12
    assert np.abs(result.gradient_x).max() < 1e-7


@pytest.mark.parametrize("unbalanced", [None, 0.8])
@pytest.mark.parametrize("metric", ["sqeuclidean", "euclidean", "cosine", ("power", 2, 1.5)], ids=str)
def test_gradient_in_positions(measures, metric, unbalanced):
    a, b, x, y = measures
    gradient = otf.sinkhorn_divergence(a, b, x, y, 0.4, metric, unbalanced=unbalanced).gradient_x
    assert gradient.shape == x.shape
    assert (gradient[2] == 0).all()
    for index in [(0, 0), (1, 1), (5, 0), (11, 1)]:
        direction = np.zeros_like(x)
        direction[index] = 1

        def value(t, along=direction):
            moved = x + t * along
            return otf.sinkhorn_divergence(a, b, moved, y, 0.4, metric, unbalanced=unbalanced).value

        assert gradient[index] == pytest.approx(central(value, 1e-3), abs=1e-7)


def test_gradient_in_weights(measures):
    a, b, x, y = measures
    result = otf.sinkhorn_divergence(a, b, x, y, 0.4)
    assert result.gradient_a @ a == pytest.approx(0, abs=1e-12)
    for i in (0, 4, 11):
        direction = np.zeros(12)
        direction[i], direction[1] = 1, -1
        expected = central(
            lambda t, along=direction: otf.sinkhorn_divergence(a + t * along, b, x, y, 0.4).value, 1e-3
        )
        assert result.gradient_a @ direction == pytest.approx(expected, abs=1e-6)
    direction = np.zeros(12)
    direction[2], direction[1] = 1, -1

    def slope(t):
        return (otf.sinkhorn_divergence(a + t * direction, b, x, y, 0.4).value - result.value) / t

    assert result.gradient_a @ direction == pytest.approx(2 * slope(1e-6) - slope(2e-6), abs=1e-5)


@pytest.mark.parametrize("rho", [0.3, 4.0])
def test_unbalanced(measures, rho):
    a, b, x, y = measures
    a = 1.8 * a
    result = otf.sinkhorn_divergence(a, b, x, y, 0.4, unbalanced=rho)
    expected = three_values(a, b, x, y, 0.4, unbalanced=rho)
    assert result.value == pytest.approx(expected, abs=1e-12)
    assert result.value > 0
    for i in (0, 4, 11):
        direction = np.zeros(12)
        direction[i] = 1
        slope = central(
            lambda t, along=direction: (
                otf.sinkhorn_divergence(a + t * along, b, x, y, 0.4, unbalanced=rho).value
            ),
            1e-3,
        )
        assert result.gradient_a[i] == pytest.approx(slope, abs=1e-6)
    assert np.isfinite(result.gradient_a[2])


def test_infinite_price_is_balanced(measures):
    a, b, x, y = measures
    balanced = otf.sinkhorn_divergence(a, b, x, y, 0.4)
    infinite = otf.sinkhorn_divergence(a, b, x, y, 0.4, unbalanced=INF)
    assert infinite.value == balanced.value
    high = otf.sinkhorn_divergence(a, b, x, y, 0.4, unbalanced=1e6)
    assert high.value == pytest.approx(balanced.value, rel=1e-5)


def test_two_points():
    """Between unit masses at distance t: OT is t² and both other terms are 0."""
    result = otf.sinkhorn_divergence([1.0], [1.0], [[0.0, 0.0]], [[3.0, 4.0]], 0.7)
    assert result.value == pytest.approx(25.0, rel=1e-14)
    np.testing.assert_allclose(result.gradient_x, [[-6.0, -8.0]])
    np.testing.assert_allclose(result.gradient_a, [0.0], atol=1e-14)


def test_limits_of_the_temperature(measures):
    """Exact transport at ε = 0, the distance of the means squared (that is MMD of −C/2) at ε = ∞."""
    a, b, x, y = measures
    exact = otf.emd(a, b, otf.PointCloud(x, y)).value
    assert otf.sinkhorn_divergence(a, b, x, y, 1e-4).value == pytest.approx(exact, rel=1e-3)
    means = float(((a @ x - b @ y) ** 2).sum())
    for epsilon in (1e4, 1e8, 1e20, 1e300):
        assert otf.sinkhorn_divergence(a, b, x, y, epsilon).value == pytest.approx(means, rel=1e-3)


def test_gaussians_on_a_fine_grid():
    """Of two normal distributions that differ by a shift, it is the squared shift at any temperature."""
    points = np.linspace(-8, 8, 400)
    a, b = (np.exp(-((points - mean) ** 2) / 2) for mean in (-0.5, 0.7))
    for epsilon in (0.1, 2.0):
        result = otf.sinkhorn_divergence(a / a.sum(), b / b.sum(), points, points, epsilon)
        assert result.value == pytest.approx(1.2**2, rel=1e-7)
        slopes = result.gradient_x / (a / a.sum())
        np.testing.assert_allclose(slopes[150:250], -2.4, atol=1e-3)


def test_points_on_the_line(measures):
    a, b, x, y = measures
    line = otf.sinkhorn_divergence(a, b, x[:, 0], y[:, 0], 0.4)
    column = otf.sinkhorn_divergence(a, b, x[:, :1], y[:, :1], 0.4)
    assert line.value == column.value
    assert line.gradient_x.shape == (12,)
    np.testing.assert_array_equal(line.gradient_x, column.gradient_x[:, 0])


def test_descent_reaches_the_target(rng):
    x, y = rng.normal(size=(30, 2)), rng.normal(size=(30, 2)) + 2
    start = otf.sinkhorn_divergence(None, None, x, y, 0.1).value
    for _ in range(40):
        x = x - 10 * otf.sinkhorn_divergence(None, None, x, y, 0.1).gradient_x
    assert otf.sinkhorn_divergence(None, None, x, y, 0.1).value < 0.01 * start


@pytest.mark.parametrize("epsilon", [1.0, 0.01])
def test_single_precision_stays(measures, epsilon):
    a, b, x, y = measures
    single = otf.sinkhorn_divergence(a, b, x.astype(np.float32), y.astype(np.float32), epsilon)
    double = otf.sinkhorn_divergence(a, b, x, y, epsilon)
    assert isinstance(single.value, np.float32)
    assert single.gradient_x.dtype == single.gradient_a.dtype == np.float32
    assert single.value == pytest.approx(double.value, rel=1e-4, abs=1e-5)
    np.testing.assert_allclose(single.gradient_x, double.gradient_x, atol=1e-4)
    np.testing.assert_allclose(single.gradient_a, double.gradient_a, atol=1e-3)
    mixed = otf.sinkhorn_divergence(a, b, x.astype(np.float32), y, epsilon)
    assert mixed.gradient_x.dtype == np.float64


def test_stops_early_and_says_so(measures):
    a, b, x, y = measures
    with pytest.warns(otf.ConvergenceWarning, match="max_iter"):
        result = otf.sinkhorn_divergence(a, b, x, y, 0.1, max_iter=2)
    assert not result.converged
    assert result.error > 1e-8
    exactly = otf.sinkhorn_divergence(a, b, x, y, 10.0, tol=0, max_iter=30)
    assert exactly.n_iter == 90
    assert not exactly.converged
    assert exactly.value == pytest.approx(three_values(a, b, x, y, 10.0), abs=1e-9)


def test_progress(measures):
    a, b, x, y = measures
    heard = []
    result = otf.sinkhorn_divergence(a, b, x, y, 0.1, callback=heard.append)
    assert [entry.iteration for entry in heard] == sorted(entry.iteration for entry in heard)
    assert heard[-1] == (result.n_iter, result.error, result.value)
    assert math.isnan(heard[0].value)
    with pytest.warns(otf.ConvergenceWarning, match="callback"):
        stopped = otf.sinkhorn_divergence(a, b, x, y, 0.1, callback=lambda _: True)
    assert not stopped.converged
    assert stopped.n_iter == 4

    def fail(_):
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        otf.sinkhorn_divergence(a, b, x, y, 0.1, callback=fail)
    otf.sinkhorn_divergence(a, b, x, y, 0.1, progress=True)


def test_prints_and_travels(measures):
    a, b, x, y = measures
    result = otf.sinkhorn_divergence(a, b, x, y, 0.1)
    text = repr(result)
    assert text.startswith(f"Divergence(value={result.value:.6g}, error=")
    assert "shape=12 x 9, converged=True" in text
    clone = pickle.loads(pickle.dumps(result))
    np.testing.assert_array_equal(clone.gradient_x, result.gradient_x)


def test_bad_input_is_named(measures):
    a, b, x, y = measures
    for arguments, options, message in (
        ((-a, b, x, y, 1.0), {}, "a must not be negative"),
        ((2 * a, b, x, y, 1.0), {}, "the totals of a and b differ"),
        ((a, b, x[:-1], y, 1.0), {}, "a must have shape"),
        ((a, b, x, y[:, :1], 1.0), {}, "x and y must have the same dimension"),
        ((a, b, x * np.nan, y, 1.0), {}, "x must be finite"),
        ((a, b, x, y, -1.0), {}, "epsilon must be"),
        ((1e200 * a, 1e200 * b, x, y, 1.0), {}, "totals of a and b.* are so large"),
        ((a, b, x, y, 1.0, "manhattan"), {}, "metric must be one of"),
        ((a, b, x, y, 1.0, ("bilinear", [[1, 2], [0, 1]])), {}, "metric .* must be symmetric"),
        ((a, b, x, y, 1.0), {"tol": -1}, "tol must be"),
        ((a, b, x, y, 1.0), {"max_iter": 0}, "max_iter must be"),
        ((a, b, x, y, 1.0), {"unbalanced": 0.0}, "unbalanced must be"),
        ((a, b, x, y, 1.0), {"unbalanced": (1.0, 2.0)}, "unbalanced must be"),
        ((a, b, x, y, 1.0), {"callback": 3}, "callback must be callable"),
    ):
        with pytest.raises(ValueError, match=message):
            otf.sinkhorn_divergence(*arguments, **options)
