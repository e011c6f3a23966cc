"""Data sets: measures of the promised shape, the same for the same seed."""

import sys

import numpy as np
import pytest

import otfast as otf
from otfast import datasets

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
