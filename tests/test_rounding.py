"""Feasible plans from entropic ones, and bounds of the exact optimum on both sides."""

import pickle

import numpy as np
import pytest

import otfast as otf
from certificates import EPS, random_weights
from otfast._rounding import RoundedCoupling

INF = np.inf


@pytest.fixture
def problem(rng):
    """Return weights with zeros, and costs between points."""
    a, b = random_weights(rng, 40), random_weights(rng, 30)
    a[:4] = b[5:9] = 0
    C = otf.PointCloud(rng.normal(size=(40, 2)), rng.normal(size=(30, 2)))
    return a / a.sum(), b / b.sum(), C


@pytest.mark.parametrize("tol", [0.3, 1e-6])
@pytest.mark.parametrize("epsilon", [10.0, 0.3, 0.01])
@pytest.mark.parametrize("mass", [1.0, 7.0])
def test_bounds_of_the_exact_value(problem, epsilon, tol, mass):
    a, b, C = problem
    a, b = mass * a, mass * b
    exact = otf.emd(a, b, C)
    result = otf.sinkhorn(a, b, C, epsilon, tol=tol)
    bound = result.feasible()
    plan, costs = bound.plan, C.dense()
    assert bound.converged
    assert (plan >= 0).all()
    np.testing.assert_allclose(plan.sum(axis=1), a, atol=1e-14 * mass)
    np.testing.assert_allclose(plan.sum(axis=0), b, atol=1e-14 * mass)
    assert bound.value == pytest.approx(float((plan * costs).sum()), rel=1e-12)
    assert bound.value == bound.value_linear

    f, g = bound.potential_a, bound.potential_b
    assert (f[:, None] + g - costs).max() <= 8 * EPS * (np.abs(f).max() + np.abs(g).max())
    dual = f @ a + g @ b
    assert dual <= exact.value * (1 + 1e-12) <= bound.value * (1 + 2e-12)
    assert bound.error == pytest.approx((bound.value - dual) / max(bound.value, abs(dual)), rel=1e-9)


def test_moves_little(problem):
    """Lemma 7 of Altschuler, Weed and Rigollet: at most twice the violation of the marginals."""
    a, b, C = problem
    with pytest.warns(otf.ConvergenceWarning):
        result = otf.sinkhorn(a, b, C, 0.3, max_iter=3, method="log")
    plan, rounded = result.plan, result.feasible().plan
    violation = np.abs(plan.sum(axis=1) - a).sum() + np.abs(plan.sum(axis=0) - b).sum()
    assert violation > 1e-3
    assert np.abs(plan - rounded).sum() <= 2 * violation


def test_bounds_meet_at_low_temperature(problem):
    a, b, C = problem
    errors = [otf.sinkhorn(a, b, C, epsilon).feasible().error for epsilon in (1.0, 0.1, 0.01, 1e-4)]
    assert errors[0] > errors[1] > errors[2] > errors[3]
    assert errors[3] < 1e-3


def test_the_form_it_is_kept_in(problem, rng):
    a, b, C = problem
    bound = otf.sinkhorn(a, b, C, 0.3, tol=0.1).feasible()
    assert isinstance(bound.coupling, RoundedCoupling)
    plan = bound.plan
    v, V, U = rng.normal(size=30), rng.normal(size=(30, 3)), rng.normal(size=(40, 2))
    np.testing.assert_allclose(bound.apply(v), plan @ v, atol=1e-14)
    np.testing.assert_allclose(bound.apply(V), plan @ V, atol=1e-14)
    np.testing.assert_allclose(bound.apply_transpose(U), plan.T @ U, atol=1e-14)
    np.testing.assert_allclose(bound.apply_transpose(U[:, 0]), plan.T @ U[:, 0], atol=1e-14)
    np.testing.assert_array_equal(bound.coupling.rows(3, 9), plan[3:9])
    np.testing.assert_array_equal(bound.sparse_plan.toarray(), plan)
    np.testing.assert_allclose(
        bound.gradient_x(C.x, C.y), 2 * (plan.sum(axis=1)[:, None] * C.x - plan @ C.y), atol=1e-13
    )
    assert bound.feasible() is bound
    clone = pickle.loads(pickle.dumps(bound))
    np.testing.assert_array_equal(clone.plan, plan)


def test_dense_costs_and_large_ones(rng):
    """Several chunks of rows, stored and not."""
    x, y = rng.normal(size=(700, 2)), rng.normal(size=(900, 2))
    C = otf.PointCloud(x, y)
    result = otf.sinkhorn(None, None, C, 0.5, tol=0.05)
    bound = result.feasible()
    assert bound.converged
    otf.set_num_threads(2)
    again = result.feasible()
    assert (again.value, again.error) == (bound.value, bound.error)
    stored = otf.sinkhorn(None, None, C.dense(), 0.5, tol=1e-8).feasible()
    loose = otf.sinkhorn(None, None, C, 0.5, tol=1e-8).feasible()
    assert stored.value == pytest.approx(loose.value, rel=1e-6)
    assert stored.error == pytest.approx(loose.error, rel=1e-4)


def test_forbidden_pairs(problem):
    a, b, C = problem
    costs = C.dense()
    costs[np.arange(30), np.arange(30)] = INF
    exact = otf.emd(a, b, costs)
    bound = otf.sinkhorn(a, b, costs, 0.3, tol=0.1).feasible()
    assert (bound.value, bound.error, bound.converged) == (INF, INF, False)
    f, g = bound.potential_a, bound.potential_b
    assert np.isfinite(f).all()
    assert np.isfinite(g).all()
    assert (f[:, None] + g - costs).max() <= 1e-12
    assert f @ a + g @ b <= exact.value

    blocks = np.array([[1.0, INF], [INF, 2.0]])  # the plan has its marginals at once
    bound = otf.sinkhorn([0.25, 0.75], [0.25, 0.75], blocks, 0.3).feasible()
    assert bound.converged
    assert bound.value == pytest.approx(1.75)
    assert bound.error < 1e-12


def test_points_without_weight_or_way():
    C = np.array([[1.0, INF, INF], [2.0, 0.5, INF], [INF, INF, INF]])
    bound = otf.sinkhorn([0.5, 0.5, 0.0], [0.75, 0.25, 0.0], C, 0.2, tol=1e-13).feasible()
    f, g = bound.potential_a, bound.potential_b
    assert np.isfinite(f).all()
    assert np.isfinite(g).all()
    assert (f[:, None] + g <= C + 1e-15).all()
    assert 1.0 <= f @ [0.5, 0.5, 0.0] + g @ [0.75, 0.25, 0.0] <= 1.125  # the exact value


def test_weights_without_mass_do_not_weaken_the_bound():
    """A cheap point without weight does not lower the potentials of the others."""
    C = np.array([[1.0, 2.0, -50.0], [2.0, 1.0, -50.0], [-50.0, -50.0, 0.0]])
    bound = otf.sinkhorn([0.5, 0.5, 0.0], [0.5, 0.5, 0.0], C, 0.01).feasible()
    f, g = bound.potential_a, bound.potential_b
    assert f @ [0.5, 0.5, 0.0] + g @ [0.5, 0.5, 0.0] == pytest.approx(1.0)
    assert (f[:, None] + g <= C + 1e-12).all()


def test_single_precision_stays(problem):
    a, b, C = problem
    single = otf.PointCloud(C.x.astype(np.float32), C.y.astype(np.float32))
    exact = otf.emd(a, b, C)
    for epsilon in (1.0, 0.005):
        bound = otf.sinkhorn(a, b, single, epsilon).feasible()
        assert bound.converged
        assert isinstance(bound.value, np.float32)
        for array in (bound.potential_a, bound.plan, bound.apply(np.ones(30)), bound.gradient_x(C.x, C.y)):
            assert array.dtype == np.float32
        np.testing.assert_allclose(bound.plan.sum(axis=1), a, atol=1e-6)
        np.testing.assert_allclose(bound.plan.sum(axis=0), b, atol=1e-6)
        assert bound.value >= exact.value * (1 - 1e-5)


def test_what_has_no_such_plan(problem):
    a, b, C = problem
    exact = otf.emd(a, b, C)
    assert exact.feasible() is exact
    for unbalanced in (1.0, (INF, 1.0)):
        result = otf.sinkhorn(a, b, C, 0.5, unbalanced=unbalanced)
        with pytest.raises(ValueError, match="unbalanced=None"):
            result.feasible()
    assert otf.sinkhorn(a, b, C, 0.5, unbalanced=INF).feasible().converged
