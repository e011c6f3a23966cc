"""Data sets: measures of the promised shape, the same for the same seed."""

import sys

import numpy as np
import pytest

import otfast as otf
from gaussians import fixed_point_residual
from otfast import datasets, gaussian

FAMILIES = {
    "uniform points": lambda rng: datasets.uniform_points(12, rng=rng),
    "weighted points": lambda rng: datasets.uniform_points(12, 17, dim=3, weighted=True, rng=rng),
    "Gaussian points": lambda rng: datasets.gaussian_points(12, weighted=True, rng=rng),
    "smooth images": lambda rng: datasets.smooth_images(6, rng=rng),
    "random costs": lambda rng: datasets.random_costs(12, 9, rng=rng),
    "integer weights": lambda rng: datasets.integer_weights(12, rng=rng),
}


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_problems_are_seeded_and_solvable(family):
    problem, same, other = family(1), family(np.random.default_rng(1)), family(2)
    C = problem.C.dense()
    assert C.shape == (problem.a.size, problem.b.size)
    assert (problem.a > 0.0).all()
    assert problem.a.sum() == pytest.approx(1.0)
    assert problem.b.sum() == pytest.approx(1.0)
    np.testing.assert_array_equal(C, same.C.dense())
    np.testing.assert_array_equal(problem.a, same.a)
    assert not (
        np.array_equal(C, other.C.dense())
        and np.array_equal(problem.a, other.a)
        and np.array_equal(problem.b, other.b)
    )
    assert otf.emd(problem.a, problem.b, problem.C).error <= 1e-12


def test_assignments_are_known_as_such():
    assert datasets.uniform_points(5).is_assignment
    assert not datasets.uniform_points(5, 6).is_assignment
    assert not datasets.uniform_points(5, weighted=True).is_assignment


def test_smooth_images_are_smooth():
    image = datasets.smooth_images(64).a.reshape(64, 64)
    steps = np.abs(np.diff(np.log(image), axis=0))
    assert steps.max() < 0.25 * np.ptp(np.log(image))


def test_integer_weights_are_degenerate():
    problem = datasets.integer_weights(500)
    assert len(np.unique(problem.a)) <= 4
    assert len(np.unique(problem.C.dense())) <= 59


def test_small_problems_are_a_batch():
    A, B, C = datasets.small_problems(7, count=4, rng=3)
    assert C.shape == (4, 7, 7)
    np.testing.assert_allclose(otf.emd_batch(A, B, C).error, 0.0, atol=1e-12)


def test_real_images():
    images, labels = datasets.digits()
    assert images.shape == (1797, 8, 8)
    assert set(labels) == set(range(10))
    for photograph in datasets.photographs().values():
        assert photograph.shape == (427, 640, 3)
        assert photograph.min() >= 0.0
        assert photograph.max() <= 1.0


def test_without_scikit_learn_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ImportError, match=r"pip install 'otfast\[demo\]'"):
        datasets.digits()


LOCATION_SCATTERS = ["gaussian", "cube", "ball", "swiss-roll"]


@pytest.mark.parametrize("family", LOCATION_SCATTERS)
@pytest.mark.parametrize(("dim", "n_measures"), [(2, 3), (5, 4), (128, 2)])
def test_location_scatter_families_have_true_barycenters(family, dim, n_measures):
    """Σ λ_k A_k = I makes the maps optimal; S = Σ λ_k (S^½ S_k S^½)^½; a map and the map back are inverse."""
    problem = datasets.location_scatter(family, dim, n_measures, rng=1)
    np.testing.assert_allclose(
        np.einsum("k,kij->ij", problem.weights, problem.matrices), np.eye(dim), atol=1e-12
    )
    assert np.linalg.eigvalsh(problem.matrices).min() > 0.1
    assert fixed_point_residual(problem.cov, problem.covs, problem.weights) <= 1e-12
    found = gaussian.barycenter(problem.means, problem.covs, problem.weights)
    np.testing.assert_allclose(found.cov, problem.cov, atol=1e-9)
    y = problem.sample_barycenter(50, rng=2)
    for k in range(n_measures):
        np.testing.assert_allclose(problem.to_barycenter(k, problem.from_barycenter(k, y)), y, atol=1e-10)


@pytest.mark.parametrize("family", LOCATION_SCATTERS)
def test_samples_have_the_moments(family):
    problem = datasets.location_scatter(family, 3, 4, rng=1)
    assert tuple(problem.weights) == (0.1, 0.2, 0.3, 0.4)
    for k in range(4):
        x = problem.sample(k, 200_000, rng=k)
        np.testing.assert_allclose(x.mean(axis=0), problem.means[k], atol=0.02)
        np.testing.assert_allclose(np.cov(x.T), problem.covs[k], atol=0.05)
    np.testing.assert_array_equal(x, datasets.location_scatter(family, 3, 4, rng=1).sample(3, 200_000, rng=3))


@pytest.mark.parametrize(
    ("family", "dim", "n_measures", "bar"),
    [
        *((family, 2, 3, 0.002) for family in LOCATION_SCATTERS),
        ("gaussian", 2, 4, 0.002),
        ("gaussian", 64, 3, 0.015),
        ("swiss-roll", 64, 4, 0.015),
    ],
)
def test_moments_of_samples_tell_the_maps(family, dim, n_measures, bar):
    """100 E‖T(x) − T*(x)‖² / Var of the maps to the barycenter, from 1e5 samples, in percent."""
    problem = datasets.location_scatter(family, dim, n_measures, rng=5)
    rng = np.random.default_rng(6)
    samples = [problem.sample(k, 100_000, rng=rng) for k in range(n_measures)]
    maps = datasets.affine_maps(samples, problem.weights)
    errors = []
    for k in range(n_measures):
        x = problem.sample(k, 10_000, rng=rng)
        A, b = (part[k] for part in maps.to_barycenter)
        errors.append(datasets.l2_uvp(x @ A + b, problem.to_barycenter(k, x), np.trace(problem.cov)))
        y = problem.to_barycenter(k, x)
        A, b = (part[k] for part in maps.from_barycenter)
        assert datasets.l2_uvp(y @ A + b, x, np.trace(problem.covs[k])) <= 3 * bar
    assert problem.weights @ errors <= bar


def test_bad_location_scatters():
    with pytest.raises(ValueError, match="family must be one of 'gaussian', 'cube'"):
        datasets.location_scatter("spiral")
    with pytest.raises(ValueError, match="dim must be at least 2"):
        datasets.location_scatter("swiss-roll", 1)
    with pytest.raises(ValueError, match="samples must hold points of one dimension"):
        datasets.affine_maps([np.zeros((3, 2)), np.zeros((3, 3))])
    with pytest.raises(ValueError, match="mapped and truth must have one shape"):
        datasets.l2_uvp(np.zeros((3, 2)), np.zeros((2, 2)), 1.0)


def test_silhouettes_are_uniform_within_their_outlines():
    shapes = datasets.silhouettes(48)
    assert list(shapes) == ["cat", "two disks", "cross", "clover", "ring"]
    for image in shapes.values():
        assert image.shape == (48, 48)
        assert image.sum() == pytest.approx(1.0)
        assert image[[0, -1]].sum() == image[:, [0, -1]].sum() == 0.0
        inside = image == image.max()
        # What is neither inside nor outside is a pixel of the outline.
        assert 0.75 < image[inside].sum() < 1.0
    disks, ring = shapes["two disks"], shapes["ring"]
    np.testing.assert_allclose(disks, disks.T)
    np.testing.assert_allclose(ring, ring[::-1])
    assert (disks > 0.0).sum() * 3 > (ring > 0.0).sum()
    # A disk of radius 0.17 has this area, in pixels.
    assert 1.0 / disks.max() == pytest.approx(2 * np.pi * (0.17 * 48) ** 2, rel=0.01)


def test_nested_ellipses_have_two_thirds_of_their_mass_outside():
    images = datasets.nested_ellipses(4, size=48, rng=3)
    np.testing.assert_allclose(images.sum((1, 2)), 1.0)
    assert (images >= 0.0).all()
    assert ((images > 0.0).mean((1, 2)) < 0.25).all()
    np.testing.assert_array_equal(images, datasets.nested_ellipses(4, size=48, rng=3))
    assert not np.array_equal(images, datasets.nested_ellipses(4, size=48, rng=4))


@pytest.mark.parametrize("draw", [datasets.silhouettes, lambda size: datasets.nested_ellipses(size=size)])
def test_images_of_shapes_have_pixels_enough(draw):
    with pytest.raises(ValueError, match="size must be at least 8"):
        draw(7)
