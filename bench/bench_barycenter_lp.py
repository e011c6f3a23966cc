"""Exact barycenters on a fixed support: linear programs of images on a grid, with their certified gaps.

python -m pytest bench/bench_barycenter_lp.py
python -m pytest bench/bench_barycenter_lp.py -k large
"""

import time

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import linprog

import otfast as otf
from otfast.barycenter._certified import solve
from otfast.comparison.table import pot_is_installed

#: Number of images, their side, and whether many pixels are black.
SMALL = {"dense-10x20x20": (10, 20, False), "sparse-10x20x20": (10, 20, True)}
LARGE = {"dense-50x60x60": (50, 60, False), "sparse-50x60x60": (50, 60, True)}

#: The gaps that are asked for.
EXACT = 1e-8
NEAR = 5e-3


def images(count, side, is_sparse, rng=0):
    """Make images of three blobs each, on a floor of a thousandth or with black pixels, and their grid."""
    rng = np.random.default_rng(rng)
    axis = np.linspace(0.0, 1.0, side)
    x, y = np.meshgrid(axis, axis, indexing="ij")
    histograms = np.empty((count, side * side))
    for k in range(count):
        image = np.zeros((side, side))
        for _ in range(3):
            centre, width = rng.uniform(0.2, 0.8, 2), rng.uniform(0.04, 0.12)
            distance = (x - centre[0]) ** 2 + (y - centre[1]) ** 2
            image += rng.uniform(0.5, 1.5) * np.exp(-distance / (2.0 * width**2))
        if is_sparse:
            image[image < 0.15 * image.max()] = 0.0
        else:
            image += 1e-3 * image.max()
        histograms[k] = (image / image.sum()).ravel()
    return histograms, otf.Grid(axis, axis)


def program(histograms, C):
    """Return costs, matrix and right side of the linear program, w first, without black pixels."""
    count, n = histograms.shape
    blocks, costs = [], [np.zeros(n)]
    for k, b in enumerate(histograms):
        columns = np.flatnonzero(b)
        of_rows = sparse.kron(sparse.eye_array(n), np.ones((1, columns.size)))
        of_columns = sparse.kron(np.ones((1, n)), sparse.eye_array(columns.size))
        row = [None] * (count + 1)
        row[0] = sparse.vstack([-sparse.eye_array(n), sparse.csr_array((columns.size, n))])
        row[k + 1] = sparse.vstack([of_rows, of_columns])
        blocks.append(row)
        costs.append(C[:, columns].ravel() / count)
    right = np.concatenate([part for b in histograms for part in (np.zeros(n), b[b > 0.0])])
    return np.concatenate(costs), sparse.block_array(blocks, format="csc"), right


@pytest.fixture(scope="module", params=SMALL)
def instance(request):
    histograms, grid = images(*SMALL[request.param])
    best = solve(
        list(histograms), [grid] * len(histograms), np.full(len(histograms), 1 / len(histograms)), tol=EXACT
    )
    assert best.error <= EXACT
    return request.param, histograms, grid, best.value


def run(benchmark, group, work, rounds=1):
    benchmark.group = group
    return benchmark.pedantic(work, rounds=rounds)


def test_otfast(benchmark, instance):
    name, histograms, grid, _ = instance
    count = len(histograms)
    result = run(
        benchmark,
        name,
        lambda: solve(list(histograms), [grid] * count, np.full(count, 1 / count), tol=EXACT),
        rounds=3,
    )
    benchmark.extra_info["gap"] = result.error
    benchmark.extra_info["iterations"] = result.n_iter
    assert result.error <= EXACT


@pytest.mark.parametrize("method", ["highs-ipm", "highs-ds"])
def test_scipy(benchmark, instance, method):
    name, histograms, grid, value = instance
    costs, matrix, right = program(histograms, grid.dense())
    limit = {"time_limit": 900.0}
    found = run(
        benchmark, name, lambda: linprog(costs, A_eq=matrix, b_eq=right, method=method, options=limit)
    )
    if found.status != 0:
        pytest.skip(f"{method} does not finish in a quarter of an hour")
    benchmark.extra_info["gap"] = abs(found.fun - value) / value
    assert found.fun == pytest.approx(value, rel=1e-7)


@pytest.mark.skipif(not pot_is_installed(), reason="POT is not installed: it comes with otfast[bench]")
def test_pot(benchmark, instance):
    import ot

    name, histograms, grid, value = instance
    A, C = histograms.T.copy(), grid.dense()
    _, log = run(benchmark, name, lambda: ot.lp.barycenter(A, C, log=True))
    benchmark.extra_info["gap"] = abs(log["fun"] - value) / value
    assert log["fun"] == pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize("case", LARGE)
def test_large(benchmark, case):
    histograms, grid = images(*LARGE[case])
    count = len(histograms)
    start = time.perf_counter()
    way = []

    def listen(iteration, error, value):
        if error == error:
            way.append((iteration, round(error, 6), value, round(time.perf_counter() - start, 1)))
        return False

    result = run(
        benchmark,
        case,
        lambda: solve(list(histograms), [grid] * count, np.full(count, 1 / count), tol=NEAR, monitor=listen),
    )
    benchmark.extra_info["gap"] = result.error
    benchmark.extra_info["way"] = way
    print(*way, sep="\n")
    assert result.error <= NEAR
