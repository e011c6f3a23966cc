"""Small problems of every kind that hypothesis can think of, against HiGHS and against the theory."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import otfast as otf
from certificates import assert_certified, linprog_value

sizes = st.integers(1, 7)
methods = st.sampled_from(["auto", "network-simplex", "column-generation"])
small_numbers = st.integers(-3, 3).map(float)
numbers = st.floats(-1e3, 1e3, allow_subnormal=False)
costs_of = st.sampled_from([small_numbers, numbers])
masses_of = st.sampled_from([st.integers(0, 3).map(float), st.floats(0, 1, allow_subnormal=False)])


@st.composite
def weights(draw, size):
    drawn = draw(arrays(np.float64, size, elements=draw(masses_of)))
    assume(drawn.sum() > 1e-3)
    return drawn / drawn.sum()


@st.composite
def problems(draw, forbidden=False):
    n, m = draw(sizes), draw(sizes)
    elements = draw(costs_of)
    if forbidden:
        elements = st.one_of(elements, st.just(np.inf))
    return draw(weights(n)), draw(weights(m)), draw(arrays(np.float64, (n, m), elements=elements))


@given(problems(), methods)
def test_certificate_and_value(problem, method):
    a, b, cost = problem
    result = otf.emd(a, b, cost, method=method)
    assert_certified(result, a, b, cost)
    assert result.value == pytest.approx(
        linprog_value(a, b, cost), rel=1e-6, abs=1e-6 * (1 + np.abs(cost).max())
    )


@given(problems(forbidden=True), methods)
def test_forbidden_pairs(problem, method):
    # Whole masses: else what rounding alone makes infeasible is so for one solver and not for another.
    a, b, cost = problem
    a, b = np.round(a * 64), np.round(b * 64)
    a[np.argmax(a)] += 64 - a.sum()
    b[np.argmax(b)] += 64 - b.sum()
    expected = linprog_value(a, b, cost)
    if expected is None:
        with pytest.raises(otf.InfeasibleError):
            otf.emd(a, b, cost, method=method)
    else:
        assert_certified(otf.emd(a, b, cost, method=method), a, b, cost)


@given(problems(), st.floats(0.01, 100))
def test_value_is_homogeneous_in_cost_and_mass(problem, factor):
    a, b, cost = problem
    value = otf.emd(a, b, cost).value
    scale = np.abs(cost).max() * factor
    assert otf.emd(a, b, factor * cost).value == pytest.approx(factor * value, rel=1e-12, abs=1e-12 * scale)
    assert otf.emd(factor * a, factor * b, cost).value == pytest.approx(
        factor * value, rel=1e-12, abs=1e-12 * scale
    )


@given(problems(), st.data())
def test_value_is_concave_in_the_cost(problem, data):
    a, b, cost = problem
    other = data.draw(arrays(np.float64, cost.shape, elements=numbers))
    middle = otf.emd(a, b, 0.5 * cost + 0.5 * other).value
    ends = otf.emd(a, b, cost).value, otf.emd(a, b, other).value
    assert middle >= 0.5 * sum(ends) - 1e-9


@given(problems(), st.data())
def test_value_is_convex_in_the_weights(problem, data):
    a, b, cost = problem
    other = data.draw(weights(a.size))
    middle = otf.emd(0.5 * a + 0.5 * other, b, cost).value
    ends = otf.emd(a, b, cost).value, otf.emd(other, b, cost).value
    assert middle <= 0.5 * sum(ends) + 1e-9


@given(st.lists(problems(), min_size=1, max_size=4))
def test_batches(drawn):
    shape = drawn[0][2].shape
    same = [problem for problem in drawn if problem[2].shape == shape]
    A, B, C = (np.stack(parts) for parts in zip(*same, strict=True))
    for k, result in enumerate(otf.emd_batch(A, B, C)):
        assert_certified(result, A[k], B[k], C[k])


@given(st.data(), sizes, sizes, st.sampled_from([1.0, 1.3, 2.0, 3.0]))
def test_the_line(data, n, m, p):
    coordinates = data.draw(st.sampled_from([small_numbers, st.floats(-10, 10, allow_subnormal=False)]))
    x, y = (data.draw(arrays(np.float64, size, elements=coordinates)) for size in (n, m))
    a, b = data.draw(weights(n)), data.draw(weights(m))
    cost = np.abs(x[:, None] - y) ** p
    plan = otf.emd_1d(x, y, a, b, p=p)
    assert_certified(plan, a, b, cost)
    assert plan.value == pytest.approx(otf.emd(a, b, cost).value, rel=1e-11, abs=1e-13 * (1 + cost.max()))
