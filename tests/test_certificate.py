"""The second opinion on answers notices what can be wrong with them."""

from dataclasses import replace

import numpy as np
import pytest

import otfast as otf
from otfast._certificate import marginal_error, violation


@pytest.fixture
def solved(rng):
    x, y = rng.random((30, 2)), rng.random((40, 2))
    a, b = rng.dirichlet(np.ones(30)), rng.dirichlet(np.ones(40))
    cost = otf.PointCloud(x, y)
    return otf.emd(a, b, cost), a, b, cost


def test_right_answers_violate_nothing(solved):
    assert violation(*solved) <= 1e-13


def test_blocks_of_rows_cover_the_matrix(solved, monkeypatch):
    monkeypatch.setattr("otfast._certificate._BLOCK_SIZE", 7 * 40)
    test_right_answers_violate_nothing(solved)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda result: replace(result, value=1.001 * result.value),
        lambda result: replace(result, potential_a=result.potential_a + 0.001),
        lambda result: replace(result, potential_b=result.potential_b - 0.001),
        lambda result: replace(result, potential_a=result.potential_a + 0.001 * np.eye(30)[7]),
        lambda result: replace(result, coupling=replace(result.coupling, mass=1.001 * result.coupling.mass)),
        lambda result: replace(result, coupling=replace(result.coupling, cols=result.coupling.cols[::-1])),
    ],
    ids=["value", "f", "g", "one potential", "mass", "atoms"],
)
def test_wrong_answers_are_noticed(solved, spoil):
    result, *problem = solved
    assert violation(spoil(result), *problem) > 1e-5


def test_a_value_of_zero_is_no_division(rng):
    x = rng.random((5, 2))
    assert (
        violation(otf.emd(None, None, otf.PointCloud(x)), np.full(5, 0.2), np.full(5, 0.2), otf.PointCloud(x))
        == 0.0
    )


@pytest.mark.parametrize("block_size", [7 * 40, 1 << 22])
def test_errors_of_marginals_are_those_of_the_plan(rng, monkeypatch, block_size):
    monkeypatch.setattr("otfast._certificate._BLOCK_SIZE", block_size)
    a, b = 3.0 * rng.dirichlet(np.ones(30)), 3.0 * rng.dirichlet(np.ones(40))
    cost = otf.PointCloud(rng.random((30, 2)), rng.random((40, 2)))
    f, g = 0.01 * rng.random(30), 0.01 * rng.random(40)
    plan = a[:, None] * b * np.exp((f[:, None] + g - cost.dense()) / 0.1)
    rows, columns = np.abs(plan.sum(1) - a).sum(), np.abs(plan.sum(0) - b).sum()
    assert marginal_error(f, g, a, b, cost, 0.1) == pytest.approx(max(rows, columns) / 3.0)


def test_points_of_no_mass_may_have_any_potential(rng):
    a, b = np.array([0.0, 0.5, 0.5]), np.array([0.2, 0.0, 0.8])
    C = otf.DenseCost(rng.random((3, 3)))
    result = otf.sinkhorn(a, b, C, 0.1, tol=1e-12)
    f, g = result.potential_a.copy(), result.potential_b.copy()
    f[0], g[1] = np.inf, np.nan
    assert marginal_error(f, g, a, b, C, 0.1) <= 2e-12
