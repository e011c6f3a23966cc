"""Entropic transport on C = A Bᵀ: factors of the kernel beside both ways to solve the same problem on rows.

python -m pytest bench/bench_low_rank.py --benchmark-timer=time.process_time
"""

import numpy as np
import pytest

import otfast as otf


def signed(rng, n, rank, mean=0.0):
    """Factors of both signs."""
    return rng.normal(size=(n, rank)) + mean, rng.uniform(-1.0, 1.0, (n, rank)) + mean


def squared_distances(rng, n):
    """Squared distances in the plane, of rank 4."""
    x, y = rng.random((2, n, 2))
    ones = np.ones(n)
    return (
        np.column_stack([(x**2).sum(axis=1), ones, -2.0 * x]),
        np.column_stack([ones, (y**2).sum(axis=1), y]),
    )


CASES = {
    "rank 2": lambda rng: signed(rng, 20_000, 2),
    "rank 3": lambda rng: signed(rng, 20_000, 3),
    "rank 2, means of 30": lambda rng: signed(rng, 6_000, 2, 30.0),
    "squared distances": lambda rng: squared_distances(rng, 6_000),
}


@pytest.mark.parametrize("method", ["auto", "log", "newton"])
@pytest.mark.parametrize("rho", [None, 1.0], ids=["balanced", "unbalanced"])
@pytest.mark.parametrize("share", [1.0, 0.3, 0.1, 0.05])
@pytest.mark.parametrize("case", CASES)
def test_low_rank(benchmark, case, share, rho, method):
    rng = np.random.default_rng(0)
    A, B = CASES[case](rng)
    if rho is not None and (len(A) > 6_000 or share < 0.1):
        pytest.skip("minutes on rows")
    x, y = A - A.mean(axis=0), B - B.mean(axis=0)
    spread = otf.LowRankCost(x, y).max() + otf.LowRankCost(-x, y).max()
    a, b = rng.dirichlet(np.ones(len(A))), rng.dirichlet(np.ones(len(B)))
    cost, price = otf.LowRankCost(A, B), None if rho is None else rho * spread
    benchmark.group = f"{case}, {share:g} of the range, {'balanced' if rho is None else 'unbalanced'}"

    def solve():
        return otf.sinkhorn(a, b, cost, share * spread, method=method, unbalanced=price)

    result = benchmark.pedantic(solve, rounds=1)
    benchmark.extra_info.update(iterations=result.n_iter, error=result.error, value=result.value)
    assert result.converged
