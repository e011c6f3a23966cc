"""Barycenters on the line: Q̄ minimises Σ λ_k |Q_k − y|^p at every level; the value is ∫ Σ λ_k |Q_k − Q̄|^p."""

import itertools

import numpy as np
import pytest
from scipy.optimize import linprog, minimize_scalar

import otfast as otf
from otfast.barycenter import quantile

POWERS = [1, 1.1, 1.5, 2, 3, 7.5]


def random_measures(rng, sizes, zeros=True):
    xs = [rng.standard_normal(n) for n in sizes]
    ws = [rng.dirichlet(np.ones(n)) for n in sizes]
    if zeros:
        for w in ws:
            if w.size > 2:
                w[1] = 0.0
                w /= w.sum()
    return xs, ws


def multi_marginal_value(xs, ws, lambdas, p):
    """Solve min ⟨c, π⟩ with c(x_1, …, x_K) = min_y Σ λ_k |x_k − y|^p over all couplings."""
    costs = []
    for x in itertools.product(*xs):
        x = np.array(x)
        if p == 1:
            costs.append(min(lambdas @ np.abs(x - y) for y in x))
        else:
            bounds = (x.min(), x.max() + 1e-9)
            found = minimize_scalar(
                lambda y, x=x: lambdas @ np.abs(x - y) ** p,
                bounds=bounds,
                options={"xatol": 1e-10},
                method="bounded",
            )
            costs.append(found.fun)
    index = np.array(list(itertools.product(*(range(len(x)) for x in xs))))
    rows = [index[:, k] == i for k, x in enumerate(xs) for i in range(len(x))]
    solved = linprog(costs, A_eq=np.array(rows, float), b_eq=np.concatenate(ws), method="highs")
    return solved.fun


@pytest.mark.parametrize("p", POWERS)
def test_value_is_that_of_the_multi_marginal_program(rng, p):
    xs, ws = random_measures(rng, (4, 3, 5))
    lambdas = rng.dirichlet(np.ones(3))
    assert quantile(xs, ws, lambdas, p).value == pytest.approx(
        multi_marginal_value(xs, ws, lambdas, p), rel=1e-7
    )


@pytest.mark.parametrize("p", POWERS)
def test_value_is_the_sum_of_distances_and_no_shift_is_better(rng, p):
    xs, ws = random_measures(rng, (40, 7, 23, 1))
    lambdas = rng.dirichlet(np.ones(4))
    result = quantile(xs, ws, lambdas, p)

    def objective(points):
        distances = [otf.wasserstein_1d(points, x, result.weights, w, p) for x, w in zip(xs, ws, strict=True)]
        return lambdas @ np.array(distances) ** p

    assert result.value == pytest.approx(objective(result.points), rel=1e-10)
    assert result.weights.sum() == pytest.approx(1.0)
    assert (np.diff(result.points) > 0).all()
    for _ in range(5):
        other = result.points + 1e-3 * rng.standard_normal(result.points.size)
        assert objective(other) >= result.value - 1e-12


@pytest.mark.parametrize("p", [1.1, 1.5, 1.9, 2.5, 4, 60])
def test_minimisers_are_exact_to_rounding(rng, p):
    """Σ λ_k sign(y − q_k) |y − q_k|^(p−1) changes its sign within a few units in the last place of y."""
    q, lambdas = rng.standard_normal((5, 1)) * 10, rng.dirichlet(np.ones(5))
    (y,) = quantile(list(q), None, lambdas, p).points
    slope = [
        lambdas @ (np.sign(z - q[:, 0]) * np.abs(z - q[:, 0]) ** (p - 1)) for z in (y - 1e-12, y + 1e-12)
    ]
    assert slope[0] < 0 < slope[1]


def test_two_points_have_a_closed_form():
    """For λ, 1 − λ at 0 and 1: y = (1 − λ)^r / (λ^r + (1 − λ)^r), r = 1/(p − 1)."""
    for p in (1.2, 1.5, 3, 10):
        r = 1 / (p - 1)
        (y,) = quantile([[0.0], [1.0]], None, [0.7, 0.3], p).points
        assert y == pytest.approx(0.3**r / (0.7**r + 0.3**r), rel=1e-13)


def test_medians():
    """p = 1: a weighted median at every level; the middle of all medians where there are many."""
    xs = [[0.0, 10.0], [1.0, 12.0], [5.0, 11.0]]
    np.testing.assert_array_equal(quantile(xs, p=1).points, [1.0, 11.0])
    np.testing.assert_array_equal(quantile(xs, weights=[0.6, 0.2, 0.2], p=1).points, [0.0, 10.0])
    np.testing.assert_array_equal(quantile(xs[:2], p=1).points, [0.5, 11.0])


@pytest.mark.parametrize("p", POWERS)
def test_one_measure_and_equal_measures_return_it(rng, p):
    x, w = np.array([3.0, 1.0, 1.0, 2.0]), np.array([0.25, 0.25, 0.5, 0.0])
    for count in (1, 3):
        result = quantile([x] * count, [w] * count, p=p)
        np.testing.assert_array_equal(result.points, [1.0, 3.0])
        np.testing.assert_allclose(result.weights, [0.75, 0.25])
        assert result.value == 0.0


def test_a_measure_without_weight_does_not_count(rng):
    xs, ws = random_measures(rng, (6, 8, 5))
    with_third = quantile(xs, ws, [0.4, 0.6, 0.0], 1.5)
    without = quantile(xs[:2], ws[:2], [0.4, 0.6], 1.5)
    np.testing.assert_allclose(with_third.points, without.points)
    np.testing.assert_allclose(with_third.weights, without.weights)


@pytest.mark.parametrize("p", [1, 1.5, 2])
def test_a_grid_of_weights_shares_its_pieces(rng, p):
    xs, ws = random_measures(rng, (6, 8, 5))
    grid = rng.dirichlet(np.ones(3), 7)
    many = quantile(xs, ws, grid, p)
    assert len(many) == 7
    for measure, lambdas in zip(many, grid, strict=True):
        one = quantile(xs, ws, lambdas, p)
        assert measure.weights is many[0].weights
        assert measure.value == pytest.approx(one.value, rel=1e-13)
        assert otf.wasserstein_1d(measure.points, one.points, measure.weights, one.weights) <= 1e-14
    corners = quantile(xs, ws, np.eye(3), p)
    for corner, x, w in zip(corners, xs, ws, strict=True):
        assert otf.wasserstein_1d(corner.points, x, corner.weights, w) <= 1e-14


def test_rounding_of_weights_makes_no_atoms():
    """0.1 + 0.2 is not 0.3, but the third piece of one measure ends where that of the other does."""
    result = quantile([[0.0, 1.0, 2.0], [0.0, 2.0]], [[0.1, 0.2, 0.7], [0.3, 0.7]])
    np.testing.assert_array_equal(result.points, [0.0, 0.5, 2.0])
    np.testing.assert_allclose(result.weights, [0.1, 0.2, 0.7])
    tiny = quantile([np.arange(10_001.0)], [np.r_[np.full(10_000, 1e-17), 1.0]])
    assert tiny.weights.sum() == pytest.approx(1.0 + 1e-13, abs=1e-15)


def test_mass_is_kept_and_must_agree(rng):
    result = quantile([[0.0], [1.0, 2.0]], [[3.0], [1.0, 2.0]])
    np.testing.assert_allclose(result.weights, [1.0, 2.0])
    assert result.value == pytest.approx(3.0 * (1 / 3 * 0.25 + 2 / 3 * 1.0))
    with pytest.raises(ValueError, match=r"totals of ws\[0\] and ws\[1\] differ"):
        quantile([[0.0], [1.0]], [[1.0], [2.0]])


def test_many_points_quickly(rng):
    xs = [rng.standard_normal(100_000) for _ in range(3)]
    np.testing.assert_allclose(quantile(xs).points, np.mean([np.sort(x) for x in xs], axis=0), atol=1e-14)


def test_single_precision_stays_single(rng):
    xs = [rng.random(5).astype(np.float32) for _ in range(2)]
    result = quantile(xs)
    assert result.points.dtype == result.weights.dtype == np.float32
    assert isinstance(result.value, np.float32)
    assert quantile([xs[0], xs[1].astype(float)]).points.dtype == np.float64


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([],), "xs is empty"),
        (([[0.0], []],), r"xs\[1\] must be points of shape \(n,\)"),
        (([[[0.0]]],), r"xs\[0\] must be points of shape \(n,\)"),
        (([[np.nan]],), r"xs\[0\] must be finite"),
        (([[0.0], [1.0]], [[1.0]]), "ws must have weights for 2 measures"),
        (([[0.0, 1.0]], [[1.0]]), r"ws\[0\] must have shape \(2,\)"),
        (([[0.0]], [[-1.0]]), r"ws\[0\] must not be negative"),
        (([[0.0]], None, [1.0, 1.0]), r"weights must have shape \(1,\)"),
        (([[0.0]], None, [[[1.0]]]), r"weights must have shape \(1,\), one for each measure, or \(L, 1\)"),
        (([[0.0]], None, None, 0.5), "p must be finite and at least 1"),
        (([[0.0]], None, None, np.inf), "p must be finite and at least 1"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        quantile(*arguments)
