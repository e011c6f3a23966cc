"""Transport on the line: the monotone plan, its certificate, and distances at any scale."""

import math

import numpy as np
import pytest

import otfast as otf
from certificates import assert_certified, linprog_value, random_weights

EXPONENTS = [1, 1.5, 2, 3.7]


def power_cost(x, y, p):
    return np.abs(x[:, None] - y) ** p


def quantile_distance(x, y, a, b, p):
    """Return W_p from the quantile functions, on the common refinement of their steps."""
    x, a = x[np.argsort(x)], a[np.argsort(x)]
    y, b = y[np.argsort(y)], b[np.argsort(y)]
    ends_x, ends_y = np.cumsum(a), np.cumsum(b)
    ends = np.sort(np.concatenate([ends_x, ends_y]))
    middles = ends - np.diff(ends, prepend=0) / 2
    i = np.minimum(np.searchsorted(ends_x, middles), x.size - 1)
    j = np.minimum(np.searchsorted(ends_y, middles), y.size - 1)
    return (np.diff(ends, prepend=0) @ np.abs(x[i] - y[j]) ** p) ** (1 / p)


@pytest.mark.parametrize("p", EXPONENTS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (12, 12), (30, 41)], ids=str)
def test_plan_and_distance_solve_the_linear_program(rng, shape, p):
    n, m = shape
    x, y = rng.normal(size=n), rng.normal(size=m)
    a, b = random_weights(rng, n), random_weights(rng, m)
    cost = power_cost(x, y, p)
    for weights_a, weights_b in ((a, b), (None, b), (None, None)):
        plan = otf.emd_1d(x, y, weights_a, weights_b, p=p)
        assert_certified(plan, weights_a, weights_b, cost)
        expected = linprog_value(weights_a, weights_b, cost)
        assert plan.value == pytest.approx(expected, rel=1e-7)
        assert otf.wasserstein_1d(x, y, weights_a, weights_b, p) ** p == pytest.approx(plan.value, rel=1e-12)


@pytest.mark.parametrize("p", EXPONENTS)
def test_certificate_of_a_larger_problem(rng, p):
    x, y = rng.normal(size=900), rng.exponential(size=700)
    a, b = random_weights(rng, 900), random_weights(rng, 700)
    a[rng.random(900) < 0.3] = 0
    b[:50] = b[-50:] = 0
    a, b = a / a.sum(), b / b.sum()
    assert_certified(otf.emd_1d(x, y, a, b, p=p), a, b, power_cost(x, y, p))


@pytest.mark.parametrize("p", EXPONENTS)
def test_distance_equals_the_integral_over_quantiles(rng, p):
    x, y = rng.normal(size=300), rng.normal(size=500) + 1
    a, b = random_weights(rng, 300), random_weights(rng, 500)
    assert otf.wasserstein_1d(x, y, a, b, p) == pytest.approx(quantile_distance(x, y, a, b, p), rel=1e-10)


def test_the_plan_is_monotone(rng):
    x, y = rng.normal(size=60), rng.normal(size=50)
    rows, cols = otf.emd_1d(x, y, random_weights(rng, 60), random_weights(rng, 50)).sparse_plan.coords
    order = np.lexsort((y[cols], x[rows]))
    assert (np.diff(y[cols][order]) >= 0).all()


@pytest.mark.parametrize("p", [1, 2])
def test_ties(rng, p):
    x, y = rng.integers(0, 4, 50).astype(float), rng.integers(0, 4, 70).astype(float)
    a, b = random_weights(rng, 50), random_weights(rng, 70)
    assert_certified(otf.emd_1d(x, y, a, b, p=p), a, b, power_cost(x, y, p))
    assert_certified(otf.emd_1d(x, x, p=p), None, None, power_cost(x, x, p))


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ([1, 0], [1, 1e-300]),
        ([1, 1e-300], [1, 0]),
        ([0, 0, 1], [0.5, 0.5]),
        ([1, 0, 0], [0.5, 0.5]),
        ([0.5, 0.5, 0], [0.5, 0.5, 1e-300]),
        ([0, 1, 0], [0, 0, 1, 0, 0]),
        ([1e-300, 1], [1, 1e-300]),
        ([1e-17, 1, 2e-17], [3e-17, 1]),
        ([1, 1e-20], [1 - 1e-16, 1e-17, 1e-18]),
    ],
    ids=str,
)
def test_zero_and_tiny_weights_at_the_ends(a, b):
    a, b = np.array(a, float), np.array(b, float)
    x, y = np.arange(a.size) ** 2.0, np.arange(b.size) - 0.5
    plan = otf.emd_1d(x, y, a, b)
    assert_certified(plan, a, b, power_cost(x, y, 2))
    assert set(plan.sparse_plan.coords[0]) == set(np.flatnonzero(a))
    assert set(plan.sparse_plan.coords[1]) == set(np.flatnonzero(plan.b))


def test_marginals_of_many_small_parts():
    # A million equal parts are taken from one atom: rounding that added up would show in the last ones.
    n = 1_000_000
    x, y = np.arange(n, dtype=float), np.array([0.0, float(n)])
    plan = otf.emd_1d(x, y, None, [0.3, 0.7]).sparse_plan
    rows, cols = plan.coords
    received = [math.fsum(plan.data[cols == j]) for j in range(2)]
    np.testing.assert_allclose(received, [0.3, 0.7], rtol=1e-15)
    np.testing.assert_allclose(np.bincount(rows, plan.data), 1 / n, rtol=1e-9)


@pytest.mark.parametrize("p", EXPONENTS)
def test_splitting_atoms_changes_nothing(rng, p):
    # Thirds do not add up exactly. A sliver of 1e-17 that went to the next point would make W_2 1e-9, not 0.
    x, a = rng.normal(size=101), random_weights(rng, 101)
    assert otf.wasserstein_1d(x, np.repeat(x, 3), p=p) == 0.0
    assert otf.wasserstein_1d(x, np.repeat(x, 3), a, np.repeat(a, 3) / 3, p) == 0.0
    assert otf.wasserstein_1d(np.repeat(x, 7), np.repeat(x, 3), p=p) == 0.0


def test_distances_between_shifted_measures(rng):
    x = rng.normal(size=40)
    for p in EXPONENTS:
        assert otf.wasserstein_1d(x, x + 3, p=p) == pytest.approx(3, rel=1e-13)
        assert otf.wasserstein_1d(x, x, p=p) == 0.0


def test_translation(rng):
    x, y = rng.normal(size=40), rng.normal(size=30)
    t = 0.7
    shifted = otf.wasserstein_1d(x + t, y, p=2) ** 2
    expected = otf.wasserstein_1d(x, y, p=2) ** 2 + t**2 + 2 * t * (x.mean() - y.mean())
    assert shifted == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("p", EXPONENTS)
def test_triangle_inequality_symmetry_and_order_of_exponents(rng, p):
    x, y, z = (rng.normal(size=n) for n in (20, 30, 25))
    xy, yz, xz = (otf.wasserstein_1d(u, v, p=p) for u, v in ((x, y), (y, z), (x, z)))
    assert xz <= xy + yz
    assert otf.wasserstein_1d(y, x, p=p) == pytest.approx(xy, rel=1e-13)
    assert xy <= otf.wasserstein_1d(x, y, p=p + 0.5) * (1 + 1e-13)


def test_large_exponents_approach_the_largest_step(rng):
    x, y = np.sort(rng.normal(size=50)), np.sort(rng.normal(size=50))
    assert otf.wasserstein_1d(x, y, p=10_000) == pytest.approx(np.abs(x - y).max(), rel=1e-3)


@pytest.mark.parametrize("p", EXPONENTS)
@pytest.mark.parametrize("scale", [1e-290, 1e-200, 1e-20, 1e20, 1e200, 1e300])
def test_points_of_any_magnitude(rng, p, scale):
    x, y = rng.normal(size=30), rng.normal(size=40)
    expected = otf.wasserstein_1d(x, y, p=p)
    assert otf.wasserstein_1d(scale * x, scale * y, p=p) == pytest.approx(scale * expected, rel=1e-12)


def test_a_far_point_does_not_hide_near_ones():
    assert otf.wasserstein_1d([0.0, 1e200], [1.0, 1e200], p=2) == pytest.approx(0.5**0.5, rel=1e-14)
    assert otf.wasserstein_1d([-1.7e308], [1.7e308], a=[0.25], b=[0.25]) == pytest.approx(0.85e308, rel=1e-14)


def test_costs_that_overflow_are_refused():
    with pytest.raises(ValueError, match="x and y can exceed the range of float64"):
        otf.emd_1d([0.0], [1e200])
    with pytest.raises(ValueError, match="x and y can exceed the range of float32"):
        otf.emd_1d(np.float32([0]), np.float32([1e20]))


def test_columns_are_problems(rng):
    x, y = rng.normal(size=(20, 9)), rng.normal(size=(25, 9))
    weights_a = [None, random_weights(rng, 20), rng.dirichlet(np.ones(20), 9).T]
    weights_b = [None, random_weights(rng, 25), rng.dirichlet(np.ones(25), 9).T]
    for a in weights_a:
        for b in weights_b:
            together = otf.wasserstein_1d(x, y, a, b, p=1.5)
            assert together.shape == (9,)
            for k in range(9):
                a_k, b_k = (w[:, k] if w is not None and w.ndim == 2 else w for w in (a, b))
                assert together[k] == otf.wasserstein_1d(x[:, k], y[:, k], a_k, b_k, p=1.5)
    assert otf.wasserstein_1d(np.empty((3, 0)), np.empty((4, 0))).shape == (0,)


def test_columns_with_masses_of_their_own(rng):
    x, y = rng.normal(size=(20, 3)), rng.normal(size=(25, 3))
    mass = np.array([1.0, 2.0, 1e-9])
    a, b = np.full((20, 3), 1 / 20) * mass, np.full((25, 3), 1 / 25) * mass * (1 + 5e-7)
    np.testing.assert_allclose(
        otf.wasserstein_1d(x, y, a, b, p=2), otf.wasserstein_1d(x, y, p=2) * np.sqrt(mass)
    )
    b[:, 1] *= 1.01
    with pytest.raises(ValueError, match=r"the totals of a\[:, 1\] and b\[:, 1\] differ"):
        otf.wasserstein_1d(x, y, a, b)


def test_many_columns_in_blocks(rng, monkeypatch):
    x, y = rng.normal(size=(8, 50)), rng.normal(size=(5, 50))
    a = rng.dirichlet(np.ones(8), 50).T
    expected = otf.wasserstein_1d(x, y, a)
    monkeypatch.setattr("otfast._line._BLOCK_SIZE", 60)
    np.testing.assert_array_equal(otf.wasserstein_1d(x, y, a), expected)


def test_threads_change_nothing(rng):
    x, y = rng.normal(size=(300, 400)), rng.normal(size=(200, 400))
    alone = otf.wasserstein_1d(x, y, p=3)
    otf.set_num_threads(4)
    np.testing.assert_array_equal(otf.wasserstein_1d(x, y, p=3), alone)


def test_single_precision(rng):
    x, y = rng.normal(size=(50, 3)).astype(np.float32), rng.normal(size=(60, 3)).astype(np.float32)
    distance = otf.wasserstein_1d(x, y, p=2)
    assert distance.dtype == np.float32
    np.testing.assert_allclose(distance, otf.wasserstein_1d(x.astype(np.float64), y, p=2), rtol=1e-6)
    assert otf.wasserstein_1d(x[:, 0], y[:, 0]).dtype == np.float32
    assert type(otf.wasserstein_1d(x[:, 0], y[:, 0].astype(np.float64))) is float
    plan = otf.emd_1d(x[:, 0], y[:, 0])
    assert plan.plan.dtype == plan.potential_a.dtype == np.float32
    assert_certified(plan, None, None, power_cost(x[:, 0], y[:, 0], 2), tol=1e-6)


def test_equals_the_general_solver(rng):
    x, y = rng.normal(size=80), rng.normal(size=70)
    a, b = random_weights(rng, 80), random_weights(rng, 70)
    general = otf.emd(a, b, otf.PointCloud(x[:, None], y[:, None]))
    special = otf.emd_1d(x, y, a, b)
    assert special.value == pytest.approx(general.value, rel=1e-12)
    np.testing.assert_allclose(special.plan, general.plan, atol=1e-14)
