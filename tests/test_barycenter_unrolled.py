"""Derivatives of barycenters through their iterations, and coordinates."""

import pickle

import numpy as np
import pytest

import otfast as otf


def setting(seed, n=11, m=9, k=3):
    rng = np.random.default_rng(seed)
    B = rng.dirichlet(np.ones(m), k)
    B[0, 2] = 0.0
    B /= B.sum(1, keepdims=True)
    C = (rng.random((n, 1)) - rng.random((1, m))) ** 2
    return B, C, rng.dirichlet(np.ones(k)), rng


@pytest.mark.parametrize("epsilon", [0.1, 1e-3])
@pytest.mark.parametrize("n_iter", [1, 2, 3, 10])
def test_it_is_what_the_solver_does(epsilon, n_iter):
    B, C, weights, _ = setting(0)
    unrolled = otf.barycenter.barycenter_unrolled(B, C, weights, epsilon=epsilon, n_iter=n_iter)
    solved = otf.barycenter.fixed_support(B, C, weights, epsilon=epsilon, tol=0, max_iter=n_iter)
    np.testing.assert_allclose(unrolled.weights, solved.weights, rtol=1e-9, atol=1e-300)


@pytest.mark.parametrize("epsilon", [0.3, 0.02])
@pytest.mark.parametrize("n_iter", [1, 2, 7])
def test_derivatives_are_those_of_finite_differences(epsilon, n_iter):
    """d⟨u, w_L⟩ in λ and, at constant mass, in B; zero entries of B included."""
    B, C, weights, rng = setting(1)
    u = rng.normal(size=len(C))

    def loss(of_weights, of_B):
        unrolled = otf.barycenter.barycenter_unrolled(of_B, C, of_weights, epsilon=epsilon, n_iter=n_iter)
        return u @ unrolled.weights

    result = otf.barycenter.barycenter_unrolled(B, C, weights, epsilon=epsilon, n_iter=n_iter)
    gradient_weights, gradient_B = result.vjp(u)
    h = 1e-5
    for k in range(3):
        step = h * np.eye(3)[k]
        slope = (loss(weights + step, B) - loss(weights - step, B)) / (2 * h)
        assert gradient_weights[k] == pytest.approx(slope, rel=1e-5, abs=1e-8)
        change = rng.random(9)
        change[2 if k == 0 else 0] = 0.0
        change -= change.sum() * np.eye(9)[4]
        step = np.zeros_like(B)
        step[k] = h * change
        slope = (loss(weights, B + step) - loss(weights, B - step)) / (2 * h)
        assert (gradient_B[k] * change).sum() == pytest.approx(slope, rel=1e-5, abs=1e-8)
    # Into the zero only one side is open.
    step = np.zeros_like(B)
    step[0, 2], step[0, 4] = h, -h
    slope = (4 * loss(weights, B + step) - loss(weights, B + 2 * step) - 3 * loss(weights, B)) / (2 * h)
    assert gradient_B[0, 2] - gradient_B[0, 4] == pytest.approx(slope, rel=1e-4, abs=1e-7)


def test_results_can_be_pickled():
    B, C, weights, rng = setting(4)
    result = otf.barycenter.barycenter_unrolled(B, C, weights, epsilon=0.1, n_iter=5)
    u = rng.normal(size=len(C))
    again = pickle.loads(pickle.dumps(result))
    np.testing.assert_array_equal(again.vjp(u)[0], result.vjp(u)[0])


def test_weights_need_not_be_scaled():
    """The gradient is that of the function as it was called: λ of any sum."""
    B, C, weights, rng = setting(2)
    u = rng.normal(size=len(C))
    once = otf.barycenter.barycenter_unrolled(B, C, weights, epsilon=0.1, n_iter=5).vjp(u)[0]
    twice = otf.barycenter.barycenter_unrolled(B, C, 2 * weights, epsilon=0.1, n_iter=5).vjp(u)[0]
    np.testing.assert_allclose(twice, once / 2, rtol=1e-12)
    assert once @ weights == pytest.approx(0.0, abs=1e-14)


@pytest.mark.parametrize("loss", ["sqeuclidean", "kl", "wasserstein"])
def test_coordinates_of_a_barycenter_are_its_weights(loss):
    """target = b^(L)(λ*) ⇒ loss 0 at λ*."""
    x = np.linspace(0, 1, 30)
    B = np.stack([np.exp(-((x - c) ** 2) / (2 * s * s)) for c, s in ((0.2, 0.05), (0.5, 0.1), (0.8, 0.07))])
    B /= B.sum(1, keepdims=True)
    truth = np.array([0.5, 0.2, 0.3])
    options = {"epsilon": 0.01, "n_iter": 15}
    target = otf.barycenter.barycenter_unrolled(B, otf.Grid(x), truth, **options).weights
    found = otf.barycenter.coordinates(target, B, otf.Grid(x), loss=loss, **options)
    np.testing.assert_allclose(found.weights, truth, atol=1e-4)
    assert found.loss == pytest.approx(0.0, abs=1e-8)
    assert found.history[-1] == found.loss
    np.testing.assert_allclose(found.fit, target, atol=1e-5)
    assert found.converged


def test_coordinates_of_a_corner_and_of_something_else():
    """A measure's own barycenter has the coordinates 1, 0, 0; others are a projection on the simplex."""
    B, _, _, rng = setting(3, m=11)
    grid = otf.Grid(np.linspace(0, 1, 11))
    options = {"epsilon": 0.02, "n_iter": 10}
    corner = otf.barycenter.barycenter_unrolled(B, grid, [1, 0, 0], **options).weights
    found = otf.barycenter.coordinates(corner, B, grid, **options)
    np.testing.assert_allclose(found.weights, [1, 0, 0], atol=1e-4)
    target = rng.dirichlet(np.ones(11))
    found = otf.barycenter.coordinates(target, B, grid, **options)
    assert found.weights.sum() == pytest.approx(1.0)
    assert (found.weights >= 0.0).all()
    for other in rng.dirichlet(np.ones(3), 20):
        fit = otf.barycenter.barycenter_unrolled(B, grid, other, **options).weights
        assert ((fit - target) ** 2).sum() >= found.loss - 1e-9


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"target": [0.5, 0.5]}, "target"),
        ({"target": [0.5, np.nan, 0.5]}, "target"),
        ({"target": [0.5, 0.5, 0.5]}, "same mass"),
        ({"measures": [[0.5, 0.5]]}, "measures"),
        ({"loss": "l7"}, "sqeuclidean"),
        ({"epsilon": -1.0}, "epsilon"),
        ({"n_iter": 0}, "n_iter"),
        ({"C": np.zeros((4, 3))}, "target"),
    ],
)
def test_bad_input_is_named(change, message):
    given = {"target": [0.5, 0.25, 0.25], "measures": np.full((2, 3), 1 / 3), "C": otf.Grid([0.0, 0.5, 1.0])}
    arguments = {"epsilon": 0.1, "n_iter": 3} | given | change
    with pytest.raises(ValueError, match=message):
        otf.barycenter.coordinates(**arguments)
    with pytest.raises(ValueError, match="u must"):
        otf.barycenter.barycenter_unrolled([[1.0]], [[0.0]], epsilon=1.0, n_iter=1).vjp([1.0, 2.0])
