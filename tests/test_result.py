"""Results multiply, project, differentiate, print, copy and pickle as their plan does."""

import copy
import dataclasses
import pickle

import numpy as np
import pytest
from scipy import sparse

import otfast as otf
from certificates import random_weights, sqeuclidean


@pytest.fixture
def problem(rng):
    a, b = random_weights(rng, 9), random_weights(rng, 7)
    return a, b, sqeuclidean(rng.random((9, 2)), rng.random((7, 2)))


@pytest.fixture
def result(problem):
    return otf.emd(*problem)


def test_values(problem, result):
    assert result.value == result.value_linear
    assert result.value == pytest.approx((result.plan * problem[2]).sum(), rel=1e-14)
    assert type(result.value) is float
    assert type(result.error) is float
    assert type(result.n_iter) is int
    assert type(result.converged) is bool


def test_plans_agree(result):
    assert result.shape == (9, 7)
    plan, sparse_plan = result.plan, result.sparse_plan
    assert plan.shape == (9, 7)
    assert isinstance(sparse_plan, sparse.coo_array)
    np.testing.assert_array_equal(sparse_plan.toarray(), plan)
    assert sparse_plan.nnz == np.count_nonzero(plan)


def test_plans_are_new_at_each_access(result):
    before = result.plan
    result.plan[:] = 0
    result.sparse_plan.data[:] = 0
    np.testing.assert_array_equal(result.plan, before)


def test_products(rng, result):
    for tail in ((), (3,), (1,)):
        v, u = rng.normal(size=(7, *tail)), rng.normal(size=(9, *tail))
        np.testing.assert_allclose(result.apply(v), result.plan @ v, atol=1e-15)
        np.testing.assert_allclose(result.apply_transpose(u), result.plan.T @ u, atol=1e-15)
    np.testing.assert_allclose(result.apply(np.ones(7, int)), result.a, atol=1e-15)
    np.testing.assert_allclose(result.apply_transpose([1] * 9), result.b, atol=1e-15)
    for wrong in (np.ones(9), np.ones((9, 7)), np.ones((7, 1, 1)), 1.0):
        with pytest.raises(ValueError, match=r"v must have shape \(7,\) or \(7, k\)"):
            result.apply(wrong)
    with pytest.raises(ValueError, match=r"u must have shape \(9,\)"):
        result.apply_transpose(np.ones(7))


def test_barycentric_projection(rng, problem, result):
    y = rng.normal(size=(7, 2))
    expected = (result.plan @ y) / problem[0][:, None]
    np.testing.assert_allclose(result.barycentric_projection(y), expected, rtol=1e-12)
    np.testing.assert_allclose(result.barycentric_projection(y[:, 0]), expected[:, 0], rtol=1e-12)


def test_a_permutation_projects_onto_the_other_points(rng):
    x = rng.random((8, 2))
    order = rng.permutation(8)
    result = otf.emd(None, None, otf.PointCloud(x, x[order]))
    np.testing.assert_allclose(result.barycentric_projection(x[order]), x, atol=1e-14)


def test_the_projection_of_a_row_without_mass_is_nan():
    result = otf.emd([0.0, 1.0], [0.5, 0.5], [[0.0, 1.0], [1.0, 0.0]])
    np.testing.assert_array_equal(result.barycentric_projection([2.0, 4.0]), [np.nan, 3.0])


def test_gradients_are_the_potentials_with_f_centred(problem, result):
    a, b, _ = problem
    assert result.gradient_a @ a == pytest.approx(0.0, abs=1e-15)
    np.testing.assert_allclose(
        result.gradient_a[:, None] + result.gradient_b,
        result.potential_a[:, None] + result.potential_b,
        atol=1e-14,
    )
    assert result.gradient_b @ b == pytest.approx(result.value, rel=1e-12)
    np.testing.assert_array_equal(result.gradient_cost, result.plan)


def test_gradients_are_derivatives(rng, problem, result):
    # The value is piecewise linear, and a generic point is inside a piece.
    a, b, cost = problem
    step = 1e-7
    for _ in range(5):
        direction = rng.normal(size=9)
        direction -= direction.mean()
        rise = otf.emd(a + step * direction, b, cost).value - otf.emd(a - step * direction, b, cost).value
        assert rise / (2 * step) == pytest.approx(result.gradient_a @ direction, rel=1e-5, abs=1e-8)
        direction = rng.normal(size=7)
        direction -= direction.mean()
        rise = otf.emd(a, b + step * direction, cost).value - otf.emd(a, b - step * direction, cost).value
        assert rise / (2 * step) == pytest.approx(result.gradient_b @ direction, rel=1e-5, abs=1e-8)
        direction = rng.normal(size=cost.shape)
        rise = otf.emd(a, b, cost + step * direction).value - otf.emd(a, b, cost - step * direction).value
        assert rise / (2 * step) == pytest.approx(
            (result.gradient_cost * direction).sum(), rel=1e-5, abs=1e-8
        )


def test_gradients_hold_when_the_mass_changes(problem, result):
    a, b, cost = problem
    grown = otf.emd(1.25 * a, 1.25 * b, cost).value
    assert grown - result.value == pytest.approx(
        0.25 * (result.gradient_a @ a + result.gradient_b @ b), rel=1e-11
    )


def test_repr(result):
    text = repr(result)
    assert text.startswith("Transport(value=")
    for part in (
        "shape=9 x 7",
        f"atoms={result.sparse_plan.nnz}",
        "converged=True",
        f"n_iter={result.n_iter}",
    ):
        assert part in text


def test_results_are_frozen(result):
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.value = 0.0


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda r: pickle.loads(pickle.dumps(r))])
def test_copies(result, duplicate):
    twin = duplicate(result)
    assert type(twin) is otf.Transport
    assert repr(twin) == repr(result)
    for name in ("plan", "potential_a", "potential_b", "a", "b"):
        np.testing.assert_array_equal(getattr(twin, name), getattr(result, name))


def test_single_precision_all_over(rng, problem):
    a, b, cost = problem
    result = otf.emd(a, b, cost.astype(np.float32))
    for array in (
        result.value,
        result.value_linear,
        result.potential_a,
        result.potential_b,
        result.plan,
        result.sparse_plan,
        result.gradient_a,
        result.gradient_b,
        result.apply(np.ones(7, np.float32)),
        result.barycentric_projection(np.ones((7, 2), np.float32)),
    ):
        assert array.dtype == np.float32
    assert otf.emd(a.astype(np.float32), b, cost).plan.dtype == np.float64


def test_progress_is_a_named_tuple():
    iteration, error, value = otf.Progress(3, 0.5, 2.0)
    assert otf.Progress(iteration=3, error=0.5, value=2.0) == (iteration, error, value)
