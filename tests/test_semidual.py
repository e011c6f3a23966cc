"""The semi-dual is the Legendre transform of entropic transport in its first marginal."""

import numpy as np
import pytest

import otfast as otf
from certificates import random_weights, sqeuclidean


def direct(b, C, epsilon, f):
    """Evaluate the formula, column by column."""
    C, b = C[:, b > 0], b[b > 0]
    exponents = (f[:, None] - C) / epsilon
    top = exponents.max(axis=0)
    powers = np.exp(exponents - top)
    sums = powers.sum(axis=0)
    return epsilon * b @ (top + np.log(sums) - np.log(b)), (powers / sums) @ b


def entropic_value(a, b, C, epsilon):
    """Return min <P, C> + epsilon sum P log P from the value of Sinkhorn's problem."""
    result = otf.sinkhorn(a, b, C, epsilon, tol=1e-12)
    s = a.sum()
    entropies = sum(w[w > 0] @ np.log(w[w > 0]) for w in (a, b))
    return result, result.value + epsilon * (entropies + s - s * s)


def problem(rng, n=12, m=9, mass=1.0):
    C = sqeuclidean(rng.random((n, 2)), rng.random((m, 2)))
    b = random_weights(rng, m)
    b[2] = 0.0
    return mass * b / b.sum(), C, rng.normal(size=n)


@pytest.mark.parametrize("mass", [1.0, 0.3, 20.0])
@pytest.mark.parametrize("epsilon", [10.0, 0.1, 1e-3])
def test_formula(rng, mass, epsilon):
    b, C, f = problem(rng, mass=mass)
    value, gradient = otf.semidual(b, C, epsilon, f)
    expected, slope = direct(b, C, epsilon, f)
    assert value == pytest.approx(expected, rel=1e-12, abs=1e-12)
    np.testing.assert_allclose(gradient, slope, rtol=1e-9, atol=1e-15 * mass)


@pytest.mark.parametrize("mass", [1.0, 2.5])
def test_gradient_lies_on_the_simplex(rng, mass):
    b, C, f = problem(rng, mass=mass)
    _, gradient = otf.semidual(b, C, 0.05, f)
    assert (gradient >= 0).all()
    assert gradient.sum() == pytest.approx(mass, rel=1e-12)


@pytest.mark.parametrize("mass", [1.0, 2.5])
def test_gradient_is_the_derivative(rng, mass):
    b, C, f = problem(rng, mass=mass)
    _, gradient = otf.semidual(b, C, 0.2, f)
    step = 1e-5
    for i, unit in enumerate(step * np.eye(f.size)):
        higher, lower = (otf.semidual(b, C, 0.2, f + sign * unit)[0] for sign in (1, -1))
        assert (higher - lower) / (2 * step) == pytest.approx(gradient[i], rel=1e-7, abs=1e-9)


@pytest.mark.parametrize("mass", [1.0, 0.5, 3.0])
def test_fenchel_young(rng, mass):
    b, C, f = problem(rng, mass=mass)
    value, a = otf.semidual(b, C, 0.1, f)
    # Equality where a is the gradient,
    assert entropic_value(a, b, C, 0.1)[1] + value == pytest.approx(f @ a, abs=1e-10 * mass)
    # and inequality elsewhere, also where some weights are zero.
    other = mass * random_weights(rng, f.size)
    other[:3] = 0.0
    other *= mass / other.sum()
    gap = entropic_value(other, b, C, 0.1)[1] + value - f @ other
    assert gap > 1e-4 * mass


def test_gradient_inverts_the_derivative_of_transport(rng):
    b, C, _ = problem(rng)
    a = random_weights(rng, 12)
    result, value = entropic_value(a, b, C, 0.1)
    f = result.potential_a + 0.1 * np.log(a)
    transform, gradient = otf.semidual(b, C, 0.1, f)
    np.testing.assert_allclose(gradient, a, atol=1e-11)
    assert value + transform == pytest.approx(f @ a, abs=1e-10)


def test_constants_add_themselves_for_each_unit_of_mass(rng):
    b, C, f = problem(rng, mass=2.0)
    value, gradient = otf.semidual(b, C, 0.1, f)
    shifted, same = otf.semidual(b, C, 0.1, f + 1e6)
    assert shifted == pytest.approx(value + 2e6, rel=1e-14)
    np.testing.assert_allclose(same, gradient, atol=1e-8)


def test_potentials_of_any_size(rng):
    b, C, f = problem(rng)
    f[:2] = 1e308, -1e308
    value, gradient = otf.semidual(b, C, 0.1, f)
    assert value == 1e308
    np.testing.assert_allclose(gradient, np.eye(12)[0], atol=1e-12)


def test_every_cost(rng):
    x, y = rng.random((30, 3)), rng.random((20, 3))
    f, b = rng.normal(size=30), random_weights(rng, 20)
    clouds = [otf.PointCloud(x, y), otf.PointCloud(x, y, "euclidean"), otf.LowRankCost(x, y)]
    for cost in clouds:
        value, gradient = otf.semidual(b, cost, 0.1, f)
        same, slope = otf.semidual(b, cost.dense(), 0.1, f)
        assert value == pytest.approx(same, rel=1e-12)
        np.testing.assert_allclose(gradient, slope, rtol=1e-10)
    grid = otf.Grid(np.linspace(0, 1, 4), np.linspace(0, 1, 5))
    b[3] = 0.0
    for epsilon in (0.5, 1e-3):
        value, gradient = otf.semidual(b, grid, epsilon, f[:20])
        expected, slope = direct(b, grid.dense(), epsilon, f[:20])
        assert value == pytest.approx(expected, rel=1e-12)
        np.testing.assert_allclose(gradient, slope, rtol=1e-9, atol=1e-15)


def test_single_precision(rng):
    b, C, f = problem(rng)
    for epsilon in (0.1, 1e-4):
        value, gradient = otf.semidual(b, C.astype(np.float32), epsilon, f)
        expected, slope = direct(b, C.astype(np.float32).astype(float), epsilon, f)
        assert isinstance(value, np.float32)
        assert gradient.dtype == np.float32
        assert value == pytest.approx(expected, rel=1e-5)
        np.testing.assert_allclose(gradient, slope, atol=1e-5)


def test_forbidden_pairs(rng):
    b, C, f = problem(rng)
    C[0] = np.inf
    C[1, 3] = np.inf
    C[:, 2] = np.inf  # a column without weight
    value, gradient = otf.semidual(b, C, 0.1, f)
    expected, slope = direct(b, C, 0.1, f)
    assert value == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(gradient, slope, rtol=1e-9)
    assert gradient[0] == 0.0
    C[:, 4] = np.inf
    with pytest.raises(otf.InfeasibleError, match="column"):
        otf.semidual(b, C, 0.1, f)


def test_threads_change_nothing_but_rounding(rng):
    cost = otf.PointCloud(rng.random((1500, 2)), rng.random((1200, 2)))
    f = rng.normal(size=1500)
    value, gradient = otf.semidual(None, cost, 0.05, f)
    otf.set_num_threads(3)
    same, slope = otf.semidual(None, cost, 0.05, f)
    assert same == value
    np.testing.assert_array_equal(slope, gradient)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"b": [0.5, 0.5, 0.5]}, "b must have shape"),
        ({"b": [0.5, -0.5]}, "b must not be negative"),
        ({"b": [0.0, 0.0]}, "b has total mass zero"),
        ({"b": [np.nan, 1.0]}, "b must be finite"),
        ({"C": [[0.0, np.nan], [1.0, 0.0]]}, "C"),
        ({"C": [[0.0, -np.inf], [1.0, 0.0]]}, "C"),
        ({"epsilon": 0.0}, "epsilon"),
        ({"epsilon": np.inf}, "epsilon"),
        ({"f": [0.0]}, "f must have shape"),
        ({"f": [0.0, np.nan]}, "f must be finite"),
        ({"f": [0.0, np.inf]}, "f must be finite"),
    ],
)
def test_bad_input(change, name):
    good = {"b": [0.5, 0.5], "C": [[0.0, 1.0], [1.0, 0.0]], "epsilon": 0.1, "f": [0.0, 0.0]}
    with pytest.raises(ValueError, match=name):
        otf.semidual(**{**good, **change})


def test_inputs_stay_as_they_are(rng):
    b, C, f = problem(rng)
    before = [array.copy() for array in (b, C, f)]
    otf.semidual(b, C, 0.1, f)
    for array, copy in zip((b, C, f), before, strict=True):
        np.testing.assert_array_equal(array, copy)
