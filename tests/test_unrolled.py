"""Derivatives through Sinkhorn's iterations: those of the algorithm, not of the problem it approximates."""

import pickle

import numpy as np
import pytest
from scipy.special import logsumexp

import otfast as otf
from certificates import random_weights

INF = np.inf


def reference(a, b, C, epsilon, n_iter):
    """Return ⟨P_L, C⟩ by the definition, in the log domain."""
    with np.errstate(divide="ignore"):
        log_a, log_b = epsilon * np.log(a), epsilon * np.log(b)
    g = np.zeros(b.size)
    for step in range(n_iter + 1):
        f = log_a - epsilon * logsumexp((g - C) / epsilon, axis=1)
        if step < n_iter:
            g = log_b - epsilon * logsumexp((f[:, None] - C) / epsilon, axis=0)
    plan = np.exp((f[:, None] + g - C) / epsilon)
    return float(np.sum(plan[plan > 0] * C[plan > 0]))


def derivative(value, step, one_sided=False):
    if one_sided:
        return (4 * value(step) - value(2 * step) - 3 * value(0.0)) / (2 * step)
    return (8 * (value(step) - value(-step)) - (value(2 * step) - value(-2 * step))) / (12 * step)


def expected_gradients(a, b, C, epsilon, n_iter, step):
    """Return the derivatives of the reference in a, b and C by finite differences."""
    gradients = []
    for k, point in enumerate((a, b, C)):
        gradient = np.zeros(point.shape)
        for index in np.ndindex(*point.shape):
            if not np.isfinite(point[index]):
                continue

            def value(t, k=k, index=index):
                moved = [a.copy(), b.copy(), C.copy()]
                moved[k][index] += t
                return reference(*moved, epsilon, n_iter)

            one_sided = k < 2 and point[index] == 0
            gradient[index] = derivative(value, step * (1e-2 if one_sided else 1), one_sided)
        gradients.append(gradient)
    return gradients


@pytest.fixture
def problem(rng):
    """Return weights with zeros, and costs, one of them infinite."""
    a, b, C = random_weights(rng, 6), random_weights(rng, 5), rng.random((6, 5))
    a, b = a + 0.05, b + 0.05
    a[2] = b[1] = 0
    C[0, 2] = INF
    return a / a.sum(), b / b.sum(), C


@pytest.mark.parametrize("n_iter", [1, 2, 7])
@pytest.mark.parametrize("epsilon", [2.0, 0.3])
def test_finite_differences(problem, epsilon, n_iter):
    a, b, C = problem
    result = otf.sinkhorn_unrolled(a, b, C, epsilon, n_iter)
    assert result.value == pytest.approx(reference(a, b, C, epsilon, n_iter), rel=1e-13)
    of_a, of_b, of_cost = expected_gradients(a, b, C, epsilon, n_iter, 1e-3 * epsilon / 2)
    np.testing.assert_allclose(result.gradient_a, of_a, atol=2e-6)
    np.testing.assert_allclose(result.gradient_b, of_b, atol=2e-6)
    np.testing.assert_allclose(result.gradient_cost, of_cost, atol=2e-7)
    assert result.gradient_cost[0, 2] == 0


@pytest.mark.parametrize("n_iter", [1, 4, 12])
def test_small_temperature(problem, n_iter):
    """The kernel itself is zero in floating point here: e^(−1000)."""
    a, b, C = problem
    a, b = np.where(a > 0, a, 0.1), np.where(b > 0, b, 0.1)
    a, b, epsilon = a / a.sum(), b / b.sum(), 1e-3
    result = otf.sinkhorn_unrolled(a, b, C, epsilon, n_iter)
    of_a, of_b, of_cost = expected_gradients(a, b, C, epsilon, n_iter, 1e-6)
    scale = max(1, np.abs(of_cost).max())
    np.testing.assert_allclose(result.gradient_a, of_a, atol=1e-4 * scale)
    np.testing.assert_allclose(result.gradient_b, of_b, atol=1e-4 * scale)
    np.testing.assert_allclose(result.gradient_cost, of_cost, atol=1e-4 * scale)


@pytest.mark.parametrize("epsilon", [1e-2, 1e-4, 1e-8])
def test_no_temperature_gives_nan(problem, epsilon):
    a, b, C = problem
    result = otf.sinkhorn_unrolled(a, b, C, epsilon, 5)
    assert np.isfinite(result.value)
    assert np.isfinite(result.gradient_a[a > 0]).all()
    assert np.isfinite(result.gradient_b[b > 0]).all()
    assert np.isfinite(result.gradient_cost).all()
    assert not np.isnan(result.gradient_a).any()
    assert not np.isnan(result.gradient_b).any()


def test_one_kernel_and_several_give_the_same(problem, monkeypatch):
    a, b, C = problem
    together = otf.sinkhorn_unrolled(a, b, C, 0.05, 6).gradient_cost
    monkeypatch.setattr("otfast._unrolled._BLOCK_SIZE", 2 * b.size)
    monkeypatch.setattr("otfast._unrolled._ROOM", (1e-9, 1e-9))
    np.testing.assert_allclose(otf.sinkhorn_unrolled(a, b, C, 0.05, 6).gradient_cost, together, atol=1e-13)


def test_many_iterations_reach_the_solution(problem):
    a, b, C = problem
    solution = otf.sinkhorn(a, b, C, 0.2, tol=1e-13)
    errors = [abs(otf.sinkhorn_unrolled(a, b, C, 0.2, k).value - solution.value_linear) for k in (1, 10, 100)]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 1e-10


def test_the_derivative_is_not_the_potential(problem):
    a, b, C = problem
    unrolled = otf.sinkhorn_unrolled(a, b, C, 0.5, 200)
    solution = otf.sinkhorn(a, b, C, 0.5, tol=1e-13)
    centred = unrolled.gradient_a - unrolled.gradient_a @ a
    assert np.abs(centred - solution.gradient_a).max() > 1e-2
    # It is that of ⟨P, C⟩ at the solution, here along a change that keeps the total.
    step = 1e-3
    direction = np.array([1.0, -1.0, 0, 0, 0, 0])
    values = [
        otf.sinkhorn(a + t * direction, b, C, 0.5, tol=1e-13).value_linear for t in (-2e-3, -step, step, 2e-3)
    ]
    expected = (8 * (values[2] - values[1]) - (values[3] - values[0])) / (12 * step)
    assert unrolled.gradient_a @ direction == pytest.approx(expected, abs=1e-6)


def test_costs_of_points_are_costs(rng):
    x, y = rng.normal(size=(8, 2)), rng.normal(size=(6, 2))
    C = otf.PointCloud(x, y)
    cloud, dense = (otf.sinkhorn_unrolled(None, None, cost, 0.4, 5) for cost in (C, C.dense()))
    assert cloud.value == pytest.approx(dense.value, rel=1e-12)
    for name in ("gradient_a", "gradient_b", "gradient_cost"):
        np.testing.assert_allclose(getattr(cloud, name), getattr(dense, name), atol=1e-12)


def test_single_precision_stays(problem):
    a, b, C = problem
    for epsilon in (0.3, 0.01):
        single = otf.sinkhorn_unrolled(a, b, C.astype(np.float32), epsilon, 4)
        double = otf.sinkhorn_unrolled(a, b, C.astype(np.float32).astype(np.float64), epsilon, 4)
        assert isinstance(single.value, np.float32)
        assert single.value == pytest.approx(double.value, rel=1e-5)
        for name, has_weight in (("gradient_a", a > 0), ("gradient_b", b > 0)):
            assert getattr(single, name).dtype == np.float32
            expected = getattr(double, name)[has_weight]
            np.testing.assert_allclose(getattr(single, name)[has_weight], expected, rtol=1e-3, atol=1e-3)
        assert single.gradient_cost.dtype == np.float32
        np.testing.assert_allclose(single.gradient_cost, double.gradient_cost, rtol=1e-3, atol=1e-3)


def test_inputs_stay_and_results_travel(problem):
    a, b, C = problem
    before = [array.copy() for array in (a, b, C)]
    result = otf.sinkhorn_unrolled(a, b, C, 0.3, 3)
    clone = pickle.loads(pickle.dumps(result))
    np.testing.assert_array_equal(clone.gradient_cost, result.gradient_cost)
    for array, original in zip((a, b, C), before, strict=True):
        np.testing.assert_array_equal(array, original)
    assert repr(result) == f"Unrolled(value={result.value:.6g}, shape=6 x 5, n_iter=3)"


def test_no_way_to_go(problem):
    a, b, C = problem
    C[3] = INF
    with pytest.raises(otf.InfeasibleError):
        otf.sinkhorn_unrolled(a, b, C, 0.3, 2)
    C[3] = 1.0
    C[:, 3] = INF
    with pytest.raises(otf.InfeasibleError):
        otf.sinkhorn_unrolled(a, b, C, 0.3, 2)
    C[:, 3] = 1.0
    C[2], C[:, 1] = INF, INF  # points without weight need no way
    result = otf.sinkhorn_unrolled(a, b, C, 0.3, 2)
    assert np.isfinite(result.gradient_cost).all()
    assert (result.gradient_a[2], result.gradient_b[1]) == (0, 0)


def test_bad_input_is_named(problem):
    a, b, C = problem
    for arguments, message in (
        ((-a, b, C, 1.0, 1), "a must not be negative"),
        ((a, 2 * b, C, 1.0, 1), "the totals of a and b differ"),
        ((a, b[:-1], C, 1.0, 1), "b must have shape"),
        ((a, b, C * np.nan, 1.0, 1), "C must hold numbers"),
        ((a, b, C, 0.0, 1), "epsilon must be"),
        ((a, b, C, 1.0, 0), "n_iter must be at least 1"),
        ((a, b, C, 1.0, 1.5), "n_iter must be an integer"),
    ):
        with pytest.raises(ValueError, match=message):
            otf.sinkhorn_unrolled(*arguments)
