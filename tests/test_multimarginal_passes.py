"""One pass over a tensor that updates all potentials: against its definition, and against the log domain."""

import math

import numpy as np
import pytest

from otfast import _core, multimarginal
from otfast.multimarginal import _unfolded
from otfast.multimarginal._potentials import Potentials

INF = np.inf

#: Rows for the kernels are of one trailing axis, of several, and of all but the first.
SHAPES = [(3, 4, 2), (6, 5), (4, 70, 80), (7, 3, 2, 3, 2), (1, 1, 1), (9, 1, 17), (2, 3, 3000)]


def softmin(tensor, exponents, k, epsilon):
    """Return −ε log Σ exp((⊕_{j ≠ k} exponents_j − C)/ε) over all points but those of k."""
    total = -tensor.astype(float)
    for j, exponent in enumerate(exponents):
        if j != k:
            total = total + exponent.reshape([-1 if axis == j else 1 for axis in range(tensor.ndim)])
    rows = np.moveaxis(total, k, 0).reshape(tensor.shape[k], -1) / epsilon
    top = rows.max(axis=1, keepdims=True)
    return -epsilon * (top[:, 0] + np.log(np.exp(rows - top).sum(axis=1)))


def tour(tensor, pots, update):
    """Do what a tour does by its definition, in the log domain."""
    error = mass = 0.0
    for k in range(tensor.ndim):
        exponents = [pots.exponent(j) for j in range(tensor.ndim)]
        own, mass = pots.visit(k, softmin(tensor, exponents, k, pots.epsilon), update)
        error = max(error, own)
    return error, mass


def problem(rng, shape, dtype=np.float64, epsilon=0.3, unbalanced=False):
    tensor = rng.random(shape).astype(dtype)
    weights = [rng.random(n) + 0.2 for n in shape]
    weights = [2.5 * a / a.sum() for a in weights]
    rho = [INF] * len(shape)
    if unbalanced:
        rho[0], rho[-1] = 0.7, 0.0
    pots = Potentials(weights, rho, epsilon)
    tour(tensor, pots, True)
    for f in pots.f:
        f += 0.1 * rng.normal(size=f.size)
    if unbalanced:
        pots.f[-1][:] = 0.0
    return tensor, pots


def run(core_tour, tensor, pots, update, rounds=1):
    return core_tour(tensor, pots.weights, pots.f, pots.rho, pots.epsilon, update, rounds, None, [], None)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("unbalanced", [False, True])
@pytest.mark.parametrize("update", [False, True])
@pytest.mark.parametrize("precision", ["tour64", "tour32", "tour32_wide"])
def test_one_pass_is_a_tour(rng, shape, unbalanced, update, precision):
    dtype = np.float64 if precision == "tour64" else np.float32
    tensor, pots = problem(rng, shape, dtype, unbalanced=unbalanced)
    before = [f.copy() for f in pots.f]
    f, error, mass, _ = run(getattr(_core, precision), tensor, pots, update)
    assert all((one == other).all() for one, other in zip(pots.f, before, strict=True))
    expected_error, expected_mass = tour(tensor, pots, update)
    tol = {"rtol": 1e-5, "atol": 3e-6} if precision == "tour32" else {"rtol": 1e-11, "atol": 1e-12}
    for one, other in zip(f, pots.f if update else before, strict=True):
        np.testing.assert_allclose(one, other, **tol)
    np.testing.assert_allclose([error, mass], [expected_error, expected_mass], **tol)


def test_forbidden_tuples_and_points_of_no_weight(rng):
    tensor, pots = problem(rng, (5, 4, 6))
    tensor[1, 2] = INF
    pots.weights[1][3] = pots.weights[0][2] = pots.weights[2][0] = 0.0
    f = pots.f
    pots = Potentials([a / a.sum() for a in pots.weights], pots.rho, pots.epsilon)
    pots.f = f
    f, error, mass, _ = run(_core.tour64, tensor, pots, True)
    before = [f.copy() for f in pots.f]
    expected = tour(tensor, pots, True)
    np.testing.assert_allclose([error, mass], expected, rtol=1e-12)
    for one, other, old, a in zip(f, pots.f, before, pots.weights, strict=True):
        np.testing.assert_allclose(one[a > 0], other[a > 0], atol=1e-12)
        assert (one[a == 0] == old[a == 0]).all()


@pytest.mark.parametrize("precision", ["tour64", "tour32", "tour32_wide"])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_kept_plan_takes_the_place_of_exponentials(rng, shape, precision):
    dtype = np.float64 if precision == "tour64" else np.float32
    tensor, pots = problem(rng, shape, dtype)
    if shape[1] > 1:
        pots.weights[1][0] = 0.0
    kept = np.empty(shape, np.float32 if precision == "tour32" else np.float64)
    core_tour = getattr(_core, precision)

    def tour_with(f, reference):
        return core_tour(tensor, pots.weights, f, pots.rho, pots.epsilon, True, 2, kept, reference, None)

    *_, replaced = tour_with(pots.f, [])
    assert replaced
    moved = [f + 0.5 * pots.epsilon * rng.normal(size=f.size) for f in pots.f]
    f, error, mass, replaced = tour_with(moved, pots.f)
    assert not replaced
    expected = core_tour(tensor, pots.weights, moved, pots.rho, pots.epsilon, True, 2, None, [], None)
    tol = {"rtol": 1e-5, "atol": 3e-6} if precision == "tour32" else {"rtol": 1e-11, "atol": 1e-12}
    np.testing.assert_allclose([error, mass], expected[1:3], **tol)
    for one, other in zip(f, expected[0], strict=True):
        np.testing.assert_allclose(one, other, **tol)
    far = [f + 15.0 * pots.epsilon * (-1) ** k for k, f in enumerate(pots.f)]
    assert tour_with(far, pots.f) is None or tour_with(far, pots.f)[3]


def test_more_rounds_go_on_with_all_axes_but_the_first(rng):
    tensor, pots = problem(rng, (5, 4, 6))
    f, error, *_ = run(_core.tour64, tensor, pots, True, 40)
    once = run(_core.tour64, tensor, pots, True, 1)
    np.testing.assert_allclose(f[0], once[0][0], rtol=1e-15)
    assert error == once[1]
    pots.f = f
    exponents = [pots.exponent(j) for j in range(3)]
    for k in (1, 2):
        np.testing.assert_allclose(softmin(tensor, exponents, k, pots.epsilon), f[k], atol=1e-10)


@pytest.mark.parametrize("shift", [-1e3, 1e3])
def test_potentials_that_are_far_off_are_refused(rng, shift):
    tensor, pots = problem(rng, (5, 4, 6))
    pots.f[1] = pots.f[1] + shift
    assert run(_core.tour64, tensor, pots, True) is None
    pots.f[1] = pots.f[1] - shift
    assert run(_core.tour64, tensor, pots, True) is not None


def test_a_point_without_a_way_is_left_to_the_log_domain(rng):
    tensor, pots = problem(rng, (5, 4, 6))
    tensor[:, 2] = INF
    assert run(_core.tour64, tensor, pots, True) is None


def both_ways(monkeypatch, weights, tensor, epsilon, **options):
    counts = {"accepted": 0}
    inner = _unfolded.Unfolded._tour_in_one_pass

    def counted(self, *arguments):
        found = inner(self, *arguments)
        counts["accepted"] += found is not None
        return found

    with monkeypatch.context() as patch:
        patch.setattr(_unfolded.Unfolded, "_tour_in_one_pass", counted)
        fast = multimarginal.sinkhorn(weights, tensor, epsilon, **options)
    with monkeypatch.context() as patch:
        patch.setattr(_unfolded.Unfolded, "_tour_in_one_pass", lambda *_: None)
        slow = multimarginal.sinkhorn(weights, tensor, epsilon, **options)
    return fast, slow, counts["accepted"]


@pytest.mark.parametrize("options", [{}, {"unbalanced": 0.5}, {"free": [1]}, {"method": "log"}])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_solutions_are_those_of_the_log_domain(rng, monkeypatch, dtype, options):
    shape = (6, 5, 4, 7)
    tensor = rng.random(shape).astype(dtype)
    weights = [rng.dirichlet(np.ones(n)) for n in shape]
    for a in weights:
        a[1] = 0.0
        a /= a.sum()
    fast, slow, accepted = both_ways(monkeypatch, weights, tensor, 0.05, tol=1e-6, **options)
    assert accepted > 2
    assert fast.converged
    assert slow.converged
    tol = 1e-5 if dtype == np.float32 else 1e-6
    assert fast.value == pytest.approx(slow.value, abs=tol)
    np.testing.assert_allclose(fast.plan, slow.plan, atol=tol)
    # Potentials are unique up to constants that cancel; those of points of no weight, too, with them.
    gauge = [float(f[0] - g[0]) for f, g in zip(fast.potentials, slow.potentials, strict=True)]
    if not options:
        assert sum(gauge) == pytest.approx(0.0, abs=1e-4)
        for f, g, c in zip(fast.potentials, slow.potentials, gauge, strict=True):
            np.testing.assert_allclose(f - c, g, atol=1e-3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weights_too_small_for_the_precision(rng, monkeypatch, dtype):
    """A tuple of faint points on all axes has a density that no precision holds."""
    x = np.linspace(-1, 1, 9)
    a = np.exp(-60 * x**2)
    a /= a.sum()
    tensor = sum((x.reshape([-1 if k == j else 1 for k in range(3)]) ** 2) for j in range(3)) - np.square(
        x[:, None, None] + x[:, None] + x
    )
    fast, slow, _ = both_ways(monkeypatch, [a] * 3, tensor.astype(dtype), 0.05, tol=1e-5)
    assert fast.converged
    np.testing.assert_allclose(fast.plan, slow.plan, atol=1e-5)


def test_memory_is_small_beside_the_tensor(rng):
    for shape in ((64, 64, 64, 64), (3, 2000, 2000), (1000, 1000, 3), (5, 5, 5, 5), (40, 300, 300)):
        if _core.has_tour(shape, 4):
            buffers = 2 * 4 * math.prod(shape[1:])
            assert buffers <= max(1 << 21, 0.1 * 4 * math.prod(shape))
    assert _core.has_tour((64, 64, 64, 64), 4)
    assert not _core.has_tour((3, 2000, 2000), 4)
    assert not _core.has_tour((3, 5, 5000), 4)


def test_threads_change_nothing(rng):
    import otfast as otf

    shape = (8, 40, 50, 30)
    tensor, pots = problem(rng, shape)
    results = []
    threads = otf.get_num_threads()
    try:
        for count in (1, 3):
            otf.set_num_threads(count)
            results.append(run(_core.tour64, tensor, pots, True, 2))
    finally:
        otf.set_num_threads(threads)
    for one, other in zip(results[0][0], results[1][0], strict=True):
        assert (one == other).all()
    assert results[0][1:] == results[1][1:]
