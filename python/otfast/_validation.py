"""The one door into the library: arguments become checked, contiguous arrays here, once.

Everything raises `ValueError` with a message that names the argument, says what is wrong (the first offending
entry where there is one) and what to do about it. Arrays that already have the right type and layout pass
through uncopied.
"""

from __future__ import annotations

import math
import numbers
import operator
from collections.abc import Collection
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otfast import _core

FloatArray = NDArray[np.floating[Any]]

_FLOAT64 = np.dtype(np.float64)
_FLOAT32 = np.dtype(np.float32)

#: A relative difference of two totals that the rounding of the sums explains: not worth a rescaled copy.
_ROUNDING = 8.0 * float(np.finfo(np.float64).eps)


def as_array(name: str, value: ArrayLike) -> FloatArray:
    """Convert to a C-contiguous array of `float32` (if it is one already) or `float64` (anything else real).

    Parameters
    ----------
    name
        The argument's name in error messages.
    value
        Any array-like, or an object that speaks DLPack.
    """
    array = value if type(value) is np.ndarray else _as_numpy(name, value)
    dtype = array.dtype
    if dtype != _FLOAT64 and dtype != _FLOAT32:
        array = _as_floats(name, array)
    flags = array.flags
    if not (flags.c_contiguous and flags.aligned):
        array = array.copy(order="C")
    return array


def _as_floats(name: str, array: NDArray[Any]) -> FloatArray:
    if array.dtype.newbyteorder("=") == _FLOAT32:
        return array.astype(_FLOAT32, order="C")
    if array.dtype.kind == "O" and all(isinstance(entry, numbers.Real) for entry in array.flat):
        return array.astype(_FLOAT64, order="C")
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{name} must hold real numbers, but its dtype is {array.dtype}")
    return array.astype(_FLOAT64, order="C")


def _as_numpy(name: str, value: Any) -> NDArray[Any]:
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise ValueError(f"{name} has masked entries; fill them or leave them out")
    try:
        if hasattr(value, "__dlpack__") and not hasattr(value, "__array__"):
            return np.from_dlpack(value)
        return np.asarray(value)
    # Ragged lists, tensors on a device or with a gradient attached: every library has an error of its own.
    except Exception as error:
        raise ValueError(f"{name} cannot be read as an array: {error}") from error


def as_matrix(name: str, value: ArrayLike) -> FloatArray:
    """Convert to a two-dimensional array with at least one entry."""
    array = as_array(name, value)
    if array.ndim != 2:
        raise ValueError(f"{name} must be two-dimensional, but its shape is {array.shape}")
    if array.size == 0:
        raise ValueError(f"{name} is empty: its shape is {array.shape}")
    return array


def as_points(name: str, value: ArrayLike) -> FloatArray:
    """Convert to finite points `(n, d)`."""
    array = as_array(name, value)
    if array.ndim == 1:
        raise ValueError(
            f"{name} must be points of shape (n, d), but its shape is {array.shape}; "
            f"for points on the line use {name}[:, None]"
        )
    array = as_matrix(name, array)
    check_finite(name, array)
    return array


def as_cloud(name: str, value: ArrayLike) -> FloatArray:
    """Convert to finite points `(n, d)`; a vector means points on the line."""
    array = as_array(name, value)
    if array.ndim not in (1, 2) or array.size == 0:
        raise ValueError(f"{name} must be points of shape (n, d) or (n,), but its shape is {array.shape}")
    check_finite(name, array)
    return array if array.ndim == 2 else array[:, None]


def check_finite(name: str, array: FloatArray) -> None:
    """Raise unless every entry is a finite number."""
    finite = np.isfinite(array)
    if not finite.all():
        raise ValueError(f"{name} must be finite, but {first_entry(name, array, ~finite)}")


def first_entry(name: str, array: FloatArray, where: NDArray[np.bool_]) -> str:
    """Say which entry is the first one in `where`, as in ``a[3] is nan``."""
    index = np.unravel_index(int(np.argmax(where)), array.shape)
    return f"{name}[{', '.join(str(i) for i in index)}] is {float(array[index])}"


def check_weights(name: str, value: ArrayLike | None, size: int) -> tuple[NDArray[np.float64], float, bool]:
    """Check the weights of `size` points; ``None`` means uniform with total mass 1.

    Returns
    -------
    weights, total, is_single
        The weights as `float64`, their sum, and whether they came in single precision.
    """
    if value is None:
        return np.full(size, 1.0 / size), 1.0, False
    given = as_array(name, value)
    if given.shape != (size,):
        raise ValueError(
            f"{name} must have shape ({size},), one weight for each point, but its shape is {given.shape}"
        )
    is_single = given.dtype == _FLOAT32
    weights = given.astype(np.float64, copy=False)
    total, first_bad = _core.weight_summary(weights)
    if first_bad >= 0 or not 0.0 < total < math.inf:
        _explain_weights(name, weights)
    return weights, total, is_single


def check_weight_rows(
    name: str, value: ArrayLike, shape: tuple[int, int], label: str = "{}[{}]"
) -> tuple[NDArray[np.float64], NDArray[np.float64], bool]:
    """Check the weights of many problems, a row for each; like `check_weights`, with a total for each row.

    `label` is how messages write the weights of one problem, from the name and the number of the problem.
    """
    given = as_array(name, value)
    if given.shape != shape:
        raise ValueError(
            f"{name} must have weights for {shape[0]} problems of {shape[1]} points, "
            f"but its shape is {given.shape}"
        )
    is_single = given.dtype == _FLOAT32
    weights = given.astype(np.float64, copy=False)
    with np.errstate(over="ignore", invalid="ignore"):
        totals = weights.sum(axis=1)
        good = (weights.min(axis=1) >= 0.0) & (totals > 0.0) & (totals < math.inf)
    if not good.all():
        bad = int(np.argmin(good))
        _explain_weights(label.format(name, bad), weights[bad])
    return weights, totals, is_single


def _explain_weights(name: str, weights: NDArray[np.float64]) -> NoReturn:
    finite = np.isfinite(weights)
    if not finite.all():
        raise ValueError(f"{name} must be finite, but {first_entry(name, weights, ~finite)}")
    negative = weights < 0.0
    if negative.any():
        raise ValueError(f"{name} must not be negative, but {first_entry(name, weights, negative)}")
    if not weights.any():
        raise ValueError(f"{name} has total mass zero: at least one weight must be positive")
    raise ValueError(f"the sum of {name} overflows; divide the weights by their maximum")


def balance_weights(
    weights_b: NDArray[np.float64],
    total_a: float,
    total_b: float,
    is_single: bool,
    names: tuple[str, str] = ("a", "b"),
) -> NDArray[np.float64]:
    """Rescale `weights_b` from `total_b` to `total_a`, which must agree to rounding."""
    difference = abs(total_a - total_b)
    if difference > balance_tolerance(is_single) * max(total_a, total_b):
        raise ValueError(
            f"the totals of {names[0]} and {names[1]} differ: {total_a:.9g} and {total_b:.9g}; "
            "rescale one of them (weights of None have total mass 1)"
        )
    if difference <= _ROUNDING * total_a:
        return weights_b
    return weights_b * (total_a / total_b)


def balance_weight_rows(
    weights_b: NDArray[np.float64],
    totals_a: NDArray[np.float64],
    totals_b: NDArray[np.float64],
    is_single: bool,
    labels: tuple[str, str],
) -> NDArray[np.float64]:
    """Rescale each row of `weights_b` like `balance_weights`; one row may stand for all."""
    difference = np.abs(totals_a - totals_b)
    bad = difference > balance_tolerance(is_single) * np.maximum(totals_a, totals_b)
    if bad.any():
        k = int(np.argmax(bad))
        a, b = (label.format(k) for label in labels)
        total_a, total_b = (np.broadcast_to(totals, bad.shape)[k] for totals in (totals_a, totals_b))
        raise ValueError(
            f"the totals of {a} and {b} differ: {total_a:.9g} and {total_b:.9g}; rescale one of them "
            "(weights of None have total mass 1)"
        )
    if (difference <= _ROUNDING * totals_a).all():
        return weights_b
    return weights_b * (totals_a / totals_b)[:, None]


def balance_tolerance(is_single: bool) -> float:
    """How far two totals may differ, relative to the larger, before they count as different."""
    return 1e-4 if is_single else 1e-6


def check_choice(name: str, value: Any, known: Collection[str]) -> None:
    """Raise unless `value` is one of the strings `known`."""
    if not (isinstance(value, str) and value in known):
        listed = ", ".join(repr(choice) for choice in known)
        raise ValueError(f"{name} must be one of {listed}, not {value!r}")


def check_real(name: str, value: Any, lowest: float, *, strictly: bool = False) -> float:
    """Check a finite number that must be at least `lowest` (more than `lowest` if `strictly`)."""
    bound = f"greater than {lowest:g}" if strictly else f"at least {lowest:g}"
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{name} must be a number {bound}, not {value!r}") from None
    if not math.isfinite(number) or number < lowest or (strictly and number == lowest):
        raise ValueError(f"{name} must be finite and {bound}, not {value!r}")
    return number


def check_count(name: str, value: Any) -> int:
    """Check an integer that must be at least 1."""
    try:
        count = operator.index(value)
    except TypeError:
        raise ValueError(f"{name} must be an integer, not {value!r}") from None
    if count < 1:
        raise ValueError(f"{name} must be at least 1, not {count}")
    return min(count, 2**62)
