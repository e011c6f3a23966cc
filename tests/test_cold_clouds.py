"""Clouds at low temperature, where blocks of pairs are passed over, have the plans of their matrices."""

import numpy as np
import pytest

import otfast as otf


def clouds(rng, n, m, dim):
    """Clusters of two densities, a few points far from all others, weights over ten orders and some zeros."""
    x, y = (np.concatenate([rng.random((k // 2, dim)), 0.1 * rng.random((k - k // 2, dim))]) for k in (n, m))
    x[::97] += 3.0
    y[::89] -= 2.0
    a, b = 10.0 ** rng.uniform(-10.0, 0.0, n), rng.random(m)
    a[::7] = 0.0
    b[5:40] = 0.0
    order = rng.permutation(n)
    return x[order], y[rng.permutation(m)], a / a.sum(), b / b.sum()


@pytest.mark.parametrize("metric", ["sqeuclidean", "euclidean", "cityblock", "chebyshev"])
@pytest.mark.parametrize("epsilon", [3e-2, 1e-3, 1e-5])
def test_cold_clouds_have_the_plan_of_their_matrix(rng, metric, epsilon):
    x, y, a, b = clouds(rng, 700, 500, 2)
    cost = otf.PointCloud(x, y, metric)
    result = otf.sinkhorn(a, b, cost, epsilon, tol=1e-9, max_iter=2000)
    expected = otf.sinkhorn(a, b, cost.dense(), epsilon, tol=1e-9, max_iter=2000)
    assert result.converged
    P = result.plan
    np.testing.assert_allclose(P.sum(0), b, atol=2e-9)
    np.testing.assert_allclose(P.sum(1), a, atol=2e-9)
    np.testing.assert_allclose(P, expected.plan, atol=2e-8)
    assert result.value == pytest.approx(expected.value, rel=1e-9)


@pytest.mark.parametrize("dim", [1, 3])
def test_few_passes_leave_the_potentials_of_the_matrix(rng, dim):
    """Before potentials are known rows are shifted by guesses: those must not cost a digit."""
    x, y, a, b = clouds(rng, 600, 650, dim)
    cost = otf.PointCloud(x, y)
    for epsilon, n_iter in ((1e-2, 1), (1e-2, 4), (1e-4, 3)):
        results = [
            otf.sinkhorn(
                a, b, C, epsilon, method="log", tol=0, max_iter=n_iter, init=(np.zeros(600), np.zeros(650))
            )
            for C in (cost, cost.dense())
        ]
        np.testing.assert_allclose(results[0].potential_a, results[1].potential_a, atol=1e-9)
        np.testing.assert_allclose(results[0].potential_b, results[1].potential_b, atol=1e-9)


def test_single_precision_and_warm_starts(rng):
    x, y, a, b = clouds(rng, 800, 900, 2)
    cost = otf.PointCloud(x.astype("float32"), y.astype("float32"))
    result = otf.sinkhorn(a, b, cost, 2e-3, tol=1e-4)
    assert result.converged
    assert result.potential_a.dtype == np.float32
    double = otf.sinkhorn(a, b, otf.PointCloud(x, y), 2e-3, tol=1e-8)
    assert result.value == pytest.approx(double.value, rel=1e-4)
    again = otf.sinkhorn(
        a, b, otf.PointCloud(x, y), 2e-3, tol=1e-8, init=(double.potential_a, double.potential_b)
    )
    assert again.converged
    assert again.n_iter <= 2


def test_a_dense_neighbourhood_is_kept_in_blocks(rng):
    """Where a tenth of the pairs matters, products with the plan are made of whole blocks."""
    x, y = rng.random((3000, 2)), rng.random((2500, 2))
    a, b = rng.random(3000), rng.random(2500)
    a, b = a / a.sum(), b / b.sum()
    cost = otf.PointCloud(x, y)
    result = otf.sinkhorn(a, b, cost, 5e-3, tol=1e-7)
    assert result.converged
    assert result.n_iter <= 12, "Newton's steps need a good Hessian"
    expected = otf.sinkhorn(a, b, cost.dense(), 5e-3, tol=1e-7)
    assert result.value == pytest.approx(expected.value, rel=1e-10)
    assert abs(result.plan.sum(0) - b).sum() <= 1.1e-7


@pytest.mark.parametrize("light", [1e-12, 1e-25, 1e-60, 1e-200])
@pytest.mark.parametrize("side", [0, 1])
def test_light_points_are_not_passed_over(rng, light, side):
    """A light column lives of entries that none of its rows feels, and a light row the other way round."""
    points = rng.random((700, 2)), rng.random((900, 2))
    weights = [rng.random(700), rng.random(900)]
    weights[side][points[side][:, 0] < 0.5] *= light
    a, b = (w / w.sum() for w in weights)
    cost = otf.PointCloud(*points)
    for epsilon in (1e-3, 9e-3):
        result = otf.sinkhorn(a, b, cost, epsilon, tol=1e-9)
        expected = otf.sinkhorn(a, b, cost.dense(), epsilon, tol=1e-9)
        assert result.converged
        assert result.n_iter <= expected.n_iter + 10
        assert result.value == pytest.approx(expected.value, rel=1e-8)
