"""Long work can be watched and stopped: callbacks, their exceptions, a progress bar, Ctrl-C."""

import os
import time

import numpy as np
import pytest

import otfast as otf
from certificates import assert_certified, random_weights, sqeuclidean
from processes import run_python

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


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
@pytest.mark.parametrize("callback", ["None", "lambda report: None"])
@pytest.mark.parametrize("call", ["emd", "emd_cloud", "emd_batch", "assignment"])
def test_ctrl_c(call, callback):
    code = f"""
        import os, signal, threading, time
        import numpy as np
        import otfast as otf

        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(2, 7000, 48))
        a, b = rng.dirichlet(np.ones(7000), 2)
        dense = otf.PointCloud(x, y, "euclidean").dense()
        A, B = rng.dirichlet(np.ones(100), (2, 4000))
        cost = rng.random((100, 100))
        work = {{
            "emd": lambda: otf.emd(a, b, dense, callback={callback}),
            "emd_cloud": lambda: otf.emd(a, b, otf.PointCloud(x, y), callback={callback}),
            "emd_batch": lambda: otf.emd_batch(A, B, cost, callback={callback}),
            "assignment": lambda: otf.assignment(dense),
        }}["{call}"]
        otf.set_num_threads(1)
        sent = []

        def interrupt():
            time.sleep(0.1)
            sent.append(time.perf_counter())
            os.kill(os.getpid(), signal.SIGINT)

        threading.Thread(target=interrupt).start()
        try:
            work()
        except KeyboardInterrupt:
            print("interrupted", time.perf_counter() - sent[0])
        else:
            print("finished", bool(sent))
    """
    assert_interrupted(run_python(code))


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
@pytest.mark.parametrize("call", ["tensor", "tree", "cycle", "exact"])
def test_ctrl_c_with_many_marginals(call):
    code = f"""
        import os, signal, threading, time
        import numpy as np
        import otfast as otf
        from otfast import multimarginal as mm

        rng = np.random.default_rng(0)
        options = dict(tol=0.0, max_iter=100_000)
        x = [rng.random((5000, 3)) for _ in range(4)]
        path = mm.PairwiseCost(4, {{(k, k + 1): otf.PointCloud(x[k], x[k + 1]) for k in range(3)}})
        cycle = mm.PairwiseCost(4, {{(k, (k + 1) % 4): rng.random((500, 500)) for k in range(4)}})
        tensor = rng.random((40, 40, 40, 40))
        work = {{
            "tensor": lambda: mm.sinkhorn([None] * 4, tensor, 0.1, **options),
            "tree": lambda: mm.sinkhorn([None] * 4, path, 0.1, free=[1], **options),
            "cycle": lambda: mm.sinkhorn([None] * 4, cycle, 0.1, **options),
            "exact": lambda: mm.solve([None] * 4, path),
        }}["{call}"]
        otf.set_num_threads(1)
        sent = []

        def interrupt():
            time.sleep(0.3)
            sent.append(time.perf_counter())
            os.kill(os.getpid(), signal.SIGINT)

        threading.Thread(target=interrupt).start()
        try:
            work()
        except KeyboardInterrupt:
            print("interrupted", time.perf_counter() - sent[0])
        else:
            print("finished", bool(sent))
    """
    assert_interrupted(run_python(code))


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
@pytest.mark.parametrize("call", ["dense", "cloud", "images"])
def test_ctrl_c_in_entropic_barycenters(call):
    code = f"""
        import os, signal, threading, time
        import numpy as np
        import otfast as otf

        rng = np.random.default_rng(0)
        options = dict(epsilon=1e-2, tol=0.0, max_iter=1_000_000)
        B, cloud = rng.dirichlet(np.ones(1000), 5), otf.PointCloud(rng.random((1000, 2)))
        work = {{
            "dense": lambda: otf.barycenter.fixed_support(B, cloud.dense(), **options),
            "cloud": lambda: otf.barycenter.fixed_support(B, cloud, **options),
            "images": lambda: otf.barycenter.convolutional(B.reshape(5, 25, 40), **options),
        }}["{call}"]
        sent = []

        def interrupt():
            time.sleep(0.3)
            sent.append(time.perf_counter())
            os.kill(os.getpid(), signal.SIGINT)

        threading.Thread(target=interrupt).start()
        try:
            work()
        except KeyboardInterrupt:
            print("interrupted", time.perf_counter() - sent[0])
        else:
            print("finished", bool(sent))
    """
    assert_interrupted(run_python(code))


def assert_interrupted(printed):
    outcome, delay = printed.split()
    assert outcome == "interrupted", "the problem was too short for the test"
    # Two tenths of a second are promised; a busy machine may add to that.
    assert float(delay) < 0.4
