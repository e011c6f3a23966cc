"""Multi-marginal transport: an iteration of every structure beside what it is made of, and beside OTT-JAX.

python -m pytest bench/bench_multimarginal.py
"""

import numpy as np
import pytest

import otfast as otf
from otfast import multimarginal
from peers import is_installed

#: OTT-JAX warns of its own dependencies.
pytestmark = pytest.mark.filterwarnings("ignore")

#: Iterations that are timed together, so that what is made once hardly counts.
N_ITER = 50

FIXED = {"tol": 0.0, "max_iter": N_ITER}


class Ott:
    """OTT-JAX makes the tensor of all pairs of clouds, and updates one potential at a time."""

    package = "ott"

    @staticmethod
    def iterate(points, weights, epsilon):
        import jax
        from ott.experimental import mmsinkhorn

        solver = mmsinkhorn.MMSinkhorn(min_iterations=N_ITER, max_iterations=N_ITER)
        solve = jax.jit(lambda x, a: solver(x, a, epsilon=epsilon).potentials)
        return lambda: jax.block_until_ready(solve(tuple(points), tuple(weights)))


class Otfast:
    package = "otfast"

    @staticmethod
    def iterate(points, weights, epsilon):
        total = len(points) ** 2  # Σ_{k<l} ‖x_k − x_l‖² is K² times the scatter with weights 1/K
        cost = multimarginal.BarycenterCost(points, np.full(len(points), total / len(points)))
        tensor = multimarginal.TensorCost(cost.dense())
        return lambda: multimarginal.sinkhorn(weights, tensor, epsilon, **FIXED).potentials


@pytest.mark.parametrize("peer", [Otfast, Ott], ids=lambda peer: peer.package)
def test_tensor_beside_ott(benchmark, peer):
    if not is_installed(peer):
        pytest.skip(f"{peer.package} is not installed")
    rng = np.random.default_rng(0)
    points = [rng.random((32, 3)).astype(np.float32) for _ in range(4)]
    weights = [rng.dirichlet(np.ones(32)).astype(np.float32) for _ in range(4)]
    weights = [(a / a.sum(dtype=np.float64)).astype(np.float32) for a in weights]
    solve = peer.iterate(points, weights, 1.0)
    solve()
    benchmark.group = f"32^4, float32, {N_ITER} iterations"
    benchmark.pedantic(solve, rounds=5)


@pytest.mark.parametrize("what", ["a read: max", "a read: sum", "an update of all four potentials"])
def test_tensor_at_the_speed_of_memory(benchmark, what):
    rng = np.random.default_rng(0)
    C = rng.random((64, 64, 64, 64), dtype=np.float32)
    cost = multimarginal.TensorCost(C)
    weights = [rng.dirichlet(np.ones(64)) for _ in range(4)]
    benchmark.group = "64^4, float32, one iteration"
    if what.startswith("a read"):
        benchmark.pedantic(C.max if what.endswith("max") else C.sum, rounds=20)
        return
    run = multimarginal.sinkhorn

    def iterate(count):
        return run(weights, cost, 0.1, method="log", tol=0.0, max_iter=count)

    iterate(1)
    seconds = []
    for _ in range(3):
        times = [timed(iterate, count) for count in (5, 5 + N_ITER)]
        seconds.append((times[1] - times[0]) / N_ITER)
    benchmark.extra_info["seconds per iteration"] = min(seconds)
    benchmark.pedantic(iterate, args=(1,), rounds=3)


def timed(function, *arguments):
    import time

    start = time.process_time()
    function(*arguments)
    return time.process_time() - start


@pytest.mark.parametrize("what", ["its edges one by one", "all exact", "one marginal free"])
def test_tree(benchmark, what):
    rng = np.random.default_rng(0)
    K, n = 20, 1000
    weights = [rng.dirichlet(np.ones(n)) for _ in range(K)]
    edges = {(int(rng.integers(k)), k): otf.DenseCost(rng.random((n, n))) for k in range(1, K)}
    cost = multimarginal.PairwiseCost(K, edges)

    def one_by_one():
        for (k, j), C in edges.items():
            otf.sinkhorn(weights[k], weights[j], C, 0.05, method="log", **FIXED)

    free = [3] if "free" in what else []
    run = multimarginal.sinkhorn
    solve = (
        one_by_one if "edges" in what else lambda: run(weights, cost, 0.05, method="log", free=free, **FIXED)
    )
    benchmark.group = f"tree of {K} marginals, n = {n}, {N_ITER} iterations"
    benchmark.pedantic(solve, rounds=3)


#: 0.064 and 0.008 are a thousandth of the range of the costs, and of the costs of an edge.
@pytest.mark.parametrize("epsilon", [0.1, 0.064, 0.01, 0.008])
def test_cycle_to_tolerance(benchmark, epsilon):
    t = np.linspace(0, 1, 256)
    cost = multimarginal.euler_flow(t, np.where(t < 0.5, 2 * t, 2 - 2 * t), 8)
    benchmark.group = f"Euler flow, cycle of 8, n = 256, eps = {epsilon:g}, to 1e-6"
    result = benchmark.pedantic(multimarginal.sinkhorn, args=([None] * 8, cost, epsilon), rounds=1)
    benchmark.extra_info["iterations"] = result.n_iter
    benchmark.extra_info["error"] = result.error
    assert result.error <= 1e-6


@pytest.mark.parametrize("kind", ["tree", "line", "plane", "cycle"])
def test_exact(benchmark, kind):
    rng = np.random.default_rng(0)
    if kind == "tree":
        K, n = 8, 50
        edges = {(int(rng.integers(k)), k): rng.random((n, n)) for k in range(1, K)}
        cost = multimarginal.PairwiseCost(K, edges)
    elif kind == "line":
        K, n = 8, 50
        cost = multimarginal.SpreadCost(list(rng.random((K, n))))
    elif kind == "cycle":
        K, n = 8, 50
        cost = multimarginal.PairwiseCost(K, {(k, (k + 1) % K): rng.random((n, n)) for k in range(K)})
    else:
        K, n = 3, 60
        cost = multimarginal.BarycenterCost([rng.random((n, 2)) for _ in range(K)])
    weights = [rng.dirichlet(np.ones(n)) for _ in range(K)]
    benchmark.group = f"exact, {kind}, K = {K}, n = {n}"
    result = benchmark.pedantic(multimarginal.solve, args=(weights, cost), rounds=1)
    benchmark.extra_info["gap"] = result.error
    assert result.converged
