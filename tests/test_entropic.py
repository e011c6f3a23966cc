"""Entropic transport against the theory: optimality, closed forms, limits, the same on every cost."""

import pickle
import warnings
from itertools import pairwise

import numpy as np
import pytest
from scipy.linalg import sqrtm

import otfast as otf
from otfast import datasets

EPSILONS = [10.0, 1.0, 0.1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6]
METHODS = ["log", "stabilized", "newton", "auto"]


def sqeuclidean(x, y):
    return ((x[:, None] - y) ** 2).sum(axis=2)


def random_weights(rng, n):
    """Weights with some zeros."""
    weights = rng.random(n)
    weights[rng.integers(n, size=max(1, n // 10))] = 0.0
    return weights / weights.sum()


@pytest.fixture
def clouds(rng):
    x, y = rng.random((60, 2)), rng.random((45, 2))
    return random_weights(rng, 60), random_weights(rng, 45), x, y


def plan_of(result, a, b, C, epsilon):
    f, g = result.potential_a.astype(float), result.potential_b.astype(float)
    with np.errstate(over="ignore"):
        return a[:, None] * b * np.exp((f[:, None] + g - C) / epsilon)


def assert_solves(result, a, b, C, epsilon, tol=1e-6):
    """Assert marginals, the form of the plan, and that primal and dual value agree: then it is optimal."""
    mass = a.sum()
    assert result.converged
    assert result.error <= tol
    f, g = result.potential_a, result.potential_b
    assert np.isfinite(f).all()
    assert np.isfinite(g).all()
    plan = result.plan
    rounding = 1e-6 if plan.dtype == np.float32 else 1e-10
    np.testing.assert_allclose(
        plan, plan_of(result, a, b, C, epsilon), rtol=1e3 * rounding, atol=rounding * mass
    )
    violation = max(np.abs(plan.sum(1) - a).sum(), np.abs(plan.sum(0) - b).sum()) / mass
    assert violation <= 1.05 * tol + rounding
    where = plan > 0
    reference = (a[:, None] * b)[where]
    kl = (plan[where] * np.log(plan[where] / reference)).sum() - plan.sum() + mass**2
    finite = np.where(np.isfinite(C), C, 0.0)
    primal = (plan * finite).sum() + epsilon * kl
    # The plan misses the marginals by the error, and then potentials pay for the difference.
    slack = tol * mass * (np.abs(f[a > 0]).max() + np.abs(g[b > 0]).max() + np.abs(finite).max() + epsilon)
    assert abs(result.value - primal) <= slack + 1e-12
    assert abs(result.value_linear - (plan * finite).sum()) <= 10 * rounding * np.abs(finite).max() * mass


@pytest.mark.parametrize("epsilon", EPSILONS)
def test_every_temperature(clouds, epsilon):
    a, b, x, y = clouds
    C = sqeuclidean(x, y)
    assert_solves(otf.sinkhorn(a, b, C, epsilon), a, b, C, epsilon)
    assert_solves(otf.sinkhorn(a, b, otf.PointCloud(x, y), epsilon), a, b, C, epsilon)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("epsilon", [1.0, 0.1, 0.03])
def test_all_methods_agree(clouds, method, epsilon):
    a, b, x, y = clouds
    C = sqeuclidean(x, y)
    result = otf.sinkhorn(a, b, C, epsilon, method=method, tol=1e-9)
    assert_solves(result, a, b, C, epsilon, 1e-9)
    reference = otf.sinkhorn(a, b, C, epsilon, method="newton", tol=1e-12)
    assert result.value == pytest.approx(reference.value, rel=1e-12)
    np.testing.assert_allclose(result.plan, reference.plan, atol=1e-8)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("epsilon", [1.0, 0.05, 1e-3])
def test_all_costs_agree(rng, method, epsilon):
    axes = np.linspace(0.0, 1.0, 7), np.array([0.0, 0.3, 0.5, 1.2, 1.3])
    grid = otf.Grid(*axes)
    n = grid.shape[0]
    a, b = random_weights(rng, n), random_weights(rng, n)
    points = grid.points()
    C = grid.dense()
    norms = (points**2).sum(axis=1)
    ones = np.ones(n)
    factors = np.column_stack([norms, ones, -2.0 * points]), np.column_stack([ones, norms, points])
    tol = 1e-9 if epsilon > 0.01 or method in ("newton", "auto") else 1e-3
    values = []
    for cost in (C, otf.PointCloud(points), grid, otf.LowRankCost(*factors)):
        result = otf.sinkhorn(a, b, cost, epsilon, method=method, tol=tol)
        assert_solves(result, a, b, C, epsilon, tol)
        values.append(result.value)
        v, u = rng.random((n, 2)), rng.random(n)
        np.testing.assert_allclose(result.apply(v), result.plan @ v, rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(result.apply_transpose(u), result.plan.T @ u, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(values, values[0], rtol=0, atol=1e-12 if tol < 1e-6 else 1e-4)


def test_iterations_are_the_same_on_a_grid_and_on_its_matrix(rng):
    grid = otf.Grid(np.linspace(0.0, 1.0, 6), [0.0, 0.1, 0.9], [0.5, 0.7])
    a, b = random_weights(rng, 36), random_weights(rng, 36)
    for epsilon in (1.0, 1e-3):  # products with small matrices, and softmins along the axes
        options = {"method": "log", "tol": 0, "max_iter": 5}
        of_grid, of_matrix = (otf.sinkhorn(a, b, C, epsilon, **options) for C in (grid, grid.dense()))
        np.testing.assert_allclose(of_grid.potential_a, of_matrix.potential_a, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(of_grid.potential_b, of_matrix.potential_b, rtol=1e-12, atol=1e-14)


def test_gaussians_have_a_closed_form(rng):
    """OT_ε = |m−m'|² + tr A + tr B − tr D + d s²(1 − log 2s²) + s² log det(D + s²I).

    With D = (4A^½BA^½ + s⁴I)^½ and ε = 2s². Discretised on a grid that is fine beside ε and wide beside the
    covariances.
    """
    axis = np.linspace(-5.0, 5.0, 60)
    grid = otf.Grid(axis, axis)
    points = grid.points()
    means = np.array([0.3, -0.2]), np.array([-0.4, 0.1])
    A = np.array([[0.7, 0.2], [0.2, 0.5]])
    B = np.array([[0.4, -0.1], [-0.1, 0.6]])

    def density(mean, covariance):
        z = points - mean
        weights = np.exp(-0.5 * np.einsum("ni,ij,nj->n", z, np.linalg.inv(covariance), z))
        return weights / weights.sum()

    epsilon = 0.8
    s2 = epsilon / 2
    root = sqrtm(A)
    D = sqrtm(4 * root @ B @ root + s2**2 * np.eye(2))
    expected = (
        ((means[0] - means[1]) ** 2).sum()
        + np.trace(A + B - D)
        + 2 * s2 * (1 - np.log(2 * s2))
        + s2 * np.log(np.linalg.det(D + s2 * np.eye(2)))
    )
    result = otf.sinkhorn(density(means[0], A), density(means[1], B), grid, epsilon)
    assert result.value == pytest.approx(expected, rel=1e-7)


def test_limits(clouds):
    a, b, x, y = clouds
    C = sqeuclidean(x, y)
    exact = otf.emd(a, b, C)
    gaps = [otf.sinkhorn(a, b, C, epsilon).value_linear - exact.value for epsilon in (0.1, 0.01, 1e-3, 1e-5)]
    assert all(later < earlier for earlier, later in pairwise(gaps))
    assert abs(gaps[-1]) < 1e-4
    hot = otf.sinkhorn(a, b, C, 1e6)
    np.testing.assert_allclose(hot.plan, np.outer(a, b), atol=1e-8)


FAMILIES = {
    "u2": lambda: datasets.uniform_points(200),
    "g64": lambda: datasets.gaussian_points(200),
    "images": lambda: datasets.smooth_images(64),  # on a grid
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("family", FAMILIES)
def test_no_failure_is_silent(family, method):
    """Finite answers, true errors, and a warning or convergence, for ε from 10 to 1e-6 of the costs."""
    problem = FAMILIES[family]()
    n, m = problem.C.shape
    solves_all = method in ("newton", "auto")
    for epsilon in problem.C.max() * np.logspace(1, -6, 8):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            limit = 10_000 if solves_all else 20
            result = otf.sinkhorn(problem.a, problem.b, problem.C, epsilon, method=method, max_iter=limit)
        assert [warning.category for warning in caught] == [otf.ConvergenceWarning] * (not result.converged)
        assert result.converged or not solves_all
        assert result.converged == (result.error <= 1e-6)
        assert np.isfinite(result.value)
        assert np.isfinite(result.potential_a).all()
        assert np.isfinite(result.potential_b).all()
        violations = result.apply(np.ones(m)) - problem.a, result.apply_transpose(np.ones(n)) - problem.b
        assert result.error == pytest.approx(max(np.abs(v).sum() for v in violations), rel=1e-3, abs=1e-9)


def test_high_dimension_with_a_thousand_points():
    C = datasets.gaussian_points(1000).C.dense()
    C /= C.max()
    a = np.full(1000, 1e-3)
    assert_solves(otf.sinkhorn(None, None, C, 1e-3), a, a, C, 1e-3)


def test_high_dimension_in_the_cold():
    """Nearly a permutation: what every Newton's method without the exact potentials fails at."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        C = sqeuclidean(rng.standard_normal((150, 64)), rng.standard_normal((150, 64)))
        C /= C.max()
        a = np.full(150, 1 / 150)
        assert_solves(otf.sinkhorn(None, None, C, 1e-3), a, a, C, 1e-3)


@pytest.mark.parametrize("method", ["auto", "newton"])
def test_marginals_cheaper_than_any_transport(method):
    """Newton's steps stay short for ever; iterations contract by ρ²/(ρ + ε)² whatever the cost."""
    rng = np.random.default_rng(0)
    rng.normal(size=(31, 10))
    C = sqeuclidean(rng.normal(size=(20, 10)), rng.normal(size=(30, 10)))
    for rho, scale in ((0.1, 1e-3), (0.1, 3e-4), (1.0, 3e-4)):
        epsilon = scale * C.max()
        result = otf.sinkhorn(None, None, C, epsilon, unbalanced=rho, method=method, tol=1e-9)
        assert result.converged
        iterations = otf.sinkhorn(None, None, C, epsilon, unbalanced=rho, method="log", tol=1e-9)
        assert result.value == pytest.approx(iterations.value, rel=1e-9)
        assert result.n_iter <= 1.6 * np.log(1e9) / (2.0 * np.log1p(epsilon / rho)) + 40


def test_columns_far_lighter_than_rows():
    """A share of a row that does not matter there may be all that a light column has."""
    for seed in (74, 129, 173, 184, 185, 191, 261, 309, 313, 426):
        rng = np.random.default_rng(seed)
        C = sqeuclidean(rng.normal(size=(20, 12)), rng.normal(size=(60, 12)))
        a, b = rng.dirichlet(np.full(20, 0.05)), rng.dirichlet(np.full(60, 0.05))
        for problem in ((a, b, C), (b, a, C.T.copy())):
            result = otf.sinkhorn(*problem, 1e-3 * C.max(), tol=1e-9)
            assert result.converged
            assert result.n_iter <= 100


def test_measures_to_themselves():
    """Some points share next to nothing with others, and the Hessian has nothing else to move them with."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        x, a = rng.normal(size=(12, 2)), rng.dirichlet(np.ones(12))
        for epsilon in (0.1, 0.05, 0.01, 0.002):
            for cost in (sqeuclidean(x, x), otf.PointCloud(x)):
                result = otf.sinkhorn(a, a, cost, epsilon, tol=1e-9)
                assert result.converged
                assert result.n_iter <= 100


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (2, 3), (3, 500)])
@pytest.mark.parametrize("epsilon", [1.0, 1e-2, 1e-5])
def test_small_and_flat_problems(rng, shape, epsilon):
    n, m = shape
    a, b = rng.random(n) + 0.1, rng.random(m) + 0.1
    b *= a.sum() / b.sum()
    C = rng.normal(size=shape)  # negative costs, too
    assert_solves(otf.sinkhorn(a, b, C, epsilon), a, b, C, epsilon)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_no_temperature_is_too_high(clouds, method, dtype):
    """The plan is a ⊗ b up to C/ε, and the value ⟨a ⊗ b, C⟩ up to C²/ε, whatever is left of C/ε beside 1."""
    a, b, x, y = clouds
    C = sqeuclidean(x, y).astype(dtype)
    mean = a @ C @ b
    for epsilon in (1e4, 1e7, 1e12, 1e30, 1e100, 1e300):
        rel = 1e-6 if dtype == np.float32 else 1e-7
        for cost in (C, otf.PointCloud(x.astype(dtype), y.astype(dtype))):
            result = otf.sinkhorn(a, b, cost, epsilon, method=method)
            assert result.converged
            assert result.value == pytest.approx(mean, rel=rel + 1.0 / epsilon)
            np.testing.assert_allclose(result.plan, np.outer(a, b), rtol=rel + 4.0 / epsilon)
        batch = otf.sinkhorn_batch(a[None], b[None], C, epsilon, method=method)
        assert batch.value[0] == pytest.approx(mean, rel=rel + 1.0 / epsilon)
    if dtype == np.float64:
        heavy = otf.sinkhorn(3.0 * a, 3.0 * b, C, 1e9, method=method)
        np.testing.assert_allclose(heavy.plan, 3.0 * np.outer(a, b), rtol=1e-6)
        assert heavy.value == pytest.approx(3e9 * (2.0 - np.log(3.0)), rel=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_masses_and_scales(clouds, method):
    a, b, x, y = clouds
    C = sqeuclidean(x, y)
    base = otf.sinkhorn(a, b, C, 0.1, method=method, tol=1e-10)
    for scale in (1e-12, 1e12):
        scaled = otf.sinkhorn(a, b, C * scale, 0.1 * scale, method=method, tol=1e-10)
        np.testing.assert_allclose(scaled.plan, base.plan, atol=1e-9)
        assert scaled.value == pytest.approx(base.value * scale, rel=1e-9)
    for mass in (1e-250, 1e-3, 50.0, 1e100):
        heavy = otf.sinkhorn(a * mass, b * mass, C, 0.1, method=method, tol=1e-10)
        np.testing.assert_allclose(heavy.plan, base.plan * mass, atol=1e-9 * mass)
        if mass == 50.0:
            assert_solves(heavy, a * mass, b * mass, C, 0.1)
        # The plan is that of mass 1, and ΣP log(P / (a ⊗ b)) has −s log s more.
        value = mass * (base.value + 0.1 * (mass - 1.0 - np.log(mass)))
        assert heavy.value == pytest.approx(value, rel=1e-9)


def test_costs_at_the_ends_of_the_range(clouds):
    a, b, x, y = clouds
    C = sqeuclidean(x, y)
    plan = otf.sinkhorn(a, b, C, 0.05, tol=1e-9).plan
    for scale in (1e-299, 1e299):
        np.testing.assert_allclose(
            otf.sinkhorn(a, b, C * scale, 0.05 * scale, tol=1e-9).plan, plan, atol=1e-8
        )
    single = C.astype(np.float32)
    for scale in (np.float32(1e-30), np.float32(1e33)):
        result = otf.sinkhorn(a, b, single * scale, 0.05 * float(scale))
        np.testing.assert_allclose(result.plan, plan, atol=1e-5)
    # An offset that leaves no digits for the costs is not taken for forbidden pairs.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", otf.ConvergenceWarning)
        assert np.isfinite(otf.sinkhorn(a, b, C + 1e17, 0.05, max_iter=50).potential_a).all()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("epsilon", [1.0, 1e-2, 1e-3])
def test_weights_of_all_sizes(seed, epsilon):
    rng = np.random.default_rng(seed)
    C = sqeuclidean(rng.random((6, 2)), rng.random((5, 2)))
    a, b = np.full(6, 1 / 6), np.array([1e-30, 1e-60, 0.5, 0.5, 1e-300])
    for costs, rows, columns in ((C, a, b), (C.T, b, a)):
        assert_solves(otf.sinkhorn(rows, columns, costs, epsilon), rows, columns, costs, epsilon)


def test_constant_cost_and_repeated_points(rng):
    a, b = random_weights(rng, 20), random_weights(rng, 30)
    result = otf.sinkhorn(a, b, np.full((20, 30), 3.0), 0.5, tol=1e-12)
    np.testing.assert_allclose(result.plan, np.outer(a, b), rtol=1e-9)
    assert result.value == pytest.approx(3.0)
    x = np.repeat(rng.random((5, 2)), 4, axis=0)
    C = sqeuclidean(x, rng.random((30, 2)))
    assert_solves(otf.sinkhorn(a, b, C, 1e-3), a, b, C, 1e-3)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("epsilon", [1e3, 1.0, 1e-2, 1e-6])
def test_all_mass_in_one_point(clouds, method, epsilon):
    """There is only one plan then, and KL is 0."""
    _, b, x, y = clouds
    C = sqeuclidean(x, y)
    a = np.eye(60)[7]
    for rows, columns, costs in ((a, b, C), (b, a, C.T), (a, np.eye(45)[3], C)):
        result = otf.sinkhorn(rows, columns, costs, epsilon, method=method, tol=1e-9)
        assert result.converged
        np.testing.assert_allclose(result.plan, np.outer(rows, columns), atol=1e-9)
        assert result.value == pytest.approx(rows @ costs @ columns, rel=1e-8)
        assert np.isfinite(result.potential_a).all()
        assert np.isfinite(result.potential_b).all()


def test_arrays_of_any_layout_and_type(clouds):
    a, b, x, y = clouds
    C = np.round(9 * sqeuclidean(x, y))
    plan = otf.sinkhorn(a, b, C, 1.0).plan
    read_only = C.copy()
    read_only.flags.writeable = False
    for same in (np.repeat(C, 2, axis=1)[:, ::2], np.asfortranarray(C), C[::-1].copy()[::-1], read_only):
        np.testing.assert_array_equal(otf.sinkhorn(np.repeat(a, 3)[::3], b.tolist(), same, 1.0).plan, plan)
    for dtype in (np.int8, np.uint64, ">f8", np.float16):
        np.testing.assert_array_equal(otf.sinkhorn(a, b, C.astype(dtype), 1.0).plan, plan)
    mixed = otf.sinkhorn(a.astype(np.float32), b, C, 1.0)  # the precision is that of the costs
    assert mixed.plan.dtype == np.float64
    np.testing.assert_allclose(mixed.plan, plan, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("epsilon", [1.0, 0.02])
def test_forbidden_pairs(rng, method, epsilon):
    n = 30
    C = rng.random((n, n))
    C[rng.random((n, n)) < 0.5] = np.inf
    np.fill_diagonal(C, 0.9)
    a = np.full(n, 1 / n)
    result = otf.sinkhorn(None, None, C, epsilon, method=method, max_iter=100_000)
    assert_solves(result, a, a, C, epsilon)
    assert not result.plan[np.isinf(C)].any()


def test_infeasible_problems():
    C = np.array([[np.inf, np.inf], [1.0, 2.0]])
    for method in METHODS:
        with pytest.raises(otf.InfeasibleError, match=r"row or column"):
            otf.sinkhorn(None, None, C, 0.1, method=method)
        with pytest.raises(otf.InfeasibleError, match=r"row or column"):
            otf.sinkhorn(None, None, C.T, 0.1, method=method)
        with pytest.raises(otf.InfeasibleError, match=r"row or column"):
            otf.sinkhorn([1.0], [0.0, 1.0], [[1.0, np.inf]], 0.1, method=method)
        # Weightless points may have nowhere to go.
        result = otf.sinkhorn([0.0, 1.0], None, C, 0.1, method=method)
        assert np.isfinite(result.potential_a).all()
        assert result.plan[1].sum() == pytest.approx(1.0)
    with pytest.raises(otf.InfeasibleError, match=r"problem 1"):
        otf.sinkhorn_batch(None, None, np.stack([np.zeros((2, 2)), C]), 0.1)


def test_masses_that_cannot_meet_do_not_converge():
    C = np.array([[0.0, np.inf, np.inf], [np.inf, 0.0, 0.0], [np.inf, 0.0, 0.0]])
    a, b = np.array([0.5, 0.25, 0.25]), np.array([0.25, 0.5, 0.25])
    for method in METHODS:
        with pytest.warns(otf.ConvergenceWarning):
            result = otf.sinkhorn(a, b, C, 0.1, method=method, max_iter=200)
        assert not result.converged
        assert result.error > 0.1


@pytest.mark.parametrize("epsilon", [1.0, 0.1, 1e-2, 1e-3, 1e-4])
def test_single_precision(clouds, epsilon):
    a, b, x, y = (array.astype(np.float32) for array in clouds)
    C = sqeuclidean(x, y)
    a64, b64 = a.astype(float), b.astype(float)
    b64 *= a64.sum() / b64.sum()
    for cost in (C, otf.PointCloud(x, y)):
        result = otf.sinkhorn(a, b, cost, epsilon)
        for array in (result.value, result.value_linear, result.potential_a, result.plan, result.apply(b)):
            assert array.dtype == np.float32
        assert result.converged
        plan = result.plan.astype(float)
        assert np.abs(plan.sum(1) - a64).sum() < 3e-5
        assert np.abs(plan.sum(0) - b64).sum() < 3e-5
        reference = otf.sinkhorn(a64, b64, C.astype(float), epsilon)
        assert float(result.value) == pytest.approx(reference.value, rel=1e-4)


def test_stopping(clouds):
    a, b, x, y = clouds
    C = sqeuclidean(x, y)
    for method in METHODS:
        for count in (1, 2, 7):
            result = otf.sinkhorn(a, b, C, 1e-2, method=method, tol=0, max_iter=count)
            assert not result.converged
        with pytest.warns(otf.ConvergenceWarning, match=r"max_iter"):
            result = otf.sinkhorn(a, b, C, 1e-2, method=method, tol=1e-14, max_iter=2)
        assert not result.converged
        plan = result.plan
        violation = max(np.abs(plan.sum(1) - a).sum(), np.abs(plan.sum(0) - b).sum())
        assert result.error == pytest.approx(violation, rel=1e-6, abs=1e-14)
    assert otf.sinkhorn(a, b, C, 1e-2, method="log", tol=0, max_iter=7).n_iter == 7


@pytest.mark.parametrize("method", METHODS)
def test_warm_start(clouds, method):
    a, b, x, y = clouds
    C = sqeuclidean(x, y)
    cold = otf.sinkhorn(a, b, C, 0.05, method=method)
    warm = otf.sinkhorn(a, b, C, 0.05, method=method, init=(cold.potential_a, cold.potential_b))
    assert warm.n_iter <= 2
    wild = otf.sinkhorn(a, b, C, 0.05, method=method, init=(cold.potential_a, 1e3 * (-1.0) ** np.arange(45)))
    assert_solves(wild, a, b, C, 0.05)


# --- Unbalanced.


def unbalanced_primal(plan, a, b, C, epsilon, rho_a, rho_b):
    def kl(p, q):
        terms = np.where(p > 0, p * np.log(np.where(p > 0, p, 1.0) / np.where(q > 0, q, 1.0)), 0.0)
        return (terms - p + q).sum()

    value = (plan * C).sum() + epsilon * kl(plan, a[:, None] * b)
    for rho, marginal, weights in ((rho_a, plan.sum(1), a), (rho_b, plan.sum(0), b)):
        if np.isfinite(rho):
            value += rho * kl(marginal, weights)
        else:
            np.testing.assert_allclose(marginal, weights, atol=1e-5)
    return value


# Iterations are slow at low temperature, by nature.
@pytest.mark.parametrize(
    ("method", "epsilon"),
    [(method, epsilon) for method in METHODS for epsilon in (1.0, 0.1)]
    + [(method, epsilon) for method in ("newton", "auto") for epsilon in (1e-2, 1e-3)],
)
@pytest.mark.parametrize("rho", [(1.0, 1.0), (0.1, 3.0), (np.inf, 0.5), (0.5, np.inf)])
def test_unbalanced_values_meet(clouds, method, epsilon, rho):
    a, b, x, y = clouds
    b = 1.7 * b
    C = sqeuclidean(x, y)
    result = otf.sinkhorn(a, b, C, epsilon, method=method, unbalanced=rho)
    assert result.converged
    # Strong duality: a feasible plan and feasible potentials of one value are both optimal.
    primal = unbalanced_primal(result.plan, a, b, C, epsilon, *rho)
    assert result.value == pytest.approx(primal, rel=1e-5)


def test_unbalanced_limits(clouds):
    a, b, x, y = clouds
    C = sqeuclidean(x, y)
    balanced = otf.sinkhorn(a, b, C, 0.1)
    strict = otf.sinkhorn(a, b, C, 0.1, unbalanced=1e6)
    np.testing.assert_allclose(strict.plan, balanced.plan, atol=1e-6)
    exact = otf.sinkhorn(a, b, C, 0.1, unbalanced=np.inf)
    np.testing.assert_allclose(exact.plan, balanced.plan, atol=1e-12)
    free = otf.sinkhorn(a, 2.0 * b, C, 0.1, unbalanced=1e-9)
    np.testing.assert_allclose(free.plan, np.outer(a, 2.0 * b) * np.exp(-C / 0.1), rtol=1e-6, atol=1e-12)


# --- Batches.


@pytest.mark.parametrize("epsilon", [1.0, 0.1, 1e-2, 1e-4])
def test_batch_is_its_problems(rng, epsilon):
    k, n, m = 5, 20, 14
    A = np.stack([random_weights(rng, n) for _ in range(k)])
    B = np.stack([random_weights(rng, m) for _ in range(k)])
    C = rng.random((k, n, m))
    batch = otf.sinkhorn_batch(A, B, C, epsilon)
    assert len(batch) == k
    for index, result in enumerate(batch):
        assert_solves(result, A[index], B[index], C[index], epsilon)
        assert batch.value[index] == result.value
    common = otf.sinkhorn_batch(A, B, C[0], epsilon)
    single = otf.sinkhorn(A[3], B[3], C[0], epsilon)
    assert common.value[3] == pytest.approx(single.value, rel=1e-6)
    assert common.converged.all()
    otf.set_num_threads(2)
    again = otf.sinkhorn_batch(A, B, C, epsilon)
    np.testing.assert_array_equal(again.value, batch.value)
    masses = np.array([1e-200, 1.0, 3.0, 1e50, 1e100])
    heavy = otf.sinkhorn_batch(masses[:, None] * A, masses[:, None] * B, C, epsilon)
    for index, mass in enumerate(masses):
        np.testing.assert_allclose(heavy[index].plan / mass, batch[index].plan, atol=1e-5)
        single = otf.sinkhorn(mass * A[index], mass * B[index], C[index], epsilon)
        assert heavy.value[index] == pytest.approx(single.value, rel=1e-6)


# --- Promises of the library.


def test_progress_and_interruption(clouds):
    a, b, x, y = clouds
    seen = []
    otf.sinkhorn(a, b, sqeuclidean(x, y), 0.1, callback=seen.append)
    assert seen[-1].error <= 1e-6
    rng = np.random.default_rng(0)
    cloud = otf.PointCloud(rng.random((3000, 3)), rng.random((3000, 3)))
    with pytest.warns(otf.ConvergenceWarning, match=r"callback"):
        stopped = otf.sinkhorn(None, None, cloud, 1e-2, method="log", tol=1e-15, callback=lambda _: True)
    assert not stopped.converged

    def fail(_):
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        otf.sinkhorn(None, None, cloud, 1e-2, method="log", tol=1e-15, callback=fail)


def test_denormals_are_as_they_were(clouds):
    """Kernels flush denormals to zero; the caller's arithmetic must not."""
    a, b, x, y = clouds
    C = sqeuclidean(x, y)
    tiny = np.float64(5e-324)
    for threads in (1, 2):
        otf.set_num_threads(threads)
        for method in METHODS:
            modes = []

            def note(_, modes=modes):
                modes.append(tiny * 1.0)

            otf.sinkhorn(a, b, C, 1e-3, method=method, tol=1e-4, callback=note)
            assert tiny * 1.0 > 0
            assert all(mode > 0 for mode in modes)


def everything_entropic(a, b, x, y):
    """Return calls of all functions that run kernels, by name."""
    C, cloud = sqeuclidean(x, y), otf.PointCloud(x, y)
    grid = otf.Grid(np.linspace(0, 1, 9), np.linspace(0, 1, 5))
    images = np.random.default_rng(0).dirichlet(np.ones(45), 2)
    path = otf.multimarginal.PairwiseCost(3, {(0, 1): C, (1, 2): C.T.copy()})
    cycle = otf.multimarginal.PairwiseCost(3, {**path.edges, (0, 2): sqeuclidean(x, x)})
    tensor = path.dense()
    result = otf.sinkhorn(a, b, cloud, 1e-3)
    return {
        "cloud": lambda: otf.sinkhorn(a, b, cloud, 1e-3),
        "single": lambda: otf.sinkhorn(a, b, C.astype(np.float32), 1e-3),
        "grid": lambda: otf.sinkhorn(*images, grid, 1e-3),
        "batch": lambda: otf.sinkhorn_batch(a[None], b[None], C, 1e-3),
        "divergence": lambda: otf.sinkhorn_divergence(a, b, x, y, 1e-2),
        "unrolled": lambda: otf.sinkhorn_unrolled(a, b, C, 1e-3, 3).gradient_cost,
        "semidual": lambda: otf.semidual(b, C, 1e-3, a),
        "sag": lambda: otf.sinkhorn_stochastic(a, b, C, 1e-2, n_iter=100, tol=0, rng=0),
        "asgd": lambda: otf.sinkhorn_stochastic(a, b, C, 1e-2, method="asgd", n_iter=100, tol=0, rng=0),
        "plan": lambda: (result.plan, result.apply(y), result.gradient_x(x, y), result.feasible().plan),
        "multimarginal tree": lambda: otf.multimarginal.sinkhorn([a, b, a], path, 1e-2, free=[1]),
        "multimarginal cycle": lambda: otf.multimarginal.sinkhorn([a, b, a], cycle, 1e-2),
        "multimarginal tensor": lambda: otf.multimarginal.sinkhorn([a, b, a], tensor, 1e-2),
        "barycenter": lambda: otf.barycenter.fixed_support(images, grid.dense(), epsilon=1e-2),
        "images": lambda: otf.barycenter.convolutional(images.reshape(2, 9, 5), epsilon=1e-2),
    }


def test_denormals_are_as_they_were_after_every_call(clouds):
    tiny, least = np.float64(5e-324), np.float64(np.finfo(np.float64).tiny)
    for threads in (1, 2):
        otf.set_num_threads(threads)
        for name, call in everything_entropic(*clouds).items():
            call()
            assert tiny * 1.0 > 0, f"{name} takes denormals for zero"
            assert least * 0.5 > 0, f"{name} flushes denormals to zero"


def test_threads_change_nothing(rng):
    x, y = rng.random((900, 2)), rng.random((800, 2))
    for cost in (otf.PointCloud(x, y), sqeuclidean(x, y)):
        for epsilon in (0.1, 1e-2, 1e-3):
            otf.set_num_threads(1)
            one = otf.sinkhorn(None, None, cost, epsilon)
            otf.set_num_threads(2)
            two = otf.sinkhorn(None, None, cost, epsilon)
            np.testing.assert_array_equal(one.potential_a, two.potential_a)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epsilon": 0.0}, "epsilon"),
        ({"epsilon": -1.0}, "epsilon"),
        ({"epsilon": np.nan}, "epsilon"),
        ({"epsilon": np.inf}, "epsilon"),
        ({"epsilon": 1e-306}, "epsilon must be between"),
        ({"epsilon": 1e306}, "epsilon must be between"),
        ({"epsilon": 10**400}, "epsilon"),
        ({"epsilon": np.array([0.1, 0.2])}, "epsilon"),
        ({"C": np.full((2, 3), 1e10), "epsilon": 1e-300}, "epsilon = 1e-300 is too small"),
        ({"epsilon": "hot"}, "epsilon"),
        ({"method": "simplex"}, "'newton'"),
        ({"tol": -1.0}, "tol"),
        ({"max_iter": 0}, "max_iter"),
        ({"max_iter": 2.5}, "max_iter"),
        ({"init": (np.zeros(2), np.zeros(2))}, "init"),
        ({"init": np.zeros(3)}, "init"),
        ({"init": (np.zeros(2), np.array([0.0, np.nan, 0.0]))}, "init"),
        ({"init": (np.zeros(2), np.array([0.0, 1e308, 0.0]))}, "init.* is too large"),
        ({"unbalanced": 0.0}, "unbalanced"),
        ({"unbalanced": (1.0, -1.0)}, "unbalanced"),
        ({"unbalanced": (1.0, 1.0, 1.0)}, "unbalanced"),
        ({"unbalanced": np.nan}, "unbalanced"),
        ({"callback": 3}, "callback"),
        ({"a": [0.5, 0.6]}, "totals of a and b"),
        ({"a": [1e200, 1e200], "b": [1e200, 1e200, 0.0]}, "totals of a and b.* are so large"),
        ({"a": [0.5, np.nan]}, "a must be finite"),
        ({"b": [0.5, -0.1, 0.6]}, "b must not be negative"),
        ({"C": np.full((2, 3), np.nan)}, "C"),
    ],
)
def test_bad_input_is_named(change, message):
    arguments = {"a": None, "b": None, "C": np.ones((2, 3)), "epsilon": 0.1} | change
    with pytest.raises(ValueError, match=message):
        otf.sinkhorn(**arguments)


def test_results_print_pickle_and_copy(clouds):
    a, b, x, y = clouds
    result = otf.sinkhorn(a, b, otf.PointCloud(x, y), 0.1)
    assert "60 x 45" in repr(result)
    assert "atoms" not in repr(result)
    again = pickle.loads(pickle.dumps(result))
    np.testing.assert_array_equal(again.plan, result.plan)
    assert again.value_linear == result.value_linear
