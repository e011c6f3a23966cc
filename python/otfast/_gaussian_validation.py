"""Checks of means and covariances, and how batches of them are laid out for the core."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otfast import _core
from otfast._validation import FloatArray, as_array, check_finite

_FLOAT32 = np.dtype(np.float32)
_FLOAT64 = np.dtype(np.float64)

#: How far from symmetric or semi-definite a covariance may be, relative to its largest entry: more than
#: rounding leaves of a covariance that was computed in that precision.
_TOLERANCES = {_FLOAT64: 1e-8, _FLOAT32: 1e-4}


def as_covariances(name: str, value: ArrayLike) -> FloatArray:
    """Convert to symmetric positive semi-definite matrices, `(…, d, d)`, exactly symmetric."""
    array = as_array(name, value)
    if array.ndim < 2 or array.shape[-1] != array.shape[-2] or array.shape[-1] == 0:
        raise ValueError(
            f"{name} must be square matrices, of shape (…, d, d), but its shape is {array.shape}"
        )
    check_finite(name, array)
    tolerance = _TOLERANCES[array.dtype]
    transposed = np.swapaxes(array, -1, -2)
    difference = np.abs(array - transposed)
    if difference.any():
        allowed = tolerance * np.abs(array).max((-1, -2), keepdims=True)
        bad = (difference > allowed).any((-1, -2))
        if bad.any():
            raise ValueError(f"{_first(name, bad)} is not symmetric")
        array = array / 2.0 + transposed / 2.0
    first = _core.first_indefinite(flat(array, array.shape[:-2], 2), tolerance)
    if first >= 0:
        bad = np.arange(int(np.prod(array.shape[:-2]))).reshape(array.shape[:-2]) == first
        raise ValueError(f"{_first(name, bad)} is not positive semi-definite")
    return array


def as_means(name: str, value: ArrayLike, dim: int) -> FloatArray:
    """Convert to finite vectors, `(…, d)`."""
    array = as_array(name, value)
    if array.ndim < 1 or array.shape[-1] != dim:
        raise ValueError(
            f"{name} must have shape (…, {dim}), to fit the covariances, but its shape is {array.shape}"
        )
    check_finite(name, array)
    return array


def common_batch(shapes: dict[str, tuple[int, ...]]) -> tuple[int, ...]:
    """Broadcast the leading axes of some arguments."""
    try:
        return np.broadcast_shapes(*shapes.values())
    except ValueError:
        listed = ", ".join(f"{shape} of {name}" for name, shape in shapes.items())
        raise ValueError(f"leading axes do not fit each other: {listed}") from None


def flat(array: FloatArray, batch: tuple[int, ...], n_axes: int) -> NDArray[np.float64]:
    """Lay out a batch for the core: one leading axis, double precision; `n_axes` belong to a problem."""
    shape = array.shape[array.ndim - n_axes :]
    wide = np.broadcast_to(array, (*batch, *shape)).astype(_FLOAT64, order="C", copy=False)
    return np.ascontiguousarray(wide).reshape(-1, *shape) if batch else np.ascontiguousarray(wide[None])


def common_dtype(*arrays: FloatArray) -> np.dtype[np.floating[Any]]:
    """Single precision if everything is."""
    return _FLOAT32 if all(array.dtype == _FLOAT32 for array in arrays) else _FLOAT64


def _first(name: str, bad: NDArray[np.bool_]) -> str:
    """Name the first bad matrix of a batch, as in ``S[3]``."""
    if bad.ndim == 0:
        return name
    index = np.unravel_index(int(np.argmax(bad)), bad.shape)
    return f"{name}[{', '.join(str(i) for i in index)}]"
