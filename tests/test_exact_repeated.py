"""Points that occur several times: the solver may merge them, and nobody may notice."""

import numpy as np
import pytest

import otfast as otf
from certificates import assert_certified, random_weights, sqeuclidean

N, M, PLACES = 420, 380, 60  # above the size at which small problems go their own way


def repeated(rng, count, dim=2):
    return rng.random((PLACES, dim))[rng.integers(PLACES, size=count)]


@pytest.mark.parametrize("kind", ["uniform", "random", "with zeros"])
def test_weights(rng, kind):
    C = sqeuclidean(repeated(rng, N), repeated(rng, M))
    a = np.full(N, 1.0 / N) if kind == "uniform" else random_weights(rng, N)
    b = np.full(M, 1.0 / M) if kind == "uniform" else random_weights(rng, M)
    if kind == "with zeros":
        a[rng.random(N) < 0.4] = 0.0
        a /= a.sum()
    assert_certified(otf.emd(a, b, C), a, b, C)


def test_one_side_only(rng):
    a, b = random_weights(rng, N), random_weights(rng, M)
    C = sqeuclidean(repeated(rng, N), rng.random((M, 2)))
    assert_certified(otf.emd(a, b, C), a, b, C)
    assert_certified(otf.emd(b, a, C.T), b, a, C.T)


def test_same_value_as_merged_by_hand(rng):
    x = rng.random((PLACES, 3))
    rows, cols = rng.integers(PLACES, size=N), rng.integers(PLACES, size=M)
    a, b = random_weights(rng, N), random_weights(rng, M)
    C = sqeuclidean(x, x)
    merged_a, merged_b = np.bincount(rows, a, PLACES), np.bincount(cols, b, PLACES)
    by_hand = otf.emd(merged_a, merged_b, C).value
    np.testing.assert_allclose(otf.emd(a, b, C[np.ix_(rows, cols)]).value, by_hand, rtol=1e-12)


def test_takes_the_way_of_the_merged_problem(rng):
    """With counts for weights, and places in order of appearance, both are the same problem to the solver."""
    C = rng.random((PLACES, PLACES))
    rows, cols = (np.r_[np.arange(PLACES), rng.integers(PLACES, size=k - PLACES)] for k in (N, M))
    merged = otf.emd(np.bincount(rows) / N, np.bincount(cols) / M, C)
    result = otf.emd(None, None, C[np.ix_(rows, cols)])
    assert result.n_iter == merged.n_iter
    np.testing.assert_array_equal(result.potential_a, merged.potential_a[rows])
    np.testing.assert_array_equal(result.potential_b, merged.potential_b[cols])


def test_clouds_and_single_precision(rng):
    x, y = repeated(rng, N), repeated(rng, M)
    a, b = random_weights(rng, N), random_weights(rng, M)
    C = sqeuclidean(x, y)
    exact = otf.emd(a, b, C).value
    np.testing.assert_allclose(otf.emd(a, b, otf.PointCloud(x, y)).value, exact, rtol=1e-12)
    np.testing.assert_allclose(otf.emd(a, b, C.astype(np.float32)).value, exact, rtol=1e-5)


def test_warm_start(rng):
    C = sqeuclidean(repeated(rng, N), repeated(rng, M))
    a, b = random_weights(rng, N), random_weights(rng, M)
    first = otf.emd(a, b, C)
    again = otf.emd(a, b, C, init=(first.potential_a, first.potential_b))
    assert_certified(again, a, b, C)
    assert again.n_iter <= first.n_iter


def test_rows_alike_in_most_columns_only(rng):
    """What looks like a repetition in a sample of the costs need not be one."""
    C = np.repeat(rng.random((2, M)), N // 2, axis=0)
    C[:, 7] += rng.random(N)
    C[11] += rng.random(M)
    a, b = random_weights(rng, N), random_weights(rng, M)
    assert_certified(otf.emd(a, b, C), a, b, C)
    assert_certified(otf.emd(b, a, C.T), b, a, C.T)


def test_forbidden_pairs(rng):
    C = rng.random((PLACES, PLACES))
    C[rng.random(C.shape) < 0.5] = np.inf
    np.fill_diagonal(C, 1.0)
    rows = np.concatenate([np.arange(PLACES), rng.integers(PLACES, size=N - PLACES)])
    C = C[np.ix_(rows, rows)]
    a = random_weights(rng, N)
    assert_certified(otf.emd(a, a, C), a, a, C)
    C[0] = np.inf
    with pytest.raises(otf.InfeasibleError):
        otf.emd(a, a, C)


def test_all_pairs_alike():
    result = otf.emd(None, None, np.full((N, M), 3.0))
    assert result.value == pytest.approx(3.0, rel=1e-14)
    assert result.sparse_plan.nnz <= N + M - 1
    np.testing.assert_allclose(result.plan.sum(axis=1), 1.0 / N, rtol=1e-12)
