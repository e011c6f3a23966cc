"""Entropic barycenters on a given support: the facts that hold for every answer."""

import pickle

import numpy as np
import pytest
from scipy import optimize
from scipy.special import logsumexp

import otfast as otf
from otfast.barycenter import _bregman, _kernels

METHODS = ("ibp", "semidual", "descent")
EPSILON = 0.02


def problem(seed, k=3, n=12, m=9):
    """K random histograms with zeros, random unequal weights, costs of own supports."""
    rng = np.random.default_rng(seed)
    x = rng.random((n, 2))
    measures, costs = [], []
    for size in rng.integers(m - 3, m + 3, k):
        b = rng.dirichlet(np.ones(size))
        b[rng.integers(size)] = 0.0
        measures.append(b / b.sum())
        costs.append(((x[:, None] - rng.random((size, 2))[None]) ** 2).sum(-1))
    return measures, costs, rng.dirichlet(np.ones(k))


def shared_problem(seed, k=3, n=15):
    rng = np.random.default_rng(seed)
    x = rng.random((n, 2))
    return rng.dirichlet(np.ones(n), k), ((x[:, None] - x[None]) ** 2).sum(-1), rng.dirichlet(np.ones(k))


def transport_value(w, b, cost, epsilon):
    """min ⟨P, C⟩ + ε Σ P log P: that of `sinkhorn` with the entropies of its marginals."""
    has_w, has_b = w > 0.0, b > 0.0
    entropies = w[has_w] @ np.log(w[has_w]) + b[has_b] @ np.log(b[has_b])
    return otf.sinkhorn(w, b, cost, epsilon, tol=1e-10).value + epsilon * entropies


def objective(w, measures, costs, weights, epsilon=EPSILON):
    parts = zip(weights, measures, costs, strict=True)
    return sum(weight * transport_value(w, b, cost, epsilon) for weight, b, cost in parts)


def reference(measures, costs, weights, epsilon, n_iter):
    """Benamou et al. 2015, proposition 2, in logarithms, term by term."""
    alpha = [np.zeros(len(cost)) for cost in costs]
    with np.errstate(divide="ignore"):
        log_b = [np.log(b) for b in measures]
    for _ in range(n_iter):
        phi = []
        for k, cost in enumerate(costs):
            beta = log_b[k] - logsumexp(alpha[k][:, None] - cost / epsilon, axis=0)
            phi.append(logsumexp(beta[None] - cost / epsilon, axis=1))
        log_w = sum(weight * p for weight, p in zip(weights, phi, strict=True))
        alpha = [log_w - p for p in phi]
    return np.exp(log_w - logsumexp(log_w))


@pytest.mark.parametrize("epsilon", [0.5, 0.02, 1e-4])
@pytest.mark.parametrize("n_iter", [1, 2, 7])
def test_iterations_are_those_of_the_literature(epsilon, n_iter):
    """v_k = b_k / K_kᵀ u_k, w = Π (K_k v_k)^λ_k, u_k = w / K_k v_k, with own supports and unequal weights."""
    measures, costs, weights = problem(0)
    result = otf.barycenter.fixed_support(measures, costs, weights, epsilon=epsilon, tol=0, max_iter=n_iter)
    expected = reference(measures, costs, weights, epsilon, n_iter)
    np.testing.assert_allclose(result.weights, expected, atol=1e-10)
    assert result.n_iter == n_iter


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("seed", range(3))
def test_no_other_histogram_has_a_smaller_objective(method, seed):
    """F(w*) ≤ F(w) for F(w) = Σ λ_k OT(w, b_k), and F(w*) is the value, with unequal weights."""
    measures, costs, weights = problem(seed)
    result = otf.barycenter.fixed_support(
        measures, costs, weights, method=method, epsilon=EPSILON, tol=1e-9, max_iter=20_000
    )
    w = result.weights
    assert result.converged
    best = objective(w, measures, costs, weights)
    assert result.value == pytest.approx(best, abs=1e-7)
    rng = np.random.default_rng(seed + 100)
    for size in (1e-3, 1e-2, 1e-1, 1.0):
        other = (1.0 - size) * w + size * rng.dirichlet(np.ones(w.size))
        assert objective(other, measures, costs, weights) >= best - 1e-9


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n_iter", [1, 2, 5])
def test_mass_is_kept_at_any_stopping_point(method, n_iter):
    """Σ w = 1 to 1e-9 and P_k 1 = w, converged or not."""
    measures, costs, weights = problem(3)
    result = otf.barycenter.fixed_support(
        [3.0 * b for b in measures], costs, weights, method=method, epsilon=EPSILON, tol=0, max_iter=n_iter
    )
    assert result.weights.sum() == pytest.approx(3.0, rel=1e-12)
    for coupling in result.couplings:
        np.testing.assert_allclose(coupling.plan.sum(1), result.weights, atol=1e-12)


@pytest.mark.parametrize("mass", [1e-250, 1e250])
@pytest.mark.parametrize("method", ["lp", "ibp-debiased", *METHODS])
def test_any_mass(method, mass):
    """Barycenters scale with the mass; values do, up to ε M log M."""
    B, C, weights = shared_problem(14)
    options = {} if method == "lp" else {"epsilon": 0.1}
    one = otf.barycenter.fixed_support(B, C, weights, method=method, **options)
    other = otf.barycenter.fixed_support(mass * B, C, weights, method=method, **options)
    np.testing.assert_allclose(other.weights / mass, one.weights, atol=1e-5)
    entropy = 0.1 * np.log(mass) if method in METHODS else 0.0
    assert other.value / mass == pytest.approx(one.value + entropy, rel=1e-5)


def test_couplings_belong_to_the_result():
    """P_k 1 = w, P_kᵀ 1 = b_k, and Σ λ_k (⟨P_k, C_k⟩ + ε Σ P_k log P_k) is the value."""
    measures, costs, weights = problem(4)
    result = otf.barycenter.fixed_support(measures, costs, weights, epsilon=EPSILON, tol=1e-10)
    value = 0.0
    for weight, b, cost, coupling in zip(weights, measures, costs, result.couplings, strict=True):
        plan = coupling.plan
        np.testing.assert_allclose(plan.sum(1), result.weights, atol=1e-12)
        assert np.abs(plan.sum(0) - b).sum() <= 1.1e-10
        mass = plan[plan > 0.0]
        value += weight * ((plan * cost).sum() + EPSILON * mass @ np.log(mass))
        assert coupling.value == pytest.approx(otf.sinkhorn(result.weights, b, cost, EPSILON, tol=1e-9).value)
    assert value == pytest.approx(result.value, rel=1e-10)
    assert result.history[-1] == result.value


def test_couplings_are_a_sequence_of_their_own():
    """They are made late, but of what there was, and keep."""
    measures, costs, weights = problem(4)
    result = otf.barycenter.fixed_support(measures, costs, weights, epsilon=EPSILON)
    again = pickle.loads(
        pickle.dumps(otf.barycenter.fixed_support(measures, costs, weights, epsilon=EPSILON))
    )
    kept = measures[0].copy()
    measures[0][:] = 0.0
    assert len(result.couplings) == len(result.couplings[:]) == 3
    assert result.couplings[0] is result.couplings[0]
    np.testing.assert_allclose(result.couplings[0].plan.sum(0), kept, atol=1e-6)
    assert repr(result.couplings) == repr(list(again.couplings))
    np.testing.assert_array_equal(result.couplings[-1].plan, again.couplings[-1].plan)


def test_all_ways_to_give_a_cost_agree():
    """An array, a cloud, a grid, a list of equal costs, and the image: one problem."""
    rng = np.random.default_rng(5)
    axes = np.sort(rng.random(6)), np.sort(rng.random(5))
    grid = otf.Grid(*axes)
    B, weights = rng.dirichlet(np.ones(30), 3), rng.dirichlet(np.ones(3))
    results = [
        otf.barycenter.fixed_support(B, C, weights, epsilon=EPSILON, tol=0, max_iter=40).weights
        for C in (grid.dense(), grid, otf.PointCloud(grid.points()), [grid.dense()] * 3, [grid] * 3)
    ]
    image = otf.barycenter.convolutional(
        B.reshape(3, 6, 5), weights, epsilon=EPSILON, axes=axes, tol=0, max_iter=40
    )
    assert image.weights.shape == (6, 5)
    for other in [*results[1:], image.weights.ravel()]:
        np.testing.assert_allclose(other, results[0], atol=1e-12)


@pytest.mark.parametrize("epsilon", [0.1, 1e-3, 1e-5])
def test_the_axes_give_what_all_pairs_give_at_any_temperature(epsilon):
    """exp(−C/ε) axis by axis, in double precision or in logarithms, is the kernel of all pairs."""
    rng = np.random.default_rng(6)
    images = rng.random((2, 9, 8)) * (rng.random((2, 9, 8)) < 0.7)
    images /= images.sum((1, 2), keepdims=True)
    grid = otf.Grid(np.linspace(0, 1, 9), np.linspace(0, 1, 8))
    result = otf.barycenter.convolutional(images, [0.3, 0.7], epsilon=epsilon, tol=0, max_iter=20)
    expected = reference(list(images.reshape(2, -1)), [grid.dense()] * 2, [0.3, 0.7], epsilon, 20)
    np.testing.assert_allclose(result.weights.ravel(), expected, rtol=1e-8, atol=1e-300)


def gaussians(deviations, means, size=400, span=4.0):
    x = np.linspace(-span, span, size)
    density = np.stack(
        [np.exp(-((x - m) ** 2) / (2 * s * s)) for s, m in zip(deviations, means, strict=True)]
    )
    return x, density / density.sum(1, keepdims=True)


def variance(x, w):
    return w @ (x - w @ x) ** 2


def test_blur_of_gaussians_of_one_deviation():
    """The barycenter of N(m_k, σ²) has the mean Σ λ_k m_k and the variance σ² + ε/2 (Janati et al. 2020)."""
    x, B = gaussians([0.4, 0.4, 0.4], [-1.0, 0.0, 1.5])
    weights = np.array([0.2, 0.5, 0.3])
    result = otf.barycenter.fixed_support(B, otf.Grid(x), weights, epsilon=0.2, tol=1e-9)
    assert result.weights @ x == pytest.approx(weights @ [-1.0, 0.0, 1.5], abs=1e-6)
    assert variance(x, result.weights) == pytest.approx(0.4**2 + 0.1, rel=1e-4)


def test_blur_of_gaussians_of_unequal_deviations():
    """The variance S solves Σ λ_k √(s⁴ + 4 σ_k² S) = 2S − s², s² = ε/2."""
    sigmas, weights, s2 = np.array([0.3, 0.6]), np.array([0.25, 0.75]), 0.1
    x, B = gaussians(sigmas, [-0.5, 0.5])
    result = otf.barycenter.convolutional(B, weights, epsilon=2 * s2, axes=[x], tol=1e-9)
    expected = optimize.brentq(
        lambda S: weights @ np.sqrt(s2**2 + 4 * sigmas**2 * S) - 2 * S + s2, 1e-3, 10.0
    )
    assert variance(x, result.weights) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("deviations", [(0.4, 0.4), (0.3, 0.6)])
def test_debiased_keeps_a_common_deviation_and_solves_its_equation(deviations):
    """Debiased: Σ λ_k √(s⁴ + 4 σ_k² S) = √(s⁴ + 4 S²), so that a common σ is kept."""
    sigmas, weights, s2 = np.array(deviations), np.array([0.25, 0.75]), 0.1
    x, B = gaussians(sigmas, [-0.5, 0.5])
    result = otf.barycenter.fixed_support(
        B, otf.Grid(x), weights, method="ibp-debiased", epsilon=2 * s2, tol=1e-9
    )
    expected = optimize.brentq(
        lambda S: weights @ np.sqrt(s2**2 + 4 * sigmas**2 * S) - np.sqrt(s2**2 + 4 * S**2), 1e-3, 10.0
    )
    assert variance(x, result.weights) == pytest.approx(expected, rel=1e-4)
    assert result.weights.sum() == pytest.approx(1.0, abs=1e-12)


def test_debiased_value_is_that_of_the_divergences():
    """value = Σ λ_k S(w, b_k), S(w, b) = OT(w, b) − ½ OT(w, w) − ½ OT(b, b); equal inputs are returned."""
    B, C, weights = shared_problem(7)
    result = otf.barycenter.fixed_support(B, C, weights, method="ibp-debiased", epsilon=0.05, tol=1e-10)
    w = result.weights

    def transport(a, b):
        return otf.sinkhorn(a, b, C, 0.05, tol=1e-10).value

    divergences = [transport(w, b) - 0.5 * (transport(w, w) + transport(b, b)) for b in B]
    assert result.value == pytest.approx(weights @ divergences, abs=1e-8)
    same = otf.barycenter.fixed_support(
        np.stack([B[0]] * 3), C, weights, method="ibp-debiased", epsilon=0.05, tol=1e-9
    )
    np.testing.assert_allclose(same.weights, B[0], atol=1e-5)
    assert same.value == pytest.approx(0.0, abs=1e-7)


def test_a_bound_on_the_entropy_is_kept():
    """−Σ w log w ≤ the bound; a bound that does not bind changes nothing."""
    x, B = gaussians([0.2, 0.3], [-0.6, 0.6], size=100, span=2.0)

    def entropy(w):
        w = w[w > 0]
        return -w @ np.log(w)

    free = otf.barycenter.convolutional(B, [0.5, 0.5], epsilon=0.1, axes=[x])
    bound = entropy(free.weights) - 0.4
    sharp = otf.barycenter.convolutional(B, [0.5, 0.5], epsilon=0.1, axes=[x], entropy_bound=bound)
    assert entropy(sharp.weights) == pytest.approx(bound, abs=1e-9)
    assert sharp.weights.sum() == pytest.approx(1.0, abs=1e-12)
    loose = otf.barycenter.convolutional(B, [0.5, 0.5], epsilon=0.1, axes=[x], entropy_bound=bound + 1.0)
    np.testing.assert_allclose(loose.weights, free.weights, atol=1e-9)


def test_many_weights_at_once():
    """Rows of weights make the barycenters that single calls make; a corner is its image, blurred."""
    rng = np.random.default_rng(8)
    images = rng.dirichlet(np.ones(48), 4).reshape(4, 8, 6)
    u = np.linspace(0, 1, 3)
    grid = np.stack([np.outer((1 - s, s), (1 - t, t)).ravel() for s in u for t in u])
    together = otf.barycenter.convolutional(images, grid, epsilon=0.01, tol=1e-8)
    for weights, result in zip(grid, together, strict=True):
        single = otf.barycenter.convolutional(images, weights, epsilon=0.01, tol=1e-8)
        np.testing.assert_allclose(result.weights, single.weights, atol=1e-7)
        assert result.error <= 1e-8
    assert together[0].value == pytest.approx(
        otf.barycenter.convolutional(images[:1], epsilon=0.01, tol=1e-8).value, abs=1e-9
    )


def test_volumes_and_an_operator_of_the_users():
    """Any number of axes; an operator that multiplies by the kernel gives what the grid gives."""
    rng = np.random.default_rng(9)
    volumes = rng.dirichlet(np.ones(60), 2).reshape(2, 3, 4, 5)
    grid = otf.Grid(*(np.linspace(0, 1, size) for size in (3, 4, 5)))
    kernel = np.exp(-grid.dense() / 0.05)
    a = otf.barycenter.convolutional(volumes, [0.4, 0.6], epsilon=0.05, tol=1e-10)
    b = otf.barycenter.convolutional(volumes, [0.4, 0.6], epsilon=0.05, tol=1e-10, operator=kernel.__matmul__)
    np.testing.assert_allclose(a.weights, b.weights, atol=1e-10)
    assert a.value == pytest.approx(b.value, rel=1e-9)
    assert a.weights.shape == (3, 4, 5)


def test_semidual_with_a_convex_term():
    """min F(w) + γ/2 ‖w − w₀‖² from its conjugate, against a general solver."""
    B, C, weights = shared_problem(10, k=2, n=5)
    target, gamma = np.full(5, 0.2), 3.0
    result = otf.barycenter.fixed_support(
        B,
        C,
        weights,
        method="semidual",
        epsilon=0.1,
        tol=1e-8,
        conjugate=lambda u: (u @ target + u @ u / (2 * gamma), target + u / gamma),
    )

    def total(z):
        w = np.exp(z - logsumexp(z))
        return objective(w, B, [C] * 2, weights, 0.1) + gamma / 2 * ((w - target) ** 2).sum()

    best = optimize.minimize(total, np.log(result.weights), method="Nelder-Mead", options={"xatol": 1e-9})
    assert total(np.log(result.weights)) <= best.fun + 1e-9
    assert result.value == pytest.approx(best.fun, abs=1e-7)


def test_single_precision_is_kept():
    B, C, weights = shared_problem(11)
    for method in (*METHODS, "ibp-debiased"):
        single = otf.barycenter.fixed_support(
            B.astype(np.float32), C.astype(np.float32), weights, method=method, epsilon=0.05
        )
        double = otf.barycenter.fixed_support(B, C, weights, method=method, epsilon=0.05, tol=1e-9)
        assert single.weights.dtype == np.float32
        assert single.value.dtype == np.float32
        np.testing.assert_allclose(single.weights, double.weights, atol=1e-3)
    image = otf.barycenter.convolutional(B.reshape(3, 5, 3).astype(np.float32), epsilon=0.1)
    assert image.weights.dtype == np.float32


def test_forbidden_pairs():
    """+inf: no mass of the barycenter where a measure cannot be reached, and none at all is infeasible."""
    C = np.array([[0.0, np.inf], [1.0, 0.0], [np.inf, 1.0]])
    result = otf.barycenter.fixed_support([[0.5, 0.5], [1.0, 0.0]], C, epsilon=0.1)
    assert result.weights[2] == 0.0
    assert np.isfinite(result.value)
    for method in METHODS:
        apart = [[0.0, np.inf], [np.inf, 0.0]]
        with pytest.raises(otf.InfeasibleError):
            otf.barycenter.fixed_support([[0.0, 1.0], [1.0, 0.0]], apart, method=method, epsilon=0.1)


def test_callbacks_warnings_and_exact_counts():
    B, C, weights = shared_problem(12)
    seen = []
    result = otf.barycenter.fixed_support(B, C, weights, epsilon=0.05, callback=seen.append)
    assert [report.iteration for report in seen] == list(range(1, result.n_iter + 1))
    assert seen[-1].error == result.error <= 1e-6
    assert seen[-1].value == result.value
    for method in METHODS:
        with pytest.warns(otf.ConvergenceWarning, match="max_iter"):
            early = otf.barycenter.fixed_support(B, C, weights, method=method, epsilon=1e-3, max_iter=2)
        assert not early.converged
        with pytest.warns(otf.ConvergenceWarning, match="callback"):
            stopped = otf.barycenter.fixed_support(
                B, C, weights, method=method, epsilon=1e-3, callback=lambda report: report.iteration >= 2
            )
        assert stopped.n_iter == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"B": [[0.5, 0.5], [0.5, np.nan]]}, "B"),
        ({"B": [[0.5, 0.5], [0.5, -0.5]]}, "B"),
        ({"B": [[0.5, 0.5], [0.5, 0.6]]}, "same mass"),
        ({"B": [[0.5, 0.5], [1.0]]}, "B"),
        ({"B": []}, "B"),
        ({"B": 3.0}, "B"),
        ({"C": np.zeros((3, 3))}, "shape"),
        ({"C": [np.zeros((2, 2))] * 3}, "C must be one cost or 2"),
        ({"C": [np.zeros((2, 2)), np.zeros((3, 2))]}, "rows"),
        ({"weights": [0.5, 0.3, 0.2]}, "weights"),
        ({"weights": [-0.5, 1.5]}, "weights"),
        ({"weights": [0.0, 0.0]}, "weights"),
        ({"weights": np.zeros((0, 2))}, "weights"),
        ({"weights": [np.nan, 1.0]}, "weights"),
        ({"epsilon": None}, "epsilon"),
        ({"method": "lp"}, "epsilon"),
        ({"epsilon": 0.0}, "epsilon"),
        ({"method": "magic"}, "ibp"),
        ({"max_iter": 0}, "max_iter"),
        ({"tol": -1.0}, "tol"),
        ({"conjugate": lambda u: (0.0, u)}, "conjugate"),
        ({"method": "semidual", "conjugate": lambda u: (0.0, u[:1])}, "conjugate"),
        ({"method": "ibp-debiased", "C": [[0.0, 1.0], [2.0, 0.0]]}, "symmetric"),
        ({"callback": 3}, "callback"),
    ],
)  # fmt: skip
def test_bad_input_is_named(change, message):
    arguments = {"B": [[0.5, 0.5], [0.25, 0.75]], "C": [[0.0, 1.0], [1.0, 0.0]], "epsilon": 0.1} | change
    with pytest.raises(ValueError, match=message):
        otf.barycenter.fixed_support(**arguments)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": np.zeros((2, 3, 3))}, "images"),
        ({"images": np.ones(3)}, "images"),
        ({"images": np.ones((0, 3))}, "images"),
        ({"images": np.full((2, 3), np.inf)}, "images"),
        ({"epsilon": -1.0}, "epsilon"),
        ({"axes": [np.arange(3.0)]}, "axes"),
        ({"axes": [np.arange(3.0), [0.0, np.nan, 1.0]]}, "axes"),
        ({"entropy_bound": -1.0}, "entropy_bound"),
        ({"operator": 3}, "operator"),
        ({"operator": lambda x: x[:1]}, "operator"),
        ({"operator": lambda x: x * np.nan}, "operator"),
    ],
)
def test_bad_images_are_named(change, message):
    arguments = {"images": np.full((2, 3, 3), 1 / 9), "epsilon": 0.1} | change
    with pytest.raises(ValueError, match=message):
        otf.barycenter.convolutional(**arguments)


def test_the_linear_program_is_the_limit_of_small_temperatures():
    """value_ε − ε Σ λ_k Σ P log P → value of the LP, and its bound holds for the plans of any ε."""
    measures, costs, weights = problem(13)
    exact = otf.barycenter.fixed_support(measures, costs, weights, method="lp", tol=1e-9)
    assert exact.converged
    assert exact.lower_bound <= exact.value * (1 + 1e-12)
    assert exact.weights.sum() == pytest.approx(1.0, abs=1e-12)
    gaps = []
    for epsilon in (0.1, 0.01, 0.001):
        result = otf.barycenter.fixed_support(
            measures, costs, weights, method="semidual", epsilon=epsilon, max_iter=50_000
        )
        pairs = zip(weights, result.couplings, strict=True)
        gaps.append(sum(weight * coupling.value_linear for weight, coupling in pairs) - exact.value)
    assert -1e-6 <= gaps[2] <= 0.1 * gaps[0]
    assert gaps[1] <= gaps[0]
    with pytest.warns(otf.ConvergenceWarning):
        otf.barycenter.fixed_support(
            np.ones((3, 80)) / 80, otf.Grid(np.arange(80.0)), method="lp", callback=lambda _: True
        )


@pytest.mark.parametrize(("dtype", "epsilon", "accuracy"), [("float64", 0.02, 1e-11), ("float32", 0.2, 2e-5)])
def test_projections_in_the_core_are_those_in_logarithms(rng, dtype, epsilon, accuracy):
    """One pass for both products is what two of them give, for rows far from all columns, too."""
    n, m = 150, 93
    C = rng.random((n, m)).astype(dtype)
    C[::7] += 0.5  # rows with an offset
    C[3, ::2] = np.inf
    b = rng.dirichlet(np.ones(m), 3)
    b[1, :40] = 0.0
    b /= b.sum(1, keepdims=True)
    weights = np.array([[0.2, 0.3, 0.5], [0.0, 1.0, 0.0]])
    problem = _bregman.Problem(
        _kernels.SharedKernel(_kernels.log_sums_of(otf.DenseCost(C), epsilon, None), 3),
        **{"size": n, "b": b, "mass": 1.0, "weights": weights, "epsilon": epsilon},
    )
    assert problem.kernel.projector is not None
    in_core = _bregman.solve(problem, 0.0, 25, None)
    assert problem.kernel.projector is not None, "the numbers must stay in range"
    problem.kernel.projector = None
    expected = _bregman.solve(problem, 0.0, 25, None)
    for name in ("log_w", "alpha", "beta"):
        np.testing.assert_allclose(
            getattr(in_core.scalings, name), getattr(expected.scalings, name), atol=50 * accuracy
        )
    np.testing.assert_allclose(in_core.psi, expected.psi, atol=50 * accuracy)
    np.testing.assert_allclose(in_core.errors, expected.errors, atol=accuracy)


def test_numbers_beyond_the_range_go_on_in_logarithms(rng):
    """A temperature at which the core gives up is none at which the answer suffers."""
    x = rng.random((40, 2))
    C = otf.PointCloud(x, x).dense()
    b = np.zeros((2, 40))
    b[0, 0] = b[1, 1] = 1.0  # the products with u range over more than double precision
    result = otf.barycenter.fixed_support(b, C, epsilon=2e-4, tol=1e-9)
    assert result.converged
    cost = 0.5 * (C[:, 0] + C[:, 1])  # both plans are known: w_i goes to the only point
    expected = np.exp(-(cost - cost.min()) / 2e-4)
    np.testing.assert_allclose(result.weights, expected / expected.sum(), atol=1e-9)
