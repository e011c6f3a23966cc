"""Multi-marginal transport: every structured contraction against the tensor, and the facts of the theory."""

import pickle
import warnings
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import otfast as otf
from certificates import random_weights, sqeuclidean
from otfast.multimarginal import (
    BarycenterCost,
    LowRankTensor,
    MultiCost,
    PairwiseCost,
    SpreadCost,
    TensorCost,
)
from otfast.multimarginal._graph_pricing import price_graph

INF = np.inf
mm = otf.multimarginal


def outer_sum(vectors):
    total = np.zeros(())
    for vector in vectors:
        total = total[..., None] + vector
    return total


def outer_product(vectors):
    return np.exp(
        outer_sum([np.log(vector, where=vector > 0, out=np.full_like(vector, -INF)) for vector in vectors])
    )


def tensor_plan(result, marginals, tensor, epsilon):
    """Return ⊗a exp((⊕f − C)/ε), from the definition."""
    return outer_product(marginals) * np.exp((outer_sum(result.potentials) - tensor) / epsilon)


def marginal_of(plan, *kept):
    """Sum over all axes but those kept, in their order."""
    summed = plan.sum(axis=tuple(k for k in range(plan.ndim) if k not in kept))
    return summed if len(kept) == 1 or kept[0] < kept[1] else summed.T


def entropic_value(plan, marginals, tensor, epsilon):
    """Return ⟨P, C⟩ + ε KL(P | ⊗a)."""
    reference = outer_product(marginals)
    has_mass = plan > 0
    density = np.log(plan[has_mass] / reference[has_mass])
    entropy = (plan[has_mass] * density).sum() - plan.sum() + reference.sum()
    return float((plan * np.where(has_mass, tensor, 0.0)).sum() + epsilon * entropy)


def zeroed_weights(rng, size):
    weights = random_weights(rng, size) + 0.1 / size
    if size > 2:
        weights[rng.integers(size)] = 0.0
    return weights / weights.sum()


def random_cost(rng, kind, sizes):
    """Make a cost of one of the structures on these sizes."""
    K = len(sizes)
    if kind == "tensor":
        return TensorCost(rng.random(sizes))
    if kind == "low-rank":
        return LowRankTensor([rng.normal(size=(n, 3)) / 2 for n in sizes])
    if kind == "barycenter":
        return BarycenterCost([rng.normal(size=(n, 2)) for n in sizes], rng.random(K) + 0.1)
    if kind == "spread":
        return SpreadCost([rng.normal(size=n) for n in sizes])
    edges = {
        "path": [(k, k + 1) for k in range(K - 1)],
        "star": [(0, k) for k in range(1, K)],
        "cycle": [(k, (k + 1) % K) for k in range(K)] if K > 2 else [(1, 0)],
        "complete": list(combinations(range(K), 2)),
        "forest": [(0, K - 1)],
        "chorded": [(k, (k + 1) % K) for k in range(K)] + [(0, 2)] if K > 3 else [(1, 0)],
        "tree": [(int(rng.integers(k)), k) for k in range(1, K)],
    }[kind]
    costs = {}
    for number, (k, j) in enumerate(edges):
        pair = (j, k) if number % 2 else (k, j)
        costs[pair] = rng.random((sizes[pair[0]], sizes[pair[1]]))
    return PairwiseCost(K, costs, sizes)


PAIRWISE = ["path", "star", "cycle", "complete", "forest", "chorded", "tree"]
STRUCTURES = ["tensor", "low-rank", "barycenter", "spread", *PAIRWISE]


@st.composite
def problems(draw, kinds=STRUCTURES):
    sizes = tuple(draw(st.lists(st.integers(1, 4), min_size=2, max_size=5)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    cost = random_cost(rng, draw(st.sampled_from(kinds)), sizes)
    return [zeroed_weights(rng, n) for n in sizes], cost


# --- Costs.


@given(problems())
def test_entries_are_those_of_the_tensor(problem):
    marginals, cost = problem
    tensor = cost.dense()
    assert tensor.shape == cost.shape == tuple(len(a) for a in marginals)
    indices = np.stack([np.arange(7) % n for n in cost.shape], axis=1)
    np.testing.assert_allclose(cost.entries(indices), tensor[tuple(indices.T)], atol=1e-13)
    low, high = cost.bounds()
    assert low - 1e-12 <= tensor.min() <= tensor.max() <= high + 1e-12


def test_costs_are_their_formulas(rng):
    x = [rng.normal(size=(n, 2)) for n in (2, 3, 4)]
    weights = np.array([0.5, 0.3, 0.4])
    tuples = [p[i] for p, i in zip(x, np.indices((2, 3, 4)), strict=True)]
    mean = sum(w * p for w, p in zip(weights, tuples, strict=True)) / weights.sum()
    spread = sum(w * ((p - mean) ** 2).sum(-1) for w, p in zip(weights, tuples, strict=True))
    cost = BarycenterCost(x, weights)
    np.testing.assert_allclose(cost.dense(), spread, atol=1e-13)
    np.testing.assert_allclose(cost.pairwise().dense(), spread, atol=1e-13)
    factors = [rng.normal(size=(n, 2)) for n in (2, 3, 4)]
    np.testing.assert_allclose(
        LowRankTensor(factors).dense(), np.einsum("ir,jr,kr->ijk", *factors), atol=1e-13
    )
    t = [rng.normal(size=n) for n in (2, 3, 4)]
    grid = np.stack(np.meshgrid(*t, indexing="ij"))
    np.testing.assert_allclose(SpreadCost(t).dense(), np.ptp(grid, axis=0), atol=1e-13)


# --- Entropic.


@given(problems(), st.sampled_from([1.0, 0.1, 0.02]))
def test_structured_contractions_are_those_of_the_tensor(problem, epsilon):
    marginals, cost = problem
    tensor = cost.dense()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", otf.ConvergenceWarning)
        result = mm.sinkhorn(marginals, cost, epsilon, tol=1e-9, max_iter=300)
    plan = tensor_plan(result, marginals, tensor, epsilon)
    scale = max(1.0, plan.sum())
    np.testing.assert_allclose(result.plan, plan, atol=1e-12 * scale, rtol=1e-9)
    for k in range(plan.ndim):
        np.testing.assert_allclose(result.marginal(k), marginal_of(plan, k), atol=1e-12 * scale)
        for j in range(plan.ndim):
            if j != k:
                np.testing.assert_allclose(
                    result.pair_marginal(k, j), marginal_of(plan, k, j), atol=1e-12 * scale
                )
    violations = [np.abs(marginal_of(plan, k) - a).sum() for k, a in enumerate(marginals)]
    assert result.error == pytest.approx(max(violations), abs=1e-11)
    assert result.value_linear == pytest.approx(float((plan * tensor).sum()), abs=1e-11 * scale)
    if result.converged:
        assert result.error <= 1e-9
        assert result.value == pytest.approx(entropic_value(plan, marginals, tensor, epsilon), abs=1e-7)


@given(problems(PAIRWISE), st.sampled_from([0.5, 0.05]))
def test_graphs_agree_with_the_dense_algorithm(problem, epsilon):
    marginals, cost = problem
    graph = mm.sinkhorn(marginals, cost, epsilon, tol=1e-10)
    dense = mm.sinkhorn(marginals, cost.dense(), epsilon, tol=1e-10)
    np.testing.assert_allclose(graph.plan, dense.plan, atol=1e-7)
    assert graph.value == pytest.approx(dense.value, abs=1e-9)


def test_two_marginals_are_transport(rng):
    a, b, C = random_weights(rng, 7), random_weights(rng, 5), rng.random((7, 5))
    two = otf.sinkhorn(a, b, C, 0.1, tol=1e-10)
    for cost in (C, PairwiseCost(2, {(0, 1): C}), PairwiseCost(2, {(1, 0): C.T.copy()})):
        many = mm.sinkhorn([a, b], cost, 0.1, tol=1e-10)
        np.testing.assert_allclose(many.plan, two.plan, atol=1e-9)
        assert many.value == pytest.approx(two.value, abs=1e-10)
        np.testing.assert_allclose(many.pair_marginal(1, 0), two.plan.T, atol=1e-9)
        exact = mm.solve([a, b], cost)
        assert exact.value == pytest.approx(otf.emd(a, b, C).value, rel=1e-12)


def test_a_path_factorises(rng):
    """π = Π π_{k,k+1} / Π a_k over the inner nodes, with the two-marginal plans of the edges."""
    sizes = (4, 5, 3, 6)
    marginals = [zeroed_weights(rng, n) for n in sizes]
    costs = [rng.random(shape) for shape in pairwise(sizes)]
    result = mm.sinkhorn(
        marginals, PairwiseCost(4, {(k, k + 1): C for k, C in enumerate(costs)}), 0.1, tol=1e-12
    )
    plans = [
        otf.sinkhorn(a, b, C, 0.1, tol=1e-12).plan
        for a, b, C in zip(marginals, marginals[1:], costs, strict=False)
    ]
    conditionals = [P / np.where(P.sum(1) > 0, P.sum(1), 1.0)[:, None] for P in plans]
    expected = np.einsum("i,ij,jk,kl->ijkl", plans[0].sum(1), *conditionals)
    np.testing.assert_allclose(result.plan, expected, atol=1e-10)


def test_separable_costs_give_the_product(rng):
    marginals = [zeroed_weights(rng, n) for n in (3, 4, 5)]
    parts = [rng.random(n) for n in (3, 4, 5)]
    factors = [np.ones((n, 3)) for n in (3, 4, 5)]
    for k, part in enumerate(parts):
        factors[k][:, k] = part
    for cost in (outer_sum(parts), LowRankTensor(factors)):
        result = mm.sinkhorn(marginals, cost, 0.05)
        np.testing.assert_allclose(result.plan, outer_product(marginals), atol=1e-12)


def test_a_star_with_a_free_centre_is_a_barycenter(rng):
    """The centre b minimises Σ_k OT_ε(a_k, b) + ε KL(b | u), u being its reference; b ∝ u Π_k K_kᵀ u_k."""
    n, K, epsilon = 12, 3, 0.05
    t = np.linspace(0, 1, n)
    C = sqeuclidean(t[:, None], t[:, None])
    histograms = [zeroed_weights(rng, n) for _ in range(K)]
    star = PairwiseCost(K + 1, {(k, K): C for k in range(K)})
    result = mm.sinkhorn([*histograms, None], star, epsilon, free=[K], tol=1e-11)

    def objective(b):
        each = sum(otf.sinkhorn(a, b, C, epsilon, tol=1e-11).value for a in histograms)
        return each + epsilon * float((b * np.log(b * n)).sum())

    b = result.marginal(K)
    assert b.sum() == pytest.approx(1.0, abs=1e-10)
    assert result.value == pytest.approx(objective(b), abs=1e-9)
    messages = [
        np.exp(-C / epsilon).T @ (a * np.exp(f / epsilon))
        for a, f in zip(histograms, result.potentials[:K], strict=True)
    ]
    np.testing.assert_allclose(b, np.prod(messages, axis=0) / n, rtol=1e-9)
    for _ in range(5):
        other = b * np.exp(0.1 * rng.normal(size=n))
        assert objective(other / other.sum()) > result.value


def test_the_latent_mean_of_a_barycentric_cost(rng):
    """On the given support, the least cost over the latent point is the scatter where it has the mean."""
    x = [rng.integers(3, size=(n, 1)).astype(float) for n in (3, 4)]
    cost = BarycenterCost(x)
    latent = cost.latent(np.linspace(0, 2, 5))
    np.testing.assert_allclose(latent.dense().min(axis=-1), cost.dense(), atol=1e-13)


@pytest.mark.parametrize("kind", ["tensor", "path", "cycle", "star"])
def test_free_marginals(rng, kind):
    sizes = (3, 4, 3, 2)
    cost = random_cost(rng, kind, sizes)
    marginals = [zeroed_weights(rng, n) for n in sizes]
    result = mm.sinkhorn(marginals, cost, 0.1, free=[1], tol=1e-11)
    plan = tensor_plan(result, marginals, cost.dense(), 0.1)
    assert (result.potentials[1] == 0).all()
    for k in (0, 2, 3):
        np.testing.assert_allclose(marginal_of(plan, k), marginals[k], atol=1e-10)
    assert result.value == pytest.approx(entropic_value(plan, marginals, cost.dense(), 0.1), abs=1e-9)


@pytest.mark.parametrize("kind", ["tensor", "path", "cycle", "low-rank"])
@pytest.mark.parametrize("unbalanced", [0.5, [0.3, INF, 1.0, 2.0]])
def test_unbalanced_marginals(rng, kind, unbalanced):
    """P_k = a_k exp(−f_k / ρ_k), which is the condition of optimality."""
    sizes = (3, 4, 3, 2)
    cost = random_cost(rng, kind, sizes)
    marginals = [zeroed_weights(rng, n) * mass for n, mass in zip(sizes, (1.0, 2.0, 1.5, 1.0), strict=True)]
    result = mm.sinkhorn(marginals, cost, 0.2, unbalanced=unbalanced, tol=1e-12)
    rho = np.broadcast_to(unbalanced, 4)
    plan = tensor_plan(result, marginals, cost.dense(), 0.2)
    value = entropic_value(plan, marginals, cost.dense(), 0.2)
    for k, a in enumerate(marginals):
        P = marginal_of(plan, k)
        np.testing.assert_allclose(P, a * np.exp(-result.potentials[k] / rho[k]), atol=1e-10)
        if np.isfinite(rho[k]):
            has = P > 0
            value += rho[k] * float((P[has] * np.log(P[has] / a[has])).sum() - P.sum() + a.sum())
    assert result.value == pytest.approx(value, rel=1e-9)
    assert result.converged


@pytest.mark.parametrize("kind", ["tensor", "path", "cycle", "forest"])
def test_masses(rng, kind):
    sizes = (3, 4, 2, 3)
    cost = random_cost(rng, kind, sizes)
    marginals = [7.0 * zeroed_weights(rng, n) for n in sizes]
    result = mm.sinkhorn(marginals, cost, 0.1, tol=1e-11)
    plan = tensor_plan(result, marginals, cost.dense(), 0.1)
    for k, a in enumerate(marginals):
        np.testing.assert_allclose(marginal_of(plan, k), a, atol=1e-9)
        np.testing.assert_allclose(result.marginal(k), a, atol=1e-9)
    assert result.value == pytest.approx(entropic_value(plan, marginals, cost.dense(), 0.1), rel=1e-10)


@pytest.mark.parametrize("kind", STRUCTURES)
@pytest.mark.parametrize("epsilon", [1e3, 1e-2, 1e-6])
def test_extreme_temperatures(rng, kind, epsilon):
    sizes = (3, 4, 3, 3)
    cost = random_cost(rng, kind, sizes)
    marginals = [zeroed_weights(rng, n) for n in sizes]
    result = mm.sinkhorn(marginals, cost, epsilon, tol=0, max_iter=30)
    assert np.isfinite(result.value)
    assert all(np.isfinite(f).all() for f in result.potentials)
    assert np.isfinite(result.plan).all()
    assert np.isfinite(result.error)
    if epsilon == 1e3:
        np.testing.assert_allclose(result.plan, outer_product(marginals), atol=1e-2)


@pytest.mark.parametrize("kind", STRUCTURES)
def test_single_precision_stays(rng, kind):
    sizes = (3, 4, 3, 3)
    cost = random_cost(rng, kind, sizes)
    marginals = [zeroed_weights(rng, n) for n in sizes]
    single = mm.sinkhorn(marginals, in_single(cost), 0.2)
    double = mm.sinkhorn(marginals, cost, 0.2)
    assert {f.dtype for f in single.potentials} == {np.dtype(np.float32)}
    assert single.plan.dtype == single.marginal(0).dtype == single.pair_marginal(0, 2).dtype == np.float32
    assert single.value == pytest.approx(double.value, abs=1e-5)
    np.testing.assert_allclose(single.plan, double.plan, atol=2e-5)


def in_single(cost):
    if isinstance(cost, PairwiseCost):
        edges = {edge: C.dense().astype(np.float32) for edge, C in cost.edges.items()}
        return PairwiseCost(cost.ndim, edges, cost.shape)
    if isinstance(cost, LowRankTensor):
        return LowRankTensor([F.astype(np.float32) for F in cost.factors])
    if isinstance(cost, BarycenterCost):
        return BarycenterCost([x.astype(np.float32) for x in cost.points], cost.weights)
    if isinstance(cost, SpreadCost):
        return SpreadCost([x.astype(np.float32) for x in cost.points])
    return cost.dense().astype(np.float32)


@pytest.mark.parametrize("kind", ["tensor", "path", "cycle"])
def test_forbidden_tuples(rng, kind):
    sizes = (3, 3, 3)
    marginals = [np.full(3, 1 / 3)] * 3
    if kind == "tensor":
        C = rng.random(sizes)
        C[0, 0] = INF
        cost = TensorCost(C)
    else:
        edges = {(0, 1): rng.random((3, 3)), (1, 2): rng.random((3, 3))}
        edges[0, 1][0, 0] = INF
        if kind == "cycle":
            edges[0, 2] = rng.random((3, 3))
        cost = PairwiseCost(3, edges)
    result = mm.sinkhorn(marginals, cost, 0.05, tol=1e-10)
    assert result.pair_marginal(0, 1)[0, 0] == 0
    assert np.isfinite(result.value)
    assert np.isfinite(result.value_linear)
    exact = mm.solve(marginals, cost)
    assert exact.pair_marginal(0, 1)[0, 0] == 0
    assert exact.value <= result.value_linear + 1e-9
    blocked = {(0, 1): np.array([[INF, INF, INF], [1, 2, 3], [1, 2, 3]]), (1, 2): np.ones((3, 3))}
    for problem in (PairwiseCost(3, blocked), PairwiseCost(3, blocked | {(0, 2): np.ones((3, 3))})):
        for C in (problem, problem.dense()):
            with pytest.raises(otf.InfeasibleError):
                mm.sinkhorn(marginals, C, 0.1)
            with pytest.raises(otf.InfeasibleError):
                mm.solve(marginals, C)


# --- Exact.


def assert_optimal(result, marginals, tensor, tol=1e-9):
    """Marginals, at most Σ n_k − K + 1 atoms, feasible potentials and no gap."""
    plan = result.sparse_plan
    assert plan.shape == tensor.shape
    assert plan.nnz <= sum(tensor.shape) - tensor.ndim + 1
    assert (plan.data > 0).all()
    for k, a in enumerate(marginals):
        reached = np.bincount(plan.coords[k], plan.data, len(a))
        np.testing.assert_allclose(reached, a, atol=1e-10)
        np.testing.assert_allclose(result.marginal(k), a, atol=1e-10)
    scale = np.abs(tensor[np.isfinite(tensor)]).max() + 1.0
    assert (outer_sum(result.potentials) - tensor).max() <= tol * scale
    dual = sum(f @ a for f, a in zip(result.potentials, marginals, strict=True))
    assert result.value == pytest.approx(float(plan.data @ tensor[plan.coords]), abs=tol * scale)
    assert dual == pytest.approx(result.value, abs=tol * scale)
    assert result.converged
    assert abs(result.error) <= tol


@given(problems())
def test_exact_plans_are_certified(problem):
    marginals, cost = problem
    assert_optimal(mm.solve(marginals, cost), marginals, cost.dense())


@pytest.mark.parametrize("kind", ["tensor", "low-rank", "barycenter", "cycle"])
def test_column_generation_agrees_with_the_whole_program(rng, kind):
    sizes = (6, 7, 5, 6)
    cost = random_cost(rng, kind, sizes)
    marginals = [zeroed_weights(rng, n) for n in sizes]
    generated = mm.solve(marginals, cost, method="column-generation")
    assert_optimal(generated, marginals, cost.dense())
    assert generated.value == pytest.approx(mm.solve(marginals, cost.dense(), method="lp").value, rel=1e-9)


def test_barycentric_cost_on_the_line_is_comonotone(rng):
    """∫ Σ λ_k (Q_k − Q̄)² from averaged quantiles."""
    sizes, weights = (4, 6, 5), np.array([0.2, 0.3, 0.5])
    points = [rng.normal(size=n) for n in sizes]
    marginals = [zeroed_weights(rng, n) for n in sizes]
    result = mm.solve(marginals, BarycenterCost([x[:, None] for x in points], weights))
    rising = [np.argsort(x) for x in points]
    sums = [np.cumsum(a[order]) for a, order in zip(marginals, rising, strict=True)]
    levels = np.unique(np.concatenate(sums))
    levels = np.concatenate([[0.0], levels[levels < 1 - 1e-14], [1.0]])
    middles = (levels[1:] + levels[:-1]) / 2
    quantiles = np.stack(
        [
            x[order][np.minimum(np.searchsorted(total, middles), len(x) - 1)]
            for x, order, total in zip(points, rising, sums, strict=True)
        ]
    )
    mean = weights @ quantiles
    expected = float(np.diff(levels) @ (weights @ (quantiles - mean) ** 2))
    assert result.value == pytest.approx(expected, rel=1e-9)
    tensor = BarycenterCost([x[:, None] for x in points], weights).dense()
    assert result.value == pytest.approx(mm.solve(marginals, tensor, method="lp").value, rel=1e-9)


@pytest.mark.parametrize("kind", ["tree", "line"])
def test_large_exact_problems_never_form_the_tensor(rng, kind):
    K, n = 8, 50
    marginals = [zeroed_weights(rng, n) for _ in range(K)]
    if kind == "tree":
        edges = {(int(rng.integers(k)), k): rng.random((n, n)) for k in range(1, K)}
        cost = PairwiseCost(K, edges)
        expected = sum(otf.emd(marginals[k], marginals[j], C).value for (k, j), C in edges.items())
    else:
        cost = SpreadCost([rng.normal(size=n) for _ in range(K)])
        expected = None
    result = mm.solve(marginals, cost)
    plan = result.sparse_plan
    assert plan.nnz <= K * (n - 1) + 1
    for k, a in enumerate(marginals):
        np.testing.assert_allclose(np.bincount(plan.coords[k], plan.data, n), a, atol=1e-12)
    value = plan.data @ cost.entries(np.stack(plan.coords, axis=1))
    dual = sum(f @ a for f, a in zip(result.potentials, marginals, strict=True))
    assert value == pytest.approx(dual, rel=1e-10)
    tuples = rng.integers(n, size=(100_000, K))
    reduced = cost.entries(tuples) - sum(f[i] for f, i in zip(result.potentials, tuples.T, strict=True))
    assert reduced.min() >= -1e-10
    if expected is not None:
        assert result.value == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("kind", ["path", "star", "cycle", "chorded", "forest", "tree"])
@pytest.mark.parametrize("forbid", [False, True])
def test_pricing_on_graphs_finds_the_least_of_all_tuples(rng, kind, forbid):
    sizes = (3, 4, 2, 3, 2)
    cost = random_cost(rng, kind, sizes)
    if forbid:
        edges = {edge: C.dense().copy() for edge, C in cost.edges.items()}
        for C in edges.values():
            C[rng.random(C.shape) < 0.2] = INF
        next(iter(edges.values()))[1] = INF
        cost = PairwiseCost(len(sizes), edges, sizes)
    potentials = [rng.normal(size=n) for n in sizes]
    tuples, least = price_graph(cost, potentials)
    reduced = cost.dense() - outer_sum(potentials)
    assert least == pytest.approx(reduced.min(), abs=1e-12)
    found = reduced[tuple(tuples.T)]
    assert np.isfinite(found).all()
    for k, n in enumerate(sizes):
        for i in range(n):
            best = np.take(reduced, i, axis=k).min()
            if np.isfinite(best):
                assert found[tuples[:, k] == i].min() == pytest.approx(best, abs=1e-12)


@pytest.mark.parametrize("kind", ["cycle", "chorded"])
def test_large_exact_problems_on_graphs_with_cycles(rng, kind):
    K, n = 8, 20
    cost = random_cost(rng, kind, (n,) * K)
    marginals = [zeroed_weights(rng, n) for _ in range(K)]
    result = mm.solve(marginals, cost)
    assert result.converged
    plan = result.sparse_plan
    assert plan.nnz <= K * (n - 1) + 1
    for k, a in enumerate(marginals):
        np.testing.assert_allclose(np.bincount(plan.coords[k], plan.data, n), a, atol=1e-9)
    value = plan.data @ cost.entries(np.stack(plan.coords, axis=1))
    dual = sum(f @ a for f, a in zip(result.potentials, marginals, strict=True))
    assert value == pytest.approx(dual, rel=1e-8)
    tuples = rng.integers(n, size=(100_000, K))
    reduced = cost.entries(tuples) - sum(f[i] for f, i in zip(result.potentials, tuples.T, strict=True))
    assert reduced.min() >= -1e-9


def coulomb_on_the_line(n, K):
    return mm.coulomb((np.arange(n) + 0.5) / n, K)


def test_coulomb_shifts_by_one_half():
    cost = coulomb_on_the_line(20, 2)
    plan = mm.solve([None, None], cost).plan
    np.testing.assert_allclose(plan[np.arange(20), (np.arange(20) + 10) % 20], 1 / 20)


def test_coulomb_shifts_cyclically():
    """K = 3 on the uniform measure: x → x + 1/3 mod 1, or its inverse (Colombo, De Pascale, Di Marino)."""
    n = 12
    cost = coulomb_on_the_line(n, 3)
    result = mm.solve([None] * 3, cost)
    shifted = [(i, (i + 4) % n, (i + 8) % n) for i in range(n)]
    assert result.value == pytest.approx(float(np.mean(cost.entries(np.array(shifted)))), rel=1e-9)
    low = mm.sinkhorn([None] * 3, cost, 0.02, tol=1e-8)
    assert low.value_linear == pytest.approx(result.value, rel=0.05)


def test_entropic_values_tend_to_the_exact_one(rng):
    cost = random_cost(rng, "cycle", (5, 5, 5))
    marginals = [zeroed_weights(rng, 5) for _ in range(3)]
    exact = mm.solve(marginals, cost).value
    values = [mm.sinkhorn(marginals, cost, epsilon, tol=1e-9).value for epsilon in (0.1, 0.03, 0.01)]
    assert exact < values[2] < values[1] < values[0]
    assert values[2] - exact < 0.01 * 3 * np.log(5)


def test_nodes_without_edges(rng):
    a, b = [0.3, 0.7], [0.5, 0.25, 0.25]
    for marginals in ([a], [a, b], [a, b, [1.0]]):
        cost = PairwiseCost(len(marginals), {})
        product = outer_product([np.array(weights) for weights in marginals])
        np.testing.assert_allclose(mm.sinkhorn(marginals, cost, 0.1).plan, product, atol=1e-14)
        assert_optimal(mm.solve(marginals, cost), [np.array(weights) for weights in marginals], 0 * product)


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_the_scale_of_costs_does_not_matter(rng, scale):
    C = rng.random((3, 4, 5))
    one, other = mm.sinkhorn([None] * 3, C, 0.05), mm.sinkhorn([None] * 3, scale * C, 0.05 * scale)
    np.testing.assert_allclose(other.plan, one.plan, atol=1e-9)
    assert other.value == pytest.approx(scale * one.value, rel=1e-6)


@pytest.mark.parametrize("kind", STRUCTURES)
@pytest.mark.parametrize("method", ["auto", "column-generation"])
@pytest.mark.parametrize("mass", [1e-300, 1e200])
def test_masses_of_exact_plans(rng, kind, method, mass):
    cost = random_cost(rng, kind, (3, 4, 2))
    marginals = [zeroed_weights(rng, n) for n in cost.shape]
    one = mm.solve(marginals, cost, method=method)
    other = mm.solve([mass * a for a in marginals], cost, method=method)
    assert other.converged
    assert other.value == pytest.approx(mass * one.value, rel=1e-7)


@pytest.mark.parametrize("kind", ["path", "star", "tree"])
def test_the_mass_of_a_tree_may_be_large(rng, kind):
    cost = random_cost(rng, kind, (3, 4, 2))
    marginals = [zeroed_weights(rng, n) for n in cost.shape]
    one = mm.sinkhorn(marginals, cost, 0.1, tol=1e-9)
    other = mm.sinkhorn([1e60 * a for a in marginals], cost, 0.1, tol=1e-9)
    assert other.converged
    np.testing.assert_allclose(other.plan / 1e60, one.plan, atol=1e-8)


@pytest.mark.parametrize("kind", STRUCTURES)
def test_no_temperature_is_too_high(rng, kind):
    cost = random_cost(rng, kind, (3, 4, 5))
    for epsilon in (1e7, 1e20, 1e100):
        result = mm.sinkhorn([None] * 3, cost, epsilon)
        assert result.value == pytest.approx(cost.dense().mean(), abs=1e-5)
        np.testing.assert_allclose(result.plan, 1 / 60, rtol=1e-5)


@pytest.mark.parametrize("kind", ["tensor", "cycle", "tree", "low-rank"])
def test_temperatures_below_all_digits_are_not_infeasible(rng, kind):
    cost = random_cost(rng, kind, (3, 4, 5))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", otf.ConvergenceWarning)
        result = mm.sinkhorn([None] * 3, cost, 1e-290, max_iter=20)
    assert np.isfinite(result.value)
    assert not np.isnan(result.plan).any()


def test_a_high_price_of_deviations_is_the_balanced_problem(rng):
    C = rng.random((3, 4, 5))
    priced, exact = mm.sinkhorn([None] * 3, C, 0.1, unbalanced=1e12), mm.sinkhorn([None] * 3, C, 0.1)
    assert priced.value == pytest.approx(exact.value, rel=1e-6)


@pytest.mark.parametrize("kind", ["strided", "reversed", "read-only", "swapped", "integers", "misaligned"])
@pytest.mark.parametrize("run", [lambda a, C: mm.sinkhorn(a, C, 0.1), lambda a, C: mm.solve(a, C)])
def test_arrays_of_any_layout(rng, kind, run):
    C = rng.integers(0, 9, (3, 4, 5)).astype(float)
    a = np.arange(1.0, 6.0)
    same, weights = C, a
    if kind == "strided":
        same, weights = np.repeat(C, 2, axis=2)[..., ::2], np.repeat(a, 3)[::3]
    elif kind == "reversed":
        same, weights = np.asfortranarray(C[::-1].copy())[::-1], a[::-1].copy()[::-1]
    elif kind == "read-only":
        same, weights = C.copy(), a.copy()
        same.flags.writeable = weights.flags.writeable = False
    elif kind == "swapped":
        same, weights = C.astype(">f8"), a.astype(">f4").astype(">f8")
    elif kind == "integers":
        same, weights = C.astype(np.uint8), a.astype(int)
    else:
        same = np.frombuffer(b"0" + C.tobytes(), np.uint8)[1:].view(float).reshape(C.shape)
    before = same.copy()
    one, other = (run([np.full(3, 5.0), np.full(4, 3.75), w], D) for w, D in ((a, C), (weights, same)))
    assert (same == before).all()
    np.testing.assert_allclose(other.plan, one.plan, atol=1e-9)


def test_threads_change_nothing_but_rounding(rng):
    cycle = random_cost(rng, "cycle", (60, 50, 40, 30))
    tensor = rng.random((30, 30, 30, 30))
    for cost in (cycle, tensor):
        otf.set_num_threads(1)
        one = mm.sinkhorn([None] * 4, cost, 0.1)
        otf.set_num_threads(3)
        three = mm.sinkhorn([None] * 4, cost, 0.1)
        np.testing.assert_allclose(three.marginal(1), one.marginal(1), rtol=1e-12)
        assert three.value == pytest.approx(one.value, rel=1e-12)


class Cube(MultiCost):
    """A cost of the user's own whose tuples are not enumerated: Σ_k c_k, which is priced node by node."""

    def __init__(self, parts):
        self.parts = parts

    @property
    def shape(self):
        return tuple(len(part) for part in self.parts)

    @property
    def dtype(self):
        return np.dtype(np.float64)

    def bounds(self):
        return 0.0, float(len(self.parts))

    def entries(self, indices):
        return sum(part[i] for part, i in zip(self.parts, indices.T, strict=True))

    def price(self, potentials):
        reduced = [part - f for part, f in zip(self.parts, potentials, strict=True)]
        best = np.array([[int(r.argmin()) for r in reduced]])
        return best, float(sum(r.min() for r in reduced))


def test_a_pricing_oracle_of_the_users_own(rng):
    parts = [rng.random(12) for _ in range(20)]
    result = mm.solve([None] * 20, Cube(parts))
    assert result.value == pytest.approx(sum(part.mean() for part in parts), rel=1e-9)
    assert result.converged
    with pytest.raises(ValueError, match="Cube cannot be read as a matrix"):
        mm.sinkhorn([None] * 3, Cube(parts[:3]), 0.1)


# --- Gaussians.


def random_covariance(rng, d, rank=None):
    factor = rng.normal(size=(d, rank or d))
    return factor @ factor.T


@pytest.mark.parametrize("rank", [4, 2])
def test_gaussians(rng, rank):
    K, d = 3, 4
    means, weights = rng.normal(size=(K, d)), np.array([0.5, 0.2, 0.6])
    covs = np.stack([random_covariance(rng, d, rank if k == 0 else d) for k in range(K)])
    result = mm.gaussian(means, covs, weights)
    total = weights.sum()
    blocks = result.cov.reshape(K, d, K, d).transpose(0, 2, 1, 3)
    for k in range(K):
        np.testing.assert_allclose(blocks[k, k], covs[k], atol=1e-9)
    # The value is that of the joint law, and x̄ has the law of the barycenter.
    centre = weights @ means / total
    of_mean = np.tensordot(np.outer(weights, weights) / total**2, blocks, 2)
    np.testing.assert_allclose(of_mean, result.barycenter_cov, atol=1e-9)
    value = sum(
        w * (np.trace(S) + ((m - centre) ** 2).sum()) for w, S, m in zip(weights, covs, means, strict=True)
    )
    assert result.value == pytest.approx(value - total * np.trace(of_mean), rel=1e-10)
    assert np.linalg.eigvalsh(result.cov)[0] > -1e-9
    # No other law with these marginals does better: those of maps that are turned from the optimal ones.
    factors = np.linalg.cholesky(covs + 1e-12 * np.eye(d))
    for _ in range(20):
        turned = [L @ np.linalg.qr(rng.normal(size=(d, d)))[0] for L in factors]
        mean = np.tensordot(weights / total, turned, 1)
        assert value - total * np.trace(mean @ mean.T) >= result.value - 1e-9


def test_commuting_gaussians(rng):
    """S = (Σ λ_k S_k^½)², and on the line standard deviations are averaged."""
    deviations = rng.random((3, 5)) + 0.1
    result = mm.gaussian(np.zeros((3, 5)), np.stack([np.diag(s**2) for s in deviations]))
    np.testing.assert_allclose(result.barycenter_cov, np.diag(deviations.mean(0) ** 2), atol=1e-12)
    value = ((deviations - deviations.mean(0)) ** 2).mean(0).sum()
    assert result.value == pytest.approx(value, rel=1e-12)


def test_gaussians_that_are_malformed():
    with pytest.raises(ValueError, match="covs must have shape"):
        mm.gaussian(np.zeros((2, 3)), np.zeros((2, 2, 2)))
    with pytest.raises(ValueError, match=r"covs\[1\] is not symmetric"):
        mm.gaussian(np.zeros((2, 2)), [np.eye(2), [[1, 1], [0, 1]]])
    with pytest.raises(ValueError, match=r"covs\[0\] is not positive semi-definite"):
        mm.gaussian(np.zeros((2, 1)), [[[-1.0]], [[1.0]]])


# --- Arguments and results.


def test_bad_input(rng):
    C = rng.random((3, 4, 2))
    good = [None, None, None]
    with pytest.raises(ValueError, match="marginals must be 3"):
        mm.sinkhorn([None, None], C, 0.1)
    with pytest.raises(ValueError, match=r"marginals\[1\] must have shape \(4,\)"):
        mm.sinkhorn([None, np.ones(3), None], C, 0.1)
    with pytest.raises(ValueError, match=r"marginals\[0\] must not be negative"):
        mm.sinkhorn([[-1, 1, 1], None, None], C, 0.1)
    with pytest.raises(ValueError, match=r"marginals\[2\] must be finite"):
        mm.solve([None, None, [np.nan, 1]], C)
    with pytest.raises(ValueError, match=r"marginals\[0\] and marginals\[1\] differ"):
        mm.sinkhorn([None, np.ones(4), None], C, 0.1)
    with pytest.raises(ValueError, match="epsilon"):
        mm.sinkhorn(good, C, 0.0)
    with pytest.raises(ValueError, match="cost"):
        mm.sinkhorn(good, np.full((3, 4, 2), np.nan), 0.1)
    with pytest.raises(ValueError, match="-inf"):
        mm.sinkhorn(good, np.full((3, 4, 2), -INF), 0.1)
    with pytest.raises(ValueError, match="method"):
        mm.solve(good, C, method="simplex")
    with pytest.raises(ValueError, match="free"):
        mm.sinkhorn(good, C, 0.1, free=[3])
    with pytest.raises(ValueError, match="unbalanced"):
        mm.sinkhorn(good, C, 0.1, unbalanced=[1.0, 2.0])
    with pytest.raises(ValueError, match="edge"):
        PairwiseCost(3, {(0, 0): np.ones((2, 2))})
    with pytest.raises(ValueError, match="edge"):
        PairwiseCost(3, {(0, 3): np.ones((2, 2))})
    with pytest.raises(ValueError, match="twice"):
        PairwiseCost(3, {(0, 1): np.ones((2, 2)), (1, 0): np.ones((2, 2))})
    with pytest.raises(ValueError, match="node 1 has 3 points"):
        PairwiseCost(3, {(0, 1): np.ones((2, 3)), (1, 2): np.ones((2, 3))})
    with pytest.raises(ValueError, match="node 2 has no edge"):
        mm.sinkhorn(good, PairwiseCost(3, {(0, 1): np.ones((2, 2))}), 0.1)
    for edges in ([(0, 1, np.ones((2, 2)))], {(0.5, 1): np.ones((2, 2))}, {"ab": np.ones((2, 2))}):
        with pytest.raises(ValueError, match="edge"):
            PairwiseCost(2, edges)
    for unbalanced in (0.0, np.nan, np.array(-1.0), {1.0}, [None, 1.0, 1.0]):
        with pytest.raises(ValueError, match="unbalanced"):
            mm.sinkhorn(good, C, 0.1, unbalanced=unbalanced)
    for marginal in ([[1.0], [1.0, 2.0]], ["a", "b", "c"], 1.0, [], [0.0, 0.0, 0.0]):
        for cost in (C, PairwiseCost(3, {(0, 1): C[:, :, 0]})):
            with pytest.raises(ValueError, match=r"marginals\[0\]"):
                mm.sinkhorn([marginal, None, [0.5, 0.5]], cost, 0.1)
    for run in (lambda a: mm.sinkhorn(a, C, 0.1), lambda a: mm.solve(a, C * 1e200)):
        with pytest.raises(ValueError, match=r"totals of marginals.* are so large"):
            run([np.full(n, 1e150 / n) for n in C.shape])
    for sizes in (3, [0, 2], ["a", 2], [2]):
        with pytest.raises(ValueError, match="sizes"):
            PairwiseCost(2, {}, sizes)
    for free in (3, None, "ab"):
        with pytest.raises(ValueError, match="free"):
            mm.sinkhorn(good, C, 0.1, free=free)
    for make in (LowRankTensor, BarycenterCost, SpreadCost):
        with pytest.raises(ValueError, match="sequence"):
            make(3)
    for make in (
        lambda: LowRankTensor([np.full((2, 2), 1e110)] * 3),
        lambda: SpreadCost([[1e308], [-1e308]]),
    ):
        with pytest.raises(ValueError, match="range of float64"):
            make()
    for far in (
        [[1e200], [0.0, -1e200]],
        [[1.7e308, 1.7e308], [1.7e308]],
        [np.float32([1e20]), np.float32([0])],
    ):
        with pytest.raises(ValueError, match="costs of these points can exceed the range"):
            BarycenterCost(far)
    for cost in (otf.PointCloud(C[0, :, :]), otf.DenseCost(C[0])):
        with pytest.raises(ValueError, match="make it an edge"):
            mm.sinkhorn([None, None], cost, 0.1)
    with pytest.raises(ValueError, match="n_marginals"):
        mm.coulomb([0.0, 1.0], 1)
    with pytest.raises(ValueError, match="rank"):
        LowRankTensor([np.ones((2, 2)), np.ones((2, 3))])


def test_too_large_tensors_name_their_size_and_what_to_do_instead():
    n = 2000
    with pytest.raises(ValueError, match=r"[TP]B.*(tree|graph|structured)"):
        LowRankTensor([np.ones((n, 1))] * 4).dense()
    complete = PairwiseCost(6, {pair: np.ones((300, 300)) for pair in combinations(range(6), 2)})
    with pytest.raises(ValueError, match=r"PB"):
        mm.sinkhorn([None] * 6, complete, 0.1)


@pytest.mark.parametrize("make", [BarycenterCost, LowRankTensor, SpreadCost])
@pytest.mark.parametrize("run", [lambda a, C: mm.sinkhorn(a, C, 0.1), mm.solve])
def test_too_many_tuples_of_half_of_the_points(make, run):
    # Of 24 points, half make 10^12 tuples.
    points = [np.arange(10.0)] * 24 if make is SpreadCost else [np.ones((10, 2))] * 24
    if make is SpreadCost and run is mm.solve:
        assert run([None] * 24, make(points)).value == 0.0, "on the line no tuples are listed"
        return
    with pytest.raises(ValueError, match=r"TB.*PairwiseCost on a tree"):
        run([None] * 24, make(points))


def test_plans_that_do_not_fit_into_memory():
    """The plan of eight measures is known by its marginals; as an array it has 10^24 entries."""
    C = np.abs(np.subtract.outer(np.arange(1000.0), np.arange(1000.0)))
    result = mm.sinkhorn([None] * 8, PairwiseCost(8, {(k, k + 1): C for k in range(7)}), 500.0, tol=1e-4)
    np.testing.assert_allclose(result.pair_marginal(2, 3).sum(axis=0), 1e-3, rtol=1e-3)
    for read in (lambda: result.plan, lambda: result.sparse_plan):
        with pytest.raises(ValueError, match=r"the plan, 1000 x.*PB"):
            read()


def test_graphs_of_too_large_treewidth_tell_what_they_would_take():
    n, K = 1000, 8
    # Two sides, each point of one joined to each of the other: treewidth 4, and no tensor of 1000^8 either.
    C = np.ones((n, n))
    edges = {(k, j): C for k in range(4) for j in range(4, 8)}
    for run in (
        lambda cost: mm.sinkhorn([None] * K, cost, 0.1),
        lambda cost: mm.solve([None] * K, cost),
    ):
        with pytest.raises(ValueError, match=r"[TP]B.*(tree|graph|structured)"):
            run(PairwiseCost(K, edges))
    with pytest.raises(ValueError, match=r"treewidth is about 4.*TB of memory.*operations.*cycle"):
        mm.sinkhorn([None] * K, PairwiseCost(K, edges), 0.1)


def test_parts_that_are_not_connected_are_independent(rng):
    sizes = (4, 3, 5, 3, 4, 2)
    edges = {pair: rng.random((sizes[pair[0]], sizes[pair[1]])) for pair in [(0, 1), (2, 3), (3, 4), (4, 2)]}
    cost = PairwiseCost(6, edges, sizes)
    marginals = [zeroed_weights(rng, n) for n in sizes]
    result = mm.sinkhorn(marginals, cost, 0.2, tol=1e-10)
    pair = mm.sinkhorn(marginals[:2], PairwiseCost(2, {(0, 1): edges[0, 1]}), 0.2, tol=1e-10)
    np.testing.assert_allclose(result.pair_marginal(0, 1), pair.plan, atol=1e-9)
    np.testing.assert_allclose(
        result.pair_marginal(1, 3), np.multiply.outer(marginals[1], marginals[3]), atol=1e-9
    )
    np.testing.assert_allclose(result.marginal(5), marginals[5], atol=1e-12)


def test_not_converged_is_told(rng):
    with pytest.warns(otf.ConvergenceWarning, match="max_iter"):
        result = mm.sinkhorn(
            [zeroed_weights(rng, 6) for _ in range(3)], rng.random((6, 6, 6)), 1e-3, max_iter=2
        )
    assert not result.converged
    assert result.n_iter == 2


@pytest.mark.parametrize("kind", ["tensor", "path", "cycle"])
def test_callbacks(rng, kind):
    cost = random_cost(rng, kind, (5, 5, 5))
    marginals = [zeroed_weights(rng, 5) for _ in range(3)]
    reports = []
    result = mm.sinkhorn(marginals, cost, 0.05, callback=reports.append)
    assert reports[-1] == (result.n_iter, result.error, result.value)
    with pytest.warns(otf.ConvergenceWarning, match="callback"):
        stopped = mm.sinkhorn(marginals, cost, 1e-4, tol=1e-14, free=[1], callback=lambda report: True)
    assert not stopped.converged
    with pytest.raises(ZeroDivisionError):
        mm.sinkhorn(marginals, cost, 0.05, callback=lambda report: 1 / 0)


@pytest.mark.parametrize("kind", STRUCTURES)
def test_results_can_be_pickled(rng, kind):
    cost = random_cost(rng, kind, (3, 2, 3))
    marginals = [zeroed_weights(rng, n) for n in cost.shape]
    for result in (mm.sinkhorn(marginals, cost, 0.1), mm.solve(marginals, cost)):
        again = pickle.loads(pickle.dumps(result))
        np.testing.assert_array_equal(again.plan, result.plan)
        np.testing.assert_array_equal(again.sparse_plan.todense(), result.sparse_plan.todense())
        assert repr(again) == repr(result)
