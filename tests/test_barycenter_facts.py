"""Facts about barycenters that join several functions."""

import numpy as np
import pytest
from scipy import linalg, optimize
from scipy.special import ndtri

import otfast as otf


def densities(x, means, deviations):
    each = zip(means, deviations, strict=True)
    B = np.stack([np.exp(-((x - m) ** 2) / (2 * s * s)) for m, s in each])
    return B / B.sum(1, keepdims=True)


@pytest.mark.parametrize("weight", [0.5, 0.25, 0.8])
def test_two_measures(weight):
    """K = 2, p = 2: V = λ₁ λ₂ W₂², and the mean is Σ λ_k m_k; on the line, by the program, for Gaussians."""
    rng = np.random.default_rng(0)
    xs, ws = [rng.normal(size=6), rng.normal(1.0, 2.0, size=5)], [rng.dirichlet(np.ones(n)) for n in (6, 5)]
    weights = np.array([weight, 1.0 - weight])
    product = weight * (1.0 - weight)
    distance = otf.wasserstein_1d(*xs, *ws, p=2)
    line = otf.barycenter.quantile(xs, ws, weights)
    assert line.value == pytest.approx(product * distance**2)
    means = [x @ w for x, w in zip(xs, ws, strict=True)]
    assert line.points @ line.weights == pytest.approx(weights @ means)

    costs = [(line.points[:, None] - x[None]) ** 2 for x in xs]
    program = otf.barycenter.fixed_support(ws, costs, weights, method="lp", tol=1e-9)
    assert program.value == pytest.approx(line.value, rel=1e-7)

    A = rng.normal(size=(2, 3, 3))
    covs, mu = A @ A.swapaxes(1, 2), rng.normal(size=(2, 3))
    joint = otf.gaussian.barycenter(mu, covs, weights)
    assert joint.value == pytest.approx(
        product * otf.gaussian.wasserstein2(mu[0], covs[0], mu[1], covs[1]) ** 2
    )
    np.testing.assert_allclose(joint.mean, weights @ mu)


def test_coordinates_on_the_line_are_those_of_quantiles():
    """W₂²(b(λ), q) = ∫ (Σ λ_k Q_k − Q)² on the line: a quadratic program in λ, the limit of small ε."""
    x = np.linspace(0.0, 1.0, 150)
    means, deviations = np.array([0.2, 0.5, 0.75]), np.array([0.04, 0.09, 0.05])
    B, target = densities(x, means, deviations), densities(x, [0.4], [0.08])[0]
    levels = (np.arange(2000) + 0.5) / 2000
    quantiles = means[:, None] + deviations[:, None] * ndtri(levels)
    wanted = 0.4 + 0.08 * ndtri(levels)
    exact = optimize.minimize(
        lambda weights: ((weights @ quantiles - wanted) ** 2).mean(),
        np.full(3, 1 / 3),
        bounds=[(0, 1)] * 3,
        constraints={"type": "eq", "fun": lambda weights: weights.sum() - 1.0},
        options={"ftol": 1e-14},
    ).x
    found = otf.barycenter.coordinates(
        target, B, otf.Grid(x), epsilon=1e-3, n_iter=60, loss="wasserstein", tol=1e-4
    )
    np.testing.assert_allclose(found.weights, exact, atol=0.03)


def test_heat_on_a_graph_as_the_kernel():
    """On a cycle, the barycenter of two points lies on the shorter arc, symmetric about its middle."""
    n = 40
    laplacian = 2.0 * np.eye(n) - np.roll(np.eye(n), 1, axis=0) - np.roll(np.eye(n), -1, axis=0)
    heat = linalg.expm(-2.0 * laplacian)
    points = np.eye(n)[[35, 3]]
    result = otf.barycenter.convolutional(
        points, epsilon=8.0, operator=lambda v: heat @ v, axes=[np.arange(n)]
    )
    w = result.weights
    assert np.argmax(w) == 39
    np.testing.assert_allclose(np.roll(w, 20 - 39), np.roll(w, 20 - 39)[(40 - np.arange(n)) % n], atol=1e-10)
    assert w[[37, 38, 39, 0, 1]].sum() > 0.7
