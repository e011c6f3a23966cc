"""Exact barycenters on a fixed support: the whole linear program, certificates, ties, degenerate inputs."""

import math

import numpy as np
import pytest

from otfast import _core
from otfast.barycenter import _certified
from otfast.barycenter._certified import solve
from otfast.barycenter._interior_point import interior_point
from otfast.barycenter._linear_program import Pairs, all_pairs, linear_program
from otfast.barycenter._smoothed_dual import smoothed_duals
from otfast.cost import DenseCost, Grid, PointCloud
from otfast.errors import InfeasibleError
from processes import needs_signals, seconds_to_interrupt

METHODS = ("program", "interior-point", "smoothed")


@pytest.fixture
def method(request, monkeypatch):
    """Send problems of any size the way of one method."""
    if request.param != "program":
        monkeypatch.setattr(_certified, "_FEW_PAIRS", 0)
    if request.param == "smoothed":
        monkeypatch.setattr(_certified, "_MOST_MEMORY", 0.0)
    return request.param


def random_histogram(rng, size, zeros=0.3):
    b = rng.exponential(size=size) * (rng.random(size) > zeros)
    b[rng.integers(size)] += 1.0
    return b / b.sum()


def random_problem(rng, n_measures, n, sizes):
    measures = [random_histogram(rng, m) for m in sizes]
    costs = [DenseCost(rng.random((n, m))) for m in sizes]
    return measures, costs, rng.dirichlet(np.full(n_measures, 2.0))


def optimum(measures, costs, weights):
    used = [k for k, weight in enumerate(weights) if weight > 0.0]
    measures = [measures[k] for k in used]
    costs = [costs[k] for k in used]
    pairs = [all_pairs(cost, b) for cost, b in zip(costs, measures, strict=True)]
    solution = linear_program(measures, pairs, costs[0].shape[0], np.asarray(weights)[used])
    assert solution is not None
    return solution.value


def check(result, measures, costs, weights):
    """Assert what is true of every answer, by brute force."""
    mass = measures[0].sum()
    w = result.weights
    assert (w >= 0.0).all()
    assert w.sum() == pytest.approx(mass, rel=1e-12)
    assert len(result.couplings) == len(measures)
    value = 0.0
    for plan, b, cost, weight in zip(result.couplings, measures, costs, weights, strict=True):
        dense = plan.plan
        assert (dense >= 0.0).all()
        np.testing.assert_allclose(dense.sum(1), w, rtol=0.0, atol=1e-12 * mass)
        np.testing.assert_allclose(dense.sum(0), b, rtol=0.0, atol=1e-12 * mass)
        value += weight * np.where(dense > 0.0, dense * np.where(dense > 0.0, cost.dense(), 0.0), 0.0).sum()
    assert result.value == pytest.approx(value, rel=1e-10, abs=1e-14)
    check_bound(result, measures, costs, weights)


def check_bound(result, measures, costs, weights):
    used = [k for k, weight in enumerate(weights) if weight > 0.0]
    scale = max(np.abs(cost.dense()[np.isfinite(cost.dense())]).max() for cost in costs)
    f = result.potentials
    assert f.shape == (len(used), costs[0].shape[0])
    reached = np.isfinite(f).all(axis=0)
    assert np.abs(np.asarray(weights)[used] @ f[:, reached]).max() <= 1e-13 * scale
    bound = 0.0
    for own, k in zip(f, used, strict=True):
        columns = measures[k] > 0.0
        g = (costs[k].dense()[:, columns] - own[:, None]).min(axis=0)
        bound += weights[k] * (g @ measures[k][columns])
    assert result.lower_bound == pytest.approx(bound, rel=1e-12, abs=1e-14 * scale)
    assert result.lower_bound <= result.value + 1e-13 * scale * measures[0].sum()


@pytest.mark.parametrize("method", ["program", "interior-point"], indirect=True)
@pytest.mark.parametrize("seed", range(12))
def test_is_optimal(method, seed):
    rng = np.random.default_rng(seed)
    n_measures = int(rng.integers(1, 6))
    n = int(rng.integers(1, 12))
    problem = random_problem(rng, n_measures, n, rng.integers(1, 14, n_measures))
    result = solve(*problem, tol=1e-9)
    check(result, *problem)
    assert result.error <= 1e-9
    assert result.value == pytest.approx(optimum(*problem), rel=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_smoothed_dual_bounds_the_optimum(seed, monkeypatch):
    monkeypatch.setattr(_certified, "_FEW_PAIRS", 0)
    monkeypatch.setattr(_certified, "_MOST_MEMORY", 0.0)
    problem = random_problem(np.random.default_rng(seed), 3, 8, (6, 9, 5))
    result = solve(*problem, tol=1e-3)
    check(result, *problem)
    best = optimum(*problem)
    assert result.lower_bound <= best * (1.0 + 1e-12)
    assert best <= result.value * (1.0 + 1e-12)
    assert result.error <= 1e-2
    assert result.error == pytest.approx((result.value - result.lower_bound) / result.value, rel=1e-9)


@pytest.mark.parametrize("method", METHODS, indirect=True)
def test_grid_and_dense_cost_agree(method):
    rng = np.random.default_rng(3)
    grid = Grid(np.linspace(0.0, 1.0, 4), np.linspace(0.0, 1.0, 5))
    measures = [random_histogram(rng, 20) for _ in range(3)]
    weights = np.array([0.5, 0.2, 0.3])
    results = [
        solve(measures, [cost] * 3, weights, tol=1e-9 if method != "smoothed" else 1e-3)
        for cost in (grid, DenseCost(grid.dense()))
    ]
    best = optimum(measures, [grid] * 3, weights)
    for result in results:
        check(result, measures, [grid] * 3, weights)
        assert result.value == pytest.approx(best, rel=1e-9 if method != "smoothed" else 2e-3)


@pytest.mark.parametrize("method", METHODS, indirect=True)
def test_tie(method):
    # Two barycenters, and all between them, of one value.
    points = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    support = np.array([(x, y) for x in (0.0, 0.5, 1.0) for y in (0.0, 0.5, 1.0)])
    measures = [np.array([0.5, 0.0, 0.0, 0.5]), np.array([0.0, 0.5, 0.5, 0.0])]
    costs = [PointCloud(support, points)] * 2
    result = solve(measures, costs, np.array([0.5, 0.5]), tol=1e-9)
    check(result, measures, costs, (0.5, 0.5))
    assert result.value == pytest.approx(0.25, rel=1e-6 if method == "smoothed" else 1e-9)


@pytest.mark.parametrize("method", ["program", "interior-point"], indirect=True)
def test_line(method):
    # Quantiles of measures of equal atoms average to atoms: put all of these into the support.
    rng = np.random.default_rng(8)
    weights = np.array([0.2, 0.5, 0.3])
    atoms = np.sort(rng.normal(size=(3, 6)), axis=1)
    mean = weights @ atoms
    support = np.concatenate([mean, rng.normal(size=5)])
    costs = [PointCloud(support[:, None], own[:, None]) for own in atoms]
    measures = [np.full(6, 1.0 / 6.0)] * 3
    result = solve(measures, costs, weights, tol=1e-10)
    check(result, measures, costs, weights)
    assert result.value == pytest.approx((weights @ (atoms - mean) ** 2).mean(), rel=1e-9)


@pytest.mark.parametrize("method", ["program", "interior-point"], indirect=True)
def test_one_measure_is_its_own_barycenter(method):
    rng = np.random.default_rng(2)
    b = random_histogram(rng, 12)
    grid = Grid(np.arange(3.0), np.arange(4.0))
    result = solve([b], [grid], np.array([1.0]), tol=1e-9)
    check(result, [b], [grid], (1.0,))
    np.testing.assert_allclose(result.weights, b, atol=1e-12)
    assert result.value == pytest.approx(0.0, abs=1e-12)
    assert result.error <= 1e-9


@pytest.mark.parametrize("method", ["program", "interior-point"], indirect=True)
def test_equal_measures(method):
    rng = np.random.default_rng(4)
    b = random_histogram(rng, 16)
    grid = Grid(np.arange(4.0), np.arange(4.0))
    result = solve([b] * 4, [grid] * 4, np.full(4, 0.25), tol=1e-9)
    check(result, [b] * 4, [grid] * 4, np.full(4, 0.25))
    np.testing.assert_allclose(result.weights, b, atol=1e-12)
    assert result.error <= 1e-9


@pytest.mark.parametrize("method", METHODS, indirect=True)
def test_zero_weight_has_no_influence(method):
    rng = np.random.default_rng(6)
    measures, costs, _ = random_problem(rng, 3, 7, (6, 5, 8))
    weights = np.array([0.4, 0.0, 0.6])
    result = solve(measures, costs, weights, tol=1e-9)
    check(result, measures, costs, weights)
    without = solve([measures[0], measures[2]], [costs[0], costs[2]], weights[[0, 2]], tol=1e-9)
    assert result.value == without.value
    np.testing.assert_array_equal(result.weights, without.weights)


@pytest.mark.parametrize("method", METHODS, indirect=True)
@pytest.mark.parametrize(("scale", "mass"), [(1e-12, 1.0), (1e12, 1.0), (1.0, 1e-9), (1.0, 1e9)])
def test_scale_invariance(method, scale, mass):
    problem = random_problem(np.random.default_rng(7), 3, 6, (5, 7, 6))
    measures, costs, weights = problem
    scaled = [b * mass for b in measures], [DenseCost(cost.dense() * scale) for cost in costs], weights
    tol = 1e-2 if method == "smoothed" else 1e-9
    result = solve(*scaled, tol=tol)
    assert result.error <= tol
    assert result.weights.sum() == pytest.approx(mass, rel=1e-12)
    assert result.value / scale / mass == pytest.approx(solve(*problem, tol=tol).value, rel=max(tol, 1e-6))


@pytest.mark.parametrize("method", ["program", "interior-point"], indirect=True)
def test_negative_and_constant_costs(method):
    measures, costs, weights = random_problem(np.random.default_rng(9), 2, 5, (4, 6))
    shifted = [DenseCost(cost.dense() - 3.0) for cost in costs]
    result = solve(measures, shifted, weights, tol=1e-9)
    check(result, measures, shifted, weights)
    assert result.value == pytest.approx(optimum(measures, costs, weights) - 3.0, rel=1e-9)
    flat = [DenseCost(np.full(cost.shape, 2.0)) for cost in costs]
    result = solve(measures, flat, weights, tol=1e-9)
    check(result, measures, flat, weights)
    assert result.value == pytest.approx(2.0, rel=1e-12)


@pytest.mark.parametrize("method", METHODS, indirect=True)
def test_duplicate_points_and_one_point(method):
    tol = 1e-2 if method == "smoothed" else 1e-9
    rng = np.random.default_rng(10)
    measures, costs, weights = random_problem(rng, 3, 4, (5, 5, 5))
    doubled = [DenseCost(np.repeat(cost.dense(), 2, axis=0)) for cost in costs]
    result = solve(measures, doubled, weights, tol=tol)
    check(result, measures, doubled, weights)
    assert result.value == pytest.approx(optimum(measures, costs, weights), rel=2.0 * tol)
    single = [DenseCost(cost.dense()[:1]) for cost in costs]
    result = solve(measures, single, weights, tol=tol)
    check(result, measures, single, weights)
    expected = sum(
        weight * (c.dense()[0] @ b) for weight, c, b in zip(weights, single, measures, strict=True)
    )
    assert result.value == pytest.approx(expected, rel=1e-12)
    assert result.error <= 1e-9


@pytest.mark.parametrize("method", METHODS, indirect=True)
def test_forbidden_pairs(method):
    rng = np.random.default_rng(11)
    measures, costs, weights = random_problem(rng, 3, 8, (6, 7, 5))
    for k, cost in enumerate(costs):
        entries = cost.dense().copy()
        entries[rng.random(entries.shape) < 0.3] = np.inf
        entries[0] = rng.random(entries.shape[1])  # a point that all reach
        entries[1] = np.inf if k == 1 else entries[1]  # one that a measure does not reach at all
        costs[k] = DenseCost(entries)
    result = solve(measures, costs, weights, tol=1e-2 if method == "smoothed" else 1e-9)
    check(result, measures, costs, weights)
    assert result.weights[1] == 0.0
    assert result.value == pytest.approx(
        optimum(measures, costs, weights), rel=0.02 if method == "smoothed" else 1e-8
    )


@pytest.mark.parametrize("method", METHODS, indirect=True)
def test_infeasible(method):
    # The first measure reaches only the first point, the second only the second.
    costs = [DenseCost([[0.0], [np.inf]]), DenseCost([[np.inf], [0.0]])]
    with pytest.raises(InfeasibleError):
        solve([np.ones(1), np.ones(1)], costs, np.array([0.5, 0.5]), tol=1e-9)


@pytest.mark.parametrize("method", METHODS, indirect=True)
def test_single_precision(method):
    measures, costs, weights = random_problem(np.random.default_rng(12), 3, 8, (6, 7, 5))
    narrow = [DenseCost(cost.dense().astype(np.float32)) for cost in costs]
    result = solve(measures, narrow, weights, tol=1e-2 if method == "smoothed" else 1e-6)
    assert result.error <= (1e-2 if method == "smoothed" else 1e-6)
    assert result.value == pytest.approx(optimum(measures, narrow, weights), rel=1e-2)


@pytest.mark.parametrize("method", ["interior-point", "smoothed"], indirect=True)
def test_monitor_follows_and_stops(method):
    problem = random_problem(np.random.default_rng(13), 3, 10, (9, 8, 7))
    reports = []
    result = solve(*problem, tol=1e-6, monitor=lambda *report: reports.append(report) or len(reports) > 2)
    assert result.stopped
    check(result, *problem)
    assert [report[0] for report in reports] == sorted(report[0] for report in reports)
    full = solve(*problem, tol=1e-6)
    assert full.value <= result.value
    assert full.history[-1] == full.value


@pytest.mark.parametrize("method", ["interior-point", "smoothed"], indirect=True)
def test_max_iter(method):
    problem = random_problem(np.random.default_rng(14), 3, 10, (9, 8, 7))
    result = solve(*problem, tol=1e-9, max_iter=3)
    check(result, *problem)
    assert result.n_iter >= 3
    assert math.isfinite(result.error)


def test_images_by_the_interior_point():
    rng = np.random.default_rng(15)
    side = np.linspace(0.0, 1.0, 10)
    measures = [random_histogram(rng, 100, zeros=0.5) for _ in range(5)]
    grid = Grid(side, side)
    problem = measures, [grid] * 5, np.full(5, 0.2)
    result = solve(*problem, tol=1e-8)
    check(result, *problem)
    assert result.error <= 1e-8
    assert result.value == pytest.approx(optimum(*problem), rel=1e-8)


def test_restricted_program_is_an_upper_bound():
    measures, costs, weights = random_problem(np.random.default_rng(16), 2, 5, (4, 4))
    pairs = [all_pairs(cost, b) for cost, b in zip(costs, measures, strict=True)]
    fewer = [Pairs(*(part[own.costs < 0.8] for part in own)) for own in pairs]
    whole = linear_program(measures, pairs, 5, weights)
    assert linear_program(measures, fewer, 5, weights).value >= whole.value - 1e-12
    for f, g, own in zip(whole.f, whole.g, pairs, strict=True):
        assert (f[own.rows] + g[own.cols] <= own.costs + 1e-9).all()
    assert (weights @ whole.f >= -1e-9).all()


def test_smoothed_dual_keeps_the_constraint():
    measures, costs, weights = random_problem(np.random.default_rng(17), 3, 6, (5, 5, 5))
    last = list(smoothed_duals(measures, costs, weights, 40, None))[-1]
    assert 40 <= last.n_iter <= 45
    np.testing.assert_allclose(weights @ last.potentials, 0.0, atol=1e-12)
    assert last.weights.sum() == pytest.approx(1.0)


def test_interior_point_is_complementary():
    measures, costs, weights = random_problem(np.random.default_rng(18), 3, 9, (8, 8, 8))
    found = interior_point(measures, costs, weights, tol=1e-10, max_iter=60)
    assert found.n_iter < 30
    assert (found.weights * found.slack).max() <= 1e-9
    assert found.weights.sum() == pytest.approx(1.0)


def test_soft_minima_on_a_grid():
    rng = np.random.default_rng(19)
    grid = Grid(np.linspace(0.0, 1.0, 3), np.linspace(0.0, 2.0, 4), np.array([0.5]))
    h = rng.normal(size=(5, 12))
    h[1, 3:7] = -np.inf
    h[2] = -np.inf
    unit = 0.1 * np.log(2.0)
    along_axes = -unit * _core.GridKernel(grid.axis_costs(), 0.1, None).log_sums(h / unit)
    over_pairs = [_core.softmin(grid.core, row, 0.1, True, False, None) for row in h]
    np.testing.assert_allclose(along_axes, over_pairs, rtol=1e-12, atol=1e-13)


@needs_signals
@pytest.mark.parametrize(
    "limits", [(0, 1e10), (0, 0.0), (10**9, 1e10)], ids=["interior-point", "smoothed", "program"]
)
def test_ctrl_c(limits):
    setup = (
        "from otfast.barycenter import _certified as lp; "
        f"lp._FEW_PAIRS, lp._MOST_MEMORY = {limits}; "
        "side = np.linspace(0.0, 1.0, 20); costs = [otf.Grid(side, side)] * 12; "
        "measures = list(rng.dirichlet(np.ones(400), 12))"
    )
    work = "lp.solve(measures, costs, np.full(12, 1 / 12), tol=1e-9)"
    assert seconds_to_interrupt(setup, work, after=0.7, OMP_NUM_THREADS="1") < 2.0


@pytest.mark.slow
def test_large_images_within_the_tolerance():
    rng = np.random.default_rng(20)
    side = np.linspace(0.0, 1.0, 40)
    x, y = np.meshgrid(side, side, indexing="ij")
    measures = []
    for _ in range(6):
        centre, width = rng.uniform(0.2, 0.8, 2), rng.uniform(0.05, 0.12)
        image = np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / (2.0 * width**2)) + 1e-3
        measures.append((image / image.sum()).ravel())
    result = solve(measures, [Grid(side, side)] * 6, np.full(6, 1.0 / 6.0), tol=5e-3)
    assert result.error <= 5e-3
    assert result.weights.sum() == pytest.approx(1.0, rel=1e-12)
