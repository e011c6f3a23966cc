"""Incremental gradients reach the value that Sinkhorn's iterations reach."""

import pickle

import numpy as np
import pytest
from scipy.stats import norm

import otfast as otf
from certificates import random_weights, sqeuclidean
from processes import needs_signals, seconds_to_interrupt

METHODS = ["sag", "asgd"]


def problem(rng, n=40, m=30):
    """Make a problem with some weights of zero."""
    a, b = random_weights(rng, n), random_weights(rng, m)
    a[[0, n - 1]] = b[[1, m - 1]] = 0.0
    return a / a.sum(), b / b.sum(), sqeuclidean(rng.random((n, 2)), rng.random((m, 2)))


def uniform_square(rng, k):
    return rng.random((k, 2))


@pytest.mark.parametrize("mass", [1.0, 7.0])
@pytest.mark.parametrize("epsilon", [1.0, 0.05])
@pytest.mark.parametrize(("method", "tol"), [("sag", 1e-6), ("asgd", 2e-2)])
def test_value_is_that_of_sinkhorn(rng, method, tol, epsilon, mass):
    a, b, C = problem(rng)
    a, b = mass * a, mass * b
    exact = otf.sinkhorn(a, b, C, epsilon, tol=1e-10)
    result = otf.sinkhorn_stochastic(a, b, C, epsilon, method=method, tol=tol, n_iter=400_000, rng=0)
    assert result.converged
    assert result.error <= tol
    # A dual value is below the optimum, and the gap is of the order of the square of the error.
    assert result.value <= exact.value + 1e-12 * mass
    assert result.value == pytest.approx(exact.value, abs=mass * max(20 * epsilon * tol**2, 1e-7))


@pytest.mark.parametrize("method", METHODS)
def test_error_and_potentials_are_true(rng, method):
    a, b, C = problem(rng)
    result = otf.sinkhorn_stochastic(a, b, C, 0.1, method=method, tol=0, n_iter=3000, rng=1)
    assert not result.converged
    assert result.n_iter == 3000
    plan = a[:, None] * b * np.exp((result.potential_a[:, None] + result.potential_b - C) / 0.1)
    np.testing.assert_allclose(result.plan, plan, atol=1e-12)
    np.testing.assert_allclose(plan.sum(axis=1), a, atol=1e-12)
    assert result.error == pytest.approx(np.abs(plan.sum(axis=0) - b).sum(), rel=1e-6)
    dual = result.potential_a @ a + result.potential_b @ b
    assert result.value == pytest.approx(dual, rel=1e-12)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_batches(rng, method, batch_size):
    a, b, C = problem(rng)
    exact = otf.sinkhorn(a, b, C, 0.1, tol=1e-10)
    result = otf.sinkhorn_stochastic(
        a, b, C, 0.1, method=method, batch_size=batch_size, n_iter=20_000, tol=0.03, rng=2
    )
    assert result.converged
    assert result.value == pytest.approx(exact.value, abs=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_seeds(rng, method):
    a, b, C = problem(rng)

    def potentials(seed):
        return otf.sinkhorn_stochastic(a, b, C, 0.1, method=method, n_iter=500, tol=0, rng=seed).potential_b

    np.testing.assert_array_equal(potentials(3), potentials(3))
    np.testing.assert_array_equal(potentials(3), potentials(np.random.default_rng(3)))
    assert (potentials(3) != potentials(4)).any()


@pytest.mark.parametrize("method", METHODS)
def test_threads_change_nothing(rng, method):
    cost = otf.PointCloud(rng.random((600, 2)), rng.random((3000, 2)))
    runs = []
    for threads in (1, 3):
        otf.set_num_threads(threads)
        runs.append(
            otf.sinkhorn_stochastic(
                None, None, cost, 0.1, method=method, batch_size=300, n_iter=8, tol=0, rng=0
            )
        )
    np.testing.assert_array_equal(runs[0].potential_b, runs[1].potential_b)


@pytest.mark.parametrize("method", METHODS)
def test_every_cost(rng, method):
    x, y = rng.random((30, 2)), rng.random((30, 2))
    for cost in (otf.PointCloud(x, y, "euclidean"), otf.LowRankCost(x, y), otf.Grid(np.arange(30.0) / 30)):
        settings = {"method": method, "n_iter": 300, "tol": 0, "rng": 0}
        result = otf.sinkhorn_stochastic(None, None, cost, 0.1, **settings)
        same = otf.sinkhorn_stochastic(None, None, cost.dense(), 0.1, **settings)
        np.testing.assert_allclose(result.potential_b, same.potential_b, atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("epsilon", [0.1, 1e-3])
def test_single_precision(rng, method, epsilon):
    a, b, C = problem(rng)
    result = otf.sinkhorn_stochastic(
        a, b, C.astype(np.float32), epsilon, method=method, tol=0, n_iter=30_000, rng=0
    )
    double = otf.sinkhorn_stochastic(a, b, C, epsilon, method=method, tol=0, n_iter=30_000, rng=0)
    for computed in (result.value, result.potential_a, result.potential_b, result.plan):
        assert computed.dtype == np.float32
    assert result.value == pytest.approx(double.value, rel=1e-4)
    assert result.error <= 1.1 * double.error + 1e-4


@pytest.mark.parametrize("method", METHODS)
def test_forbidden_pairs(rng, method):
    a, b, C = problem(rng)
    C[rng.random(C.shape) < 0.2] = np.inf
    C[0] = np.inf  # a row, and a column, without weight
    C[:, 1] = np.inf
    result = otf.sinkhorn_stochastic(a, b, C, 0.2, method=method, tol=0.02, n_iter=200_000, rng=0)
    assert result.converged
    assert np.isfinite(result.potential_a).all()
    assert np.isfinite(result.potential_b).all()
    assert (result.plan[np.isinf(C)] == 0).all()
    C[5] = np.inf
    with pytest.raises(otf.InfeasibleError):
        otf.sinkhorn_stochastic(a, b, C, 0.2, method=method)
    C[5] = 1.0
    C[:, 5] = np.inf
    C[5, 5] = np.inf
    with pytest.raises(otf.InfeasibleError):
        otf.sinkhorn_stochastic(a, b, C, 0.2, method=method)


def test_degenerate_sizes():
    assert otf.sinkhorn_stochastic([1.0], [1.0], [[3.0]], 0.1, rng=0).value == pytest.approx(3.0)
    constant = otf.sinkhorn_stochastic(None, None, np.full((4, 5), 2.0), 1.0, method="asgd", rng=0)
    assert constant.value == pytest.approx(2.0)
    assert constant.error < 1e-12


def test_not_converged_warns(rng):
    a, b, C = problem(rng)
    with pytest.warns(otf.ConvergenceWarning, match="at n_iter") as caught:
        result = otf.sinkhorn_stochastic(a, b, C, 0.01, n_iter=10, rng=0)
    assert caught[0].filename == __file__
    assert not result.converged
    assert result.n_iter == 10


@pytest.mark.parametrize("method", METHODS)
def test_callbacks(rng, method):
    a, b, C = problem(rng)
    reports = []
    result = otf.sinkhorn_stochastic(
        a, b, C, 0.01, method=method, tol=0, n_iter=300_000, rng=0, callback=reports.append
    )
    assert reports[-1] == (result.n_iter, result.error, result.value)
    assert [report.iteration for report in reports] == sorted(report.iteration for report in reports)
    with pytest.warns(otf.ConvergenceWarning, match="callback"):
        stopped = otf.sinkhorn_stochastic(
            a, b, C, 1e-4, method=method, n_iter=10**9, tol=1e-12, rng=0, callback=lambda report: True
        )
    assert not stopped.converged
    assert stopped.n_iter < 10**9
    with pytest.raises(ZeroDivisionError):
        otf.sinkhorn_stochastic(a, b, C, 1e-4, method=method, n_iter=10**9, callback=lambda report: 1 / 0)


def test_progress_bar(rng, capsys):
    otf.sinkhorn_stochastic(*problem(rng), 0.1, rng=0, progress=True)
    assert "sinkhorn_stochastic" in capsys.readouterr().err


@needs_signals
@pytest.mark.parametrize(
    "problem",
    ["None, None, otf.PointCloud(y)", "lambda rng, k: rng.random((k, 2)), None, ('sqeuclidean', y)"],
)
def test_ctrl_c(problem):
    setup = "y = rng.random((3000, 2))"
    work = f"otf.sinkhorn_stochastic({problem}, 0.01, n_iter=10**8, method='asgd')"
    # Two tenths of a second are promised; a busy machine may add to that.
    assert seconds_to_interrupt(setup, work, after=0.1) < 0.4


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"a": [0.5, 0.5, 0.5]}, "a must have shape"),
        ({"a": [0.5, -0.5]}, "a must not be negative"),
        ({"b": [np.nan, 1.0]}, "b must be finite"),
        ({"b": [0.5, 1.0]}, "totals of a and b differ"),
        ({"C": [[0.0, np.nan], [1.0, 0.0]]}, "C"),
        ({"C": ("sqeuclidean", [[0.0], [1.0]])}, "C"),
        ({"epsilon": 0.0}, "epsilon"),
        ({"epsilon": 1e-320}, "epsilon"),
        ({"a": [1e200, 0.0], "b": [0.0, 1e200]}, "totals of a and b.* are so large"),
        ({"method": "sgd"}, "method must be one of 'sag', 'asgd'"),
        ({"n_iter": 0}, "n_iter"),
        ({"batch_size": 0}, "batch_size"),
        ({"batch_size": 1.5}, "batch_size"),
        ({"step": 0.0}, "step"),
        ({"tol": -1.0}, "tol"),
        ({"rng": "seed"}, "rng"),
        ({"rng": -1}, "rng"),
        ({"callback": 3}, "callback"),
    ],
)
def test_bad_input(change, name):
    good = {"a": [0.5, 0.5], "b": [0.5, 0.5], "C": [[0.0, 1.0], [1.0, 0.0]], "epsilon": 0.1}
    with pytest.raises(ValueError, match=name):
        otf.sinkhorn_stochastic(**{**good, **change})


def test_too_many_gradients_are_refused():
    cost = otf.PointCloud(np.zeros((40_000, 1)), np.ones((40_000, 1)))
    with pytest.raises(ValueError, match=r"11\.9 GiB; use method='asgd'"):
        otf.sinkhorn_stochastic(None, None, cost, 1.0)


# --- Semi-discrete transport.


def test_two_points_by_quadrature():
    # From N(0, 1) to -1 and 1 with unequal weights: one unknown, and integrals on the line.
    b, epsilon = np.array([0.3, 0.7]), 0.5
    y = np.array([[-1.0], [1.0]])
    x = np.linspace(-9, 9, 4001)
    density = norm.pdf(x) * (x[1] - x[0])
    exact = otf.sinkhorn(density / density.sum(), b, otf.PointCloud(x[:, None], y), epsilon, tol=1e-10)
    result = otf.sinkhorn_stochastic(
        lambda rng, k: rng.normal(size=(k, 1)), b, ("sqeuclidean", y), epsilon, rng=0, n_iter=200_000
    )
    assert isinstance(result, otf.SemiDiscrete)
    assert result.converged
    assert result.value == pytest.approx(exact.value, abs=0.02)
    assert np.diff(result.potential_b)[0] == pytest.approx(np.diff(exact.potential_b)[0], abs=0.05)


def test_a_sampler_of_atoms_is_the_discrete_problem(rng):
    x, y = rng.random((5, 2)), rng.random((8, 2))
    b = random_weights(rng, 8)
    b[3] = 0.0
    b *= 2.0 / b.sum()
    exact = otf.sinkhorn(np.full(5, 0.4), b, otf.PointCloud(x, y), 0.2, tol=1e-10)

    def atoms(rng, k):
        return x[rng.integers(5, size=k)]

    result = otf.sinkhorn_stochastic(atoms, b, ("sqeuclidean", y), 0.2, batch_size=4, rng=5)
    assert result.value == pytest.approx(exact.value, abs=0.02)
    np.testing.assert_allclose(result.probabilities(x), exact.plan / 0.4, atol=0.02)
    shift = result.potential_a(x) - exact.potential_a
    np.testing.assert_allclose(shift, shift.mean(), atol=0.01)
    np.testing.assert_allclose(result.potential_b - exact.potential_b, -shift.mean(), atol=0.03)


def test_functions_of_x(rng):
    y = rng.random((6, 2))
    b = random_weights(rng, 6)
    result = otf.sinkhorn_stochastic(uniform_square, b, ("sqeuclidean", y), 0.1, rng=0, tol=0, n_iter=2000)
    x = rng.random((7, 2))
    C = sqeuclidean(x, y)
    f, g = result.potential_a(x), result.potential_b
    np.testing.assert_allclose(f, -0.1 * np.log(np.exp((g - C) / 0.1) @ b), rtol=1e-10)
    probabilities = result.probabilities(x)
    np.testing.assert_allclose(probabilities, b * np.exp((f[:, None] + g - C) / 0.1), rtol=1e-10)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
    np.testing.assert_allclose(result.apply(b, x), probabilities @ b, rtol=1e-10)
    np.testing.assert_allclose(result.barycentric_projection(x), probabilities @ y, rtol=1e-10)
    assert "m=6" in repr(result)
    again = pickle.loads(pickle.dumps(result))
    np.testing.assert_array_equal(again.probabilities(x), probabilities)
    with pytest.raises(ValueError, match="v must have shape"):
        result.apply(b[:2], x)
    with pytest.raises(ValueError, match="x and y"):
        result.potential_a(rng.random((3, 5)))


def test_semi_discrete_seeds_and_precision():
    y = np.random.default_rng(0).random((10, 2)).astype(np.float32)

    def potentials(seed, points=y):
        return otf.sinkhorn_stochastic(
            uniform_square, None, ("euclidean", points), 0.1, rng=seed, n_iter=3000, tol=0
        ).potential_b

    assert potentials(0).dtype == np.float32
    np.testing.assert_array_equal(potentials(0), potentials(0))
    assert (potentials(0) != potentials(1)).any()
    np.testing.assert_allclose(potentials(0), potentials(0, y.astype(float)), atol=1e-3)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"a": lambda rng, k: np.zeros((k, 3))}, r"a\(rng, k\) must return points"),
        ({"a": lambda rng, k: np.zeros((k + 1, 2))}, r"a\(rng, k\) must return points"),
        ({"a": lambda rng, k: np.full((k, 2), np.nan)}, r"a\(rng, k\) must be finite"),
        ({"C": [[0.0, 1.0]]}, r"C must be a pair \(metric, y\)"),
        ({"C": ("manhattan", np.zeros((2, 2)))}, "metric must be one of"),
        ({"C": ("sqeuclidean", np.zeros(2))}, r"C\[1\] must be points"),
        ({"b": [1.0]}, "b must have shape"),
        ({"epsilon": -1.0}, "epsilon"),
        ({"method": "sag"}, "method must be 'asgd'"),
    ],
)
def test_bad_semi_discrete_input(change, name):
    good = {"a": uniform_square, "b": [0.5, 0.5], "C": ("sqeuclidean", np.eye(2)), "epsilon": 0.1}
    with pytest.raises(ValueError, match=name):
        otf.sinkhorn_stochastic(**{**good, **change})
