"""Long work can be watched and stopped: callbacks, their exceptions, a progress bar, Ctrl-C."""

import time

import numpy as np
import pytest

import otfast as otf
from certificates import assert_certified, random_weights, sqeuclidean
from processes import needs_signals, seconds_to_interrupt

METHODS = ["auto", "network-simplex", "column-generation"]


def long_problem(rng, n=5000):
    """Make a problem that takes a good part of a second: high dimension, where no method has a short cut."""
    x, y = rng.normal(size=(n, 32)), rng.normal(size=(n, 32))
    return random_weights(rng, n), random_weights(rng, n), sqeuclidean_by_product(x, y)


def sqeuclidean_by_product(x, y):
    return np.maximum((x**2).sum(1)[:, None] + (y**2).sum(1) - 2 * x @ y.T, 0)


def small_problem(rng):
    return (
        random_weights(rng, 30),
        random_weights(rng, 20),
        sqeuclidean(rng.random((30, 2)), rng.random((20, 2))),
    )


@pytest.mark.parametrize("method", METHODS)
def test_the_last_report_is_the_result(rng, method):
    problem = small_problem(rng)
    reports = []
    result = otf.emd(*problem, method=method, callback=reports.append)
    assert_certified(result, *problem)
    assert all(isinstance(report, otf.Progress) for report in reports)
    assert reports[-1] == (result.n_iter, result.error, result.value)
    assert [report.iteration for report in reports] == sorted(report.iteration for report in reports)


def test_watching_changes_nothing(rng):
    problem = small_problem(rng)
    watched, alone = otf.emd(*problem, callback=lambda report: None), otf.emd(*problem)
    np.testing.assert_array_equal(watched.plan, alone.plan)
    assert watched.value == alone.value


@pytest.mark.parametrize("method", METHODS)
def test_reports_come_often(rng, method):
    problem = long_problem(rng)
    times = [time.perf_counter()]
    otf.emd(*problem, method=method, callback=lambda report: times.append(time.perf_counter()))
    # A tenth of a second is promised; a busy machine may add to that.
    assert np.diff(times).max() < 0.3


@pytest.mark.parametrize("method", METHODS)
def test_a_callback_stops_the_solver(rng, method):
    a, b, cost = long_problem(rng)
    start = time.perf_counter()
    with pytest.warns(otf.ConvergenceWarning, match="callback"):
        result = otf.emd(a, b, cost, method=method, callback=lambda report: True)
    assert time.perf_counter() - start < 1.0
    assert not result.converged
    np.testing.assert_allclose(result.apply(np.ones(b.size)), a, atol=1e-12)
    np.testing.assert_allclose(result.apply_transpose(np.ones(a.size)), b, atol=1e-12)
    assert (result.potential_a[:, None] + result.potential_b <= cost + 1e-9).all()


@pytest.mark.parametrize("method", METHODS)
def test_an_exception_in_a_callback_comes_out(rng, method):
    class StrangeError(Exception):
        pass

    def fail(report):
        raise StrangeError("from the callback")

    with pytest.raises(StrangeError, match="from the callback"):
        otf.emd(*long_problem(rng), method=method, callback=fail)
    with pytest.raises(StrangeError):
        otf.emd(*small_problem(rng), method=method, callback=fail)


def test_stopping_a_batch(rng):
    k, n = 2000, 100
    A, B, costs = rng.dirichlet(np.ones(n), k), rng.dirichlet(np.ones(n), k), rng.random((k, n, n))
    reports = []

    def stop_after_the_first(report):
        reports.append(report)
        return True

    with pytest.warns(otf.ConvergenceWarning, match="of 2000 problems stopped by the callback") as caught:
        batch = otf.emd_batch(A, B, costs, callback=stop_after_the_first)
    assert len(caught) == 1
    assert not batch.converged.all()
    assert reports
    with pytest.raises(ZeroDivisionError):
        otf.emd_batch(A, B, costs, callback=lambda report: 1 / 0)


def test_a_batch_reports_how_many_are_solved(rng):
    reports = []
    A, B = rng.dirichlet(np.ones(100), (2, 3000))
    otf.emd_batch(A, B, rng.random((100, 100)), callback=lambda report: reports.append(report.iteration))
    assert reports == sorted(reports)
    assert 0 < reports[0] < 3000
    assert reports[-1] == 3000


def test_progress_bar(rng, capsys):
    result = otf.emd(*small_problem(rng), progress=True)
    shown = capsys.readouterr().err
    assert "emd" in shown
    assert f"{result.n_iter}it" in shown
    otf.emd_batch(None, None, rng.random((3, 4, 5)), progress=True)
    assert "emd_batch" in capsys.readouterr().err
    otf.emd(*small_problem(rng))
    assert capsys.readouterr().err == ""


def test_the_bar_closes_when_a_callback_raises(rng, capsys):
    def fail(report):
        raise KeyError("x")

    with pytest.raises(KeyError):
        otf.emd(*small_problem(rng), progress=True, callback=fail)
    assert capsys.readouterr().err.endswith("\n")


def assert_interrupted(setup, work, *, after):
    # Two tenths of a second are promised; a busy machine may add to that.
    assert seconds_to_interrupt(setup, work, after=after) < 0.4


POINTS = "x, y = rng.normal(size=(2, 7000, 48)); a, b = rng.dirichlet(np.ones(7000), 2)"
DENSE = f"{POINTS}; C = otf.PointCloud(x, y, 'euclidean').dense()"
BATCH = "A, B = rng.dirichlet(np.ones(100), (2, 4000)); C = rng.random((100, 100))"


@needs_signals
@pytest.mark.parametrize("callback", ["None", "lambda report: None"])
@pytest.mark.parametrize(
    ("setup", "work"),
    [
        pytest.param(DENSE, "otf.emd(a, b, C, callback={})", id="emd"),
        pytest.param(POINTS, "otf.emd(a, b, otf.PointCloud(x, y), callback={})", id="emd_cloud"),
        pytest.param(BATCH, "otf.emd_batch(A, B, C, callback={})", id="emd_batch"),
    ],
)
def test_ctrl_c(setup, work, callback):
    assert_interrupted(setup, work.format(callback), after=0.1)


@needs_signals
def test_ctrl_c_in_an_assignment():
    assert_interrupted(DENSE, "otf.assignment(C)", after=0.1)


PATH = (
    "x = [rng.random((5000, 3)) for _ in range(4)]; "
    "cost = otf.multimarginal.PairwiseCost(4, {(k, k + 1): otf.PointCloud(x[k], x[k + 1]) for k in range(3)})"
)
CYCLE = (
    "cost = otf.multimarginal.PairwiseCost(4, {(k, (k + 1) % 4): rng.random((500, 500)) for k in range(4)})"
)


@needs_signals
@pytest.mark.parametrize(
    ("setup", "work"),
    [
        pytest.param("cost = rng.random((40, 40, 40, 40))", "sinkhorn({})", id="tensor"),
        pytest.param(PATH, "sinkhorn({}, free=[1])", id="tree"),
        pytest.param(CYCLE, "sinkhorn({})", id="cycle"),
        pytest.param(PATH, "solve([None] * 4, cost)", id="exact"),
    ],
)
def test_ctrl_c_with_many_marginals(setup, work):
    arguments = "[None] * 4, cost, 0.1, tol=0.0, max_iter=100_000"
    assert_interrupted(setup, f"otf.multimarginal.{work.format(arguments)}", after=0.3)


@needs_signals
@pytest.mark.parametrize(
    "work",
    [
        pytest.param("fixed_support(B, cloud.dense(), {})", id="dense"),
        pytest.param("fixed_support(B, cloud, {})", id="cloud"),
        pytest.param("convolutional(B.reshape(5, 25, 40), {})", id="images"),
    ],
)
def test_ctrl_c_in_entropic_barycenters(work):
    setup = "B = rng.dirichlet(np.ones(1000), 5); cloud = otf.PointCloud(rng.random((1000, 2)))"
    options = "epsilon=1e-2, tol=0.0, max_iter=1_000_000"
    assert_interrupted(setup, f"otf.barycenter.{work.format(options)}", after=0.3)
