"""Barycenters of Gaussians: S = Σ λ_k (S^½ S_k S^½)^½, with value Σ λ_k tr S_k − tr S + Σ λ_k ‖m_k − m̄‖²."""

import pickle

import numpy as np
import pytest

import otfast as otf
from gaussians import central_difference, covariances, fixed_point_residual, rotation
from otfast import gaussian


def spread(rng, count, dim, decades):
    """Draw covariances with variances over some orders of magnitude, each in directions of its own."""
    Qs = (rotation(rng, dim) for _ in range(count))
    covs = np.stack([(Q * 10.0 ** -(decades * rng.random(dim))) @ Q.T for Q in Qs])
    return (covs + np.swapaxes(covs, 1, 2)) / 2


def optimal_value(means, covs, weights, cov):
    mean = weights @ means
    return weights @ (np.trace(covs, axis1=1, axis2=2) + np.sum((means - mean) ** 2, axis=1)) - np.trace(cov)


FAMILIES = {
    "line": lambda rng: covariances(rng, 4, dim=1),
    "plane": lambda rng: covariances(rng, 10, dim=2),
    "space": lambda rng: covariances(rng, 5, dim=3),
    "16": lambda rng: covariances(rng, 7, dim=16),
    "40, alike": lambda rng: 5 * np.eye(40) + 0.1 * covariances(rng, 3, dim=40),
    "many inputs": lambda rng: covariances(rng, 200, dim=4),
    "three decades": lambda rng: spread(rng, 6, 8, 3),
    "five decades": lambda rng: spread(rng, 6, 5, 5),
    "needles": lambda rng: np.stack([v @ v.T + 1e-4 * np.eye(9) for v in rng.standard_normal((6, 9, 1))]),
}


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_fixed_point_equation_and_value(rng, family):
    """The equation holds; the value is the sum of distances, and Σ λ_k tr S_k − tr S + Σ λ_k ‖m_k − m̄‖²."""
    covs = family(rng)
    weights = rng.dirichlet(np.ones(len(covs)))
    means = rng.standard_normal((len(covs), covs.shape[-1]))
    result = gaussian.barycenter(means, covs, weights)
    assert result.converged
    assert result.error <= 1e-10
    assert fixed_point_residual(result.cov, covs, weights) <= 2e-10
    np.testing.assert_allclose(result.mean, weights @ means, atol=1e-14)
    np.testing.assert_array_equal(result.cov, result.cov.T)
    scale = weights @ np.trace(covs, axis1=1, axis2=2)
    assert result.value == pytest.approx(optimal_value(means, covs, weights, result.cov), abs=1e-9 * scale)
    direct = weights @ gaussian.wasserstein2(result.mean, result.cov, means, covs) ** 2
    assert result.value == pytest.approx(direct, abs=1e-12 * scale)


def test_no_other_covariance_is_better(rng):
    covs, weights = covariances(rng, 5, dim=3), rng.dirichlet(np.ones(5))
    result = gaussian.barycenter(np.zeros((5, 3)), covs, weights)
    for _ in range(20):
        B = np.eye(3) + 0.1 * rng.standard_normal((3, 3))
        other = B @ result.cov @ B.T
        assert weights @ gaussian.bures_distance((other + other.T) / 2, covs) ** 2 >= result.value


@pytest.mark.parametrize("dim", [1, 2, 3, 6])
def test_commuting_covariances(rng, dim):
    """S = (Σ λ_k S_k^½)², at once."""
    Q, s = rotation(rng, dim), rng.random((4, dim))
    weights = rng.dirichlet(np.ones(4))
    covs = (Q * s[:, None, :]) @ Q.T
    result = gaussian.barycenter(np.zeros((4, dim)), (covs + np.swapaxes(covs, 1, 2)) / 2, weights)
    np.testing.assert_allclose(result.cov, (Q * (weights @ np.sqrt(s)) ** 2) @ Q.T, atol=1e-13)
    assert result.n_iter == 0


@pytest.mark.parametrize("dim", [2, 3, 11])
def test_two_inputs_are_joined_by_a_geodesic(rng, dim):
    """S = ((1 − t) I + t A) S₀ ((1 − t) I + t A), and the value is t (1 − t) W₂²."""
    means, covs = rng.standard_normal((2, dim)), covariances(rng, 2, dim=dim)
    result = gaussian.barycenter(means, covs, [0.7, 0.3])
    mean, cov = gaussian.geodesic(means[0], covs[0], means[1], covs[1], 0.3)
    np.testing.assert_allclose(result.mean, mean, atol=1e-14)
    np.testing.assert_allclose(result.cov, cov, atol=1e-9)
    squared = gaussian.wasserstein2(means[0], covs[0], means[1], covs[1]) ** 2
    assert result.value == pytest.approx(0.21 * squared, rel=1e-9)


def test_equal_inputs_and_one_input_return_it(rng):
    S = covariances(rng, dim=5)
    for count in (1, 4):
        result = gaussian.barycenter(np.ones((count, 5)), np.tile(S, (count, 1, 1)))
        np.testing.assert_allclose(result.cov, S, atol=1e-13)
        assert result.value == pytest.approx(0.0, abs=1e-13)
    result = gaussian.barycenter(np.zeros((3, 5)), covariances(rng, 3, dim=5), [0.0, 1.0, 0.0])
    assert result.value == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("rank", [1, 2, 4])
def test_singular_inputs(rng, rank):
    """The optimal value, Σ λ_k tr S_k − tr S, is at most that of any other covariance tried."""
    covs, weights = covariances(rng, 4, dim=6, rank=rank), rng.dirichlet(np.ones(4))
    result = gaussian.barycenter(np.zeros((4, 6)), covs, weights)
    assert result.converged
    assert result.value == pytest.approx(optimal_value(np.zeros((4, 6)), covs, weights, result.cov), abs=1e-9)
    assert np.linalg.eigvalsh(result.cov).min() > -1e-15
    for size in (1e-3, 0.1):
        for _ in range(10):
            other = result.cov + size * covariances(rng, dim=6, rank=2)
            assert weights @ gaussian.bures_distance(other, covs) ** 2 >= result.value - 1e-12
            B = np.eye(6) - size * covariances(rng, dim=6)
            other = B @ result.cov @ B.T
            other = (other + other.T) / 2
            assert weights @ gaussian.bures_distance(other, covs) ** 2 >= result.value - 1e-12


def test_singular_inputs_in_closed_form():
    """Orthogonal segments have barycenters [[¼, c], [c, ¼]] of value ½; points are averaged."""
    segments = np.array([[[1.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 1.0]]])
    result = gaussian.barycenter(np.zeros((2, 2)), segments)
    np.testing.assert_allclose(np.diag(result.cov), 0.25, atol=1e-12)
    assert result.value == pytest.approx(0.5, abs=1e-12)
    points = gaussian.barycenter([[0.0], [2.0]], np.zeros((2, 1, 1)))
    assert (points.mean, points.cov, points.value, points.converged) == (1.0, 0.0, 1.0, True)
    half = gaussian.barycenter(np.zeros((2, 2)), [np.eye(2), np.zeros((2, 2))])
    np.testing.assert_allclose(half.cov, 0.25 * np.eye(2), atol=1e-12)


def test_inputs_in_a_common_plane(rng):
    """Directions that no input has are not invented: the barycenter is that within the plane."""
    B = rotation(rng, 5)[:, :2]
    inner = covariances(rng, 3, dim=2)
    result = gaussian.barycenter(np.zeros((3, 5)), (B @ inner @ B.T + np.swapaxes(B @ inner @ B.T, 1, 2)) / 2)
    expected = gaussian.barycenter(np.zeros((3, 2)), inner)
    np.testing.assert_allclose(result.cov, B @ expected.cov @ B.T, atol=1e-9)


@pytest.mark.parametrize("scale", [1e-120, 1e120])
def test_scale_does_not_matter(rng, scale):
    covs = covariances(rng, 3, dim=4)
    one, other = (gaussian.barycenter(np.zeros((3, 4)), s * covs) for s in (1.0, scale))
    np.testing.assert_allclose(other.cov / scale, one.cov, rtol=1e-9)
    assert other.value / scale == pytest.approx(one.value, rel=1e-9)


@pytest.mark.parametrize("dim", [2, 3, 4])
def test_a_batch_is_a_loop(rng, dim):
    means, covs = rng.standard_normal((3, 1, 4, dim)), covariances(rng, 3, 2, 4, dim=dim)
    weights = rng.dirichlet(np.ones(4), (2,))
    batch = gaussian.barycenter(means, covs, weights)
    assert batch.mean.shape == (3, 2, dim)
    assert batch.value.shape == batch.converged.shape == batch.n_iter.shape == batch.error.shape == (3, 2)
    u, v = rng.standard_normal((3, 2, dim)), rng.standard_normal((3, 2, dim, dim))
    gradients = batch.vjp(u, v)
    for i, j in np.ndindex(3, 2):
        one = gaussian.barycenter(means[i, 0], covs[i, j], weights[j])
        for name in ("mean", "cov", "value", "converged", "n_iter", "error"):
            np.testing.assert_allclose(getattr(batch, name)[i, j], getattr(one, name), rtol=1e-13, atol=1e-15)
        for found, expected in zip(gradients, one.vjp(u[i, j], v[i, j]), strict=True):
            np.testing.assert_allclose(found[i, j], expected, atol=1e-9)


@pytest.mark.parametrize("dim", [1, 2, 3, 6])
def test_derivatives_are_finite_differences(rng, dim):
    """d⟨u, mean⟩ + d⟨U, cov⟩ = ⟨vjp, d inputs⟩, for weights that need not sum to 1."""
    means, covs = rng.standard_normal((4, dim)), covariances(rng, 4, dim=dim)
    weights = 0.5 + rng.random(4)
    u, U = rng.standard_normal(dim), rng.standard_normal((dim, dim))

    def loss(means, covs, weights):
        result = gaussian.barycenter(means, covs, weights, tol=1e-13, max_iter=30)
        return result.mean @ u + np.sum(result.cov * U)

    gradient = gaussian.barycenter(means, covs, weights).vjp(u, U)
    dm, dS, dw = rng.standard_normal((4, dim)), covariances(rng, 4, dim=dim), rng.standard_normal(4)
    along = central_difference(lambda m: loss(m, covs, weights), means, dm)
    assert along == pytest.approx(np.sum(gradient.means * dm), abs=1e-6)
    along = central_difference(lambda S: loss(means, S, weights), covs, dS)
    assert along == pytest.approx(np.sum(gradient.covs * dS), abs=1e-6)
    along = central_difference(lambda w: loss(means, covs, w), weights, dw)
    assert along == pytest.approx(gradient.weights @ dw, abs=1e-6)


def test_vjp_checks_shapes(rng):
    result = gaussian.barycenter(np.zeros((2, 3)), covariances(rng, 2, dim=3))
    with pytest.raises(ValueError, match=r"cov must have shape \(3, 3\)"):
        result.vjp(cov=np.ones(3))
    with pytest.raises(ValueError, match="mean must be finite"):
        result.vjp(mean=[np.nan, 0.0, 0.0])
    assert not any(part.any() for part in result.vjp())


def test_single_precision_stays_single(rng):
    means, covs = rng.standard_normal((3, 4)).astype(np.float32), covariances(rng, 3, dim=4)
    result = gaussian.barycenter(means, covs.astype(np.float32))
    assert result.mean.dtype == result.cov.dtype == np.float32
    assert isinstance(result.value, np.float32)
    np.testing.assert_allclose(result.cov, gaussian.barycenter(means, covs).cov, rtol=1e-4)
    assert all(part.dtype == np.float32 for part in result.vjp(cov=np.eye(4)))


def test_not_converged_is_said(rng):
    covs = spread(rng, 5, 6, 3)
    with pytest.warns(otf.ConvergenceWarning, match="stopped at max_iter with an error of"):
        result = gaussian.barycenter(np.zeros((5, 6)), covs, max_iter=1)
    assert (result.converged, result.n_iter) == (False, 1)
    assert result.error > 1e-10
    assert "not converged" in repr(result)
    exact = gaussian.barycenter(np.zeros((5, 6)), covs, tol=0, max_iter=7)
    assert (exact.converged, exact.n_iter) == (False, 7)
    with pytest.warns(otf.ConvergenceWarning, match="1 of 2 problems"):
        batch = gaussian.barycenter(np.zeros((2, 5, 6)), [covs, np.tile(np.eye(6), (5, 1, 1))], max_iter=1)
    np.testing.assert_array_equal(batch.converged, [False, True])


def test_the_last_report_is_the_result(rng):
    covs, reports = covariances(rng, 40, dim=30), []
    result = gaussian.barycenter(rng.standard_normal((40, 30)), covs, callback=reports.append)
    assert reports[-1] == (result.n_iter, result.error, result.value)
    batch = gaussian.barycenter(np.zeros((5, 4, 3)), covariances(rng, 5, 4, dim=3), callback=reports.append)
    assert reports[-1] == (5, batch.error.max(), batch.value.sum())


def test_a_callback_stops_and_raises(rng):
    covs = covariances(rng, 100, dim=80)
    with pytest.warns(otf.ConvergenceWarning, match="by the callback"):
        result = gaussian.barycenter(np.zeros((100, 80)), covs, callback=lambda report: True)
    assert not result.converged

    def fail(report):
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        gaussian.barycenter(np.zeros((100, 80)), covs, callback=fail)


def test_results_are_the_same_for_any_number_of_threads(rng):
    covs = covariances(rng, 20, dim=40)
    one = gaussian.barycenter(np.zeros((20, 40)), covs)
    otf.set_num_threads(3)
    np.testing.assert_array_equal(gaussian.barycenter(np.zeros((20, 40)), covs).cov, one.cov)


def test_results_can_be_pickled_and_are_described(rng):
    result = gaussian.barycenter(np.zeros((2, 3)), covariances(rng, 2, dim=3))
    copy = pickle.loads(pickle.dumps(result))
    np.testing.assert_array_equal(copy.cov, result.cov)
    assert repr(result).startswith("GaussianBarycenter(dimension 3, value=")
    assert otf.barycenter.gaussian is gaussian.barycenter


@pytest.mark.parametrize(
    ("means", "covs", "weights", "message"),
    [
        (np.zeros((2, 2)), np.eye(2), None, r"covs must have shape \(…, K, d, d\)"),
        (np.zeros((0, 2)), np.empty((0, 2, 2)), None, r"covs must have shape \(…, K, d, d\)"),
        (np.zeros((3, 2)), [np.eye(2)] * 2, None, r"means must have shape \(…, 2, 2\)"),
        (np.zeros((2, 3)), [np.eye(2)] * 2, None, r"means must have shape \(…, 2\)"),
        (np.zeros((2, 2)), [np.eye(2), -np.eye(2)], None, r"covs\[1\] is not positive semi-definite"),
        (np.zeros((2, 2)), [np.eye(2)] * 2, [1.0, -1.0], r"weights must not be negative"),
        (np.zeros((2, 2)), [np.eye(2)] * 2, [0.0, 0.0], "weights has total mass zero"),
        (np.zeros((2, 2)), [np.eye(2)] * 2, [1.0], r"weights must have shape \(2,\)"),
        (np.zeros((2, 2)), [np.eye(2)] * 2, np.ones((2, 3)), r"weights must have shape \(2,\) or \(…, 2\)"),
        (np.zeros((3, 2, 2)), [np.eye(2)] * 2, np.ones((4, 2)), "leading axes do not fit"),
    ],
)
def test_bad_input(means, covs, weights, message):
    with pytest.raises(ValueError, match=message):
        gaussian.barycenter(means, covs, weights)


def test_bad_options():
    family = np.zeros((2, 2)), [np.eye(2)] * 2
    with pytest.raises(ValueError, match="tol must be finite and at least 0"):
        gaussian.barycenter(*family, tol=-1)
    with pytest.raises(ValueError, match="max_iter must be at least 1"):
        gaussian.barycenter(*family, max_iter=0)
