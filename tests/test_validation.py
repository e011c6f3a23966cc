"""Bad input raises before any work and says what is wrong; good input is neither copied nor changed."""

import tracemalloc

import numpy as np
import pytest

import otfast as otf
from certificates import assert_certified
from otfast._validation import as_array, check_count, check_real, check_weights

A = [0.5, 0.5]
B = [0.2, 0.3, 0.5]
C = np.array([[0.0, 1.0, 2.0], [1.0, 0.0, 1.0]])


def with_entry(array, index, value):
    changed = np.array(array, dtype=float)
    changed[index] = value
    return changed


@pytest.mark.parametrize(
    ("a", "b", "cost", "message"),
    [
        ([0.5, np.nan], B, C, r"a must be finite, but a\[1\] is nan"),
        (A, [0.2, np.inf, 0.5], C, r"b must be finite, but b\[1\] is inf"),
        ([1.5, -0.5], B, C, r"a must not be negative, but a\[1\] is -0.5"),
        (A, [0.0, 0.0, 0.0], C, "b has total mass zero"),
        ([1e308, 1e308], B, C, "the sum of a overflows"),
        ([0.5, 0.6], B, C, "the totals of a and b differ: 1.1 and 1"),
        (A, [2.0, 3.0, 5.0], C, "the totals of a and b differ: 1 and 10"),
        (None, [2.0, 3.0, 5.0], C, "weights of None have total mass 1"),
        ([0.5, 0.25, 0.25], B, C, r"a must have shape \(2,\).* its shape is \(3,\)"),
        (A, [B], C, r"b must have shape \(3,\).* its shape is \(1, 3\)"),
        (1.0, B, C, r"a must have shape \(2,\).* its shape is \(\)"),
        (["x", "y"], B, C, "a must hold real numbers, but its dtype is <U1"),
        ([0.5 + 0j, 0.5], B, C, "a must hold real numbers, but its dtype is complex128"),
        ([0.5, None], B, C, "a must hold real numbers, but its dtype is object"),
        ([[0.5], [0.25, 0.25]], B, C, "a cannot be read as an array"),
        (A, B, with_entry(C, (1, 2), np.nan), r"C must hold numbers or \+inf, but C\[1, 2\] is nan"),
        (A, B, with_entry(C, (0, 1), -np.inf), r"C must hold numbers or \+inf, but C\[0, 1\] is -inf"),
        (A, B, C[0], r"C must be two-dimensional, but its shape is \(3,\)"),
        (A, B, 1.0, r"C must be two-dimensional, but its shape is \(\)"),
        (A, B, np.empty((0, 3)), r"C is empty: its shape is \(0, 3\)"),
        ([], [], np.empty((0, 0)), r"C is empty: its shape is \(0, 0\)"),
        (A, B, C.astype(complex), "C must hold real numbers, but its dtype is complex128"),
        (A, B, np.ma.masked_equal(C, 2.0), "C has masked entries"),
    ],
)
def test_bad_problem(a, b, cost, message):
    with pytest.raises(ValueError, match=message):
        otf.emd(a, b, cost)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "simplex"}, "method must be one of 'auto', 'network-simplex', .*, not 'simplex'"),
        ({"method": None}, "method must be one of"),
        ({"method": "assignment"}, "method 'assignment' needs n = m"),
        ({"tol": -1e-9}, "tol must be finite and at least 0"),
        ({"tol": np.nan}, "tol must be finite"),
        ({"tol": "small"}, "tol must be a number"),
        ({"max_iter": 0}, "max_iter must be at least 1"),
        ({"max_iter": 1.5}, "max_iter must be an integer"),
        ({"init": [0.0, 0.0]}, r"init\[0\] must have shape \(2,\)"),
        ({"init": np.zeros(5)}, r"init must be a pair of potentials"),
        ({"init": ([0.0, 0.0], [0.0, np.nan, 0.0])}, r"init\[1\] must be finite, but init\[1\]\[1\] is nan"),
        ({"callback": 3}, "callback must be callable"),
    ],
)
def test_bad_option(options, message):
    with pytest.raises(ValueError, match=message):
        otf.emd(A, B, C, **options)


@pytest.mark.parametrize(
    ("a", "b", "cost", "message"),
    [
        (np.full((3, 2), 0.5), np.full((2, 3), 1 / 3), C, "3 in A, 2 in B"),
        (np.full((3, 2), 0.5), None, np.stack([C, C]), "3 in A, 2 in C"),
        (np.full((2, 3), 1 / 3), None, C, r"A must have weights for 2 problems of 2 points"),
        ([0.5, 0.5], None, C, "A must be two-dimensional"),
        ([[0.5, 0.5], [0.5, -0.5]], None, C, r"A\[1\] must not be negative, but A\[1\]\[1\] is -0.5"),
        ([[0.5, 0.5], [0.0, 0.0]], None, C, r"A\[1\] has total mass zero"),
        ([[0.5, 0.5], [1.0, 1.0]], None, C, r"the totals of A\[1\] and B\[1\] differ: 2 and 1"),
        (None, None, np.stack([C, with_entry(C, (1, 0), np.nan)]), r"C\[1, 1, 0\] is nan"),
        (None, None, np.zeros((2, 0, 3)), "C must have shape .* not empty"),
    ],
)
def test_bad_batch(a, b, cost, message):
    with pytest.raises(ValueError, match=message):
        otf.emd_batch(a, b, cost)


@pytest.mark.parametrize("solve", [otf.wasserstein, otf.wasserstein_1d, otf.emd_1d])
@pytest.mark.parametrize("p", [0.5, -1, np.inf, np.nan, "two"])
def test_bad_exponent(solve, p):
    with pytest.raises(ValueError, match="p must be"):
        solve([0.0, 1.0], [2.0], p=p)


@pytest.mark.parametrize("solve", [otf.wasserstein, otf.wasserstein_1d, otf.emd_1d])
def test_bad_points_on_the_line(solve):
    with pytest.raises(ValueError, match=r"y must be finite, but y\[1(, 0)?\] is nan"):
        solve([0.0, 1.0], [2.0, np.nan])
    with pytest.raises(ValueError, match="x must"):
        solve([], [2.0])
    with pytest.raises(ValueError, match=r"a must have shape \(2,\)"):
        solve([0.0, 1.0], [2.0], a=[1.0])
    with pytest.raises(ValueError, match="totals"):
        solve([0.0, 1.0], [2.0], a=[1.0, 1.0])


def test_bad_columns():
    with pytest.raises(ValueError, match="same number of columns"):
        otf.wasserstein_1d(np.zeros((3, 2)), np.zeros((3, 4)))
    with pytest.raises(ValueError, match=r"a must have shape \(3,\) or \(3, 2\)"):
        otf.wasserstein_1d(np.zeros((3, 2)), np.zeros((3, 2)), a=np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"a\[:, 1\] must not be negative, but a\[:, 1\]\[2\] is -1.0"):
        otf.wasserstein_1d(np.zeros((3, 2)), np.zeros((3, 2)), a=[[1, 1], [1, 1], [1, -1]])
    with pytest.raises(ValueError, match="x must be one-dimensional"):
        otf.emd_1d(np.zeros((3, 2)), np.zeros(3))


def test_assignment_must_be_square():
    for shape in ((2, 3), (3, 2)):
        with pytest.raises(ValueError, match="C must be square"):
            otf.assignment(np.zeros(shape))


def test_numbers():
    assert check_real("t", np.float32(2), 1.0) == 2.0
    assert check_real("t", 0, 0.0) == 0.0
    with pytest.raises(ValueError, match="t must be a number at least 0, not 1000"):
        check_real("t", 10**400, 0.0)
    with pytest.raises(ValueError, match="t must be finite and greater than 0, not 0"):
        check_real("t", 0, 0.0, strictly=True)
    assert check_count("k", np.int32(3)) == 3


def test_totals_that_agree_to_rounding_are_balanced():
    b = np.array(B)
    result = otf.emd(A, b * (1 + 5e-7), C)
    assert_certified(result, A, B, C)
    assert result.b.sum() == pytest.approx(1.0, rel=1e-15)
    with pytest.raises(ValueError, match="totals"):
        otf.emd(A, b * (1 + 2e-6), C)


@pytest.mark.parametrize("single", ["a", "b", "C"])
def test_single_precision_has_a_wider_tolerance(single):
    problem = {"a": np.array(A), "b": np.array(B) * (1 + 5e-5), "C": C}
    with pytest.raises(ValueError, match="totals"):
        otf.emd(**problem)
    problem[single] = problem[single].astype(np.float32)
    assert otf.emd(**problem).converged


def test_any_total_mass():
    value = otf.emd(A, B, C).value
    for mass in (1e-200, 1e-3, 7.0, 1e200):
        scaled = otf.emd(np.multiply(A, mass), np.multiply(B, mass), C)
        assert scaled.value == pytest.approx(mass * value, rel=1e-12)


@pytest.mark.parametrize("kind", [list, tuple, np.int64, np.int8, bool, np.float16, ">f8", np.longdouble])
def test_anything_real_becomes_double(kind):
    values = [[0, 1], [1, 1]]
    given = kind(values) if kind in (list, tuple) else np.array(values, dtype=kind)
    array = as_array("C", given)
    assert array.dtype == np.float64
    assert array.dtype.isnative
    np.testing.assert_array_equal(array, values)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_right_arrays_are_not_copied(dtype):
    given = np.ones((3, 4), dtype)
    assert as_array("C", given) is given
    assert np.shares_memory(otf.DenseCost(given).dense(), given)
    read_only = given.copy()
    read_only.flags.writeable = False
    assert as_array("C", read_only) is read_only
    weights = np.full(3, 1 / 3)
    assert check_weights("a", weights, 3)[0] is weights


def test_layouts_are_made_contiguous(rng):
    base = rng.random((6, 8))
    for given in (base[::2], base[:, ::2], base[::-1], np.asfortranarray(base), base.T):
        array = as_array("C", given)
        assert array.flags.c_contiguous
        np.testing.assert_array_equal(array, given)
    unaligned = np.frombuffer(b"\0" + base.tobytes(), np.float64, offset=1)
    assert not unaligned.flags.aligned
    assert as_array("C", unaligned).flags.aligned
    np.testing.assert_array_equal(as_array("C", unaligned), base.ravel())


def test_scalars_keep_their_dimension():
    assert as_array("a", 3).shape == ()


def test_objects_that_speak_dlpack(rng):
    class Tensor:
        def __init__(self, array):
            self.array = array

        def __dlpack__(self, **options):
            return self.array.__dlpack__(**options)

        def __dlpack_device__(self):
            return self.array.__dlpack_device__()

    cost = rng.random((2, 3))
    assert np.shares_memory(as_array("C", Tensor(cost)), cost)
    assert otf.emd(A, B, Tensor(cost)).value == otf.emd(A, B, cost).value


def test_objects_with_an_array_method(rng):
    class Frame:
        def __init__(self, array):
            self.array = array

        def __array__(self, dtype=None, copy=None):
            return self.array

    cost = rng.random((2, 3))
    assert as_array("C", Frame(cost)) is cost


def test_tensors_that_refuse_say_why():
    class NeedsGradient:
        def __array__(self, dtype=None, copy=None):
            raise RuntimeError("can't call numpy() on a tensor that requires grad")

    with pytest.raises(ValueError, match=r"C cannot be read as an array: can't call numpy.* requires grad"):
        otf.emd(A, B, NeedsGradient())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_inputs_are_not_modified(rng, dtype):
    a, b, cost = (array.astype(dtype) for array in (rng.random(5), rng.random(7), rng.random((5, 7))))
    a, b = a / a.sum(dtype=np.float64), b / b.sum(dtype=np.float64)
    before = [array.copy() for array in (a, b, cost)]
    for array in (a, b, cost):
        array.flags.writeable = False
    otf.emd(a, b, cost)
    otf.emd_batch(a[None], b[None], cost)
    otf.wasserstein(cost, cost + 1)
    otf.wasserstein_1d(a, b, a, b)
    otf.emd_1d(a, b, a, b)
    for array, copy in zip((a, b, cost), before, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_checking_a_cost_allocates_nothing_of_its_size():
    cost = np.ones((1000, 1000))
    tracemalloc.start()
    otf.DenseCost(cost)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000


def test_tiny_weights_are_fine():
    weights, total, _ = check_weights("a", np.array([1e-300, 1.0, 5e-324]), 3)
    assert total == 1.0
    assert weights[0] == 1e-300


def test_numbers_in_other_clothes(rng):
    """Objects that are real numbers, and single precision in the other byte order."""
    C = rng.random((3, 4))
    np.testing.assert_array_equal(otf.emd(None, None, C.astype(object)).plan, otf.emd(None, None, C).plan)
    single = otf.emd(None, None, C.astype(np.float32).astype(">f4"))
    assert single.potential_a.dtype == np.float32
    np.testing.assert_array_equal(single.plan, otf.emd(None, None, C.astype(np.float32)).plan)


def test_the_distance_on_the_line_checks_what_others_check():
    x, y = [0.0, 1.0], [1.0, 2.0]
    reports = []
    assert otf.wasserstein(x, y, callback=reports.append) == 1.0
    assert reports[-1].value == 1.0
    for wrong, message in [
        ({"tol": -1.0}, "tol"),
        ({"max_iter": 0}, "max_iter"),
        ({"callback": 3}, "callback"),
        ({"a": [[0.5], [0.5]]}, "a must have shape"),
    ]:
        with pytest.raises(ValueError, match=message):
            otf.wasserstein(x, y, **wrong)
    with pytest.raises(ValueError, match="assignment"):
        otf.wasserstein([0.0, 1.0, 2.0], y, method="assignment")
    with pytest.raises(ValueError, match="same dimension"):
        otf.wasserstein(np.zeros((2, 2)), np.zeros((2, 3)))
    with pytest.raises(ValueError, match="overflows"):
        otf.wasserstein([[1.5e308, 0.0]], [[-1.5e308, 0.0]])
