"""Pairs of Gaussians: W₂² = ‖m₀ − m₁‖² + tr S₀ + tr S₁ − 2 tr (S₀^½ S₁ S₀^½)^½, and what follows from it."""

import numpy as np
import pytest

from gaussians import bures_squared, central_difference, covariances, root, rotation
from otfast import gaussian

DIMS = [1, 2, 3, 5, 40]


@pytest.mark.parametrize("dim", DIMS)
def test_distance_is_the_formula(rng, dim):
    """d(S, T)² = tr S + tr T − 2 tr (S^½ T S^½)^½."""
    S, T = covariances(rng, 2, dim=dim)
    assert gaussian.bures_distance(S, T) ** 2 == pytest.approx(bures_squared(S, T), rel=1e-12)
    assert gaussian.bures_distance(T, S) == pytest.approx(gaussian.bures_distance(S, T), rel=1e-12)
    m0, m1 = rng.standard_normal((2, dim))
    expected = np.sqrt(np.sum((m0 - m1) ** 2) + bures_squared(S, T))
    assert gaussian.wasserstein2(m0, S, m1, T) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize("scale", [1e-100, 1.0, 1e100])
def test_distances_of_matrices_that_commute(rng, dim, scale):
    """d(S, T) = ‖S^½ − T^½‖ if ST = TS, at every scale, also where S and T are nearly equal."""
    Q, s = rotation(rng, dim), scale * rng.random(dim)
    for t in (scale * rng.random(dim), s * (1 + 1e-6)):
        S, T = (Q * s) @ Q.T, (Q * t) @ Q.T
        expected = np.linalg.norm(np.sqrt(s) - np.sqrt(t))
        found = gaussian.bures_distance((S + S.T) / 2, (T + T.T) / 2)
        assert found == pytest.approx(expected, rel=1e-6, abs=2e-8 * np.sqrt(scale))


@pytest.mark.parametrize("rank", [0, 1, 3, 6])
def test_equal_covariances_have_no_distance(rng, rank):
    S = covariances(rng, dim=6, rank=rank) if rank else np.zeros((6, 6))
    assert gaussian.bures_distance(S, S) <= 1e-8 * np.sqrt(np.trace(S))


@pytest.mark.parametrize("dim", DIMS)
def test_the_map_pushes_the_first_to_the_second(rng, dim):
    """A S₀ A = S₁, A symmetric and positive, A m₀ + b = m₁; E‖x − A x − b‖² = W₂²."""
    S, T = covariances(rng, 2, dim=dim)
    m0, m1 = rng.standard_normal((2, dim))
    A, b = gaussian.transport_map(m0, S, m1, T)
    np.testing.assert_allclose(A @ S @ A, T, atol=1e-10)
    np.testing.assert_array_equal(A, A.T)
    assert np.linalg.eigvalsh(A).min() > 0
    np.testing.assert_allclose(A @ m0 + b, m1, atol=1e-12)
    B = np.eye(dim) - A
    cost = np.trace(B @ S @ B) + np.sum((m0 - m1) ** 2)
    assert cost == pytest.approx(gaussian.wasserstein2(m0, S, m1, T) ** 2, rel=1e-9)


def test_maps_from_and_to_singular_covariances(rng):
    """A S A = T holds with rank S = d > rank T, and with T inside what S spans through A."""
    regular, thin = covariances(rng, dim=5), covariances(rng, dim=5, rank=2)
    zero = np.zeros(5)
    A, _ = gaussian.transport_map(zero, regular, zero, thin)
    np.testing.assert_allclose(A @ regular @ A, thin, atol=1e-9)
    other = covariances(rng, dim=5, rank=2)
    A, _ = gaussian.transport_map(zero, thin, zero, other)
    np.testing.assert_allclose(A @ thin @ A, other, atol=1e-7)
    A, _ = gaussian.transport_map(zero, np.zeros((5, 5)), zero, regular)
    np.testing.assert_array_equal(A, np.zeros((5, 5)))


@pytest.mark.parametrize("rank", [None, 1])
def test_geodesics_have_constant_speed(rng, rank):
    """W₂(μ_s, μ_t) = |s − t| W₂(μ₀, μ₁)."""
    m0, m1 = rng.standard_normal((2, 4))
    S, T = covariances(rng, 2, dim=4, rank=rank)
    times = np.linspace(0, 1, 5)
    means, covs = gaussian.geodesic(m0, S, m1, T, times)
    np.testing.assert_allclose(covs[[0, -1]], [S, T], atol=1e-12)
    total = gaussian.wasserstein2(m0, S, m1, T)
    for i, s in enumerate(times):
        distances = gaussian.wasserstein2(means[i], covs[i], means, covs)
        np.testing.assert_allclose(distances, np.abs(times - s) * total, atol=1e-6)


def test_geodesics_are_mccanns_interpolation(rng):
    """S_t = ((1 − t) I + t A) S₀ ((1 − t) I + t A)."""
    S, T = covariances(rng, 2, dim=6)
    zero = np.zeros(6)
    A, _ = gaussian.transport_map(zero, S, zero, T)
    B = 0.7 * np.eye(6) + 0.3 * A
    np.testing.assert_allclose(gaussian.geodesic(zero, S, zero, T, 0.3)[1], B @ S @ B, atol=1e-12)


@pytest.mark.parametrize("dim", [1, 2, 3, 7])
def test_gradients_are_finite_differences(rng, dim):
    m0, m1, dm = rng.standard_normal((3, dim))
    S, T, dS = covariances(rng, 3, dim=dim)
    gradient = gaussian.wasserstein2_gradient(m0, S, m1, T)

    def differentiate(function, x, direction):
        return central_difference(lambda x: function(x) ** 2, x, direction)

    w2 = gaussian.wasserstein2
    assert differentiate(lambda m: w2(m, S, m1, T), m0, dm) == pytest.approx(gradient.m0 @ dm, abs=1e-7)
    assert differentiate(lambda m: w2(m0, S, m, T), m1, dm) == pytest.approx(gradient.m1 @ dm, abs=1e-7)
    of_S = differentiate(lambda S: w2(m0, S, m1, T), S, 1e-2 * dS)
    assert of_S == pytest.approx(1e-2 * np.sum(gradient.S0 * dS), abs=1e-7)
    of_T = differentiate(lambda T: w2(m0, S, m1, T), T, 1e-2 * dS)
    assert of_T == pytest.approx(1e-2 * np.sum(gradient.S1 * dS), abs=1e-7)


@pytest.mark.parametrize("dim", [2, 3, 4])
def test_a_batch_is_a_loop(rng, dim):
    m0, m1 = rng.standard_normal((3, 1, dim)), rng.standard_normal((4, dim))
    S, T, t = covariances(rng, 3, 1, dim=dim), covariances(rng, 4, dim=dim), rng.random((3, 4))
    distances = gaussian.wasserstein2(m0, S, m1, T)
    A, b = gaussian.transport_map(m0, S, m1, T)
    means, covs = gaussian.geodesic(m0, S, m1, T, t)
    gradient = gaussian.wasserstein2_gradient(m0, S, m1, T)
    assert distances.shape == (3, 4)
    assert gradient.m1.shape == (3, 4, dim)
    for i, j in np.ndindex(3, 4):
        one = m0[i, 0], S[i, 0], m1[j], T[j]
        assert distances[i, j] == gaussian.wasserstein2(*one)
        for found, expected in zip((A, b), gaussian.transport_map(*one), strict=True):
            np.testing.assert_array_equal(found[i, j], expected)
        for found, expected in zip((means, covs), gaussian.geodesic(*one, t[i, j]), strict=True):
            np.testing.assert_array_equal(found[i, j], expected)
        for found, expected in zip(gradient, gaussian.wasserstein2_gradient(*one), strict=True):
            np.testing.assert_array_equal(found[i, j], expected)


def test_single_precision_stays_single(rng):
    m0, m1 = rng.standard_normal((2, 3)).astype(np.float32)
    S, T = covariances(rng, 2, dim=3).astype(np.float32)
    distance = gaussian.wasserstein2(m0, S, m1, T)
    assert isinstance(distance, np.float32)
    expected = gaussian.wasserstein2(*(x.astype(float) for x in (m0, S, m1, T)))
    assert distance == pytest.approx(expected, rel=1e-6)
    results = *gaussian.transport_map(m0, S, m1, T), *gaussian.geodesic(m0, S, m1, T, 0.5)
    for result in (*results, *gaussian.wasserstein2_gradient(m0, S, m1, T)):
        assert result.dtype == np.float32
    assert isinstance(gaussian.wasserstein2(m0, S.astype(float), m1, T), float)


def test_rounding_is_forgiven_and_inputs_are_not_changed(rng):
    S = covariances(rng, dim=4, rank=2)
    S[0, 1] += 1e-12
    given = S.copy()
    assert gaussian.bures_distance(S - 1e-13 * np.eye(4), S) < 3e-6
    np.testing.assert_array_equal(S, given)


I2, INDEFINITE = np.eye(2), np.array([[1.0, 2.0], [2.0, 1.0]])


@pytest.mark.parametrize(
    ("S", "T", "message"),
    [
        (INDEFINITE, I2, r"S is not positive semi-definite"),
        (-I2, I2, r"S is not positive semi-definite"),
        ([I2, I2, INDEFINITE], I2, r"S\[2\] is not positive semi-definite"),
        (I2, [[1.0, 0.5], [0.4, 1.0]], r"T is not symmetric"),
        (I2, [[[1.0, 0.5], [0.4, 1.0]]] * 2, r"T\[0\] is not symmetric"),
        (I2, [[1.0, np.nan], [np.nan, 1.0]], r"T must be finite, but T\[0, 1\] is nan"),
        (I2, [[np.inf, 0.0], [0.0, 1.0]], "T must be finite"),
        (np.eye(3)[:2], I2, r"S must be square matrices, of shape \(…, d, d\)"),
        (np.ones(3), I2, "S must be square matrices"),
        (np.empty((0, 0)), I2, "S must be square matrices"),
        (I2, np.eye(3), "S and T must be matrices of one size"),
        ([I2] * 2, [I2] * 3, "leading axes do not fit"),
        (I2 * 1j, I2, "S must hold real numbers"),
    ],
)
def test_bad_covariances(S, T, message):
    with pytest.raises(ValueError, match=message):
        gaussian.bures_distance(S, T)


def test_bad_means_and_times():
    with pytest.raises(ValueError, match=r"m1 must have shape \(…, 2\)"):
        gaussian.wasserstein2([0.0, 0.0], I2, [0.0, 0.0, 0.0], I2)
    with pytest.raises(ValueError, match=r"m0 must be finite"):
        gaussian.transport_map([0.0, np.nan], I2, [0.0, 0.0], I2)
    with pytest.raises(ValueError, match=r"t must be in \[0, 1\]"):
        gaussian.geodesic([0.0, 0.0], I2, [0.0, 0.0], I2, 1.5)
    with pytest.raises(ValueError, match="leading axes do not fit"):
        gaussian.geodesic(np.zeros((2, 2)), I2, [0.0, 0.0], I2, [0.1, 0.2, 0.3])


def test_an_empty_batch_is_empty():
    none = np.empty((0, 2, 2))
    assert gaussian.bures_distance(none, I2).shape == (0,)


def test_roots_of_the_tests_are_roots(rng):
    S = covariances(rng, 3, dim=4)
    np.testing.assert_allclose(root(S) @ root(S), S, atol=1e-13)
