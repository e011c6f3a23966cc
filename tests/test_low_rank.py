"""Entropic transport on C = A Bᵀ: factors of its kernel, and solutions of problems that use them."""

import logging

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import otfast as otf
from otfast._low_rank import UnsuitableError, factorise

#: Enough pairs for factors to pay.
SHAPE = 2300, 1900


def random_weights(rng, n):
    """Weights with some zeros."""
    weights = rng.random(n)
    weights[rng.integers(n, size=n // 10)] = 0.0
    return weights / weights.sum()


def random_factors(rng, rank, offset=0.0, shape=SHAPE):
    """Factors of both signs."""
    return tuple(rng.uniform(-1.0, 1.0, (size, rank)) + offset for size in shape)


def spread(A, B):
    """The range of the costs beside what rows and columns cost alone."""
    return np.ptp((A - A.mean(axis=0)) @ (B - B.mean(axis=0)).T)


@pytest.fixture
def said(caplog):
    """What `sinkhorn` says about the factors, one message for each call."""
    caplog.set_level(logging.INFO, logger="otfast")

    def messages():
        texts = [record.getMessage() for record in caplog.records]
        caplog.clear()
        return texts

    return messages


def assert_used(messages):
    assert len(messages) == 1
    assert "terms of its kernel" in messages[0]


def assert_rows(messages, why):
    assert len(messages) == 1
    assert "passes over all pairs: " in messages[0]
    assert why in messages[0]


def assert_same(result, reference, epsilon, atol=1e-8):
    """Assert equal potentials, up to the constant that is free, and values."""
    assert result.converged
    f, g = result.potential_a - reference.potential_a, result.potential_b - reference.potential_b
    shift = f.mean() if type(result) is otf.Transport else 0.0
    largest = max(np.abs(f - shift).max(), np.abs(g + shift).max())
    assert largest <= atol * epsilon + 1e-14 * np.abs(reference.potential_a).max()
    assert result.value == pytest.approx(reference.value, rel=1e-12, abs=1e-9 * epsilon)


# --- The factors.

entries = st.one_of(st.integers(-2, 2).map(float), st.floats(-2.0, 2.0, allow_subnormal=False))


@given(st.data(), st.integers(1, 7), st.integers(1, 7), st.integers(1, 4), st.floats(0.5, 100.0))
def test_factors_keep_their_promise(data, n, m, rank, epsilon):
    A, B = (data.draw(arrays(np.float64, (size, rank), elements=entries)) for size in (n, m))
    offset = data.draw(st.sampled_from([0.0, -7.0, 100.0]))
    accuracy = data.draw(st.sampled_from([1e-4, 1e-7, 1e-10]))
    A += offset
    try:
        kernel = factorise(A, B, epsilon, accuracy, 100_000)
    except UnsuitableError:
        assert spread(A, B) > 5.0 * epsilon
        return
    exponents = kernel.p[:, None] + kernel.q - A @ B.T / epsilon
    approximate, exact = kernel.u.T @ kernel.v, np.exp(exponents)
    rounding = 1e-14 * (1.0 + np.abs(A).max() * np.abs(B).max() * rank / epsilon)
    assert (approximate > 0.0).all()
    assert (np.abs(approximate - exact) <= (kernel.error + rounding) * exact).all()
    assert kernel.error <= 2e-3
    # Large parts of the cost that rows or columns have alone are no part of it.
    assert np.abs(exponents).max() <= 2.0 * spread(A, B) / epsilon + 1e-9


@pytest.mark.parametrize(("rank", "most"), [(1, 16), (2, 125), (3, 850)])
def test_terms_are_few(rng, rank, most):
    """As many as a singular value decomposition would keep, not as a power series has: 378 and 3654."""
    A, B = random_factors(rng, rank)
    kernel = factorise(A, B, spread(A, B) / 10.0, 5e-8, 10_000)
    assert len(kernel.u) <= most
    # Directions that repeat others, or have no cost, add nothing.
    again = factorise(
        np.hstack([A, A, A]), np.hstack([B, 3.0 * B, -3.0 * B]), spread(A, B) / 10.0, 5e-8, 10_000
    )
    assert len(again.u) <= 3 * most


def test_factors_of_a_constant_cost(rng):
    kernel = factorise(np.ones((5, 2)), rng.random((4, 2)), 1e-3, 1e-8, 10)
    assert kernel.u.shape == (1, 5)
    np.testing.assert_array_equal(kernel.u.T @ kernel.v, 1.0)


@pytest.mark.parametrize("scale", [1e-150, 1e150])
def test_factors_of_any_magnitude(rng, scale):
    A, B = random_factors(rng, 2, shape=(30, 20))
    expected = factorise(A, B, 0.5, 1e-9, 1000)
    scaled = factorise(A * scale, B * scale, 0.5 * scale**2, 1e-9, 1000)
    np.testing.assert_allclose(scaled.u.T @ scaled.v, expected.u.T @ expected.v, rtol=1e-8)
    unequal = factorise(A * scale, B / scale, 0.5, 1e-9, 1000)
    np.testing.assert_allclose(unequal.u.T @ unequal.v, expected.u.T @ expected.v, rtol=1e-8)


# --- Solutions.


@pytest.mark.parametrize(
    ("rank", "share"), [(1, 1.0), (1, 0.1), (1, 0.05), (2, 1.0), (2, 0.1), (3, 10.0), (3, 3.0), (5, 100.0)]
)
def test_same_as_on_the_matrix(rng, said, rank, share):
    A, B = random_factors(rng, rank)
    a, b = random_weights(rng, len(A)), random_weights(rng, len(B))
    epsilon = share * spread(A, B)
    result = otf.sinkhorn(a, b, otf.LowRankCost(A, B), epsilon, tol=1e-7)
    assert_used(said())
    assert_same(result, otf.sinkhorn(a, b, A @ B.T, epsilon, tol=1e-12), epsilon, atol=1e-6)
    assert np.abs(result.apply(np.ones(len(b))) - a).sum() <= 1e-12
    assert np.abs(result.apply_transpose(np.ones(len(a))) - b).sum() <= 1.01e-7


@pytest.mark.parametrize("offset", [-30.0, 1e3])
def test_large_means(rng, said, offset):
    A, B = random_factors(rng, 2, offset)
    epsilon = 0.2 * spread(A, B)
    result = otf.sinkhorn(None, None, otf.LowRankCost(A, B), epsilon)
    assert_used(said())
    assert result.error <= 1e-6
    reference = otf.sinkhorn(None, None, A @ B.T, epsilon, tol=1e-9)
    assert_same(result, reference, epsilon, atol=1e-5)


def test_squared_distances(rng, said):
    """Norms of the points are parts that rows and columns have alone."""
    x, y = (rng.random((size, 2)) for size in SHAPE)
    A = np.column_stack([(x**2).sum(axis=1), np.ones(len(x)), -2.0 * x])
    B = np.column_stack([np.ones(len(y)), (y**2).sum(axis=1), y])
    result = otf.sinkhorn(None, None, otf.LowRankCost(A, B), 0.4, tol=1e-9)
    assert_used(said())
    assert_same(result, otf.sinkhorn(None, None, otf.PointCloud(x, y), 0.4, tol=1e-12), 0.4)


def test_single_precision(rng, said):
    A, B = (factor.astype(np.float32) for factor in random_factors(rng, 2))
    a, b = random_weights(rng, len(A)), random_weights(rng, len(B))
    epsilon = 0.2 * spread(A, B)
    result = otf.sinkhorn(a, b, otf.LowRankCost(A, B), epsilon)
    assert_used(said())
    assert result.converged
    for array in (result.value, result.potential_a, result.potential_b, result.apply(b)):
        assert array.dtype == np.float32
    reference = otf.sinkhorn(a, b, A.astype(float) @ B.T.astype(float), epsilon)
    assert float(result.value) == pytest.approx(reference.value, rel=1e-4)
    np.testing.assert_allclose(result.apply(np.ones(len(b))), a, atol=1e-8)


@pytest.mark.parametrize("rho", [(1.0, 1.0), (0.1, 3.0), (np.inf, 0.5), (0.5, np.inf)])
@pytest.mark.parametrize("offset", [0.0, 3.0])
def test_unbalanced(rng, said, rho, offset):
    A, B = random_factors(rng, 2, offset)
    a, b = random_weights(rng, len(A)), 1.7 * random_weights(rng, len(B))
    epsilon = 0.2 * spread(A, B)
    result = otf.sinkhorn(a, b, otf.LowRankCost(A, B), epsilon, unbalanced=rho, tol=1e-9)
    assert_used(said())
    reference = otf.sinkhorn(a, b, A @ B.T, epsilon, unbalanced=rho, tol=1e-12)
    assert_same(result, reference, epsilon, atol=1e-6)


def test_weights_of_all_sizes(rng, said):
    A, B = random_factors(rng, 1)
    a, b = (10.0 ** rng.uniform(-200, 0, size) for size in SHAPE)
    a, b = a / a.sum(), b / b.sum()
    epsilon = 0.3 * spread(A, B)
    result = otf.sinkhorn(a, b, otf.LowRankCost(A, B), epsilon, tol=1e-9)
    assert_used(said())
    assert_same(result, otf.sinkhorn(a, b, A @ B.T, epsilon, tol=1e-12), epsilon, atol=1e-6)


# --- Whether factors are used, and what is said about it.


def test_where_factors_do_not_pay(rng, said):
    A, B = random_factors(rng, 2)
    epsilon = 0.01 * spread(A, B)
    cold = otf.sinkhorn(None, None, otf.LowRankCost(A, B), epsilon, tol=1e-8)
    assert_rows(said(), "costs range over ±")
    assert_same(cold, otf.sinkhorn(None, None, A @ B.T, epsilon, tol=1e-8), epsilon, atol=1e-4)

    A, B = random_factors(rng, 5)
    assert otf.sinkhorn(None, None, otf.LowRankCost(A, B), 0.2 * spread(A, B)).converged
    assert_rows(said(), "terms that would pay")

    small = otf.LowRankCost(A[:100], B[:100])
    assert otf.sinkhorn(None, None, small, spread(A, B)).converged
    assert_rows(said(), "few")


def test_only_where_the_method_is_left_to_us(rng, said):
    A, B = random_factors(rng, 1)
    for method in ("log", "newton"):
        otf.sinkhorn(None, None, otf.LowRankCost(A, B), 1.0, method=method)
    otf.sinkhorn(None, None, (A @ B.T)[:50, :50], 1.0)
    assert said() == []


# --- Promises of the library.


def test_iterations_are_counted_together(rng, said):
    A, B = random_factors(rng, 2)
    cost, epsilon = otf.LowRankCost(A, B), 0.05 * spread(A, B)
    for rho in (None, 1.0):
        for count in (2, 5, 40):
            result = otf.sinkhorn(None, None, cost, epsilon, unbalanced=rho, tol=0, max_iter=count)
            assert result.n_iter == count
            assert not result.converged
        with pytest.warns(otf.ConvergenceWarning, match=r"max_iter"):
            result = otf.sinkhorn(None, None, cost, epsilon, unbalanced=rho, max_iter=4)
        assert result.n_iter == 4
        assert result.error > 1e-6
    said()
    otf.sinkhorn(None, None, cost, epsilon, tol=0, max_iter=1)
    assert_rows(said(), "max_iter")


def test_the_error_is_that_of_the_plan(rng):
    A, B = random_factors(rng, 2)
    with pytest.warns(otf.ConvergenceWarning):
        result = otf.sinkhorn(None, None, otf.LowRankCost(A, B), 0.05 * spread(A, B), max_iter=5)
    columns = result.apply_transpose(np.ones(len(A)))
    assert result.error == pytest.approx(np.abs(columns - 1.0 / len(B)).sum(), rel=1e-9)


def test_tolerances_below_those_of_the_factors(rng, said):
    A, B = random_factors(rng, 2)
    epsilon = 0.05 * spread(A, B)
    result = otf.sinkhorn(None, None, otf.LowRankCost(A, B), epsilon, tol=1e-13)
    assert_used(said())
    assert_same(result, otf.sinkhorn(None, None, A @ B.T, epsilon, tol=1e-13), epsilon, atol=1e-9)


def test_warm_start(rng, said):
    A, B = random_factors(rng, 2)
    cost, epsilon = otf.LowRankCost(A, B), 0.1 * spread(A, B)
    first = otf.sinkhorn(None, None, cost, epsilon)
    again = otf.sinkhorn(None, None, cost, epsilon, init=(first.potential_a, first.potential_b))
    assert again.n_iter == 2
    wild = 1e3 * (-1.0) ** np.arange(len(B))
    assert_same(otf.sinkhorn(None, None, cost, epsilon, init=(np.zeros(len(A)), wild)), first, epsilon, 1e-5)


def test_progress_and_interruption(rng, monkeypatch):
    # Factors take no tenth of a second here.
    monkeypatch.setattr("otfast._low_rank._Pulse._PERIOD", 0.0)
    A, B = random_factors(rng, 2)
    cost, epsilon = otf.LowRankCost(A, B), 0.1 * spread(A, B)
    reports = []
    result = otf.sinkhorn(None, None, cost, epsilon, callback=reports.append)
    assert reports[-1] == (result.n_iter, result.error, result.value)
    iterations = [report.iteration for report in reports]
    assert iterations == sorted(iterations)
    assert set(range(result.n_iter - 1)) <= set(iterations)

    for rho in (None, 1.0):
        with pytest.warns(otf.ConvergenceWarning, match=r"callback"):
            stopped = otf.sinkhorn(None, None, cost, epsilon, unbalanced=rho, callback=lambda _: True)
        assert not stopped.converged
        assert stopped.n_iter <= 3
        # Unbalanced, the error is the last change, of which the first pass knows nothing.
        assert np.isfinite(stopped.error) or (rho is not None and stopped.error == np.inf)

    def fail(_):
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        otf.sinkhorn(None, None, cost, epsilon, callback=fail)


def test_equal_calls_give_equal_results(rng):
    A, B = random_factors(rng, 3)
    one, two = (otf.sinkhorn(None, None, otf.LowRankCost(A, B), spread(A, B)) for _ in range(2))
    np.testing.assert_array_equal(one.potential_a, two.potential_a)
