"""Metrics: from the names and parameters a user gives to the few kernels the core computes."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from otfast._validation import FloatArray, as_matrix, check_finite, check_real

#: A name, or a name with parameters.
Metric = str | tuple[Any, ...]

#: The metrics ‖x − y‖_p^q that have names, as (p, q).
_NAMED_POWERS = {
    "sqeuclidean": (2.0, 2.0),
    "euclidean": (2.0, 1.0),
    "cityblock": (1.0, 1.0),
    "chebyshev": (math.inf, 1.0),
}
_NAME_OF_POWER = {power: name for name, power in _NAMED_POWERS.items()}
_NAMES = (*_NAMED_POWERS, "cosine")
_PARAMETERS = {"minkowski": ("p",), "power": ("p", "q"), "mahalanobis": ("M",), "bilinear": ("A",)}


class PointKernel(NamedTuple):
    """The arguments of the core's point cost: points, transformed where the metric needs it, and a kernel."""

    x: FloatArray
    y: FloatArray
    name: str
    p: float = 0.0
    q: float = 0.0


def parse_metric(metric: Any) -> Metric:
    """Check a metric and its parameters, whatever the points; arrays among the parameters are copied."""
    if isinstance(metric, str) and metric in _NAMES:
        return metric
    if isinstance(metric, tuple | list) and metric and isinstance(metric[0], str):
        name, *values = metric
        if len(_PARAMETERS.get(name, ())) == len(values) > 0:
            keys = _PARAMETERS[name]
            return name, *(_parameter(name, key, value) for key, value in zip(keys, values, strict=True))
    known = [repr(name) for name in _NAMES]
    known += [f"({', '.join([repr(name), *keys])})" for name, keys in _PARAMETERS.items()]
    raise ValueError(f"metric must be one of {', '.join(known)}, not {metric!r}")


def _parameter(name: str, key: str, value: Any) -> Any:
    label = f"{key} of the metric {name!r}"
    if key == "p":
        return math.inf if isinstance(value, float) and value == math.inf else check_real(label, value, 1.0)
    if key == "q":
        return check_real(label, value, 0.0, strictly=True)
    matrix = as_matrix(label, value).astype(np.float64)
    check_finite(label, matrix)
    return matrix


def separable_power(metric: Metric) -> float:
    """Return the p of a metric Σ_k |x_k − y_k|^p."""
    name, *parameters = (metric,) if isinstance(metric, str) else metric
    p, q = _NAMED_POWERS.get(name, parameters if name == "power" else (1.0, 0.0))
    if p != q:
        raise ValueError(
            "metric of a Grid must be a sum over its axes: 'sqeuclidean', 'cityblock' or ('power', p, p), "
            f"not {metric!r}"
        )
    return float(p)


def power_of(metric: Metric) -> tuple[float, float]:
    """Return (p, q) of a metric ‖x − y‖_p^q, for those that are one."""
    if isinstance(metric, str):
        return _NAMED_POWERS[metric]
    name, p, *rest = metric
    return p, rest[0] if name == "power" else 1.0


def point_kernel(x: FloatArray, y: FloatArray, metric: Metric) -> PointKernel:
    """Return what the core computes for points of one data type under a checked metric."""
    name, *parameters = (metric,) if isinstance(metric, str) else metric
    if name == "bilinear":
        return _bilinear(x, y, *parameters)
    if x.shape[1] != y.shape[1]:
        raise ValueError(
            f"x and y must have the same dimension, but their shapes are {x.shape} and {y.shape}"
        )
    if name == "cosine":
        return PointKernel(normalize("x", x), normalize("y", y), "dot", 1.0)
    if name == "mahalanobis":
        return _mahalanobis(x, y, *parameters)
    p, q = power_of(metric)
    check_range(distance_bound(extents(x, y), p, q), x.dtype, "x and y")
    named = _NAME_OF_POWER.get((p, q))
    return PointKernel(x, y, named) if named else PointKernel(x, y, "power", p, q)


def _bilinear(x: FloatArray, y: FloatArray, matrix: NDArray[np.float64]) -> PointKernel:
    if matrix.shape != (x.shape[1], y.shape[1]):
        raise ValueError(
            f"A of the metric 'bilinear' must have shape {(x.shape[1], y.shape[1])} to fit x and y, "
            f"but its shape is {matrix.shape}"
        )
    with np.errstate(over="ignore", invalid="ignore"):
        check_range(product_bound(np.abs(x) @ np.abs(matrix), y), x.dtype, "x, y and A")
    # The matrix goes to the side that leaves the shorter vectors to multiply.
    if x.shape[1] < y.shape[1]:
        return PointKernel(x, (y @ matrix.T).astype(x.dtype), "dot")
    return PointKernel((x @ matrix).astype(x.dtype), y, "dot")


def normalize(name: str, points: FloatArray) -> FloatArray:
    """Return points divided by their lengths; a zero vector raises."""
    largest = np.abs(points).max(axis=1, keepdims=True)
    if not largest.all():
        zero = int(np.argmin(largest[:, 0]))
        raise ValueError(
            f"{name} must not hold zero vectors under the metric 'cosine', but {name}[{zero}] is one"
        )
    # Dividing by the largest coordinate first keeps the squares in range.
    scaled = points / largest
    return scaled / np.linalg.norm(scaled, axis=1, keepdims=True)  # type: ignore[no-any-return]


def _mahalanobis(x: FloatArray, y: FloatArray, matrix: NDArray[np.float64]) -> PointKernel:
    d = x.shape[1]
    if matrix.shape != (d, d):
        raise ValueError(
            f"M of the metric 'mahalanobis' must have shape {(d, d)}, but its shape is {matrix.shape}"
        )
    values, vectors = np.linalg.eigh(0.5 * matrix + 0.5 * matrix.T)
    # (x − y)ᵀ M (x − y) = Σ ± (x' − y')²: coordinates along eigenvectors, those of negative eigenvalues last.
    order = np.argsort(values < 0.0, kind="stable")
    transform = vectors[:, order] * np.sqrt(np.abs(values[order]))
    # Only differences matter, so the centre goes: coordinates mix, and a large offset in one would cost the
    # others their digits.
    centre = 0.5 * x.min(axis=0) + 0.5 * x.max(axis=0)
    with np.errstate(over="ignore", invalid="ignore"):
        x_mapped, y_mapped = ((points - centre) @ transform for points in (x, y))
        check_range(distance_bound(extents(x_mapped, y_mapped), 2.0, 2.0), x.dtype, "x, y and M")
    n_negative = float(np.count_nonzero(values < 0.0))
    return PointKernel(x_mapped.astype(x.dtype), y_mapped.astype(x.dtype), "sqeuclidean", n_negative)


def extents(x: FloatArray, y: FloatArray) -> NDArray[np.float64]:
    """Return the sides of the box that holds all points, `(d,)`."""
    low = np.minimum(x.min(axis=0), y.min(axis=0)).astype(np.float64)
    high = np.maximum(x.max(axis=0), y.max(axis=0)).astype(np.float64)
    with np.errstate(over="ignore"):
        return high - low  # type: ignore[no-any-return]


def distance_bound(sides: NDArray[np.float64], p: float, q: float) -> float:
    """Return the largest ‖x − y‖_p^q in a box with these sides."""
    longest = float(sides.max())
    if longest in (0.0, math.inf):
        return longest
    norm = longest if math.isinf(p) else longest * float(np.sum((sides / longest) ** p)) ** (1.0 / p)
    with np.errstate(over="ignore"):
        return float(np.float64(norm) ** q)


def cost_bounds(kernel: PointKernel) -> tuple[float, float]:
    """Return numbers between which all costs between the points of a kernel lie."""
    x, y, name, p, q = kernel
    if name == "dot":
        bound = product_bound(x, y)
        return p - bound, p + bound
    powers = (p, q) if name == "power" else _NAMED_POWERS[name]
    bound = distance_bound(extents(x, y), *powers)
    # Coordinates that count with negative sign can make costs as negative.
    return (-bound if name == "sqeuclidean" and p > 0.0 else 0.0), bound


def product_bound(x: FloatArray, y: FloatArray) -> float:
    """Return a bound of the inner products of rows of `x` with rows of `y`."""
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.abs(x).sum(axis=1, dtype=np.float64).max()) * float(np.abs(y).max())


def check_range(bound: float, dtype: np.dtype[np.floating[Any]], name: str) -> None:
    """Raise where costs up to `bound` would overflow to +inf, which would forbid pairs nobody forbade."""
    if not bound <= float(np.finfo(dtype).max):
        raise ValueError(f"costs between the points of {name} can exceed the range of {dtype}; rescale them")
